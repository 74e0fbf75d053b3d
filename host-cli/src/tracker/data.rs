//! The project's data, as typed calls. Rows are JSON arrays, which `docs/record-format.md` describes.

use std::path::{Path, PathBuf};

use super::{Result, Tracker};
use crate::bindings::generated::aurum::tracker::data::Place;
use crate::bindings::generated::exports::aurum::tracker::datasets as wit;
use crate::failure::{Failure, FailureKind};

/// What is to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// A file or folder of this computer, as people write it.
    Path(PathBuf),
    /// With its scheme, such as `https://example.org/adult.data`.
    Address(String),
}

/// How it is to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// What the dataset is called; without it, what the file or folder is called.
    pub name: Option<String>,
    /// Whether its content is kept in the store; without it, yes, but for more than 1 GiB outside of the project.
    pub store: Option<bool>,
    /// Where downloads go; without it, to the root.
    pub folder: Option<PathBuf>,
}

/// What came of adding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addition {
    /// What was added, updated, or is unchanged.
    pub rows: String,
    /// Why others were not.
    pub failures: Vec<Failure>,
}

/// How data is to be brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// A digest or the beginning of one, a commit, or an experiment; without it, the version that is described.
    pub version: Option<String>,
    /// Where to, instead of its place.
    pub to: Option<PathBuf>,
    /// Whether the data remote and servers are asked for what the store lacks.
    pub fetch: bool,
}

impl From<wit::Addition> for Addition {
    fn from(addition: wit::Addition) -> Self {
        Self { rows: addition.rows, failures: addition.failures.into_iter().map(Into::into).collect() }
    }
}

impl Tracker {
    /// Hashes, keeps and records data. Paths are relative to the process's folder; those outside of the project are granted by
    /// being named here.
    ///
    /// # Errors
    /// What can be known to be wrong beforehand, before anything is done.
    pub fn add_data(&mut self, sources: &[DataSource], options: &AddOptions) -> Result<Addition> {
        let sources = sources.iter().map(|source| self.source(source)).collect::<Result<Vec<_>>>()?;
        let folder = match &options.folder {
            Some(folder) => match self.place(folder)? {
                Place::Project(folder) => folder,
                Place::Outside(_) => String::new(),
            },
            None => String::new(),
        };
        let options = wit::AddOptions { name: options.name.clone(), store: options.store, folder };
        let addition = self
            .call(|sandbox| sandbox.core.aurum_tracker_datasets().call_add(&mut sandbox.store, &sources, &options))?;
        Ok(addition.into())
    }

