"""The exceptions. `_aurum` raises them, each with its hints on lines of their own."""


class AurumError(Exception):
    """Aurum could not do what was asked."""


class NotAProjectError(AurumError):
    """The folder belongs to no project."""


class UnknownExperimentError(AurumError, LookupError):
    """No experiment answers to the selector."""


class AmbiguousExperimentError(AurumError, LookupError):
    """More than one experiment answers to the selector."""


class UnknownParameterError(AurumError):
    """The command line gives a parameter that the script does not declare."""


class InvalidValueError(AurumError, ValueError):
    """A value can't be read as what it should be."""


class NoModelError(AurumError, LookupError):
    """There is no model to load."""


class UnknownDatasetError(AurumError, LookupError):
    """No dataset answers to the name."""


class MissingDataError(AurumError, FileNotFoundError):
    """A dataset's content is neither at its place nor in the store."""


class UnavailableError(AurumError, OSError):
    """Something that Aurum needs, such as the disk or git, failed it."""


for _error in list(globals().values()):
    if isinstance(_error, type):
        # The name that people catch them by.
        _error.__module__ = "aurum"
