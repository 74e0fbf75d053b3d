//! The core, with the capabilities of this machine: typed calls for the command line and for Python.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use wasmtime::Store;
use wasmtime::component::{Resource, ResourceAny};

use crate::bindings::generated::aurum::tracker::types;
use crate::bindings::generated::exports::aurum::tracker::experiments as wit;
use crate::bindings::{self, ByteStream, Capabilities, Core, Host};
use crate::capabilities::clock::Clock;
use crate::capabilities::entropy::Entropy;
use crate::capabilities::exchange::Observer;
use crate::capabilities::interpreter::Interpreter;
use crate::capabilities::remote::{Login, Remote};
use crate::capabilities::repository::Repository;
use crate::capabilities::workspace::Workspace;
use crate::engine;
use crate::failure::{Failure, FailureKind, Warning};
use crate::grants::Grants;

mod data;
mod recovery;
mod reproduction;
mod retention;
mod sharing;

pub use data::{AddOptions, Addition, DataSource, RestoreOptions};
pub use recovery::{Recovered, Recovery};
pub use reproduction::{Loaded, Omissions, Packed};
pub use retention::{Collection, Folded, Steps};
pub use sharing::{DataOutcome, DataRemote, Freight, LeftBehind, Pulled, Pushed, ShareRequest};

pub use crate::bindings::generated::aurum::tracker::types::Request;
pub use crate::bindings::generated::exports::aurum::tracker::experiments::{
    Declared, FinishedRun, Measurement, ModelLocation, Number, Outcome, OutputStream, Parameter, Parsed, Problem,
    Reading, Resolution, RunOptions, Source, StoredArtifact, Word,
};
pub use crate::bindings::generated::exports::aurum::tracker::project::Created;

/// The result of a call on the tracker.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Work that one call may cost, in wasmtime's units of about one instruction: minutes of it, so that only a core that
/// turns in circles meets the end.
const FUEL: u64 = 500_000_000_000;

/// Everything, oldest first.
impl Default for Request {
    fn default() -> Self {
        Self { selector: None, condition: None, sort: None, limit: None }
    }
}

/// One sandboxed core over one project, with at most one run under way.
///
/// A call that traps poisons its sandbox. Then a new one is made and takes up the run from its journal, and the call is
/// done once more if nothing of it had been accepted.
pub struct Tracker {
    /// None only while a sandbox is made anew.
    sandbox: Option<Sandbox>,
    run_id: Option<String>,
    /// Of this process in the run: 0 where it started it, else its number as a child.
    run_number: u32,
    fuel: u64,
}

struct Sandbox {
    store: Store<Host>,
    core: Core,
    run: Option<ResourceAny>,
}

type Reply<T> = wasmtime::Result<Result<T, types::Failure>>;

impl Tracker {
    /// Over a project's root, or over a folder that is to become one. Changes nothing, and does not look at git yet.
    ///
    /// # Errors
    /// When the folder can't be opened.
    pub fn open(root: &Path, grants: Grants, interpreter: Interpreter) -> Result<Self> {
        let capabilities = Capabilities {
            grants,
            repository: Repository::new(root),
            workspace: Workspace::new(root)?,
            data: std::cell::OnceCell::new(),
            remote: Remote::new(),
            clock: Clock::from_environment()?,
            entropy: Entropy::from_environment(),
            interpreter,
            observer: Observer::default(),
            warnings: Vec::new(),
            appended: 0,
        };
        let sandbox = Sandbox::new(capabilities).map_err(|error| Failure::trap(&error))?;
        Ok(Self { sandbox: Some(sandbox), run_id: None, run_number: 0, fuel: FUEL })
    }

    /// Makes a project of the folder.
    ///
    /// # Errors
    /// Each reason not to, before anything is changed.
    pub fn init(&mut self) -> Result<Created> {
        self.call(|sandbox| sandbox.core.aurum_tracker_project().call_init(&mut sandbox.store))
    }

