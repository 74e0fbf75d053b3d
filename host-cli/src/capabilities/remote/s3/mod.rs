//! Buckets: Amazon's S3, and the many servers that speak as it does.

mod answer;
mod program;
mod settings;
mod sign;
mod upload;

use std::io::Read;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, HOST, IF_MATCH, RANGE};
use ureq::http::{Method, Request, Response, StatusCode, Uri};
use ureq::{AsSendBody, Body};

use self::answer::Page;
use self::settings::{Settings, Sources};
use self::sign::{EMPTY, Signed, escape};
pub(super) use self::upload::Bucket;
use super::credentials::origin;
use super::git_credential::{self, Question};
use super::http::{Client, attributes, header};
use super::pieces::{Getter, Item, Source};
use super::secret::Login;
use super::{Allowed, Attributes, Error, Outset, Result, Stop, host_in, host_of, split};

/// A bucket, and what of it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) bucket: String,
    /// An object, or what the names of objects begin with.
    pub(super) key: String,
}

impl Address {
    /// `s3://bucket/key`; the key is taken as it is written.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = |what: &str| Error::Other(format!("`{}` {what}", url.escape_debug()));
        let rest = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("s3://")).map(|_| &url[5..]);
        let Some(rest) = rest else { return Err(wrong("is no address of S3")) };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains('@') {
            // It may hold a secret.
            return Err(Error::Other("an address of S3 holds no key: give it by `--api` and `--key`".to_owned()));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if bucket.is_empty() || !bucket.bytes().all(plain) || bucket.starts_with('.') || bucket.len() > 255 {
            return Err(wrong("names no bucket"));
        }
        if key.chars().any(char::is_control) || key.len() > 1024 {
            return Err(wrong("names no object"));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Where the requests go.
struct Endpoint {
    /// `https://host:port`
    origin: String,
    /// The host with its port.
    authority: String,
    /// Before the key, escaped.
    path: String,
}

/// A server of buckets, as far as one of them goes.
pub(super) struct Service<'c> {
    client: &'c Client,
    allowed: Allowed<'c>,
    settings: Settings,
    bucket: String,
    /// Of the bucket, which the server may know better.
    region: Mutex<String>,
    /// Whether it has answered: a connection that breaks then is worth another.
    answered: AtomicBool,
}

/// A request to be signed and sent.
struct Ask<'r> {
    method: Method,
    key: &'r str,
    query: &'r [(&'r str, &'r str)],
    headers: &'r [(&'r str, String)],
    /// SHA-256 of what is sent along.
    content: &'r str,
    deadline: Option<Instant>,
}

impl<'r> Ask<'r> {
    fn new(method: Method, key: &'r str) -> Self {
        Self { method, key, query: &[], headers: &[], content: EMPTY, deadline: None }
    }
}

/// The host that a bucket's requests go to.
pub(super) fn host(login: &Login, git: &dyn Fn(&str) -> Option<String>, address: &Address) -> Result<String> {
    let settings = find(login, git)?;
    host_of(&endpoint(&settings, &settings.region, &address.bucket)?.origin)
}

/// Where a bucket is, without what opens it.
fn find(login: &Login, git: &dyn Fn(&str) -> Option<String>) -> Result<Settings> {
    Settings::find(&Sources { login, environment: &|name| std::env::var_os(name), git, programs: false, known: None })
}

/// What a login is kept for: each bucket has keys of its own, and each server buckets of its own.
pub(super) struct Lock {
    host: String,
    port: Option<u16>,
    bucket: String,
}

impl Lock {
    /// Of the bucket at an address.
    pub(super) fn of(login: &Login, git: &dyn Fn(&str) -> Option<String>, address: &Address) -> Result<Self> {
        Self::at(find(login, git)?.endpoint.as_deref(), &address.bucket)
    }

    fn at(endpoint: Option<&str>, bucket: &str) -> Result<Self> {
        let told = endpoint.unwrap_or("s3.amazonaws.com");
        let told = if told.contains("://") { told.to_owned() } else { format!("https://{told}") };
        let (scheme, host, port) = origin(&told).ok_or_else(no_endpoint)?;
        // `Host` and `host:443` are the same server.
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = port.parse().ok().filter(|port| *port != usual);
        Ok(Self { host, port, bucket: bucket.to_owned() })
    }

