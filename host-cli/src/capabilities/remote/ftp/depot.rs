//! Servers of FTP as data remotes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::super::depot::{Depot, Put};
use super::super::pieces::{self, Item, Source};
use super::super::{Error, Result, Stop};
use super::control::Control;
use super::listing::Kind;
use super::{Site, complete};
use crate::capabilities::store::hexadecimal;

/// How often a broken connection is made anew without having taken anything.
const TRIES: u32 = 5;

/// A folder of a server.
pub(in super::super) struct Shelf<'c> {
    site: Site<'c>,
    /// Without a slash at its end.
    folder: String,
    /// Connections that nobody uses just now.
    idle: Mutex<Vec<Control>>,
    /// Folders that are there.
    made: Mutex<HashSet<String>>,
    /// What tells what this clone left there from what others did.
    mark: String,
}

impl<'c> Shelf<'c> {
    pub(in super::super) fn new(site: Site<'c>) -> Result<Self> {
        let folder = site.path.trim_end_matches('/').to_owned();
        let here = format!("{}\0{}", rustix::system::uname().nodename().to_string_lossy(), site.folder.display());
        let mark = hexadecimal(&Sha256::digest(here))[..12].to_owned();
        let (idle, made) = (Mutex::default(), Mutex::default());
        let shelf = Self { site, folder, idle, made, mark };
        // It is never made: a folder that is not there is a mistake in the address.
        if !shelf.folder.is_empty() {
            let mut control = shelf.site.connected()?;
            let entered = control.ask(format!("CWD {}", shelf.folder).as_bytes()).map_err(Stop::into_error)?;
            if !entered.is_good() {
                let what = format!("the folder `{}` of the data remote is not there", shelf.folder.escape_debug());
                return Err(control.refused(&what, &entered));
            }
        }
        Ok(shelf)
    }

    fn at(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    /// A connection, which is kept for the next where nothing went wrong.
    fn with<T>(&self, act: impl FnOnce(&mut Control) -> Result<T, Stop>) -> Result<T, Stop> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut control = idle.map_or_else(|| self.site.open(), Ok)?;
        let done = act(&mut control)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(control);
        Ok(done)
    }

