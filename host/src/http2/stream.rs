//! One stream, as an exchange holds it: what is sent on it, and the body that comes.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{DATE, EXPECT, HeaderMap};
use http_body::Frame;

use super::connection::Inner;
use super::entry::{Entry, Fate, Half};
use super::frame::{self, Kind, PAYLOAD, Reason};
use super::head::{ResponseHead, stays_behind};
use super::hpack::encode;
use super::link::{Link, Shared};
use crate::http1::encode::DATE_LENGTH;
use crate::http1::lines;
use crate::server::pace::{Minimum, Pace};
use crate::server::timer::Deadline;

/// A stream's sending side, and its life: dropping it before both messages are complete resets it.
#[derive(Debug)]
pub struct Stream {
    shared: Rc<Shared>,
    id: u32,
}

/// The stream ended before its messages did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Why.
    pub reason: Reason,
    /// Who.
    pub by: By,
}

/// Who reset a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The other end, or a connection that is gone.
    Peer,
    /// This end, for a fault of the other.
    Us,
}

/// Why sending has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The peer gives no window.
    Window,
    /// The connection's buffer is full.
    Buffer,
}

/// Whether more follows what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Yes.
    More,
    /// This was the last of the message.
    End,
}

impl Then {
    fn flag(self) -> u8 {
        match self {
            Self::More => 0,
            Self::End => frame::END_STREAM,
        }
    }
}

/// A response head, besides the fields that come with it.
#[derive(Debug, Clone, Copy)]
pub struct ResponseLine<'a> {
    /// The status.
    pub status: StatusCode,
    /// `Content-Length`, where it is known.
    pub length: Option<u64>,
    /// The current time, for a response without `Date` (RFC 9110 §6.6.1).
    pub date: &'a [u8; DATE_LENGTH],
    /// Fields as [`lines`], sent before the others: with a `Date`, unless there is none, and without any of the connection's.
    pub lines: [&'a [u8]; 2],
}

impl Stream {
    pub(super) fn new(link: &Link, id: u32) -> Self {
        let shared = link.0.clone();
        shared.held.set(shared.held.get() + 1);
        Self { shared, id }
    }

    /// Ready once the stream is reset. The task that asks is the one that is woken by whatever happens on the stream.
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<Reset> {
        let inner = &mut *self.shared.inner.borrow_mut();
        match inner.streams.get_mut(&self.id) {
            Some(entry) => watch(entry, cx),
            None => Poll::Ready(GONE),
        }
    }

    /// The body that the peer sends, and how slowly it may.
    #[must_use]
    pub fn body(&self, length: Option<u64>, minimum: Minimum, headers: &HeaderMap) -> Body {
        let expects = headers.get(EXPECT);
        let expects = expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Body {
            shared: self.shared.clone(),
            id: self.id,
            length,
            minimum,
            pace: Pace::default(),
            deadline: None,
            expectation: if expects {
                Expectation::Continue
            } else {
                Expectation::None
            },
        }
    }

    /// Where interim responses go.
    #[must_use]
    pub fn interim(&self) -> Interim {
        Interim {
            shared: self.shared.clone(),
            id: self.id,
        }
    }

    /// Queues a response head. Fields of the connection in `headers` are replaced by what `line` says.
    pub fn respond(&self, line: &ResponseLine<'_>, headers: &HeaderMap, then: Then) {
        let inner = &mut *self.shared.inner.borrow_mut();
        if inner.may_send(self.id).is_none() {
            return;
        }
        inner.write_block(self.id, then.flag(), |out| {
            encode::status(out, line.status);
            let mut has_date = false;
            for (name, value) in line.lines.into_iter().flat_map(lines::fields) {
                has_date = true;
                encode::bytes(out, name, value);
            }
            for (name, value) in headers {
                if stays_behind(name) {
                    continue;
                }
                has_date |= *name == DATE;
                encode::field(out, name, value);
            }
            if !has_date {
                encode::plain(out, &DATE, line.date);
            }
            if let Some(length) = line.length {
                let mut digits = itoa::Buffer::new();
                encode::plain(out, &http::header::CONTENT_LENGTH, digits.format(length).as_bytes());
            }
        });
        inner.sent(self.id, then);
    }

