"""`kill -9` at any step of a run, and of a recovery: what had been acknowledged is there."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import AuEnv
from recording import can_trace
from story import Damage, Judge, Story, expect, need
from test_crash_states import written

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")

#: Calls that change something: between two of them, one death is as good as another.
CALLS = "write,fsync,fdatasync,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,flock"
STORY = Story(steps=4, pauses=())


@dataclass
class Place:
    """Copies of one project, each for one death."""

    template: AuEnv

    def __post_init__(self) -> None:
        if (why := can_trace()) is not None:
            pytest.skip(why)
        written(self.template, STORY)

    @contextmanager
    def copy(self) -> Iterator[tuple[Judge, Path]]:
        """A copy, and a file that acknowledgements go to."""
        with tempfile.TemporaryDirectory(dir=self.template.root) as folder:
            project = Path(folder, "project")
            shutil.copytree(self.template.project, project)
            yield Judge(project, self.template.environment), Path(folder, "said")

    def start(self, judge: Judge, said: Path, *command: str) -> subprocess.Popen[str]:
        with said.open("ab") as told:
            return subprocess.Popen(
                command,
                cwd=judge.project,
                env=judge.environment | {"ACK": str(told.fileno())},
                pass_fds=[told.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )

    def calls(self, *command: str) -> list[tuple[str, int]]:
        """Each call of a command that changes something, as strace counts them: by kind."""
        with self.copy() as (judge, said):
            trace = said.with_name("trace")
            self.start(judge, said, "strace", "-f", "-o", str(trace), "-e", f"trace={CALLS}", *command).communicate()
            counts: Counter[tuple[str, str]] = Counter()
            found = []
            main = ""
            for line in trace.read_text().splitlines():
                process, name = line.split()[0], re.match(r"\d+ +(\w+)\(", line)
                main = main or process
                if name is not None and process == main:
                    counts[process, name[1]] += 1
                    found.append((name[1], counts[process, name[1]]))
            return found


def kill(name: str, number: int) -> list[str]:
    return ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}"]


def survives(judge: Judge, said: Path) -> None:
    """Recovers, and finds all that had been acknowledged."""
    done = judge.run("au", "recover")
    need(done.stderr == "", "it complains:", done.stderr)
    judge.fsck()
    need(judge.run("au", "recover").stdout == "Nothing to recover\n", "it is not done")
    left = [path.name for path in (judge.project / ".git").rglob("*") if path.suffix == ".lock" or path.name == "journal"]
    # One that was not a journal yet.
    left = left if list((judge.project / ".git/aurum/runs").glob("*-*/journal")) == [] else left[1:]
    need(not left, "left behind:", left)
    told = len(said.read_text().splitlines()) if said.exists() else 0
    tags = judge.tags()
    need(len(tags) <= 1 and (tags or told == 0), told, "steps were acknowledged, and there is", tags)
    for tag in tags:
        last = min(told + 1, len(STORY.all_steps()))
        expect(judge.contents(tag), STORY.contents(told), STORY.contents(last))


def at_once(deaths: list[Callable[[], str | None]]) -> None:
    with ThreadPoolExecutor(2) as pool:
        failures = [failure for failure in pool.map(lambda death: death(), deaths) if failure is not None]
    assert not failures, f"{len(failures)} of {len(deaths)}:\n" + "\n".join(failures[:10])


@dataclass
class Death:
    """Of a script at a call, or after a while; and perhaps of the recovery after that."""

    place: Place
    at: tuple[str, int] | None = None
    after: float = 0.0
    again_at: tuple[str, int] | None = None

    def __call__(self) -> str | None:
        script = (sys.executable, "src/story.py")
        with self.place.copy() as (judge, said):
            try:
                if self.at is not None:
                    self.place.start(judge, said, *kill(*self.at), *script).communicate(timeout=120)
                else:
                    process = self.place.start(judge, said, *script)
                    time.sleep(self.after)
                    process.send_signal(signal.SIGKILL)
                    process.communicate(timeout=120)
                if self.again_at is not None:
                    self.place.start(judge, said, *kill(*self.again_at), "au", "recover").communicate(timeout=120)
                survives(judge, said)
            except Damage as damage:
                return f"{self.at or self.after} {self.again_at or ''}: {damage}"
        return None


def recovery_calls(place: Place) -> list[tuple[str, int]]:
    """The calls of a recovery, counted after a run that was killed near its end."""
    last = place.calls(sys.executable, "src/story.py")[-60]
    shutil.copytree(place.template.project, place.template.root / "kept")
    with place.copy() as (judge, said):
        place.start(judge, said, *kill(*last), sys.executable, "src/story.py").communicate(timeout=120)
        shutil.rmtree(place.template.project)
        shutil.copytree(judge.project, place.template.project)
    try:
        return place.calls("au", "recover")
    finally:
        shutil.rmtree(place.template.project)
        shutil.move(place.template.root / "kept", place.template.project)


def deaths(place: Place, many: int) -> list[Callable[[], str | None]]:
    """The same ones each time, but for those at a random moment."""
    generator = random.Random(many)
    calls = place.calls(sys.executable, "src/story.py")
    again = recovery_calls(place)
    whole = [Death(place, at=call) for call in calls]
    twice = [Death(place, at=generator.choice(calls[len(calls) // 3 :]), again_at=call) for call in again]
    late = [Death(place, after=generator.uniform(0.02, 0.4)) for _ in range(many)]
    chosen: list[Callable[[], str | None]] = []
    chosen += generator.sample(whole, min(len(whole), many // 2))
    chosen += generator.sample(twice, min(len(twice), many // 4))
    return chosen + late[: many - len(chosen)]


def test_fifty_deaths(env: AuEnv) -> None:
    at_once(deaths(Place(env), 50))


@pytest.mark.long
def test_a_thousand_deaths(env: AuEnv) -> None:
    at_once(deaths(Place(env), 1_000))
