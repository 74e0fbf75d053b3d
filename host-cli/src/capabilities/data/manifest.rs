//! Manifests: what is in a folder, one line an entry. `wit/data.wit` describes them.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::MAX_DEPTH;
use crate::capabilities::paths::check_path;
use crate::capabilities::store::{Store, digest_of, parse_digest};
use crate::capabilities::{Error, Result};

/// No path is longer than 4 KiB, nor is any character of one longer than six when it is escaped.
const LONGEST_LINE: u64 = 32 << 10;
const PIECE: usize = 64 << 10;

/// What an entry is; git's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// An ordinary file.
    #[serde(rename = "100644")]
    File,
    /// A file that its owner may execute.
    #[serde(rename = "100755")]
    Executable,
    /// A symbolic link.
    #[serde(rename = "120000")]
    Link,
    /// A folder with nothing in it.
    #[serde(rename = "040000")]
    Folder,
}

impl Mode {
    /// Whether it is a file, executable or not.
    pub(crate) fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Executable)
    }
}

/// A line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Relative to the folder.
    pub(crate) path: String,
    /// What it is.
    pub(crate) mode: Mode,
    /// Bytes.
    pub(crate) size: u64,
    /// Of its content; none for a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
}

impl Entry {
    /// Writes its line.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        serde_json::to_writer(&mut *out, self).map_err(|error| Error::other(&error))?;
        out.push(b'\n');
        Ok(())
    }
}

/// The order of paths: part by part, as bytes.
pub(super) fn compare_paths(one: &str, other: &str) -> Ordering {
    let shared = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    match (one.as_bytes().get(shared), other.as_bytes().get(shared)) {
        // The part that ends here is a beginning of the other's.
        (Some(b'/'), Some(_)) => Ordering::Less,
        (Some(_), Some(b'/')) => Ordering::Greater,
        (one, other) => one.cmp(&other),
    }
}

/// The entries of a manifest, one after another; none when the store does not have it. Each is as it must be, for its
/// order too, when it is handed out; whether the content is what the digest says, only the end tells.
pub(crate) fn read(store: &Store, digest: &str) -> Result<Option<Entries>> {
    let Some(file) = store.open(digest)? else { return Ok(None) };
    let file = BufReader::with_capacity(PIECE, file);
    Ok(Some(Entries {
        file,
        digest: digest.to_owned(),
        hash: Sha256::new(),
        line: Vec::new(),
        former: None,
        number: 0,
        ended: false,
    }))
}

/// See [`read`].
#[derive(Debug)]
pub(crate) struct Entries {
    file: BufReader<File>,
    digest: String,
    hash: Sha256,
    line: Vec<u8>,
    /// The path before.
    former: Option<String>,
    number: u64,
    /// By its end or by an error.
    ended: bool,
}

