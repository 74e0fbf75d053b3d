"""Distributed training: the first rank records, the others say so and work all the same."""

from __future__ import annotations

import sys

import pytest
from conftest import AuEnv

SCRIPT = """
import multiprocessing, os
au.start("training", tags=["x"], group="g")
au.parameters(rate=0.1)
assert au.rate == 0.5
assert au.load_model("weights") == b"weights"
assert open(au.dataset("data.csv")).read() == "a\\n"
au.log(loss=1.0)
au.note("x")
au.save_model(b"new")
au.log_artifact(b"x", "y")
au.flush()
print("rank", os.environ.get("RANK"))
with au.run("block") as run:
    au.log(loss=2.0)
def work():
    au.log(child=1)
process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
assert len(au.experiments("@")) == 1
print("saved", au.end_experiment(), run.id is not None)
"""

TORCH = {"WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1"}


@pytest.fixture
def training(env: AuEnv) -> AuEnv:
    env.script("au.start('before')\nau.save_model(b'weights', 'weights')\n")
    env.python("src/experiment.py").ok()
    env.write("data.csv", "a\n")
    env.au("data", "add", "data.csv").ok()
    env.script(SCRIPT)
    return env


def test_only_the_first_of_many_ranks_records(training: AuEnv) -> None:
    command = (sys.executable, "src/experiment.py", "rate=0.5")
    ranks = [training.start(*command, env=TORCH | {"RANK": str(rank), "LOCAL_RANK": str(rank % 2)}) for rank in range(4)]
    said = [rank.communicate(timeout=120) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * 4, said
    assert said[0] == ("rank 0\nsaved True True\n", "")
    for rank in (1, 2, 3):
        out, error = said[rank]
        assert out == f"rank {rank}\nsaved False False\n"
        assert error == (
            f"aurum: this is rank {rank} of 4, and rank 0 records the experiment\n"
            "hint: Set `AURUM_RANKS=all` to have each rank record an experiment of its own\n"
        )
    assert sorted(row["name"] for row in training.rows()) == ["before", "block", "training"]


def test_all_ranks_record_where_that_is_asked_for(training: AuEnv) -> None:
    for rank in range(2):
        variables = {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": "2", "AURUM_RANKS": "all"}
        assert training.python("src/experiment.py", "rate=0.5", env=variables).ok().stderr == ""
    assert sorted(row["name"] for row in training.rows()) == ["before", "block", "block", "training", "training"]


def test_what_a_script_sets_itself_is_no_launchers(env: AuEnv) -> None:
    env.script("import os\nos.environ |= {'RANK': '1', 'WORLD_SIZE': '2', 'LOCAL_RANK': '1'}\nau.log(loss=1)\n")
    assert env.python("src/experiment.py").ok().stderr == ""
    env.script("au.log(loss=1)\n")
    assert env.python("src/experiment.py", env={"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}).ok().stderr == ""
    assert len(env.rows()) == 2
    step = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_ID": "0"}
    assert "rank 3 of 8" in env.python("src/experiment.py", env=step).ok().stderr
    disabled = {"AURUM_MODE": "disabled", "AURUM_RANKS": "all"}
    assert env.python("src/experiment.py", env=step | disabled).ok().stderr == ""
    assert len(env.rows()) == 2
