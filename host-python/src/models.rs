//! Models: bytes that Aurum keeps and never looks into.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aurum_host::{Failure, FailureKind};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::errors::{invalid_value, raise};
use crate::metrics::kind;
use crate::run::{Beginning, enter, settle, site};
use crate::session::long;
use crate::{process, warn};

/// Save a model with the experiment.
///
/// Args:
///     data: The model as bytes, serialised however you like.
///     name: What `load_model` finds it by. A later model of the same name takes its place.
///
/// Raises:
///     InvalidValueError: If `data` is not bytes-like, or the name can't be one.
///
/// Example:
///     >>> aurum.save_model(pickle.dumps(model))
#[pyfunction]
#[pyo3(signature = (data, name="model"))]
pub(crate) fn save_model(py: Python<'_>, data: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    let bytes = read_bytes("A model", data)?;
    if !enter(py, Beginning::default())? {
        unsaved().insert(name.to_owned());
        return Ok(());
    }
    let (saved, warnings) = long(py, |session| {
        let saved = session.with_run(|tracker| tracker.save_model(name, Box::new(Cursor::new(bytes))));
        (saved, session.take_warnings())
    });
    warn::pass_on(py, &warnings);
    settle(py, "The model is not saved", saved).map(drop)
}

/// Load a model that an experiment saved.
///
/// Args:
///     name: The name that it was saved under.
///     experiment: An id, a unique prefix of one, a tag, a name, or `@` for the latest. Without it: this run's own model, else
///         that of the newest finished run of the same script.
///
/// Returns:
///     The bytes given to `save_model`.
///
/// Raises:
///     NoModelError: If there is none.
///     UnknownExperimentError: If no experiment answers to `experiment`.
///     AmbiguousExperimentError: If more than one does.
///
/// Example:
///     >>> model = pickle.loads(aurum.load_model())
#[pyfunction]
#[pyo3(signature = (name="model", experiment=None))]
pub(crate) fn load_model<'py>(py: Python<'py>, name: &str, experiment: Option<&str>) -> PyResult<Bound<'py, PyBytes>> {
    if experiment.is_none() && process::is_disabled(py) && unsaved().contains(name) {
        let message = format!("The model `{name}` is not kept while tracking is switched off");
        let hint = "Name an experiment whose model to load, or run without `--no-tracking` and `AURUM_MODE=disabled`";
        return Err(raise(py, &Failure::new(FailureKind::NoModel, message, hint)));
    }
    let Some(root) = process::project(py) else {
        let hint = "Run `au init` in the project's folder, and save a model first";
        let message = "There are no models to load outside of a project";
        return Err(raise(py, &Failure::new(FailureKind::NoModel, message, hint)));
    };
    // A child's own model is its run's.
    if process::is_child() {
        enter(py, Beginning::default())?;
    }
    let (site, script) = (site(py), process::script_name(py, &root));
    let (opened, warnings) = long(py, |session| {
        let opened = session.with_tracker(site, |tracker| {
            let location = tracker.find_model(name, experiment, script.as_deref())?;
            Ok((tracker.open_model(&location)?, location))
        });
        if let Ok((_, location)) = &opened {
            session.loaded(name.to_owned(), location.experiment.clone());
        }
        (opened, session.take_warnings())
    });
    warn::pass_on(py, &warnings);
    let (file, location) = opened.map_err(|failure| raise(py, &failure))?;
    whole(py, file, location.size, &format!("model `{name}` of {}", location.experiment))
}

/// Names of models that this process would have saved. An earlier run's model must not pass for one of them.
fn unsaved() -> MutexGuard<'static, BTreeSet<String>> {
    static NAMES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file of the store as bytes, straight into Python's memory: it may be most of what fits.
pub(crate) fn whole<'py>(py: Python<'py>, mut file: File, size: u64, what: &str) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, usize::try_from(size)?, |bytes| {
        py.detach(|| file.read_exact(bytes)).map_err(|error| {
            let message = format!("The {what} can't be read: {error}");
            raise(py, &Failure { kind: FailureKind::Unavailable, message, hints: Vec::new(), excerpt: None })
        })
    })
}

/// Bytes that stay as they are while the interpreter runs on: shared where Python's can't change, else copied.
pub(crate) fn read_bytes(what: &str, data: &Bound<'_, PyAny>) -> PyResult<PyBackedBytes> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.clone().into());
    }
    match PyMemoryView::from(data) {
        Ok(view) => Ok(view.call_method0("tobytes")?.cast_into::<PyBytes>()?.into()),
        Err(error) if error.is_instance_of::<PyTypeError>(data.py()) => {
            let message = format!("{what} is kept as bytes, not as {}", kind(data));
            Err(invalid_value(data.py(), message, "Serialise it first, such as with `pickle.dumps`"))
        }
        Err(error) => Err(error),
    }
}
