//! The zip file itself.

use std::io::{self, Read, Seek, Write};

use jiff::Timestamp;
use jiff::tz::Offset;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZIP64_BYTES_THR, ZipWriter};

use super::output::Output;
use super::squeeze::{Squeeze, choose};
use super::{Error, FOLDER, LINK, Result};

/// Passed on at once; a multiple of it is looked at to choose how.
const PIECE: usize = 1 << 16;
/// How much of a content tells whether it is worth deflating.
const SAMPLE: usize = 4 * PIECE;

/// What an entry is, its content aside.
pub(super) struct Entry<'e> {
    /// A folder's ends in `/`.
    pub(super) path: &'e [u8],
    /// Kind and permissions, as Unix has them.
    pub(super) mode: u32,
    /// Bytes of the content, for the choice of the format: [`Container::add`] tells what it has been in fact.
    pub(super) size: u64,
}

/// A zip file under construction.
pub(super) struct Container<F: Write + Seek> {
    zip: ZipWriter<Output<F>>,
    modified: DateTime,
    buffer: Vec<u8>,
    /// For errors.
    name: String,
}

impl<F: Write + Seek> Container<F> {
    pub(super) fn new(file: F, modified: u64, name: String) -> Self {
        Self { zip: ZipWriter::new(Output::new(file)), modified: dos_time(modified), buffer: vec![0; SAMPLE], name }
    }

    /// Adds a file, a link (whose content is its target) or a folder (without any), and answers how many bytes its
    /// content had. More than one byte beyond the size is not read.
    pub(super) fn add(&mut self, entry: &Entry<'_>, content: &mut dyn Read) -> Result<u64> {
        let path = String::from_utf8_lossy(entry.path);
        let unread = |error| Error::io(format_args!("reading `{path}` for the archive"), &error);
        let mut content = content.take(entry.size.saturating_add(1));
        let mut count = fill(&mut content, &mut self.buffer).map_err(unread)?;
        let way = if entry.mode == LINK { Squeeze::Store } else { choose(&self.buffer[..count], entry.size) };
        self.start(entry, way)?;
        let mut size = 0;
        while count > 0 {
            // In pieces of one length whatever the reader gives: the compressor's output may depend on them.
            for piece in self.buffer[..count].chunks(PIECE) {
                let unwritten = |error| Error::io(format_args!("writing {}", self.name), &error);
                self.zip.write_all(piece).map_err(unwritten)?;
            }
            size += count as u64;
            count = fill(&mut content, &mut self.buffer).map_err(unread)?;
        }
        Ok(size)
    }

    fn start(&mut self, entry: &Entry<'_>, way: Squeeze) -> Result<()> {
        // The flag of the DOS file system that some programs know folders by.
        let flag = if entry.mode == FOLDER { 0x10 } else { 0 };
        let options = SimpleFileOptions::default()
            .system(System::Unix)
            .external_attributes(entry.mode << 16 | flag)
            .last_modified_time(self.modified)
            .large_file(is_large(entry.size, way));
        let options = match way {
            Squeeze::Store => options.compression_method(CompressionMethod::Stored),
            Squeeze::Deflate(level) => {
                options.compression_method(CompressionMethod::Deflated).compression_level(Some(i64::from(level)))
            }
        };
        let started = self.zip.start_file_with_options(options.name(entry.path));
        started.map_err(|error| match error {
            ZipError::Io(error) => Error::io(format_args!("writing {}", self.name), &error),
            error => {
                let path = String::from_utf8_lossy(entry.path);
                // The list of names is the zip crate's: a second one just to be asked first would be as large.
                match error.to_string() {
                    text if text.contains("Duplicate") => Error::Other(format!("`{path}` is in the archive already")),
                    text => Error::Other(format!("`{path}` can't be in an archive: {text}")),
                }
            }
        })
    }

    /// Completes it, and answers the file.
    pub(super) fn finish(self) -> Result<F> {
        let failed = |error| Error::io(format_args!("writing {}", self.name), &error);
        let output = self.zip.finish().map_err(|error| failed(error.into()))?;
        output.into_inner().map_err(failed)
    }
}

