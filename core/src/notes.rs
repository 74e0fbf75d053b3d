//! What is said of experiments after their end: git notes under `refs/notes/aurum`, on the experiments' commits.
//!
//! A note is JSON lines, one a statement, each with the time it was made at. Of statements on one matter the latest holds.
//! Lines are only ever added, so `git notes merge -s cat_sort_uniq` brings two clones together without a conflict, and lines
//! that this version does not know stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalogue;
use crate::error::{PortError, Result};
use crate::ports::{CommitPlan, Location, ObjectId, Ports, Signature};
use crate::{layout, run, time};

/// How often to begin anew when others write notes at the same time.
const PATIENCE: u32 = 64;
/// Digits of an object's name that are a folder of their own, as git has it when there are many notes.
const FOLDER: usize = 2;

/// One statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// RFC 3339 in UTC, to the millisecond.
    pub at: String,
    /// Whether the experiment is removed, and so no longer listed wherever the notes go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<bool>,
}

/// The statements there are, by commit, in the order of their times. Lines that are no statement are passed over.
///
/// # Errors
/// When git can't be read.
pub fn read(ports: &Ports) -> Result<BTreeMap<ObjectId, Vec<Statement>>> {
    let Some(root) = catalogue::reference(ports, layout::NOTES)? else { return Ok(BTreeMap::new()) };
    let mut statements: BTreeMap<ObjectId, Vec<Statement>> = BTreeMap::new();
    let paths = paths(ports, &root, "")?;
    let mut wanted: &[Location] = &paths;
    while let Some(location) = wanted.first() {
        let files = ports.repository.read_files(wanted)?;
        if files.is_empty() {
            return Err(PortError::Other(format!("no answer for the note `{}`", location.path)).into());
        }
        for (file, location) in files.iter().zip(wanted) {
            let text = String::from_utf8_lossy(file.as_deref().unwrap_or_default());
            let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            statements.entry(location.path.replace('/', "")).or_default().extend(lines);
        }
        wanted = &wanted[files.len().min(wanted.len())..];
    }
    for statements in statements.values_mut() {
        statements.sort_by(|a, b| a.at.cmp(&b.at));
    }
    Ok(statements)
}

/// The commits that are removed. Of two statements of the same millisecond, the one that keeps holds.
///
/// # Errors
/// As [`read`].
pub fn removed(ports: &Ports) -> Result<BTreeSet<ObjectId>> {
    let holds = |statements: &[Statement]| {
        let of_removal = statements.iter().filter_map(|statement| Some((&statement.at, !statement.removed?)));
        of_removal.max().is_some_and(|(_, kept)| !kept)
    };
    Ok(read(ports)?.into_iter().filter(|(_, statements)| holds(statements)).map(|(commit, _)| commit).collect())
}

/// States something, now, of each of these commits: one durable commit of notes for all of them.
///
/// # Errors
/// When git can't be written, or others write notes without a pause.
pub fn state(ports: &Ports, commits: &[ObjectId], statement: &Statement) -> Result<()> {
    if commits.is_empty() {
        return Ok(());
    }
    let statement = Statement { at: time::format(ports.clock.now()), ..statement.clone() };
    let line = serde_json::to_string(&statement).map_err(|error| PortError::Other(error.to_string()))?;
    for _ in 0..PATIENCE {
        let before = catalogue::reference(ports, layout::NOTES)?;
        let after = write(ports, before.as_deref(), commits, &line)?;
        match ports.repository_edit.set_reference(layout::NOTES, before.as_deref(), &after, true) {
            Err(PortError::Conflict(_)) => {}
            other => return Ok(other?),
        }
    }
    Err(PortError::Conflict("others write notes all the time".to_owned()).into())
}

fn write(ports: &Ports, before: Option<&str>, commits: &[ObjectId], line: &str) -> Result<ObjectId> {
    let mut tree = ports.repository_edit.begin_tree(before)?;
    for commit in commits {
        let (folder, rest) = commit.split_at_checked(FOLDER).unwrap_or((commit, ""));
        let ours = format!("{folder}/{rest}");
        // git moves notes into folders, and deeper ones, as their number grows.
        let deeper = rest.split_at_checked(FOLDER).map(|(second, rest)| format!("{folder}/{second}/{rest}"));
        let mut text = String::new();
        for path in [Some(commit.clone()), Some(ours.clone()), deeper].into_iter().flatten() {
            let Some(before) = before else { break };
            let location = Location { root: before.to_owned(), path: path.clone() };
            let Some(note) = ports.repository.read_files(&[location])?.pop().flatten() else { continue };
            text.push_str(&String::from_utf8_lossy(&note));
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            tree.remove(&path)?;
        }
        text.push_str(line);
        text.push('\n');
        let mut blob = ports.repository_edit.begin_blob()?;
        blob.write(text.as_bytes())?;
        tree.put(&ours, &blob.finish()?)?;
    }
    Ok(ports.repository_edit.commit(&CommitPlan {
        tree: tree.write()?,
        parents: before.map(str::to_owned).into_iter().collect(),
        signature: Signature {
            identity: run::committer(ports)?,
            seconds: i64::try_from(ports.clock.now() / 1000).unwrap_or(i64::MAX),
            offset_minutes: ports.clock.offset_minutes(),
        },
        message: "Notes of Aurum\n".to_owned(),
    })?)
}

/// Where the notes are, at whatever depth.
fn paths(ports: &Ports, root: &str, folder: &str) -> Result<Vec<Location>> {
    let mut paths = Vec::new();
    for name in ports.repository.list_folder(&Location { root: root.to_owned(), path: folder.to_owned() })? {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            continue;
        }
        if name.len() == FOLDER {
            paths.extend(self::paths(ports, root, &path)?);
        } else {
            paths.push(Location { root: root.to_owned(), path });
        }
    }
    Ok(paths)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::World;

    const REMOVED: Statement = Statement { at: String::new(), removed: Some(true) };
    const KEPT: Statement = Statement { at: String::new(), removed: Some(false) };

    #[test]
    fn the_latest_statement_holds() {
        let world = World::project();
        let ports = world.ports();
        let commits = ["a1".repeat(20), "a2".repeat(20)];
        assert!(removed(&ports).unwrap().is_empty());
        state(&ports, &commits, &REMOVED).unwrap();
        assert_eq!(removed(&ports).unwrap(), BTreeSet::from(commits.clone()));
        state(&ports, &commits[..1], &KEPT).unwrap();
        assert_eq!(removed(&ports).unwrap(), BTreeSet::from([commits[1].clone()]));
        assert_eq!(read(&ports).unwrap()[&commits[0]].len(), 2, "both statements are still there");
    }
}
