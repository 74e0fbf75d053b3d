"""`au export`: an experiment as one zip file, to be sent and run somewhere else."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import AuEnv, small_disk

SCRIPT = """
from pathlib import Path
au.parameters(rate=0.5)
rows = Path(__file__).parents[1].joinpath("a.csv").read_text()
print("rows", rows.count("\\n"), "rate", au.rate)
for step in range(3):
    au.log(loss=1.0 / (step + 1))
au.save_model(b"model bytes")
au.register_metric(accuracy=0.9)
au.end_experiment()
"""


def experiment(env: AuEnv) -> str:
    """One experiment with code, data inside and outside, and a model. Answers its id."""
    env.write("a.csv", "1\n2\n")
    env.write("images/sub/1.png", "one")
    (env.project / "images/empty").mkdir()
    (env.project / "images/link").symlink_to("sub/1.png")
    env.write("images/run.sh", "#!/bin/sh\n").chmod(0o755)
    (env.root / "outside.csv").write_text("3\n")
    env.au("data", "add", "a.csv", "images", env.root / "outside.csv").ok()
    env.script(SCRIPT)
    env.write("src/tool.sh", "#!/bin/sh\necho tool\n").chmod(0o755)
    (env.project / "src/link.py").symlink_to("experiment.py")
    env.write("src/été – ü.txt", "named\n")
    env.git("add", ".")
    env.git("commit", "--message=code")
    env.python("experiment.py", "rate=0.25", cwd="src").ok()
    [tag] = env.tags()
    return tag.removeprefix("au/")


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as package:
        found = package.namelist()
    assert len(found) == len(set(found))
    return set(found)


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as package:
        return package.read(name)


def unpack(path: Path, folder: Path) -> None:
    """As `unzip` does: with modes and links."""
    with zipfile.ZipFile(path) as package:
        for entry in package.infolist():
            mode = entry.external_attr >> 16
            target = folder / entry.filename
            assert target.resolve().is_relative_to(folder.resolve())
            target.parent.mkdir(parents=True, exist_ok=True)
            if entry.is_dir():
                target.mkdir(exist_ok=True)
            elif stat.S_ISLNK(mode):
                target.symlink_to(package.read(entry).decode())
            else:
                target.write_bytes(package.read(entry))
                target.chmod(stat.S_IMODE(mode))


def test_what_is_in_it(env: AuEnv) -> None:
    identifier = experiment(env)
    tag = f"au/{identifier}"
    out = env.au("export", identifier).ok()
    path = env.project / f"{identifier}.zip"
    assert path.name in out.stdout + out.stderr
    assert env.run(sys.executable, "-m", "zipfile", "-t", path).ok().stdout
    tracked = env.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", tag).splitlines()
    own = {f".au/experiments/{identifier}/{name}" for name in ("record.json", "metrics.jsonl", "requirements.txt")}
    code = set(tracked) - own - {f"logs/{identifier}.log"}
    top = {"README.txt", "record.json", "requirements.txt", "metrics.jsonl", f"logs/{identifier}.log", "models/model"}
    data = {"project/a.csv", "project/.au/data/outside.csv"}
    data |= {f"project/images/{name}" for name in ("sub/1.png", "empty/", "link", "run.sh")}
    expected = top | data | {f"project/{name}" for name in code}
    assert names(path) == {f"{identifier}/{name}" for name in expected}
    for name in ("record.json", "metrics.jsonl", "requirements.txt"):
        there = subprocess.run(["git", "show", f"{tag}:.au/experiments/{identifier}/{name}"], cwd=env.project, capture_output=True)
        assert read(path, f"{identifier}/{name}") == there.stdout
    assert read(path, f"{identifier}/logs/{identifier}.log") == b"rows 2 rate 0.25\n"
    assert read(path, f"{identifier}/models/model") == b"model bytes"
    assert read(path, f"{identifier}/project/a.csv") == b"1\n2\n" and read(path, f"{identifier}/project/.au/data/outside.csv") == b"3\n"
    assert read(path, f"{identifier}/project/src/experiment.py").decode() == (env.project / "src/experiment.py").read_text()
    assert str(env.root) not in "".join(sorted(names(path)))
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_executables_and_links_are_such(env: AuEnv) -> None:
    identifier = experiment(env)
    env.au("export", "@").ok()
    unpack(env.project / f"{identifier}.zip", env.root / "there")
    root = env.root / "there" / identifier / "project"
    for name in ("src/tool.sh", "images/run.sh"):
        assert os.access(root / name, os.X_OK), name
    assert not os.access(root / "src/experiment.py", os.X_OK) or os.geteuid() == 0
    assert (root / "src/experiment.py").stat().st_mode & 0o111 == 0
    assert os.readlink(root / "src/link.py") == "experiment.py" and os.readlink(root / "images/link") == "sub/1.png"
    assert list((root / "images/empty").iterdir()) == []


def test_made_twice_it_is_the_same(env: AuEnv) -> None:
    experiment(env)
    env.au("export", "-o", "one.zip", "@").ok()
    env.au("export", "-o", "../two.zip", "@", cwd="src", env={"TZ": "Asia/Tokyo", "LANG": "C"}).ok()
    assert (env.project / "one.zip").read_bytes() == (env.project / "two.zip").read_bytes()
    env.git("clone", "--quiet", "--no-hardlinks", ".", env.root / "clone")
    subprocess.run(["cp", "-r", env.project / ".git/aurum", env.root / "clone/.git/aurum"], check=True)
    clone = AuEnv(env.root, env.root / "clone", env.environment)
    clone.au("export", "-o", "three.zip", "@").ok()
    assert (clone.project / "three.zip").read_bytes() == (env.project / "one.zip").read_bytes()


def test_from_the_commit_and_the_store_and_not_from_the_checkout(env: AuEnv) -> None:
    identifier = experiment(env)
    env.au("export", "-o", "clean.zip", identifier).ok()
    env.write("src/experiment.py", "edited\n")
    env.write("src/more.py", "untracked\n")
    env.write("a.csv", "changed\n")
    env.write("images/sub/2.png", "added")
    (env.project / "images/sub/1.png").unlink()
    (env.root / "outside.csv").write_text("changed\n")
    env.git("add", "src")
    before = {path: content for path, content in env.everything().items() if not path.startswith(".git/")}
    env.au("export", "-o", "dirty.zip", identifier).ok()
    assert (env.project / "dirty.zip").read_bytes() == (env.project / "clean.zip").read_bytes()
    after = {path: content for path, content in env.everything().items() if not path.startswith(".git/")}
    assert after.pop("dirty.zip") and after == before
    subprocess.run(["rm", "-rf", env.project / "images", env.project / "a.csv"], check=True)
    env.au("export", "-o", "dirty.zip", identifier).ok()
    assert (env.project / "dirty.zip").read_bytes() == (env.project / "clean.zip").read_bytes()


LEFT_OUT = {
    "data": {"project/a.csv", "project/.au/data/outside.csv", "project/images/sub/1.png", "project/images/empty/", "project/images/link", "project/images/run.sh"},
    "metrics": {"metrics.jsonl"},
    "logs": {"logs/{id}.log"},
    "model": {"models/model"},
}  # fmt: skip


@pytest.mark.parametrize("what", [*LEFT_OUT, "code"])
def test_what_is_left_out_on_request(env: AuEnv, what: str) -> None:
    identifier = experiment(env)
    env.au("export", "-o", "whole.zip", identifier).ok()
    env.au("export", f"--no-{what}", "-o", "less.zip", identifier).ok()
    whole, less = names(env.project / "whole.zip"), names(env.project / "less.zip")
    assert less < whole
    gone = {name.removeprefix(f"{identifier}/") for name in whole - less}
    if what == "code":
        assert gone and all(name.startswith("project/") for name in gone)
        assert "project/src/experiment.py" in gone and not gone & LEFT_OUT["data"]
    else:
        assert gone == {name.format(id=identifier) for name in LEFT_OUT[what]}
    assert "Left out on request" in read(env.project / "less.zip", f"{identifier}/README.txt").decode()
    assert json.loads(read(env.project / "less.zip", f"{identifier}/record.json"))["id"] == identifier


def test_all_that_can_be_is_left_out(env: AuEnv) -> None:
    identifier = experiment(env)
    env.au("export", identifier, *(f"--no-{what}" for what in (*LEFT_OUT, "code")), "--output", "less.zip").ok()
    assert names(env.project / "less.zip") == {f"{identifier}/{name}" for name in ("README.txt", "record.json", "requirements.txt")}


def test_where_it_goes(env: AuEnv) -> None:
    identifier = experiment(env)
    env.au("export", "@", cwd="src").ok()
    assert (env.project / f"src/{identifier}.zip").is_file(), "to the folder that one stands in"
    env.au("export", "@", "-o", env.root / "named.zip").ok()
    assert (env.root / "named.zip").read_bytes() == (env.project / f"src/{identifier}.zip").read_bytes()
    (env.root / "named.zip").write_bytes(b"PK, and older")
    env.au("export", "@", "-o", env.root / "named.zip").ok()
    assert zipfile.is_zipfile(env.root / "named.zip")
    env.au("export", "@", "-o", env.root).ok()
    assert (env.root / f"{identifier}.zip").is_file(), "into a folder, as with `cp`"


def test_where_it_can_not_go(env: AuEnv) -> None:
    experiment(env)
    before = {path for path in env.root.rglob("*") if ".git" not in path.parts}
    told = [env.au("export", "@", "-o", path).failed(1, path.removesuffix("/x.zip")) for path in ("no/such/folder/x.zip", "a.csv/x.zip")]
    env.au("export", "beef").failed(1, "No experiment matches `beef`")
    env.au("export", "be").failed(1, "at least 4 characters")
    env.au("export").failed(2)
    env.au("export", "@", "--no-such").failed(2, "--no-such")
    assert {path for path in env.root.rglob("*") if ".git" not in path.parts} == before, "nothing is left behind"
    assert all("hint: " in out.stderr for out in told)


def test_what_is_no_file_is_not_replaced(env: AuEnv) -> None:
    """A pipe of the test's own: what stands for `/dev/stdout` and the like, which no test may put at risk."""
    experiment(env)
    pipe = env.root / "pipe"
    os.mkfifo(pipe)
    env.au("export", "@", "-o", pipe).failed(1, "pipe", "hint: ")
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    (env.root / "link.zip").symlink_to(pipe)
    env.au("export", "@", "-o", env.root / "link.zip")
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_only_an_archive_is_replaced(env: AuEnv) -> None:
    experiment(env)
    script = (env.project / "src/experiment.py").read_bytes()
    env.au("export", "@", "-o", "src/experiment.py").failed(1, "src/experiment.py", "is no zip file", "hint: ")
    assert (env.project / "src/experiment.py").read_bytes() == script
    for _ in range(2):
        env.au("export", "@", "-o", "package.zip").ok()


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk_leaves_nothing(env: AuEnv) -> None:
    (env.project / "big.bin").write_bytes(os.urandom(2 << 20))
    env.au("data", "add", "big.bin").ok()
    experiment(env)
    with small_disk(env.root / "disk", "1m"):
        env.au("export", "@", "-o", env.root / "disk").failed(1, "error: ", "no space", "hint: ")
        assert list((env.root / "disk").iterdir()) == []


