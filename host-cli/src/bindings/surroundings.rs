//! `clock`, `entropy`, `machine`, `interpreter` and `progress`: what tells of the surroundings and changes nothing.

use wasmtime::Result;

use super::Host;
use super::generated::aurum::tracker::{clock, entropy, interpreter, machine, progress};
use crate::capabilities;
use crate::capabilities::interpreter::Package;
use crate::capabilities::origin::{Kind, Origin};
use crate::failure::Warning;

/// Random bytes that the core can get at once: a guest's number is not to be trusted with an allocation.
const MOST_RANDOM: u32 = 4096;

impl clock::Host for Host {
    fn now(&mut self) -> Result<u64> {
        Ok(self.capabilities.clock.now())
    }

    fn offset_minutes(&mut self) -> Result<i16> {
        Ok(self.capabilities.clock.offset_minutes())
    }
}

impl entropy::Host for Host {
    fn bytes(&mut self, count: u32) -> Result<Vec<u8>> {
        // Without randomness there are no ids to be had: the sandbox ends rather than making two of the same.
        Ok(self.capabilities.entropy.bytes(count.min(MOST_RANDOM))?)
    }
}

impl machine::Host for Host {
    fn describe(&mut self) -> Result<machine::Facts> {
        let facts = capabilities::machine::describe(self.capabilities.repository.root());
        Ok(machine::Facts {
            system: facts.system,
            release: facts.release,
            architecture: facts.architecture,
            processors: facts.processors,
            memory: facts.memory,
            processor: facts.processor,
            disk: facts.disk.map(|disk| machine::Disk { free: disk.free, total: disk.total }),
            gpus: facts.gpus.into_iter().map(|gpu| machine::Gpu { name: gpu.name, memory: gpu.memory }).collect(),
            gpu_driver: facts.gpu_driver,
        })
    }
}

impl interpreter::Host for Host {
    fn describe(&mut self) -> Result<Option<interpreter::Facts>> {
        let facts = self.capabilities.interpreter.describe();
        Ok(facts.map(|facts| interpreter::Facts {
            implementation: facts.implementation.clone(),
            version: facts.version.clone(),
        }))
    }

    fn packages(&mut self) -> Result<Vec<interpreter::Distribution>> {
        let packages = self.capabilities.interpreter.packages(self.capabilities.repository.root()).into_iter();
        let distribution = |package: Package| interpreter::Distribution {
            name: package.name,
            version: package.version,
            origin: package.origin.map(origin),
        };
        Ok(packages.map(distribution).collect())
    }
}

fn origin(origin: Origin) -> interpreter::Origin {
    let Origin { kind, url, system, commit, branch, dirty, subdirectory, hashes, own } = origin;
    let kind = match kind {
        Kind::Repository => interpreter::OriginKind::Repository,
        Kind::Archive => interpreter::OriginKind::Archive,
        Kind::Folder => interpreter::OriginKind::Folder,
        Kind::Editable => interpreter::OriginKind::Editable,
    };
    interpreter::Origin { kind, url, system, commit, branch, dirty, subdirectory, hashes, own }
}

impl progress::Host for Host {
    fn warn(&mut self, message: String, hints: Vec<String>) -> Result<()> {
        self.capabilities.warnings.push(Warning { message, hints });
        Ok(())
    }
}
