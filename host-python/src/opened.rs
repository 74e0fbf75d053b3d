//! Which datasets the script opens without saying so, seen by an audit hook on `open`.
//!
//! A hook can't be taken back and is called for everything that Python audits, so what is no dataset's has to cost next to nothing: where
//! files lie is looked up by their folder, and each folder is resolved once. Files that are opened past Python, as by pyarrow, are
//! not seen.
//!
//! Only whoever has the interpreter's lock takes the one here, and for no longer than a look takes, so that no fork finds it locked.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aurum_host::capabilities::data::known;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::run::join;
use crate::session::{Standing, long, short};
use crate::{process, scope, warn};

/// Folders that are remembered. A script that opens files in more of them has each looked up again.
const MOST_FOLDERS: usize = 4096;
/// Names of a folder among which links are looked for.
const MOST_ENTRIES: usize = 10_000;
/// Of `open(2)`, on every system.
const ACCESS: i64 = 3;
const WRITE_ONLY: i64 = 1;

static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);
/// Whether a hook is there: there is never a second one.
static HOOKED: AtomicBool = AtomicBool::new(false);

/// The datasets there are.
struct Watched {
    /// The project's folder, links resolved.
    root: PathBuf,
    names: Vec<String>,
    /// By where they are, links resolved.
    places: HashMap<PathBuf, usize>,
    /// What is in a folder, by the text that it was named by.
    folders: HashMap<Vec<u8>, Folder>,
    /// By dataset, and by the number of the run.
    opened: HashMap<(usize, u32), Opened>,
}

/// How far the news of a dataset has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    /// By the script, and nothing has it yet.
    Seen,
    /// The run under way has it.
    Told,
}

/// What a file in a folder may be of.
enum Folder {
    /// No dataset.
    Nothing,
    /// One that the folder is, or is in.
    Within(usize),
    /// Those files in it that are datasets.
    Holds(Vec<(Vec<u8>, usize)>),
}

impl Watched {
    fn new(root: &Path, datasets: Vec<(String, PathBuf)>) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let names = Vec::with_capacity(datasets.len());
        let mut watched = Self { root, names, places: HashMap::new(), folders: HashMap::new(), opened: HashMap::new() };
        for (at, (name, place)) in datasets.into_iter().enumerate() {
            watched.names.push(name);
            // What is missing may be brought back later: its folder may be there.
            watched.places.insert(resolved(&place).unwrap_or(place), at);
        }
        watched
    }

    /// The dataset that a file is of, unless that is known to be opened.
    fn find(&mut self, path: &[u8]) -> Option<usize> {
        let slash = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let (folder, name) = path.split_at(slash);
        if !self.folders.contains_key(folder) {
            let found = self.look(folder)?;
            if self.folders.len() >= MOST_FOLDERS {
                self.folders.clear();
            }
            self.folders.insert(folder.to_vec(), found);
        }
        match self.folders.get(folder)? {
            Folder::Nothing => None,
            Folder::Within(at) => Some(*at),
            Folder::Holds(files) => files.iter().find(|(known, _)| known == name).map(|(_, at)| *at),
        }
    }

    fn look(&self, folder: &[u8]) -> Option<Folder> {
        let named = if folder.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(folder)) };
        // A folder that is not there has no files; it may come.
        let place = named.canonicalize().ok()?;
        if let Some(at) = place.ancestors().find_map(|above| self.places.get(above)) {
            return Some(Folder::Within(*at));
        }
        let mut held: Vec<_> = self
            .places
            .iter()
            .filter(|(path, _)| path.parent() == Some(&place))
            .filter_map(|(path, at)| Some((path.file_name()?.as_bytes().to_vec(), *at)))
            .collect();
        if place.starts_with(&self.root) {
            held.extend(self.links(&place));
        }
        Some(if held.is_empty() { Folder::Nothing } else { Folder::Holds(held) })
    }
}

impl Watched {
    /// The links in a folder that lead into a dataset: each time that one is opened would be too late to look.
    fn links(&self, folder: &Path) -> Vec<(Vec<u8>, usize)> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().take(MOST_ENTRIES).flatten();
        let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
        let dataset = |entry: std::fs::DirEntry| {
            let target = entry.path().canonicalize().ok()?;
            let at = target.ancestors().find_map(|above| self.places.get(above))?;
            Some((entry.file_name().as_bytes().to_vec(), *at))
        };
        links.filter_map(dataset).collect()
    }
}

fn resolved(place: &Path) -> Option<PathBuf> {
    place.canonicalize().ok().or_else(|| Some(place.parent()?.canonicalize().ok()?.join(place.file_name()?)))
}

