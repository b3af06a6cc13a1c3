//! Message heads made of decoded fields, and what makes them malformed (RFC 9113 §8.1.1, §8.2, §8.3).
//!
//! A name or value that HTTP/1.1 could read as something else (upper case, CR, LF, NUL, a colon) never gets here: the decoder
//! gives it as [`Field::Malformed`].

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{self, Authority, PathAndQuery, Scheme, Uri};
use http::{Method, StatusCode};

use super::guard::BOMB;
use super::hpack::decode::{Field, Pseudo};
use crate::http1::decode::{frames, may_trail};
use crate::http1::framing::content_length;
use crate::http1::head::Malformed;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Bounds on a list of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes, counted as RFC 9113 §6.5.2 has it: 32 more for every field.
    pub bytes: usize,
    /// Fields.
    pub lines: usize,
}

/// A request head.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// With scheme and authority, where they were told.
    pub uri: Uri,
    /// Every other field, in order.
    pub headers: HeaderMap,
    /// `:protocol` of an extended CONNECT (RFC 8441 §4).
    pub protocol: Option<Bytes>,
    /// `Content-Length`.
    pub length: Option<u64>,
}

/// A response head.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// Every field, in order.
    pub headers: HeaderMap,
}

/// Why a list of fields makes no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It breaks the rules.
    Malformed(Malformed),
    /// It is over the bounds, but could be meant.
    TooLarge(Malformed),
    /// It is so far over the bounds that the connection ends.
    Bomb,
}

impl From<Malformed> for Rejected {
    fn from(fault: Malformed) -> Self {
        Self::Malformed(fault)
    }
}

/// The fields of a block, as they come.
#[derive(Debug)]
pub struct Fields {
    bounds: Bounds,
    bytes: usize,
    lines: usize,
    fault: Option<Malformed>,
    pseudo: [Option<Bytes>; 6],
    headers: HeaderMap,
}

