use std::io::{self, Write};

use super::rows_to_show;
use crate::Tracker;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::dataset::Dataset;
use crate::cli::render::grid::{Cell, Column, Grid};
use crate::cli::render::{digits, size};
use crate::cli::ui::{Screen, Ui};

/// List the project's data
///
/// Shows what was recorded of each dataset when it was last added; `au data status` looks whether it is still so.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct LsArgs {
    /// Print a JSON array with all that is recorded
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data ls                  All datasets, with where they came from
  au data ls --json | jq .    For programs

{EXIT_STATUS}"
    )
}

pub(crate) fn ls(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &LsArgs) -> Result<()> {
    let rows = tracker.list_data()?;
    let Some(rows) = rows_to_show(ui, &rows, args.json)? else { return Ok(()) };
    Ok(show(ui.out, &rows, &ui.screen)?)
}

fn show(out: &mut dyn Write, rows: &[Dataset], screen: &Screen) -> io::Result<()> {
    let column =
        |heading, cell: &dyn Fn(&Dataset) -> Cell| Column::new(heading, rows.iter().map(|row| Some(cell(row))));
    let columns = vec![
        column("name", &|row| Cell::text(&row.name)),
        column("kind", &|row| Cell::text(&row.kind)),
        column("files", &|row| Cell::number(row.files.to_string())),
        column("size", &|row| Cell::number(size::bytes(row.size))),
        column("source", &|row| Cell::text(row.source())),
        column("digest", &|row| Cell::text(digits(&row.digest))),
        column("kept", &|row| Cell::text(if row.stored { "yes" } else { "no" })),
    ];
    Grid::new(columns, screen.palette).squeezed(screen.width).write(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::render::dataset::tests::row;

    #[test]
    fn a_row_a_dataset_that_fits_the_terminal() {
        let address = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/adult.data";
        let rows = [
            row("adult.data", json!({ "source": { "type": "address", "path": "adult.data", "url": address } })),
            row(
                "far",
                json!({
                    "kind": "folder", "files": 12, "size": 2, "stored": false, "source": { "type": "outside" },
                    "place": "/mnt/far",
                }),
            ),
        ];
        let shown = |width| {
            let mut out = Vec::new();
            show(&mut out, &rows, &Screen { width, ..Screen::default() }).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(shown(None).lines().nth(1).unwrap().contains(address));
        let expected = "\
name        kind    files     size  source                  digest        kept
adult.data  file        1  3.8 MiB  https://archive.ics.u…  5b00264637db  yes
far         folder     12      2 B  outside: /mnt/far       5b00264637db  no
";
        assert_eq!(shown(Some(78)), expected);
    }
}
