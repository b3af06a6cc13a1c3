//! Bodies taken apart: by length, by chunks (RFC 9112 §7.1) or until the connection ends.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, DATE, EXPECT, EXPIRES, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, RANGE, RETRY_AFTER, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY, VIA,
    WWW_AUTHENTICATE,
};

use super::buffer::{Buffered, Read};
use super::framing::Framing;
use super::head::Malformed;

/// The longest line that carries a chunk's size, extensions included. Nobody uses extensions; attackers do.
const CHUNK_LINE: usize = 256;
/// Bytes of extensions in a whole body: chunks of one byte would else cost hundreds of bytes each (RFC 9112 §7.1.1).
const EXTENSIONS: usize = 8 * 1024;
/// Bytes of a whole trailer section.
const TRAILERS: usize = 8 * 1024;
/// Lines of a trailer section.
const TRAILER_LINES: usize = 32;

/// Takes one body off a connection.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Bytes that chunk extensions may still take.
    extensions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

/// The next piece of a body.
#[derive(Debug)]
pub enum Piece {
    /// Some content, never empty.
    Data(Bytes),
    /// The trailer section, without the fields that may not stand there.
    Trailers(HeaderMap),
    /// There is nothing more; the connection stands behind the message.
    End,
}

/// Why a body could not be read.
#[derive(Debug)]
pub enum BodyError {
    /// The peer broke the message.
    Malformed(Malformed),
    /// The connection broke.
    Io(io::Error),
}

impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for BodyError {
    fn from(fault: Malformed) -> Self {
        Self::Malformed(fault)
    }
}

impl Decoder {
    /// For a body that is delimited like this.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Self {
            state,
            extensions: EXTENSIONS,
        }
    }

    /// Whether the whole body has been taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes still to come, where that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// The next piece, read from a connection.
    pub fn poll(&mut self, io: &mut Buffered, cx: &mut Context<'_>) -> Poll<Result<Piece, BodyError>> {
        loop {
            if let Some(piece) = self.decode(io.input())? {
                return Poll::Ready(Ok(piece));
            }
            let expected = match self.state {
                State::Length(left) | State::ChunkData(left) => left,
                _ => u64::MAX,
            };
            match (ready!(io.poll_read_body(cx, expected))?, self.state) {
                (Read::Data, _) => {}
                (Read::End, State::UntilClose) => self.state = State::Done,
                (Read::End, _) => return Poll::Ready(Err(Malformed::Truncated.into())),
            }
        }
    }

    /// The next piece, taken off `input`; `None` when more has to be read first.
    ///
    /// # Errors
    /// When the body breaks its framing.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Piece>, Malformed> {
        loop {
            match self.state {
                State::Done => return Ok(Some(Piece::End)),
                State::UntilClose => return Ok(take(input, u64::MAX).map(Piece::Data)),
                State::Length(left) => {
                    let Some(data) = take(input, left) else { return Ok(None) };
                    let left = left - data.len() as u64;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    return Ok(Some(Piece::Data(data)));
                }
                State::ChunkSize => {
                    let Some(line) = chunk_line(input)? else {
                        return Ok(None);
                    };
                    self.extensions = self.extensions.checked_sub(line.extensions).ok_or(Malformed::Chunk)?;
                    self.state = match line.size {
                        0 => State::Trailers,
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkData(left) => {
                    let Some(data) = take(input, left) else { return Ok(None) };
                    let left = left - data.len() as u64;
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::ChunkData(left)
                    };
                    return Ok(Some(Piece::Data(data)));
                }
                State::ChunkEnd => match input.get(..2) {
                    Some(b"\r\n") => {
                        input.advance(2);
                        self.state = State::ChunkSize;
                    }
                    Some(_) => return Err(Malformed::Chunk),
                    None => return Ok(None),
                },
                State::Trailers => match trailers(input)? {
                    Some(trailers) => {
                        self.state = State::Done;
                        if !trailers.is_empty() {
                            return Ok(Some(Piece::Trailers(trailers)));
                        }
                    }
                    None => return Ok(None),
                },
            }
        }
    }
}

