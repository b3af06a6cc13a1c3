//! A whole connection of HTTP/2, fed with bytes: preface, frames, header compression, states of streams and the guards against
//! abuse. Weir is the server, or the client whose requests a server answers. Whatever comes, what Weir writes is frames.
#![no_main]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as Peer;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use weir::config::Http2;
use weir::http1::buffer::Buffered;
use weir::http1::stream::{Socket, Stream as Connection};
use weir::http2::frame::{Frame, HEADER, PAYLOAD, PREFACE};
use weir::http2::head::Bounds;
use weir::http2::link::{Content, Event, Link, Role, Terms};
use weir::http2::stream::{Body, RequestLine, ResponseLine, Stream, Then};
use weir::server::pace::Minimum;
use weir::server::timer::Timer;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
}

/// Polls of a connection that has nothing more to come.
const POLLS: usize = 64;

fuzz_target!(|data: (u8, u16, &[u8])| {
    let (choice, cut, bytes) = data;
    RUNTIME.with(|runtime| runtime.block_on(connection(choice, usize::from(cut), bytes)));
});

async fn connection(choice: u8, cut: usize, bytes: &[u8]) {
    let (ours, mut theirs) = Peer::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).and(theirs.set_nonblocking(true)).expect("sockets that do not block");
    let socket = UnixStream::from_std(ours).expect("a socket of the runtime");
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    // The preface is not worth the time that it takes to find.
    let mut received = BytesMut::new();
    if role == Role::Server && choice & 2 == 0 {
        received.extend_from_slice(PREFACE);
        received.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    }
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    received.extend_from_slice(first);
    let link = Link::new(role, Buffered::new(Connection::Plain(Socket::Unix(socket)), received), terms(), &Timer::new());
    let mut streams = Vec::new();
    if role == Role::Client {
        streams.extend((0..3).filter_map(|_| request(&link)).map(|stream| (stream, None)));
    }
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut pieces = [second].into_iter();
    for _ in 0..POLLS {
        // The runtime learns what the sockets are ready for.
        tokio::task::yield_now().await;
        match link.poll(&mut cx) {
            Poll::Ready(Ok(event)) => streams.extend(act(event, choice)),
            Poll::Ready(Err(ended)) => {
                link.end(ended.reason());
                break;
            }
            Poll::Pending => match pieces.next() {
                Some(piece) => drop(theirs.write(piece)),
                None => break,
            },
        }
        for (stream, body) in &mut streams {
            read(&mut cx, stream, body);
        }
        if streams.len() > 4 {
            drop(streams.remove(0));
        }
    }
    drop(streams);
    link.last_words();
    check(&mut theirs, role);
}

fn terms() -> Terms {
    Terms {
        streams: 4,
        bounds: Bounds { bytes: 1024, lines: 16 },
        http2: Http2 { pings: 8, settings: 8, resets: 8, stream_errors: 8, ..Http2::default() },
    }
}

fn request(link: &Link) -> Option<Stream> {
    let line = RequestLine { method: b"POST", scheme: "http", authority: b"a", path: b"/", protocol: None };
    link.request(&line, std::iter::empty(), Then::More)
}

fn minimum() -> Minimum {
    Minimum::timeout(std::time::Duration::from_secs(1))
}

fn act(event: Event, choice: u8) -> Option<(Stream, Option<Body>)> {
    let (stream, head, content) = match event {
        Event::Request { stream, head, content } => (stream, head, content),
        Event::TooLarge(stream, _) => return Some((stream, None)),
        Event::Malformed(_) => return None,
    };
    assert!(head.headers.values().all(|value| !value.as_bytes().contains(&b'\n')));
    let body = (content == Content::Follows).then(|| stream.body(head.length, minimum(), &head.headers));
    let then = if choice & 4 == 0 { Then::End } else { Then::More };
    if choice & 8 == 0 {
        let line = ResponseLine { status: StatusCode::OK, length: None, lines: [b"", b""], date: &[b'0'; 29] };
        stream.respond(&line, &HeaderMap::new(), then);
    }
    Some((stream, body))
}

fn read(cx: &mut Context<'_>, stream: &Stream, body: &mut Option<Body>) {
    if let Poll::Ready(Ok(head)) = stream.poll_response(cx)
        && !head.status.is_informational()
    {
        *body = Some(stream.body(None, minimum(), &HeaderMap::new()));
    }
    let _ = stream.poll_send(cx, &mut Bytes::from_static(b"content"), Then::More);
    while let Some(Poll::Ready(Some(Ok(_)))) = body.as_mut().map(|body| body.poll_frame(cx)) {}
}

/// What Weir wrote is frames from its first byte to its last, unless the socket was full.
fn check(theirs: &mut Peer, role: Role) {
    let mut written = Vec::new();
    // Up to where it would block.
    let _ = theirs.read_to_end(&mut written);
    let mut rest = match role {
        Role::Client => written.strip_prefix(PREFACE).unwrap_or_default(),
        Role::Server => &written[..],
    };
    while let Some(frame) = Frame::peek(rest) {
        assert!(frame.length <= PAYLOAD);
        let Some(next) = rest.get(HEADER + frame.length..) else { return };
        rest = next;
    }
}
