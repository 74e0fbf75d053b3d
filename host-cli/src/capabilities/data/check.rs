//! Holding every byte against its digest, whatever is remembered.

use std::collections::HashSet;
use std::io;

use super::manifest::{self, Entry};
use super::parallel::each;
use super::place::Spot;
use super::stat_cache::{Memory, StatCache};
use super::{Differences, Kind, Limits, compare, measure};
use crate::capabilities::Result;
use crate::capabilities::store::{Store, digest_of, hash_stream, parse_digest};

/// Contents read at once.
const AT_ONCE: usize = 4096;

/// What reading contents to their end came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// How many were read.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first of what is wrong: the path within a folder, empty for what stands for all of it, and what is wrong with it.
    pub damages: Vec<(String, String)>,
    /// How much more is wrong.
    pub more: u64,
}

impl Check {
    fn note(&mut self, limit: u32, name: &str, what: String) {
        if self.damages.len() < limit as usize {
            self.damages.push((name.to_owned(), what));
        } else {
            self.more += 1;
        }
    }
}

/// See [`Data::check_stored`](super::Data::check_stored).
pub(super) fn stored(store: &Store, kind: Kind, digest: &str, limit: u32) -> Result<Check> {
    let mut check = Check::default();
    let whole = Entry { path: String::new(), mode: manifest::Mode::File, size: 0, digest: Some(digest.to_owned()) };
    if kind == Kind::File {
        read(store, &[whole], limit, &mut check)?;
        return Ok(check);
    }
    // Its entries are not believed before all of it has been read.
    read(store, &[whole], limit, &mut check)?;
    if !check.damages.is_empty() || check.more > 0 {
        return Ok(check);
    }
    let mut seen = HashSet::new();
    let mut some = Vec::with_capacity(AT_ONCE);
    for entry in manifest::read(store, digest)?.into_iter().flatten() {
        let entry = entry?;
        if let Some(digest) = &entry.digest
            && seen.insert(parse_digest(digest)?)
        {
            some.push(entry);
        }
        if some.len() == AT_ONCE {
            read(store, &some, limit, &mut check)?;
            some.clear();
        }
    }
    read(store, &some, limit, &mut check)?;
    Ok(check)
}

/// Reads contents on all processors.
fn read(store: &Store, entries: &[Entry], limit: u32, check: &mut Check) -> Result<()> {
    let found = each(entries, |entry, buffer| {
        let digest = entry.digest.as_deref().unwrap_or_default();
        let Some(mut file) = store.open(digest)? else {
            return Ok((None, Some(format!("is not in the store: `{digest}`"))));
        };
        // What can't be read is as wrong as what is something else.
        let unreadable = |error: &io::Error| store.failed("reading", error);
        Ok(match hash_stream(&mut file, buffer, |_| Ok(()), unreadable) {
            Err(error) => (None, Some(format!("can't be read in the store: {error}"))),
            Ok((hash, size)) if digest_of(&hash) == digest => (Some(size), None),
            Ok((_, size)) => {
                let moved = store.set_aside(digest, &file)?;
                (Some(size), Some(format!("is damaged in the store: it is not what its name says, and {moved}")))
            }
        })
    })?;
    for (entry, (size, what)) in entries.iter().zip(found) {
        check.contents += u64::from(size.is_some());
        check.bytes += size.unwrap_or(0);
        if let Some(what) = what {
            check.note(limit, &entry.path, what);
        }
    }
    Ok(())
}

/// See [`Data::check_place`](super::Data::check_place).
pub(super) fn place(spot: &Spot, store: Option<&Store>, kind: Kind, digest: &str, limit: u32) -> Result<Check> {
    // Nothing is remembered: what changed behind the file system's back has the times that it had.
    let mut nothing = StatCache::load(None, &Memory::default());
    let mut check = Check::default();
    let stat_only = Some(Limits { files: u64::MAX, bytes: 0 });
    let Some(facts) = measure::measure(spot, stat_only, &mut nothing)? else { return Ok(check) };
    (check.contents, check.bytes) = (facts.files, facts.size);
    let different = "is not what was recorded";
    let entries = match store {
        Some(store) if kind == Kind::Folder && facts.kind == Kind::Folder => {
            manifest::read(store, digest).ok().flatten()
        }
        _ => None,
    };
    // A damaged manifest tells nothing of what is there; the digest of what is there does.
    if let Some(entries) = entries
        && let Ok(Some(differences)) = compare::compare(spot, entries, limit, &mut nothing)
    {
        let Differences { added, changed, removed, examples } = differences;
        check.more = (added + changed + removed).saturating_sub(examples.len() as u64);
        for example in examples {
            let (sign, path) = example.split_at_checked(2).unwrap_or(("", &example));
            let what = match sign {
                "+ " => "is not of it",
                "- " => "is missing",
                _ => different,
            };
            check.note(limit, path, what.to_owned());
        }
        return Ok(check);
    }
    let there = measure::measure(spot, None, &mut nothing)?;
    if there.is_some_and(|there| there.kind != kind || there.digest.as_deref() != Some(digest)) {
        check.note(limit, "", different.to_owned());
    }
    Ok(check)
}
