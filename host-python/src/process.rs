//! What this process is: which script it runs, with which command line, where, and whether it is one to record at all.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aurum_host::Parsed;
use aurum_host::capabilities::interpreter::{Facts, Interpreter};
use aurum_host::discovery::{discover, not_checked_out};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::rank::Rank;

static PROCESS: OnceLock<Process> = OnceLock::new();

/// As it was when `aurum` was imported: before the script could change its folder, and before it could fork.
struct Process {
    id: u32,
    worker: bool,
    /// As the launcher says it: what the script sets later is its own matter.
    rank: Option<Rank>,
    folder: Option<PathBuf>,
    project: Option<PathBuf>,
}

/// Notes what can't be known later. False when that was done before.
pub(crate) fn note(py: Python<'_>) -> bool {
    let folder = std::env::current_dir().ok();
    let project = find_project(py, folder.as_deref());
    let rank = Rank::read(|name| std::env::var(name).ok());
    let (id, worker) = (std::process::id(), made_by_multiprocessing(py));
    PROCESS.set(Process { id, worker, rank, folder, project }).is_ok()
}

/// Whether this is the process that imported `aurum`, and not a child forked from it since. Asked before any lock of ours is
/// touched: another thread may have held it when the child was forked, and in the child nobody lets go of it.
pub(crate) fn is_own() -> bool {
    PROCESS.get().is_some_and(|process| process.id == std::process::id())
}

/// Whether this is a worker that `multiprocessing` spawned. It has run, or is running, the script's top level once more.
pub(crate) fn is_worker() -> bool {
    PROCESS.get().is_some_and(|process| process.worker)
}

/// Whether another process is the one whose run this one has a part in, if any: a forked child's parent, a worker's master.
pub(crate) fn is_child() -> bool {
    !is_own() || is_worker()
}

fn made_by_multiprocessing(py: Python<'_>) -> bool {
    // The parent is named only after a spawned worker has imported the script.
    is_inheriting(py) || multiprocessing_parent(py).is_some()
}

/// Whether this is a worker that is being spawned: it runs the script's top level, to have what is defined there.
pub(crate) fn is_inheriting(py: Python<'_>) -> bool {
    let inheriting = || -> PyResult<bool> {
        let Some(multiprocessing) = modules(py)?.get_item("multiprocessing.process")? else { return Ok(false) };
        multiprocessing.call_method0("current_process")?.hasattr("_inheriting")
    };
    inheriting().unwrap_or(false)
}

/// The process that has had `multiprocessing` make this one, however it was made.
pub(crate) fn multiprocessing_parent(py: Python<'_>) -> Option<u32> {
    let parent = || -> PyResult<Option<u32>> {
        let Some(multiprocessing) = modules(py)?.get_item("multiprocessing.process")? else { return Ok(None) };
        let parent = multiprocessing.call_method0("parent_process")?;
        if parent.is_none() { Ok(None) } else { parent.getattr("pid")?.extract() }
    };
    parent().ok().flatten()
}

/// Whether tracking is switched off.
pub(crate) fn is_disabled(py: Python<'_>) -> bool {
    mode().is_some_and(|mode| is_off(&mode)) || has_flag(py, "--no-tracking")
}

/// What the variable of the mode says, where that is none that there is.
pub(crate) fn unknown_mode() -> Option<String> {
    mode().filter(|mode| !is_off(mode)).map(|mode| mode.to_string_lossy().into_owned())
}

fn mode() -> Option<OsString> {
    std::env::var_os("AURUM_MODE").filter(|mode| !mode.is_empty())
}

fn is_off(mode: &OsStr) -> bool {
    mode.eq_ignore_ascii_case("disabled")
}

/// Whether the script may have parsed its command line before it imported `aurum`, which then has seen nothing of it.
pub(crate) fn has_argparse(py: Python<'_>) -> bool {
    modules(py).and_then(|modules| modules.contains("argparse")).unwrap_or(false)
}

