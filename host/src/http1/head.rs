//! Message heads: parsed by `httparse`, then held to what RFC 9112 lets a recipient be strict about.
//!
//! `httparse` already refuses control bytes in names and values, obsolete folding, whitespace before the colon and a bare CR.
//! What it lets pass and this file refuses is named in [`Malformed`].

use std::fmt;
use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri, Version};

use super::names::Names;

/// The largest number of header lines that a head may have, whatever the configuration says.
pub const MAX_HEADERS: usize = 256;
/// Bytes of a method. The longest one that is registered has 17; a longer one than a server knows is 501 (RFC 9112 §3).
const METHOD: usize = 64;

/// Bounds on a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the whole head.
    pub bytes: usize,
    /// Header lines, at most [`MAX_HEADERS`].
    pub lines: usize,
    /// Bytes of the request target.
    pub target: usize,
}

/// A request head: parsed, or made of what HTTP/2 has in its place.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target in origin, absolute, authority or asterisk form.
    pub uri: Uri,
    /// HTTP/1.0 or HTTP/1.1; HTTP/2 in the heads of exchanges.
    pub version: Version,
    /// Every field, in order.
    pub headers: HeaderMap,
    /// The names that fields have, or any: whoever adds a field of another name has to say so here.
    pub names: Names,
    /// The bytes of the head, of which the parts above are slices; empty in HTTP/2, and in exchanges of Weir's own.
    pub received: Bytes,
    /// Whether it stands for an extended CONNECT.
    pub connect: Connect,
}

/// Whether a request was an extended CONNECT of HTTP/2, and is the upgrade of HTTP/1.1 that it stands for (RFC 8441).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Connect {
    /// It is what it says.
    #[default]
    No,
    /// It was one.
    Extended,
}

/// A response head.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: StatusCode,
    /// HTTP/1.0 or HTTP/1.1, where it was parsed.
    pub version: Version,
    /// Every field, in order.
    pub headers: HeaderMap,
}

impl RequestHead {
    /// What version and `Connection` say about the connection.
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        if self.names.may_have("connection") {
            return persistence(self.version, &self.headers);
        }
        match self.version {
            Version::HTTP_09 | Version::HTTP_10 => Persistence::Close,
            _ => Persistence::KeepAlive,
        }
    }
}

impl<T> From<http::Request<T>> for RequestHead {
    fn from(request: http::Request<T>) -> Self {
        let (parts, _) = request.into_parts();
        Self {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            names: Names::of(&parts.headers),
            headers: parts.headers,
            ..Self::default()
        }
    }
}

impl<T> From<http::Response<T>> for ResponseHead {
    fn from(response: http::Response<T>) -> Self {
        let (parts, _) = response.into_parts();
        Self {
            status: parts.status,
            version: parts.version,
            headers: parts.headers,
        }
    }
}

/// What is wrong with a message: a closed list, shown in logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The request line or status line.
    StartLine,
    /// A header line.
    Header,
    /// The request target.
    Target,
    /// A method longer than any that there is.
    MethodTooLong,
    /// A version that is neither 1.0 nor 1.1.
    Version,
    /// `Content-Length` that is repeated, signed, padded, a list or too large.
    ContentLength,
    /// `Transfer-Encoding` that is not exactly `chunked`.
    TransferCoding,
    /// Both of them (RFC 9112 §6.1).
    LengthAndCoding,
    /// A chunk's size, extension or end.
    Chunk,
    /// A TRACE with content (RFC 9110 §9.3.8).
    TraceContent,
    /// A trailer.
    Trailer,
    /// `Host` missing, repeated or malformed (RFC 9112 §3.2).
    Host,
    /// More bytes than a head may have.
    HeadTooLarge,
    /// More lines than a head may have.
    TooManyHeaders,
    /// A target longer than allowed.
    TargetTooLong,
    /// A pseudo-header field missing, repeated, unknown or out of place (RFC 9113 §8.3).
    PseudoHeader,
    /// A field of an HTTP/1.1 connection in HTTP/2 (RFC 9113 §8.2.2).
    ConnectionField,
    /// The body ended early.
    Truncated,
}

