//! Adding to the git repository; interface `repository-edit`. No function here touches the working tree, and only
//! [`stage`] touches the index.

use std::io;

use gix::objs::{Kind, WriteTo};

use super::git::blob::Spool;
use super::git::closure;
use super::git::durable;
use super::git::loose::{self, Batch};
pub use super::git::transaction::ReferenceChange;
pub use super::git::tree_edit::TreeEdit;
use super::git::tree_edit::expect_kind;
use super::git::{check_path, command, object_id, references, shield, transaction};
use super::repository::Repository;
use super::sharing::create_dir_all;
use super::workspace::Workspace;
use super::{Error, Result};

/// Makes a repository in the project's folder, as `git init` does.
pub fn create(repository: &Repository) -> Result<()> {
    // Another one may be making it at this moment; doing it again does no harm.
    let init = || command::git(repository.root(), &["init", "--quiet"], b"");
    patiently("could not lock config file", init).map(drop)
}

/// Bytes on their way to becoming a blob, flat in memory.
pub struct BlobWriter {
    spool: Spool,
}

impl BlobWriter {
    /// Starts with no bytes.
    pub fn begin(repository: &Repository) -> Result<Self> {
        repository.git()?;
        Ok(Self { spool: Spool::new() })
    }

    /// Adds bytes at the end.
    pub fn write(&mut self, repository: &Repository, bytes: &[u8]) -> Result<()> {
        self.spool.write(repository.git()?, bytes)
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.spool.size()
    }

    /// Makes the blob and answers its id.
    pub fn finish(self, repository: &Repository) -> Result<String> {
        Ok(self.spool.finish(repository.git()?)?.to_string())
    }
}

/// Author and committer, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// A person's name.
    pub name: String,
    /// An e-mail address.
    pub email: String,
    /// Since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// East of UTC.
    pub offset_minutes: i16,
}

/// A commit to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPlan {
    /// Its tree.
    pub tree: String,
    /// Its parents.
    pub parents: Vec<String>,
    /// Author and committer.
    pub signature: Signature,
    /// The whole message.
    pub message: String,
}

/// Writes an unsigned commit of a tree that a [`TreeEdit`] has written, running no hook. Returns when the commit and all that
/// is new in it is on stable storage. The same plan gives the same id.
pub fn commit(repository: &Repository, plan: &CommitPlan) -> Result<String> {
    let git = repository.git()?;
    let tree = object_id(git, &plan.tree)?;
    expect_kind(git, tree, Kind::Tree)?;
    let mut parents = Vec::new();
    for parent in &plan.parents {
        let parent = object_id(git, parent)?;
        expect_kind(git, parent, Kind::Commit)?;
        parents.push(parent);
    }
    let mut batch = Batch::new(git);
    if tree == gix::ObjectId::empty_tree(tree.kind()) {
        // Known to git without being there, but `git fsck` misses it.
        loose::again_while_missing(|| {
            batch.add(Kind::Tree, 0, io::empty(), tree)?;
            batch.settle()
        })?;
    }
    let base = parents.first().map(|first| closure::tree_of(git, *first)).transpose()?;
    durable::check_tree(git, tree, base)?;
    for parent in &parents {
        durable::commit(git, *parent)?;
    }

    let signature = gix::actor::Signature {
        name: plan.signature.name.as_str().into(),
        email: plan.signature.email.as_str().into(),
        time: gix::date::Time::new(plan.signature.seconds, i32::from(plan.signature.offset_minutes) * 60),
    };
    let commit = gix::objs::Commit {
        tree,
        parents: parents.into(),
        author: signature.clone(),
        committer: signature,
        encoding: None,
        message: plan.message.as_str().into(),
        extra_headers: Vec::new(),
    };
    let mut bytes = Vec::new();
    commit.write_to(&mut bytes).map_err(|error| Error::other(&error))?;
    let id = loose::id_of(git, Kind::Commit, &bytes)?;
    loose::again_while_missing(|| {
        batch.add(Kind::Commit, bytes.len() as u64, bytes.as_slice(), id)?;
        batch.settle()
    })?;
    Ok(id.to_string())
}

