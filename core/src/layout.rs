//! Where things stand in the repository. `docs/record-format.md` documents these names: a change here is a change of
//! the format.

/// The file that makes a folder a project.
pub const CONFIG: &str = ".au/config";
/// The folder of experiments, in their own commits alone.
pub const EXPERIMENTS: &str = ".au/experiments";
/// The folder of the datasets' descriptions.
pub const DATASETS: &str = ".au/datasets";
/// Before the id in the tag of an experiment.
pub const TAGS: &str = "refs/tags/au/";
/// Before the id in the reference that keeps a running experiment's snapshot from `git gc`.
pub const RUNNING: &str = "refs/aurum/running/";

/// Before the name of a reference that holds the experiments of a month without a tag each. All lie in this one folder.
pub const ARCHIVE: &str = "refs/aurum/archive/";
/// In the tree of an archive's commit: one line `<id> <commit>` for each experiment, sorted.
pub const ARCHIVED: &str = "experiments";
/// Before the id in the reference that keeps a removed experiment for as long as it can be brought back.
pub const TRASH: &str = "refs/aurum/trash/";
/// What is said of experiments after their end, as git notes: JSON lines on their commits.
pub const NOTES: &str = "refs/notes/aurum";
/// The folder that those are in.
pub const ALL_NOTES: &str = "refs/notes/";
/// Before what a pull or push has fetched and not judged yet. Removed at its end.
pub const INCOMING: &str = "refs/aurum/incoming/";

/// What an experiment is and what came of it.
pub fn record(id: &str) -> String {
    format!("{EXPERIMENTS}/{id}/record.json")
}

/// Every value of every metric, one JSON object a line.
pub fn metrics(id: &str) -> String {
    format!("{EXPERIMENTS}/{id}/metrics.jsonl")
}

/// The packages, in the form that pip reads.
pub fn requirements(id: &str) -> String {
    format!("{EXPERIMENTS}/{id}/requirements.txt")
}

/// What the script printed.
pub fn log(id: &str) -> String {
    format!("logs/{id}.log")
}

/// What a dataset is, and where its content is.
pub fn dataset(name: &str) -> String {
    format!("{DATASETS}/{name}.json")
}

/// Where a package has data that lay outside of the project.
pub fn packed_data(file_name: &str) -> String {
    format!(".au/data/{file_name}")
}

/// The file name of a packed-up experiment.
pub fn package(id: &str) -> String {
    format!("{id}.zip")
}

/// Whether a path is a folder's own, or lies below it.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The tag as people write it.
pub fn tag(id: &str) -> String {
    format!("au/{id}")
}
