"""What a script reads through Catalysis, by a client of the same shape in `tests/catalysis`."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from conftest import AuEnv, Result

CLIENT = Path(__file__).parent.parent / "catalysis"
DATA = b"one\ntwo\nthree\n"

FIRST = {
    "aurum": "import aurum as au\nfrom catalysis.storage import StorageClient\n",
    "catalysis": "from catalysis.storage import StorageClient\nimport aurum as au\n",
    "inner": "from catalysis.storage.storage_client import StorageClient\nimport aurum as au\n",
    "used": "from catalysis.storage.storage_client import StorageClient\nclient = StorageClient('lab')\nimport aurum as au\n",
}
CREDENTIAL = {
    "name": "'lab'",
    "path": "CREDENTIALS + '/lab.json'",
    "Path": "pathlib.Path(CREDENTIALS + '/lab.json')",
    "dict": "json.loads(pathlib.Path(CREDENTIALS, 'lab.json').read_text())",
}

#: Ways to read all of a file, each of which leaves `got`.
READ_ALL = {
    "at once": "with client.open(PATH, 'rb') as file:\n    got = file.read()",
    "in pieces": "with client.open(PATH, 'rb') as file:\n    got = b''\n    while piece := file.read(4):\n        got += piece",
    "by lines": "with client.open(PATH, 'rb') as file:\n    got = b''.join(file)",
    "by readline": "file = client.open(PATH, 'rb')\ngot = b''.join(iter(file.readline, b''))\nfile.close()",
    "again from the start": "with client.open(PATH, 'rb') as file:\n    file.read(5)\n    file.seek(0)\n    got = file.read()",
    "the end first": "with client.open(PATH, 'rb') as file:\n    file.seek(4)\n    file.read()\n    file.seek(0)\n    got = file.read()",
    "awaiting": "async def read():\n    with client.open(PATH, 'rb') as file:\n        return await file.aread()\ngot = asyncio.run(read())",
    "awaiting at once": "async def read(file):\n    return await file.aread()\nwith client.open(PATH, 'rb') as file:\n"
    "    got = asyncio.run(read(file))",
    "not closed": "got = client.open(PATH, 'rb').read()",
    "twice": "for _ in range(2):\n    with client.open(path=PATH, mode='rb') as file:\n        got = file.read()",
}


@pytest.fixture
def storage(env: AuEnv, tmp_path: Path) -> Path:
    folder, credentials = tmp_path / "storage", tmp_path / "credentials"
    (folder / "sets").mkdir(parents=True)
    credentials.mkdir()
    (folder / "sets/data").write_bytes(DATA)
    lab = {"name": "lab", "secret": "hush", "folder": str(folder), "path": "cache"}
    (credentials / "lab.json").write_text(json.dumps(lab))
    (credentials / "all.json").write_text(json.dumps({"lab": lab}))
    env.environment |= {"PYTHONPATH": str(CLIENT), "CATALYSIS_CONFIG": str(credentials / "all.json"), "CREDENTIALS": str(credentials)}
    return folder


def run(env: AuEnv, body: str, first: str = "aurum", credential: str = "name") -> Result:
    head = FIRST[first] + "import asyncio, json, os, pathlib, pickle\nCREDENTIALS = os.environ['CREDENTIALS']\nPATH = 'sets/data'\n"
    if first != "used":
        head += f"client = StorageClient({CREDENTIAL[credential]})\n"
    env.write("src/experiment.py", head + body + "\nau.log(done=1)\n")
    return env.python("-W", "error", "-W", "ignore::ResourceWarning", "src/experiment.py").ok()


def reads(env: AuEnv) -> list[dict[str, Any]]:
    [tag] = env.tags()
    # Not the dict's either, of which the script may have printed nothing.
    assert "hush" not in env.git("show", tag, "--", ".au", "logs")
    found: list[dict[str, Any]] = env.record(tag).get("reads", [])
    return found


def whole(path: str = "sets/data", data: bytes = DATA) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"through": "catalysis", "storage": "lab", "path": path, "size": len(data), "digest": digest}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("credential", CREDENTIAL)
def test_what_is_read_is_in_the_record_whoever_is_imported_first(env: AuEnv, storage: Path, first: str, credential: str) -> None:
    if first == "used" and credential != "name":
        pytest.skip("its client is made before")
    out = run(env, READ_ALL["at once"] + "\nprint(got)", first, credential)
    assert (out.stdout, out.stderr) == (f"{DATA!r}\n", "")
    expected = whole()
    if first == "used":
        del expected["storage"]
    assert reads(env) == [expected]


@pytest.mark.parametrize("way", READ_ALL)
def test_all_of_a_file_is_known_by_its_digest(env: AuEnv, storage: Path, way: str) -> None:
    out = run(env, READ_ALL[way] + "\nprint(got)")
    assert (out.stdout, out.stderr) == (f"{DATA!r}\n", "")
    assert reads(env) == [whole()]


def test_a_pickle_is_all_of_its_file(env: AuEnv, storage: Path) -> None:
    value = {"rows": list(range(5000)), "name": "x" * 70_000}
    data = pickle.dumps(value)
    (storage / "model.pkl").write_bytes(data)
    run(env, f"with client.open('model.pkl', 'rb') as file:\n    assert pickle.load(file) == {value!r}")
    assert reads(env) == [whole("model.pkl", data)]


@pytest.mark.parametrize(
    "body",
    [
        "with client.open(PATH, 'rb') as file:\n    file.read(3)",
        "with client.open(PATH, 'rb') as file:\n    next(iter(file))",
        "with client.open(PATH, 'rb') as file:\n    file.seek(2)\n    file.read()",
        "with client.open(PATH) as file:\n    file.read()",
        "file = client.open(PATH, 'rb')\nfile.read(3)\nau.log(loss=1)",
        "with client.open(PATH, 'r+b') as file:\n    file.read()",
        "file = client.open(PATH, 'rb')\nfile.read(3)\ndel file",
    ],
)
def test_a_part_is_marked_as_one(env: AuEnv, storage: Path, body: str) -> None:
    run(env, body)
    assert reads(env) == [{"through": "catalysis", "storage": "lab", "path": "sets/data", "partial": True}]


def test_what_is_not_read_is_not_recorded(env: AuEnv, storage: Path) -> None:
    run(
        env,
        """
