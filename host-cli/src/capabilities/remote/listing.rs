//! What a folder of a server held when it was last brought: what the server still has as it was then need not come again.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Seek;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::pieces::{Item, Tell};
use super::staging::Staging;
use super::{Error, Result};
use crate::capabilities::cache::Cache;
use crate::capabilities::data::batch::clone_file;
use crate::capabilities::data::parallel::each;
use crate::capabilities::store::{Store, digest_of, hash_stream, hexadecimal};

/// A file of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    path: String,
    size: u64,
    version: Option<String>,
    modified: Option<String>,
    digest: String,
}

impl Known {
    /// Whether the server has it as it was then: by its version, or where it has none by its time.
    fn is(&self, item: &Item) -> bool {
        // What is alike to a weak one need not be the same.
        let strong = |version: &Option<String>| version.clone().filter(|version| !version.starts_with("W/"));
        let is_unchanged = match (strong(&self.version), strong(&item.version)) {
            (None, None) => self.modified.is_some() && self.modified == item.modified,
            (one, other) => one == other,
        };
        item.size == Some(self.size) && is_unchanged
    }
}

/// What is known of a place, by the path within it.
#[derive(Debug)]
pub(super) struct Listing {
    cache: Cache,
    name: String,
    known: HashMap<String, Known>,
}

impl Listing {
    /// Empty where nothing was brought from that place before.
    pub(super) fn of(folder: &Path, place: &str) -> Self {
        let cache = Cache::new(folder.to_owned());
        let name = hexadecimal(&Sha256::digest(place.trim_end_matches('/')))[..32].to_owned();
        let known: Vec<Known> =
            cache.read(&name).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { cache, name, known: known.into_iter().map(|known| (known.path.clone(), known)).collect() }
    }

    /// Copies to the staging place what the store has and has not changed on the server, and answers the paths of it. What is
    /// damaged in the store is not used.
    pub(super) fn reuse<'i>(
        &self,
        items: &'i [Item],
        staging: &Staging,
        store: Option<&Store>,
        tell: Tell<'_>,
    ) -> Result<HashSet<&'i str>> {
        let unchanged = |item: &&Item| self.known.get(&item.path).is_some_and(|known| known.is(item));
        // What was begun is gone on with.
        let jobs: Vec<&Item> = items.iter().filter(unchanged).filter(|item| !staging.has_begun(item)).collect();
        let total = items.iter().map(|item| item.size).sum::<Option<u64>>();
        let copied = AtomicU64::new(0);
        let found = each(&jobs, |item, buffer| {
            let Some(known) = self.known.get(&item.path) else { return Ok(false) };
            let stored = store.and_then(|store| store.open(&known.digest).ok().flatten());
            let Some(mut from) = stored else { return Ok(false) };
            staging.make(&item.path)?;
            staging.renew(item)?;
            let is_whole = match copy(&mut from, &mut staging.open(&item.path)?, buffer) {
                Ok((digest, size)) => digest == known.digest && size == known.size,
                Err(error @ Error::NoSpace(_)) => return Err(error),
                // The server has it as well.
                Err(_) => false,
            };
            if is_whole {
                tell(copied.fetch_add(known.size, Ordering::Relaxed) + known.size, total);
            }
            Ok(is_whole)
        })?;
        Ok(jobs.into_iter().zip(found).filter(|(_, found)| *found).map(|(item, _)| item.path.as_str()).collect())
    }

    /// Remembers what was brought. Failing is no matter: it all comes once more then.
    pub(super) fn remember(self, items: &[Item], reused: &HashSet<&str>, staging: &Staging) -> Result<()> {
        let told = |item: &&Item| item.size.is_some() && (item.version.is_some() || item.modified.is_some());
        let files: Vec<&Item> = items.iter().filter(|item| !item.path.ends_with('/')).filter(told).collect();
        let known = each(&files, |item, buffer| {
            if let Some(known) = self.known.get(&item.path).filter(|_| reused.contains(item.path.as_str())) {
                return Ok(known.clone());
            }
            let unreadable = |error: &std::io::Error| Error::io(format_args!("reading `{}`", item.path), error);
            let (hash, size) = hash_stream(&mut staging.open(&item.path)?, buffer, |_| Ok(()), unreadable)?;
            let Item { path, version, modified, .. } = (*item).clone();
            Ok(Known { path, size, version, modified, digest: digest_of(&hash) })
        })?;
        let text = serde_json::to_vec(&known).map_err(|error| Error::Other(error.to_string()))?;
        self.cache.write(&self.name, &text)
    }
}

