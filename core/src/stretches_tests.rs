use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::completion::Finished;
use crate::parameters::{Parameter, Source};
use crate::query::Request;
use crate::reads::Read;
use crate::record::Status;
use crate::run::{Options, Run};
use crate::testing::{Collected, World};
use crate::texts;

fn log_of(world: &World) -> String {
    let sink = Collected::default();
    texts::write_log(&world.ports(), "@", true, &sink).unwrap();
    String::from_utf8(sink.0.into_inner()).unwrap()
}

fn metrics_of(world: &World) -> Vec<(String, u64, Value)> {
    let sink = Collected::default();
    texts::write_metrics(&world.ports(), "@", &sink).unwrap();
    let text = String::from_utf8(sink.0.into_inner()).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["metric"].as_str().unwrap().to_owned(), line["step"].as_u64().unwrap(), line["value"].clone())
    };
    text.lines().map(line).collect()
}

fn shown(world: &World) -> Value {
    serde_json::from_str(&history::show(&world.ports(), "@").unwrap()).unwrap()
}

fn rows(world: &World) -> Vec<Value> {
    let mut listing = history::query(&world.ports(), &Request::of(None)).unwrap();
    let mut rows = Vec::new();
    while let Some(page) = listing.next_page().unwrap() {
        rows.extend(serde_json::from_str::<Vec<Value>>(&page).unwrap());
    }
    rows
}

fn resume(world: &World) -> Run {
    Run::start(&world.ports(), Options { resume: Some("@".into()), ..Options::default() }).unwrap()
}

fn log(run: &Run, steps: impl IntoIterator<Item = u64>, value: f64) {
    steps.into_iter().for_each(|step| run.log(&[("loss".into(), Number::Float(value))], Some(step)).unwrap());
}

fn set(run: &Run, name: &str, value: Value) {
    run.set_parameters(&[Parameter { name: name.into(), value, source: Source::Code }]).unwrap();
}

fn read(path: &str, digest: Option<&str>) -> Read {
    Read::new("fsspec", Some("memory"), path, None, digest.map(str::to_owned))
}

/// A saved experiment with something of everything.
fn saved(world: &World) -> Finished {
    let options = Options {
        name: Some("base".into()),
        tags: vec!["first".into()],
        group: Some("g".into()),
        ..Options::default()
    };
    let run = Run::start(&world.ports(), options).unwrap();
    set(&run, "lr", json!(0.1));
    set(&run, "depth", json!(3));
    log(&run, 0..10, 1.0);
    run.log(&[("once".into(), Number::Integer(7))], None).unwrap();
    run.output(1, b"begun\n50%\r80%").unwrap();
    run.note("before").unwrap();
    run.save_model("model", World::bytes(b"early")).unwrap();
    run.save_model("other", World::bytes(b"kept")).unwrap();
    run.log_artifact("a.txt", World::bytes(b"a")).unwrap();
    run.note_read(read("both.csv", Some("sha256:b"))).unwrap();
    run.note_read(read("early.csv", None)).unwrap();
    run.finish(Status::Killed, None).unwrap()
}

