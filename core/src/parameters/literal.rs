//! What the text of an override means: by the type of the default in the code, else by its own looks.

use serde_json::{Number, Value};

use crate::error::{Failure, FailureKind, Result};
use crate::{redact, value};

/// Digits of an integer at most: as many as Python reads.
const MOST_DIGITS: usize = 4_300;

/// The types that a default can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Untyped,
    Bool,
    Integer,
    Float,
    Text,
    List,
    Object,
}

impl Kind {
    pub(super) fn of(default: Option<&Value>) -> Self {
        match default {
            None | Some(Value::Null) => Self::Untyped,
            Some(Value::Bool(_)) => Self::Bool,
            Some(Value::Number(number)) if value::is_float(number) => Self::Float,
            Some(Value::Number(_)) => Self::Integer,
            Some(Value::String(_)) => Self::Text,
            Some(Value::Array(_)) => Self::List,
            // The floats that JSON lacks are objects in JSON alone.
            Some(object) if value::as_float(object).is_some() => Self::Float,
            Some(Value::Object(_)) => Self::Object,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Untyped => "a value",
            Self::Bool => "a bool",
            Self::Integer => "an integer",
            Self::Float => "a float",
            Self::Text => "text",
            Self::List => "a list",
            Self::Object => "a JSON object",
        }
    }
}

/// Reads text as the type of the default.
pub(super) fn convert(name: &str, default: Option<&Value>, text: &str) -> Result<Value> {
    let kind = Kind::of(default);
    let trimmed = text.trim();
    let converted = match kind {
        Kind::Untyped => Some(untyped(text)),
        Kind::Bool => boolean(trimmed).map(Value::Bool),
        Kind::Integer => integer(trimmed),
        Kind::Float => any_float(trimmed).map(value::float),
        Kind::Text => Some(text.into()),
        Kind::List => list(trimmed),
        Kind::Object => {
            serde_json::from_str::<Value>(trimmed).ok().filter(Value::is_object).map(|object| value::normal(&object))
        }
    };
    let converted = converted.ok_or_else(|| mismatch(name, default, kind, text))?;
    value::check(&converted, name)?;
    Ok(converted)
}

/// The default as people see it; the message of a failure ends up in logs, so secrets stay out.
pub(super) fn shown(name: &str, default: &Value) -> String {
    value::excerpt(&value::display(&redact::value(name, default)))
}

fn mismatch(name: &str, default: Option<&Value>, kind: Kind, text: &str) -> Failure {
    // As it was typed, unless it is a secret.
    let given = match redact::value(name, &text.into()) {
        Value::String(text) => value::excerpt(&text),
        other => shown(name, &other),
    };
    let failure = Failure::new(FailureKind::InvalidValue, format!("`{name}={given}` is not {}", kind.noun()));
    let Some(default) = default else { return failure };
    let failure = match kind {
        // Rounding without a word would train something else than what was asked for.
        Kind::Integer if any_float(text.trim()).is_some() => failure.hint(format!(
            "Write `{name}` as an integer in digits, or declare it as a float: `{name}={}.0`",
            shown(name, default)
        )),
        _ => failure,
    };
    failure.hint(format!("The default in the code is `{}`; give a value of the same type", shown(name, default)))
}

/// What people write for yes and no.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The digits without the underscores that may stand between two of them.
fn digits(text: &str) -> Option<String> {
    let valid = !text.is_empty()
        && text.split('_').all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    valid.then(|| text.replace('_', ""))
}

fn integer(text: &str) -> Option<Value> {
    let negative = text.starts_with('-');
    let digits = digits(text.strip_prefix(['-', '+']).unwrap_or(text))?;
    let digits = match digits.trim_start_matches('0') {
        "" => return Some(0.into()),
        digits if digits.len() > MOST_DIGITS => return None,
        digits => digits,
    };
    let sign = if negative { "-" } else { "" };
    serde_json::from_str::<Number>(&format!("{sign}{digits}")).ok().map(Value::Number)
}

/// What Python's `float` reads.
fn any_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let between_digits = |at: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'_' && !between_digits(at)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// Whether text that begins with a dash is a negative number and not a flag.
pub(super) fn is_negative_number(text: &str) -> bool {
    text.starts_with('-') && any_float(text).is_some()
}

/// Reads text by its looks. What looks like nothing else is text.
pub(super) fn untyped(text: &str) -> Value {
    scalar(text).or_else(|| quoted(text)).or_else(|| list(text)).unwrap_or_else(|| text.into())
}

