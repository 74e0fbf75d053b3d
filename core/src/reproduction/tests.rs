#![allow(clippy::unwrap_used, reason = "tests")]

use super::load::load;
use super::pack::{Without, pack};
use crate::dataset::add::{self, Options, Source};
use crate::error::FailureKind;
use crate::models;
use crate::ports::{Data, Destination, Place};
use crate::record::Status;
use crate::run::{self, Run};
use crate::testing::World;
use crate::testing::data::Entries;

fn add(world: &World, path: &str) {
    let place = if path.starts_with('/') { Place::Outside(path.into()) } else { Place::Project(path.into()) };
    let added = add::add(&world.ports(), &[Source::Local(place)], &Options::default()).unwrap();
    assert!(added.failures.is_empty(), "{added:?}");
}

fn experiment(world: &World, name: &str, model: &[u8]) -> String {
    let options = run::Options {
        name: Some(name.into()),
        script: Some("src/train.py".into()),
        arguments: vec!["rate=0.1".into(), "note=two words".into()],
        directory: Some("src".into()),
        ..run::Options::default()
    };
    let run = Run::start(&world.ports(), options).unwrap();
    run.save_model("model", World::bytes(model)).unwrap();
    run.output(1, b"hello\n").unwrap();
    run.finish(Status::Finished, None).unwrap().id
}

/// A committed project with one experiment, `first`; the data has changed since.
fn project() -> (World, String) {
    let world = World::project();
    world.write("src/train.py", b"print(1)\n");
    world.write("data.csv", b"one\n");
    world.write("/mnt/far.csv", b"far\n");
    add(&world, "data.csv");
    add(&world, "/mnt/far.csv");
    commit(&world);
    let id = experiment(&world, "first", b"weights 1");
    world.write("data.csv", b"two\n");
    world.write("src/train.py", b"print(2)\n");
    add(&world, "data.csv");
    commit(&world);
    experiment(&world, "second", b"weights 2");
    (world, id)
}

/// As `git add --all && git commit`; the data is ignored.
fn commit(world: &World) {
    let files: Vec<(String, Vec<u8>)> = world
        .files()
        .into_iter()
        .filter(|path| !matches!(path.as_str(), "data.csv" | "later.csv" | "/mnt/far.csv"))
        .map(|path| (path.clone(), world.file(&path).unwrap()))
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    world.commit_files(&files);
}

#[test]
fn code_data_and_model_are_as_they_were() {
    let (world, id) = project();
    let head = world.head();
    let loaded = load(&world.ports(), "first").unwrap();
    assert_eq!(loaded.id, id);
    assert_eq!((loaded.branch.as_deref(), loaded.before), (Some("main"), head.commit));
    assert_eq!((loaded.restored, loaded.models), (vec!["data.csv".to_owned()], vec!["model".to_owned()]));
    assert_eq!(world.file("src/train.py").unwrap(), b"print(1)\n");
    assert_eq!(world.file("data.csv").unwrap(), b"one\n");
    assert_eq!(world.head().branch, None);
    let found = models::find(&world.ports(), "model", None, None, Some("src/train.py")).unwrap();
    assert_eq!(found.experiment, id, "the model of what is checked out, not the newest");
    assert!(world.warnings()[0].contains("`far.csv` lies outside"), "{:?}", world.warnings());
    // Doing it again changes nothing.
    assert!(load(&world.ports(), "first").unwrap().restored.is_empty());
}

