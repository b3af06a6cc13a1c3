//! Several parts of a stored response (RFC 9110 §14.6), one after the other from wherever the whole is: the disk, slices, or what
//! is arriving.

use std::task::{Context, Poll, ready};
use std::vec;

use bytes::Bytes;
use http_body::Frame;

use super::body::Content;
use super::slices::Sliced;
use crate::cache::{Hit, Piece};
use crate::http1::buffer::FilePart;
use crate::upstream::Fault;

/// Content that is several parts, on its way to a client.
#[derive(Debug)]
pub struct Several {
    /// What stands before the part.
    before: Bytes,
    /// The part, as far as it is still to come.
    part: Content,
    /// Those behind it.
    next: vec::IntoIter<Piece>,
    hit: Hit,
}

impl Several {
    /// These pieces of a hit. `part` gives any of its bytes.
    pub(super) fn new(hit: Hit, part: Content, pieces: Vec<Piece>) -> Self {
        let mut several = Self {
            before: Bytes::new(),
            part,
            next: pieces.into_iter(),
            hit,
        };
        several.turn();
        several
    }

    /// Goes on to the next piece, if there is one.
    fn turn(&mut self) -> bool {
        let Some(Piece { before, bytes }) = self.next.next() else {
            return false;
        };
        self.before = before;
        match &mut self.part {
            Content::Sliced(sliced) => sliced.turn_to(bytes),
            part => *part = Content::Stored(self.hit.reader_of(bytes)),
        }
        true
    }

    /// The next frame.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            if !self.before.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.before)))));
            }
            match ready!(self.part.poll_next(cx)) {
                Some(frame) => return Poll::Ready(Some(frame)),
                None if self.turn() => {}
                None => return Poll::Ready(None),
            }
        }
    }

    /// The next part of a file that can go to a socket as it is.
    pub(super) fn next_file(&mut self) -> Option<FilePart> {
        if self.before.is_empty() {
            self.part.next_file()
        } else {
            None
        }
    }

    /// Bytes that are still to come.
    pub(super) fn left(&self) -> Option<u64> {
        let behind: u64 = self.next.as_slice().iter().map(Piece::length).sum();
        Some(self.before.len() as u64 + self.part.left()? + behind)
    }

    pub(super) fn is_done(&self) -> bool {
        self.before.is_empty() && self.part.is_done() && self.next.as_slice().is_empty()
    }

    /// The slices that the parts are in.
    pub(super) fn sliced_mut(&mut self) -> Option<&mut Sliced> {
        self.part.sliced_mut()
    }
}
