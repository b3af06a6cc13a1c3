//! HTTP/2 frame by frame: a client in clear (prior knowledge) that sends what it is told to, right or wrong.
//!
//! Header blocks are written as plain literals and the answers' blocks are only looked at as far as tests need it, so that
//! nothing here depends on a library's idea of the protocol.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::PATIENCE;

/// Types of frames (RFC 9113 §6).
#[allow(missing_docs, reason = "the names of the RFC")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags.
#[allow(missing_docs, reason = "the names of the RFC")]
pub mod flag {
    pub const NONE: u8 = 0;
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
    /// A whole request without a body.
    pub const WHOLE: u8 = END_STREAM | END_HEADERS;
}

/// Error codes (§7).
#[allow(missing_docs, reason = "the names of the RFC")]
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// What a client's side of a connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The least that a request has.
pub const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "weir.test"),
];

/// The same with a body to follow.
pub const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "weir.test"),
];

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let [_, a, b, c] = u32::try_from(payload.len()).expect("a small payload").to_be_bytes();
    let mut bytes = vec![a, b, c, kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// SETTINGS with these values.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|(name, value)| name.to_be_bytes().into_iter().chain(value.to_be_bytes()))
        .collect();
    frame(kind::SETTINGS, flag::NONE, 0, payload)
}

/// WINDOW_UPDATE.
pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, flag::NONE, stream, increment.to_be_bytes())
}

/// RST_STREAM.
pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, flag::NONE, stream, code.to_be_bytes())
}

/// A header block of plain literals that nobody adds to a table.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let bytes: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    block_of_bytes(&bytes)
}

/// The same for names and values that are no text.
pub fn block_of_bytes(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

fn string(block: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        block.push(text.len() as u8);
    } else {
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push(128 | (rest & 127) as u8);
            rest >>= 7;
        }
        block.push(rest as u8);
    }
    block.extend(text);
}

/// HEADERS with these fields.
pub fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(kind::HEADERS, flags, stream, block(fields))
}

/// A GET on a stream.
pub fn get(stream: u32) -> Vec<u8> {
    headers(stream, flag::WHOLE, &GET)
}

/// A frame from the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`].
    pub kind: u8,
    /// Of [`flag`].
    pub flags: u8,
    /// 0 is the connection.
    pub stream: u32,
    /// Padding and priority included.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == kind::GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(at..at + 4).expect("an error code");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }

    /// Whether it ends its stream.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & flag::END_STREAM != 0
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

impl Client {
    /// Connects and says nothing.
    pub fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        Self { stream }
    }

    /// Connects with preface and settings, and confirms the proxy's.
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[])
    }

    /// The same with these settings.
    pub fn connect_with(address: SocketAddr, values: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(address);
        client.send(PREFACE);
        client.send(settings(values));
        let first = client.frame().expect("the proxy's SETTINGS");
        assert_eq!(
            (first.kind, first.flags & flag::ACK),
            (kind::SETTINGS, 0),
            "RFC 9113 §3.4: SETTINGS come first"
        );
        client.send(frame(kind::SETTINGS, flag::ACK, 0, []));
        client
    }

    /// Sends bytes to a proxy that has to take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("send to the proxy");
    }

    /// Sends bytes to a proxy that may have closed already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// A second handle, to send on while frames are read.
    pub fn sender(&self) -> TcpStream {
        self.stream.try_clone().expect("a second handle of the socket")
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// The next frame; nothing once the proxy has closed.
    pub fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, s0, s1, s2, s3] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            payload,
        })
    }

    /// Reads over frames until one fits; nothing once the proxy has closed.
    pub fn find(&mut self, fits: impl Fn(&Frame) -> bool) -> Option<Frame> {
        std::iter::from_fn(|| self.frame()).find(fits)
    }

    /// The error code with which the proxy ends the connection; fails when it closes without one.
    pub fn goaway(&mut self) -> u32 {
        let last = self.find(|frame| frame.kind == kind::GOAWAY);
        last.expect("GOAWAY before the connection ends").code()
    }

    /// Fails unless the connection still answers a PING.
    pub fn ping(&mut self) {
        self.send(frame(kind::PING, flag::NONE, 0, b"are you?"));
        let answer = self.find(|frame| matches!(frame.kind, kind::PING | kind::GOAWAY));
        assert!(
            answer
                .as_ref()
                .is_some_and(|frame| frame.kind == kind::PING && frame.payload == b"are you?"),
            "the connection answers no PING but {answer:?}"
        );
    }

    /// The frames of a response, up to the end of its stream.
    pub fn response(&mut self, stream: u32) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.find(|frame| frame.stream == stream || frame.kind == kind::GOAWAY) {
            assert_ne!(
                frame.kind,
                kind::GOAWAY,
                "GOAWAY with {} instead of a response",
                frame.code()
            );
            let last = frame.ends_stream() || frame.kind == kind::RST_STREAM;
            frames.push(frame);
            if last {
                return frames;
            }
        }
        panic!("the connection ended before stream {stream}: {frames:?}");
    }

    /// The status of a response, from the forms in which Weir writes it.
    pub fn status(&mut self, stream: u32) -> u16 {
        let frames = self.response(stream);
        let head = frames.first().expect("a frame");
        assert_eq!(head.kind, kind::HEADERS, "{head:?}");
        status_of(&head.payload)
    }
}

/// The status at the start of a header block: indexed, or a literal with an indexed name.
pub fn status_of(block: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [0x20, rest @ ..] => status_of(rest),
        [first @ 0x88..=0x8e, ..] => INDEXED[usize::from(first - 0x88)],
        [0x08, 3, a, b, c, ..] => [a, b, c]
            .into_iter()
            .fold(0, |status, digit| status * 10 + u16::from(digit - b'0')),
        _ => panic!("no status at the start of {block:?}"),
    }
}
