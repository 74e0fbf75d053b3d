//! Random histories of runs, of deaths, failures, recoveries and power cuts, against a model that says what must hold:
//! all that was acknowledged is in the record, under one tag that never moves, as the one commit that was ever made of the run.
//!
//! `AURUM_HISTORIES=100000 cargo test -p aurum-core --lib histories` is the long form.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::completion;
use crate::layout;
use crate::metrics::Number;
use crate::parameters::{Parameter, Source};
use crate::record::{Record, Status};
use crate::run::{Options, Run};
use crate::testing::World;

/// What a script does to its run.
#[derive(Clone, Copy, Debug)]
enum Act {
    Parameter,
    Log,
    Output,
    Model,
    Flush,
    Finish,
}

/// What goes wrong while something is done, after so many calls on the world.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// The process dies.
    Death(u32),
    /// One call fails, as on a disk that is full for a moment.
    Failure(u32),
    /// Another process recovers all that it finds lost.
    Company(u32),
}

#[derive(Clone, Debug)]
enum Step {
    Start(Trouble),
    Act(usize, Act, Trouble),
    /// The process dies between two calls.
    Die(usize),
    /// The sandbox is made anew and takes up its run from the journal.
    Reopen(usize),
    Recover(Trouble),
    /// All processes die, and of each journal so many per mille of what is not synced are left.
    PowerCut(usize),
}

/// What there is to say of a run, each in words that occur once in a history.
#[derive(Clone, Debug, Default)]
struct Facts {
    parameters: BTreeSet<String>,
    values: BTreeSet<u64>,
    lines: BTreeSet<String>,
    models: BTreeSet<String>,
}

impl Facts {
    fn is_in(&self, other: &Self) -> bool {
        self.parameters.is_subset(&other.parameters)
            && self.values.is_subset(&other.values)
            && self.lines.is_subset(&other.lines)
            && self.models.is_subset(&other.models)
    }
}

struct Known {
    id: String,
    /// While its process lives.
    run: Option<Run>,
    acknowledged: Facts,
    /// What a power cut must leave.
    durable: Facts,
    attempted: Facts,
    finished: Option<String>,
    finish_attempted: bool,
}

#[derive(Default)]
struct History {
    runs: Vec<Known>,
    /// Starts that failed: of each there may be an experiment without anything in it.
    failed_starts: usize,
    tags: BTreeMap<String, String>,
    words: u64,
    /// Commits that are no run's.
    base: Vec<String>,
}

impl History {
    fn go(&mut self, world: &World, step: &Step) {
        match step {
            Step::Start(trouble) => self.start(world, *trouble),
            Step::Act(at, act, trouble) => self.act(world, *at, *act, *trouble),
            Step::Die(at) => {
                if let Some(known) = self.living(*at) {
                    known.run = None;
                }
            }
            Step::Reopen(at) => {
                if let Some(known) = self.living(*at)
                    && known.finished.is_none()
                {
                    known.run = None;
                    known.run = Some(Run::reopen(&world.ports(), &known.id, 0).unwrap());
                }
            }
            Step::Recover(trouble) => {
                prepare(world, *trouble);
                recover(world, !matches!(trouble, Trouble::None | Trouble::Company(_)));
                world.heal();
            }
            Step::PowerCut(left) => self.cut_power(world, *left),
        }
        self.check_tags(world);
    }

    fn living(&mut self, at: usize) -> Option<&mut Known> {
        let mut living: Vec<_> = self.runs.iter_mut().filter(|known| known.run.is_some()).collect();
        let count = living.len();
        if count == 0 { None } else { Some(living.swap_remove(at % count)) }
    }

    fn start(&mut self, world: &World, trouble: Trouble) {
        prepare(world, trouble);
        let started = Run::start(&world.ports(), Options::default());
        world.heal();
        let Ok(run) = started else {
            self.failed_starts += 1;
            return;
        };
        let (id, dies) = (run.id().to_owned(), matches!(trouble, Trouble::Death(_)));
        self.runs.push(Known {
            id,
            run: (!dies).then_some(run),
            acknowledged: Facts::default(),
            durable: Facts::default(),
            attempted: Facts::default(),
            finished: None,
            finish_attempted: false,
        });
    }

