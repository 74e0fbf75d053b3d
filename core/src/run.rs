//! What a script does to its experiment. Everything goes into the journal; what is kept here can be had from it again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::catalogue;
use crate::completion::{self, Finished};
use crate::dataset::usage::{self, Usage};
use crate::dataset::watch::Watch;
use crate::dataset::{self, Dataset, restore};
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::id;
use crate::journal::event::{self, Ending, Event, Joined, NamedUsage, ParameterSet, Problem, Resumed, Started};
use crate::journal::fold::{self, State};
use crate::journal::frame;
use crate::layout;
use crate::metrics::{LONGEST_NAME, MOST_METRICS, MOST_NAME_BYTES, Number};
use crate::models::{self, Found};
use crate::output::Overflow;
use crate::parameters::Parameter;
use crate::ports::{ByteStream, Head, Identity, JournalWriter, ObjectId, Place, Ports};
use crate::project;
use crate::reads::{Added, MOST_READS, Read, Reads};
use crate::record::{Artifact, Input, Model, Record, Status};
use crate::redact;
use crate::snapshot::{self, Selection};
use crate::value;
use crate::working_tree;
use crate::{stretches, time};

/// Bytes of all parameters of an experiment, as JSON.
const MOST_PARAMETER_BYTES: usize = 128 << 10;
/// Bytes of the recorded command line.
const MOST_ARGUMENT_BYTES: usize = 32 << 10;
/// Loadings of other experiments' models that are recorded.
pub(crate) const MOST_INPUTS: usize = 500;
/// Bytes of each end of a traceback that are kept of a long one.
const TRACEBACK_END: usize = 128 << 10;
/// Models of one experiment.
pub(crate) const MOST_MODELS: usize = 500;
/// Artefacts of one experiment.
pub(crate) const MOST_ARTIFACTS: usize = 500;
/// Notes of one experiment, and the bytes that they may take in its record.
pub(crate) const MOST_NOTES: usize = 500;
pub(crate) const MOST_NOTE_BYTES: usize = 64 << 10;
/// Tags of one experiment.
pub(crate) const MOST_TAGS: usize = 100;
/// Bytes of output that one process's journal takes; of what follows the last of it is kept in memory until the end.
const MOST_OUTPUT: u64 = 256 << 20;
/// Bytes of output in one frame.
const OUTPUT_PIECE: usize = frame::LONGEST_PAYLOAD - 16;
/// The same of a child's: whoever merges many journals has a frame of each in memory.
const CHILDS_OUTPUT_PIECE: usize = 16 << 10;

/// What a host says of the script when a run starts.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A name to select the experiment by.
    pub name: Option<String>,
    /// The experiment that this one is a part of.
    pub parent: Option<String>,
    /// What it belongs to, together with others.
    pub group: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// A selector of the experiment to go on with.
    pub resume: Option<String>,
    /// The script, relative to the root where it lies below it.
    pub script: Option<String>,
    /// What followed the script's name.
    pub arguments: Vec<String>,
    /// The working folder relative to the root.
    pub directory: Option<String>,
}

/// One running experiment, as the process that started it has it, or a child that takes part.
pub struct Run {
    ports: Ports,
    id: String,
    /// Of the journal: 0 in the process that started the run, else the child's number.
    number: u32,
    writer: Box<dyn JournalWriter>,
    watch: RefCell<Watch>,
    inner: RefCell<Inner>,
}

/// What the hot calls need at hand; all of it is in the journal too.
struct Inner {
    started: Started,
    sequence: u64,
    /// Reused by every call, so that logging allocates nothing.
    buffer: Vec<u8>,
    numbers: BTreeMap<String, u32>,
    last_steps: Vec<Option<u64>>,
    /// Of the metrics that the experiment had before it was resumed.
    former_steps: BTreeMap<String, u64>,
    parameters: BTreeMap<String, Value>,
    models: BTreeMap<String, Model>,
    artifacts: BTreeSet<String>,
    tags: BTreeSet<String>,
    notes: usize,
    note_bytes: usize,
    datasets: BTreeMap<String, Usage>,
    /// Milliseconds from the start to what was recorded last.
    elapsed: Cell<u64>,
    inputs: usize,
    reads: Reads,
    /// Bytes of output in the journal, as far as this process knows.
    printed: u64,
    overflow: Overflow,
    /// Whether the journal may say so already: nothing is appended after that.
    finishing: bool,
    finished: Option<Finished>,
}

