use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::table::{self, Choice};
use crate::cli::render::{Row, json};
use crate::cli::ui::Ui;
use crate::{Failure, Request, Tracker};

/// Columns that are named when they don't fit; of the rest their number is told.
const NAMED: usize = 6;

/// Compare parameters and metrics of experiments
///
/// Shows one row a run, oldest first, runs that are still going on included. Of several runs, only those parameters are
/// shown that differ between them. Columns for which the terminal has no room are left out and named.
///
/// `--where` has the whole language that `docs/queries.md` describes: `=`, `!=`, `<`, `<=`, `>`, `>=`, `~` for text that has
/// another in it, `NAME in (A, B)`, `exists NAME`, `and`, `or`, `not` and parentheses, over metrics, parameters and what Aurum
/// knows itself: id, name, status, started, ended, duration, script, problem, data, model, tag.
///
/// A status of `lost` means that the run's process is gone and that its record is not written yet: `au recover` does it.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct MetricsArgs {
    /// Experiments to show, all without one: an id, the beginning of one (4 characters or more), a tag, a name, `@` for
    /// the latest, `@~N` for the Nth before it, or several of these with commas between
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Show those alone that meet a condition, such as `accuracy > 0.9 and lr < 0.1`
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    condition: Option<String>,
    /// Sort by a metric, a parameter or another name, with a `-` before it for the greatest first
    #[arg(long, value_name = "[-]NAME", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Show so many at most: the first ones if they are sorted, else the newest
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Show every column, however wide the table gets
    #[arg(long)]
    all: bool,
    /// Print a JSON array with all there is on each run, values exact
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au metrics                    All experiments
  au metrics acfdf6cd           One of them, by the beginning of its id
  au metrics acfdf6cd,280459c5  Two of them; a space between does as well
  au metrics @~1 @              The latest and the one before it
  au metrics --sort -accuracy --limit 5
                                The five best
  au metrics --where 'accuracy > 0.9 and lr < 0.1 and status = finished'
                                Those that meet a condition
  au metrics --where 'started >= 2d ago and data = adult'
                                Those of the last two days that had these data
  au metrics --all | less -S    Every column, to scroll through
  au metrics --json | jq .      For programs

{EXIT_STATUS}"
    )
}

pub(crate) fn metrics(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &MetricsArgs) -> Result<()> {
    let MetricsArgs { condition, sort, limit, .. } = args;
    let selector = selector(&args.selectors);
    let request = Request { selector, condition: condition.clone(), sort: sort.clone(), limit: *limit };
    let pages = tracker.query(&request)?;
    if args.json { show_json(ui, pages) } else { show_table(ui, pages, args.all, condition.is_some()) }
}

fn selector(given: &[String]) -> Option<String> {
    if given.is_empty() { None } else { Some(given.join(",")) }
}

fn show_json(ui: &mut Ui<'_>, pages: impl Iterator<Item = Result<String, Failure>>) -> Result<()> {
    let mut array = json::Array::new(ui.out, ui.screen.terminal);
    for page in pages {
        array.page(&page?)?;
    }
    Ok(array.end()?)
}

fn show_table(
    ui: &mut Ui<'_>,
    pages: impl Iterator<Item = Result<String, Failure>>,
    all: bool,
    conditional: bool,
) -> Result<()> {
    let mut rows = Vec::new();
    for page in pages {
        rows.extend(Row::page(&page?)?);
    }
    if rows.is_empty() && conditional {
        ui.note("No experiment meets the condition", &[]);
        return Ok(());
    }
    if rows.is_empty() {
        let hint = "Run a script that says `import aurum as au` and, at its end, `au.register_metric(accuracy=0.9)`";
        ui.note("No experiments yet", &[hint.to_owned()]);
        return Ok(());
    }
    let width = if all { None } else { ui.screen.width };
    let left_out = table::write(ui.out, &rows, &Choice { all, width, palette: ui.screen.palette })?;
    if !left_out.is_empty() {
        ui.note(&not_shown(&left_out), &[]);
    }
    Ok(())
}

fn not_shown(names: &[String]) -> String {
    let columns = if names.len() == 1 { "column" } else { "columns" };
    let mut list = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        list = format!("{list} and {} more", names.len() - NAMED);
    }
    format!(
        "{} {columns} not shown: {list}; `--all` shows every column, in lines longer than the terminal",
        names.len()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::FailureKind;
    use crate::cli::ui::Screen;

    type Shown = (Result<()>, String, String);

    fn shown(act: impl FnOnce(&mut Ui<'_>) -> Result<()>) -> Shown {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let result = act(&mut Ui::plain(&mut out, &mut err));
        (result, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn page(metrics: &str) -> Result<String, Failure> {
        Ok(format!(
            r#"[{{"id":"acfdf6cd-1f1a-4929-b036-7b0a5399b0c6","status":"finished","started":"2026-11-23T22:29:01.000Z",
            "ended":null,"duration":1.25,"script":null,"parameters":{{}},"metrics":{metrics}}}]"#
        ))
    }

    #[test]
    fn selectors_with_spaces_and_with_commas_between_are_the_same() {
        assert_eq!(selector(&[]), None);
        assert_eq!(selector(&["a".into(), "b,c".into()]).as_deref(), Some("a,b,c"));
    }

    #[test]
    fn an_empty_project_is_told_on_stderr_alone() {
        let (result, out, err) = shown(|ui| show_table(ui, std::iter::empty(), false, false));
        assert!(result.is_ok() && out.is_empty());
        assert!(err.starts_with("No experiments yet\nhint: Run a script that says `import aurum as au`"), "{err}");
        assert_eq!(shown(|ui| show_json(ui, std::iter::empty())).1, "[]\n");
        let (_, out, err) = shown(|ui| show_table(ui, std::iter::empty(), false, true));
        assert_eq!((&*out, &*err), ("", "No experiment meets the condition\n"));
    }

    #[test]
    fn columns_without_room_are_named() {
        let narrow = |all| {
            shown(|ui| {
                ui.screen = Screen { width: Some(56), ..Screen::default() };
                show_table(ui, std::iter::once(page(r#"{"accuracy":0.5,"loss":0.25,"recall":1}"#)), all, false)
            })
        };
        let (_, out, err) = narrow(false);
        assert_eq!(
            out,
            "id        status    started (UTC)     duration  accuracy\n\
             acfdf6cd  finished  2026-11-23 22:29     1.2 s       0.5\n"
        );
        assert!(err.starts_with("2 columns not shown: loss, recall; "), "{err}");
        let (_, out, err) = narrow(true);
        assert!(out.contains("recall") && err.is_empty());
    }

    #[test]
    fn a_long_list_of_names_is_cut_short() {
        let names: Vec<_> = (0..9).map(|n| format!("m{n}")).collect();
        assert!(not_shown(&names).starts_with("9 columns not shown: m0, m1, m2, m3, m4, m5 and 3 more; "));
    }

    #[test]
    fn a_page_that_fails_is_no_shorter_history() {
        let pages = || [page("{}"), Err(Failure::new(FailureKind::Unavailable, "Gone", "Again"))].into_iter();
        let (result, out, _) = shown(|ui| show_table(ui, pages(), false, false));
        assert!(result.is_err() && out.is_empty());
        assert!(shown(|ui| show_json(ui, pages())).0.is_err());
    }
}
