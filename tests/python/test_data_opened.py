"""Data that scripts open without saying so."""

from __future__ import annotations

import sys

import pytest
from conftest import AuEnv, needs
from data_state import with_data


def used(env: AuEnv, tag: str | None = None) -> set[str]:
    [tag] = [tag] if tag else env.tags()
    return {name for name, usage in env.record(tag)["datasets"].items() if usage["used"]}


@pytest.mark.parametrize("when", ["before", "within"])
@pytest.mark.parametrize(
    "opening",
    [
        "open('a.csv').close()",
        "open(b'./a.csv').close()",
        "open(os.path.abspath('src/../a.csv')).close()",
        "os.close(os.open('a.csv', os.O_RDONLY))",
        "pathlib.Path('a.csv').read_text()",
        "open('a.csv', 'r+').close()",
        "open('link.csv').close()",
        "open('linked/a.csv').close()",
        "os.chdir('src'); open('../a.csv').close()",
        "csv.reader(open('a.csv'))",
        "exec(\"try: 1/0\\nexcept ZeroDivisionError: open('a.csv').close()\")",
    ],
)
def test_what_is_opened_is_used(env: AuEnv, opening: str, when: str) -> None:
    with_data(env)
    (env.project / "link.csv").symlink_to("a.csv")
    (env.project / "linked").symlink_to(".")
    lines = [f"{opening}\n", "au.register_metric(x=1)\n"]
    env.script("import csv, os, pathlib\n" + "".join(lines if when == "before" else reversed(lines)))
    env.python("src/experiment.py").ok()
    assert used(env) == {"a.csv"}


@pytest.mark.parametrize(
    "opening",
    [
        "open('a.csv', 'a').close()",
        "open('src/experiment.py').close()",
        "open(0, closefd=False)",
        "os.path.getsize('a.csv'); os.listdir('images')",
        "\ntry: open('a.csv/x')\nexcept OSError: pass",
        "\ntry: open('a.csv\\0')\nexcept ValueError: pass",
        "\ntry: open('\\udcff')\nexcept OSError: pass",
        "\nfor name in ('b.csv', 'images/none', ''):\n    try: open(name)\n    except OSError: pass",
        "sys.audit('open'); sys.audit('open', 1, 2, 3); sys.audit('open', [], None, None); sys.audit('os.chdir')",
    ],
)
def test_what_is_not_read_is_not_used(env: AuEnv, opening: str) -> None:
    with_data(env)
    env.script(f"import os, sys\nau.register_metric(x=1)\n{opening}\n")
    env.python("src/experiment.py").ok()
    assert used(env) == set()


def test_a_file_of_a_folder_is_of_the_folder(env: AuEnv) -> None:
    with_data(env)
    (env.root / "big.csv").write_text("x\n")
    env.au("data", "add", env.root / "big.csv").ok()
    inner = next(path for path in (env.project / "images").rglob("*") if path.is_file()).relative_to(env.project)
    env.script(f"open({str(inner)!r}).close()\nau.register_metric(x=1)\nopen({str(env.root / 'big.csv')!r}).close()\n")
    env.python("src/experiment.py").ok()
    assert used(env) == {"images", "big.csv"}
    out = env.au("show", "@").ok().stdout
    assert "a.csv" in out and "big.csv" in out


def test_numpy_and_pandas_go_through_open(env: AuEnv) -> None:
    needs("numpy")
    with_data(env)
    env.script("import numpy\nnumpy.loadtxt('a.csv', delimiter=',')\nau.register_metric(x=1)\n")
    env.python("src/experiment.py").ok()
    assert used(env) == {"a.csv"}


def test_each_run_has_what_it_opened_itself(env: AuEnv) -> None:
    with_data(env)
    env.script(
        "open('a.csv').close()\nau.start('one')\nau.register_metric(x=1)\nau.end_experiment()\n"
        "au.start('two')\nau.register_metric(x=1)\nau.end_experiment()\n"
        "au.start('three')\nopen('a.csv').close()\nau.end_experiment()\n"
    )
    env.python("src/experiment.py").ok()
    names = {row["name"]: f"au/{row['id']}" for row in env.rows()}
    assert [used(env, names[name]) for name in ("one", "two", "three")] == [{"a.csv"}, set(), {"a.csv"}]


def test_what_children_and_threads_open_is_used_too(env: AuEnv) -> None:
    with_data(env)
    inner = next(path for path in (env.project / "images").rglob("*") if path.is_file()).relative_to(env.project)
    env.script(
        "import os, threading\nau.register_metric(x=1)\n"
        "thread = threading.Thread(target=lambda: open('a.csv').close())\nthread.start()\nthread.join()\n"
        f"if os.fork() == 0:\n    open({str(inner)!r}).close()\n    os._exit(0)\nos.wait()\n"
    )
    env.python("src/experiment.py").ok()
    assert used(env) == {"a.csv", "images"}


def test_it_is_known_however_the_process_ends(env: AuEnv) -> None:
    with_data(env)
    env.script("import os\nau.register_metric(x=1)\nopen('a.csv').close()\nos.kill(os.getpid(), 9)\n")
    assert env.python("src/experiment.py").code == -9
    env.au("recover").ok()
    assert used(env) == {"a.csv"}


def test_a_change_is_seen_when_it_is_opened(env: AuEnv) -> None:
    with_data(env)
    env.script("au.register_metric(x=1)\nwith open('a.csv', 'w') as file: file.write('new')\nopen('a.csv').close()\n")
    out = env.python("src/experiment.py").ok()
    [tag] = env.tags()
    usage = env.record(tag)["datasets"]["a.csv"]
    assert (usage["state"], usage["used"], usage["size"]) == ("changed", True, 3)
    assert "has changed since it was added" in out.stderr


def test_where_nothing_is_recorded_nothing_is_watched(env: AuEnv) -> None:
    env.script("import sys\nprint('open' in repr(sys.audit))\nopen('src/experiment.py').close()\n")
    env.python("src/experiment.py").ok()
    with_data(env)
    env.script("open('a.csv').close()\n")
    env.python("src/experiment.py").ok()
    assert env.tags() == [], "opening data begins no run"
    env.script("open('a.csv').close()\nau.register_metric(x=1)\n")
    env.python("src/experiment.py", env={"AURUM_MODE": "disabled"}).ok()
    assert env.tags() == []


def test_another_hook_goes_first(env: AuEnv) -> None:
    with_data(env)
    env.write(
        "src/experiment.py",
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event == 'sys.addaudithook': raise RuntimeError('no')\n"
        "sys.addaudithook(refuse)\n"
        "import aurum as au\nopen('a.csv').close()\nau.dataset('images')\nau.register_metric(x=1)\n",
    )
    env.python("src/experiment.py").ok()
    assert used(env) <= {"images"}


def test_nothing_more_is_imported(env: AuEnv) -> None:
    with_data(env)
    source = "import sys\nbefore = set(sys.modules)\nimport aurum\nprint(sorted(set(sys.modules) - before))\n"
    with_hook = env.python("-c", source).ok().stdout
    env.au("data", "rm", "a.csv", "images").ok()
    assert env.python("-c", source).ok().stdout == with_hook
    assert sys.executable
