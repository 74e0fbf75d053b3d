"""What a long history costs: reading it, adding to it, and the room it takes.

    python tests/bench/history.py build FOLDER N

leaves a project with N experiments in FOLDER. Each is what the engine itself writes: a real run is read back with git, and
what differs between runs (identity, times, parameters, metrics) is put in its place in the record, the steps, the log and the
message. The first one built is that real run again, and its commit must come out the same.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from measure import AU, MEBIBYTE, Cost, cost, difference, environment, in_turn, quietly, ratio

#: The values of the real run. None is a part of another, nor of anything else in its files.
SENTINELS = {
    "lr": "0.271828",
    "depth": "31415",
    "trees": "16180",
    "seed": "57721",
    "optimizer": "sentinel",
    "accuracy": "0.141421",
    "loss": "1.732051",
    "error": "0.693147",
}
SCRIPT = """
import json, os, sys, time
import aurum as au

au.parameters(lr={lr}, depth={depth}, trees={trees}, seed={seed}, optimizer="{optimizer}")
print("accuracy {accuracy}")
au.register_metric(accuracy={accuracy}, loss={loss}, error={error})
begin = time.perf_counter(), time.process_time()
au.end_experiment()
end = time.perf_counter(), time.process_time()
if os.environ.get("BENCH_FINISH"):
    with open(os.environ["BENCH_FINISH"], "w") as file:
        json.dump([after - before for before, after in zip(begin, end)], file)
""".format(**SENTINELS)
SCRIPT_PATH = "src/experiment.py"
TAGS = "refs/tags/au/"
EPOCH = datetime(2024, 1, 1, tzinfo=timezone.utc)
#: Where fast-import builds one commit after the other; gone when it is done.
SCAFFOLD = "refs/aurum/building"


def stamp(moment: datetime) -> str:
    """As records have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


# --- building -----------------------------------------------------------------------------------------------------------


class Template:
    """A text of the real run in which other values take the place of its own."""

    def __init__(self, text: str, values: Mapping[str, str]) -> None:
        names = {value: name for name, value in values.items()}
        found = re.compile("|".join(re.escape(value) for value in sorted(names, key=len, reverse=True)))
        self.format = found.sub(lambda match: f"%({names[match[0]]})s", text.replace("%", "%%"))

    def fill(self, values: Mapping[str, str]) -> bytes:
        return (self.format % values).encode()


@dataclass
class Original:
    """The real run, as git has it."""

    commit: str
    parent: str
    #: What was there of the project itself.
    base: str
    #: The same for each run with these packages.
    requirements: str
    values: dict[str, str]
    record: Template
    metrics: Template
    log: Template
    author: Template
    message: Template

    @classmethod
    def run(cls, project: Path, env: dict[str, str]) -> Original:
        def git(*words: str) -> str:
            return subprocess.run(["git", *words], cwd=project, env=env, check=True, capture_output=True, text=True).stdout

        (project / SCRIPT_PATH).write_text(SCRIPT)
        quietly([sys.executable, SCRIPT_PATH], project, env)
        [(commit, tag)] = [line.split() for line in git("for-each-ref", "--format=%(objectname) %(refname)", TAGS).splitlines()]
        experiment = tag.removeprefix(TAGS)
        files = f"{commit}:.au/experiments/{experiment}"
        record = git("show", f"{files}/record.json")
        started, ended = (re.search(rf'"{key}": "(.*?)"', record)[1] for key in ("started", "ended"))  # type: ignore[index]
        header, message = git("cat-file", "commit", commit).split("\n\n", 1)
        [author] = re.findall(r"^author (.*)$", header, re.MULTILINE)
        values = SENTINELS | {"id": experiment, "started": started, "ended": ended}
        return cls(
            commit=commit,
            parent=git("rev-parse", f"{commit}^").strip(),
            base=git("rev-parse", f"refs/aurum/running/{experiment}").strip(),
            requirements=git("rev-parse", f"{files}/requirements.txt").strip(),
            values=values | {"seconds": re.search(r"> (\d+) ", author)[1]},  # type: ignore[index]
            record=Template(record, values),
            metrics=Template(git("show", f"{files}/metrics.jsonl"), values),
            log=Template(git("show", f"{commit}:logs/{experiment}.log"), values),
            author=Template(author, {"seconds": re.search(r"> (\d+) ", author)[1]}),  # type: ignore[index]
            message=Template(message, values),
        )