with client.open('sets') as folder:
    assert folder.exists() and folder.list() == ['data']
    asyncio.run(folder.getatime())
with client.open('new/file', 'wb') as file:
    asyncio.run(file.write(b'new'))
with client.open('gone', 'rb') as file:
    assert not file.exists()
try:
    client.open('gone', 'rb').read()
except FileNotFoundError as error:
    print(type(error).__name__)
""",
    )
    assert reads(env) == []
    assert (storage / "new/file").read_bytes() == b"new"


def test_a_file_that_changes_stands_there_with_both_contents(env: AuEnv, storage: Path) -> None:
    change = "\nwith client.open(PATH, 'wb') as file:\n    asyncio.run(file.write(b'other'))\n"
    run(env, READ_ALL["at once"] + change + READ_ALL["by lines"])
    assert reads(env) == [whole(), whole(data=b"other")]


def test_each_run_has_its_own(env: AuEnv, storage: Path) -> None:
    run(env, READ_ALL["at once"] + "\nau.log(a=1)\nau.end_experiment()\nwith client.open('sets/data', 'rb') as file:\n    file.read(1)\n")
    read = sorted((env.record(tag).get("reads", []) for tag in env.tags()), key=str)
    assert read == [[whole()], [{"through": "catalysis", "storage": "lab", "path": "sets/data", "partial": True}]]


def test_children_take_part(env: AuEnv, storage: Path) -> None:
    body = "au.log(a=1)\nif os.fork() == 0:\n    " + READ_ALL["at once"].replace("\n", "\n    ") + "\n    raise SystemExit\nos.wait()\n"
    run(env, body)
    assert reads(env) == [whole()]


def test_show_has_them(env: AuEnv, storage: Path) -> None:
    run(env, READ_ALL["at once"])
    section = env.au("show", "@").ok().stdout.split("Read from storages\n")[1].split("\n\n")[0].splitlines()
    assert section[0].split() == ["path", "storage", "size", "digest", "through"]
    assert section[1].split() == ["sets/data", "lab", "14", "B", hashlib.sha256(DATA).hexdigest()[:12], "catalysis"]


def test_more_than_a_record_names_is_said_once(env: AuEnv, storage: Path) -> None:
    for number in range(520):
        (storage / f"{number:03}").write_bytes(b"%d" % number)
    body = "for number in range(520):\n    with client.open(f'{number:03}', 'rb') as file:\n        file.read()\n"
    out = run(env, "au.log(a=1)\n" + body * 2)
    assert out.stderr.count("aurum: warning: Not all that the script reads is recorded") == 1
    [tag] = env.tags()
    record = env.record(tag)
    assert len(record["reads"]) == 500 and record["reads_cut"] is True


def test_stripping_works_with_it(env: AuEnv, storage: Path) -> None:
    env.write(
        "src/pipeline.py",
        """
import warnings
warnings.simplefilter("ignore")
import aurum as au
from stripping import setup_stripping_with_catalysis
st, context = setup_stripping_with_catalysis("lab")

@st.step
def load():
    context.rows = [1, 2, 3]
    return 6

