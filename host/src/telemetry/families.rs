//! Every metric of Weir.
//!
//! Labels take values from closed lists or from the configuration (listeners, routes, servers, plugins), never from traffic, and
//! [`MAX_SERIES`](super::registry::MAX_SERIES) bounds them all the same. `docs/observability.md` is checked against this file.

/// A metric with all its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// As Prometheus names it.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it is kept in.
    pub unit: Unit,
    /// The names of the labels.
    pub labels: &'static [&'static str],
}

impl Family {
    /// The upper bounds of a histogram's buckets in nanoseconds; empty for others.
    #[must_use]
    pub fn bounds(&self) -> &'static [u64] {
        match self.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        }
    }

    /// Numbers that one cell has: a histogram's buckets, what is over them, and the sum.
    pub(super) fn slots(&self) -> usize {
        match self.kind {
            Kind::Histogram(bounds) => bounds.len() + 2,
            Kind::Counter | Kind::Gauge => 1,
        }
    }

    /// A kept number in the unit that is shown.
    pub(super) fn shown(&self, kept: u64) -> f64 {
        match self.unit {
            Unit::Nanoseconds => kept as f64 / 1e9,
            Unit::None | Unit::Bytes => kept as f64,
        }
    }
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations by bucket; the upper bounds are in nanoseconds, ascending.
    Histogram(&'static [u64]),
}

/// What a metric is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Bytes.
    Bytes,
    /// Nanoseconds, shown in seconds. (Gauges are set in seconds.)
    Nanoseconds,
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// From a cache hit to a request that timed out: 50 µs to 30 s.
pub const EXCHANGE_BOUNDS: &[u64] = &[
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2_500 * MS,
    5 * S,
    10 * S,
    30 * S,
];

/// From a plugin that looks at one header to one that reaches its deadline: 1 µs to 1 s.
pub const PLUGIN_BOUNDS: &[u64] = &[
    US,
    2 * US,
    5 * US,
    10 * US,
    25 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    S,
];

/// Declares the families and [`ALL`], the list of them in the order of the page.
macro_rules! families {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $kind:expr, $unit:ident, [$($label:literal),*], $help:literal;)*) => {
        $(
            $(#[$doc])*
            #[doc = $help]
            pub static $id: Family =
                Family { name: $name, help: $help, kind: $kind, unit: Unit::$unit, labels: &[$($label),*] };
        )*

        /// Every family, in the order in which they are shown.
        pub static ALL: &[&Family] = &[$(&$id),*];
    };
}

use Kind::{Counter, Gauge, Histogram};

