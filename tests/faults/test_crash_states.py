"""A power cut at any moment of a real run costs nothing that was promised."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import AuEnv
from crash_states import PowerCuts, summary
from recording import Recording, can_trace, record
from story import Story

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")


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
        pytest.skip(why)
    recording = record(env.project, list(command), env.environment)
    assert (recording.code, recording.stderr) == (0, ""), recording.stderr
    return recording


def judge(cuts: PowerCuts, exhaustive: int, samples: int, most: int | None = None) -> int:
    states = cuts.disk.states(seed=1, exhaustive=exhaustive, samples=samples)
    if most is not None:
        # Spread over the whole recording.
        states = states[:: -(-len(states) // most)]
    outcome = cuts.judge(states)
    assert not outcome.failures, f"{len(outcome.failures)} of {outcome.states} states\n{summary(outcome.failures)}"
    return outcome.states


def first_run(env: AuEnv, story: Story) -> PowerCuts:
    """The first run of a project, which makes all folders."""
    written(env, story)
    return PowerCuts(trace(env, sys.executable, "src/story.py"), story, env.environment)


def later_run(env: AuEnv, story: Story) -> PowerCuts:
    """One more, of which git has some objects already."""
    written(env, story)
    env.python("src/story.py", env={"ACK": "1"}).ok()
    return PowerCuts(trace(env, sys.executable, "src/story.py"), story, env.environment)


def recovery(env: AuEnv, story: Story, steps: int) -> PowerCuts:
    """Not the run, but the recovery of one that was killed after so many steps."""
    written(env, story)
    last = story.all_steps()[steps - 1]
    process = env.start(sys.executable, "src/story.py", env={"ACK": "1", "LAST": last})
    assert process.stdout is not None
    while process.stdout.readline().strip() != last:
        assert process.poll() is None
    process.kill()
    process.communicate()
    return PowerCuts(trace(env, "au", "recover"), story, env.environment, told_before=steps)


@pytest.mark.parametrize("cuts", [first_run, later_run])
def test_a_power_cut_at_any_moment_of_a_run(env: AuEnv, cuts: Callable[[AuEnv, Story], PowerCuts]) -> None:
    judge(cuts(env, Story()), exhaustive=16, samples=1, most=100)


def test_a_power_cut_at_any_moment_of_a_recovery(env: AuEnv) -> None:
    judge(recovery(env, Story(), 7), exhaustive=16, samples=1, most=100)


@pytest.mark.long
def test_ten_thousand_power_cuts(tmp_path: Path) -> None:
    counts = {}
    for name, cuts, story in (
        ("the first run", first_run, Story(steps=12, pauses=(3, 8))),
        ("a later run", later_run, Story(steps=20, pauses=())),
        ("much output", first_run, Story(steps=4, pauses=(), talk=3_000)),
        ("a recovery", lambda env, story: recovery(env, story, 25), Story(steps=20, pauses=())),
    ):
        env = AuEnv(tmp_path / name, tmp_path / name / "project")
        env.au("init").ok()
        counts[name] = judge(cuts(env, story), exhaustive=1_024, samples=300)
    print(f"{sum(counts.values())} states: {counts}")
    assert sum(counts.values()) >= 10_000
