//! Whether an experiment meets a condition.

use std::cmp::Ordering;

use super::ast::{Expression, Field, Meaning, Meant, Name, Operand, Operator};
use super::subject::{Scalar, Subject};
use crate::metrics::Number;
use crate::{id, layout, time};

impl Expression {
    /// Whether it does.
    pub fn holds<S: Subject + ?Sized>(&self, subject: &S) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(subject)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(subject)),
            Self::Not(part) => !part.holds(subject),
            Self::Exists(name) => exists(name, subject),
            Self::True(name) => value(name, subject) == Some(Scalar::Bool(true)),
            Self::Compare(name, operator, operand) => compares(name, *operator, operand, subject),
            Self::Among(name, operands) => {
                operands.iter().any(|operand| compares(name, Operator::Equal, operand, subject))
            }
        }
    }
}

/// The value of a metric or a parameter.
pub(super) fn value<'a, S: Subject + ?Sized>(name: &Name, subject: &'a S) -> Option<Scalar<'a>> {
    match &name.meant {
        Meant::Field(_) => None,
        Meant::Either(name) => subject.metric(name).or_else(|| subject.parameter(name)),
        Meant::Metric(name) => subject.metric(name),
        Meant::Parameter(name) => subject.parameter(name),
    }
}

/// Milliseconds from beginning to end in which it ran.
pub(super) fn duration<S: Subject + ?Sized>(subject: &S) -> Option<u64> {
    let passed = subject.started().zip(subject.ended()).map(|(started, ended)| ended.saturating_sub(started));
    passed.map(|passed| passed.saturating_sub(subject.paused()))
}

pub(super) fn field_text<S: Subject + ?Sized>(field: Field, subject: &S) -> Option<String> {
    match field {
        Field::Id => Some(subject.id().into_owned()),
        Field::Name => subject.name().map(str::to_owned),
        Field::Status => Some(subject.status().to_string()),
        Field::Started => subject.started().map(time::format),
        Field::Ended => subject.ended().map(time::format),
        Field::Script => subject.script().map(str::to_owned),
        Field::Problem => subject.problem().map(str::to_owned),
        Field::Group => subject.group().map(str::to_owned),
        Field::Parent => subject.parent().map(str::to_owned),
        Field::Duration | Field::Data | Field::Model | Field::Tag => None,
    }
}

fn exists<S: Subject + ?Sized>(name: &Name, subject: &S) -> bool {
    match &name.meant {
        Meant::Field(field @ (Field::Data | Field::Model | Field::Tag)) => any_content(*field, subject, |_, _| true),
        Meant::Field(Field::Duration) => duration(subject).is_some(),
        Meant::Field(field) => field_text(*field, subject).is_some(),
        _ => value(name, subject).is_some(),
    }
}

fn compares<S: Subject + ?Sized>(name: &Name, operator: Operator, operand: &Operand, subject: &S) -> bool {
    match operator {
        Operator::NotEqual => return !compares(name, Operator::Equal, operand, subject),
        Operator::NoMatch => return !compares(name, Operator::Match, operand, subject),
        _ => {}
    }
    match &name.meant {
        Meant::Field(field) => field_compares(*field, operator, operand, subject),
        _ => value(name, subject).is_some_and(|value| value_compares(&value, operator, operand)),
    }
}

