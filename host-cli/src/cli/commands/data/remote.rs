use clap::Subcommand;

use crate::Tracker;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::escape;
use crate::cli::ui::Ui;

/// Say where models and data go when experiments are shared
///
/// A data remote is a place that other clones see too: a bucket of S3, a folder of an FTP server, or a mounted share. It is kept in
/// this clone's own git configuration (`aurum.remote.<name>.url`), so each clone says for itself where it is. Of several, the first
/// is used, or the one that `git config aurum.dataRemote NAME` names. What opens a server is found as `au data add` finds it.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true, after_help = examples())]
pub(crate) struct RemoteArgs {
    #[command(subcommand)]
    command: RemoteCommand,
}

#[derive(Debug, Subcommand)]
enum RemoteCommand {
    Add(AddArgs),
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    #[command(visible_alias = "remove")]
    Rm(RmArgs),
}

/// Remember a data remote
#[derive(Debug, clap::Args)]
#[command(after_help = add_examples())]
struct AddArgs {
    /// What to call it
    name: String,
    /// Where it is: `s3://BUCKET/PREFIX`, `ftp://HOST/FOLDER`, `ftps://HOST/FOLDER` or `file:///PATH`
    url: String,
}

/// Show the data remotes
#[derive(Debug, clap::Args)]
#[command(after_help = ls_examples())]
struct LsArgs {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Forget a data remote; what is there stays
#[derive(Debug, clap::Args)]
#[command(after_help = rm_examples())]
struct RmArgs {
    /// The one to forget
    name: String,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data remote add share file:///mnt/share   Models and data go there with `au push`
  au data remote add cloud s3://bucket/models  The same to a bucket
  au data remote ls                            See where they go
  au data remote rm share                      Forget it

{EXIT_STATUS}"
    )
}

fn add_examples() -> String {
    format!(
        "Examples:\n  au data remote add share file:///mnt/share    A folder that others see too\n  au data remote add cloud s3://bucket/models   What a bucket has below `models/`\n  au data remote add nas ftps://nas.local/data  A folder of a server, over TLS\n\n{EXIT_STATUS}"
    )
}

fn ls_examples() -> String {
    format!(
        "Examples:\n  au data remote ls          The one that is used has a star\n  au data remote ls --json   For programs\n\n{EXIT_STATUS}"
    )
}

fn rm_examples() -> String {
    format!("Examples:\n  au data remote rm share   Nothing is sent there any longer\n\n{EXIT_STATUS}")
}

pub(crate) fn remote(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &RemoteArgs) -> Result<()> {
    match &args.command {
        RemoteCommand::Add(AddArgs { name, url }) => {
            tracker.add_data_remote(name, url)?;
            writeln!(ui.out, "{} is {}", escape::text(name), escape::text(url))?;
            ui.note("Models and data go there from now on", &["Send those of all experiments: `au push`".to_owned()]);
        }
        RemoteCommand::Ls(args) => ls(ui, tracker, args.json)?,
        RemoteCommand::Rm(RmArgs { name }) => {
            tracker.remove_data_remote(name)?;
            writeln!(ui.out, "forgot {}; what is there stays", escape::text(name))?;
        }
    }
    Ok(())
}

fn ls(ui: &mut Ui<'_>, tracker: &mut Tracker, json: bool) -> Result<()> {
    let remotes = tracker.data_remotes()?;
    if json {
        let row = |remote: &crate::DataRemote| serde_json::json!({ "name": remote.name, "url": remote.url, "used": remote.used });
        let rows = serde_json::Value::from(remotes.iter().map(row).collect::<Vec<_>>());
        return super::show_json(ui, &rows.to_string());
    }
    if remotes.is_empty() {
        ui.note("No data remote yet", &["Add one: `au data remote add NAME URL`".to_owned()]);
        return Ok(());
    }
    for remote in remotes {
        let mark = if remote.used { '*' } else { ' ' };
        writeln!(ui.out, "{mark} {}  {}", escape::text(&remote.name), escape::text(&remote.url))?;
    }
    Ok(())
}
