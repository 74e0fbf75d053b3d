//! `au data login` and `au data logout`.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use crate::capabilities::exchange::cargo::data_remotes;
use crate::capabilities::remote::{
    Keeper, Login, Outset, Remote, Secret, has_password, is_of_bucket, is_of_server, public_url, user_in,
};
use crate::capabilities::repository::Repository;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::escape;
use crate::cli::ui::Ui;
use crate::{Failure, FailureKind};

/// Keep what opens a server
///
/// Asks for the user and the password, or the two parts of a key of S3, and the server whether it takes them. Then git's credential
/// helpers keep users and passwords; where none does, and for keys of S3, a file in your configuration folder that nobody else may
/// read. From then on they are found by all that reaches the server, in any project: `au data`, `au push`, `au pull`, and
/// `au.dataset` in scripts.
#[derive(Debug, clap::Args)]
#[command(after_help = login_examples())]
pub(crate) struct LoginArgs {
    /// An address on the server, such as `s3://BUCKET` or `ftp://HOST`, or the name of a data remote
    server: String,
    /// The user, or the first part of a key of S3; asked for without it
    // Taken for an option, it would be named in the error.
    #[arg(long, visible_alias = "api", alias = "username", value_name = "USER", allow_hyphen_values = true)]
    user: Option<OsString>,
    /// Keep it without asking the server
    #[arg(long)]
    no_check: bool,
}

/// Forget what opens a server
///
/// Has git's credential helpers, and the file that stands in for them, forget it. What the environment and the files of the AWS programs
/// hold is not touched.
#[derive(Debug, clap::Args)]
#[command(after_help = logout_examples())]
pub(crate) struct LogoutArgs {
    /// An address on the server, or the name of a data remote
    server: String,
}

fn login_examples() -> String {
    format!(
        "\
Examples:
  au data login s3://bucket                      Ask for a key of this bucket
  au data login ftps://nas.local --user ada      Ask for the password
  au data login share                            That of a data remote
  au data login s3://bucket --user ID <secret    Read the secret from a file, the first line of it

{EXIT_STATUS}"
    )
}

fn logout_examples() -> String {
    format!(
        "Examples:\n  au data logout s3://bucket\n  au data logout share         That of a data remote\n\n{EXIT_STATUS}"
    )
}

pub(crate) fn login(ui: &mut Ui<'_>, root: &Path, args: &LoginArgs) -> Result<()> {
    let site = Site::new(root, &args.server)?;
    let login = site.ask(ui, args.user.clone())?;
    site.with(|remote, outset| {
        if !args.no_check {
            remote.try_login(&site.url, &login, outset).map_err(|error| {
                let hint = "Nothing is kept. Try again, or keep it unasked with `--no-check`".to_owned();
                Failure { hints: vec![hint], ..Failure::from(error) }
            })?;
        }
        let keeper = remote.keep_login(&site.url, &login, outset).map_err(Failure::from)?;
        let whom = escape::text(&public_url(&site.url)).into_owned();
        match keeper {
            Keeper::Helper => {
                writeln!(ui.out, "{whom} is open as long as git's credential helper keeps what opens it")?;
            }
            Keeper::File(file) => {
                let file = file.display().to_string();
                writeln!(ui.out, "{whom} is open from now on; `{}` keeps what opens it", escape::text(&file))?;
                let hint = "Have a credential helper of git's keep it: https://git-scm.com/doc/credential-helpers";
                let hints = if is_of_bucket(&site.url) { Vec::new() } else { vec![hint.to_owned()] };
                ui.note("Nobody else may read that file, but it is not encrypted", &hints);
            }
        }
        Ok(())
    })
}

pub(crate) fn logout(ui: &mut Ui<'_>, root: &Path, args: &LogoutArgs) -> Result<()> {
    let site = Site::new(root, &args.server)?;
    let known = site.with(|remote, outset| Ok(remote.forget_login(&site.url, outset).map_err(Failure::from)?))?;
    let whom = escape::text(&public_url(&site.url)).into_owned();
    if known {
        writeln!(ui.out, "forgot what opens {whom}")?;
    } else {
        ui.note(&format!("Nothing was kept that opens {whom}"), &[]);
    }
    Ok(())
}