impl Fields {
    /// No field yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            bytes: 0,
            lines: 0,
            fault: None,
            pseudo: [const { None }; 6],
            headers: HeaderMap::new(),
        }
    }

    /// Takes the next field. Over the bounds nothing is kept any more, only counted.
    pub fn push(&mut self, field: Field, size: usize) {
        self.bytes = self.bytes.saturating_add(size);
        self.lines += usize::from(!matches!(field, Field::Pseudo(..)));
        if self.bytes > self.bounds.bytes || self.lines > self.bounds.lines {
            return;
        }
        match field {
            Field::Malformed => self.refuse(Malformed::Header),
            Field::Pseudo(pseudo, value) => {
                let slot = &mut self.pseudo[pseudo as usize];
                // Each at most once, and all before the first other field (§8.3).
                if slot.is_some() || !self.headers.is_empty() {
                    self.refuse(Malformed::PseudoHeader);
                } else {
                    *slot = Some(value);
                }
            }
            Field::Regular(name, value) => {
                if is_of_the_connection(&name, &value) {
                    self.refuse(Malformed::ConnectionField);
                }
                if self.headers.capacity() == 0 {
                    // Room for what Weir adds, so that the map does not grow on the way.
                    self.headers.reserve(24);
                }
                self.headers.append(name, value);
            }
        }
    }

    fn refuse(&mut self, fault: Malformed) {
        self.fault.get_or_insert(fault);
    }

    fn take(&mut self, pseudo: Pseudo) -> Option<Bytes> {
        self.pseudo[pseudo as usize].take()
    }

    fn bounded(&self) -> Result<(), Rejected> {
        if self.bytes > self.bounds.bytes.saturating_mul(BOMB) {
            return Err(Rejected::Bomb);
        }
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        if self.bytes > self.bounds.bytes {
            return Err(Rejected::TooLarge(Malformed::HeadTooLarge));
        }
        if self.lines > self.bounds.lines {
            return Err(Rejected::TooLarge(Malformed::TooManyHeaders));
        }
        Ok(())
    }

    /// The request that the fields make (§8.3.1).
    ///
    /// # Errors
    /// Why they make none.
    pub fn into_request(mut self) -> Result<RequestHead, Rejected> {
        self.bounded()?;
        let method = self.take(Pseudo::Method).ok_or(Malformed::PseudoHeader)?;
        let method = Method::from_bytes(&method).map_err(|_| Malformed::StartLine)?;
        let scheme = self.take(Pseudo::Scheme);
        let authority = self.take(Pseudo::Authority);
        let path = self.take(Pseudo::Path);
        let protocol = self.take(Pseudo::Protocol);
        if self.take(Pseudo::Status).is_some() {
            return Err(Malformed::PseudoHeader.into());
        }
        let uri = match (&method, &protocol) {
            (&Method::CONNECT, None) => {
                if scheme.is_some() || path.is_some() {
                    return Err(Malformed::PseudoHeader.into());
                }
                let mut parts = uri::Parts::default();
                parts.authority = Some(authority_of(authority.ok_or(Malformed::PseudoHeader)?)?);
                Uri::from_parts(parts).map_err(|_| Malformed::Target)?
            }
            (&Method::CONNECT, Some(_)) if authority.is_none() => return Err(Malformed::PseudoHeader.into()),
            (method, Some(_)) if method != Method::CONNECT => return Err(Malformed::PseudoHeader.into()),
            (method, _) => {
                let scheme = scheme.ok_or(Malformed::PseudoHeader)?;
                target(method, &scheme, authority, path.ok_or(Malformed::PseudoHeader)?)?
            }
        };
        let length = content_length(&self.headers)?;
        Ok(RequestHead {
            method,
            uri,
            headers: self.headers,
            protocol,
            length,
        })
    }

    /// The response that the fields make (§8.3.2).
    ///
    /// # Errors
    /// Why they make none.
    pub fn into_response(mut self) -> Result<ResponseHead, Rejected> {
        self.bounded()?;
        let status = self.take(Pseudo::Status).ok_or(Malformed::PseudoHeader)?;
        let status = StatusCode::from_bytes(&status).map_err(|_| Malformed::StartLine)?;
        if self.pseudo.iter().any(Option::is_some) {
            return Err(Malformed::PseudoHeader.into());
        }
        Ok(ResponseHead {
            status,
            headers: self.headers,
        })
    }

    /// The trailers that the fields make (§8.1): none with a colon, and without those that may not stand there.
    ///
    /// # Errors
    /// Why they make none.
    pub fn into_trailers(mut self) -> Result<HeaderMap, Rejected> {
        self.bounded()?;
        if self.pseudo.iter().any(Option::is_some) {
            return Err(Malformed::Trailer.into());
        }
        if self.headers.keys().any(frames) {
            return Err(Malformed::Trailer.into());
        }
        let refused: Vec<_> = self.headers.keys().filter(|name| !may_trail(name)).cloned().collect();
        for name in refused {
            self.headers.remove(name);
        }
        Ok(self.headers)
    }
}

fn target(method: &Method, scheme: &[u8], authority: Option<Bytes>, path: Bytes) -> Result<Uri, Malformed> {
    let mut parts = uri::Parts::default();
    if path.first() != Some(&b'/') && !(&path[..] == b"*" && method == Method::OPTIONS) {
        return Err(Malformed::Target);
    }
    // `Uri` would drop a fragment, and the next hop might not.
    if path.iter().any(|&byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
        return Err(Malformed::Target);
    }
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path).map_err(|_| Malformed::Target)?);
    let scheme = match scheme {
        b"https" => Scheme::HTTPS,
        b"http" => Scheme::HTTP,
        _ => return Err(Malformed::PseudoHeader),
    };
    if let Some(authority) = authority {
        parts.authority = Some(authority_of(authority)?);
        parts.scheme = Some(scheme);
    }
    Uri::from_parts(parts).map_err(|_| Malformed::Target)
}

fn authority_of(authority: Bytes) -> Result<Authority, Malformed> {
    // Who puts a user there is refused (§8.3.1).
    if authority.contains(&b'@') {
        return Err(Malformed::Host);
    }
    Authority::from_maybe_shared(authority).map_err(|_| Malformed::Host)
}

