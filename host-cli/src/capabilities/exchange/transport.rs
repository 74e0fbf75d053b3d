//! Running git where it talks to a remote: nobody is asked for anything who can't answer, and what takes long can be seen.

use std::env;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::{Event, Observer};
use crate::capabilities::git::command;
use crate::capabilities::repository::Repository;
use crate::capabilities::{Error, Result};

/// Bytes that git may print: half a million references take a tenth.
const LONGEST_OUTPUT: usize = 512 << 20;
/// Bytes of what git says that are looked into: its end tells why it failed.
const LONGEST_ERRORS: usize = 64 << 10;

/// A call of git under construction.
pub(super) struct Transport<'o> {
    command: Command,
    action: &'static str,
    arguments: Vec<String>,
    observer: &'o Observer,
}

/// What git answered.
pub(super) struct Answer {
    pub(super) success: bool,
    pub(super) output: Vec<u8>,
    pub(super) errors: String,
}

impl<'o> Transport<'o> {
    pub(super) fn new(repository: &Repository, observer: &'o Observer, action: &'static str) -> Result<Self> {
        repository.git()?;
        let mut command = command::hardened(repository.root())?;
        // A reference must not outlive what it leads to. Where one sync does for all references, git need not do each.
        let references = if cfg!(target_os = "linux") { "" } else { ",reference" };
        command.arg("-c").arg(format!("core.fsync=loose-object,pack,pack-metadata,commit-graph{references}"));
        if !observer.attended {
            let set = |name: &str| env::var_os(name).is_some();
            let configured = || repository.setting("core.sshCommand").map(|command| command.is_some());
            if !set("GIT_SSH_COMMAND") && !set("GIT_SSH") && !configured()? {
                command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30");
            }
            // A helper that somebody set for just this stays; a window on a screen would wait for nobody.
            if !set("GIT_ASKPASS") {
                command.env("GIT_ASKPASS", "");
            }
            command.env("SSH_ASKPASS_REQUIRE", "never").env("GCM_INTERACTIVE", "never");
        }
        Ok(Self { command, action, arguments: Vec::new(), observer })
    }

    /// Overrides what the user has set for a remote of that name.
    pub(super) fn setting_of(&mut self, remote: &str, key: &str, value: &str) {
        if !remote.contains(['=', '\n', ':', '/']) {
            self.command.arg("-c").arg(format!("remote.{remote}.{key}={value}"));
        }
    }

    pub(super) fn arguments<'a>(&mut self, arguments: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.arguments.extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// Has git tell how far it is, where somebody looks.
    pub(super) fn progress(&mut self) -> &mut Self {
        let option = if self.observer.report.is_some() { "--progress" } else { "--no-progress" };
        self.arguments([option])
    }

    pub(super) fn run(&mut self, input: &[u8]) -> Result<Answer> {
        let failed = |error: io::Error| Error::io("can't run `git`", &error);
        self.command.arg(self.action).args(&self.arguments);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Reaped(self.command.spawn().map_err(failed)?);
        let (stdin, stdout, stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
        let observer = self.observer;
        let (output, errors) = thread::scope(|scope| {
            // A git that stops reading says why on its standard error.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            let output = scope.spawn(move || {
                let mut output = Vec::new();
                let most = LONGEST_OUTPUT as u64 + 1;
                let read = stdout.map_or(Ok(0), |stdout| stdout.take(most).read_to_end(&mut output));
                read.map(|_| output)
            });
            let errors = stderr.map(|stderr| listen(stderr, observer)).unwrap_or_default();
            (output.join(), errors)
        });
        let output = output.map_err(|_| Error::Other("git's answer could not be read".into()))?.map_err(failed)?;
        if output.len() > LONGEST_OUTPUT {
            return Err(Error::Other("the remote answers with more than can be kept".into()));
        }
        let status = child.0.wait().map_err(failed)?;
        Ok(Answer { success: status.success(), output, errors })
    }
}

/// A child that does not outlive the call, whatever comes of it.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Keeps the end of what git says, and passes its progress on.
fn listen(mut stream: impl Read, observer: &Observer) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    let mut replacing = false;
    let mut piece = [0; 4096];
    loop {
        let count = match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for byte in &piece[..count] {
            line.push(*byte);
            if matches!(byte, b'\n' | b'\r') || line.len() > LONGEST_ERRORS {
                let is_progress = *byte == b'\r';
                // The last state of a line that was written over is progress too, and ends it.
                if is_progress || replacing {
                    observer.tell(&Event::Git(&printable(&line)));
                }
                if !is_progress && !replacing {
                    kept.extend_from_slice(&line);
                    let over = kept.len().saturating_sub(LONGEST_ERRORS);
                    kept.drain(..over);
                }
                replacing = is_progress;
                line.clear();
            }
        }
    }
    kept.extend_from_slice(&line);
    kept.drain(..kept.len().saturating_sub(LONGEST_ERRORS));
    String::from_utf8_lossy(&kept).into_owned()
}

/// What a remote sends may hold anything: only its letters reach the terminal.
fn printable(line: &[u8]) -> String {
    let keep = |c: char| matches!(c, '\r' | '\n') || (!c.is_control() && (c.is_ascii() || c.is_alphanumeric()));
    String::from_utf8_lossy(line).chars().filter(|c| keep(*c)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn progress_is_passed_on_and_the_rest_is_kept() {
        let seen = Arc::new(Mutex::new(String::new()));
        let there = Arc::clone(&seen);
        let report = move |event: &Event<'_>| {
            if let Event::Git(text) = event {
                there.lock().unwrap().push_str(text);
            }
        };
        let observer = Observer { attended: false, report: Some(Arc::new(report)) };
        let said = "remote: hello\nWriting:  50%\rWriting: \x1b[2J100%\rWriting: 100%, done.\nerror: no\n";
        assert_eq!(listen(said.as_bytes(), &observer), "remote: hello\nerror: no\n");
        assert_eq!(*seen.lock().unwrap(), "Writing:  50%\rWriting: [2J100%\rWriting: 100%, done.\n");
        assert_eq!(listen(&vec![b'x'; 1 << 20][..], &Observer::default()).len(), 1 << 16);
    }
}
