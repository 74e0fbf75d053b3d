//! Going back to an experiment: its code, its data, its models.
//!
//! Everything that could be lost by it is looked for before anything is changed, and stops it. git does the switching, so
//! that `git switch -` returns.

use std::collections::BTreeMap;

use crate::dataset;
use crate::dataset::add::check_own;
use crate::dataset::restore::{Standing, standing};
use crate::dataset::usage::{State, Usage};
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::history;
use crate::models;
use crate::ports::{ChangeKind, Head, Location, Ports};
use crate::project;
use crate::record::Record;
use crate::snapshot::MARKERS;
use crate::suggest::{self, enumerate};

const PAGE: u32 = 1_000;

/// An experiment that is checked out now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The experiment's id.
    pub id: String,
    /// Its commit.
    pub commit: String,
    /// The branch that was checked out before; none when HEAD was detached.
    pub branch: Option<String>,
    /// The commit that was checked out before.
    pub before: Option<String>,
    /// The datasets whose content was changed.
    pub restored: Vec<String>,
    /// The models that can be loaded now.
    pub models: Vec<String>,
}

/// Checks out an experiment's commit with HEAD detached, and brings its data back.
///
/// # Errors
/// `InTheWay` when work that is saved nowhere is in the way, before anything is changed; those of selectors.
pub fn load(ports: &Ports, selector: &str) -> Result<Loaded> {
    project::require(ports)?;
    let (record, commit) = history::one_saved(ports, selector)?;
    let head = ports.repository.head()?;
    if let Some(operation) = &head.operation {
        return Err(Failure::new(FailureKind::InTheWay, format!("git is in the middle of a {operation}"))
            .hint(format!("Finish the {operation} or abort it, then load again")));
    }
    check_unsaved_work(ports, &commit)?;
    let plan = plan_data(ports, &record)?;
    if head.commit.as_ref() != Some(&commit) || head.branch.is_some() {
        // Data that was added since is unknown to the older `.gitignore`, and must not get into git for that.
        for dataset in dataset::find(ports, &[])? {
            if let Some(path) = &dataset.source.path {
                dataset::ignore::exclude(ports, path, dataset.kind)?;
            }
        }
        switch(ports, &commit)?;
    }
    let restored = restore(ports, plan, &head)?;
    let models = models_there(ports, &record)?;
    let Head { commit: before, branch, .. } = head;
    Ok(Loaded { id: record.id, commit, branch, before, restored, models })
}

/// Edits would be carried along, which makes the code other than it was; untracked files that the experiment holds would be
/// overwritten, and be gone after the way back.
fn check_unsaved_work(ports: &Ports, commit: &str) -> Result<()> {
    let changes = ports.repository.changes(MARKERS)?;
    let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut edited, mut untracked) = (Vec::new(), Vec::new());
    for offset in (0..changes.length()).step_by(PAGE as usize) {
        for change in changes.page(offset, PAGE) {
            match change.kind {
                ChangeKind::Modified | ChangeKind::Deleted => edited.push(change.path),
                ChangeKind::Untracked if holds(ports, commit, &change.path, &mut folders)? => {
                    untracked.push(change.path);
                }
                ChangeKind::Untracked | ChangeKind::Repository => {}
            }
        }
    }
    let (paths, what) = match (edited.is_empty(), untracked.is_empty()) {
        (true, true) => return Ok(()),
        (false, _) => (edited, "edits that are not committed"),
        (true, false) => (untracked, "files that git does not track, and that the experiment holds too"),
    };
    let names = enumerate(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    Err(Failure::new(FailureKind::InTheWay, format!("There is unsaved work in the way, {what}: {names}"))
        .hint("Commit it: `git add --all && git commit`")
        .hint("Or put it aside: `git stash --include-untracked`, and later `git switch - && git stash pop`"))
}

