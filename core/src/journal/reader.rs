//! Walking a journal in flat memory.

use crate::error::Result;
use crate::journal::event::Event;
use crate::journal::frame::{self, Decoded};
use crate::ports::Journal;

const PAGE: u32 = 1 << 20;

/// Gives the events of a journal in order, up to its end or its torn tail.
pub struct Reader<'a> {
    journal: &'a dyn Journal,
    id: &'a str,
    /// Read, and not decoded yet from `position` on.
    buffer: Vec<u8>,
    position: usize,
    /// Where in the journal the buffer's end is.
    end: u64,
    sequence: u64,
    finished: bool,
}

impl<'a> Reader<'a> {
    /// At the journal's beginning.
    pub fn new(journal: &'a dyn Journal, id: &'a str) -> Self {
        Self { journal, id, buffer: Vec::new(), position: 0, end: 0, sequence: 0, finished: false }
    }

    /// The next event, which borrows from the reader; none at the end of what is whole.
    ///
    /// # Errors
    /// When the journal can't be read, or holds what this version does not know.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>> {
        let (kind, taken) = loop {
            if self.finished {
                return Ok(None);
            }
            match frame::decode(&self.buffer[self.position..]) {
                Decoded::Frame(frame, taken) if frame.sequence == self.sequence => break (frame.kind, taken),
                Decoded::Partial(length) => self.fill(length)?,
                Decoded::Frame(..) | Decoded::Torn => self.finished = true,
            }
        };
        let from = self.position;
        self.position += taken;
        self.sequence += 1;
        Event::decode(kind, &self.buffer[from + frame::HEADER..from + taken]).map(Some)
    }

    /// Bytes of the whole frames given so far.
    pub fn length(&self) -> u64 {
        self.end - (self.buffer.len() - self.position) as u64
    }

    /// The sequence number of the next frame.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads on until `wanted` bytes are there from the position on, or the journal ends.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        self.buffer.drain(..self.position);
        self.position = 0;
        while self.buffer.len() < wanted {
            let page = self.journal.read(self.id, self.end, PAGE)?;
            if page.is_empty() {
                self.finished = true;
                return Ok(());
            }
            self.end += page.len() as u64;
            self.buffer.extend_from_slice(&page);
        }
        Ok(())
    }
}
