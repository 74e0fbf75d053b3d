//! What lies elsewhere on the network.
//!
//! Only the cargo feature `network` brings HTTP with it; without, every question is answered with an error in clear words.

use super::{Error, Result};

/// What a server says of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Bytes, where the server says.
    pub size: Option<u64>,
    /// `ETag`, as it was sent.
    pub entity_tag: Option<String>,
    /// `Last-Modified`, as it was sent.
    pub last_modified: Option<String>,
}

/// Asks servers.
#[derive(Debug)]
pub struct Remote {
    #[cfg(feature = "network")]
    client: http::Client,
}

impl Remote {
    /// Nothing is connected to before something is asked. Proxies are those of the environment (`HTTPS_PROXY`, …).
    #[allow(clippy::new_without_default, reason = "a thing that reaches the network should be asked for by name")]
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "network")]
            client: http::Client::new(http::WHOLE_TIMEOUT),
        }
    }

    /// A resource's attributes, without its content; none when the server says that there is no such thing.
    ///
    /// `allowed` is asked for each host before anything is sent to it, those that redirects lead to included; a host it does
    /// not allow is an [`Error::Denied`] that names the host. No error text repeats the URL's user-info or query.
    pub fn stat(&self, url: &str, allowed: &dyn Fn(&str) -> bool) -> Result<Option<Attributes>> {
        let host = host_of(url)?;
        if !allowed(&host) {
            return Err(Error::Denied(host));
        }
        #[cfg(feature = "network")]
        return self.client.stat(url, allowed);
        #[cfg(not(feature = "network"))]
        Err(Error::Other(format!("`{}`: this build of Aurum reaches no server", public_url(url))))
    }
}

/// The host that a URL leads to, for the grants: in lower case, without user-info and port.
pub fn host_of(url: &str) -> Result<String> {
    let host = split(url).and_then(|(_, authority, _)| host_in(authority));
    host.ok_or_else(|| Error::Other(format!("`{}` is not a URL with a host", public_url(url))))
}

/// A URL fit for people and files: without user-info, query and fragment, which may be secrets.
pub(crate) fn public_url(url: &str) -> String {
    match split(url) {
        Some((scheme, authority, path)) if host_in(authority).is_some() => {
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{}", path.split(['?', '#']).next().unwrap_or_default()).escape_debug().to_string()
        }
        // Nobody knows which part of it is which.
        Some((scheme, ..)) => format!("{scheme}://…"),
        None => "…".to_owned(),
    }
}

/// Scheme, authority, and the rest.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let valid = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    valid.then_some((scheme, authority, rest))
}

/// None unless every reader of the authority would take the same part of it for the host.
fn host_in(authority: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let (user, place) = authority.split_once('@').unwrap_or(("", authority));
    let sound = user.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\[]<>\"`^{}|".contains(&byte));
    let (host, port) = match place.strip_prefix('[') {
        Some(place) => {
            let (address, port) = place.split_once(']')?;
            (address.parse::<std::net::Ipv6Addr>().ok()?.to_string(), port.strip_prefix(':').unwrap_or(port))
        }
        None => {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            (host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(), port)
        }
    };
    let known = host.contains(':') || (!host.is_empty() && host.bytes().all(plain));
    (sound && known && port.bytes().all(|digit| digit.is_ascii_digit())).then_some(host)
}

#[cfg(feature = "network")]
mod http {
    use std::time::{Duration, Instant};

    use ureq::http::header::{CONTENT_LENGTH, ETAG, HeaderName, LAST_MODIFIED, LOCATION};
    use ureq::http::{Response, StatusCode, Uri};
    use ureq::{Agent, Body};

    use super::{Attributes, Error, Result, host_of, public_url, split};

    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    pub(super) const WHOLE_TIMEOUT: Duration = Duration::from_secs(30);
    const MAX_REDIRECTS: usize = 5;

    #[derive(Debug)]
    pub(super) struct Client {
        agent: Agent,
        timeout: Duration,
    }

    impl Client {
        pub(super) fn new(timeout: Duration) -> Self {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                // Followed here, where each host can be asked for.
                .max_redirects(0)
                .timeout_connect(Some(CONNECT_TIMEOUT))
                .user_agent(concat!("aurum/", env!("CARGO_PKG_VERSION")))
                // Otherwise a server may tell the size of a compressed form.
                .accept_encoding("identity")
                .build();
            Self { agent: config.new_agent(), timeout }
        }

