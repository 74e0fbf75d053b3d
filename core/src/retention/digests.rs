//! Which contents of the store are named, wherever a digest stands: read from the bytes, so that what a later version keeps in a
//! record or a journal counts as well.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::ports::Ports;

const SCHEME: &[u8] = b"sha256:";
/// Of a SHA-256 in hexadecimal.
const DIGITS: usize = 64;
/// Bytes of a digest.
const LENGTH: usize = SCHEME.len() + DIGITS;
/// Bytes of a journal read at once.
const PAGE: u32 = 1 << 20;

/// Adds every digest that stands anywhere in these bytes.
pub(super) fn find(bytes: &[u8], found: &mut BTreeSet<String>) {
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(SCHEME.len()).position(|window| window == SCHEME) {
        let begin = at + next;
        let digest = bytes.get(begin..begin + LENGTH).and_then(|digest| std::str::from_utf8(digest).ok());
        let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if let Some(digest) = digest.filter(|digest| digest.bytes().skip(SCHEME.len()).all(is_digit)) {
            found.insert(digest.to_owned());
        }
        at = begin + SCHEME.len();
    }
}

/// The digests in the journals of a run and its children, what they say of output included: one too many keeps something for longer.
pub(super) fn in_journals(ports: &Ports, id: &str, found: &mut BTreeSet<String>) -> Result<()> {
    for part in ports.journal.parts(id)? {
        let mut offset = 0;
        let mut rest: Vec<u8> = Vec::new();
        loop {
            let page = ports.journal.read(id, part.number, offset, PAGE)?;
            if page.is_empty() {
                break;
            }
            offset += page.len() as u64;
            rest.extend(page);
            find(&rest, found);
            // One may stand across two pages.
            let done = rest.len().saturating_sub(LENGTH - 1);
            rest.drain(..done);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_wherever_they_stand() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let mut found = BTreeSet::new();
        for text in ["", "sha256:", "sha256:0a", &format!("sha256:{}", "0A".repeat(32)), "sha256:sha256:"] {
            find(text.as_bytes(), &mut found);
        }
        assert!(found.is_empty());
        find(format!("x{digest}sha256:{{\"{digest}").as_bytes(), &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [digest]);
    }
}
