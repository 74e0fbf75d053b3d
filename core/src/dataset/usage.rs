//! What data a run had, and what of it the script used.
//!
//! A run must not wait for its data to be read. So when it begins, files are looked at and hardly read: what has not changed
//! since it was last hashed is known. What can't be told so cheaply is hashed when the run ends, up to about a second of work.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Dataset, Origin, each, place_of};
use crate::ports::{DataFacts, DataKind, DataLimits, Ports};
use crate::suggest;

/// Datasets that an experiment lists.
const MOST: usize = 300;
/// Bytes that they take in its record.
const MOST_BYTES: usize = 256 << 10;
/// Bytes that a record takes for one beyond its description: indentation, state.
const LINES: usize = 400;
/// Files looked at when a run begins, all datasets taken together: about 20 ms of work.
const FILES_AT_START: u64 = 10_000;
/// Bytes read when a run begins: about 30 ms of work, and only where data has changed.
const BYTES_AT_START: u64 = 32 << 20;
/// Bytes read when a run ends: about a second of work.
const BYTES_AT_END: u64 = 512 << 20;

/// How a run's data stood towards what was recorded of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is what was added.
    Unchanged,
    /// It is something else, by its digest.
    Changed,
    /// It may be something else: telling would have cost too much.
    Unhashed,
    /// Nobody looked: there are too many files, and the script did not say that it uses them.
    Unchecked,
    /// It was not there.
    Missing,
}

/// A dataset as a run had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// File or folder.
    pub kind: DataKind,
    /// Of the content that the run had; none where that is not known.
    pub digest: Option<String>,
    /// As it was when the dataset was last added; none when that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
    /// Bytes of all files.
    pub size: u64,
    /// How many files and links.
    pub files: u64,
    /// Where it came from.
    pub source: Origin,
    /// How it stood.
    pub state: State,
    /// Whether the script said that it uses it.
    pub used: bool,
}

impl Usage {
    /// The digest to bring back: what the run had, else the nearest to it that is known.
    pub fn best_digest(&self) -> Option<&str> {
        self.digest.as_deref().or(self.recorded.as_deref())
    }

    fn of(dataset: &Dataset, used: bool) -> Self {
        Self {
            kind: dataset.kind,
            digest: None,
            recorded: Some(dataset.digest.clone()),
            size: dataset.size,
            files: dataset.files,
            source: dataset.source.clone(),
            state: State::Unchecked,
            used,
        }
    }

    /// Takes in what was found at its place.
    fn settle(&mut self, found: Option<DataFacts>) {
        let recorded = self.recorded.take().or_else(|| self.digest.take());
        let Some(DataFacts { kind, size, files, digest }) = found else {
            (self.state, self.digest, self.recorded) = (State::Missing, None, recorded);
            return;
        };
        self.state = match &digest {
            None => State::Unhashed,
            Some(digest) if Some(digest) == recorded.as_ref() && kind == self.kind => State::Unchanged,
            Some(_) => State::Changed,
        };
        if self.state != State::Unhashed {
            (self.kind, self.size, self.files) = (kind, size, files);
        }
        (self.recorded, self.digest) = if self.state == State::Unchanged { (None, digest) } else { (recorded, digest) };
    }
}

/// The project's datasets as a run that begins finds them, by name. Never fails: what can't be told is told so, and warned of.
pub fn at_start(ports: &Ports) -> BTreeMap<String, Usage> {
    let mut usages = BTreeMap::new();
    let datasets = each(ports).unwrap_or_else(|failure| vec![Err(failure)]);
    let (mut files, mut bytes, mut room) = (FILES_AT_START, BYTES_AT_START, MOST_BYTES);
    let mut changed = Vec::new();
    for dataset in datasets {
        let dataset = match dataset {
            Ok(dataset) => dataset,
            Err(failure) => {
                ports.progress.warn(&failure.message, &failure.hints);
                continue;
            }
        };
        let takes = serde_json::to_string(&dataset).map_or(0, |text| text.len() + LINES);
        room = room.saturating_sub(takes);
        if usages.len() >= MOST || room == 0 {
            let count = usages.len();
            ports
                .progress
                .warn(&format!("There is room for {count} datasets in an experiment: the others are not in it"), &[]);
            break;
        }
        let mut usage = Usage::of(&dataset, false);
        if dataset.files <= files {
            files -= dataset.files;
            // What is known costs nothing; only what is not is read.
            look(ports, &dataset, &mut usage, DataLimits { files: FILES_AT_START, bytes: 0 });
            if usage.state == State::Unhashed && bytes > 0 {
                look(ports, &dataset, &mut usage, DataLimits { files: FILES_AT_START, bytes });
                bytes = bytes.saturating_sub(usage.size);
            }
        }
        if usage.state == State::Changed {
            changed.push((dataset.name.clone(), usage.clone()));
        }
        usages.insert(dataset.name, usage);
    }
    warn_changed(ports, &changed);
    usages
}

