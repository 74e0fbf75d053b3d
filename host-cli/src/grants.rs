//! What a host lets the core do. Nothing, until something is allowed.

use std::path::{Path, PathBuf};

use crate::capabilities::{Error, Result};

/// The capabilities given to the core. Reading the repository's objects, the time, randomness and facts of the machine are
/// always given: there is no core without the first, and no harm in the rest.
///
/// ```
/// use aurum_host::grants::Grants;
///
/// let grants = Grants::none().allow_workspace().allow_host("*.example.org");
/// assert!(grants.check_workspace().is_ok());
/// assert!(grants.check_host("data.example.org").is_ok());
/// assert!(grants.check_store().is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Writing objects and references.
    pub repository_edit: bool,
    /// Reading files of the working tree.
    pub workspace: bool,
    /// Changing files of the working tree.
    pub workspace_edit: bool,
    /// Journals, to read and to write.
    pub journal: bool,
    /// Content-addressed bytes, to read and to add.
    pub store: bool,
    /// Derived bytes, kept from one reading to the next.
    pub cache: bool,
    /// Files and folders outside of the project, to read.
    pub outside: Vec<PathBuf>,
    /// Hosts on the network.
    pub network: NetworkGrant,
    /// Other clones: remotes of git, and data remotes, each as it is named where it is asked.
    pub exchange: Vec<String>,
}

impl Grants {
    /// Nothing at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything on this computer, and no network.
    pub fn local() -> Self {
        let files = Self::none().allow_workspace().allow_workspace_edit();
        files.allow_repository_edit().allow_journal().allow_store().allow_cache()
    }

    /// Lets objects and references be written.
    #[must_use]
    pub fn allow_repository_edit(self) -> Self {
        Self { repository_edit: true, ..self }
    }

    /// Lets files of the working tree be read.
    #[must_use]
    pub fn allow_workspace(self) -> Self {
        Self { workspace: true, ..self }
    }

    /// Lets files of the working tree be changed; reading them is apart.
    #[must_use]
    pub fn allow_workspace_edit(self) -> Self {
        Self { workspace_edit: true, ..self }
    }

    /// Lets journals be read and written.
    #[must_use]
    pub fn allow_journal(self) -> Self {
        Self { journal: true, ..self }
    }

    /// Lets the store be read and added to.
    #[must_use]
    pub fn allow_store(self) -> Self {
        Self { store: true, ..self }
    }

    /// Lets derived bytes be kept.
    #[must_use]
    pub fn allow_cache(self) -> Self {
        Self { cache: true, ..self }
    }

    /// Lets a host be reached: `example.org` is that one alone, `*.example.org` all those below it, itself not.
    #[must_use]
    pub fn allow_host(mut self, pattern: &str) -> Self {
        self.network.hosts.push(normal_host(pattern));
        self
    }

    /// Lets servers that may be reached send on to any other, as those of large files do.
    #[must_use]
    pub fn follow_redirects(mut self) -> Self {
        self.network.redirects = true;
        self
    }

    /// Lets a file or folder outside of the project be read, by its absolute path.
    #[must_use]
    pub fn allow_outside(mut self, path: &Path) -> Self {
        self.outside.push(path.to_owned());
        self
    }

    /// Lets experiments be exchanged with a remote: the name of a configured one, or a URL or path. Of a data remote it is the
    /// URL, and those that the repository's own configuration names need no grant of their own beside one of a remote.
    #[must_use]
    pub fn allow_exchange(mut self, remote: &str) -> Self {
        self.exchange.push(remote.to_owned());
        self
    }

    /// Whether a server may be reached to which one that may be reached has sent on.
    pub fn redirect_allowed(&self, host: &str) -> bool {
        self.network.redirects && !host.is_empty() || self.host_allowed(host)
    }

    /// Whether a host may be reached.
    pub fn host_allowed(&self, host: &str) -> bool {
        self.network.allows(host)
    }

    /// Refuses unless objects and references may be written.
    pub fn check_repository_edit(&self) -> Result<()> {
        check(self.repository_edit, "repository-edit")
    }

    /// Refuses unless files of the working tree may be read.
    pub fn check_workspace(&self) -> Result<()> {
        check(self.workspace, "workspace")
    }

    /// Refuses unless files of the working tree may be changed.
    pub fn check_workspace_edit(&self) -> Result<()> {
        check(self.workspace_edit, "workspace-edit")
    }

    /// Refuses unless there may be journals.
    pub fn check_journal(&self) -> Result<()> {
        check(self.journal, "journal")
    }

    /// Refuses unless there may be a store.
    pub fn check_store(&self) -> Result<()> {
        check(self.store, "store")
    }

    /// Refuses unless derived bytes may be kept.
    pub fn check_cache(&self) -> Result<()> {
        check(self.cache, "cache")
    }

    /// Refuses unless the path outside of the project was given, as it is written here.
    pub fn check_outside(&self, path: &Path) -> Result<()> {
        check(self.outside.iter().any(|granted| granted == path), &path.to_string_lossy())
    }

    /// Refuses unless experiments may be exchanged with the remote, as it is written here.
    pub fn check_exchange(&self, remote: &str) -> Result<()> {
        check(self.exchange.iter().any(|granted| granted == remote), "exchange")
    }

