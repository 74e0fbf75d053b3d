"""Commands measured in turn, a line for each floor, and the files that they are measured on."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from measure import MEBIBYTE, Cost, cost, difference, in_turn, ratio

HEADING = f"{'wall time of whole processes, s':<34}{'Aurum':>8}{'floor':>8}  {'over':>10}  {'ratio':>7} {'to':<31}{'MiB':>5}{'floor':>6}  {'budget'}"


@dataclass
class Competitor:
    """A command that is measured, and what is done before without being measured."""

    name: str
    command: Sequence[str | Path]
    cwd: Path
    prepare: Callable[[], None]
    budget: str = ""


def nothing() -> None:
    """There is nothing to prepare."""


def compare(
    what: str, ours: Competitor, floors: Sequence[Competitor], env: dict[str, str], runs: int, *, warm_up: bool = False
) -> None:
    """A line for each floor; all of them are measured in turn."""

    def once(competitor: Competitor) -> Callable[[], Cost]:
        def measured() -> Cost:
            competitor.prepare()
            os.sync()
            return cost(competitor.command, competitor.cwd, env)

        return measured

    costs, *others = in_turn([once(competitor) for competitor in (ours, *floors)], runs, warm_up=warm_up)
    for floor, other in zip(floors, others, strict=True):
        a, b = [c.wall for c in costs], [c.wall for c in other]
        peaks = [max(c.peak for c in each) / MEBIBYTE for each in (costs, other)]
        print(
            f"{what:<34}{statistics.median(a):8.3f}{statistics.median(b):8.3f}  {difference(a, b):+8.3f} s  {ratio(a, b):5.2f} x"
            f" {floor.name:<31}{peaks[0]:5.0f}{peaks[1]:6.0f}  {floor.budget}",
            flush=True,
        )
        what = ""


class Aside:
    """A folder where what a round left goes, instead of being deleted: for minutes ext4 doesn't take a deleted file's inode
    again, and looks for another one by one, which makes it ten times slower for all who create many files after."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        folder.mkdir()

    def put(self, path: Path) -> None:
        """Nothing, if nothing stands there."""
        self.count += 1
        with suppress(FileNotFoundError):
            path.rename(self.folder / str(self.count))

    def putter(self, path: Path) -> Callable[[], None]:
        return lambda: self.put(path)

    def empty(self) -> None:
        """For few files, which take much room."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()


def remover(path: Path) -> Callable[[], None]:
    def remove() -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    return remove


def text(size: int, number: int) -> bytes:
    """Digits that compress to about a half, other ones for each number."""
    return b"%012d" % number + os.urandom((size - 12 + 1) // 2).hex().encode()[: size - 12]


def write(file: Path, size: int) -> None:
    """A file of that many bytes, of which each MiB is another."""
    file.parent.mkdir(parents=True, exist_ok=True)
    block = text(MEBIBYTE, 0)[12:]
    with file.open("wb") as output:
        for number in range(-(-size // MEBIBYTE)):
            output.write(b"%012d" % number + block)
        output.truncate(size)
