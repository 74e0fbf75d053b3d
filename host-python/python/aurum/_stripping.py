"""Keeps Stripping's cache out of git, wherever it is put, and so out of experiments.

Stripping is not changed: its class that makes the cache is wrapped.
"""

import os

#: What Stripping itself puts into a cache: a folder for each script, by a SHA-1, and this.
_HASHES = "attr_hash.pkl"
_IGNORE = ".gitignore"
_EVERYTHING = "# Stripping's cache is not for git.\n*\n"


def wrap(module):
    """Have each cache keep itself out of git."""
    storage = module.CacheStorage
    begin, save = storage.__init__, storage.save_step
    if getattr(begin, "_by_aurum", False):
        return

    def __init__(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        keep_out(self)

    def save_step(self, *args, **kwargs):
        saved = save(self, *args, **kwargs)
        # `-clean` may have taken along what kept it out.
        keep_out(self)
        return saved

    __init__._by_aurum = True
    __init__.__wrapped__, save_step.__wrapped__ = begin, save
    storage.__init__, storage.save_step = __init__, save_step


def keep_out(storage):
    """Have git ignore what is in a cache; what stands beside it is not touched."""
    if getattr(storage, "catalysis_client", None) is not None:
        return
    try:
        folder, own = os.path.abspath(storage.cache_dir), storage.hashed_name
        others = [name for name in os.listdir(folder) if not _is_cache(name)]
        if not others or (others == [_IGNORE] and _is_ours(os.path.join(folder, _IGNORE))):
            _write(os.path.join(folder, _IGNORE))
            return
        # A folder that has other things in it as well.
        os.makedirs(os.path.join(folder, own), exist_ok=True)
        _write(os.path.join(folder, own, _IGNORE))
        _exclude(os.path.join(folder, _HASHES))
    except (OSError, AttributeError):
        # No cache, or none that can be written: then nothing gets into it either.
        return


def _is_cache(name):
    return name == _HASHES or (len(name) == 40 and set(name) <= set("0123456789abcdef"))


def _is_ours(path):
    with open(path, errors="replace") as file:
        return file.read() == _EVERYTHING


def _write(path):
    # One that is there already is its owner's.
    if not os.path.exists(path):
        with open(path, "w") as file:
            file.write(_EVERYTHING)


def _exclude(path):
    """Have git ignore one file, in this clone alone."""
    from .git import run_git

    folder, name = os.path.split(path)
    asked = run_git("rev-parse", "--git-path", "info/exclude", "--show-prefix", cwd=folder)
    answer = asked.communicate()[0].decode("utf-8", "surrogateescape").split("\n")
    if asked.returncode != 0:
        return
    exclude, prefix = os.path.join(folder, answer[0]), answer[1]
    special = str.maketrans({character: "\\" + character for character in "\\*?[ #!"})
    line = f"/{prefix.translate(special)}{name}\n".encode("utf-8", "surrogateescape")
    os.makedirs(os.path.dirname(exclude), exist_ok=True)
    with open(exclude, "ab+") as file:
        file.seek(0)
        there = file.read()
        if line not in there.splitlines(keepends=True):
            file.write((b"" if not there or there.endswith(b"\n") else b"\n") + line)
