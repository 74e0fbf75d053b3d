"""`au show`, completions, and what holds for every command: help, near misses, quiet, verbose, colours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from conftest import AuEnv


def run(env: AuEnv) -> str:
    env.write("a.csv", "1\n")
    env.au("data", "add", "a.csv").ok()
    env.script(
        "au.start(name='base')\nau.parameters(rate=0.1 + 0.2, text='a b')\nau.dataset('a.csv')\n"
        "for step in range(3):\n    au.log(loss=step, huge=2**53 + 1)\nprint('hello')\nau.save_model(b'x' * 1000)\n"
    )
    env.python("src/experiment.py", "rate=0.5").ok()
    [tag] = env.tags()
    return tag


def test_json_is_the_record_with_its_commit(env: AuEnv) -> None:
    tag = run(env)
    record = env.record(tag)
    for selector in (tag, tag[3:], tag[3:11], "base", "@"):
        shown = json.loads(env.au("show", "--json", selector).ok().stdout)
        assert (shown.pop("commit"), shown.pop("tag")) == (env.git("rev-parse", tag), tag)
        assert shown == record


def test_what_people_read(env: AuEnv) -> None:
    tag = run(env)
    out = env.au("show", "base").ok()
    assert out.stderr == "" and "\x1b" not in out.stdout
    for word in (tag[3:], "base", "finished", "src/experiment.py", "rate", "0.5", "a b", "loss", "9007199254740993", "a.csv", "model"):
        assert word in out.stdout, word
    env.au("show").failed(2, "SELECTOR")


def test_a_run_that_is_going_on_and_one_that_died(env: AuEnv) -> None:
    env.script("import os\nau.log(loss=1.5)\nos.kill(os.getpid(), 9)\n")
    env.python("src/experiment.py")
    before = env.everything()
    shown = json.loads(env.au("show", "--json", "@").ok().stdout)
    assert (shown["status"], shown["ended"], shown["commit"], shown["tag"]) == ("lost", None, None, None)
    assert shown["metrics"]["loss"]["last"] == 1.5
    assert "lost" in env.au("show", "@").ok().stdout
    assert env.everything() == before, "readers never write"


def test_failed_runs_show_why(env: AuEnv) -> None:
    env.script("au.log(loss=1.0)\nraise ValueError('too \\x1b[31mbad\\u202e')\n")
    env.python("src/experiment.py")
    out = env.au("show", "@").ok()
    assert "failed" in out.stdout and "ValueError" in out.stdout
    assert "\x1b" not in out.stdout and "\u202e" not in out.stdout, "nothing reaches the terminal raw"


def test_unknown_and_several(env: AuEnv) -> None:
    tag = run(env)
    env.au("show", "beef").failed(1, "No experiment matches `beef`", "hint: Run `au metrics`")
    env.au("show", "be").failed(1, "at least 4 characters")
    env.python("src/experiment.py").ok()
    other = next(other for other in env.tags() if other != tag)
    env.au("show", f"{tag},{other}").failed(1, "2 experiments", "hint: ")


# --- completions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(bare: AuEnv, shell: str) -> None:
    out = bare.au("completions", shell).ok()
    assert out.stderr == "" and out.stdout.count("\n") > 20
    for word in ("metrics", "data", "restore", "load", "export", "no-data"):
        assert word in out.stdout, word
    if shutil.which(shell):
        script = bare.write("completions", out.stdout)
        bare.run(shell, "-n" if shell != "fish" else "--no-execute", script).ok()


def test_bash_completes(bare: AuEnv) -> None:
    bare.write("completions", bare.au("completions", "bash").ok().stdout)

    def complete(*words: str) -> list[str]:
        line = " ".join(words)
        quoted = " ".join(f"'{word}'" for word in words)
        script = (
            f"source ./completions; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)};"
            "function=$(complete -p au | sed 's/.*-F \\([^ ]*\\).*/\\1/');"
            f'"$function" au \'{words[-1]}\' \'{words[-2]}\'; printf "%s\\n" "${{COMPREPLY[@]}}"'
        )
        return bare.run("bash", "-c", script).ok().stdout.split()

    assert "data" in complete("au", "da")
    assert {"add", "rm", "ls", "status", "restore"} <= set(complete("au", "data", ""))
    assert "--no-data" in complete("au", "export", "--no")


def test_a_shell_that_is_not_known(bare: AuEnv) -> None:
    bare.au("completions", "tcsh").failed(2, "bash", "zsh", "fish")
    bare.au("completions", "bsh").failed(2, "bash")


# --- every command ---------------------------------------------------------------------------------------------------


def commands(env: AuEnv, *parents: str) -> list[tuple[str, ...]]:
    """Every command, by what the help lists."""
    text = env.au(*parents, "--help").ok().stdout
    block = re.search(r"^Commands:\n((?:  .*\n|\n(?=  ))+)", text, re.MULTILINE)
    if not block:
        return [parents]
    found = [name for name in re.findall(r"^  ([a-z-]+)", block[1], re.MULTILINE) if name != "help"]
    return [parents, *(command for name in found for command in commands(env, *parents, name))]


def test_help_of_every_command(bare: AuEnv) -> None:
    found = commands(bare)
    expected = {("data",), *(("data", name) for name in ("add", "rm", "ls", "status", "restore"))}
    expected |= {(name,) for name in ("init", "metrics", "recover", "load", "export", "show", "completions")}
    assert expected <= set(found)
    for command in found:
        text = bare.au(*command, "--help").ok().stdout
        assert "Examples:" in text and "Exit status:" in text, command
        assert f"au {' '.join(command)}".strip() in text.partition("Examples:")[2], command
        short = bare.au(*command, "-h").ok().stdout
        assert "Usage: " in short
    assert bare.everything() == {}


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["laod", "@"], "load"),
        (["exprot", "@"], "export"),
        (["shwo", "@"], "show"),
        (["data", "ad", "x"], "add"),
        (["data", "stats"], "status"),
        (["data", "ls", "--jsno"], "--json"),
        (["data", "status", "--ofline"], "--offline"),
        (["export", "@", "--no-dta"], "--no-data"),
        (["data", "add", "--nme", "x", "y"], "--name"),
    ],
)
def test_near_misses(env: AuEnv, words: list[str], near: str) -> None:
    before = env.everything()
    out = env.au(*words).failed(2, near)
    assert out.stdout == "" and env.everything() == before


def test_quiet_leaves_the_answer(env: AuEnv) -> None:
    run(env)
    for words in (["show", "@"], ["data", "ls"], ["data", "status"], ["data", "add", "a.csv"], ["data", "restore"]):
        loud, quiet = env.au(*words).ok(), env.au("--quiet", *words).ok()
        assert quiet.stderr == "" and quiet.stdout == loud.stdout
        assert env.au(*words, "-q").ok().stderr == ""
    env.write("b.csv", "1\n")
    env.au("-q", "data", "add", "--no-store", "b.csv").ok()
    assert env.au("-q", "show", "beef").code == 1 and "beef" in env.au("-q", "show", "beef").stderr


def test_verbose_says_where(env: AuEnv) -> None:
    run(env)
    for words in (["show", "@"], ["data", "ls"], ["data", "status"], ["load", "@"]):
        out = env.au("-v", *words, cwd="src")
        assert str(env.project) in out.stderr, words
    env.au("-q", "-v", "data", "ls").failed(2)


def test_colours(env: AuEnv) -> None:
    run(env)
    for words in (["show", "@"], ["data", "ls"], ["data", "status"], ["--help"], ["data", "--help"]):
        plain = env.au(*words).ok().stdout
        assert "\x1b" not in plain
        coloured = env.au("--color=always", *words, env={"NO_COLOR": "1"}).ok().stdout
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = terminal(env, "au", "data", "status", variables=variables)
        assert "a.csv" in shown and "\x1b[" not in shown, variables
        shown = terminal(env, "au", "data", "add", "missing", variables=variables)
        assert "error: " in shown and "\x1b[" not in shown
    assert "\x1b[" in terminal(env, "au", "data", "add", "missing", variables={"TERM": "xterm"})


def terminal(env: AuEnv, *command: str, variables: dict[str, str]) -> str:
    """What a program shows on a terminal."""
    import os
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        command, cwd=env.project, env=env.environment | variables, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    process.wait(30)
    return shown.decode()


def test_a_reader_that_has_seen_enough(env: AuEnv) -> None:
    run(env)
    for words in ("show @", "data ls --json", "completions bash"):
        out = env.run("bash", "-c", f"set -o pipefail; au {words} | true")
        assert (out.code, out.stderr) == (0, ""), words
