"""Whatever fails of ours, the script ends as it would have: each thing that Aurum stands on is taken away in turn under a script that
calls everything there is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import AuEnv, Result, left_out, small_disk

#: Calls that have to answer may say why they can't: an `AurumError`. Every other one just returns.
SCRIPT = """
import os, sys
MIDDLE = sys.argv.pop() if len(sys.argv) > 1 else ""

def answer(call, *arguments, **options):
    try:
        return call(*arguments, **options)
    except au.AurumError:
        return None

print("begin")
au.start("named", sample_system=0.1)
au.parameters(a=1, rate=0.5)
print("a", au.params["a"])
au.log(loss=0.5)
au.log({"val/loss": 0.25}, step=3)
exec(MIDDLE)
for step in range(5):
    au.log(loss=1 / (step + 1), step=step)
    print("step", step)
au.register_metric(accuracy=0.5)
au.register_metrics({"val/accuracy": 0.75})
au.note("said")
au.tag("one", "two")
au.group("together")
au.log_artifact(b"bytes", "artifact.bin")
class Figure:
    def savefig(self, file, format): file.write(b"picture")
au.log_figure(Figure(), "figure.png")
au.save_model(b"weights")
au.save_weights(b"more", "second")
answer(au.load_model)
answer(au.load_weights, "second")
answer(au.dataset, "table.csv")
answer(au.use_datasets, "table.csv")
answer(au.metrics)
for one in answer(au.experiments) or ():
    answer(lambda: one.log())
answer(au.experiment, "@")
au.flush()
if os.fork() == 0:
    au.log(child=1)
    print("child", flush=True)
    os._exit(0)
os.wait()
print("warned", file=sys.stderr)
assert isinstance(au.end_experiment(), bool)
try:
    au.start("second", sample_system=0.1, capture="fd")
except au.AurumError:
    pass
print("second", flush=True)
os.write(1, b"past Python\\n")
au.log(b=1)
au.end_experiment()
with au.run("block"):
    au.log(c=1)
    print("block")
@au.run
def function():
    au.log(d=1)
    return 5
print("function", function())
au.log(e=1)
print("end")
"""
OUTPUT = (
    "begin\na 1\n" + "".join(f"step {step}\n" for step in range(5)) + "child\nsecond\npast Python\nblock\nfunction 5\nend\n"
)


def script(env: AuEnv) -> None:
    env.write("table.csv", "a,b\n1,2\n")
    env.au("data", "add", "table.csv").ok()
    env.script("au.log(a=1)\nau.save_model(b'earlier')", "src/earlier.py")
    env.git("add", "-A")
    env.git("commit", "-qm", "code")
    env.python("src/earlier.py").ok()
    # What a forked child prints must not come twice.
    env.script("import sys\nsys.stdout.reconfigure(line_buffering=True)" + SCRIPT)


def check(out: Result, *, warned: bool = True) -> None:
    assert out.code == 0, f"exit {out.code}\n{out.stdout}\n{out.stderr}"
    assert out.stdout == OUTPUT, out.stderr
    assert "Traceback" not in out.stderr and "panicked" not in out.stderr, out.stderr
    assert "warned\n" in out.stderr
    warnings = Counter(line for line in out.stderr.splitlines() if line.startswith("aurum: warning: "))
    if warned:
        assert warnings, out.stderr
    # The child is a process of its own, which may say the same of itself. There are five runs, each of which is told of the trouble as it
    # begins, and where it could not be saved.
    assert all(count <= 2 for count in warnings.values()) and len(warnings) <= 5 * 3, out.stderr


def test_the_script_calls_everything(env: AuEnv) -> None:
    env.script("import inspect\nprint(*(n for n in au.__all__ if not inspect.isclass(getattr(au, n))))")
    names = set(env.python("src/experiment.py").ok().stdout.split())
    assert len(names) > 20
    assert {name for name in names if f"au.{name}" not in SCRIPT} == set()
    script(env)
    out = env.python("src/experiment.py")
    check(out, warned=False)
    assert "aurum: warning" not in out.stderr
    assert len(env.tags()) == 6


def replace(path: str) -> Callable[[AuEnv], None]:
    """Rubbish in the place of a file or folder."""

    def change(env: AuEnv) -> None:
        target = env.project / path
        shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"\0rubbish\xff")

    return change


def remove(path: str) -> Callable[[AuEnv], None]:
    def change(env: AuEnv) -> None:
        target = env.project / path
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)

    return change


BROKEN = [
    *[".git/HEAD", ".git/config", ".git/index", ".git/refs", ".git/objects", ".git/packed-refs"],
    *[".git/aurum", ".git/aurum/runs", ".git/aurum/store", ".git/aurum/cache", ".au/datasets", ".au/datasets/table.csv.json", ".au/config"],
]


@pytest.mark.parametrize("path", BROKEN)
def test_rubbish_where_something_of_ours_or_gits_was(env: AuEnv, path: str) -> None:
    script(env)
    replace(path)(env)
    check(env.python("src/experiment.py"), warned=False)


@pytest.mark.parametrize("path", [".git", ".git/HEAD", ".git/objects", ".git/refs", ".git/aurum", ".git/aurum/store", ".au", "table.csv"])
def test_something_that_is_gone(env: AuEnv, path: str) -> None:
    script(env)
    remove(path)(env)
    check(env.python("src/experiment.py"), warned=False)


@pytest.mark.parametrize("path", [*BROKEN, ".git"])
def test_rubbish_that_comes_while_the_run_goes_on(env: AuEnv, path: str) -> None:
    script(env)
    middle = f"""
