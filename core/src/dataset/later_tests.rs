//! What becomes of data after it was added: its versions, its changes, and having it again.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::add::{self, Options, Source};
use super::*;
use crate::record::{Record, Status};
use crate::run::{self, Run};
use crate::testing::World;

const URL: &str = "https://example.org/r.csv";

fn add_local(world: &World, path: &str) -> String {
    let place = if path.starts_with('/') { Place::Outside(path.into()) } else { Place::Project(path.into()) };
    let addition = add::add(&world.ports(), &[Source::Local(place)], &Options::default()).unwrap();
    addition.rows[0]["digest"].as_str().unwrap().to_owned()
}

fn download(world: &World, bytes: &[u8], tag: &str) {
    world.serve(URL, bytes, tag);
    let addition = add::add(&world.ports(), &[Source::Address(URL.into())], &Options::default()).unwrap();
    assert!(addition.failures.is_empty());
}

/// Commits what describes `a.csv` now.
fn commit(world: &World) -> String {
    let path = layout::dataset("a.csv");
    world.commit_files(&[(&path, &world.file(&path).unwrap())])
}

fn run(world: &World, name: Option<&str>) -> String {
    let options = run::Options { name: name.map(str::to_owned), ..run::Options::default() };
    let run = Run::start(&world.ports(), options).unwrap();
    run.notice_datasets(&["a.csv".into()]).unwrap();
    run.finish(Status::Finished, None).unwrap().id
}

fn history(world: &World) -> Vec<Value> {
    serde_json::from_str(&versions::history(&world.ports(), "a.csv").unwrap()).unwrap()
}

fn restore_version(world: &World, version: &str, to: Option<&str>) -> Result<()> {
    let request =
        restore::Request { version: Some(version.to_owned()), to: to.map(str::to_owned), ..Default::default() };
    restore::restore(&world.ports(), &["a.csv".into()], &request).map(drop)
}

#[test]
fn each_content_that_was_described_or_had_is_a_version() {
    let world = World::project();
    world.write("a.csv", b"1");
    let first = add_local(&world, "a.csv");
    let committed = commit(&world);
    world.write("a.csv", b"22");
    let second = add_local(&world, "a.csv");
    let experiment = run(&world, Some("base"));
    world.write("a.csv", b"333");
    let third = add_local(&world, "a.csv");
    let versions = history(&world);
    let digests: Vec<&Value> = versions.iter().map(|version| &version["digest"]).collect();
    assert_eq!(digests, [&first, &second, &third]);
    assert_eq!(versions[0]["commits"], json!([{ "commit": committed, "time": "1970-01-01T00:00:00.000Z" }]));
    let had = &versions[1]["experiments"][0];
    assert_eq!((&had["id"], &had["name"], &had["used"]), (&json!(experiment), &json!("base"), &json!(true)));
    assert_eq!((&versions[1]["size"], &versions[2]["since"]), (&json!(2), &Value::Null));
    let described: Vec<&Value> = versions.iter().map(|version| &version["described"]).collect();
    assert_eq!(described, [false, false, true]);
    assert!(versions.iter().all(|version| version["in_store"] == true));

    remove::remove(&world.ports(), &["a.csv".into()], false).unwrap();
    assert_eq!(history(&world).len(), 2, "one that was taken out has its history still");
    assert_eq!(versions::history(&world.ports(), "b.csv").unwrap_err().kind, FailureKind::UnknownDataset);
}