impl Malformed {
    /// The reason as a word, for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartLine => "start_line",
            Self::Header => "header",
            Self::Target => "target",
            Self::MethodTooLong => "method_too_long",
            Self::Version => "version",
            Self::ContentLength => "content_length",
            Self::TransferCoding => "transfer_coding",
            Self::LengthAndCoding => "length_and_coding",
            Self::Chunk => "chunk",
            Self::TraceContent => "trace_content",
            Self::Trailer => "trailer",
            Self::Host => "host",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::TargetTooLong => "target_too_long",
            Self::PseudoHeader => "pseudo_header",
            Self::ConnectionField => "connection_field",
            Self::Truncated => "truncated",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Takes a request head off the front of `input`, which begins with the request line; `None` while it is not complete.
///
/// It comes in a box, because it is moved through many hands from here on.
pub fn parse_request(input: &mut BytesMut, bounds: &Bounds) -> Result<Option<Box<RequestHead>>, Malformed> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let lines = &mut lines[..bounds.lines.min(MAX_HEADERS)];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(input, lines) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return partial_request(input, bounds),
        Err(error) => return Err(request_fault(input, error)),
    };
    if length > bounds.bytes {
        return Err(Malformed::HeadTooLarge);
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Malformed::StartLine);
    };
    if target.len() > bounds.target {
        return Err(Malformed::TargetTooLong);
    }
    if method.len() > METHOD {
        return Err(Malformed::MethodTooLong);
    }
    let mut ranges = [const { MaybeUninit::<LineRange>::uninit() }; MAX_HEADERS];
    let ranges = record_ranges(input, request.headers, &mut ranges);
    refuse_bare_line_feeds(&input[..length], ranges)?;
    refuse_odd_target(target.as_bytes())?;
    if request.headers.iter().any(|line| mimics_framing(line.name.as_bytes())) {
        return Err(Malformed::Header);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Malformed::StartLine)?;
    let target = range_in(input, target.as_bytes());
    let version = version(minor);
    let mut names = Names::NONE;
    for line in &*request.headers {
        names.add(line.name.as_bytes());
    }

    let head = input.split_to(length).freeze();
    let parts = Uri::from_maybe_shared(head.slice(target))
        .map_err(|_| Malformed::Target)
        .and_then(|uri| Ok((uri, build_headers(&head, ranges)?)));
    match parts {
        Ok((uri, headers)) => Ok(Some(Box::new(RequestHead {
            method,
            uri,
            version,
            headers,
            names,
            received: head,
            connect: Connect::No,
        }))),
        Err(fault) => {
            // What is refused stays where it was, for those who want to look at it.
            let behind = std::mem::replace(input, BytesMut::from(&*head));
            input.extend_from_slice(&behind);
            Err(fault)
        }
    }
}

/// Takes a response head off the front of `input`; `None` while it is not complete.
///
/// Connection-specific fields are left in; `exchange::headers` removes them. An empty line before a response, which a recipient
/// of requests reads over, is a fault here: what stands before a response belongs to none.
pub fn parse_response(input: &mut BytesMut, bounds: &Bounds) -> Result<Option<ResponseHead>, Malformed> {
    if matches!(input.first(), Some(b'\r' | b'\n')) {
        return Err(Malformed::StartLine);
    }
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let lines = &mut lines[..bounds.lines.min(MAX_HEADERS)];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut response, input, lines) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if input.len() > bounds.bytes => return Err(Malformed::HeadTooLarge),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooManyHeaders),
        Err(httparse::Error::Status | httparse::Error::Token) => return Err(Malformed::StartLine),
        Err(httparse::Error::Version) => return Err(Malformed::Version),
        Err(_) => return Err(Malformed::Header),
    };
    if length > bounds.bytes {
        return Err(Malformed::HeadTooLarge);
    }
    let (Some(code), Some(minor)) = (response.code, response.version) else {
        return Err(Malformed::StartLine);
    };
    let mut ranges = [const { MaybeUninit::<LineRange>::uninit() }; MAX_HEADERS];
    let ranges = record_ranges(input, response.headers, &mut ranges);
    refuse_bare_line_feeds(&input[..length], ranges)?;
    let status = StatusCode::from_u16(code).map_err(|_| Malformed::StartLine)?;
    let version = version(minor);

    let head = input.split_to(length).freeze();
    let headers = build_headers(&head, ranges)?;
    Ok(Some(ResponseHead {
        status,
        version,
        headers,
    }))
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 }
}

/// A head that is not complete yet may already be too much.
fn partial_request(input: &[u8], bounds: &Bounds) -> Result<Option<Box<RequestHead>>, Malformed> {
    let line_end = memchr::memchr(b'\n', input);
    // Method, version and the blanks between them are the rest of the line.
    if line_end.is_none() && input.len() > bounds.target + METHOD + 16 {
        // What has no blank in all of this is no request line with a long target.
        let fault = if has_method(input) {
            Malformed::TargetTooLong
        } else {
            Malformed::StartLine
        };
        return Err(fault);
    }
    if input.len() > bounds.bytes {
        return Err(Malformed::HeadTooLarge);
    }
    Ok(None)
}

