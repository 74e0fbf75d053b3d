"""Several runs in one process: blocks within one another, in threads and in tasks; and scripts that a run starts."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from conftest import AuEnv


def by_name(env: AuEnv) -> dict[str, dict[str, Any]]:
    rows = env.rows()
    named = {row.get("name", ""): row for row in rows}
    assert len(named) == len(rows), rows
    return named


def test_threads_each_have_a_run_of_their_own(env: AuEnv) -> None:
    env.script(
        """
import threading
from concurrent.futures import ThreadPoolExecutor

gate = threading.Barrier(8)

def work(number):
    with au.run(f"n{number}") as run:
        gate.wait()
        au.parameters(number=number)
        for step in range(50):
            au.log(loss=number + step / 100)
        gate.wait()
        assert au.number == number == au.params["number"] and dict(au.params) == {"number": number}
        print("this is", number)
        au.note(f"note {number}")
        au.tag(f"t{number}")
        au.save_model(b"%d" % number)
        gate.wait()
        assert au.load_model() == b"%d" % number
    return run.id

with ThreadPoolExecutor(8) as pool:
    ids = list(pool.map(work, range(8)))
assert len(set(ids)) == 8
print("nobody's")
assert au.experiment("n3").model() == b"3"
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    rows = by_name(env)
    assert sorted(rows) == [f"n{number}" for number in range(8)]
    for number in range(8):
        row = rows[f"n{number}"]
        assert (row["status"], row["parameters"], row["tags"]) == ("finished", {"number": number}, [f"t{number}"])
        assert "parent" not in row and row["metrics"] == {"loss": number + 0.49}
        record = env.record(f"au/{row['id']}")
        assert record["metrics"]["loss"]["count"] == 50 and [note["text"] for note in record["notes"]] == [f"note {number}"]
        assert env.log(f"au/{row['id']}") == f"this is {number}"
    assert not list((env.project / ".git/aurum/runs").iterdir())


def test_blocks_within_a_run_are_parts_of_it(env: AuEnv) -> None:
    env.script(
        """
import threading

au.start("whole")
au.parameters(rate=0.5, seed=1)

def fold(number):
    with au.run(f"fold {number}"):
        assert (au.rate, au.seed) == (0.5, 1)
        au.parameters(number=number)
        au.log(loss=number)

threads = [threading.Thread(target=fold, args=(number,)) for number in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert dict(au.params) == {"rate": 0.5, "seed": 1}
with au.run("inner"):
    print("within")
    with au.run("innermost"):
        au.log(deep=1)
    au.log(shallow=1)
    # A thread in no block of its own is in the main thread's.
    thread = threading.Thread(target=lambda: au.log(helper=1))
    thread.start()
    thread.join()
au.log(loss=9)
whole = au.experiment("whole")
assert {one.name for one in whole.children()} == {"fold 0", "fold 1", "fold 2", "inner"}
"""
    )
    out = env.python("src/experiment.py", "rate=0.5").ok()
    assert out.stderr == ""
    rows = by_name(env)
    whole = rows["whole"]["id"]
    assert all(rows[f"fold {number}"]["parent"] == whole for number in range(3)) and rows["inner"]["parent"] == whole
    assert rows["innermost"]["parent"] == rows["inner"]["id"] and rows["inner"]["metrics"] == {"shallow": 1, "helper": 1}
    assert rows["whole"]["metrics"] == {"loss": 9} and "parent" not in rows["whole"]
    assert rows["fold 1"]["parameters"] == {"rate": 0.5, "seed": 1, "number": 1}
    assert env.log(f"au/{rows['inner']['id']}") == "within" and env.log(f"au/{whole}") == ""
    assert f"part of     {whole}" in env.au("show", "inner").ok().stdout.splitlines()
    found = env.au("metrics", "--where", f"parent = {whole[:8]}", "--json").ok().stdout
    assert found.count('"parent"') == 4


