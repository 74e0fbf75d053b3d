"""Forked children and workers of `multiprocessing` take part in the run of the process that made them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import AuEnv


def the_row(env: AuEnv) -> dict[str, Any]:
    [row] = env.rows()
    return row


def history(env: AuEnv, tag: str) -> list[dict[str, Any]]:
    text = env.git("show", f"{tag}:.au/experiments/{tag.removeprefix('au/')}/metrics.jsonl")
    return [json.loads(line) for line in text.splitlines()]


def journals(env: AuEnv) -> list[Path]:
    return sorted((env.project / ".git/aurum/runs").glob("*/journal*"))


def test_a_forked_child_logs_prints_and_saves(env: AuEnv) -> None:
    env.script(
        "import os, sys, time\n"
        "au.parameters(a=5)\nau.log(loss=1.0)\nprint('parent before', flush=True)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    assert au.a == 5 and au.parameters(a=7).a == 5\n"
        "    au.log(loss=2.0, own=7)\n    print('child')\n    au.save_model(b'weights', 'worker')\n"
        "    assert au.load_model('worker') == b'weights'\n"
        "    assert au.end_experiment() is False\n"
        "    raise SystemExit(3)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3\n"
        "assert au.load_model('worker') == b'weights'\n"
        "au.log(loss=3.0)\nprint('parent after')\n"
    )
    out = env.python("src/experiment.py").ok()
    assert out.stderr == ""
    row = the_row(env)
    assert (row["status"], row["parameters"], row["metrics"]) == ("finished", {"a": 5}, {"loss": 3.0, "own": 7})
    [tag] = env.tags()
    record = env.record(tag)
    assert record["metrics"]["loss"] == {"count": 3, "last": 3.0, "max": 3.0, "min": 1.0, "step": 1}
    assert list(record["models"]) == ["worker"]
    assert env.log(tag) == "parent before\nchild\nparent after"
    loss = [(line.get("process"), line["step"], line["value"]) for line in history(env, tag) if line["metric"] == "loss"]
    assert loss == [(None, 0, 1.0), (1, 0, 2.0), (None, 1, 3.0)]
    assert journals(env) == []
    env.git("fsck", "--strict")


WORKERS = (
    "import multiprocessing, sys\n"
    "au.parameters(n=3)\n"
    "def work(number):\n"
    "    assert au.n == 3\n"
    "    for step in range(10):\n        au.log({{f'loss{{number}}': step / 10}})\n"
    "    au.register_metric(shared=number)\n"
    "    print(f'worker {{number}}')\n"
    "    return number\n"
    "if __name__ == '__main__':\n"
    "    context = multiprocessing.get_context('{method}')\n"
    "    au.log(loss=1.0)\n"
    "    with context.Pool(3) as pool:\n        assert pool.map(work, range(6)) == list(range(6))\n"
    "        pool.close()\n        pool.join()\n"
    "    au.log(loss=0.5)\n"
)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_log_to_the_run(env: AuEnv, method: str) -> None:
    env.script(WORKERS.format(method=method))
    out = env.python("src/experiment.py", "n=3").ok()
    assert out.stderr == ""
    row = the_row(env)
    assert (row["status"], row["parameters"]) == ("finished", {"n": 3})
    assert {name: value for name, value in row["metrics"].items() if name != "shared"} == {"loss": 0.5, **{f"loss{n}": 0.9 for n in range(6)}}
    [tag] = env.tags()
    record = env.record(tag)
    assert record["metrics"]["shared"]["count"] == 6
    assert all(record["metrics"][f"loss{n}"]["count"] == 10 for n in range(6))
    assert sorted(env.log(tag).splitlines()) == [f"worker {n}" for n in range(6)]
    assert journals(env) == []
    assert env.au("recover").ok().stdout == "Nothing to recover\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_that_logs_nothing_makes_no_file(env: AuEnv, method: str) -> None:
    env.script(
        "import multiprocessing, pathlib\n"
        "au.parameters(n=3)\n"
        "print('at the top level')\nau.log(top=1)\nau.start\n"
        "def work(number):\n    return au.n + number\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context('{method}').Pool(2) as pool:\n        assert pool.map(work, range(4)) == [3, 4, 5, 6]\n"
        "    [journal] = pathlib.Path('.git/aurum/runs').glob('*/journal*')\n"
        "    assert journal.name == 'journal'\n"
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    [tag] = env.tags()
    # What a spawned worker does to have the script's names is its parent's doing over again.
    assert env.record(tag)["metrics"]["top"]["count"] == 1
    assert env.log(tag) == "at the top level"


def test_workers_die_when_their_pool_is_terminated(env: AuEnv) -> None:
    env.script(
        "import multiprocessing, os, signal\n"
        "au.log(loss=1.0)\n"
        "assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL\n"
        "def handler():\n    return signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
        "for number in range(30):\n"
        "    with multiprocessing.get_context('fork').Pool(2) as pool:\n        assert pool.apply(handler)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    au.log(child=1)\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM\n"
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    assert the_row(env)["metrics"] == {"loss": 1.0, "child": 1}


def test_workers_workers_take_part(env: AuEnv) -> None:
    env.script(
        "from concurrent.futures import ProcessPoolExecutor as Pool\nimport multiprocessing\n"
        "def inner(number):\n    au.log(inner=number)\n    return number\n"
        "def outer(context, number):\n"
        "    with Pool(1, mp_context=multiprocessing.get_context(context)) as pool:\n        return pool.submit(inner, number).result(60)\n"
        "if __name__ == '__main__':\n"
        "    au.log(loss=1.0)\n"
        "    for first in ('fork', 'spawn'):\n"
        "        for second in ('fork', 'spawn'):\n"
        "            with Pool(1, mp_context=multiprocessing.get_context(first)) as pool:\n"
        "                assert pool.submit(outer, second, 1).result(60) == 1\n"
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    [tag] = env.tags()
    assert env.record(tag)["metrics"]["inner"]["count"] == 4


def test_another_script_that_a_run_starts_has_a_run_of_its_own(env: AuEnv) -> None:
    env.script("au.log(inner=1)\nprint('inner')\n", "src/inner.py")
    # Its workers are no workers of ours, even if it does not know of Aurum itself.
    env.write(
        "src/stranger.py",
        "import multiprocessing\n"
        "def work(number):\n    import aurum as au\n    au.log(strange=number)\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        pool.map(work, [1])\n",
    )
    env.script(
        "import subprocess, sys, os, multiprocessing\nau.log(outer=1)\n"
        "def work(number):\n    subprocess.run([sys.executable, 'src/inner.py'], check=True)\n"
        "if __name__ == '__main__':\n"
        "    subprocess.run([sys.executable, 'src/inner.py'], check=True)\n"
        "    subprocess.run([sys.executable, 'src/stranger.py'], check=True)\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        pool.map(work, [1])\n"
        "    assert 'AURUM_RUN' in os.environ\n    au.end_experiment()\n    assert 'AURUM_RUN' not in os.environ\n"
    )
    out = env.python("src/experiment.py").ok()
    assert out.stderr.count("no run was under way") == 1
    assert sorted(list(row["metrics"]) for row in env.rows()) == [["inner"], ["inner"], ["outer"]]
    outer = next(tag for tag in env.tags() if "outer" in env.record(tag)["metrics"])
    assert env.log(outer) == ""


def test_children_of_a_process_without_a_run_say_once_that_nothing_is_recorded(env: AuEnv) -> None:
    env.script("import os\npid = os.fork()\nif pid == 0:\n    au.log(loss=1.0)\n    au.log(loss=2.0)\n    os._exit(0)\nos.waitpid(pid, 0)\n")
    out = env.python("src/experiment.py").ok()
    assert out.stderr.count("warning") == 1 and "au" in out.stderr
    assert env.rows() == []


def test_a_child_that_is_killed_has_kept_what_it_logged(env: AuEnv) -> None:
    env.script(
        "import os, signal\nau.log(loss=1.0)\npids = []\n"
        "for number in range(4):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        for step in range(100):\n            au.log(place=step)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    pids.append(pid)\n"
        "for pid in pids:\n    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9\n"
    )
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    assert env.record(tag)["metrics"]["place"]["count"] == 400


def test_a_run_whose_process_is_killed_goes_on_in_its_children(env: AuEnv) -> None:
    env.script(
        "import multiprocessing, os, signal, sys, time\n"
        "def work(gate):\n"
        "    au.log(own=1)\n    print('ready', flush=True)\n    gate.recv()\n    au.log(own=2)\n    print('done', flush=True)\n"
        "if __name__ == '__main__':\n"
        "    au.log(loss=1.0)\n"
        "    ours, theirs = multiprocessing.Pipe()\n"
        "    multiprocessing.get_context('spawn').Process(target=work, args=(theirs,)).start()\n"
        "    sys.stdin.readline()\n    ours.send(1)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"
    process.wait(timeout=60)
    deadline = time.monotonic() + 60
    while the_row(env)["status"] == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    row = the_row(env)
    assert (row["status"], row["metrics"]) == ("lost", {"loss": 1.0, "own": 2})
    assert "killed" in env.au("recover").ok().stdout
    [tag] = env.tags()
    assert env.record(tag)["metrics"]["own"]["count"] == 2
    assert env.log(tag) == "ready\ndone"


def test_a_child_that_outlives_its_run_is_kept_too(env: AuEnv) -> None:
    env.script(
        "import os, sys, time\nau.log(loss=1.0)\n"
        "told, tell = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n    au.log(own=1)\n    os.write(tell, b'x')\n"
        "    while not os.path.exists('go'):\n        time.sleep(0.01)\n"
        "    au.log(own=2)\n    print('late', flush=True)\n    os._exit(0)\n"
        "os.read(told, 1)\n"
    )
    begin = time.monotonic()
    process = subprocess.Popen([sys.executable, "src/experiment.py"], cwd=env.project, env=env.environment, stdout=subprocess.DEVNULL)
    assert process.wait(timeout=60) == 0
    assert time.monotonic() - begin < 30, "the run's end waits for no child"
    [tag] = env.tags()
    first = env.git("rev-parse", tag)
    assert (the_row(env)["status"], env.record(tag)["metrics"]["own"]["count"]) == ("finished", 1)
    assert env.au("recover").ok().stdout == "Nothing to recover\n"
    env.write("go", "")
    deadline = time.monotonic() + 60
    while "recovered" not in env.au("recover").ok().stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    record = env.record(tag)
    assert (record["status"], record["metrics"]["own"]["count"]) == ("finished", 2)
    assert env.log(tag) == "late"
    assert env.git("rev-parse", f"{tag}^@").splitlines()[-1] == first, "the earlier commit is kept as a parent"
    assert the_row(env)["metrics"] == {"loss": 1.0, "own": 2}
    assert journals(env) == []
    env.git("fsck", "--strict")


SINGLE_THREADED = """
import os, threading

