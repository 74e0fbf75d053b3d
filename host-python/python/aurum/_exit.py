"""Notices how a script exits, which the interpreter itself keeps nowhere.

`sys.exit` stays what it is to its callers. Of what is raised as `SystemExit` past it, only that it was is seen, not the code.
"""

import sys

from ._threads import is_main

_exit = sys.exit
#: What the main thread runs.
_main = None
#: What the thread runs that called `sys.exit` last, how far it had come then, the status, and whether that code itself called it.
_called = (None, None, None, False)


def install():
    """Watch `sys.exit`, if it is not watched yet, and note what the main thread runs."""
    global _exit, _main
    if _main is None:
        _main = _bottom(_frame_of_main())
    if sys.exit is not exit:
        _exit, sys.exit = sys.exit, exit


def restore():
    """Give `sys.exit` back, unless somebody has replaced it since."""
    if sys.exit is exit:
        sys.exit = _exit


def exit(status=None, /):
    global _called
    # In another thread it ends that thread alone.
    if is_main():
        own = sys._getframe()
        frame = _bottom(own)
        _called = frame, frame.f_lasti, status, own.f_back is frame
    _exit(status)


def ending():
    """How the script ended, if no exception did that nobody caught.

    Returns:
        Whether it exited rather than came to its end; whether `sys.exit` did that for sure; and the status that it was given last.
    """
    frame, place, status, directly = _called
    if _main is None and frame is None:
        return False, True, None
    from opcode import opname

    main = frame if _main is None else _main
    # Where somebody caught what `sys.exit` raised, the script came to its end.
    if opname[main.f_code.co_code[main.f_lasti]].startswith("RETURN_"):
        return False, True, None
    # Of a call further down somebody may have caught what it raised, and another may have exited since.
    return True, directly and frame is main and place == main.f_lasti, status


def _frame_of_main():
    if is_main():
        return sys._getframe()
    return sys._current_frames().get(sys.modules["threading"].main_thread().ident)


def _bottom(frame):
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame
