//! What lies elsewhere on the network: on servers of HTTP, S3 and FTP.
//!
//! Only the cargo feature `network` brings these with it; without, every question is answered with an error in clear
//! words.

#[cfg(feature = "network")]
use std::collections::HashSet;
use std::path::Path;

#[cfg(feature = "network")]
pub use self::account::{has_password, is_of_bucket, is_of_server, user_in};
#[cfg(feature = "network")]
pub use self::git_credential::Keeper;
#[cfg(feature = "network")]
use self::listing::Listing;
pub use self::secret::{Login, Secret};
use super::store::Store;
use super::workspace::Workspace;
use super::{Error, Result};

#[cfg(feature = "network")]
mod account;
#[cfg(feature = "network")]
mod credentials;
#[cfg(feature = "network")]
pub(super) mod depot;
#[cfg(feature = "network")]
mod download;
#[cfg(feature = "network")]
mod folder;
#[cfg(feature = "network")]
mod ftp;
#[cfg(feature = "network")]
mod git_credential;
#[cfg(feature = "network")]
mod http;
#[cfg(feature = "network")]
mod listing;
#[cfg(feature = "network")]
pub(super) mod pieces;
#[cfg(feature = "network")]
mod s3;
mod secret;
#[cfg(feature = "network")]
pub(super) mod staging;
#[cfg(all(test, feature = "network"))]
mod testing;
#[cfg(feature = "network")]
mod trust;

/// What a server says of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Bytes, where the server says.
    pub size: Option<u64>,
    /// `ETag`, as it was sent; of a folder, a digest of what is in it.
    pub entity_tag: Option<String>,
    /// `Last-Modified`, as it was sent; of FTP, `MDTM`.
    pub last_modified: Option<String>,
}

/// Which hosts may be connected to.
pub type Allowed<'a> = &'a (dyn Fn(&str) -> bool + Sync);

/// What is asked from: all that servers are reached by, beside the environment.
#[derive(Clone, Copy)]
pub struct Outset<'o> {
    /// Asked for each host before anything is sent to it.
    pub allowed: Allowed<'o>,
    /// Git's settings.
    pub setting: &'o dyn Fn(&str) -> Option<String>,
    /// A folder of the repository, where git's helpers are asked.
    pub folder: &'o Path,
    /// Where downloads lie until they are whole.
    pub downloads: &'o Path,
    /// What is here already, where that may be used.
    pub store: Option<&'o Store>,
    /// Whether nothing is started that may ask somebody.
    pub asks_nobody: bool,
    /// Hears how many bytes there are, and how many there will be where that is known.
    pub tell: &'o (dyn Fn(u64, Option<u64>) + Sync),
}

/// Why it went no further.
#[cfg(feature = "network")]
#[derive(Debug)]
pub(in crate::capabilities) enum Stop {
    Failed(Error),
    /// The connection broke: trying again may help.
    Broken(Error),
}

#[cfg(feature = "network")]
impl Stop {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) | Self::Broken(error) => error,
        }
    }
}

#[cfg(feature = "network")]
impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Asks servers.
#[derive(Debug)]
pub struct Remote {
    #[cfg(feature = "network")]
    client: http::Client,
    login: Login,
    asks_nobody: bool,
}

