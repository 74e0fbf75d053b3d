//! Folding many experiments under one reference, and giving each its own again.
//!
//! An archive is a commit whose parents are the experiments' commits, and whose tree lists them. All of it follows from its
//! members, so that two clones which fold the same experiments make the same commit. First the archive is on stable storage,
//! then the tags go; so each experiment is held at all times, and doing it again completes what was cut off.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::holdings::{self, Archives, Holding};
use super::{MOST, drop_it, guard, ids_of, make, settle, targets};
use crate::catalogue::{self, members};
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::history;
use crate::id::Key;
use crate::notes::{self, Statement};
use crate::ports::{CommitPlan, Identity, Location, ObjectId, Ports, Reference, ReferenceChange, Signature};
use crate::query::Request;
use crate::record::Status;
use crate::{digest, layout, project, time};

/// Experiments in one archive at most.
const LARGEST: usize = 1_000;
/// Experiments looked at together, and those of the month that this falls into: of a million not all fit the memory.
const AT_ONCE: usize = 50_000;
/// Digits of a member list's digest in an archive's name.
const DIGITS: usize = 16;
/// Characters of a time in RFC 3339 that tell the month.
const MONTH: usize = 7;
/// From how many tags on git itself gets slow.
pub const MANY: usize = 10_000;

/// What [`archive`] or [`undo`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many experiments changed what holds them.
    pub experiments: u64,
    /// The archives that were made or taken apart, by their full names.
    pub archives: Vec<String>,
}

/// Folds the experiments that a selector names, all without one, and that began before a moment.
///
/// # Errors
/// For selectors that name nothing or too much, and when a capability fails: then each experiment still is held.
pub fn archive(ports: &Ports, selector: Option<&str>, before: Option<u64>) -> Result<Folded> {
    project::require(ports)?;
    let before = before.map(time::format);
    let mut begun = Vec::new();
    history::each_chosen(ports, &Request::of(selector), &mut |row| {
        let is_saved = !matches!(row.status, Status::Running | Status::Lost);
        if is_saved && before.as_ref().is_none_or(|before| row.started < *before) {
            let ended = row.ended.as_deref().and_then(time::parse).unwrap_or_default();
            let month = row.started.get(..MONTH).and_then(|month| month.as_bytes().try_into().ok());
            begun.extend(Key::parse(&row.id).map(|id| Begun { month: month.unwrap_or_default(), id, ended }));
        }
    })?;
    begun.sort_unstable_by_key(|one| (one.month, one.id));
    // Said once of all that are made here: reading the notes takes as long as there are notes.
    let unfolded = notes::unfolded(ports)?;
    let mut folded = Folded::default();
    let mut rest = begun.as_slice();
    while let Some(first) = rest.first() {
        // Whole months, as many as fit: an archive's members do not depend on how much is done at once.
        let mut end = end_of_month(rest, first.month);
        while let Some(next) = rest.get(end).filter(|_| end < AT_ONCE) {
            end += end_of_month(&rest[end..], next.month);
        }
        fold_some(ports, &rest[..end], &unfolded, &mut folded)?;
        rest = &rest[end..];
    }
    Ok(folded)
}

fn end_of_month(begun: &[Begun], month: [u8; MONTH]) -> usize {
    begun.partition_point(|one| one.month <= month)
}

/// Folds experiments in the order of their months and ids.
fn fold_some(ports: &Ports, begun: &[Begun], unfolded: &BTreeSet<ObjectId>, folded: &mut Folded) -> Result<()> {
    let wanted: BTreeSet<Key> = begun.iter().map(|one| one.id).collect();
    let holdings = holdings::of(ports, &mut |id, _| Key::parse(id).is_some_and(|id| wanted.contains(&id)))?;
    let (mut tags, mut members) = (Vec::new(), Vec::new());
    for one in begun {
        let id = one.id.to_string();
        let Some(Holding { tag: Some(commit), archived, .. }) = holdings.get(&id).filter(|held| held.is_listed())
        else {
            continue;
        };
        if archived.is_empty() {
            members.push(Member { one, id: id.clone(), commit });
        } else if !archived.contains(commit) {
            // A run that went on after it had been taken for dead: an archive has what it was then, and its tag what it is.
            continue;
        }
        tags.push(Tagged { id, commit: commit.clone(), archived: commit.clone() });
    }
    for of_month in members.chunk_by(|a, b| a.one.month == b.one.month) {
        for some in of_month.chunks(LARGEST) {
            let month = String::from_utf8_lossy(&some[0].one.month).into_owned();
            folded.archives.push(fold(ports, &month, some, unfolded)?);
        }
    }
    folded.experiments += tags.len() as u64;
    drop_tags(ports, &tags)
}

