use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Tracker;
use crate::capabilities::Error as Trouble;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::{escape, unexpected};
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};

/// How often a run that goes on is looked at, at most.
const PAUSE: Duration = Duration::from_millis(500);
/// How much of the time may be spent with looking: one part of so many.
const IDLE: u32 = 10;

/// Show what an experiment printed
///
/// Both streams as they came, and the traceback of what ended it. Of a progress bar the last state is kept. A run that is still going
/// on shows what it has printed so far.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct LogsArgs {
    /// The experiment: an id, the beginning of one (4 characters or more), a tag, a name, `@` for the latest, or `@~N` for
    /// the Nth before it
    #[arg(value_name = "SELECTOR", default_value = "@")]
    selector: String,
    /// Go on with what a run prints, until it ends
    #[arg(short, long)]
    follow: bool,
    /// Begin with the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au logs                    What the latest run printed
  au logs -f                 And what it goes on to print
  au logs acfdf6cd -n 20     The last 20 lines of one

{EXIT_STATUS}"
    )
}

/// What is asked of a run's record here.
#[derive(Deserialize)]
struct Run {
    id: String,
    status: String,
}

impl Run {
    fn find(tracker: &mut Tracker, selector: &str) -> Result<Self> {
        serde_json::from_str(&tracker.show(selector)?).map_err(|error| unexpected(&error).into())
    }
}

pub(crate) fn logs(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &LogsArgs) -> Result<()> {
    if !args.follow {
        let mut log = tracker.read_log(&args.selector, true)?;
        begin_at(&mut log, args.lines).map_err(|error| unreadable(&error))?;
        return print(ui, log);
    }
    // The latest may soon be another.
    let id = Run::find(tracker, &args.selector)?.id;
    let mut shown: Option<Shown> = None;
    loop {
        let begin = Instant::now();
        // Before the text: what it prints until it ends is then in that.
        let goes_on = Run::find(tracker, &id)?.status == "running";
        let mut log = tracker.read_log(&id, !goes_on)?;
        let last = shown.take();
        shown = Some(Shown::of(&mut log).map_err(|error| unreadable(&error))?);
        match last {
            None => begin_at(&mut log, args.lines).map_err(|error| unreadable(&error))?,
            Some(last) if last.begins(&mut log).map_err(|error| unreadable(&error))? => {
                log.seek(SeekFrom::Start(last.length)).map_err(|error| unreadable(&error))?;
            }
            Some(_) => {
                ui.note("Children of the run printed before that: from the beginning once more", &[]);
                log.rewind().map_err(|error| unreadable(&error))?;
            }
        }
        print(ui, log)?;
        ui.flush()?;
        if !goes_on {
            return Ok(());
        }
        thread::sleep(PAUSE.max(begin.elapsed() * IDLE));
    }
}

/// What was shown last: so much, of which the digest is this.
struct Shown {
    length: u64,
    digest: [u8; 32],
}

impl Shown {
    fn of(log: &mut File) -> io::Result<Self> {
        let length = log.seek(SeekFrom::End(0))?;
        Ok(Self { length, digest: digest(log, length)? })
    }

    fn begins(&self, log: &mut File) -> io::Result<bool> {
        Ok(digest(log, self.length)? == self.digest)
    }
}

fn digest(log: &mut File, length: u64) -> io::Result<[u8; 32]> {
    log.rewind()?;
    let (mut hash, mut reader) = (Sha256::new(), BufReader::new(log.take(length)));
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(hash.finalize().into());
        }
        hash.update(piece);
        let count = piece.len();
        reader.consume(count);
    }
}

/// Moves to the last lines.
fn begin_at(log: &mut File, lines: Option<usize>) -> io::Result<()> {
    log.rewind()?;
    let Some(lines) = lines else { return Ok(()) };
    let (mut starts, mut at) = (VecDeque::new(), 0);
    let mut reader = BufReader::new(&mut *log);
    loop {
        let length = reader.skip_until(b'\n')?;
        if length == 0 {
            break;
        }
        starts.push_back(at);
        if starts.len() > lines {
            starts.pop_front();
        }
        at += length as u64;
    }
    let start = starts.front().copied().unwrap_or(at);
    log.seek(SeekFrom::Start(start)).map(drop)
}

/// Programs get the bytes as they are; people's terminals are not to be played with.
fn print(ui: &mut Ui<'_>, mut log: File) -> Result<()> {
    if !ui.screen.terminal {
        io::copy(&mut log, ui.out)?;
        return Ok(());
    }
    let mut reader = BufReader::new(log);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(|error| unreadable(&error))? > 0 {
        let text = String::from_utf8_lossy(&line);
        writeln!(ui.out, "{}", escape::line(text.strip_suffix('\n').unwrap_or(&text)))?;
        line.clear();
    }
    Ok(())
}

fn unreadable(error: &io::Error) -> Error {
    crate::Failure::from(Trouble::io("reading a temporary file", error)).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn rest(mut file: File) -> String {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn the_last_lines_are_found() {
        for (lines, text, expected) in [
            (None, "a\nb\n", "a\nb\n"),
            (Some(0), "a\nb\n", ""),
            (Some(1), "a\nb\n", "b\n"),
            (Some(1), "a\nb", "b"),
            (Some(2), "a\nb\n", "a\nb\n"),
            (Some(9), "a\n", "a\n"),
            (Some(1), "", ""),
        ] {
            let mut log = file(text);
            begin_at(&mut log, lines).unwrap();
            assert_eq!(rest(log), expected, "{lines:?} of {text:?}");
        }
    }

    #[test]
    fn what_was_shown_is_known_again() {
        let shown = Shown::of(&mut file("a\nb\n")).unwrap();
        assert!(shown.begins(&mut file("a\nb\nc\n")).unwrap() && shown.begins(&mut file("a\nb\n")).unwrap());
        assert!(!shown.begins(&mut file("a\nx\nb\n")).unwrap() && !shown.begins(&mut file("a\n")).unwrap());
    }

    #[test]
    fn a_terminal_is_not_played_with() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut ui = Ui::plain(&mut out, &mut err);
        ui.screen.terminal = true;
        let mut log = file("a\tb\u{1b}]0;title\u{7}\nend");
        log.rewind().unwrap();
        print(&mut ui, log).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\tb\\u{1b}]0;title\\u{7}\nend\n");
    }
}
