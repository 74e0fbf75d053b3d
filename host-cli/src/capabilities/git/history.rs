//! Reading files of commits, trees and the index.

use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use gix::bstr::ByteSlice;
use gix::objs::Kind;
use gix::objs::tree::EntryKind;

use super::{check_path, command, failure, index, object_id};
use crate::capabilities::repository::Location;
use crate::capabilities::{Error, Result};

/// The most that one answer holds, and the largest file.
const LIMIT: u64 = 4 << 20;
/// Far more than there are versions of anything that people add by hand.
const MOST_COMMITS: &str = "--max-count=10000";

/// The files at these places, as many from the front as fit.
pub(crate) fn read_files(repository: &gix::Repository, locations: &[Location]) -> Result<Vec<Option<Vec<u8>>>> {
    let mut files = Vec::new();
    let mut total = 0;
    for location in locations {
        check_path(&location.path)?;
        let Some((kind, id)) = find(repository, location)? else {
            files.push(None);
            continue;
        };
        if !matches!(kind, EntryKind::Blob | EntryKind::BlobExecutable) {
            files.push(None);
            continue;
        }
        let size = repository.find_header(id).map_err(|error| failure(&error))?.size();
        check_size(&location.path, size)?;
        total += size;
        if total > LIMIT && !files.is_empty() {
            break;
        }
        let mut blob = repository.find_blob(id).map_err(|error| failure(&error))?;
        files.push(Some(blob.take_data()));
    }
    Ok(files)
}

/// Writes a file, however large, and says whether there is one.
pub(crate) fn copy_file(
    repository: &gix::Repository,
    folder: &Path,
    location: &Location,
    to: &mut dyn Write,
) -> Result<bool> {
    check_path(&location.path)?;
    let Some((EntryKind::Blob | EntryKind::BlobExecutable, id)) = find(repository, location)? else { return Ok(false) };
    if repository.find_header(id).map_err(|error| failure(&error))?.size() > LIMIT {
        // gix would hold the whole of it.
        command::copy_answer(folder, &["cat-file", "blob", &id.to_string()], to)?;
    } else {
        let blob = repository.find_blob(id).map_err(|error| failure(&error))?;
        to.write_all(&blob.data).map_err(|error| Error::io("writing what was asked for", &error))?;
    }
    Ok(true)
}

/// A file of a commit or tree, read a piece at a time. A large one lies in a temporary file without a name meanwhile: gix would hold the whole
/// of it, and a process of git would outlive whoever does not read on.
pub struct FileReader(Box<dyn Read + Send>);

impl FileReader {
    /// None where there is no such file.
    pub(crate) fn open(repository: &gix::Repository, folder: &Path, location: &Location) -> Result<Option<Self>> {
        check_path(&location.path)?;
        let Some((EntryKind::Blob | EntryKind::BlobExecutable, id)) = find(repository, location)? else {
            return Ok(None);
        };
        if repository.find_header(id).map_err(|error| failure(&error))?.size() <= LIMIT {
            let mut blob = repository.find_blob(id).map_err(|error| failure(&error))?;
            return Ok(Some(Self(Box::new(Cursor::new(blob.take_data())))));
        }
        let failed = |error: std::io::Error| Error::io("keeping a file of git for a moment", &error);
        let mut file = tempfile::tempfile_in(repository.common_dir()).map_err(failed)?;
        command::copy_answer(folder, &["cat-file", "blob", &id.to_string()], &mut file)?;
        file.rewind().map_err(failed)?;
        Ok(Some(Self(Box::new(file))))
    }

    /// The next bytes; none at the end.
    pub fn next_piece(&mut self) -> Result<Vec<u8>> {
        const PIECE: u64 = 1 << 20;
        let mut piece = Vec::new();
        let read = (&mut self.0).take(PIECE).read_to_end(&mut piece);
        read.map(|_| piece).map_err(|error| Error::io("reading a file of git", &error))
    }
}

/// The names directly within a folder.
pub(crate) fn list_folder(repository: &gix::Repository, location: &Location) -> Result<Vec<String>> {
    let folder = if location.path.is_empty() {
        root(repository, &location.root)?
    } else {
        check_path(&location.path)?;
        match find(repository, location)? {
            Some((EntryKind::Tree, id)) => Some(repository.find_tree(id).map_err(|error| failure(&error))?),
            _ => None,
        }
    };
    let Some(folder) = folder else { return Ok(Vec::new()) };
    folder
        .iter()
        .map(|entry| Ok(entry.map_err(|error| failure(&error))?.filename().to_str_lossy().into_owned()))
        .collect()
}

