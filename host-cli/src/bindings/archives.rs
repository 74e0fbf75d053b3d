//! `archive`: zip files. A destination is a grant of its own: who has one may make a file there.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::data::kind_of;
use super::generated::aurum::tracker::archive as wit;
use super::generated::aurum::tracker::data::Kind;
use super::generated::aurum::tracker::repository::Location as WitLocation;
use super::{Answer, Host, answer};
use crate::capabilities::archive::{Destination, Finished, Writer};
use crate::capabilities::repository::Location;

impl wit::Host for Host {}

impl wit::HostDestination for Host {
    fn drop(&mut self, destination: Resource<Destination>) -> Result<()> {
        self.table.delete(destination)?;
        Ok(())
    }
}

impl wit::HostWriter for Host {
    fn begin(&mut self, destination: Resource<Destination>, name: String, modified: u64) -> Answer<Resource<Writer>> {
        let destination = self.table.delete(destination)?;
        match Writer::begin(&destination, &name, modified) {
            Ok(writer) => Ok(Ok(self.table.push(writer)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn add_bytes(&mut self, writer: Resource<Writer>, path: String, contents: Vec<u8>) -> Answer<()> {
        answer(self.table.get_mut(&writer)?.add_bytes(&path, &contents))
    }

    fn add_file(&mut self, writer: Resource<Writer>, path: String, location: WitLocation) -> Answer<bool> {
        let location = Location { root: location.root, path: location.path };
        answer(self.table.get_mut(&writer)?.add_file(&self.capabilities.repository, &path, &location))
    }

    fn add_tree(
        &mut self,
        writer: Resource<Writer>,
        folder: String,
        root: String,
        leave_out: Vec<String>,
    ) -> Answer<Vec<String>> {
        answer(self.table.get_mut(&writer)?.add_tree(&self.capabilities.repository, &folder, &root, &leave_out))
    }

    fn add_stored(&mut self, writer: Resource<Writer>, path: String, kind: Kind, digest: String) -> Answer<bool> {
        let store = self.capabilities.grants.check_store().and_then(|()| self.capabilities.store());
        match store {
            Ok(store) => answer(self.table.get_mut(&writer)?.add_stored(&store, &path, kind_of(kind), &digest)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn finish(&mut self, writer: Resource<Writer>) -> Answer<wit::Finished> {
        let writer = self.table.delete(writer)?;
        answer(writer.finish().map(|Finished { path, size }| wit::Finished { path, size }))
    }

    fn drop(&mut self, writer: Resource<Writer>) -> Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
