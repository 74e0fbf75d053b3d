//! The exports, each delegating to the module that owns the rule.

use std::cell::RefCell;

use super::Component;
use super::aurum::tracker::types::{Failure as WitFailure, FailureKind as WitKind, Request as WitRequest};
use super::exports::aurum::tracker::{datasets, experiments, history, project, reproduction, retention, sharing, view};
use super::ports_impl::ports;
use crate::completion::{self, Finished, Lost};
use crate::dataset::{self, add};
use crate::error::{Failure, FailureKind};
use crate::journal::event::Problem;
use crate::metrics::Number;
use crate::models::{self, Found};
use crate::parameters::{self, Declared, Parameter, Parsed, Source};
use crate::ports::{ByteStream, Destination, Place};
use crate::query::Request;
use crate::reads::Read;
use crate::record::{Artifact, Status};
use crate::reproduction::load::{self, Loaded};
use crate::reproduction::pack::{self, Package, Without};
use crate::retention::archive::Folded;
use crate::retention::{age, archive, collection, removal, trash, verify};
use crate::run::{Options, Run};
use crate::sharing::{self as share, DataOutcome, data_remote};
use crate::texts;

impl From<Failure> for WitFailure {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            FailureKind::Usage => WitKind::Usage,
            FailureKind::NotAProject => WitKind::NotAProject,
            FailureKind::AlreadyAProject => WitKind::AlreadyAProject,
            FailureKind::InTheWay => WitKind::InTheWay,
            FailureKind::NoIdentity => WitKind::NoIdentity,
            FailureKind::UnknownExperiment => WitKind::UnknownExperiment,
            FailureKind::AmbiguousExperiment => WitKind::AmbiguousExperiment,
            FailureKind::UnknownParameter => WitKind::UnknownParameter,
            FailureKind::InvalidValue => WitKind::InvalidValue,
            FailureKind::LimitReached => WitKind::LimitReached,
            FailureKind::NoModel => WitKind::NoModel,
            FailureKind::UnknownDataset => WitKind::UnknownDataset,
            FailureKind::MissingData => WitKind::MissingData,
            FailureKind::Unreadable => WitKind::Unreadable,
            FailureKind::Unsupported => WitKind::Unsupported,
            FailureKind::Denied => WitKind::Denied,
            FailureKind::Gone | FailureKind::Unavailable => WitKind::Unavailable,
        };
        Self { kind, message: failure.message, hints: failure.hints, excerpt: failure.excerpt }
    }
}

impl From<WitRequest> for Request {
    fn from(WitRequest { selector, condition, sort, limit }: WitRequest) -> Self {
        Self { selector, condition, sort, limit }
    }
}

impl project::Guest for Component {
    fn init() -> Result<project::Created, WitFailure> {
        let crate::project::Created { repository, commit, paths } = crate::project::init(&ports())?;
        Ok(project::Created { repository, commit, paths })
    }

    fn lost() -> Result<Vec<project::LostRun>, WitFailure> {
        let ports = ports();
        crate::project::require(&ports)?;
        let lost = completion::lost(&ports)?;
        Ok(lost.into_iter().map(|Lost { id, size }| project::LostRun { id, size }).collect())
    }

    fn recover(id: String) -> Result<Option<project::Recovered>, WitFailure> {
        let recovered =
            |Finished { id, status, commit, tag }| project::Recovered { id, status: status.to_string(), commit, tag };
        Ok(completion::recover(&ports(), &id)?.map(recovered))
    }

    fn clear_stale_references() -> Result<(), WitFailure> {
        Ok(completion::clear_stale_references(&ports())?)
    }
}

impl experiments::Guest for Component {
    type Run = Run;

