//! The first phase: what a request has to be before anything else looks at it.

use std::net::{IpAddr, Ipv6Addr};
use std::str;

use bytes::Bytes;
use http::header::{EXPECT, FORWARDED, HOST, HeaderMap, HeaderValue, MAX_FORWARDS};
use http::uri::Authority;
use http::{Method, StatusCode, Uri, Version};
use ipnet::IpNet;

use super::body::RequestBody;
use super::subject::Reply;
use super::{Ending, Exchange, Refusal, cdn_loop};
use crate::config::Limits;
use crate::http1::head::{Malformed, RequestHead, range_in};

impl Exchange {
    /// `admit`: framing has been checked by the connection; here host and forwarding.
    pub(super) fn admit(&mut self) -> Result<(), Ending> {
        let rate = self.state.snapshot.config.limits.client.request_rate;
        if !self.busy.client().place.may_request(rate) {
            return Err(Refusal::TooManyRequests.into());
        }
        let subject = &mut *self.subject;
        bounds(&subject.request, &self.state.snapshot.config.limits)?;
        subject.host = host(&subject.request)?;
        content(&subject.request.method, &self.body)?;
        expectation(&subject.request)?;
        if reach(&mut subject.request)? == Reach::Here {
            return Err(Ending::Replied(Box::new(Reply {
                status: StatusCode::NO_CONTENT,
                headers: HeaderMap::new(),
                body: Bytes::new(),
            })));
        }
        if let Some(own) = &self.state.snapshot.config.cdn_id {
            cdn_loop::check(&subject.request.headers, own)?;
        }
        let trusted = &self.state.snapshot.config.trusted_proxies;
        if !trusted.is_empty() {
            subject.client_ip = client_ip(subject.peer.ip(), trusted, &subject.request.headers);
        }
        Ok(())
    }
}

/// Holds an HTTP/2 head to the limits on its target and its lines; an HTTP/1.1 head was held to them while it was read.
///
/// # Errors
/// Which limit it exceeds.
pub fn bounds(head: &RequestHead, limits: &Limits) -> Result<(), Refusal> {
    if head.version != Version::HTTP_2 {
        return Ok(());
    }
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.target {
        return Err(Refusal::Malformed(Malformed::TargetTooLong));
    }
    if head.headers.len() > limits.headers {
        return Err(Refusal::Malformed(Malformed::TooManyHeaders));
    }
    Ok(())
}

/// Checks a request head, and gives its host: in lower case, without port.
///
/// # Errors
/// What is wrong, with the status that the RFC names.
pub fn host(head: &RequestHead) -> Result<Bytes, Refusal> {
    if head.method == Method::CONNECT {
        return Err(tunnel(&head.uri));
    }
    if head.uri.path_and_query().is_none() {
        return Err(Refusal::Malformed(Malformed::Target));
    }
    if head.uri.path() == "*" && head.method != Method::OPTIONS {
        return Err(Refusal::Malformed(Malformed::Target));
    }
    let default_port = match head.uri.scheme_str() {
        None => None,
        Some("http") => Some(80),
        Some("https") => Some(443),
        Some(_) => return Err(Refusal::Malformed(Malformed::Target)),
    };
    let field = host_field(&head.headers)?;
    // An absolute target outranks the field (RFC 9112 §3.2.2); where both are there and differ, nobody knows who is meant.
    let named = match (head.uri.authority(), field) {
        (Some(authority), Some(field)) => {
            if !is_same_authority(authority.as_str().as_bytes(), field, default_port) {
                return Err(Refusal::Malformed(Malformed::Host));
            }
            field
        }
        (Some(authority), None) if head.version != Version::HTTP_11 => authority.as_str().as_bytes(),
        (None, Some(field)) => field,
        (None, None) if head.version <= Version::HTTP_10 => return Ok(Bytes::new()),
        _ => return Err(Refusal::Malformed(Malformed::Host)),
    };
    normalise(named, &head.received).ok_or(Refusal::Malformed(Malformed::Host))
}

/// CONNECT asks for a tunnel, which Weir has none of; one without a port is wrong besides (RFC 9110 §9.3.6).
fn tunnel(target: &Uri) -> Refusal {
    match target.port_u16() {
        Some(1..) if target.path_and_query().is_none() => Refusal::Connect,
        _ => Refusal::Malformed(Malformed::Target),
    }
}

