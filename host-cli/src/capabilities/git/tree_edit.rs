//! Trees made by editing others.

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::Kind;
use gix::objs::tree::EntryKind;

use super::changes::ChangeSet;
use super::loose::{self, Durability};
use super::working_file::WorkingFiles;
use super::{check_path, failure, object_id};
use crate::capabilities::repository::{ChangeKind, Repository};
use crate::capabilities::{Error, Result};

/// A tree under construction: the edits wait until it is written.
#[derive(Debug)]
pub struct TreeEdit {
    base: Option<ObjectId>,
    edits: Vec<(BString, Edit)>,
}

#[derive(Debug)]
enum Edit {
    Put(EntryKind, ObjectId),
    /// Of a blob that the caller says there is.
    PutUnproven(ObjectId),
    Remove,
    /// Of a file alone: a folder that took its place stays.
    RemoveFile,
}

impl TreeEdit {
    /// Starts from a tree, from that of a commit, or from nothing.
    pub fn begin(repository: &Repository, base: Option<&str>) -> Result<Self> {
        let repository = repository.git()?;
        let base = base.map(|base| object_id(repository, base)).transpose()?;
        let tree = |base: ObjectId| match repository.find_commit(base) {
            Ok(commit) => Ok(commit.tree_id().map_err(|error| failure(&error))?.detach()),
            Err(_) => expect_kind(repository, base, Kind::Tree).map(|()| base),
        };
        Ok(Self { base: base.map(tree).transpose()?, edits: Vec::new() })
    }

    /// Makes the tree's files at these positions what they are in the working tree, through git's own filters.
    /// Answers the positions whose file could not be read.
    pub fn take(&mut self, repository: &Repository, changes: &ChangeSet, positions: &[u32]) -> Result<Vec<u32>> {
        let mut files = WorkingFiles::new(repository.git()?)?;
        let mut unreadable = Vec::new();
        for &position in positions {
            let edit = match changes.at(position) {
                Some((path, ChangeKind::Deleted)) => Some((path, Edit::RemoveFile)),
                Some((path, ChangeKind::Modified | ChangeKind::Untracked)) => {
                    files.store(path.as_bstr())?.map(|(kind, id)| (path, Edit::Put(kind, id)))
                }
                Some((_, ChangeKind::Repository)) | None => None,
            };
            match edit {
                Some((path, edit)) => self.edits.push((path.clone(), edit)),
                None => unreadable.push(position),
            }
        }
        Ok(unreadable)
    }

    /// Puts a blob at a path, as an ordinary file.
    pub fn put(&mut self, path: &str, blob: &str) -> Result<()> {
        check_path(path)?;
        let id = ObjectId::from_hex(blob.as_bytes())
            .map_err(|_| Error::Other(format!("`{blob}` is not an object id of this repository")))?;
        self.edits.push((path.into(), Edit::PutUnproven(id)));
        Ok(())
    }

    /// Removes a file or a folder with all that is in it; removing what is not there succeeds.
    pub fn remove(&mut self, path: &str) -> Result<()> {
        check_path(path)?;
        self.edits.push((path.into(), Edit::Remove));
        Ok(())
    }

    /// Writes the tree, which further edits start from.
    pub fn write(&mut self, repository: &Repository) -> Result<String> {
        let repository = repository.git()?;
        let root = match self.base {
            None => gix::objs::Tree::empty(),
            Some(base) => {
                let tree = repository.find_tree(base).map_err(|error| failure(&error))?;
                tree.decode().map_err(|error| failure(&error))?.into()
            }
        };
        let mut editor = gix::objs::tree::Editor::new(root, &repository.objects, repository.object_hash());
        for (path, edit) in &self.edits {
            if let Edit::PutUnproven(id) = edit {
                expect_kind(repository, *id, Kind::Blob)?;
            }
            let parts = path.split_str("/").map(BStr::new);
            let edited = match edit {
                Edit::Put(kind, id) => editor.upsert(parts, *kind, *id),
                Edit::PutUnproven(id) => editor.upsert(parts, EntryKind::Blob, *id),
                Edit::Remove => editor.remove(parts),
                Edit::RemoveFile => editor.remove_if_leaf(parts),
            };
            edited.map_err(|error| failure(&error))?;
        }
        let id = editor.write(|tree| loose::write(repository, tree, Durability::Later))?;
        self.base = Some(id);
        self.edits.clear();
        Ok(id.to_string())
    }
}

/// Refuses an object that is not there, or is something else.
pub(crate) fn expect_kind(repository: &gix::Repository, id: ObjectId, kind: Kind) -> Result<()> {
    if id.kind() != repository.object_hash() {
        return Err(Error::Other(format!("`{id}` is not an object id of this repository")));
    }
    if id == ObjectId::empty_tree(id.kind()) && kind == Kind::Tree {
        return Ok(());
    }
    match repository.try_find_header(id).map_err(|error| failure(&error))? {
        Some(header) if header.kind() == kind => Ok(()),
        Some(header) => Err(Error::Other(format!("the object {id} is a {}, not a {kind}", header.kind()))),
        None => Err(Error::Other(format!("there is no object {id}"))),
    }
}
