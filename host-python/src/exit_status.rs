//! The status that a process exits with, which nobody within Python is told.
//!
//! `raise SystemExit(3)` reaches no hook of the interpreter's, and its value is gone by the time that exit handlers are called. The C library
//! knows it: `exit` hands it to what `on_exit` has registered, after the interpreter has ended.

use std::sync::Mutex;

type AtExit = Box<dyn FnOnce(i32) + Send>;

static WAITING: Mutex<Option<AtExit>> = Mutex::new(None);

/// Does something once the status is known, without Python, which has ended by then. Hands it back where the C library does not tell.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn once_known(work: impl FnOnce(i32) + Send + 'static) -> Result<(), AtExit> {
    use std::ffi::{c_int, c_void};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::PoisonError;

    unsafe extern "C" {
        fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }

    extern "C" fn tell(status: c_int, _: *mut c_void) {
        let work = WAITING.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            // The C library can't be unwound through.
            let _ = catch_unwind(AssertUnwindSafe(|| work(status)));
        }
    }

    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    *waiting = Some(Box::new(work));
    // SAFETY: the function is a plain one that takes no part of its argument, and this library is never unloaded: Python does not unload
    // extension modules.
    let registered = unsafe { on_exit(tell, std::ptr::null_mut()) } == 0;
    match waiting.take_if(|_| !registered) {
        Some(work) => Err(work),
        None => Ok(()),
    }
}

/// The same where there is no such function.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn once_known(work: impl FnOnce(i32) + Send + 'static) -> Result<(), AtExit> {
    let _ = &WAITING;
    Err(Box::new(work))
}
