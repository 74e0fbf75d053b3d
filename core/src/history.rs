//! The experiments there are: rows to look at, and the selectors that name some of them.
//!
//! Saved experiments come from their records, running ones from their journals. [`rows`] gives the same answer from record
//! bytes alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::Value;

use crate::catalogue::{self, Saved};
use crate::error::{Failure, FailureKind, Result};
use crate::id::{self, Key};
use crate::journal::fold::{State, children};
use crate::ports::{Location, Ports};
use crate::query::{Query, Request, Subject, Subjects};
use crate::record::{Record, Status};
use crate::retention::archive;
use crate::row::Row;
use crate::selector::{self, Candidate};
use crate::stretches::{self, Counting};
use crate::summary::{At, Summary, Table};
use crate::{layout, project, records, report, texts, time};

/// Rows of one page of a [`Listing`].
pub const PAGE: usize = 256;

/// Rows given out a page at a time.
pub struct Listing {
    history: History,
    chosen: std::vec::IntoIter<Entry>,
}

impl Listing {
    /// The next rows as a JSON array; none at the end.
    ///
    /// # Errors
    /// When a row can't be written as JSON.
    pub fn next_page(&mut self) -> Result<Option<String>> {
        let mut page = Vec::new();
        for entry in self.chosen.by_ref().take(PAGE) {
            page.extend(self.history.row(entry)?);
        }
        if page.is_empty() { Ok(None) } else { to_json(&page).map(Some) }
    }
}

/// The experiments that are asked for.
///
/// # Errors
/// Outside a project, for selectors that name nothing or too much, and for conditions that don't follow the grammar.
pub fn query(ports: &Ports, request: &Request) -> Result<Listing> {
    let listing = listing(ports, request)?;
    if let Some((message, hint)) = archive::hint(listing.history.saved.tags()) {
        ports.progress.warn(&message, &[hint]);
    }
    Ok(listing)
}

fn listing(ports: &Ports, request: &Request) -> Result<Listing> {
    project::require(ports)?;
    // What can't be understood is told before anything is read.
    let query = Query::parse(request, Some(ports.clock.now()))?;
    let mut history = History::open(ports)?;
    if let Some(selector) = &request.selector {
        history.entries = history.choose(ports, selector)?;
    }
    let chosen = history.select(&query, &mut |message, hints| ports.progress.warn(message, hints))?.into_iter();
    Ok(Listing { history, chosen })
}

/// The ids that are asked for, of runs that are not saved yet too.
///
/// # Errors
/// As [`query`].
pub fn ids(ports: &Ports, request: &Request) -> Result<BTreeSet<String>> {
    let Listing { history, chosen } = listing(ports, request)?;
    chosen.map(|entry| history.naming(entry).map(|(id, _)| id)).collect()
}

/// All experiments, saved and not.
pub struct History {
    saved: Table,
    unsaved: Vec<Row>,
    /// Oldest first.
    entries: Vec<Entry>,
}

/// One experiment of a [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Saved(At),
    Unsaved(usize),
}

impl History {
    /// The experiments as of now.
    ///
    /// # Errors
    /// When git or the journals can't be read.
    pub fn open(ports: &Ports) -> Result<Self> {
        // Journals first: a finishing run has its tag before it gives up its journal, so none falls between the two.
        let unsaved = unsaved(ports)?;
        Self::of(Table::open(ports)?, unsaved)
    }

    /// The saved ones alone: no journal is looked at, however long.
    ///
    /// # Errors
    /// When git can't be read.
    pub(crate) fn of_saved(ports: &Ports) -> Result<Self> {
        Self::of(Table::open(ports)?, Vec::new())
    }

