"""Measures Aurum's budgets, each against a floor taken in the same run, and prints them as a table.

Nothing here passes or fails: machines are noisy. Compare the columns, which were measured in turn, pair by pair.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import data
import runs

#: By convention on a disk, where `/tmp` may be in memory.
FOLDER = Path("/var/tmp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["data", "runs"], help="measure these alone")
    parser.add_argument("--runs", type=int, help="pairs of each measurement (default: 11, and 3 where there is much data)")
    parser.add_argument("--small", action="store_true", help="a tenth of the data")
    parser.add_argument("--folder", type=Path, default=FOLDER if FOLDER.is_dir() else None, help="where to put the files")
    args = parser.parse_args()
    if args.only != "data":
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            runs.measure(Path(folder), args.runs or 11)
    if args.only != "runs":
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            data.measure(Path(folder), args.runs or 3, 10 if args.small else 1)


if __name__ == "__main__":
    main()
