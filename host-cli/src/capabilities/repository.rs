//! Reading the git repository that the project lives in; interface `repository`.

use std::cell::OnceCell;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use super::git::changes::ChangeSet;
pub use super::git::history::FileReader;
use super::git::open::{self, Place};
use super::git::{changes, check_path, failure, history, index, references};
use super::workspace::Workspace;
use super::{Error, Result};

/// The repository whose working tree is rooted at the project's folder.
///
/// It is opened when first needed and kept open: references, objects, index and files are read anew each time, settings
/// are those of the first time.
pub struct Repository {
    root: PathBuf,
    opened: OnceCell<gix::Repository>,
}

/// Where the project's folder stands towards git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In no repository.
    Absent,
    /// At the root of a working tree.
    Root,
    /// Below the root of a working tree, which is named for messages alone.
    Below(String),
    /// In a repository without a working tree.
    Bare,
}

/// Where HEAD is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// None on a branch without a commit yet.
    pub commit: Option<String>,
    /// The commit's tree.
    pub tree: Option<String>,
    /// The branch's short name; none when detached.
    pub branch: Option<String>,
    /// Whether a merge, rebase, cherry-pick, revert or bisection is under way, and its name.
    pub operation: Option<String>,
}

/// Who commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As git's `user.name`.
    pub name: String,
    /// As git's `user.email`.
    pub email: String,
}

/// A reference, peeled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The full name.
    pub name: String,
    /// The object it leads to, annotated tags peeled.
    pub target: String,
}

/// A file or folder of a commit or tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// A commit or a tree.
    pub root: String,
    /// The path within it.
    pub path: String,
}

/// How a file differs from HEAD's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Tracked or staged, and other than in HEAD's tree.
    Modified,
    /// In HEAD's tree, and gone from the working tree.
    Deleted,
    /// Neither tracked nor ignored.
    Untracked,
    /// A submodule or a repository within, with changes of its own.
    Repository,
}

/// One difference between the working tree and HEAD's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For people and rules; bytes that are not UTF-8 are replaced. Ends in `/` for a folder left unlisted.
    pub path: String,
    /// What kind of difference.
    pub kind: ChangeKind,
    /// Of the working file, in bytes; 0 when deleted.
    pub size: u64,
    /// Milliseconds since 1970; 0 when deleted.
    pub modified: u64,
}

impl Repository {
    /// Names the project's folder; nothing is looked at yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), opened: OnceCell::new() }
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The `.git` folder that all worktrees of the repository share.
    pub fn common_dir(&self) -> Result<PathBuf> {
        let folder = self.git()?.common_dir();
        folder.canonicalize().map_err(|error| Error::io(format_args!("can't find `{}`", folder.display()), &error))
    }

    /// The same, be it there or not.
    pub(crate) fn common_dir_as_opened(&self) -> Result<PathBuf> {
        let folder = self.git()?.common_dir();
        Ok(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
    }

    /// Where the project's folder stands towards git.
    pub fn standing(&self) -> Result<Standing> {
        Ok(match open::locate(&self.root)? {
            Place::Nothing => Standing::Absent,
            Place::Above(top) => Standing::Below(top.to_string_lossy().into_owned()),
            Place::Here if self.git()?.workdir().is_none() => Standing::Bare,
            Place::Here => Standing::Root,
        })
    }

    /// Where HEAD is.
    pub fn head(&self) -> Result<Head> {
        let repository = self.git()?;
        let read = || -> gix::Result<Head> {
            let head = repository.head()?;
            let branch = head.referent_name().map(|name| name.shorten().to_string());
            let commit = if head.is_unborn() { None } else { Some(head.into_peeled_id()?.object()?.peel_to_commit()?) };
            let tree = commit.as_ref().map(gix::Commit::tree_id).transpose()?;
            Ok(Head {
                commit: commit.as_ref().map(|commit| commit.id.to_string()),
                tree: tree.map(|tree| tree.to_string()),
                branch,
                operation: repository.state().map(|operation| operation_name(&operation).to_owned()),
            })
        };
        read().map_err(|error| failure(&error))
    }

    /// The committer as git would take it from its settings and environment; none when git would refuse to commit or
    /// would have to guess.
    pub fn identity(&self) -> Result<Option<Identity>> {
        let identity = match self.git() {
            Ok(repository) => open::identity(repository),
            // Whoever is about to make a repository wants to know first.
            Err(error) if self.standing()? != Standing::Absent => return Err(error),
            Err(_) => open::identity_without_repository(&self.root),
        };
        Ok(identity.map(|(name, email)| Identity { name, email }))
    }

    /// A value of git's configuration in all its scopes, the last one given.
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        let key = gix::config::KeyRef::parse_unvalidated(key.into());
        let Some(key) = key else { return Ok(None) };
        Ok(self.git()?.config_snapshot().string(key).map(|value| value.to_string()))
    }