    /// The same, again where the connection broke; `act` tells by its return that it got somewhere.
    fn patiently<T>(
        &self,
        mut act: impl FnMut(&mut Control) -> Result<T, Stop>,
        mut reached: impl FnMut() -> u64,
    ) -> Result<T> {
        let mut tries = 0;
        loop {
            let before = reached();
            let broken = match self.with(&mut act) {
                Ok(done) => return Ok(done),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Broken(error)) => error,
            };
            tries = if reached() > before { 0 } else { tries + 1 };
            if tries == TRIES {
                return Err(broken);
            }
            std::thread::sleep(self.site.client.patience.pause * 2_u32.pow(tries));
        }
    }

    /// Makes a folder and those it is in.
    fn make(&self, control: &mut Control, folder: &str) -> Result<(), Stop> {
        let below = folder.strip_prefix(&self.folder).unwrap_or(folder);
        let offset = folder.len() - below.len();
        let ends = below.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([below.len()]);
        for end in ends {
            let part = &folder[..offset + end];
            if self.made.lock().unwrap_or_else(PoisonError::into_inner).contains(part) {
                continue;
            }
            // One that is there already is refused; one that could not be made is noticed by whoever writes into it.
            control.ask(format!("MKD {part}").as_bytes())?;
            self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(part.to_owned());
        }
        Ok(())
    }

    fn size(control: &mut Control, path: &str) -> Result<Option<u64>, Stop> {
        let told = control.ask(format!("SIZE {path}").as_bytes())?;
        Ok((told.code == 213).then(|| told.text.trim().parse().ok()).flatten())
    }

    /// What arrived so far is under a name of its own, which an earlier call may have begun.
    fn upload(&self, control: &mut Control, put: &Put<'_>, at: &mut u64) -> Result<(), Stop> {
        let path = self.at(put.name);
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", &path));
        self.make(control, folder)?;
        let temporary = format!("{folder}/.aurum-{}-{}.part", self.mark, &put.digits[..24]);
        let there = Self::size(control, &temporary)?.filter(|there| *there <= put.size).unwrap_or(0);
        if there > *at {
            (put.tell)(there - *at);
            *at = there;
        }
        let mut position = there;
        if position < put.size || put.size == 0 {
            let mut data = match control.transfer(format!("STOR {temporary}").as_bytes(), position)? {
                Ok(data) => data,
                Err(answer) => return Err(control.refused("it does not take what is sent", &answer).into()),
            };
            let mut piece = vec![0; 1 << 16];
            while position < put.size {
                let most = usize::try_from(put.size - position).unwrap_or(usize::MAX).min(piece.len());
                let count = put.file.read_at(&mut piece[..most], position);
                let count = count.map_err(|error| Error::io(format_args!("reading `{}`", put.name), &error))?;
                if count == 0 {
                    return Err(control.failure(format_args!("`{}` is shorter than it was", put.name)).into());
                }
                if let Err(error) = data.write_all(&piece[..count]) {
                    // Why is said on the other connection, if it is.
                    drop(data);
                    return Err(match control.reply() {
                        Ok(answer) if matches!(answer.code, 452 | 552) => {
                            Error::NoSpace(control.refused("it has no room left", &answer).to_string()).into()
                        }
                        Ok(answer) => Stop::Broken(control.refused("it broke off", &answer)),
                        Err(_) => control.broken(&error),
                    });
                }
                position += count as u64;
                if position > *at {
                    (put.tell)(position - *at);
                    *at = position;
                }
            }
            data.close().map_err(|error| control.broken(&error))?;
            complete(control)?;
        }
        if let Some(size) = Self::size(control, &temporary)?.filter(|size| *size != put.size) {
            control.ask(format!("DELE {temporary}").as_bytes())?;
            let what = format!("it has {size} of the {} bytes that were sent", put.size);
            return Err(Stop::Broken(control.failure(what)));
        }
        self.name(control, &temporary, &path)
    }

    fn name(&self, control: &mut Control, from: &str, to: &str) -> Result<(), Stop> {
        for is_last in [false, true] {
            let begun = control.ask(format!("RNFR {from}").as_bytes())?;
            if begun.code != 350 {
                return Err(control.refused("it can't name what was sent", &begun).into());
            }
            let named = control.ask(format!("RNTO {to}").as_bytes())?;
            if named.is_good() {
                return Ok(());
            }
            if is_last {
                return Err(control.refused("it can't name what was sent", &named).into());
            }
            // What is there is torn, and some servers put nothing in the place of anything.
            control.ask(format!("DELE {to}").as_bytes())?;
        }
        Ok(())
    }
}

impl Depot for Shelf<'_> {
    fn sizes(&self, names: &[String]) -> Result<HashMap<String, u64>> {
        let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in names {
            let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
            folders.entry(folder).or_default().push(file);
        }
        let folders: Vec<_> = folders.into_iter().collect();
        let sizes = Mutex::new(HashMap::new());
        pieces::several(&folders, |(folder, files)| {
            let at = self.at(folder);
            let found = self.patiently(
                |control| {
                    if let [file] = files[..] {
                        let size = Self::size(control, &format!("{at}/{file}"))?;
                        return Ok(size.map(|size| (file.to_owned(), size)).into_iter().collect::<Vec<_>>());
                    }
                    let entries = self.site.entries_if_there(control, &at)?.unwrap_or_default();
                    let files = entries.into_iter().filter(|entry| entry.kind == Kind::File);
                    Ok(files.filter_map(|entry| Some((entry.name, entry.size?))).collect())
                },
                || 0,
            )?;
            let mut sizes = sizes.lock().unwrap_or_else(PoisonError::into_inner);
            sizes.extend(found.into_iter().map(|(file, size)| (format!("{folder}/{file}"), size)));
            Ok(())
        })?;
        Ok(sizes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, put: &Put<'_>) -> Result<()> {
        let at = std::cell::Cell::new(0);
        self.patiently(
            |control| {
                let mut reached = at.get();
                let sent = self.upload(control, put, &mut reached);
                at.set(reached);
                sent
            },
            || at.get(),
        )
    }

    fn source(&self) -> &dyn Source {
        &self.site
    }

    fn item(&self, name: &str, size: u64) -> Item {
        // The name tells the version: who wrote it when does not matter.
        Item {
            path: name.to_owned(),
            key: self.at(name),
            size: Some(size),
            version: Some("content".to_owned()),
            modified: None,
        }
    }
}
