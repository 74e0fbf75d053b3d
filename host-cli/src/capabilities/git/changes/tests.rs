#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Instant;

use super::super::testing::{Sample, git_in};
use ChangeKind::{Deleted, Modified, Repository, Untracked};

use super::*;

fn expect(sample: &Sample, expected: &[(&str, ChangeKind)]) {
    let expected: Vec<_> = expected.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect();
    assert_eq!(sample.changes(&["pyvenv.cfg", "node_modules/"]), expected);
}

#[test]
fn a_clean_tree_has_none() {
    expect(&Sample::with(&[("a", "1"), ("b/c", "2")]), &[]);
    expect(&Sample::empty(), &[]);
}

#[test]
fn staged_and_unstaged_become_one_difference_from_head() {
    let names = ["both", "clean", "cached", "cached-edited", "gone", "gone-staged", "reverted", "staged", "unstaged"];
    let sample = Sample::with(&names.map(|name| (name, "one\n")));
    sample.write("staged", "two\n");
    sample.write("both", "two\n");
    sample.write("reverted", "two\n");
    sample.write("added", "new\n");
    sample.write("added-gone", "new\n");
    sample.git(&["add", "-A"]);
    sample.write("both", "three\n");
    sample.write("reverted", "one\n");
    sample.write("unstaged", "two\n");
    sample.git(&["rm", "-q", "--cached", "cached", "cached-edited"]);
    sample.write("cached-edited", "two\n");
    sample.git(&["rm", "-q", "gone-staged"]);
    sample.remove("gone");
    sample.remove("added-gone");
    sample.write("noted", "new\n");
    sample.git(&["add", "-N", "noted"]);
    sample.write("loose", "new\n");
    let before = fs::read(sample.root().join(".git/index")).unwrap();
    expect(
        &sample,
        &[
            ("added", Modified),
            ("both", Modified),
            ("cached-edited", Modified),
            ("gone", Deleted),
            ("gone-staged", Deleted),
            ("loose", Untracked),
            ("noted", Modified),
            ("staged", Modified),
            ("unstaged", Modified),
        ],
    );
    assert!(before == fs::read(sample.root().join(".git/index")).unwrap());
}

#[test]
fn an_edit_of_equal_size_in_the_tick_of_its_staging_is_seen() {
    for _ in 0..20 {
        let sample = Sample::with(&[("a", "one")]);
        sample.write("a", "two");
        sample.git(&["add", "a"]);
        sample.write("a", "six");
        expect(&sample, &[("a", Modified)]);
        sample.git(&["commit", "-qam", "second"]);
        sample.write("a", "ten");
        expect(&sample, &[("a", Modified)]);
    }
}

#[test]
fn modes_types_and_links_count() {
    let sample = Sample::with(&[("run", "1"), ("file", "1"), ("dir/x", "1"), ("plain", "1")]);
    let root = sample.root();
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    sample.remove("file");
    symlink("plain", root.join("file")).unwrap();
    fs::remove_dir_all(root.join("dir")).unwrap();
    symlink("/tmp", root.join("dir")).unwrap();
    sample.remove("plain");
    sample.write("plain/inner", "1");
    expect(
        &sample,
        &[
            ("dir", Untracked),
            ("dir/x", Deleted),
            ("file", Modified),
            ("plain", Deleted),
            ("plain/inner", Untracked),
            ("run", Modified),
        ],
    );
    sample.git(&["config", "core.fileMode", "false"]);
    assert!(!sample.changes(&[]).iter().any(|(path, _)| path == "run"));
}

#[test]
fn marked_folders_stay_unlisted_and_ignored_ones_out() {
    let sample = Sample::with(&[(".gitignore", "*.o\nbuild/\n"), ("src/a", "1")]);
    sample.write("env/pyvenv.cfg", "");
    sample.write("env/lib/x.py", "");
    sample.write("own/pyvenv.cfg", "");
    sample.write("own/.gitignore", "*\n");
    sample.write("web/node_modules/x/y.js", "");
    sample.write("web/index.js", "12345");
    sample.write("src/pyvenv.cfg", "");
    sample.write("src/x.o", "");
    sample.write("build/out", "");
    fs::create_dir(sample.root().join("empty")).unwrap();
    expect(
        &sample,
        &[
            ("env/", Untracked),
            ("src/pyvenv.cfg", Untracked),
            ("web/index.js", Untracked),
            ("web/node_modules/", Untracked),
        ],
    );
    let changes = sample.open().changes(&[]).unwrap();
    let file = changes.page(0, 100).iter().find(|change| change.path == "web/index.js").unwrap().clone();
    assert_eq!(file.size, 5);
    assert!(file.modified > 1_600_000_000_000);
    assert_eq!(changes.page(1, 2).len(), 2);
    assert!(changes.page(1000, u32::MAX).is_empty());
}

