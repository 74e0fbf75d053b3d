use crate::Tracker;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::json;
use crate::cli::render::record::Record;
use crate::cli::ui::Ui;

/// Show all about one experiment
///
/// Its status, code, parameters, metrics, data, models, packages and machine. Numbers are rounded; `--json` has them exact,
/// and everything else that was recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct ShowArgs {
    /// The experiment: an id, the beginning of one (4 characters or more), a tag, a name, `@` for the latest, or `@~N` for
    /// the Nth before it
    #[arg(value_name = "SELECTOR")]
    selector: String,
    /// Print a JSON object with all that is recorded, values exact
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au show @                              The latest experiment
  au show acfdf6cd                       One by the beginning of its id
  au show @ --json | jq .environment     For programs

{EXIT_STATUS}"
    )
}

pub(crate) fn show(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &ShowArgs) -> Result<()> {
    let record = tracker.show(&args.selector)?;
    if args.json {
        return json::write_object(ui.out, &record, ui.screen.terminal);
    }
    Ok(Record::parse(&record)?.write(ui.out, &ui.screen)?)
}
