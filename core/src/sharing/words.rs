//! Failures of git and of remotes, in words.

use std::collections::BTreeMap;

use super::shown;
use crate::error::{Failure, FailureKind};
use crate::ports::{Delivery, Problem, Trouble, Verdict};
use crate::{layout, suggest, value};

/// Why a remote could not be asked, sent to or fetched from.
pub(super) fn problem(remote: &str, problem: Problem) -> Failure {
    let (trouble, words) = match problem {
        Problem::Failed(error) => return error.into(),
        Problem::Refused(trouble, words) => (trouble, shown(&words)),
    };
    let (name, word) = (shown(remote), suggest::word(&shown(remote)));
    let told = |what: String| Failure::new(FailureKind::Unavailable, format!("{what}: {words}"));
    match trouble {
        Trouble::Authentication => told(format!("The remote `{name}` does not know you")).hint(format!(
            "Nobody is asked for a password: have git remember one, `git config credential.helper`, or load an ssh \
                 key, until `git ls-remote {word}` works"
        )),
        Trouble::HostKey => told(format!("The ssh server of the remote `{name}` is not known here, or is another"))
            .hint(format!("Connect to it once by hand, and look at its key: `git ls-remote {word}`")),
        Trouble::Unreachable => told(format!("The remote `{name}` can't be reached"))
            .hint("Try again once it can: what has arrived is kept, and only the rest is sent")
            .hint("See its address: `git remote -v`"),
        Trouble::NoRepository => {
            told(format!("There is no repository at the remote `{name}`, or none that you may see"))
                .hint("See its address: `git remote -v`")
        }
        Trouble::Forbidden => told(format!("The remote `{name}` can't be written"))
            .hint("Ask who looks after it for the right to push tags `au/*`, `refs/aurum/*` and `refs/notes/aurum`"),
        Trouble::Ownership => told(format!("The remote `{name}` belongs to somebody else"))
            .hint("If you trust it, tell git so: `git config --global --add safe.directory PATH`"),
        Trouble::NoSpace => {
            told(format!("There is no space left at the remote `{name}`")).hint("Free some space there, then try again")
        }
        Trouble::Unknown => told(format!("git did not get along with the remote `{name}`"))
            .hint(format!("See what git says: `git ls-remote {word}`")),
    }
}

/// References that a remote did not take, those alike told as one.
pub(super) fn refused(remote: &str, delivery: &Delivery) -> Vec<Failure> {
    let mut alike: BTreeMap<(&str, &str, u8), Vec<&str>> = BTreeMap::new();
    for refused in &delivery.refused {
        let verdict = match refused.verdict {
            Verdict::Moved => 0,
            Verdict::Declined => 1,
            Verdict::Failed => 2,
        };
        alike.entry((kind(&refused.name), &refused.words, verdict)).or_default().push(&refused.name);
    }
    let remote = shown(remote);
    let mut failures: Vec<Failure> = alike
        .into_iter()
        .map(|((kind, words, verdict), names)| {
            let (first, count) = (value::excerpt(short(names[0])), names.len());
            let what = if count == 1 {
                format!("the {kind} `{first}`")
            } else {
                format!("{count} {kind}s, such as `{first}`")
            };
            let words = shown(words);
            let told = |message: String| Failure::new(FailureKind::Unavailable, message);
            match verdict {
                0 => told(format!("Somebody else changed {what} at `{remote}` meanwhile: {words}"))
                    .hint("Take that in first: `au pull`, then push again"),
                1 => told(format!("The remote `{remote}` does not take {what}: {words}"))
                    .hint("A hook or a protection there forbids it: ask who looks after it"),
                _ => told(format!("The remote `{remote}` failed at {what}: {words}"))
                    .hint("Try again: only what is missing is sent"),
            }
        })
        .collect();
    if delivery.more > 0 {
        let message = format!("{} more references were not updated at `{remote}`", delivery.more);
        failures.push(Failure::new(FailureKind::Unavailable, message).hint("Mend the first of them, then push again"));
    }
    failures
}

/// One experiment that the two sides have as two commits.
pub(super) fn differs(remote: &str, id: &str, ours: &str, theirs: &str) -> Failure {
    let short = |name: &str| name.get(..crate::id::SHORT).unwrap_or(name).to_owned();
    let (remote, word) = (shown(remote), suggest::word(&shown(remote)));
    let message = format!(
        "The experiment `{}` is another at `{remote}`: commit {} there, {} here, and neither goes on from the other; both stay",
        short(id),
        short(theirs),
        short(ours)
    );
    Failure::new(FailureKind::Unavailable, message)
        .hint(format!("Look at the one there: `git fetch {word} {}{id}`, then `git show FETCH_HEAD`", layout::TAGS))
}

fn kind(name: &str) -> &'static str {
    if name.starts_with(layout::TAGS) {
        "tag"
    } else if name.starts_with(layout::ARCHIVE) {
        "archive"
    } else {
        "reference"
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("refs/tags/").or_else(|| name.strip_prefix(layout::ARCHIVE)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::RefusedUpdate;

    #[test]
    fn what_opens_an_address_is_not_told() {
        let url = "https://ann:hunter2@example.org/a?token=hunter2";
        let failure = problem(
            url,
            Problem::Refused(Trouble::Authentication, "who?\nyou of https://ann:hunter2@example.org".to_owned()),
        );
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        assert!(failure.message.contains("example.org") && !failure.message.contains('\n'), "{failure}");
    }

    #[test]
    fn references_that_are_refused_alike_are_told_as_one() {
        let refused_one = |name: &str, verdict| RefusedUpdate { name: name.into(), verdict, words: "no".into() };
        let delivery = Delivery {
            done: 0,
            refused: vec![
                refused_one("refs/tags/au/1", Verdict::Declined),
                refused_one("refs/tags/au/2", Verdict::Declined),
                refused_one(layout::NOTES, Verdict::Moved),
            ],
            more: 3,
        };
        let failures = refused("origin", &delivery);
        let messages: Vec<_> = failures.iter().map(|failure| failure.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "Somebody else changed the reference `refs/notes/aurum` at `origin` meanwhile: no",
                "The remote `origin` does not take 2 tags, such as `au/1`: no",
                "3 more references were not updated at `origin`",
            ]
        );
    }
}
