//! Sharing experiments with other clones, as typed calls.

use super::{Result, Tracker};
use crate::capabilities::exchange::{self, Observer};
use crate::failure::Failure;

use crate::bindings::generated::exports::aurum::tracker::sharing as wit;
pub use crate::bindings::generated::exports::aurum::tracker::sharing::{
    DataOutcome, DataRemote, Freight, LeftBehind, Request as ShareRequest,
};

/// What came of a push.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The remote, as people may read it.
    pub remote: String,
    /// Experiments that are new there.
    pub experiments: u64,
    /// Experiments that went on since they were sent.
    pub moved: u64,
    /// Experiments that were there.
    pub present: u64,
    /// Archives that are new there.
    pub archives: u64,
    /// Tags that were taken away there.
    pub removed: u64,
    /// Whether notes were sent.
    pub notes: bool,
    /// What became of models and data.
    pub data: DataOutcome,
    /// What could not be done.
    pub failures: Vec<Failure>,
}

/// What came of a pull.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The remote, as people may read it.
    pub remote: String,
    /// Experiments that are new here.
    pub experiments: u64,
    /// Experiments that went on since they came.
    pub moved: u64,
    /// Archives that are new here.
    pub archives: u64,
    /// Experiments that were removed elsewhere.
    pub removed: u64,
    /// Whether notes came.
    pub notes: bool,
    /// What became of models and data.
    pub data: DataOutcome,
    /// What could not be done.
    pub failures: Vec<Failure>,
}

impl Tracker {
    /// Sends experiments, archives and notes to a remote that is granted.
    ///
    /// # Errors
    /// When the remote can't be asked, and for selectors that name nothing or too much.
    pub fn push(&mut self, request: &ShareRequest) -> Result<Pushed> {
        let pushed =
            self.call(|sandbox| sandbox.core.aurum_tracker_sharing().call_push(&mut sandbox.store, request))?;
        let wit::Pushed { remote, experiments, moved, present, archives, removed, notes, data, failures } = pushed;
        let failures = failures.into_iter().map(Into::into).collect();
        Ok(Pushed { remote, experiments, moved, present, archives, removed, notes, data, failures })
    }

    /// Brings experiments, archives and notes of a remote that is granted.
    ///
    /// # Errors
    /// When the remote can't be asked.
    pub fn pull(&mut self, request: &ShareRequest) -> Result<Pulled> {
        let pulled =
            self.call(|sandbox| sandbox.core.aurum_tracker_sharing().call_pull(&mut sandbox.store, request))?;
        let wit::Pulled { remote, experiments, moved, archives, removed, notes, data, failures } = pulled;
        let failures = failures.into_iter().map(Into::into).collect();
        Ok(Pulled { remote, experiments, moved, archives, removed, notes, data, failures })
    }

    /// Sends the contents of datasets, all without a name, to the data remote; with `versions`, those of all their versions. None
    /// where no data remote is set.
    ///
    /// # Errors
    /// For a name that no dataset answers to, and when the data remote can't be written.
    pub fn push_data(&mut self, names: &[String], versions: bool) -> Result<Option<Freight>> {
        let names = self.data_names(names);
        self.call(|sandbox| sandbox.core.aurum_tracker_sharing().call_push_data(&mut sandbox.store, &names, versions))
    }

    /// Brings them from it.
    ///
    /// # Errors
    /// For a name that no dataset answers to, and when the data remote can't be read.
    pub fn pull_data(&mut self, names: &[String], versions: bool) -> Result<Option<Freight>> {
        let names = self.data_names(names);
        self.call(|sandbox| sandbox.core.aurum_tracker_sharing().call_pull_data(&mut sandbox.store, &names, versions))
    }

    /// Remembers a data remote.
    ///
    /// # Errors
    /// For a name or a URL that can't be one.
    pub fn add_data_remote(&mut self, name: &str, url: &str) -> Result<()> {
        self.call(|sandbox| sandbox.core.aurum_tracker_sharing().call_add_data_remote(&mut sandbox.store, name, url))
    }

    /// The data remotes, in the order in which they were added.
    ///
    /// # Errors
    /// When git's configuration can't be read.
    pub fn data_remotes(&mut self) -> Result<Vec<DataRemote>> {
        self.call(|sandbox| sandbox.core.aurum_tracker_sharing().call_data_remotes(&mut sandbox.store))
    }

    /// Forgets a data remote.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn remove_data_remote(&mut self, name: &str) -> Result<()> {
        self.call(|sandbox| sandbox.core.aurum_tracker_sharing().call_remove_data_remote(&mut sandbox.store, name))
    }

    /// Grants the exchange with every git remote that is configured here.
    ///
    /// # Errors
    /// When git can't be read.
    pub fn allow_configured_remotes(&mut self) -> Result<()> {
        let capabilities = &mut self.sandbox()?.store.data_mut().capabilities;
        for remote in exchange::remotes(&capabilities.repository)? {
            capabilities.grants = capabilities.grants.clone().allow_exchange(&remote);
        }
        Ok(())
    }

    /// Grants the exchange with every data remote that is configured here.
    ///
    /// # Errors
    /// When git's configuration can't be read.
    pub fn allow_data_remotes(&mut self) -> Result<()> {
        let capabilities = &mut self.sandbox()?.store.data_mut().capabilities;
        for remote in exchange::cargo::data_remotes(&capabilities.repository)? {
            capabilities.grants = capabilities.grants.clone().allow_exchange(&remote.url);
        }
        Ok(())
    }

    /// Has what takes long be seen.
    pub fn observe(&mut self, observer: Observer) {
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.store.data_mut().capabilities.observer = observer;
        }
    }
}
