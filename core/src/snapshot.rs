//! Which files of the working tree belong to an experiment.
//!
//! What git tracks is taken whole: it is in the repository already. Of what is neither tracked nor ignored the code is
//! wanted, not data, nor environments, nor secrets: a commit is there to stay.

use serde::{Deserialize, Serialize};

use crate::id;
use crate::layout;
use crate::ports::{Change, ChangeKind};
use crate::suggest;
use crate::value;

/// What tells a folder that is left out whole: a file in it, or, with a `/`, its own name.
pub const MARKERS: &[&str] = &["pyvenv.cfg", "node_modules/", "__pycache__/"];
/// Files left out that are listed; the others are counted.
pub const MOST_LISTED: usize = 1_000;

/// How much of what is untracked is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// How many files.
    pub files: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 8 << 20, total_bytes: 64 << 20, files: 5_000 }
    }
}

/// Why a file is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Its name looks like a secret's.
    Secret,
    /// It is larger than one file may be.
    TooBig,
    /// Those before it used up what all may take together.
    TooMany,
    /// A folder that a tool made and can make again.
    Environment,
    /// A submodule or a repository within, with changes of its own.
    Repository,
    /// It could not be read.
    Unreadable,
}

/// A file that a snapshot does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Relative to the root; ends in `/` for a folder.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
    /// Why it is left out.
    pub reason: Reason,
}

/// Bytes of the paths that a record lists as left out.
const MOST_LISTED_BYTES: usize = 128 << 10;

/// What a snapshot takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Positions in the list of changes, ascending.
    pub take: Vec<u32>,
    /// What it does not take, at most [`MOST_LISTED`].
    pub left_out: Vec<LeftOut>,
    /// How many more there are.
    pub left_out_more: u64,
    /// Whether the working tree is other than HEAD's, what is left out untracked aside.
    pub dirty: bool,
}

/// Sorts changes, fed a page at a time in their order, into what is taken and what is not.
#[derive(Clone, Debug)]
pub struct Selector {
    limits: Limits,
    bytes: u64,
    files: u32,
    selection: Selection,
}

impl Selection {
    /// Lists what is not taken, as far as there is room.
    pub fn leave(&mut self, left_out: LeftOut) {
        let bytes: usize = self.left_out.iter().map(|file| file.path.len()).sum();
        if self.left_out.len() < MOST_LISTED && bytes + left_out.path.len() <= MOST_LISTED_BYTES {
            self.left_out.push(left_out);
        } else {
            self.left_out_more += 1;
        }
    }
}

impl Selector {
    /// Without any change yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, bytes: 0, files: 0, selection: Selection::default() }
    }

    /// Takes a page of changes, the first of which stands at `offset`.
    pub fn feed(&mut self, offset: u32, changes: &[Change]) {
        for (position, change) in (offset..).zip(changes) {
            match change.kind {
                ChangeKind::Modified | ChangeKind::Deleted => self.take(position),
                ChangeKind::Repository => {
                    self.selection.dirty = true;
                    self.leave(&change.path, change, Reason::Repository);
                }
                // A loaded experiment's own files are its business, not that of the next one.
                ChangeKind::Untracked if layout::is_below(&change.path, layout::EXPERIMENTS) => {}
                ChangeKind::Untracked if is_package(&change.path) || is_temporary(&change.path) => {}
                ChangeKind::Untracked => self.untracked(position, change),
            }
        }
    }

    /// What came of it.
    pub fn finish(self) -> Selection {
        self.selection
    }

    fn untracked(&mut self, position: u32, change: &Change) {
        if let Some(folder) = environment(&change.path) {
            // Where the host lists such a folder file by file, it is still one entry.
            if self.selection.left_out.last().is_none_or(|last| last.path != folder) {
                self.leave(folder, change, Reason::Environment);
            }
        } else if is_secret_file(&change.path) {
            self.leave(&change.path, change, Reason::Secret);
        } else if change.size > self.limits.file_bytes {
            self.leave(&change.path, change, Reason::TooBig);
        } else if self.files >= self.limits.files || change.size > self.limits.total_bytes.saturating_sub(self.bytes) {
            self.leave(&change.path, change, Reason::TooMany);
        } else {
            self.files += 1;
            self.bytes += change.size;
            self.take(position);
        }
    }

    fn take(&mut self, position: u32) {
        self.selection.dirty = true;
        self.selection.take.push(position);
    }

    fn leave(&mut self, path: &str, change: &Change, reason: Reason) {
        let Change { size, modified, .. } = *change;
        self.selection.leave(LeftOut { path: path.to_owned(), size, modified, reason });
    }
}

