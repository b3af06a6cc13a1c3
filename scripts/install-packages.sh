#!/usr/bin/env bash
# Installs the Debian packages that are missing; asks nobody when none is.
#     scripts/install-packages.sh nginx haproxy
set -euo pipefail

installed() {
    dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep --quiet --line-regexp installed
}

missing=()
for package in "$@"; do
    installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    exit
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
    as_root=(sudo)
fi
echo "apt-get install ${missing[*]}" >&2
"${as_root[@]}" apt-get update --quiet
# Their services are of no use here: what needs a server starts one of its own.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install --quiet --yes --no-install-recommends "${missing[@]}"
