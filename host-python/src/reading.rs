//! What the script reads past the project, as those tell who watch it: `_reading.py`.

use aurum_host::Reading;
use pyo3::prelude::*;

use crate::run::join;
use crate::session::{Standing, short};
use crate::{process, warn};

/// Record a file that was read; never fails.
#[pyfunction]
#[pyo3(signature = (through, storage, path, size, digest))]
pub(crate) fn note_reading(
    py: Python<'_>,
    through: String,
    storage: Option<String>,
    path: String,
    size: Option<u64>,
    digest: Option<String>,
) {
    if process::is_disabled(py) {
        return;
    }
    if process::is_child() {
        let standing = short(py, |session| session.standing());
        if standing != Standing::Running && (standing != Standing::Idle || !join(py, true)) {
            return;
        }
    }
    let reading = Reading { through, storage, path, size, digest };
    if let Err(failure) = short(py, |session| session.read(reading)) {
        warn::lost(py, "Not all that the script reads is recorded", &failure);
    }
}

/// Has files that are still being read recorded as far as they were: the run ends.
pub(crate) fn flush(py: Python<'_>) {
    let flush = || -> PyResult<()> {
        // Where nothing is watched, nobody has imported it.
        match py.import("sys")?.getattr("modules")?.call_method1("get", ("aurum._reading",))? {
            module if module.is_none() => Ok(()),
            module => module.call_method0("flush").map(drop),
        }
    };
    let _ = flush();
}

/// Say something to the script's user, once.
#[pyfunction(name = "warn")]
pub(crate) fn tell(py: Python<'_>, text: &str) {
    warn::warn(py, text, &[]);
}

/// The project's root; none outside of a project.
#[pyfunction]
pub(crate) fn project(py: Python<'_>) -> Option<String> {
    Some(process::project(py)?.to_string_lossy().into_owned())
}
