//! `[[upstream]]`: servers, and how it is known which of them work.

use super::Fallback::{Described, Required, Value};
use super::Kind::{Choice, Duration, Flag, Integer, Other, Path, Section as Table, Text, Texts};
use super::{Section, Shape, setting};

/// `[[upstream]]`.
pub static UPSTREAM: Section = Section {
    path: "upstream",
    shape: Shape::Array,
    prose: "A pool of servers that serve the same content.",
    settings: &[
        setting("name", Text("a name"), Required, "What routes call it. Unique."),
        setting(
            "servers",
            Other("a list of `host:port`, `unix:PATH` or `{ address, weight }`"),
            Required,
            "The servers. Host names are resolved when the configuration is loaded; IPv4 addresses are preferred.",
        ),
        setting(
            "balance",
            Choice(&["round-robin", "least-requests", "consistent-hash"]),
            Value("round-robin"),
            "How a server is picked.",
        ),
        setting(
            "hash",
            Text("`client-ip`, `target`, `header:NAME` or `cookie:NAME`"),
            Value("client-ip"),
            "What a consistent hash is made of. Only with `balance = \"consistent-hash\"`.",
        ),
        setting(
            "keep_alive",
            Integer(0, 65_536),
            Value("64"),
            "Idle connections kept per server and worker.",
        ),
        setting(
            "idle_timeout",
            Duration("1ms", "1d"),
            Value("60s"),
            "An idle connection is closed after this. Keep it below the servers' own limit.",
        ),
        setting(
            "http2",
            Flag,
            Value("false"),
            "Speak HTTP/2 to the servers, as gRPC needs it: by ALPN through TLS, with prior knowledge in clear. A worker's requests share a connection as far as the server lets them. Active checks stay HTTP/1.1.",
        ),
        setting(
            "max_requests",
            Integer(0, 1_000_000),
            Value("0"),
            "Requests that the upstream has at once, all workers together. 0 is any number.",
        ),
        setting(
            "max_requests_per_server",
            Integer(0, 1_000_000),
            Value("0"),
            "Requests that each server has at once, all workers together. 0 is any number.",
        ),
        setting(
            "queue",
            Integer(0, 1_000_000),
            Value("1024"),
            "Requests that wait while either limit is reached; the newest get 503 over it.",
        ),
        setting(
            "queue_timeout",
            Duration("1ms", "1h"),
            Value("5s"),
            "How long a request waits; over it the answer is 503.",
        ),
        setting(
            "proxy_protocol",
            Choice(&["off", "v1", "v2"]),
            Value("off"),
            "Begin each connection with a PROXY protocol header that names the client. Such a connection serves one request only.",
        ),
        setting(
            "health",
            Table("upstream.health"),
            Described("no active checks"),
            "Active health checks.",
        ),
        setting(
            "ejection",
            Table("upstream.ejection"),
            Described("its defaults"),
            "Passive ejection.",
        ),
        setting(
            "tls",
            Table("upstream.tls"),
            Described("no TLS"),
            "Speak TLS to the servers.",
        ),
    ],
};

/// A server of an upstream that is written as a table.
pub static SERVER: Section = Section {
    path: "upstream.servers",
    shape: Shape::Array,
    prose: "A server written as a table: `{ address = \"10.0.0.1:8080\", weight = 2 }`.",
    settings: &[
        setting(
            "address",
            Text("`host:port`, or `unix:` and a path"),
            Required,
            "Where it listens.",
        ),
        setting(
            "weight",
            Integer(1, 1000),
            Value("1"),
            "Its share of the traffic, in proportion to the others'.",
        ),
    ],
};

/// `[upstream.health]`.
pub static HEALTH: Section = Section {
    path: "upstream.health",
    shape: Shape::Table,
    prose: "A check of every server, whether there is traffic or not. The section turns the checks on.",
    settings: &[
        setting(
            "kind",
            Choice(&["http", "tcp"]),
            Value("http"),
            "`http` is a GET whose status counts, `tcp` a connection that is closed again, with TLS where the upstream has it.",
        ),
        setting("path", Text("a path"), Value("/"), "What is asked for."),
        setting(
            "host",
            Text("a host"),
            Described("the server's address"),
            "The `Host` header of the check.",
        ),
        setting(
            "interval",
            Duration("10ms", "1d"),
            Value("5s"),
            "Between two checks of a server.",
        ),
        setting("timeout", Duration("1ms", "1h"), Value("2s"), "For a whole check."),
        setting(
            "healthy_after",
            Integer(1, 100),
            Value("2"),
            "Checks in a row that bring a server back.",
        ),
        setting(
            "unhealthy_after",
            Integer(1, 100),
            Value("3"),
            "Failures in a row that take it out.",
        ),
        setting(
            "statuses",
            Texts("statuses and ranges"),
            Value("[\"200-399\"]"),
            "What counts as healthy, for example `[\"200\", \"301-302\"]`.",
        ),
    ],
};

/// `[upstream.ejection]`.
pub static EJECTION: Section = Section {
    path: "upstream.ejection",
    shape: Shape::Table,
    prose: "Takes a server out that fails on traffic: connect errors, timeouts, resets, malformed responses.",
    settings: &[
        setting(
            "failures",
            Integer(0, 10_000),
            Value("5"),
            "Failures in a row that eject a server; 0 is never.",
        ),
        setting(
            "duration",
            Duration("10ms", "1d"),
            Value("10s"),
            "How long it stays out the first time. It doubles each time the server is ejected again, up to ten times this.",
        ),
        setting(
            "max_percent",
            Integer(0, 100),
            Value("50"),
            "Never more than this share of the servers at once, in percent; at least one server stays.",
        ),
    ],
};

/// `[upstream.tls]`.
pub static UPSTREAM_TLS: Section = Section {
    path: "upstream.tls",
    shape: Shape::Table,
    prose: "TLS towards the servers. The section turns it on.",
    settings: &[
        setting(
            "server_name",
            Text("a host name"),
            Described("the host in the server's address"),
            "The name that is sent (SNI) and verified.",
        ),
        setting(
            "roots",
            Path,
            Described("the system's"),
            "PEM file of the roots that are trusted.",
        ),
        setting(
            "verify",
            Flag,
            Value("true"),
            "Whether certificates are verified. Off is for tests only.",
        ),
        setting(
            "client_certificate",
            Path,
            Described("none"),
            "PEM file with the chain that servers are shown when they ask for one, leaf first.",
        ),
        setting(
            "client_key",
            Path,
            Described("none"),
            "PEM file with the key of `client_certificate`.",
        ),
    ],
};
