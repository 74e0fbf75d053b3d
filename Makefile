# `make demo` shows what Aurum does; `make test` runs every test. Both build what they need into ./.venv and ./target.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
WASM := wasm32-unknown-unknown
S3S := target/s3s/bin/s3s-fs
SOURCES := $(shell find core host-cli host-python wit -type f -not -path '*/__pycache__/*') Cargo.toml Cargo.lock pyproject.toml

.PHONY: demo test test-rust test-python proof lint bench js toolchain clean

# A walk through a throw-away project: data, runs of a real training script, going back to one, packing one up.
demo: $(VENV)/installed
	PATH="$(BIN):$$PATH" sh tests/demo/demo.sh

test: test-rust test-python

test-rust: toolchain
	cargo test --workspace --locked

test-python: $(VENV)/installed $(S3S)
	$(BIN)/python -m pytest

# What `make test` samples, in full: power cuts, deaths, failing calls, histories. Half an hour.
proof: $(VENV)/installed $(S3S)
	AURUM_HISTORIES=100000 cargo test --package aurum-core --locked --lib histories
	$(BIN)/python -m pytest -m long

lint: toolchain $(VENV)/installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	$(BIN)/python -m mypy.stubtest --allowlist host-python/stubtest.allow aurum

# Ratios to a floor measured in the same run; nothing here passes or fails by a clock.
bench: $(VENV)/installed $(S3S)
	$(BIN)/python tests/bench/run.py

# The viewer for browsers and Node: an ES module in target/js.
js: toolchain
	cargo run --locked --quiet --package aurum-js -- target/js

# `pip install .` builds the extension and the native `au`, and puts both where they belong.
$(VENV)/installed: $(SOURCES) | toolchain
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test]'
	touch $@

# A server of S3 that checks signatures, for the tests, which do without where it can't be fetched. Newer ones need a newer compiler.
$(S3S):
	cargo install --quiet --locked --root target/s3s --target-dir target/s3s/build --features binary s3s-fs@0.14.0 || test -z "$$CI"
	rm -rf target/s3s/build

# rustup brings the target by itself with a toolchain that it installs; here for a toolchain that was there before.
toolchain:
	@if [ -z "$$AURUM_CORE_WASM" ] && [ -z "$$(ls -A "$$(rustc --print target-libdir --target $(WASM))" 2>/dev/null)" ] \
		&& command -v rustup >/dev/null; then rustup target add $(WASM); fi

clean:
	rm -rf target $(VENV) demo build dist
