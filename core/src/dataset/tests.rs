#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::add::{self, Addition, Options, Source};
use super::usage::State;
use super::*;
use crate::record::{Record, Status};
use crate::run::{self, Run};
use crate::testing::World;

fn add_local(world: &World, path: &str) -> Result<Addition> {
    let place = if path.starts_with('/') { Place::Outside(path.into()) } else { Place::Project(path.into()) };
    add::add(&world.ports(), &[Source::Local(place)], &Options::default())
}

fn outcome(addition: &Addition) -> &str {
    assert!(addition.failures.is_empty(), "{:?}", addition.failures);
    addition.rows[0]["outcome"].as_str().unwrap()
}

fn described(world: &World, name: &str) -> Value {
    serde_json::from_slice(&world.file(&layout::dataset(name)).unwrap()).unwrap()
}

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn status_of(world: &World, name: &str) -> Value {
    rows(&status::status(&world.ports(), &[name.to_owned()], false).unwrap()).remove(0)
}

/// A project with the data `a.csv` and `images`.
fn with_data() -> World {
    let world = World::project();
    world.write("a.csv", b"1,2\n");
    world.write("images/1.png", b"one");
    world.write("images/sub/2.png", b"two");
    add_local(&world, "a.csv").unwrap();
    add_local(&world, "images").unwrap();
    world
}

#[test]
fn data_is_kept_described_and_ignored() {
    let world = with_data();
    let description = described(&world, "a.csv");
    assert_eq!(description["schema"], SCHEMA);
    assert_eq!(description["kind"], "file");
    assert_eq!(description["size"], 4);
    assert_eq!(description["source"], json!({ "type": "project", "path": "a.csv" }));
    assert_eq!(description["digest"].as_str().unwrap().len(), "sha256:".len() + 64);
    assert_eq!(described(&world, "images")["files"], 2);
    let ignored = String::from_utf8(world.file(".gitignore").unwrap()).unwrap();
    assert_eq!(ignored, "# >>> aurum data\n/a.csv\n/images/\n# <<< aurum data\n");
    assert_eq!(outcome(&add_local(&world, "a.csv").unwrap()), "unchanged");
    world.write("a.csv", b"1,2,3\n");
    assert_eq!(outcome(&add_local(&world, "a.csv").unwrap()), "updated");
    assert_ne!(described(&world, "a.csv"), description);
}

#[test]
fn what_servers_have_is_called_as_it_is_there() {
    let world = with_data();
    let ports = world.ports();
    let called = |url: &str| -> (String, String) {
        world.serve(url, b"x", "1");
        let mut added = add::add(&ports, &[Source::Address(url.into())], &Options::default()).unwrap();
        let row = added.rows.pop().unwrap_or_else(|| panic!("{:?}", added.failures));
        (row["name"].as_str().unwrap().to_owned(), row["source"]["url"].as_str().unwrap().to_owned())
    };
    for (url, name, shown) in [
        ("s3://bucket/of/key%20x?y", "key%20x?y", "s3://bucket/of/key%20x?y"),
        ("s3://bucket/of/pictures/", "pictures", "s3://bucket/of/pictures/"),
        ("s3://whole", "whole", "s3://whole"),
        ("ftp://ada:hush@example.org/d/e%20f", "e f", "ftp://example.org/d/e%20f"),
        ("FTPS://example.org/g/", "g", "FTPS://example.org/g/"),
    ] {
        assert_eq!(called(url), (name.to_owned(), shown.to_owned()), "{url}");
    }
}

