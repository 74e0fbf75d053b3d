//! The versions that a dataset has had: those that git has a description of, and those that experiments had.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::usage::State;
use super::{Dataset, check_name, find_one, readable};
use crate::catalogue;
use crate::error::{Failure, FailureKind, Result};
use crate::history;
use crate::layout;
use crate::ports::{DataKind, Location, Ports};
use crate::project;
use crate::records;
use crate::suggest;
use crate::time;
use crate::value;

/// Descriptions asked for at once.
const AT_ONCE: usize = 256;
/// Digits of a digest or a commit at least: fewer mean nothing.
const FEWEST_DIGITS: usize = 4;

/// A content that a dataset had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) digest: String,
    pub(crate) kind: DataKind,
    size: u64,
    files: u64,
    /// Commits that made it the described one, in milliseconds since 1970.
    commits: Vec<(String, u64)>,
    /// Experiments that had it.
    experiments: Vec<Had>,
}

/// An experiment that had a version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Had {
    id: String,
    name: Option<String>,
    started: String,
    used: bool,
}

impl Version {
    /// When it was first seen; none while only the working tree describes it.
    fn since(&self) -> Option<u64> {
        let started = self.experiments.iter().filter_map(|had| time::parse(&had.started));
        self.commits.iter().map(|(_, time)| *time).chain(started).min()
    }

    fn row(&self, ports: &Ports, described: Option<&str>) -> Result<Value> {
        let commit = |(commit, seen): &(String, u64)| json!({ "commit": commit, "time": time::format(*seen) });
        let experiment = |had: &Had| {
            let mut row = json!({ "id": had.id, "started": had.started, "used": had.used });
            if let Some(name) = &had.name {
                row["name"] = json!(name);
            }
            row
        };
        Ok(json!({
            "digest": self.digest,
            "kind": self.kind,
            "size": self.size,
            "files": self.files,
            "since": self.since().map(time::format),
            "commits": self.commits.iter().map(commit).collect::<Vec<_>>(),
            "experiments": self.experiments.iter().map(experiment).collect::<Vec<_>>(),
            "described": described == Some(&self.digest),
            "in_store": ports.data.can_restore(self.kind, &self.digest)?,
        }))
    }
}

/// The versions of a dataset, oldest first: a JSON array, which `docs/record-format.md` describes.
///
/// # Errors
/// `UnknownDataset` when there neither is nor was one.
pub fn history(ports: &Ports, wanted: &str) -> Result<String> {
    project::require(ports)?;
    let (name, dataset) = name_of(ports, wanted)?;
    let versions = of(ports, &name, dataset.as_ref())?;
    let described = dataset.as_ref().map(|dataset| dataset.digest.as_str());
    if versions.is_empty() {
        find_one(ports, &readable(ports, &mut |_| {})?, wanted)?;
    }
    let rows = versions.iter().map(|version| version.row(ports, described)).collect::<Result<Vec<_>>>()?;
    Ok(json!(rows).to_string())
}

/// What is called so, or was: of one that was taken out the name alone is left.
fn name_of(ports: &Ports, wanted: &str) -> Result<(String, Option<Dataset>)> {
    match find_one(ports, &readable(ports, &mut |_| {})?, wanted) {
        Ok(dataset) => Ok((dataset.name.clone(), Some(dataset.clone()))),
        Err(failure) => {
            check_name(wanted).map_err(|_| failure)?;
            Ok((wanted.to_owned(), None))
        }
    }
}

/// All versions, oldest first; what only the working tree describes comes last.
pub(crate) fn of(ports: &Ports, name: &str, dataset: Option<&Dataset>) -> Result<Vec<Version>> {
    let mut versions = BTreeMap::new();
    in_commits(ports, name, &mut versions)?;
    in_experiments(ports, name, &mut versions)?;
    if let Some(dataset) = dataset {
        entry(&mut versions, &dataset.digest, dataset.kind, dataset.size, dataset.files);
    }
    let mut versions: Vec<Version> = versions.into_values().collect();
    versions.sort_by_key(|version| (version.since().is_none(), version.since()));
    Ok(versions)
}

type Versions = BTreeMap<String, Version>;

fn entry<'v>(versions: &'v mut Versions, digest: &str, kind: DataKind, size: u64, files: u64) -> &'v mut Version {
    versions.entry(digest.to_owned()).or_insert_with(|| Version {
        digest: digest.to_owned(),
        kind,
        size,
        files,
        commits: Vec::new(),
        experiments: Vec::new(),
    })
}