#[test]
fn a_version_is_named_by_its_digest_its_commit_or_an_experiment() {
    let world = World::project();
    world.write("a.csv", b"1");
    let first = add_local(&world, "a.csv");
    let committed = commit(&world);
    world.write("a.csv", b"22");
    add_local(&world, "a.csv");
    let experiment = run(&world, Some("base"));
    world.write("a.csv", b"333");
    add_local(&world, "a.csv");
    for version in [&first, &first[..20], &first["sha256:".len()..][..12], &committed] {
        restore_version(&world, version, None).unwrap();
        assert_eq!(world.file("a.csv").unwrap(), b"1", "{version}");
        restore_version(&world, "base", None).unwrap();
        assert_eq!(world.file("a.csv").unwrap(), b"22");
    }
    restore_version(&world, &experiment, Some("old.csv")).unwrap();
    assert_eq!(world.file("old.csv").unwrap(), b"22");
    let refused = |version: &str, to: Option<&str>| restore_version(&world, version, to).unwrap_err();
    assert_eq!(refused(&first, Some("old.csv")).kind, FailureKind::InTheWay);
    assert_eq!(refused(&first, Some("a.csv/x")).kind, FailureKind::InTheWay);
    world.write("a.csv", b"55555");
    let passing = add_local(&world, "a.csv");
    world.write("a.csv", b"333");
    add_local(&world, "a.csv");
    restore_version(&world, &passing, None).unwrap();
    assert_eq!(world.file("a.csv").unwrap(), b"55555", "nothing but the store knows of it");
    assert_eq!(refused("sha256:0000", None).kind, FailureKind::MissingData);
    let unknown = refused("nobody", None);
    assert!(unknown.message.contains("neither a version") && unknown.hints[0].contains("au data history a.csv"));
    assert_eq!(refused("@~9", None).kind, FailureKind::UnknownExperiment);
    world.write("a.csv", b"kept nowhere");
    assert_eq!(refused(&first, None).kind, FailureKind::InTheWay);
    assert_eq!(world.file("a.csv").unwrap(), b"kept nowhere");
    let request = restore::Request { version: Some(first), ..Default::default() };
    assert_eq!(restore::restore(&world.ports(), &[], &request).unwrap_err().kind, FailureKind::Usage);
}

fn update(world: &World) -> (Vec<String>, Vec<Failure>) {
    let addition = update::update(&world.ports(), &[]).unwrap();
    let told = |row: &Value| format!("{} {}", row["outcome"].as_str().unwrap(), row["name"].as_str().unwrap());
    (addition.rows.iter().map(told).collect(), addition.failures)
}

#[test]
fn what_has_changed_on_either_side_is_taken_up() {
    let world = World::project();
    world.write("a.csv", b"1");
    add_local(&world, "a.csv");
    download(&world, b"rows", "\"v1\"");
    assert_eq!(update(&world), (vec!["unchanged a.csv".into(), "unchanged r.csv".into()], vec![]));
    world.write("a.csv", b"2");
    world.serve(URL, b"more rows", "\"v2\"");
    assert_eq!(update(&world), (vec!["updated a.csv".into(), "updated r.csv".into()], vec![]));
    assert_eq!(world.file("r.csv").unwrap(), b"more rows");

    world.write("r.csv", b"edited here");
    world.serve(URL, b"and there", "\"v3\"");
    crate::ports::Data::remove(&world, "a.csv").unwrap();
    let (rows, failures) = update(&world);
    assert!(rows.is_empty());
    assert_eq!(
        failures.iter().map(|failure| failure.kind).collect::<Vec<_>>(),
        [FailureKind::MissingData, FailureKind::InTheWay]
    );
    assert_eq!(world.file("r.csv").unwrap(), b"edited here", "nothing of the user's is lost");
    world.refuse("remote");
    assert!(update(&world).1[1].message.contains("can't be asked"));
}

#[test]
fn what_was_not_kept_is_not_kept_by_an_update() {
    let world = World::project();
    world.write("a.csv", b"1");
    let place = Source::Local(Place::Project("a.csv".into()));
    let options = Options { store: Some(false), ..Options::default() };
    add::add(&world.ports(), &[place], &options).unwrap();
    world.write("a.csv", b"2");
    assert_eq!(update(&world).0, ["updated a.csv"]);
    assert!(!read(&world.ports(), "a.csv").unwrap().stored && !world.has_stored(b"2"));
}

#[test]
fn what_the_store_lacks_is_downloaded_if_it_is_the_same_still() {
    let world = World::project();
    download(&world, b"rows", "\"v1\"");
    let gone = || {
        crate::ports::Data::remove(&world, "r.csv").unwrap();
        world.lose_store();
    };
    let restore = |fetch| {
        restore::restore(&world.ports(), &[], &restore::Request { fetch, ..Default::default() })
            .map(|text| serde_json::from_str::<Vec<Value>>(&text).unwrap().remove(0)["outcome"].clone())
    };
    gone();
    assert_eq!(restore(false).unwrap_err().kind, FailureKind::MissingData);
    assert_eq!(restore(true).unwrap(), "downloaded");
    assert_eq!(world.file("r.csv").unwrap(), b"rows");
    assert!(world.has_stored(b"rows"));
    gone();
    world.serve(URL, b"other rows", "\"v2\"");
    let failure = restore(true).unwrap_err();
    assert!(failure.message.contains("another version now") && failure.hints[0].contains("au data update r.csv"));
    assert!(world.file("r.csv").is_none(), "what is not the dataset is not left in its place");
    // What stands there is the user's.
    world.write("r.csv", b"mine");
    assert_eq!(restore(true).unwrap_err().kind, FailureKind::InTheWay);
    assert_eq!(world.file("r.csv").unwrap(), b"mine");
}

