//! Preface, frames in general, the states of streams, and header compression.

use weir_tests::frames::{
    Client, GET, POST, PREFACE, block, code, flag, frame, get, headers, kind, rst_stream, settings, window_update,
};

use super::End::{Answer, Connection, Nothing, Stream};
use super::{all, judge, play, proxy};

#[test]
fn the_preface_comes_first() {
    let (_origin, proxy) = proxy();
    let start = |bytes: Vec<u8>| {
        let mut client = Client::silent(proxy.address());
        client.send(bytes);
        client
    };
    let wrong = [&PREFACE[..18], b"XX\r\n\r\n"].concat();
    judge(
        "a preface that ends differently (§3.4)",
        &mut start(wrong),
        Connection(code::PROTOCOL_ERROR),
    );
    let without = all(&[PREFACE.to_vec(), get(1)]);
    judge(
        "no SETTINGS after it (§3.4)",
        &mut start(without),
        Connection(code::PROTOCOL_ERROR),
    );
    let acknowledged = all(&[PREFACE.to_vec(), frame(kind::SETTINGS, flag::ACK, 0, [])]);
    judge(
        "an ACK in place of SETTINGS (§3.4)",
        &mut start(acknowledged),
        Connection(code::PROTOCOL_ERROR),
    );
    let mut pieces = Client::silent(proxy.address());
    for byte in PREFACE.iter().chain(&settings(&[])).chain(&get(1)) {
        pieces.send([*byte]);
    }
    judge("byte by byte", &mut pieces, Answer(1, 200));
}

#[test]
fn settings_are_sent_and_confirmed() {
    let (_origin, proxy) = proxy();
    let mut client = Client::silent(proxy.address());
    client.send(PREFACE);
    client.send(settings(&[(3, 100)]));
    let first = client.frame().expect("SETTINGS");
    assert_eq!((first.kind, first.flags, first.stream), (kind::SETTINGS, 0, 0));
    let told: Vec<_> = first.payload.chunks(6).map(|setting| setting[1]).collect();
    for name in [3, 4, 6, 8] {
        assert!(told.contains(&name), "SETTINGS tell {name}: {told:?}");
    }
    let ack = client
        .find(|frame| frame.kind == kind::SETTINGS)
        .expect("the ACK (§6.5.3)");
    assert_eq!((ack.flags, ack.payload.len()), (flag::ACK, 0));
}