/// An experiment that has a tag which its archive makes needless.
pub(crate) struct Tagged {
    /// Its id.
    pub(crate) id: String,
    /// The commit that the tag is on.
    pub(crate) commit: String,
    /// The commit by which an archive has it: that one, or one that goes on from it.
    pub(crate) archived: String,
}

/// Removes the tags that are on these commits, each in the moment in which an archive holds the experiment.
///
/// # Errors
/// When a capability fails: then each experiment still is held.
pub(crate) fn drop_tags(ports: &Ports, experiments: &[Tagged]) -> Result<()> {
    for some in experiments.chunks(MOST) {
        settle(ports, &mut || {
            let ids = some.iter().map(|one| one.id.as_str()).collect();
            let (tags, archives) = (targets(ports, layout::TAGS, &ids)?, Archives::read(ports, &ids)?);
            let mut changes = BTreeMap::new();
            for Tagged { id, commit, archived } in some.iter().filter(|one| tags.get(&one.id) == Some(&one.commit)) {
                let Some(archive) = archives.holder(id, archived) else { continue };
                changes.insert(archive.name.clone(), guard(archive.name.clone(), &archive.target));
                let tag = drop_it(format!("{}{id}", layout::TAGS), commit);
                changes.insert(tag.name.clone(), tag);
            }
            Ok(changes.into_values().collect())
        })?;
    }
    Ok(())
}

/// What folding asks of an experiment.
struct Begun {
    /// That it began in, such as `2026-11`.
    month: [u8; MONTH],
    id: Key,
    /// Milliseconds since 1970.
    ended: u64,
}

struct Member<'a> {
    one: &'a Begun,
    id: String,
    commit: &'a String,
}

/// Makes one archive, on stable storage, and answers its name.
fn fold(ports: &Ports, month: &str, members: &[Member<'_>], unfolded: &BTreeSet<ObjectId>) -> Result<String> {
    let list: String = members.iter().map(|member| format!("{} {}\n", member.id, member.commit)).collect();
    let name = name(month, list.as_bytes());
    let mut blob = ports.repository_edit.begin_blob()?;
    blob.write(list.as_bytes())?;
    let mut tree = ports.repository_edit.begin_tree(None)?;
    tree.put(layout::ARCHIVED, &blob.finish()?)?;
    let ended = members.iter().map(|member| member.one.ended).max();
    let commit = ports.repository_edit.commit(&CommitPlan {
        tree: tree.write()?,
        parents: members.iter().map(|member| member.commit.clone()).collect(),
        signature: Signature {
            identity: Identity { name: "Aurum".to_owned(), email: "aurum@localhost".to_owned() },
            seconds: i64::try_from(ended.unwrap_or_default() / 1000).unwrap_or_default(),
            offset_minutes: 0,
        },
        message: format!("Experiments of {month}: {}\n", members.len()),
    })?;
    if unfolded.contains(&commit) {
        // Before there is one, which the next pull would take apart.
        notes::state(ports, std::slice::from_ref(&commit), &Statement::unfolded(false))?;
    }
    match ports.repository_edit.set_reference(&name, None, &commit, true) {
        // Somebody folds the same, or did and died before it was on stable storage.
        Err(PortError::Conflict(_)) if catalogue::reference(ports, &name)?.as_ref() == Some(&commit) => {
            ports.repository_edit.set_reference(&name, Some(&commit), &commit, true)?;
        }
        Err(PortError::Conflict(why)) => {
            return Err(Failure::new(FailureKind::InTheWay, format!("The archive `{name}` can't be made: {why}"))
                .hint("Check what is there: `au verify`"));
        }
        other => other?,
    }
    Ok(name)
}

/// The members of an archive that is what its name, the last part of it, says, and holds what it lists. Else why it is not.
pub(crate) fn check(ports: &Ports, name: &str, reference: &Reference) -> Result<Vec<(String, ObjectId)>, String> {
    let list = Location { root: reference.target.clone(), path: layout::ARCHIVED.to_owned() };
    let list = ports.repository.read_files(&[list]).map_err(|error| error.to_string())?.pop().flatten();
    let list = list.ok_or("it has no list of experiments")?;
    if !name.ends_with(&digits(&list)) {
        return Err("its name does not fit what it holds".to_owned());
    }
    let members = catalogue::members(ports, reference).map_err(|failure| failure.message)?;
    let parents = ports.exchange.parents(&reference.target).map_err(|error| error.to_string())?;
    let parents: BTreeSet<ObjectId> = parents.ok_or("it is no commit")?.into_iter().collect();
    if let Some((id, _)) = members.iter().find(|(_, commit)| !parents.contains(commit)) {
        return Err(format!("it names a commit of `{id}` that it does not hold"));
    }
    if members.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err("its list is not in order".to_owned());
    }
    Ok(members)
}

