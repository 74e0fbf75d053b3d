//! Bytes derived from what git has; interface `cache`. Nothing here is ever missed: it is derived again.
//!
//! A file ends in its length (u64) and the CRC-32C of what is before (u32), little-endian. So nothing is synced: what a power cut
//! tears is known to be torn.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::sharing::{create_dir_all, share};
use super::{Error, Result};

/// Bytes after the content.
const TRAILER: usize = 12;
/// How long a file that is not wanted any more stays for who has just read that it is.
const IN_USE: Duration = Duration::from_secs(10 * 60);

/// A folder of derived bytes. It is made with the first of them.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Nothing is made or looked at yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What was last written under this name; none where it is not there or not whole.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.path(name).ok()?).ok()?;
        let (content, trailer) = bytes.split_last_chunk::<TRAILER>()?;
        if trailer != &self::trailer(content) {
            return None;
        }
        let length = content.len();
        bytes.truncate(length);
        Some(bytes)
    }

    /// Writes in one piece, for whoever may read the repository.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name)?;
        let write = || -> io::Result<()> {
            if !self.folder.is_dir() {
                create_dir_all(&self.folder)?;
            }
            let mut temporary = tempfile::Builder::new()
                .prefix(".tmp-")
                .permissions(PermissionsExt::from_mode(0o666))
                .tempfile_in(&self.folder)?;
            temporary.write_all(bytes)?;
            temporary.write_all(&trailer(bytes))?;
            share(temporary.path());
            temporary.persist(&path).map(drop).map_err(|error| error.error)
        };
        write().map_err(|error| Error::io(format_args!("writing `{}`", path.display()), &error))
    }

    /// Removes what has other names and is old, temporaries included.
    pub fn retain(&self, names: &[String]) -> Result<()> {
        let failed = |error: io::Error| Error::io(format_args!("clearing `{}`", self.folder.display()), &error);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let unwanted = entry.file_name().to_str().is_none_or(|name| !names.iter().any(|kept| kept == name));
            if unwanted && is_old(&entry) {
                // Somebody else may have cleared it.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let fits = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(Error::Other(format!("`{}` is no name in a cache", name.escape_debug())));
        }
        Ok(self.folder.join(Path::new(name)))
    }
}

fn trailer(content: &[u8]) -> [u8; TRAILER] {
    let mut trailer = [0; TRAILER];
    trailer[..8].copy_from_slice(&(content.len() as u64).to_le_bytes());
    trailer[8..].copy_from_slice(&crc32c::crc32c(content).to_le_bytes());
    trailer
}

fn is_old(entry: &fs::DirEntry) -> bool {
    let modified = entry.metadata().and_then(|found| found.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > IN_USE))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("aurum/cache"));
        (folder, cache)
    }

    #[test]
    fn what_is_written_is_read_whole_or_not_at_all() {
        let (_folder, cache) = cache();
        assert_eq!(cache.read("a"), None);
        cache.write("a", b"one").unwrap();
        cache.write("a", b"another").unwrap();
        assert_eq!(cache.read("a").unwrap(), b"another");
        cache.write("empty", b"").unwrap();
        assert_eq!(cache.read("empty").unwrap(), b"");
        let path = cache.folder.join("a");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(cache.read("a"), None, "{length} bytes of it");
        }
        for at in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 4;
            fs::write(&path, spoilt).unwrap();
            assert_eq!(cache.read("a"), None, "the byte {at} is another");
        }
    }

    #[test]
    fn what_is_not_wanted_goes_once_it_is_old() {
        let (_folder, cache) = cache();
        cache.retain(&[]).unwrap();
        for name in ["kept", "old", "new"] {
            cache.write(name, b"x").unwrap();
        }
        for name in ["kept", "old"] {
            let file = fs::File::options().write(true).open(cache.folder.join(name)).unwrap();
            file.set_modified(SystemTime::now() - 2 * IN_USE).unwrap();
        }
        cache.retain(&["kept".to_owned()]).unwrap();
        assert!(cache.read("kept").is_some() && cache.read("new").is_some());
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 2);
    }

    #[test]
    fn names_stay_in_the_folder() {
        let (_folder, cache) = cache();
        for name in ["", "..", "a/b", ".hidden", "a\0b"] {
            assert!(cache.write(name, b"x").is_err() && cache.read(name).is_none(), "{name:?}");
        }
    }
}
