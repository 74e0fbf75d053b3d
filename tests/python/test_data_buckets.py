"""`au data add s3://…`, from a server that checks signatures."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from buckets import KEY, SECRET, Buckets, buckets
from conftest import AuEnv
from data_state import check_store, described, descriptions, git_state, listed, status, stored, working_tree

MIB = 1 << 20


@pytest.fixture
def server() -> Iterator[Buckets]:
    with buckets() as server:
        yield server


@pytest.fixture
def cloud(env: AuEnv, server: Buckets) -> Buckets:
    env.environment |= server.environment
    server.put("bucket-name", "dataset.csv", b"1,2\n" * 1000)
    return server


def holds_no_secret(env: AuEnv, *secrets: str) -> None:
    for path, content in env.everything().items():
        for secret in secrets:
            assert secret.encode() not in content, path


def test_an_object(env: AuEnv, cloud: Buckets) -> None:
    before = git_state(env)
    out = env.au("data", "add", "s3://bucket-name/dataset.csv").ok()
    assert (env.project / "dataset.csv").read_bytes() == b"1,2\n" * 1000
    assert git_state(env) == before
    description = described(env, "dataset.csv")
    assert description["digest"] == "sha256:" + hashlib.sha256(b"1,2\n" * 1000).hexdigest()
    source = description["source"]
    assert (source["type"], source["path"], source["url"]) == ("address", "dataset.csv", "s3://bucket-name/dataset.csv")
    assert source["remote"]["size"] == 4000 and source["remote"]["entity_tag"] and source["remote"]["last_modified"]
    assert check_store(env) == 1
    assert SECRET not in out.stdout + out.stderr
    holds_no_secret(env, KEY, SECRET)
    assert not list((env.project / ".git/aurum/downloads").iterdir())


def test_options_open_it_and_earn_a_hint(env: AuEnv, cloud: Buckets) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        env.environment.pop(name)
    line = ("data", "add", "s3://bucket-name/dataset.csv", "--api", KEY)
    out = env.au(*line, "--key", SECRET).ok()
    assert "--key -" in out.stderr and SECRET not in out.stderr and KEY not in out.stderr
    env.au(*line, "--key", "wrong").failed(1, "secret is another", "hint: ")
    env.au("data", "add", "s3://bucket-name/dataset.csv", "--api", "nobody", "--key", SECRET).failed(1, "hint: ")
    env.au("data", "add", "s3://bucket-name/dataset.csv").failed(1, "no key was given", "hint: ")
    process = env.start("au", *line, "--key", "-")
    _, told = process.communicate(f"{SECRET}\n", timeout=60)
    assert process.returncode == 0 and "--key -" not in told, told
    holds_no_secret(env, KEY, SECRET)


def test_profiles_and_settings_of_git_open_it(env: AuEnv, cloud: Buckets) -> None:
    for name in cloud.environment:
        env.environment.pop(name)
    aws = env.root / "home/.aws"
    aws.mkdir()
    (aws / "config").write_text(f"[profile lab]\nregion = eu-west-1\nendpoint_url = {cloud.address}\n")
    (aws / "credentials").write_text(f"[lab]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    env.au("data", "add", "s3://bucket-name/dataset.csv", env={"AWS_PROFILE": "lab"}).ok()
    (aws / "config").unlink()
    env.git("config", "aurum.s3.endpoint", cloud.address)
    env.au("data", "add", "s3://bucket-name/dataset.csv", env={"AWS_PROFILE": "lab"}).ok()
    cloud.public.add("bucket-name")
    env.au("data", "add", "s3://bucket-name/dataset.csv").ok()
    env.au("data", "add", "s3://bucket-name/dataset.csv", env={"AWS_PROFILE": "none"}).failed(1, "no profile `none`")


TELL = """#!/bin/sh
echo "$*" >> asked
[ "$1" != late ] || { echo "The token has expired" >&2; exit 255; }
echo '{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "%s"}'
"""


def test_other_programs_tell_keys(env: AuEnv, cloud: Buckets) -> None:
    programs = env.root / "programs"
    programs.mkdir()
    (programs / "aws").write_text(TELL % (KEY, SECRET))
    (programs / "aws").chmod(0o755)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        env.environment.pop(name)
    aws = env.root / "home/.aws"
    aws.mkdir()
    (aws / "config").write_text(
        f"[profile tool]\ncredential_process = {programs}/aws tell\n[profile late]\ncredential_process = {programs}/aws late\n[profile single]\nsso_session = x\n"
    )
    add = ("data", "add", "s3://bucket-name/dataset.csv")
    env.au(*add, env={"AWS_PROFILE": "tool"}).ok()
    refused = env.au(*add, env={"AWS_PROFILE": "late"}).failed(1, "which is to tell the keys of S3, failed", "The token has expired", "hint: ")
    assert SECRET not in refused.stderr
    bare = env.root / "bare"
    bare.mkdir()
    for name in ("au", "git"):
        (bare / name).symlink_to(shutil.which(name, path=env.environment["PATH"]) or name)
    refused = env.au(*add, env={"AWS_PROFILE": "single", "PATH": str(bare)})
    refused.failed(1, "the keys of the profile `single` are known to AWS's own program alone")
    env.environment["PATH"] = f"{programs}:{env.environment['PATH']}"
    env.au(*add, env={"AWS_PROFILE": "single"}).ok()
    env.au(*add, env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/x"}).ok()
    export = "configure export-credentials --format process"
    assert (env.project / "asked").read_text().splitlines() == ["tell", "late", f"{export} --profile single", export]
    (env.project / "asked").unlink()
    (programs / "aws").unlink()
    (aws / "config").unlink()
    holds_no_secret(env, SECRET)


def test_a_new_version(env: AuEnv, cloud: Buckets) -> None:
    add = ("data", "add", "s3://bucket-name/dataset.csv")
    env.au(*add).ok()
    first = described(env, "dataset.csv")["digest"]
    assert status(env)["dataset.csv"]["remote"] == "unchanged"
    cloud.put("bucket-name", "dataset.csv", b"other\n")
    assert status(env)["dataset.csv"]["remote"] == "changed"
    env.au(*add).ok()
    assert (env.project / "dataset.csv").read_bytes() == b"other\n"
    assert described(env, "dataset.csv")["digest"] != first and check_store(env) == 2
    cloud.remove("bucket-name", "dataset.csv")
    assert status(env)["dataset.csv"]["remote"] == "gone"


def test_a_prefix_becomes_a_folder(env: AuEnv, cloud: Buckets) -> None:
    files = {"a.csv": b"a", "sub/b c.csv": b"bc", "sub/ü+%.csv": b"u", "empty": b"", "deep/er/x": os.urandom(1000)}
    for path, content in files.items():
        cloud.put("bucket-name", f"images/{path}", content)
    cloud.put("bucket-name", "images-not/x", b"not this")
    env.au("data", "add", "s3://bucket-name/images/").ok()
    found = {str(path.relative_to(env.project / "images")): path.read_bytes() for path in (env.project / "images").rglob("*") if path.is_file()}
    assert found == files
    assert described(env, "images")["kind"] == "folder"
    assert status(env)["images"]["remote"] == "unchanged"
    cloud.put("bucket-name", "images/a.csv", b"changed")
    cloud.remove("bucket-name", "images/empty")
    assert status(env)["images"]["remote"] == "changed"
    env.au("data", "add", "s3://bucket-name/images").ok()
    assert (env.project / "images/a.csv").read_bytes() == b"changed" and not (env.project / "images/empty").exists()
    assert status(env)["images"] | {"x": 0} == status(env)["images"] | {"state": "unchanged", "remote": "unchanged", "x": 0}
    (env.project / "images/mine").write_text("hours of work")
    env.au("data", "add", "s3://bucket-name/images/").failed(1, "is there already", "hint: ")
    assert (env.project / "images/mine").read_text() == "hours of work"


def objects_asked_for(cloud: Buckets, prefix: str) -> list[str]:
    asked = [target.partition("?")[0] for method, target in cloud.asked if method == "GET"]
    cloud.asked.clear()
    return sorted(path.removeprefix(prefix) for path in asked if path.startswith(prefix))


def test_of_a_changed_folder_comes_what_has_changed(env: AuEnv, cloud: Buckets) -> None:
    long = os.urandom(20 << 20)
    for name, content in {"a": b"a", "b": b"b", "sub/c": b"c", "long": long}.items():
        cloud.put("bucket-name", f"images/{name}", content)
    add = ("data", "add", "s3://bucket-name/images")
    env.au(*add).ok()
    assert set(objects_asked_for(cloud, "/bucket-name/images/")) == {"a", "b", "sub/c", "long"}
    cloud.put("bucket-name", "images/b", b"B")
    cloud.put("bucket-name", "images/new", b"new")
    cloud.remove("bucket-name", "images/a")
    env.au(*add).ok()
    assert objects_asked_for(cloud, "/bucket-name/images/") == ["b", "new"]
    found = {path.name: path.read_bytes() for path in (env.project / "images").rglob("*") if path.is_file()}
    assert found == {"b": b"B", "new": b"new", "c": b"c", "long": long}
    assert status(env)["images"]["state"] == status(env)["images"]["remote"] == "unchanged"


def test_what_is_damaged_here_comes_again(env: AuEnv, cloud: Buckets) -> None:
    for name in "ab":
        cloud.put("bucket-name", f"images/{name}", name.encode() * 10)
    env.au("data", "add", "s3://bucket-name/images").ok()
    damaged = stored(env, f"sha256:{hashlib.sha256(b'a' * 10).hexdigest()}")
    damaged.chmod(0o644)
    damaged.write_bytes(b"?" * 10)
    cloud.asked.clear()
    cloud.put("bucket-name", "images/b", b"other")
    env.au("data", "update", "images").ok()
    assert objects_asked_for(cloud, "/bucket-name/images/") == ["a", "b"]
    assert (env.project / "images/a").read_bytes() == b"a" * 10


def test_a_listing_of_several_pages(env: AuEnv, cloud: Buckets) -> None:
    for number in range(1005):
        cloud.put("many", f"all/{number:04}", b"%d" % number)
    env.au("data", "add", "s3://many/all").ok()
    assert len(list((env.project / "all").iterdir())) == 1005
    assert listed(env)["all"]["files"] == 1005


def test_a_bucket_and_names_that_can_be_no_files(env: AuEnv, cloud: Buckets) -> None:
    env.au("data", "add", "s3://bucket-name").ok()
    assert (env.project / "bucket-name/dataset.csv").exists()
    for key in ("bad/a", "bad/a/b"):
        cloud.put("odd", key, b"x")
    before = working_tree(env)
    env.au("data", "add", "s3://odd/bad").failed(1, "can't be both")
    cloud.put("odd", "git/.git/config", b"x")
    env.au("data", "add", "s3://odd/git").failed(1, "git's own")
    assert working_tree(env) == before


def test_what_is_not_there(env: AuEnv, cloud: Buckets) -> None:
    before = working_tree(env)
    env.au("data", "add", "s3://no-such-bucket/dataset.csv").failed(1, "no such bucket", "hint: ")
    env.au("data", "add", "s3://bucket-name/nothing.csv").failed(1, "nothing at `s3://bucket-name/nothing.csv`", "hint: ")
    env.au("data", "add", "s3://bucket-name/dataset.csv", env={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}).failed(1, "127.0.0.1", "hint: ")
    env.au("data", "add", "s3://bucket-name/dataset.csv", env={"AWS_ENDPOINT_URL": "nonsense://x"}).failed(1, "endpoint", "hint: ")
    assert working_tree(env) == before and descriptions(env) == []
    check_store(env)


class Cut:
    """Sends a part of what it should, and breaks off."""

    def __init__(self, cloud: Buckets, after: int, times: int) -> None:
        self.cloud, self.after, self.times = cloud, after, times

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != "GET" or "HTTP_RANGE" not in environ or self.times == 0:
            return None
        self.times -= 1
        body = b"".join(self.cloud.moto(environ, start))
        return [body[: self.after]]


def test_a_long_object_comes_in_pieces_and_goes_on_after_a_cut(env: AuEnv, cloud: Buckets) -> None:
    content = os.urandom(40 * MIB + 17)
    cloud.put("bucket-name", "big.bin", content)
    cloud.spoil = Cut(cloud, 3 * MIB, 2)
    cloud.ranges.clear()
    env.au("data", "add", "s3://bucket-name/big.bin").ok()
    assert (env.project / "big.bin").read_bytes() == content
    ranges = [told for told in cloud.ranges if told]
    starts = sorted(int(told.removeprefix("bytes=").split("-")[0]) for told in ranges)
    assert len(starts) == 5 and [start for start in starts if start % (16 * MIB) == 0] == [0, 16 * MIB, 32 * MIB]
    assert len([start for start in starts if start % (16 * MIB) == 3 * MIB]) == 2


def test_the_next_call_goes_on_where_one_was_killed(env: AuEnv, cloud: Buckets) -> None:
    content = os.urandom(40 * MIB)
    cloud.put("bucket-name", "big.bin", content)

    def drop(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ.get("HTTP_RANGE", "").startswith("bytes=0-") or "HTTP_RANGE" not in environ:
            return None
        time.sleep(3)
        start("400 Bad Request", [("Content-Length", "0")])
        return [b""]

    cloud.spoil = drop
    env.au("data", "add", "s3://bucket-name/big.bin").failed(1, "hint: ")
    assert descriptions(env) == [] and not (env.project / "big.bin").exists()
    cloud.spoil = lambda environ, start: None
    cloud.ranges.clear()
    env.au("data", "add", "s3://bucket-name/big.bin").ok()
    assert (env.project / "big.bin").read_bytes() == content
    assert f"bytes=0-{16 * MIB - 1}" not in cloud.ranges, "the first piece was there"
    assert not list((env.project / ".git/aurum/downloads").iterdir())


@pytest.mark.parametrize("lie", ["longer", "shorter", "other", "changed"])
def test_a_server_that_lies(env: AuEnv, cloud: Buckets, lie: str) -> None:
    def spoil(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        if "HTTP_RANGE" not in environ:
            return None
        if lie == "changed":
            start("412 Precondition Failed", [("Content-Length", "0")])
            return [b""]
        size = {"longer": 5000, "shorter": 3000, "other": 4000}[lie]
        told = "bytes 0-3999/4000" if lie != "other" else "bytes 1-4000/9000"
        start("206 Partial Content", [("Content-Range", told), ("Content-Length", str(size))])
        return [b"x" * size]

    cloud.spoil = spoil
    before = working_tree(env)
    env.au("data", "add", "s3://bucket-name/dataset.csv").failed(1, "error: ", "hint: ")
    assert working_tree(env) == before and descriptions(env) == []


def test_a_server_that_has_no_time(env: AuEnv, cloud: Buckets) -> None:
    left = [2]

    def busy(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        if left[0] == 0:
            return None
        left[0] -= 1
        start("503 Slow Down", [("Content-Length", "0")])
        return [b""]

    cloud.spoil = busy
    env.au("data", "add", "s3://bucket-name/dataset.csv").ok()
    assert left == [0]


def test_the_endpoint_of_a_package_file_is_no_secret(env: AuEnv, cloud: Buckets, tmp_path: Path) -> None:
    env.au("data", "add", "s3://key:hush@bucket-name/dataset.csv").failed(1, "hint: ")
    holds_no_secret(env, "hush")
