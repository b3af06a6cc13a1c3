//! The same for HTTP/2: header blocks, and whole connections of both roles.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as Peer;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::HeaderMap;
use tokio::net::UnixStream;

use super::{ROUNDS, mutants};
use crate::config::Http2;
use crate::http1::buffer::Buffered;
use crate::http1::stream::{Socket, Stream as Connection};
use crate::http2::frame::{self, Frame};
use crate::http2::hpack::decode::{Decoder as HeaderDecoder, Field};
use crate::http2::hpack::encode;
use crate::http2::link::{Content, Event, Link, Role, Terms};
use crate::http2::stream::{Body, RequestLine, ResponseLine, Stream, Then};
use crate::server::pace::Minimum;
use crate::server::timer::Timer;

/// Blocks as browsers write them: Huffman codes, and fields that stay in the table.
const BLOCKS: [&[u8]; 3] = [
    b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\xbe",
    b"\x82\x87\x85\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
    b"\x3f\xe1\x1f\x83\x86\x44\x02/a\x41\x01b\x10\x01c\x01d\0\x0econtent-length\x015",
];

#[test]
fn header_blocks() {
    for (cut, bytes) in mutants(&BLOCKS) {
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        let (mut decoder, mut fields) = (HeaderDecoder::default(), Vec::new());
        for block in [first, second] {
            if decoder.decode(block, |field, _| fields.push(field)).is_err() {
                break;
            }
        }
        let mut block = BytesMut::new();
        let regular = fields.iter().filter_map(|field| match field {
            Field::Regular(name, value) => Some((name, value)),
            Field::Pseudo(..) | Field::Malformed => None,
        });
        let mut regular = regular.inspect(|(name, value)| encode::field(&mut block, name, value));
        let expected: Vec<_> = regular.by_ref().collect();
        drop(regular);
        let mut again = Vec::new();
        let decoded = HeaderDecoder::default().decode(&block, |field, _| again.push(field));
        assert!(decoded.is_ok() && again.len() == expected.len());
        for (field, (name, value)) in again.iter().zip(expected) {
            assert!(
                matches!(field, Field::Regular(n, v) if n == name && v == value),
                "{field:?}"
            );
        }
    }
}

#[test]
fn connections_of_http2() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let seeds = frames();
    for (role, rounds) in [(Role::Server, ROUNDS), (Role::Client, ROUNDS / 2)] {
        for (cut, bytes) in mutants(&seeds).take(rounds) {
            runtime.block_on(converse(role, cut, &bytes));
        }
    }
}

/// What a peer may say after its first SETTINGS: requests with bodies, answers, and everything else that frames can.
fn frames() -> Vec<Vec<u8>> {
    let of = |kind, flags, stream, payload: &[u8]| {
        let mut frame = BytesMut::new();
        frame::head(&mut frame, kind, flags, stream, payload.len());
        frame.extend_from_slice(payload);
        frame.to_vec()
    };
    use frame::Kind;
    let (end, head) = (frame::END_STREAM, frame::END_HEADERS);
    let answer = b"\x88\x5c\x015";
    vec![
        [
            of(Kind::Headers, head | end, 1, BLOCKS[0]),
            of(Kind::Headers, head | end, 3, BLOCKS[1]),
        ]
        .concat(),
        [of(Kind::Headers, head, 1, BLOCKS[2]), of(Kind::Data, end, 1, b"hello")].concat(),
        [
            of(Kind::Headers, 0, 1, &BLOCKS[0][..4]),
            of(Kind::Continuation, head, 1, &BLOCKS[0][4..]),
        ]
        .concat(),
        [
            of(Kind::Headers, head, 1, BLOCKS[0]),
            of(Kind::Data, frame::PADDED, 1, b"\x02hello\0\0"),
        ]
        .concat(),
        [
            of(Kind::Headers, head, 1, answer),
            of(Kind::Data, end, 1, b"hello"),
            of(Kind::Headers, head | end, 3, b"\x89"),
        ]
        .concat(),
        [
            of(Kind::Settings, 0, 0, b"\0\x04\0\0\0\x01\0\x01\0\0\0\0"),
            of(Kind::Ping, 0, 0, &[7; 8]),
        ]
        .concat(),
        [
            of(Kind::WindowUpdate, 0, 0, &[0, 0, 1, 0]),
            of(Kind::WindowUpdate, 0, 1, &[0x7f, 0xff, 0xff, 0xff]),
        ]
        .concat(),
        [
            of(Kind::RstStream, 0, 1, &[0, 0, 0, 8]),
            of(Kind::GoAway, 0, 0, &[0; 8]),
            of(Kind::Priority, 0, 1, &[0; 5]),
        ]
        .concat(),
    ]
}

