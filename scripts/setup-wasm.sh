#!/usr/bin/env bash
# Makes sure that this machine can compile for wasm32-unknown-unknown, and writes down how, for scripts/wasm-cargo.
# A second run finds the record and does nothing.
set -euo pipefail

target=wasm32-unknown-unknown
packages=(rustc-web cargo-web rust-web-src lld-19)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
record=$root/target/wasm-toolchain

main() {
    mkdir -p "$(dirname "$record")"
    exec 9>"$record.lock"
    flock 9
    if recorded; then
        return
    elif has_target || add_target; then
        echo cargo >"$record"
    elif has_packages || install_packages; then
        echo debian >"$record"
    else
        cannot
    fi
    echo "wasm: building with $(cat "$record")'s compiler" >&2
}

# A record is worth nothing when the toolchain went away, so what it says is looked at again; both looks are cheap.
recorded() {
    case $(cat "$record" 2>/dev/null) in
        cargo) has_target ;;
        debian) has_packages ;;
        *) false ;;
    esac
}

has_target() {
    local sysroot
    sysroot=$(cd "$root" && rustc --print sysroot 2>/dev/null) && [ -d "$sysroot/lib/rustlib/$target/lib" ]
}

add_target() {
    command -v rustup >/dev/null || return 1
    echo "wasm: rustup target add $target" >&2
    (cd "$root" && timeout 120 rustup target add "$target" >&2) && has_target
}

has_packages() {
    dpkg-query --show --showformat='${db:Status-Status}\n' "${packages[@]}" 2>/dev/null |
        awk '$0 != "installed" { missing = 1 } END { exit missing || NR != '${#packages[@]}' }'
}

install_packages() {
    command -v apt-get >/dev/null || return 1
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        sudo --non-interactive true 2>/dev/null || return 1
        as_root=(sudo --non-interactive)
    fi
    echo "wasm: apt-get install ${packages[*]}" >&2
    "${as_root[@]}" apt-get update >&2 &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends "${packages[@]}" >&2 &&
        has_packages
}

cannot() {
    cat >&2 <<EOF
wasm: this machine cannot compile plugins. One of these has to work:
    rustup target add $target
    apt-get install ${packages[*]}    (Debian 12 or newer, as root)
EOF
    exit 1
}

main
