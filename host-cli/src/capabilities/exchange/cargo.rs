//! Objects of the store that go to a data remote and come from it: a folder with the store's own layout, `sha256/ab/cdef…`.
//!
//! Each object gets its name once it is whole and on stable storage, those that a manifest names before the manifest. So what was
//! cut short is gone on with by doing it again.

#[cfg(feature = "network")]
mod server;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, Mode, OFlags};

use super::{Event, Observer};
use crate::capabilities::data::batch::Batch;
use crate::capabilities::data::parallel::each;
use crate::capabilities::data::{Kind, manifest};
use crate::capabilities::percent::decode;
#[cfg(feature = "network")]
use crate::capabilities::remote::depot::is_server;
use crate::capabilities::remote::{Outset, Remote};
use crate::capabilities::repository::Repository;
use crate::capabilities::store::{Store, parse_digest};
use crate::capabilities::{Error, Result};

/// Objects, and about how many bytes, that get their names at once: so much is lost when it is cut short.
const MOST_AT_ONCE: usize = 4096;
const BYTES_AT_ONCE: u64 = 256 << 20;

/// Where objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataRemote {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
}

/// A content of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `sha256:…`.
    pub digest: String,
    /// Of a folder, what its manifest names goes with it.
    pub kind: Kind,
}

/// Objects that travelled, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freight {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many neither side has.
    pub absent: u64,
}

/// The data remotes in the repository's own configuration, in its order.
pub fn data_remotes(repository: &Repository) -> Result<Vec<DataRemote>> {
    let settings = repository.git()?.config_snapshot();
    let sections = settings.sections_by_name("aurum").into_iter().flatten();
    let own = sections.filter(|section| section.meta().source == gix::config::Source::Local);
    let remotes = own.filter_map(|section| {
        let name = section.header().subsection_name()?.to_string().strip_prefix("remote.")?.to_owned();
        Some(DataRemote { name, url: section.value("url")?.to_string() })
    });
    Ok(remotes.collect())
}

/// How many of these the store has, and their bytes.
pub fn weigh(store: &Store, objects: &[Object]) -> Result<Freight> {
    let mut freight = Freight::default();
    let mut seen = HashSet::new();
    let mut weigh = |digest: &str| -> Result<()> {
        if seen.insert(parse_digest(digest)?) {
            match size_of(store, digest)? {
                Some(size) => {
                    freight.objects += 1;
                    freight.bytes += size;
                }
                None => freight.absent += 1,
            }
        }
        Ok(())
    };
    for object in objects {
        weigh(&object.digest)?;
        if object.kind == Kind::Folder {
            for entry in manifest::read(store, &object.digest)?.into_iter().flatten() {
                entry?.digest.as_deref().map_or(Ok(()), &mut weigh)?;
            }
        }
    }
    Ok(freight)
}

/// How servers are reached.
pub type Servers<'s> = (&'s Remote, &'s Outset<'s>);

/// Copies from the store to a data remote what that lacks.
pub fn send(
    store: &Store,
    url: &str,
    objects: &[Object],
    observer: &Observer,
    servers: Servers<'_>,
) -> Result<Freight> {
    #[cfg(feature = "network")]
    if is_server(url) {
        return server::Server { remote: servers.0, outset: servers.1, url }.send(store, objects, observer);
    }
    let _ = servers;
    let share = open(url)?;
    let mut route = Route { from: store, to: &share, sending: true, observer, seen: HashSet::new() };
    sent(store, objects, |digests| route.carry(digests))
}

/// Sends in this order: what is in files and folders, and then what tells of it. Whoever finds that finds the rest.
fn sent(store: &Store, objects: &[Object], mut carry: impl FnMut(&[String]) -> Result<Freight>) -> Result<Freight> {
    let manifests = digests(objects, Kind::Folder);
    let mut freight = carry(&members(store, objects, &manifests)?)?;
    freight += carry(&manifests)?;
    Ok(freight)
}

/// Brings the other way: what tells what else to bring goes first. Whether a folder can be restored is told by its members, so a
/// manifest alone is no promise.
fn brought(store: &Store, objects: &[Object], mut carry: impl FnMut(&[String]) -> Result<Freight>) -> Result<Freight> {
    let manifests = digests(objects, Kind::Folder);
    let mut freight = carry(&manifests)?;
    freight += carry(&members(store, objects, &manifests)?)?;
    Ok(freight)
}

fn digests(objects: &[Object], kind: Kind) -> Vec<String> {
    objects.iter().filter(|object| object.kind == kind).map(|object| object.digest.clone()).collect()
}

/// The files, and what the manifests that the store has tell of.
fn members(store: &Store, objects: &[Object], manifests: &[String]) -> Result<Vec<String>> {
    let mut members = digests(objects, Kind::File);
    for manifest in manifests {
        for entry in manifest::read(store, manifest)?.into_iter().flatten() {
            members.extend(entry?.digest);
        }
    }
    Ok(members)
}

