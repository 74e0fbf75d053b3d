//! The digests of files that have not changed since they were hashed, so that they need not be read again.
//!
//! One file of the repository's own: [`MAGIC`], entries of [`LENGTH`] bytes sorted by device and inode, and the SHA-256
//! of all that. It is derived: whatever is wrong with it, it counts as empty, and of two processes that write it one
//! wins.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

use super::stamp::{Stamp, nanoseconds};
use crate::capabilities::sharing::{create_dir_all, share};
use crate::capabilities::store::Hash;

/// With the version of the format.
const MAGIC: &[u8; 8] = b"austat1\n";
const LENGTH: usize = 80;
const HASH_LENGTH: usize = 32;
/// How many entries are kept of files that the call which writes has not met: those that were hashed last.
const MOST_OTHERS: usize = 1 << 20;

/// How much older than the moment of its hashing a file must be.
///
/// A file system's clock moves in ticks: two changes within one leave the same times, so that one which comes right
/// after the hashing could not be told. This is git's rule for what it calls racily clean. Where times have fractions,
/// a tick is at most 10 ms; the rest is for servers whose clock is not quite this computer's.
pub(super) const FINE_MARGIN: i64 = 100_000_000;
/// Where times have no fractions of a second: FAT counts in twos.
pub(super) const COARSE_MARGIN: i64 = 2_100_000_000;

/// One entry: device, inode, size, times, digest, moment of hashing; integers little-endian.
type Entry = [u8; LENGTH];

/// What is remembered.
#[derive(Debug)]
pub(super) struct StatCache {
    path: Option<PathBuf>,
    most_others: usize,
    old: Arc<Vec<u8>>,
    /// Which of the old ones a file was found for.
    met: Vec<bool>,
    new: Vec<Entry>,
}

/// The file as it was last read.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Option<(Stamp, Arc<Vec<u8>>)>>);

impl Memory {
    fn read(&self, path: &Path) -> Arc<Vec<u8>> {
        let Ok(stamp) = fs::metadata(path).map(|found| Stamp::of(&found)) else { return Arc::default() };
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It is only ever replaced by another file, so that its inode alone nearly tells.
        if let Some((_, entries)) = memory.as_ref().filter(|(known, _)| *known == stamp) {
            return Arc::clone(entries);
        }
        let entries = Arc::new(read(path).unwrap_or_default());
        *memory = Some((stamp, Arc::clone(&entries)));
        entries
    }
}

impl StatCache {
    /// Reads the file, unless it is the one that was read last; without a path nothing is remembered.
    pub(super) fn load(path: Option<&Path>, memory: &Memory) -> Self {
        let old = path.map(|path| memory.read(path)).unwrap_or_default();
        let met = vec![false; old.len() / LENGTH];
        Self { path: path.map(Path::to_owned), most_others: MOST_OTHERS, old, met, new: Vec::new() }
    }

    /// The digest of a file's content, if the file is just as it was when it was hashed.
    pub(super) fn find(&mut self, stamp: &Stamp) -> Option<Hash> {
        let (entries, _) = self.old.as_chunks::<LENGTH>();
        let index = entries.binary_search_by_key(&(stamp.device, stamp.inode), key).ok()?;
        let entry = &entries[index];
        if entry[..40] != state(stamp) {
            return None;
        }
        self.met[index] = true;
        entry[40..72].try_into().ok()
    }

    /// Remembers a digest, unless a later change of the file might not be seen. `moment` is before the file was read.
    pub(super) fn remember(&mut self, stamp: &Stamp, hash: &Hash, moment: i64) {
        if self.path.is_none() || moment < stamp.settled() {
            return;
        }
        let mut entry = [0; LENGTH];
        entry[..40].copy_from_slice(&state(stamp));
        entry[40..72].copy_from_slice(hash);
        entry[72..].copy_from_slice(&moment.to_le_bytes());
        self.new.push(entry);
    }

    /// Writes what is new. Failing is no matter: files are read once more then.
    pub(super) fn save(self) {
        if let Some(path) = self.path.clone().filter(|_| !self.new.is_empty()) {
            let _ = self.write(&path);
        }
    }

