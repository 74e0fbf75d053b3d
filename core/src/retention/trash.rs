//! What was removed and can be brought back.
//!
//! Bringing back goes the other way than removing: the tag → a note that says that it is not removed → the trash lets go of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::age;
use super::holdings::{self, Archives, Holding};
use super::{MOST, drop_it, guard, ids_of, make, settle, targets};
use crate::catalogue::{self, Saved};
use crate::error::{Failure, FailureKind, Result};
use crate::notes::{self, Statement};
use crate::ports::Ports;
use crate::record::Record;
use crate::selector::{self, Candidate};
use crate::{id, layout, project, records, time};

/// A removed experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Discarded {
    /// Its id.
    pub id: String,
    /// A name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it ended; none when its record can't be read.
    pub status: Option<String>,
    /// When it began; none when its record can't be read.
    pub started: Option<String>,
    /// When it was removed, in RFC 3339.
    pub removed: String,
    /// Milliseconds since then.
    pub age: u64,
    /// From when on `au gc` may let go of it, in RFC 3339.
    pub until: String,
}

/// What can be brought back, the one that was removed last at the end.
///
/// # Errors
/// When git can't be read.
pub fn list(ports: &Ports) -> Result<Vec<Discarded>> {
    project::require(ports)?;
    let grace = age::grace(ports, None)?;
    let now = ports.clock.now();
    let mut discarded = Vec::new();
    for (id, holding) in holdings::discarded(ports)? {
        let (Some(commit), Some(removed)) = (holding.commit(), &holding.removed) else { continue };
        let record = records::read_one(ports, &Saved::by(&id, commit)).ok();
        let at = time::parse(removed).unwrap_or(now);
        // Without a tag or the trash, an archive holds the commit, and nothing holds what it names.
        if holding.tag.is_none() && holding.trash.is_none() {
            continue;
        }
        discarded.push(Discarded {
            name: record.as_ref().and_then(|record: &Record| record.name.clone()),
            status: record.as_ref().map(|record| record.status.to_string()),
            started: record.map(|record| record.started),
            removed: removed.clone(),
            age: now.saturating_sub(at),
            until: time::format(at.saturating_add(grace)),
            id,
        });
    }
    discarded.sort_by(|a, b| (&a.removed, &a.id).cmp(&(&b.removed, &b.id)));
    Ok(discarded)
}

/// Brings removed experiments back: of the selector's terms, `@` is the one removed last. Answers their ids.
///
/// # Errors
/// `UnknownExperiment`, `AmbiguousExperiment`; `InTheWay` when a tag has meanwhile been made that is on another commit.
pub fn restore(ports: &Ports, selector: &str) -> Result<Vec<String>> {
    let discarded = list(ports)?;
    let candidates: Vec<_> =
        discarded.iter().map(|entry| Candidate { id: &entry.id, name: entry.name.as_deref() }).collect();
    let note = &mut |message: String| ports.progress.warn(&message, &[]);
    let chosen = selector::choose(selector, &candidates, note).map_err(|failure| match failure.kind {
        FailureKind::UnknownExperiment => {
            let message = failure.message.replace("No experiment matches", "No removed experiment matches");
            Failure::new(failure.kind, message).hint("Run `au restore` to list what can be brought back")
        }
        _ => failure,
    })?;
    let holdings = holdings::of(ports, &mut |id, _| chosen.contains(id))?;
    let chosen: Vec<(String, &Holding)> =
        chosen.into_iter().filter_map(|id| holdings.get(&id).map(|holding| (id, holding))).collect();

    let commits: Vec<(String, String)> =
        chosen.iter().filter_map(|(id, holding)| Some((id.clone(), holding.commit()?.clone()))).collect();
    for some in commits.chunks(MOST) {
        tag(ports, some)?;
    }
    let all = chosen.iter().flat_map(|(_, holding)| holding.commits().into_iter().cloned());
    notes::state(ports, &all.collect::<Vec<_>>(), &Statement::removed(false))?;
    for some in commits.chunks(MOST) {
        release(ports, some)?;
    }
    Ok(chosen.into_iter().map(|(id, _)| id).collect())
}

/// Tags what no archive holds.
fn tag(ports: &Ports, experiments: &[(String, String)]) -> Result<()> {
    settle(ports, &mut || {
        let ids = ids_of(experiments);
        let (tags, archives) = (targets(ports, layout::TAGS, &ids)?, Archives::read(ports, &ids)?);
        let mut changes = Vec::new();
        for (id, commit) in experiments.iter().filter(|(id, commit)| archives.holder(id, commit).is_none()) {
            let name = format!("{}{id}", layout::TAGS);
            match tags.get(id) {
                None => changes.push(make(name, commit)),
                Some(there) if there == commit => {}
                Some(_) => return Err(in_the_way(&name)),
            }
        }
        Ok(changes)
    })
}

/// Has the trash let go of these, each in the moment in which its tag or an archive holds it. What somebody else has removed since
/// stays there.
fn release(ports: &Ports, experiments: &[(String, String)]) -> Result<()> {
    settle(ports, &mut || {
        let ids = ids_of(experiments);
        let (trash, tags) = (targets(ports, layout::TRASH, &ids)?, targets(ports, layout::TAGS, &ids)?);
        let archives = Archives::read(ports, &ids)?;
        let said = catalogue::reference(ports, layout::NOTES)?;
        let removed = notes::removed(ports)?;
        let mut changes = BTreeMap::new();
        let restored = experiments.iter().filter(|(_, commit)| !removed.contains(commit));
        for (id, commit) in restored.filter(|(id, commit)| trash.get(id) == Some(commit)) {
            let name = format!("{}{id}", layout::TAGS);
            let holder = match (tags.get(id), archives.holder(id, commit)) {
                (Some(there), _) if there == commit => guard(name, commit),
                (_, Some(archive)) => guard(archive.name.clone(), &archive.target),
                (None, None) => make(name, commit),
                (Some(_), None) => return Err(in_the_way(&name)),
            };
            changes.insert(holder.name.clone(), holder);
            let trash = drop_it(format!("{}{id}", layout::TRASH), commit);
            changes.insert(trash.name.clone(), trash);
        }
        if let Some(said) = said.filter(|_| !changes.is_empty()) {
            changes.insert(layout::NOTES.to_owned(), guard(layout::NOTES.to_owned(), &said));
        }
        Ok(changes.into_values().collect())
    })
}

fn in_the_way(tag: &str) -> Failure {
    let id = tag.strip_prefix(layout::TAGS).unwrap_or(tag);
    let short = id.get(..id::SHORT).unwrap_or(id);
    Failure::new(
        FailureKind::InTheWay,
        format!("The experiment `{short}` can't be brought back: its tag is on another commit already"),
    )
    .hint(format!("Look at what is there: `git show {}`", layout::tag(id)))
}