#[test]
fn what_is_wrong_is_told_before_anything_is_done() {
    let world = with_data();
    world.write("other/a.csv", b"x");
    world.write("images/3.png", b"x");
    world.write("b.csv", b"x");
    let ports = world.ports();
    world.write("other/c.csv", b"x");
    let before = world.files();
    let refused = |sources: &[Source], options: &Options| add::add(&ports, sources, options).unwrap_err();
    let local = |path: &str| Source::Local(Place::Project(path.into()));
    let address = |url: &str| Source::Address(url.into());
    let none = Options::default();
    for (source, kind, words) in [
        (local("other/a.csv"), FailureKind::InvalidValue, "one name"),
        (local("images/3.png"), FailureKind::InTheWay, "is in the dataset `images` already"),
        (local(""), FailureKind::InvalidValue, "whole project"),
        (local(".au/config"), FailureKind::InvalidValue, "a part of the project"),
        (address("s3://bucket/key?X-Amz-Signature=hush"), FailureKind::InvalidValue, "opens it"),
        (address("s3://ada:hush@bucket/key"), FailureKind::InvalidValue, "opens it"),
        (address("ftp://ada:hush@example.org"), FailureKind::InvalidValue, "names no file"),
        (address("ftps://example.org/b.csv/"), FailureKind::InTheWay, "is there already"),
        (address("s3://bucket/of/b.csv"), FailureKind::InTheWay, "is there already"),
        (address("gopher://x/y"), FailureKind::InvalidValue, "no address"),
        (address("https://example.org"), FailureKind::InvalidValue, "names no file"),
        (address("https://example.org/a%2Fb"), FailureKind::InvalidValue, "holds a slash"),
        (address("https://example.org/b.csv"), FailureKind::InTheWay, "is there already"),
    ] {
        // One that is right before it is not done either.
        let failure = refused(&[local("b.csv"), source.clone()], &none);
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.contains(words) && !failure.hints.is_empty(), "{failure:?}");
        assert!(!format!("{failure:?}").contains("hush"), "{failure:?}");
    }
    let named = Options { name: Some("x".into()), ..Options::default() };
    assert_eq!(refused(&[local("b.csv"), local("images")], &named).kind, FailureKind::Usage);
    assert!(refused(&[local("a.csv")], &named).message.contains("is the dataset `a.csv` already"));
    assert!(refused(&[local("other"), local("other/c.csv")], &none).message.contains("already"));
    assert_eq!(world.files(), before);
    let renamed = Options { name: Some("b".into()), ..Options::default() };
    assert!(add::add(&ports, &[local("other/a.csv")], &renamed).unwrap().failures.is_empty());
}

#[test]
fn one_that_fails_does_not_keep_the_others_out() {
    let world = with_data();
    world.write("b.csv", b"x");
    let sources = ["gone.csv", "b.csv"].map(|path| Source::Local(Place::Project(path.into())));
    let addition = add::add(&world.ports(), &sources, &Options::default()).unwrap();
    assert_eq!(addition.rows.len(), 1);
    assert_eq!(addition.failures[0].kind, FailureKind::MissingData);
    assert!(world.file(".au/datasets/gone.csv.json").is_none() && world.file(".au/datasets/b.csv.json").is_some());
}

#[test]
fn a_description_is_written_last() {
    let calls = {
        let world = World::project();
        world.write("a.csv", b"x");
        add_local(&world, "a.csv").unwrap();
        world.calls().len() as u32
    };
    for successes in 0..calls {
        let world = World::project();
        world.write("a.csv", b"x");
        world.fail_after(successes);
        let failed = add_local(&world, "a.csv").map(|addition| !addition.failures.is_empty());
        assert!(failed.is_err() || failed.unwrap(), "{successes}");
        world.heal();
        assert!(each(&world.ports()).unwrap().is_empty() && world.file("a.csv").is_some(), "{successes}");
        assert_eq!(outcome(&add_local(&world, "a.csv").unwrap()), "added");
    }
}

#[test]
fn downloads_are_described_by_what_the_server_says() {
    let world = World::project();
    let url = "https://ada:hush@example.org/files/adult%20data?token=hush";
    world.serve(url, b"rows", "\"v1\"");
    let options = Options { folder: "data".into(), ..Options::default() };
    let fetch = || add::add(&world.ports(), &[Source::Address(url.into())], &options).unwrap();
    assert_eq!(outcome(&fetch()), "added");
    assert_eq!(world.file("data/adult data").unwrap(), b"rows");
    let description = described(&world, "adult data");
    assert_eq!(description["source"]["url"], "https://example.org/files/adult%20data?token=***");
    assert_eq!(description["source"]["remote"], json!({ "entity_tag": "\"v1\"", "size": 4 }));
    assert!(!description.to_string().contains("hush"));

    world.serve(url, b"more rows", "\"v2\"");
    assert_eq!(outcome(&fetch()), "updated");
    world.write("data/adult data", b"edited by hand");
    let failure = add::add(&world.ports(), &[Source::Address(url.into())], &options).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InTheWay);
    // Added as it is, it is still what came from there, changed.
    assert_eq!(outcome(&add_local(&world, "data/adult data").unwrap()), "updated");
    assert_eq!(outcome(&fetch()), "updated");
}

