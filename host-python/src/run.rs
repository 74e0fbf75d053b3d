//! The run's beginning, its output and its end.

use std::sync::atomic::{AtomicUsize, Ordering};

use aurum_host::{Failure, FailureKind};
use aurum_host::{Outcome, OutputStream, Problem, RunOptions};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule, PyString};

use crate::errors::{explained, invalid_value, is_mistake, raise};
use crate::extras::words;
use crate::membership::{self, Membership};
use crate::rank::Rank;
use crate::session::{self, Site, Standing, long, short};
use crate::{exit_status, fetch, opened, parameters, process, reading, sampling, scope, warn};

/// Where the tracker is opened: the project, else the working folder, in which nothing is recorded.
pub(crate) fn site(py: Python<'_>) -> Site {
    let root = process::project(py).or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| "/".into());
    Site { root, interpreter: process::interpreter(py) }
}

/// Whether this child has a part in its parent's run, taken up now where it is time to. What the script prints is no reason to warn.
pub(crate) fn join(py: Python<'_>, printing: bool) -> bool {
    if process::other_rank().is_some() {
        return false;
    }
    // It runs the script's top level once more: its parent has recorded that.
    if process::is_inheriting(py) {
        return false;
    }
    let Some(run) = membership::of_child(py) else {
        if !printing {
            short(py, |session| session.give_up());
            let hint = "Begin the run before its children, such as by `aurum.start()`".to_owned();
            warn::warn(py, "What this child logs is not recorded: no run was under way when it began", &[hint]);
        }
        return false;
    };
    let site = Site { root: run.root.clone(), interpreter: process::interpreter(py) };
    let (joined, warnings) = long(py, |session| (session.join(site, &run.id), session.take_warnings()));
    if let Err(failure) = joined {
        short(py, |session| session.give_up());
        if !printing || failure.kind != FailureKind::UnknownExperiment {
            warn::failed(py, "What this child logs is not recorded", &failure);
        }
        return false;
    }
    membership::enter(py, scope::current(py), run);
    keep_output(py);
    warn::pass_on(py, &warnings);
    true
}

/// What a script says of a run at its beginning.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    pub(crate) name: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) tags: Vec<String>,
    /// The experiment to go on with.
    pub(crate) resume: Option<String>,
}

impl Beginning {
    /// With tags as Python has them.
    pub(crate) fn new(
        name: Option<String>,
        tags: Option<&Bound<'_, PyAny>>,
        group: Option<String>,
        resume: Option<String>,
    ) -> PyResult<Self> {
        Ok(Self { name, group, tags: tags.map(words).transpose()?.unwrap_or_default(), resume })
    }

    /// Whether the script asked for anything: only that can be a mistake.
    fn asks(&self) -> bool {
        self.name.is_some() || self.group.is_some() || !self.tags.is_empty() || self.resume.is_some()
    }
}

