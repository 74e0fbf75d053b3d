"""Notebooks: the tour in `docs/`, executed as its readers do, and what is kept of cells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from conftest import AuEnv, needs

needs("nbclient", "ipykernel")

TOUR = Path(__file__).parents[2] / "docs/tour.ipynb"
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


def execute(env: AuEnv, notebook: dict[str, Any], **options: Any) -> list[list[dict[str, Any]]]:
    """The outputs of each cell of code."""
    file = env.write("notebook.ipynb", json.dumps(notebook))
    env.python("-c", EXECUTE, file, timeout=400, **options).ok()
    return [cell["outputs"] for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]


def shape(output: dict[str, Any]) -> tuple[Any, ...]:
    """What of an output is the same each time: texts but for their numbers, and in which forms there is something to see."""
    text = "".join(output.get("text", ""))
    return output["output_type"], re.sub(r"[\d.]+", "0", text), sorted(output.get("data", {}))


def shapes(cell: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What is printed comes in as many pieces as it happens to: they are one."""
    joined: list[tuple[Any, ...]] = []
    for kind, text, forms in map(shape, cell):
        if kind == "stream" and joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + text, forms)
        else:
            joined.append((kind, text, forms))
    return joined


def test_the_tour_comes_out_as_it_is_printed(env: AuEnv) -> None:
    tour = json.loads(TOUR.read_text())
    stored = [cell["outputs"] for cell in tour["cells"] if cell["cell_type"] == "code"]
    outputs = execute(env, tour)
    assert [shapes(cell) for cell in outputs] == [shapes(cell) for cell in stored]
    assert len(stored) > 8 and sum(map(len, stored)) > 8
    rows = env.rows()
    assert [row["status"] for row in rows] == ["finished"] * 3 + ["failed"]
    assert env.log(f"au/{rows[0]['id']}").startswith("rate 0.001: accuracy")


def code(*cells: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    return {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "cells": [cell | {"source": source} for source in cells],
    }


def test_what_cells_print_is_in_the_log_of_the_run_that_spans_them(env: AuEnv) -> None:
    cells = ["import aurum as au", "au.start('spans')\nprint('one')", "import sys\nprint('two')\nprint('three', file=sys.stderr)"]
    execute(env, code(*cells, "au.log(a=1)\nau.end_experiment()\nprint('after')", "au.log(b=2)\nprint('other')", "au.end_experiment()"))
    logs = [env.log(f"au/{row['id']}") for row in env.rows()]
    assert logs == ["one\ntwo\nthree", "after\nother"]
    assert env.rows()[0]["script"] is None


def test_a_kernel_that_is_shut_down_saves_its_run(env: AuEnv) -> None:
    execute(env, code("import aurum as au\nau.log(a=1)"))
    assert [row["status"] for row in env.rows()] in (["finished"], ["killed"], ["lost"])
    env.au("recover").ok()
    assert env.record(env.tags()[0])["metrics"]["a"]["last"] == 1
