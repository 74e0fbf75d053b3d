"""What scripts and libraries for the first Aurum call of its `aurum.git`.

That one committed and pushed whatever had changed, the user's own work along with it. A run is saved as it stands anyway, so nothing here
touches the index, a branch or a remote.
"""

from . import _aurum


def commit(commit_message, secondary_msg="", cwd=""):
    """Note in the experiment under way that a step was done; nothing is committed.

    Args:
        commit_message: What was done.
        secondary_msg: More on it.
        cwd: Not used.

    Returns:
        What git would have printed: two empty byte strings.
    """
    _aurum.note("\n\n".join(filter(None, (commit_message, secondary_msg))))
    return b"", b""


def push():
    """Push nothing: experiments are shared by `au push`.

    Returns:
        A sentence that says so.
    """
    return "experiments are shared by `au push`"


def run_git(*args, cwd=""):
    """Start git.

    Args:
        args: Its arguments.
        cwd: The folder that it works in, else the current one.

    Returns:
        A `subprocess.Popen` whose output and errors are pipes.
    """
    # Most scripts have no use for it.
    from subprocess import PIPE, Popen

    return Popen(["git", *args], stdout=PIPE, stderr=PIPE, cwd=cwd or None)
