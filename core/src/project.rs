//! Making a project of a folder, and telling whether a folder is one.

use std::collections::BTreeSet;

use crate::error::{Failure, FailureKind, PortError, Result};
use crate::layout;
use crate::ports::{CommitPlan, FileKind, Head, Identity, Location, Ports, Signature, Standing};

/// The first line of what Aurum adds to `.gitignore`; where it stands already, nothing is added.
const IGNORE_BEGIN: &str = "# >>> aurum";
const IGNORE: &str = include_str!("project/gitignore");
const CONFIG: &str = include_str!("project/config");
/// The project's format that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;
const IGNORE_FILE: &str = ".gitignore";
/// Keeps a folder in git that has nothing in it yet.
const PLACEHOLDER: &str = ".gitkeep";
/// The folders of a project.
const FOLDERS: [&str; 2] = ["src", "logs"];

/// What [`init`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Whether a git repository was made too.
    pub repository: bool,
    /// The commit of what was made.
    pub commit: String,
    /// What was made or changed, relative to the root.
    pub paths: Vec<String>,
}

/// Fails unless the folder is a project.
///
/// # Errors
/// `NotAProject`.
pub fn require(ports: &Ports) -> Result<()> {
    if let Some(config) = ports.workspace.read(layout::CONFIG)? {
        return check_format(&String::from_utf8_lossy(&config));
    }
    Err(Failure::new(FailureKind::NotAProject, "This folder belongs to no Aurum project")
        .hint("Run `au init` in the folder that the project is to live in"))
}

/// Fails where there is a project of another format.
fn require_format(ports: &Ports) -> Result<()> {
    let config = ports.workspace.read(layout::CONFIG)?;
    config.map_or(Ok(()), |config| check_format(&String::from_utf8_lossy(&config)))
}

/// Projects of a format that a later version made are not for this one.
fn check_format(config: &str) -> Result<()> {
    let format = config
        .lines()
        .find_map(|line| line.trim().strip_prefix("format")?.trim().strip_prefix('=')?.trim().parse::<u32>().ok());
    if format.is_some_and(|format| format > FORMAT) {
        return Err(Failure::new(FailureKind::Unreadable, "This project was made by a newer version of Aurum")
            .hint("Update Aurum: `pip install --upgrade aurum`"));
    }
    Ok(())
}

/// Makes a project of the folder and commits exactly what it made, from HEAD's tree: nothing of the user's that is staged
/// or edited gets into the commit.
///
/// # Errors
/// Each reason not to begin is found before anything is changed; what fails after that is taken back.
pub fn init(ports: &Ports) -> Result<Created> {
    let standing = ports.repository.standing()?;
    let config_before = ports.workspace.read(layout::CONFIG)?;
    check_folder(ports, &standing)?;
    let new_repository = match standing {
        Standing::Absent => true,
        Standing::Root => false,
        Standing::Below(root) => {
            return Err(Failure::new(
                FailureKind::InTheWay,
                "This folder lies inside a git repository, and a project spans the whole of one",
            )
            .hint(format!("Make the project at the repository's root: `au init -C {root}`")));
        }
        Standing::Bare => {
            return Err(Failure::new(FailureKind::InTheWay, "This git repository is bare: it has no files to track")
                .hint("Clone it, and run `au init` in the clone"));
        }
    };
    let identity = ports.repository.identity()?.ok_or_else(|| {
        Failure::new(FailureKind::NoIdentity, "git does not know who you are, and the project begins with a commit")
            .hint("Run `git config --global user.name \"Your Name\"` and `git config --global user.email you@example.org`, then `au init` again")
    })?;
    let head = if new_repository { Head::default() } else { check_repository(ports)? };
    if new_repository {
        ports.repository_edit.create()?;
    }
    let mut done = Done::default();
    match make(ports, &head, identity, config_before, &mut done) {
        Ok(commit) => Ok(Created { repository: new_repository, commit, paths: done.paths.into_iter().collect() }),
        Err(failure) => {
            done.undo(ports);
            Err(failure)
        }
    }
}

