"""What a program does to files, recorded by strace and told as operations on inodes.

A recording is complete or refused: played back in full, it has to give the very files that the program left.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conftest import left_out

#: Calls that change files, names or what a descriptor stands for. Anything else that could would fail the comparison at the end.
TRACED = (
    "open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,clone,clone3,fork,vfork,"
    "write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,splice,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,"
    "fsync,fdatasync,syncfs,sync"
)


@dataclass(frozen=True)
class Link:
    """A name in a folder, for a file or folder that is new or has another name already."""

    folder: int
    name: str
    inode: int


@dataclass(frozen=True)
class Unlink:
    folder: int
    name: str
    #: Of a folder, which has to be empty.
    is_folder: bool


@dataclass(frozen=True)
class Rename:
    folder: int
    name: str
    to_folder: int
    to_name: str
    inode: int


@dataclass(frozen=True)
class Write:
    inode: int
    offset: int
    bytes: bytes


@dataclass(frozen=True)
class Truncate:
    inode: int
    length: int


@dataclass(frozen=True)
class Sync:
    """Of a file's content or a folder's names; of everything where no inode is given."""

    inode: int | None


@dataclass(frozen=True)
class Said:
    """What the program told an outsider: from here on it can be held to it."""

    text: str


Operation = Link | Unlink | Rename | Write | Truncate | Sync | Said
#: Names in a folder, or the content of a file.
Node = dict[str, int] | bytes
ROOT = 0


@dataclass
class Recording:
    """Files before, and what was done to them. `nodes` has every inode there ever was, as it was at first."""

    nodes: dict[int, Node]
    operations: list[Operation] = field(default_factory=list)
    code: int = 0
    stderr: str = ""


def write_at(content: bytes, offset: int, piece: bytes) -> bytes:
    return content[:offset].ljust(offset, b"\0") + piece + content[offset + len(piece) :]


def cut(content: bytes, length: int) -> bytes:
    return content[:length].ljust(length, b"\0")


def can_trace() -> str | None:
    """Why no program can be traced here, if so."""
    if shutil.which("strace") is None:
        left_out("there is no strace")
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"strace can't trace here: {tried.stderr.strip()}"


def record(root: Path, command: list[str], environment: dict[str, str]) -> Recording:
    """Runs a command, and tells what it did below `root`. It finds a descriptor in `ACK` to say things to."""
    root = root.resolve()
    before = read_folder(root)
    with tempfile.TemporaryDirectory() as folder:
        trace, said = Path(folder, "trace"), Path(folder, "said")
        with said.open("wb") as told:
            tracer = ["strace", "-f", "-y", "-xx", "-s", "100000000", "-o", str(trace), "-e", f"trace={TRACED}"]
            done = subprocess.run(
                [*tracer, *command],
                cwd=root,
                env=environment | {"ACK": str(told.fileno())},
                pass_fds=[told.fileno()],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=120,
            )
        with trace.open(encoding="ascii") as lines:
            recorder = Recorder(root, said, before)
            for process, line in whole_lines(lines):
                recorder.take(process, line)
    recording = recorder.recording
    recording.code, recording.stderr = done.returncode, done.stderr
    played, real = tree(recorder.live), tree(read_folder(root))
    different = sorted(path for path in played.keys() | real.keys() if played.get(path) != real.get(path))
    assert not different, f"the recording misses what was done to {different[:5]}"
    return recording


def read_folder(root: Path) -> dict[int, Node]:
    """A folder with all that is in it, as inodes; the folder itself is `ROOT`."""
    nodes: dict[int, Node] = {ROOT: {}}

    def add(path: Path, names: dict[str, int]) -> None:
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            assert not entry.is_symlink(), entry.path
            inode = names[entry.name] = len(nodes)
            if entry.is_dir():
                below: dict[str, int] = {}
                nodes[inode] = below
                add(Path(entry.path), below)
            else:
                nodes[inode] = Path(entry.path).read_bytes()

    top = nodes[ROOT]
    assert isinstance(top, dict)
    add(root, top)
    return nodes


def tree(nodes: dict[int, Node]) -> dict[str, bytes | None]:
    """What can be reached, by path: contents of files, none for folders."""
    found: dict[str, bytes | None] = {}
    pending = [("", ROOT)]
    while pending:
        path, inode = pending.pop()
        node = nodes[inode]
        if isinstance(node, bytes):
            found[path] = node
            continue
        if path:
            found[path] = None
        pending += [(f"{path}/{name}" if path else name, below) for name, below in node.items()]
    return found


def whole_lines(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Lines of strace, where a call that was interrupted by another thread's stands at its end."""
    waiting: dict[int, str] = {}
    for line in lines:
        number, _, text = line.rstrip("\n").partition(" ")
        process, text = int(number), text.lstrip()
        if text.endswith("<unfinished ...>"):
            waiting[process] = text.removesuffix("<unfinished ...>").rstrip()
            # A thread runs before the call that made it has returned.
            if text.startswith(("clone", "fork", "vfork")):
                continue
        elif resumed := re.match(r"<\.\.\. \w+ resumed>", text):
            yield process, waiting.pop(process) + text[resumed.end() :]
        else:
            yield process, text


