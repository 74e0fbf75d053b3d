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


BESIDE = """
import asyncio
import aurum as au

async def train(number):
    with au.run(f"task {number}"):
        for step in range(3):
            await asyncio.sleep(0.01)
            au.log(number=number)
            print("printed by", number)

@au.run
async def later(number):
    await asyncio.sleep(0.01)
    au.log(number=number)

await asyncio.gather(train(1), train(2), train(3), later(4), later(5))
"""


def test_tasks_of_a_cell_that_run_beside_each_other_have_runs_of_their_own(env: AuEnv) -> None:
    alone = "with au.run('cell'):\n    await asyncio.gather(*[asyncio.sleep(0) for _ in range(2)])\n    au.log(number=9)"
    execute(env, code("import aurum", BESIDE, alone))
    records = [env.record(tag) for tag in env.tags()]
    found = sorted((record["name"], record["metrics"]["number"]["min"], record["metrics"]["number"]["max"]) for record in records)
    assert found == [("cell", 9, 9), ("later", 4, 4), ("later", 5, 5), ("task 1", 1, 1), ("task 2", 2, 2), ("task 3", 3, 3)]
    for record in records:
        if record["name"].startswith("task"):
            assert env.log(f"au/{record['id']}") == "\n".join([f"printed by {record['name'][-1]}"] * 3)


def test_threads_of_a_block_are_in_it_though_the_project_was_found_late(env: AuEnv) -> None:
    late = f"import os\nos.chdir('/')\nimport aurum as au\nos.chdir({str(env.project)!r})"
    block = "import threading\nwith au.run('late'):\n    thread = threading.Thread(target=lambda: au.log(n=1))\n    thread.start()\n    thread.join()"
    execute(env, code(late, block))
    [record] = [env.record(tag) for tag in env.tags()]
    assert record["name"] == "late" and record["metrics"]["n"]["last"] == 1


def test_the_traceback_of_a_cell_is_in_the_log_of_the_run_that_goes_on(env: AuEnv) -> None:
    cells = code("import aurum as au\nau.log(a=1)", "def broken():\n    raise ValueError('oops')\nbroken()", "au.end_experiment()", "1 / 0")
    cells["cells"][1]["metadata"] = cells["cells"][3]["metadata"] = {"tags": ["raises-exception"]}
    execute(env, cells)
    log = env.log(env.tags()[0])
    assert log.startswith("Traceback (most recent call last):\n") and log.endswith("ValueError: oops")
    assert "in broken" in log and "IPython" not in log and "ZeroDivision" not in log


def test_a_kernel_that_is_shut_down_saves_its_run(env: AuEnv) -> None:
    execute(env, code("import aurum as au\nau.log(a=1)"))
    assert [row["status"] for row in env.rows()] in (["finished"], ["killed"], ["lost"])
    env.au("recover").ok()
    assert env.record(env.tags()[0])["metrics"]["a"]["last"] == 1
