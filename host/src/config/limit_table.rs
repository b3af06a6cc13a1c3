//! Every limit in one table: bounds and default from [`settings`](super::settings), what happens over it, and where that is counted.

use std::fmt::Write as _;

use super::reference::{default, takes};
use super::settings::SECTIONS;

/// Section, key, what happens over it, and the metric (a word stands for `weir_refusals_total{reason="WORD"}`).
static LIMITS: &[(&str, &str, &str, &str)] = &[
    ("limits", "header_bytes", "431", "`head_too_large`"),
    ("limits", "headers", "431", "`too_many_headers`"),
    ("limits", "target", "414", "`target_too_long`"),
    ("limits", "body", "413", "`body_too_large`"),
    ("route", "max_body", "413", "`body_too_large`"),
    (
        "limits",
        "body_rate",
        "408 for a request's body; a response is broken off",
        "`request_timeout`",
    ),
    ("limits", "held_bodies", "503", "`held_bodies`, `weir_held_body_bytes`"),
    (
        "limits",
        "connections",
        "closed before a byte is read",
        "`weir_connections_refused_total{reason=\"limit\"}`, `weir_connections_open`",
    ),
    (
        "limits",
        "client_connections",
        "closed before a byte is read",
        "`weir_connections_refused_total{reason=\"client_connections\"}`, `weir_client_networks`",
    ),
    (
        "limits",
        "client_connection_rate",
        "closed before a byte is read",
        "`weir_connections_refused_total{reason=\"client_connection_rate\"}`",
    ),
    ("limits", "client_request_rate", "429", "`client_request_rate`"),
    (
        "limits",
        "client_networks",
        "further networks are not limited",
        "`weir_client_networks`",
    ),
    (
        "limits",
        "requests_per_connection",
        "`Connection: close`, GOAWAY",
        "none: nothing is refused",
    ),
    (
        "timeouts",
        "lifetime",
        "`Connection: close`, GOAWAY",
        "none: nothing is refused",
    ),
    (
        "timeouts",
        "handshake",
        "closed",
        "`weir_connections_refused_total{reason=\"handshake\"}`",
    ),
    (
        "timeouts",
        "header",
        "408; closed where nothing was said",
        "`request_timeout`",
    ),
    (
        "timeouts",
        "body",
        "408 for a request's body; a response is broken off",
        "`request_timeout`",
    ),
    ("timeouts", "keep_alive", "closed", "none: nothing is refused"),
    ("timeouts", "connect", "504", "`upstream_connect_timeout`"),
    ("timeouts", "response", "504", "`upstream_timeout`"),
    (
        "timeouts",
        "idle",
        "504, or the response is broken off",
        "`upstream_timeout`",
    ),
    (
        "upstream",
        "max_requests",
        "waits in the queue",
        "`weir_upstream_waiting`",
    ),
    (
        "upstream",
        "max_requests_per_server",
        "waits in the queue",
        "`weir_upstream_waiting`",
    ),
    ("upstream", "queue", "503", "`queue_full`"),
    ("upstream", "queue_timeout", "503", "`queue_timeout`"),
    (
        "cache",
        "origin_fetches",
        "waits, then what is stale or 503",
        "`origin_busy`",
    ),
    (
        "limits",
        "streams",
        "REFUSED_STREAM",
        "`weir_http2_abuse_total` where it is done again and again",
    ),
    (
        "http2",
        "stream_window",
        "FLOW_CONTROL_ERROR",
        "`weir_http2_abuse_total{reason=\"made_you_reset\"}`",
    ),
    (
        "http2",
        "connection_window",
        "FLOW_CONTROL_ERROR",
        "`weir_http2_errors_total`",
    ),
    (
        "http2",
        "stall",
        "reset, or GOAWAY",
        "`weir_http2_abuse_total{reason=\"zero_window\"}`",
    ),
    (
        "http2",
        "resets",
        "GOAWAY",
        "`weir_http2_abuse_total{reason=\"rapid_reset\"}`",
    ),
    (
        "http2",
        "stream_errors",
        "GOAWAY",
        "`weir_http2_abuse_total{reason=\"made_you_reset\"}`",
    ),
    (
        "http2",
        "continuations",
        "GOAWAY",
        "`weir_http2_abuse_total{reason=\"continuation_flood\"}`, `\"header_bomb\"`",
    ),
    (
        "http2",
        "pings",
        "GOAWAY",
        "`weir_http2_abuse_total{reason=\"ping_flood\"}`",
    ),
    (
        "http2",
        "settings",
        "GOAWAY",
        "`weir_http2_abuse_total{reason=\"settings_flood\"}`",
    ),
    (
        "http2",
        "window_updates",
        "GOAWAY",
        "`weir_http2_abuse_total{reason=\"window_update_flood\"}`",
    ),
    (
        "http2",
        "priorities",
        "GOAWAY",
        "`weir_http2_abuse_total{reason=\"priority_flood\"}`",
    ),
    (
        "http2",
        "empty_frames",
        "GOAWAY",
        "`weir_http2_abuse_total{reason=\"empty_frame_flood\"}`",
    ),
];

/// The table, as Markdown.
pub(super) fn table() -> String {
    let mut table = String::from("| limit | takes | default | over it | counted in |\n|---|---|---|---|---|\n");
    for (path, key, over, metric) in LIMITS {
        let section = SECTIONS.iter().find(|section| section.path == *path);
        let setting = section.and_then(|section| section.settings.iter().find(|setting| setting.key == *key));
        if let Some(setting) = setting {
            let (takes, default) = (takes(&setting.kind), default(setting));
            let _ = writeln!(table, "| `{path}.{key}` | {takes} | {default} | {over} | {metric} |");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    /// Settings of these sections that say how something is counted, and limit nothing themselves.
    const NO_LIMITS: [&str; 2] = ["client_prefix_v4", "client_prefix_v6"];

    #[test]
    fn every_limit_is_in_it_once() {
        assert_eq!(table().lines().count(), LIMITS.len() + 2, "all of them are settings");
        for path in ["limits", "http2"] {
            let section = SECTIONS.iter().find(|section| section.path == path).unwrap();
            let keys = section.settings.iter().map(|setting| setting.key);
            for key in keys.filter(|key| !NO_LIMITS.contains(key)) {
                let rows = LIMITS.iter().filter(|row| (row.0, row.1) == (path, key)).count();
                assert_eq!(rows, 1, "{path}.{key}");
            }
        }
    }

    #[test]
    fn the_page_in_docs_is_current() {
        const FROM: &str = "limits from here -->\n\n";
        const TO: &str = "\n<!-- Generated limits: to here -->";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operator-guide.md");
        let stored = std::fs::read_to_string(&file).unwrap();
        let (before, rest) = stored.split_once(FROM).unwrap();
        let (_, after) = rest.split_once(TO).unwrap();
        let page = format!("{before}{FROM}{}{TO}{after}", table());
        if std::env::var_os("WEIR_UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        let stored = std::fs::read_to_string(&file).unwrap();
        assert!(
            stored == page,
            "docs/operator-guide.md is out of date: run this test with WEIR_UPDATE_GOLDEN=1"
        );
    }
}
