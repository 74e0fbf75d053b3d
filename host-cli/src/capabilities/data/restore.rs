//! Making what stands at a path what the store has.
//!
//! A folder is gone through beside its manifest, both in the same order: what only the folder has is removed, what only
//! the manifest has is made, and files that differ are replaced one by one.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::manifest::{self, Entry, Mode};
use super::parallel::each;
use super::place::{Spot, failed, make_folder, open_folder, stat};
use super::put::{Done, Job, link_target, missing, put};
use super::remove::remove_tree;
use super::stamp::Stamp;
use super::stat_cache::{FINE_MARGIN, StatCache, now};
use super::walk::Names;
use crate::capabilities::Result;
use crate::capabilities::store::{Hash, Store, digest_of};

/// How many files are written at once, and how many folders are held open for them.
const MOST_JOBS: usize = 1024;
const MOST_FOLDERS: usize = 64;
/// From how many bytes on waiting a moment is less than hashing them once more.
const WORTH_WAITING: u64 = 64 << 20;

/// Makes the path the file of that digest.
pub(super) fn restore_file(root: &Path, path: &str, digest: &str, store: &Store, cache: &mut StatCache) -> Result<()> {
    let content = store.open(digest)?.ok_or_else(|| missing(digest, path))?;
    let size = content.metadata().map_err(|error| store.failed("reading", &error))?.len();
    let spot = Spot::make(root, path)?;
    let there = spot.inspect()?.map(|(_, stat)| stat);
    // A digest says nothing of that.
    let executable = there.is_some_and(|there| mode_of(&there) == Some(Mode::Executable));
    let mode = if executable { Mode::Executable } else { Mode::File };
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let entry = Entry { path: path.to_owned(), mode, size, digest: Some(digest.to_owned()) };
    let mut restorer = Restorer::new(store, cache, path);
    restorer.file(&Arc::new(spot.folder), name, entry, there.as_ref())?;
    restorer.finish()
}

/// Makes the path the folder that a manifest describes, which was [checked](check).
pub(super) fn restore_folder(
    root: &Path,
    path: &str,
    digest: &str,
    store: &Store,
    cache: &mut StatCache,
) -> Result<()> {
    let entries = manifest::read(store, digest)?.ok_or_else(|| missing(digest, path))?;
    let spot = Spot::make(root, path)?;
    if spot.inspect()?.is_some_and(|(kind, _)| kind != FileType::Directory) {
        remove_tree(&spot.folder, &*spot.name, path)?;
    }
    make_folder(&spot.folder, &*spot.name).map_err(|error| failed("making the folder", path, error))?;
    let mut restorer = Restorer::new(store, cache, path);
    restorer.push(spot.open()?, String::new())?;
    for entry in entries {
        restorer.entry(entry?)?;
    }
    restorer.leave(0)?;
    restorer.finish()
}

/// Whether all that a manifest names is there, and nothing in it is hostile: before anything is touched.
pub(super) fn check(store: &Store, path: &str, digest: &str) -> Result<()> {
    for entry in manifest::read(store, digest)?.ok_or_else(|| missing(digest, path))? {
        let entry = entry?;
        let shown = format!("{path}/{}", entry.path);
        match &entry.digest {
            Some(_) if entry.mode == Mode::Link => drop(link_target(store, &entry, &shown)?),
            Some(digest) if !store.has_whole(digest, entry.size)? => return Err(missing(digest, &shown)),
            _ => {}
        }
    }
    Ok(())
}

struct Restorer<'a> {
    store: &'a Store,
    cache: &'a mut StatCache,
    shown: &'a str,
    /// The folders that it is in, outermost first.
    frames: Vec<Frame>,
    jobs: Vec<Job>,
    /// How many folders the jobs hold open.
    folders: usize,
    /// What was written, to be remembered.
    written: Vec<(Stamp, Hash)>,
}

struct Frame {
    folder: Arc<OwnedFd>,
    name: String,
    /// What was in there before.
    names: Names,
}

impl<'a> Restorer<'a> {
    fn new(store: &'a Store, cache: &'a mut StatCache, shown: &'a str) -> Self {
        Self { store, cache, shown, frames: Vec::new(), jobs: Vec::new(), folders: 0, written: Vec::new() }
    }

    /// Goes into a folder.
    fn push(&mut self, folder: OwnedFd, name: String) -> Result<()> {
        let names = Names::read(&folder).map_err(|error| failed("reading the folder", &self.show(&name), error))?;
        self.frames.push(Frame { folder: Arc::new(folder), name, names });
        Ok(())
    }

    /// Leaves folders until it is in that many, having removed what is left in each.
    fn leave(&mut self, depth: usize) -> Result<()> {
        while self.frames.len() > depth {
            while let Some(frame) = self.frames.last_mut() {
                let Some((name, _)) = frame.names.next() else { break };
                remove_tree(&frame.folder, name, &format!("{}/{}", self.shown, name.escape_ascii()))?;
            }
            self.frames.pop();
        }
        Ok(())
    }

