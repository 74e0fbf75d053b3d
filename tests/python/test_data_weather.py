"""Bad weather between here and servers of S3 and FTP: disks that fill, and servers that fall silent."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from buckets import Buckets, buckets
from conftest import AuEnv, small_disk
from data_state import check_store, descriptions, described, stored, working_tree
from shelves import PASSWORD, USER, Shelves, shelves

MIB = 1 << 20
LOGIN = ("--user", USER, "--passwd", PASSWORD)


def enlarge(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
@pytest.mark.parametrize("kind", ["s3", "ftp"])
def test_a_disk_that_fills_while_something_comes(bare: AuEnv, kind: str) -> None:
    content = os.urandom(40 * MIB)
    disk = bare.root / "disk"
    with small_disk(disk, "26m"), buckets() as cloud, shelves(bare.root / "served") as nas:
        env = AuEnv(bare.root, disk / "project")
        env.au("init").ok()
        env.environment |= cloud.environment
        if kind == "s3":
            cloud.put("bucket-name", "big.bin", content)
            words: tuple[str, ...] = ("s3://bucket-name/big.bin",)
        else:
            (nas.folder / "big.bin").write_bytes(content)
            words = (nas.address("big.bin"), *LOGIN)
        before = working_tree(env)
        env.au("data", "add", *words).failed(1, "No space left", "hint: Nothing was recorded: make room")
        assert working_tree(env) == before and descriptions(env) == []
        enlarge(disk, "200m")
        cloud.ranges.clear()
        nas.asked.clear()
        env.au("data", "add", *words).ok()
        assert (env.project / "big.bin").read_bytes() == content
        if kind == "s3":
            asked = [told.removeprefix("bytes=").split("-") for told in cloud.ranges if told]
            assert sum(int(last) - int(first) + 1 for first, last in asked) < 32 * MIB, "what was there did not come again"
        else:
            [rest] = [asked for asked in nas.asked if asked.startswith("REST ") and asked != "REST 0"]
            assert int(rest.split()[1]) > 10 * MIB
        check_store(env)
        assert not list((env.project / ".git/aurum/downloads").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_disk_that_fills_at_a_pull(bare: AuEnv) -> None:
    contents = {f"{number}.bin": os.urandom(6 * MIB) for number in range(6)}
    disk = bare.root / "disk"
    with small_disk(disk, "300m"), buckets() as cloud:
        env = AuEnv(bare.root, disk / "project")
        env.environment |= cloud.environment
        env.au("init").ok()
        cloud.put("bucket-name", "there", b"")
        env.au("data", "remote", "add", "cloud", "s3://bucket-name/share").ok()
        for name, content in contents.items():
            (env.project / name).write_bytes(content)
        env.au("data", "add", *contents).ok()
        env.au("data", "push").ok()
        shutil.rmtree(env.project / ".git/aurum/store")
        for name in contents:
            (env.project / name).unlink()
        enlarge(disk, "20m")
        env.au("data", "pull").failed(1, "No space left", "hint: ")
        enlarge(disk, "300m")
        env.au("data", "pull").ok()
        env.au("data", "restore").ok()
        assert {name: (env.project / name).read_bytes() for name in contents} == contents
        check_store(env)


def test_a_shelf_that_is_full(env: AuEnv) -> None:
    with shelves(env.root / "served") as nas:
        (nas.folder / "share").mkdir()
        env.git("config", "credential.helper", f"!echo username={USER}; echo password={PASSWORD}; true")
        env.au("data", "remote", "add", "nas", nas.address("share")).ok()
        (env.project / "a.csv").write_bytes(b"1,2\n")
        env.au("data", "add", "a.csv").ok()
        nas.answers["STOR"] = "552 Quota exceeded."
        env.au("data", "push").failed(1, "552 Quota exceeded", "hint: ")
        nas.answers.clear()
        assert "sent 1 object" in env.au("data", "push").ok().stdout


class Silence:
    """Takes a connection, says what it was told to, and then nothing."""

    def __init__(self, greeting: bytes) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.greeting = greeting
        self.open: list[socket.socket] = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(connection)
            connection.sendall(self.greeting)

    def close(self) -> None:
        for one in (self.socket, *self.open):
            one.close()


def test_servers_that_fall_silent_are_given_up(env: AuEnv) -> None:
    """All at once: each takes the half minute that a server has for its next byte."""
    silences = [Silence(b""), Silence(b"220 Hello\r\n"), Silence(b"")]
    over = threading.Event()
    with buckets() as cloud, shelves(env.root / "served") as nas:
        cloud.put("bucket-name", "half.bin", bytes(4 * MIB))
        (nas.folder / "half.csv").write_bytes(bytes(MIB))

        def half(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
            if "HTTP_RANGE" not in environ:
                return None

            def body() -> Iterable[bytes]:
                yield bytes(MIB)
                over.wait(60)

            start("206 Partial Content", [("Content-Range", f"bytes 0-{4 * MIB - 1}/{4 * MIB}"), ("Content-Length", str(4 * MIB))])
            return body()

        cloud.spoil = half
        nas.answers["RETR"] = "silence"
        calls = {
            "a bucket": (["s3://bucket-name/x.csv"], cloud.environment | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{silences[0].port}"}),
            "half an object": (["s3://bucket-name/half.bin"], cloud.environment),
            "a login": ([f"ftp://127.0.0.1:{silences[1].port}/x.csv", *LOGIN], {}),
            "a greeting": ([f"ftp://127.0.0.1:{silences[2].port}/y.csv", *LOGIN], {}),
            "a content": ([nas.address("half.csv"), *LOGIN], {}),
        }
        begun = time.monotonic()
        running = {what: env.start("au", "data", "add", *words, env=variables) for what, (words, variables) in calls.items()}
        for what, process in running.items():
            _, told = process.communicate(timeout=120)
            assert process.returncode == 1 and "timeout" in told and "hint: " in told, (what, told)
            assert PASSWORD not in told
        assert 25 < time.monotonic() - begun < 100
        assert descriptions(env) == []
        over.set()
        cloud.spoil = lambda environ, start: None
        nas.answers.clear()
        env.au("data", "add", "s3://bucket-name/half.bin", env=cloud.environment).ok()
        env.au("data", "add", nas.address("half.csv"), *LOGIN).ok()
    for silence in silences:
        silence.close()


def test_what_the_store_lost_comes_from_the_prefix_again(env: AuEnv) -> None:
    with buckets() as cloud:
        env.environment |= cloud.environment
        for number in range(5):
            cloud.put("bucket-name", f"images/{number}.png", bytes([number]) * 1000)
        env.au("data", "add", "s3://bucket-name/images/").ok()
        digest = described(env, "images")["digest"]
        shutil.rmtree(env.project / ".git/aurum/store")
        shutil.rmtree(env.project / "images")
        assert not stored(env, digest).exists()
        env.au("data", "restore", "--offline").failed(1, "hint: ")
        env.au("data", "restore").ok()
        assert (env.project / "images/3.png").read_bytes() == bytes([3]) * 1000
        # What the bucket has by now is not what was recorded.
        shutil.rmtree(env.project / ".git/aurum/store")
        shutil.rmtree(env.project / "images")
        cloud.put("bucket-name", "images/3.png", b"other")
        env.au("data", "restore").failed(1, "another version", "au data update images")
        assert not (env.project / "images").exists()
        env.au("data", "update").ok()
        assert (env.project / "images/3.png").read_bytes() == b"other"


def test_a_shelf_of_a_folder_is_taken_up_anew(env: AuEnv) -> None:
    with shelves(env.root / "served") as nas:
        env.git("config", "credential.helper", f"!echo username={USER}; echo password={PASSWORD}; true")
        (nas.folder / "images").mkdir()
        for number in range(5):
            (nas.folder / f"images/{number}.png").write_bytes(bytes([number]) * 1000)
        env.au("data", "add", nas.address("images/")).ok()
        (nas.folder / "images/5.png").write_bytes(b"five")
        (nas.folder / "images/0.png").unlink()
        env.au("data", "update").ok()
        assert sorted(path.name for path in (env.project / "images").iterdir()) == [f"{number}.png" for number in range(1, 6)]
