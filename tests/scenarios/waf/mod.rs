//! The WAF through the proxy: what is made to be expensive, rules that are replaced under load, and what is written down of a match.

mod audit;
mod corpus;
mod files;
mod go_ftw;
mod hostile;
mod refused;
mod swap;

use serde_json::Value;
use weir_tests::bundle::Bundle;
use weir_tests::proxy::Proxy;

/// A bundle of the WAF with these directives.
fn waf(version: &str, directives: &str) -> Bundle {
    Bundle::new("waf", version).plugin(
        "waf",
        &format!(
            "on_failure = \"closed\"\ncapabilities = [\"clock\", \"kv\"]\nlimits = {{ memory = \"64MiB\", time = \"1s\" }}\n\
             [plugin.config]\ndirectives = '''\n{directives}'''"
        ),
    )
}

/// The events in the file `events`, each a line of JSON.
fn events(proxy: &Proxy) -> Vec<Value> {
    let text = std::fs::read_to_string(proxy.folder().join("events")).unwrap_or_default();
    // The last line may be half written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect()
}
