//! The long texts of one experiment: what it printed, and every value of its metrics. They go to a sink in pieces, so that none is ever
//! held whole.

use crate::error::{PortError, Result};
use crate::history::{self, Found};
use crate::journal::event::{Event, Started};
use crate::journal::fold::{State, children};
use crate::journal::reader::Reader;
use crate::output::{Folder, Origin};
use crate::ports::{Journal, Location, Ports, Sink};
use crate::record::Record;
use crate::report::MetricLines;
use crate::stretches::{self, Counting};
use crate::{layout, project, records};

/// Takes a piece of a text.
pub(crate) type Take<'a> = dyn FnMut(&[u8]) -> Result<(), PortError> + 'a;

/// Writes what an experiment printed, both streams as they came, of a progress bar the last state. Of a run that is not saved yet it
/// is what there is so far; of that, lines that have not ended are left out unless `unended`.
///
/// # Errors
/// For selectors that name nothing or too much, and when a capability fails.
pub fn write_log(ports: &Ports, selector: &str, unended: bool, sink: &dyn Sink) -> Result<()> {
    write(ports, selector, layout::log, false, sink, |id, take| {
        let children = children(&*ports.journal, id)?;
        let started = begun(&*ports.journal, id)?;
        if let Some(started) = &started {
            before(ports, started, layout::log, take)?;
        }
        let (_, folder) = fold(&*ports.journal, id, &children, 0, Some(take), None)?;
        if unended { Ok(folder.finish(take)?) } else { Ok(()) }
    })
}

/// Writes every value of every metric that counts, a JSON object a line in the order of logging; `docs/record-format.md` describes it. Of a run
/// that is not saved yet it is what there is so far.
///
/// # Errors
/// As [`write_log`].
pub fn write_metrics(ports: &Ports, selector: &str, sink: &dyn Sink) -> Result<()> {
    write(ports, selector, layout::metrics, true, sink, |id, take| {
        let children = children(&*ports.journal, id)?;
        let started = begun(&*ports.journal, id)?;
        let former = started.as_ref().map_or(Ok(None), |started| stretches::former(ports, started))?;
        let (Some(started), Some(former)) = (started, former) else {
            return fold(&*ports.journal, id, &children, 0, None, Some(take)).map(drop);
        };
        let (mut counting, stretch) = (Counting::default(), stretch_of(&former));
        let mut note = |text: &[u8]| note(&mut counting, text);
        fold(&*ports.journal, id, &children, stretch, None, Some(&mut note))?;
        if let Some(resumed) = started.resumed {
            let file = Location { root: resumed.commit, path: layout::metrics(id) };
            write_counting(ports, &file, &mut counting, take)?;
        }
        fold(&*ports.journal, id, &children, stretch, None, Some(take)).map(drop)
    })
}

/// How a run began, as far as its journal says it.
pub(crate) fn begun(journal: &dyn Journal, id: &str) -> Result<Option<Started>> {
    Ok(match Reader::new(journal, id).next_event()? {
        Some(Event::Started(started)) => Some(*started),
        _ => None,
    })
}

/// Which stretch the one is that goes on from this.
pub(crate) fn stretch_of(former: &Record) -> u32 {
    u32::try_from(former.stretches.len()).unwrap_or(u32::MAX).saturating_add(1)
}

/// Takes in which steps lines have.
pub(crate) fn note(counting: &mut Counting, lines: &[u8]) -> Result<(), PortError> {
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        counting.note(&serde_json::from_slice(line).map_err(|error| PortError::Other(error.to_string()))?);
    }
    Ok(())
}

/// Writes the lines of a file whose values count.
fn write_counting(ports: &Ports, file: &Location, counting: &mut Counting, take: &mut Take<'_>) -> Result<()> {
    stretches::each_line(ports, file, &mut |line, _| {
        counting.note(&line);
        Ok(())
    })?;
    stretches::each_line(ports, file, &mut |line, text| if counting.counts(&line) { Ok(take(text)?) } else { Ok(()) })
}

/// What the experiment had of a text before this stretch, with the end of its last line.
pub(crate) fn before(ports: &Ports, started: &Started, path: fn(&str) -> String, take: &mut Take<'_>) -> Result<()> {
    let Some(resumed) = &started.resumed else { return Ok(()) };
    let file = Location { root: resumed.commit.clone(), path: path(&started.id) };
    let mut last = None;
    stretches::each_piece(ports, &file, &mut |piece| {
        last = piece.last().copied().or(last);
        Ok(take(piece)?)
    })?;
    if last.is_some_and(|last| last != b'\n') { Ok(take(b"\n")?) } else { Ok(()) }
}

