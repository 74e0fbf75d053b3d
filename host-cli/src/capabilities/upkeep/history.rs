//! What the files of a folder are and were, in everything that git leads to.

use std::fs;
use std::path::{Path, PathBuf};

use super::Result;
use crate::capabilities::git::{check_path, command, failure, object_id};
use crate::capabilities::repository::Repository;

/// Bytes of one answer.
const LONGEST: usize = 4 << 20;

/// The contents that files below a folder have, or had: as many from `offset` on as fit one answer; none at the end. Those of
/// experiments, which say themselves what they need, are not among them.
pub fn file_versions(repository: &Repository, folder: &str, offset: u32) -> Result<Vec<Vec<u8>>> {
    check_path(folder)?;
    let git = repository.git()?;
    let mut versions = Vec::new();
    let mut size = 0;
    let mut skip = offset as usize;
    // Whether there is room for more.
    let mut take = |content: &dyn Fn() -> Result<Vec<u8>>| -> Result<bool> {
        if skip > 0 {
            skip -= 1;
            return Ok(true);
        }
        let content = content()?;
        if size + content.len() > LONGEST && !versions.is_empty() {
            return Ok(false);
        }
        size += content.len();
        versions.push(content);
        Ok(true)
    };
    for blob in blobs(repository, folder)? {
        let id = object_id(git, &blob)?;
        let read = || Ok(git.find_object(id).map_err(|error| failure(&error))?.data.clone());
        if !take(&read)? {
            return Ok(versions);
        }
    }
    for worktree in worktrees(repository)? {
        for file in files(&worktree.join(folder)) {
            // What is removed meanwhile is needed no longer.
            let read = || Ok(fs::read(&file).unwrap_or_default());
            if !take(&read)? {
                return Ok(versions);
            }
        }
    }
    Ok(versions)
}

/// The blobs that files below a folder are or were, in commits and in the indexes of worktrees.
fn blobs(repository: &Repository, folder: &str) -> Result<Vec<String>> {
    let root = repository.root();
    let text = |arguments: &[&str]| {
        command::git(root, arguments, b"").map(|answer| String::from_utf8_lossy(&answer).into_owned())
    };
    // Only its reflog has the older entries of the stash.
    let stash = text(&["rev-list", "--walk-reflogs", "--ignore-missing", "refs/stash", "--"]).unwrap_or_default();
    let arguments = [
        "rev-list",
        "--objects",
        "--full-history",
        "--exclude=refs/tags/au/*",
        "--exclude=refs/aurum/*",
        "--exclude=refs/notes/*",
        "--all",
        "--stdin",
        "--",
        folder,
    ];
    let listed = command::git(root, &arguments, stash.as_bytes())?;
    let below = format!("{folder}/");
    let listed = String::from_utf8_lossy(&listed).into_owned();
    // Objects have a path behind them; commits have none.
    let named = listed.lines().filter_map(|line| line.split_once(' ')).filter(|(_, path)| path.starts_with(&below));
    let mut blobs: Vec<String> = named.map(|(id, _)| id.to_owned()).collect();
    for worktree in worktrees(repository)? {
        let staged = command::git(&worktree, &["ls-files", "--stage", "-z", "--", folder], b"").unwrap_or_default();
        let staged = String::from_utf8_lossy(&staged).into_owned();
        blobs.extend(staged.split('\0').filter_map(|entry| entry.split(' ').nth(1)).map(str::to_owned));
    }
    blobs.sort();
    blobs.dedup();
    let kinds: String = blobs.iter().map(|id| format!("{id}\n")).collect();
    let kinds = command::git(root, &["cat-file", "--batch-check=%(objecttype)"], kinds.as_bytes())?;
    let kinds = String::from_utf8_lossy(&kinds).into_owned();
    Ok(blobs.into_iter().zip(kinds.lines()).filter(|(_, kind)| *kind == "blob").map(|(id, _)| id).collect())
}

/// The folders of all worktrees that are there.
fn worktrees(repository: &Repository) -> Result<Vec<PathBuf>> {
    let listed = command::git(repository.root(), &["worktree", "list", "--porcelain", "-z"], b"")?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let paths = listed.split('\0').filter_map(|line| line.strip_prefix("worktree ")).map(PathBuf::from);
    Ok(paths.filter(|path| path.is_dir()).collect())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::capabilities::git::testing::Sample;

    fn versions(sample: &Sample) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let some = file_versions(&sample.open(), "d", u32::try_from(all.len()).unwrap()).unwrap();
            if some.is_empty() {
                break;
            }
            all.extend(some.into_iter().map(|content| String::from_utf8(content).unwrap()));
        }
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn everything_that_git_leads_to_is_looked_at() {
        let sample = Sample::with(&[("d/a", "first"), ("other", "x")]);
        sample.write("d/a", "second");
        sample.git(&["commit", "-qam", "second"]);
        sample.git(&["switch", "-qc", "side", "HEAD^"]);
        sample.write("d/a", "side");
        sample.git(&["commit", "-qam", "side"]);
        sample.git(&["switch", "-q", "main"]);
        // A merge that keeps nothing of the side, and has something of its own.
        sample.git(&["merge", "-q", "-s", "ours", "--no-commit", "side"]);
        sample.write("d/a", "evil");
        sample.git(&["add", "d/a"]);
        sample.git(&["commit", "-qm", "merge"]);
        sample.git(&["branch", "-D", "side"]);
        for text in ["stashed one", "stashed two"] {
            sample.write("d/a", text);
            sample.git(&["stash", "-q"]);
        }
        sample.write("d/b", "staged");
        sample.git(&["add", "d/b"]);
        sample.write("d/b", "edited");
        let tree = sample.root().join("tree");
        sample.git(&["worktree", "add", "-q", "--detach", tree.to_str().unwrap()]);
        fs::write(tree.join("d/c"), "in a worktree").unwrap();
        fs::write(tree.join("d/a"), "detached").unwrap();
        crate::capabilities::git::testing::git_in(&tree, &["commit", "-qam", "detached"]);
        // Experiments say themselves what they need.
        let blob = sample.git(&["rev-parse", "HEAD:other"]);
        let listing = format!("100644 blob {blob}\ta\n");
        let inner = command::git(&sample.root(), &["mktree"], listing.as_bytes()).unwrap();
        let outer = format!("040000 tree {}\td\n", String::from_utf8(inner).unwrap().trim());
        let outer = command::git(&sample.root(), &["mktree"], outer.as_bytes()).unwrap();
        let commit = sample.git(&["commit-tree", String::from_utf8(outer).unwrap().trim(), "-m", "x"]);
        sample.git(&["update-ref", "refs/tags/au/1", &commit]);
        assert_eq!(
            versions(&sample),
            [
                "detached",
                "edited",
                "evil",
                "first",
                "in a worktree",
                "second",
                "side",
                "staged",
                "stashed one",
                "stashed two"
            ]
        );
    }

    #[test]
    fn a_repository_without_a_commit_has_its_files() {
        let sample = Sample::empty();
        assert!(versions(&sample).is_empty());
        sample.write("d/a", "1");
        assert_eq!(versions(&sample), ["1"]);
        assert!(file_versions(&sample.open(), "../x", 0).is_err());
    }
}
