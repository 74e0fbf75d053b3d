//! What nobody may read.

use std::ffi::OsString;
use std::fmt;

/// A secret from the command line. This version has no use for any: it is forgotten at once, and what is not there can't
/// be printed, recorded or handed on.
#[derive(Clone, Copy)]
pub(crate) struct Secret;

impl From<OsString> for Secret {
    fn from(_: OsString) -> Self {
        Self
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_as_stars() {
        assert_eq!(format!("{:?}", Some(Secret::from(OsString::from("hunter2")))), "Some(***)");
    }
}