    fn write(mut self, path: &Path) -> io::Result<()> {
        // Stable, and from the end: the last of a key is the one that stays.
        self.new.reverse();
        self.new.sort_by_key(key);
        self.new.dedup_by_key(|entry| key(entry));
        let replaced: HashSet<_> = self.new.iter().map(key).collect();
        let (old, _) = self.old.as_chunks::<LENGTH>();
        let mut others: Vec<_> = old
            .iter()
            .zip(&self.met)
            .filter(|(entry, met)| !**met && !replaced.contains(&key(entry)))
            .map(|(entry, _)| entry)
            .collect();
        if others.len() > self.most_others {
            others.select_nth_unstable_by_key(self.most_others, |entry| std::cmp::Reverse(moment_of(entry)));
            others.truncate(self.most_others);
        }
        let met = old.iter().zip(&self.met).filter(|(entry, met)| **met && !replaced.contains(&key(entry)));
        let mut all: Vec<&Entry> = met.map(|(entry, _)| entry).chain(others).chain(&self.new).collect();
        all.sort_unstable_by_key(|entry| key(entry));

        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        create_dir_all(folder)?;
        let temporary = tempfile::Builder::new().prefix("new-").tempfile_in(folder)?;
        let mut file = BufWriter::with_capacity(1 << 18, temporary.as_file());
        let mut hash = Sha256::new();
        let pieces = std::iter::once(MAGIC.as_slice()).chain(all.iter().map(|entry| entry.as_slice()));
        for piece in pieces {
            hash.update(piece);
            file.write_all(piece)?;
        }
        file.write_all(&hash.finalize())?;
        file.flush()?;
        drop(file);
        share(temporary.path());
        // Not synced: a power cut may tear it, which its digest tells.
        temporary.persist(path).map(drop).map_err(|error| error.error)
    }
}

impl Stamp {
    /// From when on hashing the file can be relied on, see [`FINE_MARGIN`].
    pub(super) fn settled(&self) -> i64 {
        let margin = if self.is_fine() { FINE_MARGIN } else { COARSE_MARGIN };
        self.changed.max(self.modified).saturating_add(margin)
    }

    /// Whether the file system keeps fractions of seconds. Only the kernel's own time tells: others are set at will.
    pub(super) fn is_fine(&self) -> bool {
        self.changed % 1_000_000_000 != 0
    }
}

/// The entries that a file holds; none when anything is wrong with it.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    let length = bytes.len().checked_sub(HASH_LENGTH)?;
    let (content, hash) = bytes.split_at(length);
    if content.strip_prefix(MAGIC)?.len() % LENGTH != 0 || Sha256::digest(content).as_slice() != hash {
        return None;
    }
    bytes.truncate(length);
    bytes.drain(..MAGIC.len());
    Some(bytes)
}

/// The part of an entry that a file must agree with.
fn state(stamp: &Stamp) -> [u8; 40] {
    let mut state = [0; 40];
    let fields = [stamp.device, stamp.inode, stamp.size, stamp.modified as u64, stamp.changed as u64];
    for (place, field) in state.as_chunks_mut().0.iter_mut().zip(fields) {
        *place = field.to_le_bytes();
    }
    state
}

fn key(entry: &Entry) -> (u64, u64) {
    (number(entry, 0), number(entry, 8))
}

fn moment_of(entry: &Entry) -> i64 {
    number(entry, 72) as i64
}

