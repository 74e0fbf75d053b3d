//! Running the compiled core from where the program's own file has it.
//!
//! To copy its 11 MB into memory of its own costs a start 7 ms and each process as much memory. In place, the system reads those pages
//! that are used, and shares them between processes.

use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Engine, Result};

use super::config::config;

/// Aligned to the largest page there is, so that code's pages are no other's.
#[repr(C, align(65536))]
struct Aligned<B: ?Sized>(B);

static COMPILED: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/core.cwasm")));

/// Loads it.
pub(super) fn load() -> Result<(Engine, Component)> {
    let engine = Engine::new(config().with_custom_code_memory(Some(Arc::new(InPlace))))?;
    // SAFETY: the bytes are what this build's own build script got from wasmtime; a static lives for ever and never changes.
    #[expect(unsafe_code, reason = "code compiled ahead of time can only be loaded by trusting it")]
    let component = unsafe { Component::deserialize_raw(&engine, NonNull::from(&COMPILED.0))? };
    Ok((engine, component))
}

/// Makes pages of the program's read-only data executable: nobody can have written to them, nor can they be written to then.
struct InPlace;

impl InPlace {
    fn protect(start: *const u8, length: usize, flags: MprotectFlags) -> Result<()> {
        // SAFETY: wasmtime asks for the code within `COMPILED` alone, which is aligned to pages, and keeps being readable.
        #[expect(unsafe_code, reason = "protection of memory is changed by its address")]
        unsafe {
            mprotect(start.cast_mut().cast(), length, flags)?;
        }
        Ok(())
    }
}

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        rustix::param::page_size()
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> Result<()> {
        Self::protect(start, length, MprotectFlags::READ | MprotectFlags::EXEC)
    }

    fn unpublish_executable(&self, start: *const u8, length: usize) -> Result<()> {
        Self::protect(start, length, MprotectFlags::READ)
    }
}