/// Takes request heads off a connection's input as they arrive.
///
/// A head that comes in many small pieces would be parsed from its start for each of them; here only a piece with the end of a
/// line in it is worth another look. One scan serves one head.
#[derive(Debug, Default)]
pub struct HeadScan {
    leading: Leading,
    /// Bytes that have been looked at in vain.
    seen: usize,
}

/// What stood before the request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Leading {
    #[default]
    Nothing,
    /// The one empty line that a server should read over (RFC 9112 §2.2); not over more.
    EmptyLine,
}

/// How far a request head has come.
#[derive(Debug)]
pub enum Progress {
    /// Nothing but perhaps an empty line: no request has begun.
    Idle,
    /// Some of it.
    Begun,
    /// All of it.
    Complete(Box<RequestHead>),
}

impl HeadScan {
    /// Looks at what there is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn next(&mut self, input: &mut BytesMut, bounds: &Bounds) -> Result<Progress, Malformed> {
        if self.leading == Leading::Nothing && input.starts_with(b"\r\n") {
            input.advance(2);
            self.leading = Leading::EmptyLine;
        }
        match input.first() {
            None => return Ok(Progress::Idle),
            // Half of an empty line.
            Some(b'\r') if input.len() == 1 && self.leading == Leading::Nothing => return Ok(Progress::Idle),
            Some(b'\r' | b'\n') => return Err(Malformed::StartLine),
            Some(_) => {}
        }
        let fresh = input.get(self.seen..).unwrap_or_default();
        let head = if self.seen > 0 && memchr::memchr(b'\n', fresh).is_none() {
            partial_request(input, bounds)?
        } else {
            parse_request(input, bounds)?
        };
        self.seen = input.len();
        Ok(head.map_or(Progress::Begun, Progress::Complete))
    }
}

/// Which part of a request head `httparse` stumbled over.
fn request_fault(input: &[u8], error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::TooManyHeaders => Malformed::TooManyHeaders,
        httparse::Error::Version if names_a_version(input) => Malformed::Version,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Malformed::Header,
        // `httparse` says Token for a bad method and for a bad target alike.
        httparse::Error::Token if has_method(input) => Malformed::Target,
        _ => Malformed::StartLine,
    }
}

/// Whether the request line begins with a method.
fn has_method(input: &[u8]) -> bool {
    let word = input.split(|&byte| byte == b' ').next().unwrap_or_default();
    word.len() < input.len() && Method::from_bytes(word).is_ok()
}

/// Whether a request line ends in a version of HTTP as RFC 9112 §2.3 writes it, if not one that Weir speaks.
///
/// HTTP/0.9 never had one, so `HTTP/0.x` is no version that a server could fail to support (RFC 9110 §15.6.6).
fn names_a_version(input: &[u8]) -> bool {
    let line = input
        .split(|&byte| byte == b'\r')
        .find(|line| !line.trim_ascii().is_empty());
    let mut words = line.unwrap_or_default().trim_ascii().split(|&byte| byte == b' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_), Some(_), Some(version), None) => {
            matches!(version, [b'H', b'T', b'T', b'P', b'/', b'1'..=b'9', b'.', b'0'..=b'9'])
        }
        _ => false,
    }
}

/// RFC 9112 §2.2 lets a recipient take a bare LF as a line's end; since others do not, heads with one are refused.
///
/// `httparse` lets an LF stand nowhere but at a line's end: before each field's name, and at the end of the head.
fn refuse_bare_line_feeds(head: &[u8], fields: &[LineRange]) -> Result<(), Malformed> {
    let follows_line = |field: &LineRange| head.get(..field.name.0).is_some_and(|before| before.ends_with(b"\r\n"));
    if head.ends_with(b"\r\n\r\n") && fields.iter().all(follows_line) {
        Ok(())
    } else {
        Err(Malformed::Header)
    }
}

/// What `Uri` would let pass, and the next hop might read differently (RFC 9112 §3.2, RFC 3986 §3.3): bytes beyond ASCII, a
/// fragment, and in the path a backslash, which some servers take for a slash.
fn refuse_odd_target(target: &[u8]) -> Result<(), Malformed> {
    let query = || memchr::memchr(b'?', target).unwrap_or(target.len());
    let odd = !target.is_ascii()
        || memchr::memchr2_iter(b'#', b'\\', target).any(|at| target.get(at) == Some(&b'#') || at < query());
    if odd { Err(Malformed::Target) } else { Ok(()) }
}

