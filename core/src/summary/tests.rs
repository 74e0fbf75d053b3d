//! What is kept must never show: with it, without it, and whatever befalls it, the rows are those of the records.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::metrics::Number;
use crate::notes::{self, Statement};
use crate::parameters::{Parameter, Source};
use crate::ports::{CommitPlan, Identity, RepositoryEdit, Signature};
use crate::query::{Request, Subject};
use crate::run::{Options, Run};
use crate::testing::World;
use crate::{catalogue, history, layout};

/// One experiment, with parameters of many kinds and not the same ones each time. Answers its id and its commit.
fn experiment(world: &World, seed: u64) -> (String, String) {
    let odd = [json!(null), json!([1, {"a": 2.5}]), json!("é\n"), json!(seed), json!(-0.5), json!({"$float": "NaN"})];
    let run = Run::start(
        &world.ports(),
        Options {
            name: Some(format!("n{}", seed % 3)),
            group: seed.is_multiple_of(2).then(|| format!("g{}", seed % 5)),
            tags: (0..seed % 3).map(|tag| format!("t{tag}")).collect(),
            ..Options::default()
        },
    )
    .unwrap();
    let set = |name: &str, value| Parameter { name: name.into(), value, source: Source::Code };
    run.set_parameters(&[
        set("lr", json!(seed)),
        set(&format!("odd{}", seed % 5), odd[seed as usize % odd.len()].clone()),
    ])
    .unwrap();
    let accuracy = if seed.is_multiple_of(7) { Number::Float(f64::NAN) } else { Number::Float(1.0 / seed as f64) };
    run.log(&[("accuracy".into(), accuracy), ("n".into(), Number::Integer(seed as i64))], None).unwrap();
    if seed.is_multiple_of(2) {
        run.save_model("model", World::bytes(&seed.to_le_bytes())).unwrap();
    }
    let status = if seed.is_multiple_of(4) { Status::Failed } else { Status::Finished };
    let finished = run.finish(status, None).unwrap();
    (finished.id, finished.commit)
}

fn rows(world: &World) -> Vec<Value> {
    rows_of(world, &Request::default())
}

fn rows_of(world: &World, request: &Request) -> Vec<Value> {
    let mut listing = history::query(&world.ports(), request).unwrap();
    let mut rows = Vec::new();
    while let Some(page) = listing.next_page().unwrap() {
        rows.extend(serde_json::from_str::<Vec<Value>>(&page).unwrap());
    }
    rows
}

/// The rows of the records themselves.
fn rows_of_records(world: &World, ids: &[(String, String)], request: &Request) -> Vec<Value> {
    let records: Vec<u8> =
        ids.iter().flat_map(|(id, commit)| world.tree_of(commit)[&layout::record(id)].clone()).collect();
    serde_json::from_str(&history::rows(&records, request, None).unwrap()).unwrap()
}

/// What looks at every kind of column.
fn requests() -> [Request; 5] {
    let request = |condition: &str, sort: &str, limit| Request {
        condition: (!condition.is_empty()).then(|| condition.to_owned()),
        sort: (!sort.is_empty()).then(|| sort.to_owned()),
        limit,
        selector: None,
    };
    [
        Request::default(),
        request("accuracy > 0.1 and not status = failed", "-accuracy", Some(3)),
        request("exists odd1 or lr in (3, 4) or model = model or name = n2", "odd1", None),
        request("started >= 2020-01-01 and id ~ 1", "-odd2", Some(5)),
        request("odd3 ~ 'é' or odd0 != 1", "", Some(4)),
    ]
}

fn archive(world: &World, members: &[(String, String)]) {
    let mut lines: Vec<_> = members.iter().map(|(id, commit)| format!("{id} {commit}\n")).collect();
    lines.sort();
    let ports = world.ports();
    let mut tree = ports.repository_edit.begin_tree(None).unwrap();
    let mut blob = ports.repository_edit.begin_blob().unwrap();
    blob.write(lines.concat().as_bytes()).unwrap();
    tree.put(layout::ARCHIVED, &blob.finish().unwrap()).unwrap();
    let identity = Identity { name: "Ada".into(), email: "ada@example.org".into() };
    let plan = CommitPlan {
        tree: tree.write().unwrap(),
        parents: members.iter().map(|(_, commit)| commit.clone()).collect(),
        signature: Signature { identity, seconds: 0, offset_minutes: 0 },
        message: lines.concat(),
    };
    let commit = RepositoryEdit::commit(world, &plan).unwrap();
    world.set_ref(&format!("{}2026-01-{}", layout::ARCHIVE, &commit[..16]), &commit);
    let tags: Vec<_> = members.iter().map(|(id, _)| format!("{}{id}", layout::TAGS)).collect();
    world.remove_references(&tags).unwrap();
}

#[derive(Clone, Debug)]
enum Act {
    Add(u8),
    Remove(usize),
    DropTag(usize),
    Archive(usize, usize),
    /// Bytes of the cache are lost: all of an entry, or its end.
    Lose(usize),
    Tear(usize, usize),
    Refuse,
    Heal,
    Read,
}

