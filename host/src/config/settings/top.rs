//! The top level.

use super::Fallback::{Described, Required, Value};
use super::Kind::{Duration, Integer, Section as Table, Text, Texts};
use super::{Section, Shape, setting};

/// The top level.
pub static TOP: Section = Section {
    path: "",
    shape: Shape::Table,
    prose: "These keys stand at the start of the file, before the first section.",
    settings: &[
        setting(
            "workers",
            Integer(1, 1024),
            Described("one a core"),
            "Threads that serve traffic. Each has its own sockets, connections and plugin instances.",
        ),
        setting(
            "drain",
            Duration("1s", "1h"),
            Value("30s"),
            "How long a stopping Weir (SIGTERM) waits for running exchanges before it closes them.",
        ),
        setting(
            "retire",
            Duration("1s", "7d"),
            Value("1h"),
            "How long a Weir that a new process has replaced (SIGUSR2) waits for what it still serves, tunnels among it.",
        ),
        setting(
            "trusted_proxies",
            Texts("IP addresses and networks"),
            Described("none"),
            "Peers whose `X-Forwarded-For` and `Forwarded` are believed. From everybody else these headers are removed, and whatever else begins with `X-Forwarded`.",
        ),
        setting(
            "via",
            Text("a name without spaces"),
            Value("weir"),
            "The name in the `Via` header (RFC 9110 §7.6.3).",
        ),
        setting(
            "cdn_id",
            Text("a name, as a host or a token"),
            Described("none"),
            "The name in `CDN-Loop` (RFC 8586), which Weir then adds to what it forwards: a request that comes back with it gets 508. One name for all the servers of one tier, and another one for each tier.",
        ),
        setting("listener", Table("listener"), Required, "Where clients connect."),
        setting(
            "route",
            Table("route"),
            Described("**needed** by listeners of HTTP"),
            "Which requests go where.",
        ),
        setting(
            "tcp_route",
            Table("tcp_route"),
            Described("**needed** by listeners of TCP"),
            "Which connections go where, as bytes.",
        ),
        setting("upstream", Table("upstream"), Required, "The pools of servers."),
        setting(
            "cache",
            Table("cache"),
            Described("its defaults"),
            "The shared memory cache.",
        ),
        setting(
            "compression",
            Table("compression"),
            Described("its defaults"),
            "Compression of responses.",
        ),
        setting(
            "timeouts",
            Table("timeouts"),
            Described("its defaults"),
            "How long each stage may take.",
        ),
        setting(
            "limits",
            Table("limits"),
            Described("its defaults"),
            "Bounds on what clients may send.",
        ),
        setting(
            "http2",
            Table("http2"),
            Described("its defaults"),
            "HTTP/2 with clients.",
        ),
        setting(
            "access_log",
            Table("access_log"),
            Described("its defaults"),
            "One line an exchange.",
        ),
        setting(
            "admin",
            Table("admin"),
            Described("its defaults"),
            "The operator's own port.",
        ),
        setting(
            "plugins",
            Table("plugins"),
            Described("its defaults"),
            "Plugins and their state on disk.",
        ),
    ],
};
