//! The parameters of the script, as it declares them and as its user overrides them.

use std::sync::atomic::{AtomicBool, Ordering};

use aurum_host::{Declared, Failure, FailureKind, Resolution, Source, Word};
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyEllipsis, PyIterator, PyString, PyTuple, PyType};

use crate::errors::{is_mistake, raise};
use crate::run::{Beginning, enter, settle, site};
use crate::{metrics, process, scope, session, shapes, values, warn};

/// Values by name, and defaults by name (`...` where there is none). Python objects, guarded by the interpreter's lock alone:
/// forked children read them.
static VALUES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static DEFAULTS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// Whether those are an ended experiment's. They can still be read, until the next one begins.
static FORMER: AtomicBool = AtomicBool::new(false);

/// Whether names that are not declared may pass. Allowed once, they are known to every later call.
static LENIENT: AtomicBool = AtomicBool::new(false);

/// Those of blocks: pairs of both by the blocks' numbers.
static OF_BLOCKS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

fn current_values(py: Python<'_>) -> Bound<'_, PyDict> {
    of(py, scope::current(py)).0
}

fn defaults(py: Python<'_>) -> Bound<'_, PyDict> {
    of(py, scope::current(py)).1
}

/// Values and defaults of the run of this number.
fn of(py: Python<'_>, number: u32) -> (Bound<'_, PyDict>, Bound<'_, PyDict>) {
    let of_block = || OF_BLOCKS.get(py)?.bind(py).get_item(number).ok()??.extract().ok();
    let shared =
        |dict: &'static PyOnceLock<Py<PyDict>>| dict.get_or_init(py, || PyDict::new(py).unbind()).bind(py).clone();
    let of_block = if number == scope::SHARED { None } else { of_block() };
    of_block.unwrap_or_else(|| (shared(&VALUES), shared(&DEFAULTS)))
}

/// A block begins: it has those of the run that it is begun in.
pub(crate) fn open(py: Python<'_>, number: u32, outer: u32) -> PyResult<()> {
    let is_former = outer == scope::SHARED && FORMER.load(Ordering::Relaxed);
    let (values, defaults) = match is_former {
        true => (PyDict::new(py), PyDict::new(py)),
        false => {
            let (values, defaults) = of(py, outer);
            (values.copy()?, defaults.copy()?)
        }
    };
    OF_BLOCKS.get_or_init(py, || PyDict::new(py).unbind()).bind(py).set_item(number, (values, defaults))
}

/// The block has ended.
pub(crate) fn close(py: Python<'_>, number: u32) {
    if let Some(of_blocks) = OF_BLOCKS.get(py) {
        // It is there, or it never was.
        let _ = of_blocks.bind(py).del_item(number);
    }
}

/// The experiment has ended.
pub(crate) fn mark_former() {
    FORMER.store(true, Ordering::Relaxed);
}

/// A new experiment begins: it has no parameters yet.
pub(crate) fn forget_former(py: Python<'_>) -> PyResult<()> {
    if FORMER.swap(false, Ordering::Relaxed) {
        LENIENT.store(false, Ordering::Relaxed);
        let (values, defaults) = of(py, scope::SHARED);
        values.clear();
        defaults.clear();
    }
    Ok(())
}

/// Parameters by name: a mapping whose values are also attributes.
///
/// Example:
///     >>> aurum.params["a"], aurum.params.a
///     (0.01, 0.01)
#[pyclass(frozen, mapping, module = "aurum")]
pub(crate) struct Parameters(Option<Py<PyDict>>);

impl Parameters {
    /// The values; where none are held, those of the run under way.
    fn held<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.0.as_ref().map_or_else(|| current_values(py), |held| held.bind(py).clone())
    }
}

#[pymethods]
impl Parameters {
    fn __getitem__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.held(py).get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.clone().unbind()))
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        read(&self.held(py), name)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.held(py).len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.held(py).try_iter()
    }

    fn __contains__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.held(py).contains(name)
    }

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<bool> {
        match other.cast::<Self>() {
            Ok(other) => self.held(py).eq(other.get().held(py)),
            Err(_) => self.held(py).eq(other),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Parameters({})", self.held(py).repr()?.to_string_lossy()))
    }

    fn __dir__(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let methods = ["get", "items", "keys", "values"].map(|name| PyString::new(py, name).into_any().unbind());
        Ok(methods.into_iter().chain(self.held(py).keys().iter().map(Bound::unbind)).collect())
    }

    /// A plain dict: what was pickled or copied can be read without `aurum`.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyDict>,))> {
        Ok((py.get_type::<PyDict>(), (self.held(py).copy()?,)))
    }

    /// The names.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.held(py).call_method0("keys")
    }

    /// The values.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.held(py).call_method0("values")
    }

    /// Pairs of names and values.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.held(py).call_method0("items")
    }

    /// The value of a name, else the default.
    #[pyo3(signature = (name, default=None, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.held(py).get_item(name)?.or(default))
    }
}

