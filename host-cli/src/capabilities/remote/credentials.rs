//! What a URL's user-info says to a server: basic authentication.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::http::HeaderValue;

use super::git_credential::{self, Question};
use super::secret::{Login, Secret};
use super::{Result, host_of, split};

/// The user-info of the URL that was asked for, meant for the server that it names and for no other.
pub(super) struct Credentials {
    origin: Option<Origin>,
    header: Option<HeaderValue>,
}

/// Scheme, host and port.
pub(super) type Origin = (String, String, String);

impl Credentials {
    pub(super) fn of(url: &str) -> Self {
        let header = split(url).and_then(|(_, authority, _)| authority.rsplit_once('@')).and_then(|(user, _)| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let pair = [decode(name), b":".to_vec(), decode(password)].concat();
            if pair == b":" { None } else { basic(&pair) }
        });
        Self { origin: origin(url), header }
    }

    /// What git's helpers know for the server of this URL, unless something was given for one.
    pub(super) fn known_to_git(&self, folder: &Path, url: &str) -> Result<Option<Self>> {
        if self.header.is_some() || self.origin != origin(url) {
            return Ok(None);
        }
        let Some(origin) = origin(url) else { return Ok(None) };
        let login = git_credential::fill(folder, &question(&origin))?;
        Ok(login.map(|login| Self::given(url, &login)))
    }

    /// Those that the user has given for the server of this URL.
    pub(super) fn given(url: &str, login: &Login) -> Self {
        let text = |secret: &Option<Secret>| secret.as_ref().map_or("", Secret::reveal).to_owned();
        let header = basic(format!("{}:{}", text(&login.user), text(&login.password)).as_bytes());
        Self { origin: origin(url), header }
    }

    /// The header `Authorization` for a request to this URL.
    pub(super) fn for_url(&self, url: &str) -> Option<HeaderValue> {
        self.header.clone().filter(|_| self.origin.is_some() && self.origin == origin(url))
    }
}

fn basic(pair: &[u8]) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

pub(super) fn question((scheme, host, port): &Origin) -> Question<'_> {
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = port.parse().ok().filter(|port| *port != usual);
    Question { protocol: scheme, host, port, path: None, user: None, helpers: true }
}

pub(super) fn origin(url: &str) -> Option<Origin> {
    let (scheme, authority, _) = split(url)?;
    let scheme = scheme.to_ascii_lowercase();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let port =
        place.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let usual = if scheme == "https" { "443" } else { "80" };
    let port = port.filter(|port| !port.is_empty()).unwrap_or(usual).to_owned();
    Some((scheme, host_of(url).ok()?, port))
}

/// Undoes percent-encoding; a `%` that begins none stands for itself.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn user_info_becomes_a_header_for_its_own_server() {
        let credentials = Credentials::of("HTTPS://Aladdin:open%20sesame@example.org/x");
        let header = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        for url in ["https://example.org/y", "https://EXAMPLE.org:443", "https://example.org.:/"] {
            assert_eq!(credentials.for_url(url).unwrap(), header, "{url}");
        }
        for url in [
            "http://example.org/x",
            "https://example.org:8443/x",
            "https://www.example.org/x",
            "https://example.org@evil.org/",
            "nonsense",
        ] {
            assert_eq!(credentials.for_url(url), None, "{url}");
        }
        let address = Credentials::of("http://a@[::1]:80/");
        assert_eq!(address.for_url("http://[::1]/").unwrap(), "Basic YTo=");
        assert_eq!(address.for_url("http://[::1]:81/"), None);
        for url in ["http://example.org/", "http://@example.org/", "http://:@example.org/"] {
            assert_eq!(Credentials::of(url).for_url(url), None, "{url}");
        }
    }

    #[test]
    fn percent_encoding_is_undone() {
        for (text, decoded) in [("a%40b%3a%2F", "a@b:/"), ("%", "%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("é", "é")] {
            assert_eq!(decode(text), decoded.as_bytes(), "{text}");
        }
    }
}
