//! What a line is made of, and how its values are written whatever the format.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exchange::subject::{Scheme, Subject};
use crate::plugin::Trace;

/// Bytes that are shown of a header's value.
const HEADER_BYTES: usize = 1024;

/// What a line is made of.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The heads and facts of the exchange.
    pub subject: &'a Subject,
    /// The listener's name.
    pub listener: &'a str,
    /// What the client got; 0 when the connection was closed without an answer.
    pub status: u16,
    /// Of the request body.
    pub request_bytes: u64,
    /// Of the response body.
    pub response_bytes: u64,
    /// From the request head to the last byte of the response.
    pub duration: Duration,
    /// From the request sent to the response head; `None` when nothing went upstream.
    pub upstream_time: Option<Duration>,
    /// The server that answered, or was tried last.
    pub server: Option<&'a str>,
    /// `-`, `hit`, `miss`, `revalidated`, `stale`, `coalesced` or `bypass`.
    pub cache: &'static str,
    /// Why Weir answered itself, where it did.
    pub refusal: Option<&'static str>,
    /// The plugins that were called, in order.
    pub plugins: &'a [Trace],
}

/// What the line of a connection that was balanced as bytes is made of.
#[derive(Debug, Clone, Copy)]
pub struct TcpRecord<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The listener's name.
    pub listener: &'a str,
    /// Whether Weir ended TLS.
    pub scheme: Scheme,
    /// The name in the client's TLS handshake (SNI).
    pub server_name: Option<&'a str>,
    /// The TCP route.
    pub route: Option<&'a str>,
    /// The server that was connected to, or tried last.
    pub server: Option<&'a str>,
    /// From the client.
    pub received_bytes: u64,
    /// To the client.
    pub sent_bytes: u64,
    /// Of the whole connection.
    pub duration: Duration,
    /// Until the server was connected to.
    pub connect_time: Option<Duration>,
    /// How it ended: the words of `weir_tcp_connections_total`.
    pub result: &'static str,
}

/// The moment of a line. The calendar is asked once a second.
#[derive(Debug, Default)]
pub struct Stamp {
    second: u64,
    pub(super) millis: u32,
    /// `2026-01-31T23:59:59`
    pub(super) iso: String,
    /// `31/Jan/2026:23:59:59 +0000`
    pub(super) common: String,
}

impl Stamp {
    /// Moves to a moment.
    pub fn update(&mut self, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.millis = since.subsec_millis();
        if since.as_secs() == self.second && !self.iso.is_empty() {
            return;
        }
        self.second = since.as_secs();
        let second = i64::try_from(self.second)
            .ok()
            .and_then(|second| jiff::Timestamp::from_second(second).ok());
        let time = second.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.iso = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        self.common = time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
    }
}

/// Path and query as the client sent them; for `CONNECT` the authority.
pub(super) fn target(subject: &Subject) -> &str {
    let uri = &subject.request.uri;
    match (uri.path_and_query(), uri.authority()) {
        (Some(target), _) => target.as_str(),
        (None, Some(authority)) => authority.as_str(),
        (None, None) => "-",
    }
}

/// The start of a request header's first value.
pub(super) fn header(subject: &Subject, name: http::HeaderName) -> Option<&[u8]> {
    let value = subject.request.headers.get(name)?.as_bytes();
    Some(value.get(..HEADER_BYTES).unwrap_or(value))
}

pub(super) fn version(subject: &Subject) -> &'static str {
    match subject.request.version {
        http::Version::HTTP_09 => "0.9",
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2",
        http::Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// Appends a whole number.
pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends thousandths of a number: 1234 is `1.234`.
pub(super) fn thousandths(out: &mut Vec<u8>, value: u64) {
    number(out, value / 1000);
    let rest = value % 1000;
    out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

/// Appends milliseconds, three digits.
pub(super) fn millis(out: &mut Vec<u8>, millis: u32) {
    let millis = u64::from(millis);
    out.extend_from_slice(&[digit(millis / 100), digit(millis / 10), digit(millis)]);
}

/// The last decimal digit.
fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

/// Appends an address.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            number(out, u64::from(first));
            for octet in rest {
                out.push(b'.');
                number(out, u64::from(octet));
            }
        }
        IpAddr::V6(address) => {
            // Writing to a vector does not fail.
            let _ = io::Write::write_fmt(out, format_args!("{address}"));
        }
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Appends the two hexadecimal digits of a byte.
pub(super) fn digits(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn numbers_and_addresses_are_written_as_people_write_them() {
        let mut out = Vec::new();
        thousandths(&mut out, 1_234_005);
        out.push(b' ');
        millis(&mut out, 7);
        out.push(b' ');
        address(&mut out, "192.0.2.10".parse().unwrap());
        out.push(b' ');
        address(&mut out, "2001:db8::1".parse().unwrap());
        assert_eq!(String::from_utf8(out).unwrap(), "1234.005 007 192.0.2.10 2001:db8::1");
    }
}
