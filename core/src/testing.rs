//! Ports that keep everything in memory, so that the core's rules are tested natively, fast, and with faults at will.
//!
//! Git objects are kept by the SHA-256 of their content, cut to 40 digits: enough for the core, which never looks inside
//! a name.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a world for tests alone")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::error::PortError;
use crate::ports::*;

pub mod data;
pub mod exchange;
pub mod upkeep;

type Tree = BTreeMap<String, String>;
/// Of a journal, which its writer has though nobody finds it any more.
type Bytes = Rc<RefCell<Vec<u8>>>;

/// After how many calls, and what is done then.
type Visit = (u32, Box<dyn FnOnce()>);

#[derive(Default)]
struct Inner {
    standing: Cell<Option<Standing>>,
    head: RefCell<Head>,
    identity: RefCell<Option<Identity>>,
    blobs: RefCell<BTreeMap<String, Vec<u8>>>,
    trees: RefCell<BTreeMap<String, Tree>>,
    commits: RefCell<BTreeMap<String, CommitPlan>>,
    references: RefCell<BTreeMap<String, String>>,
    index: RefCell<BTreeMap<String, String>>,
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    folders: RefCell<BTreeSet<String>>,
    journals: RefCell<BTreeMap<(String, u32), Bytes>>,
    held: RefCell<BTreeSet<(String, u32)>>,
    store: RefCell<BTreeMap<String, Vec<u8>>>,
    /// When contents of the store were last added.
    used: RefCell<BTreeMap<String, u64>>,
    /// Bytes to be read to tell the digest of a path.
    costs: RefCell<BTreeMap<String, u64>>,
    /// By address: content and entity tag.
    served: RefCell<BTreeMap<String, (Vec<u8>, String)>>,
    settings: RefCell<BTreeMap<String, String>>,
    cache: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Files of commits that were read.
    reads: Cell<usize>,
    /// What git's remotes lead to, by name.
    remotes: RefCell<BTreeMap<String, World>>,
    /// What data remotes hold, by address.
    shares: RefCell<BTreeMap<String, exchange::Share>>,
    /// References that others may not change here, by the beginning of their names.
    protected: RefCell<Vec<String>>,
    exclude: RefCell<Option<Vec<u8>>>,
    tracked: RefCell<BTreeSet<String>>,
    warnings: RefCell<Vec<String>>,
    calls: RefCell<Vec<String>>,
    refused: RefCell<BTreeSet<&'static str>>,
    failing: RefCell<Option<Failing>>,
    /// What another process does after so many calls.
    visit: RefCell<Option<Visit>>,
    /// How much of each journal a power cut leaves for certain.
    synced: RefCell<BTreeMap<(String, u32), usize>>,
    /// What another process writes to the next file that is exchanged.
    interference: RefCell<Option<Vec<u8>>>,
    /// How often what was just written is removed again.
    sweeps: Cell<u32>,
    /// What a reference was last set to.
    last_set: RefCell<String>,
    now: Cell<u64>,
    random: Cell<u8>,
    /// Whether the file system has no locks.
    lockless: Cell<bool>,
}

struct Failing {
    successes: u32,
    once: bool,
}

/// A whole world in memory. Clones share it.
#[derive(Clone, Default)]
pub struct World(Rc<Inner>);

impl World {
    /// A folder in a repository with one commit, and an identity.
    pub fn new() -> Self {
        let world = Self::default();
        world.0.standing.set(Some(Standing::Root));
        *world.0.identity.borrow_mut() = Some(Identity { name: "Ada".into(), email: "ada@example.org".into() });
        world.0.now.set(1_700_000_000_000);
        world
    }

    /// The same as a project.
    pub fn project() -> Self {
        let world = Self::new();
        world.write(".au/config", b"[aurum]\n");
        world
    }

    /// Everything as ports.
    pub fn ports(&self) -> Ports {
        let world = Rc::new(self.clone());
        Ports {
            repository: world.clone(),
            repository_edit: world.clone(),
            workspace: world.clone(),
            workspace_edit: world.clone(),
            journal: world.clone(),
            store: world.clone(),
            cache: world.clone(),
            data: world.clone(),
            archive: world.clone(),
            remote: world.clone(),
            exchange: world.clone(),
            clock: world.clone(),
            entropy: world.clone(),
            machine: world.clone(),
            interpreter: world.clone(),
            progress: world.clone(),
            upkeep: world,
        }
    }

    pub fn set_clock(&self, milliseconds: u64) {
        self.0.now.set(milliseconds);
    }

