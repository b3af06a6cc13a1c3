//! What is left of a request head that Weir refuses: read as leniently as can be, to be shown to those who look for attacks.
//!
//! Nothing here is ever acted on. Where a head can be read in two ways this takes one of them, which is exactly why the request is
//! refused; for evidence one is enough.

use bytes::Bytes;
use http::Version;

use super::head::{MAX_HEADERS, RequestHead};

/// The words of a head, whatever bytes they have. What could not be found is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The first word of the request line.
    pub method: Bytes,
    /// What stands between the method and the version; there may be blanks in it.
    pub target: Bytes,
    /// The numbers behind `HTTP/`; `0.9` where the request line has none (RFC 1945 §4.1).
    pub version: Bytes,
    /// Every line that has a colon, in order, at most [`MAX_HEADERS`]; not those with NUL or a bare CR, of which nobody can say
    /// whether they end the line. Names have the case in which they came, without the blanks that must not follow them. A folded line
    /// belongs to the value before it, after a blank.
    pub fields: Vec<(Bytes, Bytes)>,
}

impl Salvaged {
    /// Reads bytes that begin with a head and may have more behind it.
    #[must_use]
    pub fn of_bytes(input: &Bytes) -> Self {
        let mut lines = Lines { text: input, at: 0 };
        let Some(first) = lines.find(|line| !line.is_empty()) else {
            return Self::default();
        };
        let mut salvaged = request_line(&first);
        for line in lines.take_while(|line| !line.is_empty()) {
            let fields = &mut salvaged.fields;
            if let (Some(b' ' | b'\t'), Some((_, value))) = (line.first(), fields.last_mut()) {
                *value = [&**value, line.trim_ascii()].join(&b' ').into();
                continue;
            }
            if memchr::memchr2(b'\r', 0, &line).is_some() {
                continue;
            }
            if let Some(colon) = memchr::memchr(b':', &line).filter(|_| fields.len() < MAX_HEADERS) {
                let name = line.slice_ref(line.get(..colon).unwrap_or_default().trim_ascii_end());
                let value = line.slice_ref(line.get(colon + 1..).unwrap_or_default().trim_ascii());
                fields.push((name, value));
            }
        }
        salvaged
    }

    /// What a head says that could be read, and was refused for what it says.
    #[must_use]
    pub fn of_head(head: &RequestHead) -> Self {
        let copy = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let target = head.uri.path_and_query().map(|target| target.as_str());
        let authority = || head.uri.authority().map(|authority| authority.as_str());
        let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (copy(name.as_str()), Bytes::copy_from_slice(value.as_bytes()))
        };
        Self {
            method: copy(head.method.as_str()),
            target: copy(target.or_else(authority).unwrap_or_default()),
            version: Bytes::from_static(match head.version {
                Version::HTTP_2 => b"2",
                Version::HTTP_10 => b"1.0",
                _ => b"1.1",
            }),
            fields: head.headers.iter().map(field).collect(),
        }
    }

    /// The path: of a URL what follows the host, never a query or a fragment.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        let plain = self.origin_form();
        plain.split(|&byte| byte == b'?').next().unwrap_or_default()
    }

    /// The query, without the `?`.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        let plain = self.origin_form();
        plain.get(memchr::memchr(b'?', plain)? + 1..)
    }

    /// The target, where it is more than path and query: a URL, or one with a fragment.
    #[must_use]
    pub fn whole_target(&self) -> Option<&[u8]> {
        (self.origin_form() != self.target).then_some(&self.target)
    }

    /// The host without port, in lower case: of the target, else of the first `Host`.
    #[must_use]
    pub fn host(&self) -> Vec<u8> {
        let of_target =
            after_scheme(&self.target).map(|rest| rest.split(|byte| b"/?#".contains(byte)).next().unwrap_or_default());
        let host = of_target.or_else(|| self.values(b"host").next()).unwrap_or_default();
        let port = memchr::memrchr(b':', host).filter(|_| !host.ends_with(b"]"));
        host.get(..port.unwrap_or(host.len()))
            .unwrap_or_default()
            .to_ascii_lowercase()
    }

    /// The values of a field, in order; names compare without case.
    pub fn values(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.fields
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    fn origin_form(&self) -> &[u8] {
        let rest = match after_scheme(&self.target) {
            None => &*self.target,
            Some(rest) => match rest.iter().position(|byte| b"/?#".contains(byte)) {
                Some(at) => rest.get(at..).unwrap_or_default(),
                None => b"/",
            },
        };
        rest.split(|&byte| byte == b'#').next().unwrap_or_default()
    }
}

