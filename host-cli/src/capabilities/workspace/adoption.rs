//! Putting what was made elsewhere in the place of what stands in the project, unless that is no longer what it was.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, CWD, FileType, RenameFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// What tells something that was changed, or exchanged for another: of a folder, with all that is in it.
#[derive(PartialEq, Eq)]
pub(super) struct Seen {
    is_folder: bool,
    hash: [u8; 32],
}

/// None when there is nothing.
pub(super) fn seen(folder: &Dir, name: &str) -> io::Result<Option<Seen>> {
    let mut hash = Sha256::new();
    let Some(is_folder) = look(folder, Path::new(name), &mut hash)? else { return Ok(None) };
    Ok(Some(Seen { is_folder, hash: hash.finalize().into() }))
}

/// Whether it is a folder.
fn look(folder: &Dir, name: &Path, hash: &mut Sha256) -> io::Result<Option<bool>> {
    let found = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let numbers: [i128; 7] = [
        found.st_dev.into(),
        found.st_ino.into(),
        found.st_size.into(),
        found.st_mtime.into(),
        found.st_mtime_nsec.into(),
        found.st_ctime.into(),
        found.st_ctime_nsec.into(),
    ];
    numbers.iter().for_each(|number| hash.update(number.to_le_bytes()));
    let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    if is_folder {
        let below = folder.open_dir(name)?;
        let mut names = below.entries()?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            look(&below, Path::new(&name), hash)?;
        }
    }
    Ok(Some(is_folder))
}