fn verify(world: &World) -> Vec<Value> {
    let rows: Vec<Value> = serde_json::from_str(&verify::verify(&world.ports(), &[]).unwrap()).unwrap();
    rows.into_iter().flat_map(|row| row["damages"].as_array().unwrap().clone()).collect()
}

#[test]
fn verifying_tells_where_something_is_wrong() {
    let world = World::project();
    world.write("a.csv", b"1");
    add_local(&world, "a.csv");
    assert!(verify(&world).is_empty());
    crate::ports::Data::remove(&world, "a.csv").unwrap();
    assert!(verify(&world).is_empty(), "what can be brought back is not lost");
    world.write("a.csv", b"2");
    assert_eq!(verify(&world), [json!({ "where": "place", "name": "", "what": "is not what was recorded" })]);
    world.write("a.csv", b"1");
    world.lose_store();
    assert_eq!(verify(&world), [json!({ "where": "store", "name": "", "what": "is not in the store" })]);
    crate::ports::Data::remove(&world, "a.csv").unwrap();
    assert_eq!(verify(&world).len(), 2);
}

#[test]
fn what_a_script_opens_is_used() {
    let world = World::project();
    for name in ["a.csv", "b.csv", "c.csv"] {
        world.write(name, name.as_bytes());
        add_local(&world, name);
    }
    let run = Run::start(&world.ports(), run::Options::default()).unwrap();
    world.write("b.csv", b"changed");
    run.notice_datasets(&["b.csv".into(), "nothing.csv".into()]).unwrap();
    run.notice_datasets(&["b.csv".into()]).unwrap();
    let finished = run.finish(Status::Finished, None).unwrap();
    let record = Record::parse(&world.tree_of(&finished.commit)[&layout::record(&finished.id)]).unwrap();
    let used: Vec<&str> =
        record.datasets.iter().filter(|(_, usage)| usage.used).map(|(name, _)| name.as_str()).collect();
    assert_eq!((used, record.datasets.len()), (vec!["b.csv"], 3));
    assert_eq!(record.datasets["b.csv"].state, usage::State::Changed);
}

#[test]
fn runs_are_told_when_a_server_has_another_version() {
    let newer = |world: &World| {
        world.warnings().iter().filter(|text| text.contains("another version of `r.csv` on the server than")).count()
    };
    let world = World::project();
    download(&world, b"one", "1");
    let start = || Run::start(&world.ports(), run::Options::default()).unwrap();
    let end = |run: Run| drop(run.finish(Status::Finished, None).unwrap());

    let first = start();
    assert!(first.take_servers_due() && !first.take_servers_due(), "it is told once");
    watch::look(&world.ports()).unwrap();
    end(first);
    assert_eq!(newer(&world), 0, "nothing is new");

    world.serve(URL, b"two", "2");
    let second = start();
    assert!(!second.take_servers_due(), "a look was had just now");
    end(second);
    world.set_clock(world.ports().clock.now() + 3_600_000);
    let third = start();
    assert!(third.take_servers_due());
    assert_eq!(newer(&world), 0);
    watch::look(&world.ports()).unwrap();
    end(third);
    assert_eq!(newer(&world), 1, "what was found meanwhile is told at the end");
    let fourth = start();
    assert_eq!(newer(&world), 2, "what is known is told at the beginning");
    end(fourth);
    assert_eq!(newer(&world), 2, "and once a run");

    assert!(update::update(&world.ports(), &[]).unwrap().failures.is_empty());
    end(start());
    assert_eq!(newer(&world), 2, "what was found is of another version than the one there is now");
}

#[test]
fn servers_are_left_alone_where_that_is_set_or_none_is_known() {
    let world = World::project();
    world.write("a.csv", b"1");
    add_local(&world, "a.csv");
    assert!(!Run::start(&world.ports(), run::Options::default()).unwrap().take_servers_due());
    download(&world, b"one", "1");
    for off in ["false", "off", "0", "No"] {
        world.ports().repository_edit.set_local_setting("aurum.watchServers", Some(off)).unwrap();
        assert!(!Run::start(&world.ports(), run::Options::default()).unwrap().take_servers_due(), "{off}");
    }
    world.ports().repository_edit.set_local_setting("aurum.watchServers", None).unwrap();
    // Without a memory of it, each run would ask.
    world.refuse("cache");
    assert!(!Run::start(&world.ports(), run::Options::default()).unwrap().take_servers_due());
}
