//! Many references changed at once, by the `git` program: it takes all locks first, and syncs packed-refs before that takes the
//! place of the former one, without which a power cut may lose every packed reference.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use gix::ObjectId;
use gix::refs::FullName;

use super::references::check_name;
use super::{command, durable, failure, object_id};
use crate::capabilities::{Error, Result};

/// A reference and where it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceChange {
    /// The full name.
    pub name: String,
    /// Where it is now; none if it does not exist.
    pub expected: Option<String>,
    /// Where it is to be; none removes it.
    pub target: Option<String>,
}

/// Changes all of them or none.
pub(crate) fn change(repository: &gix::Repository, root: &Path, changes: &[ReferenceChange]) -> Result<()> {
    let null = repository.object_hash().null();
    let mut input = Vec::new();
    for change in changes {
        check_name(&change.name)?;
        let expected = change.expected.as_deref().map(|id| object_id(repository, id)).transpose()?;
        let target = change.target.as_deref().map(|id| object_id(repository, id)).transpose()?;
        let expected = expected.map_or(Ok(null), |expected| direct(repository, &change.name, expected))?;
        let line = match target {
            _ if change.expected == change.target => format!("verify {}\0{expected}\0", change.name),
            Some(target) => format!("update {}\0{target}\0{expected}\0", change.name),
            None => format!("delete {}\0{expected}\0", change.name),
        };
        input.extend_from_slice(line.as_bytes());
    }
    let names: Vec<_> = changes.iter().map(|change| change.name.as_str()).collect();
    run(repository, root, &input, &names)
}

/// Removes all of them, wherever they are.
pub(crate) fn remove(repository: &gix::Repository, root: &Path, names: &[&str]) -> Result<()> {
    let input: String = names.iter().map(|name| format!("delete {name}\0\0")).collect();
    run(repository, root, input.as_bytes(), names)
}

fn run(repository: &gix::Repository, root: &Path, input: &[u8], names: &[&str]) -> Result<()> {
    if input.is_empty() {
        return Ok(());
    }
    let arguments = [
        "-c",
        "core.fsync=committed,reference",
        "-c",
        "core.fsyncMethod=fsync",
        "update-ref",
        "--no-deref",
        "--stdin",
        "-z",
    ];
    match command::patiently(".lock': File exists", || command::git(root, &arguments, input)) {
        Err(Error::Other(words)) if is_elsewhere(&words) => return Err(Error::Conflict(words)),
        other => drop(other?),
    }
    sync_folders(repository, names)
}

/// What the reference itself holds, which for an annotated tag is not what it leads to.
fn direct(repository: &gix::Repository, name: &str, expected: ObjectId) -> Result<ObjectId> {
    let full = FullName::try_from(name).map_err(|error| Error::other(&error))?;
    let found = repository.try_find_reference(full.as_ref().as_partial_name()).map_err(|error| failure(&error))?;
    let Some(mut found) = found else { return Ok(expected) };
    let held = found.target().try_id().map(ToOwned::to_owned);
    match (held, found.peel_to_id()) {
        (Some(held), Ok(peeled)) if peeled == expected => Ok(held),
        _ => Ok(expected),
    }
}

fn is_elsewhere(words: &str) -> bool {
    ["but expected", "reference already exists", "unable to resolve reference"]
        .iter()
        .any(|refusal| words.contains(refusal))
}

/// git syncs what it writes, and not the folders that hold the names.
fn sync_folders(repository: &gix::Repository, names: &[&str]) -> Result<()> {
    let common = repository.common_dir();
    let mut folders = BTreeSet::from([common.to_owned()]);
    for name in names {
        let path: PathBuf = common.join(name);
        let above = path.ancestors().skip(1).take_while(|folder| *folder != common && folder.starts_with(common));
        folders.extend(above.filter(|folder| folder.is_dir()).map(Path::to_owned));
    }
    folders.iter().try_for_each(|folder| durable::folder(folder))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;
    use std::thread;
    use std::time::Duration;

    use super::super::testing::Sample;
    use super::*;
    use crate::capabilities::repository_edit::change_references;

    fn of(name: &str, expected: Option<&str>, target: Option<&str>) -> ReferenceChange {
        ReferenceChange { name: name.into(), expected: expected.map(Into::into), target: target.map(Into::into) }
    }

    #[test]
    fn all_are_changed_or_none() {
        let sample = Sample::with(&[("a", "1")]);
        let one = sample.git(&["rev-parse", "HEAD"]);
        let two = sample.git(&["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "second"]);
        let repository = sample.open();
        let change = |changes: &[ReferenceChange]| change_references(&repository, changes);
        change(&[of("refs/aurum/trash/1", None, Some(&one)), of("refs/tags/au/1", None, Some(&one))]).unwrap();
        sample.git(&["tag", "-m", "words", "au/2", &one]);
        sample.git(&["pack-refs", "--all"]);
        let wrong = [of("refs/tags/au/1", Some(&one), None), of("refs/aurum/trash/1", Some(&two), None)];
        assert!(matches!(change(&wrong), Err(Error::Conflict(_))));
        let taken = [of("refs/tags/au/1", Some(&one), None), of("refs/aurum/trash/1", None, Some(&two))];
        assert!(matches!(change(&taken), Err(Error::Conflict(_))));
        let gone = [of("refs/tags/au/1", Some(&one), None), of("refs/tags/au/9", Some(&two), None)];
        assert!(matches!(change(&gone), Err(Error::Conflict(_))));
        assert_eq!(sample.git(&["rev-parse", "au/1", "refs/aurum/trash/1"]), format!("{one}\n{one}"));
        change(&[
            of("refs/tags/au/1", Some(&one), None),
            of("refs/tags/au/2", Some(&one), None),
            of("refs/tags/au/3", None, None),
            of("refs/heads/main", Some(&one), Some(&one)),
            of("refs/aurum/trash/1", Some(&one), Some(&two)),
        ])
        .unwrap();
        assert_eq!(
            sample.git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/tags", "refs/aurum"]),
            format!("refs/aurum/trash/1 {two}")
        );
        for name in ["HEAD", "main", "refs/bisect/x"] {
            assert!(change(&[of(name, None, Some(&one))]).is_err(), "{name}");
        }
    }

    #[test]
    fn a_lock_of_somebody_elses_is_waited_for() {
        let sample = Sample::with(&[("a", "1")]);
        let one = sample.git(&["rev-parse", "HEAD"]);
        fs::create_dir_all(sample.root().join(".git/refs/tags/au")).unwrap();
        let lock = sample.root().join(".git/refs/tags/au/1.lock");
        fs::write(&lock, "").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                fs::remove_file(&lock).unwrap();
            });
            change_references(&sample.open(), &[of("refs/tags/au/1", None, Some(&one))]).unwrap();
        });
        assert_eq!(sample.git(&["rev-parse", "au/1"]), one);
    }
}