/// The rank of a process of a distributed training that leaves recording to the first one.
pub(crate) fn other_rank() -> Option<Rank> {
    let ranks = std::env::var("AURUM_RANKS").ok();
    PROCESS.get()?.rank.filter(|rank| rank.is_other(ranks.as_deref()))
}

/// Whether a flag stands on the command line.
pub(crate) fn has_flag(py: Python<'_>, flag: &str) -> bool {
    command_line(py).iter().any(|argument| argument == flag)
}

/// The project's root, if there is a project.
pub(crate) fn project(py: Python<'_>) -> Option<PathBuf> {
    let noted = PROCESS.get().and_then(|process| process.project.clone());
    noted.or_else(|| find_project(py, std::env::current_dir().ok().as_deref()))
}

/// Why there is no project, and what to do about it.
pub(crate) fn explain_no_project() -> (String, String) {
    match named_project() {
        Some(path) => {
            let message = format!("`AURUM_PROJECT` names no project: {}", path.display());
            (message, "Set it to a folder in which `au init` was run, or to none".to_owned())
        }
        None => match std::env::current_dir().ok().and_then(|folder| not_checked_out(&folder)) {
            Some(failure) => (failure.message, failure.hints.join("; ")),
            None => (
                "The script's folder belongs to no project".to_owned(),
                "Run `au init` in the project's folder to record its experiments, or set `AURUM_MODE=disabled`"
                    .to_owned(),
            ),
        },
    }
}

fn named_project() -> Option<PathBuf> {
    std::env::var_os("AURUM_PROJECT").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn find_project(py: Python<'_>, folder: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named_project() {
        return discover(&std::path::absolute(path).ok()?);
    }
    folder.and_then(discover).or_else(|| discover(script(py)?.parent()?))
}

/// The script's path relative to the project where it lies below it, else its file name.
pub(crate) fn script_name(py: Python<'_>, root: &Path) -> Option<String> {
    let script = script(py)?;
    below(root, &script).or_else(|| Some(script.file_name()?.to_string_lossy().into_owned()))
}

/// The working folder relative to the project; none outside of it.
pub(crate) fn directory(root: &Path) -> Option<String> {
    below(root, PROCESS.get()?.folder.as_ref()?)
}

fn below(root: &Path, path: &Path) -> Option<String> {
    let (root, path) = (root.canonicalize().ok()?, path.canonicalize().ok()?);
    Some(path.strip_prefix(root).ok()?.to_string_lossy().into_owned())
}

/// The script's own arguments. None of them in a notebook, under pytest or where no script runs: there the command line is
/// somebody else's.
pub(crate) fn arguments(py: Python<'_>) -> Vec<String> {
    // A script may call pytest itself; what a test starts has a command line of its own.
    let is_test = std::env::var_os("PYTEST_CURRENT_TEST").is_some()
        && modules(py).and_then(|modules| modules.contains("pytest")).unwrap_or(false);
    if is_test {
        return Vec::new();
    }
    if script(py).is_some() || is_from_text(py) { command_line(py) } else { Vec::new() }
}

/// Whether what runs was given as text: `python -c CODE a=1`, or `python - a=1` with the script on standard input.
fn is_from_text(py: Python<'_>) -> bool {
    first_argument(py).is_some_and(|first| first == "-c" || first == "-") && !is_interactive(py)
}

/// What `sys.argv` begins with: the script, as it was asked for.
fn first_argument(py: Python<'_>) -> Option<String> {
    let first = || -> PyResult<String> { py.import("sys")?.getattr("argv")?.get_item(0)?.extract() };
    first().ok()
}

/// Whether a module of Python's own library stands there.
fn is_of_python(py: Python<'_>, path: &Path) -> bool {
    let library = || -> PyResult<String> { py.import("os")?.getattr("__file__")?.extract() };
    library().is_ok_and(|library| Path::new(&library).parent() == path.parent())
}

