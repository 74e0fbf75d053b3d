//! What `au data add` does with each kind of source.

use serde_json::{Value, json};

use super::{Dataset, Origin, OriginKind, check_name, find, ignore, is_described, path_setting, read};
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::layout;
use crate::ports::{DataFacts, DataKind, DataLimits, FileKind, Place, Ports, RemoteAttributes};
use crate::project;
use crate::redact;
use crate::suggest;
use crate::value;

/// Bytes that are copied from outside of the project without being asked to.
const MOST_COPIED: u64 = 1 << 30;

/// What to look at where a server of S3 does not give what is asked for.
const CHECK_S3: &str = "try again, or check the address, the key (`au data login`, `AWS_ACCESS_KEY_ID` and \
                        `AWS_SECRET_ACCESS_KEY`, a profile, or `--api` and `--key`), and the server (`AWS_ENDPOINT_URL`, or `git config aurum.s3.endpoint URL`)";
/// What to look at where a server of FTP does not.
const CHECK_FTP: &str = "try again, or check the address, the user (`au data login`, or `--user` and `--passwd`), and whether it \
                         speaks TLS (`ftps://`) or not (`ftp://`)";

/// What is to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or folder of this computer.
    Local(Place),
    /// With its scheme.
    Address(String),
}

/// How it is to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What the dataset is called; without it, what the file or folder is called.
    pub name: Option<String>,
    /// Whether its content is kept; without it, yes, but for much data outside.
    pub store: Option<bool>,
    /// Where downloads go, relative to the root; empty at the root.
    pub folder: String,
}

/// What came of [`add`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addition {
    /// What was added, updated, or is unchanged; `docs/record-format.md` documents the keys.
    pub rows: Vec<Value>,
    /// Why others were not.
    pub failures: Vec<Failure>,
}

/// A source of which nothing is known to be wrong.
#[derive(Debug)]
struct Plan {
    name: String,
    place: Place,
    /// To be downloaded first.
    url: Option<String>,
    former: Option<Dataset>,
}

/// Hashes, keeps and records data.
///
/// # Errors
/// What can be known to be wrong beforehand, before anything is done. What goes wrong with one source after that stands in the
/// answer, and the others are added.
pub fn add(ports: &Ports, sources: &[Source], options: &Options) -> Result<Addition> {
    project::require(ports)?;
    if let (Some(name), true) = (&options.name, sources.len() > 1) {
        return Err(Failure::new(
            FailureKind::Usage,
            format!("`--name {name}` names one dataset, not {}", sources.len()),
        )
        .hint("Add them one by one"));
    }
    let known = find(ports, &[])?;
    let mut plans: Vec<Plan> = Vec::with_capacity(sources.len());
    for source in sources {
        let plan = plan(ports, &known, source, options)?;
        if plans.iter().any(|other| other.place == plan.place && other.url == plan.url) {
            continue;
        }
        for other in &plans {
            check_pair(&plan.name, &plan.place, &other.name, &other.place)?;
        }
        plans.push(plan);
    }
    let mut addition = Addition::default();
    for plan in plans {
        match carry_out(ports, plan, options.store) {
            Ok(row) => addition.rows.push(row),
            Err(failure) => addition.failures.push(failure),
        }
    }
    Ok(addition)
}