/// The parameters of the experiment under way; the package makes `aurum.params` of it.
#[pyfunction]
pub(crate) fn params() -> Parameters {
    Parameters(None)
}

/// A parameter by its name; the package's `__getattr__`.
#[pyfunction]
pub(crate) fn parameter<'py>(py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    read(&current_values(py), name)
}

fn read<'py>(values: &Bound<'py, PyDict>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    if let Some(value) = values.get_item(name)? {
        return Ok(value);
    }
    let name = name.to_string_lossy();
    // Python asks for many a `__name__` that nobody declared.
    if name.starts_with("__") {
        return Err(PyAttributeError::new_err(format!("aurum has no `{name}`")));
    }
    let known: Vec<_> = values.keys().iter().map(|name| format!("`{name}`")).collect();
    let hint = match known.is_empty() {
        true => format!("Declare it first: `aurum.parameters({name}=...)`"),
        false => format!("The parameters are {}", known.join(", ")),
    };
    Err(PyAttributeError::new_err(format!("aurum has neither a function nor a parameter `{name}`\nhint: {hint}")))
}

/// Declare the parameters of the experiment and give their values.
///
/// `python script.py a=0.1 --b 2` overrides what the code says; the type of the default decides how the text is read. A name
/// that is not declared is an error, before anything is recorded. Without any, all that the command line gives are taken.
///
/// Flags that a parser of the script's own has read (`argparse`, `click`, `absl`, `hydra`) are what it made of them: declare its
/// values, as in `aurum.parameters(**vars(parser.parse_args()))`.
///
/// Args:
///     *names: Parameters without a default.
///     unsafe_parameter_checking: Let the command line give names that are not declared.
///     **declared: Parameters and their defaults: None, bool, int, float, str, or lists, tuples and dicts of these; also
///         paths, dates and times, members of enumerations, `Decimal`, `Fraction`, `UUID` and dataclasses, which are recorded as the
///         text, number or dict that they come to.
///
/// Returns:
///     All parameters declared so far, as a mapping with attributes. `aurum.a` reads the parameter `a` too.
///
/// Raises:
///     UnknownParameterError: If the command line gives a parameter that is not declared.
///     InvalidValueError: If a value can't be read as the default's type, or can't be recorded.
///
/// Example:
///     >>> aurum.parameters(a=0.01, epochs=100)
///     Parameters({'a': 0.01, 'epochs': 100})
///     >>> aurum.a
///     0.01
#[pyfunction]
#[pyo3(signature = (*names, unsafe_parameter_checking=false, **declared))]
pub(crate) fn parameters(
    py: Python<'_>,
    names: &Bound<'_, PyTuple>,
    unsafe_parameter_checking: bool,
    declared: Option<&Bound<'_, PyDict>>,
) -> PyResult<Parameters> {
    if scope::current(py) == scope::SHARED {
        forget_former(py)?;
    }
    let known = merge(py, names, declared)?;
    // What an earlier call came to stays, whatever a parser has made of the command line since.
    let kept = current_values(py).copy()?;
    for name in names.iter().chain(declared.into_iter().flat_map(|declared| declared.keys())) {
        if kept.contains(&name)? {
            kept.del_item(&name)?;
        }
    }
    let resolved = PyDict::new(py);
    let mut resolution = match process::is_own() {
        true => Some(resolve(py, &known, &kept, unsafe_parameter_checking)?),
        false => None,
    };
    match &mut resolution {
        Some(Ok(resolution)) => {
            for parameter in &mut resolution.parameters {
                if let Some(value) = kept.get_item(&parameter.name)? {
                    parameter.value = values::to_json(&parameter.name, &value)?;
                    continue;
                }
                let default = known.get_item(&parameter.name)?.filter(|default| !default.is(PyEllipsis::get(py)));
                let value = match (parameter.source, default) {
                    (Source::Code, Some(default)) => default,
                    (Source::Code, None) => values::from_json(py, &parameter.value)?,
                    (Source::CommandLine, Some(default)) => {
                        // What is the same stays the object that it is.
                        if values::are_same(&values::to_json(&parameter.name, &default)?, &parameter.value) {
                            default
                        } else {
                            let given = values::from_json(py, &parameter.value)?;
                            let value = shapes::shaped_like(&parameter.name, given, &default)?;
                            // As the default would be recorded: a dataclass with the fields that were not given.
                            parameter.value = values::to_json(&parameter.name, &value)?;
                            value
                        }
                    }
                    (Source::CommandLine, None) => values::from_json(py, &parameter.value)?,
                };
                resolved.set_item(&parameter.name, value)?;
            }
        }
        // What is known already stands: it came from the same command line.
        _ => {
            for (name, default) in known.iter() {
                let value = current_values(py).get_item(&name)?;
                let default = (!default.is(PyEllipsis::get(py))).then_some(default);
                resolved.set_item(&name, value.or(default))?;
            }
        }
    }
    defaults(py).update(known.as_mapping())?;
    current_values(py).update(resolved.as_mapping())?;
    // A child's are its run's, which has recorded them.
    if !process::is_child()
        && enter(py, Beginning::default())?
        && let Some(resolution) = resolution
    {
        let set = resolution.and_then(|resolution| {
            session::short(py, |session| session.with_run(|tracker| tracker.set_parameters(&resolution.parameters)))
        });
        settle(py, "The parameters are not recorded", set)?;
    }
    Ok(Parameters(Some(resolved.unbind())))
}

