//! A check of a server that speaks HTTP/2 (RFC 9113): one GET on a connection of its own, read up to its status.
//!
//! Checks live on a thread without workers, so that this is a client of frames and nothing more: no windows, because no content
//! is waited for, and no second stream.

use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::checker::LARGEST_HEAD;
use crate::http2::frame::{self, Frame, Kind, Reason, setting};
use crate::http2::hpack::decode::{Decoder, Field, Pseudo};
use crate::http2::hpack::encode;

const STREAM: u32 = 1;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Get<'a> {
    /// `https` or `http`.
    pub(super) scheme: &'a str,
    /// Host, and port where it is not the scheme's.
    pub(super) authority: &'a str,
    /// Path and query.
    pub(super) path: &'a str,
}

/// Asks, and gives the status of the final response.
pub(super) async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, get: &Get<'_>) -> io::Result<u16> {
    let mut out = BytesMut::from(&frame::PREFACE[..]);
    frame::settings(&mut out, 0, &[(setting::ENABLE_PUSH, 0)]);
    head(&mut out, get);
    stream.write_all(&out).await?;
    stream.flush().await?;
    let mut input = BytesMut::with_capacity(4096);
    let mut answer = Answer::default();
    loop {
        out.clear();
        while let Some(frame) = next(&mut input)? {
            let payload = input.split_to(frame.length);
            if let Some(status) = answer.take(&frame, payload, &mut out)? {
                return Ok(status);
            }
        }
        stream.write_all(&out).await?;
        stream.flush().await?;
        if stream.read_buf(&mut input).await? == 0 {
            let what = "connection closed before a response head";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
    }
}

fn head(out: &mut BytesMut, get: &Get<'_>) {
    let mut block = BytesMut::new();
    encode::method(&mut block, b"GET");
    encode::scheme(&mut block, get.scheme.as_bytes());
    encode::authority(&mut block, get.authority.as_bytes());
    encode::path(&mut block, get.path.as_bytes());
    encode::literal(&mut block, b"user-agent", b"weir-health-check");
    encode::literal(&mut block, b"accept", b"*/*");
    frame::head(
        out,
        Kind::Headers,
        frame::END_HEADERS | frame::END_STREAM,
        STREAM,
        block.len(),
    );
    out.extend_from_slice(&block);
}

/// The next frame whose payload is there, taken up to its payload.
fn next(input: &mut BytesMut) -> io::Result<Option<Frame>> {
    let Some(frame) = Frame::peek(input) else {
        return Ok(None);
    };
    if frame.length > frame::PAYLOAD {
        return Err(malformed("a frame over the largest size"));
    }
    if input.len() < frame::HEADER + frame.length {
        return Ok(None);
    }
    input.advance(frame::HEADER);
    Ok(Some(frame))
}

/// What has come of the answer.
#[derive(Default)]
struct Answer {
    decoder: Decoder,
    block: BytesMut,
}

impl Answer {
    /// Takes a frame, and gives the status once it is told.
    fn take(&mut self, frame: &Frame, payload: BytesMut, out: &mut BytesMut) -> io::Result<Option<u16>> {
        match frame.kind {
            Kind::Settings if !frame.has(frame::ACK) => frame::settings(out, frame::ACK, &[]),
            Kind::Ping if !frame.has(frame::ACK) => {
                let told = payload
                    .first_chunk()
                    .ok_or_else(|| malformed("a PING of a wrong size"))?;
                frame::ping(out, frame::ACK, *told);
            }
            Kind::GoAway => return Err(gone("GOAWAY", payload.get(4..))),
            Kind::RstStream if frame.stream == STREAM => return Err(gone("RST_STREAM", payload.get(..))),
            Kind::Headers if frame.stream == STREAM => {
                self.block = fragment(frame, payload).ok_or_else(|| malformed("HEADERS with too much padding"))?;
                return self.decode(frame);
            }
            Kind::Continuation if frame.stream == STREAM => {
                self.block.unsplit(payload);
                if self.block.len() > LARGEST_HEAD {
                    return Err(malformed("a response head that does not end"));
                }
                return self.decode(frame);
            }
            _ => {}
        }
        Ok(None)
    }

