//! What a journal tells: one event a frame.
//!
//! Rare events are JSON. Metric values are packed, since there may be millions: LEB128 variable-length integers, doubles
//! as 8 little-endian bytes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::usage::Usage;
use crate::error::{Failure, FailureKind, Result};
use crate::metrics::{MOST_METRICS, Number};
use crate::parameters::Source;
use crate::ports::{MachineFacts, Package};
use crate::reads::Read;
use crate::record::{Artifact, Input, Model, Status};
use crate::snapshot::LeftOut;

/// All that is fixed when a run starts, so that finishing it twice gives the same commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The experiment's id.
    pub id: String,
    /// A name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The experiment that this one is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Milliseconds since 1970: of an experiment that goes on, when it first began.
    pub time: u64,
    /// What it goes on with, if it was saved before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
    /// Minutes east of UTC.
    pub offset_minutes: i16,
    /// Who commits: name and address.
    pub identity: (String, String),
    /// HEAD's commit.
    pub head: Option<String>,
    /// The branch, none when detached.
    pub branch: Option<String>,
    /// HEAD's tree.
    pub head_tree: Option<String>,
    /// The working tree as it stood.
    pub tree: String,
    /// Whether that is other than HEAD's tree.
    pub dirty: bool,
    /// What is not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// How many more there were than `left_out` lists.
    #[serde(default)]
    pub left_out_more: u64,
    /// The script, relative to the root where it lies below it.
    pub script: Option<String>,
    /// The command line after the script, secrets taken out.
    pub arguments: Vec<String>,
    /// The working folder relative to the root.
    pub directory: Option<String>,
    /// The interpreter: implementation and version.
    pub interpreter: Option<(String, String)>,
    /// The computer.
    pub machine: MachineFacts,
    /// The version of Aurum.
    pub version: String,
}

impl Started {
    /// The commit that the run's takes the place of.
    pub fn goes_on_from(&self) -> Option<String> {
        self.resumed.as_ref().map(|resumed| resumed.commit.clone())
    }
}

/// That a run goes on with an experiment that was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// As which commit.
    pub commit: String,
    /// When it went on, in milliseconds since 1970.
    pub time: u64,
    /// Whether the code is that commit's; none where that could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_code: Option<bool>,
}

/// A parameter as the run got it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterSet {
    /// Its name.
    pub name: String,
    /// Its value, secrets taken out.
    pub value: Value,
    /// Where the value came from.
    pub source: Source,
}

/// One value of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The metric's number within the run.
    pub metric: u32,
    /// Its step.
    pub step: u64,
    /// Its value.
    pub value: Number,
}

/// How a run ended, fixed when its finishing begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// As the record says it.
    pub status: Status,
    /// Milliseconds since 1970.
    pub time: u64,
    /// What it died of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The journals of children that go into the commit: their numbers, and how many bytes of each. A child that is still
    /// alive goes on writing behind that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<(u32, u64)>,
    /// The commit that this run was saved as before: it was taken for dead, or one of its children outlived its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
}

impl Ending {
    /// An end of which no more is known yet.
    pub fn new(status: Status, time: u64, problem: Option<Problem>) -> Self {
        Self { status, time, problem, children: Vec::new(), supersedes: None }
    }
}

/// The first event of a child's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The experiment's id.
    pub id: String,
    /// Milliseconds since the run's start.
    pub elapsed: u64,
}

/// What a failed run died of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The exception and the first line of its message.
    pub summary: String,
    /// All there is to say of it.
    pub traceback: String,
}

