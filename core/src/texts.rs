//! The long texts of one experiment: what it printed, and every value of its metrics. They go to a sink in pieces, so that none is ever
//! held whole.

use crate::error::{PortError, Result};
use crate::history::{self, Found};
use crate::journal::event::Event;
use crate::journal::fold::{State, children};
use crate::output::{Folder, Origin};
use crate::ports::{Journal, Location, Ports, Sink};
use crate::report::MetricLines;
use crate::{layout, project};

/// Takes a piece of a text.
pub(crate) type Take<'a> = dyn FnMut(&[u8]) -> Result<(), PortError> + 'a;

/// Writes what an experiment printed, both streams as they came, of a progress bar the last state. Of a run that is not saved yet it
/// is what there is so far; of that, lines that have not ended are left out unless `unended`.
///
/// # Errors
/// For selectors that name nothing or too much, and when a capability fails.
pub fn write_log(ports: &Ports, selector: &str, unended: bool, sink: &dyn Sink) -> Result<()> {
    write(ports, selector, layout::log, sink, |id, take| {
        let children = children(&*ports.journal, id)?;
        let (_, folder) = fold(&*ports.journal, id, &children, Some(take), None)?;
        if unended { Ok(folder.finish(take)?) } else { Ok(()) }
    })
}

/// Writes every value of every metric, a JSON object a line in the order of logging; `docs/record-format.md` describes it. Of a run
/// that is not saved yet it is what there is so far.
///
/// # Errors
/// As [`write_log`].
pub fn write_metrics(ports: &Ports, selector: &str, sink: &dyn Sink) -> Result<()> {
    write(ports, selector, layout::metrics, sink, |id, take| {
        fold(&*ports.journal, id, &children(&*ports.journal, id)?, None, Some(take)).map(drop)
    })
}

fn write(
    ports: &Ports,
    selector: &str,
    path: fn(&str) -> String,
    sink: &dyn Sink,
    unsaved: impl FnOnce(&str, &mut Take<'_>) -> Result<()>,
) -> Result<()> {
    /// Bytes that are handed over at once.
    const PIECE: usize = 256 << 10;
    project::require(ports)?;
    let id = match history::find(ports, selector)? {
        Found::Saved(saved) => {
            let location = Location { root: saved.commit.clone(), path: path(&saved.id) };
            return if ports.repository.copy_file(&location, sink)? {
                Ok(())
            } else {
                let what = format!("`{}` is not in the commit `{}`", location.path, saved.commit);
                Err(PortError::Other(what).into())
            };
        }
        Found::Unsaved(id) => id,
    };
    let mut buffer = Vec::new();
    unsaved(&id, &mut |text| {
        buffer.extend_from_slice(text);
        if buffer.len() >= PIECE {
            sink.write(&buffer)?;
            buffer.clear();
        }
        Ok(())
    })?;
    Ok(sink.write(&buffer)?)
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
    mut log: Option<&mut Take<'_>>,
    mut metrics: Option<&mut Take<'_>>,
) -> Result<(State, Folder)> {
    let (mut lines, mut folder) = (MetricLines::default(), Folder::new());
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
    use std::cell::RefCell;

    use super::*;
    use crate::error::FailureKind;
    use crate::metrics::Number;
    use crate::ports::PortResult;
    use crate::record::Status;
    use crate::run::{Options, Run};
    use crate::testing::World;

    #[derive(Default)]
    struct Collected(RefCell<Vec<u8>>);

    impl Sink for Collected {
        fn write(&self, bytes: &[u8]) -> PortResult<()> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(())
        }
    }

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
