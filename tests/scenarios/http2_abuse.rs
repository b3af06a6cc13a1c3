//! Clients that make HTTP/2 cost more than they ask for: each is ended by its own limit, named in the metrics and in the log,
//! while another client is served.

use std::io::Write;
use std::thread;

use weir_tests::frames::{
    Client, GET, POST, block, code, flag, frame, get, headers, kind, rst_stream, settings, window_update,
};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

/// Frames of an attack, by number; it ends with its connection, or after so many.
const MANY: u32 = 100_000;

/// Attacks with what `attack` makes, and asserts how that ends.
fn ends(proxy: &Proxy, word: &str, mut client: Client, attack: impl Fn(u32) -> Vec<u8> + Send + 'static) {
    let mut sender = client.sender();
    let attacker = thread::spawn(move || {
        let last = (0..MANY).find(|&number| sender.write_all(&attack(number)).is_err());
        assert!(last.is_some(), "the proxy took all of it");
    });
    assert_eq!(client.goaway(), code::ENHANCE_YOUR_CALM, "{word}");
    assert!(client.find(|_| false).is_none(), "{word}: the connection is closed");
    drop(client);
    attacker.join().expect("the attacker meets a closed connection");
    is_told(proxy, word);
    assert_eq!(proxy.get("/").status, 200, "another client is served");
}

fn is_told(proxy: &Proxy, word: &str) {
    proxy.await_metric(ABUSE, &[("reason", word)], 1.0);
    proxy.await_log(&format!("\"reason\":\"{word}\""));
}

const ABUSE: &str = "weir_http2_abuse_total";

fn proxy() -> (Origin, Proxy) {
    let origin = Origin::text("hello");
    let proxy = in_front_of(&origin).start();
    (origin, proxy)
}

fn stream(number: u32) -> u32 {
    number * 2 + 1
}

#[test]
fn rapid_reset() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "rapid_reset", client, |number| {
        [get(stream(number)), rst_stream(stream(number), code::CANCEL)].concat()
    });
}

#[test]
fn made_you_reset() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "made_you_reset", client, |number| {
        let request = headers(stream(number), flag::END_HEADERS, &POST);
        [request, window_update(stream(number), 0)].concat()
    });
}

#[test]
fn malformed_requests() {
    let (origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "made_you_reset", client, |number| {
        headers(stream(number), flag::WHOLE, &GET[1..])
    });
    assert_eq!(origin.requests(), 1, "only the other client's");
}

#[test]
fn continuation_flood() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "continuation_flood", client, |number| match number {
        0 => headers(1, flag::END_STREAM, &GET),
        _ => frame(kind::CONTINUATION, flag::NONE, 1, block(&[("a", "b")])),
    });
}

#[test]
fn a_header_bomb_in_large_frames() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    let large = "x".repeat(16_000);
    ends(&proxy, "header_bomb", client, move |number| match number {
        0 => headers(1, flag::END_STREAM, &GET),
        _ => frame(kind::CONTINUATION, flag::NONE, 1, block(&[("a", &large)])),
    });
}

#[test]
fn a_header_bomb_in_a_small_frame() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    // A field of 4,000 bytes goes into the table, and is named ten thousand times.
    let value = vec![b'x'; 3900];
    let mut bomb = block(&GET);
    bomb.extend([0x40, 1, b'a', 0x7f]);
    bomb.extend([(3900 - 127) as u8 & 0x7f | 0x80, ((3900 - 127) >> 7) as u8]);
    bomb.extend(value);
    bomb.extend(vec![0xbe; 10_000]);
    ends(&proxy, "header_bomb", client, move |number| {
        frame(kind::HEADERS, flag::WHOLE, stream(number), &bomb)
    });
}

#[test]
fn ping_flood() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "ping_flood", client, |_| {
        frame(kind::PING, flag::NONE, 0, b"01234567")
    });
}

