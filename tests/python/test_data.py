"""`au data`, and the data of a run: what is kept, what is told, and what is never lost."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import AuEnv, Result
from servers import Answer, Server, running

BIG = 300 << 20
ROW = {"name", "kind", "digest", "size", "files", "stored", "source", "place"}


def listed(env: AuEnv) -> dict[str, dict[str, Any]]:
    """The rows of `au data ls --json`, by name."""
    return {row["name"]: row for row in json.loads(env.au("data", "ls", "--json").ok().stdout)}


def status(env: AuEnv, *words: str, cwd: str = "") -> dict[str, dict[str, Any]]:
    """The rows of `au data status --json`, by name."""
    return {row["name"]: row for row in json.loads(env.au("data", "status", "--json", *words, cwd=cwd).ok().stdout)}


def described(env: AuEnv, name: str) -> dict[str, Any]:
    """What the user commits of a dataset."""
    description: dict[str, Any] = json.loads((env.project / f".au/datasets/{name}.json").read_bytes())
    return description


def descriptions(env: AuEnv) -> list[str]:
    return sorted(path.name.removesuffix(".json") for path in (env.project / ".au/datasets").glob("*"))


def stored(env: AuEnv, digest: str) -> Path:
    digits = digest.removeprefix("sha256:")
    return env.project / ".git/aurum/store/sha256" / digits[:2] / digits[2:]


def check_store(env: AuEnv) -> int:
    """Every object is what its name says, by somebody else's SHA-256; nothing but objects is there. Answers their number."""
    store = env.project / ".git/aurum/store"
    files = [path for path in store.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(store / "sha256") for path in files), f"temporaries are left: {files}"
    lines = "".join(f"{path.parent.name}{path.name}  {path}\n" for path in files)
    checked = subprocess.run(["sha256sum", "--check", "--quiet"], input=lines, text=True, capture_output=True)
    assert not files or checked.returncode == 0, checked.stdout + checked.stderr
    assert all(path.stat().st_mode & 0o222 == 0 for path in files), "objects can be written to"
    return len(files)


def git_state(env: AuEnv) -> dict[str, str]:
    """What git has of the user's: HEAD, branches, what is staged."""
    return {
        "head": (env.project / ".git/HEAD").read_text(),
        "refs": env.git("for-each-ref"),
        "index": env.git("ls-files", "--stage"),
    }


def working_tree(env: AuEnv) -> dict[str, bytes]:
    return {path: content for path, content in env.everything().items() if not path.startswith(".git/")}


def manifest(folder: Path) -> bytes:
    """A folder's manifest, written anew from the words of `wit/data.wit`."""
    lines = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_symlink():
            mode, content = "120000", os.readlink(path).encode()
        elif path.is_file():
            mode, content = ("100755" if path.stat().st_mode & 0o111 else "100644"), path.read_bytes()
        elif not any(path.iterdir()):
            lines.append((name, {"path": str(name), "mode": "040000", "size": 0}))
            continue
        else:
            continue
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        lines.append((name, {"path": str(name), "mode": mode, "size": len(content), "digest": digest}))
    lines.sort(key=lambda line: [os.fsencode(part) for part in line[0].parts])
    return "".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n" for _, entry in lines).encode()


def odd_folder(root: Path) -> None:
    """One of everything that a folder of data may hold."""
    files = {
        "a.csv": b"1,2\n",
        "sub/deep/er/b.bin": bytes(range(256)) * 40,
        "sub/with space.txt": b"one\n",
        "sub/été – 測試.txt": b"two\n",
        "sub/[x]*?!#'\"$HOME;&|%41.txt": b"three\n",
        " lead and trail ": b"four\n",
        "-dash": b"five\n",
        "tab\tand\x01control": b"six\n",
        "sub-order": b"sorts after `sub/`, part by part\n",
        "same": b"1,2\n",
        "nothing": b"",
        ".hidden/x": b"seven\n",
        "run.sh": b"#!/bin/sh\n",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "run.sh").chmod(0o755)
    (root / "sub/none/at/all").mkdir(parents=True)
    (root / "sub/link").symlink_to("../a.csv")
    (root / "folder-link").symlink_to("sub/deep")


# --- adding ----------------------------------------------------------------------------------------------------------


def test_a_file(env: AuEnv) -> None:
    content = b"39, State-gov, 77516\n" * 1000
    (env.project / "adult.data").write_bytes(content)
    before = git_state(env)
    out = env.au("data", "add", "adult.data").ok()
    assert "adult.data" in out.stdout + out.stderr
    assert git_state(env) == before, "nothing is staged or committed"
    changed = env.git("status", "--porcelain", "--untracked-files=all").splitlines()
    assert sorted(line[3:] for line in changed) == [".au/datasets/adult.data.json", ".gitignore"]
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    description = described(env, "adult.data")
    assert description == {
        "schema": "aurum.dataset/1", "name": "adult.data", "kind": "file", "digest": digest, "size": len(content), "files": 1,
        "stored": True, "source": {"type": "project", "path": "adult.data"},
    }  # fmt: skip
    assert stored(env, digest).read_bytes() == content and check_store(env) == 1
    assert (env.project / "adult.data").read_bytes() == content
    row = listed(env)["adult.data"]
    assert set(row) == ROW
    assert row["place"] == "adult.data"
    assert {key: row[key] for key in ROW - {"place"}} == {key: description[key] for key in ROW - {"place"}}


def test_a_folder_with_one_of_everything(env: AuEnv) -> None:
    odd_folder(env.project / "images")
    env.au("data", "add", "images").ok()
    assert env.git("status", "--porcelain", "--untracked-files=all").splitlines() == [
        " M .gitignore",
        "?? .au/datasets/images.json",
    ]
    expected = manifest(env.project / "images")
    description = described(env, "images")
    assert description["digest"] == f"sha256:{hashlib.sha256(expected).hexdigest()}"
    assert stored(env, description["digest"]).read_bytes() == expected
    entries = [json.loads(line) for line in expected.splitlines()]
    assert description["files"] == sum(entry["mode"] != "040000" for entry in entries)
    assert description["size"] == sum(entry["size"] for entry in entries if entry["mode"].startswith("100"))
    digests = {entry["digest"] for entry in entries if "digest" in entry}
    assert check_store(env) == len(digests) + 1, "equal files are kept once"
    assert all(stored(env, digest).is_file() for digest in digests)
    assert status(env)["images"]["state"] == "unchanged"


