//! Whether git has everything that it leads to, in git's own words.

use std::process::Output;

use super::{Amount, Damage, Result};
use crate::capabilities::Error;
use crate::capabilities::git::{command, object_id};
use crate::capabilities::repository::Repository;

/// Of these commits, those that lead to something which git does not have or can't read.
pub fn check_commits(repository: &Repository, commits: &[String]) -> Result<Vec<Damage>> {
    let git = repository.git()?;
    for commit in commits {
        object_id(git, commit)?;
    }
    let mut damages = Vec::new();
    // All at once first, since most share most of their history; where something is wrong, half by half.
    let mut pending = vec![commits];
    while let Some(some) = pending.pop() {
        let Some(what) = first_damage(repository, some)? else { continue };
        match some {
            [] => {}
            [commit] => damages.push(Damage { name: commit.clone(), what }),
            _ => {
                let (left, right) = some.split_at(some.len() / 2);
                pending.extend([right, left]);
            }
        }
    }
    Ok(damages)
}

fn first_damage(repository: &Repository, commits: &[String]) -> Result<Option<String>> {
    if commits.is_empty() {
        return Ok(None);
    }
    let mut input = commits.join("\n");
    input.push('\n');
    let kinds = command::git(repository.root(), &["cat-file", "--batch-check=%(objecttype)"], input.as_bytes())?;
    let kinds = String::from_utf8_lossy(&kinds).into_owned();
    if let Some(kind) = kinds.lines().find(|kind| *kind != "commit") {
        let missing = kind.ends_with(" missing");
        return Ok(Some(if missing { "is missing".to_owned() } else { format!("is no commit: {kind}") }));
    }
    let arguments = ["rev-list", "--objects", "--missing=print", "--quiet", "--stdin"];
    let Output { status, stdout, stderr } = command::run(repository.root(), &arguments, input.as_bytes())?;
    if let Some(line) = String::from_utf8_lossy(&stdout).lines().find_map(|line| line.strip_prefix('?')) {
        return Ok(Some(format!("leads to `{}`, which is missing", line.split(' ').next().unwrap_or(line))));
    }
    if status.success() {
        return Ok(None);
    }
    Ok(Some(format!("leads to what git can't read: {}", one_line(&stderr))))
}

/// The first thing that git says went wrong.
fn one_line(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    let line = words.lines().find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
    let line = line.or(words.lines().next()).unwrap_or_default();
    line.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned()
}

/// What `git fsck` finds wrong with any object.
pub fn check_repository(repository: &Repository) -> Result<Vec<Damage>> {
    repository.git()?;
    let arguments = ["fsck", "--full", "--no-dangling", "--no-progress"];
    let Output { status, stdout, stderr } = command::run(repository.root(), &arguments, b"")?;
    let words = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let mut damages: Vec<Damage> =
        words.lines().filter(|line| !line.starts_with("notice:")).filter_map(damage).collect();
    damages.dedup();
    if damages.is_empty() && !status.success() {
        return Err(Error::Other(format!("`git fsck` failed: {}", words.trim())));
    }
    Ok(damages)
}

/// A line of git's, such as `missing blob 1234…` or `error: 1234…: object corrupt or missing: …`.
fn damage(line: &str) -> Option<Damage> {
    if line.trim().is_empty() || line.starts_with("warning") {
        return None;
    }
    let is_id = |word: &str| word.len() >= 40 && word.bytes().all(|digit| digit.is_ascii_hexdigit());
    let name = line.split([' ', ':', ',']).find(|word| is_id(word)).unwrap_or("git").to_owned();
    Some(Damage { name, what: format!("is not as it should be: {}", line.trim()) })
}

