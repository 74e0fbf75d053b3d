//! Appending to a journal, and bringing it to stable storage.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use super::lock::{Heartbeat, Locks, Taken};
use super::registry::{key, register};
use super::{is_at, present, temporary_name};
use crate::capabilities::settled::sync_names;
use crate::capabilities::sharing::share;
use crate::capabilities::{Error, Result};

/// What may be lost to a power cut, in time and in bytes.
pub(super) const SYNC_AFTER_MILLISECONDS: i64 = 1000;
const SYNC_AFTER: Duration = Duration::from_millis(SYNC_AFTER_MILLISECONDS.unsigned_abs());
pub(super) const SYNC_AFTER_BYTES: u64 = 64 << 10;

/// The right to write a journal. The journal is held until the last writer of it in this process is dropped.
///
/// A forked child has no use for it: it opens a journal of its own.
#[derive(Debug)]
pub struct Writer {
    pub(super) held: Arc<Held>,
}

impl Writer {
    /// Appends the bytes in one piece.
    ///
    /// The kernel has them when this returns, so they outlive the process. What was appended is brought to stable storage
    /// by the first call that finds it a second old or 64 KiB long, and where no such call comes, by a thread that lives until
    /// then: the system itself might wait for half a minute.
    pub fn append(&self, bytes: &[u8]) -> Result<()> {
        self.held.append(bytes)
    }

    /// Returns once all that was appended, and the journal's name, is on stable storage. Where somebody else has removed the
    /// journal, or works on a copy of it, it is made anew.
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
pub(super) struct Held {
    path: PathBuf,
    locks: Locks,
    state: Mutex<State>,
    _heartbeat: Option<Heartbeat>,
    /// Itself, for the registry.
    own: Weak<Self>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) file: File,
    pub(super) unsynced: u64,
    pub(super) synced_at: i64,
    /// The thread that will sync what no call does.
    pub(super) watcher: Option<Watcher>,
    /// Whether it does so right now.
    syncing: bool,
    /// Whether the folders on the way are known to be on stable storage.
    pub(super) name_synced: bool,
    /// Whether this process has removed the journal itself.
    let_go: bool,
    /// Where the journal ends if a torn append could not be cut off at once.
    torn_at: Option<u64>,
    /// A sync that went wrong behind an append; the kernel reports such an error once only, so it is kept for `sync`.
    pub(super) sync_failure: Option<io::Error>,
}

