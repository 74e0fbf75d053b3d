//! Putting one content of the store in its place.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, Mode as Bits, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::batch::clone_file;
use super::content::{ReadFile, hash_file};
use super::link::stays_within;
use super::manifest::{Entry, Mode};
use super::place::{failed, stat};
use super::stamp::Stamp;
use crate::capabilities::store::{Hash, Store, digest_of, hash_stream};
use crate::capabilities::{Error, Result};

/// A path is no longer, and so no link leads further.
const LONGEST_TARGET: u64 = 4096;

/// A file or a link that is to be in a folder.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) folder: Arc<OwnedFd>,
    pub(super) name: String,
    /// As people know it.
    pub(super) shown: String,
    pub(super) entry: Entry,
    /// Whether a file stands there that may be the same.
    pub(super) alike: bool,
}

/// What a job came to.
#[derive(Debug)]
pub(super) enum Done {
    /// It was so already.
    Same(Option<ReadFile<Hash>>),
    Put(Option<(Stamp, Hash)>),
}

/// Does a job. Whoever looks sees what was there before or all of the content.
pub(super) fn put(store: &Store, job: &Job, buffer: &mut Vec<u8>) -> Result<Done> {
    let Job { folder, name, shown, entry, alike } = job;
    let Some(digest) = &entry.digest else { return Ok(Done::Same(None)) };
    if entry.mode == Mode::Link {
        let target = link_target(store, entry, shown)?;
        return put_link(folder, name, &target).map_err(|error| failed("making the link", shown, error));
    }
    if *alike {
        let there = hash_file(folder, name, &|| shown.clone(), buffer)?;
        if digest_of(&there.value) == *digest {
            return Ok(Done::Same(Some(there)));
        }
    }
    let writing = |error: &std::io::Error| Error::io(format_args!("writing `{shown}`"), error);
    let mut content = store.open(digest)?.ok_or_else(|| missing(digest, shown))?;
    let (temporary, file) = Temporary::new(folder, |name| {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        // Less what the process masks, as for any file that a program makes.
        let bits = if entry.mode == Mode::Executable { 0o777 } else { 0o666 };
        rustix::fs::openat(folder, name, flags, Bits::from_raw_mode(bits))
    })
    .map_err(|error| failed("writing", shown, error))?;
    let mut file = File::from(file);
    let (hash, size) = if clone_file(&file, &content) {
        hash_stream(&mut file, buffer, |_| Ok(()), writing)?
    } else {
        let unreadable = |error: &std::io::Error| store.failed("reading", error);
        hash_stream(&mut content, buffer, |piece| file.write_all(piece).map_err(|error| writing(&error)), unreadable)?
    };
    if digest_of(&hash) != *digest || size != entry.size {
        return Err(Error::Other(format!("`{digest}` in the store, the content of `{shown}`, is damaged")));
    }
    // Some network file systems say only now that there is no room.
    drop(file);
    temporary.place(name).map_err(|error| failed("writing", shown, error))?;
    Ok(Done::Put(stat(folder, name).ok().map(|found| (Stamp::from(&found), hash))))
}

fn put_link(folder: &OwnedFd, name: &str, target: &[u8]) -> Result<Done, Errno> {
    if rustix::fs::readlinkat(folder, name, Vec::new()).is_ok_and(|there| there.to_bytes() == target) {
        return Ok(Done::Same(None));
    }
    let (temporary, ()) = Temporary::new(folder, |name| rustix::fs::symlinkat(target, folder, name))?;
    temporary.place(name)?;
    Ok(Done::Put(None))
}

/// Where a link of a manifest leads, which has to be within the manifest's folder.
pub(super) fn link_target(store: &Store, entry: &Entry, shown: &str) -> Result<Vec<u8>> {
    let digest = entry.digest.as_deref().unwrap_or_default();
    let content = store.open(digest)?.ok_or_else(|| missing(digest, shown))?;
    let mut target = Vec::new();
    let read = content.take(LONGEST_TARGET + 1).read_to_end(&mut target);
    read.map_err(|error| store.failed("reading", &error))?;
    if target.len() as u64 > LONGEST_TARGET || !stays_within(&entry.path, &target) {
        return Err(Error::Other(format!("`{shown}` is a link that leads out of its folder")));
    }
    if digest_of(&Sha256::digest(&target).into()) != digest {
        return Err(Error::Other(format!("`{digest}` in the store, the content of `{shown}`, is damaged")));
    }
    Ok(target)
}

pub(super) fn missing(digest: &str, shown: &str) -> Error {
    Error::Other(format!("the store does not have `{digest}`, the content of `{shown}`"))
}

/// Something new beside its place, which is removed unless it gets there.
struct Temporary<'f> {
    folder: &'f OwnedFd,
    name: String,
}

impl<'f> Temporary<'f> {
    fn new<T>(folder: &'f OwnedFd, make: impl Fn(&str) -> Result<T, Errno>) -> Result<(Self, T), Errno> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        loop {
            let name = format!(".aurum-{}-{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
            match make(&name) {
                Ok(made) => return Ok((Self { folder, name }, made)),
                // A dead process of the same number left it behind.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn place(mut self, name: &str) -> Result<(), Errno> {
        rustix::fs::renameat(self.folder, &self.name, self.folder, name)?;
        self.name.clear();
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = rustix::fs::unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}