/// References that are there and lead nowhere: torn by a power cut, or to an object that git does not have.
pub fn broken_references(repository: &Repository) -> Result<Vec<Damage>> {
    repository.git()?;
    let arguments = ["for-each-ref", "--format=%(objectname) %(refname)"];
    let Output { stdout, stderr, .. } = command::run(repository.root(), &arguments, b"")?;
    let words = String::from_utf8_lossy(&stderr).into_owned();
    let torn = words.lines().filter_map(|line| line.strip_prefix("warning: ignoring broken ref "));
    let mut damages: Vec<Damage> =
        torn.map(|name| Damage { name: name.to_owned(), what: "is torn: it names no object".to_owned() }).collect();
    let listed = String::from_utf8_lossy(&stdout).into_owned();
    let (ids, names): (Vec<&str>, Vec<&str>) = listed.lines().filter_map(|line| line.split_once(' ')).unzip();
    let mut input = ids.join("\n");
    input.push('\n');
    let kinds = command::git(repository.root(), &["cat-file", "--batch-check=%(objecttype)"], input.as_bytes())?;
    let kinds = String::from_utf8_lossy(&kinds).into_owned();
    for (name, kind) in names.iter().zip(kinds.lines()) {
        if kind.ends_with(" missing") {
            damages.push(Damage { name: (*name).to_owned(), what: "leads to an object that is missing".to_owned() });
        }
    }
    Ok(damages)
}

/// Objects of git that are a file each.
pub fn loose_objects(repository: &Repository) -> Result<Amount> {
    let counted = command::git(repository.root(), &["count-objects", "-v"], b"")?;
    let counted = String::from_utf8_lossy(&counted).into_owned();
    let number = |name: &str| {
        let line = counted.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
    };
    Ok(Amount { count: number("count"), bytes: number("size") << 10 })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

    use super::*;
    use crate::capabilities::git::testing::Sample;

    fn object(sample: &Sample, id: &str) -> std::path::PathBuf {
        sample.root().join(".git/objects").join(&id[..2]).join(&id[2..])
    }

    #[test]
    fn a_commit_that_lacks_something_is_named() {
        let sample = Sample::with(&[("a", "1")]);
        let mut commits = vec![sample.git(&["rev-parse", "HEAD"])];
        for number in 0..9 {
            sample.write("a", &format!("content {number}"));
            sample.git(&["add", "a"]);
            let tree = sample.git(&["write-tree"]);
            commits.push(sample.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "x"]));
        }
        let repository = sample.open();
        assert!(check_commits(&repository, &commits).unwrap().is_empty());
        assert!(check_commits(&repository, &[]).unwrap().is_empty());
        assert!(check_repository(&repository).unwrap().is_empty());
        let blob = sample.git(&["rev-parse", &format!("{}:a", commits[4])]);
        fs::remove_file(object(&sample, &blob)).unwrap();
        let tree = sample.git(&["rev-parse", &format!("{}^{{tree}}", commits[7])]);
        fs::remove_file(object(&sample, &tree)).unwrap();
        let gone = "1".repeat(40);
        commits.push(gone.clone());
        let damages = check_commits(&repository, &commits).unwrap();
        let names: Vec<_> = damages.iter().map(|damage| &damage.name).collect();
        assert_eq!(names, [&commits[4], &commits[7], &gone]);
        assert!(damages[0].what.contains(&blob), "{damages:?}");
        assert!(check_commits(&repository, &["main".into()]).is_err());
    }

    #[test]
    fn a_content_that_is_damaged_is_found_by_reading_it() {
        let sample = Sample::with(&[("a", "1")]);
        let blob = sample.git(&["rev-parse", "HEAD:a"]);
        let other = sample.git(&["rev-parse", "HEAD^{tree}"]);
        fs::remove_file(object(&sample, &blob)).unwrap();
        fs::copy(object(&sample, &other), object(&sample, &blob)).unwrap();
        let damages = check_repository(&sample.open()).unwrap();
        assert!(damages.iter().any(|damage| damage.name == blob), "{damages:?}");
    }

    #[test]
    fn torn_references_are_told() {
        let sample = Sample::with(&[("a", "1")]);
        sample.git(&["tag", "au/1"]);
        fs::write(sample.root().join(".git/refs/tags/au/2"), "").unwrap();
        fs::write(sample.root().join(".git/refs/tags/au/3"), format!("{}\n", "1".repeat(40))).unwrap();
        let damages = broken_references(&sample.open()).unwrap();
        let names: Vec<_> = damages.iter().map(|damage| damage.name.as_str()).collect();
        assert_eq!(names, ["refs/tags/au/2", "refs/tags/au/3"], "{damages:?}");
        assert!(loose_objects(&sample.open()).unwrap().count >= 3);
    }
}
