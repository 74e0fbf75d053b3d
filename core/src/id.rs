//! Experiment ids: UUIDs of version 4, in lower case. Their first characters serve as a short name.

use std::fmt;

use uuid::Uuid;

use crate::ports::Entropy;

/// Characters of an id that are shown where the whole does not fit.
pub const SHORT: usize = 8;
/// The fewest characters by which an experiment can be selected.
pub const SHORTEST_PREFIX: usize = 4;

/// Bytes of an id that is not text.
pub const BYTES: usize = 16;

/// An id in its shortest form, for where there are many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; BYTES]);

impl Key {
    /// Of an id as Aurum writes it; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().filter(|_| is_id(text)).map(|id| Self(id.into_bytes()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Uuid::from_bytes(self.0), f)
    }
}

/// A new id.
pub fn generate(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    for (byte, random) in bytes.iter_mut().zip(entropy.bytes(16)) {
        *byte = random;
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Whether the text is a whole id as Aurum writes it.
pub fn is_id(text: &str) -> bool {
    text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase()) && Uuid::try_parse(text).is_ok()
}

/// Whether the text could be the beginning of an id.
pub fn is_prefix(text: &str) -> bool {
    text.len() >= SHORTEST_PREFIX
        && text.len() <= 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn a_generated_id_is_a_version_4_uuid_and_its_own_prefix() {
        let id = generate(&*World::new().ports().entropy);
        assert!(is_id(&id));
        assert_eq!(id.as_bytes()[14], b'4');
        for length in SHORTEST_PREFIX..=36 {
            assert!(is_prefix(&id[..length]));
        }
        assert!(!is_prefix(&id[..3]));
    }

    #[test]
    fn other_spellings_are_no_ids() {
        assert!(!is_id("ACFDF6CD-1F1A-4929-B036-7B0A5399B0C6"));
        assert!(!is_id("acfdf6cd1f1a4929b0367b0a5399b0c6"));
        assert!(!is_prefix("acfdf6cd1"));
    }
}
