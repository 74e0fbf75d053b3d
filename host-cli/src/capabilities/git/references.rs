//! Listing references, and moving them one at a time.
//!
//! gix can move references too, but takes the lock of packed-refs for it, which all runs would queue for, and renames a
//! file that may not have reached the disk. So what follows is git's own protocol for a single loose reference: make
//! `<name>.lock`, compare, write, rename. References of Aurum's own are made without a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
#[cfg(feature = "cli")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::lock::acquire::Fail;
use gix::prelude::ReferenceExt;
use gix::refs::{FullName, FullNameRef, TargetRef};

use super::{durable, failure, loose, object_id, reflog, transaction};
use crate::capabilities::repository::Reference;
use crate::capabilities::sharing::{self, share, share_all};
use crate::capabilities::{Error, Result, settled};

/// How long to wait for somebody else's lock. A lock left behind by a crash is the user's to remove, as with git.
const PATIENCE: Fail = Fail::AfterDurationWithBackoff(Duration::from_secs(5));

#[cfg(feature = "cli")]
static CLEARS_LOCKS: AtomicBool = AtomicBool::new(false);

/// Whoever is interrupted leaves no lock behind from now on, as git doesn't. For a program of our own: in a script's process signals
/// are the script's.
#[cfg(feature = "cli")]
pub(crate) fn clear_locks_when_interrupted() {
    CLEARS_LOCKS.store(true, Ordering::Relaxed);
}

/// With the first lock: most commands take none.
#[cfg(feature = "cli")]
fn heed_interruptions() {
    if CLEARS_LOCKS.load(Ordering::Relaxed) {
        gix::tempfile::signal::setup(gix::tempfile::signal::handler::Mode::default());
    }
}

