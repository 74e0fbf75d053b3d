//! One experiment, as it can be read: `aurum/_experiments.py` makes an object of it.

use std::io::{BufRead, BufReader, Read};

use aurum_host::{Failure, FailureKind, ModelLocation};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyList};
use serde::Deserialize;
use serde_json::Value;

use crate::errors::raise;
use crate::models::whole;
use crate::query::project_site;
use crate::session::long;
use crate::{values, warn};

/// The whole record of the one experiment that a selector names.
#[pyfunction]
pub(crate) fn show<'py>(py: Python<'py>, selector: &str) -> PyResult<Bound<'py, PyAny>> {
    let site = project_site(py)?;
    let (shown, warnings) =
        long(py, |session| (session.with_tracker(site, |tracker| tracker.show(selector)), session.take_warnings()));
    warn::pass_on(py, &warnings);
    let shown = shown.map_err(|failure| raise(py, &failure))?;
    let record: Value = serde_json::from_str(&shown).map_err(|error| unreadable(py, "record", selector, &error))?;
    let converted = values::from_value(py, &record)?;
    for (name, statistics) in record.get("metrics").and_then(Value::as_object).into_iter().flatten() {
        for (key, value) in statistics.as_object().into_iter().flatten() {
            if let Some(float) = values::named_float(value) {
                converted.get_item("metrics")?.get_item(name)?.set_item(key, PyFloat::new(py, float))?;
            }
        }
    }
    Ok(converted)
}

/// What an experiment printed; what is not UTF-8 is replaced.
#[pyfunction]
pub(crate) fn read_log(py: Python<'_>, selector: &str) -> PyResult<String> {
    let site = project_site(py)?;
    let (log, warnings) = long(py, |session| {
        let log = session.with_tracker(site, |tracker| {
            let mut log = Vec::new();
            tracker.read_log(selector, true)?.read_to_end(&mut log).map_err(|error| failed("log", selector, &error))?;
            Ok(log)
        });
        (log, session.take_warnings())
    });
    warn::pass_on(py, &warnings);
    let log = log.map_err(|failure| raise(py, &failure))?;
    Ok(String::from_utf8(log).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// One line of `metrics.jsonl`.
#[derive(Deserialize)]
struct Line {
    metric: String,
    step: u64,
    time: f64,
    value: Value,
}

/// Every value of the metrics of an experiment, or of one of them: by name a list of `(step, value, time)`.
#[pyfunction]
#[pyo3(signature = (selector, metric=None))]
pub(crate) fn history<'py>(py: Python<'py>, selector: &str, metric: Option<&str>) -> PyResult<Bound<'py, PyDict>> {
    let site = project_site(py)?;
    let (file, warnings) = long(py, |session| {
        (session.with_tracker(site, |tracker| tracker.read_metrics(selector)), session.take_warnings())
    });
    warn::pass_on(py, &warnings);
    let mut lines = BufReader::with_capacity(1 << 18, file.map_err(|failure| raise(py, &failure))?);
    let by_name = PyDict::new(py);
    let mut line = String::new();
    loop {
        line.clear();
        let count = lines.read_line(&mut line).map_err(|error| unreadable(py, "metrics", selector, &error))?;
        if count == 0 {
            return Ok(by_name);
        }
        let Line { metric: name, step, time, value } =
            serde_json::from_str(&line).map_err(|error| unreadable(py, "metrics", selector, &error))?;
        if metric.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let value = match values::named_float(&value) {
            Some(float) => PyFloat::new(py, float).into_any(),
            None => values::from_value(py, &value)?,
        };
        let point = (step, value, time);
        match by_name.get_item(&name)? {
            Some(points) => points.cast::<PyList>()?.append(point)?,
            None => by_name.set_item(&name, PyList::new(py, [point])?)?,
        }
    }
}

/// The bytes of what an experiment's record names by its digest.
#[pyfunction]
pub(crate) fn read_stored<'py>(
    py: Python<'py>,
    experiment: String,
    digest: String,
    size: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let site = project_site(py)?;
    let location = ModelLocation { experiment, digest, size };
    let opened = long(py, |session| session.with_tracker(site, |tracker| tracker.open_model(&location)));
    let file = opened.map_err(|failure| raise(py, &failure))?;
    whole(py, file, location.size, &format!("content of `{}`", location.experiment))
}

fn failed(what: &str, selector: &str, error: &dyn std::fmt::Display) -> Failure {
    let message = format!("The {what} of `{selector}` can't be read: {error}");
    Failure { kind: FailureKind::Unavailable, message, hints: Vec::new(), excerpt: None }
}

fn unreadable(py: Python<'_>, what: &str, selector: &str, error: &dyn std::fmt::Display) -> PyErr {
    raise(py, &failed(what, selector, error))
}
