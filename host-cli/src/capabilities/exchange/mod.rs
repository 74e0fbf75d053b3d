//! Exchanging with other clones; interface `exchange`. What git carries goes by the `git` program, so that every transport and
//! credential of the user's holds; what it does not goes by `cargo`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gix::ObjectId;

use self::said::{Said, outcomes};
use self::transport::Transport;
use super::git::{command, failure, object_id};
use super::repository::{Reference, Repository};
use super::repository_edit::{self, CommitPlan, Signature};
use super::{Error, Result};

pub mod cargo;
mod said;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
mod transport;

pub use self::said::Trouble;

/// Bytes of references named on one command line: any system takes so many.
const LINE: usize = 100_000;
/// Updates that are told one by one.
const TOLD: usize = 1_000;
/// References of a remote that are kept.
const MOST: usize = 600_000;

/// Who watches, and how they are told of what takes long.
#[derive(Clone, Default)]
pub struct Observer {
    /// Whether somebody is there to answer what ssh asks.
    pub attended: bool,
    /// Gets what there is to see meanwhile.
    pub report: Option<Report>,
}

/// See [`Observer`].
pub type Report = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// What there is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A piece of git's own progress, ending in a line feed or, where the next is to replace it, in a carriage return.
    Git(&'a str),
    /// So much of a data remote's objects has travelled.
    Cargo {
        /// To the remote, or from it.
        sending: bool,
        /// How many are to travel.
        objects: u64,
        /// Their bytes.
        bytes: u64,
        /// Bytes that have.
        done: u64,
    },
    /// So much of a download is there.
    Download {
        /// Bytes that are.
        done: u64,
        /// Of how many, where the server says.
        whole: Option<u64>,
    },
}

impl Observer {
    pub(crate) fn tell(&self, event: &Event<'_>) {
        if let Some(report) = &self.report {
            report(event);
        }
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").field("attended", &self.attended).finish_non_exhaustive()
    }
}

/// Why an exchange failed.
#[derive(Debug)]
pub enum Problem {
    /// This side did.
    Failed(Error),
    /// The remote did; what git said of it, on one line.
    Refused(Trouble, String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Outcome<T> = std::result::Result<T, Problem>;

/// A reference there to be made, moved or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Its name.
    pub name: String,
    /// None removes it.
    pub target: Option<String>,
    /// Where it is now.
    pub expected: Option<String>,
}

/// Why a reference was not updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not where it was expected.
    Moved,
    /// The remote does not want it.
    Declined,
    /// Anything else.
    Failed,
}

/// One that was not updated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedUpdate {
    /// Its name.
    pub name: String,
    /// Why.
    pub verdict: Verdict,
    /// What the remote said.
    pub words: String,
}

/// What came of updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How many were done.
    pub done: u64,
    /// The first of those that were not.
    pub refused: Vec<RefusedUpdate>,
    /// How many more were not.
    pub more: u64,
}

/// A reference to be brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name there.
    pub source: String,
    /// Its name here.
    pub destination: String,
}

/// The names of git's configured remotes, sorted.
pub fn remotes(repository: &Repository) -> Result<Vec<String>> {
    Ok(repository.git()?.remote_names().into_iter().map(|name| name.to_string()).collect())
}

