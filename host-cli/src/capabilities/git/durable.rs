//! Bringing what is there onto stable storage.
//!
//! Neither gix nor, as it is set up, git waits for the disk.

use std::fs;
use std::io;
use std::path::Path;

use gix::ObjectId;

use super::loose::Batch;
use super::{closure, failure, loose};
use crate::capabilities::{Error, Result, settled};

/// Makes sure of a commit and of what it changed: somebody who has just committed expects it to be there. A later
/// experiment stands on it.
pub(crate) fn commit(repository: &gix::Repository, id: ObjectId) -> Result<()> {
    let found = repository.find_commit(id).map_err(|error| failure(&error))?;
    let tree = found.tree_id().map_err(|error| failure(&error))?.detach();
    if !is_fresh(repository, id) {
        return Ok(());
    }
    // A commit that the clone is too shallow for counts as none.
    let before = found.parent_ids().next().and_then(|parent| parent.object().ok()?.try_into_commit().ok());
    let before = before.and_then(|before| Some(before.tree_id().ok()?.detach()));
    let mut batch = Batch::new(repository);
    batch.add_existing(id)?;
    closure::visit(repository, tree, before, &mut |id| {
        let fresh = is_fresh(repository, id);
        if fresh {
            batch.add_existing(id)?;
        }
        Ok(fresh)
    })?;
    batch.settle()
}

/// Refuses a tree if something in it that is not at the same place in `base` is missing: it might have been removed meanwhile.
pub(crate) fn check_tree(repository: &gix::Repository, tree: ObjectId, base: Option<ObjectId>) -> Result<()> {
    closure::visit(repository, tree, base, &mut |id| {
        if repository.has_object(id) { Ok(true) } else { Err(Error::Missing(format!("the object {id} is missing"))) }
    })
}

/// Whether an object is loose, and so new that it may not be on stable storage.
fn is_fresh(repository: &gix::Repository, id: ObjectId) -> bool {
    fs::metadata(loose::path(repository, &id)).is_ok_and(|found| !settled::is_file_settled(&found))
}

/// Syncs a folder, and with it the names of the files in it.
pub(crate) fn folder(path: &Path) -> Result<()> {
    settled::sync_folder(path).map_err(|error| cannot_sync(path, &error))
}

/// The same, of one that may have been removed.
pub(crate) fn folder_if_there(path: &Path) -> Result<()> {
    match settled::sync_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|error| cannot_sync(path, &error)),
    }
}

pub(crate) fn cannot_sync(path: &Path, error: &io::Error) -> Error {
    Error::io(format_args!("can't bring `{}` onto stable storage", path.display()), error)
}