    /// Whether a value of `aurum.*.path` in the repository's own configuration is this path: then it was granted once.
    pub(crate) fn remembers_path(&self, path: &Path) -> Result<bool> {
        let Ok(repository) = self.git() else { return Ok(false) };
        let settings = repository.config_snapshot();
        let sections = settings.sections_by_name("aurum").into_iter().flatten();
        let mut own = sections.filter(|section| section.meta().source == gix::config::Source::Local);
        Ok(own.any(|section| {
            section.value("path").is_some_and(|value| gix::path::from_bstr(value).is_ok_and(|known| known == path))
        }))
    }

    /// The references whose full name begins with `prefix` and sorts after `after`, by name, at most `limit` of them.
    pub fn references(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<Reference>> {
        references::list(self.git()?, prefix, after, limit)
    }

    /// All references whose full name begins with `prefix`, as they are now.
    pub fn reference_list(&self, prefix: &str) -> Result<ReferenceList> {
        Ok(ReferenceList { lines: references::lines(self.git()?, prefix)?, given: 0 })
    }

    /// A text that changes with any reference directly in one of these folders; none as long as that can't be told.
    pub fn reference_state(&self, folders: &[&str]) -> Result<Option<String>> {
        references::state(self.git()?, folders)
    }

    /// The files at these places, none where there is no such file: as many from the front as fit into 4 MiB, but at
    /// least one.
    pub fn read_files(&self, locations: &[Location]) -> Result<Vec<Option<Vec<u8>>>> {
        history::read_files(self.git()?, locations)
    }

    /// Writes a file of a commit or tree, however large, and says whether there is one.
    pub fn copy_file(&self, location: &Location, to: &mut dyn Write) -> Result<bool> {
        history::copy_file(self.git()?, &self.root, location, to)
    }

    /// Opens a file of a commit or tree; none where there is no such file.
    pub fn open_file(&self, location: &Location) -> Result<Option<FileReader>> {
        FileReader::open(self.git()?, &self.root, location)
    }

    /// The names directly within a folder of a commit or tree; empty when there is no such folder.
    pub fn list_folder(&self, location: &Location) -> Result<Vec<String>> {
        history::list_folder(self.git()?, location)
    }

    /// The commits that changed a file, newest first, each with its time in seconds.
    pub fn file_commits(&self, path: &str) -> Result<Vec<(String, i64)>> {
        history::file_commits(&self.root, path)
    }

    /// A file as it is staged in the index; none when it is not.
    pub fn read_staged(&self, path: &str) -> Result<Option<Vec<u8>>> {
        history::read_staged(self.git()?, path)
    }

    /// Whether git tracks the file at this path, or anything below it.
    pub fn is_tracked(&self, path: &str) -> Result<bool> {
        check_path(path)?;
        let index = index::read(self.git()?)?;
        let below = format!("{path}/");
        Ok(index.entry_by_path(path.into()).is_some() || index.prefixed_entries(below.as_str().into()).is_some())
    }

    /// `info/exclude`, whose patterns git ignores in this clone alone; none when there is no such file.
    pub fn read_exclude(&self) -> Result<Option<Vec<u8>>> {
        let folder = self.common_dir()?.join("info");
        if folder.is_dir() { Workspace::new(&folder)?.read("exclude") } else { Ok(None) }
    }

    /// How the working tree differs from HEAD's tree, by path, ignored files left out. An untracked folder is listed
    /// file by file, save one that holds any of `markers` or is named by a marker ending in `/`.
    pub fn changes(&self, markers: &[String]) -> Result<ChangeSet> {
        changes::compute(self.git()?, markers)
    }

    /// The repository itself, opened if it is not.
    pub(crate) fn git(&self) -> Result<&gix::Repository> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = open::open(&self.root)?;
        Ok(self.opened.get_or_init(|| opened))
    }
}

/// References of one moment, given out in pieces.
#[derive(Debug)]
pub struct ReferenceList {
    lines: Vec<u8>,
    given: usize,
}

