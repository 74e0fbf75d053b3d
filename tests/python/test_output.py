"""What of a script's output is in its log: `logging`, warnings, C, other programs, and very much of it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from conftest import AuEnv

HANDLERS = {
    "basicConfig": "logging.basicConfig(level='INFO', format='%(message)s')",
    "basicConfig to stdout": "logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout)",
    "dictConfig": "import logging.config\nlogging.config.dictConfig({'version': 1, 'root': {'level': 'INFO', 'handlers': ['out']},"
    " 'formatters': {'plain': {'format': '%(message)s'}},"
    " 'handlers': {'out': {'class': 'logging.StreamHandler', 'formatter': 'plain', 'stream': 'ext://sys.stdout'}}})",
    "fileConfig": "import logging.config\nlogging.config.fileConfig('logging.ini')",
    "a handler of one's own": "handler = logging.StreamHandler()\nlogging.getLogger().addHandler(handler)\nlogging.getLogger().setLevel('INFO')",
}
INI = """
[loggers]
keys=root
[handlers]
keys=err
[formatters]
keys=plain
[logger_root]
level=INFO
handlers=err
[handler_err]
class=StreamHandler
args=(sys.stderr,)
formatter=plain
[formatter_plain]
format=%(message)s
"""


@pytest.mark.parametrize("first", ["logging", "aurum"])
@pytest.mark.parametrize("handler", HANDLERS)
def test_what_is_logged_is_in_the_log_whoever_came_first(env: AuEnv, handler: str, first: str) -> None:
    env.write("logging.ini", INI)
    configure = "import logging, sys, warnings\n" + HANDLERS[handler] + "\n"
    body = "logging.info('before')\nau.log(a=1)\nlogging.info('by logging')\nlogging.captureWarnings(True)\nwarnings.warn('careful')\n"
    import_ours = "import aurum as au\n"
    env.write("src/experiment.py", (configure + import_ours if first == "logging" else import_ours + configure) + body)
    out = env.python("src/experiment.py").ok()
    log = env.log(env.tags()[0])
    assert log.splitlines()[:2] == ["before", "by logging"] and "careful" in log
    assert (out.stdout + out.stderr).rstrip("\n") == log


def test_warnings_are_in_the_log(env: AuEnv) -> None:
    env.script("import warnings\nau.log(a=1)\nwarnings.warn('careful')\n")
    out = env.python("src/experiment.py").ok()
    assert "UserWarning: careful" in env.log(env.tags()[0]) and "UserWarning: careful" in out.stderr


@pytest.mark.parametrize("capture", ["python", "fd"])
def test_the_streams_stay_streams(env: AuEnv, capture: str) -> None:
    env.script(
        f"""
import io, sys
before = [(id(s), s.fileno(), s.encoding, s.isatty(), type(s.buffer), s.errors) for s in (sys.stdout, sys.stderr)]
au.start(capture={capture!r})
after = [(id(s), s.fileno(), s.encoding, s.isatty(), type(s.buffer), s.errors) for s in (sys.stdout, sys.stderr)]
assert before == after, (before, after)
assert isinstance(sys.stdout, io.TextIOWrapper)
sys.stdout.reconfigure(line_buffering=True)
print("é", file=sys.stdout)
sys.stdout.writelines(["a\\n", "b\\n"])
"""
    )
    assert env.python("src/experiment.py").ok().stdout == "é\na\nb\n"
    assert env.log(env.tags()[0]) == "é\na\nb"


#: Prints by Python, past its streams, by C's own, by another program and by a child, in this order.
ALL_WAYS = """
import ctypes, os, subprocess, sys
print("one")
sys.stdout.flush()
os.write(1, b"two\\n")
libc = ctypes.CDLL(None)
libc.puts(b"three")
libc.fflush(None)
subprocess.run(["sh", "-c", "echo four; echo five >&2"], check=True)
if os.fork() == 0:
    print("six", flush=True)
    au.log(child=1)
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize("setting", [False, True])
def test_all_that_is_printed_is_kept_where_asked(env: AuEnv, setting: bool) -> None:
    if setting:
        env.git("config", "aurum.capture", "fd")
    env.script(("au.start()" if setting else "au.start(capture='fd')") + ALL_WAYS + "au.end_experiment()\nprint('after')\n")
    out = env.python("src/experiment.py").ok()
    assert (out.stdout, out.stderr) == ("one\ntwo\nthree\nfour\nsix\nafter\n", "five\n")
    [tag] = env.tags()
    log = env.log(tag).split("\n")
    assert [line for line in log if line != "five"] == ["one", "two", "three", "four", "six"] and log.count("five") == 1
    assert env.record(tag)["metrics"]["child"]["count"] == 1


