//! Real repositories for the tests of this module and its neighbours.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::capabilities::repository::{ChangeKind, Repository};

/// A repository in a temporary folder.
pub(crate) struct Sample {
    pub(crate) folder: tempfile::TempDir,
}

impl Sample {
    /// Freshly made, without a commit.
    pub(crate) fn empty() -> Self {
        let sample = Self { folder: tempfile::tempdir().unwrap() };
        sample.git(&["init", "-q", "-b", "main"]);
        sample
    }

    /// With one commit of these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let sample = Self::empty();
        for (path, content) in files {
            sample.write(path, content);
        }
        sample.git(&["add", "-A"]);
        sample.git(&["commit", "-q", "-m", "first"]);
        sample
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub(crate) fn open(&self) -> Repository {
        Repository::new(&self.root())
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.root().join(path)).unwrap();
    }

    /// Runs git, hermetically, and answers its output.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.root(), arguments)
    }

    /// The changes as `(path, kind)`.
    pub(crate) fn changes(&self, markers: &[&str]) -> Vec<(String, ChangeKind)> {
        let markers: Vec<String> = markers.iter().map(|marker| (*marker).to_owned()).collect();
        let changes = self.open().changes(&markers).unwrap();
        changes.page(0, u32::MAX).iter().map(|change| (change.path.clone(), change.kind)).collect()
    }
}

/// As [`Sample::git`], in another folder.
pub(crate) fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    for name in super::command::LOCAL_VARIABLES {
        command.env_remove(name);
    }
    let output = command
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
