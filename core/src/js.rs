//! World `viewer` as a JavaScript module: all that a browser needs to look at records.

#![allow(unreachable_pub, clippy::needless_pass_by_value, reason = "wasm-bindgen exports what is here")]

use wasm_bindgen::prelude::*;

use crate::error::Failure;
use crate::history;
use crate::query::Request;

/// The rows of the records (the texts of `record.json`, one after the other) that are asked for, as JSON text: those that
/// `selector` names and that meet `condition`, sorted by `sort`, at most `limit`. Ages in the condition (`2d ago`) count back
/// from `now`, in milliseconds since 1970 as `Date.now()` gives them.
///
/// Throws an `Error` whose message has the place of a mistake in `condition` or `sort`, and a line `hint: …` for each thing to do.
#[wasm_bindgen]
pub fn rows(
    records: &[u8],
    selector: Option<String>,
    condition: Option<String>,
    sort: Option<String>,
    limit: Option<u32>,
    now: Option<f64>,
) -> Result<String, JsValue> {
    let request = Request { selector, condition, sort, limit };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time before 1970 is 1970")]
    let now = now.map(|now| now as u64);
    history::rows(records, &request, now).map_err(|failure| to_js(&failure))
}

fn to_js(failure: &Failure) -> JsValue {
    let mut message = failure.message.clone();
    for line in failure.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
        message = format!("{message}\n  {line}");
    }
    for hint in &failure.hints {
        message = format!("{message}\nhint: {hint}");
    }
    JsError::new(&message).into()
}
