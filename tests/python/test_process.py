"""What tracking does to the process that it watches."""

import sys

import pytest
from conftest import AuEnv

MEBIBYTE = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v works on Linux alone")
def test_a_tracked_run_needs_little_address_space(env: AuEnv) -> None:
    env.script("au.parameters(a=1)\nau.log(loss=1.0)\nau.save_model(b'x' * 1_000_000)\nau.end_experiment()\n")
    peak = "import re; print(re.search(r'VmPeak:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    kibibytes = int(env.python("-c", peak).ok().stdout)
    limit = kibibytes + 256 * 1024
    env.run("sh", "-c", f"ulimit -v {limit}; exec {sys.executable} src/experiment.py").ok()
    assert len(env.tags()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_signal_handlers_are_untouched(env: AuEnv) -> None:
    env.script(
        "import signal\n"
        "def state():\n"
        "    masks = dict(line.split(':') for line in open('/proc/self/status') if line.startswith(('SigBlk', 'SigIgn', 'SigCgt')))\n"
        "    # 32 and 33 are the C library's own: it takes them when a process starts its first thread.\n"
        "    masks = {name: int(mask, 16) & ~(3 << 31) for name, mask in masks.items()}\n"
        "    return masks, [signal.getsignal(n) for n in signal.valid_signals()]\n"
        "before = state()\n"
        "au.log(loss=1.0)\nau.end_experiment()\n"
        "assert state() == before, (state(), before)\n"
    )
    env.python("src/experiment.py").ok()


def test_a_million_steps_take_no_more_memory_than_a_few(env: AuEnv) -> None:
    env.script(
        "import resource\nau.parameters(n=10)\n"
        "for i in range(au.n):\n    au.log(loss=1.0 / (i + 1))\n"
        "au.end_experiment()\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    few, many = (int(env.python("src/experiment.py", f"n={n}").ok().stdout) for n in (10, 300_000))
    assert (many - few) * 1024 < 64 * MEBIBYTE
    assert env.record(env.tags()[0])
