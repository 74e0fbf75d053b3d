"""Samples of how busy the computer is, for those who ask for them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import AuEnv

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells all of it")

ALWAYS = {"memory", "process/memory"}
RATES = {"cpu", "process/cpu", "process/read", "process/written", "network/received", "network/sent"}

#: The threads that sample, by the names that they give themselves once they run.
THREADS = """
import glob, os, pathlib, time
def name(path):
    try:
        return pathlib.Path(path).read_text().strip()
    # A thread that has ended since it was listed.
    except (FileNotFoundError, ProcessLookupError):
        return ""
def threads():
    return [path for path in glob.glob("/proc/self/task/*/comm") if name(path) == "aurum-system"]
def is_one():
    end = time.monotonic() + 5
    while len(threads()) != 1 and time.monotonic() < end:
        time.sleep(0.005)
    return len(threads()) == 1
"""


def system(env: AuEnv, tag: str | None = None) -> dict[str, Any]:
    metrics = env.record(tag or env.tags()[0])["metrics"]
    return {name.removeprefix("system/"): metric for name, metric in metrics.items() if name.startswith("system/")}


def test_nothing_is_sampled_unless_asked_for(env: AuEnv) -> None:
    env.script(THREADS + "au.log(a=1)\ntime.sleep(0.3)\nassert threads() == []\n")
    env.python("src/experiment.py").ok()
    assert system(env) == {}


@pytest.mark.parametrize("setting", [False, True])
def test_samples_are_metrics_that_comparing_leaves_out(env: AuEnv, setting: bool) -> None:
    if setting:
        env.git("config", "aurum.sampleSystem", "0.1")
    begin = "au.start()" if setting else "au.start('sampled', sample_system=0.1)"
    env.script(
        THREADS
        + begin
        + """
data = bytearray(50_000_000)
assert is_one()
end = time.monotonic() + 1
while time.monotonic() < end:
    pass
au.log(loss=1)
au.end_experiment()
assert threads() == []
"""
    )
    out = env.python("src/experiment.py").ok()
    assert out.stderr == ""
    metrics = system(env)
    assert {*metrics} >= ALWAYS | RATES
    assert 3 <= metrics["memory"]["count"] <= 15 and metrics["cpu"]["step"] == metrics["cpu"]["count"] - 1
    assert metrics["process/memory"]["last"] > 50e6
    assert metrics["process/cpu"]["max"] > 20 and 0 <= metrics["cpu"]["last"] <= 100
    assert "system" not in env.au("metrics").ok().stdout and "system/cpu" in env.au("metrics", "--all").ok().stdout
    assert "system/cpu" in json.dumps(env.rows()) and "system/cpu" in env.au("show", "@").ok().stdout
    assert "system" not in env.git("log", "-1", "--format=%B", env.tags()[0])


def test_a_short_run_has_a_sample_at_its_end_and_children_count(env: AuEnv) -> None:
    env.script(
        "import subprocess, sys\nau.start(sample_system=60)\n"
        "subprocess.run([sys.executable, '-c', 'data = bytearray(10)'], check=True)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'data = bytearray(200_000_000); print(1, flush=True); input()'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\nchild.stdout.readline()\nau.end_experiment()\nchild.communicate(b'\\n')\n"
    )
    env.python("src/experiment.py").ok()
    metrics = system(env)
    assert metrics["cpu"]["count"] == 1 and metrics["process/memory"]["last"] > 200e6


def test_the_thread_is_at_no_fork_and_goes_on_after_it(env: AuEnv) -> None:
    env.script(
        THREADS
        + """
au.start(sample_system=0.1)
seen = []
# Python counts threads after the handlers that were registered before this one.
os.register_at_fork(after_in_parent=lambda: seen.append(threads()))
for _ in range(20):
    if os.fork() == 0:
        assert threads() == []
        au.log(child=1)
        os._exit(0)
    os.wait()
    au.log(parent=1)
    assert is_one()
assert seen == [[]] * 20, seen
time.sleep(0.5)
"""
    )
    out = env.python("-W", "error", "src/experiment.py").ok()
    assert out.stderr == ""
    metrics = system(env)
    assert metrics["memory"]["count"] >= 3
    record = env.record(env.tags()[0])
    assert (record["metrics"]["parent"]["count"], record["metrics"]["child"]["count"]) == (20, 20)


def test_many_children_beside_threads_that_log_end_in_time(env: AuEnv) -> None:
    env.script(
        THREADS
        + """
import threading
au.start(sample_system=0.1)
over = threading.Event()
def log():
    while not over.is_set():
        au.log(thread=1)
loggers = [threading.Thread(target=log) for _ in range(2)]
for logger in loggers:
    logger.start()
for _ in range(60):
    child = os.fork()
    if child == 0:
        au.log(child=1)
        os._exit(0)
    os.waitpid(child, 0)
over.set()
for logger in loggers:
    logger.join()
"""
    )
    env.python("-W", "ignore", "src/experiment.py", timeout=100).ok()
    assert env.record(env.tags()[0])["metrics"]["child"]["count"] == 60


def test_gpus_are_sampled(env: AuEnv, nvml: Path) -> None:
    env.script("import time\nau.start(sample_system=0.1)\ntime.sleep(0.3)\n")
    env.python("src/experiment.py", env={"LD_LIBRARY_PATH": str(nvml)}).ok()
    metrics = system(env)
    assert (metrics["gpu0/busy"]["last"], metrics["gpu0/memory"]["last"]) == (37.0, 1073741824.0)
    assert metrics["gpu2/busy"]["last"] == 5.0 and not [name for name in metrics if name.startswith("gpu1")]


@pytest.mark.parametrize("seconds", ["0.05", "-1", "'often'", "float('nan')", "float('inf')"])
def test_no_time_is_a_mistake(env: AuEnv, seconds: str) -> None:
    env.script(f"au.start(sample_system={seconds})\n")
    env.python("src/experiment.py").failed(1, "aurum.InvalidValueError: `sample_system` takes seconds", "hint: ")
    assert env.tags() == []


def test_a_setting_that_is_no_time_is_told_once(env: AuEnv) -> None:
    env.git("config", "aurum.sampleSystem", "often")
    env.script("au.log(a=1)\nau.end_experiment()\nau.log(a=2)\n")
    out = env.python("src/experiment.py").ok()
    assert out.stderr.count("`aurum.sampleSystem` is `often`") == 1 and "hint: " in out.stderr
    assert len(env.tags()) == 2


def test_a_script_can_switch_the_setting_off(env: AuEnv) -> None:
    env.git("config", "aurum.sampleSystem", "0.1")
    env.script("import time\nau.start(sample_system=0)\ntime.sleep(0.3)\n")
    env.python("src/experiment.py").ok()
    assert system(env) == {}


def test_a_kill_keeps_what_was_sampled(env: AuEnv) -> None:
    env.script("import os, signal, time\nau.start(sample_system=0.1)\ntime.sleep(0.5)\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert env.python("src/experiment.py").code == -9
    env.au("recover").ok()
    assert system(env)["memory"]["count"] >= 2
