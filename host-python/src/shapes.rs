//! Values from the command line in the shapes that the defaults in the code have: JSON has fewer shapes than Python.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

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
            for (field, given) in replaced.iter() {
                if let Some(default) = default.getattr_opt(field.cast::<PyString>()?)? {
                    replaced.set_item(&field, field_like(&format!("{name}.{field}"), given, &default)?)?;
                }
            }
            value.py().import("dataclasses")?.call_method("replace", (default,), Some(&replaced))
        }
        Rich::Row => {
            let given = value.cast::<PyList>()?;
            let fields = default.getattr("_fields")?.cast_into::<PyTuple>()?;
            let items = PyList::empty(value.py());
            for (position, item) in given.iter().enumerate() {
                let Ok(field) = fields.get_item(position) else { break };
                items.append(field_like(&format!("{name}.{field}"), item, &default.get_item(position)?)?)?;
            }
            // Its own words for too few and too many.
            for item in given.iter().skip(items.len()) {
                items.append(item)?;
            }
            class.call1(items.to_tuple())
        }
    }
}

/// The value of a field: of the type that it has in the code, or as its class takes it.
fn field_like<'py>(name: &str, value: Bound<'py, PyAny>, default: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let other = if Rich::of(default)?.is_some() || default.is_none() {
        None
    } else if default.is_instance_of::<PyBool>() {
        (!value.is_instance_of::<PyBool>()).then_some("a bool")
    } else if default.is_instance_of::<PyInt>() {
        (!is_integer(&value)).then_some("an integer")
    } else if default.is_instance_of::<PyFloat>() {
        (!is_integer(&value) && !value.is_instance_of::<PyFloat>()).then_some("a float")
    } else if default.is_instance_of::<PyString>() {
        (!value.is_instance_of::<PyString>()).then_some("text")
    } else if default.is_instance_of::<PyDict>() {
        (!value.is_instance_of::<PyDict>()).then_some("a JSON object")
    } else {
        (items_of(default).is_some() && !value.is_instance_of::<PyList>()).then_some("a list")
    };
    match other {
        Some(noun) => {
            let message = format!("`{name}={value}` is not {noun}");
            let hint = format!("The default in the code is `{}`; give a value of the same type", default.repr()?);
            Err(invalid_value(value.py(), message, &hint))
        }
        None => shaped_like(name, value, default),
    }
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