    fn act(&mut self, world: &World, at: usize, act: Act, trouble: Trouble) {
        self.words += 1;
        let word = self.words;
        let Some(known) = self.living(at) else { return };
        let run = known.run.take().unwrap();
        prepare(world, trouble);
        let mut said = Facts::default();
        let outcome = match act {
            Act::Parameter => {
                let name = format!("p{word}");
                said.parameters.insert(name.clone());
                run.set_parameters(&[Parameter { name, value: json!(word), source: Source::Code }])
            }
            Act::Log => {
                said.values.insert(word);
                run.log(&[("loss".to_owned(), Number::Integer(word.cast_signed()))], None)
            }
            Act::Output => {
                let line = format!("line {word}");
                said.lines.insert(line.clone());
                run.output(1, format!("{line}\n").as_bytes())
            }
            Act::Model => {
                let name = format!("m{word}");
                said.models.insert(name.clone());
                run.save_model(&name, World::bytes(name.as_bytes())).map(drop)
            }
            Act::Flush => run.flush(),
            Act::Finish => {
                known.finish_attempted = true;
                run.finish(Status::Finished, None).map(|finished| {
                    let former = known.finished.replace(finished.commit.clone());
                    assert!(former.is_none_or(|former| former == finished.commit), "it is saved anew");
                })
            }
        };
        world.heal();
        merge(&mut known.attempted, &said);
        if outcome.is_ok() {
            merge(&mut known.acknowledged, &said);
            if matches!(act, Act::Model | Act::Flush | Act::Finish) {
                known.durable = known.acknowledged.clone();
            }
        }
        if !matches!(trouble, Trouble::Death(_)) {
            known.run = Some(run);
        }
    }

    fn cut_power(&mut self, world: &World, left: usize) {
        for known in &mut self.runs {
            known.run = None;
            if known.finished.is_none() {
                known.acknowledged = known.durable.clone();
            }
        }
        world.kill_all();
        for id in world.journal_ids() {
            let mut bytes = world.journal_bytes(&id).unwrap();
            let synced = world.synced_length(&id).min(bytes.len());
            bytes.truncate(synced + (bytes.len() - synced) * left / 1000);
            world.set_journal(&id, bytes);
        }
    }

    /// A tag that was seen once stays where it is.
    fn check_tags(&mut self, world: &World) {
        let now = tags(world);
        for (id, commit) in &self.tags {
            assert_eq!(now.get(id), Some(commit), "the tag of {id} moved");
        }
        self.tags = now;
    }

    /// Whatever was, all processes die in the end and somebody recovers.
    fn end(mut self, world: &World) {
        for known in &mut self.runs {
            known.run = None;
        }
        world.kill_all();
        recover(world, false);
        self.check_tags(world);
        assert_eq!(world.journal_ids(), [] as [String; 0]);
        completion::clear_stale_references(&world.ports()).unwrap();
        assert!(world.reference_names().iter().all(|name| name.starts_with(layout::TAGS)));

        let mut commits: BTreeMap<String, usize> = BTreeMap::new();
        for commit in world.commit_names().iter().filter(|commit| !self.base.contains(commit)) {
            *commits.entry(record(world, commit).id).or_default() += 1;
        }
        assert!(commits.values().all(|count| *count == 1), "a run became several commits: {commits:?}");
        for known in &self.runs {
            let commit = self.tags.get(&known.id).unwrap_or_else(|| panic!("{} is lost", known.id));
            known.check(world, commit);
        }
        assert!(self.tags.len() <= self.runs.len() + self.failed_starts);
    }
}

