//! Parameters' values between Python and the JSON of `wit/types.wit`.

use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};
use serde_json::Value;

use crate::errors::invalid_value;
use crate::metrics::kind;

/// Deeper than any configuration, and shallow enough for every stack.
const DEPTH: usize = 64;

/// The JSON text of a parameter's value.
pub(crate) fn to_json(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut json = String::new();
    write(name, value, &mut json, 0)?;
    Ok(json)
}

fn write(name: &str, value: &Bound<'_, PyAny>, json: &mut String, depth: usize) -> PyResult<()> {
    let py = value.py();
    if depth > DEPTH {
        let message = format!("The parameter `{name}` is nested more than {DEPTH} levels deep");
        return Err(invalid_value(py, message, "Keep a flatter value, or the path of a file that holds it"));
    }
    if value.is_none() {
        json.push_str("null");
    } else if let Ok(bool) = value.cast::<PyBool>() {
        json.push_str(if bool.is_true() { "true" } else { "false" });
    } else if value.is_instance_of::<PyInt>() {
        // Not `str`: an `IntEnum` has one of its own.
        let digits = py.get_type::<PyInt>().call_method1("__repr__", (value,))?;
        json.push_str(digits.cast::<PyString>()?.to_str()?);
    } else if let Ok(float) = value.cast::<PyFloat>() {
        json.push_str(&float_to_json(float.value()));
    } else if let Ok(text) = value.cast::<PyString>() {
        json.push_str(&text_to_json(name, text)?);
    } else if let Ok(items) = value.cast::<PyList>() {
        write_items(name, items.iter(), json, depth)?;
    } else if let Ok(items) = value.cast::<PyTuple>() {
        write_items(name, items.iter(), json, depth)?;
    } else if let Ok(entries) = value.cast::<PyDict>() {
        json.push('{');
        for (position, (key, value)) in entries.iter().enumerate() {
            let Ok(key) = key.cast::<PyString>() else {
                let message = format!("The parameter `{name}` has a key that is not text but {}", kind(&key));
                return Err(invalid_value(py, message, "Use keys of type `str`"));
            };
            if position > 0 {
                json.push(',');
            }
            json.push_str(&text_to_json(name, key)?);
            json.push(':');
            write(name, &value, json, depth + 1)?;
        }
        json.push('}');
    } else if is_scalar(value)? {
        write(name, &value.call_method0("item")?, json, depth + 1)?;
    } else if let Some((_, plain)) = Rich::of(value)? {
        write(name, &plain, json, depth + 1)?;
    } else {
        let message = format!("The parameter `{name}` can't be recorded: it is {}", kind(value));
        let hint = "Use None, bool, int, float, str, or lists, tuples and dicts of these";
        return Err(invalid_value(py, message, hint));
    }
    Ok(())
}

fn write_items<'py>(
    name: &str,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    json: &mut String,
    depth: usize,
) -> PyResult<()> {
    json.push('[');
    for (position, item) in items.enumerate() {
        if position > 0 {
            json.push(',');
        }
        write(name, &item, json, depth + 1)?;
    }
    json.push(']');
    Ok(())
}

/// What is recorded as something plainer, and read back from the command line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rich {
    /// A member of an enumeration, as its value.
    Member,
    /// A date or time, as in ISO 8601.
    Moment,
    /// A number that is no float, or an id: as its text.
    Text,
    /// A path, as its text.
    Path,
    /// The fields of a dataclass, as a dict.
    Fields,
    /// A `NamedTuple`, as the list of its fields.
    Row,
}

