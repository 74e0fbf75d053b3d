//! The compiled core, ready to run.

use std::sync::OnceLock;

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

mod config;

/// The component as `build.rs` compiled it ahead of time.
static COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.cwasm"));

/// The component itself, as other hosts run it.
pub static COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.wasm"));

/// The engine and the component, made at the first use and kept: about a millisecond.
pub(crate) fn load() -> Result<(&'static Engine, &'static Component)> {
    static LOADED: OnceLock<(Engine, Component)> = OnceLock::new();
    if let Some((engine, component)) = LOADED.get() {
        return Ok((engine, component));
    }
    let engine = Engine::new(&config::config())?;
    // SAFETY: the bytes are what this build's own build script got from wasmtime, and nothing has changed them since.
    #[expect(unsafe_code, reason = "code compiled ahead of time can only be loaded by trusting it")]
    let component = unsafe { Component::deserialize(&engine, COMPILED)? };
    let (engine, component) = LOADED.get_or_init(|| (engine, component));
    Ok((engine, component))
}

/// The interfaces that the core asks its host for, as its type names them.
///
/// # Errors
/// When the core can't be loaded.
pub fn imports() -> Result<Vec<String>> {
    let (engine, component) = load()?;
    Ok(component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect())
}
