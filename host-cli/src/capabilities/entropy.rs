//! Randomness.
//!
//! For tests, and for demonstrations that come out the same each time, `AURUM_ENTROPY` is a text that all bytes are derived
//! from. Two processes with the same text draw the same ids: never set it where experiments are to be kept.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::{Error, Result};

/// The most that is drawn at once: the number comes from the guest, and an id needs 16.
const MAX_COUNT: u32 = 64 << 10;

/// Draws random bytes.
#[derive(Debug)]
pub struct Entropy {
    seed: Option<Seed>,
}

#[derive(Debug)]
struct Seed {
    text: Vec<u8>,
    /// Blocks drawn so far.
    drawn: AtomicU64,
}

impl Entropy {
    /// The system's randomness.
    pub fn system() -> Self {
        Self { seed: None }
    }

    /// Bytes derived from `AURUM_ENTROPY` where that is set, else the system's.
    pub fn from_environment() -> Self {
        let text = std::env::var_os("AURUM_ENTROPY").map(std::ffi::OsString::into_encoded_bytes);
        Self { seed: text.map(Seed::new) }
    }

    /// Random bytes, at most 64 KiB of them.
    pub fn bytes(&self, count: u32) -> Result<Vec<u8>> {
        if count > MAX_COUNT {
            return Err(Error::Other(format!("{count} random bytes are more than the {MAX_COUNT} given at once")));
        }
        let mut bytes = vec![0; count as usize];
        match &self.seed {
            Some(seed) => seed.fill(&mut bytes),
            None => getrandom::fill(&mut bytes)
                .map_err(|error| Error::Other(format!("the system gives no random bytes: {error}")))?,
        }
        Ok(bytes)
    }
}

impl Seed {
    fn new(text: Vec<u8>) -> Self {
        Self { text, drawn: AtomicU64::new(0) }
    }

    /// SHA-256 over the seed and a counter, one block after the other; each call begins a new block.
    fn fill(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(32) {
            let counter = self.drawn.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::new().chain_update(&self.text).chain_update(counter.to_be_bytes()).finalize();
            piece.copy_from_slice(&block[..piece.len()]);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let draw = |seed: &[u8]| {
            let entropy = Entropy { seed: Some(Seed::new(seed.to_vec())) };
            [entropy.bytes(16).unwrap(), entropy.bytes(16).unwrap(), entropy.bytes(70).unwrap()]
        };
        assert_eq!(draw(b"a"), draw(b"a"));
        assert_ne!(draw(b"a"), draw(b"b"));
        let [first, second, third] = draw(b"a");
        assert_ne!(first, second);
        assert_eq!(third.len(), 70);
        assert_eq!(first[..], Sha256::digest(b"a\0\0\0\0\0\0\0\0")[..16]);
    }

    #[test]
    fn the_systems_bytes_differ() {
        let entropy = Entropy::system();
        assert_ne!(entropy.bytes(32).unwrap(), entropy.bytes(32).unwrap());
        assert!(entropy.bytes(0).unwrap().is_empty());
        assert!(entropy.bytes(u32::MAX).is_err());
    }
}
