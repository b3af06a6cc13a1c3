//! Parts of a stored response: `Range` requests (RFC 9110 §14).
//!
//! A range request is a wish: where it is malformed, asks for too many or overlapping parts, or is for another unit, the
//! whole response answers it (§14.2).

use std::iter;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap};
use smallvec::SmallVec;

/// More ranges than this in one request are an attack (§17.15), and are answered by the whole.
const MOST_RANGES: usize = 16;

/// The bytes that are asked for: one range, seldom more.
pub(super) type Ranges = SmallVec<[Range<u64>; 1]>;

/// What a range request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    /// The whole response (200).
    Whole,
    /// One part (206).
    One(Range<u64>),
    /// Several parts (206, `multipart/byteranges`), with what stands between them.
    Many(Ranges, Boundary),
    /// No byte of what is there (416).
    None,
}

/// What separates parts. It is made anew for every response, so that nobody can write a content that contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary(pub(super) u128);

impl Parts {
    /// What a `Range` value asks of a content of this length.
    pub(super) fn of(value: &[u8], length: u64, boundary: impl FnOnce() -> Boundary) -> Self {
        let Some(specs) = parse(value) else { return Self::Whole };
        // Content-Range has no way to say anything of nothing.
        if length == 0 {
            return Self::Whole;
        }
        let ranges: Ranges = specs.iter().filter_map(|spec| spec.within(length)).collect();
        match ranges.as_slice() {
            [] => Self::None,
            [range] => Self::One(range.clone()),
            // Together more than the whole: they overlap.
            ranges if ranges.iter().map(|range| range.end - range.start).sum::<u64>() > length => Self::Whole,
            _ => Self::Many(ranges, boundary()),
        }
    }

    /// Makes the head of the whole response one of these parts.
    pub(super) fn describe(&self, headers: &mut HeaderMap, length: u64) {
        match self {
            Self::Whole => {}
            Self::One(range) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
                insert(headers, CONTENT_RANGE, &content_range(range, length));
            }
            Self::Many(ranges, boundary) => {
                let kind = headers.remove(CONTENT_TYPE);
                let total: u64 = pieces(ranges, *boundary, kind.as_ref(), length)
                    .map(|piece| piece.length())
                    .sum();
                headers.insert(CONTENT_LENGTH, HeaderValue::from(total));
                let multipart = format!("multipart/byteranges; boundary={:032x}", boundary.0);
                insert(headers, CONTENT_TYPE, &multipart);
            }
            Self::None => {
                for described in [
                    CONTENT_TYPE,
                    http::header::CONTENT_ENCODING,
                    http::header::CONTENT_LANGUAGE,
                ] {
                    headers.remove(described);
                }
                headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
                insert(headers, CONTENT_RANGE, &format!("bytes */{length}"));
            }
        }
    }

    /// These parts of the content. `kind` is the whole's Content-Type.
    pub(super) fn cut(&self, whole: &Bytes, kind: Option<&HeaderValue>) -> Bytes {
        match self {
            Self::Whole => whole.clone(),
            Self::One(range) => slice(whole, range),
            Self::Many(ranges, boundary) => {
                let mut content = BytesMut::new();
                for piece in pieces(ranges, *boundary, kind, whole.len() as u64) {
                    content.put_slice(&piece.before);
                    content.put_slice(&slice(whole, &piece.bytes));
                }
                content.freeze()
            }
            Self::None => Bytes::new(),
        }
    }
}

/// One of several parts, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What stands before it.
    pub before: Bytes,
    /// The bytes of the whole that follow; none behind what closes the last part.
    pub bytes: Range<u64>,
}

impl Piece {
    /// Bytes that are sent.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.before.len() as u64 + (self.bytes.end - self.bytes.start)
    }
}

/// Several parts as they are sent, one piece after the other. `kind` is the whole's Content-Type.
pub(super) fn pieces(
    ranges: &Ranges,
    boundary: Boundary,
    kind: Option<&HeaderValue>,
    length: u64,
) -> impl Iterator<Item = Piece> {
    let parts = ranges.iter().map(move |range| Piece {
        before: delimiter(boundary, kind, range, length).into(),
        bytes: range.clone(),
    });
    parts.chain(iter::once(Piece {
        before: closing(boundary).into(),
        bytes: 0..0,
    }))
}

fn insert(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn slice(whole: &Bytes, range: &Range<u64>) -> Bytes {
    let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(whole.len());
    let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
    whole.slice(start..end)
}

/// What `Content-Range` says of a part of a content of this length.
pub(super) fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1))
}

