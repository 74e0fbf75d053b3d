"""Models and data between clones, by a bucket of S3 and by a server of FTP."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from buckets import KEY, SECRET, Buckets, buckets
from conftest import AuEnv
from data_state import check_store
from shelves import PASSWORD, USER, Shelves, shelves
from test_share import MODEL, Lab, record

MIB = 1 << 20


class Remote:
    """A data remote on a server, and how it is looked into."""

    def __init__(self, url: str, server: Buckets | Shelves) -> None:
        self.url, self.server = url, server

    def objects(self) -> dict[str, bytes]:
        if isinstance(self.server, Buckets):
            keys = [key for key in self.server.keys("models") if key.startswith("deep/er/")]
            return {key.removeprefix("deep/er/"): self.server.read("models", key) or b"" for key in keys}
        files = [path for path in self.server.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.server.folder)): path.read_bytes() for path in files}

    def check(self) -> int:
        """Each object is what its name says, and nothing else is there."""
        objects = self.objects()
        for name, content in objects.items():
            digits = hashlib.sha256(content).hexdigest()
            assert name == f"sha256/{digits[:2]}/{digits[2:]}"
        return len(objects)

    def spoil(self, name: str, content: bytes) -> None:
        if isinstance(self.server, Buckets):
            self.server.put("models", f"deep/er/{name}", content)
        else:
            (self.server.folder / name).write_bytes(content)


@pytest.fixture
def lab(env: AuEnv) -> Lab:
    return Lab(env)


@pytest.fixture(params=["s3", "ftp", "ftps"])
def remote(env: AuEnv, request: pytest.FixtureRequest) -> Iterator[Remote]:
    if request.param == "s3":
        with buckets() as server:
            server.put("models", "unrelated", b"x")
            env.environment |= server.environment
            yield Remote("s3://models/deep/er/", server)
        return
    with shelves(env.root / "served/files", secure=request.param == "ftps") as server:
        if server.secure:
            env.environment["SSL_CERT_FILE"] = str(env.root / "served/ca.pem")
        helper = f"!echo username={USER}; echo password={PASSWORD}; true"
        env.environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": helper}
        yield Remote(server.address(), server)


def clone(lab: Lab, name: str) -> AuEnv:
    other = lab.clone(name)
    other.environment |= {key: value for key, value in lab.first.environment.items() if key not in other.environment}
    return other


def test_only_what_is_missing_travels(lab: Lab, remote: Remote) -> None:
    one, two = lab.first, clone(lab, "two")
    for number in range(120):
        one.write(f"images/{number}.txt", f"image {number}")
    one.write("images/empty", "")
    one.au("data", "add", "images").ok()
    record(one, MODEL + "au.use_datasets('images')\n")
    for side in (one, two):
        side.au("data", "remote", "add", "far", remote.url).ok()
    assert "sent 123 objects of models and data" in one.au("push").ok().stdout
    assert remote.check() == 123
    assert one.au("push").ok().stdout == "origin has it all: 1 experiment\n"
    assert "brought 123 objects of models and data" in two.au("pull").ok().stdout
    assert check_store(two) == 123
    assert two.python("-c", "import aurum as au; print(au.load_model(experiment='@'))").ok().stdout == "b'weights'\n"
    two.au("load", "@").ok()
    assert (two.project / "images/7.txt").read_text() == "image 7"
    record(one, "au.save_model(b'second')\n")
    assert "sent 1 object of models and data" in one.au("push").ok().stdout
    assert "brought 1 object of models and data" in two.au("pull").ok().stdout
    for side in (one, two):
        for path, content in side.everything().items():
            assert not any(secret.encode() in content for secret in (SECRET, PASSWORD)), path


def test_what_is_not_what_its_name_says_is_not_taken(lab: Lab, remote: Remote) -> None:
    one, two = lab.first, clone(lab, "two")
    record(one, MODEL)
    for side in (one, two):
        side.au("data", "remote", "add", "far", remote.url).ok()
    one.au("push").ok()
    [(name, content)] = remote.objects().items()
    remote.spoil(name, b"WEIGHTS")
    two.au("pull").failed(1, "is damaged: it is not what its name says")
    assert check_store(two) == 0
    remote.spoil(name, b"torn")
    assert "sent 1 object" in one.au("push").ok().stdout, "of another size, it is not whole"
    assert remote.check() == 1
    two.au("pull").ok()
    assert check_store(two) == 1


def test_what_is_lost_there_is_told(lab: Lab, remote: Remote) -> None:
    one, two = lab.first, clone(lab, "two")
    record(one, MODEL)
    one.au("push").ok()
    two.au("data", "remote", "add", "far", remote.url).ok()
    answer = two.au("pull")
    assert "1 object" in answer.stdout + answer.stderr
    assert check_store(two) == 0


def test_a_long_object_is_gone_on_with(lab: Lab, env: AuEnv) -> None:
    one, two = lab.first, clone(lab, "two")
    with buckets() as server:
        server.put("models", "unrelated", b"x")
        for side in (one, two):
            side.environment |= server.environment
            side.au("data", "remote", "add", "far", "s3://models").ok()
        record(one, "import os\nau.save_model(os.urandom(130 << 20))\n")

        def refuse(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
            if "partNumber=3" not in environ["QUERY_STRING"]:
                return None
            start("400 Bad Request", [("Content-Length", "0")])
            return [b""]

        server.spoil = refuse
        one.au("push").failed(1, "did not do what it was asked")
        assert server.keys("models") == ["unrelated"]
        server.spoil = lambda environ, start: None
        server.asked.clear()
        one.au("push").ok()
        parts = [target for method, target in server.asked if method == "PUT" and "partNumber" in target]
        assert parts and not [target for target in parts if "partNumber=1&" in target], parts
        assert len(server.keys("models")) == 2
        two.au("pull").ok()
        assert check_store(two) == 1


def test_a_cut_at_a_shelf_is_gone_on_with(lab: Lab, env: AuEnv) -> None:
    one, two = lab.first, clone(lab, "two")
    with shelves(env.root / "served/files") as server:
        helper = f"!echo username={USER}; echo password={PASSWORD}; true"
        for side in (one, two):
            side.git("config", "credential.helper", helper)
            side.au("data", "remote", "add", "far", server.address()).ok()
        record(one, "import os\nau.save_model(os.urandom(9 << 20))\n")
        server.cut_after, server.cuts = 3 * MIB, 2
        one.au("push").ok()
        assert len([asked for asked in server.asked if asked.startswith("REST ") and asked != "REST 0"]) == 2
        assert Remote(server.address(), server).check() == 1
        server.cut_after, server.cuts = 2 * MIB, 2
        two.au("pull").ok()
        assert check_store(two) == 1


def test_data_remotes_that_fail_are_told(lab: Lab, env: AuEnv, tmp_path: Path) -> None:
    one = lab.first
    record(one, MODEL)
    one.au("data", "remote", "add", "far", "ftp://me:hush@example.org/x").failed(1, "no place for", "hint: ")
    one.au("data", "remote", "add", "far", "https://example.org/x").failed(1, "can't be a data remote", "hint: ")
    with buckets() as server:
        one.environment |= server.environment
        one.au("data", "remote", "add", "far", "s3://no-such-bucket/x").ok()
        one.au("push").failed(1, "no such bucket", "hint: ")
        one.au("push", env={"AWS_SECRET_ACCESS_KEY": "wrong"}).failed(1, "key", "hint: ")
    assert [path for path in lab.refs() if path.startswith("refs/tags/au/")], "experiments go all the same"
    one.au("data", "remote", "rm", "far").ok()
    with shelves(env.root / "served/files") as shelf:
        one.git("config", "credential.helper", f"!echo username={USER}; echo password={PASSWORD}; true")
        one.au("data", "remote", "add", "far", shelf.address("no-such-folder")).ok()
        one.au("push").failed(1, "is not there", "hint: ")
        assert not list(shelf.folder.iterdir()), "nothing is made"
    assert not [path for path, content in one.everything().items() if KEY.encode() in content or b"hush" in content]