/// Lines without their ends, of which a bare LF is one. What follows the last LF is a line as well.
struct Lines<'a> {
    text: &'a Bytes,
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += end + 1;
        let line = rest.get(..end).unwrap_or_default();
        Some(self.text.slice_ref(line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

fn request_line(line: &Bytes) -> Salvaged {
    let of = |part: &[u8]| line.slice_ref(part);
    let first = memchr::memchr(b' ', line).unwrap_or(line.len());
    let (method, rest) = line.split_at(first);
    let rest = rest.strip_prefix(b" ").unwrap_or_default();
    let last = memchr::memrchr(b' ', rest);
    let (target, word) = match last.and_then(|at| Some((rest.get(..at)?, rest.get(at + 1..)?))) {
        // Whatever stands in its place, unless the target seems to have blanks in it.
        Some((target, word)) if word.starts_with(b"HTTP/") || !target.contains(&b' ') => (target, word),
        _ => (rest, &b""[..]),
    };
    Salvaged {
        method: of(method),
        target: of(target),
        version: match word.strip_prefix(b"HTTP/").unwrap_or(word) {
            b"" => Bytes::from_static(b"0.9"),
            version => of(version),
        },
        fields: Vec::new(),
    }
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salvaged(head: &'static str) -> Salvaged {
        Salvaged::of_bytes(&Bytes::from_static(head.as_bytes()))
    }

    #[test]
    fn a_request_line_is_taken_apart_whatever_it_is() {
        for (line, method, target, version) in [
            ("GET /a?b HTTP/1.1\r\n\r\n", "GET", "/a?b", "1.1"),
            ("GET /a b c HTTP/1.1\r\n\r\n", "GET", "/a b c", "1.1"),
            ("GET /a\r\n\r\n", "GET", "/a", "0.9"),
            ("GET /a \r\n\r\n", "GET", "/a", "0.9"),
            ("GET /a HTTP/0.8\n\n", "GET", "/a", "0.8"),
            ("GET /a JUNK/1.0\r\n\r\n", "GET", "/a", "JUNK/1.0"),
            ("\r\n\r\nG@T /\\a HTTP/1.1", "G@T", "/\\a", "1.1"),
            ("SSH-2.0-x\r\n", "SSH-2.0-x", "", "0.9"),
            (" GET / HTTP/1.1\r\n", "", "GET /", "1.1"),
            ("", "", "", ""),
        ] {
            let found = salvaged(line);
            assert_eq!(
                (&*found.method, &*found.target),
                (method.as_bytes(), target.as_bytes()),
                "{line:?}"
            );
            assert_eq!(found.version, version, "{line:?}");
        }
    }

    #[test]
    fn fields_end_with_the_head_and_keep_their_case() {
        let found = salvaged(
            "GET / HTTP/1.1\r\nHost : A:80\r\nno colon\r\nA: \rB: c\r\nC: \0\r\nX-A: b\r\n\tc \nhost:d\r\n\r\nBody: no\r\n",
        );
        let fields: Vec<(&[u8], &[u8])> = found.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(
            fields,
            [(&b"Host"[..], &b"A:80"[..]), (b"X-A", b"b c"), (b"host", b"d")]
        );
        assert_eq!(found.host(), b"a");
        assert_eq!(found.values(b"HOST").count(), 2);
    }

    #[test]
    fn there_are_no_more_fields_than_a_head_may_have() {
        let head = format!("GET / HTTP/1.1\r\n{}", "a:b\r\n".repeat(1000));
        assert_eq!(Salvaged::of_bytes(&Bytes::from(head)).fields.len(), MAX_HEADERS);
    }

    #[test]
    fn a_target_is_understood_as_far_as_it_goes() {
        for (target, path, query, whole) in [
            ("/a?b#c", "/a", Some("b"), true),
            ("/a\u{e9}?", "/a\u{e9}", Some(""), false),
            ("HTTP://Host:1?b", "", Some("b"), true),
            ("http://host", "/", None, true),
            ("*", "*", None, false),
            ("1.2.3.4:80", "1.2.3.4:80", None, false),
        ] {
            let found = Salvaged {
                target: Bytes::from(target),
                ..Salvaged::default()
            };
            assert_eq!(found.path(), path.as_bytes(), "{target}");
            assert_eq!(found.query(), query.map(str::as_bytes), "{target}");
            assert_eq!(found.whole_target().is_some(), whole, "{target}");
        }
    }
}
