use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser};

use super::secret::Secret;
use super::{here, seen_from, show_json};
use crate::capabilities::remote::Login;
use crate::cli::args::EXIT_STATUS;
use crate::cli::commands::watching;
use crate::cli::render::dataset::{self, Dataset};
use crate::cli::render::word::words;
use crate::cli::ui::Ui;
use crate::cli::{Error, Result};
use crate::{AddOptions, DataSource, Failure, FailureKind, Tracker};

/// What opens servers. There are safer ways, which the help of each names.
const SERVERS: &str = "For s3:// and ftp:// addresses";

/// Add data to the project, or its changes
///
/// Hashes each file or folder, keeps its content in `.git/aurum/store`, has git ignore it, and describes it in
/// `.au/datasets`. What lies outside of the project stays where it is; of that, more than 1 GiB is not kept unless you say
/// `--store`. What comes from an address is downloaded into this folder; what `s3://bucket/prefix` or a folder of
/// `ftp://` holds becomes a folder.
///
/// Servers of S3 are found, and keys for them, as the AWS programs do: `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE`, and the files in `~/.aws`; `git config aurum.s3.endpoint URL` names another server. For
/// ftp:// git's credential helpers are asked.
///
/// Adding data again that has changed makes the new version the dataset's; experiments keep the one that they had.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct AddArgs {
    /// Files, folders, or addresses that begin with https://, http://, s3://, ftp:// or ftps://; the name of a dataset stands for
    /// its place
    #[arg(value_name = "SOURCE", required = true, value_parser = OsStringValueParser::new().map(source))]
    sources: Vec<DataSource>,
    /// What the dataset is called, when there is one source; without it, what its file or folder is called
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Keep the content, however much it is
    #[arg(long, conflicts_with = "no_store")]
    store: bool,
    /// Note the digest alone: this version of the data can't be brought back
    #[arg(long)]
    no_store: bool,
    /// Print a JSON array of what was added
    #[arg(long)]
    json: bool,
    // A secret may begin with a dash. Taken for an option, it would be named in the error.
    /// The key that a bucket of s3:// is read with; `-` reads it from standard input
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, help_heading = SERVERS)]
    api: Option<Secret>,
    /// The secret that belongs to the key; `-` reads it from standard input
    #[arg(long, value_name = "SECRET", allow_hyphen_values = true, help_heading = SERVERS)]
    key: Option<Secret>,
    /// The user of ftp:// or ftps://
    #[arg(long, alias = "username", value_name = "USER", allow_hyphen_values = true, help_heading = SERVERS)]
    user: Option<Secret>,
    /// The user's password; `-` reads it from standard input
    #[arg(long, alias = "password", value_name = "PASSWORD", allow_hyphen_values = true, help_heading = SERVERS)]
    passwd: Option<Secret>,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au data add adult.data                     A file of the project
  au data add images                         A folder, as one dataset
  au data add /mnt/data/adult.data           A file elsewhere on this computer
  au data add https://example.org/iris.csv   Download a file into this folder
  au data add s3://bucket/images/            Download what the bucket has below `images/`
  au data add ftp://example.org/iris.csv --user ada --passwd -
                                             Ask for the password on standard input
  au data add --name census adult.data       A name of your own

{EXIT_STATUS}"
    )
}

pub(crate) fn add(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &AddArgs) -> Result<()> {
    let store = if args.store { Some(true) } else { args.no_store.then_some(false) };
    let options = AddOptions { name: args.name.clone(), store, folder: Some(".".into()) };
    tracker.observe(watching::observer(ui.is_quiet()));
    let addition = tracker.add_data(&args.sources, &options)?;
    show(ui, &addition.rows, args.json, &here())?;
    if let Some(hint) = args.safer() {
        ui.note(
            "A secret on the command line is seen by other users of this computer, and kept in the shell's history",
            &[hint],
        );
    }
    if addition.failures.is_empty() { Ok(()) } else { Err(Error::Failures(addition.failures)) }
}

