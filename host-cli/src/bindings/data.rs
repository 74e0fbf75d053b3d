//! `data`: files and folders of data. What lies in the project goes by the grants of the working tree, what lies outside by its
//! path, and what is kept by the store's.

use std::path::Path;

use super::generated::aurum::tracker::data as wit;
use super::{Answer, Host, answer};
use crate::capabilities::data::{Check, Data, Differences, Facts, Kind, Limits, Place};
use crate::capabilities::{Error, Result};

impl Host {
    /// The data at a place that may be read.
    fn reading<T>(&self, place: &wit::Place, read: impl FnOnce(&Data, Place<'_>) -> Result<T>) -> Result<T> {
        let capabilities = &self.capabilities;
        let place = match place {
            wit::Place::Project(path) => {
                capabilities.grants.check_workspace()?;
                Place::Project(path)
            }
            wit::Place::Outside(path) => {
                capabilities.check_outside(Path::new(path))?;
                Place::Outside(Path::new(path))
            }
        };
        read(capabilities.data(), place)
    }

    /// The data, with the store and the working tree to change.
    fn changing<T>(&self, change: impl FnOnce(&Data) -> Result<T>) -> Result<T> {
        self.capabilities.grants.check_workspace_edit()?;
        change(self.capabilities.data())
    }
}

impl wit::Host for Host {
    fn measure(&mut self, place: wit::Place, limits: Option<wit::Limits>) -> Answer<Option<wit::Facts>> {
        let limits = limits.map(|wit::Limits { files, bytes }| Limits { files, bytes });
        answer(self.reading(&place, |data, place| data.measure(place, limits)).map(|found| found.map(facts)))
    }

    fn keep(&mut self, place: wit::Place) -> Answer<Option<wit::Facts>> {
        let kept = self.capabilities.grants.check_store().and_then(|()| self.reading(&place, Data::keep));
        answer(kept.map(|found| found.map(facts)))
    }

    fn compare(&mut self, place: wit::Place, manifest: String, limit: u32) -> Answer<Option<wit::Differences>> {
        let compared = self.capabilities.grants.check_store();
        let compared =
            compared.and_then(|()| self.reading(&place, |data, place| data.compare(place, &manifest, limit)));
        answer(compared.map(|found| {
            found.map(|Differences { added, changed, removed, examples }| wit::Differences {
                added,
                changed,
                removed,
                examples,
            })
        }))
    }

    fn is_kept(&mut self, place: wit::Place, manifests: Vec<String>) -> Answer<bool> {
        let granted = self.capabilities.grants.check_store();
        answer(granted.and_then(|()| self.reading(&place, |data, place| data.is_kept(place, &manifests))))
    }

    fn can_restore(&mut self, kind: wit::Kind, digest: String) -> Answer<bool> {
        let capabilities = &self.capabilities;
        answer(capabilities.grants.check_store().and_then(|()| capabilities.data().can_restore(kind_of(kind), &digest)))
    }

    fn check_stored(&mut self, kind: wit::Kind, digest: String, limit: u32) -> Answer<wit::Check> {
        let capabilities = &self.capabilities;
        let checked = capabilities.grants.check_store();
        answer(checked.and_then(|()| capabilities.data().check_stored(kind_of(kind), &digest, limit)).map(check))
    }

    fn check_place(&mut self, place: wit::Place, kind: wit::Kind, digest: String, limit: u32) -> Answer<wit::Check> {
        let kind = kind_of(kind);
        answer(self.reading(&place, |data, place| data.check_place(place, kind, &digest, limit)).map(check))
    }

    fn restore(&mut self, path: String, kind: wit::Kind, digest: String) -> Answer<()> {
        let restored = self.capabilities.grants.check_store();
        let kind = kind_of(kind);
        answer(restored.and_then(|()| self.changing(|data| data.restore(&path, kind, &digest))))
    }

    fn remove(&mut self, path: String) -> Answer<()> {
        answer(self.changing(|data| data.remove(&path)))
    }
}

pub(super) fn kind_of(kind: wit::Kind) -> Kind {
    match kind {
        wit::Kind::File => Kind::File,
        wit::Kind::Folder => Kind::Folder,
    }
}

fn check(Check { contents, bytes, damages, more }: Check) -> wit::Check {
    let damages = damages.into_iter().map(|(name, what)| wit::Damage { name, what }).collect();
    wit::Check { contents, bytes, damages, more }
}

fn facts(facts: Facts) -> wit::Facts {
    let Facts { kind, size, files, digest } = facts;
    let kind = match kind {
        Kind::File => wit::Kind::File,
        Kind::Folder => wit::Kind::Folder,
    };
    wit::Facts { kind, size, files, digest }
}

impl super::Capabilities {
    /// Refuses a path outside of the project, unless it was granted: by the host now, or, remembered in the repository's own
    /// configuration, when its data was added.
    pub(crate) fn check_outside(&self, path: &Path) -> Result<()> {
        match self.grants.check_outside(path) {
            Err(Error::Denied(_)) if self.repository.remembers_path(path)? => Ok(()),
            other => other,
        }
    }
}