    /// Queues as much of `data` as windows and buffer take; ready when that was all of it.
    pub fn poll_send(&self, cx: &mut Context<'_>, data: &mut Bytes, then: Then) -> Poll<Result<(), Reset>> {
        let inner = &mut *self.shared.inner.borrow_mut();
        let (full, connection) = (inner.io.is_full(), inner.send_window.room());
        let Some(entry) = inner.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(GONE));
        };
        if let Poll::Ready(reset) = watch(entry, cx) {
            return Poll::Ready(Err(reset));
        }
        if entry.sending == Half::Ended {
            return Poll::Ready(Err(GONE));
        }
        entry.blocked = false;
        if full {
            entry.blocked = true;
            inner.crowded = true;
            return Poll::Pending;
        }
        let mut room = entry.send_window.room().min(connection);
        let mut moved = 0;
        while !data.is_empty() && room > 0 && !inner.io.is_full() {
            let piece = data.split_to(data.len().min(room).min(PAYLOAD));
            let flags = if data.is_empty() { then.flag() } else { 0 };
            frame::head(inner.io.out(), Kind::Data, flags, self.id, piece.len());
            room -= piece.len();
            moved += piece.len();
            inner.io.queue(piece);
        }
        if moved > 0 {
            inner.send_window.take(moved);
            inner.content_sent += moved as u64;
            if let Some(entry) = inner.streams.get_mut(&self.id) {
                entry.send_window.take(moved);
            }
        }
        if data.is_empty() {
            if moved == 0 && then == Then::End {
                frame::head(inner.io.out(), Kind::Data, frame::END_STREAM, self.id, 0);
            }
            inner.sent(self.id, then);
            return Poll::Ready(Ok(()));
        }
        inner.crowded |= inner.io.is_full();
        if let Some(entry) = inner.streams.get_mut(&self.id) {
            entry.blocked = true;
        }
        inner.notify();
        Poll::Pending
    }

    /// Why the last [`Stream::poll_send`] has to wait.
    #[must_use]
    pub fn blocked(&self) -> Blocked {
        let inner = self.shared.inner.borrow();
        let room = inner.streams.get(&self.id).map_or(0, |entry| entry.send_window.room());
        if room.min(inner.send_window.room()) == 0 {
            Blocked::Window
        } else {
            Blocked::Buffer
        }
    }

    /// Queues trailers, which end the message.
    pub fn send_trailers(&self, trailers: &HeaderMap) {
        let inner = &mut *self.shared.inner.borrow_mut();
        if inner.may_send(self.id).is_none() {
            return;
        }
        inner.write_block(self.id, frame::END_STREAM, |out| {
            for (name, value) in trailers {
                if !stays_behind(name) {
                    encode::field(out, name, value);
                }
            }
        });
        inner.sent(self.id, Then::End);
    }

    /// Resets the stream, unless it is over.
    pub fn reset(&self, reason: Reason) {
        let inner = &mut *self.shared.inner.borrow_mut();
        let over = inner.streams.get(&self.id).is_none_or(Entry::is_over);
        if !over {
            inner.reset(self.id, reason);
        }
    }

    /// Bytes of content that the connection has sent, on all its streams.
    #[must_use]
    pub fn connection_sent(&self) -> u64 {
        self.shared.inner.borrow().content_sent
    }

    /// Milliseconds of the worker's timer.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.shared.timer.now()
    }

    /// A deadline of the worker.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.shared.timer.deadline()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.held.set(self.shared.held.get().saturating_sub(1));
        let inner = &mut *self.shared.inner.borrow_mut();
        let Some(entry) = inner.streams.get(&self.id) else {
            return;
        };
        let fate = match (entry.reset, entry.sending, entry.receiving) {
            (Some((_, fate)), _, _) => fate,
            (None, Half::Ended, Half::Ended) => Fate::Complete,
            // The answer is complete, and what is left of the request is not wanted (RFC 9113 §8.1).
            (None, Half::Ended, Half::Open) => {
                inner.reset(self.id, Reason::NO_ERROR);
                Fate::ResetHere
            }
            (None, Half::Open, _) => {
                inner.reset(self.id, Reason::CANCEL);
                Fate::ResetHere
            }
        };
        if let Some(mut entry) = inner.streams.remove(&self.id) {
            let unread = entry.content.clear();
            inner.release(unread);
        }
        inner.remember(self.id, fate);
        // A connection without streams has something to decide.
        if inner.streams.is_empty() {
            inner.notify();
        }
    }
}

const GONE: Reset = Reset {
    reason: Reason::CANCEL,
    by: By::Peer,
};

/// Whether a stream was reset; if not, who to wake.
fn watch(entry: &mut Entry, cx: &mut Context<'_>) -> Poll<Reset> {
    if let Some((reason, fate)) = entry.reset {
        let by = if fate == Fate::ResetHere { By::Us } else { By::Peer };
        return Poll::Ready(Reset { reason, by });
    }
    if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        entry.waker = Some(cx.waker().clone());
    }
    Poll::Pending
}

impl Entry {
    fn is_over(&self) -> bool {
        self.reset.is_some() || (self.sending == Half::Ended && self.receiving == Half::Ended)
    }
}

impl Inner {
    /// The stream, if something may still be sent on it.
    fn may_send(&mut self, id: u32) -> Option<&mut Entry> {
        self.streams
            .get_mut(&id)
            .filter(|entry| entry.reset.is_none() && entry.sending == Half::Open)
    }

    /// Something useful was queued.
    fn sent(&mut self, id: u32, then: Then) {
        self.guard.useful();
        if then == Then::End {
            self.guard.finished();
            if let Some(entry) = self.streams.get_mut(&id) {
                entry.sending = Half::Ended;
            }
        }
        self.notify();
    }
}

