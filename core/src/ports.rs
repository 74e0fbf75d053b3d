//! The core's only ways to the world: one small trait for each import of `wit/world.wit`, with the promises documented
//! there.
//!
//! There are two implementors: `component`, which forwards to the host's imports, and [`testing`](crate::testing), which
//! keeps everything in memory. The core can't tell them apart.

use std::any::Any;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::error::PortError;

/// What a port answers.
pub type PortResult<T> = Result<T, PortError>;

/// A git object's name in hexadecimal.
pub type ObjectId = String;

/// Where the project's folder stands towards git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In no repository.
    Absent,
    /// At the root of a working tree.
    Root,
    /// Below the root of a working tree, which is named here.
    Below(String),
    /// In a repository without a working tree.
    Bare,
}

/// Where HEAD is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// None on a branch without a commit yet.
    pub commit: Option<ObjectId>,
    /// The commit's tree.
    pub tree: Option<ObjectId>,
    /// The branch's short name; none when detached.
    pub branch: Option<String>,
    /// The merge, rebase or the like that is under way.
    pub operation: Option<String>,
}

/// A name and an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As git's `user.name`.
    pub name: String,
    /// As git's `user.email`.
    pub email: String,
}

/// A reference, peeled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The full name.
    pub name: String,
    /// The object it leads to, annotated tags peeled.
    pub target: ObjectId,
}

/// A file of a commit or tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// A commit or a tree.
    pub root: ObjectId,
    /// The path within it.
    pub path: String,
}

/// A commit that changed a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCommit {
    /// Its name.
    pub commit: ObjectId,
    /// Since 1970-01-01T00:00:00Z.
    pub seconds: i64,
}

/// How a file differs from HEAD's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Tracked or staged, and other than in HEAD's tree.
    Modified,
    /// In HEAD's tree, and gone from the working tree.
    Deleted,
    /// Neither tracked nor ignored.
    Untracked,
    /// A submodule or a repository within, with changes of its own.
    Repository,
}

/// One difference between the working tree and HEAD's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For people and rules; ends in `/` for a folder left unlisted.
    pub path: String,
    /// What kind of difference.
    pub kind: ChangeKind,
    /// Bytes of the working file; 0 when deleted.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
}

/// A list of changes made once, so that positions in it keep their meaning.
pub trait ChangeSet: Any {
    /// How many there are.
    fn length(&self) -> u32;
    /// At most `limit` of them from `offset` on.
    fn page(&self, offset: u32, limit: u32) -> Vec<Change>;
}

/// References of one moment.
pub trait ReferenceList {
    /// The next of them: lines `<target> <rest of the name after the prefix>`; empty at the end.
    fn next(&mut self) -> Vec<u8>;
}

/// `wit/output.wit`: where a long text goes.
pub trait Sink: Any {
    /// Takes the next piece.
    fn write(&self, bytes: &[u8]) -> PortResult<()>;
}

/// `wit/repository.wit`, interface `repository`.
pub trait Repository {
    /// Where the folder stands.
    fn standing(&self) -> PortResult<Standing>;
    /// Where HEAD is.
    fn head(&self) -> PortResult<Head>;
    /// Who commits; none when git would refuse to.
    fn identity(&self) -> PortResult<Option<Identity>>;
    /// A value of git's configuration.
    fn setting(&self, key: &str) -> PortResult<Option<String>>;
    /// References by prefix, a page at a time.
    fn references(&self, prefix: &str, after: Option<&str>, limit: u32) -> PortResult<Vec<Reference>>;
    /// All references by prefix, in a form for many.
    fn reference_list(&self, prefix: &str) -> PortResult<Box<dyn ReferenceList>>;
    /// Changes with any reference directly in these folders; none where that can't be told.
    fn reference_state(&self, folders: &[&str]) -> PortResult<Option<String>>;
    /// Files of commits or trees: as many from the front as fit one answer.
    fn read_files(&self, locations: &[Location]) -> PortResult<Vec<Option<Vec<u8>>>>;
    /// Writes a file of a commit or tree, however large; whether there is one.
    fn copy_file(&self, location: &Location, sink: &dyn Sink) -> PortResult<bool>;
    /// A file of a commit or tree, to be read a piece at a time.
    fn open_file(&self, location: &Location) -> PortResult<Option<Box<dyn FileReader>>>;
    /// Names within a folder.
    fn list_folder(&self, location: &Location) -> PortResult<Vec<String>>;
    /// The commits that changed a file, newest first.
    fn file_commits(&self, path: &str) -> PortResult<Vec<FileCommit>>;
    /// A staged file.
    fn read_staged(&self, path: &str) -> PortResult<Option<Vec<u8>>>;
    /// Whether git tracks the file, or anything below it.
    fn is_tracked(&self, path: &str) -> PortResult<bool>;
    /// What git ignores in this clone alone.
    fn read_exclude(&self) -> PortResult<Option<Vec<u8>>>;
    /// How the working tree differs from HEAD's tree.
    fn changes(&self, markers: &[&str]) -> PortResult<Box<dyn ChangeSet>>;
}

