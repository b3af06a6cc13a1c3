//! Messages written anew from what was parsed; nothing is ever copied from one side's bytes to the other's.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode, Version};

use super::buffer::Buffered;
use super::framing::Framing;
use super::head::Persistence;

/// The size of an IMF-fixdate.
pub const DATE_LENGTH: usize = 29;

/// Writes one header line.
pub fn header(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// Writes the line that says how the body is delimited, where one is needed.
pub fn framing(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => {
            out.put_slice(b"content-length: ");
            out.put_slice(itoa::Buffer::new().format(length).as_bytes());
            out.put_slice(b"\r\n");
        }
        Framing::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
    }
}

/// What a response head says besides its own headers.
#[derive(Debug, Clone, Copy)]
pub struct ResponseLine<'a> {
    /// The status.
    pub status: StatusCode,
    /// What is told about the body.
    pub told: Told,
    /// Whether the connection stays open.
    pub persistence: Persistence,
    /// The request's version; an HTTP/1.0 client has to be told of keep-alive.
    pub version: Version,
    /// The current time, for a response without `Date` (RFC 9110 §6.6.1).
    pub date: &'a [u8; DATE_LENGTH],
    /// Lines that are sent as they are, before the other headers: with a `Date`, unless there is none, and without anything
    /// about framing and connection.
    pub lines: [&'a [u8]; 2],
}

/// What a response head says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// How the body that follows is delimited.
    Framing(Framing),
    /// The length that the body of a GET would have had; none follows (HEAD, 304).
    Length(u64),
    /// Nothing, and none follows.
    Nothing,
}

/// Writes a response head. Framing and connection headers in `headers` are replaced by what `line` says.
pub fn response_head(out: &mut BytesMut, line: &ResponseLine<'_>, headers: &HeaderMap) {
    out.reserve(512);
    status_line(out, line.status);
    let mut has_date = line.lines.iter().any(|lines| !lines.is_empty());
    for lines in line.lines {
        out.extend_from_slice(lines);
    }
    for (name, value) in headers {
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING || *name == CONNECTION {
            continue;
        }
        has_date |= *name == DATE;
        header(out, name.as_str(), value.as_bytes());
    }
    if !has_date {
        header(out, "date", line.date);
    }
    match line.told {
        Told::Nothing => {}
        Told::Length(_) if line.status == StatusCode::NO_CONTENT => {}
        Told::Length(length) => framing(out, Framing::Length(length)),
        Told::Framing(Framing::None) if has_no_content(line.status) => {}
        Told::Framing(Framing::None) => framing(out, Framing::Length(0)),
        Told::Framing(told) => framing(out, told),
    }
    match line.persistence {
        Persistence::Close => out.put_slice(b"connection: close\r\n"),
        Persistence::KeepAlive if line.version < Version::HTTP_11 => out.put_slice(b"connection: keep-alive\r\n"),
        Persistence::KeepAlive => {}
    }
    out.put_slice(b"\r\n");
}

fn status_line(out: &mut BytesMut, status: StatusCode) {
    // Nearly every one, in one piece.
    if status == StatusCode::OK {
        out.put_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_slice(b" ");
    out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
}

/// Writes the head of an interim response, which ends where it ends (RFC 9112 §6.3).
pub fn interim_head(out: &mut BytesMut, status: StatusCode, headers: &HeaderMap) {
    status_line(out, status);
    for (name, value) in headers {
        header(out, name.as_str(), value.as_bytes());
    }
    out.put_slice(b"\r\n");
}

/// Statuses whose responses never have content, so that a length would be wrong (RFC 9110 §8.6).
#[must_use]
pub fn has_no_content(status: StatusCode) -> bool {
    status.is_informational() || matches!(status.as_u16(), 204 | 304)
}

/// Queues content in the body's coding.
pub fn data(io: &mut Buffered, coding: Framing, data: Bytes) {
    if data.is_empty() {
        return;
    }
    if coding == Framing::Chunked {
        let mut line = [0_u8; 18];
        let size = hex_line(data.len(), &mut line);
        io.out().put_slice(size);
        io.queue(data);
        io.out().put_slice(b"\r\n");
    } else {
        io.queue(data);
    }
}

/// Queues the end of a body, with its trailers where there are any.
pub fn end(io: &mut Buffered, coding: Framing, trailers: Option<&HeaderMap>) {
    if coding != Framing::Chunked {
        return;
    }
    let out = io.out();
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        header(out, HeaderName::as_str(name), value.as_bytes());
    }
    out.put_slice(b"\r\n");
}

fn hex_line(mut size: usize, line: &mut [u8; 18]) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    line[16] = b'\r';
    line[17] = b'\n';
    let mut at = 16;
    loop {
        at -= 1;
        line[at] = DIGITS[size & 15];
        size >>= 4;
        if size == 0 {
            return &line[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn chunk_sizes_are_written_in_hexadecimal() {
        let mut line = [0; 18];
        assert_eq!(hex_line(1, &mut line), b"1\r\n");
        assert_eq!(hex_line(0x1f0a, &mut line), b"1f0a\r\n");
        assert_eq!(hex_line(usize::MAX, &mut line), b"ffffffffffffffff\r\n");
    }

    #[test]
    fn a_response_head_says_its_framing_once() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 99.into());
        headers.insert("x-a", "1".parse().unwrap());
        let mut out = BytesMut::new();
        let line = ResponseLine {
            status: StatusCode::OK,
            told: Told::Framing(Framing::Length(5)),
            persistence: Persistence::Close,
            version: Version::HTTP_11,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
            lines: [b""; 2],
        };
        response_head(&mut out, &line, &headers);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "HTTP/1.1 200 OK\r\nx-a: 1\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"
        );
    }
}
