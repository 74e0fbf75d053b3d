//! NVIDIA's GPUs, as the driver's own library tells of them.
//!
//! It is loaded when it is asked for, and only where there is one. By hand, for seven functions: `nvml-wrapper` would bring second copies of
//! `syn` and `thiserror` into every build.
#![expect(unsafe_code, reason = "the functions are C's, and found by name in a library that the driver installs")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use libloading::{Library, Symbol};

/// The driver's library, by the name under which every version of it is installed.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// Devices that are looked at.
const MOST: u32 = 64;
/// Bytes of a name; `nvml.h` says 96.
const LONGEST: usize = 96;

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Such as `NVIDIA A100-SXM4-40GB`.
    pub name: String,
    /// Bytes.
    pub memory: u64,
}

/// How busy a GPU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Percent of the time in which something ran on it, of late.
    pub busy: u32,
    /// Bytes that are taken, by whomever.
    pub memory: u64,
}

type Device = *mut c_void;

/// `nvmlMemory_t`
#[derive(Default)]
#[repr(C)]
struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

/// `nvmlUtilization_t`
#[derive(Default)]
#[repr(C)]
struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

/// The library, initialised.
pub(crate) struct Nvml(Library);

impl Nvml {
    /// None where there is no driver, or one that does not work.
    pub(crate) fn open() -> Option<Self> {
        // SAFETY: the library is the driver's. What it does as it is loaded and dropped is what every program of CUDA has it do.
        let library = unsafe { Library::new(LIBRARY) }.ok()?;
        let nvml = Self(library);
        // SAFETY: `nvmlReturn_t nvmlInit_v2(void)`
        let begun = unsafe { nvml.find::<unsafe extern "C" fn() -> c_int>(b"nvmlInit_v2\0")?() };
        (begun == 0).then_some(nvml)
    }

    /// The driver's version.
    pub(crate) fn driver(&self) -> Option<String> {
        let mut version = [0; LONGEST];
        // SAFETY: `nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)` writes at most so many bytes.
        let told = unsafe {
            let get =
                self.find::<unsafe extern "C" fn(*mut c_char, c_uint) -> c_int>(b"nvmlSystemGetDriverVersion\0")?;
            get(version.as_mut_ptr(), LONGEST as c_uint)
        };
        if told == 0 { text(&version) } else { None }
    }

    /// The GPUs in the driver's order; those that don't answer are left out.
    pub(crate) fn gpus(&self) -> Vec<Gpu> {
        let gpu = |device| Some(Gpu { name: self.name(device)?, memory: self.memory(device)?.total });
        self.devices().into_iter().filter_map(gpu).collect()
    }

    /// How busy each is; none for one that does not tell.
    pub(crate) fn loads(&self) -> Vec<Option<Load>> {
        let load = |device| Some(Load { busy: self.utilization(device)?.gpu, memory: self.memory(device)?.used });
        self.devices().into_iter().map(load).collect()
    }

    fn devices(&self) -> Vec<Device> {
        let mut count = 0;
        // SAFETY: `nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *deviceCount)`
        let told = unsafe {
            let Some(get) = self.find::<unsafe extern "C" fn(*mut c_uint) -> c_int>(b"nvmlDeviceGetCount_v2\0") else {
                return Vec::new();
            };
            get(&raw mut count)
        };
        let count = if told == 0 { count.min(MOST) } else { 0 };
        (0..count).filter_map(|index| self.device(index)).collect()
    }

    fn device(&self, index: u32) -> Option<Device> {
        let mut device = ptr::null_mut();
        // SAFETY: `nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)`
        let told = unsafe {
            let get =
                self.find::<unsafe extern "C" fn(c_uint, *mut Device) -> c_int>(b"nvmlDeviceGetHandleByIndex_v2\0")?;
            get(index, &raw mut device)
        };
        (told == 0).then_some(device)
    }

    fn name(&self, device: Device) -> Option<String> {
        let mut name = [0; LONGEST];
        // SAFETY: `nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)` writes at most so many bytes;
        // the handle is one that the library gave.
        let told = unsafe {
            let get =
                self.find::<unsafe extern "C" fn(Device, *mut c_char, c_uint) -> c_int>(b"nvmlDeviceGetName\0")?;
            get(device, name.as_mut_ptr(), LONGEST as c_uint)
        };
        if told == 0 { text(&name) } else { None }
    }

    fn memory(&self, device: Device) -> Option<Memory> {
        let mut memory = Memory::default();
        // SAFETY: `nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)`; the handle is one that the library
        // gave.
        let told = unsafe {
            self.find::<unsafe extern "C" fn(Device, *mut Memory) -> c_int>(b"nvmlDeviceGetMemoryInfo\0")?(
                device,
                &raw mut memory,
            )
        };
        (told == 0).then_some(memory)
    }

    fn utilization(&self, device: Device) -> Option<Utilization> {
        let mut utilization = Utilization::default();
        // SAFETY: `nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)`; the handle is one
        // that the library gave.
        let told = unsafe {
            let get = self
                .find::<unsafe extern "C" fn(Device, *mut Utilization) -> c_int>(b"nvmlDeviceGetUtilizationRates\0")?;
            get(device, &raw mut utilization)
        };
        (told == 0).then_some(utilization)
    }

    /// A function of the library.
    ///
    /// # Safety
    /// `F` has to be its type, as `nvml.h` has it.
    unsafe fn find<F>(&self, name: &[u8]) -> Option<Symbol<'_, F>> {
        // SAFETY: the caller's promise.
        unsafe { self.0.get(name) }.ok()
    }
}

impl Drop for Nvml {
    fn drop(&mut self) {
        // SAFETY: `nvmlReturn_t nvmlShutdown(void)`. It counts: others in the process that use the library go on.
        unsafe {
            if let Some(shutdown) = self.find::<unsafe extern "C" fn() -> c_int>(b"nvmlShutdown\0") {
                shutdown();
            }
        }
    }
}

fn text(bytes: &[c_char]) -> Option<String> {
    let bytes: Vec<u8> = bytes.iter().map(|byte| byte.to_ne_bytes()[0]).collect();
    Some(CStr::from_bytes_until_nul(&bytes).ok()?.to_string_lossy().into_owned())
}
