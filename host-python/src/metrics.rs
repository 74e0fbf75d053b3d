//! Numbers to log: what Python and its libraries take for one.

use aurum_host::{Measurement, Number};
use pyo3::exceptions::{PyException, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString};

use crate::errors::invalid_value;
use crate::run::{Beginning, enter, settle};
use crate::session;

const NOT_RECORDED: &str = "A metric is not recorded";

/// Log the values of metrics at a step.
///
/// Args:
///     values: Numbers by the metrics' names.
///     step: A whole number; without it, one more than each metric's last.
///     **metrics: The same as keywords.
///
/// Raises:
///     InvalidValueError: If a value is not one number, or a name can't be a metric's.
///
/// Example:
///     >>> for epoch in range(10):
///     ...     aurum.log(loss=train(), step=epoch)
#[pyfunction]
#[pyo3(signature = (values=None, /, *, step=None, **metrics))]
pub(crate) fn log(
    py: Python<'_>,
    values: Option<&Bound<'_, PyAny>>,
    step: Option<&Bound<'_, PyAny>>,
    metrics: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let step = step.map(read_step).transpose()?;
    record(py, values, metrics, step)
}

/// Register metrics for comparison between experiments.
///
/// Args:
///     **metrics: Numbers by the metrics' names. The last value of a name counts, and the earlier ones are kept.
///
/// Raises:
///     InvalidValueError: If a value is not one number, or a name can't be a metric's.
///
/// Example:
///     >>> aurum.register_metric(error=0.01, accuracy=0.99)
#[pyfunction]
#[pyo3(signature = (**metrics))]
pub(crate) fn register_metric(py: Python<'_>, metrics: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    record(py, None, metrics, None)
}

/// Register metrics for comparison between experiments, also from a mapping.
///
/// Args:
///     values: Numbers by the metrics' names.
///     **metrics: The same as keywords.
///
/// Raises:
///     InvalidValueError: If a value is not one number, or a name can't be a metric's.
///
/// Example:
///     >>> aurum.register_metrics({"val/loss": 0.3}, accuracy=0.99)
#[pyfunction]
#[pyo3(signature = (values=None, /, **metrics))]
pub(crate) fn register_metrics(
    py: Python<'_>,
    values: Option<&Bound<'_, PyAny>>,
    metrics: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    record(py, values, metrics, None)
}

fn record(
    py: Python<'_>,
    values: Option<&Bound<'_, PyAny>>,
    metrics: Option<&Bound<'_, PyDict>>,
    step: Option<u64>,
) -> PyResult<()> {
    let merged;
    let metrics = match (values, metrics) {
        (None, None) => None,
        (None, Some(metrics)) => Some(metrics),
        (Some(values), metrics) => {
            merged = merge(values, metrics)?;
            Some(&merged)
        }
    };
    if let Some(metrics) = metrics
        && let Some(done) = log_known(py, metrics, step)
    {
        return settle(py, NOT_RECORDED, done).map(drop);
    }
    let measurements = match metrics {
        Some(metrics) => metrics.iter().map(|(name, value)| measure(&name, &value)).collect::<PyResult<Vec<_>>>()?,
        None => Vec::new(),
    };
    if enter(py, Beginning::default())? && !measurements.is_empty() {
        let logged = session::short(py, |session| session.log(&measurements, step));
        settle(py, NOT_RECORDED, logged)?;
    }
    Ok(())
}

/// The way of a training loop: one float of a metric that was logged before, with nothing allocated.
fn log_known(
    py: Python<'_>,
    metrics: &Bound<'_, PyDict>,
    step: Option<u64>,
) -> Option<Result<(), aurum_host::Failure>> {
    if metrics.len() != 1 {
        return None;
    }
    let (name, value) = metrics.iter().next()?;
    let (name, value) = (name.cast::<PyString>().ok()?.to_str().ok()?, value.cast::<PyFloat>().ok()?.value());
    session::short(py, |session| session.log_known(name, value, step))
}