    pub fn set_standing(&self, standing: Standing) {
        self.0.standing.set(Some(standing));
    }

    pub fn forget_identity(&self) {
        *self.0.identity.borrow_mut() = None;
    }

    pub fn set_identity(&self) {
        *self.0.identity.borrow_mut() = Some(Identity { name: "Ada".into(), email: "ada@example.org".into() });
    }

    pub fn set_operation(&self, operation: &str) {
        self.0.head.borrow_mut().operation = Some(operation.to_owned());
    }

    pub fn write(&self, path: &str, contents: &[u8]) {
        self.0.files.borrow_mut().insert(path.to_owned(), contents.to_vec());
    }

    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.0.files.borrow().get(path).cloned()
    }

    pub fn files(&self) -> Vec<String> {
        self.0.files.borrow().keys().cloned().collect()
    }

    pub fn stage_file(&self, path: &str, contents: &[u8]) {
        let blob = self.add_blob(contents);
        self.0.index.borrow_mut().insert(path.to_owned(), blob);
    }

    pub fn staged(&self, path: &str) -> Option<Vec<u8>> {
        self.0.index.borrow().get(path).map(|blob| self.0.blobs.borrow()[blob].clone())
    }

    /// Commits these files on HEAD.
    pub fn commit_files(&self, files: &[(&str, &[u8])]) -> String {
        let tree = files.iter().map(|(path, contents)| ((*path).to_owned(), self.add_blob(contents))).collect();
        let tree = self.add_tree(tree);
        let signature = Signature {
            identity: Identity { name: "Ada".into(), email: "ada@example.org".into() },
            seconds: 0,
            offset_minutes: 0,
        };
        let plan = CommitPlan { tree: tree.clone(), parents: vec![], signature, message: "base".into() };
        let commit = RepositoryEdit::commit(self, &plan).unwrap();
        *self.0.head.borrow_mut() =
            Head { commit: Some(commit.clone()), tree: Some(tree), branch: Some("main".into()), operation: None };
        commit
    }

    /// Another process writes this to the next file that is exchanged, just before.
    pub fn interfere(&self, contents: &[u8]) {
        *self.0.interference.borrow_mut() = Some(contents.to_vec());
    }

    /// Has a `git gc` remove so many times what a reference was just set to.
    pub fn sweep(&self, times: u32) {
        self.0.sweeps.set(times);
    }

    /// Has git track a path.
    pub fn track(&self, path: &str) {
        self.0.tracked.borrow_mut().insert(path.to_owned());
    }

    pub fn set_ref(&self, name: &str, target: &str) {
        self.0.references.borrow_mut().insert(name.to_owned(), target.to_owned());
    }

    pub fn reference(&self, name: &str) -> Option<String> {
        self.0.references.borrow().get(name).cloned()
    }

    /// How many files of commits were read so far.
    pub fn reads(&self) -> usize {
        self.0.reads.get()
    }

    /// The derived bytes, for a test to spoil.
    pub fn cache(&self) -> std::cell::RefMut<'_, BTreeMap<String, Vec<u8>>> {
        self.0.cache.borrow_mut()
    }

    pub fn reference_names(&self) -> Vec<String> {
        self.0.references.borrow().keys().cloned().collect()
    }

    pub fn head(&self) -> Head {
        self.0.head.borrow().clone()
    }

    pub fn plan(&self, commit: &str) -> CommitPlan {
        self.0.commits.borrow()[commit].clone()
    }

    /// The files of a commit.
    pub fn tree_of(&self, commit: &str) -> BTreeMap<String, Vec<u8>> {
        let tree = self.0.commits.borrow()[commit].tree.clone();
        let blobs = self.0.blobs.borrow();
        self.0.trees.borrow()[&tree].iter().map(|(path, blob)| (path.clone(), blobs[blob].clone())).collect()
    }

    /// As if the commit or tree had never reached the disk.
    pub fn forget_object(&self, id: &str) {
        self.0.commits.borrow_mut().remove(id);
        self.0.trees.borrow_mut().remove(id);
    }

    pub fn journal_bytes(&self, id: &str) -> Option<Vec<u8>> {
        self.part_bytes(id, 0)
    }

    pub fn part_bytes(&self, id: &str, number: u32) -> Option<Vec<u8>> {
        self.0.journals.borrow().get(&(id.to_owned(), number)).map(|journal| journal.borrow().clone())
    }

    pub fn set_journal(&self, id: &str, bytes: Vec<u8>) {
        self.set_part(id, 0, bytes);
    }

    pub fn set_part(&self, id: &str, number: u32, bytes: Vec<u8>) {
        self.0.journals.borrow_mut().insert((id.to_owned(), number), Rc::new(RefCell::new(bytes)));
    }

    /// As a file system without locks, where somebody may be taken for dead who is not.
    pub fn lose_locks(&self) {
        self.0.lockless.set(true);
    }

    pub fn set_now(&self, now: u64) {
        self.0.now.set(now);
    }

    /// As if the process that holds the journal had died, or were taken for dead.
    pub fn kill(&self, id: &str) {
        self.kill_part(id, 0);
    }

    pub fn kill_part(&self, id: &str, number: u32) {
        self.0.held.borrow_mut().remove(&(id.to_owned(), number));
    }

    pub fn warnings(&self) -> Vec<String> {
        self.0.warnings.borrow().clone()
    }

    /// What was done, in order, syncs included.
    pub fn calls(&self) -> Vec<String> {
        self.0.calls.borrow().clone()
    }

    /// Refuses a capability, by the name of its interface.
    pub fn refuse(&self, capability: &'static str) {
        self.0.refused.borrow_mut().insert(capability);
    }

    /// Lets every call fail once this many have succeeded: to the core, the same as the death of its process.
    pub fn fail_after(&self, successes: u32) {
        *self.0.failing.borrow_mut() = Some(Failing { successes, once: false });
    }

    /// Lets one call fail once this many have succeeded, and none after it.
    pub fn fail_once_after(&self, successes: u32) {
        *self.0.failing.borrow_mut() = Some(Failing { successes, once: true });
    }

    /// Lets another process do something after so many calls.
    pub fn visit_after(&self, calls: u32, visit: impl FnOnce() + 'static) {
        *self.0.visit.borrow_mut() = Some((calls, Box::new(visit)));
    }

    /// How much of a run's own journal a power cut leaves for certain.
    pub fn synced_length(&self, id: &str) -> usize {
        self.0.synced.borrow().get(&(id.to_owned(), 0)).copied().unwrap_or(0)
    }

    /// The runs that there are journals of.
    pub fn journal_ids(&self) -> Vec<String> {
        self.0.journals.borrow().keys().filter(|(_, number)| *number == 0).map(|(id, _)| id.clone()).collect()
    }

    /// Every commit there is.
    pub fn commit_names(&self) -> Vec<String> {
        self.0.commits.borrow().keys().cloned().collect()
    }

    pub fn has_stored(&self, contents: &[u8]) -> bool {
        self.0.store.borrow().values().any(|stored| stored == contents)
    }

    /// As if all processes had died.
    pub fn kill_all(&self) {
        self.0.held.borrow_mut().clear();
    }

    pub fn heal(&self) {
        *self.0.failing.borrow_mut() = None;
        *self.0.visit.borrow_mut() = None;
        self.0.refused.borrow_mut().clear();
    }

    pub fn bytes(contents: &[u8]) -> ByteStream {
        ByteStream(Box::new(contents.to_vec()))
    }

    /// What lies outside, and what a line of `.gitignore` that begins with a slash names.
    fn is_ignored(&self, path: &str) -> bool {
        let files = [self.file(".gitignore"), self.0.exclude.borrow().clone()];
        let lines = String::from_utf8(files.into_iter().flatten().flatten().collect()).unwrap();
        let fits = |line: &str| match line.strip_suffix('/') {
            Some(folder) => path.starts_with(&format!("{folder}/")),
            None => path == line,
        };
        path.starts_with('/') || lines.lines().filter_map(|line| line.strip_prefix('/')).any(fits)
    }

    fn add_blob(&self, bytes: &[u8]) -> String {
        let id = name(bytes);
        self.0.blobs.borrow_mut().insert(id.clone(), bytes.to_vec());
        id
    }

    fn add_tree(&self, tree: Tree) -> String {
        let id = name(format!("{tree:?}").as_bytes());
        self.0.trees.borrow_mut().insert(id.clone(), tree);
        id
    }

    fn tree(&self, root: &str) -> PortResult<Tree> {
        let tree = self.0.commits.borrow().get(root).map_or_else(|| root.to_owned(), |plan| plan.tree.clone());
        self.0.trees.borrow().get(&tree).cloned().ok_or_else(|| PortError::Missing(format!("no tree {root}")))
    }

    fn allowed(&self, capability: &'static str, call: &str) -> PortResult<()> {
        if self.0.refused.borrow().contains(capability) {
            return Err(PortError::Denied(capability.to_owned()));
        }
        self.0.calls.borrow_mut().push(call.to_owned());
        let visit = self.0.visit.borrow_mut().take();
        match visit {
            Some((0, visit)) => visit(),
            Some((calls, visit)) => *self.0.visit.borrow_mut() = Some((calls - 1, visit)),
            None => {}
        }
        let mut failing = self.0.failing.borrow_mut();
        if let Some(plan) = failing.as_mut() {
            if plan.successes == 0 {
                if plan.once {
                    *failing = None;
                }
                return Err(PortError::NoSpace(call.to_owned()));
            }
            plan.successes -= 1;
        }
        Ok(())
    }
}

