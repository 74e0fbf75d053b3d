"""Has servers looked at while the script goes on; imported where it is time to."""

import os
from subprocess import DEVNULL, Popen

#: A shell starts it and is gone, so that it is no child that the script could meet.
_BESIDE = '"$0" "$@" &'
#: By these, something that is asked for a password could ask somebody.
_ASKING = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "GPG_TTY")


def begin(program, root):
    """Start it, and wait for nothing but the shell.

    Args:
        program: The `au` to run.
        root: The project's folder.
    """
    # Whoever is the first process of a container has all orphans for children.
    if os.getpid() == 1:
        return
    variables = {name: value for name, value in os.environ.items() if name not in _ASKING}
    command = ["/bin/sh", "-c", _BESIDE, program, "-C", root, "--quiet", "data", "look", "--alone"]
    # Nothing of the script's stays open, no lock that it was started under, and no terminal.
    quiet = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}
    Popen(command, close_fds=True, start_new_session=True, env=variables, **quiet).wait()
