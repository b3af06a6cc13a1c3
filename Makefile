# What there is to do here. Every target sets up what it needs; a second run does only what has changed.

.DEFAULT_GOAL := help
.PHONY: help run test bench lint plugins setup-wasm

help: ## Say what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: plugins ## Weir with five plugins in front of a small origin, and what to try with it
	cargo run --release --package weir -- demo

test: setup-wasm ## Every test: units, cases of plugins and rules, scenarios through the real proxy
	cargo test --workspace --no-fail-fast

bench: plugins ## Weir beside nginx and HAProxy: CPU time of a request, latency, errors
	scripts/install-packages.sh nginx haproxy varnish wrk nghttp2-client
	CARGO_TARGET_DIR=target/wasm scripts/wasm-cargo build --profile plugin --target wasm32-unknown-unknown --package guest-mark
	target/release/weir plugin build --wasm target/wasm/wasm32-unknown-unknown/plugin/guest_mark.wasm --out target/plugins/mark.wasm
	cargo run --release --package weir-bench -- --markdown target/bench.md

lint: setup-wasm ## What has to hold before a change goes in: formatting, clippy, licences and advisories
	scripts/lint.sh

plugins: setup-wasm ## The plugins and bundles that ship with Weir, as components in target/plugins and target/bundles
	cargo build --release --package weir
	scripts/build-plugins.sh target/release/weir

setup-wasm: ## A compiler for wasm32-unknown-unknown
	@scripts/setup-wasm.sh
