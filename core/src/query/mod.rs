//! Which experiments to show, and in which order: a condition, a name to sort by, and how many. `docs/queries.md` is the
//! language as its users see it.
//!
//! `accuracy > 0.9 and lr < 0.1` is cut into tokens ([`lexer`]), read to a tree ([`parser`], [`ast`]) and held against each
//! experiment ([`evaluate`]), of which no more is known than a [`Subject`] tells. Logic has two values: what an experiment does
//! not have equals nothing and is neither less nor more than anything, and `!=` is `not =` to the letter.

use std::ops::ControlFlow;

mod advice;
pub mod ast;
mod evaluate;
mod fault;
mod lexer;
mod moment;
mod parser;
mod pattern;
mod sort;
pub mod subject;
#[cfg(test)]
mod tests;

use ast::Expression;
use sort::{Best, Sort};
pub use subject::{Scalar, Subject, Subjects};

use crate::error::Result;

/// What is asked for, as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// See [`selector`](crate::selector).
    pub selector: Option<String>,
    /// An expression of the language.
    pub condition: Option<String>,
    /// A name, after a `-` for the greatest first.
    pub sort: Option<String>,
    /// How many at most.
    pub limit: Option<u32>,
}

impl Request {
    /// What a selector names, in the order of its beginning.
    pub fn of(selector: Option<&str>) -> Self {
        Self { selector: selector.map(str::to_owned), ..Self::default() }
    }
}

/// A request that has been understood, its selector apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    condition: Option<Expression>,
    sort: Option<Sort>,
    limit: Option<usize>,
}

impl Query {
    /// Ages such as `2d ago` count back from `now`, in milliseconds since 1970; without it they are a mistake.
    ///
    /// # Errors
    /// `Usage`, with the place, for what does not follow the grammar.
    pub fn parse(request: &Request, now: Option<u64>) -> Result<Self> {
        let condition = request.condition.as_deref().map(|text| parse(text, now)).transpose()?;
        let sort = request.sort.as_deref().map(Sort::parse).transpose()?;
        Ok(Self { condition, sort, limit: request.limit.map(|limit| limit as usize) })
    }

    /// Whether it asks for everything in the order that it is in.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The positions of those that are asked for, in the order asked for. Without a name to sort
    /// by, a limit leaves the newest, which stay in their order.
    ///
    /// `warn` is told of names that nobody has, or that may mean something else, and what to write.
    ///
    /// # Errors
    /// When the experiments can't be read.
    pub fn select(
        &self,
        subjects: &(impl Subjects + ?Sized),
        warn: &mut dyn FnMut(&str, &[String]),
    ) -> Result<Vec<usize>> {
        advice::give(self.condition.as_ref(), self.sort.as_ref(), subjects, warn)?;
        let mut best = Best::new(self.sort.as_ref(), self.limit);
        subjects.each(&mut |position, subject| {
            if self.condition.as_ref().is_none_or(|condition| condition.holds(subject)) {
                best.add(position, subject);
            }
            ControlFlow::Continue(())
        })?;
        Ok(best.into_positions())
    }
}

/// Reads a condition.
///
/// # Errors
/// `Usage`, with the place, for what does not follow the grammar.
pub fn parse(text: &str, now: Option<u64>) -> Result<Expression> {
    parser::parse(text, now).map_err(|fault| fault.into_failure(text))
}
