//! Folders of data, by their manifests.

use std::fs::File;
use std::io;

use super::container::{Container, Entry};
use super::{EXECUTABLE, FOLDER, LINK, ORDINARY, add_content, checked};
use crate::capabilities::data::manifest::{self, Mode};
use crate::capabilities::store::Store;
use crate::capabilities::{Error, Result};

/// Adds what a manifest names; false, and nothing added, when the store does not have all of it.
pub(super) fn add_folder(container: &mut Container<File>, store: &Store, path: &str, digest: &str) -> Result<bool> {
    // Twice through the manifest rather than all of it in memory. Its end, where a damaged one is found out, is reached
    // before anything is added.
    let Some(entries) = manifest::read(store, digest)? else { return Ok(false) };
    for entry in entries {
        if let Some(digest) = &entry?.digest
            && !store.has(digest)?
        {
            return Ok(false);
        }
    }
    let Some(entries) = manifest::read(store, digest)? else { return Ok(false) };
    let mut empty = true;
    for entry in entries {
        let entry = entry?;
        empty = false;
        let mode = match entry.mode {
            Mode::File => ORDINARY,
            Mode::Executable => EXECUTABLE,
            Mode::Link => LINK,
            Mode::Folder => FOLDER,
        };
        let whole = format!("{path}/{}", entry.path);
        checked(whole.as_bytes())?;
        match &entry.digest {
            Some(digest) => {
                let Some(content) = store.open(digest)? else { return Err(gone(digest)) };
                add_content(container, &Entry { path: whole.as_bytes(), mode, size: entry.size }, content, digest)?;
            }
            None => add_empty(container, &whole)?,
        }
    }
    // Or else nothing would tell that there is one.
    if empty {
        add_empty(container, path)?;
    }
    Ok(true)
}

fn add_empty(container: &mut Container<File>, path: &str) -> Result<()> {
    let path = format!("{path}/");
    container.add(&Entry { path: path.as_bytes(), mode: FOLDER, size: 0 }, &mut io::empty())?;
    Ok(())
}

fn gone(digest: &str) -> Error {
    Error::Other(format!("`{digest}` was removed from the store while it was read"))
}