fn act() -> impl Strategy<Value = Act> {
    let at = 0..1000usize;
    prop_oneof![
        4 => (1..20u8).prop_map(Act::Add),
        1 => at.clone().prop_map(Act::Remove),
        1 => at.clone().prop_map(Act::DropTag),
        1 => (at.clone(), 1..9usize).prop_map(|(at, count)| Act::Archive(at, count)),
        1 => at.clone().prop_map(Act::Lose),
        1 => (at.clone(), at).prop_map(|(at, length)| Act::Tear(at, length)),
        1 => Just(Act::Refuse),
        1 => Just(Act::Heal),
        2 => Just(Act::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_are_always_those_of_the_records(acts in proptest::collection::vec(act(), 1..20)) {
        let world = World::project();
        // Those with a tag, and all that are listed.
        let (mut tagged, mut archived) = (Vec::new(), Vec::new());
        let mut seed = 0;
        for act in acts {
            match act {
                Act::Add(count) => for _ in 0..count {
                    seed += 1;
                    tagged.push(experiment(&world, seed));
                },
                Act::Remove(at) if !tagged.is_empty() => {
                    let (_, commit) = tagged.remove(at % tagged.len());
                    notes::state(&world.ports(), &[commit], &Statement::removed(true)).unwrap();
                }
                Act::DropTag(at) if !tagged.is_empty() => {
                    let (id, _) = tagged.remove(at % tagged.len());
                    world.remove_references(&[format!("{}{id}", layout::TAGS)]).unwrap();
                }
                Act::Archive(at, count) if !tagged.is_empty() => {
                    let from = at % tagged.len();
                    let members: Vec<_> = tagged.drain(from..(from + count).min(tagged.len())).collect();
                    archive(&world, &members);
                    archived.extend(members);
                }
                Act::Lose(at) => {
                    let name = { let cache = world.cache(); cache.keys().nth(at % cache.len().max(1)).cloned() };
                    name.and_then(|name| world.cache().remove(&name));
                }
                // What a host gives is whole, and still it may be from anywhere.
                Act::Tear(at, length) => {
                    let mut cache = world.cache();
                    let count = cache.len().max(1);
                    if let Some(bytes) = cache.values_mut().nth(at % count) {
                        bytes.truncate(length % (bytes.len() + 1));
                    }
                }
                Act::Refuse => world.refuse("cache"),
                Act::Heal => world.heal(),
                _ => {}
            }
            let all: Vec<_> = tagged.iter().chain(&archived).cloned().collect();
            for request in requests() {
                prop_assert_eq!(rows_of(&world, &request), rows_of_records(&world, &all, &request));
            }
        }
    }

    #[test]
    fn a_segment_is_never_a_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..400usize, with in any::<u8>()) {
        let read = |bytes: Vec<u8>| if let Some(segment) = Segment::parse(bytes) {
            for row in 0..segment.rows() {
                let summary = Summary { segment: &segment, row };
                let _ = (summary.to_row(), summary.model("model"));
                summary.each_dataset(&mut |_, _| {});
            }
        };
        read(bytes);
        let mut builder = Builder::new(20);
        builder.push(Key([1; 16]), &[2; 20], [(FIELD, "status", Cell::text("finished")), (METRIC, "m", Cell::Float(0.5))]);
        builder.push(Key([2; 16]), &[3; 20], [(FIELD, "status", Cell::text("failed"))]);
        let mut spoilt = builder.finish();
        let length = spoilt.len();
        spoilt[at % length] = with;
        read(spoilt);
    }
}

#[test]
fn what_is_kept_is_not_read_again() {
    let world = World::project();
    for seed in 1..=20 {
        experiment(&world, seed);
    }
    assert_eq!(rows(&world).len(), 20);
    let reads = world.reads();
    assert_eq!(rows(&world).len(), 20);
    assert_eq!(world.reads(), reads, "nothing changed, so git is not asked for a file");
    experiment(&world, 21);
    assert_eq!(rows(&world).len(), 21);
    assert_eq!(world.reads(), reads + 1, "the new record alone");
}

#[test]
fn another_version_s_is_made_anew() {
    let world = World::project();
    experiment(&world, 1);
    let before = rows(&world);
    let manifest = world.cache()["manifest"].clone();
    let other = String::from_utf8(manifest).unwrap().replace(env!("CARGO_PKG_VERSION"), "99.0.0");
    world.cache().insert("manifest".into(), other.into_bytes());
    let reads = world.reads();
    assert_eq!(rows(&world), before);
    assert_eq!(world.reads(), reads + 1);
}

#[test]
fn a_record_that_can_not_be_read_is_told_each_time_and_hides_no_other() {
    let world = World::project();
    let (_, commit) = experiment(&world, 1);
    let stray = "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6";
    world.set_ref(&format!("{}{stray}", layout::TAGS), &commit);
    for time in 1..=2 {
        assert_eq!(rows(&world).len(), 1);
        let told = world.warnings().iter().filter(|words| words.contains(stray)).count();
        assert_eq!(told, time);
    }
}

#[test]
fn a_tag_on_another_commit_says_it_better_than_an_archive() {
    let world = World::project();
    let (id, commit) = experiment(&world, 1);
    archive(&world, &[(id.clone(), commit.clone())]);
    assert!(catalogue::saved(&world.ports()).unwrap()[0].archived);
    let later = RepositoryEdit::commit(&world, &CommitPlan { message: "later".into(), ..world.plan(&commit) }).unwrap();
    world.set_ref(&format!("{}{id}", layout::TAGS), &later);
    let saved = catalogue::saved(&world.ports()).unwrap();
    assert_eq!((saved.len(), &saved[0].commit, saved[0].archived), (1, &later, false));
}
