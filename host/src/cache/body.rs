//! The bytes of a stored response, wherever they are.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::arrival::{Arrival, Follower};

pub use super::arrival::Broken;

/// Where a stored response's content is.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// In memory, all of it.
    Memory(Bytes),
    /// On its way from the origin.
    Arriving(Arc<Arrival>),
}

impl Body {
    /// Its length, where it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Memory(data) => Some(data.len() as u64),
            Self::Arriving(arrival) => arrival.length(),
        }
    }

    /// Bytes of memory that the entry which has it answers for; those that arrive are whoever fetches' to reserve.
    pub(super) fn in_memory(&self) -> usize {
        match self {
            Self::Memory(data) => data.len(),
            Self::Arriving(_) => 0,
        }
    }

    /// All of it, where it is in memory.
    pub(super) fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Memory(data) => Some(data.clone()),
            Self::Arriving(arrival) => arrival.complete(),
        }
    }

    /// The same content; what has arrived meanwhile is in memory like any other.
    pub(super) fn settled(&self) -> Self {
        self.bytes().map_or_else(|| self.clone(), Self::Memory)
    }

    /// Reads it from its first byte.
    pub(super) fn reader(&self) -> Reader {
        Reader(match self {
            Self::Memory(data) => Source::Memory(data.clone()),
            Self::Arriving(arrival) => Source::Arriving(arrival.join()),
        })
    }
}

/// Gives a stored body as the client takes it.
#[derive(Debug)]
pub struct Reader(Source);

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    Arriving(Follower),
}

impl Reader {
    pub(super) fn following(follower: Follower) -> Self {
        Self(Source::Arriving(follower))
    }

    /// The next piece.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Source::Memory(data) => {
                let data = std::mem::take(data);
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
            Source::Arriving(follower) => follower.poll_next(cx),
        }
    }

    /// Bytes that are still to come; `None` where nobody knows.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match &self.0 {
            Source::Memory(data) => Some(data.len() as u64),
            Source::Arriving(follower) => follower.left(),
        }
    }

    /// Whether everything was given.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Source::Memory(data) => data.is_empty(),
            Source::Arriving(follower) => follower.is_done(),
        }
    }
}
