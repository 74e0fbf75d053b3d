//! Failures as Python's exceptions, which `aurum/_errors.py` declares.

use aurum_host::{Failure, FailureKind};
use pyo3::prelude::*;

/// The exception for a failure.
pub(crate) fn raise(py: Python<'_>, failure: &Failure) -> PyErr {
    let class = match failure.kind {
        FailureKind::NotAProject => "NotAProjectError",
        FailureKind::UnknownExperiment => "UnknownExperimentError",
        FailureKind::AmbiguousExperiment => "AmbiguousExperimentError",
        FailureKind::UnknownParameter => "UnknownParameterError",
        FailureKind::InvalidValue => "InvalidValueError",
        FailureKind::NoModel => "NoModelError",
        FailureKind::UnknownDataset => "UnknownDatasetError",
        FailureKind::MissingData => "MissingDataError",
        FailureKind::Denied | FailureKind::Unavailable => "UnavailableError",
        FailureKind::Usage
        | FailureKind::AlreadyAProject
        | FailureKind::InTheWay
        | FailureKind::NoIdentity
        | FailureKind::LimitReached
        | FailureKind::Unreadable
        | FailureKind::Unsupported
        | FailureKind::Internal => "AurumError",
    };
    let error = || {
        let shown = failure.excerpt.iter().flat_map(|excerpt| excerpt.lines());
        let message = shown.fold(failure.message.clone(), |text, line| format!("{text}\n  {line}"));
        let text = explained(&message, &failure.hints);
        py.import("aurum._errors")?.getattr(class)?.call1((text,))
    };
    error().map_or_else(|error| error, PyErr::from_value)
}

/// The exception for a value that can't be what it should be.
pub(crate) fn invalid_value(py: Python<'_>, message: impl Into<String>, hint: &str) -> PyErr {
    raise(py, &Failure::new(FailureKind::InvalidValue, message, hint))
}

/// Whether the call itself is at fault. Everything else is ours, and never ends a training.
pub(crate) fn is_mistake(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Usage
            | FailureKind::UnknownParameter
            | FailureKind::InvalidValue
            | FailureKind::NoModel
            | FailureKind::UnknownExperiment
            | FailureKind::AmbiguousExperiment
    )
}

/// The message, and each hint on a line of its own.
pub(crate) fn explained(message: &str, hints: &[String]) -> String {
    hints.iter().fold(message.to_owned(), |text, hint| format!("{text}\nhint: {hint}"))
}
