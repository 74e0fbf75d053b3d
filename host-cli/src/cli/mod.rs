//! The `au` program: reads a command line, calls the tracker, shows what it answers.

mod args;
mod commands;
mod render;
mod ui;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::error::ContextValue;

use self::args::Args;
use self::ui::Ui;
use crate::capabilities::git::references;
use crate::capabilities::remote;
use crate::{Failure, FailureKind};

/// Exit status for a command that could not do what it was asked to.
const FAILURE: u8 = 1;
/// Exit status for a mistake in how the program was called.
const USAGE: u8 = 2;

/// All endings of the program: success; a reader that has seen enough, which is no failure; any other error, told once.
pub fn main() -> ExitCode {
    references::clear_locks_when_interrupted();
    let (mut out, mut err) = (BufWriter::new(io::stdout()), io::stderr());
    let line: Vec<_> = std::env::args_os().collect();
    let args = match Args::read(&line) {
        Ok(args) => args,
        Err(answer) => return explain(&without_secrets(answer), &mut out, &mut err),
    };
    let mut ui = Ui::new(&args.global, &mut out, &mut err);
    match commands::dispatch(&args, &mut ui).and_then(|()| Ok(ui.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            error.exit_code().into()
        }
    }
}

/// Help and the version, or what is wrong with the command line: clap gives all of them as errors.
fn explain(answer: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut ui = Ui::new(&args::Global::default(), out, err);
    let written = if answer.use_stderr() { ui.answer_to_mistake(answer) } else { ui.answer(answer) };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => FAILURE.into(),
        _ if answer.use_stderr() => USAGE.into(),
        _ => ExitCode::SUCCESS,
    }
}

/// The same answer, with what opens an address taken out of what it quotes.
fn without_secrets(mut answer: clap::Error) -> clap::Error {
    let quoted = |value: &ContextValue| match value {
        ContextValue::String(text) if text.contains("://") => Some(ContextValue::String(remote::public_url(text))),
        _ => None,
    };
    let public: Vec<_> = answer.context().filter_map(|(kind, value)| Some((kind, quoted(value)?))).collect();
    for (kind, value) in public {
        answer.insert(kind, value);
    }
    answer
}

/// Why a command stops.
#[derive(Debug)]
pub(crate) enum Error {
    /// The tracker could not do it; at least one reason.
    Failures(Vec<Failure>),
    /// The answer can't be written.
    Output(io::Error),
}

type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Failures(failures) if failures.iter().all(|failure| failure.kind == FailureKind::Usage) => USAGE,
            Self::Failures(_) | Self::Output(_) => FAILURE,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failures(vec![failure])
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_the_wrong_place_is_quoted_without_what_opens_it() {
        for line in [
            &["au", "https://user:hunter2@example.org/a?sig=hunter2"][..],
            &["au", "data", "https://user:hunter2@example.org/a?sig=hunter2"],
            &["au", "init", "https://user:hunter2@example.org/a?sig=hunter2"],
            &["au", "--color=https://user:hunter2@example.org/a?sig=hunter2", "init"],
        ] {
            let answer = Args::read(line).map(|_| ()).expect_err("no command takes it");
            let text = without_secrets(answer).to_string();
            assert!(text.contains("https://example.org/a") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn only_a_mistake_in_the_call_ends_in_two() {
        let failure = |kind| Error::from(Failure::new(kind, "No", "Do"));
        assert_eq!(failure(FailureKind::Usage).exit_code(), USAGE);
        assert_eq!(failure(FailureKind::UnknownExperiment).exit_code(), FAILURE);
        assert_eq!(Error::from(io::Error::from(io::ErrorKind::StorageFull)).exit_code(), FAILURE);
    }
}
