//! Checking that everything is whole: what git holds, what the store holds, and that each has what the other names.
//!
//! It goes step by step, so that who waits sees how far it is, and in memory that does not grow with what there is to read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::{archive, digests, holdings};
use crate::catalogue::Saved;
use crate::error::{Failure, FailureKind, Result};
use crate::journal::fold::State;
use crate::ports::{Damage, Location, Ports, Sweep};
use crate::query::Request;
use crate::record::Record;
use crate::{catalogue, dataset, digest, history, layout, models, notes, project, records};

/// Records checked in one step.
const RECORDS: usize = 64;
/// Commits handed to git at once: whatever they share is looked at once.
const COMMITS: usize = 20_000;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing: `experiment`, `archive`, `notes`, `reference`, `run`, `data`, `content`, `git`.
    pub kind: &'static str,
    /// Which.
    pub name: String,
    /// One sentence without a full stop.
    pub problem: String,
    /// What to do about it.
    pub hint: String,
    /// Whether it is not damaged, and only not here.
    pub missing: bool,
}

/// One step of a [`Verification`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was checked.
    pub phase: &'static str,
    /// How much of that is done, and of how much.
    pub done: u64,
    /// Of how much.
    pub total: u64,
    /// Bytes read in this step.
    pub bytes: u64,
    /// What was found.
    pub findings: Vec<Finding>,
}

enum Task {
    References,
    Archives,
    Notes,
    Records(Vec<(String, String)>, u64, u64),
    Commits(Vec<(String, String)>, u64, u64),
    Descriptions,
    Journals,
    Store(u8),
    Repository,
}

/// A check under way.
pub struct Verification {
    tasks: VecDeque<Task>,
    sweep: Box<dyn Sweep>,
}

impl Verification {
    /// Of everything, or with a selector of these experiments and what they name.
    ///
    /// # Errors
    /// For selectors that name nothing or too much.
    pub fn begin(ports: &Ports, selector: Option<&str>, full: bool) -> Result<Self> {
        project::require(ports)?;
        let mut tasks = VecDeque::new();
        let experiments = match selector {
            Some(selector) => {
                let mut chosen = BTreeSet::new();
                history::each_chosen(ports, &Request::of(Some(selector)), &mut |row| {
                    chosen.insert(row.id);
                })?;
                let saved = catalogue::saved(ports)?.into_iter().filter(|saved| chosen.contains(&saved.id));
                saved.map(|saved| (saved.id, saved.commit)).collect()
            }
            None => {
                tasks.extend([Task::References, Task::Archives, Task::Notes]);
                held(ports)
            }
        };
        let total = experiments.len() as u64;
        let pieces = |size: usize| {
            experiments.chunks(size).scan(0, |done, some| {
                *done += some.len() as u64;
                Some((some.to_vec(), *done))
            })
        };
        tasks.extend(pieces(RECORDS).map(|(some, done)| Task::Records(some, done, total)));
        tasks.extend(pieces(COMMITS).map(|(some, done)| Task::Commits(some, done, total)));
        if selector.is_none() {
            tasks.extend([Task::Descriptions, Task::Journals]);
            tasks.extend((0..=u8::MAX).map(Task::Store));
        }
        if full {
            tasks.push_back(Task::Repository);
        }
        Ok(Self { tasks, sweep: ports.upkeep.begin_sweep()? })
    }

    /// Takes the next step; none at the end.
    ///
    /// # Errors
    /// When a capability fails for a reason that is no damage.
    pub fn next_step(&mut self, ports: &Ports) -> Result<Option<Step>> {
        let Some(task) = self.tasks.pop_front() else { return Ok(None) };
        let once = |phase, findings| Step { phase, done: 1, total: 1, bytes: 0, findings };
        Ok(Some(match task {
            Task::References => once("references", references(ports)?),
            Task::Archives => once("archives", archives(ports)?),
            Task::Notes => once("notes", notes_of(ports)),
            Task::Records(experiments, done, total) => {
                let findings = self.records(ports, &experiments)?;
                Step { phase: "records", done, total, bytes: 0, findings }
            }
            Task::Commits(experiments, done, total) => {
                let findings = commits(ports, &experiments)?;
                Step { phase: "commits", done, total, bytes: 0, findings }
            }
            Task::Descriptions => once("data", self.descriptions(ports)?),
            Task::Journals => once("runs", journals(ports)?),
            Task::Store(first) => {
                let check = ports.upkeep.check_store(first)?;
                let findings = check.damages.into_iter().map(content).collect();
                let done = u64::from(first) + 1;
                Step { phase: "store", done, total: 256, bytes: check.read.bytes, findings }
            }
            Task::Repository => {
                let hint = "Get it again from another clone: `git fetch --refetch`, or `au pull`";
                let finding = |Damage { name, what }| Finding {
                    kind: "git",
                    problem: format!("`{name}` {what}"),
                    name,
                    hint: hint.to_owned(),
                    missing: false,
                };
                once("objects of git", ports.upkeep.check_repository()?.into_iter().map(finding).collect())
            }
        }))
    }

