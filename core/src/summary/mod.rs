//! Summaries: what a comparison of experiments needs of each, without its record.
//!
//! They are derived from the records, and kept so that comparing a hundred thousand experiments reads megabytes from a few files
//! and not a hundred thousand blobs. Whatever is kept may vanish, tear or be of another version at any time: then the records
//! are read again.

mod cell;
mod segment;
mod subject;
mod table;
#[cfg(test)]
mod tests;

pub use cell::Cell;
pub use segment::{Builder, MOST_ROWS, Segment};
pub use table::{At, Table};

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::Saved;
use crate::dataset::usage::State as DataState;
use crate::id::Key;
use crate::record::{Record, Status};
use crate::row::Row;
use crate::{digest, time};

/// What a column holds: the first character of its key.
const FIELD: char = '=';
const PARAMETER: char = 'p';
const METRIC: char = 'm';
const DATASET: char = 'd';
const MODEL: char = 'w';
const TAG: char = 't';

/// One experiment's row of a segment.
#[derive(Clone, Copy)]
pub struct Summary<'a> {
    segment: &'a Segment,
    row: u32,
}

impl<'a> Summary<'a> {
    /// The experiment's id.
    pub fn id(&self) -> Key {
        self.segment.id(self.row)
    }

    /// The experiment as it is saved.
    pub fn saved(&self) -> Saved {
        Saved::by(self.id().to_string(), digest::hexadecimal(self.segment.commit(self.row)))
    }

    /// A field by its name in the record.
    pub fn field(&self, name: &str) -> Option<Cell<'a>> {
        self.segment.cell(FIELD, name, self.row)
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<Cell<'a>> {
        self.segment.cell(PARAMETER, name, self.row)
    }

    /// A metric's last value.
    pub fn metric(&self, name: &str) -> Option<Cell<'a>> {
        self.segment.cell(METRIC, name, self.row)
    }

    /// A model: its digest and its size in bytes.
    pub fn model(&self, name: &str) -> Option<(&'a str, u64)> {
        let (digest, size) = self.segment.cell(MODEL, name, self.row)?.as_text()?.split_once(' ')?;
        Some((digest, size.parse().ok()?))
    }

    /// A field that is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.field(name)?.as_text()
    }

    /// The ids of the experiments that it was built on: its parent, and those whose models it loaded.
    pub fn foundations(&self) -> impl Iterator<Item = &'a str> {
        let inputs = self.text("inputs").unwrap_or_default().split(' ');
        inputs.chain(self.text("parent")).filter(|id| !id.is_empty())
    }

    /// How it ended.
    pub fn status(&self) -> Option<Status> {
        self.text("status").and_then(Status::parse)
    }

    /// Milliseconds since 1970; 0 for a text that is no time.
    pub fn started(&self) -> u64 {
        self.time("started").unwrap_or_default()
    }

    /// Milliseconds from its beginning to its end in which it did not run.
    pub fn paused(&self) -> u64 {
        self.time("paused").unwrap_or_default()
    }

    fn time(&self, field: &str) -> Option<u64> {
        match self.field(field)? {
            Cell::Integer(time) => u64::try_from(time).ok(),
            Cell::Text(text) => time::parse(&text),
            _ => None,
        }
    }

    /// As people compare it.
    pub fn to_row(&self) -> Option<Row> {
        let time = |name: &str| match self.field(name) {
            Some(Cell::Integer(time)) => Some(time::format(u64::try_from(time).ok()?)),
            Some(Cell::Text(text)) => Some(text.into_owned()),
            _ => None,
        };
        let mut row = Row {
            id: self.id().to_string(),
            name: self.text("name").map(str::to_owned),
            parent: self.text("parent").map(str::to_owned),
            group: self.text("group").map(str::to_owned),
            tags: BTreeSet::new(),
            status: self.status()?,
            started: time("started")?,
            ended: time("ended"),
            duration: None,
            paused: self.paused(),
            goes_on: false,
            script: self.text("script").map(str::to_owned),
            problem: self.text("problem").map(str::to_owned),
            parameters: BTreeMap::new(),
            metrics: BTreeMap::new(),
            // What conditions ask for, they have from the summary itself.
            datasets: Vec::new(),
            models: Vec::new(),
        };
        row.duration = Row::duration(&row.started, row.ended.as_deref(), row.paused);
        for (kind, name, cell) in self.segment.cells(self.row) {
            match kind {
                PARAMETER => drop(row.parameters.insert(name.to_owned(), cell.to_json())),
                METRIC => drop(row.metrics.insert(name.to_owned(), cell.to_json())),
                TAG => drop(row.tags.insert(name.to_owned())),
                _ => {}
            }
        }
        Some(row)
    }
}

/// What a record comes to, column by column.
fn cells(record: &Record) -> Vec<(char, &str, Cell<'_>)> {
    let time = |text| match time::parse(text) {
        // As it was written, or not at all.
        Some(time) if time::format(time) == text => i64::try_from(time).map_or(Cell::text(text), Cell::Integer),
        _ => Cell::text(text),
    };
    let mut cells = vec![
        (FIELD, "status", Cell::Text(record.status.to_string().into())),
        (FIELD, "started", time(&record.started)),
        (FIELD, "ended", time(&record.ended)),
    ];
    let texts = [
        ("name", &record.name),
        ("parent", &record.parent),
        ("group", &record.group),
        ("script", &record.code.script),
        ("problem", &record.problem),
    ];
    cells.extend(texts.into_iter().filter_map(|(name, text)| Some((FIELD, name, Cell::text(text.as_ref()?)))));
    if let paused @ 1.. = record.paused() {
        cells.push((FIELD, "paused", i64::try_from(paused).map_or(Cell::Null, Cell::Integer)));
    }
    let inputs: BTreeSet<&str> = record.inputs.iter().map(|input| input.experiment.as_str()).collect();
    if !inputs.is_empty() {
        cells.push((FIELD, "inputs", Cell::Text(inputs.into_iter().collect::<Vec<_>>().join(" ").into())));
    }
    cells.extend(record.parameters.iter().map(|(name, set)| (PARAMETER, name.as_str(), Cell::of_json(&set.value))));
    cells.extend(record.metrics.iter().map(|(name, metric)| (METRIC, name.as_str(), Cell::of_number(&metric.last))));
    cells.extend(record.tags.iter().map(|tag| (TAG, tag.as_str(), Cell::Null)));
    // Data that was missing, the run did not have.
    let had = record.datasets.iter().filter(|(_, usage)| usage.state != DataState::Missing);
    cells.extend(
        had.map(|(name, usage)| (DATASET, name.as_str(), usage.digest.as_deref().map_or(Cell::Null, Cell::text))),
    );
    cells.extend(
        record
            .models
            .iter()
            .map(|(name, model)| (MODEL, name.as_str(), Cell::Text(format!("{} {}", model.digest, model.size).into()))),
    );
    cells
}
