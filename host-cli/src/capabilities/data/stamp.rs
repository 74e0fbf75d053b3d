//! What tells whether a file is still the one that was hashed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use rustix::fs::Stat;

/// A file's identity and the state that it was seen in.
///
/// A program may set the time of modification back, but not that of the change: this one is the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: i64,
    /// Nanoseconds since 1970.
    pub(super) changed: i64,
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: nanoseconds(found.mtime(), found.mtime_nsec()),
            changed: nanoseconds(found.ctime(), found.ctime_nsec()),
        }
    }
}

impl From<&Stat> for Stamp {
    #[allow(clippy::unnecessary_cast, reason = "the types are others on other systems")]
    fn from(found: &Stat) -> Self {
        Self {
            device: found.st_dev as u64,
            inode: found.st_ino as u64,
            size: found.st_size as u64,
            modified: nanoseconds(found.st_mtime as i64, found.st_mtime_nsec as i64),
            changed: nanoseconds(found.st_ctime as i64, found.st_ctime_nsec as i64),
        }
    }
}

/// Enough for the years 1678 to 2261; a time that lies beyond never looks old, so that nothing is remembered of its
/// file.
pub(super) fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(rest)).unwrap_or(i64::MAX)
}
