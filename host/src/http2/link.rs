//! One connection: its settings, its windows, its streams, and who is to be woken when something changes.
//!
//! A [`Link`] is shared by the task that drives the connection and by the tasks of its streams, all on one thread. Streams write
//! into the connection's buffer and wake the driver, which comes after them and sends what they wrote in one go.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::frame::{self, INITIAL_WINDOW, Kind, PAYLOAD, Reason};
use super::guard::{Abuse, Guard};
use super::head::{Bounds, RequestHead, ResponseHead};
use super::hpack::decode::Decoder;
use super::hpack::encode;
use super::stream::Stream;
use super::window::{ReceiveWindow, SendWindow};
use crate::config::Http2;
use crate::http1::buffer::{Buffered, Read};
use crate::http1::head::Malformed;
use crate::server::timer::Timer;

/// Read at once.
const READ: u64 = 32 * 1024;
/// Reads in a row before the streams get their turn.
const TURNS: usize = 4;
/// Streams that are remembered after their end, to tell late frames from wrong ones.
const REMEMBERED: usize = 128;

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Requests come in.
    Server,
    /// Requests go out.
    Client,
}

/// What this end holds its peer to.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Streams that the peer may have open.
    pub streams: u32,
    /// Bounds on lists of fields.
    pub bounds: Bounds,
    /// Windows, and limits on what costs more than it asks for.
    pub http2: Http2,
}

/// What the driver of a server's connection has to act on.
#[derive(Debug)]
pub enum Event {
    /// A request; its body follows unless `ended`.
    Request {
        /// The stream.
        stream: Stream,
        /// The head.
        head: Box<RequestHead>,
        /// Whether that was all.
        content: Content,
    },
    /// A request that is answered by an error.
    TooLarge(Stream, Malformed),
    /// A request that was answered with RST_STREAM already.
    Malformed(Malformed),
}

/// Whether something follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The head was all.
    None,
    /// A body, if perhaps an empty one.
    Follows,
}

/// Why a connection ends.
#[derive(Debug)]
pub enum Ended {
    /// The peer has closed it.
    Closed,
    /// It broke.
    Io(io::Error),
    /// The peer broke the protocol.
    Error(Reason, &'static str),
    /// The peer did too much of something.
    Abuse(Abuse),
}

impl Ended {
    /// What the peer is told.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Closed | Self::Io(_) => Reason::NO_ERROR,
            Self::Error(reason, _) => *reason,
            Self::Abuse(_) => Reason::ENHANCE_YOUR_CALM,
        }
    }
}

impl From<Abuse> for Ended {
    fn from(abuse: Abuse) -> Self {
        Self::Abuse(abuse)
    }
}

/// A connection, shared.
#[derive(Debug, Clone)]
pub struct Link(pub(super) Rc<Shared>);

/// The connection and what can be looked at without borrowing it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inner: RefCell<Inner>,
    pub(super) timer: Timer,
    /// Streams whose handles exist.
    pub(super) held: Cell<usize>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) role: Role,
    pub(super) io: Buffered,
    pub(super) phase: Phase,
    pub(super) decoder: Decoder,
    pub(super) block: Option<Block>,
    pub(super) streams: HashMap<u32, Entry, ahash::RandomState>,
    pub(super) remembered: VecDeque<(u32, Fate)>,
    /// The highest stream that the peer has opened.
    pub(super) highest: u32,
    /// The next stream that this end opens.
    pub(super) next: u32,
    pub(super) terms: Terms,
    pub(super) peer: PeerSettings,
    /// Whether the peer has confirmed our settings.
    pub(super) acknowledged: bool,
    pub(super) send_window: SendWindow,
    pub(super) receive_window: ReceiveWindow,
    pub(super) guard: Guard,
    pub(super) leaving: Leaving,
    /// The last stream that the peer will look at, once it has said so.
    pub(super) peer_leaves: Option<u32>,
    /// Bytes of content that were sent: while they grow, somebody takes them.
    pub(super) content_sent: u64,
    driver: Option<Waker>,
    /// Who waits for the peer's settings.
    pub(super) curious: Vec<Waker>,
    /// Somebody waits for room in the buffer.
    pub(super) crowded: bool,
    /// The peer has made its table smaller, and is to be told that nobody uses it.
    no_table: bool,
    /// What a stream has found.
    verdict: Option<Abuse>,
}

/// What is expected first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Preface,
    Settings,
    Open,
}

/// Whether this end still takes streams (RFC 9113 §6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    /// The peer knows that the end is near, and is given a round trip to stop.
    Announced,
    /// Streams over this one are refused.
    After(u32),
}

/// A header block in several frames.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    pub(super) flags: u8,
    pub(super) fragments: BytesMut,
    pub(super) frames: u32,
    pub(super) depends_on_itself: bool,
}

