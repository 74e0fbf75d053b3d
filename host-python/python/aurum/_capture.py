"""Keeps what is printed past Python, by libraries of C and by other programs, for those who ask for it.

Descriptors 1 and 2 become pipes, each to an `au keep-output`, which passes on to where they led before and keeps it as a child of the run
does. A process of its own, so that nothing is lost however this one ends; and no thread of this one, which would be there at forks.
"""

import os
import sys

from . import _aurum, _streams

#: How long the end of a run waits for what was printed to be kept, and then for whoever kept it to end, in seconds. Another program may
#: hold the pipe for longer.
_PATIENCE = 60
_FAREWELL = 0.5
#: What interrupts a script must not interrupt whoever passes on its last words. And that one is no child of the script's, which would meet
#: it by `os.wait()`; a shell gives what it leaves behind no input of its own accord.
_SHELL = 'trap "" INT QUIT TERM HUP TTOU; exec 3<&0; "$0" "$@" <&3 3<&- &'
#: The pipes, by their inodes, for children that take part in the run.
VARIABLE = "AURUM_CAPTURED"

#: By descriptor: where it led before, the program at the pipe's end, and what tells it that the run is over.
_captured: dict = {}


def begin(program, root, run):
    """Redirect both descriptors; where that fails, the streams of Python are watched as ever."""
    if _captured:
        return
    try:
        _flush()
        for number in 1, 2:
            _redirect(number, program, root, run)
    except Exception as problem:
        end()
        _aurum.warn(f"What is printed past Python is not recorded: {problem}")
        return
    os.environ[VARIABLE] = " ".join(str(os.fstat(number).st_ino) for number in _captured)
    _streams.restore()
    _streams.install()
    for stream, number in (sys.stdout, 1), (sys.stderr, 2):
        if os.isatty(_captured[number][0]) and _streams.leads_to(stream) == number:
            # Whoever asks Python is answered as before; C sees the pipe.
            stream.isatty = _yes


def _yes():
    return True


def _redirect(number, program, root, run):
    # Only asked for, and so only now.
    from subprocess import PIPE, Popen

    before, mark = os.dup(number), os.urandom(16).hex()
    read, write = os.pipe()
    try:
        command = ["/bin/sh", "-c", _SHELL, program, "-C", root, "keep-output", run, str(number), mark]
        # The folder that the script works in may be gone.
        shell = Popen(command, cwd="/", stdin=read, stdout=before, stderr=PIPE)
        said, words = shell.stderr, []
        shell.wait()
        while not words or words[-1] not in (b"ready\n", b""):
            words.append(said.readline())
        if not words[-1]:
            said.close()
            raise OSError(b"".join(words).decode("utf-8", "replace").strip() or f"{program} does not start")
        os.dup2(write, number)
        _captured[number] = before, said, b"\0" + mark.encode()
    except BaseException:
        os.close(before)
        raise
    finally:
        os.close(read)
        os.close(write)


def end():
    """Have the descriptors lead where they led, and wait for what was printed."""
    if not _captured:
        return
    os.environ.pop(VARIABLE, None)
    try:
        _flush()
    finally:
        readers = []
        for number, (before, said, mark) in _captured.items():
            try:
                # Less than a pipe takes in one piece.
                os.write(number, mark)
            except OSError:
                pass
            os.dup2(before, number)
            os.close(before)
            readers.append(said)
        _captured.clear()
        for stream in sys.stdout, sys.stderr:
            if getattr(stream, "isatty", None) is _yes:
                del stream.isatty
        for said in readers:
            _wait(said)
    _streams.install()


def _wait(said):
    from select import select

    with said:
        # That all is kept; and then the end of who kept it, unless somebody still prints: that is kept when it ends.
        for patience in _PATIENCE, _FAREWELL:
            if select([said], [], [], patience)[0]:
                said.readline()


def _flush():
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except Exception:
            pass
    if _captured:
        try:
            from ctypes import CDLL

            # What C holds back since it sees no terminal.
            CDLL(None).fflush(None)
        except Exception:
            pass
