//! Samples of how busy the computer is, taken by one thread while a run is under way and asked for it.
//!
//! The thread has nothing to do with Python: it needs the session's lock alone, for as long as logging takes. It is never there at a fork.
//! Who forks ends it first, and it begins again with the next call of any kind after that, and not within the fork, where Python still
//! counts threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aurum_host::capabilities::load::{Sample, Sampler};
use aurum_host::{Failure, Measurement, Number};
use pyo3::prelude::*;

use crate::session;
use crate::warn;

/// What all of the metrics begin with.
const PREFIX: &str = "system/";
/// The shortest time between two samples, in seconds.
pub(crate) const SHORTEST: f64 = 0.1;
/// After so many samples the time between them doubles: a run of weeks has some ten thousands.
const SAMPLES: u32 = 2000;

/// Only whoever has the interpreter's lock takes it, for no longer than a look takes.
static STATE: Mutex<State> = Mutex::new(State::Off);
/// Whether the thread is to begin again.
static PAUSED: AtomicBool = AtomicBool::new(false);
/// Threads that are about to fork.
static FORKS: AtomicUsize = AtomicUsize::new(0);

enum State {
    Off,
    On { stop: Sender<bool>, thread: JoinHandle<Work> },
    Paused(Work),
}

/// What the thread has, and hands back when it ends.
struct Work {
    sampler: Sampler,
    period: Duration,
    taken: u32,
    failure: Option<Failure>,
}

impl Work {
    fn run(mut self, stop: &mpsc::Receiver<bool>) -> Self {
        loop {
            let last = match stop.recv_timeout(self.period) {
                Ok(last) => Some(last),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self,
            };
            if last != Some(false) {
                let samples = self.sampler.sample();
                if let Err(failure) = session::log_from_thread(&measurements(samples)) {
                    // It would fail the next time, too.
                    self.failure = Some(failure);
                    return self;
                }
                self.taken += 1;
                if self.taken.is_multiple_of(SAMPLES) {
                    self.period = self.period.saturating_mul(2);
                }
            }
            if last.is_some() {
                return self;
            }
        }
    }
}

fn measurements(samples: Vec<Sample>) -> Vec<Measurement> {
    let measurement =
        |sample: Sample| Measurement { name: format!("{PREFIX}{}", sample.name), value: Number::Float(sample.value) };
    samples.into_iter().map(measurement).collect()
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Samples the run under way from now on, each so many seconds.
pub(crate) fn start(py: Python<'_>, seconds: f64) {
    stop(py, false);
    let Some(mut sampler) = Sampler::new() else {
        return warn::warn(py, "System metrics are not sampled: this system does not tell them as Linux does", &[]);
    };
    // Rates count from here.
    sampler.sample();
    let period = Duration::from_secs_f64(seconds.clamp(SHORTEST, 1e6));
    begin(Work { sampler, period, taken: 0, failure: None });
}

fn begin(work: Work) {
    let (stop, stopped) = mpsc::channel();
    let spawned = thread::Builder::new().name("aurum-system".to_owned()).spawn(move || work.run(&stopped));
    // Without a thread there are no samples, and all else is as it would be.
    if let Ok(thread) = spawned {
        *state() = State::On { stop, thread };
    }
}

/// Ends the thread, after a last sample if `sample`, and waits for it.
fn end(py: Python<'_>, sample: bool) -> Option<Work> {
    let former = std::mem::replace(&mut *state(), State::Off);
    match former {
        State::Off => None,
        State::Paused(work) => Some(work),
        State::On { stop, thread } => py.detach(|| {
            let _ = stop.send(sample);
            thread.join().ok()
        }),
    }
}

/// The run ends: the last sample is taken, and no other one follows.
pub(crate) fn stop(py: Python<'_>, sample: bool) {
    PAUSED.store(false, Ordering::SeqCst);
    if let Some(Work { failure: Some(failure), .. }) = end(py, sample) {
        warn::lost(py, "System metrics are sampled no more", &failure);
    }
}

/// Ends the thread until the fork is over.
pub(crate) fn before_fork(py: Python<'_>) {
    FORKS.fetch_add(1, Ordering::SeqCst);
    if let Some(work) = end(py, false) {
        *state() = State::Paused(work);
        PAUSED.store(true, Ordering::SeqCst);
    }
}

/// The fork is over, here in the parent.
pub(crate) fn after_fork() {
    let _ = FORKS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |forks| forks.checked_sub(1));
}

/// In the child there is nothing to sample: its parent sees it.
pub(crate) fn in_child() {
    FORKS.store(0, Ordering::SeqCst);
    PAUSED.store(false, Ordering::SeqCst);
    // Of the driver's library a child must not let go.
    std::mem::forget(std::mem::replace(&mut *state(), State::Off));
}

/// Has the thread begin again, if a fork ended it and is over.
pub(crate) fn resume() {
    if PAUSED.load(Ordering::Relaxed) && FORKS.load(Ordering::SeqCst) == 0 && PAUSED.swap(false, Ordering::SeqCst) {
        let former = std::mem::replace(&mut *state(), State::Off);
        match former {
            State::Paused(work) => begin(work),
            other => *state() = other,
        }
    }
}