#[test]
fn unsaved_work_in_the_way_stops_it_before_anything_is_changed() {
    type Edit<'a> = &'a dyn Fn(&World);
    let edits: [(&str, Edit<'_>); 4] = [
        ("src/train.py", &|world| world.write("src/train.py", b"print(3)\n")),
        ("data.csv", &|world| world.write("data.csv", b"kept nowhere\n")),
        ("rebase", &|world| world.set_operation("rebase")),
        ("late.py", &|_| {}),
    ];
    for (named, edit) in edits {
        let (world, _) = project();
        let selector = if named == "late.py" {
            world.write("late.py", b"never committed\n");
            experiment(&world, "late", b"");
            "late"
        } else {
            "first"
        };
        edit(&world);
        let before: Vec<_> = world.files().into_iter().map(|path| (path.clone(), world.file(&path))).collect();
        let failure = load(&world.ports(), selector).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InTheWay, "{failure:?}");
        assert!(failure.message.contains(named) && !failure.hints.is_empty(), "{failure:?}");
        let after: Vec<_> = world.files().into_iter().map(|path| (path.clone(), world.file(&path))).collect();
        assert_eq!(after, before, "{named}");
    }
}

#[test]
fn data_that_was_added_later_stays_out_of_git() {
    let (world, _) = project();
    world.write("later.csv", b"later\n");
    add(&world, "later.csv");
    commit(&world);
    load(&world.ports(), "first").unwrap();
    assert!(!String::from_utf8(world.file(".gitignore").unwrap()).unwrap().contains("later.csv"));
    let excluded = world.ports().repository.read_exclude().unwrap().unwrap();
    assert!(String::from_utf8(excluded).unwrap().contains("\n/later.csv\n"));
    let id = experiment(&world, "third", b"");
    let commit = world.reference(&format!("refs/tags/au/{id}")).unwrap();
    assert!(!world.tree_of(&commit).contains_key("later.csv"));
}

#[test]
fn untracked_files_that_the_experiment_does_not_hold_are_not_in_the_way() {
    let (world, _) = project();
    world.write("notes.txt", b"mine\n");
    load(&world.ports(), "first").unwrap();
    assert_eq!(world.file("notes.txt").unwrap(), b"mine\n");
}

#[test]
fn what_the_store_lost_is_warned_of() {
    let (world, _) = project();
    world.lose_store();
    world.write("data.csv", b"two\n");
    let loaded = load(&world.ports(), "first").unwrap();
    assert!(loaded.restored.is_empty() && loaded.models.is_empty());
    let warnings = world.warnings().join("\n");
    assert!(warnings.contains("`data.csv`") && warnings.contains("the model `model`"), "{warnings}");
    assert_eq!(world.file("data.csv").unwrap(), b"two\n");
}

#[test]
fn a_selector_names_one_saved_experiment() {
    let (world, _) = project();
    assert_eq!(load(&world.ports(), "first,second").unwrap_err().kind, FailureKind::AmbiguousExperiment);
    assert_eq!(load(&world.ports(), "third").unwrap_err().kind, FailureKind::UnknownExperiment);
}

#[test]
fn a_run_that_is_not_saved_yet_is_not_passed_over() {
    let (world, _) = project();
    let run = Run::start(&world.ports(), run::Options::default()).unwrap();
    let id = run.id().to_owned();
    let told = |selector: &str| load(&world.ports(), selector).unwrap_err();
    assert!(told("@").message.contains("is still running") && told(&id).message.contains("is still running"));
    drop(run);
    assert!(told("@").hints[0].contains("au recover"), "{:?}", told("@"));
    assert!(load(&world.ports(), "@~1").is_ok());
}

fn packed(world: &World, selector: &str, without: Without) -> std::collections::BTreeMap<String, Vec<u8>> {
    let entries = Entries::default();
    let destination = Destination(Box::new(entries.clone()));
    let package = pack(&world.ports(), selector, without, destination).unwrap();
    assert_eq!(package.path, format!("{}.zip", package.id));
    entries.take()
}

