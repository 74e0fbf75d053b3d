//! The core dies in the middle of a run: the journal is the run, so a new sandbox takes it up.

use aurum_host::grants::Grants;
use aurum_host::{FailureKind, Measurement, Number, Outcome};

use crate::project::{Project, options};

/// Too little for any call, so that the core traps within it.
const STARVED: u64 = 50;
/// Enough for everything here.
const FED: u64 = 100_000_000_000;

#[test]
fn a_trap_in_the_middle_of_a_run_loses_nothing() {
    let project = Project::new();
    let mut tracker = project.tracker(Grants::local());
    tracker.start(&options()).unwrap();
    let id = tracker.run_id().unwrap().to_owned();
    let loss = tracker.intern("loss").unwrap();
    for step in 0..10u32 {
        if step % 3 == 0 {
            tracker.set_fuel(STARVED);
        }
        tracker.log_one(loss, f64::from(step), None).unwrap();
        tracker.set_fuel(FED);
    }
    tracker.set_fuel(STARVED);
    tracker.log(&[Measurement { name: "accuracy".into(), value: Number::Float(0.5) }], None).unwrap();
    tracker.set_fuel(FED);
    let finished = tracker.finish(Outcome::Finished, None).unwrap();
    assert_eq!(finished.id, id);
    let history = project.git(&["show", &format!("{}:.au/experiments/{id}/metrics.jsonl", finished.tag)]);
    assert_eq!(history.lines().count(), 11, "{history}");
    project.git(&["fsck", "--strict"]);
}

#[test]
fn a_trap_while_finishing_is_finished_by_the_next_try() {
    // From nothing to plenty, so that the core dies at many places along the way.
    for fuel in (0..18).map(|power| 1_000 << power) {
        let project = Project::new();
        let mut tracker = project.tracker(Grants::local());
        tracker.start(&options()).unwrap();
        let id = tracker.run_id().unwrap().to_owned();
        tracker.log(&[Measurement { name: "loss".into(), value: Number::Float(1.0) }], None).unwrap();
        tracker.set_fuel(fuel);
        let outcome = tracker.finish(Outcome::Finished, None);
        tracker.set_fuel(FED);
        if let Err(failure) = outcome {
            assert_eq!(failure.kind, FailureKind::Internal, "{failure}");
            tracker.finish(Outcome::Finished, None).unwrap();
        }
        assert_eq!(project.git(&["tag", "--list"]), format!("au/{id}"));
        assert!(project.git(&["show", &format!("au/{id}:.au/experiments/{id}/record.json")]).contains("\"finished\""));
    }
}

#[test]
fn the_journal_stays_held_while_the_sandbox_is_made_anew() {
    let project = Project::new();
    let mut tracker = project.tracker(Grants::local());
    tracker.start(&options()).unwrap();
    tracker.set_fuel(STARVED);
    tracker.intern("loss").unwrap();
    tracker.set_fuel(FED);
    assert_eq!(project.tracker(Grants::local()).recover().unwrap().recovered, []);
    tracker.finish(Outcome::Finished, None).unwrap();
}
