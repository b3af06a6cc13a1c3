//! Where a response ends, and what it may carry.

use weir_tests::message::{Request, Response, chunk};
use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;

/// A connection that stays usable is the proof that both sides agreed where the response ended.
fn followed_by_another(origin: &Origin, method: &str) -> Response {
    let proxy = in_front_of(origin).start();
    let mut client = proxy.connect();
    let first = client.fetch(&Request::new(method, "/first"));
    let second = client.fetch(&Request::new(method, "/second"));
    assert_eq!(first.status, second.status);
    first
}

#[test]
fn head_has_the_length_and_not_the_content() {
    let response = followed_by_another(&Origin::text("hello"), "HEAD");
    assert_eq!(response.headers.get("content-length"), Some("5"), "RFC 9110 §9.3.2");
}

#[test]
fn no_content_has_neither() {
    let response = followed_by_another(&Origin::start(|_| Response::new(204)), "GET");
    assert_eq!(response.status, 204);
    assert_eq!(response.headers.get("content-length"), None, "RFC 9110 §8.6");
    assert_eq!(response.headers.get("transfer-encoding"), None, "RFC 9112 §6.1");
}

#[test]
fn not_modified_may_tell_a_length() {
    let origin = Origin::start(|_| Response::new(304).header("Content-Length", "5").header("ETag", "\"a\""));
    let response = followed_by_another(&origin, "GET");
    assert_eq!((response.status, response.headers.get("etag")), (304, Some("\"a\"")));
}

#[test]
fn a_chunked_response() {
    let origin = Origin::start(|_| {
        let body = [b"5;x=y\r\nhello\r\n".to_vec(), chunk(b" world"), chunk(b"")].concat();
        Response::new(200).header("Transfer-Encoding", "chunked").body(body)
    });
    assert_eq!(followed_by_another(&origin, "GET").text_body(), "hello world");
}

#[test]
fn an_empty_response() {
    let response = followed_by_another(&Origin::text(""), "GET");
    assert_eq!(response.headers.get("content-length"), Some("0"));
}

#[test]
fn a_response_that_ends_with_its_connection_is_framed_for_the_client() {
    let origin = Origin::raw("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    assert_eq!(followed_by_another(&origin, "GET").text_body(), "until the end");
}

#[test]
fn a_response_in_http_1_0() {
    let origin = Origin::raw("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(followed_by_another(&origin, "GET").text_body(), "hello");
}

#[test]
fn interim_responses_do_not_count() {
    let origin = Origin::scripted(|connection| {
        while connection.request()?.is_some() {
            connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")?;
            connection.send(&Response::text("final").to_bytes())?;
        }
        Ok(())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    let last = std::iter::repeat_with(|| client.response())
        .find(|response| response.status >= 200)
        .unwrap();
    assert_eq!((last.status, last.text_body().as_str()), (200, "final"));
}

#[test]
fn hop_by_hop_headers_of_the_origin_stay_on_their_hop() {
    let origin = Origin::start(|_| {
        Response::text("x")
            .header("Connection", "X-Mine")
            .header("X-Mine", "1")
            .header("Keep-Alive", "timeout=1")
            .header("Proxy-Connection", "close")
            .header("X-Stays", "caf\u{e9}")
    });
    let response = followed_by_another(&origin, "GET");
    for name in ["x-mine", "keep-alive", "proxy-connection"] {
        assert_eq!(response.headers.get(name), None, "{name} (RFC 9110 §7.6.1)");
    }
    assert_eq!(response.headers.get("x-stays"), Some("caf\u{e9}"));
}

#[test]
fn a_status_that_nobody_knows_is_passed_on() {
    assert_eq!(
        followed_by_another(&Origin::start(|_| Response::new(299)), "GET").status,
        299
    );
}

#[test]
fn a_client_that_wants_to_leave_is_let_go() {
    let origin = Origin::text("bye");
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    let response = client.fetch(&Request::get("/").header("Connection", "close"));
    assert_eq!(
        response
            .headers
            .get("connection")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("close")
    );
    client.assert_closed();
}
