#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::pull::{Pulled, pull};
use super::push::{Pushed, push};
use super::{DataOutcome, Request};
use crate::catalogue::{self, Saved};
use crate::error::{FailureKind, Result};
use crate::layout;
use crate::notes::{self, Statement};
use crate::ports::{CommitPlan, Ports, Signature};
use crate::retention;
use crate::testing::World;

const A: &str = "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6";
const B: &str = "280459c5-b183-462d-b89e-e53019f81c88";

/// A clone, and the remote that it shares with others.
fn clone_of(hub: &World) -> World {
    let world = World::project();
    world.add_remote("origin", hub);
    world
}

fn commit(world: &World, parents: &[&str], files: &[(&str, &[u8])], message: &str) -> String {
    let ports = world.ports();
    let mut tree = ports.repository_edit.begin_tree(None).unwrap();
    for (path, bytes) in files {
        let mut blob = ports.repository_edit.begin_blob().unwrap();
        blob.write(bytes).unwrap();
        tree.put(path, &blob.finish().unwrap()).unwrap();
    }
    let identity = ports.repository.identity().unwrap().unwrap();
    let plan = CommitPlan {
        tree: tree.write().unwrap(),
        parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
        signature: Signature { identity, seconds: 0, offset_minutes: 0 },
        message: message.to_owned(),
    };
    ports.repository_edit.commit(&plan).unwrap()
}

fn tag(id: &str) -> String {
    format!("{}{id}", layout::TAGS)
}

/// Saves an experiment: a commit and its tag.
fn save(world: &World, id: &str, words: &str) -> String {
    let commit = commit(world, &[], &[("words", words.as_bytes())], id);
    world.set_ref(&tag(id), &commit);
    commit
}

/// The archive that holds these, and its name.
fn archive(world: &World, members: &BTreeMap<String, String>) -> (String, String) {
    let list: String = members.iter().map(|(id, commit)| format!("{id} {commit}\n")).collect();
    let digest: String = Sha256::digest(&list).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let parents: Vec<&str> = members.values().map(String::as_str).collect();
    let commit = commit(world, &parents, &[(layout::ARCHIVED, list.as_bytes())], "archive");
    (format!("{}2026-11-{digest}", layout::ARCHIVE), commit)
}

/// Folds tags into an archive, as `au archive` does.
fn fold(world: &World, ids: &[&str]) {
    let tagged: BTreeMap<String, String> = catalogue::tagged(&world.ports()).unwrap().into_iter().collect();
    let members: BTreeMap<String, String> =
        ids.iter().filter_map(|id| Some(((*id).to_owned(), tagged.get(*id)?.clone()))).collect();
    if members.is_empty() {
        return;
    }
    let (name, commit) = archive(world, &members);
    if notes::unfolded(&world.ports()).unwrap().contains(&commit) {
        notes::state(&world.ports(), std::slice::from_ref(&commit), &Statement::unfolded(false)).unwrap();
    }
    world.set_ref(&name, &commit);
    let names: Vec<String> = members.keys().map(|id| tag(id)).collect();
    world.ports().repository_edit.remove_references(&names).unwrap();
}

/// States that an experiment is removed, or is not, as `au rm` and its opposite do.
fn state(world: &World, id: &str, commit: &str, removed: bool) {
    let ports = world.ports();
    let statement = Statement::removed(removed);
    notes::state(&ports, &[commit.to_owned()], &statement).unwrap();
    let trash = format!("{}{id}", layout::TRASH);
    if removed {
        world.set_ref(&trash, commit);
        ports.repository_edit.remove_references(&[tag(id)]).unwrap();
    } else if !parcel_holds(&ports, id) {
        world.set_ref(&tag(id), commit);
    }
}

fn parcel_holds(ports: &Ports, id: &str) -> bool {
    super::parcel::archived(ports).unwrap().iter().any(|(held, _)| held == id)
}

fn send(world: &World, words: &[&str]) -> Result<Pushed> {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    push(&world.ports(), &Request { words, data: true, ..Request::default() })
}

fn bring(world: &World) -> Result<Pulled> {
    pull(&world.ports(), &Request { data: true, ..Request::default() })
}

fn saved(world: &World) -> Vec<Saved> {
    catalogue::saved(&world.ports()).unwrap()
}

