"""What tracking costs a script, and what a command costs that has nothing to do."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measure import AU, MEBIBYTE, Cost, cost, difference, environment, in_turn, quietly, ratio

#: Runs that end in the same moment.
TOGETHER = 64

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

MILLION = """
{imports}
for step in range(1_000_000):
    {log}
"""

#: Waits until all have begun, so that they finish at once.
AT_ONCE = """
import os, sys, time
{imports}
{begin}
while not os.path.exists(sys.argv[1]):
    time.sleep(0.001)
"""


OPEN = """
import os, sys, time
if sys.argv[1:]:
    import aurum
times = []
for _ in range(15):
    begin = time.perf_counter_ns()
    for _ in range(20_000):
        os.close(os.open(".au/config", os.O_RDONLY))
    times.append((time.perf_counter_ns() - begin) / 20_000_000)
print(min(times))
"""


def milliseconds(costs: list[float]) -> str:
    return f"{statistics.median(costs) * 1000:8.1f}"


class Bench:
    def __init__(self, folder: Path, runs: int) -> None:
        self.runs = runs
        self.folder = folder
        self.env = environment(folder)
        self.project = folder / "project"
        self.project.mkdir()
        quietly([AU, "init"], self.project, self.env)
        (self.project / "src/tracked.py").write_text(TRACKED)
        (self.project / "src/untracked.py").write_text(UNTRACKED)
        (self.project / "src/log.py").write_text(LOG)
        tracked = "import aurum as au"
        (self.project / "src/million.py").write_text(MILLION.format(imports=tracked, log="au.log(loss=1 / (1 + step), step=step)"))
        (self.project / "src/million_untracked.py").write_text(MILLION.format(imports="", log="1 / (1 + step)"))
        (self.project / "src/at_once.py").write_text(AT_ONCE.format(imports=tracked, begin="au.log(loss=0.5)"))
        (self.project / "src/at_once_untracked.py").write_text(AT_ONCE.format(imports="", begin=""))

    def compare(self, what: str, budget: str, ours: list[str], floor: list[str], floor_name: str, *, per: int = 1) -> None:
        """`per` repeats short commands within one measurement: the kernel counts CPU in ticks of 10 ms."""

        def times(command: list[str]) -> Callable[[], Cost]:
            loop = ["sh", "-c", f'i=0; while [ $i -lt {per} ]; do "$@"; i=$((i+1)); done', "sh", *command]
            return lambda: cost(loop, self.project, self.env)

        our, base = in_turn([times(ours), times(floor)], self.runs)
        a, b = [c.cpu / per for c in our], [c.cpu / per for c in base]
        over = difference(a, b) * 1000
        print(f"{what:<34}{milliseconds(a)}{milliseconds(b)}  {over:+8.1f} ms  {ratio(a, b):6.2f} x {floor_name:<18} {budget}")

    def log(self) -> None:
        out = subprocess.run(
            [sys.executable, "src/log.py", str(self.folder / "raw")],
            cwd=self.project, env=self.env, check=True, capture_output=True, text=True,
        ).stdout.split()
        raw, ours, over = map(float, out)
        print(f"{'one au.log, µs':<34}{ours:8.2f}{raw:8.2f}  {over:+8.2f} µs  {ours / raw:6.2f} x {'os.write':<18} 2 µs over")

    def opening(self) -> None:
        """Opening a file that is of no dataset, where datasets are watched, over the same without Aurum."""
        (self.project / "data.csv").write_text("1,2\n")
        quietly([AU, "data", "add", "data.csv"], self.project, self.env)
        (self.project / "src/open.py").write_text(OPEN)

        def once(words: list[str]) -> float:
            command = [sys.executable, "src/open.py", *words]
            return float(subprocess.run(command, cwd=self.project, env=self.env, check=True, capture_output=True, text=True).stdout)

        pairs = [(once(["aurum"]), once([])) for _ in range(self.runs)]
        ours, floor = (statistics.median(times) for times in zip(*pairs, strict=True))
        over = statistics.median(a - b for a, b in pairs)
        print(f"{'opening a file, µs':<34}{ours:8.2f}{floor:8.2f}  {over:+8.2f} µs  {ours / floor:6.2f} x {'os.open, os.close':<18} 1 µs over")

    def million(self) -> None:
        """The memory of a run that logs a million steps, over the script alone."""
        ours, floor = (
            cost([sys.executable, f"src/{name}.py"], self.project, self.env) for name in ("million", "million_untracked")
        )
        a, b = ours.peak / MEBIBYTE, floor.peak / MEBIBYTE
        print(f"{'a million au.log, MiB':<34}{a:8.1f}{b:8.1f}  {a - b:+8.1f} MiB {a / b:6.2f} x {'the script alone':<18} 64 MiB over")

    def at_once(self) -> None:
        """From the moment in which all of them may end until the last has."""

        def once(script: str) -> float:
            go = self.folder / "go"
            go.unlink(missing_ok=True)
            command = [sys.executable, f"src/{script}.py", str(go)]
            runs = [subprocess.Popen(command, cwd=self.project, env=self.env) for _ in range(TOGETHER)]
            time.sleep(5)
            begin = time.perf_counter()
            go.touch()
            if any(run.wait() for run in runs):
                raise RuntimeError("a run failed")
            return time.perf_counter() - begin

        a, b = once("at_once"), once("at_once_untracked")
        what = f"{TOGETHER} that end at once, wall s"
        print(f"{what:<34}{a:8.2f}{b:8.2f}  {a - b:+8.2f} s   {a / b:6.2f} x {'the scripts alone':<18} all kept")
        kept = subprocess.run([AU, "metrics", "--json"], cwd=self.project, env=self.env, check=True, capture_output=True, text=True)
        rows = json.loads(kept.stdout)
        if sum(row["script"] == "src/at_once.py" for row in rows) != TOGETHER:
            raise RuntimeError("not all are kept")


def measure(folder: Path, runs: int) -> None:
    bench = Bench(folder, runs)
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
    bench.opening()
    bench.million()
    bench.at_once()