    pub(super) fn question(&self) -> Question<'_> {
        Question {
            protocol: "s3",
            host: &self.host,
            port: self.port,
            path: Some(&self.bucket),
            user: None,
            helpers: false,
        }
    }
}

fn no_endpoint() -> Error {
    Error::Other("the endpoint for S3 is no address such as `https://s3.example.org`".to_owned())
}

fn endpoint(settings: &Settings, region: &str, bucket: &str) -> Result<Endpoint> {
    if let Some(endpoint) = &settings.endpoint {
        let told = if endpoint.contains("://") { endpoint.clone() } else { format!("https://{endpoint}") };
        let parts = split(&told).filter(|(scheme, authority, _)| {
            matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
                && host_in(authority).is_some()
                && !authority.contains('@')
        });
        let Some((scheme, authority, path)) = parts else {
            return Err(no_endpoint());
        };
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        return Ok(Endpoint {
            origin: format!("{scheme}://{authority}"),
            authority: authority.to_owned(),
            path: format!("{path}/{bucket}"),
        });
    }
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // A certificate for `*.` covers no further dot.
    let (authority, path) = if bucket.bytes().all(plain) {
        (format!("{bucket}.s3.{region}.{end}"), String::new())
    } else {
        (format!("s3.{region}.{end}"), format!("/{bucket}"))
    };
    Ok(Endpoint { origin: format!("https://{authority}"), authority, path })
}

impl<'c> Service<'c> {
    pub(super) fn new(client: &'c Client, login: &Login, outset: &Outset<'c>, bucket: &str) -> Result<Self> {
        let known =
            |endpoint: Option<&str>| git_credential::fill(outset.folder, &Lock::at(endpoint, bucket)?.question());
        let settings = Settings::find(&Sources {
            login,
            environment: &|name| std::env::var_os(name),
            git: outset.setting,
            programs: !outset.asks_nobody,
            known: Some(&known),
        })?;
        let region = Mutex::new(settings.region.clone());
        let bucket = bucket.to_owned();
        Ok(Self { client, allowed: outset.allowed, settings, bucket, region, answered: AtomicBool::new(false) })
    }

    /// Where the bucket is.
    pub(super) fn address(&self) -> Result<String> {
        let Endpoint { origin, path, .. } = endpoint(&self.settings, &self.settings.region, &self.bucket)?;
        Ok(format!("{origin}{path}"))
    }

    /// An object's attributes; none when there is no such object.
    pub(super) fn stat(&self, key: &str) -> Result<Option<Attributes>> {
        let deadline = Some(Instant::now() + self.client.patience.whole);
        let response = self.ask(&Ask { deadline, ..Ask::new(Method::HEAD, key) })?;
        match response.status() {
            StatusCode::OK => Ok(Some(attributes(&response))),
            StatusCode::NOT_FOUND => Ok(None),
            _ => {
                // Why is told in a content, and this question has none.
                let headers = [(RANGE.as_str(), "bytes=0-0".to_owned())];
                let told = self.ask(&Ask { headers: &headers, deadline, ..Ask::new(Method::GET, key) })?;
                Err(self.refusal(key, if told.status().is_success() { response } else { told }))
            }
        }
    }

    /// Whether the keys open the bucket, as far as what is named of it goes.
    pub(super) fn try_keys(&self, key: &str) -> Result<()> {
        // Who may read one object need not be allowed to list all.
        if !key.is_empty() && !key.ends_with('/') && matches!(self.stat(key), Ok(Some(_))) {
            return Ok(());
        }
        self.page(key, None).map(drop)
    }

