//! What belongs to a message: DATA, HEADERS and CONTINUATION (§6.1, §6.2, §6.10, §8.1).

use bytes::{Buf, BytesMut};
use http::StatusCode;

use super::super::connection::{Block, Inner, Leaving};
use super::super::entry::{Entry, Fate, Half};
use super::super::frame::{self, Frame, LARGEST, Reason};
use super::super::guard::{Abuse, BOMB};
use super::super::head::{Fields, Rejected, ResponseHead};
use super::super::link::{Content, Ended, Role};
use super::{Raw, broken};
use crate::http1::head::Malformed;

/// Interim responses to one request; a server that sends more means no good.
const INTERIM: u32 = 32;

impl Inner {
    /// §6.1.
    pub(super) fn data(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
        if frame.stream == 0 {
            return broken(Reason::PROTOCOL_ERROR, "DATA on the connection");
        }
        if self.receive_window.receive(frame.length).is_err() {
            return broken(Reason::FLOW_CONTROL_ERROR, "more DATA than the connection's window");
        }
        let mut payload = self.io.input().split_to(frame.length);
        if frame.has(frame::PADDED) {
            unpad(&mut payload)?;
        }
        let ends = frame.has(frame::END_STREAM);
        if !payload.is_empty() {
            self.guard.useful();
        } else if !ends {
            self.guard.note(Abuse::EmptyFrameFlood, now)?;
        }
        let Some(entry) = self.streams.get_mut(&frame.stream) else {
            self.release(frame.length);
            return self.late(frame, now);
        };
        if let Some((_, fate)) = entry.reset {
            self.release(frame.length);
            return self.after_reset(frame.stream, fate, now);
        }
        if entry.receiving == Half::Ended {
            self.release(frame.length);
            return self.stream_error(frame.stream, Reason::STREAM_CLOSED, now);
        }
        let fits = entry.receive_window.receive(frame.length).is_ok();
        let told = match &mut entry.left {
            // A body that differs from its length makes the message malformed (§8.1.1).
            Some(left) => match left.checked_sub(payload.len() as u64) {
                Some(rest) if rest == 0 || !ends => {
                    *left = rest;
                    true
                }
                _ => false,
            },
            None => true,
        };
        if !fits || !told {
            self.release(frame.length);
            let reason = if fits {
                Reason::PROTOCOL_ERROR
            } else {
                Reason::FLOW_CONTROL_ERROR
            };
            return self.stream_error(frame.stream, reason, now);
        }
        let overhead = frame.length - payload.len();
        if !payload.is_empty() {
            entry.content.push(payload.freeze());
        }
        if ends {
            entry.receiving = Half::Ended;
        }
        entry.wake();
        if overhead > 0 {
            if !ends && let Some(more) = entry.receive_window.release(overhead) {
                frame::window_update(self.io.out(), frame.stream, more);
            }
            self.release(overhead);
        }
        Ok(())
    }

    /// §6.2.
    pub(super) fn headers(&mut self, frame: &Frame, now: u64) -> Result<Option<Raw>, Ended> {
        if frame.stream == 0 {
            return broken(Reason::PROTOCOL_ERROR, "HEADERS on the connection");
        }
        let mut fragment = self.io.input().split_to(frame.length);
        if frame.has(frame::PADDED) {
            unpad(&mut fragment)?;
        }
        let mut depends_on_itself = false;
        if frame.has(frame::PRIORITY) {
            if fragment.len() < 5 {
                return broken(Reason::FRAME_SIZE_ERROR, "HEADERS too short for its priority");
            }
            depends_on_itself = fragment.get_u32() & LARGEST == frame.stream;
            fragment.advance(1);
        }
        if frame.has(frame::END_HEADERS) {
            return self.block(frame.stream, frame.flags, &fragment, depends_on_itself, now);
        }
        self.block = Some(Block {
            stream: frame.stream,
            flags: frame.flags,
            // Its own memory: what it was read into goes on.
            fragments: BytesMut::from(&fragment[..]),
            frames: 0,
            depends_on_itself,
        });
        Ok(None)
    }