/// A file of a commit or tree on its way.
pub trait FileReader {
    /// The next bytes; none at the end.
    fn next(&mut self) -> PortResult<Vec<u8>>;
}

/// A tree under construction.
pub trait TreeEdit {
    /// Takes files from the working tree; answers the positions that could not be read.
    fn take(&mut self, changes: &dyn ChangeSet, positions: &[u32]) -> PortResult<Vec<u32>>;
    /// Puts a blob at a path.
    fn put(&mut self, path: &str, blob: &str) -> PortResult<()>;
    /// Removes a file or folder.
    fn remove(&mut self, path: &str) -> PortResult<()>;
    /// Writes the tree.
    fn write(&mut self) -> PortResult<ObjectId>;
}

/// Bytes on their way to becoming a blob.
pub trait BlobWriter {
    /// Adds bytes at the end.
    fn write(&mut self, bytes: &[u8]) -> PortResult<()>;
    /// Bytes written so far.
    fn size(&self) -> u64;
    /// Makes the blob.
    fn finish(self: Box<Self>) -> PortResult<ObjectId>;
}

/// Who commits, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name and address.
    pub identity: Identity,
    /// Since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// East of UTC.
    pub offset_minutes: i16,
}

/// A commit to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPlan {
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents.
    pub parents: Vec<ObjectId>,
    /// Author and committer.
    pub signature: Signature,
    /// The whole message.
    pub message: String,
}

/// A reference and where it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceChange {
    /// The full name.
    pub name: String,
    /// Where it is now; none if it does not exist.
    pub expected: Option<ObjectId>,
    /// Where it is to be; none removes it.
    pub target: Option<ObjectId>,
}

/// `wit/repository.wit`, interface `repository-edit`.
pub trait RepositoryEdit {
    /// `git init`.
    fn create(&self) -> PortResult<()>;
    /// Starts a tree: from another, from that of a commit, or from nothing.
    fn begin_tree(&self, base: Option<&str>) -> PortResult<Box<dyn TreeEdit>>;
    /// Starts a blob.
    fn begin_blob(&self) -> PortResult<Box<dyn BlobWriter>>;
    /// Writes a durable commit.
    fn commit(&self, plan: &CommitPlan) -> PortResult<ObjectId>;
    /// Compare-and-swap of a reference.
    fn set_reference(&self, name: &str, expected: Option<&str>, target: &str, durable: bool) -> PortResult<()>;
    /// Keeps what a reference names from a `git gc` that began before; false when some of it is gone.
    fn shield(&self, target: &str, base: Option<&str>) -> PortResult<bool>;
    /// Removes references.
    fn remove_references(&self, names: &[String]) -> PortResult<()>;
    /// Changes references, all or none, durably; a conflict when one is not where it is expected.
    fn change_references(&self, changes: &[ReferenceChange]) -> PortResult<()>;
    /// Stages blobs as ordinary files; none takes an entry out.
    fn stage(&self, entries: &[(String, Option<ObjectId>)]) -> PortResult<()>;
    /// `git switch --detach`; a conflict when it would overwrite what is not in git.
    fn switch_detached(&self, commit: &str) -> PortResult<()>;
    /// Changes what git ignores in this clone alone, if that is what is expected, else `Conflict`.
    fn exchange_exclude(&self, expected: Option<&[u8]>, contents: &[u8]) -> PortResult<()>;
    /// Sets or removes a value of the repository's own configuration.
    fn set_local_setting(&self, key: &str, value: Option<&str>) -> PortResult<()>;
}

/// What stands at a path of the working tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// An ordinary file.
    File,
    /// A folder.
    Directory,
    /// A link, a device, a socket.
    Other,
}

