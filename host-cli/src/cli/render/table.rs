//! One row a run.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use clap::builder::styling::Style;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::{self, Palette};
use super::value::{self, Shown};
use super::{Row, SHORT, escape};

/// Room for a cell; longer texts are cut.
const WIDEST: usize = 40;
const GAP: usize = 2;
const MISSING: &str = "-";
/// The columns that each table may have. A parameter or metric named like one of them is told apart.
const FIXED: [&str; 5] = ["id", "name", "status", "started", "duration"];

/// What of the rows to show.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choice {
    /// Parameters that are the same in all rows, too.
    pub(crate) all: bool,
    /// Columns of the terminal, where they matter.
    pub(crate) width: Option<usize>,
    pub(crate) palette: Palette,
}

/// Writes the rows in their order and gives the names of the columns that there was no room for.
pub(crate) fn write(out: &mut dyn Write, rows: &[Row], choice: &Choice) -> io::Result<Vec<String>> {
    let mut columns = columns(rows, choice.all);
    let left_out = columns.split_off(fitting(&columns, choice.width.unwrap_or(usize::MAX)));
    let heading = |column: &Column| Cell { style: Some(style::HEADING), ..column.heading.clone() };
    write_line(out, &columns, heading, choice.palette)?;
    for at in 0..rows.len() {
        write_line(out, &columns, |column| column.cells[at].clone(), choice.palette)?;
    }
    Ok(left_out.into_iter().map(|column| column.heading.text).collect())
}

struct Column {
    heading: Cell,
    cells: Vec<Cell>,
    width: usize,
}

#[derive(Clone)]
struct Cell {
    text: String,
    right: bool,
    style: Option<Style>,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), right: false, style: None }
    }
}

impl Column {
    fn new(heading: &str, cells: impl Iterator<Item = Option<Cell>>) -> Self {
        let mut cells: Vec<_> = cells.collect();
        // Numbers go to the right wherever they stand; what is missing and the heading follow the rest of the column.
        let right = cells.iter().flatten().all(|cell| cell.right) && cells.iter().any(Option::is_some);
        let cells: Vec<_> = cells
            .drain(..)
            .map(|cell| cell.unwrap_or_else(|| Cell { right, ..Cell::text(MISSING) }))
            .map(|cell| Cell { text: cut(cell.text), ..cell })
            .collect();
        let heading = Cell { right, ..Cell::text(cut(escape::text(heading).into_owned())) };
        let width = cells.iter().chain([&heading]).map(|cell| cell.text.width()).max().unwrap_or(0);
        Self { heading, cells, width }
    }
}

fn columns(rows: &[Row], all: bool) -> Vec<Column> {
    let length = id_length(rows);
    let mut columns = vec![Column::new("id", rows.iter().map(|row| Some(Cell::text(id(&row.id, length)))))];
    if rows.iter().any(|row| row.name.is_some()) {
        let name = |row: &Row| row.name.as_deref().map(|name| Cell::text(escape::text(name)));
        columns.push(Column::new("name", rows.iter().map(name)));
    }
    columns.push(Column::new("status", rows.iter().map(|row| Some(status(&row.status)))));
    columns.push(Column::new("started (UTC)", rows.iter().map(|row| Some(Cell::text(minute(&row.started))))));
    let duration = |row: &Row| row.duration.map(|seconds| Cell { right: true, ..Cell::text(value::duration(seconds)) });
    columns.push(Column::new("duration", rows.iter().map(duration)));

    let (parameters, metrics) = (names(rows, |row| &row.parameters), names(rows, |row| &row.metrics));
    // What runs are compared by comes first: columns that don't fit are dropped from the right.
    for name in &metrics {
        let heading = heading(name, "metric", &parameters);
        columns.push(values(rows, name, &heading, |row| &row.metrics, value::metric));
    }
    for name in &parameters {
        if all || rows.len() == 1 || differs(rows, name) {
            let heading = heading(name, "parameter", &metrics);
            columns.push(values(rows, name, &heading, |row| &row.parameters, value::parameter));
        }
    }
    columns
}

type Values = BTreeMap<String, Value>;

fn values(
    rows: &[Row],
    name: &str,
    heading: &str,
    of: impl Fn(&Row) -> &Values,
    show: impl Fn(&Value) -> Shown,
) -> Column {
    let cell = |row| {
        let shown = show(of(row).get(name)?);
        Some(Cell { right: shown.number, ..Cell::text(shown.text) })
    };
    Column::new(heading, rows.iter().map(cell))
}

fn names(rows: &[Row], of: impl Fn(&Row) -> &Values) -> BTreeSet<&str> {
    rows.iter().flat_map(|row| of(row).keys()).map(String::as_str).collect()
}

