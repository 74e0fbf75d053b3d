//! Removing, archiving and bringing back in memory, with deaths at every call and in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::collection::{self, Options};
use super::{age, archive, holdings, removal, trash, verify};
use crate::catalogue::Saved;
use crate::error::FailureKind;
use crate::history;
use crate::ports::{Amount, CommitPlan};
use crate::query::Request;
use crate::record::Status;
use crate::run::{self, Run};
use crate::testing::World;
use crate::{catalogue, layout, records};

fn experiment(world: &World) -> String {
    let run = Run::start(&world.ports(), run::Options::default()).unwrap();
    run.save_model("model", World::bytes(run.id().as_bytes())).unwrap();
    run.finish(Status::Finished, None).unwrap().id
}

fn listed(world: &World) -> BTreeSet<String> {
    catalogue::saved(&world.ports()).unwrap().into_iter().map(|saved| saved.id).collect()
}

fn discarded(world: &World) -> BTreeSet<String> {
    trash::list(&world.ports()).unwrap().into_iter().map(|entry| entry.id).collect()
}

fn set(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}

#[test]
fn what_is_removed_can_be_brought_back() {
    let world = World::project();
    let (one, two) = (experiment(&world), experiment(&world));
    let before = world.reference(&format!("{}{one}", layout::TAGS)).unwrap();
    let plan = removal::plan(&world.ports(), &Request::of(Some(&one[..8]))).unwrap();
    assert_eq!((plan.len(), &plan[0].id, plan[0].built_on_it.len()), (1, &one, 0));
    assert_eq!(removal::remove(&world.ports(), std::slice::from_ref(&one)).unwrap(), std::slice::from_ref(&one));
    assert_eq!((listed(&world), discarded(&world)), (set(&[&two]), set(&[&one])));
    assert_eq!(
        removal::plan(&world.ports(), &Request::of(Some(&one))).unwrap_err().kind,
        FailureKind::UnknownExperiment
    );
    // A plain fetch of another clone's tag does not undo it.
    world.set_ref(&format!("{}{one}", layout::TAGS), &before);
    assert_eq!(listed(&world), set(&[&two]));
    assert_eq!(trash::restore(&world.ports(), "@").unwrap(), std::slice::from_ref(&one));
    assert_eq!((listed(&world), discarded(&world)), (set(&[&one, &two]), set(&[])));
    assert_eq!(world.reference(&format!("{}{one}", layout::TAGS)), Some(before));
    let unknown = trash::restore(&world.ports(), &one).unwrap_err();
    assert!(unknown.message.starts_with("No removed experiment matches"), "{unknown}");
    assert_eq!(removal::remove(&world.ports(), &["none".into()]).unwrap_err().kind, FailureKind::UnknownExperiment);
}

#[test]
fn a_run_under_way_is_not_removed() {
    let world = World::project();
    let run = Run::start(&world.ports(), run::Options::default()).unwrap();
    let id = run.id().to_owned();
    let refused = removal::plan(&world.ports(), &Request::of(Some(&id))).unwrap_err();
    assert!(refused.kind == FailureKind::InTheWay && refused.message.contains("is still running"), "{refused}");
    assert_eq!(removal::remove(&world.ports(), std::slice::from_ref(&id)).unwrap_err().kind, FailureKind::InTheWay);
    drop(run);
    let refused = removal::plan(&world.ports(), &Request::of(Some(&id))).unwrap_err();
    assert_eq!(refused.hints, ["Save it first: `au recover`"]);
}

#[test]
fn what_was_built_on_it_is_named() {
    let world = World::project();
    let base = experiment(&world);
    let run = Run::start(&world.ports(), run::Options::default()).unwrap();
    run.find_model("model", Some(&base)).unwrap();
    let onward = run.finish(Status::Finished, None).unwrap().id;
    let options = run::Options { parent: Some(base.clone()), ..run::Options::default() };
    let child = Run::start(&world.ports(), options).unwrap().finish(Status::Finished, None).unwrap().id;
    let named =
        |selector: &str| removal::plan(&world.ports(), &Request::of(Some(selector))).unwrap()[0].built_on_it.clone();
    assert_eq!(named(&base).into_iter().collect::<BTreeSet<_>>(), set(&[&onward, &child]));
    let both = removal::plan(&world.ports(), &Request::of(Some(&format!("{base},{onward},{child}")))).unwrap();
    assert!(both.iter().all(|candidate| candidate.built_on_it.is_empty()));
}