def look():
    # Registered first, so called last: right before the fork.
    print(len(os.listdir("/proc/self/task")), threading.active_count())

os.register_at_fork(before=look)
import aurum as au
for _ in range(3):
    au.log(loss=0.0)
    au.log(loss=0.0)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_at_a_fork_no_thread_is_there_that_the_script_did_not_start(env: AuEnv) -> None:
    """Python 3.12 and later warn of it."""
    env.write("src/experiment.py", SINGLE_THREADED)
    out = env.run(sys.executable, "-W", "error", "src/experiment.py").ok()
    assert (out.stdout, out.stderr) == ("1 1\n" * 3, "")


FORKS_BESIDE_THREADS = """
import os, sys, threading, time
au.parameters(rounds=100)
au.log(loss=0.0)
stop = threading.Event()
logged = [0] * 8

def work(number):
    while not stop.is_set():
        au.log({f"thread{number}": logged[number]})
        logged[number] += 1
        if logged[number] % 50 == 0:
            print(f"thread {number}")
        if logged[number] % 200 == 0:
            au.save_model(bytes(200_000), f"model{number}")

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for child in range(au.rounds):
    pid = os.fork()
    if pid == 0:
        au.log(child=child)
        print("child")
        os._exit(0)
    deadline = time.monotonic() + 60
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            stop.set()
            sys.exit(f"child {child} hangs")
        time.sleep(0.001)
stop.set()
for thread in threads:
    thread.join()
au.register_metric(**{f"count{number}": count for number, count in enumerate(logged)})
"""


def test_eight_threads_log_while_a_ninth_forks_a_hundred_times(env: AuEnv) -> None:
    env.script(FORKS_BESIDE_THREADS)
    # A child must not inherit half of what another thread was about to print: that is Python's own, and no part of this.
    out = env.python("src/experiment.py", timeout=300, env={"PYTHONUNBUFFERED": "1"}).ok()
    assert out.stderr == ""
    [tag] = env.tags()
    metrics = env.record(tag)["metrics"]
    assert metrics["child"]["count"] == 100
    assert sorted(line["value"] for line in history(env, tag) if line["metric"] == "child") == list(range(100))
    for number in range(8):
        assert metrics[f"thread{number}"]["count"] == metrics[f"count{number}"]["last"] > 0
    assert env.log(tag).splitlines().count("child") == 100
