use std::io::{self, Write};

use serde::Deserialize;

use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::{self, escape, json, size, unexpected};
use crate::cli::ui::Ui;
use crate::{Collection, Tracker};

/// Lines of what is removed before the rest is only counted.
const SHOWN: usize = 20;

/// Clear what nothing needs any more
///
/// Without `--yes` it tells what would be cleared, and changes nothing. What goes: experiments that were removed more than 30 days
/// ago (setting `aurum.gc.grace`), models and data that no experiment, no run and no description of data in any commit names and
/// that were last used before that, and what was left of writing that was cut off.
///
/// With `--keep-last`, `--older-than`, `--status` or `--where`, experiments that fit all of these go to the trash, as `au rm` does it.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct GcArgs {
    /// Do it
    #[arg(short, long, visible_alias = "force")]
    yes: bool,
    /// Tell what would be cleared, and change nothing, as without `--yes`
    #[arg(short = 'n', long, conflicts_with = "yes")]
    dry_run: bool,
    /// Remove all experiments but the N newest
    #[arg(long, value_name = "N")]
    keep_last: Option<u32>,
    /// Remove experiments that began longer ago, such as 90d, 8w, 1y
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// Remove experiments that ended so: finished, failed, interrupted, killed; several with commas between
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<String>,
    /// Remove experiments that meet a condition, such as `loss > 10`
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// How long what was removed, or is not needed any more, is kept, such as 14d
    #[arg(long, value_name = "AGE")]
    grace: Option<String>,
    /// Print a JSON object of what was cleared, or would be
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au gc                                    Tell what would be cleared
  au gc --yes                              Clear it
  au gc --status failed,killed --yes       Remove experiments that failed as well
  au gc --older-than 1y --keep-last 100    What removing old ones, but the 100 newest, would come to
  au restore                               List what can be brought back

{EXIT_STATUS}"
    )
}

#[derive(Debug, Deserialize)]
struct Report {
    grace: u64,
    experiments: Vec<Removed>,
    forgotten: Vec<String>,
    running: u64,
    contents: Amount,
    store_left: Option<String>,
    temporaries: Amount,
    loose: Amount,
}

#[derive(Debug, Deserialize)]
struct Removed {
    id: String,
    #[serde(default)]
    name: Option<String>,
    status: String,
}

#[derive(Debug, Default, Deserialize)]
struct Amount {
    count: u64,
    bytes: u64,
}

pub(crate) fn gc(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &GcArgs) -> Result<()> {
    let what = Collection {
        keep_last: args.keep_last,
        older_than: args.older_than.clone(),
        statuses: args.status.clone(),
        condition: args.condition.clone(),
        grace: args.grace.clone(),
    };
    let answer = tracker.collect(&what, !args.yes)?;
    let report: Report = serde_json::from_str(&answer).map_err(|error| unexpected(&error))?;
    if args.json {
        json::write_object(ui.out, &answer, ui.screen.terminal)?;
    } else {
        show(ui.out, &report, !args.yes)?;
    }
    let (message, hints) = remarks(&report, !args.yes);
    if !hints.is_empty() {
        ui.note(&message, &hints);
    }
    Ok(())
}

