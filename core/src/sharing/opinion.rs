//! Taking in the notes of a remote: what is said of experiments there holds here too.

use super::{Incoming, PATIENCE, signature, words};
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::ports::{Ports, Wanted};
use crate::{catalogue, layout, notes};

/// Takes in the notes that a remote has at a commit. Whether there was anything new.
///
/// # Errors
/// When the remote can't be asked. Notes that can't be read are `Unreadable`, and nothing of them is taken in: they would hide
/// what is said here.
pub(super) fn take(ports: &Ports, remote: &str, theirs: Option<&str>, incoming: &Incoming<'_>) -> Result<bool> {
    let ours = catalogue::reference(ports, layout::NOTES)?;
    if theirs.is_none() || ours.as_deref() == theirs {
        return Ok(false);
    }
    if let (Some(ours), Some(theirs)) = (&ours, theirs)
        && ports.exchange.descends(ours, theirs)?
    {
        return Ok(false);
    }
    let place = incoming.name("notes");
    let wanted = Wanted { source: layout::NOTES.to_owned(), destination: place.clone() };
    let said = ports.exchange.fetch(remote, &[wanted]).map_err(|problem| words::problem(remote, problem))?;
    let unreadable = |why: &str| {
        let message = format!("The notes of the remote `{}` can't be taken in: {why}", super::shown(remote));
        Failure::new(FailureKind::Unreadable, message)
            .hint("What was removed elsewhere stays as it is here; have somebody look at `refs/notes/aurum` there")
    };
    let Some(theirs) = catalogue::reference(ports, &place)? else {
        return Err(unreadable(said.as_deref().unwrap_or("they did not come")));
    };
    let readable = |commit: &str| notes::read_at(ports, commit).map_err(|failure| unreadable(&failure.message));
    // Before git works on them.
    readable(&theirs)?;
    for _ in 0..PATIENCE {
        let ours = catalogue::reference(ports, layout::NOTES)?;
        let merged = match &ours {
            None => theirs.clone(),
            Some(ours) => ports.exchange.merge_notes(ours, &theirs, &signature(ports)?)?,
        };
        if ours.as_ref() == Some(&merged) {
            return Ok(false);
        }
        readable(&merged)?;
        match ports.repository_edit.set_reference(layout::NOTES, ours.as_deref(), &merged, true) {
            // Somebody here says something at this very moment.
            Err(PortError::Conflict(_)) => {}
            other => return Ok(other.map(|()| true)?),
        }
    }
    Err(PortError::Conflict("others write notes all the time".to_owned()).into())
}