/// What was declared before, and what is declared now, each with its default.
fn merge<'py>(
    py: Python<'py>,
    names: &Bound<'py, PyTuple>,
    declared: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let known = PyDict::new(py);
    // Those that came from the command line alone have no default, and are still known.
    for name in current_values(py).keys() {
        known.set_item(name, PyEllipsis::get(py))?;
    }
    known.update(defaults(py).as_mapping())?;
    for name in names {
        if !name.is_instance_of::<PyString>() {
            let given = metrics::kind(&name);
            let message =
                format!("Parameters are declared by name, not by {given}\nhint: Write `parameters(**values)`");
            return Err(PyTypeError::new_err(message));
        }
        known.set_item(name, PyEllipsis::get(py))?;
    }
    if let Some(declared) = declared {
        known.update(declared.as_mapping())?;
    }
    Ok(known)
}

/// The values by the command line, save for those that are kept. A failure where the core can't be asked and its user did not ask for anything either.
fn resolve(
    py: Python<'_>,
    known: &Bound<'_, PyDict>,
    kept: &Bound<'_, PyDict>,
    lenient: bool,
) -> PyResult<Result<Resolution, Failure>> {
    let mut declared = Vec::with_capacity(known.len());
    for (name, default) in known.iter() {
        let name: String = name.extract()?;
        if default.is(PyEllipsis::get(py)) {
            declared.push(Declared { name, default: None, words: Vec::new() });
            continue;
        }
        let words = shapes::words(&name, &default)?.into_iter().map(|(name, value)| Word { name, value }).collect();
        let default = Some(values::to_json(&name, &default)?);
        declared.push(Declared { name, default, words });
    }
    let arguments = process::arguments(py);
    let mut parsed = process::parsed(py, known);
    if let Some(parsed) = &mut parsed {
        parsed.names.extend(kept.keys().extract::<Vec<String>>()?);
    }
    LENIENT.fetch_or(lenient, Ordering::Relaxed);
    let lenient = LENIENT.load(Ordering::Relaxed) || process::has_flag(py, "--unsafe-parameter-checking");
    let reserved = public_names(py)?;
    let site = site(py);
    let resolution = session::long(py, |session| {
        session.with_tracker(site, |tracker| {
            tracker.resolve_parameters(&declared, &arguments, parsed.as_ref(), lenient, &reserved)
        })
    });
    match resolution {
        Ok(resolution) => {
            for message in &resolution.warnings {
                warn::warn(py, message, &[]);
            }
            Ok(Ok(resolution))
        }
        // Its parent has read the same command line, and given it what that came to.
        Err(failure) if process::is_worker() => Ok(Err(failure)),
        // To train with other values than those asked for would be worse than not to train.
        Err(mut failure) if is_mistake(failure.kind) || !arguments.is_empty() => {
            if failure.kind == FailureKind::InvalidValue && parsed.is_none() && process::has_argparse(py) {
                failure.hints.push("Import `aurum` before the script's own parser reads the command line".to_owned());
            }
            Err(raise(py, &failure))
        }
        Err(failure) => Ok(Err(failure)),
    }
}

/// The names that `aurum.name` answers before it looks for a parameter.
fn public_names(py: Python<'_>) -> PyResult<Vec<String>> {
    let module = py.import("aurum")?;
    let mut names = module.dict().keys().extract::<Vec<String>>()?;
    // Some are there only once they are asked for.
    names.extend(module.getattr("__all__")?.extract::<Vec<String>>()?);
    Ok(names.into_iter().filter(|name| !name.starts_with('_')).collect())
}