/// Whether a run is under way, started now where it is time to. Only what the script asks for can be a mistake.
pub(crate) fn enter(py: Python<'_>, beginning: Beginning) -> PyResult<bool> {
    match short(py, |session| session.standing()) {
        Standing::Running => {
            look_at_streams(py);
            return Ok(true);
        }
        Standing::GivenUp | Standing::Closed => return Ok(false),
        Standing::Idle => {}
    }
    if process::is_disabled(py) {
        return Ok(false);
    }
    if let Some(Rank { rank, size }) = process::other_rank() {
        // Its children have been told by it.
        if !process::is_child() {
            let hint = "Set `AURUM_RANKS=all` to have each rank record an experiment of its own".to_owned();
            warn::note(py, &format!("this is rank {rank} of {size}, and rank 0 records the experiment"), &[hint]);
        }
        short(py, |session| session.give_up());
        return Ok(false);
    }
    if process::is_child() {
        return Ok(join(py, false));
    }
    let Some(root) = process::project(py) else {
        let (why, hint) = process::explain_no_project();
        warn::warn(py, &format!("This run is not recorded: {why}"), &[hint]);
        short(py, |session| session.give_up());
        return Ok(false);
    };
    if let Some(mode) = process::unknown_mode() {
        let hint = "Set it to `disabled` to have nothing recorded, or to none".to_owned();
        warn::warn(py, &format!("`AURUM_MODE={mode}` means nothing, and this run is recorded"), &[hint]);
    }
    let number = scope::current(py);
    if number == scope::SHARED {
        parameters::forget_former(py)?;
    }
    let asked = beginning.asks();
    let Beginning { name, group, tags, resume } = beginning;
    // To train as if from the beginning is not what was asked for.
    let resumes = resume.is_some();
    let options = RunOptions {
        name,
        parent: if number == scope::SHARED { None } else { scope::outer(number) }.or_else(membership::parent),
        group,
        tags,
        resume,
        script: process::script_name(py, &root),
        arguments: process::arguments(py),
        directory: process::directory(&root),
    };
    let site = Site { root: root.clone(), interpreter: process::interpreter(py) };
    let (begun, standing, warnings, id, due) = long(py, |session| {
        let begun = session.begin(site, &options);
        (begun, session.standing(), session.take_warnings(), session.run_id(), session.servers_due())
    });
    if standing == Standing::Running {
        opened::watch(py, &root);
        opened::flush(py);
        if let Some(id) = id {
            membership::enter(py, number, Membership { id, root: root.clone() });
        }
        keep_output(py);
        // What is brought when it is asked for is here before the script has used up its files.
        let _ = py.import("aurum._runs");
        // Without it a script that exits with a code is recorded as finished.
        let _ = py.import("aurum._exit").and_then(|exit| exit.call_method0("install"));
        // Without it, the run of a script that is asked to end is saved by the next one.
        let _ = py.import("aurum._terminate").and_then(|terminate| terminate.call_method0("install"));
        if due {
            fetch::look_at_servers(py, &root);
        }
        // Of the computer as a whole, and of the whole process: no matter of a block's.
        if number == scope::SHARED {
            sample_as_set(py);
            capture_as_set(py);
        }
    }
    warn::pass_on(py, &warnings);
    match begun {
        Ok(()) => {}
        Err(failure) if standing == Standing::Running => warn::lost(py, "Not all of the run is recorded", &failure),
        Err(failure) if asked && (resumes || is_mistake(failure.kind)) => return Err(raise(py, &failure)),
        Err(mut failure) => {
            short(py, |session| session.give_up());
            if failure.hints.is_empty() {
                failure.hints.push("Mend that and run the script again, or set `AURUM_MODE=disabled`".to_owned());
            }
            warn::failed(py, "This run is not recorded", &failure);
        }
    }
    Ok(standing == Standing::Running)
}

/// What a call that recorded something answers: a mistake in it is raised, a failure of ours is warned of.
pub(crate) fn settle<T>(py: Python<'_>, consequence: &str, result: Result<T, Failure>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if is_mistake(failure.kind) => Err(raise(py, &failure)),
        Err(failure) => {
            warn::lost(py, consequence, &failure);
            Ok(None)
        }
    }
}

