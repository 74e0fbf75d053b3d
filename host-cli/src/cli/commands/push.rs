use std::io::{self, Write};

use serde_json::{Value, json};

use crate::cli::args::EXIT_STATUS;
use crate::cli::render::size::{bytes, count};
use crate::cli::render::{escape, json};
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};
use crate::{DataOutcome, Freight, LeftBehind, Pushed, ShareRequest, Tracker};

/// Share experiments with other clones, by a git remote
///
/// Sends the experiments' tags (`au/*`), archives and notes, and the commits that they hold; never a branch, nor any other tag of
/// yours. What was removed or archived here is taken away there. Models and data go along to the data remote, if one is set:
/// `au data remote add` sets it. Only what is missing is sent, so that what was cut short goes on from there.
///
/// The first word is the remote if it is the name of one, a URL, or a path that begins with `/`, `./` or `../`; all others are
/// experiments. Without a remote, it is the one that the current branch follows, else `origin`, else the only one there is.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct PushArgs {
    /// A remote, then experiments, all without one: ids, beginnings of ids, tags, names, `@`, `@~N`
    #[arg(value_name = "REMOTE|SELECTOR")]
    words: Vec<String>,
    /// The remote, whatever it looks like; all words are experiments then
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// Send those alone that meet a condition, such as `accuracy > 0.9`; `au metrics --where` shows which
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    condition: Option<String>,
    /// Leave models and data here
    #[arg(long)]
    no_data: bool,
    /// Print a JSON object of what was sent
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au push                       All experiments, to the usual remote
  au push lab                   To the remote named `lab`
  au push @                     The latest alone
  au push lab acfdf6cd 280459c5 Two of them
  au push --where 'accuracy > 0.9 and status = finished'
                                Those that meet a condition
  au push /mnt/share/work.git   To a repository on a disk
  au data remote add share file:///mnt/share
                                Say where models and data go

{EXIT_STATUS}"
    )
}

impl PushArgs {
    /// What the user has named, and what may so be asked if it is a remote.
    pub(crate) fn remotes(&self) -> impl Iterator<Item = &str> {
        self.remote.as_deref().or(self.words.first().map(String::as_str)).into_iter()
    }
}

pub(crate) fn push(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &PushArgs) -> Result<()> {
    let request = ShareRequest {
        remote: args.remote.clone(),
        words: args.words.clone(),
        condition: args.condition.clone(),
        data: !args.no_data,
    };
    let pushed = tracker.push(&request)?;
    if args.json {
        json::write_object(ui.out, &to_json(&pushed).to_string(), ui.screen.terminal)?;
    } else {
        show(ui.out, &pushed)?;
    }
    if let DataOutcome::LeftBehind(LeftBehind { objects, bytes: size }) = pushed.data {
        let stay = if objects == 1 { "stays" } else { "stay" };
        let what = format!("{} of models and data, {}, {stay} on this computer", count(objects, "object"), bytes(size));
        ui.note(&what, &["Say where they may go: `au data remote add NAME file:///PATH`, then push again".to_owned()]);
    }
    absent(ui, &pushed.data, "neither here nor at");
    if pushed.failures.is_empty() { Ok(()) } else { Err(Error::Failures(pushed.failures)) }
}

fn show(out: &mut dyn Write, pushed: &Pushed) -> io::Result<()> {
    let remote = escape::text(&pushed.remote);
    if pushed.experiments > 0 {
        let there = if pushed.present > 0 { format!(", {} were there", pushed.present) } else { String::new() };
        writeln!(out, "sent {} to {remote}{there}", count(pushed.experiments, "experiment"))?;
    }
    if pushed.moved > 0 {
        writeln!(out, "moved {} that went on", count(pushed.moved, "experiment"))?;
    }
    if pushed.archives > 0 {
        writeln!(out, "sent {}", count(pushed.archives, "archive"))?;
    }
    if pushed.removed > 0 {
        writeln!(out, "took away {} of what is removed or archived", count(pushed.removed, "tag"))?;
    }
    if pushed.notes {
        writeln!(out, "sent notes")?;
    }
    cargo(out, &pushed.data, "sent", "to")?;
    let nothing = pushed.experiments + pushed.moved + pushed.archives + pushed.removed == 0 && !pushed.notes;
    if nothing && pushed.failures.is_empty() && !has_travelled(&pushed.data) {
        writeln!(out, "{remote} has it all: {}", count(pushed.present, "experiment"))?;
    }
    Ok(())
}

