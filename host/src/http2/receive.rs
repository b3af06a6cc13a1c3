//! What a frame does: the rules of RFC 9113 §5 and §6, one function a type.
//!
//! Errors of a connection end it ([`Ended`]); errors of a stream reset it and are counted, since each of them is an answer
//! that the peer made Weir give.

use bytes::{Buf, BytesMut};
use http::StatusCode;

use super::frame::{self, Frame, Kind, LARGEST, PAYLOAD, Reason, setting};
use super::guard::{Abuse, BOMB};
use super::head::{Fields, Rejected, RequestHead, ResponseHead};
use super::link::{Block, Content, Ended, Entry, Event, Fate, Half, Inner, Leaving, Link, Phase, Role};
use super::stream::Stream;
use super::window::SendWindow;
use crate::http1::head::Malformed;

/// Interim responses to one request; a server that sends more means no good.
const INTERIM: u32 = 32;

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

fn broken<T>(reason: Reason, what: &'static str) -> Result<T, Ended> {
    Err(Ended::Error(reason, what))
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

    /// §6.1.
    fn data(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
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
    fn headers(&mut self, frame: &Frame, now: u64) -> Result<Option<Raw>, Ended> {
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
    fn continuation(&mut self, frame: &Frame, now: u64) -> Result<Option<Raw>, Ended> {
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

    /// §6.3: read for its size and nothing else.
    fn priority(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
        if frame.stream == 0 {
            return broken(Reason::PROTOCOL_ERROR, "PRIORITY on the connection");
        }
        self.guard.note(Abuse::PriorityFlood, now)?;
        let mut payload = self.io.input().split_to(frame.length);
        let reason = if frame.length != 5 {
            Reason::FRAME_SIZE_ERROR
        } else if payload.get_u32() & LARGEST == frame.stream {
            Reason::PROTOCOL_ERROR
        } else {
            return Ok(());
        };
        if self.is_idle(frame.stream) {
            // A stream that was never opened cannot be reset.
            return broken(reason, "a wrong PRIORITY");
        }
        self.stream_error(frame.stream, reason, now)
    }

    /// §6.4.
    fn rst_stream(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
        if frame.length != 4 {
            return broken(Reason::FRAME_SIZE_ERROR, "RST_STREAM of a wrong size");
        }
        let reason = Reason(self.io.input().get_u32());
        if frame.stream == 0 || self.is_idle(frame.stream) {
            return broken(Reason::PROTOCOL_ERROR, "RST_STREAM on an idle stream");
        }
        let Some(entry) = self.streams.get_mut(&frame.stream) else {
            // Crossed with our own end of the stream; still work that nobody wanted.
            self.guard.note(Abuse::RapidReset, now)?;
            return Ok(());
        };
        if self.role == Role::Client && entry.receiving == Half::Ended {
            // The response is complete, and the rest of the request not wanted (§8.1).
            entry.sending = Half::Ended;
            entry.wake();
            return Ok(());
        }
        let unread = entry.content.clear();
        let early = entry.reset.is_none() && entry.sending == Half::Open;
        entry.reset = Some((reason, Fate::ResetByPeer));
        entry.wake();
        self.release(unread);
        if early && self.role == Role::Server {
            self.guard.note(Abuse::RapidReset, now)?;
        }
        Ok(())
    }

    /// §6.5.
    fn settings(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
        if frame.stream != 0 {
            return broken(Reason::PROTOCOL_ERROR, "SETTINGS on a stream");
        }
        self.guard.note(Abuse::SettingsFlood, now)?;
        if frame.has(frame::ACK) {
            if frame.length != 0 {
                return broken(Reason::FRAME_SIZE_ERROR, "SETTINGS with ACK and a payload");
            }
            self.acknowledged = true;
            return Ok(());
        }
        if !frame.length.is_multiple_of(6) {
            return broken(Reason::FRAME_SIZE_ERROR, "SETTINGS of a wrong size");
        }
        let mut payload = self.io.input().split_to(frame.length);
        while payload.len() >= 6 {
            let (name, value) = (payload.get_u16(), payload.get_u32());
            self.setting(name, value)?;
        }
        frame::settings(self.io.out(), frame::ACK, &[]);
        self.wake_blocked();
        self.peer.told = true;
        self.wake_curious();
        Ok(())
    }

    /// §6.5.2.
    fn setting(&mut self, name: u16, value: u32) -> Result<(), Ended> {
        match name {
            setting::HEADER_TABLE_SIZE if value == self.peer.table => {}
            setting::HEADER_TABLE_SIZE => {
                self.peer.table = value;
                self.announce_no_table();
            }
            setting::ENABLE_PUSH if value > u32::from(self.role == Role::Server) => {
                return broken(Reason::PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH");
            }
            setting::MAX_CONCURRENT_STREAMS => self.peer.streams = value,
            setting::INITIAL_WINDOW_SIZE => {
                if value > LARGEST {
                    return broken(Reason::FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE");
                }
                // Open streams follow (§6.9.2).
                let change = i64::from(value) - i64::from(self.peer.window);
                self.peer.window = value;
                for entry in self.streams.values_mut() {
                    if entry.send_window.grow(change).is_err() {
                        return broken(Reason::FLOW_CONTROL_ERROR, "a stream's window over the largest");
                    }
                }
            }
            setting::MAX_FRAME_SIZE => {
                if !(16_384..=16_777_215).contains(&value) {
                    return broken(Reason::PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE");
                }
                self.peer.payload = PAYLOAD;
            }
            setting::ENABLE_CONNECT_PROTOCOL => {
                if value > 1 {
                    return broken(Reason::PROTOCOL_ERROR, "SETTINGS_ENABLE_CONNECT_PROTOCOL");
                }
                self.peer.connect_protocol = value == 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// §6.7.
    fn ping(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
        if frame.length != 8 {
            return broken(Reason::FRAME_SIZE_ERROR, "PING of a wrong size");
        }
        if frame.stream != 0 {
            return broken(Reason::PROTOCOL_ERROR, "PING on a stream");
        }
        let payload = self.io.input().get_u64();
        if frame.has(frame::ACK) {
            // The round trip that a leaving connection gives its peer.
            if self.leaving == Leaving::Announced {
                self.left();
                return Ok(());
            }
        }
        self.guard.note(Abuse::PingFlood, now)?;
        if !frame.has(frame::ACK) {
            frame::ping(self.io.out(), frame::ACK, payload.to_be_bytes());
        }
        Ok(())
    }

    /// §6.8.
    fn go_away(&mut self, frame: &Frame) -> Result<(), Ended> {
        if frame.stream != 0 {
            return broken(Reason::PROTOCOL_ERROR, "GOAWAY on a stream");
        }
        if frame.length < 8 {
            return broken(Reason::FRAME_SIZE_ERROR, "GOAWAY of a wrong size");
        }
        let mut payload = self.io.input().split_to(frame.length);
        let last = payload.get_u32() & LARGEST;
        self.peer_leaves = Some(last);
        if self.role == Role::Client {
            // What is over the last one was not looked at, and can be sent elsewhere.
            for (_, entry) in self.streams.iter_mut().filter(|(id, _)| **id > last) {
                entry.reset.get_or_insert((Reason::REFUSED_STREAM, Fate::ResetByPeer));
                entry.wake();
            }
        }
        Ok(())
    }

    /// §6.9.
    fn window_update(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
        if frame.length != 4 {
            return broken(Reason::FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size");
        }
        self.guard.note(Abuse::WindowUpdateFlood, now)?;
        let increment = self.io.input().get_u32() & LARGEST;
        if frame.stream == 0 {
            if increment == 0 {
                return broken(Reason::PROTOCOL_ERROR, "WINDOW_UPDATE of nothing");
            }
            if self.send_window.grow(i64::from(increment)).is_err() {
                return broken(Reason::FLOW_CONTROL_ERROR, "the connection's window over the largest");
            }
            self.wake_blocked();
            return Ok(());
        }
        if self.is_idle(frame.stream) {
            return broken(Reason::PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream");
        }
        let entry = self
            .streams
            .get_mut(&frame.stream)
            .filter(|entry| entry.reset.is_none());
        let grown = match entry {
            _ if increment == 0 => Err(Reason::PROTOCOL_ERROR),
            Some(entry) => {
                let grown = entry.send_window.grow(i64::from(increment));
                if entry.blocked {
                    entry.wake();
                }
                grown.map_err(|_| Reason::FLOW_CONTROL_ERROR)
            }
            // It was on its way when the stream ended (§5.1).
            None => Ok(()),
        };
        match grown {
            Ok(()) => Ok(()),
            Err(reason) => self.stream_error(frame.stream, reason, now),
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