impl Held {
    pub(super) fn new(file: File, taken: Taken, path: PathBuf, locks: Locks) -> Arc<Self> {
        Arc::new_cyclic(|own: &Weak<Self>| {
            let living = own.clone();
            let heartbeat = locks.keep_alive(taken, move || {
                if let Some(held) = living.upgrade() {
                    held.give_sign_of_life();
                }
            });
            let state = State {
                file,
                unsynced: 0,
                synced_at: milliseconds(),
                watcher: None,
                syncing: false,
                name_synced: false,
                let_go: false,
                torn_at: None,
                sync_failure: None,
            };
            Self { path, locks, state: Mutex::new(state), _heartbeat: heartbeat, own: own.clone() }
        })
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        if let Some(length) = state.torn_at {
            state.cut(length).map_err(|error| self.failure("mending", &error))?;
        }
        let written = loop {
            match (&state.file).write(bytes) {
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
        } else if state.watcher.is_none() {
            // Without a thread it is as it would be without this: the next call or the system does it.
            state.watcher = watch(self.own.clone()).ok();
        }
        Ok(())
    }

    /// Syncs what is a second old. False once there is nothing left to wait for.
    fn settle(&self) -> bool {
        let mut state = self.state();
        if state.unsynced == 0 {
            // In the meantime there may be another.
            let is_own = |watcher: &Watcher| watcher.thread.thread().id() == thread::current().id();
            drop(state.watcher.take_if(|watcher| is_own(watcher)));
            return false;
        }
        let now = milliseconds();
        if now - state.synced_at >= SYNC_AFTER_MILLISECONDS
            && let Ok(file) = state.file.try_clone()
        {
            (state.synced_at, state.unsynced, state.syncing) = (now, 0, true);
            // Nobody who logs meanwhile waits for the disk.
            drop(state);
            let synced = file.sync_data();
            state = self.state();
            state.syncing = false;
            state.sync_failure = state.sync_failure.take().or(synced.err());
        }
        true
    }

    /// Ends the thread, after what it was there for.
    pub(super) fn quiet(&self) {
        let watcher = self.state().watcher.take();
        if let Some(Watcher { stop, thread }) = watcher {
            drop(stop);
            // It does not panic, and if it did, that would be no reason to.
            let _ = thread.join();
        }
        let mut state = self.state();
        if state.unsynced > 0
            && let Err(error) = self.flush(&mut state, milliseconds())
        {
            state.sync_failure = Some(error);
        }
    }

    /// Cuts off what little of an append fitted; on a file of one writer that is its very end.
    fn take_back(&self, state: &mut State, written: usize) -> Error {
        let former = state.file.metadata().map(|found| found.len().saturating_sub(written as u64));
        if let Ok(length) = former {
            // If even this fails, the next append tries again before it writes anything.
            let _ = state.cut(length);
        }
        // No numbers: the same trouble has the same words, so that the user hears of it once.
        Error::NoSpace(format!("`{}` can't grow", self.path.display()))
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state();
        // What goes wrong there is told to that call alone.
        while state.syncing {
            drop(state);
            thread::sleep(Duration::from_millis(1));
            state = self.state();
        }
        let flushed = self.flush(&mut state, milliseconds());
        state.sync_failure.take().map_or(flushed, Err).map_err(|error| self.failure("syncing", &error))
    }

    fn flush(&self, state: &mut State, now: i64) -> io::Result<()> {
        // Even if it fails: a device that takes no syncs must not be asked at every append.
        state.synced_at = now;
        state.unsynced = 0;
        state.file.sync_data()?;
        if !state.let_go && !is_at(&self.path, key(&state.file)?)? {
            self.make_anew(state)?;
        }
        if !state.name_synced {
            // The run's, that of all runs, Aurum's, and git's.
            present(sync_names(&self.path, 4))?;
            state.name_synced = true;
        }
        Ok(())
    }

    /// Puts the journal back under its name: somebody took this process for dead, and has removed it, or works on a copy of it.
    fn make_anew(&self, state: &mut State) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // The folder of all runs is nobody's to remove: where it is gone, so is the repository.
        match fs::create_dir(folder) {
            Ok(()) => share(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let (temporary, file) = copy(&state.file, folder, &self.locks)?;
        fs::rename(temporary, &self.path)?;
        if let Some(own) = self.own.upgrade() {
            register(key(&file)?, &own);
        }
        state.file = file;
        state.name_synced = false;
        Ok(())
    }

    fn truncate(&self, length: u64) -> Result<()> {
        let failed = |error: io::Error| self.failure("cutting", &error);
        let mut state = self.state();
        if length > state.file.metadata().map_err(failed)?.len() {
            return Err(Error::Other(format!("`{}` is shorter than {length} bytes", self.path.display())));
        }
        state.cut(length).map_err(failed)
    }

    /// This process removes the journal: it is not to be made anew.
    pub(super) fn let_go(&self) {
        self.state().let_go = true;
    }

    fn give_sign_of_life(&self) {
        // Where that fails, an append tells why.
        let _ = self.state().file.set_modified(SystemTime::now());
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, doing: &str, error: &io::Error) -> Error {
        Error::io(format_args!("{doing} `{}`", self.path.display()), error)
    }
}

impl State {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.torn_at = Some(length);
        self.file.set_len(length)?;
        self.torn_at = None;
        Ok(())
    }
}

/// A thread that syncs the end of a burst, and goes once its other end is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

/// Starts one. It touches nothing but the journal, and a forked child, which is without it, has a journal of its own.
fn watch(held: Weak<Held>) -> io::Result<Watcher> {
    let (stop, stopped) = mpsc::channel();
    let live = move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(SYNC_AFTER) {
            match held.upgrade() {
                Some(held) if held.settle() => {}
                _ => return,
            }
        }
    };
    let thread = thread::Builder::new().name("aurum-journal".to_owned()).stack_size(128 << 10).spawn(live)?;
    Ok(Watcher { stop, thread })
}

/// Copies a journal to a new file of the folder, which is locked and on stable storage; it has no name of a journal yet.
pub(super) fn copy(file: &File, folder: &Path, locks: &Locks) -> io::Result<(PathBuf, File)> {
    let path = folder.join(temporary_name("journal"));
    let mut copy = OpenOptions::new().read(true).append(true).create_new(true).open(&path)?;
    share(&path);
    let mut fill = || -> io::Result<()> {
        if locks.take(&copy)? == Taken::Refused {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (mut at, mut piece) = (0, vec![0; 256 << 10]);
        loop {
            match file.read_at(&mut piece, at) {
                Ok(0) => break,
                Ok(count) => {
                    copy.write_all(&piece[..count])?;
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        copy.sync_all()
    };
    match fill() {
        Ok(()) => Ok((path, copy)),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
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
