//! Taking up what has changed: here, or on the servers that data came from.

use serde_json::{Value, json};

use super::add::{self, Addition, Options, Source};
use super::{Dataset, find, missing, status};
use crate::error::{Failure, FailureKind, Result};
use crate::ports::{Place, Ports};
use crate::project;
use crate::suggest;

/// Makes what these datasets, all without a name, are now their recorded state.
///
/// # Errors
/// `UnknownDataset`. What goes wrong with one dataset stands in the answer, and the others are updated.
pub fn update(ports: &Ports, names: &[String]) -> Result<Addition> {
    project::require(ports)?;
    let mut addition = Addition::default();
    for dataset in find(ports, names)? {
        match one(ports, &dataset) {
            Ok(one) => {
                addition.rows.extend(one.rows);
                addition.failures.extend(one.failures);
            }
            Err(failure) => addition.failures.push(failure),
        }
    }
    Ok(addition)
}

fn one(ports: &Ports, dataset: &Dataset) -> Result<Addition> {
    let Some(place) = dataset.place(ports)? else { return Err(missing(dataset)) };
    let facts = ports.data.measure(&place, None)?;
    let has_changed = facts.as_ref().is_some_and(|facts| facts.digest.as_ref() != Some(&dataset.digest));
    let word = suggest::word(&dataset.name);
    let source = match &dataset.source.url {
        Some(url) if facts.is_none() => Source::Address(url.clone()),
        None if facts.is_none() => {
            let message = format!("There is nothing at `{}`, where the data of `{}` was", place.path(), dataset.name);
            return Err(Failure::new(FailureKind::MissingData, message)
                .hint(format!("Bring it back: `au data restore {word}`"))
                .hint(format!("Or take it out of the project: `au data rm {word}`")));
        }
        Some(url) => {
            let is_newer = status::is_newer(ports, url, dataset.source.remote.as_ref()).map_err(|error| {
                let message =
                    format!("The server of `{}` can't be asked whether its data has changed: {error}", dataset.name);
                Failure::new(FailureKind::Unavailable, message).hint("Try again")
            })?;
            match (is_newer, has_changed) {
                (true, true) => {
                    let message = format!("`{}` has changed both here and on its server", dataset.name);
                    return Err(Failure::new(FailureKind::InTheWay, message)
                        .hint(format!("Keep what is here: `au data add {}`", suggest::word(place.path())))
                        .hint(format!("Then have what is there: `au data add {}`", suggest::word(url))));
                }
                (true, false) => Source::Address(url.clone()),
                (false, true) => Source::Local(place.clone()),
                (false, false) => return Ok(unchanged(dataset.row(ports)?)),
            }
        }
        None if has_changed => Source::Local(place.clone()),
        None => return Ok(unchanged(dataset.row(ports)?)),
    };
    let folder = match &place {
        Place::Project(path) => path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(),
        Place::Outside(_) => String::new(),
    };
    // As it was told when it was added: what was not kept is not kept now.
    let store = (!dataset.stored).then_some(false);
    add::add(ports, &[source], &Options { name: Some(dataset.name.clone()), store, folder })
}

fn unchanged(mut row: serde_json::Map<String, Value>) -> Addition {
    row.insert("outcome".to_owned(), json!("unchanged"));
    Addition { rows: vec![Value::Object(row)], failures: Vec::new() }
}
