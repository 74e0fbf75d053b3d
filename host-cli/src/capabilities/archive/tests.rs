#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use zip::ZipArchive;

use super::*;
use crate::capabilities::git::testing::Sample;

/// 2025-07-01T10:00:01.5Z.
const MOMENT: u64 = 1_751_364_001_500;

/// A folder for archives, and a store.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        let store = Store::new(folder.path().join("store"));
        Self { folder, store }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn begin(&self) -> Writer {
        Writer::begin(&Destination::Folder(self.out()), "a.zip", MOMENT).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.out()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn keep(&self, content: &str) -> String {
        self.store.add(&mut content.as_bytes()).unwrap().digest
    }

    /// A manifest of these paths, modes and contents.
    fn keep_folder(&self, entries: &[(&str, &str, Option<&str>)]) -> String {
        let lines = entries.iter().map(|(path, mode, content)| match content {
            Some(content) => {
                let (size, digest) = (content.len(), self.keep(content));
                format!("{{\"path\":\"{path}\",\"mode\":\"{mode}\",\"size\":{size},\"digest\":\"{digest}\"}}\n")
            }
            None => format!("{{\"path\":\"{path}\",\"mode\":\"{mode}\",\"size\":0}}\n"),
        });
        self.keep(&lines.collect::<String>())
    }

    fn lose(&self, content: &str) {
        fs::remove_file(self.store.path(&self.keep(content)).unwrap()).unwrap();
    }

    fn spoil(&self, content: &str, other: &str) {
        let path = self.store.path(&self.keep(content)).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(path, other).unwrap();
    }
}

/// Mode in octal digits and content, by path.
fn entries(finished: &Finished) -> BTreeMap<String, (String, String)> {
    let mut archive = ZipArchive::new(File::open(&finished.path).unwrap()).unwrap();
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        assert_eq!(entry.last_modified().unwrap().to_string(), "2025-07-01 10:00:00");
        assert_eq!(entry.extra_data().unwrap_or_default(), b"");
        let mode = format!("{:o}", entry.unix_mode().unwrap());
        let content = io::read_to_string(&mut entry).unwrap();
        entries.insert(entry.name().unwrap().into_owned(), (mode, content));
    }
    entries
}

