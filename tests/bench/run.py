"""Measures Aurum's budgets, each against a floor taken in the same run, and prints them as a table.

Nothing here passes or fails: machines are noisy. Compare the columns, which were measured in turn, pair by pair.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

AU = str(Path(sysconfig.get_path("scripts")) / "au")

WORK = """
import os, sys
{imports}
parameters = dict(rate=0.1, depth=3, trees=100, seed=0, name="bench")
{parameters}
model = bytes(range(256)) * 4096
metrics = dict(loss=0.1, accuracy=0.9, error=0.1)
{finish}
"""
UNTRACKED = WORK.format(imports="", parameters="", finish="")
TRACKED = WORK.format(
    imports="import aurum as au",
    parameters="au.parameters(**parameters)",
    finish="au.save_model(model); au.register_metric(**metrics); au.end_experiment()",
)

LOG = """
import os, statistics, sys, time
import aurum as au

calls, rounds = 20_000, 15
au.log(loss=0.5, step=0)
log = au.log
journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
frame = b"x" * 34
raw, ours = [], []
for _ in range(rounds):
    begin = time.perf_counter_ns()
    for step in range(calls):
        os.write(journal, frame)
    raw.append((time.perf_counter_ns() - begin) / calls / 1000)
    begin = time.perf_counter_ns()
    for step in range(calls):
        log(loss=0.5, step=step)
    ours.append((time.perf_counter_ns() - begin) / calls / 1000)
print(statistics.median(raw), statistics.median(ours), statistics.median(b - a for a, b in zip(raw, ours)))
"""


@dataclass
class Cost:
    cpu: float
    wall: float


def cost(command: list[str], cwd: Path, env: dict[str, str]) -> Cost:
    """CPU and wall seconds of a whole process and its children."""
    before = os.times()
    subprocess.run(command, cwd=cwd, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(cpu, after.elapsed - before.elapsed)


def in_turn(ours: Callable[[], Cost], floor: Callable[[], Cost], runs: int) -> tuple[list[Cost], list[Cost]]:
    """One after the other, so that both meet the same machine; the first pair warms up."""
    pairs = [(ours(), floor()) for _ in range(runs + 1)][1:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def milliseconds(costs: list[float]) -> str:
    return f"{statistics.median(costs) * 1000:8.1f}"


class Bench:
    def __init__(self, folder: Path, runs: int) -> None:
        self.runs = runs
        self.folder = folder
        settings = folder / "gitconfig"
        settings.write_text("[user]\n\tname = Bench\n\temail = bench@localhost\n")
        self.env = os.environ | {"GIT_CONFIG_GLOBAL": str(settings), "GIT_CONFIG_NOSYSTEM": "1"}
        self.project = folder / "project"
        self.project.mkdir()
        subprocess.run([AU, "init"], cwd=self.project, env=self.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (self.project / "src/tracked.py").write_text(TRACKED)
        (self.project / "src/untracked.py").write_text(UNTRACKED)
        (self.project / "src/log.py").write_text(LOG)

    def compare(self, what: str, budget: str, ours: list[str], floor: list[str], floor_name: str, *, per: int = 1) -> None:
        """`per` repeats short commands within one measurement: the kernel counts CPU in ticks of 10 ms."""

        def times(command: list[str]) -> Callable[[], Cost]:
            loop = ["sh", "-c", f'i=0; while [ $i -lt {per} ]; do "$@"; i=$((i+1)); done', "sh", *command]
            return lambda: cost(loop, self.project, self.env)

        our, base = in_turn(times(ours), times(floor), self.runs)
        a, b = [c.cpu / per for c in our], [c.cpu / per for c in base]
        difference = statistics.median(x - y for x, y in zip(a, b, strict=True)) * 1000
        ratio = statistics.median(x / y if y else float("nan") for x, y in zip(a, b, strict=True))
        print(f"{what:<34}{milliseconds(a)}{milliseconds(b)}  {difference:+8.1f} ms  {ratio:6.2f} x {floor_name:<18} {budget}")

    def log(self) -> None:
        out = subprocess.run(
            [sys.executable, "src/log.py", str(self.folder / "raw")],
            cwd=self.project, env=self.env, check=True, capture_output=True, text=True,
        ).stdout.split()
        raw, ours, difference = map(float, out)
        print(f"{'one au.log, µs':<34}{ours:8.2f}{raw:8.2f}  {difference:+8.2f} µs  {ours / raw:6.2f} x {'os.write':<18} 2 µs over")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11, help="pairs of each measurement (default: 11)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), runs)
        python = sys.executable
        print(f"{'CPU of whole processes, ms':<34}{'Aurum':>8}{'floor':>8}  {'over':>11}  {'ratio':>8} {'to':<19}{'budget'}")
        bench.compare("au --version", "1.5 x", [AU, "--version"], ["git", "--version"], "git --version", per=50)
        bench.compare("au metrics, empty project", "10 ms", [AU, "metrics"], ["git", "--version"], "git --version", per=20)
        bench.compare("import aurum", "5 ms over", [python, "-c", "import aurum"], [python, "-c", "pass"], "python -c pass", per=10)
        bench.compare(
            "tracked run, 1 MB model", "30 ms over",
            [python, "src/tracked.py"], [python, "src/untracked.py"], "the script alone", per=5,
        )
        bench.log()


if __name__ == "__main__":
    main()