/// Start recording now, under a name.
///
/// Any other call starts the run too, so this is only needed to say what it is called and where it belongs. In a forked child or a
/// worker of `multiprocessing` the run is its parent's, whatever is given.
///
/// Args:
///     name: A name to select the experiment by, besides its id.
///     tags: Words to find it by, as `aurum.tag` gives it.
///     group: What it belongs to, as `aurum.group` says.
///     resume: An experiment to go on with, named as `aurum.experiment` takes it. What it recorded is kept, and this run is another stretch of
///         it: parameters, models and artefacts of the same name take the place of the earlier ones, steps go on from the last, and where both have a
///         value at a step, the later counts. A run that was lost is saved first.
///     sample_system: Seconds from one sample of the computer's load to the next, 0.1 at least. They are metrics that begin with `system/`:
///         processors, memory, disk and network, and NVIDIA's GPUs. Without it, `git config aurum.sampleSystem SECONDS` counts, else there
///         are none; 0 is none, too.
///     capture: Of which output the log is: `"python"` for what goes through `sys.stdout` and `sys.stderr`, `"fd"` for all that this
///         process and those that it starts print, C libraries and other programs too. Without it, `git config aurum.capture fd` counts,
///         else it is `"python"`. With `"fd"`, the descriptors 1 and 2 are pipes while the run goes on: Python still says that they are a terminal
///         if they were one, and programs in C see none.
///
/// Raises:
///     AurumError: If a run is under way already, if the name, a tag or the group can't be one, or if the experiment to resume is still
///         running.
///     UnknownExperimentError: If no experiment answers to `resume`.
///     InvalidValueError: If the seconds are none, or the capture is neither.
///
/// Example:
///     >>> aurum.start("baseline")
///     >>> aurum.start(sample_system=10)
#[pyfunction]
#[pyo3(signature = (name=None, *, tags=None, group=None, resume=None, sample_system=None, capture=None))]
pub(crate) fn start(
    py: Python<'_>,
    name: Option<String>,
    tags: Option<&Bound<'_, PyAny>>,
    group: Option<String>,
    resume: Option<String>,
    sample_system: Option<&Bound<'_, PyAny>>,
    capture: Option<&str>,
) -> PyResult<()> {
    let seconds = sample_system.map(read_seconds).transpose()?;
    let capture = match capture {
        None => None,
        Some("python") => Some(false),
        Some("fd") => Some(true),
        Some(other) => {
            let message = format!("`capture` is `\"python\"` or `\"fd\"`, not: `{other}`");
            return Err(invalid_value(py, message, "Give `\"fd\"` to keep what is printed past Python as well"));
        }
    };
    let beginning = Beginning::new(name, tags, group, resume)?;
    if process::is_child() {
        return enter(py, Beginning::default()).map(drop);
    }
    if short(py, |session| session.standing()) == Standing::Running {
        let hint = "Call `start` before the other functions, or `end_experiment` first, or have a part of the run be one of its own: `with aurum.run():`";
        return Err(raise(py, &Failure::new(FailureKind::Usage, "A run is under way already", hint)));
    }
    let begun = enter(py, beginning)? && scope::current(py) == scope::SHARED;
    match seconds {
        Some(seconds) if begun && seconds > 0.0 => sampling::start(py, seconds),
        Some(_) => sampling::stop(py, false),
        None => {}
    }
    match capture {
        Some(true) if begun => capture_descriptors(py),
        Some(false) if begun => release_descriptors(py),
        _ => {}
    }
    Ok(())
}

/// Has what is printed past Python kept as well.
fn capture_descriptors(py: Python<'_>) {
    let Some((run, root)) = short(py, |session| session.run_id()).zip(process::project(py)) else { return };
    let Some(program) = fetch::program(py) else {
        let hint = "Install Aurum with `pip install`, which brings the program".to_owned();
        return warn::warn(
            py,
            "What is printed past Python is not recorded: there is no `au` beside this Python",
            &[hint],
        );
    };
    // It warns of what goes wrong by itself.
    let _ = py.import("aurum._capture").and_then(|capture| capture.call_method1("begin", (program, root, run)));
}

/// Has the descriptors lead where they led before, if they don't.
fn release_descriptors(py: Python<'_>) {
    let release = || -> PyResult<()> {
        let modules = py.import("sys")?.getattr("modules")?;
        let capture = modules.call_method1("get", ("aurum._capture",))?;
        if capture.is_none() { Ok(()) } else { capture.call_method0("end").map(drop) }
    };
    let _ = release();
}

/// Captures as git's settings say.
fn capture_as_set(py: Python<'_>) {
    const KEY: &str = "aurum.capture";
    let setting = long(py, |session| session.with_run(|tracker| tracker.setting(KEY)));
    let Ok(Some(Some(text))) = setting else { return };
    match text.as_str() {
        "fd" => capture_descriptors(py),
        "python" => {}
        _ => {
            let hint = format!("Set one of them: `git config {KEY} fd`");
            warn::warn(py, &format!("`{KEY}` is `{text}`, and `fd` and `python` are known"), &[hint]);
        }
    }
}

/// A time between two samples.
fn read_seconds(given: &Bound<'_, PyAny>) -> PyResult<f64> {
    given.extract::<f64>().ok().filter(|seconds| is_period(*seconds)).ok_or_else(|| {
        let shown = given.repr().map_or_else(|_| "this".to_owned(), |text| text.to_string_lossy().into_owned());
        let message = format!("`sample_system` takes seconds from {} on, not: {shown}", sampling::SHORTEST);
        invalid_value(given.py(), message, "Give a number such as `10`, or 0 for no samples")
    })
}

fn is_period(seconds: f64) -> bool {
    seconds == 0.0 || seconds.is_finite() && seconds >= sampling::SHORTEST
}

