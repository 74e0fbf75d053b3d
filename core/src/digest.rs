//! Bytes as digits.

use sha2::{Digest, Sha256};

/// Lower-case hexadecimal digits, two a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `sha256:` and the digits of the content's SHA-256, as records and the store name it.
pub(crate) fn sha256(content: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(&Sha256::digest(content)))
}
