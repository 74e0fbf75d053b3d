//! Why a port, or a call on the core, did not do what was asked.

use std::fmt;

/// What a capability answers when it fails; `wit/types.wit` says when each is due.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// This host did not grant the capability.
    #[error("This host does not grant `{0}`")]
    Denied(String),
    /// Somebody else was first.
    #[error("{0}")]
    Conflict(String),
    /// The path leaves the project, or is not one.
    #[error("`{0}` is not a path within the project")]
    InvalidPath(String),
    /// Device full or quota used up.
    #[error("no space left: {0}")]
    NoSpace(String),
    /// The system does not let this user do it.
    #[error("{0}")]
    NotPermitted(String),
    /// Something that the call builds on is gone.
    #[error("{0}")]
    Missing(String),
    /// Anything else, in the host's words.
    #[error("{0}")]
    Other(String),
}

/// What a caller acts on; the kinds of `wit/types.wit`.
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
    /// The host refused a capability.
    Denied,
    /// Something that was there when the call began is gone: what led to it can be done again. Outside it is `unavailable`.
    Gone,
    /// A capability failed.
    Unavailable,
}

/// What happened, and what to do about it.
///
/// The message is one sentence without a full stop, as is each hint; names, paths and commands stand in backquotes.
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
    /// A failure without a hint.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), excerpt: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        let kind = match error {
            PortError::Denied(_) => FailureKind::Denied,
            PortError::Missing(_) => FailureKind::Gone,
            _ => FailureKind::Unavailable,
        };
        let failure = Failure::new(kind, error.to_string());
        match error {
            PortError::NoSpace(_) => failure.hint("Free some space, then try again"),
            PortError::NotPermitted(_) => failure.hint("`ls -ld` shows who may do that there"),
            _ => failure,
        }
    }
}

/// The result of a call on the core.
pub type Result<T, E = Failure> = std::result::Result<T, E>;
