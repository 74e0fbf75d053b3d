//! The trackers of this process and what goes on with them, each behind one lock: that of the run that all threads share, and one for
//! each block that is a run besides (`scope.rs`).
//!
//! The lock's rules: the process is compared before the lock is touched, since in a forked child it may be locked for good: a child
//! has a session of its own. And no Python object is made, used or dropped while it is held, since any of that may run code that prints, which
//! leads back here. Hence the work done under it is handed plain Rust values and answers with some.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use aurum_host::capabilities::interpreter::Interpreter;
use aurum_host::capabilities::journal::quiet;
use aurum_host::grants::Grants;
use aurum_host::{Failure, FailureKind, Warning};
use aurum_host::{FinishedRun, Measurement, Number, Outcome, OutputStream, Problem, Reading, RunOptions, Tracker};
use pyo3::prelude::*;

use crate::gate::Gate;
use crate::{process, sampling, scope};

/// What is kept of the output before the first tracking call.
const KEPT: usize = 1 << 20;

/// What of it is dropped at once, the oldest first.
const PIECE: usize = 64 << 10;

/// Files read before the first tracking call that are remembered: as many as a record names.
const READINGS: usize = 500;

/// What is handed to the tracker at once.
const CHUNK: usize = 256 << 10;

/// Of the process that imported `aurum`.
static OWN: LazyLock<Shared> = LazyLock::new(Shared::default);

/// That of a child forked from it, and which child that is. Only whoever has the interpreter's lock takes this one, and for no longer
/// than a look takes, so that no fork finds it locked.
static OF_CHILD: Mutex<Option<(u32, &'static Shared)>> = Mutex::new(None);

type Result<T> = std::result::Result<T, Failure>;

/// What a tracker is opened over.
pub(crate) struct Site {
    pub(crate) root: PathBuf,
    pub(crate) interpreter: Interpreter,
}

/// Whether calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The next tracking call starts a run.
    #[default]
    Idle,
    /// A run is under way.
    Running,
    /// It could not be started: until the experiment's end nothing is tried again.
    GivenUp,
    /// The process is ending.
    Closed,
}

/// The sessions of one process, and what keeps forks and work in them apart.
#[derive(Default)]
struct Shared {
    session: Mutex<Session>,
    /// Those of blocks, by number. Only whoever has the interpreter's lock takes this lock, and for a look.
    blocks: Mutex<Vec<(u32, Arc<Mutex<Session>>)>>,
    gate: Gate,
}

impl Shared {
    fn block(&self, number: u32) -> Arc<Mutex<Session>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, session)) = blocks.iter().find(|(known, _)| *known == number) {
            return session.clone();
        }
        let session = Arc::<Mutex<Session>>::default();
        blocks.push((number, session.clone()));
        session
    }
}

/// The session that a call is for.
enum Place {
    Shared(&'static Mutex<Session>),
    Block(Arc<Mutex<Session>>),
}

impl Deref for Place {
    type Target = Mutex<Session>;

