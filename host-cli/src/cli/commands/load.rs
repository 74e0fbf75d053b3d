use std::io::{self, Write};

use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::word::word;
use crate::cli::render::{self, escape};
use crate::cli::ui::Ui;
use crate::{Loaded, Tracker};

/// What `au.load_model()` looks for when it is not told a name.
const USUAL_MODEL: &str = "model";

/// Go back to an experiment: its code, data and models
///
/// Checks out the experiment's commit with HEAD detached, as `git switch --detach` does, and brings its data back; no branch
/// is made or moved. Work of yours that would be lost is named, and then nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct LoadArgs {
    /// The experiment: an id, the beginning of one (4 characters or more), a tag, a name, `@` for the latest, or `@~N` for
    /// the Nth before it
    #[arg(value_name = "SELECTOR")]
    selector: String,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au load acfdf6cd       Go back to an experiment, by the beginning of its id
  au load @              The latest
  git switch -           Return to where you were
  git switch -c NAME     Or go on from there, on a branch of its own

{EXIT_STATUS}"
    )
}

pub(crate) fn load(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &LoadArgs) -> Result<()> {
    let loaded = tracker.load(&args.selector)?;
    show(ui.out, &loaded)?;
    ui.note("The commit that is checked out now is on no branch", &hints(&loaded));
    Ok(())
}

fn show(out: &mut dyn Write, loaded: &Loaded) -> io::Result<()> {
    let (id, commit) = (render::short(&loaded.id), render::short(&loaded.commit));
    writeln!(out, "Loaded {id}, commit {commit}, HEAD detached")?;
    for name in &loaded.restored {
        writeln!(out, "restored {}", escape::text(name))?;
    }
    for name in &loaded.models {
        let argument = if name == USUAL_MODEL { String::new() } else { python_text(name) };
        writeln!(out, "model `{}`: au.load_model({argument}) gives it", escape::text(name))?;
    }
    Ok(())
}

fn hints(loaded: &Loaded) -> Vec<String> {
    let back = match (&loaded.branch, &loaded.before) {
        // It was checked out before, too.
        (None, Some(before)) if *before == loaded.commit => None,
        (None, Some(before)) => Some(format!("git switch --detach {}", word(before))),
        _ => Some("git switch -".to_owned()),
    };
    let data = if loaded.restored.is_empty() { "" } else { "; after that, `au data restore` brings the data back" };
    let back = back.map(|command| format!("Go back: `{command}`{data}"));
    back.into_iter().chain(["Go on from here: `git switch -c NAME`".to_owned()]).collect()
}

/// A text as Python reads it. The escapes of JSON are some of Python's.
fn python_text(text: &str) -> String {
    escape::json(&serde_json::Value::from(text).to_string()).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn loaded() -> Loaded {
        Loaded {
            id: "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6".into(),
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            branch: Some("main".into()),
            before: Some("89abcdef".into()),
            restored: vec![],
            models: vec![],
        }
    }

    #[test]
    fn what_is_there_now_has_a_line_each() {
        let loaded = Loaded {
            restored: vec!["adult.data".into(), "n\n".into()],
            models: vec!["model".into(), "best \"3\"\n".into()],
            ..loaded()
        };
        let mut out = Vec::new();
        show(&mut out, &loaded).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Loaded acfdf6cd, commit 01234567, HEAD detached\n\
             restored adult.data\n\
             restored n\\n\n\
             model `model`: au.load_model() gives it\n\
             model `best \"3\"\\n`: au.load_model(\"best \\\"3\\\"\\n\") gives it\n"
        );
    }

    #[test]
    fn the_way_back_is_the_one_there_is() {
        let first = |loaded: Loaded| hints(&loaded).remove(0);
        assert_eq!(hints(&loaded()), ["Go back: `git switch -`", "Go on from here: `git switch -c NAME`"]);
        assert_eq!(
            first(Loaded { restored: vec!["a".into()], ..loaded() }),
            "Go back: `git switch -`; after that, `au data restore` brings the data back"
        );
        assert_eq!(first(Loaded { branch: None, ..loaded() }), "Go back: `git switch --detach 89abcdef`");
        let again = Loaded { branch: None, before: Some(loaded().commit), ..loaded() };
        assert_eq!(hints(&again), ["Go on from here: `git switch -c NAME`"]);
    }
}