    /// Whom servers of S3 and FTP are to take us for, in place of what the environment says.
    pub fn log_in(&mut self, login: Login) {
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.store.data_mut().capabilities.remote.log_in(login);
        }
    }

    /// Has nothing started from now on that may ask somebody.
    pub fn ask_nobody(&mut self) {
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.store.data_mut().capabilities.remote.ask_nobody();
        }
    }

    /// What a script's parameters are, given its command line and what its own parser made of that. Records nothing.
    ///
    /// # Errors
    /// For names that are not declared and values that can't be read.
    pub fn resolve_parameters(
        &mut self,
        declared: &[Declared],
        arguments: &[String],
        parsed: Option<&Parsed>,
        lenient: bool,
        reserved: &[String],
    ) -> Result<Resolution> {
        self.call(|sandbox| {
            let experiments = sandbox.core.aurum_tracker_experiments();
            experiments.call_resolve_parameters(&mut sandbox.store, declared, arguments, parsed, lenient, reserved)
        })
    }

    /// Starts a run. Runs that were killed are finished on the way, as far as that takes no time worth speaking of.
    ///
    /// # Errors
    /// Outside a project, and when a capability fails: then nothing is left behind.
    pub fn start(&mut self, options: &RunOptions) -> Result<()> {
        self.recover_few();
        let run =
            self.call(|sandbox| sandbox.core.aurum_tracker_experiments().call_start(&mut sandbox.store, options))?;
        self.take_up(run)
    }

    /// Takes part, as a child, in a run that another process has started.
    ///
    /// # Errors
    /// `UnknownExperiment` when that run has ended, and when a capability fails.
    pub fn join(&mut self, id: &str) -> Result<()> {
        let run = self.call(|sandbox| sandbox.core.aurum_tracker_experiments().call_join(&mut sandbox.store, id))?;
        self.take_up(run)
    }

    fn take_up(&mut self, run: ResourceAny) -> Result<()> {
        let sandbox = self.sandbox()?;
        let told = sandbox.core.aurum_tracker_experiments().run();
        let id = told.call_id(&mut sandbox.store, run);
        let number = told.call_number(&mut sandbox.store, run);
        sandbox.run = Some(run);
        self.run_id = Some(id.map_err(|error| Failure::trap(&error))?);
        self.run_number = number.map_err(|error| Failure::trap(&error))?;
        Ok(())
    }

    /// The id of the run under way.
    pub fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// Records parameters.
    ///
    /// # Errors
    /// When they take more room than a record has.
    pub fn set_parameters(&mut self, parameters: &[Parameter]) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_set_parameters(store, run, parameters))
    }

    /// A metric's number within the run.
    ///
    /// # Errors
    /// When the name can't be one.
    pub fn intern(&mut self, name: &str) -> Result<u32> {
        self.with_run(|core, store, run| core.run().call_intern(store, run, name))
    }

    /// Logs one value of an interned metric.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn log_one(&mut self, metric: u32, value: f64, step: Option<u64>) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_log_one(store, run, metric, value, step))
    }

    /// Logs several values, all or none.
    ///
    /// # Errors
    /// When a name can't be a metric's, or the journal can't be written.
    pub fn log(&mut self, measurements: &[Measurement], step: Option<u64>) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_log(store, run, measurements, step))
    }

    /// Keeps what the script printed.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn output(&mut self, stream: OutputStream, bytes: &[u8]) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_output(store, run, stream, bytes))
    }

    /// Saves a model. Its bytes go from the reader to the store, past the sandbox.
    ///
    /// # Errors
    /// When the store can't keep it.
    pub fn save_model(&mut self, name: &str, contents: Box<dyn Read + Send>) -> Result<ModelLocation> {
        let mut contents = self.hand_over(contents)?;
        self.with_run(|core, store, run| core.run().call_save_model(store, run, name, take(&mut contents)?))
    }

    /// Keeps a file with the experiment. Its bytes go from the reader to the store, past the sandbox.
    ///
    /// # Errors
    /// When the store can't keep it.
    pub fn log_artifact(&mut self, name: &str, contents: Box<dyn Read + Send>) -> Result<StoredArtifact> {
        let mut contents = self.hand_over(contents)?;
        self.with_run(|core, store, run| core.run().call_log_artifact(store, run, name, take(&mut contents)?))
    }

    /// A value of git's configuration, as the project's repository has it.
    ///
    /// # Errors
    /// When the repository can't be read.
    pub fn setting(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.sandbox()?.store.data().capabilities.repository.setting(key)?)
    }

    /// Records what the script has to say of itself.
    ///
    /// # Errors
    /// When it says nothing, and when there is no room for it.
    pub fn note(&mut self, text: &str) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_note(store, run, text))
    }

    /// Gives the experiment words to find it by, and has it belong to a group.
    ///
    /// # Errors
    /// For words that can't be one, and when there are too many.
    pub fn label(&mut self, tags: &[String], group: Option<&str>) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_label(store, run, tags, group))
    }

    /// Records a file that the script read past the project.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn note_reading(&mut self, reading: &Reading) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_note_reading(store, run, reading))
    }

    fn hand_over(&mut self, contents: Box<dyn Read + Send>) -> Result<Option<Resource<ByteStream>>> {
        let handle = self.sandbox()?.store.data_mut().table.push(ByteStream(contents));
        let rep = handle.map_err(|error| Failure::trap(&error.into()))?.rep();
        Ok(Some(Resource::<ByteStream>::new_own(rep)))
    }

    /// Where a model is, by the rules of `load_model`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find_model(&mut self, name: &str, experiment: Option<&str>, script: Option<&str>) -> Result<ModelLocation> {
        if self.run_id.is_some() {
            return self.with_run(|core, store, run| core.run().call_find_model(store, run, name, experiment));
        }
        self.call(|sandbox| {
            let experiments = sandbox.core.aurum_tracker_experiments();
            experiments.call_find_model(&mut sandbox.store, name, experiment, script)
        })
    }

    /// The bytes of a model.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn open_model(&mut self, model: &ModelLocation) -> Result<File> {
        let capabilities = &self.sandbox()?.store.data().capabilities;
        capabilities.grants.check_store()?;
        capabilities.store()?.open(&model.digest)?.ok_or_else(|| {
            let message = format!("The bytes of the model of `{}` are not in the store", model.experiment);
            Failure::new(FailureKind::NoModel, message, "Copy `.git/aurum/store` from the machine that saved it")
        })
    }

    /// Returns once all that was recorded is on stable storage.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn flush(&mut self) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_flush(store, run))
    }

    /// Saves the run as one commit under one tag.
    ///
    /// # Errors
    /// When a capability fails: the journal then still has everything, for `au recover`.
    pub fn finish(&mut self, outcome: Outcome, problem: Option<&Problem>) -> Result<FinishedRun> {
        let finished = self.with_run(|core, store, run| core.run().call_finish(store, run, outcome, problem));
        match finished {
            Ok(finished) => {
                self.abandon();
                Ok(finished)
            }
            Err(mut failure) => {
                failure.hints.extend(self.what_is_left());
                Err(failure)
            }
        }
    }

    /// Where the run under way can be found, whatever else fails: a hint for its user; none where no run is under way.
    pub fn what_is_left(&self) -> Option<String> {
        let (id, sandbox) = (self.run_id.as_ref()?, self.sandbox.as_ref()?);
        let folder = sandbox.store.data().capabilities.repository.common_dir_as_opened().ok()?;
        let journal = folder.join("aurum/runs").join(id).join("journal");
        Some(if journal.exists() || !folder.exists() {
            format!(
                "Nothing that was recorded is lost: `{}` has it, and `au recover` saves it once the script has ended",
                journal.display()
            )
        } else {
            format!("Somebody removed `{}`: what was recorded is lost", journal.display())
        })
    }

    /// Lets go of the run, finished or not. Its journal is no longer held.
    pub fn abandon(&mut self) {
        self.run_id = None;
        if let Some(sandbox) = &mut self.sandbox
            && let Some(run) = sandbox.run.take()
        {
            // The journal's writer lives in the run. Where dropping it traps, the sandbox's end drops it.
            let _ = sandbox.store.set_fuel(FUEL);
            let _ = run.resource_drop(&mut sandbox.store);
        }
    }

    /// The experiments that are asked for: pages of rows, each a JSON array.
    ///
    /// # Errors
    /// For selectors that name nothing or too much, and for conditions that don't follow the grammar.
    pub fn query(&mut self, request: &Request) -> Result<Pages<'_>> {
        let listing =
            self.call(|sandbox| sandbox.core.aurum_tracker_history().call_query(&mut sandbox.store, request))?;
        Ok(Pages { tracker: self, listing: Some(listing) })
    }

    /// The rows of records given as bytes. Ages in the condition count back from `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// For records that can't be read, for selectors that name nothing or too much, and for conditions that don't follow the
    /// grammar.
    pub fn rows(&mut self, records: &[u8], request: &Request, now: Option<u64>) -> Result<String> {
        self.call(|sandbox| sandbox.core.aurum_tracker_view().call_rows(&mut sandbox.store, records, request, now))
    }

    /// What the calls since the last time want the user to know.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        let sandbox = self.sandbox.as_mut();
        sandbox.map(|sandbox| std::mem::take(&mut sandbox.store.data_mut().capabilities.warnings)).unwrap_or_default()
    }

    /// Limits what each following call may cost. Tests force a trap with it.
    pub fn set_fuel(&mut self, fuel: u64) {
        self.fuel = fuel;
    }

    fn root(&mut self) -> Result<&Path> {
        Ok(self.sandbox()?.store.data().capabilities.repository.root())
    }

    fn sandbox(&mut self) -> Result<&mut Sandbox> {
        self.sandbox.as_mut().ok_or_else(|| {
            Failure::new(
                FailureKind::Internal,
                "The tracking core could not be made anew",
                "What was logged is kept: `au recover` saves it once the script has ended",
            )
        })
    }

    fn with_run<T>(
        &mut self,
        mut call: impl FnMut(&wit::Guest, &mut Store<Host>, ResourceAny) -> Reply<T>,
    ) -> Result<T> {
        if self.run_id.is_none() {
            return Err(Failure::new(FailureKind::Usage, "No run is under way", "Start one first"));
        }
        self.call(|sandbox| match sandbox.run {
            Some(run) => call(sandbox.core.aurum_tracker_experiments(), &mut sandbox.store, run),
            None => Err(wasmtime::Error::msg("the run was not taken up")),
        })
    }

    /// Every call on the core goes through here.
    fn call<T>(&mut self, mut call: impl FnMut(&mut Sandbox) -> Reply<T>) -> Result<T> {
        let fuel = self.fuel;
        let sandbox = self.sandbox()?;
        let appended = sandbox.store.data().capabilities.appended;
        let trapped = match sandbox.attempt(fuel, &mut call) {
            Ok(reply) => return reply.map_err(Into::into),
            Err(error) => error,
        };
        self.renew()?;
        let sandbox = self.sandbox()?;
        if sandbox.store.data().capabilities.appended != appended {
            return Err(Failure::trap(&trapped));
        }
        match sandbox.attempt(FUEL, &mut call) {
            Ok(reply) => reply.map_err(Into::into),
            Err(error) => {
                self.renew()?;
                Err(Failure::trap(&error))
            }
        }
    }

    /// The same, without a second try: for what may well trap again, and must not take long.
    fn call_once<T>(&mut self, fuel: u64, mut call: impl FnMut(&mut Sandbox) -> Reply<T>) -> Result<T> {
        match self.sandbox()?.attempt(fuel, &mut call) {
            Ok(reply) => reply.map_err(Into::into),
            Err(error) => {
                self.renew()?;
                Err(Failure::trap(&error))
            }
        }
    }

    /// Makes a new sandbox after a trap, and takes up the run in it. The old one is dropped last, so that the journal is
    /// held all the time.
    fn renew(&mut self) -> Result<()> {
        let Some(old) = self.sandbox.take() else { return self.sandbox().map(drop) };
        let Host { capabilities, table, .. } = old.store.into_data();
        let mut sandbox = Sandbox::new(capabilities).map_err(|error| Failure::trap(&error))?;
        let number = self.run_number;
        let reopened = self.run_id.as_deref().map(|id| {
            sandbox.attempt(FUEL, &mut |sandbox| {
                sandbox.core.aurum_tracker_experiments().call_reopen(&mut sandbox.store, id, number)
            })
        });
        let result = match reopened {
            None => Ok(()),
            Some(Ok(Ok(run))) => {
                sandbox.run = Some(run);
                Ok(())
            }
            Some(Ok(Err(failure))) => Err(failure.into()),
            Some(Err(error)) => Err(Failure::trap(&error)),
        };
        drop(table);
        self.sandbox = Some(sandbox);
        result
    }
}