/// `wit/workspace.wit`, interface `workspace`.
pub trait Workspace {
    /// What stands at a path.
    fn inspect(&self, path: &str) -> PortResult<Option<FileKind>>;
    /// A whole file.
    fn read(&self, path: &str) -> PortResult<Option<Vec<u8>>>;
    /// Names within a folder, sorted.
    fn list_names(&self, path: &str) -> PortResult<Vec<String>>;
}

/// `wit/workspace.wit`, interface `workspace-edit`.
pub trait WorkspaceEdit {
    /// Makes a folder and those above it.
    fn make_directory(&self, path: &str) -> PortResult<()>;
    /// Writes a whole file.
    fn write(&self, path: &str, contents: &[u8]) -> PortResult<()>;
    /// Writes a whole file if its content is what is expected, else `Conflict`.
    fn exchange(&self, path: &str, expected: Option<&[u8]>, contents: &[u8]) -> PortResult<()>;
    /// Removes a file or an empty folder.
    fn remove(&self, path: &str) -> PortResult<()>;
}

/// A run that there are journals of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The experiment's id.
    pub id: String,
    /// Whether a living process holds any of them.
    pub held: bool,
    /// Bytes of all.
    pub size: u64,
    /// When one of them was last written, in milliseconds since 1970.
    pub modified: u64,
}

/// One journal of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPart {
    /// 0 for the run's own, else the child's number.
    pub number: u32,
    /// Whether a living process holds it.
    pub held: bool,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
}

/// The right to write a journal.
pub trait JournalWriter {
    /// Appends bytes in one piece.
    fn append(&self, bytes: &[u8]) -> PortResult<()>;
    /// Returns once all is on stable storage.
    fn sync(&self) -> PortResult<()>;
    /// Cuts off a torn tail.
    fn truncate(&self, length: u64) -> PortResult<()>;
}

/// `wit/journal.wit`.
pub trait Journal {
    /// The runs that there are journals of, by id.
    fn entries(&self) -> PortResult<Vec<JournalEntry>>;
    /// The journals of one run, by number.
    fn parts(&self, id: &str) -> PortResult<Vec<JournalPart>>;
    /// A piece of a journal; empty at its end.
    fn read(&self, id: &str, number: u32, offset: u64, limit: u32) -> PortResult<Vec<u8>>;
    /// Removes the journals of a run, unless a child holds one, or one is longer than is `known` of it: then all stay, and the
    /// answer is false.
    fn remove(&self, id: &str, known: &[(u32, u64)]) -> PortResult<bool>;
    /// Makes the journal of a new run.
    fn create(&self, id: &str) -> PortResult<Box<dyn JournalWriter>>;
    /// Makes the journal of a child, and says its number; none without such a run.
    fn join(&self, id: &str) -> PortResult<Option<(u32, Box<dyn JournalWriter>)>>;
    /// Takes one over.
    fn open(&self, id: &str, number: u32) -> PortResult<Option<Box<dyn JournalWriter>>>;
}

/// Bytes that a host handed over; only a host can look inside.
pub struct ByteStream(pub Box<dyn Any>);

/// What the store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `sha256:…`.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// `wit/store.wit`.
pub trait Store {
    /// Keeps the stream's bytes.
    fn add(&self, bytes: ByteStream) -> PortResult<Stored>;
    /// Whether the content is there.
    fn has(&self, digest: &str) -> PortResult<bool>;
}

/// `wit/cache.wit`.
pub trait Cache {
    /// What was written, whole; none where it is not there any more.
    fn read(&self, name: &str) -> Option<Vec<u8>>;
    /// Writes in one piece.
    fn write(&self, name: &str, bytes: &[u8]) -> PortResult<()>;
    /// Removes all others, in the end.
    fn retain(&self, names: &[String]) -> PortResult<()>;
}

/// Where data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A path below the project's root.
    Project(String),
    /// An absolute path of this computer.
    Outside(String),
}

impl Place {
    /// The path, whichever it is.
    pub fn path(&self) -> &str {
        let (Self::Project(path) | Self::Outside(path)) = self;
        path
    }
}

/// What a dataset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataKind {
    /// One file.
    File,
    /// A folder with all that is in it.
    Folder,
}

