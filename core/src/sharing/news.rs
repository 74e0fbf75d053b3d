//! What a remote has, as far as it is Aurum's. Names that nobody here would have given are passed over.

use std::collections::BTreeMap;

use super::words;
use crate::error::{Failure, FailureKind, Result};
use crate::ports::{ObjectId, Ports};
use crate::{id, layout};

/// References asked for at once.
const PAGE: u32 = 10_000;
/// More than this no project has; a remote that says so would fill the memory.
const MOST: usize = 500_000;

/// A remote's references.
#[derive(Default)]
pub(super) struct News {
    /// Commits of experiments, by id.
    pub(super) tags: BTreeMap<String, ObjectId>,
    /// Commits of archives, by the last part of their names.
    pub(super) archives: BTreeMap<String, ObjectId>,
    /// The commit of the notes.
    pub(super) notes: Option<ObjectId>,
    /// Other names below the folder of the experiments' tags.
    pub(super) others: Vec<String>,
}

impl News {
    /// Asks the remote.
    pub(super) fn ask(ports: &Ports, remote: &str) -> Result<Self> {
        let prefixes = [layout::TAGS, layout::ARCHIVE, layout::NOTES];
        let told = ports.exchange.ask(remote, &prefixes).map_err(|problem| words::problem(remote, problem))?;
        let (mut news, mut offset) = (Self::default(), 0);
        loop {
            let page = told.page(offset, PAGE);
            let count = page.len();
            for reference in page {
                news.take(reference.name, reference.target);
            }
            if count < PAGE as usize {
                return Ok(news);
            }
            offset = offset.saturating_add(PAGE);
            if offset as usize > MOST {
                let message =
                    format!("The remote `{}` has more than {MOST} references of Aurum's", super::shown(remote));
                return Err(Failure::new(FailureKind::LimitReached, message).hint("Fold old experiments: `au archive`"));
            }
        }
    }

    fn take(&mut self, name: String, target: ObjectId) {
        if name == layout::NOTES {
            self.notes = Some(target);
        } else if let Some(archive) = name.strip_prefix(layout::ARCHIVE) {
            if is_archive(archive) {
                self.archives.insert(archive.to_owned(), target);
            }
        } else if let Some(id) = name.strip_prefix(layout::TAGS) {
            if id::is_id(id) {
                self.tags.insert(id.to_owned(), target);
            } else {
                self.others.push(name);
            }
        }
    }
}

/// `<yyyy-mm>-<16 hexadecimal digits>`.
pub(super) fn is_archive(name: &str) -> bool {
    let digits =
        |text: &str, count: usize, fits: fn(&u8) -> bool| text.len() == count && text.bytes().all(|b| fits(&b));
    let hexadecimal = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    match name.split('-').collect::<Vec<_>>()[..] {
        [year, month, digest] => {
            digits(year, 4, u8::is_ascii_digit)
                && digits(month, 2, u8::is_ascii_digit)
                && digits(digest, 16, hexadecimal)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_given_here_count() {
        let mut news = News::default();
        let id = "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6";
        for name in [
            "refs/tags/au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6",
            "refs/tags/au/ACFDF6CD-1f1a-4929-b036-7b0a5399b0c6",
            "refs/tags/au/mine",
            "refs/tags/au/\u{202e}x",
            "refs/tags/v1",
            "refs/aurum/archive/2026-01-0123456789abcdef",
            "refs/aurum/archive/2026-01-0123456789ABCDEF",
            "refs/aurum/archive/2026-01-0123456789abcdef/x",
            "refs/aurum/archive/x",
            "refs/notes/aurum",
            "refs/notes/aurum-x",
        ] {
            news.take(name.to_owned(), "c".to_owned());
        }
        assert_eq!(news.tags.keys().collect::<Vec<_>>(), [id]);
        assert_eq!(news.archives.keys().collect::<Vec<_>>(), ["2026-01-0123456789abcdef"]);
        assert_eq!(news.others.len(), 3);
        assert!(news.notes.is_some());
    }
}
