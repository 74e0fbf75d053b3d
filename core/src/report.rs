//! The files and the message of an experiment's commit.

use serde_json::{Value, json};

use crate::journal::event::{Ending, Measurement, Started};
use crate::journal::fold::State;
use crate::record::{Code, Command, Environment, Note, Parameter, Record, SCHEMA, Status};
use crate::snapshot::Reason;
use crate::{digest, layout, requirements, time, value};

/// Parameters and metrics that the subject and body of a commit name at most.
const NAMED: usize = 20;
/// What the metrics of the computer begin with: they say nothing of what came of a run.
const SYSTEM: &str = "system/";

/// The record of a run that has ended.
pub fn record(started: &Started, ending: &Ending, state: &State, requirements: &str) -> Record {
    let incomplete =
        |reason| matches!(reason, Reason::TooBig | Reason::TooMany | Reason::Repository | Reason::Unreadable);
    let (metrics, metrics_more) = state.summaries();
    Record {
        schema: SCHEMA.to_owned(),
        id: started.id.clone(),
        name: started.name.clone(),
        parent: started.parent.clone(),
        group: state.group.clone(),
        tags: state.tags.clone(),
        status: ending.status,
        problem: ending.problem.as_ref().map(|problem| problem.summary.chars().take(1_000).collect()),
        started: time::format(started.time),
        resumed: started.resumed.as_ref().map(|resumed| time::format(resumed.time)),
        stretches: state.stretches.clone(),
        ended: time::format(ending.time),
        code: Code {
            head: started.head.clone(),
            branch: started.branch.clone(),
            dirty: started.dirty,
            reproducible: started.left_out_more == 0 && !started.left_out.iter().any(|file| incomplete(file.reason)),
            left_out: started.left_out.clone(),
            left_out_more: started.left_out_more,
            script: started.script.clone(),
        },
        command: Command { arguments: started.arguments.clone(), directory: started.directory.clone() },
        parameters: state
            .parameters
            .iter()
            .map(|(name, set)| (name.clone(), Parameter { value: set.value.clone(), source: set.source }))
            .collect(),
        metrics,
        metrics_more,
        models: state.models.clone(),
        artifacts: state.artifacts.clone(),
        notes: state.notes.iter().map(|(time, text)| Note { at: time::format(*time), text: text.clone() }).collect(),
        datasets: state.datasets.clone(),
        inputs: state.inputs.clone(),
        reads: state.reads.list().to_vec(),
        reads_cut: state.reads.cut,
        environment: started.interpreter.as_ref().map(|(implementation, version)| Environment {
            implementation: implementation.clone(),
            version: version.clone(),
            packages: state.packages.len() as u64,
            requirements: digest::sha256(requirements.as_bytes()),
            sources: requirements::sources(&state.packages),
        }),
        machine: started.machine.clone(),
        aurum: started.version.clone(),
    }
}

/// The record of a run that is not saved yet, as far as it goes. Its end is its last sign of life.
pub fn unfinished(started: &Started, state: &State, status: Status) -> Record {
    let ending = Ending::new(status, state.last_time, None);
    record(started, &ending, state, &requirements::text(&state.packages))
}

/// The commit's message: what people see in `git log`.
pub fn message(record: &Record) -> String {
    let script = record.code.script.as_deref().unwrap_or("experiment");
    let metrics = || {
        let own = record.metrics.iter().filter(|(name, _)| !name.starts_with(SYSTEM));
        own.map(|(name, metric)| format!("{name}={}", value::display(&metric.last.to_json())))
    };
    let mut subject = format!("{script} {}", record.status);
    let summary = metrics().take(3).collect::<Vec<_>>().join(", ");
    if !summary.is_empty() {
        subject = format!("{subject}: {summary}");
    }
    let mut message = line(&subject, 200);
    if let Some(problem) = &record.problem {
        message = format!("{message}\n{}", line(problem, 200));
    }
    let parameters =
        record.parameters.iter().map(|(name, parameter)| format!("{name}={}", value::display(&parameter.value)));
    let datasets = record.datasets.iter().map(|(name, usage)| {
        let digest =
            usage.digest.as_deref().map_or_else(|| "not known".to_owned(), |digest| digest.chars().take(19).collect());
        format!("{name} {digest}{}", if usage.used { " used" } else { "" })
    });
    for (title, items) in [
        ("Parameters", parameters.take(NAMED).collect::<Vec<_>>()),
        ("Metrics", metrics().take(NAMED).collect()),
        ("Data", datasets.take(NAMED).collect()),
    ] {
        if !items.is_empty() {
            message = format!("{message}\n{title}:\n");
            for item in items {
                message = format!("{message}  {}", line(&item, 200));
            }
        }
    }
    format!("{message}\nExperiment: {}\nTag: {}\n", record.id, layout::tag(&record.id))
}

/// One line of at most so many characters, and its end.
fn line(text: &str, most: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    line.push('\n');
    line
}

/// `metrics.jsonl`: one object a value, in the order of logging.
pub(crate) struct MetricLines {
    /// Names as JSON, by number, escaped once.
    names: Vec<String>,
    /// Which stretch of the experiment they are of.
    stretch: u32,
}

impl MetricLines {
    /// Of a stretch, 0 for the first.
    pub(crate) fn of(stretch: u32) -> Self {
        Self { names: Vec::new(), stretch }
    }

    /// One line, with its end; none for a value whose metric has no name.
    pub(crate) fn line(
        &mut self,
        names: &[String],
        process: u32,
        elapsed: u64,
        measurement: &Measurement,
    ) -> Option<String> {
        let known = self.names.len();
        self.names.extend(names[known..].iter().map(|name| Value::from(name.as_str()).to_string()));
        let name = self.names.get(measurement.metric as usize)?;
        let Measurement { step, value, .. } = measurement;
        let process = if process == 0 { String::new() } else { format!("\"process\":{process},") };
        let stretch = if self.stretch == 0 { String::new() } else { format!("\"stretch\":{},", self.stretch) };
        let (seconds, milliseconds) = (elapsed / 1000, elapsed % 1000);
        Some(format!(
            "{{\"metric\":{name},{process}\"step\":{step},{stretch}\"time\":{seconds}.{milliseconds:03},\"value\":{}}}\n",
            json!(value.to_json())
        ))
    }
}
