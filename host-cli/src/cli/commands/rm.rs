use std::io::{self, Write};

use serde::Deserialize;

use crate::cli::args::EXIT_STATUS;
use crate::cli::render::{self, escape, json, size, unexpected};
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};
use crate::{Failure, FailureKind};
use crate::{Request, Tracker};

/// Lines of a question before it is only counted.
const SHOWN: usize = 20;

/// Remove experiments
///
/// They are listed no longer, here and in every clone that this is pushed to, and stay in the trash for 30 days (setting
/// `aurum.gc.grace`): `au restore` brings them back until `au gc` lets go of them. A run that is still going on is not removed.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct RmArgs {
    /// Experiments to remove: an id, the beginning of one (4 characters or more), a tag, a name, `@` for the latest, `@~N` for
    /// the Nth before it, or several of these with commas between
    #[arg(value_name = "SELECTOR", required_unless_present = "condition")]
    selectors: Vec<String>,
    /// Only those that meet a condition, such as `status = failed and loss > 10`
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Don't ask before several are removed
    #[arg(short, long)]
    yes: bool,
    /// Show what would be removed, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print a JSON array of what was removed, or would be
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au rm acfdf6cd             Remove one, by the beginning of its id
  au rm --dry-run @~1 @      Show what would be removed
  au rm --where 'loss > 10'  Remove those that meet a condition
  au rm --yes @~1 @          Remove two of them without a question
  au restore acfdf6cd        Bring one back

{EXIT_STATUS}"
    )
}

/// What is to be removed.
#[derive(Debug, Deserialize)]
struct Candidate {
    id: String,
    #[serde(default)]
    name: Option<String>,
    status: Option<String>,
    started: Option<String>,
    built_on_it: Vec<String>,
}

pub(crate) fn rm(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &RmArgs) -> Result<()> {
    let selector = if args.selectors.is_empty() { None } else { Some(args.selectors.join(",")) };
    let request = Request { selector, condition: args.condition.clone(), sort: None, limit: None };
    let plan = tracker.plan_removal(&request)?;
    let candidates: Vec<Candidate> = serde_json::from_str(&plan).map_err(|error| unexpected(&error))?;
    if candidates.is_empty() && !args.json {
        ui.note("No experiment meets the condition", &[]);
        return Ok(());
    }
    for candidate in &candidates {
        warn_of_others(ui, candidate);
    }
    if args.dry_run {
        return if args.json { show_json(ui, &plan) } else { Ok(show(ui.out, "would remove", &candidates)?) };
    }
    if candidates.len() > 1 && !args.yes && !confirmed(ui, &candidates)? {
        return Err(nothing_done());
    }
    let ids: Vec<String> = candidates.iter().map(|candidate| candidate.id.clone()).collect();
    tracker.remove(&ids)?;
    if args.json {
        show_json(ui, &plan)?;
    } else {
        show(ui.out, "removed", &candidates)?;
    }
    if !candidates.is_empty() {
        ui.note("Nothing is deleted yet", &[undo(&candidates)]);
    }
    Ok(())
}

fn show_json(ui: &mut Ui<'_>, plan: &str) -> Result<()> {
    let mut array = json::Array::new(ui.out, ui.screen.terminal);
    array.page(plan)?;
    Ok(array.end()?)
}

fn show(out: &mut dyn Write, what: &str, candidates: &[Candidate]) -> io::Result<()> {
    candidates.iter().try_for_each(|candidate| writeln!(out, "{what} {}", line(candidate)))
}

fn line(row: &Candidate) -> String {
    let name = row.name.as_deref().map(|name| format!(" {}", escape::text(name))).unwrap_or_default();
    let id = render::short(&row.id);
    let (Some(status), Some(started)) = (&row.status, &row.started) else {
        return format!("{id}, which can't be read");
    };
    let started = started.get(..16).unwrap_or(started).replace('T', " ");
    format!("{id}{name} {}, begun {}", escape::text(status), escape::text(&started))
}

fn warn_of_others(ui: &mut Ui<'_>, candidate: &Candidate) {
    if candidate.built_on_it.is_empty() {
        return;
    }
    let (id, count) = (render::short(&candidate.id), candidate.built_on_it.len());
    let ids: Vec<_> = candidate.built_on_it.iter().take(SHOWN).map(|id| render::short(id).into_owned()).collect();
    let more = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
    let (others, were) = if count == 1 { ("Another experiment", "was") } else { ("Other experiments", "were") };
    ui.note(&format!("{others} {were} built on {id}: {}{more}", ids.join(", ")), &[]);
}

fn undo(candidates: &[Candidate]) -> String {
    let ids: Vec<_> =
        candidates.iter().take(SHOWN).map(|candidate| render::short(&candidate.id).into_owned()).collect();
    match candidates.len() {
        count if count > SHOWN => "Bring any of them back: `au restore ID`; `au restore` lists them".to_owned(),
        1 => format!("Bring it back: `au restore {}`", ids[0]),
        _ => format!("Bring them back: `au restore {}`", ids.join(" ")),
    }
}

fn confirmed(ui: &mut Ui<'_>, candidates: &[Candidate]) -> Result<bool> {
    let mut lines: Vec<String> = candidates.iter().take(SHOWN).map(line).collect();
    if candidates.len() > SHOWN {
        lines.push(format!("and {} more", candidates.len() - SHOWN));
    }
    Ok(ui.confirm(&lines, &format!("Remove {}?", size::count(candidates.len() as u64, "experiment")))?)
}

fn nothing_done() -> Error {
    Failure::new(FailureKind::InTheWay, "Nothing was removed", "`--yes` removes them without a question").into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn candidate(id: &str, built: &[&str]) -> Candidate {
        let built: Vec<_> = built.iter().map(|id| format!("\"{id}\"")).collect();
        serde_json::from_str(&format!(
            r#"{{"id":"{id}","name":"base\u001b","status":"finished","started":"2026-11-23T22:29:01.000Z","ended":null,
            "duration":1.25,"script":null,"parameters":{{}},"metrics":{{}},"built_on_it":[{}]}}"#,
            built.join(",")
        ))
        .unwrap()
    }

    #[test]
    fn each_has_a_line_and_the_way_back_is_told() {
        let two = [candidate("acfdf6cd-1f1a", &[]), candidate("280459c5-b183", &[])];
        let mut out = Vec::new();
        show(&mut out, "removed", &two[..1]).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, "removed acfdf6cd base\\u{1b} finished, begun 2026-11-23 22:29\n");
        assert_eq!(undo(&two[..1]), "Bring it back: `au restore acfdf6cd`");
        assert_eq!(undo(&two), "Bring them back: `au restore acfdf6cd 280459c5`");
    }

    #[test]
    fn what_was_built_on_it_is_named() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut ui = Ui::plain(&mut out, &mut err);
        warn_of_others(&mut ui, &candidate("acfdf6cd-1f1a", &["280459c5-b183"]));
        warn_of_others(&mut ui, &candidate("acfdf6cd-1f1a", &[]));
        assert_eq!(String::from_utf8(err).unwrap(), "Another experiment was built on acfdf6cd: 280459c5\n");
    }
}
