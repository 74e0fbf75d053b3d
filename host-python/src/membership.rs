//! The runs that this process takes part in though another one has started them, and the run that a script is a part of.
//!
//! A run sets two variables in its own environment, which what it starts inherits. `AURUM_RUN` is its id: a script that finds it there has
//! a run of its own, with that one as its parent. `AURUM_WORKERS` is for spawned workers of `multiprocessing`, which take part in the run
//! itself; only workers of that very process listen to it. A forked child has what its parent had in memory.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

pub(crate) use crate::named_run::Membership;
use crate::named_run::{read, write};
use crate::{process, scope};

const RUN: &str = "AURUM_RUN";
const WORKERS: &str = "AURUM_WORKERS";
/// What `_capture.py` sets.
const CAPTURED: &str = "AURUM_CAPTURED";

/// Those of this process, or of the one that it was forked from. Only whoever has the interpreter's lock takes this one, and for no
/// longer than a look takes, so that no fork finds it locked.
static OWN: Mutex<Own> = Mutex::new(Own { runs: Vec::new(), former: None });

struct Own {
    /// By the numbers of their blocks.
    runs: Vec<(u32, Membership)>,
    /// What `AURUM_RUN` was before a run of this process was named by it; none where none is.
    former: Option<Option<String>>,
}

impl Own {
    fn find(&self, number: u32) -> Option<&Membership> {
        self.runs.iter().find(|(known, _)| *known == number).map(|(_, run)| run)
    }
}

/// This process has a part in the run now: so have its children.
pub(crate) fn enter(py: Python<'_>, number: u32, run: Membership) {
    {
        let mut own = own();
        own.runs.retain(|(known, _)| *known != number);
        own.runs.push((number, run));
    }
    tell(py, None);
}

/// The run has ended.
pub(crate) fn leave(py: Python<'_>, number: u32) {
    let left = {
        let mut own = own();
        let before = own.runs.len();
        own.runs.retain(|(known, _)| *known != number);
        own.runs.len() < before
    };
    if left {
        tell(py, None);
    }
}

/// Whether a run is under way.
pub(crate) fn is_any() -> bool {
    !own().runs.is_empty()
}

/// In a forked child: its own workers take part in the run that it was forked in.
pub(crate) fn tell_workers(py: Python<'_>) {
    if !own().runs.is_empty() {
        tell(py, Some(scope::current(py)));
    }
}

/// Names the run that all threads share, or else the one given, to what this process starts. Blocks of other threads are not named: the
/// environment is of all of them.
fn tell(py: Python<'_>, first: Option<u32>) {
    let (run, workers) = {
        let own = &mut *own();
        let run = first.into_iter().chain(scope::of_all_threads()).find_map(|number| own.find(number)).cloned();
        match run {
            Some(run) => {
                own.former.get_or_insert_with(|| std::env::var(RUN).ok());
                let workers = write(&run, std::process::id());
                (Some(run.id), Some(workers))
            }
            None => match own.former.take() {
                Some(former) => (former, None),
                None => return,
            },
        }
    };
    set_variable(py, RUN, run);
    set_variable(py, WORKERS, workers);
}

/// The run that what this process records is a part of, as the environment says.
pub(crate) fn parent() -> Option<String> {
    let former = own().former.clone();
    former.unwrap_or_else(|| std::env::var(RUN).ok()).filter(|id| !id.is_empty())
}

/// Settles, when `aurum` is imported, whom the variable is for. Says whether this is a worker of a run.
pub(crate) fn begin(py: Python<'_>) -> bool {
    let Some((run, process)) = named() else { return false };
    if !process::is_worker() {
        // A script by itself, and so are the workers that it may have.
        set_variable(py, WORKERS, None);
        // Output that another run keeps is for this one to keep as well.
        set_variable(py, CAPTURED, None);
        return false;
    }
    // A worker that is being spawned by the process named. Its own workers take part as well.
    if std::os::unix::process::parent_id() == process {
        set_variable(py, WORKERS, Some(write(&run, std::process::id())));
    }
    true
}

/// The run that this child is to take part in.
pub(crate) fn of_child(py: Python<'_>) -> Option<Membership> {
    let number = scope::current(py);
    let inherited = own().find(number).cloned();
    inherited.or_else(|| {
        let (run, process) = named().filter(|_| number == scope::SHARED)?;
        // Set anew by `begin`, unless a server forked this worker on behalf of the process named.
        let fits = process == std::process::id() || process::multiprocessing_parent(py) == Some(process);
        fits.then_some(run)
    })
}

fn own() -> std::sync::MutexGuard<'static, Own> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_variable(py: Python<'_>, name: &str, text: Option<String>) {
    let set = || -> PyResult<()> {
        let environ = py.import("os")?.getattr("environ")?;
        match text {
            Some(text) => environ.set_item(name, text),
            None => environ.call_method1("pop", (name, py.None())).map(drop),
        }
    };
    // Without it, spawned workers are not recorded, and say so.
    let _ = set();
}

fn named() -> Option<(Membership, u32)> {
    read(&std::env::var(WORKERS).ok()?)
}
