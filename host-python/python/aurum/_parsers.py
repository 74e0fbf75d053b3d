"""What a parser of the script's own has made of the command line.

`argparse` and `click` (also Typer's copy of it) are watched, since they keep nothing of what they have read; `absl` and `hydra` are asked.
What they have read is what their user meant, in types and by flags that are theirs to know.

Nothing here ever fails a script: what is not known of a parser is read strictly.
"""

import sys
from contextlib import suppress
from functools import wraps

_MARK = "_by_aurum"


class _Reading:
    """What watched parsers have read of one command line."""

    def __init__(self, line):
        #: The arguments, and those that no parser has read yet.
        self.line, self.rest = line, line
        #: By name: the value and the parser's own default.
        self.values = {}
        #: Names that some parser was given.
        self.given = set()

    def note(self, args, rest, values, given):
        """Take in what one parser was given, what it left, and what it has made of the rest."""
        ours, theirs, left = set(self.line), set(args), set(rest)
        # Other lists of arguments are none of our business; there may be more in them, from a file.
        if not ours or not theirs or not (theirs <= ours or ours <= theirs):
            return
        self.rest = [argument for argument in self.rest if argument in left or argument not in theirs]
        self.values.update(values)
        self.given |= given


_reading = None


def read(declared):
    """Tell what the script's parsers have read.

    Args:
        declared: Defaults by name, `...` where there is none.

    Returns:
        Three lists: of the names whose defaults are what a parser has made of the command line, of those among them that it was given, and of
        the arguments that no parser has read. None where the script has no parser, or has not called it yet.
    """
    noted = _current(make=False)
    for library, ask in _ASKED.items():
        with suppress(Exception):
            module = sys.modules.get(library)
            answer = module and ask(module)
            if answer:
                noted = noted or _Reading(sys.argv[1:])
                noted.note(*answer)
    if noted is None:
        return None
    names = [name for name, default in declared.items() if name in noted.values and _stands(default, *noted.values[name])]
    return names, [name for name in names if name in noted.given], noted.rest


def _stands(declared, value, default):
    """Whether a declared default comes from the parser. One that is the parser's default, where the parser has read something else, does
    not: the script has it from elsewhere."""
    return declared is value or not _is(declared, default) or _is(value, default)


def _is(one, other):
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:
        # Arrays are equal item by item.
        return False


def _current(make=True):
    """The reading of the command line as it is now: launchers and loops put another in its place."""
    global _reading
    line = sys.argv[1:]
    if _reading is not None and _reading.line != line:
        _reading = None
    if _reading is None and make:
        _reading = _Reading(line)
    return _reading


def _absl(module):
    flags, line = module.FLAGS, sys.argv[1:]
    # What was defined and never read is not present.
    present = {name: flags[name].value for name in flags if flags[name].present}

    def is_left(argument):
        name = argument.lstrip("-").partition("=")[0]
        return argument[:1] != "-" or not {name, name.removeprefix("no")} & present.keys()

    rest = [argument for argument in line if is_left(argument)]
    return present and (line, rest, {name: (value, ...) for name, value in present.items()}, set(present))


def _hydra(module):
    if not module.HydraConfig.initialized():
        return None
    given = set()
    for override in module.HydraConfig.get().overrides.task:
        # `+group/part@package.of=choice`
        group, _, package = override.partition("=")[0].lstrip("+~").partition("@")
        given.add((package or group).replace("/", ".").partition(".")[0])
    # Each job of a sweep has values of its own; all of the line is Hydra's.
    return sys.argv[1:], [], dict.fromkeys(given, (..., ...)), given


_ASKED = {"hydra.core.hydra_config": _hydra, "absl.flags": _absl}


def wrap(module):
    """Watch all parsers of `argparse` or of `click`."""
    if hasattr(module, "ArgumentParser"):
        _watch(module.ArgumentParser, "parse_known_args", _argparse)
        _watch(module.ArgumentParser, "parse_known_intermixed_args", _argparse)
    else:
        _watch(module.Command, "make_context", _click)


def _watch(cls, name, watched):
    original = getattr(cls, name, None)
    if original is not None and not hasattr(original, _MARK):
        ours = wraps(original)(watched(original))
        setattr(ours, _MARK, True)
        setattr(cls, name, ours)


def _argparse(original):
    def parse(self, args=None, namespace=None):
        # Taken now: it may be an iterator, and the script may change `sys.argv`.
        args = sys.argv[1:] if args is None else list(args)
        before = dict(vars(namespace)) if namespace is not None and hasattr(namespace, "__dict__") else {}
        found, rest = original(self, args, namespace)
        with suppress(Exception):
            values, given = {}, set()
            for action in self._actions:
                name = action.dest
                if name not in vars(found):
                    continue
                with suppress(Exception):
                    default = before.get(name, self.get_default(name))
                    # Text that is a default is converted as what is given is.
                    default = self._get_value(action, default) if isinstance(default, str) else default
                    value = vars(found)[name]
                    values[name] = value, default
                    # What there may be any number of is an empty list where there is none.
                    if not _is(value, default) and not (default is None and value == []):
                        given.add(name)
            _current().note(args, rest, values, given)
        return found, rest

    return parse


def _click(original):
    def make_context(self, info_name, args, parent=None, **extra):
        line = list(args)
        context = original(self, info_name, args, parent, **extra)
        with suppress(Exception):
            sources = {name: context.get_parameter_source(name) for name in context.params}
            given = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            _current().note(line, rest, {name: (value, ...) for name, value in context.params.items()}, given)
        return context

    return make_context
