//! What is brought: experiments' tags, to where plain git has them, archives and notes. What the notes say is removed goes.

use std::collections::{BTreeMap, BTreeSet};

use super::news::News;
use super::{BATCH, DataOutcome, Incoming, MANY, Request, cargo, choice, note, opinion, parcel, words};
use crate::catalogue;
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::ports::{ObjectId, Ports, Wanted};
use crate::retention::archive::{self, Tagged};
use crate::retention::removal;
use crate::{layout, notes, project};

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The remote, as people may read it.
    pub remote: String,
    /// Experiments that are new here.
    pub experiments: u64,
    /// Experiments that went on since they came.
    pub moved: u64,
    /// Archives that are new here.
    pub archives: u64,
    /// Experiments that were removed elsewhere.
    pub removed: u64,
    /// Whether notes came.
    pub notes: bool,
    /// What became of models and data.
    pub data: DataOutcome,
    /// What could not be done.
    pub failures: Vec<Failure>,
}

/// Brings what others have sent.
///
/// # Errors
/// When the remote can't be asked; what of the rest can't be taken in is told in the answer.
pub fn pull(ports: &Ports, request: &Request) -> Result<Pulled> {
    project::require(ports)?;
    let choice = choice::choose(ports, request.remote.as_deref(), &request.words, "pull")?;
    if let Some(word) = request.words.iter().find(|word| **word != choice.remote) {
        let message = format!("`{}` is no remote, and pulling brings all experiments", crate::value::excerpt(word));
        let failure = Failure::new(FailureKind::Usage, message);
        return Err(failure.hint(choice.doubt.unwrap_or_else(|| "Name a remote alone: `au pull origin`".to_owned())));
    }
    Incoming::clear_abandoned(ports)?;
    let incoming = Incoming::new(ports);
    let mut pulled = Pulled { remote: super::shown(&choice.remote), ..Pulled::default() };
    let brought = bring(ports, &choice.remote, &incoming, &mut pulled);
    incoming.finish()?;
    brought?;
    if request.data {
        match catalogue::saved(ports).and_then(|saved| cargo::bring(ports, &saved)) {
            Ok(outcome) => pulled.data = outcome,
            Err(failure) => note(&mut pulled.failures, cargo::advise(failure)),
        }
    }
    Ok(pulled)
}

fn bring(ports: &Ports, remote: &str, incoming: &Incoming<'_>, pulled: &mut Pulled) -> Result<()> {
    let news = News::ask(ports, remote)?;
    match opinion::take(ports, remote, news.notes.as_deref(), incoming) {
        Ok(taken) => pulled.notes = taken,
        // Experiments are no worse for it.
        Err(failure) if failure.kind == FailureKind::Unreadable => note(&mut pulled.failures, failure),
        Err(failure) => return Err(failure),
    }
    let before = known(ports)?;
    let parcels = parcel::fetch(ports, remote, &news, incoming, &mut pulled.failures)?;
    let mut parcels = parcel::keep(ports, remote, parcels, &mut pulled.failures)?;
    // One that has just come too: its experiments may have their tags nowhere yet.
    let apart = archive::take_apart_as_said(ports)?;
    parcels.retain(|parcel| !apart.contains(&parcel.commit));
    pulled.archives = parcels.len() as u64;

    let removed = notes::removed(ports)?;
    let archived = parcel::archived(ports)?;
    let tagged: BTreeMap<String, ObjectId> = catalogue::tagged(ports)?.into_iter().collect();
    let (mut new, mut other, mut held_back) = (Vec::new(), Vec::new(), news.others.clone());
    for (id, theirs) in &news.tags {
        let name = format!("{}{id}", layout::TAGS);
        match tagged.get(id) {
            Some(ours) if ours == theirs => continue,
            Some(_) if removed.contains(theirs) => {}
            Some(ours) => other.push((id, ours, theirs)),
            None if removed.contains(theirs) || archived.contains(&(id.clone(), theirs.clone())) => {}
            None => {
                new.push((id, name));
                continue;
            }
        }
        held_back.push(name);
    }
    fetch_new(ports, remote, &new, &held_back, pulled)?;
    fetch_other(ports, remote, &other, incoming, pulled)?;
    let mut gone = drop_gone(ports, &removed, &parcels)?;

    let after = known(ports)?;
    pulled.experiments = after.difference(&before).count() as u64;
    // What an earlier push took in of the notes is no longer listed, and what is archived has no tag.
    gone.extend(before.difference(&after).cloned());
    pulled.removed = gone.len() as u64;
    Ok(())
}

/// Ids of what is listed.
fn known(ports: &Ports) -> Result<BTreeSet<String>> {
    Ok(catalogue::saved(ports)?.into_iter().map(|saved| saved.id).collect())
}

