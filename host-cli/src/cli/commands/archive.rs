use std::io::{self, Write};

use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::size;
use crate::cli::ui::Ui;
use crate::{Folded, Tracker};

/// Fold experiments into archives, so that git need not keep a tag for each
///
/// From some 10,000 tags on git itself gets slow. An archive is one commit that holds up to 1,000 experiments of a month; all
/// commands of Aurum see them as before. Doing it again after it was cut off completes it.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct ArchiveArgs {
    /// Experiments to fold, all without one: an id, the beginning of one, a tag, a name, `@` for the latest, `@~N` for the Nth
    /// before it, or several of these with commas between
    #[arg(value_name = "SELECTOR", conflicts_with = "undo")]
    selectors: Vec<String>,
    /// Only those that began before a date, such as 2026-11-01, or longer ago than an age, such as 90d
    #[arg(long, value_name = "DATE|AGE", conflicts_with = "undo")]
    before: Option<String>,
    /// Give each archived experiment its tag again
    #[arg(long)]
    undo: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au archive                        Fold all experiments
  au archive --before 90d           Those that are older than 90 days
  au archive --before 2026-01-01    Those of the years before
  au archive --undo                 Give each its tag again

{EXIT_STATUS}"
    )
}

pub(crate) fn archive(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &ArchiveArgs) -> Result<()> {
    if args.undo {
        let folded = tracker.unarchive()?;
        return Ok(show_undone(ui.out, &folded)?);
    }
    let selector = if args.selectors.is_empty() { None } else { Some(args.selectors.join(",")) };
    let folded = tracker.archive(selector.as_deref(), args.before.as_deref())?;
    show(ui.out, &folded)?;
    if folded.experiments > 0 {
        let hints = [
            "Other clones get them by `au push` here and `au pull` there".to_owned(),
            "Take it back: `au archive --undo`".to_owned(),
        ];
        ui.note("`git clone`, `git fetch` and `git tag` no longer see these; all commands of Aurum do", &hints);
    }
    Ok(())
}

fn show(out: &mut dyn Write, folded: &Folded) -> io::Result<()> {
    if folded.experiments == 0 {
        return writeln!(out, "Nothing to fold");
    }
    let experiments = size::count(folded.experiments, "experiment");
    writeln!(out, "folded {experiments}, {} made", size::count(folded.archives.len() as u64, "archive"))
}

fn show_undone(out: &mut dyn Write, folded: &Folded) -> io::Result<()> {
    if folded.archives.is_empty() && folded.experiments == 0 {
        return writeln!(out, "There are no archives");
    }
    let experiments = size::count(folded.experiments, "experiment");
    writeln!(out, "unfolded {experiments} of {}", size::count(folded.archives.len() as u64, "archive"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn shown(act: impl Fn(&mut dyn Write, &Folded) -> io::Result<()>, experiments: u64, archives: usize) -> String {
        let mut out = Vec::new();
        act(&mut out, &Folded { experiments, archives: vec![String::new(); archives] }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_done_is_counted() {
        assert_eq!(shown(show, 1200, 2), "folded 1200 experiments, 2 archives made\n");
        assert_eq!(shown(show, 0, 0), "Nothing to fold\n");
        assert_eq!(shown(show_undone, 1, 1), "unfolded 1 experiment of 1 archive\n");
        assert_eq!(shown(show_undone, 0, 0), "There are no archives\n");
    }
}