    /// All objects whose names begin so; none when there is no such bucket.
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let Page { objects, next } = self.page(prefix, token.as_deref())?;
            for object in objects {
                let path = object.key.strip_prefix(prefix).unwrap_or(&object.key).to_owned();
                items.push(Item {
                    path,
                    key: object.key,
                    size: Some(object.size),
                    version: object.entity_tag,
                    modified: object.modified,
                });
            }
            match next {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                Some(_) => return Err(self.failure(prefix, "the server lists the same objects again and again")),
                None => return Ok(items),
            }
        }
    }

    /// A part of the list. Names are not to be escaped, since some servers say that they do that, and don't; unless they hold what XML
    /// can't.
    fn page(&self, prefix: &str, token: Option<&str>) -> Result<Page> {
        let mut query = vec![("list-type", "2"), ("prefix", prefix)];
        query.extend(token.map(|token| ("continuation-token", token)));
        if let Some(page) = self.list_by(prefix, &query)? {
            return Ok(page);
        }
        query.push(("encoding-type", "url"));
        let page = self.list_by(prefix, &query)?;
        page.ok_or_else(|| self.failure(prefix, "the server's list of objects can't be read"))
    }

    fn list_by(&self, prefix: &str, query: &[(&str, &str)]) -> Result<Option<Page>> {
        let response = self.ask(&Ask { query, ..Ask::new(Method::GET, "") })?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(prefix, response));
        }
        let body = self.read_text(prefix, response)?;
        Ok(answer::page(&body))
    }

    /// Signs and sends, to where the bucket is, again where the server has no time just now.
    fn ask(&self, ask: &Ask<'_>) -> Result<Response<Body>> {
        self.ask_with(ask, || ())
    }

    fn ask_with<B: AsSendBody>(&self, ask: &Ask<'_>, body: impl Fn() -> B) -> Result<Response<Body>> {
        /// How often it is asked again, in all.
        const MOST: u32 = 4;
        let mut tries = 0;
        let mut moved = false;
        loop {
            let asked = self.send(ask, body());
            let again = match &asked {
                Ok(response) => {
                    self.answered.store(true, Ordering::Relaxed);
                    if !moved && self.moves(response) {
                        moved = true;
                        continue;
                    }
                    matches!(response.status().as_u16(), 500 | 502 | 503 | 504)
                }
                Err(Stop::Broken(_)) => self.answered.load(Ordering::Relaxed),
                Err(Stop::Failed(_)) => false,
            };
            let in_time = ask.deadline.is_none_or(|deadline| Instant::now() < deadline);
            if !again || tries == MOST || !in_time {
                return asked.map_err(Stop::into_error);
            }
            std::thread::sleep(self.client.patience.pause * 2_u32.pow(tries));
            tries += 1;
        }
    }

    /// Whether the bucket is in another region, which is asked from now on.
    fn moves(&self, response: &Response<Body>) -> bool {
        if !matches!(response.status().as_u16(), 301 | 307 | 400 | 403) {
            return false;
        }
        let told = response.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
        let plain = |region: &&str| region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let Some(told) = told.filter(plain).filter(|region| !region.is_empty()) else { return false };
        let mut region = self.region.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let moves = *region != told;
        told.clone_into(&mut region);
        moves
    }

    fn send(&self, ask: &Ask<'_>, body: impl AsSendBody) -> Result<Response<Body>, Stop> {
        let region = self.region.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let endpoint = endpoint(&self.settings, &region, &self.bucket)?;
        let host = host_of(&endpoint.origin)?;
        if !(self.allowed)(&host) {
            return Err(Error::Denied(host).into());
        }
        let path = format!("{}/{}", endpoint.path, escape(ask.key, true));
        let mut query: Vec<String> =
            ask.query.iter().map(|(name, value)| format!("{name}={}", escape(value, false))).collect();
        query.sort_unstable();
        let query = query.join("&");
        let address = format!("{}{path}{}{query}", endpoint.origin, if query.is_empty() { "" } else { "?" });
        let uri = address.parse::<Uri>().map_err(|_| self.failure(ask.key, "it makes no address"))?;
        let mut request = Request::builder().method(&ask.method).uri(uri).header(HOST, &endpoint.authority);
        for (name, value) in ask.headers {
            request = request.header(*name, value);
        }
        if let Some(opener) = &self.settings.keys {
            let keys = opener.keys()?;
            let moment = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
            let mut headers: Vec<(String, String)> = vec![
                ("host".to_owned(), endpoint.authority.clone()),
                ("x-amz-content-sha256".to_owned(), ask.content.to_owned()),
                ("x-amz-date".to_owned(), moment.clone()),
            ];
            headers.extend(
                keys.token.as_ref().map(|token| ("x-amz-security-token".to_owned(), token.reveal().to_owned())),
            );
            let of_amazon = |name: &str| name.starts_with("x-amz-");
            let own = ask.headers.iter().filter(|(name, _)| of_amazon(name));
            headers.extend(own.map(|(name, value)| ((*name).to_owned(), value.clone())));
            headers.sort_unstable();
            let method = ask.method.as_str();
            let signed = Signed {
                method,
                path: &path,
                query: &query,
                headers: &headers,
                region: &region,
                moment: &moment,
                content: ask.content,
            };
            let authorization = signed.authorization(&keys);
            for (name, value) in
                headers.iter().filter(|(name, _)| name != "host" && !ask.headers.iter().any(|(own, _)| own == name))
            {
                request = request.header(name, value);
            }
            request = request.header("authorization", authorization);
        }
        // What can't be a header is told without it: it may be a secret.
        let request =
            request.body(body).map_err(|_| self.failure(ask.key, "a key or a setting holds what no request can"))?;
        let agent = self.client.agent()?;
        let answer = if let Some(deadline) = ask.deadline {
            let rest = deadline.saturating_duration_since(Instant::now()).max(std::time::Duration::from_millis(1));
            agent.run(agent.configure_request(request).timeout_global(Some(rest)).build())
        } else {
            agent.run(request)
        };
        answer.map_err(|error| {
            let is_timeout = matches!(error, ureq::Error::Timeout(_));
            let told = self.failure(ask.key, self.client.explain(&endpoint.origin, &error));
            if is_timeout { Stop::Failed(told) } else { Stop::Broken(told) }
        })
    }

    fn read_text(&self, key: &str, response: Response<Body>) -> Result<String> {
        let mut text = Vec::new();
        let mut body = response.into_body().into_reader().take(answer::MOST);
        body.read_to_end(&mut text).map_err(|error| self.failure(key, ureq::Error::from(error)))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// An answer that is none, in words that hold no secret.
    fn refusal(&self, key: &str, response: Response<Body>) -> Error {
        let status = response.status();
        let code = self.read_text(key, response).ok().and_then(|body| answer::code(&body));
        let named = code.as_deref().map_or_else(|| status.to_string(), |code| format!("{status}, {code}"));
        let what = match (code.as_deref(), status) {
            (Some("SignatureDoesNotMatch"), _) => "the server refuses the key: its secret is another",
            (Some("InvalidAccessKeyId"), _) => "the server knows no such key",
            (Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired"), _) => "the key holds no longer",
            (Some("RequestTimeTooSkewed"), _) => "this computer's clock and the server's are too far apart",
            (Some("NoSuchBucket"), _) => "there is no such bucket",
            (_, StatusCode::PRECONDITION_FAILED) => "it changed while it was downloaded",
            (_, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) if self.settings.keys.is_none() => {
                "not everybody may do that, and no key was given"
            }
            (_, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => {
                "the server refuses the key: it is wrong, or may not do that"
            }
            (_, StatusCode::NOT_FOUND) => "there is no such bucket or object",
            _ => "the server did not do what it was asked",
        };
        self.failure(key, format_args!("{what} ({named})"))
    }

    fn failure(&self, key: &str, what: impl std::fmt::Display) -> Error {
        Error::Other(format!("`s3://{}/{}`: {what}", self.bucket, key.escape_debug()))
    }

    /// Bytes of an object, of the version that the item tells, as they come.
    fn get(&self, item: &Item, range: &Range<u64>, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<(), Stop> {
        if range.is_empty() {
            return Ok(());
        }
        let mut headers = vec![(RANGE.as_str(), format!("bytes={}-{}", range.start, range.end - 1))];
        // A weak one would never match.
        let strong = item.version.clone().filter(|tag| !tag.starts_with("W/"));
        headers.extend(strong.map(|tag| (IF_MATCH.as_str(), tag)));
        let response = self.ask(&Ask { headers: &headers, ..Ask::new(Method::GET, &item.key) })?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let wanted = format!("bytes {}-{}/", range.start, range.end - 1);
                let told = header(&response, &CONTENT_RANGE).unwrap_or_default();
                let whole = told.strip_prefix(&wanted).map(|whole| whole.parse::<u64>().ok().or(item.size));
                if whole != Some(item.size) {
                    let what = format!("`{}` is not what was asked for, of {:?} bytes", told.escape_debug(), item.size);
                    return Err(self.failure(&item.key, what).into());
                }
            }
            // The server sends all, whatever is asked for.
            StatusCode::OK if range.start == 0 && item.size == Some(range.end) => {}
            StatusCode::OK => return Err(self.failure(&item.key, "the server can't send a part of it").into()),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(self.failure(&item.key, "it is shorter than the server said").into());
            }
            _ => return Err(self.refusal(&item.key, response).into()),
        }
        let length = header(&response, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if let Some(length) = length.filter(|length| *length != range.end - range.start) {
            let what = format!("the server announces {length} bytes where {} were asked for", range.end - range.start);
            return Err(self.failure(&item.key, what).into());
        }
        let mut body = response.into_body().into_reader();
        let mut piece = vec![0; 1 << 16];
        loop {
            match body.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => sink(&piece[..count])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => match ureq::Error::from(error) {
                    ureq::Error::Timeout(_) => {
                        let silence = self.client.patience.silence;
                        let what = format!("timeout: the server sent nothing for {silence:?}");
                        return Err(self.failure(&item.key, what).into());
                    }
                    error => return Err(Stop::Broken(self.failure(&item.key, error))),
                },
            }
        }
    }
}

