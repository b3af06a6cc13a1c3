//! One buffer each way between a [`Stream`] and the messages in it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
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
pub const COPY_LIMIT: usize = 4 * 1024;
/// With this much queued, the source of a body is not asked for more: back-pressure.
const HIGH_WATER: usize = 128 * 1024;
/// Slices given to one vectored write.
const SLICES: usize = 16;

/// A stream with what was read and not yet taken, and what was queued and not yet written.
#[derive(Debug)]
pub struct Buffered {
    stream: Stream,
    input: BytesMut,
    /// What is written before the queue: the buffer of a head, kept while what is behind it is written.
    lead: BytesMut,
    queue: VecDeque<Piece>,
    /// What is written after the queue.
    tail: BytesMut,
    /// Bytes in the queue.
    queued: usize,
    written: u64,
    needs_flush: bool,
}

/// Something that waits to be written.
#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    File(FilePart),
}

/// Part of a file, sent from the page cache without passing through this process.
#[derive(Debug)]
pub struct FilePart {
    /// The file. What it holds does not change.
    pub file: Arc<File>,
    /// Where the part begins, in bytes.
    pub offset: u64,
    /// How many bytes it has, at most 1 GiB.
    pub length: usize,
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
            lead: BytesMut::new(),
            queue: VecDeque::new(),
            tail: BytesMut::new(),
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
        spare::give_empty([&mut self.lead, &mut self.tail, &mut self.input]);
        if self.queue.capacity() > 0 && self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Queues content behind what is there: copied when small, by reference otherwise.
    pub fn queue(&mut self, data: Bytes) {
        if data.len() <= COPY_LIMIT {
            self.out().extend_from_slice(&data);
        } else {
            self.push(data.len(), Piece::Bytes(data));
        }
    }

    /// Whether parts of files can be queued: only a socket in clear takes them as they are.
    #[must_use]
    pub fn takes_files(&self) -> bool {
        matches!(self.stream, Stream::Plain(_))
    }

    /// Queues part of a file behind what is there.
    pub fn queue_file(&mut self, part: FilePart) {
        self.push(part.length, Piece::File(part));
    }

    fn push(&mut self, length: usize, piece: Piece) {
        if self.queue.is_empty() && self.lead.is_empty() {
            // The usual case, a head and a large body: its buffer is written from where it is, and kept.
            std::mem::swap(&mut self.lead, &mut self.tail);
        } else if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.queued += tail.len();
            self.queue.push_back(Piece::Bytes(tail));
        }
        self.queued += length;
        self.queue.push_back(piece);
    }

    /// Whether enough is queued that no more should be produced before some of it is written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting() >= HIGH_WATER
    }

    /// Bytes written since the stream was wrapped: while it grows, the peer is taking what it is sent.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether anything waits to be written.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.waiting() > 0
    }

    fn waiting(&self) -> usize {
        self.lead.len() + self.queued + self.tail.len()
    }

    /// Writes everything that is queued.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.has_output() {
            let written = if self.queue.is_empty() && self.lead.is_empty() {
                // The common case, a small message in one piece.
                ready!(Pin::new(&mut self.stream).poll_write(cx, &self.tail))?
            } else if let Some(Piece::File(part)) = self.queue.front() {
                if self.lead.is_empty() {
                    ready!(self.stream.poll_send_file(cx, part))?
                } else {
                    ready!(self.stream.poll_send_more(cx, &self.lead))?
                }
            } else {
                ready!(self.poll_write_pieces(cx))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written as u64;
            self.wrote(written);
        }
        if self.needs_flush {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what stands before the next part of a file.
    fn poll_write_pieces(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let bytes = self.queue.iter().map_while(|piece| match piece {
            Piece::Bytes(data) => Some(&data[..]),
            Piece::File(_) => None,
        });
        let all = self.queue.iter().all(|piece| matches!(piece, Piece::Bytes(_)));
        let tail = all.then_some(&self.tail[..]);
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (slice, data) in slices
            .iter_mut()
            .zip([&self.lead[..]].into_iter().chain(bytes).chain(tail))
        {
            *slice = IoSlice::new(data);
            used += 1;
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..used])
    }

    /// Lets go of what was written.
    fn wrote(&mut self, mut written: usize) {
        take(&mut self.lead, &mut written);
        while let Some(front) = self.queue.front_mut().filter(|_| written > 0) {
            let length = match front {
                Piece::Bytes(data) => data.len(),
                Piece::File(part) => part.length,
            };
            let taken = written.min(length);
            written -= taken;
            self.queued -= taken;
            if taken == length {
                self.queue.pop_front();
                continue;
            }
            match front {
                Piece::Bytes(data) => data.advance(taken),
                Piece::File(part) => {
                    part.offset += taken as u64;
                    part.length -= taken;
                }
            }
        }
        take(&mut self.tail, &mut written);
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

/// Takes what was written off a buffer, and keeps its memory.
fn take(buffer: &mut BytesMut, written: &mut usize) {
    let taken = buffer.len().min(*written);
    *written -= taken;
    if taken == buffer.len() {
        buffer.clear();
    } else {
        buffer.advance(taken);
    }
}
