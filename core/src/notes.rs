//! What is said of experiments after their end: git notes under `refs/notes/aurum`, on the experiments' commits.
//!
//! A note is JSON lines, one a statement, each with the time it was made at. Of statements on one matter the latest holds.
//! Lines are only ever added, so `git notes merge -s cat_sort_uniq` brings two clones together without a conflict, and lines
//! that this version does not know stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalogue;
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::ports::{CommitPlan, Location, ObjectId, Ports, Signature};
use crate::{layout, run, time};

/// How often to begin anew when others write notes at the same time.
const PATIENCE: u32 = 64;
/// Digits of an object's name that are a folder of their own, as git has it when there are many notes.
const FOLDER: usize = 2;
/// How deep such folders are looked for: git itself goes a level deeper each time their number grows 256-fold.
const DEEPEST: usize = 4;
/// Notes looked up at once.
const BATCH: usize = 256;
/// Notes and folders of them: a few trees that hold each other can look like more than any memory holds.
const MOST: usize = 500_000;
/// Characters of the longest path of folders that an object's name can be cut into. Who goes deeper means mischief.
const LONGEST_FOLDER: usize = 64 / FOLDER * (FOLDER + 1);

/// One statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// RFC 3339 in UTC, to the millisecond.
    pub at: String,
    /// Whether the experiment is removed, and so no longer listed wherever the notes go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<bool>,
    /// Of an archive: whether it was taken apart, so that its experiments have tags wherever the notes go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfolded: Option<bool>,
}

impl Statement {
    /// That an experiment is removed, or is not.
    pub fn removed(removed: bool) -> Self {
        Self { removed: Some(removed), ..Self::default() }
    }

    /// That an archive was taken apart, or is one again.
    pub fn unfolded(unfolded: bool) -> Self {
        Self { unfolded: Some(unfolded), ..Self::default() }
    }
}

/// The statements there are, by commit, in the order of their times. Lines that are no statement are passed over.
///
/// # Errors
/// When git can't be read.
pub fn read(ports: &Ports) -> Result<BTreeMap<ObjectId, Vec<Statement>>> {
    match catalogue::reference(ports, layout::NOTES)? {
        Some(root) => read_at(ports, &root),
        None => Ok(BTreeMap::new()),
    }
}

