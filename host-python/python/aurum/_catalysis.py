"""Has what a script reads through Catalysis recorded as an input of its run.

The client is not changed: what it opens is watched. Of a credential nothing is ever looked at but its name.
"""

import os

from ._reading import Reading, guarded, watch

#: The name of the credential that a client was made with.
_KEY = "_aurum_credential"
_MARK = "_by_aurum"


def wrap(module):
    """Watch what its clients open."""
    client = module.StorageClient
    begin, opened = client.__init__, client.open
    if hasattr(opened, _MARK):
        return

    def __init__(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        guarded(_remember, self, args, kwargs)

    def open(self, *args, **kwargs):
        result = opened(self, *args, **kwargs)
        reading = guarded(_reading, self, args, kwargs)
        if reading is None:
            return result
        if hasattr(type(result), "__await__") and not hasattr(result, "read"):
            return _awaited(result, reading)
        return watch(result, reading)

    setattr(open, _MARK, True)
    __init__.__wrapped__, open.__wrapped__ = begin, opened
    __init__.__doc__, open.__doc__ = begin.__doc__, opened.__doc__
    client.__init__, client.open = __init__, open


async def _awaited(result, reading):
    return watch(await result, reading)


def _remember(client, args, kwargs):
    credential = args[0] if args else next(iter(kwargs.values()), None)
    # By whatever means the client has: it may have no dict, and then has no name.
    object.__setattr__(client, _KEY, credential_name(credential))


def _reading(client, args, kwargs):
    """Of what was opened; none where it is written."""
    given = list(args)
    path = given.pop(0) if given else next((kwargs[name] for name in ("path", "file", "name") if name in kwargs), None)
    mode = kwargs.get("mode", given[0] if given else None)
    mode = mode if isinstance(mode, str) else "r"
    if path is None or not ("r" in mode or "+" in mode):
        return None
    name = getattr(client, _KEY, None)
    if name is None:
        # Made before Aurum was imported.
        found = (getattr(client, name, None) for name in ("credential_name", "credential", "_credential"))
        name = next(filter(None, map(credential_name, found)), None)
    path = os.fspath(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)
    path = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
    return Reading("catalysis", name, path, exact="+" not in mode)


def credential_name(credential):
    """What a credential is called: of a file its name, of a dict or an object what it says of itself. None where there is no name, or
    one that may well be a secret."""
    if isinstance(credential, dict):
        credential = credential.get("name")
    elif not isinstance(credential, (str, os.PathLike)):
        credential = getattr(credential, "name", None)
    if isinstance(credential, os.PathLike):
        credential = os.fspath(credential)
    if not isinstance(credential, str):
        return None
    base, suffix = os.path.splitext(os.path.basename(credential))
    if suffix.lower() not in (".json", ".yaml", ".yml", ".toml", ".ini") and not os.path.isfile(credential):
        base = credential
    return base if _is_name(base) else None


def _is_name(text):
    """Whether people gave this name: keys are long, and mix letters and digits."""
    if not 0 < len(text) <= 64 or not all(character.isalnum() or character in "._- " for character in text):
        return False
    words = text.replace(".", " ").replace("_", " ").replace("-", " ").split()
    return not any(len(word) >= 16 and any(map(str.isdigit, word)) for word in words) and max(map(len, words), default=0) < 32
