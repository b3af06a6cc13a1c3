//! Requests: what is malformed is reset with PROTOCOL_ERROR, and never reaches the origin.

use weir_tests::frames::{GET, POST, block, block_of_bytes, code, flag, frame, get, headers, kind};

use super::End::{Answer, Stream};
use super::{Case, all, play, proxy};

/// Resets stream 1 with PROTOCOL_ERROR.
const MALFORMED: super::End = Stream(1, code::PROTOCOL_ERROR);

fn with(extra: &[(&str, &str)]) -> Vec<u8> {
    headers(1, flag::WHOLE, &[&GET[..], extra].concat())
}

/// A GET with this pseudo-header changed.
fn changed(name: &str, value: &str) -> Vec<u8> {
    let fields: Vec<_> = GET
        .iter()
        .map(|&(own, old)| (own, if own == name { value } else { old }))
        .collect();
    headers(1, flag::WHOLE, &fields)
}

fn without(name: &str) -> Vec<u8> {
    let fields: Vec<_> = GET.iter().copied().filter(|(own, _)| *own != name).collect();
    headers(1, flag::WHOLE, &fields)
}

#[test]
fn malformed_requests_stay_outside() {
    let (origin, proxy) = proxy();
    let late = [GET[0], GET[1], GET[3], ("a", "b"), GET[2]];
    let mut cases: Vec<Case> = vec![
        ("a name in upper case (§8.2.1)", with(&[("X-Upper", "a")]), MALFORMED),
        ("an unknown pseudo-header (§8.3)", with(&[(":test", "ok")]), MALFORMED),
        (
            "a pseudo-header of responses (§8.3)",
            with(&[(":status", "200")]),
            MALFORMED,
        ),
        (
            "a pseudo-header after a field (§8.3)",
            headers(1, flag::WHOLE, &late),
            MALFORMED,
        ),
        (":method twice (§8.3)", with(&[(":method", "GET")]), MALFORMED),
        (":path twice (§8.3)", with(&[(":path", "/")]), MALFORMED),
        (":scheme twice (§8.3)", with(&[(":scheme", "http")]), MALFORMED),
        (
            ":authority twice (§8.3)",
            with(&[(":authority", "weir.test")]),
            MALFORMED,
        ),
        ("no :method (§8.3.1)", without(":method"), MALFORMED),
        ("no :scheme (§8.3.1)", without(":scheme"), MALFORMED),
        ("no :path (§8.3.1)", without(":path"), MALFORMED),
        ("an empty :path (§8.3.1)", changed(":path", ""), MALFORMED),
        ("a :path without a slash (§8.3.1)", changed(":path", "x"), MALFORMED),
        (
            "a :path of another form",
            changed(":path", "http://weir.test/"),
            MALFORMED,
        ),
        ("an asterisk in a GET", changed(":path", "*"), MALFORMED),
        ("a fragment", changed(":path", "/a#b"), MALFORMED),
        ("a space in :path", changed(":path", "/ HTTP/1.1\r\nx: y"), MALFORMED),
        (
            "a space in :method",
            changed(":method", "GET / HTTP/1.1\r\n"),
            MALFORMED,
        ),
        ("an empty :method", changed(":method", ""), MALFORMED),
        ("a scheme that nobody serves", changed(":scheme", "ftp"), MALFORMED),
        ("a line break in :scheme", changed(":scheme", "http\r\nx: y"), MALFORMED),
        (
            "a user in :authority (§8.3.1)",
            changed(":authority", "me@weir.test"),
            MALFORMED,
        ),
        (
            "a line break in :authority",
            changed(":authority", "weir.test\r\nx: y"),
            MALFORMED,
        ),
        ("an empty :authority", changed(":authority", ""), MALFORMED),
        ("Connection (§8.2.2)", with(&[("connection", "keep-alive")]), MALFORMED),
        ("Keep-Alive (§8.2.2)", with(&[("keep-alive", "timeout=5")]), MALFORMED),
        (
            "Proxy-Connection (§8.2.2)",
            with(&[("proxy-connection", "keep-alive")]),
            MALFORMED,
        ),
        (
            "Transfer-Encoding (§8.2.2)",
            with(&[("transfer-encoding", "chunked")]),
            MALFORMED,
        ),
        ("Upgrade (§8.2.2)", with(&[("upgrade", "h2c")]), MALFORMED),
        (
            "TE with anything but trailers (§8.2.2)",
            with(&[("te", "trailers, deflate")]),
            MALFORMED,
        ),
        (
            "a length and no body (§8.1.1)",
            with(&[("content-length", "5")]),
            MALFORMED,
        ),
        (
            "two lengths",
            with(&[("content-length", "0"), ("content-length", "0")]),
            MALFORMED,
        ),
        ("a signed length", with(&[("content-length", "+0")]), MALFORMED),
        ("a list of lengths", with(&[("content-length", "0, 0")]), MALFORMED),
        (
            "a value with a space in front (§8.2.1)",
            with(&[("a", " b")]),
            MALFORMED,
        ),
        ("a value with a tab behind (§8.2.1)", with(&[("a", "b\t")]), MALFORMED),
        ("an empty name", with(&[("", "b")]), MALFORMED),
        (
            ":protocol without CONNECT (RFC 8441 §4)",
            with(&[(":protocol", "websocket")]),
            MALFORMED,
        ),
        ("CONNECT with a path (§8.5)", changed(":method", "CONNECT"), MALFORMED),
        (
            "CONNECT without an authority (§8.5)",
            headers(1, flag::WHOLE, &[(":method", "CONNECT")]),
            MALFORMED,
        ),
    ];
    // What HTTP/1.1 would read as something else (§8.2.1, §10.3).
    for byte in [0_u8, b'\r', b'\n', 0x01, 0x1f, 0x7f] {
        let value = [b'a', byte, b'b'];
        let fields = [(&b"x-value"[..], &value[..])];
        let block = [block(&GET), block_of_bytes(&fields)].concat();
        cases.push((
            "a control byte in a value",
            frame(kind::HEADERS, flag::WHOLE, 1, block),
            MALFORMED,
        ));
    }
    for byte in [
        0_u8, b' ', b'\t', b'\r', b'\n', b':', b'A', 0x7f, 0x80, 0xff, b'(', b'/', b'"',
    ] {
        let name = [b'a', byte, b'b'];
        let fields = [(&name[..], &b"v"[..])];
        let block = [block(&GET), block_of_bytes(&fields)].concat();
        cases.push((
            "a byte that no name has",
            frame(kind::HEADERS, flag::WHOLE, 1, block),
            MALFORMED,
        ));
    }
    play(&proxy, cases);
    assert_eq!(origin.requests(), 0, "{:#?}", origin.seen());
}

