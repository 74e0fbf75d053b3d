//! Data on real folders, from one end to the other.

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::capabilities::store::{PIECE, digest_of};

struct Project {
    _folder: tempfile::TempDir,
    root: PathBuf,
    store: Store,
    data: Data,
}

fn project() -> Project {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let store = Store::new(folder.path().join("aurum/store"));
    let data = Data::new(&root, Some(&folder.path().join("aurum")));
    Project { _folder: folder, root, store, data }
}

impl Project {
    fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    fn keep(&self, path: &str) -> Facts {
        self.data.keep(Place::Project(path)).unwrap().unwrap()
    }

    fn measure(&self, path: &str) -> Facts {
        self.data.measure(Place::Project(path), None).unwrap().unwrap()
    }

    /// A tree with everything that data can have, and its digest.
    fn sample(&self) -> String {
        self.write("d/a/b.csv", "1,2\n");
        self.write("d/a-b", "minus sorts before the slash");
        self.write("d/a.txt", "");
        self.write("d/same", "1,2\n");
        self.write("d/odd \n\"é/name\t", "odd");
        self.write("d/large", vec![7; 3 * PIECE + 1]);
        fs::set_permissions(self.write("d/run.sh", "#!"), Permissions::from_mode(0o700)).unwrap();
        fs::create_dir_all(self.root.join("d/empty/of/it")).unwrap();
        symlink("../a.txt", self.root.join("d/a/link")).unwrap();
        symlink("nowhere", self.root.join("d/dangling")).unwrap();
        self.keep("d").digest.unwrap()
    }

    fn entries(&self, digest: &str) -> Vec<manifest::Entry> {
        manifest::read(&self.store, digest).unwrap().unwrap().map(Result::unwrap).collect()
    }

    /// A manifest that somebody made up.
    fn manifest(&self, text: &str) -> String {
        self.store.add(&mut text.as_bytes()).unwrap().digest
    }

    /// Nothing is in the store but what has its place.
    fn is_tidy(&self) -> bool {
        fs::read_dir(self.store.folder()).unwrap().all(|entry| entry.unwrap().file_name() == "sha256")
    }
}

/// Everything below a path: names, kinds, permissions, contents.
fn tree(path: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let content = if found.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if found.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            all.push((path.to_str().unwrap().to_owned(), found.mode() & !0o077, content));
        }
    }
    all.sort();
    all
}

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

fn settle() {
    thread::sleep(Duration::from_nanos(stat_cache::FINE_MARGIN as u64 * 3 / 2));
}

#[test]
fn a_file_is_its_content() {
    let project = project();
    assert_eq!(project.data.measure(Place::Project("f"), None).unwrap(), None);
    assert_eq!(project.data.keep(Place::Project("no/f")).unwrap(), None);
    assert!(project.data.is_kept(Place::Project("f"), &[]).unwrap());
    for size in [0, 5, PIECE, PIECE + 1, 3 * PIECE + 7] {
        let path = project.write("x/f", vec![3; size]);
        let measured = project.measure("x/f");
        let digest = measured.digest.clone().unwrap();
        assert_eq!((measured.kind, measured.size, measured.files), (Kind::File, size as u64, 1));
        assert_eq!(project.data.measure(Place::Outside(&path), None).unwrap().unwrap(), measured);
        assert!(!project.data.is_kept(Place::Project("x/f"), &[]).unwrap());
        assert!(!project.data.can_restore(Kind::File, &digest).unwrap());
        assert_eq!(project.keep("x/f"), measured);
        assert!(project.data.is_kept(Place::Project("x/f"), &[]).unwrap());
        assert!(project.data.can_restore(Kind::File, &digest).unwrap());
        assert_eq!(fs::read(project.store.path(&digest).unwrap()).unwrap(), vec![3; size]);
        assert_eq!(fs::metadata(project.store.path(&digest).unwrap()).unwrap().mode() & 0o7777, 0o444);
        project.data.remove("x").unwrap();
        project.data.restore("x/f", Kind::File, &digest).unwrap();
        assert_eq!(fs::read(&path).unwrap(), vec![3; size]);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"mine").unwrap();
        assert_eq!(fs::read(project.store.path(&digest).unwrap()).unwrap().len(), size, "the store's is another file");
    }
    assert!(project.is_tidy());
}

