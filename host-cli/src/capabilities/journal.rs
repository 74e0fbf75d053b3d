//! One append-only file for each experiment that is not saved yet, locked by the process that writes it.
//!
//! The lock is the kernel's (`flock`), so it goes when the process does, however it dies. It belongs to the open file: a
//! forked child inherits it and keeps the journal held for as long as it lives. Where a file system has no locks, a
//! journal counts as held until nothing was written to it for a day.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError as Poisonable, Weak};
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::{Error, Result};

/// The longest piece that is handed over at once.
const MAX_READ: u64 = 4 << 20;
/// What may be lost to a power cut, in time and in bytes.
const SYNC_AFTER_MILLISECONDS: i64 = 1000;
const SYNC_AFTER_BYTES: u64 = 64 << 10;
/// Without locks, a journal that rested for so long is nobody's.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A journal that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The experiment's id.
    pub id: String,
    /// Whether a living process holds the journal, this one included.
    pub held: bool,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
}

/// The journals of a repository: `<folder>/<id>/journal`.
#[derive(Clone, Debug)]
pub struct Journals {
    folder: PathBuf,
}

impl Journals {
    /// Nothing is made or looked at before a journal is.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The journals there are, by id.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let failed = |error: io::Error| Error::io(format_args!("listing `{}`", self.folder.display()), &error);
        let Some(folders) = present(fs::read_dir(&self.folder)).map_err(failed)? else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        for folder in folders {
            let Ok(id) = folder.map_err(failed)?.file_name().into_string() else { continue };
            if is_id(&id) {
                // One that can't be looked at, as another user's may be, is that user's to recover.
                let foreign = Entry { id: id.clone(), held: true, size: 0, modified: 0 };
                entries.extend(self.entry(id).unwrap_or(Some(foreign)));
            }
        }
        entries.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(entries)
    }

    fn entry(&self, id: String) -> Result<Option<Entry>> {
        let failed = |error: io::Error| Error::io(format_args!("looking at the journal of `{id}`"), &error);
        let Some(file) = present(File::open(self.journal(&id))).map_err(failed)? else { return Ok(None) };
        let found = file.metadata().map_err(failed)?;
        let held = match file.try_lock_shared() {
            // Closing the file gives the lock back.
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) if lacks_locks(&error) => !abandoned(&found),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        };
        let modified = found.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |since| since.as_millis() as u64);
        Ok(Some(Entry { size: found.len(), id, held, modified }))
    }

    /// At most `limit` bytes from `offset`, but never more than 4 MiB; empty at the end or without such a journal.
    pub fn read(&self, id: &str, offset: u64, limit: u32) -> Result<Vec<u8>> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("reading the journal of `{id}`"), &error);
        let Some(file) = present(File::open(self.journal(id))).map_err(failed)? else { return Ok(Vec::new()) };
        let rest = file.metadata().map_err(failed)?.len().saturating_sub(offset);
        let mut bytes = vec![0; rest.min(u64::from(limit)).min(MAX_READ) as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Removes a journal, those of the run's children beside it, and the folder; what is not there is no error.
    pub fn remove(&self, id: &str) -> Result<()> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("removing the journal of `{id}`"), &error);
        let folder = self.folder.join(id);
        // First, so that a process that dies on the way leaves no run with half of its journals.
        present(fs::remove_file(folder.join("journal"))).map_err(failed)?;
        let Some(entries) = present(fs::read_dir(&folder)).map_err(failed)? else { return Ok(()) };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("journal."));
            if number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit())) {
                present(fs::remove_file(folder.join(&name))).map_err(failed)?;
            }
        }
        match present(fs::remove_dir(&folder)) {
            // NFS keeps a file under another name until its last writer closes it. An empty run is not listed anyway.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => other.map(drop).map_err(failed),
        }
    }

    /// Makes a new journal, held from the moment that others can see it; a conflict when there is one of that id.
    pub fn create(&self, id: &str) -> Result<Writer> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("making the journal of `{id}`"), &error);
        let taken = || Error::Conflict(format!("there is a journal of `{id}` already"));
        let path = self.journal(id);
        if path.try_exists().map_err(failed)? {
            return Err(taken());
        }
        let temporary = self.make_temporary(id).map_err(failed)?;
        let file = make_locked(&temporary.join("journal"));
        // Fails on a folder with something in it, and takes the place of an empty one, which a removal left behind.
        let file = file.and_then(|file| fs::rename(&temporary, self.folder.join(id)).map(|()| file));
        let file = file.map_err(|error| {
            let _ = fs::remove_dir_all(&temporary);
            match error.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => taken(),
                _ => failed(error),
            }
        })?;
        let key = key(&file).map_err(failed)?;
        Ok(Writer { held: register(key, Held::new(file, path)) })
    }

    /// A folder that no one takes for a journal's: ids have no such names.
    fn make_temporary(&self, id: &str) -> io::Result<PathBuf> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        if !self.folder.is_dir() {
            make_durable_folder(&self.folder)?;
        }
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(format!("new-{id}-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                // A dead process of the same number left it behind.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes over a journal that no living process holds, or shares the one that this very process holds; a conflict
    /// when another one does, none when there is no such journal.
    pub fn open(&self, id: &str) -> Result<Option<Writer>> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("opening the journal of `{id}`"), &error);
        let path = self.journal(id);
        // A reader that asks whether the journal is held locks it for some microseconds, and another thread of ours may
        // have locked it without having registered it yet: neither is worth a conflict.
        for patience in 0..16 {
            let opened = OpenOptions::new().read(true).append(true).open(&path);
            let Some(file) = present(opened).map_err(failed)? else { return Ok(None) };
            let key = key(&file).map_err(failed)?;
            if let Some(held) = registered(key) {
                return Ok(Some(Writer { held }));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(Duration::from_millis(1 + patience / 3));
                    continue;
                }
                Err(TryLockError::Error(error)) if lacks_locks(&error) => {
                    if !abandoned(&file.metadata().map_err(failed)?) {
                        break;
                    }
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // Whoever held it may have removed it in the meantime: then what was locked is a file without a name.
            match present(fs::metadata(&path)).map_err(failed)? {
                Some(found) if (found.dev(), found.ino()) == key => {
                    return Ok(Some(Writer { held: register(key, Held::new(file, path)) }));
                }
                _ => {}
            }
        }
        Err(Error::Conflict(format!("another process holds the journal of `{id}`")))
    }

    fn journal(&self, id: &str) -> PathBuf {
        self.folder.join(id).join("journal")
    }
}

