"""`au data add`: what is kept, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from typing import Any

import pytest
from conftest import AuEnv
from data_state import ROW, check_store, described, descriptions, git_state, listed, manifest, odd_folder, status, stored, working_tree


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
    env.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
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
