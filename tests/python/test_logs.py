"""`au logs`: what experiments printed, and what runs go on to print."""

from __future__ import annotations

import subprocess
import sys
import time

from conftest import AuEnv

SCRIPT = """
import sys
au.start("base")
print("first")
for step in range(3):
    print(f"\\r{step}/2", end="", flush=True)
print()
print("careful", file=sys.stderr)
raise ValueError("no such thing")
"""


def test_both_streams_and_the_traceback(env: AuEnv) -> None:
    env.script(SCRIPT)
    env.python("src/experiment.py").failed(1)
    [tag] = env.tags()
    log = env.au("logs").ok().stdout
    assert log == env.log(tag) + "\n"
    assert log.startswith("first\n2/2\ncareful\nTraceback") and log.endswith("ValueError: no such thing\n")
    for selector in (tag, tag.removeprefix("au/")[:6], "base", "@"):
        assert env.au("logs", selector).ok().stdout == log
    assert env.au("log", "@", "-n", "1").ok().stdout == "ValueError: no such thing\n"
    env.au("logs", "@~1").failed(1, "asks for more experiments than there are")


def test_a_large_log_passes_whole(env: AuEnv) -> None:
    env.script("au.start()\nfor step in range(120_000):\n    print(f'{step:06} ' + 'x' * 50)\n")
    env.python("src/experiment.py").ok()
    log = env.au("logs").ok().stdout
    [tag] = env.tags()
    assert log == env.log(tag) + "\n" and log.endswith("119999 " + "x" * 50 + "\n") and len(log) > 6 << 20
    # Whoever has read enough goes away.
    head = "au logs | head -n 1; echo ${PIPESTATUS[0]}"
    out = env.run("bash", "-c", head).ok()
    assert out.stdout.split("\n")[0] == "000000 " + "x" * 50 and out.stderr == ""


GOES_ON = """
import os, sys, time
au.start()
print("begun", flush=True)
print("half a", end="", flush=True)
open("../printed", "w").close()
while not os.path.exists("../go"):
    time.sleep(0.01)
print(" line")
print("last")
"""


def test_a_run_is_followed_to_its_end(env: AuEnv) -> None:
    env.script(GOES_ON)
    run = env.start(sys.executable, "src/experiment.py")
    while not (env.root / "printed").exists():
        time.sleep(0.01)
    assert env.au("logs").ok().stdout == "begun\nhalf a"
    follower = env.start("au", "logs", "--follow")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "begun\n"
    (env.root / "go").touch()
    assert follower.communicate(timeout=60)[0] == "half a line\nlast\n"
    assert (follower.returncode, run.wait(timeout=60)) == (0, 0)
    assert env.au("logs", "-f").ok().stdout == "begun\nhalf a line\nlast\n"


def test_a_run_that_is_killed_is_followed_no_longer(env: AuEnv) -> None:
    env.script(GOES_ON)
    run = env.start(sys.executable, "src/experiment.py")
    while not (env.root / "printed").exists():
        time.sleep(0.01)
    follower = env.start("au", "logs", "-f")
    assert follower.stdout is not None and follower.stdout.readline() == "begun\n"
    run.kill()
    run.wait(timeout=60)
    try:
        assert follower.communicate(timeout=60)[0] == "half a"
    except subprocess.TimeoutExpired:
        follower.kill()
        raise
    assert env.au("metrics").ok().stdout.count("lost") == 1
