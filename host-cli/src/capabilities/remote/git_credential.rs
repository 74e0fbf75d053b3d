//! What git's credential helpers know ([gitcredentials](https://git-scm.com/docs/gitcredentials)). Nobody is ever asked.

use std::path::Path;

use super::secret::{Login, Secret};
use super::{Error, Result};
use crate::capabilities::git::command::{finish, hardened};

/// For which server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'q> {
    pub(super) protocol: &'q str,
    pub(super) host: &'q str,
    /// None for the usual one.
    pub(super) port: Option<u16>,
    pub(super) user: Option<&'q str>,
}

impl Question<'_> {
    fn lines(&self) -> Result<String> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let mut lines = format!("protocol={}\nhost={host}{port}\n", self.protocol);
        if let Some(user) = self.user {
            if user.contains(['\n', '\0']) {
                return Err(Error::Other("a user's name holds a line break".to_owned()));
            }
            lines.push_str(&format!("username={user}\n"));
        }
        Ok(lines)
    }
}

/// User and password, where a helper knows both.
pub(super) fn fill(folder: &Path, question: &Question<'_>) -> Result<Option<Login>> {
    // Without a helper that knows, git would ask somebody: it is told that nobody is there, and fails.
    let Ok(told) = ask(folder, "fill", &question.lines()?) else { return Ok(None) };
    let told = String::from_utf8_lossy(&told);
    let value = |name: &str| {
        let mut lines = told.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map(|(_, value)| Secret::new(value))
    };
    let login = Login { user: value("username"), password: value("password") };
    Ok(Some(login).filter(|login| login.user.is_some() && login.password.is_some()))
}

/// Has the helpers forget what was of no use. Those that know another password keep it.
pub(super) fn reject(folder: &Path, question: &Question<'_>, login: &Login) {
    if login.user.is_none() || login.password.is_none() {
        return;
    }
    let Ok(mut lines) = question.lines() else { return };
    if question.user.is_none() {
        lines.push_str(&format!("username={}\n", login.user.as_ref().map_or("", Secret::reveal)));
    }
    lines.push_str(&format!("password={}\n", login.password.as_ref().map_or("", Secret::reveal)));
    let _ = ask(folder, "reject", &lines);
}

fn ask(folder: &Path, action: &str, lines: &str) -> Result<Vec<u8>> {
    let mut command = hardened(folder)?;
    command.args(["-c", "core.askPass=", "credential", action]);
    command.env("GIT_ASKPASS", "").env("SSH_ASKPASS", "").env("GCM_INTERACTIVE", "never");
    finish(command, "credential", lines.as_bytes())
}
