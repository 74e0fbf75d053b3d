//! World `viewer` as a JavaScript module: all that a browser needs to look at records.

#![allow(unreachable_pub, clippy::needless_pass_by_value, reason = "wasm-bindgen exports what is here")]

use wasm_bindgen::prelude::*;

use crate::error::Failure;
use crate::history;

/// The rows of the records (the texts of `record.json`, one after the other) that the selector names, as JSON text.
///
/// Throws an `Error` whose message has a line `hint: …` for each thing to do.
#[wasm_bindgen]
pub fn rows(records: &[u8], selector: Option<String>) -> Result<String, JsValue> {
    history::rows(records, selector.as_deref()).map_err(|failure| to_js(&failure))
}

fn to_js(failure: &Failure) -> JsValue {
    let mut message = failure.message.clone();
    for hint in &failure.hints {
        message = format!("{message}\nhint: {hint}");
    }
    JsError::new(&message).into()
}
