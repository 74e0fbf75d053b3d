//! Whole lives of runs and projects on in-memory ports: what a user could observe, with faults at will.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::completion::{self, Finished};
use crate::error::{Failure, FailureKind};
use crate::history;
use crate::journal::event::Problem;
use crate::layout;
use crate::metrics::Number;
use crate::parameters::{Parameter, Source};
use crate::ports::Standing;
use crate::project;
use crate::query::Request;
use crate::record::{Record, Status};
use crate::run::{Options, Run};
use crate::testing::World;

fn options() -> Options {
    Options {
        script: Some("src/train.py".into()),
        arguments: vec!["lr=0.1".into(), "--password".into(), "hunter2".into()],
        directory: Some("src".into()),
        ..Options::default()
    }
}

fn start(world: &World) -> Run {
    Run::start(&world.ports(), options()).unwrap()
}

fn parameter(name: &str, value: Value) -> Parameter {
    Parameter { name: name.into(), value, source: Source::Code }
}

/// A run with something of everything.
fn lively(world: &World) -> Run {
    let run = start(world);
    run.set_parameters(&[parameter("lr", json!(0.1)), parameter("api_key", json!("hunter2"))]).unwrap();
    let loss = run.intern("loss").unwrap();
    for step in 0..10u32 {
        run.log_one(loss, 1.0 / f64::from(step + 1), None).unwrap();
    }
    run.log(&[("accuracy".into(), Number::Float(0.9)), ("big".into(), Number::Integer((1 << 53) + 1))], Some(7))
        .unwrap();
    run.output(1, b"10%\r100%\nhello\n").unwrap();
    run.output(2, b"careful\n").unwrap();
    run.save_model("model", World::bytes(b"weights")).unwrap();
    run
}

fn record_of(world: &World, commit: &str) -> Record {
    let tree = world.tree_of(commit);
    let (_, bytes) = tree.iter().find(|(path, _)| path.ends_with("record.json")).unwrap();
    Record::parse(bytes).unwrap()
}

/// What came of recovering all that is lost.
#[derive(Debug, Default, PartialEq)]
struct Recovery {
    recovered: Vec<Finished>,
    failures: Vec<Failure>,
}

fn recover(world: &World) -> Recovery {
    let mut recovery = Recovery::default();
    for lost in completion::lost(&world.ports()).unwrap() {
        match completion::recover(&world.ports(), &lost.id) {
            Ok(finished) => recovery.recovered.extend(finished),
            Err(failure) => recovery.failures.push(failure),
        }
    }
    recovery
}

fn rows(world: &World, selector: Option<&str>) -> Vec<Value> {
    let mut listing = history::query(&world.ports(), &Request::of(selector)).unwrap();
    let mut rows = Vec::new();
    while let Some(page) = listing.next_page().unwrap() {
        rows.extend(serde_json::from_str::<Vec<Value>>(&page).unwrap());
    }
    rows
}

#[test]
fn a_run_becomes_one_commit_under_one_tag() {
    let world = World::project();
    let head = world.commit_files(&[("src/train.py", b"old"), (".au/config", b"[aurum]\n")]);
    world.write("src/train.py", b"new");
    world.write("notes.txt", b"untracked");
    let run = lively(&world);
    let finished = run.finish(Status::Finished, None).unwrap();

    assert_eq!(world.reference(&format!("refs/tags/{}", finished.tag)), Some(finished.commit.clone()));
    assert_eq!(world.plan(&finished.commit).parents, [head]);
    let tree = world.tree_of(&finished.commit);
    let id = &finished.id;
    let expected: BTreeMap<&str, &[u8]> = [("src/train.py", &b"new"[..]), ("notes.txt", b"untracked")].into();
    for (path, contents) in expected {
        assert_eq!(tree[path], contents, "{path}");
    }
    assert_eq!(String::from_utf8_lossy(&tree[&layout::log(id)]), "100%\nhello\ncareful\n");
    assert_eq!(tree[&layout::requirements(id)], b"numpy==2.0.0\n");
    let metrics = String::from_utf8(tree[&layout::metrics(id)].clone()).unwrap();
    assert_eq!(metrics.lines().count(), 12);
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["metric"], &last["step"], last["value"].to_string()),
        (&json!("big"), &json!(7), "9007199254740993".into())
    );

    let record = record_of(&world, &finished.commit);
    assert_eq!(record.status, Status::Finished);
    assert_eq!(record.parameters["lr"].value.to_string(), "0.1");
    assert_eq!(record.metrics["loss"].count, 10);
    assert_eq!(record.metrics["loss"].step, 9);
    assert_eq!(record.metrics["loss"].max, Number::Float(1.0));
    assert_eq!(record.models["model"].size, 7);
    assert!(record.code.dirty && record.code.reproducible);
    assert!(world.journal_bytes(id).is_none());
}

#[test]
fn no_secret_gets_into_a_record() {
    let world = World::project();
    let commit = lively(&world).finish(Status::Finished, None).unwrap().commit;
    for (path, contents) in world.tree_of(&commit) {
        assert!(!contents.windows(7).any(|window| window == b"hunter2"), "{path}");
    }
}

#[test]
fn finishing_twice_answers_the_same_and_the_run_takes_nothing_more() {
    let world = World::project();
    let run = lively(&world);
    let finished = run.finish(Status::Finished, None).unwrap();
    assert_eq!(run.finish(Status::Failed, None).unwrap(), finished);
    assert_eq!(run.log_one(0, 1.0, None).unwrap_err().kind, FailureKind::Usage);
}

