//! What a journal says so far, in memory that does not grow with its length.

use std::collections::BTreeMap;

use crate::dataset::usage::Usage;
use crate::error::Result;
use crate::journal::event::{Ending, Event, Measurement, ParameterSet, Started};
use crate::journal::reader::Reader;
use crate::metrics::Statistics;
use crate::ports::{Journal, Package};
use crate::record::{Input, Model};

/// The state of a run, folded from its journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// None until the first event: then nothing was accepted yet.
    pub started: Option<Started>,
    /// What the script could import.
    pub packages: Vec<Package>,
    /// By name.
    pub parameters: BTreeMap<String, ParameterSet>,
    /// Names by number.
    pub names: Vec<String>,
    /// Summaries by number; none for a metric that was named and never logged.
    pub metrics: Vec<Option<Statistics>>,
    /// By name.
    pub models: BTreeMap<String, Model>,
    /// By name.
    pub datasets: BTreeMap<String, Usage>,
    /// In the order of loading, each once.
    pub inputs: Vec<Input>,
    /// Once finishing has begun.
    pub ending: Option<Ending>,
    /// Once the commit is safe.
    pub committed: Option<String>,
    /// Once the tag is, too.
    pub done: bool,
    /// The time of the last event that bears one, in milliseconds since 1970.
    pub last_time: u64,
    /// The sequence number of the next frame.
    pub sequence: u64,
    /// Where the last whole frame ends.
    pub length: u64,
    /// Whether something in the journal is not readable.
    pub damaged: bool,
}

impl State {
    /// Folds a whole journal.
    ///
    /// # Errors
    /// As [`Reader::next_event`].
    pub fn read(journal: &dyn Journal, id: &str) -> Result<Self> {
        Self::read_with(journal, id, &mut |_, _| Ok(()))
    }

    /// Folds a whole journal, showing each event, with what was known before it, to a visitor.
    ///
    /// # Errors
    /// As [`Reader::next_event`], and the visitor's own.
    pub fn read_with(
        journal: &dyn Journal,
        id: &str,
        visit: &mut dyn FnMut(&Self, &Event<'_>) -> Result<()>,
    ) -> Result<Self> {
        let mut state = Self::default();
        let mut reader = Reader::new(journal, id);
        while let Some(event) = reader.next_event()? {
            visit(&state, &event)?;
            state.apply(event);
        }
        state.sequence = reader.sequence();
        state.length = reader.length();
        state.damaged = reader.damaged();
        Ok(state)
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: Event<'_>) {
        match event {
            Event::Started(started) => {
                self.last_time = started.time;
                self.started = Some(*started);
            }
            Event::Packages(packages) => self.packages = packages,
            Event::Parameters(parameters) => {
                self.parameters.extend(parameters.into_iter().map(|parameter| (parameter.name.clone(), parameter)));
            }
            Event::Metric { number, name } => {
                self.reach(number);
                self.names[number as usize] = name.into_owned();
            }
            Event::Measured { elapsed, measurements } => {
                self.last_time = self.started.as_ref().map_or(0, |started| started.time) + elapsed;
                for Measurement { metric, step, value } in measurements {
                    self.reach(metric);
                    match &mut self.metrics[metric as usize] {
                        Some(statistics) => statistics.add(value, step),
                        slot => *slot = Some(Statistics::new(value, step)),
                    }
                }
            }
            Event::Output { .. } => {}
            Event::Model { name, model } => {
                self.models.insert(name, model);
            }
            Event::Input(input) => {
                if !self.inputs.contains(&input) {
                    self.inputs.push(input);
                }
            }
            Event::Datasets(datasets) => {
                self.datasets.extend(datasets.into_iter().map(|named| (named.name, named.dataset)));
            }
            Event::Finishing(ending) => self.ending = Some(ending),
            Event::Committed(commit) => self.committed = Some(commit),
            Event::Done => self.done = true,
        }
    }

    /// Makes room for a metric. Where the event that names it was damaged, its values are kept under its number.
    fn reach(&mut self, number: u32) {
        for missing in self.names.len()..=number as usize {
            self.names.push(placeholder(missing));
            self.metrics.push(None);
        }
    }

    /// The summaries by name.
    pub fn named_metrics(&self) -> BTreeMap<String, Statistics> {
        let named = self.names.iter().zip(&self.metrics);
        named.filter_map(|(name, statistics)| Some((name.clone(), statistics.clone()?))).collect()
    }
}

/// What a metric without a name is called.
pub(crate) fn placeholder(number: usize) -> String {
    format!("metric {number}")
}
