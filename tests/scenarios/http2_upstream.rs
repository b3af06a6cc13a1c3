//! HTTP/2 to servers, gRPC through HTTP/2 on both sides, and WebSocket on its streams (RFC 8441).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use weir_tests::frames::{Client, GET, POST, code, flag, frame, get, headers, kind};
use weir_tests::h2_origin::{Http2Origin, Reply, Seen};
use weir_tests::haproxy::Haproxy;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Builder, Proxy, configure, in_front_of};
use weir_tests::sync::eventually;
use weir_tests::tls::Certificate;
use weir_tests::websocket;

/// Weir in front of servers that speak HTTP/2 in clear.
fn in_front_of_http2(origins: &[&Http2Origin], keys: &str) -> Builder {
    let servers: Vec<_> = origins.iter().map(|origin| origin.address()).collect();
    configure()
        .listener("http")
        .route("all", "app", "retries = 2")
        .upstream("app", &servers, &format!("http2 = true\n{keys}"))
}

fn text(body: &str) -> Reply {
    Reply::Response(Response::new(()), Bytes::copy_from_slice(body.as_bytes()), None)
}

#[test]
fn grpc_passes_with_its_trailers() {
    let origin = Http2Origin::start(|seen| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let response = Response::builder().header("content-type", "application/grpc");
        Reply::Response(
            response.body(()).expect("a response"),
            seen.body.clone(),
            Some(trailers),
        )
    });
    let proxy = in_front_of_http2(&[&origin], "").start();
    let mut client = Client::connect(proxy.address());
    let grpc = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "1S"),
    ];
    client.send(headers(1, flag::END_HEADERS, &[&POST[..], &grpc].concat()));
    client.send(frame(kind::DATA, flag::NONE, 1, b"\0\0\0\0\x05hello"));
    client.send(headers(1, flag::WHOLE, &[("x-sum", "5")]));
    let frames = client.response(1);
    let kinds: Vec<_> = frames
        .iter()
        .map(|frame| (frame.kind, frame.flags & flag::END_STREAM))
        .collect();
    assert_eq!(
        kinds,
        [(kind::HEADERS, 0), (kind::DATA, 0), (kind::HEADERS, flag::END_STREAM)]
    );
    assert_eq!(frames[1].payload, b"\0\0\0\0\x05hello");
    assert!(
        frames[2].payload.windows(11).any(|name| name == b"grpc-status"),
        "{frames:?}"
    );
    let seen = origin.seen().pop().expect("a request");
    assert_eq!(
        seen.head.headers.get("te").map(HeaderValue::as_bytes),
        Some(&b"trailers"[..])
    );
    assert_eq!(seen.trailers.get("x-sum").map(HeaderValue::as_bytes), Some(&b"5"[..]));
    assert_eq!(
        seen.head.uri.authority().map(|authority| authority.as_str()),
        Some("weir.test")
    );
    assert!(seen.head.headers.contains_key("x-request-id") && !seen.head.headers.contains_key("connection"));
}

#[test]
fn requests_share_connections() {
    let origin = Http2Origin::start(|seen| text(seen.head.uri.path()));
    let proxy = in_front_of_http2(&[&origin], "").top("workers = 1").start();
    let mut client = Client::connect(proxy.address());
    for number in 0..50 {
        client.send(get(number * 2 + 1));
    }
    let mut ended = 0;
    while ended < 50 {
        let frame = client.frame().expect("a frame");
        assert!(frame.kind != kind::RST_STREAM, "{frame:?}");
        ended += u32::from(frame.ends_stream());
    }
    assert_eq!((origin.connections(), origin.seen().len()), (1, 50));
    // An HTTP/1.1 client shares it as well.
    assert_eq!(proxy.get("/plain").text_body(), "/plain");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn what_a_server_did_not_look_at_is_sent_again() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let origin = Http2Origin::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Reply::Reset(h2::Reason::REFUSED_STREAM),
        _ => text("second"),
    });
    let other = Http2Origin::start(|_| text("second"));
    let proxy = in_front_of_http2(&[&origin, &other], "").top("workers = 1").start();
    // POST is not idempotent, and safe to repeat all the same: REFUSED_STREAM says that nothing was done.
    for _ in 0..2 {
        let response = proxy.fetch(&weir_tests::message::Request::new("POST", "/"));
        assert_eq!((response.status, response.text_body()), (200, "second".into()));
    }
}

#[test]
fn a_server_that_leaves_gets_a_new_connection() {
    let origin = Http2Origin::start(|seen: &Seen| match seen.head.uri.path() {
        "/last" => Reply::LastResponse(Response::new(()), Bytes::from_static(b"bye")),
        _ => text("hello"),
    });
    let proxy = in_front_of_http2(&[&origin], "").top("workers = 1").start();
    for (path, body) in [("/", "hello"), ("/last", "bye"), ("/", "hello"), ("/", "hello")] {
        assert_eq!(proxy.get(path).text_body(), body);
    }
    eventually("a second connection", || {
        proxy.get("/");
        (origin.connections() == 2).then_some(())
    });
}

