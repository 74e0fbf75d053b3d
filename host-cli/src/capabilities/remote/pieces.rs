//! Files of a server into a staging place: several at a time, long ones in pieces, each gone on with where its connection broke.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::staging::{Staging, Step};
use super::{Attributes, Error, Result, Stop};

/// Connections at a time.
const CONNECTIONS: usize = 6;
/// How long a piece is, where a server can begin anywhere.
const PIECE: u64 = 16 << 20;
/// After how many bytes it is noted how far a piece is.
const STEP: u64 = 8 << 20;
/// How often a broken connection is made anew without having brought anything.
const TRIES: u32 = 5;

/// A file on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::capabilities) struct Item {
    /// Within what is fetched; empty where it is that itself.
    pub(in crate::capabilities) path: String,
    /// What the server calls it.
    pub(in crate::capabilities) key: String,
    /// None where the server does not say.
    pub(in crate::capabilities) size: Option<u64>,
    /// `ETag`.
    pub(in crate::capabilities) version: Option<String>,
    /// As the server writes it.
    pub(in crate::capabilities) modified: Option<String>,
}

impl Item {
    /// The one that an address names.
    pub(super) fn of(key: &str, attributes: Attributes) -> Self {
        let Attributes { size, entity_tag, last_modified } = attributes;
        Self { path: String::new(), key: key.to_owned(), size, version: entity_tag, modified: last_modified }
    }

    /// What a server tells of it.
    pub(super) fn attributes(&self) -> Attributes {
        Attributes { size: self.size, entity_tag: self.version.clone(), last_modified: self.modified.clone() }
    }
}

/// Where items are got from.
pub(in crate::capabilities) trait Source: Sync {
    /// A connection of its own.
    fn connect(&self) -> Result<Box<dyn Getter + '_>, Stop>;
    /// Whether it can send a piece from the middle.
    fn is_seekable(&self) -> bool;
}

/// A connection.
pub(in crate::capabilities) trait Getter {
    /// Hands over these bytes of an item in their order; what fails in `sink` is told as it is.
    fn get(&mut self, item: &Item, range: &Range<u64>, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<(), Stop>;
}

struct Piece<'i> {
    item: &'i Item,
    start: u64,
    /// None where the item's size is not known.
    end: Option<u64>,
}

/// Hears how many bytes there are, and how many there will be where that is known.
pub(in crate::capabilities) type Tell<'t> = &'t (dyn Fn(u64, Option<u64>) + Sync);

/// Fetches what the staging place lacks; the items at the paths `there` are whole.
pub(in crate::capabilities) fn gather(
    source: &dyn Source,
    items: &[Item],
    there: &HashSet<&str>,
    staging: &Staging,
    pause: Duration,
    tell: Tell<'_>,
) -> Result<()> {
    let mut pieces = Vec::new();
    let mut done = 0;
    for item in items {
        if there.contains(item.path.as_str()) {
            done += item.size.unwrap_or(0);
            continue;
        }
        staging.make(&item.path)?;
        if item.path.ends_with('/') {
            continue;
        }
        if item.size.is_none() {
            staging.resize(&item.path, 0)?;
        }
        let known: HashMap<u64, u64> = staging.steps(item);
        if known.is_empty() {
            staging.renew(item)?;
        }
        let whole = item.size.unwrap_or(u64::MAX);
        let step = if source.is_seekable() { PIECE } else { u64::MAX };
        let mut begin: u64 = 0;
        loop {
            let end = begin.saturating_add(step).min(whole);
            let reached = known.get(&begin).copied().unwrap_or(begin).min(end);
            done += reached - begin;
            if reached < end {
                pieces.push((begin, Piece { item, start: reached, end: item.size.map(|_| end) }));
            }
            if end == whole {
                break;
            }
            begin = end;
        }
    }
    let total = items.iter().map(|item| item.size).sum::<Option<u64>>();
    let received = AtomicU64::new(done);
    tell(done, total);
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let progress = |count: u64| tell(received.fetch_add(count, Ordering::Relaxed) + count, total);
    let fetch = Fetch { source, staging, pause, stopped: &stopped, progress: &progress };
    let work = || {
        let mut connection = None;
        while !stopped.load(Ordering::Relaxed) {
            let Some((begin, piece)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            if let Err(error) = fetch.piece(&mut connection, *begin, piece) {
                stopped.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..CONNECTIONS.min(pieces.len()) {
            scope.spawn(work);
        }
        work();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)?;
    // An earlier version may have been longer.
    let mut sized = items.iter().filter(|item| !item.path.ends_with('/')).filter_map(|item| Some((item, item.size?)));
    sized.try_for_each(|(item, size)| staging.resize(&item.path, size))
}

/// Does all jobs, several at a time; after a failure none is begun.
pub(in crate::capabilities) fn several<J: Sync>(jobs: &[J], work: impl Fn(&J) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let run = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(job) {
                next.store(jobs.len(), Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..CONNECTIONS.min(jobs.len()) {
            scope.spawn(run);
        }
        run();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

struct Fetch<'f> {
    source: &'f dyn Source,
    staging: &'f Staging,
    /// Before a broken connection is made anew; twice as long each further time.
    pause: Duration,
    stopped: &'f AtomicBool,
    progress: &'f (dyn Fn(u64) + Sync),
}

impl<'f> Fetch<'f> {
    fn piece(&self, connection: &mut Option<Box<dyn Getter + 'f>>, begin: u64, piece: &Piece<'_>) -> Result<()> {
        let Piece { item, start, end } = piece;
        let file = self.staging.open(&item.path)?;
        let mut at = *start;
        let mut tries = 0;
        loop {
            let before = at;
            let got = self.go_on(connection, &file, begin, item, &mut at, *end);
            // Whatever came is not asked for again.
            self.staging.note(&Step::new(item, begin, at), &file)?;
            let broken = match got {
                Ok(()) if end.is_none_or(|end| at == end) => return Ok(()),
                Ok(()) => {
                    let end = end.unwrap_or(at);
                    Error::Other(format!("`{}`: the server sent {at} of {end} bytes", item.key.escape_debug()))
                }
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Broken(error)) => error,
            };
            *connection = None;
            tries = if at > before { 0 } else { tries + 1 };
            if tries == TRIES || self.stopped.load(Ordering::Relaxed) || (end.is_none() && at > *start) {
                return Err(broken);
            }
            std::thread::sleep(self.pause * 2_u32.pow(tries));
        }
    }

    fn go_on(
        &self,
        connection: &mut Option<Box<dyn Getter + 'f>>,
        file: &File,
        begin: u64,
        item: &Item,
        at: &mut u64,
        end: Option<u64>,
    ) -> Result<(), Stop> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.source.connect()?),
        };
        let range = *at..end.unwrap_or(u64::MAX);
        let mut noted = *at;
        connection.get(item, &range, &mut |bytes| {
            let key = item.key.escape_debug();
            if self.stopped.load(Ordering::Relaxed) {
                return Err(Error::Other(format!("`{key}`: given up, since another failed")));
            }
            let count = bytes.len() as u64;
            if end.is_some_and(|end| *at + count > end) {
                return Err(Error::Other(format!(
                    "`{key}`: the server sent more than the {} bytes it said",
                    end.unwrap_or(0)
                )));
            }
            file.write_all_at(bytes, *at)
                .map_err(|error| Error::io(format_args!("writing what came from `{key}`"), &error))?;
            *at += count;
            if *at - noted >= STEP {
                self.staging.note(&Step::new(item, begin, *at), file)?;
                noted = *at;
            }
            (self.progress)(count);
            Ok(())
        })
    }
}
