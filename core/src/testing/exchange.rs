//! Other clones in memory: a git remote is another world, and a data remote a shared map.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Tree, World};
use crate::error::PortError;
use crate::ports::*;

/// What a data remote holds, by digest.
pub type Share = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

impl World {
    /// A remote of that name.
    pub fn add_remote(&self, name: &str, world: &World) {
        self.0.remotes.borrow_mut().insert(name.to_owned(), world.clone());
    }

    /// What stands at the address of a data remote.
    pub fn add_share(&self, url: &str, share: &Share) {
        self.0.shares.borrow_mut().insert(url.to_owned(), share.clone());
    }

    /// Refuses what others push to references that begin so.
    pub fn protect(&self, prefix: &str) {
        self.0.protected.borrow_mut().push(prefix.to_owned());
    }

    pub fn has_digest(&self, digest: &str) -> bool {
        self.0.store.borrow().contains_key(digest)
    }

    fn reach(&self, remote: &str) -> ExchangeResult<World> {
        self.allowed("exchange", "reach")?;
        let there = self.0.remotes.borrow().get(remote).cloned();
        there.ok_or_else(|| Problem::Refused(Trouble::NoRepository, format!("'{remote}' does not appear to be one")))
    }

    /// As git does: all objects that the other lacks.
    fn copy_objects(&self, to: &World) {
        let copy = |from: &RefCell<BTreeMap<String, Vec<u8>>>, to: &RefCell<BTreeMap<String, Vec<u8>>>| {
            to.borrow_mut().extend(from.borrow().clone());
        };
        copy(&self.0.blobs, &to.0.blobs);
        to.0.trees.borrow_mut().extend(self.0.trees.borrow().clone());
        to.0.commits.borrow_mut().extend(self.0.commits.borrow().clone());
    }

    fn ancestors(&self, commit: &str) -> BTreeSet<String> {
        let commits = self.0.commits.borrow();
        let (mut seen, mut pending) = (BTreeSet::new(), vec![commit.to_owned()]);
        while let Some(commit) = pending.pop() {
            if let Some(plan) = commits.get(&commit).filter(|_| seen.insert(commit.clone())) {
                pending.extend(plan.parents.iter().cloned());
            }
        }
        seen
    }

    fn lines(&self, commit: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut notes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, text) in self.tree_of(commit) {
            let text = String::from_utf8(text).unwrap();
            notes.entry(path.replace('/', "")).or_default().extend(text.lines().map(str::to_owned));
        }
        notes
    }
}

struct Told(Vec<Reference>);

impl Advertisement for Told {
    fn page(&self, offset: u32, limit: u32) -> Vec<Reference> {
        self.0.iter().skip(offset as usize).take(limit as usize).cloned().collect()
    }
}

fn update(there: &World, update: &Update) -> Result<bool, Verdict> {
    if there.0.protected.borrow().iter().any(|prefix| update.name.starts_with(prefix)) {
        return Err(Verdict::Declined);
    }
    let now = there.reference(&update.name);
    match (&update.target, &update.expected, &now) {
        (target, _, now) if target == now => return Ok(false),
        (Some(_), None, None) => {}
        (_, Some(expected), Some(now)) if expected == now => {}
        (Some(target), None, Some(now))
            if !update.name.starts_with("refs/tags/") && there.ancestors(target).contains(now) => {}
        _ => return Err(Verdict::Moved),
    }
    let mut references = there.0.references.borrow_mut();
    match &update.target {
        Some(target) => references.insert(update.name.clone(), target.clone()),
        None => references.remove(&update.name),
    };
    Ok(true)
}

impl Exchange for World {
    fn remotes(&self) -> PortResult<Vec<String>> {
        Ok(self.0.remotes.borrow().keys().cloned().collect())
    }

    fn ask(&self, remote: &str, prefixes: &[&str]) -> ExchangeResult<Box<dyn Advertisement>> {
        let there = self.reach(remote)?;
        let references = there.0.references.borrow();
        let told = references.iter().filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
        let told = told.map(|(name, target)| Reference { name: name.clone(), target: target.clone() });
        Ok(Box::new(Told(told.collect())))
    }

    fn push(&self, remote: &str, updates: &[Update]) -> ExchangeResult<Delivery> {
        let there = self.reach(remote)?;
        self.copy_objects(&there);
        let mut delivery = Delivery::default();
        for wanted in updates {
            match update(&there, wanted) {
                Ok(changed) => delivery.done += u64::from(changed),
                Err(verdict) => delivery.refused.push(RefusedUpdate {
                    name: wanted.name.clone(),
                    verdict,
                    words: "it is so".to_owned(),
                }),
            }
        }
        Ok(delivery)
    }

