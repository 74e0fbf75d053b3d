//! Going back to an experiment and packing one up, as typed calls.

use std::fs::File;
use std::io::Seek;

use wasmtime::component::Resource;

use super::{Reply, Result, Sandbox, Tracker};
use crate::bindings::Sink;
use crate::capabilities::Error;
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

    /// What an experiment printed, from its beginning, in a file without a name. Of a run that is not saved yet it is what there is so
    /// far; of that, lines that have not ended are left out unless `unended`.
    ///
    /// # Errors
    /// For selectors that name nothing or too much, and when there is no place for it.
    pub fn read_log(&mut self, selector: &str, unended: bool) -> Result<File> {
        self.text(|sandbox, sink| {
            sandbox.core.aurum_tracker_history().call_write_log(&mut sandbox.store, selector, unended, sink)
        })
    }

    /// Every value of every metric of an experiment, a JSON object a line, likewise.
    ///
    /// # Errors
    /// As [`read_log`](Self::read_log).
    pub fn read_metrics(&mut self, selector: &str) -> Result<File> {
        self.text(|sandbox, sink| {
            sandbox.core.aurum_tracker_history().call_write_metrics(&mut sandbox.store, selector, sink)
        })
    }

    fn text(&mut self, mut write: impl FnMut(&mut Sandbox, Resource<Sink>) -> Reply<()>) -> Result<File> {
        let failed = |error| Error::io("making a temporary file", &error);
        let mut file = tempfile::tempfile().map_err(failed)?;
        let end = file.try_clone().map_err(failed)?;
        self.call(|sandbox| {
            // After a trap it begins anew.
            (&end).rewind().and_then(|()| end.set_len(0))?;
            let sink = sandbox.store.data_mut().table.push(Sink(Box::new(end.try_clone()?)))?;
            let written = write(sandbox, Resource::new_borrow(sink.rep()));
            sandbox.store.data_mut().table.delete(sink)?;
            written
        })?;
        file.rewind().map_err(failed)?;
        Ok(file)
    }

    /// One experiment whole: a JSON object, its record with `commit` beside.
    ///
    /// # Errors
    /// For selectors that name nothing or too much.
    pub fn show(&mut self, selector: &str) -> Result<String, Failure> {
        self.call(|sandbox| sandbox.core.aurum_tracker_history().call_show(&mut sandbox.store, selector))
    }
}
