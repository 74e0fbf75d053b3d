"""What it costs to keep data: wall time, since the disk has its part in it, and memory.

Files are in the page cache, as they are after they were made. Each round begins with nothing kept, and with nothing of the
round before still on its way to the disk. That takes some 15 GB there.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import compare
from compare import Aside, Competitor, nothing, remover, text, write
from measure import AU, MEBIBYTE, cost, environment, quietly

#: What keeping a file can't do without, on one core.
KEEP = """
import hashlib, os, sys
source, target = sys.argv[1:]
digest, piece = hashlib.sha256(), memoryview(bytearray(1 << 20))
with open(source, "rb", buffering=0) as file, open(target, "wb", buffering=0) as copy:
    while count := file.readinto(piece):
        digest.update(piece[:count])
        copy.write(piece[:count])
    os.fsync(copy.fileno())
"""

READ = """
import os, sys
piece = memoryview(bytearray(1 << 20))
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name), "rb", buffering=0) as file:
            while file.readinto(piece):
                pass
"""

ZIP = """
import os, sys, zipfile
source, target = sys.argv[1:]
with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
    for folder, _, names in os.walk(source):
        for name in names:
            path = os.path.join(folder, name)
            package.write(path, os.path.relpath(path, source))
"""

SCRIPT = "import aurum as au\nau.register_metric(x=1)\n"


class Data:
    def __init__(self, folder: Path, runs: int, divisor: int) -> None:
        self.folder, self.runs, self.divisor = folder, runs, divisor
        self.env = environment(folder)
        self.aside = Aside(folder / "aside")
        self.project = folder / "project"
        self.git = folder / "git"
        self.project.mkdir()
        quietly([AU, "init"], self.project, self.env)

    def measure(self) -> None:
        base = cost(["true"], self.folder, self.env).peak
        print(compare.HEADING)
        self.one_file()
        self.many_files()
        self.export()
        print(f"Memory is that of the largest process; {base / MEBIBYTE:.0f} MiB and less can't be told from what measures it.")

    def compare(self, what: str, ours: Competitor, floors: Sequence[Competitor], *, warm_up: bool = False) -> None:
        compare.compare(what, ours, floors, self.env, self.runs, warm_up=warm_up)

    # --- what is measured ---------------------------------------------------------------------------------------------

    def one_file(self) -> None:
        size = 1024 * MEBIBYTE // self.divisor
        what = f"{size // MEBIBYTE} MiB"
        file = self.project / "big.csv"
        write(file, size)
        twin, copy = self.git / "big.csv", self.folder / "copy"

        def fresh_git() -> None:
            self.fresh_git()
            os.link(file, twin)

        floors = [
            Competitor("read + SHA-256 + write + fsync", [sys.executable, "-c", KEEP, file, copy], self.folder, self.aside.putter(copy), "1.2 x"),
            Competitor("git add", ["git", "add", "big.csv"], self.git, fresh_git),
        ]
        self.compare(f"au data add, one file of {what}", self.add("big.csv", self.forget), floors)
        self.unchanged("the same", "big.csv")
        self.remove(file, copy)
        self.aside.empty()

    def many_files(self) -> None:
        count = 50_000 // self.divisor
        many, twin, copy = self.project / "many", self.git / "many", self.folder / "copy"
        for number in range(count):
            folder = many / f"{number // 1000:02}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:05}.txt").write_bytes(text(4096, number))

        def fresh_git() -> None:
            self.fresh_git()
            shutil.copytree(many, twin, copy_function=os.link)

        def fresh_dvc() -> None:
            fresh_git()
            quietly(["dvc", "init", "--quiet"], self.git, self.env)

        durable: list[str | Path] = ["sh", "-c", 'cp -r "$1" "$2" && sync -f "$2"', "sh", many, copy]
        floors = [
            Competitor("git add", ["git", "add", "many"], self.git, fresh_git, "less"),
            Competitor("cp -r", ["cp", "-r", many, copy], self.folder, self.aside.putter(copy)),
            Competitor("cp -r, then sync", durable, self.folder, self.aside.putter(copy)),
        ]
        if shutil.which("dvc"):
            floors.append(Competitor("dvc add", ["dvc", "add", "--quiet", "many"], self.git, fresh_dvc, "0.2 x"))
        self.compare(f"au data add, {count:,} of 4 KiB", self.add("many", self.forget), floors)
        if not shutil.which("dvc"):
            print(f"{'':<34}dvc add: dvc is not installed")
        self.unchanged("the same", "many")
        self.remove(many, copy)

    def unchanged(self, what: str, name: str) -> None:
        """Against `git status` of the same files, tracked by git."""
        quietly([AU, "data", "add", name], self.project, self.env)
        self.fresh_git()
        quietly(["cp", "-r", self.project / name, self.git], self.folder, self.env)
        quietly(["git", "add", "."], self.git, self.env)
        quietly(["git", "commit", "--quiet", "--message=data"], self.git, self.env)
        # Files this new could change again unnoticed, so that both would read them once more.
        time.sleep(2.5)
        floor = Competitor("git status", ["git", "status"], self.git, nothing, "2 x")
        # The first round warms up both: it refreshes what they remember of the files.
        self.compare(f"  {what} again, unchanged", self.add(name, nothing), [floor], warm_up=True)
        status = Competitor("", [AU, "data", "status", "--offline"], self.project, nothing)
        self.compare("  au data status, unchanged", status, [floor], warm_up=True)

    def export(self) -> None:
        size = 256 * MEBIBYTE // self.divisor
        source, package = self.project / "packed", self.folder / "package.zip"
        write(source / "half.csv", size // 2)
        (source / "half.bin").write_bytes(os.urandom(size // 2))
        quietly([AU, "data", "add", "packed"], self.project, self.env)
        (self.project / "src/experiment.py").write_text(SCRIPT)
        quietly([sys.executable, "src/experiment.py"], self.project, self.env)
        ours = Competitor("", [AU, "export", "@", "--output", package], self.project, remover(package))
        floors = [
            Competitor("Python's zipfile", [sys.executable, "-c", ZIP, source, package], self.folder, remover(package)),
            Competitor("reading alone", [sys.executable, "-c", READ, source], self.folder, nothing),
        ]
        self.compare(f"au export, {size // MEBIBYTE} MiB of data", ours, floors)
        self.remove(source, package)

    # --- what is done for it ------------------------------------------------------------------------------------------

    def add(self, name: str, prepare: Callable[[], None]) -> Competitor:
        return Competitor("", [AU, "data", "add", name], self.project, prepare)

    def forget(self) -> None:
        """Nothing is kept, and nothing remembered."""
        for path in (self.project / ".git/aurum", self.project / ".au/datasets"):
            self.aside.put(path)
        quietly(["git", "checkout", "--quiet", "--", ".gitignore"], self.project, self.env)

    def fresh_git(self) -> None:
        self.aside.put(self.git)
        quietly(["git", "init", "--quiet", self.git], self.folder, self.env)

    def remove(self, *paths: Path) -> None:
        self.forget()
        for path in (self.git, *paths):
            self.aside.put(path)


def measure(folder: Path, runs: int, divisor: int) -> None:
    Data(folder, runs, divisor).measure()
