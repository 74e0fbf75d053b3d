//! From a journal to a commit and a tag. Finishing a run and recovering a dead one are the same function over a journal:
//! finishing is recovery called by the living.
//!
//! The order, each step on stable storage before the next: `Finishing` in the journal → blobs, trees and the commit →
//! `Committed` → the tag → `Done` → the journal is removed. Whoever takes up a journal after any of these steps does
//! them again to the same end, since the journal fixes all that goes into the commit.
//!
//! Until the tag is there, nothing but luck keeps the objects from a `git gc --prune=now`. So they are looked for once more
//! when it is, and written anew if some are gone.

use crate::error::{Failure, FailureKind, PortError, Result};
use crate::journal::event::{Ending, Event, Started};
use crate::journal::fold::{self, State};
use crate::journal::frame;
use crate::output::Bounded;
use crate::ports::{
    BlobWriter, CommitPlan, Identity, JournalEntry, JournalWriter, Location, Ports, Signature, TreeEdit,
};
use crate::record::Status;
use crate::report;
use crate::snapshot::{LeftOut, Reason};
use crate::stretches::{self, Counting};
use crate::{catalogue, id, layout, notes, requirements, texts};

/// A run that has become a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The experiment's id.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// The commit.
    pub commit: String,
    /// The tag on it, as people write it.
    pub tag: String,
}

/// A run that nobody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The experiment's id.
    pub id: String,
    /// Bytes of its journals.
    pub size: u64,
}

/// Finishes the run of a journal that the caller holds. Nothing is in it behind this sequence number; none where finishing may
/// have begun before.
///
/// # Errors
/// When a capability fails. The journal then still has everything.
pub fn finish(
    ports: &Ports,
    id: &str,
    writer: &dyn JournalWriter,
    sequence: Option<u64>,
    ending: Ending,
) -> Result<Finished> {
    let found = match sequence {
        Some(sequence) => State { sequence, ..State::default() },
        None => {
            // Where somebody took this process for dead and removed the journal, it is there again after this.
            writer.sync()?;
            State::read(&*ports.journal, id)?
        }
    };
    let ending = match &found.ending {
        Some(ending) => ending.clone(),
        None => conclude(ports, id, writer, found.sequence, ending)?,
    };
    seal(ports, id, writer, &found, ending)
}

/// The runs whose processes are gone, by id.
///
/// # Errors
/// When the journals can't be listed.
pub fn lost(ports: &Ports) -> Result<Vec<Lost>> {
    let lost = ports.journal.entries()?.into_iter().filter(|entry| !entry.held);
    Ok(lost.map(|JournalEntry { id, size, .. }| Lost { id, size }).collect())
}

/// Finishes one run whose processes are gone. None where there was nothing to save, or somebody else does it.
///
/// # Errors
/// When it can't be done, naming the run; its journals are as they were, save for a torn tail.
pub fn recover(ports: &Ports, id: &str) -> Result<Option<Finished>> {
    recover_one(ports, id).map_err(|failure| {
        let message = format!("The run `{id}` could not be recovered: {}", failure.message);
        let failure = Failure { message, ..failure };
        match failure.hints.is_empty() {
            true => failure.hint(format!("Nothing is lost: its journal stays where it is, `.git/aurum/runs/{id}`")),
            false => failure,
        }
    })
}

/// Clears the references of runs that have no journal any more, in one transaction: removing a packed reference rewrites
/// the file of all packed references, which no finishing run should pay for.
///
/// # Errors
/// When git's references can't be read or changed.
pub fn clear_stale_references(ports: &Ports) -> Result<()> {
    let stale = stale_references(ports)?;
    if !stale.is_empty() {
        ports.repository_edit.remove_references(&stale)?;
    }
    Ok(())
}

/// The references of runs that have no journal any more.
///
/// # Errors
/// When git's references can't be read.
pub fn stale_references(ports: &Ports) -> Result<Vec<String>> {
    // References first: a run that starts in between has its journal before its reference.
    let running = catalogue::references(ports, layout::RUNNING)?;
    let mut stale: Vec<String> = running.into_iter().map(|reference| reference.name).collect();
    let alive = ports.journal.entries()?;
    stale.retain(|name| name.strip_prefix(layout::RUNNING).is_none_or(|id| !alive.iter().any(|entry| entry.id == id)));
    Ok(stale)
}

