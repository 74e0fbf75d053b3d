//! The core's ports, each forwarding to the host's import.

use std::any::Any;
use std::rc::Rc;

use super::aurum::tracker::{
    archive, cache, clock, data, entropy, exchange, interpreter, journal, machine, output, progress, remote,
    repository, repository_edit, store, types, upkeep, workspace, workspace_edit,
};
use crate::error::PortError;
use crate::ports::{self, PortResult, Ports};

/// Every import as a port.
pub(super) fn ports() -> Ports {
    Ports {
        repository: Rc::new(Imports),
        repository_edit: Rc::new(Imports),
        workspace: Rc::new(Imports),
        workspace_edit: Rc::new(Imports),
        journal: Rc::new(Imports),
        store: Rc::new(Imports),
        cache: Rc::new(Imports),
        data: Rc::new(Imports),
        archive: Rc::new(Imports),
        remote: Rc::new(Imports),
        exchange: Rc::new(Imports),
        clock: Rc::new(Imports),
        entropy: Rc::new(Imports),
        machine: Rc::new(Imports),
        interpreter: Rc::new(Imports),
        progress: Rc::new(Imports),
        upkeep: Rc::new(Imports),
    }
}

struct Imports;

impl From<types::Error> for PortError {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Denied(text) => Self::Denied(text),
            types::Error::Conflict(text) => Self::Conflict(text),
            types::Error::InvalidPath(text) => Self::InvalidPath(text),
            types::Error::NoSpace(text) => Self::NoSpace(text),
            types::Error::NotPermitted(text) => Self::NotPermitted(text),
            types::Error::Missing(text) => Self::Missing(text),
            types::Error::Other(text) => Self::Other(text),
        }
    }
}

struct Changes(repository::ChangeSet);

impl ports::ChangeSet for Changes {
    fn length(&self) -> u32 {
        self.0.length()
    }

    fn page(&self, offset: u32, limit: u32) -> Vec<ports::Change> {
        let change = |change: repository::Change| ports::Change {
            path: change.path,
            kind: match change.kind {
                repository::ChangeKind::Modified => ports::ChangeKind::Modified,
                repository::ChangeKind::Deleted => ports::ChangeKind::Deleted,
                repository::ChangeKind::Untracked => ports::ChangeKind::Untracked,
                repository::ChangeKind::Repository => ports::ChangeKind::Repository,
            },
            size: change.size,
            modified: change.modified,
        };
        self.0.page(offset, limit).into_iter().map(change).collect()
    }
}

struct References(repository::ReferenceList);

impl ports::ReferenceList for References {
    fn next(&mut self) -> Vec<u8> {
        self.0.next()
    }
}

impl ports::Sink for output::Sink {
    fn write(&self, bytes: &[u8]) -> PortResult<()> {
        Ok(output::Sink::write(self, bytes)?)
    }
}

impl ports::Cache for Imports {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        cache::read(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PortResult<()> {
        Ok(cache::write(name, bytes)?)
    }

    fn retain(&self, names: &[String]) -> PortResult<()> {
        Ok(cache::retain(names)?)
    }
}

impl ports::Repository for Imports {
    fn standing(&self) -> PortResult<ports::Standing> {
        Ok(match repository::read_standing()? {
            repository::Standing::Absent => ports::Standing::Absent,
            repository::Standing::Root => ports::Standing::Root,
            repository::Standing::Below(root) => ports::Standing::Below(root),
            repository::Standing::Bare => ports::Standing::Bare,
        })
    }

    fn head(&self) -> PortResult<ports::Head> {
        let repository::Head { commit, tree, branch, operation } = repository::read_head()?;
        Ok(ports::Head { commit, tree, branch, operation })
    }

    fn identity(&self) -> PortResult<Option<ports::Identity>> {
        let identity = repository::read_identity()?;
        Ok(identity.map(|repository::Identity { name, email }| ports::Identity { name, email }))
    }

    fn setting(&self, key: &str) -> PortResult<Option<String>> {
        Ok(repository::setting(key)?)
    }

    fn references(&self, prefix: &str, after: Option<&str>, limit: u32) -> PortResult<Vec<ports::Reference>> {
        let references = repository::references(prefix, after, limit)?;
        Ok(references
            .into_iter()
            .map(|repository::Reference { name, target }| ports::Reference { name, target })
            .collect())
    }