fn take(input: &mut BytesMut, most: u64) -> Option<Bytes> {
    let length = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    (length > 0).then(|| input.split_to(length).freeze())
}

/// The line before a chunk's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ChunkLine {
    size: u64,
    /// Bytes of its extensions, which are read and dropped.
    extensions: usize,
}

/// The size line of a chunk, taken off the input when it is complete.
fn chunk_line(input: &mut BytesMut) -> Result<Option<ChunkLine>, Malformed> {
    let Some(end) = memchr::memchr(b'\n', &input[..input.len().min(CHUNK_LINE)]) else {
        return if input.len() >= CHUNK_LINE {
            Err(Malformed::Chunk)
        } else {
            Ok(None)
        };
    };
    let line = parse_chunk_line(&input[..end]).ok_or(Malformed::Chunk)?;
    input.advance(end + 1);
    Ok(Some(line))
}

/// `1*HEXDIG *( BWS ";" BWS extension ) CR`: no sign, no `0x`, no white space around the number alone.
fn parse_chunk_line(line: &[u8]) -> Option<ChunkLine> {
    let line = line.strip_suffix(b"\r")?;
    let length = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extensions) = line.split_at_checked(length)?;
    if digits.is_empty() || digits.len() > 15 || !are_extensions(extensions) {
        return None;
    }
    let size = digits.iter().try_fold(0_u64, |size, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(size << 4 | u64::from(digit))
    })?;
    Some(ChunkLine {
        size,
        extensions: extensions.len(),
    })
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` (RFC 9112 §7.1.1).
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(name) = after_blanks(rest)
            .strip_prefix(b";")
            .map(after_blanks)
            .and_then(after_token)
        else {
            return false;
        };
        rest = name;
        if let Some(value) = after_blanks(name).strip_prefix(b"=").map(after_blanks) {
            match after_token(value).or_else(|| after_quoted(value)) {
                Some(next) => rest = next,
                None => return false,
            }
        }
    }
    true
}

fn after_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text.get(blanks..).unwrap_or_default()
}

fn after_token(text: &[u8]) -> Option<&[u8]> {
    let token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    match text.iter().take_while(token).count() {
        0 => None,
        length => text.get(length..),
    }
}

/// A quoted string (RFC 9110 §5.6.4) without bytes beyond ASCII, which nobody needs here.
fn after_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b' '..=b'~' | b'\t', after @ ..] | [b' '..=b'~' | b'\t', after @ ..] => after,
            _ => return None,
        };
    }
}

/// The trailer section with its empty line, taken off the input when it is complete.
fn trailers(input: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    let mut lines = [httparse::EMPTY_HEADER; TRAILER_LINES];
    match httparse::parse_headers(input, &mut lines) {
        Ok(httparse::Status::Complete((length, lines))) => {
            let bare = |at: usize| at == 0 || input.get(at - 1) != Some(&b'\r');
            if length > TRAILERS || memchr::memchr_iter(b'\n', &input[..length]).any(bare) {
                return Err(Malformed::Trailer);
            }
            let mut map = HeaderMap::new();
            for line in lines {
                let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed::Trailer)?;
                if frames(&name) {
                    return Err(Malformed::Trailer);
                }
                if may_trail(&name) {
                    let value = HeaderValue::from_bytes(line.value).map_err(|_| Malformed::Trailer)?;
                    map.append(name, value);
                }
            }
            input.advance(length);
            Ok(Some(map))
        }
        Ok(httparse::Status::Partial) if input.len() <= TRAILERS => Ok(None),
        _ => Err(Malformed::Trailer),
    }
}

/// Fields that a recipient that merges trailers into the head would frame or route the message by: no mistake, but an attempt.
pub(crate) fn frames(name: &HeaderName) -> bool {
    matches!(*name, TRANSFER_ENCODING | CONTENT_LENGTH | HOST)
}

/// Fields for one connection, routing, conditions, authentication, caching and content may not stand in a trailer and are
/// dropped (RFC 9110 §6.5.1).
pub(crate) fn may_trail(name: &HeaderName) -> bool {
    let never = matches!(
        *name,
        AGE | AUTHORIZATION
            | CACHE_CONTROL
            | CONNECTION
            | CONTENT_ENCODING
            | CONTENT_LOCATION
            | CONTENT_RANGE
            | CONTENT_TYPE
            | COOKIE
            | DATE
            | EXPECT
            | EXPIRES
            | FORWARDED
            | IF_MATCH
            | IF_MODIFIED_SINCE
            | IF_NONE_MATCH
            | IF_RANGE
            | IF_UNMODIFIED_SINCE
            | LOCATION
            | MAX_FORWARDS
            | PROXY_AUTHENTICATE
            | PROXY_AUTHORIZATION
            | RANGE
            | RETRY_AFTER
            | SET_COOKIE
            | TE
            | TRAILER
            | UPGRADE
            | VARY
            | VIA
            | WWW_AUTHENTICATE
    );
    // What proxies say of clients has been written into the head.
    !never && !name.as_str().starts_with("x-forwarded-") && name.as_str() != "x-real-ip"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_chunk_line_is_hexadecimal_and_nothing_else() {
        for (line, size, extensions) in [
            ("0\r", 0, 0),
            ("1aF\r", 0x1af, 0),
            ("5;name=value\r", 5, 11),
            ("5 ; name = \"a \\\" b\"\t;other\r", 5, 25),
        ] {
            let expected = Some(ChunkLine { size, extensions });
            assert_eq!(parse_chunk_line(line.as_bytes()), expected, "{line:?}");
        }
        for refused in [
            "",
            "\r",
            "5",
            "+5\r",
            "-5\r",
            "0x5\r",
            " 5\r",
            "5 \r",
            "5\r\r",
            "g\r",
            "ffffffffffffffff\r",
            "5;a\nb\r",
            "5;\r",
            "5;;a\r",
            "5;a=\r",
            "5;a=\"b\r",
            "5;a \r",
            "5;a=b c\r",
            "5;a\rb\r",
            "5,a\r",
        ] {
            assert_eq!(parse_chunk_line(refused.as_bytes()), None, "{refused:?}");
        }
    }

    fn decode_all(input: &str) -> Result<(String, bool), Malformed> {
        let mut input = BytesMut::from(input);
        let mut decoder = Decoder::new(Framing::Chunked);
        let mut content = Vec::new();
        loop {
            match decoder.decode(&mut input)? {
                Some(Piece::Data(data)) => content.extend_from_slice(&data),
                Some(Piece::Trailers(_)) => {}
                Some(Piece::End) => return Ok((String::from_utf8(content).unwrap(), true)),
                None => return Ok((String::from_utf8(content).unwrap(), false)),
            }
        }
    }

    #[test]
    fn chunks_are_taken_apart_exactly() {
        assert_eq!(
            decode_all("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"),
            Ok(("abcde".into(), true))
        );
        assert_eq!(
            decode_all("3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"),
            Ok(("abc".into(), true))
        );
        assert_eq!(decode_all("3\r\nab"), Ok(("ab".into(), false)));
        for (refused, fault) in [
            ("3\r\nabcd\r\n0\r\n\r\n", Malformed::Chunk),
            ("3\nabc\r\n0\r\n\r\n", Malformed::Chunk),
            ("3\r\nabc\n0\r\n\r\n", Malformed::Chunk),
            ("0\r\nx-sum: 1\n\r\n", Malformed::Trailer),
            ("0\r\nContent-Length: 1\r\n\r\n", Malformed::Trailer),
            ("0\r\ntransfer-encoding: chunked\r\n\r\n", Malformed::Trailer),
        ] {
            assert_eq!(decode_all(refused), Err(fault), "{refused:?}");
        }
    }

    #[test]
    fn extensions_of_many_chunks_are_bounded_together() {
        let chunk = format!("1;{}\r\na\r\n", "e".repeat(200));
        assert!(decode_all(&format!("{}0\r\n\r\n", chunk.repeat(40))).is_ok());
        assert_eq!(
            decode_all(&format!("{}0\r\n\r\n", chunk.repeat(41))),
            Err(Malformed::Chunk)
        );
    }
}
