//! What is told of one thing: labels, and beside each a value of any length.

use std::io::{self, Write};

use clap::builder::styling::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::escape;
use super::style::Palette;

const GAP: usize = 2;
/// Room for a value, however narrow the terminal.
const NARROWEST: usize = 16;

/// Labels and their values, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    lines: Vec<(&'static str, String, Option<Style>)>,
}

impl Facts {
    /// Whatever the value is, it can't deceive.
    pub(crate) fn add(&mut self, label: &'static str, value: impl AsRef<str>) {
        self.add_styled(label, value, None);
    }

    /// The same in a style, if any.
    pub(crate) fn add_styled(&mut self, label: &'static str, value: impl AsRef<str>, style: Option<Style>) {
        self.lines.push((label, escape::text(value.as_ref()).into_owned(), style));
    }

    /// The same where there is a value.
    pub(crate) fn add_some(&mut self, label: &'static str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }

    /// Values that don't fit go on below themselves, whole: people copy commands from here.
    pub(crate) fn write(
        &self,
        out: &mut dyn Write,
        indent: usize,
        width: Option<usize>,
        palette: Palette,
    ) -> io::Result<()> {
        let beside = self.lines.iter().map(|(label, ..)| label.width()).max().unwrap_or(0);
        let before = indent + beside + GAP;
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(before).max(NARROWEST));
        for (label, value, style) in &self.lines {
            let mut label = *label;
            for piece in wrap(value, room) {
                let piece = style.map_or_else(|| piece.to_owned(), |style| palette.paint(style, piece));
                writeln!(out, "{:indent$}{label:<beside$}{:GAP$}{piece}", "", "")?;
                label = "";
            }
        }
        Ok(())
    }
}

/// Pieces of a text that fit, broken at blanks where there are any. One piece at least.
fn wrap(text: &str, room: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.width() > room {
        let mut width = 0;
        let fitting = rest.char_indices().find_map(|(at, character)| {
            width += character.width().unwrap_or(0);
            (width > room).then_some(at)
        });
        // One character at least, or there would be no end.
        let first = rest.chars().next().map_or(rest.len(), char::len_utf8);
        let end = fitting.unwrap_or(rest.len()).max(first);
        let blank = if rest[end..].starts_with(' ') { Some(end) } else { rest[..end].rfind(' ') };
        let end = blank.filter(|blank| *blank > 0).unwrap_or(end);
        pieces.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(' ');
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn values_stand_under_each_other_and_go_on_below_themselves() {
        let mut facts = Facts::default();
        facts.add("id", "a\n");
        facts.add("command", "train.py rate=0.1 epochs=50");
        facts.add_some("name", None::<&str>);
        let written = |indent, width| {
            let mut out = Vec::new();
            facts.write(&mut out, indent, width, Palette::default()).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(0, None), "id       a\\n\ncommand  train.py rate=0.1 epochs=50\n");
        assert_eq!(written(2, Some(30)), "  id       a\\n\n  command  train.py rate=0.1\n           epochs=50\n");
    }

    #[test]
    fn texts_are_broken_at_blanks_where_there_are_any() {
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("abcd", 4), ["abcd"]);
        assert_eq!(wrap("ab cd", 4), ["ab", "cd"]);
        assert_eq!(wrap("abcd ef", 4), ["abcd", "ef"]);
        assert_eq!(wrap("abcdefghi", 4), ["abcd", "efgh", "i"]);
        assert_eq!(wrap("学習学習", 5), ["学習", "学習"]);
        assert_eq!(wrap("学習", 1), ["学", "習"]);
    }
}
