"""`au data add https://…`, from a real server."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import AuEnv
from data_state import check_store, described, descriptions, git_state, listed, status, working_tree
from servers import Answer, Server, running


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


def test_a_download_that_was_cut_short_is_gone_on_with_by_the_next_call(env: AuEnv, web: Server) -> None:
    whole = Answer(os.urandom(200_000))
    headers: dict[str, str | None] = {"Content-Length": "200000", "ETag": whole.entity_tag, "Connection": "close"}
    cut = Answer(whole.content[:70_000], headers=headers)
    killed = threading.Event()

    class Stuck(dict[str, Answer]):
        def get(self, path: str, default: Any = None) -> Any:
            """Nothing, from the second time on."""
            if len(web.asked) > 1:
                killed.wait(60)
            return super().get(path, default)

    web.answers = Stuck({"/x.bin": cut})
    process = env.start("au", "data", "add", f"{web.address}/x.bin")
    while len(web.asked) < 2:
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    killed.set()
    assert not (env.project / "x.bin").exists() and descriptions(env) == []
    web.answers = {"/x.bin": whole}
    web.asked.clear()
    env.au("data", "add", f"{web.address}/x.bin").ok()
    assert (env.project / "x.bin").read_bytes() == whole.content
    assert [request.headers.get("range") for request in web.asked] == ["bytes=70000-"]
    # Of another version nothing is used.
    web.answers["/y.bin"] = cut
    env.au("data", "add", f"{web.address}/y.bin").failed(1, "broke off")
    web.answers["/y.bin"] = Answer(b"short\n")
    env.au("data", "add", f"{web.address}/y.bin").ok()
    assert (env.project / "y.bin").read_bytes() == b"short\n"


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


@pytest.mark.parametrize("before", [None, "a.csv"])
def test_what_is_made_during_a_download_is_not_overwritten(env: AuEnv, web: Server, before: str | None) -> None:
    if before is not None:
        env.au("data", "add", f"{web.address}/a.csv").ok()
    body = web.answers["/a.csv"]
    # It comes slowly: the server sends nothing until the user has written his file.
    written = threading.Event()

    web.before_body = written.wait
    web.answers["/a.csv"] = Answer(body.content + b"more\n")
    asked = len(web.asked)
    process = env.start("au", "data", "add", f"{web.address}/a.csv")
    while len(web.asked) == asked:
        assert process.poll() is None, process.communicate()
    env.write("a.csv", "hours of work\n")
    written.set()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and "meanwhile" in stderr
    assert (env.project / "a.csv").read_text() == "hours of work\n"



def test_a_server_that_wants_to_know_who_asks(env: AuEnv, web: Server) -> None:
    env.git("config", "credential.helper", "!echo username=ada; echo password=hunter2hunter2; true")
    web.login = "ada:hunter2hunter2"
    env.au("data", "add", f"{web.address}/a.csv").ok()
    assert status(env)["a.csv"]["remote"] == "unchanged"
    web.login = "ada:another"
    env.au("data", "add", f"{web.address}/a.csv").failed(1, "401", "hint: ")
    env.git("config", "--unset", "credential.helper")
    env.au("data", "add", f"{web.address}/a.csv").failed(1, "401", "hint: ")
    # What it would be asked of at a terminal is asked of nobody.
    program = env.write("askpass", "#!/bin/sh\ntouch asked\necho x\n")
    program.chmod(0o755)
    env.au("data", "add", f"{web.address}/a.csv", env={"GIT_ASKPASS": str(program), "SSH_ASKPASS": str(program)}).failed(1, "401")
    assert not (env.project / "asked").exists()
