//! What a stored response is found by: the target URI (RFC 9111 §2), and the request fields that it varies on (§4.1).

use ahash::RandomState;
use http::header::{HOST, HeaderName, VARY};
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};

use super::purge::Address;
use crate::exchange::subject::{Scheme, Subject};

/// The URI of a request, in pieces that nothing was copied for. The method is not part of it: only GET is stored, and HEAD is
/// answered by the same entry.
///
/// The target is the one that goes upstream, so that a plugin which tidies the query also tidies the cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    scheme: &'static str,
    host: &'a [u8],
    /// With its colon; empty for the scheme's own.
    port: &'a [u8],
    target: &'a [u8],
}

impl<'a> Key<'a> {
    pub(super) fn of(subject: &'a Subject) -> Self {
        let target = subject
            .upstream_target
            .as_ref()
            .or_else(|| subject.request.uri.path_and_query());
        Self {
            scheme: subject.scheme.as_str(),
            host: &subject.host,
            port: port(subject),
            target: target.map_or(b"/", |target| target.as_str().as_bytes()),
        }
    }

    /// The key of a URL that an operator names; the port with its colon, and empty for the scheme's own.
    pub(super) fn new(scheme: &'static str, host: &'a str, port: &'a str, target: &'a str) -> Self {
        Self {
            scheme,
            host: host.as_bytes(),
            port: port.as_bytes(),
            target: target.as_bytes(),
        }
    }

    pub(super) fn to_address(self) -> Address {
        Address::new(self.host, self.port, self.target)
    }

    /// The same server, another target.
    pub(super) fn with_target(self, target: &'a [u8]) -> Self {
        Self { target, ..self }
    }

    /// Whether an absolute URI is on the same server (RFC 9111 §4.4: only then may it be invalidated).
    pub(super) fn is_origin_of(&self, uri: &http::Uri) -> bool {
        let Some(authority) = uri.authority() else { return true };
        uri.scheme_str()
            .is_none_or(|scheme| scheme.eq_ignore_ascii_case(self.scheme))
            && authority.host().as_bytes().eq_ignore_ascii_case(self.host)
            && own_port(authority.as_str().as_bytes(), self.scheme) == self.port
    }

    pub(super) fn hash(&self, random: &RandomState) -> u64 {
        let mut hasher = random.build_hasher();
        hasher.write(self.scheme.as_bytes());
        hasher.write(self.host);
        hasher.write(self.port);
        hasher.write(self.target);
        hasher.finish()
    }

    pub(super) fn to_bytes(self) -> Box<[u8]> {
        [self.scheme.as_bytes(), b"://", self.host, self.port, b" ", self.target]
            .concat()
            .into_boxed_slice()
    }

    /// Whether this is the key that [`Key::to_bytes`] made: hashes can collide.
    pub(super) fn is(&self, stored: &[u8]) -> bool {
        let pieces = [self.scheme.as_bytes(), b"://", self.host, self.port, b" ", self.target];
        let mut rest = stored;
        pieces.iter().all(|piece| match rest.strip_prefix(*piece) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        }) && rest.is_empty()
    }
}

fn port(subject: &Subject) -> &[u8] {
    let authority = match subject.request.uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => subject
            .request
            .headers
            .get(HOST)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default(),
    };
    own_port(authority, subject.scheme.as_str())
}

/// The port of an authority with its colon; nothing where it is the scheme's default.
fn own_port<'a>(authority: &'a [u8], scheme: &str) -> &'a [u8] {
    let colon = authority.iter().rposition(|byte| !byte.is_ascii_digit());
    let port = colon
        .and_then(|colon| authority.get(colon..))
        .filter(|port| port.len() > 1 && port.starts_with(b":"));
    let default: &[u8] = if scheme == Scheme::Https.as_str() {
        b":443"
    } else {
        b":80"
    };
    port.filter(|port| *port != default).unwrap_or_default()
}

/// The request fields that a response was chosen by, with the values of the request that fetched it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Variant(Box<[Field]>);

/// A field's name and value; `None` where the request did not have it.
type Field = (HeaderName, Option<Box<[u8]>>);

/// More field names than this are a mistake or an attack; such a response is not stored.
const MOST_FIELDS: usize = 16;