/// Fields that say something about an HTTP/1.1 connection (§8.2.2).
fn is_of_the_connection(name: &HeaderName, value: &HeaderValue) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
        || (*name == TE && !value.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

/// Whether a field of a response belongs to the connection that it came on, or is written by Weir itself.
#[must_use]
pub fn stays_behind(name: &HeaderName) -> bool {
    *name == CONTENT_LENGTH
        || *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == TE
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 1000, lines: 5 };

    fn pseudo(fields: &mut Fields, pseudo: Pseudo, value: &str) {
        fields.push(Field::Pseudo(pseudo, Bytes::copy_from_slice(value.as_bytes())), 40);
    }

    fn regular(fields: &mut Fields, name: &'static str, value: &'static str) {
        let field = Field::Regular(HeaderName::from_static(name), HeaderValue::from_static(value));
        fields.push(field, 40);
    }

    fn get() -> Fields {
        let mut fields = Fields::new(BOUNDS);
        pseudo(&mut fields, Pseudo::Method, "GET");
        pseudo(&mut fields, Pseudo::Scheme, "https");
        pseudo(&mut fields, Pseudo::Path, "/a?b");
        pseudo(&mut fields, Pseudo::Authority, "example.org");
        fields
    }

    #[test]
    fn a_request_has_its_target_in_parts() {
        let mut fields = get();
        regular(&mut fields, "content-length", "7");
        let head = fields.into_request().unwrap();
        assert_eq!(head.uri, "https://example.org/a?b");
        assert_eq!((head.method, head.length), (Method::GET, Some(7)));
    }

    #[test]
    fn malformed_requests_say_why() {
        let with = |change: &dyn Fn(&mut Fields)| {
            let mut fields = get();
            change(&mut fields);
            fields.into_request().err()
        };
        let malformed = |fault| Some(Rejected::Malformed(fault));
        assert_eq!(
            with(&|fields| pseudo(fields, Pseudo::Path, "/")),
            malformed(Malformed::PseudoHeader)
        );
        assert_eq!(
            with(&|fields| pseudo(fields, Pseudo::Status, "200")),
            malformed(Malformed::PseudoHeader)
        );
        assert_eq!(
            with(&|fields| pseudo(fields, Pseudo::Protocol, "x")),
            malformed(Malformed::PseudoHeader)
        );
        assert_eq!(
            with(&|fields| regular(fields, "connection", "close")),
            malformed(Malformed::ConnectionField)
        );
        assert_eq!(
            with(&|fields| regular(fields, "te", "gzip")),
            malformed(Malformed::ConnectionField)
        );
        assert_eq!(with(&|fields| regular(fields, "te", "trailers")), None);
        let late = |fields: &mut Fields| {
            fields.take(Pseudo::Path);
            regular(fields, "a", "b");
            pseudo(fields, Pseudo::Path, "/");
        };
        assert_eq!(with(&late), malformed(Malformed::PseudoHeader));
        for path in ["", "a", "*", "/a#b", "/a b", "http://x/"] {
            let other = |fields: &mut Fields| {
                fields.take(Pseudo::Path);
                pseudo(fields, Pseudo::Path, path);
            };
            assert_eq!(with(&other), malformed(Malformed::Target), "{path:?}");
        }
    }

    #[test]
    fn bounds_are_told_apart_from_bombs() {
        let mut fields = get();
        for _ in 0..7 {
            regular(&mut fields, "a", "b");
        }
        assert_eq!(
            fields.into_request().err(),
            Some(Rejected::TooLarge(Malformed::TooManyHeaders))
        );
        let mut fields = get();
        fields.push(Field::Malformed, 2000);
        assert_eq!(
            fields.into_request().err(),
            Some(Rejected::TooLarge(Malformed::HeadTooLarge))
        );
        let mut fields = get();
        fields.push(Field::Malformed, 4000);
        assert_eq!(fields.into_request().err(), Some(Rejected::Bomb));
    }
}
