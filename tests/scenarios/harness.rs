//! The harness itself, without a proxy between its ends: a fault here would look like one of Weir's.

use weir_tests::client::{Client, fetch, get};
use weir_tests::message::{Request, Response, chunk};
use weir_tests::origin::{BlackHole, Origin, refusing};
use weir_tests::sync::Gate;
use weir_tests::websocket;

#[test]
fn client_and_origin_understand_each_other() {
    let origin = Origin::start(|request| Response::text(request.body.clone()).header("X-Target", &request.target));
    let mut client = Client::connect(origin.address());
    for body in ["", "hello"] {
        let response = client.fetch(&Request::post("/a?b", body));
        assert_eq!(
            (response.text_body().as_str(), response.headers.get("x-target")),
            (body, Some("/a?b"))
        );
    }
    assert_eq!(
        client.fetch(&Request::new("HEAD", "/")).headers.get("content-length"),
        Some("0")
    );
    assert_eq!(
        (origin.requests(), origin.connections(), origin.open_connections()),
        (3, 1, 1)
    );
}

#[test]
fn chunks_are_read_strictly() {
    let origin = Origin::raw(
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            chunk(b"a"),
            chunk(b""),
        ]
        .concat(),
    );
    assert_eq!(get(origin.address(), "/").text_body(), "a");
    let cut = Origin::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    let mut client = Client::connect(cut.address());
    client.send(Request::get("/").to_bytes());
    assert!(client.try_response().is_err());
}

#[test]
fn addresses_where_nobody_answers() {
    let timeout = std::time::Duration::from_millis(200);
    assert!(std::net::TcpStream::connect_timeout(&refusing(), timeout).is_err());
    let hole = BlackHole::open();
    let error = std::net::TcpStream::connect_timeout(&hole.address(), timeout).expect_err("a full queue");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn a_gate_holds_and_opens() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Response::new(204)
    });
    let mut client = Client::connect(origin.address());
    client.send(Request::get("/").to_bytes());
    gate.await_waiting(1);
    gate.open();
    assert_eq!(client.response().status, 204);
    assert_eq!(fetch(origin.address(), &Request::get("/")).status, 204);
}

#[test]
fn websockets_echo() {
    let origin = websocket::echo_origin();
    let mut client = websocket::Client::connect(origin.address(), "/");
    assert_eq!(client.exchange("hello"), "hello");
    client.close();
}
