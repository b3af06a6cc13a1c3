//! From clear to TLS: the answer that sends a client to the same URL with `https`.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, LOCATION};
use http::{StatusCode, Uri};
use ipnet::IpNet;

use super::admit::is_trusted;
use super::subject::{Reply, Scheme, Subject};
use crate::config::Redirect;

/// The port that needs no mention (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// The redirect for a request that came in clear; nothing for one that came through TLS, to Weir or to a trusted proxy in
/// front, and for one that names no URL.
pub(super) fn to_https(subject: &Subject, trusted: &[IpNet], redirect: Redirect) -> Option<Reply> {
    let behind_tls = subject.scheme == Scheme::Https || says_https(subject, trusted);
    let target = subject.request.uri.path_and_query()?;
    if behind_tls || subject.host.is_empty() || !target.as_str().starts_with('/') {
        return None;
    }
    let host = std::str::from_utf8(&subject.host).ok()?;
    let location = match redirect.port {
        HTTPS => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    };
    // The target is passed on as it came; what is no URL is not sent anybody's way.
    location.parse::<Uri>().ok()?;
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_str(&location).ok()?);
    Some(Reply {
        // Permanent, and the method stays (RFC 9110 §15.4.9).
        status: StatusCode::PERMANENT_REDIRECT,
        headers,
        body: Bytes::new(),
    })
}

fn says_https(subject: &Subject, trusted: &[IpNet]) -> bool {
    let told = subject.request.headers.get("x-forwarded-proto");
    told.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
        && is_trusted(subject.peer.ip().to_canonical(), trusted)
}
