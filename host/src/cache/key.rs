//! What stored responses are found by: the target URI (RFC 9111 §2).

use ahash::RandomState;
use http::HeaderValue;
use http::header::HOST;
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
            target: match &subject.caching.key {
                Some(key) => key,
                None => target.map_or(b"/", |target| target.as_str().as_bytes()),
            },
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

    pub(super) fn target(&self) -> &'a [u8] {
        self.target
    }

    /// The target that a reference in a response means, where it is on the same server (RFC 9111 §4.4: only then may it be
    /// invalidated). Relative ones start at this target (RFC 3986 §5.2).
    pub(super) fn resolve(&self, reference: &str) -> Option<Vec<u8>> {
        let reference = reference.split('#').next().unwrap_or_default().trim();
        if let Some(rest) = reference.strip_prefix("//") {
            return self.on_same_server(rest);
        }
        let scheme_end = reference
            .find([':', '/', '?'])
            .filter(|at| reference[*at..].starts_with(':'));
        if let Some(end) = scheme_end {
            let (scheme, rest) = reference.split_at(end);
            let rest = rest
                .strip_prefix("://")
                .filter(|_| scheme.eq_ignore_ascii_case(self.scheme))?;
            return self.on_same_server(rest);
        }
        let base = self.target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let joined = match reference.as_bytes() {
            [] => return Some(self.target.to_vec()),
            [b'/', ..] => reference.as_bytes().to_vec(),
            query @ [b'?', ..] => return Some([base, query].concat()),
            relative => {
                let folder = base.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
                [base.get(..folder).unwrap_or_default(), relative].concat()
            }
        };
        Some(without_dots(&joined))
    }

    /// The target of an authority and what follows it.
    fn on_same_server(&self, rest: &str) -> Option<Vec<u8>> {
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let port = own_port(authority.as_bytes(), self.scheme);
        let host = authority.rsplit_once(':').map_or(authority, |(host, digits)| {
            let is_port = digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_port { host } else { authority }
        });
        let same = host.as_bytes().eq_ignore_ascii_case(self.host) && port == self.port;
        same.then(|| match target.as_bytes() {
            [] => b"/".to_vec(),
            query @ [b'?', ..] => [b"/", query].concat(),
            path => without_dots(path),
        })
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

/// Takes `.` and `..` out of a path, whatever query follows (RFC 3986 §5.2.4).
fn without_dots(target: &[u8]) -> Vec<u8> {
    let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at(end);
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut rest = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = rest.next() {
        let last = rest.peek().is_none();
        match segment {
            b"." => {}
            b".." => drop(segments.pop()),
            segment => {
                segments.push(segment);
                continue;
            }
        }
        // What ends in dots is a folder.
        if last {
            segments.push(b"");
        }
    }
    let mut clean = Vec::with_capacity(target.len());
    for segment in segments {
        clean.push(b'/');
        clean.extend_from_slice(segment);
    }
    if clean.is_empty() {
        clean.push(b'/');
    }
    clean.extend_from_slice(query);
    clean
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::get;
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
    fn rfc9111_4_4_references_on_the_same_server() {
        let subject = get("/a/b?c=d", &[("host", "example.org")]);
        let key = Key::of(&subject);
        for (reference, target) in [
            ("/x", Some("/x")),
            ("http://example.org/x?y", Some("/x?y")),
            ("HTTP://EXAMPLE.org:80/x", Some("/x")),
            ("http://example.org", Some("/")),
            ("http://example.org?q", Some("/?q")),
            ("//example.org/x#part", Some("/x")),
            ("x", Some("/a/x")),
            ("./x", Some("/a/x")),
            ("../x?y=/..", Some("/x?y=/..")),
            ("../../../x", Some("/x")),
            ("..", Some("/")),
            (".", Some("/a/")),
            ("?e=f", Some("/a/b?e=f")),
            ("", Some("/a/b?c=d")),
            ("x?y:z", Some("/a/x?y:z")),
            ("https://example.org/x", None),
            ("http://example.org:81/x", None),
            ("http://other.example/x", None),
            ("//other.example/x", None),
            ("mailto:a@example.org", None),
        ] {
            let resolved = key.resolve(reference).map(|target| String::from_utf8(target).unwrap());
            assert_eq!(resolved.as_deref(), target, "{reference}");
        }
    }
}
