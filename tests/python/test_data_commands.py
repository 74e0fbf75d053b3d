"""`au data rm`, `ls`, `status` and `restore`: what is told, and what is never lost."""

from __future__ import annotations

import json
import os
import subprocess

from conftest import AuEnv
from data_state import ROW, described, descriptions, listed, manifest, odd_folder, status, stored, with_data, working_tree


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
        assert ".au/datasets/a.csv.json" in env.au("data", *words).ok().stderr
    for words in (["status", "a.csv"], ["restore", "a.csv"], ["add", "a.csv"]):
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


def test_how_a_folder_is_arranged_is_not_lost(env: AuEnv) -> None:
    with_data(env)
    (env.project / "images/cat").mkdir()
    (env.project / "images/1.png").rename(env.project / "images/cat/1.png")
    before = working_tree(env)
    for words in (["restore"], ["restore", "images"], ["rm", "--hard-delete", "images"]):
        env.au("data", *words).failed(1, "kept nowhere else", "hint: Keep it first: `au data add images`")
        assert working_tree(env) == before
    env.au("data", "add", "images").ok()
    env.git("checkout", "HEAD", "--", ".gitignore")
    assert env.au("data", "rm", "--hard-delete", "images").ok()


def test_a_path_is_no_name(env: AuEnv) -> None:
    env.write("data/k.csv", "of the folder\n")
    env.write("k.csv", "of the root\n")
    env.au("data", "add", "data/k.csv").ok()
    env.au("data", "add", "k.csv", "--name", "other").ok()
    assert status(env, "./k.csv").keys() == {"other"} and status(env, "k.csv").keys() == {"k.csv"}
    assert status(env, "./k.csv", cwd="data").keys() == {"k.csv"}
    assert status(env, str(env.project / "k.csv")).keys() == {"other"}
    env.au("data", "rm", "--hard-delete", "./k.csv").ok()
    assert not (env.project / "k.csv").exists() and (env.project / "data/k.csv").exists()


def test_one_broken_description_hides_no_other(env: AuEnv) -> None:
    with_data(env)
    env.write(".au/datasets/broken.json", "<<<<<<< HEAD\n")
    assert listed(env).keys() == status(env).keys() == {"a.csv", "images"}
    env.au("data", "ls").ok()
    out = env.au("data", "status").ok()
    assert "warning: " in out.stderr and ".au/datasets/broken.json" in out.stderr
    env.au("data", "restore", "a.csv").ok()
    env.au("data", "status", "broken").failed(1, ".au/datasets/broken.json")
    env.au("data", "rm", "broken").ok()
    assert descriptions(env) == ["a.csv", "images"]


def test_a_description_can_not_name_the_project_itself(env: AuEnv) -> None:
    with_data(env)
    for path in (".au/config", ".gitignore", "logs", ".git/hooks/post-checkout", "../outside", ""):
        description = described(env, "a.csv")
        description["source"]["path"] = path
        env.write(".au/datasets/a.csv.json", json.dumps(description))
        before = working_tree(env)
        for words in (["restore", "a.csv"], ["rm", "--hard-delete", "images/../x", "a.csv"]):
            assert env.au("data", *words).code == 1
            assert working_tree(env) == before, path
