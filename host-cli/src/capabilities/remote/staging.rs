//! Where downloads lie until they are whole: `.git/aurum/downloads/<address>`, so that one that was cut short, by a fault or by
//! its user, is gone on with by the next call.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::pieces::Item;
use super::{Error, Result};
use crate::capabilities::sharing::create_dir_all;
use crate::capabilities::store::hexadecimal;

/// What nobody went on with for so long is cleared.
const KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Downloads of one address at a time.
const MOST_AT_ONCE: u32 = 16;

/// How far a piece is. What comes later counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::capabilities) struct Step {
    path: String,
    size: Option<u64>,
    version: Option<String>,
    modified: Option<String>,
    begin: u64,
    reached: u64,
}

impl Step {
    pub(in crate::capabilities) fn new(item: &Item, begin: u64, reached: u64) -> Self {
        let Item { path, size, version, modified, .. } = item.clone();
        Self { path, size, version, modified, begin, reached }
    }

    fn is_of(&self, item: &Item) -> bool {
        let Self { path, size, version, modified, .. } = self;
        *path == item.path && *size == item.size && *version == item.version && *modified == item.modified
    }
}

/// A place for one download, which is this process's alone.
pub(in crate::capabilities) struct Staging {
    folder: PathBuf,
    /// Locked while it is written.
    journal: Mutex<File>,
    /// What an earlier call left, by the path within it.
    known: HashMap<String, Vec<Step>>,
    /// Its last one.
    last: Option<Step>,
    /// Whether what was written counts only once it is on stable storage: then it can't be told whether power was cut since.
    careful: bool,
}

impl Staging {
    /// The place for what an address leads to.
    pub(in crate::capabilities) fn begin(downloads: &Path, address: &str) -> Result<Self> {
        let failed = |error: io::Error| Error::io(format_args!("making room in `{}`", downloads.display()), &error);
        create_dir_all(downloads).map_err(failed)?;
        clear(downloads);
        let name = hexadecimal(&Sha256::digest(address))[..32].to_owned();
        for number in 0..MOST_AT_ONCE {
            let folder = downloads.join(if number == 0 { name.clone() } else { format!("{name}-{number}") });
            fs::create_dir_all(&folder).map_err(failed)?;
            let journal = folder.join("journal");
            let file = OpenOptions::new().read(true).append(true).create(true).open(&journal).map_err(failed)?;
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            // Somebody may have cleared it before it was locked, and somebody else have made it anew.
            let is_locked = |found: fs::Metadata| file.metadata().is_ok_and(|locked| locked.ino() == found.ino());
            if !fs::metadata(&journal).is_ok_and(is_locked) {
                continue;
            }
            let boot = boot();
            let text = fs::read_to_string(&journal).unwrap_or_default();
            let mut lines = text.lines();
            let trusted = lines.next() == Some(boot.as_deref().unwrap_or("careful"));
            // The last line may be torn.
            let steps: Vec<Step> =
                if trusted { lines.filter_map(|line| serde_json::from_str(line).ok()).collect() } else { Vec::new() };
            let last = steps.last().cloned();
            let mut known: HashMap<String, Vec<Step>> = HashMap::new();
            steps.into_iter().for_each(|step| known.entry(step.path.clone()).or_default().push(step));
            let staging = Self { folder, journal: Mutex::new(file), known, last, careful: boot.is_none() };
            if !trusted {
                staging.forget().map_err(failed)?;
            }
            return Ok(staging);
        }
        Err(Error::Other(format!("it is being downloaded {MOST_AT_ONCE} times already")))
    }

    /// Begins anew.
    fn forget(&self) -> io::Result<()> {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        remove(&self.content());
        journal.set_len(0)?;
        let boot = boot();
        (&*journal).write_all(format!("{}\n", boot.as_deref().unwrap_or("careful")).as_bytes())
    }

    /// Where the file or folder comes to be.
    pub(in crate::capabilities) fn content(&self) -> PathBuf {
        self.folder.join("content")
    }