impl Run {
    /// Opens the journal and keeps the working tree as it stands.
    ///
    /// # Errors
    /// Outside a project, and when a capability fails: then nothing is left behind.
    pub fn start(ports: &Ports, options: Options) -> Result<Self> {
        project::require(ports)?;
        let head = ports.repository.head()?;
        if let Some(name) = &options.name {
            check_name("experiment", name)?;
        }
        // Too many of them at once are a mistake in the call, and no reason to go on without a record.
        check_labels(&BTreeSet::new(), &options.tags, options.group.as_deref())
            .map_err(|failure| Failure { kind: FailureKind::InvalidValue, ..failure })?;
        let former = options.resume.as_deref().map(|selector| stretches::take_up(ports, selector)).transpose()?;
        let id = former.as_ref().map_or_else(|| id::generate(&*ports.entropy), |(record, _)| record.id.clone());
        let writer = match ports.journal.create(&id) {
            Err(PortError::Conflict(_)) if former.is_some() => return Err(stretches::going_on(&id)),
            writer => writer?,
        };
        match Self::begin(ports, &id, writer, head, options, former) {
            Ok(run) => Ok(run),
            Err(failure) => {
                // Nothing was accepted yet, so nothing is lost; the first failure is the one to tell.
                let _ = ports.journal.remove(&id, &[]);
                Err(failure)
            }
        }
    }

