//! Other programs, found so that nothing in the project can stand in for them.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The first program of that name in an absolute folder of a PATH.
pub(crate) fn find(path: &OsStr, name: &str) -> Option<PathBuf> {
    let name = if cfg!(windows) { format!("{name}.exe") } else { name.to_owned() };
    env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && gix::fs::is_executable(&metadata))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_only_in_absolute_folders() {
        assert!(find(OsStr::new("::.:relative"), "git").is_none());
        assert!(find(&env::var_os("PATH").unwrap(), "git").unwrap().is_absolute());
    }
}