#[test]
fn a_folder_is_its_manifest() {
    let project = project();
    let digest = project.sample();
    let entries = project.entries(&digest);
    let told: Vec<_> = entries.iter().map(|entry| (&*entry.path, entry.mode, entry.size)).collect();
    use manifest::Mode::{Executable, File, Folder, Link};
    assert_eq!(
        told,
        [
            ("a/b.csv", File, 4),
            ("a/link", Link, 8),
            ("a-b", File, 28),
            ("a.txt", File, 0),
            ("dangling", Link, 7),
            ("empty/of/it", Folder, 0),
            ("large", File, 3 * PIECE as u64 + 1),
            ("odd \n\"é/name\t", File, 3),
            ("run.sh", Executable, 2),
            ("same", File, 4),
        ]
    );
    let facts = project.measure("d");
    assert_eq!((facts.kind, facts.files, facts.size), (Kind::Folder, 9, 41 + 3 * PIECE as u64 + 1));
    assert_eq!(facts.digest.as_ref(), Some(&digest));
    assert_eq!(project.keep("d"), facts);
    assert_eq!(project.data.keep(Place::Outside(&project.root.join("d"))).unwrap().unwrap(), facts);
    assert!(project.data.is_kept(Place::Project("d"), &[]).unwrap());
    assert!(project.data.can_restore(Kind::Folder, &digest).unwrap());
    assert!(project.is_tidy());
    fs::create_dir(project.root.join("none")).unwrap();
    let none = project.keep("none");
    assert_eq!((none.files, none.digest), (0, Some(digest_of(&Sha256::digest([]).into()))));
}

#[test]
fn whatever_stood_there_comes_back() {
    let project = project();
    let digest = project.sample();
    let before = tree(&project.root);
    let d = project.root.join("d");
    let restore = || {
        project.data.restore("d", Kind::Folder, &digest).unwrap();
        assert_eq!(tree(&project.root), before);
        assert_eq!(project.measure("d").digest.as_ref(), Some(&digest));
    };
    let inode = fs::metadata(d.join("same")).unwrap().ino();
    restore();
    assert_eq!(fs::metadata(d.join("same")).unwrap().ino(), inode, "what is the same is not touched");
    project.data.remove("d").unwrap();
    project.data.remove("d").unwrap();
    assert!(!d.exists());
    restore();
    // Kinds the wrong way round.
    fs::remove_dir_all(d.join("a")).unwrap();
    project.write("d/a", "a file");
    fs::remove_file(d.join("same")).unwrap();
    project.write("d/same/x/y", "a folder");
    fs::remove_file(d.join("dangling")).unwrap();
    project.write("d/dangling", "a file");
    fs::remove_file(d.join("large")).unwrap();
    symlink("same", d.join("large")).unwrap();
    project.write("d/empty/of/it/not", "");
    project.write("d/zz/more", "");
    project.write("d/0", "first");
    fs::write(d.join("a-b"), "minus sorts before the SLASH").unwrap();
    fs::set_permissions(d.join("run.sh"), Permissions::from_mode(0o600)).unwrap();
    restore();
    fs::remove_dir_all(&d).unwrap();
    symlink("/tmp", &d).unwrap();
    restore();
    fs::remove_dir_all(&d).unwrap();
    project.write("d", "a file");
    restore();
    let file = project.store.add(&mut b"now a file".as_slice()).unwrap().digest;
    project.data.restore("d", Kind::File, &file).unwrap();
    assert_eq!(fs::read(&d).unwrap(), b"now a file");
    assert!(project.data.restore("d/below/it", Kind::File, &file).is_err(), "a parent is not replaced");
}