fn recover_one(ports: &Ports, id: &str) -> Result<Option<Finished>> {
    let writer = match ports.journal.open(id, 0) {
        Ok(Some(writer)) => writer,
        // Somebody else was faster, or it came back to life: either way it is in good hands.
        Ok(None) | Err(PortError::Conflict(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let parts = ports.journal.parts(id)?;
    if parts.iter().any(|part| part.number != 0 && part.held) {
        return Ok(None);
    }
    let state = State::read(&*ports.journal, id)?;
    let modified = parts.iter().map(|part| part.modified).max().unwrap_or(0);
    if state.started.is_none() {
        let children = parts.iter().any(|part| part.number != 0 && part.size > 0);
        if state.accepted || children || !is_torn_start(ports, id)? {
            return Err(Failure::new(FailureKind::Unreadable, "Its journal does not begin as this version knows it")
                .hint(format!("The journal stays where it is: `.git/aurum/runs/{id}`")));
        }
        // The process died before its first call was accepted.
        ports.journal.remove(id, &[])?;
        return Ok(None);
    }
    writer.truncate(state.length)?;
    let ending = match &state.ending {
        Some(ending) if !state.done => {
            // Its process may have died before it had synced this: a power cut after the tag could take it back.
            writer.sync()?;
            ending.clone()
        }
        Some(ending) => {
            // It is saved. What its children logged since is not, unless the experiment was removed on purpose.
            let removed = match &state.committed {
                Some(commit) => notes::removed(ports)?.contains(commit),
                None => false,
            };
            if removed || !outlived(ports, id, &ending.children)? {
                ports.journal.remove(id, &fold::children(&*ports.journal, id)?)?;
                return Ok(None);
            }
            let ending =
                Ending { time: ending.time.max(modified), supersedes: state.committed.clone(), ..ending.clone() };
            conclude(ports, id, &*writer, state.sequence, ending)?
        }
        None => {
            let time = modified.max(state.last_time);
            let supersedes = state.started.as_ref().and_then(Started::goes_on_from);
            let ending = Ending { supersedes, ..Ending::new(Status::Killed, time, None) };
            conclude(ports, id, &*writer, state.sequence, ending)?
        }
    };
    // What is found of a commit is of an ending before this one, if that was begun anew.
    let found = if state.done { State { ending: Some(ending.clone()), ..State::default() } } else { state };
    seal(ports, id, &*writer, &found, ending).map(Some)
}

/// Whether a child has written more than went into the commit.
fn outlived(ports: &Ports, id: &str, saved: &[(u32, u64)]) -> Result<bool> {
    for (number, size) in fold::children(&*ports.journal, id)? {
        let saved = saved.iter().find(|(saved, _)| *saved == number).map_or(0, |(_, size)| *size);
        // A torn tail is nothing more.
        if size > saved && State::read_part(&*ports.journal, id, number)?.length > saved {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes down how a run ends, and how much of its children's journals goes into the commit.
fn conclude(ports: &Ports, id: &str, writer: &dyn JournalWriter, sequence: u64, ending: Ending) -> Result<Ending> {
    let ending = Ending { children: fold::children(&*ports.journal, id)?, ..ending };
    append(writer, sequence, &Event::Finishing(ending.clone()))?;
    writer.sync()?;
    Ok(ending)
}

/// The commit that the experiment's tag is at, if it is the experiment's: the run was taken for dead and finished by somebody, or
/// one of its children outlived its end.
fn saved_before(ports: &Ports, id: &str) -> Result<Option<String>> {
    let Some(commit) = catalogue::reference(ports, &format!("{}{id}", layout::TAGS))? else { return Ok(None) };
    let record = Location { root: commit.clone(), path: layout::record(id) };
    let found = ports.repository.read_files(&[record])?;
    Ok(matches!(found.first(), Some(Some(_))).then_some(commit))
}

/// Whether a power cut may have left this of a journal that was not synced once: nothing, zeros, or the beginning of one.
fn is_torn_start(ports: &Ports, id: &str) -> Result<bool> {
    let beginning = ports.journal.read(id, 0, 0, frame::MAGIC.len() as u32)?;
    Ok(frame::MAGIC.starts_with(&beginning) || beginning.iter().all(|byte| *byte == 0))
}

/// The tree that the experiment's files are put into: the snapshot, or HEAD's tree where that was lost or is not whole.
fn base(ports: &Ports, started: &mut Started, missing: Missing) -> Result<Box<dyn TreeEdit>> {
    let other = started.head_tree.clone().filter(|tree| *tree != started.tree);
    let snapshot = ports.repository_edit.begin_tree(Some(&started.tree));
    let Some(tree) = other else { return Ok(snapshot?) };
    match snapshot {
        // A power cut may have left half of it, or somebody else made it unreadable.
        Err(PortError::Other(_) | PortError::Conflict(_) | PortError::NotPermitted(_)) => {}
        _ if missing.snapshot => {}
        snapshot => return Ok(snapshot?),
    }
    let edit = ports.repository_edit.begin_tree(Some(&tree))?;
    started.tree = tree;
    started.left_out.push(LeftOut { path: ".".to_owned(), size: 0, modified: 0, reason: Reason::Unreadable });
    Ok(edit)
}

/// What the commit is made of and git no longer has: a power cut took it, or somebody cleared up with force.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Missing {
    /// The working tree as it stood.
    snapshot: bool,
    /// The commit that HEAD was at.
    head: bool,
    /// The commit that this one takes the place of.
    superseded: bool,
}

impl Missing {
    fn look(ports: &Ports, started: &Started, ending: &Ending) -> Result<Self> {
        let missing =
            |object: &str| -> Result<bool> { Ok(!ports.repository_edit.shield(object, started.head_tree.as_deref())?) };
        let is = |commit: &Option<String>| commit.as_deref().map_or(Ok(false), missing);
        Ok(Self { snapshot: missing(&started.tree)?, head: is(&started.head)?, superseded: is(&ending.supersedes)? })
    }
}

/// What a call failed of whose objects were removed before a reference kept them.
pub(crate) fn removed() -> Failure {
    Failure::new(FailureKind::Gone, "git keeps removing what is being saved")
        .hint("Wait until no `git gc --prune=now` is running")
}

/// Does something again for as long as git removes what it builds on. A `git gc` takes what it finds once, so that few
/// tries are ever needed.
pub(crate) fn again_while_gone<T>(attempt: &mut dyn FnMut() -> Result<T>) -> Result<T> {
    const TRIES: u32 = 20;
    for _ in 1..TRIES {
        match attempt() {
            Err(failure) if failure.kind == FailureKind::Gone => {}
            other => return other,
        }
    }
    attempt()
}

/// How often somebody else may save the run while it is being saved.
const MOST_RACES: u32 = 8;

/// From `Finishing` on, with what the journal said before. Doing it again, from wherever it was cut off, leads to the same commit.
fn seal(ports: &Ports, id: &str, writer: &dyn JournalWriter, found: &State, mut ending: Ending) -> Result<Finished> {
    let mut sealed = match seal_committed(ports, id, writer, found, &ending)? {
        Some(sealed) => sealed,
        None => seal_anew(ports, id, writer, &ending)?,
    };
    for _ in 0..MOST_RACES {
        let Sealed::Overtaken(sequence) = sealed else { break };
        ending = conclude(ports, id, writer, sequence, Ending { supersedes: saved_before(ports, id)?, ..ending })?;
        sealed = seal_anew(ports, id, writer, &ending)?;
    }
    match sealed {
        Sealed::Done(finished) => Ok(finished),
        Sealed::Overtaken(_) => Err(Failure::new(
            FailureKind::Unavailable,
            format!("Others keep saving the experiment `{}`", layout::tag(id)),
        )
        .hint("Nothing is lost: once they have ended, run `au recover`")),
    }
}

/// What came of sealing a run once.
enum Sealed {
    /// It is saved.
    Done(Finished),
    /// Somebody else has saved it meanwhile, so that this commit is not the one to follow his; the sequence number of the next frame.
    Overtaken(u64),
}

fn seal_anew(ports: &Ports, id: &str, writer: &dyn JournalWriter, ending: &Ending) -> Result<Sealed> {
    let mut missing = Missing::default();
    again_while_gone(&mut || {
        let sealed = write_and_close(ports, id, writer, ending, missing);
        if let Err(Failure { kind: FailureKind::Gone, .. }) = &sealed
            && let Some(started) = State::read(&*ports.journal, id)?.started
        {
            missing = Missing::look(ports, &started, ending)?;
        }
        sealed
    })
}

fn write_and_close(
    ports: &Ports,
    id: &str,
    writer: &dyn JournalWriter,
    ending: &Ending,
    missing: Missing,
) -> Result<Sealed> {
    let (mut log, mut metrics) = (Text::begin(ports)?, Text::begin(ports)?);
    let incomplete = || Failure::new(FailureKind::Unreadable, format!("The journal of `{id}` is not complete"));
    let mut started = texts::begun(&*ports.journal, id)?.ok_or_else(incomplete)?;
    let former = stretches::former(ports, &started)?.zip(started.resumed.clone());
    let stretch = former.as_ref().map_or(0, |(former, _)| texts::stretch_of(former));
    let mut counting = Counting::default();
    if former.is_some() {
        texts::before(ports, &started, layout::log, &mut |text| log.write(text))?;
        texts::before(ports, &started, layout::metrics, &mut |text| metrics.write(text))?;
    }
    let mut bounded = Bounded::default();
    let mut take_log = |text: &[u8]| bounded.write(text, &mut |text| log.write(text));
    let mut take_metrics = |text: &[u8]| {
        if stretch > 0 {
            texts::note(&mut counting, text)?;
        }
        metrics.write(text)
    };
    let (mut state, folder) =
        texts::fold(&*ports.journal, id, &ending.children, stretch, Some(&mut take_log), Some(&mut take_metrics))?;
    folder.finish(&mut take_log)?;
    bounded.finish(&mut |text| log.write(text))?;
    if let Some((former, resumed)) = former {
        let earlier = stretches::statistics(ports, &former, &resumed.commit, &state, &mut counting)?;
        stretches::lay_under(&mut state, former, &resumed, earlier);
    }
    if let Some(problem) = &ending.problem
        && !log.has_lately(problem.traceback.trim_end())
    {
        log.begin_line()?;
        log.write(problem.traceback.as_bytes())?;
    }

    let requirements_text = requirements::text(&state.packages);
    let mut tree = base(ports, &mut started, missing)?;
    let record = report::record(&started, ending, &state, &requirements_text);
    if state.more + record.metrics_more > 0 {
        let message = format!(
            "The children of the run logged more than a record takes: {} metrics and {} notes, artefacts and models are left out of it",
            record.metrics_more, state.more
        );
        ports.progress.warn(&message, &["All values of metrics are in the experiment's `metrics.jsonl`".to_owned()]);
    }
    let text = record.to_text()?;
    // What an experiment that was checked out brought along is not a part of this one.
    for other in earlier_experiments(ports, &started.tree)? {
        tree.remove(&layout::log(&other))?;
    }
    tree.remove(layout::EXPERIMENTS)?;
    tree.put(&layout::record(id), &blob(ports, text.as_bytes())?)?;
    tree.put(&layout::metrics(id), &metrics.finish()?)?;
    tree.put(&layout::requirements(id), &blob(ports, requirements_text.as_bytes())?)?;
    tree.put(&layout::log(id), &log.finish()?)?;
    let (name, email) = started.identity.clone();
    let head = started.head.clone().filter(|_| !missing.head);
    let superseded = ending.supersedes.clone().filter(|_| !missing.superseded);
    let commit = ports.repository_edit.commit(&CommitPlan {
        tree: tree.write()?,
        parents: head.iter().chain(&superseded).cloned().collect(),
        signature: Signature {
            identity: Identity { name, email },
            seconds: i64::try_from(ending.time / 1000).unwrap_or(i64::MAX),
            offset_minutes: started.offset_minutes,
        },
        message: report::message(&record),
    })?;

    let mut sequence = state.sequence;
    if state.committed.as_ref() != Some(&commit) {
        append(writer, sequence, &Event::Committed(commit.clone()))?;
        writer.sync()?;
        sequence += 1;
    }
    close(ports, id, writer, sequence, ending, &commit, head.as_deref())
}

/// Takes up a journal whose commit is on stable storage already: another version of Aurum might write another one.
fn seal_committed(
    ports: &Ports,
    id: &str,
    writer: &dyn JournalWriter,
    found: &State,
    ending: &Ending,
) -> Result<Option<Sealed>> {
    let Some(commit) = &found.committed else { return Ok(None) };
    let record = Location { root: commit.clone(), path: layout::record(id) };
    match ports.repository.read_files(&[record]) {
        Ok(files) if matches!(files.first(), Some(Some(_))) => {}
        Ok(_) | Err(PortError::Missing(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let head = found.started.as_ref().and_then(|started| started.head.as_deref());
    match close(ports, id, writer, found.sequence, ending, commit, head) {
        Err(Failure { kind: FailureKind::Gone, .. }) => Ok(None),
        closed => closed.map(Some),
    }
}

/// The last steps, from the tag on; what the commit has in common with the one that HEAD was at is safe. Where a child is still
/// alive, or has written more since, the journals stay: whoever finds them when it is gone saves the run once more.
fn close(
    ports: &Ports,
    id: &str,
    writer: &dyn JournalWriter,
    sequence: u64,
    ending: &Ending,
    commit: &str,
    head: Option<&str>,
) -> Result<Sealed> {
    if !mark(ports, id, commit, ending.supersedes.as_deref())? {
        return Ok(Sealed::Overtaken(sequence));
    }
    if !ports.repository_edit.shield(commit, head)? {
        return Err(removed());
    }
    append(writer, sequence, &Event::Done)?;
    writer.sync()?;
    ports.journal.remove(id, &ending.children)?;
    let (id, commit) = (id.to_owned(), commit.to_owned());
    Ok(Sealed::Done(Finished { status: ending.status, commit, tag: layout::tag(&id), id }))
}

/// Tags the commit, in place of the one that it supersedes; a tag that is there already and on the same commit is what a former try
/// left. False where somebody else has saved the run meanwhile.
fn mark(ports: &Ports, id: &str, commit: &str, supersedes: Option<&str>) -> Result<bool> {
    let name = format!("{}{id}", layout::TAGS);
    let set = |expected| ports.repository_edit.set_reference(&name, expected, commit, true);
    let why = match set(supersedes) {
        Err(PortError::Conflict(why)) => why,
        other => return Ok(other.map(|()| true)?),
    };
    let there = catalogue::reference(ports, &name)?;
    match &there {
        // Whoever set it may have died before it was on stable storage.
        Some(there) if *there == commit => return Ok(set(Some(commit)).map(|()| true)?),
        // The earlier commit is in an archive by now.
        None if supersedes.is_some() => return Ok(set(None).map(|()| true)?),
        _ => {}
    }
    match saved_before(ports, id) {
        Ok(Some(_)) => return Ok(false),
        // A former try's, whose commit git removed.
        Err(Failure { kind: FailureKind::Gone, .. }) => return Ok(set(there.as_deref()).map(|()| true)?),
        saved => saved?,
    };
    Err(Failure::new(FailureKind::InTheWay, format!("The experiment's tag `{}` can't be made: {why}", layout::tag(id)))
        .hint("Nothing is lost: once the way is free, run `au recover`"))
}

/// The experiments whose files stand in a tree.
fn earlier_experiments(ports: &Ports, tree: &str) -> Result<Vec<String>> {
    let folder = Location { root: tree.to_owned(), path: layout::EXPERIMENTS.to_owned() };
    let mut names = ports.repository.list_folder(&folder)?;
    names.retain(|name| id::is_id(name));
    Ok(names)
}

fn append(writer: &dyn JournalWriter, sequence: u64, event: &Event<'_>) -> Result<()> {
    let mut buffer = Vec::new();
    frame::encode(&mut buffer, event.kind(), sequence, |payload| event.encode(payload));
    frame::check(&buffer)?;
    Ok(writer.append(&buffer)?)
}

fn blob(ports: &Ports, bytes: &[u8]) -> Result<String> {
    let mut writer = ports.repository_edit.begin_blob()?;
    writer.write(bytes)?;
    Ok(writer.finish()?)
}

/// Text on its way to a blob, handed on in large pieces, with an eye on how it ends.
pub(crate) struct Text {
    writer: Box<dyn BlobWriter>,
    buffer: Vec<u8>,
}

impl Text {
    const PIECE: usize = 256 << 10;

    fn begin(ports: &Ports) -> Result<Self> {
        Ok(Self { writer: ports.repository_edit.begin_blob()?, buffer: Vec::new() })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > 2 * Self::PIECE {
            let kept = self.buffer.len() - Self::PIECE;
            self.writer.write(&self.buffer[..kept])?;
            self.buffer.drain(..kept);
        }
        Ok(())
    }

    /// Ends an unfinished line.
    fn begin_line(&mut self) -> Result<(), PortError> {
        if self.buffer.last().is_some_and(|last| *last != b'\n') { self.write(b"\n") } else { Ok(()) }
    }

    /// Whether these lines are near the end of the text so far, in their order: in the last 256 KiB. What is printed to the other stream at
    /// the same time may come between and after them.
    fn has_lately(&self, words: &str) -> bool {
        let mut lines = self.buffer[self.buffer.len().saturating_sub(Self::PIECE)..].split(|byte| *byte == b'\n');
        words.lines().enumerate().all(|(number, words)| {
            // The first may stand on a line that something else has begun.
            lines.any(|line| if number == 0 { line.ends_with(words.as_bytes()) } else { line == words.as_bytes() })
        })
    }

    fn finish(mut self) -> Result<String, PortError> {
        self.writer.write(&self.buffer)?;
        self.writer.finish()
    }
}