/// What the peer said in its settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerSettings {
    pub(super) window: u32,
    pub(super) payload: usize,
    pub(super) streams: u32,
    pub(super) table: u32,
    pub(super) connect_protocol: bool,
    /// Whether the first of them have come: until then nobody knows.
    pub(super) told: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            window: INITIAL_WINDOW,
            payload: PAYLOAD,
            streams: u32::MAX,
            table: 4096,
            connect_protocol: false,
            told: false,
        }
    }
}

/// One stream.
#[derive(Debug)]
pub(super) struct Entry {
    /// What the peer sends.
    pub(super) receiving: Half,
    /// What this end sends.
    pub(super) sending: Half,
    pub(super) reset: Option<(Reason, Fate)>,
    pub(super) send_window: SendWindow,
    pub(super) receive_window: ReceiveWindow,
    /// Content that has come and was not taken.
    pub(super) content: Received,
    /// Boxed, as hardly any message has them and a table of streams moves its entries.
    pub(super) trailers: Option<Box<HeaderMap>>,
    /// What is left of the length that was told.
    pub(super) left: Option<u64>,
    /// Response heads that nobody has taken yet, on a stream of a client: interim ones, and the final one.
    pub(super) responses: VecDeque<ResponseHead>,
    /// Interim responses so far.
    pub(super) interim: u32,
    pub(super) answered: bool,
    pub(super) blocked: bool,
    pub(super) waker: Option<Waker>,
}

/// One direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Open,
    Ended,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Both sides have said everything.
    Complete,
    /// The peer reset it.
    ResetByPeer,
    /// This end reset it; what the peer sent before it knew is ignored.
    ResetHere,
}

