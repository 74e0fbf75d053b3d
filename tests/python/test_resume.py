"""`au.start(resume=...)`: an experiment that was saved goes on, and both stretches are kept."""

from __future__ import annotations

import os
import signal
import sys
import time

from conftest import AuEnv

FIRST = """
import os, signal
au.start("long", tags=["first"])
au.parameters(rate=0.1, depth=3)
for step in range(10):
    au.log(loss=1 - step / 100, step=step)
au.save_model(b"early")
au.save_model(b"kept", "other")
au.log_artifact(b"a", "a.txt")
au.note("before")
print("first stretch", flush=True)
"""

SECOND = """
au.start(resume="long", tags=["second"])
au.parameters(rate=0.2)
assert au.load_model() == b"early"
for step in range(6, 12):
    au.log(loss=0.5, step=step)
au.log(loss=0.25)
au.save_model(b"late")
au.note("after")
print("second stretch", flush=True)
"""

CHECK = """
one = au.experiment("long")
assert one.status == STATUS, one.status
assert one.parameters == {"rate": 0.2, "depth": 3} and one.tags == ["first", "second"], one.parameters
assert one.metrics == {"loss": 0.25}
points = [(point.step, point.value) for point in one.history("loss")]
assert points == [(step, 1 - step / 100) for step in range(6)] + [(step, 0.5) for step in range(6, 12)] + [(12, 0.25)], points
assert one.record["metrics"]["loss"]["count"] == 13
times = [point.time for point in one.history("loss")]
assert times == sorted(times)
assert (one.model(), one.model("other"), one.artifact("a.txt")) == (b"late", b"kept", b"a")
assert one.notes == ["before", "after"] and one.log() == "first stretch\\nsecond stretch\\n"
assert [stretch["status"] for stretch in one.stretches] == [FORMER]
assert len(au.metrics()) == 1
"""


def check(env: AuEnv, status: str, former: str) -> None:
    env.write("src/check.py", f"import aurum as au\nSTATUS, FORMER = {status!r}, {former!r}\n" + CHECK)
    assert env.python("src/check.py").ok().stderr == ""


def test_a_finished_experiment_goes_on(env: AuEnv) -> None:
    env.script(FIRST)
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    first = env.git("rev-parse", tag)
    env.script(SECOND + "\nSTATUS, FORMER = 'running', 'finished'\n" + CHECK)
    assert env.python("src/experiment.py").ok().stderr == ""
    check(env, "finished", "finished")
    assert env.tags() == [tag] and env.git("rev-parse", f"{tag}^2") == first, "the earlier commit is the last parent"
    shown = env.au("show", "long").ok().stdout
    assert "Stretches before it was resumed" in shown and "changed after it" in shown and "\nresumed  " in shown
    assert env.au("logs", "long").ok().stdout == "first stretch\nsecond stretch\n"
    assert env.git("fsck", "--strict", "--no-dangling") == "" and not list((env.project / ".git/aurum/runs").iterdir())
    assert env.au("verify", "--full").ok().code == 0
    env.au("metrics", "--where", "duration < 1h").ok()