    fn begin(
        ports: &Ports,
        id: &str,
        writer: Box<dyn JournalWriter>,
        head: Head,
        options: Options,
        former: Option<(Record, String)>,
    ) -> Result<Self> {
        let (tree, selection) = take_snapshot(ports, id, &head, former.is_some())?;
        if let Some((message, hints)) = snapshot::warning(&selection.left_out, selection.left_out_more) {
            ports.progress.warn(&message, &hints);
        }
        let identity = committer(ports)?;
        let (tags, group) = (options.tags, options.group);
        let mut arguments = redact::arguments(&options.arguments);
        let mut bytes = 0;
        arguments.retain(|argument| {
            bytes += argument.len();
            bytes <= MOST_ARGUMENT_BYTES
        });
        let now = ports.clock.now();
        let resumed = former.as_ref().map(|(_, commit)| Resumed {
            commit: commit.clone(),
            time: now,
            same_code: is_same_code(ports, id, commit, &tree).ok(),
        });
        let former = former.map(|(record, _)| record);
        let (name, parent, time) = match &former {
            Some(record) => {
                let began = time::parse(&record.started).unwrap_or(now);
                (options.name.or_else(|| record.name.clone()), record.parent.clone(), began)
            }
            None => (options.name, options.parent.filter(|parent| is_there(ports, parent)), now),
        };
        let started = Started {
            id: id.to_owned(),
            name,
            parent,
            time,
            resumed,
            offset_minutes: ports.clock.offset_minutes(),
            identity: (identity.name, identity.email),
            head: head.commit,
            head_tree: head.tree,
            branch: head.branch,
            tree,
            dirty: selection.dirty,
            left_out: selection.left_out,
            left_out_more: selection.left_out_more,
            script: options.script,
            arguments,
            directory: options.directory,
            interpreter: ports.interpreter.describe().map(|facts| (facts.implementation, facts.version)),
            machine: ports.machine.describe(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let run = Self::of(ports, id, 0, writer, started.clone(), State::default(), former);
        run.append(&Event::Started(Box::new(started)))?;
        run.append(&Event::Packages(ports.interpreter.packages()))?;
        if !tags.is_empty() || group.is_some() {
            run.label(&tags, group.as_deref())?;
        }
        let usages = usage::at_start(ports);
        run.watch.replace(Watch::at_start(ports, &usages));
        // What data there is is no reason not to record the run.
        if let Err(failure) = run.note_datasets(usages) {
            ports.progress.warn(&format!("Not all data is recorded: {}", failure.message), &failure.hints);
        }
        run.writer.sync()?;
        Ok(run)
    }

    /// Takes part in a run that another process has started, with a journal of one's own.
    ///
    /// # Errors
    /// `UnknownExperiment` when that run has ended.
    pub fn join(ports: &Ports, id: &str) -> Result<Self> {
        let started = started(ports, id)?;
        let (number, writer) = ports.journal.join(id)?.ok_or_else(|| gone(id))?;
        let elapsed = ports.clock.now().saturating_sub(started.time);
        let former = stretches::former(ports, &started)?;
        let run = Self::of(ports, id, number, writer, started, State::default(), former);
        run.append(&Event::Joined(Joined { id: id.to_owned(), elapsed }))?;
        Ok(run)
    }

    /// Takes up a run from its journal, or a child's part in one.
    ///
    /// # Errors
    /// When there is no such journal, or another process holds it.
    pub fn reopen(ports: &Ports, id: &str, number: u32) -> Result<Self> {
        let writer = ports.journal.open(id, number)?.ok_or_else(|| gone(id))?;
        let state = State::read_part(&*ports.journal, id, number)?;
        let started = match state.started.clone() {
            Some(started) => started,
            None => started(ports, id)?,
        };
        writer.truncate(state.length)?;
        let former = stretches::former(ports, &started)?;
        Ok(Self::of(ports, id, number, writer, started, state, former))
    }

    fn of(
        ports: &Ports,
        id: &str,
        number: u32,
        writer: Box<dyn JournalWriter>,
        started: Started,
        mut state: State,
        former: Option<Record>,
    ) -> Self {
        let elapsed = Cell::new(state.last_time.saturating_sub(started.time));
        let numbers = (0u32..).zip(&state.names).map(|(number, name)| (name.clone(), number)).collect();
        let last_steps = state.metrics.iter().map(|statistics| statistics.as_ref().map(|s| s.step)).collect();
        let steps = |record: &Record| record.metrics.iter().map(|(name, metric)| (name.clone(), metric.step)).collect();
        let former_steps = former.as_ref().map_or_else(BTreeMap::new, steps);
        // Whether it is used again is this stretch's to say.
        let datasets = state.datasets.clone();
        if let (Some(former), Some(resumed)) = (former, &started.resumed) {
            stretches::lay_under(&mut state, former, resumed, HashMap::new());
        }
        Self {
            ports: ports.clone(),
            id: id.to_owned(),
            number,
            writer,
            watch: RefCell::default(),
            inner: RefCell::new(Inner {
                started,
                sequence: state.sequence,
                buffer: Vec::new(),
                numbers,
                last_steps,
                former_steps,
                parameters: state.parameters.into_iter().map(|(name, set)| (name, set.value)).collect(),
                models: state.models,
                artifacts: state.artifacts.into_keys().collect(),
                tags: state.tags,
                notes: state.notes.len(),
                note_bytes: state.note_bytes,
                datasets,
                elapsed,
                inputs: state.inputs.len(),
                reads: state.reads,
                printed: 0,
                overflow: Overflow::default(),
                finishing: state.ending.is_some(),
                finished: None,
            }),
        }
    }

    /// The experiment's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// 0 in the process that started the run, else the number of the child that takes part in it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether it is time that somebody who does not wait looks at the servers that data came from; true once.
    pub fn take_servers_due(&self) -> bool {
        self.watch.borrow_mut().take_due()
    }

    /// Records parameters; a later value of the same name replaces the earlier. Those of a child are its run's, and recorded
    /// already.
    ///
    /// # Errors
    /// When they take more room than a record has.
    pub fn set_parameters(&self, parameters: &[Parameter]) -> Result<()> {
        self.alive()?;
        if self.number != 0 {
            return Ok(());
        }
        let mut all = self.inner.borrow().parameters.clone();
        let mut set = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            value::check(&parameter.value, &parameter.name)?;
            let value = redact::value(&parameter.name, &parameter.value);
            all.insert(parameter.name.clone(), value.clone());
            set.push(ParameterSet { name: parameter.name.clone(), value, source: parameter.source });
        }
        // As they will stand in the record, where each line is indented.
        let bytes: usize = all.iter().map(|(name, value)| name.len() + room(value)).sum();
        if bytes > MOST_PARAMETER_BYTES {
            return Err(Failure::new(
                FailureKind::InvalidValue,
                format!("The parameters take {bytes} bytes, and {MOST_PARAMETER_BYTES} are the most"),
            )
            .hint("Keep what is large in a file of the project, and give its path as the parameter"));
        }
        self.append(&Event::Parameters(set))?;
        self.inner.borrow_mut().parameters = all;
        Ok(())
    }

    /// The metric's number.
    ///
    /// # Errors
    /// When the name can't be one, or when there are too many.
    pub fn intern(&self, name: &str) -> Result<u32> {
        if let Some(number) = self.inner.borrow().numbers.get(name) {
            return Ok(*number);
        }
        self.alive()?;
        check_name("metric", name)?;
        let (count, former) =
            (self.inner.borrow().last_steps.len(), self.inner.borrow().former_steps.get(name).copied());
        let (others, bytes) = self.inner.borrow().former_room();
        let bytes = bytes + name.len() + self.inner.borrow().numbers.keys().map(String::len).sum::<usize>();
        if former.is_none() && count + others >= MOST_METRICS || bytes > MOST_NAME_BYTES {
            return Err(Failure::new(
                FailureKind::LimitReached,
                format!(
                    "`{name}` would be one metric more than an experiment can have: {MOST_METRICS}, or names of 256 KiB"
                ),
            )
            .hint("Use `step` for what changes from call to call, not a name of its own"));
        }
        let number = u32::try_from(count).unwrap_or(u32::MAX);
        self.append(&Event::Metric { number, name: name.into() })?;
        let inner = &mut *self.inner.borrow_mut();
        inner.numbers.insert(name.to_owned(), number);
        // It goes on from where the experiment was.
        inner.last_steps.push(former);
        Ok(number)
    }

    /// Logs one value of an interned metric.
    ///
    /// # Errors
    /// When the number is of no metric, and when the journal can't be written.
    pub fn log_one(&self, metric: u32, value: f64, step: Option<u64>) -> Result<()> {
        self.append_measured(&[(metric, Number::Float(value))], step)
    }

    /// Logs several values, all or none.
    ///
    /// # Errors
    /// As [`Run::intern`], and when the journal can't be written.
    pub fn log(&self, measurements: &[(String, Number)], step: Option<u64>) -> Result<()> {
        let mut numbered = Vec::with_capacity(measurements.len());
        for (name, value) in measurements {
            check_name("metric", name)?;
            numbered.push((self.intern(name)?, value.clone()));
        }
        self.append_measured(&numbered, step)
    }

    fn append_measured(&self, measurements: &[(u32, Number)], step: Option<u64>) -> Result<()> {
        self.alive()?;
        let inner = &mut *self.inner.borrow_mut();
        let elapsed = self.elapsed(inner);
        let Inner { buffer, last_steps, sequence, .. } = inner;
        for (metric, _) in measurements {
            if *metric as usize >= last_steps.len() {
                return Err(Failure::new(FailureKind::Usage, format!("No metric has the number {metric}")));
            }
        }
        frame::encode(buffer, event::MEASURED_KIND, *sequence, |payload| {
            event::begin_timed(payload, elapsed);
            for (metric, value) in measurements {
                event::measured(payload, *metric, next_step(last_steps, *metric, step), value);
            }
        });
        frame::check(buffer)?;
        self.writer.append(buffer)?;
        *sequence += 1;
        for (metric, _) in measurements {
            let step = next_step(last_steps, *metric, step);
            last_steps[*metric as usize] = Some(step);
        }
        Ok(())
    }

    /// Keeps what the script printed: 1 stdout, 2 stderr.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn output(&self, stream: u8, bytes: &[u8]) -> Result<()> {
        self.alive()?;
        let inner = &mut *self.inner.borrow_mut();
        let elapsed = self.elapsed(inner);
        inner.printed = inner.printed.saturating_add(bytes.len() as u64);
        if inner.printed > MOST_OUTPUT {
            inner.overflow.push(stream, bytes);
            return Ok(());
        }
        self.append_output(inner, elapsed, stream, bytes)
    }

