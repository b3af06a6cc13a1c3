//! Who may ask the admin API for what.
//!
//! Three ways in have to be shut. A web page that an operator happens to visit could send requests to loopback (a cross-site
//! request): its `Origin` and `Sec-Fetch-Site` give it away. It could resolve its own name to 127.0.0.1 and so become "same origin" (DNS
//! rebinding): its `Host` gives it away. And somebody else on the network could call a port that is not on loopback: there,
//! every change asks for the token, which the configuration insists on.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, StatusCode};

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The Host header is not one of this port's.
    Host,
    /// The request comes from another web site.
    CrossSite,
    /// The token is absent.
    TokenMissing,
    /// The token is wrong.
    TokenWrong,
}

impl Denied {
    /// The status that says so.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::TokenMissing | Self::TokenWrong => StatusCode::UNAUTHORIZED,
        }
    }

    /// What the operator should do.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "the Host header has to be localhost, a loopback address or the address that the admin API listens on"
            }
            Self::CrossSite => "requests from other web sites are refused",
            Self::TokenMissing => "send the configuration's admin.token as `Authorization: Bearer TOKEN`",
            Self::TokenWrong => "the token is not the configuration's admin.token",
        }
    }
}

/// What any request has to fulfil.
///
/// # Errors
/// [`Denied::Host`] where the API listens on loopback and the Host is a name that somebody could have pointed there.
pub fn read(address: SocketAddr, headers: &HeaderMap) -> Result<(), Denied> {
    if !address.ip().is_loopback() {
        return Ok(());
    }
    match host(headers) {
        Some(host) if is_ours(&host, address) => Ok(()),
        _ => Err(Denied::Host),
    }
}

/// What a request that changes something has to fulfil besides.
///
/// # Errors
/// See [`Denied`].
pub fn change(headers: &HeaderMap, token: Option<&str>) -> Result<(), Denied> {
    if is_cross_site(headers) {
        return Err(Denied::CrossSite);
    }
    let Some(token) = token else { return Ok(()) };
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.as_bytes().split_at_checked(7));
    match given {
        // Digests compare in constant time, so the answer's time says nothing about the token.
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
            if blake3::hash(given) == blake3::hash(token.as_bytes()) {
                Ok(())
            } else {
                Err(Denied::TokenWrong)
            }
        }
        _ => Err(Denied::TokenMissing),
    }
}

fn is_ours(host: &Authority, address: SocketAddr) -> bool {
    let name = host.host();
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match ip {
        Ok(ip) => ip.is_loopback() || ip == address.ip(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    // What a browser says about itself (W3C Fetch Metadata). `none` is a person who typed the address.
    let fetch_site = headers
        .get(SEC_FETCH_SITE)
        .is_some_and(|site| site != "same-origin" && site != "none");
    let origin = headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let origin = origin.and_then(|(_, authority)| authority.parse::<Authority>().ok());
        origin.is_none() || origin != host(headers)
    });
    fetch_site || origin
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(HOST)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn on_loopback_only_loopback_names_are_served() {
        let address = "127.0.0.1:9180".parse().unwrap();
        for host in [
            "localhost:9180",
            "LOCALHOST",
            "127.0.0.1:9180",
            "127.0.0.1:1",
            "[::1]:9180",
        ] {
            assert_eq!(read(address, &headers(&[("host", host)])), Ok(()), "{host}");
        }
        for host in [
            "example.org",
            "evil.example:9180",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
        ] {
            assert_eq!(read(address, &headers(&[("host", host)])), Err(Denied::Host), "{host}");
        }
        assert_eq!(read(address, &HeaderMap::new()), Err(Denied::Host));
    }

    #[test]
    fn elsewhere_any_name_may_read() {
        let address = "192.0.2.1:9180".parse().unwrap();
        assert_eq!(read(address, &headers(&[("host", "admin.example.org")])), Ok(()));
    }

    #[test]
    fn other_web_sites_change_nothing() {
        let host = ("host", "127.0.0.1:9180");
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "http://127.0.0.1:8080"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(
                change(&headers(&[host, foreign]), None),
                Err(Denied::CrossSite),
                "{foreign:?}"
            );
        }
        for own in [
            ("origin", "http://127.0.0.1:9180"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            assert_eq!(change(&headers(&[host, own]), None), Ok(()), "{own:?}");
        }
        assert_eq!(change(&headers(&[host]), None), Ok(()), "a program sends neither");
    }

    #[test]
    fn a_change_needs_the_token_where_one_is_configured() {
        let with = |value| change(&headers(&[("authorization", value)]), Some("s3cret"));
        assert_eq!(with("Bearer s3cret"), Ok(()));
        assert_eq!(with("bearer s3cret"), Ok(()));
        assert_eq!(with("Bearer s3cre"), Err(Denied::TokenWrong));
        assert_eq!(with("Bearer "), Err(Denied::TokenWrong));
        assert_eq!(with("Basic s3cret"), Err(Denied::TokenMissing));
        assert_eq!(with("Bearer"), Err(Denied::TokenMissing));
        assert_eq!(change(&HeaderMap::new(), Some("s3cret")), Err(Denied::TokenMissing));
    }
}
