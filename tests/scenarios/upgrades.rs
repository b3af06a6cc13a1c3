//! WebSocket and other upgrades pass through.

use std::io::{Read, Write};

use weir_tests::message::Response;
use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;
use weir_tests::websocket;

#[test]
fn a_websocket_echoes() {
    let origin = websocket::echo_origin();
    let proxy = in_front_of(&origin).start();
    let mut client = websocket::Client::connect(proxy.address(), "/chat");
    let long = "x".repeat(300_000);
    for text in ["hello", "", "\u{1f30a}", &long] {
        assert_eq!(client.exchange(text), text);
    }
    client.close();
}

#[test]
fn any_protocol_may_follow_an_upgrade() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        // The first bytes of the new protocol come in the packet of the response.
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nREADY")?;
        let said = connection.read_exact(5)?;
        connection.send(&said.to_ascii_uppercase())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n");
    let head = client.response_head();
    assert_eq!((head.status, head.headers.get("upgrade")), (101, Some("shout")));
    assert_eq!(client.read_exact(5), b"READY");
    client.send(b"hello");
    assert_eq!(client.read_exact(5), b"HELLO");
    client.assert_closed();
}

#[test]
fn an_origin_may_ignore_an_upgrade() {
    let origin = Origin::start(|_| Response::text("plain"));
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n");
        assert_eq!(client.response().text_body(), "plain");
    }
}

#[test]
fn a_silent_tunnel_ends() {
    let origin = websocket::echo_origin();
    let proxy = in_front_of(&origin).tables("[timeouts]\ntunnel = \"200ms\"").start();
    let mut client = websocket::Client::connect(proxy.address(), "/");
    assert_eq!(client.exchange("hello"), "hello");
    client.await_end();
}

#[test]
fn either_end_may_finish_first() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: count\r\n\r\n")?;
        let mut socket = connection.socket();
        let mut all = Vec::new();
        socket.read_to_end(&mut all)?;
        socket.write_all(all.len().to_string().as_bytes())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: count\r\n\r\n");
    assert_eq!(client.response_head().status, 101);
    client.send(b"four");
    client.finish_sending();
    assert_eq!(client.rest(), "4", "a half-closed tunnel still carries the answer");
}