/// Into an empty file; answers the digest and the size of what was copied.
fn copy(from: &mut File, to: &mut File, buffer: &mut Vec<u8>) -> Result<(String, u64)> {
    let failed = |error: &std::io::Error| Error::io("copying what is here already", error);
    to.set_len(0).map_err(|error| failed(&error))?;
    let (hash, size) = if clone_file(to, from) {
        hash_stream(to, buffer, |_| Ok(()), failed)?
    } else {
        from.rewind().map_err(|error| failed(&error))?;
        hash_stream(from, buffer, |piece| std::io::Write::write_all(to, piece).map_err(|error| failed(&error)), failed)?
    };
    Ok((digest_of(&hash), size))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

    use super::*;

    fn item(path: &str, version: Option<&str>, modified: Option<&str>) -> Item {
        let (version, modified) = (version.map(str::to_owned), modified.map(str::to_owned));
        Item { path: path.to_owned(), key: path.to_owned(), size: Some(3), version, modified }
    }

    #[test]
    fn only_what_is_the_same_on_the_server_and_here_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let listings = folder.path().join("listings");
        let downloads = folder.path().join("downloads");
        let items = ["same", "newer", "spoiled", "gone", "sub/timed"].map(|path| match path {
            "sub/timed" => item(path, None, Some("then")),
            _ => item(path, Some("\"1\""), Some("then")),
        });
        let staging = Staging::begin(&downloads, "s3://b/k").unwrap();
        for item in &items {
            staging.make(&item.path).unwrap();
            fs::write(staging.content().join(&item.path), &item.path[..3]).unwrap();
        }
        let none = HashSet::new();
        Listing::of(&listings, "s3://b/k").remember(&items, &none, &staging).unwrap();
        staging.close();

        let store = Store::new(folder.path().join("store"));
        for name in ["same", "newer", "spoiled", "sub/timed"] {
            let digest = store.add(&mut &name.as_bytes()[..3]).unwrap().digest;
            if name == "spoiled" {
                let path = store.path(&digest).unwrap();
                fs::remove_file(&path).unwrap();
                fs::write(&path, "???").unwrap();
            }
        }
        let mut now = items.to_vec();
        now[0].modified = Some("later".to_owned());
        now[1].version = Some("\"2\"".to_owned());
        let staging = Staging::begin(&downloads, "s3://b/k").unwrap();
        staging.make_folder().unwrap();
        let listing = Listing::of(&listings, "s3://b/k/");
        let reused = listing.reuse(&now, &staging, Some(&store), &|_, _| ()).unwrap();
        assert_eq!(reused, HashSet::from(["same", "sub/timed"]));
        assert_eq!(fs::read_to_string(staging.content().join("sub/timed")).unwrap(), "sub");
        assert!(Listing::of(&listings, "s3://b/other").known.is_empty());

        // What is not as long as the server says is of another version, whatever else it says.
        now[4].size = Some(4);
        assert!(listing.reuse(&now[4..], &staging, Some(&store), &|_, _| ()).unwrap().is_empty());
    }

    #[test]
    fn what_was_begun_is_not_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::begin(folder.path(), "x").unwrap();
        let one = item("a", Some("\"1\""), None);
        staging.make("a").unwrap();
        let file = staging.open("a").unwrap();
        staging.note(&super::super::staging::Step::new(&one, 0, 2), &file).unwrap();
        assert!(!staging.has_begun(&one), "what this call did is not asked for");
        drop(staging);
        let staging = Staging::begin(folder.path(), "x").unwrap();
        assert!(staging.has_begun(&one) && !staging.has_begun(&item("a", Some("\"2\""), None)));
    }
}