print(st.execute())
au.log(total=6)
""",
    )
    # It opens a file there itself, by whatever it keeps its cache.
    (env.project / "cache").mkdir()
    assert env.python("src/pipeline.py").ok().stdout == "6\n"
    assert (storage / "cache").is_dir() and len(env.tags()) == 1


@pytest.mark.parametrize("credential", ["'k' * 40", "'AKIA1234567890ABCDEF'", "{'secret': 's', 'token': 't'}", "'a=b:c@d'", "object()", "None"])
def test_what_may_be_a_secret_is_no_name(env: AuEnv, credential: str) -> None:
    env.script(f"from aurum._catalysis import credential_name\nassert credential_name({credential}) is None")
    env.python("src/experiment.py").ok()


@pytest.mark.parametrize("broken", ["note_reading", "moved", "took", "_class_over"])
def test_a_fault_of_ours_breaks_no_read(env: AuEnv, storage: Path, broken: str) -> None:
    fault = f"""
import aurum._reading
def fault(*args):
    raise RuntimeError("ours")
for owner in aurum._reading, aurum._reading._aurum, aurum._reading.Reading:
    if hasattr(owner, {broken!r}):
        setattr(owner, {broken!r}, fault)
"""
    out = run(env, fault + READ_ALL["again from the start"] + "\n" + READ_ALL["by lines"] + "\nprint(got)")
    assert out.stdout == f"{DATA!r}\n"
    assert out.stderr.count("aurum: warning: ") == 1


#: The same is done with a plain file and with a watched one of each kind, at random; what comes of it has to be the same.
RANDOM = """
import io, random, tempfile
import aurum as au
from aurum import _reading
from hashlib import sha256

told = []
class Told:
    def note_reading(*args): told.append(args[1:])
    def warn(self, text): raise SystemExit(text)
_reading._aurum = Told()

class Own(io.BytesIO):
    pass

class Slotted:
    __slots__ = ("file",)
    def __init__(self, data): self.file = io.BytesIO(data)
    def __getattr__(self, name): return getattr(self.file, name)

class Delegating:
    def __init__(self, data): self.file = io.BytesIO(data)
    def __getattr__(self, name): return getattr(self.file, name)
    def __iter__(self): return iter(self.file)
    def __enter__(self): return self
    def __exit__(self, *error): self.file.close()

class Instance:
    def __init__(self, data):
        file = io.BytesIO(data)
        for name in ("read", "readline", "readinto", "readlines", "seek", "tell", "close", "read1"):
            setattr(self, name, getattr(file, name))

class ByReading(io.RawIOBase):
    def __init__(self, data): self.file = io.BytesIO(data)
    def readable(self): return True
    def seekable(self): return True
    def seek(self, *args): return self.file.seek(*args)
    def readinto(self, buffer): return self.file.readinto(buffer)

def buffered(data):
    file = tempfile.TemporaryFile()
    file.write(data)
    file.seek(0)
    return file

def step(file, choose):
    what = choose.choice(["read", "read", "readline", "readinto", "readlines", "seek", "read all"])
    if what == "read": return file.read(choose.randrange(0, 9))
    if what == "readline": return file.readline()
    if what == "readlines": return file.readlines()
    if what == "read all": return file.read()
    if what == "readinto":
        buffer = bytearray(choose.randrange(0, 9))
        return file.readinto(buffer), bytes(buffer)
    return file.seek(choose.randrange(0, 40))

wholes = 0
for number in range(3000):
    choose = random.Random(number)
    data = bytes(choose.choice(b"ab\\n") for _ in range(choose.randrange(0, 30)))
    kind = [io.BytesIO, Own, Slotted, Delegating, Instance, ByReading, buffered][number % 7]
    told.clear()
    watched = _reading.watch(kind(data), _reading.Reading("x", None, "p"))
    plain = kind(data)
    steps = choose.randrange(0, 8)
    ours, theirs = random.Random(number + 1), random.Random(number + 1)
    seen = set()
    for _ in range(steps):
        at = plain.seek(0, 1) if kind is not Instance else plain.tell()
        got = step(plain, theirs)
        assert step(watched, ours) == got, (number, kind)
        seen |= set(range(at, plain.tell() if hasattr(plain, "tell") else plain.seek(0, 1)))
    watched.close()
    plain.close()
    del watched
    assert len(told) <= 1, (number, told)
    for _, _, path, size, digest in told:
        if digest is not None:
            wholes += 1
            assert (size, digest) == (len(data), "sha256:" + sha256(data).hexdigest()), (number, kind)
            assert seen >= set(range(len(data))), (number, kind)
assert wholes > 500, wholes
print("all the same", wholes)
"""


def test_a_watched_file_is_read_as_a_plain_one(env: AuEnv) -> None:
    env.write("src/random_reads.py", RANDOM)
    assert env.python("src/random_reads.py").ok().stdout.startswith("all the same")


def test_nothing_of_it_is_imported_without_need(env: AuEnv) -> None:
    env.script(
        "import sys\nau.log(a=1)\n"
        "assert not {'aurum._reading', 'aurum._catalysis', 'aurum._fsspec', 'aurum._stripping', 'hashlib', 'importlib.util'} & {*sys.modules}"
    )
    env.python("src/experiment.py").ok()