#[test]
fn a_killed_run_is_recovered_with_all_it_had_logged() {
    let world = World::project();
    let run = lively(&world);
    let id = run.id().to_owned();
    drop(run);
    assert_eq!(rows(&world, None)[0]["status"], "lost");
    let recovery = recover(&world);
    assert_eq!(recovery.failures, []);
    let record = record_of(&world, &recovery.recovered[0].commit);
    assert_eq!((record.id, record.status, record.metrics["loss"].count), (id, Status::Killed, 10));
    assert_eq!(recover(&world), Recovery::default());
}

/// Cuts the finishing off at each of its steps: whoever takes it up gets the same commit.
#[test]
fn finishing_is_recovery_called_by_the_living() {
    let whole = World::project();
    let expected = lively(&whole).finish(Status::Finished, None).unwrap();
    for step in 0.. {
        let world = World::project();
        let run = lively(&world);
        world.fail_after(step);
        let outcome = run.finish(Status::Finished, None);
        world.heal();
        drop(run);
        if outcome.is_ok() {
            assert!(step > 10, "the steps were not cut off");
            break;
        }
        let recovery = recover(&world);
        assert_eq!(recovery.failures, [], "step {step}");
        let tag = world.reference(&format!("refs/tags/{}", expected.tag)).unwrap();
        if step == 0 {
            // Not even its intention was written down: then it counts as killed.
            assert_eq!(record_of(&world, &tag).status, Status::Killed);
        } else {
            assert_eq!(tag, expected.commit, "step {step}");
        }
        assert!(world.journal_bytes(&expected.id).is_none());
    }
}

#[test]
fn a_torn_tail_costs_what_was_torn_and_no_more() {
    let world = World::project();
    let run = lively(&world);
    let id = run.id().to_owned();
    drop(run);
    let whole = world.journal_bytes(&id).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        let world = World::project();
        drop(lively(&world));
        world.set_journal(&id, whole[..cut].to_vec());
        let recovery = recover(&world);
        assert_eq!(recovery.failures, [], "{cut}");
        assert!(world.journal_bytes(&id).is_none());
        assert!(recovery.recovered.len() <= 1);
    }
}

#[test]
fn damage_in_the_middle_costs_what_was_damaged_and_no_more() {
    let world = World::project();
    let run = lively(&world);
    let id = run.id().to_owned();
    drop(run);
    let whole = world.journal_bytes(&id).unwrap();
    let magic = &crate::journal::frame::MAGIC;
    let starts: Vec<usize> = (0..whole.len()).filter(|at| whole[*at..].starts_with(magic)).collect();
    for at in (0..whole.len()).step_by(11) {
        let world = World::project();
        drop(lively(&world));
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        world.set_journal(&id, bytes.clone());
        let recovery = recover(&world);
        if at < starts[1] {
            // Without its beginning a journal can't be finished, and nobody removes it.
            assert_eq!(recovery.failures[0].kind, FailureKind::Unreadable, "{at}");
            assert_eq!(world.journal_bytes(&id), Some(bytes));
        } else {
            assert_eq!(recovery.failures, [], "{at}");
            let record = record_of(&world, &recovery.recovered[0].commit);
            let values: u64 = record.metrics.values().map(|metric| metric.count).sum();
            assert!(values >= 10, "{at}: {values}");
        }
    }
}

#[test]
fn an_endless_traceback_does_not_keep_a_run_from_finishing() {
    let world = World::project();
    let run = lively(&world);
    let traceback = format!("{}\nat postgres://ann:hunter2@db/x\n", "é".repeat(2 << 20));
    let problem = Problem { summary: traceback.clone(), traceback };
    let finished = run.finish(Status::Failed, Some(&problem)).unwrap();
    assert_eq!(run.log_one(0, 1.0, None).unwrap_err().kind, FailureKind::Usage);
    let tree = world.tree_of(&finished.commit);
    let log = String::from_utf8_lossy(&tree[&layout::log(&finished.id)]).into_owned();
    assert!(log.len() < 1 << 20 && log.contains("[…]") && log.contains("postgres://db/x") && !log.contains("hunter2"));
}

#[test]
fn a_snapshot_that_a_power_cut_took_is_replaced_by_heads_tree() {
    let world = World::project();
    world.commit_files(&[("src/train.py", b"committed"), (".au/config", b"[aurum]\n")]);
    world.write("src/train.py", b"edited");
    let run = lively(&world);
    let id = run.id().to_owned();
    drop(run);
    world.forget_object(&world.reference(&format!("{}{id}", layout::RUNNING)).unwrap());
    let recovery = recover(&world);
    let commit = &recovery.recovered[0].commit;
    assert_eq!(world.tree_of(commit)["src/train.py"], b"committed");
    assert!(!record_of(&world, commit).code.reproducible);
}

#[test]
fn what_git_removes_before_a_reference_keeps_it_is_written_again() {
    let plain = World::project();
    plain.write("src/train.py", b"edited");
    let commit = lively(&plain).finish(Status::Finished, None).unwrap().commit;
    for sweeps in 1..5 {
        let world = World::project();
        world.write("src/train.py", b"edited");
        world.sweep(sweeps);
        let run = lively(&world);
        world.sweep(sweeps);
        assert_eq!(run.finish(Status::Finished, None).unwrap().commit, commit, "as if nothing had been");
        assert_eq!(world.tree_of(&commit)["src/train.py"], b"edited");
        assert!(world.warnings().is_empty() && world.journal_bytes(run.id()).is_none());
    }
}

