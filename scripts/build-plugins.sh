#!/usr/bin/env bash
# Builds what ships with Weir: every plugin in plugins/ and sdk/examples/ as target/plugins/NAME.wasm, and every bundle in
# bundles/ as target/bundles/NAME, with its components beside its manifest.
#     scripts/build-plugins.sh WEIR        the binary that makes components of modules
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
weir=$(realpath "${1:?usage: scripts/build-plugins.sh WEIR}")

modules=target/wasm/wasm32-unknown-unknown/plugin

main() {
    local crates=()
    for manifest in plugins/*/Cargo.toml sdk/examples/*/Cargo.toml; do
        # What plugins share is a library and no plugin.
        if [ -f "$manifest" ] && grep -q cdylib "$manifest"; then
            crates+=("$manifest")
        fi
    done
    build "${crates[@]}"
    mkdir -p target/plugins
    for manifest in "${crates[@]}"; do
        componentise "$manifest"
    done
    for bundle in bundles/*/bundle.toml; do
        [ ! -f "$bundle" ] || assemble "$(dirname "$bundle")"
    done
}

# All at once, so that what they share is built once.
build() {
    local packages=()
    for manifest in "$@"; do
        packages+=(--package "$(package "$manifest")")
    done
    CARGO_TARGET_DIR=target/wasm scripts/wasm-cargo build \
        --profile plugin --target wasm32-unknown-unknown "${packages[@]}"
}

componentise() {
    local name module component
    name=$(basename "$(dirname "$1")")
    module=$modules/$(package "$1" | tr - _).wasm
    component=target/plugins/$name.wasm
    if [ ! "$component" -nt "$module" ]; then
        "$weir" plugin build --wasm "$module" --out "$component"
    fi
}

# A folder that can be deployed: the manifest and its files, and the components that it names.
assemble() {
    local bundle=target/$1
    mkdir -p "$bundle"
    cp --recursive --dereference --update --no-target-directory "$1" "$bundle"
    sed -n 's/^component *= *"\(.*\)\.wasm".*/\1/p' "$1/bundle.toml" | sort -u | while read -r name; do
        cp --update "target/plugins/$name.wasm" "$bundle/"
    done
}

package() {
    sed -n '/^\[package\]/,/^\[/ s/^name *= *"\(.*\)"/\1/p' "$1"
}

main
