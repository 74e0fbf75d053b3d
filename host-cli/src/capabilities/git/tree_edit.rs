//! Trees made by editing others.

use std::collections::HashMap;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::tree::EntryKind;
use gix::objs::{Kind, WriteTo};

use super::changes::ChangeSet;
use super::loose::{self, Batch};
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
    /// Answers the positions whose file could not be read; what could is on stable storage.
    pub fn take(&mut self, repository: &Repository, changes: &ChangeSet, positions: &[u32]) -> Result<Vec<u32>> {
        let repository = repository.git()?;
        let (edits, unreadable) = loose::again_while_missing(|| take(repository, changes, positions))?;
        self.edits.extend(edits);
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

    /// Writes the tree, which further edits start from. It is on stable storage then, with all in it that its base has not.
    pub fn write(&mut self, repository: &Repository) -> Result<String> {
        let repository = repository.git()?;
        let root = match self.base {
            None => gix::objs::Tree::empty(),
            Some(base) => {
                let tree = repository.find_tree(base).map_err(|error| failure(&error))?;
                tree.decode().map_err(|error| failure(&error))?.into()
            }
        };
        let mut batch = Batch::new(repository);
        let mut editor = gix::objs::tree::Editor::new(root, &repository.objects, repository.object_hash());
        for (path, edit) in &self.edits {
            if let Edit::PutUnproven(id) = edit {
                expect_kind(repository, *id, Kind::Blob)?;
                batch.add_existing(*id)?;
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
        let mut trees = Trees { repository, levels: Vec::new(), level_of: HashMap::new() };
        let id = editor.write(|tree| trees.add(tree))?;
        loose::again_while_missing(|| trees.write(&mut batch))?;
        self.base = Some(id);
        self.edits.clear();
        Ok(id.to_string())
    }
}

/// Where, and what.
type Edits = Vec<(BString, Edit)>;

/// The edits that these files lead to, and the positions of those that could not be read.
fn take(repository: &gix::Repository, changes: &ChangeSet, positions: &[u32]) -> Result<(Edits, Vec<u32>)> {
    let mut files = WorkingFiles::new(repository)?;
    let mut batch = Batch::new(repository);
    let (mut edits, mut unreadable) = (Vec::new(), Vec::new());
    for &position in positions {
        let edit = match changes.at(position) {
            Some((path, ChangeKind::Deleted)) => Some((path, Edit::RemoveFile)),
            Some((path, ChangeKind::Modified | ChangeKind::Untracked)) => {
                files.store(path.as_bstr(), &mut batch)?.map(|(kind, id)| (path, Edit::Put(kind, id)))
            }
            Some((_, ChangeKind::Repository)) | None => None,
        };
        match edit {
            Some((path, edit)) => edits.push((path.clone(), edit)),
            None => unreadable.push(position),
        }
    }
    batch.settle()?;
    Ok((edits, unreadable))
}

/// Trees by how deep the deepest of the others among them lies below: each is written when all in it is durable.
struct Trees<'r> {
    repository: &'r gix::Repository,
    levels: Vec<Vec<(ObjectId, Vec<u8>)>>,
    level_of: HashMap<ObjectId, usize>,
}

impl Trees<'_> {
    fn add(&mut self, tree: &gix::objs::Tree) -> Result<ObjectId> {
        let mut bytes = Vec::new();
        tree.write_to(&mut bytes).map_err(|error| Error::other(&error))?;
        let id = loose::id_of(self.repository, Kind::Tree, &bytes)?;
        let below = tree.entries.iter().filter_map(|entry| self.level_of.get(&entry.oid));
        let level = below.max().map_or(0, |below| below + 1);
        if self.level_of.insert(id, level).is_none() {
            self.levels.resize_with(self.levels.len().max(level + 1), Vec::new);
            self.levels[level].push((id, bytes));
        }
        Ok(id)
    }

    fn write(&self, batch: &mut Batch<'_>) -> Result<()> {
        batch.make_folders(self.level_of.keys().copied())?;
        batch.settle()?;
        for level in &self.levels {
            for (id, bytes) in level {
                batch.add(Kind::Tree, bytes.len() as u64, bytes.as_slice(), *id)?;
            }
            batch.settle()?;
        }
        Ok(())
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
        None => Err(Error::Missing(format!("there is no object {id}"))),
    }
}