/// What stands at a place of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFacts {
    /// File or folder.
    pub kind: DataKind,
    /// Bytes of all files.
    pub size: u64,
    /// How many files and links; 1 for a file.
    pub files: u64,
    /// `sha256:…`; none when telling it would have cost more than was allowed.
    pub digest: Option<String>,
}

/// What telling a digest may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataLimits {
    /// Files to look at.
    pub files: u64,
    /// Bytes to read.
    pub bytes: u64,
}

/// How a folder differs from a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DataDifferences {
    /// Files that the manifest does not name.
    pub added: u64,
    /// Files that are other than the manifest says.
    pub changed: u64,
    /// Files that are gone.
    pub removed: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

/// What reading contents to their end came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataCheck {
    /// What was read.
    pub read: Amount,
    /// The first of what is wrong.
    pub damages: Vec<Damage>,
    /// How much more is wrong.
    pub more: u64,
}

/// `wit/data.wit`.
pub trait Data {
    /// What stands at a place.
    fn measure(&self, place: &Place, limits: Option<DataLimits>) -> PortResult<Option<DataFacts>>;
    /// The same, its content kept in the store.
    fn keep(&self, place: &Place) -> PortResult<Option<DataFacts>>;
    /// How a folder differs from a manifest of the store.
    fn compare(&self, place: &Place, manifest: &str, limit: u32) -> PortResult<Option<DataDifferences>>;
    /// Holds what the store has of a content against its digest.
    fn check_stored(&self, kind: DataKind, digest: &str, limit: u32) -> PortResult<DataCheck>;
    /// Holds what stands at a place against a digest, whatever is remembered of it.
    fn check_place(&self, place: &Place, kind: DataKind, digest: &str, limit: u32) -> PortResult<DataCheck>;
    /// Whether nothing is lost when the place is overwritten.
    fn is_kept(&self, place: &Place, manifests: &[&str]) -> PortResult<bool>;
    /// Whether the store has the content whole.
    fn can_restore(&self, kind: DataKind, digest: &str) -> PortResult<bool>;
    /// Makes a path what the digest says.
    fn restore(&self, path: &str, kind: DataKind, digest: &str) -> PortResult<()>;
    /// Removes a file or a whole folder.
    fn remove(&self, path: &str) -> PortResult<()>;
}

/// Where an archive may be made; only a host can look inside.
pub struct Destination(pub Box<dyn Any>);

/// An archive that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedArchive {
    /// The file, as people find it.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// An archive under construction.
pub trait ArchiveWriter {
    /// Adds a file with this content.
    fn add_bytes(&mut self, path: &str, contents: &[u8]) -> PortResult<()>;
    /// Adds a file of a commit; false when there is none.
    fn add_file(&mut self, path: &str, location: &Location) -> PortResult<bool>;
    /// Adds a commit's files; answers its submodules.
    fn add_tree(&mut self, folder: &str, root: &str, leave_out: &[String]) -> PortResult<Vec<String>>;
    /// Adds content of the store; false when it is not all there.
    fn add_stored(&mut self, path: &str, kind: DataKind, digest: &str) -> PortResult<bool>;
    /// Completes it.
    fn finish(self: Box<Self>) -> PortResult<FinishedArchive>;
}

/// `wit/archive.wit`.
pub trait Archive {
    /// Starts one, each entry of which bears the time `modified`, in milliseconds since 1970.
    fn begin(&self, destination: Destination, name: &str, modified: u64) -> PortResult<Box<dyn ArchiveWriter>>;
}

/// What a server says of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteAttributes {
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_tag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// `wit/remote.wit`.
pub trait Remote {
    /// A resource's attributes.
    fn stat(&self, url: &str) -> PortResult<Option<RemoteAttributes>>;
    /// Downloads a resource to a path of the project.
    fn fetch(&self, url: &str, path: &str) -> PortResult<Option<RemoteAttributes>>;
}

/// Why a remote did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It wants to know who asks.
    Authentication,
    /// The key of an ssh server is not known here, or is another.
    HostKey,
    /// Nobody is there, or the connection broke.
    Unreachable,
    /// There is no repository, or none that may be seen.
    NoRepository,
    /// It may not be written.
    Forbidden,
    /// It belongs to somebody else.
    Ownership,
    /// Its device is full.
    NoSpace,
    /// Anything else.
    Unknown,
}

/// Why an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// This side failed.
    Failed(PortError),
    /// The remote did; what git said of it.
    Refused(Trouble, String),
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

