use std::io::{self, Write};

use serde_json::{Value, json};

use super::push::{absent, cargo, data_to_json, has_travelled};
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::size::count;
use crate::cli::render::{escape, json};
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};
use crate::{Pulled, ShareRequest, Tracker};

/// Take in the experiments that others have shared
///
/// Brings the experiments' tags, archives and notes of a git remote, and from the data remote, if one is set, the models and data
/// that they name. What others have removed goes here too. Branches, other tags and your files stay as they are. Two clones that
/// both have new experiments have both afterwards.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct PullArgs {
    /// The name of a remote, a URL, or a path; without it, the remote that the current branch follows, else `origin`, else the
    /// only one there is
    #[arg(value_name = "REMOTE")]
    remote: Option<String>,
    /// Leave models and data where they are
    #[arg(long)]
    no_data: bool,
    /// Print a JSON object of what came
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au pull              All that the usual remote has
  au pull lab          From the remote named `lab`
  au pull --no-data    Experiments alone; `au pull` brings their models and data later

{EXIT_STATUS}"
    )
}

impl PullArgs {
    /// As of `PushArgs`.
    pub(crate) fn remotes(&self) -> impl Iterator<Item = &str> {
        self.remote.as_deref().into_iter()
    }
}

pub(crate) fn pull(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &PullArgs) -> Result<()> {
    let request = ShareRequest { remote: args.remote.clone(), words: Vec::new(), condition: None, data: !args.no_data };
    let pulled = tracker.pull(&request)?;
    if args.json {
        json::write_object(ui.out, &to_json(&pulled).to_string(), ui.screen.terminal)?;
    } else {
        show(ui.out, &pulled)?;
    }
    absent(ui, &pulled.data, "neither here nor at");
    if pulled.failures.is_empty() { Ok(()) } else { Err(Error::Failures(pulled.failures)) }
}

fn show(out: &mut dyn Write, pulled: &Pulled) -> io::Result<()> {
    let remote = escape::text(&pulled.remote);
    if pulled.experiments > 0 {
        writeln!(out, "took in {} of {remote}", count(pulled.experiments, "experiment"))?;
    }
    if pulled.moved > 0 {
        writeln!(out, "moved {} that went on", count(pulled.moved, "experiment"))?;
    }
    if pulled.archives > 0 {
        writeln!(out, "took in {}", count(pulled.archives, "archive"))?;
    }
    if pulled.removed > 0 {
        writeln!(out, "removed {} that others have removed", count(pulled.removed, "experiment"))?;
    }
    if pulled.notes {
        writeln!(out, "took in notes")?;
    }
    cargo(out, &pulled.data, "brought", "from")?;
    let nothing = pulled.experiments + pulled.moved + pulled.archives + pulled.removed == 0 && !pulled.notes;
    if nothing && pulled.failures.is_empty() && !has_travelled(&pulled.data) {
        writeln!(out, "{remote} has nothing that is not here")?;
    }
    Ok(())
}

fn to_json(pulled: &Pulled) -> Value {
    let Pulled { remote, experiments, moved, archives, removed, notes, data, failures: _ } = pulled;
    json!({
        "remote": remote, "experiments": experiments, "moved": moved, "archives": archives, "removed": removed,
        "notes": notes, "data": data_to_json(data),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::{DataOutcome, Freight};

    #[test]
    fn each_thing_that_came_has_a_line() {
        let freight = Freight { remote: "share".into(), objects: 1, bytes: 7, absent: 0 };
        let all = Pulled {
            remote: "origin".into(),
            experiments: 1,
            moved: 2,
            archives: 3,
            removed: 1,
            notes: true,
            data: DataOutcome::Carried(freight),
            failures: vec![],
        };
        let mut out = Vec::new();
        show(&mut out, &all).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "took in 1 experiment of origin\n\
             moved 2 experiments that went on\n\
             took in 3 archives\n\
             removed 1 experiment that others have removed\n\
             took in notes\n\
             brought 1 object of models and data, 7 B, from share\n"
        );
    }
}