/// Whether a field's name is one that frames messages, but for underscores. Servers that make variables of names (CGI, WSGI)
/// cannot tell the two apart, and no honest client sends such a name.
fn mimics_framing(name: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length";
    const CODING: &[u8] = b"transfer-encoding";
    let is = |framing: &[u8]| {
        name.len() == framing.len()
            && name.contains(&b'_')
            && name
                .iter()
                .zip(framing)
                .all(|(&byte, &other)| byte.eq_ignore_ascii_case(&other) || (byte == b'_' && other == b'-'))
    };
    is(LENGTH) || is(CODING)
}

/// The place of a header line inside its head.
#[derive(Clone, Copy)]
struct LineRange {
    name: (usize, usize),
    value: (usize, usize),
}

fn record_ranges<'a>(
    input: &[u8],
    lines: &[httparse::Header<'_>],
    ranges: &'a mut [MaybeUninit<LineRange>; MAX_HEADERS],
) -> &'a [LineRange] {
    let mut count = 0;
    for (slot, line) in ranges.iter_mut().zip(lines) {
        let name = range_in(input, line.name.as_bytes());
        let value = range_in(input, line.value);
        slot.write(LineRange {
            name: (name.start, name.end),
            value: (value.start, value.end),
        });
        count += 1;
    }
    // SAFETY: the loop above wrote the first `count` slots, and `MaybeUninit<T>` has the layout of `T`.
    unsafe { std::slice::from_raw_parts(ranges.as_ptr().cast::<LineRange>(), count) }
}

/// Where `part`, a slice of `whole`, lies in it. A slice from elsewhere gives an empty range.
pub(crate) fn range_in(whole: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= whole.len() => start..end,
        _ => 0..0,
    }
}

