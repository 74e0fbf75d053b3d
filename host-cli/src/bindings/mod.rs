//! The host half of `wit/`: each import a few lines that check the grant and call a plain capability.

use std::cell::OnceCell;
use std::path::PathBuf;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Result, StoreLimits, StoreLimitsBuilder};

use crate::capabilities::cache::Cache;
use crate::capabilities::clock::Clock;
use crate::capabilities::data::Data;
use crate::capabilities::entropy::Entropy;
use crate::capabilities::exchange::Observer;
use crate::capabilities::interpreter::Interpreter;
use crate::capabilities::journal::Journals;
use crate::capabilities::remote::Remote;
use crate::capabilities::repository::Repository;
use crate::capabilities::store::Store;
use crate::capabilities::workspace::Workspace;
use crate::capabilities::{self, Error};
use crate::failure::Warning;
use crate::grants::Grants;

mod archives;
mod caches;
mod data;
mod exchange;
mod journals;
mod network;
mod repository;
mod repository_edit;
mod stores;
mod surroundings;
mod upkeep;
mod workspace;

pub(crate) mod generated {
    #![allow(missing_docs, clippy::all, reason = "generated from wit/, which is documented")]

    wasmtime::component::bindgen!({
        path: "../wit",
        world: "tracker",
        imports: { default: trappable },
        with: {
            "aurum:tracker/repository.change-set": super::SharedChanges,
            "aurum:tracker/repository.file-reader": crate::capabilities::repository::FileReader,
            "aurum:tracker/repository.reference-list": crate::capabilities::repository::ReferenceList,
            "aurum:tracker/repository-edit.tree-edit": crate::capabilities::repository_edit::TreeEdit,
            "aurum:tracker/repository-edit.blob-writer": crate::capabilities::repository_edit::BlobWriter,
            "aurum:tracker/output.sink": super::Sink,
            "aurum:tracker/journal.writer": crate::capabilities::journal::Writer,
            "aurum:tracker/store.byte-stream": super::ByteStream,
            "aurum:tracker/archive.destination": crate::capabilities::archive::Destination,
            "aurum:tracker/archive.writer": crate::capabilities::archive::Writer,
            "aurum:tracker/upkeep.sweep": crate::capabilities::upkeep::Sweep,
            "aurum:tracker/exchange.advertisement": super::Advertisement,
        },
    });
}

pub(crate) use generated::Tracker as Core;
use generated::aurum::tracker::types;

/// The sandbox's memory: a core that needs more has gone astray.
const MEMORY: usize = 256 << 20;

/// Shared, so that a tree can take from it while both are in the sandbox's table.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub type SharedChanges = std::sync::Arc<capabilities::repository::ChangeSet>;

/// Where a long text goes that a caller of the tracker asked for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Sink(pub(crate) Box<dyn std::io::Write + Send>);

/// Bytes on their way to the store. They are read by the host and never enter the sandbox.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct ByteStream(pub(crate) Box<dyn std::io::Read + Send>);

/// What a remote has, asked once.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Advertisement(pub(crate) Vec<capabilities::repository::Reference>);

/// What a core may reach, and how: made once, and kept when a sandbox has to be made anew.
pub(crate) struct Capabilities {
    pub(crate) grants: Grants,
    pub(crate) repository: Repository,
    pub(crate) workspace: Workspace,
    /// Made when it is first asked for.
    pub(crate) data: OnceCell<Data>,
    pub(crate) remote: Remote,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) interpreter: Interpreter,
    /// Who watches what takes long.
    pub(crate) observer: Observer,
    /// What a call wants the user to know.
    pub(crate) warnings: Vec<Warning>,
    /// How often a journal was appended to: tells whether a call that trapped was accepted.
    pub(crate) appended: u64,
}

impl Capabilities {
    /// The journals live in git's common folder, which linked worktrees share and `git clean` does not reach.
    pub(crate) fn journals(&self) -> capabilities::Result<Journals> {
        Ok(Journals::new(self.repository.common_dir()?.join("aurum/runs")))
    }

    pub(crate) fn store(&self) -> capabilities::Result<Store> {
        Ok(Store::new(self.repository.common_dir()?.join("aurum/store")))
    }

    pub(crate) fn cache(&self) -> capabilities::Result<Cache> {
        self.grants.check_cache()?;
        Ok(Cache::new(self.repository.common_dir()?.join("aurum/cache")))
    }

    /// Where downloads lie until they are whole.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.repository.common_dir().map_or_else(|_| std::env::temp_dir(), |own| own.join("aurum/downloads"))
    }

    /// The data, where there is no repository without a store and a memory of what was hashed.
    pub(crate) fn data(&self) -> &Data {
        self.data.get_or_init(|| {
            let own = self.repository.common_dir().ok().map(|folder| folder.join("aurum"));
            Data::new(self.repository.root(), own.as_deref())
        })
    }
}

/// What one sandbox has of the host.
pub(crate) struct Host {
    pub(crate) capabilities: Capabilities,
    pub(crate) table: ResourceTable,
    pub(crate) limits: StoreLimits,
}

impl Host {
    pub(crate) fn new(capabilities: Capabilities) -> Self {
        let limits = StoreLimitsBuilder::new().memory_size(MEMORY).instances(16).build();
        Self { capabilities, table: ResourceTable::new(), limits }
    }
}

pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    Core::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
    Ok(linker)
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(text) => Self::Denied(text),
            Error::Conflict(text) => Self::Conflict(text),
            Error::InvalidPath(text) => Self::InvalidPath(text),
            Error::NoSpace(text) => Self::NoSpace(text),
            Error::NotPermitted(text) => Self::NotPermitted(text),
            Error::Missing(text) => Self::Missing(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}

/// An import's answer: the outer error ends the sandbox, the inner one is the core's to handle.
type Answer<T> = Result<Result<T, types::Error>>;

/// A capability's answer in the words of the interface.
fn answer<T>(result: capabilities::Result<T>) -> Answer<T> {
    Ok(result.map_err(Into::into))
}

impl types::Host for Host {}