    /// Writes down what the journal had no room for, as far as it was kept.
    fn append_overflow(&self) -> Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        let mut overflow = std::mem::take(&mut inner.overflow);
        let elapsed = self.elapsed(inner);
        if overflow.left_out > 0 {
            let mark = format!("\n[… {} bytes are left out …]\n", overflow.left_out);
            self.append_output(inner, elapsed, 1, mark.as_bytes())?;
        }
        while let Some((stream, bytes)) = overflow.pop() {
            self.append_output(inner, elapsed, stream, &bytes)?;
        }
        Ok(())
    }

    fn append_output(&self, inner: &mut Inner, elapsed: u64, stream: u8, bytes: &[u8]) -> Result<()> {
        let longest = if self.number == 0 { OUTPUT_PIECE } else { CHILDS_OUTPUT_PIECE };
        inner.buffer.clear();
        let mut sequence = inner.sequence;
        for piece in bytes.chunks(longest) {
            frame::push(&mut inner.buffer, event::OUTPUT_KIND, sequence, |payload| {
                event::begin_timed(payload, elapsed);
                payload.push(stream);
                payload.extend_from_slice(piece);
            });
            sequence += 1;
        }
        self.writer.append(&inner.buffer)?;
        inner.sequence = sequence;
        Ok(())
    }

    /// Saves a model.
    ///
    /// # Errors
    /// When the store can't keep it.
    pub fn save_model(&self, name: &str, contents: ByteStream) -> Result<Found> {
        self.alive()?;
        check_name("model", name)?;
        let models = self.inner.borrow().models.len();
        if models >= MOST_MODELS && !self.inner.borrow().models.contains_key(name) {
            return Err(Failure::new(
                FailureKind::LimitReached,
                format!("`{name}` would be one model more than the {MOST_MODELS} that an experiment can have"),
            )
            .hint("Save again under a name used before: the later model replaces the earlier"));
        }
        let stored = self.ports.store.add(contents)?;
        let model = Model { digest: stored.digest, size: stored.size };
        let elapsed = Some(self.elapsed(&self.inner.borrow()));
        self.append(&Event::Model { elapsed, name: name.to_owned(), model: model.clone() })?;
        // Its bytes are on stable storage by now; without this they might belong to nobody after a power cut.
        self.writer.sync()?;
        self.inner.borrow_mut().models.insert(name.to_owned(), model.clone());
        Ok(Found { experiment: self.id.clone(), model })
    }

    /// Keeps a file with the experiment.
    ///
    /// # Errors
    /// When the store can't keep it, and for names that can't be one or are one too many.
    pub fn log_artifact(&self, name: &str, contents: ByteStream) -> Result<Artifact> {
        self.alive()?;
        check_name("artefact", name)?;
        if self.inner.borrow().artifacts.len() >= MOST_ARTIFACTS && !self.inner.borrow().artifacts.contains(name) {
            return Err(Failure::new(
                FailureKind::LimitReached,
                format!("`{name}` would be one artefact more than the {MOST_ARTIFACTS} that an experiment can have"),
            )
            .hint("Log again under a name used before: the later artefact replaces the earlier"));
        }
        let stored = self.ports.store.add(contents)?;
        let artifact = Artifact { digest: stored.digest, size: stored.size };
        let elapsed = self.elapsed(&self.inner.borrow());
        self.append(&Event::Artifact { elapsed, name: name.to_owned(), artifact: artifact.clone() })?;
        self.inner.borrow_mut().artifacts.insert(name.to_owned());
        Ok(artifact)
    }

    /// Records what the script has to say of itself, without what opens the addresses in it.
    ///
    /// # Errors
    /// When there is nothing in it, and when there is no room for it.
    pub fn note(&self, text: &str) -> Result<()> {
        self.alive()?;
        let text = redact::url(text);
        if text.trim().is_empty() {
            return Err(Failure::new(FailureKind::InvalidValue, "The note is empty").hint("Say something in it"));
        }
        let elapsed = self.elapsed(&self.inner.borrow());
        let bytes = self.inner.borrow().note_bytes.saturating_add(note_room(&text));
        let notes = self.inner.borrow().notes;
        if notes >= MOST_NOTES || bytes > MOST_NOTE_BYTES {
            return Err(Failure::new(
                FailureKind::LimitReached,
                format!("There is no room for another note: {MOST_NOTES} of 64 KiB in all are the most"),
            )
            .hint("Print what is long, or keep it by `au.log_artifact`"));
        }
        self.append(&Event::Note { elapsed, text })?;
        let inner = &mut *self.inner.borrow_mut();
        (inner.notes, inner.note_bytes) = (notes + 1, bytes);
        Ok(())
    }

    /// Gives the experiment words to find it by, and has it belong to a group.
    ///
    /// # Errors
    /// For words that can't be one, and when there are too many.
    pub fn label(&self, tags: &[String], group: Option<&str>) -> Result<()> {
        self.alive()?;
        check_labels(&self.inner.borrow().tags, tags, group)?;
        let elapsed = self.elapsed(&self.inner.borrow());
        self.append(&Event::Labels { elapsed, tags: tags.to_vec(), group: group.map(str::to_owned) })?;
        self.inner.borrow_mut().tags.extend(tags.iter().cloned());
        Ok(())
    }

    /// Records a file that the script read past the project.
    ///
    /// # Errors
    /// When there is no room for it, and when the journal can't be written.
    pub fn note_read(&self, read: Read) -> Result<()> {
        self.alive()?;
        let added = self.inner.borrow().reads.look(&read);
        let elapsed = self.elapsed(&self.inner.borrow());
        match added {
            Added::Known => Ok(()),
            Added::New => {
                self.append(&Event::Read { elapsed, read: Some(read.clone()) })?;
                self.inner.borrow_mut().reads.add(read);
                Ok(())
            }
            Added::NoRoom => {
                if !self.inner.borrow().reads.cut {
                    self.append(&Event::Read { elapsed, read: None })?;
                    self.inner.borrow_mut().reads.cut = true;
                }
                Err(Failure::new(
                    FailureKind::LimitReached,
                    format!("The script reads more files than the {MOST_READS} that a record names"),
                )
                .hint("Add what belongs together as one folder: `au data add`"))
            }
        }
    }

    /// Finds a model by the rule of [`models::find`] and records it as an input when it is another experiment's.
    ///
    /// # Errors
    /// `NoModel` when there is none, with what there is.
    pub fn find_model(&self, name: &str, experiment: Option<&str>) -> Result<Found> {
        self.alive()?;
        if experiment.is_none()
            && let Some(model) = self.own_model(name)?
        {
            return Ok(Found { experiment: self.id.clone(), model });
        }
        let (script, parent) = {
            let inner = self.inner.borrow();
            (inner.started.script.clone(), inner.started.parent.clone())
        };
        let found = models::find(&self.ports, name, experiment, parent.as_deref(), script.as_deref())?;
        if self.inner.borrow().inputs >= MOST_INPUTS {
            return Ok(found);
        }
        self.inner.borrow_mut().inputs += 1;
        let elapsed = Some(self.elapsed(&self.inner.borrow()));
        let (experiment, digest) = (found.experiment.clone(), found.model.digest.clone());
        self.append(&Event::Input { elapsed, input: Input { experiment, model: name.to_owned(), digest } })?;
        Ok(found)
    }

    /// The model of that name that this run has saved last, whichever of its processes did.
    fn own_model(&self, name: &str) -> Result<Option<Model>> {
        if self.number == 0 && fold::children(&*self.ports.journal, &self.id)?.is_empty() {
            return Ok(self.inner.borrow().models.get(name).cloned());
        }
        let saved = State::read_all(&*self.ports.journal, &self.id)?.models.remove(name);
        // What the experiment had before it was resumed is in no journal.
        Ok(saved.or_else(|| self.inner.borrow().models.get(name).cloned()))
    }

    /// Where datasets are, for the script to open; they are recorded as used.
    ///
    /// # Errors
    /// As [`restore::locate`].
    pub fn use_datasets(&self, names: &[String]) -> Result<Vec<Place>> {
        self.alive()?;
        let located = restore::locate(&self.ports, names)?;
        let mut used = BTreeMap::new();
        for (dataset, _) in &located {
            let Dataset { name, .. } = dataset;
            if !used.contains_key(name) {
                used.insert(name.clone(), usage::at_use(&self.ports, dataset, self.inner.borrow().datasets.get(name)));
            }
        }
        self.note_datasets(used)?;
        Ok(located.into_iter().map(|(_, place)| place).collect())
    }

    /// Records datasets as used that the script has opened without saying so. Those that are recorded so are not looked at again.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn notice_datasets(&self, names: &[String]) -> Result<()> {
        self.alive()?;
        let mut used = BTreeMap::new();
        for name in names {
            let former = self.inner.borrow().datasets.get(name).cloned();
            // What can't be read any more was warned of at the beginning.
            if let (false, Ok(dataset)) =
                (former.as_ref().is_some_and(|usage| usage.used), dataset::read(&self.ports, name))
            {
                used.insert(name.clone(), usage::at_use(&self.ports, &dataset, former.as_ref()));
            }
        }
        self.note_datasets(used)
    }

    fn note_datasets(&self, datasets: BTreeMap<String, Usage>) -> Result<()> {
        /// Of a frame: at most 16 KiB each, which is what a description may take.
        const AT_ONCE: usize = 40;
        let noted: Vec<_> = datasets
            .into_iter()
            .filter(|(name, usage)| self.inner.borrow().datasets.get(name) != Some(usage))
            .collect();
        for some in noted.chunks(AT_ONCE) {
            let named = |(name, dataset): &(String, Usage)| NamedUsage { name: name.clone(), dataset: dataset.clone() };
            self.append(&Event::Datasets(some.iter().map(named).collect()))?;
        }
        self.inner.borrow_mut().datasets.extend(noted);
        Ok(())
    }

    /// Saves the run as one commit under one tag. Once it has succeeded, doing it again answers the same.
    ///
    /// # Errors
    /// When a capability fails; the journal then still has everything, and `au recover` finishes it.
    pub fn finish(&self, status: Status, problem: Option<&Problem>) -> Result<Finished> {
        if self.number != 0 {
            return Err(Failure::new(FailureKind::Usage, "A child can't end the run that it takes part in")
                .hint("End it in the process that started it"));
        }
        if let Some(finished) = &self.inner.borrow().finished {
            return Ok(finished.clone());
        }
        let begun = self.inner.borrow().finishing;
        if !begun {
            self.append_overflow()?;
            let told = usage::at_end(&self.ports, &self.inner.borrow().datasets);
            self.watch.borrow_mut().at_end(&self.ports, &self.inner.borrow().datasets);
            // What data the run had is no reason not to save it.
            if let Err(failure) = self.note_datasets(told) {
                self.ports.progress.warn(&format!("Not all data is recorded: {}", failure.message), &failure.hints);
            }
        }
        self.inner.borrow_mut().finishing = true;
        let time = {
            let inner = self.inner.borrow();
            inner.started.time.saturating_add(self.elapsed(&inner))
        };
        let supersedes = self.inner.borrow().started.goes_on_from();
        let ending = Ending { supersedes, ..Ending::new(status, time, problem.map(presentable)) };
        let sequence = (!begun).then_some(self.inner.borrow().sequence);
        let finished = completion::finish(&self.ports, &self.id, &*self.writer, sequence, ending)?;
        self.inner.borrow_mut().finished = Some(finished.clone());
        Ok(finished)
    }

    /// Returns once all that was recorded is on stable storage.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn flush(&self) -> Result<()> {
        self.alive()?;
        if self.number != 0 {
            // A child has no other end.
            self.append_overflow()?;
        }
        Ok(self.writer.sync()?)
    }

    /// Milliseconds since the run's start. A clock may be set back: what is recorded later did not happen earlier.
    fn elapsed(&self, inner: &Inner) -> u64 {
        let elapsed = self.ports.clock.now().saturating_sub(inner.started.time).max(inner.elapsed.get());
        inner.elapsed.set(elapsed);
        elapsed
    }

    fn append(&self, event: &Event<'_>) -> Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        frame::encode(&mut inner.buffer, event.kind(), inner.sequence, |payload| event.encode(payload));
        frame::check(&inner.buffer)?;
        self.writer.append(&inner.buffer)?;
        inner.sequence += 1;
        Ok(())
    }

    fn alive(&self) -> Result<()> {
        if !self.inner.borrow().finishing {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Usage, format!("The experiment `{}` has ended", self.id))
            .hint("Log before `end_experiment()`"))
    }
}

