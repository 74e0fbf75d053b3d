use std::io::{self, Write};

use serde::Deserialize;

use crate::Tracker;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::grid::{Cell, Column, Grid};
use crate::cli::render::{self, json, size, unexpected};
use crate::cli::ui::Ui;

/// Bring removed experiments back, or list what can be
///
/// Without a selector, what `au rm` removed is listed, with how long ago that was; `au gc` lets go of it after 30 days (setting
/// `aurum.gc.grace`).
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct RestoreArgs {
    /// Experiments to bring back: an id, the beginning of one, a tag, a name, `@` for the one that was removed last, or several
    /// of these with commas between
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Print a JSON array: what can be brought back, or the ids of what was
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au restore             List what can be brought back
  au restore acfdf6cd    Bring one back, by the beginning of its id
  au restore @           Bring back what was removed last

{EXIT_STATUS}"
    )
}

#[derive(Debug, Deserialize)]
struct Discarded {
    id: String,
    #[serde(default)]
    name: Option<String>,
    status: Option<String>,
    started: Option<String>,
    age: u64,
    until: String,
}

pub(crate) fn restore(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &RestoreArgs) -> Result<()> {
    if args.selectors.is_empty() {
        return list(ui, &tracker.trash()?, args.json);
    }
    let ids = tracker.restore(&args.selectors.join(","))?;
    if args.json {
        return Ok(writeln!(ui.out, "{}", serde_json::Value::from(ids))?);
    }
    ids.iter().try_for_each(|id| writeln!(ui.out, "restored {}", render::short(id)))?;
    Ok(())
}

fn list(ui: &mut Ui<'_>, trash: &str, as_json: bool) -> Result<()> {
    if as_json {
        let mut array = json::Array::new(ui.out, ui.screen.terminal);
        array.page(trash)?;
        return Ok(array.end()?);
    }
    let discarded: Vec<Discarded> = serde_json::from_str(trash).map_err(|error| unexpected(&error))?;
    if discarded.is_empty() {
        ui.note("Nothing was removed that could be brought back", &[]);
        return Ok(());
    }
    Ok(table(ui.out, &discarded, ui.screen.palette)?)
}

fn table(out: &mut dyn Write, discarded: &[Discarded], palette: render::style::Palette) -> io::Result<()> {
    let text = |text: &Option<String>| text.as_ref().map(Cell::text);
    let minute = |text: &str| text.get(..16).unwrap_or(text).replace('T', " ");
    let mut columns = vec![Column::new("id", discarded.iter().map(|entry| Some(Cell::text(render::short(&entry.id)))))];
    if discarded.iter().any(|entry| entry.name.is_some()) {
        columns.push(Column::new("name", discarded.iter().map(|entry| text(&entry.name))));
    }
    let begun = |entry: &Discarded| entry.started.as_deref().map(|started| Cell::text(minute(started)));
    columns.extend([
        Column::new("status", discarded.iter().map(|entry| text(&entry.status))),
        Column::new("started (UTC)", discarded.iter().map(begun)),
        Column::new("removed", discarded.iter().map(|entry| Some(Cell::text(size::ago(entry.age))))),
        Column::new(
            "kept until",
            discarded.iter().map(|entry| Some(Cell::text(entry.until.get(..10).unwrap_or_default()))),
        ),
    ]);
    Grid::new(columns, palette).write(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_trash_is_a_table_with_ages() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let trash = r#"[{"id":"acfdf6cd-1f1a","status":"failed","started":"2026-11-23T22:29:01.000Z","removed":"x","age":7200000,
            "until":"2026-12-24T00:00:00.000Z"},{"id":"280459c5-b183","status":null,"started":null,"removed":"x","age":5000,
            "until":"2026-12-24T00:00:00.000Z"}]"#;
        list(&mut Ui::plain(&mut out, &mut err), trash, false).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "id        status  started (UTC)     removed        kept until\n\
             acfdf6cd  failed  2026-11-23 22:29  2 hours ago    2026-12-24\n\
             280459c5  -       -                 5 seconds ago  2026-12-24\n"
        );
    }

    #[test]
    fn an_empty_trash_is_told_on_stderr_alone() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        list(&mut Ui::plain(&mut out, &mut err), "[]", false).unwrap();
        assert!(out.is_empty() && String::from_utf8(err).unwrap().starts_with("Nothing was removed"));
    }
}