/// Lets Weir speak HTTP/2 with a peer that says these bytes, and looks at what it writes: frames and nothing else.
async fn converse(role: Role, cut: usize, bytes: &[u8]) {
    let (ours, mut theirs) = Peer::pair().unwrap();
    ours.set_nonblocking(true).and(theirs.set_nonblocking(true)).unwrap();
    let socket = Connection::Plain(Socket::Unix(UnixStream::from_std(ours).unwrap()));
    let mut received = BytesMut::new();
    if role == Role::Server {
        received.extend_from_slice(frame::PREFACE);
    }
    frame::settings(&mut received, 0, &[]);
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    received.extend_from_slice(first);
    let link = Link::new(role, Buffered::new(socket, received), terms(), &Timer::new());
    let mut streams: Vec<(Stream, Option<Body>)> = Vec::new();
    if role == Role::Client {
        streams.extend((0..2).filter_map(|_| ask(&link)).map(|stream| (stream, None)));
    }
    let mut cx = Context::from_waker(Waker::noop());
    let mut rest = Some(second);
    loop {
        // The runtime learns what the sockets are ready for.
        tokio::task::yield_now().await;
        match link.poll(&mut cx) {
            Poll::Ready(Ok(event)) => streams.extend(begin(event)),
            Poll::Ready(Err(ended)) => {
                link.end(ended.reason());
                break;
            }
            Poll::Pending => match rest.take() {
                Some(rest) => drop(theirs.write(rest)),
                None => break,
            },
        }
        for (stream, body) in &mut streams {
            go_on(&mut cx, stream, body);
        }
    }
    drop(streams);
    link.last_words();
    // Up to where it would block; a socket that is closed with unread bytes forgets what it has sent.
    let mut written = Vec::new();
    let _ = theirs.read_to_end(&mut written);
    let mut rest = written.strip_prefix(frame::PREFACE).unwrap_or(&written);
    while let Some(frame) = Frame::peek(rest) {
        assert!(
            frame.length <= frame::PAYLOAD,
            "{frame:?} after {}",
            bytes.escape_ascii()
        );
        rest = rest.get(frame::HEADER + frame.length..).expect("a whole frame");
    }
    assert!(
        rest.is_empty(),
        "{} after {}",
        rest.escape_ascii(),
        bytes.escape_ascii()
    );
}

fn terms() -> Terms {
    Terms {
        streams: 3,
        bounds: crate::http2::head::Bounds { bytes: 512, lines: 8 },
        http2: Http2 {
            pings: 4,
            settings: 4,
            resets: 4,
            stream_errors: 4,
            ..Http2::default()
        },
    }
}

fn minimum() -> Minimum {
    Minimum::timeout(std::time::Duration::from_secs(1))
}

fn ask(link: &Link) -> Option<Stream> {
    let line = RequestLine {
        method: b"POST",
        scheme: "http",
        authority: b"a",
        path: b"/",
        protocol: None,
    };
    link.request(&line, std::iter::empty(), Then::More)
}

fn begin(event: Event) -> Option<(Stream, Option<Body>)> {
    match event {
        Event::Request { stream, head, content } => {
            assert!(head.headers.values().all(|value| !value.as_bytes().contains(&b'\n')));
            let body = (content == Content::Follows).then(|| stream.body(head.length, minimum(), &head.headers));
            let line = ResponseLine {
                status: StatusCode::OK,
                length: None,
                lines: [b"", b""],
                date: &[b'0'; 29],
            };
            stream.respond(&line, &HeaderMap::new(), Then::More);
            Some((stream, body))
        }
        Event::TooLarge(stream, _) => Some((stream, None)),
        Event::Malformed(_) => None,
    }
}

fn go_on(cx: &mut Context<'_>, stream: &Stream, body: &mut Option<Body>) {
    if let Poll::Ready(Ok(head)) = stream.poll_response(cx)
        && !head.status.is_informational()
    {
        *body = Some(stream.body(None, minimum(), &HeaderMap::new()));
    }
    let _ = stream.poll_send(cx, &mut Bytes::from_static(b"content"), Then::More);
    while let Some(Poll::Ready(Some(Ok(_)))) = body.as_mut().map(|body| body.poll_frame(cx)) {}
}
