//! Writing loose objects.
//!
//! gix writes them too, but through temporary files that `git gc` never clears after a crash, and a stream's size must
//! be known before its first byte. Here the temporary files have git's own name for them.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::{Kind, WriteTo};
use gix::zlib::stream::deflate;

use super::failure;
use crate::capabilities::{Error, Result};

/// Whether an object is to be on stable storage when its writing returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Whenever the system gets to it, or [`durable`](super::durable) is asked.
    Later,
    /// Its file at once; its folder still has to be synced.
    Now,
}

/// Where the object's file is if it is loose.
pub(crate) fn path(repository: &gix::Repository, id: &gix::oid) -> PathBuf {
    let hex = id.to_hex().to_string();
    let (folder, name) = hex.split_at(2);
    folder_of_objects(repository).join(folder).join(name)
}

/// The repository's own objects, shared by its linked worktrees.
pub(crate) fn folder_of_objects(repository: &gix::Repository) -> PathBuf {
    repository.objects.store_ref().path().to_owned()
}

/// An empty temporary file beside the objects.
pub(crate) fn temporary_file(repository: &gix::Repository) -> Result<tempfile::NamedTempFile> {
    let folder = folder_of_objects(repository);
    let mut builder = tempfile::Builder::new();
    builder.prefix("tmp_obj_").rand_bytes(12);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o444));
    }
    builder.tempfile_in(&folder).map_err(|error| cannot_write(&folder, &error))
}

/// Writes an object that is small enough for memory, unless it is there.
pub(crate) fn write(repository: &gix::Repository, object: &dyn WriteTo, durability: Durability) -> Result<ObjectId> {
    let mut bytes = Vec::new();
    object.write_to(&mut bytes).map_err(|error| Error::other(&error))?;
    write_bytes(repository, object.kind(), &bytes, durability)
}

/// As [`write`], of the object's content.
pub(crate) fn write_bytes(
    repository: &gix::Repository,
    kind: Kind,
    bytes: &[u8],
    durability: Durability,
) -> Result<ObjectId> {
    let id = gix::objs::compute_hash(repository.object_hash(), kind, bytes).map_err(|error| failure(&error))?;
    write_stream(repository, kind, bytes.len() as u64, bytes, id, durability)?;
    Ok(id)
}

/// Writes an object whose id is known from `size` bytes of content, unless it is there.
pub(crate) fn write_stream(
    repository: &gix::Repository,
    kind: Kind,
    size: u64,
    mut content: impl Read,
    id: ObjectId,
    durability: Durability,
) -> Result<()> {
    let target = path(repository, &id);
    if repository.objects.exists_without_refresh(&id) {
        freshen(&target);
        return Ok(());
    }
    let file = temporary_file(repository)?;
    let written = (|| {
        let mut deflated = deflate::Write::new(file, repository.loose_compression());
        deflated.write_all(&gix::objs::encode::loose_header(kind, size))?;
        io::copy(&mut content, &mut deflated)?;
        // Ends the stream.
        deflated.flush()?;
        let file = deflated.into_inner();
        if durability == Durability::Now {
            file.as_file().sync_all()?;
        }
        if let Some(folder) = target.parent() {
            match fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        file.persist(&target).map_err(|error| error.error)?;
        Ok(())
    })();
    written.map_err(|error| cannot_write(&target, &error))
}

/// Makes an object look new to `git gc`, which removes old ones that nothing refers to yet; git does the same.
fn freshen(path: &Path) {
    if let Ok(file) = fs::File::open(path) {
        // Not ours to change, perhaps; then its owner's writing is what counts.
        let _ = file.set_modified(std::time::SystemTime::now());
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::io(format_args!("can't write the git object `{}`", path.display()), error)
}
