//! Keeps forks and work in the tracker apart.
//!
//! A child that is forked while another thread is within the tracker finds locks of what the tracker is made of locked for good. So a
//! fork waits until no thread is, and whoever comes meanwhile waits for the fork. Both are decided with the interpreter's lock held,
//! which the forking thread keeps from its last look to the fork: a thread that waited without it, in line for the session, could
//! enter in between.
//!
//! Nothing is held across the fork: others' handlers, which come after this one, may wait for threads that wait for us.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a fork waits for work, and work for forks: longer than any of it takes on a disk that works.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Gate {
    /// Threads within the tracker, or in line for it.
    inside: AtomicUsize,
    /// Threads that are about to fork.
    forks: AtomicUsize,
}

/// A thread within. It may leave without the interpreter's lock.
pub(crate) struct Inside<'g>(&'g Gate);

impl Gate {
    /// Lets the thread in once no fork is awaited. `pause` lets go of the interpreter for a moment.
    pub(crate) fn enter(&self, mut pause: impl FnMut()) -> Inside<'_> {
        let begin = Instant::now();
        while self.forks.load(Ordering::SeqCst) > 0 && begin.elapsed() < PATIENCE {
            pause();
        }
        self.inside.fetch_add(1, Ordering::SeqCst);
        Inside(self)
    }

    /// Waits, within reason, until nobody is within. `pause` lets go of the interpreter for a moment.
    pub(crate) fn before_fork(&self, mut pause: impl FnMut()) {
        let begin = Instant::now();
        self.forks.fetch_add(1, Ordering::SeqCst);
        while self.inside.load(Ordering::SeqCst) > 0 && begin.elapsed() < PATIENCE {
            pause();
        }
        self.forks.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Mutex, MutexGuard};
    use std::thread;

    use super::*;

    /// The interpreter's lock, and letting go of it for a moment.
    struct Interpreter(Mutex<()>);

    impl Interpreter {
        fn lock(&self) -> MutexGuard<'_, ()> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        fn pause<'i>(&'i self, held: &mut Option<MutexGuard<'i, ()>>) {
            *held = None;
            thread::sleep(Duration::from_micros(50));
            *held = Some(self.lock());
        }
    }

    #[test]
    fn nobody_is_within_at_a_fork_and_nobody_waits_for_good() {
        let (interpreter, gate, session) = (Interpreter(Mutex::new(())), Gate::default(), Mutex::new(()));
        let (within, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            let mut rounds = 0;
            while !over.load(Ordering::SeqCst) {
                let mut held = Some(interpreter.lock());
                let inside = gate.enter(|| interpreter.pause(&mut held));
                drop(held);
                {
                    let _session = session.lock();
                    within.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_micros(20));
                    within.fetch_sub(1, Ordering::SeqCst);
                }
                drop(inside);
                rounds += 1;
            }
            rounds
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            for _ in 0..300 {
                let mut held = Some(interpreter.lock());
                gate.before_fork(|| interpreter.pause(&mut held));
                for _ in 0..20 {
                    assert_eq!(within.load(Ordering::SeqCst), 0, "somebody is within at the fork");
                    std::hint::spin_loop();
                }
                drop(held);
                thread::sleep(Duration::from_micros(100));
            }
            over.store(true, Ordering::SeqCst);
            assert!(workers.into_iter().all(|worker| worker.join().is_ok_and(|rounds| rounds > 0)));
        });
        assert_eq!(gate.forks.load(Ordering::SeqCst), 0);
    }
}