fn ids(world: &World) -> Vec<String> {
    saved(world).into_iter().map(|saved| saved.id).collect()
}

#[test]
fn two_clones_that_both_add_have_both_afterwards() {
    let hub = World::new();
    let (one, two) = (clone_of(&hub), clone_of(&hub));
    save(&one, A, "a");
    save(&two, B, "b");
    one.set_ref("refs/tags/v1", "1");
    one.set_ref("refs/tags/au/mine", "2");
    let pushed = send(&one, &[]).unwrap();
    assert_eq!((pushed.experiments, pushed.present, pushed.failures.len()), (1, 0, 0));
    assert_eq!(send(&two, &[]).unwrap().experiments, 1);
    assert_eq!(hub.reference_names(), [tag(B), tag(A)], "nothing else travels");
    assert_eq!(bring(&one).unwrap().experiments, 1);
    assert_eq!(bring(&two).unwrap().experiments, 1);
    assert_eq!(ids(&one), ids(&two));
    let again = send(&one, &[]).unwrap();
    assert_eq!((again.experiments, again.present, again.notes), (0, 2, false));
}

#[test]
fn only_what_is_selected_is_sent() {
    let hub = World::new();
    let one = clone_of(&hub);
    save(&one, A, "a");
    save(&one, B, "b");
    assert_eq!(send(&one, &["origin", "2804"]).unwrap().experiments, 1);
    assert_eq!(hub.reference_names(), [tag(B)]);
    let failure = send(&one, &["beef"]).unwrap_err();
    assert_eq!(failure.kind, FailureKind::UnknownExperiment);
    assert!(failure.hints.iter().any(|hint| hint.contains("no remote `beef`")), "{failure:?}");
    assert_eq!(
        pull(&one.ports(), &Request { words: vec!["2804".into()], ..Request::default() }).unwrap_err().kind,
        FailureKind::Usage
    );
}

#[test]
fn many_are_sent_and_brought_at_once_and_others_tags_are_not() {
    let hub = World::new();
    let (one, two) = (clone_of(&hub), clone_of(&hub));
    for number in 0..2 * super::MANY {
        save(&one, &format!("{number:08x}-1f1a-4929-b036-7b0a5399b0c6"), "x");
    }
    one.set_ref("refs/tags/au/mine", "2");
    assert_eq!(send(&one, &[]).unwrap().experiments, 2 * super::MANY as u64);
    hub.set_ref("refs/tags/au/odd", "3");
    assert_eq!(bring(&two).unwrap().experiments, 2 * super::MANY as u64);
    assert_eq!(hub.reference("refs/tags/au/mine"), None);
    assert_eq!(two.reference("refs/tags/au/odd"), None);
}

#[test]
fn what_is_removed_in_one_clone_goes_from_all_and_comes_back_with_one_word() {
    let hub = World::new();
    let (one, two) = (clone_of(&hub), clone_of(&hub));
    let commit = save(&one, A, "a");
    send(&one, &[]).unwrap();
    bring(&two).unwrap();
    state(&one, A, &commit, true);
    let pushed = send(&one, &[]).unwrap();
    assert_eq!((pushed.removed, pushed.notes), (1, true));
    assert_eq!(hub.reference_names(), [layout::NOTES]);
    // Pushed by who does not know yet, it does not come back.
    assert_eq!(send(&two, &[]).unwrap().experiments, 0);
    assert_eq!(hub.reference_names(), [layout::NOTES]);
    bring(&two).unwrap();
    assert_eq!(two.reference(&tag(A)), None);
    assert_eq!(two.reference(&format!("{}{A}", layout::TRASH)), Some(commit.clone()));
    state(&two, A, &commit, false);
    send(&two, &[]).unwrap();
    assert_eq!(bring(&one).unwrap().experiments, 1);
    assert_eq!(ids(&one), [A]);
}

