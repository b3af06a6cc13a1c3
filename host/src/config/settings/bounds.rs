//! `[timeouts]`, `[limits]` and `[http2]`: how long and how much of everything.

use super::Fallback::{Described, Value};
use super::Kind::{Duration, DurationOrOff, Integer, Size};
use super::{Section, Shape, setting};

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
