//! Going back to an experiment and packing one up, as typed calls.

use wasmtime::component::Resource;

use super::{Result, Tracker};
use crate::capabilities::archive::Destination;
use crate::failure::Failure;

pub use crate::bindings::generated::exports::aurum::tracker::reproduction::{Loaded, Omissions, Packed};

impl Tracker {
    /// Checks out an experiment's commit with HEAD detached, and brings its data back.
    ///
    /// # Errors
    /// Before anything is changed, when unsaved work is in the way; for selectors that name nothing or too much.
    pub fn load(&mut self, selector: &str) -> Result<Loaded> {
        self.call(|sandbox| sandbox.core.aurum_tracker_reproduction().call_load(&mut sandbox.store, selector))
    }

    /// Writes an experiment as a zip file named after its id.
    ///
    /// # Errors
    /// When it can't be written, and for selectors that name nothing or too much.
    pub fn pack(&mut self, selector: &str, without: Omissions, destination: &Destination) -> Result<Packed> {
        self.call(|sandbox| {
            let destination = sandbox.store.data_mut().table.push(destination.clone())?;
            let destination = Resource::<Destination>::new_own(destination.rep());
            let core = sandbox.core.aurum_tracker_reproduction();
            core.call_pack(&mut sandbox.store, selector, without, destination)
        })
    }

    /// One experiment whole: a JSON object, its record with `commit` beside.
    ///
    /// # Errors
    /// For selectors that name nothing or too much.
    pub fn show(&mut self, selector: &str) -> Result<String, Failure> {
        self.call(|sandbox| sandbox.core.aurum_tracker_history().call_show(&mut sandbox.store, selector))
    }
}
