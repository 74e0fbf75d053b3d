"""Watches files that a script reads through the client of a storage: how far each is read, and by which SHA-256.

A file stays the object that it is, with a class of ours laid over its own. Where Python forbids that, as for those of C, a stand-in takes
its place. Nothing here ever fails a read: what goes wrong is told once, and the file goes on unwatched.
"""

import sys

from _weakrefset import WeakSet

from . import _aurum

#: Where a watched file has its reading.
_KEY = "_aurum_reading"
#: Watched files that may have something to tell yet.
_under_way: WeakSet = WeakSet()
#: What stands for each class of files.
_classes: dict = {}


class Reading:
    """One file, as far as it was read.

    Only what is read in order from the start can be hashed. Bytes that are skipped and read later are hashed when they come.
    """

    __slots__ = (
        "through", "storage", "path", "size", "exact", "busy", "over", "touched", "at", "hashed", "hash", "text", "__weakref__"
    )

    def __init__(self, through, storage, path, size=None, exact=True):
        self.through, self.storage, self.path, self.size = through, storage, path, size
        #: Whether what is read is what the file holds.
        self.exact = exact
        self.busy = self.over = self.touched = self.text = False
        self.at = self.hashed = 0
        self.hash = None

    def took(self, data, ended):
        """Note what was read, and whether that was the end."""
        if self.over:
            return
        self.touched = True
        if isinstance(data, str):
            self.text = True
            data = data.encode("utf-8", "surrogateescape")
        view = memoryview(data).cast("B")
        begin, self.at = self.at, self.at + len(view)
        if begin <= self.hashed < self.at:
            if self.hash is None:
                from hashlib import sha256

                self.hash = sha256()
            self.hash.update(view[self.hashed - begin :])
            self.hashed = self.at
        if (ended and self.at == self.hashed) or (self.hashed and self.hashed == self.size):
            self.tell(whole=True)

    def moved(self, place):
        """Note that the next read is from another place."""
        if self.text and place:
            # Of text, places are no counts of bytes.
            self.exact = False
        self.at = place

    def tell(self, whole):
        """Record the file, once."""
        if self.over:
            return
        self.over = True
        _under_way.discard(self)
        # Of text nobody can tell which bytes it was made of, unless their number says so.
        if self.text and self.size != self.hashed:
            whole = False
        digest = None
        if whole and self.exact:
            from hashlib import sha256

            digest = "sha256:" + (self.hash or sha256()).hexdigest()
            self.size = self.hashed
        self.hash = None
        _aurum.note_reading(self.through, self.storage, self.path, self.size, digest)

    def ends(self, probe):
        """Note that nothing more will be read. `probe` reads a byte, if there is one."""
        if self.over or not self.touched:
            self.over = True
            return
        whole = self.hashed == self.size
        if self.size is None and self.at == self.hashed and self.hashed and not self.text and probe is not None:
            # Whoever unpickles stops where the pickle ends, and has read it all.
            whole = probe() in (b"", "")
        self.tell(whole)

    def __del__(self):
        # The file was dropped, and not closed.
        guarded(self.ends, None)


def flush():
    """Record what is being read, as far as it was; the package has it called when a run ends."""
    for reading in list(_under_way):
        guarded(reading.ends, None)


def guarded(work, *arguments):
    """Do something of ours, and never fail for it."""
    try:
        return work(*arguments)
    except Exception as problem:
        if not sys.is_finalizing():
            _aurum.warn(f"Not all that the script reads is recorded: {problem!r}")
        return None


def watch(file, reading):
    """Have a file tell the reading what is read of it; what is to be used in its place."""
    watched = guarded(_watch, file, reading)
    return file if watched is None else watched


def _watch(file, reading):
    _under_way.add(reading)
    if reading.size is None:
        size = getattr(file, "size", None)
        reading.size = size if type(size) is int and size >= 0 else None
    kind = type(file)
    if kind in _originals:
        # It is used again, as by a client that opens itself.
        former = file.__dict__.get(_KEY)
        if former is not None and former is not reading:
            former.ends(None)
        file.__dict__[_KEY] = reading
        return file
    try:
        attributes = file.__dict__
        attributes[_KEY] = reading
        file.__class__ = _class_over(kind)
    except (AttributeError, TypeError):
        getattr(file, "__dict__", {}).pop(_KEY, None)
        return StandIn(file, reading)
    for name in _WATCHED:
        # What an object has of its own comes before what its class has.
        if name in attributes and callable(attributes[name]):
            attributes[name] = _bound(name, attributes[name], file)
    return file


