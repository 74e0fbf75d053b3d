"""The histories that are measured are what the engine writes."""

import json
import sys
from pathlib import Path

from conftest import AuEnv

HISTORY = Path(__file__).parents[1] / "bench/history.py"


def test_a_built_history_is_a_project_with_that_many_experiments(bare: AuEnv) -> None:
    # It compares the commit of one real run with what it makes of it, and fails if they differ.
    bare.run(sys.executable, HISTORY, "build", bare.project / "built", "7").ok()
    bare.run("git", "fsck", "--strict", cwd="built").ok()
    rows = json.loads(bare.au("metrics", "--json", cwd="built").ok().stdout)
    assert len({row["id"] for row in rows}) == 7
    assert all(row["metrics"].keys() == {"accuracy", "loss", "error"} and len(row["parameters"]) == 5 for row in rows)
    assert len({row["metrics"]["accuracy"] for row in rows}) == 7
    bare.au("show", rows[0]["id"], cwd="built").ok()
