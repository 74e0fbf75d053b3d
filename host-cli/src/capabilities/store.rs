//! Content-addressed bytes beside the repository: `<folder>/sha256/ab/cdef…`, read-only, named by their SHA-256.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::settled::make_folder;
pub(crate) use super::settled::sync_folder;
use super::settled::sync_names;
use super::sharing::{create_dir_all, share};
use super::{Error, Result, temporaries};

/// Small enough to be still in the processor's cache when it is written, after it was hashed.
pub(crate) const PIECE: usize = 256 << 10;
/// What the names of temporaries begin with.
pub(crate) const NEW: &str = "new-";
/// What was used so lately is new enough: it is not made new again at each use.
const LATELY: Duration = Duration::from_secs(10 * 60);

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What the store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `sha256:` and 64 digits.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// A folder of contents. Any number of processes may add to it at once.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Nothing is made or looked at before something is added.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Reads the stream to its end, keeps its bytes, and returns once they are on stable storage under their name.
    pub fn add(&self, bytes: &mut dyn Read) -> Result<Stored> {
        let mut temporary = self.temporary()?;
        let file = temporary.as_file_mut();
        let (hash, size) = hash_stream(
            bytes,
            &mut Vec::new(),
            |piece| file.write_all(piece).map_err(|error| self.failed("writing to", &error)),
            |error| Error::io("reading what is to be stored", error),
        )?;
        self.keep(temporary, &hash, size)?;
        Ok(Stored { digest: digest_of(&hash), size })
    }

    /// An empty file within the store, which is made if there is none yet.
    pub(crate) fn temporary(&self) -> Result<tempfile::NamedTempFile> {
        self.make_folder()?;
        let make = || tempfile::Builder::new().prefix(NEW).tempfile_in(&self.folder);
        let made = temporaries::make_held(make, |made| temporaries::hold(made.as_file(), made.path()));
        made.map_err(|error| self.failed("adding to", &error))
    }

    /// An empty folder within the store, which is made if there is none yet, and that folder opened.
    pub(crate) fn temporary_folder(&self) -> Result<(tempfile::TempDir, File)> {
        self.make_folder()?;
        let make = || {
            let made = tempfile::Builder::new().prefix(NEW).tempdir_in(&self.folder)?;
            let opened = File::open(made.path())?;
            Ok((made, opened))
        };
        let made = temporaries::make_held(make, |(made, opened)| temporaries::hold(opened, made.path()));
        made.map_err(|error| self.failed("adding to", &error))
    }

    /// Removes what processes left that died while they added something.
    pub(crate) fn clear(&self) {
        temporaries::clear(&self.folder, NEW);
    }

    /// Makes the store's folder the first time, and its name durable with it.
    pub(crate) fn make_folder(&self) -> Result<()> {
        make_folder(&self.folder).map_err(|error| self.failed("adding to", &error))
    }

    /// Puts the temporary in its place, and returns once it is there for good.
    pub(crate) fn keep(&self, temporary: tempfile::NamedTempFile, hash: &Hash, size: u64) -> Result<()> {
        let path = self.objects().join(object_name(hash));
        self.place(temporary, &path, size).map_err(|error| self.failed("adding to", &error))
    }

    /// Gives the temporary its name, or drops it when the same content is there already.
    fn place(&self, temporary: tempfile::NamedTempFile, path: &Path, size: u64) -> io::Result<()> {
        let _adding = self.lock(FlockOperation::LockShared)?;
        match File::open(path) {
            // What has a name was synced before it got that; the name may be so new that it is not.
            Ok(there) if there.metadata()?.len() == size => {
                renew(&there);
                drop(temporary);
            }
            // Of another size, a power cut tore it: the whole one takes its place.
            Ok(_) => self.name(temporary, path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.name(temporary, path)?,
            Err(error) => return Err(error),
        }
        // `sha256/ab`, `sha256`, the store, Aurum's, git's.
        sync_names(path, 5)
    }

    fn name(&self, temporary: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
        temporary.as_file().set_permissions(Permissions::from_mode(0o444))?;
        temporary.as_file().sync_all()?;
        if let Some(folder) = path.parent() {
            create_dir_all(folder)?;
        }
        share(temporary.path());
        temporary.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Whether the content is there.
    pub fn has(&self, digest: &str) -> Result<bool> {
        Ok(self.open(digest)?.is_some())
    }

    /// The same, of a content that is going to be named anew: it is not cleared for the grace period.
    pub fn rely_on(&self, digest: &str) -> Result<bool> {
        let _using = self.lock_shared()?;
        let file = self.open(digest)?;
        file.iter().for_each(renew);
        Ok(file.is_some())
    }

    /// As long as it is held, nothing is cleared.
    pub(crate) fn lock_shared(&self) -> Result<Option<File>> {
        self.lock(FlockOperation::LockShared).map_err(|error| self.failed("adding to", &error))
    }

    /// The right to clear; a conflict while others add.
    pub(crate) fn lock_alone(&self) -> Result<Option<File>> {
        self.lock(FlockOperation::NonBlockingLockExclusive).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Error::Conflict("the store is being added to: try again later".to_owned()),
            _ => self.failed("clearing", &error),
        })
    }

    /// None where there is no store yet, or where the file system has no locks: then the grace period alone has to do.
    fn lock(&self, operation: FlockOperation) -> io::Result<Option<File>> {
        let folder = match File::open(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        loop {
            match rustix::fs::flock(&folder, operation) {
                Ok(()) => return Ok(Some(folder)),
                Err(Errno::INTR) => {}
                Err(error @ Errno::WOULDBLOCK) => return Err(error.into()),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Whether the content is there and of that size, so not torn by a power cut.
    pub(crate) fn has_whole(&self, digest: &str, size: u64) -> Result<bool> {
        match fs::symlink_metadata(self.path(digest)?) {
            Ok(found) => Ok(found.is_file() && found.len() == size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io(format_args!("looking for `{digest}` in the store"), &error)),
        }
    }

    /// The content, from its start; none when it is not there.
    pub fn open(&self, digest: &str) -> Result<Option<File>> {
        match File::open(self.path(digest)?) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format_args!("opening `{digest}` in the store"), &error)),
        }
    }

    /// Where the content is, or would be.
    pub fn path(&self, digest: &str) -> Result<PathBuf> {
        Ok(self.objects().join(object_name(&parse_digest(digest)?)))
    }

    /// Moves what is not what its name says out of the way of what is, to `damaged` beside the store, and tells so. Nothing is
    /// lost by that, and what is still whole elsewhere can be added again. `read` is the file that was found out: what has
    /// taken its place since stays.
    pub(crate) fn set_aside(&self, digest: &str, read: &File) -> Result<String> {
        let from = self.path(digest)?;
        let aside = self.folder.with_file_name("damaged");
        let name = hexadecimal(&parse_digest(digest)?);
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let set_aside = || -> io::Result<Option<PathBuf>> {
            // Nobody puts another there meanwhile, neither another process nor this one.
            let _this = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            let _alone = self.lock(FlockOperation::NonBlockingLockExclusive)?;
            let (read, there) = (read.metadata()?, fs::symlink_metadata(&from)?);
            if (read.dev(), read.ino()) != (there.dev(), there.ino()) {
                return Ok(None);
            }
            create_dir_all(&aside)?;
            let names = (0..).map(|number| if number == 0 { name.clone() } else { format!("{name}-{number}") });
            let free = names.map(|name| aside.join(name)).find(|path| fs::symlink_metadata(path).is_err());
            let to = free.ok_or(io::ErrorKind::AlreadyExists)?;
            fs::rename(&from, &to)?;
            Ok(Some(to))
        };
        Ok(match set_aside() {
            Ok(Some(to)) => format!("was moved to `{}`", to.display()),
            Ok(None) => "was replaced meanwhile".to_owned(),
            Err(error) => format!("has to be moved away: `{}` ({error})", from.display()),
        })
    }

    /// The folder that all contents are below.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.join("sha256")
    }

    /// Where the store is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn failed(&self, doing: &str, error: &io::Error) -> Error {
        Error::io(format_args!("{doing} the store `{}`", self.folder.display()), error)
    }
}