families! {
    // The process and what it runs.
    BUILD_INFO = "weir_build_info", Gauge, None, ["version"], "Always 1; the label says what runs.";
    GENERATION_INFO = "weir_generation_info", Gauge, None, ["bundle", "version"],
        "Always 1; the labels say which bundle is active.";
    GENERATION = "weir_generation", Gauge, None, [], "Number of the active plugin generation; 0 without plugins.";
    SNAPSHOT = "weir_snapshot", Gauge, None, [],
        "Serial of the active configuration and plugins; grows by one with every activation since the start.";
    ACTIVATIONS = "weir_activations_total", Counter, None, ["change", "result"],
        "Attempts to activate something. change: reload, deploy, rollback, patch. result: activated, refused.";
    WORKERS = "weir_workers", Gauge, None, [], "Worker threads.";

    // Connections of clients.
    CONNECTIONS_ACCEPTED = "weir_connections_accepted_total", Counter, None, ["listener"], "Client connections accepted.";
    CONNECTIONS_ACTIVE = "weir_connections_active", Gauge, None, ["listener"], "Client connections open now.";
    CONNECTIONS_REFUSED = "weir_connections_refused_total", Counter, None, ["listener", "reason"],
        "Client connections closed before the first request. reason: limit, descriptors, client_connections, client_connection_rate, handshake, proxy_header.";
    CONNECTIONS_OPEN = "weir_connections_open", Gauge, None, [],
        "Client connections that count towards limits.connections.";
    CLIENT_NETWORKS = "weir_client_networks", Gauge, None, [],
        "Networks of clients that are remembered for their limits.";
    HELD_BODIES = "weir_held_body_bytes", Gauge, Bytes, [], "Bytes of bodies that plugins hold.";

    // Connections that are balanced as bytes.
    TCP_CONNECTIONS = "weir_tcp_connections_total", Counter, None, ["listener", "route", "result"],
        "Connections of TCP routes that have ended. result: closed, idle, broken, or why there was no server: hello, no_route, no_server, connect, connect_timeout, tls.";
    TCP_BYTES = "weir_tcp_bytes_total", Counter, Bytes, ["listener", "route", "direction"],
        "Bytes of those connections. direction: received (from clients), sent (to clients).";

    // Exchanges.
    HTTP2_ABUSE = "weir_http2_abuse_total", Counter, None, ["reason"],
        "HTTP/2 connections ended because the client did too much of something. reason: rapid_reset, made_you_reset, continuation_flood, header_bomb, ping_flood, settings_flood, window_update_flood, priority_flood, empty_frame_flood, zero_window.";
    HTTP2_ERRORS = "weir_http2_errors_total", Counter, None, ["listener"],
        "HTTP/2 connections ended because the client broke the protocol.";
    REQUESTS = "weir_requests_total", Counter, None, ["listener", "route", "status"],
        "Exchanges finished. status: 1xx, 2xx, 3xx, 4xx, 5xx, or none when the client got no answer.";
    REQUESTS_ACTIVE = "weir_requests_active", Gauge, None, ["listener"], "Exchanges running now.";
    REQUEST_DURATION = "weir_request_duration_seconds", Histogram(EXCHANGE_BOUNDS), Nanoseconds, ["route"],
        "From the request head to the last byte of the response.";
    REQUEST_BYTES = "weir_request_body_bytes_total", Counter, Bytes, ["listener"], "Bytes of request bodies received.";
    RESPONSE_BYTES = "weir_response_body_bytes_total", Counter, Bytes, ["listener"], "Bytes of response bodies sent.";
    REFUSALS = "weir_refusals_total", Counter, None, ["reason"],
        "Answers that Weir made because something was wrong, by reason; the access log has the same words.";

    // Upstreams.
    UPSTREAM_REQUESTS = "weir_upstream_requests_total", Counter, None, ["upstream", "server", "status"],
        "Responses from a server. status: 1xx, 2xx, 3xx, 4xx, 5xx.";
    UPSTREAM_FAILURES = "weir_upstream_failures_total", Counter, None, ["upstream", "server", "cause"],
        "Attempts that got no response. cause: connect, tls, timeout, reset, malformed, other.";
    UPSTREAM_RETRIES = "weir_upstream_retries_total", Counter, None, ["upstream"], "Attempts after the first one.";
    UPSTREAM_WAITING = "weir_upstream_waiting", Gauge, None, ["upstream"],
        "Requests that wait because the upstream has as many as it may.";
    UPSTREAM_DURATION = "weir_upstream_duration_seconds", Histogram(EXCHANGE_BOUNDS), Nanoseconds, ["upstream", "server"],
        "From the request sent to the response head.";
    UPSTREAM_CONNECTIONS = "weir_upstream_connections_total", Counter, None, ["upstream", "server"], "Connections opened to a server.";
    UPSTREAM_HEALTHY = "weir_upstream_healthy", Gauge, None, ["upstream", "server"],
        "1 while a server is given requests, 0 while checks or traffic have taken it out.";
    UPSTREAM_CHECKS = "weir_upstream_checks_total", Counter, None, ["upstream", "server", "result"],
        "Active health checks. result: passed, failed.";
    UPSTREAM_EJECTIONS = "weir_upstream_ejections_total", Counter, None, ["upstream", "server"],
        "Times that failures on traffic took a server out.";

    // The cache.
    CACHE_LOOKUPS = "weir_cache_lookups_total", Counter, None, ["result"],
        "Requests that the cache was asked for. result: hit, miss, stale, revalidated, coalesced, bypass.";
    CACHE_STORED = "weir_cache_stored_total", Counter, None, [], "Responses stored.";
    CACHE_EVICTED = "weir_cache_evicted_total", Counter, None, ["cause"],
        "Objects removed, or made stale by a soft purge. cause: space, replaced, invalidated, purged.";
    CACHE_PURGES = "weir_cache_purges_total", Counter, None, ["what"],
        "Purges and bans that were asked for. what: url, prefix, host, tags, all, ban.";
    COMPRESSED = "weir_compressed_total", Counter, None, ["coding"], "Responses compressed. coding: zstd, br, gzip.";
    CACHE_BANS = "weir_cache_bans", Gauge, None, [], "Bans that are kept.";
    CACHE_BYTES = "weir_cache_bytes", Gauge, Bytes, [], "Memory that objects and their bookkeeping take.";
    CACHE_LIMIT = "weir_cache_limit_bytes", Gauge, Bytes, [], "Memory that the cache may take.";
    CACHE_OBJECTS = "weir_cache_objects", Gauge, None, [], "Objects in the cache.";
    CACHE_DISK_BYTES = "weir_cache_disk_bytes", Gauge, Bytes, [], "Disk space that files take, in blocks of 4 KiB.";
    CACHE_DISK_LIMIT = "weir_cache_disk_limit_bytes", Gauge, Bytes, [], "Disk space that they may take.";
    CACHE_DISK_OBJECTS = "weir_cache_disk_objects", Gauge, None, [], "Responses on the disk, one file each.";
    CACHE_DISK_HITS = "weir_cache_disk_hits_total", Counter, None, [], "Lookups that memory could not answer and for which the disk had something.";
    CACHE_DISK_STORED = "weir_cache_disk_stored_total", Counter, None, ["result"],
        "Responses for the disk. result: written, or dropped because it was too far behind or in trouble.";
    CACHE_DISK_EVICTED = "weir_cache_disk_evicted_total", Counter, None, [], "Files removed to make room.";
    CACHE_DISK_ERRORS = "weir_cache_disk_errors_total", Counter, None, ["operation"],
        "Failures and damage; each is a miss for a client at worst. operation: read, write.";

    // Plugins.
    PLUGIN_CALLS = "weir_plugin_calls_total", Counter, None, ["plugin", "phase", "verdict"],
        "Calls into a plugin that returned. verdict: continue, hold, reply, close.";
    PLUGIN_FAILURES = "weir_plugin_failures_total", Counter, None, ["plugin", "phase", "cause"],
        "Calls that failed. cause: trap, deadline, memory, exhausted, denied, invalid.";
    PLUGIN_CPU = "weir_plugin_cpu_seconds_total", Counter, Nanoseconds, ["plugin", "phase"], "CPU time in a plugin, host calls included.";
    PLUGIN_DURATION = "weir_plugin_call_duration_seconds", Histogram(PLUGIN_BOUNDS), Nanoseconds, ["plugin", "phase"],
        "CPU time of one call.";
    PLUGIN_INSTANCES = "weir_plugin_instances", Gauge, None, ["plugin"], "Instances that exist, warm or in use.";
    PLUGIN_INSTANTIATIONS = "weir_plugin_instantiations_total", Counter, None, ["plugin"], "Instances made.";
    PLUGIN_PARKED = "weir_plugin_parked_total", Counter, None, ["plugin"],
        "Exchanges that left an instance to another one between two phases.";
    PLUGIN_REFUSED = "weir_plugin_refused_requests_total", Counter, None, ["plugin", "result"],
        "Requests that Weir refused by itself, for plugins with `limits.refused`. result: shown; dropped, over that limit.";
    PLUGIN_LOG_DROPPED = "weir_plugin_log_lines_dropped_total", Counter, None, ["plugin"], "Log lines over the manifest's limit.";
    PLUGIN_CUSTOM = "weir_plugin_custom_total", Counter, None, ["plugin", "name"], "Counters of a plugin's own.";
    PLUGIN_CUSTOM_GAUGE = "weir_plugin_custom", Gauge, None, ["plugin", "name"], "Gauges of a plugin's own.";
    PLUGIN_CUSTOM_DROPPED = "weir_plugin_custom_dropped_total", Counter, None, ["plugin"],
        "Updates of a plugin's own metrics over the number of names that it may have.";
    COUNTER_ENTRIES = "weir_plugin_counter_entries", Gauge, None, ["plugin", "space"], "Keys that a rate limit counts at the moment.";

    // The access log.
    LOG_LINES = "weir_access_log_lines_total", Counter, None, [], "Access log lines written.";
    LOG_DROPPED = "weir_access_log_dropped_total", Counter, None, [],
        "Access log lines dropped because the disk could not keep up or refused them.";
    EVENT_LINES = "weir_event_lines_total", Counter, None, [], "Events of plugins written.";
    EVENT_DROPPED = "weir_event_dropped_total", Counter, None, [],
        "Events of plugins dropped because the disk could not keep up or refused them.";
}

