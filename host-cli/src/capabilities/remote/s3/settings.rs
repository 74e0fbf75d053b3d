//! Where a bucket is and what opens it: options, the environment, git's settings, and the files of the AWS programs.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::super::secret::{Login, Secret};
use super::super::{Error, Result};
use super::program::{Program, Teller};
use super::sign::Keys;

/// Git's setting for the server, such as `https://minio.example.org:9000`.
pub(super) const ENDPOINT: &str = "aurum.s3.endpoint";
/// Git's setting for the region.
pub(super) const REGION: &str = "aurum.s3.region";
/// Where nothing else is said.
const USUAL_REGION: &str = "us-east-1";

/// What is known of the servers to ask.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// None for Amazon's own.
    pub(super) endpoint: Option<String>,
    pub(super) region: String,
    /// None for what everybody may read.
    pub(super) keys: Option<Opener>,
}

/// What opens buckets.
#[derive(Clone, Debug)]
pub(super) enum Opener {
    Keys(Keys),
    /// Keys that a program tells, and others once these end.
    Program(Program),
}

impl Opener {
    pub(super) fn keys(&self) -> Result<Keys> {
        match self {
            Self::Keys(keys) => Ok(keys.clone()),
            Self::Program(program) => program.keys(),
        }
    }
}

/// Where settings are looked for.
pub(super) struct Sources<'s> {
    pub(super) login: &'s Login,
    pub(super) environment: &'s dyn Fn(&str) -> Option<OsString>,
    pub(super) git: &'s dyn Fn(&str) -> Option<String>,
    /// Whether other programs may be asked.
    pub(super) programs: bool,
    /// What was kept for an endpoint. None where keys are not asked for.
    pub(super) known: Option<&'s Known<'s>>,
}

/// What is known of an endpoint; none is Amazon's own.
pub(super) type Known<'k> = dyn Fn(Option<&str>) -> Result<Option<Login>> + 'k;

type Section = HashMap<String, String>;

impl Settings {
    /// What a user says counts more than the environment, that more than what `au data login` keeps and git's settings, and those more than
    /// the AWS programs' files.
    pub(super) fn find(sources: &Sources<'_>) -> Result<Self> {
        let variable = |name: &str| {
            let text = (sources.environment)(name)?.into_string().ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let profile = Profile::read(sources.environment)?;
        let endpoint = variable("AWS_ENDPOINT_URL_S3")
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .or_else(|| (sources.git)(ENDPOINT))
            .or_else(|| profile.endpoint());
        let region = variable("AWS_REGION")
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .or_else(|| (sources.git)(REGION))
            .or_else(|| profile.get("region"));
        let region = region.unwrap_or_else(|| USUAL_REGION.to_owned());
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !plain(&region) {
            return Err(Error::Other(format!("`{}` is no region of S3", region.escape_debug())));
        }
        let keys = match sources.known {
            Some(known) => opener(sources, &variable, &|| known(endpoint.as_deref()), &profile)?,
            None => None,
        };
        Ok(Self { endpoint, region, keys })
    }
}

/// In the order of AWS's programs, save that its two files are one here.
fn opener(
    sources: &Sources<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
    known: &dyn Fn() -> Result<Option<Login>>,
    profile: &Profile,
) -> Result<Option<Opener>> {
    let keys = |id: Secret, secret: Secret, token: Option<String>| {
        Ok(Some(Opener::Keys(Keys { id, secret, token: token.map(Secret::new) })))
    };
    match (&sources.login.user, &sources.login.password) {
        (Some(id), Some(secret)) => return keys(id.clone(), secret.clone(), None),
        (None, None) => {}
        _ => return Err(Error::Other("a key of S3 has two parts, and one of them was not given".to_owned())),
    }
    if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        return keys(Secret::new(id), Secret::new(secret), variable("AWS_SESSION_TOKEN"));
    }
    if let Some(Login { user: Some(id), password: Some(secret) }) = known()? {
        return keys(id, secret, None);
    }
    // The first answer is waited for here, so that a failure is told of the keys and not of what they were to open.
    let ask = |teller: Teller| {
        let path = (sources.environment)("PATH").unwrap_or_default();
        let program = Program { teller, path, may_be_asked: sources.programs };
        program.keys().map(|_| Some(Opener::Program(program)))
    };
    if profile.get("role_arn").is_some() {
        return ask(Teller::Aws(Some(profile.name.clone())));
    }
    let is_set = |name: &&str| variable(name).is_some();
    // What runs somewhere may have a role there that opens nothing, and read what everybody may.
    let of_this_place = || ask(Teller::Aws(None)).unwrap_or_default();
    if is_set(&"AWS_WEB_IDENTITY_TOKEN_FILE")
        && let Some(opener) = of_this_place()
    {
        return Ok(Some(opener));
    }
    if ["sso_session", "sso_start_url"].iter().any(|way| profile.get(way).is_some()) {
        return ask(Teller::Aws(Some(profile.name.clone())));
    }
    if let (Some(id), Some(secret)) = (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")) {
        return keys(Secret::new(id), Secret::new(secret), profile.get("aws_session_token"));
    }
    if let Some(line) = profile.get("credential_process") {
        return ask(Teller::Process(line));
    }
    let of_containers = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    Ok(if of_containers.iter().any(is_set) { of_this_place() } else { None })
}