impl Remote {
    /// Nothing is connected to before something is asked. Proxies are those of the environment (`HTTPS_PROXY`, …), and
    /// so is a file of certificates to trust beside the usual ones (`SSL_CERT_FILE`).
    #[allow(clippy::new_without_default, reason = "a thing that reaches the network should be asked for by name")]
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "network")]
            client: http::Client::new(http::Patience::ORDINARY, std::env::var_os("SSL_CERT_FILE")),
            login: Login::default(),
            asks_nobody: false,
        }
    }

    /// Has nothing started from now on that may ask somebody, such as a program that tells keys.
    pub(crate) fn ask_nobody(&mut self) {
        self.asks_nobody = true;
    }

    pub(crate) fn asks_nobody(&self) -> bool {
        self.asks_nobody
    }

    /// Whom the servers of S3 and FTP are to take us for.
    pub(crate) fn log_in(&mut self, login: Login) {
        self.login = login;
    }

    /// The host that is connected to for an address: a bucket's name is none.
    pub(crate) fn host_of(&self, url: &str, setting: &dyn Fn(&str) -> Option<String>) -> Result<String> {
        #[cfg(feature = "network")]
        if scheme_of(url) == "s3" {
            return s3::host(&self.login, setting, &s3::Address::parse(url)?);
        }
        let _ = setting;
        host_of(url)
    }

    /// A resource's attributes, without its content; none when the server says that there is no such thing.
    ///
    /// A host that is not allowed, be it one that redirects lead to, is an [`Error::Denied`] that names the host. The URL's
    /// user-info is sent to the server it names and to no other. No error text repeats the URL's user-info or query.
    pub fn stat(&self, url: &str, outset: &Outset<'_>) -> Result<Option<Attributes>> {
        check_host(&self.host_of(url, outset.setting)?, outset)?;
        #[cfg(feature = "network")]
        return match scheme_of(url).as_str() {
            "s3" | "ftp" | "ftps" => self.look(url, outset).map(|found| found.map(|found| found.attributes())),
            _ => self.client.stat(url, http::Opener::Git(outset.folder), outset.allowed),
        };
        #[cfg(not(feature = "network"))]
        Err(no_network(url))
    }

    /// Downloads a resource to a path of the workspace, in place of what stands there, and answers its attributes;
    /// none, and nothing changed, when the server says that there is no such thing. Hosts and secrets are treated as by
    /// [`Remote::stat`].
    ///
    /// The file or folder appears complete or not at all. That takes as long as it takes, but a server that sends nothing for
    /// half a minute is given up. A connection that breaks is made anew, and what was cut short is gone on with by the next
    /// call, where the server can go on from there and still has the same version.
    pub fn fetch(
        &self,
        url: &str,
        workspace: &Workspace,
        path: &str,
        outset: &Outset<'_>,
    ) -> Result<Option<Attributes>> {
        check_host(&self.host_of(url, outset.setting)?, outset)?;
        #[cfg(feature = "network")]
        return self.bring(url, workspace, path, outset);
        #[cfg(not(feature = "network"))]
        {
            let _ = (workspace, path);
            Err(no_network(url))
        }
    }
}

/// What a server has at an address.
#[cfg(feature = "network")]
enum Found<'f> {
    File(pieces::Item, Box<dyn pieces::Source + 'f>),
    Folder {
        items: Vec<pieces::Item>,
        source: Box<dyn pieces::Source + 'f>,
        /// Which folder of whose it is: an address alone leads each user of FTP to another.
        place: String,
    },
}

#[cfg(feature = "network")]
impl Found<'_> {
    fn attributes(&self) -> Attributes {
        match self {
            Self::File(item, _) => item.attributes(),
            Self::Folder { items, .. } => folder::attributes(items),
        }
    }
}

#[cfg(feature = "network")]
impl Remote {
    /// What S3 or FTP has there.
    fn look<'f>(&'f self, url: &str, outset: &Outset<'f>) -> Result<Option<Found<'f>>> {
        if scheme_of(url) == "s3" {
            let address = s3::Address::parse(url)?;
            let service = s3::Service::new(&self.client, &self.login, outset, &address.bucket)?;
            let key = address.key.as_str();
            if !key.is_empty()
                && !key.ends_with('/')
                && let Some(found) = service.stat(key)?
            {
                return Ok(Some(Found::File(pieces::Item::of(key, found), Box::new(service))));
            }
            let key = key.trim_end_matches('/');
            let items = service.list(&if key.is_empty() { String::new() } else { format!("{key}/") })?;
            if items.is_empty() {
                return Ok(None);
            }
            let place = format!("{}/{key}", service.address()?);
            return Ok(Some(Found::Folder { items: folder::sorted(items), source: Box::new(service), place }));
        }
        let site = ftp::Site::new(&self.client, &self.login, outset, url)?;
        Ok(match site.look()? {
            ftp::Found::Nothing => None,
            ftp::Found::File(item) => Some(Found::File(item, Box::new(site))),
            ftp::Found::Folder => {
                let (items, place) = (folder::sorted(site.list()?), site.place()?);
                Some(Found::Folder { items, source: Box::new(site), place })
            }
        })
    }

