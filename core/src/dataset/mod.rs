//! The project's data. Each dataset is one file or one folder, described by `.au/datasets/<name>.json`, which the user
//! commits; its content is in the store, by its digest.
//!
//! | module | idea |
//! | --- | --- |
//! | [`add`] | what `au data add` does with each kind of source |
//! | [`remove`] | taking data out of the project |
//! | [`status`] | how data differs from what was recorded |
//! | [`restore`] | bringing it back, and telling where it is |
//! | `bring` | having again what the store lacks |
//! | [`versions`] | what it was before |
//! | [`update`] | taking up what has changed |
//! | [`verify`] | reading it to its end |
//! | [`usage`] | what of it a run had, and what it used |
//! | [`watch`] | telling a run that a server has another version |
//! | `ignore` | keeping it out of git |

pub mod add;
mod bring;
pub(crate) mod ignore;
#[cfg(test)]
mod later_tests;
pub mod remove;
pub mod restore;
pub mod status;
#[cfg(test)]
mod tests;
pub mod update;
pub mod usage;
pub mod verify;
pub mod versions;
pub mod watch;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Failure, FailureKind, Result};
use crate::layout;
use crate::ports::{DataFacts, DataKind, DataLimits, Place, Ports, RemoteAttributes};
use crate::redact;
use crate::suggest;
use crate::value;

/// The schema that this version writes.
pub const SCHEMA: &str = "aurum.dataset/1";
/// Bytes of a description at most.
const LARGEST: usize = 16 << 10;
/// Bytes of a dataset's name: with `.json` it has to fit a file's name.
const LONGEST_NAME: usize = 200;

/// What tells whether there is anything.
const LOOK: DataLimits = DataLimits { files: 1, bytes: 0 };

/// Where a dataset came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    /// It lies in the project.
    Project,
    /// It lies elsewhere on the computer; where, only this clone knows.
    Outside,
    /// It was downloaded into the project.
    Address,
}

/// Where a dataset came from, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// What kind of place.
    #[serde(rename = "type")]
    pub kind: OriginKind,
    /// Relative to the project's root; none outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The address, without what opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the server said when it was downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteAttributes>,
}

/// One dataset, as it was when it was last added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// [`SCHEMA`].
    pub schema: String,
    /// What it is called.
    pub name: String,
    /// File or folder.
    pub kind: DataKind,
    /// Of the content; of a folder's manifest.
    pub digest: String,
    /// Bytes of all files.
    pub size: u64,
    /// How many files and links; 1 for a file.
    pub files: u64,
    /// Whether the content was kept in the store.
    pub stored: bool,
    /// Where it came from.
    pub source: Origin,
}

impl Dataset {
    fn new(name: String, facts: &DataFacts, digest: String, stored: bool, source: Origin) -> Self {
        let DataFacts { kind, size, files, .. } = *facts;
        Self { schema: SCHEMA.to_owned(), name, kind, digest, size, files, stored, source }
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let unreadable = |why: String| Failure::new(FailureKind::Unreadable, why);
        if bytes.len() > LARGEST {
            return Err(unreadable(format!("it takes {} bytes, and {LARGEST} are the most", bytes.len())));
        }
        let dataset: Self =
            serde_json::from_slice(bytes).map_err(|error| unreadable(format!("it is no dataset: {error}")))?;
        if dataset.schema != SCHEMA {
            return Err(unreadable(format!("it is of the schema `{}`", value::excerpt(&dataset.schema)))
                .hint("Update Aurum: `pip install --upgrade aurum`"));
        }
        if (dataset.source.kind == OriginKind::Outside) != dataset.source.path.is_none() {
            return Err(unreadable("it does not say where its data is".to_owned()));
        }
        // It may come with a clone from anybody: what it names is going to be overwritten and removed.
        if let Some(path) = &dataset.source.path {
            add::check_own(path)?;
        }
        Ok(dataset)
    }

    fn to_text(&self) -> Result<String> {
        let value = serde_json::to_value(self).map_err(|error| {
            Failure::new(FailureKind::Unreadable, format!("The dataset `{}` can't be written: {error}", self.name))
        })?;
        let text = value::canonical(&value);
        if text.len() > LARGEST {
            let message = format!("The description of `{}` would take more than {LARGEST} bytes", self.name);
            return Err(Failure::new(FailureKind::InvalidValue, message).hint("Use a shorter path or address"));
        }
        Ok(text)
    }

