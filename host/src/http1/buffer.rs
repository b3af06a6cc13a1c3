//! One buffer each way between a [`Stream`] and the messages in it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::spare;
use super::stream::Stream;

/// What is read at once while heads are expected; most heads fit.
const HEAD_READ: usize = 8 * 1024;
/// What is read at once inside a body.
const BODY_READ: usize = 64 * 1024;
/// Content up to this is copied behind what is queued already, so that a small message is one buffer and one write.
const COPY_LIMIT: usize = 4 * 1024;
/// With this much queued, the source of a body is not asked for more: back-pressure.
const HIGH_WATER: usize = 128 * 1024;
/// Slices given to one vectored write.
const SLICES: usize = 16;

/// A stream with what was read and not yet taken, and what was queued and not yet written.
#[derive(Debug)]
pub struct Buffered {
    stream: Stream,
    input: BytesMut,
    tail: BytesMut,
    queue: VecDeque<Bytes>,
    queued: usize,
    written: u64,
    needs_flush: bool,
}

/// What a read met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// More bytes are in the input buffer.
    Data,
    /// The peer has sent its last byte.
    End,
}

impl Buffered {
    /// Wraps a stream; `input` holds what was read from it before.
    #[must_use]
    pub fn new(stream: Stream, input: BytesMut) -> Self {
        let needs_flush = !matches!(stream, Stream::Plain(_));
        Self {
            stream,
            input,
            tail: BytesMut::new(),
            queue: VecDeque::new(),
            queued: 0,
            written: 0,
            needs_flush,
        }
    }

    /// Whether the server at the other end was offered HTTP/2 by ALPN and did not take it. In clear there is nothing to refuse.
    #[must_use]
    pub fn refuses_http2(&self) -> bool {
        match &self.stream {
            Stream::TlsClient(stream) => stream.get_ref().1.alpn_protocol() != Some(b"h2"),
            Stream::Plain(_) | Stream::TlsServer(_) => false,
        }
    }

    /// What was read and not yet taken.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Reads some bytes behind those that are there, in the amount that suits a head.
    pub fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Read>> {
        self.poll_read(cx, HEAD_READ)
    }

    /// Reads some bytes behind those that are there, in the amount that suits a body of which `expected` bytes are to come.
    pub fn poll_read_body(&mut self, cx: &mut Context<'_>, expected: u64) -> Poll<io::Result<Read>> {
        let amount = usize::try_from(expected).unwrap_or(BODY_READ).clamp(1024, BODY_READ);
        self.poll_read(cx, amount)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, amount: usize) -> Poll<io::Result<Read>> {
        if self.input.capacity() - self.input.len() < amount / 2 {
            if self.input.capacity() == 0 {
                self.input = spare::take();
            }
            self.input.reserve(amount);
        }
        let mut read_buf = ReadBuf::uninit(self.input.spare_capacity_mut());
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut read_buf) else {
            if self.input.is_empty() {
                spare::give(std::mem::take(&mut self.input));
            }
            return Poll::Pending;
        };
        read?;
        let filled = read_buf.filled().len();
        if filled == 0 {
            return Poll::Ready(Ok(Read::End));
        }
        // SAFETY: `poll_read` initialised `filled` bytes of the spare capacity, as `ReadBuf::filled` vouches.
        unsafe { self.input.set_len(self.input.len() + filled) };
        Poll::Ready(Ok(Read::Data))
    }

    /// The buffer that heads and small pieces are written to; what is put here follows everything queued before.
    pub fn out(&mut self) -> &mut BytesMut {
        if self.tail.capacity() == 0 {
            self.tail = spare::take();
        }
        &mut self.tail
    }

    /// Gives back what is not needed while nothing is under way.
    pub fn rest(&mut self) {
        if self.tail.is_empty() {
            spare::give(std::mem::take(&mut self.tail));
        }
        if self.input.is_empty() {
            spare::give(std::mem::take(&mut self.input));
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Queues content behind what is there: copied when small, by reference otherwise.
    pub fn queue(&mut self, data: Bytes) {
        if data.len() <= COPY_LIMIT {
            self.out().extend_from_slice(&data);
        } else {
            self.seal_tail();
            self.queued += data.len();
            self.queue.push_back(data);
        }
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.queued += tail.len();
            self.queue.push_back(tail);
        }
    }

    /// Whether enough is queued that no more should be produced before some of it is written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queued + self.tail.len() >= HIGH_WATER
    }

    /// Bytes written since the stream was wrapped: while it grows, the peer is taking what it is sent.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether anything waits to be written.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.queued > 0 || !self.tail.is_empty()
    }

    /// Writes everything that is queued.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.queue.is_empty() {
            // The common case, a small message in one piece: written from where it was encoded, and the buffer kept.
            while !self.tail.is_empty() {
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.tail))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.written += written as u64;
                if written == self.tail.len() {
                    self.tail.clear();
                } else {
                    self.tail.advance(written);
                }
            }
        } else {
            self.seal_tail();
            while self.queued > 0 {
                ready!(self.poll_write_queue(cx))?;
            }
        }
        if self.needs_flush {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (slice, data) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(data);
            used += 1;
        }
        let mut written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..used]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.queued -= written;
        self.written += written as u64;
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                break;
            }
            written -= front.len();
            self.queue.pop_front();
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the sending side: TLS close_notify, then FIN.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Makes the coming close a reset: what was sent is not to be taken for all of it.
    pub fn reset_on_close(&mut self) {
        self.stream.reset_on_close();
    }

    /// The stream and what was read from it and not taken.
    #[must_use]
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.input)
    }

    /// Whether the peer has closed or sent something, found out without a system call unless the socket reported an event
    /// since the last read.
    pub fn is_quiet(&mut self) -> bool {
        if !self.input.is_empty() {
            return false;
        }
        let mut context = Context::from_waker(std::task::Waker::noop());
        self.poll_read_head(&mut context).is_pending()
    }
}