#[test]
fn nothing_is_touched_when_it_can_not_succeed() {
    let project = project();
    let digest = project.sample();
    let gone = digest_of(&[9; 32]);
    let text = |path: &str, mode: &str, size: usize, digest: &str| {
        format!("{{\"path\":\"{path}\",\"mode\":\"{mode}\",\"size\":{size},\"digest\":\"{digest}\"}}\n")
    };
    let hello = project.store.add(&mut b"hello".as_slice()).unwrap().digest;
    let out = project.store.add(&mut b"../../secret".as_slice()).unwrap().digest;
    let absolute = project.store.add(&mut b"/etc".as_slice()).unwrap().digest;
    let hostile = [
        gone.clone(),
        project.manifest(&text("../x", "100644", 5, &hello)),
        project.manifest(&text("/x", "100644", 5, &hello)),
        project.manifest(&text(".git/config", "100644", 5, &hello)),
        project.manifest(&text("x", "100644", 5, &gone)),
        project.manifest(&text("x", "100644", 4, &hello)),
        project.manifest(&text("x", "120000", 12, &out)),
        project.manifest(&text("x", "120000", 4, &absolute)),
        project.manifest(&(text("x", "120000", 5, &hello) + &text("x/y", "100644", 5, &hello))),
        project.manifest(&(text("x", "100644", 5, &hello) + &text("x", "100644", 5, &hello))),
        hello.clone(),
    ];
    let before = tree(&project.root);
    for digest in &hostile {
        assert!(project.data.restore("d", Kind::Folder, digest).is_err(), "{digest}");
        assert_eq!(tree(&project.root), before);
    }
    assert!(project.data.restore("d", Kind::File, &gone).is_err());
    assert!(!project.data.can_restore(Kind::Folder, &hostile[4]).unwrap());
    assert!(!project.data.can_restore(Kind::Folder, &gone).unwrap());
    for path in ["", "..", ".git/hooks", "/d"] {
        assert!(matches!(project.data.restore(path, Kind::Folder, &digest), Err(Error::InvalidPath(_))));
        assert!(matches!(project.data.remove(path), Err(Error::InvalidPath(_))));
        assert!(matches!(project.data.keep(Place::Project(path)), Err(Error::InvalidPath(_))));
    }
    assert_eq!(tree(&project.root), before);
}

#[test]
fn damaged_content_is_not_restored() {
    let project = project();
    let digest = project.sample();
    let object = project.entries(&digest)[0].digest.clone().unwrap();
    let path = project.store.path(&object).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, "1,3\n").unwrap();
    fs::write(project.root.join("d/a/b.csv"), "mine").unwrap();
    assert!(message(project.data.restore("d", Kind::Folder, &digest)).contains("`d/a/b.csv`, is damaged"));
    assert_eq!(fs::read(project.root.join("d/a/b.csv")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(project.root.join("d/a")).unwrap().count(), 2, "no temporary is left");
    // Torn, it is missing, and is replaced when it is kept once more.
    fs::write(&path, "1").unwrap();
    assert!(!project.data.can_restore(Kind::Folder, &digest).unwrap());
    fs::write(project.root.join("d/a/b.csv"), "1,2\n").unwrap();
    assert!(!project.data.is_kept(Place::Project("d"), &[]).unwrap());
    // It was restored in part: whoever has mended it by hand has to say so.
    assert!(project.data.keep(Place::Project("d")).is_err());
    project.data.marker(Place::Project("d")).unwrap().remove();
    assert_eq!(project.keep("d").digest.unwrap(), digest);
    assert_eq!(fs::read(&path).unwrap(), b"1,2\n");
}