    fn records(&mut self, ports: &Ports, experiments: &[(String, String)]) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (id, commit) in experiments {
            match records::read_one(ports, &Saved::by(id, commit)) {
                Ok(record) => {
                    findings.extend(files(ports, id, commit, &record).err());
                    findings.extend(self.contents(id, &record)?);
                }
                Err(failure) if failure.kind == FailureKind::Denied => return Err(failure),
                Err(failure) => findings.push(broken(id, &failure.message)),
            }
        }
        Ok(findings)
    }

    /// What the record names, and this clone does not have.
    fn contents(&mut self, id: &str, record: &Record) -> Result<Vec<Finding>> {
        let mut named: BTreeMap<&str, String> = BTreeMap::new();
        for (name, usage) in &record.datasets {
            named.extend(usage.digest.as_deref().map(|digest| (digest, format!("the data `{name}`"))));
        }
        named.extend(record.models.iter().map(|(name, model)| (model.digest.as_str(), format!("the model `{name}`"))));
        let artifacts = record.artifacts.iter();
        named.extend(artifacts.map(|(name, artifact)| (artifact.digest.as_str(), format!("the artefact `{name}`"))));
        let text = record.to_text().unwrap_or_default();
        let mut all = BTreeSet::new();
        digests::find(text.as_bytes(), &mut all);
        let requirements = record.environment.as_ref().map(|environment| environment.requirements.as_str());
        all.retain(|digest| Some(digest.as_str()) != requirements);
        // What was read through a storage's client is told by its digest, and never kept.
        all.retain(|digest| {
            named.contains_key(digest.as_str()) || !record.reads.iter().any(|read| read.digest.as_ref() == Some(digest))
        });
        // What was recorded before it changed is named, and was never what the run had.
        all.retain(|digest| {
            named.contains_key(digest.as_str())
                || !record.datasets.values().any(|usage| usage.recorded.as_ref() == Some(digest))
        });
        let all: Vec<String> = all.into_iter().collect();
        let missing = match self.sweep.keep(&all) {
            Ok(missing) => missing,
            Err(error) => {
                let hint = "Get it again: `au pull`".to_owned();
                return Ok(vec![Finding {
                    kind: "content",
                    name: id.to_owned(),
                    problem: error.to_string(),
                    hint,
                    missing: false,
                }]);
            }
        };
        let finding = |digest: &String| {
            let what = named.get(digest.as_str()).cloned().unwrap_or_else(|| format!("`{digest}`"));
            Finding {
                kind: "content",
                name: digest.clone(),
                problem: format!("{} of `{}` is not here, or not all of it", capital(&what), short(id)),
                hint: models::ELSEWHERE.to_owned(),
                missing: true,
            }
        };
        Ok(missing.iter().map(finding).collect())
    }

    fn descriptions(&mut self, ports: &Ports) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for described in dataset::each(ports)? {
            let finding = |name: &str, problem: String, hint: &str, missing| Finding {
                kind: "data",
                name: name.to_owned(),
                problem,
                hint: hint.to_owned(),
                missing,
            };
            match described {
                Err(failure) => {
                    let hint =
                        failure.hints.first().map_or("Bring it back: `git restore .au/datasets`", String::as_str);
                    findings.push(finding(layout::DATASETS, failure.message.clone(), hint, false));
                }
                Ok(dataset) if dataset.stored => {
                    if !self.sweep.keep(std::slice::from_ref(&dataset.digest)).is_ok_and(|missing| missing.is_empty()) {
                        let problem = format!("The store does not have all of the data `{}`", dataset.name);
                        findings.push(finding(
                            &dataset.name,
                            problem,
                            "Get it: `au pull`, or `au data add` it again",
                            true,
                        ));
                    }
                }
                Ok(_) => {}
            }
        }
        Ok(findings)
    }
}

/// Every commit that stands for an experiment, removed ones included. What can't be read is told by other steps.
fn held(ports: &Ports) -> Vec<(String, String)> {
    let commits = |holdings: BTreeMap<String, holdings::Holding>| {
        let each = |(id, holding): (String, holdings::Holding)| {
            holding.commits().into_iter().map(|commit| (id.clone(), commit.clone())).collect::<Vec<_>>()
        };
        holdings.into_iter().flat_map(each).collect()
    };
    holdings::all(ports).map_or_else(|_| catalogue::tagged(ports).unwrap_or_default(), commits)
}

