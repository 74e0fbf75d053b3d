//! What becomes of experiments after their end: removing them and bringing them back, folding them into archives, clearing what
//! nothing needs any more, and checking what there is.
//!
//! | module | idea |
//! | --- | --- |
//! | [`removal`] | `au rm`: a tombstone that goes wherever the notes go |
//! | [`trash`] | `au restore`: what can be brought back, for how long, and bringing it back |
//! | [`archive`] | `au archive`: many experiments under one reference, and each under its own again |
//! | [`collection`] | `au gc`: clearing what nothing needs any more |
//! | [`verify`] | `au verify`: whether everything is whole |
//! | [`holdings`] | what holds an experiment's commit, listed or not |
//! | [`age`] | how long ago, and since when |

pub mod age;
pub mod archive;
pub mod collection;
mod digests;
pub mod holdings;
pub mod removal;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
pub mod trash;
pub mod verify;

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue;
use crate::error::{PortError, Result};
use crate::ports::{Ports, ReferenceChange};

/// How often to begin anew when others change the same references.
const PATIENCE: u32 = 64;
/// Experiments whose references are changed at once: more would be too much for one call on the host.
const MOST: usize = 5_000;

/// Makes the changes that fit how things stand, and looks again each time that somebody else was first.
///
/// A change that is to stay as it is guards the others: nothing lets go of a commit unless what else holds it is there in the same
/// moment. So whoever removes, restores, archives or clears at once, each commit is held at all times.
fn settle(ports: &Ports, look: &mut dyn FnMut() -> Result<Vec<ReferenceChange>>) -> Result<()> {
    let mut refused = String::new();
    for _ in 0..PATIENCE {
        let changes = look()?;
        if changes.is_empty() {
            return Ok(());
        }
        match ports.repository_edit.change_references(&changes) {
            Err(PortError::Conflict(why)) => refused = why,
            other => return Ok(other?),
        }
    }
    Err(PortError::Conflict(refused).into())
}

/// The same again and again, until nothing is left to change.
fn settle_all(ports: &Ports, look: &mut dyn FnMut() -> Result<Vec<ReferenceChange>>) -> Result<()> {
    let mut left = true;
    while left {
        settle(ports, &mut || {
            let changes = look()?;
            left = !changes.is_empty();
            Ok(changes)
        })?;
    }
    Ok(())
}

/// What the references below a prefix lead to, of these experiments, by id. There may be a million others.
fn targets(ports: &Ports, prefix: &str, ids: &BTreeSet<&str>) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    catalogue::each_below(ports, prefix, &mut |id, target| {
        if ids.contains(id) {
            found.insert(id.to_owned(), target.to_owned());
        }
    })?;
    Ok(found)
}

/// The ids among experiments that are given with their commits.
fn ids_of(experiments: &[(String, String)]) -> BTreeSet<&str> {
    experiments.iter().map(|(id, _)| id.as_str()).collect()
}

fn guard(name: String, target: &str) -> ReferenceChange {
    ReferenceChange { name, expected: Some(target.to_owned()), target: Some(target.to_owned()) }
}

fn make(name: String, target: &str) -> ReferenceChange {
    ReferenceChange { name, expected: None, target: Some(target.to_owned()) }
}

fn drop_it(name: String, target: &str) -> ReferenceChange {
    ReferenceChange { name, expected: Some(target.to_owned()), target: None }
}
