//! What a script read past the project: files of storages, through a client that was watched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::redact;

/// Files of one experiment that are named.
pub(crate) const MOST_READS: usize = 500;
/// Bytes that their names may take in its record.
const MOST_READ_BYTES: usize = 128 << 10;
/// What one of them takes beside its names: keys, digest and indentation.
const ROOM: usize = 200;
/// Bytes of a path; longer ones are cut.
const LONGEST_PATH: usize = 1 << 10;
/// Bytes of the name of a library or a storage.
const LONGEST_NAME: usize = 128;

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The library that read it, such as `catalysis`.
    pub through: String,
    /// Where the library found it: the name of a credential or of a protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Its path or address there, without what opens it.
    pub path: String,
    /// Bytes of all of it; none where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `sha256:…` of what was read, if that was all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether it was not read from its start to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl Read {
    /// Without secrets, and of a size that fits a record.
    pub fn new(through: &str, storage: Option<&str>, path: &str, size: Option<u64>, digest: Option<String>) -> Self {
        Self {
            through: cut(through, LONGEST_NAME).to_owned(),
            storage: storage.map(|storage| cut(&redact::url(storage), LONGEST_NAME).to_owned()),
            path: cut(&redact::url(path), LONGEST_PATH).to_owned(),
            size,
            partial: digest.is_none(),
            digest,
        }
    }

    fn place(&self) -> (String, Option<String>, String) {
        (self.through.clone(), self.storage.clone(), self.path.clone())
    }

    fn room(&self) -> usize {
        let quoted = |text: &str| serde_json::Value::from(text).to_string().len();
        ROOM + quoted(&self.through) + quoted(&self.path) + self.storage.as_deref().map_or(0, quoted)
    }
}

/// What became of one more file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is news.
    New,
    /// As much was known of it.
    Known,
    /// There is no room for it.
    NoRoom,
}

/// The files that an experiment read, each content once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    list: Vec<Read>,
    at: BTreeMap<(String, Option<String>, String), Vec<usize>>,
    bytes: usize,
    /// Whether there were more than a record takes.
    pub cut: bool,
}

impl Reads {
    /// In the order in which they were first told.
    pub fn list(&self) -> &[Read] {
        &self.list
    }

    /// What would become of one more. Whoever has read all of a file knows more than who has read a part; one whose content changed
    /// meanwhile stands there with both.
    pub(crate) fn look(&self, read: &Read) -> Added {
        let known = self.known(read);
        if known.iter().any(|at| read.partial || self.list[*at].digest == read.digest) {
            return Added::Known;
        }
        let replaces = known.iter().any(|at| self.list[*at].partial);
        let fits = self.list.len() < MOST_READS && self.bytes + read.room() <= MOST_READ_BYTES;
        if replaces || fits { Added::New } else { Added::NoRoom }
    }

    /// Takes one in.
    pub(crate) fn add(&mut self, read: Read) -> Added {
        let added = self.look(&read);
        if added == Added::New {
            let partial = self.known(&read).iter().copied().find(|at| self.list[*at].partial);
            match partial {
                Some(at) => self.list[at] = read,
                None => {
                    self.bytes += read.room();
                    self.at.entry(read.place()).or_default().push(self.list.len());
                    self.list.push(read);
                }
            }
        }
        added
    }

    /// Takes in what was told of one, none of one for which there was no room.
    pub(crate) fn take(&mut self, read: Option<Read>) {
        match read.map(|read| self.add(read)) {
            None | Some(Added::NoRoom) => self.cut = true,
            Some(Added::New | Added::Known) => {}
        }
    }

    /// Has what was read before stand before all that is there.
    pub(crate) fn follow(&mut self, former: Vec<Read>, cut: bool) {
        let later = std::mem::take(self);
        self.cut = cut || later.cut;
        former.into_iter().chain(later.list).for_each(|read| self.take(Some(read)));
    }

    fn known(&self, read: &Read) -> &[usize] {
        self.at.get(&read.place()).map(Vec::as_slice).unwrap_or_default()
    }
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, digest: Option<&str>) -> Read {
        Read::new("catalysis", Some("main"), path, Some(3), digest.map(str::to_owned))
    }

    #[test]
    fn each_content_of_a_file_is_there_once_and_all_of_it_beats_a_part() {
        let mut reads = Reads::default();
        assert_eq!(reads.add(read("a", None)), Added::New);
        assert_eq!(reads.add(read("a", None)), Added::Known);
        assert_eq!(reads.add(read("a", Some("sha256:1"))), Added::New);
        assert_eq!(reads.add(read("a", None)), Added::Known);
        assert_eq!(reads.add(read("a", Some("sha256:1"))), Added::Known);
        assert_eq!(reads.add(read("a", Some("sha256:2"))), Added::New);
        assert_eq!(reads.add(read("b", None)), Added::New);
        let shown: Vec<_> = reads.list().iter().map(|read| (read.path.as_str(), read.digest.as_deref())).collect();
        assert_eq!(shown, [("a", Some("sha256:1")), ("a", Some("sha256:2")), ("b", None)]);
    }

    #[test]
    fn what_opens_an_address_is_left_out() {
        let read = Read::new("fsspec", Some("ftp"), "ftp://ada:pw@example.org/a?token=x", None, None);
        assert_eq!(read.path, "ftp://example.org/a?token=***");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn a_record_has_room_for_them(paths in prop::collection::vec("\\PC{0,400}", 400..700)) {
            let mut reads = Reads::default();
            for path in &paths {
                reads.add(read(path, Some("sha256:0000000000000000000000000000000000000000000000000000000000000000")));
            }
            let value = serde_json::to_value(reads.list()).expect("plain data");
            prop_assert!(crate::value::canonical(&value).len() <= MOST_READ_BYTES + 64);
        }
    }
}
