//! Each type of frame and its rules.

use weir_tests::frames::{
    Client, GET, POST, block, code, flag, frame, get, headers, kind, rst_stream, settings, window_update,
};

use super::End::{Answer, Connection, Nothing, Stream};
use super::{all, play, proxy};

#[test]
fn data() {
    let (origin, proxy) = proxy();
    let post = headers(1, flag::END_HEADERS, &POST);
    let sized = |length| {
        headers(
            1,
            flag::END_HEADERS,
            &[&POST[..], &[("content-length", length)]].concat(),
        )
    };
    let ends = flag::END_STREAM;
    play(
        &proxy,
        vec![
            (
                "on the connection (§6.1)",
                frame(kind::DATA, ends, 0, b"x"),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "padded (§6.1)",
                all(&[
                    post.clone(),
                    frame(kind::DATA, ends | flag::PADDED, 1, b"\x03abc\0\0\0"),
                ]),
                Answer(1, 200),
            ),
            (
                "padding as long as the payload (§6.1)",
                all(&[post.clone(), frame(kind::DATA, ends | flag::PADDED, 1, b"\x06abcde")]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "padded and empty (§6.1)",
                all(&[post.clone(), frame(kind::DATA, ends | flag::PADDED, 1, [])]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "in several pieces",
                all(&[
                    post.clone(),
                    frame(kind::DATA, 0, 1, b"ab"),
                    frame(kind::DATA, 0, 1, []),
                    frame(kind::DATA, ends, 1, b"c"),
                ]),
                Answer(1, 200),
            ),
            (
                "less than its length (§8.1.1)",
                all(&[sized("4"), frame(kind::DATA, ends, 1, b"abc")]),
                Stream(1, code::PROTOCOL_ERROR),
            ),
            (
                "more than its length (§8.1.1)",
                all(&[sized("4"), frame(kind::DATA, ends, 1, b"abcde")]),
                Stream(1, code::PROTOCOL_ERROR),
            ),
            (
                "more than its length in pieces (§8.1.1)",
                all(&[
                    sized("4"),
                    frame(kind::DATA, 0, 1, b"abc"),
                    frame(kind::DATA, ends, 1, b"de"),
                ]),
                Stream(1, code::PROTOCOL_ERROR),
            ),
            (
                "of its length",
                all(&[sized("3"), frame(kind::DATA, ends, 1, b"abc")]),
                Answer(1, 200),
            ),
        ],
    );
    let whole = |request: &weir_tests::message::Request| request.body == b"abc";
    assert!(
        origin
            .seen()
            .iter()
            .filter(|request| request.body.len() >= 3)
            .all(whole),
        "padding stays behind"
    );
}

#[test]
fn headers_and_continuation() {
    let (_origin, proxy) = proxy();
    let block = block(&GET);
    let (a, b) = block.split_at(10);
    let start = |flags| frame(kind::HEADERS, flags, 1, a);
    let rest = |stream, flags| frame(kind::CONTINUATION, flags, stream, b);
    play(
        &proxy,
        vec![
            (
                "HEADERS on the connection (§6.2)",
                headers(0, flag::WHOLE, &GET),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "HEADERS with padding (§6.2)",
                frame(
                    kind::HEADERS,
                    flag::WHOLE | flag::PADDED,
                    1,
                    [&[2][..], &block, &[0, 0]].concat(),
                ),
                Answer(1, 200),
            ),
            (
                "padding longer than the payload (§6.2)",
                frame(
                    kind::HEADERS,
                    flag::WHOLE | flag::PADDED,
                    1,
                    [&[0xff][..], &block].concat(),
                ),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "too short for its priority (§6.2)",
                frame(kind::HEADERS, flag::WHOLE | flag::PRIORITY, 1, [0, 0, 0]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "in two frames (§6.10)",
                all(&[start(flag::END_STREAM), rest(1, flag::END_HEADERS)]),
                Answer(1, 200),
            ),
            (
                "in four frames (§6.10)",
                all(&[
                    start(flag::END_STREAM),
                    frame(kind::CONTINUATION, 0, 1, &b[..5]),
                    frame(kind::CONTINUATION, 0, 1, &b[5..6]),
                    frame(kind::CONTINUATION, flag::END_HEADERS, 1, &b[6..]),
                ]),
                Answer(1, 200),
            ),
            (
                "CONTINUATION on another stream (§6.10)",
                all(&[start(flag::END_STREAM), rest(3, flag::END_HEADERS)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "CONTINUATION on the connection (§6.10)",
                all(&[start(flag::END_STREAM), rest(0, flag::END_HEADERS)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "CONTINUATION after END_HEADERS (§6.10)",
                all(&[get(1), rest(1, flag::END_HEADERS)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "CONTINUATION after the last (§6.10)",
                all(&[
                    start(flag::END_STREAM),
                    rest(1, flag::END_HEADERS),
                    rest(1, flag::END_HEADERS),
                ]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "DATA in place of CONTINUATION (§6.10)",
                all(&[start(0), frame(kind::DATA, flag::END_STREAM, 1, b"x")]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "PUSH_PROMISE (§8.4)",
                frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, [0, 0, 0, 2]),
                Connection(code::PROTOCOL_ERROR),
            ),
        ],
    );
}

#[test]
fn priority_and_rst_stream() {
    let (_origin, proxy) = proxy();
    let open = headers(1, flag::END_HEADERS, &POST);
    play(
        &proxy,
        vec![
            (
                "PRIORITY on the connection (§6.3)",
                frame(kind::PRIORITY, 0, 0, [0, 0, 0, 1, 9]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "PRIORITY of four bytes (§6.3)",
                all(&[open.clone(), frame(kind::PRIORITY, 0, 1, [0; 4])]),
                Stream(1, code::FRAME_SIZE_ERROR),
            ),
            (
                "PRIORITY that depends on itself (§5.3.1)",
                all(&[open.clone(), frame(kind::PRIORITY, 0, 1, [0, 0, 0, 1, 9])]),
                Stream(1, code::PROTOCOL_ERROR),
            ),
            (
                "RST_STREAM on the connection (§6.4)",
                rst_stream(0, code::CANCEL),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "RST_STREAM of three bytes (§6.4)",
                all(&[open.clone(), frame(kind::RST_STREAM, 0, 1, [0; 3])]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "RST_STREAM with an unknown code (§7)",
                all(&[open, rst_stream(1, 0xabcd), get(3)]),
                Answer(3, 200),
            ),
        ],
    );
}

#[test]
fn settings_frames() {
    let (_origin, proxy) = proxy();
    play(
        &proxy,
        vec![
            (
                "ACK with a payload (§6.5)",
                frame(kind::SETTINGS, flag::ACK, 0, [0; 6]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "on a stream (§6.5)",
                frame(kind::SETTINGS, 0, 1, []),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "of three bytes (§6.5)",
                frame(kind::SETTINGS, 0, 0, [0; 3]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "ENABLE_PUSH of 2 (§6.5.2)",
                settings(&[(2, 2)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "INITIAL_WINDOW_SIZE over the largest (§6.5.2)",
                settings(&[(4, 1 << 31)]),
                Connection(code::FLOW_CONTROL_ERROR),
            ),
            (
                "MAX_FRAME_SIZE below the smallest (§6.5.2)",
                settings(&[(5, 16_383)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "MAX_FRAME_SIZE over the largest (§6.5.2)",
                settings(&[(5, 1 << 24)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "ENABLE_CONNECT_PROTOCOL of 2 (RFC 8441 §3)",
                settings(&[(8, 2)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "unknown ones are ignored (§6.5.2)",
                all(&[settings(&[(0xff, 7), (2, 0)]), get(1)]),
                Answer(1, 200),
            ),
            (
                "the same one several times (§6.5.3)",
                all(&[settings(&[(4, 0), (4, 100)]), get(1)]),
                Answer(1, 200),
            ),
        ],
    );
}

#[test]
fn ping_and_goaway() {
    let (_origin, proxy) = proxy();
    play(
        &proxy,
        vec![
            ("PING is answered (§6.7)", Vec::new(), Nothing),
            (
                "PING with ACK is not (§6.7)",
                frame(kind::PING, flag::ACK, 0, b"answered"),
                Nothing,
            ),
            (
                "PING on a stream (§6.7)",
                frame(kind::PING, 0, 1, [0; 8]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "PING of six bytes (§6.7)",
                frame(kind::PING, 0, 0, [0; 6]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "GOAWAY on a stream (§6.8)",
                frame(kind::GOAWAY, 0, 1, [0; 8]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "GOAWAY of four bytes (§6.8)",
                frame(kind::GOAWAY, 0, 0, [0; 4]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "GOAWAY of a client leaves its streams alone (§6.8)",
                all(&[get(1), frame(kind::GOAWAY, 0, 0, [0; 8])]),
                Answer(1, 200),
            ),
        ],
    );
}

#[test]
fn windows() {
    let (_origin, proxy) = proxy();
    let open = headers(1, flag::END_HEADERS, &POST);
    const LARGEST: u32 = (1 << 31) - 1;
    play(
        &proxy,
        vec![
            (
                "an increment of 0 on the connection (§6.9)",
                window_update(0, 0),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "an increment of 0 on a stream (§6.9)",
                all(&[open.clone(), window_update(1, 0)]),
                Stream(1, code::PROTOCOL_ERROR),
            ),
            (
                "of three bytes (§6.9)",
                frame(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "over the largest on the connection (§6.9.1)",
                all(&[window_update(0, LARGEST), window_update(0, LARGEST)]),
                Connection(code::FLOW_CONTROL_ERROR),
            ),
            (
                "over the largest on a stream (§6.9.1)",
                all(&[open.clone(), window_update(1, LARGEST), window_update(1, LARGEST)]),
                Stream(1, code::FLOW_CONTROL_ERROR),
            ),
            (
                "over the largest by a setting (§6.9.2)",
                all(&[open, window_update(1, LARGEST - 65_535), settings(&[(4, 65_536)])]),
                Connection(code::FLOW_CONTROL_ERROR),
            ),
        ],
    );
}

#[test]
fn responses_fit_the_window() {
    let (_origin, proxy) = proxy();
    let mut client = Client::connect_with(proxy.address(), &[(4, 1)]);
    client.send(get(1));
    let first = client.find(|frame| frame.kind == kind::DATA).expect("DATA");
    assert_eq!(first.payload, b"h", "§6.9.2: one byte");
    // Below zero, and back (§6.9.2).
    client.send(settings(&[(4, 0)]));
    client.send(window_update(1, 1));
    client.ping();
    client.send(window_update(1, 2));
    let second = client.find(|frame| frame.kind == kind::DATA).expect("DATA");
    assert_eq!(second.payload, b"el");
    client.send(settings(&[(4, 100)]));
    let third = client.find(|frame| frame.kind == kind::DATA).expect("DATA");
    assert_eq!((third.payload.as_slice(), third.flags), (&b"lo"[..], flag::END_STREAM));
}

#[test]
fn requests_may_not_exceed_the_window() {
    let origin = weir_tests::origin::Origin::silent();
    let proxy = weir_tests::proxy::in_front_of(&origin)
        .tables("[http2]\nstream_window = \"64KiB\"\nconnection_window = \"128KiB\"")
        .start();
    let piece = |stream| frame(kind::DATA, 0, stream, [0; 16_384]);
    let mut client = Client::connect(proxy.address());
    // Stream 1 cannot be read by anybody: its request waits for a server that takes no more than its buffers hold.
    client.send(headers(1, flag::END_HEADERS, &POST));
    let mut sender = client.sender();
    let flood = std::thread::spawn(move || {
        let piece = piece(1);
        while std::io::Write::write_all(&mut sender, &piece).is_ok() {}
    });
    let last = client.find(|frame| matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY));
    assert_eq!(last.expect("an end").code(), code::FLOW_CONTROL_ERROR, "§6.9.1");
    drop(client);
    drop(proxy);
    flood.join().expect("the sender ends with its connection");
}