fn plan(ports: &Ports, known: &[Dataset], source: &Source, options: &Options) -> Result<Plan> {
    let (place, url, called) = match source {
        Source::Address(url) => {
            let file = file_of_address(url, options.name.as_deref())?;
            let path = if options.folder.is_empty() { file.clone() } else { format!("{}/{file}", options.folder) };
            (Place::Project(path), Some(url.clone()), file)
        }
        Source::Local(place) => (place.clone(), None, place.path().rsplit('/').next().unwrap_or_default().to_owned()),
    };
    if let Place::Project(path) = &place {
        check_own(path)?;
    }
    let former = known_at(ports, known, &place)?;
    let name = match (&former, &options.name) {
        (Some(former), Some(name)) if former.name != *name => {
            return Err(Failure::new(
                FailureKind::InvalidValue,
                format!("It is the dataset `{}` already", former.name),
            )
            .hint(format!("Take it out first, its files stay: `au data rm {}`", suggest::word(&former.name))));
        }
        (Some(former), _) => former.name.clone(),
        (None, Some(name)) => name.clone(),
        (None, None) => called,
    };
    check_name(&name)?;
    if former.is_none() && !known.iter().any(|other| other.name == name) && is_described(ports, &name)? {
        // Somebody else's description, which can't be read: it is not to be lost.
        read(ports, &name)?;
    }
    for other in known.iter().filter(|other| former.as_ref().is_none_or(|former| former.name != other.name)) {
        let at = other.place(ports)?;
        // Outside data whose place only another clone knows: this is where it is here.
        if other.name == name && at.is_none() && matches!(place, Place::Outside(_)) {
            continue;
        }
        check_pair(&name, &place, &other.name, &at.unwrap_or_else(|| Place::Outside(String::new())))?;
    }
    let former = former.or_else(|| known.iter().find(|other| other.name == name).cloned());
    if let (Some(url), Place::Project(path)) = (&url, &place) {
        check_free(ports, path, url, former.as_ref())?;
    }
    Ok(Plan { name, place, url, former })
}

/// The name that what is downloaded gets.
fn file_of_address(url: &str, name: Option<&str>) -> Result<String> {
    let shown = value::excerpt(&redact::url(url));
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https" | "s3" | "ftp" | "ftps") {
        return Err(Failure::new(FailureKind::InvalidValue, format!("`{shown}` is no address that can be added"))
            .hint(
                "Give a path, or an address that begins with `https://`, `http://`, `s3://`, `ftp://` or `ftps://`",
            ));
    }
    if scheme == "s3" && redact::url(url) != url {
        return Err(Failure::new(FailureKind::InvalidValue, format!("The address `{shown}` holds what opens it"))
            .hint("Give keys by the environment or a profile; an address that is signed begins with `https://`"));
    }
    // A key of S3 is what is written, and its last part may be a folder, as it may be with FTP.
    let is_web = scheme.starts_with("http");
    let (end, folders): (&[char], &[char]) = match (is_web, scheme == "s3") {
        (true, _) => (&['?', '#'], &[]),
        (_, true) => (&[], &['/']),
        _ => (&['#'], &['/']),
    };
    let path = rest.split(end).next().unwrap_or_default().trim_end_matches(folders);
    let last = path.split_once('/').map_or("", |(_, path)| path.rsplit('/').next().unwrap_or_default());
    let file = match (last, name) {
        // All of a bucket is called as it is.
        ("", None) if scheme == "s3" => path.to_owned(),
        ("", name) => name.unwrap_or_default().to_owned(),
        (last, _) if scheme == "s3" => last.to_owned(),
        (last, _) => decoded(last),
    };
    if file.is_empty() {
        return Err(Failure::new(FailureKind::InvalidValue, format!("The address `{shown}` names no file"))
            .hint("Say what it is to be called: `--name NAME`"));
    }
    check_name(&file)?;
    Ok(file)
}

/// `%20` and the like read, where that gives text.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| others.get(..2))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = &others[if escaped.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8(bytes).unwrap_or_else(|_| segment.to_owned())
}

/// The project itself and what makes it one are no data.
pub(crate) fn check_own(path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Failure::new(FailureKind::InvalidValue, "The whole project can't be a dataset of itself")
            .hint("Put the data into a folder of its own, and add that"));
    }
    if layout::is_below(path, ".au") || matches!(path, ".gitignore" | "logs" | "src") {
        return Err(Failure::new(FailureKind::InvalidValue, format!("`{path}` is a part of the project, not data"))
            .hint("Put the data into a folder of its own, and add that"));
    }
    Ok(())
}

fn known_at(ports: &Ports, known: &[Dataset], place: &Place) -> Result<Option<Dataset>> {
    for dataset in known {
        if dataset.place(ports)?.as_ref() == Some(place) {
            return Ok(Some(dataset.clone()));
        }
    }
    Ok(None)
}