#[test]
fn what_git_removes_again_and_again_is_told_and_kept() {
    let world = World::project();
    let run = lively(&world);
    let id = run.id().to_owned();
    world.sweep(u32::MAX);
    let failure = run.finish(Status::Finished, None).unwrap_err();
    assert!(failure.message.contains("git keeps removing"), "{failure}");
    drop(run);
    world.sweep(0);
    let recovery = recover(&world);
    assert_eq!((recovery.recovered.first().map(|run| run.id.as_str()), recovery.failures), (Some(id.as_str()), vec![]));
}

#[test]
fn what_git_removes_of_a_commit_that_a_dead_process_tagged_is_written_again() {
    let world = World::project();
    let run = lively(&world);
    let id = run.id().to_owned();
    world.sweep(u32::MAX);
    run.finish(Status::Finished, None).unwrap_err();
    drop(run);
    let tag = world.reference(&format!("{}{id}", layout::TAGS)).unwrap();
    world.sweep(1);
    assert_eq!(recover(&world).recovered[0].commit, tag);
    assert_eq!(record_of(&world, &tag).id, id);
}

#[test]
fn a_tag_whose_commit_is_gone_makes_way_for_what_can_still_be_saved() {
    let world = World::project();
    world.commit_files(&[("src/train.py", b"committed"), (".au/config", b"[aurum]\n")]);
    world.write("src/train.py", b"edited");
    let run = lively(&world);
    let id = run.id().to_owned();
    world.sweep(u32::MAX);
    run.finish(Status::Finished, None).unwrap_err();
    drop(run);
    world.sweep(0);
    let tag = format!("{}{id}", layout::TAGS);
    world.forget_object(&world.reference(&format!("{}{id}", layout::RUNNING)).unwrap());
    world.forget_object(&world.reference(&tag).unwrap());
    let commit = &recover(&world).recovered[0].commit;
    assert_eq!(world.reference(&tag).as_ref(), Some(commit));
    assert_eq!(world.tree_of(commit)["src/train.py"], b"committed");
}

#[test]
fn a_clock_that_is_set_back_turns_nothing_around() {
    for end in [true, false] {
        let world = World::project();
        let run = start(&world);
        let loss = run.intern("loss").unwrap();
        run.log_one(loss, 1.0, None).unwrap();
        world.set_now(1_700_000_060_000);
        run.log_one(loss, 2.0, None).unwrap();
        world.set_now(1_600_000_000_000);
        run.log_one(loss, 3.0, None).unwrap();
        let id = run.id().to_owned();
        let commit = if end {
            run.finish(Status::Finished, None).unwrap().commit
        } else {
            drop(run);
            recover(&world).recovered[0].commit.clone()
        };
        let record = record_of(&world, &commit);
        assert!(record.started < record.ended, "{} {}", record.started, record.ended);
        let lines = String::from_utf8(world.tree_of(&commit)[&layout::metrics(&id)].clone()).unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |key: &str| lines.iter().map(|line| line[key].as_f64().unwrap()).collect::<Vec<_>>();
        assert_eq!((of("value"), of("step")), (vec![1.0, 2.0, 3.0], vec![0.0, 1.0, 2.0]));
        assert!(of("time").is_sorted() && of("time")[2] > 59.0, "{lines:?}");
        assert!(rows(&world, None)[0]["duration"].as_f64().unwrap() > 59.0);
    }
}

#[test]
fn a_commit_that_is_gone_is_no_parent() {
    let world = World::project();
    let head = world.commit_files(&[("src/train.py", b"committed"), (".au/config", b"[aurum]\n")]);
    world.write("src/train.py", b"edited");
    let run = lively(&world);
    world.forget_object(&head);
    let finished = run.finish(Status::Finished, None).unwrap();
    assert!(world.plan(&finished.commit).parents.is_empty());
    assert_eq!(world.tree_of(&finished.commit)["src/train.py"], b"edited");
    assert_eq!(record_of(&world, &finished.commit).code.head, Some(head));
}

#[test]
fn a_record_that_cannot_be_read_hides_no_other() {
    let world = World::project();
    let first = lively(&world).finish(Status::Finished, None).unwrap();
    let second = lively(&world).finish(Status::Finished, None).unwrap();
    world.forget_object(&world.plan(&first.commit).tree);
    let rows = rows(&world, None);
    assert_eq!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>(), [&json!(second.id)]);
    assert_eq!(world.warnings().len(), 1);
}

#[test]
fn a_journal_from_the_future_is_left_alone() {
    let world = World::project();
    let run = lively(&world);
    let id = run.id().to_owned();
    drop(run);
    let mut bytes = world.journal_bytes(&id).unwrap();
    let sequence = crate::journal::fold::State::read(&*world.ports().journal, &id).unwrap().sequence;
    let mut frame = Vec::new();
    crate::journal::frame::encode(&mut frame, 99, sequence, |_| {});
    bytes.extend_from_slice(&frame);
    world.set_journal(&id, bytes.clone());
    let recovery = recover(&world);
    assert_eq!(recovery.failures[0].kind, FailureKind::Unreadable);
    assert_eq!(world.journal_bytes(&id), Some(bytes));
    assert_eq!(rows(&world, None), [] as [Value; 0]);
    assert_eq!(world.warnings().len(), 1);
}

#[test]
fn a_reopened_run_goes_on_where_it_was() {
    let world = World::project();
    let run = lively(&world);
    let id = run.id().to_owned();
    let loss = run.intern("loss").unwrap();
    drop(run);
    let run = Run::reopen(&world.ports(), &id, 0).unwrap();
    assert_eq!(run.intern("loss").unwrap(), loss);
    run.log_one(loss, 5.0, None).unwrap();
    let record = record_of(&world, &run.finish(Status::Finished, None).unwrap().commit);
    assert_eq!((record.metrics["loss"].count, record.metrics["loss"].step), (11, 10));
    assert_eq!(Run::reopen(&world.ports(), &id, 0).err().unwrap().kind, FailureKind::UnknownExperiment);
}