#[test]
fn a_package_holds_the_experiment_and_not_the_checkout() {
    let (world, id) = project();
    let entries = packed(&world, "first", Without::default());
    let names: Vec<_> = entries.keys().map(|name| name.strip_prefix(&format!("{id}/")).unwrap()).collect();
    let log = format!("logs/{id}.log");
    let expected = [
        "README.txt",
        log.as_str(),
        "metrics.jsonl",
        "models/model",
        "project/.au/config",
        "project/.au/data/far.csv",
        "project/.au/datasets/data.csv.json",
        "project/.au/datasets/far.csv.json",
        "project/.gitignore",
        "project/data.csv",
        "project/src/train.py",
        "record.json",
        "requirements.txt",
    ];
    assert_eq!(names, expected);
    assert_eq!(entries[&format!("{id}/project/data.csv")], b"one\n");
    assert_eq!(entries[&format!("{id}/project/src/train.py")], b"print(1)\n");
    assert_eq!(entries[&format!("{id}/models/model")], b"weights 1");
    let readme = String::from_utf8(entries[&format!("{id}/README.txt")].clone()).unwrap();
    assert!(
        readme.contains("cd project/src\n") && readme.contains("python train.py rate=0.1 'note=two words'\n"),
        "{readme}"
    );
    assert_eq!(packed(&world, "first", Without::default()), entries);
}

#[test]
fn each_part_can_be_left_out() {
    let (world, id) = project();
    let all = packed(&world, "first", Without::default());
    let parts: [(Without, &[&str]); 5] = [
        (Without { data: true, ..Without::default() }, &["project/data.csv", "project/.au/data/far.csv"]),
        (Without { metrics: true, ..Without::default() }, &["metrics.jsonl"]),
        (Without { logs: true, ..Without::default() }, &[&format!("logs/{id}.log")]),
        (Without { model: true, ..Without::default() }, &["models/model"]),
        (
            Without { code: true, ..Without::default() },
            &[
                "project/.au/config",
                "project/.au/datasets/data.csv.json",
                "project/.au/datasets/far.csv.json",
                "project/.gitignore",
                "project/src/train.py",
            ],
        ),
    ];
    for (without, gone) in parts {
        let some = packed(&world, "first", without);
        let missing: Vec<_> = all.keys().filter(|name| !some.contains_key(*name)).collect();
        let gone: Vec<_> = gone.iter().map(|name| format!("{id}/{name}")).collect();
        assert_eq!(missing.len(), gone.len(), "{without:?}");
        assert!(gone.iter().all(|name| missing.contains(&name)), "{without:?}");
        assert!(String::from_utf8_lossy(&some[&format!("{id}/README.txt")]).contains("Left out on request"));
    }
}

#[test]
fn what_the_store_lost_is_left_out_and_told() {
    let (world, id) = project();
    world.lose_store();
    let entries = packed(&world, "first", Without::default());
    assert!(
        !entries.contains_key(&format!("{id}/project/data.csv")) && entries.contains_key(&format!("{id}/record.json"))
    );
    let warnings = world.warnings().join("\n");
    assert!(
        warnings.contains("`data.csv`") && warnings.contains("`far.csv`") && warnings.contains("`model`"),
        "{warnings}"
    );
}

#[test]
fn show_gives_the_record_and_where_it_is() {
    let (world, id) = project();
    let shown = crate::history::show(&world.ports(), "first").unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["id"], id);
    assert_eq!(shown["commit"].as_str(), world.reference(&format!("refs/tags/au/{id}")).as_deref());
    assert_eq!(shown["datasets"]["data.csv"]["state"], "unchanged");

    let run = Run::start(&world.ports(), run::Options::default()).unwrap();
    let shown = crate::history::show(&world.ports(), run.id()).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["status"], &shown["ended"], &shown["commit"]), (&"running".into(), &().into(), &().into()));
    assert_eq!(
        crate::history::show(&world.ports(), "first,second").unwrap_err().kind,
        FailureKind::AmbiguousExperiment
    );
}

#[test]
fn data_that_git_tracks_too_is_packed_once() {
    let world = World::project();
    world.write("data.csv", b"one\n");
    world.track("data.csv");
    add(&world, "data.csv");
    assert!(world.warnings()[0].contains("git tracks `data.csv`"));
    let id = experiment(&world, "x", b"");
    let entries = packed(&world, "x", Without::default());
    assert_eq!(entries[&format!("{id}/project/data.csv")], b"one\n");
    assert!(world.is_kept(&Place::Project("data.csv".into()), &[]).unwrap());
}
