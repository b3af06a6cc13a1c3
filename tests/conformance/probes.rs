//! What public probes of HTTP/1.1 servers look for and the other tables here do not have: oddities one by one, each with what
//! RFC 9112 wants. A refused request never reaches the origin whole, and its connection ends.

use weir_tests::client::Client;
use weir_tests::message::Response;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

fn pair() -> (Origin, Proxy) {
    let origin = Origin::start(|request| Response::text(request.body.clone()));
    let proxy = in_front_of(&origin).start();
    (origin, proxy)
}

/// Sends bytes that have to be answered with this status, after which nothing follows.
fn refused(proxy: &Proxy, bytes: &[u8], status: u16) {
    let shown: String = bytes.escape_ascii().take(120).map(char::from).collect();
    let mut client = Client::connect(proxy.address());
    // It may be refused before its last byte is taken.
    let _ = client.try_send(bytes);
    let response = client
        .try_response()
        .unwrap_or_else(|error| panic!("no response ({error}) to {shown}"));
    assert_eq!(response.status, status, "{shown}");
    assert_eq!(client.rest(), "", "not closed after {shown}");
}

#[test]
fn request_lines() {
    let (origin, proxy) = pair();
    for (line, status) in [
        ("GET /", 400),
        ("GET / HTTP/1", 400),
        ("GET / HTTP/2", 400),
        ("GET / HTTP/01.01", 400),
        ("GET / HTTP/1.01", 400),
        ("GET / HTTP/ 1.1", 400),
        ("GET / HTTP /1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/9.9", 505),
        (" GET / HTTP/1.1", 400),
        ("GET HTTP/1.1", 400),
        ("GET / HTTP/1.1\rX: y", 400),
        ("GET /a#b HTTP/1.1", 400),
        ("GET /a\\b HTTP/1.1", 400),
        ("GET /caf\u{e9} HTTP/1.1", 400),
        ("GET /\0 HTTP/1.1", 400),
        ("GET /\x7f HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("POST * HTTP/1.1", 400),
        ("GET example.com:80 HTTP/1.1", 400),
        ("CONNECT example.com:443 HTTP/1.1", 501),
        ("CONNECT / HTTP/1.1", 400),
        ("CONNECT example.com HTTP/1.1", 400),
        ("CONNECT http://a/ HTTP/1.1", 400),
        ("   ", 400),
    ] {
        refused(&proxy, format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), status);
    }
    refused(&proxy, b"GET /\r\n", 400);
    refused(&proxy, b"GET /\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused(&proxy, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused(&proxy, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused(
        &proxy,
        &[0x9d, 0x01, b'\n', 0xff, 0x80, b'\r', b'\n', b'\r', b'\n'],
        400,
    );
    assert_eq!(origin.requests(), 0, "{:#?}", origin.seen());
}

#[test]
fn sizes() {
    let (origin, proxy) = pair();
    let long = "A".repeat(100_000);
    refused(
        &proxy,
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
        414,
    );
    refused(&proxy, format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), 400);
    refused(
        &proxy,
        format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", &long[..80]).as_bytes(),
        501,
    );
    refused(
        &proxy,
        format!("GET / HTTP/1.1\r\nHost: a\r\n{long}: b\r\n\r\n").as_bytes(),
        431,
    );
    refused(
        &proxy,
        format!("GET / HTTP/1.1\r\nHost: a\r\nb: {long}\r\n\r\n").as_bytes(),
        431,
    );
    let many: String = (0..10_000).map(|number| format!("X-H-{number}: value\r\n")).collect();
    refused(
        &proxy,
        format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes(),
        431,
    );
    let extension =
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a={long}\r\nhello\r\n0\r\n\r\n");
    refused(&proxy, extension.as_bytes(), 400);
    assert_eq!(origin.requests(), 0);
    assert_eq!(
        proxy.get(&format!("/{}", &long[..8_000])).status,
        200,
        "RFC 9112 §3 recommends 8,000 bytes"
    );
}

#[test]
fn fields() {
    let (origin, proxy) = pair();
    for field in [
        " \r\nX: y",
        "\tX: y",
        ": y",
        "X",
        "X[Y: z",
        "X\tY: z",
        "X\u{e9}: z",
        "X: a\x07\x08\x0bb",
        "X: a\x7fb",
        "X: a\0b",
        "X: a\rb",
        "X: a\r\n\tb",
        "Content_Length: 5",
        "Transfer_Encoding: chunked",
        "transfer-encoding : chunked",
    ] {
        refused(
            &proxy,
            format!("GET / HTTP/1.1\r\n{field}\r\nHost: a\r\n\r\n").as_bytes(),
            400,
        );
    }
    assert_eq!(origin.requests(), 0, "{:#?}", origin.seen());
}

#[test]
fn hosts() {
    let (origin, proxy) = pair();
    for host in [
        "", " ", "a@b", "a/b", "a?b", "a#b", "a,b", "a b", "a:b", "a:99999", "[::1", "::1", "http://a", "%61",
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, 400, "{host:?}");
    }
    assert_eq!(origin.requests(), 0, "{:#?}", origin.seen());
}

