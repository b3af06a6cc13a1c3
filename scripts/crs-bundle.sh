#!/usr/bin/env bash
# A bundle of one plugin: the WAF with the OWASP Core Rule Set, as it is installed on this machine and not changed.
#
#   scripts/crs-bundle.sh [FOLDER_OF_THE_RULE_SET [FOLDER_OF_THE_BUNDLE [COMPONENT]]]
#
# The rule set is the folder that WEIR_CRS names unless said, else the one of Debian's package modsecurity-crs. The bundle is
# target/bundles/crs unless said. The component is target/plugins/waf.wasm unless said, which `make plugins` builds. Running it again takes a newer rule
# set: deploy the result with `weir deploy`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

main() {
    local crs=${1:-${WEIR_CRS:-/usr/share/modsecurity-crs}} bundle=${2:-target/bundles/crs}
    local component=${3:-target/plugins/waf.wasm} setup
    [ -f "$crs/rules/REQUEST-901-INITIALIZATION.conf" ] ||
        fail "$crs is no OWASP Core Rule Set: it has no rules/REQUEST-901-INITIALIZATION.conf. Debian's package modsecurity-crs has one"
    [ -f "$component" ] || fail "$component is missing: run \`make plugins\`"
    setup=$(first "$crs/crs-setup.conf" /etc/modsecurity/crs/crs-setup.conf "$crs/crs-setup.conf.example") ||
        fail "there is no crs-setup.conf in $crs or /etc/modsecurity/crs"

    rm -rf "$bundle"
    mkdir -p "$bundle/rules"
    cp "$component" "$bundle/waf.wasm"
    cp plugins/waf/tools/setup/modsecurity.conf "$bundle/rules/"
    cp "$setup" "$bundle/rules/crs-setup.conf"
    cp "$crs"/rules/*.conf "$crs"/rules/*.data "$bundle/rules/"
    manifest "$bundle" > "$bundle/bundle.toml"
    echo "$bundle: the WAF with $(ls "$bundle"/rules/*.conf | wc -l) rule files from $crs"
}

manifest() {
    local rules
    cat <<'HEAD'
name = "crs"
version = "1"

[[plugin]]
name = "waf"
component = "waf.wasm"
capabilities = ["clock", "kv"]
on_failure = "closed"

[plugin.limits]
memory = "256MiB"
body = "1MiB"
time = "250ms"
refused = 100

[plugin.data]
HEAD
    for file in "$1"/rules/*; do
        printf '"%s" = "rules/%s"\n' "$(basename "$file")" "$(basename "$file")"
    done
    rules=$(cd "$1/rules" && ls ./*.conf | sed 's|^\./||' | grep -v -e '^modsecurity.conf$' -e '^crs-setup.conf$' | LC_ALL=C sort |
        sed 's/.*/    "&",/')
    cat <<TAIL

[plugin.config]
paranoia_level = 1
request_body_overflow = "partial"
rules = [
    "modsecurity.conf",
    "crs-setup.conf",
$rules
]

[[test]]
name = "a page passes"
request = { target = "/", headers = [["host", "www.example.org"], ["user-agent", "Mozilla/5.0"], ["accept", "text/html"]] }
expect = { verdict = "continue" }

[[test]]
name = "an injection is refused"
request = { target = "/?id=1%27%20or%20%271%27=%271", headers = [["host", "www.example.org"], ["user-agent", "Mozilla/5.0"], ["accept", "*/*"]] }
expect = { verdict = "reply", status = 403 }
TAIL
}

first() {
    for file in "$@"; do
        if [ -f "$file" ]; then
            echo "$file"
            return
        fi
    done
    return 1
}

fail() {
    echo "error: $1" >&2
    exit 1
}

main "$@"
