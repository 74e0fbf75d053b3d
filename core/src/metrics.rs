//! Numbers as exact as they were given, and what is kept of a metric's history.

use std::borrow::Cow;
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

    /// By value, exactly; a NaN is neither less nor more than anything.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Float(a), b) => b.compare_to_float(*a).map(Ordering::reverse),
            (a, Self::Float(b)) => a.compare_to_float(*b),
            (a, b) => Some(compare_digits(&a.digits(), &b.digits())),
        }
    }

    /// The same of an integer.
    fn compare_to_float(&self, float: f64) -> Option<Ordering> {
        if float.is_infinite() {
            return 0.0.partial_cmp(&float);
        }
        // Rounding an integer to a double keeps the order of what it leaves apart; what it makes equal is a whole number.
        let order = self.as_f64().partial_cmp(&float)?;
        Some(order.then_with(|| compare_digits(&self.digits(), &format!("{float:.0}"))))
    }

    fn digits(&self) -> Cow<'_, str> {
        match self {
            Self::Float(value) => format!("{value:.0}").into(),
            Self::Integer(value) => value.to_string().into(),
            Self::Digits(digits) => digits.into(),
        }
    }
}

/// Compares integers by their digits.
fn compare_digits(a: &str, b: &str) -> Ordering {
    fn parts(text: &str) -> (bool, &str) {
        let unsigned = text.strip_prefix('-').unwrap_or(text).trim_start_matches('0');
        (text.starts_with('-') && !unsigned.is_empty(), unsigned)
    }
    let ((a_negative, a), (b_negative, b)) = (parts(a), parts(b));
    let magnitude = (a.len(), a).cmp(&(b.len(), b));
    match (a_negative, b_negative) {
        (false, false) => magnitude,
        (true, true) => magnitude.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
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

impl Statistics {
    /// Of this history and another one after it.
    pub fn followed_by(mut self, later: &Self) -> Self {
        let count = self.count + later.count;
        self.add(later.min.clone(), later.step);
        self.add(later.max.clone(), later.step);
        Self { last: later.last.clone(), step: later.step, count, ..self }
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
    fn numbers_are_compared_exactly() {
        let digits = |text: &str| Number::Digits(text.into());
        let two_53 = 9_007_199_254_740_992.0;
        for (a, order, b) in [
            (Number::Integer((1 << 53) + 1), Ordering::Greater, Number::Float(two_53)),
            (Number::Float(two_53), Ordering::Equal, Number::Integer(1 << 53)),
            (Number::Float(-0.0), Ordering::Equal, Number::Integer(0)),
            (Number::Float(0.5), Ordering::Greater, Number::Integer(0)),
            (digits("18446744073709551617"), Ordering::Greater, digits("18446744073709551616")),
            (digits("-18446744073709551617"), Ordering::Less, digits("-18446744073709551616")),
            (digits("18446744073709551617"), Ordering::Greater, Number::Float(18_446_744_073_709_551_616.0)),
            (digits("18446744073709551616"), Ordering::Greater, Number::Integer(i64::MAX)),
            (digits(&"9".repeat(400)), Ordering::Less, Number::Float(f64::INFINITY)),
            (digits(&"9".repeat(400)), Ordering::Greater, Number::Float(f64::MAX)),
            (Number::Float(f64::NEG_INFINITY), Ordering::Less, digits("-18446744073709551616")),
        ] {
            assert_eq!(a.compare(&b), Some(order), "{a:?} {b:?}");
            assert_eq!(b.compare(&a), Some(order.reverse()), "{b:?} {a:?}");
        }
        assert_eq!(Number::Integer(1).compare(&Number::Float(f64::NAN)), None);
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