def experiments(count: int) -> Iterator[dict[str, str]]:
    """The same ones each time, a quarter of an hour after one another."""
    source = random.Random(0)
    for number in range(count):
        started = EPOCH + timedelta(minutes=15 * number, milliseconds=source.randrange(900_000))
        ended = started + timedelta(milliseconds=source.randrange(1_000, 600_000))
        accuracy = source.uniform(0.5, 0.999)
        yield {
            "id": str(uuid.UUID(int=source.getrandbits(128), version=4)),
            "started": stamp(started),
            "ended": stamp(ended),
            "seconds": str(int(ended.timestamp())),
            # In their shortest form all of these are plain decimals, as the engine writes them.
            "lr": repr(round(10 ** source.uniform(-3.5, -1), 6)),
            "depth": str(source.randrange(2, 13)),
            "trees": str(source.choice((50, 100, 200, 500))),
            "seed": str(number),
            "optimizer": source.choice(("adam", "adamw", "sgd")),
            "accuracy": repr(round(accuracy, 6)),
            "loss": repr(round(source.uniform(0.05, 2.5), 6)),
            "error": repr(round(1 - accuracy, 6)),
        }


def data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def commands(original: Original, mark: int, values: Mapping[str, str]) -> bytes:
    """One experiment in the language of `git fast-import`."""
    who = original.author.fill(values)
    files = b".au/experiments/" + values["id"].encode()
    return b"".join((
        b"commit %b\nmark :%d\nauthor %b\ncommitter %b\n" % (SCAFFOLD.encode(), mark, who, who),
        data(original.message.fill(values)),
        b'from %b\nM 040000 %b ""\n' % (original.parent.encode(), original.base.encode()),
        b"M 100644 inline %b/metrics.jsonl\n" % files, data(original.metrics.fill(values)),
        b"M 100644 inline %b/record.json\n" % files, data(original.record.fill(values)),
        b"M 100644 %b %b/requirements.txt\n" % (original.requirements.encode(), files),
        b"M 100644 inline logs/%b.log\n" % values["id"].encode(), data(original.log.fill(values)),
    ))  # fmt: skip


def build(project: Path, count: int, env: dict[str, str]) -> None:
    """A project of `count` experiments, the real run being one of them, as `git pack-refs` leaves their tags."""
    project.mkdir(parents=True, exist_ok=True)
    quietly([AU, "init"], project, env)
    original = Original.run(project, env)
    marks = project / ".git/marks"
    importer = subprocess.Popen(
        ["git", "fast-import", "--quiet", "--force", f"--export-marks={marks}"], cwd=project, env=env, stdin=subprocess.PIPE
    )
    assert importer.stdin is not None
    ids = []
    with importer.stdin as stream:
        stream.write(commands(original, 1, original.values))
        for mark, values in enumerate(experiments(count - 1), start=2):
            stream.write(commands(original, mark, values))
            ids.append(values["id"])
    if importer.wait() != 0:
        raise RuntimeError("git fast-import failed")
    commits = dict(line.rstrip().removeprefix(":").split(" ") for line in marks.open())
    marks.unlink()
    if commits["1"] != original.commit:
        raise RuntimeError(f"the real run came out as {commits['1']} and is {original.commit}")
    quietly(["git", "update-ref", "-d", SCAFFOLD], project, env)
    updates = "".join(f"create {TAGS}{name} {commits[str(mark)]}\n" for mark, name in enumerate(ids, start=2))
    subprocess.run(["git", "update-ref", "--stdin"], cwd=project, env=env, check=True, input=updates, text=True)
    # As after `au recover`: what kept the code of the real run while it ran is of no use any more.
    quietly(["git", "update-ref", "-d", f"refs/aurum/running/{original.values['id']}"], project, env)
    quietly(["git", "pack-refs", "--all"], project, env)


# --- measuring ----------------------------------------------------------------------------------------------------------


def nothing() -> None:
    """There is nothing to prepare."""


@dataclass
class Room:
    """What a folder takes on disk."""

    size: int
    files: int

    @classmethod
    def of(cls, folder: Path) -> Room:
        sizes = [os.lstat(Path(at) / name).st_size for at, _, names in os.walk(folder) for name in names]
        return cls(sum(sizes), len(sizes))

    def each(self, before: Room, count: int) -> str:
        return f"{(self.size - before.size) / count / 1024:6.2f} KiB, {(self.files - before.files) / count:6.3f} files"


