//! Every stage has an end, and every end its status.

use weir_tests::client::Client;
use weir_tests::message::Request;
use weir_tests::origin::{BlackHole, Origin, refusing};
use weir_tests::proxy::{Builder, configure, in_front_of};
use weir_tests::tls::Certificate;

fn with(origin: &Origin, timeout: &str) -> Builder {
    in_front_of(origin).tables(&format!("[timeouts]\n{timeout} = \"150ms\""))
}

#[test]
fn a_client_that_says_nothing_is_let_go() {
    let origin = Origin::text("ok");
    let proxy = with(&origin, "header").start();
    // No request, no response: the connection just ends.
    Client::connect(proxy.address()).assert_closed();
}

#[test]
fn a_request_head_that_does_not_end() {
    let origin = Origin::text("ok");
    let proxy = with(&origin, "header").start();
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    assert_eq!(client.response().status, 408, "RFC 9110 §15.5.9");
    client.assert_closed();
    assert_eq!(origin.requests(), 0);
}

#[test]
fn a_request_body_that_does_not_come() {
    let origin = Origin::text("ok");
    let proxy = with(&origin, "body").start();
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(client.response().status, 408);
    client.assert_closed();
    assert_eq!(origin.requests(), 0, "the origin saw a whole request");
}

#[test]
fn an_idle_client_is_let_go() {
    let origin = Origin::text("ok");
    let proxy = with(&origin, "keep_alive").start();
    let mut client = proxy.connect();
    assert_eq!(client.get("/").status, 200);
    client.assert_closed();
}

#[test]
fn a_server_that_refuses() {
    let proxy = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[refusing()], "")
        .start();
    assert_eq!(proxy.get("/").status, 502);
}

#[test]
fn a_server_that_cannot_be_reached() {
    let hole = BlackHole::open();
    let proxy = configure()
        .listener("http")
        .route("all", "app", "retries = 0")
        .upstream("app", &[hole.address()], "")
        .tables("[timeouts]\nconnect = \"150ms\"")
        .start();
    assert_eq!(proxy.get("/").status, 504);
}

#[test]
fn a_server_that_does_not_answer() {
    let origin = Origin::silent();
    let proxy = with(&origin, "response").start();
    assert_eq!(proxy.get("/").status, 504);
}

#[test]
fn a_response_that_does_not_end_is_cut() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")?;
        connection.drain();
        Ok(())
    });
    let proxy = with(&origin, "idle").start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    assert_eq!(client.response_head().status, 200);
    assert_eq!(client.rest(), "hello");
}

#[test]
fn a_tls_handshake_that_does_not_come() {
    let origin = Origin::text("ok");
    let builder = configure()
        .tls_listener("https")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "");
    Certificate::new(&["weir.test"]).write(builder.folder());
    let proxy = builder.tables("[timeouts]\nhandshake = \"150ms\"").start();
    Client::connect(proxy.address()).assert_closed();
}

#[test]
fn a_route_has_timeouts_of_its_own() {
    let origin = Origin::silent();
    let proxy = configure()
        .listener("http")
        .route("all", "app", "timeouts = { response = \"150ms\" }")
        .upstream("app", &[origin.address()], "")
        .start();
    assert_eq!(proxy.get("/").status, 504);
}