impl Variant {
    /// `None` for a response that varies on too much to be worth storing.
    pub(super) fn new(request: &HeaderMap, response: &HeaderMap) -> Option<Self> {
        let mut names: SmallVec<[HeaderName; 4]> = SmallVec::new();
        for list in response.get_all(VARY) {
            for name in list
                .as_bytes()
                .split(|byte| *byte == b',')
                .map(<[u8]>::trim_ascii)
                .filter(|name| !name.is_empty())
            {
                let name = HeaderName::from_bytes(name).ok()?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let field = |name: HeaderName| {
            let value = value(request, &name).map(|value| value.into_vec().into_boxed_slice());
            (name, value)
        };
        (names.len() <= MOST_FIELDS).then(|| Self(names.into_iter().map(field).collect()))
    }

    /// Whether a request would have been answered with the same response (§4.1).
    pub(super) fn is_of(&self, request: &HeaderMap) -> bool {
        self.0
            .iter()
            .all(|(name, stored)| value(request, name).as_deref() == stored.as_deref())
    }

    /// A number for the values that a request has for these fields.
    pub(super) fn hash_of(&self, request: &HeaderMap, hasher: &mut impl Hasher) {
        for (name, _) in &self.0 {
            hasher.write_u8(u8::from(request.contains_key(name)));
            hasher.write(&value(request, name).unwrap_or_default());
        }
    }

    /// Bytes on the heap.
    pub(super) fn size(&self) -> usize {
        let values = self
            .0
            .iter()
            .map(|(name, value)| name.as_str().len() + value.as_ref().map_or(0, |value| value.len()));
        size_of_val(&*self.0) + values.sum::<usize>()
    }
}

/// A field's value, its lines joined and white space around them gone, as §4.1 has values compared.
fn value(headers: &HeaderMap, name: &HeaderName) -> Option<SmallVec<[u8; 64]>> {
    let mut lines = headers.get_all(name).iter().map(|line| line.as_bytes().trim_ascii());
    let mut value = SmallVec::from_slice(lines.next()?);
    for line in lines {
        value.extend_from_slice(b", ");
        value.extend_from_slice(line);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::{get, header_map};
    use super::*;

    fn stored(subject: &Subject) -> String {
        let key = Key::of(subject);
        let bytes = key.to_bytes();
        assert!(key.is(&bytes));
        assert!(!key.is(&bytes[..bytes.len() - 1]) && !key.is(&[&*bytes, b"x"].concat()));
        String::from_utf8(bytes.into_vec()).unwrap()
    }

    #[test]
    fn rfc9111_2_the_key_is_the_uri() {
        assert_eq!(stored(&get("/a?b=c", &[])), "http://example.org /a?b=c");
        assert_eq!(
            stored(&get("/", &[("host", "example.org:8080")])),
            "http://example.org:8080 /"
        );
        assert_eq!(stored(&get("/", &[("host", "example.org:80")])), "http://example.org /");
        assert_eq!(stored(&get("/", &[("host", "example.org:")])), "http://example.org /");
        let mut secure = get("/", &[("host", "example.org:443")]);
        secure.scheme = Scheme::Https;
        assert_eq!(stored(&secure), "https://example.org /");
        let mut rewritten = get("/a?utm=1", &[]);
        rewritten.upstream_target = Some("/a".parse().unwrap());
        assert_eq!(stored(&rewritten), "http://example.org /a");
    }

    #[test]
    fn keys_of_different_uris_hash_differently() {
        let random = RandomState::new();
        let hash = |target, host: &str| Key::of(&get(target, &[("host", host)])).hash(&random);
        assert_eq!(hash("/a", "example.org"), hash("/a", "example.org:80"));
        assert_ne!(hash("/a", "example.org"), hash("/b", "example.org"));
        assert_ne!(hash("/a", "example.org"), hash("/a", "example.org:81"));
    }

    #[test]
    fn rfc9111_4_4_the_same_server() {
        let subject = get("/", &[("host", "example.org")]);
        let key = Key::of(&subject);
        for (uri, same) in [
            ("/x", true),
            ("http://example.org/x", true),
            ("http://EXAMPLE.org:80/x", true),
            ("https://example.org/x", false),
            ("http://example.org:81/x", false),
            ("http://other.example/x", false),
        ] {
            assert_eq!(key.is_origin_of(&uri.parse().unwrap()), same, "{uri}");
        }
    }

    #[test]
    fn rfc9111_4_1_variants() {
        let variant = |request: &[_], vary| Variant::new(&header_map(request), &header_map(&[("vary", vary)])).unwrap();
        let gzip = variant(&[("accept-encoding", "gzip")], "Accept-Encoding");
        assert!(gzip.is_of(&header_map(&[("accept-encoding", "gzip"), ("accept", "x")])));
        assert!(gzip.is_of(&header_map(&[("accept-encoding", "  gzip ")])));
        assert!(!gzip.is_of(&header_map(&[("accept-encoding", "br")])));
        assert!(!gzip.is_of(&header_map(&[])));
        let none = variant(&[], "accept-encoding, , accept,accept-encoding");
        assert!(none.is_of(&header_map(&[])));
        assert!(!none.is_of(&header_map(&[("accept", "")])), "absent is not empty");
        let lines = variant(&[("accept", "a"), ("accept", "b")], "accept");
        assert!(lines.is_of(&header_map(&[("accept", "a, b")])));
        assert!(!lines.is_of(&header_map(&[("accept", "a")])));
        assert!(
            variant(&[("accept", "a")], "").is_of(&header_map(&[])),
            "an empty Vary varies on nothing"
        );
    }

    #[test]
    fn a_vary_that_is_malformed_or_too_long_is_not_stored() {
        let many = (0..=MOST_FIELDS)
            .map(|number| format!("x-{number}"))
            .collect::<Vec<_>>()
            .join(",");
        for vary in [many.as_str(), "accept encoding", "a, \"b\""] {
            assert_eq!(
                Variant::new(&header_map(&[]), &header_map(&[("vary", vary)])),
                None,
                "{vary}"
            );
        }
    }
}
