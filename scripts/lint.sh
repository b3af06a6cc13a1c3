#!/usr/bin/env bash
# What has to hold before a change goes in. cargo-deny is asked where it is installed; everything else is always.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check
cargo clippy --workspace --all-targets -- --deny warnings

# Natively the SDK speaks to a fake host; what only components have is looked at for their target.
CARGO_TARGET_DIR=target/wasm scripts/wasm-cargo check --quiet --target wasm32-unknown-unknown \
    --package weir-sdk --package hello --package api-key --package body-guard

if command -v cargo-deny >/dev/null; then
    cargo deny --workspace check
else
    echo "lint: cargo-deny is not installed, licences and advisories were not checked (cargo install cargo-deny)" >&2
fi
