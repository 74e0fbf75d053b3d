//! What an experiment leaves behind: `record.json`, schema `aurum.record/1`. `docs/record-format.md` documents it for
//! people who read it with git alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::dataset::usage::Usage;
use crate::error::{Failure, FailureKind, Result};
use crate::metrics::{Number, Statistics};
use crate::parameters::Source;
use crate::ports::{MachineFacts, Origin};
use crate::reads::Read;
use crate::snapshot::LeftOut;
use crate::{time, value};

/// The schema that this version writes.
pub const SCHEMA: &str = "aurum.record/1";
/// Bytes of a record at most.
pub const LARGEST: usize = 1 << 20;

/// How a run stands, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A living process works on it. Never in a record.
    Running,
    /// It came to its end.
    Finished,
    /// An exception ended it.
    Failed,
    /// Ctrl-C ended it.
    Interrupted,
    /// Its process died without a word.
    Killed,
    /// Its process is gone and nobody has finished it yet. Never in a record.
    Lost,
}

impl Status {
    /// The reverse of its display; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Running, Self::Finished, Self::Failed, Self::Interrupted, Self::Killed, Self::Lost];
        all.into_iter().find(|status| status.name() == text)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Killed => "killed",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a model's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// `sha256:…`
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// Where the bytes are of a file kept with an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// `sha256:…`
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// What the script had to say of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// RFC 3339, UTC.
    pub at: String,
    /// What it said.
    pub text: String,
}

/// A model of another experiment that this one loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The experiment that saved it.
    pub experiment: String,
    /// Its name there.
    pub model: String,
    /// `sha256:…`
    pub digest: String,
}

/// A stretch of an experiment that went on after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The commit that the experiment was saved as then.
    pub commit: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub ended: String,
    /// How it ended.
    pub status: Status,
    /// The exception that ended it, and the first line of its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether the next one had the same code; none where that could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_code: Option<bool>,
}

/// The code that ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// The commit that was checked out; none on a branch without one.
    pub head: Option<String>,
    /// The branch; none when HEAD was detached.
    pub branch: Option<String>,
    /// Whether the working tree was other than that commit.
    pub dirty: bool,
    /// Whether the commit of the experiment holds all the code there was.
    pub reproducible: bool,
    /// What it does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// How many more were left out than are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out_more: u64,
    /// The script, relative to the project's root where it lies below it.
    pub script: Option<String>,
}

/// How the script was called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// What followed the script's name, secrets taken out.
    pub arguments: Vec<String>,
    /// The working folder relative to the root, empty at the root; none outside.
    pub directory: Option<String>,
}

/// A parameter and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its value.
    pub value: Value,
    /// Who gave it.
    pub source: Source,
}

/// The language and its packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Such as `CPython`.
    pub implementation: String,
    /// Such as `3.11.7`.
    pub version: String,
    /// How many packages requirements.txt names.
    pub packages: u64,
    /// `sha256:…` of requirements.txt.
    pub requirements: String,
    /// Where packages come from that are from no index, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, Origin>,
}

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: String,
    /// The experiment's id.
    pub id: String,
    /// A name given by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The experiment that this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What it belongs to, together with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// How it ended.
    pub status: Status,
    /// The exception that ended it, and the first line of its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// RFC 3339, UTC.
    pub started: String,
    /// When the latest stretch began, of an experiment that went on after it was saved. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<String>,
    /// RFC 3339, UTC.
    pub ended: String,
    /// The stretches before the latest, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<Stretch>,
    /// The code that ran.
    pub code: Code,
    /// How it was called.
    pub command: Command,
    /// By name.
    pub parameters: BTreeMap<String, Parameter>,
    /// By name.
    #[serde(serialize_with = "write_metrics", deserialize_with = "read_metrics")]
    pub metrics: BTreeMap<String, Statistics>,
    /// How many more metrics the children of the run logged than a record takes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub metrics_more: u64,
    /// By name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Model>,
    /// Files that were kept with it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, Artifact>,
    /// In the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// The data that the run had, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub datasets: BTreeMap<String, Usage>,
    /// What it was built on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// What it read past the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Read>,
    /// Whether it read more than is listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_cut: bool,
    /// None where no script ran.
    pub environment: Option<Environment>,
    /// The computer.
    pub machine: MachineFacts,
    /// The version of Aurum that wrote the record.
    pub aurum: String,
}

impl Record {
    /// The file's content: sorted keys, two spaces of indentation.
    ///
    /// # Errors
    /// When the record is larger than [`LARGEST`]; the limits at each call see to it that it never is.
    pub fn to_text(&self) -> Result<String> {
        let unwritable =
            |why: String| Failure::new(FailureKind::Unreadable, format!("The record of `{}` {why}", self.id));
        let value = serde_json::to_value(self).map_err(|error| unwritable(format!("can't be written: {error}")))?;
        let text = value::canonical(&value);
        if text.len() > LARGEST {
            return Err(unwritable(format!("would take {} bytes, and {LARGEST} are the most", text.len())));
        }
        Ok(text)
    }

    /// Milliseconds between its beginning and its end in which it did not run.
    pub fn paused(&self) -> u64 {
        let began = self.stretches.iter().skip(1).map(|stretch| &stretch.started).chain(&self.resumed);
        let pauses = self
            .stretches
            .iter()
            .zip(began)
            .filter_map(|(stretch, began)| Some(time::parse(began)?.saturating_sub(time::parse(&stretch.ended)?)));
        pauses.sum()
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// `Unreadable` when it is too large, no record, or of a newer schema.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let unreadable = |why: String| Failure::new(FailureKind::Unreadable, format!("The record {why}"));
        if bytes.len() > LARGEST {
            return Err(unreadable(format!("takes {} bytes, and {LARGEST} are the most", bytes.len())));
        }
        let record: Self =
            serde_json::from_slice(bytes).map_err(|error| unreadable(format!("can't be read: {error}")))?;
        if record.schema != SCHEMA {
            return Err(unreadable(format!("is of the schema `{}`", record.schema))
                .hint("Update Aurum to read it: `pip install --upgrade aurum`"));
        }
        Ok(record)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// [`Statistics`] as the record has them: numbers that JSON lacks are strings.
#[derive(Serialize, Deserialize)]
struct StatisticsText {
    last: Value,
    step: u64,
    min: Value,
    max: Value,
    count: u64,
}

fn write_metrics<S: Serializer>(metrics: &BTreeMap<String, Statistics>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().map(|(name, statistics)| {
        let Statistics { last, step, min, max, count } = statistics;
        let text =
            StatisticsText { last: last.to_json(), step: *step, min: min.to_json(), max: max.to_json(), count: *count };
        (name, text)
    }))
}

fn read_metrics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Statistics>, D::Error> {
    let texts = BTreeMap::<String, StatisticsText>::deserialize(deserializer)?;
    texts
        .into_iter()
        .map(|(name, text)| {
            let number = |value: &Value| {
                Number::from_json(value)
                    .ok_or_else(|| D::Error::custom(format!("metric `{name}` is no number: {value}")))
            };
            let statistics = Statistics {
                last: number(&text.last)?,
                step: text.step,
                min: number(&text.min)?,
                max: number(&text.max)?,
                count: text.count,
            };
            Ok((name, statistics))
        })
        .collect()
}
