"""Hostile circumstances: the script ends as it would have, is told once what could not be kept and where it is, nothing that
was kept is damaged, and once things are well `au recover` saves what there is to save."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import AuEnv, Result, left_out, small_disk
from nobody import as_nobody, give_away

#: A run that does something to its surroundings in the middle, and goes on for long enough to be told a hundred times.
RUN = """
import os, shutil, sys, subprocess
au.parameters(a=1)
for step in range(50):
    au.log(loss=step / 100)
print("first half")
{meanwhile}
for step in range(50, 100):
    au.log(loss=step / 100)
    print("line", step)
au.save_model(b"weights")
print("second half")
sys.exit(7)
"""

OUTPUT = "first half\n" + "".join(f"line {step}\n" for step in range(50, 100)) + "second half\n"


def script(env: AuEnv, meanwhile: str = "") -> None:
    env.script(RUN.format(meanwhile=meanwhile))


def earlier(env: AuEnv) -> str:
    """An experiment that was kept while all was well, with a model."""
    env.script("au.parameters(a=0)\nau.log(loss=1.0)\nau.save_model(b'earlier')\n", "src/earlier.py")
    env.git("add", "-A")
    env.git("commit", "-qm", "code")
    env.python("src/earlier.py").ok()
    [tag] = env.tags()
    return tag


def check_earlier(env: AuEnv, tag: str) -> None:
    """That nothing happened to it."""
    env.git("fsck", "--strict", "--full")
    assert env.record(tag)["metrics"]["loss"]["last"] == 1.0
    loaded = env.python("-c", f"import aurum as au; print(au.load_model(experiment='{tag}'))").ok()
    assert loaded.stdout == "b'earlier'\n"
    assert tag.removeprefix("au/") in {row["id"] for row in env.rows()}


def check_script(out: Result, *words: str, warnings: int = 1) -> None:
    """That the script ended as it would have, and was told in these words: of one trouble as it begins, and at the end where the run
    is not saved."""
    assert (out.code, out.stdout) == (7, OUTPUT), out.stderr
    assert "Traceback" not in out.stderr and "panicked" not in out.stderr
    if words:
        assert out.stderr.count("aurum: warning: ") == warnings, out.stderr
        assert "hint: " in out.stderr
        for word in words:
            assert word in out.stderr, out.stderr
    else:
        assert out.stderr == ""


def recovered(env: AuEnv, steps: int, known: str) -> None:
    """That the run with so many steps is saved, or will be by `au recover`."""
    env.au("recover").ok()
    [tag] = set(env.tags()) - {known}
    record = env.record(tag)
    assert (record["parameters"]["a"]["value"], record["metrics"]["loss"]["count"]) == (1, steps)
    assert list((env.project / ".git/aurum/runs").iterdir()) == []
    env.git("fsck", "--strict", "--full")


@contextmanager
def on_disk(bare: AuEnv, size: str) -> Iterator[AuEnv]:
    disk = bare.root / "disk"
    with small_disk(disk, size):
        env = AuEnv(bare.root, disk / "project", bare.environment)
        env.au("init").ok()
        yield env


def fill(disk: Path, leave: int = 0) -> Path:
    """Takes all that is free but so many bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave))
    return filler


def test_a_disk_that_is_full_at_the_start(bare: AuEnv) -> None:
    with on_disk(bare, "8m") as env:
        known = earlier(env)
        script(env)
        filler = fill(env.project.parent)
        out = env.python("src/experiment.py")
        check_script(out, "not recorded", "no space", "Free some space")
        check_earlier(env, known)
        filler.unlink()
        env.au("recover").ok()
        assert env.tags() == [known] and list((env.project / ".git/aurum/runs").iterdir()) == []
        check_script(env.python("src/experiment.py"))
        recovered(env, 100, known)


FILL = """
file = open("../filler", "wb", buffering=0)
try:
    while True: file.write(bytes(4096))
except OSError:
    pass
"""


def test_a_disk_that_fills_up_in_the_middle(bare: AuEnv) -> None:
    with on_disk(bare, "8m") as env:
        known = earlier(env)
        script(env, FILL)
        out = env.python("src/experiment.py")
        check_script(out, "no space", ".git/aurum/runs/", "au recover", warnings=2)
        check_earlier(env, known)
        (env.project.parent / "filler").unlink()
        env.au("recover").ok()
        [tag] = set(env.tags()) - {known}
        record = env.record(tag)
        # What fitted into the last page of the journal was kept as well.
        assert 50 <= record["metrics"]["loss"]["count"] <= 100
        assert env.log(tag).startswith("first half\n")
        env.git("fsck", "--strict", "--full")


