"""Runs notice that a server has another version of their data, and wait for none."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from buckets import Buckets, buckets
from conftest import AuEnv
from servers import Answer, Server, running
from shelves import PASSWORD, USER, shelves

SCRIPT = "import aurum as au\nau.register_metric(x=1)\n"
NEWS = "There is another version of"


@pytest.fixture
def web() -> Iterator[Server]:
    server = Server({"/a.csv": Answer(b"1,2\n" * 1000)})
    with running(server):
        yield server


def findings(env: AuEnv) -> dict[str, bool]:
    files = list((env.project / ".git/aurum").glob("cache/**/servers*"))
    if not files:
        return {}
    # It ends in its length and a checksum.
    found = json.loads(files[0].read_bytes()[:-12])
    return {url: finding["is_newer"] for url, finding in found["found"].items()}


def begun(env: AuEnv) -> bytes:
    """When servers were last looked at, and what was found then."""
    return b"".join(file.read_bytes() for file in (env.project / ".git/aurum").glob("cache/**/servers*"))


def forget_when(env: AuEnv) -> None:
    """As if the last look had been long ago."""
    for file in (env.project / ".git/aurum").glob("cache/**/servers*"):
        file.unlink()


def look_is_over(env: AuEnv) -> dict[str, bool]:
    deadline = time.monotonic() + 60
    while not (found := findings(env)):
        assert time.monotonic() < deadline, "nobody has looked"
        time.sleep(0.05)
    return found


def test_http(env: AuEnv, web: Server) -> None:
    env.au("data", "add", f"{web.address}/a.csv").ok()
    script = env.script(SCRIPT)
    assert NEWS not in env.python(script).ok().stderr
    assert look_is_over(env) == {f"{web.address}/a.csv": False}
    web.answers["/a.csv"] = Answer(b"3,4\n")
    before = begun(env)
    assert NEWS not in env.python(script).ok().stderr
    assert begun(env) == before, "it was asked a moment ago"
    forget_when(env)
    env.python(script).ok()
    assert look_is_over(env) == {f"{web.address}/a.csv": True}
    out = env.python(script).ok()
    assert out.stderr.count(NEWS) == 1 and "git config aurum.watchServers false" in out.stderr and "hint: Take up the new version: `au data update a.csv`" in out.stderr
    env.au("data", "update", "a.csv").ok()
    assert NEWS not in env.python(script).ok().stderr


def test_news_that_come_while_the_script_runs_are_told_at_its_end(env: AuEnv, web: Server) -> None:
    env.au("data", "add", f"{web.address}/a.csv").ok()
    web.answers["/a.csv"] = Answer(b"3,4\n")
    script = env.script(
        "import glob, time, aurum as au\nau.register_metric(x=1)\n"
        "while not any(b'is_newer' in open(file, 'rb').read() for file in glob.glob('.git/aurum/cache/**/servers*', recursive=True)):\n"
        "    time.sleep(0.05)\n"
    )
    assert env.python(script).ok().stderr.count(NEWS) == 1


def test_a_server_that_says_nothing_holds_nobody_up(env: AuEnv, web: Server) -> None:
    env.au("data", "add", f"{web.address}/a.csv").ok()
    script = env.script(SCRIPT)
    env.python(script, env={"AURUM_MODE": "disabled"}).ok()
    forget_when(env)
    begun = time.monotonic()
    env.python(script).ok()
    usual = time.monotonic() - begun
    look_is_over(env)
    forget_when(env)
    stall = threading.Event()
    web.before_head = stall.wait
    begun = time.monotonic()
    out = env.python(script).ok()
    # The one that looks waits 20 seconds, and holds nothing of the script's.
    assert time.monotonic() - begun < usual + 10 and not out.stderr
    stall.set()


def test_the_script_meets_no_child(env: AuEnv, web: Server) -> None:
    env.au("data", "add", f"{web.address}/a.csv").ok()
    script = env.script(
        "import os, aurum as au\nau.register_metric(x=1)\n"
        "try:\n    print(os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError:\n    print('no child')\n"
    )
    assert env.python(script).ok().stdout == "no child\n"
    look_is_over(env)


def test_it_holds_nothing_that_the_script_was_started_with(env: AuEnv, web: Server) -> None:
    env.au("data", "add", f"{web.address}/a.csv").ok()
    stall = threading.Event()
    web.before_head = stall.wait
    guarded = f"(flock -n 9 && {sys.executable} {env.script(SCRIPT)}) 9>lock"
    asked = len(web.asked)
    env.run("sh", "-c", guarded).ok()
    deadline = time.monotonic() + 20
    while len(web.asked) == asked:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    env.run("sh", "-c", "flock -n 9 9>lock").ok()
    stall.set()


def test_a_silent_server_takes_its_turn_only(env: AuEnv, web: Server) -> None:
    web.answers["/b.csv"] = Answer(b"b\n")
    env.au("data", "add", f"{web.address}/a.csv", f"{web.address}/b.csv").ok()
    stall = threading.Event()

    def stalling() -> None:
        if web.asked[-1].path == "/a.csv":
            stall.wait()

    web.before_head = stalling
    looking = env.start("au", "data", "look")
    deadline = time.monotonic() + 20
    while not any(asked.path == "/a.csv" and asked.method == "HEAD" for asked in web.asked):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    env.au("data", "look").ok()
    assert findings(env) == {}, "one looks at a time"
    looking.kill()
    looking.communicate()
    looking = env.start("au", "data", "look")
    while not findings(env):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert findings(env) == {f"{web.address}/b.csv": False}
    looking.kill()
    looking.communicate()
    stall.set()


def test_the_first_process_of_a_container_is_left_alone(env: AuEnv, web: Server) -> None:
    """It has all orphans for children."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("making a pid namespace takes root")
    env.au("data", "add", f"{web.address}/a.csv").ok()
    script = env.script(
        "import os, time, aurum as au\nau.register_metric(x=1)\ntime.sleep(0.5)\n"
        "try:\n    print(os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError:\n    print('no child')\n"
    )
    assert env.run("unshare", "--pid", "--fork", sys.executable, script).ok().stdout == "no child\n"


def test_it_can_be_switched_off(env: AuEnv, web: Server) -> None:
    env.au("data", "add", f"{web.address}/a.csv").ok()
    env.git("config", "aurum.watchServers", "false")
    env.python(env.script(SCRIPT)).ok()
    assert not begun(env), "nothing is begun"


def test_buckets_and_shelves(env: AuEnv) -> None:
    with buckets() as cloud, shelves(env.root / "served/files") as nas:
        env.environment |= cloud.environment
        cloud.put("bucket-name", "images/1", b"1")
        (nas.folder / "dataset.csv").write_bytes(b"1,2\n")
        env.git("config", "credential.helper", f"!echo username={USER}; echo password={PASSWORD}; true")
        env.au("data", "add", "s3://bucket-name/images/", nas.address("dataset.csv")).ok()
        script = env.script(SCRIPT)
        env.python(script).ok()
        deadline = time.monotonic() + 60
        while len(found := findings(env)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert set(found.values()) == {False}
        cloud.put("bucket-name", "images/2", b"2")
        (nas.folder / "dataset.csv").write_bytes(b"3,4\n5,6\n")
        env.au("data", "look").ok()
        assert set(findings(env).values()) == {True}
        out = env.python(script).ok()
        assert f"{NEWS} `dataset.csv`, `images`" in out.stderr and "au data update dataset.csv images" in out.stderr
        assert PASSWORD not in out.stderr