fn name(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

struct Changes(Vec<Change>);

impl ChangeSet for Changes {
    fn length(&self) -> u32 {
        self.0.len() as u32
    }

    fn page(&self, offset: u32, limit: u32) -> Vec<Change> {
        self.0.iter().skip(offset as usize).take(limit as usize).cloned().collect()
    }
}

/// One line an answer, so that callers are seen to ask again.
struct Lines(std::collections::VecDeque<Vec<u8>>);

impl ReferenceList for Lines {
    fn next(&mut self) -> Vec<u8> {
        self.0.pop_front().unwrap_or_default()
    }
}

impl Cache for World {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.allowed("cache", "read-cache").ok()?;
        self.0.cache.borrow().get(name).cloned()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PortResult<()> {
        self.allowed("cache", "write-cache")?;
        self.0.cache.borrow_mut().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn retain(&self, names: &[String]) -> PortResult<()> {
        self.allowed("cache", "retain-cache")?;
        self.0.cache.borrow_mut().retain(|name, _| names.contains(name));
        Ok(())
    }
}

/// A file that is given out in small pieces, so that callers are seen to put them together.
struct Opened(Vec<u8>);

impl FileReader for Opened {
    fn next(&mut self) -> PortResult<Vec<u8>> {
        let rest = self.0.split_off(self.0.len().min(11));
        Ok(std::mem::replace(&mut self.0, rest))
    }
}

impl Repository for World {
    fn standing(&self) -> PortResult<Standing> {
        let standing = self.0.standing.take().unwrap_or(Standing::Absent);
        self.0.standing.set(Some(standing.clone()));
        Ok(standing)
    }

    fn head(&self) -> PortResult<Head> {
        Ok(self.0.head.borrow().clone())
    }

    fn identity(&self) -> PortResult<Option<Identity>> {
        Ok(self.0.identity.borrow().clone())
    }

    fn setting(&self, key: &str) -> PortResult<Option<String>> {
        Ok(self.local_setting(key))
    }

    fn read_exclude(&self) -> PortResult<Option<Vec<u8>>> {
        Ok(self.0.exclude.borrow().clone())
    }

    fn is_tracked(&self, path: &str) -> PortResult<bool> {
        Ok(self.0.tracked.borrow().contains(path))
    }

    fn references(&self, prefix: &str, after: Option<&str>, limit: u32) -> PortResult<Vec<Reference>> {
        let references = self.0.references.borrow();
        let fits = |name: &&String| name.starts_with(prefix) && after.is_none_or(|after| name.as_str() > after);
        let names = references.keys().filter(fits).take(limit as usize);
        Ok(names.map(|name| Reference { name: name.clone(), target: references[name].clone() }).collect())
    }

    fn reference_list(&self, prefix: &str) -> PortResult<Box<dyn ReferenceList>> {
        let references = self.0.references.borrow();
        let lines = references.iter().filter_map(|(name, target)| {
            let rest = name.strip_prefix(prefix)?;
            Some(format!("{target} {rest}\n").into_bytes())
        });
        Ok(Box::new(Lines(lines.collect())))
    }

    fn reference_state(&self, folders: &[&str]) -> PortResult<Option<String>> {
        let references = self.0.references.borrow();
        let there = references.iter().filter(|(name, _)| folders.iter().any(|folder| name.starts_with(folder)));
        Ok(Some(format!("{:?}", there.collect::<Vec<_>>())))
    }

    fn read_files(&self, locations: &[Location]) -> PortResult<Vec<Option<Vec<u8>>>> {
        self.0.reads.set(self.0.reads.get() + locations.len().min(2));
        // As many as fit one answer: here two, so that callers are seen to ask again.
        locations
            .iter()
            .take(2)
            .map(|location| {
                let blob = self.tree(&location.root)?.get(&location.path).cloned();
                Ok(blob.map(|blob| self.0.blobs.borrow()[&blob].clone()))
            })
            .collect()
    }

    fn copy_file(&self, location: &Location, sink: &dyn Sink) -> PortResult<bool> {
        let Some(file) = self.read_files(std::slice::from_ref(location))?.pop().flatten() else { return Ok(false) };
        file.chunks(7).try_for_each(|piece| sink.write(piece))?;
        Ok(true)
    }

    fn open_file(&self, location: &Location) -> PortResult<Option<Box<dyn FileReader>>> {
        let file = self.read_files(std::slice::from_ref(location))?.pop().flatten();
        Ok(file.map(|file| Box::new(Opened(file)) as Box<dyn FileReader>))
    }

    fn list_folder(&self, location: &Location) -> PortResult<Vec<String>> {
        let prefix = if location.path.is_empty() { String::new() } else { format!("{}/", location.path) };
        let names: BTreeSet<String> = self
            .tree(&location.root)?
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix)?.split('/').next().map(str::to_owned))
            .collect();
        Ok(names.into_iter().collect())
    }

    fn file_commits(&self, path: &str) -> PortResult<Vec<FileCommit>> {
        let commits = self.0.commits.borrow();
        // Experiments are left out: their commits hold a record.
        let is_ours = |plan: &CommitPlan| {
            let trees = self.0.trees.borrow();
            let tree = &trees[&plan.tree];
            tree.contains_key(path) && !tree.keys().any(|file| file.ends_with("record.json"))
        };
        let mut found: Vec<_> = commits
            .iter()
            .filter(|(_, plan)| is_ours(plan))
            .map(|(commit, plan)| FileCommit { commit: commit.clone(), seconds: plan.signature.seconds })
            .collect();
        found.sort_by_key(|of| std::cmp::Reverse(of.seconds));
        Ok(found)
    }

    fn read_staged(&self, path: &str) -> PortResult<Option<Vec<u8>>> {
        Ok(self.staged(path))
    }

    fn changes(&self, _markers: &[&str]) -> PortResult<Box<dyn ChangeSet>> {
        let tree = match &self.0.head.borrow().tree {
            Some(tree) => self.tree(tree)?,
            None => Tree::new(),
        };
        let mut files = self.0.files.borrow().clone();
        files.retain(|path, _| tree.contains_key(path) || !self.is_ignored(path));
        let change = |path: &String, kind, size| Change { path: path.clone(), kind, size, modified: 0 };
        let mut changes: Vec<Change> = files
            .iter()
            .filter_map(|(path, contents)| match tree.get(path) {
                Some(blob) if *blob == name(contents) => None,
                Some(_) => Some(change(path, ChangeKind::Modified, contents.len() as u64)),
                None => Some(change(path, ChangeKind::Untracked, contents.len() as u64)),
            })
            .collect();
        changes.extend(
            tree.keys().filter(|path| !files.contains_key(*path)).map(|path| change(path, ChangeKind::Deleted, 0)),
        );
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Box::new(Changes(changes)))
    }
}

