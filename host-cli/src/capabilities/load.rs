//! How busy the computer is, and the script with all of its children: as Linux tells it in `/proc`, and NVIDIA's driver of its GPUs.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::time::Instant;

use super::nvml::Nvml;

/// Processes of one script that are looked at.
const MOST_PROCESSES: usize = 4096;

/// What was measured of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Such as `cpu` or `gpu0/memory`.
    pub name: String,
    /// Percent, bytes, or bytes a second.
    pub value: f64,
}

/// Takes samples of the process that it is made in. What is told as a rate is that since the last one.
pub struct Sampler {
    process: u32,
    nvml: Option<Nvml>,
    before: Option<Counters>,
}

/// What only ever grows.
struct Counters {
    at: Instant,
    /// Ticks of all processors: those in which they worked, and all.
    machine: Option<(u64, u64)>,
    tree: HashMap<u32, Process>,
    /// Bytes received and sent.
    network: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Default)]
struct Process {
    ticks: u64,
    memory: u64,
    read: u64,
    written: u64,
}

impl Sampler {
    /// None on systems that don't tell.
    pub fn new() -> Option<Self> {
        let works = cfg!(target_os = "linux") && fs::exists("/proc/self/stat").unwrap_or(false);
        works.then(|| Self { process: std::process::id(), nvml: Nvml::open(), before: None })
    }

    /// Measures now. The first time there are no rates.
    pub fn sample(&mut self) -> Vec<Sample> {
        let now = Counters { at: Instant::now(), machine: machine(), tree: tree(self.process), network: network() };
        let mut samples = Vec::new();
        let mut add = |name: &str, value: f64| samples.push(Sample { name: name.to_owned(), value });
        if let Some(used) = memory() {
            add("memory", used as f64);
        }
        add("process/memory", now.tree.values().map(|process| process.memory).sum::<u64>() as f64);
        if let Some(before) = &self.before {
            let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
            if let (Some((worked, all)), Some((worked_before, all_before))) = (now.machine, before.machine) {
                let all = all.saturating_sub(all_before).max(1);
                add("cpu", 100.0 * worked.saturating_sub(worked_before) as f64 / all as f64);
            }
            // What ended meanwhile is not told any more, and what began has all of its own.
            let grown = |of: fn(&Process) -> u64| {
                let grown = |(id, process)| of(process).saturating_sub(before.tree.get(id).map_or(0, of));
                now.tree.iter().map(grown).sum::<u64>() as f64 / seconds
            };
            add("process/cpu", 100.0 * grown(|process| process.ticks) / rustix::param::clock_ticks_per_second() as f64);
            add("process/read", grown(|process| process.read));
            add("process/written", grown(|process| process.written));
            if let (Some((received, sent)), Some((received_before, sent_before))) = (now.network, before.network) {
                add("network/received", received.saturating_sub(received_before) as f64 / seconds);
                add("network/sent", sent.saturating_sub(sent_before) as f64 / seconds);
            }
        }
        for (number, load) in self.nvml.iter().flat_map(Nvml::loads).enumerate() {
            if let Some(load) = load {
                add(&format!("gpu{number}/busy"), f64::from(load.busy));
                add(&format!("gpu{number}/memory"), load.memory as f64);
            }
        }
        self.before = Some(now);
        samples
    }
}

/// The beginning of a file of `/proc`, which is made anew for each look.
fn head(path: &str, most: u64) -> Option<String> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(most).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn machine() -> Option<(u64, u64)> {
    let text = head("/proc/stat", 512)?;
    // Guests are in `user` already.
    let ticks: Vec<u64> =
        text.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0);
    let all = ticks.iter().sum::<u64>();
    Some((all.saturating_sub(idle), all))
}

/// Bytes that can't be had any more.
fn memory() -> Option<u64> {
    let text = head("/proc/meminfo", 1024)?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(of("MemTotal:")?.saturating_sub(of("MemAvailable:")?) << 10)
}

/// All interfaces but the one to this computer itself.
fn network() -> Option<(u64, u64)> {
    let text = head("/proc/net/dev", 64 << 10)?;
    let counts = text.lines().filter_map(|line| {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> = counts.split_whitespace().map_while(|count| count.parse().ok()).collect();
        (name.trim() != "lo").then_some((*counts.first()?, *counts.get(8)?))
    });
    Some(
        counts
            .fold((0, 0), |(received, sent), (more_received, more_sent)| (received + more_received, sent + more_sent)),
    )
}

/// A process and all that it has made.
fn tree(root: u32) -> HashMap<u32, Process> {
    let (mut found, mut ahead) = (HashMap::new(), vec![root]);
    while let Some(id) = ahead.pop() {
        if found.len() >= MOST_PROCESSES || found.contains_key(&id) {
            continue;
        }
        let Some(process) = process(id) else { continue };
        found.insert(id, process);
        // Each thread has children of its own.
        for thread in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            ahead.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found
}

fn process(id: u32) -> Option<Process> {
    let stat = head(&format!("/proc/{id}/stat"), 4096)?;
    // A program's name may hold anything, parentheses too.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let io = head(&format!("/proc/{id}/io"), 4096).unwrap_or_default();
    let of = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0);
    Some(Process {
        ticks: number(11)? + number(12)?,
        memory: number(21)?.saturating_mul(rustix::param::page_size() as u64),
        read: of("read_bytes:"),
        written: of("write_bytes:"),
    })
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    fn of(samples: &[Sample], name: &str) -> f64 {
        samples.iter().find(|sample| sample.name == name).unwrap_or_else(|| panic!("{name} in {samples:?}")).value
    }

    #[test]
    fn what_this_process_and_its_children_do_is_seen() {
        let mut sampler = Sampler::new().unwrap();
        let first = sampler.sample();
        assert!(of(&first, "process/memory") > 1e6 && of(&first, "memory") > of(&first, "process/memory") / 2.0);
        assert!(!first.iter().any(|sample| sample.name == "cpu"));
        // A child that is busy for as long as this is open.
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(400));
        let second = sampler.sample();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(of(&second, "process/cpu") > 10.0, "{second:?}");
        assert!((0.0..=100.0).contains(&of(&second, "cpu")), "{second:?}");
        for rate in ["process/read", "process/written", "network/received", "network/sent"] {
            assert!(of(&second, rate) >= 0.0);
        }
    }
}
