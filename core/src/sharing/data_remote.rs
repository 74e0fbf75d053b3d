//! Where models and data go: data remotes, remembered in the repository's own configuration, which no clone gets.

use crate::error::{Failure, FailureKind, Result};
use crate::ports::{DataRemote, Ports};
use crate::{project, redact, suggest, value};

/// The setting that names the one that is used.
const USED: &str = "aurum.dataRemote";
/// Bytes of a name at most.
const LONGEST_NAME: usize = 100;

fn setting(name: &str) -> String {
    format!("aurum.remote.{name}.url")
}

/// Remembers one.
///
/// # Errors
/// `InvalidValue` for a name or a URL that can't be one, `Unsupported` for what this version does not reach, `InTheWay` where the
/// name is taken.
pub fn add(ports: &Ports, name: &str, url: &str) -> Result<()> {
    project::require(ports)?;
    check_name(name)?;
    check_url(url)?;
    if let Some(there) = ports.exchange.data_remotes()?.into_iter().find(|remote| remote.name == name) {
        if there.url == url {
            return Ok(());
        }
        let message = format!("There is a data remote `{name}` already: {}", value::excerpt(&redact::url(&there.url)));
        return Err(Failure::new(FailureKind::InTheWay, message)
            .hint(format!("Give it another name, or forget that one: `au data remote rm {}`", suggest::word(name))));
    }
    Ok(ports.repository_edit.set_local_setting(&setting(name), Some(url))?)
}

/// Those that are remembered, and which of them is used.
///
/// # Errors
/// When git's configuration can't be read.
pub fn list(ports: &Ports) -> Result<Vec<(DataRemote, bool)>> {
    project::require(ports)?;
    let remotes = ports.exchange.data_remotes()?;
    let used = used(ports, &remotes)?.map(|remote| remote.name.clone());
    Ok(remotes.iter().map(|remote| (remote.clone(), used.as_ref() == Some(&remote.name))).collect())
}

/// Forgets one.
///
/// # Errors
/// `Usage` where there is none of that name.
pub fn remove(ports: &Ports, name: &str) -> Result<()> {
    project::require(ports)?;
    let remotes = ports.exchange.data_remotes()?;
    if !remotes.iter().any(|remote| remote.name == name) {
        return Err(unknown(name, &remotes));
    }
    Ok(ports.repository_edit.set_local_setting(&setting(name), None)?)
}

/// The one that is used: what `aurum.dataRemote` names, else the first.
///
/// # Errors
/// `Usage` where that names none, and what [`add`] says of its URL.
pub(crate) fn chosen(ports: &Ports) -> Result<Option<DataRemote>> {
    let remotes = ports.exchange.data_remotes()?;
    let chosen = used(ports, &remotes)?.cloned();
    if let Some(remote) = &chosen {
        check_url(&remote.url)?;
    }
    Ok(chosen)
}

fn used<'r>(ports: &Ports, remotes: &'r [DataRemote]) -> Result<Option<&'r DataRemote>> {
    let Some(name) = ports.repository.setting(USED)? else { return Ok(remotes.first()) };
    match remotes.iter().find(|remote| remote.name == name) {
        Some(remote) => Ok(Some(remote)),
        None => Err(unknown(&name, remotes).hint(format!("`git config {USED}` names it"))),
    }
}

fn unknown(name: &str, remotes: &[DataRemote]) -> Failure {
    let failure = Failure::new(FailureKind::Usage, format!("There is no data remote `{}`", value::excerpt(name)));
    let known: Vec<&str> = remotes.iter().map(|remote| remote.name.as_str()).collect();
    match suggest::nearest(name, &known) {
        Some(near) => failure.hint(format!("Did you mean `{near}`?")),
        None if known.is_empty() => failure.hint("Add one: `au data remote add NAME URL`"),
        None => failure.hint(format!("There is {}", suggest::enumerate(&known))),
    }
}

/// Names that can stand in a key of git's configuration and on a command line.
fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let first = name.chars().next().is_some_and(char::is_alphanumeric);
    if first && name.len() <= LONGEST_NAME && name.chars().all(plain) {
        return Ok(());
    }
    let message = format!("`{}` can't be the name of a data remote", value::excerpt(name));
    Err(Failure::new(FailureKind::InvalidValue, message)
        .hint("Use letters, digits, `-`, `_` and `.`, a letter or digit first"))
}