    /// Comes to the next entry of the manifest.
    fn entry(&mut self, entry: Entry) -> Result<()> {
        let (folders, name) = entry.path.rsplit_once('/').map_or(("", &*entry.path), |(folders, name)| (folders, name));
        let parts: Vec<&str> = folders.split('/').filter(|part| !part.is_empty()).collect();
        let inside = self.frames.iter().skip(1).map(|frame| &*frame.name);
        let shared = inside.zip(&parts).take_while(|(one, other)| one == *other).count();
        self.leave(shared + 1)?;
        for part in &parts[shared..] {
            self.enter(part)?;
        }
        if entry.mode == Mode::Folder {
            self.enter(name)?;
            return self.leave(parts.len() + 1);
        }
        let there = self.reach(name)?;
        let name = name.to_owned();
        let Some(folder) = self.frames.last().map(|frame| Arc::clone(&frame.folder)) else { return Ok(()) };
        self.file(&folder, name, entry, there.as_ref())
    }

    /// Goes into a folder, which is made unless it is there.
    fn enter(&mut self, name: &str) -> Result<()> {
        let there = self.reach(name)?;
        let Some(frame) = self.frames.last() else { return Ok(()) };
        let making = |error: Errno| failed("making the folder", &self.show(name), error);
        if there.is_some_and(|there| FileType::from_raw_mode(there.st_mode) != FileType::Directory) {
            rustix::fs::unlinkat(&frame.folder, name, AtFlags::empty()).map_err(making)?;
        }
        make_folder(&frame.folder, name).map_err(making)?;
        let folder = open_folder(&frame.folder, name).map_err(making)?;
        self.push(folder, name.to_owned())
    }

    /// Removes what stands before a name, and answers what stands there under it.
    fn reach(&mut self, name: &str) -> Result<Option<Stat>> {
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        while let Some(there) = frame.names.peek().filter(|there| *there < name.as_bytes()) {
            remove_tree(&frame.folder, there, &format!("{}/{}", self.shown, there.escape_ascii()))?;
            frame.names.next();
        }
        if frame.names.peek() != Some(name.as_bytes()) {
            return Ok(None);
        }
        frame.names.next();
        let found = stat(&frame.folder, name).map_err(|error| failed("looking at", &self.show(name), error))?;
        Ok(Some(found))
    }

    /// Sees to a file or a link.
    fn file(&mut self, folder: &Arc<OwnedFd>, name: String, entry: Entry, there: Option<&Stat>) -> Result<()> {
        let mut alike = false;
        if let Some(there) = there {
            if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
                remove_tree(folder, &*name, &self.show(&name))?;
            }
            let stamp = Stamp::from(there);
            alike = mode_of(there) == Some(entry.mode) && entry.mode.is_file() && stamp.size == entry.size;
            if alike && let Some(hash) = self.cache.find(&stamp) {
                if Some(digest_of(&hash)) == entry.digest {
                    return Ok(());
                }
                alike = false;
            }
        }
        let shown = self.show(&name);
        if self.jobs.last().is_none_or(|last| !Arc::ptr_eq(&last.folder, folder)) {
            self.folders += 1;
        }
        self.jobs.push(Job { folder: Arc::clone(folder), name, shown, entry, alike });
        if self.jobs.len() >= MOST_JOBS || self.folders >= MOST_FOLDERS { self.work() } else { Ok(()) }
    }

    fn work(&mut self) -> Result<()> {
        self.folders = 0;
        let jobs = std::mem::take(&mut self.jobs);
        for done in each(&jobs, |job, buffer| put(self.store, job, buffer))? {
            match done {
                Done::Same(Some(read)) => self.cache.remember(&read.stamp, &read.value, read.moment),
                Done::Same(None) => {}
                Done::Put(written) => self.written.extend(written),
            }
        }
        Ok(())
    }

    /// Does what is left, and remembers what was written.
    ///
    /// Nobody else knew those files while they were hashed, so their digests hold from when they got their names on.
    /// But their times are those of now, and whoever changes one within the same tick of the clock would not be seen:
    /// this ends only when the tick is over, where that pays, or does not remember them.
    fn finish(mut self) -> Result<()> {
        self.work()?;
        let size: u64 = self.written.iter().map(|(stamp, _)| stamp.size).sum();
        let latest = self.written.iter().filter(|(stamp, _)| stamp.is_fine()).map(|(stamp, _)| stamp.settled()).max();
        let wait = latest.map_or(0, |latest| (latest - now()).clamp(0, FINE_MARGIN));
        if size >= WORTH_WAITING {
            thread::sleep(Duration::from_nanos(wait as u64));
        }
        let moment = now();
        for (stamp, hash) in &self.written {
            self.cache.remember(stamp, hash, moment);
        }
        Ok(())
    }

    /// How a name of the folder that it is in is called in errors.
    fn show(&self, name: &str) -> String {
        let folders = self.frames.iter().skip(1).map(|frame| &*frame.name);
        let parts: Vec<&str> = std::iter::once(self.shown).chain(folders).chain([name]).collect();
        if self.frames.is_empty() { self.shown.to_owned() } else { parts.join("/") }
    }
}

/// What a file is; none when it is something else.
fn mode_of(found: &Stat) -> Option<Mode> {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile if found.st_mode & 0o100 != 0 => Some(Mode::Executable),
        FileType::RegularFile => Some(Mode::File),
        _ => None,
    }
}
