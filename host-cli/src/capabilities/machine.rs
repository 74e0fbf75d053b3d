//! The computer that the program runs on.

use std::path::Path;
use std::sync::OnceLock;

pub use super::nvml::Gpu;
use super::nvml::Nvml;

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
    /// What the processors are called, such as `AMD EPYC 7763 64-Core Processor`.
    pub processor: Option<String>,
    /// The file system of the folder that was asked about.
    pub disk: Option<Disk>,
    /// NVIDIA's, in the driver's order.
    pub gpus: Vec<Gpu>,
    /// The version of their driver.
    pub gpu_driver: Option<String>,
}

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Asks the system, of disks about the one that the folder is on.
pub fn describe(folder: &Path) -> Facts {
    let (gpus, gpu_driver) = gpus().clone();
    let name = rustix::system::uname();
    Facts {
        system: name.sysname().to_string_lossy().into_owned(),
        release: name.release().to_string_lossy().into_owned(),
        architecture: name.machine().to_string_lossy().into_owned(),
        processors: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory: memory(),
        processor: processor(),
        disk: disk(folder),
        gpus,
        gpu_driver,
    }
}

fn disk(folder: &Path) -> Option<Disk> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Disk { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

/// Asked once in a process: the driver takes a while to answer, and what it has stays.
fn gpus() -> &'static (Vec<Gpu>, Option<String>) {
    static GPUS: OnceLock<(Vec<Gpu>, Option<String>)> = OnceLock::new();
    GPUS.get_or_init(|| Nvml::open().map_or_else(Default::default, |nvml| (nvml.gpus(), nvml.driver())))
}

/// By the processor's own word: to read `/proc/cpuinfo` has some kernels wait for each of them.
#[cfg(target_arch = "x86_64")]
fn processor() -> Option<String> {
    use std::arch::x86_64::__cpuid;

    const NAMED: u32 = 0x8000_0000;
    if __cpuid(NAMED).eax < NAMED + 4 {
        return None;
    }
    let registers = (2..=4).map(|part| __cpuid(NAMED + part)).flat_map(|part| [part.eax, part.ebx, part.ecx, part.edx]);
    let bytes: Vec<u8> = registers.flat_map(u32::to_le_bytes).take_while(|byte| *byte != 0).collect();
    let name = String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

#[cfg(all(not(target_arch = "x86_64"), target_os = "macos"))]
fn processor() -> Option<String> {
    sysctl("machdep.cpu.brand_string")
}

#[cfg(not(any(target_arch = "x86_64", target_os = "macos")))]
fn processor() -> Option<String> {
    let told = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let named = |line: &str| line.starts_with("model name") || line.starts_with("Model");
    Some(told.lines().find(|line| named(line))?.split_once(':')?.1.trim().to_owned())
}

#[cfg(target_os = "macos")]
fn sysctl(name: &str) -> Option<String> {
    let told = std::process::Command::new("/usr/sbin/sysctl").args(["-n", name]).output().ok()?;
    Some(String::from_utf8(told.stdout).ok()?.trim().to_owned())
}

#[cfg(target_os = "linux")]
fn memory() -> u64 {
    let found = rustix::system::sysinfo();
    (found.totalram as u64).saturating_mul(u64::from(found.mem_unit))
}

#[cfg(target_os = "macos")]
fn memory() -> u64 {
    sysctl("hw.memsize").and_then(|told| told.parse().ok()).unwrap_or(0)
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
        let facts = describe(Path::new("."));
        assert!(!facts.system.is_empty() && !facts.release.is_empty());
        assert_eq!(facts.architecture, std::env::consts::ARCH.replace("aarch64", &facts.architecture));
        assert!(facts.processors >= 1);
        assert!(facts.memory > 64 << 20, "{facts:?}");
        assert!(facts.disk.is_some_and(|disk| disk.total > 0 && disk.free <= disk.total), "{facts:?}");
        assert!(!cfg!(target_arch = "x86_64") || facts.processor.is_some(), "{facts:?}");
    }
}
