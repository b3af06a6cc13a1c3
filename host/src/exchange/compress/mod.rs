//! Compression of what servers send as it is, for the routes that ask for it (RFC 9110 §8.4, §12.5.3).
//!
//! The coding is settled before the cache is asked: `Accept-Encoding` is replaced by the one coding that this client gets, in
//! the order of the configuration where the client does not care. So a server that can compress by itself does, and the cache
//! keeps one response a coding, compressed once, whatever clients write in their lists ([`settle`]).
//!
//! A response is compressed where its type is listed, it is large enough, nobody has encoded it, and nothing forbids it
//! ([`apply`]). It is another representation then (RFC 9110 §8.8.3): a strong ETag becomes a weak one, `Vary` names
//! `Accept-Encoding`, and digests and ranges of the original go. Ranges are asked of servers, and answered by the cache, in the
//! coding `identity`.

mod encoded;
mod encoder;
mod negotiate;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE, VARY,
};
use http::{Method, StatusCode};

pub use encoded::Encoded;
pub use encoder::Encoder;

use super::body::ResponseBody;
use super::subject::Subject;
use super::{Conditions, Exchange, route_of};
use crate::config::{Coding, Compression, MediaType};
use crate::http1::head::{RequestHead, ResponseHead};
use crate::telemetry::families;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const DIGEST: HeaderName = HeaderName::from_static("digest");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Settles which coding a request's answer has, and says so in its `Accept-Encoding`, for the cache and for servers.
pub fn settle(request: &mut RequestHead, config: &Compression) {
    // A range is one of bytes that the client knows, or that it will ask for again.
    let coding = if request.headers.contains_key(RANGE) || forbids_transforming(&request.headers) {
        None
    } else {
        let lines = request.headers.get_all(ACCEPT_ENCODING).iter();
        negotiate::coding(lines.map(HeaderValue::as_bytes), &config.codings)
    };
    let name = coding.map_or(IDENTITY, |coding| HeaderValue::from_static(coding.as_str()));
    request.headers.insert(ACCEPT_ENCODING, name);
    request.names.add(ACCEPT_ENCODING.as_str().as_bytes());
}

impl Exchange {
    /// Compresses the response where the route asks for it: before it is stored, so that it is done once.
    pub(super) fn compress(&mut self, body: &mut ResponseBody) {
        let state = self.state.clone();
        if !route_of(&state, self.route).is_ok_and(|route| route.compress) {
            return;
        }
        let Subject { request, response, .. } = &mut *self.subject;
        let Some(response) = response else { return };
        let conditions = self.fetch.as_ref().map(|fetch| fetch.validators()).unwrap_or_default();
        if let Some(coding) = apply(request, response, body, &conditions, &state.snapshot.config.compression) {
            let metrics = self.worker.control().metrics();
            metrics
                .shared_counter(&families::COMPRESSED, &[coding.as_str()])
                .increment();
        }
    }
}

/// Compresses a response, if it should be, and gives the coding. `conditions` are those under which Weir itself asked.
pub fn apply(
    request: &RequestHead,
    response: &mut ResponseHead,
    body: &mut ResponseBody,
    conditions: &Conditions,
    config: &Compression,
) -> Option<Coding> {
    let accepted = request.headers.get(ACCEPT_ENCODING)?;
    let coding = Coding::ALL.into_iter().find(|coding| accepted == coding.as_str());
    if response.status == StatusCode::NOT_MODIFIED {
        if coding.is_some() {
            match_validator(request, &mut response.headers, conditions);
        }
        return None;
    }
    if !is_compressible(request, response, body, config) {
        return None;
    }
    vary(&mut response.headers);
    let coding = coding?;
    if request.method != Method::HEAD {
        body.encode(coding, config).ok()?;
    }
    let headers = &mut response.headers;
    for name in [
        CONTENT_LENGTH,
        ACCEPT_RANGES,
        CONTENT_DIGEST,
        REPR_DIGEST,
        DIGEST,
        CONTENT_MD5,
    ] {
        headers.remove(name);
    }
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    if let Some(weak) = headers.get(ETAG).and_then(weakened) {
        headers.insert(ETAG, weak);
    }
    Some(coding)
}

fn is_compressible(request: &RequestHead, response: &ResponseHead, body: &ResponseBody, config: &Compression) -> bool {
    let headers = &response.headers;
    let has_content = !matches!(response.status.as_u16(), 100..=199 | 204 | 205 | 206 | 304);
    let length = match request.method {
        Method::HEAD => headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok()),
        Method::CONNECT => return false,
        _ => body.length(),
    };
    has_content
        && length.is_none_or(|length: u64| length >= config.min_size)
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && !forbids_transforming(headers)
        && headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| is_listed(value, &config.types))
}

/// `no-transform`, of either side (RFC 9111 §5.2.1.6, §5.2.2.6).
fn forbids_transforming(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    let mut directives = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

fn is_listed(value: &HeaderValue, types: &[MediaType]) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let Ok(essence) = std::str::from_utf8(essence.trim_ascii()) else {
        return false;
    };
    types.iter().any(|listed| listed.fits(essence))
}

