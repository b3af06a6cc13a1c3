//! What HTTP/1.1 clients are held to by connection and by body holds for HTTP/2 as well, stream by stream.

use std::io::Read;
use std::thread;
use std::time::Duration;

use weir_tests::frames::{Client, GET, POST, code, flag, frame, get, headers, kind, window_update};
use weir_tests::message::Response;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};
use weir_tests::sync::eventually;

fn limited(tables: &str) -> (Origin, Proxy) {
    let origin = Origin::text("hello");
    let proxy = in_front_of(&origin).tables(tables).start();
    (origin, proxy)
}

/// Reads the GOAWAY that announces the end, and answers the PING behind it as a client does that has understood.
fn is_told_to_leave(client: &mut Client) {
    let announced = client.find(|frame| frame.kind == kind::GOAWAY).expect("GOAWAY");
    assert_eq!(announced.code(), code::NO_ERROR);
    assert_eq!(announced.payload[..4], [0x7f, 0xff, 0xff, 0xff], "RFC 9113 §6.8");
    let ping = client.find(|frame| frame.kind == kind::PING).expect("a round trip");
    client.send(frame(kind::PING, flag::ACK, 0, ping.payload));
}

#[test]
fn a_connection_has_so_many_requests() {
    let (origin, proxy) = limited("[limits]\nrequests_per_connection = 3");
    let mut client = Client::connect(proxy.address());
    for stream in [1, 3] {
        client.send(get(stream));
        assert_eq!(client.status(stream), 200);
    }
    client.send(get(5));
    // Sent before the client knew: answered as well.
    client.send(get(7));
    is_told_to_leave(&mut client);
    let rest: Vec<_> = std::iter::from_fn(|| client.frame()).collect();
    let answered = rest.iter().filter(|frame| frame.ends_stream()).count();
    assert_eq!(answered, 2, "both are answered, and the connection is closed: {rest:?}");
    let last = rest
        .iter()
        .find(|frame| frame.kind == kind::GOAWAY)
        .expect("the last stream");
    assert_eq!((last.code(), &last.payload[..4]), (code::NO_ERROR, &[0, 0, 0, 7][..]));
    assert_eq!(origin.requests(), 4);
}

#[test]
fn a_connection_has_an_end() {
    let (_origin, proxy) = limited("[timeouts]\nlifetime = \"1s\"");
    let mut client = Client::connect(proxy.address());
    let mut streams = (1..).step_by(2);
    eventually("GOAWAY", || {
        client.send(get(streams.next()?));
        let event = client.find(|frame| frame.kind == kind::GOAWAY || frame.ends_stream());
        (event?.kind == kind::GOAWAY).then_some(())
    });
    assert!(client.find(|_| false).is_none(), "the connection is closed");
}

/// One byte in time, again and again, is no reason to wait for ever; the connection's other streams go on.
#[test]
fn a_body_that_trickles() {
    let (origin, proxy) = limited("[timeouts]\nbody = \"500ms\"\n[limits]\nbody_rate = \"1KiB\"");
    let mut client = Client::connect(proxy.address());
    client.send(headers(1, flag::END_HEADERS, &POST));
    eventually("the refusal", || {
        client.send(frame(kind::DATA, flag::NONE, 1, b"x"));
        thread::sleep(Duration::from_millis(20));
        (proxy.metric("weir_refusals_total", &[("reason", "request_timeout")]) > 0.0).then_some(())
    });
    assert_eq!(client.status(1), 408);
    client.send(get(3));
    assert_eq!(client.status(3), 200);
    assert!(
        origin.seen().iter().all(|request| request.method == "GET"),
        "only whole requests"
    );
}

fn large(size: usize) -> Origin {
    Origin::start(move |request| Response::text(vec![b'x'; if request.target == "/" { 5 } else { size }]))
}

const LARGE: [(&str, &str); 4] = [GET[0], GET[1], (":path", "/large"), GET[3]];

/// A window of some bytes now and then holds a stream and a server's answer for nothing.
#[test]
fn a_response_for_which_there_is_little_window() {
    let origin = large(1 << 20);
    let proxy = in_front_of(&origin)
        .tables("[timeouts]\nbody = \"500ms\"\n[limits]\nbody_rate = \"100KiB\"")
        .start();
    let mut client = Client::connect_with(proxy.address(), &[(4, 10)]);
    client.send(headers(1, flag::WHOLE, &LARGE));
    let reset = loop {
        let frame = client.frame().expect("the connection goes on");
        match frame.kind {
            kind::DATA => {
                thread::sleep(Duration::from_millis(10));
                client.send(window_update(1, 10));
            }
            kind::RST_STREAM => break frame,
            _ => {}
        }
    };
    assert_eq!((reset.stream, reset.code()), (1, code::ENHANCE_YOUR_CALM));
    client.send(get(3));
    assert_eq!(client.status(3), 200, "the connection goes on");
}

/// The same by reading from the socket slowly, with as much window as there is.
#[test]
fn a_connection_that_is_read_slowly() {
    const SIZE: usize = 64 << 20;
    let origin = large(SIZE);
    let proxy = in_front_of(&origin)
        .tables("[timeouts]\nbody = \"500ms\"\n[limits]\nbody_rate = \"1MiB\"")
        .start();
    let mut client = Client::connect_with(proxy.address(), &[(4, 1 << 30)]);
    client.send(window_update(0, 1 << 30));
    client.send(headers(1, flag::WHOLE, &LARGE));
    let mut socket = client.sender();
    let (mut taken, mut buffer) = (0, [0; 4096]);
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        taken += length;
        if proxy.metric("weir_requests_active", &[]) > 0.0 {
            thread::sleep(Duration::from_millis(10));
        }
    }
    assert!(taken < SIZE, "all of it was delivered");
    assert_eq!(proxy.get("/large").body.len(), SIZE, "others get it");
}
