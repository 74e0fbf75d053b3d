"""A server of S3 that somebody else wrote and that checks signatures: `s3s-fs`, which `make` installs beside the tests' other servers.

Its buckets are folders, so that tests see what is there by looking.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: With all that has to be escaped somewhere.
KEY, SECRET = "AKIDEXAMPLEEXAMPLE01", "s3s/secret+with=signs/EXAMPLE01"
PROGRAM = Path(__file__).parents[1] / "target/s3s/bin/s3s-fs"


@dataclass
class Signed:
    """What it holds, and where it is."""

    folder: Path
    address: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """For a program that is to find it and to be let in."""
        return {"AWS_ENDPOINT_URL": self.address, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": "eu-north-1"}


def program() -> Path | None:
    """Where the server is, if it is."""
    found = PROGRAM if PROGRAM.exists() else shutil.which("s3s-fs")
    return Path(found) if found else None


@contextmanager
def signed(program: Path, folder: Path, secret: str = SECRET) -> Iterator[Signed]:
    """The server, as long as the block lasts."""
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--host", "127.0.0.1", "--port", str(port), "--access-key", KEY, "--secret-key", secret]
    process = subprocess.Popen([program, *words, folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not answers(port):
            assert process.poll() is None and time.monotonic() < deadline, "the server does not start"
            time.sleep(0.02)
        yield Signed(folder, f"http://127.0.0.1:{port}", secret)
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