def test_an_empty_folder_and_an_empty_file(env: AuEnv) -> None:
    (env.project / "empty").mkdir()
    env.write("nothing.csv", "")
    env.au("data", "add", "empty", "nothing.csv").ok()
    rows = listed(env)
    assert (rows["empty"]["kind"], rows["empty"]["files"], rows["empty"]["size"]) == ("folder", 0, 0)
    assert (rows["nothing.csv"]["kind"], rows["nothing.csv"]["files"], rows["nothing.csv"]["size"]) == ("file", 1, 0)
    (env.project / "empty").rmdir()
    (env.project / "nothing.csv").unlink()
    env.au("data", "restore").ok()
    assert list((env.project / "empty").iterdir()) == [] and (env.project / "nothing.csv").read_bytes() == b""


@pytest.mark.parametrize("options", [[], ["--no-store"], ["--store"]])
def test_what_lies_outside(env: AuEnv, options: list[str]) -> None:
    outside = env.root / "elsewhere"
    odd_folder(outside / "images")
    (outside / "big.csv").write_bytes(b"rows\n")
    before = working_tree(env)
    out = env.au("data", "add", *options, outside / "big.csv", outside / "images").ok()
    after = working_tree(env)
    assert set(after) - set(before) == {".au/datasets/big.csv.json", ".au/datasets/images.json"}
    assert {path: after[path] for path in before} == before, "what lies outside needs no line in `.gitignore`"
    kept = options != ["--no-store"]
    assert ("warning: " in out.stderr) == (not kept)
    for name in ("big.csv", "images"):
        description = described(env, name)
        assert str(env.root) not in json.dumps(description), "absolute paths stay with this clone"
        assert description["source"] == {"type": "outside"}
        assert description["stored"] == kept == stored(env, description["digest"]).is_file()
        assert listed(env)[name]["place"] == str(outside / name)
        assert env.git("config", "--local", f"aurum.data.{name}.path") == str(outside / name)
    assert described(env, "images")["digest"] == f"sha256:{hashlib.sha256(manifest(outside / 'images')).hexdigest()}"
    if kept:
        check_store(env)
    (outside / "big.csv").write_bytes(b"other rows\n")
    assert status(env)["big.csv"]["state"] == "changed"


def test_no_store_inside_the_project(env: AuEnv) -> None:
    env.write("a.csv", "1\n")
    out = env.au("data", "add", "--no-store", "a.csv").ok()
    assert "not kept" in out.stderr and "--store" in out.stderr
    assert described(env, "a.csv")["stored"] is False and not stored(env, described(env, "a.csv")["digest"]).exists()
    assert "a.csv" not in env.git("status", "--porcelain").split()
    env.au("data", "add", "--store", "a.csv").ok()
    assert described(env, "a.csv")["stored"] is True and stored(env, described(env, "a.csv")["digest"]).is_file()


def test_several_at_once_and_from_a_folder_below(env: AuEnv) -> None:
    for name in ("a.csv", "data/b.csv", "src/c.csv", "src/deep/d.csv"):
        env.write(name, f"{name}\n")
    env.au("data", "add", "../a.csv", "../data", "c.csv", env.project / "src/deep", cwd="src").ok()
    places = {name: row["place"] for name, row in listed(env).items()}
    assert places == {"a.csv": "a.csv", "data": "data", "c.csv": "src/c.csv", "deep": "src/deep"}
    assert env.git("status", "--porcelain", "--untracked-files=all").splitlines()[0] == " M .gitignore"
    assert env.git("check-ignore", "a.csv", "data/b.csv", "src/c.csv", "src/deep/d.csv").count("\n") == 3
    assert set(status(env, "../a.csv", "./c.csv", cwd="src")) == {"a.csv", "c.csv"}
    assert set(status(env, "src/c.csv", "./data/", "deep")) == {"c.csv", "data", "deep"}
    env.write("src/new.csv", "x\n")
    env.au("-C", "src", "data", "add", "new.csv").ok()
    assert listed(env)["new.csv"]["place"] == "src/new.csv"


def test_again_after_a_change_and_without_one(env: AuEnv) -> None:
    env.write("a.csv", "1\n")
    env.write("images/1.png", "one")
    env.au("data", "add", "a.csv", "images").ok()
    first = working_tree(env)
    env.au("data", "add", "a.csv", "images").ok()
    env.au("data", "add", "./images/").ok()
    assert working_tree(env) == first, "unchanged data changes nothing"
    former = described(env, "a.csv")["digest"], described(env, "images")["digest"]
    env.write("a.csv", "1\n2\n")
    env.write("images/2.png", "two")
    env.au("data", "add", "a.csv", "images").ok()
    assert (env.project / ".gitignore").read_bytes() == first[".gitignore"]
    assert described(env, "images")["files"] == 2
    for name, digest in zip(("a.csv", "images"), former, strict=True):
        assert described(env, name)["digest"] != digest and stored(env, digest).is_file(), "the former version is kept"
    check_store(env)


def test_a_file_that_becomes_a_folder(env: AuEnv) -> None:
    env.write("data", "x\n")
    env.au("data", "add", "data").ok()
    (env.project / "data").unlink()
    env.write("data/1.csv", "x\n")
    assert status(env)["data"]["state"] == "changed"
    env.au("data", "add", "data").ok()
    assert described(env, "data")["kind"] == "folder"
    assert "data" not in env.git("status", "--porcelain", "--untracked-files=all").replace(".au/datasets/data.json", "")


def test_an_edit_that_keeps_size_and_time_is_seen(env: AuEnv) -> None:
    file = env.write("a.csv", "1\n")
    env.au("data", "add", "a.csv").ok()
    known = file.stat()
    assert status(env)["a.csv"]["state"] == "unchanged"
    file.write_text("2\n")
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert status(env)["a.csv"]["state"] == "changed"


