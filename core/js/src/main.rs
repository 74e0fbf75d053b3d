//! Builds the core's world `viewer` as one ES module, for browsers and for Node.
//!
//! `cargo run --package aurum-js -- OUT` (or `make js`) writes `aurum.js`, `aurum_bg.wasm` and the types of both into the
//! folder `OUT`. The module is told where its WebAssembly comes from before it is asked anything:
//!
//! ```js
//! // In a browser, from a server:            it fetches `aurum_bg.wasm` from beside itself.
//! import init, { rows } from "./aurum.js";
//! await init();
//!
//! // In Node, or in a page that is one file: it takes the bytes.
//! import { initSync, rows } from "./aurum.js";
//! initSync({ module: readFileSync("aurum_bg.wasm") });
//!
//! rows(records, "@");  // `records`: a Uint8Array of `record.json` texts, one after the other. Answers JSON text.
//! rows(records, undefined, "accuracy > 0.9 and started >= 2d ago", "-accuracy", 20, Date.now());
//! ```
//!
//! The rows are text because JavaScript's numbers would round the integers in them; `JSON.parse` does where that is no harm.
//!
//! The core is compiled by a cargo of its own into `target/js-build`. `AURUM_JS_WASM=PATH` names a core that was built
//! elsewhere, as `AURUM_CORE_WASM` does for the component.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the core next door has no ambient authority; what builds it has"
)]

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use wasm_bindgen_cli_support::Bindgen;

const TARGET: &str = "wasm32-unknown-unknown";
/// A core module built elsewhere, with the feature `js`, for packagers whose toolchain has no wasm target.
const READY_MADE: &str = "AURUM_JS_WASM";
const USAGE: &str = "Usage: cargo run --package aurum-js -- OUT\n\n\
                     Writes the viewer as an ES module, `aurum.js` and what belongs to it, into the folder OUT.";

type Result<T> = std::result::Result<T, String>;

#[allow(clippy::print_stderr, reason = "this is a program")]
fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [out] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match build(Path::new(out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build(out: &Path) -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let module = match env::var_os(READY_MADE) {
        Some(path) => PathBuf::from(path),
        None => build_core(&workspace)?,
    };
    let module = fs::read(&module).map_err(because(format_args!("`{}` can't be read", module.display())))?;
    // Flavour `web`, and not `nodejs`: it is the one that runs in both.
    let mut bindgen = Bindgen::new();
    bindgen.input_bytes("aurum", module).typescript(true).remove_name_section(true).remove_producers_section(true);
    let generated = bindgen.web(true).and_then(|bindgen| bindgen.generate(out));
    generated.map_err(|error| format!("the module can't be made for JavaScript: {error:#}"))
}

/// Compiles the core with a cargo of its own, in a target folder of its own: it needs other flags than this program.
fn build_core(workspace: &Path) -> Result<PathBuf> {
    require_target()?;
    let target = workspace.join("target/js-build");
    let mut cargo = Command::new(tool("CARGO", "cargo"));
    cargo
        .current_dir(workspace)
        .args(["build", "--quiet", "--locked", "--package", "aurum-core", "--lib", "--features", "js"])
        .args(["--profile", "wasm", "--target", TARGET])
        .env("CARGO_TARGET_DIR", &target)
        // cargo asks rustc about itself by way of a program on its standard input, and there may be something else on ours.
        .stdin(Stdio::null());
    // What was meant for this program's build must not leak into the core's.
    for name in env::vars_os().map(|(name, _)| name) {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PROFILE_") || OUTER.contains(&&*text) {
            cargo.env_remove(&name);
        }
    }
    let status = cargo.status().map_err(because("cargo can't be run"))?;
    if !status.success() {
        return Err("the core does not build: see above".to_owned());
    }
    Ok(target.join(TARGET).join("wasm/aurum_core.wasm"))
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

fn require_target() -> Result<()> {
    let mut rustc = Command::new(tool("RUSTC", "rustc"));
    let libraries = rustc.args(["--print", "target-libdir", "--target", TARGET]).output();
    let libraries = libraries.map_err(because("rustc can't be run"))?;
    let folder = String::from_utf8_lossy(&libraries.stdout).trim().to_owned();
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    Err(format!(
        "Aurum's core is compiled to WebAssembly, and this Rust toolchain lacks the target for it.\n\
         Add it with: rustup target add {TARGET}\n\
         (Without rustup: build the core elsewhere, and name the file in {READY_MADE}.)"
    ))
}

/// The tool that the environment names; cargo itself names the one that runs this.
fn tool(variable: &str, name: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| name.into())
}

fn because(what: impl Display) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}
