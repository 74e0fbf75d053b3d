//! One experiment whole.

mod sections;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::dataset::Origin;
use super::unexpected;
use crate::Failure;

/// A record with its commit beside, as far as it is shown. `--json` has all of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Record {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    status: String,
    #[serde(default)]
    problem: Option<String>,
    started: String,
    #[serde(default)]
    resumed: Option<String>,
    #[serde(default)]
    ended: Option<String>,
    #[serde(default)]
    stretches: Vec<Stretch>,
    #[serde(default)]
    commit: Option<String>,
    #[serde(default)]
    tag: Option<String>,
    code: Code,
    command: Command,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    metrics: BTreeMap<String, Metric>,
    #[serde(default)]
    datasets: BTreeMap<String, Usage>,
    #[serde(default)]
    models: BTreeMap<String, Kept>,
    #[serde(default)]
    artifacts: BTreeMap<String, Kept>,
    #[serde(default)]
    notes: Vec<Note>,
    #[serde(default)]
    inputs: Vec<Input>,
    #[serde(default)]
    reads: Vec<Reading>,
    #[serde(default)]
    reads_cut: bool,
    #[serde(default)]
    environment: Option<Environment>,
    machine: Machine,
    aurum: String,
}

/// A stretch of an experiment that went on after it.
#[derive(Clone, Debug, Deserialize)]
struct Stretch {
    commit: String,
    started: String,
    ended: String,
    status: String,
    #[serde(default)]
    same_code: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
struct Code {
    head: Option<String>,
    branch: Option<String>,
    dirty: bool,
    reproducible: bool,
    #[serde(default)]
    left_out: Vec<LeftOut>,
    #[serde(default)]
    left_out_more: usize,
    script: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct LeftOut {
    path: String,
    size: u64,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Command {
    arguments: Vec<String>,
    directory: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Parameter {
    value: Value,
    source: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Metric {
    last: Value,
    min: Value,
    max: Value,
    count: u64,
    step: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Usage {
    digest: Option<String>,
    #[serde(default)]
    recorded: Option<String>,
    size: u64,
    source: Origin,
    state: String,
    used: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Kept {
    digest: String,
    size: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Note {
    at: String,
    text: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Input {
    experiment: String,
    model: String,
    digest: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Reading {
    through: String,
    #[serde(default)]
    storage: Option<String>,
    path: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    digest: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Environment {
    implementation: String,
    version: String,
    packages: u64,
    #[serde(default)]
    sources: BTreeMap<String, Source>,
}

/// Where a package comes from that is from no index.
#[derive(Clone, Debug, Deserialize)]
struct Source {
    kind: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    commit: Option<String>,
    #[serde(default)]
    branch: Option<String>,
    #[serde(default)]
    dirty: Option<bool>,
    #[serde(default)]
    own: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Machine {
    system: String,
    release: String,
    architecture: String,
    processors: u32,
    memory: u64,
    #[serde(default)]
    processor: Option<String>,
    #[serde(default)]
    disk: Option<Disk>,
    #[serde(default)]
    gpus: Vec<Gpu>,
    #[serde(default)]
    gpu_driver: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Disk {
    free: u64,
    total: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Gpu {
    name: String,
    memory: u64,
}

impl Record {
    pub(crate) fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(|error| unexpected(&error))
    }
}