fn check_folder(ports: &Ports, standing: &Standing) -> Result<()> {
    match ports.workspace.inspect(".au")? {
        // A package that was unpacked is a project without a repository, and wants one.
        Some(FileKind::Directory) if *standing == Standing::Absent => require_format(ports)?,
        Some(FileKind::Directory) if ports.workspace.inspect(layout::CONFIG)?.is_some() => {
            return Err(Failure::new(FailureKind::AlreadyAProject, "This folder is an Aurum project already")
                .hint("Run `au metrics` to see its experiments"));
        }
        None | Some(FileKind::Directory) => {}
        Some(_) => return Err(in_the_way(".au")),
    }
    for folder in FOLDERS {
        if !matches!(ports.workspace.inspect(folder)?, None | Some(FileKind::Directory)) {
            return Err(in_the_way(folder));
        }
    }
    match ports.workspace.inspect(IGNORE_FILE)? {
        None | Some(FileKind::File) => Ok(()),
        Some(_) => Err(in_the_way(IGNORE_FILE)),
    }
}

fn in_the_way(path: &str) -> Failure {
    Failure::new(
        FailureKind::InTheWay,
        format!("`{path}` is in the way: the project needs a name that something else bears"),
    )
    .hint(format!("Move it: `mv {path} {path}-before`"))
}

fn check_repository(ports: &Ports) -> Result<Head> {
    let head = ports.repository.head()?;
    if let Some(operation) = &head.operation {
        return Err(Failure::new(FailureKind::InTheWay, format!("git is in the middle of a {operation}"))
            .hint(format!("Finish the {operation} or abort it, then run `au init` again")));
    }
    let tag = layout::TAGS.trim_end_matches('/');
    if ports.repository.references(tag, None, 1)?.iter().any(|reference| reference.name == tag) {
        return Err(Failure::new(
            FailureKind::InTheWay,
            "A tag named `au` is in the way: experiments are tagged `au/<id>`, and git allows only one of the two",
        )
        .hint("Rename it: `git tag au-before au && git tag --delete au`"));
    }
    Ok(head)
}

/// What [`init`] has changed so far, and how it was before.
#[derive(Default)]
struct Done {
    /// The former content, none for what was not there.
    files: Vec<(String, Option<Vec<u8>>)>,
    folders: Vec<String>,
    /// The former blobs of the index.
    staged: Vec<(String, Option<String>)>,
    paths: BTreeSet<String>,
}

impl Done {
    fn write(&mut self, ports: &Ports, path: &str, contents: &[u8]) -> Result<()> {
        let before = ports.workspace.read(path)?;
        self.files.push((path.to_owned(), before));
        self.paths.insert(path.to_owned());
        Ok(ports.workspace_edit.write(path, contents)?)
    }

    /// Writes what makes the folder a project. Of several at once only one gets further than this, so that none takes back what
    /// another has made.
    fn claim(&mut self, ports: &Ports, before: Option<Vec<u8>>, config: &[u8]) -> Result<()> {
        ports.workspace_edit.exchange(layout::CONFIG, before.as_deref(), config).map_err(|error| match error {
            PortError::Conflict(_) => {
                Failure::new(FailureKind::AlreadyAProject, "Somebody else is making a project of this folder")
                    .hint("Run `au metrics` to see whether it has become one")
            }
            error => error.into(),
        })?;
        self.files.push((layout::CONFIG.to_owned(), before));
        self.paths.insert(layout::CONFIG.to_owned());
        Ok(())
    }

    fn folder(&mut self, ports: &Ports, path: &str) -> Result<()> {
        if ports.workspace.inspect(path)?.is_none() {
            self.folders.push(path.to_owned());
        }
        Ok(ports.workspace_edit.make_directory(path)?)
    }

    /// As far as it goes: the failure that led here is the one to tell.
    fn undo(&self, ports: &Ports) {
        if !self.staged.is_empty() {
            let _ = ports.repository_edit.stage(&self.staged);
        }
        for (path, before) in self.files.iter().rev() {
            let _ = match before {
                Some(contents) => ports.workspace_edit.write(path, contents),
                None => ports.workspace_edit.remove(path),
            };
        }
        for folder in self.folders.iter().rev() {
            let _ = ports.workspace_edit.remove(folder);
        }
    }
}

