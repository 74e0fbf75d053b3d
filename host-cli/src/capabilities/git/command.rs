//! Running the `git` program, where its own behaviour is the point.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::capabilities::programs::find;
use crate::capabilities::{Error, Result};

/// Variables that tie git to another repository, as they are set in a hook. Those that carry settings stay.
pub(crate) const LOCAL_VARIABLES: [&str; 13] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// What a pipe holds, whatever the system.
const PIPE: usize = 4 << 10;

/// Runs git in `folder` with `input` on its standard input, without hooks, prompts or a file system monitor, and answers
/// what it prints.
pub(crate) fn git(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let action = arguments.iter().find(|word| !word.starts_with('-') && !word.contains('=')).unwrap_or(&"");
    finish(prepare(folder, arguments)?, action, input)
}

/// Runs what was prepared, and answers what it prints.
pub(crate) fn finish(command: Command, action: &str, input: &[u8]) -> Result<Vec<u8>> {
    let output = execute(command, input)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Other(format!("`git {action}` failed: {}", words.trim())));
    }
    Ok(output.stdout)
}

/// Runs git in `folder`, and writes what it prints as it comes.
pub(crate) fn copy_answer(folder: &Path, arguments: &[&str], to: &mut dyn Write) -> Result<()> {
    let action = arguments.first().unwrap_or(&"");
    let failed = |error| Error::io("can't run `git`", &error);
    let mut command = prepare(folder, arguments)?;
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let copied = child.stdout.take().map_or(Ok(0), |mut answer| std::io::copy(&mut answer, to));
    // With its pipe closed, a git that still writes ends. What it says on its standard error fits a pipe.
    let output = child.wait_with_output().map_err(failed)?;
    copied.map_err(|error| Error::io("writing what was asked for", &error))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Other(format!("`git {action}` failed: {}", words.trim())));
    }
    Ok(())
}

/// As [`git`], with whatever git answers, and how it ended.
pub(crate) fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Output> {
    execute(prepare(folder, arguments)?, input)
}

fn execute(mut command: Command, input: &[u8]) -> Result<Output> {
    let failed = |error| Error::io("can't run `git`", &error);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    // A git that stops reading says why on its standard error, which tells more than the broken pipe.
    let stdin = child.stdin.take();
    let write = move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input));
    let (written, output) = if input.len() <= PIPE {
        let written = write();
        (written, child.wait_with_output())
    } else {
        // It may answer more than a pipe holds before it has read all.
        std::thread::scope(|scope| {
            let writer = scope.spawn(write);
            let output = child.wait_with_output();
            (writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), output)
        })
    };
    let output = output.map_err(failed)?;
    if output.status.success() {
        written.map_err(failed)?;
    }
    Ok(output)
}

/// Git itself does not wait for another git that holds a lock, as its words then say: this does, for a while.
pub(crate) fn patiently<T>(refusal: &str, mut act: impl FnMut() -> Result<T>) -> Result<T> {
    /// A lock left behind by a crash is the user's to remove, as with git.
    const PATIENCE: Duration = Duration::from_secs(5);
    let start = Instant::now();
    loop {
        match act() {
            Err(Error::Other(words)) if words.contains(refusal) && start.elapsed() <= PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// Starts git, and waits for nothing of it. Whether it can be started does not matter.
#[cfg(feature = "cli")]
pub(crate) fn start(folder: &Path, arguments: &[&str]) {
    let Ok(mut command) = prepare(folder, arguments) else { return };
    // Ctrl-C is meant for who started it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

fn prepare(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = hardened(folder)?;
    command.args(arguments);
    Ok(command)
}

/// Git in `folder`, without hooks, prompts, a file system monitor, or programs that an address could name.
pub(crate) fn hardened(folder: &Path) -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never"])
        .current_dir(folder)
        .env("GIT_TERMINAL_PROMPT", "0")
        // Messages are looked into.
        .env("LC_ALL", "C")
        // gix can't read the other one.
        .env("GIT_DEFAULT_REF_FORMAT", "files");
    for name in LOCAL_VARIABLES {
        command.env_remove(name);
    }
    Ok(command)
}

/// The program by its absolute path, so that nothing in the project can stand in for it.
fn program() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    find(&path, "git").ok_or_else(|| Error::Other("the program `git` is not on the PATH".into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn errors_carry_the_words_of_git() {
        let folder = tempfile::tempdir().unwrap();
        let error = git(folder.path(), &["no-such-command"], b"").unwrap_err();
        assert!(error.to_string().contains("no-such-command' is not a git command"), "{error}");
    }
}
