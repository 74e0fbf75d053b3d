//! Running the compiled core from a copy in memory, where a system lets no program execute its own data in place.

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

use super::config::config;

static COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.cwasm"));

/// Loads it.
pub(super) fn load() -> Result<(Engine, Component)> {
    let engine = Engine::new(&config())?;
    // SAFETY: the bytes are what this build's own build script got from wasmtime, and nothing has changed them since.
    #[expect(unsafe_code, reason = "code compiled ahead of time can only be loaded by trusting it")]
    let component = unsafe { Component::deserialize(&engine, COMPILED)? };
    Ok((engine, component))
}