/// Where interim responses of a server go (RFC 9113 §8.1).
#[derive(Debug)]
pub struct Interim {
    shared: Rc<Shared>,
    id: u32,
}

impl Interim {
    /// Queues one, unless the stream is over.
    pub fn send(&self, status: StatusCode, headers: &HeaderMap) {
        let inner = &mut *self.shared.inner.borrow_mut();
        if inner.may_send(self.id).is_none() {
            return;
        }
        inner.write_block(self.id, 0, |out| {
            encode::status(out, status);
            for (name, value) in headers {
                if !stays_behind(name) {
                    encode::field(out, name, value);
                }
            }
        });
        inner.notify();
    }
}

/// What the peer sends on a stream, after the head.
#[derive(Debug)]
pub struct Body {
    shared: Rc<Shared>,
    id: u32,
    length: Option<u64>,
    minimum: Minimum,
    pace: Pace,
    deadline: Option<Deadline>,
    expectation: Expectation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expectation {
    None,
    /// The client waits; it is told to go on when its body is first asked for (RFC 9110 §10.1.1).
    Continue,
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// The stream was reset.
    Reset(Reset),
    /// Nothing came for too long, or too little.
    Late,
}

impl Body {
    /// The length that was told.
    #[must_use]
    pub fn told_length(&self) -> Option<u64> {
        self.length
    }

    /// Whether everything has been taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let inner = self.shared.inner.borrow();
        inner.streams.get(&self.id).is_some_and(|entry| {
            entry.reset.is_none()
                && entry.receiving == Half::Ended
                && entry.content.is_empty()
                && entry.trailers.is_none()
        })
    }

    /// The next frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyEnd>>> {
        if let Poll::Ready(frame) = self.poll_ready(cx) {
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.pace.passed(self.shared.timer.now(), bytes as u64);
            }
            if let Some(deadline) = &self.deadline {
                deadline.clear();
            }
            return Poll::Ready(frame);
        }
        let shared = &self.shared;
        let deadline = self.deadline.get_or_insert_with(|| shared.timer.deadline());
        if !deadline.is_set() {
            self.pace.wait(deadline, &self.minimum);
        }
        ready!(deadline.poll_elapsed(cx));
        deadline.clear();
        Poll::Ready(Some(Err(BodyEnd::Late)))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyEnd>>> {
        let inner = &mut *self.shared.inner.borrow_mut();
        let expectation = std::mem::replace(&mut self.expectation, Expectation::None);
        let Some(entry) = inner.streams.get_mut(&self.id) else {
            return Poll::Ready(Some(Err(BodyEnd::Reset(GONE))));
        };
        if let Some(data) = entry.content.pop() {
            if entry.receiving == Half::Open
                && let Some(more) = entry.receive_window.release(data.len())
            {
                frame::window_update(inner.io.out(), self.id, more);
                inner.notify();
            }
            inner.release(data.len());
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Poll::Ready(reset) = watch(entry, cx) {
            return Poll::Ready(Some(Err(BodyEnd::Reset(reset))));
        }
        if let Some(trailers) = entry.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
        }
        if entry.receiving == Half::Ended {
            return Poll::Ready(None);
        }
        if expectation == Expectation::Continue && entry.sending == Half::Open {
            inner.write_block(self.id, 0, |out: &mut BytesMut| {
                encode::status(out, StatusCode::CONTINUE)
            });
            inner.notify();
        }
        Poll::Pending
    }
}

impl Link {
    /// Opens a stream with a request head; none where the server takes no more streams.
    #[must_use]
    pub fn request<'a>(
        &self,
        line: &RequestLine<'_>,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        then: Then,
    ) -> Option<Stream> {
        let inner = &mut *self.0.inner.borrow_mut();
        let id = inner.open()?;
        inner.write_block(id, then.flag(), |out| {
            encode::method(out, line.method);
            encode::scheme(out, line.scheme.as_bytes());
            encode::authority(out, line.authority);
            encode::path(out, line.path);
            if let Some(protocol) = line.protocol {
                encode::literal(out, b":protocol", protocol);
            }
            for (name, value) in fields {
                encode::literal(out, name, value);
            }
        });
        inner.sent(id, then);
        Some(Stream::new(self, id))
    }
}

/// The pseudo-header fields of a request (RFC 9113 §8.3.1).
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'a> {
    /// The method.
    pub method: &'a [u8],
    /// `https` or `http`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a [u8],
    /// Path and query.
    pub path: &'a [u8],
    /// What an extended CONNECT asks for (RFC 8441 §4).
    pub protocol: Option<&'a [u8]>,
}

impl Stream {
    /// The next response head on a stream of a client: interim ones (1xx, but for 100 and 101) before the final one.
    pub fn poll_response(&self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Reset>> {
        let inner = &mut *self.shared.inner.borrow_mut();
        let Some(entry) = inner.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(GONE));
        };
        if let Some(head) = entry.responses.pop_front() {
            return Poll::Ready(Ok(head));
        }
        watch(entry, cx).map(Err)
    }
}
