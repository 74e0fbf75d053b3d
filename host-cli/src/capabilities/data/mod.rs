//! Files and folders of data: hashed, kept in the store and restored from it. Only manifests tell what is in a folder.

use std::path::{Path, PathBuf};

use self::place::Spot;
use self::stat_cache::StatCache;
use super::paths::check_path;
use super::store::{Store, parse_digest};
use super::{Error, Result};

mod batch;
mod compare;
mod content;
mod link;
pub(crate) mod manifest;
mod measure;
mod parallel;
mod place;
mod put;
mod remove;
mod restore;
mod stamp;
mod stat_cache;
mod survey;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
mod walk;

/// How many folders data may be in, within its own: each is held open while it is gone through.
const MAX_DEPTH: usize = 64;

/// Where data is.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Below the project's root.
    Project(&'a str),
    /// Anywhere, with the links on the way resolved.
    Outside(&'a Path),
}

/// What data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One file.
    File,
    /// A folder with all that is in it.
    Folder,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Bytes of all files.
    pub size: u64,
    /// How many files and links; 1 for a file.
    pub files: u64,
    /// Of the file or of the folder's manifest; none when telling it would have cost more than was allowed.
    pub digest: Option<String>,
}

/// What telling a digest may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files to look at.
    pub files: u64,
    /// Bytes to read.
    pub bytes: u64,
}

/// How a folder differs from a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// How many only the folder has.
    pub added: u64,
    /// How many are other than they were.
    pub changed: u64,
    /// How many only the manifest has.
    pub removed: u64,
    /// The first of them: `+`, `~` or `-`, a space, and the path within the folder.
    pub examples: Vec<String>,
}

/// The data of a project.
#[derive(Clone, Debug)]
pub struct Data {
    root: PathBuf,
    store: Option<Store>,
    cache: Option<PathBuf>,
}

impl Data {
    /// The root is the project's folder. Without a store nothing can be kept or restored, without a file for the cache
    /// each digest costs a reading. Nothing is made or looked at yet.
    pub fn new(root: &Path, store: Option<Store>, cache: Option<PathBuf>) -> Self {
        Self { root: root.to_owned(), store, cache }
    }

    /// What stands at a place; none when nothing does.
    pub fn measure(&self, place: Place<'_>, limits: Option<Limits>) -> Result<Option<Facts>> {
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(None) };
        self.remembering(|cache| measure::measure(&spot, limits, cache))
    }

    /// Keeps what stands at a place in the store, and returns once all of it is on stable storage.
    pub fn keep(&self, place: Place<'_>) -> Result<Option<Facts>> {
        let store = self.store()?;
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(None) };
        self.remembering(|cache| measure::keep(&spot, store, cache))
    }

    /// How the folder at a place differs from a manifest, with at most so many examples; none when there is no such
    /// folder or no such manifest.
    pub fn compare(&self, place: Place<'_>, manifest: &str, limit: u32) -> Result<Option<Differences>> {
        parse_digest(manifest)?;
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(None) };
        let Some(store) = &self.store else { return Ok(None) };
        let Some(entries) = manifest::read(store, manifest)? else { return Ok(None) };
        self.remembering(|cache| compare::compare(&spot, entries, limit, cache))
    }

    /// Whether the store has all content that stands at a place.
    pub fn is_kept(&self, place: Place<'_>) -> Result<bool> {
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(true) };
        self.remembering(|cache| measure::is_kept(&spot, self.store.as_ref(), cache))
    }

    /// Whether the store has a content, and all that it names if it is a manifest.
    pub fn can_restore(&self, kind: Kind, digest: &str) -> Result<bool> {
        parse_digest(digest)?;
        let Some(store) = &self.store else { return Ok(false) };
        if kind == Kind::File {
            return store.has(digest);
        }
        let Some(entries) = manifest::read(store, digest)? else { return Ok(false) };
        for entry in entries {
            let entry = entry?;
            if let Some(digest) = &entry.digest
                && !store.has_whole(digest, entry.size)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes a path what the digest says, whatever stood there.
    pub fn restore(&self, path: &str, kind: Kind, digest: &str) -> Result<()> {
        check_path(path)?;
        parse_digest(digest)?;
        let store = self.store()?;
        self.remembering(|cache| match kind {
            Kind::File => restore::restore_file(&self.root, path, digest, store, cache),
            Kind::Folder => restore::restore_folder(&self.root, path, digest, store, cache),
        })
    }

    /// Removes a file or a folder with all that is in it; removing what is not there succeeds.
    pub fn remove(&self, path: &str) -> Result<()> {
        Spot::find(&self.root, Place::Project(path))?.map_or(Ok(()), |spot| remove::remove(&spot))
    }

    /// What was hashed is remembered even if the rest failed.
    fn remembering<T>(&self, act: impl FnOnce(&mut StatCache) -> Result<T>) -> Result<T> {
        let mut cache = StatCache::load(self.cache.as_deref());
        let result = act(&mut cache);
        cache.save();
        result
    }

    fn store(&self) -> Result<&Store> {
        let none = || Error::Other("there is no git repository here, and so no store to keep data in".to_owned());
        self.store.as_ref().ok_or_else(none)
    }
}