/// What all looks at an experiment say of it once it was resumed.
fn check_whole(world: &World, id: &str) {
    let record = shown(world);
    assert_eq!(
        (record["id"].as_str(), record["name"].as_str(), record["group"].as_str()),
        (Some(id), Some("base"), Some("g"))
    );
    assert_eq!(record["tags"], json!(["first", "second"]));
    let values: BTreeMap<&str, &Value> =
        record["parameters"].as_object().unwrap().iter().map(|(name, set)| (name.as_str(), &set["value"])).collect();
    assert_eq!(values, BTreeMap::from([("depth", &json!(3)), ("extra", &json!(true)), ("lr", &json!(0.5))]));
    // Six of the first stretch count, and eight of the second.
    assert_eq!(record["metrics"]["loss"], json!({"last": 0.5, "step": 13, "min": 0.5, "max": 1.0, "count": 14}));
    assert_eq!(record["metrics"]["once"], json!({"last": 8, "step": 1, "min": 7, "max": 8, "count": 2}));
    assert_eq!(record["metrics"]["new"]["count"], json!(1));
    let notes: Vec<_> = record["notes"].as_array().unwrap().iter().map(|note| note["text"].clone()).collect();
    assert_eq!(notes, ["before", "after"]);
    let names = |key: &str| record[key].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((names("models"), names("artifacts")), (vec!["model".into(), "other".into()], vec!["a.txt".into()]));
    assert_eq!(record["models"]["model"]["size"], json!(4));
    let reads: Vec<_> = record["reads"].as_array().unwrap().iter().map(|read| read["path"].clone()).collect();
    assert_eq!(reads, ["both.csv", "early.csv", "late.csv"]);
    let [stretch] = record["stretches"].as_array().unwrap().as_slice() else { panic!("{record}") };
    assert_eq!((&stretch["status"], &stretch["started"]), (&json!("killed"), &record["started"]));
    assert_eq!(stretch["same_code"], json!(true));
    assert!(record["resumed"].as_str() >= stretch["ended"].as_str());

    assert_eq!(log_of(world), "begun\n80%\nagain\n");
    let loss: Vec<_> = metrics_of(world)
        .into_iter()
        .filter(|(name, ..)| name == "loss")
        .map(|(_, step, value)| (step, value))
        .collect();
    let expected: Vec<_> = (0..14).map(|step| (step, json!(if step < 6 { 1.0 } else { 0.5 }))).collect();
    assert_eq!(loss, expected);
    let [row] = rows(world).try_into().unwrap();
    assert_eq!((&row["id"], &row["metrics"]["loss"], &row["parameters"]["lr"]), (&json!(id), &json!(0.5), &json!(0.5)));
}

/// Another stretch, from step 6 on.
fn go_on(run: &Run) {
    set(run, "lr", json!(0.5));
    set(run, "extra", json!(true));
    log(run, 6..13, 0.5);
    run.log(&[("loss".into(), Number::Float(0.5)), ("once".into(), Number::Integer(8))], None).unwrap();
    run.log(&[("new".into(), Number::Float(1.0))], None).unwrap();
    run.output(1, b"again\n").unwrap();
    run.note("after").unwrap();
    run.note_read(read("late.csv", Some("sha256:l"))).unwrap();
    run.note_read(read("both.csv", Some("sha256:b"))).unwrap();
    run.label(&["second".into()], None).unwrap();
    run.save_model("model", World::bytes(b"late")).unwrap();
}

#[test]
fn a_saved_experiment_goes_on_and_both_stretches_are_kept() {
    let world = World::project();
    let first = saved(&world);
    let run = resume(&world);
    assert_eq!(run.id(), first.id);
    assert_eq!(rows(&world)[0]["status"], json!("running"));
    assert_eq!(run.find_model("other", None).unwrap().experiment, first.id, "its own");
    go_on(&run);
    check_whole(&world, &first.id);
    let second = run.finish(Status::Finished, None).unwrap();
    drop(run);
    check_whole(&world, &first.id);
    assert_eq!(rows(&world)[0]["status"], json!("finished"));
    assert_eq!(world.reference(&format!("refs/tags/{}", second.tag)), Some(second.commit.clone()));
    assert_eq!(world.plan(&second.commit).parents.last(), Some(&first.commit), "both are kept");
    assert!(world.journal_bytes(&first.id).is_none());
    // All values are there, whatever counts.
    let path = layout::metrics(&first.id);
    let (before, after) = (world.tree_of(&first.commit)[&path].clone(), world.tree_of(&second.commit)[&path].clone());
    assert!(after.starts_with(&before));
    let text = String::from_utf8(after[before.len()..].to_vec()).unwrap();
    assert!(text.lines().count() == 10 && text.lines().all(|line| line.contains("\"stretch\":1,")), "{text}");
}

#[test]
fn a_stretch_whose_process_is_killed_loses_neither() {
    let world = World::project();
    let first = saved(&world);
    let run = resume(&world);
    go_on(&run);
    drop(run);
    assert_eq!(rows(&world)[0]["status"], json!("lost"));
    check_whole(&world, &first.id);
    let second = completion::recover(&world.ports(), &first.id).unwrap().unwrap();
    assert_eq!(second.status, Status::Killed);
    check_whole(&world, &first.id);
    assert_eq!(world.plan(&second.commit).parents.last(), Some(&first.commit));
}

