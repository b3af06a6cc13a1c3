//! Plugins that read bodies: nothing moves on before they have decided.

use weir_tests::bundle::Bundle;
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

/// Holds up to 1 KiB in both directions, and refuses the word `evil`.
fn holding() -> (Origin, Proxy) {
    let origin = Origin::start(|request| {
        let body = if request.target == "/evil" {
            b"an evil answer".to_vec()
        } else {
            request.body.clone()
        };
        Response::text(body).header("X-Request-Held", request.headers.get("x-held").unwrap_or("nothing"))
    });
    let proxy = in_front_of(&origin).start();
    let bundle = Bundle::new("holding", "1").guest("hold", "config = { limit = 1024, word = \"evil\" }");
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    (origin, proxy)
}

#[test]
fn a_body_is_seen_whole_and_passed_on() {
    let (origin, proxy) = holding();
    let response = proxy.fetch(&Request::post("/", "harmless"));
    assert_eq!(response.text_body(), "harmless");
    assert_eq!(response.headers.get("x-request-held"), Some("8 Complete"));
    assert_eq!(response.headers.get("x-held"), Some("8 Complete"));
    assert_eq!(origin.only_request().body, b"harmless");
}

#[test]
fn a_refused_body_never_reaches_the_origin() {
    let (origin, proxy) = holding();
    let response = proxy.fetch(&Request::post("/", "something evil"));
    assert_eq!(response.status, 403);
    assert_eq!(
        (origin.requests(), origin.connections()),
        (0, 0),
        "the origin saw a byte"
    );
}

#[test]
fn a_refused_answer_never_reaches_the_client() {
    let (_origin, proxy) = holding();
    let response = proxy.get("/evil");
    assert_eq!(response.status, 403);
    assert!(!response.text_body().contains("evil answer"), "{response:?}");
}

#[test]
fn a_long_body_is_cut_for_the_plugin_and_whole_for_the_origin() {
    let (origin, proxy) = holding();
    let body = vec![b'x'; 300_000];
    let response = proxy.fetch(&Request::post("/", body.clone()));
    assert_eq!(response.headers.get("x-request-held"), Some("1024 Cut"));
    assert_eq!(response.headers.get("x-held"), Some("1024 Cut"));
    assert!(
        response.body == body && origin.only_request().body == body,
        "the body was changed"
    );
}

#[test]
fn a_chunked_body_in_small_pieces() {
    let (origin, proxy) = holding();
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["2\r\nev\r\n", "1\r\ni\r\n", "1\r\nl\r\n", "0\r\n\r\n"] {
        client.send(piece);
    }
    assert_eq!(client.response().status, 403, "a word in pieces is a word");
    assert_eq!(origin.requests(), 0);
}

#[test]
fn a_request_without_a_body_is_decided_at_once() {
    let (_origin, proxy) = holding();
    assert_eq!(proxy.get("/").headers.get("x-request-held"), Some("0 Complete"));
}

#[test]
fn a_client_that_waits_for_100_is_told_to_go_on() {
    let (_origin, proxy) = holding();
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.response_head().status, 100);
    client.send(b"evil");
    assert_eq!(client.response().status, 403);
}

#[test]
fn the_connection_stays_usable_after_a_refusal() {
    let (_origin, proxy) = holding();
    let mut client = proxy.connect();
    assert_eq!(client.fetch(&Request::post("/", "evil")).status, 403);
    assert_eq!(client.fetch(&Request::post("/", "good")).text_body(), "good");
}
