//! What people and programs read. Renderers take rows and a writer, and know of no terminal.

pub(crate) mod dataset;
pub(crate) mod error;
pub(crate) mod escape;
mod facts;
pub(crate) mod grid;
pub(crate) mod json;
pub(crate) mod record;
pub(crate) mod size;
pub(crate) mod style;
pub(crate) mod table;
mod value;
pub(crate) mod word;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{Failure, FailureKind};

/// Characters of an id or a commit that stand for the whole.
const SHORT: usize = 8;
/// Digits of a digest that stand for the whole.
const DIGITS: usize = 12;

/// One experiment, as far as tables show it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) group: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) status: String,
    pub(crate) started: String,
    #[serde(default)]
    pub(crate) duration: Option<f64>,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) metrics: BTreeMap<String, Value>,
}

impl Row {
    /// The rows of one of the core's pages.
    pub(crate) fn page(json: &str) -> Result<Vec<Self>, Failure> {
        serde_json::from_str(json).map_err(|error| unexpected(&error))
    }
}

/// The beginning of an id or a commit.
pub(crate) fn short(id: &str) -> Cow<'_, str> {
    escape::text(id.get(..SHORT).unwrap_or(id))
}

/// The first digits of a digest, which is written `sha256:…`.
pub(crate) fn digits(digest: &str) -> Cow<'_, str> {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    escape::text(digits.get(..DIGITS).unwrap_or(digits))
}

pub(crate) fn unexpected(error: &serde_json::Error) -> Failure {
    let message = format!("The core's answer can't be read: {error}");
    Failure::new(FailureKind::Internal, message, "This is a fault of Aurum's; please report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_stands_for_the_whole() {
        assert_eq!(short("0123456789abcdef"), "01234567");
        assert_eq!(short("\x1b"), "\\u{1b}");
        assert_eq!(digits("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(digits("short"), "short");
    }
}
