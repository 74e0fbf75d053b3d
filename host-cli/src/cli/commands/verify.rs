use std::io::{self, IsTerminal, Write};

use serde::Deserialize;

use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::{escape, json, size, unexpected};
use crate::cli::ui::Ui;
use crate::{Failure, FailureKind, Tracker};

/// Check that everything is whole
///
/// Reads every record, what each experiment's commit leads to, archives, notes, references, runs that are not saved, descriptions
/// of data, and every byte of the store. Models and data that are only elsewhere are told, and are no damage: a clone has none
/// of them at first.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct VerifyArgs {
    /// Experiments to check, everything without one: an id, the beginning of one, a tag, a name, `@` for the latest, `@~N` for
    /// the Nth before it, or several of these with commas between
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Read every object of git as well
    #[arg(long)]
    full: bool,
    /// Count what is only elsewhere as damage
    #[arg(long)]
    strict: bool,
    /// Print a JSON array of what is wrong
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au verify               Check everything
  au verify acfdf6cd      One experiment, and what it names
  au verify --full        Every object of git as well
  au verify --strict      Fail where models or data are only elsewhere

{EXIT_STATUS}"
    )
}

#[derive(Debug, Deserialize)]
struct Step {
    phase: String,
    done: u64,
    total: u64,
    bytes: u64,
    findings: Vec<Finding>,
}

#[derive(Debug, serde::Serialize, Deserialize)]
struct Finding {
    kind: String,
    name: String,
    problem: String,
    hint: String,
    missing: bool,
}

#[derive(Debug, Default)]
struct Sum {
    damaged: u64,
    missing: u64,
    experiments: u64,
    bytes: u64,
}

pub(crate) fn verify(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &VerifyArgs) -> Result<()> {
    let selector = if args.selectors.is_empty() { None } else { Some(args.selectors.join(",")) };
    let steps = tracker.verify(selector.as_deref(), args.full)?;
    let sum = if args.json {
        let mut array = json::Array::new(ui.out, ui.screen.terminal);
        let sum = go_through(steps, &mut |findings| {
            let page = serde_json::to_string(findings).map_err(|error| unexpected(&error))?;
            array.page(&page)
        })?;
        array.end()?;
        sum
    } else {
        go_through(steps, &mut |findings| {
            findings.iter().try_for_each(|finding| show(ui.out, finding))?;
            Ok(ui.out.flush()?)
        })?
    };
    sum.end(ui, args)
}

/// Takes all steps, and tells what each found at once: the whole may take hours.
fn go_through(
    steps: impl Iterator<Item = Result<String, Failure>>,
    tell: &mut dyn FnMut(&[Finding]) -> Result<()>,
) -> Result<Sum> {
    let mut progress = Progress::new();
    let mut sum = Sum::default();
    for step in steps {
        let step: Step = serde_json::from_str(&step?).map_err(|error| unexpected(&error))?;
        sum.add(&step);
        if !step.findings.is_empty() {
            progress.clear();
            tell(&step.findings)?;
        }
        progress.show(&step);
    }
    progress.clear();
    Ok(sum)
}

impl Sum {
    fn add(&mut self, step: &Step) {
        let missing = step.findings.iter().filter(|finding| finding.missing).count() as u64;
        self.missing += missing;
        self.damaged += step.findings.len() as u64 - missing;
        self.bytes += step.bytes;
        if step.phase == "records" {
            self.experiments = step.total;
        }
    }

    fn end(&self, ui: &mut Ui<'_>, args: &VerifyArgs) -> Result<()> {
        let wrong = self.damaged + if args.strict { self.missing } else { 0 };
        if wrong > 0 {
            let message = format!("{} not as they should be", size::count(wrong, "thing"));
            return Err(
                Failure::new(FailureKind::Unreadable, message, "What can be done about each stands behind it").into()
            );
        }
        if !args.json {
            let experiments = size::count(self.experiments, "experiment");
            writeln!(ui.out, "{experiments} and {} of the store are whole", size::bytes(self.bytes))?;
        }
        if self.missing > 0 {
            let message = format!("{} only elsewhere, which is no damage", size::count(self.missing, "content"));
            ui.note(&message, &["`--strict` fails for them".to_owned()]);
        }
        Ok(())
    }
}

/// A line on a terminal that says how far it is, and goes away.
struct Progress {
    terminal: bool,
    shown: bool,
}

impl Progress {
    fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: false }
    }

    fn show(&mut self, step: &Step) {
        if self.terminal && step.total > 1 {
            let line = format!("\r\x1b[Kchecking {}: {} of {}", escape::text(&step.phase), step.done, step.total);
            self.shown = io::stderr().write_all(line.as_bytes()).is_ok();
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

fn show(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let what = if finding.missing { "missing here" } else { "damaged" };
    writeln!(out, "{what}: {}; {}", escape::text(&finding.problem), escape::text(&finding.hint))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::cli::args::{Args, Command};

    fn args(line: &[&str]) -> VerifyArgs {
        match Args::read(&[&["au", "verify"], line].concat()).unwrap().command {
            Command::Verify(args) => args,
            _ => unreachable!(),
        }
    }

    fn step(findings: &str) -> Result<String, Failure> {
        Ok(format!(r#"{{"phase":"records","done":2,"total":2,"bytes":2048,"findings":[{findings}]}}"#))
    }

    const MISSING: &str =
        r#"{"kind":"content","name":"x","problem":"The model is not here","hint":"Copy it","missing":true}"#;
    const DAMAGED: &str = r#"{"kind":"content","name":"y","problem":"It is damaged","hint":"Get it","missing":false}"#;

    fn told(steps: Vec<Result<String, Failure>>, line: &[&str]) -> (bool, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut ui = Ui::plain(&mut out, &mut err);
        let sum = go_through(steps.into_iter(), &mut |findings| {
            Ok(findings.iter().try_for_each(|finding| show(ui.out, finding))?)
        });
        let ended = sum.unwrap().end(&mut ui, &args(line)).is_ok();
        (ended, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn what_is_elsewhere_is_no_damage_unless_it_is_asked_to_be() {
        let (ended, out, err) = told(vec![step(""), step(MISSING)], &[]);
        assert!(ended);
        assert_eq!(
            out,
            "missing here: The model is not here; Copy it\n2 experiments and 4.0 KiB of the store are whole\n"
        );
        assert!(err.starts_with("1 content only elsewhere"), "{err}");
        assert!(!told(vec![step(MISSING)], &["--strict"]).0);
        let (ended, out, _) = told(vec![step(DAMAGED)], &[]);
        assert!(!ended && out == "damaged: It is damaged; Get it\n", "{out}");
    }
}