fn differs(rows: &[Row], parameter: &str) -> bool {
    let mut values = rows.iter().map(|row| row.parameters.get(parameter));
    let first = values.next();
    values.any(|value| Some(value) != first)
}

fn heading<'a>(name: &'a str, kind: &str, others: &BTreeSet<&str>) -> Cow<'a, str> {
    if others.contains(name) || FIXED.contains(&name) { format!("{name} ({kind})").into() } else { name.into() }
}

/// How much of the ids tells all rows apart.
fn id_length(rows: &[Row]) -> usize {
    let mut ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
    ids.sort_unstable();
    let shared = |pair: &[&str]| pair[0].chars().zip(pair[1].chars()).take_while(|(a, b)| a == b).count();
    let length = ids.windows(2).map(|pair| shared(pair) + 1).max().unwrap_or(0).max(SHORT);
    // No id ends in its hyphen.
    if length == SHORT + 1 { length + 1 } else { length }
}

fn id(id: &str, length: usize) -> Cow<'_, str> {
    let end = id.char_indices().nth(length).map_or(id.len(), |(end, _)| end);
    escape::text(&id[..end])
}

fn status(status: &str) -> Cell {
    Cell { style: style::status(status), ..Cell::text(escape::text(status)) }
}

/// `2026-11-23T22:29:01.000Z` to the minute.
fn minute(time: &str) -> String {
    escape::text(time.get(..16).unwrap_or(time)).replacen('T', " ", 1)
}

/// Cuts a text that is too wide for a cell.
fn cut(text: String) -> String {
    if text.width() <= WIDEST {
        return text;
    }
    let mut width = 1;
    let end = text.char_indices().find_map(|(at, character)| {
        width += character.width().unwrap_or(0);
        (width > WIDEST).then_some(at)
    });
    format!("{}…", &text[..end.unwrap_or(text.len())])
}

/// The number of columns, from the left, for which there is room: the first at least.
fn fitting(columns: &[Column], room: usize) -> usize {
    let mut end = 0;
    let fit = columns.iter().take_while(|column| {
        end += column.width + if end > 0 { GAP } else { 0 };
        end <= room
    });
    fit.count().max(1)
}

