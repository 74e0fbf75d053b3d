//! From a journal to a commit and a tag. Finishing a run and recovering a dead one are the same function over a journal:
//! finishing is recovery called by the living.
//!
//! The order, each step on stable storage before the next: `Finishing` in the journal → blobs, trees and the commit →
//! `Committed` → the tag → `Done` → the journal is removed. Whoever takes up a journal after any of these steps does
//! them again to the same end, since the journal fixes all that goes into the commit.

use crate::error::{Failure, FailureKind, PortError, Result};
use crate::id;
use crate::journal::event::{Ending, Event, Started};
use crate::journal::fold::State;
use crate::journal::frame;
use crate::layout;
use crate::output::Folder;
use crate::ports::{
    BlobWriter, CommitPlan, Identity, JournalEntry, JournalWriter, Location, Ports, Signature, TreeEdit,
};
use crate::record::Status;
use crate::report;
use crate::snapshot::{LeftOut, Reason};

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

/// What came of [`recover`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The runs that were finished.
    pub recovered: Vec<Finished>,
    /// What could not be done; the journals concerned are as they were.
    pub failures: Vec<Failure>,
}

/// Finishes the run of a journal that the caller holds.
///
/// # Errors
/// When a capability fails. The journal then still has everything.
pub fn finish(ports: &Ports, id: &str, writer: &dyn JournalWriter, ending: Ending) -> Result<Finished> {
    let state = State::read(&*ports.journal, id)?;
    if state.ending.is_none() {
        append(writer, state.sequence, &Event::Finishing(ending))?;
        writer.sync()?;
    }
    seal(ports, id, writer, &state)
}

/// Finishes every run whose process is gone and whose journal has at most so many bytes.
///
/// # Errors
/// When the journals can't be listed. What goes wrong with one of them stands in the answer.
pub fn recover(ports: &Ports, most: u64) -> Result<Recovery> {
    let mut recovery = Recovery::default();
    for entry in ports.journal.entries()?.iter().filter(|entry| !entry.held) {
        if entry.size > most {
            let message = format!("The run `{}` was killed and is not saved yet", entry.id);
            recovery.failures.push(Failure::new(FailureKind::Unavailable, message).hint("Run `au recover`"));
            continue;
        }
        match recover_one(ports, entry) {
            Ok(finished) => recovery.recovered.extend(finished),
            Err(failure) => recovery.failures.push(Failure {
                message: format!("The run `{}` could not be recovered: {}", entry.id, failure.message),
                ..failure
            }),
        }
    }
    Ok(recovery)
}

/// Clears the references of runs that have no journal any more, in one transaction: removing a packed reference rewrites
/// the file of all packed references, which no finishing run should pay for.
///
/// # Errors
/// When git's references can't be read or changed.
pub fn clear_stale_references(ports: &Ports) -> Result<()> {
    // References first: a run that starts in between has its journal before its reference.
    let mut stale = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = ports.repository.references(layout::RUNNING, after.as_deref(), 1_000)?;
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        stale.extend(page.into_iter().map(|reference| reference.name));
    }
    let alive = ports.journal.entries()?;
    stale.retain(|name| name.strip_prefix(layout::RUNNING).is_none_or(|id| !alive.iter().any(|entry| entry.id == id)));
    if !stale.is_empty() {
        ports.repository_edit.remove_references(&stale)?;
    }
    Ok(())
}