    fn reference_list(&self, prefix: &str) -> PortResult<Box<dyn ports::ReferenceList>> {
        Ok(Box::new(References(repository::ReferenceList::of(prefix)?)))
    }

    fn reference_state(&self, folders: &[&str]) -> PortResult<Option<String>> {
        let folders: Vec<String> = folders.iter().map(|folder| (*folder).to_owned()).collect();
        Ok(repository::reference_state(&folders)?)
    }

    fn read_files(&self, locations: &[ports::Location]) -> PortResult<Vec<Option<Vec<u8>>>> {
        let locations: Vec<_> = locations.iter().map(location).collect();
        Ok(repository::read_files(&locations)?)
    }

    fn copy_file(&self, file: &ports::Location, sink: &dyn ports::Sink) -> PortResult<bool> {
        let sink: &dyn Any = sink;
        let sink = sink.downcast_ref().ok_or_else(|| PortError::Other("a sink of another host".to_owned()))?;
        Ok(repository::copy_file(&location(file), sink)?)
    }

    fn open_file(&self, file: &ports::Location) -> PortResult<Option<Box<dyn ports::FileReader>>> {
        let reader = repository::FileReader::open(&location(file))?;
        Ok(reader.map(|reader| Box::new(File(reader)) as Box<dyn ports::FileReader>))
    }

    fn list_folder(&self, folder: &ports::Location) -> PortResult<Vec<String>> {
        Ok(repository::list_folder(&location(folder))?)
    }

    fn file_commits(&self, path: &str) -> PortResult<Vec<ports::FileCommit>> {
        let commits = repository::file_commits(path)?.into_iter();
        Ok(commits.map(|repository::FileCommit { commit, seconds }| ports::FileCommit { commit, seconds }).collect())
    }

    fn read_staged(&self, path: &str) -> PortResult<Option<Vec<u8>>> {
        Ok(repository::read_staged(path)?)
    }

    fn is_tracked(&self, path: &str) -> PortResult<bool> {
        Ok(repository::is_tracked(path)?)
    }

    fn read_exclude(&self) -> PortResult<Option<Vec<u8>>> {
        Ok(repository::read_exclude()?)
    }

    fn changes(&self, markers: &[&str]) -> PortResult<Box<dyn ports::ChangeSet>> {
        let markers: Vec<String> = markers.iter().map(|marker| (*marker).to_owned()).collect();
        Ok(Box::new(Changes(repository::changes(&markers)?)))
    }
}

fn location(location: &ports::Location) -> repository::Location {
    repository::Location { root: location.root.clone(), path: location.path.clone() }
}

struct File(repository::FileReader);

impl ports::FileReader for File {
    fn next(&mut self) -> PortResult<Vec<u8>> {
        Ok(self.0.next()?)
    }
}

struct Tree(repository_edit::TreeEdit);

impl ports::TreeEdit for Tree {
    fn take(&mut self, changes: &dyn ports::ChangeSet, positions: &[u32]) -> PortResult<Vec<u32>> {
        let changes: &dyn Any = changes;
        let Some(Changes(changes)) = changes.downcast_ref() else {
            return Err(PortError::Other("the changes are not this host's".to_owned()));
        };
        Ok(self.0.take(changes, positions)?)
    }

    fn put(&mut self, path: &str, blob: &str) -> PortResult<()> {
        Ok(self.0.put(path, blob)?)
    }

    fn remove(&mut self, path: &str) -> PortResult<()> {
        Ok(self.0.remove(path)?)
    }

    fn write(&mut self) -> PortResult<String> {
        Ok(self.0.write()?)
    }
}

struct Blob(repository_edit::BlobWriter);

impl ports::BlobWriter for Blob {
    fn write(&mut self, bytes: &[u8]) -> PortResult<()> {
        Ok(self.0.write(bytes)?)
    }

    fn size(&self) -> u64 {
        self.0.size()
    }

    fn finish(self: Box<Self>) -> PortResult<String> {
        Ok(repository_edit::BlobWriter::finish(self.0)?)
    }
}

impl ports::RepositoryEdit for Imports {
    fn create(&self) -> PortResult<()> {
        Ok(repository_edit::create()?)
    }

    fn begin_tree(&self, base: Option<&str>) -> PortResult<Box<dyn ports::TreeEdit>> {
        Ok(Box::new(Tree(repository_edit::TreeEdit::begin(base)?)))
    }