def test_names(env: AuEnv) -> None:
    for name in ("a.csv", "sub/a.csv", "sub/A.csv"):
        env.write(name, f"{name}\n")
    env.au("data", "add", "a.csv").ok()
    before = working_tree(env)
    env.au("data", "add", "sub/a.csv").failed(1, "one name", "hint: ", "--name")
    env.au("data", "add", "sub/A.csv").failed(1, "one name", "hint: ", "--name")
    env.au("data", "add", "--name", "other", "a.csv").failed(1, "`a.csv` already", "hint: ", "au data rm")
    env.au("data", "add", "--name", "x", "sub/a.csv", "sub/A.csv").failed(2, "--name")
    for name in ("", "..", "a/b", "a\nb", "x" * 300):
        out = env.au("data", "add", f"--name={name}", "sub/a.csv")
        assert out.code in (1, 2) and out.stderr, name
    assert working_tree(env) == before
    env.au("data", "add", "--name", "the other – é", "sub/a.csv").ok()
    assert listed(env)["the other – é"]["place"] == "sub/a.csv"
    assert status(env, "the other – é")["the other – é"]["state"] == "unchanged"


def test_names_that_git_could_take_for_patterns(env: AuEnv) -> None:
    names = ["#x.csv", "!y.csv", "a*b?[c].csv", "trailing ", "back\\slash.csv", "it's \"quoted\".csv", "été.csv"]
    for name in names:
        env.write(name, f"{name}\n")
        env.write("other/" + name, "not data\n")
    env.write("aXbYc.csv", "not data\n")
    for name in names:
        out = env.au("data", "add", "--", name)
        if out.code:
            assert "\\" in name and "hint: " in out.stderr, (name, out.stderr)
            continue
        tracked = env.run("git", "check-ignore", "--quiet", "--no-index", "--", name)
        assert tracked.code == 0, f"{name} is not ignored"
    ignored = env.git("-c", "core.quotePath=false", "ls-files", "--others", "--ignored", "--exclude-standard", "-z").split("\0")
    assert not any(name.startswith("other/") for name in ignored) and "aXbYc.csv" not in ignored


def test_data_that_git_tracks_already_is_warned_of(env: AuEnv) -> None:
    env.write("data/a.csv", "1\n")
    env.write("b.csv", "1\n")
    env.git("add", ".")
    env.git("commit", "--message=data")
    out = env.au("data", "add", "data", "b.csv").ok()
    assert out.stderr.count("warning: ") == 2 and "git rm -r --cached data" in out.stderr and "git rm --cached b.csv" in out.stderr
    env.run("sh", "-c", "git rm -r --cached data && git rm --cached b.csv").ok()
    assert env.au("data", "add", "data", "b.csv").ok().stderr.count("warning: ") == 0


def test_gitignore_keeps_what_others_wrote(env: AuEnv) -> None:
    mine = "*.pyc\n\nlast line without its end"
    (env.project / ".gitignore").write_text(mine)
    env.write("a.csv", "1\n")
    env.au("data", "add", "a.csv").ok()
    text = (env.project / ".gitignore").read_text()
    assert text.startswith(mine + "\n") and text.splitlines()[-3:] == ["# >>> aurum data", "/a.csv", "# <<< aurum data"]
    env.au("data", "rm", "a.csv").ok()
    assert (env.project / ".gitignore").read_text().rstrip("\n") == mine


# --- what is refused -------------------------------------------------------------------------------------------------


def not_utf8(env: AuEnv) -> list[str]:
    (env.project / "bad").mkdir()
    (env.project / "bad" / os.fsdecode(b"caf\xe9.csv")).write_bytes(b"x")
    return ["bad"]


def not_utf8_itself(env: AuEnv) -> list[str]:
    name = os.fsdecode(b"caf\xe9.csv")
    (env.project / name).write_bytes(b"x")
    return [name]


def pipe_itself(env: AuEnv) -> list[str]:
    os.mkfifo(env.project / "pipe")
    return ["pipe"]


def pipe_within(env: AuEnv) -> list[str]:
    env.write("bad/a.csv", "x")
    os.mkfifo(env.project / "bad/pipe")
    return ["bad"]


