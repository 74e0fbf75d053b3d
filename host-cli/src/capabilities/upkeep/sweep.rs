//! Telling what in the store nothing names, and removing it.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::time::SystemTime;

use super::{Amount, Result, moment, store::files};
use crate::capabilities::data::manifest;
use crate::capabilities::store::{Hash, Store, digest_of, hash_stream, parse_digest};

/// What each manifest of a folder that holds anything begins with.
const MANIFEST: &[u8] = b"{\"path\":\"";

/// What is named so far: 32 bytes for each content.
#[derive(Debug)]
pub struct Sweep {
    store: Store,
    named: HashSet<Hash>,
    /// Of these, those that the store does not have, or not all of.
    missing: HashSet<Hash>,
}

impl Sweep {
    /// Nothing is named yet.
    pub fn begin(store: Store) -> Self {
        Self { store, named: HashSet::new(), missing: HashSet::new() }
    }

    /// These are named, and where one is a manifest, so is all that it names. Answers those that the store does not have whole.
    pub fn keep(&mut self, digests: &[String]) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for digest in digests {
            let hash = parse_digest(digest)?;
            if self.named.insert(hash) && !self.take_in(digest)? {
                self.missing.insert(hash);
            }
            if self.missing.contains(&hash) {
                missing.push(digest.clone());
            }
        }
        Ok(missing)
    }

    /// Names what a manifest names; whether all of it is there.
    fn take_in(&mut self, digest: &str) -> Result<bool> {
        let Some(file) = self.store.open(digest)? else { return Ok(false) };
        let mut begin = Vec::new();
        let read = file.take(MANIFEST.len() as u64).read_to_end(&mut begin);
        read.map_err(|error| self.store.failed("reading", &error))?;
        if begin != MANIFEST {
            return Ok(true);
        }
        let Some(entries) = manifest::read(&self.store, digest)? else { return Ok(false) };
        let mut whole = true;
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                // A file of anybody's may begin like one. If it is what its name says, it names nothing more.
                Err(_) if self.is_undamaged(digest)? => break,
                Err(error) => return Err(error),
            };
            let Some(digest) = &entry.digest else { continue };
            let hash = parse_digest(digest)?;
            self.named.insert(hash);
            whole &= self.store.has_whole(digest, entry.size)?;
        }
        Ok(whole)
    }

    fn is_undamaged(&self, digest: &str) -> Result<bool> {
        let Some(mut file) = self.store.open(digest)? else { return Ok(false) };
        let (hash, _) =
            hash_stream(&mut file, &mut Vec::new(), |_| Ok(()), |error| self.store.failed("reading", error))?;
        Ok(digest_of(&hash) == digest)
    }

    /// What was not named and was last used before.
    pub fn measure(&self, before: u64) -> Result<Amount> {
        let mut amount = Amount::default();
        for first in 0..=u8::MAX {
            self.each_unnamed(first, moment(before), &mut |_, size| {
                amount.add(size);
                Ok(())
            })?;
        }
        Ok(amount)
    }

    /// Removes that. Others wait meanwhile for no longer than one of the store's 256 folders takes.
    pub fn remove(&self, before: u64) -> Result<Amount> {
        let mut amount = Amount::default();
        for first in 0..=u8::MAX {
            let mut some = Vec::new();
            self.each_unnamed(first, moment(before), &mut |path, _| {
                some.push(path.to_owned());
                Ok(())
            })?;
            if some.is_empty() {
                continue;
            }
            let _alone = self.store.lock_alone()?;
            // Somebody may have come to rely on it before the lock was had.
            self.each_unnamed(first, moment(before), &mut |path, size| {
                match fs::remove_file(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    other => other.map_err(|error| self.store.failed("clearing", &error))?,
                }
                amount.add(size);
                Ok(())
            })?;
        }
        Ok(amount)
    }

    fn each_unnamed(
        &self,
        first: u8,
        before: SystemTime,
        act: &mut dyn FnMut(&std::path::Path, u64) -> Result<()>,
    ) -> Result<()> {
        for (digest, path) in files(&self.store, first)? {
            let Some(digest) = digest else { continue };
            if self.named.contains(&parse_digest(&digest)?) {
                continue;
            }
            let found = match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(|error| self.store.failed("reading", &error))?,
            };
            let used = found.modified().map_err(|error| self.store.failed("reading", &error))?;
            if found.is_file() && used < before {
                act(&path, found.len())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::capabilities::Error;
    use crate::capabilities::data::{Data, Place};

    const NOW: u64 = 4_000_000_000_000;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("aurum/store"));
        (folder, store)
    }

    fn age(store: &Store, digest: &str) {
        let old = SystemTime::now() - Duration::from_secs(90 * 24 * 3600);
        File::open(store.path(digest).unwrap()).unwrap().set_modified(old).unwrap();
    }

    fn month_ago() -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        (since.as_secs() - 30 * 24 * 3600) * 1000
    }

    #[test]
    fn what_is_not_named_goes_and_what_is_named_stays() {
        let (folder, store) = store();
        let data = Data::new(folder.path(), Some(&folder.path().join("aurum")));
        fs::create_dir(folder.path().join("images")).unwrap();
        fs::write(folder.path().join("images/1"), "image").unwrap();
        let manifest = data.keep(Place::Project("images")).unwrap().unwrap().digest.unwrap();
        let add = |text: &str| store.add(&mut text.as_bytes()).unwrap().digest;
        let (model, orphan) = (add("model"), add("orphan"));
        let odd = add("{\"path\":\"and not a manifest");
        let image = add("image");
        let mut sweep = Sweep::begin(store.clone());
        let gone = digest_of(&[1; 32]);
        assert_eq!(
            sweep.keep(&[manifest.clone(), model.clone(), gone.clone(), odd.clone()]).unwrap(),
            std::slice::from_ref(&gone)
        );
        assert_eq!(sweep.keep(std::slice::from_ref(&gone)).unwrap(), [gone]);
        assert_eq!(sweep.measure(month_ago()).unwrap(), Amount::default(), "nothing has rested yet");
        age(&store, &orphan);
        age(&store, &model);
        assert_eq!(sweep.measure(month_ago()).unwrap(), Amount { count: 1, bytes: 6 });
        assert_eq!(sweep.remove(NOW).unwrap(), Amount { count: 1, bytes: 6 });
        for kept in [&manifest, &model, &odd, &image] {
            assert!(store.has(kept).unwrap(), "{kept}");
        }
        assert!(!store.has(&orphan).unwrap());
        assert!(sweep.keep(&["x".into()]).is_err());
    }

    #[test]
    fn a_folder_that_lacks_a_file_is_told_and_a_damaged_manifest_stops_it() {
        let (folder, store) = store();
        let data = Data::new(folder.path(), Some(&folder.path().join("aurum")));
        fs::create_dir(folder.path().join("images")).unwrap();
        fs::write(folder.path().join("images/1"), "image").unwrap();
        let manifest = data.keep(Place::Project("images")).unwrap().unwrap().digest.unwrap();
        let image = store.add(&mut "image".as_bytes()).unwrap().digest;
        fs::remove_file(store.path(&image).unwrap()).unwrap();
        assert_eq!(
            Sweep::begin(store.clone()).keep(std::slice::from_ref(&manifest)).unwrap(),
            std::slice::from_ref(&manifest)
        );
        let path = store.path(&manifest).unwrap();
        let text = fs::read_to_string(&path).unwrap().replace("\"size\":5", "\"size\":6");
        fs::remove_file(&path).unwrap();
        fs::write(&path, text).unwrap();
        assert!(Sweep::begin(store).keep(&[manifest]).unwrap_err().to_string().contains("is damaged"));
    }

    #[test]
    fn what_somebody_relies_on_again_is_new_again() {
        let (_folder, store) = store();
        for use_again in [
            (|store: &Store, _: &str| drop(store.add(&mut "model".as_bytes()).unwrap())) as fn(&Store, &str),
            |store, digest| assert!(store.rely_on(digest).unwrap()),
        ] {
            let digest = store.add(&mut "model".as_bytes()).unwrap().digest;
            age(&store, &digest);
            let sweep = Sweep::begin(store.clone());
            assert_eq!(sweep.measure(month_ago()).unwrap().count, 1);
            use_again(&store, &digest);
            assert_eq!(sweep.remove(month_ago()).unwrap().count, 0);
            assert!(store.path(&digest).unwrap().exists());
        }
    }

    #[test]
    fn data_that_is_added_again_is_new_again_and_nothing_goes_meanwhile() {
        let (folder, store) = store();
        let data = Data::new(folder.path(), Some(&folder.path().join("aurum")));
        fs::create_dir(folder.path().join("images")).unwrap();
        for number in 0..40 {
            fs::write(folder.path().join(format!("images/{number}")), format!("image {number}")).unwrap();
        }
        data.keep(Place::Project("images")).unwrap();
        let all = || -> Vec<String> {
            (0..=u8::MAX).flat_map(|first| files(&store, first).unwrap()).filter_map(|(digest, _)| digest).collect()
        };
        assert_eq!(all().len(), 41);
        all().iter().for_each(|digest| age(&store, digest));
        data.keep(Place::Project("images")).unwrap();
        let sweep = Sweep::begin(store.clone());
        assert_eq!(sweep.remove(month_ago()).unwrap(), Amount::default());
        all().iter().for_each(|digest| age(&store, digest));
        let adding = store.lock_shared().unwrap();
        assert!(matches!(sweep.remove(month_ago()), Err(Error::Conflict(_))));
        drop(adding);
        assert_eq!(sweep.remove(month_ago()).unwrap().count, 41);
        assert!(Path::new(&store.objects()).exists());
    }
}