#[test]
fn a_failed_start_leaves_nothing_behind() {
    for step in 0..6 {
        let world = World::project();
        world.write("src/train.py", b"code");
        world.fail_once_after(step);
        let failure = Run::start(&world.ports(), options()).err();
        world.heal();
        if failure.is_some() {
            assert_eq!(rows(&world, None), [] as [Value; 0], "step {step}");
            assert_eq!(recover(&world), Recovery::default());
        }
    }
    let outside = World::new();
    assert_eq!(Run::start(&outside.ports(), options()).err().unwrap().kind, FailureKind::NotAProject);
}

#[test]
fn refused_capabilities_end_in_a_typed_failure_and_no_effect() {
    for capability in ["repository-edit", "journal"] {
        let world = World::project();
        world.refuse(capability);
        assert_eq!(Run::start(&world.ports(), options()).err().unwrap().kind, FailureKind::Denied);
        assert_eq!(world.reference_names(), [] as [String; 0]);
    }
    let world = World::project();
    let run = start(&world);
    world.refuse("store");
    assert_eq!(run.save_model("model", World::bytes(b"x")).unwrap_err().kind, FailureKind::Denied);
    assert!(run.finish(Status::Finished, None).is_ok());
}

#[test]
fn an_experiment_on_top_of_another_drops_the_others_files() {
    let world = World::project();
    let first = lively(&world).finish(Status::Finished, None).unwrap();
    // As after `git switch --detach au/<id>`.
    let files = world.tree_of(&first.commit);
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, contents)| (path.as_str(), contents.as_slice())).collect();
    world.commit_files(&files);
    for (path, contents) in &files {
        world.write(path, contents);
    }
    let second = lively(&world).finish(Status::Finished, None).unwrap();
    let tree = world.tree_of(&second.commit);
    assert!(tree.contains_key(&layout::record(&second.id)));
    assert!(!tree.keys().any(|path| path.contains(&first.id)), "{:?}", tree.keys());
}

#[test]
fn selectors_name_running_and_saved_experiments() {
    let world = World::project();
    let first = lively(&world).finish(Status::Finished, None).unwrap();
    let second = start(&world);
    assert_eq!(rows(&world, None).len(), 2);
    assert_eq!(rows(&world, Some(&first.id))[0]["metrics"]["accuracy"], json!(0.9));
    assert_eq!(rows(&world, Some(&first.id[..6])).len(), 1);
    assert_eq!(rows(&world, Some("@"))[0]["id"], json!(second.id()));
    assert_eq!(rows(&world, Some("@"))[0]["status"], "running");
    assert_eq!(rows(&world, Some("@~1"))[0]["id"], json!(first.id));
    assert_eq!(
        history::query(&world.ports(), &Request::of(Some("beef"))).err().unwrap().kind,
        FailureKind::UnknownExperiment
    );
}

#[test]
fn rows_are_the_same_from_record_bytes_alone() {
    let world = World::project();
    let mut records = Vec::new();
    for _ in 0..5 {
        let finished = lively(&world).finish(Status::Finished, None).unwrap();
        records.extend(world.tree_of(&finished.commit)[&layout::record(&finished.id)].clone());
    }
    let alone: Vec<Value> = serde_json::from_str(&history::rows(&records, &Request::of(None), None).unwrap()).unwrap();
    assert_eq!(alone, rows(&world, None));
    let one: Vec<Value> =
        serde_json::from_str(&history::rows(&records, &Request::of(Some("@~2")), None).unwrap()).unwrap();
    assert_eq!(one, rows(&world, Some("@~2")));
    assert_eq!(history::rows(b"{} nonsense", &Request::of(None), None).unwrap_err().kind, FailureKind::Unreadable);
}

#[test]
fn a_model_is_ones_own_then_the_parents_then_the_newest_of_the_script() {
    let world = World::project();
    let none = start(&world);
    assert_eq!(none.find_model("model", None).unwrap_err().kind, FailureKind::NoModel);
    none.finish(Status::Finished, None).unwrap();
    let parent = lively(&world).finish(Status::Finished, None).unwrap();
    let newest = lively(&world).finish(Status::Finished, None).unwrap();
    let failed = lively(&world);
    failed.finish(Status::Failed, None).unwrap();

    let run = start(&world);
    assert_eq!(run.find_model("model", None).unwrap().experiment, newest.id);
    assert_eq!(run.find_model("model", Some(&parent.id)).unwrap().experiment, parent.id);
    let child = Run::start(&world.ports(), Options { parent: Some(parent.id.clone()), ..options() }).unwrap();
    assert_eq!(child.find_model("model", None).unwrap().experiment, parent.id);
    let other = Run::start(&world.ports(), Options { script: Some("other.py".into()), ..options() }).unwrap();
    assert_eq!(other.find_model("model", None).unwrap_err().kind, FailureKind::NoModel);
    run.save_model("model", World::bytes(b"mine")).unwrap();
    assert_eq!(run.find_model("model", None).unwrap().experiment, run.id());
    let record = record_of(&world, &run.finish(Status::Finished, None).unwrap().commit);
    assert_eq!(record.inputs.iter().map(|input| &input.experiment).collect::<Vec<_>>(), [&newest.id, &parent.id]);
}