/// Brings experiments that are not here.
fn fetch_new(
    ports: &Ports,
    remote: &str,
    new: &[(&String, String)],
    held_back: &[String],
    pulled: &mut Pulled,
) -> Result<()> {
    let mut said = None;
    if new.len() > MANY && held_back.len() <= MANY {
        let fetched = ports.exchange.fetch_below(remote, layout::TAGS, held_back);
        said = fetched.map_err(|problem| words::problem(remote, problem))?;
    } else {
        for batch in new.chunks(BATCH) {
            let wanted = |(_, name): &(&String, String)| Wanted { source: name.clone(), destination: name.clone() };
            let wanted: Vec<Wanted> = batch.iter().map(wanted).collect();
            let fetched = ports.exchange.fetch(remote, &wanted).map_err(|problem| words::problem(remote, problem))?;
            said = said.or(fetched);
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    let here: BTreeMap<String, ObjectId> = catalogue::tagged(ports)?.into_iter().collect();
    leave_out_rubbish(ports, remote, new, &here, pulled)?;
    let missing: Vec<&str> = new.iter().map(|(id, _)| id.as_str()).filter(|id| !here.contains_key(*id)).collect();
    if !missing.is_empty() {
        let (count, first) = (missing.len(), crate::layout::tag(missing[0]));
        let what = if count == 1 { format!("the tag `{first}`") } else { format!("{count} tags, such as `{first}`") };
        let why = said.map_or_else(String::new, |said| format!(": {}", super::shown(&said)));
        let message = format!("git did not take {what} of the remote `{}`{why}", super::shown(remote));
        note(&mut pulled.failures, Failure::new(FailureKind::Unavailable, message).hint("Try again: `au pull`"));
    }
    Ok(())
}

/// A tag can be put on anything. What is no commit is no experiment, and would be told of again and again.
fn leave_out_rubbish(
    ports: &Ports,
    remote: &str,
    new: &[(&String, String)],
    here: &BTreeMap<String, ObjectId>,
    pulled: &mut Pulled,
) -> Result<()> {
    let mut rubbish = Vec::new();
    for (id, name) in new {
        if let Some(commit) = here.get(*id)
            && ports.exchange.parents(commit)?.is_none()
        {
            rubbish.push(name.clone());
        }
    }
    if let Some(first) = rubbish.first() {
        ports.repository_edit.remove_references(&rubbish)?;
        let (count, remote) = (rubbish.len(), super::shown(remote));
        let message = format!("Of `{remote}` what is on no commit is left out: {count} tags, `{first}` the first");
        let hint = "Have somebody look at it there: `git ls-remote` shows it";
        note(&mut pulled.failures, Failure::new(FailureKind::Unreadable, message).hint(hint));
    }
    Ok(())
}

/// Brings experiments that are here as another commit. The tag moves only to what goes on from where it is.
fn fetch_other(
    ports: &Ports,
    remote: &str,
    other: &[(&String, &ObjectId, &ObjectId)],
    incoming: &Incoming<'_>,
    pulled: &mut Pulled,
) -> Result<()> {
    let ids: Vec<&str> = other.iter().map(|(id, ..)| id.as_str()).collect();
    super::fetch_apart(ports, remote, &ids, incoming)?;
    for (id, ours, theirs) in other {
        if ports.exchange.descends(theirs, ours)? {
            let name = format!("{}{id}", layout::TAGS);
            match ports.repository_edit.set_reference(&name, Some(ours), theirs, true) {
                Ok(()) => pulled.moved += 1,
                // It moved meanwhile; the next pull sees to it.
                Err(PortError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        } else if !ports.exchange.descends(ours, theirs)? {
            note(&mut pulled.failures, words::differs(remote, id, ours, theirs));
        }
    }
    Ok(())
}

/// Drops the tags of what was removed elsewhere, which can be brought back for a while, and of what an archive that has just come
/// holds. Answers the ids of the former.
fn drop_gone(ports: &Ports, removed: &BTreeSet<ObjectId>, parcels: &[parcel::Parcel]) -> Result<BTreeSet<String>> {
    let mut archived: BTreeMap<&String, Vec<&ObjectId>> = BTreeMap::new();
    for (id, commit) in parcels.iter().flat_map(|parcel| &parcel.members) {
        archived.entry(id).or_default().push(commit);
    }
    let (mut discarded, mut folded) = (Vec::new(), Vec::new());
    for (id, commit) in catalogue::tagged(ports)? {
        if removed.contains(&commit) {
            discarded.push((id, commit));
            continue;
        }
        for archived in archived.get(&id).into_iter().flatten() {
            // The archive may have a later commit of a run that went on.
            if **archived == commit || ports.exchange.descends(archived, &commit)? {
                folded.push(Tagged { id, commit, archived: (*archived).clone() });
                break;
            }
        }
    }
    removal::discard(ports, &discarded)?;
    archive::drop_tags(ports, &folded)?;
    Ok(discarded.into_iter().map(|(id, _)| id).collect())
}
