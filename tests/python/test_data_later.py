"""What becomes of data after it was added: `au data history`, `update`, `verify`, `push`, `pull`, and `restore` from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import AuEnv
from data_state import check_store, described, status, stored, with_data
from servers import Answer, Server, running

EDITED = "1,2\n3,4\n"


@pytest.fixture
def web() -> Iterator[Server]:
    server = Server({"/r.csv": Answer(b"rows\n")})
    with running(server):
        yield server


def history(env: AuEnv, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(env.au("data", "history", "--json", name).ok().stdout)
    return rows


def commit(env: AuEnv) -> str:
    env.git("add", "--all")
    env.git("commit", "--quiet", "--message=data")
    return env.git("rev-parse", "HEAD")


def share(env: AuEnv) -> Path:
    folder = env.root / "share"
    folder.mkdir()
    env.au("data", "remote", "add", "share", f"file://{folder}").ok()
    return folder


def lose(env: AuEnv, *paths: str) -> None:
    """As in a clone that has nothing but git's files."""
    shutil.rmtree(env.project / ".git/aurum/store")
    for path in paths:
        file = env.project / path
        shutil.rmtree(file) if file.is_dir() else file.unlink()


def test_a_history_by_commits_and_experiments(env: AuEnv) -> None:
    with_data(env)
    first = commit(env)
    env.script("au.start('base')\nau.dataset('a.csv')\nau.register_metric(x=1)\n")
    env.python("src/experiment.py").ok()
    env.write("a.csv", EDITED)
    out = env.au("data", "update").ok()
    assert "updated a.csv" in out.stdout and "unchanged images" in out.stdout and "git add" in out.stderr
    versions = history(env, "a.csv")
    assert [version["described"] for version in versions] == [False, True]
    assert [found["commit"] for found in versions[0]["commits"]] == [first]
    [had] = versions[0]["experiments"]
    assert (had["name"], had["used"], versions[1]["since"]) == ("base", True, None)
    assert all(version["in_store"] for version in versions)
    out = env.au("data", "history", "a.csv").ok()
    assert "used by base" in out.stdout and "not committed" in out.stdout
    stored(env, versions[0]["digest"]).unlink()
    assert [version["in_store"] for version in history(env, "a.csv")] == [False, True]
    env.au("data", "rm", "a.csv").ok()
    assert [version["described"] for version in history(env, "a.csv")] == [False]
    env.au("data", "history", "b.csv").failed(1, "No dataset is named `b.csv`")


def test_an_older_version_comes_back_and_loses_nothing(env: AuEnv) -> None:
    with_data(env)
    commit(env)
    first, before = described(env, "a.csv")["digest"], (env.project / "a.csv").read_text()
    env.write("a.csv", EDITED)
    env.script("au.dataset('a.csv')\nau.register_metric(x=1)\n")
    env.au("data", "add", "a.csv").ok()
    env.python("src/experiment.py").ok()
    out = env.au("data", "restore", "a.csv", "--version", first[7:15]).ok()
    assert first[:19] in out.stdout and "au data update a.csv" in out.stderr
    assert (env.project / "a.csv").read_text() == before
    assert status(env)["a.csv"]["state"] == "changed", "what is described stays"
    env.au("data", "restore", "a.csv", "--version", "@").ok()
    assert (env.project / "a.csv").read_text() == EDITED
    env.au("data", "restore", "a.csv", "--version", "HEAD").failed(1, "neither a version of `a.csv` nor an experiment", "au data history")
    env.au("data", "restore", "a.csv", "--version", env.git("rev-parse", "HEAD"), "--to", "../old.csv", cwd="src").ok()
    assert (env.project / "old.csv").read_text() == before
    env.au("data", "restore", "a.csv", "--to", "old.csv").failed(1, "`old.csv` is there already")
    env.au("data", "restore", "a.csv", "--to", env.root / "x.csv").failed(1, "is no path in the project")
    env.write("a.csv", "kept nowhere")
    env.au("data", "restore", "a.csv", "--version", first).failed(1, "kept nowhere else")
    assert (env.project / "a.csv").read_text() == "kept nowhere"
    env.au("data", "restore", "--version", first).failed(2, "one of a single dataset")
    assert check_store(env) > 0


def test_what_lies_outside_comes_back_beside_it(env: AuEnv) -> None:
    (env.root / "big.csv").write_text("1\n")
    env.au("data", "add", env.root / "big.csv").ok()
    first = described(env, "big.csv")["digest"]
    (env.root / "big.csv").write_text("2\n")
    assert "updated big.csv" in env.au("data", "update").ok().stdout
    commit(env)
    env.git("checkout", "--quiet", "HEAD")
    env.au("data", "restore", "big.csv", "--version", first).failed(1, "outside of the project", "--to PATH")
    env.au("data", "restore", "big.csv", "--to", "copy.csv").ok()
    assert (env.project / "copy.csv").read_text() == "2\n" == (env.root / "big.csv").read_text()


def test_an_update_has_what_is_new_on_the_server(env: AuEnv, web: Server) -> None:
    env.au("data", "add", f"{web.address}/r.csv", cwd="src").ok()
    assert "unchanged r.csv" in env.au("data", "update").ok().stdout
    web.answers["/r.csv"] = Answer(b"more rows\n")
    assert "updated r.csv" in env.au("data", "update", "r.csv").ok().stdout
    assert (env.project / "src/r.csv").read_text() == "more rows\n"
    web.answers["/r.csv"] = Answer(b"still more rows\n")
    env.write("src/r.csv", "edited here\n")
    env.au("data", "update").failed(1, "changed both here and on its server", "au data add src/r.csv")
    assert (env.project / "src/r.csv").read_text() == "edited here\n"
    with_data(env)
    (env.project / "a.csv").unlink()
    web.shutdown()
    web.server_close()
    env.write("images/new.png", "new")
    out = env.au("data", "update").failed(1, "The server of `r.csv` can't be asked", "There is nothing at `a.csv`", "au data restore a.csv")
    assert "updated images" in out.stdout, "one that fails keeps no other from it"


