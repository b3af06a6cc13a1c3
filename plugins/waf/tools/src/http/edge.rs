//! What the proxy refuses before any rule is asked, and how the parts of a head are told apart that this depends on.

use super::wire::Head;

/// Why the proxy answers 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub &'static str);

/// The reason to refuse a message that could be read.
pub(super) fn refusal(head: &Head<'_>) -> Option<Refusal> {
    let wrong = |reason| Some(Refusal(reason));
    if !head.method.iter().all(|&b| is_token(b)) {
        return wrong("the method is not a token (RFC 9110 §9.1)");
    }
    match version(head.version) {
        Some((1, 0 | 1)) => {}
        _ => return wrong("the version is neither HTTP/1.0 nor HTTP/1.1"),
    }
    if let Some(reason) = target(head.method, head.target) {
        return wrong(reason);
    }
    if !head
        .fields
        .iter()
        .all(|(name, _)| !name.is_empty() && name.iter().all(|&b| is_token(b)))
    {
        return wrong("a field name is not a token (RFC 9110 §5.1)");
    }
    framing(head).or_else(|| host(head)).and_then(wrong)
}

fn target(method: &[u8], target: &[u8]) -> Option<&'static str> {
    if target.contains(&b'#') {
        return Some("the target has a fragment (RFC 9112 §3.2)");
    }
    if method == b"CONNECT" {
        let (host, port) = target.split_at(without_port(target).len());
        let port = port.strip_prefix(b":").unwrap_or_default();
        let sound = !host.is_empty() && !port.is_empty() && port.iter().all(u8::is_ascii_digit);
        return (!sound).then_some("CONNECT needs a host and a port (RFC 9112 §3.2.3)");
    }
    let sound = target.starts_with(b"/") || authority(target).is_some() || target == b"*" && method == b"OPTIONS";
    (!sound).then_some("the target is neither a path nor a URL (RFC 9112 §3.2)")
}

fn framing(head: &Head<'_>) -> Option<&'static str> {
    let mut lengths = head
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"content-length"))
        .map(|(_, value)| value.as_slice());
    let length = lengths.next();
    if length.is_some_and(|length| length.is_empty() || !length.iter().all(u8::is_ascii_digit)) {
        return Some("Content-Length is not a number (RFC 9112 §6.2)");
    }
    if lengths.any(|more| Some(more) != length) {
        return Some("Content-Length is there more than once, with different values (RFC 9112 §6.3)");
    }
    if length.is_some() && head.field(b"transfer-encoding").is_some() {
        return Some("Content-Length beside Transfer-Encoding (RFC 9112 §6.3)");
    }
    None
}

fn host(head: &Head<'_>) -> Option<&'static str> {
    let mut hosts = head
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"host"))
        .map(|(_, value)| value.as_slice());
    let first = hosts.next();
    if hosts.next().is_some() {
        return Some("Host is there more than once (RFC 9112 §3.2)");
    }
    match first {
        None | Some(b"") if version(head.version) == Some((1, 1)) => Some("Host is missing (RFC 9112 §3.2)"),
        Some(host) if !host.iter().all(|&b| is_host_byte(b)) => Some("Host is not the name of a host"),
        _ => None,
    }
}

/// The numbers of `HTTP/1.1`; the second may be missing.
pub(super) fn version(text: &[u8]) -> Option<(u32, u32)> {
    let numbers = std::str::from_utf8(text.strip_prefix(b"HTTP/")?).ok()?;
    let (major, minor) = numbers.split_once('.').unwrap_or((numbers, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether the body comes in chunks.
pub(super) fn is_chunked(head: &Head<'_>) -> bool {
    head.field(b"transfer-encoding")
        .is_some_and(|coding| coding.to_ascii_lowercase().ends_with(b"chunked"))
}

/// The host and port of a URL; nothing for a path.
pub(super) fn authority(target: &[u8]) -> Option<&[u8]> {
    after_scheme(target)?.split(|&b| matches!(b, b'/' | b'?' | b'#')).next()
}

/// Path and query of a target: of a URL, what follows the host.
pub(super) fn origin_form(target: &[u8]) -> &[u8] {
    let Some(rest) = after_scheme(target) else {
        return target;
    };
    match rest.iter().position(|&b| matches!(b, b'/' | b'?' | b'#')) {
        Some(at) => rest.get(at..).unwrap_or_default(),
        None => b"/",
    }
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// A host without the port after it.
pub(super) fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&b| b == b':') {
        Some(at) if !host.ends_with(b"]") => host.get(..at).unwrap_or(host),
        _ => host,
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What the proxy takes in the name of a host, an address or a port.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte)
}
