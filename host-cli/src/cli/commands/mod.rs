//! One file a command: its arguments, and a function that calls the tracker and shows the answer.

pub(crate) mod archive;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod export;
pub(crate) mod gc;
pub(crate) mod init;
pub(crate) mod keep_output;
pub(crate) mod load;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod recover;
pub(crate) mod restore;
pub(crate) mod rm;
pub(crate) mod show;
pub(crate) mod verify;
mod watching;

use std::path::{Path, PathBuf};
use std::{env, io};

use super::Result;
use super::args::{Args, Command};
use super::ui::Ui;
use crate::capabilities::git::tidying;
use crate::capabilities::interpreter::Interpreter;
use crate::discovery::{discover, not_checked_out};
use crate::grants::Grants;
use crate::{Failure, FailureKind, Tracker};

/// Does what the command line asks for.
pub(crate) fn dispatch(args: &Args, ui: &mut Ui<'_>) -> Result<()> {
    let folder = enter(args.global.directory.as_deref())?;
    match &args.command {
        Command::Init(args) => at(&folder, ui, |ui, tracker| init::init(ui, tracker, args)),
        // Servers are the user's, whatever the project.
        Command::Data(args) if args.is_of_servers() => data::data(ui, &project(&folder).unwrap_or(folder), args),
        Command::Data(args) => data::data(ui, &project(&folder)?, args),
        Command::Metrics(args) => {
            let root = project(&folder)?;
            at(&root, ui, |ui, tracker| {
                let shown = metrics::metrics(ui, tracker, args);
                // Runs leave their references: removing one can cost as much as removing all.
                tidying::tidy(&root, || drop(tracker.clear_stale_references()));
                shown
            })
        }
        Command::Show(args) => at(&project(&folder)?, ui, |ui, tracker| show::show(ui, tracker, args)),
        Command::Logs(args) => at(&project(&folder)?, ui, |ui, tracker| logs::logs(ui, tracker, args)),
        Command::Load(args) => at(&project(&folder)?, ui, |ui, tracker| load::load(ui, tracker, args)),
        Command::Export(args) => at(&project(&folder)?, ui, |ui, tracker| export::export(ui, tracker, args, &folder)),
        Command::Push(args) => {
            sharing(&project(&folder)?, ui, args.remotes(), |ui, tracker| push::push(ui, tracker, args))
        }
        Command::Pull(args) => {
            sharing(&project(&folder)?, ui, args.remotes(), |ui, tracker| pull::pull(ui, tracker, args))
        }
        Command::Recover(args) => at(&project(&folder)?, ui, |ui, tracker| recover::recover(ui, tracker, args)),
        Command::KeepOutput(args) => at(&project(&folder)?, ui, |_, tracker| keep_output::keep_output(tracker, args)),
        Command::Rm(args) => at(&project(&folder)?, ui, |ui, tracker| rm::rm(ui, tracker, args)),
        Command::Restore(args) => at(&project(&folder)?, ui, |ui, tracker| restore::restore(ui, tracker, args)),
        Command::Archive(args) => at(&project(&folder)?, ui, |ui, tracker| archive::archive(ui, tracker, args)),
        Command::Gc(args) => {
            let root = project(&folder)?;
            at(&root, ui, |ui, tracker| gc::gc(ui, tracker, args))?;
            tidying::tidy(&root, || {});
            Ok(())
        }
        Command::Verify(args) => at(&project(&folder)?, ui, |ui, tracker| verify::verify(ui, tracker, args)),
        Command::Completions(args) => completions::completions(ui, args),
    }
}

/// The folder to work in, made the process's own so that relative paths mean the same to all.
fn enter(folder: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = folder {
        env::set_current_dir(folder).map_err(|error| cannot_enter(folder, &error))?;
    }
    env::current_dir().map_err(|error| {
        let message = format!("The current folder can't be told: {error}");
        Failure::new(FailureKind::Unavailable, message, "Go to a folder that exists, or name one by `-C`")
    })
}

fn cannot_enter(folder: &Path, error: &io::Error) -> Failure {
    let name = folder.display();
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!("There is no folder `{name}`"),
        io::ErrorKind::NotADirectory => format!("`{name}` is not a folder"),
        _ => format!("The folder `{name}` can't be entered: {error}"),
    };
    Failure::new(FailureKind::InvalidValue, message, "`-C` takes a folder that exists")
}

fn project(folder: &Path) -> Result<PathBuf, Failure> {
    let none = || {
        // As the core says it of a folder that it is opened on.
        let message = "This folder belongs to no Aurum project";
        Failure::new(FailureKind::NotAProject, message, "Run `au init` in the folder that the project is to live in")
    };
    discover(folder).ok_or_else(|| not_checked_out(folder).unwrap_or_else(none))
}

/// What most commands need: everything on this computer.
fn at(root: &Path, ui: &mut Ui<'_>, act: impl FnOnce(&mut Ui<'_>, &mut Tracker) -> Result<()>) -> Result<()> {
    at_with(root, Grants::local(), ui, act)
}

/// Everything on this computer, git's configured remotes, and what the user has named, if it is one.
fn sharing<'a>(
    root: &Path,
    ui: &mut Ui<'_>,
    named: impl Iterator<Item = &'a str>,
    act: impl FnOnce(&mut Ui<'_>, &mut Tracker) -> Result<()>,
) -> Result<()> {
    let grants = named.fold(Grants::local(), Grants::allow_exchange);
    at_with(root, grants, ui, |ui, tracker| {
        tracker.allow_configured_remotes()?;
        tracker.observe(watching::observer(ui.is_quiet()));
        act(ui, tracker)
    })
}

/// Opens the tracker, acts, and tells what the core warned of meanwhile, whatever came of it.
fn at_with(
    root: &Path,
    grants: Grants,
    ui: &mut Ui<'_>,
    act: impl FnOnce(&mut Ui<'_>, &mut Tracker) -> Result<()>,
) -> Result<()> {
    ui.detail(&format!("In `{}`", root.display()));
    let mut tracker = Tracker::open(root, grants, Interpreter::none())?;
    let result = act(ui, &mut tracker);
    ui.warnings(&tracker.take_warnings());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_none_is_named() {
        let missing = cannot_enter(Path::new("nowhere"), &io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(missing.message, "There is no folder `nowhere`");
        let file = cannot_enter(Path::new("a.txt"), &io::Error::from(io::ErrorKind::NotADirectory));
        assert_eq!(file.message, "`a.txt` is not a folder");
    }

    #[test]
    fn outside_a_project_the_way_in_is_named() {
        let failure = project(Path::new("/")).expect_err("the root of the file system is no project");
        assert_eq!(failure.kind, FailureKind::NotAProject);
        assert_eq!(failure.hints, ["Run `au init` in the folder that the project is to live in"]);
    }
}