/// The run's beginning, and its end: wherever either is cut off, nothing of the experiment is lost.
#[test]
fn resuming_is_cut_off_at_each_step() {
    for step in 0.. {
        let world = World::project();
        let first = saved(&world);
        world.fail_after(step);
        let run = Run::start(&world.ports(), Options { resume: Some("@".into()), ..Options::default() });
        let finished = run.as_ref().ok().map(|run| {
            let logged = run.log(&[("loss".into(), Number::Float(0.25))], None).is_ok();
            (logged, run.finish(Status::Finished, None).is_ok())
        });
        drop(run);
        world.heal();
        for lost in completion::lost(&world.ports()).unwrap() {
            completion::recover(&world.ports(), &lost.id).unwrap();
        }
        let record = shown(&world);
        let count = record["metrics"]["loss"]["count"].as_u64().unwrap();
        let expected = match finished {
            Some((true, _)) => 11..=11,
            // What was not accepted may be there all the same.
            _ => 10..=11,
        };
        assert!(expected.contains(&count), "step {step}: {count}");
        assert_eq!(
            (record["notes"][0]["text"].as_str(), record["models"].as_object().unwrap().len()),
            (Some("before"), 2),
            "step {step}"
        );
        let tag = world.reference(&format!("refs/tags/{}", first.tag)).unwrap();
        assert!(tag == first.commit || world.plan(&tag).parents.contains(&first.commit), "step {step}");
        if finished == Some((true, true)) {
            assert!(step > 20, "the steps were not cut off");
            break;
        }
    }
}

#[test]
fn what_goes_on_can_not_be_resumed_and_what_is_lost_is_saved_first() {
    let world = World::project();
    let run = Run::start(&world.ports(), Options::default()).unwrap();
    log(&run, 0..3, 1.0);
    let failure = |selector: &str| {
        let options = Options { resume: Some(selector.into()), ..Options::default() };
        Run::start(&world.ports(), options).err().unwrap()
    };
    assert_eq!(failure("@").kind, FailureKind::InTheWay);
    assert_eq!(failure("nobody").kind, FailureKind::UnknownExperiment);
    let id = run.id().to_owned();
    drop(run);
    let again = resume(&world);
    assert_eq!(again.id(), id);
    assert_eq!(failure(&id).kind, FailureKind::InTheWay, "it goes on again");
    again.log(&[("loss".into(), Number::Float(2.0))], None).unwrap();
    again.finish(Status::Finished, None).unwrap();
    let record = shown(&world);
    assert_eq!((&record["metrics"]["loss"]["count"], &record["metrics"]["loss"]["step"]), (&json!(4), &json!(3)));
    assert_eq!(record["stretches"][0]["status"], json!("killed"));
    assert_eq!(world.journal_ids(), Vec::<String>::new());
}

#[test]
fn children_of_a_stretch_go_on_from_the_steps_before() {
    let world = World::project();
    let first = saved(&world);
    let run = resume(&world);
    let child = Run::join(&world.ports(), &first.id).unwrap();
    child.log(&[("loss".into(), Number::Float(0.0))], None).unwrap();
    drop(child);
    run.finish(Status::Finished, None).unwrap();
    assert_eq!(shown(&world)["metrics"]["loss"], json!({"last": 0.0, "step": 10, "min": 0.0, "max": 1.0, "count": 11}));
}

#[test]
fn code_that_changed_between_is_recorded_and_a_pause_is_no_part_of_the_duration() {
    let world = World::project();
    world.write("src/train.py", b"one");
    world.set_clock(1_000_000);
    saved(&world);
    world.write("src/train.py", b"two");
    world.set_clock(9_000_000);
    let run = resume(&world);
    run.note("x").unwrap();
    run.finish(Status::Finished, None).unwrap();
    let record = shown(&world);
    assert_eq!(record["stretches"][0]["same_code"], json!(false));
    let duration = rows(&world)[0]["duration"].as_f64().unwrap();
    assert!(duration < 60.0, "{duration}");
    let request = Request { condition: Some("duration < 60s".into()), ..Request::of(None) };
    assert_eq!(history::ids(&world.ports(), &request).unwrap().len(), 1);
}