/// Gives it the name, if what stands there is what was seen before; false, and nothing done, if not. What stood there is gone.
pub(super) fn place(source: &Path, folder: &Dir, name: &str, before: Option<&Seen>) -> io::Result<bool> {
    let near = Near::bring(source, folder)?;
    let now = seen(folder, name)?;
    if now.as_ref() != before {
        return Ok(false);
    }
    let is_folder = fs_is_folder(folder, &near.name)?;
    let rename = |flags| rustix::fs::renameat_with(folder, near.name.as_str(), folder, name, flags);
    let Some(before) = before else {
        // Not even what is made in this very moment is replaced, where the file system can do that.
        return match rename(RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                folder.rename(&near.name, folder, name)?;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        };
    };
    if !before.is_folder && !is_folder {
        folder.rename(&near.name, folder, name)?;
        return Ok(true);
    }
    match rename(RenameFlags::EXCHANGE) {
        // What stood there goes with `near`.
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let away = Near::name();
            folder.rename(name, folder, &away)?;
            let placed = folder.rename(&near.name, folder, name);
            if placed.is_err() {
                folder.rename(&away, folder, name)?;
            }
            placed?;
            remove(folder, &away);
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

fn fs_is_folder(folder: &Dir, name: &str) -> io::Result<bool> {
    Ok(folder.symlink_metadata(name)?.is_dir())
}

fn remove(folder: &Dir, name: &str) {
    let _ = match folder.symlink_metadata(name) {
        Ok(found) if found.is_dir() => folder.remove_dir_all(name),
        _ => folder.remove_file(name),
    };
}

/// Beside its place, under a name that is cleared when this is dropped.
struct Near<'d> {
    folder: &'d Dir,
    name: String,
}

impl<'d> Near<'d> {
    fn name() -> String {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        format!(".aurum-{}-{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
    }

    /// Moves it there, or copies it where it lies on another device.
    fn bring(source: &Path, folder: &'d Dir) -> io::Result<Self> {
        let near = Self { folder, name: Self::name() };
        // A dead process of the same number may have left one behind.
        remove(folder, &near.name);
        match rustix::fs::renameat(CWD, source, folder, near.name.as_str()) {
            Ok(()) => {}
            Err(Errno::XDEV) => copy(source, folder, &near.name)?,
            Err(error) => return Err(error.into()),
        }
        Ok(near)
    }
}

impl Drop for Near<'_> {
    fn drop(&mut self) {
        remove(self.folder, &self.name);
    }
}

/// Onto stable storage.
fn copy(source: &Path, folder: &Dir, name: &str) -> io::Result<()> {
    if fs::symlink_metadata(source)?.is_dir() {
        folder.create_dir(name)?;
        let below = folder.open_dir(name)?;
        for entry in fs::read_dir(source)? {
            let entry = entry?;
            let name = entry.file_name();
            copy(&entry.path(), &below, name.to_str().ok_or(io::ErrorKind::InvalidFilename)?)?;
        }
        return Ok(());
    }
    let mut file = folder.create(name)?.into_std();
    io::copy(&mut File::open(source)?, &mut file)?;
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::*;
    use std::fs;

    fn sides() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root")).unwrap();
        fs::create_dir_all(folder.path().join("made/sub")).unwrap();
        fs::write(folder.path().join("made/sub/new"), "new").unwrap();
        fs::write(folder.path().join("file"), "file").unwrap();
        let workspace = Workspace::new(&folder.path().join("root")).unwrap();
        (folder, workspace)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_takes_the_place_of_what_was_there() {
        let (folder, workspace) = sides();
        let root = folder.path().join("root");
        fs::create_dir(root.join("data")).unwrap();
        fs::write(root.join("data/old"), "old").unwrap();
        let made = folder.path().join("made");
        assert_eq!(workspace.adopt("data", || Ok(Some((1, made)))).unwrap(), Some(1));
        assert_eq!(names(&root), ["data"]);
        assert_eq!(names(&root.join("data")), ["sub"]);
        let file = folder.path().join("file");
        workspace.adopt("data", || Ok(Some(((), file.clone())))).unwrap();
        assert_eq!(fs::read_to_string(root.join("data")).unwrap(), "file");
        fs::write(&file, "again").unwrap();
        workspace.adopt("data", || Ok(Some(((), file)))).unwrap();
        assert_eq!(fs::read_to_string(root.join("data")).unwrap(), "again");
        assert_eq!(names(&root), ["data"]);
    }

    #[test]
    fn what_is_changed_meanwhile_stays() {
        let (folder, workspace) = sides();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("data/deep")).unwrap();
        let made = || folder.path().join("made");
        let adopted = workspace.adopt("data", || {
            fs::write(root.join("data/deep/mine"), "hours of work").unwrap();
            Ok(Some(((), made())))
        });
        assert!(matches!(adopted, Err(Error::Conflict(_))), "{adopted:?}");
        assert!(root.join("data/deep/mine").exists());
        assert_eq!(names(&root), ["data"]);
        fs::create_dir_all(made().join("sub")).unwrap();
        let adopted = workspace.adopt("other", || {
            fs::write(root.join("other"), "mine").unwrap();
            Ok(Some(((), made())))
        });
        assert!(matches!(adopted, Err(Error::Conflict(_))), "{adopted:?}");
        assert_eq!(fs::read_to_string(root.join("other")).unwrap(), "mine");
        assert_eq!(workspace.adopt("data", || Ok(None::<((), PathBuf)>)).unwrap(), None);
        assert!(workspace.adopt("../x", || Ok(None::<((), PathBuf)>)).is_err());
        assert!(workspace.adopt("no/folder", || Ok(Some(((), made())))).is_err());
        fs::write(root.join("file"), "kept").unwrap();
        let failed = workspace.adopt("file", || Err::<Option<((), PathBuf)>, _>(Error::NoSpace("full".into())));
        assert!(matches!(failed, Err(Error::NoSpace(_))) && fs::read(root.join("file")).unwrap() == b"kept");
    }

    #[test]
    fn a_link_is_replaced_and_none_leads_out() {
        let (folder, workspace) = sides();
        let root = folder.path().join("root");
        std::os::unix::fs::symlink("../file", root.join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("out")).unwrap();
        let made = folder.path().join("made/sub/new");
        assert!(workspace.adopt("out/new", || Ok(Some(((), made.clone())))).is_err());
        workspace.adopt("link", || Ok(Some(((), made)))).unwrap();
        assert!(fs::symlink_metadata(root.join("link")).unwrap().is_file());
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "file");
        assert!(!folder.path().join("new").exists());
    }
}
