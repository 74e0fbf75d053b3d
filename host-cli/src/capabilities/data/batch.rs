//! Many contents put into the store at once, with few syncs.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use super::place::make_folder;
use crate::capabilities::settled;
use crate::capabilities::sharing::{create_dir_all, share};
use crate::capabilities::store::{Hash, Store, hash_stream, hexadecimal, is_old, object_name, sync_folder};
use crate::capabilities::{Error, Result};

/// From how many files on one sync of the whole file system is less than a sync of each.
const FEW: usize = 16;
/// When to put what there is in its place, so that no more than this has to be remembered.
const MANY: usize = 1 << 16;

/// Contents on their way into the store.
///
/// They are written into a folder of their own, where the same content has the same name. Only when all are on stable
/// storage are they given their places, so that whatever has a place is whole, even after a power cut.
pub(in crate::capabilities) struct Batch<'s> {
    store: &'s Store,
    objects: OwnedFd,
    /// Made when something new comes: it changes the store's folder, which costs what relies on what is there already a write to the disk.
    temporary: OnceLock<Temporary>,
    contents: Mutex<Contents>,
    streams: AtomicU64,
    /// How long after a content got its name the name is on stable storage, whether or not who gave it has synced it:
    /// [`settled::AFTER`], but in tests.
    settled: Duration,
    /// Nothing is cleared while what is there already is relied on.
    _adding: Option<File>,
}

/// Where new contents wait for their places.
struct Temporary {
    folder: OwnedFd,
    /// Dropping it removes what has not found its place.
    place: tempfile::TempDir,
}

#[derive(Default)]
struct Contents {
    new: HashSet<Hash>,
    /// Those that were there already, but may have their names since so short a time that the process which gave them has not synced these.
    there: HashSet<Hash>,
}

/// A long content that has no name yet. Unless it is added it is dropped.
pub(in crate::capabilities) struct Stream<'b> {
    batch: &'b Batch<'b>,
    name: String,
    hash: Hash,
    pub(in crate::capabilities) size: u64,
}

impl<'s> Batch<'s> {
    pub(in crate::capabilities) fn new(store: &'s Store) -> Result<Self> {
        let failed = |error: Errno| store.failed("adding to", &error.into());
        // Gigabytes may lie there of a call that was stopped.
        store.clear();
        store.make_folder()?;
        let adding = store.lock_shared()?;
        create_dir_all(&store.objects()).map_err(|error| store.failed("adding to", &error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let objects = rustix::fs::openat(CWD, store.objects(), flags, Mode::empty()).map_err(failed)?;
        Ok(Self {
            store,
            objects,
            temporary: OnceLock::new(),
            contents: Mutex::default(),
            streams: AtomicU64::new(0),
            settled: settled::AFTER,
            _adding: adding,
        })
    }

    /// Whether the store has the content, or will have it with this batch.
    pub(in crate::capabilities) fn has(&self, hash: &Hash, size: u64) -> Result<bool> {
        let known = |contents: &Contents| contents.new.contains(hash) || contents.there.contains(hash);
        if known(&self.contents()) {
            return Ok(true);
        }
        let found = match rustix::fs::statat(&self.objects, object_name(hash), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(self.failed(error)),
        };
        // Of another size, a power cut tore it: then it is to be replaced.
        let whole =
            FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && u64::try_from(found.st_size) == Ok(size);
        if whole {
            self.renew(hash, &found);
            if moment(found.st_ctime).elapsed().map_or(true, |since| since < self.settled) {
                self.contents().there.insert(*hash);
            }
        }
        Ok(whole)
    }

    /// Nobody is to clear what is about to be named.
    fn renew(&self, hash: &Hash, found: &Stat) {
        if is_old(moment(found.st_mtime)) {
            let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
            let times = Timestamps { last_access: now, last_modification: now };
            // Another user's may be read and not changed; that user alone can clear it.
            let _ = rustix::fs::utimensat(&self.objects, object_name(hash), &times, AtFlags::SYMLINK_NOFOLLOW);
        }
    }

    /// Adds a content that is in memory.
    pub(in crate::capabilities) fn add(&self, hash: &Hash, bytes: &[u8]) -> Result<()> {
        // Whoever comes first writes it.
        if self.has(hash, bytes.len() as u64)? || !self.contents().new.insert(*hash) {
            return Ok(());
        }
        let mut file = self.create(&hexadecimal(hash))?;
        file.write_all(bytes).map_err(|error| self.failed(error))
    }

    /// Takes in a file in one pass.
    pub(in crate::capabilities) fn stream(
        &self,
        file: &mut File,
        buffer: &mut Vec<u8>,
        unreadable: impl Fn(&io::Error) -> Error,
    ) -> Result<Stream<'_>> {
        let name = format!("stream-{}", self.streams.fetch_add(1, Ordering::Relaxed));
        let mut temporary = self.create(&name)?;
        let mut stream = Stream { batch: self, name, hash: [0; 32], size: 0 };
        (stream.hash, stream.size) = if clone_file(&temporary, file) {
            hash_stream(&mut temporary, buffer, |_| Ok(()), |error| self.store.failed("reading", error))?
        } else {
            hash_stream(
                file,
                buffer,
                |piece| temporary.write_all(piece).map_err(|error| self.failed(error)),
                unreadable,
            )?
        };
        Ok(stream)
    }

    /// Whether all that is on its way was in the store already.
    pub(in crate::capabilities) fn has_nothing_new(&self) -> bool {
        self.contents().new.is_empty()
    }

    /// Puts all in place once it is so much that the rest had better wait.
    pub(in crate::capabilities) fn relieve(&mut self) -> Result<()> {
        let count = self.contents().len();
        if count < MANY { Ok(()) } else { self.settle() }
    }

    /// Puts all in place, and returns once it is there for good.
    pub(in crate::capabilities) fn finish(mut self) -> Result<()> {
        self.settle()?;
        if let Some(temporary) = self.temporary.take() {
            // An error would come from somebody who removed it first.
            let _ = temporary.place.close();
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        let contents = std::mem::take(&mut *self.contents());
        self.sync_contents(&contents).and_then(|()| self.place(&contents)).map_err(|error| self.failed(error))
    }

    fn sync_contents(&self, contents: &Contents) -> io::Result<()> {
        if contents.are_many() {
            return sync_all(&self.objects);
        }
        // What has a name was synced before it got that.
        contents.new.iter().try_for_each(|hash| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            File::from(rustix::fs::openat(self.waiting()?, hexadecimal(hash), flags, Mode::empty())?).sync_all()
        })
    }

    /// Gives contents their names, and makes these durable.
    fn place(&self, contents: &Contents) -> io::Result<()> {
        let mut folders = HashSet::new();
        for hash in &contents.new {
            let (from, to) = (hexadecimal(hash), object_name(hash));
            match rustix::fs::renameat(self.waiting()?, &from, &self.objects, &to) {
                Err(Errno::NOENT) => {
                    make_folder(&self.objects, &to[..2])?;
                    share(&self.store.objects().join(&to[..2]));
                    rustix::fs::renameat(self.waiting()?, &from, &self.objects, &to)?;
                }
                other => other?,
            }
        }
        if contents.are_many() {
            // What was there and had a name was synced with it.
            return if contents.new.is_empty() { Ok(()) } else { sync_all(&self.objects) };
        }
        folders.extend(contents.new.iter().chain(&contents.there).map(|hash| hash[0]));
        let objects = self.store.objects();
        for folder in folders {
            sync_folder(&objects.join(hexadecimal(&[folder])))?;
        }
        sync_folder(&objects)?;
        sync_folder(self.store.folder())
    }

    fn create(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o444);
        let folder = self.make_temporary()?;
        let create = || {
            let file = rustix::fs::openat(folder, name, flags, mode)?;
            // Whatever the process masks. Looking first costs less than changing what is right already.
            if Mode::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != mode {
                rustix::fs::fchmod(&file, mode)?;
            }
            Ok(File::from(file))
        };
        create().map_err(|error: Errno| self.failed(error))
    }

