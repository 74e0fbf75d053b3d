//! Numbers as exact as they were given, and what is kept of a metric's history.

use std::cmp::Ordering;

use serde_json::{Number as JsonNumber, Value};

use crate::error::{Failure, FailureKind, Result};

/// Distinct metrics of one experiment. The record holds a summary of each and must stay under 1 MiB.
pub const MOST_METRICS: usize = 2_000;
/// Bytes of the names of all metrics of one experiment.
pub const MOST_NAME_BYTES: usize = 256 << 10;
/// Decimal digits of an integer metric: the record holds three of them a metric.
pub const MOST_DIGITS: usize = 40;
/// Bytes of a metric's name.
pub const LONGEST_NAME: usize = 256;

/// A number as exact as it was given.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// An IEEE 754 double.
    Float(f64),
    /// An integer of 64 bits.
    Integer(i64),
    /// Any other integer: decimal digits, with a sign where negative.
    Digits(String),
}

impl Number {
    /// An integer given by its decimal digits.
    ///
    /// # Errors
    /// `InvalidValue`, naming the metric, when they are something else, or more than [`MOST_DIGITS`].
    pub fn from_digits(name: &str, digits: String) -> Result<Self> {
        let unsigned = digits.strip_prefix('-').unwrap_or(&digits);
        let fault = if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            Some("is no integer".to_owned())
        } else if unsigned.len() > MOST_DIGITS {
            Some(format!("has {} digits, and {MOST_DIGITS} are the most", unsigned.len()))
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(Failure::new(FailureKind::InvalidValue, format!("The value of the metric `{name}` {fault}"))
                .hint(format!("Log it as a float: `float({name})`")));
        }
        Ok(digits.parse().map_or(Self::Digits(digits), Self::Integer))
    }

    /// The nearest double, to compare by.
    pub fn as_f64(&self) -> f64 {
        match self {
            Self::Float(value) => *value,
            #[expect(clippy::cast_precision_loss, reason = "comparing is all that this is for")]
            Self::Integer(value) => *value as f64,
            Self::Digits(digits) => digits.parse().unwrap_or(f64::NAN),
        }
    }

    /// As metrics stand in records: a JSON number, or one of the strings "NaN", "Infinity", "-Infinity".
    pub fn to_json(&self) -> Value {
        match self {
            Self::Float(value) if value.is_nan() => "NaN".into(),
            Self::Float(f64::INFINITY) => "Infinity".into(),
            Self::Float(f64::NEG_INFINITY) => "-Infinity".into(),
            Self::Float(value) => JsonNumber::from_f64(*value).map_or(Value::Null, Value::Number),
            Self::Integer(value) => (*value).into(),
            Self::Digits(digits) => serde_json::from_str(digits).unwrap_or(Value::Null),
        }
    }

    /// The reverse of [`Number::to_json`].
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => match text.as_str() {
                "NaN" => Some(Self::Float(f64::NAN)),
                "Infinity" => Some(Self::Float(f64::INFINITY)),
                "-Infinity" => Some(Self::Float(f64::NEG_INFINITY)),
                _ => None,
            },
            Value::Number(number) => {
                if let Some(integer) = number.as_i64() {
                    return Some(Self::Integer(integer));
                }
                let text = number.to_string();
                if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                    text.parse().ok().map(Self::Float)
                } else {
                    Some(Self::Digits(text))
                }
            }
            _ => None,
        }
    }

    /// By value; a NaN is neither less nor more than anything.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
        }
    }
}

/// What is kept of one metric, whatever the length of its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// The value logged last.
    pub last: Number,
    /// The step of the last value.
    pub step: u64,
    /// The least, NaN passed over unless there is nothing else.
    pub min: Number,
    /// The greatest, likewise.
    pub max: Number,
    /// How many values there are.
    pub count: u64,
}

impl Statistics {
    /// Of a history of one value.
    pub fn new(value: Number, step: u64) -> Self {
        Self { min: value.clone(), max: value.clone(), last: value, step, count: 1 }
    }

    /// Adds the next value.
    pub fn add(&mut self, value: Number, step: u64) {
        if self.min.as_f64().is_nan() || value.compare(&self.min) == Some(Ordering::Less) {
            self.min = value.clone();
        }
        if self.max.as_f64().is_nan() || value.compare(&self.max) == Some(Ordering::Greater) {
            self.max = value.clone();
        }
        self.last = value;
        self.step = step;
        self.count += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_beyond_doubles_stay_exact() {
        let number = Number::Integer((1 << 53) + 1);
        assert_eq!(number.to_json().to_string(), "9007199254740993");
        let digits = Number::Digits("123456789012345678901234567890".into());
        assert_eq!(digits.to_json().to_string(), "123456789012345678901234567890");
        assert_eq!(Number::from_json(&digits.to_json()), Some(digits));
    }

    #[test]
    fn nan_does_not_hide_the_extremes() {
        let mut statistics = Statistics::new(Number::Float(f64::NAN), 0);
        statistics.add(Number::Float(2.0), 1);
        statistics.add(Number::Float(f64::NAN), 2);
        statistics.add(Number::Float(1.0), 3);
        assert_eq!((statistics.min, statistics.max), (Number::Float(1.0), Number::Float(2.0)));
        assert_eq!(statistics.count, 4);
    }

    proptest! {
        #[test]
        fn doubles_survive_json(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let text = Number::Float(value).to_json().to_string();
            let read = Number::from_json(&serde_json::from_str(&text).unwrap()).unwrap().as_f64();
            prop_assert!(read == value || (read.is_nan() && value.is_nan()));
        }
    }
}
