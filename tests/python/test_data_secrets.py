"""One secret for all servers, given in every way there is, and then looked for wherever it must not be."""

from __future__ import annotations

import base64
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from buckets import KEY, buckets
from conftest import AuEnv, Result, left_out
from servers import Answer, Server, running
from shelves import shelves
from signed import KEY as SIGNED_KEY
from signed import program, signed

USER, SECRET = "ada-hunter", "hunter2Hunter2hunter2HUNTER2"
#: As it is, and as it goes over HTTP.
FORMS = [SECRET.encode(), base64.b64encode(f"{USER}:{SECRET}".encode()), SECRET.encode().hex().encode()]


@pytest.fixture
def world(env: AuEnv) -> Iterator[dict[str, str]]:
    """Servers that all have the same secret, by their addresses."""
    found = program()
    if found is None:
        left_out("`make target/s3s/bin/s3s-fs` was not run")
    with ExitStack() as stack:
        cloud = stack.enter_context(buckets(KEY, SECRET))
        cloud.put("bucket-name", "cloud.csv", b"cloud\n")
        checking = stack.enter_context(signed(found, env.root / "s3", SECRET))
        (checking.folder / "bucket-name").mkdir()
        (checking.folder / "bucket-name/checking.csv").write_bytes(b"checking\n")
        addresses = {"cloud": cloud.address, "checking": checking.address}
        for name, secure in (("ftp", False), ("ftps", True)):
            nas = stack.enter_context(shelves(env.root / f"served-{name}/files", secure=secure, login=(USER, SECRET)))
            (nas.folder / f"{name}.csv").write_bytes(name.encode())
            addresses[name] = nas.address()
        env.environment["SSL_CERT_FILE"] = str(env.root / "served-ftps/ca.pem")
        web = Server({"/web.csv": Answer(b"web\n")})
        web.login = f"{USER}:{SECRET}"
        stack.enter_context(running(web))
        addresses["web"] = web.address
        yield addresses


class Watched:
    """Runs programs, and keeps what they printed and what command lines their children had."""

    def __init__(self, env: AuEnv) -> None:
        self.env = env
        self.outputs: list[str] = []
        self.trace = env.root / "trace"

    def run(self, *command: str, lines: str = "", variables: dict[str, str] | None = None) -> Result:
        trace = ["strace", "--follow-forks", "--output", str(self.trace), "--trace=execve", "--string-limit=100000"]
        process = self.env.start(*trace, *command, env=variables)
        out, err = process.communicate(lines, timeout=120)
        told = [line for line in self.trace.read_text().splitlines() if "execve(" in line]
        # The first is the program itself, as the user called it.
        self.outputs += [out, err, *told[1:]]
        return Result(process.returncode, out, err)


def objects(repository: Path) -> bytes:
    """All that git has, unpacked."""
    listed = subprocess.run(["git", "cat-file", "--batch-all-objects", "--batch"], cwd=repository, capture_output=True, check=True)
    return listed.stdout


def members(package: Path) -> bytes:
    with zipfile.ZipFile(package) as packed:
        return b"".join(packed.read(name) for name in packed.namelist()) + package.read_bytes()


def test_a_secret_is_nowhere(env: AuEnv, world: dict[str, str]) -> None:
    if shutil.which("strace") is None:
        left_out("there is no strace")
    watched = Watched(env)
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def at(name: str) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": world[name]}

    # By options, the environment, a git helper, the address, standard input, and a login.
    watched.run("au", "data", "add", "s3://bucket-name/cloud.csv", "--api", KEY, "--key", SECRET, variables=at("cloud")).ok()
    watched.run("au", "data", "add", "s3://bucket-name/checking.csv", variables=at("checking") | keys | {"AWS_ACCESS_KEY_ID": SIGNED_KEY}).ok()
    watched.run("au", "data", "add", world["ftp"] + "ftp.csv", "--user", USER, "--passwd", SECRET).ok()
    watched.run("au", "data", "add", world["ftps"].replace("://", f"://{USER}:{SECRET}@") + "ftps.csv").ok()
    watched.run("au", "data", "add", f"{world['web'].replace('://', f'://{USER}:{SECRET}@')}/web.csv?token={SECRET}").ok()
    for server, user in ((world["ftp"], USER), (world["ftps"], USER), (world["web"], USER)):
        watched.run("au", "data", "login", server, "--user", user, lines=f"{SECRET}\n").ok()
    env.git("config", "aurum.s3.endpoint", world["cloud"])
    watched.run("au", "data", "login", "s3://bucket-name", lines=f"{KEY}\n{SECRET}\n").ok()

    # What is wrong is told, and what it was tried with is not.
    watched.run("au", "data", "add", "s3://bucket-name/nothing.csv", "--api", "nobody", "--key", SECRET).failed(1)
    watched.run("au", "data", "add", world["ftp"] + "nothing.csv", "--user", USER, "--passwd", SECRET).failed(1)
    watched.run("au", "data", "add", f"{world['web'].replace('://', f'://{USER}:{SECRET}@')}/nothing.csv?token={SECRET}").failed(1)
    watched.run("au", "data", "add", "s3://bucket-name/cloud.csv", "--api", KEY, "--kee", SECRET).failed(2)
    watched.run("au", "--verbose", "data", "status").ok()
    watched.run("au", "data", "update").ok()

    # Runs with the secret around them, and what is made of them.
    script = env.script(
        "import logging, aurum as au\n"
        "au.parameters(password='', rate=1)\n"
        "au.register_metric(x=1)\n"
        "for name in ('cloud.csv', 'ftp.csv', 'web.csv'):\n    print(open(au.dataset(name)).read())\n"
    )
    watched.run("python", str(script), f"password={SECRET}", variables=keys).ok()
    (env.project / "cloud.csv").unlink()
    shutil.rmtree(env.project / ".git/aurum/store")
    watched.run("python", str(script), f"password={SECRET}", variables=at("cloud") | keys).ok()
    watched.run("au", "export", "@", "--output", str(env.root / "package.zip")).ok()
    watched.run("au", "data", "remote", "add", "cloud", "s3://bucket-name/share").ok()
    subprocess.run(["git", "init", "--quiet", "--bare", env.root / "work.git"], check=True)
    env.git("remote", "add", "origin", str(env.root / "work.git"))
    watched.run("au", "push", variables=keys).ok()
    watched.run("au", "show", "@").ok()
    watched.run("au", "logs", "@").ok()

    places = {f"project: {path}": content for path, content in env.everything().items()}
    places |= {f"share: {path}": path.read_bytes() for path in (env.root / "work.git").rglob("*") if path.is_file()}
    places |= {"objects": objects(env.project), "objects of the remote": objects(env.root / "work.git"), "package": members(env.root / "package.zip")}
    places |= {f"output {number}": text.encode() for number, text in enumerate(watched.outputs)}
    assert len(places["objects"]) > 1000 and b"web.csv" in places["objects"]
    found = [place for place, content in places.items() if any(form in content for form in FORMS)]
    assert not found, [(place, places[place][:300]) for place in found]
    # It was looked for in the right way.
    assert any("execve" in text and '"credential"' in text for text in watched.outputs)
    assert SECRET in (env.root / "home/.config/aurum/credentials").read_text()
