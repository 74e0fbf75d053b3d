//! What the core does to the process that it is loaded into: nothing.

use aurum_host::Outcome;
use aurum_host::grants::Grants;

use crate::project::{Project, options};

/// The kernel's own word on which signals this process handles, ignores and blocks.
#[cfg(target_os = "linux")]
fn signals() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let of_interest = |line: &&str| ["SigBlk", "SigIgn", "SigCgt"].iter().any(|name| line.starts_with(name));
    status.lines().filter(of_interest).map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn signal_handlers_are_left_alone() {
    let before = signals();
    let project = Project::new();
    let mut tracker = project.tracker(Grants::local());
    tracker.start(&options()).unwrap();
    tracker.finish(Outcome::Finished, None).unwrap();
    assert_eq!(signals(), before);
}

/// What runs in place can't be loaded twice; in a process of its own, since here it may be loaded by now.
#[test]
fn threads_that_come_at_once_load_the_core_once() {
    const CHILD: &str = "AURUM_TEST_LOADS_AT_ONCE";
    if std::env::var_os(CHILD).is_some() {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| aurum_host::imports().unwrap().len())).collect();
            assert!(threads.into_iter().all(|thread| thread.join().unwrap() > 10));
        });
        return;
    }
    for _ in 0..10 {
        let name = "process::threads_that_come_at_once_load_the_core_once";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let status = child.args(["--exact", name]).env(CHILD, "1").output().unwrap();
        assert!(status.status.success(), "{status:?}");
    }
}