#[test]
fn lengths_and_codings() {
    let (origin, proxy) = pair();
    for fields in [
        "Content-Length: abc",
        "Content-Length: 5x",
        "Content-Length: 5 5",
        "Content-Length: 5,5",
        "Content-Length: 5, 5",
        "Content-Length: -0",
        "Content-Length: +0",
        "Content-Length: 005",
        "Content-Length: 00",
        "Content-Length: 0o5",
        "Content-Length: 0x5",
        "Content-Length: 1_0",
        "Content-Length: 5.0",
        "Content-Length: 5;",
        "Content-Length: \"5\"",
        "Content-Length: 99999999999999999999",
        "Content-Length: 18446744073709551616",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nCONTENT-LENGTH: 6",
        "Transfer-Encoding:",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: , chunked",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunk",
        "Transfer-Encoding: chunkedchunked",
        "Transfer-Encoding: \x0cchunked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: \r\n chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked \r\nContent-Length: 5",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5",
        "Content-Length: +5\r\nTransfer-Encoding: chunked",
    ] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        refused(&proxy, request.as_bytes(), 400);
    }
    assert_eq!(origin.requests(), 0, "{:#?}", origin.seen());
}

#[test]
fn chunks() {
    let (origin, proxy) = pair();
    for body in [
        "+0\r\n\r\nX",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;=v\r\nhello\r\n0\r\n\r\n",
        "5;a=\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "1_0\r\nhello world, 16\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhelloXX\r\n0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n",
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5\r\nhello\r\n0\r\n X: y\r\n\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "5\r\nhello\r\n0\r\nHost: b\r\n\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        refused(&proxy, request.as_bytes(), 400);
    }
    assert_eq!(origin.requests(), 0, "{:#?}", origin.seen());
}

#[test]
fn bodies_that_are_right() {
    let (_origin, proxy) = pair();
    for (fields, sent, body) in [
        ("Content-Length: 5", "hello", "hello"),
        ("content-length:\t5 ", "hello", "hello"),
        ("Content-Length: 0", "", ""),
        ("X: y", "", ""),
        ("TRANSFER-ENCODING:\tchunked", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        (
            "Transfer-Encoding: Chunked",
            "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            "hello world",
        ),
        (
            "Transfer-Encoding: chunked",
            "A;ext=value\r\nhelloworld\r\n0\r\n\r\n",
            "helloworld",
        ),
        (
            "Transfer-Encoding: chunked",
            "a ;e = \"v\"\r\nhelloworld\r\n000\r\n\r\n",
            "helloworld",
        ),
        ("Transfer-Encoding: chunked", "0\r\n\r\n", ""),
        (
            "Transfer-Encoding: chunked",
            "5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n",
            "hello",
        ),
        (
            "Transfer-Encoding: chunked",
            "5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n",
            "hello",
        ),
    ] {
        let mut client = proxy.connect();
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{sent}");
        // Two of them: whoever reads a body to its end finds the next request behind it.
        client.send(request.repeat(2));
        for _ in 0..2 {
            let response = client.response();
            assert_eq!(
                (response.status, response.text_body().as_str()),
                (200, body),
                "{request:?}"
            );
        }
    }
}

#[test]
fn bodies_that_do_not_end() {
    let (origin, proxy) = pair();
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let mut client = proxy.connect();
        client.send(request);
        client.finish_sending();
        let said = client.rest();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said:?}");
    }
    assert_eq!(origin.requests(), 0, "no part of a request is a request (RFC 9112 §8)");
}

#[test]
fn connections_are_kept_or_closed_as_asked() {
    let (_origin, proxy) = pair();
    for (request, closes) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", false),
        ("OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", false),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
            false,
        ),
    ] {
        let mut client = proxy.connect();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, 200, "{request:?}");
        let date = response.headers.get("date").unwrap_or_default();
        assert!(date.len() == 29 && date.ends_with(" GMT"), "RFC 9110 §6.6.1: {date:?}");
        if closes {
            client.assert_closed();
        } else {
            assert_eq!(client.get("/").status, 200, "{request:?}");
        }
    }
}

/// Only HTTP/1.1 knows interim responses and upgrades (RFC 9110 §7.8, §15.2).
#[test]
fn what_http_1_0_does_not_have() {
    let origin = Origin::scripted(|connection| {
        while let Some(request) = connection.request()? {
            let upgraded = request.headers.get("upgrade").is_some();
            connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")?;
            connection.send(&Response::text(if upgraded { "asked" } else { "plain" }).to_bytes())?;
        }
        Ok(())
    });
    let proxy = in_front_of(&origin).start();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for request in [
        format!("GET / HTTP/1.0\r\nHost: a\r\n{upgrade}\r\n"),
        "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
    ] {
        let mut client = proxy.connect();
        client.send(request);
        let response = client.response();
        assert_eq!((response.status, response.text_body().as_str()), (200, "plain"));
    }
    // Nor is one asked for that no `Connection` names.
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response_head().status, 103);
    assert_eq!(client.response().text_body(), "plain");
}
