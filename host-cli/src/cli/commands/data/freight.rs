//! `au data push` and `au data pull`.

use serde_json::json;

use super::show_json;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::escape;
use crate::cli::render::size::{bytes, count};
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};
use crate::{Failure, FailureKind, Freight, Tracker};

/// Send data to the data remote
///
/// Copies the contents of these datasets that the data remote lacks. `au push` sends experiments, with all models and data that they
/// name.
#[derive(Debug, clap::Args)]
#[command(after_help = examples("push"))]
pub(crate) struct PushArgs {
    #[command(flatten)]
    args: FreightArgs,
}

/// Bring data from the data remote
///
/// Copies the contents of these datasets that the store lacks; `au data restore` then puts them in their places.
#[derive(Debug, clap::Args)]
#[command(after_help = examples("pull"))]
pub(crate) struct PullArgs {
    #[command(flatten)]
    args: FreightArgs,
}

#[derive(Debug, clap::Args)]
struct FreightArgs {
    /// Datasets, by name, path or address; all without one
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// All versions that commits and experiments had, not only the one that is described now
    #[arg(long)]
    versions: bool,
    /// Print a JSON object of how much it was
    #[arg(long)]
    json: bool,
}

fn examples(verb: &str) -> String {
    format!(
        "\
Examples:
  au data {verb}                         All data of the project
  au data {verb} adult.data              One dataset
  au data {verb} --versions adult.data   All that it ever was

{EXIT_STATUS}"
    )
}

pub(crate) fn push(ui: &mut Ui<'_>, tracker: &mut Tracker, PushArgs { args }: &PushArgs) -> Result<()> {
    let freight = tracker.push_data(&args.names, args.versions)?.ok_or_else(no_remote)?;
    show(ui, &freight, args, "sent", "to", "Push from the clone that has it; what was never stored can't be sent")
}

pub(crate) fn pull(ui: &mut Ui<'_>, tracker: &mut Tracker, PullArgs { args }: &PullArgs) -> Result<()> {
    let freight = tracker.pull_data(&args.names, args.versions)?.ok_or_else(no_remote)?;
    show(ui, &freight, args, "brought", "from", "Have who has it send it: `au data push`")
}

fn no_remote() -> Failure {
    Failure::new(FailureKind::Usage, "No data remote is set", "Add one: `au data remote add NAME file:///PATH`")
}

fn show(ui: &mut Ui<'_>, freight: &Freight, args: &FreightArgs, verb: &str, way: &str, hint: &str) -> Result<()> {
    let Freight { remote, objects, bytes: size, absent } = freight;
    if args.json {
        show_json(ui, &json!([{ "remote": remote, "objects": objects, "bytes": size, "absent": absent }]).to_string())?;
    } else if *objects > 0 {
        writeln!(ui.out, "{verb} {}, {}, {way} {}", count(*objects, "object"), bytes(*size), escape::text(remote))?;
    } else if *absent == 0 {
        let there =
            if verb == "sent" { format!("{} has it all", escape::text(remote)) } else { "all is here".to_owned() };
        writeln!(ui.out, "{there}")?;
    }
    if *absent == 0 {
        return Ok(());
    }
    let are = if *absent == 1 { "is" } else { "are" };
    let message = format!("{} {are} neither here nor at {remote}", count(*absent, "object"));
    Err(Error::Failures(vec![Failure::new(FailureKind::MissingData, message, hint)]))
}