/// Whether two name the same host and port; a port that the scheme implies may be left out (RFC 9110 §4.2.3).
fn is_same_authority(one: &[u8], other: &[u8], default_port: Option<u16>) -> bool {
    let parts = |text: &[u8]| {
        let authority: Authority = str::from_utf8(text)
            .ok()
            .filter(|text| !text.contains('@'))?
            .parse()
            .ok()?;
        let port = authority.port_u16().or(default_port);
        Some((authority.host().to_ascii_lowercase(), port))
    };
    one.eq_ignore_ascii_case(other) || parts(one).is_some_and(|one| Some(one) == parts(other))
}

/// A TRACE has no content (RFC 9110 §9.3.8): it would be sent back to whoever can read the answer.
///
/// # Errors
/// [`Malformed::TraceContent`].
pub fn content(method: &Method, body: &RequestBody) -> Result<(), Refusal> {
    if *method == Method::TRACE && !body.is_none() {
        return Err(Refusal::Malformed(Malformed::TraceContent));
    }
    Ok(())
}

/// The only expectation that there is, is `100-continue`; HTTP/1.0 knows none (RFC 9110 §10.1.1).
///
/// # Errors
/// [`Refusal::Expectation`].
pub fn expectation(head: &RequestHead) -> Result<(), Refusal> {
    if !head.names.may_have("expect") {
        return Ok(());
    }
    let met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if head.version <= Version::HTTP_10 || head.headers.get_all(EXPECT).iter().all(met) {
        Ok(())
    } else {
        Err(Refusal::Expectation)
    }
}

/// How far a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To a server.
    Onward,
    /// To this proxy, which answers it.
    Here,
}

/// Counts `Max-Forwards` down, in the methods that have it (RFC 9110 §7.6.2). A value that is no number is passed on.
///
/// # Errors
/// [`Refusal::NotImplemented`] for a TRACE that ends here: what it would show are headers that are meant for servers.
pub fn reach(head: &mut RequestHead) -> Result<Reach, Refusal> {
    if !matches!(head.method, Method::OPTIONS | Method::TRACE) {
        return Ok(Reach::Onward);
    }
    let told = head.headers.get(MAX_FORWARDS).and_then(|value| value.to_str().ok());
    let digits = told.filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(hops) = digits.and_then(|digits| digits.parse::<u64>().ok()) else {
        return Ok(Reach::Onward);
    };
    match hops.checked_sub(1) {
        Some(left) => {
            head.headers.insert(MAX_FORWARDS, left.into());
            Ok(Reach::Onward)
        }
        None if head.method == Method::TRACE => Err(Refusal::NotImplemented),
        None => Ok(Reach::Here),
    }
}

/// The one `Host` field (RFC 9112 §3.2).
fn host_field(headers: &HeaderMap) -> Result<Option<&[u8]>, Refusal> {
    let mut values = headers.get_all(HOST).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::Malformed(Malformed::Host));
    }
    Ok(first.map(|value| value.as_bytes()))
}

/// `uri-host [ ":" port ]` without the port, in lower case and without a trailing dot; a part of `received` where it is one.
fn normalise(named: &[u8], received: &Bytes) -> Option<Bytes> {
    // Nearly every one: nothing to parse.
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let (host, port) = named.split_at(named.iter().position(|byte| !plain(byte)).unwrap_or(named.len()));
    if host.last().is_some_and(|last| *last != b'.') && is_port(port) {
        let place = range_in(received, host);
        return Some(if place.is_empty() {
            Bytes::copy_from_slice(host)
        } else {
            received.slice(place)
        });
    }
    let text = str::from_utf8(named).ok()?;
    if text.contains('@') {
        return None;
    }
    let authority: Authority = text.parse().ok()?;
    let host = authority.host();
    let port = &text[host.len().min(text.len())..];
    let valid_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if host.is_empty() || !valid_port || (!port.is_empty() && port.len() > 1 && authority.port_u16().is_none()) {
        return None;
    }
    // A name may hold sub-delimiters (RFC 3986 §3.2.2), but no host on the network does, and a comma looks like a list.
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let valid = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.bytes().all(named),
    };
    if !valid {
        return None;
    }
    let host = host.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(host);
    Some(Bytes::from(host.to_ascii_lowercase()))
}

