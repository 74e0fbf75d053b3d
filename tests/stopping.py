"""Stopping a program at one of its system calls, so that something else can happen meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import AuEnv, Result, left_out


@contextmanager
def stopped(
    env: AuEnv, *command: str | Path, call: str, number: int = 1, path: Path | None = None
) -> Iterator[list[Result]]:
    """Runs a program that stops right after its so-manieth system call of this name, of those on `path` if one is given. It goes
    on after the block, and its result is then the only one of the list, unless the program ended before it came to that call:
    then it is there from the beginning."""
    strace = shutil.which("strace")
    if strace is None:
        left_out("there is no strace")
    log = env.root / f"strace-{time.monotonic_ns()}"
    watched = [word for word in ("-P", str(path)) if path is not None]
    inject = f"inject={call}:signal=SIGSTOP:when={number}"
    process = env.start(strace, "-f", "-qq", "-o", log, *watched, "-e", f"trace={call}", "-e", inject, *command)
    results: list[Result] = []
    held = None
    try:
        held = _wait_until_stopped(process, log)
        if held is None:
            results.append(_result(process))
        yield results
        if held is not None:
            os.kill(held, signal.SIGCONT)
            results.append(_result(process))
    finally:
        if process.poll() is None:
            if held is not None:
                os.kill(held, signal.SIGKILL)
            process.kill()
            process.communicate()


def _wait_until_stopped(process: subprocess.Popen[str], log: Path) -> int | None:
    """The process that stopped; none when all has ended before."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        found = re.search(r"^(\d+) +--- stopped by SIGSTOP ---$", log.read_text() if log.exists() else "", re.MULTILINE)
        if found:
            return int(found[1])
        if ended:
            return None
        time.sleep(0.005)
    raise AssertionError(f"neither stopped nor ended:\n{log.read_text()}")


def _result(process: subprocess.Popen[str]) -> Result:
    stdout, stderr = process.communicate(timeout=60)
    return Result(process.returncode, stdout, stderr)
