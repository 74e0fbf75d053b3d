use std::io::{self, Write};

use crate::cli::args::EXIT_STATUS;
use crate::cli::render::{self, escape};
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};
use crate::{Recovered, Tracker};

/// Finish the runs whose process is gone
///
/// A run that was killed, or whose machine went down, is recorded with all that it had logged. The next run does this
/// too; runs that are still going on are left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct RecoverArgs {}

fn examples() -> String {
    format!(
        "\
Examples:
  au recover       Finish what can be finished
  au metrics @     Look at the latest run

{EXIT_STATUS}"
    )
}

pub(crate) fn recover(ui: &mut Ui<'_>, tracker: &mut Tracker, _args: &RecoverArgs) -> Result<()> {
    let recovery = tracker.recover()?;
    if !recovery.failures.is_empty() {
        show(ui.out, &recovery.recovered)?;
        return Err(Error::Failures(recovery.failures));
    }
    if recovery.recovered.is_empty() {
        writeln!(ui.out, "Nothing to recover")?;
    }
    Ok(show(ui.out, &recovery.recovered)?)
}

fn show(out: &mut dyn Write, recovered: &[Recovered]) -> io::Result<()> {
    for run in recovered {
        let (id, status, tag) = (render::short(&run.id), escape::text(&run.status), escape::text(&run.tag));
        writeln!(out, "recovered {id} {status}, tag {tag}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_a_line() {
        let run = Recovered {
            id: "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6".into(),
            status: "killed".into(),
            commit: "01234567".into(),
            tag: "au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6".into(),
        };
        let mut out = Vec::new();
        assert!(show(&mut out, &[run]).is_ok());
        assert_eq!(
            String::from_utf8_lossy(&out),
            "recovered acfdf6cd killed, tag au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6\n"
        );
    }
}