def socket_within(env: AuEnv) -> list[str]:
    env.write("bad/a.csv", "x")
    folder = os.open(env.project / "bad", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/socket")
    os.close(folder)
    return ["bad"]


def link_out(env: AuEnv) -> list[str]:
    env.write("bad/a.csv", "x")
    env.write("secret.txt", "x")
    (env.project / "bad/link").symlink_to("../secret.txt")
    return ["bad"]


def absolute_link(env: AuEnv) -> list[str]:
    env.write("bad/a.csv", "x")
    (env.root / "secret.txt").write_text("x")
    (env.project / "bad/link").symlink_to(env.root / "secret.txt")
    return ["bad"]


def git_within(env: AuEnv) -> list[str]:
    env.write("bad/a.csv", "x")
    env.run("git", "init", "--quiet", "bad/nested").ok()
    return ["bad"]


def missing(env: AuEnv) -> list[str]:
    return ["missing.csv"]


def dangling_link(env: AuEnv) -> list[str]:
    (env.project / "link.csv").symlink_to("nowhere")
    return ["link.csv"]


def unknown_scheme(env: AuEnv) -> list[str]:
    return ["gopher://example.org/a.csv"]


def object_store(env: AuEnv) -> list[str]:
    return ["s3://bucket/a.csv"]


def the_project(env: AuEnv) -> list[str]:
    return ["."]


def own_settings(env: AuEnv) -> list[str]:
    return [".au"]


def git_folder(env: AuEnv) -> list[str]:
    return [".git"]


def nothing(env: AuEnv) -> list[str]:
    return []


REFUSED = [
    (not_utf8, ["UTF-8", "caf"]),
    (not_utf8_itself, ["UTF-8", "caf"]),
    (pipe_itself, ["pipe"]),
    (pipe_within, ["pipe"]),
    (socket_within, ["socket"]),
    (link_out, ["link"]),
    (absolute_link, ["link"]),
    (git_within, [".git"]),
    (missing, ["missing.csv"]),
    (dangling_link, ["link.csv"]),
    (unknown_scheme, ["gopher://", "hint: "]),
    (object_store, ["s3://", "hint: "]),
    (the_project, ["project", "hint: "]),
    (own_settings, [".au", "hint: "]),
    (git_folder, [".git"]),
    (nothing, []),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=lambda value: getattr(value, "__name__", None))
def test_refused_in_words_and_nothing_recorded(env: AuEnv, make: Any, words: list[str]) -> None:
    sources = make(env)
    before = working_tree(env)
    env.au("data", "add", *sources).failed(1 if sources else 2, "error: ", *words)
    assert working_tree(env) == before
    assert descriptions(env) == []
    check_store(env)


def test_one_that_is_refused_does_not_hide_the_others(env: AuEnv) -> None:
    [bad] = pipe_within(env)
    env.write("good.csv", "x\n")
    env.au("data", "add", bad, "good.csv").failed(1, "pipe")
    assert descriptions(env) == ["good.csv"]


def test_data_within_data(env: AuEnv) -> None:
    env.write("data/train/a.csv", "x\n")
    env.au("data", "add", "data/train").ok()
    before = working_tree(env)
    env.au("data", "add", "data/train/a.csv").failed(1, "`train` already", "hint: ")
    env.au("data", "add", "data").failed(1, "`train` already", "hint: ", "au data rm")
    assert working_tree(env) == before


def test_a_link_stands_for_what_it_leads_to(env: AuEnv) -> None:
    (env.root / "elsewhere").mkdir()
    (env.root / "elsewhere/big.csv").write_bytes(b"rows\n")
    (env.project / "linked.csv").symlink_to(env.root / "elsewhere/big.csv")
    env.au("data", "add", "linked.csv").ok()
    [row] = listed(env).values()
    assert row["source"]["type"] == "outside" and row["place"] == str(env.root / "elsewhere/big.csv")


def test_outside_of_a_project(bare: AuEnv) -> None:
    bare.write("a.csv", "x\n")
    before = bare.everything()
    for words in (["add", "a.csv"], ["rm", "a.csv"], ["ls"], ["status"], ["restore"]):
        bare.au("data", *words).failed(1, "belongs to no Aurum project", "hint: Run `au init`")
    assert bare.everything() == before


# --- downloads -------------------------------------------------------------------------------------------------------


@pytest.fixture
def web() -> Iterator[Server]:
    server = Server({"/a.csv": Answer(b"1,2\n" * 1000)})
    with running(server):
        yield server


def test_a_download(env: AuEnv, web: Server) -> None:
    before = git_state(env)
    env.au("data", "add", f"{web.address}/a.csv").ok()
    assert (env.project / "a.csv").read_bytes() == b"1,2\n" * 1000
    assert git_state(env) == before and "a.csv" not in env.git("status", "--porcelain").split()
    description, answer = described(env, "a.csv"), web.answers["/a.csv"]
    assert description["digest"] == f"sha256:{hashlib.sha256((env.project / 'a.csv').read_bytes()).hexdigest()}"
    assert description["source"] == {
        "type": "address",
        "path": "a.csv",
        "url": f"{web.address}/a.csv",
        "remote": {"entity_tag": answer.entity_tag, "last_modified": answer.last_modified, "size": 4000},
    }
    assert check_store(env) == 1


def test_downloads_go_where_one_stands_and_bear_other_names(env: AuEnv, web: Server) -> None:
    web.answers |= {"/": Answer(b"index\n"), "/with%20space.csv": Answer(b"space\n")}
    web.answers["/moved.csv"] = Answer(b"", 302, headers={"Location": "/a.csv"})
    env.au("data", "add", f"{web.address}/moved.csv", cwd="src").ok()
    env.au("data", "add", "--name", "renamed", f"{web.address}/a.csv").ok()
    env.au("data", "add", f"{web.address}/").failed(1, "names no file", "--name")
    env.au("data", "add", "--name", "index", f"{web.address}/").ok()
    env.au("data", "add", f"{web.address}/with%20space.csv").ok()
    places = {name: row["place"] for name, row in listed(env).items()}
    assert places == {
        "moved.csv": "src/moved.csv", "renamed": "a.csv", "index": "index", "with space.csv": "with space.csv",
    }  # fmt: skip
    assert (env.project / "src/moved.csv").read_bytes() == b"1,2\n" * 1000


def test_secrets_of_an_address_are_recorded_nowhere(env: AuEnv, web: Server) -> None:
    secret = "hunter2hunter2"
    url = f"http://me:{secret}@127.0.0.1:{web.server_port}"
    ok = env.au("data", "add", f"{url}/a.csv?token={secret}").ok()
    gone = env.au("data", "add", f"{url}/gone.csv?token={secret}").failed(1, "gone.csv")
    ls, told = env.au("data", "ls").ok(), env.au("data", "status", "--json").ok()
    for out in (ok, gone, ls, told):
        assert secret not in out.stdout + out.stderr
    assert not [path for path, content in env.everything().items() if secret.encode() in content]


@pytest.mark.parametrize("fault", ["absent", "truncated", "unreachable", "nameless"])
def test_a_download_that_fails_leaves_nothing_behind(env: AuEnv, web: Server, fault: str) -> None:
    address = f"{web.address}/x.csv"
    if fault == "truncated":
        # Nothing tells one version of it from another, so that going on from the middle is out of the question.
        headers = {"Content-Length": "400000", "ETag": None, "Last-Modified": None, "Connection": "close"}
        web.answers["/x.csv"] = Answer(b"1,2\n" * 1000, headers=headers)
    if fault == "unreachable":
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"http://127.0.0.1:{taken.getsockname()[1]}/x.csv"
    if fault == "nameless":
        address = "http://no-such-host.invalid/x.csv"
    before = working_tree(env)
    out = env.au("data", "add", address).failed(1, "error: ", "x.csv", "hint: ")
    assert "Traceback" not in out.stderr and "panicked" not in out.stderr
    assert working_tree(env) == before and descriptions(env) == []
    check_store(env)


def test_a_download_again(env: AuEnv, web: Server) -> None:
    url = f"{web.address}/a.csv"
    env.au("data", "add", url).ok()
    first = working_tree(env)
    env.au("data", "add", url).ok()
    assert working_tree(env) == first
    web.answers["/a.csv"] = Answer(b"3,4\n")
    row = status(env)["a.csv"]
    assert (row["state"], row["remote"]) == ("unchanged", "changed")
    asked = len(web.asked)
    assert status(env, "--offline")["a.csv"]["state"] == "unchanged" and len(web.asked) == asked
    env.write("a.csv", "edited by hand\n")
    env.au("data", "add", url).failed(1, "hint: ")
    assert (env.project / "a.csv").read_text() == "edited by hand\n"
    env.au("data", "add", "a.csv").ok()
    env.au("data", "add", url).ok()
    assert (env.project / "a.csv").read_bytes() == b"3,4\n"
    assert status(env)["a.csv"]["remote"] == "unchanged"
    del web.answers["/a.csv"]
    assert status(env)["a.csv"]["remote"] == "gone"


def test_a_download_that_breaks_off_goes_on(env: AuEnv, web: Server) -> None:
    whole = Answer(os.urandom(200_000))
    headers: dict[str, str | None] = {"Content-Length": "200000", "ETag": whole.entity_tag, "Connection": "close"}

    class Unsteady(dict[str, Answer]):
        def get(self, path: str, default: Any = None) -> Any:
            """The whole, from the second time on."""
            answer = super().get(path, default)
            self[path] = whole
            return answer

    web.answers = Unsteady({"/x.bin": Answer(whole.content[:70_000], headers=headers)})
    env.au("data", "add", f"{web.address}/x.bin").ok()
    assert (env.project / "x.bin").read_bytes() == whole.content
    ranges = [{name.lower(): value for name, value in asked.headers.items()}.get("range") for asked in web.asked]
    assert ranges == [None, "bytes=70000-"]


def test_a_file_in_the_way_of_a_download(env: AuEnv, web: Server) -> None:
    env.write("a.csv", "mine\n")
    before = working_tree(env)
    env.au("data", "add", f"{web.address}/a.csv").failed(1, "`a.csv` is there already", "hint: ")
    assert working_tree(env) == before and web.asked == []


def test_a_server_that_is_gone_hides_nothing_of_a_status(env: AuEnv) -> None:
    env.write("b.csv", "x\n")
    server = Server({"/a.csv": Answer(b"1\n")})
    with running(server):
        env.au("data", "add", f"{server.address}/a.csv", "b.csv").ok()
    out = env.au("data", "status", "--json").ok()
    rows = {row["name"]: row for row in json.loads(out.stdout)}
    assert (rows["a.csv"]["state"], rows["a.csv"]["remote"]) == ("unchanged", "unknown")
    assert rows["b.csv"]["state"] == "unchanged" and "warning: " in out.stderr


# --- what goes wrong in the middle -----------------------------------------------------------------------------------


def big_file(env: AuEnv) -> None:
    with (env.project / "big.bin").open("wb") as file:
        file.truncate(BIG)


def temporaries(env: AuEnv) -> list[Path]:
    store = env.project / ".git/aurum/store"
    found = []
    for folder, folders, files in os.walk(store):
        folders[:] = [name for name in folders if name != "sha256"]
        found += [Path(folder, name) for name in files]
    return found


def stop_in_the_middle(env: AuEnv, number: signal.Signals) -> None:
    """Begins to add the big file, and is ended once some of it is written."""
    process = env.start("au", "data", "add", "big.bin")
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in temporaries(env)) and time.monotonic() < deadline:
        assert process.poll() is None, f"it ended before it could be stopped: {process.communicate()}"
        time.sleep(0.001)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_nothing_is_half_recorded(env: AuEnv, number: signal.Signals) -> None:
    big_file(env)
    before = working_tree(env)
    stop_in_the_middle(env, number)
    assert working_tree(env) == before and descriptions(env) == []
    assert not list((env.project / ".git/aurum/store/sha256").rglob("??/*"))
    env.au("data", "add", "big.bin").ok()
    assert status(env)["big.bin"]["state"] == "unchanged"
    assert described(env, "big.bin")["digest"] == f"sha256:{hashlib.sha256((env.project / 'big.bin').read_bytes()).hexdigest()}"