#[test]
fn a_file_added_by_hand_can_be_downloaded_again_over_it() {
    let world = World::project();
    world.write("adult.data", b"rows");
    add_local(&world, "adult.data").unwrap();
    world.serve("https://example.org/adult.data", b"rows", "\"v1\"");
    let source = Source::Address("https://example.org/adult.data".into());
    let addition = add::add(&world.ports(), &[source], &Options::default()).unwrap();
    assert_eq!(outcome(&addition), "updated");
    assert_eq!(described(&world, "adult.data")["source"]["type"], "address");
}

#[test]
fn status_tells_what_changed_here_and_there() {
    let world = with_data();
    let url = "https://example.org/r.csv";
    world.serve(url, b"rows", "\"v1\"");
    add::add(&world.ports(), &[Source::Address(url.into())], &Options::default()).unwrap();
    assert_eq!(status_of(&world, "a.csv")["state"], "unchanged");
    assert_eq!(status_of(&world, "a.csv")["in_store"], true);
    assert_eq!(status_of(&world, "r.csv")["remote"], "unchanged");
    world.write("images/sub/2.png", b"three");
    world.write("images/4.png", b"four");
    world.serve(url, b"rows", "\"v2\"");
    let images = status_of(&world, "images");
    assert_eq!(images["state"], "changed");
    let differences = json!({ "added": 1, "changed": 1, "removed": 0, "examples": ["+ 4.png", "~ sub/2.png"] });
    assert_eq!(images["differences"], differences);
    assert_eq!(status_of(&world, "r.csv")["remote"], "changed");
    world.refuse("remote");
    assert_eq!(status_of(&world, "r.csv")["remote"], "unknown");
    let offline = status::status(&world.ports(), &["r.csv".into()], true).unwrap();
    assert_eq!(rows(&offline)[0]["remote"], Value::Null);
    WorkspaceEditRemove::remove(&world, "a.csv");
    assert_eq!(status_of(&world, "a.csv")["state"], "missing");
}

/// The working file alone, as the user would remove it.
struct WorkspaceEditRemove;
impl WorkspaceEditRemove {
    fn remove(world: &World, path: &str) {
        crate::ports::WorkspaceEdit::remove(world, path).unwrap();
    }
}

#[test]
fn names_paths_and_addresses_name_a_dataset() {
    let world = with_data();
    world.write("/mnt/big.bin", b"x");
    add_local(&world, "/mnt/big.bin").unwrap();
    let found = |name: &str| find(&world.ports(), &[name.to_owned()]).map(|found| found[0].name.clone());
    for (name, expected) in
        [("images", "images"), ("images/", "images"), ("./a.csv", "a.csv"), ("/mnt/big.bin", "big.bin")]
    {
        assert_eq!(found(name).unwrap(), expected);
    }
    let unknown = found("imgaes").unwrap_err();
    assert_eq!(unknown.kind, FailureKind::UnknownDataset);
    assert_eq!(unknown.hints[0], "Did you mean `images`?");
}

#[test]
fn what_lies_outside_is_remembered_by_this_clone_alone() {
    let world = World::project();
    world.write("/mnt/big.bin", b"x");
    assert_eq!(outcome(&add_local(&world, "/mnt/big.bin").unwrap()), "added");
    assert_eq!(world.local_setting("aurum.data.big.bin.path").unwrap(), "/mnt/big.bin");
    assert!(!described(&world, "big.bin").to_string().contains("/mnt"));
    assert!(world.file(".gitignore").is_none());
    assert_eq!(outcome(&add_local(&world, "/mnt/big.bin").unwrap()), "unchanged");
    remove::remove(&world.ports(), &["big.bin".into()], true).unwrap();
    assert!(world.file("/mnt/big.bin").is_some(), "what lies outside is never deleted");
    assert!(world.local_setting("aurum.data.big.bin.path").is_none());
    assert!(each(&world.ports()).unwrap().is_empty());
}

