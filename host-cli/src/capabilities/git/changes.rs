//! How the working tree differs from HEAD's tree.
//!
//! Git knows two differences, of the index from HEAD and of the working tree from the index. Here they become one.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::UNIX_EPOCH;

use gix::bstr::{BString, ByteSlice};
use gix::index::entry::{Flags, Mode};
use gix::objs::tree::EntryKind;
use gix::status::index_worktree::Item;
use gix::status::plumbing::index_as_worktree::{Change as Worktree, EntryStatus};
use gix::{ObjectId, diff};

use super::untracked::{self, Untracked};
use super::working_file::WorkingFiles;
use super::{failure, index};
use crate::capabilities::repository::{Change, ChangeKind};
use crate::capabilities::{Error, Result};

/// A list made once, so that positions in it keep their meaning.
#[derive(Debug, Default)]
pub struct ChangeSet {
    changes: Vec<Change>,
    /// What [`Change::path`] shows, byte for byte, in the same order.
    paths: Vec<BString>,
}

impl ChangeSet {
    /// How many there are.
    pub fn length(&self) -> u32 {
        u32::try_from(self.changes.len()).unwrap_or(u32::MAX)
    }

    /// At most `limit` of the changes from `offset` on.
    pub fn page(&self, offset: u32, limit: u32) -> &[Change] {
        let start = (offset as usize).min(self.changes.len());
        let end = start.saturating_add(limit as usize).min(self.changes.len());
        &self.changes[start..end]
    }

    /// The change at a position, with its true path.
    pub(crate) fn at(&self, position: u32) -> Option<(&BString, ChangeKind)> {
        let position = position as usize;
        Some((self.paths.get(position)?, self.changes.get(position)?.kind))
    }
}

/// How an entry of the index differs from HEAD's tree, with what HEAD has.
enum Staged {
    Added(Mode),
    Removed(Mode, ObjectId),
    Modified { head: (Mode, ObjectId), mode: Mode },
}

/// How the working file differs from its entry in the index.
enum Unstaged {
    Modified,
    Removed,
    Unmerged,
    Submodule,
}

#[derive(Default)]
struct Difference {
    staged: Option<Staged>,
    unstaged: Option<Unstaged>,
}

/// Compares, with the help of the index's memory of times and sizes; writes nothing.
pub(crate) fn compute(repository: &gix::Repository, markers: &[String]) -> Result<ChangeSet> {
    let root = repository
        .workdir()
        .ok_or_else(|| Error::Other("the repository has no working tree".into()))?
        .canonicalize()
        .map_err(|error| Error::io("can't find the working tree", &error))?;
    let mut index = index::read(repository)?;
    index::notice_present_files(repository, &mut index);
    let head = repository.head_tree_id_or_empty().map_err(|error| failure(&error))?.detach();

    let (differences, untracked) = gather(repository, &index, &root, head, markers)?;
    let mut kinds = BTreeMap::new();
    let mut files = None;
    let mut removed = HashSet::new();
    for (path, difference) in differences {
        if matches!(difference.staged, Some(Staged::Removed(..))) {
            removed.insert(path.clone());
        }
        if let Some(kind) = settle(repository, &root, head, &path, difference, &index, &mut files)? {
            kinds.insert(path, kind);
        }
    }
    for found in untracked {
        let (path, kind) = match found {
            Untracked::File(path) | Untracked::Folder(path) => (path, ChangeKind::Untracked),
            Untracked::Repository(path) => (path, ChangeKind::Repository),
        };
        // A file taken out of the index is untracked to git, but HEAD has it: then it is either here already, as
        // modified, or it is what HEAD has.
        if !removed.contains(&path) {
            kinds.entry(path).or_insert(kind);
        }
    }
    Ok(describe(&root, kinds))
}

