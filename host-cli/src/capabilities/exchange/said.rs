//! What git says, understood. Its messages are asked for in English.

use super::{Delivery, Problem, RefusedUpdate, TOLD, Verdict};

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

/// In the order in which they are looked for: what says more comes first.
const SIGNS: [(Trouble, &[&str]); 7] = [
    (Trouble::NoSpace, &["No space left on device", "Disk quota exceeded"]),
    (Trouble::Ownership, &["detected dubious ownership"]),
    (Trouble::HostKey, &["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"]),
    (
        Trouble::Authentication,
        &[
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "Permission denied (",
            "terminal prompts disabled",
            "Invalid username or",
            "returned error: 401",
        ],
    ),
    (
        Trouble::Forbidden,
        &[
            "returned error: 403",
            "insufficient permission",
            "unable to create temporary object directory",
            "unable to write file",
            "Read-only file system",
            "Permission denied",
            "Write access to repository not granted",
            "does not support push",
            "service not enabled",
            "Permission to ",
        ],
    ),
    (
        Trouble::NoRepository,
        &[
            "does not appear to be a git repository",
            "repository not exported",
            "Repository not found",
            "' not found",
            "does not exist",
            "not a git repository",
            "No such file or directory",
        ],
    ),
    (
        Trouble::Unreachable,
        &[
            "Could not resolve host",
            "Name or service not known",
            "unable to look up",
            "Connection refused",
            "Connection timed out",
            "Connection reset",
            "Network is unreachable",
            "No route to host",
            "Failed to connect",
            "Could not connect",
            "Couldn't connect",
            "unable to connect",
            "timed out",
            "hung up unexpectedly",
            "early EOF",
            "unexpected disconnect",
            "RPC failed",
            "SSL",
        ],
    ),
];

/// What git said on its standard error.
pub(super) struct Said {
    lines: Vec<String>,
}

impl Said {
    pub(super) fn new(errors: &str) -> Self {
        Self { lines: errors.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect() }
    }

    /// Why nothing came of it.
    pub(super) fn problem(&self) -> Problem {
        let found = SIGNS.iter().find_map(|(trouble, signs)| {
            let line = self.lines.iter().find(|line| signs.iter().any(|sign| line.contains(sign)))?;
            Some((*trouble, line))
        });
        match found {
            Some((trouble, line)) => Problem::Refused(trouble, bare(line).to_owned()),
            None => {
                let line = self.lines.iter().find(|line| line.starts_with("fatal: ") || line.starts_with("error: "));
                let words = line.or(self.lines.last()).map_or("it said nothing", |line| bare(line));
                Problem::Refused(Trouble::Unknown, words.to_owned())
            }
        }
    }

    /// What it says of references that it did not make here, if that is all that went wrong.
    pub(super) fn rejected(&self) -> Option<String> {
        let fatal = self.lines.iter().any(|line| line.starts_with("fatal: "));
        let rejected = self.lines.iter().find(|line| line.starts_with('!') || line.starts_with("error: "));
        rejected.filter(|_| !fatal).map(|line| bare(line).split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// What a hook there said.
    fn remote_words(&self) -> Option<String> {
        let lines = self.lines.iter().filter_map(|line| line.strip_prefix("remote:")).map(str::trim);
        let words: Vec<&str> = lines.filter(|line| !line.is_empty()).take(3).map(bare).collect();
        if words.is_empty() { None } else { Some(words.join("; ")) }
    }
}

fn bare(line: &str) -> &str {
    let mut line = line;
    for label in ["remote: ", "fatal: ", "error: "] {
        line = line.strip_prefix(label).unwrap_or(line);
    }
    line.trim()
}

/// What `git push --porcelain` says of each reference.
pub(super) fn outcomes(output: &[u8], said: &Said) -> Delivery {
    let mut delivery = Delivery::default();
    for line in String::from_utf8_lossy(output).lines() {
        let mut parts = line.splitn(3, '\t');
        let (Some(flag), Some(names), Some(summary)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let name = names.rsplit_once(':').map_or(names, |(_, name)| name);
        match flag {
            "=" => {}
            "!" if delivery.refused.len() >= TOLD => delivery.more += 1,
            "!" => delivery.refused.push(refused(name, summary, said)),
            _ => delivery.done += 1,
        }
    }
    delivery
}

fn refused(name: &str, summary: &str, said: &Said) -> RefusedUpdate {
    let words = summary.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or(summary, |(words, _)| words);
    let is = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    let verdict = if is(&[
        "already exists",
        "stale info",
        "fetch first",
        "non-fast-forward",
        "needs force",
        "cannot lock ref",
        "failed to lock",
        "incorrect old value",
        "reference already exists",
        "would clobber",
    ]) {
        Verdict::Moved
    } else if is(&[
        "hook declined",
        "prohibited",
        "denied",
        "protected",
        "rule violations",
        "declined",
        "hidden ref",
        "not allowed",
    ]) {
        Verdict::Declined
    } else {
        Verdict::Failed
    };
    let words = match (verdict, said.remote_words()) {
        (Verdict::Declined | Verdict::Failed, Some(more)) => format!("{words}: {more}"),
        _ => words.to_owned(),
    };
    RefusedUpdate { name: name.to_owned(), verdict, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_understood() {
        for (words, trouble) in [
            ("fatal: Authentication failed for 'https://example.org/a'", Trouble::Authentication),
            (
                "git@example.org: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                Trouble::Authentication,
            ),
            ("Host key verification failed.\nfatal: Could not read", Trouble::HostKey),
            ("fatal: unable to access 'https://x/': Could not resolve host: x", Trouble::Unreachable),
            ("fatal: '/nowhere' does not appear to be a git repository", Trouble::NoRepository),
            ("fatal: remote error: access denied or repository not exported: /x", Trouble::NoRepository),
            (
                "remote: error: insufficient permission for adding an object to repository database ./objects",
                Trouble::Forbidden,
            ),
            ("remote: fatal: write error: No space left on device", Trouble::NoSpace),
            ("fatal: detected dubious ownership in repository at '/a'", Trouble::Ownership),
            ("fatal: something new", Trouble::Unknown),
            ("", Trouble::Unknown),
        ] {
            let Problem::Refused(found, told) = Said::new(words).problem() else { panic!("{words}") };
            assert_eq!(found, trouble, "{words}");
            assert!(!told.contains("hunter2") && !told.contains('\n') && !told.is_empty(), "{told}");
        }
    }

    #[test]
    fn outcomes_are_told_apart() {
        let output = "To ../hub\n*\t1:refs/tags/au/1\t[new tag]\n=\t1:refs/tags/au/2\t[up to date]\n\
            !\t1:refs/tags/au/3\t[rejected] (already exists)\n\
            !\t:refs/tags/au/4\t[remote rejected] (pre-receive hook declined)\n\
            !\t1:refs/tags/au/5\t[remote rejected] (unpacker error)\n-\t:refs/tags/au/6\t[deleted]\nDone\n";
        let delivery = outcomes(output.as_bytes(), &Said::new("remote: tags are frozen\nerror: failed to push"));
        assert_eq!(delivery.done, 2);
        let told: Vec<_> =
            delivery.refused.iter().map(|one| (one.name.as_str(), one.verdict, one.words.as_str())).collect();
        assert_eq!(
            told,
            [
                ("refs/tags/au/3", Verdict::Moved, "already exists"),
                ("refs/tags/au/4", Verdict::Declined, "pre-receive hook declined: tags are frozen"),
                ("refs/tags/au/5", Verdict::Failed, "unpacker error: tags are frozen"),
            ]
        );
    }
}
