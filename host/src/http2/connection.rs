//! The state of a connection: its windows, its streams, what the peer said in its settings, and what both do at the end.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use bytes::BytesMut;

use super::entry::{Entry, Fate};
use super::frame::{self, INITIAL_WINDOW, Kind, LARGEST, PAYLOAD, Reason};
use super::guard::{Abuse, Guard};
use super::hpack::decode::Decoder;
use super::hpack::encode;
use super::link::{Role, Terms};
use super::window::{ReceiveWindow, SendWindow};
use crate::http1::buffer::Buffered;

/// Streams that are remembered after their end, to tell late frames from wrong ones.
const REMEMBERED: usize = 128;

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
    pub(super) driver: Option<Waker>,
    /// Who waits for the peer's settings.
    pub(super) curious: Vec<Waker>,
    /// Somebody waits for room in the buffer.
    pub(super) crowded: bool,
    /// The peer has made its table smaller, and is to be told that nobody uses it.
    pub(super) no_table: bool,
    /// What a stream has found.
    pub(super) verdict: Option<Abuse>,
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

impl Inner {
    /// A stream of a client; none where the peer takes no more.
    pub(super) fn open(&mut self) -> Option<u32> {
        let room = self.streams.len() < self.peer.streams as usize;
        if !room || self.peer_leaves.is_some() || self.leaving != Leaving::No || self.next > LARGEST {
            return None;
        }
        let id = self.next;
        self.next += 2;
        let mut entry = Entry::new(self.peer.window, self.terms.http2.stream_window);
        entry.send_window = SendWindow::new(self.peer.window);
        self.streams.insert(id, entry);
        Some(id)
    }

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
