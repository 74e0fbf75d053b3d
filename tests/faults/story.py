"""A script that says what it has done, step by step, and what its experiment has to hold after each step."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODEL = b"weights" * 700

#: Each step is told to a descriptor once its call has returned. A step that is `durable` outlives a power cut from then on.
SCRIPT = """
import os, time
import aurum as au

ack = int(os.environ["ACK"])

def told(step):
    os.write(ack, (step + "\\n").encode())
    if step == os.environ.get("LAST"):
        time.sleep(60)

au.start("story")
told("start")
au.parameters(lr=0.1, layers=[1, 2, 3])
told("parameters")
for step in range(STEPS):
    au.log(loss=1 / (step + 1), accuracy=step / 10)
    told(f"log {step}")
    print("epoch", step)
    told(f"print {step}")
    if step in PAUSES:
        time.sleep(1.1)
au.save_model(b"weights" * 700)
told("model")
print("end" * TALK)
told("talk")
au.end_experiment()
told("end")
"""


@dataclass(frozen=True)
class Story:
    """How long the script is, and after which steps it waits long enough for a sync."""

    steps: int = 6
    pauses: tuple[int, ...] = (2,)
    talk: int = 1

    def script(self) -> str:
        return SCRIPT.replace("STEPS", str(self.steps)).replace("PAUSES", repr(self.pauses)).replace("TALK", str(self.talk))

    def all_steps(self) -> list[str]:
        middle = [f"{what} {step}" for step in range(self.steps) for what in ("log", "print")]
        return ["start", "parameters", *middle, "model", "talk", "end"]

    def contents(self, said: int) -> Contents:
        """What an experiment holds after so many steps."""
        contents = Contents()
        for step in self.all_steps()[:said]:
            what, _, number = step.partition(" ")
            match what:
                case "parameters":
                    contents.parameters = {"lr": 0.1, "layers": [1, 2, 3]}
                case "log":
                    contents.values += [("loss", int(number), 1 / (int(number) + 1)), ("accuracy", int(number), int(number) / 10)]
                case "print":
                    contents.lines.append(f"epoch {number}")
                case "model":
                    contents.model = hashlib.sha256(MODEL).hexdigest()
                case "talk":
                    contents.lines.append("end" * self.talk)
                case "end":
                    contents.status = "finished"
        return contents


@dataclass
class Contents:
    """What is in an experiment."""

    parameters: dict[str, Any] = field(default_factory=dict)
    values: list[tuple[str, int, float]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    model: str | None = None
    status: str = "killed"


class Damage(AssertionError):
    """Something that was promised is not so."""


def need(holds: bool, *words: object) -> None:
    if not holds:
        raise Damage(" ".join(str(word) for word in words))


@dataclass
class Judge:
    """Looks at a project from outside, with git alone."""

    project: Path
    environment: dict[str, str]

    def run(self, *command: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.project, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if code is not None:
            need(done.returncode == code, command, "exits", done.returncode, done.stdout, done.stderr)
        return done

    def git(self, *arguments: str) -> str:
        done = self.run("git", *arguments)
        need("warning: ignoring" not in done.stderr and "error:" not in done.stderr, arguments, done.stderr)
        return done.stdout

    def fsck(self) -> None:
        """Every object and reference is whole; what nothing refers to may lie about."""
        done = self.run("git", "fsck", "--strict", "--full", "--no-progress")
        talk = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("dangling ", "notice: "))]
        need(not talk, "git fsck:", talk)

    def tags(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/tags/au").split()

    def read(self, names: list[str]) -> list[bytes]:
        """Objects by git's names for them, in one process."""
        done = subprocess.run(
            ["git", "cat-file", "--batch"],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            input="".join(f"{name}\n" for name in names).encode(),
        )
        need(done.returncode == 0 and not done.stderr, "git cat-file:", done.stderr)
        rest, contents = done.stdout, []
        for name in names:
            head, _, rest = rest.partition(b"\n")
            need(not head.endswith(b" missing"), name, "is missing")
            size = int(head.rpartition(b" ")[2])
            contents.append(rest[:size])
            rest = rest[size + 1 :]
        return contents

    def contents(self, tag: str) -> Contents:
        """Reads an experiment; every file of it has to be there and to agree with the others."""
        identifier = tag.removeprefix("au/")
        here = f"{tag}:.au/experiments/{identifier}"
        names = [f"{here}/record.json", f"{here}/metrics.jsonl", f"{here}/requirements.txt", f"{tag}:logs/{identifier}.log"]
        text, history, requirements, log = self.read(names)
        record = json.loads(text)
        lines = [json.loads(line) for line in history.splitlines()]
        need(record["id"] == identifier, "another's record")
        digest = "sha256:" + hashlib.sha256(requirements).hexdigest()
        need(record["environment"]["requirements"] == digest, "other requirements")
        values = [(line["metric"], line["step"], line["value"]) for line in lines]
        counts = Counter(name for name, _, _ in values)
        need(counts == Counter({name: metric["count"] for name, metric in record.get("metrics", {}).items()}), "half of the history")
        model = record.get("models", {}).get("model", {}).get("digest", "").removeprefix("sha256:") or None
        if model is not None:
            stored = self.project / ".git/aurum/store/sha256" / model[:2] / model[2:]
            need(stored.is_file(), "the model is not in the store")
            need(hashlib.sha256(stored.read_bytes()).hexdigest() == model, "the model is torn")
        parameters = {name: parameter["value"] for name, parameter in record.get("parameters", {}).items()}
        return Contents(parameters, values, log.decode().splitlines(), model, record["status"])


def expect(found: Contents, at_least: Contents, at_most: Contents) -> None:
    """An experiment holds all of one and nothing beyond the other."""
    # What a power cut tears out of a journal's middle may be the name of a metric: its values are kept under its number.
    numbers = {"metric 0": "loss", "metric 1": "accuracy"}
    values = [(numbers.get(name, name), step, value) for name, step, value in found.values]
    need(not Counter(at_least.values) - Counter(found.values), "values are lost:", found.values)
    need(not Counter(values) - Counter(at_most.values), "values from nowhere:", found.values)
    need(not Counter(at_least.lines) - Counter(found.lines), "output is lost:", found.lines)
    # `print` writes in pieces, of which each may be torn out.
    strangers = [line for line in found.lines if not re.fullmatch(r"(epoch|end| |\d)*", line)]
    need(not strangers, "output from nowhere:", strangers)
    need(found.parameters in (at_least.parameters, at_most.parameters), "parameters:", found.parameters)
    need(found.model in (at_least.model, at_most.model), "model:", found.model)
    need(found.status in (at_least.status, at_most.status), "status:", found.status)
