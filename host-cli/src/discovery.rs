//! Finding the project that a folder belongs to.

use std::path::{Path, PathBuf};

use crate::capabilities::git::command;
use crate::{Failure, FailureKind};

/// What makes a folder a project.
const CONFIG: &str = ".au/config";

/// The project that a folder belongs to: the nearest folder, from there upwards, that holds `.au/config`.
pub fn discover(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(CONFIG).is_file()).map(Path::to_owned)
}

/// Why [`discover`] finds nothing in a repository that has a project all the same: it is not checked out. None where there is
/// none, or where git can't be asked.
pub fn not_checked_out(start: &Path) -> Option<Failure> {
    let git = |arguments: &[&str]| {
        let answer = command::run(start, arguments, b"").ok().filter(|answer| answer.status.success())?;
        Some(String::from_utf8_lossy(&answer.stdout).trim_end_matches('\n').to_owned())
    };
    if git(&["rev-parse", "--is-inside-work-tree"])? != "true" {
        return None;
    }
    let prefix = git(&["rev-parse", "--show-prefix"])?;
    let mut above = Path::new(&prefix).ancestors().map(|folder| folder.join(CONFIG));
    let committed = above.find(|config| git(&["cat-file", "-e", &format!("HEAD:{}", config.display())]).is_some());
    let Some(config) = committed else {
        // Experiments have their tags, whatever is checked out.
        git(&["for-each-ref", "--count=1", "refs/tags/au/"]).filter(|tags| !tags.is_empty())?;
        let message = "What is checked out here has no Aurum project, though its repository has experiments";
        return Some(failure(message, "Go to a branch that has the file `.au/config`: `git switch BRANCH`".to_owned()));
    };
    if git(&["config", "--type=bool", "core.sparseCheckout"]).is_some_and(|sparse| sparse == "true") {
        let folder = config.parent().unwrap_or(&config).display();
        let message = "The sparse checkout leaves out the folder `.au`, which makes this an Aurum project";
        return Some(failure(message, format!("Bring it in: `git sparse-checkout add {folder}`")));
    }
    let message = "The file `.au/config`, which makes this an Aurum project, is missing";
    Some(failure(message, "Bring it back: `git restore :/.au/config`".replace(CONFIG, &config.to_string_lossy())))
}

fn failure(message: &str, hint: String) -> Failure {
    Failure::new(FailureKind::NotAProject, message, hint)
}