fn write(
    ports: &Ports,
    selector: &str,
    path: fn(&str) -> String,
    counting: bool,
    sink: &dyn Sink,
    unsaved: impl FnOnce(&str, &mut Take<'_>) -> Result<()>,
) -> Result<()> {
    project::require(ports)?;
    let id = match history::find(ports, selector)? {
        Found::Saved(saved) => {
            let location = Location { root: saved.commit.clone(), path: path(&saved.id) };
            if counting && !records::read_one(ports, &saved)?.stretches.is_empty() {
                let mut pieces = Pieces { sink, buffer: Vec::new() };
                write_counting(ports, &location, &mut Counting::default(), &mut |text| pieces.take(text))?;
                return Ok(sink.write(&pieces.buffer)?);
            }
            return if ports.repository.copy_file(&location, sink)? {
                Ok(())
            } else {
                let what = format!("`{}` is not in the commit `{}`", location.path, saved.commit);
                Err(PortError::Other(what).into())
            };
        }
        Found::Unsaved(id) => id,
    };
    let mut pieces = Pieces { sink, buffer: Vec::new() };
    unsaved(&id, &mut |text| pieces.take(text))?;
    Ok(sink.write(&pieces.buffer)?)
}

/// Text on its way to a sink, handed over in large pieces.
struct Pieces<'s> {
    sink: &'s dyn Sink,
    buffer: Vec<u8>,
}

impl Pieces<'_> {
    fn take(&mut self, text: &[u8]) -> Result<(), PortError> {
        /// Bytes that are handed over at once.
        const PIECE: usize = 256 << 10;
        self.buffer.extend_from_slice(text);
        if self.buffer.len() >= PIECE {
            self.sink.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// Folds a run's journals, and gives out the texts that they come to. Of the log the lines that have not ended are still in the
/// folder that is answered.
///
/// # Errors
/// When a journal can't be read, and those of the takers.
pub(crate) fn fold(
    journal: &dyn Journal,
    id: &str,
    children: &[(u32, u64)],
    stretch: u32,
    mut log: Option<&mut Take<'_>>,
    mut metrics: Option<&mut Take<'_>>,
) -> Result<(State, Folder)> {
    let (mut lines, mut folder) = (MetricLines::of(stretch), Folder::new());
    let state = State::merge(journal, id, children, &mut |state, moment| {
        match (&moment.event, &mut log, &mut metrics) {
            (Event::Output { stream, bytes, .. }, Some(log), _) => {
                folder.feed(Origin { process: moment.process, stream: *stream }, bytes, *log)?;
            }
            (Event::Measured { elapsed, measurements }, _, Some(metrics)) => {
                for measurement in measurements {
                    if let Some(line) = lines.line(&state.names, moment.process, *elapsed, measurement) {
                        metrics(line.as_bytes())?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok((state, folder))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::error::FailureKind;
    use crate::metrics::Number;
    use crate::record::Status;
    use crate::run::{Options, Run};
    use crate::testing::{Collected, World};

    fn collect(write: impl FnOnce(&dyn Sink) -> Result<()>) -> String {
        let sink = Collected::default();
        write(&sink).unwrap();
        String::from_utf8(sink.0.into_inner()).unwrap()
    }

    #[test]
    fn a_run_under_way_shows_what_it_will_have() {
        let world = World::project();
        let ports = world.ports();
        let log = |unended| collect(|sink| write_log(&ports, "@", unended, sink));
        let metrics = || collect(|sink| write_metrics(&ports, "@", sink));
        let run = Run::start(&ports, Options::default()).unwrap();
        run.output(1, b" 50%\r100%\nbeg").unwrap();
        for step in 0..3 {
            run.log(&[("loss".to_owned(), Number::Integer(step))], None).unwrap();
        }
        assert_eq!((log(false).as_str(), log(true).as_str()), ("100%\n", "100%\nbeg"));
        assert_eq!(metrics().lines().count(), 3);
        run.output(1, b"un\nend").unwrap();
        let (before, values) = ((log(false), log(true)), metrics());
        assert_eq!((before.0.as_str(), before.1.as_str()), ("100%\nbegun\n", "100%\nbegun\nend"));
        run.finish(Status::Finished, None).unwrap();
        assert_eq!((log(false), log(true), metrics()), (before.1.clone(), before.1, values));
    }

    #[test]
    fn texts_of_any_length_pass_in_pieces() {
        let world = World::project();
        let ports = world.ports();
        let run = Run::start(&ports, Options::default()).unwrap();
        let line = format!("{}\n", "x".repeat(99));
        (0..5_000).for_each(|_| run.output(1, line.as_bytes()).unwrap());
        let unsaved = collect(|sink| write_log(&ports, "@", true, sink));
        assert_eq!(unsaved, line.repeat(5_000));
        run.finish(Status::Finished, None).unwrap();
        assert_eq!(collect(|sink| write_log(&ports, "@", true, sink)), unsaved);
        let unknown = write_log(&ports, "nobody", true, &Collected::default()).unwrap_err();
        assert_eq!(unknown.kind, FailureKind::UnknownExperiment);
    }
}