#[test]
fn links_are_not_followed() {
    let project = project();
    project.write("real/f", "x");
    symlink("real", project.root.join("link")).unwrap();
    symlink("real/f", project.root.join("file")).unwrap();
    for path in ["link", "link/f", "file"] {
        let told = message(project.data.measure(Place::Project(path), None));
        assert!(told.ends_with("is a link: add what it leads to"), "{told}");
        assert!(
            project.data.keep(Place::Project(path)).is_err()
                && project.data.is_kept(Place::Project(path), &[]).is_err()
        );
    }
    let digest = project.keep("real").digest.unwrap();
    assert!(project.data.restore("link/new", Kind::Folder, &digest).is_err());
    assert!(project.data.remove("link/f").is_err());
    project.data.remove("link").unwrap();
    assert!(project.root.join("real/f").exists(), "only the link is removed");
    project.data.restore("file", Kind::Folder, &digest).unwrap();
    assert!(project.root.join("file").is_dir());
    assert_eq!(fs::read(project.root.join("real/f")).unwrap(), b"x");
}

/// What is told, and what brings it about.
type Case<'c> = (&'c str, &'c dyn Fn(&Path));

#[test]
fn what_is_no_data_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let cases: [Case<'_>; 6] = [
        (r"`d/x/\xff` is not UTF-8", &|x| drop(File::create(x.join(std::ffi::OsStr::from_bytes(b"\xff"))).unwrap())),
        ("`d/x/.Git` has a name", &|x| fs::create_dir(x.join(".Git")).unwrap()),
        (r"`d/x/a\b` has a name", &|x| drop(File::create(x.join("a\\b")).unwrap())),
        ("`d/x/s` is neither", &|x| drop(std::os::unix::net::UnixListener::bind(x.join("s")).unwrap())),
        ("`d/x/l` is a link that leads out", &|x| symlink("../../l", x.join("l")).unwrap()),
        ("`d/x/l` is a link that leads out", &|x| symlink("/etc", x.join("l")).unwrap()),
    ];
    for (why, make) in cases {
        let project = project();
        project.write("d/x/fine", "");
        make(&project.root.join("d/x"));
        for told in [
            message(project.data.measure(Place::Project("d"), None)),
            message(project.data.keep(Place::Project("d"))),
            message(project.data.is_kept(Place::Project("d"), &[])),
        ] {
            assert!(told.contains(why), "{told}");
        }
        assert!(project.is_tidy());
        project.data.remove("d").unwrap();
        assert!(!project.root.join("d").exists());
    }
    let project = project();
    project.write(&format!("d{}/f", "/x".repeat(MAX_DEPTH)), "");
    let digest = project.keep("d").digest.unwrap();
    project.data.remove("d").unwrap();
    project.data.restore("d", Kind::Folder, &digest).unwrap();
    project.write(&format!("d{}/f", "/x".repeat(MAX_DEPTH + 1)), "");
    assert!(message(project.data.keep(Place::Project("d"))).contains("in more than"));
}

#[test]
fn what_has_not_changed_is_not_read() {
    let project = project();
    let path = project.write("d/f", "one");
    settle();
    let kept = project.keep("d");
    // Another content in a file with the same times can only be made by going behind the kernel; without the store's
    // content it has to be read.
    let mut cache = StatCache::load(project.data.cache.as_deref(), &super::stat_cache::Memory::default());
    let stamp = stamp::Stamp::of(&fs::metadata(&path).unwrap());
    assert!(cache.find(&stamp).is_some());
    cache.remember(&stamp, &[5; 32], stat_cache::now());
    cache.save();
    let entry = |facts: Facts| facts.digest.unwrap();
    assert_ne!(entry(project.measure("d")), entry(kept.clone()), "the cache was believed");
    assert_eq!(entry(project.measure("d/f")), digest_of(&[5; 32]));
    assert!(!project.data.is_kept(Place::Project("d"), &[]).unwrap());
    assert_eq!(project.keep("d"), kept, "the content decides what is kept");
    fs::write(&path, "two").unwrap();
    assert_ne!(entry(project.measure("d")), entry(kept));
}

