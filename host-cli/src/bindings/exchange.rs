//! `exchange`: other clones, each granted apart.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::generated::aurum::tracker::exchange as wit;
use super::generated::aurum::tracker::repository::Reference as WitReference;
use super::generated::aurum::tracker::repository_edit::Signature as WitSignature;
use super::{Advertisement, Answer, Host, answer};
use crate::capabilities;
use crate::capabilities::exchange::cargo::{self, Freight, Object, Servers};
use crate::capabilities::exchange::{
    self, Delivery, Observer, Problem, RefusedUpdate, Trouble, Update, Verdict, Wanted,
};
use crate::capabilities::remote::Outset;
use crate::capabilities::repository::{Reference, Repository};
use crate::capabilities::repository_edit::Signature;
use crate::capabilities::store::Store;

type Exchanged<T> = Result<std::result::Result<T, wit::Problem>>;

impl Host {
    /// Talks to a remote that is granted.
    fn exchanging<T>(
        &self,
        remote: &str,
        edits: bool,
        act: impl FnOnce(&Repository, &Observer) -> std::result::Result<T, Problem>,
    ) -> std::result::Result<T, wit::Problem> {
        let capabilities = &self.capabilities;
        let granted = capabilities.grants.check_exchange(remote);
        let granted = granted.and_then(|()| if edits { capabilities.grants.check_repository_edit() } else { Ok(()) });
        granted
            .map_err(Problem::Failed)
            .and_then(|()| act(&capabilities.repository, &capabilities.observer))
            .map_err(problem)
    }

    /// The store, where objects may travel between it and a data remote: one that the repository's own configuration names, or
    /// that is granted. Its server may be reached then, and no other.
    fn carrying<T>(
        &self,
        url: &str,
        carry: impl FnOnce(&Store, &Observer, Servers<'_>) -> capabilities::Result<T>,
    ) -> capabilities::Result<T> {
        let capabilities = &self.capabilities;
        capabilities.grants.check_store()?;
        capabilities.grants.check_any_exchange()?;
        let known = cargo::data_remotes(&capabilities.repository)?.into_iter().any(|remote| remote.url == url);
        if !known {
            capabilities.grants.check_exchange(url)?;
        }
        let setting = |key: &str| capabilities.repository.setting(key).ok().flatten();
        let server = capabilities.remote.host_of(url, &setting).ok();
        let grants = &capabilities.grants;
        let downloads = capabilities.downloads();
        let outset = Outset {
            allowed: &|host| server.as_deref() == Some(host) || grants.host_allowed(host),
            setting: &setting,
            folder: capabilities.repository.root(),
            downloads: &downloads,
            store: None,
            asks_nobody: false,
            tell: &|_, _| (),
        };
        carry(&capabilities.store()?, &capabilities.observer, (&capabilities.remote, &outset))
    }
}

impl wit::Host for Host {
    fn remotes(&mut self) -> Answer<Vec<String>> {
        answer(exchange::remotes(&self.capabilities.repository))
    }

    fn push(&mut self, remote: String, updates: Vec<wit::Update>) -> Exchanged<wit::Delivery> {
        let update = |wit::Update { name, target, expected }| Update { name, target, expected };
        let updates: Vec<_> = updates.into_iter().map(update).collect();
        let pushed = self
            .exchanging(&remote, false, |repository, observer| exchange::push(repository, observer, &remote, &updates));
        Ok(pushed.map(delivery))
    }

    fn push_below(&mut self, remote: String, prefix: String, except: Vec<String>) -> Exchanged<wit::Delivery> {
        let pushed = self.exchanging(&remote, false, |repository, observer| {
            exchange::push_below(repository, observer, &remote, &prefix, &except)
        });
        Ok(pushed.map(delivery))
    }

    fn fetch(&mut self, remote: String, wanted: Vec<wit::Wanted>) -> Exchanged<Option<String>> {
        let one = |wit::Wanted { source, destination }| Wanted { source, destination };
        let wanted: Vec<_> = wanted.into_iter().map(one).collect();
        Ok(self
            .exchanging(&remote, true, |repository, observer| exchange::fetch(repository, observer, &remote, &wanted)))
    }

    fn fetch_below(&mut self, remote: String, prefix: String, except: Vec<String>) -> Exchanged<Option<String>> {
        Ok(self.exchanging(&remote, true, |repository, observer| {
            exchange::fetch_below(repository, observer, &remote, &prefix, &except)
        }))
    }

