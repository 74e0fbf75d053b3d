//! Living beside `git gc`.
//!
//! `git gc` looks at the references first and removes what they don't lead to later, how old that is notwithstanding when it
//! is told `--prune=now`. What was written before a reference led to it can so be removed although one does by now. Whoever has
//! set a reference asks here whether that happened, and whether it still may.

use std::fs;
use std::path::Path;
use std::time::Duration;

use gix::ObjectId;
use gix::objs::Kind;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::{closure, command, failure, loose};
use crate::capabilities::{Error, Result};

/// git takes the lock of a `git gc` that is older for one that was left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(12 * 60 * 60);

/// `git gc --prune=now` removes also what a git is writing to.
const TRIES: usize = 8;

/// Keeps what a reference names by now, as far as `base` has it not, from a `git gc` that began before. False when some of it
/// is gone.
pub(crate) fn shield(repository: &gix::Repository, target: ObjectId, base: Option<ObjectId>) -> Result<bool> {
    // First: one that begins after this sees the reference, and what is there below stays.
    let in_progress = gc_in_progress(repository.common_dir());
    let Some(objects) = whole(repository, target, base)? else { return Ok(false) };
    if !in_progress {
        return Ok(true);
    }
    // It removes loose objects, and packs that were there when it began: a new pack is neither.
    let mut packed = Ok(());
    for _ in 0..TRIES {
        packed = pack(repository, &objects);
        if whole(repository, target, base)?.is_none() {
            return Ok(false);
        }
        if packed.is_ok() {
            break;
        }
    }
    packed.map(|()| true)
}

/// The objects of a target that `base` has not; none unless all are there.
fn whole(repository: &gix::Repository, target: ObjectId, base: Option<ObjectId>) -> Result<Option<Vec<ObjectId>>> {
    // gix goes on reading a pack that was removed, until it looks for what is nowhere.
    repository.has_object(ObjectId::null(repository.object_hash()));
    let mut objects = Vec::new();
    let gathered = gather(repository, target, base, &mut objects);
    match gathered {
        Err(Error::Missing(_)) => Ok(None),
        other => other.map(|()| objects.iter().all(|id| repository.has_object(id)).then_some(objects)),
    }
}

fn gather(
    repository: &gix::Repository,
    target: ObjectId,
    base: Option<ObjectId>,
    objects: &mut Vec<ObjectId>,
) -> Result<()> {
    let tree = match is_commit(repository, target)? {
        true => {
            objects.push(target);
            closure::tree_of(repository, target)?
        }
        false => target,
    };
    let base = base.and_then(|base| match is_commit(repository, base).ok()? {
        true => closure::tree_of(repository, base).ok(),
        false => Some(base),
    });
    closure::visit(repository, tree, base, &mut |id| {
        objects.push(id);
        Ok(true)
    })
}

fn is_commit(repository: &gix::Repository, id: ObjectId) -> Result<bool> {
    if id == ObjectId::empty_tree(id.kind()) {
        return Ok(false);
    }
    Ok(repository.find_header(id).map_err(|error| failure(&error))?.kind() == Kind::Commit)
}

fn pack(repository: &gix::Repository, objects: &[ObjectId]) -> Result<()> {
    let list: String = objects.iter().map(|id| format!("{id}\n")).collect();
    let name = loose::folder_of_objects(repository).join("pack/pack");
    let name = name.to_str().ok_or_else(|| Error::Other(format!("`{}` is not UTF-8", name.display())))?;
    // Objects of another repository that this one borrows from are that one's to keep.
    command::git(repository.common_dir(), &["pack-objects", "--quiet", "--local", "--threads=1", name], list.as_bytes())
        .map(drop)
}

