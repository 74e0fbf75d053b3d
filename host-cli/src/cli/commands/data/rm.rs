use std::io::{self, Write};

use super::show_json;
use crate::Tracker;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::dataset::Dataset;
use crate::cli::render::escape;
use crate::cli::ui::Ui;

/// Take data out of the project
///
/// Its files stay where they are, and git no longer ignores them. With `--hard-delete` the files go too, unless they hold
/// what the store does not. Experiments and what the store keeps for them stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct RmArgs {
    /// Datasets to take out, by name, path or address
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Leave the files where they are; so it is without an option, too
    #[arg(long, conflicts_with = "hard_delete")]
    soft_delete: bool,
    /// Delete the files, unless they lie outside of the project
    #[arg(long)]
    hard_delete: bool,
    /// Print a JSON array of what was taken out
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data rm adult.data                 Take it out and leave the file
  au data rm --hard-delete adult.data   Delete the file as well

{EXIT_STATUS}"
    )
}

pub(crate) fn rm(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &RmArgs) -> Result<()> {
    let rows = tracker.remove_data(&args.names, args.hard_delete)?;
    if args.json {
        return show_json(ui, &rows);
    }
    Ok(show(ui.out, &Dataset::rows(&rows)?, args.hard_delete)?)
}

fn show(out: &mut dyn Write, rows: &[Dataset], hard: bool) -> io::Result<()> {
    for row in rows {
        let name = escape::text(&row.name);
        let (files, stay, are, them) =
            if row.is_folder() { ("files", "stay", "were", "them") } else { ("file", "stays", "was", "it") };
        match row.outcome.as_str() {
            "deleted" => writeln!(out, "deleted {name} and its {files}")?,
            _ if !row.is_inside() => writeln!(out, "removed {name}; its {files} outside of the project {stay}")?,
            _ if hard => writeln!(out, "removed {name}; its {files} {are} gone already")?,
            _ => writeln!(out, "removed {name}; its {files} {stay}, and git no longer ignores {them}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::args::Args;
    use crate::cli::render::dataset::tests::row;

    fn shown(rows: &[Dataset], hard: bool) -> String {
        let mut out = Vec::new();
        show(&mut out, rows, hard).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_line_tells_what_became_of_the_files() {
        let rows = [
            row("adult.data", json!({ "outcome": "removed" })),
            row("images", json!({ "outcome": "removed", "kind": "folder" })),
            row("far.csv", json!({ "outcome": "removed", "source": { "type": "outside" } })),
        ];
        assert_eq!(
            shown(&rows, false),
            "removed adult.data; its file stays, and git no longer ignores it\n\
             removed images; its files stay, and git no longer ignores them\n\
             removed far.csv; its file outside of the project stays\n"
        );
        assert_eq!(
            shown(&rows, true),
            "removed adult.data; its file was gone already\n\
             removed images; its files were gone already\n\
             removed far.csv; its file outside of the project stays\n"
        );
        let deleted = [row("adult.data", json!({ "outcome": "deleted" })), row("n\n", json!({ "outcome": "deleted" }))];
        assert_eq!(shown(&deleted, true), "deleted adult.data and its file\ndeleted n\\n and its file\n");
    }

    #[test]
    fn files_are_left_or_deleted_and_not_both() {
        let refused = |line: &[&str]| Args::read(&[&["au", "data"], line].concat()).unwrap_err().to_string();
        assert!(refused(&["rm", "a", "--soft-delete", "--hard-delete"]).contains("cannot be used with"));
        assert!(refused(&["remove"]).contains("<NAME>..."));
    }
}
