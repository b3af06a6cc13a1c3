//! Bytes to a request, as leniently as can be (RFC 9112, and what is sent by those who break it).

use std::net::{IpAddr, Ipv4Addr};

use weir_waf::evaluate::RequestHead;

use super::edge::{self, Refusal};
use super::{Framing, Received, Request};

/// Who sends the requests of tests.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The head of a message, before anything is understood of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    /// What follows the target: `HTTP/1.1`. Empty in the oldest requests, which end with the target.
    pub(super) version: &'a [u8],
    pub(super) fields: Vec<(&'a [u8], Vec<u8>)>,
}

/// Reads one message.
#[must_use]
pub fn read(message: &[u8]) -> Received {
    let (head, body) = match split(message) {
        Ok(parts) => parts,
        Err(refusal) => {
            return Received {
                request: None,
                refusal: Some(refusal),
            };
        }
    };
    let refusal = edge::refusal(&head);
    let body = unframed(&head, body);
    Received {
        request: Some(Request {
            head: understood(&head),
            body,
            framing: match head.version {
                b"" => Framing::Bare,
                _ => Framing::Versioned,
            },
        }),
        refusal,
    }
}

/// The head and what follows it.
fn split(message: &[u8]) -> Result<(Head<'_>, &[u8]), Refusal> {
    let (line, mut rest) = next_line(message);
    let [method, target, version] = request_line(line)?;
    let mut fields: Vec<(&[u8], Vec<u8>)> = Vec::new();
    while !rest.is_empty() {
        let (line, after) = next_line(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        if line.contains(&b'\r') || line.contains(&0) {
            return Err(Refusal("a control byte in a header field (RFC 9112 §2.2)"));
        }
        if let ([b' ' | b'\t', ..], Some((_, value))) = (line, fields.last_mut()) {
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
            continue;
        }
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            return Err(Refusal("a header field without a colon (RFC 9112 §5)"));
        };
        let (name, value) = line.split_at(colon);
        fields.push((name, value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
    }
    let head = Head {
        method,
        target,
        version,
        fields,
    };
    Ok((head, rest))
}

/// `GET /path HTTP/1.1`, split at the spaces of which there must be two; one where there is no version.
fn request_line(line: &[u8]) -> Result<[&[u8]; 3], Refusal> {
    const WRONG: Refusal = Refusal("the request line is not a method, a target and a version (RFC 9112 §3)");
    let mut words = line.split(|&b| b == b' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(WRONG);
    };
    let version = words.next().unwrap_or_default();
    let control = line.iter().any(|&b| b < b' ' || b == 0x7f);
    if method.is_empty() || target.is_empty() || words.next().is_some() || control {
        return Err(WRONG);
    }
    if !version.is_empty() && edge::version(version).is_none() {
        return Err(Refusal("the version is not HTTP/ and two numbers (RFC 9112 §2.3)"));
    }
    Ok([method, target, version])
}

fn next_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&b| b == b'\n').unwrap_or(text.len());
    let (line, rest) = text.split_at(end);
    (
        line.strip_suffix(b"\r").unwrap_or(line),
        rest.get(1..).unwrap_or_default(),
    )
}

/// The body without its framing (RFC 9112 §6.3). What is missing of it is left out.
fn unframed(head: &Head<'_>, rest: &[u8]) -> Vec<u8> {
    if edge::is_chunked(head) {
        return dechunked(rest);
    }
    let length = head
        .fields
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"content-length"))
        .and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    rest.get(..length).unwrap_or(rest).to_vec()
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let (line, after) = next_line(rest);
        let digits = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| usize::from_str_radix(digits, 16).ok())
            .unwrap_or(0);
        if size == 0 {
            return body;
        }
        let chunk = after.get(..size).unwrap_or(after);
        body.extend_from_slice(chunk);
        let (_, next) = next_line(after.get(chunk.len()..).unwrap_or_default());
        rest = next;
    }
}

fn understood(head: &Head<'_>) -> RequestHead {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let origin_form = edge::origin_form(head.target);
    let plain = origin_form.split(|&b| b == b'#').next().unwrap_or_default();
    let (path, query) = match plain.iter().position(|&b| b == b'?') {
        Some(at) => (plain.get(..at), plain.get(at + 1..).map(<[u8]>::to_vec)),
        None => (Some(plain), None),
    };
    let host = edge::authority(head.target)
        .or_else(|| head.field(b"host"))
        .unwrap_or_default();
    RequestHead {
        client: CLIENT,
        method: text(head.method),
        version: match head.version {
            b"" => "0.9".to_owned(),
            version => text(version.get(b"HTTP/".len()..).unwrap_or_default()),
        },
        host: text(edge::without_port(host)).to_ascii_lowercase(),
        path: path.unwrap_or_default().to_vec(),
        query,
        target: (plain != head.target).then(|| head.target.to_vec()),
        headers: head
            .fields
            .iter()
            .map(|(name, value)| (text(name), value.clone()))
            .collect(),
        id: "0".repeat(32),
    }
}

impl Head<'_> {
    /// The first field of a name, written in small letters.
    pub(super) fn field(&self, wanted: &[u8]) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_slice())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_is_read() {
        let received =
            read(b"POST /a?b=c#d HTTP/1.1\r\nHost: Example.org:80\r\nContent-Length: 3\r\nX: a\r\n b\r\n\r\nabcd");
        let request = received.request.unwrap();
        assert_eq!(
            (request.head.method.as_str(), request.head.version.as_str()),
            ("POST", "1.1")
        );
        assert_eq!(request.head.path, b"/a");
        assert_eq!(request.head.query.as_deref(), Some(&b"b=c"[..]));
        assert_eq!(request.head.target.as_deref(), Some(&b"/a?b=c#d"[..]));
        assert_eq!(request.head.host, "example.org");
        assert_eq!(request.head.headers[2], ("X".to_owned(), b"a b".to_vec()));
        assert_eq!(request.body, b"abc");
    }

    #[test]
    fn chunks_are_joined() {
        let received = read(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nHi \r\n3\r\nCRS\r\n0\r\n\r\n",
        );
        assert_eq!(received.request.unwrap().body, b"Hi CRS");
        assert_eq!(received.refusal, None);
    }

    #[test]
    fn what_is_no_message_cannot_be_judged() {
        for message in [
            &b"     GET / HTTP/1.1\r\n\r\n"[..],
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"GET / JUNK/1.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
            b"",
        ] {
            let received = read(message);
            assert!(received.request.is_none() && received.refusal.is_some(), "{message:?}");
        }
    }

    #[test]
    fn what_is_refused_is_judged_as_far_as_it_was_read() {
        for (message, version) in [
            (&b"GET / \r\nHost: a\r\n\r\n"[..], "0.9"),
            (b"GET / HTTP/4.0\r\nHost: a\r\n\r\n", "4.0"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3;\r\n\r\nabc", "1.1"),
        ] {
            let received = read(message);
            assert!(received.refusal.is_some(), "{message:?}");
            assert_eq!(received.request.unwrap().head.version, version);
        }
    }
}
