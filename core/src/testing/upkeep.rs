//! Checking and clearing in memory.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::World;
use crate::error::PortError;
use crate::layout;
use crate::ports::*;

impl World {
    /// As if a byte of a content had flipped on the disk.
    pub fn damage_content(&self, digest: &str) {
        self.0.store.borrow_mut().get_mut(digest).unwrap()[0] ^= 1;
    }

    pub fn forget_content(&self, digest: &str) {
        self.0.store.borrow_mut().remove(digest);
    }

    pub fn contents(&self) -> BTreeSet<String> {
        self.0.store.borrow().keys().cloned().collect()
    }

    /// Everything that the commit leads to is there.
    pub fn is_whole(&self, commit: &str) -> bool {
        let Some(plan) = self.0.commits.borrow().get(commit).cloned() else { return false };
        let trees = self.0.trees.borrow();
        let Some(tree) = trees.get(&plan.tree) else { return false };
        let blobs = self.0.blobs.borrow();
        tree.values().all(|blob| blobs.contains_key(blob)) && plan.parents.iter().all(|parent| self.is_whole(parent))
    }
}

struct InMemory(World, BTreeSet<String>);

impl InMemory {
    fn unnamed(&self, before: u64) -> Vec<(String, u64)> {
        let (store, used) = (self.0.0.store.borrow(), self.0.0.used.borrow());
        let old = |digest: &String| used.get(digest).copied().unwrap_or_default() < before;
        let unnamed = store.iter().filter(|(digest, _)| !self.1.contains(*digest) && old(digest));
        unnamed.map(|(digest, bytes)| (digest.clone(), bytes.len() as u64)).collect()
    }
}

fn sum(found: &[(String, u64)]) -> Amount {
    Amount { count: found.len() as u64, bytes: found.iter().map(|(_, size)| size).sum() }
}

impl Sweep for InMemory {
    fn keep(&mut self, digests: &[String]) -> PortResult<Vec<String>> {
        let mut missing = Vec::new();
        for digest in digests {
            self.1.insert(digest.clone());
            let Some(bytes) = self.0.0.store.borrow().get(digest).cloned() else {
                missing.push(digest.clone());
                continue;
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.starts_with("{\"path\":") {
                let inner = text.split('"').filter(|word| word.starts_with("sha256:")).map(str::to_owned);
                let inner: Vec<String> = inner.collect();
                if !self.keep(&inner)?.is_empty() {
                    missing.push(digest.clone());
                }
            }
        }
        Ok(missing)
    }

    fn measure(&self, before: u64) -> PortResult<Amount> {
        Ok(sum(&self.unnamed(before)))
    }

    fn remove(&self, before: u64) -> PortResult<Amount> {
        self.0.allowed("upkeep", "sweep")?;
        let unnamed = self.unnamed(before);
        for (digest, _) in &unnamed {
            self.0.forget_content(digest);
        }
        Ok(sum(&unnamed))
    }
}

impl Upkeep for World {
    fn check_commits(&self, commits: &[ObjectId]) -> PortResult<Vec<Damage>> {
        let broken = commits.iter().filter(|commit| !self.is_whole(commit));
        Ok(broken.map(|commit| Damage { name: commit.clone(), what: "lacks an object".into() }).collect())
    }

    fn check_repository(&self) -> PortResult<Vec<Damage>> {
        Ok(Vec::new())
    }

    fn broken_references(&self) -> PortResult<Vec<Damage>> {
        let references = self.0.references.borrow();
        let torn = references.iter().filter(|(_, target)| target.is_empty());
        Ok(torn.map(|(name, _)| Damage { name: name.clone(), what: "is torn".into() }).collect())
    }

    fn file_versions(&self, folder: &str, offset: u32) -> PortResult<Vec<Vec<u8>>> {
        let below = |path: &String| layout::is_below(path, folder);
        let files = self.0.files.borrow();
        let mut versions: Vec<Vec<u8>> =
            files.iter().filter(|(path, _)| below(path)).map(|(_, bytes)| bytes.clone()).collect();
        if let Some(tree) = self.0.head.borrow().tree.as_ref().and_then(|tree| self.0.trees.borrow().get(tree).cloned())
        {
            let blobs = self.0.blobs.borrow();
            versions.extend(tree.iter().filter(|(path, _)| below(path)).map(|(_, blob)| blobs[blob].clone()));
        }
        // One at a time, so that callers are seen to ask again.
        Ok(versions.into_iter().skip(offset as usize).take(1).collect())
    }

    fn loose_objects(&self) -> PortResult<Amount> {
        Ok(Amount { count: self.0.blobs.borrow().len() as u64, bytes: 0 })
    }

    fn temporaries(&self, _before: u64, remove: bool) -> PortResult<Amount> {
        if remove {
            self.allowed("upkeep", "temporaries")?;
        }
        Ok(Amount::default())
    }

    fn check_store(&self, first: u8) -> PortResult<StoreCheck> {
        let prefix = format!("sha256:{first:02x}");
        let mut check = StoreCheck::default();
        for (digest, bytes) in self.0.store.borrow().iter().filter(|(digest, _)| digest.starts_with(&prefix)) {
            check.read.count += 1;
            check.read.bytes += bytes.len() as u64;
            let actual: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if *digest != format!("sha256:{actual}") {
                check.damages.push(Damage { name: digest.clone(), what: "is damaged".into() });
            }
        }
        Ok(check)
    }

    fn begin_sweep(&self) -> PortResult<Box<dyn Sweep>> {
        if self.0.refused.borrow().contains("upkeep") {
            return Err(PortError::Denied("store".into()));
        }
        Ok(Box::new(InMemory(self.clone(), BTreeSet::new())))
    }
}
