//! Requests that are answered with an error, after which the connection is closed: nobody can say where the next one starts.

use weir_tests::client::Client;
use weir_tests::message::Request;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

/// What is wrong, the bytes, and the status that says so.
struct Case(&'static str, &'static [u8], u16);

#[test]
fn ambiguous_lengths() {
    refuse(&[
        Case(
            "Content-Length and Transfer-Encoding (RFC 9112 §6.1)",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        Case(
            "Transfer-Encoding and Content-Length, the other way round",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            400,
        ),
        Case(
            "two different lengths (RFC 9112 §6.3)",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            400,
        ),
        Case(
            "a list of different lengths",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello",
            400,
        ),
        Case(
            "a signed length",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
            400,
        ),
        Case(
            "a negative length",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            400,
        ),
        Case(
            "a hexadecimal length",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
            400,
        ),
        Case(
            "an empty length",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
            400,
        ),
        Case(
            "a length beyond 64 bits",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n1",
            400,
        ),
        Case(
            "a coding in HTTP/1.0 (RFC 9112 §6.1)",
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        Case(
            "chunked that is not the last coding (RFC 9112 §6.3)",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            400,
        ),
        Case(
            "chunked twice (RFC 9112 §7.1)",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        Case(
            "a coding that only looks like chunked",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        Case(
            "a coding behind a vertical tab",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        Case(
            "a coding name followed by a blank",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ]);
}

#[test]
fn chunks_that_are_none() {
    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = [
        ("a size that is no number", "g\r\nhello\r\n0\r\n\r\n"),
        ("a signed size", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        ("a prefixed size", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a blank before the size", " 5\r\nhello\r\n0\r\n\r\n"),
        ("a blank after the size", "5 \r\nhello\r\n0\r\n\r\n"),
        ("no size at all", "\r\nhello\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a size line that ends in a bare LF", "5\nhello\r\n0\r\n\r\n"),
        ("an extension with a bare LF", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("more content than the size says", "5\r\nhello world\r\n0\r\n\r\n"),
        ("content that does not end in CRLF", "5\r\nhello0\r\n\r\n"),
        ("a trailer without a colon", "5\r\nhello\r\n0\r\ntrailer\r\n\r\n"),
    ];
    let (origin, proxy) = pair();
    for (name, body) in bodies {
        assert_refused(&proxy, name, format!("{HEAD}{body}").as_bytes(), 400);
        assert_eq!(origin.requests(), 0, "{name}: the origin saw a whole request");
    }
}

#[test]
fn header_lines() {
    refuse(&[
        Case(
            "obsolete folding (RFC 9112 §5.2)",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Fold: a\r\n b\r\n\r\n",
            400,
        ),
        Case(
            "a blank before the colon (RFC 9112 §5.1)",
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            400,
        ),
        Case(
            "a blank before the first header",
            b"GET / HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n",
            400,
        ),
        Case(
            "a line without a colon",
            b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
            400,
        ),
        Case("an empty name", b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        Case(
            "a name that is no token",
            b"GET / HTTP/1.1\r\nHost: a\r\nX(Y): b\r\n\r\n",
            400,
        ),
        Case(
            "a name beyond ASCII",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-\xc3\xa9: b\r\n\r\n",
            400,
        ),
        Case(
            "NUL in a value (RFC 9110 §5.5)",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
            400,
        ),
        Case(
            "a bare CR in a value",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
            400,
        ),
        Case(
            "a bare LF after a header",
            b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            400,
        ),
        Case("a head that ends in a bare LF", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ]);
}

/// Where such a request ends is clear, so that its connection may live on.
#[test]
fn hosts() {
    let cases = [
        Case(
            "a target and a Host that name two hosts",
            b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
            400,
        ),
        Case("no Host in HTTP/1.1 (RFC 9112 §3.2)", b"GET / HTTP/1.1\r\n\r\n", 400),
        Case("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        Case(
            "the same Host twice",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            400,
        ),
        Case("a list of hosts", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        Case("a blank in the host", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        Case("a path in the host", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        Case(
            "user information in the host",
            b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
            400,
        ),
        Case("a port that is none", b"GET / HTTP/1.1\r\nHost: a:port\r\n\r\n", 400),
        Case(
            "bytes beyond ASCII in the host",
            b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
            400,
        ),
    ];
    let (origin, proxy) = pair();
    for Case(name, bytes, status) in cases {
        let mut client = proxy.connect();
        client.send(bytes);
        assert_eq!(client.response().status, status, "{name}");
    }
    assert_eq!(origin.requests(), 0);
}

#[test]
fn request_lines() {
    refuse(&[
        Case("no version", b"GET /\r\nHost: a\r\n\r\n", 400),
        Case(
            "a version that Weir does not speak",
            b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
            505,
        ),
        Case("a version in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        Case("another protocol", b"GET / ICY/1.1\r\nHost: a\r\n\r\n", 400),
        Case("a method that is no token", b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Case(
            "two blanks before the target",
            b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        Case(
            "two blanks before the version",
            b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        Case("a tab instead of a blank", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Case("a target with a blank", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Case("a target without a slash", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Case(
            "a target with a control byte",
            b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        Case(
            "TLS on a port in clear",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            400,
        ),
    ]);
}

/// The only expectation of HTTP is `100-continue` (RFC 9110 §10.1.1), and HTTP/1.0 has none.
#[test]
fn expectations_that_nobody_can_meet() {
    let (origin, proxy) = pair();
    for value in [
        "200-ok",
        "100-continue, 200-ok",
        "100-continued",
        "100-continue\r\nExpect: 200-ok",
    ] {
        let mut client = proxy.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nExpect: {value}\r\n\r\n"));
        assert_eq!(client.response().status, 417, "{value}");
    }
    assert_eq!(origin.requests(), 0);
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\nExpect: 200-ok\r\n\r\n");
    assert_eq!(client.response().status, 200, "HTTP/1.0 ignores it");
    assert_eq!(origin.only_request().headers.get("expect"), None);
}

/// The bytes behind a refused request are not read as the next one: that is what smuggling is.
#[test]
fn nothing_behind_a_refused_request_is_answered() {
    let (origin, proxy) = pair();
    let mut client = proxy.connect();
    client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.response().status, 400);
    client.assert_closed();
    assert_eq!(
        origin.requests(),
        0,
        "a smuggled request reached the origin: {:?}",
        origin.seen()
    );
}

/// What was answered before stays answered: only the refused request ends the connection.
#[test]
fn a_request_before_the_refused_one_is_answered() {
    let (_origin, proxy) = pair();
    let mut client = proxy.connect();
    client.send(b"GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\nHost : a\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 400);
    client.assert_closed();
}

fn refuse(cases: &[Case]) {
    let (origin, proxy) = pair();
    for Case(name, bytes, status) in cases {
        assert_refused(&proxy, name, bytes, *status);
    }
    assert_eq!(
        origin.seen(),
        Vec::<Request>::new(),
        "a refused request reached the origin"
    );
}

fn assert_refused(proxy: &Proxy, name: &str, bytes: &[u8], status: u16) {
    let mut client = Client::connect(proxy.address());
    client.send(bytes);
    let response = client
        .try_response()
        .unwrap_or_else(|error| panic!("{name}: no response ({error})"));
    assert_eq!(response.status, status, "{name}");
    assert_eq!(client.rest(), "", "{name}: the connection was expected to close");
}

fn pair() -> (Origin, Proxy) {
    let origin = Origin::text("unreachable");
    let proxy = in_front_of(&origin).start();
    (origin, proxy)
}
