//! Questions to servers over HTTP.

use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, HeaderName, LAST_MODIFIED, LOCATION};
use ureq::http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, Timeout};

use super::credentials::Credentials;
use super::secret::Login;
use super::{Allowed, Attributes, Error, Result, host_of, public_url, split, trust};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REDIRECTS: usize = 5;

/// How long servers are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For an answer without content, redirects and all.
    pub(super) whole: Duration,
    /// For the next byte.
    pub(super) silence: Duration,
    /// Before a broken connection is made anew the first time; twice as long each further time.
    pub(super) pause: Duration,
}

impl Patience {
    pub(super) const ORDINARY: Self =
        Self { whole: Duration::from_secs(30), silence: Duration::from_secs(30), pause: Duration::from_millis(250) };
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) patience: Patience,
    pub(super) certificates: Option<OsString>,
    /// Made when first needed: most programs ask no server, and the certificates take reading.
    agent: OnceLock<Agent>,
}

/// What is asked of a server, and of those it redirects to.
pub(super) struct Question<'q> {
    pub(super) method: Method,
    pub(super) url: &'q str,
    pub(super) headers: &'q [(HeaderName, HeaderValue)],
    /// None for the patience with silence alone.
    pub(super) deadline: Option<Instant>,
    /// What opens the server, if it wants to know.
    pub(super) opener: Opener<'q>,
}

/// Where it is known what opens a server, beside the URL.
#[derive(Clone, Copy)]
pub(super) enum Opener<'o> {
    /// Git's helpers are asked in this folder.
    Git(&'o Path),
    /// This and nothing else.
    Given(&'o Login),
    /// Nobody is to know.
    Nobody,
}

impl Client {
    pub(super) fn new(patience: Patience, certificates: Option<OsString>) -> Self {
        Self { patience, certificates, agent: OnceLock::new() }
    }

    pub(super) fn agent(&self) -> Result<&Agent> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let roots = trust::roots(self.certificates.as_deref())?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed here, where each host can be asked for.
            .max_redirects(0)
            .timeout_resolve(Some(self.patience.silence))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(self.patience.silence))
            .timeout_per_write(Some(self.patience.silence))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .user_agent(concat!("aurum/", env!("CARGO_PKG_VERSION")))
            // Otherwise a server may tell the size of a compressed form.
            .accept_encoding("identity")
            .build();
        Ok(self.agent.get_or_init(|| config.new_agent()))
    }

    pub(super) fn stat(&self, url: &str, opener: Opener<'_>, allowed: Allowed<'_>) -> Result<Option<Attributes>> {
        let deadline = Some(Instant::now() + self.patience.whole);
        let question = Question { method: Method::HEAD, url, headers: &[], deadline, opener };
        let (url, response) = self.follow(&question, allowed)?;
        match response.status() {
            status if status.is_success() => Ok(Some(attributes(&response))),
            status if is_absence(status) => Ok(None),
            status => Err(unexpected(&url, status)),
        }
    }

    /// Whether a server takes a user at an address, none where it lets anybody in there.
    pub(super) fn takes(&self, url: &str, login: &Login, allowed: Allowed<'_>) -> Result<Option<bool>> {
        let deadline = Some(Instant::now() + self.patience.whole);
        let ask = |opener| {
            let question = Question { method: Method::HEAD, url, headers: &[], deadline, opener };
            self.follow(&question, allowed)
        };
        let (_, anybody) = ask(Opener::Nobody)?;
        let (url, answer) = ask(Opener::Given(login))?;
        match answer.status() {
            StatusCode::UNAUTHORIZED => Ok(Some(false)),
            status if status.is_success() || is_absence(status) => {
                let differs = anybody.status() != answer.status();
                Ok(differs.then_some(true))
            }
            status => Err(unexpected(&url, status)),
        }
    }

    /// The answer at the end of all redirects, and the URL that gave it.
    pub(super) fn follow(&self, question: &Question<'_>, allowed: Allowed<'_>) -> Result<(String, Response<Body>)> {
        let mut credentials = match question.opener {
            Opener::Given(login) => Credentials::given(question.url, login),
            Opener::Git(_) | Opener::Nobody => Credentials::of(question.url),
        };
        let mut url = question.url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let host = host_of(&url)?;
            if !allowed(&host) {
                return Err(Error::Denied(host));
            }
            let mut response = self.ask(question, &url, &host, &credentials)?;
            if response.status() == StatusCode::UNAUTHORIZED
                && let Opener::Git(folder) = question.opener
                && let Some(known) = credentials.known_to_git(folder, &url)?
            {
                credentials = known;
                response = self.ask(question, &url, &host, &credentials)?;
            }
            match header(&response, &LOCATION) {
                Some(location) if response.status().is_redirection() => url = join(&url, &location),
                _ => return Ok((url, response)),
            }
        }
        Err(failure(&url, format_args!("more than {MAX_REDIRECTS} redirects lead there")))
    }

    fn ask(&self, question: &Question<'_>, url: &str, host: &str, credentials: &Credentials) -> Result<Response<Body>> {
        let uri = url.parse::<Uri>().map_err(|error| failure(url, error))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(failure(url, "no such address is understood"));
        }
        // The grant is for the host that was read out of the URL here: what is connected to must be the same.
        let target = host_of(&format!("http://{}", uri.host().unwrap_or_default()))?;
        if target != host {
            return Err(failure(url, "it can be read as leading to more than one host"));
        }
        let mut request = Request::builder().method(&question.method).uri(uri);
        for (name, value) in question.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = credentials.for_url(url) {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut request = request.body(()).map_err(|error| failure(url, error))?;
        let agent = self.agent()?;
        if let Some(deadline) = question.deadline {
            // A timeout of zero would be none at all.
            let rest = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            request = agent.configure_request(request).timeout_global(Some(rest)).build();
        }
        agent.run(request).map_err(|error| self.explain(url, &error))
    }

    /// A failure on the way, in words that hold no secret.
    pub(super) fn explain(&self, url: &str, error: &ureq::Error) -> Error {
        match error {
            // Texts that may hold the URL as it was given.
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => failure(url, "it is not a URL"),
            ureq::Error::Timeout(Timeout::PerRead) => {
                failure(url, format_args!("timeout: the server sent nothing for {:?}", self.patience.silence))
            }
            error => failure(url, error),
        }
    }
}

