"""`au load`: an experiment's code, data and models as they were, and nothing lost on the way there and back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from conftest import AuEnv, Result

SCRIPT = """
au.parameters(version={version})
for path in (au.dataset("a.csv"), au.dataset("images") + "/1.png"):
    print(open(path).read())
au.save_model(b"model {version}")
au.register_metric(version={version})
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> AuEnv:
    """Two experiments, each with code, data and a model of its own, on a branch of two commits."""
    root = tmp_path_factory.mktemp("example")
    env = AuEnv(root, root / "newproject")
    env.au("init").ok()
    for version in ("1", "2"):
        env.script(SCRIPT.format(version=version))
        env.write(f"src/only_{version}.py", f"VERSION = {version}\n")
        env.write("a.csv", f"table {version}\n")
        env.write("images/1.png", f"image {version}")
        env.write(f"images/only-{version}.png", "x")
        (env.project / "src/only_1.py").chmod(0o755)
        if version == "2":
            (env.project / "src/only_1.py").unlink()
            (env.project / "images/only-1.png").unlink()
        env.au("data", "add", "a.csv", "images").ok()
        env.git("add", "--all")
        env.git("commit", f"--message=version {version}")
        env.python("src/experiment.py").ok()
    return env


@pytest.fixture
def tags(bare: AuEnv, example: AuEnv) -> list[str]:
    """Makes the test's project a copy of the example, and answers the tags of the two experiments."""
    shutil.copytree(example.project, bare.project, symlinks=True, dirs_exist_ok=True)
    bare.git("status")
    return sorted(bare.tags(), key=lambda tag: str(bare.record(tag)["started"]))


def state(env: AuEnv) -> dict[str, Any]:
    """All that a load which does not happen must leave as it is."""
    files = {path: content for path, content in env.everything().items() if not path.startswith(".git/")}
    links = {str(path): os.readlink(path) for path in env.project.rglob("*") if path.is_symlink()}
    return {
        "files": files,
        "links": links,
        "head": (env.project / ".git/HEAD").read_text(),
        "refs": env.git("for-each-ref"),
        "index": env.git("ls-files", "--stage", "--debug"),
        "status": env.git("status", "--porcelain", "--untracked-files=all", "--ignored"),
        "reflog": env.git("reflog"),
    }


def branches(env: AuEnv) -> str:
    return env.git("for-each-ref", "refs/heads", "refs/remotes", "refs/stash")


def data(env: AuEnv) -> tuple[str, list[str]]:
    images = sorted(path.name for path in (env.project / "images").iterdir())
    return (env.project / "a.csv").read_text() + (env.project / "images/1.png").read_text(), images


def command_back(out: Result) -> str:
    """The command that it prints, to return by."""
    [command] = re.findall(r"Go back: `([^`]*)`", out.stderr)
    return str(command)


# --- there and back --------------------------------------------------------------------------------------------------


def test_there_and_back(bare: AuEnv, tags: list[str]) -> None:
    first, second = tags
    before = branches(bare)
    main = bare.git("rev-parse", "main")
    out = bare.au("load", first).ok()
    assert bare.git("status", "--porcelain", "--untracked-files=all") == ""
    assert bare.git("rev-parse", "HEAD") == bare.git("rev-parse", first)
    assert bare.run("git", "symbolic-ref", "--quiet", "HEAD").code == 1, "HEAD is detached"
    assert branches(bare) == before and bare.git("rev-parse", "main") == main
    assert (bare.project / "src/only_1.py").read_text() == "VERSION = 1\n" and not (bare.project / "src/only_2.py").exists()
    assert os.access(bare.project / "src/only_1.py", os.X_OK)
    assert data(bare) == ("table 1\nimage 1", ["1.png", "only-1.png"])
    identifier = first.removeprefix("au/")
    assert (bare.project / f".au/experiments/{identifier}/record.json").is_file()
    assert (bare.project / f"logs/{identifier}.log").read_text() == "table 1\n\nimage 1\n"
    assert {row["state"] for row in json.loads(bare.au("data", "status", "--json").ok().stdout)} == {"unchanged"}

    assert command_back(out) == "git switch -"
    bare.git("switch", "-")
    assert bare.git("rev-parse", "--abbrev-ref", "HEAD") == "main" and bare.git("status", "--porcelain") == ""
    assert (bare.project / "src/only_2.py").is_file() and not (bare.project / f"logs/{identifier}.log").exists()
    assert "au data restore" in out.stdout + out.stderr
    bare.au("data", "restore").ok()
    assert data(bare) == ("table 2\nimage 2", ["1.png", "only-2.png"])
    bare.git("fsck", "--strict")


