//! Writing loose objects, so that a power cut can't leave half of one.
//!
//! A name promises an object that is whole, with all that it refers to: each file is on stable storage before it gets its
//! name, and so are the names of blobs and subtrees before a tree gets one. Otherwise a crash may leave an empty file under
//! an object's name, and whoever writes that object next takes it for written.
//!
//! gix writes loose objects too, but syncs nothing, uses temporary files that `git gc` never clears after a crash, and must
//! know a stream's size before its first byte. Here the temporary files have git's own name for them.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gix::ObjectId;
use gix::objs::Kind;
use gix::zlib::stream::deflate;
use tempfile::TempPath;

use super::{durable, failure};
use crate::capabilities::sharing::share;
use crate::capabilities::{Error, Result, settled};

/// Up to so many files are synced one by one; beyond, the whole file system is, once.
const MANY: usize = 64;
/// An object that is there already is read to see whether it is whole, unless its file is larger.
const MOST_READ: u64 = 32 << 20;
/// Much less than the two weeks after which `git gc` removes what nothing refers to.
const FRESH_FOR: Duration = Duration::from_secs(60 * 60);

/// Each is a `git gc` that clears away what is being written.
const TRIES: usize = 16;

/// Where the object's file is if it is loose.
pub(crate) fn path(repository: &gix::Repository, id: &gix::oid) -> PathBuf {
    let hex = id.to_hex().to_string();
    let (folder, name) = hex.split_at(2);
    folder_of_objects(repository).join(folder).join(name)
}

/// The repository's own objects, shared by its linked worktrees.
pub(crate) fn folder_of_objects(repository: &gix::Repository) -> PathBuf {
    repository.objects.store_ref().path().to_owned()
}

/// An empty temporary file beside the objects.
pub(crate) fn temporary_file(repository: &gix::Repository) -> Result<tempfile::NamedTempFile> {
    temporary(repository).map_err(|error| cannot_write(&folder_of_objects(repository), &error))
}

fn temporary(repository: &gix::Repository) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tmp_obj_").rand_bytes(12);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o444));
    }
    builder.tempfile_in(folder_of_objects(repository))
}

/// The id of an object with this content.
pub(crate) fn id_of(repository: &gix::Repository, kind: Kind, bytes: &[u8]) -> Result<ObjectId> {
    gix::objs::compute_hash(repository.object_hash(), kind, bytes).map_err(|error| failure(&error))
}

/// Objects that become durable together. None of them may refer to another one.
pub(crate) struct Batch<'r> {
    repository: &'r gix::Repository,
    /// Written, and without their names yet.
    waiting: Vec<(TempPath, PathBuf)>,
    /// There already; nobody may ever have synced them.
    there: BTreeSet<PathBuf>,
    /// Whether files wait that are not synced one by one.
    unsynced: bool,
    /// Whether the folder that holds the folders of objects is known to be on stable storage.
    root_synced: bool,
}

impl<'r> Batch<'r> {
    pub(crate) fn new(repository: &'r gix::Repository) -> Self {
        Self { repository, waiting: Vec::new(), there: BTreeSet::new(), unsynced: false, root_synced: false }
    }

    /// Writes an object whose id is known, unless it is there.
    pub(crate) fn add(&mut self, kind: Kind, size: u64, mut content: impl Read, id: ObjectId) -> Result<()> {
        let target = path(self.repository, &id);
        if self.is_there(&target, id) {
            return Ok(());
        }
        let file = temporary_file(self.repository)?;
        let written = (|| {
            let mut deflated = deflate::Write::new(file, self.repository.loose_compression());
            deflated.write_all(&gix::objs::encode::loose_header(kind, size))?;
            io::copy(&mut content, &mut deflated)?;
            // Ends the stream.
            deflated.flush()?;
            let file = deflated.into_inner();
            share(file.path());
            if self.waiting.len() < MANY {
                file.as_file().sync_all()?;
            } else {
                self.unsynced = true;
            }
            Ok(file.into_temp_path())
        })();
        self.waiting.push((written.map_err(|error| cannot_write(&target, &error))?, target));
        Ok(())
    }

    /// The same for an object of which others say that it is there.
    pub(crate) fn add_existing(&mut self, id: ObjectId) -> Result<()> {
        let target = path(self.repository, &id);
        if let Ok(found) = fs::metadata(&target) {
            if !settled::is_file_settled(&found) {
                self.there.insert(target);
            }
            return Ok(());
        }
        // One in a pack is durable already.
        if self.repository.has_object(id) { Ok(()) } else { Err(Error::Missing(format!("the object {id} is missing"))) }
    }

