//! How data differs from what was recorded.

use serde_json::{Value, json};

use super::{Dataset, find};
use crate::error::Result;
use crate::ports::{DataKind, PortResult, Ports, RemoteAttributes};
use crate::project;

/// Names of changed files in an answer.
const EXAMPLES: u32 = 5;

/// Compares datasets, all without a name, with what was recorded: a JSON array of rows, which `docs/record-format.md`
/// documents. Unless `offline`, servers are asked whether what they have has changed.
///
/// # Errors
/// `UnknownDataset`, and when data can't be read.
pub fn status(ports: &Ports, names: &[String], offline: bool) -> Result<String> {
    project::require(ports)?;
    let rows = find(ports, names)?.iter().map(|dataset| one(ports, dataset, offline)).collect::<Result<Vec<_>>>()?;
    Ok(json!(rows).to_string())
}

fn one(ports: &Ports, dataset: &Dataset, offline: bool) -> Result<Value> {
    let mut row = dataset.row(ports)?;
    let place = dataset.place(ports)?;
    let facts = match &place {
        Some(place) => ports.data.measure(place, None)?,
        None => None,
    };
    let state = match &facts {
        None => "missing",
        Some(facts) if facts.digest.as_ref() == Some(&dataset.digest) => "unchanged",
        Some(facts) => {
            row.insert("now".to_owned(), json!({ "digest": facts.digest, "files": facts.files, "size": facts.size }));
            "changed"
        }
    };
    if let (Some(place), "changed", DataKind::Folder) = (&place, state, dataset.kind)
        && let Some(differences) = ports.data.compare(place, &dataset.digest, EXAMPLES)?
    {
        row.insert("differences".to_owned(), json!(differences));
    }
    row.insert("state".to_owned(), json!(state));
    row.insert("in_store".to_owned(), json!(ports.store.has(&dataset.digest)?));
    if let (Some(url), false) = (&dataset.source.url, offline) {
        row.insert("remote".to_owned(), json!(remote(ports, url, dataset.source.remote.as_ref())));
    }
    Ok(Value::Object(row))
}

/// What a server says today. One that can't be asked is told of, and hides nothing else.
fn remote(ports: &Ports, url: &str, then: Option<&RemoteAttributes>) -> &'static str {
    match ports.remote.stat(url) {
        Ok(Some(now)) => match then {
            Some(then) => match differs(then, &now) {
                Some(true) => "changed",
                Some(false) => "unchanged",
                None => "unknown",
            },
            None => "unknown",
        },
        Ok(None) => "gone",
        Err(error) => {
            ports.progress.warn(&format!("A server can't be asked whether its data has changed: {error}"), &[]);
            "unknown"
        }
    }
}

/// Whether a server has another version now. What it does not say is no other one.
///
/// # Errors
/// When it can't be asked.
pub(super) fn is_newer(ports: &Ports, url: &str, then: Option<&RemoteAttributes>) -> PortResult<bool> {
    let now = ports.remote.stat(url)?;
    Ok(now.zip(then).and_then(|(now, then)| differs(then, &now)).unwrap_or(false))
}

/// Only what both answers hold can tell a change; none where that is nothing.
fn differs(then: &RemoteAttributes, now: &RemoteAttributes) -> Option<bool> {
    fn apart<T: PartialEq>(then: Option<&T>, now: Option<&T>) -> Option<bool> {
        then.zip(now).map(|(then, now)| then != now)
    }
    let told = [
        apart(then.entity_tag.as_ref(), now.entity_tag.as_ref()),
        apart(then.last_modified.as_ref(), now.last_modified.as_ref()),
        apart(then.size.as_ref(), now.size.as_ref()),
    ];
    told.into_iter().flatten().reduce(|one, other| one || other)
}