    fn decode(&mut self, frame: &Frame) -> io::Result<Option<u16>> {
        if !frame.has(frame::END_HEADERS) {
            return Ok(None);
        }
        let mut status = None;
        let block = self.block.split();
        let decoded = self.decoder.decode(&block, |field, _| {
            if let Field::Pseudo(Pseudo::Status, value) = field {
                status = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
            }
        });
        decoded.map_err(|_| malformed("a header block that cannot be decoded"))?;
        match status {
            // An interim response says nothing yet.
            Some(100..=199) => Ok(None),
            Some(status) => Ok(Some(status)),
            None => Err(malformed("no status")),
        }
    }
}

/// A header block without padding and priority (§6.2).
fn fragment(frame: &Frame, mut payload: BytesMut) -> Option<BytesMut> {
    let mut padding = 0;
    if frame.has(frame::PADDED) {
        padding = usize::from(*payload.first()?);
        payload.advance(1);
    }
    if frame.has(frame::PRIORITY) {
        payload = payload.split_off(5.min(payload.len()));
    }
    payload.truncate(payload.len().checked_sub(padding)?);
    Some(payload)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed response: {what}"))
}

fn gone(how: &str, code: Option<&[u8]>) -> io::Error {
    let code = code.and_then(|code| code.first_chunk()).copied().unwrap_or_default();
    io::Error::other(format!("{how}: {}", Reason(u32::from_be_bytes(code))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::StatusCode;

    use super::*;

    /// What comes of frames that a server sends.
    fn answer(frames: &[(Kind, u8, u32, &[u8])]) -> Result<Option<u16>, String> {
        let (mut answer, mut out) = (Answer::default(), BytesMut::new());
        for (kind, flags, stream, payload) in frames {
            let mut bytes = BytesMut::new();
            frame::head(&mut bytes, *kind, *flags, *stream, payload.len());
            let frame = Frame::peek(&bytes).unwrap();
            let told = answer.take(&frame, BytesMut::from(*payload), &mut out);
            if let Some(status) = told.map_err(|error| error.to_string())? {
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    fn block(status: StatusCode) -> Vec<u8> {
        let mut block = BytesMut::new();
        encode::status(&mut block, status);
        block.to_vec()
    }

    #[test]
    fn the_status_is_that_of_the_final_response() {
        let (hints, ok) = (block(StatusCode::EARLY_HINTS), block(StatusCode::OK));
        let padded = [&[2, 0, 0, 0, 0, 9][..], &ok, &[0, 0]].concat();
        let both = frame::PADDED | frame::PRIORITY | frame::END_HEADERS;
        let frames: [(Kind, u8, u32, &[u8]); 3] = [
            (Kind::Settings, 0, 0, &[]),
            (Kind::Headers, frame::END_HEADERS, 1, &hints),
            (Kind::Headers, both, 1, &padded),
        ];
        assert_eq!(answer(&frames), Ok(Some(200)));
        let busy = block(StatusCode::SERVICE_UNAVAILABLE);
        let (start, end) = busy.split_at(2);
        let pieces: [(Kind, u8, u32, &[u8]); 2] = [
            (Kind::Headers, 0, 1, start),
            (Kind::Continuation, frame::END_HEADERS, 1, end),
        ];
        assert_eq!(answer(&pieces), Ok(Some(503)));
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let cases: [(Kind, u8, u32, &[u8], &str); 5] = [
            (
                Kind::GoAway,
                0,
                0,
                &[0, 0, 0, 0, 0, 0, 0, 11],
                "GOAWAY: ENHANCE_YOUR_CALM",
            ),
            (Kind::RstStream, 0, 1, &[0, 0, 0, 7], "RST_STREAM: REFUSED_STREAM"),
            (
                Kind::Headers,
                frame::END_HEADERS,
                1,
                &[0x80],
                "malformed response: a header block that cannot be decoded",
            ),
            (
                Kind::Headers,
                frame::END_HEADERS,
                1,
                &[],
                "malformed response: no status",
            ),
            (
                Kind::Headers,
                frame::PADDED,
                1,
                &[9, 1],
                "malformed response: HEADERS with too much padding",
            ),
        ];
        for (kind, flags, stream, payload, error) in cases {
            assert_eq!(answer(&[(kind, flags, stream, payload)]), Err(error.to_owned()));
        }
    }
}