#[test]
fn requests_for_nobody_are_answered_with_400() {
    let (origin, proxy) = proxy();
    play(
        &proxy,
        vec![
            ("no host at all", without(":authority"), Answer(1, 400)),
            (
                "Host that differs from :authority (§8.3.1)",
                with(&[("host", "other.test")]),
                Answer(1, 400),
            ),
            (
                "Host twice",
                with(&[("host", "weir.test"), ("host", "weir.test")]),
                Answer(1, 400),
            ),
            (
                "a :authority that is none",
                changed(":authority", "a,b"),
                Answer(1, 400),
            ),
            (
                "CONNECT",
                headers(
                    1,
                    flag::WHOLE,
                    &[(":method", "CONNECT"), (":authority", "weir.test:443")],
                ),
                Answer(1, 501),
            ),
        ],
    );
    assert_eq!(origin.requests(), 0, "{:#?}", origin.seen());
}

#[test]
fn odd_requests_are_right() {
    let (origin, proxy) = proxy();
    let host = [GET[0], GET[1], GET[2], ("host", "weir.test")];
    play(
        &proxy,
        vec![
            ("TE: trailers (§8.2.2)", with(&[("te", "trailers")]), Answer(1, 200)),
            (
                "Host in place of :authority (§8.3.1)",
                headers(1, flag::WHOLE, &host),
                Answer(1, 200),
            ),
            ("Host beside :authority", with(&[("host", "weir.test")]), Answer(1, 200)),
            ("https in clear", changed(":scheme", "https"), Answer(1, 200)),
            (
                "an asterisk",
                headers(
                    1,
                    flag::WHOLE,
                    &[(":method", "OPTIONS"), GET[1], (":path", "*"), GET[3]],
                ),
                Answer(1, 200),
            ),
            (
                "a length of 0 and no body",
                with(&[("content-length", "0")]),
                Answer(1, 200),
            ),
            ("an empty value", with(&[("a", "")]), Answer(1, 200)),
            (
                "two cookies (§8.2.3)",
                with(&[("cookie", "a=1"), ("cookie", "b=2")]),
                Answer(1, 200),
            ),
        ],
    );
    let cookies = origin
        .seen()
        .last()
        .map(|request| request.headers.all("cookie").join("|"));
    assert_eq!(cookies.as_deref(), Some("a=1; b=2"), "one field in HTTP/1.1 (§8.2.3)");
}

