//! Aurum's native host.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`capabilities`] | plain Rust over git, files, the clock and the network, with no word of WebAssembly |
//! | [`discovery`] | the project that a folder belongs to |
//! | [`grants`] | which of them a core gets |
//! | [`tracker`] | the sandboxed core over them, as typed calls for the command line and for Python |
//! | `cli` | the program `au`, behind the feature of that name |

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod bindings;
pub mod capabilities;
#[cfg(feature = "cli")]
pub mod cli;
pub mod discovery;
mod engine;
mod failure;
pub mod grants;
pub mod tracker;

pub use engine::{COMPONENT, imports};
pub use failure::{Failure, FailureKind, Warning};
pub use tracker::{
    AddOptions, Addition, Collection, Created, DataOutcome, DataRemote, DataSource, Declared, FinishedRun, Folded,
    Freight, LeftBehind, Loaded, Measurement, ModelLocation, Number, Omissions, Outcome, OutputStream, Packed, Pages,
    Parameter, Parsed, Problem, Pulled, Pushed, Reading, Recovered, Recovery, Request, Resolution, RestoreOptions,
    RunOptions, ShareRequest, Source, Steps, StoredArtifact, Tracker, Word,
};