#[test]
fn archives_hold_experiments_without_a_tag_each() {
    let world = World::project();
    let ids: Vec<_> = (0..5).map(|_| experiment(&world)).collect();
    let all: BTreeSet<_> = ids.iter().cloned().collect();
    let tags: BTreeMap<_, _> = catalogue::tagged(&world.ports()).unwrap().into_iter().collect();
    let folded = archive::archive(&world.ports(), None, None).unwrap();
    assert_eq!((folded.experiments, folded.archives.len()), (5, 1));
    assert!(folded.archives[0].starts_with("refs/aurum/archive/2023-11-"), "{:?}", folded.archives);
    assert_eq!((listed(&world), catalogue::tagged(&world.ports()).unwrap().len()), (all.clone(), 0));
    assert_eq!(archive::archive(&world.ports(), None, None).unwrap(), archive::Folded::default());
    assert_eq!(history::one(&world.ports(), &ids[2]).unwrap().0.id, ids[2]);
    // The same members, the same commit.
    let plan = world.plan(&world.reference(&folded.archives[0]).unwrap());
    assert_eq!(plan.parents.len(), 5);
    archive::undo(&world.ports()).unwrap();
    assert_eq!(catalogue::tagged(&world.ports()).unwrap().into_iter().collect::<BTreeMap<_, _>>(), tags);
    assert_eq!(archive::archive(&world.ports(), None, None).unwrap().archives, folded.archives);
    removal::remove(&world.ports(), &ids[..1]).unwrap();
    assert_eq!(listed(&world).len(), 4);
    archive::undo(&world.ports()).unwrap();
    assert_eq!((listed(&world).len(), discarded(&world)), (4, set(&[&ids[0]])));
    trash::restore(&world.ports(), "@").unwrap();
    assert_eq!(listed(&world), all);
}

#[test]
fn only_what_began_before_is_folded() {
    let world = World::project();
    let old = experiment(&world);
    world.set_clock(1_710_000_000_000);
    let new = experiment(&world);
    assert_eq!(archive::archive(&world.ports(), None, Some(1_705_000_000_000)).unwrap().experiments, 1);
    assert_eq!(catalogue::tagged(&world.ports()).unwrap()[0].0, new);
    assert_eq!(listed(&world), set(&[&old, &new]));
}

#[test]
fn an_archive_has_a_thousand_experiments_at_most() {
    assert_eq!(archive::hint(archive::MANY), None);
    assert!(archive::hint(archive::MANY + 1).unwrap().1.contains("au archive"));
}

fn collect(world: &World, grace: &str, dry_run: bool) -> collection::Report {
    let options = Options { grace: Some(grace.to_owned()), ..Options::default() };
    collection::collect(&world.ports(), &options, dry_run).unwrap()
}

/// Long enough for anything to have settled.
fn wait(world: &World, days: u64) {
    world.set_clock(world.ports().clock.now() + days * age::DAY);
}

fn store(world: &World, content: &[u8]) -> String {
    world.ports().store.add(World::bytes(content)).unwrap().digest
}

#[test]
fn what_nothing_needs_is_cleared_and_nothing_else() {
    let world = World::project();
    let (one, two) = (experiment(&world), experiment(&world));
    let model = |id: &str| history::one(&world.ports(), id).unwrap().0.models["model"].digest.clone();
    let (first, second) = (model(&one), model(&two));
    let orphan = store(&world, b"orphan");
    let described = store(&world, b"described");
    world.write(".au/datasets/a.json", format!("{{\"digest\":\"{described}\"}}").as_bytes());
    let inner = store(&world, b"inner");
    let manifest = store(&world, format!("{{\"path\":\"a\",\"digest\":\"{inner}\"}}\n").as_bytes());
    world.commit_files(&[(".au/datasets/b.json", format!("{{\"digest\":\"{manifest}\"}}").as_bytes())]);
    removal::remove(&world.ports(), std::slice::from_ref(&two)).unwrap();
    assert_eq!(collect(&world, "0", true).contents, Amount::default(), "it has not settled yet");
    wait(&world, 20);
    let plan = collect(&world, "14d", true);
    assert_eq!((plan.forgotten.clone(), plan.contents.count, plan.running), (vec![two.clone()], 2, 2));
    assert!(world.contents().contains(&orphan), "it was told and not done");
    let done = collect(&world, "30d", false);
    assert_eq!((done.forgotten.len(), done.contents.count), (0, 0), "all is within the grace period");
    assert_eq!(discarded(&world), set(&[&two]));
    let done = collect(&world, "14d", false);
    assert_eq!((&done.forgotten, done.contents), (&plan.forgotten, plan.contents));
    let left = [&first, &described, &inner, &manifest].map(Clone::clone);
    assert_eq!(world.contents(), BTreeSet::from(left));
    assert!(!world.contents().contains(&second) && discarded(&world).is_empty());
    assert_eq!(listed(&world), set(&[&one]));
    // The tombstone stays, so that another clone's tag does not bring it back.
    assert!(!crate::notes::removed(&world.ports()).unwrap().is_empty());
    assert_eq!(collect(&world, "14d", false).contents, Amount::default());
}

