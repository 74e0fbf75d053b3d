"""Many processes over one repository, beside git's own maintenance: nothing is lost, nothing is left lying about."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import AuEnv, Result
from stopping import stopped

#: What a run among many does. It stops at a gate before its first tracking call and at one before its end, so that they
#: really meet.
RUN = """
import fcntl, os, sys
from pathlib import Path

here = Path(os.environ["GATES"])

def meet(gate):
    (here / f"{gate}-{au.number}").touch()
    with (here / gate).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)

au.parameters(number=0)
meet("start")
print(f"this is run {au.number}")
for step in range(20):
    au.log(loss=au.number + step / 100)
au.save_model(b"model of %d" % au.number)
meet("finish")
"""


class Gates:
    """Locks that a crowd of processes waits at until all are there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.held = {}
        for name in ("start", "finish"):
            self.held[name] = (folder / name).open("w")
            fcntl.flock(self.held[name], fcntl.LOCK_EX)

    def open(self, name: str, count: int, processes: list[subprocess.Popen[str]]) -> None:
        deadline = time.monotonic() + 120
        while len(list(self.folder.glob(f"{name}-*"))) < count:
            ended = [process for process in processes if process.poll() is not None]
            assert not ended, f"ended before the gate: {ended[0].communicate()}"
            assert time.monotonic() < deadline, f"not all came to the gate `{name}`"
            time.sleep(0.01)
        self.held.pop(name).close()


