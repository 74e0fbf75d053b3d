//! The built component under the real host: what it can reach, what happens when it is refused something, and what is left
//! when it dies in the middle of a run.

#![allow(clippy::unwrap_used, reason = "tests")]

mod grants;
mod imports;
mod process;
mod project;
mod recovery;
mod traps;