def test_nothing_past_python_is_kept_unless_asked(env: AuEnv) -> None:
    env.script("au.start()" + ALL_WAYS)
    env.python("src/experiment.py").ok()
    assert env.log(env.tags()[0]) == "one\nsix"


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("raise ValueError('broken')", 1),
        ("sys.exit(3)", 3),
        ("os._exit(4)", 4),
        ("os.kill(os.getpid(), 9)", -9),
        ("os.abort()", -6),
        ("libc.printf(b'held back by C')\nsys.exit(0)", 0),
    ],
)
def test_nothing_is_lost_however_it_ends(env: AuEnv, end: str, code: int) -> None:
    lines = "".join(f"line {number}\n" for number in range(20_000))
    env.script(
        "import ctypes, os, sys\nau.start(capture='fd')\nlibc = ctypes.CDLL(None)\n"
        f"os.write(1, ''.join(f'line {{number}}\\n' for number in range(20000)).encode())\n{end}\n"
    )
    out = env.python("src/experiment.py")
    assert out.code == code
    assert out.stdout.startswith(lines)
    # Of a process that is gone whoever kept its output may still be at it.
    env.run("sh", "-c", "for i in $(seq 50); do au recover >&2; [ -n \"$(git tag)\" ] && exit; sleep 0.1; done; exit 1").ok()
    log = env.log(env.tags()[0])
    # Of two streams each keeps its order.
    assert [line for line in log.split("\n") if line.startswith("line ")] == lines.splitlines()
    if code == 1:
        assert log.count("ValueError: broken") == 1
    if code == 0:
        assert log.endswith("held back by C") and out.stdout.endswith("held back by C")


def test_a_spawned_worker_prints_once(env: AuEnv) -> None:
    env.script(
        """
import multiprocessing

def work():
    print("from the worker", flush=True)
    au.log(worker=1)

if __name__ == "__main__":
    au.start(capture="fd")
    worker = multiprocessing.get_context("spawn").Process(target=work)
    worker.start()
    worker.join()
"""
    )
    assert env.python("src/experiment.py").ok().stdout == "from the worker\n"
    assert env.log(env.tags()[0]) == "from the worker"


def test_a_program_that_outlives_the_run_keeps_nobody_waiting_for_long(env: AuEnv) -> None:
    env.script("import subprocess\nau.start(capture='fd')\nprint('mine')\nsubprocess.Popen(['sleep', '30'], stdin=-3)\n")
    with (env.root / "out").open("wb") as file:
        done = subprocess.run(
            [sys.executable, "src/experiment.py"], cwd=env.project, env=env.environment, stdout=file, stderr=file, timeout=25
        )
    assert done.returncode == 0 and (env.root / "out").read_text() == "mine\n"
    assert len(env.tags()) == 1
    assert env.log(env.tags()[0]) == "mine"


def test_who_keeps_the_output_is_no_child_of_the_script(env: AuEnv) -> None:
    env.script(
        """
import os
au.start(capture="fd")
if os.fork() == 0:
    os._exit(0)
os.wait()
try:
    os.wait()
except ChildProcessError:
    print("no other child")
"""
    )
    assert env.python("src/experiment.py", timeout=30).ok().stdout == "no other child\n"


def test_a_terminal_stays_one_for_python(env: AuEnv) -> None:
    env.script(
        "import sys\nau.start(capture='fd')\nprint(sys.stdout.isatty(), sys.stderr.isatty())\nau.end_experiment()\n"
        "print(sys.stdout.isatty(), 'isatty' in vars(sys.stdout))\n"
    )
    controller, terminal = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "src/experiment.py"], cwd=env.project, env=env.environment, stdin=terminal, stdout=terminal,
            stderr=terminal, timeout=60, check=True,
        )
        assert os.read(controller, 1000).split() == [b"True", b"True", b"True", b"False"]
    finally:
        os.close(controller)
        os.close(terminal)


def test_without_the_program_the_streams_are_watched_as_ever(env: AuEnv) -> None:
    env.script(
        "import aurum._capture as capture\nau.start()\ncapture.begin('/nowhere/au', '.', 'x')\nprint('still here')\n"
        "au.end_experiment()\n"
    )
    out = env.python("src/experiment.py").ok()
    assert out.stdout == "still here\n" and out.stderr.count("aurum: warning: What is printed past Python is not recorded") == 1
    assert env.log(env.tags()[0]).endswith("\nstill here")


def test_what_capture_there_is_is_said(env: AuEnv) -> None:
    env.script("au.start(capture='all')")
    env.python("src/experiment.py").failed(1, "aurum.InvalidValueError: `capture` is `\"python\"` or `\"fd\"`, not: `all`", "hint: ")
    env.git("config", "aurum.capture", "everything")
    env.script("au.log(a=1)")
    assert "`aurum.capture` is `everything`" in env.python("src/experiment.py").ok().stderr