fn watched() -> MutexGuard<'static, Option<Watched>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches the datasets that the project has now, if it has any. What was opened before stays so.
pub(crate) fn watch(py: Python<'_>, root: &Path) {
    let datasets = known::places(root);
    if datasets.is_empty() && !HOOKED.load(Ordering::Relaxed) {
        return;
    }
    let mut new = Watched::new(root, datasets);
    {
        let mut watched = watched();
        if let Some(former) = &*watched {
            for ((at, number), opened) in &former.opened {
                if let Some(at) = new.names.iter().position(|known| *known == former.names[*at]) {
                    new.opened.insert((at, *number), *opened);
                }
            }
        }
        *watched = Some(new);
    }
    if !HOOKED.swap(true, Ordering::Relaxed) {
        // Another hook may forbid it; then what the script says itself is recorded.
        let _ = hook(py);
    }
}

fn hook(py: Python<'_>) -> PyResult<()> {
    let audit = wrap_pyfunction!(audit, py)?;
    py.import("sys")?.call_method1("addaudithook", (audit,)).map(drop)
}

/// The datasets that were opened in a run and that it does not have yet; it has them now.
fn take(number: u32) -> Vec<String> {
    let mut watched = watched();
    let Some(Watched { names, opened, .. }) = &mut *watched else { return Vec::new() };
    let mut taken = Vec::new();
    for ((at, run), opened) in opened {
        if *run == number && *opened == Opened::Seen {
            *opened = Opened::Told;
            taken.push(names[*at].clone());
        }
    }
    taken.sort();
    taken
}

/// The run has ended: what the next one opens is its own.
pub(crate) fn forget(number: u32) {
    if let Some(watched) = &mut *watched() {
        watched.opened.retain(|(_, run), _| *run != number);
    }
}

/// Called for all that Python audits. It never fails: what it raised would be raised by what is audited.
#[pyfunction]
fn audit(event: &Bound<'_, PyAny>, arguments: &Bound<'_, PyAny>) {
    let Ok(event) = event.cast::<PyString>() else { return };
    match event.to_str() {
        Ok("open") => {
            let _ = catch_unwind(AssertUnwindSafe(|| open(arguments)));
        }
        // Paths mean something else from now on.
        Ok("os.chdir") => {
            if let Some(watched) = &mut *watched() {
                watched.folders.clear();
            }
        }
        _ => {}
    }
}

fn open(arguments: &Bound<'_, PyAny>) {
    let Ok(arguments) = arguments.cast::<PyTuple>() else { return };
    let Ok(path) = arguments.get_borrowed_item(0) else { return };
    // Descriptors are of files that were opened already.
    let is_seen = match path.cast::<PyString>() {
        Ok(text) => text.to_str().is_ok_and(|text| see(text.as_bytes(), arguments)),
        Err(_) => path.cast::<PyBytes>().is_ok_and(|bytes| see(bytes.as_bytes(), arguments)),
    };
    if is_seen {
        tell(arguments.py());
    }
}

/// Whether this is news of a dataset. What is opened to be written alone is not used.
fn see(path: &[u8], arguments: &Bound<'_, PyTuple>) -> bool {
    let Some(at) = watched().as_mut().and_then(|watched| watched.find(path)) else { return false };
    // Which run this is asks Python, which a lock of ours must not be held at.
    let run = scope::current(arguments.py());
    let mut watched = watched();
    let Some(watched) = &mut *watched else { return false };
    if at >= watched.names.len() || watched.opened.contains_key(&(at, run)) {
        return false;
    }
    let flags = arguments.get_borrowed_item(2).ok().and_then(|flags| flags.extract::<i64>().ok());
    let is_read = flags.is_none_or(|flags| flags & ACCESS != WRITE_ONLY);
    if is_read && Path::new(OsStr::from_bytes(path)).exists() {
        watched.opened.insert((at, run), Opened::Seen);
        return true;
    }
    false
}

/// Has the run, if one is under way, know of what was opened: now, since nobody knows how the process ends.
fn tell(py: Python<'_>) {
    let standing = short(py, |session| session.standing());
    let is_running =
        standing == Standing::Running || process::is_child() && standing == Standing::Idle && join(py, true);
    if is_running {
        flush(py);
    }
}

/// Hands what was opened to the run under way.
pub(crate) fn flush(py: Python<'_>) {
    let names = take(scope::current(py));
    if names.is_empty() {
        return;
    }
    if let Err(failure) = long(py, |session| session.with_run(|tracker| tracker.notice_datasets(&names))) {
        warn::lost(py, "Which data is used is not recorded", &failure);
    }
}
