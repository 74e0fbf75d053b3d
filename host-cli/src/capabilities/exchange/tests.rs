use std::fs;
use std::path::Path;

use super::*;
use crate::capabilities::git::testing::{Sample, git_in};

/// A repository without a working tree, which stands for a server's.
fn hub(folder: &Path) -> String {
    fs::create_dir_all(folder).unwrap();
    git_in(folder, &["init", "-q", "--bare", "-b", "main"]);
    folder.to_str().unwrap().to_owned()
}

fn sample() -> (Sample, String, tempfile::TempDir) {
    let sample = Sample::with(&[("a", "1")]);
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(&folder.path().join("hub.git"));
    sample.git(&["remote", "add", "origin", &hub]);
    (sample, hub, folder)
}

fn update(name: &str, target: Option<&str>, expected: Option<&str>) -> Update {
    Update { name: name.to_owned(), target: target.map(str::to_owned), expected: expected.map(str::to_owned) }
}

fn names(repository: &Repository) -> Vec<String> {
    let prefixes = ["refs/tags/au/".to_owned(), "refs/notes/aurum".to_owned()];
    let told = ask(repository, &Observer::default(), "origin", &prefixes).unwrap();
    told.into_iter().map(|reference| reference.name).collect()
}

fn commit(sample: &Sample, parent: &str, words: &str) -> String {
    sample.git(&["commit-tree", "HEAD^{tree}", "-p", parent, "-m", words])
}

#[test]
fn references_are_made_moved_and_removed_each_for_itself() {
    let (sample, _, _folder) = sample();
    let (repository, quiet) = (sample.open(), Observer::default());
    let one = sample.git(&["rev-parse", "HEAD"]);
    let two = commit(&sample, &one, "two");
    let other = sample.git(&["commit-tree", "HEAD^{tree}", "-m", "other"]);
    let push = |updates: &[Update]| push(&repository, &quiet, "origin", updates).unwrap();
    let made = push(&[
        update("refs/tags/au/1", Some(&one), None),
        update("refs/tags/au/2", Some(&one), None),
        update("refs/notes/aurum", Some(&one), None),
    ]);
    assert_eq!((made.done, made.refused.len()), (3, 0));
    assert_eq!(push(&[update("refs/tags/au/1", Some(&one), None)]).done, 0, "it is there");
    let mixed = push(&[
        update("refs/tags/au/1", Some(&two), None),
        update("refs/tags/au/2", Some(&two), Some(&one)),
        update("refs/notes/aurum", Some(&two), None),
        update("refs/tags/au/3", Some(&two), None),
    ]);
    assert_eq!(mixed.done, 3);
    assert_eq!((mixed.refused[0].name.as_str(), mixed.refused[0].verdict), ("refs/tags/au/1", Verdict::Moved));
    let refused = push(&[
        update("refs/notes/aurum", Some(&other), None),
        update("refs/tags/au/1", None, Some(&two)),
        update("refs/tags/au/2", None, Some(&two)),
    ]);
    assert_eq!(refused.done, 1);
    assert!(refused.refused.iter().all(|refused| refused.verdict == Verdict::Moved), "{refused:?}");
    assert_eq!(names(&repository), ["refs/notes/aurum", "refs/tags/au/1", "refs/tags/au/3"]);
    for name in ["HEAD", "refs/tags/*", "--force", "refs/tags/a b", "main", "+refs/tags/x"] {
        let updates = [update(name, Some(&one), None)];
        assert!(matches!(super::push(&repository, &quiet, "origin", &updates), Err(Problem::Failed(_))), "{name}");
    }
}

#[test]
fn all_below_a_folder_goes_but_what_is_held_back() {
    let (sample, hub, _folder) = sample();
    let (repository, quiet) = (sample.open(), Observer::default());
    for name in ["au/1", "au/2", "au/mine", "v1"] {
        sample.git(&["tag", name]);
    }
    let delivery =
        push_below(&repository, &quiet, "origin", "refs/tags/au/", &["refs/tags/au/mine".to_owned()]).unwrap();
    assert_eq!(delivery.done, 2);
    assert_eq!(names(&repository), ["refs/tags/au/1", "refs/tags/au/2"]);
    let there = git_in(Path::new(&hub), &["tag"]);
    assert_eq!(there, "au/1\nau/2");

    let two = Sample::with(&[("b", "1")]);
    two.git(&["remote", "add", "origin", &hub]);
    git_in(Path::new(&hub), &["tag", "au/odd", "au/1"]);
    two.git(&["config", "fetch.prune", "true"]);
    two.git(&["config", "fetch.pruneTags", "true"]);
    two.git(&["tag", "au/only-here"]);
    let fetched = fetch_below(&two.open(), &quiet, "origin", "refs/tags/au/", &["refs/tags/au/odd".to_owned()]);
    assert_eq!(fetched.unwrap(), None);
    assert_eq!(two.git(&["tag"]), "au/1\nau/2\nau/only-here");
    assert!(!two.root().join(".git/FETCH_HEAD").exists());
}

