"""Being an ordinary user, for whom permissions count, as they don't for root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from conftest import AuEnv, Result, left_out

NOBODY = 65534


def as_nobody(env: AuEnv, *command: str | Path) -> Result:
    """Runs a command as an ordinary user: who is one already needs to do nothing."""
    if os.geteuid() != 0:
        return env.run(*command)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        left_out("there is no setpriv")
    return env.run(setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command)


def give_away(env: AuEnv) -> None:
    """All that the test has made, so that who runs [`as_nobody`][nobody.as_nobody] owns it."""
    if os.geteuid() != 0:
        return
    for path in [env.root, *env.root.rglob("*")]:
        os.lchown(path, NOBODY, NOBODY)
    env.git("config", "--global", "--add", "safe.directory", str(env.project))
    for folder in env.root.parents:
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o011)
