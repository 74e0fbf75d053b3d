"""Aurum: an experiment tracker that extends git.

Example:
    >>> import aurum as au
    >>> au.parameters(a=0.01, epochs=100)
    >>> au.register_metric(accuracy=train(au.a, au.epochs))
    >>> au.end_experiment()
"""

import atexit as _atexit
import os as _os

from _collections_abc import Mapping as _Mapping

from . import _aurum, _imports, _streams
from ._aurum import (
    Parameters,
    dataset,
    end_experiment,
    flush,
    group,
    load_model,
    log,
    log_artifact,
    metrics,
    note,
    parameters,
    register_metric,
    register_metrics,
    save_model,
    start,
    tag,
    use_datasets,
)
from ._aurum import __version__ as __version__
from ._errors import (
    AmbiguousExperimentError,
    AurumError,
    InvalidValueError,
    MissingDataError,
    NoModelError,
    NotAProjectError,
    UnavailableError,
    UnknownDatasetError,
    UnknownExperimentError,
    UnknownParameterError,
)

__all__ = [
    "AmbiguousExperimentError",
    "AurumError",
    "Experiment",
    "Experiments",
    "InvalidValueError",
    "MissingDataError",
    "NoModelError",
    "NotAProjectError",
    "Parameters",
    "Point",
    "Run",
    "UnavailableError",
    "UnknownDatasetError",
    "UnknownExperimentError",
    "UnknownParameterError",
    "dataset",
    "end_experiment",
    "experiment",
    "experiments",
    "flush",
    "group",
    "load_model",
    "load_weights",
    "log",
    "log_artifact",
    "log_figure",
    "metrics",
    "note",
    "parameters",
    "params",
    "register_metric",
    "register_metrics",
    "run",
    "save_model",
    "save_weights",
    "start",
    "tag",
    "use_datasets",
]

load_weights = load_model
save_weights = save_model

#: The parameters of the experiment under way.
params = _aurum.params()

_Mapping.register(Parameters)


#: What most scripts have no use for, and where it is.
_LATER = {
    "Experiment": "_experiments",
    "Experiments": "_experiments",
    "Point": "_experiments",
    "Run": "_runs",
    "experiment": "_experiments",
    "experiments": "_experiments",
    "log_figure": "_runs",
    "run": "_runs",
}


def __getattr__(name):
    """Reads a parameter, or brings what is imported once it is asked for."""
    place = _LATER.get(name)
    if place is None:
        try:
            return _aurum.parameter(name)
        except AttributeError:
            # Modules of the first Aurum.
            if name not in ("base", "git"):
                raise
    from importlib import import_module

    if place is None:
        found = import_module(f"{__name__}.{name}")
        # Bound for good, it would hide a parameter of this name.
        globals().pop(name, None)
    else:
        found = globals()[name] = getattr(import_module(f"{__name__}.{place}"), name)
    return found


def __dir__():
    return sorted({*globals(), *_LATER, *params})


_imports.install()
if _aurum.begin():
    _streams.install()
_os.register_at_fork(
    before=_aurum.before_fork, after_in_parent=_aurum.after_fork_in_parent, after_in_child=_aurum.after_fork
)
# Registered early, so that it runs late: what other handlers print is recorded too.
_atexit.register(_aurum.at_exit)
