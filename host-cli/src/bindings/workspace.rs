//! `workspace` and `workspace-edit`: files below the project's root.

use super::generated::aurum::tracker::{workspace as wit, workspace_edit};
use super::{Answer, Host, answer};
use crate::capabilities::workspace::Kind;

impl wit::Host for Host {
    fn inspect(&mut self, path: String) -> Answer<Option<wit::Kind>> {
        let capabilities = &self.capabilities;
        answer(capabilities.grants.check_workspace().and_then(|()| capabilities.workspace.inspect(&path)).map(|kind| {
            kind.map(|kind| match kind {
                Kind::File => wit::Kind::File,
                Kind::Directory => wit::Kind::Directory,
                Kind::Other => wit::Kind::Other,
            })
        }))
    }

    fn read(&mut self, path: String) -> Answer<Option<Vec<u8>>> {
        let capabilities = &self.capabilities;
        answer(capabilities.grants.check_workspace().and_then(|()| capabilities.workspace.read(&path)))
    }

    fn list_names(&mut self, path: String) -> Answer<Vec<String>> {
        let capabilities = &self.capabilities;
        answer(capabilities.grants.check_workspace().and_then(|()| capabilities.workspace.list_names(&path)))
    }
}

impl workspace_edit::Host for Host {
    fn make_directory(&mut self, path: String) -> Answer<()> {
        let capabilities = &self.capabilities;
        answer(capabilities.grants.check_workspace_edit().and_then(|()| capabilities.workspace.make_directory(&path)))
    }

    fn write(&mut self, path: String, contents: Vec<u8>) -> Answer<()> {
        let capabilities = &self.capabilities;
        answer(capabilities.grants.check_workspace_edit().and_then(|()| capabilities.workspace.write(&path, &contents)))
    }

    fn exchange(&mut self, path: String, expected: Option<Vec<u8>>, contents: Vec<u8>) -> Answer<()> {
        let capabilities = &self.capabilities;
        let granted = capabilities.grants.check_workspace_edit().and_then(|()| capabilities.grants.check_workspace());
        answer(granted.and_then(|()| capabilities.workspace.exchange(&path, expected.as_deref(), &contents)))
    }

    fn remove(&mut self, path: String) -> Answer<()> {
        let capabilities = &self.capabilities;
        answer(capabilities.grants.check_workspace_edit().and_then(|()| capabilities.workspace.remove(&path)))
    }
}
