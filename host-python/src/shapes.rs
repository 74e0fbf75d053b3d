//! Values from the command line in the shapes that the defaults in the code have: JSON has fewer shapes than Python.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

use crate::errors::invalid_value;
use crate::values::{Rich, to_json};

/// Words that stand for values of such a default, each with the JSON text of its value: the names of an enumeration's members.
pub(crate) fn words(name: &str, default: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let Some((Rich::Member, _)) = Rich::of(default)? else { return Ok(Vec::new()) };
    let members = default.get_type().getattr("__members__")?.call_method0("items")?;
    let mut words = Vec::new();
    for item in members.try_iter()? {
        let (word, member): (String, Bound<'_, PyAny>) = item?.extract()?;
        // A member that can't be recorded can't be asked for.
        if let Ok(value) = to_json(name, &member) {
            words.push((word, value));
        }
    }
    Ok(words)
}

/// The value in the shape of the default.
///
/// # Errors
/// `InvalidValueError` where the default's class does not take the value, or a field of it is of another type.
pub(crate) fn shaped_like<'py>(
    name: &str,
    value: Bound<'py, PyAny>,
    default: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some((rich, plain)) = Rich::of(default)? {
        return like(rich, name, &value, default, &plain).map_err(|error| explain(name, &value, default, error));
    }
    if default.is_instance_of::<PyFloat>() && is_integer(&value) {
        return value.py().get_type::<PyFloat>().call1((value,));
    }
    if let (Ok(default), Ok(given)) = (default.cast::<PyDict>(), value.cast::<PyDict>()) {
        for (key, default) in default.iter() {
            if let Some(entry) = given.get_item(&key)? {
                given.set_item(&key, shaped_like(&format!("{name}.{key}"), entry, &default)?)?;
            }
        }
    }
    if let (Some(default), Ok(items)) = (items_of(default), value.cast::<PyList>()) {
        if let Some(first) = common(&default)? {
            for (position, item) in items.iter().enumerate() {
                items.set_item(position, shaped_like(&format!("{name}[{position}]"), item, &first)?)?;
            }
        }
        if default.is_instance_of::<PyTuple>() {
            return Ok(items.to_tuple().into_any());
        }
    }
    Ok(value)
}

/// The same kind of value as the default, which `plain` is recorded of.
fn like<'py>(
    rich: Rich,
    name: &str,
    value: &Bound<'py, PyAny>,
    default: &Bound<'py, PyAny>,
    plain: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let class = default.get_type();
    match rich {
        // By its value, or else by its name: the core knows the names, save those of members in lists and fields.
        Rich::Member => {
            let value = shaped_like(name, value.clone(), plain)?;
            class.call1((&value,)).or_else(|error| class.get_item(&value).map_err(|_| error))
        }
        Rich::Moment => class.call_method1("fromisoformat", (value,)),
        Rich::Text | Rich::Path => class.call1((value,)),
        Rich::Fields => {
            let replaced = value.cast::<PyDict>()?.copy()?;
            let fields = default.getattr("__dataclass_fields__")?.cast_into::<PyDict>()?;
            for (field, given) in replaced.iter() {
                let (Some(declared), Some(default)) =
                    (fields.get_item(&field)?, default.getattr_opt(field.cast::<PyString>()?)?)
                else {
                    continue;
                };
                let given = field_like(&format!("{name}.{field}"), given, &default, &declared.getattr("type")?)?;
                replaced.set_item(&field, given)?;
            }
            value.py().import("dataclasses")?.call_method("replace", (default,), Some(&replaced))
        }
        Rich::Row => {
            let given = value.cast::<PyList>()?;
            let fields = default.getattr("_fields")?.cast_into::<PyTuple>()?;
            let types = class.getattr_opt("__annotations__")?;
            let items = PyList::empty(value.py());
            for (position, field) in fields.iter().enumerate() {
                let default = default.get_item(position)?;
                // The last ones may be left out.
                let Ok(item) = given.get_item(position) else {
                    items.append(default)?;
                    continue;
                };
                let declared = types.as_ref().and_then(|types| types.get_item(&field).ok());
                let declared = declared.unwrap_or_else(|| value.py().None().into_bound(value.py()));
                items.append(field_like(&format!("{name}.{field}"), item, &default, &declared)?)?;
            }
            // More than there are: the class says so.
            for item in given.iter().skip(items.len()) {
                items.append(item)?;
            }
            class.call1(items.to_tuple())
        }
    }
}

/// The value of a field that is declared to be of a type. Only plain types are checked: others say in too many ways what they allow.
fn field_like<'py>(
    name: &str,
    value: Bound<'py, PyAny>,
    default: &Bound<'py, PyAny>,
    declared: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let declared = match declared.cast::<PyString>() {
        // As `from __future__ import annotations` has it.
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => match declared.cast::<PyType>() {
            Ok(class) if !declared.hasattr("__args__")? => class.name()?.to_string_lossy().into_owned(),
            _ => String::new(),
        },
    };
    let (noun, fits) = match declared.as_str() {
        "bool" => ("a bool", value.is_instance_of::<PyBool>()),
        "int" => ("an integer", is_integer(&value)),
        "float" => ("a float", is_integer(&value) || value.is_instance_of::<PyFloat>()),
        "str" => ("text", value.is_instance_of::<PyString>()),
        "list" | "tuple" => ("a list", value.is_instance_of::<PyList>()),
        "dict" => ("a JSON object", value.is_instance_of::<PyDict>()),
        // Whatever it is else, it may also be nothing.
        _ if value.is_none() => return Ok(value),
        _ => ("", true),
    };
    if !fits {
        let message = format!("`{name}={value}` is not {noun}");
        let hint = format!("The default in the code is `{}`; give a value of the same type", default.repr()?);
        return Err(invalid_value(value.py(), message, &hint));
    }
    if declared == "float" && is_integer(&value) {
        return value.py().get_type::<PyFloat>().call1((value,));
    }
    shaped_like(name, value, default)
}

/// A list or a tuple.
fn items_of<'py>(default: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    (default.is_instance_of::<PyList>() || default.is_instance_of::<PyTuple>()).then(|| default.clone())
}

/// The first of items that are all of one class which JSON lacks.
fn common<'py>(items: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut all = items.try_iter()?;
    let Some(first) = all.next().transpose()? else { return Ok(None) };
    if Rich::of(&first)?.is_none() {
        return Ok(None);
    }
    for item in all {
        if !item?.get_type().is(first.get_type()) {
            return Ok(None);
        }
    }
    Ok(Some(first))
}

fn is_integer(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>()
}

/// The failure in our words, where it is not so already.
fn explain(name: &str, value: &Bound<'_, PyAny>, default: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = value.py();
    let ours = || py.import("aurum._errors")?.getattr("InvalidValueError");
    if ours().is_ok_and(|class| error.matches(py, class).unwrap_or(false)) {
        return error;
    }
    let class = default.get_type().name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let message = format!("`{name}={value}` can't be read as `{class}`: {}", error.value(py));
    invalid_value(py, message, "Give it as the default in the code is recorded: `au show @` has that")
}
