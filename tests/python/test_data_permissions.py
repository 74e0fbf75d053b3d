"""Data where the user lacks a right: what was tried and who may do it is told, and nothing is half-recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import AuEnv
from data_state import check_store, descriptions, listed, status
from nobody import as_nobody, give_away

LOOK = "hint: `ls -ld` shows who may do that there"


@pytest.fixture
def theirs(env: AuEnv) -> AuEnv:
    """A project of an ordinary user, with one dataset recorded and another one about to be."""
    (env.project / "data/kept").mkdir(parents=True)
    (env.project / "data/kept/rows.csv").write_text("1,2\n")
    (env.project / "new.csv").write_text("3,4\n")
    env.au("data", "add", "data/kept").ok()
    give_away(env)
    return env


def closed(folder: Path, mode: int = 0o555) -> Path:
    folder.chmod(mode)
    return folder


@pytest.mark.parametrize("folder", [".au/datasets", ".git/aurum/store"])
def test_nothing_is_added_where_it_can_not_be_written(theirs: AuEnv, folder: str) -> None:
    env = theirs
    path = closed(env.project / folder)
    refused = as_nobody(env, "au", "data", "add", "new.csv").failed(1, "Permission denied", LOOK)
    assert refused.stdout == "" and descriptions(env) == ["kept"]
    closed(path, 0o755)
    as_nobody(env, "au", "data", "add", "new.csv").ok()
    assert sorted(listed(env)) == ["kept", "new.csv"] and check_store(env) > 2


@pytest.mark.parametrize("mode", [0o000, 0o311])
def test_what_can_not_be_read_is_not_added(theirs: AuEnv, mode: int) -> None:
    env = theirs
    (env.project / "data/secret").mkdir()
    (env.project / "data/secret/rows.csv").write_text("5,6\n")
    give_away(env)
    path = closed(env.project / ("data/secret" if mode & 0o100 else "data/secret/rows.csv"), mode)
    as_nobody(env, "au", "data", "add", "data/secret").failed(1, "`data/secret", "Permission denied", LOOK)
    assert descriptions(env) == ["kept"]
    closed(path, 0o755)
    as_nobody(env, "au", "data", "add", "data/secret").ok()


def test_nothing_is_brought_back_where_it_can_not_be_written(theirs: AuEnv) -> None:
    env = theirs
    (env.project / "data/kept/rows.csv").unlink()
    (env.project / "data/kept").rmdir()
    path = closed(env.project / "data")
    as_nobody(env, "au", "data", "restore", "kept").failed(1, "`data/kept`", "Permission denied", LOOK)
    assert list(path.iterdir()) == []
    closed(path, 0o755)
    as_nobody(env, "au", "data", "restore", "kept").ok()
    assert status(env)["kept"]["state"] == "unchanged"


def test_a_run_goes_on_with_data_that_it_can_not_look_at(theirs: AuEnv) -> None:
    env = theirs
    script = env.script("au.register_metric(loss=1)\nprint('trained')\n")
    give_away(env)
    path = closed(env.project / "data", 0o000)
    run = as_nobody(env, sys.executable, script)
    closed(path, 0o755)
    assert run.code == 0 and run.stdout == "trained\n" and "Permission denied" in run.stderr, run
    assert len(env.tags()) == 1
