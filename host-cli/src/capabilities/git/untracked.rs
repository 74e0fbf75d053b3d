//! The walk for files that git neither tracks nor ignores.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::bstr::{BStr, BString, ByteVec};
use gix::dir::EntryRef;
use gix::dir::entry::{Kind, Status};
use gix::dir::walk::{Action, Delegate, EmissionMode, ForDeletionMode};
use gix::worktree::stack::state::ignore::Source;

use super::failure;
use crate::capabilities::Result;

/// What the walk came upon.
pub(crate) enum Untracked {
    /// A file or a link.
    File(BString),
    /// A folder left unlisted; its path ends in `/`.
    Folder(BString),
    /// A repository within.
    Repository(BString),
}

/// Lists what is untracked, in no order. Folders that hold one of `markers`, or are named by a marker that ends in
/// `/`, are not looked into; nor are those that can't be read.
pub(crate) fn walk(
    repository: &gix::Repository,
    index: &gix::index::State,
    root: &Path,
    markers: &[String],
) -> Result<Vec<Untracked>> {
    let walk = || -> gix::Result<_> {
        let excludes = repository.excludes(index, None, Source::WorktreeThenIdMappingIfNotSkipped)?;
        let mut walk = Walk { repository, root, markers, excludes: excludes.detach(), found: Vec::new() };
        let options = repository
            .dirwalk_options()?
            .emit_untracked(EmissionMode::Matching)
            .emit_ignored(None)
            // Or else a walk begun in a folder of the project is confined to that.
            .empty_patterns_match_prefix(false);
        repository.dirwalk(index, None::<&BStr>, &AtomicBool::new(false), options, &mut walk)?;
        Ok(walk.found)
    };
    walk().map_err(|error| failure(&error))
}

struct Walk<'a> {
    repository: &'a gix::Repository,
    root: &'a Path,
    markers: &'a [String],
    excludes: gix::worktree::Stack,
    found: Vec<Untracked>,
}

impl Delegate for Walk<'_> {
    fn emit(&mut self, entry: EntryRef<'_>, _: Option<Status>) -> Action {
        if entry.status == Status::Untracked {
            let mut path = entry.rela_path.into_owned();
            match entry.disk_kind {
                Some(Kind::File | Kind::Symlink) => self.found.push(Untracked::File(path)),
                Some(Kind::Repository) => self.found.push(Untracked::Repository(path)),
                Some(Kind::Directory) => {
                    path.push_byte(b'/');
                    self.found.push(Untracked::Folder(path));
                }
                // Pipes and the like: git has no place for them.
                Some(Kind::Untrackable) | None => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn can_recurse(
        &mut self,
        entry: EntryRef<'_>,
        deletion: Option<ForDeletionMode>,
        root_is_repository: bool,
    ) -> bool {
        if !entry.status.can_recurse(entry.disk_kind, entry.pathspec_match, deletion, root_is_repository) {
            return false;
        }
        if entry.rela_path.is_empty() {
            return true;
        }
        let Ok(relative) = gix::path::from_bstr(&*entry.rela_path) else { return false };
        let path = self.root.join(&relative);
        // The walk gives up altogether at a folder that it can't read; git passes over it.
        if fs::read_dir(&path).is_err() {
            return false;
        }
        entry.status != Status::Untracked || !self.is_marked(&path, &relative)
    }
}

impl Walk<'_> {
    fn is_marked(&mut self, path: &Path, relative: &Path) -> bool {
        let markers = self.markers;
        markers.iter().any(|marker| match marker.strip_suffix('/') {
            Some(name) => path.file_name().is_some_and(|own| own == name),
            None => path.join(marker).symlink_metadata().is_ok() && !self.is_ignored(relative.join(marker)),
        })
    }

    /// A folder that ignores all of its own content, as Python's environments do, is to be walked: to no result.
    fn is_ignored(&mut self, relative: PathBuf) -> bool {
        self.excludes
            .at_path(relative, Some(gix::index::entry::Mode::FILE), &self.repository.objects)
            .is_ok_and(|platform| platform.is_excluded())
    }
}