    fn begin_blob(&self) -> PortResult<Box<dyn ports::BlobWriter>> {
        Ok(Box::new(Blob(repository_edit::BlobWriter::begin()?)))
    }

    fn commit(&self, plan: &ports::CommitPlan) -> PortResult<String> {
        let signature = signature(&plan.signature);
        let ports::CommitPlan { tree, parents, message, .. } = plan.clone();
        Ok(repository_edit::commit(&repository_edit::CommitPlan { tree, parents, signature, message })?)
    }

    fn set_reference(&self, name: &str, expected: Option<&str>, target: &str, durable: bool) -> PortResult<()> {
        Ok(repository_edit::set_reference(name, expected, target, durable)?)
    }

    fn shield(&self, target: &str, base: Option<&str>) -> PortResult<bool> {
        Ok(repository_edit::shield(target, base)?)
    }

    fn remove_references(&self, names: &[String]) -> PortResult<()> {
        Ok(repository_edit::remove_references(names)?)
    }

    fn change_references(&self, changes: &[ports::ReferenceChange]) -> PortResult<()> {
        let change = |change: &ports::ReferenceChange| repository_edit::ReferenceChange {
            name: change.name.clone(),
            expected: change.expected.clone(),
            target: change.target.clone(),
        };
        Ok(repository_edit::change_references(&changes.iter().map(change).collect::<Vec<_>>())?)
    }

    fn stage(&self, entries: &[(String, Option<String>)]) -> PortResult<()> {
        let staged = |(path, blob): &(String, Option<String>)| repository_edit::Staged {
            path: path.clone(),
            blob: blob.clone(),
        };
        Ok(repository_edit::stage(&entries.iter().map(staged).collect::<Vec<_>>())?)
    }

    fn switch_detached(&self, commit: &str) -> PortResult<()> {
        Ok(repository_edit::switch_detached(commit)?)
    }

    fn exchange_exclude(&self, expected: Option<&[u8]>, contents: &[u8]) -> PortResult<()> {
        Ok(repository_edit::exchange_exclude(expected, contents)?)
    }

    fn set_local_setting(&self, key: &str, value: Option<&str>) -> PortResult<()> {
        Ok(repository_edit::set_local_setting(key, value)?)
    }
}

impl ports::Workspace for Imports {
    fn inspect(&self, path: &str) -> PortResult<Option<ports::FileKind>> {
        let kind = workspace::inspect(path)?;
        Ok(kind.map(|kind| match kind {
            workspace::Kind::File => ports::FileKind::File,
            workspace::Kind::Directory => ports::FileKind::Directory,
            workspace::Kind::Other => ports::FileKind::Other,
        }))
    }

    fn read(&self, path: &str) -> PortResult<Option<Vec<u8>>> {
        Ok(workspace::read(path)?)
    }

    fn list_names(&self, path: &str) -> PortResult<Vec<String>> {
        Ok(workspace::list_names(path)?)
    }
}

impl ports::WorkspaceEdit for Imports {
    fn make_directory(&self, path: &str) -> PortResult<()> {
        Ok(workspace_edit::make_directory(path)?)
    }

    fn write(&self, path: &str, contents: &[u8]) -> PortResult<()> {
        Ok(workspace_edit::write(path, contents)?)
    }

    fn exchange(&self, path: &str, expected: Option<&[u8]>, contents: &[u8]) -> PortResult<()> {
        Ok(workspace_edit::exchange(path, expected, contents)?)
    }

    fn remove(&self, path: &str) -> PortResult<()> {
        Ok(workspace_edit::remove(path)?)
    }
}

struct Writer(journal::Writer);

impl ports::JournalWriter for Writer {
    fn append(&self, bytes: &[u8]) -> PortResult<()> {
        Ok(self.0.append(bytes)?)
    }

    fn sync(&self) -> PortResult<()> {
        Ok(self.0.sync()?)
    }

    fn truncate(&self, length: u64) -> PortResult<()> {
        Ok(self.0.truncate(length)?)
    }
}

impl ports::Journal for Imports {
    fn entries(&self) -> PortResult<Vec<ports::JournalEntry>> {
        let entry = |journal::Entry { id, held, size, modified }| ports::JournalEntry { id, held, size, modified };
        Ok(journal::entries()?.into_iter().map(entry).collect())
    }

