//! What is sent: experiments' tags, archives and notes; and what is taken away there, because it is removed or archived.

use std::collections::{BTreeMap, BTreeSet};

use super::news::News;
use super::parcel::Parcel;
use super::{BATCH, DataOutcome, Incoming, MANY, PATIENCE, Request, cargo, choice, note, opinion, parcel, words};
use crate::catalogue::{self, Saved};
use crate::error::{Failure, FailureKind, Result};
use crate::ports::{Delivery, ObjectId, Ports, Reference, Update, Verdict};
use crate::{history, id, layout, notes, project, query, selector};

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The remote, as people may read it.
    pub remote: String,
    /// Experiments that are new there.
    pub experiments: u64,
    /// Experiments that went on since they were sent.
    pub moved: u64,
    /// Experiments that were there.
    pub present: u64,
    /// Archives that are new there.
    pub archives: u64,
    /// Tags that were taken away there.
    pub removed: u64,
    /// Whether notes were sent.
    pub notes: bool,
    /// What became of models and data.
    pub data: DataOutcome,
    /// What could not be done.
    pub failures: Vec<Failure>,
}

/// Sends experiments, all without a selector, with archives and notes. What is here is not changed, save that the remote's notes
/// are taken in.
///
/// # Errors
/// When the remote can't be asked or written at all; what it does not take of the rest is told in the answer.
pub fn push(ports: &Ports, request: &Request) -> Result<Pushed> {
    project::require(ports)?;
    let choice = choice::choose(ports, request.remote.as_deref(), &request.words, "push")?;
    let selected = select(ports, choice.selector.as_deref(), request.condition.as_deref());
    let selected = selected.map_err(|failure| match &choice.doubt {
        Some(doubt) => failure.hint(doubt.clone()),
        None => failure,
    })?;
    Incoming::clear_abandoned(ports)?;
    let mut pushed = Pushed { remote: super::shown(&choice.remote), ..Pushed::default() };
    let sending = Sending { ports, remote: &choice.remote, selected: selected.as_ref(), data: request.data };
    // When somebody pushes notes at the same time, what they say may be about what is sent here.
    for _ in 0..PATIENCE {
        if sending.attempt(&mut pushed)? {
            return Ok(pushed);
        }
    }
    let message = format!("Others push notes to `{}` all the time: yours are not there yet", pushed.remote);
    note(&mut pushed.failures, Failure::new(FailureKind::Unavailable, message).hint("Try again: `au push`"));
    Ok(pushed)
}

/// The ids that are asked for; none where all are. A run that is not saved yet has nothing to be sent.
fn select(ports: &Ports, selector: Option<&str>, condition: Option<&str>) -> Result<Option<BTreeSet<String>>> {
    let saved = catalogue::saved(ports)?;
    let condition = condition.map(str::to_owned);
    match (selector, &condition) {
        (None, None) => return Ok(None),
        (Some(selector), None) => {
            // Ids alone take no records to answer, and whatever bears one can be sent.
            if let Some(ids) = selector::by_id(selector, saved.iter().map(|saved| saved.id.as_str()))? {
                return Ok(Some(ids));
            }
        }
        _ => {}
    }
    let mut ids = history::ids(ports, &query::Request { condition, ..query::Request::of(selector) })?;
    let unsaved: Vec<String> =
        ids.iter().filter(|id| saved.binary_search_by(|saved| saved.id.cmp(id)).is_err()).cloned().collect();
    for id in unsaved {
        let short = id.get(..id::SHORT).unwrap_or(&id);
        let hint =
            "Push again once it is: `au metrics` shows how it stands, and `au recover` saves lost ones".to_owned();
        ports.progress.warn(&format!("The experiment `{short}` is not saved yet, and is not sent"), &[hint]);
        ids.remove(&id);
    }
    Ok(Some(ids))
}

/// One push under way.
struct Sending<'p> {
    ports: &'p Ports,
    remote: &'p str,
    selected: Option<&'p BTreeSet<String>>,
    data: bool,
}

