//! A request over a limit gets the status that the RFC names, and never reaches the origin.

use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

const LIMITS: &str = "[limits]\nheader_bytes = \"4KiB\"\nheaders = 20\ntarget = \"1KiB\"\nbody = \"1KiB\"";

fn limited() -> (Origin, Proxy) {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).tables(LIMITS).start();
    (origin, proxy)
}

#[test]
fn targets() {
    let (origin, proxy) = limited();
    let target = |length: usize| format!("/{}", "a".repeat(length - 1));
    assert_eq!(proxy.get(&target(1024)).status, 200);
    assert_eq!(proxy.get(&target(1025)).status, 414, "RFC 9110 §15.5.15");
    assert_eq!(proxy.get(&target(100_000)).status, 414);
    assert_eq!(origin.requests(), 1);
}

#[test]
fn headers() {
    let (origin, proxy) = limited();
    let lines = |count: usize| {
        (1..count).fold(Request::get("/"), |request, line| {
            request.header(&format!("X-{line}"), "x")
        })
    };
    assert_eq!(proxy.fetch(&lines(20)).status, 200);
    assert_eq!(proxy.fetch(&lines(21)).status, 431, "RFC 6585 §5");
    assert_eq!(
        proxy
            .fetch(&Request::get("/").header("X-Long", &"x".repeat(3000)))
            .status,
        200
    );
    assert_eq!(
        proxy
            .fetch(&Request::get("/").header("X-Long", &"x".repeat(5000)))
            .status,
        431
    );
    assert_eq!(origin.requests(), 2);
}

#[test]
fn bodies_of_known_length() {
    let (origin, proxy) = limited();
    assert_eq!(proxy.fetch(&Request::post("/", vec![b'x'; 1024])).status, 200);
    // Refused by its head: the body need not be sent for that.
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n");
    assert_eq!(client.response().status, 413, "RFC 9110 §15.5.14");
    assert_eq!(origin.requests(), 1);
}

#[test]
fn bodies_of_unknown_length() {
    let (origin, proxy) = limited();
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send([b"800\r\n".to_vec(), vec![b'x'; 2048], b"\r\n0\r\n\r\n".to_vec()].concat());
    assert_eq!(client.response().status, 413);
    assert_eq!(origin.requests(), 0, "the origin saw a whole request");
}

#[test]
fn a_route_has_a_body_limit_of_its_own() {
    let origin = Origin::start(|_| Response::new(204));
    let proxy = weir_tests::proxy::configure()
        .listener("http")
        .route("all", "app", "")
        .route("upload", "app", "path_prefix = \"/upload\"\nmax_body = \"4KiB\"")
        .upstream("app", &[origin.address()], "")
        .tables(LIMITS)
        .start();
    assert_eq!(proxy.fetch(&Request::post("/upload", vec![b'x'; 4096])).status, 204);
    assert_eq!(proxy.fetch(&Request::post("/upload", vec![b'x'; 4097])).status, 413);
    assert_eq!(proxy.fetch(&Request::post("/", vec![b'x'; 4096])).status, 413);
}

#[test]
fn connections() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin)
        .top("workers = 1")
        .tables("[limits]\nconnections = 2")
        .start();
    let mut kept: Vec<_> = (0..2).map(|_| proxy.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.get("/").status, 200);
    }
    let mut third = proxy.connect();
    let _ = third.try_send(Request::get("/").to_bytes());
    let answer = third.rest();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(kept.pop());
    weir_tests::sync::eventually("room for another client", || {
        let mut client = proxy.connect();
        client.try_send(Request::get("/").to_bytes()).ok()?;
        client.try_response().ok().filter(|response| response.status == 200)
    });
}
