//! Frames: `magic | length | type | sequence | crc32c | payload`, integers little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | the magic `AuJ1` |
//! | 4 | length of the payload |
//! | 1 | type of the event |
//! | 8 | sequence number, counting from 0 without a gap |
//! | 4 | CRC-32C (Castagnoli) of length, type, sequence and payload |
//!
//! Each frame is appended by one `write(2)`, so a death of the process loses whole frames or none; a power cut may tear
//! the last ones, which the checksum shows.

use crate::error::{Failure, FailureKind, Result};

/// Begins every frame; the digit is the version of the format.
pub const MAGIC: [u8; 4] = *b"AuJ1";
/// Bytes before the payload.
pub const HEADER: usize = 21;
/// Bytes of a payload at most; longer output is appended in pieces.
pub const LONGEST_PAYLOAD: usize = 1 << 20;

/// One frame as read.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Type of the event.
    pub kind: u8,
    /// Its number.
    pub sequence: u64,
    /// Its content.
    pub payload: &'a [u8],
}

/// Writes a frame into the buffer, replacing what was there; `fill` appends the payload.
pub fn encode(buffer: &mut Vec<u8>, kind: u8, sequence: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    buffer.clear();
    push(buffer, kind, sequence, fill);
}

/// Writes a frame behind what is in the buffer, so that one `write(2)` may append several.
pub fn push(buffer: &mut Vec<u8>, kind: u8, sequence: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    let before = buffer.len();
    buffer.extend_from_slice(&MAGIC);
    buffer.extend_from_slice(&[0; 4]);
    buffer.push(kind);
    buffer.extend_from_slice(&sequence.to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    fill(buffer);
    let frame = &mut buffer[before..];
    let length = u32::try_from(frame.len() - HEADER).unwrap_or(u32::MAX);
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(&frame[4..17], &frame[HEADER..]);
    frame[17..HEADER].copy_from_slice(&checksum.to_le_bytes());
}

/// Whether a frame can be read again.
///
/// # Errors
/// `LimitReached` when its payload is longer than [`LONGEST_PAYLOAD`].
pub fn check(frame: &[u8]) -> Result<()> {
    let length = frame.len().saturating_sub(HEADER);
    if length <= LONGEST_PAYLOAD {
        return Ok(());
    }
    Err(Failure::new(FailureKind::LimitReached, format!("One call can keep {LONGEST_PAYLOAD} bytes, not {length}")))
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(header), payload)
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole frame, and how many bytes it takes.
    Frame(Frame<'a>, usize),
    /// The beginning of a frame of this many bytes in all (at least).
    Partial(usize),
    /// No frame.
    Torn,
}

/// Reads the frame at the beginning of the bytes.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        let known = bytes.len().min(MAGIC.len());
        return if bytes[..known] == MAGIC[..known] { Decoded::Partial(HEADER) } else { Decoded::Torn };
    };
    let [m0, m1, m2, m3, l0, l1, l2, l3, kind, s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, c2, c3] = *header;
    if [m0, m1, m2, m3] != MAGIC {
        return Decoded::Torn;
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > LONGEST_PAYLOAD {
        return Decoded::Torn;
    }
    let Some(payload) = rest.get(..length) else {
        return Decoded::Partial(HEADER + length);
    };
    if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(&header[4..17], payload) {
        return Decoded::Torn;
    }
    let sequence = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    Decoded::Frame(Frame { kind, sequence, payload }, HEADER + length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decodes_what_it_encodes(kind in any::<u8>(), sequence in any::<u64>(), payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = Vec::new();
            encode(&mut bytes, kind, sequence, |buffer| buffer.extend_from_slice(&payload));
            prop_assert_eq!(decode(&bytes), Decoded::Frame(Frame { kind, sequence, payload: &payload }, bytes.len()));
            for cut in 0..bytes.len() {
                prop_assert!(matches!(decode(&bytes[..cut]), Decoded::Partial(_)));
            }
        }

        #[test]
        fn one_wrong_bit_is_noticed(payload in proptest::collection::vec(any::<u8>(), 0..50), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = Vec::new();
            encode(&mut bytes, 3, 7, |buffer| buffer.extend_from_slice(&payload));
            let length = bytes.len();
            bytes[at.index(length)] ^= 1 << bit;
            prop_assert!(!matches!(decode(&bytes), Decoded::Frame(..)));
        }

        #[test]
        fn garbage_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }
    }
}