    /// Where its data is; none when it lies outside and this clone does not know where.
    ///
    /// # Errors
    /// When git's settings can't be read.
    pub fn place(&self, ports: &Ports) -> Result<Option<Place>> {
        place_of(ports, &self.name, &self.source)
    }

    /// What `au data` shows of it. `docs/record-format.md` documents the keys.
    fn row(&self, ports: &Ports) -> Result<serde_json::Map<String, Value>> {
        let mut row = json!(self);
        row["place"] = self.place(ports)?.map(|place| place.path().to_owned()).into();
        match row {
            Value::Object(mut row) => {
                row.remove("schema");
                Ok(row)
            }
            _ => Ok(serde_json::Map::new()),
        }
    }
}

/// The key of the repository's own configuration that tells where data outside of the project is.
fn path_setting(name: &str) -> String {
    format!("aurum.data.{name}.path")
}

/// Where data of that name and origin is; see [`Dataset::place`].
fn place_of(ports: &Ports, name: &str, source: &Origin) -> Result<Option<Place>> {
    match &source.path {
        Some(path) => Ok(Some(Place::Project(path.clone()))),
        None => outside(ports, name),
    }
}

/// Where data outside of the project is.
fn outside(ports: &Ports, name: &str) -> Result<Option<Place>> {
    let told = ports.repository.setting(&path_setting(name));
    if let Ok(Some(path)) = told {
        return Ok(Some(Place::Outside(path)));
    }
    // In a package that was unpacked, which may be in no repository.
    let packed = layout::packed_data(&packed_name(name));
    if ports.workspace.inspect(&packed)?.is_some() {
        return Ok(Some(Place::Project(packed)));
    }
    told?;
    Ok(None)
}

/// A name as a file's: models may be called anything.
pub(crate) fn packed_name(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_. ()+=@,".contains(c);
    let mut file = String::new();
    for c in name.chars() {
        if plain(c) {
            file.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                file.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    // Hidden files, and names that mean a folder, are not what people look for.
    if file.starts_with('.') { file.replacen('.', "%2E", 1) } else { file }
}

/// The project's datasets by name; one that can't be read is a failure of its own.
pub(crate) fn each(ports: &Ports) -> Result<Vec<Result<Dataset>>> {
    let names = ports.workspace.list_names(layout::DATASETS)?;
    let names = names.iter().filter_map(|file| file.strip_suffix(".json"));
    Ok(names.map(|name| read(ports, name)).collect())
}

pub(crate) fn read(ports: &Ports, name: &str) -> Result<Dataset> {
    let path = layout::dataset(name);
    let told = |failure: Failure| {
        let hint = format!("Mend the file, or take it back from git: `git checkout HEAD -- {path}`");
        Failure { message: format!("`{path}` can't be read: {}", failure.message), ..failure }.hint(hint)
    };
    let bytes = ports.workspace.read(&path).map_err(|error| told(error.into()))?.unwrap_or_default();
    let dataset = Dataset::parse(&bytes).map_err(told)?;
    if dataset.name != name {
        let why = format!("it describes a dataset named `{}`", value::excerpt(&dataset.name));
        return Err(told(Failure::new(FailureKind::Unreadable, why)));
    }
    Ok(dataset)
}

/// The datasets that these names name, each once, all without one: a name, a path relative to the root, an address, or where it
/// lies outside. What begins with `./` or `/` is a path and nothing else.
///
/// A description that can't be read hides no other: it is warned of, unless it is the one that is named.
///
/// # Errors
/// `UnknownDataset`, with the nearest known name; `Unreadable`.
pub fn find(ports: &Ports, names: &[String]) -> Result<Vec<Dataset>> {
    if names.is_empty() {
        return readable(ports, &mut |failure| ports.progress.warn(&failure.message, &failure.hints));
    }
    let mut found: Vec<Dataset> = Vec::new();
    for dataset in find_each(ports, names)? {
        if !found.iter().any(|other| other.name == dataset.name) {
            found.push(dataset);
        }
    }
    Ok(found)
}

/// The dataset that each name names, as often as it is named.
fn find_each(ports: &Ports, names: &[String]) -> Result<Vec<Dataset>> {
    let all = readable(ports, &mut |_| {})?;
    let find = |name: &String| match find_one(ports, &all, name) {
        // Perhaps it is there, and can't be read.
        Err(unknown) if is_described(ports, name)? => Err(read(ports, name).err().unwrap_or(unknown)),
        found => found.cloned(),
    };
    names.iter().map(find).collect()
}

fn readable(ports: &Ports, pass_over: &mut dyn FnMut(Failure)) -> Result<Vec<Dataset>> {
    let mut datasets = Vec::new();
    for dataset in each(ports)? {
        match dataset {
            Ok(dataset) => datasets.push(dataset),
            Err(failure) => pass_over(failure),
        }
    }
    Ok(datasets)
}

/// Whether there is a description of that name, readable or not.
fn is_described(ports: &Ports, name: &str) -> Result<bool> {
    Ok(check_name(name).is_ok() && ports.workspace.inspect(&layout::dataset(name))?.is_some())
}

fn find_one<'a>(ports: &Ports, all: &'a [Dataset], wanted: &str) -> Result<&'a Dataset> {
    let relative = wanted.strip_prefix("./");
    let path = relative.unwrap_or(wanted).trim_end_matches('/');
    let address = redact::url(wanted);
    let is = |told: &Option<String>, wanted: &str| told.as_deref() == Some(wanted);
    let is_path = relative.is_some() || wanted.starts_with('/');
    let named = all.iter().find(|dataset| !is_path && dataset.name == wanted);
    if let Some(dataset) =
        named.or_else(|| all.iter().find(|dataset| is(&dataset.source.path, path) || is(&dataset.source.url, &address)))
    {
        return Ok(dataset);
    }
    for dataset in all.iter().filter(|dataset| dataset.source.kind == OriginKind::Outside) {
        if dataset.place(ports)? == Some(Place::Outside(path.to_owned())) {
            return Ok(dataset);
        }
    }
    let shown = value::excerpt(&address);
    let failure = Failure::new(FailureKind::UnknownDataset, format!("No dataset is named `{shown}`"));
    let known: Vec<&str> = all.iter().map(|dataset| dataset.name.as_str()).collect();
    let failure = match suggest::nearest(wanted, &known) {
        Some(near) => failure.hint(format!("Did you mean `{near}`?")),
        None => failure.hint(format!("Add it first: `au data add {}`", suggest::word(&shown))),
    };
    Err(if known.is_empty() {
        failure
    } else {
        failure.hint("Run `au data ls` to see the project's datasets; `au data add PATH` adds one")
    })
}

