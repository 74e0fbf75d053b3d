use std::io::{self, Write};

use serde::Deserialize;

use super::show_json;
use crate::Tracker;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::grid::{Cell, Column, Grid};
use crate::cli::render::{digits, size, unexpected};
use crate::cli::ui::{Screen, Ui};

/// See the versions that a dataset has had
///
/// Lists every content that a commit of git describes, or that an experiment had, oldest first: since when, how much it is, which
/// experiments had it, and whether the store has it, so that `au data restore --version` brings it back. A dataset that was
/// removed has its history still.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct HistoryArgs {
    /// A dataset, by name, path or address
    name: String,
    /// Print a JSON array with all commits and experiments
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data history adult.data
  au data restore adult.data --version 5b002646
                               Bring one of them back

{EXIT_STATUS}"
    )
}

#[derive(Deserialize)]
struct Version {
    digest: String,
    size: u64,
    files: u64,
    since: Option<String>,
    experiments: Vec<Experiment>,
    described: bool,
    in_store: bool,
}

#[derive(Deserialize)]
struct Experiment {
    id: String,
    #[serde(default)]
    name: Option<String>,
    used: bool,
}

pub(crate) fn history(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &HistoryArgs) -> Result<()> {
    let rows = tracker.data_history(&args.name)?;
    if args.json {
        return show_json(ui, &rows);
    }
    let versions: Vec<Version> = serde_json::from_str(&rows).map_err(|error| unexpected(&error))?;
    Ok(show(ui.out, &versions, &ui.screen)?)
}

fn show(out: &mut dyn Write, versions: &[Version], screen: &Screen) -> io::Result<()> {
    let column = |heading, cell: &dyn Fn(&Version) -> Cell| {
        Column::new(heading, versions.iter().map(|version| Some(cell(version))))
    };
    let columns = vec![
        column("since", &|version| Cell::text(version.since.as_deref().map_or("not committed", minutes))),
        column("digest", &|version| Cell::text(digits(&version.digest))),
        column("files", &|version| Cell::number(version.files.to_string())),
        column("size", &|version| Cell::number(size::bytes(version.size))),
        column("kept", &|version| Cell::text(if version.in_store { "yes" } else { "no" })),
        column("described", &|version| Cell::text(if version.described { "yes" } else { "" })),
        column("experiments", &|version| Cell::text(experiments(&version.experiments))),
    ];
    Grid::new(columns, screen.palette).squeezed(screen.width).write(out)
}

/// `2026-11-24T18:08` of a whole moment.
fn minutes(moment: &str) -> &str {
    moment.get(..16).unwrap_or(moment)
}

/// How many had it, and the latest of those that used it.
fn experiments(all: &[Experiment]) -> String {
    let used: Vec<_> = all.iter().filter(|experiment| experiment.used).collect();
    let Some(latest) = used.last() else {
        return if all.is_empty() { String::new() } else { format!("present in {}", all.len()) };
    };
    let name = latest.name.as_deref().unwrap_or_else(|| latest.id.get(..8).unwrap_or(&latest.id));
    let others = used.len() - 1;
    if others == 0 { format!("used by {name}") } else { format!("used by {name} and {others} more") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_a_version() {
        let version = |digest: &str, more: serde_json::Value| {
            let mut version = json!({
                "digest": format!("sha256:{digest}"), "kind": "file", "size": 12, "files": 1, "since": null, "commits": [],
                "experiments": [], "described": false, "in_store": true,
            });
            for (key, value) in more.as_object().unwrap() {
                version[key] = value.clone();
            }
            serde_json::from_value::<Version>(version).unwrap()
        };
        let id = "f4879982-702f-48aa-a0d9-1d1bb028d432";
        let versions = [
            version(
                "0123456789abcdef",
                json!({
                    "since": "2026-11-24T18:08:05.000Z", "in_store": false, "experiments": [{ "id": id, "used": false }],
                }),
            ),
            version(
                "1123456789abcdef",
                json!({
                    "since": "2026-11-24T19:08:05.000Z",
                    "experiments": [{ "id": id, "used": true }, { "id": id, "used": true, "name": "a\nb" }],
                }),
            ),
            version("2123456789abcdef", json!({ "described": true, "experiments": [{ "id": id, "used": true }] })),
        ];
        let mut out = Vec::new();
        show(&mut out, &versions, &Screen::default()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\
since             digest        files  size  kept  described  experiments
2026-11-24T18:08  0123456789ab      1  12 B  no               present in 1
2026-11-24T19:08  1123456789ab      1  12 B  yes              used by a\\nb and 1 more
not committed     2123456789ab      1  12 B  yes   yes        used by f4879982
"
        );
    }
}
