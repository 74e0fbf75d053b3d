//! The marked lines of `.gitignore`, and of this clone's `info/exclude`, that keep data out of git.

use std::collections::BTreeSet;

use crate::error::{Failure, FailureKind, PortError, Result};
use crate::ports::{DataKind, PortResult, Ports};

const SHARED: &str = ".gitignore";
const BEGIN: &str = "# >>> aurum data";
const END: &str = "# <<< aurum data";

/// Has git ignore what lies at a path.
pub(super) fn add(ports: &Ports, path: &str, kind: DataKind) -> Result<()> {
    add_to(ports, File::Shared, path, kind)
}

/// Has git ignore it in this clone whatever is checked out: an older `.gitignore` does not know of it.
pub(crate) fn exclude(ports: &Ports, path: &str, kind: DataKind) -> Result<()> {
    add_to(ports, File::Own, path, kind)
}

fn add_to(ports: &Ports, file: File, path: &str, kind: DataKind) -> Result<()> {
    let line = line(path, kind)?;
    let former = lines_of(path)?;
    edit(ports, file, |lines| {
        // What was a file may be a folder by now.
        lines.retain(|known| !former.contains(known));
        lines.insert(line.clone());
    })
}

/// Takes back what [`add`] and [`exclude`] did.
pub(super) fn remove(ports: &Ports, path: &str) -> Result<()> {
    let former = lines_of(path)?;
    for file in [File::Shared, File::Own] {
        edit(ports, file, |lines| lines.retain(|known| !former.contains(known)))?;
    }
    Ok(())
}

/// A file of patterns.
#[derive(Clone, Copy)]
enum File {
    /// `.gitignore`, for everybody.
    Shared,
    /// `info/exclude`, for this clone.
    Own,
}

fn edit(ports: &Ports, file: File, change: impl Fn(&mut BTreeSet<String>)) -> Result<()> {
    /// Far more than there are processes that add data at once.
    const TRIES: usize = 1_000;
    for _ in 1..TRIES {
        match try_edit(ports, file, &change) {
            // Another process has edited the file between our reading and our writing: on top of that, then.
            Err(PortError::Conflict(_)) => {}
            other => return Ok(other?),
        }
    }
    Ok(try_edit(ports, file, &change)?)
}

fn try_edit(ports: &Ports, file: File, change: &impl Fn(&mut BTreeSet<String>)) -> PortResult<()> {
    let former = match file {
        File::Shared => ports.workspace.read(SHARED)?,
        File::Own => ports.repository.read_exclude()?,
    };
    let contents = former.as_deref().unwrap_or_default();
    let block = Block::find(contents);
    let mut lines = block.lines.clone();
    change(&mut lines);
    if lines == block.lines {
        return Ok(());
    }
    let contents = block.replaced(contents, &lines);
    match file {
        File::Shared => ports.workspace_edit.exchange(SHARED, former.as_deref(), &contents),
        File::Own => ports.repository_edit.exchange_exclude(former.as_deref(), &contents),
    }
}

fn lines_of(path: &str) -> Result<[String; 2]> {
    Ok([line(path, DataKind::File)?, line(path, DataKind::Folder)?])
}

/// The pattern that fits this path alone ([gitignore(5)](https://git-scm.com/docs/gitignore)): anchored by the slash at its
/// beginning, every character that means something escaped.
fn line(path: &str, kind: DataKind) -> Result<String> {
    if path.contains(['\n', '\r']) {
        let shown = path.escape_debug();
        return Err(Failure::new(
            FailureKind::InvalidValue,
            format!("`{shown}` holds a line break, and git can't be told to ignore that"),
        )
        .hint("Rename it"));
    }
    let mut line = String::from("/");
    let trailing = path.len() - path.trim_end_matches(' ').len();
    for (at, character) in path.char_indices() {
        if matches!(character, '\\' | '*' | '?' | '[') || character == ' ' && at >= path.len() - trailing {
            line.push('\\');
        }
        line.push(character);
    }
    if kind == DataKind::Folder {
        line.push('/');
    }
    Ok(line)
}

/// The marked lines, and where in the file they stand.
struct Block {
    lines: BTreeSet<String>,
    /// Bytes of the file, from the first marker to behind the second one; none without both.
    span: Option<(usize, usize)>,
}

