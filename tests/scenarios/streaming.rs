//! Connections are kept, bodies flow through, and nobody's slowness fills the memory.

use std::io;

use weir_tests::message::{Request, Response, chunk};
use weir_tests::origin::{Connection, Origin};
use weir_tests::proxy::{configure, in_front_of};
use weir_tests::sync::{Gate, eventually};

const MIB: usize = 1024 * 1024;

#[test]
fn connections_are_kept_on_both_sides() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).top("workers = 1").start();
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_upstream_connection_serves_several_clients() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).top("workers = 1").start();
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status, 200);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn the_first_bytes_of_a_response_do_not_wait_for_the_last() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        connection.send(&chunk(b"first"))?;
        held.pass();
        connection.send(&[chunk(b"last"), chunk(b"")].concat())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    assert_eq!(client.response_head().status, 200);
    assert_eq!(client.read_exact(10), b"5\r\nfirst\r\n");
    gate.open();
    assert_eq!(client.read_exact(14), b"4\r\nlast\r\n0\r\n\r\n");
}

#[test]
fn the_first_bytes_of_a_request_do_not_wait_for_the_last() {
    let gate = Gate::new();
    let seen = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request_head()?;
        assert_eq!(connection.read_exact(5)?, b"first");
        seen.open();
        assert_eq!(connection.read_exact(4)?, b"last");
        connection.send(&Response::text("ok").to_bytes())
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfirst");
    gate.pass();
    client.send(b"last");
    assert_eq!(client.response().status, 200);
}

#[test]
fn large_bodies_arrive_whole_in_both_directions() {
    let origin = Origin::start(|request| Response::text(request.body.clone()));
    let proxy = in_front_of(&origin).start();
    let body: Vec<u8> = (0..8 * MIB).map(|at| (at % 251) as u8).collect();
    let response = proxy.fetch(&Request::post("/", body.clone()));
    assert_eq!(response.status, 200);
    assert!(
        response.body == body,
        "{} bytes came back, and not the same",
        response.body.len()
    );
}

#[test]
fn a_client_that_does_not_read_holds_the_origin_back() {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = sent.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 * MIB).as_bytes())?;
        for _ in 0..256 * 16 {
            connection.send(&[b'x'; MIB / 16])?;
            count.fetch_add(MIB / 16, std::sync::atomic::Ordering::SeqCst);
        }
        Ok(())
    });
    let proxy = in_front_of(&origin).start();
    let before = proxy.memory();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    assert_eq!(client.response_head().status, 200);
    let stalled = stalled(|| sent.load(std::sync::atomic::Ordering::SeqCst));
    let grown = proxy.memory().saturating_sub(before);
    assert!(
        stalled < 64 * MIB,
        "the origin could send {stalled} bytes that nobody read"
    );
    assert!(grown < 16 * MIB as u64, "the proxy grew by {grown} bytes");
}

#[test]
fn an_origin_that_does_not_read_holds_the_client_back() {
    let gate = Gate::new();
    let (waiting, head_seen) = (gate.clone(), Gate::new());
    let seen = head_seen.clone();
    let origin = Origin::scripted(move |connection: &mut Connection| -> io::Result<()> {
        connection.request_head()?;
        seen.open();
        waiting.pass();
        Ok(())
    });
    let proxy = in_front_of(&origin).start();
    let before = proxy.memory();
    let mut client = proxy.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        256 * MIB
    ));
    head_seen.pass();
    let socket = client.socket();
    socket.set_nonblocking(true).expect("a non-blocking socket");
    let mut sent = 0;
    let stalled = stalled(|| {
        while let Ok(length) = io::Write::write(&mut &socket, &[b'x'; MIB / 16]) {
            sent += length;
        }
        sent
    });
    let grown = proxy.memory().saturating_sub(before);
    gate.open();
    assert!(
        stalled < 64 * MIB,
        "the client could send {stalled} bytes that nobody read"
    );
    assert!(grown < 16 * MIB as u64, "the proxy grew by {grown} bytes");
}

#[test]
fn a_client_that_leaves_takes_its_upstream_request_along() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            connection.send(&chunk(b"for ever"))?;
        }
    });
    let proxy = in_front_of(&origin).start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    assert_eq!(client.response_head().status, 200);
    assert_eq!(origin.open_connections(), 1);
    drop(client);
    eventually("the end of the upstream connection", || {
        (origin.open_connections() == 0).then_some(())
    });
}

#[test]
fn a_client_that_leaves_while_the_server_is_silent_takes_its_request_along() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.drain();
        Ok(())
    });
    let proxy = in_front_of(&origin)
        .tables("[timeouts]\nclient_fin = \"10ms\"\nresponse = \"1h\"")
        .start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    origin.await_requests(1);
    drop(client);
    eventually("the end of the upstream connection", || {
        (origin.open_connections() == 0).then_some(())
    });
    assert!(proxy.await_access("client_gone").contains(" 499 "));
}

#[test]
fn a_client_that_ends_its_side_is_still_answered() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let origin = Origin::scripted(move |connection| {
        connection.request()?;
        waiting.pass();
        connection.send(&Response::text("at last").to_bytes())
    });
    let proxy = in_front_of(&origin).tables("[timeouts]\nclient_fin = \"1h\"").start();
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    origin.await_requests(1);
    client.finish_sending();
    gate.open();
    assert_eq!(client.response().text_body(), "at last");
}

#[test]
fn an_answer_before_the_end_of_the_request_reaches_the_client() {
    let origin = Origin::scripted(|connection| {
        connection.request_head()?;
        connection.send(&Response::new(403).body("no").to_bytes())?;
        connection.drain();
        Ok(())
    });
    let proxy = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "")
        .start();
    let mut client = proxy.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart");
    assert_eq!(client.response_head().status, 403);
}

/// The value at which a growing number stops: the same in many looks in a row.
fn stalled(mut look: impl FnMut() -> usize) -> usize {
    let (mut last, mut same) = (0, 0);
    eventually("a number that stops growing", || {
        let now = look();
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        (same == 50).then_some(now)
    })
}
