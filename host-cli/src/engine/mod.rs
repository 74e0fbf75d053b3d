//! The compiled core, ready to run.

use std::sync::OnceLock;

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

mod config;
// What `build.rs` compiled ahead of time.
#[cfg_attr(target_os = "linux", path = "in_place.rs")]
#[cfg_attr(not(target_os = "linux"), path = "copied.rs")]
mod compiled;

/// The component itself, as other hosts run it.
pub static COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.wasm"));

/// The engine and the component, made at the first use and kept: about a millisecond.
pub(crate) fn load() -> Result<(&'static Engine, &'static Component)> {
    static LOADED: OnceLock<(Engine, Component)> = OnceLock::new();
    if let Some((engine, component)) = LOADED.get() {
        return Ok((engine, component));
    }
    let loaded = compiled::load()?;
    let (engine, component) = LOADED.get_or_init(|| loaded);
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