/// Whether the sizes need the wider fields of zip64, which old programs don't know. What is deflated might come out
/// longer.
fn is_large(size: u64, way: Squeeze) -> bool {
    match way {
        Squeeze::Store => size >= ZIP64_BYTES_THR,
        Squeeze::Deflate(_) => size >= ZIP64_BYTES_THR / 8 * 7,
    }
}

/// Time in the two numbers that a zip file has for it, in UTC.
fn dos_time(milliseconds: u64) -> DateTime {
    // 1980-01-01T00:00:00 and 2107-12-31T23:59:58.
    let seconds = i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX).clamp(315_532_800, 4_354_819_198);
    let civil = Timestamp::from_second(seconds).map(|time| Offset::UTC.to_datetime(time)).unwrap_or_default();
    let [month, day, hour, minute, second] =
        [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()].map(i8::unsigned_abs);
    DateTime::from_date_and_time(civil.year().unsigned_abs(), month, day, hour, minute, second).unwrap_or_default()
}

/// Reads until the buffer is full or there is no more.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn times_are_utc_and_within_what_zip_knows() {
        for (milliseconds, told) in [
            (0, "1980-01-01 00:00:00"),
            (315_532_800_000, "1980-01-01 00:00:00"),
            (1_751_364_001_999, "2025-07-01 10:00:00"),
            (1_709_208_000_000, "2024-02-29 12:00:00"),
            (4_354_819_198_000, "2107-12-31 23:59:58"),
            (u64::MAX, "2107-12-31 23:59:58"),
        ] {
            assert_eq!(dos_time(milliseconds).to_string(), told);
        }
    }

    #[test]
    fn only_large_files_have_wide_sizes() {
        const LIMIT: u64 = u32::MAX as u64;
        for (size, stored, deflated) in [
            (0, false, false),
            (3 << 30, false, false),
            (15 << 28, false, true),
            (LIMIT - 1, false, true),
            (LIMIT, true, true),
        ] {
            assert_eq!(is_large(size, Squeeze::Store), stored, "{size}");
            assert_eq!(is_large(size, Squeeze::Deflate(1)), deflated, "{size}");
        }
    }

    #[test]
    fn more_than_one_byte_beyond_the_size_is_not_read() {
        let mut container = Container::new(Cursor::new(Vec::new()), 0, String::new());
        let entry = Entry { path: b"a", mode: super::super::ORDINARY, size: 3 };
        assert_eq!(container.add(&entry, &mut io::repeat(7)).unwrap(), 4);
        let entry = Entry { path: b"b", ..entry };
        assert_eq!(container.add(&entry, &mut b"x".as_slice()).unwrap(), 1);
    }

    #[test]
    fn bytes_do_not_depend_on_how_a_reader_gives_them() {
        struct Dribble<'c>(&'c [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = buffer.len().min(7919);
                self.0.read(&mut buffer[..count])
            }
        }
        let content: Vec<u8> = (0..300_000_u32).flat_map(|number| (number / 3).to_le_bytes()).collect();
        let make = |reader: &mut dyn Read| {
            let mut container = Container::new(Cursor::new(Vec::new()), 0, String::new());
            let entry = Entry { path: b"a", mode: super::super::ORDINARY, size: content.len() as u64 };
            assert_eq!(container.add(&entry, reader).unwrap(), entry.size);
            container.finish().unwrap().into_inner()
        };
        assert!(make(&mut content.as_slice()) == make(&mut Dribble(&content)));
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        struct Full(Cursor<Vec<u8>>);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0.position() > 300_000 { Err(io::ErrorKind::StorageFull.into()) } else { self.0.write(bytes) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Seek for Full {
            fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
                self.0.seek(to)
            }
        }
        let mut container = Container::new(Full(Cursor::new(Vec::new())), 0, "`a.zip`".to_owned());
        // Links are stored as they are.
        let entry = Entry { path: b"a", mode: LINK, size: 1_000_000 };
        let error = container.add(&entry, &mut io::repeat(7)).unwrap_err();
        assert!(matches!(&error, Error::NoSpace(text) if text.starts_with("writing `a.zip`")), "{error:?}");
    }
}