@contextmanager
def beside(env: AuEnv, *commands: tuple[str, ...]) -> Iterator[dict[str, int]]:
    """Runs each command over and over, all at the same time, and counts."""
    done = threading.Event()
    counts = {" ".join(command): 0 for command in commands}

    def repeat(command: tuple[str, ...]) -> None:
        while not done.is_set():
            # What git says when another git is at the same thing is not ours to judge.
            env.run(*command)
            counts[" ".join(command)] += 1

    threads = [threading.Thread(target=repeat, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        done.set()
        for thread in threads:
            thread.join()


MAINTENANCE = (
    ("git", "gc", "--quiet", "--prune=now"),
    ("git", "pack-refs", "--all"),
    ("git", "repack", "-a", "-d", "-q"),
)


def crowd(env: AuEnv, name: str, count: int) -> None:
    """So many runs that start at once and finish at once."""
    gates = Gates(env.root / name)
    environment = {"GATES": str(gates.folder)}
    processes = [
        env.start(sys.executable, "src/experiment.py", f"number={number}", env=environment) for number in range(count)
    ]
    for gate in ("start", "finish"):
        gates.open(gate, count, processes)
    for process in processes:
        stdout, stderr = process.communicate(timeout=120)
        assert (process.returncode, stderr) == (0, ""), stderr
        assert stdout.startswith("this is run")


def blobs(env: AuEnv, names: list[str]) -> list[str]:
    """What git has under these names."""
    done = subprocess.run(
        ["git", "cat-file", "--batch"],
        cwd=env.project,
        env=env.environment,
        input="".join(f"{name}\n" for name in names).encode(),
        capture_output=True,
        check=True,
    )
    rest, found = done.stdout, []
    for name in names:
        head, _, rest = rest.partition(b"\n")
        assert not head.endswith(b" missing"), f"{name}: {head.decode()}"
        size = int(head.split()[2])
        found.append(rest[:size].decode())
        rest = rest[size + 1 :]
    return found


def check_kept(env: AuEnv, tags: set[str], count: int) -> None:
    """That these experiments are of one crowd, and whole."""
    assert len(tags) == count
    numbers = set()
    changed = (env.project / "src/changed.py").read_text()
    for tag in sorted(tags):
        identifier = tag.removeprefix("au/")
        folder = f"{tag}:.au/experiments/{identifier}"
        names = [f"{folder}/record.json", f"{folder}/metrics.jsonl", f"{tag}:logs/{identifier}.log", f"{tag}:src/changed.py"]
        text, steps, log, code = blobs(env, names)
        record = json.loads(text)
        number = record["parameters"]["number"]["value"]
        numbers.add(number)
        assert record["status"] == "finished"
        assert record["code"].get("left_out") is None
        assert record["metrics"]["loss"]["count"] == 20
        assert log == f"this is run {number}\n" and code == changed
        assert [json.loads(step)["value"] for step in steps.splitlines()] == [number + step / 100 for step in range(20)]
        digest = hashlib.sha256(b"model of %d" % number).hexdigest()
        model = env.project / ".git/aurum/store/sha256" / digest[:2] / digest[2:]
        assert model.read_bytes() == b"model of %d" % number
    assert numbers == set(range(count))


def check_clean(env: AuEnv) -> None:
    """That git finds no fault, and that nothing is left of what was going on."""
    env.git("fsck", "--strict", "--full")
    git = env.project / ".git"
    left = [path for path in git.rglob("*") if path.name.endswith(".lock") or path.name.startswith(("tmp_", "new-"))]
    assert left == []
    assert list((git / "aurum/runs").iterdir()) == []


@pytest.mark.parametrize("rounds", [1, pytest.param(100, marks=pytest.mark.long)])
def test_many_finish_beside_gc(env: AuEnv, rounds: int) -> None:
    env.script(RUN)
    env.git("add", "-A")
    env.git("commit", "-qm", "code")
    before: set[str] = set()
    with beside(env, *MAINTENANCE) as counts:
        for number in range(rounds):
            # New objects in each snapshot, which nothing but the run refers to.
            env.write("src/changed.py", f"round = {number}\n" + "#" * 1000 + "\n")
            env.write(f"src/new/{number % 10}/file.py", f"{number}\n")
            crowd(env, f"round-{number}", 64)
            tags = set(env.tags())
            check_kept(env, tags - before, 64)
            before = tags
    assert all(counts.values()), counts
    env.au("recover").ok()
    # A `git gc` removes also what another git is writing to, which then leaves the rest of it for the next.
    env.git("gc", "--quiet", "--prune=now")
    check_clean(env)
    assert len(env.rows()) == 64 * rounds


def small_project(env: AuEnv) -> None:
    """A project whose snapshot has objects that no branch has."""
    env.script("au.parameters(a=1)\nau.log(loss=1.0)\nprint('hello')\nau.save_model(b'weights')\n")
    env.git("add", "-A")
    env.git("commit", "-qm", "code")
    env.write("src/changed.py", "changed = True\n")


def check_small(env: AuEnv, out: Result) -> None:
    """That its one run was kept whole, as if nothing had been."""
    assert (out.code, out.stdout, out.stderr) == (0, "hello\n", "")
    [tag] = env.tags()
    env.git("fsck", "--strict", "--full")
    assert env.log(tag) == "hello" and env.record(tag)["metrics"]["loss"]["last"] == 1.0
    assert env.record(tag)["code"].get("left_out") is None
    assert env.git("show", f"{tag}:src/changed.py") == "changed = True"
    assert list((env.project / ".git/aurum/runs").iterdir()) == []


STEPS = [("mkdir", number) for number in range(4, 21)] + [("renameat", number) for number in range(1, 18)]


@pytest.mark.parametrize("steps", [STEPS[::6], pytest.param(STEPS, marks=pytest.mark.long)], ids=["some", "all"])
def test_gc_at_each_step_of_a_run_takes_nothing(bare: AuEnv, steps: list[tuple[str, int]]) -> None:
    for call, number in steps:
        root = bare.root / f"{call}-{number}"
        env = AuEnv(root, root / "project")
        env.au("init").ok()
        small_project(env)
        with stopped(env, sys.executable, "src/experiment.py", call=call, number=number) as results:
            assert results == [], f"there is no {call} {number}"
            env.git("gc", "--quiet", "--prune=now")
        check_small(env, results[0])
        env.git("gc", "--quiet", "--prune=now")
        check_small(env, results[0])


def test_a_gc_that_began_before_the_run_takes_nothing(env: AuEnv) -> None:
    small_project(env)
    # What `git prune` comes to first: by then it knows what it takes for reachable.
    names = (hashlib.sha1(b"blob %d\0%d" % (len(str(number)), number)).hexdigest() for number in range(100_000))
    contents = next(str(number) for number, name in enumerate(names) if name.startswith("00"))
    env.write("../garbage", contents)
    blob = env.git("hash-object", "-w", "--no-filters", "../garbage")
    # As git names it.
    garbage = Path(".git/objects") / blob[:2] / blob[2:]
    gc = stopped(env, "git", "gc", "--quiet", "--prune=now", call="unlink", path=garbage)
    with gc as cleared:
        assert cleared == [], "it was to be stopped"
        out = env.python("src/experiment.py")
        assert (env.project / ".git/gc.pid").exists()
    assert cleared[0].code == 0 and not (env.project / garbage).exists()
    check_small(env, out)


def leave_dead_runs(env: AuEnv, count: int) -> set[str]:
    """Runs that were killed, and are not saved yet."""
    env.script(
        "import os, time\nau.parameters(number=0)\nau.log(loss=au.number)\n"
        "here = os.path.join(os.environ['GATES'], str(au.number))\nopen(here, 'w').close()\n"
        "while True:\n    time.sleep(1)\n",
        "src/killed.py",
    )
    gates = env.root / "killed"
    gates.mkdir()
    processes = [
        env.start(sys.executable, "src/killed.py", f"number={number}", env={"GATES": str(gates)}) for number in range(count)
    ]
    deadline = time.monotonic() + 60
    while len(list(gates.iterdir())) < count:
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes)
        time.sleep(0.01)
    for process in processes:
        process.kill()
        process.communicate()
    return {path.name for path in (env.project / ".git/aurum/runs").iterdir()}


def test_several_recover_at_once(env: AuEnv) -> None:
    dead = leave_dead_runs(env, 12)
    assert len(dead) == 12
    recoveries = [env.start("au", "recover") for _ in range(4)]
    told = [process.communicate(timeout=120) for process in recoveries]
    assert [process.returncode for process in recoveries] == [0] * 4, told
    assert all(stderr == "" for _, stderr in told), told
    # Each run by one of them, and by no other.
    lines = [line for stdout, _ in told for line in stdout.splitlines() if line.startswith("recovered ")]
    assert sorted(line.split()[1] for line in lines) == sorted(name[:8] for name in dead)
    assert set(env.tags()) == {f"au/{name}" for name in dead}
    env.git("fsck", "--strict")
    assert list((env.project / ".git/aurum/runs").iterdir()) == []


def test_looking_never_misses_what_was_acknowledged(env: AuEnv) -> None:
    """`au metrics` over and over, while runs begin, end and are packed."""
    env.script("import os\nau.parameters(number=0)\nau.log(loss=1.0)\nos.write(1, f'begun {au.number}\\n'.encode())\n"
               "os.read(0, 1)\nau.end_experiment()\nos.write(1, b'ended\\n')\n")
    processes = [env.start(sys.executable, "src/experiment.py", f"number={number}") for number in range(12)]
    begun: set[int] = set()
    with beside(env, ("git", "pack-refs", "--all"), ("git", "gc", "--quiet")):
        for number, process in enumerate(processes):
            assert process.stdout is not None and process.stdin is not None
            assert process.stdout.readline() == f"begun {number}\n"
            begun.add(number)
            out = env.au("metrics", "--json").ok()
            assert out.stderr == ""
            assert begun <= {row["parameters"].get("number") for row in json.loads(out.stdout)}
        for process in processes:
            process.stdin.write("x")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            rows = env.rows()
            assert begun <= {row["parameters"].get("number") for row in rows}
            assert {row["status"] for row in rows} <= {"running", "finished"}
        for process in processes:
            stdout, stderr = process.communicate(timeout=120)
            assert (process.returncode, stdout, stderr) == (0, "ended\n", "")
            assert begun <= {row["parameters"]["number"] for row in env.rows()}
    assert [row["status"] for row in env.rows()] == ["finished"] * 12


def test_two_make_a_project_at_once(bare: AuEnv) -> None:
    processes = [bare.start("au", "init") for _ in range(4)]
    told = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert sorted(code for _, code in told) == [0, 1, 1, 1], told
    for stderr, code in told:
        assert code == 0 or stderr.startswith("error: ") and "panicked" not in stderr, stderr
    bare.git("fsck", "--strict")
    assert bare.git("status", "--porcelain") == ""
    assert bare.rows() == []
    bare.script("au.log(loss=1.0)\n")
    bare.python("src/experiment.py").ok()
    assert len(bare.rows()) == 1


def test_runs_in_linked_worktrees_at_once(env: AuEnv) -> None:
    env.script(RUN)
    env.git("add", "-A")
    env.git("commit", "-qm", "code")
    env.git("worktree", "add", "-q", "-b", "side", str(env.root / "tree"))
    worktrees = [env, AuEnv(env.root, env.root / "tree", env.environment)]
    gates = Gates(env.root / "gates")
    environment = {"GATES": str(gates.folder)}
    for side, worktree in enumerate(worktrees):
        worktree.write("src/side.py", f"side = {side}\n")
    processes = [
        worktrees[number % 2].start(sys.executable, "src/experiment.py", f"number={number}", env=environment)
        for number in range(12)
    ]
    for gate in ("start", "finish"):
        gates.open(gate, 12, processes)
    for process in processes:
        assert process.communicate(timeout=120)[1] == "" and process.returncode == 0
    for worktree in worktrees:
        assert len(worktree.rows()) == 12
    for tag in env.tags():
        side = env.record(tag)["parameters"]["number"]["value"] % 2
        assert env.git("show", f"{tag}:src/side.py") == f"side = {side}"
        assert env.record(tag)["code"]["branch"] == ["main", "side"][side]
    check_clean(env)


def test_threads_of_one_process(env: AuEnv) -> None:
    env.script(
        "import sys, threading\nau.parameters(a=1)\ngate = threading.Barrier(8)\n"
        "def work(number):\n"
        "    gate.wait()\n"
        "    for step in range(500):\n"
        "        au.log({f'loss/{number}': number + step / 1000, 'all': 1})\n"
        "        sys.stdout.write(f'thread {number} step {step}\\n')\n"
        "    au.save_model(b'weights of %d' % number, name=f'model-{number}')\n"
        "threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
    )
    # To nowhere, since Python before 3.12.4 spoils what threads write while another flushes (gh-119506). The log has it whole.
    out = env.run("sh", "-c", f"exec {sys.executable} src/experiment.py >/dev/null").ok()
    assert out.stderr == ""
    [tag] = env.tags()
    record = env.record(tag)
    assert record["metrics"]["all"]["count"] == 4000 and record["metrics"]["all"]["step"] == 3999
    assert [record["metrics"][f"loss/{number}"]["count"] for number in range(8)] == [500] * 8
    assert len(record["models"]) == 8
    lines = env.log(tag).splitlines()
    assert sorted(lines) == sorted(f"thread {number} step {step}" for number in range(8) for step in range(500))
