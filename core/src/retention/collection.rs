//! Clearing what nothing needs any more.
//!
//! In this order, so that what is named is told last: experiments go to the trash; what was in it for long enough is let go of;
//! then what is named is gathered, and of the store goes what is not, and has rested for the grace period. Whoever adds a
//! content that is there already makes it new again, and what a run has used since it began is newer than the run.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::holdings::{self, Archives};
use super::removal::{self, Candidate};
use super::{MOST, age, digests, drop_it, guard, settle_all};
use crate::completion;
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::history;
use crate::journal::fold::State;
use crate::ports::{Amount, Location, Ports, ReferenceChange, Sweep};
use crate::query::Request;
use crate::record::Status;
use crate::{catalogue, layout, project, time};

/// Nothing younger than this goes from the store, whatever the grace period: it may be on its way to being named.
const SETTLING: u64 = 60 * 60 * 1000;
/// Records read at once, and digests handed over.
const BATCH: usize = 256;
/// Seconds that clocks of machines on one disk may differ by.
const SKEW: u64 = 60 * 1000;

/// What to clear.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Remove all experiments but so many of the newest.
    pub keep_last: Option<u32>,
    /// Remove those that began longer ago.
    pub older_than: Option<String>,
    /// Remove those of one of these statuses.
    pub statuses: Vec<String>,
    /// Remove those that meet this condition.
    pub condition: Option<String>,
    /// How long what was removed is kept.
    pub grace: Option<String>,
}

/// What was cleared, or would be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The grace period in milliseconds.
    pub grace: u64,
    /// Experiments that went to the trash.
    pub experiments: Vec<Candidate>,
    /// Removed experiments that can't be brought back any more: ids.
    pub forgotten: Vec<String>,
    /// References of runs that are gone.
    pub running: u64,
    /// Contents of the store.
    pub contents: Amount,
    /// Why the store was left as it is.
    pub store_left: Option<String>,
    /// What was left of writing that was cut off.
    pub temporaries: Amount,
    /// Objects of git that are a file each: `git gc` packs them, and drops those that nothing leads to.
    pub loose: Amount,
}

/// Clears, or with `dry_run` tells what would be cleared.
///
/// # Errors
/// For ages and statuses that are none, and when a capability fails.
pub fn collect(ports: &Ports, options: &Options, dry_run: bool) -> Result<Report> {
    project::require(ports)?;
    let grace = age::grace(ports, options.grace.as_deref())?;
    let now = ports.clock.now();
    let mut report = Report { dry_run, grace, ..Report::default() };

    report.experiments = chosen(ports, options, now)?;
    removal::find_others(ports, &mut report.experiments)?;
    if !dry_run {
        let ids: Vec<String> = report.experiments.iter().map(|candidate| candidate.id.clone()).collect();
        removal::remove(ports, &ids)?;
    }
    let before = time::format(now.saturating_sub(grace));
    report.forgotten = forget(ports, &before, dry_run)?;
    report.running = completion::stale_references(ports)?.len() as u64;
    if !dry_run {
        completion::clear_stale_references(ports)?;
    }
    let settled = now.saturating_sub(grace.max(SETTLING));
    match clear_store(ports, &before, settled, dry_run) {
        Ok(contents) => report.contents = contents,
        Err(failure) if failure.kind == FailureKind::Denied => return Err(failure),
        // What is not known to be unneeded stays, and the rest of the work is done all the same.
        Err(failure) => report.store_left = Some(failure.message),
    }
    report.temporaries = ports.upkeep.temporaries(settled, !dry_run)?;
    report.loose = ports.upkeep.loose_objects()?;
    Ok(report)
}

