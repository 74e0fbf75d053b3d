//! Between a script and its terminal, for a script that asked for it: what is printed past Python goes through here.

use std::io::{self, ErrorKind, Read, Write};

use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::{OutputStream, Tracker};

/// What is read at once.
const PIECE: usize = 64 << 10;

/// Pass standard input on to standard output, and keep it as the output of a run
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct KeepOutputArgs {
    /// The run that is under way
    run: String,
    /// 1 for its standard output, 2 for its standard error
    #[arg(value_parser = clap::value_parser!(u8).range(1..=2))]
    stream: u8,
    /// What the script writes when its run ends, a zero byte before it
    mark: String,
}

fn examples() -> String {
    format!(
        "\
Examples:
  make 2>&1 | au keep-output ID 1 MARK    What a script with `capture=\"fd\"` has Aurum do

{EXIT_STATUS}"
    )
}

pub(crate) fn keep_output(tracker: &mut Tracker, args: &KeepOutputArgs) -> Result<()> {
    tracker.join(&args.run)?;
    // The script waits for this, and goes on without if something else comes.
    io::stderr().write_all(b"ready\n")?;
    let stream = if args.stream == 1 { OutputStream::Stdout } else { OutputStream::Stderr };
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    let mut keep = |bytes: &[u8]| {
        // To the terminal first, and on whatever becomes of either: the script must not be left writing to nobody.
        let _ = to.write_all(bytes).and_then(|()| to.flush());
        let _ = tracker.output(stream, bytes);
    };
    let mark = [b"\0", args.mark.as_bytes()].concat();
    let (mut piece, mut held) = (vec![0; PIECE], Vec::new());
    loop {
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => held.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(at) = held.windows(mark.len()).position(|window| *window == mark) {
            keep(&held[..at]);
            held.drain(..at + mark.len());
            // The run ends. Who prints after that is somebody that the script has started and left.
            let _ = io::stderr().write_all(b"done\n");
        }
        let whole = held.len() - begun(&held, &mark);
        keep(&held[..whole]);
        held.drain(..whole);
    }
    keep(&held);
    Ok(tracker.flush()?)
}

/// How many bytes at the end may be the beginning of the mark.
fn begun(bytes: &[u8], mark: &[u8]) -> usize {
    let longest = bytes.len().min(mark.len() - 1);
    (1..=longest).rev().find(|length| mark.starts_with(&bytes[bytes.len() - length..])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::begun;

    #[test]
    fn a_mark_may_come_in_pieces() {
        for (bytes, length) in [("", 0), ("a", 0), ("a\0", 1), ("\0ma\0m", 2), ("\0mar", 4), ("\0marx", 0), ("\0\0", 1)]
        {
            assert_eq!(begun(bytes.as_bytes(), b"\0mark"), length, "{bytes:?}");
        }
    }
}