    fn of(saved: Table, mut unsaved: Vec<Row>) -> Result<Self> {
        let mut overtaken = BTreeSet::new();
        if !unsaved.is_empty() {
            let mut known = HashMap::new();
            let wanted: HashSet<Key> = unsaved.iter().filter_map(|row| Key::parse(&row.id)).collect();
            saved.each(&mut |at, summary| {
                if wanted.contains(&summary.id()) {
                    known.insert(summary.id(), at);
                }
            })?;
            // Of one that was saved and goes on, the journal says how it stands.
            unsaved.retain(|row| {
                let Some(at) = Key::parse(&row.id).and_then(|id| known.get(&id)) else { return true };
                if row.goes_on {
                    overtaken.insert(*at);
                }
                row.goes_on
            });
        }
        sort(&mut unsaved);
        let mut entries: Vec<_> =
            saved.by_time()?.into_iter().filter(|at| !overtaken.contains(at)).map(Entry::Saved).collect();
        for (at, row) in unsaved.iter().enumerate() {
            let started = time::parse(&row.started).unwrap_or_default();
            let mut place = entries.len();
            // They are the newest, or nearly so.
            while let Some(Entry::Saved(before)) = place.checked_sub(1).map(|before| entries[before]) {
                if saved.look(before, |summary| summary.started())? <= started {
                    break;
                }
                place -= 1;
            }
            entries.insert(place, Entry::Unsaved(at));
        }
        Ok(Self { saved, unsaved, entries })
    }

    fn row(&self, entry: Entry) -> Result<Option<Row>> {
        match entry {
            Entry::Saved(at) => self.saved.look(at, |summary| summary.to_row()),
            Entry::Unsaved(at) => Ok(self.unsaved.get(at).cloned()),
        }
    }

    /// Id and name.
    fn naming(&self, entry: Entry) -> Result<(String, Option<String>)> {
        match entry {
            Entry::Saved(at) => {
                self.saved.look(at, |summary| (summary.id().to_string(), summary.text("name").map(str::to_owned)))
            }
            Entry::Unsaved(at) => Ok((self.unsaved[at].id.clone(), self.unsaved[at].name.clone())),
        }
    }

    /// Those that a query asks for, in its order.
    fn select(&self, query: &Query, warn: &mut dyn FnMut(&str, &[String])) -> Result<Vec<Entry>> {
        if query.is_plain() {
            return Ok(self.entries.clone());
        }
        Ok(query.select(self, warn)?.into_iter().map(|at| self.entries[at]).collect())
    }

    /// Those that a selector names, oldest first.
    fn choose(&self, ports: &Ports, selector: &str) -> Result<Vec<Entry>> {
        let namings = self.entries.iter().map(|entry| self.naming(*entry)).collect::<Result<Vec<_>>>()?;
        // Those that can't be read are there all the same: a prefix that fits one of them too is ambiguous.
        let unreadable = self.saved.unreadable().iter().map(|(id, _)| Candidate { id, name: None });
        let readable = namings.iter().map(|(id, name)| Candidate { id, name: name.as_deref() });
        let candidates: Vec<_> = unreadable.chain(readable).collect();
        let chosen = selector::choose(selector, &candidates, &mut |message| ports.progress.warn(&message, &[]))?;
        if let Some((id, why)) = self.saved.unreadable().iter().find(|(id, _)| chosen.contains(id)) {
            let message = format!("The experiment `{id}` can't be read: {}", why.message);
            return Err(Failure { message, ..why.clone() });
        }
        let fits = namings.iter().map(|(id, _)| chosen.contains(id));
        Ok(self.entries.iter().zip(fits).filter(|(_, fits)| *fits).map(|(entry, _)| *entry).collect())
    }

    /// The one that a selector names.
    fn one(&self, ports: &Ports, selector: &str) -> Result<Entry> {
        match self.choose(ports, selector)?[..] {
            [one] => Ok(one),
            ref several => Err(self::several(selector, several.len())),
        }
    }

    /// The record and the commit of a saved one.
    fn record(&self, ports: &Ports, at: At) -> Result<(Record, String)> {
        let saved = self.saved.look(at, |summary| summary.saved())?;
        Ok((records::read_one(ports, &saved)?, saved.commit))
    }

