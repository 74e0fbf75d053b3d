"""Lets a module of ours have its say once a library is imported, and costs nothing where none is.

Libraries are not changed on disk: what is watched of them is wrapped in place, now or once they are there.
"""

import sys

#: By the module that has what is wrapped: ours that wraps it, and what that has to have.
_WATCHED = {
    "argparse": ("_parsers", "ArgumentParser"),
    "click.core": ("_parsers", "Command"),
    "typer._click.core": ("_parsers", "Command"),
    "stripping.storage": ("_stripping", "CacheStorage"),
    "catalysis.storage": ("_catalysis", "StorageClient"),
    "catalysis.storage.storage_client": ("_catalysis", "StorageClient"),
    "fsspec.spec": ("_fsspec", "AbstractFileSystem"),
}


def install():
    """Have what is there already wrapped, and wait for the rest."""
    for name in list(_WATCHED):
        module = sys.modules.get(name)
        if module is not None:
            _wrap(module)
    sys.meta_path.insert(0, _Finder)


class _Finder:
    """Finds a watched module as others would, and has it wrapped once it is loaded."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _WATCHED:
            return None
        ours = _WATCHED.pop(name)
        from importlib.util import find_spec

        try:
            # By whatever finds it: an editable install has a finder of its own.
            spec = find_spec(name)
        finally:
            _WATCHED[name] = ours
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _wrap(module)

            spec.loader.exec_module = exec_module
        return spec


def _wrap(module):
    ours, needed = _WATCHED[module.__name__]
    if not hasattr(module, needed):
        return
    try:
        from importlib import import_module

        import_module(f"{__package__}.{ours}").wrap(module)
    except Exception as problem:
        from ._aurum import warn

        library = module.__name__.partition(".")[0]
        warn(f"What is read through `{library}` is not recorded: {problem!r}")
