//! Builds the sandboxed core: compiles it to WebAssembly, makes it a component, and compiles that ahead of time, so that
//! the program needs no compiler in it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a build script speaks to cargo")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};

use wit_component::ComponentEncoder;

#[path = "src/engine/config.rs"]
mod config;

const TARGET: &str = "wasm32-unknown-unknown";
/// A core module built elsewhere, for packagers whose toolchain has no wasm target.
const READY_MADE: &str = "AURUM_CORE_WASM";

fn main() {
    let workspace = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    let out = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-env-changed={READY_MADE}");
    for path in [
        "core/src",
        "core/Cargo.toml",
        "core/build.rs",
        "wit",
        "Cargo.lock",
        "Cargo.toml",
        "host-cli/build.rs",
        "host-cli/src/engine/config.rs",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }

    let module = match env::var_os(READY_MADE) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", Path::new(&path).display());
            PathBuf::from(path)
        }
        None => build_core(&workspace, &target_folder(&out)),
    };
    let module =
        fs::read(&module).unwrap_or_else(|error| fail(&format!("{} can't be read: {error}", module.display())));
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .unwrap_or_else(|error| fail(&format!("the core is not a component: {error:#}")));
    let compiled =
        compile(&component).unwrap_or_else(|error| fail(&format!("the component does not compile: {error:#}")));
    for (name, bytes) in [("core.wasm", &component), ("core.cwasm", &compiled)] {
        fs::write(out.join(name), bytes).unwrap_or_else(|error| fail(&format!("{name} can't be written: {error}")));
    }
}

/// Of the core, beside the outer one's profiles: whatever features this package is built with, the core is compiled once.
fn target_folder(out: &Path) -> PathBuf {
    // `target/<profile>/build/<package>/out`
    out.ancestors().nth(4).unwrap_or(out).join("core")
}

/// Compiles the core with a cargo of its own, in a target folder of its own: the outer cargo holds the lock of the outer one.
fn build_core(workspace: &Path, target: &Path) -> PathBuf {
    require_target();
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .current_dir(workspace)
        .args([
            "build",
            "--package",
            "aurum-core",
            "--lib",
            "--features",
            "component",
            "--profile",
            "wasm",
            "--target",
            TARGET,
        ])
        .env("CARGO_TARGET_DIR", target)
        // cargo asks rustc about itself by way of a program on its standard input, and there may be something else on ours.
        .stdin(Stdio::null());
    // What was meant for the outer build must not leak into the inner one.
    for name in env::vars_os().map(|(name, _)| name) {
        let text = name.to_string_lossy();
        let outer =
            text.starts_with("CARGO_PROFILE_") || text.starts_with("CARGO_FEATURE_") || text.starts_with("CARGO_CFG_");
        if outer || OUTER.contains(&&*text) {
            cargo.env_remove(&name);
        }
    }
    match cargo.status() {
        Ok(status) if status.success() => target.join(TARGET).join("wasm/aurum_core.wasm"),
        Ok(_) => fail("the core does not build: see above"),
        Err(error) => fail(&format!("cargo can't be run: {error}")),
    }
}

const OUTER: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

fn require_target() {
    let libraries = Command::new(variable("RUSTC")).args(["--print", "target-libdir", "--target", TARGET]).output();
    let there = libraries.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
    });
    if !there {
        fail(&format!(
            "Aurum's core is compiled to WebAssembly, and this Rust toolchain lacks the target for it.\n\
             Add it with: rustup target add {TARGET}\n\
             (Without rustup: build the core elsewhere, and name the file in {READY_MADE}.)"
        ));
    }
}

fn compile(component: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut config = config::config();
    // Named even when it is this very machine: else the code would use what this machine's processor can do, and the
    // program would not start on an older one.
    config.target(&variable("TARGET"))?;
    wasmtime::Engine::new(&config)?.precompile_component(component)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("cargo did not set {name}")))
}

fn fail(message: &str) -> ! {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    eprintln!("{message}");
    exit(1)
}
