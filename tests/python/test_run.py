"""A run, from `import aurum` to the commit, as its user sees it."""

import hashlib
import subprocess

from conftest import AuEnv

SPEC = """
import pickle
au.parameters(a=0.01, b=1000, c=46, epochs=100, batch_size=200)
print(f"Parameter a = {au.a}")
myTrainedModel = {"weights": [au.a] * au.c}
au.save_model(pickle.dumps(myTrainedModel))
assert pickle.loads(au.load_model()) == myTrainedModel
au.register_metric(error=0.01, accuracy=0.99)
au.end_experiment()
"""


def test_the_owners_script(env: AuEnv) -> None:
    env.script(SPEC)
    out = env.python("experiment.py", "a=0.5", "epochs=3", cwd="src").ok()
    assert out.stdout == "Parameter a = 0.5\n"
    assert out.stderr == ""
    [tag] = env.tags()
    record = env.record(tag)
    assert record["schema"] == "aurum.record/1"
    assert record["status"] == "finished"
    assert record["parameters"]["a"] == {"value": 0.5, "source": "command-line"}
    assert record["parameters"]["b"] == {"value": 1000, "source": "code"}
    assert record["metrics"]["accuracy"]["last"] == 0.99
    assert record["code"]["script"] == "src/experiment.py"
    assert record["command"] == {"arguments": ["a=0.5", "epochs=3"], "directory": "src"}
    assert record["environment"]["implementation"] == "CPython"
    assert env.log(tag) == "Parameter a = 0.5"
    assert "scikit-learn==" in env.git("show", f"{tag}:.au/experiments/{record['id']}/requirements.txt")
    digest = record["models"]["model"]["digest"].removeprefix("sha256:")
    stored = (env.project / ".git/aurum/store/sha256" / digest[:2] / digest[2:]).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == digest
    env.git("fsck", "--strict")


def state(env: AuEnv) -> dict[str, object]:
    """Working tree, index, HEAD, branches and stash, byte by byte."""
    files = {path: content for path, content in env.everything().items() if not path.startswith(".git/")}
    git = env.project / ".git"
    refs = env.git("for-each-ref", "refs/heads", "refs/remotes", "refs/stash", "refs/notes")
    logs = {str(path.relative_to(git)): path.read_bytes() for path in (git / "logs").rglob("*") if path.is_file()}
    return {
        "files": files,
        "index": (git / "index").read_bytes(),
        "head": (git / "HEAD").read_bytes(),
        "refs": refs,
        "logs": logs,
        "config": (git / "config").read_bytes(),
    }


def test_touches_no_file_index_head_branch_or_stash(env: AuEnv) -> None:
    env.script(SPEC)
    env.write("tracked.txt", "one\n")
    env.git("add", ".")
    env.git("commit", "--message=code")
    env.write("tracked.txt", "stashed\n")
    env.git("stash")
    env.write("tracked.txt", "staged\n")
    env.git("add", "tracked.txt")
    env.write("tracked.txt", "edited\n")
    env.write("untracked.txt", "untracked\n")
    before = state(env)
    env.python("src/experiment.py").ok()
    env.python("src/experiment.py", "a=2.0").ok()
    assert state(env) == before
    for tag in env.tags():
        assert env.git("show", f"{tag}:tracked.txt") == "edited"
        assert env.git("show", f"{tag}:untracked.txt") == "untracked"
        assert env.git("rev-parse", f"{tag}^") == env.git("rev-parse", "HEAD")
        assert env.record(tag)["code"]["dirty"]


def test_the_snapshot_is_the_code_as_it_stood_at_the_start(env: AuEnv) -> None:
    script = env.script("from pathlib import Path\nau.start()\nPath(__file__).write_text('changed while it ran')\n")
    text = script.read_text()
    env.python(script).ok()
    [tag] = env.tags()
    assert env.git("show", f"{tag}:src/experiment.py") == text.rstrip("\n")


def test_from_the_root_src_or_any_folder_below(env: AuEnv) -> None:
    env.script("au.register_metric(x=1)\n")
    (env.project / "src/deep/er").mkdir(parents=True)
    for cwd, path in (("", "src/experiment.py"), ("src", "experiment.py"), ("src/deep/er", "../../experiment.py")):
        env.python(path, cwd=cwd).ok()
    directories = sorted(env.record(tag)["command"]["directory"] for tag in env.tags())
    assert directories == ["", "src", "src/deep/er"]
    assert {env.record(tag)["code"]["script"] for tag in env.tags()} == {"src/experiment.py"}


def test_importing_alone_records_nothing(env: AuEnv) -> None:
    env.script("print('hello')\n")
    before = env.everything()
    env.python("src/experiment.py").ok()
    assert env.everything() == before


def test_without_end_experiment_it_is_recorded_at_exit(env: AuEnv) -> None:
    env.script("print('before')\nau.log(loss=1.5)\nprint('after')\n")
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    assert env.record(tag)["status"] == "finished"
    assert env.log(tag) == "before\nafter"