impl Entries {
    fn advance(&mut self) -> Result<Option<Entry>> {
        self.line.clear();
        let read = (&mut self.file).take(LONGEST_LINE).read_until(b'\n', &mut self.line);
        read.map_err(|error| Error::io(format_args!("reading `{}` in the store", self.digest), &error))?;
        self.hash.update(&self.line);
        if self.line.is_empty() {
            let hash = std::mem::take(&mut self.hash).finalize().into();
            if digest_of(&hash) != self.digest {
                return Err(Error::Other(format!("`{}` in the store is damaged", self.digest)));
            }
            return Ok(None);
        }
        self.number += 1;
        let entry = parse(&self.line).and_then(|entry| {
            check(&entry, self.former.as_deref())?;
            Ok(entry)
        });
        let entry = entry.map_err(|why| {
            Error::Other(format!("`{}` is no manifest of a folder: line {}: {why}", self.digest, self.number))
        })?;
        self.former = Some(entry.path.clone());
        Ok(Some(entry))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        let next = if self.ended { None } else { self.advance().transpose() };
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn parse(line: &[u8]) -> Result<Entry, String> {
    let line = line.strip_suffix(b"\n").ok_or("it has no end")?;
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

/// What a manifest that somebody made up could hide.
fn check(entry: &Entry, former: Option<&str>) -> Result<(), String> {
    let path = &entry.path;
    let shown = path.escape_debug();
    check_path(path).map_err(|_| format!("`{shown}` is not a path within a folder"))?;
    if path.matches('/').count() > MAX_DEPTH {
        return Err(format!("`{shown}` is in more than {MAX_DEPTH} folders"));
    }
    match (entry.mode, &entry.digest) {
        (Mode::Folder, None) if entry.size == 0 => {}
        (Mode::Folder, _) => return Err(format!("the folder `{shown}` has content")),
        (_, None) => return Err(format!("`{shown}` has no digest")),
        (_, Some(digest)) => {
            parse_digest(digest).map_err(|error| error.to_string())?;
        }
    }
    let Some(former) = former else { return Ok(()) };
    if compare_paths(former, path) != Ordering::Less {
        return Err(format!("`{shown}` is not in order"));
    }
    // All that is below a path comes right behind it, so the one before is enough to look at.
    if path.strip_prefix(former).is_some_and(|rest| rest.starts_with('/')) {
        return Err(format!("`{shown}` is below what is no folder"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        (folder, store)
    }

    fn digest() -> String {
        digest_of(&[7; 32])
    }

    fn line(path: &str, mode: &str) -> String {
        let digest = digest();
        let path = serde_json::to_string(path).unwrap();
        match mode {
            "040000" => format!("{{\"path\":{path},\"mode\":\"040000\",\"size\":0}}\n"),
            _ => format!("{{\"path\":{path},\"mode\":\"{mode}\",\"size\":3,\"digest\":\"{digest}\"}}\n"),
        }
    }

    fn read_text(text: &str) -> Result<Vec<Entry>> {
        let (_folder, store) = store();
        let stored = store.add(&mut text.as_bytes()).unwrap();
        read(&store, &stored.digest).unwrap().unwrap().collect()
    }

    #[test]
    fn lines_are_written_as_described() {
        let mut out = Vec::new();
        let entries = [
            Entry { path: "a/b\n\".csv".into(), mode: Mode::File, size: 12, digest: Some(digest()) },
            Entry { path: "é".into(), mode: Mode::Folder, size: 0, digest: None },
        ];
        for entry in &entries {
            entry.write(&mut out).unwrap();
        }
        let text = format!(
            "{{\"path\":\"a/b\\n\\\".csv\",\"mode\":\"100644\",\"size\":12,\"digest\":\"{}\"}}\n\
             {{\"path\":\"é\",\"mode\":\"040000\",\"size\":0}}\n",
            digest()
        );
        assert_eq!(String::from_utf8(out).unwrap(), text);
        assert_eq!(read_text(&text).unwrap(), entries);
        assert!(read_text("").unwrap().is_empty());
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let file = |path: &str| line(path, "100644");
        let hostile = [
            file("/etc/passwd"),
            file("../a"),
            file("a/../b"),
            file("a//b"),
            file(""),
            file(".git/hooks/post-checkout"),
            file("a/.GIT/config"),
            file("a\\b"),
            file("a\0b"),
            file("b") + &file("a"),
            file("a") + &file("a"),
            line("a", "120000") + &file("a/b"),
            file("a") + &file("a/b"),
            line("a", "040000") + &file("a/b"),
            file("a-b") + &file("a/b"),
            file(&["a"; MAX_DEPTH + 2].join("/")),
            file("a").replace("100644", "160000"),
            file("a").replace("100644", "040000"),
            file("a").replace("\"size\":3", "\"size\":-3"),
            file("a").replace(",\"digest\"", ",\"other\":1,\"digest\""),
            file("a").replace("sha256:", "md5:"),
            line("a", "040000").replace("040000", "100644"),
            file("a").trim_end().to_owned(),
            "\n".to_owned(),
            "{}\n".to_owned(),
            format!("{}\n", "x".repeat(LONGEST_LINE as usize)),
        ];
        for text in hostile {
            let result = read_text(&text);
            assert!(matches!(&result, Err(Error::Other(why)) if why.contains("is no manifest")), "{text}: {result:?}");
        }
    }

    #[test]
    fn a_damaged_one_is_told_at_its_end() {
        let (_folder, store) = store();
        let stored = store.add(&mut (line("a", "100644") + &line("b", "100644")).as_bytes()).unwrap();
        let path = store.path(&stored.digest).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, line("a", "100644")).unwrap();
        let entries: Vec<_> = read(&store, &stored.digest).unwrap().unwrap().collect();
        assert!(entries[0].is_ok());
        assert!(matches!(&entries[1], Err(Error::Other(why)) if why.contains("is damaged")));
        assert!(read(&store, &digest()).unwrap().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn paths_sort_part_by_part(one in "[ab/!~-]{0,6}", other in "[ab/!~-]{0,6}") {
            let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            prop_assume!(![&one, &other].into_iter().any(|path| path.split('/').any(str::is_empty)));
            prop_assert_eq!(compare_paths(&one, &other), parts(&one).cmp(&parts(&other)));
        }

        #[test]
        fn any_entry_survives(name in "[^/\\\\\0]{1,9}", size: u64, hash: [u8; 32], executable: bool) {
            prop_assume!(check_path(&name).is_ok());
            let mode = if executable { Mode::Executable } else { Mode::File };
            let entry = Entry { path: name, mode, size, digest: Some(digest_of(&hash)) };
            let mut out = Vec::new();
            entry.write(&mut out).unwrap();
            prop_assert_eq!(read_text(std::str::from_utf8(&out).unwrap()).unwrap(), [entry]);
        }
    }
}
