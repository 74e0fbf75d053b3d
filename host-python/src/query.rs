//! The experiments there are.

use aurum_host::{Failure, FailureKind, Request};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyList};
use serde_json::Value;

use crate::errors::raise;
use crate::run::site;
use crate::session::{Site, long};
use crate::{process, values, warn};

/// Read the experiments of the project, oldest first, as `au metrics --json` shows them.
///
/// Args:
///     selector: Which ones: an id, a unique prefix of one, a tag, a name, `@` for the latest, `@~1` for the one before it, or
///         several of these with commas between. All without it.
///     where: What they have to meet, as `au metrics --where` has it: `"accuracy > 0.9 and status = finished"`.
///     sort: The metric, parameter or other name to sort by, with a `-` before it for the greatest first.
///     limit: How many at most: the first ones if they are sorted, else the newest.
///
/// Returns:
///     A dict for each experiment: `id`, `status`, `started`, `ended`, `script`, `parameters`, `metrics` and more.
///
/// Raises:
///     NotAProjectError: Outside of a project.
///     UnknownExperimentError: If no experiment answers to the selector.
///     AmbiguousExperimentError: If more than one does.
///     AurumError: If `where` or `sort` can't be understood.
///
/// Example:
///     >>> [best] = aurum.metrics(where="status = finished", sort="-accuracy", limit=1)
#[pyfunction]
#[pyo3(signature = (selector=None, *, r#where=None, sort=None, limit=None))]
pub(crate) fn metrics<'py>(
    py: Python<'py>,
    selector: Option<String>,
    r#where: Option<String>,
    sort: Option<String>,
    limit: Option<u32>,
) -> PyResult<Bound<'py, PyList>> {
    let site = project_site(py)?;
    let request = Request { selector, condition: r#where, sort, limit };
    let (pages, warnings) = long(py, |session| {
        let pages = session.with_tracker(site, |tracker| tracker.query(&request)?.collect::<Result<Vec<_>, _>>());
        (pages, session.take_warnings())
    });
    warn::pass_on(py, &warnings);
    let rows = PyList::empty(py);
    for page in pages.map_err(|failure| raise(py, &failure))? {
        let page = serde_json::from_str::<Vec<Value>>(&page).map_err(|error| {
            let message = format!("The experiments can't be read: {error}");
            raise(py, &Failure { kind: FailureKind::Internal, message, hints: Vec::new(), excerpt: None })
        })?;
        for row in page {
            rows.append(row_to_python(py, &row)?)?;
        }
    }
    Ok(rows)
}

/// The project's place, or the exception that says that there is none.
pub(crate) fn project_site(py: Python<'_>) -> PyResult<Site> {
    if process::project(py).is_none() {
        let (why, hint) = process::explain_no_project();
        return Err(raise(py, &Failure::new(FailureKind::NotAProject, why, &hint)));
    }
    Ok(site(py))
}

/// Metrics are numbers, so there the words for floats that JSON lacks are floats.
fn row_to_python<'py>(py: Python<'py>, row: &Value) -> PyResult<Bound<'py, PyAny>> {
    let converted = values::from_value(py, row)?;
    if let Some(metrics) = row.get("metrics").and_then(Value::as_object) {
        let target = converted.get_item("metrics")?.cast_into::<PyDict>()?;
        for (name, value) in metrics {
            if let Some(float) = values::named_float(value) {
                target.set_item(name, PyFloat::new(py, float))?;
            }
        }
    }
    Ok(converted)
}