impl ReferenceList {
    /// Bytes of a piece at most.
    const PIECE: usize = 4 << 20;

    /// The next whole lines `<target> <rest of the name>`; empty at the end.
    pub fn next_lines(&mut self) -> Vec<u8> {
        let rest = &self.lines[self.given..];
        let piece = &rest[..rest.len().min(Self::PIECE)];
        let end = piece.iter().rposition(|byte| *byte == b'\n').map_or(piece.len(), |last| last + 1);
        self.given += end;
        piece[..end].to_vec()
    }
}

fn operation_name(operation: &gix::state::InProgress) -> &'static str {
    use gix::state::InProgress;
    match operation {
        InProgress::ApplyMailbox | InProgress::ApplyMailboxRebase => "am",
        InProgress::Bisect => "bisect",
        InProgress::CherryPick | InProgress::CherryPickSequence => "cherry-pick",
        InProgress::Merge => "merge",
        InProgress::Rebase | InProgress::RebaseInteractive => "rebase",
        InProgress::Revert | InProgress::RevertSequence => "revert",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;

    use super::super::git::testing::{Sample, git_in};
    use super::*;

    #[test]
    fn standing_names_the_place() {
        let outside = tempfile::tempdir().unwrap();
        assert_eq!(Repository::new(outside.path()).standing().unwrap(), Standing::Absent);
        assert!(matches!(Repository::new(outside.path()).common_dir(), Err(Error::Other(_))));

        let sample = Sample::with(&[("sub/a", "1")]);
        assert_eq!(sample.open().standing().unwrap(), Standing::Root);
        let below = Repository::new(&sample.root().join("sub"));
        assert_eq!(below.standing().unwrap(), Standing::Below(sample.root().to_str().unwrap().into()));
        assert!(below.head().is_err());

        let link = outside.path().join("link");
        std::os::unix::fs::symlink(sample.root(), &link).unwrap();
        assert_eq!(Repository::new(&link).standing().unwrap(), Standing::Root);

        let bare = outside.path().join("bare.git");
        fs::create_dir(&bare).unwrap();
        git_in(&bare, &["init", "-q", "--bare"]);
        assert_eq!(Repository::new(&bare).standing().unwrap(), Standing::Bare);
    }

    #[test]
    fn linked_worktrees_and_submodules_are_roots() {
        let sample = Sample::with(&[("a", "1")]);
        let other = tempfile::tempdir().unwrap();
        let tree = other.path().join("tree");
        sample.git(&["worktree", "add", "-q", "-b", "side", tree.to_str().unwrap()]);
        let linked = Repository::new(&tree);
        assert_eq!(linked.standing().unwrap(), Standing::Root);
        assert_eq!(linked.common_dir().unwrap(), sample.root().join(".git"));
        assert_eq!(linked.head().unwrap().branch.as_deref(), Some("side"));
        fs::write(tree.join("a"), "2").unwrap();
        assert_eq!(linked.changes(&[]).unwrap().length(), 1);
        assert_eq!(sample.open().changes(&[]).unwrap().length(), 0);

        let holder = Sample::empty();
        holder.git(&["submodule", "--quiet", "add", sample.root().to_str().unwrap(), "sub"]);
        let inner = Repository::new(&holder.root().join("sub"));
        assert_eq!(inner.standing().unwrap(), Standing::Root);
        assert_eq!(inner.common_dir().unwrap(), holder.root().join(".git/modules/sub"));
    }

    #[test]
    fn head_tells_commit_tree_branch_and_operation() {
        let sample = Sample::empty();
        let unborn = Head { branch: Some("main".into()), ..Head::default() };
        assert_eq!(sample.open().head().unwrap(), unborn);
        sample.write("a", "1");
        sample.git(&["add", "a"]);
        sample.git(&["commit", "-qm", "first"]);
        sample.git(&["bisect", "start"]);
        let head = sample.open().head().unwrap();
        assert_eq!(head.commit.unwrap(), sample.git(&["rev-parse", "HEAD"]));
        assert_eq!(head.tree.unwrap(), sample.git(&["rev-parse", "HEAD^{tree}"]));
        assert_eq!(head.operation.as_deref(), Some("bisect"));
        sample.git(&["checkout", "-q", "--detach"]);
        assert_eq!(sample.open().head().unwrap().branch, None);
    }

    #[test]
    fn other_formats_work_or_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        git_in(folder.path(), &["init", "-q", "--ref-format=reftable"]);
        let error = Repository::new(folder.path()).head().unwrap_err().to_string();
        assert!(error.contains("git refs migrate --ref-format=files"), "{error}");

        let folder = tempfile::tempdir().unwrap();
        git_in(folder.path(), &["init", "-q", "--object-format=sha256"]);
        fs::write(folder.path().join("a"), "1").unwrap();
        git_in(folder.path(), &["add", "a"]);
        git_in(folder.path(), &["commit", "-qm", "first"]);
        let repository = Repository::new(folder.path());
        assert_eq!(repository.head().unwrap().commit.unwrap(), git_in(folder.path(), &["rev-parse", "HEAD"]));
        assert_eq!(repository.changes(&[]).unwrap().length(), 0);
    }

    #[test]
    fn settings_and_identity_come_from_git() {
        let sample = Sample::empty();
        sample.git(&["config", "user.name", " Zoë <x>,"]);
        sample.git(&["config", "user.email", "zoe@example.com"]);
        sample.git(&["config", "aurum.sub.Key", "one"]);
        sample.git(&["config", "--add", "aurum.sub.Key", "two"]);
        let repository = sample.open();
        assert_eq!(repository.setting("aurum.sub.key").unwrap().as_deref(), Some("two"));
        for absent in ["aurum.none", "nothing", "", ".", "a..b"] {
            assert_eq!(repository.setting(absent).unwrap(), None, "{absent}");
        }
        let identity = Identity { name: "Zoë x".into(), email: "zoe@example.com".into() };
        assert_eq!(repository.identity().unwrap(), Some(identity));
    }

    #[test]
    fn references_come_sorted_peeled_and_in_pages() {
        let sample = Sample::with(&[("a", "1")]);
        let commit = sample.git(&["rev-parse", "HEAD"]);
        sample.git(&["tag", "au/1"]);
        sample.git(&["tag", "-m", "words", "au/2"]);
        sample.git(&["pack-refs", "--all"]);
        sample.git(&["tag", "-m", "words", "au/3"]);
        sample.git(&["tag", "au/4"]);
        sample.git(&["tag", "aux"]);
        fs::write(sample.root().join(".git/refs/tags/au/5"), "rubbish").unwrap();
        let repository = sample.open();
        let all = repository.references("refs/tags/au/", None, 100).unwrap();
        let names: Vec<_> = all.iter().map(|reference| reference.name.as_str()).collect();
        assert_eq!(names, ["refs/tags/au/1", "refs/tags/au/2", "refs/tags/au/3", "refs/tags/au/4"]);
        assert!(all.iter().all(|reference| reference.target == commit));
        assert_eq!(repository.references("refs/tags/au/", Some("refs/tags/au/2"), 1).unwrap(), all[2..3]);
        assert_eq!(repository.references("refs/tags/au", None, 100).unwrap().len(), 5);
        assert_eq!(repository.references("refs/none/", None, 100).unwrap(), []);
        assert_eq!(repository.references("", None, 100).unwrap().len(), 6);
        sample.git(&["tag", "-d", "au/2"]);
        assert_eq!(repository.references("refs/tags/au/", None, 100).unwrap().len(), 3);
    }

    #[test]
    fn many_references_come_as_lines() {
        let sample = Sample::with(&[("a", "1")]);
        let first = sample.git(&["rev-parse", "HEAD"]);
        sample.git(&["tag", "au/1"]);
        sample.git(&["tag", "-m", "words", "au/2"]);
        sample.git(&["tag", "au/3"]);
        sample.git(&["pack-refs", "--all"]);
        sample.git(&["commit", "-qm", "second", "--allow-empty"]);
        let second = sample.git(&["rev-parse", "HEAD"]);
        sample.git(&["tag", "-f", "au/3"]);
        sample.git(&["tag", "-m", "words", "au/0"]);
        sample.git(&["tag", "aux"]);
        fs::write(sample.root().join(".git/refs/tags/au/5"), "rubbish").unwrap();
        let repository = sample.open();
        let mut list = repository.reference_list("refs/tags/au/").unwrap();
        let lines = String::from_utf8(list.next_lines()).unwrap();
        assert_eq!(lines, format!("{second} 0\n{first} 1\n{first} 2\n{second} 3\n"));
        assert!(list.next_lines().is_empty());
        assert!(repository.reference_list("refs/none/").unwrap().next_lines().is_empty());

        let mut pieces = ReferenceList { lines: b"0123456789 name\n".repeat(1 << 19), given: 0 };
        let first = pieces.next_lines();
        assert!(first.len() <= 4 << 20 && first.ends_with(b"\n"));
        assert_eq!(std::iter::from_fn(|| Some(pieces.next_lines()).filter(|piece| !piece.is_empty())).count(), 1);
    }

    #[test]
    fn the_state_of_references_changes_with_each_of_them() {
        let sample = Sample::with(&[("a", "1")]);
        let folders = ["refs/tags/au/", "refs/notes/"];
        let settled = || {
            // Only a change that is two seconds old can be told from the next one.
            std::thread::sleep(std::time::Duration::from_millis(2_100));
            sample.open().reference_state(&folders).unwrap().unwrap()
        };
        sample.git(&["tag", "au/1"]);
        assert_eq!(sample.open().reference_state(&folders).unwrap(), None, "too fresh");
        let first = settled();
        assert_eq!(settled(), first);
        sample.git(&["pack-refs", "--all"]);
        let packed = settled();
        assert_ne!(packed, first);
        sample.git(&["tag", "-d", "au/1"]);
        assert_ne!(settled(), packed);
        assert!(sample.open().reference_state(&["refs/../../"]).is_err());
        assert!(sample.open().reference_state(&["hooks/"]).is_err());
    }

    #[test]
    fn files_are_read_in_measure() {
        let sample = Sample::with(&[("a/b", "1"), ("c", "2"), ("run", "3")]);
        let head = sample.open().head().unwrap();
        let (commit, tree) = (head.commit.unwrap(), head.tree.unwrap());
        let at = |root: &str, path: &str| Location { root: root.to_owned(), path: path.to_owned() };
        let repository = sample.open();
        let missing = "1".repeat(40);
        let wanted = [at(&commit, "a/b"), at(&tree, "c"), at(&commit, "a"), at(&commit, "c/d"), at(&missing, "c")];
        assert_eq!(
            repository.read_files(&wanted).unwrap(),
            [Some(b"1".to_vec()), Some(b"2".to_vec()), None, None, None]
        );
        assert!(matches!(repository.read_files(&[at("HEAD", "c")]), Err(Error::Other(_))));
        assert!(matches!(repository.read_files(&[at(&commit, "../c")]), Err(Error::InvalidPath(_))));
        assert_eq!(repository.list_folder(&at(&commit, "")).unwrap(), ["a", "c", "run"]);
        assert_eq!(repository.list_folder(&at(&tree, "a")).unwrap(), ["b"]);
        assert!(repository.list_folder(&at(&tree, "c")).unwrap().is_empty());

        let large = "x".repeat(3 << 20);
        sample.write("large", &large);
        sample.write("larger", &(large.clone() + &large));
        sample.git(&["add", "large", "larger"]);
        sample.git(&["commit", "-qm", "second"]);
        let commit = sample.git(&["rev-parse", "HEAD"]);
        let wanted = [at(&commit, "large"), at(&commit, "c"), at(&commit, "large")];
        assert_eq!(repository.read_files(&wanted).unwrap().len(), 2);
        assert!(matches!(repository.read_files(&[at(&commit, "larger")]), Err(Error::Other(_))));
    }

    #[test]
    fn staged_content_is_the_index_s() {
        let sample = Sample::with(&[("a", "1")]);
        sample.write("a", "2");
        sample.git(&["add", "a"]);
        sample.write("a", "3");
        sample.write("noted", "3");
        sample.git(&["add", "-N", "noted"]);
        let repository = sample.open();
        assert_eq!(repository.read_staged("a").unwrap().unwrap(), b"2");
        assert_eq!(repository.read_staged("noted").unwrap(), None);
        assert_eq!(repository.read_staged("none").unwrap(), None);
    }

    #[test]
    fn tracked_is_what_the_index_has_and_what_lies_above_it() {
        let sample = Sample::with(&[("data/a.csv", "1"), ("data.csv", "2")]);
        let repository = sample.open();
        for tracked in ["data", "data/a.csv", "data.csv"] {
            assert!(repository.is_tracked(tracked).unwrap(), "{tracked}");
        }
        sample.write("data/b.csv", "3");
        for untracked in ["data/b.csv", "dat", "data/a", "other"] {
            assert!(!repository.is_tracked(untracked).unwrap(), "{untracked}");
        }
        assert!(repository.is_tracked("../x").is_err());
    }
}