def test_kill_9_in_the_middle_of_a_stretch_loses_neither(env: AuEnv) -> None:
    env.script(FIRST + "os.kill(os.getpid(), signal.SIGKILL)\n")
    assert env.python("src/experiment.py").code == -signal.SIGKILL
    env.script(SECOND + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert env.python("src/experiment.py").code == -signal.SIGKILL
    check(env, "lost", "killed")
    assert env.au("recover").ok().stdout.startswith("recovered")
    check(env, "killed", "killed")
    # Without git's help: the earlier commit is a parent, so that no maintenance removes it.
    env.git("gc", "--prune=now", "--quiet")
    check(env, "killed", "killed")


def test_a_stretch_that_can_not_begin_says_why_and_records_nothing(env: AuEnv) -> None:
    env.script("import os, time\nau.start('going on')\nopen('../begun', 'w').close()\ntime.sleep(600)\n", "src/long.py")
    run = env.start(sys.executable, "src/long.py")
    while not (env.root / "begun").exists():
        time.sleep(0.01)
    env.script(
        """
for selector in ("going on", "nobody", ""):
    try:
        au.start(resume=selector)
    except au.AurumError as error:
        print(type(error).__name__, str(error).splitlines()[0])
try:
    with au.run(resume="nobody"):
        raise AssertionError("entered")
except au.UnknownExperimentError:
    pass
"""
    )
    out = env.python("src/experiment.py").ok()
    short = env.rows()[0]["id"][:8]
    assert out.stdout.splitlines() == [
        f"AurumError The experiment `{short}` is still running, and can't be resumed",
        "UnknownExperimentError No experiment matches `nobody`",
        "AurumError The selector is empty",
    ]
    assert len(env.rows()) == 1
    run.kill()
    run.communicate(timeout=60)
    # Once its process is gone it is saved, and goes on.
    env.script("with au.run(resume='going on') as run:\n    au.log(loss=1)\nassert run.experiment().record['stretches'][0]['status'] == 'killed'\n")
    assert env.python("src/experiment.py").ok().stderr == ""
    assert [(row["name"], row["status"]) for row in env.rows()] == [("going on", "finished")]


def test_two_that_resume_one_experiment_at_once(env: AuEnv) -> None:
    env.script(FIRST)
    env.python("src/experiment.py").ok()
    env.script(
        """
import time
try:
    au.start(resume="long")
except au.AurumError as error:
    print(str(error).splitlines()[0])
else:
    au.log(loss=0.5)
    time.sleep(1)
"""
    )
    runs = [env.start(sys.executable, "src/experiment.py") for _ in range(4)]
    said = [run.communicate(timeout=60) for run in runs]
    assert sorted("still running" in out for out, _ in said) == [False, True, True, True], said
    assert env.record(env.tags()[0])["metrics"]["loss"]["count"] == 11


def test_workers_of_a_stretch_and_stretches_after_stretches(env: AuEnv) -> None:
    env.script(
        """
import os
for number in range(3):
    au.start(resume="@") if number else au.start()
    au.log(loss=number)
    if os.fork() == 0:
        au.log(child=number)
        print("child", number, flush=True)
        os._exit(0)
    os.wait()
    au.end_experiment()
one = au.experiment()
assert [(point.step, point.value) for point in one.history("loss")] == [(0, 0), (1, 1), (2, 2)]
assert [point.value for point in one.history("child")] == [0, 1, 2] and one.log() == "child 0\\nchild 1\\nchild 2\\n"
assert len(one.record["stretches"]) == 2
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""


def test_an_archived_experiment_goes_on(env: AuEnv) -> None:
    env.script(FIRST)
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    env.git("add", "--all")
    env.git("commit", "--quiet", "--message", "Code")
    env.au("archive").ok()
    env.script(SECOND)
    assert env.python("src/experiment.py").ok().stderr == ""
    check(env, "finished", "finished")
    env.au("archive").ok()
    check(env, "finished", "finished")
    assert env.tags() in ([], [tag])


def test_where_nothing_is_recorded_nothing_is_resumed(env: AuEnv) -> None:
    env.script("au.start(resume='nobody')\nwith au.run(resume='nobody'):\n    au.log(loss=1)\n")
    assert env.python("src/experiment.py", env={"AURUM_MODE": "disabled"}).ok().stderr == ""
    assert env.rows() == [] and "AURUM_RUN" not in os.environ


def test_histories_of_any_length_go_on(env: AuEnv) -> None:
    env.script("for step in range(120_000):\n    au.log(loss=step, step=step)\n")
    env.python("src/experiment.py").ok()
    env.script("au.start(resume='@')\nfor step in range(100_000, 130_000):\n    au.log(loss=-step, step=step)\n")
    assert env.python("src/experiment.py").ok().stderr == ""
    [tag] = env.tags()
    assert env.record(tag)["metrics"]["loss"] == {"count": 130_000, "last": -129_999, "max": 99_999, "min": -129_999, "step": 129_999}
    env.script("points = au.experiment().history('loss')\nassert [point.step for point in points] == list(range(130_000))\n")
    env.python("src/experiment.py").ok()
