"""A power cut at any moment of a real run costs nothing that was promised."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from conftest import AuEnv, left_out
from crash_states import PowerCuts, summary
from recording import Recording, can_trace, record
from story import Story

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")

STORY = Story()


def written(env: AuEnv, story: Story) -> None:
    """A project with a commit, an edited file, and the script."""
    env.write("src/model.py", "layers = [1, 2, 3]\n")
    env.write("src/story.py", story.script())
    env.git("add", ".")
    env.git("commit", "--quiet", "--message=code")
    env.write("src/model.py", "layers = [3, 2, 1]\n")
    env.write("notes/idea.txt", "not tracked yet\n")


def trace(env: AuEnv, *command: str) -> Recording:
    if (why := can_trace()) is not None:
        left_out(why)
    recording = record(env.project, list(command), env.environment)
    assert (recording.code, recording.stderr) == (0, ""), recording.stderr
    return recording


def judge(cuts: PowerCuts, exhaustive: int, samples: int, most: int | None = None) -> int:
    states = cuts.disk.states(seed=1, exhaustive=exhaustive, samples=samples)
    if most is not None:
        # Spread over the whole run, rather than its first part.
        every = list(states)
        states = iter(every[:: max(1, len(every) // most)])
    outcome = cuts.judge(states)
    assert not outcome.failures, f"{len(outcome.failures)} of {outcome.states} states\n{summary(outcome.failures)}"
    return outcome.states


def test_a_power_cut_at_any_moment_of_a_run(env: AuEnv) -> None:
    written(env, STORY)
    recording = trace(env, sys.executable, "src/story.py")
    judge(PowerCuts(recording, STORY, env.environment), exhaustive=16, samples=1, most=300)


@pytest.mark.long
def test_ten_thousand_power_cuts(env: AuEnv) -> None:
    written(env, STORY)
    recording = trace(env, sys.executable, "src/story.py")
    count = judge(PowerCuts(recording, STORY, env.environment), exhaustive=64, samples=40)
    print(f"{count} states")
    assert count >= 10_000
