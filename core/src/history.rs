//! The experiments there are: rows to look at, and the selectors that name some of them.
//!
//! Saved experiments come from their records, running ones from their journals. [`rows`] gives the same answer from record
//! bytes alone.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use crate::catalogue::{Saved, saved};
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::journal::fold::State;
use crate::ports::{Location, Ports};
use crate::record::{Record, Status};
use crate::selector::{self, Candidate};
use crate::{id, layout, project, report, time};

const RECORDS: usize = 256;
/// Rows of one page of a [`Listing`].
pub const PAGE: usize = 256;

/// One experiment as people compare it. `docs/record-format.md` documents the JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The experiment's id.
    pub id: String,
    /// A name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it stands.
    pub status: Status,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC; none while it runs.
    pub ended: Option<String>,
    /// Seconds; none while it runs.
    pub duration: Option<f64>,
    /// The script.
    pub script: Option<String>,
    /// The exception that ended it, and the first line of its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Values by name.
    pub parameters: BTreeMap<String, Value>,
    /// The last values by name.
    pub metrics: BTreeMap<String, Value>,
}

impl Row {
    fn of_record(record: Record) -> Self {
        let (start, end) = (time::parse(&record.started), time::parse(&record.ended));
        #[expect(clippy::cast_precision_loss, reason = "no run lasts 2^53 milliseconds")]
        let duration = start.zip(end).map(|(start, end)| end.saturating_sub(start) as f64 / 1000.0);
        Self {
            id: record.id,
            name: record.name,
            status: record.status,
            started: record.started,
            ended: Some(record.ended),
            duration,
            script: record.code.script,
            problem: record.problem,
            parameters: record.parameters.into_iter().map(|(name, parameter)| (name, parameter.value)).collect(),
            metrics: record.metrics.into_iter().map(|(name, metric)| (name, metric.last.to_json())).collect(),
        }
    }

    fn of_state(state: State, status: Status) -> Option<Self> {
        let metrics = state.named_metrics();
        let started = state.started?;
        Some(Self {
            id: started.id,
            name: started.name,
            status,
            started: time::format(started.time),
            ended: None,
            duration: None,
            script: started.script,
            problem: None,
            parameters: state.parameters.into_iter().map(|(name, set)| (name, set.value)).collect(),
            metrics: metrics.into_iter().map(|(name, metric)| (name, metric.last.to_json())).collect(),
        })
    }
}

/// Rows given out a page at a time.
pub struct Listing {
    rows: std::vec::IntoIter<Row>,
}

impl Listing {
    /// The next rows as a JSON array; none at the end.
    ///
    /// # Errors
    /// When a row can't be written as JSON.
    pub fn next_page(&mut self) -> Result<Option<String>> {
        let page: Vec<Row> = self.rows.by_ref().take(PAGE).collect();
        if page.is_empty() { Ok(None) } else { to_json(&page).map(Some) }
    }
}

/// The experiments that a selector names, oldest first; all without one.
///
/// # Errors
/// Outside a project, and for selectors that name nothing or too much.
pub fn query(ports: &Ports, selector: Option<&str>) -> Result<Listing> {
    project::require(ports)?;
    Ok(Listing { rows: choose_rows(ports, selector)?.into_iter() })
}

fn choose_rows(ports: &Ports, selector: Option<&str>) -> Result<Vec<Row>> {
    // Journals first: a finishing run has its tag before it gives up its journal, so none falls between the two.
    let mut unsaved = unsaved(ports)?;
    let saved = saved(ports)?;
    unsaved.retain(|row| saved.binary_search_by(|saved| saved.id.cmp(&row.id)).is_err());
    let ids = saved.iter().map(|saved| saved.id.as_str()).chain(unsaved.iter().map(|row| row.id.as_str()));
    let wanted = match selector.map(|selector| selector::by_id(selector, ids)).transpose()? {
        Some(Some(wanted)) => Some(wanted),
        // A name or `@` asks for what only the records tell.
        Some(None) | None => None,
    };
    let mut rows: Vec<Row> =
        unsaved.into_iter().filter(|row| wanted.as_ref().is_none_or(|ids| ids.contains(&row.id))).collect();
    let chosen: Vec<_> =
        saved.into_iter().filter(|saved| wanted.as_ref().is_none_or(|ids| ids.contains(&saved.id))).collect();
    read_records(ports, &chosen, &mut |record| rows.push(Row::of_record(record)))?;
    sort(&mut rows);
    if let (Some(selector), None) = (selector, &wanted) {
        rows = choose(rows, selector, &mut |message| ports.progress.warn(&message, &[]))?;
    }
    Ok(rows)
}