/// Whether it is nothing, or a colon and at most five digits of a port.
fn is_port(text: &[u8]) -> bool {
    let Some(digits) = text.strip_prefix(b":") else {
        return text.is_empty();
    };
    let number = || {
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) && number() <= u32::from(u16::MAX)
}

/// The client's address: the peer's, unless the peer is a trusted proxy; then the last address in `X-Forwarded-For`, or where
/// there is none in `Forwarded` (RFC 7239), that is not a trusted proxy's.
#[must_use]
pub fn client_ip(peer: IpAddr, trusted: &[IpNet], headers: &HeaderMap) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted) {
        return client;
    }
    let listed = headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        .flat_map(|value| elements(value).map(parse_address));
    let forwarded = headers
        .get_all(FORWARDED)
        .iter()
        .rev()
        .flat_map(|value| elements(value).map(forwarded_for));
    let (mut listed, mut forwarded) = (listed, forwarded);
    let mut next = || {
        if headers.contains_key("x-forwarded-for") {
            listed.next()
        } else {
            forwarded.next()
        }
    };
    // What does not parse hides everything before it.
    while let Some(Some(address)) = next() {
        client = address;
        if !is_trusted(client, trusted) {
            break;
        }
    }
    client
}

/// The elements of a list, last one first.
fn elements(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The node in an element's `for` parameter: an address, IPv6 in brackets and quotes, perhaps with a port (RFC 7239 §6).
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let pair = |part: &[u8]| {
        let part = part.trim_ascii();
        let (name, value) = part.split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"for=").then(|| value.to_vec())
    };
    let node = element.split(|&byte| byte == b';').find_map(pair)?;
    let node = str::from_utf8(&node).ok()?.trim_matches('"').to_owned();
    let address = match node.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => node.split(':').next()?,
    };
    parse_address(address.as_bytes())
}

/// Whether an address belongs to a proxy whose word is believed.
#[must_use]
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parts(target: &str, hosts: &[&str]) -> RequestHead {
        let mut request = http::Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into()
    }

    #[test]
    fn a_host_is_one_name_in_lower_case() {
        for (field, expected) in [
            ("example.org", "example.org"),
            ("Example.ORG:8080", "example.org"),
            ("example.org:65535", "example.org"),
            ("example.org:", "example.org"),
            ("example.org.", "example.org"),
            ("[::1]:80", "[::1]"),
            ("127.0.0.1:9", "127.0.0.1"),
        ] {
            assert_eq!(host(&parts("/", &[field])).unwrap(), expected, "{field}");
        }
        for refused in [
            "", "a b", "a@b", "a/b", "a:b", "a:65536", "a:99999", "a:100000", "a,b", ":80", "[::1", "[::g]", "[v1.a]",
            "a\\b",
        ] {
            assert!(host(&parts("/", &[refused])).is_err(), "{refused:?}");
        }
        assert!(host(&parts("/", &[])).is_err());
        assert!(host(&parts("/", &["a", "a"])).is_err());
        assert!(host(&parts("http://a/", &["b"])).is_err());
        assert!(host(&parts("http://a/", &["A"])).is_ok());
        assert!(host(&parts("http://a/", &["A:80"])).is_ok());
        assert!(host(&parts("https://a:443/", &["a"])).is_ok());
        assert!(host(&parts("http://a/", &["a:443"])).is_err());
        assert!(host(&parts("ftp://a/", &["a"])).is_err());
        assert!(host(&parts("http://u@a/", &["a"])).is_err());
    }

    #[test]
    fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.2".parse().unwrap());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(client_ip(ip("10.0.0.1"), &trusted, &headers), ip("1.2.3.4"));
        assert_eq!(client_ip(ip("9.9.9.9"), &trusted, &headers), ip("9.9.9.9"));
        headers.insert("x-forwarded-for", "garbage, 10.0.0.2".parse().unwrap());
        assert_eq!(client_ip(ip("10.0.0.1"), &trusted, &headers), ip("10.0.0.2"));
        headers.remove("x-forwarded-for");
        headers.insert(
            FORWARDED,
            "for=6.6.6.6, For=\"[2001:db8::1]:4711\";proto=http, for=10.0.0.2"
                .parse()
                .unwrap(),
        );
        assert_eq!(client_ip(ip("10.0.0.1"), &trusted, &headers), ip("2001:db8::1"));
    }
}