@pytest.mark.parametrize("leave", [0, 4096, 16384, 65536])
def test_a_disk_that_is_full_at_the_end(bare: AuEnv, leave: int) -> None:
    with on_disk(bare, "8m") as env:
        known = earlier(env)
        script(env)
        text = (env.project / "src/experiment.py").read_text()
        (env.project / "src/experiment.py").write_text(
            text.replace("sys.exit(7)", FILL + f"file.truncate(max(0, file.tell() - {leave}))\nsys.exit(7)")
        )
        out = env.python("src/experiment.py")
        check_earlier(env, known)
        if out.stderr == "":
            assert leave
            check_script(out)
        else:
            check_script(out, "could not be saved", "no space", ".git/aurum/runs/", "au recover")
            env.au("recover").failed(1, "no space")
            check_earlier(env, known)
        (env.project.parent / "filler").unlink()
        recovered(env, 100, known)


def test_a_disk_that_becomes_read_only(bare: AuEnv) -> None:
    with on_disk(bare, "8m") as env:
        known = earlier(env)
        script(env)
        subprocess.run(["mount", "-o", "remount,ro", env.project.parent], check=True)
        out = env.python("src/experiment.py")
        check_script(out, "not recorded", "Read-only file system")
        check_earlier(env, known)
        env.au("recover").failed(1, "Read-only file system")
        subprocess.run(["mount", "-o", "remount,rw", env.project.parent], check=True)
        check_script(env.python("src/experiment.py"))
        recovered(env, 100, known)


@pytest.mark.parametrize("closed", [".git", ".git/objects", ".git/refs", ".git/refs/tags", ".git/refs/tags/au", ".git/aurum", ".git/aurum/runs"])
def test_no_permission(bare: AuEnv, closed: str) -> None:
    env = bare
    env.au("init").ok()
    known = earlier(env)
    script(env)
    # Fan-out folders too, or half of the objects could be written.
    folders = [env.project / closed, *(path for path in (env.project / closed).glob("??") if closed == ".git/objects")]
    give_away(env)
    for folder in folders:
        folder.chmod(0o555)
    out = as_nobody(env, sys.executable, "src/experiment.py")
    saved = set(env.tags()) - {known}
    if saved:
        # All that this run needed was there before.
        assert closed in (".git", ".git/refs", ".git/refs/tags", ".git/aurum") and out.stderr == ""
    else:
        check_script(out, "Permission denied")
        if "could not be saved" in out.stderr:
            assert ".git/aurum/runs/" in out.stderr and "au recover" in out.stderr
    env.git("fsck", "--strict", "--full")
    for folder in folders:
        folder.chmod(0o755)
    assert as_nobody(env, "au", "recover").ok().stderr == ""
    if "could not be saved" in out.stderr:
        [tag] = set(env.tags()) - {known}
        assert env.record(tag)["metrics"]["loss"]["count"] == 100
    check_earlier(env, known)
    assert as_nobody(env, sys.executable, "src/experiment.py").stderr == ""


def test_no_more_open_files(env: AuEnv) -> None:
    known = earlier(env)
    take_all = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\nheld = []\n"
    take_all += "try:\n    while True: held.append(os.open('/dev/null', os.O_RDONLY))\nexcept OSError: pass\n"
    script(env, take_all)
    out = env.python("src/experiment.py")
    check_script(out, "Too many open files", ".git/aurum/runs/", "au recover", warnings=2)
    check_earlier(env, known)
    recovered(env, 100, known)


def test_no_more_open_files_from_the_beginning(env: AuEnv) -> None:
    known = earlier(env)
    script(env)
    text = (env.project / "src/experiment.py").read_text()
    take_all = "import os, resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\nheld = []\n"
    take_all += "try:\n    while True: held.append(os.open('/dev/null', os.O_RDONLY))\nexcept OSError: pass\n"
    (env.project / "src/experiment.py").write_text(text.replace("au.parameters(a=1)\n", take_all + "au.parameters(a=1)\n"))
    check_script(env.python("src/experiment.py"), "not recorded", "Too many open files")
    check_earlier(env, known)


