//! What a run's journals say so far, in memory that does not grow with their length.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::dataset::usage::Usage;
use crate::error::Result;
use crate::journal::event::{Ending, Event, Measurement, ParameterSet, Started};
use crate::journal::merge::{Merge, Moment};
use crate::journal::reader::Reader;
use crate::metrics::{MOST_METRICS, MOST_NAME_BYTES, Statistics};
use crate::ports::{Journal, Package};
use crate::reads::Reads;
use crate::record::{Artifact, Input, Model, Stretch};
use crate::run::{MOST_ARTIFACTS, MOST_INPUTS, MOST_MODELS, MOST_NOTE_BYTES, MOST_NOTES, MOST_TAGS, note_room};

/// The state of a run, folded from its journal, or from its journal and those of its children.
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
    pub artifacts: BTreeMap<String, Artifact>,
    /// With their times, in milliseconds since 1970.
    pub notes: Vec<(u64, String)>,
    /// Bytes of the notes in a record.
    pub note_bytes: usize,
    /// Words to find the experiment by.
    pub tags: BTreeSet<String>,
    /// What the experiment belongs to.
    pub group: Option<String>,
    /// The stretches before this one, of an experiment that goes on.
    pub stretches: Vec<Stretch>,
    /// Models, artefacts, notes, tags and loaded models that a record has no room for. One process alone is refused them at the call.
    pub more: u64,
    /// By name.
    pub datasets: BTreeMap<String, Usage>,
    /// In the order of loading, each once.
    pub inputs: Vec<Input>,
    /// What was read past the project.
    pub reads: Reads,
    /// Once finishing has begun. A run that was finished and went on has begun it again.
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
    /// Whether there is anything beside what is written before the start of a run returns.
    pub accepted: bool,
    /// Whether something in the journal is not readable.
    pub damaged: bool,
}

impl State {
    /// Folds the run's own journal.
    ///
    /// # Errors
    /// As [`Reader::next_event`].
    pub fn read(journal: &dyn Journal, id: &str) -> Result<Self> {
        Self::read_part(journal, id, 0)
    }

    /// Folds one of the run's journals by itself.
    ///
    /// # Errors
    /// As [`Reader::next_event`].
    pub fn read_part(journal: &dyn Journal, id: &str, number: u32) -> Result<Self> {
        let mut state = Self::default();
        let mut reader = Reader::of(journal, id, number);
        while reader.advance()? {
            let elapsed = reader.elapsed().unwrap_or(0);
            if let Some(event) = reader.event()? {
                state.apply(elapsed, event);
            }
        }
        state.note(&reader);
        Ok(state)
    }

    /// Folds the run's journal and all that its children have written by now.
    ///
    /// # Errors
    /// As [`State::merge`].
    pub fn read_all(journal: &dyn Journal, id: &str) -> Result<Self> {
        let children = children(journal, id)?;
        if children.is_empty() {
            Self::read(journal, id)
        } else {
            Self::merge(journal, id, &children, &mut |_, _| Ok(()))
        }
    }