    fn merge_notes(&mut self, ours: String, theirs: String, signature: WitSignature) -> Answer<String> {
        let WitSignature { name, email, seconds, offset_minutes } = signature;
        let signature = Signature { name, email, seconds, offset_minutes };
        let granted = self.capabilities.grants.check_repository_edit();
        let repository = &self.capabilities.repository;
        answer(granted.and_then(|()| exchange::merge_notes(repository, &ours, &theirs, &signature)))
    }

    fn parents(&mut self, commit: String) -> Answer<Option<Vec<String>>> {
        answer(exchange::parents(&self.capabilities.repository, &commit))
    }

    fn descends(&mut self, commit: String, ancestor: String) -> Answer<bool> {
        answer(exchange::descends(&self.capabilities.repository, &commit, &ancestor))
    }

    fn data_remotes(&mut self) -> Answer<Vec<wit::DataRemote>> {
        let remote = |cargo::DataRemote { name, url }| wit::DataRemote { name, url };
        let remotes = cargo::data_remotes(&self.capabilities.repository);
        answer(remotes.map(|remotes| remotes.into_iter().map(remote).collect()))
    }

    fn weigh(&mut self, of: Vec<wit::Object>) -> Answer<wit::Freight> {
        let store = self.capabilities.grants.check_store().and_then(|()| self.capabilities.store());
        answer(store.and_then(|store| cargo::weigh(&store, &objects(of))).map(freight))
    }

    fn send(&mut self, url: String, of: Vec<wit::Object>) -> Answer<wit::Freight> {
        let sent =
            self.carrying(&url, |store, observer, servers| cargo::send(store, &url, &objects(of), observer, servers));
        answer(sent.map(freight))
    }

    fn bring(&mut self, url: String, of: Vec<wit::Object>) -> Answer<wit::Freight> {
        let brought =
            self.carrying(&url, |store, observer, servers| cargo::bring(store, &url, &objects(of), observer, servers));
        answer(brought.map(freight))
    }
}

impl wit::HostAdvertisement for Host {
    fn ask(&mut self, remote: String, prefixes: Vec<String>) -> Exchanged<Resource<Advertisement>> {
        match self
            .exchanging(&remote, false, |repository, observer| exchange::ask(repository, observer, &remote, &prefixes))
        {
            Ok(references) => Ok(Ok(self.table.push(Advertisement(references))?)),
            Err(problem) => Ok(Err(problem)),
        }
    }

    fn page(&mut self, told: Resource<Advertisement>, offset: u32, limit: u32) -> Result<Vec<WitReference>> {
        let references = &self.table.get(&told)?.0;
        let page = references.iter().skip(offset as usize).take(limit as usize).cloned();
        Ok(page.map(|Reference { name, target }| WitReference { name, target }).collect())
    }

    fn drop(&mut self, told: Resource<Advertisement>) -> Result<()> {
        self.table.delete(told)?;
        Ok(())
    }
}

fn problem(problem: Problem) -> wit::Problem {
    match problem {
        Problem::Failed(error) => wit::Problem::Failed(error.into()),
        Problem::Refused(trouble, words) => {
            let trouble = match trouble {
                Trouble::Authentication => wit::Trouble::Authentication,
                Trouble::HostKey => wit::Trouble::HostKey,
                Trouble::Unreachable => wit::Trouble::Unreachable,
                Trouble::NoRepository => wit::Trouble::NoRepository,
                Trouble::Forbidden => wit::Trouble::Forbidden,
                Trouble::Ownership => wit::Trouble::Ownership,
                Trouble::NoSpace => wit::Trouble::NoSpace,
                Trouble::Unknown => wit::Trouble::Unknown,
            };
            wit::Problem::Refused(wit::Refusal { trouble, words })
        }
    }
}

fn delivery(delivery: Delivery) -> wit::Delivery {
    let refused = |RefusedUpdate { name, verdict, words }| {
        let verdict = match verdict {
            Verdict::Moved => wit::Verdict::Moved,
            Verdict::Declined => wit::Verdict::Declined,
            Verdict::Failed => wit::Verdict::Failed,
        };
        wit::RefusedUpdate { name, verdict, words }
    };
    let Delivery { done, refused: list, more } = delivery;
    wit::Delivery { done, refused: list.into_iter().map(refused).collect(), more }
}

fn objects(objects: Vec<wit::Object>) -> Vec<Object> {
    let object = |wit::Object { digest, kind }| Object { digest, kind: super::data::kind_of(kind) };
    objects.into_iter().map(object).collect()
}

fn freight(freight: Freight) -> wit::Freight {
    let Freight { objects, bytes, absent } = freight;
    wit::Freight { objects, bytes, absent }
}
