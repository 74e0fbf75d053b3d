//! Keys that another program tells: what a profile names as its `credential_process`, or AWS's own, which knows of single sign-on, of
//! roles, and of what containers are given.
//!
//! Both answer in one format
//! ([described here](https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html)).

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::super::secret::Secret;
use super::super::{Error, Result};
use super::sign::Keys;
use crate::capabilities::programs::find;

/// For how long an answer that does not say how long it holds is not asked for again, nor a program that failed.
const FRESH: Duration = Duration::from_secs(120);
/// How long before their end keys are asked for anew.
const MARGIN: Duration = Duration::from_secs(60);
/// The least time between two questions.
const LEAST: Duration = Duration::from_secs(10);
/// How long an answer is waited for: somebody may have to find their second factor.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much of a program's own words is told.
const MOST_WORDS: usize = 400;

/// Who tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Teller {
    /// A command line, as a profile has it.
    Process(String),
    /// `aws configure export-credentials`, which version 2 has, of this profile where one is named.
    Aws(Option<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// RFC 3339.
    expiration: Option<String>,
}

/// A program that tells keys.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) teller: Teller,
    /// Where it is looked for.
    pub(super) path: OsString,
    /// Beside a run it is not: it may ask somebody in turn, who is at something else.
    pub(super) may_be_asked: bool,
}

/// What a program told, and until when that counts.
type Told = (Instant, std::result::Result<Keys, String>);

impl Program {
    /// The keys, and as long as they are fresh the same ones again: programs take their time.
    pub(super) fn keys(&self) -> Result<Keys> {
        static TOLD: Mutex<Option<HashMap<Teller, Told>>> = Mutex::new(None);
        if !self.may_be_asked {
            return Err(Error::Other(
                "the keys of S3 are told by a program, which is not asked beside a run".to_owned(),
            ));
        }
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.get_or_insert_default();
        if let Some((until, answer)) = told.get(&self.teller)
            && Instant::now() < *until
        {
            return answer.clone().map_err(Error::Other);
        }
        let answer = ask(&self.teller, &self.path);
        let holds = answer.as_ref().map_or(FRESH, |(_, rest)| rest.map_or(FRESH, |rest| rest.saturating_sub(MARGIN)));
        let answer = answer.map(|(keys, _)| keys);
        let kept = answer.as_ref().map(Keys::clone).map_err(ToString::to_string);
        told.insert(self.teller.clone(), (Instant::now() + holds.max(LEAST), kept));
        answer
    }
}