fn recover_one(ports: &Ports, entry: &JournalEntry) -> Result<Option<Finished>> {
    let writer = match ports.journal.open(&entry.id) {
        Ok(Some(writer)) => writer,
        // Somebody else was faster, or it came back to life: either way it is in good hands.
        Ok(None) | Err(PortError::Conflict(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let state = State::read(&*ports.journal, &entry.id)?;
    if state.started.is_none() {
        if state.damaged || state.length > 0 {
            return Err(Failure::new(FailureKind::Unreadable, "Its journal does not begin as this version knows it")
                .hint(format!("The journal stays where it is: `.git/aurum/runs/{}`", entry.id)));
        }
        // The process died before its first call was accepted.
        ports.journal.remove(&entry.id)?;
        return Ok(None);
    }
    writer.truncate(state.length)?;
    if state.ending.is_none() {
        let time = entry.modified.max(state.last_time);
        append(&*writer, state.sequence, &Event::Finishing(Ending { status: Status::Killed, time, problem: None }))?;
        writer.sync()?;
    }
    seal(ports, &entry.id, &*writer, &state).map(Some)
}

/// The tree that the experiment's files are put into: the snapshot, or HEAD's tree where a power cut took the snapshot.
fn base(ports: &Ports, started: &mut Started) -> Result<Box<dyn TreeEdit>> {
    let error = match ports.repository_edit.begin_tree(Some(&started.tree)) {
        Err(error @ (PortError::Other(_) | PortError::Conflict(_))) => error,
        snapshot => return Ok(snapshot?),
    };
    let Some(tree) = started.head_tree.clone().filter(|tree| *tree != started.tree) else { return Err(error.into()) };
    let edit = ports.repository_edit.begin_tree(Some(&tree))?;
    started.tree = tree;
    started.left_out.push(LeftOut { path: ".".to_owned(), size: 0, modified: 0, reason: Reason::Unreadable });
    Ok(edit)
}

/// From `Finishing` on, with what the journal said before. Doing it again, from wherever it was cut off, leads to the same commit.
fn seal(ports: &Ports, id: &str, writer: &dyn JournalWriter, found: &State) -> Result<Finished> {
    if let Some(finished) = seal_committed(ports, id, writer, found)? {
        return Ok(finished);
    }
    let mut log = Text::begin(ports)?;
    let mut metrics = report::MetricLines::new(Text::begin(ports)?);
    let mut folder = Folder::new();
    let mut state = State::read_with(&*ports.journal, id, &mut |state, event| {
        match event {
            Event::Output { stream, bytes } => {
                folder.feed(*stream, bytes, &mut |text| log.write(text))?;
            }
            Event::Measured { elapsed, measurements } => {
                for measurement in measurements {
                    metrics.add(&state.names, *elapsed, measurement)?;
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    folder.finish(&mut |text| log.write(text))?;
    let incomplete = || Failure::new(FailureKind::Unreadable, format!("The journal of `{id}` is not complete"));
    let mut started = state.started.take().ok_or_else(incomplete)?;
    let ending = state.ending.take().ok_or_else(incomplete)?;
    if let Some(problem) = &ending.problem
        && !log.ends_with(problem.traceback.trim_end())
    {
        log.begin_line()?;
        log.write(problem.traceback.as_bytes())?;
    }

    let requirements = report::requirements(&state.packages);
    let mut tree = base(ports, &mut started)?;
    let record = report::record(&started, &ending, &state, &requirements);
    let text = record.to_text()?;
    // What an experiment that was checked out brought along is not a part of this one.
    for other in earlier_experiments(ports, &started.tree)? {
        tree.remove(&layout::log(&other))?;
    }
    tree.remove(layout::EXPERIMENTS)?;
    tree.put(&layout::record(id), &blob(ports, text.as_bytes())?)?;
    tree.put(&layout::metrics(id), &metrics.into_text().finish()?)?;
    tree.put(&layout::requirements(id), &blob(ports, requirements.as_bytes())?)?;
    tree.put(&layout::log(id), &log.finish()?)?;
    let (name, email) = started.identity.clone();
    let commit = ports.repository_edit.commit(&CommitPlan {
        tree: tree.write()?,
        parents: started.head.iter().cloned().collect(),
        signature: Signature {
            identity: Identity { name, email },
            seconds: i64::try_from(ending.time / 1000).unwrap_or(i64::MAX),
            offset_minutes: started.offset_minutes,
        },
        message: report::message(&record),
    })?;

    append(writer, state.sequence, &Event::Committed(commit.clone()))?;
    writer.sync()?;
    close(ports, id, writer, state.sequence + 1, ending.status, commit)
}

/// Takes up a journal whose commit is on stable storage already: another version of Aurum might write another one.
fn seal_committed(ports: &Ports, id: &str, writer: &dyn JournalWriter, found: &State) -> Result<Option<Finished>> {
    let (Some(commit), Some(ending)) = (&found.committed, &found.ending) else { return Ok(None) };
    let record = Location { root: commit.clone(), path: layout::record(id) };
    match ports.repository.read_files(&[record])?.first() {
        Some(Some(_)) => close(ports, id, writer, found.sequence, ending.status, commit.clone()).map(Some),
        _ => Ok(None),
    }
}

/// The last steps, from the tag on.
fn close(
    ports: &Ports,
    id: &str,
    writer: &dyn JournalWriter,
    sequence: u64,
    status: Status,
    commit: String,
) -> Result<Finished> {
    mark(ports, id, &commit)?;
    append(writer, sequence, &Event::Done)?;
    writer.sync()?;
    ports.journal.remove(id)?;
    Ok(Finished { id: id.to_owned(), status, commit, tag: layout::tag(id) })
}

/// Tags the commit; a tag that is there already and on the same commit is what a former try left.
fn mark(ports: &Ports, id: &str, commit: &str) -> Result<()> {
    let name = format!("{}{id}", layout::TAGS);
    match ports.repository_edit.set_reference(&name, None, commit, true) {
        Err(PortError::Conflict(why)) => {
            let there = ports.repository.references(&name, None, 1)?;
            if there.iter().any(|reference| reference.name == name && reference.target == commit) {
                // Whoever set it may have died before it was on stable storage.
                return Ok(ports.repository_edit.set_reference(&name, Some(commit), commit, true)?);
            }
            Err(Failure::new(
                FailureKind::InTheWay,
                format!("The experiment's tag `{}` can't be made: {why}", layout::tag(id)),
            )
            .hint("Nothing is lost: once the way is free, run `au recover`"))
        }
        other => Ok(other?),
    }
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

    /// Whether the text so far ends in this, trailing white space aside. The last 256 KiB are looked at.
    fn ends_with(&self, end: &str) -> bool {
        self.buffer.trim_ascii_end().ends_with(end.as_bytes())
    }

    fn finish(mut self) -> Result<String, PortError> {
        self.writer.write(&self.buffer)?;
        self.writer.finish()
    }
}