#[test]
fn flags_of_the_index_are_respected() {
    let sample = Sample::with(&[("assumed", "1"), ("skipped", "1"), ("in/a", "1"), ("out/b", "1"), ("out/c", "1")]);
    sample.git(&["update-index", "--assume-unchanged", "assumed"]);
    sample.git(&["update-index", "--skip-worktree", "skipped"]);
    sample.write("assumed", "other");
    sample.remove("skipped");
    expect(&sample, &[]);
    sample.git(&["update-index", "--no-assume-unchanged", "assumed"]);
    sample.git(&["update-index", "--no-skip-worktree", "skipped"]);
    sample.git(&["reset", "-q", "--hard"]);
    for sparse_index in ["--no-sparse-index", "--sparse-index"] {
        sample.git(&["sparse-checkout", "set", "--cone", sparse_index, "in"]);
        assert!(!sample.root().join("out").exists());
        expect(&sample, &[]);
        sample.write("in/a", "2");
        sample.git(&["add", "in/a"]);
        expect(&sample, &[("in/a", Modified)]);
        sample.write("out/b", "2");
        expect(&sample, &[("in/a", Modified), ("out/b", Modified)]);
        sample.remove("out/b");
        fs::remove_dir(sample.root().join("out")).unwrap();
        sample.git(&["reset", "-q", "--hard"]);
    }
}

#[test]
fn unmerged_paths_are_modified() {
    let sample = Sample::with(&[("a", "1\n"), ("b", "1\n")]);
    sample.git(&["checkout", "-qb", "other"]);
    sample.write("a", "2\n");
    sample.git(&["rm", "-q", "b"]);
    sample.git(&["commit", "-qam", "theirs"]);
    sample.git(&["checkout", "-q", "main"]);
    sample.write("a", "3\n");
    sample.write("b", "3\n");
    sample.git(&["commit", "-qam", "ours"]);
    // It fails, as it is to.
    sample.git(&["-c", "alias.try=!git merge -q other || true", "try"]);
    expect(&sample, &[("a", Modified), ("b", Modified)]);
    assert_eq!(sample.open().head().unwrap().operation.as_deref(), Some("merge"));
    sample.remove("b");
    expect(&sample, &[("a", Modified), ("b", Deleted)]);
}

#[test]
fn repositories_within_are_named() {
    let inner = Sample::with(&[("x", "1")]);
    let sample = Sample::with(&[("a", "1")]);
    sample.git(&["submodule", "--quiet", "add", inner.root().to_str().unwrap(), "sub"]);
    sample.git(&["clone", "-q", inner.root().to_str().unwrap(), "bare-link"]);
    sample.git(&["-c", "advice.addEmbeddedRepo=false", "add", "bare-link"]);
    sample.git(&["commit", "-qm", "modules"]);
    expect(&sample, &[]);
    sample.write("sub/x", "2");
    sample.write("bare-link/new", "2");
    sample.git(&["init", "-q", "nested"]);
    sample.write("nested/y", "1");
    expect(&sample, &[("bare-link", Repository), ("nested", Repository), ("sub", Repository)]);
    git_in(&sample.root().join("sub"), &["commit", "-qam", "moved"]);
    expect(&sample, &[("bare-link", Repository), ("nested", Repository), ("sub", Repository)]);
}

#[test]
fn an_unborn_branch_has_all_as_new() {
    let sample = Sample::empty();
    sample.write("a", "1");
    sample.write("b", "1");
    sample.git(&["add", "a"]);
    expect(&sample, &[("a", Modified), ("b", Untracked)]);
}

#[test]
fn line_endings_that_a_filter_takes_care_of_are_no_change() {
    let sample = Sample::with(&[("a", "one\ntwo\n")]);
    sample.git(&["config", "core.autocrlf", "true"]);
    sample.remove("a");
    sample.git(&["checkout", "a"]);
    sample.write("a", "one\r\ntwo\r\n");
    expect(&sample, &[]);
    sample.write("a", "one\r\nsix\r\n");
    expect(&sample, &[("a", Modified)]);
}

#[test]
fn names_that_are_no_text_are_shown_as_far_as_possible() {
    use std::os::unix::ffi::OsStrExt;
    let sample = Sample::empty();
    fs::write(sample.root().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "1").unwrap();
    expect(&sample, &[("caf\u{fffd}", Untracked)]);
}

#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stderr, reason = "a measurement is there to be seen")]
fn five_thousand_files_take_little_time() {
    let sample = Sample::empty();
    for number in 0..5000 {
        sample.write(&format!("d{}/e{}/f{number}", number % 50, number % 7), "content\n");
    }
    sample.git(&["add", "-A"]);
    sample.git(&["commit", "-qm", "many"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    sample.git(&["status"]);
    let repository = sample.open();
    for _ in 0..5 {
        let start = Instant::now();
        repository.changes(&[]).unwrap();
        eprintln!("{:?}", start.elapsed());
    }
}