/// No two datasets may bear one name, whatever its case, nor share a file.
fn check_pair(name: &str, place: &Place, other: &str, other_place: &Place) -> Result<()> {
    if name.to_lowercase() == other.to_lowercase() {
        return Err(Failure::new(
            FailureKind::InvalidValue,
            format!("Two datasets can't bear one name, whatever its case: `{name}` and `{other}`"),
        )
        .hint("Give another with `--name NAME`"));
    }
    let (Place::Project(path), Place::Project(other_path)) = (place, other_place) else { return Ok(()) };
    if layout::is_below(path, other_path) {
        return Err(Failure::new(FailureKind::InTheWay, format!("`{path}` is in the dataset `{other}` already"))
            .hint(format!("Add the whole of it again to have its changes: `au data add {}`", suggest::word(other))));
    }
    if layout::is_below(other_path, path) {
        return Err(Failure::new(FailureKind::InTheWay, format!("`{path}` holds the dataset `{other}` already"))
            .hint(format!("Take that out first, its files stay: `au data rm {}`", suggest::word(other))));
    }
    Ok(())
}

/// A download must not take the place of anything that would be lost.
fn check_free(ports: &Ports, path: &str, url: &str, former: Option<&Dataset>) -> Result<()> {
    if ports.workspace.inspect(path)?.is_none() {
        return Ok(());
    }
    let shown = redact::url(url);
    let in_the_way = || {
        Failure::new(FailureKind::InTheWay, format!("`{path}` is there already: `{shown}` is not downloaded over it"))
    };
    if former.is_none_or(|former| former.source.path.as_deref() != Some(path)) {
        return Err(in_the_way().hint("Add the file that is there, by its path, or move it out of the way"));
    }
    let manifests: Vec<&str> = former.iter().map(|former| former.digest.as_str()).collect();
    if !matches!(ports.workspace.inspect(path)?, Some(FileKind::File | FileKind::Directory))
        || !ports.data.is_kept(&Place::Project(path.to_owned()), &manifests)?
    {
        let name = former.map_or(path, |former| &former.name);
        return Err(in_the_way().hint(format!("Keep what is there first: `au data add {}`", suggest::word(name))));
    }
    Ok(())
}

fn carry_out(ports: &Ports, plan: Plan, store: Option<bool>) -> Result<Value> {
    let Plan { name, place, url, former } = plan;
    let told = |failure: Failure| {
        let message = format!("`{}` is not added: {}", place.path(), failure.message);
        let failure = Failure { message, ..failure };
        if failure.hints.is_empty() {
            failure.hint("Nothing was recorded: mend that, or move away what is no data, then add it again")
        } else {
            failure
        }
    };
    let mut remote = None;
    if let (Some(url), Place::Project(path)) = (&url, &place) {
        remote = Some(fetch(ports, url, path)?);
    }
    let stored = match (store, &place) {
        (Some(store), _) => store,
        (None, Place::Project(_)) => true,
        (None, Place::Outside(_)) => {
            let counted =
                ports.data.measure(&place, Some(DataLimits { files: u64::MAX, bytes: 0 })).map_err(Failure::from);
            counted.map_err(told)?.is_none_or(|facts| facts.size <= MOST_COPIED)
        }
    };
    let facts = if stored { ports.data.keep(&place) } else { ports.data.measure(&place, None) };
    let facts = facts.map_err(|error| told(error.into()))?.ok_or_else(|| {
        Failure::new(FailureKind::MissingData, format!("There is nothing at `{}`", place.path())).hint("Check the path")
    })?;
    let digest = facts
        .digest
        .clone()
        .ok_or_else(|| Failure::from(PortError::Other(format!("the host told no digest of `{name}`"))))?;
    let source = match (&place, url) {
        (Place::Outside(_), _) => Origin { kind: OriginKind::Outside, path: None, url: None, remote: None },
        (Place::Project(path), None) => {
            Origin { kind: OriginKind::Project, path: Some(path.clone()), url: None, remote: None }
        }
        (Place::Project(path), Some(url)) => {
            Origin { kind: OriginKind::Address, path: Some(path.clone()), url: Some(redact::url(&url)), remote }
        }
    };
    // A file that was downloaded once and has not changed since is still that.
    let source = match &former {
        Some(former)
            if source.kind == OriginKind::Project && former.digest == digest && former.source.path == source.path =>
        {
            former.source.clone()
        }
        _ => source,
    };
    let dataset = Dataset::new(name, &facts, digest, stored, source);
    record(ports, &dataset, &place, &facts)?;
    if !stored {
        warn_not_stored(ports, &dataset);
    }
    let outcome = match &former {
        None => "added",
        Some(former) if *former == dataset => "unchanged",
        Some(_) => "updated",
    };
    let mut row = dataset.row(ports)?;
    // What this call has set is not in the settings that were read before it.
    row.insert("place".to_owned(), json!(place.path()));
    row.insert("outcome".to_owned(), json!(outcome));
    Ok(Value::Object(row))
}

