//! What is new in a tree or commit, compared with another.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::bstr::BString;
use gix::objs::tree::EntryMode;

use super::failure;
use crate::capabilities::Result;

/// Visits a tree and all in it that is not at the same place in `base`, each tree before what is in it. Where the visitor answers
/// false, what is below is passed over. Commits of submodules are another repository's.
pub(crate) fn visit(
    repository: &gix::Repository,
    tree: ObjectId,
    base: Option<ObjectId>,
    visit: &mut dyn FnMut(ObjectId) -> Result<bool>,
) -> Result<()> {
    let mut pending = vec![(tree, base)];
    while let Some((tree, base)) = pending.pop() {
        if Some(tree) == base || tree == ObjectId::empty_tree(tree.kind()) || !visit(tree)? {
            continue;
        }
        // A base that is gone spares no work, that is all.
        let known = base.and_then(|base| entries(repository, base).ok()).unwrap_or_default();
        for (name, (mode, id)) in entries(repository, tree)? {
            let before = known.get(&name);
            if before.is_some_and(|(_, before)| *before == id) || mode.is_commit() {
                continue;
            }
            if mode.is_tree() {
                let base = before.filter(|(mode, _)| mode.is_tree()).map(|(_, id)| *id);
                pending.push((id, base));
            } else {
                visit(id)?;
            }
        }
    }
    Ok(())
}

/// The tree of a commit.
pub(crate) fn tree_of(repository: &gix::Repository, commit: ObjectId) -> Result<ObjectId> {
    let commit = repository.find_commit(commit).map_err(|error| failure(&error))?;
    Ok(commit.tree_id().map_err(|error| failure(&error))?.detach())
}

fn entries(repository: &gix::Repository, tree: ObjectId) -> Result<BTreeMap<BString, (EntryMode, ObjectId)>> {
    if tree == ObjectId::empty_tree(tree.kind()) {
        return Ok(BTreeMap::new());
    }
    let tree = repository.find_tree(tree).map_err(|error| failure(&error))?;
    let decoded = tree.decode().map_err(|error| failure(&error))?;
    Ok(decoded.entries.iter().map(|entry| (entry.filename.to_owned(), (entry.mode, entry.oid.to_owned()))).collect())
}