fn write_line(
    out: &mut dyn Write,
    columns: &[Column],
    cell: impl Fn(&Column) -> Cell,
    palette: Palette,
) -> io::Result<()> {
    let mut line = String::new();
    // Blanks are written only before text, so that no line ends in them.
    let mut blanks = 0;
    for column in columns {
        let cell = cell(column);
        let rest = column.width.saturating_sub(cell.text.width());
        let (before, after) = if cell.right { (rest, 0) } else { (0, rest) };
        line.extend(std::iter::repeat_n(' ', blanks + before));
        match cell.style {
            Some(style) => line += &palette.paint(style, &cell.text),
            None => line += &cell.text,
        }
        blanks = after + GAP;
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::ColorChoice;
    use serde_json::json;

    use super::*;

    const A: &str = "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6";
    const B: &str = "280459c5-b183-462d-b89e-e53019f81c88";

    fn row(id: &str, parameters: Value, metrics: Value) -> Row {
        let mut row = json!({
            "id": id, "status": "finished", "started": "2026-11-23T22:29:01.000Z", "ended": null, "duration": 1.25,
            "script": "src/a.py",
        });
        row["parameters"] = parameters;
        row["metrics"] = metrics;
        Row::page(&format!("[{row}]")).unwrap().remove(0)
    }

    fn table(rows: &[Row], choice: &Choice) -> (String, Vec<String>) {
        let mut out = Vec::new();
        let left_out = write(&mut out, rows, choice).unwrap();
        (String::from_utf8(out).unwrap(), left_out)
    }

    fn headings(rows: &[Row], all: bool) -> Vec<String> {
        columns(rows, all).into_iter().map(|column| column.heading.text).skip(4).collect()
    }

    #[test]
    fn a_row_a_run_with_numbers_to_the_right() {
        let mut rows = [
            row(A, json!({ "a": 0.01, "kind": "linear" }), json!({ "accuracy": 0.973_684_21, "error": 1 })),
            row(B, json!({ "a": 10.0, "kind": "rbf", "b": null }), json!({ "accuracy": "NaN" })),
        ];
        rows[1].name = Some("base".into());
        rows[1].status = "running".into();
        rows[1].duration = None;
        let expected = "\
id        name  status    started (UTC)     duration  accuracy  error     a  b     kind
acfdf6cd  -     finished  2026-11-23 22:29     1.2 s  0.973684      1  0.01  -     linear
280459c5  base  running   2026-11-23 22:29         -       nan      -  10.0  none  rbf
";
        assert_eq!(table(&rows, &Choice::default()), (expected.into(), vec![]));
    }

    #[test]
    fn parameters_that_are_the_same_in_all_rows_are_for_those_who_ask() {
        let rows = [
            row(A, json!({ "same": 1, "changed": 1, "dropped": 1 }), json!({ "m": 1 })),
            row(B, json!({ "same": 1, "changed": 1.0 }), json!({ "m": 1 })),
        ];
        assert_eq!(headings(&rows, false), ["m", "changed", "dropped"]);
        assert_eq!(headings(&rows, true), ["m", "changed", "dropped", "same"]);
        assert_eq!(headings(&rows[..1], false), ["m", "changed", "dropped", "same"]);
    }

    #[test]
    fn names_borne_twice_are_told_apart() {
        let rows = [row(A, json!({ "loss": "log", "x": 1 }), json!({ "loss": 0.5, "duration": 2 }))];
        assert_eq!(headings(&rows, false), ["duration (metric)", "loss (metric)", "loss (parameter)", "x"]);
    }

    #[test]
    fn columns_are_dropped_from_the_right_until_the_rest_fits() {
        let rows = [row(A, json!({}), json!({ "accuracy": 0.5, "b": 1, "c": 2 }))];
        let full = table(&rows, &Choice::default()).0;
        let width = full.lines().next().unwrap().width();
        let at = |width| table(&rows, &Choice { width: Some(width), ..Choice::default() });
        assert_eq!(at(width), (full, vec![]));
        let (text, left_out) = at(width - 1);
        assert_eq!(left_out, ["c"]);
        assert!(text.lines().all(|line| line.width() < width));
        assert_eq!(at(1).0, "id\nacfdf6cd\n");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut rows = [row(A, json!({}), json!({ "m": 1 })), row(B, json!({}), json!({ "m": 2 }))];
        rows[0].name = Some("学習".into());
        rows[1].name = Some("abc".into());
        let (text, _) = table(&rows, &Choice::default());
        assert_eq!(text.lines().map(UnicodeWidthStr::width).collect::<BTreeSet<_>>().len(), 1, "{text}");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("x".repeat(WIDEST)), "x".repeat(WIDEST));
        assert_eq!(cut("x".repeat(WIDEST + 1)), "x".repeat(WIDEST - 1) + "…");
        let wide = cut("学".repeat(WIDEST));
        assert!(wide.ends_with("学…") && wide.width() <= WIDEST, "{wide}");
    }

    #[test]
    fn ids_are_long_enough_to_tell_runs_apart() {
        let ids = |ids: &[&str]| {
            let rows: Vec<_> = ids.iter().map(|id| row(id, json!({}), json!({}))).collect();
            columns(&rows, false).remove(0).cells.into_iter().map(|cell| cell.text).collect::<Vec<_>>()
        };
        assert_eq!(ids(&[A, B]), ["acfdf6cd", "280459c5"]);
        assert_eq!(
            ids(&[A, B, "acfdf6cd-1f2a-4929-b036-7b0a5399b0c6"]),
            ["acfdf6cd-1f1", "280459c5-b18", "acfdf6cd-1f2"]
        );
        assert_eq!(ids(&[A, "acfdf6cd-2f1a-4929-b036-7b0a5399b0c6"]), ["acfdf6cd-1", "acfdf6cd-2"]);
        assert_eq!(ids(&["short"]), ["short"]);
    }

    #[test]
    fn nothing_in_a_row_reaches_the_terminal_unescaped() {
        let mut rows = [row("\x1b[2Jé\u{202e}x", json!({ "p\x1b[1m": "\x07\u{200b}" }), json!({ "m\u{9b}": 1 }))];
        rows[0].name = Some("n\n\u{2066}".into());
        rows[0].status = "st\x1b".into();
        rows[0].started = "2026\x1b".into();
        let (text, _) = table(&rows, &Choice::default());
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.chars().all(
                |character| character == '\n' || escape::text(&character.to_string()).len() == character.len_utf8()
            )
        );
    }

    #[test]
    fn colours_do_not_move_columns() {
        let mut rows = [row(A, json!({}), json!({ "m": 1 })), row(B, json!({}), json!({ "m": 2 }))];
        rows[0].status = "failed".into();
        let palette = Palette::choose(ColorChoice::Always, false, |_| None);
        let (text, _) = table(&rows, &Choice { palette, ..Choice::default() });
        assert!(text.contains("\x1b[31mfailed\x1b[0m  "), "{text:?}");
        let plain = text.replace("\x1b[31m", "").replace("\x1b[1m", "").replace("\x1b[0m", "");
        assert_eq!(plain, table(&rows, &Choice::default()).0);
    }
}
