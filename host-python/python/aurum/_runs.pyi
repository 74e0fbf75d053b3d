from collections.abc import Callable, Iterable
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar, overload

from ._experiments import Experiment

_Function = TypeVar("_Function", bound=Callable[..., Any])

class _Figure(Protocol):
    def savefig(self, fname: Any, /, *, format: str) -> Any: ...

class _Part(Protocol):
    @property
    def figure(self) -> _Figure | Any: ...

@overload
def run(name: _Function) -> _Function: ...
@overload
def run(
    name: str | None = None, *, tags: Iterable[str] | None = None, group: str | None = None, resume: str | None = None
) -> Run: ...

class Run:
    name: str | None
    tags: tuple[str, ...]
    group: str | None
    resume: str | None
    id: str | None
    def __init__(
        self, name: str | None, tags: Iterable[str] | None = None, group: str | None = None, resume: str | None = None
    ) -> None: ...
    def __enter__(self) -> Run: ...
    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]: ...
    def __call__(self, function: _Function) -> _Function: ...
    def experiment(self) -> Experiment: ...

def log_figure(figure: _Figure | _Part, name: str | PathLike[str] = "figure.png", **options: Any) -> None: ...
