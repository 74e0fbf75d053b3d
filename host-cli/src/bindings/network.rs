//! `remote`: servers, each granted apart.

use super::generated::aurum::tracker::remote as wit;
use super::{Answer, Host, answer};
use crate::capabilities::remote::{self, Attributes};

impl wit::Host for Host {
    fn stat(&mut self, url: String) -> Answer<Option<wit::Attributes>> {
        let grants = &self.capabilities.grants;
        let attributes = remote::host_of(&url).and_then(|server| {
            grants.check_host(&server)?;
            self.capabilities.remote.stat(&url, &|server| grants.host_allowed(server))
        });
        let attribute =
            |Attributes { size, entity_tag, last_modified }| wit::Attributes { size, entity_tag, last_modified };
        answer(attributes.map(|attributes| attributes.map(attribute)))
    }
}
