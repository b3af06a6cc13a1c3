//! What a frame does: the rules of RFC 9113 §5 and §6, one function a type: [`message`] has those of messages, [`control`] the others.
//!
//! Errors of a connection end it ([`Ended`]); errors of a stream reset it and are counted, since each of them is an answer
//! that the peer made Weir give.

mod control;
mod message;

use bytes::Buf;

use super::connection::{Inner, Phase};
use super::entry::Fate;
use super::frame::{self, Frame, Kind, PAYLOAD, Reason};
use super::guard::Abuse;
use super::head::RequestHead;
use super::link::{Content, Ended, Event, Link, Role};
use super::stream::Stream;
use crate::http1::head::Malformed;

/// An [`Event`] whose stream nobody holds yet.
pub(super) enum Raw {
    Request(u32, Box<RequestHead>, Content),
    TooLarge(u32, Malformed),
    Malformed(Malformed),
}

impl Raw {
    pub(super) fn hold(self, link: &Link) -> Event {
        match self {
            Self::Request(id, head, content) => Event::Request {
                stream: Stream::new(link, id),
                head,
                content,
            },
            Self::TooLarge(id, fault) => Event::TooLarge(Stream::new(link, id), fault),
            Self::Malformed(fault) => Event::Malformed(fault),
        }
    }
}

impl Inner {
    /// Acts on the frames that are there, until one of them concerns the driver, or no frame is complete.
    pub(super) fn next(&mut self, now: u64) -> Result<Option<Raw>, Ended> {
        if self.phase == Phase::Preface && !self.preface()? {
            return Ok(None);
        }
        while let Some(frame) = Frame::peek(self.io.input()) {
            self.expected(&frame)?;
            if self.io.input().len() < frame::HEADER + frame.length {
                return Ok(None);
            }
            self.io.input().advance(frame::HEADER);
            if let Some(raw) = self.act(&frame, now)? {
                return Ok(Some(raw));
            }
            // Answers to what the peer sends are not piled up for one that does not read them.
            if self.io.is_full() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn preface(&mut self) -> Result<bool, Ended> {
        let input = self.io.input();
        let length = input.len().min(frame::PREFACE.len());
        if input[..length] != frame::PREFACE[..length] {
            return broken(Reason::PROTOCOL_ERROR, "no preface");
        }
        if length < frame::PREFACE.len() {
            return Ok(false);
        }
        input.advance(length);
        self.phase = Phase::Settings;
        Ok(true)
    }

    /// What can be said of a frame before its payload is there.
    fn expected(&mut self, frame: &Frame) -> Result<(), Ended> {
        if frame.length > PAYLOAD {
            return broken(Reason::FRAME_SIZE_ERROR, "a frame over the largest size");
        }
        if let Some(block) = &self.block {
            if frame.kind != Kind::Continuation || frame.stream != block.stream {
                return broken(Reason::PROTOCOL_ERROR, "another frame inside a header block");
            }
        } else if frame.kind == Kind::Continuation {
            return broken(Reason::PROTOCOL_ERROR, "CONTINUATION without a header block");
        }
        if self.phase == Phase::Settings {
            if frame.kind != Kind::Settings || frame.has(frame::ACK) {
                return broken(Reason::PROTOCOL_ERROR, "the first frame is not SETTINGS");
            }
            self.phase = Phase::Open;
        }
        Ok(())
    }

    fn act(&mut self, frame: &Frame, now: u64) -> Result<Option<Raw>, Ended> {
        match frame.kind {
            Kind::Data => self.data(frame, now)?,
            Kind::Headers => return self.headers(frame, now),
            Kind::Continuation => return self.continuation(frame, now),
            Kind::Priority => self.priority(frame, now)?,
            Kind::RstStream => self.rst_stream(frame, now)?,
            Kind::Settings => self.settings(frame, now)?,
            Kind::PushPromise => return broken(Reason::PROTOCOL_ERROR, "PUSH_PROMISE"),
            Kind::Ping => self.ping(frame, now)?,
            Kind::GoAway => self.go_away(frame)?,
            Kind::WindowUpdate => self.window_update(frame, now)?,
            Kind::Unknown => {
                self.guard.note(Abuse::PriorityFlood, now)?;
                self.io.input().advance(frame.length);
            }
        }
        Ok(None)
    }

    /// A frame on a stream that was reset: wrong from who reset it, and to be ignored from who may not know it yet (§5.1).
    fn after_reset(&mut self, id: u32, fate: Fate, now: u64) -> Result<(), Ended> {
        match fate {
            Fate::ResetHere => Ok(()),
            Fate::ResetByPeer | Fate::Complete => self.stream_error(id, Reason::STREAM_CLOSED, now),
        }
    }

    /// Whether a stream was never opened.
    fn is_idle(&self, id: u32) -> bool {
        match (self.role, id.is_multiple_of(2)) {
            (Role::Server, false) => id > self.highest,
            (Role::Client, false) => id >= self.next,
            (_, true) => true,
        }
    }

    fn stream_error(&mut self, id: u32, reason: Reason, now: u64) -> Result<(), Ended> {
        self.guard.note(Abuse::MadeYouReset, now)?;
        self.reset(id, reason);
        Ok(())
    }
}

fn broken<T>(reason: Reason, what: &'static str) -> Result<T, Ended> {
    Err(Ended::Error(reason, what))
}