/// Runs both comparisons and the walk for untracked files, at the same time as far as they are independent.
fn gather(
    repository: &gix::Repository,
    index: &gix::index::File,
    root: &Path,
    head: ObjectId,
    markers: &[String],
) -> Result<(BTreeMap<BString, Difference>, Vec<Untracked>)> {
    let mut differences: BTreeMap<BString, Difference> = BTreeMap::new();
    let ignore_nothing =
        gix::status::Submodule::Given { ignore: gix::submodule::config::Ignore::None, check_dirty: true };
    let running = repository
        .status(gix::progress::Discard)
        .and_then(|status| {
            status
                .index(gix::worktree::IndexPersistedOrInMemory::InMemory(index.clone()))
                .index_worktree_submodules(ignore_nothing)
                .index_worktree_rewrites(None)
                .index_worktree_options_mut(|options| options.dirwalk_options = None)
                .into_index_worktree_iter(Vec::new())
        })
        .map_err(|error| failure(&error))?;

    // The index remembers the tree that it was written from, for as long as it has the same content.
    let same = index.tree().is_some_and(|tree| tree.num_entries.is_some() && tree.id == head);
    if !same {
        compare_with_head(repository, index, head, &mut differences)?;
    }
    let untracked = untracked::walk(repository, index, root, markers)?;
    for item in running {
        let Item::Modification { entry, rela_path, status, .. } = item.map_err(|error| failure(&error))? else {
            continue;
        };
        let unstaged = match status {
            EntryStatus::NeedsUpdate(_) => continue,
            EntryStatus::Conflict { .. } => Unstaged::Unmerged,
            EntryStatus::IntentToAdd => Unstaged::Modified,
            EntryStatus::Change(Worktree::SubmoduleModification(_)) => Unstaged::Submodule,
            EntryStatus::Change(Worktree::Removed) => {
                if entry.flags.contains(Flags::INTENT_TO_ADD) {
                    // Neither in HEAD nor there.
                    continue;
                }
                Unstaged::Removed
            }
            EntryStatus::Change(Worktree::Type { .. } | Worktree::Modification { .. }) => Unstaged::Modified,
        };
        differences.entry(rela_path).or_default().unstaged = Some(unstaged);
    }
    compare_unnamed_repositories(repository, index, root, &mut differences);
    Ok((differences, untracked))
}

