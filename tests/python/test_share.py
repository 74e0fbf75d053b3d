"""Experiments between clones: by a path, over HTTP and by git's own server; models and data by a folder; what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import AuEnv, small_disk
from servers import LOOPBACK, running

SCRIPT = "au.register_metric(accuracy=0.9)\n"
MODEL = "au.save_model(b'weights')\nau.register_metric(accuracy=0.9)\n"
ID = "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6"


class Lab:
    """A bare repository, and clones of it."""

    def __init__(self, env: AuEnv) -> None:
        self.root = env.root
        self.hub = env.root / "hub.git"
        env.git("init", "--quiet", "--bare", self.hub)
        env.git("remote", "add", "origin", self.hub)
        env.git("push", "--quiet", "origin", "main")
        self.first = env

    def clone(self, name: str, url: str | Path | None = None) -> AuEnv:
        project = self.root / name
        env = AuEnv(self.root, project)
        env.git("clone", "--quiet", url or self.hub, ".")
        return env

    def refs(self) -> list[str]:
        out = subprocess.check_output(["git", "-C", self.hub, "for-each-ref", "--format=%(refname)"], text=True)
        return [name for name in out.split() if not name.startswith("refs/heads/")]

    def git(self, *arguments: str | Path) -> str:
        return self.first.run("git", "-C", self.hub, *arguments).ok().stdout.strip()

    def fsck(self, *clones: AuEnv) -> None:
        self.git("fsck", "--strict")
        for clone in clones:
            clone.git("fsck", "--strict")


@pytest.fixture
def lab(env: AuEnv) -> Lab:
    return Lab(env)


def record(env: AuEnv, text: str = SCRIPT) -> str:
    """Runs a script; the id of its experiment."""
    before = set(env.tags())
    env.script(text)
    env.python("src/experiment.py").ok()
    (tag,) = set(env.tags()) - before
    return tag.removeprefix("au/")


def remove(env: AuEnv, identifier: str) -> None:
    """What removing an experiment leaves, made with git alone."""
    line = '{"at":"2099-01-02T03:04:05.000Z","removed":true}'
    env.git("notes", "--ref=aurum", "append", "-m", line, f"au/{identifier}")
    env.git("tag", "--delete", f"au/{identifier}")


def test_two_clones_that_both_record_have_both_afterwards(lab: Lab) -> None:
    one, two = lab.first, lab.clone("two")
    one.git("tag", "v1")
    one.git("tag", "au/mine")
    a, b = record(one), record(two)
    assert one.au("push").ok().stdout == "sent 1 experiment to origin\n"
    assert two.au("push", "origin").ok().stdout == "sent 1 experiment to origin\n"
    assert lab.refs() == sorted([f"refs/tags/au/{a}", f"refs/tags/au/{b}"])
    assert one.au("pull").ok().stdout == "took in 1 experiment of origin\n"
    two.au("pull").ok()
    assert {row["id"] for row in one.rows()} == {row["id"] for row in two.rows()} == {a, b}
    assert one.au("push").ok().stdout == "origin has it all: 2 experiments\n"
    assert one.au("pull").ok().stdout == "origin has nothing that is not here\n"
    # git alone is enough to see them.
    plain = lab.clone("plain")
    assert {row["id"] for row in plain.rows()} == {a, b}
    lab.fsck(one, two, plain)


def test_two_clones_that_both_go_on_with_one_experiment_lose_neither(lab: Lab) -> None:
    one, two = lab.first, lab.clone("two")
    a = record(one, "au.start('long')\nau.log(loss=3.0)\n")
    one.au("push").ok()
    two.au("pull").ok()
    for env, loss in ((one, 2.0), (two, 1.0)):
        env.script(f"au.start(resume={a!r})\nau.log(loss={loss})\n")
        env.python("src/experiment.py").ok()
    assert one.au("push").ok().stdout == "moved 1 experiment that went on\n"
    theirs = one.git("rev-parse", f"au/{a}")
    for command in ("push", "pull"):
        two.au(command).failed(1, a[:8], theirs[:8], "hint: ")
        assert two.record(f"au/{a}")["metrics"]["loss"]["last"] == 1.0
    # Where it goes on from what the other has, it takes that one's place.
    one.script(f"au.start(resume={a!r})\nau.log(loss=0.5)\n")
    one.python("src/experiment.py").ok()
    assert one.au("push").ok().stdout == "moved 1 experiment that went on\n"
    three = lab.clone("three")
    three.au("pull").ok()
    assert three.record(f"au/{a}")["metrics"] == one.record(f"au/{a}")["metrics"]
    lab.fsck(one, two, three)


def test_only_what_is_named_is_sent(lab: Lab) -> None:
    one = lab.first
    a, b = record(one), record(one)
    one.au("push", a[:8]).ok()
    assert lab.refs() == [f"refs/tags/au/{a}"]
    one.au("push", "--remote", "origin", "@").ok()
    assert len(lab.refs()) == 2
    c = record(one, "au.register_metric(accuracy=0.1)\n")
    assert "sent 1 experiment" in one.au("push", "--where", "accuracy < 0.5 and status = finished").ok().stdout
    assert f"refs/tags/au/{c}" in lab.refs()
    one.au("push", "--where", "accuracy <").failed(2)
    one.au("push", "beef").failed(1, "No experiment matches `beef`", "There is no remote `beef` either")
    one.au("push", "orign").failed(1, "Did you mean the remote `origin`?")
    one.au("push", "--remote", "lab").failed(2, "There is no remote named `lab`", "There is `origin`")
    one.git("remote", "rename", "origin", "a")
    one.git("remote", "add", "b", lab.hub)
    one.au("push").failed(2, "It is not clear which remote is meant: `a`, `b`", "Name one: `au push a`")
    one.git("config", "branch.main.remote", "b")
    assert one.au("push").ok().stdout == "b has it all: 3 experiments\n"
    assert b


def test_removals_and_archives_reach_every_clone(lab: Lab) -> None:
    one, two = lab.first, lab.clone("two")
    a, b, c = record(one), record(one), record(one)
    one.au("push").ok()
    two.au("pull").ok()
    remove(one, a)
    fold(one, b)
    out = one.au("push").ok().stdout
    assert "sent 1 archive\n" in out and "took away 2 tags" in out and "sent notes\n" in out
    assert [name for name in lab.refs() if name.startswith("refs/tags")] == [f"refs/tags/au/{c}"]
    # Who does not know yet brings nothing back.
    two.au("push").ok()
    assert [name for name in lab.refs() if name.startswith("refs/tags")] == [f"refs/tags/au/{c}"]
    out = two.au("pull").ok().stdout
    assert "removed 1 experiment" in out and "took in 1 archive" in out
    assert {row["id"] for row in two.rows()} == {row["id"] for row in one.rows()} == {b, c}
    assert two.tags() == [f"au/{c}"]
    assert two.git("rev-parse", f"refs/aurum/trash/{a}")
    assert not two.git("for-each-ref", "refs/aurum/incoming", "refs/notes/aurum-merging*")
    # Notes of both sides meet.
    two.git("notes", "--ref=aurum", "append", "-m", '{"at":"2026-01-02T03:04:05.000Z","x":1}', f"au/{c}")
    one.git("notes", "--ref=aurum", "append", "-m", '{"at":"2026-01-02T03:04:06.000Z","y":1}', f"au/{c}")
    for clone in (one, two, one):
        clone.au("push").ok()
    for clone in (one, two):
        clone.au("pull").ok()
        said = clone.git("notes", "--ref=aurum", "show", f"au/{c}")
        assert '"x":1' in said and '"y":1' in said
    lab.fsck(one, two)


def test_an_archive_that_is_taken_apart_is_so_in_every_clone(lab: Lab) -> None:
    one, two = lab.first, lab.clone("two")
    a, b = record(one), record(one)
    one.au("archive").ok()
    sent = json.loads(one.au("push", "--json").ok().stdout)
    assert (sent["archives"], sent["experiments"], sent["notes"]) == (1, 0, False)
    assert sent["data"] is None, "there are no models"
    came = json.loads(two.au("pull", "--json").ok().stdout)
    assert (came["archives"], came["experiments"]) == (1, 2)
    one.au("archive", "--undo").ok()
    one.au("push").ok()
    tags = {f"refs/tags/au/{a}", f"refs/tags/au/{b}"}
    assert {name for name in lab.refs() if name.startswith(("refs/tags", "refs/aurum"))} == tags
    # Who does not know yet brings it back to nobody.
    two.au("push").ok()
    three = lab.clone("three")
    three.au("pull").ok()
    for clone in (two, three, one):
        clone.au("pull").ok()
        assert clone.git("for-each-ref", "refs/aurum/archive") == ""
        assert {row["id"] for row in clone.rows()} == {a, b} and len(clone.tags()) == 2
    # Folded once more it is the same archive, and one again everywhere.
    two.au("archive").ok()
    two.au("push").ok()
    for clone in (one, three):
        clone.au("pull").ok()
        assert clone.tags() == [] and {row["id"] for row in clone.rows()} == {a, b}
    lab.fsck(one, two, three)


def fold(env: AuEnv, *ids: str) -> str:
    """An archive as it is documented, made with git alone."""
    import hashlib

    members = {identifier: env.git("rev-parse", f"au/{identifier}") for identifier in sorted(ids)}
    text = "".join(f"{identifier} {commit}\n" for identifier, commit in members.items())
    name = f"refs/aurum/archive/2026-11-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    archive(env, name, text, list(members.values()))
    for identifier in ids:
        env.git("tag", "--delete", f"au/{identifier}")
    return name


def archive(env: AuEnv, name: str, text: str, parents: list[str], repository: Path | None = None) -> None:
    place = ["-C", str(repository)] if repository else []
    (env.root / "list").write_bytes(text.encode())
    blob = env.git(*place, "hash-object", "-w", str(env.root / "list"))
    tree = subprocess.run(
        ["git", *place, "mktree"],
        input=f"100644 blob {blob}\texperiments\n",
        cwd=env.project,
        env=env.environment,
        text=True,
        check=True,
        capture_output=True,
    ).stdout.strip()
    commit = env.git(*place, "commit-tree", tree, "-m", "archive", *[word for parent in parents for word in ("-p", parent)])
    env.git(*place, "update-ref", name, commit)


class Backend(BaseHTTPRequestHandler):
    """git's own CGI program behind a server, with a password if there is one."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        if self.server.password and self.headers.get("Authorization") != f"Basic {self.server.password}":
            self.respond(401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")
            return
        if self.server.status:
            self.respond(self.server.status, {}, b"no\n")
            return
        path, _, query = self.path.partition("?")
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": LOOPBACK,
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.respond(int(headers.pop("Status", "200 OK").split()[0]), headers, content)

    do_POST = do_GET

    def respond(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


@contextmanager
def served(folder: Path, password: str = "", status: int = 0) -> Iterator[str]:
    server: Any = ThreadingHTTPServer((LOOPBACK, 0), Backend)
    server.daemon_threads = True
    server.folder, server.password, server.status = folder, password, status
    with running(server):
        yield f"http://{LOOPBACK}:{server.server_port}"


@contextmanager
def daemon(folder: Path, env: AuEnv) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    options = [f"--listen={LOOPBACK}", f"--port={port}", "--reuseaddr", "--export-all", "--enable=receive-pack"]
    command = ["git", "daemon", *options, f"--base-path={folder}", str(folder)]
    server = subprocess.Popen(command, env=env.environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex((LOOPBACK, port)) == 0:
                    break
            time.sleep(0.05)
        yield f"git://{LOOPBACK}:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


@pytest.mark.parametrize("transport", ["path", "file", "http", "daemon"])
def test_every_transport_of_git(lab: Lab, transport: str) -> None:
    one = lab.first
    record(one)
    remove(one, record(one))
    fold(one, record(one))
    with served(lab.root) as http, daemon(lab.root, one) as git:
        address = {"path": "", "file": "file://", "http": http, "daemon": git}[transport]
        url = f"{address}/hub.git" if transport in ("http", "daemon") else f"{address}{lab.hub}"
        out = one.au("push", url).ok()
        assert "sent 1 experiment to" in out.stdout and "sent 1 archive" in out.stdout
        two = lab.clone("two", url)
        two.au("pull").ok()
        assert [row["id"] for row in two.rows()] == [row["id"] for row in one.rows()]
        assert "has it all: 2 experiments" in two.au("push", "origin").ok().stdout
    lab.fsck(one, two)


def test_a_thousand_go_at_once(lab: Lab) -> None:
    one, two = lab.first, lab.clone("two")
    commit = one.git("rev-parse", f"au/{record(one)}")
    names = [f"{number:08x}-1f1a-4929-b036-7b0a5399b0c6" for number in range(1000)]
    update = "".join(f"create refs/tags/au/{name} {commit}\n" for name in names)
    subprocess.run(["git", "update-ref", "--stdin"], input=update, cwd=one.project, env=one.environment, text=True, check=True)
    one.git("tag", "au/mine")
    assert one.au("push").ok().stdout == "sent 1001 experiments to origin\n"
    assert len(lab.refs()) == 1001
    lab.git("update-ref", "refs/tags/au/odd", commit)
    two.git("config", "fetch.prune", "true")
    two.git("config", "fetch.pruneTags", "true")
    mine = record(two)
    assert two.au("pull").ok().stdout == "took in 1001 experiments of origin\n"
    tags = two.tags()
    assert len(tags) == 1002 and f"au/{mine}" in tags and "au/odd" not in tags


def test_models_and_data_go_along_where_a_data_remote_is_set(lab: Lab) -> None:
    one, two = lab.first, lab.clone("two")
    for number in range(20):
        one.write(f"images/{number}.txt", f"image {number}")
    one.au("data", "add", "images").ok()
    record(one, MODEL + "au.use_datasets('images')\n")
    pushed = one.au("push").ok()
    assert "22 objects of models and data, 2.6 KiB, stay" in pushed.stderr
    assert "hint: Say where they may go: `au data remote add NAME file:///PATH`" in pushed.stderr
    share = lab.root / "a share"
    share.mkdir()
    url = f"file://{str(share).replace(' ', '%20')}"
    for clone in (one, two):
        clone.au("data", "remote", "add", "share", url).ok()
    assert one.au("data", "remote", "ls").ok().stdout == f"* share  {url}\n"
    assert "sent 22 objects of models and data" in one.au("push").ok().stdout
    assert one.au("push").ok().stdout == "origin has it all: 1 experiment\n"
    objects = [path for path in share.rglob("*") if path.is_file()]
    assert len(objects) == 22 and all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in objects)
    two.au("pull", "--no-data").ok()
    assert not (two.project / ".git/aurum/store/sha256").exists()
    assert "brought 22 objects of models and data" in two.au("pull").ok().stdout
    assert two.python("-c", "import aurum as au; print(au.load_model(experiment='@'))").ok().stdout == "b'weights'\n"
    two.au("load", "@").ok()
    assert (two.project / "images/7.txt").read_text() == "image 7"
    # One is lost there, and one is not what it says.
    two.au("data", "remote", "rm", "share").ok()
    assert two.au("data", "remote", "ls").ok().stdout == ""
    three = lab.clone("three")
    three.au("data", "remote", "add", "share", url).ok()
    lies = next(path for path in objects if path.read_bytes().startswith(b"image"))
    lies.unlink()
    lies.write_text("something")
    three.au("pull").failed(1, "is damaged: it is not what its name says")
    assert [row["id"] for row in three.rows()] == [row["id"] for row in one.rows()]


def test_data_remotes_that_fail_are_told_and_experiments_go_all_the_same(lab: Lab) -> None:
    one = lab.first
    a = record(one, MODEL)
    one.au("data", "remote", "add", "share", "https://example.org/a").failed(1, "can't be a data remote", "hint: ")
    one.au("data", "remote", "add", "share", f"file://{lab.root}/gone").ok()
    one.au("push").failed(1, "is not there: it has to be mounted")
    assert lab.refs() == [f"refs/tags/au/{a}"]
    (lab.root / "gone").write_text("")
    one.au("push").failed(1, "is not a folder")
    one.au("data", "remote", "rm", "share").ok()
    with small_disk(lab.root / "small", "64k"):
        one.au("data", "remote", "add", "share", f"file://{lab.root}/small").ok()
        record(one, "import os\nau.save_model(os.urandom(1 << 20))\n")
        one.au("push").failed(1, "No space left", "hint: Free some space, then try again")
        assert not [path for path in (lab.root / "small").rglob("*") if path.is_file()]


def test_a_remote_that_fails_is_told_in_words(lab: Lab) -> None:
    one = lab.first
    record(one)
    with served(lab.root, password="eDp5") as url:
        one.au("push", f"{url}/hub.git").failed(1, "does not know you", "Nobody is asked for a password")
        two = f"{url.replace('http://', 'http://ann:hunter2@')}/hub.git"
        answer = one.au("push", two).failed(1, "does not know you")
        assert "hunter2" not in answer.stderr + answer.stdout
    with served(lab.root, status=403) as url:
        one.au("push", f"{url}/hub.git").failed(1, "can't be written")
    with served(lab.root) as url:
        one.au("push", f"{url}/none.git").failed(1, "There is no repository at the remote")
    one.au("push", f"{url}/hub.git").failed(1, "can't be reached", "what has arrived is kept")
    one.au("push", lab.root / "none").failed(1, "There is no repository at the remote")
    one.au("pull", "ext::sh -c true").failed(1)
    one.au("pull", "--", "--upload-pack=x").failed(2)
    assert lab.refs() == []


def test_ssh_never_waits_for_somebody_who_is_not_there(lab: Lab) -> None:
    one = lab.first
    record(one)
    program = one.write("bin/ssh", '#!/bin/sh\necho "$@" >> "$LOG"\necho "Host key verification failed." >&2\nexit 255\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{one.environment['PATH']}"
    log = lab.root / "log"
    one.au("push", "git@example.org:a.git", env={"PATH": path, "LOG": str(log)}).failed(1, "is not known here, or is another")
    assert "BatchMode=yes" in log.read_text()
    log.unlink()
    own = {"PATH": path, "LOG": str(log), "GIT_SSH_COMMAND": "ssh -o Mine=yes"}
    one.au("push", "git@example.org:a.git", env=own).failed(1)
    assert "BatchMode" not in log.read_text() and "Mine=yes" in log.read_text()


def test_what_a_hook_or_a_setting_there_refuses_is_told_and_the_rest_is_there(lab: Lab) -> None:
    one = lab.first
    a, b = record(one), record(one)
    hook = lab.hub / "hooks/update"
    hook.write_text(f'#!/bin/sh\ncase "$1" in *{a}) echo "tags of a are frozen"; exit 1;; esac\n')
    hook.chmod(0o755)
    answer = one.au("push").failed(1, "does not take the tag", "tags of a are frozen", "ask who looks after it")
    assert answer.stdout == "sent 1 experiment to origin\n"
    assert lab.refs() == [f"refs/tags/au/{b}"]
    hook.unlink()
    one.au("push").ok()
    hook.write_text('#!/bin/sh\ncase "$3" in *[1-9a-f]*) ;; *) exit 1;; esac\n')
    hook.chmod(0o755)
    remove(one, a)
    one.au("push").failed(1, "does not take the tag", "hook declined")
    hook.unlink()
    assert "took away 1 tag" in one.au("push").ok().stdout
    pre = lab.hub / "hooks/pre-receive"
    pre.write_text("#!/bin/sh\nprintf 'no \\033[2J more\\n' >&2\nexit 1\n")
    pre.chmod(0o755)
    record(one)
    answer = one.au("push").failed(1, "pre-receive hook declined")
    assert "\x1b" not in answer.stderr


def test_a_push_that_is_killed_goes_on_where_it_was(lab: Lab) -> None:
    one = lab.first
    for _ in range(3):
        record(one)
    hook = lab.hub / "hooks/update"
    hook.write_text("#!/bin/sh\nsleep 0.4\n")
    hook.chmod(0o755)
    process = one.start("au", "push")
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode != 0
    # git's own children end by themselves once nobody listens.
    for _ in range(100):
        if not subprocess.run(["pgrep", "-f", f"receive-pack.*{lab.hub}"], capture_output=True).stdout:
            break
        time.sleep(0.1)
    hook.unlink()
    one.au("push").ok()
    assert len(lab.refs()) == 3
    lab.fsck(one)


def test_a_run_that_went_on_in_two_clones_is_both_kept(lab: Lab) -> None:
    one, two = lab.first, lab.clone("two")
    a = record(one)
    one.au("push").ok()
    two.au("pull").ok()
    for clone in (one, two):
        later = clone.git("commit-tree", f"au/{a}^{{tree}}", "-p", f"au/{a}", "-m", clone.project.name)
        clone.git("tag", "--force", f"au/{a}", later)
    assert "moved 1 experiment that went on" in one.au("push").ok().stdout
    theirs = two.git("rev-parse", f"au/{a}")
    two.au("push").failed(1, "and neither goes on from the other; both stay")
    two.au("pull").failed(1, f"git fetch origin refs/tags/au/{a}")
    assert two.git("rev-parse", f"au/{a}") == theirs
    assert lab.git("rev-parse", f"refs/tags/au/{a}") == one.git("rev-parse", f"au/{a}")
    three = lab.clone("three")
    assert [row["id"] for row in three.rows()] == [a]


def test_a_hostile_remote_does_no_harm(lab: Lab) -> None:
    one, two = lab.first, lab.clone("two")
    a = record(one)
    one.au("push").ok()
    evil = lab.git("-c", "user.name=E", "-c", "user.email=e", "commit-tree", "main^{tree}", "-m", "evil")
    mine = record(two)
    # Names that are no ids, an id in another spelling, a tag on what is no commit.
    blob = subprocess.run(
        ["git", "-C", lab.hub, "hash-object", "-w", "--stdin"], input=b"x", capture_output=True, check=True
    ).stdout.decode().strip()
    lab.git("update-ref", f"refs/tags/au/{ID}", blob)
    names = ["-x", f"{ID.upper()}", "a'b", "$(touch evil)", "\u202ehidden", "x/y/z"]
    packed = lab.hub / "packed-refs"
    packed.write_text("".join(f"{evil} refs/tags/au/{name}\n" for name in names))
    # An archive that says that an experiment of mine is another commit, and ones that are none.
    import hashlib

    def named(text: str) -> str:
        return f"refs/aurum/archive/2026-11-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    text = f"{mine} {evil}\n"
    archive(one, named(text), text, [evil], lab.hub)
    text = f"{ID} {'0' * 40}\n"
    archive(one, named(text), text, [evil], lab.hub)
    archive(one, "refs/aurum/archive/2026-10-0123456789abcdef", f"{ID} {evil}\n", [evil], lab.hub)
    archive(one, "refs/aurum/archive/rubbish", "x\n", [evil], lab.hub)
    # A note of megabytes.
    big = lab.root / "big"
    big.write_text('{"at":"2099-01-01T00:00:00.000Z","removed":true}\n' * 120_000)
    lab.git("notes", "--ref=aurum", "add", "-F", big, f"refs/tags/au/{a}")

    answer = two.au("pull").failed(1, "is left out", "The notes of the remote `origin` can't be taken in", "both stay")
    assert "\u202e" not in answer.stderr
    rows = {row["id"] for row in two.rows()}
    assert rows == {a, mine}
    assert two.git("for-each-ref", "--format=%(refname)", "refs/aurum/archive", "refs/aurum/incoming", "refs/notes") == ""
    assert {tag.removeprefix("au/") for tag in two.tags()} == {a, mine}
    assert not (two.project / "evil").exists()
    assert two.record(f"au/{mine}")["id"] == mine
    # Nor can it be pushed to while what it says can't be read.
    two.au("push").failed(1, "The notes of the remote `origin` can't be taken in")


def test_notes_that_hold_each_other_do_not_fill_the_memory(lab: Lab) -> None:
    one = lab.first
    a = record(one)
    one.au("push").ok()
    tree = lab.git("hash-object", "-w", "-t", "tree", "/dev/null")
    for _ in range(6):
        entries = "".join(f"040000 tree {tree}\t{byte:02x}\n" for byte in range(256))
        done = subprocess.run(["git", "-C", lab.hub, "mktree"], input=entries, text=True, capture_output=True, check=True)
        tree = done.stdout.strip()
    commit = one.run("git", "-C", lab.hub, "commit-tree", tree, "-m", "x").ok().stdout.strip()
    lab.git("update-ref", "refs/notes/aurum", commit)
    one.au("pull").failed(1, "The notes of the remote `origin` can't be taken in", "more notes than")
    assert [row["id"] for row in one.rows()] == [a]


def test_shallow_and_partial_clones_share_too(lab: Lab) -> None:
    one = lab.first
    one.write("b", "1")
    one.git("add", "b")
    one.git("commit", "--quiet", "-m", "second")
    one.git("push", "--quiet", "origin", "main")
    a = record(one)
    one.au("push").ok()
    lab.git("config", "uploadpack.allowFilter", "true")
    url = f"file://{lab.hub}"
    shallow, partial = AuEnv(lab.root, lab.root / "shallow"), AuEnv(lab.root, lab.root / "partial")
    shallow.git("clone", "--quiet", "--depth=1", url, ".")
    partial.git("clone", "--quiet", "--filter=blob:none", url, ".")
    made = set()
    for clone in (shallow, partial):
        clone.au("pull").ok()
        made.add(record(clone))
        clone.au("push").ok()
    one.au("pull").ok()
    assert {row["id"] for row in one.rows()} == {a} | made
    # From a shallow repository, what it has can be had; the rest is told.
    two = lab.clone("two")
    shutil.rmtree(lab.root / "shallow/.git/aurum", ignore_errors=True)
    two.au("pull", shallow.project).ok()
    assert {row["id"] for row in two.rows()} >= made


def test_a_remote_on_a_full_disk_is_told(lab: Lab) -> None:
    one = lab.first
    with small_disk(lab.root / "small", "1m"):
        one.git("init", "--quiet", "--bare", lab.root / "small/hub.git")
        one.write("big", os.urandom(3_000_000).hex())
        record(one)
        one.au("push", lab.root / "small/hub.git").failed(1)
