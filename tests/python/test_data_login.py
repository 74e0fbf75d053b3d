"""`au data login` and `logout`, with servers that really ask."""

from __future__ import annotations

import os
import pty
import stat
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from buckets import KEY, SECRET, Buckets, buckets
from conftest import AuEnv, Result
from servers import Answer, Server, running
from shelves import PASSWORD, USER, Shelves, shelves


@pytest.fixture
def cloud(env: AuEnv) -> Iterator[Buckets]:
    with buckets() as server:
        env.git("config", "aurum.s3.endpoint", server.address)
        server.put("bucket-name", "dataset.csv", b"1,2\n" * 1000)
        yield server


@pytest.fixture
def nas(env: AuEnv) -> Iterator[Shelves]:
    with shelves(env.root / "served/files") as server:
        (server.folder / "dataset.csv").write_bytes(b"1,2\n" * 1000)
        yield server


def login(env: AuEnv, *arguments: str, lines: str) -> Result:
    process = env.start("au", "data", "login", *arguments)
    out, err = process.communicate(lines, timeout=60)
    assert SECRET not in out + err and PASSWORD not in out + err
    return Result(process.returncode, out, err)


def kept(env: AuEnv) -> Path:
    return env.root / "home/.config/aurum/credentials"


def project_holds(env: AuEnv, *secrets: str) -> bool:
    return any(secret.encode() in content for content in env.everything().values() for secret in secrets)


def test_a_bucket(env: AuEnv, cloud: Buckets) -> None:
    env.au("data", "add", "s3://bucket-name/dataset.csv").failed(1, "no key was given", "au data login")
    out = login(env, "s3://bucket-name", lines=f"{KEY}\n{SECRET}\n").ok()
    assert "is open from now on" in out.stdout and str(kept(env)) in out.stdout and "not encrypted" in out.stderr and "helper" not in out.stderr
    assert stat.S_IMODE(kept(env).stat().st_mode) == 0o600 and stat.S_IMODE(kept(env).parent.stat().st_mode) == 0o700
    env.au("data", "add", "s3://bucket-name/dataset.csv").ok()
    assert not project_holds(env, KEY, SECRET)
    # Another bucket of the same server has another lock.
    cloud.put("other", "second.csv", b"x")
    env.au("data", "add", "s3://other/second.csv").failed(1, "no key was given")
    assert "forgot" in env.au("data", "logout", "s3://bucket-name").ok().stdout
    assert SECRET not in kept(env).read_text()
    env.au("data", "add", "s3://bucket-name/dataset.csv").failed(1, "no key was given")
    again = env.au("data", "logout", "s3://bucket-name").ok()
    assert "Nothing was kept" in again.stderr and not again.stdout


def test_what_the_server_does_not_take_is_not_kept(env: AuEnv, cloud: Buckets, nas: Shelves) -> None:
    login(env, "s3://bucket-name", "--user", KEY, lines="wrong\n").failed(1, "secret is another", "hint: Nothing is kept")
    login(env, "s3://bucket-name", "--api", "nobody", lines=f"{SECRET}\n").failed(1, "hint: Nothing is kept")
    login(env, "s3://no-such-bucket", "--user", KEY, lines=f"{SECRET}\n").failed(1, "no such bucket")
    login(env, nas.address(), "--user", USER, lines="wrong\n").failed(1, "does not take this user")
    login(env, nas.address(), "--user", USER, lines="").failed(1, "No password was given")
    login(env, "s3://bucket-name", lines=f"{KEY}\n").failed(1, "No secret was given")
    assert not kept(env).exists()
    login(env, "s3://bucket-name", "--user", KEY, "--no-check", lines="wrong\n").ok()
    env.au("data", "add", "s3://bucket-name/dataset.csv").failed(1, "secret is another")
    # The right one takes its place.
    login(env, "s3://bucket-name", "--user", KEY, lines=f"{SECRET}\n").ok()
    env.au("data", "add", "s3://bucket-name/dataset.csv").ok()


def test_an_object_that_may_be_read_where_nothing_may_be_listed(env: AuEnv, cloud: Buckets) -> None:
    login(env, "s3://bucket-name/dataset.csv", "--user", KEY, lines=f"{SECRET}\n").ok()
    env.au("data", "add", "s3://bucket-name/dataset.csv").ok()


def test_the_environment_counts_more(env: AuEnv, cloud: Buckets) -> None:
    login(env, "s3://bucket-name", "--user", "nobody", "--no-check", lines="wrong\n").ok()
    env.au("data", "add", "s3://bucket-name/dataset.csv").failed(1)
    env.au("data", "add", "s3://bucket-name/dataset.csv", env=cloud.environment).ok()


def test_a_helper_of_git_keeps_it_where_there_is_one(env: AuEnv, nas: Shelves) -> None:
    store = env.root / "home/helper store"
    env.git("config", "credential.helper", f"store --file='{store}'")
    out = login(env, nas.address(), "--user", USER, lines=f"{PASSWORD}\n").ok()
    assert "git's credential helper" in out.stdout and not out.stderr
    assert PASSWORD in store.read_text() and not kept(env).exists()
    env.au("data", "add", nas.address("dataset.csv")).ok()
    env.au("data", "logout", nas.address()).ok()
    assert PASSWORD not in store.read_text()
    env.au("data", "add", nas.address("dataset.csv")).failed(1, "hint: ")