/// What is to be sent.
#[derive(Default)]
struct Plan {
    new: Vec<Saved>,
    moved: Vec<Update>,
    archives: Vec<Update>,
    notes: Option<Update>,
    /// Names below the folder of tags that are here and are not to be sent.
    held_back: Vec<String>,
    /// Archives that are there, and were taken apart.
    apart: Vec<Parcel>,
}

impl Sending<'_> {
    /// Sends once. False when others were first, and it has to be done again.
    fn attempt(&self, pushed: &mut Pushed) -> Result<bool> {
        pushed.failures.clear();
        let news = News::ask(self.ports, self.remote)?;
        let incoming = Incoming::new(self.ports);
        let planned = self.prepare(&news, &incoming, pushed);
        incoming.finish()?;
        let (selected, plan) = planned?;
        // Models and data first: whoever sees an experiment finds what it names.
        if self.data && pushed.data == DataOutcome::None {
            match cargo::send(self.ports, &selected, &plan.new) {
                Ok(outcome) => pushed.data = outcome,
                Err(failure) => note(&mut pushed.failures, cargo::advise(failure)),
            }
        }
        let there = self.deliver(&plan, &news, pushed)?;
        if plan.notes.is_some() && !pushed.notes {
            return Ok(there.is_some());
        }
        self.take_away(&plan, &news, &there.unwrap_or_default(), pushed)?;
        self.take_apart(&plan.apart, pushed)?;
        Ok(true)
    }

    /// Takes in what the remote says, and plans with that.
    fn prepare(&self, news: &News, incoming: &Incoming<'_>, pushed: &mut Pushed) -> Result<(Vec<Saved>, Plan)> {
        // Without its notes nothing is sent: what was removed there would come back.
        opinion::take(self.ports, self.remote, news.notes.as_deref(), incoming)?;
        let parcels = parcel::fetch(self.ports, self.remote, news, incoming, &mut pushed.failures)?;
        let unfolded = notes::unfolded(self.ports)?;
        let (apart, parcels): (Vec<_>, Vec<_>) =
            parcels.into_iter().partition(|parcel| unfolded.contains(&parcel.commit));
        let archived_there = parcels.into_iter().flat_map(|parcel| parcel.members).collect();
        let selected: Vec<Saved> = catalogue::saved(self.ports)?
            .into_iter()
            .filter(|saved| self.selected.is_none_or(|ids| ids.contains(&saved.id)))
            .collect();
        let other = |saved: &&Saved| news.tags.get(&saved.id).is_some_and(|theirs| *theirs != saved.commit);
        let other: Vec<&str> = selected.iter().filter(other).map(|saved| saved.id.as_str()).collect();
        super::fetch_apart(self.ports, self.remote, &other, incoming)?;
        let mut plan = self.plan(news, &archived_there, &selected, pushed)?;
        plan.archives.retain(|archive| archive.target.as_ref().is_none_or(|commit| !unfolded.contains(commit)));
        plan.apart = apart;
        Ok((selected, plan))
    }

    fn plan(
        &self,
        news: &News,
        archived_there: &BTreeSet<(String, ObjectId)>,
        selected: &[Saved],
        pushed: &mut Pushed,
    ) -> Result<Plan> {
        let mut plan = Plan::default();
        let mut archived_here = BTreeSet::new();
        let mut present: u64 = 0;
        // Beside a tag that was taken out of it, an archive holds the experiment still.
        let archived = parcel::archived(self.ports)?;
        for saved in selected {
            let in_archive =
                |archives: &BTreeSet<(String, ObjectId)>| archives.contains(&(saved.id.clone(), saved.commit.clone()));
            let name = format!("{}{}", layout::TAGS, saved.id);
            match news.tags.get(&saved.id) {
                Some(theirs) if *theirs == saved.commit => present += 1,
                _ if in_archive(&archived) || saved.archived => {
                    archived_here.insert(saved.id.as_str());
                }
                _ if in_archive(archived_there) => present += 1,
                None => plan.new.push(saved.clone()),
                Some(theirs) if self.ports.exchange.descends(&saved.commit, theirs)? => {
                    plan.moved.push(Update {
                        name,
                        target: Some(saved.commit.clone()),
                        expected: Some(theirs.clone()),
                    });
                }
                // Another clone knows more of it than this one.
                Some(theirs) if self.ports.exchange.descends(theirs, &saved.commit)? => present += 1,
                Some(theirs) => {
                    note(&mut pushed.failures, words::differs(self.remote, &saved.id, &saved.commit, theirs));
                }
            }
        }
        for archive in catalogue::references(self.ports, layout::ARCHIVE)? {
            let short = archive.name.strip_prefix(layout::ARCHIVE).unwrap_or_default();
            let members = catalogue::members(self.ports, &archive)?;
            let holds = members.iter().filter(|(id, _)| archived_here.contains(id.as_str())).count() as u64;
            if news.archives.contains_key(short) {
                present += holds;
            } else if super::news::is_archive(short) && (holds > 0 || self.selected.is_none()) {
                plan.archives.push(Update { name: archive.name, target: Some(archive.target), expected: None });
            }
        }
        let ours = catalogue::reference(self.ports, layout::NOTES)?;
        if ours.is_some() && ours != news.notes {
            plan.notes = Some(Update { name: layout::NOTES.to_owned(), target: ours, expected: None });
        }
        let new: BTreeSet<String> = plan.new.iter().map(|saved| format!("{}{}", layout::TAGS, saved.id)).collect();
        let is_there = |reference: &Reference| {
            let id = reference.name.strip_prefix(layout::TAGS).unwrap_or_default();
            news.tags.get(id) == Some(&reference.target)
        };
        let here = catalogue::references(self.ports, layout::TAGS)?.into_iter();
        let held_back = here.filter(|reference| !new.contains(&reference.name) && !is_there(reference));
        plan.held_back = held_back.map(|reference| reference.name).collect();
        // Of what an earlier attempt has sent, this one finds that it is there.
        pushed.present = u64::saturating_sub(present, pushed.experiments + pushed.moved);
        Ok(plan)
    }

    /// Sends what is planned. Answers the archives that are there then; none where notes have to be taken in first.
    fn deliver(&self, plan: &Plan, news: &News, pushed: &mut Pushed) -> Result<Option<BTreeSet<String>>> {
        let rest: Vec<Update> = plan.archives.iter().chain(&plan.moved).chain(&plan.notes).cloned().collect();
        let tag = |saved: &Saved| Update {
            name: format!("{}{}", layout::TAGS, saved.id),
            target: Some(saved.commit.clone()),
            expected: None,
        };
        let mut deliveries = Vec::new();
        if plan.new.len() > MANY && plan.held_back.len() <= MANY {
            let sent = self.ports.exchange.push_below(self.remote, layout::TAGS, &plan.held_back);
            deliveries.push(sent.map_err(|problem| words::problem(self.remote, problem))?);
            deliveries.push(self.update(&rest)?);
        } else {
            let all: Vec<Update> = plan.new.iter().map(tag).chain(rest).collect();
            for batch in all.chunks(BATCH) {
                deliveries.push(self.update(batch)?);
            }
        }
        let refused = |prefix: &str| {
            let all = deliveries.iter().flat_map(|delivery| &delivery.refused);
            all.filter(|refused| refused.name.starts_with(prefix)).collect::<Vec<_>>()
        };
        let moved: BTreeSet<&str> = plan.moved.iter().map(|update| update.name.as_str()).collect();
        let tags = refused(layout::TAGS);
        let not_moved = tags.iter().filter(|refused| moved.contains(refused.name.as_str())).count();
        let more: u64 = deliveries.iter().map(|delivery| delivery.more).sum();
        let not_new = (tags.len() - not_moved) as u64 + more;
        pushed.experiments += (plan.new.len() as u64).saturating_sub(not_new);
        pushed.moved += (plan.moved.len() - not_moved) as u64;
        let lost: BTreeSet<String> = refused(layout::ARCHIVE).into_iter().map(|refused| refused.name.clone()).collect();
        pushed.archives += (plan.archives.len() - lost.len()) as u64;
        let of_notes = refused(layout::NOTES);
        let overtaken = of_notes.iter().any(|refused| refused.verdict == Verdict::Moved);
        pushed.notes |= plan.notes.is_some() && of_notes.is_empty();
        for mut delivery in deliveries {
            delivery.refused.retain(|refused| refused.name != layout::NOTES || refused.verdict != Verdict::Moved);
            for failure in words::refused(self.remote, &delivery) {
                note(&mut pushed.failures, failure);
            }
        }
        if overtaken {
            return Ok(None);
        }
        let sent = plan.archives.iter().map(|update| update.name.clone()).filter(|name| !lost.contains(name));
        Ok(Some(sent.chain(news.archives.keys().map(|name| format!("{}{name}", layout::ARCHIVE))).collect()))
    }

    fn update(&self, updates: &[Update]) -> Result<Delivery> {
        if updates.is_empty() {
            return Ok(Delivery::default());
        }
        self.ports.exchange.push(self.remote, updates).map_err(|problem| words::problem(self.remote, problem))
    }

    /// Takes tags away there that stand for what is removed here, and for what is in an archive that is there too. Each only
    /// where it is the very commit.
    fn take_away(
        &self,
        plan: &Plan,
        news: &News,
        archives_there: &BTreeSet<String>,
        pushed: &mut Pushed,
    ) -> Result<()> {
        let removed = notes::removed(self.ports)?;
        let tagged: BTreeMap<String, ObjectId> = catalogue::tagged(self.ports)?.into_iter().collect();
        let mut archived = BTreeSet::new();
        for archive in catalogue::references(self.ports, layout::ARCHIVE)? {
            if archives_there.contains(&archive.name) {
                archived.extend(catalogue::members(self.ports, &archive)?);
            }
        }
        let gone = |id: &String, commit: &ObjectId| {
            removed.contains(commit) || (!tagged.contains_key(id) && archived.contains(&(id.clone(), commit.clone())))
        };
        let updates: Vec<Update> = news
            .tags
            .iter()
            .filter(|(id, commit)| gone(id, commit))
            .map(|(id, commit)| (format!("{}{id}", layout::TAGS), commit))
            // What went on after it was removed has moved there by now.
            .filter(|(name, _)| !plan.moved.iter().any(|update| update.name == *name))
            .map(|(name, commit)| Update { name, target: None, expected: Some(commit.clone()) })
            .collect();
        for batch in updates.chunks(BATCH) {
            let delivery = self.update(batch)?;
            pushed.removed += delivery.done;
            for failure in words::refused(self.remote, &delivery) {
                note(&mut pushed.failures, failure);
            }
        }
        Ok(())
    }

    /// Takes archives away there that were taken apart, each once all that it holds is there without it.
    fn take_apart(&self, apart: &[Parcel], pushed: &mut Pushed) -> Result<()> {
        if apart.is_empty() {
            return Ok(());
        }
        let removed = notes::removed(self.ports)?;
        let there = News::ask(self.ports, self.remote)?;
        for Parcel { name, commit, members } in apart {
            let mut needless = true;
            for (id, held) in members.iter().filter(|(_, held)| !removed.contains(held)) {
                needless = needless
                    && match there.tags.get(id) {
                        Some(tag) => tag == held || self.ports.exchange.descends(tag, held)?,
                        None => false,
                    };
            }
            if needless && there.archives.get(name) == Some(commit) {
                let name = format!("{}{name}", layout::ARCHIVE);
                let delivery = self.update(&[Update { name, target: None, expected: Some(commit.clone()) }])?;
                for failure in words::refused(self.remote, &delivery) {
                    note(&mut pushed.failures, failure);
                }
            }
        }
        Ok(())
    }
}