fn scalar(text: &str) -> Option<Value> {
    Some(match text {
        "true" | "True" => true.into(),
        "false" | "False" => false.into(),
        "none" | "None" | "null" => Value::Null,
        "nan" | "NaN" => value::float(f64::NAN),
        "inf" | "+inf" | "Infinity" => value::float(f64::INFINITY),
        "-inf" | "-Infinity" => value::float(f64::NEG_INFINITY),
        _ => return number(text),
    })
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    // `007` is a label, and so is `00.7`: read as a number it would not come back as it was given.
    let label = unsigned.len() > 1
        && unsigned.starts_with('0')
        && !unsigned.starts_with("0.")
        && !unsigned.starts_with(['e', 'E']);
    let zero_exponent = unsigned.starts_with("0e") || unsigned.starts_with("0E");
    if label && !zero_exponent || !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    // A float beyond all floats is rather an abbreviated hash, such as `12e4567`.
    integer(text)
        .or_else(|| any_float(text).filter(|float| float.is_finite() && !is_digits(unsigned)).map(value::float))
}

/// Integers too long to be one are not floats either.
fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

fn quoted(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let quoted = reader.quoted()?;
    reader.rest.is_empty().then(|| quoted.into())
}

/// A list as JSON or Python write it, or with bare words for text: `[1, 2]`, `['a', None]`, `[relu, tanh]`.
fn list(text: &str) -> Option<Value> {
    if !text.starts_with('[') || !text.ends_with(']') {
        return None;
    }
    if let Ok(list @ Value::Array(_)) = serde_json::from_str::<Value>(text) {
        return Some(value::normal(&list)).filter(|list| value::check(list, "").is_ok());
    }
    let mut reader = Reader { rest: text };
    let list = reader.list(value::DEEPEST)?;
    reader.rest.is_empty().then_some(list)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, expected: char) -> bool {
        let stripped = self.rest.strip_prefix(expected);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    fn list(&mut self, levels: usize) -> Option<Value> {
        if levels == 0 || !self.take('[') {
            return None;
        }
        let mut items = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            // Python allows a comma after the last element, but no comma alone.
            if self.take(']') {
                return Some(items.into());
            }
            items.push(self.element(levels)?);
            self.rest = self.rest.trim_start();
            if !self.take(',') && !self.rest.starts_with(']') {
                return None;
            }
        }
    }

    fn element(&mut self, levels: usize) -> Option<Value> {
        match self.rest.chars().next()? {
            '[' => self.list(levels - 1),
            '\'' | '"' => self.quoted().map(Value::from),
            _ => {
                let end = self.rest.find([',', '[', ']', '{', '}', '\'', '"'])?;
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                let word = word.trim();
                (!word.is_empty()).then(|| scalar(word).unwrap_or_else(|| word.into()))
            }
        }
    }

    /// Text in quotes. A backslash escapes the quote and itself; before anything else it stays, as in a Windows path.
    fn quoted(&mut self) -> Option<String> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            if escaped {
                if c != quote && c != '\\' {
                    text.push('\\');
                }
                text.push(c);
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.rest = &self.rest[at + 1..];
                return Some(text);
            } else {
                text.push(c);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(default: &Value, text: &str) -> Option<Value> {
        convert("a", Some(default), text).ok()
    }

    #[test]
    fn text_without_a_type_is_read_by_its_looks() {
        for (text, expected) in [
            ("true", json!(true)),
            ("False", json!(false)),
            ("none", json!(null)),
            ("1_000", json!(1000)),
            ("-5", json!(-5)),
            ("0", json!(0)),
            ("1e3", json!(1000.0)),
            ("0e1", json!(0.0)),
            (".5", json!(0.5)),
            ("5.", json!(5.0)),
            ("-0.5", json!(-0.5)),
            ("-inf", json!({"$float": "-Infinity"})),
            ("nan", json!({"$float": "NaN"})),
            ("[1,2]", json!([1, 2])),
            ("[]", json!([])),
            (
                "[[1, 2.0], ['a', \"b\"], None, relu, nan,]",
                json!([[1, 2.0], ["a", "b"], null, "relu", {"$float": "NaN"}]),
            ),
            (r#"["a\n", {"b": 1}]"#, json!(["a\n", {"b": 1}])),
            ("'1'", json!("1")),
            (r#""it's""#, json!("it's")),
            (r"'it\'s C:\new'", json!(r"it's C:\new")),
        ] {
            assert_eq!(untyped(text), expected, "{text}");
        }
    }

    #[test]
    fn what_looks_like_nothing_else_is_text() {
        for text in [
            "",
            "abc",
            "007",
            "-007",
            "00.5",
            "01e3",
            "1__0",
            "_1",
            "1_",
            "1e",
            "0x10",
            "12e4567",
            "TRUE",
            "infinite",
            "+",
            "-",
            ".",
            "[",
            "[a",
            "[a-z]+",
            "[,]",
            "[1,,2]",
            "[1]2]",
            "'a'b'",
            "'a",
            "'a' + 'b'",
            r#"{"a": 1}"#,
            " 1",
            "e5",
            "2024-01-01",
            "1.2.3",
        ] {
            assert_eq!(untyped(text), json!(text), "{text}");
        }
        let long = "9".repeat(MOST_DIGITS + 1);
        assert_eq!(untyped(&long), json!(long));
    }

    #[test]
    fn the_default_decides() {
        assert_eq!(read(&json!(false), "ON"), Some(json!(true)));
        assert_eq!(read(&json!(true), "2"), None);
        assert_eq!(read(&json!(1), "-1_000").map(|value| value.to_string()), Some("-1000".to_owned()));
        let huge = "123456789012345678901234567890";
        assert_eq!(read(&json!(1), huge).map(|value| value.to_string()).as_deref(), Some(huge));
        assert_eq!(read(&json!(1), "007"), Some(json!(7)));
        assert_eq!(read(&json!(0.5), "1"), Some(json!(1.0)));
        assert_eq!(read(&json!(0.5), "1_0.5e-1_0"), Some(json!(10.5e-10)));
        assert_eq!(read(&json!({"$float": "NaN"}), "-inf"), Some(json!({"$float": "-Infinity"})));
        assert_eq!(read(&json!(0.5), "1_"), None);
        assert_eq!(read(&json!("x"), "'1'"), Some(json!("'1'")));
        assert_eq!(read(&json!([0.5]), "[1, true]"), Some(json!([1, true])));
        assert_eq!(read(&json!([]), "1,2"), None);
        assert_eq!(read(&json!({}), r#"{"b": 1e-05}"#), Some(json!({"b": 1e-5})));
        assert_eq!(read(&json!({}), "[1]"), None);
        assert_eq!(read(&Value::Null, "007"), Some(json!("007")));
        assert_eq!(read(&json!([]), &format!("{}{}", "[".repeat(70), "]".repeat(70))), None);
    }

    #[test]
    fn a_failed_conversion_says_what_would_do() {
        let failure = convert("lr", Some(&json!(0.1)), "abc").expect_err("no float");
        assert_eq!(failure.kind, FailureKind::InvalidValue);
        assert_eq!(failure.message, "`lr=abc` is not a float");
        assert_eq!(failure.hints, ["The default in the code is `0.1`; give a value of the same type"]);
        for text in ["1e3", "2.0"] {
            let failure = convert("epochs", Some(&json!(100)), text).expect_err("no integer");
            assert_eq!(
                failure.hints[0],
                "Write `epochs` as an integer in digits, or declare it as a float: `epochs=100.0`"
            );
        }
        let failure = convert("api_token", Some(&json!(1)), "hunter2").expect_err("no integer");
        assert!(!format!("{failure:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in any::<String>(), odd in r#"[\[\]{},'"\\ 0-9eE._+-]{0,40}"#) {
            for text in [text, odd] {
                untyped(&text);
                for default in [json!(true), json!(1), json!(0.5), json!("a"), json!([]), json!({}), json!(null)] {
                    let _ = convert("a", Some(&default), &text);
                }
            }
        }

        #[test]
        fn a_default_printed_and_given_back_is_itself(
            boolean: bool,
            integer: i128,
            float: f64,
            text in any::<String>(),
        ) {
            let integer: Value = serde_json::from_str(&integer.to_string()).expect("JSON");
            for default in [json!(boolean), integer, value::float(float)] {
                let printed = value::display(&default);
                prop_assert_eq!(read(&default, &printed), Some(default.clone()));
                prop_assert_eq!(untyped(&printed), default);
            }
            prop_assert_eq!(read(&json!("a"), &text), Some(json!(text)));
        }

        #[test]
        fn a_list_printed_and_given_back_is_itself(
            texts in proptest::collection::vec(any::<String>(), 0..4),
            float: f64,
        ) {
            let list = json!([texts, [value::float(float), null, true]]);
            prop_assert_eq!(untyped(&list.to_string()), list);
        }
    }
}
