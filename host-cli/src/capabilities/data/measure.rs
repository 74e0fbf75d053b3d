//! Telling what stands at a place, and keeping it.

use std::io::{BufWriter, Write};

use rustix::fs::FileType;
use sha2::{Digest, Sha256};

use super::batch::Batch;
use super::manifest::{Entry, Mode};
use super::pending::is_temporary;
use super::place::Spot;
use super::stamp::Stamp;
use super::stat_cache::StatCache;
use super::survey::{hash_all, hash_content, recall};
use super::walk::{Found, Walk, show};
use super::{Facts, Kind, Limits};
use crate::capabilities::Result;
use crate::capabilities::store::{Hash, Store, digest_of};

/// See [`Data::measure`](super::Data::measure).
pub(super) fn measure(spot: &Spot, limits: Option<Limits>, cache: &mut StatCache) -> Result<Option<Facts>> {
    let limits = limits.unwrap_or(Limits { files: u64::MAX, bytes: u64::MAX });
    let Some((kind, stat)) = spot.look()? else { return Ok(None) };
    if kind == FileType::RegularFile {
        let stamp = Stamp::from(&stat);
        let known = cache.find(&stamp);
        let within = known.is_some() || limits.files > 0 && stamp.size <= limits.bytes;
        if !within {
            return Ok(Some(Facts { kind: Kind::File, size: stamp.size, files: 1, digest: None }));
        }
        return one_file(spot, stamp, known, None, cache).map(Some);
    }
    let mut facts = Facts { kind: Kind::Folder, size: 0, files: 0, digest: None };
    let mut walk = Walk::new(spot)?;
    let mut hash = Some(Sha256::new());
    let mut unread = 0_u64;
    let mut lines = Vec::new();
    loop {
        // One more tells that there are more.
        let mut found = walk.batch(limits.files.saturating_sub(facts.files).saturating_add(1))?;
        if found.is_empty() {
            break;
        }
        let known = recall(cache, &found);
        let missing = found.iter().zip(&known).filter(|(found, known)| found.mode.is_file() && known.is_none());
        unread = missing.fold(unread, |unread, (found, _)| unread.saturating_add(found.stamp.size));
        if unread > limits.bytes || facts.files + count(&found) > limits.files {
            hash = None;
        }
        if let Some(hash) = &mut hash {
            let hashes = hash_all(cache, &mut found, known, &|path| walk.show(path), None)?;
            write_lines(&found, &hashes, &mut lines)?;
            hash.update(&lines);
        }
        facts.add(&found);
        if facts.files > limits.files {
            break;
        }
    }
    facts.digest = hash.map(|hash| digest_of(&hash.finalize().into()));
    Ok(Some(facts))
}

/// See [`Data::keep`](super::Data::keep).
pub(super) fn keep(spot: &Spot, store: &Store, cache: &mut StatCache) -> Result<Option<Facts>> {
    let Some((kind, stat)) = spot.look()? else { return Ok(None) };
    let mut batch = Batch::new(store)?;
    if kind == FileType::RegularFile {
        let stamp = Stamp::from(&stat);
        let known = cache.find(&stamp);
        let facts = one_file(spot, stamp, known, Some(&batch), cache)?;
        batch.finish()?;
        return Ok(Some(facts));
    }
    let mut facts = Facts { kind: Kind::Folder, size: 0, files: 0, digest: None };
    let walk = Walk::strict(spot)?;
    let mut hash = Sha256::new();
    let mut length = 0;
    let mut lines = Vec::new();
    let mut manifest = store.temporary()?;
    let mut file = BufWriter::new(manifest.as_file_mut());
    walk.ahead(|mut found| {
        let known = recall(cache, &found);
        let hashes = hash_all(cache, &mut found, known, &|path| show(&spot.shown, path), Some(&batch))?;
        write_lines(&found, &hashes, &mut lines)?;
        hash.update(&lines);
        length += lines.len() as u64;
        file.write_all(&lines).map_err(|error| store.failed("writing to", &error))?;
        facts.add(&found);
        batch.relieve()
    })?;
    file.flush().map_err(|error| store.failed("writing to", &error))?;
    drop(file);
    let hash = hash.finalize().into();
    // A manifest is named only once all that it names is on stable storage: then there is nothing to wait for.
    if !(batch.has_nothing_new() && store.has_whole(&digest_of(&hash), length)?) {
        batch.finish()?;
    }
    store.keep(manifest, &hash, length)?;
    facts.digest = Some(digest_of(&hash));
    Ok(Some(facts))
}

