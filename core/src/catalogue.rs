//! Which experiments are saved: those with a tag, and those in an archive, save for the removed ones.

use crate::error::{Failure, FailureKind, Result};
use crate::id::{self, Key};
use crate::ports::{Location, ObjectId, Ports, Reference};
use crate::{digest, layout, notes};

/// References asked for at once.
const PAGE: u32 = 10_000;
/// Bytes of the longest object's name, SHA-256.
const LONGEST_NAME: usize = 32;

/// A saved experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its id.
    pub id: String,
    /// Its commit.
    pub commit: String,
    /// Whether an archive holds it and no tag of its own.
    pub archived: bool,
}

impl Saved {
    /// By this commit, whatever holds it.
    pub fn by(id: impl Into<String>, commit: impl Into<String>) -> Self {
        Self { id: id.into(), commit: commit.into(), archived: false }
    }
}

/// The saved experiments, by id.
///
/// # Errors
/// As [`index`].
pub fn saved(ports: &Ports) -> Result<Vec<Saved>> {
    let index = index(ports)?;
    Ok((0..index.len()).map(|at| index.saved(at)).collect())
}

/// The saved experiments by id, in little memory: a million of them take 54 MB.
#[derive(Default)]
pub struct Index {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    id: Key,
    archived: bool,
    /// Bytes of the commit's name that count.
    length: u8,
    commit: [u8; LONGEST_NAME],
}

impl Index {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of an object's name in this repository, as far as there is one.
    pub fn hash(&self) -> usize {
        self.entries.first().map_or(20, |entry| entry.length.into())
    }

    /// How many have a tag of their own.
    pub fn tagged(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.archived).count()
    }

    /// One of them.
    pub fn saved(&self, at: usize) -> Saved {
        let entry = &self.entries[at];
        let commit = digest::hexadecimal(self.commit(at));
        Saved { id: entry.id.to_string(), commit, archived: entry.archived }
    }

    /// Its id.
    pub fn id(&self, at: usize) -> Key {
        self.entries[at].id
    }

    /// The bytes of its commit's name.
    pub fn commit(&self, at: usize) -> &[u8] {
        self.entries[at].name()
    }

    /// Where an experiment stands.
    pub fn position(&self, id: Key) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    /// Where an experiment stands that is saved by this very commit.
    pub fn find(&self, id: Key, commit: &[u8]) -> Option<usize> {
        self.position(id).filter(|at| self.commit(*at) == commit)
    }
}

impl Entry {
    /// The bytes of its commit's name.
    fn name(&self) -> &[u8] {
        &self.commit[..self.length.into()]
    }

    /// None where the texts are no id or no object's name.
    fn parse(id: &str, commit: &str, archived: bool) -> Option<Self> {
        let id = Key::parse(id)?;
        let (pairs, []) = commit.as_bytes().as_chunks::<2>() else { return None };
        let mut bytes = [0; LONGEST_NAME];
        for (at, [high, low]) in pairs.iter().enumerate() {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *bytes.get_mut(at)? = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
        }
        matches!(pairs.len(), 20 | 32).then_some(Self { id, archived, length: pairs.len() as u8, commit: bytes })
    }
}

/// The saved experiments, by id.
///
/// # Errors
/// When git's references, an archive or the notes can't be read.
pub fn index(ports: &Ports) -> Result<Index> {
    // Removals first: one that is taken back meanwhile is then missing for once, and not one that was never removed.
    let removed = notes::removed(ports)?;
    let mut entries = Vec::new();
    // Tags before archives: an experiment that is archived meanwhile is then seen twice, and not passed over.
    each_below(ports, layout::TAGS, &mut |id, commit| entries.extend(Entry::parse(id, commit, false)))?;
    entries.extend(archived(ports)?.iter().filter_map(|(id, commit)| Entry::parse(id, commit, true)));
    // A tag says it better than an archive: a run that was taken for dead and went on has a newer commit.
    entries.sort_by_key(|entry| (entry.id, entry.archived));
    newest_first(ports, &mut entries)?;
    entries.dedup_by_key(|entry| entry.id);
    let mut index = Index { entries };
    if !removed.is_empty() {
        let kept: Vec<_> = (0..index.len()).map(|at| !removed.contains(&index.saved(at).commit)).collect();
        let mut kept = kept.into_iter();
        index.entries.retain(|_| kept.next().unwrap_or(true));
    }
    Ok(index)
}

