//! Archives of a remote. An archive says which commit an experiment is, so it is judged before it counts: it may come from
//! anybody who can push there.

use std::collections::{BTreeMap, BTreeSet};

use super::news::News;
use super::{Incoming, note, words};
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::ports::{ObjectId, Ports, Wanted};
use crate::retention::archive;
use crate::{catalogue, layout};

/// An archive that was fetched, and is what it says.
pub(super) struct Parcel {
    /// The last part of its name.
    pub(super) name: String,
    pub(super) commit: ObjectId,
    /// Ids and commits.
    pub(super) members: Vec<(String, ObjectId)>,
}

/// Fetches the archives that are not here to a place of this call's own, and judges them.
pub(super) fn fetch(
    ports: &Ports,
    remote: &str,
    news: &News,
    incoming: &Incoming<'_>,
    failures: &mut Vec<Failure>,
) -> Result<Vec<Parcel>> {
    let here: BTreeSet<String> =
        catalogue::references(ports, layout::ARCHIVE)?.into_iter().map(|reference| reference.name).collect();
    let wanted: Vec<Wanted> = news
        .archives
        .keys()
        .map(|name| (name, format!("{}{name}", layout::ARCHIVE)))
        .filter(|(_, source)| !here.contains(source))
        .map(|(name, source)| Wanted { source, destination: incoming.name(&format!("archive/{name}")) })
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    ports.exchange.fetch(remote, &wanted).map_err(|problem| words::problem(remote, problem))?;
    let mut parcels = Vec::new();
    let prefix = incoming.name("archive/");
    for reference in catalogue::references(ports, &prefix)? {
        let name = reference.name.strip_prefix(&prefix).unwrap_or_default().to_owned();
        match archive::check(ports, &name, &reference) {
            Ok(members) => parcels.push(Parcel { name, commit: reference.target, members }),
            Err(why) => {
                let message =
                    format!("The archive `{name}` of the remote `{}` is left out: {why}", super::shown(remote));
                let failure = Failure::new(FailureKind::Unreadable, message);
                note(failures, failure.hint("Have somebody look at it there: `git ls-remote` shows it"));
            }
        }
    }
    Ok(parcels)
}

/// Makes archives count here. One that says of an experiment that it is another commit than is known does not. Answers those that
/// do.
pub(super) fn keep(
    ports: &Ports,
    remote: &str,
    parcels: Vec<Parcel>,
    failures: &mut Vec<Failure>,
) -> Result<Vec<Parcel>> {
    if parcels.is_empty() {
        return Ok(parcels);
    }
    let mut known: BTreeMap<String, Vec<ObjectId>> = BTreeMap::new();
    for (id, commit) in archived(ports)?.into_iter().chain(catalogue::tagged(ports)?) {
        known.entry(id).or_default().push(commit);
    }
    let mut kept = Vec::new();
    for parcel in parcels {
        let mut fits = true;
        for (id, theirs) in &parcel.members {
            let Some(ours) = known.get(id).filter(|ours| !ours.contains(theirs)) else { continue };
            // A run may have gone on after it was archived, or before.
            let mut related = false;
            for ours in ours {
                related |= ports.exchange.descends(ours, theirs)? || ports.exchange.descends(theirs, ours)?;
            }
            if !related {
                note(failures, words::differs(remote, id, &ours[0], theirs));
                fits = false;
            }
        }
        if !fits {
            continue;
        }
        let name = format!("{}{}", layout::ARCHIVE, parcel.name);
        match ports.repository_edit.set_reference(&name, None, &parcel.commit, true) {
            // Another pull was first: it is the same archive.
            Ok(()) | Err(PortError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        for (id, commit) in &parcel.members {
            known.entry(id.clone()).or_default().push(commit.clone());
        }
        kept.push(parcel);
    }
    Ok(kept)
}

/// What all archives here hold: ids and commits. Two may have one experiment, the one as it was before the run went on.
pub(super) fn archived(ports: &Ports) -> Result<BTreeSet<(String, ObjectId)>> {
    Ok(catalogue::archived(ports)?.into_iter().collect())
}