    /// The newest saved experiment that fits, and what there is to say of it.
    pub(crate) fn newest<T>(&self, fits: impl Fn(Summary<'_>) -> Option<T>) -> Result<Option<T>> {
        for entry in self.entries.iter().rev() {
            if let Entry::Saved(at) = entry
                && let Some(found) = self.saved.look(*at, &fits)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Subjects for History {
    fn each(&self, visit: &mut dyn FnMut(usize, &dyn Subject) -> ControlFlow<()>) -> Result<()> {
        // Segment by segment, whatever the order in time: of a million experiments not all are held at once.
        let mut by_place: Vec<(At, usize)> = Vec::new();
        for (position, entry) in self.entries.iter().enumerate() {
            match entry {
                Entry::Saved(at) => by_place.push((*at, position)),
                Entry::Unsaved(at) => {
                    if visit(position, &self.unsaved[*at]).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        by_place.sort_unstable();
        for (at, position) in by_place {
            if self.saved.look(at, |summary| visit(position, &summary))?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Visits the rows that are asked for. None of them is held, whatever their number.
///
/// # Errors
/// As [`query`].
pub(crate) fn each_chosen(ports: &Ports, request: &Request, visit: &mut dyn FnMut(Row)) -> Result<()> {
    let Listing { history, chosen } = listing(ports, request)?;
    for entry in chosen {
        history.row(entry)?.into_iter().for_each(&mut *visit);
    }
    Ok(())
}

/// The same from records alone: JSON texts, one after the other.
///
/// # Errors
/// For a record that can't be read, for selectors that name nothing or too much, and for conditions that don't follow the
/// grammar.
pub fn rows(records: &[u8], request: &Request, now: Option<u64>) -> Result<String> {
    let query = Query::parse(request, now)?;
    let mut rows = Vec::new();
    for text in serde_json::Deserializer::from_slice(records).into_iter::<Box<serde_json::value::RawValue>>() {
        let text =
            text.map_err(|error| Failure::new(FailureKind::Unreadable, format!("The records can't be read: {error}")))?;
        rows.push(Row::of_record(Record::parse(text.get().as_bytes())?));
    }
    sort(&mut rows);
    if let Some(selector) = &request.selector {
        rows = choose(rows, selector, &mut |_| {})?;
    }
    let chosen = query.select(rows.as_slice(), &mut |_, _| {})?;
    to_json(&chosen.into_iter().map(|at| &rows[at]).collect::<Vec<_>>())
}

/// What a selector names.
pub(crate) enum Found {
    /// A saved experiment.
    Saved(Saved),
    /// A run that is not saved yet: its id.
    Unsaved(String),
}

/// The one experiment that a selector names.
///
/// # Errors
/// `UnknownExperiment`, `AmbiguousExperiment`.
pub(crate) fn find(ports: &Ports, selector: &str) -> Result<Found> {
    let history = History::open(ports)?;
    match history.one(ports, selector)? {
        Entry::Saved(at) => history.saved.look(at, |summary| Found::Saved(summary.saved())),
        Entry::Unsaved(at) => Ok(Found::Unsaved(history.unsaved[at].id.clone())),
    }
}

/// The one saved experiment that a selector names: its record and its commit.
///
/// # Errors
/// `UnknownExperiment`, `AmbiguousExperiment`.
pub fn one(ports: &Ports, selector: &str) -> Result<(Record, String)> {
    let history = History::of_saved(ports)?;
    match history.one(ports, selector)? {
        Entry::Saved(at) => history.record(ports, at),
        Entry::Unsaved(_) => Err(selector::unknown(selector)),
    }
}

/// The same for who wants what the selector names wherever else it is used: a run that is not saved yet is told to be one, and
/// not passed over for an older experiment.
///
/// # Errors
/// As [`one`], and `UnknownExperiment` for a run that is not saved yet.
pub fn one_saved(ports: &Ports, selector: &str) -> Result<(Record, String)> {
    let history = History::open(ports)?;
    let row = match history.one(ports, selector)? {
        Entry::Saved(at) => return history.record(ports, at),
        Entry::Unsaved(at) => &history.unsaved[at],
    };
    let (why, hint) = match row.status {
        Status::Running => ("is still running", "Wait for its end, or name another: `au metrics` lists them"),
        _ => ("is not saved yet: its process is gone", "Save it: `au recover`"),
    };
    let short = row.id.get(..id::SHORT).unwrap_or(&row.id);
    Err(Failure::new(FailureKind::UnknownExperiment, format!("The experiment `{short}` {why}")).hint(hint))
}

/// The saved experiment whose commit is checked out, if one is: its id.
///
/// # Errors
/// When git can't be read.
pub fn checked_out(ports: &Ports) -> Result<Option<String>> {
    let Some(commit) = ports.repository.head()?.commit else { return Ok(None) };
    let folder = Location { root: commit.clone(), path: layout::EXPERIMENTS.to_owned() };
    let mut ids = ports.repository.list_folder(&folder)?;
    ids.retain(|name| id::is_id(name));
    for id in &ids {
        // Merged into a branch, an experiment's files are those of another commit.
        let tag = format!("{}{id}", layout::TAGS);
        let tags = ports.repository.references(&tag, None, 1)?;
        if tags.iter().any(|reference| reference.name == tag && reference.target == commit) {
            return Ok(Some(id.clone()));
        }
    }
    if ids.is_empty() {
        return Ok(None);
    }
    // An archive may have it, without a tag.
    let saved = catalogue::saved(ports)?;
    Ok(ids.into_iter().find(|id| saved.iter().any(|saved| saved.id == *id && saved.commit == commit)))
}

/// One experiment whole, as a JSON object: its record, with `commit` and `tag` beside. These and `ended` are null while it is not
/// saved yet.
///
/// # Errors
/// `UnknownExperiment`, `AmbiguousExperiment`.
pub fn show(ports: &Ports, selector: &str) -> Result<String> {
    project::require(ports)?;
    let history = History::open(ports)?;
    let (record, commit) = match history.one(ports, selector)? {
        Entry::Saved(at) => {
            let (record, commit) = history.record(ports, at)?;
            (record, Some(commit))
        }
        Entry::Unsaved(at) => {
            let Row { id, status, .. } = &history.unsaved[at];
            let state = whole_state(ports, id)?;
            let started = state.started.as_ref().ok_or_else(|| selector::unknown(selector))?;
            (report::unfinished(started, &state, *status), None)
        }
    };
    let id = record.id.clone();
    let unwritable =
        |error| Failure::new(FailureKind::Unreadable, format!("The record of `{id}` can't be shown: {error}"));
    let mut record = serde_json::to_value(record).map_err(unwritable)?;
    if commit.is_none() {
        record["ended"] = Value::Null;
    }
    record["tag"] = commit.as_ref().map(|_| layout::tag(&id)).into();
    record["commit"] = commit.into();
    Ok(record.to_string())
}

/// What is known of a run that is not saved yet, with what the experiment had before where it was saved before.
fn whole_state(ports: &Ports, id: &str) -> Result<State> {
    if texts::begun(&*ports.journal, id)?.is_none_or(|started| started.resumed.is_none()) {
        return State::read_all(&*ports.journal, id);
    }
    let mut counting = Counting::default();
    let children = children(&*ports.journal, id)?;
    // Which stretch it is does not matter: it is later than all before.
    let mut note = |text: &[u8]| texts::note(&mut counting, text);
    let (mut state, _) = texts::fold(&*ports.journal, id, &children, u32::MAX, None, Some(&mut note))?;
    stretches::complete(ports, &mut state, Some(&mut counting))?;
    Ok(state)
}

fn several(selector: &str, count: usize) -> Failure {
    Failure::new(FailureKind::AmbiguousExperiment, format!("`{selector}` names {count} experiments"))
        .hint("Name one of them")
}

fn sort(rows: &mut [Row]) {
    rows.sort_by(|a, b| (&a.started, &a.id).cmp(&(&b.started, &b.id)));
}

fn choose(rows: Vec<Row>, selector: &str, note: &mut dyn FnMut(String)) -> Result<Vec<Row>> {
    let candidates: Vec<_> = rows.iter().map(|row| Candidate { id: &row.id, name: row.name.as_deref() }).collect();
    let chosen = selector::choose(selector, &candidates, note)?;
    Ok(rows.into_iter().filter(|row| chosen.contains(&row.id)).collect())
}

fn to_json(rows: &[impl Serialize]) -> Result<String> {
    serde_json::to_string(rows)
        .map_err(|error| Failure::new(FailureKind::Unreadable, format!("The rows can't be written: {error}")))
}

/// The runs that have a journal.
fn unsaved(ports: &Ports) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in ports.journal.entries()? {
        let status = if entry.held { Status::Running } else { Status::Lost };
        match State::read_all(&*ports.journal, &entry.id) {
            Ok(mut state) => {
                if let Err(failure) = stretches::complete(ports, &mut state, None) {
                    ports.progress.warn(&failure.message, &failure.hints);
                }
                rows.extend(Row::of_state(state, status));
            }
            Err(failure) => {
                ports
                    .progress
                    .warn(&format!("The run `{}` is left out: {}", entry.id, failure.message), &failure.hints);
            }
        }
    }
    Ok(rows)
}
