//! Blobs of any size, written piece by piece.

use std::fs;
use std::io::{self, BufReader, Read, Seek, Write};

use gix::ObjectId;
use gix::objs::Kind;

use super::failure;
use super::loose::{self, Batch};
use crate::capabilities::{Error, Result};

/// Up to here bytes wait in memory, beyond in a file.
const MEMORY: usize = 1 << 20;

/// Bytes on their way to becoming a blob.
///
/// An object's id and its file begin with the size, which is known last: so the bytes wait, flat in memory.
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<tempfile::NamedTempFile>,
    size: u64,
}

impl Spool {
    pub(crate) fn new() -> Self {
        Self { memory: Vec::new(), file: None, size: 0 }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes at the end.
    pub(crate) fn write(&mut self, repository: &gix::Repository, bytes: &[u8]) -> Result<()> {
        if self.file.is_none() && self.memory.len() + bytes.len() > MEMORY {
            self.file = Some(loose::temporary_file(repository)?);
        }
        match &mut self.file {
            None => self.memory.extend_from_slice(bytes),
            Some(file) => {
                file.write_all(&self.memory).and_then(|()| file.write_all(bytes)).map_err(|error| failed(&error))?;
                self.memory = Vec::new();
            }
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Adds all that there is to read. The outer error is the reader's.
    pub(crate) fn fill(&mut self, repository: &gix::Repository, mut from: impl Read) -> io::Result<Result<()>> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(Ok(())),
                Ok(count) => {
                    if let Err(error) = self.write(repository, &buffer[..count]) {
                        return Ok(Err(error));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the blob. Its content is on stable storage then; its name is when whoever puts it into a tree sees to that.
    pub(crate) fn finish(mut self, repository: &gix::Repository) -> Result<ObjectId> {
        loose::again_while_missing(|| {
            let mut batch = Batch::new(repository);
            let id = self.finish_in(&mut batch, repository)?;
            batch.name_all()?;
            Ok(id)
        })
    }

    /// Makes the blob together with others.
    pub(crate) fn finish_in(&mut self, batch: &mut Batch<'_>, repository: &gix::Repository) -> Result<ObjectId> {
        let Some(file) = &mut self.file else {
            let id = loose::id_of(repository, Kind::Blob, &self.memory)?;
            batch.add(Kind::Blob, self.size, self.memory.as_slice(), id)?;
            return Ok(id);
        };
        let mut hasher = gix::hash::hasher(repository.object_hash());
        hasher.update(&gix::objs::encode::loose_header(Kind::Blob, self.size));
        let mut reader = rewound(file)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match reader.read(&mut buffer).map_err(|error| failed(&error))? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        let id = hasher.try_finalize().map_err(|error| failure(&error))?;
        batch.add(Kind::Blob, self.size, rewound(file)?, id)?;
        Ok(id)
    }
}

fn rewound(file: &mut tempfile::NamedTempFile) -> Result<BufReader<&mut fs::File>> {
    let file = file.as_file_mut();
    file.rewind().map_err(|error| failed(&error))?;
    Ok(BufReader::new(file))
}

fn failed(error: &io::Error) -> Error {
    Error::io("can't keep a blob's bytes in a temporary file", error)
}
