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
    /// As far as these experiments are concerned, by id.
    pub(super) fn read(ports: &Ports, ids: &BTreeSet<&str>) -> Result<Self> {
        let references = catalogue::references(ports, layout::ARCHIVE)?;
        let mut members = HashMap::new();
        for (at, archive) in references.iter().enumerate() {
            let of_it = catalogue::members(ports, archive)?.into_iter();
            members.extend(of_it.filter(|(id, _)| ids.contains(id.as_str())).map(|member| (member, at)));
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
/// As [`of`].
pub fn all(ports: &Ports) -> Result<BTreeMap<String, Holding>> {
    of(ports, &mut |_, _| true)
}

/// Those that may be removed: the trash has them, or something of them is said to be. Of a million experiments these are few.
///
/// # Errors
/// As [`of`].
pub(super) fn discarded(ports: &Ports) -> Result<BTreeMap<String, Holding>> {
    let removed = notes::removed(ports)?;
    let mut ids = BTreeSet::new();
    for archive in catalogue::references(ports, layout::ARCHIVE)? {
        let members = catalogue::members(ports, &archive)?.into_iter();
        ids.extend(members.filter(|(_, commit)| removed.contains(commit)).map(|(id, _)| id));
    }
    catalogue::each_below(ports, layout::TAGS, &mut |id, commit| {
        ids.extend(removed.contains(commit).then(|| id.to_owned()));
    })?;
    catalogue::each_below(ports, layout::TRASH, &mut |id, _| ids.extend([id.to_owned()]))?;
    // Whole, for another commit of the same experiment may say otherwise.
    of(ports, &mut |id, _| ids.contains(id))
}

/// Those that anything holds of the experiments that are wanted by an id and a commit, by id. What is not wanted takes no memory.
///
/// # Errors
/// When git's references, an archive or the notes can't be read.
pub fn of(ports: &Ports, wanted: &mut dyn FnMut(&str, &str) -> bool) -> Result<BTreeMap<String, Holding>> {
    let mut holdings: BTreeMap<String, Holding> = BTreeMap::new();
    for archive in catalogue::references(ports, layout::ARCHIVE)? {
        for (id, commit) in catalogue::members(ports, &archive)?.into_iter().filter(|(id, commit)| wanted(id, commit)) {
            let archived = &mut holdings.entry(id).or_default().archived;
            if !archived.contains(&commit) {
                archived.push(commit);
            }
        }
    }
    holdings.values_mut().try_for_each(|holding| catalogue::newest_last(ports, &mut holding.archived))?;
    for (prefix, is_trash) in [(layout::TAGS, false), (layout::TRASH, true)] {
        catalogue::each_below(ports, prefix, &mut |id, commit| {
            if id::is_id(id) && wanted(id, commit) {
                let holding = holdings.entry(id.to_owned()).or_default();
                *(if is_trash { &mut holding.trash } else { &mut holding.tag }) = Some(commit.to_owned());
            }
        })?;
    }
    let removals = notes::removals(ports)?;
    for holding in holdings.values_mut() {
        holding.removed = holding.commit().and_then(|commit| removals.get(commit)).cloned();
    }
    Ok(holdings)
}
