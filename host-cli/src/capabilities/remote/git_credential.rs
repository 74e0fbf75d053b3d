//! What git's credential helpers know ([gitcredentials](https://git-scm.com/docs/gitcredentials)). Nobody is ever asked.
//!
//! What no helper keeps, `git credential-store` does, in a file of Aurum's own, which is asked first.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

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
    /// What of it, where that has an owner of its own.
    pub(super) path: Option<&'q str>,
    pub(super) user: Option<&'q str>,
    /// Whether helpers are asked beside the file. Some of them answer whatever server is meant.
    pub(super) helpers: bool,
}

/// Who keeps a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// A helper that the user has set up for git.
    Helper,
    /// This file, which nobody else may read.
    File(PathBuf),
}

impl Question<'_> {
    fn lines(&self) -> Result<String> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let mut lines = format!("protocol={}\nhost={host}{port}\n", self.protocol);
        for (name, value) in [("path", self.path), ("username", self.user)] {
            if let Some(value) = value {
                lines.push_str(&line(name, value)?);
            }
        }
        Ok(lines)
    }
}

fn line(name: &str, value: &str) -> Result<String> {
    if value.contains(['\n', '\r', '\0']) {
        return Err(Error::Other(format!("a {name} holds a line break")));
    }
    Ok(format!("{name}={value}\n"))
}

/// How many logins of one server are forgotten: helpers that make one up for each question have no end of them.
const MOST: usize = 8;

/// User and password, where both are known.
pub(super) fn fill(folder: &Path, question: &Question<'_>) -> Result<Option<Login>> {
    if let Some(file) = file().filter(|file| file.exists())
        && let Some(login) = fill_from(folder, question, &alone(&file))?
    {
        return Ok(Some(login));
    }
    if question.helpers { fill_from(folder, question, &[]) } else { Ok(None) }
}

fn fill_from(folder: &Path, question: &Question<'_>, helpers: &[OsString]) -> Result<Option<Login>> {
    // Without a helper that knows, git would ask somebody: it is told that nobody is there, and fails.
    let Ok(told) = ask(folder, "fill", &question.lines()?, helpers) else { return Ok(None) };
    let told = String::from_utf8_lossy(&told);
    let value = |name: &str| {
        let mut lines = told.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map(|(_, value)| Secret::new(value))
    };
    let login = Login { user: value("username"), password: value("password") };
    Ok(Some(login).filter(|login| login.user.is_some() && login.password.is_some()))
}

/// Has the user's helpers keep a login, and where they don't, or answer with another one first, the file.
pub(super) fn keep(folder: &Path, question: &Question<'_>, login: &Login) -> Result<Keeper> {
    let lines = described(question, login)?;
    let is_found = |helpers: &[OsString]| Ok::<_, Error>(fill_from(folder, question, helpers)?.as_ref() == Some(login));
    let own = file();
    if question.helpers {
        ask(folder, "approve", &lines, &[])?;
        if is_found(&[])? {
            // It would be asked first.
            if let Some(file) = own.filter(|file| file.exists()) {
                forget_from(folder, question, &alone(&file))?;
            }
            return Ok(Keeper::Helper);
        }
    }
    let file = own.ok_or_else(|| {
        Error::Other("there is no place for it: neither `XDG_CONFIG_HOME` nor `HOME` names a folder".to_owned())
    })?;
    if let Some(folder) = file.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Error::io(format_args!("making `{}`", folder.display()), &error))?;
    }
    let alone = alone(&file);
    ask(folder, "approve", &lines, &alone)?;
    if is_found(&alone)? {
        return Ok(Keeper::File(file));
    }
    Err(Error::Other(format!("`{}` can't be written", file.display())))
}

/// Has all that is known of a server forgotten; false where nothing was.
///
/// # Errors
/// When a helper goes on to answer. What the file had is forgotten all the same.
pub(super) fn forget(folder: &Path, question: &Question<'_>) -> Result<bool> {
    let file = file().filter(|file| file.exists());
    let of_file = file.map_or(Ok(false), |file| forget_from(folder, question, &alone(&file)))?;
    Ok(question.helpers && forget_from(folder, question, &[])? || of_file)
}

fn forget_from(folder: &Path, question: &Question<'_>, helpers: &[OsString]) -> Result<bool> {
    // They tell of one at a time.
    for known in 0..MOST {
        let Some(login) = fill_from(folder, question, helpers)? else { return Ok(known > 0) };
        ask(folder, "reject", &described(question, &login)?, helpers)?;
    }
    let host = question.host;
    Err(Error::Other(format!(
        "a credential helper of git's goes on to answer for `{host}`, whatever it is told to forget"
    )))
}

/// A login and what it is for.
fn described(question: &Question<'_>, login: &Login) -> Result<String> {
    let mut lines = Question { user: None, ..*question }.lines()?;
    for (name, value) in [("username", &login.user), ("password", &login.password)] {
        lines.push_str(&line(name, value.as_ref().map_or("", Secret::reveal))?);
    }
    Ok(lines)
}

/// The file of Aurum's own.
fn file() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let settings = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(settings.join("aurum").join("credentials"))
}

/// The file and no other helper. Git has a shell read what stands there.
fn alone(file: &Path) -> Vec<OsString> {
    let mut setting = OsString::from("credential.helper=store --file='");
    setting.push(file.to_string_lossy().replace('\'', "'\\''"));
    setting.push("'");
    vec!["-c".into(), "credential.helper=".into(), "-c".into(), setting]
}

fn ask(folder: &Path, action: &str, lines: &str, helpers: &[OsString]) -> Result<Vec<u8>> {
    let mut command = hardened(folder)?;
    command.args(["-c", "core.askPass="]).args(helpers).args(["credential", action]);
    command.env("GIT_ASKPASS", "").env("SSH_ASKPASS", "").env("GCM_INTERACTIVE", "never");
    finish(command, "credential", lines.as_bytes())
}