/// The same from records alone: JSON texts, one after the other.
///
/// # Errors
/// For a record that can't be read, and for selectors that name nothing or too much.
pub fn rows(records: &[u8], selector: Option<&str>) -> Result<String> {
    let mut rows = Vec::new();
    for text in serde_json::Deserializer::from_slice(records).into_iter::<Box<serde_json::value::RawValue>>() {
        let text =
            text.map_err(|error| Failure::new(FailureKind::Unreadable, format!("The records can't be read: {error}")))?;
        rows.push(Row::of_record(Record::parse(text.get().as_bytes())?));
    }
    sort(&mut rows);
    if let Some(selector) = selector {
        rows = choose(rows, selector, &mut |_| {})?;
    }
    to_json(&rows)
}

/// The one saved experiment that a selector names: its record and its commit.
///
/// # Errors
/// `UnknownExperiment`, `AmbiguousExperiment`.
pub fn one(ports: &Ports, selector: &str) -> Result<(Record, String)> {
    let saved = saved(ports)?;
    let id = match selector::by_id(selector, saved.iter().map(|saved| saved.id.as_str()))? {
        Some(ids) => ids,
        None => {
            let mut rows = Vec::new();
            read_records(ports, &saved, &mut |record| rows.push(Row::of_record(record)))?;
            sort(&mut rows);
            choose(rows, selector, &mut |message| ports.progress.warn(&message, &[]))?
                .into_iter()
                .map(|row| row.id)
                .collect()
        }
    };
    if id.len() > 1 {
        return Err(several(selector, id.len()));
    }
    let mut chosen: Vec<_> = saved.into_iter().filter(|saved| id.contains(&saved.id)).collect();
    let mut found = None;
    read_records(ports, &chosen, &mut |record| found = Some(record))?;
    found.zip(chosen.pop().map(|saved| saved.commit)).ok_or_else(|| selector::unknown(selector))
}

/// The same for who wants what the selector names wherever else it is used: a run that is not saved yet is told to be one, and
/// not passed over for an older experiment.
///
/// # Errors
/// As [`one`], and `UnknownExperiment` for a run that is not saved yet.
pub fn one_saved(ports: &Ports, selector: &str) -> Result<(Record, String)> {
    let rows = choose_rows(ports, Some(selector))?;
    let [row] = rows.as_slice() else { return Err(several(selector, rows.len())) };
    let not_yet = |why: &str, hint: &str| {
        let short = row.id.get(..id::SHORT).unwrap_or(&row.id);
        Err(Failure::new(FailureKind::UnknownExperiment, format!("The experiment `{short}` {why}")).hint(hint))
    };
    match row.status {
        Status::Running => not_yet("is still running", "Wait for its end, or name another: `au metrics` lists them"),
        Status::Lost => not_yet("is not saved yet: its process is gone", "Save it: `au recover`"),
        _ => one(ports, &row.id),
    }
}