pub(super) fn fetch(ports: &Ports, url: &str, path: &str) -> Result<RemoteAttributes> {
    if let Some((folder, _)) = path.rsplit_once('/') {
        ports.workspace_edit.make_directory(folder)?;
    }
    let shown = redact::url(url);
    let check = match url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
        Some("s3") => CHECK_S3,
        Some("ftp" | "ftps") => CHECK_FTP,
        _ => "try again, or check the address in a browser",
    };
    let fetched = ports.remote.fetch(url, path).map_err(|error| match error {
        PortError::NoSpace(_) => {
            Failure::from(error).hint("Nothing was recorded: make room, and the next call goes on where this one was")
        }
        PortError::Denied(_) | PortError::NotPermitted(_) => Failure::from(error),
        error => Failure::from(error).hint(format!("Nothing was recorded: {check}")),
    })?;
    let fetched = fetched.ok_or_else(|| {
        let hint = if check == CHECK_S3 || check == CHECK_FTP {
            "Check the address"
        } else {
            "Check the address in a browser"
        };
        Failure::new(FailureKind::MissingData, format!("There is nothing at `{shown}`")).hint(hint)
    })?;
    /// Far more than any that means something.
    const LONGEST: usize = 1_000;
    let short = |text: Option<String>| text.filter(|text| text.len() <= LONGEST);
    Ok(RemoteAttributes {
        size: fetched.size,
        entity_tag: short(fetched.entity_tag),
        last_modified: short(fetched.last_modified),
    })
}

/// The description comes last: whoever reads it finds all that it names.
fn record(ports: &Ports, dataset: &Dataset, place: &Place, facts: &DataFacts) -> Result<()> {
    match place {
        Place::Project(path) => {
            ignore::add(ports, path, facts.kind)?;
            if ports.repository.is_tracked(path)? {
                let flags = if facts.kind == DataKind::Folder { "-r --cached" } else { "--cached" };
                ports.progress.warn(
                    &format!("git tracks `{path}`: its content goes into every commit and experiment as well"),
                    &[format!("Take it out of git, its files stay: `git rm {flags} {}`", suggest::word(path))],
                );
            }
        }
        Place::Outside(path) => {
            let key = path_setting(&dataset.name);
            if ports.repository.setting(&key)?.as_ref() != Some(path) {
                ports.repository_edit.set_local_setting(&key, Some(path))?;
            }
        }
    }
    let file = layout::dataset(&dataset.name);
    let text = dataset.to_text()?;
    if ports.workspace.read(&file)?.as_deref() != Some(text.as_bytes()) {
        ports.workspace_edit.make_directory(layout::DATASETS)?;
        ports.workspace_edit.write(&file, text.as_bytes())?;
    }
    Ok(())
}

fn warn_not_stored(ports: &Ports, dataset: &Dataset) {
    ports.progress.warn(
        &format!(
            "The content of `{}` is not kept: once it changes, this version of it can't be brought back",
            dataset.name
        ),
        &["Keep it with `au data add --store PATH`".to_owned()],
    );
}