impl Sandbox {
    fn new(capabilities: Capabilities) -> wasmtime::Result<Self> {
        let (engine, component) = engine::load()?;
        let mut store = Store::new(engine, Host::new(capabilities));
        store.limiter(|host| &mut host.limits);
        store.set_fuel(FUEL)?;
        let core = Core::instantiate(&mut store, component, &bindings::linker(engine)?)?;
        Ok(Self { store, core, run: None })
    }

    fn attempt<T>(&mut self, fuel: u64, call: &mut impl FnMut(&mut Self) -> Reply<T>) -> Reply<T> {
        self.store.set_fuel(fuel)?;
        call(self)
    }
}

/// A stream can be read once, and its handle goes with a sandbox that traps: the second try, if there is one, says so.
fn take(contents: &mut Option<Resource<ByteStream>>) -> wasmtime::Result<Resource<ByteStream>> {
    contents.take().ok_or_else(|| wasmtime::Error::msg("the bytes were read only in part"))
}

/// Rows of experiments, a page at a time, so that a long history is never in memory as a whole.
pub struct Pages<'a> {
    tracker: &'a mut Tracker,
    listing: Option<ResourceAny>,
}

impl Pages<'_> {
    /// What reading so far wants the user to know.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        self.tracker.take_warnings()
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let listing = self.listing?;
        let sandbox = self.tracker.sandbox.as_mut()?;
        // Not through `call`: a listing does not outlive its sandbox, so there is nothing to do once more.
        let page = sandbox.attempt(FUEL, &mut |sandbox| {
            sandbox.core.aurum_tracker_history().listing().call_next(&mut sandbox.store, listing)
        });
        let page = match page {
            Ok(page) => page.map_err(Into::into).transpose(),
            Err(error) => Some(self.tracker.renew().and(Err(Failure::trap(&error)))),
        };
        if !matches!(page, Some(Ok(_))) {
            self.listing = None;
        }
        page
    }
}