@pytest.mark.parametrize("gone", [".git", ".git/aurum", ".git/aurum/runs", ".git/objects"])
def test_a_folder_that_is_moved_away_in_the_middle(env: AuEnv, gone: str) -> None:
    known = earlier(env)
    script(env, f"os.rename({gone!r}, '../gone')")
    out = env.python("src/experiment.py")
    if gone.startswith(".git/aurum"):
        # The journal is open, and nothing else is needed of the folder.
        assert out.code == 7 and out.stdout == OUTPUT
    else:
        check_script(out, "could not be saved", "au recover", warnings=2 if gone == ".git" else 1)
    there = env.project / gone
    if there.exists():
        shutil.rmtree(there)
    (env.root / "gone").rename(there)
    check_earlier(env, known)
    recovered(env, 100, known)


def test_a_journal_that_is_removed_in_the_middle_is_told(env: AuEnv) -> None:
    known = earlier(env)
    script(env, "shutil.rmtree('.git/aurum/runs')")
    out = env.python("src/experiment.py")
    check_script(out, "could not be saved", "Somebody removed", ".git/aurum/runs/", "is lost", warnings=2)
    check_earlier(env, known)
    assert env.au("recover").ok().stderr == ""


def strace(env: AuEnv, inject: str, path: str = "") -> Result:
    program = shutil.which("strace")
    if program is None:
        left_out("there is no strace")
    call = inject.split(":")[0]
    watched = ["-P", path] if path else []
    command = [program, "-f", "-qq", "-o", env.root / "strace", *watched, "-e", f"trace={call}", "-e", f"inject={inject}"]
    return env.run(*command, sys.executable, "src/experiment.py")


@pytest.mark.parametrize("inject", ["fdatasync:error=EIO", "fsync:error=EIO", "fdatasync:error=EIO:when=1", "flock:error=ENOLCK"])
def test_a_disk_with_errors(env: AuEnv, inject: str) -> None:
    known = earlier(env)
    script(env)
    out = strace(env, inject)
    if "ENOLCK" in inject:
        check_script(out)
    else:
        check_script(out, "Input/output error")
    check_earlier(env, known)
    env.au("recover").ok()
    env.git("fsck", "--strict", "--full")
    assert list((env.project / ".git/aurum/runs").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("no HOME", {"HOME": ""}),
        ("a HOME that is none", {"HOME": "/nowhere", "XDG_CONFIG_HOME": "/nowhere"}),
        ("no PATH", {"PATH": ""}),
        ("no place for temporary files", {"TMPDIR": "/nowhere", "TEMP": "/nowhere", "TMP": "/nowhere"}),
        ("a huge environment", {f"VARIABLE_{number}": "x" * 100_000 for number in range(15)}),
        ("no locale", {"LANG": "", "LC_ALL": "C"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_strange_environment(env: AuEnv, name: str, environment: dict[str, str]) -> None:
    known = earlier(env)
    script(env)
    check_script(env.run(sys.executable, "src/experiment.py", env=environment))
    recovered(env, 100, known)


def test_without_git_on_the_path_it_is_told_where_git_is_needed(env: AuEnv) -> None:
    known = earlier(env)
    no_git = {"PATH": str(Path(sys.executable).parent)}
    assert known.removeprefix("au/")[:8] in env.au("metrics", env=no_git).ok().stdout
    env.au("show", "@", env=no_git).ok()
    env.au("recover", env=no_git).ok()
    env.au("load", "@", env=no_git).failed(1, "`git` is not on the PATH")
    check_earlier(env, known)


def test_a_working_folder_that_was_deleted(env: AuEnv) -> None:
    known = earlier(env)
    (env.project / "gone").mkdir()
    script(env, "os.chdir('gone'); os.rmdir('../gone')")
    check_script(env.python("src/experiment.py"))
    recovered(env, 100, known)


def test_a_script_of_a_folder_that_was_deleted(env: AuEnv) -> None:
    known = earlier(env)
    script(env)
    path = env.project / "src/experiment.py"
    (env.root / "gone").mkdir()
    command = f'cd ../gone && rmdir ../gone && exec "{sys.executable}" "{path}"'
    check_script(env.run("sh", "-c", command), "not recorded", "the folder in which the process works is gone")
    check_earlier(env, known)
