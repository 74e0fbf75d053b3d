"""Has what a script reads through fsspec recorded as an input of its run.

Every file system of it comes down to a few methods of its class, however it is asked: `fsspec.open`, `fs.open`, `fs.cat`, `fs.get`,
pandas and others. Those are wrapped, of classes that are there and of classes to come. Where one asks another, both are told, and count
once.
"""

import os

from ._reading import Reading, guarded, watch

_MARK = "_by_aurum"


def wrap(module):
    """Watch all file systems."""
    base = module.AbstractFileSystem
    if hasattr(base, _MARK):
        return
    setattr(base, _MARK, True)
    former = base.__dict__.get("__init_subclass__")

    def __init_subclass__(cls, **kwargs):
        if former is None:
            super(base, cls).__init_subclass__(**kwargs)
        else:
            former.__get__(None, cls)(**kwargs)
        guarded(_watch_class, cls)

    base.__init_subclass__ = classmethod(__init_subclass__)
    there = base.__subclasses__()
    while there:
        cls = there.pop()
        there += cls.__subclasses__()
        guarded(_watch_class, cls)


def _watch_class(cls):
    for name, over in _OVER.items():
        original = cls.__dict__.get(name)
        # Class methods and the like are not what is called so.
        if callable(original) and not hasattr(original, _MARK):
            ours = over(original)
            ours.__name__, ours.__qualname__, ours.__doc__ = name, f"{cls.__qualname__}.{name}", original.__doc__
            ours.__wrapped__ = original
            setattr(ours, _MARK, True)
            setattr(cls, name, ours)


def _reading(system, path, exact=True):
    protocol = system.protocol if isinstance(system.protocol, str) else next(iter(system.protocol), None)
    path = os.fspath(system._strip_protocol(path))
    if protocol == "file":
        path = _within(path)
    return Reading("fsspec", protocol, path, exact=exact)


def _within(path):
    """As the project has it; of what lies elsewhere on this computer the name alone."""
    from . import _aurum

    root = _aurum.project()
    if root is not None:
        relative = os.path.relpath(os.path.realpath(path), os.path.realpath(root))
        if relative.partition(os.sep)[0] != os.pardir:
            return relative
    return os.path.basename(path)


def _is_read(mode):
    return isinstance(mode, str) and "r" in mode


def _open(original):
    def _open(self, path, mode="rb", *args, **kwargs):
        file = original(self, path, mode, *args, **kwargs)
        reading = guarded(_reading, self, path, "+" not in mode) if _is_read(mode) else None
        return file if reading is None else watch(file, reading)

    return _open


def _open_async(original):
    async def open_async(self, path, mode="rb", *args, **kwargs):
        file = await original(self, path, mode, *args, **kwargs)
        reading = guarded(_reading, self, path, "+" not in mode) if _is_read(mode) else None
        return file if reading is None else watch(file, reading)

    return open_async


def _cat(original):
    def cat_file(self, path, start=None, end=None, **kwargs):
        data = original(self, path, start=start, end=end, **kwargs)
        guarded(_got, self, path, data, start is None and end is None)
        return data

    return cat_file


def _cat_async(original):
    async def _cat_file(self, path, start=None, end=None, **kwargs):
        data = await original(self, path, start=start, end=end, **kwargs)
        guarded(_got, self, path, data, start is None and end is None)
        return data

    return _cat_file


def _got(system, path, data, whole):
    reading = _reading(system, path)
    if isinstance(data, (bytes, bytearray, memoryview)):
        reading.took(data, whole)
        reading.tell(whole)


def _get(original):
    def get_file(self, rpath, lpath, *args, **kwargs):
        result = original(self, rpath, lpath, *args, **kwargs)
        guarded(_fetched, self, rpath, lpath)
        return result

    return get_file


def _get_async(original):
    async def _get_file(self, rpath, lpath, *args, **kwargs):
        result = await original(self, rpath, lpath, *args, **kwargs)
        guarded(_fetched, self, rpath, lpath)
        return result

    return _get_file


def _fetched(system, path, local):
    if not isinstance(local, (str, os.PathLike)) or not os.path.isfile(local):
        return
    reading = _reading(system, path)
    with open(local, "rb") as file:
        while piece := file.read(1 << 20):
            reading.took(piece, False)
    reading.took(b"", True)


_OVER = {
    "_open": _open,
    "open_async": _open_async,
    "cat_file": _cat,
    "_cat_file": _cat_async,
    "get_file": _get,
    "_get_file": _get_async,
}
