//! What a script says of itself, and files that it keeps.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::errors::invalid_value;
use crate::metrics::kind;
use crate::models::read_bytes;
use crate::run::{Beginning, enter, settle};
use crate::session::{long, short};
use crate::warn;

/// Note something about the experiment.
///
/// Notes stand in the record with their times, and `au show` shows them. What opens or signs an address in one is left out.
///
/// Args:
///     text: What there is to say.
///
/// Raises:
///     InvalidValueError: If there is nothing in it.
///
/// Example:
///     >>> aurum.note("the second half of the data is mislabelled")
#[pyfunction]
pub(crate) fn note(py: Python<'_>, text: &Bound<'_, PyString>) -> PyResult<()> {
    let text = text.to_string_lossy();
    if enter(py, Beginning::default())? {
        let noted = short(py, |session| session.with_run(|tracker| tracker.note(&text)));
        settle(py, "The note is not recorded", noted)?;
    }
    Ok(())
}

/// Give the experiment words to find it by.
///
/// `au metrics --where 'tag = baseline'` finds those that have one of them.
///
/// Args:
///     names: The words. Given once more, one changes nothing.
///
/// Raises:
///     InvalidValueError: If one can't be a tag.
///
/// Example:
///     >>> aurum.tag("baseline", "paper")
#[pyfunction]
#[pyo3(signature = (*names))]
pub(crate) fn tag(py: Python<'_>, names: &Bound<'_, PyTuple>) -> PyResult<()> {
    label(py, &words(names.as_any())?, None)
}

/// Have the experiment belong to a group: a sweep, a study, the folds of a cross-validation.
///
/// `au metrics --where 'group = sweep-3'` finds all of it. A later call moves the experiment to another group.
///
/// Args:
///     name: What the group is called. There is nothing to make beforehand.
///
/// Raises:
///     InvalidValueError: If it can't be the name of a group.
///
/// Example:
///     >>> aurum.group("sweep-3")
#[pyfunction]
pub(crate) fn group(py: Python<'_>, name: &str) -> PyResult<()> {
    label(py, &[], Some(name))
}

fn label(py: Python<'_>, tags: &[String], group: Option<&str>) -> PyResult<()> {
    if enter(py, Beginning::default())? {
        let labelled = short(py, |session| session.with_run(|tracker| tracker.label(tags, group)));
        settle(py, "A tag or group is not recorded", labelled)?;
    }
    Ok(())
}

/// Tags as Python has them. Text alone is one word, and not its letters.
pub(crate) fn words(given: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let word = |word: &Bound<'_, PyAny>| match word.cast::<PyString>() {
        Ok(text) => Ok(text.to_string_lossy().into_owned()),
        Err(_) => {
            let message = format!("A tag is text, not {}", kind(word));
            Err(invalid_value(word.py(), message, "Give strings: `aurum.tag(\"baseline\", \"paper\")`"))
        }
    };
    if given.is_instance_of::<PyString>() {
        return Ok(vec![word(given)?]);
    }
    given.try_iter()?.map(|item| word(&item?)).collect()
}

/// Keep a file with the experiment.
///
/// Its bytes go to the store, the same ones once, and the record says by which digest they are there.
///
/// Args:
///     artifact: The path of a file, or bytes.
///     name: What it is called; without it, the file's name. A later artefact of the same name takes its place.
///
/// Raises:
///     OSError: If the file can't be read.
///     InvalidValueError: If it is a folder, if bytes are given without a name, or if the name can't be one.
///
/// Example:
///     >>> aurum.log_artifact("confusion.png")
///     >>> aurum.log_artifact(buffer.getvalue(), "predictions.csv")
#[pyfunction]
#[pyo3(signature = (artifact, name=None))]
pub(crate) fn log_artifact(py: Python<'_>, artifact: &Bound<'_, PyAny>, name: Option<String>) -> PyResult<()> {
    let (contents, name): (Box<dyn Read + Send>, String) = match artifact.extract::<PathBuf>() {
        Ok(path) => {
            let file = open(py, &path)?;
            let own = || path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (Box::new(file), name.unwrap_or_else(own))
        }
        Err(_) => {
            let bytes = read_bytes("An artefact", artifact)?;
            let Some(name) = name else {
                let hint = "Say what they are called: `aurum.log_artifact(data, \"name\")`";
                return Err(invalid_value(py, "Bytes have no name of their own", hint));
            };
            (Box::new(Cursor::new(bytes)), name)
        }
    };
    if !enter(py, Beginning::default())? {
        return Ok(());
    }
    let (kept, warnings) = long(py, |session| {
        (session.with_run(|tracker| tracker.log_artifact(&name, contents)), session.take_warnings())
    });
    warn::pass_on(py, &warnings);
    settle(py, "The artefact is not kept", kept).map(drop)
}

/// Return once everything recorded so far is on stable storage.
///
/// What was recorded survives the end of the process, however it ends, without this. A power cut may cost the last second.
///
/// Example:
///     >>> aurum.log(loss=0.1)
///     >>> aurum.flush()
#[pyfunction]
pub(crate) fn flush(py: Python<'_>) -> PyResult<()> {
    let flushed = long(py, |session| session.flush());
    settle(py, "Not all of the run is on stable storage", flushed).map(drop)
}

fn open(py: Python<'_>, path: &PathBuf) -> PyResult<File> {
    // As Python tells of files that can't be opened.
    let failed = |error: io::Error| match error.raw_os_error() {
        Some(number) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((number, text, path.clone()))
        }
        None => error.into(),
    };
    // Not by opening it: that would wait for whoever writes to a pipe.
    if std::fs::metadata(path).map_err(failed)?.is_file() {
        return File::open(path).map_err(failed);
    }
    let message = format!("An artefact is a file, and this is none: {}", path.display());
    Err(invalid_value(py, message, "Log its files one by one, or add a folder of data by `au data add`"))
}