        pub(super) fn stat(&self, url: &str, allowed: &dyn Fn(&str) -> bool) -> Result<Option<Attributes>> {
            let deadline = Instant::now() + self.timeout;
            let mut url = url.to_owned();
            for _ in 0..=MAX_REDIRECTS {
                let host = host_of(&url)?;
                if !allowed(&host) {
                    return Err(Error::Denied(host));
                }
                let response = self.ask(&url, &host, deadline)?;
                let status = response.status();
                match header(&response, &LOCATION) {
                    Some(location) if status.is_redirection() => url = join(&url, &location),
                    _ if status.is_success() => return Ok(Some(attributes(&response))),
                    _ if status == StatusCode::NOT_FOUND || status == StatusCode::GONE => return Ok(None),
                    _ => return Err(failure(&url, format_args!("the server answered {status}"))),
                }
            }
            Err(failure(&url, format_args!("more than {MAX_REDIRECTS} redirects lead there")))
        }

        fn ask(&self, url: &str, host: &str, deadline: Instant) -> Result<Response<Body>> {
            let uri = url.parse::<Uri>().map_err(|error| failure(url, error))?;
            if !matches!(uri.scheme_str(), Some("http" | "https")) {
                return Err(failure(url, "only `http` and `https` are understood"));
            }
            // The grant is for the host that was read out of the URL here: what is connected to must be the same.
            let target = host_of(&format!("http://{}", uri.host().unwrap_or_default()))?;
            if target != host {
                return Err(failure(url, "it can be read as leading to more than one host"));
            }
            // A timeout of zero would be none at all.
            let rest = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let request = self.agent.head(uri).config().timeout_global(Some(rest)).build();
            request.call().map_err(|error| match error {
                // Texts that may hold the URL as it was given.
                ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => failure(url, "it is not a URL"),
                error => failure(url, error),
            })
        }
    }

    fn failure(url: &str, what: impl std::fmt::Display) -> Error {
        Error::Other(format!("`{}`: {what}", public_url(url)))
    }

