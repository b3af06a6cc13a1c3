//! What steers a connection and its streams: every frame that is no part of a message (§6.3 to §6.9).

use bytes::Buf;

use super::super::connection::{Inner, Leaving};
use super::super::entry::{Fate, Half};
use super::super::frame::{self, Frame, LARGEST, PAYLOAD, Reason, setting};
use super::super::guard::Abuse;
use super::super::link::{Ended, Role};
use super::broken;

impl Inner {
    /// §6.3: read for its size and nothing else.
    pub(super) fn priority(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
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
    pub(super) fn rst_stream(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
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
    pub(super) fn settings(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
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
    pub(super) fn ping(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
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
    pub(super) fn go_away(&mut self, frame: &Frame) -> Result<(), Ended> {
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
    pub(super) fn window_update(&mut self, frame: &Frame, now: u64) -> Result<(), Ended> {
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
}
