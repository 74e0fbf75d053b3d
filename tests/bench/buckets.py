"""What it costs to carry data to and from a server of S3 on loopback, against boto3's transfer on the same server: wall time.

Ours does more: what comes is hashed on the way and lands on stable storage.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import compare
from compare import Competitor, remover, write
from measure import AU, MEBIBYTE, environment, quietly

# The tests start the same server.
sys.path.append(str(Path(__file__).parents[1]))

import signed  # noqa: E402

#: Sends or brings one object with boto3's own settings for transfers.
BOTO3 = """
import sys
import boto3
verb, path, key = sys.argv[1:]
client = boto3.client("s3")
if verb == "send":
    client.upload_file(path, "bench", key)
else:
    client.download_file("bench", key, path)
"""


def measure(folder: Path, runs: int, divisor: int) -> None:
    program = signed.program()
    if program is None:
        print("No S3: `make target/s3s/bin/s3s-fs` installs the server")
        return
    size = 1024 * MEBIBYTE // divisor
    with signed.signed(program, folder / "s3") as server:
        (server.folder / "bench").mkdir()
        env = environment(folder) | server.environment
        project, table, copy = folder / "project", folder / "project/big.csv", folder / "copy"
        project.mkdir()
        write(table, size)
        quietly([AU, "init"], project, env)
        quietly([AU, "data", "add", "big.csv"], project, env)
        quietly([AU, "data", "remote", "add", "cloud", "s3://bench/share"], project, env)
        store, share = project / ".git/aurum/store", server.folder / "bench/share"

        def boto3(verb: str, path: Path, key: str) -> list[str | Path]:
            return [sys.executable, "-c", BOTO3, verb, path, key]

        print(compare.HEADING)
        what = f"{size // MEBIBYTE} MiB"
        ours = Competitor("", [AU, "data", "push"], project, remover(share))
        floor = Competitor("boto3, upload_file", boto3("send", table, "sent"), project, remover(server.folder / "bench/sent"), "1.3 x")
        compare.compare(f"au data push, {what} to S3", ours, [floor], env, runs, warm_up=True)

        quietly([AU, "data", "push"], project, env)
        shutil.copyfile(table, server.folder / "bench/big.csv")
        ours = Competitor("", [AU, "data", "pull"], project, remover(store))
        floor = Competitor("boto3, download_file", boto3("bring", copy, "big.csv"), project, remover(copy), "1.3 x")
        compare.compare(f"au data pull, {what} from S3", ours, [floor], env, runs, warm_up=True)

        def forget() -> None:
            for path in (project / ".git/aurum", project / ".au/datasets"):
                shutil.rmtree(path, ignore_errors=True)
            table.unlink(missing_ok=True)

        ours = Competitor("", [AU, "data", "add", "s3://bench/big.csv"], project, forget)
        compare.compare(f"au data add s3://, {what}", ours, [floor], env, runs, warm_up=True)
        os.sync()
