"""Saves the run under way when somebody asks the process to end by SIGTERM, as schedulers and `kill` do.

Only where the script leaves that signal to its default; and then it dies of it, as it would have, once the run is saved.

A forked child dies of it at once, for its journal has all that it logged. A handler would be called only when Python goes on, which in a child
that waits for another one, as workers of a pool do, may be never.
"""

import _signal
import os
from _thread import get_ident

from . import _aurum
from ._threads import is_main


#: Threads that are about to fork, and whether they had the signal blocked before.
_forking: dict = {}


def install():
    """Listen, unless the script or somebody else does. Only the main thread may."""
    if is_main() and _signal.getsignal(_signal.SIGTERM) == _signal.SIG_DFL:
        _signal.signal(_signal.SIGTERM, _terminate)


def restore():
    """Leave the signal to its default again, unless the script has taken it meanwhile."""
    if is_main() and _signal.getsignal(_signal.SIGTERM) is _terminate:
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)


def _terminate(number, frame):
    _signal.signal(number, _signal.SIG_DFL)
    try:
        _aurum.terminated()
    finally:
        os.kill(os.getpid(), number)


def _before_fork():
    # Until the child has left the signal to its default, it must wait: Python drops what comes between.
    if _signal.getsignal(_signal.SIGTERM) is _terminate:
        blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))
        _forking[get_ident()] = _signal.SIGTERM in blocked


def _after_fork():
    if _forking.pop(get_ident(), None) is False:
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGTERM,))


def _in_child():
    if _signal.getsignal(_signal.SIGTERM) is _terminate:
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
    _after_fork()
    _forking.clear()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
