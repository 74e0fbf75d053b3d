//! What is in a folder, in the order of its manifest, in batches: memory does not grow with the folder.

use std::iter;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::MAX_DEPTH;
use super::manifest::Mode;
use super::parallel::each;
use super::place::{Spot, failed, no_data, open_folder, stat};
use super::stamp::Stamp;
use crate::capabilities::paths::check_path;
use crate::capabilities::{Error, Result};

/// How much is worked on at once.
const MOST_FOUND: u64 = 4096;
/// How many a thread looks at before it asks for more: a few are not worth a second thread.
const AT_ONCE: usize = 128;
/// A batch holds the folders of its files open, of which a process may have 256 on some systems; two batches may be under way.
const MOST_FOLDERS: usize = 48;

/// A file, a link or an empty folder.
#[derive(Debug)]
pub(super) struct Found {
    /// Relative to the folder that was walked.
    pub(super) path: String,
    pub(super) mode: Mode,
    pub(super) stamp: Stamp,
    /// The folder that it is in.
    pub(super) folder: Arc<OwnedFd>,
}

impl Found {
    pub(super) fn name(&self) -> &str {
        name_in(&self.path)
    }
}

/// The walk through a folder.
#[derive(Debug)]
pub(super) struct Walk {
    /// The folders that it is in, outermost first.
    frames: Vec<Frame>,
    /// The path of the innermost, with a slash at its end unless it is empty.
    prefix: String,
    /// How the folder is called in errors.
    shown: String,
    /// Whether a folder that changes meanwhile is an error.
    strict: bool,
}

/// What comes next. Most need not be looked at to go on, which can be done for many at once then.
struct Met {
    path: String,
    /// The folder that it is in.
    folder: Arc<OwnedFd>,
    seen: Option<(Mode, Stamp)>,
}

#[derive(Debug)]
struct Frame {
    folder: Arc<OwnedFd>,
    names: Names,
    /// How long the prefix is without this folder's name.
    outer: usize,
    /// As the folder was before its names were read.
    stamp: Stamp,
}

impl Walk {
    /// Begins with the folder that stands there.
    pub(super) fn new(spot: &Spot) -> Result<Self> {
        let folder = spot.open()?;
        let frame = Frame::new(folder, 0).map_err(|error| failed("reading the folder", &spot.shown, error))?;
        Ok(Self { frames: vec![frame], prefix: String::new(), shown: spot.shown.clone(), strict: false })
    }

    /// The same for who keeps what is found: files that come or go meanwhile would make it a state that never was.
    pub(super) fn strict(spot: &Spot) -> Result<Self> {
        Ok(Self { strict: true, ..Self::new(spot)? })
    }

    /// The next ones, at most so many; none at the end.
    pub(super) fn batch(&mut self, most: u64) -> Result<Vec<Found>> {
        let most = most.min(MOST_FOUND) as usize;
        let mut met: Vec<Met> = Vec::new();
        let mut folders = 0;
        while met.len() < most && folders < MOST_FOLDERS {
            let Some(next) = self.advance()? else { break };
            if met.last().is_none_or(|last| !Arc::ptr_eq(&last.folder, &next.folder)) {
                folders += 1;
            }
            met.push(next);
        }
        let chunks: Vec<_> = met.chunks(AT_ONCE).collect();
        let seen = each(&chunks, |chunk, _| chunk.iter().map(|met| self.see(met)).collect::<Result<Vec<_>>>())?;
        let found = met.into_iter().zip(seen.into_iter().flatten());
        Ok(found.map(|(Met { path, folder, .. }, (mode, stamp))| Found { path, mode, stamp, folder }).collect())
    }

    fn see(&self, met: &Met) -> Result<(Mode, Stamp)> {
        match met.seen {
            Some(seen) => Ok(seen),
            None => match look(&self.shown, &met.path, &met.folder)? {
                // It was none when the names were read.
                (Mode::Folder, _) => Err(changes(&self.show(&met.path))),
                seen => Ok(seen),
            },
        }
    }