#[test]
fn what_is_archived_in_one_clone_is_so_in_all() {
    let hub = World::new();
    let (one, two) = (clone_of(&hub), clone_of(&hub));
    save(&one, A, "a");
    send(&one, &[]).unwrap();
    bring(&two).unwrap();
    fold(&one, &[A]);
    let pushed = send(&one, &[]).unwrap();
    assert_eq!((pushed.archives, pushed.removed), (1, 1));
    // Who has the tag still does not send it again.
    let other = send(&two, &[]).unwrap();
    assert_eq!((other.experiments, other.present), (0, 1));
    assert_eq!(hub.reference(&tag(A)), None);
    let pulled = bring(&two).unwrap();
    assert_eq!((pulled.archives, pulled.experiments, pulled.removed), (1, 0, 0));
    assert_eq!(saved(&two), saved(&one));
    assert!(saved(&two)[0].archived);
    assert_eq!(send(&two, &[]).unwrap().removed, 0);

    // Taken apart in one, it is so in all; and folded once more, it is one again.
    assert_eq!(retention::archive::undo(&two.ports()).unwrap().experiments, 1);
    assert_eq!(send(&two, &[]).unwrap().experiments, 1);
    let archives = |world: &World| catalogue::references(&world.ports(), layout::ARCHIVE).unwrap().len();
    assert_eq!((archives(&hub), hub.reference(&tag(A))), (0, two.reference(&tag(A))));
    // Who has it still does not bring it back.
    assert_eq!(send(&one, &[]).unwrap().archives, 0);
    assert_eq!(archives(&hub), 0);
    let pulled = bring(&one).unwrap();
    assert_eq!((pulled.experiments, pulled.removed, archives(&one)), (0, 0, 0));
    assert_eq!(one.reference(&tag(A)), two.reference(&tag(A)));
    fold(&one, &[A]);
    send(&one, &[]).unwrap();
    bring(&two).unwrap();
    assert_eq!((archives(&two), two.reference(&tag(A)), archives(&hub)), (1, None, 1));
}

#[test]
fn a_run_that_went_on_moves_its_tag_and_two_that_did_are_both_kept() {
    let hub = World::new();
    let (one, two) = (clone_of(&hub), clone_of(&hub));
    let first = save(&one, A, "a");
    send(&one, &[]).unwrap();
    bring(&two).unwrap();
    let second = commit(&one, &[&first], &[], "went on");
    one.set_ref(&tag(A), &second);
    let pushed = send(&one, &[]).unwrap();
    assert_eq!((pushed.moved, pushed.failures.len()), (1, 0));
    assert_eq!(bring(&two).unwrap().moved, 1);
    assert_eq!(two.reference(&tag(A)), Some(second.clone()));

    let (ours, theirs) = (commit(&one, &[&second], &[], "so"), commit(&two, &[&second], &[], "or so"));
    one.set_ref(&tag(A), &ours);
    two.set_ref(&tag(A), &theirs);
    send(&one, &[]).unwrap();
    let pushed = send(&two, &[]).unwrap();
    assert!(pushed.failures[0].message.contains("both stay"), "{:?}", pushed.failures);
    assert!(bring(&two).unwrap().failures[0].message.contains("both stay"));
    assert_eq!((hub.reference(&tag(A)), two.reference(&tag(A))), (Some(ours), Some(theirs)));
}

#[test]
fn what_a_remote_does_not_take_is_told_and_the_rest_is_there() {
    let hub = World::new();
    let one = clone_of(&hub);
    let gone = save(&one, A, "a");
    save(&one, B, "b");
    state(&one, A, &gone, true);
    hub.set_ref(&tag(A), &gone);
    hub.protect(layout::NOTES);
    let pushed = send(&one, &[]).unwrap();
    assert_eq!((pushed.experiments, pushed.notes, pushed.removed), (1, false, 0));
    assert_eq!(pushed.failures.len(), 1);
    assert!(hub.reference(&tag(A)).is_some(), "nothing is taken away without a word of why");
    hub.protect(layout::TAGS);
    save(&one, "00000000-1f1a-4929-b036-7b0a5399b0c6", "c");
    let pushed = send(&one, &[]).unwrap();
    assert_eq!((pushed.experiments, pushed.failures.len()), (0, 2));
}

