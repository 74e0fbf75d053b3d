//! The journals of a run and of its children, in the order of time.
//!
//! Each process appends to a journal of its own, so that none waits for another. Every journal stays in its own order: a clock
//! that jumps back moves nothing in front of what its process did before. At the same millisecond, the lower number is first.
//! What does not say when it was comes right after what stands before it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::Result;
use crate::journal::event::Event;
use crate::journal::reader::Reader;
use crate::ports::Journal;

/// Bytes that all pages together take, about half of which is what a process of the sandbox's size can spare.
const MEMORY: u32 = 64 << 20;
/// However many journals there are: less would only make calls.
const SMALLEST_PAGE: u32 = 4 << 10;

/// Walks several journals at once, in memory that grows with their number (4 KiB each where there are thousands) and not with
/// their length.
pub struct Merge<'a> {
    sources: Vec<Source<'a>>,
    /// Those that have come to an event, by its time.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    /// The one whose event was given out last.
    current: Option<usize>,
}

struct Source<'a> {
    number: u32,
    reader: Reader<'a>,
    /// Of its latest event.
    time: u64,
}

/// An event and the process that it is of.
#[derive(Debug, PartialEq)]
pub struct Moment<'a> {
    /// 0 for the process that started the run, else the number of the child.
    pub process: u32,
    /// Milliseconds since the start.
    pub elapsed: u64,
    /// What happened.
    pub event: Event<'a>,
}

impl<'a> Merge<'a> {
    /// The run's own journal, and of each child's so many bytes.
    ///
    /// # Errors
    /// When one of them can't be read.
    pub fn new(journal: &'a dyn Journal, id: &'a str, children: &[(u32, u64)]) -> Result<Self> {
        let count = u32::try_from(children.len() + 1).unwrap_or(u32::MAX);
        let page = (MEMORY / count).max(SMALLEST_PAGE);
        let source = |number, until| Source { number, reader: Reader::part(journal, id, number, until, page), time: 0 };
        let mut sources = vec![source(0, u64::MAX)];
        sources.extend(children.iter().map(|(number, until)| source(*number, *until)));
        sources.sort_by_key(|source| source.number);
        let mut merge = Self { waiting: BinaryHeap::with_capacity(sources.len()), sources, current: None };
        for index in 0..merge.sources.len() {
            merge.advance(index)?;
        }
        Ok(merge)
    }

    /// The next event of all; none at the end.
    ///
    /// # Errors
    /// When a journal can't be read, or holds what this version does not know.
    pub fn next_moment(&mut self) -> Result<Option<Moment<'_>>> {
        if let Some(index) = self.current.take() {
            self.advance(index)?;
        }
        let Some(Reverse((elapsed, index))) = self.waiting.pop() else { return Ok(None) };
        self.current = Some(index);
        let source = &self.sources[index];
        Ok(source.reader.event()?.map(|event| Moment { process: source.number, elapsed, event }))
    }

    /// The reader of the run's own journal.
    pub fn own(&self) -> &Reader<'a> {
        &self.sources[0].reader
    }

    fn advance(&mut self, index: usize) -> Result<()> {
        let source = &mut self.sources[index];
        if source.reader.advance()? {
            source.time = source.time.max(source.reader.elapsed().unwrap_or(0));
            self.waiting.push(Reverse((source.time, index)));
        }
        Ok(())
    }
}
