//! The index as it stands, read anew each time: a snapshot kept by its time stamp can be stale when the index is
//! written twice within one tick of the file system's clock.

use std::io;

use gix::bstr::{BString, ByteSlice, ByteVec};
use gix::index::entry::{Flags, Mode};

use super::failure;
use crate::capabilities::Result;

/// Bytes of an index from which on several threads read it sooner than one.
const WORTH_THREADS: u64 = 1 << 20;

/// Reads the index, an empty one if there is none. Folders that a sparse index keeps folded are unfolded.
///
/// Always the working tree's own: the `GIT_INDEX_FILE` of a hook names a passing one.
pub(crate) fn read(repository: &gix::Repository) -> Result<gix::index::File> {
    let path = repository.git_dir().join("index");
    let hash = repository.object_hash();
    // As git, we leave checking the sum to `git fsck`: with it, reading takes twice as long.
    let skip_sum = true;
    // How many processors there are is told by the system's files, which takes longer than to read a small index.
    let is_small = std::fs::metadata(&path).is_ok_and(|found| found.len() < WORTH_THREADS);
    let options = gix::index::decode::Options { thread_limit: is_small.then_some(1), ..Default::default() };
    let mut index = match gix::index::File::at(path.clone(), hash, skip_sum, options) {
        Ok(index) => index,
        Err(error) if is_missing(&error) => {
            return Ok(gix::index::File::from_state(gix::index::State::new(hash), path));
        }
        Err(error) => return Err(failure(&error)),
    };
    if index.is_sparse() || index.entries().iter().any(|entry| entry.mode.is_sparse()) {
        index = unfold(repository, &index)?;
    }
    Ok(index)
}

fn is_missing(error: &gix::Error) -> bool {
    error
        .iter_errors()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound))
        || error.is_not_found()
}

/// Replaces each folded folder by its files, which are not in the working tree.
fn unfold(repository: &gix::Repository, index: &gix::index::File) -> Result<gix::index::File> {
    let mut unfolded = gix::index::State::new(repository.object_hash());
    unfolded.set_timestamp(index.timestamp());
    for entry in index.entries() {
        let path = entry.path(index);
        if entry.mode != Mode::DIR {
            unfolded.dangerously_push_entry(entry.stat, entry.id, entry.flags, entry.mode, path);
            continue;
        }
        let folder = repository.index_from_tree(&entry.id).map_err(|error| failure(&error))?;
        for file in folder.entries() {
            let mut inner: BString = path.trim_end_with(|byte| byte == '/').into();
            inner.push_byte(b'/');
            inner.push_str(file.path(&folder));
            unfolded.dangerously_push_entry(
                Default::default(),
                file.id,
                Flags::SKIP_WORKTREE | Flags::EXTENDED,
                file.mode,
                inner.as_bstr(),
            );
        }
    }
    unfolded.sort_entries();
    Ok(gix::index::File::from_state(unfolded, index.path().to_owned()))
}

/// Makes git's own exception to sparse checkouts: a file that is there after all counts as any other.
pub(crate) fn notice_present_files(repository: &gix::Repository, index: &mut gix::index::File) {
    let settings = repository.config_snapshot();
    let sparse = settings.boolean("core.sparseCheckout").unwrap_or(false);
    if !sparse || settings.boolean("sparse.expectFilesOutsideOfPatterns").unwrap_or(false) {
        return;
    }
    let Some(root) = repository.workdir() else { return };
    for (entry, path) in index.entries_mut_with_paths() {
        if entry.flags.contains(Flags::SKIP_WORKTREE)
            && gix::path::from_bstr(path).is_ok_and(|path| root.join(path).symlink_metadata().is_ok())
        {
            entry.flags.remove(Flags::SKIP_WORKTREE);
        }
    }
}
