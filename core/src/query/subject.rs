//! What a query can know of an experiment.

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde_json::Value;

use crate::error::Result;
use crate::metrics::Number;
use crate::record::Status;
use crate::value;

/// A value of a metric or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// A number.
    Number(Number),
    /// True or false.
    Bool(bool),
    /// Nothing, in so many words.
    Null,
    /// Text.
    Text(&'a str),
    /// A list or an object as JSON without spaces, numbers in their normal form.
    Json(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// Of a parameter's value.
    pub fn of_json(value: &'a Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::String(text) => Self::Text(text),
            Value::Number(_) => Self::Number(Number::from_json(value)?),
            Value::Array(_) | Value::Object(_) => Self::of_compound(value),
        })
    }

    /// Of a list or an object, which may stand for a number that JSON has no words for.
    pub(crate) fn of_compound(value: &Value) -> Self {
        match value::as_float(value) {
            Some(float) => Self::Number(Number::Float(float)),
            None => Self::Json(value::normal(value).to_string().into()),
        }
    }

    /// As text that is matched by `~`.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => number_text(number).into(),
            Self::Bool(true) => "true".into(),
            Self::Bool(false) => "false".into(),
            Self::Null => "none".into(),
            Self::Text(text) => (*text).into(),
            Self::Json(json) => (&**json).into(),
        }
    }
}

fn number_text(number: &Number) -> String {
    match number {
        Number::Float(value) if value.is_nan() => "nan".to_owned(),
        Number::Float(f64::INFINITY) => "inf".to_owned(),
        Number::Float(f64::NEG_INFINITY) => "-inf".to_owned(),
        number => number.to_json().to_string(),
    }
}

/// Whose name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// A metric's.
    Metric,
    /// A parameter's.
    Parameter,
}

/// An experiment, as far as queries look at it. None stands for what it does not have.
pub trait Subject {
    /// The last value of a metric.
    fn metric(&self, name: &str) -> Option<Scalar<'_>>;
    /// The value of a parameter.
    fn parameter(&self, name: &str) -> Option<Scalar<'_>>;
    /// The names of all its metrics and parameters. Asked for only where a name is to be suggested.
    fn each_name(&self, visit: &mut dyn FnMut(Naming, &str));
    /// Its id.
    fn id(&self) -> Cow<'_, str>;
    /// A name given by the user.
    fn name(&self) -> Option<&str>;
    /// The id of the experiment that it is a part of.
    fn parent(&self) -> Option<&str>;
    /// What it belongs to, together with others.
    fn group(&self) -> Option<&str>;
    /// Words given by the user to find it by.
    fn each_tag(&self, visit: &mut dyn FnMut(&str));
    /// How it stands.
    fn status(&self) -> Status;
    /// Milliseconds since 1970.
    fn started(&self) -> Option<u64>;
    /// Milliseconds since 1970; none while it runs.
    fn ended(&self) -> Option<u64>;
    /// Milliseconds from its beginning to its end in which it did not run.
    fn paused(&self) -> u64;
    /// The script.
    fn script(&self) -> Option<&str>;
    /// The exception that ended it.
    fn problem(&self) -> Option<&str>;
    /// The data that it had: names, and digests (`sha256:…`) where known.
    fn each_dataset(&self, visit: &mut dyn FnMut(&str, Option<&str>));
    /// The models that it saved, likewise.
    fn each_model(&self, visit: &mut dyn FnMut(&str, Option<&str>));
}

/// Experiments to choose among.
pub trait Subjects {
    /// Shows them in any order, each with its position in that of their beginnings, until told to stop.
    ///
    /// # Errors
    /// When they can't be read.
    fn each(&self, visit: &mut dyn FnMut(usize, &dyn Subject) -> ControlFlow<()>) -> Result<()>;
}

impl<S: Subject> Subjects for [S] {
    fn each(&self, visit: &mut dyn FnMut(usize, &dyn Subject) -> ControlFlow<()>) -> Result<()> {
        let _ = self.iter().enumerate().try_for_each(|(position, subject)| visit(position, subject));
        Ok(())
    }
}