/// The class of a status, as the label `status` has it.
#[must_use]
pub fn status_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::super::process;
    use super::*;

    #[test]
    fn names_say_what_kind_and_unit_they_are() {
        for family in ALL {
            let total = family.name.ends_with("_total");
            assert_eq!(matches!(family.kind, Counter), total, "{}", family.name);
            let name = family.name.trim_end_matches("_total");
            match family.unit {
                Unit::Nanoseconds => assert!(name.ends_with("_seconds"), "{}", family.name),
                Unit::Bytes => assert!(name.ends_with("_bytes"), "{}", family.name),
                Unit::None => assert!(
                    !name.ends_with("_seconds") && !name.ends_with("_bytes"),
                    "{}",
                    family.name
                ),
            }
            assert!(family.help.ends_with('.'), "{}", family.name);
            assert!(
                family.bounds().is_sorted() && family.bounds().first() != Some(&0),
                "{}",
                family.name
            );
        }
    }

    #[test]
    fn names_are_unique_and_valid() {
        let mut names: Vec<&str> = ALL.iter().chain(process::ALL).map(|family| family.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        }));
    }

    #[test]
    fn the_page_in_docs_is_current() {
        const FROM: &str = "from here -->\n";
        const TO: &str = "<!-- Generated: to here -->";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability.md");
        let stored = std::fs::read_to_string(&file).unwrap();
        let (before, rest) = stored.split_once(FROM).unwrap();
        let (_, after) = rest.split_once(TO).unwrap();
        let page = format!("{before}{FROM}{}{TO}{after}", reference());
        if std::env::var_os("WEIR_UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        let stored = std::fs::read_to_string(&file).unwrap();
        assert!(
            stored == page,
            "docs/observability.md is out of date: run this test with WEIR_UPDATE_GOLDEN=1"
        );
    }

    /// The table of all families, as Markdown.
    fn reference() -> String {
        let mut table = String::from("\n| metric | kind | labels | meaning |\n|---|---|---|---|\n");
        for family in ALL.iter().chain(process::ALL) {
            let kind = match family.kind {
                Counter => "counter",
                Gauge => "gauge",
                Histogram(_) => "histogram",
            };
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            table.push_str(&format!(
                "| `{}` | {kind} | {} | {} |\n",
                family.name,
                labels.join(", "),
                family.help
            ));
        }
        for (what, bounds) in [("Exchanges and upstreams", EXCHANGE_BOUNDS), ("Plugins", PLUGIN_BOUNDS)] {
            let bounds: Vec<String> = bounds.iter().map(|nanos| bound(*nanos)).collect();
            table.push_str(&format!(
                "\n{what} have histogram buckets up to {}.\n",
                bounds.join(", ")
            ));
        }
        table.push('\n');
        table
    }

    fn bound(nanos: u64) -> String {
        let (size, unit) = match nanos {
            ..MS => (US, "µs"),
            MS..S => (MS, "ms"),
            S.. => (S, "s"),
        };
        format!("{} {unit}", nanos as f64 / size as f64)
    }

    #[test]
    fn every_status_has_a_class() {
        assert_eq!(
            [100, 204, 304, 499, 503, 0, 999].map(status_class),
            ["1xx", "2xx", "3xx", "4xx", "5xx", "none", "none"]
        );
    }
}