/// Points a reference at `target` if it is at `expected` now (none: if it does not exist), else [`Error::Conflict`].
/// `HEAD` moves the branch that it names. When `durable`, returns once the change is on stable storage.
pub fn set_reference(
    repository: &Repository,
    name: &str,
    expected: Option<&str>,
    target: &str,
    durable: bool,
) -> Result<()> {
    references::set(repository.git()?, name, expected, target, durable)
}

/// Keeps what a reference names by now from a `git gc` that began before it did. False when some of it is gone already.
pub fn shield(repository: &Repository, target: &str, base: Option<&str>) -> Result<bool> {
    let git = repository.git()?;
    let base = base.map(|base| object_id(git, base)).transpose()?;
    shield::shield(git, object_id(git, target)?, base)
}

/// Removes references in one transaction; those that do not exist are passed over.
pub fn remove_references(repository: &Repository, names: &[String]) -> Result<()> {
    references::remove(repository.git()?, repository.root(), names)
}

/// Changes references in one transaction, which is on stable storage when it returns; [`Error::Conflict`], and nothing done,
/// when one of them is not where it is expected.
pub fn change_references(repository: &Repository, changes: &[ReferenceChange]) -> Result<()> {
    transaction::change(repository.git()?, repository.root(), changes)
}

/// An entry for the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Where.
    pub path: String,
    /// What; none takes the entry out.
    pub blob: Option<String>,
}

/// Sets these entries of the index as ordinary files, leaving every other entry and its flags as they are.
pub fn stage(repository: &Repository, entries: &[Staged]) -> Result<()> {
    let git = repository.git()?;
    let mut lines = Vec::new();
    for entry in entries {
        check_path(&entry.path)?;
        let line = match &entry.blob {
            Some(blob) => {
                let blob = object_id(git, blob)?;
                expect_kind(git, blob, Kind::Blob)?;
                format!("100644 {blob} 0\t{}\0", entry.path)
            }
            // As git's own documentation has it: mode 0 removes the path.
            None => format!("0 {} 0\t{}\0", git.object_hash().null(), entry.path),
        };
        lines.extend_from_slice(line.as_bytes());
    }
    if lines.is_empty() {
        return Ok(());
    }
    let arguments = ["update-index", "--add", "-z", "--index-info"];
    patiently("index.lock': File exists", || command::git(repository.root(), &arguments, &lines)).map(drop)
}

/// As [`command::patiently`]: a lock that stays is somebody else's, who was first.
fn patiently<T>(refusal: &str, act: impl FnMut() -> Result<T>) -> Result<T> {
    command::patiently(refusal, act).map_err(|error| match error {
        Error::Other(words) if words.contains(refusal) => Error::Conflict(words),
        other => other,
    })
}

/// Checks out a commit with HEAD detached, as `git switch --detach` does. [`Error::Conflict`], and nothing done, when git
/// refuses: it would overwrite what is not committed, or a file that it does not track, ignored ones included.
pub fn switch_detached(repository: &Repository, commit: &str) -> Result<()> {
    let git = repository.git()?;
    let id = object_id(git, commit)?;
    expect_kind(git, id, Kind::Commit)?;
    let id = id.to_string();
    // git's own advice on detached heads is not for its users here.
    let arguments = ["switch", "--quiet", "--detach", "--no-overwrite-ignore", "--no-recurse-submodules", &id];
    match command::git(repository.root(), &arguments, b"") {
        Err(Error::Other(words))
            if words.contains("would be overwritten") || words.contains("would lose untracked") =>
        {
            Err(Error::Conflict(overwritten(&words)))
        }
        other => other.map(drop),
    }
}

/// What git says of files that it would overwrite, on one line: its first sentence, and their names.
fn overwritten(words: &str) -> String {
    let words = words.split_once("error: ").map_or(words, |(_, words)| words);
    let mut lines = words.lines();
    let what = lines.next().unwrap_or_default().trim_end_matches(':');
    let names: Vec<_> =
        lines.take_while(|line| line.starts_with('\t')).map(|line| format!("`{}`", line.trim())).collect();
    let more = names.len().saturating_sub(10);
    let shown = names.into_iter().take(10).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{what}: {shown} and {more} more") } else { format!("{what}: {shown}") }
}

