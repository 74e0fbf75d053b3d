//! The time of day.
//!
//! For tests, and for demonstrations that come out the same each time, `AURUM_CLOCK` pins the clock to an instant of
//! [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339), such as `2026-01-02T03:04:05Z`: the first question in a process is
//! answered with it, each further one with a millisecond more, and the local zone is UTC.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Error, Result};

/// Tells the time.
#[derive(Debug)]
pub struct Clock {
    /// The next answer of a pinned clock.
    pinned: Option<AtomicU64>,
}

impl Clock {
    /// The computer's clock and zone (`TZ`, else the system's).
    pub fn system() -> Self {
        Self { pinned: None }
    }

    /// The clock that `AURUM_CLOCK` names, else the computer's.
    pub fn from_environment() -> Result<Self> {
        match std::env::var_os("AURUM_CLOCK") {
            Some(instant) => Self::pinned(&instant.to_string_lossy()),
            None => Ok(Self::system()),
        }
    }

    fn pinned(instant: &str) -> Result<Self> {
        let parsed = instant.parse::<jiff::Timestamp>().ok();
        let next = parsed.and_then(|instant| u64::try_from(instant.as_millisecond()).ok()).ok_or_else(|| {
            Error::Other(format!(
                "`AURUM_CLOCK` is not a time such as `2026-01-02T03:04:05Z`: {}",
                instant.escape_debug()
            ))
        })?;
        Ok(Self { pinned: Some(AtomicU64::new(next)) })
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> u64 {
        match &self.pinned {
            Some(next) => next.fetch_add(1, Ordering::Relaxed),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
        }
    }

    /// The local zone now, in minutes east of UTC.
    pub fn offset_minutes(&self) -> i16 {
        match self.pinned {
            Some(_) => 0,
            None => (jiff::Zoned::now().offset().seconds() / 60) as i16,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_clock_counts_milliseconds() {
        let clock = Clock::pinned("2026-01-02T03:04:05.250+02:00").unwrap();
        assert_eq!([clock.now(), clock.now()], [1_767_315_845_250, 1_767_315_845_251]);
        assert_eq!(clock.offset_minutes(), 0);
        for nonsense in ["", "noon", "2026-01-02", "1969-12-31T23:59:59Z"] {
            assert!(Clock::pinned(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn the_systems_clock_goes_forward() {
        let clock = Clock::system();
        let now = clock.now();
        assert!(now > 1_700_000_000_000 && clock.now() >= now);
    }

    #[test]
    #[ignore = "run in a process of its own by the test below"]
    #[allow(clippy::print_stdout, reason = "how it tells its parent")]
    fn child() {
        println!("\noffset {}", Clock::from_environment().unwrap().offset_minutes());
    }

    #[test]
    fn the_zone_is_the_environments() {
        for (zone, told) in
            [("<+0530>-05:30", "offset 330\n"), ("<-0330>+03:30", "offset -210\n"), ("UTC", "offset 0\n")]
        {
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "--nocapture"])
                .arg(format!("{}::child", module_path!().split_once("::").unwrap().1))
                .env("TZ", zone)
                .env_remove("AURUM_CLOCK")
                .output()
                .unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            assert!(output.contains(told), "{zone}: {output}");
        }
    }
}
