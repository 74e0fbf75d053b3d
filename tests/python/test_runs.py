"""`au.run`: blocks of code and functions that are experiments of their own; and figures."""

from __future__ import annotations

import signal
import sys
import time

from conftest import AuEnv


def names(env: AuEnv) -> list[tuple[str | None, str]]:
    return [(row.get("name"), row["status"]) for row in env.rows()]


def test_each_block_is_an_experiment(env: AuEnv) -> None:
    env.script(
        """
for rate in (0.1, 0.01):
    with au.run("sweep") as run:
        au.parameters(rate=rate)
        au.register_metric(accuracy=1 - rate)
        print("rate", rate)
        assert run.experiment().status == "running"
    one = run.experiment()
    assert (one.id, one.status, one.parameters, one.log()) == (run.id, "finished", {"rate": rate}, f"rate {rate}\\n")
assert repr(run) == f"<Run {run.id[:8]} 'sweep'>"
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    assert names(env) == [("sweep", "finished")] * 2


def test_what_ends_a_block_ends_its_experiment(env: AuEnv) -> None:
    env.script(
        """
import sys

def ended_by(name, exception):
    try:
        with au.run(name):
            raise exception
    except BaseException as error:
        assert error is exception

ended_by("broken", ValueError("no such thing"))
ended_by("stopped", KeyboardInterrupt())
ended_by("exit", SystemExit())
ended_by("exit 0", SystemExit(0))
ended_by("exit 3", SystemExit(3))
with au.run("inner function"):
    try:
        raise RuntimeError("caught")
    except RuntimeError:
        pass
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    statuses = dict(names(env))
    assert statuses == {
        "broken": "failed",
        "stopped": "interrupted",
        "exit": "finished",
        "exit 0": "finished",
        "exit 3": "failed",
        "inner function": "finished",
    }
    log = env.au("logs", "broken").ok().stdout
    assert log.startswith("Traceback") and log.endswith("ValueError: no such thing\n")


def test_an_exception_that_nobody_catches(env: AuEnv) -> None:
    env.script("with au.run():\n    au.log(loss=1.0)\n    raise ValueError('no such thing')\n")
    out = env.python("src/experiment.py").failed(1)
    assert out.stderr.count("ValueError: no such thing") == 1, "the experiment is one, and the traceback Python's own"
    assert names(env) == [(None, "failed")]


def test_functions(env: AuEnv) -> None:
    env.script(
        '''
import asyncio

@au.run
def train(rate, *, epochs=1):
    """Trains."""
    au.parameters(rate=rate, epochs=epochs)
    return rate * epochs

@au.run("named")
def other():
    raise KeyError("x")

@au.run
async def later():
    await asyncio.sleep(0)
    au.log(loss=0.5)
    return 7

assert train(2, epochs=3) == 6 and train(5) == 5
assert (train.__name__, train.__doc__) == ("train", "Trains.")
try:
    other()
except KeyError:
    pass
assert asyncio.run(later()) == 7
'''
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    assert names(env) == [("train", "finished"), ("train", "finished"), ("named", "failed"), ("later", "finished")]
    assert [row["parameters"].get("rate") for row in env.rows()] == [2, 5, None, None]


def test_a_run_within_a_run_is_refused_and_the_outer_one_goes_on(env: AuEnv) -> None:
    env.script(
        """
with au.run("outer"):
    try:
        with au.run("inner"):
            raise AssertionError("entered")
    except au.AurumError as error:
        assert "under way" in str(error)
    au.log(loss=0.5)
"""
    )
    env.python("src/experiment.py").ok()
    assert names(env) == [("outer", "finished")] and env.rows()[0]["metrics"] == {"loss": 0.5}


def test_ctrl_c_in_a_block(env: AuEnv) -> None:
    env.script("import time\nwith au.run('long'):\n    open('../begun', 'w').close()\n    time.sleep(60)\n")
    run = env.start(sys.executable, "src/experiment.py")
    while not (env.root / "begun").exists():
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == -signal.SIGINT and names(env) == [("long", "interrupted")]


def test_where_nothing_is_recorded_blocks_run_all_the_same(env: AuEnv) -> None:
    env.script("with au.run('x') as run:\n    print(run.id, run)\n")
    out = env.run(sys.executable, "src/experiment.py", env={"AURUM_MODE": "disabled"}).ok()
    assert (out.stdout, out.stderr) == ("None <Run not recorded 'x'>\n", "")
    assert env.rows() == []


def test_figures_are_kept_as_pictures(env: AuEnv) -> None:
    env.script(
        """
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot

figure, axes = pyplot.subplots()
axes.plot([1, 2, 3])
au.log_figure(figure)
au.log_figure(figure, "curves.svg", bbox_inches="tight")
for wrong in (lambda: au.log_figure("x.png"), lambda: au.log_figure(figure, "curves")):
    try:
        wrong()
    except au.InvalidValueError as error:
        print(str(error).splitlines()[0])
au.end_experiment()
one = au.experiment()
assert one.artifacts == ["curves.svg", "figure.png"]
assert one.artifact("figure.png").startswith(b"\\x89PNG") and b"<svg" in one.artifact("curves.svg")
"""
    )
    out = env.python("src/experiment.py").ok()
    assert out.stdout == "A figure is kept as a picture, and `str` has no `savefig`\n`curves` tells no format\n"