    fn header(response: &Response<Body>, name: &HeaderName) -> Option<String> {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    fn attributes(response: &Response<Body>) -> Attributes {
        Attributes {
            size: header(response, &CONTENT_LENGTH).and_then(|size| size.parse().ok()),
            entity_tag: header(response, &ETAG),
            last_modified: header(response, &LAST_MODIFIED),
        }
    }

    /// Where a `Location` leads that was sent for `base` ([RFC 3986, 5.2](https://www.rfc-editor.org/rfc/rfc3986#section-5.2)).
    pub(super) fn join(base: &str, location: &str) -> String {
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_out_of_urls() {
        for (url, host) in [
            ("http://example.org", "example.org"),
            ("https://EXAMPLE.org:8443/a@b?c@d", "example.org"),
            ("https://user:pass@example.org/", "example.org"),
            ("https://example.org.?x", "example.org"),
            ("s3://my_bucket/key", "my_bucket"),
            ("http://[::1]:80/", "::1"),
            ("http://127.0.0.1#x", "127.0.0.1"),
        ] {
            assert_eq!(host_of(url).unwrap(), host, "{url}");
        }
        for url in [
            "",
            "example.org",
            "http:///path",
            "http://",
            "http://good.org\\@evil.org/",
            "http://a@good.org@evil.org/",
            "http://good.org evil.org/",
            "http://good.org:80:90/",
            "http://good.org%2fevil.org/",
            "http://gööd.org/",
            "http://[good.org]/",
            "http://[::1]evil.org/",
            "http://user:pa/ss@host/",
            "1http://a/",
        ] {
            assert!(host_of(url).is_err(), "{url}");
        }
    }

    #[test]
    fn public_urls_hold_no_secrets() {
        for (url, public) in [
            ("https://user:hush@example.org:81/a/b?sig=hush#hush", "https://example.org:81/a/b"),
            ("https://example.org?hush", "https://example.org"),
            ("http://user:hu/sh@example.org/", "http://…"),
            ("http://user:hu?sh@example.org/", "http://…"),
            ("http://a:hush@hush@example.org/", "http://…"),
            ("user:hush@example.org", "…"),
            ("https://unpkg.com/react@18/x.js", "https://unpkg.com/react@18/x.js"),
        ] {
            assert_eq!(public_url(url), public, "{url}");
        }
    }

    #[test]
    fn an_ungranted_host_is_denied_before_anything() {
        let asked = Remote::new().stat("http://u:p@Example.invalid/x", &|_| false);
        assert!(matches!(asked, Err(Error::Denied(host)) if host == "example.invalid"));
    }

    #[test]
    fn other_schemes_are_refused_in_words() {
        let error = Remote::new().stat("ftp://u:hush@example.org/x?hush", &|_| true).unwrap_err().to_string();
        assert!(error.contains("`ftp://example.org/x`") && !error.contains("hush"), "{error}");
        #[cfg(feature = "network")]
        assert!(error.contains("only `http` and `https`"), "{error}");
    }

    #[cfg(feature = "network")]
    mod network {
        use std::io::{BufRead, BufReader, Write};
        use std::net::TcpListener;
        use std::time::{Duration, Instant};

        use super::*;

        /// Answers each request by its path, on loopback, and tells what it was asked for.
        fn serve(answer: impl Fn(&str, u16) -> String + Send + 'static) -> (u16, std::sync::mpsc::Receiver<String>) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let (sender, asked) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let mut stalled = Vec::new();
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut request = String::new();
                    while reader.read_line(&mut request).unwrap_or(0) > 2 {}
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    if sender.send(request).is_err() {
                        return;
                    }
                    match answer(&path, port).as_str() {
                        "" => stalled.push(stream),
                        head => {
                            let _ = write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
                        }
                    }
                }
            });
            (port, asked)
        }

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
                remote.stat(&format!("http://127.0.0.1:{port}/file?key=hush#fragment"), &local).unwrap().unwrap();
            assert_eq!(told.size, Some(1_234_567_890_123));
            assert_eq!(told.entity_tag.as_deref(), Some("W/\"x\""));
            assert_eq!(told.last_modified.as_deref(), Some("Tue, 01 Jul 2025 10:00:00 GMT"));
            let request = asked.recv().unwrap().to_lowercase();
            assert!(request.starts_with("head /file?key=hush http/1.1"), "{request}");
            assert!(
                request.contains("accept-encoding: identity") && request.contains("user-agent: aurum/"),
                "{request}"
            );

            let told = remote.stat(&format!("http://127.0.0.1:{port}/bare"), &local).unwrap().unwrap();
            assert_eq!(told, Attributes::default());
            for path in ["gone", "missing"] {
                assert_eq!(remote.stat(&format!("http://127.0.0.1:{port}/{path}"), &local).unwrap(), None);
            }
        }

        #[test]
        fn failures_name_the_status_and_no_secret() {
            let (port, _asked) = serve(plain);
            for (path, told) in
                [("secret", "403 Forbidden"), ("odd", "302 Found"), ("nonsense", ""), ("ftp", "only `http`")]
            {
                let asked = Remote::new().stat(&format!("http://u:hush@127.0.0.1:{port}/{path}"), &|_| true);
                let Err(Error::Other(error)) = asked else { panic!("{asked:?}") };
                assert!(error.contains(told) && !error.contains("hush"), "{error}");
            }
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let error = Remote::new().stat(&format!("http://u:hush@127.0.0.1:{free}/?hush"), &local).unwrap_err();
            assert!(matches!(&error, Error::Other(error) if !error.contains("hush")), "{error}");
        }

        #[test]
        fn redirects_are_followed_where_they_may_lead() {
            let (port, asked) = serve(plain);
            let stat = |path: &str, allowed: &dyn Fn(&str) -> bool| {
                Remote::new().stat(&format!("http://127.0.0.1:{port}/{path}"), allowed)
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
            let remote = Remote { client: http::Client::new(Duration::from_millis(300)) };
            let start = Instant::now();
            let error = remote.stat(&format!("http://127.0.0.1:{port}/stall?hush"), &local).unwrap_err().to_string();
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
                assert_eq!(http::join("http://u:p@h:1/a/b?q#f", location), joined, "{location}");
            }
            assert_eq!(http::join("http://h", "y"), "http://h/y");
        }
    }
}