/// One event of a run's life.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// The first event.
    Started(Box<Started>),
    /// What the script could import.
    Packages(Vec<Package>),
    /// Parameters set; a later one of the same name replaces the earlier.
    Parameters(Vec<ParameterSet>),
    /// A metric gets a number.
    Metric {
        /// Counting from 0.
        number: u32,
        /// Its name.
        name: Cow<'a, str>,
    },
    /// Values logged in one call.
    Measured {
        /// Milliseconds since the start.
        elapsed: u64,
        /// Each of them.
        measurements: Vec<Measurement>,
    },
    /// What the script printed.
    Output {
        /// Milliseconds since the start; none in journals of an older version.
        elapsed: Option<u64>,
        /// 1 stdout, 2 stderr.
        stream: u8,
        /// The bytes as they came.
        bytes: Cow<'a, [u8]>,
    },
    /// A model saved; a later one of the same name replaces the earlier.
    Model {
        /// Milliseconds since the start; none in journals of an older version.
        elapsed: Option<u64>,
        /// Its name.
        name: String,
        /// Where its bytes are.
        model: Model,
    },
    /// A model of another experiment loaded.
    Input {
        /// Milliseconds since the start; none in journals of an older version.
        elapsed: Option<u64>,
        /// Which one.
        input: Input,
    },
    /// Data that the run had; a later one of the same name replaces the earlier.
    Datasets(Vec<NamedUsage>),
    /// Finishing has begun: nothing is logged after this.
    Finishing(Ending),
    /// The commit is on stable storage.
    Committed(String),
    /// The tag is, too.
    Done,
    /// A child takes part in the run.
    Joined(Joined),
    /// What the script has to say of itself.
    Note {
        /// Milliseconds since the start.
        elapsed: u64,
        /// What it says.
        text: String,
    },
    /// A file kept with the experiment; a later one of the same name replaces the earlier.
    Artifact {
        /// Milliseconds since the start.
        elapsed: u64,
        /// Its name.
        name: String,
        /// Where its bytes are.
        artifact: Artifact,
    },
    /// Words to find the experiment by: they add to those before, and a group takes the place of a former one.
    Labels {
        /// Milliseconds since the start.
        elapsed: u64,
        /// Tags.
        tags: Vec<String>,
        /// What the experiment belongs to.
        group: Option<String>,
    },
    /// A file read past the project.
    Read {
        /// Milliseconds since the start.
        elapsed: u64,
        /// Which one; none where there is no room for any more.
        read: Option<Read>,
    },
}

const STARTED: u8 = 1;
const PACKAGES: u8 = 2;
const PARAMETERS: u8 = 3;
const METRIC: u8 = 4;
const MEASURED: u8 = 5;
const OUTPUT: u8 = 6;
const MODEL: u8 = 7;
const INPUT: u8 = 8;
const FINISHING: u8 = 9;
const COMMITTED: u8 = 10;
const DONE: u8 = 11;
const DATASETS: u8 = 12;
const OUTPUT_AT: u8 = 13;
const JOINED: u8 = 14;
const NOTE: u8 = 15;
const ARTIFACT: u8 = 16;
const LABELS: u8 = 17;
const READ: u8 = 20;

/// A dataset of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedUsage {
    /// What it is called.
    pub name: String,
    /// How the run had it.
    pub dataset: Usage,
}

#[derive(Serialize, Deserialize)]
struct NamedModel {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elapsed: Option<u64>,
    name: String,
    model: Model,
}

#[derive(Serialize, Deserialize)]
struct TimedInput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elapsed: Option<u64>,
    #[serde(flatten)]
    input: Input,
}

