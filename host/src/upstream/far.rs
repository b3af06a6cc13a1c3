//! The far end of a tunnel (RFC 9110 §7.8): a connection of its own, or a stream of one that others share (RFC 8441).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http1::stream::Stream as Connection;
use crate::http2::stream::{Body, BodyEnd, Stream, Then};

/// What is copied at once for a stream, whose content has to be owned.
const PIECE: usize = 16 * 1024;

/// A server's end of a tunnel.
#[derive(Debug)]
pub enum Far {
    /// After a 101.
    Connection(Connection),
    /// After an extended CONNECT.
    Stream(Box<OnStream>),
}

/// Bytes in DATA frames.
#[derive(Debug)]
pub struct OnStream {
    stream: Stream,
    received: Body,
    /// Taken from the stream, and not by the reader.
    unread: Bytes,
    sending: Sending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    Ended,
}

impl OnStream {
    /// A stream whose heads have been exchanged, and what the server sends on it from now on.
    #[must_use]
    pub fn new(stream: Stream, received: Body) -> Self {
        Self {
            stream,
            received,
            unread: Bytes::new(),
            sending: Sending::Open,
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.received.poll_frame(cx)) {
                None => return Poll::Ready(Ok(())),
                // Trailers say nothing in a tunnel.
                Some(Ok(frame)) => self.unread = frame.into_data().unwrap_or_default(),
                Some(Err(BodyEnd::Reset(_))) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Some(Err(BodyEnd::Late)) => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            }
        }
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..length]);
        self.unread.advance(length);
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        let mut data = Bytes::copy_from_slice(piece);
        let sent = self.stream.poll_send(cx, &mut data, Then::More);
        match (sent, piece.len() - data.len()) {
            (Poll::Ready(Err(_)), _) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            (Poll::Pending, 0) => Poll::Pending,
            (_, moved) => Poll::Ready(Ok(moved)),
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sending == Sending::Open {
            let sent = ready!(self.stream.poll_send(cx, &mut Bytes::new(), Then::End));
            sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            self.sending = Sending::Ended;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Far {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Connection(connection) => Pin::new(connection).poll_read(cx, buffer),
            Self::Stream(stream) => stream.poll_fill(cx, buffer),
        }
    }
}

impl AsyncWrite for Far {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Connection(connection) => Pin::new(connection).poll_write(cx, bytes),
            Self::Stream(stream) => stream.poll_send(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Connection(connection) => Pin::new(connection).poll_flush(cx),
            // The connection's driver sends what is queued.
            Self::Stream(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Connection(connection) => Pin::new(connection).poll_shutdown(cx),
            Self::Stream(stream) => stream.poll_end(cx),
        }
    }
}
