//! The bytes of a stored response, wherever they are.

use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Frame;

use super::arrival::{Arrival, Follower};
use super::disk::{Blocks, Open};
use super::footprint::allocated;
use super::slices::Layout;
use crate::http1::buffer::FilePart;

pub use super::arrival::Broken;

/// Bodies in memory up to this many bytes have one owner, their entry, which lends them ([`super::entry::Entry::bytes`]). `Bytes` that were
/// ever cloned count their owners in an allocation of its own, nearly a hundredth of an object of 4 KiB; larger ones are not worth a copy
/// to do without.
pub(super) const LENT: usize = 16 * 1024;

/// Where a stored response's content is.
#[derive(Debug)]
pub(super) enum Body {
    /// In memory, all of it.
    Memory(Bytes),
    /// On its way from the origin.
    Arriving(Arc<Arrival>),
    /// On the disk.
    Disk(Open),
    /// In slices, which are stored on their own.
    Sliced(Arc<Layout>),
}

impl Body {
    /// A body that stays in memory.
    pub(super) fn kept(data: &Bytes) -> Self {
        Self::Memory(if data.len() <= LENT {
            Bytes::copy_from_slice(data)
        } else {
            data.clone()
        })
    }

    /// Its length, where it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Memory(data) => Some(data.len() as u64),
            Self::Arriving(arrival) => arrival.length(),
            Self::Disk(open) => Some(open.length()),
            Self::Sliced(layout) => Some(layout.total()),
        }
    }

    /// Bytes of memory that the entry which has it answers for; those that arrive are whoever fetches' to reserve.
    pub(super) fn in_memory(&self) -> usize {
        match self {
            Self::Memory(data) if data.len() <= LENT => allocated(data.len()),
            // The content, and the count of those who send it.
            Self::Memory(data) => allocated(data.len()) + allocated(3 * size_of::<usize>()),
            Self::Arriving(_) | Self::Disk(_) => 0,
            Self::Sliced(_) => allocated(size_of::<Layout>() + 2 * size_of::<usize>()),
        }
    }

    /// All of it, where it is in memory.
    pub(super) fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Memory(data) => Some(data.clone()),
            Self::Arriving(arrival) => arrival.complete(),
            Self::Disk(_) | Self::Sliced(_) => None,
        }
    }

    /// The same content; what has arrived meanwhile is in memory like any other.
    pub(super) fn settled(&self) -> Self {
        match self {
            Self::Arriving(arrival) => arrival
                .complete()
                .map_or_else(|| self.clone(), |data| Self::kept(&data)),
            body => body.clone(),
        }
    }

    /// Reads it from its first byte.
    pub(super) fn reader(&self) -> Reader {
        Reader::new(match self {
            Self::Memory(data) => Source::Memory(data.clone()),
            Self::Arriving(arrival) => Source::Arriving(arrival.join()),
            Self::Disk(open) => Source::Disk(open.clone().read(0..open.length())),
            // Whoever sends slices reads them one by one.
            Self::Sliced(_) => Source::Elsewhere,
        })
    }
}

impl Clone for Body {
    fn clone(&self) -> Self {
        match self {
            Self::Memory(data) => Self::kept(data),
            Self::Arriving(arrival) => Self::Arriving(Arc::clone(arrival)),
            Self::Disk(open) => Self::Disk(open.clone()),
            Self::Sliced(layout) => Self::Sliced(Arc::clone(layout)),
        }
    }
}

/// Gives a stored body, or a part of it, as the client takes it.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    /// Bytes before the part.
    skip: u64,
    /// Bytes of the part that are still to come; `None` for the whole.
    window: Option<u64>,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    Arriving(Follower),
    Disk(Blocks),
    Elsewhere,
}

impl Reader {
    fn new(source: Source) -> Self {
        Self {
            source,
            skip: 0,
            window: None,
        }
    }

    pub(super) fn following(follower: Follower) -> Self {
        Self::new(Source::Arriving(follower))
    }

    /// Only these bytes.
    pub(super) fn within(self, range: Range<u64>) -> Self {
        // The disk need not read what is skipped.
        if let Source::Disk(blocks) = self.source {
            return Self::new(Source::Disk(blocks.within(range)));
        }
        Self {
            skip: range.start,
            window: Some(range.end.saturating_sub(range.start)),
            ..self
        }
    }

    /// The next piece.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(window) = &mut self.window else {
            return self.source.poll_next(cx);
        };
        while *window > 0 {
            let Some(frame) = ready!(self.source.poll_next(cx)) else {
                break;
            };
            // Trailers are about the whole.
            let Ok(mut data) = frame?.into_data() else { break };
            let before = usize::try_from(self.skip).unwrap_or(usize::MAX).min(data.len());
            self.skip -= before as u64;
            data.advance(before);
            data.truncate(usize::try_from(*window).unwrap_or(usize::MAX));
            if !data.is_empty() {
                *window -= data.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        Poll::Ready(None)
    }

    /// The next piece, where it can be sent from its file without being read.
    pub fn next_file(&mut self) -> Option<FilePart> {
        match &mut self.source {
            Source::Disk(blocks) => blocks.next_file(),
            Source::Memory(_) | Source::Arriving(_) | Source::Elsewhere => None,
        }
    }

    /// Bytes that are still to come; `None` where nobody knows.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.window.or_else(|| self.source.left())
    }

    /// Whether everything was given.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.window == Some(0) || self.source.is_done()
    }
}

impl Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self {
            Self::Memory(data) => {
                let data = std::mem::take(data);
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
            Self::Arriving(follower) => follower.poll_next(cx),
            Self::Disk(blocks) => blocks
                .poll_next(cx)
                .map(|block| block.map(|block| block.map(Frame::data).map_err(|_| Broken::Closed))),
            Self::Elsewhere => Poll::Ready(Some(Err(Broken::Closed))),
        }
    }

    fn left(&self) -> Option<u64> {
        match self {
            Self::Memory(data) => Some(data.len() as u64),
            Self::Arriving(follower) => follower.left(),
            Self::Disk(blocks) => Some(blocks.left()),
            Self::Elsewhere => None,
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Memory(data) => data.is_empty(),
            Self::Arriving(follower) => follower.is_done(),
            Self::Disk(blocks) => blocks.left() == 0,
            Self::Elsewhere => false,
        }
    }
}
