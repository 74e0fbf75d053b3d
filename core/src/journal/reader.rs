//! Walking a journal in flat memory.

use std::ops::Range;

use crate::error::Result;
use crate::journal::event::{self, Event};
use crate::journal::frame::{self, Decoded};
use crate::ports::Journal;

const PAGE: u32 = 1 << 20;

/// Gives the events of a journal in order, up to its end or its torn tail.
///
/// What is damaged in the middle, as a power cut can leave it, is passed over: what follows was accepted too.
pub struct Reader<'a> {
    journal: &'a dyn Journal,
    id: &'a str,
    /// The run's own, 0, or that of one of its children.
    number: u32,
    /// Nothing is read from there on: a child may still be writing.
    until: u64,
    /// Bytes read at once.
    page: u32,
    /// Read, and not decoded yet from `position` on.
    buffer: Vec<u8>,
    position: usize,
    /// Type and payload of the frame that was come to last.
    current: Option<(u8, Range<usize>)>,
    /// Where in the journal the buffer's end is.
    end: u64,
    /// Where the last whole frame ended.
    length: u64,
    sequence: u64,
    /// Whether bytes were met that are neither a frame nor the beginning of one.
    damaged: bool,
    /// Whether what is looked at may be the rest of a torn tail.
    in_tail: bool,
    /// Whether all of the journal is in the buffer.
    exhausted: bool,
}

impl<'a> Reader<'a> {
    /// At the beginning of the run's own journal.
    pub fn new(journal: &'a dyn Journal, id: &'a str) -> Self {
        Self::of(journal, id, 0)
    }

    /// At the beginning of one of the run's journals.
    pub fn of(journal: &'a dyn Journal, id: &'a str, number: u32) -> Self {
        Self::part(journal, id, number, u64::MAX, PAGE)
    }

    /// At the beginning of one of the run's journals, of which only so many bytes count, to be read in pages of at most
    /// this size.
    pub fn part(journal: &'a dyn Journal, id: &'a str, number: u32, until: u64, page: u32) -> Self {
        Self {
            journal,
            id,
            number,
            until,
            page: page.min(PAGE),
            buffer: Vec::new(),
            position: 0,
            current: None,
            end: 0,
            length: 0,
            sequence: 0,
            damaged: false,
            in_tail: false,
            exhausted: false,
        }
    }

    /// The next event, which borrows from the reader; none at the end.
    ///
    /// # Errors
    /// When the journal can't be read, or holds what this version does not know.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>> {
        if self.advance()? { self.event() } else { Ok(None) }
    }

    /// Goes on to the next whole frame; false at the end.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn advance(&mut self) -> Result<bool> {
        self.current = None;
        let (kind, taken) = loop {
            match frame::decode(&self.buffer[self.position..]) {
                // A gap in the numbers is what was damaged; a number from before is a frame of another time.
                Decoded::Frame(frame, taken) if frame.sequence >= self.sequence => {
                    self.sequence = frame.sequence + 1;
                    self.damaged |= self.in_tail;
                    self.in_tail = false;
                    break (frame.kind, taken);
                }
                Decoded::Partial(length) if !self.exhausted => self.fill(length)?,
                Decoded::Partial(_) if self.position == self.buffer.len() => return Ok(false),
                // The beginning of a frame at the very end is what a death in the middle of an append leaves. Frames may
                // still follow, where it is the length that was damaged.
                Decoded::Partial(_) => {
                    self.in_tail = true;
                    self.skip();
                }
                Decoded::Frame(..) | Decoded::Torn => {
                    self.damaged |= !self.in_tail;
                    self.skip();
                }
            }
        };
        self.current = Some((kind, self.position + frame::HEADER..self.position + taken));
        self.position += taken;
        self.length = self.end - (self.buffer.len() - self.position) as u64;
        Ok(true)
    }

    /// The event of the frame that was come to last; none before the first.
    ///
    /// # Errors
    /// When this version does not know it.
    pub fn event(&self) -> Result<Option<Event<'_>>> {
        let Some((kind, payload)) = self.current.clone() else { return Ok(None) };
        Event::decode(kind, &self.buffer[payload]).map(Some)
    }

    /// When that event was, in milliseconds since the run's start, as far as it says so.
    pub fn elapsed(&self) -> Option<u64> {
        let (kind, payload) = self.current.clone()?;
        event::elapsed(kind, &self.buffer[payload])
    }

    /// Goes on to where the next frame may begin.
    fn skip(&mut self) {
        let rest = &self.buffer[self.position + 1..];
        let next = rest.iter().position(|byte| *byte == frame::MAGIC[0]);
        self.position = next.map_or(self.buffer.len(), |next| self.position + 1 + next);
    }

    /// Where the last whole frame ended; what follows is a torn tail.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether bytes were met that are neither a frame nor the beginning of one.
    pub fn damaged(&self) -> bool {
        self.damaged
    }

    /// The sequence number of the next frame.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads on until `wanted` bytes are there from the position on, or the journal ends.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        self.buffer.drain(..self.position);
        self.position = 0;
        // Of hundreds of readers, each may have met one long frame.
        self.buffer.shrink_to(wanted.max(2 * self.page as usize));
        while self.buffer.len() < wanted {
            let rest = u32::try_from(self.until.saturating_sub(self.end)).unwrap_or(u32::MAX);
            let page = match rest.min(self.page) {
                0 => Vec::new(),
                limit => self.journal.read(self.id, self.number, self.end, limit)?,
            };
            if page.is_empty() {
                self.exhausted = true;
                return Ok(());
            }
            self.end += page.len() as u64;
            self.buffer.extend_from_slice(&page);
        }
        Ok(())
    }
}
