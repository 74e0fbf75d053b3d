//! Restores that are under way, or were when their process died.
//!
//! A folder is restored file by file. Until the last of them is there, nobody may take it for the data, nor for something of
//! the user's that would be lost by going on. So each restore has a marker, a file beside the repository, which it holds a lock
//! on and removes at its end: one that nobody holds is that of a restore which was cut short.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use crate::capabilities::sharing::create_dir_all;
use crate::capabilities::store::hexadecimal;
use crate::capabilities::temporaries::is_at;

/// The marker of one path of one working tree; a repository may have several.
#[derive(Debug)]
pub(super) struct Marker {
    path: PathBuf,
}

/// The right to restore, which one process has at a time.
#[derive(Debug)]
pub(super) struct Restoring {
    marker: PathBuf,
    /// Holds the lock.
    _file: File,
}

impl Marker {
    /// In the folder of markers, which need not be there yet.
    pub(super) fn new(folder: &Path, root: &Path, path: &str) -> Self {
        let hash = Sha256::new_with_prefix(root.as_os_str().as_bytes()).chain_update([0]).chain_update(path).finalize();
        Self { path: folder.join(hexadecimal(&hash)) }
    }

    /// Whether a restore is under way, or was cut short.
    pub(super) fn is_there(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Where it is, for those who know better.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a restore that is under way, and begins one.
    pub(super) fn begin(&self) -> io::Result<Restoring> {
        if let Some(folder) = self.path.parent() {
            create_dir_all(folder)?;
        }
        loop {
            let file = File::options().write(true).create(true).truncate(false).open(&self.path)?;
            // Where a file system has no locks, two at once disturb each other, and doing it again completes it.
            let _ = rustix::fs::flock(&file, FlockOperation::LockExclusive);
            // Whoever was waited for has removed it: then it is no longer the one that others wait for.
            if is_at(&file, &self.path)? {
                return Ok(Restoring { marker: self.path.clone(), _file: file });
            }
        }
    }

    /// Forgets a restore that was cut short: what it left is gone.
    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Restoring {
    /// All is there.
    pub(super) fn finish(self) -> io::Result<()> {
        fs::remove_file(&self.marker)
    }
}

/// Whether a name is that of a file which a restore had not put in its place yet.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(".aurum-") && name.ends_with(".tmp")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_and_none_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let marker = || Marker::new(&folder.path().join("restoring"), Path::new("/root"), "data");
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let restoring = marker().begin().unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        assert!(marker().is_there());
                        inside.fetch_sub(1, Ordering::SeqCst);
                        restoring.finish().unwrap();
                    }
                });
            }
        });
        assert!(!marker().is_there());
    }

    #[test]
    fn one_that_was_cut_short_is_told_and_can_be_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let marker = |path| Marker::new(folder.path(), Path::new("/root"), path);
        drop(marker("data").begin().unwrap());
        assert!(marker("data").is_there() && !marker("other").is_there());
        marker("data").begin().unwrap().finish().unwrap();
        assert!(!marker("data").is_there());
    }
}
