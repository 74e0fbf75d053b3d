//! The journals of each experiment that is not saved yet: the run's own, and one of each child that takes part in it. Each is an
//! append-only file, locked by the process that writes it.
//!
//! The lock is the kernel's (`flock`), so it goes when the process does, however it dies. It belongs to the open file: a
//! forked child inherits it and keeps the journal held for as long as it lives. What stands in for it where a file system has no
//! locks is told in [`lock`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use self::lock::{Locks, Taken};
use self::registry::{Key, key, register, registered};
use self::writer::Held;
use super::settled::make_folder;
use super::sharing::share;
use super::{Error, Result};

mod lock;
mod registry;
#[cfg(test)]
mod tests;
mod writer;

pub use self::registry::quiet;
pub use self::writer::Writer;

/// The longest piece that is handed over at once.
const MAX_READ: u64 = 4 << 20;

/// A run that there are journals of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The experiment's id.
    pub id: String,
    /// Whether a living process holds any of them, this one included.
    pub held: bool,
    /// Bytes of all.
    pub size: u64,
    /// When one of them was last written, in milliseconds since 1970.
    pub modified: u64,
}

/// One journal of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// 0 for the run's own, else the child's number.
    pub number: u32,
    /// Whether a living process holds it, this one included.
    pub held: bool,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
}

/// The journals of a repository: `<folder>/<id>/journal`, and `journal.<n>` beside it.
#[derive(Clone, Debug)]
pub struct Journals {
    folder: PathBuf,
    locks: Locks,
}

