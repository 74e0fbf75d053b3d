//! The logs of where HEAD and branches were.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};

use super::open;
use crate::capabilities::sharing::create_dir_all;
use crate::capabilities::{Error, Result};

/// Adds to the logs that git keeps of HEAD and of branches.
pub(crate) fn add(
    repository: &gix::Repository,
    name: &BString,
    branch: Option<&BString>,
    old: Option<ObjectId>,
    new: ObjectId,
) -> Result<()> {
    let mut logs = Vec::new();
    if name.starts_with(b"refs/heads/") {
        logs.push(repository.common_dir().join("logs").join(gix::path::from_bstr(name.as_bstr()).unwrap_or_default()));
    }
    if branch == Some(name) || name == "HEAD" {
        logs.push(repository.git_dir().join("logs/HEAD"));
    }
    if logs.is_empty() {
        return Ok(());
    }
    let old = old.unwrap_or_else(|| ObjectId::null(new.kind()));
    let summary =
        repository.find_commit(new).ok().and_then(|commit| Some(commit.message().ok()?.summary().into_owned()));
    let who = open::identity(repository);
    let (name, email) = who.unwrap_or_else(|| ("Aurum".into(), "aurum@localhost".into()));
    let time = gix::date::Time::now_local_or_utc();
    let time = time.format_or_unix(gix::date::time::Format::Raw);
    let line = format!("{old} {new} {name} <{email}> {time}\taurum: {}\n", summary.unwrap_or_default());
    let create = repository.refs.write_reflog != gix::refs::store::WriteReflog::Disable;
    for path in logs {
        append(&path, &line, create)
            .map_err(|error| Error::io(format_args!("can't write `{}`", path.display()), &error))?;
    }
    Ok(())
}

fn append(path: &Path, line: &str, create: bool) -> io::Result<()> {
    if create && let Some(folder) = path.parent() {
        create_dir_all(folder)?;
    }
    match File::options().append(true).create(create).open(path) {
        Ok(mut file) => file.write_all(line.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !create => Ok(()),
        Err(error) => Err(error),
    }
}