def test_what_a_stopped_one_left_does_not_stay(env: AuEnv) -> None:
    big_file(env)
    stop_in_the_middle(env, signal.SIGINT)
    stop_in_the_middle(env, signal.SIGKILL)
    env.write("other.csv", "x\n")
    env.au("data", "add", "other.csv").ok()
    assert temporaries(env) == [], "hundreds of MB that nobody would ever find"


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk can't be mounted: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk(bare: AuEnv) -> None:
    disk = bare.root / "disk"
    with small_disk(disk, "24m"):
        env = AuEnv(bare.root, disk / "project", bare.environment)
        env.au("init").ok()
        (env.project / "big.bin").write_bytes(os.urandom(14 << 20))
        (env.project / "images").mkdir()
        for number in range(20):
            (env.project / f"images/{number}.bin").write_bytes(bytes([number]) * (256 << 10))
        before = working_tree(env)
        told = []
        for source in ("big.bin", "images"):
            told.append(env.au("data", "add", source).failed(1, "error: ", "no space", source, "hint: "))
            assert working_tree(env) == before and descriptions(env) == []
            assert temporaries(env) == []
        env.write("small.csv", "x\n")
        env.au("data", "add", "small.csv").ok()
        assert all("au recover" not in out.stderr for out in told), "there is no run to recover"


def add_at_once(env: AuEnv, paths: list[Path]) -> None:
    """A process for each, all at the same time."""
    processes = [env.start("au", "data", "add", path) for path in paths]
    told = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [stderr for (_, stderr), code in told if code] == []
    assert descriptions(env) == sorted(path.name for path in paths)
    assert {row["state"] for row in status(env).values()} == {"unchanged"}
    check_store(env)