/// Other clients get it in another coding.
fn vary(headers: &mut HeaderMap) {
    let lines = headers.get_all(VARY).iter();
    let mut names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let named = names.any(|name| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(ACCEPT_ENCODING.as_str().as_bytes())
    });
    if !named {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// A 304 has the validator that its 200 would have: the one that was asked about, where that is the server's made weak.
fn match_validator(request: &RequestHead, headers: &mut HeaderMap, conditions: &Conditions) {
    let Some(weak) = headers.get(ETAG).and_then(weakened) else {
        return;
    };
    let ours = conditions
        .iter()
        .filter(|(name, _)| *name == IF_NONE_MATCH)
        .map(|(_, value)| value);
    let mut asked = ours
        .chain(request.headers.get_all(IF_NONE_MATCH))
        .map(HeaderValue::as_bytes);
    if asked.any(|list| memchr::memmem::find(list, weak.as_bytes()).is_some()) {
        headers.insert(ETAG, weak);
        if headers.contains_key(VARY) {
            vary(headers);
        }
    }
}

/// A strong ETag made weak; `None` for what is weak already, or no ETag.
fn weakened(etag: &HeaderValue) -> Option<HeaderValue> {
    if !etag.as_bytes().starts_with(b"\"") {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read as _;

    use bytes::Bytes;
    use http::{Request, Response};

    use super::super::body::Content;
    use super::*;

    const PAGE: &[u8] = &[b'x'; 4000];

    fn request(method: &str, fields: &[(&str, &str)]) -> RequestHead {
        let mut request = Request::builder().method(method);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into()
    }

    fn answered(
        request: &mut RequestHead,
        status: u16,
        fields: &[(&str, &str)],
        content: &'static [u8],
    ) -> (ResponseHead, Vec<u8>) {
        let config = Compression::default();
        settle(request, &config);
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let mut response = response.body(()).unwrap().into();
        let mut body = ResponseBody::new(Content::Ready(Bytes::from_static(content)));
        apply(request, &mut response, &mut body, &Conditions::new(), &config);
        let Content::Ready(sent) = body.take_content() else {
            unreachable!("what is at hand is compressed at once")
        };
        (response, sent.to_vec())
    }

    const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");

    #[test]
    fn a_page_is_compressed_and_described() {
        let fields = [
            HTML,
            ("etag", "\"v1\""),
            ("content-length", "4000"),
            ("accept-ranges", "bytes"),
            ("content-digest", "sha-256=:x:"),
            ("vary", "Cookie"),
        ];
        let mut gzip = request("GET", &[("accept-encoding", "gzip")]);
        let (head, sent) = answered(&mut gzip, 200, &fields, PAGE);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*sent).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, PAGE);
        assert_eq!(head.headers["content-encoding"], "gzip");
        assert_eq!(head.headers["etag"], "W/\"v1\"");
        let vary: Vec<_> = head.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["Cookie", "Accept-Encoding"]);
        for gone in ["content-length", "accept-ranges", "content-digest"] {
            assert!(!head.headers.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn a_head_is_described_like_its_get() {
        let fields = [HTML, ("etag", "\"v1\""), ("content-length", "4000")];
        let mut head = request("HEAD", &[("accept-encoding", "br")]);
        let (of_head, sent) = answered(&mut head, 200, &fields, b"");
        let mut get = request("GET", &[("accept-encoding", "br")]);
        let (of_get, _) = answered(&mut get, 200, &fields, PAGE);
        assert_eq!(of_head.headers, of_get.headers);
        assert!(sent.is_empty());
    }

    #[test]
    fn what_is_left_as_it_is() {
        let small = &PAGE[..100];
        for (why, asked, status, fields, content) in [
            ("too small", &[][..], 200, &[HTML][..], small),
            ("another type", &[], 200, &[("content-type", "image/jpeg")], PAGE),
            ("no type", &[], 200, &[], PAGE),
            ("encoded", &[], 200, &[HTML, ("content-encoding", "br")], PAGE),
            (
                "no-transform",
                &[],
                200,
                &[HTML, ("cache-control", "max-age=1, No-Transform")],
                PAGE,
            ),
            (
                "the client's no-transform",
                &[("cache-control", "no-transform")],
                200,
                &[HTML],
                PAGE,
            ),
            ("a range", &[("range", "bytes=0-9")], 200, &[HTML], PAGE),
            (
                "a part",
                &[],
                206,
                &[HTML, ("content-range", "bytes 0-3999/9999")],
                PAGE,
            ),
        ] {
            let asked = [&[("accept-encoding", "gzip")][..], asked].concat();
            let (head, sent) = answered(&mut request("GET", &asked), status, fields, content);
            assert_eq!(sent, content, "{why}");
            assert_ne!(
                head.headers.get("content-encoding").map(HeaderValue::as_bytes),
                Some(&b"gzip"[..]),
                "{why}"
            );
        }
    }

    #[test]
    fn who_takes_no_coding_is_told_that_others_do() {
        let (head, sent) = answered(&mut request("GET", &[]), 200, &[HTML, ("etag", "\"v\"")], PAGE);
        assert_eq!(
            (head.headers["vary"].as_bytes(), sent.len()),
            (&b"Accept-Encoding"[..], PAGE.len())
        );
        assert_eq!(head.headers["etag"], "\"v\"");
        assert!(!head.headers.contains_key("content-encoding"));
    }

    #[test]
    fn a_304_names_the_validator_that_was_asked_about() {
        let asked = [("accept-encoding", "gzip"), ("if-none-match", "\"a\", W/\"v\"")];
        let (head, _) = answered(&mut request("GET", &asked), 304, &[("etag", "\"v\"")], b"");
        assert_eq!(head.headers["etag"], "W/\"v\"");
        let asked = [("accept-encoding", "gzip"), ("if-none-match", "\"v\"")];
        let (head, _) = answered(&mut request("GET", &asked), 304, &[("etag", "\"v\"")], b"");
        assert_eq!(head.headers["etag"], "\"v\"", "of an answer that was not compressed");
    }
}