/// The experiments that fit all that is given; none where nothing is given.
fn chosen(ports: &Ports, options: &Options, now: u64) -> Result<Vec<Candidate>> {
    let Options { keep_last, older_than, statuses, condition, .. } = options;
    for status in statuses {
        if !["finished", "failed", "interrupted", "killed"].contains(&status.as_str()) {
            return Err(Failure::new(FailureKind::InvalidValue, format!("`{}` is no status", status.escape_debug()))
                .hint("Give some of these, with commas between: `finished`, `failed`, `interrupted`, `killed`"));
        }
    }
    let before = older_than.as_deref().map(age::parse).transpose()?.map(|age| time::format(now.saturating_sub(age)));
    if keep_last.is_none() && before.is_none() && statuses.is_empty() && condition.is_none() {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    history::each_chosen(ports, &Request::default(), &mut |row| rows.push(Candidate::of(row)))?;
    rows.retain(|row| !matches!(row.status, Some(Status::Running | Status::Lost)));
    if let Some(last) = keep_last {
        rows.truncate(rows.len().saturating_sub(*last as usize));
    }
    if condition.is_some() {
        let mut fits = BTreeSet::new();
        let request = Request { condition: condition.clone(), ..Request::default() };
        history::each_chosen(ports, &request, &mut |row| {
            fits.insert(row.id);
        })?;
        rows.retain(|row| fits.contains(&row.id));
    }
    rows.retain(|row| {
        before.as_ref().is_none_or(|before| row.started.as_ref().is_some_and(|started| started < before))
    });
    rows.retain(|row| statuses.is_empty() || row.status.is_some_and(|status| statuses.contains(&status.to_string())));
    Ok(rows)
}

/// Lets go of what was removed before a moment, and of what the trash holds beside an experiment that is listed: that was left by
/// bringing it back, or by removing it, if it was cut off.
fn forget(ports: &Ports, before: &str, dry_run: bool) -> Result<Vec<String>> {
    let mut forgotten = BTreeSet::new();
    let mut look = || {
        let said = catalogue::reference(ports, layout::NOTES)?;
        let discarded = holdings::discarded(ports)?;
        let archives = Archives::read(ports, &discarded.keys().map(String::as_str).collect())?;
        let mut changes = BTreeMap::new();
        let mut count = 0;
        for (id, holding) in discarded {
            let (tag, trash) = (format!("{}{id}", layout::TAGS), format!("{}{id}", layout::TRASH));
            let mut add = |change: ReferenceChange| drop(changes.insert(change.name.clone(), change));
            if holding.removed.as_deref().is_some_and(|removed| removed <= before) {
                if holding.tag.is_some() || holding.trash.is_some() {
                    forgotten.insert(id.clone());
                    count += 1;
                }
                holding.tag.iter().for_each(|commit| add(drop_it(tag.clone(), commit)));
                holding.trash.iter().for_each(|commit| add(drop_it(trash.clone(), commit)));
            } else if let Some(commit) = holding.trash.as_ref().filter(|_| holding.is_listed()) {
                match archives.holder(&id, commit) {
                    _ if holding.tag.as_ref() == Some(commit) => add(guard(tag, commit)),
                    Some(archive) => add(guard(archive.name.clone(), &archive.target)),
                    None => continue,
                }
                add(drop_it(trash, commit));
                count += 1;
            }
            if !dry_run && count >= MOST {
                break;
            }
        }
        // Who brings one back at this moment changes what is said of it.
        if !changes.is_empty() {
            let notes = layout::NOTES.to_owned();
            changes.insert(notes.clone(), ReferenceChange { name: notes, expected: said.clone(), target: said });
        }
        Ok(changes.into_values().collect::<Vec<_>>())
    };
    if dry_run {
        look()?;
    } else {
        // Until there is nothing left: no more than a part is done at once.
        settle_all(ports, &mut look)?;
    }
    Ok(forgotten.into_iter().collect())
}

/// Clears the store of what nothing names and nobody has used since.
fn clear_store(ports: &Ports, forgotten: &str, settled: u64, dry_run: bool) -> Result<Amount> {
    let mut sweep = ports.upkeep.begin_sweep()?;
    let before = name_all(ports, forgotten, settled, dry_run, &mut *sweep)?;
    Ok(if dry_run { sweep.measure(before)? } else { sweep.remove(before)? })
}

/// Names all that is needed, but for what was removed before a moment. Answers since when what is not named has to have rested.
fn name_all(ports: &Ports, forgotten: &str, settled: u64, dry_run: bool, sweep: &mut dyn Sweep) -> Result<u64> {
    // Runs first: one that ends meanwhile is an experiment by then.
    let mut before = settled;
    let mut found = BTreeSet::new();
    for entry in ports.journal.entries()? {
        digests::in_journals(ports, &entry.id, &mut found)?;
        // What its children use stands in journals of their own.
        let started = State::read(&*ports.journal, &entry.id).ok().and_then(|state| state.started);
        let started = started.ok_or_else(|| unknown(&format!("the journal of `{}` can't be read", entry.id)))?;
        before = before.min(started.time.saturating_sub(SKEW));
    }
    let mut offset = 0;
    loop {
        let versions = ports.upkeep.file_versions(layout::DATASETS, offset)?;
        if versions.is_empty() {
            break;
        }
        offset += u32::try_from(versions.len()).unwrap_or(u32::MAX);
        versions.iter().for_each(|version| digests::find(version, &mut found));
        hand_over(sweep, &mut found)?;
    }
    let mut needed = Vec::new();
    for (id, holding) in holdings::all(ports)? {
        // What was removed that long ago is let go of by now, unless it is being brought back at this moment.
        let is_over = holding.removed.as_deref().is_some_and(|removed| removed <= forgotten);
        if !is_over || (!dry_run && (holding.tag.is_some() || holding.trash.is_some())) {
            needed.extend(holding.commits().into_iter().map(|commit| (id.clone(), commit.clone())));
        }
    }
    for batch in needed.chunks(BATCH) {
        read_records(ports, batch, &mut found)?;
        hand_over(sweep, &mut found)?;
    }
    hand_over(sweep, &mut found)?;
    Ok(before)
}

fn hand_over(sweep: &mut dyn Sweep, found: &mut BTreeSet<String>) -> Result<()> {
    let found: Vec<String> = std::mem::take(found).into_iter().collect();
    for some in found.chunks(BATCH) {
        sweep.keep(some)?;
    }
    Ok(())
}

fn read_records(ports: &Ports, experiments: &[(String, String)], found: &mut BTreeSet<String>) -> Result<()> {
    let locations: Vec<Location> =
        experiments.iter().map(|(id, commit)| Location { root: commit.clone(), path: layout::record(id) }).collect();
    let mut begin = 0;
    while begin < locations.len() {
        let files = ports.repository.read_files(&locations[begin..])?;
        if files.is_empty() {
            return Err(PortError::Other("no answer for the records".to_owned()).into());
        }
        for file in files {
            let id = &experiments[begin].0;
            let record = file.ok_or_else(|| unknown(&format!("the record of `{id}` is not in its commit")))?;
            digests::find(&record, found);
            begin += 1;
        }
    }
    Ok(())
}

fn unknown(why: &str) -> Failure {
    Failure::new(FailureKind::Unreadable, format!("What is needed of it is not known: {why}"))
}
