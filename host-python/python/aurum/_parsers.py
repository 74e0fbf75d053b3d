"""What a parser of the script's own has made of the command line.

`argparse` is watched, since it keeps nothing of what it has read; `click`, `absl` and `hydra` are asked. What they have read is what its
user meant, in types and by flags that are theirs to know.
"""

import sys
from contextlib import suppress
from functools import wraps

_MARK = "_by_aurum"
#: What no `argparse` has read yet, and the names that one knows to be given; None where none has read the command line.
_unread = None
_given: set = set()


def read():
    """The names that are known to be given, and the arguments that were left unread.

    Returns:
        Both as lists; None where the script has no such parser, or has not called it yet.
    """
    for library, asked in _ASKED.items():
        module = sys.modules.get(library)
        with suppress(Exception):
            found = module and asked(module)
            if found:
                return found
    return None if _unread is None else (list(_given), _unread)


def _click(module):
    context = module.get_current_context(silent=True)
    if context is None:
        return None
    rest, given = list(context.args), []
    while context is not None:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        given += [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
        context = context.parent
    return given, rest


def _absl(module):
    flags = module.FLAGS
    if not flags.is_parsed():
        return None
    # It knows every flag, or it ends the script; the rest goes to `main`.
    return [name for name in flags if flags[name].present], [argument for argument in sys.argv[1:] if argument[:1] != "-"]


def _hydra(module):
    if not module.HydraConfig.initialized():
        return None
    overrides = module.HydraConfig.get().overrides.task
    return [override.partition("=")[0].lstrip("+~").partition(".")[0] for override in overrides], []


_ASKED = {
    "hydra.core.hydra_config": _hydra,
    "click.globals": _click,
    # Typer has a copy of its own.
    "typer._click.globals": _click,
    "absl.flags": _absl,
}


def wrap(module):
    """Watch all parsers of `argparse`."""
    cls = module.ArgumentParser
    for name in ("parse_known_args", "parse_known_intermixed_args"):
        original = getattr(cls, name)
        if not hasattr(original, _MARK):
            setattr(cls, name, _watched(original))


def _watched(original):
    @wraps(original)
    def parse(self, args=None, namespace=None):
        # Taken now: it may be an iterator, and the script may change `sys.argv`.
        args = sys.argv[1:] if args is None else list(args)
        found = original(self, args, namespace)
        # What is not known of a parser is read strictly.
        with suppress(Exception):
            _note(self, args, *found)
        return found

    setattr(parse, _MARK, True)
    return parse


def _note(parser, args, namespace, rest):
    """Note what was read of the command line; other lists of arguments are none of our business."""
    global _unread
    whole = sys.argv[1:]
    if not args or any(argument not in whole for argument in args):
        return
    unread = whole if _unread is None else _unread
    _unread = [argument for argument in unread if argument in rest or argument not in args]
    for action in parser._actions:
        if action.dest in vars(namespace) and _differs(getattr(namespace, action.dest), parser.get_default(action.dest)):
            _given.add(action.dest)


def _differs(value, default):
    # Text that is a default is converted as what is given is.
    converted = isinstance(default, str) and not isinstance(value, str)
    # What there may be any number of is an empty list where there is none.
    empty = default is None and value == []
    return value is not default and not converted and not empty and bool(value != default)