struct Edit(World, Tree);

impl TreeEdit for Edit {
    fn take(&mut self, changes: &dyn ChangeSet, positions: &[u32]) -> PortResult<Vec<u32>> {
        let changes: &dyn Any = changes;
        let Changes(changes) = changes.downcast_ref().unwrap();
        for position in positions {
            let change = &changes[*position as usize];
            match self.0.file(&change.path) {
                Some(contents) => self.1.insert(change.path.clone(), self.0.add_blob(&contents)),
                None => self.1.remove(&change.path),
            };
        }
        Ok(vec![])
    }

    fn put(&mut self, path: &str, blob: &str) -> PortResult<()> {
        self.1.insert(path.to_owned(), blob.to_owned());
        Ok(())
    }

    fn remove(&mut self, path: &str) -> PortResult<()> {
        let below = format!("{path}/");
        self.1.retain(|other, _| other != path && !other.starts_with(&below));
        Ok(())
    }

    fn write(&mut self) -> PortResult<ObjectId> {
        self.0.allowed("repository-edit", "write-tree")?;
        Ok(self.0.add_tree(self.1.clone()))
    }
}

struct Blob(World, Vec<u8>);

impl BlobWriter for Blob {
    fn write(&mut self, bytes: &[u8]) -> PortResult<()> {
        self.0.allowed("repository-edit", "write-blob")?;
        self.1.extend_from_slice(bytes);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.1.len() as u64
    }

