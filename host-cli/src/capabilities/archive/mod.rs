//! Archives for others: zip files of code and data, written entry by entry.
//!
//! The same entries make the same bytes, on any machine: every entry bears one and the same time, permissions are those
//! that git knows, and nothing is told of the machine. Contents pass through in pieces, so that memory does not grow
//! with them; what does is the list of the entries that a zip file ends with. Git's own files are the exception: gix
//! loads each of them whole.

use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use self::container::{Container, Entry};
use super::data::Kind;
use super::paths::check_path;
use super::repository::{Location, Repository};
use super::store::{Store, digest_of, sync_folder};
use super::{Error, Result};

mod container;
mod manifest;
mod output;
mod squeeze;
mod tree;

const ORDINARY: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const FOLDER: u32 = 0o040_755;

/// Where an archive may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// In this folder, by the name that is asked for.
    Folder(PathBuf),
    /// Here, whatever the name that is asked for.
    File(PathBuf),
}

/// An archive that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The file.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// An archive under construction. It gets its name once it is finished; dropped before, it leaves nothing behind.
///
/// After an error it can't be finished any more.
pub struct Writer {
    target: PathBuf,
    /// Removes the file when it is dropped.
    temporary: tempfile::TempPath,
    container: Container<File>,
    broken: bool,
}

impl Writer {
    /// Makes an unnamed archive where the finished one will be. Each entry will bear the time `modified`: milliseconds
    /// since 1970, as far as zip files know the years, which is from 1980 to 2107 and to two seconds.
    pub fn begin(destination: &Destination, name: &str, modified: u64) -> Result<Self> {
        let target = match destination {
            Destination::Folder(folder) => {
                check_path(name)?;
                if name.contains('/') {
                    return Err(Error::Other(format!("`{name}` is not a file name")));
                }
                folder.join(name)
            }
            Destination::File(path) => path.clone(),
        };
        let folder = folder_of(&target);
        if !folder.is_dir() {
            return Err(Error::Other(format!("there is no folder `{}` to make an archive in", folder.display())));
        }
        // A device or a pipe would be replaced by a file, and root may do that.
        if target.symlink_metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            return Err(Error::Other(format!("what stands at `{}` is no file, and is not replaced", target.display())));
        }
        if is_something_else(&target) {
            let target = target.display();
            return Err(Error::Other(format!("`{target}` is there already and is no zip file, and is not replaced")));
        }
        if target.is_dir() {
            return Err(Error::Other(format!("there is a folder where the archive would be: `{}`", target.display())));
        }
        let temporary = tempfile::Builder::new()
            .prefix(".aurum-")
            .suffix(".tmp")
            // What an ordinary new file gets, less the umask; it is meant for others.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(|error| Error::io(format_args!("making an archive in `{}`", folder.display()), &error))?;
        let (file, temporary) = temporary.into_parts();
        let container = Container::new(file, modified, format!("`{}`", target.display()));
        Ok(Self { target, temporary, container, broken: false })
    }

    /// A file with this content.
    pub fn add_bytes(&mut self, path: &str, contents: &[u8]) -> Result<()> {
        self.adding(|container| {
            let entry = Entry { path: checked(path.as_bytes())?, mode: ORDINARY, size: contents.len() as u64 };
            container.add(&entry, &mut &*contents)?;
            Ok(())
        })
    }

    /// A file of a commit or tree, a link or an executable as such; false, and nothing added, when there is none.
    pub fn add_file(&mut self, repository: &Repository, path: &str, location: &Location) -> Result<bool> {
        self.adding(|container| tree::add_file(container, repository, checked(path.as_bytes())?, location))
    }

    /// All files of a commit or tree below a folder of the archive, or at its top where `folder` is empty, save those
    /// at or below the paths of `leave_out`. Answers the paths of submodules, which are left out too.
    pub fn add_tree(
        &mut self,
        repository: &Repository,
        folder: &str,
        root: &str,
        leave_out: &[String],
    ) -> Result<Vec<String>> {
        self.adding(|container| {
            let folder = if folder.is_empty() { Vec::new() } else { [checked(folder.as_bytes())?, b"/"].concat() };
            tree::add_tree(container, repository, &folder, root, leave_out)
        })
    }

    /// A file of the store, or a folder of data by its manifest; false, and nothing added, when the store does not have
    /// all of it. Content that is not what its digest says is an error.
    pub fn add_stored(&mut self, store: &Store, path: &str, kind: Kind, digest: &str) -> Result<bool> {
        self.adding(|container| {
            checked(path.as_bytes())?;
            match kind {
                Kind::File => {
                    let Some(content) = store.open(digest)? else { return Ok(false) };
                    let size = content.metadata().map_err(|error| unreadable(digest, &error))?.len();
                    let entry = Entry { path: path.as_bytes(), mode: ORDINARY, size };
                    add_content(container, &entry, content, digest)?;
                    Ok(true)
                }
                Kind::Folder => manifest::add_folder(container, store, path, digest),
            }
        })
    }

    /// Completes the archive and gives it its name, in place of a file that bears it already, once it is on stable
    /// storage.
    pub fn finish(self) -> Result<Finished> {
        if self.broken {
            let target = self.target.display();
            return Err(Error::Other(format!("`{target}` is not complete: something could not be added to it")));
        }
        let failed =
            |error: &io::Error| Error::io(format_args!("making the archive `{}`", self.target.display()), error);
        let file = self.container.finish()?;
        file.sync_all().map_err(|error| failed(&error))?;
        let size = file.metadata().map_err(|error| failed(&error))?.len();
        self.temporary.persist(&self.target).map_err(|error| failed(&error.error))?;
        sync_folder(folder_of(&self.target)).map_err(|error| failed(&error))?;
        Ok(Finished { path: self.target.to_string_lossy().into_owned(), size })
    }

    /// Half an entry may have been written when adding it fails.
    fn adding<T>(&mut self, add: impl FnOnce(&mut Container<File>) -> Result<T>) -> Result<T> {
        let added = if self.broken {
            Err(Error::Other("something before it could not be added to the archive".to_owned()))
        } else {
            add(&mut self.container)
        };
        self.broken |= added.is_err();
        added
    }
}

