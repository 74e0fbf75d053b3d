"""Repositories of every kind: a run in each is kept whole, and leaves git as it was."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import AuEnv

SCRIPT = "au.parameters(a=1)\nau.log(loss=0.5)\nprint('hello')\n"

#: What an experiment adds to the tree.
OF_EXPERIMENTS = [":!.au/experiments", ":!logs/*.log"]


def project(env: AuEnv, **files: str) -> AuEnv:
    """A project with a commit of these files and a few more, and a script."""
    env.script(SCRIPT)
    env.write("a/one.txt", "one\n")
    env.write("b/two.txt", "two\n")
    env.write("c/d/three.txt", "three\n")
    for path, text in files.items():
        env.write(path.replace("__", "/"), text)
    commit(env)
    return env


def commit(env: AuEnv) -> None:
    env.git("add", "--all", "--sparse")
    env.git("-c", "commit.gpgSign=false", "commit", "-qm", "commit")


def elsewhere(env: AuEnv, folder: Path) -> AuEnv:
    """The same world, in another folder."""
    return AuEnv(env.root, folder, env.environment)


def edit(env: AuEnv) -> None:
    """A bit of everything that a working tree can differ by."""
    env.write("a/one.txt", "one\nedited\n")
    env.write("new/file.py", "new = True\n")
    env.write("staged.txt", "staged\n")
    env.git("add", "--sparse", "staged.txt")
    # With a sparse index git leaves it at noting the tree, without the tree.
    env.run("git", "write-tree")


def what_git_would_commit(env: AuEnv) -> str:
    """The tree of `git add --all`, made in an index aside."""
    git = Path(env.git("rev-parse", "--absolute-git-dir"))
    # Of a split index, the rest is found beside the original.
    aside = git / "index-aside"
    if (git / "index").exists():
        aside.write_bytes((git / "index").read_bytes())
    at = {"GIT_INDEX_FILE": str(aside)}
    env.run("git", "add", "--all", "--sparse", env=at).ok()
    tree = env.run("git", "write-tree", env=at).ok().stdout.strip()
    aside.unlink()
    return tree


def look(env: AuEnv) -> tuple[str, ...]:
    """What a run must not change."""
    # Above all the index's bytes, which `git status` itself would write anew.
    index = Path(env.git("rev-parse", "--absolute-git-dir")) / "index"
    before = index.read_bytes() if index.exists() else b""
    status = env.git("--no-optional-locks", "status", "--porcelain=v1", "--untracked-files=all")
    heads = env.run("git", "for-each-ref", "refs/heads", "refs/stash").ok().stdout
    head = env.run("git", "symbolic-ref", "HEAD").stdout + env.run("git", "rev-parse", "HEAD").stdout
    return (before.hex(), status, heads, head)


def check_run(env: AuEnv, *, tree: str | None = None, warns: str = "", cwd: str = "") -> str:
    """Runs the script, and checks all that can be observed. Answers the tag."""
    known = set(env.tags())
    expected = tree or what_git_would_commit(env)
    before = look(env)
    out = env.python("src/experiment.py", cwd=cwd).ok()
    assert out.stdout == "hello\n"
    if warns:
        assert warns in out.stderr and out.stderr.count("warning: ") == 1, out.stderr
    else:
        assert out.stderr == ""
    assert look(env) == before
    [tag] = set(env.tags()) - known
    env.git("fsck", "--strict", "--full")
    assert env.git("diff-tree", "-r", expected, tag, "--", *OF_EXPERIMENTS) == ""
    [row] = [row for row in env.rows() if row["id"] == tag.removeprefix("au/")]
    assert (row["status"], row["parameters"], row["metrics"]) == ("finished", {"a": 1}, {"loss": 0.5})
    assert tag.removeprefix("au/")[:8] in env.au("show", "@").ok().stdout
    assert env.log(tag).endswith("hello")
    assert env.au("recover").ok().stderr == ""
    return tag


def check_load(env: AuEnv, tag: str, path: str = "a/one.txt") -> None:
    """Goes to the experiment and back, which wants a working tree without changes."""
    commit(env)
    want = (env.project / path).read_text()
    env.write(path, "another\n")
    commit(env)
    back = env.git("rev-parse", "HEAD")
    env.au("load", tag).ok()
    assert env.git("rev-parse", "HEAD") == env.git("rev-parse", tag)
    assert (env.project / path).read_text() == want
    assert env.git("status", "--porcelain") == ""
    env.git("switch", "-q", "--detach", back)
    assert (env.project / path).read_text() == "another\n"


def plain(env: AuEnv) -> AuEnv:
    env.au("init").ok()
    return project(env)


def linked_worktree(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("worktree", "add", "-q", "-b", "side", str(env.root / "tree"))
    return elsewhere(env, env.root / "tree")


def worktree_of_a_bare_repository(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("clone", "-q", "--bare", ".", str(env.root / "bare.git"))
    bare = elsewhere(env, env.root / "bare.git")
    bare.git("worktree", "add", "-q", "-b", "side", str(env.root / "tree"))
    return elsewhere(env, env.root / "tree")


def separate_git_folder(env: AuEnv) -> AuEnv:
    env.git("init", "-q", "--separate-git-dir", str(env.root / "elsewhere.git"))
    return plain(env)


def in_a_submodule(env: AuEnv) -> AuEnv:
    plain(env)
    holder = elsewhere(env, env.root / "holder")
    holder.git("init", "-q")
    holder.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(env.project), "inner")
    return elsewhere(env, holder.project / "inner")


def detached(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("switch", "-q", "--detach")
    return env


def shallow(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("clone", "-q", "--depth=1", f"file://{env.project}", str(env.root / "clone"))
    return elsewhere(env, env.root / "clone")


def partial(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("config", "uploadpack.allowFilter", "true")
    env.git("clone", "-q", "--filter=blob:none", f"file://{env.project}", str(env.root / "clone"))
    clone = elsewhere(env, env.root / "clone")
    # Nobody there to ask from now on.
    clone.git("config", "remote.origin.url", "file:///nowhere")
    return clone


def sha256(env: AuEnv) -> AuEnv:
    env.git("init", "-q", "--object-format=sha256")
    return plain(env)


def alternates(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("clone", "-q", "--shared", ".", str(env.root / "clone"))
    return elsewhere(env, env.root / "clone")


def configured(*settings: str) -> Callable[[AuEnv], AuEnv]:
    def make(env: AuEnv) -> AuEnv:
        env.git("init", "-q")
        for setting in settings:
            env.git("config", *setting.split("=", 1))
        return plain(env)

    make.__name__ = settings[0]
    return make


def worktree_configuration(env: AuEnv) -> AuEnv:
    linked = linked_worktree(env)
    env.git("config", "extensions.worktreeConfig", "true")
    linked.git("config", "--worktree", "core.autocrlf", "input")
    linked.write("crlf.txt", "one\r\ntwo\r\n")
    return linked


def sparse(*arguments: str) -> Callable[[AuEnv], AuEnv]:
    def make(env: AuEnv) -> AuEnv:
        plain(env)
        env.git("sparse-checkout", "set", *arguments)
        assert not (env.project / "b").exists() and not (env.project / "c").exists()
        return env

    make.__name__ = f"sparse-{arguments[0]}"
    return make


def filtered(env: AuEnv) -> AuEnv:
    env.git("init", "-q")
    env.git("config", "filter.rot.clean", "tr a-z n-za-m")
    env.git("config", "filter.rot.smudge", "tr a-z n-za-m")
    env.git("config", "filter.rot.required", "true")
    return project_with_attributes(env, "*.txt filter=rot\n")


def filtered_by_a_process(env: AuEnv) -> AuEnv:
    """As git LFS does it."""
    env.git("init", "-q")
    env.write("../filter.py", PROCESS)
    env.git("config", "filter.long.process", f"{sys.executable} {env.root / 'filter.py'}")
    env.git("config", "filter.long.required", "true")
    return project_with_attributes(env, "*.txt filter=long\n")


PROCESS = '''
import sys
def read():
    while True:
        size = int(sys.stdin.buffer.read(4) or b"0000", 16)
        if size == 0: return
        yield sys.stdin.buffer.read(size - 4)
def write(*lines):
    for line in lines: sys.stdout.buffer.write(b"%04x%s" % (len(line) + 4, line))
    sys.stdout.buffer.write(b"0000"); sys.stdout.buffer.flush()
list(read()); write(b"git-filter-server\\n", b"version=2\\n")
list(read()); write(b"capability=clean\\n", b"capability=smudge\\n")
while True:
    head = list(read())
    if not head: break
    content = b"".join(read())
    write(b"status=success\\n"); write(content.swapcase()); write()
'''


def project_with_attributes(env: AuEnv, attributes: str) -> AuEnv:
    env.au("init").ok()
    return project(env, **{".gitattributes": attributes})


def eol_attributes(env: AuEnv) -> AuEnv:
    env.au("init").ok()
    project(env, **{".gitattributes": "*.txt text eol=crlf\n*.u16 working-tree-encoding=UTF-16LE\n*.id ident\n"})
    (env.project / "a/wide.u16").write_bytes("wide\n".encode("utf-16le"))
    env.write("a/some.id", "$Id: x $\n")
    return env


def split_index(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("update-index", "--split-index")
    env.write("a/more.txt", "more\n")
    env.git("add", "a/more.txt")
    return env


def untracked_cache(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("config", "core.untrackedCache", "true")
    env.git("update-index", "--untracked-cache")
    env.git("status")
    return env


def version_4_index(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("update-index", "--index-version", "4")
    return env


def file_system_monitor(env: AuEnv) -> AuEnv:
    plain(env)
    hook = env.write("../monitor", "#!/bin/sh\nprintf 'token\\0/\\0'\n")
    hook.chmod(0o755)
    env.git("config", "core.fsmonitor", str(hook))
    env.git("update-index", "--fsmonitor")
    env.git("status")
    return env


def replaced(env: AuEnv) -> AuEnv:
    plain(env)
    env.write("a/one.txt", "replaced\n")
    commit(env)
    env.git("replace", "HEAD", "HEAD~")
    return env


def packed(env: AuEnv) -> AuEnv:
    plain(env)
    env.git("gc", "-q")
    env.git("multi-pack-index", "write")
    env.git("commit-graph", "write", "--reachable")
    return env


KINDS = [
    plain,
    linked_worktree,
    worktree_of_a_bare_repository,
    separate_git_folder,
    in_a_submodule,
    detached,
    shallow,
    partial,
    sha256,
    alternates,
    configured("core.autocrlf=true"),
    configured("core.autocrlf=input", "core.safecrlf=true"),
    configured("core.fileMode=false"),
    configured("core.ignoreCase=true"),
    configured("core.symlinks=false"),
    configured("core.precomposeUnicode=true"),
    configured("core.looseCompression=0"),
    configured("core.logAllRefUpdates=always"),
    configured("feature.manyFiles=true"),
    configured("index.skipHash=true"),
    configured("status.showUntrackedFiles=no"),
    configured("core.commentChar=;", "commit.gpgSign=true", "user.signingKey=none", "gpg.program=false"),
    worktree_configuration,
    sparse("--cone", "a", "src", ".au"),
    sparse("--no-cone", "/a/", "/src/", "/.au/", "/.gitignore", "/logs/"),
    sparse("--sparse-index", "a", "src", ".au"),
    filtered,
    filtered_by_a_process,
    eol_attributes,
    split_index,
    untracked_cache,
    version_4_index,
    file_system_monitor,
    replaced,
    packed,
]


@pytest.mark.parametrize("make", KINDS, ids=[make.__name__ for make in KINDS])
def test_a_run_is_kept_whole_and_git_left_as_it_was(bare: AuEnv, make: Callable[[AuEnv], AuEnv]) -> None:
    env = make(bare)
    time.sleep(0.02)
    edit(env)
    tag = check_run(env)
    check_load(env, tag)


def test_a_branch_without_a_commit(bare: AuEnv) -> None:
    env = bare
    env.au("init").ok()
    env.git("switch", "-q", "--orphan", "new")
    (env.project / ".au").mkdir(exist_ok=True)
    env.write(".au/config", "[aurum]\n\tformat = 1\n")
    env.script(SCRIPT)
    edit(env)
    tag = check_run(env)
    assert env.record(tag)["code"]["head"] is None and env.run("git", "rev-parse", f"{tag}^").code != 0


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick", "revert", "bisect", "am"])
def test_in_the_middle_of_something(bare: AuEnv, operation: str) -> None:
    env = plain(bare)
    env.git("switch", "-qc", "side")
    env.write("a/one.txt", "side\n")
    commit(env)
    env.git("switch", "-q", "main")
    env.write("a/one.txt", "main\n")
    commit(env)
    if operation == "am":
        env.write("../patch", env.git("format-patch", "--stdout", "-1", "side") + "\n")
        env.run("git", "am", "-q", str(env.root / "patch"))
    elif operation == "bisect":
        env.git("bisect", "start")
    else:
        env.run("git", operation, *([] if operation != "revert" else ["--no-commit"]), "side")
    conflicted = env.git("status", "--porcelain")
    assert operation in ("am", "bisect") or conflicted.startswith(("UU", "AA")), conflicted
    env.write("new/file.py", "new = True\n")
    check_run(env)
    assert env.git("status", "--porcelain") == "\n".join(filter(None, [conflicted, "?? new/"]))


def test_an_index_that_another_git_holds(bare: AuEnv) -> None:
    env = plain(bare)
    edit(env)
    tree = what_git_would_commit(env)
    lock = env.write(".git/index.lock", "")
    check_run(env, tree=tree)
    assert lock.exists(), "it is somebody else's"


def test_a_dirty_submodule_is_told(bare: AuEnv) -> None:
    env = plain(bare)
    inner = elsewhere(env, env.root / "library")
    inner.git("init", "-q")
    inner.write("code.py", "x = 1\n")
    commit(inner)
    env.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.project), "lib")
    commit(env)
    tag = check_run(env)
    assert env.record(tag)["code"]["reproducible"]
    env.write("lib/code.py", "x = 2\n")
    tag = check_run(env, warns="`lib`")
    code = env.record(tag)["code"]
    assert code["dirty"] and not code["reproducible"]
    assert [(file["path"], file["reason"]) for file in code["left_out"]] == [("lib", "repository")]


def test_a_repository_within_is_told(bare: AuEnv) -> None:
    env = plain(bare)
    inner = elsewhere(env, env.project / "inner")
    inner.git("init", "-q")
    inner.write("code.py", "x = 1\n")
    tree = env.git("rev-parse", "HEAD^{tree}")
    tag = check_run(env, tree=tree, warns="`inner")
    assert not env.record(tag)["code"]["reproducible"]


def test_a_project_within_another_project(bare: AuEnv) -> None:
    outer = plain(bare)
    inner = elsewhere(outer, outer.project / "inner")
    inner.git("init", "-q")
    plain(inner)
    edit(inner)
    check_run(inner)
    assert outer.tags() == []


def test_files_with_any_name(bare: AuEnv) -> None:
    env = plain(bare)
    names = [b"caf\xe9.txt", b"new\nline.txt", b"tab\t.txt", b'quo"te.txt', b"-dash", b" ", b"*.glob", b":(top)x", b"Case", b"case"]
    names += ["\u202e.txt".encode(), "e\u0301.txt".encode(), "\u00e9.txt".encode(), b"d\xff/inner.txt", b"x" * 255, b".gitkeep"]
    for name in names:
        path = os.fsencode(env.project) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"content of " + name)
    check_run(env)
    commit(env)
    for name in names[::2]:
        with open(os.fsencode(env.project) + b"/" + name, "ab") as file:
            file.write(b" edited")
    for name in names[1::4]:
        os.unlink(os.fsencode(env.project) + b"/" + name)
    check_run(env)


def test_files_of_any_kind(bare: AuEnv) -> None:
    env = plain(bare)
    (env.project / "link").symlink_to("a/one.txt")
    (env.project / "to-folder").symlink_to("a")
    (env.project / "nowhere").symlink_to("none/at/all")
    env.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    env.write("b/two.txt", "two\n").chmod(0o755)
    (env.project / "c/d/three.txt").unlink()
    (env.project / "c/d/three.txt").symlink_to("../../a")
    (env.project / "empty").mkdir()
    os.mkfifo(env.project / "pipe")
    check_run(env)


def test_ten_thousand_files(bare: AuEnv) -> None:
    env = plain(bare)
    # Which would begin by itself, and goes on in the background.
    env.git("config", "gc.auto", "0")
    for number in range(10_000):
        path = env.project / f"many/{number % 100}/{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n")
    commit(env)
    for number in range(0, 10_000, 50):
        (env.project / f"many/{number % 100}/{number}.txt").write_text("edited\n")
    check_run(env)


def test_a_required_filter_that_fails_is_told(bare: AuEnv) -> None:
    env = plain(bare)
    env.git("config", "filter.broken.clean", "false")
    env.git("config", "filter.broken.required", "true")
    env.write(".gitattributes", "*.secret filter=broken\n")
    tree = what_git_would_commit(env)
    env.write("x.secret", "secret\n")
    tag = check_run(env, tree=tree, warns="x.secret")
    assert env.record(tag)["code"]["left_out"][0]["reason"] == "unreadable"


def test_what_a_group_shares_stays_the_groups(bare: AuEnv) -> None:
    if sys.platform != "linux":
        pytest.skip("elsewhere folders hand on their group by themselves")
    env = bare
    env.git("init", "-q", "--shared=group")
    plain(env)
    edit(env)
    env.write("src/experiment.py", "import aurum as au\n" + SCRIPT + "au.save_model(b'weights')\nau.end_experiment()\nau.log(x=1)\nimport os\nos._exit(1)\n")
    git = env.project / ".git"
    before = {path for path in git.rglob("*")}
    # Killed at the end, so that its journal stays.
    env.run("sh", "-c", f"umask 077 && exec {sys.executable} src/experiment.py").failed(1)
    private = []
    for path in sorted({path for path in git.rglob("*")} - before):
        mode = path.lstat().st_mode
        wanted = stat.S_IRGRP | (stat.S_IWGRP | stat.S_IXGRP if path.is_dir() else 0)
        if mode & wanted != wanted:
            private.append(f"{stat.filemode(mode)} {path.relative_to(git)}")
    assert private == []
    journals = list((git / "aurum/runs").glob("*/journal"))
    assert len(journals) == len(env.tags()) == 1 and journals[0].stat().st_mode & stat.S_IWGRP


def test_git_notes_where_a_script_is_run_by_a_hook(bare: AuEnv) -> None:
    env = plain(bare)
    other = elsewhere(env, env.root / "other")
    other.git("init", "-q")
    hook = other.write(".git/hooks/pre-commit", f"#!/bin/sh\ncd {env.project} && exec {sys.executable} src/experiment.py\n")
    hook.chmod(0o755)
    other.write("file", "1\n")
    other.git("add", "file")
    other.git("commit", "-qm", "runs an experiment")
    assert len(env.tags()) == 1 and other.tags() == []
    env.git("fsck", "--strict")


def refused(env: AuEnv, *words: str) -> None:
    """Every command says why it can't, and the script finishes."""
    before = env.everything()
    for command in (["metrics"], ["recover"], ["show", "@"], ["load", "@"], ["export", "@"]):
        env.au(*command).failed(1, "error: ", *words)
    out = env.python("src/experiment.py").ok()
    assert out.stdout == "hello\n" and out.stderr.count("warning: ") == 1
    for word in ("not recorded", *words):
        assert word in out.stderr, out.stderr
    assert env.everything() == before


