//! Objects that go to servers and come from them.

use std::collections::{HashMap, HashSet};

use super::{Event, Freight, Object, Observer, brought, open_file, sent, size_of};
use crate::capabilities::data::batch::Batch;
use crate::capabilities::remote::depot::{Depot, Put};
use crate::capabilities::remote::pieces::{self, Item};
use crate::capabilities::remote::staging::Staging;
use crate::capabilities::remote::{Outset, Remote};
use crate::capabilities::store::{Store, object_name, parse_digest};
use crate::capabilities::{Error, Result};

/// Objects, and about how many bytes, that come at once: they lie in the staging place and in the store meanwhile.
const MOST_AT_ONCE: usize = 4096;
const BYTES_AT_ONCE: u64 = 256 << 20;

/// A server as a data remote.
pub(super) struct Server<'s> {
    pub(super) remote: &'s Remote,
    pub(super) outset: &'s Outset<'s>,
    pub(super) url: &'s str,
}

/// What travels between the store and a server.
struct Journey<'j> {
    store: &'j Store,
    server: &'j Server<'j>,
    depot: Box<dyn Depot + 'j>,
    observer: &'j Observer,
    seen: HashSet<[u8; 32]>,
}

impl Server<'_> {
    pub(super) fn send(&self, store: &Store, objects: &[Object], observer: &Observer) -> Result<Freight> {
        let mut journey = self.journey(store, observer)?;
        sent(store, objects, |digests| journey.send(digests))
    }

    pub(super) fn bring(&self, store: &Store, objects: &[Object], observer: &Observer) -> Result<Freight> {
        let mut journey = self.journey(store, observer)?;
        brought(store, objects, |digests| journey.bring(digests))
    }

    fn journey<'j>(&'j self, store: &'j Store, observer: &'j Observer) -> Result<Journey<'j>> {
        let depot = self.remote.depot(self.url, self.outset)?;
        Ok(Journey { store, server: self, depot, observer, seen: std::collections::HashSet::new() })
    }
}

impl Journey<'_> {
    /// Digests that were not seen before, each with what both sides have of it.
    #[allow(clippy::type_complexity, reason = "two sizes")]
    fn compare(&mut self, digests: &[String]) -> Result<Vec<(String, String, Option<u64>, Option<u64>)>> {
        let mut new = Vec::new();
        for digest in digests {
            let hash = parse_digest(digest)?;
            if self.seen.insert(hash) {
                new.push((digest.clone(), format!("sha256/{}", object_name(&hash)), size_of(self.store, digest)?));
            }
        }
        let names: Vec<String> = new.iter().map(|(_, name, _)| name.clone()).collect();
        let sizes = if names.is_empty() { HashMap::new() } else { self.depot.sizes(&names)? };
        let told = new.into_iter().map(|(digest, name, here)| {
            let there = sizes.get(&name).copied();
            (digest, name, here, there)
        });
        Ok(told.collect())
    }

    fn send(&mut self, digests: &[String]) -> Result<Freight> {
        let mut freight = Freight::default();
        let mut jobs = Vec::new();
        for (digest, name, here, there) in self.compare(digests)? {
            match (here, there) {
                // Of another size, it is not whole.
                (Some(size), there) if there != Some(size) => jobs.push((digest, name, size)),
                (None, None) => freight.absent += 1,
                _ => {}
            }
        }
        freight.objects = jobs.len() as u64;
        freight.bytes = jobs.iter().map(|(_, _, size)| size).sum();
        let told = Progress::new(self.observer, true, freight);
        pieces::several(&jobs, |(digest, name, size)| {
            let path = self.store.path(digest)?;
            let unreadable = |error| Error::io(format_args!("reading `{digest}`"), &error);
            let file = open_file(&path).map_err(unreadable)?;
            let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
            self.depot.put(&Put { name, digits, file: &file, size: *size, tell: &|count| told.add(count) })
        })?;
        Ok(freight)
    }

    fn bring(&mut self, digests: &[String]) -> Result<Freight> {
        let mut freight = Freight::default();
        let mut jobs = Vec::new();
        for (digest, name, here, there) in self.compare(digests)? {
            match (there, here) {
                (Some(size), here) if here != Some(size) => jobs.push((digest, self.depot.item(&name, size), size)),
                (None, None) => freight.absent += 1,
                _ => {}
            }
        }
        freight.objects = jobs.len() as u64;
        freight.bytes = jobs.iter().map(|(_, _, size)| size).sum();
        let told = Progress::new(self.observer, false, freight);
        let mut rest = &jobs[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |(_, _, size): &&(String, Item, u64)| {
                let begun = bytes;
                bytes += size;
                begun < BYTES_AT_ONCE
            };
            let count = rest.iter().take(MOST_AT_ONCE).take_while(fits).count();
            let (now, later) = rest.split_at(count);
            self.bring_some(now, &told)?;
            rest = later;
        }
        Ok(freight)
    }

    fn bring_some(&self, jobs: &[(String, Item, u64)], told: &Progress<'_>) -> Result<()> {
        let staging = Staging::begin(self.server.outset.downloads, &format!("data remote {}", self.server.url))?;
        let items: Vec<Item> = jobs.iter().map(|(_, item, _)| item.clone()).collect();
        staging.make_folder()?;
        let before = told.done();
        let tell = |done: u64, _: Option<u64>| told.set(before + done);
        pieces::gather(self.depot.source(), &items, &HashSet::new(), &staging, self.server.remote.pause(), &tell)?;
        let batch = Batch::new(self.store)?;
        let mut buffer = Vec::new();
        for (digest, item, _) in jobs {
            let mut file = staging.open(&item.path)?;
            let unreadable = |error: &std::io::Error| Error::io(format_args!("reading `{digest}`"), error);
            let stream = batch.stream(&mut file, &mut buffer, unreadable)?;
            if *stream.hash() != parse_digest(digest)? {
                staging.spoil(item)?;
                let url = crate::capabilities::remote::public_url(self.server.url);
                return Err(Error::Other(format!("`{digest}` in `{url}` is damaged: it is not what its name says")));
            }
            stream.add()?;
        }
        batch.finish()?;
        staging.close();
        Ok(())
    }
}

/// Tells of bytes as they travel.
struct Progress<'p> {
    observer: &'p Observer,
    sending: bool,
    whole: Freight,
    done: std::sync::atomic::AtomicU64,
}

impl<'p> Progress<'p> {
    fn new(observer: &'p Observer, sending: bool, whole: Freight) -> Self {
        let progress = Self { observer, sending, whole, done: std::sync::atomic::AtomicU64::new(0) };
        if whole.objects > 0 {
            progress.add(0);
        }
        progress
    }

    fn done(&self) -> u64 {
        self.done.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn set(&self, done: u64) {
        self.done.store(done, std::sync::atomic::Ordering::Relaxed);
        self.tell(done);
    }

    fn add(&self, count: u64) {
        let done = self.done.fetch_add(count, std::sync::atomic::Ordering::Relaxed) + count;
        self.tell(done);
    }

    fn tell(&self, done: u64) {
        let Freight { objects, bytes, .. } = self.whole;
        self.observer.tell(&Event::Cargo { sending: self.sending, objects, bytes, done });
    }
}
