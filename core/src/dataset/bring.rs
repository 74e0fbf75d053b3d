//! Having again what the store lacks: from the data remote, else from the address that it came from.

use super::add::fetch;
use super::{Dataset, missing};
use crate::error::{Failure, FailureKind, Result};
use crate::ports::{DataKind, Object, Place, Ports};
use crate::redact;
use crate::sharing::data_remote;
use crate::suggest;

/// Whether the store has a content whole, now that the data remote, if one is set, was asked for it.
pub(super) fn to_store(ports: &Ports, kind: DataKind, digest: &str) -> Result<bool> {
    if ports.data.can_restore(kind, digest)? {
        return Ok(true);
    }
    let Some(remote) = data_remote::chosen(ports)? else { return Ok(false) };
    let wanted = [Object { digest: digest.to_owned(), kind }];
    if let Err(error) = ports.exchange.bring(&remote.url, &wanted) {
        // There may be other ways to it.
        ports.progress.warn(&format!("Nothing can be had from the data remote `{}`: {error}", remote.name), &[]);
    }
    Ok(ports.data.can_restore(kind, digest)?)
}

/// Downloads what a dataset is described by to a place where nothing is lost by that.
///
/// # Errors
/// `MissingData` when the server has something else by now, which is not left there.
pub(super) fn download(ports: &Ports, dataset: &Dataset, path: &str) -> Result<()> {
    let Some(url) = &dataset.source.url else { return Err(missing(dataset)) };
    fetch(ports, url, path)?;
    let facts = ports.data.keep(&Place::Project(path.to_owned()))?;
    if facts.is_some_and(|facts| facts.digest.as_ref() == Some(&dataset.digest)) {
        return Ok(());
    }
    ports.data.remove(path)?;
    let (name, shown) = (suggest::word(&dataset.name), redact::url(url));
    let message = format!("`{shown}` has another version now than the one that is recorded of `{}`", dataset.name);
    Err(Failure::new(FailureKind::MissingData, message)
        .hint(format!("Make the new one the dataset's: `au data update {name}`"))
        .hint("Or have who has the old one send it: `au data push` there, then `au data pull` here"))
}
