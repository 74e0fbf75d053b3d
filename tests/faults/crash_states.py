"""Power cuts: a recording, every disk that it can leave, and what `au recover` makes of each."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from disk import Disk, State
from recording import Link, Recording, Said, Truncate, Write, tree
from story import Contents, Damage, Judge, Story, expect, need

#: A state's files are as old as this: a run that a power cut ended is recorded as of its journal's time.
LONG_AGO = 1_767_323_045


@dataclass(frozen=True)
class Expectation:
    """What has to come of a run that was cut off somewhere."""

    #: Whether it has to be there at all.
    is_there: bool
    at_least: Contents
    at_most: Contents


@dataclass
class Outcome:
    """What came of many states."""

    states: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass
class PowerCuts:
    """All power cuts of one recording, judged."""

    recording: Recording
    story: Story
    environment: dict[str, str]
    #: Steps that had been told when the recording began, for one that is not of the run itself.
    told_before: int = 0

    def __post_init__(self) -> None:
        self.disk = Disk(self.recording)
        self.before = tree(self.recording.nodes)
        self.unchanged = {path: content for path, content in self.before.items() if is_users(path)}

    def expectation(self, state: State) -> Expectation:
        certain, _ = self.steps_at(state.last)
        _, begun = self.steps_at(state.first)
        return Expectation(certain > 0, self.story.contents(certain), self.story.contents(begun))

    def steps_at(self, prefix: int) -> tuple[int, int]:
        """How many steps are certain after so many operations, and how many may have left something."""
        operations = self.recording.operations[:prefix]
        words = [at for at, operation in enumerate(operations) if isinstance(operation, Said)]
        told = self.told_before + len(words)
        # What a step did is certain once all that was written to the journal before it was told is synced.
        certain = self.told_before
        journal = self.journal()
        unsettled = [at for at in range(prefix) if touches(operations[at], journal) and self.disk.settled[at] >= prefix]
        for at in words:
            if any(risky < at for risky in unsettled):
                break
            certain += 1
        steps = self.story.all_steps()
        for step in DURABLE:
            if step in steps[:told]:
                certain = max(certain, steps.index(step) + 1)
        return certain, min(told + 1, len(steps))

    def journal(self) -> int | None:
        """The journal's inode: the first file of that name."""
        made = (operation.inode for operation in self.recording.operations if isinstance(operation, Link) and operation.name == "journal")
        names = (node for node in self.recording.nodes.values() if isinstance(node, dict))
        return next(made, next((names["journal"] for names in names if "journal" in names), None))

    def judge(self, states: Iterable[State], processes: int = 2) -> Outcome:
        outcome = Outcome()
        # Forked, so that the states need not be told to them twice.
        with multiprocessing.get_context("fork").Pool(processes, begin, (self,)) as pool:
            for failure in pool.imap_unordered(judge_state, states, chunksize=8):
                outcome.states += 1
                if failure is not None:
                    outcome.failures.append(failure)
        return outcome


#: What has been promised to outlive a power cut once the call has returned, whatever the journal's own rhythm is.
DURABLE = ("start", "model", "end")


def touches(operation: object, inode: int | None) -> bool:
    return isinstance(operation, Write | Truncate) and operation.inode == inode


def is_users(path: str) -> bool:
    """Whether a run has no business there: files of the project, HEAD, the index, branches, settings and their logs."""
    return not re.match(r"\.git/(objects|aurum|refs/(tags/au|aurum))(/|$)", path) and path not in (".git/refs/tags", ".git/packed-refs")


