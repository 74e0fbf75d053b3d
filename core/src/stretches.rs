//! Experiments that went on after they were saved: each time, a run takes up the saved one and adds a stretch to it.
//!
//! A stretch is a run with a journal of its own, which says by its beginning which commit it goes on from. At its end a new commit
//! takes the place of that one, with all of both: what was printed and every value of every metric one after the other, and of what
//! has a name the later. Of values of one step, those of the latest stretch that has any count. The earlier commit is a parent of the new one.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

use crate::catalogue::Saved;
use crate::dataset::usage;
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::history::{self, Found};
use crate::journal::event::{ParameterSet, Resumed, Started};
use crate::journal::fold::State;
use crate::metrics::{Number, Statistics};
use crate::ports::{Location, Ports};
use crate::record::{Parameter, Record, Stretch};
use crate::run::{MOST_ARTIFACTS, MOST_INPUTS, MOST_MODELS, MOST_NOTE_BYTES, MOST_NOTES, MOST_TAGS, note_room};
use crate::{completion, id, layout, records, time};

/// The saved experiment that a selector names, for another stretch of it: its record and its commit. One whose process is gone is
/// saved first.
///
/// # Errors
/// For selectors that name nothing or too much, and for a run that is still going on.
pub fn take_up(ports: &Ports, selector: &str) -> Result<(Record, String)> {
    let id = match history::find(ports, selector)? {
        Found::Saved(saved) => saved.id,
        Found::Unsaved(id) => id,
    };
    let parts = ports.journal.parts(&id)?;
    if parts.iter().any(|part| part.held) {
        return Err(going_on(&id));
    }
    if !parts.is_empty() {
        completion::recover(ports, &id)?;
    }
    history::one_saved(ports, &id)
}

/// Says that a run can't be taken up, since it goes on.
pub fn going_on(id: &str) -> Failure {
    let short = id.get(..id::SHORT).unwrap_or(id);
    Failure::new(FailureKind::InTheWay, format!("The experiment `{short}` is still running, and can't be resumed"))
        .hint("Wait for its end, or end it; `au metrics` shows how it stands")
}