#[test]
fn through_tls_it_is_negotiated() {
    let certificate = Certificate::new(&["weir.test"]);
    let origin = Http2Origin::tls(&certificate, &["h2"], |_| text("secret"));
    let stubborn = Http2Origin::tls(&certificate, &["http/1.1"], |_| text("never"));
    for (server, status) in [(&origin, 200), (&stubborn, 502)] {
        let builder = in_front_of_http2(&[server], "tls = { server_name = \"weir.test\", roots = \"cert.pem\" }");
        certificate.write(builder.folder());
        assert_eq!(builder.start().get("/").status, status);
    }
}

#[test]
fn bodies_are_whole_or_broken_off() {
    let origin = Http2Origin::start(|seen| {
        let length = if seen.head.uri.path() == "/short" { "10" } else { "5" };
        let response = Response::builder().header("content-length", length).body(());
        Reply::Response(response.expect("a response"), Bytes::from_static(b"hello"), None)
    });
    let proxy = in_front_of_http2(&[&origin], "").start();
    assert_eq!(proxy.get("/").text_body(), "hello");
    let mut client = Client::connect(proxy.address());
    client.send(headers(1, flag::WHOLE, &[GET[0], GET[1], (":path", "/short"), GET[3]]));
    let last = client.response(1).pop().expect("a frame");
    assert_eq!(last.kind, kind::RST_STREAM, "{last:?}");
}

#[test]
fn large_bodies_pass_both_ways() {
    let origin = Http2Origin::start(|seen| Reply::Response(Response::new(()), seen.body.clone(), None));
    let proxy: Proxy = in_front_of_http2(&[&origin], "").start();
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    let request = weir_tests::message::Request::post("/", body.clone());
    let response = proxy.fetch(&request);
    assert!(
        response.body == body,
        "{} with {} bytes",
        response.status,
        response.body.len()
    );
}

/// What asks for WebSocket.
const CONNECT: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":path", "/chat"),
    (":authority", "weir.test"),
    ("sec-websocket-protocol", "chat"),
];

#[test]
fn a_websocket_lives_on_a_stream() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n\r\nREADY")?;
        let said = connection.read_exact(5)?;
        connection.send(&said.to_ascii_uppercase())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = Client::connect(proxy.address());
    client.send(headers(1, flag::END_HEADERS, &CONNECT));
    client.send(frame(kind::DATA, flag::NONE, 1, b"hello"));
    client.send(get(3));
    let frames = client.response(1);
    assert_eq!(weir_tests::frames::status_of(&frames[0].payload), 200, "RFC 8441 §5");
    let said: Vec<u8> = frames[1..].iter().flat_map(|frame| frame.payload.clone()).collect();
    assert_eq!(said, b"READYHELLO");
    let seen = origin.seen();
    let seen = seen
        .iter()
        .find(|request| request.headers.get("upgrade").is_some())
        .expect("an upgrade");
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/chat"));
    assert_eq!(seen.headers.get("upgrade"), Some("websocket"));
    assert_eq!(seen.headers.get("sec-websocket-version"), Some("13"));
    assert_eq!(seen.headers.get("sec-websocket-key").map(str::len), Some(24));
}

#[test]
fn other_protocols_and_refusals_are_told() {
    let origin = Origin::text("no websocket here");
    let proxy = in_front_of(&origin).start();
    let mut client = Client::connect(proxy.address());
    let mut unknown = CONNECT;
    unknown[1].1 = "connect-udp";
    client.send(headers(1, flag::END_HEADERS, &unknown));
    assert_eq!(client.status(1), 501);
    client.send(headers(3, flag::END_HEADERS, &CONNECT));
    assert_eq!(client.status(3), 200, "what the origin answers");
    client.send(headers(5, flag::END_HEADERS, &CONNECT[..4]));
    let reset = client
        .find(|frame| frame.kind == kind::RST_STREAM && frame.stream == 5)
        .expect("a reset");
    assert_eq!(reset.code(), code::PROTOCOL_ERROR, "no :authority (RFC 8441 §4)");
}

#[test]
fn interim_responses_pass_to_clients_that_know_them() {
    let origin = Http2Origin::start(|_| {
        let hints = Response::builder().status(103).header("link", "</a.css>; rel=preload");
        let hints = hints.body(()).expect("a response");
        Reply::Interim(hints, Response::new(()), Bytes::from_static(b"hello"))
    });
    let proxy = in_front_of_http2(&[&origin], "").start();
    let mut client = Client::connect(proxy.address());
    client.send(get(1));
    let frames = client.response(1);
    let heads: Vec<_> = frames.iter().filter(|frame| frame.kind == kind::HEADERS).collect();
    let statuses: Vec<_> = heads
        .iter()
        .map(|head| weir_tests::frames::status_of(&head.payload))
        .collect();
    assert_eq!(statuses, [103, 200]);
    assert!(heads[0].payload.windows(6).any(|value| value == b"</a.cs"), "{heads:?}");
    let mut client = proxy.connect();
    client.send(weir_tests::message::Request::get("/").to_bytes());
    let interim = client.response_head();
    assert_eq!(
        (interim.status, interim.headers.get("link")),
        (103, Some("</a.css>; rel=preload"))
    );
    assert_eq!(client.response().text_body(), "hello");
}

