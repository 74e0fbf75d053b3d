"""One fixture: a world of its own, with everything pinned that would differ from run to run."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

SCRIPTS = Path(sysconfig.get_path("scripts"))


def left_out(reason: str) -> NoReturn:
    """Skips a test for which this machine lacks something. Continuous integration is to have it all."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI leaves nothing out")
    pytest.skip(f"left out: {reason}", allow_module_level=True)


def needs(*modules: str) -> None:
    """Leaves out what follows where one of these modules is not installed."""
    for name in modules:
        if importlib.util.find_spec(name) is None:
            left_out(f"{name} is not installed")


@dataclass
class Result:
    """What a program answered."""

    code: int
    stdout: str
    stderr: str

    def ok(self) -> Result:
        assert self.code == 0, f"exit {self.code}\n{self.stdout}\n{self.stderr}"
        return self

    def failed(self, code: int, *words: str) -> Result:
        assert self.code == code, f"exit {self.code}\n{self.stdout}\n{self.stderr}"
        for word in words:
            assert word in self.stderr, f"{word!r} is not in {self.stderr!r}"
        return self


@dataclass
class AuEnv:
    """A folder to work in, a home and git settings of its own, a clock and a source of randomness that can be pinned."""

    root: Path
    project: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        home = self.root / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.project.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]]),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
            # The temporary folder may lie in a repository of somebody's.
            "GIT_CEILING_DIRECTORIES": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.identify()

    def identify(self) -> None:
        (self.root / "home/gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n")

    def forget_identity(self) -> None:
        (self.root / "home/gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")

    def pin(self, *, clock: str = "2026-01-02T03:04:05Z", entropy: str = "seed") -> None:
        """Fixes time and randomness: the same calls then leave the same bytes."""
        self.environment |= {"AURUM_CLOCK": clock, "AURUM_ENTROPY": entropy}

    def run(self, *command: str | Path, cwd: str | Path = "", env: dict[str, str] | None = None, **options: Any) -> Result:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.project / cwd,
            env=self.environment | (env or {}),
            capture_output=True,
            text=True,
            timeout=options.pop("timeout", 120),
            stdin=subprocess.DEVNULL,
            **options,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *command: str | Path, cwd: str | Path = "", env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """A program that goes on while the test does something else."""
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=self.project / cwd,
            env=self.environment | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )

    def au(self, *arguments: str | Path, **options: Any) -> Result:
        return self.run("au", *arguments, **options)

    def git(self, *arguments: str | Path, cwd: str | Path = "") -> str:
        """What git prints, without the end of the last line."""
        return self.run("git", *arguments, cwd=cwd).ok().stdout.rstrip("\n")

    def python(self, *arguments: str | Path, **options: Any) -> Result:
        return self.run(sys.executable, *arguments, **options)

    def write(self, path: str, text: str) -> Path:
        file = self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def script(self, text: str, path: str = "src/experiment.py") -> Path:
        return self.write(path, "import aurum as au\n" + text)

    def rows(self, *selectors: str) -> list[dict[str, Any]]:
        """The rows of `au metrics --json`."""
        rows: list[dict[str, Any]] = json.loads(self.au("metrics", "--json", *selectors).ok().stdout)
        return rows

    def record(self, tag: str) -> dict[str, Any]:
        """The record of an experiment, read with git alone."""
        identifier = tag.removeprefix("au/")
        record: dict[str, Any] = json.loads(self.git("show", f"{tag}:.au/experiments/{identifier}/record.json"))
        return record

    def log(self, tag: str) -> str:
        return self.git("show", f"{tag}:logs/{tag.removeprefix('au/')}.log")

    def tags(self) -> list[str]:
        return self.git("tag", "--list", "au/*").split()

    def everything(self) -> dict[str, bytes]:
        """Every file below the project, git's own included."""
        files = (path for path in sorted(self.project.rglob("*")) if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(self.project)): path.read_bytes() for path in files}


@pytest.fixture
def bare(tmp_path: Path) -> AuEnv:
    """An empty folder."""
    return AuEnv(tmp_path, tmp_path / "newproject")


@pytest.fixture
def env(bare: AuEnv) -> AuEnv:
    """A project."""
    bare.au("init").ok()
    return bare


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system that is full soon."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk can't be mounted: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library that stands for the driver's."""
    if sys.platform != "linux":
        pytest.skip("NVML is looked for on Linux")
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", Path(__file__).parent / "nvml.c"], check=True)
    return folder


def pytest_report_header() -> str:
    return f"au: {shutil.which('au', path=str(SCRIPTS))}"
