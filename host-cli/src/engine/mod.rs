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

/// The engine and the component, made at the first use and kept. Made once even where threads come at the same time: what runs in place
/// can't be loaded twice.
pub(crate) fn load() -> Result<(&'static Engine, &'static Component)> {
    static LOADED: OnceLock<Result<(Engine, Component), String>> = OnceLock::new();
    match LOADED.get_or_init(|| compiled::load().map_err(|error| format!("{error:#}"))) {
        Ok((engine, component)) => Ok((engine, component)),
        Err(why) => Err(wasmtime::Error::msg(why.as_str())),
    }
}

/// The interfaces that the core asks its host for, as its type names them.
///
/// # Errors
/// When the core can't be loaded.
pub fn imports() -> Result<Vec<String>> {
    let (engine, component) = load()?;
    Ok(component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect())
}