    fn place(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.content() } else { self.content().join(path) }
    }

    /// Makes a folder of it, however empty.
    pub(in crate::capabilities) fn make_folder(&self) -> Result<()> {
        let content = self.content();
        if fs::symlink_metadata(&content).is_ok_and(|found| !found.is_dir()) {
            remove(&content);
        }
        fs::create_dir_all(&content).map_err(|error| self.failed(&error))
    }

    /// Makes the file, with the folders it is in; a path that ends in a slash is a folder.
    pub(in crate::capabilities) fn make(&self, path: &str) -> Result<()> {
        let place = self.place(path);
        let made = if path.ends_with('/') {
            fs::create_dir_all(&place)
        } else {
            let folder = place.parent().map_or(Ok(()), fs::create_dir_all);
            if path.is_empty() && place.is_dir() {
                remove(&place);
            }
            folder.and_then(|()| OpenOptions::new().write(true).create(true).truncate(false).open(&place).map(drop))
        };
        made.map_err(|error| self.failed(&error))
    }

    pub(in crate::capabilities) fn open(&self, path: &str) -> Result<File> {
        OpenOptions::new().read(true).write(true).open(self.place(path)).map_err(|error| self.failed(&error))
    }

    /// Makes the file so long, if it is not.
    pub(in crate::capabilities) fn resize(&self, path: &str, size: u64) -> Result<()> {
        let place = self.place(path);
        let resize = || match fs::metadata(&place)?.len() {
            length if length == size => Ok(()),
            _ => OpenOptions::new().write(true).open(&place)?.set_len(size),
        };
        resize().map_err(|error| self.failed(&error))
    }

    /// How far the item's pieces were brought, by where they begin: of this very version, unless another was begun after it.
    pub(in crate::capabilities) fn steps(&self, item: &Item) -> HashMap<u64, u64> {
        if item.version.is_none() && item.modified.is_none() {
            return HashMap::new();
        }
        let steps = self.known.get(&item.path).into_iter().flatten().rev();
        let own: Vec<_> = steps.take_while(|step| step.is_of(item)).map(|step| (step.begin, step.reached)).collect();
        own.into_iter().rev().collect()
    }

    /// Whether an earlier call brought something of this version.
    pub(in crate::capabilities) fn has_begun(&self, item: &Item) -> bool {
        self.steps(item).iter().any(|(begin, reached)| reached > begin)
    }

    /// Notes that an item is begun anew, where what was noted before would be believed of another version.
    pub(in crate::capabilities) fn renew(&self, item: &Item) -> Result<()> {
        if self.known.contains_key(&item.path) {
            self.note(&Step::new(item, 0, 0), &self.open(&item.path)?)?;
        }
        Ok(())
    }

    /// The last that was noted.
    pub(in crate::capabilities) fn last(&self) -> Option<(Item, u64)> {
        let Step { path, size, version, modified, reached, .. } = self.last.clone()?;
        Some((Item { key: path.clone(), path, size, version, modified }, reached))
    }

    /// Notes how far a piece is.
    pub(in crate::capabilities) fn note(&self, step: &Step, file: &File) -> Result<()> {
        let note = || -> io::Result<()> {
            if self.careful {
                file.sync_data()?;
            }
            let line = format!("{}\n", serde_json::to_string(step)?);
            (&*self.journal.lock().unwrap_or_else(PoisonError::into_inner)).write_all(line.as_bytes())
        };
        note().map_err(|error| self.failed(&error))
    }

    /// What is no part of it goes: an earlier call may have left it.
    pub(in crate::capabilities) fn keep_only(&self, items: &[Item]) -> Result<()> {
        let paths = items.iter().map(|item| item.path.trim_end_matches('/'));
        let mut wanted = std::collections::HashSet::new();
        for path in paths {
            wanted.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
            wanted.insert(path);
        }
        let content = self.content();
        let mut folders = vec![content.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| self.failed(&error))?.flatten() {
                let path = entry.path();
                let Ok(below) = path.strip_prefix(&content) else { continue };
                let below = below.to_string_lossy();
                if !wanted.contains(&*below) {
                    remove(&path);
                } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                }
            }
        }
        Ok(())
    }

    /// Has the next call begin an item anew.
    pub(in crate::capabilities) fn spoil(&self, item: &Item) -> Result<()> {
        let file = self.open(&item.path)?;
        for step in self.noted().into_iter().filter(|step| step.path == item.path) {
            self.note(&Step { reached: step.begin, ..step }, &file)?;
        }
        Ok(())
    }

    fn noted(&self) -> Vec<Step> {
        let text = fs::read_to_string(self.folder.join("journal")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Returns once it is all on stable storage.
    pub(in crate::capabilities) fn sync(&self) -> Result<()> {
        sync(&self.content()).map_err(|error| self.failed(&error))
    }

    /// Clears the place.
    pub(in crate::capabilities) fn close(self) {
        remove(&self.folder);
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::io(format_args!("writing what is downloaded, in `{}`", self.folder.display()), error)
    }
}

/// A file or a folder with all that is in it; what is not there is gone already.
pub(in crate::capabilities) fn remove(path: &Path) {
    let _ = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    };
}