fn to_json(pushed: &Pushed) -> Value {
    let Pushed { remote, experiments, moved, present, archives, removed, notes, data, failures: _ } = pushed;
    json!({
        "remote": remote, "experiments": experiments, "moved": moved, "present": present, "archives": archives,
        "removed": removed, "notes": notes, "data": data_to_json(data),
    })
}

/// What became of models and data; null where nothing was to be done about them.
pub(super) fn data_to_json(data: &DataOutcome) -> Value {
    match data {
        DataOutcome::None => Value::Null,
        DataOutcome::LeftBehind(LeftBehind { objects, bytes }) => json!({ "left_behind": objects, "bytes": bytes }),
        DataOutcome::Carried(Freight { remote, objects, bytes, absent }) => {
            json!({ "remote": remote, "objects": objects, "bytes": bytes, "absent": absent })
        }
    }
}

/// A line on what went to or came from the data remote.
pub(super) fn cargo(out: &mut dyn Write, data: &DataOutcome, verb: &str, way: &str) -> io::Result<()> {
    match data {
        DataOutcome::Carried(Freight { remote, objects, bytes: size, .. }) if *objects > 0 => {
            let (objects, remote) = (count(*objects, "object"), escape::text(remote));
            writeln!(out, "{verb} {objects} of models and data, {}, {way} {remote}", bytes(*size))
        }
        _ => Ok(()),
    }
}

/// What nobody has, or not yet.
pub(super) fn absent(ui: &mut Ui<'_>, data: &DataOutcome, place: &str) {
    if let DataOutcome::Carried(Freight { remote, absent, .. }) = data
        && *absent > 0
    {
        let are = if *absent == 1 { "is" } else { "are" };
        let objects = count(*absent, "object");
        let message = format!("{objects} of models and data {are} {place} {remote}");
        ui.note(&message, &["Push from the clone that has them; data that was never stored can't be sent".to_owned()]);
    }
}

pub(super) fn has_travelled(data: &DataOutcome) -> bool {
    matches!(data, DataOutcome::Carried(freight) if freight.objects > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn pushed() -> Pushed {
        Pushed {
            remote: "origin".into(),
            experiments: 0,
            moved: 0,
            present: 0,
            archives: 0,
            removed: 0,
            notes: false,
            data: DataOutcome::None,
            failures: vec![],
        }
    }

    fn shown(pushed: &Pushed) -> String {
        let mut out = Vec::new();
        show(&mut out, pushed).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn models_and_data_have_a_form_for_programs() {
        let stays = DataOutcome::LeftBehind(LeftBehind { objects: 2, bytes: 9 });
        assert_eq!(data_to_json(&stays), json!({ "left_behind": 2, "bytes": 9 }));
        assert_eq!(data_to_json(&DataOutcome::None), Value::Null);
        assert_eq!(to_json(&pushed())["remote"], "origin");
    }

    #[test]
    fn each_thing_that_was_sent_has_a_line() {
        let freight = Freight { remote: "share".into(), objects: 2, bytes: 2048, absent: 0 };
        let all = Pushed {
            experiments: 2,
            moved: 1,
            present: 3,
            archives: 1,
            removed: 4,
            notes: true,
            data: DataOutcome::Carried(freight),
            ..pushed()
        };
        assert_eq!(
            shown(&all),
            "sent 2 experiments to origin, 3 were there\n\
             moved 1 experiment that went on\n\
             sent 1 archive\n\
             took away 4 tags of what is removed or archived\n\
             sent notes\n\
             sent 2 objects of models and data, 2.0 KiB, to share\n"
        );
        assert_eq!(shown(&Pushed { experiments: 1, ..pushed() }), "sent 1 experiment to origin\n");
        assert_eq!(shown(&Pushed { present: 7, ..pushed() }), "origin has it all: 7 experiments\n");
    }
}