    fn finish(self: Box<Self>) -> PortResult<ObjectId> {
        Ok(self.0.add_blob(&self.1))
    }
}

impl RepositoryEdit for World {
    fn create(&self) -> PortResult<()> {
        self.allowed("repository-edit", "create")?;
        self.set_standing(Standing::Root);
        Ok(())
    }

    fn begin_tree(&self, base: Option<&str>) -> PortResult<Box<dyn TreeEdit>> {
        self.allowed("repository-edit", "begin-tree")?;
        let tree = base.map_or_else(|| Ok(Tree::new()), |base| self.tree(base))?;
        Ok(Box::new(Edit(self.clone(), tree)))
    }

    fn begin_blob(&self) -> PortResult<Box<dyn BlobWriter>> {
        self.allowed("repository-edit", "begin-blob")?;
        Ok(Box::new(Blob(self.clone(), Vec::new())))
    }

    fn commit(&self, plan: &CommitPlan) -> PortResult<ObjectId> {
        self.allowed("repository-edit", "commit")?;
        self.tree(&plan.tree)?;
        for parent in &plan.parents {
            self.tree(parent)?;
        }
        let id = name(format!("{plan:?}").as_bytes());
        self.0.commits.borrow_mut().insert(id.clone(), plan.clone());
        Ok(id)
    }

