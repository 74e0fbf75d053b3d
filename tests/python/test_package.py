"""From a checkout to an sdist, from that in an empty folder to a wheel, and from that without the network to `pip install aurum`."""

import os
import subprocess
import sys
import venv
from pathlib import Path

from conftest import AuEnv

CHECKOUT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=os.environ | (env or {}), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sdist_to_wheel_to_install(bare: AuEnv, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path / "sdist", CHECKOUT, cwd=CHECKOUT)
    [sdist] = (tmp_path / "sdist").glob("aurum-*.tar.gz")
    empty = tmp_path / "empty"
    empty.mkdir()
    # The dependencies as they were compiled for the checkout serve here too; everything of Aurum's is compiled anew.
    run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path / "wheels", sdist,
        cwd=empty, env={"CARGO_TARGET_DIR": str(CHECKOUT / "target")},
    )
    [wheel] = (tmp_path / "wheels").glob("aurum-*.whl")
    assert "-cp310-abi3-" in wheel.name
    venv.create(tmp_path / "venv", with_pip=True)
    scripts = tmp_path / "venv/bin"
    run(scripts / "python", "-m", "pip", "install", "--no-index", "--find-links", wheel.parent, "aurum", cwd=empty)

    program = (scripts / "au").read_bytes()
    assert program[:4] in (b"\x7fELF", b"\xcf\xfa\xed\xfe"), "au is no native program"
    bare.environment["PATH"] = os.pathsep.join([str(scripts), os.environ["PATH"]])
    bare.run("au", "init").ok()
    bare.script("au.parameters(a=1)\nau.register_metric(x=au.a)\nau.end_experiment()\n")
    bare.run(scripts / "python", "src/experiment.py", "a=5").ok()
    assert bare.rows()[0]["metrics"] == {"x": 5}


def test_a_missing_wasm_target_is_said_in_words(tmp_path: Path) -> None:
    """The build script that built this `au`, under a toolchain that lacks the target."""
    scripts = sorted((CHECKOUT / "target").glob("*/build/aurum-host-*/build-script-build"), key=os.path.getmtime)
    rustc = tmp_path / "rustc"
    rustc.write_text(f"#!/bin/sh\necho {tmp_path}/no-such-folder\n")
    rustc.chmod(0o755)
    triple = "x86_64-unknown-linux-gnu"
    cargo = {"OUT_DIR": str(tmp_path), "TARGET": triple, "HOST": triple, "CARGO": "cargo", "RUSTC": str(rustc)}
    environment = {name: value for name, value in os.environ.items() if name != "AURUM_CORE_WASM"}
    environment |= cargo | {"CARGO_MANIFEST_DIR": str(CHECKOUT / "host-cli")}
    done = subprocess.run([scripts[-1]], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "lacks the target" in done.stderr and "rustup target add wasm32-unknown-unknown" in done.stderr
    assert list(tmp_path.glob("core*")) == []