/// Whether a file stands there that is no archive: most likely it is meant to stay.
fn is_something_else(target: &Path) -> bool {
    let mut begin = [0; 2];
    let Ok(mut file) = File::open(target) else { return false };
    match file.read(&mut begin) {
        Ok(0) | Err(_) => false,
        Ok(_) => begin != *b"PK",
    }
}

/// A path of the archive, if it stays below the folder that people unpack it in, on every system.
fn checked(path: &[u8]) -> Result<&[u8]> {
    // Names that are not UTF-8 are no less checked: what is replaced is no separator and no dot.
    check_path(&String::from_utf8_lossy(path))?;
    Ok(path)
}

/// Adds content of the store, and makes sure of it on the way.
fn add_content(container: &mut Container<File>, entry: &Entry<'_>, content: File, digest: &str) -> Result<()> {
    let mut content = Hashing { content, hash: Sha256::new() };
    let size = container.add(entry, &mut content)?;
    if size != entry.size || digest_of(&content.hash.finalize().into()) != digest {
        return Err(damaged(digest, &String::from_utf8_lossy(entry.path)));
    }
    Ok(())
}

/// Content on its way, and the hash of what has passed.
struct Hashing {
    content: File,
    hash: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

fn damaged(digest: &str, path: &str) -> Error {
    Error::Other(format!("the store is damaged: what it has as `{digest}` (`{path}`) is something else"))
}

fn unreadable(digest: &str, error: &io::Error) -> Error {
    Error::io(format_args!("reading `{digest}` of the store"), error)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
