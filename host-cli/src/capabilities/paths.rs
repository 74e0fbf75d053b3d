//! The rules of `path` in `wit/types.wit`, in one place for every capability that takes one.

use gix::validate::path::{component, component::Options};

use super::{Error, Result};

/// Refuses what is not a path below the project's root: relative, `/`-separated, without empty, `.` or `..` parts.
///
/// A `.git` part is refused in every spelling that some file system takes for it: what lies in there is git's, and its
/// hooks and configuration are programs. Links are not looked at, see [`Workspace`](super::workspace::Workspace).
pub(crate) fn check_path(path: &str) -> Result<()> {
    // The names that only Windows objects to, such as `aux.csv`, are fine files elsewhere.
    let options = Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    let drive = matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if drive
        || path.contains(['\0', '\\'])
        || path.split('/').any(|part| component(part.into(), None, options).is_err())
    {
        return Err(Error::InvalidPath(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in
            ["a", "a/b.txt", ".gitignore", ".au/experiments/x/record.json", "aux.csv", "été/…", "a b/c:d", "..."]
        {
            assert!(check_path(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn what_could_lead_outside_is_refused() {
        for path in
            ["", "/", "/etc/passwd", "a//b", "a/", ".", "..", "a/../b", "./a", "a\0b", "C:/x", "c:x", "a\\b", "..\\a"]
        {
            assert!(matches!(check_path(path), Err(Error::InvalidPath(named)) if named == path), "{path:?}");
        }
    }

    #[test]
    fn git_is_refused_in_any_spelling() {
        for path in [".git", ".GIT/config", "a/.Git/hooks/pre-commit", "git~1/x", ".git. /x", ".g\u{200c}it/config"] {
            assert!(matches!(check_path(path), Err(Error::InvalidPath(_))), "{path:?}");
        }
    }
}