def test_adding_at_once_loses_no_line_of_gitignore(env: AuEnv) -> None:
    paths = [env.write(f"d{number}.csv", f"{number}\n") for number in range(16)]
    add_at_once(env, paths)
    lines = (env.project / ".gitignore").read_text().splitlines()
    assert [path.name for path in paths if f"/{path.name}" not in lines] == []


def test_adding_at_once_what_lies_outside(env: AuEnv) -> None:
    (env.root / "elsewhere").mkdir()
    paths = [env.root / f"elsewhere/d{number}.csv" for number in range(16)]
    for path in paths:
        path.write_text(path.name)
    add_at_once(env, paths)
    assert {row["place"] for row in listed(env).values()} == {str(path) for path in paths}


def test_the_same_data_at_once(env: AuEnv) -> None:
    for number in range(40):
        env.write(f"images/{number}.png", f"{number % 7}")
    processes = [env.start("au", "data", "add", "images") for _ in range(6)]
    assert [process.communicate(timeout=60)[1] for process in processes if process.wait(60)] == []
    assert check_store(env) == 8 and status(env)["images"]["state"] == "unchanged"


# --- rm, ls, status, restore -----------------------------------------------------------------------------------------


def with_data(env: AuEnv) -> None:
    env.write("a.csv", "1,2\n")
    env.write("images/1.png", "one")
    env.write("images/sub/2.png", "two")
    (env.project / "images/run.sh").write_text("#!/bin/sh\n")
    (env.project / "images/run.sh").chmod(0o755)
    env.au("data", "add", "a.csv", "images").ok()


def test_rm_soft_and_hard(env: AuEnv) -> None:
    ignored = (env.project / ".gitignore").read_text()
    for options in ([], ["--soft-delete"]):
        with_data(env)
        env.au("data", "rm", *options, "a.csv").ok()
        assert (env.project / "a.csv").is_file() and descriptions(env) == ["images"]
        assert "?? a.csv" in env.git("status", "--porcelain").splitlines(), "git sees it again"
    digest = described(env, "images")["digest"]
    env.write("images/new.png", "kept nowhere")
    before = working_tree(env)
    env.au("data", "rm", "--hard-delete", "images").failed(1, "kept nowhere else", "hint: ", "au data add images")
    assert working_tree(env) == before
    env.au("data", "add", "images").ok()
    env.au("data", "rm", "--hard-delete", "images").ok()
    assert not (env.project / "images").exists() and descriptions(env) == []
    assert (env.project / ".gitignore").read_text() == ignored
    assert stored(env, digest).is_file(), "experiments may need it still"


def test_rm_of_what_lies_outside_leaves_its_files(env: AuEnv) -> None:
    (env.root / "big.csv").write_text("x\n")
    env.au("data", "add", env.root / "big.csv").ok()
    env.au("data", "rm", "--hard-delete", "big.csv").ok()
    assert (env.root / "big.csv").read_text() == "x\n" and descriptions(env) == []
    assert env.run("git", "config", "--local", "aurum.data.big.csv.path").code == 1


def test_rm_of_several_all_or_none(env: AuEnv) -> None:
    with_data(env)
    before = working_tree(env)
    env.au("data", "rm", "--hard-delete", "a.csv", "imgaes").failed(1, "No dataset is named `imgaes`", "Did you mean `images`?")
    env.au("data", "rm").failed(2)
    env.au("data", "rm", "--soft-delete", "--hard-delete", "a.csv").failed(2)
    assert working_tree(env) == before
    out = env.au("data", "rm", "--json", "--hard-delete", "a.csv", "images").ok()
    assert {row["name"]: row["outcome"] for row in json.loads(out.stdout)} == {"a.csv": "deleted", "images": "deleted"}


def test_ls(env: AuEnv) -> None:
    out = env.au("data", "ls").ok()
    assert out.stdout == "" and "au data add" in out.stderr
    assert json.loads(env.au("data", "ls", "--json").ok().stdout) == []
    with_data(env)
    out = env.au("data", "ls").ok()
    assert "a.csv" in out.stdout and "images" in out.stdout and "\x1b" not in out.stdout and out.stderr == ""
    assert all(set(row) == ROW for row in listed(env).values())


def test_status(env: AuEnv) -> None:
    with_data(env)
    out = env.au("data", "status").ok()
    assert out.stdout.count("unchanged") == 2
    for row in status(env).values():
        assert set(row) == ROW | {"state", "in_store"}
        assert (row["state"], row["in_store"]) == ("unchanged", True)
    env.write("images/1.png", "changed")
    env.write("images/3.png", "added")
    subprocess.run(["rm", "-r", env.project / "images/sub"], check=True)
    (env.project / "a.csv").unlink()
    rows = status(env)
    assert rows["a.csv"]["state"] == "missing"
    row = rows["images"]
    assert row["state"] == "changed" and set(row) == ROW | {"state", "in_store", "now", "differences"}
    assert set(row["now"]) == {"digest", "files", "size"} and row["now"]["digest"] != row["digest"]
    assert row["differences"] == {
        "added": 1, "changed": 1, "removed": 1, "examples": ["~ 1.png", "+ 3.png", "- sub/2.png"],
    }  # fmt: skip
    out = env.au("data", "status").ok()
    assert all(word in out.stdout for word in ("missing", "changed", "1.png", "3.png", "2.png"))
    assert set(status(env, "a.csv")) == {"a.csv"}
    env.au("data", "status", "nope").failed(1, "No dataset is named `nope`", "hint: ")


def test_a_mode_that_changes_is_a_change(env: AuEnv) -> None:
    with_data(env)
    (env.project / "images/run.sh").chmod(0o644)
    assert status(env)["images"]["differences"]["examples"] == ["~ run.sh"]
    env.au("data", "restore", "images")
    assert status(env)["images"]["state"] == "unchanged" and os.access(env.project / "images/run.sh", os.X_OK)


def test_a_broken_description_is_named(env: AuEnv) -> None:
    with_data(env)
    env.write(".au/datasets/a.csv.json", "<<<<<<< HEAD\n")
    for words in (["ls"], ["status"], ["restore"], ["add", "images"]):
        env.au("data", *words).failed(1, ".au/datasets/a.csv.json")


