//! What nobody may read.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead};

use crate::capabilities::remote;
use crate::{Failure, FailureKind};

/// A secret from the command line, or `-` where it is to be read from standard input.
#[derive(Clone)]
pub(crate) struct Secret(OsString);

impl From<OsString> for Secret {
    fn from(text: OsString) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Secret {
    /// Whether it stands on the command line, for all to see.
    pub(super) fn is_written(&self) -> bool {
        self.0 != "-"
    }

    /// The secret itself. Each that is read from standard input is a line; `input` keeps it open from one to the next.
    pub(super) fn read(&self, input: &mut Option<io::StdinLock<'static>>) -> Result<remote::Secret, Failure> {
        let failure = |message: &str| Failure::new(FailureKind::InvalidValue, message, "Give it as one line of text");
        if self.is_written() {
            let text = self.0.to_str().ok_or_else(|| failure("A secret is not UTF-8"))?;
            return Ok(remote::Secret::new(text));
        }
        let mut line = String::new();
        let input = input.get_or_insert_with(|| io::stdin().lock());
        input.read_line(&mut line).map_err(|_| failure("A secret can't be read from standard input"))?;
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            return Err(failure("There is no secret on standard input"));
        }
        Ok(remote::Secret::new(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_as_stars() {
        let secret = Secret::from(OsString::from("hunter2"));
        assert_eq!(format!("{:?}", Some(&secret)), "Some(***)");
        assert!(secret.is_written() && !Secret::from(OsString::from("-")).is_written());
    }
}