pub(super) fn failure(url: &str, what: impl std::fmt::Display) -> Error {
    Error::Other(format!("`{}`: {what}", public_url(url)))
}

pub(super) fn unexpected(url: &str, status: StatusCode) -> Error {
    failure(url, format_args!("the server answered {status}"))
}

/// Whether a server says that there is no such thing.
pub(super) fn is_absence(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND || status == StatusCode::GONE
}

pub(super) fn header(response: &Response<Body>, name: &HeaderName) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

pub(super) fn attributes(response: &Response<Body>) -> Attributes {
    Attributes {
        size: header(response, &CONTENT_LENGTH).and_then(|size| size.parse().ok()),
        entity_tag: header(response, &ETAG),
        last_modified: header(response, &LAST_MODIFIED),
    }
}

/// Where a `Location` leads that was sent for `base` ([RFC 3986,
/// 5.2](https://www.rfc-editor.org/rfc/rfc3986#section-5.2)).
fn join(base: &str, location: &str) -> String {
    let Some((scheme, authority, rest)) = split(base).filter(|_| split(location).is_none()) else {
        return location.to_owned();
    };
    if location.starts_with("//") {
        return format!("{scheme}:{location}");
    }
    // What was given to know the user by is for the first host's eyes, and only for what was asked.
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    if location.starts_with(['?', '#']) {
        return format!("{scheme}://{authority}{path}{location}");
    }
    let (target, query) = location.split_at(location.find(['?', '#']).unwrap_or(location.len()));
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let whole = if target.starts_with('/') { target.to_owned() } else { format!("{folder}/{target}") };
    let mut parts = Vec::new();
    for part in whole.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if whole.ends_with("/.") || whole.ends_with("/..") {
        parts.push("");
    }
    format!("{scheme}://{authority}/{}{query}", parts.join("/"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::net::TcpListener;

    use super::super::Remote;
    use super::super::testing::serve;
    use super::*;

    fn plain(path: &str, port: u16) -> String {
        let found = |location: &str| format!("302 Found\r\nLocation: {location}");
        match path {
            "/file?key=hush" | "/folder/file" => {
                "200 OK\r\nContent-Length: 1234567890123\r\nETag: W/\"x\"\r\nLast-Modified: Tue, 01 Jul 2025 10:00:00 GMT"
            }
            "/bare" => "200 OK",
            "/gone" => "410 Gone",
            "/secret" => "403 Forbidden",
            "/stall?hush" => "",
            "/odd" => "302 Found",
            "/relative/x" => return found("../folder/./file"),
            "/rooted" => return found("/relative/x"),
            "/absolute" => return found(&format!("http://localhost:{port}/bare")),
            "/schemeless" => return found(&format!("//127.0.0.1:{port}/bare")),
            "/loop" => return found("/loop"),
            "/ftp" => return found("ftp://127.0.0.1/x"),
            "/nonsense" => return found("http://u:hush@ / ?hush"),
            _ => "404 Not Found",
        }
        .to_owned()
    }

    fn local(host: &str) -> bool {
        host == "127.0.0.1"
    }

    #[test]
    fn attributes_are_told() {
        let (port, asked) = serve(plain);
        let remote = Remote::new();
        let told =
            remote.stat_for(&format!("http://127.0.0.1:{port}/file?key=hush#fragment"), &local).unwrap().unwrap();
        assert_eq!(told.size, Some(1_234_567_890_123));
        assert_eq!(told.entity_tag.as_deref(), Some("W/\"x\""));
        assert_eq!(told.last_modified.as_deref(), Some("Tue, 01 Jul 2025 10:00:00 GMT"));
        let request = asked.recv().unwrap().to_lowercase();
        assert!(request.starts_with("head /file?key=hush http/1.1"), "{request}");
        assert!(request.contains("accept-encoding: identity") && request.contains("user-agent: aurum/"), "{request}");

        let told = remote.stat_for(&format!("http://127.0.0.1:{port}/bare"), &local).unwrap().unwrap();
        assert_eq!(told, Attributes::default());
        for path in ["gone", "missing"] {
            assert_eq!(remote.stat_for(&format!("http://127.0.0.1:{port}/{path}"), &local).unwrap(), None);
        }
    }

    #[test]
    fn failures_name_the_status_and_no_secret() {
        let (port, _asked) = serve(plain);
        for (path, told) in
            [("secret", "403 Forbidden"), ("odd", "302 Found"), ("nonsense", ""), ("ftp", "no such address")]
        {
            let asked = Remote::new().stat_for(&format!("http://u:hush@127.0.0.1:{port}/{path}"), &|_| true);
            let Err(Error::Other(error)) = asked else { panic!("{asked:?}") };
            assert!(error.contains(told) && !error.contains("hush"), "{error}");
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = Remote::new().stat_for(&format!("http://u:hush@127.0.0.1:{free}/?hush"), &local).unwrap_err();
        assert!(matches!(&error, Error::Other(error) if !error.contains("hush")), "{error}");
    }

    #[test]
    fn redirects_are_followed_where_they_may_lead() {
        let (port, asked) = serve(plain);
        let stat = |path: &str, allowed: Allowed<'_>| {
            Remote::new().stat_for(&format!("http://127.0.0.1:{port}/{path}"), allowed)
        };
        assert!(stat("rooted", &local).unwrap().unwrap().size.is_some());
        assert!(stat("schemeless", &local).unwrap().is_some());
        assert!(stat("absolute", &|_| true).unwrap().is_some());
        assert_eq!(asked.try_iter().count(), 3 + 2 + 2);
        assert!(matches!(stat("absolute", &local), Err(Error::Denied(host)) if host == "localhost"));
        assert_eq!(asked.try_iter().count(), 1, "the host that was refused was not asked");
        assert!(matches!(stat("loop", &local), Err(Error::Other(error)) if error.contains("5 redirects")));
        assert_eq!(asked.try_iter().count(), 6);
    }

    #[test]
    fn a_server_that_stalls_is_given_up() {
        let (port, _asked) = serve(plain);
        let patience = Patience { whole: Duration::from_millis(300), ..Patience::ORDINARY };
        let remote = Remote { client: Client::new(patience, None), login: Login::default(), asks_nobody: false };
        let start = Instant::now();
        let error = remote.stat_for(&format!("http://127.0.0.1:{port}/stall?hush"), &local).unwrap_err().to_string();
        assert!(error.contains("timeout") && !error.contains("hush"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn locations_are_joined() {
        for (location, joined) in [
            ("https://x.org/y", "https://x.org/y"),
            ("//x.org/y", "http://x.org/y"),
            ("/y?z", "http://h:1/y?z"),
            ("y", "http://h:1/a/y"),
            ("../y/./z", "http://h:1/y/z"),
            ("../../../y", "http://h:1/y"),
            ("..", "http://h:1/"),
            ("?z", "http://h:1/a/b?z"),
            ("y?u=http://x.org/", "http://h:1/a/y?u=http://x.org/"),
        ] {
            assert_eq!(join("http://u:p@h:1/a/b?q#f", location), joined, "{location}");
        }
        assert_eq!(join("http://h", "y"), "http://h/y");
    }

    #[test]
    fn user_info_is_for_the_first_server_alone() {
        let (port, asked) = serve(plain);
        let stat = |path: &str| Remote::new().stat_for(&format!("http://me:hush@127.0.0.1:{port}/{path}"), &|_| true);
        stat("rooted").unwrap();
        let told: Vec<_> = asked.try_iter().collect();
        assert_eq!(told.len(), 3);
        let header = "authorization: basic bwu6ahvzaa==";
        assert!(told.iter().all(|request| request.to_lowercase().contains(header)), "{told:?}");
        stat("absolute").unwrap();
        let told: Vec<_> = asked.try_iter().collect();
        assert!(told[0].to_lowercase().contains(header), "{told:?}");
        assert!(!told[1].to_lowercase().contains("authorization"), "{told:?}");
        assert!(!told.concat().contains("hush"), "{told:?}");
    }
}
