//! Mistakes, and the place of each.

use std::ops::Range;

use unicode_width::UnicodeWidthChar;

use crate::error::{Failure, FailureKind};

/// Columns of the text that are shown before and after the place.
const AROUND: usize = 60;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    message: String,
    /// Bytes of the text.
    at: Range<usize>,
    hints: Vec<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), at, hints: Vec::new() }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(super) fn into_failure(self, text: &str) -> Failure {
        let mut failure = Failure::new(FailureKind::Usage, self.message);
        failure.excerpt = Some(excerpt(text, &self.at));
        failure.hints = self.hints;
        failure
    }
}

/// Two lines: the text, or the part of it around the place, and carets below the place.
fn excerpt(text: &str, at: &Range<usize>) -> String {
    let (before, rest) = text.split_at(floor(text, at.start));
    let (place, after) = rest.split_at(floor(rest, at.end.saturating_sub(before.len())));
    let (before, cut_before) = last(before);
    let (place, cut_place) = first(place);
    let (after, cut_after) = if cut_place { (String::new(), false) } else { first(after) };
    let ellipsis = |cut: bool| if cut { "…" } else { "" };
    let indent = width(&before) + usize::from(cut_before);
    let line = format!("{}{before}{place}{after}{}", ellipsis(cut_before), ellipsis(cut_place || cut_after));
    format!("{}\n{}{}", line.trim_end(), " ".repeat(indent), "^".repeat(width(&place).max(1)))
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// What takes no place of its own would shift the carets.
fn plain(c: char) -> char {
    if c.is_control() || c.is_whitespace() { ' ' } else { c }
}

fn width(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

fn first(text: &str) -> (String, bool) {
    let shown: String = text.chars().take(AROUND).map(plain).collect();
    (shown, text.chars().nth(AROUND).is_some())
}

fn last(text: &str) -> (String, bool) {
    let shown: Vec<char> = text.chars().rev().take(AROUND).map(plain).collect();
    (shown.into_iter().rev().collect(), text.chars().nth(AROUND).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_below_what_is_meant() {
        assert_eq!(excerpt("a = b", &(4..5)), "a = b\n    ^");
        assert_eq!(excerpt("größe > x y", &(12..13)), "größe > x y\n          ^");
        // Wide characters take two columns.
        assert_eq!(excerpt("学習 > x", &(0..6)), "学習 > x\n^^^^");
        assert_eq!(excerpt("学習 > x", &(9..10)), "学習 > x\n       ^");
        // At the end of the text, and in the middle of a character.
        assert_eq!(excerpt("a =", &(3..3)), "a =\n   ^");
        assert_eq!(excerpt("é", &(1..1)), "é\n^");
        assert_eq!(excerpt("", &(0..0)), "\n^");
    }

    #[test]
    fn line_breaks_do_not_part_a_place_from_its_carets() {
        assert_eq!(excerpt("a = 1\nand\tb", &(10..11)), "a = 1 and b\n          ^");
    }

    #[test]
    fn of_a_long_text_the_part_around_the_place_is_shown() {
        let text = format!("{}|{}", "é".repeat(100), "x".repeat(100));
        let shown = excerpt(&text, &(200..201));
        assert_eq!(shown, format!("…{}|{}…\n{}^", "é".repeat(60), "x".repeat(60), " ".repeat(61)));
    }
}
