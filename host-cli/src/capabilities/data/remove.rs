//! Removing files and folders.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::MAX_DEPTH;
use super::place::{Spot, failed, open_folder, present, stat};
use super::walk::Names;
use crate::capabilities::{Error, Result};

/// Removes what stands there, with all that is in it.
pub(super) fn remove(spot: &Spot) -> Result<()> {
    remove_tree(&spot.folder, &*spot.name, &spot.shown)
}

/// Removes what a folder has under that name, no link followed; removing what is not there succeeds.
pub(super) fn remove_tree(folder: impl AsFd, name: impl rustix::path::Arg + Copy, shown: &str) -> Result<()> {
    let removing = |error: Errno| failed("removing", shown, error);
    let Some(found) = present(stat(&folder, name)).map_err(removing)? else { return Ok(()) };
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return unlink(&folder, name, AtFlags::empty()).map_err(removing);
    }
    let Some(inner) = present(open_folder(&folder, name)).map_err(removing)? else { return Ok(()) };
    empty(&inner, shown, 0)?;
    unlink(&folder, name, AtFlags::REMOVEDIR).map_err(removing)
}

/// Removes all that is in a folder.
fn empty(folder: &OwnedFd, shown: &str, depth: usize) -> Result<()> {
    let removing = |error: Errno| failed("removing what is in", shown, error);
    // Each level holds a folder open.
    if depth > 2 * MAX_DEPTH {
        return Err(Error::Other(format!("`{shown}` has folders in it that are too deep to be removed")));
    }
    let mut names = Names::read(folder).map_err(removing)?;
    while let Some((name, _)) = names.next() {
        // Most are files; a folder says so, in one of two ways.
        match unlink(folder, name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ISDIR | Errno::PERM) => {
                let Some(inner) = present(open_folder(folder, name)).map_err(removing)? else { continue };
                empty(&inner, shown, depth + 1)?;
                unlink(folder, name, AtFlags::REMOVEDIR).map_err(removing)?;
            }
            Err(error) => return Err(removing(error)),
        }
    }
    Ok(())
}

fn unlink(folder: impl AsFd, name: impl rustix::path::Arg, flags: AtFlags) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
