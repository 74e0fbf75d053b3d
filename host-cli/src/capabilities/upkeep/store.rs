//! Holding the contents of the store against their names.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{Damage, Result};
use crate::capabilities::Error;
use crate::capabilities::data::parallel;
use crate::capabilities::store::{Store, hash_stream, hexadecimal, parse_digest};

/// What checking a part of the store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// Contents that were read.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What is wrong.
    pub damages: Vec<Damage>,
}

/// Reads the contents whose digest begins with this byte, on all processors.
pub fn check_store(store: &Store, first: u8) -> Result<StoreCheck> {
    let mut check = StoreCheck::default();
    let mut jobs = Vec::new();
    for (name, path) in files(store, first)? {
        match name {
            Some(digest) => jobs.push((digest, path)),
            None => check
                .damages
                .push(Damage { name: path.display().to_string(), what: "is none of its contents".to_owned() }),
        }
    }
    let results = parallel::each(&jobs, |(digest, path), buffer| Ok(read(store, digest, path, buffer)))?;
    for ((digest, _), (size, what)) in jobs.iter().zip(results) {
        check.objects += 1;
        check.bytes += size;
        check.damages.extend(what.map(|what| Damage { name: digest.clone(), what }));
    }
    Ok(check)
}

/// The files of a folder of the store, each with its digest if its name is one.
pub(super) fn files(store: &Store, first: u8) -> Result<Vec<(Option<String>, PathBuf)>> {
    let prefix = hexadecimal(&[first]);
    let folder = store.objects().join(&prefix);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| store.failed("reading", &error))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| store.failed("reading", &error))?;
        let digest = entry.file_name().to_str().map(|rest| format!("sha256:{prefix}{rest}"));
        files.push((digest.filter(|digest| parse_digest(digest).is_ok()), entry.path()));
    }
    files.sort();
    Ok(files)
}

/// How long it is, and what is wrong with it.
fn read(store: &Store, digest: &str, path: &PathBuf, buffer: &mut Vec<u8>) -> (u64, Option<String>) {
    let open = || -> io::Result<(File, fs::Metadata)> {
        let found = fs::symlink_metadata(path)?;
        if !found.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        Ok((File::open(path)?, found))
    };
    let (mut file, found) = match open() {
        Ok(opened) => opened,
        // Cleared since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (0, None),
        Err(error) => return (0, Some(format!("can't be read: {error}"))),
    };
    match hash_stream(&mut file, buffer, |_| Ok(()), |error| Error::io("reading", error)) {
        Err(error) => (0, Some(format!("can't be read: {error}"))),
        Ok((hash, size)) if format!("sha256:{}", hexadecimal(&hash)) != digest => {
            let moved = store.set_aside(digest, &file).unwrap_or_else(|error| error.to_string());
            (size, Some(format!("is damaged: its content is another, and it {moved}")))
        }
        Ok((_, size)) if found.permissions().mode() & 0o222 != 0 => {
            (size, Some(format!("can be written to, and so be damaged: `chmod a-w {}`", path.display())))
        }
        Ok((_, size)) => (size, None),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_what_its_name_says_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        assert_eq!(check_store(&store, 0).unwrap(), StoreCheck::default());
        for text in ["one", "two", "three", "four"] {
            store.add(&mut text.as_bytes()).unwrap();
        }
        let all = || {
            (0..=u8::MAX).map(|first| check_store(&store, first).unwrap()).fold(
                StoreCheck::default(),
                |mut sum, check| {
                    sum.objects += check.objects;
                    sum.bytes += check.bytes;
                    sum.damages.extend(check.damages);
                    sum
                },
            )
        };
        assert_eq!(all(), StoreCheck { objects: 4, bytes: 15, damages: vec![] });
        let path = |text: &str| store.path(&store.add(&mut text.as_bytes()).unwrap().digest).unwrap();
        let (one, two) = (path("one"), path("two"));
        fs::set_permissions(&two, fs::Permissions::from_mode(0o644)).unwrap();
        fs::remove_file(&one).unwrap();
        fs::write(&one, "ONE").unwrap();
        fs::write(one.with_file_name("stray"), "x").unwrap();
        let damages = all().damages;
        let aside = folder
            .path()
            .join("damaged")
            .join(one.strip_prefix(store.objects()).unwrap().to_string_lossy().replace('/', ""));
        assert_eq!(fs::read_to_string(aside).unwrap(), "ONE");
        store.add(&mut "one".as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&one).unwrap(), "one", "what is damaged is not in its way");
        let said: Vec<_> = damages.iter().map(|damage| damage.what.split(':').next().unwrap()).collect();
        assert_eq!(damages.len(), 3, "{damages:?}");
        for what in ["is damaged", "can be written to, and so be damaged", "is none of its contents"] {
            assert!(said.contains(&what), "{damages:?}");
        }
    }
}
