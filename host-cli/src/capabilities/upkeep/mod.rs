//! Checking what there is, and clearing what nothing needs any more; interface `upkeep`.

use super::Result;

mod history;
mod objects;
mod store;
mod sweep;
mod temporaries;

pub use history::file_versions;
pub use objects::{broken_references, check_commits, check_repository, loose_objects};
pub use store::{StoreCheck, check_store};
pub use sweep::Sweep;
pub use temporaries::clear as temporaries;

/// What is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// A commit, a reference, a digest or a file.
    pub name: String,
    /// What is wrong with it, as the rest of a sentence that begins with the name.
    pub what: String,
}

/// How many, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// A moment as files have it.
fn moment(milliseconds: u64) -> std::time::SystemTime {
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(milliseconds)
}