#[test]
fn a_mirror_and_hooks_do_no_harm() {
    let (sample, hub, _folder) = sample();
    sample.git(&["push", "-q", "origin", "main"]);
    sample.git(&["config", "remote.origin.mirror", "true"]);
    sample.git(&["tag", "au/1"]);
    let hook = sample.root().join(".git/hooks/pre-push");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let one = sample.git(&["rev-parse", "HEAD"]);
    sample.git(&["checkout", "-q", "--detach"]);
    sample.git(&["branch", "-D", "main"]);
    let updates = [update("refs/tags/au/1", Some(&one), None)];
    assert_eq!(push(&sample.open(), &Observer::default(), "origin", &updates).unwrap().done, 1);
    assert_eq!(git_in(Path::new(&hub), &["branch", "--format=%(refname:short)"]), "main");
}

#[test]
fn what_is_brought_is_made_and_never_moved() {
    let (sample, hub, _folder) = sample();
    let quiet = Observer::default();
    sample.git(&["tag", "au/1"]);
    sample.git(&["tag", "-a", "-m", "words", "au/2"]);
    sample.git(&["push", "-q", "--tags", "origin"]);
    let two = Sample::with(&[("b", "1")]);
    two.git(&["remote", "add", "origin", &hub]);
    let repository = two.open();
    let told = ask(&repository, &quiet, "origin", &["refs/tags/au/".to_owned()]).unwrap();
    let one = sample.git(&["rev-parse", "HEAD"]);
    assert!(told.iter().all(|reference| reference.target == one), "annotated tags are peeled: {told:?}");
    let wanted = |source: &str, destination: &str| Wanted { source: source.into(), destination: destination.into() };
    let fetched = fetch(&repository, &quiet, "origin", &[wanted("refs/tags/au/1", "refs/aurum/incoming/1/x")]);
    assert_eq!(fetched.unwrap(), None);
    assert_eq!(two.git(&["rev-parse", "refs/aurum/incoming/1/x"]), one);
    assert_eq!(two.git(&["tag"]), "", "no tag comes along");
    two.git(&["tag", "au/1", "HEAD"]);
    let mine = two.git(&["rev-parse", "HEAD"]);
    let said = fetch(&repository, &quiet, "origin", &[wanted("refs/tags/au/1", "refs/tags/au/1")]).unwrap();
    assert!(said.unwrap().contains("clobber"));
    assert_eq!(two.git(&["rev-parse", "au/1"]), mine);
    let missing = fetch(&repository, &quiet, "origin", &[wanted("refs/tags/none", "refs/tags/none")]);
    assert!(matches!(missing, Err(Problem::Refused(Trouble::Unknown, _))));
}

#[test]
fn remotes_that_can_t_be_reached_are_told_apart() {
    let (sample, hub, folder) = sample();
    let repository = sample.open();
    let trouble = |remote: &str| match ask(&repository, &Observer::default(), remote, &["refs/".to_owned()]) {
        Err(Problem::Refused(trouble, words)) => (trouble, words),
        other => panic!("{remote}: {other:?}"),
    };
    assert_eq!(trouble("/nowhere/at/all").0, Trouble::NoRepository);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for scheme in ["http", "git"] {
        let (found, words) = trouble(&format!("{scheme}://127.0.0.1:{port}/a"));
        assert_eq!(found, Trouble::Unreachable, "{words}");
    }
    let program = folder.path().join("ran");
    let (_, words) = trouble(&format!("ext::touch {}", program.display()));
    assert!(words.contains("not allowed"), "{words}");
    assert!(!program.exists());
    let (_, words) = trouble("--upload-pack=touch");
    assert!(!words.is_empty() && remotes(&repository).unwrap() == ["origin"]);
    fs::remove_dir_all(&hub).unwrap();
    assert_eq!(trouble("origin").0, Trouble::NoRepository);
}

#[test]
fn notes_are_merged_without_a_reference() {
    let sample = Sample::with(&[("a", "1")]);
    let repository = sample.open();
    let note = |words: &str| {
        sample.git(&["notes", "--ref=x", "add", "-f", "-m", words, "HEAD"]);
        let commit = sample.git(&["rev-parse", "refs/notes/x"]);
        sample.git(&["update-ref", "-d", "refs/notes/x"]);
        commit
    };
    let (ours, theirs) = (note("b\na"), note("c\na"));
    let signature =
        Signature { name: "Ann".into(), email: "ann@x".into(), seconds: 1_700_000_000, offset_minutes: -90 };
    let merged = merge_notes(&repository, &ours, &theirs, &signature).unwrap();
    assert_eq!(merge_notes(&repository, &ours, &theirs, &signature).unwrap(), merged);
    assert_eq!(sample.git(&["log", "-1", "--format=%an %ad", "--date=raw", &merged]), "Ann 1700000000 -0130");
    sample.git(&["update-ref", "refs/notes/x", &merged]);
    assert_eq!(sample.git(&["notes", "--ref=x", "show", "HEAD"]), "a\nb\nc");
    assert_eq!(sample.git(&["for-each-ref", "--format=%(refname)", "refs/notes"]), "refs/notes/x");
    assert_eq!(merge_notes(&repository, &merged, &ours, &signature).unwrap(), merged);
    assert!(descends(&repository, &merged, &ours).unwrap() && !descends(&repository, &ours, &merged).unwrap());
    assert_eq!(parents(&repository, &merged).unwrap().unwrap(), [ours, theirs]);
    assert!(!descends(&repository, &merged, &"1".repeat(40)).unwrap());
    assert_eq!(parents(&repository, &"1".repeat(40)).unwrap(), None);
}