/// What a remote has below these prefixes, by name, annotated tags peeled.
pub fn ask(repository: &Repository, observer: &Observer, remote: &str, prefixes: &[String]) -> Outcome<Vec<Reference>> {
    repository.git()?;
    let patterns: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
    let mut transport = Transport::new(repository, observer, "ls-remote")?;
    transport.arguments(["--quiet", "--", remote]).arguments(patterns.iter().map(String::as_str));
    let answer = transport.run(b"")?;
    if !answer.success {
        return Err(Said::new(&answer.errors).problem());
    }
    let text = String::from_utf8_lossy(&answer.output);
    let mut found: HashMap<&str, &str> = HashMap::new();
    for line in text.lines() {
        let Some((target, name)) = line.split_once('\t') else { continue };
        let is_id = ObjectId::from_hex(target.as_bytes()).is_ok();
        let wanted = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
        if !is_id || !wanted(name) {
            continue;
        }
        // What an annotated tag leads to comes right behind it, under its name and `^{}`.
        found.insert(name.strip_suffix("^{}").unwrap_or(name), target);
        if found.len() > MOST {
            return Err(Problem::Refused(Trouble::Unknown, format!("it has more than {MOST} references")));
        }
    }
    let reference = |(name, target): (&str, &str)| Reference { name: name.to_owned(), target: target.to_owned() };
    let mut found: Vec<Reference> = found.into_iter().map(reference).collect();
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Sends commits, and then updates references, each for itself.
pub fn push(repository: &Repository, observer: &Observer, remote: &str, updates: &[Update]) -> Outcome<Delivery> {
    let git = repository.git()?;
    let mut delivery = Delivery::default();
    let mut rest = updates;
    while !rest.is_empty() {
        let (mut leases, mut specs, mut length, mut count) = (Vec::new(), Vec::new(), 0, 0);
        for update in rest {
            check_name(&update.name)?;
            let target = update.target.as_deref().map(|id| object_id(git, id)).transpose()?;
            let target = target.map(|id| id.to_string()).unwrap_or_default();
            let spec = format!("{target}:{}", update.name);
            if let Some(expected) = &update.expected {
                leases.push(format!("--force-with-lease={}:{}", update.name, object_id(git, expected)?));
            }
            length += 2 * spec.len() + 64;
            specs.push(spec);
            count += 1;
            if length > LINE {
                break;
            }
        }
        let arguments: Vec<&str> = leases.iter().map(String::as_str).chain(["--", remote]).collect();
        let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
        delivery.add(send(repository, observer, remote, &[arguments, specs].concat())?);
        rest = &rest[count..];
    }
    Ok(delivery)
}

/// Sends all references below a prefix, save some.
pub fn push_below(
    repository: &Repository,
    observer: &Observer,
    remote: &str,
    prefix: &str,
    except: &[String],
) -> Outcome<Delivery> {
    let specs = below(prefix, except)?;
    let arguments: Vec<&str> = ["--", remote].into_iter().chain(specs.iter().map(String::as_str)).collect();
    send(repository, observer, remote, &arguments)
}

fn send(repository: &Repository, observer: &Observer, remote: &str, arguments: &[&str]) -> Outcome<Delivery> {
    let mut transport = Transport::new(repository, observer, "push")?;
    // A remote that is set up as a mirror would have every reference that is not here removed.
    transport.setting_of(remote, "mirror", "false");
    transport.arguments(["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]);
    let answer = transport.progress().arguments(arguments.iter().copied()).run(b"")?;
    let said = Said::new(&answer.errors);
    let delivery = outcomes(&answer.output, &said);
    // Where no reference was so much as looked at, or nothing could be unpacked, it is the remote that failed.
    let none_arrived =
        delivery.done == 0 && delivery.refused.iter().all(|refused| refused.words.contains("unpacker error"));
    if !answer.success && none_arrived {
        return Err(said.problem());
    }
    Ok(delivery)
}

impl Delivery {
    fn add(&mut self, mut other: Self) {
        self.done += other.done;
        self.refused.append(&mut other.refused);
        self.more += other.more + self.refused.len().saturating_sub(TOLD) as u64;
        self.refused.truncate(TOLD);
    }
}

/// Brings commits, and makes references. Answers what git said of those that it did not make.
pub fn fetch(repository: &Repository, observer: &Observer, remote: &str, wanted: &[Wanted]) -> Outcome<Option<String>> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut specs = String::new();
    for Wanted { source, destination } in wanted {
        check_name(source)?;
        check_name(destination)?;
        _ = writeln!(specs, "{source}:{destination}");
    }
    receive(repository, observer, remote, &specs)
}

/// Brings all references below a prefix, save some.
pub fn fetch_below(
    repository: &Repository,
    observer: &Observer,
    remote: &str,
    prefix: &str,
    except: &[String],
) -> Outcome<Option<String>> {
    receive(repository, observer, remote, &(below(prefix, except)?.join("\n") + "\n"))
}

fn receive(repository: &Repository, observer: &Observer, remote: &str, specs: &str) -> Outcome<Option<String>> {
    let mut transport = Transport::new(repository, observer, "fetch")?;
    // `fetch.prune` and its like would remove what only this clone has.
    transport.arguments(["--no-tags", "--no-prune", "--no-prune-tags", "--no-auto-gc", "--no-write-fetch-head"]);
    transport.arguments(["--no-recurse-submodules", "--no-force", "--refmap=", "--stdin"]);
    let answer = transport.progress().arguments(["--", remote]).run(specs.as_bytes())?;
    sync(repository)?;
    let said = Said::new(&answer.errors);
    match (answer.success, said.rejected()) {
        (true, _) => Ok(None),
        (false, Some(words)) => Ok(Some(words)),
        (false, None) => Err(said.problem()),
    }
}

/// git syncs objects, and not always references: they may be a hundred thousand files.
fn sync(repository: &Repository) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        let folder = repository.common_dir()?;
        let synced = std::fs::File::open(&folder).and_then(|folder| Ok(rustix::fs::syncfs(&folder)?));
        synced.map_err(|error: io::Error| {
            Error::io(format_args!("can't bring `{}` onto stable storage", folder.display()), &error)
        })?;
    }
    Ok(())
}

