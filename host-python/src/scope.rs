//! Which of this process's runs a call is for.
//!
//! A process has a run that all its threads share, number 0. A block of `aurum.run` in another thread or in a task, or within
//! another run, is a run besides, with a number of its own. A context variable says which one its thread or task is in; threads that
//! are in none are in the main thread's innermost.
//!
//! Only whoever has the interpreter's lock takes the lock here, and for no longer than a look takes, so that no fork finds it locked. A
//! forked child is in the block that it was forked in.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The run that all threads share.
pub(crate) const SHARED: u32 = 0;

/// How many blocks there are that have a number. Most scripts have none, and pay for no look.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks { last: 0, open: Vec::new(), shared_is_taken: false });
/// Says which block a thread or task is in.
static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

thread_local! {
    /// What [`within`] says, whatever the context variable does.
    static WITHIN: Cell<Option<u32>> = const { Cell::new(None) };
}

struct Blocks {
    last: u32,
    /// In the order of their beginnings.
    open: Vec<Block>,
    /// Whether the run that all threads share is a block.
    shared_is_taken: bool,
}

struct Block {
    number: u32,
    /// Whether it is the main thread's.
    is_mains: bool,
    /// The run that it was begun in.
    outer: Option<String>,
}

fn blocks() -> MutexGuard<'static, Blocks> {
    BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of the run that a call is for.
pub(crate) fn current(py: Python<'_>) -> u32 {
    if let Some(number) = WITHIN.get() {
        return number;
    }
    if COUNT.load(Ordering::Relaxed) == 0 {
        return SHARED;
    }
    let said = VARIABLE.get(py).and_then(|variable| variable.call_method1(py, "get", (SHARED,)).ok()?.extract(py).ok());
    let blocks = blocks();
    let is_open = |number: &u32| blocks.open.iter().any(|block| block.number == *number);
    said.filter(is_open).unwrap_or_else(|| blocks.mains())
}

impl Blocks {
    fn mains(&self) -> u32 {
        self.open.iter().rev().find(|block| block.is_mains).map_or(SHARED, |block| block.number)
    }
}

/// The runs that threads are in that are in no block of their own, the innermost first.
pub(crate) fn of_all_threads() -> Vec<u32> {
    let blocks = blocks();
    let mains = blocks.open.iter().rev().filter(|block| block.is_mains).map(|block| block.number);
    mains.chain([SHARED]).collect()
}

/// The run that the block was begun in.
pub(crate) fn outer(number: u32) -> Option<String> {
    blocks().open.iter().find(|block| block.number == number)?.outer.clone()
}

/// Does something as if from within a block.
pub(crate) fn within<T>(number: u32, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<u32>);
    impl Drop for Restore {
        fn drop(&mut self) {
            WITHIN.set(self.0);
        }
    }
    let _restore = Restore(WITHIN.replace(Some(number)));
    work()
}

/// Whether a block may be the run that all threads share; it is from now on.
pub(crate) fn take_shared() -> bool {
    !std::mem::replace(&mut blocks().shared_is_taken, true)
}

/// Makes a block that is begun in the run of this id, if in any. The variable that says so is the caller's to set.
pub(crate) fn open(is_mains: bool, outer: Option<String>) -> u32 {
    let mut blocks = blocks();
    blocks.last += 1;
    let number = blocks.last;
    blocks.open.push(Block { number, is_mains, outer });
    COUNT.store(blocks.open.len(), Ordering::Relaxed);
    number
}

/// The block has ended.
pub(crate) fn close(number: u32) {
    let mut blocks = blocks();
    if number == SHARED {
        blocks.shared_is_taken = false;
    }
    blocks.open.retain(|block| block.number != number);
    COUNT.store(blocks.open.len(), Ordering::Relaxed);
}

/// Has this thread or task, and what it starts with its context, be in a block. Answers what [`unset`] takes.
pub(crate) fn set(py: Python<'_>, number: u32) -> PyResult<Py<PyAny>> {
    let make = || Ok::<_, PyErr>(py.import("_contextvars")?.call_method1("ContextVar", ("aurum.run",))?.unbind());
    VARIABLE.get_or_try_init(py, make)?.call_method1(py, "set", (number,))
}

/// Undoes [`set`]. In another context, as that of a generator that is closed elsewhere, there is nothing to undo.
pub(crate) fn unset(py: Python<'_>, token: &Bound<'_, PyAny>) {
    if let Some(variable) = VARIABLE.get(py) {
        let _ = variable.call_method1(py, "reset", (token,));
    }
}