#[test]
fn what_lay_outside_is_found_where_a_package_has_it() {
    let world = World::project();
    world.write("/mnt/big.bin", b"x");
    add_local(&world, "/mnt/big.bin").unwrap();
    crate::ports::RepositoryEdit::set_local_setting(&world, "aurum.data.big.bin.path", None).unwrap();
    let place = |world: &World| find(&world.ports(), &["big.bin".into()]).unwrap()[0].place(&world.ports()).unwrap();
    assert_eq!(place(&world), None);
    world.write(".au/data/big.bin", b"x");
    assert_eq!(place(&world), Some(Place::Project(".au/data/big.bin".into())));
}

#[test]
fn removing_leaves_the_files_unless_told_and_never_loses_any() {
    let world = with_data();
    let ports = world.ports();
    let removed = rows(&remove::remove(&ports, &["a.csv".into()], false).unwrap());
    assert_eq!(removed[0]["outcome"], "removed");
    assert!(world.file("a.csv").is_some() && world.file(".au/datasets/a.csv.json").is_none());
    assert!(!String::from_utf8(world.file(".gitignore").unwrap()).unwrap().contains("a.csv"));
    world.write("images/new.png", b"kept nowhere");
    let failure = remove::remove(&ports, &["images".into()], true).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InTheWay);
    assert!(world.file("images/new.png").is_some());
    add_local(&world, "images").unwrap();
    assert_eq!(rows(&remove::remove(&ports, &["images".into()], true).unwrap())[0]["outcome"], "deleted");
    assert!(world.file("images/1.png").is_none() && world.file(".gitignore").is_some_and(|text| text.is_empty()));
    assert_eq!(remove::remove(&ports, &[], true).unwrap_err().kind, FailureKind::Usage);
}

