//! The state of a folder of code that is not the project's: what was checked out there.

use std::path::{Path, PathBuf};

use gix::remote::Direction;
use gix::status::index_worktree::Item;
use gix::status::plumbing::index_as_worktree::EntryStatus;

use super::open::{self, Place};

/// Files of an index up to which it is looked whether any has changed: more would be noticed when a run begins.
const MOST_FILES: usize = 20_000;

/// What git knows of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The root of its working tree.
    pub(crate) top: PathBuf,
    /// The folder below that, `/`-separated; empty for the root.
    pub(crate) subdirectory: String,
    /// What HEAD is at.
    pub(crate) commit: Option<String>,
    /// None when HEAD is detached.
    pub(crate) branch: Option<String>,
    /// Whether a tracked file is other than in that commit; none where there are too many to look at.
    pub(crate) dirty: Option<bool>,
    /// Where the branch is fetched from, as git's settings have it.
    pub(crate) remote: Option<String>,
}

/// The root of the working tree that a folder is in.
pub(crate) fn top(folder: &Path) -> Option<PathBuf> {
    match open::locate(folder).ok()? {
        Place::Here => folder.canonicalize().ok(),
        Place::Above(top) => Some(top),
        Place::Nothing => None,
    }
}

/// The state of the repository at a root, seen from a folder in it. None where it can't be opened, as one of somebody else's.
pub(crate) fn state(top: &Path, folder: &Path) -> Option<State> {
    let repository = open::open(top).ok()?;
    let head = repository.head().ok()?;
    let branch = head.referent_name().map(|name| name.shorten().to_string());
    let commit = head.id().map(|id| id.to_string());
    let remote = head.into_remote(Direction::Fetch).and_then(Result::ok);
    let remote = remote.and_then(|remote| Some(remote.url(Direction::Fetch)?.to_bstring().to_string()));
    let below = folder.canonicalize().ok()?;
    let subdirectory = below.strip_prefix(top).ok()?.to_string_lossy().into_owned();
    let dirty = is_dirty(&repository);
    Some(State { top: top.to_owned(), subdirectory, commit, branch, dirty, remote })
}

fn is_dirty(repository: &gix::Repository) -> Option<bool> {
    let index = repository.index_or_empty().ok()?;
    if index.entries().len() > MOST_FILES {
        return None;
    }
    let head = repository.head_tree_id_or_empty().ok()?.detach();
    let same = index.tree().is_some_and(|tree| tree.num_entries.is_some() && tree.id == head);
    if !same {
        let committed = repository.index_from_tree(&head).ok()?;
        let entries = |index: &gix::index::State| {
            let entries = index.entries().iter();
            entries.map(|entry| (entry.path(index).to_owned(), entry.mode, entry.id)).collect::<Vec<_>>()
        };
        if entries(&index) != entries(&committed) {
            return Some(true);
        }
    }
    let running = repository
        .status(gix::progress::Discard)
        .ok()?
        .index_worktree_rewrites(None)
        .index_worktree_options_mut(|options| options.dirwalk_options = None)
        .into_index_worktree_iter(Vec::new())
        .ok()?;
    // What was merely touched is the same.
    let changed = |item| !matches!(item, Item::Modification { status: EntryStatus::NeedsUpdate(_), .. });
    Some(running.filter_map(Result::ok).any(changed))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::Sample;
    use super::*;

    #[test]
    fn a_folder_is_at_a_commit_with_or_without_changes() {
        let sample = Sample::with(&[("a/b.py", "1"), ("c", "2")]);
        let commit = sample.git(&["rev-parse", "HEAD"]);
        let branch = sample.git(&["symbolic-ref", "--short", "HEAD"]);
        sample.git(&["remote", "add", "origin", "https://ada:pw@example.org/x.git"]);
        let folder = sample.root().join("a");
        let top = top(&folder).unwrap();
        assert_eq!(top, sample.root().canonicalize().unwrap());
        let found = |dirty| State {
            top: top.clone(),
            subdirectory: "a".into(),
            commit: Some(commit.clone()),
            branch: Some(branch.clone()),
            dirty: Some(dirty),
            remote: Some("https://ada:pw@example.org/x.git".into()),
        };
        assert_eq!(state(&top, &folder).unwrap(), found(false));
        // Touched, with the same in it, and something new beside.
        sample.write("c", "2");
        sample.write("new", "3");
        assert_eq!(state(&top, &folder).unwrap(), found(false));
        sample.write("c", "22");
        assert_eq!(state(&top, &folder).unwrap(), found(true));
        sample.git(&["add", "c"]);
        assert_eq!(state(&top, &folder).unwrap(), found(true));
        assert_eq!(super::top(Path::new("/")), None);
    }
}