@pytest.mark.parametrize("mebibytes", [320, pytest.param(1024, marks=pytest.mark.long)])
def test_of_very_much_output_both_ends_stay_in_flat_memory(env: AuEnv, mebibytes: int) -> None:
    env.script(
        f"MEBIBYTES = {mebibytes}"
        """
import resource, sys
au.log(a=1)
print("the first line")
piece = "".join(f"{number:015}\\n" for number in range(65536))
sys.stdout.write(piece)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(MEBIBYTES):
    sys.stdout.write(piece)
print("the last line")
au.end_experiment()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert grown < 128 << 10, f"{grown} KiB more"
print(grown, file=sys.stderr)
raise ValueError("after all that")
"""
    )
    with open(os.devnull, "wb") as nowhere:
        done = subprocess.run(
            [sys.executable, "src/experiment.py"], cwd=env.project, env=env.environment, stdout=nowhere, stderr=subprocess.PIPE,
            text=True, timeout=500,
        )
    assert done.stderr.rstrip().endswith("ValueError: after all that") and "AssertionError" not in done.stderr, done.stderr
    log = env.log(env.tags()[0])
    assert len(log) < 18 << 20
    assert log.startswith("the first line\n") and log.endswith("the last line") and " bytes are left out …]\n" in log


def test_the_traceback_stays_whatever_was_printed_before(env: AuEnv) -> None:
    env.script("au.log(a=1)\nfor _ in range(40):\n    print('x' * (1 << 20))\nraise ValueError('at the end')\n")
    assert env.python("src/experiment.py").code == 1
    log = env.log(env.tags()[0])
    assert len(log) < 18 << 20 and log.endswith("ValueError: at the end") and log.count("Traceback") == 1


REPLACED = {
    "a wrapper of the same buffer": "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8', line_buffering=True)",
    "a wrapper of what is detached": "sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8', line_buffering=True)",
    "a writer of codecs": "sys.stdout = codecs.getwriter('utf-8')(sys.stdout.buffer)",
    "a file of the same descriptor": "sys.stdout = open(1, 'w', closefd=False, buffering=1)",
    "a copy of the descriptor": "import os\nsys.stdout = os.fdopen(os.dup(1), 'w', buffering=1)",
    "a guarded logger": "class Log:\n    def __init__(self, to): self.to = to\n    def write(self, text):\n"
    "        if text.strip(): self.to.write(text.rstrip() + '\\n')\n    def flush(self): self.to.flush()\nsys.stdout = Log(sys.stdout)",
    "a buffering tee": "class Tee:\n    def __init__(self, to): self.to, self.held = to, ''\n    def write(self, text):\n"
    "        *lines, self.held = (self.held + text).split('\\n')\n        [self.to.write(line + '\\n') for line in lines]\n"
    "    def flush(self): self.to.flush()\nsys.stdout = Tee(sys.stdout)",
    "a class of the wrapper's": "class Tee(io.TextIOWrapper):\n    def write(self, text): return former.write(text)\n"
    "former = sys.stdout\nsys.stdout = Tee(open(1, 'wb', closefd=False), encoding='utf-8')",
    "a proxy": "class Proxy:\n    def __init__(self, of): object.__setattr__(self, 'of', of)\n"
    "    def __getattr__(self, name): return getattr(self.of, name)\n    def __setattr__(self, name, value): setattr(self.of, name, value)\n"
    "    __class__ = property(lambda self: type(self.of))\nsys.stdout = Proxy(sys.stdout)",
    "a tee": "class Tee:\n    def __init__(self, *to): self.to = to\n    def write(self, text): [to.write(text) for to in self.to]\n"
    "    def flush(self): [to.flush() for to in self.to]\nsys.stdout = Tee(sys.stdout, open('copy.txt', 'w'))",
}


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("stream", REPLACED)
def test_a_stream_in_the_place_of_the_standard_one_is_in_the_log_once(env: AuEnv, stream: str, begun: bool) -> None:
    begin = "au.start()\n" if begun else ""
    env.script(f"import codecs, io, sys\n{begin}{REPLACED[stream]}\nau.log(a=1)\nprint('größer')\nau.log(a=2)\nprint('last')\n")
    out = env.python("src/experiment.py").ok()
    assert out.stdout == "größer\nlast\n" and out.stderr == ""
    assert env.log(env.tags()[0]) == "größer\nlast"


def test_what_is_redirected_elsewhere_is_no_output(env: AuEnv) -> None:
    env.script(
        "import contextlib, io\nau.log(a=1)\nprint('before')\nwith contextlib.redirect_stdout(io.StringIO()) as kept:\n"
        "    au.log(a=2)\n    print('within')\nassert kept.getvalue() == 'within\\n'\nprint('after')\n"
    )
    env.python("src/experiment.py").ok()
    assert env.log(env.tags()[0]) == "before\nafter"