    /// Takes datasets out of the project; with `hard` their files too.
    ///
    /// # Errors
    /// For a name that no dataset answers to, and for files that hold what the store does not.
    pub fn remove_data(&mut self, names: &[String], hard: bool) -> Result<String> {
        let names = self.data_names(names);
        self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_remove(&mut sandbox.store, &names, hard))
    }

    /// All datasets. A description that can't be read is warned of.
    ///
    /// # Errors
    /// Outside a project.
    pub fn list_data(&mut self) -> Result<String> {
        self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_list(&mut sandbox.store))
    }

    /// How datasets, all without a name, differ from what was recorded. Unless `offline`, their servers are asked.
    ///
    /// # Errors
    /// For a name that no dataset answers to, and for data that can't be read.
    pub fn data_status(&mut self, names: &[String], offline: bool) -> Result<String> {
        let names = self.data_names(names);
        self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_status(&mut sandbox.store, &names, offline))
    }

    /// Brings datasets, all without a name, back to what was recorded.
    ///
    /// # Errors
    /// Before anything is changed, when something would be lost, or the store does not have the content.
    pub fn restore_data(&mut self, names: &[String], options: &RestoreOptions) -> Result<String> {
        let names = self.data_names(names);
        let to = options.to.as_deref().map(|path| self.free_path(path)).transpose()?;
        let options = wit::RestoreOptions { version: options.version.clone(), to, fetch: options.fetch };
        self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_restore(&mut sandbox.store, &names, &options))
    }

    /// The versions of a dataset, oldest first.
    ///
    /// # Errors
    /// For a name that no dataset answers or answered to.
    pub fn data_history(&mut self, name: &str) -> Result<String> {
        let name = self.data_names(&[name.to_owned()]).remove(0);
        self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_history(&mut sandbox.store, &name))
    }

    /// Makes what datasets, all without a name, are now their recorded state.
    ///
    /// # Errors
    /// For a name that no dataset answers to.
    pub fn update_data(&mut self, names: &[String]) -> Result<Addition> {
        let names = self.data_names(names);
        let addition =
            self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_update(&mut sandbox.store, &names))?;
        Ok(addition.into())
    }

    /// Reads datasets, all without a name, to their end, to hold them against their digests.
    ///
    /// # Errors
    /// For a name that no dataset answers to, and for data that can't be read.
    pub fn verify_data(&mut self, names: &[String]) -> Result<String> {
        let names = self.data_names(names);
        self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_verify(&mut sandbox.store, &names))
    }

    /// Records datasets as used that the script has opened without saying so.
    ///
    /// # Errors
    /// When no run is under way, or the journal can't be written.
    pub fn notice_datasets(&mut self, names: &[String]) -> Result<()> {
        self.with_run(|core, store, run| core.run().call_notice_datasets(store, run, names))
    }

    /// Asks the servers that data came from whether they have another version now, for the runs to come, which warn of it.
    ///
    /// # Errors
    /// Outside of a project.
    pub fn look_at_servers(&mut self) -> Result<()> {
        self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_look(&mut sandbox.store))
    }

    /// Whether it is time that another process does that while the run goes on; true once.
    pub fn servers_due(&mut self) -> bool {
        let due = |sandbox: &mut super::Sandbox| {
            let run = sandbox.run?;
            sandbox.core.aurum_tracker_experiments().run().call_servers_due(&mut sandbox.store, run).ok()
        };
        self.sandbox().ok().and_then(due).unwrap_or_default()
    }

    /// Where datasets are. Within a run they are recorded as used.
    ///
    /// # Errors
    /// For a name that no dataset answers to, and when its content is not to be had.
    pub fn use_datasets(&mut self, names: &[String]) -> Result<Vec<PathBuf>> {
        let names = self.data_names(names);
        let places = if self.run_id().is_some() {
            self.with_run(|core, store, run| core.run().call_use_datasets(store, run, &names))?
        } else {
            self.call(|sandbox| sandbox.core.aurum_tracker_datasets().call_locate(&mut sandbox.store, &names))?
        };
        let root = self.root()?.to_owned();
        Ok(places
            .into_iter()
            .map(|place| match place {
                Place::Project(path) => root.join(path),
                Place::Outside(path) => path.into(),
            })
            .collect())
    }

    fn source(&mut self, source: &DataSource) -> Result<wit::Source> {
        Ok(match source {
            DataSource::Address(url) => wit::Source::Address(url.clone()),
            DataSource::Path(path) => {
                let place = match self.place(path) {
                    Err(failure) => self.known(path)?.ok_or(failure)?,
                    Ok(place) => place,
                };
                if let Place::Outside(path) = &place {
                    let grants = &mut self.sandbox()?.store.data_mut().capabilities.grants;
                    *grants = grants.clone().allow_outside(Path::new(path));
                }
                wit::Source::Local(place)
            }
        })
    }

    /// What is no path from here may be a dataset's name: then it is where that is.
    fn known(&mut self, name: &Path) -> Result<Option<Place>> {
        #[derive(serde::Deserialize)]
        struct Row {
            name: String,
            place: Option<String>,
            source: Source,
        }
        #[derive(serde::Deserialize)]
        struct Source {
            path: Option<String>,
        }
        let rows = self.list_data()?;
        let rows: Vec<Row> = serde_json::from_str(&rows).unwrap_or_default();
        let row = rows.into_iter().find(|row| Path::new(&row.name) == name);
        Ok(row.and_then(|row| match row.source.path {
            Some(path) => Some(Place::Project(path)),
            None => row.place.map(Place::Outside),
        }))
    }

    /// Where a path is, all links followed, seen from the project.
    fn place(&mut self, path: &Path) -> Result<Place> {
        let root = self.root()?;
        let shown = path.display();
        let found = path.canonicalize().map_err(|error| {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound if path.symlink_metadata().is_ok() => {
                    format!("`{shown}` is a link that leads nowhere")
                }
                std::io::ErrorKind::NotFound => format!("There is nothing at `{shown}`"),
                _ => format!("`{shown}` can't be read: {error}"),
            };
            Failure::new(FailureKind::MissingData, message, "Check the path")
        })?;
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| {
                let message = format!("`{shown}` is a name that is not UTF-8");
                Failure::new(FailureKind::InvalidValue, message, "Rename it")
            })
        };
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        match found.strip_prefix(root) {
            Ok(below) => text(below).map(Place::Project),
            Err(_) => text(&found).map(Place::Outside),
        }
    }

    /// A path of the project at which nothing stands yet.
    fn free_path(&mut self, path: &Path) -> Result<String> {
        let outside = || {
            let message = format!("`{}` is no path in the project", path.display());
            Failure::new(FailureKind::InvalidValue, message, "Name one in the project, in a folder that is there")
        };
        let there = self.place(path).ok();
        let place = there.or_else(|| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let file = path.file_name()?.to_str()?;
            match self.place(folder).ok()? {
                Place::Project(folder) if folder.is_empty() => Some(Place::Project(file.to_owned())),
                Place::Project(folder) => Some(Place::Project(format!("{folder}/{file}"))),
                outside @ Place::Outside(_) => Some(outside),
            }
        });
        match place {
            Some(Place::Project(path)) => Ok(path),
            _ => Err(outside()),
        }
    }

    /// Names of datasets; what can only be a path is made one that the core knows.
    pub(super) fn data_names(&mut self, names: &[String]) -> Vec<String> {
        let is_path = |name: &str| name.starts_with(['.', '/']) && name.contains('/');
        let resolved = |tracker: &mut Self, name: &String| {
            if !is_path(name) {
                return name.clone();
            }
            // What is gone has no place; then the folder that it was in tells where it was.
            let path = Path::new(name);
            let place = tracker.place(path).ok().or_else(|| {
                let (folder, file) = (path.parent()?, path.file_name()?.to_str()?);
                Some(match tracker.place(folder).ok()? {
                    Place::Project(folder) if folder.is_empty() => Place::Project(file.to_owned()),
                    Place::Project(folder) => Place::Project(format!("{folder}/{file}")),
                    Place::Outside(folder) => Place::Outside(format!("{folder}/{file}")),
                })
            });
            match place {
                // As the core knows a path from a name.
                Some(Place::Project(path)) => format!("./{path}"),
                Some(Place::Outside(path)) => path,
                None => name.clone(),
            }
        };
        names.iter().map(|name| resolved(self, name)).collect()
    }
}
