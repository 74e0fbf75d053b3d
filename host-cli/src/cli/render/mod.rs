//! What people and programs read. Renderers take rows and a writer, and know of no terminal.

pub(crate) mod error;
pub(crate) mod escape;
pub(crate) mod json;
pub(crate) mod style;
pub(crate) mod table;
mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{Failure, FailureKind};

/// Characters of an id or a commit that stand for the whole.
const SHORT: usize = 8;

/// One experiment, as far as tables show it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
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

fn unexpected(error: &serde_json::Error) -> Failure {
    let message = format!("The core's answer can't be read: {error}");
    Failure::new(FailureKind::Internal, message, "This is a fault of Aurum's; please report it")
}