    /// §6.10.
    pub(super) fn continuation(&mut self, frame: &Frame, now: u64) -> Result<Option<Raw>, Ended> {
        let Some(mut block) = self.block.take() else {
            return broken(Reason::PROTOCOL_ERROR, "CONTINUATION without a header block");
        };
        block.frames += 1;
        if block.frames > self.guard.continuations() {
            return Err(Abuse::ContinuationFlood.into());
        }
        if frame.length == 0 && !frame.has(frame::END_HEADERS) {
            self.guard.note(Abuse::EmptyFrameFlood, now)?;
        }
        if block.fragments.len() + frame.length > self.terms.bounds.bytes.saturating_mul(BOMB) {
            return Err(Abuse::HeaderBomb.into());
        }
        block.fragments.extend_from_slice(&self.io.input()[..frame.length]);
        self.io.input().advance(frame.length);
        if frame.has(frame::END_HEADERS) {
            return self.block(
                block.stream,
                block.flags,
                &block.fragments,
                block.depends_on_itself,
                now,
            );
        }
        self.block = Some(block);
        Ok(None)
    }

    /// A whole header block. Whatever becomes of it, it is decoded, because the tables of both ends have to stay the same.
    fn block(&mut self, id: u32, flags: u8, block: &[u8], loops: bool, now: u64) -> Result<Option<Raw>, Ended> {
        let mut fields = Fields::new(self.terms.bounds);
        let decoded = self.decoder.decode(block, |field, size| fields.push(field, size));
        if decoded.is_err() {
            return broken(Reason::COMPRESSION_ERROR, "a header block that cannot be decoded");
        }
        let content = if flags & frame::END_STREAM == 0 {
            Content::Follows
        } else {
            Content::None
        };
        if self.streams.contains_key(&id) {
            self.message_goes_on(id, fields, content, now)?;
            return Ok(None);
        }
        if self.role == Role::Client || id.is_multiple_of(2) {
            return match self.fate(id) {
                Some(Fate::ResetHere) => Ok(None),
                _ => broken(Reason::PROTOCOL_ERROR, "HEADERS on a stream that nobody opened"),
            };
        }
        if id <= self.highest {
            return match self.fate(id) {
                Some(Fate::ResetHere) => Ok(None),
                Some(Fate::ResetByPeer) => self.stream_error(id, Reason::STREAM_CLOSED, now).map(|()| None),
                Some(Fate::Complete) => broken(Reason::STREAM_CLOSED, "HEADERS on a closed stream"),
                None => broken(Reason::PROTOCOL_ERROR, "a stream lower than one before it"),
            };
        }
        self.highest = id;
        self.request(id, fields, content, loops, now)
    }

    /// A block that opens a stream (§5.1.1, §5.1.2).
    fn request(
        &mut self,
        id: u32,
        fields: Fields,
        content: Content,
        loops: bool,
        now: u64,
    ) -> Result<Option<Raw>, Ended> {
        if matches!(self.leaving, Leaving::After(last) if id > last) {
            self.reset(id, Reason::REFUSED_STREAM);
            return Ok(None);
        }
        if self.streams.len() >= self.terms.streams as usize {
            // Before it has confirmed the limit, a client cannot be blamed for not knowing it.
            if self.acknowledged {
                let reset = self.streams.values().any(|entry| entry.reset.is_some());
                let abuse = if reset { Abuse::RapidReset } else { Abuse::MadeYouReset };
                self.guard.note(abuse, now)?;
            }
            self.reset(id, Reason::REFUSED_STREAM);
            return Ok(None);
        }
        let head = if loops {
            Err(Rejected::Malformed(Malformed::Header))
        } else {
            fields.into_request()
        };
        let too_large = match head {
            Ok(head) => {
                // A length without a body is malformed as well (§8.1.1).
                if content == Content::None && head.length.is_some_and(|length| length > 0) {
                    self.stream_error(id, Reason::PROTOCOL_ERROR, now)?;
                    return Ok(Some(Raw::Malformed(Malformed::ContentLength)));
                }
                let mut entry = Entry::new(self.peer.window, self.terms.http2.stream_window);
                entry.left = head.length;
                if content == Content::None {
                    entry.receiving = Half::Ended;
                }
                self.streams.insert(id, entry);
                return Ok(Some(Raw::Request(id, Box::new(head), content)));
            }
            Err(Rejected::Malformed(fault)) => {
                self.stream_error(id, Reason::PROTOCOL_ERROR, now)?;
                return Ok(Some(Raw::Malformed(fault)));
            }
            Err(Rejected::Bomb) => return Err(Abuse::HeaderBomb.into()),
            Err(Rejected::TooLarge(fault)) => fault,
        };
        self.guard.note(Abuse::MadeYouReset, now)?;
        let mut entry = Entry::new(self.peer.window, self.terms.http2.stream_window);
        if content == Content::None {
            entry.receiving = Half::Ended;
        }
        self.streams.insert(id, entry);
        Ok(Some(Raw::TooLarge(id, too_large)))
    }

