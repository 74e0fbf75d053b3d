//! `au data`: one file a subcommand, as above.

pub(crate) mod add;
mod advice;
pub(crate) mod freight;
pub(crate) mod history;
pub(crate) mod login;
pub(crate) mod ls;
pub(crate) mod remote;
pub(crate) mod restore;
pub(crate) mod rm;
mod secret;
pub(crate) mod status;
pub(crate) mod update;
pub(crate) mod verify;

use std::fs::File;
use std::path::Path;
use std::time::Duration;
use std::{env, thread};

use clap::Subcommand;

use self::add::AddArgs;
use self::freight::{PullArgs, PushArgs};
use self::history::HistoryArgs;
use self::login::{LoginArgs, LogoutArgs};
use self::ls::LsArgs;
use self::remote::RemoteArgs;
use self::restore::RestoreArgs;
use self::rm::RmArgs;
use self::status::StatusArgs;
use self::update::UpdateArgs;
use self::verify::VerifyArgs;
use super::{at, at_with, watching};
use crate::capabilities::interpreter::Interpreter;
use crate::capabilities::remote::Remote;
use crate::capabilities::repository::Repository;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::dataset::Dataset;
use crate::cli::render::json;
use crate::cli::ui::Ui;
use crate::grants::Grants;
use crate::{Failure, Tracker};

/// Keep track of the data that experiments use
///
/// A dataset is one file or one folder, in the project or elsewhere. Its content is kept by its digest in
/// `.git/aurum/store`, and git ignores it; what you commit is a small file in `.au/datasets` that describes it. Each run
/// notes the data that it had, and `au load` brings that back.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true, after_help = examples())]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum DataCommand {
    Add(AddArgs),
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    Status(StatusArgs),
    Update(UpdateArgs),
    Restore(RestoreArgs),
    History(HistoryArgs),
    Verify(VerifyArgs),
    Push(PushArgs),
    Pull(PullArgs),
    #[command(visible_alias = "remove")]
    Rm(RmArgs),
    Remote(RemoteArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    #[command(hide = true)]
    Look(LookArgs),
}

/// Ask the servers that data came from whether they have another version
///
/// What they say is kept for the runs to come, which have this done beside them.
#[derive(Debug, clap::Args)]
#[command(after_help = look_examples())]
pub(crate) struct LookArgs {
    /// This process leads a group of its own, and ends it after 20 seconds
    #[arg(long)]
    alone: bool,
}

impl DataArgs {
    /// Whether it is about servers alone, and needs no project.
    pub(crate) fn is_of_servers(&self) -> bool {
        matches!(self.command, DataCommand::Login(_) | DataCommand::Logout(_))
    }
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data add adult.data       Keep track of a file
  au data status               See what has changed since
  au data restore adult.data   Bring it back to what it was
  au data history adult.data   See what it was before
  au data remote add share file:///mnt/share
                               Have it go along with `au push`

{EXIT_STATUS}"
    )
}

fn look_examples() -> String {
    format!("Examples:\n  au data look   Have the next run know\n\n{EXIT_STATUS}")
}

/// Each subcommand gets what it needs: only some of them reach servers, and only those of the addresses at hand.
pub(crate) fn data(ui: &mut Ui<'_>, root: &Path, args: &DataArgs) -> Result<()> {
    match &args.command {
        DataCommand::Add(args) => {
            let login = args.login()?;
            let grants = reaching(ui, root, args.addresses());
            at_with(root, grants, ui, |ui, tracker| {
                tracker.log_in(login);
                add::add(ui, tracker, args)
            })
        }
        DataCommand::Ls(args) => at(root, ui, |ui, tracker| ls::ls(ui, tracker, args)),
        DataCommand::Status(args) => {
            with_servers(root, ui, args.offline, |ui, tracker| status::status(ui, tracker, args))
        }
        DataCommand::Update(args) => with_servers(root, ui, false, |ui, tracker| update::update(ui, tracker, args)),
        DataCommand::Restore(args) => with_servers(root, ui, args.offline, |ui, tracker| {
            if !args.offline {
                tracker.allow_data_remotes()?;
            }
            tracker.observe(watching::observer(ui.is_quiet()));
            restore::restore(ui, tracker, args)
        }),
        DataCommand::History(args) => at(root, ui, |ui, tracker| history::history(ui, tracker, args)),
        DataCommand::Verify(args) => at(root, ui, |ui, tracker| verify::verify(ui, tracker, args)),
        DataCommand::Push(args) => with_data_remotes(root, ui, |ui, tracker| freight::push(ui, tracker, args)),
        DataCommand::Pull(args) => with_data_remotes(root, ui, |ui, tracker| freight::pull(ui, tracker, args)),
        DataCommand::Rm(args) => at(root, ui, |ui, tracker| rm::rm(ui, tracker, args)),
        DataCommand::Remote(args) => at(root, ui, |ui, tracker| remote::remote(ui, tracker, args)),
        DataCommand::Look(args) => look(ui, root, args),
        DataCommand::Login(args) => login::login(ui, root, args),
        DataCommand::Logout(args) => login::logout(ui, root, args),
    }
}

/// What runs have done beside them. Nobody waits for it, and nobody would notice if it went on and on, or were done by many at once.
fn look(ui: &mut Ui<'_>, root: &Path, args: &LookArgs) -> Result<()> {
    const LONGEST: Duration = Duration::from_secs(20);
    let own = Repository::new(root).common_dir().map_err(Failure::from)?.join("aurum");
    let lock = File::create(own.join("looking")).and_then(|file| file.try_lock().map(|()| file).map_err(Into::into));
    if lock.is_err() {
        return Ok(());
    }
    if args.alone {
        thread::spawn(|| {
            thread::sleep(LONGEST);
            // With what it has started.
            let _ = rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
        });
    }
    with_servers(root, ui, false, |_, tracker| {
        tracker.ask_nobody();
        Ok(tracker.look_at_servers()?)
    })
}