impl Entry {
    pub(super) fn new(send: u32, receive: u32) -> Self {
        Self {
            receiving: Half::Open,
            sending: Half::Open,
            reset: None,
            send_window: SendWindow::new(send),
            receive_window: ReceiveWindow::new(receive),
            content: Received::default(),
            trailers: None,
            left: None,
            responses: VecDeque::new(),
            interim: 0,
            answered: false,
            blocked: false,
            waker: None,
        }
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Content that waits: large pieces as they came, small ones put together, so that a peer which sends single bytes does not
/// make Weir keep a piece for each.
#[derive(Debug, Default)]
pub(super) struct Received {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

/// Pieces up to this are put together.
const SMALL: usize = 1024;

impl Received {
    pub(super) fn push(&mut self, data: Bytes) {
        self.bytes += data.len();
        let waits = !self.pieces.is_empty() || !self.tail.is_empty();
        if data.len() <= SMALL && waits {
            self.tail.extend_from_slice(&data);
        } else {
            if !self.tail.is_empty() {
                self.pieces.push_back(self.tail.split().freeze());
            }
            self.pieces.push_back(data);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front().or_else(|| {
            let tail = std::mem::take(&mut self.tail);
            (!tail.is_empty()).then(|| tail.freeze())
        })?;
        self.bytes -= piece.len();
        Some(piece)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Throws everything away, and says how much it was.
    pub(super) fn clear(&mut self) -> usize {
        std::mem::take(self).bytes
    }
}

impl Link {
    /// A connection whose settings are about to be sent.
    #[must_use]
    pub fn new(role: Role, mut io: Buffered, terms: Terms, timer: &Timer) -> Self {
        let http2 = &terms.http2;
        let (stream_window, connection_window) = (http2.stream_window, http2.connection_window);
        let guard = Guard::new(http2.clone(), timer.now());
        let bytes = u32::try_from(terms.bounds.bytes).unwrap_or(u32::MAX);
        let out = io.out();
        let list = (frame::setting::MAX_HEADER_LIST_SIZE, bytes);
        let window = (frame::setting::INITIAL_WINDOW_SIZE, stream_window);
        match role {
            Role::Server => {
                let streams = (frame::setting::MAX_CONCURRENT_STREAMS, terms.streams);
                let connect = (frame::setting::ENABLE_CONNECT_PROTOCOL, 1);
                frame::settings(out, 0, &[streams, window, list, connect]);
            }
            Role::Client => {
                out.extend_from_slice(frame::PREFACE);
                frame::settings(out, 0, &[(frame::setting::ENABLE_PUSH, 0), window, list]);
            }
        }
        if let Some(more) = connection_window.checked_sub(INITIAL_WINDOW).filter(|more| *more > 0) {
            frame::window_update(out, 0, more);
        }
        let inner = Inner {
            role,
            io,
            phase: if role == Role::Server {
                Phase::Preface
            } else {
                Phase::Settings
            },
            decoder: Decoder::default(),
            block: None,
            streams: HashMap::default(),
            remembered: VecDeque::new(),
            highest: 0,
            next: 1,
            peer: PeerSettings::default(),
            acknowledged: false,
            send_window: SendWindow::new(INITIAL_WINDOW),
            receive_window: ReceiveWindow::new(connection_window),
            guard,
            leaving: Leaving::No,
            peer_leaves: None,
            content_sent: 0,
            driver: None,
            curious: Vec::new(),
            crowded: false,
            no_table: false,
            verdict: None,
            terms,
        };
        Self(Rc::new(Shared {
            inner: RefCell::new(inner),
            timer: timer.clone(),
            held: Cell::new(0),
        }))
    }

    /// Reads, acts on what was read, and writes what was queued. Pending means that all of it is done for now.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Event, Ended>> {
        let mut inner = self.0.inner.borrow_mut();
        let now = self.0.timer.now();
        if !inner.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
            inner.driver = Some(cx.waker().clone());
        }
        if let Some(abuse) = inner.verdict.take() {
            return Poll::Ready(Err(abuse.into()));
        }
        for turn in 0..=TURNS {
            match inner.next(now) {
                Ok(Some(event)) => return Poll::Ready(Ok(event.hold(self))),
                Ok(None) => {}
                Err(ended) => return Poll::Ready(Err(ended)),
            }
            // A peer that does not read its answers is not asked for more.
            if inner.io.is_full() {
                break;
            }
            if turn == TURNS {
                cx.waker().wake_by_ref();
                break;
            }
            match inner.io.poll_read_body(cx, READ) {
                Poll::Ready(Ok(Read::Data)) => {}
                Poll::Ready(Ok(Read::End)) => return Poll::Ready(Err(Ended::Closed)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Ended::Io(error))),
                Poll::Pending => break,
            }
        }
        // Who has sent the first line of a preface and nothing behind it may be anybody, and is told nothing yet (§3.4).
        if inner.role == Role::Client || inner.phase == Phase::Open {
            match inner.io.poll_flush(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Ended::Io(error))),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        if inner.crowded && !inner.io.is_full() {
            inner.crowded = false;
            inner.wake_blocked();
            // Reading may have stopped for the same reason.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Ends the connection: streams are told, and so is the peer.
    pub fn end(&self, reason: Reason) {
        let inner = &mut *self.0.inner.borrow_mut();
        let last = match inner.leaving {
            Leaving::After(last) => last,
            _ => inner.highest,
        };
        frame::go_away(inner.io.out(), last, reason);
        inner.leaving = Leaving::After(last);
        for entry in inner.streams.values_mut() {
            // A response that is complete is still there to be read.
            if inner.role == Role::Client && entry.receiving == Half::Ended {
                entry.sending = Half::Ended;
            } else {
                entry.reset.get_or_insert((Reason::CANCEL, Fate::ResetHere));
            }
            entry.wake();
        }
        inner.wake_curious();
    }

    /// Whether the peer takes an extended CONNECT (RFC 8441 §3), once it has said so; not on a connection that has ended.
    pub fn poll_connect_protocol(&self, cx: &mut Context<'_>) -> Poll<ConnectProtocol> {
        let inner = &mut *self.0.inner.borrow_mut();
        if inner.peer.connect_protocol {
            Poll::Ready(ConnectProtocol::Taken)
        } else if inner.peer.told || inner.leaving != Leaving::No {
            Poll::Ready(ConnectProtocol::Unknown)
        } else {
            inner.curious.push(cx.waker().clone());
            Poll::Pending
        }
    }

    /// Says that the connection will end, and takes no new streams after a round trip (§6.8).
    pub fn leave(&self) {
        const ROUND_TRIP: [u8; 8] = *b"leaving!";
        let inner = &mut *self.0.inner.borrow_mut();
        if inner.leaving == Leaving::No {
            inner.leaving = Leaving::Announced;
            frame::go_away(inner.io.out(), frame::LARGEST, Reason::NO_ERROR);
            frame::ping(inner.io.out(), 0, ROUND_TRIP);
            inner.notify();
        }
    }

    /// Takes no new streams from now on.
    pub fn left(&self) {
        self.0.inner.borrow_mut().left();
    }

    /// A stream has found that the peer does too much of something: the driver ends the connection.
    pub fn abuse(&self, abuse: Abuse) {
        let inner = &mut *self.0.inner.borrow_mut();
        inner.verdict = Some(abuse);
        inner.notify();
    }

    /// Whether the peer may still be asked for something.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let inner = self.0.inner.borrow();
        inner.leaving == Leaving::No && inner.peer_leaves.is_none()
    }

    /// Sends what is queued, as far as the peer takes it at once: the last words of a connection that nobody needs.
    pub fn last_words(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = self.with_io(|io| io.poll_flush(&mut cx));
    }

    /// How many streams somebody holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.get()
    }

    /// What the connection waits for, for whoever sets its deadlines.
    #[must_use]
    pub fn state(&self) -> State {
        let inner = &mut *self.0.inner.borrow_mut();
        let head = inner.phase != Phase::Open
            || inner.block.is_some()
            || frame::Frame::peek(inner.io.input()).is_some_and(|frame| frame.kind == Kind::Headers)
            // A head that is cut inside its first nine bytes.
            || (1..frame::HEADER).contains(&inner.io.input().len());
        State {
            amid_head: head,
            leaving: inner.leaving != Leaving::No,
            left: matches!(inner.leaving, Leaving::After(_)),
            unsent: inner.io.has_output(),
            written: inner.io.written(),
            content_sent: inner.content_sent,
        }
    }

    /// The connection's buffers, for the last words.
    pub(crate) fn with_io<T>(&self, act: impl FnOnce(&mut Buffered) -> T) -> T {
        act(&mut self.0.inner.borrow_mut().io)
    }
}

/// Whether a peer takes an extended CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectProtocol {
    /// It has said so.
    Taken,
    /// It has not.
    Unknown,
}

/// A look at a connection.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// The preface or a header block has begun and not ended.
    pub amid_head: bool,
    /// The end was announced.
    pub leaving: bool,
    /// No stream is taken any more.
    pub left: bool,
    /// Something waits to be written.
    pub unsent: bool,
    /// Bytes that were written so far.
    pub written: u64,
    /// Bytes of content among what was queued.
    pub content_sent: u64,
}