fn number(entry: &Entry, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&entry[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Nanoseconds since 1970.
pub(super) fn now() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    #[allow(clippy::unnecessary_cast, reason = "the types are others on other systems")]
    nanoseconds(now.tv_sec as i64, now.tv_nsec as i64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const OLD: i64 = 1_700_000_000_123_456_789;

    fn stamp(inode: u64) -> Stamp {
        Stamp { device: 1, inode, size: 3, modified: OLD, changed: OLD }
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache/stat");
        (folder, path)
    }

    #[test]
    fn what_is_unchanged_is_found_again() {
        let (_folder, path) = place();
        let mut cache = StatCache::load(Some(&path), &Memory::default());
        for inode in [7, 3, 5, 3] {
            cache.remember(&stamp(inode), &[inode as u8; 32], now());
        }
        cache.save();
        let mut cache = StatCache::load(Some(&path), &Memory::default());
        for inode in [3, 5, 7] {
            assert_eq!(cache.find(&stamp(inode)), Some([inode as u8; 32]));
        }
        let differing = [
            stamp(4),
            Stamp { device: 2, ..stamp(3) },
            Stamp { size: 4, ..stamp(3) },
            Stamp { modified: OLD - 1, ..stamp(3) },
            Stamp { changed: OLD + 1, ..stamp(3) },
        ];
        for stamp in differing {
            assert_eq!(cache.find(&stamp), None, "{stamp:?}");
        }
        cache.remember(&Stamp { size: 9, ..stamp(5) }, &[9; 32], now());
        cache.save();
        let mut cache = StatCache::load(Some(&path), &Memory::default());
        assert_eq!(cache.find(&Stamp { size: 9, ..stamp(5) }), Some([9; 32]));
        assert_eq!(cache.find(&stamp(5)), None);
        assert_eq!(cache.find(&stamp(3)), Some([3; 32]));
    }

    #[test]
    fn what_may_still_change_unseen_is_not_remembered() {
        let (_folder, path) = place();
        let mut cache = StatCache::load(Some(&path), &Memory::default());
        let coarse = OLD - OLD % 1_000_000_000;
        let racy = [
            (stamp(1), OLD),
            (stamp(2), OLD + FINE_MARGIN - 1),
            (Stamp { modified: OLD + 1, ..stamp(3) }, OLD + FINE_MARGIN),
            (Stamp { modified: coarse, changed: coarse, ..stamp(4) }, coarse + COARSE_MARGIN - 1),
            (Stamp { modified: i64::MAX, ..stamp(5) }, now()),
        ];
        for (stamp, moment) in racy {
            cache.remember(&stamp, &[0; 32], moment);
        }
        assert!(cache.new.is_empty());
        cache.save();
        assert!(!path.exists());
    }

    #[test]
    fn whatever_is_wrong_with_the_file_it_is_empty() {
        let (_folder, path) = place();
        let mut cache = StatCache::load(Some(&path), &Memory::default());
        cache.remember(&stamp(1), &[1; 32], now());
        cache.save();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(StatCache::load(Some(&path), &Memory::default()).find(&stamp(1)), None, "cut at {cut}");
            let mut wrong = whole.clone();
            wrong[cut] ^= 1;
            fs::write(&path, &wrong).unwrap();
            assert_eq!(StatCache::load(Some(&path), &Memory::default()).find(&stamp(1)), None, "wrong at {cut}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let mut cache = StatCache::load(Some(&path), &Memory::default());
        cache.remember(&stamp(1), &[1; 32], now());
        cache.save();
        assert!(path.is_dir(), "nothing fails");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary is left");
    }

    #[test]
    fn nothing_new_writes_nothing() {
        let (_folder, path) = place();
        let mut cache = StatCache::load(Some(&path), &Memory::default());
        cache.remember(&stamp(1), &[1; 32], now());
        cache.save();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        let mut cache = StatCache::load(Some(&path), &Memory::default());
        assert!(cache.find(&stamp(1)).is_some());
        cache.save();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        StatCache::load(None, &Memory::default()).save();
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let (_folder, path) = place();
        let load = || StatCache { most_others: 100, ..StatCache::load(Some(&path), &Memory::default()) };
        let mut cache = load();
        for inode in 0..110 {
            cache.remember(&stamp(inode), &[1; 32], OLD + FINE_MARGIN + inode as i64);
        }
        cache.save();
        let mut cache = load();
        assert_eq!(cache.met.len(), 110, "what one call met stays, however much");
        assert!(cache.find(&stamp(0)).is_some());
        cache.remember(&stamp(u64::MAX), &[1; 32], now());
        cache.save();
        let mut cache = load();
        assert_eq!(cache.met.len(), 102);
        assert!(cache.find(&stamp(0)).is_some(), "old, but met");
        assert!(cache.find(&stamp(u64::MAX)).is_some());
        assert!((1..10).all(|inode| cache.find(&stamp(inode)).is_none()), "the oldest go");
        assert!((10..110).all(|inode| cache.find(&stamp(inode)).is_some()));
    }
}
