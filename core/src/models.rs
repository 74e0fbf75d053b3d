//! Which model `load_model` means.

use crate::error::{Failure, FailureKind, Result};
use crate::history::{self, History};
use crate::journal::fold::State;
use crate::ports::Ports;
use crate::record::{Model, Record, Status};

/// What to do where this clone lacks a model's bytes.
pub(crate) const ELSEWHERE: &str = "Models stay on the machine that saved them: copy `.git/aurum/store` from there";

/// A model and the experiment that saved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The experiment's id.
    pub experiment: String,
    /// Where its bytes are.
    pub model: Model,
}

/// The model of that name of the experiment that a selector names; without a selector, the parent's, else that of the
/// experiment whose commit is checked out, else that of the newest finished run of the same script that has one.
///
/// # Errors
/// `NoModel` when there is none, or when its bytes are not in this clone; `UnknownExperiment` and `AmbiguousExperiment` for
/// the selector.
pub fn find(
    ports: &Ports,
    name: &str,
    selector: Option<&str>,
    parent: Option<&str>,
    script: Option<&str>,
) -> Result<Found> {
    let found = if let Some(selector) = selector {
        let (record, _) = history::one(ports, selector)?;
        of(&record, name).ok_or_else(|| {
            let failure = Failure::new(
                FailureKind::NoModel,
                format!("The experiment `{}` saved no model named `{name}`", record.id),
            );
            let names: Vec<_> = record.models.keys().map(|name| format!("`{name}`")).collect();
            if names.is_empty() {
                failure.hint("Save one with `au.save_model(bytes)` before the experiment ends")
            } else {
                failure.hint(format!("It saved {}", names.join(", ")))
            }
        })?
    } else {
        let of_one = |id: &str| history::one(ports, id).ok().and_then(|(record, _)| of(&record, name));
        let near = match parent.and_then(|id| of_unsaved(ports, id, name).or_else(|| of_one(id))) {
            Some(found) => Some(found),
            // Who went back to an experiment wants its model, not a later one's.
            None => history::checked_out(ports)?.as_deref().and_then(of_one),
        };
        match near {
            Some(found) => found,
            None => newest(ports, name, script)?,
        }
    };
    if !ports.store.has(&found.model.digest)? {
        return Err(Failure::new(
            FailureKind::NoModel,
            format!("The bytes of the model `{name}` of `{}` are not in this clone", found.experiment),
        )
        .hint(ELSEWHERE));
    }
    Ok(found)
}

/// That of a run that is still going on, as the parent of another one may be.
fn of_unsaved(ports: &Ports, id: &str, name: &str) -> Option<Found> {
    if ports.journal.parts(id).ok()?.is_empty() {
        return None;
    }
    let model = State::read_all(&*ports.journal, id).ok()?.models.remove(name)?;
    Some(Found { experiment: id.to_owned(), model })
}

fn of(record: &Record, name: &str) -> Option<Found> {
    record.models.get(name).map(|model| Found { experiment: record.id.clone(), model: model.clone() })
}

fn newest(ports: &Ports, name: &str, script: Option<&str>) -> Result<Found> {
    let newest = History::of_saved(ports)?.newest(|summary| {
        let fits = summary.status() == Some(Status::Finished) && summary.text("script") == script;
        let (digest, size) = summary.model(name).filter(|_| fits)?;
        Some(Found { experiment: summary.id().to_string(), model: Model { digest: digest.to_owned(), size } })
    })?;
    newest.ok_or_else(|| {
        let script = script.map_or_else(String::new, |script| format!(" of `{script}`"));
        Failure::new(FailureKind::NoModel, format!("No finished run{script} saved a model named `{name}`"))
            .hint("Save one with `au.save_model(bytes)`, or name the experiment: `au.load_model(experiment=\"ID\")`")
    })
}