/// The full name of an archive, by its list.
fn name(month: &str, list: &[u8]) -> String {
    format!("{}{month}-{}", layout::ARCHIVE, digits(list))
}

/// What an archive's name ends in.
fn digits(list: &[u8]) -> String {
    digest::hexadecimal(&Sha256::digest(list)[..DIGITS / 2])
}

/// Gives every archived experiment its tag again, and lets go of the archives. Of a removed one nothing is kept that the trash does
/// not have. Other clones learn of it by the notes.
///
/// # Errors
/// When an archive can't be read, and when a capability fails: then each experiment still is held.
pub fn undo(ports: &Ports) -> Result<Folded> {
    project::require(ports)?;
    let (mut folded, mut gone) = (Folded::default(), Vec::new());
    for archive in catalogue::references(ports, layout::ARCHIVE)? {
        let (made, went) = take_apart(ports, &archive)?;
        folded.experiments += made;
        if went {
            gone.push(archive.target);
            folded.archives.push(archive.name);
        } else {
            let message =
                format!("The archive `{}` stays: it has earlier versions of experiments that have a tag", archive.name);
            ports.progress.warn(&message, &[]);
        }
    }
    notes::state(ports, &gone, &Statement::unfolded(true))?;
    Ok(folded)
}

/// Takes apart the archives of which another clone has said that they were. Answers their commits.
///
/// # Errors
/// As [`undo`].
pub(crate) fn take_apart_as_said(ports: &Ports) -> Result<BTreeSet<ObjectId>> {
    let said = notes::unfolded(ports)?;
    if !said.is_empty() {
        for archive in catalogue::references(ports, layout::ARCHIVE)? {
            if said.contains(&archive.target) {
                take_apart(ports, &archive)?;
            }
        }
    }
    Ok(said)
}

/// Gives the experiments of an archive their tags, and lets go of it in the moment in which these are there. Answers how many tags
/// were made, and whether it is gone: it stays where it alone holds an earlier version of an experiment.
fn take_apart(ports: &Ports, archive: &Reference) -> Result<(u64, bool)> {
    let members = members(ports, archive)?;
    let (mut made, mut stays) = (0, false);
    settle(ports, &mut || {
        (made, stays) = (0, false);
        if catalogue::reference(ports, &archive.name)?.as_ref() != Some(&archive.target) {
            return Ok(Vec::new());
        }
        // What the notes say now has to hold when the archive goes.
        let said = catalogue::reference(ports, layout::NOTES)?;
        let removed = notes::removed(ports)?;
        let tags = targets(ports, layout::TAGS, &ids_of(&members))?;
        let mut changes = Vec::new();
        for (id, commit) in members.iter().filter(|(_, commit)| !removed.contains(commit)) {
            let name = format!("{}{id}", layout::TAGS);
            match tags.get(id) {
                None => changes.push(make(name, commit)),
                // It is on that commit, or on one of a run that went on from there, which holds it.
                Some(there) if there == commit || ports.exchange.descends(there, commit)? => {
                    changes.push(guard(name, there));
                }
                // Without this archive nothing would hold the earlier one.
                Some(_) => stays = true,
            }
        }
        made = changes.iter().filter(|change| change.expected.is_none()).count() as u64;
        if stays {
            changes.retain(|change| change.expected.is_none());
            return Ok(changes);
        }
        changes.push(ReferenceChange { name: layout::NOTES.to_owned(), expected: said.clone(), target: said });
        changes.push(drop_it(archive.name.clone(), &archive.target));
        Ok(changes)
    })?;
    Ok((made, !stays))
}

/// Warns where there are so many tags that git itself gets slow.
pub fn hint(tags: usize) -> Option<(String, String)> {
    (tags > MANY).then(|| {
        (
            format!("There are {tags} experiments with a tag each, which makes git itself slow"),
            "Fold the older ones: `au archive --before 90d`; `au archive --undo` takes that back".to_owned(),
        )
    })
}