/// A part of `~/.aws/config` and `~/.aws/credentials`.
#[derive(Default)]
struct Profile {
    name: String,
    settings: Section,
    /// Those of the section `[services …]` that it names.
    services: Section,
}

impl Profile {
    fn read(environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let set = |name: &str| environment(name).filter(|text| !text.is_empty());
        let wanted = set("AWS_PROFILE").or_else(|| set("AWS_DEFAULT_PROFILE"));
        let name = wanted.as_ref().map_or("default".into(), |name| name.to_string_lossy().into_owned());
        let file = |variable: &str, usual: &str| {
            let named = set(variable).map(PathBuf::from);
            let path = named.clone().or_else(|| Some(PathBuf::from(set("HOME")?).join(".aws").join(usual)));
            let Some(path) = path else { return Ok(HashMap::new()) };
            match std::fs::read_to_string(&path) {
                Ok(text) => Ok(sections(&text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(HashMap::new()),
                Err(error) => Err(Error::io(format_args!("reading `{}`", path.display()), &error)),
            }
        };
        let mut config = file("AWS_CONFIG_FILE", "config")?;
        let mut credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let described = config.remove(&format!("profile {name}"));
        let described = described.or_else(|| if name == "default" { config.remove("default") } else { None });
        let opened = credentials.remove(&name);
        if let (Some(_), None, None) = (wanted, &described, &opened) {
            return Err(Error::Other(format!(
                "there is no profile `{}` of AWS, which `AWS_PROFILE` names",
                name.escape_debug()
            )));
        }
        let mut settings = described.unwrap_or_default();
        settings.extend(opened.unwrap_or_default());
        let services = settings.get("services").and_then(|name| config.remove(&format!("services {name}")));
        Ok(Self { name, settings, services: services.unwrap_or_default() })
    }

    fn get(&self, name: &str) -> Option<String> {
        self.settings.get(name).cloned().filter(|value| !value.is_empty())
    }

    fn endpoint(&self) -> Option<String> {
        let of_s3 = self.services.get("s3.endpoint_url").or_else(|| self.settings.get("s3.endpoint_url"));
        of_s3.cloned().or_else(|| self.get("endpoint_url"))
    }
}

/// `[name]`, then `key = value`; what is indented below an empty `key =` belongs to it, as `key.name`.
fn sections(text: &str) -> HashMap<String, Section> {
    let mut sections: HashMap<String, Section> = HashMap::new();
    let (mut name, mut holder) = (None, String::new());
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let title = title.0.split_whitespace().collect::<Vec<_>>().join(" ").replace(['"', '\''], "");
            sections.entry(title.clone()).or_default();
            (name, holder) = (Some(title), String::new());
            continue;
        }
        let (Some(section), Some((key, value))) = (&name, trimmed.split_once('=')) else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        // Comments begin behind a space.
        let value = value.split(" #").next().unwrap_or_default().split(" ;").next().unwrap_or_default().trim_end();
        let nested = line.starts_with([' ', '\t']) && !holder.is_empty();
        if !nested {
            holder = if value.is_empty() { key.clone() } else { String::new() };
        }
        let key = if nested { format!("{holder}.{key}") } else { key };
        sections.entry(section.clone()).or_default().insert(key, value.to_owned());
    }
    sections
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn found(login: &Login, variables: &[(&str, &str)], git: &[(&str, &str)]) -> Result<Settings> {
        found_where(login, variables, git, &|_| Ok(None))
    }