/// Makes a content new again: what nothing names is cleared once it has not been used for the grace period.
fn renew(content: &File) {
    if content.metadata().and_then(|found| found.modified()).is_ok_and(is_old) {
        // Not ours to change, perhaps; then it is not ours to clear either.
        let _ = content.set_modified(SystemTime::now());
    }
}

/// Whether what was used then has to be made new again when it is used.
pub(crate) fn is_old(used: SystemTime) -> bool {
    SystemTime::now().duration_since(used).is_ok_and(|since| since > LATELY)
}

/// Hashes a stream to its end, handing on each piece of it; also tells how long it was. The buffer is for who has many.
pub(crate) fn hash_stream(
    bytes: &mut dyn Read,
    buffer: &mut Vec<u8>,
    mut take: impl FnMut(&[u8]) -> Result<()>,
    unreadable: impl Fn(&io::Error) -> Error,
) -> Result<(Hash, u64)> {
    let piece = make_room(buffer);
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        let count = match bytes.read(piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(&error)),
        };
        hash.update(&piece[..count]);
        take(&piece[..count])?;
        size += count as u64;
    }
    Ok((hash.finalize().into(), size))
}

/// The buffer, as long as a piece.
pub(crate) fn make_room(buffer: &mut Vec<u8>) -> &mut [u8] {
    if buffer.len() < PIECE {
        buffer.resize(PIECE, 0);
    }
    &mut buffer[..PIECE]
}