    fn parts(&self, id: &str) -> PortResult<Vec<ports::JournalPart>> {
        let part = |journal::Part { number, held, size, modified }| ports::JournalPart { number, held, size, modified };
        Ok(journal::parts(id)?.into_iter().map(part).collect())
    }

    fn read(&self, id: &str, number: u32, offset: u64, limit: u32) -> PortResult<Vec<u8>> {
        Ok(journal::read(id, number, offset, limit)?)
    }

    fn remove(&self, id: &str, known: &[(u32, u64)]) -> PortResult<bool> {
        let known: Vec<_> =
            known.iter().map(|(number, size)| journal::Known { number: *number, size: *size }).collect();
        Ok(journal::remove(id, &known)?)
    }

    fn create(&self, id: &str) -> PortResult<Box<dyn ports::JournalWriter>> {
        Ok(Box::new(Writer(journal::Writer::create(id)?)))
    }

    fn join(&self, id: &str) -> PortResult<Option<(u32, Box<dyn ports::JournalWriter>)>> {
        let joined = journal::Writer::join(id)?;
        Ok(joined.map(|(number, writer)| (number, Box::new(Writer(writer)) as Box<dyn ports::JournalWriter>)))
    }

    fn open(&self, id: &str, number: u32) -> PortResult<Option<Box<dyn ports::JournalWriter>>> {
        Ok(journal::Writer::open(id, number)?.map(|writer| Box::new(Writer(writer)) as Box<dyn ports::JournalWriter>))
    }
}

impl ports::Store for Imports {
    fn add(&self, bytes: ports::ByteStream) -> PortResult<ports::Stored> {
        let stream: Box<store::ByteStream> =
            bytes.0.downcast().map_err(|_| PortError::Other("the bytes are not this host's".to_owned()))?;
        let store::Stored { digest, size } = store::add(*stream)?;
        Ok(ports::Stored { digest, size })
    }

    fn has(&self, digest: &str) -> PortResult<bool> {
        Ok(store::has(digest)?)
    }
}

fn place(place: &ports::Place) -> data::Place {
    match place.clone() {
        ports::Place::Project(path) => data::Place::Project(path),
        ports::Place::Outside(path) => data::Place::Outside(path),
    }
}

fn kind(kind: ports::DataKind) -> data::Kind {
    match kind {
        ports::DataKind::File => data::Kind::File,
        ports::DataKind::Folder => data::Kind::Folder,
    }
}

fn facts(facts: data::Facts) -> ports::DataFacts {
    let kind = match facts.kind {
        data::Kind::File => ports::DataKind::File,
        data::Kind::Folder => ports::DataKind::Folder,
    };
    ports::DataFacts { kind, size: facts.size, files: facts.files, digest: facts.digest }
}

impl ports::Data for Imports {
    fn measure(&self, at: &ports::Place, limits: Option<ports::DataLimits>) -> PortResult<Option<ports::DataFacts>> {
        let limits = limits.map(|ports::DataLimits { files, bytes }| data::Limits { files, bytes });
        Ok(data::measure(&place(at), limits)?.map(facts))
    }

    fn keep(&self, at: &ports::Place) -> PortResult<Option<ports::DataFacts>> {
        Ok(data::keep(&place(at))?.map(facts))
    }

    fn compare(&self, at: &ports::Place, manifest: &str, limit: u32) -> PortResult<Option<ports::DataDifferences>> {
        let differences = data::compare(&place(at), manifest, limit)?;
        Ok(differences.map(|data::Differences { added, changed, removed, examples }| ports::DataDifferences {
            added,
            changed,
            removed,
            examples,
        }))
    }

    fn is_kept(&self, at: &ports::Place, manifests: &[&str]) -> PortResult<bool> {
        let manifests: Vec<String> = manifests.iter().map(|manifest| (*manifest).to_owned()).collect();
        Ok(data::is_kept(&place(at), &manifests)?)
    }

    fn can_restore(&self, of: ports::DataKind, digest: &str) -> PortResult<bool> {
        Ok(data::can_restore(kind(of), digest)?)
    }

    fn check_stored(&self, of: ports::DataKind, digest: &str, limit: u32) -> PortResult<ports::DataCheck> {
        Ok(check(data::check_stored(kind(of), digest, limit)?))
    }

