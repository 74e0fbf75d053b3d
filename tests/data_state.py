"""What the tests of data share: how it is read back, by somebody else's means where there are any."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from conftest import AuEnv

ROW = {"name", "kind", "digest", "size", "files", "stored", "source", "place"}


def listed(env: AuEnv) -> dict[str, dict[str, Any]]:
    """The rows of `au data ls --json`, by name."""
    return {row["name"]: row for row in json.loads(env.au("data", "ls", "--json").ok().stdout)}


def status(env: AuEnv, *words: str, cwd: str = "") -> dict[str, dict[str, Any]]:
    """The rows of `au data status --json`, by name."""
    return {row["name"]: row for row in json.loads(env.au("data", "status", "--json", *words, cwd=cwd).ok().stdout)}


def described(env: AuEnv, name: str) -> dict[str, Any]:
    """What the user commits of a dataset."""
    description: dict[str, Any] = json.loads((env.project / f".au/datasets/{name}.json").read_bytes())
    return description


def descriptions(env: AuEnv) -> list[str]:
    return sorted(path.name.removesuffix(".json") for path in (env.project / ".au/datasets").glob("*"))


def stored(env: AuEnv, digest: str) -> Path:
    digits = digest.removeprefix("sha256:")
    return env.project / ".git/aurum/store/sha256" / digits[:2] / digits[2:]


def check_store(env: AuEnv) -> int:
    """Every object is what its name says, by somebody else's SHA-256; nothing but objects is there. Answers their number."""
    store = env.project / ".git/aurum/store"
    files = [path for path in store.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(store / "sha256") for path in files), f"temporaries are left: {files}"
    lines = "".join(f"{path.parent.name}{path.name}  {path}\n" for path in files)
    checked = subprocess.run(["sha256sum", "--check", "--quiet"], input=lines, text=True, capture_output=True)
    assert not files or checked.returncode == 0, checked.stdout + checked.stderr
    assert all(path.stat().st_mode & 0o222 == 0 for path in files), "objects can be written to"
    return len(files)


def git_state(env: AuEnv) -> dict[str, str]:
    """What git has of the user's: HEAD, branches, what is staged."""
    return {
        "head": (env.project / ".git/HEAD").read_text(),
        "refs": env.git("for-each-ref"),
        "index": env.git("ls-files", "--stage"),
    }


def working_tree(env: AuEnv) -> dict[str, bytes]:
    return {path: content for path, content in env.everything().items() if not path.startswith(".git/")}


def manifest(folder: Path) -> bytes:
    """A folder's manifest, written anew from the words of `wit/data.wit`."""
    lines = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_symlink():
            mode, content = "120000", os.readlink(path).encode()
        elif path.is_file():
            mode, content = ("100755" if path.stat().st_mode & 0o111 else "100644"), path.read_bytes()
        elif not any(path.iterdir()):
            lines.append((name, {"path": str(name), "mode": "040000", "size": 0}))
            continue
        else:
            continue
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        lines.append((name, {"path": str(name), "mode": mode, "size": len(content), "digest": digest}))
    lines.sort(key=lambda line: [os.fsencode(part) for part in line[0].parts])
    return "".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n" for _, entry in lines).encode()


def odd_folder(root: Path) -> None:
    """One of everything that a folder of data may hold."""
    files = {
        "a.csv": b"1,2\n",
        "sub/deep/er/b.bin": bytes(range(256)) * 40,
        "sub/with space.txt": b"one\n",
        "sub/été – 測試.txt": b"two\n",
        "sub/[x]*?!#'\"$HOME;&|%41.txt": b"three\n",
        " lead and trail ": b"four\n",
        "-dash": b"five\n",
        "tab\tand\x01control": b"six\n",
        "sub-order": b"sorts after `sub/`, part by part\n",
        "same": b"1,2\n",
        "nothing": b"",
        ".hidden/x": b"seven\n",
        "run.sh": b"#!/bin/sh\n",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "run.sh").chmod(0o755)
    (root / "sub/none/at/all").mkdir(parents=True)
    (root / "sub/link").symlink_to("../a.csv")
    (root / "folder-link").symlink_to("sub/deep")


def with_data(env: AuEnv) -> None:
    env.write("a.csv", "1,2\n")
    env.write("images/1.png", "one")
    env.write("images/sub/2.png", "two")
    (env.project / "images/run.sh").write_text("#!/bin/sh\n")
    (env.project / "images/run.sh").chmod(0o755)
    env.au("data", "add", "a.csv", "images").ok()