    /// A block on an open stream: a response, or trailers (§8.1).
    fn message_goes_on(&mut self, id: u32, fields: Fields, content: Content, now: u64) -> Result<(), Ended> {
        let role = self.role;
        let Some(entry) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        if let Some((_, fate)) = entry.reset {
            return self.after_reset(id, fate, now);
        }
        if entry.receiving == Half::Ended {
            return self.stream_error(id, Reason::STREAM_CLOSED, now);
        }
        if role == Role::Client && !entry.answered {
            let head = fields.into_response().map_err(|_| Reason::PROTOCOL_ERROR);
            return match head.and_then(|head| entry.hear(head, content)) {
                Ok(()) => Ok(()),
                Err(reason) => self.stream_error(id, reason, now),
            };
        }
        let trailers = fields.into_trailers();
        let complete = content == Content::None && entry.left.is_none_or(|left| left == 0);
        match trailers {
            Ok(trailers) if complete => {
                entry.receiving = Half::Ended;
                entry.trailers = (!trailers.is_empty()).then(|| Box::new(trailers));
                entry.wake();
                Ok(())
            }
            Err(Rejected::Bomb) => Err(Abuse::HeaderBomb.into()),
            _ => self.stream_error(id, Reason::PROTOCOL_ERROR, now),
        }
    }

    /// DATA on a stream that nobody holds any more.
    fn late(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
        if self.is_idle(frame.stream) {
            return broken(Reason::PROTOCOL_ERROR, "DATA on an idle stream");
        }
        match self.fate(frame.stream) {
            Some(Fate::Complete) => broken(Reason::STREAM_CLOSED, "DATA on a closed stream"),
            Some(fate) => self.after_reset(frame.stream, fate, now),
            None => self.stream_error(frame.stream, Reason::STREAM_CLOSED, now),
        }
    }
}

impl Entry {
    /// Takes a response head, unless none may stand there (§8.1).
    fn hear(&mut self, head: ResponseHead, content: Content) -> Result<(), Reason> {
        if head.status.is_informational() {
            self.interim += 1;
            // Nothing but a response may end a stream, and HTTP/2 has no 101 (§8.6).
            if content == Content::None || head.status == StatusCode::SWITCHING_PROTOCOLS || self.interim > INTERIM {
                return Err(Reason::PROTOCOL_ERROR);
            }
            // Weir answers its clients' expectations itself.
            if head.status == StatusCode::CONTINUE {
                return Ok(());
            }
        } else {
            self.answered = true;
            if content == Content::None {
                self.receiving = Half::Ended;
            }
        }
        self.responses.push_back(head);
        self.wake();
        Ok(())
    }
}

/// Takes the padding off (§6.1).
fn unpad(payload: &mut BytesMut) -> Result<(), Ended> {
    if payload.is_empty() {
        return broken(Reason::FRAME_SIZE_ERROR, "a padded frame without its padding's length");
    }
    let padding = usize::from(payload.get_u8());
    match payload.len().checked_sub(padding) {
        Some(length) => {
            payload.truncate(length);
            Ok(())
        }
        None => broken(Reason::PROTOCOL_ERROR, "more padding than payload"),
    }
}
