//! `requirements.txt`: what pip needs to make the environment again, and in comments what it can't know.
//!
//! Each line is a requirement or a comment, and never an option: whoever hands the file to pip must not be led anywhere by a name that a
//! package gave itself. What comes from a folder of this computer is named by the commit that its repository was at.

use std::collections::BTreeMap;

use crate::ports::{Origin, OriginKind, Package};
use crate::redact;

/// Packages whose origins a record names, and the bytes that these may take.
const MOST_SOURCES: usize = 200;
const MOST_SOURCE_BYTES: usize = 64 << 10;

/// The file.
pub fn text(packages: &[Package]) -> String {
    let mut text = String::new();
    for package in packages {
        match &package.origin {
            None => released(&mut text, package),
            Some(origin) => sourced(&mut text, package, origin),
        }
    }
    text
}

/// The origins that a record names: without secrets, and without where things are on this computer.
pub fn sources(packages: &[Package]) -> BTreeMap<String, Origin> {
    let mut bytes = 0;
    let named = packages.iter().filter_map(|package| Some((package.name.clone(), public(package.origin.as_ref()?))));
    named
        .take(MOST_SOURCES)
        .filter(|(name, origin)| {
            bytes += name.len() + serde_json::to_string(origin).map_or(MOST_SOURCE_BYTES, |text| text.len() + 200);
            bytes <= MOST_SOURCE_BYTES
        })
        .collect()
}

fn public(origin: &Origin) -> Origin {
    Origin { url: origin.url.as_deref().and_then(address), ..origin.clone() }
}

fn released(text: &mut String, package: &Package) {
    let Package { name, version, .. } = package;
    if is_name(name) && is_version(version) {
        text.push_str(&format!("{name}=={version}\n"));
    } else {
        comment(text, &format!("{name} {version}: pip reads no such name or version"));
    }
}

fn sourced(text: &mut String, package: &Package, origin: &Origin) {
    let Package { name, version, .. } = package;
    if origin.own {
        return comment(text, &format!("{name}=={version}: this project itself"));
    }
    let what = match origin.kind {
        OriginKind::Repository | OriginKind::Archive => "",
        OriginKind::Folder => "a copy of a folder",
        OriginKind::Editable => "editable",
    };
    if !what.is_empty() {
        let branch = origin.branch.as_ref().map_or_else(String::new, |branch| format!(", branch {branch}"));
        let state = match (&origin.commit, origin.dirty) {
            (None, _) => ", in no commit",
            (_, Some(true)) => ", with changes that are in no commit",
            _ => "",
        };
        comment(text, &format!("{name}=={version}: {what}{branch}{state}"));
    }
    match url(origin) {
        Some(url) if is_name(name) => text.push_str(&format!("{name} @ {url}\n")),
        _ if origin.kind == OriginKind::Archive => {
            // Mostly a wheel that somebody has fetched before.
            let hash = origin.hashes.first().map_or_else(String::new, |hash| format!(", {hash}"));
            comment(text, &format!("{name}=={version}: from a file that may be on no index{hash}"));
            released(text, package);
        }
        _ if what.is_empty() => comment(text, &format!("{name}=={version}: from where pip can't fetch it")),
        _ => {}
    }
}

/// A line of its own, whatever is in it.
fn comment(text: &mut String, words: &str) {
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.push_str(&format!("# {words}\n"));
}

/// What pip fetches it by; none where there is nothing to fetch.
fn url(origin: &Origin) -> Option<String> {
    let address = address(origin.url.as_deref()?)?;
    let (mut url, mut fragment) = match origin.kind {
        OriginKind::Archive => (address, origin.hashes.clone()),
        _ => {
            let system = origin.system.as_deref().filter(|system| ["git", "hg", "svn", "bzr"].contains(system))?;
            (format!("{system}+{address}@{}", origin.commit.as_deref()?), Vec::new())
        }
    };
    fragment.extend(origin.subdirectory.as_ref().map(|folder| format!("subdirectory={folder}")));
    // Of hashes pip takes the first.
    fragment.sort_by_key(|part| !part.starts_with("sha256="));
    if !fragment.is_empty() {
        url = format!("{url}#{}", fragment.join("&"));
    }
    (!url.contains(|c: char| c.is_whitespace() || c.is_control())).then_some(url)
}

/// Where others can fetch from, without user-info; none of a place on this computer. The name `git` stays, by which everybody logs in over ssh
/// and without which nobody can.
fn address(url: &str) -> Option<String> {
    let url = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some(_) => url.to_owned(),
        // `git@example.org:group/x.git`, as ssh takes it.
        None => {
            let (host, path) = url.split_once(':')?;
            let remote = host.len() > 1 && !host.contains('/') && !host.starts_with('-');
            let ssh = || format!("ssh://{host}/{}", path.trim_start_matches('/'));
            remote.then(ssh)?
        }
    };
    Some(match url.strip_prefix("ssh://git@") {
        Some(rest) => {
            let clean = redact::url(&format!("ssh://{rest}"));
            format!("ssh://git@{}", clean.trim_start_matches("ssh://"))
        }
        None => redact::url(&url),
    })
}

/// Whether it is a name by [PyPA's rules](https://packaging.python.org/en/latest/specifications/name-normalization/).
fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.chars().all(inner) && outer(name.chars().next()) && outer(name.chars().last())
}

