//! The stack of the sandboxed core.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a build script is spoken to by cargo, and speaks to it"
)]

use std::env;

/// Bytes. A run's record is written and read on a few kilobytes; the linker's own 1 MiB would have to be cleared at every start, since the
/// memory of a sandbox begins with it. What goes beyond it traps, as all that leaves the memory.
const STACK: u32 = 256 << 10;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|architecture| architecture == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
}
