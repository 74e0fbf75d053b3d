//! One row a run.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::Value;

use super::grid::{self, Cell, Column, Grid};
use super::style::{self, Palette};
use super::value::{self, Shown};
use super::{Row, SHORT};

/// Room for a cell; longer texts are cut.
const WIDEST: usize = 40;
/// The columns that each table may have. A parameter or metric named like one of them is told apart.
const FIXED: [&str; 7] = ["id", "name", "group", "tags", "status", "started", "duration"];

/// What the metrics of the computer begin with.
const SYSTEM: &str = "system/";

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
    let mut columns: Vec<_> = columns(rows, choice.all).into_iter().map(|column| column.cut(WIDEST)).collect();
    let left_out = columns.split_off(grid::fitting(&columns, choice.width.unwrap_or(usize::MAX)));
    Grid::new(columns, choice.palette).write(out)?;
    Ok(left_out.iter().map(|column| column.heading().to_owned()).collect())
}

fn columns(rows: &[Row], all: bool) -> Vec<Column> {
    let length = id_length(rows);
    let mut columns = vec![Column::new("id", rows.iter().map(|row| Some(Cell::text(id(&row.id, length)))))];
    if rows.iter().any(|row| row.name.is_some()) {
        let name = |row: &Row| row.name.as_deref().map(Cell::text);
        columns.push(Column::new("name", rows.iter().map(name)));
    }
    if rows.iter().any(|row| row.group.is_some()) {
        let group = |row: &Row| row.group.as_deref().map(Cell::text);
        columns.push(Column::new("group", rows.iter().map(group)));
    }
    if rows.iter().any(|row| !row.tags.is_empty()) {
        let tags = |row: &Row| (!row.tags.is_empty()).then(|| Cell::text(row.tags.join(", ")));
        columns.push(Column::new("tags", rows.iter().map(tags)));
    }
    columns.push(Column::new("status", rows.iter().map(|row| Some(status(&row.status)))));
    columns.push(Column::new("started (UTC)", rows.iter().map(|row| Some(Cell::text(minute(&row.started))))));
    let duration = |row: &Row| row.duration.map(|seconds| Cell::number(value::duration(seconds)));
    columns.push(Column::new("duration", rows.iter().map(duration)));

    let (parameters, mut metrics) = (names(rows, |row| &row.parameters), names(rows, |row| &row.metrics));
    // Nobody compares runs by what the computer was doing.
    metrics.retain(|name| all || !name.starts_with(SYSTEM));
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
    let cell = |row| Some(show(of(row).get(name)?).into());
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

fn id(id: &str, length: usize) -> &str {
    let end = id.char_indices().nth(length).map_or(id.len(), |(end, _)| end);
    &id[..end]
}

fn status(status: &str) -> Cell {
    Cell::text(status).styled(style::status(status))
}

/// `2026-11-23T22:29:01.000Z` to the minute.
fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replacen('T', " ", 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::ColorChoice;
    use serde_json::json;
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::cli::render::escape;

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
        columns(rows, all).iter().map(|column| column.heading().to_owned()).skip(4).collect()
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
    fn what_the_computer_did_is_for_those_who_ask() {
        let rows = [row(A, json!({}), json!({ "m": 1, "system/cpu": 2, "systematic": 3 }))];
        assert_eq!(headings(&rows, false), ["m", "systematic"]);
        assert_eq!(headings(&rows, true), ["m", "system/cpu", "systematic"]);
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
    fn ids_are_long_enough_to_tell_runs_apart() {
        let ids = |ids: &[&str]| {
            let rows: Vec<_> = ids.iter().map(|id| row(id, json!({}), json!({}))).collect();
            let (text, _) = table(&rows, &Choice { width: Some(1), ..Choice::default() });
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
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
