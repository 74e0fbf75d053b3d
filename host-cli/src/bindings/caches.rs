//! `cache`: derived bytes.

use wasmtime::Result;

use super::generated::aurum::tracker::cache as wit;
use super::{Answer, Host, answer};

impl wit::Host for Host {
    fn read(&mut self, name: String) -> Result<Option<Vec<u8>>> {
        Ok(self.capabilities.cache().ok().and_then(|cache| cache.read(&name)))
    }

    fn write(&mut self, name: String, bytes: Vec<u8>) -> Answer<()> {
        answer(self.capabilities.cache().and_then(|cache| cache.write(&name, &bytes)))
    }

    fn retain(&mut self, names: Vec<String>) -> Answer<()> {
        answer(self.capabilities.cache().and_then(|cache| cache.retain(&names)))
    }
}
