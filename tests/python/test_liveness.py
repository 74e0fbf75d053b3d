"""Who is alive, across containers; and what readers may do about the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import AuEnv


@contextmanager
def read_only(env: AuEnv) -> Iterator[None]:
    """The project, so that nobody can write to it, root neither."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    subprocess.run(["mount", "--bind", env.project, env.project], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", env.project], check=True)
        yield
    finally:
        subprocess.run(["umount", env.project], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a folder onto itself")
def test_readers_of_a_read_only_repository_see_a_dead_run_as_lost(env: AuEnv) -> None:
    env.script(
        "import os\nau.parameters(lr=0.5)\nau.log(loss=1.0)\n"
        "pid = os.fork()\nif pid == 0:\n    au.log(own=2)\n    os._exit(0)\nos.waitpid(pid, 0)\nos.kill(os.getpid(), 9)\n"
    )
    env.python("src/experiment.py")
    before = env.everything()
    with read_only(env):
        [row] = env.rows()
        assert (row["status"], row["parameters"], row["metrics"]) == ("lost", {"lr": 0.5}, {"loss": 1.0, "own": 2})
        assert "lost" in env.au("metrics").ok().stdout
        assert "lost" in env.au("show", "@").ok().stdout
        env.au("recover").failed(1, "hint: ")
        assert env.rows() == [row]
    assert env.everything() == before
    assert "killed" in env.au("recover").ok().stdout
    assert env.rows()[0]["metrics"] == {"loss": 1.0, "own": 2}


def namespace(*command: str) -> list[str]:
    return ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", *command]


@pytest.fixture
def containers() -> None:
    if subprocess.run(namespace("true"), capture_output=True).returncode != 0:
        pytest.skip("namespaces can't be made here")


@pytest.mark.skipif(sys.platform != "linux", reason="needs namespaces")
def test_a_run_in_another_container_is_alive_until_it_is_not(env: AuEnv, containers: None) -> None:
    env.script("import os, sys\nau.log(loss=1.0)\nprint(os.getpid(), flush=True)\nsys.stdin.readline()\nau.log(loss=2.0)\n")
    there = env.start(*namespace(sys.executable, "src/experiment.py"))
    assert there.stdout is not None and there.stdin is not None
    assert int(there.stdout.readline()) < 10, "it has process ids of its own"
    here = env.rows()[0]
    assert here["status"] == "running"
    # From a third one, where nobody has either's process ids.
    for look in (env.au, lambda *words: env.run(*namespace("au", *words))):
        assert look("recover").ok().stdout == "Nothing to recover\n"
        assert "running" in look("metrics", "@").ok().stdout
    # Nor does a run that starts here take it for dead.
    env.script("au.log(other=1)\n", "src/other.py")
    assert env.python("src/other.py").ok().stderr == ""
    assert sorted(row["status"] for row in env.rows()) == ["finished", "running"]
    there.kill()
    there.wait(timeout=30)
    deadline = time.monotonic() + 30
    while env.rows(here["id"])[0]["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert env.rows(here["id"])[0]["status"] == "lost"
    assert "recovered" in env.au("recover").ok().stdout
    row = env.rows(here["id"])[0]
    assert (row["status"], row["metrics"]) == ("killed", {"loss": 1.0})
    env.git("fsck", "--strict")


@pytest.mark.skipif(sys.platform != "linux", reason="needs namespaces")
def test_a_run_in_another_container_finishes_itself(env: AuEnv, containers: None) -> None:
    env.script("import sys\nau.log(loss=1.0)\nprint('ready', flush=True)\nsys.stdin.readline()\nau.log(loss=2.0)\n")
    there = env.start(*namespace(sys.executable, "src/experiment.py"))
    assert there.stdout is not None
    there.stdout.readline()
    assert env.au("recover").ok().stdout == "Nothing to recover\n"
    there.communicate("go\n", timeout=60)
    [row] = env.rows()
    assert (row["status"], row["metrics"]) == ("finished", {"loss": 2.0})


def test_a_stopped_run_is_alive(env: AuEnv) -> None:
    import signal

    env.script("import sys\nau.log(loss=1.0)\nprint('ready', flush=True)\nsys.stdin.readline()\nau.log(loss=2.0)\n")
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    [journal] = (env.project / ".git/aurum/runs").glob("*/journal")
    # As after days: where the kernel tells who is alive, time does not count.
    long_ago = time.time() - 3 * 24 * 60 * 60
    os.utime(journal, (long_ago, long_ago))
    assert env.au("recover").ok().stdout == "Nothing to recover\n"
    assert env.rows()[0]["status"] == "running"
    process.send_signal(signal.SIGCONT)
    process.communicate("go\n", timeout=60)
    assert (env.rows()[0]["status"], env.rows()[0]["metrics"]) == ("finished", {"loss": 2.0})


def test_a_run_whose_journal_was_removed_goes_on_and_is_kept_whole(env: AuEnv) -> None:
    env.script("import sys\nfor step in range(100):\n    au.log(loss=step)\nprint('ready', flush=True)\nsys.stdin.readline()\nau.log(loss=-1)\nprint('end')\n")
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout is not None
    process.stdout.readline()
    [folder] = (env.project / ".git/aurum/runs").glob("*")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert env.rows() == []
    _, stderr = process.communicate("go\n", timeout=60)
    assert (process.returncode, stderr) == (0, "")
    [tag] = env.tags()
    assert env.record(tag)["metrics"]["loss"] == {"count": 101, "last": -1, "max": 99, "min": -1, "step": 100}
    assert env.log(tag) == "ready\nend"
    assert not folder.exists()


def test_a_run_that_was_finished_by_somebody_else_supersedes_that(env: AuEnv) -> None:
    """As on a file system without locks, or after the loss of a lock: somebody has finished the run, and it goes on."""
    env.script("import sys\nau.log(loss=1.0)\nprint('ready', flush=True)\nsys.stdin.readline()\nau.log(loss=2.0)\n")
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout is not None
    process.stdout.readline()
    [journal] = (env.project / ".git/aurum/runs").glob("*/journal")
    # Whoever took it over works on a copy: the file under the name is another one, and nobody holds it.
    copy = journal.with_name("copy")
    copy.write_bytes(journal.read_bytes())
    copy.rename(journal)
    assert "killed" in env.au("recover").ok().stdout
    [tag] = env.tags()
    killed = env.git("rev-parse", tag)
    assert env.rows()[0]["status"] == "killed"
    _, stderr = process.communicate("go\n", timeout=60)
    assert (process.returncode, stderr) == (0, "")
    [row] = env.rows()
    assert (row["status"], row["metrics"]) == ("finished", {"loss": 2.0})
    assert env.git("rev-parse", f"{tag}^@").splitlines()[-1] == killed
    env.git("reflog", "expire", "--expire=now", "--all")
    env.git("gc", "--quiet", "--prune=now")
    assert env.git("cat-file", "-t", killed) == "commit"
    assert env.au("recover").ok().stdout == "Nothing to recover\n"
    env.git("fsck", "--strict")
