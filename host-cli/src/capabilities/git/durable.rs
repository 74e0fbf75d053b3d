//! Bringing objects onto stable storage.
//!
//! Neither gix nor, as it is set up, git waits for the disk. So before a commit counts, all that is new in it is synced:
//! also objects that were there already, for nobody may ever have synced those.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::BString;
use gix::objs::tree::EntryMode;

use super::{failure, loose};
use crate::capabilities::{Error, Result};

/// Objects on their way to stable storage: each file when it is named, the folders at the end.
pub(crate) struct Syncing<'r> {
    repository: &'r gix::Repository,
    folders: BTreeSet<PathBuf>,
    seen: HashSet<ObjectId>,
}

impl<'r> Syncing<'r> {
    pub(crate) fn new(repository: &'r gix::Repository) -> Self {
        Self { repository, folders: BTreeSet::new(), seen: HashSet::new() }
    }

    /// Syncs an object's file. One in a pack is durable already.
    pub(crate) fn object(&mut self, id: ObjectId) -> Result<()> {
        if !self.seen.insert(id) {
            return Ok(());
        }
        let path = loose::path(self.repository, &id);
        match File::open(&path) {
            Ok(file) => file.sync_all().map_err(|error| cannot_sync(&path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if self.repository.has_object(id) {
                    Ok(())
                } else {
                    Err(Error::Other(format!("the object {id} is missing")))
                };
            }
            Err(error) => return Err(cannot_sync(&path, &error)),
        }
        self.folders.extend(path.parent().map(Path::to_owned));
        Ok(())
    }

    /// Syncs a tree and all in it that is not at the same place in `base`.
    pub(crate) fn tree(&mut self, tree: ObjectId, base: Option<ObjectId>) -> Result<()> {
        let mut pending = vec![(tree, base)];
        while let Some((tree, base)) = pending.pop() {
            if Some(tree) == base || tree == ObjectId::empty_tree(tree.kind()) {
                continue;
            }
            self.object(tree)?;
            let known = base.map(|base| self.entries(base)).transpose()?.unwrap_or_default();
            for (name, (mode, id)) in self.entries(tree)? {
                let before = known.get(&name);
                if before.is_some_and(|(_, before)| *before == id) || mode.is_commit() {
                    continue;
                }
                if mode.is_tree() {
                    let base = before.filter(|(mode, _)| mode.is_tree()).map(|(_, id)| *id);
                    pending.push((id, base));
                } else {
                    self.object(id)?;
                }
            }
        }
        Ok(())
    }

    /// Syncs the folders, so that the files keep their names.
    pub(crate) fn finish(self) -> Result<()> {
        for path in &self.folders {
            folder(path)?;
        }
        if self.folders.is_empty() { Ok(()) } else { folder(&loose::folder_of_objects(self.repository)) }
    }

    fn entries(&self, tree: ObjectId) -> Result<BTreeMap<BString, (EntryMode, ObjectId)>> {
        if tree == ObjectId::empty_tree(tree.kind()) {
            return Ok(BTreeMap::new());
        }
        let tree = self.repository.find_tree(tree).map_err(|error| failure(&error))?;
        let decoded = tree.decode().map_err(|error| failure(&error))?;
        Ok(decoded
            .entries
            .iter()
            .map(|entry| (entry.filename.to_owned(), (entry.mode, entry.oid.to_owned())))
            .collect())
    }
}

/// Syncs a folder, and with it the names of the files in it.
pub(crate) fn folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| cannot_sync(path, &error))
}

fn cannot_sync(path: &Path, error: &io::Error) -> Error {
    Error::io(format_args!("can't bring `{}` onto stable storage", path.display()), error)
}
