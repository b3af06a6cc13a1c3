//! `[[route]]` and `[[tcp_route]]`: what goes where.

use super::Fallback::{Described, Required, Value};
use super::Kind::{Choice, Duration, DurationOrOff, Flag, Integer, Other, Section as Table, Size, Text, Texts};
use super::{Section, Shape, setting};

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
