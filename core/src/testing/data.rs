//! Data and archives in memory. What lies outside of the project is kept among the files, by its absolute path.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::World;
use crate::error::PortError;
use crate::ports::*;

/// The entries of an archive by path.
pub type Entries = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// What stands at a place: one file, or the files of a folder by their path in it.
enum Content {
    File(Vec<u8>),
    Folder(BTreeMap<String, Vec<u8>>),
}

impl Content {
    fn manifest(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
        let line = |(path, bytes): (&String, &Vec<u8>)| {
            let (size, digest) = (bytes.len(), digest(bytes));
            format!("{{\"path\":{path:?},\"mode\":\"100644\",\"size\":{size},\"digest\":\"{digest}\"}}\n")
        };
        files.iter().map(line).collect::<String>().into_bytes()
    }

    fn facts(&self, digest_too: bool) -> DataFacts {
        let (kind, size, files, told) = match self {
            Self::File(bytes) => (DataKind::File, bytes.len(), 1, digest(bytes)),
            Self::Folder(files) => {
                let size = files.values().map(Vec::len).sum();
                (DataKind::Folder, size, files.len() as u64, digest(&Self::manifest(files)))
            }
        };
        DataFacts { kind, size: size as u64, files, digest: digest_too.then_some(told) }
    }

    /// All that the store has to have of it.
    fn objects(&self) -> Vec<Vec<u8>> {
        match self {
            Self::File(bytes) => vec![bytes.clone()],
            Self::Folder(files) => files.values().cloned().chain([Self::manifest(files)]).collect(),
        }
    }
}

impl World {
    fn content(&self, place: &Place) -> Option<Content> {
        let path = place.path();
        if let Some(bytes) = self.file(path) {
            return Some(Content::File(bytes));
        }
        let below = format!("{path}/");
        let files = self.0.files.borrow();
        let inner: BTreeMap<_, _> = files
            .iter()
            .filter_map(|(file, bytes)| Some((file.strip_prefix(&below)?.to_owned(), bytes.clone())))
            .collect();
        (!inner.is_empty()).then_some(Content::Folder(inner))
    }

    fn stored(&self, digest: &str) -> Option<Vec<u8>> {
        self.0.store.borrow().get(digest).cloned()
    }

    /// The digests and paths that a manifest names.
    fn named(&self, manifest: &str) -> Option<Vec<(String, String)>> {
        let text = String::from_utf8(self.stored(manifest)?).unwrap();
        let field = |line: &str, name: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()[name].as_str().unwrap().to_owned()
        };
        Some(text.lines().map(|line| (field(line, "path"), field(line, "digest"))).collect())
    }

    /// As if telling its digest meant to read so many bytes; none when an earlier call has hashed it.
    pub fn set_cost(&self, path: &str, bytes: u64) {
        self.0.costs.borrow_mut().insert(path.to_owned(), bytes);
    }

    /// Empties the store.
    pub fn lose_store(&self) {
        self.0.store.borrow_mut().clear();
    }

    /// What servers have.
    pub fn serve(&self, url: &str, bytes: &[u8], tag: &str) {
        self.0.served.borrow_mut().insert(url.to_owned(), (bytes.to_vec(), tag.to_owned()));
    }

    pub fn local_setting(&self, key: &str) -> Option<String> {
        self.0.settings.borrow().get(key).cloned()
    }
}

impl Data for World {
    fn measure(&self, place: &Place, limits: Option<DataLimits>) -> PortResult<Option<DataFacts>> {
        let path = place.path();
        let cost = self.0.costs.borrow().get(path).copied();
        Ok(self.content(place).map(|content| {
            let whole = content.facts(true);
            let cost = cost.unwrap_or(whole.size);
            let cheap = limits.is_none_or(|limits| whole.files <= limits.files && cost <= limits.bytes);
            content.facts(cheap)
        }))
    }

    fn keep(&self, place: &Place) -> PortResult<Option<DataFacts>> {
        self.allowed("data", "keep")?;
        let Some(content) = self.content(place) else { return Ok(None) };
        for object in content.objects() {
            self.0.store.borrow_mut().insert(digest(&object), object);
        }
        Ok(Some(content.facts(true)))
    }

    fn compare(&self, place: &Place, manifest: &str, limit: u32) -> PortResult<Option<DataDifferences>> {
        let (Some(Content::Folder(files)), Some(named)) = (self.content(place), self.named(manifest)) else {
            return Ok(None);
        };
        let named: BTreeMap<_, _> = named.into_iter().collect();
        let mut differences = DataDifferences::default();
        let paths: BTreeSet<_> = files.keys().chain(named.keys()).cloned().collect();
        for path in paths {
            let (sign, count) = match (files.get(&path), named.get(&path)) {
                (Some(bytes), Some(known)) if digest(bytes) == *known => continue,
                (Some(_), Some(_)) => ('~', &mut differences.changed),
                (Some(_), None) => ('+', &mut differences.added),
                (None, _) => ('-', &mut differences.removed),
            };
            *count += 1;
            if differences.examples.len() < limit as usize {
                differences.examples.push(format!("{sign} {path}"));
            }
        }
        Ok(Some(differences))
    }

    fn is_kept(&self, place: &Place, manifests: &[&str]) -> PortResult<bool> {
        let Some(content) = self.content(place) else { return Ok(true) };
        let kept = |bytes: &Vec<u8>| self.stored(&digest(bytes)).is_some();
        Ok(match &content {
            Content::File(bytes) => kept(bytes),
            Content::Folder(files) => {
                let arranged = kept(&Content::manifest(files))
                    || manifests.iter().filter_map(|manifest| self.named(manifest)).any(|named| {
                        let named: BTreeMap<_, _> = named.into_iter().collect();
                        files.iter().all(|(path, bytes)| named.get(path) == Some(&digest(bytes)))
                    });
                arranged && files.values().all(kept)
            }
        })
    }