/// What the script's own parser has made of the command line. None where it has none, or can't be asked: then it is read strictly.
pub(crate) fn parsed(py: Python<'_>, declared: &Bound<'_, PyDict>) -> Option<Parsed> {
    let read = || -> PyResult<Option<Parsed>> {
        let read = py.import("aurum._parsers")?.call_method1("read", (declared,))?;
        if read.is_none() {
            return Ok(None);
        }
        let (names, given, rest): (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) = read.extract()?;
        Ok(Some(Parsed { names: texts(&names)?, given: texts(&given)?, rest: texts(&rest)? }))
    };
    read().ok().flatten()
}

/// Texts of any kind, in the order that they come in; surrogates as the core sees them everywhere.
fn texts(of: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    of.try_iter()?.map(|text| Ok(text?.cast::<PyString>()?.to_string_lossy().into_owned())).collect()
}

/// The interpreter and what it can import.
pub(crate) fn interpreter(py: Python<'_>) -> Interpreter {
    let describe = || -> PyResult<Interpreter> {
        let sys = py.import("sys")?;
        let implementation = sys.getattr("implementation")?.getattr("name")?.extract::<String>()?;
        let implementation = match implementation.as_str() {
            "cpython" => "CPython".to_owned(),
            "pypy" => "PyPy".to_owned(),
            _ => implementation,
        };
        let version = sys.getattr("version")?.extract::<String>()?;
        let version = version.split_whitespace().next().unwrap_or_default().to_owned();
        let path = sys.getattr("path")?.cast_into::<PyList>()?;
        // An empty entry is the working folder. Anything but text stands for nothing that is installed.
        let path = path.iter().filter_map(|entry| entry.extract::<String>().ok()).map(|entry| match entry.as_str() {
            "" => PathBuf::from("."),
            _ => PathBuf::from(entry),
        });
        Ok(Interpreter::new(Facts { implementation, version }, path.collect()))
    };
    describe().unwrap_or_else(|_| Interpreter::none())
}

/// Whether people type at this interpreter: an error then ends one statement and not the run.
pub(crate) fn is_interactive(py: Python<'_>) -> bool {
    let interactive = || -> PyResult<bool> {
        Ok(modules(py)?.contains("ipykernel")?
            || py.import("builtins")?.hasattr("__IPYTHON__")?
            || py.import("sys")?.hasattr("ps1")?)
    };
    interactive().unwrap_or(false)
}

/// The script that runs, if one does.
fn script(py: Python<'_>) -> Option<PathBuf> {
    let file = || -> PyResult<Option<String>> {
        let Some(main) = modules(py)?.get_item("__main__")? else { return Ok(None) };
        main.getattr("__file__")?.extract()
    };
    let path = PathBuf::from(file().ok()??);
    let is_tests = match path.file_name()?.to_str()? {
        "__main__.py" => path.parent()?.ends_with("pytest") || path.parent()?.ends_with("unittest"),
        name => matches!(name, "pytest" | "py.test"),
    };
    // `python -m cProfile SCRIPT` and the like run it without saying so.
    let path = match is_of_python(py, &path) {
        true => first_argument(py).map(PathBuf::from).filter(|first| first.is_file()).unwrap_or(path),
        false => path,
    };
    // What is piped into the interpreter is called `<stdin>`, and is no file.
    (path.is_file() && !is_tests && !is_interactive(py)).then_some(path)
}

fn command_line(py: Python<'_>) -> Vec<String> {
    let arguments = || -> PyResult<Vec<String>> {
        let mut arguments = texts(&py.import("sys")?.getattr("argv")?)?;
        arguments.drain(..1.min(arguments.len()));
        Ok(arguments)
    };
    // An interpreter that is embedded may have no command line.
    arguments().unwrap_or_default()
}

fn modules(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    Ok(py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?)
}
