//! What is left of writing that was cut off.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Amount, Result, moment};
#[cfg(feature = "network")]
use crate::capabilities::remote::staging;
use crate::capabilities::store::{NEW, Store};
use crate::capabilities::temporaries;

/// For how much longer than anything else it is kept what a server's folder held, since it is asked for when that changes.
const LISTED: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Folders within folders that are looked into.
const DEEPEST: usize = 64;

/// What the store, the project's folder, and the runs and downloads in Aurum's own folder have of it, last touched before; with
/// `remove` it goes.
pub fn clear(root: &Path, own: &Path, store: &Store, before: u64, remove: bool) -> Result<Amount> {
    let before = moment(before);
    let runs = own.join("runs");
    let mut amount = Amount::default();
    let is_old = |found: &Metadata| found.modified().is_ok_and(|touched| touched < before);
    let abandoned = [store.folder(), &runs].into_iter().flat_map(|folder| temporaries::abandoned(folder, NEW));
    for path in abandoned {
        if fs::symlink_metadata(&path).is_ok_and(|found| is_old(&found)) {
            amount.add(size_of(&path));
            if remove {
                temporaries::remove(&path);
            }
        }
    }
    // No call has gone on with these.
    #[cfg(feature = "network")]
    for download in staging::abandoned(&own.join("downloads"), before) {
        amount.add(size_of(&download.folder));
        if remove {
            staging::remove(&download.folder);
        }
    }
    // What servers held that nothing was brought from for so long.
    let long_before = before.checked_sub(LISTED).unwrap_or(SystemTime::UNIX_EPOCH);
    for entry in fs::read_dir(own.join("listings")).into_iter().flatten().flatten() {
        let touched = entry.metadata().and_then(|found| found.modified());
        if touched.is_ok_and(|touched| touched < long_before) {
            amount.add(size_of(&entry.path()));
            if remove {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    in_project(root, before, remove, DEEPEST, &mut amount);
    Ok(amount)
}

/// Files named as those that `au` writes before they get their names. What can't be looked into has none of ours.
fn in_project(folder: &Path, before: SystemTime, remove: bool, depth: usize, amount: &mut Amount) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(kind), name) = (entry.file_type(), entry.file_name()) else { continue };
        if kind.is_dir() {
            if name != ".git" && depth > 0 {
                in_project(&entry.path(), before, remove, depth - 1, amount);
            }
            continue;
        }
        let number = name.to_str().and_then(|name| name.strip_prefix(".aurum-")?.strip_suffix(".tmp"));
        let is_ours = number.is_some_and(|number| {
            let mut parts = number.split('-');
            let is_number = |part: Option<&str>| {
                part.is_some_and(|part| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit()))
            };
            is_number(parts.next()) && is_number(parts.next()) && parts.next().is_none()
        });
        let Ok(found) = entry.metadata() else { continue };
        if is_ours && !kind.is_dir() && found.modified().is_ok_and(|touched| touched < before) {
            amount.add(found.len());
            if remove {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn size_of(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size_of(&entry.path())).sum()
        }
        Ok(found) => found.len(),
        Err(_) => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs::File;

    use super::*;

    const LATER: u64 = 4_000_000_000_000;

    #[test]
    fn only_what_was_cut_off_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join(".git/aurum/store"));
        store.add(&mut "x".as_bytes()).unwrap();
        fs::create_dir_all(folder.path().join("data")).unwrap();
        let path = |name: &str| folder.path().join(name);
        // A run that died before its journal had its name.
        fs::create_dir_all(path(".git/aurum/runs/new-1-2-3")).unwrap();
        fs::write(path(".git/aurum/runs/new-1-2-3/journal"), "123").unwrap();
        fs::create_dir_all(path(".git/aurum/downloads/0123")).unwrap();
        fs::write(path(".git/aurum/downloads/0123/content"), "1234567").unwrap();
        let clear = |before, remove| clear(folder.path(), &path(".git/aurum"), &store, before, remove);
        for name in [
            "data/.aurum-12-0.tmp",
            ".aurum-x-0.tmp",
            "data/.aurum-1.tmp",
            ".git/aurum/store/new-abc",
            ".git/.aurum-1-1.tmp",
        ] {
            fs::write(path(name), "12345").unwrap();
        }
        assert_eq!(clear(0, true).unwrap(), Amount::default());
        for remove in [false, true] {
            assert_eq!(clear(LATER, remove).unwrap(), Amount { count: 4, bytes: 20 });
        }
        assert_eq!(clear(LATER, true).unwrap(), Amount::default());
        let held = store.temporary().unwrap();
        assert_eq!(clear(LATER, true).unwrap(), Amount::default());
        assert!(
            File::open(held.path()).is_ok() && path(".aurum-x-0.tmp").exists() && path(".git/.aurum-1-1.tmp").exists()
        );
    }
}