/// `sha256:` and 64 digits.
pub(crate) fn digest_of(hash: &Hash) -> String {
    format!("sha256:{}", hexadecimal(hash))
}

/// The opposite of [`digest_of`].
pub(crate) fn parse_digest(digest: &str) -> Result<Hash> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let parse = || {
        let (pairs, []) = digest.strip_prefix("sha256:")?.as_bytes().as_chunks::<2>() else { return None };
        let bytes =
            pairs.iter().map(|&[high, low]| Some(value(high)? << 4 | value(low)?)).collect::<Option<Vec<_>>>()?;
        bytes.try_into().ok()
    };
    parse().ok_or_else(|| Error::Other(format!("`{}` is not a digest", digest.escape_debug())))
}

/// Where a content is within [`Store::objects`].
pub(crate) fn object_name(hash: &Hash) -> String {
    let mut name = hexadecimal(hash);
    name.insert(2, '/');
    name
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    let mut text = String::with_capacity(2 * bytes.len() + 1);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("aurum/store"));
        (folder, store)
    }

    fn names(store: &Store) -> Vec<String> {
        fs::read_dir(&store.folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn contents_are_kept_once_and_read_only() {
        let (folder, store) = store();
        assert!(!store.has(HELLO).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "reading makes nothing");
        for _ in 0..2 {
            let stored = store.add(&mut b"hello".as_slice()).unwrap();
            assert_eq!(stored, Stored { digest: HELLO.to_owned(), size: 5 });
        }
        let path = store.folder.join("sha256/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(store.path(HELLO).unwrap(), path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o444);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(names(&store), ["sha256"], "no temporary is left");
        assert!(store.has(HELLO).unwrap());
        assert_eq!(io::read_to_string(store.open(HELLO).unwrap().unwrap()).unwrap(), "hello");
    }

    #[test]
    fn a_torn_content_is_replaced() {
        let (_folder, store) = store();
        let path = store.path(HELLO).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "he").unwrap();
        store.add(&mut b"hello".as_slice()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
    }

    #[test]
    fn more_than_one_piece() {
        let (_folder, store) = store();
        let stored = store.add(&mut io::repeat(7).take(3 * PIECE as u64 + 5)).unwrap();
        assert_eq!(stored.size, 3 * PIECE as u64 + 5);
        let whole = fs::read(store.path(&stored.digest).unwrap()).unwrap();
        assert_eq!(stored.digest, format!("sha256:{}", hexadecimal(&Sha256::digest(whole))));
        assert_eq!(store.add(&mut io::empty()).unwrap().size, 0);
    }

    #[test]
    fn a_stream_that_fails_leaves_nothing() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                buffer[0] = 1;
                Ok(1)
            }
        }
        let (_folder, store) = store();
        assert!(store.add(&mut Broken(false)).is_err());
        assert!(names(&store).is_empty());
    }

    #[test]
    fn many_add_the_same_at_once() {
        let (_folder, store) = store();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(store.add(&mut b"hello".as_slice()).unwrap().digest, HELLO));
            }
        });
        assert_eq!(names(&store), ["sha256"]);
    }

    #[test]
    fn only_digests_are_digests() {
        let (_folder, store) = store();
        for digest in ["", "sha256:", &HELLO[7..], &HELLO.to_uppercase(), &HELLO[..70], "sha256:../../../etc/passwd"] {
            assert!(store.path(digest).is_err() && store.has(digest).is_err() && store.open(digest).is_err());
        }
    }

    #[test]
    fn what_was_found_out_is_set_aside_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        let digest = store.add(&mut "one".as_bytes()).unwrap().digest;
        let path = store.path(&digest).unwrap();
        let damage = || {
            fs::remove_file(&path).unwrap();
            fs::write(&path, "ONE").unwrap();
            File::open(&path).unwrap()
        };
        let read = damage();
        fs::remove_file(&path).unwrap();
        store.add(&mut "one".as_bytes()).unwrap();
        assert_eq!(store.set_aside(&digest, &read).unwrap(), "was replaced meanwhile");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");

        for _ in 0..2 {
            let read = damage();
            assert!(store.set_aside(&digest, &read).unwrap().contains("was moved to"));
            store.add(&mut "one".as_bytes()).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path().join("damaged")).unwrap().count(), 2, "neither took the other's place");

        let read = damage();
        let _adding = store.lock_shared().unwrap();
        assert!(store.set_aside(&digest, &read).unwrap().contains("has to be moved away"));
        assert!(path.exists());
    }
}
