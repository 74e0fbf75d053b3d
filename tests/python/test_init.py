"""`au init`: what it makes, what it keeps its hands off, and when it refuses."""

from conftest import AuEnv

MADE = {".au/config", ".gitignore", "logs/.gitkeep", "src/.gitkeep"}


def committed(env: AuEnv, commit: str = "HEAD") -> set[str]:
    return set(env.git("ls-tree", "-r", "--name-only", commit).split("\n"))


def test_in_an_empty_folder(bare: AuEnv) -> None:
    bare.au("init").ok()
    assert committed(bare) == MADE
    assert bare.git("status", "--porcelain") == ""
    assert {"src", "logs", ".au"} <= {path.name for path in bare.project.iterdir()}
    ignored = (bare.project / ".gitignore").read_text()
    assert ".stripping/\n" in ignored and "stripping_cache/\n" in ignored and "__pycache__/\n" in ignored
    bare.git("fsck", "--strict")


def test_never_commits_the_users_unfinished_edits(bare: AuEnv) -> None:
    bare.git("init")
    for path in ("src/a.py", "b.py", ".gitignore"):
        bare.write(path, "committed\n")
    bare.git("add", ".")
    bare.git("commit", "--message=mine")
    bare.write("src/a.py", "staged\n")
    bare.write(".gitignore", "committed\nstaged\n")
    bare.git("add", ".")
    bare.write("src/a.py", "edited\n")
    bare.write(".gitignore", "committed\nstaged\nedited\n")
    bare.write("new.py", "untracked\n")
    bare.write("staged.py", "new and staged\n")
    bare.git("add", "staged.py")
    (bare.project / "b.py").unlink()
    before = bare.git("status", "--porcelain")
    head = bare.git("rev-parse", "HEAD")

    bare.au("init").ok()

    assert bare.git("status", "--porcelain") == before
    assert bare.git("rev-parse", "HEAD^") == head
    assert set(bare.git("diff", "--name-only", "HEAD^", "HEAD").split()) == {".au/config", ".gitignore", "logs/.gitkeep"}
    assert bare.git("show", "HEAD:src/a.py") == "committed"
    assert bare.git("show", ":src/a.py") == "staged"
    assert bare.git("show", "HEAD:.gitignore").startswith("committed\n\n# >>> aurum")
    assert bare.git("show", ":.gitignore").startswith("committed\nstaged\n\n# >>> aurum")
    assert (bare.project / ".gitignore").read_text().startswith("committed\nstaged\nedited\n\n# >>> aurum")


def test_over_an_unborn_branch_with_staged_work(bare: AuEnv) -> None:
    bare.git("init")
    bare.write("src/a.py", "a\n")
    bare.git("add", ".")
    bare.au("init").ok()
    assert committed(bare) == MADE - {"src/.gitkeep"}
    assert bare.git("status", "--porcelain") == "A  src/a.py"


def test_on_a_detached_head_moves_no_branch(bare: AuEnv) -> None:
    bare.git("init")
    bare.git("commit", "--allow-empty", "--message=mine")
    bare.git("switch", "--detach")
    main = bare.git("rev-parse", "main")
    bare.au("init").ok()
    assert bare.git("rev-parse", "main") == main
    assert committed(bare) == MADE


def test_in_a_subfolder_of_a_repository_is_refused(bare: AuEnv) -> None:
    bare.git("init")
    (bare.project / "below").mkdir()
    before = bare.everything()
    bare.au("init", cwd="below").failed(1, "hint: ", f"`au init -C {bare.project.resolve()}`")
    assert bare.everything() == before
    bare.au("init", "-C", bare.project, cwd="below").ok()


def test_twice_is_an_error_and_changes_nothing(env: AuEnv) -> None:
    before = env.everything()
    env.au("init").failed(1, "error: This folder is an Aurum project already")
    assert env.everything() == before


def test_without_an_identity_says_how_and_a_second_try_works(bare: AuEnv) -> None:
    bare.forget_identity()
    bare.au("init").failed(1, "git does not know who you are", "git config --global user.name")
    assert bare.everything() == {}
    bare.identify()
    bare.au("init").ok()


def test_a_tag_named_au_is_in_the_way(bare: AuEnv) -> None:
    bare.git("init")
    bare.git("commit", "--allow-empty", "--message=mine")
    bare.git("tag", "au")
    bare.au("init").failed(1, "A tag named `au` is in the way", "hint: Rename it: `git tag au-before au && git tag --delete au`")
    bare.run("sh", "-c", "git tag au-before au && git tag --delete au").ok()
    bare.au("init").ok()


def test_a_file_named_src_is_in_the_way(bare: AuEnv) -> None:
    bare.write("src", "not a folder\n")
    bare.au("init").failed(1, "`src` is in the way")
    assert set(bare.everything()) == {"src"}


def test_during_a_merge_is_refused(bare: AuEnv) -> None:
    bare.git("init")
    bare.git("commit", "--allow-empty", "--message=mine")
    (bare.project / ".git/MERGE_HEAD").write_text(bare.git("rev-parse", "HEAD") + "\n")
    bare.au("init").failed(1, "merge")


def test_a_locked_index_leaves_nothing_behind(bare: AuEnv) -> None:
    bare.git("init")
    bare.git("commit", "--allow-empty", "--message=mine")
    lock = bare.project / ".git/index.lock"
    lock.touch()
    head = bare.git("rev-parse", "HEAD")
    bare.au("init").failed(1, "index.lock")
    assert {path.name for path in bare.project.iterdir()} == {".git"}
    assert bare.git("rev-parse", "HEAD") == head
    lock.unlink()
    bare.au("init").ok()