/// The right to write a journal. The journal is held until the last writer of it in this process is dropped.
///
/// A forked child has no use for it: it opens a journal of its own.
#[derive(Debug)]
pub struct Writer {
    held: Arc<Held>,
}

impl Writer {
    /// Appends the bytes in one piece.
    ///
    /// The kernel has them when this returns, so they outlive the process. What was appended is brought to stable storage
    /// by the first call that finds it a second old or 64 KiB long. No thread does it between calls: the end of a burst
    /// waits for the next call, or for the kernel (Linux writes it within about half a minute).
    pub fn append(&self, bytes: &[u8]) -> Result<()> {
        self.held.append(bytes)
    }

    /// Returns once all that was appended, and the journal's name, is on stable storage.
    pub fn sync(&self) -> Result<()> {
        self.held.sync()
    }

    /// Cuts the journal to this length, which is no longer than it is.
    pub fn truncate(&self, length: u64) -> Result<()> {
        self.held.truncate(length)
    }
}

/// A journal that this process holds. The file is never unlocked but only closed: an unlock would reach through to the
/// processes that inherited it.
#[derive(Debug)]
struct Held {
    file: File,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    unsynced: u64,
    synced_at: i64,
    /// Whether the folders on the way are known to be on stable storage.
    name_synced: bool,
    /// Where the journal ends if a torn append could not be cut off at once.
    torn_at: Option<u64>,
    /// A sync that went wrong behind an append; the kernel reports such an error once only, so it is kept for `sync`.
    sync_failure: Option<io::Error>,
}

