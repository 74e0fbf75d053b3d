//! Repositories that a group shares (`core.sharedRepository`).
//!
//! In those git makes each folder the group's to write to and has it hand on its group (`g+ws`), whatever the process's umask.
//! What is made in such a folder is to be the group's as well, or nobody else could add an object beside it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const HANDED_ON: u32 = 0o2020;

/// Lets those have a file or folder that may have the folder which holds it. As far as it goes: what is not ours to change is
/// its owner's.
pub(crate) fn share(path: &Path) {
    let mode = |path: &Path| fs::symlink_metadata(path).map(|found| found.permissions().mode());
    let (Some(Ok(holder)), Ok(own)) = (path.parent().map(mode), mode(path)) else { return };
    let shared = shared(holder, own, path.is_dir());
    if shared != own & 0o7777 {
        let _ = fs::set_permissions(path, Permissions::from_mode(shared));
    }
}

/// The same for folders, the outermost first.
pub(crate) fn share_all<'p>(folders: impl Iterator<Item = &'p Path>) {
    folders.for_each(share);
}

/// A folder and those above it that are not there, the innermost first.
pub(crate) fn missing_folders(folder: &Path) -> Vec<&Path> {
    folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).collect()
}

/// Makes a folder and those above it, for all who may have them. Answers those that were missing, the innermost first.
pub(crate) fn create_dir_all(folder: &Path) -> io::Result<Vec<&Path>> {
    let missing = missing_folders(folder);
    fs::create_dir_all(folder)?;
    share_all(missing.iter().rev().copied());
    Ok(missing)
}

fn shared(holder: u32, own: u32, is_folder: bool) -> u32 {
    let own = own & 0o7777;
    if holder & HANDED_ON != HANDED_ON {
        return own;
    }
    if is_folder {
        return own | holder & 0o2077;
    }
    let mut handed_on = holder & 0o066;
    if own & 0o200 == 0 {
        handed_on &= !0o022;
    }
    if own & 0o100 != 0 {
        handed_on |= (handed_on & 0o044) >> 2;
    }
    own | handed_on
}

#[cfg(test)]
mod tests {
    use super::shared;

    #[test]
    fn what_a_group_has_is_handed_on() {
        assert_eq!(shared(0o2775, 0o700, true), 0o2775);
        assert_eq!(shared(0o2770, 0o755, true), 0o2775);
        assert_eq!(shared(0o2775, 0o400, false), 0o444);
        assert_eq!(shared(0o2770, 0o600, false), 0o660);
        assert_eq!(shared(0o2770, 0o700, false), 0o770);
    }

    #[test]
    fn what_is_nobody_elses_stays_so() {
        for holder in [0o755, 0o700, 0o775, 0o2755] {
            assert_eq!((shared(holder, 0o700, true), shared(holder, 0o600, false)), (0o700, 0o600));
        }
    }
}