#[test]
fn a_change_right_after_the_hashing_is_seen() {
    let project = project();
    let path = project.write("d/f", "000");
    for round in 0..100 {
        let content = format!("{round:03}");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        (&file).write_all(content.as_bytes()).unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(project.measure("d/f").digest.unwrap(), digest_of(&Sha256::digest(content).into()));
    }
    let digest = project.keep("d").digest.unwrap();
    for round in 0..20 {
        fs::write(&path, format!("{round:03}")).unwrap();
        project.data.restore("d", Kind::Folder, &digest).unwrap();
        fs::write(&path, "abc").unwrap();
        assert_ne!(project.measure("d").digest.unwrap(), digest);
    }
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let opened = std::os::fd::OwnedFd::from(File::open(folder.path()).unwrap());
    fs::write(folder.path().join("f"), "12345").unwrap();
    let shown = || "f".to_owned();
    for changes in 0..3 {
        let mut reads = 0;
        let result = content::read_file(&opened, "f", &shown, |file, _| {
            reads += 1;
            if reads <= changes {
                settle();
                fs::write(folder.path().join("f"), "54321").unwrap();
            }
            file.rewind().unwrap();
            Ok(((), file.read_to_end(&mut Vec::new()).unwrap() as u64))
        });
        match changes {
            2 => assert_eq!(message(result.map(|read| read.stamp)), "`f` changes while it is read"),
            _ => assert_eq!((result.unwrap().stamp.size, reads), (5, changes + 1)),
        }
    }
}

#[test]
fn limits_spare_the_reading() {
    let project = project();
    for name in 0..10 {
        project.write(&format!("d/{name}"), "12345");
    }
    let measure = |path, files, bytes| {
        project.data.measure(Place::Project(path), Some(Limits { files, bytes })).unwrap().unwrap()
    };
    let told = |facts: Facts| (facts.files, facts.size, facts.digest.is_some());
    assert_eq!(told(measure("d", 10, 50)), (10, 50, true));
    assert_eq!(told(measure("d", 10, 49)), (10, 50, false));
    assert_eq!(told(measure("d", 4, 50)), (5, 25, false), "five tell that there are more than four");
    assert_eq!(told(measure("d/1", 1, 4)), (1, 5, false));
    assert_eq!(told(measure("d/1", 1, 5)), (1, 5, true));
    settle();
    project.measure("d");
    assert_eq!(told(measure("d", 10, 0)), (10, 50, true), "what is known costs nothing");
    assert_eq!(told(measure("d/1", 1, 0)), (1, 5, true));
}