/// The statements of one commit of notes, whoever made it.
///
/// # Errors
/// When git can't be read, or a note is larger than a host hands over.
pub(crate) fn read_at(ports: &Ports, root: &str) -> Result<BTreeMap<ObjectId, Vec<Statement>>> {
    let mut statements: BTreeMap<ObjectId, Vec<Statement>> = BTreeMap::new();
    let paths = paths(ports, root)?;
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

/// The commits that are removed, each with the time of that. Of two statements of the same millisecond, the one that keeps holds.
///
/// # Errors
/// As [`read`].
pub fn removals(ports: &Ports) -> Result<BTreeMap<ObjectId, String>> {
    said(ports, |statement| statement.removed)
}

/// The commits of archives that were taken apart. Of two statements of the same millisecond, the one that keeps the archive holds.
///
/// # Errors
/// As [`read`].
pub fn unfolded(ports: &Ports) -> Result<BTreeSet<ObjectId>> {
    Ok(said(ports, |statement| statement.unfolded)?.into_keys().collect())
}

/// The commits of which the latest statement on a matter is that it is so, each with its time.
fn said(ports: &Ports, matter: impl Fn(&Statement) -> Option<bool>) -> Result<BTreeMap<ObjectId, String>> {
    let latest = |statements: &[Statement]| {
        let on_it = statements.iter().filter_map(|statement| Some((&statement.at, !matter(statement)?)));
        on_it.max().filter(|(_, denied)| !denied).map(|(at, _)| at.clone())
    };
    let statements = read(ports)?.into_iter();
    Ok(statements.filter_map(|(commit, statements)| Some((commit, latest(&statements)?))).collect())
}

/// The commits that are removed, as [`removals`] has them.
///
/// # Errors
/// As [`read`].
pub fn removed(ports: &Ports) -> Result<BTreeSet<ObjectId>> {
    Ok(removals(ports)?.into_keys().collect())
}

/// States something, now, of each of these commits: one durable commit of notes for all of them.
///
/// # Errors
/// When git can't be written, or others write notes without a pause.
pub fn state(ports: &Ports, commits: &[ObjectId], statement: &Statement) -> Result<()> {
    if commits.is_empty() {
        return Ok(());
    }
    for _ in 0..PATIENCE {
        let before = catalogue::reference(ports, layout::NOTES)?;
        let after = write(ports, before.as_deref(), commits, statement)?;
        match ports.repository_edit.set_reference(layout::NOTES, before.as_deref(), &after, true) {
            Err(PortError::Conflict(_)) => {}
            other => return Ok(other?),
        }
    }
    Err(PortError::Conflict("others write notes all the time".to_owned()).into())
}

fn write(ports: &Ports, before: Option<&str>, commits: &[ObjectId], statement: &Statement) -> Result<ObjectId> {
    let now = ports.clock.now();
    let mut tree = ports.repository_edit.begin_tree(before)?;
    for batch in commits.chunks(BATCH) {
        let former = former(ports, before, batch)?;
        for (commit, former) in batch.iter().zip(former) {
            let mut text = String::new();
            for (path, note) in former {
                text.push_str(&note);
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                tree.remove(&path)?;
            }
            text.push_str(&line(&text, now, statement)?);
            text.push('\n');
            let mut blob = ports.repository_edit.begin_blob()?;
            blob.write(text.as_bytes())?;
            tree.put(&spelling(commit, 1), &blob.finish()?)?;
        }
    }
    Ok(ports.repository_edit.commit(&CommitPlan {
        tree: tree.write()?,
        parents: before.map(str::to_owned).into_iter().collect(),
        signature: Signature {
            identity: run::committer(ports)?,
            seconds: i64::try_from(now / 1000).unwrap_or(i64::MAX),
            offset_minutes: ports.clock.offset_minutes(),
        },
        message: "Notes of Aurum\n".to_owned(),
    })?)
}

/// The statement as a line behind others. Where the clock went back since, it is made later than these all the same: it is
/// meant to hold.
fn line(former: &str, now: u64, statement: &Statement) -> Result<String> {
    let times = former.lines().filter_map(|line| time::parse(&serde_json::from_str::<Statement>(line).ok()?.at));
    let at = times.max().map_or(now, |latest| now.max(latest.saturating_add(1)));
    serde_json::to_string(&Statement { at: time::format(at), ..statement.clone() })
        .map_err(|error| PortError::Other(error.to_string()).into())
}

/// What is noted of each of these commits so far, and where: git merges notes at different depths, so there may be several.
fn former(ports: &Ports, root: Option<&str>, commits: &[ObjectId]) -> Result<Vec<Vec<(String, String)>>> {
    let mut found = vec![Vec::new(); commits.len()];
    let Some(root) = root else { return Ok(found) };
    let (mut owners, mut locations) = (Vec::new(), Vec::new());
    for (at, commit) in commits.iter().enumerate() {
        for depth in 0..=DEEPEST {
            owners.push(at);
            locations.push(Location { root: root.to_owned(), path: spelling(commit, depth) });
        }
    }
    let mut begin = 0;
    while begin < locations.len() {
        let files = ports.repository.read_files(&locations[begin..])?;
        if files.is_empty() {
            return Err(PortError::Other("no answer for the notes".to_owned()).into());
        }
        for file in files {
            if let Some(note) = file {
                let text = String::from_utf8_lossy(&note).into_owned();
                found[owners[begin]].push((locations[begin].path.clone(), text));
            }
            begin += 1;
        }
    }
    Ok(found)
}

/// The path of a commit's note, so many folders deep.
fn spelling(commit: &str, depth: usize) -> String {
    let mut path = String::with_capacity(commit.len() + depth);
    for (at, digit) in commit.chars().enumerate() {
        if at > 0 && at % FOLDER == 0 && at / FOLDER <= depth {
            path.push('/');
        }
        path.push(digit);
    }
    path
}

/// Where the notes are, at whatever depth.
fn paths(ports: &Ports, root: &str) -> Result<Vec<Location>> {
    let mut paths = Vec::new();
    let mut folders = vec![String::new()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        seen += 1;
        // Each folder leads to a note, a few levels deeper at most: trees that hold each other seem to have no end.
        if paths.len() > MOST || seen > LONGEST_FOLDER * (paths.len() + 1) {
            let message = format!("There are more notes than {MOST}, or what looks like so many");
            return Err(Failure::new(FailureKind::LimitReached, message));
        }
        for name in ports.repository.list_folder(&Location { root: root.to_owned(), path: folder.clone() })? {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                continue;
            }
            if name.len() > FOLDER {
                paths.push(Location { root: root.to_owned(), path });
            } else if name.len() == FOLDER && path.len() <= LONGEST_FOLDER {
                folders.push(path);
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::World;

    const REMOVED: Statement = Statement { at: String::new(), removed: Some(true), unfolded: None };
    const KEPT: Statement = Statement { at: String::new(), removed: Some(false), unfolded: None };

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

    #[test]
    fn a_clock_that_went_back_does_not_undo_what_is_said_later() {
        let world = World::project();
        let ports = world.ports();
        let commit = ["a1".repeat(20)];
        for said in [&REMOVED, &KEPT, &REMOVED] {
            world.set_clock(1_600_000_000_000);
            state(&ports, &commit, said).unwrap();
            assert_eq!(removed(&ports).unwrap().len(), usize::from(said.removed == Some(true)));
        }
    }

    #[test]
    fn paths_have_as_many_folders_as_they_are_deep() {
        assert_eq!(spelling("abcdef", 0), "abcdef");
        assert_eq!(spelling("abcdef", 1), "ab/cdef");
        assert_eq!(spelling("abcdef", 2), "ab/cd/ef");
    }
}