/// What stands before a part (§14.6).
fn delimiter(boundary: Boundary, kind: Option<&HeaderValue>, range: &Range<u64>, length: u64) -> Vec<u8> {
    let mut text = format!("\r\n--{:032x}\r\n", boundary.0).into_bytes();
    if let Some(kind) = kind {
        text.extend_from_slice(b"Content-Type: ");
        text.extend_from_slice(kind.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(format!("Content-Range: {}\r\n\r\n", content_range(range, length)).as_bytes());
    text
}

fn closing(boundary: Boundary) -> String {
    format!("\r\n--{:032x}--\r\n", boundary.0)
}

/// The first byte of the first range that is asked for; `None` where it is counted from the end.
pub(super) fn first_byte(value: &[u8]) -> Option<u64> {
    match parse(value)?.as_slice() {
        [Spec::From(first, _), ..] => Some(*first),
        _ => None,
    }
}

/// `bytes 0-9/25` (§14.4): the bytes, and the length of the whole. `None` where either is not told or makes no sense.
pub(super) fn parse_content_range(value: &[u8]) -> Option<(Range<u64>, u64)> {
    let (unit, rest) = value.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes ") {
        return None;
    }
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    let (range, total) = (rest.get(..slash)?, number(rest.get(slash + 1..)?)?);
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (number(range.get(..dash)?)?, number(range.get(dash + 1..)?)?);
    (first <= last && last < total).then(|| (first..last + 1, total))
}

/// One range as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// From this byte to that one, both included, or to the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

impl Spec {
    /// The bytes of a content of this length; `None` where it has none of them.
    fn within(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => first..last.map_or(length, |last| last.saturating_add(1).min(length)),
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

/// `bytes=0-1,5-,-3` (§14.1.1). `None` for what is to be ignored.
fn parse(value: &[u8]) -> Option<SmallVec<[Spec; 1]>> {
    let (unit, set) = value.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let mut specs = SmallVec::new();
    for spec in set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        // Lists may have empty members (§5.6.1).
        if spec.is_empty() {
            continue;
        }
        if specs.len() == MOST_RANGES {
            return None;
        }
        let dash = spec.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
        specs.push(match (first, last) {
            (b"", last) => Spec::Last(number(last)?),
            (first, b"") => Spec::From(number(first)?, None),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                Spec::From(first, Some(last))
            }
        });
    }
    (!specs.is_empty()).then_some(specs)
}

/// A number of digits and nothing else; one beyond all contents counts as the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init)]

    use proptest::prelude::*;

    use super::*;

    fn parts(value: &str, length: u64) -> Parts {
        Parts::of(value.as_bytes(), length, || Boundary(1))
    }

    #[test]
    fn rfc9110_14_1_2_byte_ranges() {
        for (value, start, end) in [
            ("bytes=0-0", 0, 1),
            ("bytes=0-499", 0, 10),
            ("BYTES=2-3", 2, 4),
            ("bytes=9-", 9, 10),
            ("bytes=-3", 7, 10),
            ("bytes=-300", 0, 10),
            ("bytes=0-99999999999999999999999", 0, 10),
            ("bytes= 1-2 , ", 1, 3),
            ("bytes=1-2,20-30", 1, 3),
        ] {
            assert_eq!(parts(value, 10), Parts::One(start..end), "{value}");
        }
    }

    #[test]
    fn rfc9110_14_2_what_is_malformed_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=a-b",
            "bytes=3-2",
            "bytes=-",
            "bytes=--1",
            "bytes=1",
            "bytes 0-1",
            "lines=0-1",
            "bytes=0x1-2",
            "bytes=+1-2",
            "bytes=0-1;2-3",
            "bytes=0 - 1",
        ] {
            assert_eq!(parts(value, 10), Parts::Whole, "{value}");
        }
    }

    #[test]
    fn rfc9110_15_5_17_ranges_that_are_not_there() {
        for value in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=20-30,40-50"] {
            assert_eq!(parts(value, 10), Parts::None, "{value}");
        }
        assert_eq!(parts("bytes=0-", 0), Parts::Whole);
    }

    #[test]
    fn rfc9110_17_15_range_bombs_get_the_whole_once() {
        let many = |count: usize| {
            format!(
                "bytes={}",
                (0..count).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(",")
            )
        };
        assert!(matches!(parts(&many(16), 100), Parts::Many(..)));
        assert_eq!(parts(&many(17), 100), Parts::Whole);
        assert_eq!(parts("bytes=0-,0-,0-,0-", 100), Parts::Whole);
        assert_eq!(parts("bytes=0-60,40-99", 100), Parts::Whole);
    }

    #[test]
    fn rfc9110_14_6_several_parts() {
        let parts = parts("bytes=0-1,-2", 10);
        let kind = HeaderValue::from_static("text/plain");
        let content = parts.cut(&Bytes::from_static(b"0123456789"), Some(&kind));
        let boundary = "00000000000000000000000000000001";
        assert_eq!(
            String::from_utf8_lossy(&content),
            format!(
                "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
                 \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--{boundary}--\r\n"
            )
        );
        let mut headers: HeaderMap = [(CONTENT_TYPE, kind)].into_iter().collect();
        parts.describe(&mut headers, 10);
        assert_eq!(headers[CONTENT_LENGTH], content.len().to_string());
        assert_eq!(
            headers[CONTENT_TYPE],
            format!("multipart/byteranges; boundary={boundary}")
        );
    }

    #[test]
    fn rfc9110_14_4_content_range() {
        for (value, expected) in [
            ("bytes 0-9/25", Some((0..10, 25))),
            ("BYTES 24-24/25", Some((24..25, 25))),
            ("bytes 0-9/*", None),
            ("bytes */25", None),
            ("bytes 9-0/25", None),
            ("bytes 20-25/25", None),
            ("bytes=0-9/25", None),
            ("bytes 0-99999999999999999999/99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(parse_content_range(value.as_bytes()), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_whole(value in "bytes=[0-9,\\- ]{0,40}", length in 0..200_u64) {
            let whole = Bytes::from(vec![b'x'; usize::try_from(length).unwrap_or(0)]);
            let parts = parts(&value, length);
            if let Parts::One(range) = &parts {
                prop_assert!(range.start < range.end && range.end <= length);
            }
            let mut headers = HeaderMap::new();
            parts.describe(&mut headers, length);
            if parts != Parts::Whole {
                prop_assert_eq!(&headers[CONTENT_LENGTH], &parts.cut(&whole, None).len().to_string());
            }
        }
    }
}