def test_reftable_is_refused_in_words(bare: AuEnv) -> None:
    env = bare
    env.git("init", "-q", "--ref-format=reftable")
    env.au("init").failed(1, "reftable", "git refs migrate")
    env.write(".au/config", "[aurum]\n\tformat = 1\n")
    env.script(SCRIPT)
    refused(env, "reftable", "git refs migrate")


def test_somebody_elses_repository_is_refused_as_git_refuses_it(bare: AuEnv) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving files away takes root")
    env = plain(bare)
    for path in [env.project, *env.project.rglob("*")]:
        os.lchown(path, 65534, 65534)
    assert "dubious ownership" in env.run("git", "status").stderr
    refused(env, "not owned by the current user", "git config --global --add safe.directory")
    env.git("config", "--global", "--add", "safe.directory", str(env.project))
    edit(env)
    check_run(env)


def test_a_project_that_is_not_checked_out_is_told_apart_from_none(env: AuEnv) -> None:
    env.script("au.log(loss=0.5)\n")
    env.git("add", "-A")
    env.git("commit", "-qm", "code")
    env.python("src/experiment.py").ok()

    def told(*words: str, at: str = "") -> None:
        env.au("-C", str(env.project / at), "metrics").failed(1, *words)
        out = env.run(sys.executable, str(env.project / "src/experiment.py"), cwd=env.project / at).ok()
        assert out.stderr.count("aurum: warning: This run is not recorded: ") == 1
        assert all(word in out.stderr for word in words), out.stderr

    env.git("sparse-checkout", "set", "src")
    told("sparse checkout leaves out the folder `.au`", "hint: Bring it in: `git sparse-checkout add .au`", at="src")
    env.git("sparse-checkout", "add", ".au")
    assert len(env.rows()) == 1
    env.git("sparse-checkout", "disable")

    (env.project / ".au/config").unlink()
    told("is missing", "hint: Bring it back: `git restore :/.au/config`", at="src")
    env.git("restore", ":/.au/config")
    assert len(env.rows()) == 1

    env.git("switch", "-q", "--orphan", "bare")
    env.script("au.log(loss=0.5)\n")
    told("has no Aurum project, though its repository has experiments", "`git switch BRANCH`")