/// Whether the store has every content that stands there, for [`Data::is_kept`](super::Data::is_kept): none if not, else
/// the digest of a folder's manifest, which it may have or not. What is there in part, a restore cut short left.
pub(super) fn kept_as(
    spot: &Spot,
    store: &Store,
    partial: bool,
    cache: &mut StatCache,
) -> Result<Option<Option<String>>> {
    let Some((kind, stat)) = spot.look()? else { return Ok(Some(None)) };
    if kind == FileType::RegularFile {
        let stamp = Stamp::from(&stat);
        let known = cache.find(&stamp);
        let facts = one_file(spot, stamp, known, None, cache)?;
        let kept = facts.digest.map_or(Ok(false), |digest| store.has_whole(&digest, facts.size))?;
        return Ok(kept.then_some(None));
    }
    let mut walk = Walk::new(spot)?;
    let mut manifest = Sha256::new();
    let mut lines = Vec::new();
    loop {
        let mut found = walk.batch(u64::MAX)?;
        if found.is_empty() {
            break;
        }
        let known = recall(cache, &found);
        let hashes = hash_all(cache, &mut found, known, &|path| walk.show(path), None)?;
        for (found, hash) in found.iter().zip(&hashes) {
            if let Some(hash) = hash
                && !(partial && is_temporary(found.name()))
                && !store.has_whole(&digest_of(hash), found.stamp.size)?
            {
                return Ok(None);
            }
        }
        write_lines(&found, &hashes, &mut lines)?;
        manifest.update(&lines);
    }
    // Which file is called what, and lies where, may be all that there is to know of them.
    Ok(Some(Some(digest_of(&manifest.finalize().into()))))
}

fn one_file(
    spot: &Spot,
    stamp: Stamp,
    known: Option<Hash>,
    batch: Option<&Batch<'_>>,
    cache: &mut StatCache,
) -> Result<Facts> {
    let facts = |hash: &Hash, size| Facts { kind: Kind::File, size, files: 1, digest: Some(digest_of(hash)) };
    if let Some(hash) = known
        && batch.map_or(Ok(true), |batch| batch.has(&hash, stamp.size))?
    {
        return Ok(facts(&hash, stamp.size));
    }
    let read = hash_content(&spot.folder, &*spot.name, &|| spot.shown.clone(), &mut Vec::new(), batch)?;
    cache.remember(&read.stamp, &read.value, read.moment);
    Ok(facts(&read.value, read.stamp.size))
}

impl Facts {
    fn add(&mut self, found: &[Found]) {
        self.files += count(found);
        self.size += found.iter().filter(|found| found.mode.is_file()).map(|found| found.stamp.size).sum::<u64>();
    }
}

/// How many files and links these are.
fn count(found: &[Found]) -> u64 {
    found.iter().filter(|found| found.mode != Mode::Folder).count() as u64
}

/// The lines of a manifest.
fn write_lines(found: &[Found], hashes: &[Option<Hash>], lines: &mut Vec<u8>) -> Result<()> {
    lines.clear();
    for (found, hash) in found.iter().zip(hashes) {
        let size = if found.mode == Mode::Folder { 0 } else { found.stamp.size };
        let digest = hash.as_ref().map(digest_of);
        Entry { path: found.path.clone(), mode: found.mode, size, digest }.write(lines)?;
    }
    Ok(())
}
