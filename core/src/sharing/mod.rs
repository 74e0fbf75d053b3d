//! Sharing experiments with other clones, by git's own transport: which references and objects travel, which are taken away,
//! and how to say what could not be done.
//!
//! | module | idea |
//! | --- | --- |
//! | [`choice`] | which remote is meant, and which words are selectors |
//! | `news` | what a remote has, as far as it is Aurum's |
//! | `opinion` | taking in the notes of a remote |
//! | `parcel` | archives of a remote: judged before they count |
//! | [`push`] | what is sent |
//! | [`pull`] | what is brought |
//! | `cargo` | models and data that go along |
//! | [`data_remote`] | where these go |
//! | `words` | failures of git and of remotes, in words |
//!
//! Clones meet without conflicts, because nothing that travels is ever changed: an experiment is one commit under a name of its
//! own, an archive is named by what it holds, and notes are lines that are only added. What is taken away is a statement in the
//! notes. So the order in which clones push and pull does not matter, nor how often they do.

mod cargo;
pub mod choice;
pub mod data_remote;
mod news;
mod opinion;
mod parcel;
pub mod pull;
pub mod push;
#[cfg(test)]
mod tests;
mod words;

use crate::error::{Failure, Result};
use crate::ports::{Ports, Wanted};
use crate::{id, layout};

pub use cargo::{Carried, DataOutcome, bring_datasets, send_datasets};

/// From how many references on they are named by what they have in common, rather than each.
const MANY: usize = 256;
/// References named to git at once: its own search for each of them goes through all there are.
const BATCH: usize = 2_000;
/// Milliseconds after which what a pull or push has left belongs to nobody.
const ABANDONED: u64 = 24 * 60 * 60 * 1000;
/// How often to begin anew when others push at the same time.
const PATIENCE: u32 = 8;

/// What is to be pushed or pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The remote, whatever it looks like.
    pub remote: Option<String>,
    /// Perhaps the remote, then selectors.
    pub words: Vec<String>,
    /// What the experiments have to meet, in the language of [`query`](crate::query).
    pub condition: Option<String>,
    /// Whether models and data go along.
    pub data: bool,
}

/// A failure that does not keep the rest from being done.
fn note(failures: &mut Vec<Failure>, failure: Failure) {
    if !failures.contains(&failure) {
        failures.push(failure);
    }
}

/// References of this call's own, for what is not judged yet. They keep it from `git gc` and are gone afterwards.
struct Incoming<'p> {
    ports: &'p Ports,
    prefix: String,
}

impl<'p> Incoming<'p> {
    fn new(ports: &'p Ports) -> Self {
        let (now, name) = (ports.clock.now(), id::generate(&*ports.entropy));
        Self { ports, prefix: format!("{}{now}-{name}/", layout::INCOMING) }
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Lets go of what came.
    fn finish(self) -> Result<()> {
        self.remove(&self.prefix)
    }

    fn remove(&self, prefix: &str) -> Result<()> {
        let there = crate::catalogue::references(self.ports, prefix)?;
        let names: Vec<String> = there.into_iter().map(|reference| reference.name).collect();
        Ok(self.ports.repository_edit.remove_references(&names)?)
    }

    /// Removes what calls have left that were killed.
    fn clear_abandoned(ports: &Ports) -> Result<()> {
        let now = ports.clock.now();
        let is_old = |name: &str| {
            let rest = name.strip_prefix(layout::INCOMING).unwrap_or_default();
            let made = rest.split_once('-').and_then(|(made, _)| made.parse::<u64>().ok());
            made.is_none_or(|made| now.saturating_sub(made) > ABANDONED)
        };
        let there = crate::catalogue::references(ports, layout::INCOMING)?;
        let old: Vec<String> = there.into_iter().map(|reference| reference.name).filter(|name| is_old(name)).collect();
        if old.is_empty() { Ok(()) } else { Ok(ports.repository_edit.remove_references(&old)?) }
    }
}

/// Brings experiments that are here as other commits, to look at what is there.
fn fetch_apart(ports: &Ports, remote: &str, ids: &[&str], incoming: &Incoming<'_>) -> Result<()> {
    for batch in ids.chunks(BATCH) {
        let wanted = |id: &&str| Wanted {
            source: format!("{}{id}", layout::TAGS),
            destination: incoming.name(&format!("tags/{id}")),
        };
        let wanted: Vec<Wanted> = batch.iter().map(wanted).collect();
        ports.exchange.fetch(remote, &wanted).map_err(|problem| words::problem(remote, problem))?;
    }
    Ok(())
}

/// Who says so in a commit of notes, and when.
fn signature(ports: &Ports) -> Result<crate::ports::Signature> {
    Ok(crate::ports::Signature {
        identity: crate::run::committer(ports)?,
        seconds: i64::try_from(ports.clock.now() / 1000).unwrap_or(i64::MAX),
        offset_minutes: ports.clock.offset_minutes(),
    })
}

/// A remote, or what was said of it, as people may read it: without what opens it.
fn shown(text: &str) -> String {
    crate::value::excerpt(&crate::redact::url(text))
}