/// Names that can be a file's and a key's of git's configuration.
fn check_name(name: &str) -> Result<()> {
    let fault = if name.is_empty() || name == "." || name == ".." {
        "says nothing"
    } else if name.len() > LONGEST_NAME {
        "is longer than 200 bytes"
    } else if name.contains(['/', '\\']) {
        "holds a slash"
    } else if name.chars().any(char::is_control) {
        "holds a control character"
    } else if name.starts_with('-') {
        "begins with a dash, as options do"
    } else {
        return Ok(());
    };
    Err(Failure::new(FailureKind::InvalidValue, format!("The name `{}` of a dataset {fault}", value::excerpt(name)))
        .hint("Give it another with `--name NAME`"))
}

/// All datasets, as `au data ls` shows them: a JSON array.
///
/// # Errors
/// Outside a project.
pub fn list(ports: &Ports) -> Result<String> {
    crate::project::require(ports)?;
    let rows = find(ports, &[])?.iter().map(|dataset| dataset.row(ports)).collect::<Result<Vec<_>>>()?;
    Ok(json!(rows).to_string())
}

/// What to tell where the store lacks a dataset's content: how it can be had again.
fn missing(dataset: &Dataset) -> Failure {
    let Dataset { name, source, .. } = dataset;
    let failure =
        Failure::new(FailureKind::MissingData, format!("The data of `{name}` is not there, and not in the store"));
    match (&source.url, &source.path) {
        (Some(url), _) => failure.hint(format!("Download it again: `au data add {}`", suggest::word(url))),
        (None, Some(path)) => {
            failure.hint(format!("Put it back at `{path}`, or copy `.git/aurum/store` from the machine that added it"))
        }
        (None, None) => failure
            .hint(format!("Say where it is on this computer: `au data add --name {} /PATH`", suggest::word(name))),
    }
}