    fn resolve_parameters(
        declared: Vec<experiments::Declared>,
        arguments: Vec<String>,
        parsed: Option<experiments::Parsed>,
        lenient: bool,
        reserved: Vec<String>,
    ) -> Result<experiments::Resolution, WitFailure> {
        let declared = declared
            .into_iter()
            .map(|experiments::Declared { name, default, words }| {
                let default = default.map(|text| json(&name, &text)).transpose()?;
                let word = |word: experiments::Word| Ok((word.name, json(&name, &word.value)?));
                let words = words.into_iter().map(word).collect::<Result<_, Failure>>()?;
                Ok(Declared { name, default, words })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let parsed = parsed.map(|experiments::Parsed { names, given, rest }| Parsed { names, given, rest });
        let resolution = parameters::resolve(&declared, &arguments, parsed.as_ref(), lenient, &reserved)?;
        let parameter = |parameter: Parameter| experiments::Parameter {
            name: parameter.name,
            value: parameter.value.to_string(),
            source: match parameter.source {
                Source::Code => experiments::Source::Code,
                Source::CommandLine => experiments::Source::CommandLine,
            },
        };
        Ok(experiments::Resolution {
            parameters: resolution.parameters.into_iter().map(parameter).collect(),
            warnings: resolution.warnings,
        })
    }

    fn start(options: experiments::RunOptions) -> Result<experiments::Run, WitFailure> {
        let experiments::RunOptions { name, parent, group, tags, resume, script, arguments, directory } = options;
        let run = Run::start(&ports(), Options { name, parent, group, tags, resume, script, arguments, directory })?;
        Ok(experiments::Run::new(run))
    }

    fn join(id: String) -> Result<experiments::Run, WitFailure> {
        Ok(experiments::Run::new(Run::join(&ports(), &id)?))
    }

    fn reopen(id: String, number: u32) -> Result<experiments::Run, WitFailure> {
        Ok(experiments::Run::new(Run::reopen(&ports(), &id, number)?))
    }

    fn find_model(
        name: String,
        experiment: Option<String>,
        script: Option<String>,
    ) -> Result<experiments::ModelLocation, WitFailure> {
        let ports = ports();
        crate::project::require(&ports)?;
        Ok(location(models::find(&ports, &name, experiment.as_deref(), None, script.as_deref())?))
    }
}

impl experiments::GuestRun for Run {
    fn id(&self) -> String {
        Run::id(self).to_owned()
    }

    fn number(&self) -> u32 {
        Run::number(self)
    }

    fn note(&self, text: String) -> Result<(), WitFailure> {
        Ok(Run::note(self, &text)?)
    }

    fn label(&self, tags: Vec<String>, group: Option<String>) -> Result<(), WitFailure> {
        Ok(Run::label(self, &tags, group.as_deref())?)
    }

    fn log_artifact(
        &self,
        name: String,
        contents: experiments::ByteStream,
    ) -> Result<experiments::StoredArtifact, WitFailure> {
        let Artifact { digest, size } = Run::log_artifact(self, &name, ByteStream(Box::new(contents)))?;
        Ok(experiments::StoredArtifact { digest, size })
    }

    fn note_reading(&self, reading: experiments::Reading) -> Result<(), WitFailure> {
        let experiments::Reading { through, storage, path, size, digest } = reading;
        Ok(Run::note_read(self, Read::new(&through, storage.as_deref(), &path, size, digest))?)
    }

    fn flush(&self) -> Result<(), WitFailure> {
        Ok(Run::flush(self)?)
    }

    fn set_parameters(&self, parameters: Vec<experiments::Parameter>) -> Result<(), WitFailure> {
        let parameters = parameters
            .into_iter()
            .map(|experiments::Parameter { name, value, source }| {
                let value = json(&name, &value)?;
                let source = match source {
                    experiments::Source::Code => Source::Code,
                    experiments::Source::CommandLine => Source::CommandLine,
                };
                Ok(Parameter { name, value, source })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        Ok(Run::set_parameters(self, &parameters)?)
    }

    fn intern(&self, name: String) -> Result<u32, WitFailure> {
        Ok(Run::intern(self, &name)?)
    }

    fn log_one(&self, metric: u32, value: f64, step: Option<u64>) -> Result<(), WitFailure> {
        Ok(Run::log_one(self, metric, value, step)?)
    }

    fn log(&self, measurements: Vec<experiments::Measurement>, step: Option<u64>) -> Result<(), WitFailure> {
        let number = |experiments::Measurement { name, value }| {
            let value = match value {
                experiments::Number::Float(value) => Number::Float(value),
                experiments::Number::Integer(value) => Number::Integer(value),
                experiments::Number::Digits(digits) => Number::from_digits(&name, digits)?,
            };
            Ok((name, value))
        };
        let measurements = measurements.into_iter().map(number).collect::<Result<Vec<_>, Failure>>()?;
        Ok(Run::log(self, &measurements, step)?)
    }

    fn output(&self, stream: experiments::OutputStream, bytes: Vec<u8>) -> Result<(), WitFailure> {
        let stream = match stream {
            experiments::OutputStream::Stdout => 1,
            experiments::OutputStream::Stderr => 2,
        };
        Ok(Run::output(self, stream, &bytes)?)
    }

    fn save_model(
        &self,
        name: String,
        contents: experiments::ByteStream,
    ) -> Result<experiments::ModelLocation, WitFailure> {
        Ok(location(Run::save_model(self, &name, ByteStream(Box::new(contents)))?))
    }

    fn find_model(&self, name: String, experiment: Option<String>) -> Result<experiments::ModelLocation, WitFailure> {
        Ok(location(Run::find_model(self, &name, experiment.as_deref())?))
    }

    fn use_datasets(&self, names: Vec<String>) -> Result<Vec<experiments::Place>, WitFailure> {
        Ok(Run::use_datasets(self, &names)?.into_iter().map(place_out).collect())
    }

    fn notice_datasets(&self, names: Vec<String>) -> Result<(), WitFailure> {
        Ok(Run::notice_datasets(self, &names)?)
    }

    fn servers_due(&self) -> bool {
        self.take_servers_due()
    }

    fn finish(
        &self,
        outcome: experiments::Outcome,
        problem: Option<experiments::Problem>,
    ) -> Result<experiments::FinishedRun, WitFailure> {
        let status = match outcome {
            experiments::Outcome::Finished => Status::Finished,
            experiments::Outcome::Failed => Status::Failed,
            experiments::Outcome::Interrupted => Status::Interrupted,
            experiments::Outcome::Killed => Status::Killed,
        };
        let problem = problem.map(|experiments::Problem { summary, traceback }| Problem { summary, traceback });
        let Finished { id, commit, tag, .. } = Run::finish(self, status, problem.as_ref())?;
        Ok(experiments::FinishedRun { id, commit, tag })
    }
}

fn location(found: Found) -> experiments::ModelLocation {
    experiments::ModelLocation { experiment: found.experiment, digest: found.model.digest, size: found.model.size }
}

fn json(name: &str, text: &str) -> Result<serde_json::Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new(FailureKind::InvalidValue, format!("The value of `{name}` is not JSON: {error}")))
}

/// A listing and where it stands.
pub(crate) struct Listing(RefCell<crate::history::Listing>);

impl history::Guest for Component {
    type Listing = Listing;

    fn query(request: WitRequest) -> Result<history::Listing, WitFailure> {
        let listing = crate::history::query(&ports(), &request.into())?;
        Ok(history::Listing::new(Listing(RefCell::new(listing))))
    }

    fn show(selector: String) -> Result<String, WitFailure> {
        Ok(crate::history::show(&ports(), &selector)?)
    }

    fn write_log(selector: String, unended: bool, to: &history::Sink) -> Result<(), WitFailure> {
        Ok(texts::write_log(&ports(), &selector, unended, to)?)
    }

    fn write_metrics(selector: String, to: &history::Sink) -> Result<(), WitFailure> {
        Ok(texts::write_metrics(&ports(), &selector, to)?)
    }
}

impl history::GuestListing for Listing {
    fn next(&self) -> Result<Option<String>, WitFailure> {
        Ok(self.0.borrow_mut().next_page()?)
    }
}

impl view::Guest for Component {
    fn rows(records: Vec<u8>, request: WitRequest, now: Option<u64>) -> Result<String, WitFailure> {
        Ok(crate::history::rows(&records, &request.into(), now)?)
    }
}

impl datasets::Guest for Component {
    fn add(sources: Vec<datasets::Source>, options: datasets::AddOptions) -> Result<datasets::Addition, WitFailure> {
        let source = |source| match source {
            datasets::Source::Local(place) => add::Source::Local(place_in(place)),
            datasets::Source::Address(url) => add::Source::Address(url),
        };
        let sources: Vec<_> = sources.into_iter().map(source).collect();
        let datasets::AddOptions { name, store, folder } = options;
        Ok(addition(add::add(&ports(), &sources, &add::Options { name, store, folder })?))
    }

    fn remove(names: Vec<String>, hard: bool) -> Result<String, WitFailure> {
        Ok(dataset::remove::remove(&ports(), &names, hard)?)
    }

    fn list() -> Result<String, WitFailure> {
        Ok(dataset::list(&ports())?)
    }

    fn status(names: Vec<String>, offline: bool) -> Result<String, WitFailure> {
        Ok(dataset::status::status(&ports(), &names, offline)?)
    }

    fn look() -> Result<(), WitFailure> {
        Ok(dataset::watch::look(&ports())?)
    }

    fn restore(names: Vec<String>, options: datasets::RestoreOptions) -> Result<String, WitFailure> {
        let datasets::RestoreOptions { version, to, fetch } = options;
        Ok(dataset::restore::restore(&ports(), &names, &dataset::restore::Request { version, to, fetch })?)
    }

    fn history(name: String) -> Result<String, WitFailure> {
        Ok(dataset::versions::history(&ports(), &name)?)
    }

    fn update(names: Vec<String>) -> Result<datasets::Addition, WitFailure> {
        Ok(addition(dataset::update::update(&ports(), &names)?))
    }

    fn verify(names: Vec<String>) -> Result<String, WitFailure> {
        Ok(dataset::verify::verify(&ports(), &names)?)
    }

    fn locate(names: Vec<String>) -> Result<Vec<datasets::Place>, WitFailure> {
        let located = dataset::restore::locate(&ports(), &names)?;
        Ok(located.into_iter().map(|(_, place)| place_out(place)).collect())
    }
}

fn addition(addition: add::Addition) -> datasets::Addition {
    datasets::Addition {
        rows: serde_json::Value::from(addition.rows).to_string(),
        failures: addition.failures.into_iter().map(Into::into).collect(),
    }
}

fn place_in(place: datasets::Place) -> Place {
    match place {
        datasets::Place::Project(path) => Place::Project(path),
        datasets::Place::Outside(path) => Place::Outside(path),
    }
}

fn place_out(place: Place) -> datasets::Place {
    match place {
        Place::Project(path) => datasets::Place::Project(path),
        Place::Outside(path) => datasets::Place::Outside(path),
    }
}

impl reproduction::Guest for Component {
    fn load(selector: String) -> Result<reproduction::Loaded, WitFailure> {
        let Loaded { id, commit, branch, before, restored, models } = load::load(&ports(), &selector)?;
        Ok(reproduction::Loaded { id, commit, branch, before, restored, models })
    }

    fn pack(
        selector: String,
        without: reproduction::Omissions,
        destination: reproduction::Destination,
    ) -> Result<reproduction::Packed, WitFailure> {
        let reproduction::Omissions { data, metrics, logs, model, code } = without;
        let without = Without { data, metrics, logs, model, code };
        let destination = Destination(Box::new(destination));
        let Package { id, path, size } = pack::pack(&ports(), &selector, without, destination)?;
        Ok(reproduction::Packed { id, path, size })
    }
}

impl retention::Guest for Component {
    type Verification = Verification;

    fn collect(what: retention::Collection, dry_run: bool) -> Result<String, WitFailure> {
        let retention::Collection { keep_last, older_than, statuses, condition, grace } = what;
        let options = collection::Options { keep_last, older_than, statuses, condition, grace };
        Ok(text(&collection::collect(&ports(), &options, dry_run)?)?)
    }

    fn verify(selector: Option<String>, full: bool) -> Result<retention::Verification, WitFailure> {
        let verification = verify::Verification::begin(&ports(), selector.as_deref(), full)?;
        Ok(retention::Verification::new(Verification(RefCell::new(verification))))
    }

    fn plan_removal(request: WitRequest) -> Result<String, WitFailure> {
        Ok(text(&removal::plan(&ports(), &request.into())?)?)
    }

    fn remove(ids: Vec<String>) -> Result<Vec<String>, WitFailure> {
        Ok(removal::remove(&ports(), &ids)?)
    }

    fn trash() -> Result<String, WitFailure> {
        Ok(text(&trash::list(&ports())?)?)
    }

    fn restore(selector: String) -> Result<Vec<String>, WitFailure> {
        Ok(trash::restore(&ports(), &selector)?)
    }

    fn archive(selector: Option<String>, before: Option<String>) -> Result<retention::Folded, WitFailure> {
        let ports = ports();
        let before = before.map(|before| age::parse_moment(&before, ports.clock.now())).transpose()?;
        Ok(archive::archive(&ports, selector.as_deref(), before)?.into())
    }

    fn unarchive() -> Result<retention::Folded, WitFailure> {
        Ok(archive::undo(&ports())?.into())
    }
}

/// A check under way.
pub(crate) struct Verification(RefCell<verify::Verification>);

impl retention::GuestVerification for Verification {
    fn next(&self) -> Result<Option<String>, WitFailure> {
        let step = self.0.borrow_mut().next_step(&ports())?;
        Ok(step.map(|step| text(&step)).transpose()?)
    }
}

impl From<Folded> for retention::Folded {
    fn from(folded: Folded) -> Self {
        let Folded { experiments, archives } = folded;
        Self { experiments, archives }
    }
}

fn text<T: serde::Serialize + ?Sized>(answer: &T) -> Result<String, Failure> {
    serde_json::to_string(answer)
        .map_err(|error| Failure::new(FailureKind::Unreadable, format!("The answer can't be written: {error}")))
}

impl sharing::Guest for Component {
    fn push(request: sharing::Request) -> Result<sharing::Pushed, WitFailure> {
        let share::push::Pushed { remote, experiments, moved, present, archives, removed, notes, data, failures } =
            share::push::push(&ports(), &shared(request))?;
        let (data, failures) = (outcome(data), failures.into_iter().map(Into::into).collect());
        Ok(sharing::Pushed { remote, experiments, moved, present, archives, removed, notes, data, failures })
    }

    fn pull(request: sharing::Request) -> Result<sharing::Pulled, WitFailure> {
        let share::pull::Pulled { remote, experiments, moved, archives, removed, notes, data, failures } =
            share::pull::pull(&ports(), &shared(request))?;
        let (data, failures) = (outcome(data), failures.into_iter().map(Into::into).collect());
        Ok(sharing::Pulled { remote, experiments, moved, archives, removed, notes, data, failures })
    }

    fn push_data(names: Vec<String>, versions: bool) -> Result<Option<sharing::Freight>, WitFailure> {
        Ok(share::send_datasets(&ports(), &names, versions)?.map(freight))
    }

    fn pull_data(names: Vec<String>, versions: bool) -> Result<Option<sharing::Freight>, WitFailure> {
        Ok(share::bring_datasets(&ports(), &names, versions)?.map(freight))
    }

    fn add_data_remote(name: String, url: String) -> Result<(), WitFailure> {
        Ok(data_remote::add(&ports(), &name, &url)?)
    }

    fn data_remotes() -> Result<Vec<sharing::DataRemote>, WitFailure> {
        let remotes = data_remote::list(&ports())?.into_iter();
        Ok(remotes.map(|(remote, used)| sharing::DataRemote { name: remote.name, url: remote.url, used }).collect())
    }

    fn remove_data_remote(name: String) -> Result<(), WitFailure> {
        Ok(data_remote::remove(&ports(), &name)?)
    }
}

fn shared(request: sharing::Request) -> share::Request {
    let sharing::Request { remote, words, condition, data } = request;
    share::Request { remote, words, condition, data }
}

fn freight(share::Carried { remote, freight }: share::Carried) -> sharing::Freight {
    let crate::ports::Freight { objects, bytes, absent } = freight;
    sharing::Freight { remote, objects, bytes, absent }
}

fn outcome(outcome: DataOutcome) -> sharing::DataOutcome {
    match outcome {
        DataOutcome::None => sharing::DataOutcome::None,
        DataOutcome::Carried(carried) => sharing::DataOutcome::Carried(freight(carried)),
        DataOutcome::LeftBehind(crate::ports::Freight { objects, bytes, .. }) => {
            sharing::DataOutcome::LeftBehind(sharing::LeftBehind { objects, bytes })
        }
    }
}
