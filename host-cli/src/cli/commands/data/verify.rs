use std::io::{self, Write};

use serde::Deserialize;

use super::{show_json, tell_that_none};
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::word::word;
use crate::cli::render::{escape, size, unexpected};
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};
use crate::{Failure, FailureKind, Tracker};

/// Read all data, and hold it against what was recorded
///
/// Reads every byte, in the store and in its place, whatever was remembered of it, so that a disk that lost some is found out.
/// `au data status` looks at times and sizes alone. What is damaged in the store is moved to `.git/aurum/damaged`. The exit status is 1 if anything is not what was recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct VerifyArgs {
    /// Datasets to read, by name, path or address; all without one
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print a JSON array with all that was found
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data verify              All data
  au data verify adult.data   One dataset

{EXIT_STATUS}"
    )
}

#[derive(Deserialize)]
struct Row {
    name: String,
    read: Read,
    damages: Vec<Damage>,
    more: u64,
}

#[derive(Deserialize)]
struct Read {
    count: u64,
    bytes: u64,
}

#[derive(Deserialize)]
struct Damage {
    #[serde(rename = "where")]
    place: String,
    name: String,
    what: String,
}

impl Row {
    fn count(&self) -> u64 {
        self.more + self.damages.len() as u64
    }

    fn is_damaged_at(&self, place: &str) -> bool {
        self.damages.iter().any(|damage| damage.place == place)
    }
}

pub(crate) fn verify(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &VerifyArgs) -> Result<()> {
    let text = tracker.verify_data(&args.names)?;
    let rows: Vec<Row> = serde_json::from_str(&text).map_err(|error| unexpected(&error))?;
    if args.json {
        show_json(ui, &text)?;
    } else if rows.is_empty() {
        tell_that_none(ui);
    } else {
        show(ui.out, &rows)?;
    }
    let wrong: Vec<_> = rows.iter().filter(|row| row.count() > 0).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::Failures(vec![failure(&wrong)])) }
}

fn show(out: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    for row in rows {
        let (name, Read { count, bytes }) = (escape::text(&row.name), &row.read);
        let read = format!("{} read, {}", size::count(*count, "file"), size::bytes(*bytes));
        match row.count() {
            0 => writeln!(out, "{name}: all as it was recorded, {read}")?,
            wrong => writeln!(out, "{name}: {wrong} not as recorded, {read}")?,
        }
        for Damage { name: path, what, .. } in &row.damages {
            let separator = if path.is_empty() { "" } else { "/" };
            writeln!(out, "  {name}{separator}{} {}", escape::text(path), escape::text(what))?;
        }
        if row.more > 0 {
            writeln!(out, "  and {} more", row.more)?;
        }
    }
    Ok(())
}

fn failure(wrong: &[&Row]) -> Failure {
    let sets = size::count(wrong.len() as u64, "dataset");
    let verb = if wrong.len() == 1 { "is" } else { "are" };
    let message = format!("{sets} {verb} not as recorded");
    let names = |rows: Vec<&&Row>| rows.into_iter().map(|row| word(&row.name)).collect::<Vec<_>>().join(" ");
    let (store, place): (Vec<_>, Vec<_>) = wrong.iter().partition(|row| row.is_damaged_at("store"));
    let mut hints = Vec::new();
    if !store.is_empty() {
        let names = names(store);
        hints.push(format!(
            "Have what the store lacks again, from where it is whole: `au data add {names}` or `au data pull {names}`"
        ));
    }
    if !place.is_empty() {
        let names = names(place);
        hints.push(format!("Keep what is in its place if you changed it: `au data update {names}`"));
        hints.push(format!("Or move it away and bring back what was recorded: `au data restore {names}`"));
    }
    Failure { kind: FailureKind::Unreadable, message, hints, excerpt: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_listed_and_what_to_do_is_told() {
        let rows: Vec<Row> = serde_json::from_value(json!([
            { "name": "a.csv", "read": { "count": 2, "bytes": 24 }, "damages": [], "more": 0 },
            { "name": "images", "read": { "count": 9, "bytes": 2048 }, "more": 3, "damages": [
                { "where": "place", "name": "b\n.png", "what": "is not what was recorded" },
            ] },
            { "name": "c", "read": { "count": 1, "bytes": 1 }, "more": 0, "damages": [
                { "where": "store", "name": "", "what": "is damaged in the store: `sha256:0`" },
            ] },
        ]))
        .unwrap();
        let mut out = Vec::new();
        show(&mut out, &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a.csv: all as it was recorded, 2 files read, 24 B\n\
             images: 4 not as recorded, 9 files read, 2.0 KiB\n\
             \x20 images/b\\n.png is not what was recorded\n\
             \x20 and 3 more\n\
             c: 1 not as recorded, 1 file read, 1 B\n\
             \x20 c is damaged in the store: `sha256:0`\n"
        );
        let failure = failure(&rows.iter().skip(1).collect::<Vec<_>>());
        assert_eq!(failure.message, "2 datasets are not as recorded");
        assert!(failure.hints[0].contains("au data pull c") && failure.hints[1].contains("au data update images"));
    }
}