fn short(id: &str) -> &str {
    id.get(..crate::id::SHORT).unwrap_or(id)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn broken(id: &str, why: &str) -> Finding {
    Finding {
        kind: "experiment",
        name: id.to_owned(),
        problem: format!("The experiment `{}` is damaged: {why}", short(id)),
        hint: format!("Get it again from another clone: `au pull`, or be rid of it: `au rm {}`", short(id)),
        missing: false,
    }
}

fn content(Damage { name, what }: Damage) -> Finding {
    Finding {
        kind: "content",
        problem: format!("`{name}` in the store {what}"),
        name,
        hint: "Where it is gone, get it again: `au pull`, or `au data add` of the data".to_owned(),
        missing: false,
    }
}

fn references(ports: &Ports) -> Result<Vec<Finding>> {
    let finding = |Damage { name, what }: Damage| {
        let hint = match name.strip_prefix(layout::TAGS) {
            Some(_) => format!("Remove the file `.git/{name}`, then `au recover`, or get it again: `au pull`"),
            None => format!("Remove the file `.git/{name}`, then `au pull`"),
        };
        Finding { kind: "reference", problem: format!("The reference `{name}` {what}"), name, hint, missing: false }
    };
    Ok(ports.upkeep.broken_references()?.into_iter().map(finding).collect())
}

fn archives(ports: &Ports) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for archive in catalogue::references(ports, layout::ARCHIVE)? {
        let short = archive.name.strip_prefix(layout::ARCHIVE).unwrap_or_default();
        if let Err(why) = archive::check(ports, short, &archive) {
            findings.push(Finding {
                kind: "archive",
                problem: format!("The archive `{}` is damaged: {why}", archive.name),
                name: archive.name,
                hint: "Get it again: `au pull`".to_owned(),
                missing: false,
            });
        }
    }
    let commits: Vec<_> = catalogue::references(ports, layout::ARCHIVE)?
        .into_iter()
        .map(|archive| (archive.name, archive.target))
        .collect();
    for damage in ports.upkeep.check_commits(&commits.iter().map(|(_, commit)| commit.clone()).collect::<Vec<_>>())? {
        for (name, _) in commits.iter().filter(|(_, commit)| *commit == damage.name) {
            findings.push(Finding {
                kind: "archive",
                name: name.clone(),
                problem: format!("The archive `{name}` {}", damage.what),
                hint: "Get it again: `au pull`".to_owned(),
                missing: false,
            });
        }
    }
    Ok(findings)
}

fn notes_of(ports: &Ports) -> Vec<Finding> {
    let finding = |failure: Failure| Finding {
        kind: "notes",
        name: layout::NOTES.to_owned(),
        problem: format!("The notes can't be read: {}", failure.message),
        hint: "Get them again: `au pull`".to_owned(),
        missing: false,
    };
    notes::read(ports).err().map(finding).into_iter().collect()
}

/// Whether the experiment's files are there, and belong together.
fn files(ports: &Ports, id: &str, commit: &str, record: &Record) -> Result<(), Finding> {
    let damaged = |why: &str| broken(id, why);
    let folder =
        |path: &str| ports.repository.list_folder(&Location { root: commit.to_owned(), path: path.to_owned() });
    for path in [layout::metrics(id), layout::requirements(id), layout::log(id)] {
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        let names = folder(above).map_err(|error| damaged(&error.to_string()))?;
        if !names.iter().any(|there| there == name) {
            return Err(damaged(&format!("`{path}` is not in its commit")));
        }
    }
    let Some(environment) = &record.environment else { return Ok(()) };
    let location = Location { root: commit.to_owned(), path: layout::requirements(id) };
    let file = ports.repository.read_files(&[location]).map_err(|error| damaged(&error.to_string()))?;
    let requirements: Vec<u8> = file.into_iter().flatten().flatten().collect();
    if environment.requirements != digest::sha256(&requirements) {
        return Err(damaged("its `requirements.txt` is not the one that its record names"));
    }
    Ok(())
}

fn commits(ports: &Ports, experiments: &[(String, String)]) -> Result<Vec<Finding>> {
    let commits: Vec<String> = experiments.iter().map(|(_, commit)| commit.clone()).collect();
    let damages = ports.upkeep.check_commits(&commits)?;
    let finding = |damage: &Damage| {
        let (id, _) = experiments.iter().find(|(_, commit)| *commit == damage.name)?;
        Some(broken(id, &format!("its commit `{}` {}", short(&damage.name), damage.what)))
    };
    Ok(damages.iter().filter_map(finding).collect())
}

fn journals(ports: &Ports) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for entry in ports.journal.entries()? {
        let problem = match State::read(&*ports.journal, &entry.id) {
            Err(failure) => failure.message,
            Ok(state) if state.damaged || (state.started.is_none() && entry.size > 0 && !entry.held) => {
                "a part of its journal can't be read".to_owned()
            }
            Ok(_) => continue,
        };
        findings.push(Finding {
            kind: "run",
            problem: format!("The run `{}` is damaged: {problem}", short(&entry.id)),
            hint: format!("Save what can be read: `au recover`; the journal is in `.git/aurum/runs/{}`", entry.id),
            name: entry.id,
            missing: false,
        });
    }
    Ok(findings)
}
