use std::io::{self, Write};
use std::path::PathBuf;

use super::rows_to_show;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::dataset::{self, Dataset};
use crate::cli::render::escape;
use crate::cli::render::word::word;
use crate::cli::ui::Ui;
use crate::{RestoreOptions, Tracker};

/// Bring data back to what was recorded
///
/// Takes the content from the store, else from the data remote, else from the address that it came from, as long as that has the same
/// content still. Where that would cost you what is kept nowhere else, nothing is changed, and you are
/// told what to do. Data outside of the project is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct RestoreArgs {
    /// Datasets to bring back, by name, path or address; all without one
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Another version of one dataset: a digest or its beginning, a commit, or an experiment that had it
    #[arg(long, value_name = "DIGEST|EXPERIMENT")]
    version: Option<String>,
    /// Put one dataset here, a path in the project that is free, and leave its place as it is
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
    /// Take what is on this computer alone
    #[arg(long)]
    pub(super) offline: bool,
    /// Print a JSON array of what was brought back
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data restore              All data, as after a `git switch`
  au data restore adult.data   One dataset
  au data restore adult.data --version @~1
                               As the experiment before the last one had it
  au data restore adult.data --version 5b002646 --to old.data
                               Another version, beside it

{EXIT_STATUS}"
    )
}

pub(crate) fn restore(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &RestoreArgs) -> Result<()> {
    let options = RestoreOptions { version: args.version.clone(), to: args.to.clone(), fetch: !args.offline };
    let rows = tracker.restore_data(&args.names, &options)?;
    let Some(rows) = rows_to_show(ui, &rows, args.json)? else { return Ok(()) };
    show(ui.out, &rows)?;
    if let (Some(_), None, [row]) = (&args.version, &args.to, &rows[..]) {
        let name = word(&row.name);
        ui.note(
            "What is described stays as it is",
            &[
                format!("Make this version the dataset's: `au data update {name}`"),
                format!("Or go back to the one described: `au data restore {name}`"),
            ],
        );
    }
    Ok(())
}

fn show(out: &mut dyn Write, rows: &[Dataset]) -> io::Result<()> {
    let (inside, outside): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_inside());
    dataset::write_outcomes(out, &inside)?;
    for row in outside {
        writeln!(out, "left {} alone: it lies outside of the project", escape::text(&row.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::render::dataset::tests::row;

    #[test]
    fn a_line_tells_what_became_of_each() {
        let rows = [
            row("adult.data", json!({ "outcome": "restored" })),
            row("far.csv", json!({ "outcome": "outside", "source": { "type": "outside" } })),
            row("b", json!({ "outcome": "unchanged" })),
        ];
        let mut out = Vec::new();
        assert!(show(&mut out, &rows).is_ok());
        assert_eq!(
            String::from_utf8_lossy(&out),
            "restored adult.data  3.8 MiB  sha256:5b00264637db\n\
             unchanged b          3.8 MiB  sha256:5b00264637db\n\
             left far.csv alone: it lies outside of the project\n"
        );
    }
}
