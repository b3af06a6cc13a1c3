//! Every setting of `weir.toml`: its kind, bounds, default and meaning, in one table.
//!
//! The readers take known keys, defaults and bounds from here, and `docs/configuration.md` is generated from it, so that
//! none of them can say something else than the others. Defaults and bounds are written as an operator would write them.

/// A table of the file.
#[derive(Debug)]
pub struct Section {
    /// As in the file, for example `listener.tls`; empty for the top level.
    pub path: &'static str,
    /// How often it may stand there.
    pub shape: Shape,
    /// What it is for.
    pub prose: &'static str,
    /// Its keys.
    pub settings: &'static [Setting],
}

/// How often a section may stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Once: `[cache]`.
    Table,
    /// Any number of times: `[[route]]`.
    Array,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is absent.
    pub default: Fallback,
    /// What it means.
    pub prose: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A duration with unit, between two inclusive bounds.
    Duration(&'static str, &'static str),
    /// The same, or `"off"`.
    DurationOrOff(&'static str, &'static str),
    /// A number of bytes, between two inclusive bounds.
    Size(&'static str, &'static str),
    /// A whole number, between two inclusive bounds.
    Integer(i64, i64),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A string, described.
    Text(&'static str),
    /// A list of strings, described.
    Texts(&'static str),
    /// A string or a list of strings, described.
    TextOrTexts(&'static str),
    /// A path; relative ones start at the folder of the configuration file.
    Path,
    /// Something with a reader of its own, described.
    Other(&'static str),
    /// A section of its own, with this path.
    Section(&'static str),
}

/// What holds when a setting is absent.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// It has to be there.
    Required,
    /// This value, as it would stand in the file.
    Value(&'static str),
    /// Described.
    Described(&'static str),
}

impl Section {
    /// The setting of this key.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// How the section is written in a message: `[cache]`, `[[route]]`, `the top level`.
    #[must_use]
    pub fn title(&self) -> String {
        match (self.path, self.shape) {
            ("", _) => "the top level".to_owned(),
            (path, Shape::Table) => format!("[{path}]"),
            (path, Shape::Array) => format!("[[{path}]]"),
        }
    }
}

use Fallback::{Described, Required, Value};
use Kind::{
    Choice, Duration, DurationOrOff, Flag, Integer, Other, Path, Section as Table, Size, Text, TextOrTexts, Texts,
};

const fn setting(key: &'static str, kind: Kind, default: Fallback, prose: &'static str) -> Setting {
    Setting {
        key,
        kind,
        default,
        prose,
    }
}

/// All sections, in the order in which the reference shows them.
pub static SECTIONS: &[&Section] = &[
    &TOP,
    &LISTENER,
    &LISTENER_TLS,
    &CERTIFICATE,
    &CLIENT_CERTIFICATES,
    &HSTS,
    &ROUTE,
    &ROUTE_TIMEOUTS,
    &TCP_ROUTE,
    &ROUTE_CACHE_RULES,
    &UPSTREAM,
    &SERVER,
    &HEALTH,
    &EJECTION,
    &UPSTREAM_TLS,
    &CACHE,
    &CACHE_DISK,
    &CACHE_RULES,
    &COMPRESSION,
    &TIMEOUTS,
    &LIMITS,
    &HTTP2,
    &ACCESS_LOG,
    &ADMIN,
    &PLUGINS,
];

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

/// `[[listener]]`.
pub static LISTENER: Section = Section {
    path: "listener",
    shape: Shape::Array,
    prose: "A place where clients connect. At least one is needed.",
    settings: &[
        setting(
            "name",
            Text("a name"),
            Described("the address"),
            "Names the listener in logs and metrics. Unique.",
        ),
        setting(
            "address",
            TextOrTexts("an IP address and a port, `unix:` and a path, or `systemd:` and a name"),
            Required,
            "For example `0.0.0.0:80`, `[::]:443` or `unix:/run/weir.sock`; several as a list. Port 0 lets the system choose one. `systemd:NAME` takes the sockets that a systemd socket unit passes with `FileDescriptorName=NAME`. A client of a Unix socket has the address 127.0.0.1.",
        ),
        setting(
            "protocol",
            Choice(&["http", "tcp"]),
            Value("http"),
            "`http` sends requests to `[[route]]`, `tcp` bytes to the `[[tcp_route]]` that name this listener.",
        ),
        setting(
            "v6_only",
            Flag,
            Value("true"),
            "Whether `[::]` takes IPv6 alone. With `false` it takes IPv4 too.",
        ),
        setting(
            "unix_mode",
            Text("an octal number"),
            Value("0660"),
            "Permissions of the files of Unix sockets.",
        ),
        setting(
            "http2",
            Flag,
            Value("true"),
            "Offer HTTP/2: by ALPN through TLS; in clear to clients that begin with it (prior knowledge, RFC 9113 §3.3).",
        ),
        setting(
            "proxy_protocol",
            Texts("IP addresses and networks"),
            Described("none"),
            "Peers that begin each connection with a PROXY protocol header (version 1 or 2), for example load balancers. From them it is required, and its addresses stand for those of the connection; from everybody else it is not taken. A Unix socket's peer is 127.0.0.1. A version 2 header may be 4 KiB long.",
        ),
        setting(
            "redirect_https",
            Flag,
            Value("false"),
            "Answer requests in clear with 308 and the same URL through TLS, unless their route says `https = \"any\"`. A trusted proxy that says `X-Forwarded-Proto: https` has received them through TLS.",
        ),
        setting(
            "https_port",
            Integer(1, 65_535),
            Value("443"),
            "The port in those URLs.",
        ),
        setting("tls", Table("listener.tls"), Described("no TLS"), "Speak TLS here."),
    ],
};

/// `[listener.tls]`.
pub static LISTENER_TLS: Section = Section {
    path: "listener.tls",
    shape: Shape::Table,
    prose: "One certificate as `certificate` and `key`, or several as `[[listener.tls.certificates]]`. The files are watched and read again when they change.",
    settings: &[
        setting(
            "certificate",
            Path,
            Described("none"),
            "PEM file with the chain, leaf first.",
        ),
        setting(
            "key",
            Path,
            Described("none"),
            "PEM file with the key of `certificate`: PKCS#8, PKCS#1 or SEC1.",
        ),
        setting(
            "ocsp",
            Path,
            Described("none"),
            "An OCSP response for `certificate` in DER form, shown to clients (stapled).",
        ),
        setting(
            "certificates",
            Table("listener.tls.certificates"),
            Described("none"),
            "Several certificates, chosen by SNI. Where two have the same names, clients get the one whose kind of key they can verify.",
        ),
        setting(
            "min_version",
            Choice(&["1.2", "1.3"]),
            Value("1.2"),
            "The lowest version of TLS that is spoken.",
        ),
        setting(
            "ciphers",
            Texts("cipher suites by their registered names"),
            Described("all that are safe"),
            "For example `[\"TLS_AES_128_GCM_SHA256\", \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\"]`, preferred in this order where the client has no opinion.",
        ),
        setting(
            "resumption",
            Flag,
            Value("true"),
            "Whether clients may resume sessions: by tickets, whose keys change every 6 hours and which last at most 12, and with TLS 1.2 by identifiers (4,096 are kept a listener).",
        ),
        setting(
            "client",
            Table("listener.tls.client"),
            Described("none are asked for"),
            "Certificates of clients.",
        ),
        setting(
            "hsts",
            Table("listener.tls.hsts"),
            Described("no header"),
            "Tells browsers to use nothing but TLS.",
        ),
    ],
};

/// `[[listener.tls.certificates]]`.
pub static CERTIFICATE: Section = Section {
    path: "listener.tls.certificates",
    shape: Shape::Array,
    prose: "A certificate, chosen by the name that the client asks for (SNI). The first one serves clients that ask for none.",
    settings: &[
        setting("certificate", Path, Required, "PEM file with the chain, leaf first."),
        setting("key", Path, Required, "PEM file with its key: PKCS#8, PKCS#1 or SEC1."),
        setting("ocsp", Path, Described("none"), "An OCSP response for it, DER."),
    ],
};

/// `[listener.tls.client]`.
pub static CLIENT_CERTIFICATES: Section = Section {
    path: "listener.tls.client",
    shape: Shape::Table,
    prose: "Certificates that clients are asked for (mTLS). The section turns it on. Headers that tell servers of them are removed from what clients send, on every listener.",
    settings: &[
        setting("ca", Path, Required, "PEM file with the roots that vouch for clients."),
        setting(
            "verify",
            Choice(&["required", "optional"]),
            Value("required"),
            "Whether a client without a certificate is refused. One that is shown has to be valid in either case.",
        ),
        setting(
            "crl",
            Path,
            Described("none"),
            "PEM file with the revocation lists of those who sign clients' certificates. One that is out of date refuses all of them.",
        ),
        setting(
            "forward",
            Texts("`subject`, `fingerprint` and `certificate`"),
            Value("[\"subject\"]"),
            "What servers are told: the subject as `X-Client-Cert-Subject` (RFC 4514, `CN=client,O=Example`), SHA-256 over the certificate as `X-Client-Cert-Fingerprint`, the certificate itself as `Client-Cert` (RFC 9440).",
        ),
    ],
};

/// `[listener.tls.hsts]`.
pub static HSTS: Section = Section {
    path: "listener.tls.hsts",
    shape: Shape::Table,
    prose: "`Strict-Transport-Security` (RFC 6797) in every response that has none of its own. The section turns it on.",
    settings: &[
        setting(
            "max_age",
            Duration("1s", "3650d"),
            Value("365d"),
            "How long browsers keep to it.",
        ),
        setting(
            "include_subdomains",
            Flag,
            Value("false"),
            "Whether it counts for all hosts below, too.",
        ),
        setting(
            "preload",
            Flag,
            Value("false"),
            "Whether the host may be put on browsers' own lists.",
        ),
    ],
};

/// `[[route]]`.
pub static ROUTE: Section = Section {
    path: "route",
    shape: Shape::Array,
    prose: "Which requests go to which upstream. All conditions that a route has must hold. Where several routes fit, the most specific wins: an exact host before a longer wildcard before a shorter one before any host; then an exact path before a longer prefix before a shorter one before a pattern before any path; then more headers before fewer; then a route with methods before one without; then the order of the file. A route for GET also answers HEAD.",
    settings: &[
        setting(
            "name",
            Text("a name"),
            Described("the upstream's name"),
            "Names the route in logs, metrics and to plugins. Unique.",
        ),
        setting(
            "hosts",
            Texts("host names, `*.example.org` for every host below"),
            Described("every host"),
            "Any of these, without port.",
        ),
        setting(
            "path",
            Text("a path"),
            Described("every path"),
            "Exactly this path. At most one of `path`, `path_prefix` and `path_pattern` may be given.",
        ),
        setting(
            "path_prefix",
            Text("a path"),
            Described("every path"),
            "This path and what lies under it, by whole segments: `/api` fits `/api` and `/api/x` but not `/apis`.",
        ),
        setting(
            "path_pattern",
            Text("a regular expression"),
            Described("every path"),
            "Has to fit the whole path.",
        ),
        setting(
            "methods",
            Texts("methods"),
            Described("every method"),
            "Any of these, in capitals.",
        ),
        setting(
            "headers",
            Other("a table of header name to value, or `true`"),
            Described("none"),
            "All of these: `{ \"x-canary\" = \"1\", authorization = true }`. `true` asks only that the header is there.",
        ),
        setting(
            "upstream",
            Text("the name of an `[[upstream]]`"),
            Required,
            "Where the requests go.",
        ),
        setting(
            "cache",
            Flag,
            Value("false"),
            "Answer from and store in the shared cache.",
        ),
        setting(
            "cache_rules",
            Table("route.cache_rules"),
            Described("as in `[cache.rules]`"),
            "What the cache does where messages leave it open.",
        ),
        setting(
            "slice",
            Size("64KiB", "64MiB"),
            Described("none"),
            "Store what the origin has with a strong validator in slices of this size, asked for one by one, so that a range takes from the origin only the slices that it touches. At most `cache.max_object`, over which they are not stored. Without effect where plugins look at responses.",
        ),
        setting(
            "compress",
            Flag,
            Value("false"),
            "Compress responses, as `[compression]` says, for clients that take it.",
        ),
        setting(
            "plugins",
            Flag,
            Value("true"),
            "Whether the active bundle's plugins see these requests.",
        ),
        setting(
            "host_header",
            Text("`client`, `server` or `=` and a host"),
            Value("client"),
            "The `Host` that goes upstream: what the client sent, the address of the server, or a fixed one (`=app.internal`).",
        ),
        setting(
            "strip_prefix",
            Text("a path"),
            Described("nothing"),
            "Removed from the start of the path before it goes upstream. `path` or `path_prefix` has to begin with it.",
        ),
        setting(
            "retries",
            Integer(0, 10),
            Value("1"),
            "How often a request is sent to another server after a failure that allows it.",
        ),
        setting(
            "max_body",
            Size("0", "1TiB"),
            Described("`limits.body`"),
            "Largest request body; over it the answer is 413.",
        ),
        setting(
            "https",
            Choice(&["any", "redirect"]),
            Described("the listener's `redirect_https`"),
            "Whether requests in clear are served, or answered with 308 and the same URL through TLS.",
        ),
        setting(
            "timeouts",
            Table("route.timeouts"),
            Described("those of `[timeouts]`"),
            "Overrides for this route.",
        ),
    ],
};

/// `[route.timeouts]`.
pub static ROUTE_TIMEOUTS: Section = Section {
    path: "route.timeouts",
    shape: Shape::Table,
    prose: "What a route sees differently from `[timeouts]`. The stages before a request is routed have no place here.",
    settings: &[
        setting(
            "body",
            Duration("1ms", "1d"),
            Described("`timeouts.body`"),
            "Between two reads of a request body.",
        ),
        setting(
            "connect",
            Duration("1ms", "1h"),
            Described("`timeouts.connect`"),
            "TCP and TLS to a server.",
        ),
        setting(
            "response",
            DurationOrOff("1ms", "1d"),
            Described("`timeouts.response`"),
            "From the request sent to the response head.",
        ),
        setting(
            "idle",
            DurationOrOff("1ms", "1d"),
            Described("`timeouts.idle`"),
            "Between two reads of a response body, and between two writes that the client accepts.",
        ),
        setting(
            "tunnel",
            DurationOrOff("1ms", "30d"),
            Described("`timeouts.tunnel`"),
            "An upgraded connection without a byte in either direction.",
        ),
    ],
};

/// `[[tcp_route]]`.
pub static TCP_ROUTE: Section = Section {
    path: "tcp_route",
    shape: Shape::Array,
    prose: "Which connections of a listener with `protocol = \"tcp\"` go to which upstream, as bytes. Where the listener has TLS, Weir ends it and servers get what is inside. Where it has none and a route has `server_names`, the client's TLS handshake is read for its name (SNI) and passed on untouched; then the client has to speak first. Of several routes the one with the exact name wins, then the longest wildcard, then the one without names, which also takes clients that ask for no name.",
    settings: &[
        setting(
            "name",
            Text("a name"),
            Described("the upstream's name"),
            "Names the route in logs and metrics. Unique.",
        ),
        setting(
            "listener",
            Text("the name of a `[[listener]]`"),
            Required,
            "Whose connections it takes.",
        ),
        setting(
            "server_names",
            Texts("host names, `*.example.org` for every host below"),
            Described("every connection"),
            "Any of these.",
        ),
        setting(
            "upstream",
            Text("the name of an `[[upstream]]`"),
            Required,
            "Where the connections go. Its balancing, health checks, TLS and PROXY header count here too; a consistent hash is made of the client's address.",
        ),
        setting(
            "retries",
            Integer(0, 10),
            Value("1"),
            "How many other servers are tried when one cannot be connected to.",
        ),
        setting(
            "connect_timeout",
            Duration("1ms", "1h"),
            Described("`timeouts.connect`"),
            "TCP and TLS to a server.",
        ),
        setting(
            "idle_timeout",
            DurationOrOff("1ms", "30d"),
            Value("1h"),
            "A connection without a byte in either direction is closed.",
        ),
    ],
};

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

/// `[cache]`.
pub static CACHE: Section = Section {
    path: "cache",
    shape: Shape::Table,
    prose: "The shared memory cache, for the routes that ask for it (RFC 9111).",
    settings: &[
        setting(
            "size",
            Size("0", "1TiB"),
            Value("64MiB"),
            "Bodies, headers, keys and bookkeeping together. 0 turns the cache off.",
        ),
        setting("max_object", Size("0", "1GiB"), Value("1MiB"), "Largest object stored."),
        setting(
            "coalesce_timeout",
            Duration("1ms", "1h"),
            Value("5s"),
            "How long a request waits for another one that fetches the same object, and for a turn at its origin.",
        ),
        setting(
            "origin_fetches",
            Integer(1, 100_000),
            Value("1000"),
            "Misses that one upstream is asked for at once. The others wait `coalesce_timeout` at most, get what is stale, or 503.",
        ),
        setting("disk", Table("cache.disk"), Described("none"), "The disk tier."),
        setting(
            "bans",
            Integer(1, 100_000),
            Value("1000"),
            "Bans that are kept (`weir cache bans`). Over it the oldest is forgotten, with everything stored that was not tested by it.",
        ),
        setting(
            "purge_from",
            Texts("IP addresses and networks"),
            Described("nobody"),
            "Clients that may purge with the method `PURGE`. The routes that cache answer it with 405 where this is empty, and everybody else with 403.",
        ),
        setting(
            "tags",
            Choice(&["strip", "pass"]),
            Value("strip"),
            "Whether `Surrogate-Key` and `Cache-Tag` are removed from answers or passed on, as a cache in front of this Weir needs them.",
        ),
        setting(
            "status",
            Text("a name, or `\"off\"`"),
            Value("weir"),
            "What Weir calls itself in `Cache-Status` (RFC 9211), which all answers of routes that cache have.",
        ),
        setting(
            "status_key",
            Flag,
            Value("false"),
            "Whether `Cache-Status` shows what responses are stored under.",
        ),
        setting(
            "rules",
            Table("cache.rules"),
            Described("its defaults"),
            "What the cache does where messages leave it open.",
        ),
    ],
};

/// `[cache.disk]`.
pub static CACHE_DISK: Section = Section {
    path: "cache.disk",
    shape: Shape::Table,
    prose: "The disk tier below the memory. The section turns it on. What is stored is written here as well, one file a response, \
            survives restarts and crashes, and is read when memory does not have it. A disk that is full or fails only means misses.",
    settings: &[
        setting(
            "path",
            Path,
            Required,
            "A folder of its own; it is made where it is not there. Another one takes a restart.",
        ),
        setting(
            "size",
            Size("1MiB", "64TiB"),
            Value("10GiB"),
            "Disk space that the files may take, in blocks of 4 KiB.",
        ),
        setting(
            "max_files",
            Integer(1, 100_000_000),
            Value("1000000"),
            "Files, one a response. Each takes an inode, and about 200 bytes of memory outside of `cache.size`.",
        ),
        setting("min_object", Size("0", "1GiB"), Value("0"), "Smallest body written."),
        setting(
            "max_object",
            Size("0", "1TiB"),
            Value("16MiB"),
            "Largest body written. One that is larger than `cache.max_object` goes here alone, while it arrives: it takes some 2.5 \
             MiB of memory on its way, however large it is.",
        ),
    ],
};

/// `[cache.rules]`.
pub static CACHE_RULES: Section = Section {
    path: "cache.rules",
    shape: Shape::Table,
    prose: "What the cache does where messages leave it open, on all routes. What responses say themselves goes first.",
    settings: &RULES,
};

/// `[route.cache_rules]`.
pub static ROUTE_CACHE_RULES: Section = Section {
    path: "route.cache_rules",
    shape: Shape::Table,
    prose: "What a route sees differently from `[cache.rules]`.",
    settings: &ROUTE_RULES,
};

const RULES: [Setting; 12] = [
    setting(
        "targeted",
        Texts("header names"),
        Described("`[\"Weir-Cache-Control\", \"CDN-Cache-Control\", \"Surrogate-Control\"]`"),
        "Response headers that speak to this cache alone: the first one that is there and valid counts instead of `Cache-Control` and `Expires` (RFC 9213).",
    ),
    setting(
        "heuristic",
        Integer(0, 100),
        Value("10"),
        "How long a response is fresh that only says when it was last modified: so many percent of the time since (RFC 9111 §4.2.2).",
    ),
    setting(
        "heuristic_most",
        Duration("0s", "365d"),
        Value("1d"),
        "The longest of such lifetimes.",
    ),
    setting(
        "lifetime",
        Duration("0s", "365d"),
        Value("0s"),
        "How long a success or a redirect is fresh that says nothing at all.",
    ),
    setting(
        "negative",
        Duration("0s", "1d"),
        Value("0s"),
        "How long an error (404, 405, 410, 414, 451, 500 to 504) is fresh that does not say so.",
    ),
    setting(
        "grace",
        Duration("0s", "365d"),
        Value("0s"),
        "How long after its freshness a response is still served while the origin is asked in the background, where it says nothing of `stale-while-revalidate`.",
    ),
    setting(
        "stale_if_error",
        Duration("0s", "365d"),
        Value("0s"),
        "How long after its freshness a response is served in place of a 500, 502, 503 or 504, where it says nothing of `stale-if-error`.",
    ),
    setting(
        "stale_if_unreachable",
        Duration("0s", "365d"),
        Value("1d"),
        "The same when no server answers.",
    ),
    setting(
        "set_cookie",
        Choice(&["pass", "store"]),
        Value("pass"),
        "What becomes of responses with `Set-Cookie`: `pass` never stores them (unless `no-cache=\"set-cookie\"` allows it without the cookie), `store` stores them like others, and gives everybody the cookie.",
    ),
    setting(
        "normalise",
        Texts("header names"),
        Described("`[\"Accept-Encoding\", \"Accept-Language\"]`"),
        "Request headers that `Vary` compares by what they mean, not by how they are written. `Accept-Encoding` and `Accept-Language` are understood; any other is taken as a list without order and case.",
    ),
    setting(
        "query",
        Choice(&["exact", "sorted", "removed"]),
        Value("exact"),
        "What becomes of the query of a GET or HEAD before the cache is asked. The origin gets the same, so that nothing which it sees is missing in the key.",
    ),
    setting(
        "ignore_query",
        Texts("names of parameters; `utm_*` for all that begin so"),
        Described("none"),
        "Parameters that are taken out of the query, likewise.",
    ),
];

const ROUTE_RULES: [Setting; 12] = as_in_cache_rules(RULES);

const fn as_in_cache_rules(mut settings: [Setting; 12]) -> [Setting; 12] {
    let mut index = 0;
    while index < settings.len() {
        settings[index].default = Described("as in `[cache.rules]`");
        index += 1;
    }
    settings
}

/// `[compression]`.
pub static COMPRESSION: Section = Section {
    path: "compression",
    shape: Shape::Table,
    prose: "How responses are compressed, on the routes with `compress = true`. Left as they are: what has a `Content-Encoding` already, parts (206, and whatever a `Range` asked for), and what says `no-transform`. A cache keeps one response for each coding, compressed once.",
    settings: &[
        setting(
            "codings",
            Texts("`zstd`, `br`, `gzip`"),
            Described("`[\"zstd\", \"br\", \"gzip\"]`"),
            "What is offered. A client that likes several as much gets the first of them.",
        ),
        setting(
            "types",
            Texts("media types: `text/html`, `text/*`, `*+json`"),
            Described("text, JSON, XML, JavaScript, Wasm, SVG and uncompressed fonts"),
            "What is compressed, by `Content-Type`.",
        ),
        setting(
            "min_size",
            Size("0", "1GiB"),
            Value("1KiB"),
            "Smaller responses are left as they are. One that does not tell its length is compressed.",
        ),
        setting("gzip_level", Integer(1, 9), Value("5"), "From fast to small."),
        setting(
            "brotli_level",
            Integer(0, 11),
            Value("4"),
            "From fast to small. From 10 on it is many times slower, and keeps a worker from its other requests.",
        ),
        setting("zstd_level", Integer(1, 19), Value("3"), "From fast to small."),
    ],
};

/// `[timeouts]`.
pub static TIMEOUTS: Section = Section {
    path: "timeouts",
    shape: Shape::Table,
    prose: "How long each stage may take. Stages that may take for ever accept `\"off\"`.",
    settings: &[
        setting(
            "handshake",
            Duration("1ms", "1h"),
            Value("10s"),
            "What comes before the first request: a PROXY header and a TLS handshake with a client.",
        ),
        setting(
            "header",
            Duration("1ms", "1h"),
            Value("10s"),
            "A whole request head, from its first byte; also how long a new connection may say nothing.",
        ),
        setting(
            "body",
            Duration("1ms", "1d"),
            Value("30s"),
            "Between two reads of a request body.",
        ),
        setting(
            "keep_alive",
            Duration("1ms", "1d"),
            Value("60s"),
            "A kept-alive client connection without a request.",
        ),
        setting(
            "client_fin",
            DurationOrOff("1ms", "1h"),
            Value("1s"),
            "A client that has closed its side of the connection: its request is given up after so long without a byte of the answer. One that resets the connection is given up at once.",
        ),
        setting(
            "connect",
            Duration("1ms", "1h"),
            Value("2s"),
            "TCP and TLS to a server.",
        ),
        setting(
            "response",
            DurationOrOff("1ms", "1d"),
            Value("60s"),
            "From the request sent to the response head.",
        ),
        setting(
            "idle",
            DurationOrOff("1ms", "1d"),
            Value("60s"),
            "Between two reads of a response body, and between two writes that the client accepts.",
        ),
        setting(
            "tunnel",
            DurationOrOff("1ms", "30d"),
            Value("1h"),
            "An upgraded connection (WebSocket) without a byte in either direction.",
        ),
        setting(
            "lifetime",
            DurationOrOff("1s", "30d"),
            Described("for ever"),
            "A connection of a client that is older ends after the exchange that it is in (`Connection: close`); in HTTP/2 it takes no new streams (GOAWAY) and ends with the last one.",
        ),
    ],
};

/// `[limits]`.
pub static LIMITS: Section = Section {
    path: "limits",
    shape: Shape::Table,
    prose: "Bounds on what clients may send and have. [What is refused](observability.md#refusals) has a reason each.",
    settings: &[
        setting(
            "header_bytes",
            Size("1KiB", "16MiB"),
            Value("64KiB"),
            "A whole request head; over it the answer is 431.",
        ),
        setting(
            "headers",
            Integer(1, 256),
            Value("100"),
            "Header lines of a request; over it the answer is 431.",
        ),
        setting(
            "target",
            Size("64", "1MiB"),
            Value("16KiB"),
            "The request target; over it the answer is 414.",
        ),
        setting(
            "body",
            Size("0", "1TiB"),
            Value("1GiB"),
            "A request body, where the route says nothing else; over it the answer is 413.",
        ),
        setting(
            "connections",
            Integer(1, 10_000_000),
            Value("100000"),
            "Client connections at once, all workers together; the newest are refused over it. An eighth of the file descriptors that the process may have is kept from clients in any case.",
        ),
        setting(
            "client_connections",
            Integer(0, 1_000_000),
            Value("0"),
            "Connections that one network of clients has at once; the newest are refused over it. 0 is any number. Peers in `trusted_proxies` are exempt from this and the next two: many clients are behind them.",
        ),
        setting(
            "client_connection_rate",
            Integer(0, 1_000_000),
            Value("0"),
            "New connections a second of one network, with as many at once; over it they are refused. 0 is any number.",
        ),
        setting(
            "client_request_rate",
            Integer(0, 1_000_000),
            Value("0"),
            "Requests a second of one network, with as many at once; over it the answer is 429. 0 is any number. It holds for connections that begin after it is set.",
        ),
        setting(
            "client_prefix_v4",
            Integer(8, 32),
            Value("32"),
            "Leading bits of an IPv4 address that make a network.",
        ),
        setting(
            "client_prefix_v6",
            Integer(16, 128),
            Value("64"),
            "Leading bits of an IPv6 address that make a network.",
        ),
        setting(
            "client_networks",
            Integer(64, 16_000_000),
            Value("65536"),
            "Networks that are remembered at once, about 100 bytes each. Further ones are not limited while all of these are in use.",
        ),
        setting(
            "requests_per_connection",
            Integer(0, 1_000_000_000),
            Value("0"),
            "Requests on one connection, after which it is closed; in HTTP/2 it is told so by GOAWAY, and what is sent within the round trip is still answered. 0 is any number.",
        ),
        setting(
            "body_rate",
            Size("0", "1MiB"),
            Value("240"),
            "Bytes a second at which a client has to send a body and to take a response, on average over the time that Weir waits for it, once that is more than `timeouts.body` in all; in HTTP/2 on each stream, and what all of them are sent together. 0 is none.",
        ),
        setting(
            "held_bodies",
            Size("64KiB", "1TiB"),
            Value("256MiB"),
            "Bodies that plugins hold, all workers together; over it the answer is 503.",
        ),
        setting(
            "streams",
            Integer(1, 10_000),
            Value("100"),
            "HTTP/2 streams that a connection may have open.",
        ),
    ],
};

/// `[http2]`.
pub static HTTP2: Section = Section {
    path: "http2",
    shape: Shape::Table,
    prose: "HTTP/2 with clients. The counts are what one connection may do in ten seconds; over one of them it is ended (GOAWAY with ENHANCE_YOUR_CALM), logged and counted in `weir_http2_abuse_total` under the word in brackets. Every frame with content, either way, earns four PING, WINDOW_UPDATE, PRIORITY and empty frames back.",
    settings: &[
        setting(
            "stream_window",
            Size("64KiB", "1GiB"),
            Value("256KiB"),
            "What a client may send on a stream before Weir has passed it on: the memory that one upload may take.",
        ),
        setting(
            "connection_window",
            Size("64KiB", "1GiB"),
            Value("1MiB"),
            "The same for all streams of a connection together.",
        ),
        setting(
            "stall",
            Duration("100ms", "1h"),
            Value("20s"),
            "How long a response may wait for the client's window. Then its stream is reset, and where no other stream got anything either, the connection ended (`zero_window`).",
        ),
        setting(
            "resets",
            Integer(1, 1_000_000),
            Value("200"),
            "Streams that the client resets before their response is complete (`rapid_reset`). Each complete response earns one back.",
        ),
        setting(
            "stream_errors",
            Integer(1, 1_000_000),
            Value("50"),
            "Streams that Weir has to reset or refuse for a fault of the client (`made_you_reset`).",
        ),
        setting(
            "continuations",
            Integer(1, 10_000),
            Value("32"),
            "CONTINUATION frames of one header block (`continuation_flood`). A block of four times `limits.header_bytes`, coded or decoded, ends the connection as well (`header_bomb`); below that the answer is 431.",
        ),
        setting(
            "pings",
            Integer(1, 1_000_000),
            Value("100"),
            "PING frames (`ping_flood`).",
        ),
        setting(
            "settings",
            Integer(1, 1_000_000),
            Value("50"),
            "SETTINGS frames (`settings_flood`).",
        ),
        setting(
            "window_updates",
            Integer(1, 1_000_000),
            Value("500"),
            "WINDOW_UPDATE frames (`window_update_flood`).",
        ),
        setting(
            "priorities",
            Integer(1, 1_000_000),
            Value("200"),
            "PRIORITY frames and frames of unknown types (`priority_flood`).",
        ),
        setting(
            "empty_frames",
            Integer(1, 1_000_000),
            Value("100"),
            "DATA and CONTINUATION frames that carry nothing and end nothing (`empty_frame_flood`).",
        ),
    ],
};

/// `[access_log]`.
pub static ACCESS_LOG: Section = Section {
    path: "access_log",
    shape: Shape::Table,
    prose: "One line an exchange.",
    settings: &[
        setting(
            "format",
            Choice(&["text", "json", "off"]),
            Value("text"),
            "A readable line, a JSON object, or nothing.",
        ),
        setting(
            "file",
            Path,
            Described("standard output"),
            "Lines are appended. SIGHUP opens it again, so that it can be rotated.",
        ),
        setting(
            "events",
            Path,
            Described("among the lines"),
            "A file of their own for events of plugins, such as a WAF's audit events. Appended and opened again like `file`.",
        ),
    ],
};

/// `[admin]`.
pub static ADMIN: Section = Section {
    path: "admin",
    shape: Shape::Table,
    prose: "The operator's own port: health, metrics, and what `weir deploy`, `weir status`, `weir rollback` and `weir reload` speak to.",
    settings: &[
        setting(
            "address",
            Text("an IP address and a port, or `off`"),
            Value("127.0.0.1:9180"),
            "Where it listens. `off` turns it off.",
        ),
        setting(
            "token",
            Text("at least 16 characters"),
            Described("none"),
            "Bearer token asked of every call that changes something. Needed when the address is not loopback.",
        ),
        setting(
            "token_file",
            Path,
            Described("none"),
            "A file that holds the token, instead of `token`.",
        ),
    ],
};

/// `[plugins]`.
pub static PLUGINS: Section = Section {
    path: "plugins",
    shape: Shape::Table,
    prose: "Plugins and their state on disk.",
    settings: &[
        setting(
            "bundle",
            Path,
            Described("none"),
            "The bundle (a folder or its tar) that is activated at the start when no generation was deployed before.",
        ),
        setting(
            "state",
            Path,
            Value("/var/lib/weir"),
            "Folder of the generations kept for rollback and of compiled artefacts.",
        ),
        setting("keep", Integer(1, 1000), Value("5"), "Generations kept for rollback."),
        setting(
            "counters",
            Size("64KiB", "1TiB"),
            Value("64MiB"),
            "Counters of all plugins together.",
        ),
        setting(
            "kv",
            Size("64KiB", "1TiB"),
            Value("64MiB"),
            "Key-value data of all plugins together.",
        ),
    ],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::units;

    #[test]
    fn every_default_lies_within_its_bounds() {
        let mut seen = 0;
        for section in SECTIONS {
            for setting in section.settings {
                let Value(default) = setting.default else { continue };
                seen += 1;
                let fits = match setting.kind {
                    Duration(low, high) | DurationOrOff(low, high) => {
                        let [low, value, high] = [low, default, high].map(|text| units::duration(text).unwrap());
                        low <= value && value <= high
                    }
                    Size(low, high) => {
                        let [low, value, high] = [low, default, high].map(|text| units::size(text).unwrap());
                        low <= value && value <= high
                    }
                    Integer(low, high) => (low..=high).contains(&default.parse().unwrap()),
                    Flag => default.parse::<bool>().is_ok(),
                    Choice(words) => words.contains(&default),
                    Text(_) | Texts(_) | TextOrTexts(_) | Path | Other(_) | Table(_) => true,
                };
                assert!(fits, "{}.{}", section.path, setting.key);
            }
        }
        assert!(seen > 30);
    }

    #[test]
    fn every_section_that_a_setting_names_exists_and_keys_are_unique() {
        for section in SECTIONS {
            for (index, setting) in section.settings.iter().enumerate() {
                assert!(
                    section.settings[..index]
                        .iter()
                        .all(|earlier| earlier.key != setting.key),
                    "{}",
                    setting.key
                );
                if let Table(path) = setting.kind {
                    assert!(SECTIONS.iter().any(|section| section.path == path), "{path}");
                }
            }
        }
    }
}
