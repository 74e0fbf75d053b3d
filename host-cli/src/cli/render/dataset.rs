//! Datasets, as the core's rows tell of them.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Deserialize;

use super::grid::{Cell, Column, Grid};
use super::style::Palette;
use super::{digits, size, unexpected};
use crate::Failure;

/// One dataset, as far as commands show it. What a row has depends on the call that answered it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dataset {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    pub(crate) files: u64,
    pub(crate) stored: bool,
    pub(crate) source: Origin,
    /// Where it is: below the root, or an absolute path; none where only another clone knows.
    pub(crate) place: Option<String>,
    /// What a call made of it.
    #[serde(default)]
    pub(crate) outcome: String,
    /// How it stands towards what was recorded.
    #[serde(default)]
    pub(crate) state: String,
    /// What stands there today, where that is something else.
    #[serde(default)]
    pub(crate) now: Option<Extent>,
    /// How a folder differs.
    #[serde(default)]
    pub(crate) differences: Option<Differences>,
    /// Whether the store has its content.
    #[serde(default)]
    pub(crate) in_store: Option<bool>,
    /// What its server says today.
    #[serde(default)]
    pub(crate) remote: Option<String>,
}

/// Where a dataset came from. What came from an address lies in the project.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Origin {
    #[serde(default)]
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) url: Option<String>,
}

/// How much there is.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Extent {
    pub(crate) size: u64,
}

/// How many files of a folder differ, and the first of them.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Differences {
    pub(crate) added: u64,
    pub(crate) changed: u64,
    pub(crate) removed: u64,
    pub(crate) examples: Vec<String>,
}

impl Dataset {
    /// The rows of one of the core's answers.
    pub(crate) fn rows(json: &str) -> Result<Vec<Self>, Failure> {
        serde_json::from_str(json).map_err(|error| unexpected(&error))
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.kind == "folder"
    }

    /// Whether it lies in the project.
    pub(crate) fn is_inside(&self) -> bool {
        self.source.path.is_some()
    }

    /// `3.8 MiB`, of a folder `3 files, 3.8 MiB`.
    pub(crate) fn content(&self) -> String {
        let size = size::bytes(self.size);
        if self.is_folder() { format!("{}, {size}", size::count(self.files, "file")) } else { size }
    }

    /// Where it came from.
    pub(crate) fn source(&self) -> Cow<'_, str> {
        match (&self.source.url, &self.source.path, &self.place) {
            (Some(url), ..) => url.into(),
            (None, Some(path), _) => path.into(),
            (None, None, Some(place)) => format!("outside: {place}").into(),
            (None, None, None) => "outside: not known on this computer".into(),
        }
    }
}

/// A line a dataset: what became of it, how much it is, and its digest.
pub(crate) fn write_outcomes(out: &mut dyn Write, rows: &[&Dataset]) -> io::Result<()> {
    let column =
        |text: &dyn Fn(&Dataset) -> String| Column::new("", rows.iter().map(|row| Some(Cell::text(text(row)))));
    let columns = vec![
        column(&|row| format!("{} {}", row.outcome, row.name)),
        column(&Dataset::content),
        column(&|row| format!("sha256:{}", digits(&row.digest))),
    ];
    Grid::new(columns, Palette::default()).write_rows(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A row as the core gives it, with some keys set.
    pub(crate) fn row(name: &str, keys: Value) -> Dataset {
        let mut row = json!({
            "name": name, "kind": "file", "files": 1, "size": 3_974_305, "stored": true, "place": name,
            "digest": "sha256:5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
            "source": { "type": "project", "path": name },
        });
        let Value::Object(keys) = keys else { panic!("keys are an object: {keys}") };
        for (key, value) in keys {
            row[key] = value;
        }
        Dataset::rows(&format!("[{row}]")).unwrap().remove(0)
    }

    #[test]
    fn outcomes_stand_under_each_other() {
        let rows = [
            row("adult.data", json!({ "outcome": "added" })),
            row("images", json!({ "outcome": "unchanged", "kind": "folder", "files": 3, "size": 12 })),
        ];
        let mut out = Vec::new();
        write_outcomes(&mut out, &rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "added adult.data  3.8 MiB        sha256:5b00264637db\n\
             unchanged images  3 files, 12 B  sha256:5b00264637db\n"
        );
    }

    #[test]
    fn nothing_in_a_row_reaches_the_terminal_unescaped() {
        let keys = json!({ "outcome": "\x1b", "kind": "folder", "digest": "sha256:\u{202e}" });
        let mut out = Vec::new();
        write_outcomes(&mut out, &[&row("n\n\u{200b}", keys)]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\\u{1b} n\\n\\u{200b}  1 file, 3.8 MiB  sha256:\\u{202e}\n");
    }

    #[test]
    fn the_source_is_a_path_an_address_or_a_place_outside() {
        assert_eq!(row("a", json!({})).source(), "a");
        let address = json!({ "source": { "type": "address", "path": "a", "url": "https://example.org/a" } });
        assert_eq!(row("a", address).source(), "https://example.org/a");
        let outside = |place: Value| json!({ "source": { "type": "outside" }, "place": place });
        assert_eq!(row("a", outside(json!("/mnt/a"))).source(), "outside: /mnt/a");
        assert_eq!(row("a", outside(json!(null))).source(), "outside: not known on this computer");
    }
}
