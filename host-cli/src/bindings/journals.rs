//! `journal`: the logs of running experiments.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::generated::aurum::tracker::journal as wit;
use super::{Answer, Host, answer};
use crate::capabilities;
use crate::capabilities::journal::{Entry, Journals, Part, Writer};

impl Host {
    fn journals(&self) -> capabilities::Result<Journals> {
        self.capabilities.grants.check_journal()?;
        self.capabilities.journals()
    }
}

impl wit::Host for Host {
    fn entries(&mut self) -> Answer<Vec<wit::Entry>> {
        let entry = |Entry { id, held, size, modified }| wit::Entry { id, held, size, modified };
        answer(self.journals().and_then(|journals| Ok(journals.entries()?.into_iter().map(entry).collect())))
    }

    fn parts(&mut self, id: String) -> Answer<Vec<wit::Part>> {
        let part = |Part { number, held, size, modified }| wit::Part { number, held, size, modified };
        answer(self.journals().and_then(|journals| Ok(journals.parts(&id)?.into_iter().map(part).collect())))
    }

    fn read(&mut self, id: String, number: u32, offset: u64, limit: u32) -> Answer<Vec<u8>> {
        answer(self.journals().and_then(|journals| journals.read(&id, number, offset, limit)))
    }

    fn remove(&mut self, id: String, known: Vec<wit::Known>) -> Answer<bool> {
        let known: Vec<_> = known.into_iter().map(|wit::Known { number, size }| (number, size)).collect();
        answer(self.journals().and_then(|journals| journals.remove(&id, &known)))
    }
}

impl wit::HostWriter for Host {
    fn create(&mut self, id: String) -> Answer<Resource<Writer>> {
        match self.journals().and_then(|journals| journals.create(&id)) {
            Ok(writer) => Ok(Ok(self.table.push(writer)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn join(&mut self, id: String) -> Answer<Option<(u32, Resource<Writer>)>> {
        match self.journals().and_then(|journals| journals.join(&id)) {
            Ok(Some((number, writer))) => Ok(Ok(Some((number, self.table.push(writer)?)))),
            Ok(None) => Ok(Ok(None)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn open(&mut self, id: String, number: u32) -> Answer<Option<Resource<Writer>>> {
        match self.journals().and_then(|journals| journals.open(&id, number)) {
            Ok(Some(writer)) => Ok(Ok(Some(self.table.push(writer)?))),
            Ok(None) => Ok(Ok(None)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn append(&mut self, writer: Resource<Writer>, bytes: Vec<u8>) -> Answer<()> {
        let result = self.table.get(&writer)?.append(&bytes);
        self.capabilities.appended += u64::from(result.is_ok());
        answer(result)
    }

    fn sync(&mut self, writer: Resource<Writer>) -> Answer<()> {
        answer(self.table.get(&writer)?.sync())
    }

    fn truncate(&mut self, writer: Resource<Writer>, length: u64) -> Answer<()> {
        answer(self.table.get(&writer)?.truncate(length))
    }

    fn drop(&mut self, writer: Resource<Writer>) -> Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
