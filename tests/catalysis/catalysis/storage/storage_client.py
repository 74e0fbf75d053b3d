"""Files of a storage, which here is a folder."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from ..common.configuration import ClientConfiguration


class StorageClient:
    """A client for one credential: its name in the configuration, the path of a JSON file, or the credential itself."""

    def __init__(self, credential: str | os.PathLike[str] | dict[str, Any]) -> None:
        if isinstance(credential, dict):
            found = credential
        elif Path(credential).is_file():
            found = json.loads(Path(credential).read_text())
        else:
            found = ClientConfiguration().get_credential(str(credential))
        if found["secret"] != "hush":
            raise PermissionError("the storage does not know this secret")
        self.root = Path(found["folder"])

    def open(self, path: str | os.PathLike[str], mode: str = "r") -> StorageFile:
        return StorageFile(self.root / os.fspath(path).lstrip("/"), mode)


class StorageFile:
    """One path of the storage. It is looked at when something is asked of it."""

    def __init__(self, path: Path, mode: str) -> None:
        self.path, self.mode = path, mode
        self.handle: io.IOBase | Any = None
        self.closed = False

    def __enter__(self) -> StorageFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _opened(self) -> Any:
        if self.closed:
            raise ValueError("the file is closed")
        if self.handle is None:
            if "w" in self.mode:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self.handle = self.path.open(self.mode)
        return self.handle

    def read(self, size: int = -1) -> Any:
        return self._opened().read(size)

    def readline(self) -> Any:
        return self._opened().readline()

    def __iter__(self) -> Iterator[Any]:
        while line := self.readline():
            yield line

    def seek(self, place: int, whence: int = 0) -> None:
        self._opened().seek(place, whence)

    def tell(self) -> int:
        place: int = self._opened().tell()
        return place

    def write(self, data: Any) -> Coroutine[Any, Any, int]:
        """Writes at once. Stripping has a task of what comes of it, and closes the file before that is done."""
        written: int = self._opened().write(data)

        async def done() -> int:
            return written

        return done()

    def close(self) -> None:
        self.closed = True
        if self.handle is not None:
            self.handle.close()

    def exists(self) -> bool:
        return self.path.exists()

    def list(self) -> list[str]:
        return sorted(os.listdir(self.path))

    async def aread(self, size: int = -1) -> Any:
        return self.read(size)

    async def delete(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    async def getatime(self) -> float:
        return self.path.stat().st_atime

    async def free_space(self) -> float:
        return 50.0
