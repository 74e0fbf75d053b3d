//! `upkeep`: checking and clearing. Reading git needs no grant; the store and the project's files do.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::generated::aurum::tracker::upkeep as wit;
use super::{Answer, Host, answer};
use crate::capabilities::upkeep::{self, Amount, Damage, StoreCheck, Sweep};

impl wit::Host for Host {
    fn check_commits(&mut self, commits: Vec<String>) -> Answer<Vec<wit::Damage>> {
        answer(upkeep::check_commits(&self.capabilities.repository, &commits).map(damages))
    }

    fn check_repository(&mut self) -> Answer<Vec<wit::Damage>> {
        answer(upkeep::check_repository(&self.capabilities.repository).map(damages))
    }

    fn broken_references(&mut self) -> Answer<Vec<wit::Damage>> {
        answer(upkeep::broken_references(&self.capabilities.repository).map(damages))
    }

    fn file_versions(&mut self, folder: String, offset: u32) -> Answer<Vec<Vec<u8>>> {
        let grants = &self.capabilities.grants;
        answer(
            grants
                .check_workspace()
                .and_then(|()| upkeep::file_versions(&self.capabilities.repository, &folder, offset)),
        )
    }

    fn loose_objects(&mut self) -> Answer<wit::Amount> {
        answer(upkeep::loose_objects(&self.capabilities.repository).map(amount))
    }

    fn temporaries(&mut self, before: u64, remove: bool) -> Answer<wit::Amount> {
        let grants = &self.capabilities.grants;
        let granted = if remove { grants.check_workspace_edit() } else { grants.check_workspace() };
        let repository = &self.capabilities.repository;
        let clear = || {
            let own = repository.common_dir()?.join("aurum");
            upkeep::temporaries(repository.root(), &own, &self.store()?, before, remove)
        };
        let cleared = granted.and_then(|()| clear());
        answer(cleared.map(amount))
    }

    fn check_store(&mut self, first: u8) -> Answer<wit::StoreCheck> {
        let check =
            |StoreCheck { objects, bytes, damages: found }| wit::StoreCheck { objects, bytes, damages: damages(found) };
        answer(self.store().and_then(|store| upkeep::check_store(&store, first)).map(check))
    }
}

impl wit::HostSweep for Host {
    fn begin(&mut self) -> Answer<Resource<Sweep>> {
        match self.store() {
            Ok(store) => Ok(Ok(self.table.push(Sweep::begin(store))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn keep(&mut self, sweep: Resource<Sweep>, digests: Vec<String>) -> Answer<Vec<String>> {
        answer(self.table.get_mut(&sweep)?.keep(&digests))
    }

    fn measure(&mut self, sweep: Resource<Sweep>, before: u64) -> Answer<wit::Amount> {
        answer(self.table.get(&sweep)?.measure(before).map(amount))
    }

    fn remove(&mut self, sweep: Resource<Sweep>, before: u64) -> Answer<wit::Amount> {
        answer(self.table.get(&sweep)?.remove(before).map(amount))
    }

    fn drop(&mut self, sweep: Resource<Sweep>) -> Result<()> {
        self.table.delete(sweep)?;
        Ok(())
    }
}

fn damages(damages: Vec<Damage>) -> Vec<wit::Damage> {
    damages.into_iter().map(|Damage { name, what }| wit::Damage { name, what }).collect()
}

fn amount(Amount { count, bytes }: Amount) -> wit::Amount {
    wit::Amount { count, bytes }
}