#[test]
fn settings_flood() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "settings_flood", client, |_| settings(&[]));
}

#[test]
fn window_update_flood() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "window_update_flood", client, |_| window_update(0, 1));
}

#[test]
fn priority_flood() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "priority_flood", client, |number| {
        frame(kind::PRIORITY, flag::NONE, stream(number), [0, 0, 0, 0, 9])
    });
}

#[test]
fn unknown_frames() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "priority_flood", client, |_| frame(0x10, flag::NONE, 0, b"u=1"));
}

#[test]
fn empty_data_flood() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "empty_frame_flood", client, |number| match number {
        0 => headers(1, flag::END_HEADERS, &POST),
        _ => frame(kind::DATA, flag::NONE, 1, []),
    });
}

#[test]
fn padded_data_is_as_empty() {
    let (_origin, proxy) = proxy();
    let client = Client::connect(proxy.address());
    ends(&proxy, "empty_frame_flood", client, |number| match number {
        0 => headers(1, flag::END_HEADERS, &POST),
        _ => frame(kind::DATA, flag::PADDED, 1, [&[20][..], &[0; 20]].concat()),
    });
}

#[test]
fn zero_window() {
    let origin = Origin::text("hello");
    let proxy = in_front_of(&origin).tables("[http2]\nstall = \"300ms\"").start();
    let mut client = Client::connect_with(proxy.address(), &[(4, 0)]);
    for number in 0..50 {
        client.send(get(stream(number)));
    }
    assert_eq!(client.goaway(), code::ENHANCE_YOUR_CALM);
    is_told(&proxy, "zero_window");
    assert_eq!(proxy.get("/").status, 200, "another client is served");
}

#[test]
fn a_stalled_stream_does_not_take_the_others_along() {
    let origin = Origin::start(|request| {
        let body = if request.target == "/large" {
            vec![b'x'; 200_000]
        } else {
            b"hello".to_vec()
        };
        weir_tests::message::Response::text(body)
    });
    let proxy = in_front_of(&origin).tables("[http2]\nstall = \"1s\"").start();
    let mut client = Client::connect(proxy.address());
    client.send(window_update(0, 1_000_000));
    let large = [GET[0], GET[1], (":path", "/large"), GET[3]];
    client.send(headers(1, flag::WHOLE, &large));
    // The first stream stalls with its window full; the others go on until it is reset.
    let mut next = 3;
    let reset = loop {
        client.send(get(next));
        let event =
            client.find(|frame| frame.kind == kind::RST_STREAM || (frame.stream == next && frame.ends_stream()));
        match event.expect("the connection goes on") {
            frame if frame.kind == kind::RST_STREAM => break frame,
            _ => next += 2,
        }
    };
    assert_eq!((reset.stream, reset.code()), (1, code::ENHANCE_YOUR_CALM));
    client.ping();
}

#[test]
fn a_head_that_does_not_end_has_a_timeout() {
    let origin = Origin::text("hello");
    let proxy = in_front_of(&origin).tables("[timeouts]\nheader = \"200ms\"").start();
    for bytes in [
        headers(1, flag::END_STREAM, &GET),
        headers(1, flag::WHOLE, &GET)[..12].to_vec(),
        headers(1, flag::WHOLE, &GET)[..4].to_vec(),
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(bytes);
        assert!(client.find(|_| false).is_none(), "the connection is closed");
    }
    let mut silent = Client::silent(proxy.address());
    silent.send(&weir_tests::frames::PREFACE[..20]);
    assert!(silent.find(|_| false).is_none(), "the connection is closed");
}

#[test]
fn limits_are_the_operators() {
    let origin = Origin::text("hello");
    let proxy = in_front_of(&origin).tables("[http2]\npings = 100_000").start();
    let mut client = Client::connect(proxy.address());
    for _ in 0..1000 {
        client.ping();
    }
    assert_eq!(proxy.metric(ABUSE, &[("reason", "ping_flood")]), 0.0);
}