fn make(
    ports: &Ports,
    head: &Head,
    identity: Identity,
    config_before: Option<Vec<u8>>,
    done: &mut Done,
) -> Result<String> {
    let config = config_before.clone().unwrap_or_else(|| CONFIG.into());
    let mut committed: Vec<(String, Vec<u8>)> = vec![(layout::CONFIG.to_owned(), config.clone())];
    let mut staged = committed.clone();
    done.folder(ports, ".au")?;
    done.claim(ports, config_before, &config)?;
    for folder in FOLDERS {
        done.folder(ports, folder)?;
        if ports.workspace.list_names(folder)?.is_empty() {
            let placeholder = format!("{folder}/{PLACEHOLDER}");
            done.write(ports, &placeholder, b"")?;
            committed.push((placeholder.clone(), Vec::new()));
            staged.push((placeholder, Vec::new()));
        }
    }
    // The same lines go to the end of three versions of the file, so that edits of the user's that are staged, or not
    // even that, stay what they are.
    let of_head = match &head.tree {
        Some(tree) => {
            let location = Location { root: tree.clone(), path: IGNORE_FILE.to_owned() };
            ports.repository.read_files(&[location])?.into_iter().next().flatten()
        }
        None => None,
    };
    let of_index = ports.repository.read_staged(IGNORE_FILE)?;
    let of_files = ports.workspace.read(IGNORE_FILE)?;
    if let Some(contents) = with_block(of_files.as_deref()) {
        done.write(ports, IGNORE_FILE, &contents)?;
    }
    if let Some(contents) = with_block(of_head.as_deref()) {
        committed.push((IGNORE_FILE.to_owned(), contents));
    }
    if let Some(contents) = with_block(of_index.as_deref()) {
        staged.push((IGNORE_FILE.to_owned(), contents));
    }

    let mut tree = ports.repository_edit.begin_tree(head.tree.as_deref())?;
    for (path, contents) in &committed {
        tree.put(path, &blob(ports, contents)?)?;
    }
    let commit = ports.repository_edit.commit(&CommitPlan {
        tree: tree.write()?,
        parents: head.commit.iter().cloned().collect(),
        signature: Signature {
            identity,
            seconds: i64::try_from(ports.clock.now() / 1000).unwrap_or(i64::MAX),
            offset_minutes: ports.clock.offset_minutes(),
        },
        message: "Make this repository an Aurum project\n".to_owned(),
    })?;
    // The index before HEAD: a locked index is the likelier to fail, and its entries can be taken back.
    let mut entries = Vec::with_capacity(staged.len());
    for (path, contents) in &staged {
        entries.push((path.clone(), Some(blob(ports, contents)?)));
    }
    let mut former = Vec::with_capacity(staged.len());
    for (path, _) in &staged {
        let contents = ports.repository.read_staged(path)?;
        former.push((path.clone(), contents.map(|contents| blob(ports, &contents)).transpose()?));
    }
    ports.repository_edit.stage(&entries)?;
    done.staged = former;
    ports.repository_edit.set_reference("HEAD", head.commit.as_deref(), &commit, true).map_err(
        |error| match error {
            PortError::Conflict(why) => Failure::new(FailureKind::Unavailable, format!("HEAD moved meanwhile: {why}"))
                .hint("Run `au init` again"),
            error => error.into(),
        },
    )?;
    Ok(commit)
}

/// The content with Aurum's lines at its end; none when they stand in it already.
fn with_block(contents: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut contents = contents.unwrap_or_default().to_vec();
    if contents.split(|byte| *byte == b'\n').any(|line| line.trim_ascii() == IGNORE_BEGIN.as_bytes()) {
        return None;
    }
    if !contents.is_empty() && !contents.ends_with(b"\n") {
        contents.push(b'\n');
    }
    if !contents.is_empty() {
        contents.push(b'\n');
    }
    contents.extend_from_slice(IGNORE.as_bytes());
    Some(contents)
}

fn blob(ports: &Ports, contents: &[u8]) -> Result<String> {
    let mut writer = ports.repository_edit.begin_blob()?;
    writer.write(contents)?;
    Ok(writer.finish()?)
}
