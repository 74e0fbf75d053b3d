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