fn check_url(url: &str) -> Result<()> {
    let shown = value::excerpt(&redact::url(url));
    let wrong = |why: &str| Failure::new(FailureKind::InvalidValue, format!("`{shown}` {why}"));
    let Some((scheme, rest)) = url.split_once("://") else {
        let path = if url.starts_with('/') { url } else { "/PATH" };
        return Err(wrong("is no address of a data remote").hint(format!("Write it so: `file://{path}`")));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "file" => {}
        "s3" | "ftp" | "ftps" => return check_server(rest, &wrong),
        _ => {
            let message = format!("`{shown}` can't be a data remote");
            return Err(Failure::new(FailureKind::Unsupported, message).hint(
                "Use a bucket, `s3://BUCKET/PREFIX`, a server of FTP, `ftp://HOST/FOLDER`, or a folder, `file:///PATH`",
            ));
        }
    }
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(wrong("names a server: a folder is written with three slashes").hint("Such as `file:///mnt/share`"));
    }
    if path.trim_matches('/').is_empty()
        || path.split('/').any(|part| part == "..")
        || path.chars().any(char::is_control)
    {
        return Err(wrong("is no folder for data").hint("Such as `file:///mnt/share`"));
    }
    Ok(())
}

/// A bucket or a server of FTP, with what lies below it.
fn check_server(rest: &str, wrong: &dyn Fn(&str) -> Failure) -> Result<()> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') {
        return Err(wrong("holds a password, which git's configuration is no place for")
            .hint("Leave it out, and have it kept where nobody else can read it: `au data login NAME`"));
    }
    let parts = path.split('/').filter(|part| !part.is_empty());
    let is_path = !rest.chars().any(char::is_control) && !parts.clone().any(|part| part == "..");
    if host.is_empty() || !is_path || rest.contains(['?', '#']) {
        return Err(wrong("is no place for data on a server")
            .hint("Such as `s3://bucket/prefix` or `ftp://example.org/folder`"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn the_first_is_used_unless_another_is_named() {
        let world = World::project();
        let ports = world.ports();
        assert_eq!(chosen(&ports).unwrap(), None);
        add(&ports, "share", "file:///mnt/share").unwrap();
        add(&ports, "share", "file:///mnt/share").unwrap();
        add(&ports, "nas", "file://localhost/nas").unwrap();
        let used = |ports: &Ports| -> Vec<String> {
            let all = list(ports).unwrap().into_iter();
            all.filter(|(_, used)| *used).map(|(remote, _)| remote.name).collect()
        };
        assert_eq!(list(&ports).unwrap().len(), 2);
        assert_eq!(used(&ports).len(), 1);
        ports.repository_edit.set_local_setting(USED, Some("share")).unwrap();
        assert_eq!(used(&ports), ["share"]);
        assert_eq!(add(&ports, "share", "file:///other").unwrap_err().kind, FailureKind::InTheWay);
        assert_eq!(remove(&ports, "shar").unwrap_err().hints, ["Did you mean `share`?"]);
        remove(&ports, "share").unwrap();
        assert_eq!(list(&ports).unwrap_err().kind, FailureKind::Usage);
    }

    #[test]
    fn only_folders_and_servers_can_be_data_remotes() {
        let ports = World::project().ports();
        for (name, url) in
            [("a", "s3://bucket"), ("b", "s3://bucket/a b"), ("c", "ftp://me@example.org/a"), ("d", "FTPS://x")]
        {
            add(&ports, name, url).unwrap();
        }
        for (url, kind) in [
            ("https://example.org/a", FailureKind::Unsupported),
            ("s3:///a", FailureKind::InvalidValue),
            ("s3://bucket/../a", FailureKind::InvalidValue),
            ("ftp://me:hush@example.org/a", FailureKind::InvalidValue),
            ("ftp://example.org/a?b", FailureKind::InvalidValue),
            ("/mnt/share", FailureKind::InvalidValue),
            ("file://server/share", FailureKind::InvalidValue),
            ("file:///", FailureKind::InvalidValue),
            ("file:///mnt/../etc", FailureKind::InvalidValue),
            ("file:///mnt/\n", FailureKind::InvalidValue),
        ] {
            assert_eq!(add(&ports, "share", url).unwrap_err().kind, kind, "{url}");
        }
        for name in ["", "-x", "a b", "a=b", "a\n", "../a"] {
            assert_eq!(add(&ports, name, "file:///mnt/share").unwrap_err().kind, FailureKind::InvalidValue, "{name}");
        }
    }
}