class Bench:
    """A place to try states at, one after the other."""

    def __init__(self, cuts: PowerCuts) -> None:
        memory = Path("/dev/shm")
        home = memory if os.access(memory, os.W_OK) else Path(cuts.environment["HOME"])
        self.cuts = cuts
        self.project = home / f"aurum-power-cut-{os.getpid()}"
        self.judge = Judge(self.project, cuts.environment | {"GIT_CEILING_DIRECTORIES": str(home)})
        #: The experiments of what was found to be sound, by its digest.
        self.judged: dict[str, dict[str, Contents]] = {}
        tags = (re.fullmatch(r"\.git/refs/tags/(au/.*)", path) for path in cuts.before)
        self.former = {found[1] for found in tags if found}
        self.verifies = self.knows_verify()

    def knows_verify(self) -> bool:
        self.project.mkdir(exist_ok=True)
        return self.judge.run("au", "verify", "--help", code=None).returncode == 0

    def lay_out(self, state: State) -> None:
        shutil.rmtree(self.project, ignore_errors=True)
        self.project.mkdir()
        for path in sorted(state.files):
            content = state.files[path]
            place = self.project / path
            if content is None:
                place.mkdir()
            else:
                place.write_bytes(content)
                # Its mode is set before the file is synced and gets this name.
                if "/aurum/store/sha256/" in f"/{path}":
                    place.chmod(0o444)
                os.utime(place, (LONG_AGO, LONG_AGO))

    def try_out(self, state: State) -> str | None:
        try:
            self.lay_out(state)
            self.recover(self.cuts.expectation(state))
        except Damage as damage:
            return f"after {state.first} operations: {damage}"
        finally:
            shutil.rmtree(self.project, ignore_errors=True)
        return None

    def recover(self, expectation: Expectation) -> None:
        done = self.judge.run("au", "recover")
        need(done.stderr == "", "it complains:", done.stderr)
        lines = done.stdout.splitlines()
        recovered = [line for line in lines if re.fullmatch(r"recovered [0-9a-f]{8} \w+, tag au/[0-9a-f-]{36}", line)]
        need(lines == ["Nothing to recover"] or (recovered and recovered == lines), "it says:", lines)
        left = self.left()
        # What was judged already is as it was; only what was to be expected may differ.
        key = digest(left)
        if key not in self.judged:
            self.judged[key] = self.sound(left)
            self.lasts(left, self.judged[key])
        new = [contents for tag, contents in self.judged[key].items() if tag not in self.former]
        need(len(new) <= 1, "more experiments than there were:", new)
        need(bool(new) or not expectation.is_there, "the experiment is lost")
        for contents in new:
            expect(contents, expectation.at_least, expectation.at_most)

    def left(self) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for folder, folders, files in os.walk(self.project):
            for name in folders:
                found[os.path.relpath(os.path.join(folder, name), self.project)] = None
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, self.project)] = file.read()
        return found

    def sound(self, left: dict[str, bytes | None]) -> dict[str, Contents]:
        """Git finds nothing wrong, nothing is half there, and nothing of the user's was touched. Answers the experiments."""
        users = {path: content for path, content in left.items() if is_users(path)}
        before = self.cuts.unchanged
        different = sorted(path for path in users.keys() | before.keys() if users.get(path) != before.get(path))
        need(not different, "it changed:", different)
        self.judge.fsck()
        references = self.judge.git("for-each-ref", "--format=%(refname:short)", "refs/tags/au", "refs/aurum").split()
        need(all(name.startswith("au/") for name in references), "references are left:", references)
        # What died before it was a journal waits for a later run to clear it.
        journals = [path for path in left if re.match(r"\.git/aurum/runs/(?!new-).*/", path)]
        need(not journals, "journals are left:", journals)
        if self.verifies:
            self.judge.run("au", "verify")
        return {tag: self.judge.contents(tag) for tag in references}

    def lasts(self, left: dict[str, bytes | None], experiments: dict[str, Contents]) -> None:
        """Doing it again changes nothing, and git's own maintenance takes nothing away."""
        again = self.judge.run("au", "recover")
        need(again.stdout == "Nothing to recover\n" and again.stderr == "", "again it says:", again.stdout, again.stderr)
        need(self.left() == left, "again it changes something")
        self.judge.run("git", "gc", "--quiet", "--prune=now")
        need({tag: self.judge.contents(tag) for tag in self.judge.tags()} == experiments, "git gc took something away")


def digest(files: dict[str, bytes | None]) -> str:
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(path.encode() + b"\0" + hashlib.sha256(files[path] or b"").digest())
    return whole.hexdigest()


BENCH: Bench | None = None


def begin(cuts: PowerCuts) -> None:
    global BENCH
    BENCH = Bench(cuts)


def judge_state(state: State) -> str | None:
    assert BENCH is not None
    return BENCH.try_out(state)


def summary(failures: list[str]) -> str:
    """The kinds of failures, most frequent first, one example each."""
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for failure in failures:
        kind = re.sub(r"[0-9a-f]{2}/[0-9a-f]{6,}|[0-9a-f]{6,}|\d+", "#", failure.partition(": ")[2])[:140]
        kinds[kind] += 1
        examples.setdefault(kind, failure)
    return "\n".join(f"{count} x {examples[kind][:1500]}" for kind, count in kinds.most_common(12))