/// Whether `au export` made it: every run would name it, and nobody misses it.
fn is_package(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".zip").is_some_and(id::is_id)
}

/// Whether Aurum was writing it when it was stopped.
fn is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.starts_with(".aurum-") && name.ends_with(".tmp")
}

/// The folder that a path is left out with: one that the host left unlisted, or one that bears a marker's name.
fn environment(path: &str) -> Option<&str> {
    let mut start = 0;
    for part in path.split_inclusive('/') {
        start += part.len();
        if MARKERS.contains(&part) && part.ends_with('/') {
            return Some(&path[..start]);
        }
    }
    path.ends_with('/').then_some(path)
}

/// Whether the file's name looks like a secret's.
pub fn is_secret_file(path: &str) -> bool {
    /// What begins with `id_` in a project is mostly a table of identifiers or the code for it; keys have other names.
    const CODE_AND_DATA: [&str; 18] = [
        "py", "pyi", "ipynb", "csv", "tsv", "json", "jsonl", "yaml", "yml", "toml", "parquet", "npy", "npz", "h5", "r",
        "jl", "rs", "md",
    ];
    let path = path.to_lowercase();
    let mut folders = path.split('/');
    let name = folders.next_back().unwrap_or_default();
    if folders.any(|folder| matches!(folder, ".aws" | ".ssh" | ".env")) {
        return true;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    name.starts_with(".env")
        || matches!(name, ".netrc" | "_netrc" | ".pgpass" | ".git-credentials" | ".pypirc")
        || matches!(extension, "pem" | "key" | "p12" | "pfx")
        || name.starts_with("id_") && !CODE_AND_DATA.contains(&extension)
        // `credentials.json` is what cloud services hand out: of these only code passes.
        || name.starts_with("credentials") && !matches!(extension, "py" | "pyi")
}

/// What to tell the user of files that are left out, and what to do about them. Folders of environments go without
/// saying: nobody misses them, and each run would say it again.
pub fn warning(left_out: &[LeftOut], more: u64) -> Option<(String, Vec<String>)> {
    const NAMED: usize = 3;
    let worth: Vec<&LeftOut> = left_out.iter().filter(|file| file.reason != Reason::Environment).collect();
    if worth.is_empty() && more == 0 {
        return None;
    }
    let mut names: Vec<String> = worth.iter().take(NAMED).map(|file| quote(file)).collect();
    match (worth.len() - names.len()) as u64 + more {
        0 => {}
        1 => names.push("1 other".to_owned()),
        others => names.push(format!("{others} others")),
    }
    let last = names.pop().unwrap_or_default();
    let names = if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) };

    let first = |reasons: &[Reason]| {
        worth.iter().find(|file| reasons.contains(&file.reason)).map(|file| suggest::word(&value::excerpt(&file.path)))
    };
    let mut hints = Vec::new();
    if let Some(path) = first(&[Reason::TooBig, Reason::TooMany]) {
        hints.push(format!(
            "If it is data: `au data add {path}`; `git add {path}` takes it into every snapshot, whatever its size"
        ));
    }
    if let Some(path) = first(&[Reason::Repository]) {
        hints.push(format!("Commit the changes inside of `{path}`, which is a repository of its own"));
    }
    if let Some(path) = first(&[Reason::Unreadable]) {
        hints.push(format!("Check who may read `{path}`"));
    }
    // Never `git add`: a secret in a commit is a secret told.
    if let Some(path) = first(&[Reason::Secret]) {
        hints.push(format!("`{path}` looks like a secret: add it to `.gitignore` to silence this"));
    } else if first(&[Reason::TooBig, Reason::TooMany, Reason::Unreadable]).is_some() {
        hints.push("What no experiment needs can be added to `.gitignore` to silence this".to_owned());
    }
    Some((format!("Not in the snapshot of the code: {names}"), hints))
}