    fn check_place(
        &self,
        at: &ports::Place,
        of: ports::DataKind,
        digest: &str,
        limit: u32,
    ) -> PortResult<ports::DataCheck> {
        Ok(check(data::check_place(&place(at), kind(of), digest, limit)?))
    }

    fn restore(&self, path: &str, of: ports::DataKind, digest: &str) -> PortResult<()> {
        Ok(data::restore(path, kind(of), digest)?)
    }

    fn remove(&self, path: &str) -> PortResult<()> {
        Ok(data::remove(path)?)
    }
}

fn check(data::Check { contents, bytes, damages, more }: data::Check) -> ports::DataCheck {
    let damage = |data::Damage { name, what }| ports::Damage { name, what };
    let read = ports::Amount { count: contents, bytes };
    ports::DataCheck { read, damages: damages.into_iter().map(damage).collect(), more }
}

struct Zip(archive::Writer);

impl ports::ArchiveWriter for Zip {
    fn add_bytes(&mut self, path: &str, contents: &[u8]) -> PortResult<()> {
        Ok(self.0.add_bytes(path, contents)?)
    }

    fn add_file(&mut self, path: &str, file: &ports::Location) -> PortResult<bool> {
        Ok(self.0.add_file(path, &location(file))?)
    }

    fn add_tree(&mut self, folder: &str, root: &str, leave_out: &[String]) -> PortResult<Vec<String>> {
        Ok(self.0.add_tree(folder, root, leave_out)?)
    }

    fn add_stored(&mut self, path: &str, of: ports::DataKind, digest: &str) -> PortResult<bool> {
        Ok(self.0.add_stored(path, kind(of), digest)?)
    }

    fn finish(self: Box<Self>) -> PortResult<ports::FinishedArchive> {
        let archive::Finished { path, size } = archive::Writer::finish(self.0)?;
        Ok(ports::FinishedArchive { path, size })
    }
}

impl ports::Archive for Imports {
    fn begin(
        &self,
        destination: ports::Destination,
        name: &str,
        modified: u64,
    ) -> PortResult<Box<dyn ports::ArchiveWriter>> {
        let destination: Box<archive::Destination> =
            destination.0.downcast().map_err(|_| PortError::Other("the destination is not this host's".to_owned()))?;
        Ok(Box::new(Zip(archive::Writer::begin(*destination, name, modified)?)))
    }
}

fn attributes(attributes: remote::Attributes) -> ports::RemoteAttributes {
    let remote::Attributes { size, entity_tag, last_modified } = attributes;
    ports::RemoteAttributes { size, entity_tag, last_modified }
}

impl ports::Remote for Imports {
    fn stat(&self, url: &str) -> PortResult<Option<ports::RemoteAttributes>> {
        Ok(remote::stat(url)?.map(attributes))
    }

    fn fetch(&self, url: &str, path: &str) -> PortResult<Option<ports::RemoteAttributes>> {
        Ok(remote::fetch(url, path)?.map(attributes))
    }
}

impl From<exchange::Problem> for ports::Problem {
    fn from(problem: exchange::Problem) -> Self {
        match problem {
            exchange::Problem::Failed(error) => Self::Failed(error.into()),
            exchange::Problem::Refused(exchange::Refusal { trouble, words }) => {
                let trouble = match trouble {
                    exchange::Trouble::Authentication => ports::Trouble::Authentication,
                    exchange::Trouble::HostKey => ports::Trouble::HostKey,
                    exchange::Trouble::Unreachable => ports::Trouble::Unreachable,
                    exchange::Trouble::NoRepository => ports::Trouble::NoRepository,
                    exchange::Trouble::Forbidden => ports::Trouble::Forbidden,
                    exchange::Trouble::Ownership => ports::Trouble::Ownership,
                    exchange::Trouble::NoSpace => ports::Trouble::NoSpace,
                    exchange::Trouble::Unknown => ports::Trouble::Unknown,
                };
                Self::Refused(trouble, words)
            }
        }
    }
}

struct Advertisement(exchange::Advertisement);

impl ports::Advertisement for Advertisement {
    fn page(&self, offset: u32, limit: u32) -> Vec<ports::Reference> {
        let reference = |repository::Reference { name, target }| ports::Reference { name, target };
        self.0.page(offset, limit).into_iter().map(reference).collect()
    }
}

fn delivery(delivery: exchange::Delivery) -> ports::Delivery {
    let refused = |exchange::RefusedUpdate { name, verdict, words }| {
        let verdict = match verdict {
            exchange::Verdict::Moved => ports::Verdict::Moved,
            exchange::Verdict::Declined => ports::Verdict::Declined,
            exchange::Verdict::Failed => ports::Verdict::Failed,
        };
        ports::RefusedUpdate { name, verdict, words }
    };
    let exchange::Delivery { done, refused: list, more } = delivery;
    ports::Delivery { done, refused: list.into_iter().map(refused).collect(), more }
}

fn freight(freight: exchange::Freight) -> ports::Freight {
    let exchange::Freight { objects, bytes, absent } = freight;
    ports::Freight { objects, bytes, absent }
}

fn objects(objects: &[ports::Object]) -> Vec<exchange::Object> {
    objects.iter().map(|object| exchange::Object { digest: object.digest.clone(), kind: kind(object.kind) }).collect()
}

fn signature(signature: &ports::Signature) -> repository_edit::Signature {
    let ports::Signature { identity, seconds, offset_minutes } = signature.clone();
    repository_edit::Signature { name: identity.name, email: identity.email, seconds, offset_minutes }
}

impl ports::Exchange for Imports {
    fn remotes(&self) -> PortResult<Vec<String>> {
        Ok(exchange::remotes()?)
    }