fn in_commits(ports: &Ports, name: &str, versions: &mut Versions) -> Result<()> {
    let path = layout::dataset(name);
    let mut commits = ports.repository.file_commits(&path)?;
    commits.reverse();
    for batch in commits.chunks(AT_ONCE) {
        let locations: Vec<_> =
            batch.iter().map(|of| Location { root: of.commit.clone(), path: path.clone() }).collect();
        let mut next = 0;
        while next < batch.len() {
            let files = ports.repository.read_files(&locations[next..])?;
            if files.is_empty() {
                break;
            }
            for (file, of) in files.into_iter().zip(&batch[next..]) {
                next += 1;
                // One that was removed, or that another version of Aurum wrote, tells of no content.
                let Some(dataset) = file.and_then(|bytes| Dataset::parse(&bytes).ok()) else { continue };
                let seen = u64::try_from(of.seconds).unwrap_or(0) * 1000;
                entry(versions, &dataset.digest, dataset.kind, dataset.size, dataset.files)
                    .commits
                    .push((of.commit.clone(), seen));
            }
        }
    }
    Ok(())
}

fn in_experiments(ports: &Ports, name: &str, versions: &mut Versions) -> Result<()> {
    let mut had = Vec::new();
    records::read(ports, &catalogue::saved(ports)?, &mut |_, record| {
        // One that can't be read is told of wherever it is looked at.
        let Ok(mut record) = record else { return };
        if let Some(usage) = record.datasets.remove(name).filter(|usage| usage.state != State::Missing) {
            had.push((record.id, record.name, record.started, usage));
        }
    })?;
    had.sort_by(|one, other| one.2.cmp(&other.2));
    for (id, name, started, usage) in had {
        let Some(digest) = usage.best_digest() else { continue };
        let used = usage.used;
        entry(versions, digest, usage.kind, usage.size, usage.files).experiments.push(Had { id, name, started, used });
    }
    Ok(())
}

/// The version that is meant: by its digest, or by a commit or an experiment that had it.
///
/// # Errors
/// `InvalidValue` when several are, `MissingData` when none is; those of selectors.
pub(crate) fn choose(ports: &Ports, dataset: &Dataset, wanted: &str) -> Result<(DataKind, String)> {
    let (digits, is_digest) = match wanted.strip_prefix("sha256:") {
        Some(digits) => (digits, true),
        None => (wanted, false),
    };
    let is_hexadecimal = digits.len() >= FEWEST_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let shown = value::excerpt(wanted);
    let history = format!("Run `au data history {}` to see its versions", suggest::word(&dataset.name));
    if is_digest || is_hexadecimal {
        let versions = of(ports, &dataset.name, Some(dataset))?;
        let is_meant = |version: &&Version| {
            version.digest["sha256:".len()..].starts_with(digits)
                || !is_digest && version.commits.iter().any(|(commit, _)| commit.starts_with(digits))
        };
        let mut meant = versions.iter().filter(is_meant);
        match (meant.next(), meant.next()) {
            (Some(one), None) => return Ok((one.kind, one.digest.clone())),
            (Some(_), Some(_)) => {
                let message = format!("`{shown}` names several versions of `{}`", dataset.name);
                return Err(Failure::new(FailureKind::InvalidValue, message).hint(history));
            }
            // Added and replaced with no commit between, it is in the store all the same.
            (None, _) if is_digest && digits.len() == 64 && ports.data.can_restore(dataset.kind, wanted)? => {
                return Ok((dataset.kind, wanted.to_owned()));
            }
            (None, _) if is_digest => {
                let message = format!("`{}` has no version `{shown}`", dataset.name);
                return Err(Failure::new(FailureKind::MissingData, message).hint(history));
            }
            (None, _) => {}
        }
    }
    let (record, _) = history::one_saved(ports, wanted).map_err(|failure| {
        if failure.kind == FailureKind::UnknownExperiment && !wanted.starts_with('@') {
            let message = format!("`{shown}` is neither a version of `{}` nor an experiment", dataset.name);
            return Failure::new(FailureKind::UnknownExperiment, message).hint(history.clone());
        }
        failure
    })?;
    let usage = record.datasets.get(&dataset.name).filter(|usage| usage.state != State::Missing);
    let digest = usage.and_then(|usage| Some((usage.kind, usage.best_digest()?.to_owned())));
    digest.ok_or_else(|| {
        let message = format!("The experiment `{shown}` did not have the dataset `{}`", dataset.name);
        Failure::new(FailureKind::MissingData, message).hint(history)
    })
}
