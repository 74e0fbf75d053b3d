"""Keeps what the script writes to stdout and stderr.

The streams stay the objects they are, with their descriptors, encodings and whoever holds them; only their `write` is
replaced. What goes past it, such as the output of other programs, is not seen: `_capture.py` sees that.
"""

import codecs
import io
import os
import sys

from ._aurum import output, run_id

#: Streams, what replaced their `write`, and their numbers.
_watched: list = []
#: Whether a write is a question, and whether it came through to us.
_asking = _came_through = False
#: The notebook that says when a cell begins and ends, and the task that runs its cells.
_notebook = _cell = None


def install(*_):
    """Watch the standard streams, those that are not watched yet and allow it."""
    for number, stream in (1, sys.stdout), (2, sys.stderr):
        if stream is None or _is_captured(stream) or _is_watched(stream):
            continue
        if not any(of == number for _, _, of in _watched) or _writes_by_itself(stream, number):
            _watch(stream, number)
    _watch_cells()


def look_again():
    """Watch what the script has put in the place of a standard stream, where that writes to the same file by itself."""
    for number, stream in (1, sys.stdout), (2, sys.stderr):
        known = any(watched is stream for watched, _, _ in _watched)
        if not known and _writes_by_itself(stream, number) and not _is_captured(stream):
            _watch(stream, number)


def _writes_by_itself(stream, number):
    """Whether it writes to what the descriptor leads to. What passes on to the stream that was there before is seen there, and what writes
    elsewhere is not the run's output."""
    writer = isinstance(stream, codecs.StreamWriter) and type(stream).write is codecs.StreamWriter.write
    if type(stream) is not io.TextIOWrapper and not writer:
        return False
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.fstat(number))
    except Exception:
        return False


def _watch(stream, number):
    try:
        forward = stream.write
        stream.write = write = _watching(forward, number)
    except (AttributeError, TypeError):
        return
    _watched.append((stream, write, number))


def _is_watched(stream):
    """Whether what is written to it comes through to us. Others replace `write`, too, and may give back what was there before us."""
    global _asking, _came_through
    ours = [write for watched, write, _ in _watched if watched is stream]
    if not ours or getattr(stream, "__dict__", {}).get("write") in ours:
        return bool(ours)
    _asking, _came_through = True, False
    try:
        stream.write("")
    except Exception:
        return True
    finally:
        _asking = False
    if not _came_through:
        _watched[:] = [entry for entry in _watched if entry[0] is not stream]
    return _came_through


def _watch_cells():
    """IPython has a `write` of its own for each cell, and after it the one that was there before, which may not be ours."""
    global _notebook
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and _notebook is None else None
    if shell is not None:
        shell.events.register("pre_run_cell", _begin_cell)
        shell.events.register("post_run_cell", _end_cell)
        _notebook = shell
        _note_task()


def _begin_cell(*_):
    _note_task()
    install()


def _end_cell(result=None, *_):
    """What ends a cell of a notebook is shown by it, past the streams."""
    error = getattr(result, "error_in_exec", None)
    if not isinstance(error, Exception) or "ipykernel" not in sys.modules or run_id() is None:
        return
    from traceback import format_exception

    trace = error.__traceback__
    while trace is not None and "IPython" in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    output(2, "".join(format_exception(type(error), error, trace)))


def _note_task():
    global _cell
    _cell = _task()


def _task():
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio and asyncio.current_task()
    except RuntimeError:
        return None


def is_in_cell():
    """Whether this is a notebook's cell itself, and no task that the cell has begun, which may run beside others. Where cells are not watched,
    as when there was no project yet, they are told from nothing."""
    return "ipykernel" in sys.modules and (_notebook is None or _task() is _cell)


def restore():
    """Give the streams back their own `write`."""
    global _notebook
    if _notebook is not None:
        _notebook.events.unregister("pre_run_cell", _begin_cell)
        _notebook.events.unregister("post_run_cell", _end_cell)
        _notebook = None
    while _watched:
        stream, write, _ = _watched.pop()
        # Whoever has replaced it since goes on forwarding to ours.
        if getattr(stream, "__dict__", {}).get("write") is write:
            del stream.write


def leads_to(stream):
    """The descriptor that a stream writes to, if it says so."""
    try:
        return stream.fileno()
    except Exception:
        return None


def _is_captured(stream):
    """Whether what it writes is kept on its way already, of this process or of the one whose run it has a part in."""
    pipes = os.environ.get("AURUM_CAPTURED")
    if not pipes:
        return False
    try:
        return str(os.fstat(stream.fileno()).st_ino) in pipes.split()
    except Exception:
        return False


def _watching(forward, number):
    def write(text, /):
        global _came_through
        if _asking:
            _came_through = True
            return 0
        written = forward(text)
        output(number, text)
        return written

    return write