impl Held {
    fn new(file: File, path: PathBuf) -> Self {
        let state =
            State { unsynced: 0, synced_at: milliseconds(), name_synced: false, torn_at: None, sync_failure: None };
        Self { file, path, state: Mutex::new(state) }
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        if let Some(length) = state.torn_at {
            self.cut(&mut state, length).map_err(|error| self.failure("mending", &error))?;
        }
        let written = loop {
            match (&self.file).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|error| self.failure("appending to", &error))?,
            }
        };
        if written < bytes.len() {
            return Err(self.take_back(&mut state, written));
        }
        state.unsynced += written as u64;
        let now = milliseconds();
        if state.unsynced >= SYNC_AFTER_BYTES || now - state.synced_at >= SYNC_AFTER_MILLISECONDS {
            // The bytes are appended, whatever comes of this: an error here would make the caller append them again.
            if let Err(error) = self.flush(&mut state, now) {
                state.sync_failure = Some(error);
            }
        }
        Ok(())
    }

    /// Cuts off what little of an append fitted; on a file of one writer that is its very end.
    fn take_back(&self, state: &mut State, written: usize) -> Error {
        let former = self.file.metadata().map(|found| found.len().saturating_sub(written as u64));
        if let Ok(length) = former {
            // If even this fails, the next append tries again before it writes anything.
            let _ = self.cut(state, length);
        }
        // No numbers: the same trouble has the same words, so that the user hears of it once.
        Error::NoSpace(format!("`{}` can't grow", self.path.display()))
    }

    fn cut(&self, state: &mut State, length: u64) -> io::Result<()> {
        state.torn_at = Some(length);
        self.file.set_len(length)?;
        state.torn_at = None;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state();
        let flushed = self.flush(&mut state, milliseconds());
        state.sync_failure.take().map_or(flushed, Err).map_err(|error| self.failure("syncing", &error))
    }

    fn flush(&self, state: &mut State, now: i64) -> io::Result<()> {
        // Even if it fails: a device that takes no syncs must not be asked at every append.
        state.synced_at = now;
        state.unsynced = 0;
        self.file.sync_data()?;
        if !state.name_synced {
            for folder in self.path.ancestors().skip(1).take(2) {
                present(sync_folder(folder))?;
            }
            state.name_synced = true;
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> Result<()> {
        let failed = |error: io::Error| self.failure("cutting", &error);
        let mut state = self.state();
        if length > self.file.metadata().map_err(failed)?.len() {
            return Err(Error::Other(format!("`{}` is shorter than {length} bytes", self.path.display())));
        }
        self.cut(&mut state, length).map_err(failed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, doing: &str, error: &io::Error) -> Error {
        Error::io(format_args!("{doing} `{}`", self.path.display()), error)
    }
}

/// Device and inode: whatever path leads to it.
type Key = (u64, u64);

/// The journals that this process holds, each with the process that registered it: after a fork they are the parent's.
type Registry = HashMap<Key, (u32, Weak<Held>)>;

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// The registry, unless it was locked at the time of the fork that made this process, for good. Without it a journal of our
/// own looks like anybody's, which costs a conflict and no more.
fn registry() -> Option<MutexGuard<'static, Option<Registry>>> {
    lock_patiently(&REGISTRY)
}

fn lock_patiently<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    for _ in 0..50 {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(Poisonable::Poisoned(guard)) => return Some(guard.into_inner()),
            Err(Poisonable::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

fn registered(key: Key) -> Option<Arc<Held>> {
    let registry = registry()?;
    let (process, held) = registry.as_ref()?.get(&key)?;
    if *process == std::process::id() { held.upgrade() } else { None }
}

fn register(key: Key, held: Held) -> Arc<Held> {
    let held = Arc::new(held);
    if let Some(mut registry) = registry() {
        let registry = registry.get_or_insert_default();
        registry.retain(|_, (_, held)| held.strong_count() > 0);
        registry.insert(key, (std::process::id(), Arc::downgrade(&held)));
    }
    held
}

fn key(file: &File) -> io::Result<Key> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}

fn make_locked(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create_new(true).open(path)?;
    match file.try_lock() {
        Err(TryLockError::Error(error)) if !lacks_locks(&error) => Err(error),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(file),
    }
}

fn lacks_locks(error: &io::Error) -> bool {
    Errno::from_io_error(error)
        .is_some_and(|error| [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS].contains(&error))
}

/// Whether a journal that no lock speaks for has been left alone for a day.
fn abandoned(found: &fs::Metadata) -> bool {
    found.modified().ok().and_then(|time| time.elapsed().ok()).is_some_and(|age| age > ABANDONED_AFTER)
}

/// Makes a folder and those above it, each known to the one that holds it after a power cut too.
fn make_durable_folder(folder: &Path) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).count();
    DirBuilder::new().recursive(true).create(folder)?;
    for parent in folder.ancestors().skip(1).take(missing) {
        sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Coarse is good enough, and a tenth of the price of exact.
fn milliseconds() -> i64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::MonotonicCoarse;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn check_id(id: &str) -> Result<()> {
    if is_id(id) { Ok(()) } else { Err(Error::Other(format!("`{}` is not an experiment's id", id.escape_debug()))) }
}

/// A UUID in lower case: nothing that could lead to another folder.
fn is_id(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(position, byte)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::env;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    const ID: &str = "0f6a1c1e-5b0e-4d6c-9a3f-0123456789ab";
    const OTHER: &str = "1f6a1c1e-5b0e-4d6c-9a3f-0123456789ab";

    fn journals() -> (tempfile::TempDir, Journals) {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::new(folder.path().join("aurum/runs"));
        (folder, journals)
    }

    fn names(journals: &Journals) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&journals.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn bytes_come_back_in_pieces() {
        let (folder, journals) = journals();
        assert!(journals.entries().unwrap().is_empty());
        assert!(journals.open(ID).unwrap().is_none());
        assert!(journals.read(ID, 0, 10).unwrap().is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "reading makes nothing");

        let writer = journals.create(ID).unwrap();
        writer.append(b"hello ").unwrap();
        writer.append(b"").unwrap();
        writer.append(b"world").unwrap();
        writer.sync().unwrap();
        assert_eq!(journals.read(ID, 0, 100).unwrap(), b"hello world");
        assert_eq!(journals.read(ID, 6, 3).unwrap(), b"wor");
        assert!(journals.read(ID, 11, 3).unwrap().is_empty());
        assert!(journals.read(ID, u64::MAX, u32::MAX).unwrap().is_empty());

        let entry = journals.entries().unwrap().pop().unwrap();
        assert_eq!((entry.id.as_str(), entry.held, entry.size), (ID, true, 11));
        assert!(entry.modified > 1_600_000_000_000);
        drop(writer);
        assert!(!journals.entries().unwrap()[0].held);
        assert_eq!(names(&journals), [ID], "no temporary is left");
    }

    #[test]
    fn one_answer_is_at_most_4_mib() {
        let (_folder, journals) = journals();
        let writer = journals.create(ID).unwrap();
        writer.append(&vec![7; 5 << 20]).unwrap();
        assert_eq!(journals.read(ID, 0, u32::MAX).unwrap().len(), 4 << 20);
    }

    #[test]
    fn a_torn_tail_is_cut_off() {
        let (_folder, journals) = journals();
        let writer = journals.create(ID).unwrap();
        writer.append(b"whole torn").unwrap();
        drop(writer);
        let writer = journals.open(ID).unwrap().unwrap();
        writer.truncate(6).unwrap();
        writer.append(b"again").unwrap();
        assert_eq!(journals.read(ID, 0, 100).unwrap(), b"whole again");
        assert!(writer.truncate(12).is_err(), "never longer");
    }

    #[test]
    fn an_id_is_taken_once() {
        let (_folder, journals) = journals();
        let _writer = journals.create(ID).unwrap();
        assert!(matches!(journals.create(ID), Err(Error::Conflict(_))));
        assert_eq!(names(&journals), [ID]);
        fs::create_dir(journals.folder.join(OTHER)).unwrap();
        journals.create(OTHER).unwrap();
    }

    #[test]
    fn of_many_creators_one_wins() {
        let (_folder, journals) = journals();
        let wins = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| journals.create(ID))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(Result::is_ok).count()
        });
        assert_eq!(wins, 1);
        assert_eq!(names(&journals), [ID]);
    }

    #[test]
    fn a_process_shares_what_it_holds() {
        let (_folder, journals) = journals();
        let first = journals.create(ID).unwrap();
        let second = Journals::new(journals.folder.join("../runs")).open(ID).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first.held, &second.held));
        first.append(b"a").unwrap();
        drop(first);
        second.append(b"b").unwrap();
        assert!(journals.entries().unwrap()[0].held);
        assert_eq!(journals.read(ID, 0, 9).unwrap(), b"ab");
    }

    #[test]
    fn after_a_fork_the_registry_is_the_parents() {
        let (_folder, journals) = journals();
        let writer = journals.create(ID).unwrap();
        let key = key(&writer.held.file).unwrap();
        assert!(registered(key).is_some());
        registry().unwrap().as_mut().unwrap().get_mut(&key).unwrap().0 += 1;
        assert!(registered(key).is_none());
        assert!(matches!(journals.open(ID), Err(Error::Conflict(_))));
    }

    #[test]
    fn a_lock_that_was_forked_away_is_given_up() {
        let mutex = Mutex::new(());
        let guard = mutex.lock().unwrap();
        assert!(lock_patiently(&mutex).is_none());
        drop(guard);
        assert!(lock_patiently(&mutex).is_some());
    }

    #[test]
    fn readers_never_cost_an_open() {
        let (_folder, journals) = journals();
        drop(journals.create(ID).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        journals.entries().unwrap();
                    }
                });
            }
            for _ in 0..200 {
                let opened = journals.open(ID);
                if opened.is_err() {
                    done.store(true, Ordering::Relaxed);
                }
                opened.unwrap().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn removal_takes_the_childrens_journals_along() {
        let (_folder, journals) = journals();
        let writer = journals.create(ID).unwrap();
        fs::write(journals.folder.join(ID).join("journal.1"), "x").unwrap();
        fs::write(journals.folder.join(ID).join("journal.23"), "x").unwrap();
        journals.remove(ID).unwrap();
        journals.remove(ID).unwrap();
        assert!(names(&journals).is_empty());
        assert!(journals.open(ID).unwrap().is_none(), "though it is still held");
        writer.append(b"x").unwrap();
        writer.sync().unwrap();
        drop(journals.create(ID).unwrap());
        fs::write(journals.folder.join(ID).join("keep"), "x").unwrap();
        journals.remove(ID).unwrap();
        assert!(journals.entries().unwrap().is_empty());
    }

    #[test]
    fn only_ids_are_ids() {
        let (_folder, journals) = journals();
        for id in ["", "..", "../../config", &ID.to_uppercase(), &ID[1..], &ID.replace('-', "0"), &format!("{ID}/")] {
            assert!(matches!(journals.create(id), Err(Error::Other(_))), "{id}");
            assert!(journals.open(id).is_err() && journals.read(id, 0, 1).is_err() && journals.remove(id).is_err());
        }
        drop(journals.create(ID).unwrap());
        fs::create_dir(journals.folder.join("new-something")).unwrap();
        fs::create_dir(journals.folder.join(OTHER)).unwrap();
        fs::write(journals.folder.join("file"), "").unwrap();
        assert_eq!(journals.entries().unwrap().len(), 1);
    }

    #[test]
    fn time_and_bytes_bring_a_sync() {
        let (_folder, journals) = journals();
        let writer = journals.create(ID).unwrap();
        writer.append(&[0; 1000]).unwrap();
        assert_eq!(writer.held.state().unsynced, 1000);
        writer.held.state().synced_at -= SYNC_AFTER_MILLISECONDS;
        writer.append(b"x").unwrap();
        assert_eq!(writer.held.state().unsynced, 0);
        assert!(writer.held.state().name_synced);
        writer.append(&[0; SYNC_AFTER_BYTES as usize]).unwrap();
        assert_eq!(writer.held.state().unsynced, 0);
        writer.held.state().sync_failure = Some(io::ErrorKind::Other.into());
        assert!(writer.sync().is_err(), "a failed sync behind an append is told");
        writer.sync().unwrap();
    }

    #[test]
    fn without_locks_a_day_decides() {
        let file = tempfile::tempfile().unwrap();
        assert!(!abandoned(&file.metadata().unwrap()));
        file.set_modified(SystemTime::now() - ABANDONED_AFTER - Duration::from_secs(60)).unwrap();
        assert!(abandoned(&file.metadata().unwrap()));
        assert!(lacks_locks(&Errno::NOLCK.into()));
        assert!(!lacks_locks(&Errno::IO.into()));
    }

    /// Runs `child` of this module in a process of its own.
    fn spawn(journals: &Journals, shell: &str) -> (Child, BufReader<std::process::ChildStdout>) {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("{shell} exec \"$0\" --ignored --exact --nocapture \"$1\"")])
            .arg(env::current_exe().unwrap())
            .arg(format!("{}::child", module_path!().split_once("::").unwrap().1))
            .env("AURUM_TEST_JOURNALS", &journals.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        (child, output)
    }

    fn wait_for(output: &mut BufReader<std::process::ChildStdout>, word: &str) -> String {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child says `{word}`");
        }
        line
    }

    #[test]
    #[ignore = "run in a process of its own by the tests below"]
    #[allow(clippy::print_stdout, reason = "how it tells its parent")]
    fn child() {
        let Some(folder) = env::var_os("AURUM_TEST_JOURNALS") else { return };
        let journals = Journals::new(folder.into());
        let writer = journals.create(OTHER).unwrap();
        writer.append(&[b'a'; 600]).unwrap();
        println!("\nfirst");
        let second = writer.append(&[b'b'; 2000]);
        println!("\nsecond {second:?}");
        let _ = io::stdin().read_line(&mut String::new());
    }

    #[test]
    fn another_process_holds_its_journal_until_it_dies() {
        let (_folder, journals) = journals();
        let (mut child, mut output) = spawn(&journals, "");
        wait_for(&mut output, "second Ok");
        let entry = journals.entries().unwrap().pop().unwrap();
        assert!(entry.held);
        assert!(matches!(journals.open(OTHER), Err(Error::Conflict(_))));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!journals.entries().unwrap()[0].held);
        assert_eq!(journals.read(OTHER, 0, 9999).unwrap().len(), 2600, "what was appended survives");
        assert!(journals.open(OTHER).unwrap().is_some());
    }

    #[test]
    fn a_short_write_leaves_nothing_behind() {
        let (_folder, journals) = journals();
        // 1024 or 2048 bytes, whatever the shell counts in.
        let (mut child, mut output) = spawn(&journals, "trap '' XFSZ; ulimit -f 2;");
        let told = wait_for(&mut output, "second");
        assert!(told.contains("Err(NoSpace("), "{told}");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(journals.read(OTHER, 0, 9999).unwrap(), [b'a'; 600]);
    }
}