    fn can_restore(&self, kind: DataKind, digest: &str) -> PortResult<bool> {
        Ok(match kind {
            DataKind::File => self.stored(digest).is_some(),
            DataKind::Folder => {
                self.named(digest).is_some_and(|named| named.iter().all(|(_, file)| self.stored(file).is_some()))
            }
        })
    }

    fn check_stored(&self, kind: DataKind, wanted: &str, limit: u32) -> PortResult<DataCheck> {
        let mut check = DataCheck::default();
        let mut objects = vec![(String::new(), wanted.to_owned())];
        if kind == DataKind::Folder {
            objects.extend(self.named(wanted).unwrap_or_default());
        }
        for (name, wanted) in objects {
            let what = match self.stored(&wanted) {
                None => "is not in the store",
                Some(bytes) if digest(&bytes) != wanted => "is damaged in the store",
                Some(_) => continue,
            };
            match check.damages.len() < limit as usize {
                true => check.damages.push(Damage { name, what: what.to_owned() }),
                false => check.more += 1,
            }
        }
        Ok(check)
    }

    fn check_place(&self, place: &Place, _kind: DataKind, digest: &str, _limit: u32) -> PortResult<DataCheck> {
        let facts = self.content(place).map(|content| content.facts(true));
        let mut check = DataCheck::default();
        if facts.is_some_and(|facts| facts.digest.as_deref() != Some(digest)) {
            check.damages.push(Damage { name: String::new(), what: "is not what was recorded".to_owned() });
        }
        Ok(check)
    }

    fn restore(&self, path: &str, kind: DataKind, digest: &str) -> PortResult<()> {
        self.allowed("data", "restore")?;
        Data::remove(self, path)?;
        match kind {
            DataKind::File => self.write(path, &self.stored(digest).unwrap()),
            DataKind::Folder => {
                for (file, digest) in self.named(digest).unwrap() {
                    self.write(&format!("{path}/{file}"), &self.stored(&digest).unwrap());
                }
            }
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> PortResult<()> {
        self.allowed("data", "remove")?;
        let below = format!("{path}/");
        self.0.files.borrow_mut().retain(|file, _| file != path && !file.starts_with(&below));
        Ok(())
    }
}

impl Remote for World {
    fn stat(&self, url: &str) -> PortResult<Option<RemoteAttributes>> {
        self.allowed("remote", "stat")?;
        Ok(self.0.served.borrow().get(url).map(|(bytes, tag)| RemoteAttributes {
            size: Some(bytes.len() as u64),
            entity_tag: Some(tag.clone()),
            last_modified: None,
        }))
    }

    fn fetch(&self, url: &str, path: &str) -> PortResult<Option<RemoteAttributes>> {
        let Some(attributes) = self.stat(url)? else { return Ok(None) };
        let bytes = self.0.served.borrow()[url].0.clone();
        self.write(path, &bytes);
        Ok(Some(attributes))
    }
}

struct Zip {
    world: World,
    entries: Entries,
    name: String,
    target: Entries,
}

impl Zip {
    fn add(&self, path: &str, bytes: &[u8]) {
        let former = self.entries.borrow_mut().insert(path.to_owned(), bytes.to_vec());
        assert!(former.is_none(), "{path} is there twice");
    }
}

impl ArchiveWriter for Zip {
    fn add_bytes(&mut self, path: &str, contents: &[u8]) -> PortResult<()> {
        self.add(path, contents);
        Ok(())
    }

    fn add_file(&mut self, path: &str, location: &Location) -> PortResult<bool> {
        let file = self.world.tree_of(&location.root).remove(&location.path);
        Ok(file.map(|bytes| self.add(path, &bytes)).is_some())
    }

    fn add_tree(&mut self, folder: &str, root: &str, leave_out: &[String]) -> PortResult<Vec<String>> {
        for (path, bytes) in self.world.tree_of(root) {
            if !leave_out.iter().any(|left| path == *left || path.starts_with(&format!("{left}/"))) {
                self.add(&format!("{folder}/{path}"), &bytes);
            }
        }
        Ok(Vec::new())
    }

    fn add_stored(&mut self, path: &str, kind: DataKind, digest: &str) -> PortResult<bool> {
        if !self.world.can_restore(kind, digest)? {
            return Ok(false);
        }
        match kind {
            DataKind::File => self.add(path, &self.world.stored(digest).unwrap()),
            DataKind::Folder => {
                for (file, digest) in self.world.named(digest).unwrap() {
                    self.add(&format!("{path}/{file}"), &self.world.stored(&digest).unwrap());
                }
            }
        }
        Ok(true)
    }

    fn finish(self: Box<Self>) -> PortResult<FinishedArchive> {
        self.world.allowed("archive", "finish")?;
        let size = self.entries.borrow().len() as u64;
        self.target.borrow_mut().append(&mut self.entries.borrow_mut());
        Ok(FinishedArchive { path: self.name, size })
    }
}

impl Archive for World {
    fn begin(&self, destination: Destination, name: &str, _modified: u64) -> PortResult<Box<dyn ArchiveWriter>> {
        let target: Box<Entries> =
            destination.0.downcast().map_err(|_| PortError::Other("the destination is not this world's".into()))?;
        Ok(Box::new(Zip { world: self.clone(), entries: Entries::default(), name: name.to_owned(), target: *target }))
    }
}
