//! A throw-away project in a real git repository.

use std::path::Path;
use std::process::Command;

use aurum_host::capabilities::interpreter::Interpreter;
use aurum_host::grants::Grants;
use aurum_host::{RunOptions, Tracker};
use tempfile::TempDir;

/// Removed with its folder when dropped.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    /// A git repository with an identity and a commit, made a project.
    pub(crate) fn new() -> Self {
        let project = Self::repository();
        project.tracker(Grants::local()).init().unwrap();
        project
    }

    /// A git repository with an identity and a commit.
    pub(crate) fn repository() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.git(&["config", "user.name", "Ada"]);
        project.git(&["config", "user.email", "ada@example.org"]);
        std::fs::write(project.root().join("train.py"), "print('hello')\n").unwrap();
        project.git(&["add", "train.py"]);
        project.git(&["commit", "--quiet", "--message=code"]);
        project
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn tracker(&self, grants: Grants) -> Tracker {
        Tracker::open(self.root(), grants, Interpreter::none()).unwrap()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.root())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Every file below the root, git's own included, with its content.
    pub(crate) fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let name = entry.path().strip_prefix(self.root()).unwrap().to_string_lossy().into_owned();
                    files.push((name, std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        files.sort();
        files
    }
}

/// A run of `train.py`.
pub(crate) fn options() -> RunOptions {
    RunOptions {
        name: None,
        parent: None,
        group: None,
        tags: Vec::new(),
        resume: None,
        script: Some("train.py".into()),
        arguments: vec![],
        directory: Some(String::new()),
    }
}