impl Rich {
    /// What the value is, and what is recorded of it.
    pub(crate) fn of<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<(Self, Bound<'py, PyAny>)>> {
        let py = value.py();
        let modules = py.import("sys")?.getattr("modules")?;
        // Whoever has such a value has its module loaded.
        let is = |module: &str, class: &str| -> PyResult<bool> {
            match modules.call_method1("get", (module,))? {
                module if module.is_none() => Ok(false),
                module => value.is_instance(&module.getattr(class)?),
            }
        };
        if is("enum", "Enum")? {
            return Ok(Some((Self::Member, value.getattr("value")?)));
        }
        if is("datetime", "date")? || is("datetime", "time")? {
            return Ok(Some((Self::Moment, value.call_method0("isoformat")?)));
        }
        if is("decimal", "Decimal")? || is("fractions", "Fraction")? || is("uuid", "UUID")? {
            return Ok(Some((Self::Text, value.str()?.into_any())));
        }
        if let Ok(fields) = value.cast::<PyTuple>() {
            return Ok(value.hasattr("_fields")?.then(|| (Self::Row, fields.to_list().into_any())));
        }
        if let Some(path) = value.getattr_opt("__fspath__")? {
            return Ok(Some((Self::Path, path.call0()?)));
        }
        if value.hasattr("__dataclass_fields__")? && !value.is_instance_of::<PyType>() {
            let plain = PyDict::new(py);
            // Without what only its class has, and what only its making takes.
            for field in py.import("dataclasses")?.call_method1("fields", (value,))?.try_iter()? {
                let name = field?.getattr("name")?.cast_into::<PyString>()?;
                plain.set_item(&name, value.getattr(&name)?)?;
            }
            return Ok(Some((Self::Fields, plain.into_any())));
        }
        Ok(None)
    }
}

/// An array of no dimension, as numpy's and torch's scalars are.
fn is_scalar(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Some(shape) = value.getattr_opt("shape")? else { return Ok(false) };
    Ok(shape.cast::<PyTuple>().is_ok_and(|shape| shape.is_empty()) && value.hasattr("item")?)
}

fn float_to_json(float: f64) -> String {
    if float.is_nan() {
        r#"{"$float":"NaN"}"#.to_owned()
    } else if float.is_infinite() {
        format!(r#"{{"$float":"{}Infinity"}}"#, if float < 0.0 { "-" } else { "" })
    } else {
        Value::from(float).to_string()
    }
}

fn text_to_json(name: &str, text: &Bound<'_, PyString>) -> PyResult<String> {
    match text.to_str() {
        Ok(text) => Ok(Value::from(text).to_string()),
        Err(_) => {
            let message = format!("The parameter `{name}` holds text that is not Unicode");
            Err(invalid_value(text.py(), message, "Remove the surrogates from it"))
        }
    }
}

/// The value of a JSON text.
pub(crate) fn from_json<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::from_str(json).map_err(|error| PyRecursionError::new_err(error.to_string()))?;
    from_value(py, &value)
}

pub(crate) fn from_value<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(bool) => PyBool::new(py, *bool).to_owned().into_any(),
        Value::Number(number) => from_number(py, &number.to_string())?,
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(from_value(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(entries) => {
            if let (1, Some(float)) = (entries.len(), entries.get("$float").and_then(named_float)) {
                return Ok(PyFloat::new(py, float).into_any());
            }
            let dict = PyDict::new(py);
            for (key, value) in entries {
                dict.set_item(key, from_value(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// The floats that JSON has no words for.
pub(crate) fn named_float(value: &Value) -> Option<f64> {
    match value.as_str()? {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn from_number<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    if text.contains(['.', 'e', 'E']) {
        // Rounded as Python does it, and too large ones are infinite there as well.
        return Ok(PyFloat::new(py, text.parse().unwrap_or(f64::NAN)).into_any());
    }
    match text.parse::<i64>() {
        Ok(integer) => Ok(integer.into_pyobject(py)?.into_any()),
        Err(_) => py.get_type::<PyInt>().call1((text,)),
    }
}

/// Whether two JSON texts say the same, in whatever order their keys are.
pub(crate) fn are_same(one: &str, other: &str) -> bool {
    let read = |text| serde_json::from_str::<Value>(text).ok();
    one == other || read(one).is_some_and(|one| read(other) == Some(one))
}