    fn ask(&self, remote: &str, prefixes: &[&str]) -> ports::ExchangeResult<Box<dyn ports::Advertisement>> {
        let prefixes: Vec<String> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        Ok(Box::new(Advertisement(exchange::Advertisement::ask(remote, &prefixes)?)))
    }

    fn push(&self, remote: &str, updates: &[ports::Update]) -> ports::ExchangeResult<ports::Delivery> {
        let update = |update: &ports::Update| {
            let ports::Update { name, target, expected } = update.clone();
            exchange::Update { name, target, expected }
        };
        Ok(delivery(exchange::push(remote, &updates.iter().map(update).collect::<Vec<_>>())?))
    }

    fn push_below(&self, remote: &str, prefix: &str, except: &[String]) -> ports::ExchangeResult<ports::Delivery> {
        Ok(delivery(exchange::push_below(remote, prefix, except)?))
    }

    fn fetch(&self, remote: &str, wanted: &[ports::Wanted]) -> ports::ExchangeResult<Option<String>> {
        let one = |wanted: &ports::Wanted| exchange::Wanted {
            source: wanted.source.clone(),
            destination: wanted.destination.clone(),
        };
        Ok(exchange::fetch(remote, &wanted.iter().map(one).collect::<Vec<_>>())?)
    }

    fn fetch_below(&self, remote: &str, prefix: &str, except: &[String]) -> ports::ExchangeResult<Option<String>> {
        Ok(exchange::fetch_below(remote, prefix, except)?)
    }

    fn merge_notes(&self, ours: &str, theirs: &str, by: &ports::Signature) -> PortResult<String> {
        Ok(exchange::merge_notes(ours, theirs, &signature(by))?)
    }

    fn parents(&self, commit: &str) -> PortResult<Option<Vec<String>>> {
        Ok(exchange::parents(commit)?)
    }

    fn descends(&self, commit: &str, ancestor: &str) -> PortResult<bool> {
        Ok(exchange::descends(commit, ancestor)?)
    }

    fn data_remotes(&self) -> PortResult<Vec<ports::DataRemote>> {
        let remote = |exchange::DataRemote { name, url }| ports::DataRemote { name, url };
        Ok(exchange::data_remotes()?.into_iter().map(remote).collect())
    }

    fn weigh(&self, of: &[ports::Object]) -> PortResult<ports::Freight> {
        Ok(freight(exchange::weigh(&objects(of))?))
    }

    fn send(&self, url: &str, of: &[ports::Object]) -> PortResult<ports::Freight> {
        Ok(freight(exchange::send(url, &objects(of))?))
    }

    fn bring(&self, url: &str, of: &[ports::Object]) -> PortResult<ports::Freight> {
        Ok(freight(exchange::bring(url, &objects(of))?))
    }
}

impl ports::Clock for Imports {
    fn now(&self) -> u64 {
        clock::now()
    }

