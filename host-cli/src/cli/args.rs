//! The command line as people type it. Doc comments are the help.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::commands::archive::ArchiveArgs;
use super::commands::completions::CompletionsArgs;
use super::commands::data::DataArgs;
use super::commands::export::ExportArgs;
use super::commands::gc::GcArgs;
use super::commands::init::InitArgs;
use super::commands::keep_output::KeepOutputArgs;
use super::commands::load::LoadArgs;
use super::commands::logs::LogsArgs;
use super::commands::metrics::MetricsArgs;
use super::commands::pull::PullArgs;
use super::commands::push::PushArgs;
use super::commands::recover::RecoverArgs;
use super::commands::restore::RestoreArgs;
use super::commands::rm::RmArgs;
use super::commands::show::ShowArgs;
use super::commands::verify::VerifyArgs;

/// Stated in the help of each command.
pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  success
  1  failure; stderr says what happened and what to do
  2  a mistake in the command line";

/// Track experiments in git: code, data, parameters and metrics
#[derive(Debug, Parser)]
#[command(
    name = "au",
    version,
    arg_required_else_help = true,
    after_help = examples(),
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Understands a command line. What the other commands take is put together only where the answer may tell of it: that costs
    /// as much time as many a command.
    pub(crate) fn read(line: &[impl AsRef<OsStr>]) -> clap::error::Result<Self> {
        let read = |mut command: clap::Command| {
            let mut matches = command.try_get_matches_from_mut(line.iter().map(AsRef::as_ref))?;
            Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
        };
        match read(Self::command()) {
            Err(answer) if answer.kind() != ErrorKind::DisplayVersion => read(Self::whole()),
            other => other,
        }
    }

    /// With all that is told of the commands.
    pub(crate) fn whole() -> clap::Command {
        let mut command = Self::command();
        command.build();
        command
    }
}

/// What each command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Global {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true, display_order = 900)]
    pub(crate) directory: Option<PathBuf>,
    /// When to use colours; `auto` heeds NO_COLOR
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, display_order = 901)]
    pub(crate) color: ColorChoice,
    /// Say nothing but the answer and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 902)]
    pub(crate) quiet: bool,
    /// Say which project is used, and which servers may be asked
    #[arg(short, long, global = true, display_order = 903)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    Init(InitArgs),
    Data(DataArgs),
    Metrics(MetricsArgs),
    Show(ShowArgs),
    #[command(visible_alias = "log")]
    Logs(LogsArgs),
    Load(LoadArgs),
    Export(ExportArgs),
    Rm(RmArgs),
    Restore(RestoreArgs),
    Archive(ArchiveArgs),
    Gc(GcArgs),
    Verify(VerifyArgs),
    Push(PushArgs),
    Pull(PullArgs),
    Recover(RecoverArgs),
    #[command(hide = true)]
    KeepOutput(KeepOutputArgs),
    Completions(CompletionsArgs),
}

fn examples() -> String {
    format!(
        "\
Examples:
  au init                     Make a project of this folder
  au data add adult.data      Keep track of the data that runs use
  python src/experiment.py    Run a script that says `import aurum as au`
  au metrics                  Compare what the runs came to
  au show @                   See all about the latest
  au load acfdf6cd            Go back to one: its code, data and models
  au export acfdf6cd          Pack one up, to be sent and run elsewhere
  au rm acfdf6cd              Remove one; `au restore` brings it back
  au push                     Share them by git's own remotes; `au pull` takes in others'

{EXIT_STATUS}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &[&str]) -> clap::Error {
        Args::read(line).expect_err("the command line is wrong")
    }

    #[test]
    fn clap_finds_no_fault_in_the_definitions() {
        Args::whole().debug_assert();
    }

    #[test]
    fn the_version_is_one_line() {
        let answer = refused(&["au", "--version"]);
        assert_eq!(answer.kind(), ErrorKind::DisplayVersion);
        assert_eq!(answer.to_string(), format!("au {}\n", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_help_of_a_group_tells_of_its_commands() {
        for (line, words) in
            [(&["au", "--help"][..], "Compare parameters"), (&["au", "data", "--help"], "Read all data")]
        {
            let help = refused(line).to_string();
            assert!(help.contains(words), "{help}");
        }
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [["au", "-C", "there", "metrics"], ["au", "metrics", "-C", "there"]] {
            let args = Args::read(&line).expect("the command line is right");
            assert_eq!(args.global.directory, Some("there".into()));
        }
    }

    #[test]
    fn a_mistyped_command_or_option_is_answered_with_the_nearest() {
        assert!(refused(&["au", "metrcs"]).to_string().contains("'metrics'"));
        assert!(refused(&["au", "metrics", "--jsn"]).to_string().contains("'--json'"));
    }

    #[test]
    fn each_command_has_examples_and_states_its_exit_status() {
        fn check(command: &mut clap::Command) {
            // `help` is clap's own.
            command.get_subcommands_mut().filter(|command| command.get_name() != "help").for_each(check);
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:") && help.contains(EXIT_STATUS), "{help}");
        }
        check(&mut Args::whole());
    }

    #[test]
    fn a_group_of_commands_alone_is_answered_with_its_help() {
        for line in [&["au"][..], &["au", "data"]] {
            let answer = refused(line);
            assert_eq!(answer.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
            assert!(answer.to_string().contains("Commands:"), "{answer}");
        }
    }

    #[test]
    fn the_commands_other_names_are_understood() {
        for line in [["au", "data", "list"], ["au", "data", "ls"]] {
            assert!(Args::read(&line).is_ok());
        }
        assert!(Args::read(&["au", "data", "remove", "a"]).is_ok());
        assert!(refused(&["au", "data", "statsu"]).to_string().contains("'status'"));
    }
}