import pathlib, shutil
target = pathlib.Path({str(env.project / path)!r})
shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
target.parent.mkdir(parents=True, exist_ok=True)
target.write_bytes(b"\\0rubbish\\xff")
"""
    check(env.python("src/experiment.py", middle), warned=False)


MIDDLE = {
    "the folder that it works in is gone": "import tempfile\nfolder = tempfile.mkdtemp()\nos.chdir(folder)\nos.rmdir(folder)",
    "the project is gone": "import shutil\nshutil.rmtree(os.getcwd())",
    "no file can be written": "import resource, signal\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    "no file can be opened": "import functools, inspect, resource\nau.experiments, au.experiment\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
    "no process can be made": "import subprocess\nsubprocess.Popen = None",
    "stderr takes nothing": "class Broken:\n    def write(self, text): raise OSError('no')\n    def flush(self): raise OSError('no')\n"
    "keep = sys.stderr",
    "a clock that stands still": "import time\ntime.time = lambda: 0",
    "streams of another kind": "import io\nkeep = sys.stderr\nsys.stderr = io.TextIOWrapper(open(2, 'wb', closefd=False, buffering=0), write_through=True)",
}


@pytest.mark.parametrize("middle", MIDDLE)
def test_what_a_script_may_do_to_itself(env: AuEnv, middle: str) -> None:
    script(env)
    check(env.python("src/experiment.py", MIDDLE[middle]), warned=False)


@pytest.mark.parametrize("variables", [{"AURUM_CLOCK": "soon"}, {"GIT_CONFIG_GLOBAL": "/"}, {"HOME": "/nowhere"}, {"PATH": "/nowhere"}, {"TMPDIR": "/nowhere"}])
def test_surroundings_that_are_not_as_they_should_be(env: AuEnv, variables: dict[str, str]) -> None:
    script(env)
    check(env.python("src/experiment.py", env=variables), warned=False)


#: Calls of the system that fail for the whole of the script.
FAULTS = {
    "syncing": ("fsync,fdatasync,syncfs", "EIO"),
    "naming": ("rename,renameat,renameat2,link,linkat", "EACCES"),
    "making folders": ("mkdir,mkdirat", "EROFS"),
    "locking": ("flock", "EIO"),
    "no locks there": ("flock", "ENOLCK"),
    "cutting": ("ftruncate", "EIO"),
    "copying": ("copy_file_range", "EIO"),
    "removing": ("unlink,unlinkat,rmdir", "EACCES"),
    "chance": ("getrandom", "ENOSYS"),
    "free space": ("statfs,fstatfs", "EIO"),
    "threads": ("clone3", "EAGAIN"),
    "modes": ("chmod,fchmod,fchmodat", "EPERM"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_of_the_system_that_fails(env: AuEnv, fault: str) -> None:
    strace = shutil.which("strace")
    if strace is None:
        left_out("there is no strace")
    script(env)
    calls, error = FAULTS[fault]
    trace = env.root / "trace"
    # Not of the children: what another program makes of it is its own affair.
    out = env.run(
        strace, "-qq", "-o", trace, "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}", sys.executable, "src/experiment.py"
    )
    check(out, warned=False)


def test_a_disk_that_is_full_from_the_beginning(bare: AuEnv) -> None:
    disk = bare.root / "disk"
    with small_disk(disk, "8M"):
        env = AuEnv(bare.root, disk / "project", bare.environment)
        env.au("init").ok()
        script(env)
        with (disk / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"\0" * 4096)
            except OSError:
                pass
        check(env.python("src/experiment.py"))


def test_a_project_of_somebody_else(env: AuEnv) -> None:
    script(env)
    if subprocess.run(["chown", "-R", "65534", str(env.project)], capture_output=True).returncode != 0:
        pytest.skip("giving files away takes root")
    check(env.python("src/experiment.py"))


def test_our_own_module_with_a_fault(env: AuEnv) -> None:
    script(env)
    copy = env.root / "site"
    import aurum

    shutil.copytree(Path(aurum.__file__).parent, copy / "aurum")
    for name in ("_streams", "_exit", "_terminate", "_capture", "_reading"):
        module = copy / "aurum" / f"{name}.py"
        if name not in ("_streams",):
            module.write_text("raise RuntimeError('ours')\n")
    check(env.python("src/experiment.py", env={"PYTHONPATH": str(copy)}), warned=False)
