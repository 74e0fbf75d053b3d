//! Whole lives of runs and projects on in-memory ports: what a user could observe, with faults at will.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::completion::{self, Recovery};
use crate::error::FailureKind;
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

fn recover(world: &World) -> Recovery {
    completion::recover(&world.ports(), u64::MAX).unwrap()
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

#[test]
fn the_next_run_finishes_one_that_was_killed() {
    let world = World::project();
    drop(lively(&world));
    start(&world);
    let statuses: Vec<_> = rows(&world, None).iter().map(|row| row["status"].clone()).collect();
    assert!(statuses.contains(&json!("killed")), "{statuses:?}");
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
    world.forget_tree(&world.reference(&format!("{}{id}", layout::RUNNING)).unwrap());
    let recovery = recover(&world);
    let commit = &recovery.recovered[0].commit;
    assert_eq!(world.tree_of(commit)["src/train.py"], b"committed");
    assert!(!record_of(&world, commit).code.reproducible);
}

#[test]
fn a_record_that_cannot_be_read_hides_no_other() {
    let world = World::project();
    let first = lively(&world).finish(Status::Finished, None).unwrap();
    let second = lively(&world).finish(Status::Finished, None).unwrap();
    world.forget_tree(&world.plan(&first.commit).tree);
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
    let run = Run::reopen(&world.ports(), &id).unwrap();
    assert_eq!(run.intern("loss").unwrap(), loss);
    run.log_one(loss, 5.0, None).unwrap();
    let record = record_of(&world, &run.finish(Status::Finished, None).unwrap().commit);
    assert_eq!((record.metrics["loss"].count, record.metrics["loss"].step), (11, 10));
    assert_eq!(Run::reopen(&world.ports(), &id).err().unwrap().kind, FailureKind::UnknownExperiment);
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
    let problem = "Traceback (most recent call last):\n  boom\nValueError: no\n";
    for printed in [true, false] {
        let world = World::project();
        let run = start(&world);
        run.output(1, b"before\n").unwrap();
        if printed {
            run.output(2, problem.as_bytes()).unwrap();
        }
        let finished = run
            .finish(Status::Failed, Some(&Problem { summary: "ValueError: no".into(), traceback: problem.to_owned() }))
            .unwrap();
        let log = String::from_utf8(world.tree_of(&finished.commit)[&layout::log(&finished.id)].clone()).unwrap();
        assert_eq!(log, format!("before\n{problem}"));
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