/// Of an experiment that several archives have by other commits, the one that goes on from the others counts.
fn newest_first(ports: &Ports, entries: &mut [Entry]) -> Result<()> {
    let mut first = 0;
    for at in 1..entries.len() {
        if entries[first].id != entries[at].id {
            first = at;
        } else if entries[first].archived && entries[first].commit != entries[at].commit {
            let [before, after] = [first, at].map(|at| digest::hexadecimal(entries[at].name()));
            if ports.exchange.descends(&after, &before)? {
                entries.swap(first, at);
            }
        }
    }
    Ok(())
}

/// Puts the newest of an experiment's archived commits at the end: the one that goes on from the others.
pub(crate) fn newest_last(ports: &Ports, commits: &mut [ObjectId]) -> Result<()> {
    for at in 1..commits.len() {
        if ports.exchange.descends(&commits[at - 1], &commits[at])? {
            commits.swap(at - 1, at);
        }
    }
    Ok(())
}

/// The experiments that have a tag, removed ones too: ids and commits.
///
/// # Errors
/// When git's references can't be read.
pub fn tagged(ports: &Ports) -> Result<Vec<(String, String)>> {
    let mut tagged = Vec::new();
    each_below(ports, layout::TAGS, &mut |id, commit| {
        if id::is_id(id) {
            tagged.push((id.to_owned(), commit.to_owned()));
        }
    })?;
    Ok(tagged)
}

/// Visits the references below a prefix: what follows that in their names, and what they lead to. None of them is held, whatever their
/// number.
///
/// # Errors
/// When git's references can't be read.
pub(crate) fn each_below(ports: &Ports, prefix: &str, visit: &mut dyn FnMut(&str, &str)) -> Result<()> {
    let mut list = ports.repository.reference_list(prefix)?;
    loop {
        let lines = list.next();
        if lines.is_empty() {
            return Ok(());
        }
        for (commit, name) in String::from_utf8_lossy(&lines).lines().filter_map(|line| line.split_once(' ')) {
            visit(name, commit);
        }
    }
}

/// The experiments that archives hold, removed ones too: ids and commits.
///
/// # Errors
/// As [`members`], and when git's references can't be read.
pub fn archived(ports: &Ports) -> Result<Vec<(String, String)>> {
    let mut archived = Vec::new();
    for archive in references(ports, layout::ARCHIVE)? {
        archived.extend(members(ports, &archive)?);
    }
    Ok(archived)
}

/// The experiments that an archive holds, removed ones too: ids and commits.
///
/// # Errors
/// `Unreadable` when its list is not there or is not one.
pub fn members(ports: &Ports, archive: &Reference) -> Result<Vec<(String, String)>> {
    let unreadable = |why: &str| {
        Failure::new(FailureKind::Unreadable, format!("The archive `{}` can't be read: {why}", archive.name))
            .hint("Get it again: `au pull`")
    };
    let list = Location { root: archive.target.clone(), path: layout::ARCHIVED.to_owned() };
    let list = ports.repository.read_files(&[list])?.pop().flatten();
    let list = list.ok_or_else(|| unreadable("it has no list of experiments"))?;
    let list = std::str::from_utf8(&list).map_err(|_| unreadable("its list is not text"))?;
    list.lines()
        .map(|line| match line.split_once(' ') {
            Some((id, commit)) if id::is_id(id) => Ok((id.to_owned(), commit.to_owned())),
            _ => Err(unreadable("a line of its list names no experiment")),
        })
        .collect()
}

/// All references below a prefix.
///
/// # Errors
/// When git's references can't be read.
pub fn references(ports: &Ports, prefix: &str) -> Result<Vec<Reference>> {
    let mut all: Vec<Reference> = Vec::new();
    loop {
        let after = all.last().map(|reference| reference.name.clone());
        let page = ports.repository.references(prefix, after.as_deref(), PAGE)?;
        let last = page.len() < PAGE as usize;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

/// One reference by its full name: what it leads to.
///
/// # Errors
/// When git's references can't be read.
pub fn reference(ports: &Ports, name: &str) -> Result<Option<String>> {
    let first = ports.repository.references(name, None, 1)?.pop();
    Ok(first.filter(|reference| reference.name == name).map(|reference| reference.target))
}
