//! What becomes of experiments after their end, as typed calls.

use wasmtime::component::ResourceAny;

use super::{FUEL, Failure, Request, Result, Tracker};

pub use crate::bindings::generated::exports::aurum::tracker::retention::{Collection, Folded};

/// A check under way: what each step found, a JSON object.
pub struct Steps<'a> {
    tracker: &'a mut Tracker,
    verification: Option<ResourceAny>,
}

impl Iterator for Steps<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let verification = self.verification?;
        let sandbox = self.tracker.sandbox.as_mut()?;
        let step = sandbox.attempt(FUEL, &mut |sandbox| {
            sandbox.core.aurum_tracker_retention().verification().call_next(&mut sandbox.store, verification)
        });
        let step = match step {
            Ok(step) => step.map_err(Into::into).transpose(),
            Err(error) => Some(self.tracker.renew().and(Err(Failure::trap(&error)))),
        };
        if !matches!(step, Some(Ok(_))) {
            self.verification = None;
        }
        step
    }
}

impl Tracker {
    /// What is asked for, as [`Tracker::remove`] would remove it: a JSON array.
    ///
    /// # Errors
    /// For selectors that name nothing or too much, and for runs that are not saved.
    pub fn plan_removal(&mut self, request: &Request) -> Result<String> {
        self.call(|sandbox| sandbox.core.aurum_tracker_retention().call_plan_removal(&mut sandbox.store, request))
    }

    /// Removes these experiments, and answers their ids.
    ///
    /// # Errors
    /// For an id that is none, and for runs that are under way: then nothing is changed.
    pub fn remove(&mut self, ids: &[String]) -> Result<Vec<String>> {
        self.call(|sandbox| sandbox.core.aurum_tracker_retention().call_remove(&mut sandbox.store, ids))
    }

    /// What can be brought back: a JSON array.
    ///
    /// # Errors
    /// When git can't be read.
    pub fn trash(&mut self) -> Result<String> {
        self.call(|sandbox| sandbox.core.aurum_tracker_retention().call_trash(&mut sandbox.store))
    }

    /// Brings removed experiments back, and answers their ids.
    ///
    /// # Errors
    /// For selectors that name nothing or too much among them.
    pub fn restore(&mut self, selector: &str) -> Result<Vec<String>> {
        self.call(|sandbox| sandbox.core.aurum_tracker_retention().call_restore(&mut sandbox.store, selector))
    }

    /// Folds experiments into archives.
    ///
    /// # Errors
    /// For selectors that name nothing or too much, and for a moment that can't be read.
    pub fn archive(&mut self, selector: Option<&str>, before: Option<&str>) -> Result<Folded> {
        self.call(|sandbox| sandbox.core.aurum_tracker_retention().call_archive(&mut sandbox.store, selector, before))
    }

    /// Gives each archived experiment its tag again.
    ///
    /// # Errors
    /// When an archive can't be read.
    pub fn unarchive(&mut self) -> Result<Folded> {
        self.call(|sandbox| sandbox.core.aurum_tracker_retention().call_unarchive(&mut sandbox.store))
    }

    /// Clears what nothing needs any more, or with `dry_run` tells what that is: a JSON object.
    ///
    /// # Errors
    /// For ages and statuses that are none.
    pub fn collect(&mut self, what: &Collection, dry_run: bool) -> Result<String> {
        self.call(|sandbox| sandbox.core.aurum_tracker_retention().call_collect(&mut sandbox.store, what, dry_run))
    }

    /// Begins to check everything, or with a selector these experiments and what they name.
    ///
    /// # Errors
    /// For selectors that name nothing or too much.
    pub fn verify(&mut self, selector: Option<&str>, full: bool) -> Result<Steps<'_>> {
        let verification = self
            .call(|sandbox| sandbox.core.aurum_tracker_retention().call_verify(&mut sandbox.store, selector, full))?;
        Ok(Steps { tracker: self, verification: Some(verification) })
    }
}