fn compare_with_head(
    repository: &gix::Repository,
    index: &gix::index::File,
    head: ObjectId,
    differences: &mut BTreeMap<BString, Difference>,
) -> Result<()> {
    use diff::index::ChangeRef;
    let mut compare = || -> gix::Result<()> {
        // Given explicitly: the default one is confined to the process's folder.
        let empty = gix::index::State::new(repository.object_hash());
        let source = gix::worktree::stack::state::attributes::Source::IdMapping;
        let mut everything = repository.pathspec(false, None::<&str>, false, &empty, source)?;
        let renames = gix::status::tree_index::TrackRenames::Disabled;
        repository.tree_index_status(&head, index, Some(&mut everything), renames, |change, _, _| {
            let (path, staged) = match change {
                ChangeRef::Addition { location, entry_mode, .. } => (location, Staged::Added(entry_mode)),
                ChangeRef::Deletion { location, entry_mode, id, .. } => {
                    (location, Staged::Removed(entry_mode, id.into_owned()))
                }
                ChangeRef::Modification { location, previous_entry_mode, previous_id, entry_mode, .. } => {
                    let head = (previous_entry_mode, previous_id.into_owned());
                    (location, Staged::Modified { head, mode: entry_mode })
                }
                ChangeRef::Rewrite { .. } => return Ok(std::ops::ControlFlow::Continue(())),
            };
            differences.entry(path.into_owned()).or_default().staged = Some(staged);
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(())
    };
    compare().map_err(|error| failure(&error))
}

/// Repositories that were added as they are, without an entry in `.gitmodules`: gix takes them for clean.
fn compare_unnamed_repositories(
    repository: &gix::Repository,
    index: &gix::index::File,
    root: &Path,
    differences: &mut BTreeMap<BString, Difference>,
) {
    let mut entries = index.entries().iter().filter(|entry| entry.mode == Mode::COMMIT).peekable();
    if entries.peek().is_none() {
        return;
    }
    let named: Vec<BString> = match repository.submodules() {
        Ok(Some(submodules)) => submodules.filter_map(|submodule| submodule.path().ok()).collect(),
        _ => Vec::new(),
    };
    for entry in entries {
        let path = entry.path(index);
        if named.iter().any(|name| name == path) || differences.get(path).is_some_and(|known| known.unstaged.is_some())
        {
            continue;
        }
        let Ok(native) = gix::path::from_bstr(path) else { continue };
        // One that is not checked out has no changes.
        let Ok(inner) = super::open::open(&root.join(native)) else { continue };
        let moved = inner.head_id().map_or(true, |id| id != entry.id);
        if moved || compute(&inner, &[]).map_or(true, |changes| changes.length() > 0) {
            differences.entry(path.to_owned()).or_default().unstaged = Some(Unstaged::Submodule);
        }
    }
}

/// What the two differences come to; none when they cancel each other out.
fn settle<'r>(
    repository: &'r gix::Repository,
    root: &Path,
    head: ObjectId,
    path: &BString,
    difference: Difference,
    index: &gix::index::File,
    files: &mut Option<WorkingFiles<'r>>,
) -> Result<Option<ChangeKind>> {
    use ChangeKind::{Deleted, Modified, Repository};
    let there = || gix::path::from_bstr(path.as_bstr()).ok().and_then(|path| root.join(path).symlink_metadata().ok());
    let is_file = || there().is_some_and(|metadata| !metadata.is_dir());
    let mut differs_from = |mode: Mode, id: ObjectId| -> Result<bool> {
        let files = match files {
            Some(files) => files,
            None => files.insert(WorkingFiles::new(repository)?),
        };
        let kind = mode.to_tree_entry_mode().map(|mode| mode.kind());
        Ok(files.identify(path.as_bstr()).is_none_or(|(now, found)| Some(now) != kind || found != id))
    };
    let skipped =
        || index.entry_by_path(path.as_bstr()).is_some_and(|entry| entry.flags.contains(Flags::SKIP_WORKTREE));
    Ok(match (difference.staged, difference.unstaged) {
        (_, Some(Unstaged::Submodule)) => Some(Repository),
        (_, Some(Unstaged::Unmerged)) if is_file() => Some(Modified),
        (_, Some(Unstaged::Unmerged)) => in_head(repository, head, path)?.then_some(Deleted),
        (None, Some(Unstaged::Modified)) => Some(Modified),
        (None, Some(Unstaged::Removed)) => Some(Deleted),
        (None, None) => None,
        (Some(Staged::Added(_)), Some(Unstaged::Removed)) => None,
        (Some(Staged::Modified { .. }), Some(Unstaged::Removed)) => Some(Deleted),
        (Some(Staged::Removed(mode, id)), _) => match there() {
            Some(metadata) if metadata.is_dir() => Some(if mode == Mode::COMMIT { Repository } else { Deleted }),
            Some(_) => differs_from(mode, id)?.then_some(Modified),
            None => Some(Deleted),
        },
        (Some(Staged::Added(mode) | Staged::Modified { mode, .. }), None) if mode == Mode::COMMIT => Some(Repository),
        (Some(Staged::Modified { head: (mode, id), .. }), Some(Unstaged::Modified)) => {
            differs_from(mode, id)?.then_some(Modified)
        }
        // Staged, but outside of a sparse checkout: nothing of it is in the working tree.
        (Some(_), None) if skipped() && there().is_none() => None,
        (Some(Staged::Added(_) | Staged::Modified { .. }), _) => Some(Modified),
    })
}

fn in_head(repository: &gix::Repository, head: ObjectId, path: &BString) -> Result<bool> {
    let tree = repository.find_tree(head).map_err(|error| failure(&error))?;
    let entry = tree.lookup_entry(path.split_str("/")).map_err(|error| failure(&error))?;
    Ok(entry.is_some_and(|entry| entry.mode().kind() != EntryKind::Tree))
}

fn describe(root: &Path, kinds: BTreeMap<BString, ChangeKind>) -> ChangeSet {
    let mut set = ChangeSet::default();
    for (path, kind) in kinds {
        let metadata = match kind {
            ChangeKind::Deleted => None,
            _ => gix::path::from_bstr(path.as_bstr()).ok().and_then(|path| root.join(path).symlink_metadata().ok()),
        };
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        set.changes.push(Change {
            path: path.to_str_lossy().into_owned(),
            kind,
            size: metadata.filter(|metadata| !metadata.is_dir()).map_or(0, |metadata| metadata.len()),
            modified: modified
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        });
        set.paths.push(path);
    }
    set
}

#[cfg(test)]
mod tests;