/// Each process keeps to the limits by itself; all stretches together may come to more than a record takes.
#[test]
fn what_stretches_and_their_children_have_together_fits_a_record() {
    let world = World::project();
    let many = |run: &Run, prefix: &str| {
        for number in 0..400 {
            run.save_model(&format!("{prefix}{number}"), World::bytes(b"x")).unwrap();
            run.note(&format!("{prefix}{number} {}", "x".repeat(100))).unwrap();
        }
        run.label(&(0..80).map(|number| format!("{prefix}{number}")).collect::<Vec<_>>(), None).unwrap();
    };
    let run = Run::start(&world.ports(), Options::default()).unwrap();
    many(&run, "first");
    let id = run.finish(Status::Finished, None).unwrap().id;
    drop(run);
    let run = resume(&world);
    let full = run.label(&(0..21).map(|number| format!("own{number}")).collect::<Vec<_>>(), None).unwrap_err();
    assert_eq!(full.kind, FailureKind::LimitReached, "what there was counts");
    for prefix in ["a", "b"] {
        // Of a child, what the experiment had counts too, and what its siblings have does not.
        let child = Run::join(&world.ports(), &id).unwrap();
        for number in 0..100 {
            child.save_model(&format!("{prefix}{number}"), World::bytes(b"x")).unwrap();
            child.note(&format!("{prefix}{number}")).unwrap();
        }
        child.label(&(0..20).map(|number| format!("{prefix}{number}")).collect::<Vec<_>>(), None).unwrap();
    }
    run.finish(Status::Finished, None).unwrap();
    let record = shown(&world);
    assert_eq!(record["models"].as_object().unwrap().len(), 500);
    assert_eq!(record["notes"].as_array().unwrap().len(), 500);
    assert_eq!(record["tags"].as_array().unwrap().len(), 100);
    assert!(world.warnings().iter().any(|warning| warning.contains("left out")), "{:?}", world.warnings());
}

proptest! {
    #[test]
    fn steps_are_a_set(steps in proptest::collection::vec(prop_oneof![0..40u64, u64::MAX - 3..=u64::MAX], 0..60)) {
        let (mut set, mut ranges) = (BTreeSet::new(), Steps::default());
        for step in steps {
            set.insert(step);
            ranges.add(step);
            let all = (0..42).chain(u64::MAX - 4..=u64::MAX);
            prop_assert!(all.clone().all(|step| ranges.has(step) == set.contains(&step)));
            let parts = ranges.0.iter().zip(ranges.0.iter().skip(1));
            prop_assert!(parts.into_iter().all(|((_, last), (first, _))| last + 1 < *first), "ranges that touch are one");
        }
    }

    /// Any stretches of any steps, each ended or killed: what is shown is what a simple model of them says.
    #[test]
    fn what_counts_is_what_no_later_stretch_has(
        stretches in proptest::collection::vec((proptest::collection::vec((0..2usize, 0..6u64, -9..9i64), 0..8), any::<bool>()), 1..5)
    ) {
        let world = World::project();
        let names = ["a", "b"];
        let mut logged: Vec<Vec<(usize, u64, i64)>> = Vec::new();
        for (values, ended) in stretches {
            let run = if logged.is_empty() { Run::start(&world.ports(), Options::default()).unwrap() } else { resume(&world) };
            for (metric, step, value) in &values {
                run.log(&[(names[*metric].into(), Number::Integer(*value))], Some(*step)).unwrap();
            }
            run.note("there").unwrap();
            let id = run.id().to_owned();
            if ended {
                run.finish(Status::Finished, None).unwrap();
            }
            drop(run);
            logged.push(values);
            let check = || {
                let counts = |stretch: usize, metric: usize, step: u64| {
                    logged[stretch + 1..].iter().flatten().all(|(m, s, _)| (*m, *s) != (metric, step))
                };
                let mut expected = Vec::new();
                for (stretch, values) in logged.iter().enumerate() {
                    expected.extend(values.iter().filter(|(metric, step, _)| counts(stretch, *metric, *step)));
                }
                let lines: Vec<_> = expected.iter().map(|(metric, step, value)| (names[*metric].to_owned(), *step, json!(value))).collect();
                assert_eq!(metrics_of(&world), lines);
                let record = shown(&world);
                for (metric, name) in names.iter().enumerate() {
                    let of: Vec<_> = expected.iter().filter(|(m, ..)| *m == metric).collect();
                    let shown = &record["metrics"][name];
                    match of.last() {
                        None => assert!(shown.is_null()),
                        Some((_, step, last)) => {
                            let (min, max) = (of.iter().map(|v| v.2).min(), of.iter().map(|v| v.2).max());
                            assert_eq!(shown, &json!({"last": last, "step": step, "min": min, "max": max, "count": of.len()}));
                        }
                    }
                }
                assert_eq!(record["notes"].as_array().unwrap().len(), logged.len());
            };
            check();
            completion::recover(&world.ports(), &id).unwrap();
            check();
        }
    }
}