/// Copies from a data remote to the store what that lacks, checked against its digest.
pub fn bring(
    store: &Store,
    url: &str,
    objects: &[Object],
    observer: &Observer,
    servers: Servers<'_>,
) -> Result<Freight> {
    #[cfg(feature = "network")]
    if is_server(url) {
        return server::Server { remote: servers.0, outset: servers.1, url }.bring(store, objects, observer);
    }
    let _ = servers;
    let share = open(url)?;
    let mut route = Route { from: &share, to: store, sending: false, observer, seen: HashSet::new() };
    brought(store, objects, |digests| route.carry(digests))
}

impl std::ops::AddAssign for Freight {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.absent += other.absent;
    }
}

/// Objects on their way from one store to another.
struct Route<'r> {
    from: &'r Store,
    to: &'r Store,
    sending: bool,
    observer: &'r Observer,
    seen: HashSet<[u8; 32]>,
}

struct Job {
    digest: String,
    size: u64,
}

impl Route<'_> {
    fn carry(&mut self, digests: &[String]) -> Result<Freight> {
        let mut freight = Freight::default();
        let mut jobs = Vec::new();
        for digest in digests {
            if !self.seen.insert(parse_digest(digest)?) {
                continue;
            }
            match (size_of(self.from, digest)?, size_of(self.to, digest)?) {
                // Of another size, a power cut tore it.
                (Some(size), there) if there != Some(size) => jobs.push(Job { digest: digest.clone(), size }),
                (None, None) => freight.absent += 1,
                _ => {}
            }
        }
        freight.objects = jobs.len() as u64;
        freight.bytes = jobs.iter().map(|job| job.size).sum();
        if jobs.is_empty() {
            return Ok(freight);
        }
        let done = AtomicU64::new(0);
        let tell = || {
            self.observer.tell(&Event::Cargo {
                sending: self.sending,
                objects: freight.objects,
                bytes: freight.bytes,
                done: done.load(Ordering::Relaxed),
            });
        };
        tell();
        let mut rest = &jobs[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |job: &&Job| {
                let begun = bytes;
                bytes += job.size;
                begun < BYTES_AT_ONCE
            };
            let count = rest.iter().take(MOST_AT_ONCE).take_while(fits).count();
            let (now, later) = rest.split_at(count);
            let batch = Batch::new(self.to)?;
            each(now, |job, buffer| {
                self.copy(&batch, job, buffer)?;
                done.fetch_add(job.size, Ordering::Relaxed);
                tell();
                Ok(())
            })?;
            batch.finish()?;
            rest = later;
        }
        Ok(freight)
    }

    fn copy(&self, batch: &Batch<'_>, job: &Job, buffer: &mut Vec<u8>) -> Result<()> {
        let Job { digest, .. } = job;
        let place = self.from.folder().display();
        let unreadable = |error: &io::Error| Error::io(format_args!("reading `{digest}` in `{place}`"), error);
        let path = self.from.path(digest)?;
        let mut file = open_file(&path).map_err(|error| unreadable(&error))?;
        let stream = batch.stream(&mut file, buffer, unreadable)?;
        if *stream.hash() != parse_digest(digest)? {
            return Err(Error::Other(format!("`{}` is damaged: it is not what its name says", path.display())));
        }
        stream.add().map(drop)
    }
}