/// Samples as git's settings say.
fn sample_as_set(py: Python<'_>) {
    const KEY: &str = "aurum.sampleSystem";
    let setting = long(py, |session| session.with_run(|tracker| tracker.setting(KEY)));
    // Settings that can't be read were told of by whoever needs them.
    let Ok(Some(Some(text))) = setting else { return };
    match text.trim().parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && is_period(seconds) => sampling::start(py, seconds),
        Ok(0.0) => {}
        _ => {
            let hint = format!("Set seconds from {} on, or 0: `git config {KEY} 10`", sampling::SHORTEST);
            warn::warn(py, &format!("System metrics are not sampled: `{KEY}` is `{text}`"), &[hint]);
        }
    }
}

/// End the experiment and save it as one commit under one tag.
///
/// A script that does not call this is recorded when it exits. After it, the next tracking call starts a new experiment.
///
/// In a forked child or a worker of `multiprocessing` it returns once what that one logged is on stable storage; the process that
/// started the run saves it.
///
/// Returns:
///     Whether something was saved: false where no run was under way, and in a child.
///
/// Example:
///     >>> aurum.register_metric(accuracy=0.99)
///     >>> aurum.end_experiment()
///     True
#[pyfunction]
pub(crate) fn end_experiment(py: Python<'_>) -> bool {
    if process::is_child() {
        let flushed = long(py, |session| session.flush());
        if let Err(failure) = flushed {
            warn::failed(py, "Not all of the run is recorded", &failure);
        }
        return false;
    }
    if scope::current(py) == scope::SHARED {
        parameters::mark_former();
    }
    finish(py, Outcome::Finished, None, Standing::Idle)
}

/// The id of the experiment under way; none where there is none, or where it is another process's.
#[pyfunction]
pub(crate) fn run_id(py: Python<'_>) -> Option<String> {
    short(py, |session| session.run_id())
}

/// Note the process and tell whether its output is to be kept; the package calls it when it is imported.
#[pyfunction]
pub(crate) fn begin(py: Python<'_>) -> bool {
    let first = process::note(py);
    let of_a_run = membership::begin(py);
    if first
        && !process::is_disabled(py)
        && let Some(root) = process::project(py)
    {
        opened::watch(py, &root);
    }
    let records = !process::is_disabled(py) && process::other_rank().is_none();
    first && records && if process::is_worker() { of_a_run } else { process::project(py).is_some() }
}

/// Wait until no thread is within the tracker; the package has it called before each fork.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    session::before_fork(py);
}

/// Go on with what a fork interrupted; the package has it called after each.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    sampling::after_fork();
}

/// Have the forked child's own workers take part in its run; the package has it called in each.
#[pyfunction]
pub(crate) fn after_fork(py: Python<'_>) {
    sampling::in_child();
    membership::tell_workers(py);
}

/// Keep text that was written to stdout (1) or stderr (2); never fails.
#[pyfunction]
pub(crate) fn output(py: Python<'_>, stream: u8, text: &Bound<'_, PyAny>) {
    let Ok(text) = text.cast::<PyString>() else { return };
    if process::is_child() {
        let standing = short(py, |session| session.standing());
        if standing != Standing::Running && (standing != Standing::Idle || !join(py, true)) {
            return;
        }
    }
    let stream = if stream == 1 { OutputStream::Stdout } else { OutputStream::Stderr };
    let text = text.to_string_lossy();
    if let Err(failure) = short(py, |session| session.output(stream, text.as_bytes())) {
        warn::lost(py, "Not all output is recorded", &failure);
    }
}