def test_an_update_of_nothing(env: AuEnv) -> None:
    out = env.au("data", "update").ok()
    assert out.stdout == "" and "No data yet" in out.stderr
    assert json.loads(env.au("data", "update", "--json").ok().stdout) == []
    with_data(env)
    env.au("data", "update", "imgaes").failed(1, "Did you mean `images`?")
    assert {row["outcome"] for row in json.loads(env.au("data", "update", "--json").ok().stdout)} == {"unchanged"}


def test_verify_reads_every_byte(env: AuEnv) -> None:
    with_data(env)
    out = env.au("data", "verify").ok()
    assert out.stdout.count("all as it was recorded") == 2
    picture = next(path for path in sorted((env.project / "images").rglob("*")) if path.is_file())
    found = picture.stat()
    picture.write_bytes(bytes([picture.read_bytes()[0] ^ 1]) + picture.read_bytes()[1:])
    os.utime(picture, ns=(found.st_atime_ns, found.st_mtime_ns))
    out = env.au("data", "verify").failed(1, "1 dataset is not as recorded", "au data restore images")
    assert f"images/{picture.relative_to(env.project / 'images')} is not what was recorded" in out.stdout
    env.au("data", "verify", "a.csv").ok()
    content = stored(env, described(env, "a.csv")["digest"])
    content.chmod(0o644)
    content.write_text("9,9\n")
    rows = json.loads(env.au("data", "verify", "--json", "a.csv").failed(1).stdout)
    [damage] = rows[0]["damages"]
    aside = env.project / ".git/aurum/damaged" / (content.parent.name + content.name)
    assert damage["where"] == "store" and str(aside) in damage["what"]
    assert aside.read_text() == "9,9\n"
    # As the hint says.
    env.au("data", "add", "a.csv").ok()
    env.au("data", "verify", "a.csv").ok()


def test_data_goes_to_the_data_remote_and_comes_from_it(env: AuEnv) -> None:
    with_data(env)
    env.au("data", "push").failed(2, "No data remote is set", "au data remote add")
    folder = share(env)
    commit(env)
    first = described(env, "a.csv")["digest"]
    env.write("a.csv", EDITED)
    env.au("data", "add", "a.csv").ok()
    assert "sent 1 object" in env.au("data", "push", "a.csv").ok().stdout
    assert "sent 1 object" in env.au("data", "push", "--versions", "a.csv").ok().stdout, "the one before it"
    assert "sent" in env.au("data", "push").ok().stdout
    assert "share has it all" in env.au("data", "push").ok().stdout
    lose(env, "a.csv", "images")
    env.au("data", "restore", "--offline").failed(1, "is not there, and not in the store")
    assert "brought 1 object" in env.au("data", "pull", "a.csv").ok().stdout
    assert "restored a.csv" in env.au("data", "restore", "a.csv", "--offline").ok().stdout
    env.au("data", "restore", "a.csv", "--version", first, "--offline").failed(1, "is not in the store", "au data pull --versions a.csv")
    env.au("data", "pull", "--versions", "a.csv").ok()
    env.au("data", "restore", "a.csv", "--version", first, "--offline").ok()
    assert "restored images" in env.au("data", "restore", "images").ok().stdout, "brought without being told to"
    assert all(row["state"] == "unchanged" for name, row in status(env).items() if name == "images")
    shutil.rmtree(folder)
    lose(env, "images")
    env.au("data", "pull").failed(1, "has to be mounted")
    env.au("data", "restore", "images").failed(1, "is not there, and not in the store")
    folder.mkdir()
    env.au("data", "pull", "images").failed(1, "neither here nor at share", "au data push")


def test_a_restore_downloads_what_is_nowhere_else(env: AuEnv, web: Server) -> None:
    env.au("data", "add", f"{web.address}/r.csv").ok()
    lose(env, "r.csv")
    assert "downloaded r.csv" in env.au("data", "restore").ok().stdout
    assert (env.project / "r.csv").read_text() == "rows\n" and check_store(env) == 1
    lose(env, "r.csv")
    web.answers["/r.csv"] = Answer(b"other rows\n")
    env.au("data", "restore").failed(1, "has another version now", "au data update r.csv")
    assert not (env.project / "r.csv").exists()
    assert "updated r.csv" in env.au("data", "update", "r.csv").ok().stdout


def test_scripts_have_their_data_fetched(env: AuEnv, web: Server) -> None:
    with_data(env)
    env.au("data", "add", f"{web.address}/r.csv").ok()
    share(env)
    env.au("data", "push", "images").ok()
    lose(env, "a.csv", "images", "r.csv")
    env.script(
        "import os\n"
        "assert os.path.isdir(au.dataset('images'))\n"
        "assert open(au.dataset('../r.csv')).read() == 'rows\\n'\n"
        "try:\n"
        "    au.dataset('a.csv')\n"
        "except au.MissingDataError as error:\n"
        "    assert 'a.csv' in str(error) and 'hint: ' in str(error), error\n"
        "else:\n"
        "    raise SystemExit('it is nowhere')\n"
    )
    out = env.python("experiment.py", cwd="src").ok()
    assert "aurum: " in out.stderr
    [tag] = env.tags()
    datasets = env.record(tag)["datasets"]
    assert {name: (usage["state"], usage["used"]) for name, usage in datasets.items()} == {
        "a.csv": ("missing", False), "images": ("unchanged", True), "r.csv": ("unchanged", True),
    }  # fmt: skip
