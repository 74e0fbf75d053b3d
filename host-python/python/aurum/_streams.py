"""Keeps what the script writes to stdout and stderr.

The streams stay the objects they are, with their descriptors, encodings and whoever holds them; only their `write` is
replaced. What goes past it, such as the output of other programs, is not seen: `_capture.py` sees that.
"""

import os
import sys

from ._aurum import output

_watched: list = []


def install():
    """Watch the standard streams, those that are not watched yet and allow it."""
    for number, stream in (1, sys.stdout), (2, sys.stderr):
        if stream is None or any(stream is watched for watched, _ in _watched) or _is_captured(stream):
            continue
        try:
            forward = stream.write
            stream.write = write = _watching(forward, number)
        except (AttributeError, TypeError):
            continue
        _watched.append((stream, write))


def restore():
    """Give the streams back their own `write`."""
    while _watched:
        stream, write = _watched.pop()
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
        written = forward(text)
        output(number, text)
        return written

    return write