def test_the_model_is_the_loaded_experiments(bare: AuEnv, tags: list[str]) -> None:
    first, _ = tags
    bare.au("load", first).ok()
    bare.script("print(au.load_model())\n", "src/other.py")
    bare.script(SCRIPT.format(version="1").replace("au.save_model", "print(au.load_model())\nau.save_model"))
    assert "b'model 1'" in bare.python("src/experiment.py").ok().stdout


def test_an_experiment_on_top_of_a_loaded_one(bare: AuEnv, tags: list[str]) -> None:
    bare.au("load", tags[0]).ok()
    bare.python("src/experiment.py", "version=7").ok()
    [tag] = set(bare.tags()) - set(tags)
    assert bare.record(tag)["code"]["head"] == bare.git("rev-parse", tags[0]) and bare.record(tag)["code"]["branch"] is None
    files = bare.git("ls-tree", "-r", "--name-only", tag).splitlines()
    assert [file for file in files if tags[0][3:] in file] == [], "what belongs to another experiment is not in it"
    bare.au("load", tag).ok()
    assert bare.git("status", "--porcelain", "--untracked-files=all") == ""
    bare.git("switch", "main")
    assert bare.git("status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.parametrize("selector", ["@~1", "tag", "id", "prefix", "name"])
def test_selectors(env: AuEnv, selector: str) -> None:
    env.script("au.start(name='base')\nau.register_metric(x=1)\n")
    env.python("src/experiment.py").ok()
    env.script("au.register_metric(x=2)\n", "src/other.py")
    env.git("add", ".")
    env.git("commit", "--message=code")
    env.python("src/other.py").ok()
    tag = next(tag for tag in env.tags() if env.record(tag).get("name") == "base")
    given = {"tag": tag, "id": tag[3:], "prefix": tag[3:11], "name": "base"}.get(selector, selector)
    env.au("load", given).ok()
    assert env.git("rev-parse", "HEAD") == env.git("rev-parse", tag)


def test_twice(bare: AuEnv, tags: list[str]) -> None:
    first, _ = tags
    bare.au("load", first).ok()
    before = state(bare)
    bare.au("load", first).ok()
    assert state(bare) == before
    bare.write("a.csv", "kept nowhere\n")
    bare.au("load", first).failed(1, "`a.csv`", "hint: ")
    (bare.project / "a.csv").unlink()
    bare.au("load", first).ok()
    assert data(bare)[0] == "table 1\nimage 1", "what was lost meanwhile is there again"
    bare.git("switch", "-")
    assert bare.git("rev-parse", "--abbrev-ref", "HEAD") == "main"


def test_from_one_to_the_next_and_back(bare: AuEnv, tags: list[str]) -> None:
    first, second = tags
    bare.au("load", first).ok()
    out = bare.au("load", second).ok()
    assert bare.git("rev-parse", "HEAD") == bare.git("rev-parse", second) and data(bare)[0] == "table 2\nimage 2"
    bare.run("sh", "-c", command_back(out)).ok()
    assert bare.git("rev-parse", "HEAD") == bare.git("rev-parse", first)
    assert branches(bare).count("\n") == 0


def test_onto_a_branch_of_ones_own(bare: AuEnv, tags: list[str]) -> None:
    first, _ = tags
    bare.au("load", first).ok()
    bare.git("switch", "-c", "onwards")
    bare.write("src/more.py", "x\n")
    bare.git("add", ".")
    bare.git("commit", "--message=more")
    assert bare.git("rev-parse", "onwards^") == bare.git("rev-parse", first)
    bare.git("switch", "main")


def test_from_a_folder_below(bare: AuEnv, tags: list[str]) -> None:
    first, _ = tags
    bare.write("src/new/deep.py", "x\n")
    bare.git("add", ".")
    bare.git("commit", "--message=deep")
    bare.au("load", first, cwd="src/new").ok()
    assert bare.git("status", "--porcelain", "--untracked-files=all") == ""
    assert data(bare)[0] == "table 1\nimage 1"
    bare.git("switch", "-")
    assert (bare.project / "src/new/deep.py").is_file()


def test_in_a_linked_worktree(bare: AuEnv, tags: list[str]) -> None:
    first, _ = tags
    bare.git("worktree", "add", "-b", "side", bare.root / "linked")
    linked = AuEnv(bare.root, bare.root / "linked", bare.environment)
    before = state(bare)
    linked.au("load", first).ok()
    assert linked.git("rev-parse", "HEAD") == linked.git("rev-parse", first)
    assert linked.git("status", "--porcelain", "--untracked-files=all") == "" and data(linked)[0] == "table 1\nimage 1"
    assert state(bare) == before, "the other working tree is left alone"
    linked.git("switch", "-")
    assert linked.git("rev-parse", "--abbrev-ref", "HEAD") == "side"


def test_files_that_are_in_nobodys_way_stay(bare: AuEnv, tags: list[str]) -> None:
    first, _ = tags
    bare.write("notes.txt", "mine\n")
    bare.write("src/__pycache__/x.pyc", "ignored\n")
    bare.au("load", first).ok()
    assert (bare.project / "notes.txt").read_text() == "mine\n" and (bare.project / "src/__pycache__/x.pyc").is_file()
    assert bare.git("status", "--porcelain", "--untracked-files=all") == "?? notes.txt"


def test_untracked_code_of_an_experiment_comes_back(env: AuEnv) -> None:
    env.script("import helper\nau.register_metric(x=helper.X)\n")
    env.git("add", ".")
    env.git("commit", "--message=code")
    env.write("src/helper.py", "X = 1\n")
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    (env.project / "src/helper.py").unlink()
    env.au("load", tag).ok()
    assert (env.project / "src/helper.py").read_text() == "X = 1\n"
    assert env.git("status", "--porcelain", "--untracked-files=all") == ""
    env.git("switch", "-")
    assert not (env.project / "src/helper.py").exists()


def test_the_models_and_data_that_are_not_in_this_clone_are_warned_of(bare: AuEnv, tags: list[str]) -> None:
    first, _ = tags
    subprocess.run(["rm", "-rf", bare.project / ".git/aurum/store"], check=True)
    before = data(bare)
    out = bare.au("load", first).ok()
    assert bare.git("rev-parse", "HEAD") == bare.git("rev-parse", first)
    assert out.stderr.count("warning: ") == 3
    assert all(f"`{name}`" in out.stderr for name in ("a.csv", "images", "model"))
    assert data(bare) == before, "it is left as it is"


def test_data_outside_of_the_project_is_left_alone(env: AuEnv) -> None:
    outside = env.root / "big.csv"
    outside.write_text("1\n")
    env.au("data", "add", outside).ok()
    env.script("au.dataset('big.csv')\nau.register_metric(x=1)\n")
    env.git("add", ".")
    env.git("commit", "--message=code")
    env.python("src/experiment.py").ok()
    outside.write_text("2\n")
    out = env.au("load", "@").ok()
    assert outside.read_text() == "2\n" and "`big.csv`" in out.stderr


def test_an_experiment_whose_data_was_in_git(env: AuEnv) -> None:
    """From a commit that has the file as data back to one that has it in git, and the other way."""
    env.write("a.csv", "in git\n")
    env.script("au.register_metric(x=1)\n")
    env.git("add", ".")
    env.git("commit", "--message=in git")
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    env.au("data", "add", "a.csv").ok()
    env.git("rm", "--quiet", "--cached", "a.csv")
    env.git("add", ".")
    env.git("commit", "--message=as data")
    env.write("a.csv", "as data\n")
    env.au("data", "add", "a.csv").ok()
    env.git("commit", "--all", "--message=newer data")
    env.python("src/experiment.py").ok()
    [later] = set(env.tags()) - {tag}
    before = state(env)
    env.au("load", tag).failed(1, "a.csv", "hint: ")
    assert state(env) == before
    (env.project / "a.csv").rename(env.root / "aside.csv")
    env.au("load", tag).ok()
    assert (env.project / "a.csv").read_text() == "in git\n"
    env.au("load", later).ok()
    assert (env.project / "a.csv").read_text() == "as data\n" and env.git("status", "--porcelain") == ""


# --- refused ---------------------------------------------------------------------------------------------------------


def edits(env: AuEnv) -> list[str]:
    env.write("src/only_2.py", "edited\n")
    return ["src/only_2.py"]


def staged_edits(env: AuEnv) -> list[str]:
    env.write("src/experiment.py", "edited\n")
    env.git("add", ".")
    return ["src/experiment.py"]


def edits_of_what_both_have(env: AuEnv) -> list[str]:
    env.write(".gitignore", (env.project / ".gitignore").read_text() + "mine\n")
    return [".gitignore"]


def staged_new_file(env: AuEnv) -> list[str]:
    env.write("src/new.py", "new\n")
    env.git("add", ".")
    return ["src/new.py"]


def deleted(env: AuEnv) -> list[str]:
    (env.project / "src/only_2.py").unlink()
    return ["src/only_2.py"]


def mode(env: AuEnv) -> list[str]:
    (env.project / "src/experiment.py").chmod(0o755)
    return ["src/experiment.py"]


def untracked_that_it_holds(env: AuEnv) -> list[str]:
    env.write("src/only_1.py", "mine, never committed\n")
    return ["src/only_1.py"]


def untracked_folder_where_it_has_a_file(env: AuEnv) -> list[str]:
    env.write("src/only_1.py/mine.txt", "never committed\n")
    return ["src/only_1.py"]


def data_kept_nowhere(env: AuEnv) -> list[str]:
    env.write("images/1.png", "kept nowhere")
    return ["images", "au data add"]


def new_data_kept_nowhere(env: AuEnv) -> list[str]:
    env.write("images/another.png", "kept nowhere")
    return ["images", "au data add"]


def merge(env: AuEnv) -> list[str]:
    env.git("switch", "--quiet", "-c", "side", "HEAD^")
    env.write("src/experiment.py", "conflict\n")
    env.git("commit", "--all", "--message=conflict")
    env.git("switch", "--quiet", "main")
    assert env.run("git", "merge", "side").code == 1
    return ["merge"]


def cherry_pick(env: AuEnv) -> list[str]:
    merge(env)
    env.git("merge", "--abort")
    assert env.run("git", "cherry-pick", "side").code == 1
    return ["cherry-pick"]


def rebase(env: AuEnv) -> list[str]:
    merge(env)
    env.git("merge", "--abort")
    assert env.run("git", "rebase", "side").code == 1
    return ["rebase"]


def ignored_that_it_holds(env: AuEnv) -> list[str]:
    env.write(".git/info/exclude", "src/only_1.py\n")
    env.write("src/only_1.py", "mine, ignored\n")
    return ["src/only_1.py"]


def ignored_log_in_its_way(env: AuEnv) -> list[str]:
    [identifier] = [tag[3:] for tag in env.tags() if env.record(tag)["parameters"]["version"]["value"] == 1]
    env.write(f"logs/{identifier}.log", "mine\n")
    return [f"logs/{identifier}.log"]


REFUSED: list[Callable[[AuEnv], list[str]]] = [
    edits, staged_edits, edits_of_what_both_have, staged_new_file, deleted, mode, untracked_that_it_holds,
    untracked_folder_where_it_has_a_file, data_kept_nowhere, new_data_kept_nowhere, merge, cherry_pick, rebase,
    ignored_that_it_holds, ignored_log_in_its_way,
]  # fmt: skip


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_would_lose_work_does_not_happen(bare: AuEnv, tags: list[str], make: Callable[[AuEnv], list[str]]) -> None:
    first, _ = tags
    words = make(bare)
    before = state(bare)
    out = bare.au("load", first).failed(1, "error: ", "hint: ", *words)
    assert out.stdout == ""
    after = state(bare)
    assert after.pop("files") == before.pop("files")
    assert after == before


def test_selectors_that_name_none_or_several(bare: AuEnv, tags: list[str]) -> None:
    before = state(bare)
    bare.au("load", "beef").failed(1, "No experiment matches `beef`", "hint: ")
    bare.au("load", "be").failed(1, "at least 4 characters")
    bare.au("load", ",".join(tags)).failed(1, "2 experiments", "hint: ")
    bare.au("load").failed(2)
    twin = f"au/{tags[0][3:7]}0000-0000-4000-8000-000000000000"
    assert state(bare) == before
    bare.git("tag", twin, tags[0])
    bare.au("load", tags[0][3:7]).failed(1, "2 experiments", "hint: ")


def test_a_running_experiment_can_not_be_loaded(env: AuEnv) -> None:
    import sys

    env.script("au.log(x=1)\nprint('ready', flush=True)\ninput()\n")
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout is not None
    process.stdout.readline()
    env.au("load", env.rows()[0]["id"]).failed(1, "error: ", "hint: ")
    process.communicate("\n", timeout=30)


def test_outside_of_a_project(bare: AuEnv) -> None:
    bare.au("load", "@").failed(1, "belongs to no Aurum project", "hint: Run `au init`")


def test_data_that_was_added_later_stays_out_of_git(bare: AuEnv, tags: list[str]) -> None:
    bare.write("later.csv", "later\n")
    bare.write("more/1.png", "1")
    bare.au("data", "add", "later.csv", "more").ok()
    bare.git("add", "--all")
    bare.git("commit", "--message=more data")
    bare.au("load", tags[0]).ok()
    assert bare.git("status", "--short") == "" and (bare.project / "later.csv").exists()
    bare.python("src/experiment.py").ok()
    [new] = set(bare.tags()) - set(tags)
    assert "later.csv" not in bare.git("ls-tree", "-r", "--name-only", new)
    bare.git("switch", "-")
    assert (bare.project / "later.csv").read_text() == "later\n" and (bare.project / "more/1.png").exists()
    assert bare.git("status", "--short") == ""


def test_data_that_git_takes_away_is_brought_back(env: AuEnv) -> None:
    """On one branch git tracks the file, on the other Aurum does."""
    env.write("a.csv", "1\n")
    env.git("add", "a.csv")
    env.git("commit", "--message=in git")
    env.git("switch", "--create", "exp")
    env.au("data", "add", "a.csv").ok()
    env.git("rm", "--cached", "a.csv")
    env.git("add", "--all")
    env.git("commit", "--message=as data")
    env.script("print(open(au.dataset('a.csv')).read())\nau.log(x=1)\n")
    env.git("add", "--all")
    env.git("commit", "--message=script")
    env.python("src/experiment.py").ok()
    env.git("switch", "main")
    env.au("load", "@").ok()
    assert (env.project / "a.csv").read_text() == "1\n" and env.git("status", "--short") == ""


def test_a_record_can_not_name_code_as_data(bare: AuEnv, tags: list[str]) -> None:
    """Of an experiment that somebody else made: its record says that the code is data."""
    tag, identifier = tags[0], tags[0].removeprefix("au/")
    path = f".au/experiments/{identifier}/record.json"
    for forged in (".au/experiments", ".au/config", ".gitignore"):
        record = bare.record(tag)
        record["datasets"]["images"]["source"]["path"] = forged
        blob = subprocess.run(
            ["git", "hash-object", "-w", "--stdin"], input=json.dumps(record), text=True, cwd=bare.project,
            env=bare.environment, capture_output=True, check=True,
        ).stdout.strip()
        index = {"GIT_INDEX_FILE": str(bare.root / "index")}
        bare.run("git", "read-tree", tag, env=index).ok()
        bare.run("git", "update-index", "--cacheinfo", f"100644,{blob},{path}", env=index).ok()
        tree = bare.run("git", "write-tree", env=index).ok().stdout.strip()
        commit = bare.git("commit-tree", tree, "-m", "forged")
        bare.git("tag", "--force", tag, commit)
        before = state(bare)
        bare.au("load", tag).failed(1, "is a part of the project")
        assert state(bare) == before