/// Whether a commit has something at a path.
fn holds(ports: &Ports, commit: &str, path: &str, folders: &mut BTreeMap<String, Vec<String>>) -> Result<bool> {
    let path = path.trim_end_matches('/');
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if !folders.contains_key(folder) {
        let names = ports.repository.list_folder(&Location { root: commit.to_owned(), path: folder.to_owned() })?;
        folders.insert(folder.to_owned(), names);
    }
    Ok(folders.get(folder).is_some_and(|names| names.iter().any(|known| known == name)))
}

/// The datasets to bring back, as far as they will not be there anyway. Those that can't be are warned of.
fn plan_data<'a>(ports: &Ports, record: &'a Record) -> Result<Vec<(&'a str, &'a str, &'a Usage)>> {
    let mut plan = Vec::new();
    for (name, usage) in &record.datasets {
        let Some(path) = &usage.source.path else {
            // Whatever lies outside of the project is not ours to change.
            let message = format!("The data of `{name}` lies outside of the project, and is left as it is");
            ports.progress.warn(&message, &["`au export` packs the version that the experiment had".to_owned()]);
            continue;
        };
        // A record may come from anybody.
        check_own(path)?;
        if usage.state == State::Missing {
            continue;
        }
        let Some(digest) = usage.best_digest() else { continue };
        match standing(ports, name, path, usage.kind, digest)? {
            Standing::There | Standing::Free => plan.push((name.as_str(), path.as_str(), usage)),
            Standing::NotInStore => {
                let hint = match &usage.source.url {
                    Some(url) => format!("It came from `{url}`, which may have it still"),
                    None => "Copy `.git/aurum/store` from the machine that added it".to_owned(),
                };
                let message = format!(
                    "The data of `{name}` as the experiment had it is not in the store: `{path}` is left as it is"
                );
                ports.progress.warn(&message, &[hint]);
            }
        }
        if usage.digest.is_none() {
            let message = format!(
                "Which version of `{name}` the experiment had is not known: the one added last before it is taken"
            );
            ports.progress.warn(&message, &[]);
        }
    }
    Ok(plan)
}

fn switch(ports: &Ports, commit: &str) -> Result<()> {
    ports.repository_edit.switch_detached(commit).map_err(|error| match error {
        PortError::Conflict(why) => Failure::new(FailureKind::InTheWay, format!("git does not switch: {why}"))
            .hint("Move or commit what is in the way, then load again"),
        error => error.into(),
    })
}

fn restore(ports: &Ports, plan: Vec<(&str, &str, &Usage)>, head: &Head) -> Result<Vec<String>> {
    let mut restored = Vec::with_capacity(plan.len());
    for (name, path, usage) in plan {
        let Some(digest) = usage.best_digest() else { continue };
        // What the commit tracks, git has put there; what it does not, git may have taken away.
        if ports.repository.is_tracked(path)? || standing(ports, name, path, usage.kind, digest)? != Standing::Free {
            continue;
        }
        ports.data.restore(path, usage.kind, digest).map_err(|error| {
            let back = way_back(head.branch.as_deref(), head.commit.as_deref());
            let failure = Failure::from(error);
            let message = format!("The code is loaded, but not the data of `{name}`: {}", failure.message);
            Failure { message, ..failure }.hint(format!("Load again, or go back: `{back}`"))
        })?;
        restored.push(name.to_owned());
    }
    Ok(restored)
}

/// The command that returns.
fn way_back(branch: Option<&str>, commit: Option<&str>) -> String {
    match (branch, commit) {
        (Some(_), _) | (None, None) => "git switch -".to_owned(),
        (None, Some(commit)) => format!("git switch --detach {}", suggest::word(commit)),
    }
}

fn models_there(ports: &Ports, record: &Record) -> Result<Vec<String>> {
    let mut there = Vec::new();
    for (name, model) in &record.models {
        if ports.store.has(&model.digest)? {
            there.push(name.clone());
        } else {
            let hint = models::ELSEWHERE.to_owned();
            ports.progress.warn(&format!("The bytes of the model `{name}` are not in this clone"), &[hint]);
        }
    }
    Ok(there)
}