    fn set_reference(&self, name: &str, expected: Option<&str>, target: &str, _durable: bool) -> PortResult<()> {
        self.allowed(
            "repository-edit",
            &format!("set-reference {}", name.rsplit_once('/').map_or(name, |(folder, _)| folder)),
        )?;
        if name == "HEAD" {
            let mut head = self.0.head.borrow_mut();
            if head.commit.as_deref() != expected {
                return Err(PortError::Conflict("HEAD moved".into()));
            }
            head.commit = Some(target.to_owned());
            head.tree = Some(self.plan(target).tree);
            return Ok(());
        }
        let mut references = self.0.references.borrow_mut();
        if references.get(name).map(String::as_str) != expected {
            return Err(PortError::Conflict(format!("`{name}` is not where it was")));
        }
        references.insert(name.to_owned(), target.to_owned());
        *self.0.last_set.borrow_mut() = target.to_owned();
        Ok(())
    }

    fn shield(&self, target: &str, _base: Option<&str>) -> PortResult<bool> {
        self.allowed("repository-edit", "shield")?;
        let sweeps = self.0.sweeps.get();
        if sweeps > 0 && *self.0.last_set.borrow() == target {
            self.0.sweeps.set(sweeps - 1);
            self.forget_object(target);
        }
        Ok(self.0.commits.borrow().contains_key(target) || self.0.trees.borrow().contains_key(target))
    }

    fn remove_references(&self, names: &[String]) -> PortResult<()> {
        self.allowed("repository-edit", "remove-references")?;
        self.0.references.borrow_mut().retain(|name, _| !names.contains(name));
        Ok(())
    }

    fn change_references(&self, changes: &[ReferenceChange]) -> PortResult<()> {
        self.allowed("repository-edit", "change-references")?;
        let mut references = self.0.references.borrow_mut();
        for change in changes {
            if references.get(&change.name) != change.expected.as_ref() {
                return Err(PortError::Conflict(format!("`{}` is not where it was", change.name)));
            }
        }
        for change in changes {
            match &change.target {
                Some(target) => references.insert(change.name.clone(), target.clone()),
                None => references.remove(&change.name),
            };
        }
        Ok(())
    }

    fn stage(&self, entries: &[(String, Option<ObjectId>)]) -> PortResult<()> {
        self.allowed("repository-edit", "stage")?;
        for (path, blob) in entries {
            match blob {
                Some(blob) => self.0.index.borrow_mut().insert(path.clone(), blob.clone()),
                None => self.0.index.borrow_mut().remove(path),
            };
        }
        Ok(())
    }

    fn switch_detached(&self, commit: &str) -> PortResult<()> {
        self.allowed("repository-edit", "switch")?;
        let former = self.0.head.borrow().tree.clone().map(|tree| self.tree(&tree)).transpose()?.unwrap_or_default();
        let files = self.tree_of(commit);
        self.0.files.borrow_mut().retain(|path, _| !former.contains_key(path));
        self.0.files.borrow_mut().extend(files);
        let tree = Some(self.plan(commit).tree);
        *self.0.head.borrow_mut() = Head { commit: Some(commit.to_owned()), tree, branch: None, operation: None };
        Ok(())
    }

    fn exchange_exclude(&self, expected: Option<&[u8]>, contents: &[u8]) -> PortResult<()> {
        self.allowed("repository-edit", "exchange-exclude")?;
        if self.0.exclude.borrow().as_deref() != expected {
            return Err(PortError::Conflict("info/exclude".into()));
        }
        *self.0.exclude.borrow_mut() = Some(contents.to_vec());
        Ok(())
    }

