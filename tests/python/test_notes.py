"""Notes, artefacts, flushing, and exit codes."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys

import pytest
from conftest import AuEnv, left_out


def test_notes_stand_in_the_record_and_are_shown(env: AuEnv) -> None:
    env.script(
        "au.note('first\\nof two lines')\nau.note('see https://ann:hunter2@host/x')\n"
        "try:\n    au.note(' ')\nexcept au.InvalidValueError as error:\n    print(error)\n"
    )
    out = env.python("src/experiment.py").ok()
    assert "hint: " in out.stdout and out.stderr == ""
    [tag] = env.tags()
    record = env.record(tag)
    assert [note["text"] for note in record["notes"]] == ["first\nof two lines", "see https://host/x"]
    assert all(record["started"] <= note["at"] <= record["ended"] for note in record["notes"])
    shown = env.au("show", "@").ok().stdout
    assert "\nNotes\n" in shown and "UTC  first\n" in shown and "   of two lines\n" in shown


def test_artefacts_go_to_the_store_by_reference(env: AuEnv) -> None:
    env.write("plots/loss.png", "picture")
    env.script(
        "import pathlib, os\nos.chdir('plots')\n"
        "au.log_artifact('loss.png')\nau.log_artifact(pathlib.Path('loss.png'), name='again')\n"
        "au.log_artifact(bytearray(b'a,b'), 'table.csv')\nau.log_artifact(b'a,b,c', 'table.csv')\n"
        "for call in (lambda: au.log_artifact('missing.png'), lambda: au.log_artifact('.'), lambda: au.log_artifact(b'x'),\n"
        "             lambda: au.log_artifact(7), lambda: au.log_artifact(b'x', 'a\\nb')):\n"
        "    try:\n        call()\n    except (OSError, au.InvalidValueError) as error:\n        print(type(error).__name__, getattr(error, 'filename', None))\n"
    )
    out = env.python("src/experiment.py").ok()
    assert out.stdout.splitlines() == ["FileNotFoundError missing.png", *["InvalidValueError None"] * 4]
    assert out.stderr == ""
    [tag] = env.tags()
    record = env.record(tag)
    picture = "sha256:" + hashlib.sha256(b"picture").hexdigest()
    table = "sha256:" + hashlib.sha256(b"a,b,c").hexdigest()
    assert record["artifacts"] == {
        "again": {"digest": picture, "size": 7},
        "loss.png": {"digest": picture, "size": 7},
        "table.csv": {"digest": table, "size": 5},
    }
    digits = picture.removeprefix("sha256:")
    assert (env.project / ".git/aurum/store/sha256" / digits[:2] / digits[2:]).read_bytes() == b"picture"
    shown = env.au("show", tag).ok().stdout
    assert "\nArtefacts\n" in shown and "table.csv" in shown
    env.au("export", "@", "--output", "package.zip").ok()
    assert f"{record['id']}/artifacts/table.csv" in env.run(sys.executable, "-m", "zipfile", "--list", "package.zip").ok().stdout


def test_outside_of_a_run_flushing_does_nothing(env: AuEnv) -> None:
    env.script("au.flush()\n")
    before = env.everything()
    env.python("src/experiment.py").ok()
    assert env.everything() == before


@pytest.mark.skipif(sys.platform != "linux", reason="reads system calls")
def test_a_flush_returns_once_all_is_on_stable_storage(env: AuEnv) -> None:
    if shutil.which("strace") is None:
        left_out("there is no strace")
    env.script("import os\nau.log(loss=1.0)\nau.log(loss=2.0)\nos.write(1, b'before')\nau.flush()\nos.write(1, b'after')\n")
    trace = env.root / "trace"
    env.run("strace", "-f", "-y", "-o", trace, "-e", "trace=write,fdatasync,fsync", sys.executable, "src/experiment.py").ok()
    calls = trace.read_text().splitlines()
    before = next(number for number, line in enumerate(calls) if '"before"' in line)
    after = next(number for number, line in enumerate(calls) if '"after"' in line)
    between = [line for line in calls[before:after] if "sync(" in line and "/journal" in line]
    assert len(between) == 1 and between[0].endswith("= 0")


EXITS = [
    ("sys.exit(3)", "failed", "SystemExit: 3"),
    ("sys.exit('no such data')", "failed", "SystemExit: no such data"),
    ("main = lambda: sys.exit(2)\ntry:\n    main()\nfinally:\n    print('cleared')", "failed", "SystemExit: 2"),
    ("import argparse\nargparse.ArgumentParser().error('bad')", "failed", "SystemExit: 2"),
    ("sys.exit()", "finished", None),
    ("sys.exit(0)", "finished", None),
    ("try:\n    sys.exit(3)\nexcept SystemExit:\n    pass\nprint('goes on')", "finished", None),
    ("raise SystemExit", "finished", None),
    ("raise SystemExit()", "finished", None),
    ("raise SystemExit(0)", "finished", None),
    ("raise SystemExit((lambda: 0)())", "finished", None),
    ("raise SystemExit(3)", "failed", "SystemExit: 3"),
    ("def main():\n    raise SystemExit(300)\ntry:\n    main()\nfinally:\n    print('cleared')", "failed", "SystemExit: 300"),
    ("raise SystemExit('no such data')", "failed", "SystemExit: 1"),
    ("exit(4)", "failed", "SystemExit: 4"),
    ("try:\n    sys.exit(3)\nexcept SystemExit:\n    pass\nraise SystemExit", "finished", None),
    ("try:\n    sys.exit(0)\nexcept SystemExit:\n    pass\nraise SystemExit(5)", "failed", "SystemExit: 5"),
    ("try:\n    sys.exit('said')\nfinally:\n    print('cleared')", "failed", "SystemExit: said"),
    ("try:\n    raise SystemExit(3)\nexcept SystemExit:\n    pass\nprint('goes on')", "finished", None),
    ("def main():\n    try:\n        sys.exit(0)\n    except SystemExit:\n        pass\n    exit(3)\nmain()", "failed", "SystemExit: 3"),
    ("def main():\n    try:\n        sys.exit(2)\n    except SystemExit:\n        pass\n    raise SystemExit(0)\nmain()", "finished", None),
    ("def main():\n    sys.exit('said below')\nmain()", "failed", "SystemExit: said below"),
    ("class Own(SystemExit):\n    pass\nraise Own(6)", "failed", "SystemExit: 6"),
    ("import threading\nthread = threading.Thread(target=exec, args=('raise ValueError',))\nthread.start()\nthread.join()", "finished", None),
    ("import threading\nthread = threading.Thread(target=exec, args=('raise SystemExit(3)',))\nthread.start()\nthread.join()", "finished", None),
    ("import threading\nthread = threading.Thread(target=sys.exit, args=(3,))\nthread.start()\nthread.join()", "finished", None),
]


@pytest.mark.parametrize(("code", "status", "problem"), EXITS)
def test_a_script_that_exits_with_a_code_has_failed(env: AuEnv, code: str, status: str, problem: str | None) -> None:
    env.script(f"import sys\nau.log(loss=1.0)\n{code}\n")
    plain = env.write("src/plain.py", f"import sys\n{code}\n")
    out, expected = env.python("src/experiment.py"), env.python(plain)
    assert (out.code, out.stdout) == (expected.code, expected.stdout)
    assert out.stderr.replace("experiment.py", "plain.py") == expected.stderr
    [row] = env.rows()
    assert (row["status"], row.get("problem")) == (status, problem)


def test_a_terminated_run_is_killed(env: AuEnv) -> None:
    env.script("import sys, time\nau.log(loss=1.0)\nprint('ready', flush=True)\ntime.sleep(60)\n")
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    assert process.wait(timeout=30) == -15, "as without Aurum"
    env.au("recover").ok()
    assert env.rows()[0]["status"] == "killed"


def test_a_terminated_run_whose_script_handles_it_ends_as_the_script_says(env: AuEnv) -> None:
    env.script(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "au.log(loss=1.0)\nprint('ready', flush=True)\ntime.sleep(60)\n"
    )
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    assert process.wait(timeout=30) == 143
    assert (env.rows()[0]["status"], env.rows()[0]["problem"]) == ("failed", "SystemExit: 143")


def test_a_record_without_notes_is_shown(env: AuEnv) -> None:
    env.script("au.log(loss=1.0)\n")
    env.python("src/experiment.py").ok()
    shown = json.loads(env.au("show", "@", "--json").ok().stdout)
    assert not {"notes", "artifacts", "metrics_more"} & set(shown)
    assert "Notes" not in env.au("show", "@").ok().stdout


def test_however_the_script_is_run_its_exit_is_told(env: AuEnv) -> None:
    env.script("if __name__ == '__main__':\n    au.start('module')\n    raise SystemExit(3)\n", "src/module.py")
    assert env.python("-m", "src.module").code == 3
    assert env.python("-c", "import aurum as au\nau.start('command')\nraise SystemExit(4)").code == 4
    env.script("import threading\nthread = threading.Thread(target=au.start, args=('thread',))\nthread.start()\nthread.join()\nraise SystemExit(5)\n")
    out = env.python("src/experiment.py", "--verbose")
    assert (out.code, out.stdout) == (5, "") and out.stderr.startswith("aurum: recorded experiment ")
    assert [(row["name"], row.get("problem")) for row in env.rows()] == [
        ("module", "SystemExit: 3"),
        ("command", "SystemExit: 4"),
        ("thread", "SystemExit: 5"),
    ]
    assert env.au("recover").ok().stdout == "Nothing to recover\n"


def test_threads_at_the_end_and_their_exceptions(env: AuEnv) -> None:
    env.script(
        "import threading, time\nau.log(loss=1)\n"
        "def late():\n    time.sleep(0.3)\n    au.log(late=1)\n    print('late')\n    raise ValueError('in a thread')\n"
        "threading.Thread(target=late).start()\n"
    )
    assert "ValueError: in a thread" in env.python("src/experiment.py").ok().stderr
    [row] = env.rows()
    assert (row["status"], row["metrics"]) == ("finished", {"loss": 1, "late": 1})
    log = env.log(env.tags()[0])
    assert log.startswith("late\n") and log.endswith("ValueError: in a thread")


def test_a_process_that_leaves_without_a_word_has_kept_all(env: AuEnv) -> None:
    env.script("import os\nau.log(loss=1)\nprint('here', flush=True)\nos._exit(3)\n")
    assert env.python("src/experiment.py").code == 3
    assert env.rows()[0]["status"] == "lost"
    env.au("recover").ok()
    assert (env.rows()[0]["status"], env.log(env.tags()[0])) == ("killed", "here")