fn build_headers(head: &Bytes, ranges: &[LineRange]) -> Result<HeaderMap, Malformed> {
    // Room for what Weir adds, so that the map does not grow on the way.
    let mut headers = HeaderMap::with_capacity(ranges.len() + 4);
    for range in ranges {
        let name = HeaderName::from_bytes(&head[range.name.0..range.name.1]).map_err(|_| Malformed::Header)?;
        let value = head.slice(range.value.0..range.value.1);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Header)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whether a connection stays open after a message (RFC 9112 §9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Another message may follow.
    KeepAlive,
    /// This was the last one.
    Close,
}

/// What version and `Connection` say about the connection.
#[must_use]
pub fn persistence(version: Version, headers: &HeaderMap) -> Persistence {
    let mut keep_alive = version >= Version::HTTP_11;
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|&byte| byte == b',') {
            let token = token.trim_ascii();
            if token.eq_ignore_ascii_case(b"close") {
                return Persistence::Close;
            }
            keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    if keep_alive {
        Persistence::KeepAlive
    } else {
        Persistence::Close
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BOUNDS: Bounds = Bounds {
        bytes: 4096,
        lines: 20,
        target: 256,
    };

    fn request(text: &str) -> Result<Option<Box<RequestHead>>, Malformed> {
        parse_request(&mut BytesMut::from(text), &BOUNDS)
    }

    #[test]
    fn a_request_head_is_taken_off_the_input() {
        let mut input = BytesMut::from("GET /a?b HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\n\r\nrest");
        let head = parse_request(&mut input, &BOUNDS).unwrap().unwrap();
        assert_eq!(head.method, Method::GET);
        assert_eq!(head.uri, "/a?b");
        assert_eq!(head.headers["x-a"], "1");
        assert_eq!(&input[..], b"rest");
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for (text, fault) in [
            ("GET / HTTP/1.1\nHost: x\r\n\r\n", Malformed::Header),
            ("GET / HTTP/1.1\r\nHost: x\n\r\n", Malformed::Header),
            ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", Malformed::Header),
            ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", Malformed::Header),
            ("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", Malformed::Header),
            ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", Malformed::Version),
            ("GET / HTTP/0.9\r\nHost: x\r\n\r\n", Malformed::StartLine),
            ("GET / HTTP/1\r\nHost: x\r\n\r\n", Malformed::StartLine),
            ("GET / HTTP/01.1\r\nHost: x\r\n\r\n", Malformed::StartLine),
            ("GET / http/1.1\r\nHost: x\r\n\r\n", Malformed::StartLine),
            ("G@T / HTTP/1.1\r\nHost: x\r\n\r\n", Malformed::StartLine),
            ("GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n", Malformed::Target),
            ("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", Malformed::Target),
            ("GET /a?b#c HTTP/1.1\r\nHost: x\r\n\r\n", Malformed::Target),
            ("GET /a\\b HTTP/1.1\r\nHost: x\r\n\r\n", Malformed::Target),
            ("GET /caf\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n", Malformed::Target),
            ("GET / HTTP/1.1\r\nContent_Length: 1\r\n\r\n", Malformed::Header),
            ("GET / HTTP/1.1\r\ntransfer_Encoding: x\r\n\r\n", Malformed::Header),
        ] {
            assert_eq!(request(text).err(), Some(fault), "{text:?}");
        }
    }

    #[test]
    fn what_is_refused_stays_where_it_was() {
        for text in ["GET http://[ HTTP/1.1\r\n\r\nbody", "GET /a#b HTTP/1.1\r\n\r\nbody"] {
            let mut input = BytesMut::from(text);
            assert_eq!(parse_request(&mut input, &BOUNDS).err(), Some(Malformed::Target));
            assert_eq!(&input[..], text.as_bytes());
        }
    }

    #[test]
    fn a_backslash_in_a_query_is_left_alone() {
        assert_eq!(request("GET /a?b=\\ HTTP/1.1\r\n\r\n").unwrap().unwrap().uri, "/a?b=\\");
    }

    fn scan(pieces: &[&str]) -> Result<Vec<String>, Malformed> {
        let (mut scan, mut input) = (HeadScan::default(), BytesMut::new());
        let mut steps = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece.as_bytes());
            steps.push(match scan.next(&mut input, &BOUNDS)? {
                Progress::Idle => "idle".to_owned(),
                Progress::Begun => "begun".to_owned(),
                Progress::Complete(head) => head.uri.to_string(),
            });
        }
        Ok(steps)
    }

    #[test]
    fn one_empty_line_is_read_over_however_it_arrives() {
        assert_eq!(scan(&["\r\nGET /a HTTP/1.1\r\n\r\n"]).unwrap(), ["/a"]);
        assert_eq!(
            scan(&["\r", "\n", "GET /a HT", "TP/1.1", "\r\n\r", "\n"]).unwrap(),
            ["idle", "idle", "begun", "begun", "begun", "/a"]
        );
        for refused in [&["\r\n\r\nGET"][..], &["\r\n", "\r"], &["\n"], &["\r", "G"]] {
            assert_eq!(scan(refused).err(), Some(Malformed::StartLine), "{refused:?}");
        }
    }

    #[test]
    fn a_response_begins_with_its_status_line() {
        let response = |text: &str| parse_response(&mut BytesMut::from(text), &BOUNDS).map(|head| head.is_some());
        assert_eq!(response("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), Ok(true));
        assert_eq!(response("HTTP/1.1 200\r\n\r\n"), Ok(true));
        assert_eq!(response("\r\nHTTP/1.1 200 OK\r\n\r\n"), Err(Malformed::StartLine));
        assert_eq!(response("HTTP/1.1 200 OK\nA: b\r\n\r\n"), Err(Malformed::Header));
        assert_eq!(response("HTTP/1.1 200 OK\r\nA: b\r\n\n"), Err(Malformed::Header));
    }

    #[test]
    fn bounds_hold_before_and_after_the_head_is_complete() {
        assert_eq!(
            request(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(300))).err(),
            Some(Malformed::TargetTooLong)
        );
        assert_eq!(
            request(&format!("GET /{}", "a".repeat(400))).err(),
            Some(Malformed::TargetTooLong)
        );
        assert_eq!(
            request(&format!("{} / HTTP/1.1\r\n\r\n", "A".repeat(65))).err(),
            Some(Malformed::MethodTooLong)
        );
        assert_eq!(request(&"A".repeat(400)).err(), Some(Malformed::StartLine));
        let long = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(5000));
        assert_eq!(request(&long).err(), Some(Malformed::HeadTooLarge));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(21));
        assert_eq!(request(&many).err(), Some(Malformed::TooManyHeaders));
    }

    #[test]
    fn close_wins_over_keep_alive() {
        let mut headers = HeaderMap::new();
        assert_eq!(persistence(Version::HTTP_11, &headers), Persistence::KeepAlive);
        assert_eq!(persistence(Version::HTTP_10, &headers), Persistence::Close);
        headers.insert(CONNECTION, HeaderValue::from_static("Keep-Alive"));
        assert_eq!(persistence(Version::HTTP_10, &headers), Persistence::KeepAlive);
        headers.append(CONNECTION, HeaderValue::from_static("upgrade, close"));
        assert_eq!(persistence(Version::HTTP_11, &headers), Persistence::Close);
    }
}
