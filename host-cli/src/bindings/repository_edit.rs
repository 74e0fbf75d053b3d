//! `repository-edit`: adding to git.

use std::path::Path;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::generated::aurum::tracker::repository_edit as wit;
use super::{Answer, Host, SharedChanges, answer};
use crate::capabilities::repository_edit::{
    self, BlobWriter, CommitPlan, ReferenceChange, Signature, Staged, TreeEdit,
};

impl Host {
    /// Every function here starts with this.
    fn editing<T>(&mut self, edit: impl FnOnce(&mut Self) -> Answer<T>) -> Answer<T> {
        match self.capabilities.grants.check_repository_edit() {
            Ok(()) => edit(self),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl wit::Host for Host {
    fn create(&mut self) -> Answer<()> {
        self.editing(|host| answer(repository_edit::create(&host.capabilities.repository)))
    }

    fn commit(&mut self, plan: wit::CommitPlan) -> Answer<String> {
        let wit::CommitPlan { tree, parents, signature, message } = plan;
        let wit::Signature { name, email, seconds, offset_minutes } = signature;
        let plan = CommitPlan { tree, parents, signature: Signature { name, email, seconds, offset_minutes }, message };
        self.editing(|host| answer(repository_edit::commit(&host.capabilities.repository, &plan)))
    }

    fn set_reference(&mut self, name: String, expected: Option<String>, target: String, durable: bool) -> Answer<()> {
        self.editing(|host| {
            let repository = &host.capabilities.repository;
            answer(repository_edit::set_reference(repository, &name, expected.as_deref(), &target, durable))
        })
    }

    fn shield(&mut self, target: String, base: Option<String>) -> Answer<bool> {
        self.editing(|host| answer(repository_edit::shield(&host.capabilities.repository, &target, base.as_deref())))
    }

    fn remove_references(&mut self, names: Vec<String>) -> Answer<()> {
        self.editing(|host| answer(repository_edit::remove_references(&host.capabilities.repository, &names)))
    }

    fn change_references(&mut self, changes: Vec<wit::ReferenceChange>) -> Answer<()> {
        let change = |change: wit::ReferenceChange| ReferenceChange {
            name: change.name,
            expected: change.expected,
            target: change.target,
        };
        let changes: Vec<_> = changes.into_iter().map(change).collect();
        self.editing(|host| answer(repository_edit::change_references(&host.capabilities.repository, &changes)))
    }

    fn stage(&mut self, entries: Vec<wit::Staged>) -> Answer<()> {
        let entries: Vec<_> = entries.into_iter().map(|wit::Staged { path, blob }| Staged { path, blob }).collect();
        self.editing(|host| answer(repository_edit::stage(&host.capabilities.repository, &entries)))
    }

    fn switch_detached(&mut self, commit: String) -> Answer<()> {
        self.editing(|host| {
            let switched = host.capabilities.grants.check_workspace_edit();
            answer(switched.and_then(|()| repository_edit::switch_detached(&host.capabilities.repository, &commit)))
        })
    }

    fn exchange_exclude(&mut self, expected: Option<Vec<u8>>, contents: Vec<u8>) -> Answer<()> {
        self.editing(|host| {
            let repository = &host.capabilities.repository;
            answer(repository_edit::exchange_exclude(repository, expected.as_deref(), &contents))
        })
    }

    fn set_local_setting(&mut self, key: String, value: Option<String>) -> Answer<()> {
        self.editing(|host| {
            // Or else the core could grant itself any path.
            let granted = match &value {
                // git takes `PATH` for the same name.
                Some(path) if key.rsplit('.').next().is_some_and(|name| name.eq_ignore_ascii_case("path")) => {
                    host.capabilities.check_outside(Path::new(path))
                }
                _ => Ok(()),
            };
            let repository = &host.capabilities.repository;
            answer(granted.and_then(|()| repository_edit::set_local_setting(repository, &key, value.as_deref())))
        })
    }
}

impl wit::HostTreeEdit for Host {
    fn begin(&mut self, base: Option<String>) -> Answer<Resource<TreeEdit>> {
        self.editing(|host| match TreeEdit::begin(&host.capabilities.repository, base.as_deref()) {
            Ok(edit) => Ok(Ok(host.table.push(edit)?)),
            Err(error) => Ok(Err(error.into())),
        })
    }

    fn take(
        &mut self,
        edit: Resource<TreeEdit>,
        changes: Resource<SharedChanges>,
        positions: Vec<u32>,
    ) -> Answer<Vec<u32>> {
        self.editing(|host| {
            let changes = SharedChanges::clone(host.table.get(&changes)?);
            answer(host.table.get_mut(&edit)?.take(&host.capabilities.repository, &changes, &positions))
        })
    }

    fn put(&mut self, edit: Resource<TreeEdit>, path: String, blob: String) -> Answer<()> {
        self.editing(|host| answer(host.table.get_mut(&edit)?.put(&path, &blob)))
    }

    fn remove(&mut self, edit: Resource<TreeEdit>, path: String) -> Answer<()> {
        self.editing(|host| answer(host.table.get_mut(&edit)?.remove(&path)))
    }

    fn write(&mut self, edit: Resource<TreeEdit>) -> Answer<String> {
        self.editing(|host| answer(host.table.get_mut(&edit)?.write(&host.capabilities.repository)))
    }

    fn drop(&mut self, edit: Resource<TreeEdit>) -> Result<()> {
        self.table.delete(edit)?;
        Ok(())
    }
}

impl wit::HostBlobWriter for Host {
    fn begin(&mut self) -> Answer<Resource<BlobWriter>> {
        self.editing(|host| match BlobWriter::begin(&host.capabilities.repository) {
            Ok(writer) => Ok(Ok(host.table.push(writer)?)),
            Err(error) => Ok(Err(error.into())),
        })
    }

    fn write(&mut self, writer: Resource<BlobWriter>, bytes: Vec<u8>) -> Answer<()> {
        self.editing(|host| answer(host.table.get_mut(&writer)?.write(&host.capabilities.repository, &bytes)))
    }

    fn size(&mut self, writer: Resource<BlobWriter>) -> Result<u64> {
        Ok(self.table.get(&writer)?.size())
    }

    fn finish(&mut self, writer: Resource<BlobWriter>) -> Answer<String> {
        let writer = self.table.delete(writer)?;
        self.editing(|host| answer(writer.finish(&host.capabilities.repository)))
    }

    fn drop(&mut self, writer: Resource<BlobWriter>) -> Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