impl Source for Service<'_> {
    fn connect(&self) -> Result<Box<dyn Getter + '_>, Stop> {
        Ok(Box::new(Connection(self)))
    }

    fn is_seekable(&self) -> bool {
        true
    }
}

/// The client holds connections of its own.
struct Connection<'s>(&'s Service<'s>);

impl Getter for Connection<'_> {
    fn get(&mut self, item: &Item, range: &Range<u64>, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<(), Stop> {
        self.0.get(item, range, sink)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_are_written() {
        let read = |url: &str| Address::parse(url).map(|address| (address.bucket, address.key)).ok();
        let is = |bucket: &str, key: &str| Some((bucket.to_owned(), key.to_owned()));
        assert_eq!(read("s3://bucket-name/dataset.csv"), is("bucket-name", "dataset.csv"));
        assert_eq!(read("S3://b/a b/%20?#@"), is("b", "a b/%20?#@"));
        assert_eq!(read("s3://b"), is("b", ""));
        for url in ["s3://", "s3:///a", "s3://a b/c", "s3://key:secret@b/c", "s3://../a", "http://b/c", "s3://b/a\n"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        let error = Address::parse("s3://key:hush@b/c").unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn buckets_are_found() {
        let settings = |endpoint: Option<&str>| Settings {
            endpoint: endpoint.map(str::to_owned),
            region: "eu-west-1".to_owned(),
            keys: None,
        };
        let at = |told: Option<&str>, bucket: &str| {
            let Endpoint { origin, path, .. } = endpoint(&settings(told), "eu-west-1", bucket).unwrap();
            origin + &path
        };
        assert_eq!(at(None, "bucket"), "https://bucket.s3.eu-west-1.amazonaws.com");
        assert_eq!(at(None, "a.b"), "https://s3.eu-west-1.amazonaws.com/a.b");
        assert_eq!(at(Some("http://127.0.0.1:9000/"), "b"), "http://127.0.0.1:9000/b");
        assert_eq!(at(Some("s3.example.org/x"), "b"), "https://s3.example.org/x/b");
        for odd in ["ftp://x", "http://", "http://u:hush@x", "a b"] {
            let error = endpoint(&settings(Some(odd)), "r", "b").err().unwrap().to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