def test_what_the_store_lacks_is_warned_of(env: AuEnv) -> None:
    identifier = experiment(env)
    subprocess.run(["rm", "-rf", env.project / ".git/aurum/store"], check=True)
    out = env.au("export", "@").ok()
    found = names(env.project / f"{identifier}.zip")
    assert not found & {f"{identifier}/{name}" for name in ("project/a.csv", "project/.au/data/outside.csv", "models/model")}
    assert out.stderr.count("warning: ") == 4
    assert all(f"`{name}`" in out.stderr for name in ("a.csv", "images", "outside.csv", "model"))


def test_data_that_was_changed_is_not_passed_off_as_the_recorded(env: AuEnv) -> None:
    experiment(env)
    env.write("a.csv", "changed\n")
    env.python("experiment.py", cwd="src").ok()
    identifier = max(env.tags(), key=lambda tag: env.record(tag)["started"])[3:]
    out = env.au("export", identifier).ok()
    assert "`a.csv`" in out.stderr and f"{identifier}/project/a.csv" not in names(env.project / f"{identifier}.zip")
    assert "au data add" in out.stderr


def test_a_broken_store_object_is_not_packed(env: AuEnv) -> None:
    experiment(env)
    digest = hashlib.sha256(b"1\n2\n").hexdigest()
    path = env.project / ".git/aurum/store/sha256" / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_text("9\n9\n")
    env.au("export", "@", "-o", "x.zip").failed(1, "error: ")
    assert not (env.project / "x.zip").exists() and not list(env.project.glob(".aurum*"))


