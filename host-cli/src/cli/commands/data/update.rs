use super::add;
use crate::Tracker;
use crate::cli::args::EXIT_STATUS;
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};

/// Take up what has changed since data was added
///
/// Files that have changed become the new version, as `au data add` again makes them. Of data that came from an address its server is
/// asked, and what it has another version of is downloaded. The former version stays restorable. Where data has changed on both
/// sides, nothing is done, and you are told how to have either.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct UpdateArgs {
    /// Datasets to update, by name, path or address; all without one
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Print a JSON array of what became of each
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data update              All that has changed
  au data update adult.data   One dataset

{EXIT_STATUS}"
    )
}

pub(crate) fn update(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &UpdateArgs) -> Result<()> {
    let addition = tracker.update_data(&args.names)?;
    if addition.rows == "[]" && addition.failures.is_empty() && !args.json {
        super::tell_that_none(ui);
        return Ok(());
    }
    add::show(ui, &addition.rows, args.json, &super::here())?;
    if addition.failures.is_empty() { Ok(()) } else { Err(Error::Failures(addition.failures)) }
}
