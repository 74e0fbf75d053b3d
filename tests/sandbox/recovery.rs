//! Runs whose processes are gone are finished one by one: a journal that the core can't bear costs no other run, and no start.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use aurum_host::grants::Grants;
use aurum_host::{FailureKind, Measurement, Number, Outcome};

use crate::project::{Project, options};

/// A run whose process has died.
fn lost(project: &Project) -> String {
    let mut tracker = project.tracker(Grants::local());
    tracker.start(&options()).unwrap();
    tracker.log(&[Measurement { name: "loss".into(), value: Number::Float(1.0) }], None).unwrap();
    tracker.run_id().unwrap().to_owned()
}

fn journal(project: &Project, id: &str) -> PathBuf {
    project.root().join(format!(".git/aurum/runs/{id}/journal"))
}

/// Thousands of beginnings of long frames: looking at each takes more work than a start may cost.
fn poison(project: &Project, id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Room for some of them, and for what they claim to be.
    while bytes.len() < (1 << 20) + (400 << 10) {
        bytes.extend_from_slice(b"AuJ1");
        bytes.extend_from_slice(&(1u32 << 20).to_le_bytes());
        bytes.extend_from_slice(&[0; 13]);
    }
    OpenOptions::new().append(true).open(journal(project, id)).unwrap().write_all(&bytes).unwrap();
    fs::read(journal(project, id)).unwrap()
}

#[test]
fn the_next_run_finishes_those_that_were_killed() {
    let project = Project::new();
    let ids = [lost(&project), lost(&project)];
    // Each was a next run to the one before.
    assert_eq!(project.git(&["tag", "--list"]), format!("au/{}", ids[0]));
    let mut tracker = project.tracker(Grants::local());
    tracker.start(&options()).unwrap();
    assert_eq!(tracker.take_warnings(), []);
    for id in &ids {
        assert!(project.git(&["show", &format!("au/{id}:.au/experiments/{id}/record.json")]).contains("\"killed\""));
    }
}

#[test]
fn a_poisonous_journal_is_warned_of_and_costs_no_start() {
    let project = Project::new();
    let poisonous = lost(&project);
    let bytes = poison(&project, &poisonous);
    for _ in 0..2 {
        let mut tracker = project.tracker(Grants::local());
        tracker.start(&options()).unwrap();
        let warnings = tracker.take_warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].message.contains(&poisonous), "{warnings:?}");
        assert!(warnings[0].hints[0].contains(&format!(".git/aurum/runs/{poisonous}")), "{warnings:?}");
        let finished = tracker.finish(Outcome::Finished, None).unwrap();
        assert!(project.git(&["tag", "--list"]).contains(&finished.id));
    }
    assert_eq!(fs::read(journal(&project, &poisonous)).unwrap(), bytes, "it stays as it is");
    // Nor does it keep another one from being finished.
    let other = lost(&project);
    let is_finished = || {
        let mut tracker = project.tracker(Grants::local());
        tracker.start(&options()).unwrap();
        project.git(&["tag", "--list"]).contains(&other)
    };
    // For a moment a program that another test starts has its journal open, and so held, as well.
    assert!((0..10).any(|_| is_finished()));
}

#[test]
fn a_start_finishes_few_and_says_what_is_left() {
    let project = Project::new();
    let first = lost(&project);
    let beginning = fs::read(journal(&project, &first)).unwrap();
    // Of one that is large, and of many more, only as many are finished as a start may cost.
    let name = |number: u32| format!("{number:08x}-1111-4111-8111-111111111111");
    for number in 0..10 {
        let path = journal(&project, &name(number));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &beginning).unwrap();
    }
    fs::write(journal(&project, &name(0)), vec![0; 3 << 20]).unwrap();
    let mut tracker = project.tracker(Grants::local());
    tracker.start(&options()).unwrap();
    let left = tracker.take_warnings().into_iter().filter(|warning| warning.hints == ["Run `au recover`"]).count();
    assert_eq!(left, 1);
    assert!(journal(&project, &name(0)).exists());
}

#[test]
fn a_child_takes_part_in_another_sandbox() {
    let project = Project::new();
    let mut parent = project.tracker(Grants::local());
    parent.start(&options()).unwrap();
    let id = parent.run_id().unwrap().to_owned();
    let mut child = project.tracker(Grants::local());
    child.join(&id).unwrap();
    child.log(&[Measurement { name: "own".into(), value: Number::Integer(1) }], None).unwrap();
    // A trap costs a child nothing either.
    child.set_fuel(50);
    child.log(&[Measurement { name: "own".into(), value: Number::Integer(2) }], None).unwrap();
    child.set_fuel(100_000_000_000);
    child.flush().unwrap();
    assert_eq!(child.finish(Outcome::Finished, None).unwrap_err().kind, FailureKind::Usage);
    drop(child);
    let finished = parent.finish(Outcome::Finished, None).unwrap();
    let history = project.git(&["show", &format!("{}:.au/experiments/{id}/metrics.jsonl", finished.tag)]);
    assert_eq!(history.matches("\"process\":1").count(), 2, "{history}");
    assert!(!journal(&project, &id).exists());
    let refused = project.tracker(Grants::local()).join(&id).unwrap_err();
    assert_eq!(refused.kind, FailureKind::UnknownExperiment);
    assert_eq!(project.tracker(Grants::none()).join(&id).unwrap_err().kind, FailureKind::Denied);
}
