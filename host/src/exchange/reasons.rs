//! Every word for a refusal, in one list: what the access log and `weir_refusals_total` say, with status and meaning.

/// Word, status as a client sees it, meaning.
pub static REASONS: &[(&str, &str, &str)] = &[
    (
        "start_line",
        "400",
        "The request line is none, or empty lines stand before it.",
    ),
    ("method_too_long", "501", "A method of more than 64 bytes."),
    (
        "target",
        "400",
        "The target is no origin, absolute or asterisk form where one belongs, or has bytes that may not stand there.",
    ),
    ("target_too_long", "414", "The target is over `limits.target`."),
    ("version", "505", "A version other than HTTP/1.0 and HTTP/1.1."),
    (
        "header",
        "400",
        "A header line: white space before the colon, folding, control bytes, a bare LF, a name like `Content_Length`.",
    ),
    ("head_too_large", "431", "The head is over `limits.header_bytes`."),
    ("too_many_headers", "431", "More lines than `limits.headers`."),
    (
        "host",
        "400",
        "`Host` is missing, repeated or malformed, or disagrees with an absolute target.",
    ),
    (
        "content_length",
        "400",
        "`Content-Length` is repeated, a list, signed, padded or too large.",
    ),
    (
        "transfer_coding",
        "400",
        "`Transfer-Encoding` is not exactly `chunked`, or stands in HTTP/1.0.",
    ),
    ("length_and_coding", "400", "Both of them."),
    ("chunk", "400", "A chunk's size, extension or end."),
    (
        "trailer",
        "400",
        "A trailer that is no field, or that frames or routes.",
    ),
    ("trace_content", "400", "A TRACE with content."),
    (
        "pseudo_header",
        "400",
        "HTTP/2: a pseudo-header field is missing, repeated, unknown or out of place. The stream is reset.",
    ),
    (
        "connection_field",
        "400",
        "HTTP/2: a field that says something about an HTTP/1.1 connection. The stream is reset.",
    ),
    ("truncated", "400", "The client ended inside a request head."),
    ("connect", "501", "CONNECT."),
    ("not_implemented", "501", "A TRACE that ends here (`Max-Forwards: 0`)."),
    ("expectation", "417", "An expectation other than `100-continue`."),
    (
        "request_timeout",
        "408",
        "Head or body came too slowly: `timeouts.header`, `timeouts.body`, `limits.body_rate`.",
    ),
    (
        "body_too_large",
        "413",
        "The body is over `limits.body` or the route's `max_body`.",
    ),
    (
        "client_request_rate",
        "429",
        "The client's network asks more a second than `limits.client_request_rate`.",
    ),
    (
        "held_bodies",
        "503",
        "Plugins hold as much of bodies as `limits.held_bodies`.",
    ),
    (
        "client_gone",
        "499 in the log",
        "The client went away before it had its answer.",
    ),
    ("no_route", "404", "No route fits."),
    ("method", "405", "A route fits for other methods."),
    (
        "loop",
        "508",
        "The request has been here before (`CDN-Loop`, RFC 8586).",
    ),
    ("not_cached", "504", "`only-if-cached`, and it is not."),
    ("purge", "403", "A PURGE from somewhere that may not."),
    (
        "origin_busy",
        "503",
        "The origin has as many requests from the cache as it may, and none ended in time.",
    ),
    ("plugin_trap", "503", "A plugin whose `on_failure` is `closed` trapped."),
    ("plugin_deadline", "503", "Such a plugin took too long."),
    ("plugin_memory", "503", "Such a plugin took too much memory."),
    ("plugin_exhausted", "503", "There was no instance of such a plugin."),
    (
        "plugin_denied",
        "503",
        "Such a plugin asked for a service that it was not granted.",
    ),
    ("plugin_invalid", "503", "Such a plugin answered nonsense."),
    ("upstream_connect", "502", "No connection to a server."),
    (
        "upstream_connect_timeout",
        "504",
        "No connection to a server within `timeouts.connect`.",
    ),
    ("upstream_tls", "502", "TLS to a server failed."),
    (
        "upstream_closed",
        "502",
        "The server closed the connection before its response was complete.",
    ),
    ("upstream_io", "502", "The connection to the server broke."),
    (
        "upstream_malformed",
        "502",
        "The server's response is held to the same rules as requests, and breaks one.",
    ),
    (
        "upstream_no_upgrade",
        "502",
        "The upstream has `http2`, and its server takes WebSocket neither on a stream (RFC 8441) nor over HTTP/1.1.",
    ),
    (
        "upstream_timeout",
        "504",
        "The server took longer than `timeouts.response` or `timeouts.idle`.",
    ),
    ("no_server", "503", "No server is left to be tried."),
    (
        "queue_full",
        "503",
        "The upstream has `max_requests`, and its `queue` is full.",
    ),
    (
        "queue_timeout",
        "503",
        "The upstream had no room within `queue_timeout`.",
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::exchange::Refusal;
    use crate::http1::head::Malformed;
    use crate::upstream::{ClientFault, Fault};

    fn io() -> std::io::Error {
        std::io::ErrorKind::Other.into()
    }

    #[test]
    fn every_word_is_there_once_with_its_status() {
        let words: HashSet<_> = REASONS.iter().map(|(word, ..)| word).collect();
        assert_eq!(words.len(), REASONS.len());
        let malformed = [
            Malformed::StartLine,
            Malformed::MethodTooLong,
            Malformed::Target,
            Malformed::TargetTooLong,
            Malformed::Version,
            Malformed::Header,
            Malformed::HeadTooLarge,
            Malformed::TooManyHeaders,
            Malformed::Host,
            Malformed::ContentLength,
            Malformed::TransferCoding,
            Malformed::LengthAndCoding,
            Malformed::Chunk,
            Malformed::Trailer,
            Malformed::TraceContent,
            Malformed::PseudoHeader,
            Malformed::ConnectionField,
            Malformed::Truncated,
        ];
        let faults = [
            Fault::Connect(io()),
            Fault::ConnectTimeout,
            Fault::Tls(String::new()),
            Fault::Stale,
            Fault::Closed,
            Fault::Io(io()),
            Fault::Malformed(Malformed::Chunk),
            Fault::NoUpgrade,
            Fault::Timeout,
            Fault::NoServer,
            Fault::QueueFull,
            Fault::QueueTimeout,
            Fault::Memory,
        ];
        let own = [
            Refusal::RequestTimeout,
            Refusal::TooManyRequests,
            Refusal::Memory,
            Refusal::BodyTooLarge,
            Refusal::ClientGone,
            Refusal::NotFound,
            Refusal::MethodNotAllowed(Vec::new()),
            Refusal::Connect,
            Refusal::Loop,
            Refusal::NotImplemented,
            Refusal::Expectation,
            Refusal::NotCached,
            Refusal::PurgeForbidden,
            Refusal::OriginBusy,
            ClientFault::Gone.into(),
        ];
        let refusals = malformed.map(Refusal::Malformed).into_iter().chain(own);
        for refusal in refusals.chain(faults.map(Refusal::Upstream)) {
            let (_, status, _) = REASONS.iter().find(|(word, ..)| *word == refusal.reason()).unwrap();
            assert!(status.starts_with(refusal.status().as_str()), "{}", refusal.reason());
        }
    }

    #[test]
    fn the_page_in_docs_is_current() {
        const FROM: &str = "refusals from here -->\n";
        const TO: &str = "<!-- Generated refusals: to here -->";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability.md");
        let stored = std::fs::read_to_string(&file).unwrap();
        let (before, rest) = stored.split_once(FROM).unwrap();
        let (_, after) = rest.split_once(TO).unwrap();
        let rows = REASONS
            .iter()
            .map(|(word, status, meaning)| format!("| `{word}` | {status} | {meaning} |\n"));
        let table = format!(
            "\n| reason | status | what is wrong |\n|---|---|---|\n{}\n",
            rows.collect::<String>()
        );
        let page = format!("{before}{FROM}{table}{TO}{after}");
        if std::env::var_os("WEIR_UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        let stored = std::fs::read_to_string(&file).unwrap();
        assert!(
            stored == page,
            "docs/observability.md is out of date: run this test with WEIR_UPDATE_GOLDEN=1"
        );
    }
}
