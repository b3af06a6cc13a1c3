//! `Cache-Status`: what the cache had to do with an answer, for clients and caches on the way (RFC 9211).

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

/// The field.
pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What the cache had to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Why the request went to the origin; `None` where the answer was stored.
    forward: Option<Forward>,
    /// What the origin answered, where the client was sent something else.
    forward_status: Option<StatusCode>,
    /// Seconds for which the response is still fresh; less than zero once it is stale.
    ttl: Option<i64>,
    stored: Stored,
    collapsed: Collapsed,
    detail: Option<&'static str>,
}

/// Why a request went to the origin (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// The cache has nothing to do with requests like this.
    Bypass,
    /// Its method has to reach the origin.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// Nothing of what is stored for the URI is for requests like this.
    VaryMiss,
    /// The client wants it from the origin.
    Request,
    /// What is stored is stale.
    Stale,
    /// What is stored is only a part.
    Partial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collapsed {
    Yes,
    No,
}

impl Forward {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

impl Status {
    /// A stored response answers, for so many seconds more.
    pub(super) fn hit(ttl: i64) -> Self {
        Self {
            forward: None,
            forward_status: None,
            ttl: Some(ttl),
            stored: Stored::No,
            collapsed: Collapsed::No,
            detail: None,
        }
    }

    /// The request goes to the origin.
    #[must_use]
    pub fn forwarded(reason: Forward) -> Self {
        Self {
            forward: Some(reason),
            forward_status: None,
            ttl: None,
            stored: Stored::No,
            collapsed: Collapsed::No,
            detail: None,
        }
    }

    /// The cache has nothing to do with the request, for this reason.
    #[must_use]
    pub fn bypassed(reason: &'static str) -> Self {
        match reason {
            "method" => Self::forwarded(Forward::Method),
            detail => Self::forwarded(Forward::Bypass).because(detail),
        }
    }

    /// The answer is being stored, and fresh for so many seconds.
    #[must_use]
    pub fn stored(self, ttl: i64) -> Self {
        Self {
            stored: Stored::Yes,
            ttl: Some(ttl),
            ..self
        }
    }

    /// A word more.
    #[must_use]
    pub fn because(self, detail: &'static str) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }

    /// The answer of the origin, where a stored response is sent in its place, for so many seconds more.
    #[must_use]
    pub fn answered(self, status: StatusCode, ttl: i64) -> Self {
        Self {
            forward_status: Some(status),
            ttl: Some(ttl),
            ..self
        }
    }

    /// Another request was sent to the origin in its place; what that brought is fresh for so many seconds.
    #[must_use]
    pub fn collapsed(self, ttl: Option<i64>) -> Self {
        Self {
            collapsed: Collapsed::Yes,
            ttl,
            ..self
        }
    }

    /// Adds what is said under this name to a head, behind what caches nearer to the origin said.
    pub fn append_to(&self, headers: &mut HeaderMap, name: &str, key: Option<&[u8]>) {
        let mut text = Vec::with_capacity(64);
        self.value(&mut text, name, key);
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
            headers.append(CACHE_STATUS, value);
        }
    }

    /// The same as a line of its own.
    pub(super) fn line(&self, lines: &mut Vec<u8>, name: &str, key: Option<&[u8]>) {
        lines.extend_from_slice(b"cache-status: ");
        self.value(lines, name, key);
        lines.extend_from_slice(b"\r\n");
    }

    fn value(&self, text: &mut Vec<u8>, name: &str, key: Option<&[u8]>) {
        text.extend_from_slice(name.as_bytes());
        match self.forward {
            None => text.extend_from_slice(b"; hit"),
            Some(reason) => {
                text.extend_from_slice(b"; fwd=");
                text.extend_from_slice(reason.as_str().as_bytes());
            }
        }
        if let Some(status) = self.forward_status {
            text.extend_from_slice(b"; fwd-status=");
            text.extend_from_slice(status.as_str().as_bytes());
        }
        if self.stored == Stored::Yes {
            text.extend_from_slice(b"; stored");
        }
        if self.collapsed == Collapsed::Yes {
            text.extend_from_slice(b"; collapsed");
        }
        if let Some(ttl) = self.ttl {
            text.extend_from_slice(b"; ttl=");
            text.extend_from_slice(itoa::Buffer::new().format(ttl).as_bytes());
        }
        if let Some(key) = key {
            text.extend_from_slice(b"; key=");
            quote(text, key);
        }
        if let Some(detail) = self.detail {
            text.extend_from_slice(b"; detail=");
            text.extend_from_slice(detail.as_bytes());
        }
    }
}

/// A string of RFC 9651 §3.3.3, which has ASCII only; what is none becomes a question mark.
fn quote(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(b"\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => text.push(*byte),
            _ => text.extend_from_slice(b"?"),
        }
    }
    text.extend_from_slice(b"\"");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sfv::{List, Parser};

    use super::*;

    fn shown(status: Status, key: Option<&[u8]>) -> String {
        let mut headers = HeaderMap::new();
        status.append_to(&mut headers, "weir", key);
        headers[CACHE_STATUS].to_str().unwrap().to_owned()
    }

    #[test]
    fn rfc9211_2_every_parameter() {
        let miss = Status::forwarded(Forward::UriMiss);
        for (status, expected) in [
            (Status::hit(-3), "weir; hit; ttl=-3"),
            (miss.stored(60), "weir; fwd=uri-miss; stored; ttl=60"),
            (miss.collapsed(Some(9)), "weir; fwd=uri-miss; collapsed; ttl=9"),
            (
                Status::forwarded(Forward::Stale).answered(StatusCode::NOT_MODIFIED, 5),
                "weir; fwd=stale; fwd-status=304; ttl=5",
            ),
            (Status::bypassed("method"), "weir; fwd=method"),
            (Status::bypassed("no-store"), "weir; fwd=bypass; detail=no-store"),
        ] {
            assert_eq!(shown(status, None), expected);
            Parser::new(expected).parse::<List>().unwrap();
        }
        let key = b"http://example.org /\"\\\xff";
        let with_key = shown(miss, Some(key));
        assert_eq!(with_key, "weir; fwd=uri-miss; key=\"http://example.org /\\\"\\\\?\"");
        Parser::new(&with_key).parse::<List>().unwrap();
    }

    #[test]
    fn rfc9211_2_each_cache_adds_itself_behind_those_nearer_to_the_origin() {
        let mut headers = HeaderMap::new();
        Status::hit(1).append_to(&mut headers, "origin", None);
        Status::hit(2).append_to(&mut headers, "weir", None);
        let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(lines, ["origin; hit; ttl=1", "weir; hit; ttl=2"]);
    }
}
