//! Requests that are right, however odd, and what the origin sees of them.

use weir_tests::message::{Request, Response, chunk};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

/// Sends one request with this method, target and headers; returns what the origin saw.
fn forwarded(bytes: &[u8]) -> Request {
    let (origin, proxy) = pair();
    let mut client = proxy.connect();
    client.send(bytes);
    assert_eq!(client.response().status, 200, "{}", String::from_utf8_lossy(bytes));
    origin.only_request()
}

#[test]
fn an_empty_line_before_a_request_is_skipped() {
    let seen = forwarded(b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(seen.target, "/a");
}

#[test]
fn an_absolute_target() {
    let seen = forwarded(b"GET http://a.test:8080/path?query HTTP/1.1\r\nHost: a.test:8080\r\n\r\n");
    assert_eq!(
        seen.target, "/path?query",
        "servers get the origin form (RFC 9112 §3.2.1)"
    );
    assert_eq!(seen.headers.all("host"), ["a.test:8080"]);
}

#[test]
fn an_absolute_target_without_a_path_asks_for_the_root() {
    assert_eq!(
        forwarded(b"GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n").target,
        "/"
    );
}

#[test]
fn options_of_the_server_as_a_whole() {
    let seen = forwarded(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("OPTIONS", "*"),
        "RFC 9112 §3.2.4"
    );
}

/// RFC 9110 §7.6.2: each proxy takes one off, and the one that gets 0 answers itself.
#[test]
fn max_forwards_is_counted_down_to_the_proxy_that_answers() {
    let with = |method: &str, hops: &str| {
        format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {hops}\r\n\r\n").into_bytes()
    };
    for (method, hops, seen) in [
        ("OPTIONS", "7", "6"),
        ("TRACE", "1", "0"),
        ("OPTIONS", "many", "many"),
        ("GET", "0", "0"),
    ] {
        let request = forwarded(&with(method, hops));
        assert_eq!(request.headers.all("max-forwards"), [seen], "{method} {hops}");
    }
    let (origin, proxy) = pair();
    for (method, status) in [("OPTIONS", 204), ("TRACE", 501)] {
        let mut client = proxy.connect();
        client.send(with(method, "0"));
        assert_eq!(client.response().status, status, "{method}");
    }
    assert_eq!(origin.requests(), 0);
}

#[test]
fn a_target_is_forwarded_as_it_came() {
    let seen = forwarded(b"GET /a%2Fb//c/../d;e?f=%20&g=[h] HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(seen.target, "/a%2Fb//c/../d;e?f=%20&g=[h]");
}

#[test]
fn a_method_that_nobody_knows() {
    assert_eq!(forwarded(b"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n").method, "M-SEARCH");
}

#[test]
fn header_values_are_bytes() {
    let seen = forwarded(b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: caf\xe9\r\nX-Empty:\r\nX-Pad: \t b \t\r\n\r\n");
    assert_eq!(seen.headers.get("x-name"), Some("caf\u{e9}"));
    assert_eq!(seen.headers.get("x-empty"), Some(""));
    assert_eq!(
        seen.headers.get("x-pad"),
        Some("b"),
        "white space around a value is not part of it (RFC 9110 §5.5)"
    );
}

#[test]
fn repeated_headers_stay_apart_and_in_order() {
    let seen = forwarded(b"GET / HTTP/1.1\r\nHost: a\r\nX-Many: 1\r\nX-Other: x\r\nX-Many: 2\r\nX-Many: 3\r\n\r\n");
    assert_eq!(seen.headers.all("x-many"), ["1", "2", "3"]);
}

#[test]
fn hop_by_hop_headers_stay_on_their_hop() {
    let seen = forwarded(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: gzip\r\nTrailer: X\r\n\
          Upgrade: h2c\r\nX-Stays: yes\r\n\r\n",
    );
    for name in ["x-mine", "keep-alive", "proxy-connection", "te", "upgrade"] {
        assert_eq!(seen.headers.get(name), None, "{name} (RFC 9110 §7.6.1)");
    }
    assert_eq!(seen.headers.get("x-stays"), Some("yes"));
}

/// With HTTP/2 or TLS behind an upgrade, a client would speak to the server past the proxy; and behind content nobody could say
/// where the new protocol begins.
#[test]
fn upgrades_that_are_not_passed_on() {
    for (upgrade, length) in [
        ("h2c", 0),
        ("websocket, h2c", 0),
        ("HTTP/2.0", 0),
        ("TLS/1.0", 0),
        ("websocket", 2),
    ] {
        let seen = forwarded(
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n\
                 HTTP2-Settings: AAMAAABk\r\nContent-Length: {length}\r\n\r\n{}",
                "x".repeat(length)
            )
            .as_bytes(),
        );
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(seen.headers.get(name), None, "{upgrade}: {name}");
        }
    }
}

/// Servers that make variables of names read `X_Forwarded_For` as `X-Forwarded-For`.
#[test]
fn names_that_mimic_what_the_proxy_says() {
    let seen = forwarded(
        b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nx-real_ip: 6.6.6.6\r\nX_Other: kept\r\n\r\n",
    );
    assert_eq!(seen.headers.get("x_forwarded_for"), None);
    assert_eq!(seen.headers.get("x-real_ip"), None);
    assert_eq!(seen.headers.get("x_other"), Some("kept"));
}

/// `Connection: host` must not make the request lose its host, nor its length.
#[test]
fn connection_cannot_name_away_what_frames_a_message() {
    let seen = forwarded(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length, x-forwarded-for\r\nContent-Length: 2\r\n\r\nhi",
    );
    assert_eq!(seen.headers.all("host"), ["a"]);
    assert_eq!(seen.body, b"hi");
    assert!(
        seen.headers.get("x-forwarded-for").is_some(),
        "the client's address got lost"
    );
}

#[test]
fn a_chunked_body_is_framed_anew() {
    let seen = forwarded(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
          5;name=\"value\"\r\nhello\r\n006\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n",
    );
    assert_eq!(seen.body, b"hello world");
    assert_eq!(
        seen.headers.all("content-length").len() + seen.headers.all("transfer-encoding").len(),
        1
    );
}

#[test]
fn a_body_of_a_get_is_forwarded() {
    assert_eq!(
        forwarded(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").body,
        b"hi"
    );
}

#[test]
fn one_byte_at_a_time() {
    let (origin, proxy) = pair();
    let mut client = proxy.connect();
    for byte in b"POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.only_request().body, b"hello");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (origin, proxy) = pair();
    let mut client = proxy.connect();
    client.send(
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
          GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    let bodies: Vec<_> = (0..3).map(|_| client.response().text_body()).collect();
    assert_eq!(bodies, ["/1", "/2", "/3"]);
    client.assert_closed();
    assert_eq!(origin.requests(), 3);
}

#[test]
fn an_http_1_0_client_gets_a_closed_connection_and_no_chunks() {
    let origin = Origin::start(|_| {
        Response::new(200)
            .header("Transfer-Encoding", "chunked")
            .body([chunk(b"hello"), chunk(b"")].concat())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!(response.headers.get("transfer-encoding"), None, "RFC 9112 §6.1");
    assert_eq!(response.text_body(), "hello");
    client.assert_closed();
}

#[test]
fn an_http_1_0_client_may_ask_to_stay() {
    let (_origin, proxy) = pair();
    let mut client = proxy.connect();
    for path in ["/1", "/2"] {
        client.send(format!(
            "GET {path} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
        ));
        let response = client.response();
        assert_eq!(response.text_body(), path);
        assert_eq!(
            response
                .headers
                .get("connection")
                .map(str::to_ascii_lowercase)
                .as_deref(),
            Some("keep-alive")
        );
    }
}

#[test]
fn a_client_that_expects_is_told_to_continue() {
    let (origin, proxy) = pair();
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.response_head().status, 100, "RFC 9110 §10.1.1");
    client.send(b"hello");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.only_request().body, b"hello");
}

/// An origin that answers with the target that it saw.
fn pair() -> (Origin, Proxy) {
    let origin = Origin::start(|request| Response::text(request.target.clone()));
    let proxy = in_front_of(&origin).start();
    (origin, proxy)
}