def test_in_a_shared_repository_everything_is_the_groups(bare: AuEnv) -> None:
    env = bare
    env.git("init", "-q", "--shared=group")
    os.umask(0o077)
    try:
        env.au("init").ok()
        env.write("data/points.csv", "1,2\n")
        env.write("dvc.txt", "excluded\n")
        env.au("data", "add", "data").ok()
        env.au("data", "add", "dvc.txt").ok()
        env.script("au.log(loss=0.5)\nau.save_model(b'weights')\n")
        env.git("add", "-A")
        env.git("commit", "-qm", "code")
        env.python("src/experiment.py").ok()
        env.script("au.log(loss=0.25)\nprint('changed')\n")
        env.python("src/experiment.py").ok()
        assert len(env.rows()) == 2
        env.au("rm", "@").ok()
        env.au("archive").ok()
        env.au("gc").ok()
    finally:
        os.umask(0o022)
    git = env.project / ".git"
    others = {"COMMIT_EDITMSG", "description", "hooks", "HEAD.lock"}
    made = [path for path in git.rglob("*") if not others & set(path.relative_to(git).parts)]
    folders = [path for path in made if path.is_dir() and path.stat().st_mode & 0o2070 != 0o2070]
    assert folders == []
    # What never changes, or is only ever replaced, is not the group's to write.
    fixed = ("objects/", "aurum/store/", "refs/aurum/")
    files = [
        path
        for path in made
        if path.is_file()
        and not path.stat().st_mode & (0o040 if str(path.relative_to(git)).startswith(fixed) else 0o020)
    ]
    assert files == []
