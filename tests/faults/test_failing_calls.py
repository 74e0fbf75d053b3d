"""Each system call of one finish failed in turn: the script goes on, nothing is damaged, and `au recover` saves the run."""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from conftest import AuEnv
from story import Damage, expect, need
from test_kill import STORY, Place, at_once

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")

#: The script's own end, which must come through.
CODE = 7
#: What the kernel may interrupt; std and we try again.
INTERRUPTIBLE = ("openat", "read", "pread64", "write", "fsync", "fdatasync", "flock", "ftruncate")


def prepare(env: AuEnv) -> Place:
    place = Place(env)
    script = env.project / "src/story.py"
    # What a real script does at its end beside us: the exit code is its own, and short writes begin where it says.
    limit = "if 'LIMIT' in os.environ:\n    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ['LIMIT']),) * 2)\n"
    text = script.read_text().replace("au.end_experiment()", f"{limit}au.end_experiment()")
    script.write_text(f"import resource\n{text}raise SystemExit({CODE})\n")
    return place


def finishing_calls(place: Place) -> list[tuple[str, int]]:
    """The calls from the end of the last step before the finish to the finish's own, as strace counts them."""
    with place.copy() as (judge, said):
        trace = said.with_name("trace")
        tracer = ("strace", "-f", "-y", "-o", str(trace), "-e", "trace=%file,%desc")
        place.start(judge, said, *tracer, sys.executable, "src/story.py").communicate(timeout=120)
        lines = trace.read_text().splitlines()
    main = lines[0].split()[0]
    counts: Counter[str] = Counter()
    found: list[tuple[str, int]] = []
    steps = 0
    for line in lines:
        name = re.match(rf"{main} +(\w+)\(", line)
        if name is None:
            continue
        counts[name[1]] += 1
        if name[1] == "write" and f"<{said}>" in line:
            steps += 1
        # Rust's own library takes a close that fails for a fault of the program; Linux answers none with these errors.
        elif steps == len(STORY.all_steps()) - 1 and name[1] != "close":
            found.append((name[1], counts[name[1]]))
    return found


@dataclass
class Fault:
    """One call that fails, or a size that no file may exceed."""

    place: Place
    call: tuple[str, int] | None = None
    error: str = ""
    limit: int | None = None

    def __call__(self) -> str | None:
        try:
            self.happen()
        except Damage as damage:
            return f"{self.call} {self.error} {self.limit}: {damage}"
        return None

    def happen(self) -> None:
        with self.place.copy() as (judge, said):
            trace = said.with_name("trace")
            command = [sys.executable, "src/story.py"]
            if self.call is not None:
                name, number = self.call
                inject = f"inject={name}:error={self.error}:when={number}"
                command = ["strace", "-f", "--seccomp-bpf", "-o", str(trace), "-e", f"trace={name}", "-e", inject, *command]
            if self.limit is not None:
                judge.environment = judge.environment | {"LIMIT": str(self.limit)}
            process = self.place.start(judge, said, *command)
            _, stderr = process.communicate(timeout=120)
            if self.call is not None and "(INJECTED)" not in trace.read_text():
                # The interpreter's own calls differ now and then: it came to its end before.
                return
            need(process.returncode == CODE, "the script ends with", process.returncode, stderr)
            warnings = stderr.count("Warning: ") + stderr.count("aurum: ")
            need(warnings <= 1, warnings, "warnings:", stderr)
            need("Traceback" not in stderr and "panicked" not in stderr, stderr)
            judge.fsck()
            if self.error == "EINTR":
                need(stderr == "" and len(judge.tags()) == 1, "interrupted, it is not done:", stderr)
            judge.run("au", "recover")
            judge.fsck()
            tags = judge.tags()
            need(len(tags) == 1, "it is lost:", stderr)
            whole = STORY.contents(len(STORY.all_steps()))
            before = STORY.contents(len(STORY.all_steps()) - 1)
            expect(judge.contents(tags[0]), whole if not stderr else before, whole)
            need(judge.run("au", "recover").stdout == "Nothing to recover\n", "it is not done")


def faults(place: Place, many: int | None) -> list[Callable[[], str | None]]:
    calls = finishing_calls(place)
    assert len(calls) > 100, "the finish was not found"
    found = [Fault(place, call, error) for error in ("ENOSPC", "EIO", "EMFILE") for call in calls]
    found += [Fault(place, call, "EINTR") for call in calls if call[0] in INTERRUPTIBLE]
    # A write that is short is followed by one that fails: a file that may not grow beyond this. The script's own words need some room.
    found += [Fault(place, limit=limit) for limit in range(200, 4_000, 37)]
    if many is None:
        return list(found)
    return list(random.Random(1).sample(found, many))


def test_a_sample_of_failing_calls(env: AuEnv) -> None:
    at_once(faults(prepare(env), 40))


@pytest.mark.long
def test_each_call_of_a_finish_failed_in_turn(env: AuEnv) -> None:
    at_once(faults(prepare(env), None))
