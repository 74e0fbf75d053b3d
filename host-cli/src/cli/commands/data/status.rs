use std::io::{self, Write};

use super::{advice, here, rows_to_show};
use crate::Tracker;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::dataset::Dataset;
use crate::cli::render::grid::{Cell, Column, Grid};
use crate::cli::render::style::{self, Palette};
use crate::cli::render::{escape, size};
use crate::cli::ui::Ui;

/// See what data has changed since it was added
///
/// Compares files with what was recorded of them, and asks the servers that data came from whether they have another
/// version now. Changed data is no failure: the exit status is 0 all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct StatusArgs {
    /// Datasets to look at, by name, path or address; all without one
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Ask no server
    #[arg(long)]
    pub(super) offline: bool,
    /// Print a JSON array with all that was found
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data status              All data
  au data status adult.data   One dataset
  au data status --offline    The files on this computer alone

{EXIT_STATUS}"
    )
}

pub(crate) fn status(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &StatusArgs) -> Result<()> {
    let rows = tracker.data_status(&args.names, args.offline)?;
    let Some(rows) = rows_to_show(ui, &rows, args.json)? else { return Ok(()) };
    show(ui.out, &rows, ui.screen.palette)?;
    if let Some(summary) = advice::summary(&rows) {
        ui.note(&summary, &advice::hints(&rows, &here()));
    }
    Ok(())
}

fn show(out: &mut dyn Write, rows: &[Dataset], palette: Palette) -> io::Result<()> {
    let state = |row: &Dataset| Cell::text(&row.state).styled(style::state(&row.state));
    let columns = vec![
        Column::new("", rows.iter().map(|row| Some(Cell::text(&row.name)))),
        Column::new("", rows.iter().map(|row| Some(state(row)))),
        Column::new("", rows.iter().map(|row| Some(Cell::text(remarks(row))))),
    ];
    let grid = Grid::new(columns, palette);
    for (at, row) in rows.iter().enumerate() {
        grid.write_row(out, at)?;
        write_examples(out, row)?;
    }
    Ok(())
}

fn remarks(row: &Dataset) -> String {
    let mut remarks = Vec::new();
    match (&row.differences, &row.now) {
        (Some(differences), _) => {
            remarks.push(format!("+{} ~{} -{}", differences.added, differences.changed, differences.removed));
        }
        (None, Some(now)) => {
            remarks.push(sizes(row.size, now.size));
        }
        (None, None) => {}
    }
    if row.in_store == Some(false) {
        remarks.push("what was recorded is not in the store".to_owned());
    }
    match row.remote.as_deref() {
        Some("changed") => remarks.push("its server has another version now".to_owned()),
        Some("gone") => remarks.push("its server no longer has it".to_owned()),
        Some("unknown") => remarks.push("its server can't be asked".to_owned()),
        _ => {}
    }
    remarks.join("; ")
}

/// The size before and after, to the byte where people would not see the difference.
fn sizes(before: u64, now: u64) -> String {
    match (size::bytes(before), size::bytes(now)) {
        _ if before == now => "of the same size".to_owned(),
        (rounded, same) if rounded == same => format!("{before} B before, {now} B now"),
        (before, now) => format!("{before} before, {now} now"),
    }
}

fn write_examples(out: &mut dyn Write, row: &Dataset) -> io::Result<()> {
    let Some(differences) = &row.differences else { return Ok(()) };
    for example in &differences.examples {
        writeln!(out, "  {}", escape::text(example))?;
    }
    let all = differences.added.saturating_add(differences.changed).saturating_add(differences.removed);
    let shown = u64::try_from(differences.examples.len()).unwrap_or(u64::MAX);
    match all.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::render::dataset::tests::row;

    fn shown(rows: &[Dataset]) -> String {
        let mut out = Vec::new();
        show(&mut out, rows, Palette::default()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_a_dataset_with_what_is_remarkable() {
        let examples = ["+ a\n.png", "~ b.png", "- c.png"];
        let rows = [
            row("adult.data", json!({ "state": "unchanged", "in_store": true, "remote": "unchanged" })),
            row(
                "images",
                json!({
                    "state": "changed", "in_store": true, "now": { "digest": "sha256:0", "files": 4, "size": 1 },
                    "differences": { "added": 3, "changed": 2, "removed": 1, "examples": examples },
                }),
            ),
            row(
                "b.csv",
                json!({
                    "state": "changed", "in_store": false, "now": { "digest": "sha256:0", "files": 1, "size": 12 },
                    "remote": "changed",
                }),
            ),
            row("gone", json!({ "state": "missing", "in_store": true, "remote": "gone" })),
            row("c", json!({ "state": "unchanged", "in_store": true, "remote": "unknown" })),
        ];
        let expected = "\
adult.data  unchanged
images      changed    +3 ~2 -1
  + a\\n.png
  ~ b.png
  - c.png
  and 3 more
b.csv       changed    3.8 MiB before, 12 B now; what was recorded is not in the store; its server has another version now
gone        missing    its server no longer has it
c           unchanged  its server can't be asked
";
        assert_eq!(shown(&rows), expected);
    }

    #[test]
    fn sizes_are_told_so_that_they_differ() {
        assert_eq!(sizes(10, 2048), "10 B before, 2.0 KiB now");
        assert_eq!(sizes(151_344, 151_346), "151344 B before, 151346 B now");
        assert_eq!(sizes(7, 7), "of the same size");
    }
}