impl Inner {
    /// Metrics that the experiment had before it was resumed and this stretch does not have yet, and the bytes of their names.
    fn former_room(&self) -> (usize, usize) {
        let others = self.former_steps.keys().filter(|name| !self.numbers.contains_key(*name));
        others.fold((0, 0), |(count, bytes), name| (count + 1, bytes + name.len()))
    }
}

/// Whether a working tree has the code that an experiment was saved with.
fn is_same_code(ports: &Ports, id: &str, commit: &str, tree: &str) -> Result<bool> {
    let bare = |of: &str| {
        let mut edit = ports.repository_edit.begin_tree(Some(of))?;
        edit.remove(layout::EXPERIMENTS)?;
        edit.remove(&layout::log(id))?;
        edit.write()
    };
    Ok(bare(commit)? == bare(tree)?)
}

/// Whether there is an experiment of this id here, saved or not. What a run is said to be a part of comes from its environment, which may
/// be another project's: that is no reason not to record it.
fn is_there(ports: &Ports, id: &str) -> bool {
    let is_tagged = || catalogue::reference(ports, &format!("{}{id}", layout::TAGS)).is_ok_and(|tag| tag.is_some());
    let is_archived = || catalogue::saved(ports).is_ok_and(|saved| saved.iter().any(|saved| saved.id == id));
    let is_running = || ports.journal.parts(id).is_ok_and(|parts| !parts.is_empty());
    id::is_id(id) && (is_running() || is_tagged() || is_archived())
}

