//! Files of the working tree as git would store them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice};
use gix::filter::plumbing::pipeline::{CrlfRoundTripCheck, convert::ToGitOutcome};
use gix::objs::tree::EntryKind;
use gix::worktree::stack::state::attributes::Source;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::blob::Spool;
use super::loose::Batch;
use super::{failure, index, is_project_path};
use crate::capabilities::Result;

/// Reads working files through git's filters: line endings, encodings and the programs of `filter.*.clean`.
pub(crate) struct WorkingFiles<'r> {
    repository: &'r gix::Repository,
    root: OwnedFd,
    index: gix::index::File,
    attributes: gix::worktree::Stack,
    pipeline: gix::filter::plumbing::Pipeline,
    capabilities: gix::fs::Capabilities,
}

/// What stands at a path: the folder that holds it, held open, its name in there and what it is.
struct Found<'p> {
    folder: OwnedFd,
    name: &'p OsStr,
    kind: EntryKind,
}

impl<'r> WorkingFiles<'r> {
    pub(crate) fn new(repository: &'r gix::Repository) -> Result<Self> {
        let prepare = || -> gix::Result<_> {
            let mut options = gix::filter::Pipeline::options(repository)?;
            // A snapshot takes files as they are, also those that `core.safecrlf` would rather not see committed.
            options.crlf_roundtrip_check = CrlfRoundTripCheck::Skip;
            let context = repository.command_context()?;
            let pipeline = gix::filter::plumbing::Pipeline::new(context, repository.object_hash(), options);
            Ok((pipeline, repository.filesystem_options()?))
        };
        let (pipeline, capabilities) = prepare().map_err(|error| failure(&error))?;
        let index = index::read(repository)?;
        let attributes = repository
            .attributes_only(&index, Source::WorktreeThenIdMapping)
            .map_err(|error| failure(&error))?
            .detach();
        let root = repository.workdir().unwrap_or(repository.git_dir());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|error| crate::capabilities::Error::io("can't open the project's folder", &error.into()))?;
        Ok(Self { repository, root, index, attributes, pipeline, capabilities })
    }

    /// Adds the file's blob to others. None when there is no readable file, link or program output to make it of.
    pub(crate) fn store(&mut self, path: &BStr, batch: &mut Batch<'_>) -> Result<Option<(EntryKind, ObjectId)>> {
        let repository = self.repository;
        let mut spool = Spool::new();
        let read = self.read(path, |content| spool.fill(repository, content));
        let Ok((kind, filled)) = read else { return Ok(None) };
        filled?;
        Ok(Some((kind, spool.finish_in(batch, repository)?)))
    }

    /// The id that the file's blob would have, without writing it.
    pub(crate) fn identify(&mut self, path: &BStr) -> Option<(EntryKind, ObjectId)> {
        let mut bytes = Vec::new();
        let (kind, _) = self.read(path, |content| content.read_to_end(&mut bytes)).ok()?;
        let id = gix::objs::compute_hash(self.repository.object_hash(), gix::objs::Kind::Blob, &bytes).ok()?;
        Some((kind, id))
    }

    /// Lets `take` read the file as git would store it.
    fn read<T>(
        &mut self,
        path: &BStr,
        take: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> io::Result<(EntryKind, T)> {
        let found = self.find(path)?;
        if found.kind == EntryKind::Link {
            let target = rustix::fs::readlinkat(&found.folder, found.name, Vec::new())?;
            return Ok((EntryKind::Link, take(&mut target.as_bytes())?));
        }
        // Nothing that blocks or is followed elsewhere, should the file be exchanged for a link or a pipe meanwhile.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&found.folder, found.name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let entry = self.index.entry_by_path(path);
        let in_index = entry.and_then(|entry| entry.mode.to_tree_entry_mode()).map(|mode| mode.kind());
        let kind = match in_index {
            // Where links can't be made, git checks them out as files.
            Some(EntryKind::Link) if !self.capabilities.symlink => EntryKind::Link,
            Some(EntryKind::BlobExecutable) if !self.capabilities.executable_bit => EntryKind::BlobExecutable,
            _ if self.capabilities.executable_bit && gix::fs::is_executable(&metadata) => EntryKind::BlobExecutable,
            _ => EntryKind::Blob,
        };
        if kind == EntryKind::Link {
            return Ok((kind, take(&mut { file })?));
        }
        let native = Path::new(OsStr::from_bytes(path));
        let objects = &self.repository.objects;
        let attributes = self.attributes.at_path(native, None, objects).map_err(io::Error::other)?;
        let content = self
            .pipeline
            .convert_to_git(
                file,
                native,
                &mut |_, out| {
                    attributes.matching_attributes(out);
                },
                &mut |buffer| {
                    let Some(entry) = entry else { return Ok(None) };
                    let object = gix::objs::Find::try_find(objects, &entry.id, buffer)?;
                    Ok(object.filter(|object| object.kind == gix::objs::Kind::Blob).map(|_| ()))
                },
            )
            .map_err(io::Error::other)?;
        let taken = match content {
            ToGitOutcome::Unchanged(mut file) => take(&mut file),
            ToGitOutcome::Buffer(mut buffer) => take(&mut buffer),
            ToGitOutcome::Process(mut output) => take(&mut output),
        };
        Ok((kind, taken?))
    }

    /// Walks to a path folder by folder, so that no link on the way is followed.
    fn find<'p>(&self, path: &'p BStr) -> io::Result<Found<'p>> {
        if !is_project_path(path) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (folders, name) = match path.rfind_byte(b'/') {
            Some(slash) => (Some(&path[..slash]), &path[slash + 1..]),
            None => (None, path),
        };
        let mut folder = self.root.as_fd().try_clone_to_owned()?;
        for part in folders.into_iter().flat_map(|folders| folders.split_str("/")) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = rustix::fs::openat(&folder, OsStr::from_bytes(part), flags, Mode::empty())?;
        }
        let name = OsStr::from_bytes(name);
        let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => EntryKind::Link,
            FileType::RegularFile => EntryKind::Blob,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        Ok(Found { folder, name, kind })
    }
}
