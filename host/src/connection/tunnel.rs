//! Bytes both ways, after a 101 (RFC 9110 §7.8): WebSocket and whatever else the two sides agreed on.

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

/// One direction.
struct Pipe {
    buffer: BytesMut,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    /// The source has ended; what is buffered still has to go.
    Ending,
    /// The sink has been told.
    Ended,
}

/// Carries bytes until both sides have ended, one breaks, or nothing passes for `idle`.
pub async fn run(worker: &Worker, client: (Stream, BytesMut), server: (Stream, BytesMut), idle: Duration) {
    let (mut client, from_client) = client;
    let (mut server, from_server) = server;
    let mut up = Pipe {
        buffer: from_client,
        state: State::Open,
    };
    let mut down = Pipe {
        buffer: from_server,
        state: State::Open,
    };
    let deadline = worker.timer.deadline();
    deadline.set(idle);
    poll_fn(|cx| {
        let mut moved = false;
        let up_done = up.poll(cx, &mut client, &mut server, &mut moved);
        let down_done = down.poll(cx, &mut server, &mut client, &mut moved);
        if moved {
            deadline.set(idle);
        }
        match (up_done, down_done) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(()),
            _ => deadline.poll_elapsed(cx).map(|Elapsed| ()),
        }
    })
    .await;
}

impl Pipe {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Stream,
        sink: &mut Stream,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.buffer.is_empty() {
                let written = ready!(Pin::new(&mut *sink).poll_write(cx, &self.buffer))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.buffer.advance(written);
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

    fn poll_fill(&mut self, cx: &mut Context<'_>, source: &mut Stream, sink: &mut Stream) -> Poll<io::Result<usize>> {
        self.buffer.reserve(BUFFER);
        let mut read_buf = ReadBuf::uninit(self.buffer.spare_capacity_mut());
        match Pin::new(source).poll_read(cx, &mut read_buf) {
            Poll::Ready(Ok(())) => {
                let filled = read_buf.filled().len();
                // SAFETY: `poll_read` initialised `filled` bytes of the spare capacity, as `ReadBuf::filled` vouches.
                unsafe { self.buffer.set_len(self.buffer.len() + filled) };
                Poll::Ready(Ok(filled))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                // Nothing to read: what the sink's TLS layer holds back goes out now.
                let _ = Pin::new(sink).poll_flush(cx)?;
                Poll::Pending
            }
        }
    }
}
