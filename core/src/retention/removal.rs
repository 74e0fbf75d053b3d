//! Removing experiments.
//!
//! The order, each step on stable storage before the next: `refs/aurum/trash/<id>` holds the commit → a note says that it is
//! removed → the tag goes. Whoever dies in between leaves an experiment that is listed, or one that is removed and can be
//! brought back. The note is what other clones learn of it; an archive still has the experiment, and nobody lists it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::holdings::{self, Holding};
use super::{MOST, drop_it, guard, ids_of, settle, targets};
use crate::error::{Failure, FailureKind, Result};
use crate::history;
use crate::notes::{self, Statement};
use crate::ports::{Ports, ReferenceChange};
use crate::query::Request;
use crate::record::Status;
use crate::row::Row;
use crate::selector;
use crate::summary::Table;
use crate::{catalogue, id, layout, project, records};

/// An experiment that is to be removed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// A name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it ended; none when its record can't be read.
    pub status: Option<Status>,
    /// RFC 3339, UTC; none when its record can't be read.
    pub started: Option<String>,
    /// The experiments that stay and were built on it: their inputs or their parent name it.
    pub built_on_it: Vec<String>,
}

/// What is asked for, as it would be removed. Nothing is changed.
///
/// # Errors
/// For selectors that name nothing or too much, and for runs that are not saved.
pub fn plan(ports: &Ports, request: &Request) -> Result<Vec<Candidate>> {
    project::require(ports)?;
    let mut candidates = Vec::new();
    if let Err(failure) = history::each_chosen(ports, request, &mut |row| candidates.push(Candidate::of(row))) {
        candidates = damaged(ports, request)?.ok_or(failure)?;
    }
    if request.selector.is_none() {
        candidates.retain(|candidate| candidate.check_saved().is_ok());
    }
    candidates.iter().try_for_each(Candidate::check_saved)?;
    find_others(ports, &mut candidates)?;
    Ok(candidates)
}

impl Candidate {
    /// Of what was built on it nothing is known yet.
    pub(super) fn of(row: Row) -> Self {
        let Row { id, name, status, started, .. } = row;
        Self { id, name, status: Some(status), started: Some(started), built_on_it: Vec::new() }
    }

    fn check_saved(&self) -> Result<()> {
        let id = &self.id;
        match self.status {
            Some(Status::Running) => {
                Err(unsaved(id, "is still running", "Wait for its end, or end it, then remove it"))
            }
            Some(Status::Lost) => {
                Err(unsaved(id, "is not saved yet: its process is gone", "Save it first: `au recover`"))
            }
            _ => Ok(()),
        }
    }
}

/// The experiments that are named by their ids, if some of these can't be read: whoever has such a one wants to be rid of it.
fn damaged(ports: &Ports, request: &Request) -> Result<Option<Vec<Candidate>>> {
    let (Some(selector), None) = (&request.selector, &request.condition) else { return Ok(None) };
    let saved = catalogue::saved(ports)?;
    let Some(ids) = selector::by_id(selector, saved.iter().map(|saved| saved.id.as_str()))? else { return Ok(None) };
    let mut candidates = Vec::new();
    for saved in saved.iter().filter(|saved| ids.contains(&saved.id)) {
        candidates.push(match records::read_one(ports, saved) {
            Ok(record) => Candidate::of(Row::of_record(record)),
            Err(failure) if failure.kind == FailureKind::Denied => return Err(failure),
            Err(_) => {
                Candidate { id: saved.id.clone(), name: None, status: None, started: None, built_on_it: Vec::new() }
            }
        });
    }
    Ok(candidates.iter().any(|candidate| candidate.status.is_none()).then_some(candidates))
}

/// Finds what was built on them, and stays.
pub(super) fn find_others(ports: &Ports, candidates: &mut [Candidate]) -> Result<()> {
    if candidates.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<&str> = candidates.iter().map(|candidate| candidate.id.as_str()).collect();
    let mut built: BTreeMap<String, Vec<String>> = BTreeMap::new();
    Table::open(ports)?.each(&mut |_, summary| {
        let below: BTreeSet<_> = summary.foundations().filter(|other| ids.contains(other)).collect();
        if below.is_empty() {
            return;
        }
        let id = summary.id().to_string();
        if !ids.contains(id.as_str()) {
            below.into_iter().for_each(|other| built.entry(other.to_owned()).or_default().push(id.clone()));
        }
    })?;
    built.values_mut().for_each(|others| others.sort());
    for candidate in candidates {
        candidate.built_on_it = built.remove(&candidate.id).unwrap_or_default();
    }
    Ok(())
}

