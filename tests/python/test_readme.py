"""The README's commands and snippets, as printed and in their order, in one project."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from conftest import AuEnv

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A Python block that is a file says so in its first line.
FILE = re.compile(r"# (\S+\.py)\n")


def commands(block: str) -> list[str]:
    """The lines after `$ `, continued ones joined, and what they are said to print left out."""
    found: list[str] = []
    for line in block.splitlines():
        if found and found[-1].endswith("\\"):
            found[-1] = found[-1][:-1] + line.strip()
        elif line.startswith("$ "):
            found.append(line[2:])
    return found


def test_every_block(bare: AuEnv) -> None:
    blocks = BLOCK.findall(README.read_text())
    assert {language for language, _ in blocks} <= {"sh", "python", "text", "json"}, "a block that no test knows"
    folder, ran = bare.project, 0
    for language, block in blocks:
        if language == "python":
            name = FILE.match(block)
            file = bare.write(name[1] if name else "src/snippet.py", block)
            compile(block, str(file), "exec")
            if not name:
                bare.python(file).ok()
                file.unlink()
            ran += 1
        elif language == "sh":
            for command in commands(block):
                # Each command runs where the one before it left off.
                done = bare.run("sh", "-c", f"{command}\npwd > {bare.root}/folder", cwd=folder)
                expected = 0 if "# fails" not in command else 1
                assert done.code == expected, f"{command}\n{done.stdout}{done.stderr}"
                folder = Path((bare.root / "folder").read_text().strip()) if expected == 0 else folder
                ran += 1
    assert ran > 10


@pytest.fixture(autouse=True)
def python(bare: AuEnv) -> None:
    """`python` is the interpreter that has Aurum."""
    bare.environment["PATH"] = f"{Path(sys.executable).parent}:{bare.environment['PATH']}"