#[test]
fn stale_references_are_cleared_in_one_go_and_those_of_living_runs_kept() {
    let world = World::project();
    lively(&world).finish(Status::Finished, None).unwrap();
    let alive = start(&world);
    completion::clear_stale_references(&world.ports()).unwrap();
    let running: Vec<_> =
        world.reference_names().into_iter().filter(|name| name.starts_with(layout::RUNNING)).collect();
    assert_eq!(running, [format!("{}{}", layout::RUNNING, alive.id())]);
}

#[test]
fn the_traceback_is_kept_once() {
    const TRACEBACK: &str = "Traceback (most recent call last):\n  boom\nValueError: no\n";
    let lines = TRACEBACK.split_inclusive('\n').map(|line| (2, line));
    // What the other stream has at the same time may come between.
    let torn: Vec<_> = lines.clone().flat_map(|line| [(1, "step\n"), line]).chain([(1, "more\n")]).collect();
    let of_another = vec![(2, "Traceback (most recent call last):\n  boom\nValueError: none\n")];
    let cases = [
        (vec![], true),
        (vec![(2, TRACEBACK)], false),
        (vec![(2, " 50%"), (2, TRACEBACK)], false),
        (torn, false),
        (of_another, true),
        (lines.rev().collect(), true),
    ];
    for (printed, is_added) in cases {
        let world = World::project();
        let run = start(&world);
        run.output(1, b"before\n").unwrap();
        printed.iter().for_each(|(stream, text)| run.output(*stream, text.as_bytes()).unwrap());
        let finished = run
            .finish(
                Status::Failed,
                Some(&Problem { summary: "ValueError: no".into(), traceback: TRACEBACK.to_owned() }),
            )
            .unwrap();
        let log = String::from_utf8(world.tree_of(&finished.commit)[&layout::log(&finished.id)].clone()).unwrap();
        let printed: String = printed.into_iter().map(|(_, text)| text).collect();
        assert_eq!(log, format!("before\n{printed}{}", if is_added { TRACEBACK } else { "" }));
        assert_eq!(record_of(&world, &finished.commit).problem.unwrap(), "ValueError: no");
    }
}

#[test]
fn what_a_record_has_no_room_for_is_refused_at_the_call() {
    let world = World::project();
    let run = start(&world);
    let large = parameter("large", json!("x".repeat(200_000)));
    assert_eq!(run.set_parameters(&[large]).unwrap_err().kind, FailureKind::InvalidValue);
    for name in ["", "a\nb", &"n".repeat(300)] {
        assert_eq!(run.intern(name).unwrap_err().kind, FailureKind::InvalidValue);
    }
    let failure = (0..5_000).find_map(|number| run.intern(&format!("{number:0>200}")).err()).unwrap();
    assert_eq!(failure.kind, FailureKind::LimitReached);
    for number in 0..500 {
        let _ = run.log(&[(format!("{number:0>200}"), Number::from_digits("", "9".repeat(40)).unwrap())], None);
    }
    assert!(run.finish(Status::Finished, None).is_ok());
}

#[test]
fn init_makes_a_project_and_commits_exactly_that() {
    let world = World::new();
    world.set_standing(Standing::Absent);
    let created = project::init(&world.ports()).unwrap();
    assert!(created.repository);
    assert_eq!(created.paths, [".au/config", ".gitignore", "logs/.gitkeep", "src/.gitkeep"]);
    let tree = world.tree_of(&created.commit);
    assert_eq!(tree.keys().cloned().collect::<Vec<_>>(), created.paths);
    assert_eq!(world.head().commit, Some(created.commit));
    assert!(String::from_utf8_lossy(&world.file(".gitignore").unwrap()).contains("stripping_cache/"));
    let again = project::init(&world.ports()).unwrap_err();
    assert_eq!(again.kind, FailureKind::AlreadyAProject);
}

#[test]
fn init_keeps_edits_of_the_users_out_of_its_commit() {
    let world = World::new();
    world.commit_files(&[(".gitignore", b"committed\n"), ("src/a.py", b"a")]);
    world.stage_file(".gitignore", b"committed\nstaged\n");
    world.stage_file("src/a.py", b"staged");
    world.write(".gitignore", b"committed\nstaged\nedited");
    world.write("src/a.py", b"edited");
    let created = project::init(&world.ports()).unwrap();
    let tree = world.tree_of(&created.commit);
    assert_eq!(tree["src/a.py"], b"a");
    assert!(tree[".gitignore"].starts_with(b"committed\n\n# >>> aurum"));
    assert!(world.staged(".gitignore").unwrap().starts_with(b"committed\nstaged\n\n# >>> aurum"));
    assert!(world.file(".gitignore").unwrap().starts_with(b"committed\nstaged\nedited\n\n# >>> aurum"));
    assert_eq!(world.staged("src/a.py").unwrap(), b"staged");
    assert!(!tree.contains_key("src/.gitkeep"));
}

#[test]
fn init_refuses_before_it_changes_anything() {
    let refused = |world: &World, kind| {
        let before = (world.files(), world.calls());
        assert_eq!(project::init(&world.ports()).unwrap_err().kind, kind);
        assert_eq!((world.files(), world.calls()), before);
    };
    let world = World::new();
    world.set_standing(Standing::Below("/home/ada/project".into()));
    refused(&world, FailureKind::InTheWay);
    assert!(project::init(&world.ports()).unwrap_err().hints[0].contains("au init -C /home/ada/project"));
    world.set_standing(Standing::Bare);
    refused(&world, FailureKind::InTheWay);

    let world = World::new();
    world.forget_identity();
    refused(&world, FailureKind::NoIdentity);
    world.set_identity();
    assert!(project::init(&world.ports()).is_ok());

    let world = World::new();
    world.set_ref("refs/tags/au", "0000");
    refused(&world, FailureKind::InTheWay);

    let world = World::new();
    world.write("src", b"a file");
    refused(&world, FailureKind::InTheWay);

    let world = World::new();
    world.commit_files(&[]);
    world.set_operation("merge");
    refused(&world, FailureKind::InTheWay);
}

