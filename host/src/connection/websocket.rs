//! WebSocket on a stream of HTTP/2 (RFC 8441), as the upgrade of HTTP/1.1 (RFC 6455) that it stands for.
//!
//! An extended CONNECT becomes the GET with `Upgrade` that it stands for, and passes all phases as such. Where the server
//! switches, the client gets a 200, and DATA carries the bytes both ways.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http2::frame::Reason;
use crate::http2::head::RequestHead;
use crate::http2::stream::{Body, ResponseLine, Stream, Then};
use crate::server::worker::Worker;
use crate::upstream::far::Far;

/// What one direction holds at most.
const BUFFER: usize = 16 * 1024;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Translated {
    /// It is no extended CONNECT.
    No,
    /// It asks for WebSocket, and is now a GET that does.
    WebSocket,
    /// It asks for a protocol that Weir does not know.
    Unknown,
}

/// Makes an extended CONNECT into what it stands for (RFC 8441 §5).
pub(super) fn translate(head: &mut RequestHead) -> Translated {
    match head.protocol.take() {
        None => Translated::No,
        Some(protocol) if protocol.eq_ignore_ascii_case(b"websocket") => {
            head.method = Method::GET;
            head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            head.headers
                .entry(SEC_WEBSOCKET_VERSION)
                .or_insert(HeaderValue::from_static("13"));
            head.headers.insert(SEC_WEBSOCKET_KEY, key());
            Translated::WebSocket
        }
        Some(_) => Translated::Unknown,
    }
}

/// Sixteen random bytes in base64 (RFC 6455 §4.1). They keep caches that know nothing of WebSocket from answering, and nobody
/// out.
fn key() -> HeaderValue {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = [0; 16];
    // Without random bytes TLS would not work either; zeros still make a valid key.
    let _ = aws_lc_rs::rand::fill(&mut random);
    let bits = u128::from_be_bytes(random);
    let mut key = [b'='; 24];
    for (at, digit) in key.iter_mut().take(21).enumerate() {
        *digit = ALPHABET[(bits >> (122 - 6 * at) & 63) as usize];
    }
    // The last two bits.
    key[21] = ALPHABET[((bits & 3) << 4) as usize];
    HeaderValue::from_bytes(&key).unwrap_or(HeaderValue::from_static(""))
}

/// Tells the client that the server has switched.
pub(super) fn accept(worker: &Worker, stream: &Stream, headers: &HeaderMap) {
    let mut headers = headers.clone();
    headers.remove(SEC_WEBSOCKET_ACCEPT);
    let line = ResponseLine {
        status: StatusCode::OK,
        length: None,
        date: &worker.timer.date(),
        lines: [b""; 2],
    };
    stream.respond(&line, &headers, Then::More);
}

/// Carries bytes until both sides have ended, one breaks, or nothing passes for `idle`.
pub(super) async fn carry(worker: &Worker, stream: &Stream, sent: Body, server: (Far, BytesMut), idle: Duration) {
    let (socket, received) = server;
    let mut tunnel = Tunnel {
        stream,
        sent,
        socket,
        up: Bytes::new(),
        up_state: State::Open,
        down: received.freeze(),
        down_state: State::Open,
        moved: Moved::Nothing,
    };
    let deadline = worker.timer.deadline();
    deadline.set(idle);
    let whole = poll_fn(|cx| {
        let up = tunnel.poll_up(cx);
        let down = tunnel.poll_down(cx);
        if std::mem::replace(&mut tunnel.moved, Moved::Nothing) == Moved::Something {
            deadline.set(idle);
        }
        match (up, down) {
            (Poll::Ready(Err(Broken)), _) | (_, Poll::Ready(Err(Broken))) => Poll::Ready(Err(Broken)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            _ => deadline.poll_elapsed(cx).map(|_| Err(Broken)),
        }
    })
    .await;
    if whole.is_err() {
        stream.reset(Reason::CONNECT_ERROR);
    }
}

struct Tunnel<'a> {
    stream: &'a Stream,
    sent: Body,
    socket: Far,
    up: Bytes,
    up_state: State,
    down: Bytes,
    down_state: State,
    moved: Moved,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source has ended; the sink has not been told yet.
    Ending,
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    Nothing,
    Something,
}

/// One side is gone.
struct Broken;

impl Tunnel<'_> {
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            while !self.up.is_empty() {
                let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.up)).map_err(|_| Broken)?;
                if written == 0 {
                    return Poll::Ready(Err(Broken));
                }
                self.up.advance(written);
                self.moved = Moved::Something;
            }
            match self.up_state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(Pin::new(&mut self.socket).poll_shutdown(cx)).map_err(|_| Broken)?;
                    self.up_state = State::Ended;
                }
                State::Open => match self.sent.poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => self.up = frame.into_data().unwrap_or_default(),
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Broken)),
                    Poll::Ready(None) => self.up_state = State::Ending,
                    // What TLS holds back goes out now.
                    Poll::Pending => match Pin::new(&mut self.socket).poll_flush(cx) {
                        Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken)),
                        _ => return Poll::Pending,
                    },
                },
            }
        }
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            if !self.down.is_empty() {
                ready!(self.stream.poll_send(cx, &mut self.down, Then::More)).map_err(|_| Broken)?;
                self.moved = Moved::Something;
            }
            match self.down_state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(self.stream.poll_send(cx, &mut self.down, Then::End)).map_err(|_| Broken)?;
                    self.down_state = State::Ended;
                }
                State::Open => {
                    let mut buffer = [MaybeUninit::uninit(); BUFFER];
                    let mut read = ReadBuf::uninit(&mut buffer);
                    match ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read)) {
                        Ok(()) if read.filled().is_empty() => self.down_state = State::Ending,
                        Ok(()) => self.down = Bytes::copy_from_slice(read.filled()),
                        Err(_) => return Poll::Ready(Err(Broken)),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        let key = key();
        let text = key.to_str().unwrap();
        assert!(text.len() == 24 && text.ends_with("=="), "{text}");
        assert!(
            "AQgw".contains(text.as_bytes()[21] as char),
            "the last digit has two bits: {text}"
        );
    }
}
