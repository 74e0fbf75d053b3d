//! One value of a column.

use std::borrow::Cow;

use serde_json::{Number as JsonNumber, Value};

use crate::metrics::Number;

/// A value that is quick to compare. What is neither scalar nor exact as such is kept as JSON text.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 64 bits.
    Integer(i64),
    /// A finite double.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Anything else.
    Json(Cow<'a, str>),
}

impl<'a> Cell<'a> {
    /// Borrowed text.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// Such that [`Cell::to_json`] gives the very value back, the form of its numbers included.
    pub fn of_json(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::exactly(number).unwrap_or_else(|| Self::Json(number.to_string().into())),
            Value::String(text) => Self::text(text),
            Value::Array(_) | Value::Object(_) => Self::Json(value.to_string().into()),
        }
    }

    fn exactly(number: &JsonNumber) -> Option<Self> {
        if let Some(integer) = number.as_i64() {
            return (JsonNumber::from(integer) == *number).then_some(Self::Integer(integer));
        }
        let float: f64 = number.to_string().parse().ok()?;
        (JsonNumber::from_f64(float)? == *number).then_some(Self::Float(float))
    }

    /// A metric's value, as it stands in records.
    pub fn of_number(number: &Number) -> Self {
        match number {
            Number::Float(value) if value.is_finite() => Self::Float(*value),
            Number::Float(_) => match number.to_json() {
                Value::String(text) => Self::Text(text.into()),
                other => Self::Json(other.to_string().into()),
            },
            Number::Integer(value) => Self::Integer(*value),
            Number::Digits(digits) => Self::Json(digits.clone().into()),
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::Float(value) => JsonNumber::from_f64(*value).map_or(Value::Null, Value::Number),
            Self::Text(text) => text.as_ref().into(),
            Self::Json(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        }
    }
}

impl<'a> Cell<'a> {
    /// The text, of a cell that borrows it.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(Cow::Borrowed(text)) => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_as_it_was_written() {
        let values = r#"[null, true, 1, -1, -0, 0.1, -0.0, 1e5, 100000.0, 1e+400, 9007199254740993, 123456789012345678901234567890,
            1E-7, "", "é", [1, 2.50], {"$float": "NaN"}]"#;
        for value in serde_json::from_str::<Vec<Value>>(values).unwrap() {
            assert_eq!(Cell::of_json(&value).to_json(), value);
        }
    }

    #[test]
    fn metrics_come_back_as_records_have_them() {
        let digits = Number::Digits("123456789012345678901234567890".into());
        for number in
            [Number::Float(f64::NAN), Number::Float(f64::NEG_INFINITY), Number::Float(0.5), Number::Integer(-3), digits]
        {
            assert_eq!(Cell::of_number(&number).to_json(), number.to_json());
        }
    }
}