#: The classes that ours are laid over.
_originals: dict = {}


def _class_over(kind):
    ours = _classes.get(kind)
    if ours is None:
        names = [name for name in _WATCHED if callable(getattr(kind, name, None))]
        body = {name: _method(name, kind) for name in names}
        body |= {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        body["__reduce_ex__"] = _reduce(kind)
        if hasattr(kind, "__getattr__"):
            body["__getattr__"] = _attribute(kind)
        ours = _classes[kind] = type(kind)(kind.__name__, (kind,), body)
        _originals[ours] = kind
    return ours


def _method(name, kind):
    original = getattr(kind, name)
    watched = _WATCHED[name]

    def method(self, *args, **kwargs):
        reading = self.__dict__.get(_KEY)
        if reading is None or reading.busy:
            return original(self, *args, **kwargs)
        return watched(self, reading, lambda: original(self, *args, **kwargs), args, lambda: kind.read(self, 1))

    method.__name__, method.__qualname__ = name, f"{kind.__qualname__}.{name}"
    method.__doc__ = getattr(original, "__doc__", None)
    return method


def _bound(name, original, file):
    watched = _WATCHED[name]

    def method(*args, **kwargs):
        reading = file.__dict__.get(_KEY)
        if reading is None or reading.busy:
            return original(*args, **kwargs)
        return watched(file, reading, lambda: original(*args, **kwargs), args, None)

    return method


def _attribute(kind):
    """Of what a file hands on to another, as those of fsspec's folders do."""

    def __getattr__(self, name):
        value = kind.__getattr__(self, name)
        return _bound(name, value, self) if name in _WATCHED and callable(value) else value

    return __getattr__


def _reduce(kind):
    """Pickles name classes by where they are found, and there is the original: the file is as it was from then on."""

    def __reduce_ex__(self, protocol):
        reading = self.__dict__.pop(_KEY, None)
        if reading is not None:
            guarded(reading.ends, None)
        self.__class__ = kind
        return self.__reduce_ex__(protocol)

    return __reduce_ex__


def _special(name):
    def method(self, *args, **kwargs):
        value = getattr(self._file, name)
        return _stand_in(self, name, value, args, kwargs) if name in _WATCHED else value(*args, **kwargs)

    return method


class StandIn:
    """Stands for a file that takes no class of ours."""

    def __init__(self, file, reading):
        self.__dict__.update(_file=file, **{_KEY: reading})

    def __getattr__(self, name):
        value = getattr(self._file, name)
        if name in _WATCHED and callable(value):
            return lambda *args, **kwargs: _stand_in(self, name, value, args, kwargs)
        return value

    def __setattr__(self, name, value):
        setattr(self._file, name, value)

    @property  # type: ignore[misc]
    def __class__(self):
        return type(self._file)

    def __repr__(self):
        return repr(self._file)

    __iter__ = _special("__iter__")
    __next__ = _special("__next__")
    __aiter__ = _special("__aiter__")
    __anext__ = _special("__anext__")
    __enter__ = _special("__enter__")
    __exit__ = _special("__exit__")
    __aenter__ = _special("__aenter__")
    __aexit__ = _special("__aexit__")


def _stand_in(self, name, value, args, kwargs):
    reading = self.__dict__[_KEY]
    if reading.busy:
        return value(*args, **kwargs)
    result = _WATCHED[name](self._file, reading, lambda: value(*args, **kwargs), args, lambda: self._file.read(1))
    return self if result is self._file else result


# --- What is watched. Each is given the file, its reading, the call itself, what it was called with, and how to read a byte.


def observed(reading, call, note):
    """What a call answers, once noted; what is awaited is noted when it is there."""
    reading.busy = True
    try:
        value = call()
    except BaseException as error:
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            guarded(note, None)
        raise
    finally:
        reading.busy = False
    if not hasattr(type(value), "__await__"):
        guarded(note, value)
        return value
    if hasattr(value, "add_done_callback"):
        value.add_done_callback(lambda done: guarded(lambda: note(done.result())))
        return value
    return _awaited(reading, value, note)


async def _awaited(reading, awaitable, note):
    reading.busy = True
    try:
        value = await awaitable
    except StopAsyncIteration:
        guarded(note, None)
        raise
    finally:
        reading.busy = False
    guarded(note, value)
    return value


def _whole(args):
    return not args or args[0] is None or (isinstance(args[0], int) and args[0] < 0)


def _read(file, reading, call, args, probe):
    def note(data):
        if data is not None:
            reading.took(data, not data and args[:1] != (0,) or _whole(args))

    return observed(reading, call, note)


def _read_some(file, reading, call, args, probe):
    def note(data):
        if data is not None:
            reading.took(data, not data and args[:1] != (0,))

    return observed(reading, call, note)


def _read_into(file, reading, call, args, probe):
    def note(count):
        if count is not None:
            view = memoryview(args[0]).cast("B")
            reading.took(view[:count], count == 0 and len(view) > 0)

    return observed(reading, call, note)


def _read_lines(file, reading, call, args, probe):
    def note(lines):
        empty = "" if lines and isinstance(lines[0], str) else b""
        reading.took(empty.join(lines), _whole(args))

    return observed(reading, call, note)


def _next(file, reading, call, args, probe):
    return observed(reading, call, lambda line: reading.took(b"" if line is None else line, line is None))


def _iterate(file, reading, call, args, probe):
    value = call()
    return value if value is file else _items(reading, value)


def _items(reading, items):
    items = iter(items)
    while True:
        try:
            line = observed(reading, lambda: next(items), lambda line: reading.took(b"" if line is None else line, line is None))
        except StopIteration:
            return
        yield line


def _iterate_later(file, reading, call, args, probe):
    value = call()
    return value if value is file else _later_items(reading, value)


async def _later_items(reading, items):
    async for line in items:
        guarded(reading.took, line, False)
        yield line
    guarded(reading.took, b"", True)


def _value(file, reading, call, args, probe):
    """All at once, wherever the next read is from."""

    def note(data):
        at, reading.at = reading.at, 0
        reading.took(data, True)
        reading.at = at

    return observed(reading, call, note)


def _seek(file, reading, call, args, probe):
    def note(place):
        if not isinstance(place, int):
            place = file.tell()
        if isinstance(place, int):
            reading.moved(place)

    return observed(reading, call, note)


def _enter(file, reading, call, args, probe):
    def entered(value):
        return value if value is file or value is None or not _is_file(value) else watch(value, reading)

    reading.busy = True
    try:
        value = call()
    finally:
        reading.busy = False
    if hasattr(type(value), "__await__") and not _is_file(value):

        async def later():
            return entered(await value)

        return later()
    return entered(value)


def _is_file(value):
    return hasattr(value, "read") or hasattr(value, "readline")


def _close(file, reading, call, args, probe):
    def before():
        reading.busy = True
        try:
            reading.ends(None if getattr(file, "closed", False) else lambda: _byte(probe))
        finally:
            reading.busy = False

    if not reading.over:
        guarded(before)
    reading.busy = True
    try:
        return call()
    finally:
        reading.busy = False


def _byte(probe):
    """A byte, if there is one and nobody has to wait for it by `await`."""
    try:
        data = probe() if probe is not None else None
    except Exception:
        return None
    if hasattr(data, "close") and hasattr(type(data), "__await__"):
        data.close()
    return data


_WATCHED = {
    "read": _read,
    "read1": _read_some,
    "readall": _read,
    "readinto": _read_into,
    "readinto1": _read_into,
    "readline": _read_some,
    "readuntil": _read_some,
    "readlines": _read_lines,
    "getvalue": _value,
    "getbuffer": _value,
    "seek": _seek,
    "close": _close,
    "aclose": _close,
    "__iter__": _iterate,
    "__aiter__": _iterate_later,
    "__next__": _next,
    "__anext__": _next,
    "__enter__": _enter,
    "__aenter__": _enter,
    "__exit__": _close,
    "__aexit__": _close,
}
