//! Bytes both ways: after a 101 (RFC 9110 §7.8), which is WebSocket and whatever else the two sides agreed on, and for TCP
//! routes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http1::stream::Stream;
use crate::server::timer::Elapsed;
use crate::server::worker::Worker;

/// What one direction holds at most.
const BUFFER: usize = 16 * 1024;

/// What passed through a tunnel, and how it ended.
#[derive(Debug, Default)]
pub struct Carried {
    /// Bytes from the client to the server.
    pub up: u64,
    /// Bytes from the server to the client.
    pub down: u64,
    /// Why it is over.
    pub end: End,
}

/// Why a tunnel is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// Both sides have ended.
    Closed,
    /// One side broke: a reset, or what is no TLS.
    #[default]
    Broken,
    /// Nothing passed for too long.
    Idle,
}

impl End {
    /// The word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Idle => "idle",
        }
    }
}

/// One direction.
struct Pipe {
    buffer: BytesMut,
    state: State,
    carried: u64,
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    /// The source has ended; what is buffered still has to go.
    Ending,
    /// The sink has been told.
    Ended,
}

/// Carries bytes until both sides have ended, one breaks, or nothing passes for `idle`. A side that has ended still gets what
/// the other one sends.
pub async fn run(
    worker: &Worker,
    client: (Stream, BytesMut),
    server: (impl AsyncRead + AsyncWrite + Unpin, BytesMut),
    idle: Duration,
) -> Carried {
    let (mut client, from_client) = client;
    let (mut server, from_server) = server;
    let mut up = Pipe::new(from_client);
    let mut down = Pipe::new(from_server);
    let deadline = worker.timer.deadline();
    deadline.set(idle);
    let end = poll_fn(|cx| {
        let mut moved = false;
        let up_done = up.poll(cx, &mut client, &mut server, &mut moved);
        let down_done = down.poll(cx, &mut server, &mut client, &mut moved);
        if moved {
            deadline.set(idle);
        }
        match (up_done, down_done) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(End::Broken),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(End::Closed),
            _ => deadline.poll_elapsed(cx).map(|Elapsed| End::Idle),
        }
    })
    .await;
    Carried {
        up: up.carried,
        down: down.carried,
        end,
    }
}

impl Pipe {
    fn new(buffer: BytesMut) -> Self {
        Self {
            buffer,
            state: State::Open,
            carried: 0,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut (impl AsyncWrite + Unpin),
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.buffer.is_empty() {
                let written = ready!(Pin::new(&mut *sink).poll_write(cx, &self.buffer))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.buffer.advance(written);
                self.carried += written as u64;
                *moved = true;
            }
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(Pin::new(&mut *sink).poll_shutdown(cx))?;
                    self.state = State::Ended;
                }
                State::Open => {
                    if ready!(self.poll_fill(cx, source, sink))? == 0 {
                        self.state = State::Ending;
                    }
                }
            }
        }
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.buffer.reserve(BUFFER);
        let mut read_buf = ReadBuf::uninit(self.buffer.spare_capacity_mut());
        match Pin::new(source).poll_read(cx, &mut read_buf) {
            Poll::Ready(Ok(())) => {
                let filled = read_buf.filled().len();
                // SAFETY: `poll_read` initialised `filled` bytes of the spare capacity, as `ReadBuf::filled` vouches.
                unsafe { self.buffer.set_len(self.buffer.len() + filled) };
                Poll::Ready(Ok(filled))
            }
            // TLS without its close_notify: many clients end like this, and what they carry has an end of its own.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                // Thousands of connections that say nothing are not to hold a buffer each.
                self.buffer = BytesMut::new();
                // Nothing to read: what the sink's TLS layer holds back goes out now.
                let _ = Pin::new(sink).poll_flush(cx)?;
                Poll::Pending
            }
        }
    }
}
