"""Notices the code that a script exits with, which the interpreter itself keeps nowhere.

`sys.exit` stays what it is to its callers. What is raised as `SystemExit` past it is not seen.
"""

import sys

_exit = sys.exit
_outermost = None
_status = None


def install():
    """Watch `sys.exit`, if it is not watched yet."""
    global _exit
    if sys.exit is not exit:
        _exit, sys.exit = sys.exit, exit


def restore():
    """Give `sys.exit` back, unless somebody has replaced it since."""
    if sys.exit is exit:
        sys.exit = _exit


def is_main():
    """Whether this is the main thread; `threading` is not imported for it."""
    threading = sys.modules.get("threading")
    return threading is None or threading.current_thread() is threading.main_thread()


def exit(status=None, /):
    global _outermost, _status
    # In another thread it ends that thread alone.
    if is_main():
        frame = sys._getframe()
        while frame.f_back is not None:
            frame = frame.f_back
        _outermost, _status = frame, status
    _exit(status)


def failure():
    """What the script failed with, if `sys.exit` ended it and told so: the code, as text."""
    if _outermost is None or _status is None or _status == 0:
        return None
    from opcode import opname

    # Where somebody caught what `sys.exit` raised, the script came to its end.
    last = opname[_outermost.f_code.co_code[_outermost.f_lasti]]
    return None if last.startswith("RETURN_") else str(_status)
