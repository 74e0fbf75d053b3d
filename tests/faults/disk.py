"""What may be on a disk after a power cut, given what a program did until then.

The model is POSIX's own, as strict as it can be read, and a little stricter than ext4:

- The content of a file is there for certain after an `fsync` or `fdatasync` of it.
- A name (made, moved, removed) is there for certain after an `fsync` of the folder that it is in. That of the file alone may bring
  it or not.
- Until then, anything: each name by itself is there or not, in any combination; of a content nothing, all, a part that
  ends at a write, at a sector or at a page, its length with zeros, or any mixture of its sectors.
- A rename happens as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from recording import ROOT, Link, Operation, Recording, Rename, Said, Sync, Truncate, Unlink, Write, cut, write_at

SECTOR = 512
PAGE = 4096
NEVER = 1 << 60


@dataclass(frozen=True)
class State:
    """A disk: contents by path, none for folders."""

    #: After how many operations it can be met first, and last: what is promised grows meanwhile.
    first: int
    last: int
    files: dict[str, bytes | None]
    digest: str


class Disk:
    """Every state that a recording can leave."""

    def __init__(self, recording: Recording) -> None:
        self.nodes = recording.nodes
        self.operations = recording.operations
        self.settled = [self.settling(at) for at in range(len(self.operations))]
        self.hashes: dict[bytes, bytes] = {}

    def settling(self, at: int) -> int:
        """The operation that makes sure of an operation."""
        match self.operations[at]:
            case Write(inode=inode) | Truncate(inode=inode) | Link(folder=inode) | Unlink(folder=inode) | Rename(to_folder=inode):
                syncs = (
                    later
                    for later in range(at + 1, len(self.operations))
                    if isinstance(found := self.operations[later], Sync) and found.inode in (inode, None)
                )
                return next(syncs, NEVER)
            case _:
                return NEVER

    def contents(self, prefix: int, generator: random.Random) -> dict[int, list[bytes]]:
        """What each file may hold: first all that was written, then what is certain, then what lies between."""
        certain: dict[int, bytes] = {}
        latest: dict[int, bytes] = {}
        between: dict[int, list[bytes]] = {}
        for at, operation in enumerate(self.operations[:prefix]):
            if not isinstance(operation, Write | Truncate):
                continue
            inode = operation.inode
            content = apply(self.content(latest, inode), operation)
            latest[inode] = content
            if self.settled[at] < prefix:
                certain[inode] = content
                between[inode] = []
            else:
                between.setdefault(inode, []).append(content)
        choices = {}
        for inode, content in latest.items():
            base = certain.get(inode)
            if base is None:
                node = self.nodes[inode]
                assert isinstance(node, bytes)
                base = node
            torn = torn_between(base, content, generator) if content != base else []
            choices[inode] = list(dict.fromkeys([content, base, *between.get(inode, []), *torn]))
        return choices

    def content(self, contents: dict[int, bytes], inode: int) -> bytes:
        if inode in contents:
            return contents[inode]
        node = self.nodes[inode]
        assert isinstance(node, bytes)
        return node

    def names_at_risk(self, prefix: int) -> list[int]:
        names = (Link, Unlink, Rename)
        return [at for at in range(prefix) if isinstance(self.operations[at], names) and self.settled[at] >= prefix]

    def build(self, prefix: int, lost: frozenset[int], contents: dict[int, bytes]) -> State:
        """The disk without these operations on names, and with these contents."""
        folders: dict[int, dict[str, int]] = {}

        def names(inode: int) -> dict[str, int]:
            if inode not in folders:
                node = self.nodes[inode]
                assert isinstance(node, dict)
                folders[inode] = dict(node)
            return folders[inode]

        for at in range(prefix):
            operation = self.operations[at]
            if at in lost:
                continue
            match operation:
                case Link():
                    names(operation.folder)[operation.name] = operation.inode
                case Rename():
                    if names(operation.folder).get(operation.name) == operation.inode:
                        del names(operation.folder)[operation.name]
                    names(operation.to_folder)[operation.to_name] = operation.inode
                case Unlink():
                    there = names(operation.folder).get(operation.name)
                    # No file system forgets a folder with something in it, unless the loss of that was settled too.
                    held = there is not None and operation.is_folder and names(there) and self.settled[at] >= prefix
                    if there is not None and not held:
                        del names(operation.folder)[operation.name]
                case _:
                    pass
        files: dict[str, bytes | None] = {}
        pending = [("", ROOT)]
        while pending:
            path, inode = pending.pop()
            if isinstance(self.nodes[inode], bytes):
                files[path] = self.content(contents, inode)
                continue
            if path:
                files[path] = None
            pending += [(f"{path}/{name}" if path else name, below) for name, below in names(inode).items()]
        return State(prefix, prefix, files, self.digest(files))

    def digest(self, files: dict[str, bytes | None]) -> str:
        whole = hashlib.sha256()
        for path in sorted(files):
            content = files[path]
            whole.update(path.encode() + b"\0")
            if content is not None:
                if content not in self.hashes:
                    self.hashes[content] = hashlib.sha256(content).digest()
                whole.update(self.hashes[content])
        return whole.hexdigest()

    def states(self, seed: int, exhaustive: int, samples: int) -> list[State]:
        """Distinct disks, the same ones for the same seed. Where a moment has at most so many, all of them; else each single loss
        alone, each loss but one, and so many at random."""
        found: dict[str, State] = {}
        for prefix in range(len(self.operations) + 1):
            generator = random.Random(f"{seed} {prefix}")
            for state in self.states_at(prefix, generator, exhaustive, samples):
                former = found.get(state.digest)
                found[state.digest] = state if former is None else replace(former, last=prefix)
        return list(found.values())

    def states_at(self, prefix: int, generator: random.Random, exhaustive: int, samples: int) -> Iterator[State]:
        risky = self.names_at_risk(prefix)
        choices = self.contents(prefix, generator)
        latest = {inode: contents[0] for inode, contents in choices.items()}
        # A file whose name is not there has no content to speak of; those that are there for certain don't matter either.
        open_choices = {inode: contents for inode, contents in choices.items() if len(contents) > 1}
        count = 2 ** min(len(risky), 40)
        for contents in open_choices.values():
            count *= len(contents)
        if count <= exhaustive:
            for kept in itertools.product([False, True], repeat=len(risky)):
                lost = frozenset(at for at, keep in zip(risky, kept, strict=True) if not keep)
                for picked in itertools.product(*open_choices.values()):
                    yield self.build(prefix, lost, latest | dict(zip(open_choices, picked, strict=True)))
            return
        nothing, everything = frozenset[int](), frozenset(risky)
        certain = latest | {inode: contents[1] for inode, contents in open_choices.items()}
        for contents_of_all in (latest, certain):
            for lost in (nothing, everything):
                yield self.build(prefix, lost, contents_of_all)
            for at in risky:
                yield self.build(prefix, frozenset([at]), contents_of_all)
                yield self.build(prefix, everything - {at}, contents_of_all)
        for inode, contents in open_choices.items():
            for content in contents:
                yield self.build(prefix, nothing, latest | {inode: content})
        for _ in range(samples):
            share = generator.choice([0.1, 0.5, 0.9])
            lost = frozenset(at for at in risky if generator.random() < share)
            picks = {inode: generator.choice(contents) for inode, contents in open_choices.items()}
            yield self.build(prefix, lost, latest | picks)


def apply(content: bytes, operation: Operation) -> bytes:
    match operation:
        case Write():
            return write_at(content, operation.offset, operation.bytes)
        case Truncate():
            return cut(content, operation.length)
        case Link() | Unlink() | Rename() | Sync() | Said():
            return content


def torn_between(old: bytes, new: bytes, generator: random.Random) -> list[bytes]:
    """What may be there of a content that was on its way from `old` to `new`."""
    same = next((at for at, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    behind = cut(old[: len(new)], len(new))
    torn = [behind]
    for step in (SECTOR, PAGE):
        ends = range(same - same % step + step, len(new), step)
        some = ends if len(ends) <= 6 else sorted(generator.sample(ends, 6))
        # The length as far as the content, or already the whole one.
        torn += [new[:end] for end in some]
        torn += [new[:end] + behind[end:] for end in some]
    for _ in range(3):
        mixture = bytearray(behind)
        for at in range(same - same % SECTOR, len(new), SECTOR):
            if generator.random() < 0.5:
                mixture[at : at + SECTOR] = new[at : at + SECTOR]
        torn.append(bytes(mixture))
    return torn

