"""Runs as blocks of code, and figures."""

import sys

from . import _aurum
from ._streams import is_in_cell
from ._threads import is_main


def run(name=None, *, tags=None, group=None, resume=None):
    """Record a block of code as an experiment of its own, or each call of a function.

    A block that begins within a run is a part of it: its experiment has that one as its parent. Each thread and each task logs to the block
    that it is in; threads that are in none, to the main thread's innermost.

    Whatever ends the block ends the experiment: without an exception it is `finished`, with one `failed`, with the traceback, and with
    Ctrl-C, or where its task is cancelled, `interrupted`. The exception goes on as it would have.

    Args:
        name: A name to select the experiment by, besides its id. A function's own name without it.
        tags: Words to find it by, as `aurum.tag` gives it.
        group: What it belongs to, as `aurum.group` says.
        resume: An experiment to go on with, as `aurum.start` takes it.

    Returns:
        A context manager and decorator. What it gives to `as` has the experiment's `id`, and `experiment()` to read it.

    Raises:
        AurumError: At the block's beginning, if the name, a tag or the group can't be one.
        InvalidValueError: If the function is a generator.

    Example:
        >>> for rate in (0.1, 0.01):
        ...     with aurum.run("sweep") as run:
        ...         aurum.parameters(rate=rate)
        ...         aurum.register_metric(accuracy=train(rate))

        >>> @aurum.run
        ... def train(rate): ...
    """
    if callable(name):
        return Run(None)(name)
    return Run(name, tags, group, resume)


class Run:
    """A block of code that is an experiment; `aurum.run` makes them.

    Attributes:
        name: The name that it was given, else None.
        tags: The tags that it was given, a tuple.
        group: The group that it was given, else None.
        resume: The experiment that it goes on with, as it was given, else None.
        id: The experiment's id; None before it begins, and where nothing is recorded.
    """

    __slots__ = ("name", "tags", "group", "resume", "id", "_entered")

    def __init__(self, name, tags=None, group=None, resume=None):
        self.name, self.group, self.resume, self.id = name, group, resume, None
        self._entered = []
        self.tags = (tags,) if isinstance(tags, str) else tuple(tags or ())

    def __enter__(self):
        given = {"tags": self.tags, "group": self.group, "resume": self.resume}
        entered = _aurum.enter_block(self.name, **given, is_shared=_is_shared())
        # One that is entered within itself leaves the inner one first.
        self._entered.append(entered)
        self.id = _aurum.run_id()
        return self

    def __exit__(self, kind, exception, traceback):
        _aurum.leave_block(*self._entered.pop(), exception)
        return False

    def __call__(self, function):
        from functools import wraps
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        name = self.name or getattr(function, "__name__", None)
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            from ._errors import InvalidValueError

            # Between its values it is not known whose the calls are.
            hint = "Use `with aurum.run():` where the values are consumed"
            raise InvalidValueError(f"`{name}` is a generator, which can be no run\nhint: {hint}")
        if iscoroutinefunction(function):

            @wraps(function)
            async def recorded(*args, **kwargs):
                with Run(name, self.tags, self.group, self.resume):
                    return await function(*args, **kwargs)
        else:

            @wraps(function)
            def recorded(*args, **kwargs):
                with Run(name, self.tags, self.group, self.resume):
                    return function(*args, **kwargs)

        return recorded

    def experiment(self):
        """Read the experiment.

        Returns:
            An `Experiment`, as it stands now.

        Raises:
            UnknownExperimentError: Where nothing is recorded.
        """
        from ._errors import UnknownExperimentError
        from ._experiments import experiment

        if self.id is None:
            raise UnknownExperimentError("Of this block nothing is recorded, or it has not begun")
        return experiment(self.id)

    def __repr__(self):
        return f"<Run {self.id[:8] if self.id else 'not recorded'}{f' {self.name!r}' if self.name else ''}>"


def _is_shared():
    """Whether a block that begins here is for all threads: in the main one, and in no task that may run beside others."""
    if not is_main():
        return False
    asyncio = sys.modules.get("asyncio")
    # What notebooks run is a task of theirs, one cell after the other.
    return asyncio is None or asyncio._get_running_loop() is None or is_in_cell()


def log_figure(figure, name="figure.png", **options):
    """Keep a picture of a figure with the experiment.

    Args:
        figure: Whatever has a `savefig(file, format=...)`, as figures of matplotlib have, or a `figure` that has one, as its axes have.
        name: What it is called, a path too; its suffix is the format: `.png`, `.svg`, `.pdf`.
        options: What else `savefig` takes, such as `dpi=200`.

    Raises:
        InvalidValueError: If it is no figure, or the name has no suffix.

    Example:
        >>> figure, axes = matplotlib.pyplot.subplots()
        >>> aurum.log_figure(figure, "losses.svg")
    """
    from io import BytesIO
    from os import fspath

    from ._errors import InvalidValueError

    name = fspath(name)
    save = getattr(figure, "savefig", None) or getattr(getattr(figure, "figure", None), "savefig", None)
    if not callable(save):
        kind = type(figure).__name__
        raise InvalidValueError(f"A figure is kept as a picture, and `{kind}` has no `savefig`\nhint: Give a figure of matplotlib")
    _, dot, suffix = name.rpartition(".")
    if not (dot and suffix):
        raise InvalidValueError(f"`{name}` tells no format\nhint: Give the name a suffix, such as `figure.png`")
    picture = BytesIO()
    save(picture, format=suffix, **options)
    _aurum.log_artifact(picture.getbuffer(), name)


for _public in (Run, run, log_figure):
    # The name that people know them by.
    _public.__module__ = "aurum"
