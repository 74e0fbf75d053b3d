"""`au data add` that is stopped, runs out of room, or meets another: nothing is half-recorded, nothing lost."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest import AuEnv, small_disk
from data_state import check_store, described, descriptions, listed, status, working_tree

BIG = 300 << 20


def big_file(env: AuEnv) -> None:
    with (env.project / "big.bin").open("wb") as file:
        file.truncate(BIG)


def temporaries(env: AuEnv) -> list[Path]:
    store = env.project / ".git/aurum/store"
    found = []
    for folder, folders, files in os.walk(store):
        folders[:] = [name for name in folders if name != "sha256"]
        found += [Path(folder, name) for name in files]
    return found


def stop_in_the_middle(env: AuEnv, number: signal.Signals) -> None:
    """Begins to add the big file, and is ended once some of it is written."""
    process = env.start("au", "data", "add", "big.bin")
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in temporaries(env)) and time.monotonic() < deadline:
        assert process.poll() is None, f"it ended before it could be stopped: {process.communicate()}"
        time.sleep(0.001)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_nothing_is_half_recorded(env: AuEnv, number: signal.Signals) -> None:
    big_file(env)
    before = working_tree(env)
    stop_in_the_middle(env, number)
    assert working_tree(env) == before and descriptions(env) == []
    assert not list((env.project / ".git/aurum/store/sha256").rglob("??/*"))
    env.au("data", "add", "big.bin").ok()
    assert status(env)["big.bin"]["state"] == "unchanged"
    assert described(env, "big.bin")["digest"] == f"sha256:{hashlib.sha256((env.project / 'big.bin').read_bytes()).hexdigest()}"


def test_what_a_stopped_one_left_does_not_stay(env: AuEnv) -> None:
    big_file(env)
    stop_in_the_middle(env, signal.SIGINT)
    stop_in_the_middle(env, signal.SIGKILL)
    env.write("other.csv", "x\n")
    env.au("data", "add", "other.csv").ok()
    assert temporaries(env) == [], "hundreds of MB that nobody would ever find"


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk(bare: AuEnv) -> None:
    disk = bare.root / "disk"
    with small_disk(disk, "24m"):
        env = AuEnv(bare.root, disk / "project", bare.environment)
        env.au("init").ok()
        (env.project / "big.bin").write_bytes(os.urandom(14 << 20))
        (env.project / "images").mkdir()
        for number in range(20):
            (env.project / f"images/{number}.bin").write_bytes(bytes([number]) * (256 << 10))
        before = working_tree(env)
        told = []
        for source in ("big.bin", "images"):
            told.append(env.au("data", "add", source).failed(1, "error: ", "no space", source, "hint: "))
            assert working_tree(env) == before and descriptions(env) == []
            assert temporaries(env) == []
        env.write("small.csv", "x\n")
        env.au("data", "add", "small.csv").ok()
        assert all("au recover" not in out.stderr for out in told), "there is no run to recover"


def add_at_once(env: AuEnv, paths: list[Path]) -> None:
    """A process for each, all at the same time."""
    processes = [env.start("au", "data", "add", path) for path in paths]
    told = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [stderr for (_, stderr), code in told if code] == []
    assert descriptions(env) == sorted(path.name for path in paths)
    assert {row["state"] for row in status(env).values()} == {"unchanged"}
    check_store(env)


def test_adding_at_once_loses_no_line_of_gitignore(env: AuEnv) -> None:
    paths = [env.write(f"d{number}.csv", f"{number}\n") for number in range(16)]
    add_at_once(env, paths)
    lines = (env.project / ".gitignore").read_text().splitlines()
    assert [path.name for path in paths if f"/{path.name}" not in lines] == []


def test_adding_at_once_what_lies_outside(env: AuEnv) -> None:
    (env.root / "elsewhere").mkdir()
    paths = [env.root / f"elsewhere/d{number}.csv" for number in range(16)]
    for path in paths:
        path.write_text(path.name)
    add_at_once(env, paths)
    assert {row["place"] for row in listed(env).values()} == {str(path) for path in paths}


def test_the_same_data_at_once(env: AuEnv) -> None:
    for number in range(40):
        env.write(f"images/{number}.png", f"{number % 7}")
    processes = [env.start("au", "data", "add", "images") for _ in range(6)]
    assert [process.communicate(timeout=60)[1] for process in processes if process.wait(60)] == []
    assert check_store(env) == 8 and status(env)["images"]["state"] == "unchanged"
