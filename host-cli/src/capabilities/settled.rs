//! What is on stable storage without having been asked for.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::sharing::create_dir_all;

/// What has not changed for so long was written by the system itself; Linux lets nothing wait for longer than about half a minute,
/// or ten where it spares a laptop's disk.
pub(super) const AFTER: Duration = Duration::from_secs(15 * 60);

/// Whether a file was written, and got its name, so long ago that a sync has nothing to do. Its content's own time says nothing: a copy
/// has that of its original.
pub(crate) fn is_file_settled(found: &Metadata) -> bool {
    let changed = u64::try_from(found.ctime())
        .ok()
        .and_then(|ctime| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(ctime)));
    changed.is_some_and(is_long_ago)
}

/// Whether a folder was made so long ago that its name, and those of the folders above it, are on stable storage.
pub(crate) fn is_folder_settled(folder: &Path) -> bool {
    fs::metadata(folder).and_then(|found| found.created()).is_ok_and(is_long_ago)
}

fn is_long_ago(time: SystemTime) -> bool {
    // A time in the future says nothing.
    time.elapsed().is_ok_and(|age| age > AFTER)
}

/// Makes the names within a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()
}

/// Makes a folder and those above it, each known to the one that holds it after a power cut too.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    create_dir_all(folder)?.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Makes a file's name durable, and those of at most so many folders that it is in: whoever made one of them may have died before it
/// was synced.
pub(crate) fn sync_names(file: &Path, folders: usize) -> io::Result<()> {
    for folder in file.ancestors().skip(1).take(folders) {
        sync_folder(folder)?;
        if is_folder_settled(folder) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_is_settled_and_a_copys_age_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - 10 * AFTER).unwrap();
        assert!(!is_file_settled(&fs::metadata(&path).unwrap()));
        assert!(!is_folder_settled(folder.path()));
        assert!(is_long_ago(SystemTime::now() - 2 * AFTER));
        assert!(!is_long_ago(SystemTime::now() + 2 * AFTER));
        sync_names(&path, 3).unwrap();
    }
}