/// The commits that changed a file, in all that is no experiment: newest first, each with its time in seconds.
pub(crate) fn file_commits(folder: &Path, path: &str) -> Result<Vec<(String, i64)>> {
    check_path(path)?;
    let arguments = [
        "--literal-pathspecs",
        "rev-list",
        "--full-history",
        "--no-commit-header",
        "--format=%H %ct",
        MOST_COMMITS,
        "--exclude=refs/tags/au/*",
        "--exclude=refs/aurum/*",
        "--exclude=refs/notes/*",
        "--all",
        "--",
        path,
    ];
    let listed = command::git(folder, &arguments, b"")?;
    let commit = |line: &str| {
        let (commit, seconds) = line.split_once(' ')?;
        Some((commit.to_owned(), seconds.parse().ok()?))
    };
    Ok(String::from_utf8_lossy(&listed).lines().filter_map(commit).collect())
}

/// A file as it is staged.
pub(crate) fn read_staged(repository: &gix::Repository, path: &str) -> Result<Option<Vec<u8>>> {
    check_path(path)?;
    let index = index::read(repository)?;
    let Some(entry) = index.entry_by_path(path.into()) else { return Ok(None) };
    let unwritten = gix::index::entry::Flags::INTENT_TO_ADD;
    if entry.mode == gix::index::entry::Mode::COMMIT || entry.flags.contains(unwritten) {
        return Ok(None);
    }
    let size = repository.find_header(entry.id).map_err(|error| failure(&error))?.size();
    check_size(path, size)?;
    Ok(Some(repository.find_blob(entry.id).map_err(|error| failure(&error))?.take_data()))
}

fn check_size(path: &str, size: u64) -> Result<()> {
    if size <= LIMIT { Ok(()) } else { Err(Error::Other(format!("`{path}` is larger than 4 MiB: {size} bytes"))) }
}

/// What a location names, and what kind of thing it is; none when there is none.
pub(crate) fn find(repository: &gix::Repository, location: &Location) -> Result<Option<(EntryKind, gix::ObjectId)>> {
    let Some(root) = root(repository, &location.root)? else { return Ok(None) };
    let entry = root.lookup_entry(location.path.split('/')).map_err(|error| failure(&error))?;
    Ok(entry.map(|entry| (entry.mode().kind(), entry.object_id())))
}

/// The tree to look in; none when the object is not there, as a tag's in a shallow clone, or holds no files.
pub(crate) fn root<'r>(repository: &'r gix::Repository, id: &str) -> Result<Option<gix::Tree<'r>>> {
    let id = object_id(repository, id)?;
    let Some(object) = repository.try_find_object(id).map_err(|error| failure(&error))? else { return Ok(None) };
    if !matches!(object.kind, Kind::Commit | Kind::Tree | Kind::Tag) {
        return Ok(None);
    }
    match object.peel_to_tree() {
        Ok(tree) => Ok(Some(tree)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::capabilities::git::testing::Sample;

    #[test]
    fn the_commits_of_a_file_are_those_of_all_branches_and_of_no_experiment() {
        let sample = Sample::with(&[("d/[a]", "first"), ("d/a", "other")]);
        let first = sample.git(&["rev-parse", "HEAD"]);
        sample.write("d/[a]", "side");
        sample.git(&["switch", "-qc", "side"]);
        sample.git(&["commit", "-qam", "side"]);
        let side = sample.git(&["rev-parse", "HEAD"]);
        sample.git(&["switch", "-q", "main"]);
        sample.write("d/a", "unrelated");
        sample.git(&["commit", "-qam", "unrelated"]);
        sample.write("d/[a]", "experiment");
        sample.git(&["add", "--all"]);
        let tree = sample.git(&["write-tree"]);
        let experiment = sample.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "x"]);
        sample.git(&["update-ref", "refs/tags/au/1", &experiment]);
        let mut commits: Vec<_> = file_commits(&sample.root(), "d/[a]").unwrap();
        commits.sort();
        let mut expected = [first, side];
        expected.sort();
        assert_eq!(commits.iter().map(|(commit, _)| commit.clone()).collect::<Vec<_>>(), expected);
        assert!(commits.iter().all(|(_, seconds)| *seconds > 0));
        assert!(file_commits(&sample.root(), "nothing").unwrap().is_empty());
        assert!(file_commits(&sample.root(), "../x").is_err());
        assert!(file_commits(&Sample::empty().root(), "d/a").unwrap().is_empty());
    }
}
