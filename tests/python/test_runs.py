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


def test_starting_within_a_block_is_refused_and_the_block_goes_on(env: AuEnv) -> None:
    env.script(
        """
with au.run("outer"):
    try:
        au.start("inner")
        raise AssertionError("started")
    except au.AurumError as error:
        assert "under way" in str(error) and "with aurum.run()" in str(error)
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
    out = env.run(sys.executable, "src/experiment.py", env={"AURUM_MODE": "Disabled"}).ok()
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
au.log_figure(axes, __import__("pathlib").Path("axes.png"))
for wrong in (lambda: au.log_figure("x.png"), lambda: au.log_figure(figure, "curves")):
    try:
        wrong()
    except au.InvalidValueError as error:
        print(str(error).splitlines()[0])
au.end_experiment()
one = au.experiment()
assert one.artifacts == ["axes.png", "curves.svg", "figure.png"]
assert one.artifact("figure.png").startswith(b"\\x89PNG") and b"<svg" in one.artifact("curves.svg")
"""
    )
    out = env.python("src/experiment.py").ok()
    assert out.stdout == "A figure is kept as a picture, and `str` has no `savefig`\n`curves` tells no format\n"


WAITS = """
import os, signal, sys, time
au.log(loss=0.5)
print("begun", flush=True)
open("../begun", "w").close()
{more}
time.sleep(60)
"""


def terminated(env: AuEnv, more: str = "") -> tuple[int, str]:
    """Begins a script, asks it to end, and answers what it ended with and said."""
    env.script(WAITS.format(more=more))
    (env.root / "begun").unlink(missing_ok=True)
    run = env.start(sys.executable, "src/experiment.py")
    while not (env.root / "begun").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    run.terminate()
    out, err = run.communicate(timeout=60)
    assert err == ""
    return run.returncode, out


def test_a_script_that_is_asked_to_end_is_saved_and_dies_as_it_would_have(env: AuEnv) -> None:
    assert terminated(env) == (-signal.SIGTERM, "begun\n")
    assert names(env) == [(None, "killed")]
    assert env.rows()[0]["metrics"] == {"loss": 0.5} and env.au("logs").ok().stdout == "begun\n"
    assert env.au("recover").ok().stdout == "Nothing to recover\n", "it is saved already"
    # In children what they logged is kept, and the run goes on.
    children = "if os.fork() == 0:\n    au.log(child=1)\n    open('../child', 'w').close()\n    time.sleep(60)\n"
    children += "while not os.path.exists('../child'): time.sleep(0.01)\nos.kill(0, signal.SIGTERM)\n"
    env.script(WAITS.format(more="os.setpgrp()\n" + children))
    assert env.run(sys.executable, "src/experiment.py").code == -signal.SIGTERM
    env.au("recover").ok()
    last = env.rows()[-1]
    assert (last["status"], last["metrics"]) == ("killed", {"loss": 0.5, "child": 1})


def test_a_handler_of_the_scripts_own_is_left_alone(env: AuEnv) -> None:
    own = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))"
    assert terminated(env, own) == (3, "begun\n")
    assert terminated(env, "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.kill(os.getpid(), 15)\nsys.exit()") == (0, "begun\n")
    env.script(f"import signal, sys\n{own}\nau.log(loss=1.0)\nassert signal.getsignal(signal.SIGTERM).__name__ == '<lambda>'\n")
    env.python("src/experiment.py").ok()
    env.script(
        "import signal\nwith au.run():\n    assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
    )
    env.python("src/experiment.py").ok()
    assert [status for _, status in names(env)] == ["failed", "finished", "finished", "finished"]