/// Whether it is a version by [PyPA's rules](https://packaging.python.org/en/latest/specifications/version-specifiers/), by their
/// grammar from left to right.
fn is_version(version: &str) -> bool {
    let lower = version.to_ascii_lowercase();
    let mut rest = lower.strip_prefix('v').unwrap_or(&lower);
    if let Some((epoch, after)) = rest.split_once('!') {
        if epoch.is_empty() || !epoch.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        rest = after;
    }
    let (public, local) = rest.split_once('+').map_or((rest, None), |(public, local)| (public, Some(local)));
    let is_local = |local: &str| {
        local.split(['.', '-', '_']).all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    if local.is_some_and(|local| !is_local(local)) {
        return false;
    }
    let Some(mut rest) = digits(public) else { return false };
    while let Some(after) = rest.strip_prefix('.').and_then(digits) {
        rest = after;
    }
    rest = labelled(rest, &["alpha", "a", "beta", "b", "preview", "pre", "c", "rc"]).unwrap_or(rest);
    rest = rest.strip_prefix('-').and_then(digits).or_else(|| labelled(rest, &["post", "rev", "r"])).unwrap_or(rest);
    rest = labelled(rest, &["dev"]).unwrap_or(rest);
    rest.is_empty()
}

/// What follows one digit or more.
fn digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

/// What follows one of these words, a separator before it and a number after it where they are there.
fn labelled<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    let separators = ['.', '-', '_'];
    let bare = text.strip_prefix(separators).unwrap_or(text);
    let rest = words.iter().find_map(|word| bare.strip_prefix(word))?;
    let number = rest.strip_prefix(separators).and_then(digits);
    Some(number.or_else(|| digits(rest)).unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn package(name: &str, version: &str, origin: Option<Origin>) -> Package {
        Package { name: name.into(), version: version.into(), origin }
    }

    fn origin(kind: OriginKind, url: &str) -> Origin {
        Origin {
            kind,
            url: Some(url.into()),
            system: Some("git".into()),
            commit: Some("abc123".into()),
            ..Origin::default()
        }
    }

    #[test]
    fn each_origin_has_a_line_that_pip_reads() {
        let editable = |url| Origin {
            branch: Some("main".into()),
            dirty: Some(true),
            subdirectory: Some("py".into()),
            ..origin(OriginKind::Editable, url)
        };
        let archive = Origin {
            hashes: vec!["md5=1".into(), "sha256=2".into()],
            commit: None,
            ..origin(OriginKind::Archive, "https://ada:pw@example.org/x-1.whl")
        };
        let packages = [
            package("numpy", "2.0.0+cu1", None),
            package("odd", "1.0-final-really", None),
            package("--index-url", "1", None),
            package("vcs", "1", Some(origin(OriginKind::Repository, "https://tok@example.org/vcs.git"))),
            package("arch", "1", Some(archive)),
            package("dev", "0.1", Some(editable("git@example.org:group/dev.git"))),
            package("lost", "0.1", Some(Origin { kind: OriginKind::Editable, ..Origin::default() })),
            package("local", "0.1", Some(editable("/home/ada/local"))),
            package("wheel", "0.1", Some(origin(OriginKind::Archive, "file:///home/ada/wheel.whl"))),
            package("self", "0.1", Some(Origin { own: true, ..Origin::default() })),
        ];
        let expected = "\
numpy==2.0.0+cu1
# odd 1.0-final-really: pip reads no such name or version
# --index-url 1: pip reads no such name or version
vcs @ git+https://example.org/vcs.git@abc123
arch @ https://example.org/x-1.whl#sha256=2&md5=1
# dev==0.1: editable, branch main, with changes that are in no commit
dev @ git+ssh://git@example.org/group/dev.git@abc123#subdirectory=py
# lost==0.1: editable, in no commit
# local==0.1: editable, branch main, with changes that are in no commit
# wheel==0.1: from a file that may be on no index
wheel==0.1
# self==0.1: this project itself
";
        assert_eq!(text(&packages), expected);
        let sources = sources(&packages);
        assert_eq!(sources["vcs"].url.as_deref(), Some("https://example.org/vcs.git"));
        assert_eq!((sources["local"].url.as_deref(), sources.contains_key("numpy")), (None, false));
    }

    #[test]
    fn versions_are_told_by_their_grammar() {
        for version in [
            "1",
            "1.0",
            "2026.1.2",
            "1!2.0",
            "1.0a1",
            "1.0.alpha",
            "1.0rc.1",
            "1.0-1",
            "1.0.post2",
            "1.0.dev0",
            "v1.0",
            "1.0a1.post2.dev3",
            "2.1.0+cu118",
            "1.0+ubuntu.1-2",
            "1.0RC1",
            "1.0c4",
        ] {
            assert!(is_version(version), "{version}");
        }
        for version in
            ["", "a", "1..0", "1.0+", "1.0+a..b", "1.0 ", "1.0final", "!1", "1.0.dev0.a1", "1.0-", "1.0;x", "-1"]
        {
            assert!(!is_version(version), "{version}");
        }
    }

    proptest! {
        #[test]
        fn nothing_becomes_an_option_or_breaks_its_line(
            name in "\\PC{0,12}|-[a-z -]{1,9}\n?",
            version in "[0-9.a-z+ \n-]{0,9}",
            url in "(https://|git@|file://|/|-)[a-z@: \n/]{0,20}",
        ) {
            for origin in [None, Some(origin(OriginKind::Editable, &url)), Some(origin(OriginKind::Archive, &url))] {
                let text = text(&[package(&name, &version, origin)]);
                prop_assert!(text.lines().count() <= 3);
                for line in text.lines() {
                    let first = line.chars().next().expect("no line is empty");
                    prop_assert!(first == '#' || first.is_ascii_alphanumeric(), "{}", line);
                }
            }
        }
    }
}