/// The same as Python sees it, which checks the sums as well.
fn python_entries(finished: &Finished) -> BTreeMap<String, (String, String)> {
    let program = "import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
for entry in archive.infolist():
    assert entry.create_system == 3 and entry.date_time == (2025, 7, 1, 10, 0, 0) and not entry.extra
    print(entry.filename, format(entry.external_attr >> 16, 'o'), archive.read(entry).decode(), sep='|')";
    let output = Command::new("python3").args(["-c", program, &finished.path]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let entry = |line: &str| {
        let [name, mode, content] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
        (name.to_owned(), (mode.to_owned(), content.to_owned()))
    };
    text.lines().map(entry).collect()
}

fn expected(entries: &[(&str, &str, &str)]) -> BTreeMap<String, (String, String)> {
    let entry =
        |(path, mode, content): &(&str, &str, &str)| ((*path).to_owned(), ((*mode).to_owned(), (*content).to_owned()));
    entries.iter().map(entry).collect()
}

/// With a link, an executable, a submodule and names of all sorts.
fn sample() -> Sample {
    use std::os::unix::fs::PermissionsExt;
    let inner = Sample::with(&[("inner", "1")]);
    let sample =
        Sample::with(&[("a/b.txt", "b"), ("a.txt", "a"), ("été/aux.c", "é"), ("out/of/way", "x"), ("out.txt", "o")]);
    symlink("a/b.txt", sample.root().join("link")).unwrap();
    sample.write("run.sh", "#!");
    fs::set_permissions(sample.root().join("run.sh"), Permissions::from_mode(0o700)).unwrap();
    sample.git(&["submodule", "--quiet", "add", inner.root().to_str().unwrap(), "lib/sub"]);
    sample.remove(".gitmodules");
    sample.git(&["add", "-A"]);
    sample.git(&["commit", "-qm", "second"]);
    sample
}

#[test]
fn code_and_data_come_out_as_they_went_in() {
    let (bench, sample) = (Bench::new(), sample());
    let repository = sample.open();
    let head = repository.head().unwrap();
    let (commit, tree) = (head.commit.unwrap(), head.tree.unwrap());
    let text = "time,value\n".repeat(1000);
    let file = bench.keep(&text);
    let folder = bench.keep_folder(&[
        ("empty", "040000", None),
        ("link", "120000", Some("x/y")),
        ("x/run", "100755", Some("!")),
        ("x/y", "100644", Some("y")),
    ]);
    let nothing = bench.keep_folder(&[]);
    let make = |root: &str| {
        let mut writer = bench.begin();
        writer.add_bytes("README.md", "ré".as_bytes()).unwrap();
        let submodules = writer.add_tree(&repository, "code", root, &["out".to_owned(), "no".to_owned()]).unwrap();
        assert_eq!(submodules, ["lib/sub"]);
        assert!(writer.add_stored(&bench.store, "data/file", Kind::File, &file).unwrap());
        assert!(writer.add_stored(&bench.store, "data/folder", Kind::Folder, &folder).unwrap());
        assert!(writer.add_stored(&bench.store, "data/nothing", Kind::Folder, &nothing).unwrap());
        let finished = writer.finish().unwrap();
        let bytes = fs::read(&finished.path).unwrap();
        assert_eq!(finished.size, bytes.len() as u64);
        (finished, bytes)
    };
    let (finished, bytes) = make(&commit);
    let mut wanted = expected(&[
        ("README.md", "100644", "ré"),
        ("code/a/b.txt", "100644", "b"),
        ("code/a.txt", "100644", "a"),
        ("code/été/aux.c", "100644", "é"),
        ("code/out.txt", "100644", "o"),
        ("code/link", "120777", "a/b.txt"),
        ("code/run.sh", "100755", "#!"),
        ("data/file", "100644", &text),
        ("data/folder/empty/", "40755", ""),
        ("data/folder/link", "120777", "x/y"),
        ("data/folder/x/run", "100755", "!"),
        ("data/folder/x/y", "100644", "y"),
        ("data/nothing/", "40755", ""),
    ]);
    assert_eq!(entries(&finished), wanted);
    assert!(bytes.len() < text.len() / 3, "text is deflated");
    assert_eq!(make(&tree).1, bytes);
    assert_eq!(bench.names(), ["a.zip"]);
    // Python's lines would be split by those of the text.
    let mut writer = bench.begin();
    writer.add_tree(&repository, "code", &commit, &["out".to_owned()]).unwrap();
    writer.add_stored(&bench.store, "data/folder", Kind::Folder, &folder).unwrap();
    wanted.retain(|path, _| path.starts_with("code/") || path.starts_with("data/folder/"));
    assert_eq!(python_entries(&writer.finish().unwrap()), wanted);
}

#[test]
fn single_files_of_commits() {
    let (bench, sample) = (Bench::new(), sample());
    let repository = sample.open();
    let root = repository.head().unwrap().commit.unwrap();
    let at = |root: &str, path: &str| Location { root: root.to_owned(), path: path.to_owned() };
    let mut writer = bench.begin();
    for path in ["a/b.txt", "run.sh", "link"] {
        assert!(writer.add_file(&repository, path, &at(&root, path)).unwrap());
    }
    for path in ["a", "none", "lib/sub", "a.txt/x"] {
        assert!(!writer.add_file(&repository, path, &at(&root, path)).unwrap(), "{path}");
    }
    assert!(!writer.add_file(&repository, "x", &at(&"1".repeat(40), "a.txt")).unwrap());
    let wanted = expected(&[("a/b.txt", "100644", "b"), ("run.sh", "100755", "#!"), ("link", "120777", "a/b.txt")]);
    assert_eq!(entries(&writer.finish().unwrap()), wanted);
    assert!(bench.begin().add_file(&repository, "x", &at("HEAD", "a.txt")).is_err());
    assert!(matches!(bench.begin().add_file(&repository, "x", &at(&root, "../a")), Err(Error::InvalidPath(_))));
}

#[test]
fn a_whole_tree_at_the_top() {
    let (bench, sample) = (Bench::new(), Sample::with(&[("a", "1"), ("b/c", "2"), ("b/d/e", "3"), ("b.x", "4")]));
    let repository = sample.open();
    let root = repository.head().unwrap().commit.unwrap();
    let mut writer = bench.begin();
    let leave_out = ["b/d".to_owned(), "a".to_owned(), "b.".to_owned()];
    assert_eq!(writer.add_tree(&repository, "", &root, &leave_out).unwrap(), [""; 0]);
    assert_eq!(entries(&writer.finish().unwrap()), expected(&[("b/c", "100644", "2"), ("b.x", "100644", "4")]));
    for absent in ["1".repeat(40), "HEAD".to_owned()] {
        assert!(bench.begin().add_tree(&repository, "", &absent, &[]).is_err());
    }
}

#[test]
fn a_content_that_git_does_not_have_is_an_error() {
    let (bench, sample) = (Bench::new(), Sample::with(&[("a/b", "1")]));
    let id = sample.git(&["rev-parse", "HEAD:a/b"]);
    fs::remove_file(sample.root().join(format!(".git/objects/{}/{}", &id[..2], &id[2..]))).unwrap();
    let root = sample.git(&["rev-parse", "HEAD"]);
    let mut writer = bench.begin();
    let error = writer.add_tree(&sample.open(), "code", &root, &[]).unwrap_err().to_string();
    assert!(error.contains("`code/a/b`") && error.contains(&id), "{error}");
    assert!(writer.finish().is_err());
    assert!(bench.names().is_empty());
}

#[test]
fn what_the_store_has_not_is_left_out_whole() {
    let bench = Bench::new();
    let folder = bench.keep_folder(&[("a", "100644", Some("kept")), ("b", "100644", Some("lost"))]);
    let file = bench.keep("lost");
    bench.lose("lost");
    let mut writer = bench.begin();
    for (kind, digest) in [(Kind::Folder, &folder), (Kind::File, &file), (Kind::Folder, &file)] {
        assert!(!writer.add_stored(&bench.store, "data", kind, digest).unwrap());
    }
    writer.add_bytes("data", b"instead").unwrap();
    assert_eq!(entries(&writer.finish().unwrap()), expected(&[("data", "100644", "instead")]));
}

#[test]
fn a_damaged_store_is_told_and_no_archive_appears() {
    fs::write(Bench::new().out().join("unrelated"), "").unwrap();
    for other in ["spoiled", "sound, once", "", "sou", "sounds"] {
        let bench = Bench::new();
        let folder = bench.keep_folder(&[("a", "100644", Some("sound"))]);
        let file = bench.keep("sound");
        bench.spoil("sound", other);
        fs::write(bench.out().join("a.zip"), "PK former").unwrap();
        for (kind, digest) in [(Kind::File, &file), (Kind::Folder, &folder)] {
            let mut writer = bench.begin();
            writer.add_bytes("first", b"1").unwrap();
            let error = writer.add_stored(&bench.store, "data", kind, digest).unwrap_err().to_string();
            assert!(error.contains("the store is damaged") && error.contains(&file), "{error}");
            assert!(writer.add_bytes("second", b"2").is_err());
            assert!(writer.finish().unwrap_err().to_string().contains("not complete"));
        }
        assert_eq!(bench.names(), ["a.zip"]);
        assert_eq!(fs::read(bench.out().join("a.zip")).unwrap(), b"PK former");
    }
}

#[test]
fn dropped_it_leaves_nothing() {
    let bench = Bench::new();
    let mut writer = bench.begin();
    writer.add_bytes("a", b"1").unwrap();
    assert_eq!(bench.names().len(), 1);
    drop(writer);
    assert!(bench.names().is_empty());
}

#[test]
fn an_archive_is_an_ordinary_file_in_place_of_the_former() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let path = bench.out().join("named");
    fs::write(&path, "PK, and so a former one").unwrap();
    let finished = Writer::begin(&Destination::File(path.clone()), "ignored/name", MOMENT).unwrap().finish().unwrap();
    assert_eq!(finished, Finished { path: path.to_str().unwrap().to_owned(), size: 22 });
    assert_eq!(entries(&finished), BTreeMap::new());
    fs::write(bench.out().join("ordinary"), "").unwrap();
    let mode = |name: &str| fs::metadata(bench.out().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("named"), mode("ordinary"));
}

