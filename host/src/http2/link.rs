//! One connection, shared: who reads from it and writes to it, and who is to be woken when something changes.
//!
//! A [`Link`] is shared by the task that drives the connection and by the tasks of its streams, all on one thread. Streams write
//! into the connection's buffer and wake the driver, which comes after them and sends what they wrote in one go. What it has is
//! in [`Inner`], and in an [`Entry`](super::entry::Entry) for each of its streams.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::connection::{Inner, Leaving, PeerSettings, Phase};
use super::entry::{Fate, Half};
use super::frame::{self, INITIAL_WINDOW, Kind, Reason};
use super::guard::{Abuse, Guard};
use super::head::{Bounds, RequestHead};
use super::hpack::decode::Decoder;
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
