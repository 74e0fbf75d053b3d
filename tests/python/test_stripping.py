"""Stripping, unmodified from PyPI, beside Aurum."""

from __future__ import annotations

import sys

import pytest
from conftest import AuEnv

#: Two steps, the second of which uses what the first left in the context.
PIPELINE = """
import sys, warnings
warnings.simplefilter("ignore")
{imports}
st, context = setup_stripping({cache})

@st.step
def load():
    context.rows = [1, 2, 3]
    print("loading")

@st.step
def train():
    au.log(total=sum(context.rows))
    return sum(context.rows)

print(st.execute())
"""
AURUM_FIRST = "import aurum as au\nfrom stripping import setup_stripping"
STRIPPING_FIRST = "from stripping import setup_stripping\nimport aurum as au"


def pipeline(env: AuEnv, cache: str, imports: str = AURUM_FIRST) -> None:
    env.write("src/pipeline.py", PIPELINE.format(imports=imports, cache=cache))
    env.git("add", "-A")
    env.git("commit", "-qm", "pipeline")


def check(env: AuEnv, *arguments: str) -> None:
    """That two runs are recorded, and none of the cache is anywhere in git's sight."""
    for _ in range(2):
        assert env.run(sys.executable, "src/pipeline.py", *arguments).ok().stdout.endswith("6\n")
    assert env.git("status", "--porcelain", "--untracked-files=all") == ""
    committed = set(env.git("ls-tree", "-r", "--name-only", "HEAD").split("\n"))
    for tag in env.tags():
        record = f".au/experiments/{tag.removeprefix('au/')}/"
        there = set(env.git("ls-tree", "-r", "--name-only", tag).split("\n"))
        assert {path for path in there - committed if not path.startswith((record, "logs/"))} == set()
        assert env.record(tag)["code"]["dirty"] is False


@pytest.mark.parametrize("imports", [AURUM_FIRST, STRIPPING_FIRST], ids=["aurum first", "stripping first"])
@pytest.mark.parametrize("cache", ["", "'.stripping'", "'deep/er/cache'", "'a cache [1]'", "'src/cache'", "sys.path[0] + '/beside'"])
def test_its_cache_stays_out_wherever_it_is(env: AuEnv, cache: str, imports: str) -> None:
    pipeline(env, cache, imports)
    check(env)


@pytest.mark.parametrize("cache", ["'.'", "'src'", "'shared #1'"])
def test_its_cache_stays_out_among_other_files_which_stay_in(env: AuEnv, cache: str) -> None:
    env.write("shared #1/own.txt", "mine\n")
    pipeline(env, cache)
    check(env)
    env.write("shared #1/new.txt", "new\n")
    env.write("src/new.py", "")
    assert env.git("status", "--porcelain", "--untracked-files=all") == '?? "shared #1/new.txt"\n?? src/new.py'


def test_its_cache_stays_out_after_it_was_cleaned(env: AuEnv) -> None:
    pipeline(env, "'.stripping'")
    check(env)
    check(env, "-clean")


def test_an_ignore_file_that_is_there_is_left_alone(env: AuEnv) -> None:
    env.write(".stripping/.gitignore", "*\n!kept\n")
    env.write(".stripping/kept", "mine")
    pipeline(env, "'.stripping'")
    check(env)
    assert (env.project / ".stripping/.gitignore").read_text() == "*\n!kept\n"


def test_an_ignore_file_of_the_user_s_own_is_no_reason_to_let_it_in(env: AuEnv) -> None:
    env.write("own/.gitignore", "*.tmp\n")
    pipeline(env, "'own'")
    check(env)
    assert (env.project / "own/.gitignore").read_text() == "*.tmp\n"


def test_its_calls_of_the_first_aurum_work_and_take_nothing_along(env: AuEnv) -> None:
    # Stripping makes them where there is a module of this name.
    pipeline(env, "'.stripping'", "import sys, types\nsys.modules['au'] = types.ModuleType('au')\n" + AURUM_FIRST)
    env.write("edited.txt", "not committed\n")
    env.git("add", "edited.txt")
    head, status = env.git("rev-parse", "HEAD"), env.git("status", "--porcelain")
    assert env.python("src/pipeline.py").ok().stdout == "loading\n6\n"
    assert (env.git("rev-parse", "HEAD"), env.git("status", "--porcelain")) == (head, status)
    [tag] = env.tags()
    assert [note["text"] for note in env.record(tag)["notes"]] == ["load", "train"]


def test_modules_of_the_first_aurum_hide_no_parameters(env: AuEnv) -> None:
    env.script(
        """
import sys
assert not {"aurum.git", "aurum.base", "subprocess"} & {*sys.modules}
out, err = au.git.run_git("rev-parse", "--is-inside-work-tree").communicate()
assert (out, err) == (b"true\\n", b"")
assert "au push" in au.base.git.push()
au.parameters(base=7, git="hub")
assert (au.base, au.git) == (7, "hub")
try:
    au.nothing
except AttributeError as error:
    print(error)
"""
    )
    assert "nothing" in env.python("src/experiment.py").ok().stdout


LOGGING = """
[loggers]
keys=root
[handlers]
keys=out
[formatters]
keys=plain
[logger_root]
level=INFO
handlers=out
[handler_out]
class=StreamHandler
args=(sys.stdout,)
formatter=plain
[formatter_plain]
format=said %(message)s
"""


def test_its_logging_goes_into_the_log(env: AuEnv) -> None:
    env.write("logging.ini", LOGGING)
    pipeline(env, "'.stripping'", "import logging\n" + AURUM_FIRST)
    with (env.project / "src/pipeline.py").open("a") as script:
        script.write("logging.warning('by logging')\n")
    env.git("commit", "-qam", "logs")
    out = env.python("src/pipeline.py").ok().stdout
    assert out.endswith("said by logging\n")
    [tag] = env.tags()
    # What it says of Catalysis when it is imported went to the other stream.
    assert env.log(tag).endswith("loading\n6\nsaid by logging")