    fn set_local_setting(&self, key: &str, value: Option<&str>) -> PortResult<()> {
        self.allowed("repository-edit", "set-local-setting")?;
        let mut settings = self.0.settings.borrow_mut();
        match value {
            Some(value) => settings.insert(key.to_owned(), value.to_owned()),
            None => settings.remove(key),
        };
        Ok(())
    }
}

impl Workspace for World {
    fn inspect(&self, path: &str) -> PortResult<Option<FileKind>> {
        let files = self.0.files.borrow();
        let below = format!("{path}/");
        Ok(if files.contains_key(path) {
            Some(FileKind::File)
        } else if self.0.folders.borrow().contains(path) || files.keys().any(|file| file.starts_with(&below)) {
            Some(FileKind::Directory)
        } else {
            None
        })
    }

    fn read(&self, path: &str) -> PortResult<Option<Vec<u8>>> {
        Ok(self.file(path))
    }

    fn list_names(&self, path: &str) -> PortResult<Vec<String>> {
        let below = format!("{path}/");
        let names: BTreeSet<String> = self
            .files()
            .iter()
            .filter_map(|file| file.strip_prefix(&below)?.split('/').next().map(str::to_owned))
            .collect();
        Ok(names.into_iter().collect())
    }
}

impl WorkspaceEdit for World {
    fn make_directory(&self, path: &str) -> PortResult<()> {
        self.allowed("workspace-edit", "make-directory")?;
        self.0.folders.borrow_mut().insert(path.to_owned());
        Ok(())
    }

    fn write(&self, path: &str, contents: &[u8]) -> PortResult<()> {
        self.allowed("workspace-edit", "write")?;
        World::write(self, path, contents);
        Ok(())
    }

    fn exchange(&self, path: &str, expected: Option<&[u8]>, contents: &[u8]) -> PortResult<()> {
        // Somebody else is first, once.
        if let Some(other) = self.0.interference.borrow_mut().take() {
            World::write(self, path, &other);
        }
        if self.file(path).as_deref() != expected {
            return Err(PortError::Conflict(path.to_owned()));
        }
        WorkspaceEdit::write(self, path, contents)
    }

    fn remove(&self, path: &str) -> PortResult<()> {
        self.0.files.borrow_mut().remove(path);
        self.0.folders.borrow_mut().remove(path);
        Ok(())
    }
}

struct Writer {
    world: World,
    key: (String, u32),
    bytes: Bytes,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.world.kill_part(&self.key.0, self.key.1);
    }
}