class History:
    def __init__(self, folder: Path, count: int, runs: int) -> None:
        self.folder, self.count, self.runs = folder, count, runs
        self.env = environment(folder)
        self.project, self.empty = folder / f"project-{count}", folder / f"empty-{count}"
        self.git = self.project / ".git"

    def measure(self) -> None:
        begin = time.perf_counter()
        build(self.project, self.count, self.env)
        took = time.perf_counter() - begin
        print(f"\n{self.count:,} experiments, built in {took:.0f} s")
        self.room()
        header = f"{'whole processes, CPU ms':<38}{'Aurum':>9}{'floor':>9}  {'over':>12}  {'ratio':>9} {'to':<26}{'wall':>9}{'MiB':>5}"
        print(f"{header}  budget")
        references = ["git", "for-each-ref", TAGS, "--sort=-creatordate", "--count=20"]
        start = ["git", "--version"]
        best = [AU, "metrics", "--sort", "-accuracy", "--limit", "20"]
        quick = "10 ms at 1,000; 300 ms at 100,000"
        self.compare("au metrics, no cache", [AU, "metrics"], references, "", self.forget)
        self.compare("au metrics", [AU, "metrics"], references)
        self.compare("  --sort -accuracy --limit 20, no cache", best, references, "", self.forget)
        self.compare("  --sort -accuracy --limit 20", best, references, quick)
        self.compare("  the same after one more run", best, references, quick, self.run)
        self.compare("  the same", best, start, quick)
        self.compare("au show @", [AU, "show", "@"], start)
        self.finish()

    def room(self) -> None:
        """The room an experiment takes: loose, as runs leave it, and packed."""
        self.empty.mkdir()
        quietly([AU, "init"], self.empty, self.env)
        (self.empty / SCRIPT_PATH).write_text(SCRIPT)
        quietly([sys.executable, SCRIPT_PATH], self.empty, self.env)
        before, loose = Room.of(self.empty / ".git"), 10
        for _ in range(loose):
            quietly([sys.executable, SCRIPT_PATH], self.empty, self.env)
        print(f"on disk, one experiment as its run leaves it   {Room.of(self.empty / '.git').each(before, loose)}   budget: 12 files")
        print(f"on disk, one experiment as fast-import does    {Room.of(self.git).each(before, self.count)}")
        begin = time.perf_counter()
        quietly(["git", "gc", "--quiet"], self.project, self.env)
        after = Room.of(self.git).each(before, self.count)
        print(f"on disk, one experiment after `git gc`         {after}   budget: 4 KiB, 0.1 files (gc took {time.perf_counter() - begin:.0f} s)")

    def compare(
        self, what: str, ours: Sequence[str], floor: Sequence[str], budget: str = "", prepare: Callable[[], None] = nothing
    ) -> None:
        def once(command: Sequence[str], prepare: Callable[[], None]) -> Callable[[], Cost]:
            def measured() -> Cost:
                prepare()
                return cost(command, self.project, self.env)

            return measured

        costs, others = in_turn([once(ours, prepare), once(floor, nothing)], self.runs)
        a, b = [c.cpu for c in costs], [c.cpu for c in others]
        name = " ".join(floor[:2])
        print(
            f"{what:<38}{statistics.median(a) * 1000:9.1f}{statistics.median(b) * 1000:9.1f}  {difference(a, b) * 1000:+9.1f} ms"
            f"  {ratio(a, b):7.2f} x {name:<26}{statistics.median(c.wall for c in costs) * 1000:9.1f}"
            f"{max(c.peak for c in costs) / MEBIBYTE:5.0f}  {budget}",
            flush=True,
        )

    def finish(self) -> None:
        """One `end_experiment`, against that in a project with hardly any history."""
        report = self.folder / "finish.json"

        def once(project: Path) -> Callable[[], Cost]:
            def measured() -> Cost:
                quietly([sys.executable, SCRIPT_PATH], project, self.env | {"BENCH_FINISH": str(report)})
                wall, cpu = map(float, report.read_text().strip("[]").split(","))
                return Cost(cpu, wall, 0)

            return measured

        costs, others = in_turn([once(self.project), once(self.empty)], max(self.runs, 7))
        a, b = [c.wall for c in costs], [c.wall for c in others]
        cpu = statistics.median(c.cpu for c in costs)
        print(
            f"{'one finish, wall ms':<38}{statistics.median(a) * 1000:9.1f}{statistics.median(b) * 1000:9.1f}  {difference(a, b) * 1000:+9.1f} ms"
            f"  {ratio(a, b):7.2f} x {'without a history':<26}{cpu * 1000:9.1f} (CPU)  10 ms, the same at every length",
            flush=True,
        )

    # --- what is done for it ------------------------------------------------------------------------------------------

    def forget(self) -> None:
        shutil.rmtree(self.git / "aurum/cache", ignore_errors=True)

    def run(self) -> None:
        quietly([sys.executable, SCRIPT_PATH], self.project, self.env)


def measure(folder: Path, runs: int, counts: Sequence[int]) -> None:
    for count in counts:
        history = History(folder, count, runs)
        history.measure()
        shutil.rmtree(history.project)
    base = cost(["true"], folder, environment(folder)).peak
    print(f"Memory: the budget is 64 MiB; {base / MEBIBYTE:.0f} MiB and less can't be told from what measures it.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    builder = commands.add_parser("build", help="leave a project with a history in a folder")
    builder.add_argument("folder", type=Path)
    builder.add_argument("count", type=int)
    args = parser.parse_args()
    if args.count < 1:
        parser.error("one experiment is the least: the real run itself")
    folder = args.folder.resolve()
    settings = {"GIT_AUTHOR_NAME": "Bench", "GIT_AUTHOR_EMAIL": "bench@localhost"}
    committer = {"GIT_COMMITTER_NAME": "Bench", "GIT_COMMITTER_EMAIL": "bench@localhost"}
    nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    build(folder, args.count, os.environ | settings | committer | nowhere)


if __name__ == "__main__":
    main()
