//! Finishing runs whose processes are gone, one at a time: what goes wrong with one costs no other.

use super::{FUEL, Result, Tracker};
use crate::failure::{Failure, FailureKind, Warning};

/// A run that was finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The experiment's id.
    pub id: String,
    /// As in its record.
    pub status: String,
    /// The commit.
    pub commit: String,
    /// The tag on it.
    pub tag: String,
}

/// What came of `recover`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The runs that were finished.
    pub recovered: Vec<Recovered>,
    /// What could not be done.
    pub failures: Vec<Failure>,
}

/// What another run's start may cost on the way: runs, and bytes of all their journals, about a fifth of a second.
const FEW: usize = 8;
const SMALL: u64 = 2 << 20;
/// And work on each of them, about a second: five times what so long a journal takes.
const LITTLE: u64 = 4_000_000_000;
/// Journals that the core can't bear, after which no other is tried.
const FAULTY: usize = 2;

impl Tracker {
    /// Finishes every run whose processes are gone.
    ///
    /// # Errors
    /// When the journals can't be listed. What goes wrong with one of them stands in the answer.
    pub fn recover(&mut self) -> Result<Recovery> {
        let mut recovery = Recovery::default();
        for (id, _) in self.lost()? {
            match self.recover_run(&id, FUEL) {
                Ok(recovered) => recovery.recovered.extend(recovered),
                Err(failure) => recovery.failures.push(failure),
            }
        }
        self.clear_stale_references()?;
        Ok(recovery)
    }

    /// Removes the references of runs that have no journal any more.
    ///
    /// # Errors
    /// When git's references can't be read or changed.
    pub fn clear_stale_references(&mut self) -> Result<()> {
        self.call(|sandbox| sandbox.core.aurum_tracker_project().call_clear_stale_references(&mut sandbox.store))
    }

    /// The same for few runs and short ones. A failure is worth a warning and no more: another run is about to start.
    pub(super) fn recover_few(&mut self) {
        // What keeps them from being listed keeps a run from starting, which tells better.
        let Ok(lost) = self.lost() else { return };
        let (mut rest, mut tried, mut faulty, mut left) = (SMALL, 0, 0, Vec::new());
        for (id, size) in lost {
            if tried == FEW || faulty == FAULTY || size > rest {
                left.push(id);
                continue;
            }
            (tried, rest) = (tried + 1, rest - size);
            if let Err(Failure { kind, message, hints, .. }) = self.recover_run(&id, LITTLE) {
                faulty += usize::from(kind == FailureKind::Internal);
                self.warn(message, hints);
            }
        }
        match left.as_slice() {
            [] => {}
            [id] => self
                .warn(format!("The run `{id}` was killed and is not saved yet"), vec!["Run `au recover`".to_owned()]),
            ids => {
                let message = format!("{} runs were killed and are not saved yet", ids.len());
                self.warn(message, vec!["Run `au recover`".to_owned()]);
            }
        }
    }

    fn lost(&mut self) -> Result<Vec<(String, u64)>> {
        let lost = self.call(|sandbox| sandbox.core.aurum_tracker_project().call_lost(&mut sandbox.store))?;
        Ok(lost.into_iter().map(|run| (run.id, run.size)).collect())
    }

    fn recover_run(&mut self, id: &str, fuel: u64) -> Result<Option<Recovered>> {
        let recovered =
            self.call_once(fuel, |sandbox| sandbox.core.aurum_tracker_project().call_recover(&mut sandbox.store, id));
        match recovered {
            Ok(run) => {
                Ok(run.map(|run| Recovered { id: run.id, status: run.status, commit: run.commit, tag: run.tag }))
            }
            // The core could not even say which run it failed at.
            Err(failure) if failure.kind == FailureKind::Internal => Err(Failure {
                message: format!("The run `{id}` could not be recovered: {}", failure.message),
                hints: vec![format!("Its journal stays where it is: `.git/aurum/runs/{id}`")],
                ..failure
            }),
            Err(failure) => Err(failure),
        }
    }

    fn warn(&mut self, message: String, hints: Vec<String>) {
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.store.data_mut().capabilities.warnings.push(Warning { message, hints });
        }
    }
}
