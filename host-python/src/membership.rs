//! The run that this process takes part in, though another one has started it.
//!
//! A forked child has what its parent had in memory. A spawned worker starts anew, and finds the run in the variable `AURUM_RUN`,
//! which a run sets in its own process and to which only workers of that very process listen: another script that the run starts,
//! though it inherits the variable, has runs of its own.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

pub(crate) use crate::named_run::Membership;
use crate::named_run::{read, write};
use crate::process;

const VARIABLE: &str = "AURUM_RUN";

/// That of this process, or of the one that it was forked from. Only whoever has the interpreter's lock takes this one, and for no
/// longer than a look takes, so that no fork finds it locked.
static OWN: Mutex<Option<Membership>> = Mutex::new(None);

/// This process has a part in the run now: so have its children.
pub(crate) fn enter(py: Python<'_>, run: Membership) {
    *own() = Some(run);
    tell_workers(py);
}

/// The run has ended.
pub(crate) fn leave(py: Python<'_>) {
    if own().take().is_some() {
        set_variable(py, None);
    }
}

/// Names this very process as the one whose workers take part: at the run's beginning, and in each forked child.
pub(crate) fn tell_workers(py: Python<'_>) {
    let text = own().as_ref().map(|run| write(run, std::process::id()));
    if let Some(text) = text {
        set_variable(py, Some(text));
    }
}

/// Settles, when `aurum` is imported, whom the variable is for. Says whether this is a worker of a run.
pub(crate) fn begin(py: Python<'_>) -> bool {
    let Some((run, process)) = named() else { return false };
    if !process::is_worker() {
        // A script by itself, and so are the workers that it may have.
        set_variable(py, None);
        forget_captured(py);
        return false;
    }
    // A worker that is being spawned by the process named. Its own workers take part as well.
    if std::os::unix::process::parent_id() == process {
        set_variable(py, Some(write(&run, std::process::id())));
    }
    true
}

/// The run that this child is to take part in.
pub(crate) fn of_child(py: Python<'_>) -> Option<Membership> {
    let inherited = own().clone();
    inherited.or_else(|| {
        let (run, process) = named()?;
        // Set anew by `begin`, unless a server forked this worker on behalf of the process named.
        let fits = process == std::process::id() || process::multiprocessing_parent(py) == Some(process);
        fits.then_some(run)
    })
}

fn own() -> std::sync::MutexGuard<'static, Option<Membership>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_variable(py: Python<'_>, text: Option<String>) {
    let set = || -> PyResult<()> {
        let environ = py.import("os")?.getattr("environ")?;
        match text {
            Some(text) => environ.set_item(VARIABLE, text),
            None => environ.call_method1("pop", (VARIABLE, py.None())).map(drop),
        }
    };
    // Without it, spawned workers are not recorded, and say so.
    let _ = set();
}

/// Output that another run keeps is for this one to keep as well.
fn forget_captured(py: Python<'_>) {
    let forget = || -> PyResult<()> {
        py.import("os")?.getattr("environ")?.call_method1("pop", ("AURUM_CAPTURED", py.None())).map(drop)
    };
    let _ = forget();
}

fn named() -> Option<(Membership, u32)> {
    read(&std::env::var(VARIABLE).ok()?)
}