/// Everything on this computer, and the servers that the project's data came from, unless `offline`.
fn with_servers(
    root: &Path,
    ui: &mut Ui<'_>,
    offline: bool,
    act: impl FnOnce(&mut Ui<'_>, &mut Tracker) -> Result<()>,
) -> Result<()> {
    let addresses = if offline { Vec::new() } else { addresses(root)? };
    let grants = reaching(ui, root, addresses.iter().map(String::as_str));
    at_with(root, grants, ui, act)
}

/// Everything on this computer, and the data remotes.
fn with_data_remotes(
    root: &Path,
    ui: &mut Ui<'_>,
    act: impl FnOnce(&mut Ui<'_>, &mut Tracker) -> Result<()>,
) -> Result<()> {
    at(root, ui, |ui, tracker| {
        tracker.allow_data_remotes()?;
        tracker.observe(watching::observer(ui.is_quiet()));
        act(ui, tracker)
    })
}

/// The addresses that data came from. A tracker that reads the project and nothing else tells them, so that the one that looks at
/// the data is granted their servers alone.
fn addresses(root: &Path) -> Result<Vec<String>, Failure> {
    let rows = Tracker::open(root, Grants::none().allow_workspace(), Interpreter::none())?.list_data()?;
    Ok(Dataset::rows(&rows)?.into_iter().filter_map(|row| row.source.url).collect())
}

/// This computer and the servers of these addresses, wherever those send on to. What is no address is for the core to
/// refuse.
fn reaching<'a>(ui: &mut Ui<'_>, root: &Path, addresses: impl Iterator<Item = &'a str>) -> Grants {
    let repository = Repository::new(root);
    let setting = |key: &str| repository.setting(key).ok().flatten();
    let remote = Remote::new();
    let mut hosts: Vec<_> = addresses.filter_map(|address| remote.host_of(address, &setting).ok()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let mut grants = Grants::local();
    for host in hosts {
        ui.detail(&format!("The server `{host}` may be asked, and where it sends on to"));
        grants = grants.allow_host(&host).follow_redirects();
    }
    grants
}

/// The core's rows as they are.
fn show_json(ui: &mut Ui<'_>, rows: &str) -> Result<()> {
    let mut array = json::Array::new(ui.out, ui.screen.terminal);
    array.page(rows)?;
    Ok(array.end()?)
}

/// The core's rows for people; none where they are shown already, as JSON or as the remark that there are none.
fn rows_to_show(ui: &mut Ui<'_>, rows: &str, json: bool) -> Result<Option<Vec<Dataset>>> {
    if json {
        show_json(ui, rows)?;
        return Ok(None);
    }
    let rows = Dataset::rows(rows)?;
    if rows.is_empty() {
        tell_that_none(ui);
        return Ok(None);
    }
    Ok(Some(rows))
}

/// Where there is no dataset to show.
fn tell_that_none(ui: &mut Ui<'_>) {
    ui.note("No data yet", &["Add a file, a folder or an address: `au data add PATH`".to_owned()]);
}

/// Where this process works, below the project's root: empty at the root.
fn here() -> String {
    let here = env::current_dir().unwrap_or_default();
    let root = crate::discovery::discover(&here).unwrap_or_else(|| here.clone());
    here.strip_prefix(root).map(|below| below.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A path below the root as seen from a folder below it, for commands that people copy.
fn seen_from(here: &str, path: &str) -> String {
    let parts = |path| str::split(path, '/').filter(|part| !part.is_empty());
    let (folders, path): (Vec<&str>, Vec<&str>) = (parts(here).collect(), parts(path).collect());
    let shared = folders.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", folders.len() - shared);
    let seen = up.chain(path[shared..].iter().copied()).collect::<Vec<_>>().join("/");
    // What begins with a dash would be taken for an option.
    if seen.starts_with('-') { format!("./{seen}") } else { seen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_the_addresses_may_be_asked_and_no_others() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut ui = Ui::plain(&mut out, &mut err);
        let grants = reaching(&mut ui, Path::new("/"), ["https://user:pass@Example.org/a?b", "nonsense"].into_iter());
        assert!(grants.host_allowed("example.org") && grants.redirect_allowed("cdn.net"));
        assert!(!grants.host_allowed("cdn.net") && !grants.host_allowed("user"));
        assert_eq!(reaching(&mut ui, Path::new("/"), std::iter::empty()), Grants::local());
    }

    #[test]
    fn paths_are_told_as_seen_from_the_working_folder() {
        for (here, path, seen) in [
            ("", "data/a.csv", "data/a.csv"),
            ("data", "data/a.csv", "a.csv"),
            ("data/b", "data/a.csv", "../a.csv"),
            ("src", "data/a.csv", "../data/a.csv"),
            ("data/b", "data", ".."),
            ("src", "", ".."),
            ("dat", "data/a.csv", "../data/a.csv"),
            ("", "-a", "./-a"),
            ("src", "-a", "../-a"),
        ] {
            assert_eq!(seen_from(here, path), seen, "{path} from {here}");
        }
    }

    #[test]
    fn an_empty_project_is_told_on_stderr() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        tell_that_none(&mut Ui::plain(&mut out, &mut err));
        assert!(out.is_empty());
        assert_eq!(
            String::from_utf8_lossy(&err),
            "No data yet\nhint: Add a file, a folder or an address: `au data add PATH`\n"
        );
    }
}
