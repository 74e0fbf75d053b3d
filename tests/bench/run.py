"""Measures Aurum's budgets, each against a floor taken in the same run, and prints them as a table.

Nothing here passes or fails: machines are noisy. Compare the columns, which were measured in turn, pair by pair.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import buckets
import data
import history
import runs

#: By convention on a disk, where `/tmp` may be in memory.
FOLDER = Path("/var/tmp")


def lengths(text: str) -> list[int]:
    return [int(length) for length in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["buckets", "data", "history", "runs"], help="measure these alone")
    parser.add_argument("--runs", type=int, help="pairs of each measurement (default: 11, and fewer where there is much data)")
    parser.add_argument("--small", action="store_true", help="a tenth of the data and of the histories")
    parser.add_argument("--experiments", type=lengths, help="lengths of the histories (default: 1000,10000,100000)")
    parser.add_argument("--folder", type=Path, default=FOLDER if FOLDER.is_dir() else None, help="where to put the files")
    args = parser.parse_args()
    if args.only in (None, "runs"):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            runs.measure(Path(folder), args.runs or 11)
    divisor = 10 if args.small else 1
    if args.only in (None, "history"):
        counts = args.experiments or [count // divisor for count in (1_000, 10_000, 100_000)]
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            history.measure(Path(folder), args.runs or 5, counts)
    if args.only in (None, "data"):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            data.measure(Path(folder), args.runs or 3, divisor)
    if args.only in (None, "buckets"):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            buckets.measure(Path(folder), args.runs or 3, divisor)


if __name__ == "__main__":
    main()
