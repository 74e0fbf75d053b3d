//! The files of the project's working tree.

mod adoption;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use rustix::fs::{FlockOperation, Mode, OFlags};

use super::paths::check_path;
use super::{Error, Result};

/// The longest file that is handed over whole.
const MAX_READ: u64 = 4 << 20;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ordinary file.
    File,
    /// A folder.
    Directory,
    /// A link, a device, a socket.
    Other,
}

/// Access below one folder, and nowhere else.
///
/// Links are followed as long as they stay below the root; one that leaves it makes the path invalid, and so does any
/// absolute link. The operating system is asked for each step (`cap-std`), so that a link put there in between gains
/// nothing.
#[derive(Debug)]
pub struct Workspace {
    root: Dir,
}

impl Workspace {
    /// Opens the folder. It is this very folder from now on, whatever its path may lead to later.
    pub fn new(root: &Path) -> Result<Self> {
        let opened = Dir::open_ambient_dir(root, ambient_authority());
        let root = opened.map_err(|error| Error::io(format_args!("opening `{}`", root.display()), &error))?;
        Ok(Self { root })
    }

    /// What stands at a path, a final link not followed; none when nothing does.
    pub fn inspect(&self, path: &str) -> Result<Option<Kind>> {
        check_path(path)?;
        let found = present(self.root.symlink_metadata(path)).map_err(|error| failure("looking at", path, &error))?;
        Ok(found.map(|found| match found.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            _ => Kind::Other,
        }))
    }

    /// A whole file of at most 4 MiB; none when no file stands there.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        check_path(path)?;
        let failed = |error| failure("reading", path, &error);
        // Looked at before it is opened: opening a pipe would wait for somebody to write to it.
        let Some(found) = present(self.root.metadata(path)).map_err(failed)?.filter(cap_std::fs::Metadata::is_file)
        else {
            return Ok(None);
        };
        let Some(file) = present(self.root.open(path)).map_err(failed)? else { return Ok(None) };
        let mut contents = Vec::with_capacity(found.len().min(MAX_READ) as usize);
        file.take(MAX_READ + 1).read_to_end(&mut contents).map_err(failed)?;
        if contents.len() as u64 > MAX_READ {
            return Err(Error::Other(format!("`{path}` is larger than 4 MiB")));
        }
        Ok(Some(contents))
    }

    /// The names within a folder, sorted, those that are not UTF-8 left out; empty when no folder stands there.
    pub fn list_names(&self, path: &str) -> Result<Vec<String>> {
        check_path(path)?;
        let failed = |error| failure("listing", path, &error);
        let Some(entries) = present(self.root.read_dir(path)).map_err(failed)? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Makes a folder and those above it; one that is there already is no error.
    pub fn make_directory(&self, path: &str) -> Result<()> {
        check_path(path)?;
        self.root.create_dir_all(path).map_err(|error| failure("making the folder", path, &error))
    }

    /// Writes a whole file into a folder that there is: readers see the former content or the new one, even after a
    /// power cut. An existing file keeps its mode; a link is replaced, not followed.
    pub fn write(&self, path: &str, contents: &[u8]) -> Result<()> {
        check_path(path)?;
        self.replace(path, contents).map_err(|error| failure("writing", path, &error))
    }

    /// The same if the file's content is `expected` now (none: if there is no file), else [`Error::Conflict`]. Of
    /// several processes that do this at once, one is first.
    pub fn exchange(&self, path: &str, expected: Option<&[u8]>, contents: &[u8]) -> Result<()> {
        check_path(path)?;
        // Opened anew: a lock belongs to an opening, which a clone would share, and the root is not opened for one. The
        // kernel lets go of it when this is closed. Where a file system has no locks, this is as good as reading first.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(&self.root, ".", flags, Mode::empty())
            .map_err(|error| failure("writing", path, &error.into()))?;
        let _ = rustix::fs::flock(&root, FlockOperation::LockExclusive);
        if self.read(path)?.as_deref() != expected {
            return Err(Error::Conflict(format!("`{path}` has changed meanwhile")));
        }
        self.write(path, contents)
    }

    fn replace(&self, path: &str, contents: &[u8]) -> io::Result<()> {
        let (folder, name) = self.folder_of(path)?;
        let former = present(folder.symlink_metadata(name))?.filter(cap_std::fs::Metadata::is_file);
        let mut temporary = Temporary::new(&folder)?;
        temporary.file.write_all(contents)?;
        if let Some(former) = former {
            temporary.file.set_permissions(former.permissions().into_std(&temporary.file)?)?;
        }
        temporary.place(name)
    }

    /// Puts what `fill` makes elsewhere, a file or a folder on stable storage, to a path in place of what stands there. When
    /// `fill` fails or answers none, nothing has changed. What somebody put or changed there meanwhile is not replaced, which is
    /// an [`Error::Conflict`]. The folder that it is in has to be there; a link is replaced, not followed.
    pub fn adopt<T>(&self, path: &str, fill: impl FnOnce() -> Result<Option<(T, PathBuf)>>) -> Result<Option<T>> {
        check_path(path)?;
        let failed = |error: io::Error| failure("writing", path, &error);
        let (folder, name) = self.folder_of(path).map_err(failed)?;
        let before = adoption::seen(&folder, name).map_err(failed)?;
        let Some((filled, source)) = fill()? else { return Ok(None) };
        if !adoption::place(&source, &folder, name, before.as_ref()).map_err(failed)? {
            return Err(Error::Conflict(format!("`{path}` was made or changed meanwhile, and is not replaced")));
        }
        Ok(Some(filled))
    }

    /// One handle for a temporary and its final name: a parent swapped for another in between can't part them.
    fn folder_of<'p>(&self, path: &'p str) -> io::Result<(Dir, &'p str)> {
        Ok(match path.rsplit_once('/') {
            Some((folder, name)) => (self.root.open_dir(folder)?, name),
            None => (self.root.try_clone()?, path),
        })
    }

    /// Removes a file, a link or an empty folder; removing what is not there succeeds.
    pub fn remove(&self, path: &str) -> Result<()> {
        check_path(path)?;
        let removed = match self.inspect(path)? {
            None => return Ok(()),
            Some(Kind::Directory) => self.root.remove_dir(path),
            Some(_) => self.root.remove_file(path),
        };
        present(removed).map_err(|error| failure("removing", path, &error))?;
        Ok(())
    }
}