impl AddArgs {
    /// The sources on servers.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> + Clone {
        self.sources.iter().filter_map(|source| match source {
            DataSource::Address(address) => Some(address.as_str()),
            DataSource::Path(_) => None,
        })
    }

    /// What the options say of whom the servers are to take us for.
    pub(crate) fn login(&self) -> Result<Login> {
        self.check()?;
        let mut input = None;
        let mut read = |given: &Option<Secret>| given.as_ref().map(|given| given.read(&mut input)).transpose();
        let user = read(if self.api.is_some() { &self.api } else { &self.user })?;
        let password = read(if self.key.is_some() { &self.key } else { &self.passwd })?;
        Ok(Login { user, password })
    }

    /// How not to write the secret next time.
    fn safer(&self) -> Option<String> {
        let is_bare = |given: &Option<Secret>| given.as_ref().is_some_and(Secret::is_written);
        let option = if is_bare(&self.key) {
            "--key"
        } else if is_bare(&self.passwd) {
            "--passwd"
        } else {
            return None;
        };
        let server = self.addresses().next().and_then(|address| {
            let (scheme, rest) = address.split_once("://")?;
            Some(format!("{scheme}://{}", rest.split('/').next()?.rsplit('@').next()?))
        });
        let login = words(["au", "data", "login", server.as_deref().unwrap_or_default()]);
        Some(format!("Have it kept once and for all: `{login}`, or give it by `{option} -` on standard input"))
    }

    /// Secrets for a source that has no use for them would be given away for nothing.
    fn check(&self) -> Result<(), Failure> {
        let is = |schemes: [&str; 2]| {
            let fits = |address: &str| address.split_once("://").is_some_and(|(scheme, _)| schemes.contains(&scheme));
            self.addresses().count() == self.sources.len()
                && self.addresses().map(str::to_ascii_lowercase).all(|it| fits(&it))
        };
        let (options, addresses) = if (self.api.is_some() || self.key.is_some()) && !is(["s3", "s3"]) {
            ("`--api` and `--key`", "`s3://`")
        } else if (self.user.is_some() || self.passwd.is_some()) && !is(["ftp", "ftps"]) {
            ("`--user` and `--passwd`", "`ftp://`")
        } else if self.api.is_some() != self.key.is_some() {
            let message = "`--api` and `--key` go together: the key, and the secret that belongs to it";
            return Err(Failure::new(FailureKind::Usage, message, "Give both, or neither"));
        } else if self.passwd.is_some() && self.user.is_none() {
            return Err(Failure::new(FailureKind::Usage, "`--passwd` needs `--user`", "Say whose password it is"));
        } else {
            return Ok(());
        };
        let message = format!("{options} are for addresses that begin with {addresses}, and other data is to be added");
        Err(Failure::new(FailureKind::Usage, message, "Add the other data in a call without them"))
    }
}

/// What has a scheme is an address, and one of this computer's own files is a path; a path that looks like an address can be
/// written with `./` before it.
fn source(text: OsString) -> DataSource {
    let is_address = |text: &str| {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme).filter(|scheme| !scheme.is_empty());
        scheme.is_some_and(|scheme| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte)))
    };
    match text.into_string() {
        Ok(text) if is_address(&text) => match crate::capabilities::exchange::cargo::folder_of(&text) {
            Ok(path) => DataSource::Path(path),
            Err(_) => DataSource::Address(text),
        },
        Ok(text) => DataSource::Path(text.into()),
        Err(text) => DataSource::Path(text.into()),
    }
}

pub(super) fn show(ui: &mut Ui<'_>, rows: &str, json: bool, here: &str) -> Result<()> {
    if json {
        return show_json(ui, rows);
    }
    let rows = Dataset::rows(rows)?;
    dataset::write_outcomes(ui.out, &rows.iter().collect::<Vec<_>>())?;
    if let Some(command) = commit_command(&rows, here) {
        ui.note(
            "The data itself is not for git, its description is",
            &[format!("Commit what describes it: `{command}`")],
        );
    }
    Ok(())
}