/// The size of a content that is there. Whoever can write a data remote can put anything in its place.
fn size_of(store: &Store, digest: &str) -> Result<Option<u64>> {
    let path = store.path(digest)?;
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(Error::Other(format!("`{}` is no ordinary file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format_args!("looking for `{}`", path.display()), &error)),
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?.into())
}

/// The data remote at an address. It is never made: where it is gone, nothing is mounted there.
fn open(url: &str) -> Result<Store> {
    let folder = folder_of(url)?;
    match fs::metadata(&folder) {
        Ok(found) if found.is_dir() => Ok(Store::new(folder)),
        Ok(_) => Err(Error::Other(format!("the data remote `{}` is not a folder", folder.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Other(format!(
            "the data remote `{}` is not there: it has to be mounted, or made",
            folder.display()
        ))),
        Err(error) => Err(Error::io(format_args!("looking at the data remote `{}`", folder.display()), &error)),
    }
}

/// The file or folder that a `file://` address names.
pub(crate) fn folder_of(url: &str) -> Result<PathBuf> {
    let wrong = || Error::Other(format!("`{}` is no address of a file or folder", url.escape_debug()));
    let rest = url.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("file://")).map(|scheme| &url[scheme.len()..]);
    let path = rest.ok_or_else(wrong)?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    if !path.starts_with('/') {
        return Err(wrong());
    }
    let bytes = decode(path);
    if bytes.contains(&0) {
        return Err(wrong());
    }
    use std::os::unix::ffi::OsStringExt;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::super::data::{Data, Place};
    use super::*;

    struct Sides {
        folder: tempfile::TempDir,
        store: Store,
        other: Store,
        url: String,
    }

    fn sides() -> Sides {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a share")).unwrap();
        let url = format!("file://{}/a%20share", folder.path().display());
        let store = |name: &str| Store::new(folder.path().join(name).join("store"));
        Sides { store: store("one"), other: store("two"), url, folder }
    }

    fn file(digest: &str) -> Object {
        Object { digest: digest.to_owned(), kind: Kind::File }
    }

    fn sent(store: &Store, url: &str, objects: &[Object], observer: &Observer) -> Result<Freight> {
        send(store, url, objects, observer, (&Remote::new(), &Outset::plain(&|_| false, Path::new("/nowhere"))))
    }

    fn brought(store: &Store, url: &str, objects: &[Object], observer: &Observer) -> Result<Freight> {
        bring(store, url, objects, observer, (&Remote::new(), &Outset::plain(&|_| false, Path::new("/nowhere"))))
    }

    #[test]
    fn what_is_missing_travels_and_is_the_same() {
        let Sides { store, other, url, folder } = sides();
        let quiet = Observer::default();
        let digests: Vec<String> =
            (0..100u32).map(|number| store.add(&mut &number.to_le_bytes()[..]).unwrap().digest).collect();
        let mut objects: Vec<Object> = digests.iter().map(|digest| file(digest)).collect();
        objects.push(file(&format!("sha256:{}", "0".repeat(64))));
        assert_eq!(weigh(&store, &objects).unwrap(), Freight { objects: 100, bytes: 400, absent: 1 });
        assert_eq!(sent(&store, &url, &objects, &quiet).unwrap(), Freight { objects: 100, bytes: 400, absent: 1 });
        assert_eq!(sent(&store, &url, &objects, &quiet).unwrap(), Freight { objects: 0, bytes: 0, absent: 1 });
        let share = Store::new(folder.path().join("a share"));
        let mode = fs::metadata(share.path(&digests[0]).unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        // One is torn, as a power cut leaves it: it is replaced.
        let torn = share.path(&digests[1]).unwrap();
        fs::remove_file(&torn).unwrap();
        fs::write(&torn, "x").unwrap();
        assert_eq!(sent(&store, &url, &objects, &quiet).unwrap().objects, 1);
        assert_eq!(brought(&other, &url, &objects, &quiet).unwrap(), Freight { objects: 100, bytes: 400, absent: 1 });
        assert_eq!(fs::read(other.path(&digests[7]).unwrap()).unwrap(), 7u32.to_le_bytes());
    }

    #[test]
    fn a_folder_brings_along_what_is_in_it() {
        let Sides { store, other, url, folder } = sides();
        let quiet = Observer::default();
        let project = folder.path().join("project");
        fs::create_dir_all(project.join("data/sub")).unwrap();
        for name in ["a", "b", "sub/c"] {
            fs::write(project.join("data").join(name), name).unwrap();
        }
        let data = Data::new(&project, Some(&folder.path().join("one")));
        let digest = data.keep(Place::Project("data")).unwrap().unwrap().digest.unwrap();
        let objects = [Object { digest: digest.clone(), kind: Kind::Folder }];
        assert_eq!(weigh(&store, &objects).unwrap().objects, 4);
        assert_eq!(sent(&store, &url, &objects, &quiet).unwrap().objects, 4);
        assert_eq!(brought(&other, &url, &objects, &quiet).unwrap().objects, 4);
        let there = Data::new(&folder.path().join("elsewhere"), Some(&folder.path().join("two")));
        assert!(there.can_restore(Kind::Folder, &digest).unwrap());
    }

    #[test]
    fn what_is_not_what_its_name_says_is_not_taken() {
        let Sides { store, other, url, folder } = sides();
        let quiet = Observer::default();
        let digest = store.add(&mut &b"true"[..]).unwrap().digest;
        sent(&store, &url, &[file(&digest)], &quiet).unwrap();
        let share = Store::new(folder.path().join("a share"));
        let path = share.path(&digest).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "lies").unwrap();
        let error = brought(&other, &url, &[file(&digest)], &quiet).unwrap_err();
        assert!(error.to_string().contains("is not what its name says"), "{error}");
        assert!(!other.has(&digest).unwrap());
        fs::remove_file(&path).unwrap();
        symlink("/etc/hostname", &path).unwrap();
        let error = brought(&other, &url, &[file(&digest)], &quiet).unwrap_err();
        assert!(error.to_string().contains("is no ordinary file"), "{error}");
        assert!(fs::read_dir(other.folder()).map_or(0, Iterator::count) <= 1, "nothing half done is left");
        fs::remove_file(&path).unwrap();
        std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(brought(&other, &url, &[file(&digest)], &quiet).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_made() {
        let Sides { store, folder, .. } = sides();
        let digest = store.add(&mut &b"x"[..]).unwrap().digest;
        let url = format!("file://{}/unmounted", folder.path().display());
        let error = sent(&store, &url, &[file(&digest)], &Observer::default()).unwrap_err();
        assert!(error.to_string().contains("is not there: it has to be mounted"), "{error}");
        assert!(!folder.path().join("unmounted").exists());
        for url in ["s3://a/b", "/mnt", "file://server/a", "file:///a%00b", "file:/a", ""] {
            assert!(folder_of(url).is_err(), "{url}");
        }
        assert_eq!(folder_of("FILE://localhost/a%2fb%zz").unwrap(), Path::new("/a/b%zz"));
    }
}