#[test]
fn differences_are_counted_and_shown() {
    let project = project();
    let digest = project.sample();
    let compare = |limit| project.data.compare(Place::Project("d"), &digest, limit).unwrap().unwrap();
    assert_eq!(compare(9), Differences::default());
    project.write("d/a/b.csv", "1,3\n");
    project.write("d/a-a", "");
    project.write("d/empty/of/it/x", "");
    project.write("d/zz", "");
    let d = project.root.join("d");
    fs::remove_file(d.join("dangling")).unwrap();
    symlink("elsewhere", d.join("dangling")).unwrap();
    fs::set_permissions(d.join("run.sh"), Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(d.join("same")).unwrap();
    let all = ["~ a/b.csv", "+ a-a", "~ dangling", "- empty/of/it", "+ empty/of/it/x", "~ run.sh", "- same", "+ zz"];
    assert_eq!(compare(99).examples, all);
    let few = compare(3);
    assert_eq!((few.added, few.changed, few.removed), (3, 3, 2));
    assert_eq!(few.examples, all[..3]);
    assert!(compare(0).examples.is_empty());
    let other = digest_of(&[9; 32]);
    assert_eq!(project.data.compare(Place::Project("d"), &other, 9).unwrap(), None);
    assert_eq!(project.data.compare(Place::Project("d/a.txt"), &digest, 9).unwrap(), None);
    assert_eq!(project.data.compare(Place::Project("none"), &digest, 9).unwrap(), None);
    project.data.remove("d").unwrap();
    fs::create_dir(&d).unwrap();
    assert_eq!(compare(0).removed, 10);
}

#[test]
fn without_a_store_data_is_measured_all_the_same() {
    let project = project();
    project.write("d/f", "x");
    let data = Data::new(&project.root, None);
    let digest = data.measure(Place::Project("d"), None).unwrap().unwrap().digest.unwrap();
    assert_eq!(project.measure("d").digest.as_ref(), Some(&digest));
    assert!(message(data.keep(Place::Project("d"))).contains("no git repository"));
    assert!(message(data.restore("d", Kind::Folder, &digest)).contains("no git repository"));
    assert!(!data.is_kept(Place::Project("d"), &[]).unwrap());
    assert!(data.is_kept(Place::Project("none"), &[]).unwrap());
    assert!(!data.can_restore(Kind::Folder, &digest).unwrap());
    assert_eq!(data.compare(Place::Project("d"), &digest, 1).unwrap(), None);
    assert!(data.can_restore(Kind::File, "sha256:x").is_err());
}

#[test]
fn many_files_in_many_folders() {
    let project = project();
    for folder in 0..70 {
        for file in 0..30 {
            project.write(&format!("d/{folder}/{file}"), format!("{}", folder * file));
        }
    }
    let digest = project.keep("d").digest.unwrap();
    let before = tree(&project.root);
    assert_eq!(project.entries(&digest).len(), 2100);
    project.data.remove("d/7").unwrap();
    fs::write(project.root.join("d/69/29"), "other").unwrap();
    let differences = project.data.compare(Place::Project("d"), &digest, 1).unwrap().unwrap();
    assert_eq!((differences.added, differences.changed, differences.removed), (0, 1, 30));
    project.data.restore("d", Kind::Folder, &digest).unwrap();
    assert_eq!(tree(&project.root), before);
    assert!(project.is_tidy());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever was kept comes back over whatever else.
    #[test]
    fn any_tree_comes_back(
        kept in proptest::collection::vec(("[ab]{1,2}(/[a-c.!-]{1,2}){0,2}", 0..4_u8, 0..3_usize), 0..12),
        over in proptest::collection::vec(("[ab]{1,2}(/[a-c.!-]{1,2}){0,2}", 0..4_u8, 0..3_usize), 0..12),
    ) {
        let project = project();
        let make = |tree: &[(String, u8, usize)]| {
            fs::create_dir_all(project.root.join("d")).unwrap();
            for (path, kind, size) in tree {
                if path.split('/').any(|part| part == "." || part == "..") {
                    continue;
                }
                let path = project.root.join("d").join(path);
                // What is in the way of it stays.
                if fs::create_dir_all(path.parent().unwrap()).is_err() {
                    continue;
                }
                let _ = match kind {
                    0 => fs::create_dir(path),
                    1 => symlink("x".repeat(size + 1), path),
                    _ => fs::write(&path, vec![*kind; *size]).and_then(|()| {
                        fs::set_permissions(path, Permissions::from_mode(if *kind == 2 { 0o755 } else { 0o644 }))
                    }),
                };
            }
        };
        make(&kept);
        let facts = project.keep("d");
        let digest = facts.digest.clone().unwrap();
        let before = tree(&project.root);
        project.data.remove("d").unwrap();
        make(&over);
        let same = tree(&project.root) == before;
        let differences = project.data.compare(Place::Project("d"), &digest, 1).unwrap().unwrap();
        prop_assert_eq!(differences == Differences::default(), same);
        project.data.restore("d", Kind::Folder, &digest).unwrap();
        prop_assert_eq!(tree(&project.root), before);
        prop_assert_eq!(project.measure("d"), facts);
    }
}

#[test]
fn how_a_folder_is_arranged_is_kept_or_not() {
    let project = project();
    project.write("d/1.png", "1");
    project.write("d/2.png", "2");
    let digest = project.data.keep(Place::Project("d")).unwrap().unwrap().digest.unwrap();
    assert!(project.data.is_kept(Place::Project("d"), &[]).unwrap());
    fs::remove_file(project.root.join("d/2.png")).unwrap();
    assert!(!project.data.is_kept(Place::Project("d"), &[]).unwrap());
    assert!(project.data.is_kept(Place::Project("d"), std::slice::from_ref(&digest)).unwrap(), "the rest is as it was");
    project.write("d/2.png", "2");
    fs::create_dir(project.root.join("d/cat")).unwrap();
    fs::rename(project.root.join("d/1.png"), project.root.join("d/cat/1.png")).unwrap();
    assert!(!project.data.is_kept(Place::Project("d"), &[]).unwrap(), "which of them is a cat is told by nothing else");
    assert!(!project.data.is_kept(Place::Project("d"), std::slice::from_ref(&digest)).unwrap());
    project.data.keep(Place::Project("d")).unwrap();
    assert!(project.data.is_kept(Place::Project("d"), &[]).unwrap());
}

#[test]
fn a_restore_cut_short_is_completed_and_taken_for_nothing_until_then() {
    let project = project();
    project.write("d/1.png", "1");
    project.write("d/2.png", "2");
    let digest = project.data.keep(Place::Project("d")).unwrap().unwrap().digest.unwrap();
    // As a process leaves it that dies in the middle.
    drop(project.data.marker(Place::Project("d")).unwrap().begin().unwrap());
    fs::remove_file(project.root.join("d/1.png")).unwrap();
    project.write("d/.aurum-1-1.tmp", "half a fi");
    assert_eq!(project.data.measure(Place::Project("d"), None).unwrap(), None);
    assert!(project.data.is_kept(Place::Project("d"), &[]).unwrap());
    let refused = project.data.keep(Place::Project("d")).unwrap_err().to_string();
    assert!(refused.contains("au data restore"), "{refused}");
    project.data.restore("d", Kind::Folder, &digest).unwrap();
    assert_eq!(project.data.measure(Place::Project("d"), None).unwrap().unwrap().digest, Some(digest.clone()));
    assert!(!project.root.join("d/.aurum-1-1.tmp").exists());

    // What the user has put there since is not lost by that.
    drop(project.data.marker(Place::Project("d")).unwrap().begin().unwrap());
    project.write("d/mine.png", "kept nowhere");
    assert!(!project.data.is_kept(Place::Project("d"), &[]).unwrap());
}

#[test]
fn many_restore_the_same_at_once() {
    let project = project();
    for number in 0..300 {
        project.write(&format!("d/{number}"), number.to_string());
    }
    let digest = project.data.keep(Place::Project("d")).unwrap().unwrap().digest.unwrap();
    fs::remove_dir_all(project.root.join("d")).unwrap();
    let own = project._folder.path().join("aurum");
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let data = Data::new(&project.root, Some(&own));
                data.restore("d", Kind::Folder, &digest).unwrap();
                let there = data.measure(Place::Project("d"), None).unwrap();
                assert!(there.is_none_or(|there| there.digest.as_ref() == Some(&digest)));
            });
        }
    });
    assert_eq!(project.data.measure(Place::Project("d"), None).unwrap().unwrap().files, 300);
}

