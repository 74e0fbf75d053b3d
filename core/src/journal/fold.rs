//! What a journal says so far, in memory that does not grow with its length.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::journal::event::{Ending, Event, ParameterSet, Started};
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
    /// Bytes of the whole frames.
    pub length: u64,
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
            Event::Metric { name, .. } => {
                self.names.push(name.into_owned());
                self.metrics.push(None);
            }
            Event::Measured { elapsed, measurements } => {
                self.last_time = self.started.as_ref().map_or(0, |started| started.time) + elapsed;
                for measurement in measurements {
                    match self.metrics.get_mut(measurement.metric as usize) {
                        Some(Some(statistics)) => statistics.add(measurement.value, measurement.step),
                        Some(slot) => *slot = Some(Statistics::new(measurement.value, measurement.step)),
                        None => {}
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
            Event::Finishing(ending) => self.ending = Some(ending),
            Event::Committed(commit) => self.committed = Some(commit),
            Event::Done => self.done = true,
        }
    }

    /// The summaries by name.
    pub fn named_metrics(&self) -> BTreeMap<String, Statistics> {
        let named = self.names.iter().zip(&self.metrics);
        named.filter_map(|(name, statistics)| Some((name.clone(), statistics.clone()?))).collect()
    }
}
