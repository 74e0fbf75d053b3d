//! Bringing data back to what was recorded, and telling where it is.

use serde_json::{Value, json};

use super::add::check_own;
use super::{Dataset, LOOK, bring, find, find_each, missing, read, versions};
use crate::error::{Failure, FailureKind, Result};
use crate::layout;
use crate::ports::{DataKind, Place, Ports};
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

/// What is to be brought back, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Which version, as [`versions::choose`] takes it; without it, the one that is described.
    pub version: Option<String>,
    /// A path of the project, instead of the dataset's place.
    pub to: Option<String>,
    /// Whether others are asked for what the store lacks.
    pub fetch: bool,
}

/// Looks whether a path of the project can be made what a digest says.
///
/// # Errors
/// `InTheWay` when what stands there is kept nowhere else.
pub(crate) fn standing(ports: &Ports, name: &str, path: &str, kind: DataKind, digest: &str) -> Result<Standing> {
    standing_with(ports, name, path, kind, digest, false)
}

/// The same; with `fetch`, the data remote is asked for what the store lacks.
fn standing_with(ports: &Ports, name: &str, path: &str, kind: DataKind, digest: &str, fetch: bool) -> Result<Standing> {
    let place = Place::Project(path.to_owned());
    let facts = ports.data.measure(&place, None)?;
    if facts.is_some_and(|facts| facts.kind == kind && facts.digest.as_deref() == Some(digest)) {
        return Ok(Standing::There);
    }
    let is_there = if fetch { bring::to_store(ports, kind, digest)? } else { ports.data.can_restore(kind, digest)? };
    // Asked only now: what the data remote had may tell how it was arranged.
    if !is_there {
        return Ok(Standing::NotInStore);
    }
    check_kept(ports, name, path, digest)?;
    Ok(Standing::Free)
}

/// Refuses to overwrite what is kept nowhere else.
fn check_kept(ports: &Ports, name: &str, path: &str, digest: &str) -> Result<()> {
    let described = read(ports, name).map(|dataset| dataset.digest).unwrap_or_default();
    let manifests: Vec<&str> = [digest, &described].into_iter().filter(|digest| !digest.is_empty()).collect();
    if ports.data.is_kept(&Place::Project(path.to_owned()), &manifests)? {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::InTheWay,
        format!("`{path}` has changed since it was added, and its content is kept nowhere else"),
    )
    .hint(format!("Keep it first: `au data add {}`", suggest::word(name)))
    .hint("Or move it away or remove it yourself, then try again"))
}

/// What is to be done about one dataset.
enum Plan {
    Nothing(&'static str),
    Restore(DataKind, String),
    Download,
}

/// Makes datasets, all without a name, what was recorded: a JSON array of rows.
///
/// # Errors
/// `UnknownDataset`; `InTheWay` and `MissingData`, before anything is changed.
pub fn restore(ports: &Ports, names: &[String], request: &Request) -> Result<String> {
    project::require(ports)?;
    let datasets = find(ports, names)?;
    if (request.version.is_some() || request.to.is_some()) && (datasets.len() != 1 || names.is_empty()) {
        let message = "A version, or another place, is one of a single dataset";
        return Err(Failure::new(FailureKind::Usage, message).hint("Name one: `au data ls` shows them"));
    }
    let mut plans = Vec::new();
    for dataset in datasets {
        let (kind, digest) = match &request.version {
            Some(version) => versions::choose(ports, &dataset, version)?,
            None => (dataset.kind, dataset.digest.clone()),
        };
        let path = match &request.to {
            Some(path) => {
                check_free(ports, path)?;
                Some(path.clone())
            }
            None => dataset.source.path.clone(),
        };
        let plan = match &path {
            None if request.version.is_some() => {
                let message = format!("`{}` lies outside of the project, and is left as it is there", dataset.name);
                return Err(Failure::new(FailureKind::InTheWay, message)
                    .hint("Have that version beside it: `--to PATH`, a path in the project"));
            }
            None => Plan::Nothing("outside"),
            Some(path) => match standing_with(ports, &dataset.name, path, kind, &digest, request.fetch)? {
                Standing::There => Plan::Nothing("unchanged"),
                Standing::Free => {
                    check_untracked(ports, path)?;
                    Plan::Restore(kind, digest)
                }
                Standing::NotInStore if request.fetch && digest == dataset.digest && dataset.source.url.is_some() => {
                    check_kept(ports, &dataset.name, path, &digest)?;
                    check_untracked(ports, path)?;
                    Plan::Download
                }
                Standing::NotInStore if digest != dataset.digest => return Err(missing_version(&dataset, &digest)),
                Standing::NotInStore => return Err(missing(&dataset)),
            },
        };
        plans.push((dataset, path, plan));
    }
    let mut rows = Vec::with_capacity(plans.len());
    for (dataset, path, plan) in plans {
        let mut row = dataset.row(ports)?;
        let path = path.unwrap_or_default();
        let outcome = match plan {
            Plan::Nothing(outcome) => outcome,
            Plan::Restore(kind, digest) => {
                ports.data.restore(&path, kind, &digest)?;
                if digest != dataset.digest {
                    version_in(ports, &mut row, &path, kind, &digest)?;
                }
                "restored"
            }
            Plan::Download => {
                bring::download(ports, &dataset, &path)?;
                "downloaded"
            }
        };
        if request.to.is_some() {
            row.insert("place".to_owned(), json!(path));
        }
        row.insert("outcome".to_owned(), json!(outcome));
        rows.push(Value::Object(row));
    }
    Ok(json!(rows).to_string())
}

/// The row of another version than the described one says what that is.
fn version_in(
    ports: &Ports,
    row: &mut serde_json::Map<String, Value>,
    path: &str,
    kind: DataKind,
    digest: &str,
) -> Result<()> {
    // Of what was just put there, all is known without reading.
    if let Some(facts) = ports.data.measure(&Place::Project(path.to_owned()), None)? {
        row.insert("size".to_owned(), json!(facts.size));
        row.insert("files".to_owned(), json!(facts.files));
    }
    row.insert("kind".to_owned(), json!(kind));
    row.insert("digest".to_owned(), json!(digest));
    Ok(())
}

fn missing_version(dataset: &Dataset, digest: &str) -> Failure {
    let digits = digest.get(..19).unwrap_or(digest);
    let message = format!("The version `{digits}` of `{}` is not in the store", dataset.name);
    Failure::new(FailureKind::MissingData, message).hint(format!(
        "Have it from the data remote, if one has it: `au data pull --versions {}`",
        suggest::word(&dataset.name)
    ))
}

/// Nothing stands at a path, and what is put there is part of no dataset.
fn check_free(ports: &Ports, path: &str) -> Result<()> {
    check_own(path)?;
    let taken = |why: String| {
        Err(Failure::new(FailureKind::InTheWay, why).hint("Name a path in the project that is free: `--to PATH`"))
    };
    if ports.workspace.inspect(path)?.is_some() {
        return taken(format!("`{path}` is there already"));
    }
    for dataset in find(ports, &[])? {
        if let Some(other) = &dataset.source.path
            && (layout::is_below(path, other) || layout::is_below(other, path))
        {
            return taken(format!("`{path}` is of the dataset `{}`", dataset.name));
        }
    }
    Ok(())
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
    if ports.data.measure(&place, Some(LOOK))?.is_some() {
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
