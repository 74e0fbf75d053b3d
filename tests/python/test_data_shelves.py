"""`au data add ftp://…` and `ftps://…`, from a real server."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from conftest import AuEnv
from data_state import check_store, described, descriptions, git_state, status, working_tree
from shelves import PASSWORD, USER, Shelves, shelves

MIB = 1 << 20
LOGIN = ("--user", USER, "--passwd", PASSWORD)


@pytest.fixture(params=["ftp", "ftps"])
def server(env: AuEnv, request: pytest.FixtureRequest) -> Iterator[Shelves]:
    with shelves(env.root / "served/files", secure=request.param == "ftps") as server:
        if server.secure:
            env.environment["SSL_CERT_FILE"] = str(env.root / "served/ca.pem")
        (server.folder / "dataset.csv").write_bytes(b"1,2\n" * 1000)
        yield server


@pytest.fixture
def plain(env: AuEnv) -> Iterator[Shelves]:
    with shelves(env.root / "served/files") as server:
        (server.folder / "dataset.csv").write_bytes(b"1,2\n" * 1000)
        yield server


def holds_no_secret(env: AuEnv, *outputs: str) -> None:
    assert all(PASSWORD not in output for output in outputs)
    assert not [path for path, content in env.everything().items() if PASSWORD.encode() in content]


def test_a_file(env: AuEnv, server: Shelves) -> None:
    before = git_state(env)
    out = env.au("data", "add", server.address("dataset.csv"), *LOGIN).ok()
    assert (env.project / "dataset.csv").read_bytes() == b"1,2\n" * 1000
    assert git_state(env) == before and check_store(env) == 1
    description = described(env, "dataset.csv")
    assert description["digest"] == "sha256:" + hashlib.sha256(b"1,2\n" * 1000).hexdigest()
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(os.stat(server.folder / "dataset.csv").st_mtime))
    assert description["source"]["remote"] == {"size": 4000, "last_modified": stamp}
    assert "--passwd -" in out.stderr
    holds_no_secret(env, out.stdout, out.stderr)
    env.git("config", "credential.helper", f"!echo username={USER}; echo password={PASSWORD}; true")
    assert status(env)["dataset.csv"]["remote"] == "unchanged"
    (server.folder / "dataset.csv").write_bytes(b"3,4\n" * 10)
    assert status(env)["dataset.csv"]["remote"] == "changed"
    env.au("data", "add", server.address("dataset.csv")).ok()
    assert (env.project / "dataset.csv").read_bytes() == b"3,4\n" * 10
    (server.folder / "dataset.csv").unlink()
    assert status(env)["dataset.csv"]["remote"] == "gone"


def test_a_folder(env: AuEnv, server: Shelves) -> None:
    files = {"a.csv": b"a", "sub/b c.csv": b"bc", "sub/ü%.csv": b"u", "empty": b"", "deep/er/x": os.urandom(1000)}
    for path, content in files.items():
        (server.folder / "images" / path).parent.mkdir(parents=True, exist_ok=True)
        (server.folder / "images" / path).write_bytes(content)
    env.au("data", "add", server.address("images/"), *LOGIN).ok()
    found = {str(path.relative_to(env.project / "images")): path.read_bytes() for path in (env.project / "images").rglob("*") if path.is_file()}
    assert found == files and described(env, "images")["kind"] == "folder"
    (server.folder / "images/new").write_bytes(b"new")
    server.asked.clear()
    env.au("data", "add", server.address("images"), *LOGIN).ok()
    assert (env.project / "images/new").read_bytes() == b"new"
    assert len([line for line in server.asked if line.startswith("RETR ")]) == 1, "what has not changed is here"


def test_who_may_have_it(env: AuEnv, server: Shelves) -> None:
    address = server.address("dataset.csv")
    before = working_tree(env)
    for words in (["--user", USER, "--passwd", "wrong"], ["--user", USER], []):
        out = env.au("data", "add", address, *words).failed(1, "error: ", "hint: ")
        assert "wrong" not in out.stderr
    assert working_tree(env) == before and descriptions(env) == []
    process = env.start("au", "data", "add", address, "--user", USER, "--passwd", "-")
    _, told = process.communicate(f"{PASSWORD}\n", timeout=60)
    assert process.returncode == 0 and "--passwd -" not in told, told
    env.au("data", "add", server.address("dataset.csv", f"{USER}:{PASSWORD}@")).ok()
    holds_no_secret(env, told)


def test_anybody(env: AuEnv) -> None:
    with shelves(env.root / "served/files", anonymous=True) as server:
        (server.folder / "dataset.csv").write_bytes(b"x\n")
        env.au("data", "add", server.address("dataset.csv")).ok()


def test_what_is_not_there(env: AuEnv, server: Shelves) -> None:
    before = working_tree(env)
    env.au("data", "add", server.address("nothing.csv"), *LOGIN).failed(1, "nothing at", "hint: ")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    env.au("data", "add", f"ftp://127.0.0.1:{port}/x.csv", *LOGIN).failed(1, "refused", "hint: ")
    env.au("data", "add", server.address("a%0d%0aDELE%20dataset.csv"), *LOGIN).failed(1, "hint: ")
    assert (server.folder / "dataset.csv").exists()
    assert working_tree(env) == before and descriptions(env) == []


def test_a_cut_is_gone_on_with(env: AuEnv, server: Shelves) -> None:
    content = os.urandom(5 * MIB + 3)
    (server.folder / "big.bin").write_bytes(content)
    server.cut_after, server.cuts = 2 * MIB, 2
    env.au("data", "add", server.address("big.bin"), *LOGIN).ok()
    assert (env.project / "big.bin").read_bytes() == content
    assert len([asked for asked in server.asked if asked.startswith("REST ") and asked != "REST 0"]) == 2


def test_the_next_call_goes_on(env: AuEnv, plain: Shelves) -> None:
    content = os.urandom(5 * MIB + 3)
    (plain.folder / "big.bin").write_bytes(content)
    plain.cut_after, plain.cuts = 2 * MIB, 1
    plain.answers["REST"] = "502 Not today."
    env.au("data", "add", plain.address("big.bin"), *LOGIN).failed(1, "hint: ")
    plain.answers.clear()
    plain.asked.clear()
    env.au("data", "add", plain.address("big.bin"), *LOGIN).ok()
    assert (env.project / "big.bin").read_bytes() == content
    [rest] = [asked for asked in plain.asked if asked.startswith("REST ")]
    assert int(rest.split()[1]) > MIB
    assert not list((env.project / ".git/aurum/downloads").iterdir())


def test_a_server_that_lies(env: AuEnv, plain: Shelves) -> None:
    before = working_tree(env)
    for size in ("3000", "5000"):
        plain.answers["SIZE"] = f"213 {size}"
        env.au("data", "add", plain.address("dataset.csv"), *LOGIN).failed(1, "error: ", "hint: ")
    assert working_tree(env) == before and descriptions(env) == []
    check_store(env)


def test_a_server_that_tells_little(env: AuEnv, plain: Shelves) -> None:
    """Neither sizes, nor times, nor lists for programs, nor extended passive mode."""
    plain.answers |= {command: "502 Not implemented." for command in ("SIZE", "MDTM", "MLSD", "EPSV")}
    (plain.folder / "sub/er").mkdir(parents=True)
    (plain.folder / "sub/a b").write_bytes(b"x")
    (plain.folder / "sub/er/c").write_bytes(b"y")
    env.au("data", "add", plain.address("sub/"), *LOGIN).ok()
    assert (env.project / "sub/a b").read_bytes() == b"x" and (env.project / "sub/er/c").read_bytes() == b"y"
    env.au("data", "add", plain.address("dataset.csv"), *LOGIN).ok()
    assert (env.project / "dataset.csv").read_bytes() == b"1,2\n" * 1000


def test_no_way_back_from_tls(env: AuEnv, plain: Shelves) -> None:
    """A server that does not encrypt is told no password."""
    address = plain.address("dataset.csv").replace("ftp://", "ftps://")
    env.au("data", "add", address, *LOGIN).failed(1, "does not encrypt", "hint: ")
    assert not [asked for asked in plain.asked if asked.startswith(("USER", "PASS"))]


def test_a_certificate_of_nobody(env: AuEnv) -> None:
    with shelves(env.root / "served/files", secure=True) as server:
        (server.folder / "dataset.csv").write_bytes(b"x\n")
        env.au("data", "add", server.address("dataset.csv"), *LOGIN).failed(1, "UnknownIssuer", "hint: ")


def test_what_speaks_no_ftp(env: AuEnv) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        address = f"ftp://127.0.0.1:{listener.getsockname()[1]}/x.csv"
        env.au("data", "add", address).failed(1, "speaks no FTP", "hint: ")
        thread.join(5)
