//! Models and data that go along: what the records of experiments name, by digest.

use std::collections::BTreeMap;

use super::data_remote;
use crate::catalogue::Saved;
use crate::dataset;
use crate::error::{Failure, Result};
use crate::ports::{DataKind, Freight, Object, PortResult, Ports};
use crate::project;
use crate::record::Record;
use crate::records;

/// Objects handed over in one call.
const PAGE: usize = 10_000;

/// What became of models and data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DataOutcome {
    /// There was none to go along, or none was to.
    #[default]
    None,
    /// It went.
    Carried(Carried),
    /// No data remote is set.
    LeftBehind(Freight),
}

/// What went along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The data remote's name.
    pub remote: String,
    /// What it was.
    pub freight: Freight,
}

/// Sends what these experiments name. Where no data remote is set, what the new ones name stays behind, and is weighed.
pub(super) fn send(ports: &Ports, selected: &[Saved], new: &[Saved]) -> Result<DataOutcome> {
    let Some(remote) = data_remote::chosen(ports)? else {
        let weight = total(&objects(ports, new)?, |objects| ports.exchange.weigh(objects))?;
        return Ok(if weight.objects == 0 { DataOutcome::None } else { DataOutcome::LeftBehind(weight) });
    };
    let freight = total(&objects(ports, selected)?, |objects| ports.exchange.send(&remote.url, objects))?;
    Ok(DataOutcome::Carried(Carried { remote: remote.name, freight }))
}

/// Brings what these experiments name.
pub(super) fn bring(ports: &Ports, saved: &[Saved]) -> Result<DataOutcome> {
    let Some(remote) = data_remote::chosen(ports)? else { return Ok(DataOutcome::None) };
    let freight = total(&objects(ports, saved)?, |objects| ports.exchange.bring(&remote.url, objects))?;
    Ok(DataOutcome::Carried(Carried { remote: remote.name, freight }))
}

/// Sends datasets, all without a name; with `versions`, all that each of them was. None where no data remote is set.
///
/// # Errors
/// `UnknownDataset`, and when the data remote can't be written.
pub fn send_datasets(ports: &Ports, names: &[String], versions: bool) -> Result<Option<Carried>> {
    carry_datasets(ports, names, versions, |url, objects| ports.exchange.send(url, objects))
}

/// Brings them.
///
/// # Errors
/// `UnknownDataset`, and when the data remote can't be read.
pub fn bring_datasets(ports: &Ports, names: &[String], versions: bool) -> Result<Option<Carried>> {
    carry_datasets(ports, names, versions, |url, objects| ports.exchange.bring(url, objects))
}

fn carry_datasets(
    ports: &Ports,
    names: &[String],
    versions: bool,
    mut carry: impl FnMut(&str, &[Object]) -> PortResult<Freight>,
) -> Result<Option<Carried>> {
    project::require(ports)?;
    let objects = objects_of(ports, names, versions)?;
    let Some(remote) = data_remote::chosen(ports)? else { return Ok(None) };
    let freight =
        total(&objects, |objects| carry(&remote.url, objects)).map_err(|failure| match failure.hints[..] {
            [] => failure.hint("Try again once that is mended: what has arrived is kept, and only the rest travels"),
            _ => failure,
        })?;
    Ok(Some(Carried { remote: remote.name, freight }))
}

/// What the store has to have of these datasets.
fn objects_of(ports: &Ports, names: &[String], versions: bool) -> Result<Vec<Object>> {
    let mut kinds = BTreeMap::new();
    for dataset in dataset::find(ports, names)? {
        kinds.insert(dataset.digest.clone(), dataset.kind);
        if versions {
            let versions = dataset::versions::of(ports, &dataset.name, Some(&dataset))?;
            kinds.extend(versions.into_iter().map(|version| (version.digest, version.kind)));
        }
    }
    Ok(kinds
        .into_iter()
        .filter(|(digest, _)| is_digest(digest))
        .map(|(digest, kind)| Object { digest, kind })
        .collect())
}

/// What the caller says who could not have it done.
pub(super) fn advise(failure: Failure) -> Failure {
    if failure.hints.is_empty() {
        failure.hint("Experiments were shared all the same; again once it works, only what is missing travels")
    } else {
        failure
    }
}

fn total(objects: &[Object], mut carry: impl FnMut(&[Object]) -> PortResult<Freight>) -> Result<Freight> {
    let mut total = Freight::default();
    for page in objects.chunks(PAGE) {
        let Freight { objects, bytes, absent } = carry(page)?;
        total.objects += objects;
        total.bytes += bytes;
        total.absent += absent;
    }
    Ok(total)
}

/// Each object once.
fn objects(ports: &Ports, saved: &[Saved]) -> Result<Vec<Object>> {
    let mut kinds = BTreeMap::new();
    // One that can't be read names nothing; whoever looks at it is told.
    records::read(ports, saved, &mut |_, record| {
        if let Ok(record) = record {
            name(&record, &mut kinds);
        }
    })?;
    Ok(kinds.into_iter().map(|(digest, kind)| Object { digest, kind }).collect())
}

/// What a record names. One that somebody made up may name what can't be.
fn name(record: &Record, kinds: &mut BTreeMap<String, DataKind>) {
    let models = record.models.values().map(|model| (&model.digest, DataKind::File));
    let artifacts = record.artifacts.values().map(|artifact| (&artifact.digest, DataKind::File));
    let inputs = record.inputs.iter().map(|input| (&input.digest, DataKind::File));
    for (digest, kind) in models.chain(artifacts).chain(inputs) {
        if is_digest(digest) {
            kinds.entry(digest.clone()).or_insert(kind);
        }
    }
    for usage in record.datasets.values() {
        if let Some(digest) = usage.best_digest().filter(|digest| is_digest(digest)) {
            // Of a content that is named as both, the folder's members are wanted too.
            let kind = kinds.entry(digest.to_owned()).or_insert(usage.kind);
            if usage.kind == DataKind::Folder {
                *kind = DataKind::Folder;
            }
        }
    }
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_what_they_have_to_be() {
        assert!(is_digest(&format!("sha256:{}", "a0".repeat(32))));
        for odd in ["", "sha256:", "sha256:../../etc/passwd", &format!("sha256:{}", "A0".repeat(32)), &"a0".repeat(32)]
        {
            assert!(!is_digest(odd), "{odd}");
        }
    }
}