#[test]
fn a_hostile_remote_changes_nothing_that_it_should_not() {
    let hub = World::new();
    let one = clone_of(&hub);
    let mine = save(&one, A, "mine");
    let theirs = save(&hub, B, "theirs");
    let entry = |id: &str, commit: &str| BTreeMap::from([(id.to_owned(), commit.to_owned())]);

    // An archive that says of an experiment that it is another, one that names what it does not hold, and one of another name.
    let (name, fold) = archive(&hub, &entry(A, &theirs));
    hub.set_ref(&name, &fold);
    let list = format!("{B} {}\n", "0".repeat(40));
    let digest: String = Sha256::digest(&list).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let missing = commit(&hub, &[], &[(layout::ARCHIVED, list.as_bytes())], "x");
    hub.set_ref(&format!("{}2026-01-{digest}", layout::ARCHIVE), &missing);
    let (_, fold) = archive(&hub, &entry(B, &theirs));
    hub.set_ref(&format!("{}2026-01-0123456789abcdef", layout::ARCHIVE), &fold);
    let rubbish = commit(&hub, &[], &[(layout::ARCHIVED, b"\xff\xfe")], "x");
    hub.set_ref(&format!("{}2026-02-0123456789abcdef", layout::ARCHIVE), &rubbish);
    // Notes that are none.
    let (deep, bytes) = (["ab"; 40].join("/") + "/cdef", b"not json\n\xff{\"at\":1}\n".as_slice());
    let note = commit(&hub, &[], &[(deep.as_str(), bytes), ("x/y", bytes), ("ab", bytes), ("abcdef", bytes)], "x");
    hub.set_ref(layout::NOTES, &note);
    hub.set_ref("refs/tags/au/-evil", &theirs);

    let pulled = bring(&one).unwrap();
    assert_eq!((pulled.experiments, pulled.archives), (1, 0));
    assert_eq!(pulled.failures.len(), 4, "{:?}", pulled.failures);
    assert_eq!(ids(&one), [B, A]);
    assert_eq!(saved(&one)[1].commit, mine);
    assert!(!one.reference_names().iter().any(|name| name.starts_with(layout::INCOMING)));
    assert!(one.reference("refs/tags/au/-evil").is_none());
}

#[test]
fn what_a_killed_pull_left_goes_after_a_day() {
    let hub = World::new();
    let one = clone_of(&hub);
    let commit = save(&one, A, "a");
    let now = one.ports().clock.now();
    let (old, new) =
        (format!("{}{}-x/notes", layout::INCOMING, now - 100_000_000), format!("{}{now}-x/notes", layout::INCOMING));
    one.set_ref(&old, &commit);
    one.set_ref(&new, &commit);
    bring(&one).unwrap();
    assert_eq!((one.reference(&old), one.reference(&new)), (None, Some(commit)));
}

#[test]
fn models_go_along_where_a_data_remote_is_set_and_are_weighed_where_not() {
    use crate::record::Status;
    use crate::run::{Options, Run};
    let hub = World::new();
    let (one, two) = (clone_of(&hub), clone_of(&hub));
    one.commit_files(&[]);
    let run = Run::start(&one.ports(), Options::default()).unwrap();
    let model = run.save_model("model", World::bytes(b"weights")).unwrap().model;
    run.finish(Status::Finished, None).unwrap();
    let pushed = send(&one, &[]).unwrap();
    let DataOutcome::LeftBehind(left) = pushed.data else { panic!("{:?}", pushed.data) };
    assert_eq!((left.objects, left.bytes), (1, 7));
    assert_eq!(send(&one, &[]).unwrap().data, DataOutcome::None, "said once");

    let share = crate::testing::exchange::Share::default();
    for world in [&one, &two] {
        world.add_share("file:///share", &share);
        super::data_remote::add(&world.ports(), "share", "file:///share").unwrap();
    }
    let DataOutcome::Carried(carried) = send(&one, &[]).unwrap().data else { panic!("nothing went") };
    assert_eq!((carried.freight.objects, carried.freight.bytes), (1, 7));
    bring(&two).unwrap();
    assert!(two.has_digest(&model.digest));

    one.refuse("exchange");
    assert_eq!(send(&one, &[]).unwrap_err().kind, FailureKind::Denied);
}

