//! Where a package comes from that was not installed from an index: what its installer says of it
//! ([PyPA: direct URLs](https://packaging.python.org/en/latest/specifications/direct-url/)), and what git knows of its folder.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::git::source;
use super::percent::decode;

/// How a package was installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// From a commit of a repository.
    Repository,
    /// From an archive at an address.
    Archive,
    /// From a folder of this computer, of which it is a copy.
    #[default]
    Folder,
    /// A folder of this computer is itself what is imported.
    Editable,
}

/// Where a package comes from, as it stands there: addresses may still hold secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// How it was installed.
    pub kind: Kind,
    /// Of a folder, where its repository is fetched from.
    pub url: Option<String>,
    /// `git`, `hg`, `svn` or `bzr`.
    pub system: Option<String>,
    /// What was installed, or is checked out in its folder.
    pub commit: Option<String>,
    /// Of a folder.
    pub branch: Option<String>,
    /// Of a folder, whether its tracked files are other than in the commit.
    pub dirty: Option<bool>,
    /// Where in the repository or archive.
    pub subdirectory: Option<String>,
    /// `sha256=…` and the like.
    pub hashes: Vec<String>,
    /// Whether it is the project itself.
    pub own: bool,
}

#[derive(Deserialize)]
struct DirectUrl {
    url: String,
    subdirectory: Option<String>,
    vcs_info: Option<VcsInfo>,
    archive_info: Option<ArchiveInfo>,
    dir_info: Option<DirInfo>,
}

#[derive(Deserialize)]
struct VcsInfo {
    vcs: String,
    commit_id: String,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    hash: Option<String>,
    #[serde(default)]
    hashes: HashMap<String, String>,
}

#[derive(Deserialize)]
struct DirInfo {
    #[serde(default)]
    editable: bool,
}

/// Finds out, and looks at each repository once.
pub(crate) struct Origins<'a> {
    /// The project's root, links resolved.
    project: &'a Path,
    states: HashMap<PathBuf, Option<source::State>>,
}

impl<'a> Origins<'a> {
    pub(crate) fn new(project: &'a Path) -> Self {
        Self { project, states: HashMap::new() }
    }

    /// Of the package that this folder describes; none of one from an index.
    pub(crate) fn of(&mut self, dist_info: &Path) -> Option<Origin> {
        let text = fs::read(dist_info.join("direct_url.json")).ok()?;
        let DirectUrl { url, subdirectory, vcs_info, archive_info, dir_info } = serde_json::from_slice(&text).ok()?;
        if let Some(VcsInfo { vcs, commit_id }) = vcs_info {
            let (system, commit) = (Some(vcs), Some(commit_id));
            return Some(Origin {
                kind: Kind::Repository,
                url: Some(url),
                system,
                commit,
                subdirectory,
                ..Origin::default()
            });
        }
        if let Some(ArchiveInfo { hash, hashes }) = archive_info {
            let mut hashes: Vec<_> = hashes.into_iter().map(|(name, digest)| format!("{name}={digest}")).collect();
            hashes.sort();
            if hashes.is_empty() {
                hashes.extend(hash);
            }
            return Some(Origin { kind: Kind::Archive, url: Some(url), subdirectory, hashes, ..Origin::default() });
        }
        let kind = if dir_info?.editable { Kind::Editable } else { Kind::Folder };
        Some(self.of_folder(&local(&url)?, kind))
    }

    /// Of a package whose folder is itself on the search path.
    pub(crate) fn of_folder(&mut self, folder: &Path, kind: Kind) -> Origin {
        let mut origin = Origin { kind, ..Origin::default() };
        let Some(top) = source::top(folder) else { return origin };
        if top == self.project {
            // The experiment has it as it stood.
            return Origin { own: true, ..origin };
        }
        let state = self.states.entry(top.clone()).or_insert_with(|| source::state(&top, folder));
        if let Some(state) = state {
            let state = state.clone();
            let below = folder.canonicalize().ok();
            let below = below.as_deref().and_then(|below| below.strip_prefix(&top).ok());
            origin.url = state.remote;
            origin.system = Some("git".to_owned());
            origin.commit = state.commit;
            origin.branch = state.branch;
            origin.dirty = state.dirty;
            origin.subdirectory =
                below.map(|below| below.to_string_lossy().into_owned()).filter(|below| !below.is_empty());
        }
        origin
    }
}

/// The path of a `file://` address.
fn local(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("file://")?;
    // Between `//` and the path a host may stand: this one, if there is one at all.
    Some(OsString::from_vec(decode(&rest[rest.find('/')?..])).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::capabilities::git::testing::Sample;

    fn of(json: &str) -> Option<Origin> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("direct_url.json"), json).unwrap();
        Origins::new(Path::new("/nowhere")).of(folder.path())
    }

    #[test]
    fn what_installers_say_is_understood() {
        let origin = of(
            r#"{"url": "https://example.org/x.git", "subdirectory": "py", "vcs_info": {"vcs": "git", "requested_revision": "v1", "commit_id": "abc"}}"#,
        );
        let origin = origin.unwrap();
        assert_eq!(
            (origin.kind, origin.system.as_deref(), origin.commit.as_deref()),
            (Kind::Repository, Some("git"), Some("abc"))
        );
        assert_eq!(origin.subdirectory.as_deref(), Some("py"));
        let origin = of(
            r#"{"url": "https://example.org/x.whl", "archive_info": {"hash": "sha256=12", "hashes": {"sha256": "12"}}}"#,
        );
        assert_eq!(origin.unwrap().hashes, ["sha256=12"]);
        let origin = of(r#"{"url": "https://example.org/x.whl", "archive_info": {"hash": "sha256=12"}}"#);
        assert_eq!(origin.unwrap().hashes, ["sha256=12"]);
        assert_eq!(of(r#"{"url": "file:///nowhere", "dir_info": {}}"#).unwrap().kind, Kind::Folder);
        for broken in
            ["", "{}", "[1]", r#"{"url": 1}"#, r#"{"url": "x", "vcs_info": {}}"#, r#"{"url": "x", "dir_info": {}}"#]
        {
            assert_eq!(of(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_folder_is_told_by_its_repository_and_the_project_by_itself() {
        let sample = Sample::with(&[("lib/pyproject.toml", "1")]);
        sample.git(&["remote", "add", "origin", "git@example.org:x.git"]);
        let folder = sample.root().join("lib");
        let root = sample.root().canonicalize().unwrap();
        let json = format!(r#"{{"url": "file://{}", "dir_info": {{"editable": true}}}}"#, folder.display());
        let origin = of(&json).unwrap();
        assert_eq!((origin.kind, origin.dirty, origin.own), (Kind::Editable, Some(false), false));
        assert_eq!(
            (origin.url.as_deref(), origin.subdirectory.as_deref()),
            (Some("git@example.org:x.git"), Some("lib"))
        );
        let origin = Origins::new(&root).of_folder(&folder, Kind::Editable);
        assert_eq!((origin.own, origin.commit), (true, None));
    }

    #[test]
    fn paths_are_read_from_addresses() {
        for (url, path) in [("file:///a%20b/c", "/a b/c"), ("file://localhost/a", "/a"), ("file:///a%2", "/a%2")] {
            assert_eq!(local(url), Some(PathBuf::from(path)), "{url}");
        }
        assert_eq!(local("https://example.org/a"), None);
    }
}