#[test]
fn what_a_run_uses_is_kept_however_long_it_runs() {
    let world = World::project();
    let run = Run::start(&world.ports(), run::Options::default()).unwrap();
    run.save_model("model", World::bytes(b"weights")).unwrap();
    let elsewhere = store(&world, b"a child's, of which only its own journal tells");
    wait(&world, 100);
    assert_eq!(collect(&world, "0", false).contents, Amount::default());
    assert!(world.contents().contains(&elsewhere));
    run.finish(Status::Finished, None).unwrap();
    assert_eq!(collect(&world, "0", false).contents.count, 1);
    assert_eq!(world.contents().len(), 1);
}

#[test]
fn a_store_of_which_not_all_is_known_is_left_alone() {
    let world = World::project();
    let one = experiment(&world);
    let orphan = store(&world, b"orphan");
    wait(&world, 100);
    let commit = world.reference(&format!("{}{one}", layout::TAGS)).unwrap();
    let tree = world.plan(&commit).tree;
    world.forget_object(&tree);
    let report = collect(&world, "0", false);
    assert!(report.store_left.unwrap().contains("What is needed of it is not known") || !world.contents().is_empty());
    assert!(world.contents().contains(&orphan));
    let world = World::project();
    store(&world, b"orphan");
    world.set_journal("acfdf6cd-1f1a-4929-b036-7b0a5399b0c6", b"rubbish".to_vec());
    wait(&world, 100);
    assert!(collect(&world, "0", false).store_left.unwrap().contains("the journal of"));
}

#[test]
fn experiments_that_fit_all_that_is_given_go_to_the_trash() {
    let world = World::project();
    let old: Vec<_> = (0..3).map(|_| experiment(&world)).collect();
    let run = Run::start(&world.ports(), run::Options::default()).unwrap();
    let failed = run.finish(Status::Failed, None).unwrap().id;
    wait(&world, 10);
    let new = experiment(&world);
    let going = |options: &Options| -> BTreeSet<String> {
        let report = collection::collect(&world.ports(), options, true).unwrap();
        report.experiments.into_iter().map(|candidate| candidate.id).collect()
    };
    let none = Options::default;
    assert!(going(&none()).is_empty());
    assert_eq!(going(&Options { statuses: vec!["failed".into(), "killed".into()], ..none() }), set(&[&failed]));
    assert_eq!(going(&Options { older_than: Some("5d".into()), ..none() }).len(), 4);
    assert_eq!(going(&Options { keep_last: Some(2), ..none() }), old.iter().cloned().collect());
    let met = Options { condition: Some("status = failed".into()), ..none() };
    assert_eq!(going(&met), set(&[&failed]));
    assert_eq!(going(&Options { keep_last: Some(1), ..met }), set(&[&failed]));
    let both = Options { keep_last: Some(4), older_than: Some("5d".into()), ..none() };
    assert_eq!(going(&both).len(), 1);
    assert!(going(&Options { keep_last: Some(9), ..none() }).is_empty());
    let wrong = Options { statuses: vec!["running".into()], ..none() };
    assert_eq!(collection::collect(&world.ports(), &wrong, true).unwrap_err().kind, FailureKind::InvalidValue);
    collection::collect(&world.ports(), &both, false).unwrap();
    assert_eq!((listed(&world).len(), discarded(&world).len()), (4, 1));
    assert!(listed(&world).contains(&new));
}