/// What an experiment had before this stretch of it; none of one that was begun anew, and where that is not to be had any more.
///
/// # Errors
/// When git can't be read.
pub fn former(ports: &Ports, started: &Started) -> Result<Option<Record>> {
    let Some(Resumed { commit, .. }) = &started.resumed else { return Ok(None) };
    match records::read_one(ports, &Saved::by(&started.id, commit)) {
        Ok(record) => Ok(Some(record)),
        Err(failure) if failure.kind == FailureKind::Unreadable => {
            let short = started.id.get(..id::SHORT).unwrap_or(&started.id);
            ports.progress.warn(
                &format!("What `{short}` had before it was resumed can't be read: {}", failure.message),
                &[format!("It was in the commit `{commit}`")],
            );
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Adds what the experiment had before to what this stretch has. Its metrics are told by the values that count.
pub fn lay_under(state: &mut State, former: Record, resumed: &Resumed, mut earlier: HashMap<String, Statistics>) {
    for (name, Parameter { value, source }) in former.parameters {
        state.parameters.entry(name.clone()).or_insert(ParameterSet { name, value, source });
    }
    let more = fill(&mut state.models, former.models, MOST_MODELS)
        + fill(&mut state.artifacts, former.artifacts, MOST_ARTIFACTS);
    for (name, usage) in &mut state.datasets {
        usage.used |= former.datasets.get(name).is_some_and(|former| former.used);
    }
    let more = more + usage::add_former(&mut state.datasets, former.datasets);
    let notes = former.notes.into_iter().map(|note| (time::parse(&note.at).unwrap_or_default(), note.text));
    let notes: Vec<_> = notes.chain(std::mem::take(&mut state.notes)).collect();
    let count = notes.len();
    state.note_bytes = 0;
    for (at, text) in notes {
        let bytes = state.note_bytes + note_room(&text);
        if state.notes.len() < MOST_NOTES && bytes <= MOST_NOTE_BYTES {
            state.note_bytes = bytes;
            state.notes.push((at, text));
        }
    }
    let more = more + (count - state.notes.len()) as u64;
    let mut inputs = former.inputs;
    for input in std::mem::take(&mut state.inputs) {
        if !inputs.contains(&input) {
            inputs.push(input);
        }
    }
    let more = more + inputs.len().saturating_sub(MOST_INPUTS) as u64;
    inputs.truncate(MOST_INPUTS);
    state.inputs = inputs;
    state.reads.follow(former.reads, former.reads_cut);
    let room = MOST_TAGS.saturating_sub(state.tags.len());
    let tags: Vec<String> = former.tags.difference(&state.tags).cloned().collect();
    state.more += more + tags.len().saturating_sub(room) as u64;
    state.tags.extend(tags.into_iter().take(room));
    state.group = state.group.take().or(former.group);
    let positions: HashMap<String, usize> = state.names.iter().cloned().zip(0..).collect();
    for (name, statistics) in former.metrics {
        let before = earlier.remove(&name);
        match positions.get(&name).map(|at| &mut state.metrics[*at]) {
            Some(Some(later)) => {
                if let Some(before) = before {
                    *later = before.followed_by(later);
                }
            }
            Some(slot) => *slot = Some(statistics),
            None => {
                state.names.push(name);
                state.metrics.push(Some(statistics));
            }
        }
    }
    state.stretches = former.stretches;
    state.stretches.push(Stretch {
        commit: resumed.commit.clone(),
        started: former.resumed.unwrap_or(former.started),
        ended: former.ended,
        status: former.status,
        problem: former.problem,
        same_code: resumed.same_code,
    });
}

/// Adds what is not there by its name yet, as far as there is room; how much there was no room for. The processes of a run keep to the limits
/// each by itself.
fn fill<T>(kept: &mut BTreeMap<String, T>, former: BTreeMap<String, T>, most: usize) -> u64 {
    let mut more = 0;
    for (name, value) in former {
        if kept.contains_key(&name) {
            continue;
        }
        if kept.len() < most {
            kept.insert(name, value);
        } else {
            more += 1;
        }
    }
    more
}

/// The same of a run that goes on, for looking at it. Where the values of earlier stretches matter one by one, they are read.
///
/// # Errors
/// When git can't be read.
pub fn complete(ports: &Ports, state: &mut State, later: Option<&mut Counting>) -> Result<()> {
    let Some(started) = &state.started else { return Ok(()) };
    let (Some(former), Some(resumed)) = (former(ports, started)?, started.resumed.clone()) else { return Ok(()) };
    let earlier = match later {
        Some(later) => statistics(ports, &former, &resumed.commit, state, later)?,
        None => former.metrics.iter().map(|(name, statistics)| (name.clone(), statistics.clone())).collect(),
    };
    lay_under(state, former, &resumed, earlier);
    Ok(())
}

/// What counts of the earlier values of the metrics that this stretch has too.
///
/// # Errors
/// When the earlier commit can't be read.
pub fn statistics(
    ports: &Ports,
    former: &Record,
    commit: &str,
    state: &State,
    later: &mut Counting,
) -> Result<HashMap<String, Statistics>> {
    let logged = state.names.iter().zip(&state.metrics).filter(|(_, statistics)| statistics.is_some());
    let both: Vec<&String> = logged.map(|(name, _)| name).filter(|name| former.metrics.contains_key(*name)).collect();
    if both.is_empty() {
        return Ok(HashMap::new());
    }
    let file = Location { root: commit.to_owned(), path: layout::metrics(&former.id) };
    if !former.stretches.is_empty() {
        each_line(ports, &file, &mut |line, _| {
            later.note(&line);
            Ok(())
        })?;
    }
    let mut earlier: HashMap<String, Statistics> = HashMap::new();
    each_line(ports, &file, &mut |line, _| {
        if !both.iter().any(|name| **name == *line.metric) || !later.counts(&line) {
            return Ok(());
        }
        if let Some(value) = Number::from_json(&line.value) {
            match earlier.get_mut(&*line.metric) {
                Some(statistics) => statistics.add(value, line.step),
                None => drop(earlier.insert(line.metric.into_owned(), Statistics::new(value, line.step))),
            }
        }
        Ok(())
    })?;
    Ok(earlier)
}

/// A line of `metrics.jsonl`, as far as it matters which values count.
#[derive(Debug, Deserialize)]
pub struct Line<'a> {
    /// The metric's name.
    #[serde(borrow)]
    metric: Cow<'a, str>,
    step: u64,
    /// 0 for the first stretch.
    #[serde(default)]
    stretch: u32,
    value: Value,
}

/// Shows each line of an experiment's metrics, parsed and as it is, in memory that does not grow with their number.
///
/// # Errors
/// When the file can't be read, and the visitor's own.
pub fn each_line(ports: &Ports, file: &Location, visit: &mut dyn FnMut(Line<'_>, &[u8]) -> Result<()>) -> Result<()> {
    let mut rest = Vec::new();
    each_piece(ports, file, &mut |piece| {
        rest.extend_from_slice(piece);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in rest[..whole].split_inclusive(|byte| *byte == b'\n') {
            visit(parse(line, file)?, line)?;
        }
        rest.drain(..whole);
        Ok(())
    })
}

/// Shows a file of an experiment piece by piece; nothing where there is none.
///
/// # Errors
/// When the file can't be read, and the visitor's own.
pub fn each_piece(ports: &Ports, file: &Location, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut reader = match ports.repository.open_file(file) {
        Ok(Some(reader)) => reader,
        Ok(None) | Err(PortError::Missing(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    loop {
        let piece = reader.next()?;
        if piece.is_empty() {
            return Ok(());
        }
        visit(&piece)?;
    }
}

fn parse<'a>(line: &'a [u8], file: &Location) -> Result<Line<'a>> {
    serde_json::from_slice(line).map_err(|error| {
        Failure::new(FailureKind::Unreadable, format!("`{}` of `{}` can't be read: {error}", file.path, file.root))
    })
}

/// Which steps each stretch has, and so which values of earlier ones count no more.
#[derive(Debug, Default)]
pub struct Counting(BTreeMap<u32, HashMap<String, Steps>>);

impl Counting {
    /// The line's stretch has a value at its step. The first stretch takes no other's place.
    pub fn note(&mut self, line: &Line<'_>) {
        if line.stretch == 0 {
            return;
        }
        let metrics = self.0.entry(line.stretch).or_default();
        match metrics.get_mut(&*line.metric) {
            Some(steps) => steps.add(line.step),
            None => metrics.entry(line.metric.clone().into_owned()).or_default().add(line.step),
        }
    }

    /// Whether no later stretch has a value at the line's step.
    pub fn counts(&self, line: &Line<'_>) -> bool {
        let later = self.0.range(line.stretch.saturating_add(1)..);
        later.filter_map(|(_, metrics)| metrics.get(&*line.metric)).all(|steps| !steps.has(line.step))
    }
}

/// A set of steps as ranges, since they mostly follow one another: from the first of each to its last.
#[derive(Debug, Default)]
struct Steps(BTreeMap<u64, u64>);

impl Steps {
    fn add(&mut self, step: u64) {
        let before = self.0.range_mut(..=step).next_back();
        let first = match before {
            Some((_, last)) if *last >= step => return,
            Some((first, last)) if *last + 1 == step => {
                *last = step;
                *first
            }
            _ => {
                self.0.insert(step, step);
                step
            }
        };
        if let Some(last) = step.checked_add(1).and_then(|next| self.0.remove(&next)) {
            self.0.insert(first, last);
        }
    }

    fn has(&self, step: u64) -> bool {
        self.0.range(..=step).next_back().is_some_and(|(_, last)| *last >= step)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
#[path = "stretches_tests.rs"]
mod tests;