/// The working tree as git's, kept alive by a reference. What a `git gc` removed before there was one is written again.
fn take_snapshot(ports: &Ports, id: &str, head: &Head, resumes: bool) -> Result<(ObjectId, Selection)> {
    let reference = format!("{}{id}", layout::RUNNING);
    // Of an experiment that is resumed, the reference is still where its former run left it.
    let mut before = if resumes { catalogue::reference(ports, &reference)? } else { None };
    let mut attempt = || {
        let (tree, selection) = working_tree::take(ports, head)?;
        // Durable, for a torn one would have `git gc` fail.
        ports.repository_edit.set_reference(&reference, before.as_deref(), &tree, true)?;
        // The end of the run looks again, and says so if something is missing.
        let whole = ports.repository_edit.shield(&tree, head.tree.as_deref()).unwrap_or(true);
        before = Some(tree.clone());
        if whole { Ok((tree, selection)) } else { Err(completion::removed()) }
    };
    completion::again_while_gone(&mut attempt)
}

/// Who commits what Aurum writes. It never fails for want of a name.
///
/// # Errors
/// When git's settings can't be read.
pub(crate) fn committer(ports: &Ports) -> Result<Identity> {
    let fallback = || Identity { name: "Aurum".to_owned(), email: "aurum@localhost".to_owned() };
    Ok(ports.repository.identity()?.unwrap_or_else(fallback))
}

