"""Data on a server of S3 that somebody else wrote, and that checks each signature."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import AuEnv, left_out
from data_state import check_store, described, status, stored
from signed import KEY, SECRET, Signed, program, signed

MIB = 1 << 20


@pytest.fixture
def cloud(env: AuEnv) -> Iterator[Signed]:
    found = program()
    if found is None:
        left_out("`make target/s3s/bin/s3s-fs` was not run")
    with signed(found, env.root / "s3") as server:
        env.environment |= server.environment
        yield server


def put(cloud: Signed, path: str, content: bytes) -> None:
    file = cloud.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def holds_no_secret(env: AuEnv) -> None:
    assert not [path for path, content in env.everything().items() if SECRET.encode() in content]


def test_objects_and_prefixes_whatever_they_are_called(env: AuEnv, cloud: Signed) -> None:
    names = ["a b.csv", "ü%+&=?.csv", "deep/er/~x'(1)!*.csv", "plain-_.csv"]
    for name in names:
        put(cloud, f"bucket-name/images/{name}", name.encode())
    big = os.urandom(40 * MIB + 12345)
    put(cloud, "bucket-name/big.bin", big)
    env.au("data", "add", "s3://bucket-name/images/", "s3://bucket-name/big.bin").ok()
    assert {str(path.relative_to(env.project / "images")) for path in (env.project / "images").rglob("*") if path.is_file()} == set(names)
    assert all((env.project / "images" / name).read_bytes() == name.encode() for name in names)
    assert (env.project / "big.bin").read_bytes() == big
    assert {name: row["remote"] for name, row in status(env).items()} == {"images": "unchanged", "big.bin": "unchanged"}
    put(cloud, "bucket-name/images/new.csv", b"new")
    assert status(env)["images"]["remote"] == "changed"
    env.au("data", "update").ok()
    assert (env.project / "images/new.csv").read_bytes() == b"new"
    assert described(env, "images")["files"] == 5 and check_store(env) > 0
    holds_no_secret(env)


def test_the_wrong_secret_is_refused(env: AuEnv, cloud: Signed) -> None:
    put(cloud, "bucket-name/dataset.csv", b"1,2\n")
    for secret in (SECRET + "x", SECRET.swapcase(), "?"):
        out = env.au("data", "add", "s3://bucket-name/dataset.csv", env={"AWS_SECRET_ACCESS_KEY": secret}).failed(1, "its secret is another", "hint: ")
        assert secret == "?" or secret not in out.stderr
    assert not (env.project / "dataset.csv").exists()
    env.au("data", "add", "s3://bucket-name/dataset.csv", "--api", KEY, "--key", SECRET, env={"AWS_SECRET_ACCESS_KEY": "wrong"}).ok()


def test_a_data_remote_of_small_and_large(env: AuEnv, cloud: Signed) -> None:
    """Large ones travel in parts, each signed for itself."""
    (cloud.folder / "share").mkdir()
    env.au("data", "remote", "add", "cloud", "s3://share/some where/ü").ok()
    contents = {"small.csv": b"1,2\n", "empty.csv": b"", "large.bin": os.urandom(MIB) * 130 + b"1"}
    for name, content in contents.items():
        (env.project / name).write_bytes(content)
    env.au("data", "add", *contents).ok()
    assert "sent 3 objects" in env.au("data", "push").ok().stdout
    assert "has it all" in env.au("data", "push").ok().stdout + env.au("data", "push").ok().stderr
    for name in contents:
        digits = described(env, name)["digest"].removeprefix("sha256:")
        there = cloud.folder / "share/some where/ü/sha256" / digits[:2] / digits[2:]
        assert there.read_bytes() == contents[name]
    shutil.rmtree(env.project / ".git/aurum/store")
    for name in contents:
        (env.project / name).unlink()
    env.au("data", "pull").ok()
    env.au("data", "restore").ok()
    assert {name: (env.project / name).read_bytes() for name in contents} == contents
    holds_no_secret(env)


def test_a_damaged_object_is_found_out(env: AuEnv, cloud: Signed) -> None:
    (cloud.folder / "share").mkdir()
    env.au("data", "remote", "add", "cloud", "s3://share").ok()
    (env.project / "a.csv").write_bytes(b"1,2\n")
    env.au("data", "add", "a.csv").ok()
    env.au("data", "push").ok()
    digest = described(env, "a.csv")["digest"]
    [there] = [path for path in Path(cloud.folder / "share").rglob("*") if path.is_file() and digest[-8:] in path.name]
    there.write_bytes(b"1,3\n")
    stored(env, digest).unlink()
    env.au("data", "pull").failed(1, "is damaged")
    assert not stored(env, digest).exists()
