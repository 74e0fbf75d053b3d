"""Which thread this is; `threading` is not imported for it."""

import sys


def is_main():
    """Whether this is the main thread."""
    threading = sys.modules.get("threading")
    return threading is None or threading.current_thread() is threading.main_thread()
