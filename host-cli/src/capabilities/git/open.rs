//! Finding and opening the repository that the project's folder is the root of.

use std::env;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;
use gix::discover::repository::Path as Found;

use super::{command, failure};
use crate::capabilities::{Error, Result};

/// What there is at or above a folder.
pub(crate) enum Place {
    /// No repository.
    Nothing,
    /// The folder is the root of a working tree, or of a repository that may turn out to be bare.
    Here,
    /// The root of the working tree above.
    Above(PathBuf),
}

/// Looks for a repository, upwards from `root`.
///
/// The environment has no say: a script run from a git hook has a `GIT_DIR` that may be another repository's.
pub(crate) fn locate(root: &Path) -> Result<Place> {
    // gix asks for it, and takes its absence for that of the repository.
    env::current_dir().map_err(|error| Error::io("the folder in which the process works is gone", &error))?;
    let root = canonical(root)?;
    let found = match gix::discover::upwards(&root) {
        Ok((found, _trust)) => found,
        Err(error) if is_absent(&error) => return Ok(Place::Nothing),
        Err(error) => return Err(failure(&error)),
    };
    let top = match found {
        Found::LinkedWorkTree { work_dir, .. } | Found::WorkTree(work_dir) => work_dir,
        Found::Repository(_) => return Ok(Place::Here),
    };
    let top = canonical(&top)?;
    Ok(if top == root { Place::Here } else { Place::Above(top) })
}

fn is_absent(error: &gix::Error) -> bool {
    use gix::discover::upwards::Error as Upwards;
    matches!(
        error.downcast_any_ref::<Upwards>(),
        Some(Upwards::NoGitRepository { .. } | Upwards::NoGitRepositoryWithinCeiling { .. })
    ) || error.is_not_found()
}

/// Opens the repository whose working tree is rooted at `root`, or which is itself there and bare.
pub(crate) fn open(root: &Path) -> Result<gix::Repository> {
    let root = canonical(root)?;
    let repository: gix::Repository = match options().open(&root) {
        Ok(repository) => repository.into(),
        // Where it is instead is looked for only now: it costs as much as opening.
        Err(error) => return Err(elsewhere(&root)?.unwrap_or_else(|| refused(&root, &error))),
    };
    refuse_reftable(&repository)?;

    if let Some(top) = repository.workdir() {
        let top = canonical(top)?;
        if top != root {
            return Err(Error::Other(format!(
                "the repository at `{}` has its working tree elsewhere, at `{}`",
                root.display(),
                top.display()
            )));
        }
    }
    Ok(repository)
}

/// Git's own choices, save for what the environment of a git hook says: where the repository, its working tree and a
/// passing index are. That may be about another repository.
fn options() -> gix::open::Options {
    // A pack takes a slot for as long as it is read, and each `git gc` beside a long run makes a new one.
    let slots = gix::odb::store::init::Slots::AsNeededByDiskState { multiplier: 2.0, minimum: 1024 };
    let options = gix::open::Options::default().bail_if_untrusted(true).object_store_slots(slots);
    let misleading = ["GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE"];
    if !misleading.iter().any(|name| env::var_os(name).is_some()) {
        return options;
    }
    // gix has one switch for all variables of git's, so those that name settings are to be brought back in.
    let mut permissions = gix::open::Permissions::all();
    permissions.env.git_prefix = gix::sec::Permission::Deny;
    if let Some(global) = env::var_os("GIT_CONFIG_GLOBAL") {
        permissions.config.user = false;
        permissions.config.git = false;
        return options.permissions(permissions).system_config_path(global);
    }
    permissions.config.system = env::var_os("GIT_CONFIG_NOSYSTEM").is_none();
    match env::var_os("GIT_CONFIG_SYSTEM") {
        Some(system) => options.permissions(permissions).system_config_path(system),
        None => options.permissions(permissions),
    }
}

/// The failure of a folder that no repository has its root in.
fn elsewhere(root: &Path) -> Result<Option<Error>> {
    Ok(match locate(root)? {
        Place::Here => None,
        Place::Nothing => {
            let root = root.display();
            Some(Error::Other(format!("there is no git repository at `{root}`; `au init` makes one")))
        }
        Place::Above(top) => Some(Error::Other(format!(
            "`{}` is not the root of a git repository; that is `{}`",
            root.display(),
            top.display()
        ))),
    })
}

/// Opening fails above all for repositories of somebody else, whose settings could run programs.
fn refused(root: &Path, error: &gix::Error) -> Error {
    let error = failure(error);
    match error {
        Error::Other(words) if words.contains("not owned by the current user") => Error::Other(format!(
            "{words} If you trust it: `git config --global --add safe.directory {}`",
            root.display()
        )),
        other => other,
    }
}

/// gix would take such a repository for one without references.
fn refuse_reftable(repository: &gix::Repository) -> Result<()> {
    let storage = repository.config_snapshot().string("extensions.refStorage");
    match storage {
        Some(name) if !name.eq_ignore_ascii_case(b"files") => Err(Error::Other(format!(
            "the repository keeps its references as `{name}`, which Aurum can't read; \
             convert it with `git refs migrate --ref-format=files`"
        ))),
        _ => Ok(()),
    }
}

fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::io(format_args!("can't find `{}`", path.display()), &error))
}

/// The committer as git would take it; none when git would refuse to commit or would guess.
pub(crate) fn identity(repository: &gix::Repository) -> Option<(String, String)> {
    let committer = repository.committer()?.ok()?;
    let name = clean(&committer.name.to_str_lossy());
    let email = clean(&committer.email.to_str_lossy());
    (!name.is_empty() && !email.is_empty()).then_some((name, email))
}

/// The same where there is no repository, as git itself would say.
pub(crate) fn identity_without_repository(folder: &Path) -> Option<(String, String)> {
    let answer = command::git(folder, &["-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"], b"").ok()?;
    let line = String::from_utf8_lossy(&answer);
    let (name, rest) = line.split_once(" <")?;
    let (email, _) = rest.split_once('>')?;
    Some((name.to_owned(), email.to_owned()))
}

/// Drops what git drops from a name or an address.
fn clean(text: &str) -> String {
    let is_crud = |letter: char| letter <= ' ' || ".,:;<>\"\\'".contains(letter);
    text.trim_matches(is_crud).chars().filter(|letter| !"\n<>\0".contains(*letter)).collect()
}
