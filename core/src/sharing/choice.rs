//! Which remote is meant, and which words are selectors.

use crate::error::{Failure, FailureKind, Result};
use crate::ports::Ports;
use crate::{suggest, value};

/// What the words of a command line mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The remote, as git takes it.
    pub remote: String,
    /// The experiments; all without one.
    pub selector: Option<String>,
    /// What to tell where nothing answers to the selector: its first word is no remote either.
    pub(super) doubt: Option<String>,
}

/// The remote is what is named so, else the first word if it is the name of a remote, a URL, or a path that begins with `/`, `./` or
/// `../`; else the one that the current branch follows, else `origin`, else the only one. All other words are selectors.
///
/// # Errors
/// `Usage` where that leaves no remote, or several.
pub fn choose(ports: &Ports, remote: Option<&str>, words: &[String], command: &str) -> Result<Choice> {
    let known = ports.exchange.remotes()?;
    let is_remote = |word: &str| known.iter().any(|name| name == word) || is_address(word);
    let selector = |words: &[String]| if words.is_empty() { None } else { Some(words.join(",")) };
    match (remote, words.split_first()) {
        (Some(remote), _) if is_remote(remote) => {
            Ok(Choice { remote: remote.to_owned(), selector: selector(words), doubt: None })
        }
        (Some(remote), _) => Err(unknown(remote, &known)),
        (None, Some((first, rest))) if is_remote(first) => {
            Ok(Choice { remote: first.clone(), selector: selector(rest), doubt: None })
        }
        (None, first) => {
            let doubt = first.map(|(first, _)| match suggest::nearest(first, &names(&known)) {
                Some(near) => format!("Did you mean the remote `{near}`?"),
                None => format!("There is no remote `{}` either: `git remote` lists them", value::excerpt(first)),
            });
            Ok(Choice { remote: usual(ports, &known, command)?, selector: selector(words), doubt })
        }
    }
}

/// Whether a word can only be a place. An experiment's name may hold a slash, as its tag does.
fn is_address(word: &str) -> bool {
    let is_path = word == "." || word == ".." || ["/", "./", "../"].iter().any(|start| word.starts_with(start));
    // As scp writes it: a server, a colon, and a path.
    let is_server = |(server, path): (&str, &str)| !server.is_empty() && !server.contains('/') && !path.is_empty();
    !word.starts_with('-') && (is_path || word.contains("://") || word.split_once(':').is_some_and(is_server))
}

fn usual(ports: &Ports, known: &[String], command: &str) -> Result<String> {
    if let Some(branch) = ports.repository.head()?.branch {
        let followed = ports.repository.setting(&format!("branch.{branch}.remote"))?;
        if let Some(remote) = followed.filter(|remote| known.contains(remote)) {
            return Ok(remote);
        }
    }
    match known {
        [] => Err(Failure::new(FailureKind::Usage, "No remote is configured")
            .hint("Add one: `git remote add origin URL`")
            .hint(format!("Or name a URL or a path: `au {command} /mnt/share/project.git`"))),
        [only] => Ok(only.clone()),
        _ if known.iter().any(|name| name == "origin") => Ok("origin".to_owned()),
        [first, ..] => {
            let message = format!("It is not clear which remote is meant: {}", suggest::enumerate(&names(known)));
            Err(Failure::new(FailureKind::Usage, message)
                .hint(format!("Name one: `au {command} {}`", suggest::word(first))))
        }
    }
}

fn unknown(remote: &str, known: &[String]) -> Failure {
    let failure = Failure::new(
        FailureKind::Usage,
        format!("There is no remote named `{}`", value::excerpt(&super::shown(remote))),
    );
    match suggest::nearest(remote, &names(known)) {
        Some(near) => failure.hint(format!("Did you mean `{near}`?")),
        None if known.is_empty() => failure.hint("Add one: `git remote add origin URL`"),
        None => failure
            .hint(format!("There is {}; a path begins with `/`, `./` or `../`", suggest::enumerate(&names(known)))),
    }
}

fn names(known: &[String]) -> Vec<&str> {
    known.iter().map(String::as_str).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::World;

    fn chosen(world: &World, words: &[&str]) -> Result<(String, Option<String>)> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        choose(&world.ports(), None, &words, "push").map(|choice| (choice.remote, choice.selector))
    }

    fn world(remotes: &[&str]) -> World {
        let world = World::project();
        for remote in remotes {
            world.add_remote(remote, &World::new());
        }
        world
    }

    #[test]
    fn the_first_word_is_the_remote_if_it_names_one() {
        let world = world(&["origin", "lab"]);
        for (words, remote, selector) in [
            (&[][..], "origin", None),
            (&["lab"], "lab", None),
            (&["lab", "@", "abcd"], "lab", Some("@,abcd")),
            (&["@"], "origin", Some("@")),
            (&["a/b"], "origin", Some("a/b")),
            (&["au/abcd"], "origin", Some("au/abcd")),
            (&["./a"], "./a", None),
            (&["/a", "@~1"], "/a", Some("@~1")),
            (&["https://example.org/a"], "https://example.org/a", None),
            (&["git@example.org:a.git"], "git@example.org:a.git", None),
        ] {
            assert_eq!(chosen(&world, words).unwrap(), (remote.to_owned(), selector.map(str::to_owned)), "{words:?}");
        }
        let named = |remote: &str| choose(&world.ports(), Some(remote), &["lab".to_owned()], "push");
        assert_eq!(named("origin").unwrap().selector.as_deref(), Some("lab"));
        assert_eq!(named("orign").unwrap_err().hints, ["Did you mean `origin`?"]);
        assert_eq!(named("--upload-pack=x:y").unwrap_err().kind, FailureKind::Usage);
    }

    #[test]
    fn without_a_word_it_is_the_one_that_the_branch_follows_or_the_only_one() {
        let one = world(&["lab"]);
        assert_eq!(chosen(&one, &[]).unwrap().0, "lab");
        let two = world(&["lab", "home"]);
        let failure = chosen(&two, &[]).unwrap_err();
        assert_eq!(failure.message, "It is not clear which remote is meant: `home`, `lab`");
        assert_eq!(failure.hints, ["Name one: `au push home`"]);
        two.commit_files(&[]);
        two.ports().repository_edit.set_local_setting("branch.main.remote", Some("lab")).unwrap();
        assert_eq!(chosen(&two, &[]).unwrap().0, "lab");
        let none = chosen(&world(&[]), &[]).unwrap_err();
        assert_eq!((none.kind, none.message.as_str()), (FailureKind::Usage, "No remote is configured"));
    }
}
