//! Folders of a server: what may be in them, and what tells one version from another.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::pieces::Item;
use super::{Attributes, Error, Result};
use crate::capabilities::store::hexadecimal;

/// In the order of their paths, without the folder itself.
pub(super) fn sorted(mut items: Vec<Item>) -> Vec<Item> {
    items.retain(|item| !item.path.is_empty());
    items.sort_by(|one, other| one.path.cmp(&other.path));
    items
}

/// Together they are of so many bytes, and of a version that changes with any of theirs.
pub(super) fn attributes(items: &[Item]) -> Attributes {
    let mut digest = Sha256::new();
    for Item { path, size, version, modified, .. } in items {
        let size = size.map(|size| size.to_string());
        // The time at which a server got the same content once more is no change.
        let told = [Some(path.as_str()), size.as_deref(), version.as_deref().or(modified.as_deref())];
        for part in told.map(Option::unwrap_or_default) {
            digest.update(part);
            digest.update([0]);
        }
    }
    Attributes {
        size: items.iter().map(|item| item.size).sum(),
        entity_tag: Some(format!("sha256:{}", hexadecimal(&digest.finalize()))),
        last_modified: None,
    }
}

/// Refuses names that can't be a path's here, or lead elsewhere.
pub(super) fn check(items: &[Item]) -> Result<()> {
    let mut folders = HashSet::new();
    for item in items {
        let path = item.path.strip_suffix('/').unwrap_or(&item.path);
        let shown = item.path.escape_debug();
        for part in path.split('/') {
            let fault = match part {
                "" => "has an empty part",
                "." | ".." => "leads to another folder",
                _ if part.eq_ignore_ascii_case(".git") => "is git's own",
                _ if part.len() > 255 => "has a part of more than 255 bytes",
                _ if part.chars().any(|c| c == '\0') => "holds a character that no name can",
                _ => continue,
            };
            return Err(Error::Other(format!("`{shown}` can't be a file here: its name {fault}")));
        }
        folders.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
    }
    let mut seen = HashSet::new();
    for item in items {
        if !seen.insert(&item.path) {
            return Err(Error::Other(format!("`{}` is there twice", item.path.escape_debug())));
        }
        if folders.contains(item.path.as_str()) {
            let shown = item.path.escape_debug();
            return Err(Error::Other(format!(
                "`{shown}` is a file there and holds others as well: here it can't be both"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn item(path: &str, version: &str) -> Item {
        let (path, key) = (path.to_owned(), path.to_owned());
        Item { path, key, size: Some(2), version: Some(version.to_owned()), modified: Some("now".to_owned()) }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        assert!(check(&[item("a/b", ""), item("a/", ""), item("a b/\nc", "")]).is_ok());
        for paths in [&["../a"][..], &["a//b"], &["/a"], &["a/./b"], &["a/.GIT/config"], &["a", "a/b"], &["a", "a"]] {
            let items: Vec<_> = paths.iter().map(|path| item(path, "")).collect();
            assert!(check(&items).is_err(), "{paths:?}");
        }
    }

    #[test]
    fn any_change_is_another_version() {
        let one = attributes(&[item("a", "1"), item("b", "1")]);
        assert_eq!(one.size, Some(4));
        let same = Item { modified: Some("later".to_owned()), ..item("a", "1") };
        assert_eq!(attributes(&[same, item("b", "1")]), one);
        for other in [vec![item("a", "1")], vec![item("a", "1"), item("b", "2")], vec![item("a", "1"), item("c", "1")]]
        {
            assert_ne!(attributes(&other).entity_tag, one.entity_tag);
        }
    }
}