    fn found_where(
        login: &Login,
        variables: &[(&str, &str)],
        git: &[(&str, &str)],
        known: &Known<'_>,
    ) -> Result<Settings> {
        let environment =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        let git = |name: &str| git.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let sources = Sources { login, environment: &environment, git: &git, programs: true, known: Some(known) };
        Settings::find(&sources)
    }

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(
            home.path().join(".aws/config"),
            "[default]\nregion = eu-west-1\n[profile lab]\nservices = lab\nregion=eu-north-1 # far\n\
             [services lab]\ns3 =\n  endpoint_url = https://lab.example.org\n[profile sso]\nsso_session = x\n",
        )
        .unwrap();
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key = B=/+\n[lab]\naws_access_key_id=C\n\
                    aws_secret_access_key=D\naws_session_token=E\n";
        std::fs::write(home.path().join(".aws/credentials"), text).unwrap();
        home
    }

    fn ids(settings: &Settings) -> (String, String, Option<String>) {
        let keys = settings.keys.as_ref().unwrap().keys().unwrap();
        let token = keys.token.map(|token| token.reveal().to_owned());
        (keys.id.reveal().to_owned(), keys.secret.reveal().to_owned(), token)
    }

    #[test]
    fn profiles_are_read() {
        let home = home();
        let home = ("HOME", home.path().to_str().unwrap());
        let usual = found(&Login::default(), &[home], &[]).unwrap();
        assert_eq!((usual.endpoint.as_deref(), usual.region.as_str()), (None, "eu-west-1"));
        assert_eq!(ids(&usual), ("A".into(), "B=/+".into(), None));
        let lab = found(&Login::default(), &[home, ("AWS_PROFILE", "lab")], &[]).unwrap();
        assert_eq!((lab.endpoint.as_deref(), lab.region.as_str()), (Some("https://lab.example.org"), "eu-north-1"));
        assert_eq!(ids(&lab), ("C".into(), "D".into(), Some("E".into())));
        let none = found(&Login::default(), &[home, ("AWS_PROFILE", "nonsense")], &[]).unwrap_err().to_string();
        assert!(none.contains("no profile `nonsense`"), "{none}");
        let other = found(&Login::default(), &[home, ("AWS_PROFILE", "sso")], &[]).unwrap_err().to_string();
        assert!(other.contains("the keys of the profile `sso` are known to AWS's own program"), "{other}");
        let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x");
        assert!(found(&Login::default(), &[container], &[]).unwrap().keys.is_none(), "what everybody may read is left");
        // Keys that are written down count more.
        assert_eq!(ids(&found(&Login::default(), &[home, container], &[]).unwrap()).0, "A");
    }

    #[test]
    fn the_nearer_counts_more() {
        let home = home();
        let home = ("HOME", home.path().to_str().unwrap());
        let git = [(ENDPOINT, "http://git"), (REGION, "git-1")];
        let settings = found(&Login::default(), &[home], &git).unwrap();
        assert_eq!((settings.endpoint.as_deref(), settings.region.as_str()), (Some("http://git"), "git-1"));
        let variables = [
            home,
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_S3", "http://s3"),
            ("AWS_DEFAULT_REGION", "env-2"),
            ("AWS_ACCESS_KEY_ID", "X"),
            ("AWS_SECRET_ACCESS_KEY", "Y"),
        ];
        let settings = found(&Login::default(), &variables, &git).unwrap();
        assert_eq!((settings.endpoint.as_deref(), settings.region.as_str()), (Some("http://s3"), "env-2"));
        assert_eq!(ids(&settings), ("X".into(), "Y".into(), None));
        let known = |endpoint: Option<&str>| {
            assert_eq!(endpoint, Some("http://git"));
            Ok(Some(Login { user: Some(Secret::new("K")), password: Some(Secret::new("L")) }))
        };
        let told = found_where(&Login::default(), &[home], &git, &known).unwrap();
        assert_eq!(ids(&told), ("K".into(), "L".into(), None));
        let login = Login { user: Some(Secret::new("P")), password: Some(Secret::new("Q")) };
        assert_eq!(ids(&found(&login, &variables, &git).unwrap()), ("P".into(), "Q".into(), None));
        let half = Login { password: None, ..login };
        assert!(found(&half, &variables, &git).is_err());
        let nobody = found(&Login::default(), &[], &[]).unwrap();
        assert!(nobody.keys.is_none() && nobody.endpoint.is_none() && nobody.region == "us-east-1");
    }
}
