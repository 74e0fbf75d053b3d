//! Files and folders of data: hashed, kept in the store and restored from it. Only manifests tell what is in a folder.

use std::io;
use std::path::{Path, PathBuf};

use self::pending::Marker;
use self::place::Spot;
use self::stat_cache::{Memory, StatCache};
use super::paths::check_path;
use super::store::{Store, parse_digest};
use super::{Error, Result};

pub(super) mod batch;
mod check;
mod compare;
mod content;
pub mod known;
mod link;
pub(crate) mod manifest;
mod measure;
pub(crate) mod parallel;
mod pending;
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

pub use self::check::Check;

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
#[derive(Debug)]
pub struct Data {
    root: PathBuf,
    store: Option<Store>,
    cache: Option<PathBuf>,
    /// Where restores are marked; none where there is no repository.
    restoring: Option<PathBuf>,
    /// The cache as it was last read: there may be a hundred datasets to look at one after another.
    memory: Memory,
}

impl Data {
    /// The root is the project's folder, and `own` a folder for Aurum's own within git's, where the store is as well. Without
    /// it nothing can be kept or restored, and each digest costs a reading. Nothing is made or looked at yet.
    pub fn new(root: &Path, own: Option<&Path>) -> Self {
        Self {
            root: root.to_owned(),
            store: own.map(|own| Store::new(own.join("store"))),
            cache: own.map(|own| own.join("cache/stat")),
            restoring: own.map(|own| own.join("restoring")),
            memory: Memory::default(),
        }
    }

    /// What stands at a place; none when nothing does, or not all of it yet.
    pub fn measure(&self, place: Place<'_>, limits: Option<Limits>) -> Result<Option<Facts>> {
        if self.marker(place).is_some_and(|marker| marker.is_there()) {
            return Ok(None);
        }
        self.measure_as_is(place, limits)
    }

    fn measure_as_is(&self, place: Place<'_>, limits: Option<Limits>) -> Result<Option<Facts>> {
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(None) };
        self.remembering(|cache| measure::measure(&spot, limits, cache))
    }

    /// Keeps what stands at a place in the store, and returns once all of it is on stable storage.
    pub fn keep(&self, place: Place<'_>) -> Result<Option<Facts>> {
        let store = self.store()?;
        if let (Place::Project(path), Some(marker)) = (place, self.marker(place).filter(Marker::is_there)) {
            return Err(Error::Other(format!(
                "`{path}` is being restored, or was when that was stopped: `au data restore` completes it, and without \
                 `{}` it counts as whole",
                marker.path().display()
            )));
        }
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(None) };
        self.remembering(|cache| measure::keep(&spot, store, cache))
    }

    /// How the folder at a place differs from a manifest, with at most so many examples; none when there is no such
    /// folder or no such manifest.
    pub fn compare(&self, place: Place<'_>, manifest: &str, limit: u32) -> Result<Option<Differences>> {
        parse_digest(manifest)?;
        if self.marker(place).is_some_and(|marker| marker.is_there()) {
            return Ok(None);
        }
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(None) };
        let Some(store) = &self.store else { return Ok(None) };
        let Some(entries) = manifest::read(store, manifest)? else { return Ok(None) };
        self.remembering(|cache| compare::compare(&spot, entries, limit, cache))
    }

    /// Whether the store has all that stands at a place: of a folder also how it is arranged, by its own manifest or, if each
    /// file is where that has it, by one of `manifests`. What a restore that was cut short left is kept, as far as its contents
    /// are.
    pub fn is_kept(&self, place: Place<'_>, manifests: &[String]) -> Result<bool> {
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(true) };
        let Some(store) = &self.store else { return Ok(spot.look()?.is_none()) };
        let partial = self.marker(place).is_some_and(|marker| marker.is_there());
        self.remembering(|cache| {
            let Some(arrangement) = measure::kept_as(&spot, store, partial, cache)? else { return Ok(false) };
            if partial || arrangement.map_or(Ok(true), |manifest| store.has(&manifest))? {
                return Ok(true);
            }
            for manifest in manifests {
                if let Some(entries) = manifest::read(store, manifest)?
                    && compare::is_within(&spot, entries, cache)?
                {
                    return Ok(true);
                }
            }
            Ok(false)
        })
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

    /// Holds what the store has of a content, and of all that it names if it is a manifest, against its digest.
    pub fn check_stored(&self, kind: Kind, digest: &str, limit: u32) -> Result<Check> {
        parse_digest(digest)?;
        check::stored(self.store()?, kind, digest, limit)
    }

    /// Holds what stands at a place against a digest, whatever is remembered of it.
    pub fn check_place(&self, place: Place<'_>, kind: Kind, digest: &str, limit: u32) -> Result<Check> {
        parse_digest(digest)?;
        let Some(spot) = Spot::find(&self.root, place)? else { return Ok(Check::default()) };
        check::place(&spot, self.store.as_ref(), kind, digest, limit)
    }

    /// Makes a path what the digest says, whatever stood there.
    pub fn restore(&self, path: &str, kind: Kind, digest: &str) -> Result<()> {
        check_path(path)?;
        parse_digest(digest)?;
        let store = self.store()?;
        // What can be known to fail leaves no marker.
        match kind {
            Kind::File if !store.has(digest)? => return Err(put::missing(digest, path)),
            Kind::File => {}
            Kind::Folder => restore::check(store, path, digest)?,
        }
        let place = Place::Project(path);
        let failed = |error: io::Error| Error::io(format_args!("restoring `{path}`"), &error);
        let restoring = self.marker(place).map(|marker| marker.begin()).transpose().map_err(failed)?;
        // Another process may have done it while this one waited for it. What can't be measured is replaced.
        let there = self.measure_as_is(place, None).ok().flatten();
        let restored = if there.is_some_and(|there| there.kind == kind && there.digest.as_deref() == Some(digest)) {
            Ok(())
        } else {
            self.remembering(|cache| match kind {
                Kind::File => restore::restore_file(&self.root, path, digest, store, cache),
                Kind::Folder => restore::restore_folder(&self.root, path, digest, store, cache),
            })
        };
        match restoring {
            // A file is there or it is not; a folder may be there in part.
            Some(restoring) if kind == Kind::File || restored.is_ok() => restoring.finish().map_err(failed)?,
            _ => {}
        }
        restored
    }

    /// Removes a file or a folder with all that is in it; removing what is not there succeeds.
    pub fn remove(&self, path: &str) -> Result<()> {
        let place = Place::Project(path);
        Spot::find(&self.root, place)?.map_or(Ok(()), |spot| remove::remove(&spot))?;
        if let Some(marker) = self.marker(place) {
            marker.remove();
        }
        Ok(())
    }

    fn marker(&self, place: Place<'_>) -> Option<Marker> {
        match place {
            Place::Project(path) => Some(Marker::new(self.restoring.as_deref()?, &self.root, path)),
            // Nothing is restored there.
            Place::Outside(_) => None,
        }
    }

    /// What was hashed is remembered even if the rest failed.
    fn remembering<T>(&self, act: impl FnOnce(&mut StatCache) -> Result<T>) -> Result<T> {
        let mut cache = StatCache::load(self.cache.as_deref(), &self.memory);
        let result = act(&mut cache);
        cache.save();
        result
    }

    fn store(&self) -> Result<&Store> {
        let none = || Error::Other("there is no git repository here, and so no store to keep data in".to_owned());
        self.store.as_ref().ok_or_else(none)
    }
}