/// Finish a run that is still under way; the package calls it when the interpreter exits.
#[pyfunction]
pub(crate) fn at_exit(py: Python<'_>) {
    if process::is_child() {
        for number in own_sessions() {
            // Nothing is waited for that never was: a child that logged nothing has no tracker.
            if let Err(failure) = scope::within(number, || part(py)) {
                warn::failed(py, "Not all of the run is recorded", &failure);
            }
        }
        return;
    }
    // Of threads that are cut off in the middle of a block.
    end_blocks(py);
    scope::within(scope::SHARED, || {
        let end = match short(py, |session| session.standing()) {
            Standing::Running => ending(py),
            _ => End::Known(Outcome::Finished, None),
        };
        match end {
            End::Known(outcome, problem) => drop(finish(py, outcome, problem.as_ref(), Standing::Closed)),
            End::Exited(told) => {
                // Where the code stays unknown, what `sys.exit` was given last is the best guess.
                let (outcome, problem) = match &told {
                    Some(status) => of_status(i32::from(!status.is_success()), Some(status)),
                    None => (Outcome::Finished, None),
                };
                if !finish_later(py, told) {
                    finish(py, outcome, problem.as_ref(), Standing::Closed);
                }
            }
        }
    });
    // Nothing is left to do about a stream that can't be put back.
    let _ = streams(py).and_then(|streams| streams.call_method0("restore"));
    let _ = py.import("aurum._exit").and_then(|exit| exit.call_method0("restore"));
}

/// Save what there is: the process is about to die of a signal.
#[pyfunction]
pub(crate) fn terminated(py: Python<'_>) {
    // A child's run is its parent's, and its journal has all that it logged.
    if !process::is_child() {
        end_blocks(py);
        scope::within(scope::SHARED, || finish(py, Outcome::Killed, None, Standing::Closed));
    }
}

/// The numbers of all runs that this process may have a part in.
fn own_sessions() -> Vec<u32> {
    session::blocks().into_iter().chain([scope::SHARED]).collect()
}

/// Saves the runs of all blocks that will not come to their own end.
fn end_blocks(py: Python<'_>) {
    for number in session::blocks() {
        scope::within(number, || finish(py, Outcome::Killed, None, Standing::Closed));
    }
}

/// Ends this child's part in a run.
fn part(py: Python<'_>) -> Result<(), Failure> {
    if short(py, |session| session.standing()) == Standing::Running {
        long(py, |session| session.part())
    } else {
        Ok(())
    }
}

/// Saves the run under way, if one is. Afterwards things stand as given.
pub(crate) fn finish(py: Python<'_>, outcome: Outcome, problem: Option<&Problem>, next: Standing) -> bool {
    reading::flush(py);
    if scope::current(py) == scope::SHARED {
        sampling::stop(py, true);
        release_descriptors(py);
    }
    let (ended, warnings) = long(py, |session| (session.end(outcome, problem, next), session.take_warnings()));
    let number = scope::current(py);
    membership::leave(py, number);
    opened::forget(number);
    // As long as another run is under way, the signal is listened to.
    if ended.is_some() && !membership::is_any() {
        let _ = py.import("aurum._terminate").and_then(|terminate| terminate.call_method0("restore"));
    }
    warn::pass_on(py, &warnings);
    match ended {
        None => false,
        Some(Ok(run)) => {
            if process::has_flag(py, "--verbose") {
                warn::say(py, &format!("aurum: recorded experiment {} under the tag {}\n", run.id, run.tag));
            }
            true
        }
        Some(Err(failure)) => {
            warn::failed(py, "The run could not be saved", &failure);
            false
        }
    }
}

/// How the script ended.
enum End {
    Known(Outcome, Option<Problem>),
    /// By a `SystemExit` whose code is not known yet; what `sys.exit` was given last, if it was called: an integer, or text.
    Exited(Option<Status>),
}

/// What `sys.exit` was given.
struct Status {
    code: Option<i32>,
    text: String,
}

impl Status {
    /// Whether a process exits with this code for it.
    fn fits(&self, code: i32) -> bool {
        self.code.unwrap_or(1) == code
    }

    fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

/// How the script ended. The interpreter keeps an exception that nobody caught in `sys.last_value`, whatever became of
/// `sys.excepthook`.
fn ending(py: Python<'_>) -> End {
    let finished = End::Known(Outcome::Finished, None);
    if process::is_interactive(py) {
        return finished;
    }
    let uncaught = || -> PyResult<Option<Bound<'_, PyAny>>> {
        Ok(py.import("sys")?.getattr_opt("last_value")?.filter(|value| !value.is_none()))
    };
    if let Ok(Some(exception)) = uncaught() {
        let (outcome, problem) = of_exception(py, &exception);
        return End::Known(outcome, problem);
    }
    let exited = || -> PyResult<(bool, bool, Option<Bound<'_, PyAny>>)> {
        py.import("aurum._exit")?.call_method0("ending")?.extract()
    };
    match exited() {
        Ok((true, is_certain, status)) => {
            let status = match status {
                Some(status) => Some(Status {
                    code: status.extract().ok(),
                    text: status.str().map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned()),
                }),
                // So `sys.exit` was called for sure, and without a status.
                None if is_certain => Some(Status { code: Some(0), text: String::new() }),
                None => None,
            };
            match status {
                Some(status) if is_certain => {
                    let (outcome, problem) = of_status(i32::from(!status.is_success()), Some(&status));
                    End::Known(outcome, problem)
                }
                status => End::Exited(status),
            }
        }
        _ => finished,
    }
}

