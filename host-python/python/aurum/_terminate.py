"""Saves the run under way when somebody asks the process to end by SIGTERM, as schedulers and `kill` do.

Only where the script leaves that signal to its default; and then it dies of it, as it would have, once the run is saved.
"""

import _signal
import os

from . import _aurum
from ._exit import is_main


def install():
    """Listen, unless the script or somebody else does. Only the main thread may."""
    if is_main() and _signal.getsignal(_signal.SIGTERM) == _signal.SIG_DFL:
        _signal.signal(_signal.SIGTERM, _terminate)


def restore():
    """Leave the signal to its default again, unless the script has taken it meanwhile."""
    if is_main() and _signal.getsignal(_signal.SIGTERM) is _terminate:
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)


def leave_to_default():
    """Leave the signal to its default in a forked child.

    What the child logged is kept however it dies. A handler would only come to be called once Python goes on, which in a child that waits
    for another one, as workers of a pool do, may be never.
    """
    if _signal.getsignal(_signal.SIGTERM) is _terminate:
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)


def _terminate(number, frame):
    _signal.signal(number, _signal.SIG_DFL)
    try:
        _aurum.terminated()
    finally:
        os.kill(os.getpid(), number)