/// What may happen in a clone.
#[derive(Clone, Debug)]
enum Step {
    Save(u8),
    Remove(u8),
    Restore(u8),
    Fold(u8, u8),
    Undo,
    GoOn(u8),
    Push,
    PushSome(u8),
    Pull,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..12).prop_map(Step::Save),
        2 => (0u8..12).prop_map(Step::Remove),
        1 => (0u8..12).prop_map(Step::Restore),
        1 => (0u8..12, 0u8..12).prop_map(|(a, b)| Step::Fold(a, b)),
        1 => Just(Step::Undo),
        1 => (0u8..12).prop_map(Step::GoOn),
        2 => Just(Step::Push),
        1 => (0u8..12).prop_map(Step::PushSome),
        3 => Just(Step::Pull),
    ]
}

/// Ids are the clone's that saves them; all may remove and fold any.
fn name(clone: usize, number: u8) -> String {
    format!("{clone:04x}{number:04x}-1f1a-4929-b036-7b0a5399b0c6")
}

fn act(clones: &[World], at: usize, step: &Step) {
    let world = &clones[at];
    let there = saved(world);
    let pick = |number: u8| there.get(usize::from(number) % there.len().max(1));
    match step {
        Step::Save(number) => {
            let id = name(at, *number);
            if world.reference(&tag(&id)).is_none() && !parcel_holds(&world.ports(), &id) {
                save(world, &id, &id);
            }
        }
        Step::Remove(number) => {
            if let Some(saved) = pick(*number) {
                state(world, &saved.id, &saved.commit, true);
            }
        }
        Step::Restore(number) => {
            let trash = catalogue::references(&world.ports(), layout::TRASH).unwrap();
            if let Some(reference) = trash.get(usize::from(*number) % trash.len().max(1)) {
                let id = reference.name.strip_prefix(layout::TRASH).unwrap();
                if world.reference(&tag(id)).is_none() {
                    state(world, id, &reference.target, false);
                }
            }
        }
        Step::Fold(a, b) => {
            let ids: BTreeSet<&str> =
                [pick(*a), pick(*b)].into_iter().flatten().map(|saved| saved.id.as_str()).collect();
            fold(world, &ids.into_iter().collect::<Vec<_>>());
        }
        Step::Undo => drop(retention::archive::undo(&world.ports()).unwrap()),
        // Only the clone in which it ran can go on with a run.
        Step::GoOn(number) => {
            let id = name(at, *number);
            if let Some(before) = world.reference(&tag(&id)) {
                let after = commit(world, &[&before], &[], "went on");
                world.set_ref(&tag(&id), &after);
            }
        }
        Step::Push => assert_eq!(send(world, &[]).unwrap().failures, []),
        Step::PushSome(number) => {
            if let Some(saved) = pick(*number) {
                assert_eq!(send(world, &[&saved.id]).unwrap().failures, []);
            }
        }
        Step::Pull => assert_eq!(bring(world).unwrap().failures, []),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn three_clones_end_equal_in_whatever_order_they_share(steps in prop::collection::vec((0usize..3, step()), 1..60)) {
        let hub = World::new();
        let clones = [clone_of(&hub), clone_of(&hub), clone_of(&hub)];
        for (number, clone) in clones.iter().enumerate() {
            // Clocks that differ, and names that do.
            for _ in 0..number * 7 {
                clone.ports().clock.now();
            }
        }
        for (at, step) in &steps {
            act(&clones, *at, step);
        }
        for _ in 0..3 {
            for at in 0..3 {
                act(&clones, at, &Step::Push);
                act(&clones, at, &Step::Pull);
            }
        }
        let commits = |world: &World| -> BTreeMap<String, String> {
            saved(world).into_iter().map(|saved| (saved.id, saved.commit)).collect()
        };
        for clone in &clones[1..] {
            prop_assert_eq!(commits(clone), commits(&clones[0]));
            prop_assert_eq!(notes::read(&clone.ports()).unwrap(), notes::read(&clones[0].ports()).unwrap());
        }
        for clone in &clones {
            let (pushed, pulled) = (send(clone, &[]).unwrap(), bring(clone).unwrap());
            prop_assert_eq!((pushed.experiments, pushed.moved, pushed.archives, pushed.removed, pushed.notes), (0, 0, 0, 0, false));
            prop_assert_eq!((pulled.experiments, pulled.moved, pulled.archives, pulled.removed, pulled.notes), (0, 0, 0, 0, false));
        }
    }
}