#[test]
fn trailers() {
    let (origin, proxy) = proxy();
    let post = headers(1, flag::END_HEADERS, &POST);
    let data = |flags| frame(kind::DATA, flags, 1, b"abc");
    let trailers = |fields: &[(&str, &str)]| headers(1, flag::WHOLE, fields);
    play(
        &proxy,
        vec![
            (
                "trailers (§8.1)",
                all(&[post.clone(), data(0), trailers(&[("x-sum", "9")])]),
                Answer(1, 200),
            ),
            (
                "trailers without END_STREAM (§8.1)",
                all(&[post.clone(), data(0), headers(1, flag::END_HEADERS, &[("x-sum", "9")])]),
                MALFORMED,
            ),
            (
                "a pseudo-header in trailers (§8.1)",
                all(&[post.clone(), data(0), trailers(&[(":path", "/x")])]),
                MALFORMED,
            ),
            (
                "a length in trailers",
                all(&[post.clone(), data(0), trailers(&[("content-length", "9")])]),
                MALFORMED,
            ),
            (
                "a coding in trailers",
                all(&[post.clone(), data(0), trailers(&[("transfer-encoding", "chunked")])]),
                MALFORMED,
            ),
            (
                "upper case in trailers",
                all(&[post, data(0), trailers(&[("X-Sum", "9")])]),
                MALFORMED,
            ),
            (
                "a length that trailers cut short (§8.1.1)",
                all(&[
                    headers(1, flag::END_HEADERS, &[&POST[..], &[("content-length", "4")]].concat()),
                    data(0),
                    trailers(&[("a", "b")]),
                ]),
                MALFORMED,
            ),
        ],
    );
    let whole: Vec<_> = origin
        .seen()
        .into_iter()
        .filter(|request| request.body == b"abc")
        .collect();
    assert_eq!(
        whole.len(),
        1,
        "only the whole request is whole at the origin: {whole:#?}"
    );
}

#[test]
fn limits_have_their_statuses() {
    let origin = weir_tests::origin::Origin::text("hello");
    let proxy = weir_tests::proxy::in_front_of(&origin)
        .tables("[limits]\nheader_bytes = \"8KiB\"\nheaders = 20\ntarget = \"1KiB\"\nbody = \"1KiB\"")
        .start();
    let long = "x".repeat(9000);
    let many: Vec<_> = (0..30).map(|_| ("a", "b")).collect();
    let target = format!("/{}", "a".repeat(2000));
    play(
        &proxy,
        vec![
            ("a list over the limit (§10.5.1)", with(&[("a", &long)]), Answer(1, 431)),
            ("too many fields", with(&many), Answer(1, 431)),
            ("a long target", changed(":path", &target), Answer(1, 414)),
            (
                "a long body that says so",
                headers(
                    1,
                    flag::END_HEADERS,
                    &[&POST[..], &[("content-length", "2000")]].concat(),
                ),
                Answer(1, 413),
            ),
            (
                "an expectation that nobody knows",
                with(&[("expect", "the best")]),
                Answer(1, 417),
            ),
            ("another one goes on", get(1), Answer(1, 200)),
        ],
    );
}
