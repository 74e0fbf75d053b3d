//! Where data is: the folder that holds it, held open, and its name in there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::Place;
use crate::capabilities::paths::check_path;
use crate::capabilities::{Error, Result};

/// A name within an open folder.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) folder: OwnedFd,
    pub(super) name: OsString,
    /// As people know it.
    pub(super) shown: String,
}

impl Spot {
    /// Finds the place's folder; none when there is none.
    pub(super) fn find(root: &Path, place: Place<'_>) -> Result<Option<Self>> {
        match place {
            Place::Project(path) => Self::below(root, path, false),
            Place::Outside(path) => {
                let shown = path.display().to_string();
                // The root of all has no name, but is one in itself.
                let (folder, name) = match (path.parent(), path.file_name()) {
                    (Some(folder), Some(name)) => (folder, name),
                    _ => (path, OsStr::new(".")),
                };
                let folder = present(rustix::fs::openat(CWD, folder, FOLDER, Mode::empty()));
                let folder = folder.map_err(|error| failed("opening the folder of", &shown, error))?;
                Ok(folder.map(|folder| Self { folder, name: name.to_owned(), shown }))
            }
        }
    }

    /// Walks to a path folder by folder, so that no link on the way is followed, and makes the folders that are
    /// missing.
    pub(super) fn make(root: &Path, path: &str) -> Result<Self> {
        let made = Self::below(root, path, true)?;
        made.ok_or_else(|| Error::Other(format!("the folder of `{path}` was removed meanwhile")))
    }

    fn below(root: &Path, path: &str, make: bool) -> Result<Option<Self>> {
        check_path(path)?;
        let opened = rustix::fs::openat(CWD, root, FOLDER, Mode::empty());
        let mut folder = opened.map_err(|error| failed("opening", &root.display().to_string(), error))?;
        let (folders, name) = path.rsplit_once('/').map_or((None, path), |(folders, name)| (Some(folders), name));
        let mut shown = String::new();
        for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
            shown.push_str(if shown.is_empty() { "" } else { "/" });
            shown.push_str(part);
            if make {
                make_folder(&folder, part).map_err(|error| failed("making the folder", &shown, error))?;
            }
            folder = match open_folder(&folder, part) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => return Ok(None),
                // The two are what a link is told by, too.
                Err(error @ (Errno::NOTDIR | Errno::LOOP)) => {
                    let kind = stat(&folder, part).map(|stat| FileType::from_raw_mode(stat.st_mode));
                    return match kind {
                        Ok(FileType::Symlink) => Err(is_link(&shown)),
                        _ if make => Err(failed("opening the folder", &shown, error)),
                        _ => Ok(None),
                    };
                }
                Err(error) => return Err(failed("opening the folder", &shown, error)),
            };
        }
        Ok(Some(Self { folder, name: name.into(), shown: path.to_owned() }))
    }

    /// What stands there; none when nothing does. A link is an error.
    pub(super) fn look(&self) -> Result<Option<(FileType, Stat)>> {
        let Some((kind, stat)) = self.inspect()? else { return Ok(None) };
        match kind {
            FileType::RegularFile | FileType::Directory => Ok(Some((kind, stat))),
            FileType::Symlink => Err(is_link(&self.shown)),
            _ => Err(no_data(&self.shown)),
        }
    }

    /// What stands there, whatever it is.
    pub(super) fn inspect(&self) -> Result<Option<(FileType, Stat)>> {
        let found =
            present(stat(&self.folder, &*self.name)).map_err(|error| failed("looking at", &self.shown, error))?;
        Ok(found.map(|stat| (FileType::from_raw_mode(stat.st_mode), stat)))
    }

    /// Opens the folder that stands there.
    pub(super) fn open(&self) -> Result<OwnedFd> {
        open_folder(&self.folder, &*self.name).map_err(|error| failed("opening the folder", &self.shown, error))
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a folder within a folder; a link is none.
pub(super) fn open_folder(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
}

/// Makes a folder unless something is there.
pub(super) fn make_folder(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<(), Errno> {
    match rustix::fs::mkdirat(folder, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Opens a file to be read: nothing that blocks or is followed elsewhere, should it be exchanged for a link or a pipe.
pub(super) fn open_file(folder: impl AsFd, name: impl rustix::path::Arg) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?))
}

/// What is there, a link not followed.
pub(super) fn stat(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<Stat, Errno> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Absence is no error; a file where a folder would have to be is absence too.
pub(super) fn present<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn failed(doing: &str, shown: &str, error: impl Into<io::Error>) -> Error {
    Error::io(format_args!("{doing} `{shown}`"), &error.into())
}

pub(super) fn is_link(shown: &str) -> Error {
    Error::Other(format!("`{shown}` is a link: add what it leads to"))
}

pub(super) fn no_data(shown: &str) -> Error {
    Error::Other(format!("`{shown}` is neither a file, a folder nor a link, and so no data"))
}
