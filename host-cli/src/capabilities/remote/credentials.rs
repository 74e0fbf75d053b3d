//! What a URL's user-info says to a server: basic authentication.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::http::HeaderValue;

use super::git_credential::{self, Question};
use super::secret::{Login, Secret};
use super::{Result, host_of, split};
use crate::capabilities::percent::decode;

/// The user-info of the URL that was asked for, meant for the server that it names and for no other.
pub(super) struct Credentials {
    origin: Option<Origin>,
    header: Option<HeaderValue>,
}

/// Scheme, host and port.
pub(super) type Origin = (String, String, String);

impl Credentials {
    pub(super) fn of(url: &str) -> Self {
        let header = user_info(url).and_then(|(name, password)| {
            let pair = [decode(name), b":".to_vec(), decode(password.unwrap_or_default())].concat();
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

/// What stands before the host: a user, and the password if there is one, as they were escaped.
pub(super) fn user_info(url: &str) -> Option<(&str, Option<&str>)> {
    let (_, authority, _) = split(url)?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password))))
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
}
