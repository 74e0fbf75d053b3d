//! What remote data is like.

use crate::error::{Failure, FailureKind, Result};
use crate::ports::{Ports, RemoteAttributes};
use crate::redact;

/// The attributes of data at a URL.
///
/// # Errors
/// `Denied` when the host does not grant the server, `Unavailable` when there is nothing, or no answer.
pub fn examine(ports: &Ports, url: &str) -> Result<RemoteAttributes> {
    ports.remote.stat(url)?.ok_or_else(|| {
        Failure::new(FailureKind::Unavailable, format!("There is nothing at `{}`", redact::url(url)))
            .hint("Check the address in a browser")
    })
}
