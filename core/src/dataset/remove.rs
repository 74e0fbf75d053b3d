//! Taking data out of the project.

use serde_json::{Value, json};

use super::{Dataset, find, ignore, is_described, path_setting, read};
use crate::error::{Failure, FailureKind, Result};
use crate::layout;
use crate::ports::{Place, Ports};
use crate::project;
use crate::suggest;

/// Takes datasets out; with `hard` their files too. What experiments recorded, and the store, stay as they are. Answers rows,
/// a JSON array.
///
/// # Errors
/// `UnknownDataset`; `InTheWay` where files hold what the store does not. Then nothing is done.
pub fn remove(ports: &Ports, names: &[String], hard: bool) -> Result<String> {
    project::require(ports)?;
    if names.is_empty() {
        return Err(Failure::new(FailureKind::Usage, "No dataset is named").hint("Run `au data ls` to see them"));
    }
    let (unreadable, names): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| is_described(ports, name).unwrap_or(false) && read(ports, name).is_err());
    let names: Vec<String> = names.into_iter().cloned().collect();
    let datasets = if names.is_empty() { Vec::new() } else { find(ports, &names)? };
    if hard {
        datasets.iter().try_for_each(|dataset| check_kept(ports, dataset))?;
    }
    let rows = datasets.iter().map(|dataset| remove_one(ports, dataset, hard)).collect::<Result<Vec<_>>>()?;
    for name in unreadable {
        // Nobody can tell where its files are: they stay.
        ports.workspace_edit.remove(&layout::dataset(name))?;
        ports
            .progress
            .warn(&format!("The description of `{name}` could not be read, and is removed: its files stay"), &[]);
    }
    Ok(json!(rows).to_string())
}

fn check_kept(ports: &Ports, dataset: &Dataset) -> Result<()> {
    let Dataset { name, source, .. } = dataset;
    let Some(path) = &source.path else { return Ok(()) };
    let name = suggest::word(name);
    if ports.repository.is_tracked(path)? {
        return Err(Failure::new(
            FailureKind::InTheWay,
            format!("git tracks `{path}`, and so its files are git's to delete"),
        )
        .hint(format!("Delete them with git: `git rm -r {}`", suggest::word(path))));
    }
    if ports.data.is_kept(&Place::Project(path.clone()), &[&dataset.digest])? {
        return Ok(());
    }
    Err(Failure::new(FailureKind::InTheWay, format!("`{path}` holds data that is kept nowhere else"))
        .hint(format!("Keep it first: `au data add {name}`"))
        .hint(format!("Or take it out of the project and leave its files: `au data rm --soft-delete {name}`")))
}

fn remove_one(ports: &Ports, dataset: &Dataset, hard: bool) -> Result<Value> {
    let mut row = dataset.row(ports)?;
    let mut deleted = false;
    match &dataset.source.path {
        // The files first: should it be cut short, the dataset is still there, to be removed again.
        Some(path) => {
            if hard {
                deleted = ports.workspace.inspect(path)?.is_some();
                ports.data.remove(path)?;
            }
            ignore::remove(ports, path)?;
        }
        None => {
            if hard {
                ports.progress.warn(
                    &format!("The files of `{}` lie outside of the project, and stay where they are", dataset.name),
                    &[],
                );
            }
            let key = path_setting(&dataset.name);
            if ports.repository.setting(&key)?.is_some() {
                ports.repository_edit.set_local_setting(&key, None)?;
            }
        }
    }
    ports.workspace_edit.remove(&layout::dataset(&dataset.name))?;
    row.insert("outcome".to_owned(), json!(if deleted { "deleted" } else { "removed" }));
    Ok(Value::Object(row))
}