/// The keys, and for how long they hold where that is told.
fn ask(teller: &Teller, path: &OsStr) -> Result<(Keys, Option<Duration>)> {
    let (name, mut command) = command(teller, path)?;
    let failed =
        |what: &dyn std::fmt::Display| Error::Other(format!("`{name}`, which is to tell the keys of S3, {what}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| failed(&format_args!("can't be started: {error}")))?;
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = answers.recv_timeout(PATIENCE) else {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        return Err(failed(&format_args!("did not answer within {} seconds", PATIENCE.as_secs())));
    };
    let output = output.map_err(|error| failed(&error))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        if matches!(teller, Teller::Aws(_)) && words.contains("Invalid choice") {
            return Err(failed(&"takes version 2 of `aws`"));
        }
        let last = words.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing was said of why");
        let last: String = last.chars().filter(|letter| !letter.is_control()).take(MOST_WORDS).collect();
        return Err(failed(&format_args!("failed ({}): {last}", output.status)));
    }
    // What it said is not repeated: there is a secret in it.
    let answer: Option<Answer> = serde_json::from_slice(&output.stdout).ok();
    let Answer { access_key_id, secret_access_key, session_token, expiration, .. } =
        answer.filter(|answer| answer.version == 1).ok_or_else(|| failed(&"answered something else"))?;
    let end = expiration.and_then(|end| end.parse::<jiff::Timestamp>().ok());
    let rest = end.map(|end| Duration::try_from(end.duration_since(jiff::Timestamp::now())).unwrap_or_default());
    let keys = Keys {
        id: Secret::new(access_key_id),
        secret: Secret::new(secret_access_key),
        token: session_token.map(Secret::new),
    };
    Ok((keys, rest))
}

/// With how it is called in errors: arguments may be secrets.
fn command(teller: &Teller, path: &OsStr) -> Result<(String, Command)> {
    match teller {
        Teller::Process(line) => {
            let mut words = shlex::split(line).unwrap_or_default().into_iter();
            let program = words.next().ok_or_else(|| {
                Error::Other("the `credential_process` of the profile for S3 is no command".to_owned())
            })?;
            // Nothing in the project is to stand in for it.
            let file = if program.contains('/') {
                Some(PathBuf::from(&program)).filter(|file| file.is_absolute())
            } else {
                find(path, &program)
            };
            let file = file.ok_or_else(|| {
                let what = "is neither on the PATH nor an absolute path";
                Error::Other(format!("the program `{program}`, which is to tell the keys of S3, {what}"))
            })?;
            let mut command = Command::new(file);
            command.args(words);
            Ok((program, command))
        }
        Teller::Aws(profile) => {
            let file = find(path, "aws").ok_or_else(|| {
                let of = profile.as_ref().map_or("this computer".to_owned(), |name| format!("the profile `{name}`"));
                Error::Other(format!(
                    "the keys of {of} are known to AWS's own program alone: install it (`aws`), or put them into the environment"
                ))
            })?;
            let mut command = Command::new(file);
            command.args(["configure", "export-credentials", "--format", "process"]);
            command.args(profile.iter().flat_map(|name| ["--profile", name]));
            Ok(("aws configure export-credentials".to_owned(), command))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A command line. The shell reads the file: what another thread's child still has open for writing can't be executed.
    fn program(folder: &Path, name: &str, text: &str) -> String {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        format!("/bin/sh \"{}\"", path.display())
    }

    const TELL: &str = r#"echo "{\"Version\": 1, \"AccessKeyId\": \"$1\", \"SecretAccessKey\": \"$2\", \"Expiration\": \"x\"}"; echo "$1" >> "$0".asked"#;

    #[test]
    fn a_profiles_program_is_asked_once_in_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let teller = Teller::Process(format!("{} 'a b' secret", program(folder.path(), "tell keys", TELL)));
        let program = Program { teller, path: OsString::new(), may_be_asked: true };
        for _ in 0..2 {
            let keys = program.keys().unwrap();
            assert_eq!((keys.id.reveal(), keys.secret.reveal()), ("a b", "secret"));
            assert!(keys.token.is_none());
        }
        assert_eq!(fs::read_to_string(folder.path().join("tell keys.asked")).unwrap(), "a b\n");
        let error = Program { may_be_asked: false, ..program }.keys().unwrap_err().to_string();
        assert!(error.contains("not asked beside a run"), "{error}");
    }

    #[test]
    fn keys_count_as_long_as_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let rest = |end: &str| {
            let text = format!(
                r#"echo '{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B", "Expiration": "{end}"}}'"#
            );
            let teller = Teller::Process(program(folder.path(), "tell", &text));
            ask(&teller, OsStr::new("")).unwrap().1
        };
        assert!(rest("2999-01-01T00:00:00Z").unwrap() > Duration::from_secs(1 << 30));
        assert_eq!(rest("2001-01-01T00:00:00+00:00"), Some(Duration::ZERO));
        assert_eq!(rest("some day"), None);
    }

    #[test]
    fn what_it_fails_by_is_told_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let said = |text: &str| {
            ask(&Teller::Process(format!("{} hush", program(folder.path(), "tell", text))), OsStr::new(""))
                .unwrap_err()
                .to_string()
        };
        let failed = said("echo 'token is too old' >&2; exit 3");
        assert!(failed.contains("exit status: 3") && failed.contains("token is too old"), "{failed}");
        for other in ["echo hush", r#"echo '{"Version": 2, "AccessKeyId": "hush", "SecretAccessKey": "hush"}'"#] {
            let error = said(other);
            assert!(error.contains("answered something else") && !error.contains("hush"), "{error}");
        }
        let folders = folder.path().as_os_str();
        for (line, what) in [
            ("", "no command"),
            ("nonsense", "on the PATH"),
            ("./tell", "absolute"),
            ("/non/sense", "can't be started"),
        ] {
            let error = ask(&Teller::Process(line.to_owned()), folders).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        let error = ask(&Teller::Aws(Some("lab".to_owned())), folders).unwrap_err().to_string();
        assert!(error.contains("profile `lab`") && error.contains("`aws`"), "{error}");
    }
}
