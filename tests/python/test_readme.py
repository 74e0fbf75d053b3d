"""The README's commands and snippets, as printed and in their order, in one shell and one project."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from conftest import AuEnv

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The first line of a Python block names the file that it is.
FILE = re.compile(r"# (\S+\.py)\n")


def steps() -> list[str]:
    """The page as steps of a shell script, each of which must succeed."""
    found = []
    for language, block in BLOCK.findall(README.read_text()):
        if language == "python":
            name = FILE.match(block)
            assert name, f"a block that names no file: {block[:80]!r}"
            found.append(f"printf %s {shlex.quote(block)} > \"$PROJECT/{name[1]}\"")
        elif language == "sh":
            found += [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
        else:
            assert language == "text", f"a block that no test knows: {language}"
    return found


def test_every_block(bare: AuEnv) -> None:
    bare.environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), bare.environment["PATH"]])
    script = [f"PROJECT={bare.project}/newproject"]
    for step in steps():
        said = shlex.quote(f"failed: {step[:200]}")
        script += [step, f"test $? -eq 0 || {{ echo {said} >&2; exit 1; }}"]
    assert len(script) > 40
    bare.run("sh", "-c", "\n".join(script), timeout=600).ok()
