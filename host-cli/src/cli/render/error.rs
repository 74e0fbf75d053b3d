//! Talk: what happened on a line, where it is in what was typed, then what to do, a line each.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::escape;
use super::style::{ERROR, HINT, Palette, WARNING};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The command failed.
    Error,
    /// It did not, and something is amiss.
    Warning,
    /// A remark.
    Note,
}

/// Writes all lines at once, so that those of two processes on one terminal don't mix.
pub(crate) fn write(
    out: &mut dyn Write,
    level: Level,
    message: &str,
    excerpt: Option<&str>,
    hints: &[String],
    palette: Palette,
) -> io::Result<()> {
    let label = match level {
        Level::Error => palette.paint(ERROR, "error:") + " ",
        Level::Warning => palette.paint(WARNING, "warning:") + " ",
        Level::Note => String::new(),
    };
    let mut text = format!("{label}{}\n", escape::text(message));
    for line in excerpt.into_iter().flat_map(str::lines) {
        _ = writeln!(text, "  {}", escape::text(line));
    }
    for hint in hints {
        _ = writeln!(text, "{} {}", palette.paint(HINT, "hint:"), escape::text(hint));
    }
    out.write_all(text.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::ColorChoice;

    use super::*;

    fn written(level: Level, message: &str, hints: &[&str], palette: Palette) -> String {
        let hints: Vec<_> = hints.iter().map(|&hint| hint.to_owned()).collect();
        let mut out = Vec::new();
        write(&mut out, level, message, None, &hints, palette).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_place_of_a_mistake_stands_below_what_it_is() {
        let mut out = Vec::new();
        let hints = ["Did you mean `lr`?".to_owned()];
        write(&mut out, Level::Error, "Wrong", Some("a \u{202e}\n  ^"), &hints, Palette::default()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "error: Wrong\n  a \\u{202e}\n    ^\nhint: Did you mean `lr`?\n");
    }

    #[test]
    fn what_happened_comes_before_what_to_do() {
        let hints = ["Run `au metrics` to list the recorded experiments", "Give at least 4 characters of an id"];
        assert_eq!(
            written(Level::Error, "No experiment matches `3f`", &hints, Palette::default()),
            "error: No experiment matches `3f`\n\
             hint: Run `au metrics` to list the recorded experiments\n\
             hint: Give at least 4 characters of an id\n"
        );
        assert_eq!(written(Level::Warning, "Left out", &[], Palette::default()), "warning: Left out\n");
        assert_eq!(written(Level::Note, "Nothing", &[], Palette::default()), "Nothing\n");
    }

    #[test]
    fn a_message_stays_on_its_line_and_the_label_alone_is_coloured() {
        let palette = Palette::choose(ColorChoice::Always, false, |_| None);
        let text = written(Level::Error, "a\n\x1b[2Jb", &[], palette);
        assert_eq!(text, "\x1b[1m\x1b[31merror:\x1b[0m a\\n\\u{1b}[2Jb\n");
    }
}