/// The command for what the user has to commit, if there is anything.
fn commit_command(rows: &[Dataset], here: &str) -> Option<String> {
    let changed = || rows.iter().filter(|row| row.outcome != "unchanged");
    changed().next()?;
    // Where all data lies outside, there may be no `.gitignore`, and git would refuse the whole command.
    let files = if changed().any(Dataset::is_inside) { &[".gitignore", ".au/datasets"][..] } else { &[".au/datasets"] };
    let files: Vec<_> = files.iter().map(|file| seen_from(here, file)).collect();
    Some(format!("git add {}", words(files.iter().map(String::as_str))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::args::Args;
    use crate::cli::render::dataset::tests::row;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: AddArgs,
    }

    fn args(line: &[&str]) -> AddArgs {
        Line::try_parse_from([&["add"], line].concat()).unwrap().args
    }

    fn refused(line: &[&str]) -> String {
        Args::read(&[&["au", "data", "add"], line].concat()).unwrap_err().to_string()
    }

    #[test]
    fn what_has_a_scheme_is_an_address() {
        for address in ["https://example.org/a", "s3://bucket/a", "FTP://dir/a", "svn+ssh://h/a"] {
            assert_eq!(source(address.into()), DataSource::Address(address.into()));
        }
        for (address, path) in [("file:///mnt/a%20b", "/mnt/a b"), ("FILE://localhost/mnt/a", "/mnt/a")] {
            assert_eq!(source(address.into()), DataSource::Path(path.into()));
        }
        assert_eq!(source("file://server/a".into()), DataSource::Address("file://server/a".into()));
        for path in ["a.csv", "/mnt/a", "../a", "./https://a", "://a", "a b://c", "https:/a", ""] {
            assert_eq!(source(path.into()), DataSource::Path(path.into()));
        }
    }

    #[test]
    fn secrets_are_for_the_addresses_that_they_open() {
        let check = |line: &[&str]| args(line).check().map_err(|failure| (failure.kind, failure.message));
        assert_eq!(check(&["s3://bucket/a", "--api", "K", "--key", "S"]), Ok(()));
        assert_eq!(check(&["ftp://dir/a", "--user", "U", "--passwd", "P"]), Ok(()));
        assert_eq!(check(&["FTPS://dir/a", "--username", "U", "--password", "P"]), Ok(()));
        assert_eq!(check(&["a.csv", "https://example.org/a"]), Ok(()));
        for line in [
            &["a.csv", "--api", "K"][..],
            &["https://example.org/a", "--key", "K"],
            &["s3://bucket/a", "a.csv", "--key", "K"],
            &["s3://bucket/a", "--user", "K"],
            &["ftp://dir/a", "--api", "K"],
            &["s3x://dir/a", "--api", "K"],
        ] {
            let (kind, message) = check(line).unwrap_err();
            assert_eq!(kind, FailureKind::Usage, "{line:?}");
            assert!(message.contains("are for addresses") && !message.contains("example"), "{message}");
        }
    }

    #[test]
    fn halves_of_a_login_are_refused() {
        for line in [&["s3://b/a", "--api", "K"][..], &["s3://b/a", "--key", "S"], &["ftp://d/a", "--passwd", "P"]] {
            assert_eq!(args(line).check().unwrap_err().kind, FailureKind::Usage, "{line:?}");
        }
        assert!(args(&["ftp://d/a", "--user", "U"]).check().is_ok());
    }

    #[test]
    fn a_secret_that_was_written_earns_a_hint() {
        let hint = |line: &[&str]| args(line).safer();
        assert!(hint(&["s3://b/a", "--api", "K", "--key", "S"]).unwrap().contains("--key -"));
        assert!(hint(&["ftp://d/a", "--user", "U", "--passwd", "P"]).unwrap().contains("--passwd -"));
        assert_eq!(hint(&["s3://b/a", "--api", "K", "--key", "-"]), None);
        assert_eq!(hint(&["ftp://d/a", "--user", "U"]), None);
    }

    #[test]
    fn no_secret_is_ever_printed() {
        for option in ["--api", "--key", "--user", "--username", "--passwd", "--password"] {
            for secret in ["hunter2", "-hunter2", "--hunter2", "-h", "--hunter2=3"] {
                let args = args(&["s3://bucket/a", option, secret]);
                assert!(!format!("{args:?}").contains("hunter2"), "{args:?}");
                let message = refused(&["a.csv", option, secret, "--nonsense"]);
                assert!(!message.contains("hunter2") && message.contains("--nonsense"), "{message}");
                let message = refused(&["a.csv", &format!("{option}={secret}"), option, secret]);
                assert!(!message.contains("hunter2") && message.contains("multiple times"), "{message}");
            }
        }
        for mistyped in ["--pasword", "--passwort=hunter2"] {
            let message = refused(&["a.csv", mistyped, "hunter2"]);
            assert!(!message.contains("hunter2") && message.contains("--passw"), "{message}");
        }
    }

    #[test]
    fn a_dataset_is_kept_or_not_as_asked() {
        assert!(refused(&["a", "--store", "--no-store"]).contains("cannot be used with"));
        assert!(args(&["a", "--no-store"]).no_store);
    }

    fn shown(rows: &Value, json: bool) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        show(&mut Ui::plain(&mut out, &mut err), &rows.to_string(), json, "data").unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn what_was_added_is_told_and_what_to_commit() {
        let rows = json!([{
            "name": "a", "kind": "file", "files": 1, "size": 1, "stored": true, "place": "a", "digest": "sha256:ab",
            "source": { "type": "project", "path": "a" }, "outcome": "added",
        }]);
        let (out, err) = shown(&rows, false);
        assert_eq!(out, "added a  1 B  sha256:ab\n");
        assert_eq!(
            err,
            "The data itself is not for git, its description is\n\
             hint: Commit what describes it: `git add ../.gitignore ../.au/datasets`\n"
        );
        assert_eq!(shown(&rows, true), (format!("[\n{}\n]\n", rows[0]), String::new()));
    }

    #[test]
    fn only_what_changed_is_to_be_committed() {
        let command = |rows: &[Dataset]| commit_command(rows, "");
        assert_eq!(command(&[row("a", json!({ "outcome": "unchanged" }))]), None);
        let outside = json!({ "outcome": "updated", "source": { "type": "outside" } });
        assert_eq!(command(&[row("a", outside)]).as_deref(), Some("git add .au/datasets"));
        let added = row("a", json!({ "outcome": "added" }));
        assert_eq!(command(&[added]).as_deref(), Some("git add .gitignore .au/datasets"));
    }
}
