//! Bringing data back to what was recorded, and telling where it is.

use serde_json::{Value, json};

use super::{Dataset, find, find_each, missing, read};
use crate::error::{Failure, FailureKind, Result};
use crate::ports::{DataKind, DataLimits, Place, Ports};
use crate::project;
use crate::suggest;

/// What stands between a place and the content that is wanted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is there.
    There,
    /// It can be put there, and nothing is lost.
    Free,
    /// The store does not have it.
    NotInStore,
}

/// Looks whether a path of the project can be made what a digest says.
///
/// # Errors
/// `InTheWay` when what stands there is kept nowhere else.
pub(crate) fn standing(ports: &Ports, name: &str, path: &str, kind: DataKind, digest: &str) -> Result<Standing> {
    let place = Place::Project(path.to_owned());
    let facts = ports.data.measure(&place, None)?;
    if facts.is_some_and(|facts| facts.kind == kind && facts.digest.as_deref() == Some(digest)) {
        return Ok(Standing::There);
    }
    if !ports.data.can_restore(kind, digest)? {
        return Ok(Standing::NotInStore);
    }
    let described = read(ports, name).map(|dataset| dataset.digest).unwrap_or_default();
    let manifests: Vec<&str> = [digest, &described].into_iter().filter(|digest| !digest.is_empty()).collect();
    if ports.data.is_kept(&place, &manifests)? {
        return Ok(Standing::Free);
    }
    Err(Failure::new(
        FailureKind::InTheWay,
        format!("`{path}` has changed since it was added, and its content is kept nowhere else"),
    )
    .hint(format!("Keep it first: `au data add {}`", suggest::word(name)))
    .hint("Or move it away or remove it yourself, then try again"))
}

/// Makes datasets, all without a name, what was recorded: a JSON array of rows.
///
/// # Errors
/// `UnknownDataset`; `InTheWay` and `MissingData`, before anything is changed.
pub fn restore(ports: &Ports, names: &[String]) -> Result<String> {
    project::require(ports)?;
    let mut plans = Vec::new();
    for dataset in find(ports, names)? {
        let outcome = match &dataset.source.path {
            None => "outside",
            Some(path) => match standing(ports, &dataset.name, path, dataset.kind, &dataset.digest)? {
                Standing::There => "unchanged",
                Standing::Free => {
                    check_untracked(ports, path)?;
                    "restored"
                }
                Standing::NotInStore => return Err(missing(&dataset)),
            },
        };
        plans.push((dataset, outcome));
    }
    let mut rows = Vec::with_capacity(plans.len());
    for (dataset, outcome) in plans {
        if let ("restored", Some(path)) = (outcome, &dataset.source.path) {
            ports.data.restore(path, dataset.kind, &dataset.digest)?;
        }
        let mut row = dataset.row(ports)?;
        row.insert("outcome".to_owned(), json!(outcome));
        rows.push(Value::Object(row));
    }
    Ok(json!(rows).to_string())
}

/// What git tracks is git's to bring back.
fn check_untracked(ports: &Ports, path: &str) -> Result<()> {
    if !ports.repository.is_tracked(path)? {
        return Ok(());
    }
    let word = suggest::word(path);
    Err(Failure::new(FailureKind::InTheWay, format!("git tracks `{path}`, and so it is git's to bring back"))
        .hint(format!("Bring it back with git: `git checkout HEAD -- {word}`"))
        .hint(format!("Or leave it to Aurum alone: `git rm -r --cached {word}`")))
}

/// Where datasets are, for a script to open. One that is not there is brought back from the store.
///
/// # Errors
/// `UnknownDataset`, and `MissingData` with how to get it.
pub fn locate(ports: &Ports, names: &[String]) -> Result<Vec<(Dataset, Place)>> {
    project::require(ports)?;
    let locate = |dataset: Dataset| Ok((dataset.clone(), locate_one(ports, &dataset)?));
    find_each(ports, names)?.into_iter().map(locate).collect()
}

fn locate_one(ports: &Ports, dataset: &Dataset) -> Result<Place> {
    let place = dataset.place(ports)?.ok_or_else(|| missing(dataset))?;
    // What is being brought back by another process is not there yet.
    if ports.data.measure(&place, Some(DataLimits { files: 1, bytes: 0 }))?.is_some() {
        return Ok(place);
    }
    match &place {
        Place::Project(path) if ports.data.can_restore(dataset.kind, &dataset.digest)? => {
            check_untracked(ports, path)?;
            ports.data.restore(path, dataset.kind, &dataset.digest)?;
            Ok(place)
        }
        _ => Err(missing(dataset)),
    }
}