impl Known {
    fn check(&self, world: &World, commit: &str) {
        let record = record(world, commit);
        let tree = world.tree_of(commit);
        let text = |path: String| String::from_utf8(tree[&path].clone()).unwrap();
        let history: Vec<Value> =
            text(layout::metrics(&self.id)).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = Facts {
            parameters: record.parameters.keys().cloned().collect(),
            values: history.iter().map(|line| line["value"].as_u64().unwrap()).collect(),
            lines: text(layout::log(&self.id)).lines().map(str::to_owned).collect(),
            models: record.models.keys().cloned().collect(),
        };
        assert_eq!(history.len(), found.values.len(), "something is in it twice");
        assert!(self.acknowledged.is_in(&found), "lost of {}: {:?} is not in {found:?}", self.id, self.acknowledged);
        assert!(found.is_in(&self.attempted), "from nowhere: {found:?} is not in {:?}", self.attempted);
        assert!(found.models.iter().all(|name| world.has_stored(name.as_bytes())));
        match &self.finished {
            Some(finished) => assert_eq!((finished.as_str(), record.status), (commit, Status::Finished)),
            None => assert!(record.status == Status::Killed || self.finish_attempted),
        }
    }
}

fn merge(into: &mut Facts, from: &Facts) {
    into.parameters.extend(from.parameters.iter().cloned());
    into.values.extend(&from.values);
    into.lines.extend(from.lines.iter().cloned());
    into.models.extend(from.models.iter().cloned());
}

fn record(world: &World, commit: &str) -> Record {
    let tree = world.tree_of(commit);
    let (_, bytes) = tree.iter().find(|(path, _)| path.ends_with("record.json")).unwrap();
    Record::parse(bytes).unwrap()
}

fn tags(world: &World) -> BTreeMap<String, String> {
    let names = world.reference_names();
    let tag = |name: String| Some((name.strip_prefix(layout::TAGS)?.to_owned(), world.reference(&name)?));
    names.into_iter().filter_map(tag).collect()
}

fn prepare(world: &World, trouble: Trouble) {
    match trouble {
        Trouble::None => {}
        Trouble::Death(after) => world.fail_after(after),
        Trouble::Failure(after) => world.fail_once_after(after),
        Trouble::Company(after) => {
            let other = world.clone();
            world.visit_after(after, move || recover(&other, false));
        }
    }
}

/// Recovers all that is lost. Where nothing is in the way, that succeeds.
fn recover(world: &World, may_fail: bool) {
    let Ok(lost) = completion::lost(&world.ports()) else { return };
    for run in lost {
        let recovered = completion::recover(&world.ports(), &run.id);
        assert!(may_fail || recovered.is_ok(), "{recovered:?}");
    }
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        4 => Just(Trouble::None),
        2 => (0..24u32).prop_map(Trouble::Death),
        2 => (0..24u32).prop_map(Trouble::Failure),
        1 => (0..24u32).prop_map(Trouble::Company),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => Just(Act::Parameter),
        3 => Just(Act::Log),
        2 => Just(Act::Output),
        1 => Just(Act::Model),
        1 => Just(Act::Flush),
        2 => Just(Act::Finish),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => trouble().prop_map(Step::Start),
        8 => (any::<usize>(), act(), trouble()).prop_map(|(at, act, trouble)| Step::Act(at, act, trouble)),
        1 => any::<usize>().prop_map(Step::Die),
        1 => any::<usize>().prop_map(Step::Reopen),
        2 => trouble().prop_map(Step::Recover),
        1 => (0..=1000usize).prop_map(Step::PowerCut),
    ]
}

#[expect(clippy::disallowed_methods, reason = "how many is the developer's to say")]
fn histories() -> u32 {
    std::env::var("AURUM_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_was_acknowledged_is_ever_lost(steps in proptest::collection::vec(step(), 1..24)) {
        let world = World::project();
        world.commit_files(&[(".au/config", b"[aurum]\n"), ("train.py", b"1")]);
        world.write("train.py", b"2");
        let mut history = History { base: world.commit_names(), ..History::default() };
        history.go(&world, &Step::Start(Trouble::None));
        for step in &steps {
            history.go(&world, step);
        }
        history.end(&world);
    }
}
