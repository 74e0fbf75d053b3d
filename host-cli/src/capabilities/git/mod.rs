//! Git as the two repository capabilities need it: gix for all but making a repository and staging, which the `git`
//! program does, so that every setting of the user's holds there.

use std::io;

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice};

use super::{Error, Result};

pub(crate) mod blob;
pub(crate) mod changes;
pub(crate) mod closure;
pub(crate) mod command;
pub(crate) mod durable;
pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod loose;
pub(crate) mod open;
pub(crate) mod references;
pub(crate) mod reflog;
pub(crate) mod shield;
pub(crate) mod source;
#[cfg(feature = "cli")]
pub(crate) mod tidying;
pub(crate) mod transaction;
pub(crate) mod tree_edit;
pub(crate) mod untracked;
pub(crate) mod working_file;

#[cfg(test)]
pub(crate) mod testing;

/// A failure of gix with all its causes, keeping apart what a caller acts on.
pub(crate) fn failure(error: &gix::Error) -> Error {
    let mut messages: Vec<String> = Vec::new();
    for cause in error.iter_errors() {
        let message = cause.to_string();
        // Markers and transparent wrappers say nothing, or the same again.
        if !message.is_empty() && messages.last() != Some(&message) {
            messages.push(message);
        }
    }
    let message = messages.join(": ");
    match error.iter_errors().find_map(|cause| Error::of_kind(cause.downcast_ref::<io::Error>()?.kind())) {
        Some(of_kind) => of_kind(message),
        None if error.is_not_found() => Error::Missing(message),
        None => Error::Other(message),
    }
}

/// Reads an object id that came from the sandbox.
pub(crate) fn object_id(repository: &gix::Repository, text: &str) -> Result<ObjectId> {
    ObjectId::from_hex(text.as_bytes())
        .ok()
        .filter(|id| id.kind() == repository.object_hash())
        .ok_or_else(|| Error::Other(format!("`{text}` is not an object id of this repository")))
}

/// Refuses paths that are not relative, leave the project, or reach into a `.git`.
pub(crate) fn check_path(path: &str) -> Result<()> {
    if is_project_path(path.into()) { Ok(()) } else { Err(Error::InvalidPath(path.to_owned())) }
}

/// Whether git itself would track something at this path.
pub(crate) fn is_project_path(path: &BStr) -> bool {
    path.split(|byte| *byte == b'/').all(|part| {
        !part.is_empty()
            && part != b"."
            && part != b".."
            && !part.eq_ignore_ascii_case(b".git")
            && part.find_byte(0).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::is_project_path;

    #[test]
    fn paths_stay_in_the_project_and_out_of_git() {
        for path in ["a", "a/b c", ".gitignore", ".au/x", "..a/b", "a..", "sub/.github/x"] {
            assert!(is_project_path(path.into()), "{path}");
        }
        for path in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", ".git", "a/.GIT/config", "a\0b"] {
            assert!(!is_project_path(path.into()), "{path}");
        }
    }
}