/// Bytes of a value in a record.
fn room(value: &Value) -> usize {
    let text = value::canonical(value);
    text.len() + 8 * text.lines().count()
}

/// Bytes of a note in a record, without its time.
pub(crate) fn note_room(text: &str) -> usize {
    Value::from(text).to_string().len()
}

fn next_step(last_steps: &[Option<u64>], metric: u32, given: Option<u64>) -> u64 {
    given.unwrap_or_else(|| last_steps[metric as usize].map_or(0, |last| last.saturating_add(1)))
}

/// What was fixed when a run started that another process holds.
fn started(ports: &Ports, id: &str) -> Result<Started> {
    crate::texts::begun(&*ports.journal, id)?.ok_or_else(|| gone(id))
}

fn gone(id: &str) -> Failure {
    Failure::new(FailureKind::UnknownExperiment, format!("No run `{id}` is under way"))
        .hint("Run `au metrics` to list the recorded experiments")
}

/// A problem without the secrets of addresses in it, of a size that fits the journal.
fn presentable(problem: &Problem) -> Problem {
    let mut traceback = redact::url(&problem.traceback);
    if traceback.len() > 2 * TRACEBACK_END {
        let head = traceback.floor_char_boundary(TRACEBACK_END);
        let tail = traceback.ceil_char_boundary(traceback.len() - TRACEBACK_END);
        traceback = format!("{}\n[…]\n{}", &traceback[..head], &traceback[tail..]);
    }
    Problem { summary: redact::url(&problem.summary.chars().take(1_000).collect::<String>()), traceback }
}

fn check_labels(former: &BTreeSet<String>, tags: &[String], group: Option<&str>) -> Result<()> {
    tags.iter().try_for_each(|tag| check_name("tag", tag))?;
    group.map_or(Ok(()), |group| check_name("group", group))?;
    let new: BTreeSet<_> = tags.iter().filter(|tag| !former.contains(*tag)).collect();
    if former.len() + new.len() > MOST_TAGS {
        return Err(Failure::new(
            FailureKind::LimitReached,
            format!("There is no room for more tags: {MOST_TAGS} are the most of an experiment"),
        )
        .hint("Make a parameter of what has many values: `au.parameters(name=value)`"));
    }
    Ok(())
}

/// Names of metrics, models and experiments: what fits a line and a record.
fn check_name(what: &str, name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.len() > LONGEST_NAME {
        "is longer than 256 bytes"
    } else if name.chars().any(char::is_control) {
        "holds a control character"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    Err(Failure::new(FailureKind::InvalidValue, format!("The name `{shown}` of a {what} {fault}"))
        .hint("Use a name of 1 to 256 bytes without line breaks"))
}
