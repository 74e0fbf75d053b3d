//! Reading a file that nobody changes meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use super::place::{failed, open_file};
use super::stamp::Stamp;
use super::stat_cache::now;
use crate::capabilities::store::{Hash, hash_stream};
use crate::capabilities::{Error, Result};

/// What came of reading a file.
#[derive(Debug)]
pub(super) struct ReadFile<T> {
    pub(super) value: T,
    pub(super) stamp: Stamp,
    /// Before it was read.
    pub(super) moment: i64,
}

/// Lets `take` read a file, which answers with how many bytes there were. If the file has changed meanwhile, it does so
/// once more.
pub(super) fn read_file<T>(
    folder: &OwnedFd,
    name: impl rustix::path::Arg + Copy,
    shown: &dyn Fn() -> String,
    mut take: impl FnMut(&mut File, &Stamp) -> Result<(T, u64)>,
) -> Result<ReadFile<T>> {
    for _ in 0..2 {
        let moment = now();
        let mut file = open_file(folder, name).map_err(|error| failed("opening", &shown(), error))?;
        let looked = |file: &File| file.metadata().map_err(|error| failed("looking at", &shown(), error));
        let found = looked(&file)?;
        if !found.is_file() {
            break;
        }
        let stamp = Stamp::of(&found);
        let (value, size) = take(&mut file, &stamp)?;
        if size == stamp.size && Stamp::of(&looked(&file)?) == stamp {
            return Ok(ReadFile { value, stamp, moment });
        }
    }
    Err(Error::Other(format!("`{}` changes while it is read", shown())))
}

/// The digest of a file.
pub(super) fn hash_file(
    folder: &OwnedFd,
    name: impl rustix::path::Arg + Copy,
    shown: &dyn Fn() -> String,
    buffer: &mut Vec<u8>,
) -> Result<ReadFile<Hash>> {
    read_file(folder, name, shown, |file, _| hash_stream(file, buffer, |_| Ok(()), |error| unreadable(shown, error)))
}

/// What was read of a file that is to be this long; less at its end.
pub(super) fn read_whole(file: &mut File, mut bytes: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        match file.read(bytes) {
            Ok(0) => break,
            Ok(read) => {
                count += read;
                bytes = &mut bytes[read..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

pub(super) fn unreadable(shown: &dyn Fn() -> String, error: &io::Error) -> Error {
    Error::io(format_args!("reading `{}`", shown()), error)
}