fn findings(world: &World, selector: Option<&str>) -> Vec<verify::Finding> {
    let mut verification = verify::Verification::begin(&world.ports(), selector, true).unwrap();
    let mut findings = Vec::new();
    while let Some(step) = verification.next_step(&world.ports()).unwrap() {
        assert!(step.done <= step.total);
        findings.extend(step.findings);
    }
    findings
}

#[test]
fn each_kind_of_damage_is_told() {
    let world = World::project();
    let ids: Vec<_> = (0..4).map(|_| experiment(&world)).collect();
    archive::archive(&world.ports(), Some(&ids[3]), None).unwrap();
    removal::remove(&world.ports(), &ids[2..3]).unwrap();
    assert_eq!(findings(&world, None), []);
    assert_eq!(findings(&world, Some("@")), []);
    let kinds = |selector: Option<&str>| -> Vec<_> {
        findings(&world, selector).into_iter().map(|finding| (finding.kind, finding.missing)).collect()
    };
    let model = |id: &str| history::one(&world.ports(), id).unwrap().0.models["model"].digest.clone();
    let (first, second) = (model(&ids[0]), model(&ids[1]));
    world.forget_content(&first);
    assert_eq!(kinds(None), [("content", true)]);
    world.damage_content(&second);
    assert_eq!(kinds(None), [("content", true), ("content", false)]);
    assert_eq!(kinds(Some(&ids[3])), []);
    world.set_ref("refs/tags/torn", "");
    assert_eq!(kinds(None)[0], ("reference", false));
    let commit = world.reference(&format!("{}{}", layout::TAGS, ids[0])).unwrap();
    world.forget_object(&world.plan(&commit).tree);
    let told = findings(&world, None);
    let experiments = told.iter().filter(|finding| finding.kind == "experiment" && finding.name == ids[0]);
    assert!(experiments.count() >= 1, "{told:?}");
    let name = world.reference_names().into_iter().find(|name| name.starts_with(layout::ARCHIVE)).unwrap();
    world.set_ref(&name.replace("2023-11", "2023-12"), &world.reference(&name).unwrap());
    assert!(!kinds(None).contains(&("archive", false)), "the name tells the month, and the digest the members");
    world.set_ref("refs/aurum/archive/2023-11-0000000000000000", &world.reference(&name).unwrap());
    assert!(kinds(None).contains(&("archive", false)));
    let plan = world.plan(&world.reference(&name).unwrap());
    let hollow = world.ports().repository_edit.commit(&CommitPlan { parents: Vec::new(), ..plan }).unwrap();
    world.set_ref(&name, &hollow);
    let told = findings(&world, None);
    let told: Vec<_> = told.iter().filter(|finding| finding.name == name).map(|finding| &finding.problem).collect();
    assert!(told[0].contains(&format!("names a commit of `{}` that it does not hold", ids[3])), "{told:?}");
    world.write(".au/datasets/x.json", b"<<<<<<<");
    assert!(kinds(None).contains(&("data", false)));
    world.set_journal("acfdf6cd-1f1a-4929-b036-7b0a5399b0c6", b"rubbish".to_vec());
    assert!(kinds(None).contains(&("run", false)));
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Remove(usize),
    Restore(usize),
    Archive(usize),
    ArchiveAll,
    Undo,
    /// Of what was removed this long ago.
    Collect(&'static str),
    /// Another run, with the same model as all others.
    Run,
    Wait(u64),
}

/// What there should be.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    listed: BTreeSet<String>,
    bin: BTreeSet<String>,
    /// Let go of.
    gone: BTreeSet<String>,
}

impl Model {
    fn all(&self) -> Vec<String> {
        self.listed.union(&self.bin).cloned().collect()
    }
}

fn model_of(world: &World) -> Model {
    Model { listed: listed(world), bin: discarded(world), gone: BTreeSet::new() }
}

