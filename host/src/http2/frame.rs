//! Frames: the nine bytes in front, their types, flags and error codes (RFC 9113 §4.1, §6, §7).

use std::fmt;

use bytes::{BufMut, BytesMut};

/// What a client's side of a connection begins with (§3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes in front of a payload.
pub const HEADER: usize = 9;
/// The largest payload that Weir takes and sends: what every peer has to take (§4.2).
pub const PAYLOAD: usize = 16 * 1024;
/// The window that streams and connections start with (§6.9.2).
pub const INITIAL_WINDOW: u32 = 65_535;
/// The largest window (§6.9.1), and the largest stream identifier.
pub const LARGEST: u32 = (1 << 31) - 1;

/// END_STREAM of DATA and HEADERS.
pub const END_STREAM: u8 = 0x1;
/// ACK of SETTINGS and PING.
pub const ACK: u8 = 0x1;
/// END_HEADERS of HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 0x4;
/// PADDED of DATA and HEADERS.
pub const PADDED: u8 = 0x8;
/// PRIORITY of HEADERS.
pub const PRIORITY: u8 = 0x20;

/// How far the first bytes of a connection are those of [`PREFACE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preface {
    /// They are something else.
    None,
    /// So far.
    Begun,
    /// As far as what nobody means in HTTP/1.1.
    Whole,
}

/// Tells HTTP/2 with prior knowledge (§3.3) from HTTP/1.1.
#[must_use]
pub fn preface(input: &[u8]) -> Preface {
    const TOLD_APART: usize = b"PRI * HTTP/2.0\r\n".len();
    let length = input.len().min(TOLD_APART);
    match (input.get(..length) == PREFACE.get(..length), length) {
        (false, _) => Preface::None,
        (true, TOLD_APART) => Preface::Whole,
        (true, _) => Preface::Begun,
    }
}

/// Settings (§6.5.2, RFC 8441 §3).
pub mod setting {
    /// Size of the peer's decoding table.
    pub const HEADER_TABLE_SIZE: u16 = 1;
    /// Whether the server may push.
    pub const ENABLE_PUSH: u16 = 2;
    /// Streams that the peer may open.
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    /// Window of new streams.
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    /// Largest payload.
    pub const MAX_FRAME_SIZE: u16 = 5;
    /// Largest list of fields.
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    /// Whether CONNECT may name a protocol.
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// The type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Content.
    Data,
    /// The start of a header block.
    Headers,
    /// Deprecated priority (§5.3.2).
    Priority,
    /// The end of a stream.
    RstStream,
    /// What the sender holds its peer to.
    Settings,
    /// Only servers send it, and Weir does not.
    PushPromise,
    /// Is anybody there.
    Ping,
    /// The end of a connection.
    GoAway,
    /// More of a window.
    WindowUpdate,
    /// More of a header block.
    Continuation,
    /// Of an extension that Weir does not know: to be ignored (§5.5).
    Unknown,
}

impl Kind {
    fn of(code: u8) -> Self {
        match code {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::RstStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Headers => 1,
            Self::Priority => 2,
            Self::RstStream => 3,
            Self::Settings => 4,
            Self::PushPromise => 5,
            Self::Ping => 6,
            Self::GoAway => 7,
            Self::WindowUpdate => 8,
            Self::Continuation => 9,
            // Never sent.
            Self::Unknown => u8::MAX,
        }
    }
}

/// The nine bytes, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the payload.
    pub length: usize,
    /// The type.
    pub kind: Kind,
    /// The flags, those without meaning for the type among them.
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
}

impl Frame {
    /// Reads the nine bytes; `None` while they are not all there.
    #[must_use]
    pub fn peek(input: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, s0, s1, s2, s3] = input.first_chunk::<HEADER>()?;
        Some(Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind: Kind::of(kind),
            flags,
            // The first bit is reserved and ignored (§4.1).
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & LARGEST,
        })
    }

    /// Whether a flag is set.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Writes the nine bytes in front of a payload.
pub fn head(out: &mut BytesMut, kind: Kind, flags: u8, stream: u32, length: usize) {
    out.reserve(HEADER + length.min(256));
    out.put_uint(length as u64, 3);
    out.put_u8(kind.code());
    out.put_u8(flags);
    out.put_u32(stream);
}

/// Writes RST_STREAM (§6.4).
pub fn rst_stream(out: &mut BytesMut, stream: u32, reason: Reason) {
    head(out, Kind::RstStream, 0, stream, 4);
    out.put_u32(reason.0);
}

/// Writes GOAWAY (§6.8).
pub fn go_away(out: &mut BytesMut, last: u32, reason: Reason) {
    head(out, Kind::GoAway, 0, 0, 8);
    out.put_u32(last);
    out.put_u32(reason.0);
}

/// Writes WINDOW_UPDATE (§6.9).
pub fn window_update(out: &mut BytesMut, stream: u32, increment: u32) {
    head(out, Kind::WindowUpdate, 0, stream, 4);
    out.put_u32(increment);
}

/// Writes PING (§6.7).
pub fn ping(out: &mut BytesMut, flags: u8, payload: [u8; 8]) {
    head(out, Kind::Ping, flags, 0, 8);
    out.put_slice(&payload);
}

/// Writes SETTINGS (§6.5).
pub fn settings(out: &mut BytesMut, flags: u8, settings: &[(u16, u32)]) {
    head(out, Kind::Settings, flags, 0, settings.len() * 6);
    for (name, value) in settings {
        out.put_u16(*name);
        out.put_u32(*value);
    }
}

/// Why a stream or a connection ends (§7). Codes that nobody knows are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(pub u32);

impl Reason {
    /// Nothing is wrong.
    pub const NO_ERROR: Self = Self(0);
    /// The protocol was broken.
    pub const PROTOCOL_ERROR: Self = Self(1);
    /// Weir's own fault, or that of a server behind it.
    pub const INTERNAL_ERROR: Self = Self(2);
    /// More than the window.
    pub const FLOW_CONTROL_ERROR: Self = Self(3);
    /// A frame after the stream's end.
    pub const STREAM_CLOSED: Self = Self(5);
    /// A frame of a wrong size.
    pub const FRAME_SIZE_ERROR: Self = Self(6);
    /// Not looked at, so that it can be sent again.
    pub const REFUSED_STREAM: Self = Self(7);
    /// No longer wanted.
    pub const CANCEL: Self = Self(8);
    /// The tables of header compression differ.
    pub const COMPRESSION_ERROR: Self = Self(9);
    /// The tunnel broke.
    pub const CONNECT_ERROR: Self = Self(10);
    /// Too much of something.
    pub const ENHANCE_YOUR_CALM: Self = Self(11);
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        match NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = BytesMut::new();
        head(&mut out, Kind::Data, END_STREAM, 5, 70_000);
        let frame = Frame::peek(&out);
        let expected = Frame {
            length: 70_000,
            kind: Kind::Data,
            flags: END_STREAM,
            stream: 5,
        };
        assert_eq!(frame, Some(expected));
        assert_eq!(Frame::peek(&out[..8]), None);
    }

    #[test]
    fn the_reserved_bit_is_ignored() {
        let frame = Frame::peek(&[0, 0, 4, 8, 0, 0x80, 0, 0, 3]);
        assert_eq!(frame.map(|frame| frame.stream), Some(3));
    }
}
