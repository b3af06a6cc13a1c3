//! One stream, as its connection keeps it: which halves are open, its windows, and what has come and was not taken.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::frame::Reason;
use super::head::ResponseHead;
use super::window::{ReceiveWindow, SendWindow};

/// Pieces up to this are put together.
const SMALL: usize = 1024;

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