/// Does it, and answers what there should be afterwards, where that is known.
fn act(world: &World, act: Act, model: &Model) -> (Model, crate::Result<()>) {
    let ports = world.ports();
    let mut after = model.clone();
    let all = model.all();
    let pick = |at: usize| all.get(at % all.len().max(1)).cloned().unwrap_or_default();
    let done = match act {
        Act::Remove(at) if model.listed.contains(&pick(at)) => {
            after.listed.remove(&pick(at));
            after.bin.insert(pick(at));
            removal::remove(&ports, &[pick(at)]).map(drop)
        }
        Act::Restore(at) if model.bin.contains(&pick(at)) => {
            after.bin.remove(&pick(at));
            after.listed.insert(pick(at));
            trash::restore(&ports, &pick(at)).map(drop)
        }
        Act::Archive(at) if model.listed.contains(&pick(at)) => {
            archive::archive(&ports, Some(&pick(at)), None).map(drop)
        }
        Act::Remove(_) | Act::Restore(_) | Act::Archive(_) => Ok(()),
        Act::ArchiveAll => archive::archive(&ports, None, None).map(drop),
        Act::Undo => archive::undo(&ports).map(drop),
        Act::Collect(grace) => {
            let options = Options { grace: Some(grace.to_owned()), ..Options::default() };
            let collected = collection::collect(&ports, &options, false);
            if let Ok(report) = &collected {
                assert_eq!(report.store_left, None);
                after.gone.extend(report.forgotten.iter().cloned());
                after.bin.retain(|id| !report.forgotten.contains(id));
            }
            collected.map(drop)
        }
        Act::Run => {
            let run = Run::start(&ports, run::Options::default());
            let saved = run.and_then(|run| {
                run.save_model("shared", World::bytes(b"shared"))?;
                run.finish(Status::Finished, None)
            });
            if let Ok(finished) = &saved {
                after.listed.insert(finished.id.clone());
            }
            saved.map(drop)
        }
        Act::Wait(days) => {
            wait(world, days);
            Ok(())
        }
    };
    (after, done)
}

fn acts() -> impl Strategy<Value = Vec<(Act, Option<u32>)>> {
    let one = prop_oneof![
        3 => (0usize..6).prop_map(Act::Remove),
        2 => (0usize..6).prop_map(Act::Restore),
        2 => (0usize..6).prop_map(Act::Archive),
        1 => Just(Act::ArchiveAll),
        1 => Just(Act::Undo),
        2 => prop_oneof![Just("0"), Just("10d")].prop_map(Act::Collect),
        1 => Just(Act::Run),
        1 => (1u64..20).prop_map(Act::Wait),
    ];
    prop::collection::vec((one, prop::option::of(0u32..14)), 1..14)
}

/// Nothing that can be listed or brought back lacks anything.
fn check_whole(world: &World) -> Result<(), TestCaseError> {
    let held = holdings::all(&world.ports()).unwrap();
    let contents = world.contents();
    for id in listed(world).into_iter().chain(discarded(world)) {
        let commit = held[&id].commit().unwrap();
        prop_assert!(world.is_whole(commit), "{id}");
        let record = records::read_one(&world.ports(), &Saved::by(&id, commit)).unwrap();
        prop_assert!(record.models.values().all(|model| contents.contains(&model.digest)), "{id}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever the order, and wherever each was cut off before it was done again: what is listed is what a model says, and
    /// nothing of it, or of what can be brought back, lacks anything.
    #[test]
    fn any_order_with_deaths_in_between_is_what_a_model_says(acts in acts()) {
        let world = World::project();
        for _ in 0..4 {
            experiment(&world);
        }
        let mut model = model_of(&world);
        for (next, death) in acts {
            if let Some(successes) = death.filter(|_| !matches!(next, Act::Wait(_) | Act::Run)) {
                world.fail_after(successes);
                let (after, _) = act(&world, next, &model);
                world.heal();
                check_whole(&world)?;
                let now = model_of(&world);
                // Listed as before, or as it is to be; what could be brought back is only let go of by clearing.
                prop_assert!(now.listed == model.listed || now.listed == after.listed, "{next:?}: {now:?}");
                let lost: BTreeSet<_> = model.all().into_iter().filter(|id| !now.all().contains(id)).collect();
                prop_assert!(lost.is_empty() || (matches!(next, Act::Collect(_)) && lost.is_subset(&model.bin)));
                let gone = model.gone.union(&lost).cloned().collect();
                model = Model { gone, ..now };
            }
            let (after, done) = act(&world, next, &model);
            prop_assert!(done.is_ok(), "{next:?}: {done:?}");
            check_whole(&world)?;
            let now = model_of(&world);
            prop_assert_eq!((&now.listed, &now.bin), (&after.listed, &after.bin), "{:?}", next);
            model = after;
        }
        prop_assert!(findings(&world, None).iter().all(|finding| finding.missing));
    }
}