#[test]
fn of_two_that_make_a_project_one_stands_back() {
    let world = World::new();
    world.interfere(b"[aurum]\n");
    let failure = project::init(&world.ports()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::AlreadyAProject, "{failure}");
    assert_eq!(world.file(layout::CONFIG).unwrap(), b"[aurum]\n", "the other's");
}

#[test]
fn init_takes_back_what_it_did_when_it_fails_midway() {
    for step in 0.. {
        let world = World::new();
        world.write(".gitignore", b"mine\n");
        world.fail_once_after(step);
        let outcome = project::init(&world.ports());
        world.heal();
        if outcome.is_ok() {
            assert!(step > 8);
            break;
        }
        assert_eq!(world.files(), [".gitignore"], "step {step}");
        assert_eq!(world.file(".gitignore").unwrap(), b"mine\n");
        assert_eq!(world.head().commit, None);
        assert!(project::init(&world.ports()).is_ok(), "step {step}");
    }
}

/// A child that takes part in a run.
fn join(world: &World, run: &Run) -> Run {
    Run::join(&world.ports(), run.id()).unwrap()
}

fn log_of(world: &World, finished: &Finished) -> String {
    String::from_utf8(world.tree_of(&finished.commit)[&layout::log(&finished.id)].clone()).unwrap()
}

#[test]
fn what_children_log_is_a_part_of_the_run() {
    let world = World::project();
    let run = lively(&world);
    let (first, second) = (join(&world, &run), join(&world, &run));
    assert_eq!((run.number(), first.number(), second.number()), (0, 1, 2));
    first.log(&[("loss".into(), Number::Float(-1.0)), ("own".into(), Number::Integer(7))], None).unwrap();
    second.log(&[("own".into(), Number::Integer(8))], None).unwrap();
    run.output(1, b"parent\n").unwrap();
    first.output(1, b"first 1%\r").unwrap();
    second.output(1, b"second\n").unwrap();
    first.output(1, b"first 2%\n").unwrap();
    second.save_model("worker", World::bytes(b"12345")).unwrap();
    run.log(&[("loss".into(), Number::Float(0.5))], None).unwrap();
    first.set_parameters(&[parameter("lr", json!(99))]).unwrap();
    assert_eq!(first.finish(Status::Finished, None).unwrap_err().kind, FailureKind::Usage);
    assert_eq!(rows(&world, Some(run.id()))[0]["metrics"]["own"], 8, "readers see it while it runs");
    assert_eq!(run.find_model("worker", None).unwrap().model.size, 5);
    assert_eq!(first.find_model("model", None).unwrap().model.size, 7);
    drop((first, second));

    let finished = run.finish(Status::Finished, None).unwrap();
    let record = record_of(&world, &finished.commit);
    assert_eq!((record.metrics["own"].last.clone(), record.metrics["own"].count), (Number::Integer(8), 2));
    let loss = &record.metrics["loss"];
    assert_eq!((loss.count, loss.last.clone(), loss.min.clone()), (12, Number::Float(0.5), Number::Float(-1.0)));
    assert_eq!(record.parameters["lr"].value, json!(0.1), "a child's parameters are its run's");
    assert_eq!(record.models.keys().collect::<Vec<_>>(), ["model", "worker"]);
    assert!(
        log_of(&world, &finished).ends_with("careful\nparent\nsecond\nfirst 2%\n"),
        "{}",
        log_of(&world, &finished)
    );
    let metrics = String::from_utf8(world.tree_of(&finished.commit)[&layout::metrics(&finished.id)].clone()).unwrap();
    let own: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |process: Option<u64>| own.iter().filter(|line| line["process"].as_u64() == process).count();
    assert_eq!((of(None), of(Some(1)), of(Some(2))), (13, 2, 1));
    // Each counts its steps by itself.
    assert_eq!(own.iter().find(|line| line["process"] == 1).unwrap()["step"], 0);
    assert!(world.part_bytes(&finished.id, 1).is_none() && world.journal_bytes(&finished.id).is_none());
    assert_eq!(Run::join(&world.ports(), &finished.id).err().unwrap().kind, FailureKind::UnknownExperiment);
}

#[test]
fn a_killed_run_is_recovered_with_what_its_children_had_logged() {
    let world = World::project();
    let run = lively(&world);
    let child = join(&world, &run);
    child.log(&[("own".into(), Number::Integer(1))], None).unwrap();
    let id = run.id().to_owned();
    drop(run);
    assert_eq!(rows(&world, None)[0]["status"], "running", "a child is still alive");
    assert_eq!(recover(&world), Recovery::default());
    child.log(&[("own".into(), Number::Integer(2))], None).unwrap();
    drop(child);
    assert_eq!(rows(&world, None)[0]["status"], "lost");
    let torn = world.part_bytes(&id, 1).unwrap();
    world.set_part(&id, 1, torn[..torn.len() - 1].to_vec());
    let record = record_of(&world, &recover(&world).recovered[0].commit);
    assert_eq!((record.status, record.metrics["own"].last.clone()), (Status::Killed, Number::Integer(1)));
    assert!(world.part_bytes(&id, 1).is_none());
}