def test_a_package_runs_somewhere_else(env: AuEnv) -> None:
    identifier = experiment(env)
    env.au("export", "@", "-o", "../package.zip").ok()
    unpack(env.root / "package.zip", env.root / "there")
    project = env.root / "there" / identifier / "project"
    there = AuEnv(env.root, project, env.environment)
    readme = (project.parent / "README.txt").read_text()
    assert "cd project/src" in readme and "python experiment.py rate=0.25" in readme
    out = there.python("experiment.py", "rate=0.25", cwd="src", env={"AURUM_MODE": "disabled"}).ok()
    assert out.stdout == "rows 2 rate 0.25\n"
    before = there.everything()
    out = there.python("experiment.py", "rate=0.25", cwd="src").ok()
    assert out.stdout == "rows 2 rate 0.25\n" and "Traceback" not in out.stderr
    assert out.stderr.count("warning: ") <= 1
    assert there.everything() == before, "outside of git nothing is recorded"


def test_a_package_finds_its_data_by_name(env: AuEnv) -> None:
    experiment(env)
    env.script("print(open(au.dataset('a.csv')).read(), end='')\nau.register_metric(x=1)\n")
    env.git("commit", "--all", "--message=by name")
    env.python("experiment.py", cwd="src").ok()
    env.au("export", "@", "-o", "../package.zip").ok()
    unpack(env.root / "package.zip", env.root / "there")
    [folder] = (env.root / "there").iterdir()
    there = AuEnv(env.root, folder / "project", env.environment)
    assert there.python("experiment.py", cwd="src", env={"AURUM_MODE": "disabled"}).ok().stdout == "1\n2\n"
    there.run("git", "init", "--quiet").ok()
    assert there.python("experiment.py", cwd="src").ok().stdout == "1\n2\n"


def test_the_answer_names_the_file(env: AuEnv) -> None:
    identifier = experiment(env)
    out = env.au("export", "@", "--quiet").ok()
    assert out.stderr == ""
    said, word, *_ = out.stdout.split()
    assert said == "packed" and Path(env.project, word).samefile(env.project / f"{identifier}.zip")


def test_outside_of_a_project(bare: AuEnv) -> None:
    bare.au("export", "@").failed(1, "belongs to no Aurum project", "hint: Run `au init`")
