//! Parameters' values between Python and the JSON of `wit/types.wit`.

use std::fmt;

use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyType};
use serde_json::Value;

use crate::errors::invalid_value;
use crate::metrics::kind;

/// Deeper than any configuration, and shallow enough for every stack.
const DEPTH: usize = 64;

/// The JSON text of a parameter's value.
pub(crate) fn to_json(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut json = String::new();
    write(&Place::Name(name), value, &mut json, 0)?;
    Ok(json)
}

/// Where a value stands, as people write it: `model.layers[1]`.
enum Place<'p> {
    Name(&'p str),
    Key(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Key(outer, key) => write!(f, "{outer}.{key}"),
            Self::Item(outer, position) => write!(f, "{outer}[{position}]"),
        }
    }
}

impl Place<'_> {
    /// The name of the parameter that it is in.
    fn parameter(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Key(outer, _) | Self::Item(outer, _) => outer.parameter(),
        }
    }
}

fn write(place: &Place<'_>, value: &Bound<'_, PyAny>, json: &mut String, depth: usize) -> PyResult<()> {
    let py = value.py();
    if depth > DEPTH {
        let message = format!("The parameter `{}` is nested more than {DEPTH} levels deep", place.parameter());
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
        json.push_str(&text_to_json(place, text)?);
    } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        write_items(place, value, json, depth)?;
    } else if value.is_instance_of::<PyDict>() {
        write_entries(place, value, json, depth)?;
    } else if is_scalar(value)? {
        write(place, &value.call_method0("item")?, json, depth + 1)?;
    } else if let Some((_, plain)) = Rich::of(value)? {
        write(place, &plain, json, depth + 1)?;
    } else if value.cast::<PyMapping>().is_ok() {
        // Such as the configurations of OmegaConf.
        write_entries(place, value, json, depth)?;
    } else if is_list(value)? {
        write_items(place, value, json, depth)?;
    } else {
        let message = format!("The parameter `{place}` can't be recorded: it is {}", kind(value));
        let hint = "Use None, bool, int, float, str, or lists, tuples and dicts of these";
        return Err(invalid_value(py, message, hint));
    }
    Ok(())
}

fn write_items(place: &Place<'_>, items: &Bound<'_, PyAny>, json: &mut String, depth: usize) -> PyResult<()> {
    json.push('[');
    for (position, item) in items.try_iter()?.enumerate() {
        if position > 0 {
            json.push(',');
        }
        write(&Place::Item(place, position), &item?, json, depth + 1)?;
    }
    json.push(']');
    Ok(())
}

fn write_entries(place: &Place<'_>, entries: &Bound<'_, PyAny>, json: &mut String, depth: usize) -> PyResult<()> {
    json.push('{');
    for (position, entry) in entries.call_method0("items")?.try_iter()?.enumerate() {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = entry?.extract()?;
        let Ok(key) = key.cast::<PyString>() else {
            let message = format!("The parameter `{place}` has a key that is not text but {}", kind(&key));
            return Err(invalid_value(key.py(), message, "Use keys of type `str`"));
        };
        if position > 0 {
            json.push(',');
        }
        json.push_str(&text_to_json(place, key)?);
        json.push(':');
        write(&Place::Key(place, key.to_str()?), &value, json, depth + 1)?;
    }
    json.push('}');
    Ok(())
}

/// Whether it is a list to Python, of whatever class. Bytes are a sequence of numbers to Python alone.
fn is_list(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let lists = value.py().import("collections.abc")?.getattr("MutableSequence")?;
    Ok(value.is_instance(&lists)? && !value.is_instance_of::<PyByteArray>())
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

fn text_to_json(place: &Place<'_>, text: &Bound<'_, PyString>) -> PyResult<String> {
    match text.to_str() {
        Ok(text) => Ok(Value::from(text).to_string()),
        Err(_) => {
            let message = format!("The parameter `{place}` holds text that is not Unicode");
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
