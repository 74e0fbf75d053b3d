//! `repository`: reading git, which needs no grant of its own: a host that opens a repository lets the core read it.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::generated::aurum::tracker::{output, repository as wit};
use super::{Answer, Host, SharedChanges, Sink, answer};
use crate::capabilities::Error;
use crate::capabilities::repository::{
    Change, ChangeKind, FileReader, Head, Identity, Location, Reference, ReferenceList, Standing,
};

impl wit::Host for Host {
    fn read_standing(&mut self) -> Answer<wit::Standing> {
        answer(self.capabilities.repository.standing().map(|standing| match standing {
            Standing::Absent => wit::Standing::Absent,
            Standing::Root => wit::Standing::Root,
            Standing::Below(root) => wit::Standing::Below(root),
            Standing::Bare => wit::Standing::Bare,
        }))
    }

    fn read_head(&mut self) -> Answer<wit::Head> {
        let head = self.capabilities.repository.head();
        answer(head.map(|Head { commit, tree, branch, operation }| wit::Head { commit, tree, branch, operation }))
    }

    fn read_identity(&mut self) -> Answer<Option<wit::Identity>> {
        let identity = self.capabilities.repository.identity();
        answer(identity.map(|identity| identity.map(|Identity { name, email }| wit::Identity { name, email })))
    }

    fn setting(&mut self, key: String) -> Answer<Option<String>> {
        answer(self.capabilities.repository.setting(&key))
    }

    fn references(&mut self, prefix: String, after: Option<String>, limit: u32) -> Answer<Vec<wit::Reference>> {
        let references = self.capabilities.repository.references(&prefix, after.as_deref(), limit);
        let reference = |Reference { name, target }| wit::Reference { name, target };
        answer(references.map(|references| references.into_iter().map(reference).collect()))
    }

    fn reference_state(&mut self, folders: Vec<String>) -> Answer<Option<String>> {
        let folders: Vec<_> = folders.iter().map(String::as_str).collect();
        answer(self.capabilities.repository.reference_state(&folders))
    }

    fn read_files(&mut self, locations: Vec<wit::Location>) -> Answer<Vec<Option<Vec<u8>>>> {
        let locations: Vec<_> = locations.into_iter().map(location).collect();
        answer(self.capabilities.repository.read_files(&locations))
    }

    fn list_folder(&mut self, folder: wit::Location) -> Answer<Vec<String>> {
        answer(self.capabilities.repository.list_folder(&location(folder)))
    }

    fn file_commits(&mut self, path: String) -> Answer<Vec<wit::FileCommit>> {
        let commits = self.capabilities.repository.file_commits(&path);
        let commit = |(commit, seconds)| wit::FileCommit { commit, seconds };
        answer(commits.map(|commits| commits.into_iter().map(commit).collect()))
    }

    fn read_staged(&mut self, path: String) -> Answer<Option<Vec<u8>>> {
        answer(self.capabilities.repository.read_staged(&path))
    }

    fn copy_file(&mut self, from: wit::Location, to: Resource<Sink>) -> Answer<bool> {
        let sink = self.table.get_mut(&to)?;
        answer(self.capabilities.repository.copy_file(&location(from), &mut *sink.0))
    }

    fn is_tracked(&mut self, path: String) -> Answer<bool> {
        answer(self.capabilities.repository.is_tracked(&path))
    }

    fn read_exclude(&mut self) -> Answer<Option<Vec<u8>>> {
        answer(self.capabilities.repository.read_exclude())
    }

    fn changes(&mut self, markers: Vec<String>) -> Answer<Resource<SharedChanges>> {
        match self.capabilities.repository.changes(&markers) {
            Ok(changes) => Ok(Ok(self.table.push(SharedChanges::new(changes))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl output::Host for Host {}

impl output::HostSink for Host {
    fn write(&mut self, sink: Resource<Sink>, bytes: Vec<u8>) -> Answer<()> {
        let written = self.table.get_mut(&sink)?.0.write_all(&bytes);
        answer(written.map_err(|error| Error::io("writing what was asked for", &error)))
    }

    fn drop(&mut self, sink: Resource<Sink>) -> Result<()> {
        self.table.delete(sink)?;
        Ok(())
    }
}

impl wit::HostFileReader for Host {
    fn open(&mut self, from: wit::Location) -> Answer<Option<Resource<FileReader>>> {
        match self.capabilities.repository.open_file(&location(from)) {
            Ok(Some(reader)) => Ok(Ok(Some(self.table.push(reader)?))),
            Ok(None) => Ok(Ok(None)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn next(&mut self, reader: Resource<FileReader>) -> Answer<Vec<u8>> {
        answer(self.table.get_mut(&reader)?.next_piece())
    }

    fn drop(&mut self, reader: Resource<FileReader>) -> Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl wit::HostReferenceList for Host {
    fn of(&mut self, prefix: String) -> Answer<Resource<ReferenceList>> {
        match self.capabilities.repository.reference_list(&prefix) {
            Ok(list) => Ok(Ok(self.table.push(list)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn next(&mut self, list: Resource<ReferenceList>) -> Result<Vec<u8>> {
        Ok(self.table.get_mut(&list)?.next_lines())
    }

    fn drop(&mut self, list: Resource<ReferenceList>) -> Result<()> {
        self.table.delete(list)?;
        Ok(())
    }
}

impl wit::HostChangeSet for Host {
    fn length(&mut self, changes: Resource<SharedChanges>) -> Result<u32> {
        Ok(self.table.get(&changes)?.length())
    }

    fn page(&mut self, changes: Resource<SharedChanges>, offset: u32, limit: u32) -> Result<Vec<wit::Change>> {
        let change = |Change { path, kind, size, modified }: &Change| wit::Change {
            path: path.clone(),
            kind: match kind {
                ChangeKind::Modified => wit::ChangeKind::Modified,
                ChangeKind::Deleted => wit::ChangeKind::Deleted,
                ChangeKind::Untracked => wit::ChangeKind::Untracked,
                ChangeKind::Repository => wit::ChangeKind::Repository,
            },
            size: *size,
            modified: *modified,
        };
        Ok(self.table.get(&changes)?.page(offset, limit).iter().map(change).collect())
    }

    fn drop(&mut self, changes: Resource<SharedChanges>) -> Result<()> {
        self.table.delete(changes)?;
        Ok(())
    }
}

fn location(location: wit::Location) -> Location {
    let wit::Location { root, path } = location;
    Location { root, path }
}