#[derive(Serialize, Deserialize)]
struct TimedNote {
    elapsed: u64,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct TimedRead {
    elapsed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read: Option<Read>,
}

#[derive(Serialize, Deserialize)]
struct NamedArtifact {
    elapsed: u64,
    name: String,
    artifact: Artifact,
}

#[derive(Serialize, Deserialize)]
struct TimedLabels {
    elapsed: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

/// What of an event in JSON says when it was.
#[derive(Default, Deserialize)]
struct Elapsed {
    #[serde(default)]
    elapsed: Option<u64>,
}

impl Event<'_> {
    /// The type byte of the frame.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Started(_) => STARTED,
            Self::Packages(_) => PACKAGES,
            Self::Parameters(_) => PARAMETERS,
            Self::Metric { .. } => METRIC,
            Self::Measured { .. } => MEASURED,
            Self::Output { elapsed: None, .. } => OUTPUT,
            Self::Output { elapsed: Some(_), .. } => OUTPUT_AT,
            Self::Model { .. } => MODEL,
            Self::Input { .. } => INPUT,
            Self::Datasets(_) => DATASETS,
            Self::Finishing(_) => FINISHING,
            Self::Committed(_) => COMMITTED,
            Self::Done => DONE,
            Self::Joined(_) => JOINED,
            Self::Note { .. } => NOTE,
            Self::Artifact { .. } => ARTIFACT,
            Self::Labels { .. } => LABELS,
            Self::Read { .. } => READ,
        }
    }

    /// Appends the frame's payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Started(started) => json(out, started),
            Self::Packages(packages) => json(out, packages),
            Self::Parameters(parameters) => json(out, parameters),
            Self::Metric { number, name } => {
                varint(out, u64::from(*number));
                out.extend_from_slice(name.as_bytes());
            }
            Self::Measured { elapsed, measurements } => {
                varint(out, *elapsed);
                for measurement in measurements {
                    measured(out, measurement.metric, measurement.step, &measurement.value);
                }
            }
            Self::Output { elapsed, stream, bytes } => {
                if let Some(elapsed) = elapsed {
                    varint(out, *elapsed);
                }
                out.push(*stream);
                out.extend_from_slice(bytes);
            }
            Self::Model { elapsed, name, model } => {
                json(out, &NamedModel { elapsed: *elapsed, name: name.clone(), model: model.clone() });
            }
            Self::Input { elapsed, input } => json(out, &TimedInput { elapsed: *elapsed, input: input.clone() }),
            Self::Datasets(datasets) => json(out, datasets),
            Self::Finishing(ending) => json(out, ending),
            Self::Committed(commit) => out.extend_from_slice(commit.as_bytes()),
            Self::Done => {}
            Self::Joined(joined) => json(out, joined),
            Self::Note { elapsed, text } => json(out, &TimedNote { elapsed: *elapsed, text: text.clone() }),
            Self::Artifact { elapsed, name, artifact } => {
                json(out, &NamedArtifact { elapsed: *elapsed, name: name.clone(), artifact: artifact.clone() });
            }
            Self::Labels { elapsed, tags, group } => {
                json(out, &TimedLabels { elapsed: *elapsed, tags: tags.clone(), group: group.clone() });
            }
            Self::Read { elapsed, read } => json(out, &TimedRead { elapsed: *elapsed, read: read.clone() }),
        }
    }
}

impl<'a> Event<'a> {
    /// Reads a frame's payload.
    ///
    /// # Errors
    /// `Unreadable` for a type or a content that this version does not know: the journal is then left for one that does.
    pub fn decode(kind: u8, payload: &'a [u8]) -> Result<Self> {
        let event = match kind {
            STARTED => from_json(payload).map(|started| Self::Started(Box::new(started))),
            PACKAGES => from_json(payload).map(Self::Packages),
            PARAMETERS => from_json(payload).map(Self::Parameters),
            METRIC => read_metric(payload),
            MEASURED => read_measured(payload),
            OUTPUT => read_output(None, payload),
            OUTPUT_AT => {
                let rest = &mut &*payload;
                read_varint(rest).and_then(|elapsed| read_output(Some(elapsed), rest))
            }
            MODEL => from_json(payload).map(|NamedModel { elapsed, name, model }| Self::Model { elapsed, name, model }),
            INPUT => from_json(payload).map(|TimedInput { elapsed, input }| Self::Input { elapsed, input }),
            DATASETS => from_json(payload).map(Self::Datasets),
            FINISHING => from_json(payload).map(Self::Finishing),
            COMMITTED => std::str::from_utf8(payload).ok().map(|commit| Self::Committed(commit.to_owned())),
            DONE => Some(Self::Done),
            JOINED => from_json(payload).map(Self::Joined),
            NOTE => from_json(payload).map(|TimedNote { elapsed, text }| Self::Note { elapsed, text }),
            ARTIFACT => from_json(payload).map(|NamedArtifact { elapsed, name, artifact }| Self::Artifact {
                elapsed,
                name,
                artifact,
            }),
            LABELS => {
                from_json(payload).map(|TimedLabels { elapsed, tags, group }| Self::Labels { elapsed, tags, group })
            }
            READ => from_json(payload).map(|TimedRead { elapsed, read }| Self::Read { elapsed, read }),
            _ => None,
        };
        event.ok_or_else(|| {
            Failure::new(
                FailureKind::Unreadable,
                format!("The journal holds an event of type {kind} that this version can't read"),
            )
            .hint("Finish the run with the version of Aurum that started it, or a newer one")
        })
    }
}

