//! Answers to stdout, talk to stderr.

use std::collections::HashSet;
use std::env;
use std::io::{self, IsTerminal, Write};

use super::Error;
use super::args::Global;
use super::render::error::{self, Level};
use super::render::style::Palette;
use crate::Warning;

/// Where a command writes.
pub(crate) struct Ui<'a> {
    /// For the answer alone, so that it can be piped on.
    pub(crate) out: &'a mut dyn Write,
    /// What suits `out`.
    pub(crate) screen: Screen,
    err: &'a mut dyn Write,
    err_palette: Palette,
    quiet: bool,
    verbose: bool,
}

/// What the answer is shown on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Screen {
    /// Whether people read it, and not a program.
    pub(crate) terminal: bool,
    /// Columns; none where nothing limits them.
    pub(crate) width: Option<usize>,
    pub(crate) palette: Palette,
}

impl<'a> Ui<'a> {
    /// Over writers that end in this process's stdout and stderr.
    pub(crate) fn new(global: &Global, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        let palette = |terminal| Palette::choose(global.color, terminal, |name| env::var(name).ok());
        let terminal = io::stdout().is_terminal();
        let found = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
        let width = width(env::var("COLUMNS").ok().as_deref(), if terminal { found() } else { None });
        Self {
            out,
            screen: Screen { terminal, width, palette: palette(terminal) },
            err,
            err_palette: palette(io::stderr().is_terminal()),
            quiet: global.quiet,
            verbose: global.verbose,
        }
    }

    /// Over buffers, as where no terminal is near.
    #[cfg(test)]
    pub(crate) fn plain(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        let (screen, err_palette) = (Screen::default(), Palette::default());
        Self { out, screen, err, err_palette, quiet: false, verbose: false }
    }

    /// Help or the version.
    pub(crate) fn answer(&mut self, answer: &clap::Error) -> io::Result<()> {
        self.out.write_all(self.screen.palette.of_clap(answer).as_bytes())?;
        self.flush()
    }

    /// What clap says to a wrong command line.
    pub(crate) fn answer_to_mistake(&mut self, answer: &clap::Error) -> io::Result<()> {
        self.err.write_all(self.err_palette.of_clap(answer).as_bytes())
    }

    /// The one place where errors are told.
    pub(crate) fn error(&mut self, error: &Error) {
        match error {
            Error::Failures(failures) => {
                for failure in failures {
                    self.tell(Level::Error, &failure.message, failure.excerpt.as_deref(), &failure.hints);
                }
            }
            Error::Output(error) => self.talk(Level::Error, &format!("The answer can't be written: {error}"), &[]),
        }
    }

    /// What the core wants the user to know. Two parts of a command that meet the same thing tell of it once.
    pub(crate) fn warnings(&mut self, warnings: &[Warning]) {
        if !self.quiet {
            let mut told = HashSet::new();
            for warning in warnings.iter().filter(|warning| told.insert(*warning)) {
                self.talk(Level::Warning, &warning.message, &warning.hints);
            }
        }
    }

    /// A remark on the answer.
    pub(crate) fn note(&mut self, message: &str, hints: &[String]) {
        if !self.quiet {
            self.talk(Level::Note, message, hints);
        }
    }

    /// What only those want to read who ask for it.
    pub(crate) fn detail(&mut self, message: &str) {
        if self.verbose {
            self.talk(Level::Note, message, &[]);
        }
    }

    /// Asks for a line on a terminal.
    pub(crate) fn ask(&mut self, prompt: &str) -> io::Result<String> {
        self.out.flush()?;
        write!(self.err, "{prompt}")?;
        self.err.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer)
    }

    /// The same for what is not to be seen.
    pub(crate) fn ask_secret(&mut self, prompt: &str) -> io::Result<String> {
        self.out.flush()?;
        rpassword::prompt_password(prompt)
    }

    /// Asks on a terminal, after these lines, and takes anything but a yes for a no. Where nobody can answer, nobody is asked.
    pub(crate) fn confirm(&mut self, lines: &[String], question: &str) -> io::Result<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(true);
        }
        self.out.flush()?;
        for line in lines {
            writeln!(self.err, "{line}")?;
        }
        let answer = self.ask(&format!("{question} [y/N] "))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Whether nothing but the answer and errors is to be said.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Nothing of the answer is held back any longer.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// After the answer so far. A failure to talk is not worth failing for, and there is nowhere left to tell it.
    fn tell(&mut self, level: Level, message: &str, excerpt: Option<&str>, hints: &[String]) {
        _ = self.out.flush();
        _ = error::write(self.err, level, message, excerpt, hints, self.err_palette);
    }

    fn talk(&mut self, level: Level, message: &str, hints: &[String]) {
        self.tell(level, message, None, hints);
    }
}

fn width(wanted: Option<&str>, terminal: Option<u16>) -> Option<usize> {
    let wanted = wanted.and_then(|columns| columns.trim().parse().ok());
    wanted.or(terminal.map(usize::from)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_sets_as_the_width_comes_before_the_terminals() {
        assert_eq!(width(Some("60"), Some(80)), Some(60));
        assert_eq!(width(Some("60"), None), Some(60));
        assert_eq!(width(Some("wide"), Some(80)), Some(80));
        assert_eq!(width(Some("0"), None), None);
        assert_eq!(width(None, None), None);
    }

    #[test]
    fn quiet_leaves_the_errors() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut ui = Ui { quiet: true, ..Ui::plain(&mut out, &mut err) };
        ui.note("a note", &[]);
        ui.warnings(&[Warning { message: "a warning".into(), hints: vec![] }]);
        ui.error(&Error::from(io::Error::other("no more")));
        assert_eq!(String::from_utf8_lossy(&err), "error: The answer can't be written: no more\n");
    }
}
