//! Files of commits and trees.

use std::collections::HashSet;
use std::fs::File;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::objs::Kind;
use gix::objs::tree::EntryKind;

use super::container::{Container, Entry};
use super::{EXECUTABLE, LINK, ORDINARY, checked};
use crate::capabilities::git::{self, failure, history};
use crate::capabilities::repository::{Location, Repository};
use crate::capabilities::{Error, Result};

/// Adds one file; false when there is none.
pub(super) fn add_file(
    container: &mut Container<File>,
    repository: &Repository,
    path: &[u8],
    location: &Location,
) -> Result<bool> {
    git::check_path(&location.path)?;
    let repository = repository.git()?;
    let Some((kind, id)) = history::find(repository, location)? else { return Ok(false) };
    let Some(mode) = mode_of(kind) else { return Ok(false) };
    add_blob(container, repository, path, mode, id)?;
    Ok(true)
}

/// Adds all files, in git's order, and answers the paths of submodules.
pub(super) fn add_tree(
    container: &mut Container<File>,
    repository: &Repository,
    folder: &[u8],
    root: &str,
    leave_out: &[String],
) -> Result<Vec<String>> {
    let repository = repository.git()?;
    let leave_out: HashSet<&[u8]> = leave_out.iter().map(String::as_bytes).collect();
    let Some(tree) = history::root(repository, root)? else {
        return Err(Error::Other(format!("there is no commit or tree {root}")));
    };
    let mut submodules = Vec::new();
    // A list of what is still to be done rather than recursion: how deep the folders go is up to who made them.
    let mut pending = children(&tree, b"")?;
    while let Some((path, kind, id)) = pending.pop() {
        if leave_out.contains(path.as_slice()) {
            continue;
        }
        match mode_of(kind) {
            Some(mode) => add_blob(container, repository, checked(&[folder, &path].concat())?, mode, id)?,
            None if kind == EntryKind::Tree => {
                let tree = repository.find_tree(id).map_err(|error| failure(&error))?;
                pending.append(&mut children(&tree, &[&path[..], b"/"].concat())?);
            }
            None => submodules.push(path.to_str_lossy().into_owned()),
        }
    }
    Ok(submodules)
}

/// What a folder holds, the first at the end.
fn children(tree: &gix::Tree<'_>, folder: &[u8]) -> Result<Vec<(Vec<u8>, EntryKind, ObjectId)>> {
    let mut children = Vec::new();
    for entry in tree.iter() {
        let entry = entry.map_err(|error| failure(&error))?;
        children.push(([folder, entry.filename()].concat(), entry.mode().kind(), entry.object_id()));
    }
    children.reverse();
    Ok(children)
}

fn add_blob(
    container: &mut Container<File>,
    repository: &gix::Repository,
    path: &[u8],
    mode: u32,
    id: ObjectId,
) -> Result<()> {
    let missing = || Error::Other(format!("the content of `{}` is not in the repository: {id}", path.to_str_lossy()));
    let object = repository.try_find_object(id).map_err(|error| failure(&error))?;
    let blob = object.filter(|object| object.kind == Kind::Blob).ok_or_else(missing)?;
    container.add(&Entry { path, mode, size: blob.data.len() as u64 }, &mut blob.data.as_slice())?;
    Ok(())
}

/// None for what has no content of its own: folders and submodules.
fn mode_of(kind: EntryKind) -> Option<u32> {
    match kind {
        EntryKind::Blob => Some(ORDINARY),
        EntryKind::BlobExecutable => Some(EXECUTABLE),
        EntryKind::Link => Some(LINK),
        EntryKind::Tree | EntryKind::Commit => None,
    }
}
