//! What lies elsewhere on the network.
//!
//! Only the cargo feature `network` brings HTTP with it; without, every question is answered with an error in clear
//! words.

use super::workspace::Workspace;
use super::{Error, Result};

#[cfg(feature = "network")]
mod credentials;
#[cfg(feature = "network")]
mod download;
#[cfg(feature = "network")]
mod http;
#[cfg(all(test, feature = "network"))]
mod testing;
#[cfg(feature = "network")]
mod trust;

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
    /// Nothing is connected to before something is asked. Proxies are those of the environment (`HTTPS_PROXY`, …), and
    /// so is a file of certificates to trust beside the usual ones (`SSL_CERT_FILE`).
    #[allow(clippy::new_without_default, reason = "a thing that reaches the network should be asked for by name")]
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "network")]
            client: http::Client::new(http::Patience::ORDINARY, std::env::var_os("SSL_CERT_FILE")),
        }
    }

    /// A resource's attributes, without its content; none when the server says that there is no such thing.
    ///
    /// `allowed` is asked for each host before anything is sent to it, those that redirects lead to included; a host it
    /// does not allow is an [`Error::Denied`] that names the host. The URL's user-info is sent to the server it names
    /// and to no other. No error text repeats the URL's user-info or query.
    pub fn stat(&self, url: &str, allowed: &dyn Fn(&str) -> bool) -> Result<Option<Attributes>> {
        check_host(url, allowed)?;
        #[cfg(feature = "network")]
        return self.client.stat(url, allowed);
        #[cfg(not(feature = "network"))]
        Err(no_network(url))
    }

    /// Downloads a resource to a path of the workspace, in place of what stands there, and answers its attributes;
    /// none, and nothing changed, when the server says that there is no such thing. Hosts and secrets are treated as by
    /// [`Remote::stat`].
    ///
    /// The file appears complete or not at all. That takes as long as it takes, but a server that sends nothing for
    /// half a minute is given up. A connection that breaks is made anew where the server can go on from there.
    pub fn fetch(
        &self,
        url: &str,
        workspace: &Workspace,
        path: &str,
        allowed: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Attributes>> {
        check_host(url, allowed)?;
        #[cfg(feature = "network")]
        return workspace.receive(path, |file| download::fetch(&self.client, url, file, allowed));
        #[cfg(not(feature = "network"))]
        {
            let _ = (workspace, path);
            Err(no_network(url))
        }
    }
}

fn check_host(url: &str, allowed: &dyn Fn(&str) -> bool) -> Result<()> {
    let host = host_of(url)?;
    if allowed(&host) { Ok(()) } else { Err(Error::Denied(host)) }
}

#[cfg(not(feature = "network"))]
fn no_network(url: &str) -> Error {
    Error::Other(format!("`{}`: this build of Aurum reaches no server", public_url(url)))
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

    /// Where nothing will be put.
    fn workspace() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::new(folder.path()).unwrap();
        (folder, workspace)
    }

    #[test]
    fn an_ungranted_host_is_denied_before_anything() {
        let url = "http://u:p@Example.invalid/x";
        let asked = Remote::new().stat(url, &|_| false);
        assert!(matches!(asked, Err(Error::Denied(host)) if host == "example.invalid"));
        let asked = Remote::new().fetch(url, &workspace().1, "x", &|_| false);
        assert!(matches!(asked, Err(Error::Denied(host)) if host == "example.invalid"));
    }

    #[test]
    fn other_schemes_are_refused_in_words() {
        let url = "ftp://u:hush@example.org/x?hush";
        let stat = Remote::new().stat(url, &|_| true).unwrap_err().to_string();
        let fetch = Remote::new().fetch(url, &workspace().1, "x", &|_| true).unwrap_err().to_string();
        for error in [stat, fetch] {
            assert!(error.contains("`ftp://example.org/x`") && !error.contains("hush"), "{error}");
            #[cfg(feature = "network")]
            assert!(error.contains("only `http` and `https`"), "{error}");
        }
    }
}
