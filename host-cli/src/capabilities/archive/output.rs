//! Where the zip crate writes.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

/// A buffered file that knows where it is.
///
/// The zip crate asks for the position around each entry, which a plain buffer would empty itself for. And it completes
/// an archive when that is dropped, telling the standard error what can't be written then: once something could not be,
/// this swallows all that follows. Whoever was told of the first failure must not call the file complete.
pub(super) struct Output<F: Write + Seek> {
    file: BufWriter<F>,
    position: u64,
    end: u64,
    failed: bool,
}

impl<F: Write + Seek> Output<F> {
    /// Of an empty file.
    pub(super) fn new(file: F) -> Self {
        Self { file: BufWriter::with_capacity(1 << 17, file), position: 0, end: 0, failed: false }
    }

    /// The file, all of it written.
    pub(super) fn into_inner(self) -> io::Result<F> {
        if self.failed {
            return Err(io::Error::other("something before could not be written"));
        }
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.failed |= result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        result
    }
}

impl<F: Write + Seek> Write for Output<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = if self.failed {
            bytes.len()
        } else {
            let written = self.file.write(bytes);
            self.note(written)?
        };
        self.position += count as u64;
        self.end = self.end.max(self.position);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed {
            return Ok(());
        }
        let flushed = self.file.flush();
        self.note(flushed)
    }
}

impl<F: Write + Seek> Seek for Output<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
        };
        let position = position.ok_or(io::ErrorKind::InvalidInput)?;
        if position != self.position && !self.failed {
            let sought = self.file.seek(SeekFrom::Start(position));
            self.note(sought)?;
        }
        self.position = position;
        Ok(position)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn positions_are_those_of_the_file() {
        let mut output = Output::new(Cursor::new(Vec::new()));
        output.write_all(b"0123456789").unwrap();
        assert_eq!(output.stream_position().unwrap(), 10);
        assert_eq!(output.seek(SeekFrom::Start(2)).unwrap(), 2);
        output.write_all(b"ab").unwrap();
        assert_eq!(output.seek(SeekFrom::Current(1)).unwrap(), 5);
        output.write_all(b"c").unwrap();
        assert_eq!(output.seek(SeekFrom::End(0)).unwrap(), 10);
        output.write_all(b"d").unwrap();
        assert!(output.seek(SeekFrom::Current(-12)).is_err());
        assert_eq!(output.into_inner().unwrap().into_inner(), b"01ab4c6789d");
    }

    #[test]
    fn a_failure_is_told_once_and_then_swallowed() {
        let mut output = Output::new(Cursor::new([0; 4].as_mut_slice().to_vec().into_boxed_slice()));
        output.write_all(b"0123456789").unwrap();
        assert!(output.flush().is_err());
        output.write_all(b"more").unwrap();
        output.flush().unwrap();
        assert_eq!(output.seek(SeekFrom::Start(3)).unwrap(), 3);
        assert_eq!(output.seek(SeekFrom::End(0)).unwrap(), 14);
        assert!(output.into_inner().is_err());
    }
}
