//! The project's data, as scripts find it.

use std::path::PathBuf;

use aurum_host::{Failure, FailureKind};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::raise;
use crate::run::{self, Beginning, enter, site};
use crate::session::long;
use crate::{fetch, process, warn};

/// Say which datasets the script uses.
///
/// They are recorded as used, with what they hold now. A dataset that is not there is brought back from the store, else fetched from the
/// data remote, else from the address that it was added from, if that has the same content still.
///
/// Args:
///     names: What each was added as: its name as `au data ls` shows it, or its path.
///
/// Returns:
///     Where each of them is on this computer, as an absolute path.
///
/// Raises:
///     UnknownDatasetError: If no dataset answers to a name; `au data add` adds one.
///     MissingDataError: If a dataset's content is not to be had.
///     NotAProjectError: Outside of a project.
///
/// Example:
///     >>> [path] = aurum.use_datasets("adult.data")
///     >>> table = pandas.read_csv(path)
#[pyfunction]
#[pyo3(signature = (*names))]
pub(crate) fn use_datasets(py: Python<'_>, names: &Bound<'_, PyTuple>) -> PyResult<Vec<String>> {
    // Any path-like object is what it stands for.
    let names = names.iter().map(|name| Ok(name.extract::<PathBuf>()?.to_string_lossy().into_owned()));
    locate(py, &names.collect::<PyResult<Vec<_>>>()?)
}

/// Say that the script uses a dataset, and find out where it is.
///
/// The same as `use_datasets` with one name.
///
/// Args:
///     name: What it was added as: its name as `au data ls` shows it, or its path.
///
/// Returns:
///     Where it is on this computer, as an absolute path.
///
/// Raises:
///     UnknownDatasetError: If no dataset answers to the name; `au data add` adds one.
///     MissingDataError: If its content is not to be had.
///     NotAProjectError: Outside of a project.
///
/// Example:
///     >>> table = pandas.read_csv(aurum.dataset("adult.data"))
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "PyO3 reads any path-like object into one of its own")]
pub(crate) fn dataset(py: Python<'_>, name: PathBuf) -> PyResult<String> {
    Ok(locate(py, &[name.to_string_lossy().into_owned()])?.remove(0))
}

fn locate(py: Python<'_>, names: &[String]) -> PyResult<Vec<String>> {
    let refused = |kind, message: &str, hint: &str| Err(raise(py, &Failure::new(kind, message, hint)));
    if process::project(py).is_none() {
        let (why, hint) = process::explain_no_project();
        return refused(FailureKind::NotAProject, &why, &hint);
    }
    // Where nothing is recorded, the script needs its data all the same.
    enter(py, Beginning::default())?;
    let site = site(py);
    let (located, warnings) = long(py, |session| {
        let located = session.with_tracker(site, |tracker| tracker.use_datasets(names));
        (located, session.take_warnings())
    });
    warn::pass_on(py, &warnings);
    let located = match located {
        Err(missing) if missing.kind == FailureKind::MissingData => {
            fetch::fetch(py, names, missing)?;
            let site = run::site(py);
            long(py, |session| session.with_tracker(site, |tracker| tracker.use_datasets(names)))
        }
        other => other,
    };
    let located = located.map_err(|failure| raise(py, &failure))?;
    Ok(located.into_iter().map(|path| path.to_string_lossy().into_owned()).collect())
}