/// What an exchange answers.
pub type ExchangeResult<T> = Result<T, Problem>;

/// What a remote has, asked once.
pub trait Advertisement {
    /// At most `limit` of its references from `offset` on, by name.
    fn page(&self, offset: u32, limit: u32) -> Vec<Reference>;
}

/// A reference of a remote to be made, moved or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The reference there.
    pub name: String,
    /// What it is to be at; none removes it.
    pub target: Option<ObjectId>,
    /// Where it is now; none makes it, or moves it where nothing is lost by that.
    pub expected: Option<ObjectId>,
}

/// Why a reference of a remote was not updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody was first.
    Moved,
    /// The remote does not want it.
    Declined,
    /// Anything else.
    Failed,
}

/// A reference of a remote that was not updated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedUpdate {
    /// The reference there.
    pub name: String,
    /// Why.
    pub verdict: Verdict,
    /// What the remote said.
    pub words: String,
}

/// What came of updating a remote's references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How many were made, moved or removed.
    pub done: u64,
    /// The first of those that were not.
    pub refused: Vec<RefusedUpdate>,
    /// How many more were not.
    pub more: u64,
}

/// A reference to be brought from a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The reference there.
    pub source: String,
    /// The reference to be made here.
    pub destination: String,
}

/// Where objects of the store go.
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
    pub kind: DataKind,
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

/// `wit/exchange.wit`.
pub trait Exchange {
    /// The configured remotes' names.
    fn remotes(&self) -> PortResult<Vec<String>>;
    /// What a remote has.
    fn ask(&self, remote: &str, prefixes: &[&str]) -> ExchangeResult<Box<dyn Advertisement>>;
    /// Sends commits and updates references.
    fn push(&self, remote: &str, updates: &[Update]) -> ExchangeResult<Delivery>;
    /// The same for all below a prefix.
    fn push_below(&self, remote: &str, prefix: &str, except: &[String]) -> ExchangeResult<Delivery>;
    /// Brings commits and makes references; answers what git said of those that it did not make.
    fn fetch(&self, remote: &str, wanted: &[Wanted]) -> ExchangeResult<Option<String>>;
    /// The same for all below a prefix.
    fn fetch_below(&self, remote: &str, prefix: &str, except: &[String]) -> ExchangeResult<Option<String>>;
    /// Brings two commits of notes together.
    fn merge_notes(&self, ours: &str, theirs: &str, signature: &Signature) -> PortResult<ObjectId>;
    /// A commit's parents; none where there is no such commit.
    fn parents(&self, commit: &str) -> PortResult<Option<Vec<ObjectId>>>;
    /// Whether the one is the other or descends from it.
    fn descends(&self, commit: &str, ancestor: &str) -> PortResult<bool>;
    /// The data remotes of this clone.
    fn data_remotes(&self) -> PortResult<Vec<DataRemote>>;
    /// How many of these the store has.
    fn weigh(&self, objects: &[Object]) -> PortResult<Freight>;
    /// Copies what the data remote lacks.
    fn send(&self, url: &str, objects: &[Object]) -> PortResult<Freight>;
    /// Copies what the store lacks.
    fn bring(&self, url: &str, objects: &[Object]) -> PortResult<Freight>;
}

/// `wit/surroundings.wit`, interface `clock`.
pub trait Clock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> u64;
    /// Minutes east of UTC.
    fn offset_minutes(&self) -> i16;
}

/// `wit/surroundings.wit`, interface `entropy`.
pub trait Entropy {
    /// Random bytes.
    fn bytes(&self, count: u32) -> Vec<u8>;
}

/// The computer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// Such as `Linux`.
    pub system: String,
    /// The system's version.
    pub release: String,
    /// Such as `x86_64`.
    pub architecture: String,
    /// Processors that this process may use.
    pub processors: u32,
    /// Bytes.
    pub memory: u64,
    /// What the processors are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// The file system that the project is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskFacts>,
    /// In the driver's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuFacts>,
    /// The version of the GPUs' driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_driver: Option<String>,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFacts {
    /// Bytes that can still be written.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuFacts {
    /// What it is called.
    pub name: String,
    /// Bytes.
    pub memory: u64,
}

/// `wit/surroundings.wit`, interface `machine`.
pub trait Machine {
    /// Facts of the computer.
    fn describe(&self) -> MachineFacts;
}

