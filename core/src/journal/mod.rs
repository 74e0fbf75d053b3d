//! The append-only log that *is* a running experiment: whatever a call accepted is in it, and nothing else is known.
//!
//! The format is documented in `docs/record-format.md`. A journal is a sequence of [`frame`]s, each of which holds one
//! [`event::Event`]; a [`reader::Reader`] walks them in order, in flat memory, and stops at a torn tail. Children that take
//! part in a run have journals of their own; a [`merge::Merge`] walks all of them in the order of time.

pub mod event;
pub mod fold;
pub mod frame;
pub mod merge;
pub mod reader;
#[cfg(test)]
mod tests;
