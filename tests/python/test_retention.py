"""Removing experiments, bringing them back, and folding them into archives, on real git."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import AuEnv, left_out

LOG = "au.log(loss=0.5)\n"


def run(env: AuEnv, name: str = "", text: str = LOG) -> str:
    """A finished experiment: its id."""
    before = set(env.tags())
    env.script((f"au.start({name!r})\n" if name else "") + text)
    env.python("src/experiment.py").ok()
    (tag,) = set(env.tags()) - before
    return tag.removeprefix("au/")


def many(env: AuEnv, count: int) -> list[str]:
    """Experiments of one process, for tests that need some."""
    env.script(
        f"""
for number in range({count}):
    au.start()
    au.log(number=number)
    au.save_model(b"weights")
    au.end_experiment()
"""
    )
    env.python("src/experiment.py").ok()
    return [tag.removeprefix("au/") for tag in env.tags()]


def ids(env: AuEnv) -> set[str]:
    return {row["id"] for row in env.rows()}


def trash(env: AuEnv) -> set[str]:
    return {entry["id"] for entry in json.loads(env.au("restore", "--json").ok().stdout)}


def kept(env: AuEnv) -> dict[str, bytes]:
    """Everything but what is derived from the rest."""
    return {path: content for path, content in env.everything().items() if not path.startswith(".git/aurum/cache/")}


def fsck(env: AuEnv) -> None:
    done = env.run("git", "fsck", "--strict", "--no-dangling")
    assert (done.code, done.stdout) == (0, ""), done


def test_rm_and_restore(env: AuEnv) -> None:
    one, two = run(env, "base"), run(env)
    commit = env.git("rev-parse", f"au/{one}")
    done = env.au("rm", "base").ok()
    assert done.stdout.startswith(f"removed {one[:8]} base finished, begun 20")
    assert f"`au restore {one[:8]}`" in done.stderr
    assert (ids(env), trash(env), env.tags()) == ({two}, {one}, [f"au/{two}"])
    env.au("show", one).failed(1, "No experiment matches")
    env.au("rm", one).failed(1, "No experiment matches")
    table = env.au("restore").ok().stdout.splitlines()
    assert table[0].split() == ["id", "name", "status", "started", "(UTC)", "removed", "kept", "until"]
    assert table[1].startswith(f"{one[:8]}  base  finished") and "ago" in table[1]
    assert env.au("restore", one[:8]).ok().stdout == f"restored {one[:8]}\n"
    assert (ids(env), trash(env)) == ({one, two}, set())
    assert env.git("rev-parse", f"au/{one}") == commit
    assert env.git("for-each-ref", "refs/aurum/trash") == ""
    fsck(env)


def test_a_dry_run_changes_nothing(env: AuEnv) -> None:
    one = run(env)
    before = kept(env)
    assert env.au("rm", "-n", "@").ok().stdout.startswith(f"would remove {one[:8]}")
    (row,) = json.loads(env.au("rm", "-n", "@", "--json").ok().stdout)
    assert (row["id"], row["built_on_it"]) == (one, [])
    assert kept(env) == before


def test_a_running_experiment_is_refused_and_a_dependent_one_named(env: AuEnv) -> None:
    one = run(env, text="au.save_model(b'weights')\n")
    two = run(env, text=LOG + f"au.load_model(experiment={one!r})\n")
    done = env.au("rm", one).ok()
    assert f"Another experiment was built on {one[:8]}: {two[:8]}" in done.stderr
    env.script("au.log(a=1)\nprint('up', flush=True)\ninput()\n")
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout and process.stdout.readline() == "up\n"
    env.au("rm", "@").failed(1, "is still running", "Wait for its end")
    process.communicate("\n")
    env.au("rm", "@").ok()


def test_an_experiment_that_cant_be_read_can_be_removed(env: AuEnv) -> None:
    whole, damaged = run(env), "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6"
    env.git("tag", f"au/{damaged}", "HEAD")
    told = env.au("metrics").ok().stderr
    assert told.count("is left out") == 1 and "be rid of it: `au rm acfdf6cd`" in told
    # By a name or its place it can't be chosen, and nothing else is chosen in its stead.
    assert env.au("rm", "@", "--dry-run").ok().stdout.startswith(f"would remove {whole[:8]}")
    plan = json.loads(env.au("rm", "acfd", "--dry-run", "--json").ok().stdout)
    assert plan == [{"id": damaged, "status": None, "started": None, "built_on_it": []}]
    removed = env.au("rm", "acfd").ok()
    assert removed.stdout == "removed acfdf6cd, which can't be read\n" and removed.stderr.count("is left out") == 1
    assert env.au("metrics").ok().stderr == "" and ids(env) == {whole}
    env.au("restore", "acfd").ok()
    assert f"au/{damaged}" in env.tags()
    env.au("rm", "--yes", "acfd", whole).ok()
    assert trash(env) == {damaged, whole}


def test_notes_are_gits_own(env: AuEnv) -> None:
    """Ours are read by git, and git's by us, at whatever depth either keeps them; two clones' merge without a conflict."""
    one, two, three = many(env, 3)
    env.au("rm", one).ok()
    commit = env.git("rev-parse", f"refs/aurum/trash/{one}")
    shown = json.loads(env.git("notes", "--ref=aurum", "show", commit))
    assert shown["removed"] is True and shown["at"].endswith("Z")
    # One that git wrote, with a line of somebody else's in it.
    note = '{"at":"2030-01-01T00:00:00.000Z","removed":true}\nnot of ours'
    env.git("notes", "--ref=aurum", "add", "-m", note, f"au/{two}")
    assert ids(env) == {three}
    assert env.au("restore", two).ok().stdout == f"restored {two[:8]}\n"
    assert ids(env) == {two, three}
    assert "not of ours" in env.git("notes", "--ref=aurum", "show", f"au/{two}")

    # The same from two sides: one removes, the other removes another.
    env.git("update-ref", "refs/notes/theirs", "refs/notes/aurum")
    env.git("notes", "--ref=theirs", "append", "-m", '{"at":"2031-01-01T00:00:00.000Z","removed":true}', f"au/{two}")
    env.git("notes", "--ref=theirs", "append", "-m", '{"at":"2030-01-01T00:00:00.000Z","removed":true}', f"au/{three}")
    env.au("restore", one).ok()
    assert ids(env) == {one, two, three}
    env.git("notes", "--ref=aurum", "merge", "-s", "cat_sort_uniq", "refs/notes/theirs")
    assert ids(env) == {one}
    env.au("restore", two, three).ok()
    assert ids(env) == {one, two, three}
    fsck(env)


def test_notes_as_git_spreads_them_over_folders(env: AuEnv) -> None:
    """git moves notes into folders, and deeper ones, as their number grows."""
    one, two = many(env, 2)
    env.au("rm", one).ok()
    commit = env.git("rev-parse", f"au/{two}")
    # Two deep by hand: git reads it, and so do we.
    line = '{"at":"2030-01-01T00:00:00.000Z","removed":true}\n'
    note = subprocess.run(["git", "hash-object", "-w", "--stdin"], cwd=env.project, env=env.environment, input=line, text=True, capture_output=True).stdout.strip()
    inner = mktree(env, f"100644 blob {note}\t{commit[4:]}\n")
    middle = mktree(env, f"040000 tree {inner}\t{commit[2:4]}\n")
    root = mktree(env, f"040000 tree {middle}\t{commit[:2]}\n")
    env.git("update-ref", "refs/notes/aurum", env.git("commit-tree", root, "-m", "deep"))
    assert json.loads(env.git("notes", "--ref=aurum", "show", commit))["removed"] is True
    assert two not in ids(env)
    env.au("restore", two).ok()
    assert env.git("ls-tree", "-r", "--name-only", "refs/notes/aurum") == f"{commit[:2]}/{commit[2:]}"
    assert len(env.git("notes", "--ref=aurum", "show", commit).splitlines()) == 2


def mktree(env: AuEnv, entries: str) -> str:
    done = subprocess.run(["git", "mktree"], cwd=env.project, env=env.environment, input=entries, text=True, capture_output=True, check=True)
    return done.stdout.strip()


def test_archive_and_back(env: AuEnv) -> None:
    everything = many(env, 12)
    env.git("add", "--all")
    env.git("commit", "-qm", "script")
    rows = env.rows()
    refs = env.git("for-each-ref", "refs/tags")
    done = env.au("archive").ok()
    assert done.stdout == "folded 12 experiments, 1 archive made\n"
    assert "`au pull`" in done.stderr and "`au archive --undo`" in done.stderr
    assert env.tags() == []
    assert env.rows() == rows
    archive = env.git("for-each-ref", "--format=%(refname)", "refs/aurum/archive")
    assert len(env.git("rev-list", "--parents", "-n1", archive).split()) == 13
    assert env.git("show", f"{archive}:experiments").splitlines()[0].split()[0] == sorted(everything)[0]
    assert env.au("archive").ok().stdout == "Nothing to fold\n"
    env.au("show", everything[0]).ok()
    env.au("export", everything[0]).ok()
    env.au("load", everything[1]).ok()
    assert env.python("-c", "import aurum as au; print(au.load_model())").ok().stdout == "b'weights'\n"
    env.git("switch", "-q", "main")
    env.git("gc", "-q", "--prune=now")
    env.au("rm", everything[2]).ok()
    assert everything[2] not in ids(env)
    commit = env.git("rev-parse", archive)
    assert env.au("archive", "--undo").ok().stdout == "unfolded 11 experiments of 1 archive\n"
    env.au("restore", "@").ok()
    assert env.git("for-each-ref", "refs/tags") == refs
    env.au("archive").ok()
    assert env.git("rev-parse", archive) == commit, "the same members, the same commit"
    fsck(env)


def test_only_older_ones_are_archived(env: AuEnv) -> None:
    run(env)
    assert env.au("archive", "--before", "1d").ok().stdout == "Nothing to fold\n"
    assert env.au("archive", "--before", "2099-01-01").ok().stdout == "folded 1 experiment, 1 archive made\n"
    env.au("archive", "--before", "yesterday").failed(1, "neither a date nor an age")
    env.au("archive", "--undo", "--before", "1d").failed(2)


@pytest.mark.parametrize("command", [("rm", "--yes"), ("archive",), ("archive", "--undo")])
def test_killed_in_the_middle(env: AuEnv, command: tuple[str, ...]) -> None:
    """Killed anywhere, an experiment is listed or can be brought back; done again, it ends where it would have."""
    everything = many(env, 10)
    selectors = everything if command[0] == "rm" else []
    if command == ("archive", "--undo"):
        env.au("archive").ok()
    begun = time.monotonic()
    env.au(*command, *selectors).ok()
    took = time.monotonic() - begun
    end = (ids(env), trash(env), set(env.tags()))
    back = {"rm": ("restore", *everything), "archive": ("archive",) if "--undo" in command else ("archive", "--undo")}[command[0]]
    for attempt in range(8):
        env.au(*back).ok()
        process = env.start("au", *command, *selectors)
        time.sleep(took * (attempt + 0.5) / 8)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert ids(env) | trash(env) == set(everything), attempt
        # As after a git that was killed, whoever comes next can't know that nobody holds it.
        for lock in (env.project / ".git/refs").rglob("*.lock"):
            lock.unlink()
        left = [one for one in everything if one in ids(env)] if command[0] == "rm" else selectors
        if left or command[0] != "rm":
            env.au(*command, *left).ok()
        assert (ids(env), trash(env)) == end[:2]
        if command[0] == "archive":
            assert set(env.tags()) == end[2]
    fsck(env)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_lock(env: AuEnv, number: signal.Signals) -> None:
    if shutil.which("strace") is None:
        left_out("there is no strace")
    everything = many(env, 3)
    env.au("archive").ok()
    lock = env.project / ".git/refs/notes/aurum.lock"
    # Time enough between writing it and giving it its name.
    slow = ("strace", "-f", "-o", "/dev/null", "-P", lock, "-e", "inject=fsync:delay_exit=3000000", "au", "archive", "--undo")
    process = env.start(*slow)
    deadline = time.monotonic() + 20
    while not (lock.exists() and lock.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    [au] = (Path("/proc") / str(process.pid) / "task" / str(process.pid) / "children").read_text().split()
    os.kill(int(au), number)
    process.wait(timeout=20)
    assert process.returncode != 0 and not lock.exists()
    env.au("archive", "--undo").ok()
    assert ids(env) == set(everything)


def objects(env: AuEnv) -> set[str]:
    return {f"{path.parent.name}{path.name}" for path in (env.project / ".git/aurum/store/sha256").glob("*/*")}


def age(env: AuEnv, days: int = 90) -> None:
    """As if everything in the store had rested for long."""
    before = time.time() - days * 86400
    for path in (env.project / ".git/aurum/store").rglob("*"):
        os.utime(path, (before, before))


def test_gc_tells_first_and_clears_what_nothing_needs(env: AuEnv) -> None:
    one = run(env, text="au.save_model(b'one')\n")
    two = run(env, text="au.save_model(b'two')\n")
    env.write("images/1.png", "image")
    env.write("a.csv", "first\n")
    env.au("data", "add", "a.csv", "images").ok()
    env.git("add", "--all")
    env.git("commit", "-qm", "data")
    env.write("a.csv", "second\n")
    env.au("data", "add", "a.csv").ok()
    env.write("b.csv", "never described\n")
    env.au("data", "add", "b.csv").ok()
    env.au("data", "rm", "b.csv").ok()
    env.au("rm", two).ok()
    age(env)
    before = kept(env)
    # What was just removed is kept; the data that nobody describes is not.
    told = env.au("gc").ok()
    assert told.stdout == "would clear 1 file of the store that nothing needs, 16 B\nwould clear 2 references of runs that are gone\n"
    assert "the same with `--yes`" in told.stderr
    assert kept(env) == before
    assert env.au("gc", "--yes").ok().stdout.startswith("cleared 1 file of the store")
    assert sha("never described\n") not in objects(env)
    env.au("restore", two).ok()
    env.au("rm", two).ok()
    report = json.loads(env.au("gc", "--grace", "0", "--yes", "--json").ok().stdout)
    assert report["forgotten"] == [two] and report["contents"]["count"] == 1
    # The first version of the data is described by a commit, the second by the working tree.
    assert {sha("one"), sha("first\n"), sha("second\n"), sha("image")} <= objects(env)
    assert sha("two") not in objects(env)
    assert env.au("gc", "--grace", "0", "--yes").ok().stdout == "Nothing to clear\n"
    assert (ids(env), trash(env)) == ({one}, set())
    env.au("verify", "--strict").ok()
    env.au("gc", "--grace", "1 fortnight").failed(1, "is no length of time")
    env.git("config", "aurum.gc.grace", "soon")
    env.au("gc").failed(1, "`aurum.gc.grace`")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_gc_removes_experiments_by_age_number_and_status(env: AuEnv) -> None:
    good = run(env)
    bad = run_failed(env)
    told = env.au("gc", "--status", "failed,killed").ok()
    assert told.stdout.startswith(f"would remove {bad[:8]} failed\n") and ids(env) == {good, bad}
    assert env.au("gc", "--status", "failed", "--yes").ok().stdout.startswith(f"removed {bad[:8]} failed\n")
    assert (ids(env), trash(env)) == ({good}, {bad})
    assert "Nothing to clear" in env.au("gc", "--older-than", "1d", "--yes").ok().stdout
    env.au("gc", "--status", "done").failed(1, "is no status")
    newest = run(env)
    env.au("gc", "--keep-last", "1", "--yes").ok()
    assert ids(env) == {newest}
    env.au("restore", good, bad).ok()
    assert ids(env) == {good, bad, newest}


def run_failed(env: AuEnv) -> str:
    before = set(env.tags())
    env.script("au.log(a=1)\nraise ValueError('no')\n")
    env.python("src/experiment.py").failed(1)
    (tag,) = set(env.tags()) - before
    return tag.removeprefix("au/")


def test_conditions_choose_what_goes(env: AuEnv) -> None:
    everything = many(env, 3)
    (chosen,) = env.rows("--where", "number = 1")
    assert env.au("rm", "--where", "number = 1").ok().stdout.startswith(f"removed {chosen['id'][:8]}")
    assert ids(env) == set(everything) - {chosen["id"]}
    assert "No experiment meets" in env.au("rm", "--where", "number = 7").ok().stderr
    env.au("rm").failed(2)
    env.au("rm", "--where", "number =").failed(2)
    told = env.au("gc", "--where", "number > 1").ok()
    assert told.stdout.count("would remove") == 1
    env.au("gc", "--where", "number > 1", "--keep-last", "0", "--yes").ok()
    assert len(ids(env)) == 1


def test_what_a_run_that_goes_on_uses_is_not_cleared(env: AuEnv) -> None:
    """It saved a model that was there already, and that nothing else needs."""
    run(env, text="au.save_model(b'same')\n")
    env.au("rm", "@").ok()
    env.script("au.log(a=1)\nau.save_model(b'same')\nprint('up', flush=True)\ninput()\n")
    process = env.start(sys.executable, "src/experiment.py")
    assert process.stdout and process.stdout.readline() == "up\n"
    age(env)
    env.au("gc", "--grace", "0", "--yes").ok()
    assert sha("same") in objects(env)
    process.communicate("\n")
    env.au("verify", "--strict").ok()


def test_verify_tells_damage_from_what_is_elsewhere(env: AuEnv) -> None:
    one = run(env, text="au.save_model(b'one')\n")
    two = run(env, text="au.save_model(b'two')\n")
    env.au("archive", one).ok()
    whole = env.au("verify").ok()
    assert whole.stdout == "2 experiments and 6 B of the store are whole\n"
    assert json.loads(env.au("verify", "--json", "--full").ok().stdout) == []

    clone = AuEnv(env.root / "other", env.root / "other/project")
    env.git("clone", "-q", env.project, clone.project)
    clone.environment |= {"GIT_CEILING_DIRECTORIES": str(env.root)}
    clone.git("fetch", "-q", "origin", "refs/aurum/archive/*:refs/aurum/archive/*")
    done = clone.au("verify").ok()
    assert done.stdout.count("missing here: The model `model` of") == 2
    clone.au("verify", "--strict").failed(1, "2 things not as they should be")

    path = env.project / ".git/aurum/store/sha256" / sha("one")[:2] / sha("one")[2:]
    path.chmod(0o644)
    path.write_text("ONE")
    done = env.au("verify")
    assert done.code == 1 and "is damaged: its content is another" in done.stdout, done
    assert env.au("verify", two).code == 0
    blob = env.git("rev-parse", f"au/{two}:.au/experiments/{two}/record.json")
    (env.project / ".git/objects" / blob[:2] / blob[2:]).unlink()
    findings = json.loads(env.au("verify", "--json").stdout)
    assert {finding["kind"] for finding in findings} == {"content", "experiment"}
    assert any(finding["name"] == two and blob in finding["problem"] for finding in findings)
    (env.project / f".git/refs/tags/au/{two}").write_text("")
    findings = json.loads(env.au("verify", "--json").stdout)
    assert any(finding["kind"] == "reference" and two in finding["name"] for finding in findings)


def test_all_at_once_lose_nothing(env: AuEnv) -> None:
    """Removing, bringing back, folding, unfolding and clearing in as many processes."""
    everything = many(env, 8)
    commits = {one: env.git("rev-parse", f"au/{one}") for one in everything}
    commands = [
        ["rm", "--yes", *everything[:5]],
        ["restore", *everything[:5]],
        ["archive"],
        ["archive", "--undo"],
        ["gc", "--yes"],
        ["rm", everything[6]],
        ["restore", "@"],
    ]
    for round in range(8):
        processes = [env.start("au", *command) for command in commands[round % 2 :] + commands[: round % 2]]
        for process in processes:
            process.communicate()
        assert ids(env) | trash(env) == set(everything), round
        held = env.git("for-each-ref", "--format=%(objectname)", "refs/tags", "refs/aurum/archive", "refs/aurum/trash").split()
        reachable = set(env.git("rev-list", *held).split())
        assert set(commits.values()) <= reachable, round
    if removed := trash(env):
        env.au("restore", *removed).ok()
    assert ids(env) == set(everything)
    env.au("verify", "--strict").ok()
    fsck(env)


@pytest.mark.parametrize("attempt", range(4))
def test_killed_while_it_clears(env: AuEnv, attempt: int) -> None:
    many(env, 6)
    everything = sorted(ids(env))
    env.au("rm", "--yes", *everything[:3]).ok()
    age(env)
    process = env.start("au", "gc", "--grace", "0", "--yes")
    time.sleep(0.01 + 0.03 * attempt)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert ids(env) == set(everything[3:])
    env.au("verify", "--strict", *everything[3:]).ok()
    env.au("gc", "--grace", "0", "--yes").ok()
    assert (ids(env), trash(env)) == (set(everything[3:]), set())
    env.au("verify", "--strict").ok()
    fsck(env)