/// The references whose full name begins with `prefix` and sorts after `after`, at most `limit` of them.
pub(crate) fn list(
    repository: &gix::Repository,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Reference>> {
    let mut found = Vec::new();
    each(repository, prefix, after, &mut |name, target| {
        if found.len() >= limit as usize {
            return ControlFlow::Break(());
        }
        found.push(Reference { name: name.to_owned(), target: target.to_string() });
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// All references whose full name begins with `prefix`, by name: lines `<target> <rest of the name>`.
pub(crate) fn lines(repository: &gix::Repository, prefix: &str) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    let mut hexadecimal = [0; gix::hash::Kind::longest().len_in_hex()];
    each(repository, prefix, None, &mut |name, target| {
        let length = target.hex_to_buf(&mut hexadecimal).len();
        lines.extend_from_slice(&hexadecimal[..length]);
        lines.push(b' ');
        lines.extend_from_slice(&name.as_bytes()[prefix.len()..]);
        lines.push(b'\n');
        ControlFlow::Continue(())
    })?;
    Ok(lines)
}

/// Visits the references whose full name begins with `prefix` and sorts after `after`, by name, peeled, until told to stop. Names
/// that are not text are passed over, as is what is broken: git does so, too.
fn each(
    repository: &gix::Repository,
    prefix: &str,
    after: Option<&str>,
    visit: &mut dyn FnMut(&str, ObjectId) -> ControlFlow<()>,
) -> Result<()> {
    // Loose ones first: what is packed in between is then seen twice, and not passed over.
    let loose = if prefix.is_empty() {
        repository.refs.loose_iter()
    } else {
        let relative: &gix::path::RelativePath = prefix.try_into().map_err(|error| Error::other(&error))?;
        repository.refs.loose_iter_prefixed(relative)
    };
    let unsorted = loose.map_err(|error| Error::io(format_args!("can't list `{prefix}`"), &error))?;
    let mut loose = BTreeMap::new();
    for reference in unsorted {
        match reference {
            Ok(reference) => drop(loose.insert(reference.name.as_bstr().to_owned(), reference)),
            Err(error) if error.is_not_found() || error.is_corrupted() || error.is_validation() => {}
            Err(error) => return Err(failure(&error)),
        }
    }
    let mut loose = loose.into_values().peekable();
    let mut walk = || -> gix::Result<ControlFlow<()>> {
        let peeler = Peeler::new(repository)?;
        let mut show = |name: &BStr, target: &dyn Fn() -> Option<ObjectId>| match name.to_str() {
            Ok(name) if name.starts_with(prefix) && after.is_none_or(|after| name > after) => {
                target().map_or(ControlFlow::Continue(()), |target| visit(name, target))
            }
            _ => ControlFlow::Continue(()),
        };
        let peel = |reference: &gix::refs::Reference| peeler.peel(reference.clone().attach(repository));
        if let Some(packed) = &repository.refs.cached_packed_buffer()? {
            for reference in packed.iter_prefixed(prefix.into())?.flatten() {
                let name = reference.name.as_bstr();
                while let Some(before) = loose.next_if(|loose| loose.name.as_bstr() < name) {
                    if show(before.name.as_bstr(), &|| peel(&before)).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                let shown = match loose.next_if(|loose| loose.name.as_bstr() == name) {
                    Some(loose) => show(name, &|| peel(&loose)),
                    // What its tags lead to, it says itself.
                    None if peeler.packed.is_some() => show(name, &|| Some(reference.object())),
                    None => {
                        let reference = gix::refs::Reference::from(reference);
                        show(reference.name.as_bstr(), &|| peel(&reference))
                    }
                };
                if shown.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(loose.try_for_each(|loose| show(loose.name.as_bstr(), &|| peel(&loose))))
    };
    walk().map(drop).map_err(|error| failure(&error))
}

/// What stands in the place of a file or folder that is not there.
const ABSENT: &str = "-";
/// Two changes within this time may leave one and the same time behind: some file systems count seconds.
const TOO_FRESH: Duration = Duration::from_secs(2);

/// A text that changes with any reference directly in one of the folders; none as long as a further change might not show.
///
/// References change by a rename in their folder, or by that of `packed-refs`: both leave a new time, or a new file, behind.
pub(crate) fn state(repository: &gix::Repository, folders: &[&str]) -> Result<Option<String>> {
    let mut paths = vec![repository.refs.packed_refs_path()];
    for folder in folders {
        check_name(folder)?;
        super::check_path(folder.trim_end_matches('/'))?;
        paths.push(repository.common_dir().join(folder));
    }
    let latest = SystemTime::now().checked_sub(TOO_FRESH).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let latest = latest.unwrap_or_default().as_nanos() as i128;
    let mut state = String::new();
    for path in paths {
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state.push_str(ABSENT);
                continue;
            }
            Err(error) => return Err(Error::io(format_args!("can't look at `{}`", path.display()), &error)),
        };
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        let modified = nanoseconds(found.mtime(), found.mtime_nsec());
        let changed = nanoseconds(found.ctime(), found.ctime_nsec());
        if modified.max(changed) > latest {
            return Ok(None);
        }
        let _ = write!(state, "{}.{}.{}.{modified}.{changed} ", found.dev(), found.ino(), found.len());
    }
    Ok(Some(state))
}

/// Peels without looking at objects where packed-refs already says what its tags lead to.
struct Peeler<'r> {
    repository: &'r gix::Repository,
    packed: Option<gix::refs::file::packed::SharedBufferSnapshot>,
}

impl<'r> Peeler<'r> {
    fn new(repository: &'r gix::Repository) -> gix::Result<Self> {
        let mut head = String::new();
        if let Ok(file) = File::open(repository.refs.packed_refs_path()) {
            // The header is the first line; not text means no header.
            let _ = file.take(128).read_to_string(&mut head);
        }
        let complete = head.lines().next().is_some_and(|line| line.contains(" fully-peeled"));
        let packed = if complete { repository.refs.cached_packed_buffer()? } else { None };
        Ok(Self { repository, packed })
    }

    /// The object that the reference leads to; none for a symbolic one that leads nowhere.
    fn peel(&self, mut reference: gix::Reference<'_>) -> Option<ObjectId> {
        let TargetRef::Object(direct) = reference.target() else {
            return reference.peel_to_id().ok().map(gix::Id::detach);
        };
        let direct = direct.to_owned();
        if let Some(packed) = &self.packed
            && let Ok(Some(packed)) = packed.try_find(reference.name().as_partial_name())
            && packed.target() == direct
        {
            return Some(packed.object());
        }
        match self.repository.find_header(direct) {
            Ok(header) if header.kind() == gix::objs::Kind::Tag => {
                Some(reference.peel_to_id().map_or(direct, gix::Id::detach))
            }
            _ => Some(direct),
        }
    }
}

/// Points a reference at `target` if it is at `expected` now, else answers a conflict.
pub(crate) fn set(
    repository: &gix::Repository,
    name: &str,
    expected: Option<&str>,
    target: &str,
    durable: bool,
) -> Result<()> {
    let expected = expected.map(|id| object_id(repository, id)).transpose()?;
    let target = object_id(repository, target)?;
    if !repository.has_object(target) {
        return Err(Error::Missing(format!("there is no object {target}")));
    }
    let head = repository.head().map_err(|error| failure(&error))?;
    let branch = head.referent_name().map(|name| name.as_bstr().to_owned());
    let (base, full) = match (name, &branch) {
        ("HEAD", None) => (repository.git_dir(), FullName::try_from("HEAD")),
        ("HEAD", Some(branch)) => (repository.common_dir(), FullName::try_from(branch.clone())),
        _ => {
            check_name(name)?;
            (repository.common_dir(), FullName::try_from(name))
        }
    };
    let full = full.map_err(|_| Error::Other(format!("`{name}` is not the name of a reference")))?;
    let full = full.as_bstr().to_owned();

    if expected.is_none() {
        check_room(repository, &full)?;
    }
    let path = base.join(gix::path::from_bstr(full.as_bstr()).map_err(|error| failure(&error))?);
    let references = base.join("refs");
    let change = Change { repository, path: &path, full: &full, expected, target };
    let done = is_own(&full) && (change.is_needless()? || expected.is_none() && change.create(durable)?);
    if !done {
        change.exchange(branch.as_ref(), if full == "HEAD" { base } else { &references }, durable)?;
    }
    if durable && full == "HEAD" {
        durable::folder(base)?;
    } else if durable {
        let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&references)).count();
        match settled::sync_names(&path, folders) {
            // git has packed it, which it syncs, and removed the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => durable::folder(base)?,
            synced => synced.map_err(|error| durable::cannot_sync(&path, &error))?,
        }
    }
    Ok(())
}

/// References that nobody but Aurum makes, one process each: the one that holds the run's journal.
fn is_own(name: &BString) -> bool {
    name.starts_with(b"refs/tags/au/") || name.starts_with(b"refs/aurum/")
}

/// One loose reference on its way to another target.
struct Change<'a> {
    repository: &'a gix::Repository,
    path: &'a Path,
    full: &'a BString,
    expected: Option<ObjectId>,
    target: ObjectId,
}