#[test]
fn what_is_no_archive_is_not_replaced() {
    let bench = Bench::new();
    let path = bench.out().join("train.py");
    fs::write(&path, "import aurum").unwrap();
    let refused = Writer::begin(&Destination::File(path.clone()), "", MOMENT).err().unwrap().to_string();
    assert!(refused.contains("is no zip file"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"import aurum");
    fs::write(&path, "").unwrap();
    assert!(Writer::begin(&Destination::File(path), "", MOMENT).is_ok(), "nothing is lost with an empty one");
}

#[test]
fn where_no_archive_can_be_is_told_at_once() {
    let bench = Bench::new();
    let begin =
        |destination: Destination, name: &str| Writer::begin(&destination, name, MOMENT).err().unwrap().to_string();
    let absent = bench.out().join("absent");
    for destination in [Destination::Folder(absent.clone()), Destination::File(absent.join("a.zip"))] {
        let error = begin(destination, "a.zip");
        assert!(error.contains("there is no folder") && error.contains("absent"), "{error}");
    }
    assert!(begin(Destination::File(bench.out()), "a.zip").contains("there is a folder"));
    for name in ["", "..", "a/b", "/a", "a\\b", ".git"] {
        begin(Destination::Folder(bench.out()), name);
    }
    fs::write(bench.out().join("file"), "").unwrap();
    assert!(begin(Destination::Folder(bench.out().join("file")), "a").contains("there is no folder"));
    assert_eq!(bench.names(), ["file"]);
    // Writing there fails even for the superuser.
    if Path::new("/proc/self").is_dir() {
        let error = begin(Destination::Folder("/proc/self".into()), "a");
        assert!(error.contains("making an archive in `/proc/self`"), "{error}");
    }
}

#[test]
fn paths_that_could_lead_elsewhere_are_refused() {
    let (bench, sample) = (Bench::new(), Sample::with(&[("a", "1"), ("back\\slash", "2")]));
    let repository = sample.open();
    let root = repository.head().unwrap().commit.unwrap();
    let stored = bench.keep("x");
    for path in ["", "/a", "..", "../a", "a/../b", "a//b", "a/", "./a", "a\0b", "a\\b", "C:/a", "c:a", ".git/x"] {
        let location = Location { root: root.clone(), path: "a".to_owned() };
        let refused = [
            bench.begin().add_bytes(path, b"").err(),
            bench.begin().add_file(&repository, path, &location).err(),
            bench.begin().add_stored(&bench.store, path, Kind::File, &stored).err(),
            bench.begin().add_stored(&bench.store, path, Kind::Folder, &stored).err(),
            // The top of the archive is a folder too.
            if path.is_empty() { None } else { bench.begin().add_tree(&repository, path, &root, &[]).err() },
        ];
        for error in refused.into_iter().flatten() {
            assert!(matches!(&error, Error::InvalidPath(named) if named == path), "{path:?}: {error:?}");
        }
    }
    let refused = bench.begin().add_tree(&repository, "code", &root, &[]);
    assert!(matches!(refused, Err(Error::InvalidPath(path)) if path == "code/back\\slash"));
    for path in ["../up", "/top", ".git/hooks/x"] {
        let folder = bench.keep_folder(&[(path, "100644", Some("x"))]);
        assert!(bench.begin().add_stored(&bench.store, "data", Kind::Folder, &folder).is_err());
    }
}

#[test]
fn names_that_are_not_utf8_are_kept() {
    use std::os::unix::ffi::OsStrExt;
    let (bench, sample) = (Bench::new(), Sample::empty());
    let (name, target) = (std::ffi::OsStr::from_bytes(b"caf\xe9"), std::ffi::OsStr::from_bytes(b"\xff"));
    fs::write(sample.root().join(name), "x").unwrap();
    symlink(target, sample.root().join("link")).unwrap();
    sample.git(&["add", "-A"]);
    sample.git(&["commit", "-qm", "first"]);
    let repository = sample.open();
    let mut writer = bench.begin();
    writer.add_tree(&repository, "", &repository.head().unwrap().commit.unwrap(), &[]).unwrap();
    let mut archive = ZipArchive::new(File::open(writer.finish().unwrap().path).unwrap()).unwrap();
    assert_eq!(archive.by_index(0).unwrap().name_raw(), b"caf\xe9");
    let mut content = Vec::new();
    archive.by_index(1).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content, b"\xff");
}

#[test]
fn an_entry_can_be_added_once() {
    let bench = Bench::new();
    let mut writer = bench.begin();
    writer.add_bytes("a/b", b"1").unwrap();
    let error = writer.add_bytes("a/b", b"2").unwrap_err().to_string();
    assert_eq!(error, "`a/b` is in the archive already");
    assert!(writer.finish().is_err());
    let error = bench.begin().add_bytes(&"x".repeat(70_000), b"").unwrap_err().to_string();
    assert!(error.contains("can't be in an archive"), "{error}");
    assert!(bench.names().is_empty());
}

#[test]
fn more_entries_than_the_old_format_counts() {
    let bench = Bench::new();
    let mut writer = bench.begin();
    for number in 0..70_000 {
        writer.add_bytes(&format!("{number}"), b"").unwrap();
    }
    let finished = writer.finish().unwrap();
    assert_eq!(ZipArchive::new(File::open(&finished.path).unwrap()).unwrap().len(), 70_000);
    let program = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))";
    let output = Command::new("python3").args(["-c", program, &finished.path]).output().unwrap();
    assert_eq!(output.stdout, b"70000\n");
}
