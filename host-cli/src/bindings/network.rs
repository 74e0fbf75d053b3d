//! `remote`: servers, each granted apart.

use super::generated::aurum::tracker::remote as wit;
use super::{Answer, Host, answer};
use crate::capabilities::Result;
use crate::capabilities::remote::{self, Attributes, Remote};

impl Host {
    /// Asks a server that is granted. It may send on to others where that is granted too.
    fn asking<T>(&self, url: &str, ask: impl FnOnce(&Remote, &dyn Fn(&str) -> bool) -> Result<T>) -> Result<T> {
        let grants = &self.capabilities.grants;
        grants.check_host(&remote::host_of(url)?)?;
        ask(&self.capabilities.remote, &|server| grants.redirect_allowed(server))
    }
}

impl wit::Host for Host {
    fn stat(&mut self, url: String) -> Answer<Option<wit::Attributes>> {
        let found = self.asking(&url, |remote, allowed| remote.stat(&url, allowed));
        answer(found.map(|found| found.map(attributes)))
    }

    fn fetch(&mut self, url: String, path: String) -> Answer<Option<wit::Attributes>> {
        let workspace = &self.capabilities.workspace;
        let fetched = self.capabilities.grants.check_workspace_edit();
        let fetched =
            fetched.and_then(|()| self.asking(&url, |remote, allowed| remote.fetch(&url, workspace, &path, allowed)));
        answer(fetched.map(|found| found.map(attributes)))
    }
}

fn attributes(attributes: Attributes) -> wit::Attributes {
    let Attributes { size, entity_tag, last_modified } = attributes;
    wit::Attributes { size, entity_tag, last_modified }
}