#[test]
fn every_byte_is_read_whatever_is_remembered() {
    let project = project();
    let digest = project.sample();
    let store = |project: &Project| project.data.check_stored(Kind::Folder, &digest, 9).unwrap();
    let place = |project: &Project| project.data.check_place(Place::Project("d"), Kind::Folder, &digest, 9).unwrap();
    let (whole, there) = (store(&project), place(&project));
    assert!(whole.damages.is_empty() && whole.contents > 5 && whole.bytes > 3 * PIECE as u64, "{whole:?}");
    assert!(there.damages.is_empty() && there.contents == project.measure("d").files, "{there:?}");

    // As a disk loses a bit: neither size nor times tell.
    let flip = |path: &Path| {
        let times = fs::metadata(path).unwrap();
        let mut permissions = times.permissions();
        permissions.set_mode(0o644);
        fs::set_permissions(path, permissions).unwrap();
        let mut file = File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact(&mut byte).unwrap();
        file.rewind().unwrap();
        file.write_all(&[byte[0] ^ 1]).unwrap();
        file.set_modified(times.modified().unwrap()).unwrap();
    };
    flip(&project.root.join("d/large"));
    project.write("d/new", "");
    fs::remove_file(project.root.join("d/same")).unwrap();
    let damages = place(&project).damages;
    let told: Vec<String> = damages.iter().map(|(name, what)| format!("{name} {what}")).collect();
    assert_eq!(told, ["large is not what was recorded", "new is not of it", "same is missing"]);

    let large = digest_of(&Sha256::digest(vec![7; 3 * PIECE + 1]).into());
    flip(&project.store.path(&large).unwrap());
    let damages = store(&project).damages;
    assert!(matches!(&damages[..], [(name, what)] if name == "large" && what.contains("is damaged in the store")));
    let aside = project.store.folder().with_file_name("damaged").join(&large["sha256:".len()..]);
    assert!(aside.is_file() && damages[0].1.contains(&*aside.to_string_lossy()), "{damages:?}");
    assert!(store(&project).damages[0].1.contains("is not in the store"));
    flip(&project.store.path(&digest).unwrap());
    let check = store(&project);
    assert!(check.damages.len() == 1 && check.damages[0].0.is_empty() && check.contents == 1, "{check:?}");
    assert_eq!(project.data.check_place(Place::Project("d"), Kind::Folder, &digest, 9).unwrap().damages.len(), 1);
    assert_eq!(project.data.check_stored(Kind::Folder, &digest, 0).unwrap().more, 1);
}