def test_restore(env: AuEnv) -> None:
    odd_folder(env.project / "images")
    env.write("a.csv", "1,2\n")
    env.au("data", "add", "images", "a.csv").ok()
    whole = manifest(env.project / "images")
    out = env.au("data", "restore", "--json").ok()
    assert {row["outcome"] for row in json.loads(out.stdout)} == {"unchanged"}
    subprocess.run(["rm", "-rf", env.project / "images"], check=True)
    (env.project / "a.csv").write_text("kept nowhere\n")
    out = env.au("data", "restore").failed(1, "`a.csv` has changed", "kept nowhere else", "hint: ")
    assert not (env.project / "images").exists(), "all or none"
    out = env.au("data", "restore", "--json", "images").ok()
    [row] = json.loads(out.stdout)
    assert row["outcome"] == "restored" and manifest(env.project / "images") == whole
    env.au("data", "add", "a.csv").ok()
    env.git("checkout", "--", ".gitignore")
    env.write("images/another", "x")
    (env.project / "images/a.csv").unlink()
    env.au("data", "restore", "images").failed(1, "kept nowhere else")
    (env.project / "images/another").unlink()
    env.au("data", "restore", "images").ok()
    assert manifest(env.project / "images") == whole


def test_restored_files_are_the_users_own(env: AuEnv) -> None:
    file = env.write("a.csv", "1,2\n")
    env.au("data", "add", "a.csv").ok()
    digest = described(env, "a.csv")["digest"]
    file.unlink()
    env.au("data", "restore").ok()
    assert file.stat().st_mode & 0o200, "it can be edited"
    with file.open("a") as end:
        end.write("3,4\n")
    assert stored(env, digest).read_text() == "1,2\n", "an edit in place does not reach the store"


def test_restore_without_the_content(env: AuEnv) -> None:
    file = env.write("a.csv", "1,2\n")
    env.au("data", "add", "--no-store", "a.csv").ok()
    file.unlink()
    env.au("data", "restore").failed(1, "not in the store", "hint: ")
    assert status(env)["a.csv"]["in_store"] is False


def test_a_broken_store_object_is_not_restored(env: AuEnv) -> None:
    file = env.write("a.csv", "1,2\n")
    env.au("data", "add", "a.csv").ok()
    path = stored(env, described(env, "a.csv")["digest"])
    path.chmod(0o644)
    path.write_text("9,9\n")
    file.unlink()
    env.au("data", "restore").failed(1, "error: ")
    assert not file.exists()


# --- from a script ---------------------------------------------------------------------------------------------------


def test_scripts_find_their_data(env: AuEnv) -> None:
    with_data(env)
    (env.root / "big.csv").write_text("x\n")
    env.au("data", "add", env.root / "big.csv").ok()
    env.script(
        "from pathlib import Path\n"
        "[table, big] = au.use_datasets('a.csv', 'big.csv')\n"
        "assert Path(table).is_absolute() and Path(table).read_text() == '1,2\\n', table\n"
        f"assert big == {str(env.root / 'big.csv')!r}, big\n"
        "assert au.use_datasets() == []\n"
        "assert au.use_datasets('a.csv', 'a.csv') == [table, table]\n"
        "images = au.dataset(Path('images'))\n"
        "assert images == str(Path(table).parent / 'images') == au.dataset('./images/'), images\n"
        f"assert au.dataset({str(env.root / 'big.csv')!r}) == big\n"
        "print('found')\n"
    )
    # From the root, where `./images/` is that.
    assert env.python("src/experiment.py").ok().stdout == "found\n"
    [tag] = env.tags()
    record = env.record(tag)
    assert {name: (usage["state"], usage["used"]) for name, usage in record["datasets"].items()} == {
        "a.csv": ("unchanged", True), "images": ("unchanged", True), "big.csv": ("unchanged", True),
    }  # fmt: skip
    assert str(env.root) not in json.dumps(record["datasets"])
    env.script("print(au.use_datasets('images', '../a.csv'))\n", "src/below.py")
    out = env.python("below.py", cwd="src").ok()
    assert out.stdout == f"{[str(env.project / 'images'), str(env.project / 'a.csv')]}\n"


def test_a_run_lists_the_data_that_there_was(env: AuEnv) -> None:
    with_data(env)
    env.script("au.dataset('images')\nau.register_metric(x=1)\n")
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    datasets = env.record(tag)["datasets"]
    assert datasets["a.csv"] == {
        "kind": "file", "digest": described(env, "a.csv")["digest"], "size": 4, "files": 1, "state": "unchanged", "used": False,
        "source": {"type": "project", "path": "a.csv"},
    }  # fmt: skip
    assert datasets["images"]["used"] and datasets["images"]["digest"] == described(env, "images")["digest"]
    files = env.git("ls-tree", "-r", "--name-only", tag).splitlines()
    assert ".au/datasets/a.csv.json" in files and "a.csv" not in files and "images/1.png" not in files


@pytest.mark.parametrize(("name", "hint"), [("imgaes", "Did you mean `images`?"), ("other", "au data add other")])
def test_an_unknown_name(env: AuEnv, name: str, hint: str) -> None:
    with_data(env)
    env.script(
        f"try:\n    au.dataset({name!r})\nexcept au.UnknownDatasetError as error:\n"
        "    assert isinstance(error, LookupError) and isinstance(error, au.AurumError)\n    print(error)\n"
        f"au.use_datasets('a.csv', {name!r})\n"
    )
    out = env.python("src/experiment.py").failed(1, "UnknownDatasetError", f"No dataset is named `{name}`")
    assert hint in out.stdout and "au data add" in out.stdout
    assert env.rows()[0]["status"] == "failed"


def test_missing_content(env: AuEnv) -> None:
    with_data(env)
    subprocess.run(["rm", "-rf", env.project / "images"], check=True)
    env.script("import os\nprint(sorted(os.listdir(au.dataset('images'))))\n")
    assert env.python("src/experiment.py").ok().stdout == "['1.png', 'run.sh', 'sub']\n", "brought back from the store"
    (env.project / "a.csv").unlink()
    stored(env, described(env, "a.csv")["digest"]).unlink()
    env.script(
        "try:\n    au.dataset('a.csv')\nexcept au.MissingDataError as error:\n"
        "    assert isinstance(error, FileNotFoundError)\n    print(error)\n"
        "au.dataset('a.csv')\n"
    )
    out = env.python("src/experiment.py").failed(1, "MissingDataError", "not in the store")
    assert "hint: " in out.stdout
    newest = max(env.tags(), key=lambda tag: env.record(tag)["started"])
    assert env.record(newest)["datasets"]["a.csv"]["state"] == "missing"


