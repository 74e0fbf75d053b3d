//! `remote`: servers, each granted apart.

use super::generated::aurum::tracker::remote as wit;
use super::{Answer, Host, answer};
use crate::capabilities::Result;
use crate::capabilities::exchange::Event;
use crate::capabilities::remote::{Attributes, Outset, Remote};

impl Host {
    /// Asks a server that is granted. It may send on to others where that is granted too.
    fn asking<T>(&self, url: &str, ask: impl FnOnce(&Remote, &Outset<'_>) -> Result<T>) -> Result<T> {
        let capabilities = &self.capabilities;
        let grants = &capabilities.grants;
        let setting = |key: &str| capabilities.repository.setting(key).ok().flatten();
        grants.check_host(&capabilities.remote.host_of(url, &setting)?)?;
        let observer = &capabilities.observer;
        let tell = |done, whole| observer.tell(&Event::Download { done, whole });
        let downloads = capabilities.downloads();
        let store = grants.check_store().and_then(|()| capabilities.store()).ok();
        let outset = Outset {
            allowed: &|server| grants.redirect_allowed(server),
            setting: &setting,
            folder: capabilities.repository.root(),
            downloads: &downloads,
            store: store.as_ref(),
            asks_nobody: capabilities.remote.asks_nobody(),
            tell: &tell,
        };
        ask(&capabilities.remote, &outset)
    }
}

impl wit::Host for Host {
    fn stat(&mut self, url: String) -> Answer<Option<wit::Attributes>> {
        let found = self.asking(&url, |remote, outset| remote.stat(&url, outset));
        answer(found.map(|found| found.map(attributes)))
    }

    fn fetch(&mut self, url: String, path: String) -> Answer<Option<wit::Attributes>> {
        let workspace = &self.capabilities.workspace;
        let fetched = self.capabilities.grants.check_workspace_edit();
        let fetched =
            fetched.and_then(|()| self.asking(&url, |remote, outset| remote.fetch(&url, workspace, &path, outset)));
        answer(fetched.map(|found| found.map(attributes)))
    }
}

fn attributes(attributes: Attributes) -> wit::Attributes {
    let Attributes { size, entity_tag, last_modified } = attributes;
    wit::Attributes { size, entity_tag, last_modified }
}
