//! What holds an experiment's commits: a tag, archives, the trash. Listed or not, each of these keeps it from `git gc`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::Result;
use crate::ports::{Ports, Reference};
use crate::{catalogue, id, layout, notes};

/// All that holds one experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The commit that its tag is on.
    pub tag: Option<String>,
    /// The commits by which archives have it: one, but for a run that went on after it had been taken for dead. The newest is the last.
    pub archived: Vec<String>,
    /// The commit by which it can be brought back.
    pub trash: Option<String>,
    /// When it was removed, in RFC 3339; none while it is listed.
    pub removed: Option<String>,
}

impl Holding {
    /// The commit that stands for the experiment.
    pub fn commit(&self) -> Option<&String> {
        self.tag.as_ref().or(self.archived.last()).or(self.trash.as_ref())
    }

    /// Whether `au metrics` shows it.
    pub fn is_listed(&self) -> bool {
        self.removed.is_none() && (self.tag.is_some() || !self.archived.is_empty())
    }

    /// Every commit of it.
    pub fn commits(&self) -> BTreeSet<&String> {
        self.tag.iter().chain(&self.archived).chain(&self.trash).collect()
    }
}

/// Which archive has which experiment.
pub(super) struct Archives {
    references: Vec<Reference>,
    members: HashMap<(String, String), usize>,
}

impl Archives {
    pub(super) fn read(ports: &Ports) -> Result<Self> {
        let references = catalogue::references(ports, layout::ARCHIVE)?;
        let mut members = HashMap::new();
        for (at, archive) in references.iter().enumerate() {
            members.extend(catalogue::members(ports, archive)?.into_iter().map(|member| (member, at)));
        }
        Ok(Self { references, members })
    }

    /// One that has the experiment by this commit.
    pub(super) fn holder(&self, id: &str, commit: &str) -> Option<&Reference> {
        let at = self.members.get(&(id.to_owned(), commit.to_owned()))?;
        self.references.get(*at)
    }
}

/// All experiments that anything holds, by id.
///
/// # Errors
/// When git's references, an archive or the notes can't be read.
pub fn all(ports: &Ports) -> Result<BTreeMap<String, Holding>> {
    let mut holdings: BTreeMap<String, Holding> = BTreeMap::new();
    for (id, commit) in catalogue::archived(ports)? {
        let archived = &mut holdings.entry(id).or_default().archived;
        if !archived.contains(&commit) {
            archived.push(commit);
        }
    }
    holdings.values_mut().try_for_each(|holding| catalogue::newest_last(ports, &mut holding.archived))?;
    for (id, commit) in catalogue::tagged(ports)? {
        holdings.entry(id).or_default().tag = Some(commit);
    }
    for Reference { name, target } in catalogue::references(ports, layout::TRASH)? {
        if let Some(id) = name.strip_prefix(layout::TRASH).filter(|id| id::is_id(id)) {
            holdings.entry(id.to_owned()).or_default().trash = Some(target);
        }
    }
    let removals = notes::removals(ports)?;
    for holding in holdings.values_mut() {
        holding.removed = holding.commit().and_then(|commit| removals.get(commit)).cloned();
    }
    Ok(holdings)
}
