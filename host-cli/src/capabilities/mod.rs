//! What the host can do for the core: plain Rust, one module an interface of `wit/`, none of them aware of WebAssembly.

use std::io;

pub mod archive;
pub mod cache;
pub mod clock;
pub mod data;
pub mod entropy;
pub mod exchange;
pub(crate) mod git;
pub mod interpreter;
pub mod journal;
pub mod load;
pub mod machine;
mod nvml;
pub mod origin;
pub(crate) mod paths;
pub(crate) mod percent;
mod programs;
pub mod remote;
pub mod repository;
pub mod repository_edit;
pub(crate) mod settled;
pub(crate) mod sharing;
pub mod store;
mod temporaries;
pub mod upkeep;
pub mod workspace;

/// Why a capability did not do what was asked; the cases of `wit/types.wit`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not granted; names the capability.
    #[error("`{0}` is not granted")]
    Denied(String),
    /// Somebody else was first.
    #[error("{0}")]
    Conflict(String),
    /// The path leaves the project, or is not one.
    #[error("`{0}` is not a path within the project")]
    InvalidPath(String),
    /// Device full or quota used up.
    #[error("{0}")]
    NoSpace(String),
    /// The system does not let this user do it.
    #[error("{0}")]
    NotPermitted(String),
    /// Something that the call builds on is gone.
    #[error("{0}")]
    Missing(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// An operation on a file that failed: says what was tried, and keeps apart what a user can do something about.
    pub(crate) fn io(doing: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::of_kind(error.kind()).unwrap_or(Self::Other)(format!("{doing}: {error}"))
    }

    /// What makes an error of a message, where a user can do something about such failures.
    pub(crate) fn of_kind(kind: io::ErrorKind) -> Option<fn(String) -> Self> {
        match kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::NoSpace),
            io::ErrorKind::PermissionDenied => Some(Self::NotPermitted),
            _ => None,
        }
    }

    /// Any other library's error, with the chain of its causes.
    pub(crate) fn other(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self::Other(message)
    }
}

/// The result of a capability.
pub type Result<T, E = Error> = std::result::Result<T, E>;
