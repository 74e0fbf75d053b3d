//! Blocks of `aurum.run`: which run they are, and what their end says of it.

use aurum_host::{Outcome, Problem};
use pyo3::exceptions::{PyGeneratorExit, PySystemExit};
use pyo3::prelude::*;

use crate::run::{self, Beginning, enter, of_exception};
use crate::session::{self, Standing, short};
use crate::{opened, parameters, process, scope, warn};

/// What a block hands back at its end: its number, and what it takes to undo the context variable.
type Entered = (u32, Option<Py<PyAny>>);

/// Begin a block. `is_shared` says that it stands in the main thread and in no task: then threads that are in no block of their own are in
/// it, and it is the process's run, if that is not under way.
#[pyfunction]
#[pyo3(signature = (name, *, tags=None, group=None, resume=None, is_shared=true))]
pub(crate) fn enter_block(
    py: Python<'_>,
    name: Option<String>,
    tags: Option<&Bound<'_, PyAny>>,
    group: Option<String>,
    resume: Option<String>,
    is_shared: bool,
) -> PyResult<Entered> {
    let beginning = Beginning::new(name, tags, group, resume)?;
    if process::is_child() {
        // Whatever is begun in a child is its parent's run.
        enter(py, Beginning::default())?;
        if !process::is_inheriting(py) {
            let hint = "Begin the blocks in threads, or start a script for each: see \"Several runs in one process\""
                .to_owned();
            warn::warn(py, "A block of a child process is no run of its own: its values are the parent's", &[hint]);
        }
        return Ok((scope::SHARED, None));
    }
    let outer = scope::current(py);
    let is_running = short(py, |session| session.standing()) == Standing::Running;
    if is_shared && outer == scope::SHARED && !is_running && scope::take_shared() {
        return match enter(py, beginning) {
            Ok(_) => Ok((scope::SHARED, None)),
            Err(error) => {
                scope::close(scope::SHARED);
                Err(error)
            }
        };
    }
    let outer_run = short(py, |session| session.run_id());
    let number = scope::open(is_shared, outer_run);
    let begun = parameters::open(py, number, outer).and_then(|()| scope::within(number, || enter(py, beginning)));
    match begun.and_then(|_| scope::set(py, number)) {
        Ok(token) => Ok((number, Some(token))),
        Err(error) => {
            close(py, number);
            Err(error)
        }
    }
}

/// End a block by an exception, or by none, and save its run.
#[pyfunction]
#[pyo3(signature = (number, token, exception=None))]
pub(crate) fn leave_block(
    py: Python<'_>,
    number: u32,
    token: Option<&Bound<'_, PyAny>>,
    exception: Option<&Bound<'_, PyAny>>,
) -> bool {
    if process::is_child() {
        return run::end_experiment(py);
    }
    let (outcome, problem) = exception.map_or((Outcome::Finished, None), |exception| of_block(py, exception));
    if number == scope::SHARED {
        parameters::mark_former();
    }
    let saved = scope::within(number, || run::finish(py, outcome, problem.as_ref(), Standing::Idle));
    if let Some(token) = token {
        scope::unset(py, token);
    }
    close(py, number);
    saved
}

fn close(py: Python<'_>, number: u32) {
    scope::close(number);
    if number != scope::SHARED {
        session::forget(number);
        parameters::close(py, number);
        opened::forget(number);
    }
}

/// The same as of a script, but that an exit is an exception here: without a status, or with the status 0, all is well.
fn of_block(py: Python<'_>, exception: &Bound<'_, PyAny>) -> (Outcome, Option<Problem>) {
    if exception.is_instance_of::<PySystemExit>() {
        let status = exception.getattr("code").ok();
        if status.is_none_or(|status| status.is_none() || status.eq(0).unwrap_or(false)) {
            return (Outcome::Finished, None);
        }
    }
    // A generator that is closed was not asked for more; a task that is cancelled was stopped from outside, by Ctrl-C for one.
    if exception.is_instance_of::<PyGeneratorExit>() {
        return (Outcome::Finished, None);
    }
    if is_cancelled(py, exception).unwrap_or(false) {
        return (Outcome::Interrupted, None);
    }
    of_exception(py, exception)
}

fn is_cancelled(py: Python<'_>, exception: &Bound<'_, PyAny>) -> PyResult<bool> {
    // Where nobody has imported it, nothing is a task.
    let asyncio = py.import("sys")?.getattr("modules")?.call_method1("get", ("asyncio.exceptions",))?;
    if asyncio.is_none() { Ok(false) } else { exception.is_instance(&asyncio.getattr("CancelledError")?) }
}
