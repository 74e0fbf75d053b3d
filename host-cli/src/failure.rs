//! What a call on the tracker answers when it fails, and what it says on the way.

use std::fmt;

use crate::bindings::generated::aurum::tracker::types;

/// What a caller acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A mistake in how the function was called.
    Usage,
    /// The folder belongs to no project.
    NotAProject,
    /// The folder is a project already.
    AlreadyAProject,
    /// Something of the user's is in the way, and would be lost or hidden.
    InTheWay,
    /// git has no name and e-mail address for the user.
    NoIdentity,
    /// No experiment answers to the selector.
    UnknownExperiment,
    /// More than one experiment answers to the selector.
    AmbiguousExperiment,
    /// A parameter was given that the script does not declare.
    UnknownParameter,
    /// A value can't be read as what it should be.
    InvalidValue,
    /// An experiment has no room for more of it; what was there before is kept.
    LimitReached,
    /// There is no model to load.
    NoModel,
    /// No dataset answers to the name.
    UnknownDataset,
    /// A dataset's content is neither where it should be nor in the store.
    MissingData,
    /// A record or a journal is not what this version can read.
    Unreadable,
    /// This version can't do it yet.
    Unsupported,
    /// This host refused a capability.
    Denied,
    /// A capability failed.
    Unavailable,
    /// The core itself failed.
    Internal,
}

/// What happened, and what to do about it: sentences without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What a caller acts on.
    pub kind: FailureKind,
    /// What happened.
    pub message: String,
    /// What to do, most useful first.
    pub hints: Vec<String>,
    /// Where the mistake is in a text that was given: a line of the text, and one with carets below the place.
    pub excerpt: Option<String>,
}

impl Failure {
    /// A failure with one hint.
    pub fn new(kind: FailureKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: vec![hint.into()], excerpt: None }
    }

    /// The sandbox ended where it should have answered.
    pub(crate) fn trap(error: &wasmtime::Error) -> Self {
        Self::new(
            FailureKind::Internal,
            format!("The tracking core stopped: {}", error.root_cause()),
            "This is a fault of Aurum's. What was logged is kept: `au recover` saves it once the script has ended",
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        let kind = match failure.kind {
            types::FailureKind::Usage => FailureKind::Usage,
            types::FailureKind::NotAProject => FailureKind::NotAProject,
            types::FailureKind::AlreadyAProject => FailureKind::AlreadyAProject,
            types::FailureKind::InTheWay => FailureKind::InTheWay,
            types::FailureKind::NoIdentity => FailureKind::NoIdentity,
            types::FailureKind::UnknownExperiment => FailureKind::UnknownExperiment,
            types::FailureKind::AmbiguousExperiment => FailureKind::AmbiguousExperiment,
            types::FailureKind::UnknownParameter => FailureKind::UnknownParameter,
            types::FailureKind::InvalidValue => FailureKind::InvalidValue,
            types::FailureKind::LimitReached => FailureKind::LimitReached,
            types::FailureKind::NoModel => FailureKind::NoModel,
            types::FailureKind::UnknownDataset => FailureKind::UnknownDataset,
            types::FailureKind::MissingData => FailureKind::MissingData,
            types::FailureKind::Unreadable => FailureKind::Unreadable,
            types::FailureKind::Unsupported => FailureKind::Unsupported,
            types::FailureKind::Denied => FailureKind::Denied,
            types::FailureKind::Unavailable => FailureKind::Unavailable,
        };
        Self { kind, message: failure.message, hints: failure.hints, excerpt: failure.excerpt }
    }
}

impl From<crate::capabilities::Error> for Failure {
    fn from(error: crate::capabilities::Error) -> Self {
        let kind = match error {
            crate::capabilities::Error::Denied(_) => FailureKind::Denied,
            _ => FailureKind::Unavailable,
        };
        Self { kind, message: error.to_string(), hints: Vec::new(), excerpt: None }
    }
}

/// Something that the user should know, and that did not keep the call from succeeding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Warning {
    /// What happened.
    pub message: String,
    /// What to do, most useful first.
    pub hints: Vec<String>,
}
