//! Whether, and how hard, a content is compressed.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// The way a content is put into an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Squeeze {
    /// As it is.
    Store,
    /// Deflated at this level.
    Deflate(u32),
}

/// Up to here a content is deflated thoroughly, beyond it fast: data can be so large that nobody would wait.
const SMALL: u64 = 8 << 20;
const THOROUGH: u32 = 6;
/// Level 1 writes fixed codes: it makes noise longer, and finds nothing in columns of floating-point numbers.
const FAST: u32 = 2;

/// Decides by the content's beginning, which is deflated on trial: what shrinks by less than a twentieth, as pictures
/// and compressed tables do, is not worth the time that unpacking it would take.
pub(super) fn choose(beginning: &[u8], size: u64) -> Squeeze {
    let mut trial = DeflateEncoder::new(Counter(0), Compression::new(FAST));
    let deflated = trial.write_all(beginning).and_then(|()| trial.finish()).map_or(usize::MAX, |counter| counter.0);
    if deflated.saturating_mul(20) > beginning.len() * 19 {
        return Squeeze::Store;
    }
    Squeeze::Deflate(if size <= SMALL { THOROUGH } else { FAST })
}

/// Takes bytes only to count them.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that don't shrink.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn what_does_not_shrink_is_stored() {
        let text = b"time,value\n0.1,17\n".repeat(100);
        assert_eq!(choose(&text, 1900), Squeeze::Deflate(THOROUGH));
        assert_eq!(choose(&text, SMALL), Squeeze::Deflate(THOROUGH));
        assert_eq!(choose(&text, SMALL + 1), Squeeze::Deflate(FAST));
        for content in [Vec::new(), b"x".to_vec(), noise(100), noise(1 << 18)] {
            assert_eq!(choose(&content, u64::MAX), Squeeze::Store);
        }
        let mostly = [noise(96_000), vec![0; 4000]].concat();
        assert_eq!(choose(&mostly, 100_000), Squeeze::Store, "by less than a twentieth");
        let partly = [noise(90_000), vec![0; 10_000]].concat();
        assert_eq!(choose(&partly, 100_000), Squeeze::Deflate(THOROUGH));
    }
}