/// What the code that a process exits with says of its run.
fn of_status(code: i32, told: Option<&Status>) -> (Outcome, Option<Problem>) {
    if code == 0 {
        return (Outcome::Finished, None);
    }
    let summary = match told {
        Some(status) => format!("SystemExit: {}", status.text),
        None => format!("SystemExit: {code}"),
    };
    (Outcome::Failed, Some(Problem { traceback: format!("{summary}\n"), summary }))
}

/// Has the run be saved once the code is known that the process exits with. Python has ended by then. False where that can't be.
fn finish_later(py: Python<'_>, told: Option<Status>) -> bool {
    let (is_verbose, own) = (process::has_flag(py, "--verbose"), std::process::id());
    membership::leave(py, scope::SHARED);
    let finish = move |code| {
        if std::process::id() != own {
            return;
        }
        let told = told.as_ref().filter(|status| status.fits(code));
        let (outcome, problem) = of_status(code, told);
        let Some((ended, warnings)) = session::without_python(|session| {
            (session.end(outcome, problem.as_ref(), Standing::Closed), session.take_warnings())
        }) else {
            return;
        };
        for warning in &warnings {
            warn::say_without_python(&format!("warning: {}", explained(&warning.message, &warning.hints)));
        }
        match ended {
            Some(Ok(run)) if is_verbose => {
                warn::say_without_python(&format!("recorded experiment {} under the tag {}", run.id, run.tag));
            }
            Some(Err(failure)) => {
                let message = format!("The run could not be saved: {}", failure.message);
                warn::say_without_python(&format!("warning: {}", explained(&message, &failure.hints)));
            }
            _ => {}
        }
    };
    exit_status::once_known(finish).is_ok()
}

/// What an exception says of the run that it ended.
pub(crate) fn of_exception(py: Python<'_>, exception: &Bound<'_, PyAny>) -> (Outcome, Option<Problem>) {
    if exception.is_instance_of::<PyKeyboardInterrupt>() {
        return (Outcome::Interrupted, None);
    }
    let traceback = || -> PyResult<String> {
        // Imported only now: it costs more than all of `aurum`.
        let lines = py.import("traceback")?.call_method1("format_exception", (exception,))?;
        lines.try_iter()?.map(|line| Ok(line?.cast::<PyString>()?.to_string_lossy().into_owned())).collect()
    };
    let message = exception.str().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let kind = exception.get_type().name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let summary = match message.lines().next() {
        Some(line) => format!("{kind}: {line}"),
        None => kind,
    };
    let traceback = traceback().unwrap_or_else(|_| format!("{summary}\n"));
    (Outcome::Failed, Some(Problem { summary, traceback }))
}

fn keep_output(py: Python<'_>) {
    // A stream that can't be watched is not recorded; the rest is.
    let _ = streams(py).and_then(|streams| streams.call_method0("install"));
}

/// Looks whether the script has put streams of its own in the place of the standard ones: with each call, so at the cost of a comparison.
fn look_at_streams(py: Python<'_>) {
    static NAMES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    static SEEN: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    let names = NAMES.get_or_try_init(py, || Ok::<_, PyErr>(py.import("sys")?.dict().unbind()));
    let Ok(names) = names else { return };
    let now = [intern!(py, "stdout"), intern!(py, "stderr")]
        .map(|name| names.bind(py).get_item(name).ok().flatten().map_or(0, |stream| stream.as_ptr() as usize));
    // Addresses are compared, and never followed.
    let before = [0, 1].map(|at| SEEN[at].swap(now[at], Ordering::Relaxed));
    if now != before {
        let _ = streams(py).and_then(|streams| streams.call_method0("look_again"));
    }
}

fn streams(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("aurum._streams")
}
