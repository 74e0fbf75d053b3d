//! The order of experiments by one of their values.

use std::cmp::Ordering;

use super::ast::{Field, Meant, Name};
use super::evaluate::{duration, field_text, value};
use super::fault::Fault;
use super::parser;
use super::subject::{Scalar, Subject};
use crate::error::Result;
use crate::metrics::Number;

/// By what, and which way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sort {
    pub(super) name: Name,
    descending: bool,
}

/// What is compared. Variants stand in the order that their values have whichever way is sorted: what is no number is never best.
enum Key {
    Number(Number),
    NaN,
    Bool(bool),
    /// In lower case, and as it is.
    Text(String, String),
    Missing,
}

impl Sort {
    pub(super) fn parse(text: &str) -> Result<Self> {
        Self::read(text).map_err(|fault| fault.into_failure(text))
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let descending = text.starts_with('-');
        let name = parser::lone_name(text, usize::from(descending))?;
        if let Meant::Field(field @ (Field::Data | Field::Model | Field::Tag)) = name.meant {
            return Err(Fault::new(
                format!("An experiment may have several: there is no order by `{}`", field.word()),
                name.at,
            ));
        }
        Ok(Self { name, descending })
    }

    fn key(&self, subject: &dyn Subject) -> Key {
        let integer =
            |value: u64| i64::try_from(value).map_or(Key::Missing, |value| Key::Number(Number::Integer(value)));
        let text = |text: &str| Key::Text(text.to_lowercase(), text.to_owned());
        match &self.name.meant {
            Meant::Field(Field::Started) => subject.started().map_or(Key::Missing, integer),
            Meant::Field(Field::Ended) => subject.ended().map_or(Key::Missing, integer),
            Meant::Field(Field::Duration) => duration(subject).map_or(Key::Missing, integer),
            Meant::Field(field) => field_text(*field, subject).map_or(Key::Missing, |found| text(&found)),
            _ => match value(&self.name, subject) {
                Some(Scalar::Number(number)) if number.as_f64().is_nan() => Key::NaN,
                Some(Scalar::Number(number)) => Key::Number(number),
                Some(Scalar::Bool(value)) => Key::Bool(value),
                Some(Scalar::Text(value)) => text(value),
                Some(Scalar::Json(value)) => text(&value),
                Some(Scalar::Null) | None => Key::Missing,
            },
        }
    }

    fn compare(&self, a: &Key, b: &Key) -> Ordering {
        let order = match (a, b) {
            (Key::Number(a), Key::Number(b)) => a.compare(b).unwrap_or(Ordering::Equal),
            (Key::Bool(a), Key::Bool(b)) => a.cmp(b),
            (Key::Text(a, exact_a), Key::Text(b, exact_b)) => (a, exact_a).cmp(&(b, exact_b)),
            _ => return a.rank().cmp(&b.rank()),
        };
        if self.descending { order.reverse() } else { order }
    }
}

/// The first of many, gathered one by one, in little memory where only some are wanted.
pub(super) struct Best<'q> {
    sort: Option<&'q Sort>,
    limit: usize,
    found: Vec<(Key, usize)>,
}

impl<'q> Best<'q> {
    /// Without a sort, the last ones by position.
    pub(super) fn new(sort: Option<&'q Sort>, limit: Option<usize>) -> Self {
        Self { sort, limit: limit.unwrap_or(usize::MAX), found: Vec::new() }
    }

    pub(super) fn add(&mut self, position: usize, subject: &dyn Subject) {
        /// Beyond the limit, so that not each one that is added leads to sorting.
        const SPARE: usize = 1024;
        self.found.push((self.sort.map_or(Key::Missing, |sort| sort.key(subject)), position));
        if self.found.len() > self.limit.saturating_mul(2).saturating_add(SPARE) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        match self.sort {
            // What is equal stays in the order of the positions.
            Some(sort) => self.found.sort_unstable_by(|(a, at), (b, other)| sort.compare(a, b).then(at.cmp(other))),
            None => self.found.sort_unstable_by_key(|(_, at)| std::cmp::Reverse(*at)),
        }
        self.found.truncate(self.limit);
    }

    pub(super) fn into_positions(mut self) -> Vec<usize> {
        self.trim();
        let mut positions: Vec<_> = self.found.into_iter().map(|(_, at)| at).collect();
        if self.sort.is_none() {
            positions.reverse();
        }
        positions
    }
}

impl Key {
    fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::NaN => 1,
            Self::Bool(_) => 2,
            Self::Text(..) => 3,
            Self::Missing => 4,
        }
    }
}