def test_what_ends_a_block_of_a_thread_ends_its_run_alone(env: AuEnv) -> None:
    env.script(
        """
import sys, threading
threading.excepthook = lambda _: None

def ended_by(name, exception):
    with au.run(name):
        au.log(loss=1)
        raise exception

for name, exception in (("broken", ValueError("no")), ("left", SystemExit()), ("code", SystemExit(3))):
    thread = threading.Thread(target=ended_by, args=(name, exception))
    thread.start()
    thread.join()
with au.run("main"):
    pass
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    assert {name: row["status"] for name, row in by_name(env).items()} == {
        "broken": "failed",
        "left": "finished",
        "code": "failed",
        "main": "finished",
    }


def test_tasks_each_have_a_run_of_their_own(env: AuEnv) -> None:
    env.script(
        """
import asyncio

async def inner(number):
    await asyncio.sleep(0)
    au.log(inner=number)

async def work(number):
    with au.run(f"n{number}"):
        for step in range(5):
            au.log(loss=number)
            await asyncio.sleep(0.001)
        print("this is", number)
        await asyncio.gather(inner(number), asyncio.to_thread(lambda: au.log(thread=number)))

@au.run
async def later():
    await asyncio.sleep(0.002)
    au.log(loss=-1)

async def everything():
    await asyncio.gather(*map(work, range(5)), later())

asyncio.run(everything())
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    rows = by_name(env)
    for number in range(5):
        row = rows[f"n{number}"]
        assert row["metrics"] == {"loss": number, "inner": number, "thread": number} and "parent" not in row
        assert env.log(f"au/{row['id']}") == f"this is {number}"
    assert rows["later"]["metrics"] == {"loss": -1}


def test_a_task_that_is_cancelled_is_interrupted_and_a_generator_that_is_closed_is_done(env: AuEnv) -> None:
    env.script(
        """
import asyncio

async def work():
    with au.run("task"):
        await asyncio.sleep(600)

async def everything():
    task = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(everything())

def steps():
    with au.run("generator"):
        yield 1
        yield 2

for step in steps():
    break
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    assert {name: row["status"] for name, row in by_name(env).items()} == {"task": "interrupted", "generator": "finished"}


def test_functions_of_all_kinds_are_runs_but_generators(env: AuEnv) -> None:
    env.script(
        """
import functools

def train(rate):
    au.log(rate=rate)

au.run(functools.partial(train, 0.5))()

def generator():
    yield 1

async def others():
    yield 1

for function in (generator, others):
    try:
        au.run(function)
    except au.InvalidValueError as error:
        print(error)
"""
    )
    out = env.python("src/experiment.py").ok().stdout.splitlines()
    assert out[0] == "`generator` is a generator, which can be no run" and out[1].startswith("hint: ") and len(out) == 4
    [row] = env.rows()
    assert row["metrics"] == {"rate": 0.5}


def test_a_child_that_is_forked_in_a_block_takes_part_in_it(env: AuEnv) -> None:
    env.script(
        """
import multiprocessing, os, threading

def child(number):
    au.log(child=number)
    print("child of", number)

def work(number, method):
    with au.run(f"n{number}"):
        au.parameters(number=number)
        process = multiprocessing.get_context(method).Process(target=child, args=(number,))
        process.start()
        process.join()
        assert process.exitcode == 0

if __name__ == "__main__":
    threads = [threading.Thread(target=work, args=(number, "fork")) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    with au.run("outer"):
        work(9, "spawn")
"""
    )
    assert "warning: What" not in env.python("src/experiment.py").ok().stderr
    rows = by_name(env)
    for number in (0, 1, 2, 3, 9):
        row = rows[f"n{number}"]
        assert row["metrics"] == {"child": number} and env.log(f"au/{row['id']}") == f"child of {number}"
    assert len(rows) == 6


def test_forks_beside_threads_that_log_to_their_own_runs(env: AuEnv) -> None:
    env.script(
        """
import os, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
over = threading.Event()

def work(number):
    with au.run(f"n{number}"):
        while not over.is_set():
            au.log(loss=number)
            au.log({"a": 1, "b": 2})

au.start("main")
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
[thread.start() for thread in threads]
for number in range(40):
    pid = os.fork()
    if pid == 0:
        au.log(child=number)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
over.set()
[thread.join() for thread in threads]
"""
    )
    env.run(sys.executable, "src/experiment.py", timeout=300).ok()
    rows = by_name(env)
    assert env.record(f"au/{rows['main']['id']}")["metrics"]["child"]["count"] == 40
    assert all(set(rows[f"n{number}"]["metrics"]) == {"loss", "a", "b"} for number in range(3))


def test_runs_of_threads_that_are_cut_off_are_saved(env: AuEnv) -> None:
    env.script(
        """
import threading, time
begun = threading.Event()
def work():
    with au.run("daemon"):
        au.log(loss=1)
        begun.set()
        time.sleep(600)
threading.Thread(target=work, daemon=True).start()
begun.wait()
au.start("main")
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    assert {name: (row["status"], row["metrics"]) for name, row in by_name(env).items()} == {"daemon": ("killed", {"loss": 1}), "main": ("finished", {})}


def test_all_runs_of_a_process_that_is_asked_to_end_are_saved(env: AuEnv) -> None:
    env.script(
        """
import threading, time
ready = threading.Barrier(3)
def work(number):
    with au.run(f"n{number}"):
        au.log(loss=number)
        ready.wait()
        time.sleep(600)
au.start("main")
[threading.Thread(target=work, args=(number,), daemon=True).start() for number in range(2)]
ready.wait()
open("../begun", "w").close()
time.sleep(600)
"""
    )
    run = env.start(sys.executable, "src/experiment.py")
    while not (env.root / "begun").exists():
        time.sleep(0.01)
    run.terminate()
    assert run.communicate(timeout=60)[1] == "" and run.returncode == -signal.SIGTERM
    assert {name: row["status"] for name, row in by_name(env).items()} == {"main": "killed", "n0": "killed", "n1": "killed"}
    assert env.au("recover").ok().stdout == "Nothing to recover\n"


def test_blocks_in_threads_without_recording_read_their_own_parameters(env: AuEnv) -> None:
    env.script(
        """
import threading
gate = threading.Barrier(4)
def work(number):
    with au.run(f"n{number}") as run:
        au.parameters(number=number)
        gate.wait()
        assert au.number == number and run.id is None
        with au.run():
            au.parameters(number=-number)
            gate.wait()
            assert au.number == -number
        assert au.number == number
        au.log(loss=1)
        au.tag("x")
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with au.run(), au.run():
    au.log(loss=1)
print("well")
"""
    )
    out = env.python("src/experiment.py", env={"AURUM_MODE": "disabled"}).ok()
    assert (out.stdout, out.stderr) == ("well\n", "") and env.rows() == []


def test_the_environment_says_which_run_a_script_is_a_part_of(env: AuEnv) -> None:
    env.script("au.start('inner')\nimport os\nassert len(os.environ['AURUM_RUN']) == 36\nau.load_model()\n", "src/inner.py")
    env.write(
        "src/between.py",
        "import os, subprocess, sys\nimport aurum as au\nbefore = os.environ['AURUM_RUN']\n"
        "subprocess.run([sys.executable, 'src/inner.py'], check=True)\nassert os.environ['AURUM_RUN'] == before\n",
    )
    env.script(
        """
import os, subprocess, sys
assert "AURUM_RUN" not in os.environ
with au.run("outer") as outer:
    au.save_model(b"parent's")
    assert os.environ["AURUM_RUN"] == outer.id
    subprocess.run([sys.executable, "src/between.py"], check=True)
    with au.run("block") as block:
        assert os.environ["AURUM_RUN"] == block.id
    assert os.environ["AURUM_RUN"] == outer.id
assert "AURUM_RUN" not in os.environ
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    rows = by_name(env)
    assert rows["inner"]["parent"] == rows["outer"]["id"] == rows["block"]["parent"]
    assert env.record(f"au/{rows['inner']['id']}")["inputs"][0]["experiment"] == rows["outer"]["id"], "its parent's model"
    # By hand, of a run that is saved.
    env.script("au.log(loss=1)\nau.end_experiment()\nimport os\nprint(os.environ['AURUM_RUN'])\n", "src/by_hand.py")
    saved = rows["outer"]["id"]
    assert env.python("src/by_hand.py", env={"AURUM_RUN": saved}).ok().stdout == f"{saved}\n"
    assert env.rows()[-1]["parent"] == saved
    for foreign in ("", "nonsense", "../..", "0f6a1c1e-5b0e-4d6c-9a3f-0123456789ab", f"{saved} 1 /"):
        out = env.python("src/by_hand.py", env={"AURUM_RUN": foreign, "AURUM_WORKERS": foreign}).ok()
        assert (out.stdout, out.stderr) == (f"{foreign}\n", "") and "parent" not in env.rows()[-1]
    assert env.python("src/experiment.py", env={"AURUM_MODE": "disabled"}).code == 1, "the variable is a run's"


def test_a_script_of_another_project_is_no_part_of_the_run(env: AuEnv) -> None:
    other = AuEnv(env.root / "elsewhere", env.root / "elsewhere/other")
    other.au("init").ok()
    other.script("au.start('other')\n")
    script = other.project / "src/experiment.py"
    env.script(f"import subprocess, sys\nau.start('ours')\nsubprocess.run([sys.executable, {str(script)!r}], cwd={str(other.project)!r}, check=True)\n")
    assert env.python("src/experiment.py").ok().stderr == ""
    assert list(by_name(env)) == ["ours"] and "parent" not in by_name(other)["other"]
    assert os.environ.get("AURUM_RUN") is None
