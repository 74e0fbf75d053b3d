//! What the script's user reads on stderr.

use std::io::Write;

use aurum_host::{Failure, Warning};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PySet;

use crate::errors::explained;
use crate::session;

/// The warnings given so far. A Python object, so that the interpreter's lock guards it: a forked child can't inherit it locked.
static GIVEN: PyOnceLock<Py<PySet>> = PyOnceLock::new();

/// Warns, the same words only once.
pub(crate) fn warn(py: Python<'_>, message: &str, hints: &[String]) {
    let text = format!("aurum: warning: {}\n", explained(message, hints));
    if is_first(py, &text) {
        say(py, &text);
    }
}

/// Says something that is as it should be, the same words only once.
pub(crate) fn note(py: Python<'_>, message: &str, hints: &[String]) {
    let text = format!("aurum: {}\n", explained(message, hints));
    if is_first(py, &text) {
        say(py, &text);
    }
}

/// Whether this is to be said for the first time.
fn is_first(py: Python<'_>, text: &str) -> bool {
    let first = || -> PyResult<bool> {
        let given = GIVEN.get_or_try_init(py, || PySet::empty(py).map(Bound::unbind))?.bind(py);
        let first = !given.contains(text)?;
        // Before it is written: what is written to stderr comes back to us, and may fail with the same warning.
        given.add(text)?;
        Ok(first)
    };
    first().unwrap_or(true)
}

/// Passes on what the tracker had to say.
pub(crate) fn pass_on(py: Python<'_>, warnings: &[Warning]) {
    for warning in warnings {
        warn(py, &warning.message, &warning.hints);
    }
}

/// Warns of a failure of ours, and of what it means for the run.
pub(crate) fn failed(py: Python<'_>, consequence: &str, failure: &Failure) {
    warn(py, &format!("{consequence}: {}", failure.message), &failure.hints);
}

/// Warns of something that is not recorded of the run under way. What ails one thing ails the next: it is told once in a run, and what
/// has the same remedy is the same.
pub(crate) fn lost(py: Python<'_>, what: &str, failure: &Failure) {
    let Some((run, left)) = session::short(py, |session| session.what_is_left()) else {
        return failed(py, what, failure);
    };
    let trouble = failure.hints.first().unwrap_or(&failure.message);
    // Names of temporary files differ each time.
    let trouble = trouble.split(" at path ").next().unwrap_or(trouble);
    if is_first(py, &format!("{run} {trouble}")) {
        let mut failure = failure.clone();
        failure.hints.push("More may be missing while this lasts; it is said only once".to_owned());
        failure.hints.push(left);
        failed(py, what, &failure);
    }
}

/// Writes to `sys.stderr`, if there is one that takes it.
pub(crate) fn say(py: Python<'_>, text: &str) {
    let write = || -> PyResult<()> {
        let stderr = py.import("sys")?.getattr("stderr")?;
        if !stderr.is_none() {
            stderr.call_method1("write", (text,))?;
            stderr.call_method0("flush")?;
        }
        Ok(())
    };
    // A closed stderr is no reason to end a training.
    let _ = write();
}

/// The same where the interpreter has ended.
pub(crate) fn say_without_python(text: &str) {
    // A closed stderr is no reason to end otherwise.
    let _ = writeln!(std::io::stderr(), "aurum: {text}");
}
