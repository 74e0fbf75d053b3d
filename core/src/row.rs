//! One experiment as people compare it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::dataset::usage::{State as DataState, Usage};
use crate::journal::fold::State;
use crate::metrics::Number;
use crate::query::subject::Naming;
use crate::query::{Scalar, Subject};
use crate::record::{Model, Record, Status};
use crate::time;

/// One experiment as people compare it. `docs/record-format.md` documents the JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The experiment's id.
    pub id: String,
    /// A name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The experiment that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What it belongs to, together with others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
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
    /// Milliseconds from its beginning to its end in which it did not run.
    #[serde(skip)]
    pub paused: u64,
    /// Whether it goes on, though it was saved before.
    #[serde(skip)]
    pub goes_on: bool,
    /// The data that it had, for conditions to ask for.
    #[serde(skip)]
    pub datasets: Vec<Content>,
    /// The models that it saved, likewise.
    #[serde(skip)]
    pub models: Vec<Content>,
}

/// Data or a model: its name, and its digest where known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name.
    pub name: String,
    /// `sha256:…`
    pub digest: Option<String>,
}

impl Row {
    /// Seconds from start to end in which it ran; none where either is no time.
    pub(crate) fn duration(started: &str, ended: Option<&str>, paused: u64) -> Option<f64> {
        let (start, end) = (time::parse(started)?, time::parse(ended?)?);
        #[expect(clippy::cast_precision_loss, reason = "no run lasts 2^53 milliseconds")]
        Some(end.saturating_sub(start).saturating_sub(paused) as f64 / 1000.0)
    }

    pub(crate) fn of_record(record: Record) -> Self {
        let paused = record.paused();
        Self {
            duration: Self::duration(&record.started, Some(&record.ended), paused),
            paused,
            goes_on: false,
            id: record.id,
            name: record.name,
            parent: record.parent,
            group: record.group,
            tags: record.tags,
            status: record.status,
            started: record.started,
            ended: Some(record.ended),
            script: record.code.script,
            problem: record.problem,
            parameters: record.parameters.into_iter().map(|(name, parameter)| (name, parameter.value)).collect(),
            metrics: record.metrics.into_iter().map(|(name, metric)| (name, metric.last.to_json())).collect(),
            datasets: datasets(record.datasets),
            models: models(record.models),
        }
    }

    pub(crate) fn of_state(state: State, status: Status) -> Option<Self> {
        let (metrics, _) = state.summaries();
        let started = state.started?;
        Some(Self {
            paused: 0,
            goes_on: started.resumed.is_some() && state.ending.is_none(),
            id: started.id,
            name: started.name,
            parent: started.parent,
            group: state.group,
            tags: state.tags,
            status,
            started: time::format(started.time),
            ended: None,
            duration: None,
            script: started.script,
            problem: None,
            parameters: state.parameters.into_iter().map(|(name, set)| (name, set.value)).collect(),
            metrics: metrics.into_iter().map(|(name, metric)| (name, metric.last.to_json())).collect(),
            datasets: datasets(state.datasets),
            models: models(state.models),
        })
    }
}

/// Data that was missing, the run did not have.
fn datasets(used: BTreeMap<String, Usage>) -> Vec<Content> {
    let had = used.into_iter().filter(|(_, usage)| usage.state != DataState::Missing);
    had.map(|(name, usage)| Content { name, digest: usage.digest }).collect()
}

fn models(saved: BTreeMap<String, Model>) -> Vec<Content> {
    saved.into_iter().map(|(name, model)| Content { name, digest: Some(model.digest) }).collect()
}

impl Subject for Row {
    fn metric(&self, name: &str) -> Option<Scalar<'_>> {
        self.metrics.get(name).and_then(Number::from_json).map(Scalar::Number)
    }

    fn parameter(&self, name: &str) -> Option<Scalar<'_>> {
        let value = self.parameters.get(name)?;
        Scalar::of_json(value)
    }

    fn each_name(&self, visit: &mut dyn FnMut(Naming, &str)) {
        self.metrics.keys().for_each(|name| visit(Naming::Metric, name));
        self.parameters.keys().for_each(|name| visit(Naming::Parameter, name));
    }

    fn id(&self) -> Cow<'_, str> {
        (&self.id).into()
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn parent(&self) -> Option<&str> {
        self.parent.as_deref()
    }

    fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    fn each_tag(&self, visit: &mut dyn FnMut(&str)) {
        self.tags.iter().for_each(|tag| visit(tag));
    }

    fn status(&self) -> Status {
        self.status
    }

    fn started(&self) -> Option<u64> {
        time::parse(&self.started)
    }

    fn ended(&self) -> Option<u64> {
        time::parse(self.ended.as_deref()?)
    }

    fn paused(&self) -> u64 {
        self.paused
    }

    fn script(&self) -> Option<&str> {
        self.script.as_deref()
    }

    fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn each_dataset(&self, visit: &mut dyn FnMut(&str, Option<&str>)) {
        self.datasets.iter().for_each(|Content { name, digest }| visit(name, digest.as_deref()));
    }

    fn each_model(&self, visit: &mut dyn FnMut(&str, Option<&str>)) {
        self.models.iter().for_each(|Content { name, digest }| visit(name, digest.as_deref()));
    }
}