def test_one_that_raises_is_failed_with_its_traceback(env: AuEnv) -> None:
    env.script("au.log(loss=1.5)\nraise ValueError('too bad')\n")
    out = env.python("src/experiment.py")
    assert out.code == 1
    [tag] = env.tags()
    record = env.record(tag)
    assert (record["status"], record["problem"]) == ("failed", "ValueError: too bad")
    assert env.log(tag).count("Traceback") == 1
    assert out.stderr.count("Traceback") == 1
    assert env.rows()[0]["status"] == "failed"


def test_stdout_and_stderr_are_kept_and_progress_bars_folded(env: AuEnv) -> None:
    env.script(
        "import sys\nau.start()\n"
        "for i in range(100):\n    print(f'\\r{i + 1}%', end='', file=sys.stderr)\n"
        "print(file=sys.stderr)\nprint('done')\n"
        "assert sys.stdout.fileno() == 1 and sys.stdout.encoding\n"
    )
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    assert env.log(tag) == "100%\ndone"


def test_a_killed_run_is_finalised_by_the_next_one(env: AuEnv) -> None:
    env.script("import os, signal\nfor i in range(50):\n    au.log(loss=i)\nprint('still here')\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert env.python("src/experiment.py").code == -9
    assert env.tags() == []
    [row] = env.rows()
    assert (row["status"], row["metrics"]) == ("lost", {"loss": 49})
    before = env.everything()
    env.au("metrics").ok()
    assert env.everything() == before, "readers never write"
    env.script("au.register_metric(x=1)\n", "src/other.py")
    env.python("src/other.py").ok()
    assert sorted(row["status"] for row in env.rows()) == ["finished", "killed"]
    killed = next(tag for tag in env.tags() if env.record(tag)["status"] == "killed")
    assert env.record(killed)["metrics"]["loss"]["count"] == 50
    assert env.log(killed) == "still here"


def test_a_killed_run_is_finalised_by_recover(env: AuEnv) -> None:
    env.script("import os\nau.log(loss=1.0)\nos.kill(os.getpid(), 9)\n")
    env.python("src/experiment.py")
    assert "killed" in env.au("recover").ok().stdout
    assert env.rows()[0]["status"] == "killed"
    assert "Nothing to recover" in (out := env.au("recover").ok()).stdout + out.stderr
    assert env.git("for-each-ref", "refs/aurum/running") == ""
    env.git("fsck", "--strict")


def test_ctrl_c_in_the_middle(env: AuEnv) -> None:
    env.script("import time\nau.log(loss=1.0)\nprint('ready', flush=True)\ntime.sleep(60)\n")
    import signal
    import sys

    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout is not None
    process.stdout.readline()
    assert env.rows()[0]["status"] == "running"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert env.rows()[0]["status"] == "interrupted"


def test_two_at_once_and_eight_at_once(env: AuEnv) -> None:
    import sys

    env.script("import time\nau.parameters(n=0)\ntime.sleep(0.2)\nau.register_metric(n=au.n)\nau.end_experiment()\n")
    processes: list[subprocess.Popen[str]] = [env.start(sys.executable, "src/experiment.py", f"n={n}") for n in range(8)]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    assert sorted(row["metrics"]["n"] for row in env.rows()) == list(range(8))
    env.git("fsck", "--strict")


def test_several_experiments_in_one_process(env: AuEnv) -> None:
    env.script(
        "for n in range(3):\n    au.start(name=f'run-{n}')\n    au.log(n=n)\n    assert au.end_experiment() is True\n"
        "assert au.end_experiment() is False\n"
    )
    env.python("src/experiment.py").ok()
    assert sorted((row["name"], row["metrics"]["n"]) for row in env.rows()) == [("run-0", 0), ("run-1", 1), ("run-2", 2)]


def test_numbers_are_kept_truthfully(env: AuEnv) -> None:
    env.script(
        "import numpy as np\n"
        "au.parameters(big=2**70, small=5e-324, inf=float('inf'), text='é', nested={'a': [1, 2.5, None]})\n"
        "au.register_metric(nan=float('nan'), inf=float('-inf'), exact=2**53 + 1, huge=2**70, np32=np.float32(0.5), flag=True)\n"
        "au.register_metric(long=np.longdouble(0.5))\n"
        "try:\n    au.log(endless=10**5000)\nexcept au.InvalidValueError as error:\n    print(error)\n"
    )
    assert "The metric `endless` is an integer of more digits" in env.python("src/experiment.py").ok().stdout
    [tag] = env.tags()
    record = env.record(tag)
    values = {name: parameter["value"] for name, parameter in record["parameters"].items()}
    assert values == {"big": 2**70, "small": 5e-324, "inf": {"$float": "Infinity"}, "text": "é", "nested": {"a": [1, 2.5, None]}}
    last = {name: metric["last"] for name, metric in record["metrics"].items()}
    assert last == {"nan": "NaN", "inf": "-Infinity", "exact": 2**53 + 1, "huge": 2**70, "np32": 0.5, "flag": 1, "long": 0.5}


def test_models_come_from_the_newest_finished_run_of_the_script(env: AuEnv) -> None:
    env.script("import sys\ntry:\n    print(au.load_model())\nexcept au.NoModelError as error:\n    print(error)\nau.save_model(sys.argv[1].encode())\n")
    first = env.python("src/experiment.py", "one").ok()
    assert "hint: " in first.stdout
    assert env.python("src/experiment.py", "two").ok().stdout == "b'one'\n"
    assert env.python("src/experiment.py", "three").ok().stdout == "b'two'\n"
    newest = max(env.tags(), key=lambda tag: env.record(tag)["started"])
    assert env.record(newest)["inputs"][0]["model"] == "model"


def test_secrets_stay_out(env: AuEnv) -> None:
    secret = "hunter2hunter2"
    env.write(".env.local", f"TOKEN={secret}\n")
    env.write("server.pem", f"{secret}\n")
    env.write("sub/id_rsa", f"{secret}\n")
    env.script(f"au.parameters(db_password='{secret}', lr=1.0, url='https://me:{secret}@host/x?sig={secret}')\nau.register_metric(x=1)\n", "src/t.py")
    env.run("git", "update-index", "--add", "--cacheinfo", "100644", env.git("hash-object", "-w", "/dev/null"), "x").ok()
    script = env.project / "src/t.py"
    script.write_text(script.read_text().replace(f"'{secret}'", "__import__('os').environ['S']").replace(f"{secret}@", "'+__import__('os').environ['S']+'@").replace(f"sig={secret}", "sig='+__import__('os').environ['S']+'"))
    out = env.python("src/t.py", f"--api-key={secret}", env={"S": secret}).ok()
    assert "server.pem" in out.stderr or ".env.local" in out.stderr
    objects = env.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    for name in objects:
        content = subprocess.run(["git", "cat-file", "-p", name], cwd=env.project, capture_output=True, check=True).stdout
        assert secret.encode() not in content, content


def test_off_switches(env: AuEnv) -> None:
    env.script("au.parameters(a=1)\nau.log(loss=1.0)\nau.save_model(b'x')\nprint(au.a, au.end_experiment())\n")
    before = env.everything()
    for arguments, variables in (([], {"AURUM_MODE": "disabled"}), (["--no-tracking"], {})):
        out = env.python("src/experiment.py", "a=7", *arguments, env=variables).ok()
        assert (out.stdout, out.stderr) == ("7 False\n", "")
    assert env.everything() == before


def test_models_can_be_loaded_while_nothing_is_recorded(env: AuEnv) -> None:
    env.script("au.save_model(b'kept')\n")
    env.python("src/experiment.py").ok()
    env.script("print(au.load_model(), au.load_model(experiment='@'))\n")
    before = env.everything()
    for arguments, variables in (([], {"AURUM_MODE": "disabled"}), (["--no-tracking"], {})):
        out = env.python("src/experiment.py", *arguments, env=variables).ok()
        assert (out.stdout, out.stderr) == ("b'kept' b'kept'\n", "")
    assert {name: held for name, held in env.everything().items() if name in before} == before


def test_an_earlier_model_does_not_pass_for_one_that_is_not_kept(env: AuEnv) -> None:
    env.script("au.save_model(b'monday')\n")
    env.python("src/experiment.py").ok()
    env.script("au.save_model(b'today')\nprint(au.load_model(experiment='@'))\nau.load_model()\n")
    out = env.python("src/experiment.py", "--no-tracking").failed(1, "The model `model` is not kept while tracking is switched off")
    assert out.stdout == "b'monday'\n"


def test_a_mode_that_there_is_not_is_told(env: AuEnv) -> None:
    env.script("au.parameters(a=1)\n")
    out = env.python("src/experiment.py", env={"AURUM_MODE": "disable"}).ok()
    assert out.stderr == (
        "aurum: warning: `AURUM_MODE=disable` means nothing, and this run is recorded\n"
        "hint: Set it to `disabled` to have nothing recorded, or to none\n"
    )
    assert len(env.tags()) == 1
    assert env.python("src/experiment.py", env={"AURUM_MODE": ""}).ok().stderr == ""


def test_outside_a_project_the_script_runs_and_says_once_that_nothing_is_recorded(bare: AuEnv) -> None:
    bare.script("au.parameters(a=1)\nau.log(loss=au.a)\nau.register_metric(x=1)\n")
    out = bare.python("src/experiment.py").ok()
    assert out.stderr.count("au init") == 1
    assert set(bare.everything()) == {"src/experiment.py"}