impl Change<'_> {
    /// Whether it is where it is to be, which only has to be brought onto stable storage. No lock is asked for.
    fn is_needless(&self) -> Result<bool> {
        if self.expected != Some(self.target) || current(self.repository, self.path, self.full)? != self.expected {
            return Ok(false);
        }
        match File::open(self.path).and_then(|file| file.sync_all()) {
            // Packed; git syncs what it packs.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            other => other.map(|()| true).map_err(|error| self.failed(&error)),
        }
    }

    /// Makes a reference in one step: a file that is whole gets another name, which fails if there is one of that name. A death
    /// in between leaves no lock that keeps the run from being recovered. False where the file system has no such step.
    fn create(&self, durable: bool) -> Result<bool> {
        let mut file = loose::temporary_file(self.repository)?;
        share(file.path());
        let written = file.write_all(self.line().as_bytes());
        let written = written.and_then(|()| if durable { file.as_file().sync_all() } else { Ok(()) });
        written.map_err(|error| self.failed(&error))?;
        // Git removes folders of references that are empty.
        for _ in 0..16 {
            if let Some(folder) = self.path.parent() {
                sharing::create_dir_all(folder).map_err(|error| self.failed(&error))?;
            }
            if let Some(packed) = current(self.repository, self.path, self.full)? {
                return Err(conflict(self.full, None, Some(packed)));
            }
            match fs::hard_link(file.path(), self.path) {
                Ok(()) => return Ok(true),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Git's own protocol, for what others change as well.
    fn exchange(&self, branch: Option<&BString>, boundary: &Path, durable: bool) -> Result<()> {
        let missing = sharing::missing_folders(self.path.parent().unwrap_or(boundary));
        #[cfg(feature = "cli")]
        heed_interruptions();
        let mut lock = gix::lock::File::acquire_to_update_resource(self.path, PATIENCE, Some(boundary.to_owned()), 0)
            .map_err(|error| lost_or_failed(self.full, self.path, &error))?;
        share_all(missing.into_iter().rev());
        share(lock.lock_path());
        let now = current(self.repository, self.path, self.full)?;
        if now != self.expected {
            return Err(conflict(self.full, self.expected, now));
        }
        lock.with_mut(|file| file.write_all(self.line().as_bytes())).map_err(|error| self.failed(&error))?;
        if durable {
            // Before it takes the reference's name: a crash must not leave an empty file there. Opened anew, since what an
            // interrupted `au` has at hand it can't remove.
            let synced = fs::File::open(lock.lock_path()).and_then(|file| file.sync_all());
            synced.map_err(|error| self.failed(&error))?;
        }
        reflog::add(self.repository, self.full, branch, now, self.target)?;
        commit(lock, self.path).map_err(|error| self.failed(&error))
    }

    fn line(&self) -> String {
        format!("{}\n", self.target)
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::io(format_args!("can't write `{}`", self.full), error)
    }
}

fn commit(lock: gix::lock::File, path: &Path) -> io::Result<()> {
    match lock.commit() {
        Ok(_) => Ok(()),
        // Folders that a removed reference has left behind; they go if nothing is in them.
        Err(error) if path.is_dir() => {
            remove_empty_folders(path)?;
            error.instance.commit().map(drop).map_err(|error| error.error)
        }
        Err(error) => Err(error.error),
    }
}

fn remove_empty_folders(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        remove_empty_folders(&entry?.path())?;
    }
    fs::remove_dir(path)
}

/// Where the reference is, read under its lock.
fn current(repository: &gix::Repository, path: &Path, name: &BString) -> Result<Option<ObjectId>> {
    let failed = |error: &io::Error| Error::io(format_args!("can't read `{name}`"), error);
    match fs::read(path) {
        Ok(content) => {
            let content = content.trim();
            ObjectId::from_hex(content).map(Some).map_err(|_| {
                let is = if content.starts_with(b"ref:") { "symbolic" } else { "broken" };
                Error::Conflict(format!("the reference `{name}` is {is}"))
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound || path.is_dir() => {
            let Some(packed) = repository.refs.cached_packed_buffer().map_err(|error| failure(&error))? else {
                return Ok(None);
            };
            let full = FullName::try_from(name.clone()).map_err(|error| Error::other(&error))?;
            let found = packed.try_find(full.as_ref().as_partial_name()).map_err(|error| failure(&error))?;
            Ok(found.map(|reference| reference.target()))
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Only what worktrees share, so that everybody sees it.
pub(super) fn check_name(name: &str) -> Result<()> {
    let private = ["refs/bisect/", "refs/rewritten/", "refs/worktree/"];
    if name.starts_with("refs/") && !private.iter().any(|prefix| name.starts_with(prefix)) {
        Ok(())
    } else {
        Err(Error::Other(format!("`{name}` is not the name of a reference that can be set")))
    }
}

/// Refuses `refs/a/b` while there is a `refs/a` or a `refs/a/b/c`: git can't keep both.
fn check_room(repository: &gix::Repository, name: &BString) -> Result<()> {
    let taken =
        |other: &str| Err(Error::Conflict(format!("the reference `{name}` can't be made: there is `{other}` already")));
    let text = name.to_str_lossy();
    for (slash, _) in text.match_indices('/').skip(1) {
        let above = &text[..slash];
        if repository.try_find_reference(above).is_ok_and(|found| found.is_some_and(|found| found.name() == above)) {
            return taken(above);
        }
    }
    match list(repository, &format!("{text}/"), None, 1)?.first() {
        Some(below) => taken(&below.name),
        None => Ok(()),
    }
}

fn conflict(name: &BString, expected: Option<ObjectId>, now: Option<ObjectId>) -> Error {
    let now = now.map_or_else(|| "is gone".to_owned(), |id| format!("is at {id}"));
    Error::Conflict(match expected {
        None => format!("the reference `{name}` exists already and {now}"),
        Some(expected) => format!("the reference `{name}` was expected at {expected}, but {now}"),
    })
}

/// Somebody may have made `refs/a` while we were to make `refs/a/b`.
fn lost_or_failed(name: &BString, path: &Path, error: &gix::Error) -> Error {
    match path.ancestors().skip(1).find(|above| above.is_file()) {
        Some(_) => Error::Conflict(format!("the reference `{name}` can't be made: one above it exists already")),
        None => failure(error),
    }
}

/// Removes references; those that do not exist are passed over. Packed ones go in one transaction of git's, which syncs the file of
/// all packed references before it takes the former one's place.
pub(crate) fn remove(repository: &gix::Repository, root: &Path, names: &[String]) -> Result<()> {
    let mut packed = Vec::new();
    for name in names.iter().collect::<BTreeSet<_>>() {
        check_name(name)?;
        let full = FullName::try_from(name.as_str()).map_err(|error| Error::other(&error))?;
        let there = repository.try_find_reference(full.as_ref().as_partial_name()).map_err(|error| failure(&error))?;
        let Some(there) = there else { continue };
        if full.as_bstr().starts_with(b"refs/aurum/") && remove_loose(repository, there.name())? {
            continue;
        }
        packed.push(name.as_str());
    }
    transaction::remove(repository, root, &packed)
}

/// Removes a reference that only Aurum knows and that is not packed, without a lock that a death would leave behind. Should
/// somebody pack it this very moment, it stays, for the next time. False for one that is packed.
fn remove_loose(repository: &gix::Repository, name: &FullNameRef) -> Result<bool> {
    if let Some(packed) = repository.refs.cached_packed_buffer().map_err(|error| failure(&error))?
        && packed.try_find(name.as_partial_name()).map_err(|error| failure(&error))?.is_some()
    {
        return Ok(false);
    }
    let path = repository.common_dir().join(gix::path::from_bstr(name.as_bstr()).map_err(|error| failure(&error))?);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format_args!("can't remove `{}`", name.as_bstr()), &error))
        }
        _ => Ok(true),
    }
}
