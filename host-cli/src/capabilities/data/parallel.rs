//! Work on many files at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::capabilities::Result;

/// Does all jobs, each with a buffer that is its thread's, and answers in their order. After a failure none is begun,
/// and of several the first job's is told.
pub(crate) fn each<J: Sync, T: Send>(
    jobs: &[J],
    work: impl Fn(&J, &mut Vec<u8>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let threads = processors().min(jobs.len());
    if threads <= 1 {
        let mut buffer = Vec::new();
        return jobs.iter().map(|job| work(job, &mut buffer)).collect();
    }
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let run = || {
        let mut buffer = Vec::new();
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            let result = work(job, &mut buffer);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((index, result));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Asked once: it costs a look into several files.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::capabilities::Error;

    #[test]
    fn answers_are_in_order() {
        let jobs: Vec<usize> = (0..1000).collect();
        assert_eq!(each(&jobs, |job, _| Ok(job * 2)).unwrap(), jobs.iter().map(|job| job * 2).collect::<Vec<_>>());
        assert!(each(&[0; 0], |_, _| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn a_failure_stops_the_rest() {
        let jobs: Vec<usize> = (0..100_000).collect();
        let begun = AtomicUsize::new(0);
        let result = each(&jobs, |job, _| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *job == 10 { Err(Error::Other("ten".into())) } else { Ok(()) }
        });
        assert!(matches!(result, Err(Error::Other(why)) if why == "ten"));
        assert!(begun.load(Ordering::Relaxed) < jobs.len());
    }
}