#[test]
fn a_child_that_outlives_its_run_loses_nothing() {
    let world = World::project();
    let head = world.commit_files(&[("src/train.py", b"old"), (".au/config", b"[aurum]\n")]);
    let run = lively(&world);
    let child = join(&world, &run);
    child.log(&[("own".into(), Number::Integer(1))], None).unwrap();
    let first = run.finish(Status::Finished, None).unwrap();
    drop(run);
    assert_eq!(record_of(&world, &first.commit).metrics["own"].count, 1, "finishing waits for nobody");
    assert_eq!(recover(&world), Recovery::default(), "it goes on");
    child.log(&[("own".into(), Number::Integer(2))], None).unwrap();
    child.output(1, b"late\n").unwrap();
    drop(child);
    assert_eq!(rows(&world, None).len(), 1);

    let [second] = recover(&world).recovered.try_into().unwrap();
    assert_eq!(world.plan(&second.commit).parents, [head, first.commit.clone()], "both are kept");
    assert_eq!(world.reference(&format!("refs/tags/{}", second.tag)).as_ref(), Some(&second.commit));
    let record = record_of(&world, &second.commit);
    assert_eq!((record.status, record.metrics["own"].count), (Status::Finished, 2));
    assert!(log_of(&world, &second).ends_with("late\n"));
    assert_eq!(rows(&world, None).len(), 1);
    assert_eq!(recover(&world), Recovery::default());
    assert!(world.journal_bytes(&first.id).is_none());
}

#[test]
fn a_child_that_outlives_its_run_and_logs_nothing_more_changes_nothing() {
    let world = World::project();
    let run = lively(&world);
    let child = join(&world, &run);
    child.log(&[("own".into(), Number::Integer(1))], None).unwrap();
    let finished = run.finish(Status::Finished, None).unwrap();
    drop((run, child));
    assert!(world.journal_bytes(&finished.id).is_some());
    assert_eq!(recover(&world), Recovery::default());
    assert!(world.journal_bytes(&finished.id).is_none());
    assert_eq!(world.reference(&format!("refs/tags/{}", finished.tag)), Some(finished.commit));
}

/// Cuts the second finishing off at each of its steps, as the first one above.
#[test]
fn superseding_is_taken_up_from_wherever_it_was_cut_off() {
    let prepare = || {
        let world = World::project();
        let run = lively(&world);
        let child = join(&world, &run);
        child.log(&[("own".into(), Number::Integer(1))], None).unwrap();
        let first = run.finish(Status::Finished, None).unwrap();
        drop(run);
        child.log(&[("own".into(), Number::Integer(2))], None).unwrap();
        drop(child);
        (world, first)
    };
    for step in 0.. {
        let (world, first) = prepare();
        let lost = completion::lost(&world.ports()).unwrap();
        world.fail_after(step);
        let outcome = completion::recover(&world.ports(), &lost[0].id);
        world.heal();
        let done = matches!(outcome, Ok(Some(_)));
        if !done {
            assert_eq!(recover(&world).failures, [], "step {step}");
        }
        let tag = world.reference(&format!("refs/tags/{}", first.tag)).unwrap();
        assert_eq!(world.plan(&tag).parents, [first.commit], "step {step}");
        assert_eq!(record_of(&world, &tag).metrics["own"].count, 2, "step {step}");
        assert!(world.journal_bytes(&first.id).is_none() && world.part_bytes(&first.id, 1).is_none());
        if done {
            assert!(step > 10, "the steps were not cut off");
            break;
        }
    }
}

#[test]
fn a_run_that_was_taken_for_dead_goes_on_and_is_kept_whole() {
    for appended_meanwhile in [false, true] {
        let world = World::project();
        world.lose_locks();
        let run = lively(&world);
        world.kill(run.id());
        let killed = recover(&world).recovered.pop().unwrap();
        assert_eq!(record_of(&world, &killed.commit).status, Status::Killed);
        assert!(world.journal_bytes(run.id()).is_none());
        if appended_meanwhile {
            run.log(&[("loss".into(), Number::Float(7.0))], None).unwrap();
            run.output(1, b"awake\n").unwrap();
        }
        let finished = run.finish(Status::Finished, None).unwrap();
        assert_eq!(world.plan(&finished.commit).parents, [killed.commit]);
        let record = record_of(&world, &finished.commit);
        assert_eq!(
            (record.status, record.metrics["loss"].count),
            (Status::Finished, 10 + u64::from(appended_meanwhile))
        );
        assert_eq!(world.reference(&format!("refs/tags/{}", finished.tag)), Some(finished.commit.clone()));
        let rows = rows(&world, None);
        assert_eq!((rows.len(), &rows[0]["status"]), (1, &json!("finished")));
        assert_eq!(recover(&world), Recovery::default());
        assert_eq!(run.finish(Status::Finished, None).unwrap(), finished);
    }
}

#[test]
fn a_run_that_wakes_up_while_it_is_recovered_is_kept_whole() {
    for step in 0..40 {
        let world = World::project();
        world.lose_locks();
        let run = lively(&world);
        world.kill(run.id());
        // Whoever recovers it is cut off, or gets on slowly.
        world.fail_after(step);
        let _ = completion::recover(&world.ports(), run.id());
        world.heal();
        run.log(&[("loss".into(), Number::Float(7.0))], None).unwrap();
        let finished = run.finish(Status::Finished, None).unwrap();
        let record = record_of(&world, &finished.commit);
        assert_eq!((record.status, record.metrics["loss"].count), (Status::Finished, 11), "step {step}");
        assert_eq!(world.reference(&format!("refs/tags/{}", finished.tag)), Some(finished.commit), "step {step}");
    }
}