def test_without_tracking_the_data_is_found_all_the_same(env: AuEnv) -> None:
    with_data(env)
    env.script("print(au.use_datasets('a.csv', 'images'))\nau.register_metric(x=1)\n")
    expected = f"{[str(env.project / 'a.csv'), str(env.project / 'images')]}\n"
    before = env.everything()
    for arguments, variables in (([], {"AURUM_MODE": "disabled"}), (["--no-tracking"], {})):
        out = env.python("src/experiment.py", *arguments, env=variables).ok()
        assert (out.stdout, out.stderr) == (expected, "")
    assert env.everything() == before and env.tags() == []
    env.script("au.dataset('nope')\n")
    env.python("src/experiment.py", "--no-tracking").failed(1, "UnknownDatasetError")


def test_outside_of_a_project_it_is_an_error(bare: AuEnv) -> None:
    bare.script("au.dataset('a.csv')\n")
    bare.python("src/experiment.py").failed(1, "NotAProjectError", "hint: ")


def test_changed_data_is_warned_of_once(env: AuEnv) -> None:
    with_data(env)
    recorded = described(env, "a.csv")["digest"]
    env.write("a.csv", "1,2\n3,4\n")
    env.script("au.dataset('a.csv')\nau.use_datasets('a.csv', 'images')\nau.register_metric(x=1)\n")
    out = env.python("src/experiment.py").ok()
    assert out.stderr.count("warning: ") == 1 and "`a.csv` has changed" in out.stderr and "au data add a.csv" in out.stderr
    [tag] = env.tags()
    usage = env.record(tag)["datasets"]["a.csv"]
    assert (usage["state"], usage["recorded"]) == ("changed", recorded)
    assert usage["digest"] == f"sha256:{hashlib.sha256((env.project / 'a.csv').read_bytes()).hexdigest()}"
    assert usage["size"] == 8


def test_large_changed_data_is_hashed_at_the_end(env: AuEnv) -> None:
    content = os.urandom(1 << 20) * 48
    (env.project / "big.bin").write_bytes(b"small\n")
    (env.project / "huge.bin").write_bytes(b"small\n")
    env.au("data", "add", "big.bin", "huge.bin").ok()
    (env.project / "big.bin").write_bytes(content)
    os.truncate(env.project / "huge.bin", 600 << 20)
    env.script("au.register_metric(x=1)\n")
    out = env.python("src/experiment.py").ok()
    [tag] = env.tags()
    datasets = env.record(tag)["datasets"]
    assert datasets["big.bin"]["state"] == "changed"
    assert datasets["big.bin"]["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert datasets["huge.bin"]["state"] == "unhashed" and datasets["huge.bin"]["digest"] is None
    assert "`big.bin` has changed" in out.stderr and "huge.bin" in out.stderr


def test_a_linked_worktree_shares_the_store(env: AuEnv) -> None:
    with_data(env)
    env.git("add", ".")
    env.git("commit", "--message=data")
    env.git("worktree", "add", "--detach", env.root / "linked")
    linked = AuEnv(env.root, env.root / "linked", env.environment)
    assert {row["state"] for row in status(linked).values()} == {"missing"}
    linked.au("data", "restore").ok()
    assert manifest(linked.project / "images") == manifest(env.project / "images")
    linked.write("b.csv", "x\n")
    linked.au("data", "add", "b.csv").ok()
    assert descriptions(env) == ["a.csv", "images"] and stored(env, described(linked, "b.csv")["digest"]).is_file()


def test_a_clone_says_what_it_lacks(env: AuEnv) -> None:
    with_data(env)
    (env.root / "big.csv").write_text("x\n")
    env.au("data", "add", env.root / "big.csv").ok()
    env.git("add", ".")
    env.git("commit", "--message=data")
    env.git("clone", "--quiet", ".", env.root / "clone")
    clone = AuEnv(env.root, env.root / "clone", env.environment)
    rows = status(clone)
    assert {(row["state"], row["in_store"]) for row in rows.values()} == {("missing", False)}
    assert rows["big.csv"]["place"] is None
    clone.script("au.dataset('big.csv')\n")
    clone.python("src/experiment.py").failed(1, "MissingDataError", "au data add --name big.csv")
    moved = env.root / "moved.csv"
    moved.write_text("x\n")
    clone.au("data", "add", "--name", "big.csv", moved).ok()
    assert status(clone)["big.csv"]["state"] == "unchanged"


def hints(out: Result) -> list[str]:
    return [line for line in out.stderr.splitlines() if line.startswith("hint: ")]


def test_commands_that_hints_give_can_be_pasted(env: AuEnv) -> None:
    env.write("with space.csv", "1\n")
    env.au("data", "add", "with space.csv").ok()
    env.write("with space.csv", "2\n")
    [keep, *_] = hints(env.au("data", "rm", "--hard-delete", "with space.csv").failed(1))
    command = keep.split("`")[1]
    env.run("sh", "-c", command).ok()
    assert status(env)["with space.csv"]["state"] == "unchanged"


def test_hints_name_data_by_its_path(env: AuEnv) -> None:
    env.write("data/x.csv", "1\n")
    env.au("data", "add", "data/x.csv").ok()
    env.write("data/x.csv", "2\n")
    env.script("au.register_metric(x=1)\n")
    [keep] = hints(env.python("src/experiment.py").ok())
    env.run("sh", "-c", keep.split("`")[1]).ok()
    assert status(env)["x.csv"]["state"] == "unchanged"
    env.write("data/x.csv", "3\n")
    [keep, *_] = hints(env.au("data", "restore", cwd="src").failed(1))
    env.run("sh", "-c", keep.split("`")[1], cwd="src").ok()