#[test]
fn descriptions_tell_where_data_is_without_a_core() {
    let project = project();
    project.write(".au/datasets/b.json", r#"{ "name": "b", "source": { "path": "data/b" } }"#);
    project.write(".au/datasets/a.json", r#"{ "name": "a", "source": { "path": "a.csv" }, "more": 1 }"#);
    project.write(".au/datasets/evil.json", r#"{ "name": "e", "source": { "path": "../e" } }"#);
    project.write(".au/datasets/torn.json", "{");
    project.write(".au/datasets/x.txt", "{}");
    let places = known::places(&project.root);
    assert_eq!(places, [("a".into(), project.root.join("a.csv")), ("b".into(), project.root.join("data/b"))]);
    assert!(known::places(Path::new("/nonexistent")).is_empty());
}

#[test]
fn a_folder_that_changes_while_it_is_walked_is_not_kept() {
    let project = project();
    for name in ["d/a", "d/sub/b", "d/z"] {
        project.write(name, name);
    }
    let spot = || place::Spot::find(&project.root, Place::Project("d")).unwrap().unwrap();
    let rest = |mut walk: walk::Walk| loop {
        match walk.batch(1) {
            Ok(found) if found.is_empty() => return None,
            Ok(_) => {}
            Err(error) => return Some(error.to_string()),
        }
    };
    assert_eq!(rest(walk::Walk::strict(&spot()).unwrap()), None);
    thread::sleep(Duration::from_millis(20));
    let mut walk = walk::Walk::strict(&spot()).unwrap();
    walk.batch(1).unwrap();
    project.write("d/new", "");
    assert!(rest(walk).unwrap().contains("`d` changes while it is read"));
    // Whoever only looks takes what there is.
    let mut walk = walk::Walk::new(&spot()).unwrap();
    walk.batch(1).unwrap();
    project.write("d/newer", "");
    assert_eq!(rest(walk), None);
    let mut walk = walk::Walk::new(&spot()).unwrap();
    walk.batch(1).unwrap();
    fs::remove_file(project.root.join("d/z")).unwrap();
    assert!(rest(walk).unwrap().contains("`d` changes while it is read"));
}