/// A server as seen from a project.
struct Site {
    root: PathBuf,
    repository: Repository,
    url: String,
}

impl Site {
    /// What has no scheme is the name of a data remote.
    fn new(root: &Path, server: &str) -> Result<Self, Failure> {
        let repository = Repository::new(root);
        let url = if server.contains("://") {
            server.to_owned()
        } else {
            let remotes = data_remotes(&repository)?;
            let named = remotes.into_iter().find(|remote| remote.name == server).map(|remote| remote.url);
            named.ok_or_else(|| {
                let message = format!("No data remote is called `{}`", escape::text(server));
                Failure::new(
                    FailureKind::Usage,
                    message,
                    "See them: `au data remote ls`; or give an address, such as `s3://bucket`",
                )
            })?
        };
        if has_password(&url) {
            let message = "The address holds a password, which other users of this computer can see there";
            return Err(Failure::new(FailureKind::Usage, message, "Leave it out: it is asked for"));
        }
        if !is_of_server(&url) {
            let message = format!("`{}` is no server that asks who you are", escape::text(&public_url(&url)));
            return Err(Failure::new(
                FailureKind::Usage,
                message,
                "Such as `s3://bucket`, `ftps://example.org` or `https://example.org`",
            ));
        }
        Ok(Self { root: root.to_owned(), repository, url })
    }

    /// With all that the server is reached by. The user has named it: that is leave enough to ask it, and where it sends on to.
    fn with<T>(&self, act: impl FnOnce(&Remote, &Outset<'_>) -> Result<T>) -> Result<T> {
        let setting = |key: &str| self.repository.setting(key).ok().flatten();
        let outset = Outset {
            allowed: &|_| true,
            setting: &setting,
            folder: &self.root,
            downloads: &self.root,
            store: None,
            asks_nobody: false,
            tell: &|_, _| (),
        };
        act(&Remote::new(), &outset)
    }

    /// On a terminal, the user is asked; else each is a line of standard input.
    fn ask(&self, ui: &mut Ui<'_>, user: Option<OsString>) -> Result<Login> {
        let (user_word, secret_word) = if is_of_bucket(&self.url) { ("Key", "Secret") } else { ("User", "Password") };
        let whom = escape::text(&public_url(&self.url)).into_owned();
        let wrong = |message: String| Failure::new(FailureKind::InvalidValue, message, "Give it as one line of text");
        let given = user.map(|user| user.into_string().map_err(|_| wrong("The user is not UTF-8".to_owned())));
        let named = match (given.transpose()?, user_in(&self.url)) {
            (Some(given), Some(named)) if given != named => {
                let message = format!("The address names the user `{}`, and `--user` another", escape::text(&named));
                return Err(Failure::new(FailureKind::Usage, message, "Leave `--user` out").into());
            }
            (given, named) => given.or(named),
        };
        let is_terminal = io::stdin().is_terminal();
        let mut read = |word: &str, is_secret: bool| -> Result<String> {
            let line = if is_terminal {
                let prompt = format!("{word} for {whom}: ");
                if is_secret { ui.ask_secret(&prompt)? } else { ui.ask(&prompt)? }
            } else {
                let mut line = String::new();
                let read = io::stdin().lock().read_line(&mut line);
                read.map_err(|error| wrong(format!("Standard input can't be read: {error}")))?;
                line
            };
            let line = line.trim_end_matches(['\n', '\r']).to_owned();
            if line.is_empty() { Err(wrong(format!("No {} was given", word.to_lowercase())).into()) } else { Ok(line) }
        };
        let user = match named {
            Some(user) => user,
            None => read(user_word, false)?,
        };
        let secret = read(secret_word, true)?;
        Ok(Login { user: Some(Secret::new(user)), password: Some(Secret::new(secret)) })
    }
}
