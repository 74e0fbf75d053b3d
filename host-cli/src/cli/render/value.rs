//! JSON values as a table's cells: short, for reading. `--json` has them exact.

use std::fmt::Write;

use serde_json::Value;

use super::escape;
use super::grid::Cell;

/// Significant digits of floats.
const DIGITS: usize = 6;
/// Digits of the longest integers shown in full.
const LONGEST_INTEGER: usize = 20;

/// A cell: its text, and whether it is a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) number: bool,
}

impl From<Shown> for Cell {
    fn from(shown: Shown) -> Self {
        if shown.number { Self::number(shown.text) } else { Self::text(shown.text) }
    }
}

/// A parameter. Texts stand without quotes.
pub(crate) fn parameter(value: &Value) -> Shown {
    let text = match value {
        Value::String(text) if !text.is_empty() => escape::text(text).into_owned(),
        _ => {
            let mut text = String::new();
            write_value(&mut text, value);
            text
        }
    };
    Shown { text, number: value.is_number() || special(value).is_some() }
}

/// A metric: a number, or one of the words that stand for those that JSON lacks.
pub(crate) fn metric(value: &Value) -> Shown {
    match value.as_str().and_then(word) {
        Some(word) => Shown { text: word.to_owned(), number: true },
        None => parameter(value),
    }
}

/// Seconds as `0.05 s`, `1.2 s`, `3 min 4 s`, `2 h 5 min`, `1 d 3 h`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and no run lasts so long")]
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 0.995 {
        return format!("{:.2} s", seconds.max(0.0));
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else {
        format!("{minutes} min {} s", seconds % 60)
    }
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("none"),
        Value::Bool(value) => _ = write!(out, "{value}"),
        Value::Number(number) => out.push_str(&number_text(&number.to_string())),
        // With its quotes, and without what could deceive.
        Value::String(_) => out.push_str(&escape::json(&value.to_string())),
        Value::Array(values) => write_list(out, '[', values, ']', write_value),
        Value::Object(members) => match special(value) {
            Some(word) => out.push_str(word),
            None => write_list(out, '{', members, '}', |out, (name, value)| {
                write_value(out, &Value::String(name.clone()));
                out.push_str(": ");
                write_value(out, value);
            }),
        },
    }
}

fn write_list<T>(
    out: &mut String,
    open: char,
    values: impl IntoIterator<Item = T>,
    close: char,
    write: impl Fn(&mut String, T),
) {
    out.push(open);
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(out, value);
    }
    out.push(close);
}

/// The word for `{"$float": …}`.
fn special(value: &Value) -> Option<&'static str> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.get("$float")?.as_str().and_then(word)
}

fn word(text: &str) -> Option<&'static str> {
    match text {
        "NaN" => Some("nan"),
        "Infinity" => Some("inf"),
        "-Infinity" => Some("-inf"),
        _ => None,
    }
}

/// Integers as they are while they can be taken in, floats to a few digits.
fn number_text(number: &str) -> String {
    let integer = !number.contains(['.', 'e', 'E']);
    if integer && number.len() <= LONGEST_INTEGER {
        return number.to_owned();
    }
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => float(value),
        // Beyond the doubles: as it is, and the table cuts it.
        _ => number.to_owned(),
    }
}

/// Six digits as Python would write them: `0.97`, `1e-05`, `1.5e+20`; a decimal point wherever it is not cut off.
fn float(value: f64) -> String {
    if value == 0.0 {
        return if value.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    let scientific = format!("{value:.*e}", DIGITS - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        let mantissa =
            if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let decimals = usize::try_from(5 - exponent).unwrap_or(0);
    if decimals == 0 {
        // More digits than six stand before the point already: none of those is left out.
        let point = if value.fract() == 0.0 { ".0" } else { "" };
        return format!("{value:.0}{point}");
    }
    let text = format!("{value:.decimals$}");
    let text = text.trim_end_matches('0');
    if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_are_short_and_tell_themselves_from_integers() {
        for (value, text) in [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (0.973_684_210_5, "0.973684"),
            (0.000_1, "0.0001"),
            (0.000_012_345_678, "1.23457e-05"),
            (1e-5, "1e-05"),
            (-2.5, "-2.5"),
            (1_234_567.8, "1234568"),
            (1e6, "1000000.0"),
            (1.5e20, "1.5e+20"),
            (999_999.5, "1000000"),
            (0.999_999_9, "1.0"),
            (99_999.96, "100000"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(float(value), text, "{value}");
        }
    }

    #[test]
    fn integers_are_whole() {
        assert_eq!(number_text("9007199254740993"), "9007199254740993");
        assert_eq!(number_text("123456789012345678901234567890"), "1.23457e+29");
        assert_eq!(number_text("1e400"), "1e400");
    }

    #[test]
    fn values_are_shown_by_their_kind() {
        let shown = |value: serde_json::Value| {
            let shown = parameter(&value);
            (shown.text, shown.number)
        };
        assert_eq!(shown(json!("adam")), ("adam".into(), false));
        assert_eq!(shown(json!("")), ("\"\"".into(), false));
        assert_eq!(shown(json!("NaN")), ("NaN".into(), false));
        assert_eq!(shown(json!({ "$float": "NaN" })), ("nan".into(), true));
        assert_eq!(shown(json!({ "$float": "-Infinity" })), ("-inf".into(), true));
        assert_eq!(shown(json!(null)), ("none".into(), false));
        assert_eq!(shown(json!([1, { "$float": "Infinity" }, "a\u{202e}"])), ("[1, inf, \"a\\u202e\"]".into(), false));
        assert_eq!(shown(json!({ "a": 0.5, "b": true })), ("{\"a\": 0.5, \"b\": true}".into(), false));
    }

    #[test]
    fn metrics_have_words_for_what_json_lacks() {
        for (name, word) in [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf")] {
            assert_eq!(metric(&json!(name)), Shown { text: word.into(), number: true });
        }
        assert_eq!(metric(&json!(2)), Shown { text: "2".into(), number: true });
    }

    #[test]
    fn durations_have_the_units_that_matter() {
        for (seconds, text) in [
            (0.004, "0.00 s"),
            (0.05, "0.05 s"),
            (1.25, "1.2 s"),
            (59.97, "1 min 0 s"),
            (184.0, "3 min 4 s"),
            (7_500.0, "2 h 5 min"),
            (97_200.0, "1 d 3 h"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }
}
