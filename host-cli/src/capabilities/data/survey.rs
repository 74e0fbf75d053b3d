//! The digests of what was found, read only where they are not known, and its contents brought into the store on the
//! way.

use std::os::fd::OwnedFd;

use sha2::{Digest, Sha256};

use super::batch::{Batch, Stream};
use super::content::{ReadFile, hash_file, read_file, read_whole, unreadable};
use super::link::stays_within;
use super::manifest::Mode;
use super::parallel::each;
use super::place::failed;
use super::stat_cache::StatCache;
use super::walk::Found;
use crate::capabilities::store::{Hash, PIECE, make_room};
use crate::capabilities::{Error, Result};

/// The digests that are known without reading anything.
pub(super) fn recall(cache: &mut StatCache, found: &[Found]) -> Vec<Option<Hash>> {
    found.iter().map(|found| if found.mode.is_file() { cache.find(&found.stamp) } else { None }).collect()
}

/// The digests of all that were found, none for empty folders; with a batch, their contents are added to it.
pub(super) fn hash_all(
    cache: &mut StatCache,
    found: &mut [Found],
    mut known: Vec<Option<Hash>>,
    show: &(dyn Fn(&str) -> String + Sync),
    batch: Option<&Batch<'_>>,
) -> Result<Vec<Option<Hash>>> {
    let is_job = |index: &usize| found[*index].mode != Mode::Folder && (batch.is_some() || known[*index].is_none());
    let mut jobs: Vec<usize> = (0..found.len()).filter(is_job).collect();
    // A long one that comes last would be waited for by all other threads.
    jobs.sort_by_key(|index| found[*index].stamp.size <= PIECE as u64);
    let read = each(&jobs, |index, buffer| {
        let found = &found[*index];
        let shown = || show(&found.path);
        if found.mode == Mode::Link {
            return hash_link(found, &shown, batch);
        }
        if let (Some(hash), Some(batch)) = (known[*index], batch)
            && batch.has(&hash, found.stamp.size)?
        {
            return Ok(Hashed::Known);
        }
        hash_content(&found.folder, found.name(), &shown, buffer, batch).map(Hashed::File)
    })?;
    for (index, read) in jobs.into_iter().zip(read) {
        match read {
            Hashed::Known => {}
            Hashed::Link(hash, size) => {
                known[index] = Some(hash);
                found[index].stamp.size = size;
            }
            Hashed::File(ReadFile { value, stamp, moment }) => {
                cache.remember(&stamp, &value, moment);
                known[index] = Some(value);
                // It may have changed since it was found.
                found[index].stamp = stamp;
            }
        }
    }
    Ok(known)
}

enum Hashed {
    Known,
    Link(Hash, u64),
    File(ReadFile<Hash>),
}

/// Reads a file, and adds it to the batch.
pub(super) fn hash_content(
    folder: &OwnedFd,
    name: impl rustix::path::Arg + Copy,
    shown: &dyn Fn() -> String,
    buffer: &mut Vec<u8>,
    batch: Option<&Batch<'_>>,
) -> Result<ReadFile<Hash>> {
    let Some(batch) = batch else { return hash_file(folder, name, shown, buffer) };
    let ReadFile { value, stamp, moment } = read_file(folder, name, shown, |file, stamp| {
        if stamp.size > PIECE as u64 {
            let stream = batch.stream(file, buffer, |error| unreadable(shown, error))?;
            let size = stream.size;
            return Ok((Taken::Stream(stream), size));
        }
        let bytes = &mut make_room(buffer)[..stamp.size as usize];
        let size = read_whole(file, bytes).map_err(|error| unreadable(shown, &error))?;
        Ok((Taken::Bytes(Sha256::digest(&*bytes).into()), size as u64))
    })?;
    let hash = match value {
        Taken::Stream(stream) => stream.add()?,
        Taken::Bytes(hash) => {
            batch.add(&hash, &make_room(buffer)[..stamp.size as usize])?;
            hash
        }
    };
    Ok(ReadFile { value: hash, stamp, moment })
}

/// A content that was read, but may turn out to have changed meanwhile.
enum Taken<'b> {
    /// It is in the buffer.
    Bytes(Hash),
    /// It is in the batch's folder.
    Stream(Stream<'b>),
}

/// Reads where a link leads, and adds that to the batch.
fn hash_link(found: &Found, shown: &dyn Fn() -> String, batch: Option<&Batch<'_>>) -> Result<Hashed> {
    let target = rustix::fs::readlinkat(&found.folder, found.name(), Vec::new());
    let target = target.map_err(|error| failed("reading the link", &shown(), error))?.into_bytes();
    if !stays_within(&found.path, &target) {
        let target = target.escape_ascii();
        return Err(Error::Other(format!("`{}` is a link that leads out of its folder, to `{target}`", shown())));
    }
    let hash = Sha256::digest(&target).into();
    batch.map_or(Ok(()), |batch| batch.add(&hash, &target))?;
    Ok(Hashed::Link(hash, target.len() as u64))
}
