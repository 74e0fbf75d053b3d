//! Where the project's datasets are, as their descriptions say: for who has to know it before there is a core.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::check_path;
use crate::capabilities::repository::Repository;

/// As the core writes them; longer ones are none.
const LONGEST: u64 = 16 << 10;

#[derive(Deserialize)]
struct Description {
    name: String,
    source: Source,
}

#[derive(Deserialize)]
struct Source {
    path: Option<String>,
}

/// The names of the datasets and where each is, as far as this clone knows. What can't be read is passed over: whoever uses it is told.
pub fn places(root: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(root.join(".au/datasets")) else { return Vec::new() };
    let mut places = Vec::new();
    let mut outside = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let is_description = path.extension().is_some_and(|extension| extension == "json");
        if !is_description || !entry.metadata().is_ok_and(|found| found.is_file() && found.len() <= LONGEST) {
            continue;
        }
        let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Description>(&bytes).ok());
        match read {
            Some(Description { name, source: Source { path: Some(path) } }) if check_path(&path).is_ok() => {
                places.push((name, root.join(path)));
            }
            Some(Description { name, source: Source { path: None } }) => outside.push(name),
            _ => {}
        }
    }
    // Opening the repository costs more than all the rest.
    if !outside.is_empty() {
        let repository = Repository::new(root);
        for name in outside {
            if let Ok(Some(path)) = repository.setting(&format!("aurum.data.{name}.path")) {
                places.push((name, path.into()));
            }
        }
    }
    places.sort();
    places
}
