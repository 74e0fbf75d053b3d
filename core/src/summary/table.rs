//! The summaries of all saved experiments, kept in step with git's references.
//!
//! What is kept between two readings is a manifest and the segments that it names. A segment never changes: it is named by its
//! content, and the manifest is replaced in one piece, so several readers may do this at once and the last one's work stays.

use std::cell::{Cell as Shared, RefCell};
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::segment::{Builder, Segment};
use super::{Summary, cells};
use crate::catalogue::{self, Index, Saved};
use crate::dataset::watch;
use crate::error::{Failure, FailureKind, Result};
use crate::ports::Ports;
use crate::{id, layout, records};

/// Of the cached bytes and of what is derived from records: another version's are read again.
const VERSION: &str = concat!("4 ", env!("CARGO_PKG_VERSION"));
const MANIFEST: &str = "manifest";
/// Bytes of segments that are held at once: those of about a million experiments.
const MOST_BYTES: usize = 160 << 20;

/// Where a summary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    segment: u32,
    row: u32,
}

/// What is kept, and what it was made from.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Manifest {
    version: String,
    /// Of the references, if it was known: as long as it is the same nothing else is looked at.
    state: Option<String>,
    segments: Vec<String>,
    /// How many experiments have a record that can't be read. They are tried each time: objects may arrive.
    unreadable: usize,
    /// How many experiments have a tag of their own.
    tags: usize,
}

/// The summaries of all saved experiments.
pub struct Table {
    ports: Ports,
    slots: Vec<Slot>,
    /// Bytes of the segments that are held.
    held: Shared<usize>,
    unreadable: Vec<(String, Failure)>,
    tags: usize,
}

struct Slot {
    name: String,
    segment: RefCell<Option<Rc<Segment>>>,
    /// Whether it can be had from the cache again.
    cached: bool,
}

impl Table {
    /// The summaries as of now.
    ///
    /// # Errors
    /// When git can't be read. A record that can't be is told about and passed over, so that it hides no other.
    pub fn open(ports: &Ports) -> Result<Self> {
        // Before the references are read: what changes in between is then noticed the next time.
        let state = ports.repository.reference_state(&[layout::TAGS, layout::ARCHIVE, layout::ALL_NOTES])?;
        let kept = Manifest::read(ports);
        let unchanged = state.is_some() && kept.state == state && kept.unreadable == 0;
        let mut table = Self {
            ports: ports.clone(),
            slots: Vec::new(),
            held: Shared::new(0),
            unreadable: Vec::new(),
            tags: kept.tags,
        };
        for slot in kept.segments.iter().map(|name| Slot::cached(name.clone())) {
            if table.load(&slot).is_some() {
                table.slots.push(slot);
            }
        }
        if !(unchanged && table.slots.len() == kept.segments.len()) {
            table.renew(&kept, state)?;
        }
        Ok(table)
    }

    /// Brings the segments in step with the references.
    fn renew(&mut self, kept: &Manifest, state: Option<String>) -> Result<()> {
        let index = catalogue::index(&self.ports)?;
        self.tags = index.tagged();
        let mut found = vec![false; index.len()];
        let mut filling = Filling { builder: Builder::new(index.hash()), there: &kept.segments, cacheable: true };
        for slot in std::mem::take(&mut self.slots) {
            let Some(segment) = self.load(&slot) else { continue };
            let mut live = Vec::new();
            for row in 0..segment.rows() {
                if let Some(at) = index.find(segment.id(row), segment.commit(row)).filter(|at| !found[*at]) {
                    found[at] = true;
                    live.push(row);
                }
            }
            // What has room left is filled up, so that a run after another does not make a segment each.
            if live.len() == segment.rows() as usize && segment.is_full() {
                self.slots.push(slot);
                continue;
            }
            self.release(&slot);
            for row in live {
                filling.builder.push(segment.id(row), segment.commit(row), segment.cells(row));
                self.flush_full(&mut filling);
            }
        }
        let missing = found.iter().enumerate().filter(|(_, found)| !**found).map(|(at, _)| at).collect::<Vec<_>>();
        self.add_records(&index, &missing, &mut filling)?;
        if !filling.builder.is_empty() {
            self.flush(&mut filling);
        }
        let manifest = Manifest { state, unreadable: self.unreadable.len(), ..self.manifest() };
        let nothing = manifest.segments.is_empty() && kept.segments.is_empty();
        if !nothing && manifest != *kept && self.slots.iter().all(|slot| slot.cached) {
            // Without a cache all is right, if slower.
            let _ = manifest.write(&self.ports).and_then(|()| {
                let mut names = manifest.segments.clone();
                names.extend([MANIFEST.to_owned(), watch::CACHE.to_owned()]);
                Ok(self.ports.cache.retain(&names)?)
            });
        }
        Ok(())
    }

    fn add_records(&mut self, index: &Index, missing: &[usize], filling: &mut Filling<'_>) -> Result<()> {
        let ports = self.ports.clone();
        for some in missing.chunks(records::AT_ONCE) {
            let wanted: Vec<Saved> = some.iter().map(|at| index.saved(*at)).collect();
            // They come in the order in which they are asked for.
            let mut places = some.iter().copied();
            records::read(&ports, &wanted, &mut |saved, record| match (record, places.next()) {
                (Ok(record), Some(at)) => {
                    filling.builder.push(index.id(at), index.commit(at), cells(&record));
                    if self.flush_full(filling) && filling.cacheable {
                        // The first reading of a long history may be interrupted: then this much is done.
                        let _ = self.manifest().write(&ports);
                    }
                }
                (Err(failure), _) => {
                    let message = format!("The experiment `{}` is left out: {}", saved.id, failure.message);
                    let short = saved.id.get(..id::SHORT).unwrap_or(&saved.id);
                    let hint = format!("Look whether more is wrong: `au verify`; be rid of it: `au rm {short}`");
                    ports.progress.warn(&message, &[failure.hints.as_slice(), &[hint]].concat());
                    self.unreadable.push((saved.id.clone(), failure));
                }
                (Ok(_), None) => {}
            })?;
        }
        Ok(())
    }