/// Refspecs for all below a folder of references, save some.
fn below(prefix: &str, except: &[String]) -> Result<Vec<String>> {
    check_name(&format!("{prefix}x"))?;
    let mut specs = vec![format!("{prefix}*:{prefix}*")];
    for name in except {
        check_name(name)?;
        specs.push(format!("^{name}"));
    }
    Ok(specs)
}

/// Full names alone, so that none is read as a pattern, an option or an expression.
fn check_name(name: &str) -> Result<()> {
    let full = gix::refs::FullName::try_from(name);
    if name.starts_with("refs/") && full.is_ok() {
        Ok(())
    } else {
        Err(Error::Other(format!("`{}` is not the name of a reference", name.escape_debug())))
    }
}

/// Brings together two commits of notes. No reference is moved.
pub fn merge_notes(repository: &Repository, ours: &str, theirs: &str, signature: &Signature) -> Result<String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let git = repository.git()?;
    let (ours, theirs) = (object_id(git, ours)?, object_id(git, theirs)?);
    // git merges notes only under a reference among the others, and overwrites that whoever wrote it meanwhile.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let place = format!("refs/notes/aurum-merging-{}-{count}", std::process::id());
    let run = |arguments: &[&str]| {
        let mut command = command::hardened(repository.root())?;
        let minutes = signature.offset_minutes;
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60);
        let date = format!("@{} {sign}{hours:02}{minutes:02}", signature.seconds);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), &signature.name);
            command.env(format!("GIT_{who}_EMAIL"), &signature.email);
            command.env(format!("GIT_{who}_DATE"), &date);
        }
        command.args(["-c", "core.fsync=all"]).args(arguments);
        command::finish(command, arguments.first().copied().unwrap_or_default(), b"")
    };
    // git's own message names the reference, which is of no meaning to anybody.
    let plainly = |merged: ObjectId| {
        let tree =
            git.find_commit(merged).map_err(|error| failure(&error))?.tree_id().map_err(|error| failure(&error))?;
        let plan = CommitPlan {
            tree: tree.to_string(),
            parents: vec![ours.to_string(), theirs.to_string()],
            signature: signature.clone(),
            message: "Notes of Aurum, of two clones\n".to_owned(),
        };
        repository_edit::commit(repository, &plan)
    };
    run(&["update-ref", &place, &ours.to_string()])?;
    let notes = format!("--ref={place}");
    let merged = run(&["notes", &notes, "merge", "--quiet", "--strategy=cat_sort_uniq", &theirs.to_string()])
        .and_then(|_| run(&["rev-parse", "--verify", "--quiet", &place]))
        .and_then(|merged| object_id(git, String::from_utf8_lossy(&merged).trim()))
        .and_then(|merged| if [ours, theirs].contains(&merged) { Ok(merged.to_string()) } else { plainly(merged) });
    run(&["update-ref", "-d", &place])?;
    merged
}

/// The parents of a commit; none where there is no such commit.
pub fn parents(repository: &Repository, commit: &str) -> Result<Option<Vec<String>>> {
    let git = repository.git()?;
    let Ok(commit) = git.find_commit(object_id(git, commit)?) else { return Ok(None) };
    Ok(Some(commit.parent_ids().map(|id| id.to_string()).collect()))
}

/// Whether the one commit is the other or descends from it; not so where either is missing.
pub fn descends(repository: &Repository, commit: &str, ancestor: &str) -> Result<bool> {
    let git = repository.git()?;
    let (commit, ancestor) = (object_id(git, commit)?, object_id(git, ancestor)?);
    if !git.has_object(commit) || !git.has_object(ancestor) {
        return Ok(false);
    }
    let mut command = command::hardened(repository.root())?;
    command.args(["merge-base", "--is-ancestor", &ancestor.to_string(), &commit.to_string()]);
    let answer = command.output().map_err(|error| Error::io("can't run `git`", &error))?;
    match answer.status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => {
            let words = String::from_utf8_lossy(&answer.stderr);
            Err(Error::Other(format!("`git merge-base` failed: {}", words.trim())))
        }
    }
}