def test_a_data_remote_and_scripts(env: AuEnv, cloud: Buckets) -> None:
    env.au("data", "remote", "add", "cloud", "s3://bucket-name/share").ok()
    login(env, "clod", lines="x\ny\n").failed(2, "No data remote is called `clod`", "au data remote ls")
    login(env, "cloud", "--user", KEY, lines=f"{SECRET}\n").ok()
    env.write("table.csv", "a,b\n")
    env.au("data", "add", "table.csv").ok()
    env.au("data", "push").ok()
    (env.project / "table.csv").unlink()
    for file in (env.project / ".git/aurum/store").rglob("*"):
        if file.is_file():
            file.unlink()
    script = env.script("import aurum as au\nprint(open(au.dataset('table.csv')).read())")
    assert "a,b" in env.python(script).ok().stdout
    assert not project_holds(env, KEY, SECRET)


def test_ftp_with_a_user_in_the_address(env: AuEnv, nas: Shelves) -> None:
    address = nas.address("", f"{USER}@")
    login(env, nas.address("", f"{USER}:{PASSWORD}@"), lines="x\n").failed(2, "holds a password")
    login(env, address, "--user", "somebody", lines="x\n").failed(2, "--user")
    login(env, address, lines=f"{PASSWORD}\n").ok()
    env.au("data", "add", nas.address("dataset.csv", f"{USER}@")).ok()
    env.au("data", "logout", address).ok()
    env.au("data", "add", nas.address("dataset.csv", f"{USER}@")).failed(1)


def test_a_password_outlives_a_server_that_is_full(env: AuEnv, nas: Shelves) -> None:
    login(env, nas.address(), "--user", USER, lines=f"{PASSWORD}\n").ok()
    nas.answers["PASS"] = "530 Too many users."
    env.au("data", "add", nas.address("dataset.csv")).failed(1)
    nas.answers.clear()
    env.au("data", "add", nas.address("dataset.csv")).ok()


def test_helpers_that_answer_for_whatever_server(env: AuEnv, cloud: Buckets, nas: Shelves) -> None:
    """As in continuous integration, where a token opens one server and is told of all."""
    env.git("config", "credential.helper", "!echo username=x-token; echo password=$(date +%N); true")
    cloud.public.add("bucket-name")
    env.au("data", "add", "s3://bucket-name/dataset.csv", "--name", "public").ok()
    cloud.public.clear()
    assert str(kept(env)) in login(env, "s3://bucket-name", "--user", KEY, lines=f"{SECRET}\n").ok().stdout
    env.au("data", "add", "s3://bucket-name/dataset.csv").ok()
    assert str(kept(env)) in login(env, nas.address(), "--user", USER, lines=f"{PASSWORD}\n").ok().stdout
    env.au("data", "status").ok()
    env.au("data", "add", nas.address("dataset.csv")).ok()
    env.au("data", "logout", nas.address()).failed(1, "goes on to answer")
    env.au("data", "logout", "s3://bucket-name").ok()
    assert PASSWORD not in kept(env).read_text() and SECRET not in kept(env).read_text()


def test_outside_of_a_project(bare: AuEnv) -> None:
    with shelves(bare.root / "served/files") as nas:
        login(bare, nas.address(), "--user", USER, lines=f"{PASSWORD}\n").ok()
        bare.au("data", "logout", nas.address()).ok()
    login(bare, "cloud", lines="x\n").failed(1, "au init")


@pytest.fixture
def site() -> Iterator[str]:
    server = Server({"/": Answer(b"index\n"), "/dataset.csv": Answer(b"1,2\n")})
    server.login = f"{USER}:{PASSWORD}"
    with running(server):
        yield server.address


def test_http(env: AuEnv, site: str) -> None:
    env.au("data", "add", f"{site}/dataset.csv").failed(1, "401")
    login(env, site, "--user", USER, lines="wrong\n").failed(1, "does not take this user", "Nothing is kept")
    login(env, site, "--user", USER, lines=f"{PASSWORD}\n").ok()
    env.au("data", "add", f"{site}/dataset.csv").ok()
    assert not project_holds(env, PASSWORD)
    env.au("data", "logout", site).ok()
    env.au("data", "add", f"{site}/dataset.csv").failed(1, "401")


def test_a_site_that_anybody_may_read_tells_nothing(env: AuEnv) -> None:
    server = Server({"/": Answer(b"index\n")})
    with running(server):
        login(env, server.address, "--user", USER, lines="wrong\n").failed(1, "lets anybody in", "--no-check")


def test_a_terminal_is_asked_without_showing_the_secret(env: AuEnv, nas: Shelves) -> None:
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.chdir(env.project)
            os.execvpe("au", ["au", "data", "login", nas.address()], env.environment)
        finally:
            os._exit(127)
    deadline = time.monotonic() + 60
    seen = b""

    def wait_for(words: bytes) -> None:
        nonlocal seen
        while words not in seen:
            assert time.monotonic() < deadline, seen
            seen += os.read(terminal, 1024)

    wait_for(b"User for")
    os.write(terminal, f"{USER}\n".encode())
    wait_for(b"Password for")
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(terminal, f"{PASSWORD}\n".encode())
    wait_for(b"is open from now on")
    try:
        while more := os.read(terminal, 1024):
            seen += more
    except OSError:
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert PASSWORD.encode() not in seen and USER.encode() in seen
    assert PASSWORD in kept(env).read_text()


def test_what_is_no_server(env: AuEnv) -> None:
    for server in ("file:///mnt/share", "gopher://x"):
        login(env, server, lines="a\nb\n").failed(2, "is no server", "hint: ")
    env.au("data", "logout", "file:///mnt/share").failed(2, "is no server")
    login(env, "s3://", "--user", "a", lines="b\n").failed(1, "names no bucket")


def test_where_it_can_not_be_kept(env: AuEnv, cloud: Buckets) -> None:
    (env.root / "home/.config").write_text("in the way")
    out = login(env, "s3://bucket-name", "--user", KEY, lines=f"{SECRET}\n").failed(1, "error: ", ".config")
    assert "open from now on" not in out.stdout