/// The language that the script is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterpreterFacts {
    /// Such as `CPython`.
    pub implementation: String,
    /// Such as `3.11.7`.
    pub version: String,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The distribution's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from, if that is no index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// How a package was installed that is from no index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginKind {
    /// From a commit of a repository.
    Repository,
    /// From an archive at an address.
    Archive,
    /// From a folder, copied.
    #[default]
    Folder,
    /// A folder is imported as it is.
    Editable,
}

/// Where a package comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// How it was installed.
    pub kind: OriginKind,
    /// Of a folder, where its repository is fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `git`, `hg`, `svn` or `bzr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What was installed, or is checked out in the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Of a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Of a folder, whether it is other than in that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// Within the repository or archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdirectory: Option<String>,
    /// `sha256=…` and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<String>,
    /// Whether it is in the project's own repository.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// `wit/surroundings.wit`, interface `interpreter`.
pub trait Interpreter {
    /// None where no script runs.
    fn describe(&self) -> Option<InterpreterFacts>;
    /// Sorted by name.
    fn packages(&self) -> Vec<Package>;
}

/// `wit/surroundings.wit`, interface `progress`.
pub trait Progress {
    /// Tells the user something while a call is under way.
    fn warn(&self, message: &str, hints: &[String]);
}

/// What is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// A commit, a reference, a digest or a file.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
}

/// How many, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What checking a part of the store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// What was read.
    pub read: Amount,
    /// What is wrong.
    pub damages: Vec<Damage>,
}

/// Telling what in the store nothing names.
pub trait Sweep {
    /// Names contents, and what manifests among them name; answers those that the store does not have whole.
    fn keep(&mut self, digests: &[String]) -> PortResult<Vec<String>>;
    /// What was not named, and was last used before.
    fn measure(&self, before: u64) -> PortResult<Amount>;
    /// Removes that.
    fn remove(&self, before: u64) -> PortResult<Amount>;
}

/// `wit/upkeep.wit`.
pub trait Upkeep {
    /// Of these commits, those that lead to something missing or unreadable.
    fn check_commits(&self, commits: &[ObjectId]) -> PortResult<Vec<Damage>>;
    /// What `git fsck` finds.
    fn check_repository(&self) -> PortResult<Vec<Damage>>;
    /// References that lead nowhere.
    fn broken_references(&self) -> PortResult<Vec<Damage>>;
    /// Contents of files below a folder in all that git leads to; none at the end.
    fn file_versions(&self, folder: &str, offset: u32) -> PortResult<Vec<Vec<u8>>>;
    /// Objects of git that are a file each.
    fn loose_objects(&self) -> PortResult<Amount>;
    /// What is left of writing that was cut off.
    fn temporaries(&self, before: u64, remove: bool) -> PortResult<Amount>;
    /// Reads the contents whose digest begins with a byte.
    fn check_store(&self, first: u8) -> PortResult<StoreCheck>;
    /// Starts with nothing named.
    fn begin_sweep(&self) -> PortResult<Box<dyn Sweep>>;
}

/// Every port, as a host gave them.
#[derive(Clone)]
pub struct Ports {
    /// Reading git.
    pub repository: Rc<dyn Repository>,
    /// Adding to git.
    pub repository_edit: Rc<dyn RepositoryEdit>,
    /// Reading files.
    pub workspace: Rc<dyn Workspace>,
    /// Changing files.
    pub workspace_edit: Rc<dyn WorkspaceEdit>,
    /// Journals.
    pub journal: Rc<dyn Journal>,
    /// Content-addressed bytes.
    pub store: Rc<dyn Store>,
    /// Derived bytes.
    pub cache: Rc<dyn Cache>,
    /// Files and folders of data.
    pub data: Rc<dyn Data>,
    /// Archives.
    pub archive: Rc<dyn Archive>,
    /// The network.
    pub remote: Rc<dyn Remote>,
    /// Other clones.
    pub exchange: Rc<dyn Exchange>,
    /// Time.
    pub clock: Rc<dyn Clock>,
    /// Randomness.
    pub entropy: Rc<dyn Entropy>,
    /// The computer.
    pub machine: Rc<dyn Machine>,
    /// The script's language.
    pub interpreter: Rc<dyn Interpreter>,
    /// Words for the user.
    pub progress: Rc<dyn Progress>,
    /// Checking and clearing.
    pub upkeep: Rc<dyn Upkeep>,
}
