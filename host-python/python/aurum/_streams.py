"""Keeps what the script writes to stdout and stderr.

The streams stay the objects they are, with their descriptors, encodings and whoever holds them; only their `write` is
replaced. What goes past it, such as the output of other programs, is not seen.
"""

import sys

from ._aurum import output

_watched: list = []


def install():
    """Watch the standard streams, those that are not watched yet and allow it."""
    for number, stream in (1, sys.stdout), (2, sys.stderr):
        if stream is None or any(stream is watched for watched, _ in _watched):
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


def _watching(forward, number):
    def write(text, /):
        written = forward(text)
        output(number, text)
        return written

    return write