impl JournalWriter for Writer {
    fn append(&self, bytes: &[u8]) -> PortResult<()> {
        self.world.allowed("journal", "append")?;
        self.bytes.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> PortResult<()> {
        self.world.allowed("journal", "sync")?;
        self.world.0.synced.borrow_mut().insert(self.key.clone(), self.bytes.borrow().len());
        let mut journals = self.world.0.journals.borrow_mut();
        if !journals.get(&self.key).is_some_and(|there| Rc::ptr_eq(there, &self.bytes)) {
            journals.insert(self.key.clone(), self.bytes.clone());
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> PortResult<()> {
        self.bytes.borrow_mut().truncate(length as usize);
        Ok(())
    }
}

impl World {
    fn writer(&self, id: &str, number: u32) -> Box<dyn JournalWriter> {
        let key = (id.to_owned(), number);
        self.0.held.borrow_mut().insert(key.clone());
        let bytes = self.0.journals.borrow_mut().entry(key.clone()).or_default().clone();
        Box::new(Writer { world: self.clone(), key, bytes })
    }
}

impl Journal for World {
    fn entries(&self) -> PortResult<Vec<JournalEntry>> {
        let ids: Vec<String> =
            self.0.journals.borrow().keys().filter(|(_, number)| *number == 0).map(|(id, _)| id.clone()).collect();
        let entry = |id: String| {
            let parts = self.parts(&id)?;
            let held = parts.iter().any(|part| part.held);
            let size = parts.iter().map(|part| part.size).sum();
            Ok(JournalEntry { id, held, size, modified: self.0.now.get() })
        };
        ids.into_iter().map(entry).collect()
    }

    fn parts(&self, id: &str) -> PortResult<Vec<JournalPart>> {
        let (journals, held) = (self.0.journals.borrow(), self.0.held.borrow());
        let part = |(key, bytes): (&(String, u32), &Bytes)| JournalPart {
            number: key.1,
            held: held.contains(key),
            size: bytes.borrow().len() as u64,
            modified: self.0.now.get(),
        };
        Ok(journals.iter().filter(|((of, _), _)| of == id).map(part).collect())
    }

    fn read(&self, id: &str, number: u32, offset: u64, limit: u32) -> PortResult<Vec<u8>> {
        // Small pages, so that frames are seen to span them.
        let limit = (limit as usize).min(37);
        let journals = self.0.journals.borrow();
        let Some(bytes) = journals.get(&(id.to_owned(), number)) else { return Ok(Vec::new()) };
        Ok(bytes.borrow().iter().copied().skip(offset as usize).take(limit).collect())
    }

    fn remove(&self, id: &str, known: &[(u32, u64)]) -> PortResult<bool> {
        self.allowed("journal", "remove")?;
        let goes_on = |part: &JournalPart| {
            let known = known.iter().find(|(number, _)| *number == part.number).map_or(0, |(_, size)| *size);
            part.number != 0 && (part.held || part.size > known)
        };
        if self.parts(id)?.iter().any(goes_on) {
            return Ok(false);
        }
        self.0.journals.borrow_mut().retain(|(of, _), _| of != id);
        Ok(true)
    }

    fn create(&self, id: &str) -> PortResult<Box<dyn JournalWriter>> {
        self.allowed("journal", "create")?;
        self.set_journal(id, Vec::new());
        Ok(self.writer(id, 0))
    }

    fn join(&self, id: &str) -> PortResult<Option<(u32, Box<dyn JournalWriter>)>> {
        self.allowed("journal", "join")?;
        let Some(last) = self.parts(id)?.last().map(|part| part.number) else { return Ok(None) };
        Ok(Some((last + 1, self.writer(id, last + 1))))
    }

    fn open(&self, id: &str, number: u32) -> PortResult<Option<Box<dyn JournalWriter>>> {
        self.allowed("journal", "open")?;
        let key = (id.to_owned(), number);
        if !self.0.journals.borrow().contains_key(&key) {
            return Ok(None);
        }
        if self.0.lockless.get() && !self.0.held.borrow().contains(&key) {
            // Whoever was thought dead goes on with what it had.
            let copy = self.part_bytes(id, number).unwrap();
            self.set_part(id, number, copy);
        }
        Ok(Some(self.writer(id, number)))
    }
}

impl Store for World {
    fn add(&self, bytes: ByteStream) -> PortResult<Stored> {
        self.allowed("store", "add")?;
        let bytes: Vec<u8> = *bytes.0.downcast().unwrap();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let stored = Stored { digest: format!("sha256:{digest}"), size: bytes.len() as u64 };
        self.0.used.borrow_mut().insert(stored.digest.clone(), self.0.now.get());
        self.0.store.borrow_mut().insert(stored.digest.clone(), bytes);
        Ok(stored)
    }

    fn has(&self, digest: &str) -> PortResult<bool> {
        Ok(self.0.store.borrow().contains_key(digest))
    }
}

impl Clock for World {
    fn now(&self) -> u64 {
        self.0.now.set(self.0.now.get() + 1);
        self.0.now.get()
    }

    fn offset_minutes(&self) -> i16 {
        60
    }
}

impl Entropy for World {
    fn bytes(&self, count: u32) -> Vec<u8> {
        self.0.random.set(self.0.random.get() + 1);
        vec![self.0.random.get(); count as usize]
    }
}

impl Machine for World {
    fn describe(&self) -> MachineFacts {
        MachineFacts {
            system: "Linux".into(),
            release: "6.1".into(),
            architecture: "x86_64".into(),
            processors: 2,
            memory: 1 << 30,
            processor: None,
            disk: None,
            gpus: Vec::new(),
            gpu_driver: None,
        }
    }
}

impl Interpreter for World {
    fn describe(&self) -> Option<InterpreterFacts> {
        Some(InterpreterFacts { implementation: "CPython".into(), version: "3.11.7".into() })
    }

    fn packages(&self) -> Vec<Package> {
        vec![Package { name: "numpy".into(), version: "2.0.0".into(), origin: None }]
    }
}

impl Progress for World {
    fn warn(&self, message: &str, _hints: &[String]) {
        self.0.warnings.borrow_mut().push(message.to_owned());
    }
}

/// What was handed to it, one after the other.
#[derive(Default)]
pub struct Collected(pub RefCell<Vec<u8>>);

impl Sink for Collected {
    fn write(&self, bytes: &[u8]) -> PortResult<()> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }
}