fn field_compares<S: Subject + ?Sized>(field: Field, operator: Operator, operand: &Operand, subject: &S) -> bool {
    let text = &*operand.text;
    match (&operand.meaning, field) {
        (Meaning::Pattern(pattern), Field::Data | Field::Model | Field::Tag) => {
            any_content(field, subject, |name, _| pattern.matches(name))
        }
        (Meaning::Pattern(pattern), _) => field_text(field, subject).is_some_and(|text| pattern.matches(&text)),
        (Meaning::Moment(moment), _) => {
            let time = if field == Field::Ended { subject.ended() } else { subject.started() };
            time.is_some_and(|time| fits(operator, moment.compare(time)))
        }
        #[expect(clippy::cast_precision_loss, reason = "no run lasts 2^53 milliseconds")]
        (Meaning::Duration(wanted), _) => {
            let order = duration(subject).and_then(|lasted| (lasted as f64).partial_cmp(wanted));
            order.is_some_and(|order| fits(operator, order))
        }
        (Meaning::Status(status), _) => subject.status() == *status,
        (Meaning::Plain { .. }, Field::Id) => id::is_prefix(text) && subject.id().starts_with(text),
        (Meaning::Plain { .. }, Field::Parent) => {
            let id = text.strip_prefix("au/").unwrap_or(text);
            id::is_prefix(id) && subject.parent().is_some_and(|parent| parent.starts_with(id))
        }
        // The experiment's own in git, or one that its script gave it.
        (Meaning::Plain { .. }, Field::Tag) => {
            let tag = layout::tag(&subject.id());
            tag == text
                || text.strip_prefix("refs/tags/") == Some(&*tag)
                || text == &*subject.id()
                || any_content(field, subject, |name, _| name == text)
        }
        (Meaning::Plain { .. }, Field::Data | Field::Model) => any_content(field, subject, |name, digest| {
            name == text || digest.is_some_and(|digest| is_digest(text, digest))
        }),
        (Meaning::Plain { .. }, Field::Name) => subject.name() == Some(text),
        (Meaning::Plain { .. }, Field::Group) => subject.group() == Some(text),
        (Meaning::Plain { .. }, Field::Script) => subject.script() == Some(text),
        (Meaning::Plain { .. }, Field::Problem) => subject.problem() == Some(text),
        (Meaning::Plain { .. }, Field::Status | Field::Started | Field::Ended | Field::Duration) => false,
    }
}

fn any_content<S: Subject + ?Sized>(field: Field, subject: &S, test: impl Fn(&str, Option<&str>) -> bool) -> bool {
    let mut found = false;
    let mut visit = |name: &str, digest: Option<&str>| found |= test(name, digest);
    match field {
        Field::Model => subject.each_model(&mut visit),
        Field::Tag => subject.each_tag(&mut |tag| visit(tag, None)),
        _ => subject.each_dataset(&mut visit),
    }
    found
}

/// Whether the text is a beginning of the digest that says more than the kind of digest.
fn is_digest(text: &str, digest: &str) -> bool {
    const KIND: &str = "sha256:";
    text.strip_prefix(KIND).is_some_and(|digits| digits.len() >= id::SHORTEST_PREFIX) && digest.starts_with(text)
}

fn value_compares(value: &Scalar<'_>, operator: Operator, operand: &Operand) -> bool {
    let (number, boolean, null, json) = match &operand.meaning {
        Meaning::Pattern(pattern) => return pattern.matches(&value.text()),
        Meaning::Plain { number, boolean, null, json } => (number, *boolean, *null, json),
        Meaning::Moment(_) | Meaning::Duration(_) | Meaning::Status(_) => return false,
    };
    match value {
        Scalar::Number(value) => number.as_ref().is_some_and(|number| numbers_compare(value, operator, number)),
        // `lr > 0.1` is about numbers: that a text comes after another in the alphabet would be an accident.
        Scalar::Text(value) if operator.is_order() => number.is_none() && fits(operator, (*value).cmp(&*operand.text)),
        Scalar::Text(value) => *value == operand.text,
        Scalar::Bool(value) => operator == Operator::Equal && boolean == Some(*value),
        Scalar::Null => operator == Operator::Equal && null,
        Scalar::Json(value) => operator == Operator::Equal && json.as_deref() == Some(&**value),
    }
}

/// A NaN is equal to NaN, as people mean it who look for one, and neither less nor more than anything.
fn numbers_compare(value: &Number, operator: Operator, other: &Number) -> bool {
    match value.compare(other) {
        Some(order) => fits(operator, order),
        None => operator == Operator::Equal && value.as_f64().is_nan() && other.as_f64().is_nan(),
    }
}

fn fits(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Match | Operator::NoMatch => false,
    }
}
