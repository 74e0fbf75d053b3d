//! Having data that is not on this computer. This module links no network: the `au` that is installed beside it has it.

use std::path::{Path, PathBuf};
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

/// Has `au` look at the servers that data came from, while the script goes on. Nobody waits for it, or misses it.
pub(crate) fn look_at_servers(py: Python<'_>, root: &Path) {
    if let Some(program) = program(py) {
        let _ = py.import("aurum._look").and_then(|look| look.call_method1("begin", (program, root)));
    }
}

/// What can only be a path means the same in any folder.
fn named(name: &str) -> PathBuf {
    let is_path = name.starts_with(['.', '/']) && name.contains('/');
    let absolute = is_path.then(|| std::path::absolute(name).ok()).flatten();
    absolute.unwrap_or_else(|| name.into())
}

/// The program of this very installation: another version may not know of what this one does.
pub(crate) fn program(py: Python<'_>) -> Option<PathBuf> {
    let path = |module: &str, name: &str| -> PyResult<PathBuf> { py.import(module)?.getattr(name)?.extract() };
    // `lib/python3.12/site-packages/aurum/_aurum.abi3.so` has `bin` beside `lib`.
    let beside_package =
        path("aurum._aurum", "__file__").ok().and_then(|file| Some(file.ancestors().nth(5)?.join("bin")));
    let beside_python = || Some(path("sys", "executable").ok()?.parent()?.to_owned());
    let scripts =
        || py.import("sysconfig").ok()?.call_method1("get_path", ("scripts",)).ok()?.extract::<PathBuf>().ok();
    let au = |folder: PathBuf| Some(folder.join("au")).filter(|path| path.is_file());
    // Importing the last takes milliseconds.
    beside_package.and_then(au).or_else(|| au(beside_python()?)).or_else(|| au(scripts()?))
}

/// What `au` said, as one failure.
fn explain(missing: Failure, said: &str) -> Failure {
    let errors: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    let hints = said.lines().filter_map(|line| line.strip_prefix("hint: ")).map(str::to_owned).collect();
    if errors.is_empty() { missing } else { Failure { message: errors.join("; "), hints, ..missing } }
}