/// Writes `info/exclude` if its content is `expected` now, else [`Error::Conflict`].
pub fn exchange_exclude(repository: &Repository, expected: Option<&[u8]>, contents: &[u8]) -> Result<()> {
    let folder = repository.common_dir()?.join("info");
    // Templates may come without it.
    create_dir_all(&folder).map_err(|error| Error::io(format_args!("making `{}`", folder.display()), &error))?;
    Workspace::new(&folder)?.exchange("exclude", expected, contents)
}

/// Sets, or removes, a value of the repository's own configuration. Only keys that begin with `aurum.` are Aurum's: others name
/// programs that git runs.
pub fn set_local_setting(repository: &Repository, key: &str, value: Option<&str>) -> Result<()> {
    if !key.starts_with("aurum.") || key.contains(['\n', '\0']) || value.is_some_and(|value| value.contains('\0')) {
        return Err(Error::Other(format!("`{}` is no key of Aurum's", key.escape_debug())));
    }
    repository.git()?;
    let configure = |arguments: &[&str]| {
        let arguments = [&["config", "--local"], arguments].concat();
        patiently("could not lock config file", || command::git(repository.root(), &arguments, b"")).map(drop)
    };
    match value {
        Some(value) => configure(&["--replace-all", key, value]),
        // One that is not set can't be unset; what matters is that it is gone.
        None => match configure(&["--unset-all", key]) {
            Err(Error::Other(words)) if words.trim_end().ends_with("failed:") => Ok(()),
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::thread;

    use super::super::git::testing::Sample;
    use super::super::repository::Standing;
    use super::*;

    fn signature() -> Signature {
        Signature { name: "Ann".into(), email: "ann@x".into(), seconds: 1_700_000_000, offset_minutes: -90 }
    }

    fn take_all(repository: &Repository) -> (String, Vec<u32>) {
        let changes = repository.changes(&["pyvenv.cfg".to_owned()]).unwrap();
        let base = repository.head().unwrap().tree;
        let mut edit = TreeEdit::begin(repository, base.as_deref()).unwrap();
        let all: Vec<u32> = (0..changes.length()).collect();
        let unreadable = edit.take(repository, &changes, &all).unwrap();
        (edit.write(repository).unwrap(), unreadable)
    }

    fn fsck(sample: &Sample) {
        sample.git(&["fsck", "--strict", "--full"]);
    }

    #[test]
    fn create_makes_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::new(folder.path());
        assert_eq!(repository.standing().unwrap(), Standing::Absent);
        create(&repository).unwrap();
        assert_eq!(repository.standing().unwrap(), Standing::Root);
        assert_eq!(repository.head().unwrap().commit, None);
    }

    #[test]
    fn taking_all_changes_gives_the_tree_that_git_would_commit() {
        let sample = Sample::with(&[("a", "1"), ("b", "1"), ("dir/c", "1"), ("file", "1"), ("crlf", "1\n")]);
        let root = sample.root();
        sample.git(&["config", "core.autocrlf", "input"]);
        sample.write("a", "2");
        sample.remove("b");
        fs::remove_dir_all(root.join("dir")).unwrap();
        sample.write("dir", "now a file");
        sample.remove("file");
        sample.write("file/in/folder", "1");
        sample.write("crlf", "1\r\n2\r\n");
        sample.write("new/run", "#!/bin/sh\n");
        fs::set_permissions(root.join("new/run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("../a", root.join("new/link")).unwrap();
        sample.write("big", &"0123456789abcdef".repeat(200_000));
        let status = sample.git(&["status", "--porcelain"]);

        let repository = sample.open();
        let (tree, unreadable) = take_all(&repository);
        assert!(unreadable.is_empty());
        assert_eq!(status, sample.git(&["status", "--porcelain"]));
        fsck(&sample);
        sample.git(&["add", "-A"]);
        assert_eq!(tree, sample.git(&["write-tree"]));
    }

    #[test]
    fn clean_filters_run_and_required_ones_that_fail_leave_the_file_as_it_was() {
        let sample = Sample::with(&[(".gitattributes", "*.up filter=up\n*.bad filter=bad\n"), ("x.bad", "1\n")]);
        sample.git(&["config", "filter.up.clean", "tr a-z A-Z"]);
        sample.git(&["config", "filter.bad.clean", "false"]);
        sample.git(&["config", "filter.bad.required", "true"]);
        sample.write("x.up", "loud\n");
        sample.write("x.bad", "changed\n");
        let repository = sample.open();
        let changes = repository.changes(&[]).unwrap_or_default();
        let mut edit = TreeEdit::begin(&repository, repository.head().unwrap().tree.as_deref()).unwrap();
        let all: Vec<u32> = (0..changes.length()).collect();
        let unreadable = edit.take(&repository, &changes, &all).unwrap();
        let tree = edit.write(&repository).unwrap();
        assert_eq!(unreadable.len(), 1);
        assert_eq!(sample.git(&["show", &format!("{tree}:x.up")]), "LOUD");
        assert_eq!(sample.git(&["show", &format!("{tree}:x.bad")]), "1");
    }

    #[test]
    fn what_can_not_be_read_is_answered_and_links_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let sample = Sample::with(&[("a", "1")]);
        sample.write("dir/secret", "mine");
        sample.write("env/pyvenv.cfg", "");
        sample.write("gone", "1");
        sample.write("pipe", "1");
        let repository = sample.open();
        let changes = repository.changes(&["pyvenv.cfg".to_owned()]).unwrap();
        fs::remove_dir_all(sample.root().join("dir")).unwrap();
        symlink(outside.path(), sample.root().join("dir")).unwrap();
        sample.remove("gone");
        sample.remove("pipe");
        std::process::Command::new("mkfifo").arg(sample.root().join("pipe")).status().unwrap();
        let mut edit = TreeEdit::begin(&repository, None).unwrap();
        assert_eq!(edit.take(&repository, &changes, &[0, 1, 2, 3, 99]).unwrap(), [0, 1, 2, 3, 99]);
        assert_eq!(edit.write(&repository).unwrap(), sample.git(&["mktree"]));
    }

    #[test]
    fn trees_are_edited_by_path() {
        let sample = Sample::with(&[("a/b", "1"), ("a/c", "1"), ("d", "1")]);
        let repository = sample.open();
        let blob = sample.git(&["rev-parse", "HEAD:d"]);
        let mut edit = TreeEdit::begin(&repository, repository.head().unwrap().tree.as_deref()).unwrap();
        edit.remove("a").unwrap();
        edit.remove("none/at/all").unwrap();
        edit.put(".au/experiments/1/record.json", &blob).unwrap();
        let tree = edit.write(&repository).unwrap();
        let names = |tree: &str| sample.git(&["ls-tree", "-r", "--name-only", tree]);
        assert_eq!(names(&tree), ".au/experiments/1/record.json\nd");
        edit.put("e", &blob).unwrap();
        assert_eq!(names(&edit.write(&repository).unwrap()), ".au/experiments/1/record.json\nd\ne");

        for path in ["", "/x", "a/../b", ".git/config", "a/.GIT", "a//b"] {
            assert!(matches!(edit.put(path, &blob), Err(Error::InvalidPath(_))), "{path}");
            assert!(matches!(edit.remove(path), Err(Error::InvalidPath(_))), "{path}");
        }
        assert!(edit.put("x", "rubbish").is_err());
        edit.put("x", &"1".repeat(40)).unwrap();
        assert!(edit.write(&repository).unwrap_err().to_string().contains("there is no object"));
        assert!(TreeEdit::begin(&repository, Some(&blob)).is_err());
        assert!(TreeEdit::begin(&repository, Some("main")).is_err());
    }

    #[test]
    fn blobs_of_any_size_are_git_s() {
        let sample = Sample::empty();
        let repository = sample.open();
        for size in [0, 1, 1 << 20, (1 << 20) + 1, 5_000_000] {
            let mut writer = BlobWriter::begin(&repository).unwrap();
            let bytes: Vec<u8> = (0..size).map(|number: u32| (number % 251) as u8).collect();
            for piece in bytes.chunks(300_000) {
                writer.write(&repository, piece).unwrap();
            }
            assert_eq!(writer.size(), u64::from(size));
            let id = writer.finish(&repository).unwrap();
            fs::write(sample.root().join("x"), &bytes).unwrap();
            assert_eq!(id, sample.git(&["hash-object", "x"]));
            assert_eq!(sample.git(&["cat-file", "-s", &id]), size.to_string());
        }
        let mut dropped = BlobWriter::begin(&repository).unwrap();
        dropped.write(&repository, &vec![0; 2 << 20]).unwrap();
        let temporary = || {
            let names = fs::read_dir(sample.root().join(".git/objects")).unwrap();
            names.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("tmp_obj_")).count()
        };
        assert_eq!(temporary(), 1);
        drop(dropped);
        assert_eq!(temporary(), 0);
        fsck(&sample);
    }

    #[test]
    fn a_commit_is_as_planned_and_the_same_again() {
        let sample = Sample::with(&[("a", "1")]);
        let repository = sample.open();
        sample.write("a", "2");
        sample.git(&["config", "commit.gpgSign", "true"]);
        let head = repository.head().unwrap();
        let (tree, _) = take_all(&repository);
        let message = "subject\n\nbody: 'ü'\n".to_owned();
        let parents = vec![head.commit.clone().unwrap()];
        let plan = CommitPlan { tree: tree.clone(), parents, signature: signature(), message };
        let id = commit(&repository, &plan).unwrap();
        assert_eq!(commit(&sample.open(), &plan).unwrap(), id);
        let raw = sample.git(&["cat-file", "commit", &id]);
        let parent = head.commit.clone().unwrap();
        let who = "Ann <ann@x> 1700000000 -0130";
        assert_eq!(raw, format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nsubject\n\nbody: 'ü'"));
        assert_eq!(repository.head().unwrap(), head);
        let rootless = CommitPlan { parents: Vec::new(), ..plan.clone() };
        commit(&repository, &rootless).unwrap();
        assert!(commit(&repository, &CommitPlan { tree: parent, ..plan.clone() }).is_err());
        assert!(commit(&repository, &CommitPlan { parents: vec![tree], ..plan }).is_err());
        fsck(&sample);
    }

    #[test]
    fn a_commit_with_a_missing_object_is_refused() {
        let sample = Sample::with(&[("a", "1")]);
        let repository = sample.open();
        sample.write("a", "2");
        let (tree, _) = take_all(&repository);
        let blob = sample.git(&["rev-parse", &format!("{tree}:a")]);
        fs::remove_file(sample.root().join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
        let plan = CommitPlan { tree, parents: Vec::new(), signature: signature(), message: "x".into() };
        assert!(commit(&repository, &plan).unwrap_err().to_string().contains(&blob));
    }

    fn second_commit(sample: &Sample) -> String {
        sample.git(&["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "second"])
    }

    #[test]
    fn references_are_compared_and_swapped() {
        let sample = Sample::with(&[("a", "1")]);
        let repository = sample.open();
        let (one, two) = (sample.git(&["rev-parse", "HEAD"]), second_commit(&sample));
        let set =
            |name: &str, expected: Option<&str>, target: &str| set_reference(&repository, name, expected, target, true);
        set("refs/tags/au/1", None, &one).unwrap();
        assert!(matches!(set("refs/tags/au/1", None, &one), Err(Error::Conflict(_))));
        assert!(matches!(set("refs/tags/au/1", Some(&two), &two), Err(Error::Conflict(_))));
        assert!(matches!(set("refs/tags/au/2", Some(&one), &two), Err(Error::Conflict(_))));
        set("refs/tags/au/1", Some(&one), &two).unwrap();
        assert_eq!(sample.git(&["rev-parse", "au/1"]), two);

        sample.git(&["pack-refs", "--all"]);
        let packed = fs::read(sample.root().join(".git/packed-refs")).unwrap();
        assert!(matches!(set("refs/tags/au/1", None, &one), Err(Error::Conflict(_))));
        set("refs/tags/au/1", Some(&two), &one).unwrap();
        assert_eq!(sample.git(&["rev-parse", "au/1"]), one);
        assert!(packed == fs::read(sample.root().join(".git/packed-refs")).unwrap());

        for name in ["refs/tags/au", "refs/tags/au/1/x"] {
            let error = set(name, None, &one).unwrap_err();
            assert!(matches!(&error, Error::Conflict(words) if words.contains(name)), "{error}");
        }
        fs::create_dir_all(sample.root().join(".git/refs/tags/left/behind")).unwrap();
        set("refs/tags/left", None, &one).unwrap();
        for name in ["main", "refs/../x", "FETCH_HEAD", "refs/bisect/x", "refs/tags/a b", "refs/tags/x.lock", "refs/"] {
            assert!(matches!(set(name, None, &one), Err(Error::Other(_))), "{name}");
        }
        assert!(set("refs/tags/x", None, &"1".repeat(40)).is_err());
        assert!(!sample.root().join(".git/logs/refs/tags").exists());
        fsck(&sample);
    }

    #[test]
    fn head_moves_its_branch() {
        let sample = Sample::empty();
        sample.git(&["config", "user.name", "Ann"]);
        sample.git(&["config", "user.email", "ann@example.com"]);
        let tree = sample.git(&["mktree"]);
        let one = sample.git(&["commit-tree", &tree, "-m", "first"]);
        let repository = sample.open();
        set_reference(&repository, "HEAD", None, &one, true).unwrap();
        assert_eq!(repository.head().unwrap().branch.as_deref(), Some("main"));
        let two = second_commit(&sample);
        assert!(matches!(set_reference(&repository, "HEAD", None, &two, true), Err(Error::Conflict(_))));
        set_reference(&repository, "HEAD", Some(&one), &two, true).unwrap();
        assert_eq!(sample.git(&["rev-parse", "main"]), two);
        for log in ["HEAD", "main"] {
            let log = sample.git(&["reflog", "show", "--format=%H %gn %ge %gs", log]);
            let who = "Ann ann@example.com aurum:";
            assert_eq!(log, format!("{two} {who} second\n{one} {who} first"));
        }
        sample.git(&["checkout", "-q", "--detach"]);
        set_reference(&repository, "HEAD", Some(&two), &one, true).unwrap();
        assert_eq!(sample.git(&["rev-parse", "main"]), two);
        assert_eq!(repository.head().unwrap().commit.unwrap(), one);
        fsck(&sample);
    }

    #[test]
    fn of_many_at_once_one_wins() {
        let sample = Sample::with(&[("a", "1")]);
        let (one, two) = (sample.git(&["rev-parse", "HEAD"]), second_commit(&sample));
        let root = sample.root();
        let race = |name: &str, expected: Option<&str>| {
            thread::scope(|scope| {
                let runs: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| set_reference(&Repository::new(&root), name, expected, &two, false)))
                    .collect();
                runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
            })
        };
        for results in [race("refs/tags/au/1", None), race("HEAD", Some(&one))] {
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
            assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(Error::Conflict(_)))));
        }
    }

    #[test]
    fn references_are_removed_wherever_they_are() {
        let sample = Sample::with(&[("a", "1")]);
        sample.git(&["tag", "au/1"]);
        sample.git(&["tag", "au/2"]);
        sample.git(&["pack-refs", "--all"]);
        sample.git(&["tag", "au/3"]);
        let names = ["refs/tags/au/1", "refs/tags/au/3", "refs/tags/au/1", "refs/tags/none"].map(str::to_owned);
        remove_references(&sample.open(), &names).unwrap();
        assert_eq!(sample.git(&["tag"]), "au/2");
        assert!(remove_references(&sample.open(), &["HEAD".to_owned()]).is_err());
        assert!(!sample.root().join(".git/refs/tags/none").exists());
    }

    #[test]
    fn staging_leaves_the_rest_of_the_index_alone() {
        let sample = Sample::with(&[("a", "1"), ("b", "1")]);
        sample.git(&["update-index", "--assume-unchanged", "a"]);
        sample.write("b", "staged");
        sample.git(&["add", "b"]);
        sample.write("b", "not staged");
        let repository = sample.open();
        let mut writer = BlobWriter::begin(&repository).unwrap();
        writer.write(&repository, b"content").unwrap();
        let blob = writer.finish(&repository).unwrap();
        let path = "-odd\tname/ü".to_owned();
        stage(&repository, &[Staged { path: path.clone(), blob: Some(blob.clone()) }]).unwrap();
        assert_eq!(repository.read_staged(&path).unwrap().unwrap(), b"content");
        assert_eq!(repository.read_staged("b").unwrap().unwrap(), b"staged");
        assert!(sample.git(&["ls-files", "-v", "a"]).starts_with('h'));
        assert!(!sample.root().join("-odd\tname").exists());
        assert!(stage(&repository, &[Staged { path: "../x".into(), blob: Some(blob.clone()) }]).is_err());
        assert!(stage(&repository, &[Staged { path: "x".into(), blob: Some("1".repeat(40)) }]).is_err());
        fs::write(sample.root().join(".git/index.lock"), "").unwrap();
        assert!(matches!(stage(&repository, &[Staged { path, blob: Some(blob) }]), Err(Error::Conflict(_))));
    }

    #[test]
    fn switching_detaches_head_and_never_overwrites_what_is_not_in_git() {
        let sample = Sample::with(&[("a", "1")]);
        let first = sample.git(&["rev-parse", "HEAD"]);
        sample.write("a", "2");
        sample.write("b", "2");
        sample.git(&["add", "."]);
        sample.git(&["commit", "-qm", "second"]);
        let second = sample.git(&["rev-parse", "HEAD"]);
        let repository = sample.open();
        switch_detached(&repository, &first).unwrap();
        let head = repository.head().unwrap();
        assert_eq!((head.commit, head.branch), (Some(first.clone()), None));
        assert_eq!(sample.git(&["rev-parse", "main"]), second);
        assert_eq!(fs::read_to_string(sample.root().join("a")).unwrap(), "1");
        sample.git(&["switch", "-q", "-"]);
        assert_eq!(repository.head().unwrap().branch.as_deref(), Some("main"));

        sample.git(&["switch", "-q", "--detach", &first]);
        for ignored in [false, true] {
            sample.write("b", "mine");
            if ignored {
                fs::write(sample.root().join(".git/info/exclude"), "b\n").unwrap();
            }
            let error = switch_detached(&repository, &second).unwrap_err();
            assert!(
                matches!(&error, Error::Conflict(words) if words.contains("`b`") && !words.contains('\n')),
                "{error}"
            );
            assert_eq!(fs::read_to_string(sample.root().join("b")).unwrap(), "mine");
        }
        assert!(matches!(switch_detached(&repository, "HEAD"), Err(Error::Other(_))));
        let tree = sample.git(&["rev-parse", "HEAD^{tree}"]);
        assert!(switch_detached(&repository, &tree).is_err());
    }

    #[test]
    fn settings_are_aurums_own_and_this_repositorys_alone() {
        let sample = Sample::empty();
        let set = |key: &str, value: Option<&str>| set_local_setting(&sample.open(), key, value);
        set("aurum.data.Adult Data.v1.path", Some("/mnt/a b \"c\"\n")).unwrap();
        let read = |key: &str| sample.open().setting(key).unwrap();
        assert_eq!(read("aurum.data.Adult Data.v1.path").as_deref(), Some("/mnt/a b \"c\"\n"));
        assert!(sample.open().remembers_path(std::path::Path::new("/mnt/a b \"c\"\n")).unwrap());
        assert!(!sample.open().remembers_path(std::path::Path::new("/mnt")).unwrap());
        set("aurum.data.Adult Data.v1.path", Some("/other")).unwrap();
        assert_eq!(read("aurum.data.Adult Data.v1.path").as_deref(), Some("/other"));
        for _ in 0..2 {
            set("aurum.data.Adult Data.v1.path", None).unwrap();
        }
        assert_eq!(read("aurum.data.Adult Data.v1.path"), None);
        for key in ["core.fsmonitor", "aurumx.y", "", "aurum.a\nb.c", "aurum."] {
            assert!(set(key, Some("x")).is_err(), "{key}");
        }
    }

    #[test]
    fn what_this_clone_excludes_is_exchanged() {
        let sample = Sample::with(&[("a", "1")]);
        fs::remove_dir_all(sample.root().join(".git/info")).unwrap();
        let repository = sample.open();
        assert_eq!(repository.read_exclude().unwrap(), None);
        exchange_exclude(&repository, None, b"/data\n").unwrap();
        assert!(matches!(exchange_exclude(&repository, None, b""), Err(Error::Conflict(_))));
        assert_eq!(repository.read_exclude().unwrap().unwrap(), b"/data\n");
        sample.write("data", "1");
        assert_eq!(sample.git(&["status", "--short"]), "");
        assert_eq!(sample.open().changes(&[]).unwrap().length(), 0);
    }
}
