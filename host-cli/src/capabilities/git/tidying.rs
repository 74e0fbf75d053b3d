//! Having git put its house in order, without anybody waiting for it.
//!
//! Each run leaves some eight small files and a tag. git packs such files when its own commands have written many, and a run is none
//! of its commands. So who reads has git look, in the background.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::command;
use crate::capabilities::repository::Repository;

/// Objects with a file each that git puts up with, unless `gc.auto` says otherwise.
const OBJECTS: i64 = 6_700;
/// Tags with a file each that are put up with.
const TAGS: usize = 1_000;
/// How often to look at most.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// Starts git in the background if there is much to pack, unless the user's settings forbid it; right before it calls `clear`, which lets go
/// of what is not worth packing. Never fails: all is right without it.
pub(crate) fn tidy(root: &Path, clear: impl FnOnce()) {
    // In a linked worktree it is a file; the main one sees to it.
    let git = root.join(".git");
    let count = |folder: &str, most: usize| fs::read_dir(git.join(folder)).map_or(0, |names| names.take(most).count());
    // As git itself guesses: a 256th of all objects is in each folder.
    let objects = 256 * i64::try_from(count("objects/17", 10_000)).unwrap_or_default();
    let loose_tags = count("refs/tags/au", TAGS + 1) > TAGS;
    if (objects <= OBJECTS && !loose_tags) || !is_time(&git.join("aurum/maintenance")) {
        return;
    }
    let repository = Repository::new(root);
    let Ok(opened) = repository.git() else { return };
    let settings = opened.config_snapshot();
    let limit = settings.integer("gc.auto").unwrap_or(OBJECTS);
    if limit <= 0 || settings.boolean("maintenance.auto") == Some(false) {
        return;
    }
    let work: &[&str] = match objects > limit {
        // It asks git's own limits again, and packs references too.
        true => &["gc", "--auto", "--quiet"],
        false if loose_tags => &["pack-refs", "--all"],
        false => return,
    };
    clear();
    command::start(root, work);
}

/// Whether the last time is long enough ago. If so, this is the last time from now on.
fn is_time(stamp: &Path) -> bool {
    let last = fs::metadata(stamp).and_then(|found| found.modified());
    let now = SystemTime::now();
    // One of a clock that went back since counts as long ago.
    if last.is_ok_and(|last| now.duration_since(last).is_ok_and(|since| since < PAUSE)) {
        return false;
    }
    // Where it can't be written, git could not write either.
    fs::write(stamp, b"").is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::Sample;
    use super::*;

    fn packed(sample: &Sample) -> bool {
        for _ in 0..200 {
            // git removes the folder with the last of them.
            if !sample.root().join(".git/refs/tags/au").exists() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        false
    }

    #[test]
    fn many_tags_are_packed_unless_the_user_does_not_want_that_and_once_an_hour() {
        let sample = Sample::with(&[("a", "1")]);
        let head = sample.git(&["rev-parse", "HEAD"]);
        let folder = sample.root().join(".git/refs/tags/au");
        fs::create_dir_all(sample.root().join(".git/aurum")).unwrap();
        let fill = || {
            fs::create_dir_all(&folder).unwrap();
            (0..=TAGS).for_each(|number| fs::write(folder.join(number.to_string()), format!("{head}\n")).unwrap());
        };
        fill();
        let stamp = sample.root().join(".git/aurum/maintenance");
        sample.git(&["config", "gc.auto", "0"]);
        tidy(&sample.root(), || {});
        std::thread::sleep(Duration::from_millis(300));
        assert!(folder.join("0").exists());
        sample.git(&["config", "--unset", "gc.auto"]);
        fs::remove_file(&stamp).unwrap();
        let mut cleared = false;
        tidy(&sample.root(), || cleared = true);
        assert!(cleared && packed(&sample));
        fill();
        tidy(&sample.root(), || {});
        std::thread::sleep(Duration::from_millis(300));
        assert!(folder.join("0").exists(), "it was done within the hour");
    }

    #[test]
    fn little_is_left_as_it_is() {
        let sample = Sample::with(&[("a", "1")]);
        tidy(&sample.root(), || {});
        assert!(!sample.root().join(".git/aurum").exists());
    }
}
