//! JSON values as the record has them: integers exact whatever their size, floats in their shortest form, and those
//! floats that JSON has no words for as `{"$float": "NaN"}`, `{"$float": "Infinity"}`, `{"$float": "-Infinity"}`.

use serde_json::{Map, Number, Value, json};

use crate::error::{Failure, FailureKind, Result};

/// Lists and objects within one another at most. Readers of JSON commonly give up at 128.
pub const DEEPEST: usize = 64;

const FLOAT: &str = "$float";

/// A float as JSON, by the shortest digits that give it back.
pub fn float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => json!({ FLOAT: "NaN" }),
        None if value > 0.0 => json!({ FLOAT: "Infinity" }),
        None => json!({ FLOAT: "-Infinity" }),
    }
}

/// The number that a value is, integers rounded to the nearest double; none for an integer beyond all doubles.
pub fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) if is_float(number) => number.to_string().parse().ok(),
        Value::Number(number) => number.as_f64(),
        Value::Object(map) if map.len() == 1 => match map.get(FLOAT)?.as_str()? {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the number was written as a float: `1.0` and `1e3` are, `1` is not.
pub fn is_float(number: &Number) -> bool {
    number.to_string().bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// The value with each number in its one normal form: `1e-05` and `1E-5` become the same.
///
/// Numbers keep their text in memory, so without this two equal values may differ.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) if is_float(number) => as_float(value).map_or_else(|| value.clone(), float),
        Value::Number(number) if number.to_string() == "-0" => 0.into(),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(map) => map.iter().map(|(key, item)| (key.clone(), normal(item))).collect::<Map<_, _>>().into(),
        _ => value.clone(),
    }
}

/// The value on one line, for people. Text stands bare unless it would then read as another value.
pub fn display(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        _ => nested(value),
    }
}

/// The value within a list or an object, where text is always quoted.
fn nested(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(nested).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => match as_float(value) {
            Some(f64::INFINITY) => "inf".to_owned(),
            Some(f64::NEG_INFINITY) => "-inf".to_owned(),
            Some(_) => "nan".to_owned(),
            None => {
                let entry = |(key, item): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), nested(item));
                format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        },
        _ => value.to_string(),
    }
}

/// Whether bare text can't be taken for the showing of another value, nor spill over its line.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && !text.starts_with(['"', '[', '{'])
        && !text.contains(char::is_control)
        && !matches!(text, "true" | "false" | "null" | "nan" | "inf" | "-inf")
        && serde_json::from_str::<Number>(text).is_err()
}

/// A piece of somebody's text to quote in a message: one line, not too long.
pub fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut excerpt = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            excerpt.push('…');
            break;
        }
        if c.is_control() {
            excerpt.extend(c.escape_default());
        } else {
            excerpt.push(c);
        }
    }
    excerpt
}

/// The value as a file: sorted keys, two spaces of indentation, numbers in their normal form, a newline at the end.
/// Equal values give equal bytes.
pub fn canonical(value: &Value) -> String {
    let mut value = normal(value);
    // `Map` sorts by itself unless some crate of the build asks for `preserve_order`; a record must not depend on that.
    value.sort_all_objects();
    format!("{value:#}\n")
}

/// Whether the record can hold the value.
///
/// # Errors
/// `InvalidValue`, naming it, when it is nested more than [`DEEPEST`] levels.
pub fn check(value: &Value, name: &str) -> Result<()> {
    if fits(value, DEEPEST) {
        return Ok(());
    }
    let name = excerpt(name);
    Err(Failure::new(
        FailureKind::InvalidValue,
        format!("The value of `{name}` is nested more than {DEEPEST} levels deep"),
    )
    .hint("Keep what is so deep in a file of the project, and give its path as the parameter"))
}

fn fits(value: &Value, levels: usize) -> bool {
    let below = |item: &Value| levels > 0 && fits(item, levels - 1);
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(below),
        Value::Object(map) => levels > 0 && map.values().all(below),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn floats_that_json_lacks_are_objects() {
        assert_eq!(float(f64::NAN).to_string(), r#"{"$float":"NaN"}"#);
        assert_eq!(float(f64::INFINITY).to_string(), r#"{"$float":"Infinity"}"#);
        assert_eq!(float(f64::NEG_INFINITY).to_string(), r#"{"$float":"-Infinity"}"#);
        assert_eq!(as_float(&json!({"$float": "nonsense"})), None);
        assert_eq!(as_float(&json!({"$float": "NaN", "more": 1})), None);
        assert_eq!(as_float(&json!("1.0")), None);
    }

    #[test]
    fn integers_stay_exact() {
        let text = "[123456789012345678901234567890,-9007199254740993]";
        assert_eq!(normal(&parse(text)).to_string(), text);
        assert_eq!(as_float(&parse(&"9".repeat(400))), None);
    }

    #[test]
    fn one_number_has_one_form() {
        assert_eq!(
            normal(&parse("[1e-05, 0.00001, 1E+16, -0, 1e999]")).to_string(),
            r#"[0.00001,0.00001,1e+16,0,{"$float":"Infinity"}]"#
        );
    }

    #[test]
    fn text_is_quoted_only_where_it_would_read_as_something_else() {
        let shown = |value: Value| display(&value);
        assert_eq!(shown(json!("adam w")), "adam w");
        for text in ["", "1", "1e3", "true", "null", "nan", "[1]", "{", "\"a\"", " a", "a\nb"] {
            assert_eq!(shown(json!(text)), json!(text).to_string());
        }
        assert_eq!(shown(json!(["a", 0.5, float(f64::NAN), {"b": null}])), r#"["a", 0.5, nan, {"b": null}]"#);
        assert_eq!(shown(float(f64::NEG_INFINITY)), "-inf");
    }

    #[test]
    fn a_file_has_sorted_keys_and_ends_its_last_line() {
        assert_eq!(
            canonical(&parse(r#"{"b": [1.50], "a": {"d": 1, "c": {}}}"#)),
            "{\n  \"a\": {\n    \"c\": {},\n    \"d\": 1\n  },\n  \"b\": [\n    1.5\n  ]\n}\n"
        );
    }

    #[test]
    fn depth_is_limited() {
        let deep = |levels: usize| parse(&format!("{}1{}", "[".repeat(levels), "]".repeat(levels)));
        assert!(check(&deep(DEEPEST), "a").is_ok());
        let failure = check(&deep(DEEPEST + 1), "a").expect_err("too deep");
        assert_eq!(failure.message, "The value of `a` is nested more than 64 levels deep");
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("a\nb\u{1b}"), r"a\nb\u{1b}");
        assert_eq!(excerpt(&"é".repeat(100)).chars().count(), 81);
    }

    proptest! {
        #[test]
        fn floats_come_back(bits: u64) {
            let value = f64::from_bits(bits);
            let read = as_float(&parse(&float(value).to_string())).expect("a float");
            prop_assert!(read.to_bits() == bits || value.is_nan() && read.is_nan());
        }

        #[test]
        fn what_is_shown_is_one_line(text in any::<String>()) {
            prop_assert!(!display(&json!(text)).contains('\n'));
            prop_assert!(!display(&json!([text])).contains('\n'));
        }

        #[test]
        fn canonical_text_is_stable(number: f64, text in any::<String>(), integer: i128) {
            let value = json!({ "z": float(number), text: [parse(&integer.to_string())] });
            let once = canonical(&value);
            prop_assert_eq!(canonical(&parse(&once)), once);
        }
    }
}
