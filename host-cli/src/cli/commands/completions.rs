use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Result;
use crate::cli::args::{Args, EXIT_STATUS};
use crate::cli::ui::Ui;

/// Print a script that completes `au` in your shell
///
/// Commands and their options are completed, once your shell has read the script. It tells of this version of `au`: print it
/// anew after an update.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct CompletionsArgs {
    /// The shell that you use
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au completions bash > ~/.local/share/bash-completion/completions/au
  au completions zsh > ~/.zfunc/_au
  au completions fish > ~/.config/fish/completions/au.fish

{EXIT_STATUS}"
    )
}

pub(crate) fn completions(ui: &mut Ui<'_>, args: &CompletionsArgs) -> Result<()> {
    // Into memory first: `generate` panics when it can't write, as where a reader has seen enough.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "au", &mut script);
    Ok(ui.out.write_all(&script)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn each_shell_is_told_of_the_subcommands_and_their_options() {
        for shell in Shell::value_variants() {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            completions(&mut Ui::plain(&mut out, &mut err), &CompletionsArgs { shell: *shell }).unwrap();
            let script = String::from_utf8(out).unwrap();
            assert!(script.contains("metrics") && script.contains("hard-delete"), "{shell}");
        }
    }
}
