"""Costs of whole processes, taken in turn, and the lines that tell them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

AU = str(Path(sysconfig.get_path("scripts")) / "au")
MEBIBYTE = 1 << 20


@dataclass
class Cost:
    """Seconds, and the memory of the largest process in bytes."""

    cpu: float
    wall: float
    peak: int


def cost(command: Sequence[str | Path], cwd: Path, env: dict[str, str]) -> Cost:
    """Of a whole process and its children."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    # To its end before the process is waited for, or else a full pipe would hold it up.
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} in {cwd}: exit {process.returncode}\n{said.decode(errors='replace')}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024)


def in_turn(competitors: Sequence[Callable[[], Cost]], runs: int, *, warm_up: bool = True) -> list[list[Cost]]:
    """One after the other, so that all meet the same machine; unless told otherwise, the first round warms up. Answers the
    costs of each competitor."""
    rounds = [[competitor() for competitor in competitors] for _ in range(runs + warm_up)]
    return [list(costs) for costs in zip(*rounds[warm_up:], strict=True)]


def difference(ours: Sequence[float], floor: Sequence[float]) -> float:
    """The median over the pairs."""
    return statistics.median(a - b for a, b in zip(ours, floor, strict=True))


def ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    """The median over the pairs."""
    return statistics.median(a / b if b else float("nan") for a, b in zip(ours, floor, strict=True))


def environment(folder: Path) -> dict[str, str]:
    """Git's settings are pinned. What it would clear up in the background would take a processor from what is measured."""
    settings = folder / "gitconfig"
    settings.write_text("[user]\n\tname = Bench\n\temail = bench@localhost\n[init]\n\tdefaultBranch = main\n[maintenance]\n\tauto = false\n")
    return os.environ | {"GIT_CONFIG_GLOBAL": str(settings), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": str(folder)}


def quietly(command: Sequence[str | Path], cwd: Path, env: dict[str, str]) -> None:
    """What has to be done and is not measured."""
    cost(command, cwd, env)