fn unsaved(id: &str, why: &str, hint: &str) -> Failure {
    let short = id.get(..id::SHORT).unwrap_or(id);
    Failure::new(FailureKind::InTheWay, format!("The experiment `{short}` {why}")).hint(hint)
}

/// Removes these experiments, all that are listed among them; those that are removed already are passed over, after what a
/// former try left undone of them. Answers the ids of all.
///
/// # Errors
/// `UnknownExperiment` for an id that nothing holds, `InTheWay` for a run that is under way: then nothing is changed.
pub fn remove(ports: &Ports, ids: &[String]) -> Result<Vec<String>> {
    project::require(ports)?;
    if let Some(entry) = ports.journal.entries()?.iter().find(|entry| entry.held && ids.contains(&entry.id)) {
        return Err(unsaved(&entry.id, "is still running", "Wait for its end, or end it, then remove it"));
    }
    let wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let mut holdings = holdings::of(ports, &mut |id, _| wanted.contains(id))?;
    let mut chosen: BTreeMap<String, Holding> = BTreeMap::new();
    for id in ids {
        let holding = holdings.remove(id).or_else(|| chosen.get(id).cloned());
        let unknown = || selector::unknown(id);
        chosen.insert(id.clone(), holding.ok_or_else(unknown)?);
    }
    let commits: Vec<(String, String)> =
        chosen.iter().filter_map(|(id, holding)| Some((id.clone(), holding.commit()?.clone()))).collect();
    for some in commits.chunks(MOST) {
        keep(ports, some)?;
    }
    // All commits of it, or an archive would bring back an earlier one.
    let unsaid = chosen.values().filter(|holding| holding.removed.is_none());
    let unsaid: Vec<String> = unsaid.flat_map(|holding| holding.commits().into_iter().cloned()).collect();
    notes::state(ports, &unsaid, &Statement::removed(true))?;
    // Who was bringing them back at that moment may have had the trash let go of them. From here on nobody has.
    discard(ports, &commits)?;
    Ok(chosen.into_keys().collect())
}

/// Has the trash hold experiments that are said to be removed, by these commits, and then takes the tags away that are on them.
///
/// # Errors
/// When a capability fails: then each experiment still is held.
pub(crate) fn discard(ports: &Ports, experiments: &[(String, String)]) -> Result<()> {
    for some in experiments.chunks(MOST) {
        keep(ports, some)?;
        drop_tags(ports, some)?;
    }
    Ok(())
}

/// Has the trash hold them.
fn keep(ports: &Ports, experiments: &[(String, String)]) -> Result<()> {
    settle(ports, &mut || {
        let trash = targets(ports, layout::TRASH, &ids_of(experiments))?;
        let changes = experiments.iter().filter_map(|(id, commit)| {
            let there = trash.get(id).filter(|there| *there != commit);
            (trash.get(id) != Some(commit)).then(|| ReferenceChange {
                name: format!("{}{id}", layout::TRASH),
                expected: there.cloned(),
                target: Some(commit.clone()),
            })
        });
        Ok(changes.collect())
    })
}

/// Removes the tags that are on these commits, if the trash has them. One that a run has moved meanwhile stays: it holds what nobody
/// has looked at yet.
fn drop_tags(ports: &Ports, experiments: &[(String, String)]) -> Result<()> {
    settle(ports, &mut || {
        let ids = ids_of(experiments);
        let (tags, trash) = (targets(ports, layout::TAGS, &ids)?, targets(ports, layout::TRASH, &ids)?);
        let both =
            experiments.iter().filter(|(id, commit)| tags.get(id) == Some(commit) && trash.get(id) == Some(commit));
        let changes = both.flat_map(|(id, commit)| {
            [guard(format!("{}{id}", layout::TRASH), commit), drop_it(format!("{}{id}", layout::TAGS), commit)]
        });
        Ok(changes.collect())
    })
}