    /// Lets `work` have all batches, in their order, and looks for the next one meanwhile. Ends with the first failure.
    pub(super) fn ahead(mut self, mut work: impl FnMut(Vec<Found>) -> Result<()>) -> Result<()> {
        // Nothing waits in between: it would hold more folders open.
        let (sender, batches) = mpsc::sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(move || {
                let next = || self.batch(u64::MAX).map(|batch| (!batch.is_empty()).then_some(batch)).transpose();
                for batch in iter::from_fn(next) {
                    let failed = batch.is_err();
                    // Nobody receives any more once the work has failed.
                    if sender.send(batch).is_err() || failed {
                        break;
                    }
                }
            });
            batches.into_iter().try_for_each(|batch| work(batch?))
        })
    }

    /// How something that was found is called in errors.
    pub(super) fn show(&self, path: &str) -> String {
        show(&self.shown, path)
    }

    fn advance(&mut self) -> Result<Option<Met>> {
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(None) };
            let Some((name, kind)) = frame.names.next() else {
                if self.strict && stamp(&frame.folder).ok() != Some(frame.stamp) {
                    return Err(changes(&format!("{}/{}", self.shown, self.prefix)));
                }
                self.prefix.truncate(frame.outer);
                self.frames.pop();
                continue;
            };
            let name = check_name(name, &self.prefix, &self.shown)?;
            let path = format!("{}{name}", self.prefix);
            let folder = Arc::clone(&frame.folder);
            let mut met = Met { path, folder, seen: None };
            if matches!(kind, FileType::Directory | FileType::Unknown) {
                let seen = look(&self.shown, &met.path, &met.folder)?;
                if seen.0 == Mode::Folder && !self.enter(&met)? {
                    continue;
                }
                met.seen = Some(seen);
            }
            return Ok(Some(met));
        }
    }

    /// Goes on with a folder, unless it is empty, which it answers.
    fn enter(&mut self, met: &Met) -> Result<bool> {
        if self.frames.len() > MAX_DEPTH {
            return Err(Error::Other(format!("`{}` is in more than {MAX_DEPTH} folders", self.show(&met.path))));
        }
        let read = || Frame::new(open_folder(&met.folder, name_in(&met.path))?, self.prefix.len());
        let frame = read().map_err(|error| failed("reading the folder", &self.show(&met.path), error))?;
        if frame.names.is_empty() {
            return Ok(true);
        }
        self.frames.push(frame);
        self.prefix.clone_from(&met.path);
        self.prefix.push('/');
        Ok(false)
    }
}

impl Frame {
    fn new(folder: OwnedFd, outer: usize) -> Result<Self, Errno> {
        let stamp = stamp(&folder)?;
        let names = Names::read(&folder)?;
        Ok(Self { folder: Arc::new(folder), names, outer, stamp })
    }
}

/// Looks at what a folder names.
fn look(shown: &str, path: &str, folder: &OwnedFd) -> Result<(Mode, Stamp)> {
    let name = name_in(path);
    let stat = stat(folder, name).map_err(|error| match error {
        // It was there when the names were read.
        Errno::NOENT => changes(&show(shown, path.strip_suffix(name).unwrap_or(""))),
        error => failed("looking at", &show(shown, path), error),
    })?;
    let mode = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_mode & 0o100 != 0 => Mode::Executable,
        FileType::RegularFile => Mode::File,
        FileType::Symlink => Mode::Link,
        FileType::Directory => Mode::Folder,
        _ => return Err(no_data(&show(shown, path))),
    };
    Ok((mode, Stamp::from(&stat)))
}

fn name_in(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn stamp(folder: &OwnedFd) -> Result<Stamp, Errno> {
    rustix::fs::fstat(folder).map(|found| Stamp::from(&found))
}

fn changes(folder: &str) -> Error {
    Error::Other(format!("`{}` changes while it is read", folder.trim_end_matches('/')))
}

/// How something in the folder that is called so is called in errors.
pub(super) fn show(shown: &str, path: &str) -> String {
    format!("{shown}/{path}")
}

/// Refuses names that no manifest can have.
fn check_name<'n>(name: &'n [u8], prefix: &str, shown: &str) -> Result<&'n str> {
    let Ok(text) = std::str::from_utf8(name) else {
        let name = name.escape_ascii();
        return Err(Error::Other(format!("the name of `{shown}/{prefix}{name}` is not UTF-8, and can't be recorded")));
    };
    // The name alone is enough for most; only at the beginning of a path would `c:x` be one of Windows.
    if check_path(text).is_err() && (prefix.is_empty() || check_path(&format!("{prefix}{text}")).is_err()) {
        return Err(Error::Other(format!("`{shown}/{prefix}{text}` has a name that data can't have")));
    }
    Ok(text)
}

/// The names within a folder, sorted as bytes. One after another in one piece of memory: there may be millions.
#[derive(Debug)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each begins and ends, and what the folder says that it is.
    ranges: Vec<(u32, u32, FileType)>,
    next: usize,
}

impl Names {
    pub(super) fn read(folder: &OwnedFd) -> Result<Self, rustix::io::Errno> {
        let mut bytes = Vec::new();
        let mut ranges = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let start = bytes.len() as u32;
            bytes.extend_from_slice(name);
            // 4 GiB of names within one folder.
            let end = u32::try_from(bytes.len()).map_err(|_| rustix::io::Errno::OVERFLOW)?;
            ranges.push((start, end, entry.file_type()));
        }
        ranges.sort_unstable_by(|one, other| slice(&bytes, *one).cmp(slice(&bytes, *other)));
        Ok(Self { bytes, ranges, next: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The one that comes next, which stays the next.
    pub(super) fn peek(&self) -> Option<&[u8]> {
        self.ranges.get(self.next).map(|range| slice(&self.bytes, *range))
    }

    /// The next one, and what the folder says that it is, which file systems need not.
    pub(super) fn next(&mut self) -> Option<(&[u8], FileType)> {
        let range = *self.ranges.get(self.next)?;
        self.next += 1;
        Some((slice(&self.bytes, range), range.2))
    }
}

fn slice(bytes: &[u8], (start, end, _): (u32, u32, FileType)) -> &[u8] {
    &bytes[start as usize..end as usize]
}