    /// Folds the run's journal and so many bytes of its children's, in the order of time, showing each event to a visitor, with
    /// what was known before it. Metrics have the same number whoever logged them.
    ///
    /// # Errors
    /// When a journal can't be read, or holds what this version does not know; and the visitor's own.
    pub fn merge(
        journal: &dyn Journal,
        id: &str,
        children: &[(u32, u64)],
        visit: &mut dyn FnMut(&Self, &Moment<'_>) -> Result<()>,
    ) -> Result<Self> {
        let mut merge = Merge::new(journal, id, children)?;
        let (mut state, mut numbers) = (Self::default(), Numbers::default());
        while let Some(mut moment) = merge.next_moment()? {
            numbers.translate(&mut state, moment.process, &mut moment.event);
            visit(&state, &moment)?;
            state.apply(moment.elapsed, moment.event);
        }
        state.note(merge.own());
        Ok(state)
    }

    /// What is known of the run's own journal once it was read to its end.
    fn note(&mut self, reader: &Reader<'_>) {
        self.sequence = reader.sequence();
        self.length = reader.length();
        self.damaged = reader.damaged();
    }

    /// Takes in the next event.
    fn apply(&mut self, elapsed: u64, event: Event<'_>) {
        let time = self.started.as_ref().map_or(0, |started| started.time.saturating_add(elapsed));
        self.last_time = self.last_time.max(time);
        self.accepted |= !matches!(event, Event::Started(_) | Event::Packages(_) | Event::Datasets(_));
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
            Event::Measured { measurements, .. } => {
                for Measurement { metric, step, value } in measurements {
                    self.reach(metric);
                    match &mut self.metrics[metric as usize] {
                        Some(statistics) => statistics.add(value, step),
                        slot => *slot = Some(Statistics::new(value, step)),
                    }
                }
            }
            Event::Output { .. } | Event::Joined(_) => {}
            Event::Model { name, model, .. } => self.more += put(&mut self.models, MOST_MODELS, name, model),
            Event::Input { input, .. } => {
                if self.inputs.contains(&input) {
                } else if self.inputs.len() < MOST_INPUTS {
                    self.inputs.push(input);
                } else {
                    self.more += 1;
                }
            }
            Event::Read { read, .. } => self.reads.take(read),
            Event::Artifact { name, artifact, .. } => {
                self.more += put(&mut self.artifacts, MOST_ARTIFACTS, name, artifact);
            }
            Event::Note { text, .. } => {
                let bytes = self.note_bytes + note_room(&text);
                if self.notes.len() < MOST_NOTES && bytes <= MOST_NOTE_BYTES {
                    self.notes.push((time, text));
                    self.note_bytes = bytes;
                } else {
                    self.more += 1;
                }
            }
            Event::Labels { tags, group, .. } => {
                for tag in tags {
                    if self.tags.len() < MOST_TAGS || self.tags.contains(&tag) {
                        self.tags.insert(tag);
                    } else {
                        self.more += 1;
                    }
                }
                self.group = group.or_else(|| self.group.take());
            }
            Event::Datasets(datasets) => {
                for named in datasets {
                    // Whoever of the run's processes used it: it was used.
                    let used = self.datasets.get(&named.name).is_some_and(|former| former.used);
                    self.datasets.insert(named.name, Usage { used: used || named.dataset.used, ..named.dataset });
                }
            }
            Event::Finishing(ending) => {
                self.ending = Some(ending);
                self.committed = None;
                self.done = false;
            }
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

    /// The summaries by name, and how many there is no room for: each process keeps to the limits by itself, but all together may
    /// have logged more than a record takes.
    pub fn summaries(&self) -> (BTreeMap<String, Statistics>, u64) {
        let (mut summaries, mut bytes, mut more) = (BTreeMap::new(), 0, 0);
        for (name, statistics) in self.names.iter().zip(&self.metrics) {
            let Some(statistics) = statistics else { continue };
            bytes += name.len();
            if summaries.len() < MOST_METRICS && bytes <= MOST_NAME_BYTES {
                summaries.insert(name.clone(), statistics.clone());
            } else {
                more += 1;
            }
        }
        (summaries, more)
    }
}

/// Keeps a value under its name, in the place of a former one; how many there was no room for: 1 or 0.
fn put<T>(kept: &mut BTreeMap<String, T>, most: usize, name: String, value: T) -> u64 {
    if kept.len() >= most && !kept.contains_key(&name) {
        return 1;
    }
    kept.insert(name, value);
    0
}

/// The journals of a run's children, and their sizes by now.
///
/// # Errors
/// When they can't be listed.
pub fn children(journal: &dyn Journal, id: &str) -> Result<Vec<(u32, u64)>> {
    let parts = journal.parts(id)?;
    Ok(parts.into_iter().filter(|part| part.number != 0).map(|part| (part.number, part.size)).collect())
}

/// Which number a metric has among all, for each process's own number of it.
#[derive(Default)]
struct Numbers {
    by_name: HashMap<String, u32>,
    of_process: HashMap<u32, Vec<Option<u32>>>,
}

impl Numbers {
    fn translate(&mut self, state: &mut State, process: u32, event: &mut Event<'_>) {
        match event {
            Event::Metric { number, name } => *number = self.named(state, process, *number, name),
            Event::Measured { measurements, .. } => {
                for measurement in measurements {
                    let own = measurement.metric;
                    let known = self.of_process.get(&process).and_then(|known| *known.get(own as usize)?);
                    measurement.metric = match known {
                        Some(number) => number,
                        // What named it was damaged.
                        None => self.named(state, process, own, &placeholder(own as usize)),
                    };
                }
            }
            _ => {}
        }
    }

    fn named(&mut self, state: &mut State, process: u32, own: u32, name: &str) -> u32 {
        let number = match self.by_name.get(name) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(state.names.len()).unwrap_or(u32::MAX);
                state.names.push(name.to_owned());
                state.metrics.push(None);
                self.by_name.insert(name.to_owned(), number);
                number
            }
        };
        let known = self.of_process.entry(process).or_default();
        if known.len() <= own as usize {
            known.resize(own as usize + 1, None);
        }
        known[own as usize] = Some(number);
        number
    }
}

/// What a metric without a name is called.
fn placeholder(number: usize) -> String {
    format!("metric {number}")
}
