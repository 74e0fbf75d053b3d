//! Having data that is not on this computer. This module links no network: the `au` that is installed beside it has it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use aurum_host::Failure;
use pyo3::prelude::*;

use crate::errors::raise;
use crate::{process, warn};

/// Has `au` bring datasets to their places from wherever they can be had.
///
/// # Errors
/// The exception for what is missing, with what `au` says of it.
pub(crate) fn fetch(py: Python<'_>, names: &[String], missing: Failure) -> PyResult<()> {
    let (Some(root), Some(program)) = (process::project(py), program(py)) else { return Err(raise(py, &missing)) };
    warn::say(py, &format!("aurum: {}: asking where else it can be had\n", missing.message));
    let names: Vec<PathBuf> = names.iter().map(|name| named(name)).collect();
    let mut command = Command::new(program);
    command.arg("-C").arg(root).args(["--quiet", "data", "restore", "--"]).args(names);
    let ended = py.detach(|| command.stdin(Stdio::null()).output());
    py.check_signals()?;
    match ended {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, .. }) => Err(raise(py, &explain(missing, &String::from_utf8_lossy(&stderr)))),
        Err(_) => Err(raise(py, &missing)),
    }
}

/// What can only be a path means the same in any folder.
fn named(name: &str) -> PathBuf {
    let is_path = name.starts_with(['.', '/']) && name.contains('/');
    let absolute = is_path.then(|| std::path::absolute(name).ok()).flatten();
    absolute.unwrap_or_else(|| name.into())
}

/// The program of this very installation: another version may not know of what this one does.
fn program(py: Python<'_>) -> Option<PathBuf> {
    let scripts = || -> PyResult<PathBuf> { py.import("sysconfig")?.call_method1("get_path", ("scripts",))?.extract() };
    let beside = || -> PyResult<PathBuf> { py.import("sys")?.getattr("executable")?.extract() };
    let beside = beside().ok().and_then(|python| Some(python.parent()?.to_owned()));
    [scripts().ok(), beside].into_iter().flatten().map(|folder: PathBuf| folder.join("au")).find(|path| path.is_file())
}

/// What `au` said, as one failure.
fn explain(missing: Failure, said: &str) -> Failure {
    let errors: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    let hints = said.lines().filter_map(|line| line.strip_prefix("hint: ")).map(str::to_owned).collect();
    if errors.is_empty() { missing } else { Failure { message: errors.join("; "), hints, ..missing } }
}
