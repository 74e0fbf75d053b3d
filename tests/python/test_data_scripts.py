"""Data as scripts find it, and as runs record it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest
from conftest import AuEnv, Result
from data_state import described, descriptions, manifest, status, stored, with_data


def test_scripts_find_their_data(env: AuEnv) -> None:
    with_data(env)
    (env.root / "big.csv").write_text("x\n")
    env.au("data", "add", env.root / "big.csv").ok()
    env.script(
        "from pathlib import Path\n"
        "[table, big] = au.use_datasets('a.csv', 'big.csv')\n"
        "assert Path(table).is_absolute() and Path(table).read_text() == '1,2\\n', table\n"
        f"assert big == {str(env.root / 'big.csv')!r}, big\n"
        "assert au.use_datasets() == []\n"
        "assert au.use_datasets('a.csv', 'a.csv') == [table, table]\n"
        "images = au.dataset(Path('images'))\n"
        "assert images == str(Path(table).parent / 'images') == au.dataset('./images/'), images\n"
        f"assert au.dataset({str(env.root / 'big.csv')!r}) == big\n"
        "print('found')\n"
    )
    # From the root, where `./images/` is that.
    assert env.python("src/experiment.py").ok().stdout == "found\n"
    [tag] = env.tags()
    record = env.record(tag)
    assert {name: (usage["state"], usage["used"]) for name, usage in record["datasets"].items()} == {
        "a.csv": ("unchanged", True), "images": ("unchanged", True), "big.csv": ("unchanged", True),
    }  # fmt: skip
    assert str(env.root) not in json.dumps(record["datasets"])
    env.script("print(au.use_datasets('images', '../a.csv'))\n", "src/below.py")
    out = env.python("below.py", cwd="src").ok()
    assert out.stdout == f"{[str(env.project / 'images'), str(env.project / 'a.csv')]}\n"


def test_a_run_lists_the_data_that_there_was(env: AuEnv) -> None:
    with_data(env)
    env.script("au.dataset('images')\nau.register_metric(x=1)\n")
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    datasets = env.record(tag)["datasets"]
    assert datasets["a.csv"] == {
        "kind": "file", "digest": described(env, "a.csv")["digest"], "size": 4, "files": 1, "state": "unchanged", "used": False,
        "source": {"type": "project", "path": "a.csv"},
    }  # fmt: skip
    assert datasets["images"]["used"] and datasets["images"]["digest"] == described(env, "images")["digest"]
    files = env.git("ls-tree", "-r", "--name-only", tag).splitlines()
    assert ".au/datasets/a.csv.json" in files and "a.csv" not in files and "images/1.png" not in files


@pytest.mark.parametrize(("name", "hint"), [("imgaes", "Did you mean `images`?"), ("other", "au data add other")])
def test_an_unknown_name(env: AuEnv, name: str, hint: str) -> None:
    with_data(env)
    env.script(
        f"try:\n    au.dataset({name!r})\nexcept au.UnknownDatasetError as error:\n"
        "    assert isinstance(error, LookupError) and isinstance(error, au.AurumError)\n    print(error)\n"
        f"au.use_datasets('a.csv', {name!r})\n"
    )
    out = env.python("src/experiment.py").failed(1, "UnknownDatasetError", f"No dataset is named `{name}`")
    assert hint in out.stdout and "au data add" in out.stdout
    assert env.rows()[0]["status"] == "failed"


def test_missing_content(env: AuEnv) -> None:
    with_data(env)
    subprocess.run(["rm", "-rf", env.project / "images"], check=True)
    env.script("import os\nprint(sorted(os.listdir(au.dataset('images'))))\n")
    assert env.python("src/experiment.py").ok().stdout == "['1.png', 'run.sh', 'sub']\n", "brought back from the store"
    (env.project / "a.csv").unlink()
    stored(env, described(env, "a.csv")["digest"]).unlink()
    env.script(
        "try:\n    au.dataset('a.csv')\nexcept au.MissingDataError as error:\n"
        "    assert isinstance(error, FileNotFoundError)\n    print(error)\n"
        "au.dataset('a.csv')\n"
    )
    out = env.python("src/experiment.py").failed(1, "MissingDataError", "not in the store")
    assert "hint: " in out.stdout
    newest = max(env.tags(), key=lambda tag: env.record(tag)["started"])
    assert env.record(newest)["datasets"]["a.csv"]["state"] == "missing"


def test_without_tracking_the_data_is_found_all_the_same(env: AuEnv) -> None:
    with_data(env)
    env.script("print(au.use_datasets('a.csv', 'images'))\nau.register_metric(x=1)\n")
    expected = f"{[str(env.project / 'a.csv'), str(env.project / 'images')]}\n"
    before = env.everything()
    for arguments, variables in (([], {"AURUM_MODE": "disabled"}), (["--no-tracking"], {})):
        out = env.python("src/experiment.py", *arguments, env=variables).ok()
        assert (out.stdout, out.stderr) == (expected, "")
    assert env.everything() == before and env.tags() == []
    env.script("au.dataset('nope')\n")
    env.python("src/experiment.py", "--no-tracking").failed(1, "UnknownDatasetError")


def test_outside_of_a_project_it_is_an_error(bare: AuEnv) -> None:
    bare.script("au.dataset('a.csv')\n")
    bare.python("src/experiment.py").failed(1, "NotAProjectError", "hint: ")


def test_changed_data_is_warned_of_once(env: AuEnv) -> None:
    with_data(env)
    recorded = described(env, "a.csv")["digest"]
    env.write("a.csv", "1,2\n3,4\n")
    env.script("au.dataset('a.csv')\nau.use_datasets('a.csv', 'images')\nau.register_metric(x=1)\n")
    out = env.python("src/experiment.py").ok()
    assert out.stderr.count("warning: ") == 1 and "`a.csv` has changed" in out.stderr and "au data add a.csv" in out.stderr
    [tag] = env.tags()
    usage = env.record(tag)["datasets"]["a.csv"]
    assert (usage["state"], usage["recorded"]) == ("changed", recorded)
    assert usage["digest"] == f"sha256:{hashlib.sha256((env.project / 'a.csv').read_bytes()).hexdigest()}"
    assert usage["size"] == 8


def test_large_changed_data_is_hashed_at_the_end(env: AuEnv) -> None:
    content = os.urandom(1 << 20) * 48
    (env.project / "big.bin").write_bytes(b"small\n")
    (env.project / "huge.bin").write_bytes(b"small\n")
    env.au("data", "add", "big.bin", "huge.bin").ok()
    (env.project / "big.bin").write_bytes(content)
    os.truncate(env.project / "huge.bin", 600 << 20)
    env.script("au.register_metric(x=1)\n")
    out = env.python("src/experiment.py").ok()
    [tag] = env.tags()
    datasets = env.record(tag)["datasets"]
    assert datasets["big.bin"]["state"] == "changed"
    assert datasets["big.bin"]["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert datasets["huge.bin"]["state"] == "unhashed" and datasets["huge.bin"]["digest"] is None
    assert "`big.bin` has changed" in out.stderr and "huge.bin" in out.stderr


def test_a_linked_worktree_shares_the_store(env: AuEnv) -> None:
    with_data(env)
    env.git("add", ".")
    env.git("commit", "--message=data")
    env.git("worktree", "add", "--detach", env.root / "linked")
    linked = AuEnv(env.root, env.root / "linked", env.environment)
    assert {row["state"] for row in status(linked).values()} == {"missing"}
    linked.au("data", "restore").ok()
    assert manifest(linked.project / "images") == manifest(env.project / "images")
    linked.write("b.csv", "x\n")
    linked.au("data", "add", "b.csv").ok()
    assert descriptions(env) == ["a.csv", "images"] and stored(env, described(linked, "b.csv")["digest"]).is_file()


def test_a_clone_says_what_it_lacks(env: AuEnv) -> None:
    with_data(env)
    (env.root / "big.csv").write_text("x\n")
    env.au("data", "add", env.root / "big.csv").ok()
    env.git("add", ".")
    env.git("commit", "--message=data")
    env.git("clone", "--quiet", ".", env.root / "clone")
    clone = AuEnv(env.root, env.root / "clone", env.environment)
    rows = status(clone)
    assert {(row["state"], row["in_store"]) for row in rows.values()} == {("missing", False)}
    assert rows["big.csv"]["place"] is None
    clone.script("au.dataset('big.csv')\n")
    clone.python("src/experiment.py").failed(1, "MissingDataError", "au data add --name big.csv")
    moved = env.root / "moved.csv"
    moved.write_text("x\n")
    clone.au("data", "add", "--name", "big.csv", moved).ok()
    assert status(clone)["big.csv"]["state"] == "unchanged"


def hints(out: Result) -> list[str]:
    return [line for line in out.stderr.splitlines() if line.startswith("hint: ")]


def test_commands_that_hints_give_can_be_pasted(env: AuEnv) -> None:
    env.write("with space.csv", "1\n")
    env.au("data", "add", "with space.csv").ok()
    env.write("with space.csv", "2\n")
    [keep, *_] = hints(env.au("data", "rm", "--hard-delete", "with space.csv").failed(1))
    command = keep.split("`")[1]
    env.run("sh", "-c", command).ok()
    assert status(env)["with space.csv"]["state"] == "unchanged"


def test_hints_name_data_by_its_path(env: AuEnv) -> None:
    env.write("data/x.csv", "1\n")
    env.au("data", "add", "data/x.csv").ok()
    env.write("data/x.csv", "2\n")
    env.script("au.register_metric(x=1)\n")
    [keep] = hints(env.python("src/experiment.py").ok())
    env.run("sh", "-c", keep.split("`")[1]).ok()
    assert status(env)["x.csv"]["state"] == "unchanged"
    env.write("data/x.csv", "3\n")
    [keep, *_] = hints(env.au("data", "restore", cwd="src").failed(1))
    env.run("sh", "-c", keep.split("`")[1], cwd="src").ok()


def test_what_a_script_made_of_its_data_before_it_uses_it(env: AuEnv) -> None:
    env.write("prepared.csv", "old\n")
    env.au("data", "add", "prepared.csv").ok()
    env.script("au.log(x=1)\nopen('prepared.csv', 'w').write('new\\n')\nprint(open(au.dataset('prepared.csv')).read())\n")
    env.python("src/experiment.py").ok()
    usage = env.record(env.tags()[0])["datasets"]["prepared.csv"]
    assert (usage["state"], usage["used"]) == ("changed", True)
    assert usage["digest"] == f"sha256:{hashlib.sha256(b'new' + os.linesep.encode()).hexdigest()}"


def test_many_scripts_bring_the_same_data_back_at_once(env: AuEnv) -> None:
    for number in range(400):
        env.write(f"many/{number}.txt", f"{number}\n")
    env.au("data", "add", "many").ok()
    subprocess.run(["rm", "-r", env.project / "many"], check=True)
    env.script("import os\nprint(len(os.listdir(au.dataset('many'))))\n")
    runs = [env.start(sys.executable, "src/experiment.py") for _ in range(6)]
    said = [run.communicate(timeout=120) for run in runs]
    assert [out for out, _ in said] == ["400\n"] * 6, said
    assert status(env)["many"]["state"] == "unchanged"


def test_data_half_brought_back_is_not_taken_for_whole(env: AuEnv) -> None:
    for number in range(3000):
        env.write(f"many/{number}.txt", f"{number}\n")
    env.au("data", "add", "many").ok()
    subprocess.run(["rm", "-r", env.project / "many"], check=True)
    restoring = env.start("au", "data", "restore", "many")
    while not (env.project / "many").is_dir() or len(os.listdir(env.project / "many")) < 20:
        assert restoring.poll() is None, "it ended before it could be stopped"
    restoring.kill()
    restoring.communicate()
    assert len(os.listdir(env.project / "many")) < 3000, "it ended before it was stopped"
    assert status(env)["many"]["state"] == "missing"
    env.au("data", "add", "many").failed(1, "au data restore")
    env.script("import os\nprint(len(os.listdir(au.dataset('many'))))\n")
    assert env.python("src/experiment.py").ok().stdout == "3000\n"
    assert status(env)["many"]["state"] == "unchanged"


def test_a_long_description_does_not_keep_a_run_from_being_recorded(env: AuEnv) -> None:
    env.write("a.csv", "1\n")
    env.au("data", "add", "a.csv").ok()
    file = env.project / ".au/datasets/a.csv.json"
    description = json.loads(file.read_bytes())
    description["source"]["url"] = "https://example.org/" + "x" * 900_000
    file.write_text(json.dumps(description))
    env.script("au.log(x=1)\n")
    assert "a.csv.json" in env.python("src/experiment.py").ok().stderr
    assert len(env.tags()) == 1