/// The given mapping as a dict, with the keywords laid over it. One that is a dict already is not copied without need.
fn merge<'py>(values: &Bound<'py, PyAny>, metrics: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyDict>> {
    let merged = match (values.cast::<PyDict>(), metrics) {
        (Ok(values), None) => return Ok(values.clone()),
        (Ok(values), Some(_)) => values.copy()?,
        (Err(_), _) if values.hasattr("keys")? => {
            let merged = PyDict::new(values.py());
            merged.as_any().call_method1("update", (values,))?;
            merged
        }
        (Err(_), _) => {
            let message = format!("Metrics are given as a mapping or as keywords, not as {}", kind(values));
            return Err(PyTypeError::new_err(message));
        }
    };
    if let Some(metrics) = metrics {
        merged.update(metrics.as_mapping())?;
    }
    Ok(merged)
}

fn read_step(step: &Bound<'_, PyAny>) -> PyResult<u64> {
    step.extract::<u64>().map_err(|_| {
        let hint = "Give an int, or leave `step` out to count on";
        let shown = step.repr().map_or_else(|_| kind(step), |text| text.to_string_lossy().into_owned());
        invalid_value(step.py(), format!("A step is a whole number from 0 on, not: {shown}"), hint)
    })
}

fn measure(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<Measurement> {
    let Ok(text) = name.cast::<PyString>() else {
        let message = format!("The name of a metric is text, not {}", kind(name));
        return Err(invalid_value(name.py(), message, "Name it with a `str`"));
    };
    let Ok(text) = text.to_str() else {
        let message = format!("The name of a metric is not Unicode: {}", text.repr()?);
        return Err(invalid_value(name.py(), message, "Remove the surrogates from it"));
    };
    Ok(Measurement { name: text.to_owned(), value: number(text, value)? })
}

/// The one number that a value stands for, as exact as it is: `__index__` before `__float__`, or 2**53 + 1 would not survive.
/// Arrays are asked for their only item.
fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Number> {
    let py = value.py();
    let plain = |value: &Bound<'_, PyAny>| {
        plain(value).map_err(|error| {
            if !error.is_instance_of::<PyValueError>(py) {
                return error;
            }
            let message = format!("The metric `{name}` is an integer of more digits than Python writes");
            let failure =
                invalid_value(py, message, "Log its logarithm, or raise the limit: `sys.set_int_max_str_digits`");
            failure.set_cause(py, Some(error));
            failure
        })
    };
    if let Some(number) = plain(value)? {
        return Ok(number);
    }
    let (mut single, mut cause) = (value.clone(), None);
    if let Some(item) = value.getattr_opt("item")? {
        match item.call0() {
            Ok(item) => {
                if let Some(number) = plain(&item)? {
                    return Ok(number);
                }
                single = item;
            }
            Err(error) => cause = Some(unless_fatal(py, error)?),
        }
    }
    // Some scalars of numpy's are their own item.
    if cause.is_none() && single.hasattr("__float__")? {
        match single.extract::<f64>() {
            Ok(float) => return Ok(Number::Float(float)),
            Err(error) => cause = Some(unless_fatal(py, error)?),
        }
    }
    let message = format!("The metric `{name}` takes one number, not {}", kind(value));
    let error = invalid_value(value.py(), message, "Log its items by themselves, or one number that sums them up");
    error.set_cause(value.py(), cause);
    Err(error)
}

/// Python's own numbers, and what behaves like its integers.
fn plain(value: &Bound<'_, PyAny>) -> PyResult<Option<Number>> {
    if let Ok(float) = value.cast::<PyFloat>() {
        return Ok(Some(Number::Float(float.value())));
    }
    match value.extract::<i64>() {
        Ok(integer) => Ok(Some(Number::Integer(integer))),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            let integer = value.py().import("operator")?.call_method1("index", (value,))?;
            let digits = value.py().get_type::<PyInt>().call_method1("__repr__", (integer,))?;
            Ok(Some(Number::Digits(digits.extract()?)))
        }
        Err(error) => unless_fatal(value.py(), error).map(|_| None),
    }
}

/// An interrupt that strikes within a value's own method is not that value's mistake.
fn unless_fatal(py: Python<'_>, error: PyErr) -> PyResult<PyErr> {
    if error.is_instance_of::<PyException>(py) { Ok(error) } else { Err(error) }
}

/// What something is, in an error's words.
pub(crate) fn kind(value: &Bound<'_, PyAny>) -> String {
    match value.get_type().name() {
        Ok(name) if !value.is_none() => format!("an object of type `{}`", name.to_string_lossy()),
        _ => "`None`".to_owned(),
    }
}
