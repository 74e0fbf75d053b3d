//! Who is alive: the kernel's locks, and what stands in for them where there are none.
//!
//! Some file systems have no locks. There a writer gives a sign of life each hour, which takes a thread, since the script may be
//! silent for days; and a journal without one for a day is taken to be nobody's. That can be wrong: of a process that was stopped
//! or of a computer that was asleep. So whoever takes such a journal over works on a copy, and a process that wakes up makes its own
//! journal anew.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

type TryLock = fn(&File) -> Result<(), TryLockError>;

/// How journals are locked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Locks {
    pub(super) exclusive: TryLock,
    pub(super) shared: TryLock,
    /// Without locks, the time between two signs of life.
    pub(super) beat: Duration,
    /// Without locks, a journal that rested for so long is nobody's.
    pub(super) abandoned_after: Duration,
}

impl Default for Locks {
    fn default() -> Self {
        Self {
            exclusive: |file| uninterrupted(file, File::try_lock),
            shared: |file| uninterrupted(file, File::try_lock_shared),
            beat: Duration::from_secs(60 * 60),
            abandoned_after: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// A signal that comes meanwhile, as where a lock is another computer's to give, is no answer.
fn uninterrupted(file: &File, lock: TryLock) -> Result<(), TryLockError> {
    loop {
        match lock(file) {
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// What came of taking a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is locked now.
    Locked,
    /// Somebody has locked it.
    Refused,
    /// There are no locks here, and it was written to not long ago.
    Held,
    /// There are no locks here, and it has rested for long.
    Abandoned,
}

impl Locks {
    pub(super) fn take(&self, file: &File) -> io::Result<Taken> {
        match (self.exclusive)(file) {
            Ok(()) => Ok(Taken::Locked),
            Err(TryLockError::WouldBlock) => Ok(Taken::Refused),
            Err(TryLockError::Error(error)) if lacks_locks(&error) => {
                Ok(if self.is_abandoned(file)? { Taken::Abandoned } else { Taken::Held })
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether a living process holds the journal.
    pub(super) fn is_held(&self, file: &File) -> io::Result<bool> {
        match (self.shared)(file) {
            Ok(()) => {
                // Not by closing it alone: another thread may have forked in between.
                file.unlock()?;
                Ok(false)
            }
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) if lacks_locks(&error) => Ok(!self.is_abandoned(file)?),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn is_abandoned(&self, file: &File) -> io::Result<bool> {
        let rested = file.metadata()?.modified()?.elapsed();
        Ok(rested.is_ok_and(|rested| rested > self.abandoned_after))
    }

    /// Has a thread give signs of life for as long as what this returns exists, where the kernel does not tell. Where no thread can
    /// be had, there are those of the writer alone.
    pub(super) fn keep_alive(&self, taken: Taken, beat: impl Fn() + Send + 'static) -> Option<Heartbeat> {
        if taken == Taken::Locked {
            return None;
        }
        let (stop, stopped) = channel();
        let every = self.beat;
        let thread = thread::Builder::new().name("aurum-heartbeat".to_owned()).spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                beat();
            }
        });
        thread.ok().map(|_| Heartbeat { _stop: stop })
    }
}

/// Signs of life, until this is dropped.
#[derive(Debug)]
pub(super) struct Heartbeat {
    _stop: Sender<()>,
}

pub(super) fn lacks_locks(error: &io::Error) -> bool {
    Errno::from_io_error(error)
        .is_some_and(|error| [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS].contains(&error))
}

/// The lock of a run's folder: as many children as like pass, or it is closed while the run's journals are removed.
#[derive(Debug)]
pub(super) struct Gate(File);

impl Drop for Gate {
    fn drop(&mut self) {
        // Not by closing it alone: another thread may have forked in between. Where it can't be locked, this fails, too.
        let _ = self.0.unlock();
    }
}

/// Keeps the folder from being removed while a child's journal is made in it. None where it is being removed for so long that
/// something is amiss.
pub(super) fn pass_gate(folder: File) -> Option<Gate> {
    gate(folder, File::try_lock_shared)
}

/// Keeps children from joining. None where one of them has been at it for so long that something is amiss.
pub(super) fn close_gate(folder: File) -> Option<Gate> {
    gate(folder, File::try_lock)
}

fn gate(folder: File, lock: TryLock) -> Option<Gate> {
    for _ in 0..100 {
        match lock(&folder) {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            // Some file systems lock no folders: then a child looks once more whether the run is still there.
            Ok(()) | Err(TryLockError::Error(_)) => return Some(Gate(folder)),
        }
    }
    None
}