fn show(out: &mut dyn Write, report: &Report, dry: bool) -> io::Result<()> {
    let verb = |done: &'static str, planned: &'static str| if dry { planned } else { done };
    for removed in report.experiments.iter().take(SHOWN) {
        let name = removed.name.as_deref().map(|name| format!(" {}", escape::text(name))).unwrap_or_default();
        let verb = verb("removed", "would remove");
        writeln!(out, "{verb} {}{name} {}", render::short(&removed.id), escape::text(&removed.status))?;
    }
    if report.experiments.len() > SHOWN {
        let more = size::count((report.experiments.len() - SHOWN) as u64, "more experiment");
        writeln!(out, "{} {more}", verb("removed", "would remove"))?;
    }
    let mut line = |count: u64, one: &str, rest: &str| {
        let verb = verb("cleared", "would clear");
        if count > 0 { writeln!(out, "{verb} {}{rest}", size::count(count, one)) } else { Ok(()) }
    };
    line(report.forgotten.len() as u64, "experiment", " of the trash")?;
    let contents = format!(" of the store that nothing needs, {}", size::bytes(report.contents.bytes));
    line(report.contents.count, "file", &contents)?;
    let cut_off = format!(" of writing that was cut off, {}", size::bytes(report.temporaries.bytes));
    line(report.temporaries.count, "file", &cut_off)?;
    line(report.running, "reference", " of runs that are gone")?;
    if report.is_empty() {
        writeln!(out, "Nothing to clear")?;
    }
    Ok(())
}

impl Report {
    fn is_empty(&self) -> bool {
        let counts = [self.contents.count, self.temporaries.count, self.running];
        self.experiments.is_empty() && self.forgotten.is_empty() && counts.iter().all(|count| *count == 0)
    }
}

fn remarks(report: &Report, dry: bool) -> (String, Vec<String>) {
    let mut hints = Vec::new();
    let mut message = if dry { "Nothing is changed yet" } else { "Done" }.to_owned();
    if let Some(why) = &report.store_left {
        message = format!("The store is left as it is: {why}");
        hints.push("Find what is wrong: `au verify`".to_owned());
    }
    if dry && !report.is_empty() {
        hints.push("Do it: the same with `--yes`".to_owned());
    }
    if !dry && !report.experiments.is_empty() {
        let days = report.grace / (24 * 60 * 60 * 1000);
        hints.push(format!("Bring experiments back within {}: `au restore`", size::count(days, "day")));
    }
    // As many as git itself packs them from.
    if report.loose.count > 6_700 || (!dry && !report.forgotten.is_empty()) {
        let (count, bytes) = (size::count(report.loose.count, "object"), size::bytes(report.loose.bytes));
        hints.push(format!("git keeps {count} as a file each, {bytes}, and drops what nothing leads to: `git gc`"));
    }
    (message, hints)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        let nothing = r#""experiments":[],"forgotten":[],"running":0,"contents":{"count":0,"bytes":0},"store_left":null,
            "temporaries":{"count":0,"bytes":0},"loose":{"count":9000,"bytes":40000000},"grace":2592000000"#;
        let mut all: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&format!("{{{nothing}}}")).unwrap();
        all.extend(serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap());
        serde_json::from_value(all.into()).unwrap()
    }

    fn shown(report: &Report, dry: bool) -> String {
        let mut out = Vec::new();
        show(&mut out, report, dry).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_has_a_line_with_its_size() {
        let all = report(
            r#"{"experiments":[{"id":"acfdf6cd-1f1a","status":"failed"}],"forgotten":["a","b"],"running":1,
            "contents":{"count":2,"bytes":2048},"temporaries":{"count":1,"bytes":10}}"#,
        );
        assert_eq!(
            shown(&all, true),
            "would remove acfdf6cd failed\nwould clear 2 experiments of the trash\n\
             would clear 2 files of the store that nothing needs, 2.0 KiB\n\
             would clear 1 file of writing that was cut off, 10 B\nwould clear 1 reference of runs that are gone\n"
        );
        assert!(shown(&all, false).starts_with("removed acfdf6cd failed\ncleared "));
        assert!(remarks(&all, true).1.contains(&"Do it: the same with `--yes`".to_owned()));
        assert_eq!(remarks(&all, false).1[0], "Bring experiments back within 30 days: `au restore`");
        assert_eq!(shown(&report("{}"), true), "Nothing to clear\n");
        let left = remarks(&report(r#"{"store_left":"why"}"#), true);
        assert_eq!(left.0, "The store is left as it is: why");
        assert!(left.1[1].contains("9000 objects as a file each, 38.1 MiB"), "{left:?}");
    }
}