/// Whether a `git gc` holds its lock, by git's own rules.
fn gc_in_progress(common_dir: &Path) -> bool {
    let path = common_dir.join("gc.pid");
    let Ok(holder) = fs::read_to_string(&path) else { return false };
    let age = fs::metadata(&path).ok().and_then(|found| found.modified().ok()?.elapsed().ok());
    if age.is_some_and(|age| age > LEFT_BEHIND) {
        return false;
    }
    let Some((process, host)) = holder.trim().split_once(' ') else { return false };
    let is_here = rustix::system::uname().nodename().to_bytes() == host.as_bytes();
    let Some(process) = process.parse().ok().and_then(Pid::from_raw) else { return false };
    !is_here || test_kill_process(process) != Err(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::process::{Command, Stdio};

    use super::super::testing::Sample;
    use super::*;

    /// A `git gc` in progress: a process, and the lock that git would have taken for it.
    struct Gc(std::process::Child);

    impl Gc {
        fn begin(sample: &Sample) -> Self {
            let process = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
            let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
            fs::write(sample.root().join(".git/gc.pid"), format!("{} {host}", process.id())).unwrap();
            Self(process)
        }
    }

    impl Drop for Gc {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    fn commit(sample: &Sample) -> (ObjectId, ObjectId) {
        sample.write("a/b", "new");
        sample.git(&["add", "-A"]);
        sample.git(&["commit", "-qm", "second"]);
        let id = |name: &str| ObjectId::from_hex(sample.git(&["rev-parse", name]).as_bytes()).unwrap();
        (id("HEAD"), id("HEAD~"))
    }

    fn packs(sample: &Sample) -> usize {
        let names = fs::read_dir(sample.root().join(".git/objects/pack")).unwrap();
        names.filter(|name| name.as_ref().unwrap().path().extension().is_some_and(|end| end == "pack")).count()
    }

    #[test]
    fn whoever_began_before_can_not_take_what_is_packed() {
        let sample = Sample::with(&[("a/c", "1")]);
        let (target, base) = commit(&sample);
        let opened = sample.open();
        let repository = opened.git().unwrap();
        assert!(shield(repository, target, Some(base)).unwrap());
        assert_eq!(packs(&sample), 0, "nobody is at it");
        let gc = Gc::begin(&sample);
        assert!(shield(repository, target, Some(base)).unwrap());
        assert_eq!(packs(&sample), 1);
        let mut objects = Vec::new();
        gather(repository, target, Some(base), &mut objects).unwrap();
        assert_eq!(objects.len(), 4, "a commit, two trees and a blob");
        for id in objects {
            fs::remove_file(loose::path(repository, &id)).unwrap();
        }
        drop(gc);
        assert!(shield(repository, target, Some(base)).unwrap(), "the lock of a dead one is none");
        sample.git(&["fsck", "--strict", "--full"]);
    }

    #[test]
    fn what_is_gone_is_noticed_be_it_from_a_pack() {
        let sample = Sample::with(&[("a/c", "1")]);
        let (target, base) = commit(&sample);
        let opened = sample.open();
        let repository = opened.git().unwrap();
        let blob = ObjectId::from_hex(sample.git(&["rev-parse", "HEAD:a/b"]).as_bytes()).unwrap();
        sample.git(&["repack", "-adq"]);
        sample.git(&["prune-packed"]);
        assert!(shield(repository, target, Some(base)).unwrap());
        let content = repository.find_blob(blob).unwrap().data.clone();
        for entry in fs::read_dir(sample.root().join(".git/objects/pack")).unwrap() {
            let path = entry.unwrap().path();
            fs::rename(&path, sample.root().join(".git").join(path.file_name().unwrap())).unwrap();
        }
        assert!(!shield(repository, target, Some(base)).unwrap());
        // And then it is written again.
        let mut batch = loose::Batch::new(repository);
        batch.add(Kind::Blob, content.len() as u64, content.as_slice(), blob).unwrap();
        batch.settle().unwrap();
        assert!(loose::path(repository, &blob).exists());
    }

    #[test]
    fn a_lock_is_somebodys_or_nobodys() {
        let sample = Sample::empty();
        let git = sample.root().join(".git");
        assert!(!gc_in_progress(&git));
        for (content, held) in [("1 elsewhere", true), ("", false), ("x y", false), ("999999999 elsewhere", true)] {
            fs::write(git.join("gc.pid"), content).unwrap();
            assert_eq!(gc_in_progress(&git), held, "{content}");
        }
        let file = fs::File::open(git.join("gc.pid")).unwrap();
        file.set_modified(std::time::SystemTime::now() - LEFT_BEHIND - Duration::from_secs(60)).unwrap();
        assert!(!gc_in_progress(&git));
    }
}
