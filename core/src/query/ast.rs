//! A condition as a tree. Printed, it reads as the same tree again.

use std::fmt;
use std::ops::Range;

use super::lexer;
use super::moment::Moment;
use super::parser::{boolean, number};
use super::pattern::Pattern;
use crate::metrics::Number;
use crate::record::Status;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// `and`, of two or more.
    All(Vec<Expression>),
    /// `or`, of two or more.
    Any(Vec<Expression>),
    /// `not`.
    Not(Box<Expression>),
    /// `exists NAME`.
    Exists(Name),
    /// `NAME` alone: a parameter that is true.
    True(Name),
    /// `NAME op VALUE`.
    Compare(Name, Operator, Operand),
    /// `NAME in (VALUE, …)`.
    Among(Name, Vec<Operand>),
}

impl Expression {
    /// Every name in it.
    pub(super) fn each_name<'a>(&'a self, visit: &mut dyn FnMut(&'a Name)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_name(visit)),
            Self::Not(part) => part.each_name(visit),
            Self::Exists(name) | Self::True(name) | Self::Compare(name, ..) | Self::Among(name, _) => visit(name),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    write!(f, " {word} ")?;
                }
                part.fmt_part(f)?;
            }
            Ok(())
        };
        match self {
            Self::All(parts) => joined(f, parts, "and"),
            Self::Any(parts) => joined(f, parts, "or"),
            Self::Not(part) => {
                f.write_str("not ")?;
                part.fmt_part(f)
            }
            Self::Exists(name) => write!(f, "exists {name}"),
            Self::True(name) => write!(f, "{name}"),
            Self::Compare(name, operator, operand) => write!(f, "{name} {operator} {operand}"),
            Self::Among(name, operands) => {
                let operands: Vec<_> = operands.iter().map(ToString::to_string).collect();
                write!(f, "{name} in ({})", operands.join(", "))
            }
        }
    }
}

impl Expression {
    fn fmt_part(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(_) | Self::Any(_) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

/// What an experiment itself has, besides metrics and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say it, and `Subject` has more")]
pub enum Field {
    Id,
    Name,
    Status,
    Started,
    Ended,
    Duration,
    Script,
    Problem,
    Data,
    Model,
    Tag,
    Group,
    Parent,
}

impl Field {
    pub(super) const ALL: [Self; 13] = [
        Self::Id,
        Self::Name,
        Self::Status,
        Self::Started,
        Self::Ended,
        Self::Duration,
        Self::Script,
        Self::Problem,
        Self::Data,
        Self::Model,
        Self::Tag,
        Self::Group,
        Self::Parent,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Status => "status",
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Duration => "duration",
            Self::Script => "script",
            Self::Problem => "problem",
            Self::Data => "data",
            Self::Model => "model",
            Self::Tag => "tag",
            Self::Group => "group",
            Self::Parent => "parent",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        // As scripts and records have it: an experiment may have several.
        if word == "tags" {
            return Some(Self::Tag);
        }
        Self::ALL.into_iter().find(|field| field.word() == word)
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meant {
    /// A field.
    Field(Field),
    /// A metric, else a parameter.
    Either(String),
    /// `metric.NAME`
    Metric(String),
    /// `param.NAME`
    Parameter(String),
}

/// A name, and where it stands in the text.
#[derive(Clone, Debug)]
pub struct Name {
    /// What it stands for.
    pub meant: Meant,
    /// Bytes of the text.
    pub at: Range<usize>,
}

/// Where it stands makes no other name of it.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.meant == other.meant
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, name) = match &self.meant {
            Meant::Field(field) => return f.write_str(field.word()),
            Meant::Either(name) => ("", name),
            Meant::Metric(name) => (METRIC, name),
            Meant::Parameter(name) => (PARAMETER, name),
        };
        let bare = lexer::is_word(name) && (!prefix.is_empty() || !means_something_else(name));
        f.write_str(prefix)?;
        if bare { f.write_str(name) } else { f.write_str(&lexer::quote(name)) }
    }
}

pub(super) const METRIC: &str = "metric.";
pub(super) const PARAMETER: &str = "param.";

/// Whether the word, standing alone, is read as something else than a metric or a parameter of that name.
pub(super) fn means_something_else(word: &str) -> bool {
    Field::of_word(word).is_some()
        || is_keyword(word)
        || number(word).is_some()
        || boolean(word).is_some()
        || word.starts_with(METRIC)
        || word.starts_with(PARAMETER)
}

/// Words that are neither names nor values unless they are quoted.
pub(super) fn is_keyword(word: &str) -> bool {
    ["and", "or", "not", "in", "exists"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// How two things are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Match,
    NoMatch,
}

impl Operator {
    pub(super) fn of_text(text: &str) -> Option<Self> {
        Some(match text {
            "=" | "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "~" => Self::Match,
            "!~" => Self::NoMatch,
            _ => return None,
        })
    }

    pub(super) fn is_order(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual)
    }

    pub(super) fn is_match(self) -> bool {
        matches!(self, Self::Match | Self::NoMatch)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Match => "~",
            Self::NoMatch => "!~",
        })
    }
}

/// A value to compare with, as it was written and as it is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// Without quotes.
    pub text: String,
    /// Whether it stood in quotes, and so is text whatever it looks like.
    pub quoted: bool,
    /// What it is compared as.
    pub meaning: Meaning,
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted { f.write_str(&lexer::quote(&self.text)) } else { f.write_str(&self.text) }
    }
}

/// What a value is compared as.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// Its text, and whatever else the text can be read as: what counts depends on the other side.
    Plain {
        /// As a number.
        number: Option<Number>,
        /// As true or false.
        boolean: Option<bool>,
        /// As nothing.
        null: bool,
        /// As a list or an object, in its normal form.
        json: Option<String>,
    },
    /// A pattern.
    Pattern(Pattern),
    /// A time.
    Moment(Moment),
    /// Milliseconds.
    Duration(f64),
    /// A status.
    Status(Status),
}