/// HAProxy that takes WebSocket on streams where `options` do not say otherwise, in front of an echo.
fn websocket_behind_haproxy(echo: &Origin, options: &str) -> Haproxy {
    let echo = echo.address();
    Haproxy::start(&format!("{options}\nlisten l\n bind fd@0\n server echo {echo}"))
}

fn echoes_through(haproxy: &Haproxy) -> Proxy {
    let proxy = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[haproxy.address()], "http2 = true")
        .start();
    let long = "x".repeat(300_000);
    let mut client = websocket::Client::connect(proxy.address(), "/chat");
    for text in ["hello", "", &long] {
        assert_eq!(client.exchange(text), text);
    }
    client.close();
    proxy
}

#[test]
fn a_websocket_goes_on_as_an_extended_connect_where_the_server_takes_it() {
    let echo = websocket::echo_origin();
    let haproxy = websocket_behind_haproxy(&echo, "");
    let proxy = echoes_through(&haproxy);
    let connections = proxy.metric("weir_upstream_connections_total", &[]);
    // Another one is a stream on the same connection of its worker.
    let mut clients: Vec<_> = (0..6)
        .map(|_| websocket::Client::connect(proxy.address(), "/"))
        .collect();
    for client in &mut clients {
        assert_eq!(client.exchange("hello"), "hello");
    }
    let more = proxy.metric("weir_upstream_connections_total", &[]) - connections;
    assert!(more <= 1.0, "one for each worker: {more} more");
    // A client on HTTP/2, and one that is refused.
    let mut client = Client::connect(proxy.address());
    client.send(headers(1, flag::END_HEADERS, &CONNECT));
    let head = client.find(|frame| frame.stream == 1).expect("an answer");
    assert_eq!(weir_tests::frames::status_of(&head.payload), 200);
    // "hi", masked with zeros (RFC 6455 §5.3), comes back as it is.
    client.send(frame(kind::DATA, flag::NONE, 1, b"\x81\x82\0\0\0\0hi"));
    let echo = client.find(|frame| frame.kind == kind::DATA).expect("an echo");
    assert_eq!(echo.payload, b"\x81\x02hi");
}

#[test]
fn a_websocket_takes_a_connection_of_http_1_1_where_the_server_takes_no_extended_connect() {
    let echo = websocket::echo_origin();
    let haproxy = websocket_behind_haproxy(&echo, "global\n h2-workaround-bogus-websocket-clients");
    let proxy = echoes_through(&haproxy);
    assert_eq!(proxy.metric("weir_upstream_healthy", &[]), 1.0);
}

#[test]
fn a_server_without_websocket_is_no_sick_server() {
    let origin = Http2Origin::start(|_| text("no websocket here"));
    let proxy = in_front_of_http2(&[&origin], "ejection = { failures = 1 }").start();
    let mut client = proxy.connect();
    client.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(client.response().status, 502);
    let line = proxy.await_access("upstream_no_upgrade");
    assert!(line.contains(" 502 "), "{line}");
    assert_eq!(proxy.metric("weir_upstream_ejections_total", &[]), 0.0);
    assert_eq!(proxy.get("/").text_body(), "no websocket here");
}

#[test]
fn checks_speak_what_the_servers_speak() {
    let certificate = Certificate::new(&["weir.test"]);
    let handler = |seen: &Seen| match seen.head.uri.path() {
        "/health" => Reply::Response(Response::builder().status(204).body(()).unwrap(), Bytes::new(), None),
        _ => text("ok"),
    };
    let clear = Http2Origin::start(handler);
    let secret = Http2Origin::tls(&certificate, &["h2"], handler);
    let builder = configure()
        .listener("http")
        .route("all", "clear", "")
        .upstream("clear", &[clear.address()], "http2 = true")
        .tables("[upstream.health]\npath = \"/health\"\nhost = \"check.test\"\ninterval = \"20ms\"")
        .upstream("secret", &[secret.address()], "http2 = true")
        .tables("[upstream.tls]\nserver_name = \"weir.test\"\nroots = \"cert.pem\"")
        .tables("[upstream.health]\npath = \"/health\"\ninterval = \"20ms\"");
    certificate.write(builder.folder());
    let proxy = builder.start();
    for upstream in ["clear", "secret"] {
        let passed = [("upstream", upstream), ("result", "passed")];
        eventually("checks that passed", || {
            (proxy.metric("weir_upstream_checks_total", &passed) >= 3.0).then_some(())
        });
        let failed = [("upstream", upstream), ("result", "failed")];
        assert_eq!(proxy.metric("weir_upstream_checks_total", &failed), 0.0);
    }
    let seen = clear.seen();
    let uri = &seen[0].head.uri;
    assert_eq!(
        (uri.authority().map(|name| name.as_str()), uri.path()),
        (Some("check.test"), "/health")
    );
}