    fn manifest(&self) -> Manifest {
        let segments = self.slots.iter().map(|slot| slot.name.clone()).collect();
        Manifest { version: VERSION.to_owned(), state: None, segments, unreadable: 0, tags: self.tags }
    }

    fn flush_full(&mut self, filling: &mut Filling<'_>) -> bool {
        let full = filling.builder.is_full();
        if full {
            self.flush(filling);
        }
        full
    }

    /// Makes a segment of what was gathered.
    fn flush(&mut self, filling: &mut Filling<'_>) {
        let next = filling.builder.another();
        let bytes = std::mem::replace(&mut filling.builder, next).finish();
        let name = name(&bytes);
        filling.cacheable =
            filling.cacheable && (filling.there.contains(&name) || self.ports.cache.write(&name, &bytes).is_ok());
        let Some(segment) = Segment::parse(bytes) else { return };
        self.make_room(segment.size());
        let segment = RefCell::new(Some(Rc::new(segment)));
        self.slots.push(Slot { name, segment, cached: filling.cacheable });
    }

    fn load(&self, slot: &Slot) -> Option<Rc<Segment>> {
        if let Some(segment) = &*slot.segment.borrow() {
            return Some(segment.clone());
        }
        let segment = Rc::new(Segment::parse(self.ports.cache.read(&slot.name)?)?);
        self.make_room(segment.size());
        *slot.segment.borrow_mut() = Some(segment.clone());
        Some(segment)
    }

    fn release(&self, slot: &Slot) {
        if let Some(segment) = slot.segment.borrow_mut().take() {
            self.held.set(self.held.get().saturating_sub(segment.size()));
        }
    }

    /// Lets go of what can be read again, where there is more than should be held.
    fn make_room(&self, size: usize) {
        if self.held.get() + size > MOST_BYTES {
            self.slots.iter().filter(|slot| slot.cached).for_each(|slot| self.release(slot));
        }
        self.held.set(self.held.get() + size);
    }

    /// How many experiments have a tag of their own.
    pub fn tags(&self) -> usize {
        self.tags
    }

    /// The experiments that are left out, and why.
    pub fn unreadable(&self) -> &[(String, Failure)] {
        &self.unreadable
    }

    /// Shows every summary, in no order that means anything.
    ///
    /// # Errors
    /// When the cache vanishes meanwhile.
    pub fn each(&self, visit: &mut dyn FnMut(At, Summary<'_>)) -> Result<()> {
        for (number, slot) in (0..).zip(&self.slots) {
            let segment = self.load(slot).ok_or_else(vanished)?;
            for row in 0..segment.rows() {
                visit(At { segment: number, row }, Summary { segment: &segment, row });
            }
        }
        Ok(())
    }

    /// Looks at one summary.
    ///
    /// # Errors
    /// When the cache vanishes meanwhile.
    pub fn look<T>(&self, at: At, look: impl FnOnce(Summary<'_>) -> T) -> Result<T> {
        let slot = self.slots.get(at.segment as usize).ok_or_else(vanished)?;
        let segment = self.load(slot).ok_or_else(vanished)?;
        Ok(look(Summary { segment: &segment, row: at.row }))
    }

    /// Where the summaries are, the oldest experiment first.
    ///
    /// # Errors
    /// When the cache vanishes meanwhile.
    pub fn by_time(&self) -> Result<Vec<At>> {
        let mut order = Vec::new();
        self.each(&mut |at, summary| order.push((summary.started(), summary.id(), at)))?;
        order.sort_unstable_by_key(|(started, id, _)| (*started, *id));
        Ok(order.into_iter().map(|(.., at)| at).collect())
    }
}

/// Rows on their way to a segment.
struct Filling<'a> {
    builder: Builder,
    /// Segments that the cache has.
    there: &'a [String],
    /// Whether the cache could be written so far.
    cacheable: bool,
}

impl Slot {
    fn cached(name: String) -> Self {
        Self { name, segment: RefCell::new(None), cached: true }
    }
}

impl Manifest {
    fn read(ports: &Ports) -> Self {
        let read = || serde_json::from_slice::<Self>(&ports.cache.read(MANIFEST)?).ok();
        read().filter(|manifest| manifest.version == VERSION).unwrap_or_default()
    }

    fn write(&self, ports: &Ports) -> Result<()> {
        let bytes =
            serde_json::to_vec(self).map_err(|error| Failure::new(FailureKind::Unavailable, error.to_string()))?;
        Ok(ports.cache.write(MANIFEST, &bytes)?)
    }
}

/// A segment's name, from its content: whoever writes the same writes the same name.
fn name(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("segment-{:016x}", hasher.finish())
}

fn vanished() -> Failure {
    Failure::new(FailureKind::Unavailable, "What was derived from the records vanished while it was read")
        .hint("Try again: it is made anew")
}
