//! The computer that the program runs on.

/// What there is to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Such as `Linux`.
    pub system: String,
    /// The system's version.
    pub release: String,
    /// Such as `x86_64`.
    pub architecture: String,
    /// Processors that this process may use: affinity and control groups count.
    pub processors: u32,
    /// Bytes of memory; 0 where that can't be found out.
    pub memory: u64,
}

/// Asks the system.
pub fn describe() -> Facts {
    let name = rustix::system::uname();
    Facts {
        system: name.sysname().to_string_lossy().into_owned(),
        release: name.release().to_string_lossy().into_owned(),
        architecture: name.machine().to_string_lossy().into_owned(),
        processors: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory: memory(),
    }
}

#[cfg(target_os = "linux")]
fn memory() -> u64 {
    let found = rustix::system::sysinfo();
    (found.totalram as u64).saturating_mul(u64::from(found.mem_unit))
}

#[cfg(target_os = "macos")]
fn memory() -> u64 {
    let told = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "hw.memsize"]).output().ok();
    told.and_then(|told| String::from_utf8(told.stdout).ok()?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn memory() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_it_all() {
        let facts = describe();
        assert!(!facts.system.is_empty() && !facts.release.is_empty());
        assert_eq!(facts.architecture, std::env::consts::ARCH.replace("aarch64", &facts.architecture));
        assert!(facts.processors >= 1);
        assert!(facts.memory > 64 << 20, "{facts:?}");
    }
}