#[test]
fn the_users_own_tag_in_the_way_is_never_moved() {
    let world = World::project();
    let other = world.commit_files(&[("a", b"a")]);
    let run = lively(&world);
    let name = format!("{}{}", layout::TAGS, run.id());
    world.set_ref(&name, &other);
    assert_eq!(run.finish(Status::Finished, None).unwrap_err().kind, FailureKind::InTheWay);
    assert_eq!(world.reference(&name), Some(other));
}

#[test]
fn a_childs_part_is_taken_up_from_its_journal() {
    let world = World::project();
    let run = lively(&world);
    let child = join(&world, &run);
    child.log(&[("own".into(), Number::Integer(1))], None).unwrap();
    let number = child.number();
    drop(child);
    let child = Run::reopen(&world.ports(), run.id(), number).unwrap();
    child.log(&[("own".into(), Number::Integer(2))], None).unwrap();
    drop(child);
    let record = record_of(&world, &run.finish(Status::Finished, None).unwrap().commit);
    assert_eq!((record.metrics["own"].count, record.metrics["own"].step), (2, 1));
}

#[test]
fn more_metrics_than_a_record_takes_are_counted_and_kept_beside_it() {
    use crate::metrics::MOST_METRICS;
    let world = World::project();
    let run = start(&world);
    for child in 0..3 {
        let child_run = join(&world, &run);
        let names = |number| (format!("{child}/{number}"), Number::Integer(1));
        let measurements: Vec<_> = (0..MOST_METRICS / 2).map(names).collect();
        child_run.log(&measurements, None).unwrap();
    }
    let finished = run.finish(Status::Finished, None).unwrap();
    let record = record_of(&world, &finished.commit);
    assert_eq!((record.metrics.len(), record.metrics_more), (MOST_METRICS, MOST_METRICS as u64 / 2));
    let metrics = world.tree_of(&finished.commit)[&layout::metrics(&finished.id)].clone();
    assert_eq!(String::from_utf8(metrics).unwrap().lines().count(), MOST_METRICS * 3 / 2);
}

#[test]
fn notes_and_artefacts_stand_in_the_record() {
    let world = World::project();
    let run = start(&world);
    let child = join(&world, &run);
    run.note("half of it is mislabelled\nsee https://ann:hunter2@host/x?sig=hunter2").unwrap();
    child.note("so it is").unwrap();
    run.log_artifact("plot.png", World::bytes(b"old")).unwrap();
    child.log_artifact("plot.png", World::bytes(b"newer")).unwrap();
    run.flush().unwrap();
    for empty in ["", "  \n"] {
        assert_eq!(run.note(empty).unwrap_err().kind, FailureKind::InvalidValue);
    }
    assert_eq!(run.log_artifact("a\nb", World::bytes(b"")).unwrap_err().kind, FailureKind::InvalidValue);
    drop(child);
    let shown: Value = serde_json::from_str(&history::show(&world.ports(), run.id()).unwrap()).unwrap();
    assert_eq!((shown["notes"].as_array().unwrap().len(), &shown["artifacts"]["plot.png"]["size"]), (2, &json!(5)));
    let record = record_of(&world, &run.finish(Status::Finished, None).unwrap().commit);
    let texts: Vec<_> = record.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(texts[0].starts_with("half of it is mislabelled\n") && !texts[0].contains("hunter2"), "{texts:?}");
    assert_eq!(texts[1], "so it is");
    assert!(record.notes.is_sorted_by_key(|note| note.at.clone()) && record.notes[0].at.ends_with('Z'));
    assert_eq!(record.artifacts["plot.png"].size, 5);
    assert_eq!(run.note("late").unwrap_err().kind, FailureKind::Usage);
}

#[test]
fn what_is_noted_beyond_what_a_record_takes_is_refused_at_the_call() {
    let world = World::project();
    let run = start(&world);
    assert_eq!(run.note(&"\u{1}".repeat(20 << 10)).unwrap_err().kind, FailureKind::LimitReached, "as it is written");
    for number in 0..250 {
        run.note(&format!("note {number}")).unwrap();
        run.log_artifact(&format!("file {number}"), World::bytes(b"x")).unwrap();
    }
    let run = Run::reopen(&world.ports(), run.id(), 0).unwrap();
    for number in 250..500 {
        run.note(&format!("note {number}")).unwrap();
        run.log_artifact(&format!("file {number}"), World::bytes(b"x")).unwrap();
    }
    assert_eq!(run.note("one more").unwrap_err().kind, FailureKind::LimitReached);
    assert_eq!(run.log_artifact("one more", World::bytes(b"")).unwrap_err().kind, FailureKind::LimitReached);
    run.log_artifact("file 7", World::bytes(b"again")).unwrap();
    let child = join(&world, &run);
    child.note("of a child").unwrap();
    drop(child);
    let record = record_of(&world, &run.finish(Status::Finished, None).unwrap().commit);
    assert_eq!((record.notes.len(), record.artifacts.len(), record.artifacts["file 7"].size), (500, 500, 5));
    assert_eq!(world.warnings().len(), 1, "what a child noted and has no room is told of");
}

#[test]
fn a_record_of_before_there_were_notes_is_read() {
    let world = World::project();
    let commit = lively(&world).finish(Status::Finished, None).unwrap().commit;
    let tree = world.tree_of(&commit);
    let (_, bytes) = tree.iter().find(|(path, _)| path.ends_with("record.json")).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(["notes", "artifacts", "metrics_more"].iter().all(|key| !text.contains(key)), "{text}");
    let record = Record::parse(bytes).unwrap();
    assert_eq!((record.notes.len(), record.artifacts.len()), (0, 0));
}