/// The saved experiment whose commit is checked out, if one is: its id.
///
/// # Errors
/// When git can't be read.
pub fn checked_out(ports: &Ports) -> Result<Option<String>> {
    let Some(commit) = ports.repository.head()?.commit else { return Ok(None) };
    let folder = Location { root: commit.clone(), path: layout::EXPERIMENTS.to_owned() };
    for id in ports.repository.list_folder(&folder)?.into_iter().filter(|name| id::is_id(name)) {
        // Merged into a branch, an experiment's files are those of another commit.
        let tag = format!("{}{id}", layout::TAGS);
        let tags = ports.repository.references(&tag, None, 1)?;
        if tags.iter().any(|reference| reference.name == tag && reference.target == commit) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// One experiment whole, as a JSON object: its record, with `commit` and `tag` beside. These and `ended` are null while it is not
/// saved yet.
///
/// # Errors
/// `UnknownExperiment`, `AmbiguousExperiment`.
pub fn show(ports: &Ports, selector: &str) -> Result<String> {
    project::require(ports)?;
    let mut rows = choose_rows(ports, Some(selector))?;
    let row = match rows.len() {
        1 => rows.remove(0),
        count => return Err(several(selector, count)),
    };
    let unwritable =
        |error| Failure::new(FailureKind::Unreadable, format!("The record of `{}` can't be shown: {error}", row.id));
    let (record, commit) = match row.status {
        Status::Running | Status::Lost => {
            let state = State::read(&*ports.journal, &row.id)?;
            let started = state.started.as_ref().ok_or_else(|| selector::unknown(selector))?;
            (report::unfinished(started, &state, row.status), None)
        }
        _ => {
            let (record, commit) = one(ports, &row.id)?;
            (record, Some(commit))
        }
    };
    let mut record = serde_json::to_value(record).map_err(unwritable)?;
    if commit.is_none() {
        record["ended"] = Value::Null;
    }
    record["tag"] = commit.as_ref().map(|_| layout::tag(&row.id)).into();
    record["commit"] = commit.into();
    Ok(record.to_string())
}

fn several(selector: &str, count: usize) -> Failure {
    Failure::new(FailureKind::AmbiguousExperiment, format!("`{selector}` names {count} experiments"))
        .hint("Name one of them")
}

/// Every saved record, in no order that means anything.
///
/// # Errors
/// When git can't be read.
pub fn each_record(ports: &Ports, visit: &mut dyn FnMut(Record)) -> Result<()> {
    read_records(ports, &saved(ports)?, visit)
}

fn sort(rows: &mut [Row]) {
    rows.sort_by(|a, b| (&a.started, &a.id).cmp(&(&b.started, &b.id)));
}

fn choose(rows: Vec<Row>, selector: &str, note: &mut dyn FnMut(String)) -> Result<Vec<Row>> {
    let candidates: Vec<_> = rows.iter().map(|row| Candidate { id: &row.id, name: row.name.as_deref() }).collect();
    let chosen = selector::choose(selector, &candidates, note)?;
    Ok(rows.into_iter().filter(|row| chosen.contains(&row.id)).collect())
}

fn to_json(rows: &[Row]) -> Result<String> {
    serde_json::to_string(rows)
        .map_err(|error| Failure::new(FailureKind::Unreadable, format!("The rows can't be written: {error}")))
}

/// The runs that have a journal.
fn unsaved(ports: &Ports) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in ports.journal.entries()? {
        let status = if entry.held { Status::Running } else { Status::Lost };
        match State::read(&*ports.journal, &entry.id) {
            Ok(state) => rows.extend(Row::of_state(state, status)),
            Err(failure) => {
                ports
                    .progress
                    .warn(&format!("The run `{}` is left out: {}", entry.id, failure.message), &failure.hints);
            }
        }
    }
    Ok(rows)
}

/// Reads records; one that can't be read is told about and passed over, so that it hides no other.
fn read_records(ports: &Ports, saved: &[Saved], visit: &mut dyn FnMut(Record)) -> Result<()> {
    let mut seen = HashSet::new();
    for batch in saved.chunks(RECORDS) {
        let mut locations: &[Location] = &batch
            .iter()
            .map(|saved| Location { root: saved.commit.clone(), path: layout::record(&saved.id) })
            .collect::<Vec<_>>();
        let mut ids = batch.iter().map(|saved| &saved.id);
        while !locations.is_empty() {
            let files = match ports.repository.read_files(locations) {
                Err(PortError::Denied(what)) => return Err(PortError::Denied(what).into()),
                // One that can't be read must not hide the others: it is asked for alone, and told about.
                Err(_) => vec![read_alone(ports, &locations[0])],
                Ok(files) => files.into_iter().map(|file| file.ok_or_else(missing)).collect(),
            };
            if files.is_empty() {
                return Err(Failure::new(
                    FailureKind::Unavailable,
                    "The records can't be read: the host answered nothing",
                ));
            }
            locations = &locations[files.len().min(locations.len())..];
            for (file, id) in files.into_iter().zip(ids.by_ref()) {
                match file.and_then(|bytes| Record::parse(&bytes)) {
                    Ok(record) if seen.insert(record.id.clone()) => visit(record),
                    Ok(_) => {}
                    Err(failure) => ports
                        .progress
                        .warn(&format!("The experiment `{id}` is left out: {}", failure.message), &failure.hints),
                }
            }
        }
    }
    Ok(())
}

fn read_alone(ports: &Ports, location: &Location) -> Result<Vec<u8>> {
    ports.repository.read_files(std::slice::from_ref(location))?.pop().flatten().ok_or_else(missing)
}

fn missing() -> Failure {
    Failure::new(FailureKind::Unreadable, "There is no record in its commit")
}