    fn offset_minutes(&self) -> i16 {
        clock::offset_minutes()
    }
}

impl ports::Entropy for Imports {
    fn bytes(&self, count: u32) -> Vec<u8> {
        entropy::bytes(count)
    }
}

impl ports::Machine for Imports {
    fn describe(&self) -> ports::MachineFacts {
        let machine::Facts { system, release, architecture, processors, memory, processor, disk, gpus, gpu_driver } =
            machine::describe();
        let disk = disk.map(|machine::Disk { free, total }| ports::DiskFacts { free, total });
        let gpu = |machine::Gpu { name, memory }| ports::GpuFacts { name, memory };
        let gpus = gpus.into_iter().map(gpu).collect();
        ports::MachineFacts { system, release, architecture, processors, memory, processor, disk, gpus, gpu_driver }
    }
}

impl ports::Interpreter for Imports {
    fn describe(&self) -> Option<ports::InterpreterFacts> {
        let facts = interpreter::describe();
        facts.map(|interpreter::Facts { implementation, version }| ports::InterpreterFacts { implementation, version })
    }

    fn packages(&self) -> Vec<ports::Package> {
        let package = |interpreter::Distribution { name, version, origin }| ports::Package {
            name,
            version,
            origin: origin.map(origin_in),
        };
        interpreter::packages().into_iter().map(package).collect()
    }
}

fn origin_in(origin: interpreter::Origin) -> ports::Origin {
    let interpreter::Origin { kind, url, system, commit, branch, dirty, subdirectory, hashes, own } = origin;
    let kind = match kind {
        interpreter::OriginKind::Repository => ports::OriginKind::Repository,
        interpreter::OriginKind::Archive => ports::OriginKind::Archive,
        interpreter::OriginKind::Folder => ports::OriginKind::Folder,
        interpreter::OriginKind::Editable => ports::OriginKind::Editable,
    };
    ports::Origin { kind, url, system, commit, branch, dirty, subdirectory, hashes, own }
}

impl ports::Progress for Imports {
    fn warn(&self, message: &str, hints: &[String]) {
        progress::warn(message, hints);
    }
}

fn damages(damages: Vec<upkeep::Damage>) -> Vec<ports::Damage> {
    damages.into_iter().map(|upkeep::Damage { name, what }| ports::Damage { name, what }).collect()
}

fn amount(upkeep::Amount { count, bytes }: upkeep::Amount) -> ports::Amount {
    ports::Amount { count, bytes }
}

struct Sweep(upkeep::Sweep);

impl ports::Sweep for Sweep {
    fn keep(&mut self, digests: &[String]) -> PortResult<Vec<String>> {
        Ok(self.0.keep(digests)?)
    }

    fn measure(&self, before: u64) -> PortResult<ports::Amount> {
        Ok(amount(self.0.measure(before)?))
    }

    fn remove(&self, before: u64) -> PortResult<ports::Amount> {
        Ok(amount(self.0.remove(before)?))
    }
}

impl ports::Upkeep for Imports {
    fn check_commits(&self, commits: &[String]) -> PortResult<Vec<ports::Damage>> {
        Ok(damages(upkeep::check_commits(commits)?))
    }

    fn check_repository(&self) -> PortResult<Vec<ports::Damage>> {
        Ok(damages(upkeep::check_repository()?))
    }

    fn broken_references(&self) -> PortResult<Vec<ports::Damage>> {
        Ok(damages(upkeep::broken_references()?))
    }

    fn file_versions(&self, folder: &str, offset: u32) -> PortResult<Vec<Vec<u8>>> {
        Ok(upkeep::file_versions(folder, offset)?)
    }

    fn loose_objects(&self) -> PortResult<ports::Amount> {
        Ok(amount(upkeep::loose_objects()?))
    }

    fn temporaries(&self, before: u64, remove: bool) -> PortResult<ports::Amount> {
        Ok(amount(upkeep::temporaries(before, remove)?))
    }

    fn check_store(&self, first: u8) -> PortResult<ports::StoreCheck> {
        let upkeep::StoreCheck { objects, bytes, damages: found } = upkeep::check_store(first)?;
        Ok(ports::StoreCheck { read: ports::Amount { count: objects, bytes }, damages: damages(found) })
    }

    fn begin_sweep(&self) -> PortResult<Box<dyn ports::Sweep>> {
        Ok(Box::new(Sweep(upkeep::Sweep::begin()?)))
    }
}
