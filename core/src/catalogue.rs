//! Which experiments are saved: those with a tag, and those in an archive, save for the removed ones.

use std::collections::BTreeMap;

use crate::error::{Failure, FailureKind, Result};
use crate::ports::{Location, Ports, Reference};
use crate::{id, layout, notes};

/// References asked for at once.
const PAGE: u32 = 10_000;

/// A saved experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its id.
    pub id: String,
    /// Its commit.
    pub commit: String,
    /// Whether an archive holds it and no tag of its own.
    pub archived: bool,
}

/// The saved experiments, by id.
///
/// # Errors
/// When git's references, an archive or the notes can't be read.
pub fn saved(ports: &Ports) -> Result<Vec<Saved>> {
    let mut saved = BTreeMap::new();
    for archive in references(ports, layout::ARCHIVE)? {
        for (id, commit) in members(ports, &archive)? {
            saved.insert(id.clone(), Saved { id, commit, archived: true });
        }
    }
    // A tag says it better than an archive: a run that was taken for dead and went on has a newer commit.
    for (id, commit) in tagged(ports)? {
        saved.insert(id.clone(), Saved { id, commit, archived: false });
    }
    let removed = notes::removed(ports)?;
    Ok(saved.into_values().filter(|saved| !removed.contains(&saved.commit)).collect())
}

/// The experiments that have a tag, removed ones too: ids and commits.
///
/// # Errors
/// When git's references can't be read.
pub fn tagged(ports: &Ports) -> Result<Vec<(String, String)>> {
    let experiment = |reference: Reference| {
        let id = reference.name.strip_prefix(layout::TAGS).filter(|id| id::is_id(id))?;
        Some((id.to_owned(), reference.target))
    };
    Ok(references(ports, layout::TAGS)?.into_iter().filter_map(experiment).collect())
}

/// The experiments that an archive holds, removed ones too: ids and commits.
///
/// # Errors
/// `Unreadable` when its list is not there or is not one.
pub fn members(ports: &Ports, archive: &Reference) -> Result<Vec<(String, String)>> {
    let unreadable = |why: &str| {
        Failure::new(FailureKind::Unreadable, format!("The archive `{}` can't be read: {why}", archive.name))
            .hint("Get it again: `au pull`")
    };
    let list = Location { root: archive.target.clone(), path: layout::ARCHIVED.to_owned() };
    let list = ports.repository.read_files(&[list])?.pop().flatten();
    let list = list.ok_or_else(|| unreadable("it has no list of experiments"))?;
    let list = std::str::from_utf8(&list).map_err(|_| unreadable("its list is not text"))?;
    list.lines()
        .map(|line| match line.split_once(' ') {
            Some((id, commit)) if id::is_id(id) => Ok((id.to_owned(), commit.to_owned())),
            _ => Err(unreadable("a line of its list names no experiment")),
        })
        .collect()
}

/// All references below a prefix.
///
/// # Errors
/// When git's references can't be read.
pub fn references(ports: &Ports, prefix: &str) -> Result<Vec<Reference>> {
    let mut all: Vec<Reference> = Vec::new();
    loop {
        let after = all.last().map(|reference| reference.name.clone());
        let page = ports.repository.references(prefix, after.as_deref(), PAGE)?;
        let last = page.len() < PAGE as usize;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

/// One reference by its full name: what it leads to.
///
/// # Errors
/// When git's references can't be read.
pub fn reference(ports: &Ports, name: &str) -> Result<Option<String>> {
    let first = ports.repository.references(name, None, 1)?.pop();
    Ok(first.filter(|reference| reference.name == name).map(|reference| reference.target))
}