impl Block {
    fn find(contents: &[u8]) -> Self {
        let (mut start, mut lines, mut at) = (None, BTreeSet::new(), 0);
        for raw in contents.split_inclusive(|byte| *byte == b'\n') {
            let line = raw.trim_ascii();
            if line == BEGIN.as_bytes() {
                (start, lines) = (Some(at), BTreeSet::new());
            } else if let (Some(start), true) = (start, line == END.as_bytes()) {
                return Self { lines, span: Some((start, at + raw.len())) };
            } else if start.is_some() {
                // A space at the end of a pattern means something when it is escaped.
                let line = raw.strip_suffix(b"\n").unwrap_or(raw);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                lines.extend(std::str::from_utf8(line).ok().filter(|line| !line.is_empty()).map(str::to_owned));
            }
            at += raw.len();
        }
        Self { lines: BTreeSet::new(), span: None }
    }

    /// The file with these lines in place of those found; without the markers when there is none.
    fn replaced(&self, contents: &[u8], lines: &BTreeSet<String>) -> Vec<u8> {
        let (start, end) = self.span.unwrap_or((contents.len(), contents.len()));
        let mut replaced = contents[..start].to_vec();
        let rest = &contents[end..];
        if lines.is_empty() {
            // The empty line that came with the block goes with it.
            if rest.is_empty() && replaced.ends_with(b"\n\n") {
                replaced.pop();
            }
        } else {
            if self.span.is_none() && !replaced.is_empty() {
                replaced.extend_from_slice(if replaced.ends_with(b"\n") { b"\n" } else { b"\n\n" });
            }
            for line in std::iter::once(BEGIN).chain(lines.iter().map(String::as_str)).chain([END]) {
                replaced.extend_from_slice(line.as_bytes());
                replaced.push(b'\n');
            }
        }
        replaced.extend_from_slice(rest);
        replaced
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::World;

    fn ignored(world: &World) -> String {
        String::from_utf8(world.file(SHARED).unwrap_or_default()).unwrap()
    }

    #[test]
    fn lines_come_and_go_and_leave_the_rest_alone() {
        for former in ["", "*.pyc\n", "*.pyc", "a\r\n\r\n"] {
            let world = World::project();
            if !former.is_empty() {
                world.write(SHARED, former.as_bytes());
            }
            let ports = world.ports();
            add(&ports, "b.csv", DataKind::File).unwrap();
            add(&ports, "a/images", DataKind::Folder).unwrap();
            let block = "# >>> aurum data\n/a/images/\n/b.csv\n# <<< aurum data\n";
            assert!(ignored(&world).starts_with(former) && ignored(&world).ends_with(block), "{}", ignored(&world));
            add(&ports, "b.csv", DataKind::Folder).unwrap();
            assert!(ignored(&world).contains("\n/b.csv/\n") && !ignored(&world).contains("\n/b.csv\n"));
            world.write(SHARED, (ignored(&world) + "mine\n").as_bytes());
            remove(&ports, "b.csv").unwrap();
            remove(&ports, "a/images").unwrap();
            let after = ignored(&world);
            assert!(!after.contains("aurum") && after.ends_with("mine\n"), "{after}");
            assert_eq!(after.replace("mine\n", "").trim_end(), former.trim_end());
        }
    }

    #[test]
    fn patterns_fit_their_path_alone() {
        assert_eq!(line("a b [1].csv", DataKind::File).unwrap(), "/a b \\[1].csv");
        assert_eq!(line("#x/!y\\z*?", DataKind::Folder).unwrap(), "/#x/!y\\\\z\\*\\?/");
        assert_eq!(line("end  ", DataKind::File).unwrap(), "/end\\ \\ ");
        assert!(line("a\nb", DataKind::File).is_err());
    }

    #[test]
    fn two_that_edit_at_once_both_have_their_lines() {
        let world = World::project();
        world.interfere(b"mine\n\n# >>> aurum data\n/theirs\n# <<< aurum data\n");
        add(&world.ports(), "ours", DataKind::File).unwrap();
        assert_eq!(ignored(&world), "mine\n\n# >>> aurum data\n/ours\n/theirs\n# <<< aurum data\n");
    }

    #[test]
    fn a_block_without_an_end_is_left_alone() {
        let world = World::project();
        world.write(SHARED, b"# >>> aurum data\n/x\n");
        add(&world.ports(), "y", DataKind::File).unwrap();
        assert_eq!(ignored(&world), "# >>> aurum data\n/x\n\n# >>> aurum data\n/y\n# <<< aurum data\n");
        remove(&world.ports(), "y").unwrap();
        assert_eq!(ignored(&world), "# >>> aurum data\n/x\n");
    }
}
