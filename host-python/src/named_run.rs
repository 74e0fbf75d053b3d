//! How the variable `AURUM_WORKERS` names a run to the workers of a process.

use std::path::PathBuf;

/// A run under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) id: String,
    pub(crate) root: PathBuf,
}

/// The run, and the process whose workers take part in it.
pub(crate) fn write(run: &Membership, process: u32) -> String {
    format!("{} {process} {}", run.id, run.root.display())
}

/// What [`write`] wrote; none for any other text.
pub(crate) fn read(text: &str) -> Option<(Membership, u32)> {
    let (id, rest) = text.split_once(' ')?;
    let (process, root) = rest.split_once(' ')?;
    Some((Membership { id: id.to_owned(), root: PathBuf::from(root) }, process.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_have_any_name() {
        let run = Membership { id: "0f6a1c1e-5b0e-4d6c-9a3f-0123456789ab".to_owned(), root: PathBuf::from("/a b/c\n") };
        assert_eq!(read(&write(&run, 42)), Some((run, 42)));
        for odd in ["", "x", "x y", "x 1", "x -1 /", "x y /"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
