from typing import Any

from ._aurum import Parameters as Parameters
from ._aurum import __version__ as __version__
from ._aurum import dataset as dataset
from ._aurum import end_experiment as end_experiment
from ._aurum import flush as flush
from ._aurum import group as group
from ._aurum import load_model as load_model
from ._aurum import log as log
from ._aurum import log_artifact as log_artifact
from ._aurum import metrics as metrics
from ._aurum import note as note
from ._aurum import parameters as parameters
from ._aurum import register_metric as register_metric
from ._aurum import register_metrics as register_metrics
from ._aurum import save_model as save_model
from ._aurum import start as start
from ._aurum import tag as tag
from ._aurum import use_datasets as use_datasets
from ._errors import AmbiguousExperimentError as AmbiguousExperimentError
from ._errors import AurumError as AurumError
from ._errors import InvalidValueError as InvalidValueError
from ._errors import MissingDataError as MissingDataError
from ._errors import NoModelError as NoModelError
from ._errors import NotAProjectError as NotAProjectError
from ._errors import UnavailableError as UnavailableError
from ._errors import UnknownDatasetError as UnknownDatasetError
from ._errors import UnknownExperimentError as UnknownExperimentError
from ._errors import UnknownParameterError as UnknownParameterError
from ._experiments import Experiment as Experiment
from ._experiments import Experiments as Experiments
from ._experiments import Point as Point
from ._experiments import experiment as experiment
from ._experiments import experiments as experiments
from ._runs import Run as Run
from ._runs import log_figure as log_figure
from ._runs import run as run

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

params: Parameters

def __getattr__(name: str) -> Any: ...