#[test]
fn restoring_never_loses_what_is_kept_nowhere_else() {
    let world = with_data();
    let ports = world.ports();
    let restore = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        restore::restore(&ports, &names, &restore::Request::default())
            .map(|text| rows(&text).iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(restore(&[]).unwrap(), ["unchanged", "unchanged"]);
    crate::ports::Data::remove(&world, "images").unwrap();
    assert_eq!(restore(&["images"]).unwrap(), ["restored"]);
    assert_eq!(world.file("images/sub/2.png").unwrap(), b"two");
    world.write("a.csv", b"edited");
    crate::ports::Data::remove(&world, "images").unwrap();
    assert_eq!(restore(&[]).unwrap_err().kind, FailureKind::InTheWay);
    assert!(world.file("images/1.png").is_none(), "all or none");
    world.lose_store();
    assert_eq!(restore(&["images"]).unwrap_err().kind, FailureKind::MissingData);
}

#[test]
fn descriptions_that_say_something_else_are_refused_by_name() {
    let world = with_data();
    world.write(".au/datasets/x.json", b"<<<<<<< HEAD");
    let failure = find(&world.ports(), &["x".into()]).unwrap_err();
    assert!(failure.message.contains(".au/datasets/x.json"), "{failure}");
    let mut other = described(&world, "a.csv");
    for (key, value) in [
        ("schema", json!("aurum.dataset/9")),
        ("name", json!("z")),
        ("source", json!({ "type": "project" })),
        ("source", json!({ "type": "project", "path": ".au/config" })),
        ("source", json!({ "type": "project", "path": "" })),
    ] {
        let former = std::mem::replace(&mut other[key], value);
        world.write(".au/datasets/a.csv.json", other.to_string().as_bytes());
        assert!(read(&world.ports(), "a.csv").is_err(), "{key}");
        other[key] = former;
    }
}

fn start(world: &World) -> Run {
    Run::start(&world.ports(), run::Options::default()).unwrap()
}

fn record(world: &World, run: &Run) -> Record {
    let finished = run.finish(Status::Finished, None).unwrap();
    Record::parse(&world.tree_of(&finished.commit)[&layout::record(&finished.id)]).unwrap()
}

#[test]
fn a_run_lists_the_data_there_was_and_what_it_used() {
    let world = with_data();
    let run = start(&world);
    assert_eq!(run.use_datasets(&["images".into()]).unwrap(), [Place::Project("images".into())]);
    assert_eq!(run.use_datasets(&["nope".into()]).unwrap_err().kind, FailureKind::UnknownDataset);
    let record = record(&world, &run);
    let (file, folder) = (&record.datasets["a.csv"], &record.datasets["images"]);
    assert!(!file.used && folder.used);
    assert_eq!((file.state, folder.state), (State::Unchanged, State::Unchanged));
    assert_eq!(folder.digest.as_deref(), described(&world, "images")["digest"].as_str());
    assert!(world.warnings().is_empty(), "{:?}", world.warnings());
}

#[test]
fn changed_data_is_a_new_state_and_is_warned_of() {
    let world = with_data();
    world.write("a.csv", b"1,2,3\n");
    crate::ports::Data::remove(&world, "images").unwrap();
    let record = record(&world, &start(&world));
    let (file, folder) = (&record.datasets["a.csv"], &record.datasets["images"]);
    assert_eq!((file.state, folder.state), (State::Changed, State::Missing));
    assert_ne!(file.digest, file.recorded);
    assert_eq!(file.recorded.as_deref(), described(&world, "a.csv")["digest"].as_str());
    assert!(world.warnings()[0].contains("`a.csv` has changed"), "{:?}", world.warnings());
}

#[test]
fn another_version_that_is_kept_is_told_apart_from_one_that_is_not() {
    let world = with_data();
    world.write("a.csv", b"1,2,3\n");
    add_local(&world, "a.csv").unwrap();
    world.write("a.csv", b"1,2\n");
    assert_eq!(record(&world, &start(&world)).datasets["a.csv"].state, State::Changed);
    assert_eq!(world.warnings().len(), 1);
    assert!(
        world.warnings()[0].contains("`a.csv` is another version than the one described"),
        "{:?}",
        world.warnings()
    );
}

#[test]
fn what_is_too_large_to_read_at_the_start_is_read_at_the_end_or_told_to_be_unknown() {
    const MIB: u64 = 1 << 20;
    for (cost, state) in [(MIB, State::Unchanged), (40 * MIB, State::Unchanged), (520 * MIB, State::Unhashed)] {
        let world = World::project();
        world.write("big.bin", b"much");
        add_local(&world, "big.bin").unwrap();
        world.set_cost("big.bin", cost);
        let usage = record(&world, &start(&world)).datasets.remove("big.bin").unwrap();
        assert_eq!(usage.state, state, "{cost}");
        assert_eq!(usage.digest.is_none(), state == State::Unhashed);
        assert_eq!(!world.warnings().is_empty(), state == State::Unhashed, "{:?}", world.warnings());
        world.set_cost("big.bin", 0);
        let usage = record(&world, &start(&world)).datasets.remove("big.bin").unwrap();
        assert_eq!(usage.state, State::Unchanged);
    }
}

#[test]
fn using_what_is_gone_brings_it_back_or_says_how_to_get_it() {
    let world = with_data();
    crate::ports::Data::remove(&world, "images").unwrap();
    let run = start(&world);
    run.use_datasets(&["images".into()]).unwrap();
    assert_eq!(world.file("images/1.png").unwrap(), b"one");
    assert_eq!(record(&world, &run).datasets["images"].state, State::Unchanged);

    crate::ports::Data::remove(&world, "a.csv").unwrap();
    world.lose_store();
    let failure = start(&world).use_datasets(&["a.csv".into()]).unwrap_err();
    assert_eq!(failure.kind, FailureKind::MissingData);
    assert!(failure.hints[0].contains("a.csv"), "{failure:?}");
}

#[test]
fn a_reopened_run_knows_its_data() {
    let world = with_data();
    let run = start(&world);
    run.use_datasets(&["a.csv".into()]).unwrap();
    let id = run.id().to_owned();
    drop(run);
    let record = record(&world, &Run::reopen(&world.ports(), &id, 0).unwrap());
    assert!(record.datasets["a.csv"].used && record.datasets.len() == 2);
}

#[test]
fn a_description_that_can_not_be_read_does_not_stop_a_run() {
    let world = with_data();
    world.write(".au/datasets/images.json", b"{");
    let record = record(&world, &start(&world));
    assert_eq!(record.datasets.keys().collect::<Vec<_>>(), ["a.csv"]);
    assert!(world.warnings()[0].contains("images.json"), "{:?}", world.warnings());
}