fn quote(file: &LeftOut) -> String {
    let path = value::excerpt(&file.path);
    match file.reason {
        Reason::TooBig => format!("`{path}` ({} MiB)", file.size.div_ceil(1 << 20)),
        _ => format!("`{path}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(path: &str, kind: ChangeKind, size: u64) -> Change {
        Change { path: path.to_owned(), kind, size, modified: 7 }
    }

    fn untracked(path: &str, size: u64) -> Change {
        change(path, ChangeKind::Untracked, size)
    }

    fn select(limits: Limits, changes: &[Change]) -> Selection {
        let mut selector = Selector::new(limits);
        selector.feed(0, changes);
        selector.finish()
    }

    fn reasons(selection: &Selection) -> Vec<(&str, Reason)> {
        selection.left_out.iter().map(|file| (file.path.as_str(), file.reason)).collect()
    }

    #[test]
    fn what_is_tracked_is_taken_whole() {
        let changes = [
            change(".env", ChangeKind::Modified, 1 << 40),
            change(".au/experiments/1/record.json", ChangeKind::Modified, 1),
            change("id_rsa", ChangeKind::Deleted, 0),
        ];
        let selection = select(Limits::default(), &changes);
        assert_eq!(selection, Selection { take: vec![0, 1, 2], dirty: true, ..Selection::default() });
    }

    #[test]
    fn what_is_not_goes_by_the_rules() {
        let changes = [
            untracked(".au/experiments/1/record.json", 1),
            untracked(".env", 1),
            untracked("big.bin", (8 << 20) + 1),
            change("libs/inner", ChangeKind::Repository, 0),
            untracked("pkg/__pycache__/a.pyc", 1),
            untracked("pkg/__pycache__/b.pyc", 1),
            untracked("pkg/a.py", 8 << 20),
            untracked("venv/", 0),
        ];
        let selection = select(Limits::default(), &changes);
        assert_eq!(selection.take, [6]);
        assert_eq!(
            reasons(&selection),
            [
                (".env", Reason::Secret),
                ("big.bin", Reason::TooBig),
                ("libs/inner", Reason::Repository),
                ("pkg/__pycache__/", Reason::Environment),
                ("venv/", Reason::Environment),
            ]
        );
        assert_eq!(selection.left_out[1].modified, 7);
    }

    #[test]
    fn a_file_too_many_does_not_end_it() {
        let limits = Limits { file_bytes: 10, total_bytes: 15, files: 2 };
        let changes = [untracked("a", 10), untracked("b", 10), untracked("c", 5), untracked("d", 0)];
        let selection = select(limits, &changes);
        assert_eq!(selection.take, [0, 2]);
        assert_eq!(reasons(&selection), [("b", Reason::TooMany), ("d", Reason::TooMany)]);
    }

    #[test]
    fn only_what_is_taken_or_tracked_makes_dirty() {
        assert!(!select(Limits::default(), &[untracked(".env", 1), untracked("venv/", 0)]).dirty);
        assert!(select(Limits::default(), &[untracked("a.py", 1)]).dirty);
        assert!(select(Limits::default(), &[change("sub", ChangeKind::Repository, 0)]).dirty);
    }

    #[test]
    fn the_list_is_bounded() {
        let changes: Vec<Change> = (0..MOST_LISTED + 5).map(|at| untracked(&format!("{at}.key"), 1)).collect();
        let selection = select(Limits::default(), &changes);
        assert_eq!((selection.left_out.len(), selection.left_out_more), (MOST_LISTED, 5));
    }

    #[test]
    fn names_of_secret_files() {
        for path in [
            ".env",
            ".env.local",
            "a/.ENV",
            ".envrc",
            "cert.pem",
            "a.KEY",
            "id_rsa",
            "a/id_ed25519",
            "id_rsa.pub",
            "id_work",
            ".netrc",
            "credentials",
            "credentials.json",
            "a/.aws/config",
            ".ssh/known_hosts",
            ".pgpass",
            "a.p12",
            "a.pfx",
            ".env/notes.txt",
        ] {
            assert!(is_secret_file(path), "{path}");
        }
        for path in [
            "train.py",
            "id_map.py",
            "id_list.csv",
            "id_to_label.json",
            "credentials.py",
            "env.py",
            "environment.yml",
            "keys.txt",
            "pem",
            "idea.txt",
            "aws/config",
            "my.env.py",
            "grid_search",
        ] {
            assert!(!is_secret_file(path), "{path}");
        }
    }

    #[test]
    fn one_warning_names_three_and_says_what_to_do() {
        let changes = [
            untracked(".env", 1),
            untracked("data/a.bin", 9 << 20),
            untracked("data/b.bin", 90 << 20),
            untracked("data/c.bin", 9 << 20),
            untracked("x/__pycache__/", 0),
        ];
        let (message, hints) = warning(&select(Limits::default(), &changes).left_out, 2).expect("a warning");
        assert_eq!(
            message,
            "Not in the snapshot of the code: `.env`, `data/a.bin` (9 MiB), `data/b.bin` (90 MiB) and 3 others"
        );
        assert_eq!(
            hints,
            [
                "If it is data: `au data add data/a.bin`; `git add data/a.bin` takes it into every snapshot, whatever its size",
                "`.env` looks like a secret: add it to `.gitignore` to silence this"
            ]
        );
        let (message, hints) = warning(&select(Limits::default(), &changes[1..2]).left_out, 0).expect("a warning");
        assert_eq!(message, "Not in the snapshot of the code: `data/a.bin` (9 MiB)");
        assert_eq!(hints[1], "What no experiment needs can be added to `.gitignore` to silence this");
        assert_eq!(warning(&select(Limits::default(), &changes[4..]).left_out, 0), None);
        assert_eq!(warning(&[], 0), None);
    }

    #[test]
    fn reasons_are_written_in_words() {
        let file = LeftOut { path: "a".to_owned(), size: 1, modified: 2, reason: Reason::TooBig };
        let text = serde_json::to_string(&file).expect("JSON");
        assert_eq!(text, r#"{"path":"a","size":1,"modified":2,"reason":"too-big"}"#);
        assert_eq!(serde_json::from_str::<LeftOut>(&text).expect("itself"), file);
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let kind = prop_oneof![Just(ChangeKind::Modified), Just(ChangeKind::Untracked), Just(ChangeKind::Repository)];
        let change = ("[a-c.]{1,2}(/(\\.env|__pycache__|b)){0,2}/?", kind, 0u64..12);
        let change = change.prop_map(|(path, kind, size)| Change { path, kind, size, modified: 7 });
        proptest::collection::vec(change, 0..30)
    }

    proptest! {
        #[test]
        fn pages_do_not_matter_and_limits_hold(changes in changes(), size in 1usize..5) {
            let limits = Limits { file_bytes: 10, total_bytes: 40, files: 7 };
            let whole = select(limits, &changes);
            let mut selector = Selector::new(limits);
            for (page, changes) in changes.chunks(size).enumerate() {
                selector.feed(u32::try_from(page * size).expect("few"), changes);
            }
            prop_assert_eq!(&selector.finish(), &whole);
            let taken = whole.take.iter().map(|at| &changes[*at as usize]);
            let taken: Vec<&Change> = taken.filter(|change| change.kind == ChangeKind::Untracked).collect();
            prop_assert!(taken.len() <= 7 && taken.iter().map(|change| change.size).sum::<u64>() <= 40);
            prop_assert!(!taken.iter().any(|change| change.path.ends_with('/') || is_secret_file(&change.path)));
        }
    }
}