/// A file of a new name, which is gone when this is dropped before it is placed.
struct Temporary<'d> {
    folder: &'d Dir,
    name: String,
    file: File,
}

impl<'d> Temporary<'d> {
    fn new(folder: &'d Dir) -> io::Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        loop {
            let name = format!(".aurum-{}-{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
            match folder.open_with(&name, &options) {
                Ok(file) => return Ok(Self { folder, name, file: file.into_std() }),
                // A dead process of the same number left it behind.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives it its name within the folder, once it is on stable storage.
    fn place(mut self, name: &str) -> io::Result<()> {
        self.file.sync_all()?;
        self.folder.rename(&self.name, self.folder, name)?;
        self.name.clear();
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = self.folder.remove_file(&self.name);
        }
    }
}

/// Absence is no error; a file where a folder would have to be is absence too.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn failure(doing: &str, path: &str, error: &io::Error) -> Error {
    // cap-std's own refusal to leave the root; the kernel's would come with a number.
    if error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none() {
        return Error::InvalidPath(path.to_owned());
    }
    Error::io(format_args!("{doing} `{path}`"), error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn project() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        fs::write(folder.path().join("secret"), "s").unwrap();
        let workspace = Workspace::new(&folder.path().join("root")).unwrap();
        (folder, workspace)
    }

    fn refused<T: std::fmt::Debug>(result: &Result<T>) {
        assert!(matches!(result, Err(Error::InvalidPath(_))), "{result:?}");
    }

    #[test]
    fn files_are_written_read_and_removed() {
        let (_folder, workspace) = project();
        assert_eq!(workspace.read("a/b").unwrap(), None);
        assert!(workspace.write("a/b", b"x").is_err(), "the folder is not made");
        workspace.make_directory("a/c").unwrap();
        workspace.make_directory("a/c").unwrap();
        workspace.write("a/b", b"one").unwrap();
        workspace.write("a/b", b"two").unwrap();
        assert_eq!(workspace.read("a/b").unwrap().unwrap(), b"two");
        assert_eq!(workspace.list_names("a").unwrap(), ["b", "c"]);
        assert_eq!(workspace.inspect("a").unwrap(), Some(Kind::Directory));
        assert_eq!(workspace.inspect("a/b").unwrap(), Some(Kind::File));
        assert!(workspace.remove("a").is_err(), "not empty");
        for path in ["a/b", "a/c", "a", "a", "a/b/c"] {
            workspace.remove(path).unwrap();
        }
        assert_eq!(workspace.inspect("a").unwrap(), None);
    }

    #[test]
    fn absence_is_no_error() {
        let (_folder, workspace) = project();
        workspace.write("file", b"").unwrap();
        workspace.make_directory("folder").unwrap();
        assert_eq!(workspace.inspect("file/below").unwrap(), None);
        assert_eq!(workspace.read("file/below").unwrap(), None);
        assert_eq!(workspace.read("folder").unwrap(), None);
        assert!(workspace.list_names("file").unwrap().is_empty());
        assert!(workspace.list_names("nothing").unwrap().is_empty());
        assert!(workspace.make_directory("file").is_err());
        assert!(workspace.write("folder", b"").is_err());
        assert_eq!(workspace.root.entries().unwrap().count(), 2, "no temporary is left");
    }

    #[test]
    fn an_existing_file_keeps_its_mode() {
        let (folder, workspace) = project();
        let file = folder.path().join("root/run.sh");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o751)).unwrap();
        workspace.write("run.sh", b"new").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o751);
    }

    #[test]
    fn a_large_file_is_an_error() {
        let (folder, workspace) = project();
        let file = fs::File::create(folder.path().join("root/large")).unwrap();
        file.set_len(MAX_READ).unwrap();
        assert_eq!(workspace.read("large").unwrap().unwrap().len() as u64, MAX_READ);
        file.set_len(MAX_READ + 1).unwrap();
        assert!(matches!(workspace.read("large"), Err(Error::Other(_))));
    }

    #[test]
    fn links_that_leave_the_root_lead_nowhere() {
        let (folder, workspace) = project();
        let root = folder.path().join("root");
        symlink(folder.path(), root.join("absolute")).unwrap();
        symlink("..", root.join("relative")).unwrap();
        symlink("../secret", root.join("file")).unwrap();
        for link in ["absolute", "relative"] {
            let inside = format!("{link}/secret");
            refused(&workspace.inspect(&inside));
            refused(&workspace.read(&inside));
            refused(&workspace.list_names(link));
            refused(&workspace.make_directory(&format!("{link}/new/er")));
            refused(&workspace.write(&inside, b"x"));
            refused(&workspace.remove(&inside));
        }
        refused(&workspace.read("file"));
        assert_eq!(workspace.inspect("file").unwrap(), Some(Kind::Other));
        workspace.write("file", b"mine").unwrap();
        assert_eq!(workspace.inspect("file").unwrap(), Some(Kind::File), "the link was replaced");
        workspace.remove("absolute").unwrap();
        assert_eq!(fs::read(folder.path().join("secret")).unwrap(), b"s");
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn links_within_the_root_are_followed() {
        let (folder, workspace) = project();
        workspace.make_directory("a").unwrap();
        symlink("a", folder.path().join("root/b")).unwrap();
        workspace.write("b/c", b"x").unwrap();
        assert_eq!(workspace.read("a/c").unwrap().unwrap(), b"x");
    }

    #[test]
    fn paths_are_checked_everywhere() {
        let (_folder, workspace) = project();
        for path in ["..", "", ".git/config"] {
            refused(&workspace.inspect(path));
            refused(&workspace.read(path));
            refused(&workspace.list_names(path));
            refused(&workspace.make_directory(path));
            refused(&workspace.write(path, b""));
            refused(&workspace.adopt(path, || Ok(None::<((), PathBuf)>)));
            refused(&workspace.remove(path));
        }
    }

    #[test]
    fn of_many_that_exchange_at_once_none_loses_its_line() {
        let (folder, workspace) = project();
        assert!(matches!(workspace.exchange("f", Some(b""), b"x"), Err(Error::Conflict(_))));
        workspace.exchange("f", None, b"").unwrap();
        std::thread::scope(|scope| {
            for line in 0..8 {
                let root = folder.path().join("root");
                scope.spawn(move || {
                    // Another process has a workspace of its own.
                    let workspace = Workspace::new(&root).unwrap();
                    loop {
                        let former = workspace.read("f").unwrap().unwrap();
                        let contents = [former.as_slice(), format!("{line}\n").as_bytes()].concat();
                        match workspace.exchange("f", Some(&former), &contents) {
                            Err(Error::Conflict(_)) => {}
                            other => return other.unwrap(),
                        }
                    }
                });
            }
        });
        let mut lines: Vec<_> =
            fs::read_to_string(folder.path().join("root/f")).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }
}