    /// Whether an object need not be written. A file that git did not sync may be all that a power cut left of it.
    fn is_there(&mut self, target: &Path, id: ObjectId) -> bool {
        match fs::metadata(target) {
            Ok(found) => {
                let whole = found.len() > MOST_READ || self.repository.find_object(id).is_ok();
                if whole && !settled::is_file_settled(&found) {
                    self.there.insert(target.to_owned());
                }
                if whole {
                    freshen(target, &found);
                }
                whole
            }
            Err(_) => self.repository.objects.exists_without_refresh(&id),
        }
    }

    /// Makes the folders that these objects will be in, so that they are synced once for all.
    pub(crate) fn make_folders(&mut self, ids: impl IntoIterator<Item = ObjectId>) -> Result<()> {
        for id in ids {
            if let Some(folder) = path(self.repository, &id).parent() {
                self.make_folder(folder).map_err(|error| cannot_write(folder, &error))?;
            }
        }
        Ok(())
    }

    fn make_folder(&mut self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Ok(()) => {
                share(folder);
                self.root_synced = false;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives the objects their names, which are not yet durable. [`Error::Missing`] where git removed one of the files.
    pub(crate) fn name_all(mut self) -> Result<()> {
        self.sync_waiting()?;
        for (file, target) in std::mem::take(&mut self.waiting) {
            self.name(file, &target)?;
        }
        Ok(())
    }

    fn sync_waiting(&mut self) -> Result<()> {
        if std::mem::take(&mut self.unsynced) {
            let root = folder_of_objects(self.repository);
            let synced = File::open(&root).and_then(|folder| rustix::fs::syncfs(folder).map_err(io::Error::from));
            synced.map_err(|error| durable::cannot_sync(&root, &error))?;
        }
        Ok(())
    }

    /// Gives the objects their names, and returns once they are there for good. More may be added afterwards.
    /// [`Error::Missing`] where git removed one of the files.
    pub(crate) fn settle(&mut self) -> Result<()> {
        // As after a large commit of the user's: one by one they would take a second for each few hundred.
        let many = self.there.len() >= MANY;
        self.unsynced |= many;
        self.sync_waiting()?;
        let mut folders = BTreeSet::new();
        for target in std::mem::take(&mut self.there) {
            if many {
                continue;
            }
            match File::open(&target).and_then(|file| file.sync_all()) {
                // Packed meanwhile, which git syncs.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(|error| durable::cannot_sync(&target, &error))?,
            }
            folders.extend(target.parent().map(Path::to_owned));
        }
        for (file, target) in std::mem::take(&mut self.waiting) {
            self.name(file, &target)?;
            folders.extend(target.parent().map(Path::to_owned));
        }
        for path in &folders {
            // `git gc` removes one that has become empty.
            durable::folder_if_there(path)?;
        }
        if !self.root_synced && !folders.iter().all(|folder| settled::is_folder_settled(folder)) {
            durable::folder(&folder_of_objects(self.repository))?;
            self.root_synced = true;
        }
        Ok(())
    }

    fn name(&mut self, mut file: TempPath, target: &Path) -> Result<()> {
        // `git gc` removes a folder that is empty.
        for _ in 0..TRIES {
            file = match file.persist(target) {
                Ok(()) => return Ok(()),
                Err(error) if error.error.kind() == io::ErrorKind::NotFound => error.path,
                Err(error) => return Err(cannot_write(target, &error.error)),
            };
            if !file.exists() {
                break;
            }
            if let Some(folder) = target.parent() {
                self.make_folder(folder).map_err(|error| cannot_write(folder, &error))?;
            }
        }
        Err(Error::Missing(format!("git keeps removing what is being written to `{}`", target.display())))
    }
}

/// Writes objects again where git removed their files before they had names, or the objects that they build on: what is still
/// there costs little then.
pub(crate) fn again_while_missing<T>(mut write: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match write() {
            Err(Error::Missing(_)) => {}
            written => return written,
        }
    }
    write()
}

/// Makes an object look new to `git gc`, which removes old ones that nothing refers to yet; git does the same. One that is not old is
/// left alone, so that it is seen how long it has been there.
fn freshen(path: &Path, found: &Metadata) {
    let old = found.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age > FRESH_FOR));
    if old && let Ok(file) = File::open(path) {
        // Not ours to change, perhaps; then its owner's writing is what counts.
        let _ = file.set_modified(SystemTime::now());
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::io(format_args!("can't write the git object `{}`", path.display()), error)
}
