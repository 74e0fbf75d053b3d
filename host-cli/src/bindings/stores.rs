//! `store`: content-addressed bytes.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::generated::aurum::tracker::store as wit;
use super::{Answer, ByteStream, Host, answer};
use crate::capabilities;
use crate::capabilities::store::{Store, Stored};

impl Host {
    pub(super) fn store(&self) -> capabilities::Result<Store> {
        self.capabilities.grants.check_store()?;
        self.capabilities.store()
    }
}

impl wit::Host for Host {
    fn add(&mut self, bytes: Resource<ByteStream>) -> Answer<wit::Stored> {
        let mut bytes = self.table.delete(bytes)?;
        let stored = self.store().and_then(|store| store.add(&mut *bytes.0));
        answer(stored.map(|Stored { digest, size }| wit::Stored { digest, size }))
    }

    fn has(&mut self, digest: String) -> Answer<bool> {
        answer(self.store().and_then(|store| store.rely_on(&digest)))
    }
}

impl wit::HostByteStream for Host {
    fn drop(&mut self, bytes: Resource<ByteStream>) -> Result<()> {
        self.table.delete(bytes)?;
        Ok(())
    }
}
