//! How a folder differs from a manifest.

use std::cmp::Ordering;

use rustix::fs::FileType;

use super::Differences;
use super::manifest::{Entries, Entry, compare_paths};
use super::place::Spot;
use super::stat_cache::StatCache;
use super::survey::{hash_all, recall};
use super::walk::{Found, Walk};
use crate::capabilities::Result;
use crate::capabilities::store::digest_of;

/// See [`Data::compare`](super::Data::compare). Both are in the same order, so that neither has to be held in memory.
pub(super) fn compare(spot: &Spot, entries: Entries, limit: u32, cache: &mut StatCache) -> Result<Option<Differences>> {
    let Some((FileType::Directory, _)) = spot.look()? else { return Ok(None) };
    let mut walk = Walk::new(spot)?;
    let mut entries = entries.peekable();
    let mut differences = Differences::default();
    loop {
        let found = walk.batch(u64::MAX)?;
        if found.is_empty() {
            break;
        }
        // Only what may be the same has to be read.
        let mut alike = Vec::new();
        let mut judged = Vec::new();
        for found in found {
            while let Some(entry) = entries.next_if(|entry| is_before(entry, &found.path)) {
                let path = entry?.path;
                // There may be more of these than of what was found: only those that will be told of are remembered.
                judged.push(Judged::Removed((judged.len() < limit as usize).then_some(path)));
            }
            let entry = entries.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.path == found.path));
            judged.push(match entry.transpose()? {
                None => Judged::Added(found.path),
                Some(entry) if is_alike(&found, &entry) => {
                    alike.push(found);
                    Judged::Alike(entry)
                }
                Some(entry) => Judged::Changed(entry.path),
            });
        }
        let known = recall(cache, &alike);
        let mut hashes = hash_all(cache, &mut alike, known, &|path| walk.show(path), None)?.into_iter();
        for judged in judged {
            match judged {
                Judged::Removed(path) => differences.removed(path.as_deref(), limit),
                Judged::Added(path) => differences.added(&path, limit),
                Judged::Changed(path) => differences.changed(&path, limit),
                Judged::Alike(entry) => {
                    if hashes.next().flatten().as_ref().map(digest_of) != entry.digest {
                        differences.changed(&entry.path, limit);
                    }
                }
            }
        }
    }
    for entry in entries {
        differences.removed(Some(&entry?.path), limit);
    }
    Ok(Some(differences))
}

/// Whether all files and links that are there are in the manifest, at their place and with their content. Others may be gone,
/// and whether a file is executable does not matter.
pub(super) fn is_within(spot: &Spot, entries: Entries, cache: &mut StatCache) -> Result<bool> {
    let mut walk = Walk::new(spot)?;
    let mut entries = entries.peekable();
    loop {
        let mut found = walk.batch(u64::MAX)?;
        if found.is_empty() {
            return Ok(true);
        }
        let known = recall(cache, &found);
        let hashes = hash_all(cache, &mut found, known, &|path| walk.show(path), None)?;
        for (found, hash) in found.iter().zip(hashes) {
            while let Some(entry) = entries.next_if(|entry| is_before(entry, &found.path)) {
                entry?;
            }
            // A folder that was emptied has lost its files, not its arrangement.
            let Some(hash) = hash else { continue };
            let entry = entries.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.path == found.path));
            let same = entry.transpose()?.is_some_and(|entry| {
                entry.mode.is_file() == found.mode.is_file() && entry.digest == Some(digest_of(&hash))
            });
            if !same {
                return Ok(false);
            }
        }
    }
}

/// What became of an entry.
enum Judged {
    Removed(Option<String>),
    Added(String),
    Changed(String),
    /// As long as it is to be; its digest decides.
    Alike(Entry),
}

/// An error is before everything, so that it is told.
fn is_before(entry: &Result<Entry>, path: &str) -> bool {
    entry.as_ref().map_or(true, |entry| compare_paths(&entry.path, path) == Ordering::Less)
}

fn is_alike(found: &Found, entry: &Entry) -> bool {
    // Some file systems tell another length of a link than that of its target.
    found.mode == entry.mode && (!found.mode.is_file() || found.stamp.size == entry.size)
}

impl Differences {
    fn added(&mut self, path: &str, limit: u32) {
        self.added += 1;
        self.example('+', path, limit);
    }

    fn changed(&mut self, path: &str, limit: u32) {
        self.changed += 1;
        self.example('~', path, limit);
    }

    fn removed(&mut self, path: Option<&str>, limit: u32) {
        self.removed += 1;
        if let Some(path) = path {
            self.example('-', path, limit);
        }
    }

    fn example(&mut self, sign: char, path: &str, limit: u32) {
        if self.examples.len() < limit as usize {
            self.examples.push(format!("{sign} {path}"));
        }
    }
}