impl Inner {
    /// Lets the driver send what was written.
    pub(super) fn notify(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    pub(super) fn wake_blocked(&mut self) {
        for entry in self.streams.values_mut().filter(|entry| entry.blocked) {
            entry.wake();
        }
    }

    pub(super) fn wake_curious(&mut self) {
        for waker in self.curious.drain(..) {
            waker.wake();
        }
    }

    pub(super) fn left(&mut self) {
        if !matches!(self.leaving, Leaving::After(_)) {
            self.leaving = Leaving::After(self.highest);
            frame::go_away(self.io.out(), self.highest, Reason::NO_ERROR);
        }
    }

    pub(super) fn remember(&mut self, id: u32, fate: Fate) {
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((id, fate));
    }

    pub(super) fn fate(&self, id: u32) -> Option<Fate> {
        let mut latest = self.remembered.iter().rev();
        latest.find(|(other, _)| *other == id).map(|(_, fate)| *fate)
    }

    /// Content was taken: the connection's window grows again.
    pub(super) fn release(&mut self, bytes: usize) {
        if let Some(more) = self.receive_window.release(bytes) {
            frame::window_update(self.io.out(), 0, more);
            self.notify();
        }
    }

    /// Resets a stream.
    pub(super) fn reset(&mut self, id: u32, reason: Reason) {
        frame::rst_stream(self.io.out(), id, reason);
        match self.streams.get_mut(&id) {
            Some(entry) => {
                entry.reset = Some((reason, Fate::ResetHere));
                let unread = entry.content.clear();
                entry.wake();
                self.release(unread);
            }
            None => self.remember(id, Fate::ResetHere),
        }
        self.notify();
    }

    /// Writes a header block, in as many frames as it needs (§4.3).
    pub(super) fn write_block(&mut self, id: u32, end: u8, encode: impl FnOnce(&mut BytesMut)) {
        let out = self.io.out();
        out.reserve(512);
        let start = out.len();
        frame::head(out, Kind::Headers, frame::END_HEADERS | end, id, 0);
        if std::mem::take(&mut self.no_table) {
            encode::no_table(out);
        }
        encode(out);
        let length = out.len() - start - frame::HEADER;
        if length <= PAYLOAD {
            let [_, a, b, c] = (length as u32).to_be_bytes();
            if let Some(place) = out.get_mut(start..start + 3) {
                place.copy_from_slice(&[a, b, c]);
            }
            return;
        }
        let block = out.split_off(start + frame::HEADER);
        out.truncate(start);
        let mut pieces = block.chunks(PAYLOAD).peekable();
        let mut kind = Kind::Headers;
        let mut flags = end;
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                flags |= frame::END_HEADERS;
            }
            frame::head(out, kind, flags, id, piece.len());
            out.extend_from_slice(piece);
            (kind, flags) = (Kind::Continuation, 0);
        }
    }

    pub(super) fn announce_no_table(&mut self) {
        self.no_table = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_put_together_and_keep_their_order() {
        let mut received = Received::default();
        for piece in [&b"a"[..], b"b", b"c", &[b'x'; 2000], b"d"] {
            received.push(Bytes::copy_from_slice(piece));
        }
        let mut pieces = Vec::new();
        while let Some(piece) = received.pop() {
            pieces.push(piece.len());
        }
        assert_eq!(pieces, [1, 2, 2000, 1]);
        assert!(received.is_empty());
    }
}