#[test]
fn frames_are_held_to_their_format() {
    let (_origin, proxy) = proxy();
    let large = vec![0; 16_385];
    play(
        &proxy,
        vec![
            (
                "an unknown type is ignored (§4.1, §5.5)",
                all(&[frame(0x16, 0xff, 1, b"anything"), get(1)]),
                Answer(1, 200),
            ),
            (
                "an unknown flag is ignored (§4.1)",
                headers(1, flag::WHOLE | 0x52, &GET),
                Answer(1, 200),
            ),
            (
                "the reserved bit is ignored (§4.1)",
                headers(1 | 1 << 31, flag::WHOLE, &GET),
                Answer(1, 200),
            ),
            (
                "DATA over the largest size (§4.2)",
                all(&[
                    headers(1, flag::END_HEADERS, &POST),
                    frame(kind::DATA, flag::END_STREAM, 1, &large),
                ]),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "HEADERS over the largest size (§4.2)",
                frame(kind::HEADERS, flag::WHOLE, 1, &large),
                Connection(code::FRAME_SIZE_ERROR),
            ),
            (
                "DATA of the largest size (§4.2)",
                all(&[
                    headers(1, flag::END_HEADERS, &POST),
                    frame(kind::DATA, flag::END_STREAM, 1, &large[1..]),
                ]),
                Answer(1, 200),
            ),
            (
                "a header block that cannot be decoded (§4.3)",
                frame(kind::HEADERS, flag::WHOLE, 1, [0xff, 0xff, 0xff, 0xff, 0xff]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "PRIORITY inside a header block (§4.3)",
                all(&[
                    headers(1, flag::END_STREAM, &GET),
                    frame(kind::PRIORITY, 0, 1, [0, 0, 0, 3, 1]),
                ]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "HEADERS of another stream inside a header block (§4.3)",
                all(&[headers(1, flag::END_STREAM, &GET), get(3)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "an unknown frame inside a header block (§5.5)",
                all(&[headers(1, flag::END_STREAM, &GET), frame(0x16, 0, 0, [])]),
                Connection(code::PROTOCOL_ERROR),
            ),
        ],
    );
}

#[test]
fn frames_fit_the_state_of_their_stream() {
    let (_origin, proxy) = proxy();
    let data = |stream| frame(kind::DATA, flag::END_STREAM, stream, b"test");
    let opened = headers(1, flag::END_HEADERS, &POST);
    play(
        &proxy,
        vec![
            ("idle: DATA (§5.1)", data(1), Connection(code::PROTOCOL_ERROR)),
            (
                "idle: RST_STREAM (§5.1)",
                rst_stream(1, code::CANCEL),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "idle: WINDOW_UPDATE (§5.1)",
                window_update(1, 100),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "idle: CONTINUATION (§5.1)",
                frame(kind::CONTINUATION, flag::END_HEADERS, 1, block(&GET)),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "idle: PRIORITY is allowed (§5.1)",
                all(&[frame(kind::PRIORITY, 0, 3, [0, 0, 0, 1, 9]), get(1)]),
                Answer(1, 200),
            ),
            (
                "half-closed: DATA (§5.1)",
                all(&[get(1), data(1)]),
                Stream(1, code::STREAM_CLOSED),
            ),
            (
                "half-closed: HEADERS (§5.1)",
                all(&[get(1), get(1)]),
                Stream(1, code::STREAM_CLOSED),
            ),
            (
                "half-closed: CONTINUATION (§5.1)",
                all(&[get(1), frame(kind::CONTINUATION, flag::END_HEADERS, 1, block(&GET))]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "half-closed: WINDOW_UPDATE and PRIORITY are allowed (§5.1)",
                all(&[
                    get(1),
                    window_update(1, 5),
                    frame(kind::PRIORITY, 0, 1, [0, 0, 0, 3, 9]),
                ]),
                Answer(1, 200),
            ),
            (
                "reset: DATA (§5.1)",
                all(&[opened.clone(), rst_stream(1, code::CANCEL), data(1)]),
                Stream(1, code::STREAM_CLOSED),
            ),
            (
                "reset: HEADERS (§5.1)",
                all(&[opened.clone(), rst_stream(1, code::CANCEL), get(1)]),
                Stream(1, code::STREAM_CLOSED),
            ),
            (
                "reset: CONTINUATION (§5.1)",
                all(&[
                    opened.clone(),
                    rst_stream(1, code::CANCEL),
                    frame(kind::CONTINUATION, flag::END_HEADERS, 1, block(&GET)),
                ]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "half-closed: RST_STREAM is allowed (§5.1)",
                all(&[get(1), rst_stream(1, code::CANCEL), get(3)]),
                Answer(3, 200),
            ),
            (
                "reset: WINDOW_UPDATE is ignored (§5.1)",
                all(&[opened, rst_stream(1, code::CANCEL), window_update(1, 5)]),
                Nothing,
            ),
            ("an even stream (§5.1.1)", get(2), Connection(code::PROTOCOL_ERROR)),
            (
                "a stream lower than one before it (§5.1.1)",
                all(&[get(5), get(3)]),
                Connection(code::PROTOCOL_ERROR),
            ),
            (
                "a stream that depends on itself (§5.3.1)",
                frame(
                    kind::HEADERS,
                    flag::WHOLE | flag::PRIORITY,
                    1,
                    [&[0, 0, 0, 1, 9][..], &block(&GET)].concat(),
                ),
                Stream(1, code::PROTOCOL_ERROR),
            ),
            (
                "a priority is read over (§5.3.2)",
                frame(
                    kind::HEADERS,
                    flag::WHOLE | flag::PRIORITY,
                    1,
                    [&[0x80, 0, 0, 3, 9][..], &block(&GET)].concat(),
                ),
                Answer(1, 200),
            ),
        ],
    );
}

#[test]
fn a_closed_stream_stays_closed() {
    let (_origin, proxy) = proxy();
    let closed = |bytes: Vec<u8>, end| {
        let mut client = Client::connect(proxy.address());
        client.send(get(1));
        assert_eq!(client.status(1), 200);
        // The proxy has forgotten the stream once it answers what came after.
        client.ping();
        client.send(bytes);
        judge("a frame on a closed stream (§5.1)", &mut client, end);
    };
    closed(
        frame(kind::DATA, flag::END_STREAM, 1, b"x"),
        Connection(code::STREAM_CLOSED),
    );
    closed(get(1), Connection(code::STREAM_CLOSED));
    closed(
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, block(&GET)),
        Connection(code::PROTOCOL_ERROR),
    );
    closed(window_update(1, 7), Nothing);
    closed(frame(kind::PRIORITY, 0, 1, [0, 0, 0, 3, 9]), Nothing);
    closed(rst_stream(1, code::CANCEL), Nothing);
}

#[test]
fn streams_are_limited() {
    let origin = weir_tests::origin::Origin::silent();
    let proxy = weir_tests::proxy::in_front_of(&origin)
        .tables("[limits]\nstreams = 3")
        .start();
    let mut client = Client::connect(proxy.address());
    client.ping();
    for stream in [1, 3, 5] {
        client.send(headers(stream, flag::END_HEADERS, &POST));
    }
    client.send(get(7));
    judge(
        "a stream over the limit (§5.1.2)",
        &mut client,
        Stream(7, code::REFUSED_STREAM),
    );
    client.send(rst_stream(3, code::CANCEL));
    client.ping();
    client.send(headers(9, flag::END_HEADERS, &POST));
    judge("a stream in place of another", &mut client, Nothing);
}

#[test]
fn header_compression_is_held_to_its_rules() {
    let (_origin, proxy) = proxy();
    let with = |extra: &[u8]| frame(kind::HEADERS, flag::WHOLE, 1, [&block(&GET)[..], extra].concat());
    let first = |extra: &[u8]| frame(kind::HEADERS, flag::WHOLE, 1, [extra, &block(&GET)[..]].concat());
    play(
        &proxy,
        vec![
            (
                "index 0 (RFC 7541 §6.1)",
                with(&[0x80]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "an index beyond the table (RFC 7541 §2.3.3)",
                with(&[0xc6]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "a name beyond the table (RFC 7541 §2.3.3)",
                with(&[0x7f, 0x10, 0]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "a table size after a field (RFC 7541 §4.2)",
                with(&[0x20]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "a table size before all fields (RFC 7541 §4.2)",
                first(&[0x20, 0x3f, 0xe1, 0x1f]),
                Answer(1, 200),
            ),
            (
                "a table larger than the setting (RFC 7541 §6.3)",
                first(&[0x3f, 0xe2, 0x1f]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "padding of eight bits and more (RFC 7541 §5.2)",
                with(&[0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x84, 0x49, 0x50, 0x9f, 0xff]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "padding of zeros (RFC 7541 §5.2)",
                with(&[0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x90]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "EOS in a string (RFC 7541 §5.2)",
                with(&[
                    0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                ]),
                Connection(code::COMPRESSION_ERROR),
            ),
            (
                "a block that ends inside a string",
                with(&[0, 5, b'a']),
                Connection(code::COMPRESSION_ERROR),
            ),
        ],
    );
}

/// Every representation of a field (RFC 7541 §6), one request after another, because each finds what those before it have left.
#[test]
fn header_compression_is_read_in_all_its_forms() {
    let (origin, proxy) = proxy();
    let mut client = Client::connect(proxy.address());
    // Indexed, and the authority into the table with a name of the static table.
    let start = b"\x82\x86\x84\x41\x09weir.test";
    let forms: [(&str, &[u8]); 7] = [
        ("a new name with indexing (§6.2.1)", b"\x40\x04x-it\x03one"),
        ("a name of the table with indexing", b"\x7f\x00\x03two"),
        ("a name of the table without indexing (§6.2.2)", b"\x0f\x30\x05three"),
        ("a new name without indexing", b"\x00\x04x-it\x04four"),
        ("a new name that is never indexed (§6.2.3)", b"\x10\x04x-it\x04five"),
        (
            "a Huffman code (§5.2)",
            b"\x00\x04x-it\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
        ),
        ("two sizes of the table before the first field (§4.2)", b""),
    ];
    let expected = ["one", "two", "three", "four", "five", "www.example.com", ""];
    for (stream, (what, form)) in (1..).step_by(2).zip(forms) {
        let block = if form.is_empty() {
            [&b"\x20\x3f\xe1\x1f"[..], start].concat()
        } else {
            [&start[..], form].concat()
        };
        client.send(frame(kind::HEADERS, flag::WHOLE, stream, block));
        judge(what, &mut client, Answer(stream, 200));
    }
    let seen: Vec<_> = origin
        .seen()
        .iter()
        .map(|request| request.headers.get("x-it").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn the_table_lives_through_refused_requests() {
    let (origin, proxy) = proxy();
    let mut client = Client::connect(proxy.address());
    // Refused for its upper case, but its field is in the table of both ends.
    let bad = [&block(&GET)[..], b"\x40\x06x-kept\x04yes!", b"\x00\x01A\x01b"].concat();
    client.send(frame(kind::HEADERS, flag::WHOLE, 1, bad));
    judge("a malformed request", &mut client, Stream(1, code::PROTOCOL_ERROR));
    client.send(frame(
        kind::HEADERS,
        flag::WHOLE,
        3,
        [&block(&GET)[..], &[0xbe]].concat(),
    ));
    judge("a request that uses the table", &mut client, Answer(3, 200));
    assert_eq!(origin.only_request().headers.get("x-kept"), Some("yes!"));
}

#[test]
fn a_smaller_table_is_answered_by_a_size_update() {
    let (_origin, proxy) = proxy();
    let mut client = Client::connect_with(proxy.address(), &[(1, 0)]);
    client.send(get(1));
    let head = client.find(|frame| frame.kind == kind::HEADERS).expect("a response");
    assert_eq!(head.payload.first(), Some(&0x20), "RFC 7541 §4.2");
}