fn sync(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    let file = File::open(path)?;
    if found.is_file() {
        return file.sync_all();
    }
    // One for all of them, where there is one that can be waited for.
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::syncfs(&file)?);
    #[cfg(not(target_os = "linux"))]
    {
        for entry in fs::read_dir(path)? {
            sync(&entry?.path())?;
        }
        file.sync_all()
    }
}

/// What changes whenever the computer starts: what a process wrote before may be lost then.
fn boot() -> Option<String> {
    let told = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(told.trim().to_owned()).filter(|told| !told.is_empty())
}

/// Downloads that nobody has gone on with since, and nobody does just now. Nobody can as long as they are held.
pub(in crate::capabilities) fn abandoned(downloads: &Path, before: SystemTime) -> impl Iterator<Item = Abandoned> {
    let entries = fs::read_dir(downloads).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let folder = entry.path();
        let journal = folder.join("journal");
        let touched = fs::metadata(&journal).or_else(|_| entry.metadata()).and_then(|found| found.modified());
        touched.ok().filter(|touched| *touched < before)?;
        let lock = File::open(&journal).ok();
        if let Some(file) = &lock {
            rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).ok()?;
        }
        Some(Abandoned { folder, _lock: lock })
    })
}

/// A download that is nobody's.
pub(in crate::capabilities) struct Abandoned {
    pub(in crate::capabilities) folder: PathBuf,
    _lock: Option<File>,
}

/// Nobody goes on with what lies there for weeks.
fn clear(downloads: &Path) {
    if let Some(before) = SystemTime::now().checked_sub(KEPT) {
        abandoned(downloads, before).for_each(|download| remove(&download.folder));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn item(path: &str, version: Option<&str>) -> Item {
        let version = version.map(str::to_owned);
        Item { path: path.to_owned(), key: path.to_owned(), size: Some(10), version, modified: None }
    }

    #[test]
    fn what_was_brought_is_known_to_the_next_call() {
        let folder = tempfile::tempdir().unwrap();
        let one = item("a/b", Some("\"1\""));
        let staging = Staging::begin(folder.path(), "s3://b/k").unwrap();
        staging.make("a/b").unwrap();
        let file = staging.open("a/b").unwrap();
        staging.note(&Step::new(&one, 0, 3), &file).unwrap();
        staging.note(&Step::new(&one, 0, 7), &file).unwrap();
        // While it is at work, another gets a place of its own.
        assert!(Staging::begin(folder.path(), "s3://b/k").unwrap().steps(&one).is_empty());
        drop(staging);
        let staging = Staging::begin(folder.path(), "s3://b/k").unwrap();
        assert_eq!(staging.steps(&one), HashMap::from([(0, 7)]));
        assert!(staging.steps(&item("a/b", Some("\"2\""))).is_empty(), "another version");
        assert!(staging.steps(&item("a/b", None)).is_empty(), "nothing tells which");
        let other = item("a/b", Some("\"2\""));
        staging.renew(&other).unwrap();
        drop(staging);
        let staging = Staging::begin(folder.path(), "s3://b/k").unwrap();
        assert!(staging.steps(&one).is_empty(), "what was written since is of another version");
        staging.note(&Step::new(&other, 0, 4), &staging.open("a/b").unwrap()).unwrap();
        drop(staging);
        let staging = Staging::begin(folder.path(), "s3://b/k").unwrap();
        assert_eq!(staging.steps(&other), HashMap::from([(0, 4)]));
        assert!(Staging::begin(folder.path(), "s3://b/other").unwrap().steps(&one).is_empty());
        staging.close();
    }

    #[test]
    fn what_was_written_before_a_power_cut_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let one = item("", Some("\"1\""));
        let staging = Staging::begin(folder.path(), "x").unwrap();
        staging.make("").unwrap();
        staging.note(&Step::new(&one, 0, 7), &staging.open("").unwrap()).unwrap();
        let journal = staging.folder.join("journal");
        drop(staging);
        let text = fs::read_to_string(&journal).unwrap();
        let (_, steps) = text.split_once('\n').unwrap();
        fs::write(&journal, format!("another boot\n{steps}")).unwrap();
        let staging = Staging::begin(folder.path(), "x").unwrap();
        assert!(staging.steps(&one).is_empty() && !staging.content().exists());
    }

    #[test]
    fn what_is_gone_from_the_server_goes() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::begin(folder.path(), "x").unwrap();
        for path in ["a/b", "a/c", "d/e", "f/"] {
            staging.make(path).unwrap();
        }
        staging.keep_only(&[item("a/b", None), item("f/", None)]).unwrap();
        assert!(staging.content().join("a/b").exists() && staging.content().join("f").exists());
        assert!(!staging.content().join("a/c").exists() && !staging.content().join("d").exists());
    }
}
