//! The tracking logic of Aurum: every rule, format and name, and the messages that carry meaning.
//!
//! The core has no ambient authority. It reaches the world through [`ports`] alone, so that the same code runs as a
//! WebAssembly component inside the native hosts (`component`), as a viewer in a browser (`js`), and natively under its
//! own tests ([`testing`]).
//!
//! | module | idea |
//! | --- | --- |
//! | [`parameters`] | what `name=value` on a command line means |
//! | [`journal`] | the append-only log that *is* a running experiment |
//! | [`snapshot`] | which files of the working tree belong to an experiment |
//! | [`run`] | what a script does to its experiment |
//! | [`completion`] | from a journal to a commit and a tag: finishing and recovering are the same function |
//! | [`record`] | what an experiment leaves behind |
//! | [`records`] | reading many of them |
//! | [`catalogue`] | which experiments are saved, whatever holds them |
//! | [`notes`] | what is said of experiments after their end |
//! | [`summary`] | what comparing experiments needs of each, kept in columns and derived again at need |
//! | [`row`] | one experiment as people compare it |
//! | [`history`] | rows and selectors over records |
//! | [`models`] | which model `load_model` means |
//! | [`dataset`] | the project's data: adding, comparing, bringing back, and what of it a run used |
//! | [`reproduction`] | going back to an experiment, and packing one up |
//! | [`retention`] | removing and bringing back, archives, clearing up, checking |
//! | [`sharing`] | exchanging experiments with other clones |
//! | [`project`] | `au init` |

#![deny(unsafe_code)]
#![warn(missing_docs)]
// The entry points of a component and of a wasm-bindgen module are generated, and need `unsafe` to be exported.
#![cfg_attr(
    any(feature = "component", feature = "js"),
    allow(unsafe_code, missing_docs, reason = "generated bindings")
)]

#[cfg(all(feature = "component", feature = "js"))]
compile_error!("the features `component` and `js` each export their own entry points: build one of them");

#[cfg(feature = "component")]
mod component;
#[cfg(feature = "js")]
mod js;

pub mod catalogue;
pub mod completion;
pub mod dataset;
mod digest;
pub mod error;
#[cfg(test)]
mod histories;
pub mod history;
pub mod id;
pub mod journal;
pub mod layout;
pub mod metrics;
pub mod models;
pub mod notes;
pub mod output;
pub mod parameters;
pub mod ports;
pub mod project;
pub mod query;
pub mod reads;
pub mod record;
pub mod records;
pub mod redact;
pub mod report;
pub mod reproduction;
pub mod requirements;
pub mod retention;
pub mod row;
pub mod run;
#[cfg(test)]
mod scenarios;
pub mod selector;
pub mod sharing;
pub mod snapshot;
pub mod stretches;
mod suggest;
pub mod summary;
#[cfg(test)]
pub mod testing;
pub mod texts;
pub mod time;
pub mod value;
pub mod working_tree;

pub use error::{Failure, FailureKind, PortError, Result};