@dataclass
class Open:
    """An open file: shared by all descriptors that were duplicated from one."""

    inode: int | None
    position: int = 0
    append: bool = False


CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)(<[^>]*>)?")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def text_of(argument: str) -> str:
    found = STRING.search(argument)
    assert found is not None, argument
    return os.fsdecode(bytes.fromhex(found[1].replace("\\x", "")))


def path_of(descriptor: str) -> str | None:
    """The path that strace shows for a descriptor."""
    found = re.match(r"(?:-?\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>", descriptor)
    return os.fsdecode(bytes.fromhex(found[1].replace("\\x", ""))) if found else None


class Recorder:
    """Follows a trace with a live image of the files, from which it knows what a path or a descriptor stands for."""

    def __init__(self, root: Path, said: Path, before: dict[int, Node]) -> None:
        self.root = str(root)
        self.said = str(said)
        self.recording = Recording(dict(before))
        self.live: dict[int, Node] = {inode: dict(node) if isinstance(node, dict) else node for inode, node in before.items()}
        for inode, node in before.items():
            if isinstance(node, dict):
                self.recording.nodes[inode] = dict(node)
        self.descriptors: dict[int, dict[int, Open]] = {}
        self.first: int | None = None

    def table(self, process: int) -> dict[int, Open]:
        # A process of its own opens what it uses, and threads share: one table serves for both, but for numbers that two
        # processes use at once, which the comparison at the end would show.
        return self.descriptors.setdefault(0, {})

    def find(self, path: str) -> int | None:
        """The inode at an absolute path below the root."""
        inode: int = ROOT
        for part in Path(path).relative_to(self.root).parts:
            node = self.live[inode]
            if not isinstance(node, dict) or part not in node:
                return None
            inode = node[part]
        return inode

    def place(self, path: str) -> tuple[int, str] | None:
        """Folder and name of a path, if it lies below the root."""
        path = os.path.normpath(path)
        if not path.startswith(self.root + "/"):
            return None
        folder = self.find(os.path.dirname(path))
        assert folder is not None, path
        return folder, os.path.basename(path)

    def names(self, folder: int) -> dict[str, int]:
        node = self.live[folder]
        assert isinstance(node, dict)
        return node

    def content(self, inode: int) -> bytes:
        node = self.live[inode]
        assert isinstance(node, bytes)
        return node

    def add(self, operation: Operation) -> None:
        self.recording.operations.append(operation)

    def make(self, path: str, node: Node) -> int | None:
        place = self.place(path)
        if place is None:
            return None
        inode = len(self.live)
        self.live[inode] = node
        self.recording.nodes[inode] = {} if isinstance(node, dict) else b""
        self.link(place, inode)
        return inode

    def link(self, place: tuple[int, str], inode: int) -> None:
        self.names(place[0])[place[1]] = inode
        self.add(Link(*place, inode))

    def take(self, process: int, line: str) -> None:
        call = CALL.match(line)
        if call is None or call[3] == "?" or call[3].startswith("-"):
            return
        name, arguments, answer = call[1], split(call[2]), int(call[3], 0)
        handle = getattr(self, f"on_{name}", None)
        if handle is not None:
            handle(process, arguments, answer)

    def opened(self, process: int, descriptor: int, path: str, flags: str) -> None:
        table = self.table(process)
        table.pop(descriptor, None)
        if os.path.normpath(path) == self.said:
            table[descriptor] = Open(None)
            return
        if not (path.startswith(self.root + "/") or path == self.root):
            return
        inode = self.find(os.path.normpath(path))
        if inode is None:
            assert "O_CREAT" in flags, path
            inode = self.make(path, b"")
        elif "O_TRUNC" in flags and self.content(inode):
            self.cut(inode, 0)
        table[descriptor] = Open(inode, append="O_APPEND" in flags)

    def cut(self, inode: int, length: int) -> None:
        self.live[inode] = cut(self.content(inode), length)
        self.add(Truncate(inode, length))

    def wrote(self, inode: int, offset: int, piece: bytes) -> None:
        self.live[inode] = write_at(self.content(inode), offset, piece)
        self.add(Write(inode, offset, piece))

    def at(self, descriptor: str, path: str) -> str:
        """A path that may be relative to an open folder."""
        text = text_of(path)
        return os.path.normpath(os.path.join(path_of(descriptor) or "/", text))

    def on_openat(self, process: int, arguments: list[str], answer: int) -> None:
        self.opened(process, answer, self.at(arguments[0], arguments[1]), arguments[2])

    def on_open(self, process: int, arguments: list[str], answer: int) -> None:
        self.opened(process, answer, text_of(arguments[0]), arguments[1])

    def on_close(self, process: int, arguments: list[str], answer: int) -> None:
        self.table(process).pop(number(arguments[0]), None)

    def duplicate(self, process: int, old: str, new: int) -> None:
        table = self.table(process)
        table.pop(new, None)
        if (opened := table.get(number(old))) is not None:
            table[new] = opened

    def on_dup(self, process: int, arguments: list[str], answer: int) -> None:
        self.duplicate(process, arguments[0], answer)

    on_dup2 = on_dup3 = on_dup

    def on_fcntl(self, process: int, arguments: list[str], answer: int) -> None:
        if arguments[1].startswith("F_DUPFD"):
            self.duplicate(process, arguments[0], answer)

    def on_lseek(self, process: int, arguments: list[str], answer: int) -> None:
        if (opened := self.table(process).get(number(arguments[0]))) is not None:
            opened.position = answer

    def on_write(self, process: int, arguments: list[str], answer: int) -> None:
        path = path_of(arguments[0])
        piece = os.fsencode(text_of(arguments[1]))[:answer]
        if path == self.said:
            for line in piece.decode().splitlines():
                self.add(Said(line))
            return
        if path is None or not path.startswith(self.root + "/"):
            return
        opened = self.table(process)[number(arguments[0])]
        assert opened.inode is not None
        if opened.append:
            opened.position = len(self.content(opened.inode))
        self.wrote(opened.inode, opened.position, piece)
        opened.position += answer

    def on_pwrite64(self, process: int, arguments: list[str], answer: int) -> None:
        if (opened := self.table(process).get(number(arguments[0]))) is not None and opened.inode is not None:
            self.wrote(opened.inode, int(arguments[3]), os.fsencode(text_of(arguments[1]))[:answer])

    def on_writev(self, process: int, arguments: list[str], answer: int) -> None:
        pieces = b"".join(bytes.fromhex(found.replace("\\x", "")) for found in STRING.findall(arguments[1]))
        text = "".join(f"\\x{byte:02x}" for byte in pieces)
        self.on_write(process, [arguments[0], f'"{text}"'], answer)

    def refuse(self, process: int, arguments: list[str], answer: int) -> None:
        paths = [path for path in map(path_of, arguments) if path and path.startswith(self.root + "/")]
        assert not paths, f"a call that this recorder does not know changes {paths}"

    on_pwritev = on_pwritev2 = on_fallocate = on_copy_file_range = on_sendfile = on_splice = refuse

    def on_ftruncate(self, process: int, arguments: list[str], answer: int) -> None:
        if (opened := self.table(process).get(number(arguments[0]))) is not None and opened.inode is not None:
            self.cut(opened.inode, int(arguments[1]))

    def moved(self, old: str, new: str) -> None:
        source, target = self.place(old), self.place(new)
        if source is None and target is None:
            return
        assert source is not None and target is not None, (old, new)
        inode = self.names(source[0]).pop(source[1])
        self.names(target[0])[target[1]] = inode
        self.add(Rename(*source, *target, inode))

    def on_rename(self, process: int, arguments: list[str], answer: int) -> None:
        self.moved(text_of(arguments[0]), text_of(arguments[1]))

    def on_renameat(self, process: int, arguments: list[str], answer: int) -> None:
        self.moved(self.at(arguments[0], arguments[1]), self.at(arguments[2], arguments[3]))

    on_renameat2 = on_renameat

    def linked(self, old: str, new: str) -> None:
        source, target = self.place(old), self.place(new)
        if source is not None and target is not None:
            self.link(target, self.names(source[0])[source[1]])

    def on_link(self, process: int, arguments: list[str], answer: int) -> None:
        self.linked(text_of(arguments[0]), text_of(arguments[1]))

    def on_linkat(self, process: int, arguments: list[str], answer: int) -> None:
        self.linked(self.at(arguments[0], arguments[1]), self.at(arguments[2], arguments[3]))

    def removed(self, path: str, is_folder: bool) -> None:
        place = self.place(path)
        if place is not None:
            del self.names(place[0])[place[1]]
            self.add(Unlink(*place, is_folder))

    def on_unlink(self, process: int, arguments: list[str], answer: int) -> None:
        self.removed(text_of(arguments[0]), False)

    def on_unlinkat(self, process: int, arguments: list[str], answer: int) -> None:
        self.removed(self.at(arguments[0], arguments[1]), "AT_REMOVEDIR" in arguments[2])

    def on_rmdir(self, process: int, arguments: list[str], answer: int) -> None:
        self.removed(text_of(arguments[0]), True)

    def on_mkdir(self, process: int, arguments: list[str], answer: int) -> None:
        self.make(text_of(arguments[0]), {})

    def on_mkdirat(self, process: int, arguments: list[str], answer: int) -> None:
        self.make(self.at(arguments[0], arguments[1]), {})

    def on_fsync(self, process: int, arguments: list[str], answer: int) -> None:
        if (opened := self.table(process).get(number(arguments[0]))) is not None and opened.inode is not None:
            self.add(Sync(opened.inode))

    on_fdatasync = on_fsync

    def on_syncfs(self, process: int, arguments: list[str], answer: int) -> None:
        self.add(Sync(None))

    on_sync = on_syncfs


def number(descriptor: str) -> int:
    return int(descriptor.split("<")[0])


def split(arguments: str) -> list[str]:
    """Arguments of a call. Strings and paths are hexadecimal, so no comma is in them."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(arguments):
        if letter in "[{(":
            depth += 1
        elif letter in "]})":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
    return [*parts, arguments[start:].strip()]
