"""What a script reads through fsspec, unmodified from PyPI."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import AuEnv, needs

needs("fsspec")

DATA = b"a,b\n1,2\n3,4\n" * 1000
FIRST = {"aurum": "import aurum as au\nimport fsspec\n", "fsspec": "import fsspec\nimport fsspec.implementations.memory\nimport aurum as au\n"}

#: Ways to read all of `URL` by the file system `fs`, where it is `PATH`; each leaves `got`.
READ_ALL = {
    "fsspec.open": "with fsspec.open(URL) as file:\n    got = file.read()",
    "fsspec.open as text": "with fsspec.open(URL, 'rt') as file:\n    got = file.read().encode()",
    "fsspec.open by lines": "with fsspec.open(URL, 'rb') as file:\n    got = b''.join(file)",
    "fs.open": "with fs.open(PATH) as file:\n    got = b''.join(iter(lambda: file.read(1000), b''))",
    "fs.open as text": "with fs.open(PATH, 'r') as file:\n    got = ''.join(file).encode()",
    "fs.cat": "got = fs.cat(PATH)",
    "fs.cat of several": "got = fs.cat([PATH])\ngot = next(iter(got.values()))",
    "fs.cat_file": "got = fs.cat_file(PATH)",
    "fs.read_bytes": "got = fs.read_bytes(PATH)",
    "fs.read_text": "got = fs.read_text(PATH).encode()",
    "fs.get": "fs.get(PATH, 'fetched')\ngot = open('fetched', 'rb').read()",
    "pandas": "import pandas\nassert [*pandas.read_csv(URL)] == ['a', 'b']\ngot = DATA",
    "twice": "got = fs.cat(PATH)\ngot = fs.cat(PATH)",
}
READ_PART = {
    "fsspec.open": "with fsspec.open(URL) as file:\n    file.read(10)",
    "fs.cat_file": "fs.cat_file(PATH, start=1, end=5)",
    "fs.head": "fs.head(PATH, 7)",
}


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def url(env: AuEnv, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the data is; `PATH` of the script is made of it."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "table.csv").write_bytes(DATA)
    match request.param:
        case "http":
            needs("aiohttp")
            with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                try:
                    yield f"http://127.0.0.1:{server.server_port}/table.csv"
                finally:
                    server.shutdown()
                    thread.join()
        case "file":
            (env.project / "data").mkdir()
            (env.project / "data/table.csv").write_bytes(DATA)
            yield f"file://{env.project}/data/table.csv"
        case _:
            yield "memory://folder/table.csv"


def run(env: AuEnv, url: str, body: str, first: str = "aurum") -> list[dict[str, Any]]:
    head = FIRST[first] + f"DATA, URL = {DATA!r}, {url!r}\nfs, PATH = fsspec.url_to_fs(URL)\n"
    if url.startswith("memory:"):
        head += "fs.pipe(PATH, DATA)\n"
    env.write("src/experiment.py", head + body + "\nau.log(done=1)\n")
    out = env.python("src/experiment.py").ok()
    assert out.stderr == ""
    [tag] = env.tags()
    reads: list[dict[str, Any]] = env.record(tag).get("reads", [])
    return reads


def named(url: str) -> dict[str, Any]:
    storage = url.partition(":")[0]
    path = {"http": url, "file": "data/table.csv", "memory": "/folder/table.csv"}[storage]
    return {"through": "fsspec", "storage": storage, "path": path}


@pytest.mark.parametrize("url", ["memory", "file", "http"], indirect=True)
@pytest.mark.parametrize("way", READ_ALL)
def test_all_of_a_file_is_known_by_its_digest(env: AuEnv, url: str, way: str) -> None:
    reads = run(env, url, READ_ALL[way] + "\nassert got == DATA")
    digest = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    expected = [named(url) | {"size": len(DATA), "digest": digest}]
    # pandas has a way of its own to local files, and to servers.
    assert reads == ([] if way == "pandas" and not url.startswith("memory:") else expected)


@pytest.mark.parametrize("url", ["memory", "file", "http"], indirect=True)
@pytest.mark.parametrize("way", READ_PART)
def test_a_part_is_marked_as_one(env: AuEnv, url: str, way: str) -> None:
    [read] = run(env, url, READ_PART[way])
    size = read.pop("size", len(DATA))
    assert (read, size) == (named(url) | {"partial": True}, len(DATA))


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_a_file_system_that_was_there_before_is_watched(env: AuEnv, url: str) -> None:
    assert len(run(env, url, READ_ALL["fs.open"], "fsspec")) == 1


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_file_systems_of_the_script_are_watched_and_writing_is_not(env: AuEnv, url: str) -> None:
    body = """
from fsspec.implementations.memory import MemoryFileSystem

class Own(MemoryFileSystem):
    protocol = "own"
    def cat_file(self, path, start=None, end=None, **kwargs):
        return super().cat_file(path, start, end, **kwargs).upper()

with fs.open("/out", "wb") as file:
    file.write(b"written")
assert Own().cat_file("/out") == b"WRITTEN"
"""
    reads = run(env, url, body)
    assert [(read["storage"], read["path"]) for read in reads] == [("own", "/out")] * 2


@pytest.mark.parametrize("url", ["file"], indirect=True)
def test_paths_of_this_computer_and_passwords_are_left_out(env: AuEnv, url: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.csv").write_bytes(b"x")
    reads = run(
        env,
        url,
        f"""
fs.cat({str(tmp_path / "elsewhere.csv")!r})
from fsspec.implementations.memory import MemoryFileSystem
class Signed(MemoryFileSystem):
    protocol = "signed"
    @classmethod
    def _strip_protocol(cls, path):
        return path
Signed().store["signed://ada:hush@host/a?X-Amz-Signature=hush"] = MemoryFileSystem().store.setdefault("/a", None)
fsspec.filesystem("memory").pipe("/a", b"1")
Signed.store["signed://ada:hush@host/a?X-Amz-Signature=hush"] = fsspec.filesystem("memory").store["/a"]
Signed().cat_file("signed://ada:hush@host/a?X-Amz-Signature=hush")
""",
    )
    assert [read["path"] for read in reads] == ["elsewhere.csv", "signed://host/a?X-Amz-Signature=***"]


@pytest.mark.parametrize("url", ["file"], indirect=True)
def test_a_file_that_is_open_can_be_pickled(env: AuEnv, url: str) -> None:
    body = "import pickle\nfile = fs.open(PATH)\nfile.read(4)\nagain = pickle.loads(pickle.dumps(file))\nassert again.read() == DATA[4:]\nfile.close()\n"
    assert len(run(env, url, body)) == 1


def test_what_is_read_and_never_kept_is_not_missed(env: AuEnv) -> None:
    env.script("import fsspec\nfs = fsspec.filesystem('memory')\nfs.pipe('/a.csv', b'a,b')\nau.log(x=1)\nfs.cat('/a.csv')\n")
    env.python("src/experiment.py").ok()
    assert env.record(env.tags()[0])["reads"]
    env.au("verify", "--strict").ok()
