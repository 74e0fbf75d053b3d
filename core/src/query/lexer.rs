//! Text to tokens, each with its place.

use std::ops::Range;

use super::ast::Operator;
use super::fault::Fault;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Word(String),
    Quoted(String),
    Operator(Operator),
    Open,
    Close,
    Comma,
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Bytes of the text.
    pub(super) at: Range<usize>,
}

/// All tokens of the text; the last is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let start = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            tokens.push(Token { kind: Kind::End, at: start..start });
            return Ok(tokens);
        };
        let run = |holds: fn(char) -> bool| rest.find(|c| !holds(c)).unwrap_or(rest.len());
        let (kind, length) = match first {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            '"' | '\'' => quoted(rest, first, start)?,
            c if compares(c) => {
                let length = run(compares);
                let operator = &rest[..length];
                let known = Operator::of_text(operator).ok_or_else(|| no_operator(operator, start))?;
                (Kind::Operator(known), length)
            }
            c if in_word(c) => {
                let length = run(in_word);
                (Kind::Word(rest[..length].to_owned()), length)
            }
            c => return Err(stray(c, rest, start)),
        };
        tokens.push(Token { kind, at: start..start + length });
        rest = &rest[length..];
    }
}

/// Whether the text is one word.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(in_word)
}

/// The text in quotes.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

fn compares(c: char) -> bool {
    matches!(c, '=' | '!' | '<' | '>' | '~')
}

/// Names of metrics have `/`, `.` and `-` in them, numbers `+`, times `:`, patterns `*` and `?`.
fn in_word(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !compares(c) && !"()\"',;&|`".contains(c)
}

/// A backslash keeps a quote of the same kind, or another backslash, and stands for itself before anything else.
fn quoted(rest: &str, quote: char, start: usize) -> Result<(Kind, usize), Fault> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if characters.peek().is_some_and(|&(_, next)| next == quote || next == '\\') => {
                text.extend(characters.next().map(|(_, next)| next));
            }
            c if c == quote => return Ok((Kind::Quoted(text), at + 1)),
            c => text.push(c),
        }
    }
    Err(Fault::new(format!("The quote {quote} is never closed"), start..start + rest.len())
        .hint(format!("Close it: {quote}my metric{quote}")))
}

fn no_operator(operator: &str, start: usize) -> Fault {
    let instead = match operator {
        "!" => "Write `not`: `not pretrained`",
        "<>" => "Write `!=`",
        "=~" | "~=" => "Write `~`: `name ~ base`",
        "=<" => "Write `<=`",
        "=>" => "Write `>=`",
        _ => "Compare with `=`, `!=`, `<`, `<=`, `>`, `>=`, `~` or `!~`",
    };
    Fault::new(format!("`{operator}` compares nothing"), start..start + operator.len()).hint(instead)
}

fn stray(c: char, rest: &str, start: usize) -> Fault {
    let (stray, hint) = match c {
        '&' => (if rest.starts_with("&&") { "&&" } else { "&" }, "Write `and`"),
        '|' => (if rest.starts_with("||") { "||" } else { "|" }, "Write `or`"),
        _ => (&rest[..c.len_utf8()], "Put names and text with such characters in quotes: `\"my metric\" > 1`"),
    };
    Fault::new(format!("`{}` has no meaning here", stray.escape_debug()), start..start + stray.len()).hint(hint)
}