/// Appends one value of one metric to the payload of a `Measured` event.
pub fn measured(out: &mut Vec<u8>, metric: u32, step: u64, value: &Number) {
    varint(out, u64::from(metric));
    varint(out, step);
    match value {
        Number::Float(value) => {
            out.push(0);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Number::Integer(value) => {
            out.push(1);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Number::Digits(digits) => {
            out.push(2);
            varint(out, digits.len() as u64);
            out.extend_from_slice(digits.as_bytes());
        }
    }
}

/// Begins the payload of a `Measured` event, or of an `Output` event that says when it was.
pub fn begin_timed(out: &mut Vec<u8>, elapsed: u64) {
    varint(out, elapsed);
}

/// When an event was, in milliseconds since the run's start; none where it does not say.
pub fn elapsed(kind: u8, payload: &[u8]) -> Option<u64> {
    match kind {
        MEASURED | OUTPUT_AT => read_varint(&mut &*payload),
        MODEL | INPUT | JOINED | NOTE | ARTIFACT | LABELS | READ => {
            serde_json::from_slice::<Elapsed>(payload).ok()?.elapsed
        }
        _ => None,
    }
}

/// The type of a `Measured` event, for writers that pack its payload themselves.
pub const MEASURED_KIND: u8 = MEASURED;
/// The type of an `Output` event that says when it was, likewise.
pub const OUTPUT_KIND: u8 = OUTPUT_AT;

fn read_output(elapsed: Option<u64>, payload: &[u8]) -> Option<Event<'_>> {
    let (stream, bytes) = payload.split_first()?;
    Some(Event::Output { elapsed, stream: *stream, bytes: Cow::Borrowed(bytes) })
}

fn read_metric<'a>(mut payload: &'a [u8]) -> Option<Event<'a>> {
    let number = metric_number(&mut payload)?;
    Some(Event::Metric { number, name: Cow::Borrowed(std::str::from_utf8(payload).ok()?) })
}

fn read_measured<'a>(mut payload: &[u8]) -> Option<Event<'a>> {
    let rest = &mut payload;
    let elapsed = read_varint(rest)?;
    let mut measurements = Vec::new();
    while !rest.is_empty() {
        let metric = metric_number(rest)?;
        let step = read_varint(rest)?;
        let value = match take(rest, 1)?[0] {
            0 => Number::Float(f64::from_le_bytes(take(rest, 8)?.try_into().ok()?)),
            1 => Number::Integer(i64::from_le_bytes(take(rest, 8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(read_varint(rest)?).ok()?;
                Number::Digits(std::str::from_utf8(take(rest, length)?).ok()?.to_owned())
            }
            _ => return None,
        };
        measurements.push(Measurement { metric, step, value });
    }
    Some(Event::Measured { elapsed, measurements })
}

/// A number that could have been given: room is made for as many metrics.
fn metric_number(bytes: &mut &[u8]) -> Option<u32> {
    u32::try_from(read_varint(bytes)?).ok().filter(|number| (*number as usize) < MOST_METRICS)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(front)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time are what the encoding takes")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 0x80")]
    out.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    // Writing to memory can't fail, and no type here has keys that are not text.
    let _ = serde_json::to_writer(out, value);
}

fn from_json<T: for<'de> Deserialize<'de>>(payload: &[u8]) -> Option<T> {
    serde_json::from_slice(payload).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = Number> {
        prop_oneof![
            any::<f64>().prop_filter("comparable", |value| !value.is_nan()).prop_map(Number::Float),
            any::<i64>().prop_map(Number::Integer),
            "-?[1-9][0-9]{19,40}".prop_map(Number::Digits),
        ]
    }

    proptest! {
        #[test]
        fn measurements_survive(elapsed in any::<u64>(), values in proptest::collection::vec((0..MOST_METRICS as u32, any::<u64>(), number()), 0..20)) {
            let measurements: Vec<_> = values.into_iter().map(|(metric, step, value)| Measurement { metric, step, value }).collect();
            let event = Event::Measured { elapsed, measurements };
            let mut payload = Vec::new();
            event.encode(&mut payload);
            prop_assert_eq!(Event::decode(event.kind(), &payload).unwrap(), event);
        }

        #[test]
        fn garbage_does_not_panic(kind in any::<u8>(), payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Event::decode(kind, &payload);
        }
    }

    #[test]
    fn an_unknown_type_is_refused_rather_than_skipped() {
        assert_eq!(Event::decode(200, b"").unwrap_err().kind, FailureKind::Unreadable);
    }
}