    fn push_below(&self, remote: &str, prefix: &str, except: &[String]) -> ExchangeResult<Delivery> {
        let mut updates: Vec<Update> = Vec::new();
        for (name, target) in self.0.references.borrow().iter() {
            if name.starts_with(prefix) && !except.contains(name) {
                updates.push(Update { name: name.clone(), target: Some(target.clone()), expected: None });
            }
        }
        Exchange::push(self, remote, &updates)
    }

    fn fetch(&self, remote: &str, wanted: &[Wanted]) -> ExchangeResult<Option<String>> {
        let there = self.reach(remote)?;
        there.copy_objects(self);
        let mut said = None;
        for Wanted { source, destination } in wanted {
            let target = there.reference(source);
            let target = target.ok_or_else(|| Problem::Refused(Trouble::Unknown, format!("no ref {source}")))?;
            match self.reference(destination) {
                None => self.set_ref(destination, &target),
                Some(here) if here == target => {}
                Some(_) => said = Some(format!("{destination} would be moved")),
            }
        }
        Ok(said)
    }

    fn fetch_below(&self, remote: &str, prefix: &str, except: &[String]) -> ExchangeResult<Option<String>> {
        let names = self.reach(remote)?.reference_names();
        let wanted = names.into_iter().filter(|name| name.starts_with(prefix) && !except.contains(name));
        let wanted: Vec<_> = wanted.map(|name| Wanted { source: name.clone(), destination: name }).collect();
        Exchange::fetch(self, remote, &wanted)
    }

    fn merge_notes(&self, ours: &str, theirs: &str, signature: &Signature) -> PortResult<ObjectId> {
        self.allowed("repository-edit", "merge-notes")?;
        if self.ancestors(ours).contains(theirs) {
            return Ok(ours.to_owned());
        }
        if self.ancestors(theirs).contains(ours) {
            return Ok(theirs.to_owned());
        }
        let mut notes = self.lines(ours);
        for (commit, lines) in self.lines(theirs) {
            notes.entry(commit).or_default().extend(lines);
        }
        let mut tree = Tree::new();
        for (commit, lines) in notes {
            let text: String = lines.into_iter().map(|line| line + "\n").collect();
            tree.insert(commit, self.add_blob(text.as_bytes()));
        }
        let plan = CommitPlan {
            tree: self.add_tree(tree),
            parents: vec![ours.to_owned(), theirs.to_owned()],
            signature: signature.clone(),
            message: "notes: Merged".to_owned(),
        };
        RepositoryEdit::commit(self, &plan)
    }

    fn parents(&self, commit: &str) -> PortResult<Option<Vec<ObjectId>>> {
        Ok(self.0.commits.borrow().get(commit).map(|plan| plan.parents.clone()))
    }

    fn descends(&self, commit: &str, ancestor: &str) -> PortResult<bool> {
        Ok(self.ancestors(commit).contains(ancestor))
    }

    fn data_remotes(&self) -> PortResult<Vec<DataRemote>> {
        let settings = self.0.settings.borrow();
        let remote = |(key, url): (&String, &String)| {
            let name = key.strip_prefix("aurum.remote.")?.strip_suffix(".url")?;
            Some(DataRemote { name: name.to_owned(), url: url.clone() })
        };
        Ok(settings.iter().filter_map(remote).collect())
    }

    fn weigh(&self, objects: &[Object]) -> PortResult<Freight> {
        let store = self.0.store.borrow();
        let mut freight = Freight::default();
        for object in objects {
            match store.get(&object.digest) {
                Some(bytes) => {
                    freight.objects += 1;
                    freight.bytes += bytes.len() as u64;
                }
                None => freight.absent += 1,
            }
        }
        Ok(freight)
    }

    fn send(&self, url: &str, objects: &[Object]) -> PortResult<Freight> {
        self.allowed("exchange", "send")?;
        let share = self.0.shares.borrow().get(url).cloned();
        let share = share.ok_or_else(|| PortError::Other(format!("there is no folder {url}")))?;
        Ok(carry(&self.0.store.borrow(), &mut share.borrow_mut(), objects))
    }

    fn bring(&self, url: &str, objects: &[Object]) -> PortResult<Freight> {
        self.allowed("exchange", "bring")?;
        let share = self.0.shares.borrow().get(url).cloned();
        let share = share.ok_or_else(|| PortError::Other(format!("there is no folder {url}")))?;
        let freight = carry(&share.borrow(), &mut self.0.store.borrow_mut(), objects);
        Ok(freight)
    }
}

fn carry(from: &BTreeMap<String, Vec<u8>>, to: &mut BTreeMap<String, Vec<u8>>, objects: &[Object]) -> Freight {
    let mut freight = Freight::default();
    for Object { digest, .. } in objects {
        match (from.get(digest), to.contains_key(digest)) {
            (_, true) => {}
            (None, false) => freight.absent += 1,
            (Some(bytes), false) => {
                freight.objects += 1;
                freight.bytes += bytes.len() as u64;
                to.insert(digest.clone(), bytes.clone());
            }
        }
    }
    freight
}