    /// The folder that new contents are written into, made for the first of them.
    fn make_temporary(&self) -> Result<&OwnedFd> {
        if let Some(temporary) = self.temporary.get() {
            return Ok(&temporary.folder);
        }
        let (place, folder) = self.store.temporary_folder()?;
        // Of two threads that come at once one keeps its own, and the other's is removed.
        Ok(&self.temporary.get_or_init(|| Temporary { folder: folder.into(), place }).folder)
    }

    /// The same, where contents are in it already.
    fn waiting(&self) -> io::Result<&OwnedFd> {
        self.temporary.get().map(|temporary| &temporary.folder).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: impl Into<io::Error>) -> Error {
        self.store.failed("adding to", &error.into())
    }
}

impl Stream<'_> {
    /// What its content was hashed to.
    pub(in crate::capabilities) fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Adds what was streamed.
    pub(in crate::capabilities) fn add(mut self) -> Result<Hash> {
        let batch = self.batch;
        if !batch.has(&self.hash, self.size)? && batch.contents().new.insert(self.hash) {
            let renamed = batch
                .waiting()
                .and_then(|folder| Ok(rustix::fs::renameat(folder, &self.name, folder, hexadecimal(&self.hash))?));
            renamed.map_err(|error| batch.failed(error))?;
            self.name.clear();
        }
        Ok(self.hash)
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ =
                self.batch.waiting().and_then(|folder| Ok(rustix::fs::unlinkat(folder, &self.name, AtFlags::empty())?));
        }
    }
}

impl Contents {
    /// Whether one sync of everything is better than many. Only Linux has one that can be waited for.
    fn are_many(&self) -> bool {
        cfg!(target_os = "linux") && self.len() > FEW
    }

    fn len(&self) -> usize {
        self.new.len() + self.there.len()
    }
}

/// The time of a file, in seconds since 1970.
fn moment(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(target_os = "linux")]
fn sync_all(folder: &OwnedFd) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_all(_: &OwnedFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Lets a file share the other's blocks, where the file system can (Btrfs, XFS, …).
#[cfg(target_os = "linux")]
pub(in crate::capabilities) fn clone_file(to: &File, from: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(in crate::capabilities) fn clone_file(_: &File, _: &File) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::capabilities::store::parse_digest;

    #[test]
    fn what_got_its_name_long_ago_is_not_synced_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        let hash = parse_digest(&store.add(&mut "one".as_bytes()).unwrap().digest).unwrap();
        let mut batch = Batch::new(&store).unwrap();
        assert!(batch.has(&hash, 3).unwrap() && batch.contents().len() == 1);
        batch.contents().there.clear();
        batch.settled = Duration::ZERO;
        assert!(batch.has(&hash, 3).unwrap() && batch.contents().len() == 0);
        assert!(!batch.has(&hash, 4).unwrap(), "a power cut tore it");
        batch.finish().unwrap();
    }

    #[test]
    fn what_is_there_already_leaves_the_store_s_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        let hash = parse_digest(&store.add(&mut "one".as_bytes()).unwrap().digest).unwrap();
        let changed = || std::fs::metadata(store.folder()).unwrap().modified().unwrap();
        let before = changed();
        let batch = Batch::new(&store).unwrap();
        batch.add(&hash, b"one").unwrap();
        assert!(batch.temporary.get().is_none());
        batch.finish().unwrap();
        assert_eq!(changed(), before);
    }
}