/// Adds datasets that an experiment had before it was resumed and that are not there any more, as far as there is room; how many there was no
/// room for.
pub fn add_former(usages: &mut BTreeMap<String, Usage>, former: BTreeMap<String, Usage>) -> u64 {
    let takes =
        |name: &str, usage: &Usage| serde_json::to_string(usage).map_or(0, |text| name.len() + text.len() + LINES);
    let mut room = usages.iter().fold(MOST_BYTES, |room, (name, usage)| room.saturating_sub(takes(name, usage)));
    let mut more = 0;
    for (name, usage) in former {
        if usages.contains_key(&name) {
            continue;
        }
        room = room.saturating_sub(takes(&name, &usage));
        if usages.len() >= MOST || room == 0 {
            more += 1;
        } else {
            usages.insert(name, usage);
        }
    }
    more
}

/// A dataset that the script uses, looked at whole, and now: the script may have changed it since the run began.
pub fn at_use(ports: &Ports, dataset: &Dataset, former: Option<&Usage>) -> Usage {
    let mut usage = Usage::of(dataset, true);
    look(ports, dataset, &mut usage, DataLimits { files: u64::MAX, bytes: BYTES_AT_START });
    if usage.state == State::Changed && former.is_none_or(|former| former.state != State::Changed) {
        warn_changed(ports, &[(dataset.name.clone(), usage.clone())]);
    }
    usage
}

/// What could not be told before, as far as a second of work tells it. Answers those that are told now.
pub fn at_end(ports: &Ports, usages: &BTreeMap<String, Usage>) -> BTreeMap<String, Usage> {
    let mut told = BTreeMap::new();
    let (mut changed, mut unknown) = (Vec::new(), Vec::new());
    let mut bytes = BYTES_AT_END;
    for (name, usage) in usages.iter().filter(|(_, usage)| usage.state == State::Unhashed) {
        let Ok(Some(place)) = place_of(ports, name, &usage.source) else { continue };
        let mut now = usage.clone();
        // What can't be read was warned of when it was first looked at.
        let Ok(found) = ports.data.measure(&place, Some(DataLimits { files: u64::MAX, bytes })) else { continue };
        if let Some(found) = found.as_ref().filter(|found| found.digest.is_some()) {
            bytes = bytes.saturating_sub(found.size);
        }
        now.settle(found);
        match now.state {
            State::Changed => changed.push((name.clone(), now.clone())),
            State::Unhashed => unknown.push(name.clone()),
            _ => {}
        }
        if now != *usage {
            told.insert(name.clone(), now);
        }
    }
    warn_changed(ports, &changed);
    if !unknown.is_empty() {
        let names = list(&unknown);
        ports.progress.warn(
            &format!("The data of {names} may have changed since it was added, and is too large to be hashed by a run"),
            &[format!(
                "Run `au data add {}` after you change it: what has not changed since costs nothing",
                commands(&unknown)
            )],
        );
    }
    told
}

fn look(ports: &Ports, dataset: &Dataset, usage: &mut Usage, limits: DataLimits) {
    let found = match dataset.place(ports) {
        Ok(None) => Ok(None),
        Ok(Some(place)) => ports.data.measure(&place, Some(limits)).map_err(Into::into),
        Err(failure) => Err(failure),
    };
    match found {
        Ok(found) => usage.settle(found),
        Err(failure) => {
            usage.state = State::Unhashed;
            ports
                .progress
                .warn(&format!("The data of `{}` can't be read: {}", dataset.name, failure.message), &failure.hints);
        }
    }
}

/// Of data whose content is not what its description names. It may be in the store all the same, as after going back from an
/// experiment.
fn warn_changed(ports: &Ports, changed: &[(String, Usage)]) {
    let is_kept = |usage: &Usage| {
        let digest = usage.digest.as_deref();
        digest.is_some_and(|digest| ports.data.can_restore(usage.kind, digest).unwrap_or(false))
    };
    let (kept, lost): (Vec<_>, Vec<_>) = changed.iter().partition(|(_, usage)| is_kept(usage));
    let names = |changed: Vec<&(String, Usage)>| changed.into_iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (kept, lost) = (names(kept), names(lost));
    if !lost.is_empty() {
        ports.progress.warn(
            &format!(
                "The data of {} has changed since it was added: the experiment notes its digest, and does not keep it",
                list(&lost)
            ),
            &[format!("Keep this version of it: `au data add {}`", commands(&lost))],
        );
    }
    if !kept.is_empty() {
        ports.progress.warn(
            &format!(
                "The data of {} is another version than the one described: the experiment has this one",
                list(&kept)
            ),
            &[
                format!("Bring back the one described: `au data restore {}`", commands(&kept)),
                format!("Or describe this one: `au data add {}`", commands(&kept)),
            ],
        );
    }
}

/// As they are given to a command.
fn commands(names: &[String]) -> String {
    names.iter().map(|name| suggest::word(name)).collect::<Vec<_>>().join(" ")
}

fn list(names: &[String]) -> String {
    suggest::enumerate(&names.iter().map(String::as_str).collect::<Vec<_>>())
}