    fn deref(&self) -> &Mutex<Session> {
        match self {
            Self::Shared(session) => session,
            Self::Block(session) => session,
        }
    }
}

fn place(py: Python<'_>) -> Place {
    match scope::current(py) {
        scope::SHARED => Place::Shared(&current().session),
        number => Place::Block(current().block(number)),
    }
}

/// The blocks that have a session in this process.
pub(crate) fn blocks() -> Vec<u32> {
    let blocks = current().blocks.lock().unwrap_or_else(PoisonError::into_inner);
    blocks.iter().map(|(number, _)| *number).collect()
}

/// Lets go of a block's session.
pub(crate) fn forget(number: u32) {
    let mut blocks = current().blocks.lock().unwrap_or_else(PoisonError::into_inner);
    let forgotten = blocks.iter().position(|(known, _)| *known == number).map(|at| blocks.swap_remove(at));
    drop(blocks);
    drop(forgotten);
}

#[derive(Default)]
pub(crate) struct Session {
    tracker: Option<(PathBuf, Tracker)>,
    standing: Standing,
    kept: Kept,
    /// The numbers of the metrics that were logged one at a time.
    metrics: HashMap<String, u32>,
    /// Models loaded before the run: their names and experiments.
    inputs: Vec<(String, String)>,
    /// Files read past the project before the run.
    readings: Vec<Reading>,
}

/// Work of microseconds, done without letting go of the interpreter, unless somebody else is at it.
pub(crate) fn short<T: Send>(py: Python<'_>, work: impl FnOnce(&mut Session) -> T + Send) -> T {
    sampling::resume();
    let session = place(py);
    match session.try_lock() {
        Ok(mut session) => work(&mut session),
        Err(TryLockError::Poisoned(poisoned)) => work(&mut poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => wait(py, &session, work),
    }
}

/// Work of milliseconds or more: other threads of Python go on meanwhile.
pub(crate) fn long<T: Send>(py: Python<'_>, work: impl FnOnce(&mut Session) -> T + Send) -> T {
    wait(py, &place(py), work)
}

fn wait<T: Send>(py: Python<'_>, session: &Mutex<Session>, work: impl FnOnce(&mut Session) -> T + Send) -> T {
    let _inside = current().gate.enter(|| pause(py));
    py.detach(|| work(&mut session.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Work on the run that all threads share, after the interpreter has ended. None where another thread is at it for good.
pub(crate) fn without_python<T>(work: impl FnOnce(&mut Session) -> T) -> Option<T> {
    /// Whoever is at it has no interpreter to come back to, but does come to the end of its work.
    const TRIES: u32 = 5_000;
    for _ in 0..TRIES {
        match current().session.try_lock() {
            Ok(mut session) => return Some(work(&mut session)),
            Err(TryLockError::Poisoned(poisoned)) => return Some(work(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

/// Logs values from a thread that has nothing to do with Python, and is there at no fork.
pub(crate) fn log_from_thread(measurements: &[Measurement]) -> Result<()> {
    let mut session = OWN.session.lock().unwrap_or_else(PoisonError::into_inner);
    match session.standing {
        Standing::Running => session.log(measurements, None),
        _ => Ok(()),
    }
}

/// Waits, within reason, until no other thread is within the tracker, and ends threads of its own. Whoever keeps the interpreter's lock from here
/// to the fork leaves no lock of the tracker's, or of what it is made of, locked for good in the child.
pub(crate) fn before_fork(py: Python<'_>) {
    sampling::before_fork(py);
    current().gate.before_fork(|| pause(py));
    quiet();
}

/// Lets other threads of Python go on for a moment.
fn pause(py: Python<'_>) {
    py.detach(|| thread::sleep(Duration::from_millis(1)));
}

/// What this very process shares between its threads.
fn current() -> &'static Shared {
    if process::is_own() {
        return &OWN;
    }
    let mut of_child = OF_CHILD.lock().unwrap_or_else(PoisonError::into_inner);
    match &*of_child {
        Some((child, shared)) if *child == std::process::id() => shared,
        _ => {
            // Never freed: of a child forked from this one, which may find it locked, this is no more than forgotten.
            let shared: &'static Shared = Box::leak(Box::default());
            *of_child = Some((std::process::id(), shared));
            shared
        }
    }
}

/// A panic is a fault of ours, and no reason to end a training.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let hint =
            "This is a fault of Aurum's. What was logged is kept: `au recover` saves it once the script has ended";
        Err(Failure::new(FailureKind::Internal, "The tracker stopped", hint))
    })
}

impl Session {
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Nothing is recorded until the experiment's end.
    pub(crate) fn give_up(&mut self) {
        if self.standing == Standing::Idle {
            self.standing = Standing::GivenUp;
            self.kept = Kept::default();
        }
    }

    /// Does something with the tracker, opened where needed.
    pub(crate) fn with_tracker<T>(&mut self, site: Site, work: impl FnOnce(&mut Tracker) -> Result<T>) -> Result<T> {
        guarded(|| {
            let Self { tracker, standing, .. } = self;
            // The folder may have become a project since.
            if *standing != Standing::Running && tracker.as_ref().is_some_and(|(root, _)| *root != site.root) {
                *tracker = None;
            }
            let tracker = match tracker {
                Some((_, tracker)) => tracker,
                None => {
                    let opened = Tracker::open(&site.root, Grants::local(), site.interpreter)?;
                    &mut tracker.insert((site.root, opened)).1
                }
            };
            work(tracker)
        })
    }

    /// Does something with the run under way; nothing where there is none.
    pub(crate) fn with_run<T>(&mut self, work: impl FnOnce(&mut Tracker) -> Result<T>) -> Result<Option<T>> {
        match &mut self.tracker {
            Some((_, tracker)) if self.standing == Standing::Running => guarded(|| work(tracker)).map(Some),
            _ => Ok(None),
        }
    }

    /// Starts a run, and hands it the output and the inputs there were before.
    pub(crate) fn begin(&mut self, site: Site, options: &RunOptions) -> Result<()> {
        if self.standing != Standing::Idle {
            return Ok(());
        }
        let inputs = std::mem::take(&mut self.inputs);
        let readings = std::mem::take(&mut self.readings);
        let kept = std::mem::take(&mut self.kept);
        if let Err(failure) = self.with_tracker(site, |tracker| tracker.start(options)) {
            (self.inputs, self.readings, self.kept) = (inputs, readings, kept);
            return Err(failure);
        }
        self.standing = Standing::Running;
        self.with_run(|tracker| {
            for (stream, bytes) in &kept.pieces {
                tracker.output(*stream, bytes)?;
            }
            for (name, experiment) in &inputs {
                tracker.find_model(name, Some(experiment), None)?;
            }
            readings.iter().try_for_each(|reading| tracker.note_reading(reading))
        })?;
        Ok(())
    }

    /// Takes part in a run that another process has started.
    pub(crate) fn join(&mut self, site: Site, id: &str) -> Result<()> {
        if self.standing != Standing::Idle {
            return Ok(());
        }
        self.with_tracker(site, |tracker| tracker.join(id))?;
        self.standing = Standing::Running;
        Ok(())
    }

    /// Ends this child's part in a run, on stable storage.
    pub(crate) fn part(&mut self) -> Result<()> {
        let flushed = self.with_run(Tracker::flush);
        self.standing = Standing::Closed;
        if let Some((_, tracker)) = &mut self.tracker {
            tracker.abandon();
        }
        flushed.map(drop)
    }

    /// What there is of the run under way, whatever else fails: its id, and where it can be found.
    pub(crate) fn what_is_left(&self) -> Option<(String, String)> {
        let (_, tracker) = self.tracker.as_ref()?;
        Some((tracker.run_id()?.to_owned(), tracker.what_is_left()?))
    }

    /// The id of the run under way.
    pub(crate) fn run_id(&self) -> Option<String> {
        Some(self.tracker.as_ref()?.1.run_id()?.to_owned())
    }

    /// Whether it is time to have the servers looked at that data came from; true once a run.
    pub(crate) fn servers_due(&mut self) -> bool {
        self.with_run(|tracker| Ok(tracker.servers_due())).ok().flatten().unwrap_or_default()
    }

    /// Returns once all that was recorded is on stable storage; does nothing where no run is under way.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.with_run(Tracker::flush).map(drop)
    }

    /// A model was loaded outside of a run: the next one has it as an input.
    pub(crate) fn loaded(&mut self, name: String, experiment: String) {
        let input = (name, experiment);
        if self.standing == Standing::Idle && !self.inputs.contains(&input) {
            self.inputs.push(input);
        }
    }

    /// A file was read past the project: of the run under way, else of the next one.
    pub(crate) fn read(&mut self, reading: Reading) -> Result<()> {
        if self.standing == Standing::Idle && self.readings.len() < READINGS {
            self.readings.push(reading);
            return Ok(());
        }
        self.with_run(|tracker| tracker.note_reading(&reading)).map(drop)
    }

    /// Logs one value of a metric that is known by number; none where something else is the case.
    pub(crate) fn log_known(&mut self, name: &str, value: f64, step: Option<u64>) -> Option<Result<()>> {
        if self.standing != Standing::Running {
            return None;
        }
        let (metric, (_, tracker)) = (*self.metrics.get(name)?, self.tracker.as_mut()?);
        Some(guarded(|| tracker.log_one(metric, value, step)))
    }

    pub(crate) fn log(&mut self, measurements: &[Measurement], step: Option<u64>) -> Result<()> {
        let known = self.with_run(|tracker| {
            tracker.log(measurements, step)?;
            match measurements {
                [Measurement { name, value: Number::Float(_) }] => {
                    tracker.intern(name).map(|number| Some((name, number)))
                }
                _ => Ok(None),
            }
        })?;
        if let Some(Some((name, number))) = known {
            self.metrics.insert(name.clone(), number);
        }
        Ok(())
    }

    pub(crate) fn output(&mut self, stream: OutputStream, text: &[u8]) -> Result<()> {
        if self.standing == Standing::Idle {
            self.kept.push(stream, text);
            return Ok(());
        }
        let mut chunks = text.chunks(CHUNK);
        self.with_run(|tracker| chunks.try_for_each(|chunk| tracker.output(stream, chunk)))?;
        Ok(())
    }

    /// Finishes the run under way, if one is. Afterwards things stand as given.
    pub(crate) fn end(
        &mut self,
        outcome: Outcome,
        problem: Option<&Problem>,
        next: Standing,
    ) -> Option<Result<FinishedRun>> {
        let finished = self.with_run(|tracker| tracker.finish(outcome, problem));
        if self.standing != Standing::Closed {
            self.standing = next;
        }
        self.metrics.clear();
        if let (Err(_), Some((_, tracker))) = (&finished, &mut self.tracker) {
            tracker.abandon();
        }
        finished.transpose()
    }

    pub(crate) fn take_warnings(&mut self) -> Vec<Warning> {
        self.tracker.as_mut().map(|(_, tracker)| tracker.take_warnings()).unwrap_or_default()
    }
}

/// The newest output, as long as there is no run to have it.
#[derive(Default)]
struct Kept {
    pieces: VecDeque<(OutputStream, Vec<u8>)>,
    size: usize,
}

impl Kept {
    fn push(&mut self, stream: OutputStream, text: &[u8]) {
        let text = &text[text.len().saturating_sub(KEPT)..];
        self.size += text.len();
        for piece in text.chunks(PIECE) {
            // A print of one character must not cost an allocation that outweighs it.
            match self.pieces.back_mut() {
                Some((last, bytes)) if *last == stream && bytes.len() + piece.len() <= PIECE => {
                    bytes.extend_from_slice(piece);
                }
                _ => self.pieces.push_back((stream, piece.to_vec())),
            }
        }
        while self.size > KEPT {
            let Some((_, oldest)) = self.pieces.pop_front() else { break };
            self.size -= oldest.len();
        }
    }
}
