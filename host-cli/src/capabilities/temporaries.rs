//! What is being written in a folder, and what a process that died left of that.
//!
//! Whoever makes a temporary holds a lock on it, which the kernel takes back however the process ends. So what is not locked
//! belongs to nobody. Where a file system has no locks, nothing is cleared.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// Makes a temporary, opens it, and holds it: somebody who clears the folder may come upon it before it is held.
pub(super) fn make_held<T>(
    make: impl Fn() -> io::Result<T>,
    is_held: impl Fn(&T) -> io::Result<bool>,
) -> io::Result<T> {
    /// Each is a process that clears the folder in that very moment.
    const TRIES: usize = 100;
    for _ in 1..TRIES {
        match make() {
            Ok(made) if is_held(&made)? => return Ok(made),
            Ok(_) => {}
            // Cleared before it was opened.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    make()
}

/// Holds what is open, unless it is being cleared, or was.
pub(super) fn hold(opened: impl AsFd, path: &Path) -> io::Result<bool> {
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(false),
        // No locks here: then nobody clears anything either.
        Err(_) => return Ok(true),
        Ok(()) => {}
    }
    is_at(opened, path)
}

/// Whether what is open is still what the path leads to.
pub(super) fn is_at(opened: impl AsFd, path: &Path) -> io::Result<bool> {
    let own = rustix::fs::fstat(&opened)?;
    Ok(rustix::fs::lstat(path).is_ok_and(|there| (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)))
}

/// Removes what begins with `prefix` in a folder, and is held by nobody.
pub(super) fn clear(folder: &Path, prefix: &str) {
    abandoned(folder, prefix).iter().for_each(|path| remove(path));
}

/// What begins with `prefix` in a folder, and is held by nobody.
pub(super) fn abandoned(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()));
    named.map(|entry| entry.path()).filter(|path| hold_abandoned(path).is_some()).collect()
}

/// Removes it unless somebody holds it. Whatever goes wrong with it can wait.
pub(super) fn remove(path: &Path) {
    if let Some(_held) = hold_abandoned(path) {
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

fn hold_abandoned(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, path, flags, Mode::empty()).ok()?;
    rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(opened)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_nobody_holds_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("new-dead/inner")).unwrap();
        fs::write(path("new-dead/inner/a"), "1").unwrap();
        fs::create_dir(path("new-held")).unwrap();
        for name in ["new-file", "new-held-file", "other"] {
            fs::write(path(name), "1").unwrap();
        }
        let (held, held_file) = (File::open(path("new-held")).unwrap(), File::open(path("new-held-file")).unwrap());
        assert!(hold(&held, &path("new-held")).unwrap() && hold(&held_file, &path("new-held-file")).unwrap());
        clear(folder.path(), "new-");
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["new-held", "new-held-file", "other"]);
        drop((held, held_file));
        clear(folder.path(), "new-");
        assert_eq!(names(), ["other"]);
    }

    #[test]
    fn what_was_cleared_before_it_was_held_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new-1");
        let made = make_held(
            || {
                let there = path.exists();
                let file = File::create(&path)?;
                if !there {
                    fs::remove_file(&path)?;
                    fs::write(&path, "somebody else's")?;
                }
                Ok(file)
            },
            |file| hold(file, &path),
        );
        assert!(hold(made.unwrap(), &path).unwrap());
    }
}
