//! The rows as the core gives them, a line each.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;
use serde_json::value::RawValue;

use super::{escape, unexpected};
use crate::cli::Result;

/// A JSON array written page by page: no more than one page is ever held.
pub(crate) struct Array<'a> {
    out: &'a mut dyn Write,
    /// On a terminal, characters that could deceive are written as JSON's escapes; the value is the same.
    terminal: bool,
    empty: bool,
}

impl<'a> Array<'a> {
    /// Writes nothing yet.
    pub(crate) fn new(out: &'a mut dyn Write, terminal: bool) -> Self {
        Self { out, terminal, empty: true }
    }

    /// Adds the rows of a page, not a character of them changed.
    pub(crate) fn page(&mut self, page: &str) -> Result<()> {
        let rows: Vec<&RawValue> = serde_json::from_str(page).map_err(|error| unexpected(&error))?;
        for row in rows {
            self.out.write_all(if self.empty { b"[\n" } else { b",\n" })?;
            self.empty = false;
            let row = if self.terminal { escape::json(row.get()) } else { Cow::Borrowed(row.get()) };
            self.out.write_all(row.as_bytes())?;
        }
        Ok(())
    }

    /// Ends the array. One that an error left without its end is no valid JSON, so that nobody takes it for the whole.
    pub(crate) fn end(self) -> io::Result<()> {
        self.out.write_all(if self.empty { b"[]\n" } else { b"\n]\n" })
    }
}

/// Writes one object on as many lines as it has values, each of them exact.
pub(crate) fn write_object(out: &mut dyn Write, object: &str, terminal: bool) -> Result<()> {
    let value: Value = serde_json::from_str(object).map_err(|error| unexpected(&error))?;
    let pretty = serde_json::to_string_pretty(&value).map_err(|error| unexpected(&error))?;
    let pretty = if terminal { escape::json(&pretty) } else { Cow::Borrowed(pretty.as_str()) };
    Ok(writeln!(out, "{pretty}")?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn written(pages: &[&str], terminal: bool) -> String {
        let mut out = Vec::new();
        let mut array = Array::new(&mut out, terminal);
        for page in pages {
            array.page(page).unwrap();
        }
        array.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pages_become_one_array_of_unchanged_rows() {
        let pages = [r#"[{"a":0.1000000000000000055511151231257827},{"b":1e400}]"#, "[]", r#" [ {"c": [1, 2]} ] "#];
        assert_eq!(
            written(&pages, false),
            "[\n{\"a\":0.1000000000000000055511151231257827},\n{\"b\":1e400},\n{\"c\": [1, 2]}\n]\n"
        );
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        assert_eq!(written(&[], false), "[]\n");
        assert_eq!(written(&["[]"], false), "[]\n");
    }

    #[test]
    fn a_terminal_gets_no_raw_control_characters() {
        let page = "[{\"a\":\"\u{9b}2J\"}]";
        assert_eq!(written(&[page], true), "[\n{\"a\":\"\\u009b2J\"}\n]\n");
        assert_eq!(written(&[page], false), "[\n{\"a\":\"\u{9b}2J\"}\n]\n");
    }

    #[test]
    fn a_page_that_is_no_array_is_an_error() {
        let mut out = Vec::new();
        assert!(Array::new(&mut out, false).page("{").is_err());
        assert!(out.is_empty());
    }

    #[test]
    fn an_object_is_spread_out_and_no_value_changed() {
        let object = "{\"b\":[0.1000000000000000055511151231257827,1e400],\"a\":\"\u{9b}\"}";
        let written = |terminal| {
            let mut out = Vec::new();
            write_object(&mut out, object, terminal).unwrap();
            String::from_utf8(out).unwrap()
        };
        let expected =
            "{\n  \"a\": \"\u{9b}\",\n  \"b\": [\n    0.1000000000000000055511151231257827,\n    1e+400\n  ]\n}\n";
        assert_eq!(written(false), expected);
        assert_eq!(written(true), expected.replace('\u{9b}', "\\u009b"));
    }
}