    /// Refuses unless experiments may be exchanged with any remote.
    pub fn check_any_exchange(&self) -> Result<()> {
        check(!self.exchange.is_empty(), "exchange")
    }

    /// Refuses unless the host may be reached; names the host.
    pub fn check_host(&self, host: &str) -> Result<()> {
        check(self.host_allowed(host), host)
    }
}

/// The hosts that may be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkGrant {
    hosts: Vec<String>,
    /// Whether these may send on to any other.
    redirects: bool,
}

impl NetworkGrant {
    /// Whether a pattern matches the host, whatever its case.
    pub fn allows(&self, host: &str) -> bool {
        let host = normal_host(host);
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            // The dot belongs to what has to match: `evil-example.org` ends in `example.org` as well.
            Some(parent) => {
                let below = host.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.'));
                !parent.is_empty() && below.is_some_and(|below| !below.is_empty())
            }
            None => !host.is_empty() && *pattern == host,
        })
    }
}

/// Lower case, without the dot that ends a fully qualified name.
fn normal_host(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn check(granted: bool, capability: &str) -> Result<()> {
    if granted { Ok(()) } else { Err(Error::Denied(capability.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(result: Result<()>, capability: &str) -> bool {
        matches!(result, Err(Error::Denied(named)) if named == capability)
    }

    #[test]
    fn nothing_is_granted_unasked() {
        let grants = Grants::default();
        assert_eq!(grants, Grants::none());
        assert!(denied(grants.check_repository_edit(), "repository-edit"));
        assert!(denied(grants.check_workspace(), "workspace"));
        assert!(denied(grants.check_workspace_edit(), "workspace-edit"));
        assert!(denied(grants.check_journal(), "journal"));
        assert!(denied(grants.check_store(), "store"));
        for host in ["example.org", "localhost", "127.0.0.1", "", "*"] {
            assert!(denied(grants.check_host(host), host));
        }
    }

    #[test]
    fn each_is_granted_alone() {
        let grants = Grants::none().allow_journal();
        assert!(grants.check_journal().is_ok());
        assert_eq!(Grants { journal: false, ..grants }, Grants::none());
        let grants = Grants::none().allow_workspace_edit();
        assert!(grants.check_workspace_edit().is_ok() && grants.check_workspace().is_err());
    }

    #[test]
    fn local_reaches_no_host() {
        let grants = Grants::local();
        assert!(
            grants.check_repository_edit().is_ok() && grants.check_store().is_ok() && grants.check_journal().is_ok()
        );
        assert!(grants.check_workspace().is_ok() && grants.check_workspace_edit().is_ok());
        assert!(!grants.host_allowed("localhost"));
    }

    #[test]
    fn a_path_outside_is_that_path_alone() {
        let grants = Grants::local().allow_outside(Path::new("/data/a"));
        assert!(grants.check_outside(Path::new("/data/a")).is_ok());
        for path in ["/data", "/data/a/b", "/data/b", "data/a", "/data/a/../b", ""] {
            assert!(denied(grants.check_outside(Path::new(path)), path), "{path}");
        }
    }

    #[test]
    fn a_remote_is_that_one_alone() {
        assert!(denied(Grants::local().check_exchange("origin"), "exchange"));
        assert!(denied(Grants::local().check_any_exchange(), "exchange"));
        let grants = Grants::local().allow_exchange("origin");
        assert!(grants.check_exchange("origin").is_ok() && grants.check_any_exchange().is_ok());
        for remote in ["", "origin/", "Origin", "/origin", "lab"] {
            assert!(denied(grants.check_exchange(remote), "exchange"), "{remote}");
        }
    }

    #[test]
    fn redirects_lead_anywhere_only_where_that_is_granted() {
        let grants = Grants::none().allow_host("example.org");
        assert!(grants.redirect_allowed("example.org") && !grants.redirect_allowed("other.net"));
        let grants = grants.follow_redirects();
        assert!(grants.redirect_allowed("other.net") && !grants.host_allowed("other.net"));
    }

    #[test]
    fn an_exact_host_is_that_host_alone() {
        let grants = Grants::none().allow_host("Example.org");
        for host in ["example.org", "EXAMPLE.ORG", "example.org."] {
            assert!(grants.host_allowed(host), "{host}");
        }
        for host in ["a.example.org", "evil-example.org", "example.org.evil.net", "example.or", "org", ""] {
            assert!(!grants.host_allowed(host), "{host}");
        }
    }

    #[test]
    fn a_wildcard_is_what_lies_below() {
        let grants = Grants::none().allow_host("*.example.org").allow_host("other.net");
        for host in ["a.example.org", "a.b.example.org", "A.Example.Org", "other.net"] {
            assert!(grants.host_allowed(host), "{host}");
        }
        for host in
            ["example.org", ".example.org", "evil-example.org", "example.org.evil.net", "a.example.org.evil.net"]
        {
            assert!(!grants.host_allowed(host), "{host}");
        }
    }

    #[test]
    fn odd_patterns_open_nothing() {
        let grants =
            ["*", "*.", "", "*example.org", "a.*.org", "."].iter().fold(Grants::none(), |all, odd| all.allow_host(odd));
        for host in ["example.org", "a.example.org", "a.b.org", "localhost", "", "."] {
            assert!(!grants.host_allowed(host), "{host}");
        }
    }
}