    fn bring(&self, url: &str, workspace: &Workspace, path: &str, outset: &Outset<'_>) -> Result<Option<Attributes>> {
        let brought = workspace.adopt(path, || {
            let staging = staging::Staging::begin(outset.downloads, &public_url(url))?;
            if !matches!(scheme_of(url).as_str(), "s3" | "ftp" | "ftps") {
                let Some(attributes) = download::fetch(&self.client, url, &staging, outset)? else {
                    staging.close();
                    return Ok(None);
                };
                let content = staging.content();
                return Ok(Some(((attributes, staging), content)));
            }
            let Some(found) = self.look(url, outset)? else {
                staging.close();
                return Ok(None);
            };
            let mut attributes = found.attributes();
            match found {
                Found::File(item, source) => {
                    pieces::gather(&*source, &[item], &HashSet::new(), &staging, self.pause(), outset.tell)?;
                }
                Found::Folder { items, source, place } => {
                    folder::check(&items)?;
                    staging.make_folder()?;
                    staging.keep_only(&items)?;
                    let listing = Listing::of(&outset.downloads.with_file_name("listings"), &place);
                    let reused = listing.reuse(&items, &staging, outset.store, outset.tell)?;
                    pieces::gather(&*source, &items, &reused, &staging, self.pause(), outset.tell)?;
                    if outset.store.is_some() {
                        let _ = listing.remember(&items, &reused, &staging);
                    }
                }
            }
            let content = staging.content();
            attributes.size = attributes.size.or_else(|| Some(std::fs::metadata(&content).ok()?.len()));
            staging.sync()?;
            Ok(Some(((attributes, staging), content)))
        })?;
        Ok(brought.map(|(attributes, staging)| {
            staging.close();
            attributes
        }))
    }
}

fn check_host(host: &str, outset: &Outset<'_>) -> Result<()> {
    if (outset.allowed)(host) { Ok(()) } else { Err(Error::Denied(host.to_owned())) }
}

/// In lower case.
#[cfg(feature = "network")]
fn scheme_of(url: &str) -> String {
    url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(all(test, feature = "network"))]
impl Remote {
    fn stat_for(&self, url: &str, allowed: Allowed<'_>) -> Result<Option<Attributes>> {
        self.stat(url, &Outset::plain(allowed, Path::new(".")))
    }
}

#[cfg(test)]
impl<'o> Outset<'o> {
    /// With nothing but what may be asked, and a place for downloads.
    pub(crate) fn plain(allowed: Allowed<'o>, downloads: &'o Path) -> Self {
        Self {
            allowed,
            setting: &|_| None,
            folder: downloads,
            downloads,
            store: None,
            asks_nobody: false,
            tell: &|_, _| (),
        }
    }
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
        let outset = Outset::plain(&|_| false, Path::new("/nowhere"));
        for url in ["http://u:p@Example.invalid/x", "ftp://u:p@Example.invalid/x"] {
            let asked = Remote::new().stat(url, &outset);
            assert!(matches!(asked, Err(Error::Denied(host)) if host == "example.invalid"));
            let asked = Remote::new().fetch(url, &workspace().1, "x", &outset);
            assert!(matches!(asked, Err(Error::Denied(host)) if host == "example.invalid"));
        }
    }

    #[cfg(feature = "network")]
    #[test]
    fn of_a_bucket_its_server_is_to_be_granted() {
        let setting = |key: &str| (key == "aurum.s3.endpoint").then(|| "http://Here.example:9000".to_owned());
        assert_eq!(Remote::new().host_of("s3://example.org/x", &setting).unwrap(), "here.example");
        let outset =
            Outset { setting: &setting, ..Outset::plain(&|host| host == "example.org", Path::new("/nowhere")) };
        let asked = Remote::new().stat("s3://example.org/x", &outset);
        assert!(matches!(asked, Err(Error::Denied(host)) if host == "here.example"));
    }

    #[test]
    fn other_schemes_are_refused_in_words() {
        let url = "gopher://u:hush@example.org/x?hush";
        let folder = tempfile::tempdir().unwrap();
        let outset = Outset::plain(&|_| true, folder.path());
        let stat = Remote::new().stat(url, &outset).unwrap_err().to_string();
        let fetch = Remote::new().fetch(url, &workspace().1, "x", &outset).unwrap_err().to_string();
        for error in [stat, fetch] {
            assert!(error.contains("`gopher://example.org/x`") && !error.contains("hush"), "{error}");
            #[cfg(feature = "network")]
            assert!(error.contains("is understood"), "{error}");
        }
    }
}