impl Journals {
    /// Nothing is made or looked at before a journal is.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, locks: Locks::default() }
    }

    /// The runs that there are journals of, by id.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let failed = |error: io::Error| Error::io(format_args!("listing `{}`", self.folder.display()), &error);
        let Some(folders) = present(list(&self.folder)).map_err(failed)? else { return Ok(Vec::new()) };
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
        let parts = self.parts(&id)?;
        Ok(parts.iter().map(|part| part.modified).max().map(|modified| Entry {
            held: parts.iter().any(|part| part.held),
            size: parts.iter().map(|part| part.size).sum(),
            modified,
            id,
        }))
    }

    /// The journals of one run, by number; none without the run's own.
    pub fn parts(&self, id: &str) -> Result<Vec<Part>> {
        check_id(id)?;
        let Some(own) = self.part(id, 0)? else { return Ok(Vec::new()) };
        let mut parts = vec![own];
        for number in self.children(id)? {
            parts.extend(self.part(id, number)?);
        }
        parts.sort_unstable_by_key(|part| part.number);
        Ok(parts)
    }

    /// The numbers of the journals of a run's children.
    fn children(&self, id: &str) -> Result<Vec<u32>> {
        let failed = |error: io::Error| Error::io(format_args!("listing the journals of `{id}`"), &error);
        let files = present(list(&self.folder.join(id))).map_err(failed)?;
        let mut numbers = Vec::new();
        for file in files.into_iter().flatten() {
            let name = file.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("journal."));
            // The number as it is written by us: no sign, no zeros before it.
            let number = number.and_then(|text| text.parse().ok().filter(|number: &u32| number.to_string() == text));
            numbers.extend(number.filter(|number| *number > 0));
        }
        Ok(numbers)
    }

    fn part(&self, id: &str, number: u32) -> Result<Option<Part>> {
        let failed = |error: io::Error| Error::io(format_args!("looking at the journal of `{id}`"), &error);
        let Some(file) = present(File::open(self.journal(id, number))).map_err(failed)? else { return Ok(None) };
        let held = self.locks.is_held(&file).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        let modified = found.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |since| since.as_millis() as u64);
        Ok(Some(Part { number, held, size: found.len(), modified }))
    }

    /// At most `limit` bytes from `offset`, but never more than 4 MiB; empty at the end or without such a journal.
    pub fn read(&self, id: &str, number: u32, offset: u64, limit: u32) -> Result<Vec<u8>> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("reading the journal of `{id}`"), &error);
        let Some(file) = present(File::open(self.journal(id, number))).map_err(failed)? else { return Ok(Vec::new()) };
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

    /// Removes the journals of a run and their folder; what is not there is no error. Where a child holds one, or has one that is
    /// longer than is known of it, all stay, and the answer is false.
    pub fn remove(&self, id: &str, known: &[(u32, u64)]) -> Result<bool> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("removing the journal of `{id}`"), &error);
        let folder = self.folder.join(id);
        let Some(opened) = present(File::open(&folder)).map_err(failed)? else { return Ok(true) };
        let Some(gate) = lock::close_gate(opened) else { return Ok(false) };
        let children: Vec<Part> = self.parts(id)?.into_iter().filter(|part| part.number != 0).collect();
        let known = |number| known.iter().find(|(known, _)| *known == number).map_or(0, |(_, size)| *size);
        if children.iter().any(|part| part.held || part.size > known(part.number)) {
            return Ok(false);
        }
        let own = self.journal(id, 0);
        if let Some(held) = present(File::open(&own)).map_err(failed)?.and_then(|file| registered(key(&file).ok()?)) {
            held.let_go();
        }
        // The run's own comes last: without it nobody would look for the others.
        for part in children {
            present(fs::remove_file(self.journal(id, part.number))).map_err(failed)?;
        }
        present(fs::remove_file(own)).map_err(failed)?;
        drop(gate);
        match present(fs::remove_dir(&folder)) {
            // NFS keeps a file under another name until its last writer closes it. An empty run is not listed anyway.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(true),
            other => other.map(|_| true).map_err(failed),
        }
    }

    /// Makes the journal of a new run, held from the moment that others can see it; a conflict when there is one of that id.
    pub fn create(&self, id: &str) -> Result<Writer> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("making the journal of `{id}`"), &error);
        let taken = || Error::Conflict(format!("there is a journal of `{id}` already"));
        let path = self.journal(id, 0);
        if path.try_exists().map_err(failed)? {
            return Err(taken());
        }
        let temporary = self.make_temporary(id).map_err(failed)?;
        let file = self.make_locked(&temporary.join("journal"));
        // Fails on a folder with something in it, and takes the place of an empty one, which a removal left behind.
        let file = file.and_then(|file| fs::rename(&temporary, self.folder.join(id)).map(|()| file));
        let file = file.map_err(|error| {
            let _ = fs::remove_dir_all(&temporary);
            match error.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => taken(),
                _ => failed(error),
            }
        })?;
        let (file, taken) = file;
        self.hold(file, taken, path).map_err(failed)
    }

    /// A folder that no one takes for a journal's: ids have no such names.
    fn make_temporary(&self, id: &str) -> io::Result<PathBuf> {
        if !self.folder.is_dir() {
            make_folder(&self.folder)?;
        }
        loop {
            let path = self.folder.join(temporary_name(id));
            match fs::create_dir(&path) {
                Ok(()) => {
                    share(&path);
                    return Ok(path);
                }
                // A dead process of the same number left it behind.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes a journal for this process as a child of the run's, and says its number; none when there is no such run.
    pub fn join(&self, id: &str) -> Result<Option<(u32, Writer)>> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("joining the run `{id}`"), &error);
        let Some(folder) = present(File::open(self.folder.join(id))).map_err(failed)? else { return Ok(None) };
        let Some(gate) = lock::pass_gate(folder) else {
            return Err(Error::Conflict(format!("the run `{id}` is about to end")));
        };
        let mut number = self.children(id)?.into_iter().max().unwrap_or(0);
        let (path, (file, taken)) = loop {
            number = number.saturating_add(1);
            let path = self.journal(id, number);
            match self.make_locked(&path) {
                Ok(file) => break (path, file),
                // A sister was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => match present(other).map_err(failed)? {
                    Some(file) => break (path, file),
                    None => return Ok(None),
                },
            }
        };
        // Where folders can't be locked, the run may have ended in the meantime.
        if !self.journal(id, 0).try_exists().map_err(failed)? {
            present(fs::remove_file(&path)).map_err(failed)?;
            return Ok(None);
        }
        drop(gate);
        Ok(Some((number, self.hold(file, taken, path).map_err(failed)?)))
    }

    /// Takes over a journal that no living process holds, or shares the one that this very process holds; a conflict
    /// when another one does, none when there is no such journal.
    pub fn open(&self, id: &str, number: u32) -> Result<Option<Writer>> {
        check_id(id)?;
        let failed = |error: io::Error| Error::io(format_args!("opening the journal of `{id}`"), &error);
        let path = self.journal(id, number);
        // A reader that asks whether the journal is held locks it for some microseconds, and another thread of ours may
        // have locked it without having registered it yet: neither is worth a conflict.
        for patience in 0..16 {
            let opened = OpenOptions::new().read(true).append(true).open(&path);
            let Some(mut file) = present(opened).map_err(failed)? else { return Ok(None) };
            let mut key = key(&file).map_err(failed)?;
            if let Some(held) = registered(key) {
                return Ok(Some(Writer { held }));
            }
            let taken = self.locks.take(&file).map_err(failed)?;
            match taken {
                Taken::Locked => {}
                Taken::Abandoned => {
                    file = self.take_copy(&file, &path).map_err(failed)?;
                    key = registry::key(&file).map_err(failed)?;
                }
                Taken::Held => break,
                Taken::Refused => {
                    std::thread::sleep(Duration::from_millis(1 + patience / 3));
                    continue;
                }
            }
            // Whoever held it may have removed it in the meantime: then what was locked is a file without a name.
            if is_at(&path, key).map_err(failed)? {
                return Ok(Some(self.hold(file, taken, path).map_err(failed)?));
            }
        }
        Err(Error::Conflict(format!("another process holds the journal of `{id}`")))
    }

    /// Puts a copy in the place of a journal whose process seems to be dead. If it is not, it goes on in a file that nobody else
    /// writes to, and notices at its next sync.
    fn take_copy(&self, file: &File, path: &Path) -> io::Result<File> {
        let folder = path.parent().unwrap_or(&self.folder);
        let (temporary, copy) = writer::copy(file, folder, &self.locks)?;
        // The time of the last sign of life is known by it alone.
        copy.set_modified(file.metadata()?.modified()?)?;
        fs::rename(temporary, path)?;
        Ok(copy)
    }

    fn hold(&self, file: File, taken: Taken, path: PathBuf) -> io::Result<Writer> {
        let key = key(&file)?;
        let held = Held::new(file, taken, path, self.locks);
        register(key, &held);
        Ok(Writer { held })
    }

    fn make_locked(&self, path: &Path) -> io::Result<(File, Taken)> {
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(path)?;
        share(path);
        match self.locks.take(&file)? {
            Taken::Refused => Err(io::ErrorKind::WouldBlock.into()),
            taken => Ok((file, taken)),
        }
    }

    fn journal(&self, id: &str, number: u32) -> PathBuf {
        let folder = self.folder.join(id);
        if number == 0 { folder.join("journal") } else { folder.join(format!("journal.{number}")) }
    }
}

/// A name that is nobody else's.
fn temporary_name(of: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("new-{of}-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Whether the path leads to this very file.
fn is_at(path: &Path, key: Key) -> io::Result<bool> {
    Ok(present(fs::metadata(path))?.is_some_and(|found| (found.dev(), found.ino()) == key))
}

/// The standard library tries most calls again that a signal interrupts, but not this one.
fn list(folder: &Path) -> io::Result<fs::ReadDir> {
    loop {
        match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
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
