//! Header fields on their way through: what stays behind, what is added (RFC 9110 §7.6).

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use http::Version;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use smallvec::SmallVec;

use super::admit::is_trusted;
use super::cdn_loop::CDN_LOOP;
use super::subject::Subject;
use crate::config::{Config, HostHeader, Route, Server};
use crate::http1::encode::{framing as write_framing, header};
use crate::http1::framing::Framing;
use crate::http1::head::Connect;
use crate::server::tls::client::{CERTIFICATE, CHAIN, FINGERPRINT, SUBJECT};
use crate::upstream::http2::AcceptsTrailers;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whether the client asks for another protocol on this connection, one that may be passed on.
///
/// HTTP/2 and TLS may not: with them the client would speak to the server past everything that Weir is there for ("h2c
/// smuggling"; RFC 9113 has taken that upgrade away). Such a request is answered as if it had not asked, as RFC 9110 §7.8 allows.
#[must_use]
pub fn wants_upgrade(subject: &Subject) -> bool {
    const NEVER: [&[u8]; 3] = [b"h2", b"http", b"tls"];
    if !subject.request.names.may_have("upgrade") {
        return false;
    }
    let never = |protocol: &[u8]| {
        let protocol = protocol.trim_ascii();
        NEVER.iter().any(|prefix| {
            protocol
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        })
    };
    let mut protocols = subject.request.headers.get_all(UPGRADE).iter();
    let able = subject.request.version == Version::HTTP_11 || subject.request.connect == Connect::Extended;
    able && protocols
        .next()
        .is_some_and(|list| !list.as_bytes().split(|&byte| byte == b',').any(never))
        && protocols.next().is_none()
        && connection_tokens(&subject.request.headers).any(|token| token.eq_ignore_ascii_case(b"upgrade"))
}

/// Whether the client takes trailers (RFC 9110 §10.1.4).
#[must_use]
pub fn accepts_trailers(subject: &Subject) -> AcceptsTrailers {
    let mut values = subject.request.headers.get_all(TE).iter();
    if values.any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        AcceptsTrailers::Yes
    } else {
        AcceptsTrailers::Unsaid
    }
}

/// Everything that a request to a server is made of, besides its body.
#[derive(Debug)]
pub struct UpstreamRequest<'a> {
    /// The exchange.
    pub subject: &'a Subject,
    /// The configuration.
    pub config: &'a Config,
    /// The route.
    pub route: &'a Route,
    /// The server that was picked.
    pub server: &'a Server,
    /// How the body goes.
    pub coding: Framing,
    /// Whether the upgrade that the client asks for is passed on.
    pub upgrade: bool,
    /// Conditions of our own, to revalidate what the cache holds.
    pub conditions: &'a [(HeaderName, HeaderValue)],
    /// The certificate that the client has shown.
    pub identity: &'a [(HeaderName, HeaderValue)],
}

impl UpstreamRequest<'_> {
    /// Writes the request head anew.
    pub fn write(&self, out: &mut BytesMut) {
        let subject = self.subject;
        let headers = &subject.request.headers;
        out.reserve(1024);
        out.put_slice(subject.request.method.as_str().as_bytes());
        out.put_slice(b" ");
        self.write_target(out);
        out.put_slice(b" HTTP/1.1\r\nhost: ");
        self.write_host(out);
        out.put_slice(b"\r\n");

        let peer = subject.peer.ip().to_canonical();
        let trusted = !self.config.trusted_proxies.is_empty() && is_trusted(peer, &self.config.trusted_proxies);
        let named = names_fields(headers);
        let mut forwarded_for = SmallVec::<[&HeaderValue; 2]>::new();
        for (name, value) in headers {
            if stays_behind(name) || (named && is_named(headers, name)) {
                continue;
            }
            if !trusted && mimics_forwarding(name) {
                continue;
            }
            if is_forwarding(name) {
                if !trusted {
                    continue;
                }
                // Weir knows better, and names appear once.
                if self.identity.iter().any(|(ours, _)| ours == name) {
                    continue;
                }
                if *name == X_FORWARDED_FOR {
                    forwarded_for.push(value);
                    continue;
                }
                if *name == FORWARDED {
                    write_forwarded(out, value, peer);
                    continue;
                }
            }
            if self.conditions.iter().any(|(ours, _)| ours == name) {
                continue;
            }
            if *name == COOKIE && subject.request.version == Version::HTTP_2 {
                continue;
            }
            header(out, name.as_str(), value.as_bytes());
        }
        if subject.request.version == Version::HTTP_2 {
            write_cookies(out, headers);
        }
        for (name, value) in self.conditions {
            header(out, name.as_str(), value.as_bytes());
        }
        for (name, value) in self.identity {
            header(out, name.as_str(), value.as_bytes());
        }
        self.write_forwarding(out, peer, trusted, &forwarded_for);
        if self.upgrade
            && let Some(protocol) = headers.get(UPGRADE)
        {
            header(out, "connection", b"upgrade");
            header(out, "upgrade", protocol.as_bytes());
        }
        write_framing(out, self.coding);
        if self.coding == Framing::None && expects_length(subject) {
            write_framing(out, Framing::Length(0));
        }
        out.put_slice(b"\r\n");
    }

    fn write_target(&self, out: &mut BytesMut) {
        let uri = &self.subject.request.uri;
        let target = self.subject.upstream_target.as_ref().or_else(|| uri.path_and_query());
        let target = target.map_or("/", |target| target.as_str());
        let target = match &self.route.strip_prefix {
            Some(prefix) => target.strip_prefix(prefix.as_str()).unwrap_or(target),
            None => target,
        };
        if !target.starts_with('/') && target != "*" {
            out.put_slice(b"/");
        }
        out.put_slice(target.as_bytes());
    }

    fn write_host(&self, out: &mut BytesMut) {
        match &self.route.host_header {
            HostHeader::Fixed(value) => out.put_slice(value.as_bytes()),
            HostHeader::Server => out.put_slice(self.server.authority().as_bytes()),
            HostHeader::Client => match (
                self.subject.request.headers.get(HOST),
                self.subject.request.uri.authority(),
            ) {
                (Some(value), _) => out.put_slice(value.as_bytes()),
                (None, Some(authority)) => out.put_slice(authority.as_str().as_bytes()),
                (None, None) => out.put_slice(self.server.authority().as_bytes()),
            },
        }
    }

    /// What the proxy says of the client. A peer that is not trusted has said nothing of it that counts.
    fn write_forwarding(&self, out: &mut BytesMut, peer: IpAddr, trusted: bool, earlier: &[&HeaderValue]) {
        let headers = &self.subject.request.headers;
        out.put_slice(b"x-forwarded-for: ");
        for earlier in earlier {
            out.put_slice(earlier.as_bytes());
            out.put_slice(b", ");
        }
        let _ = write!(out, "{peer}");
        out.put_slice(b"\r\n");
        if !trusted || !headers.contains_key(X_FORWARDED_PROTO) {
            header(out, "x-forwarded-proto", self.subject.scheme.as_str().as_bytes());
        }
        if !trusted || !headers.contains_key(X_FORWARDED_HOST) {
            let named = headers.get(HOST).map(HeaderValue::as_bytes);
            let authority = self
                .subject
                .request
                .uri
                .authority()
                .map(|authority| authority.as_str().as_bytes());
            if let Some(host) = named.or(authority) {
                header(out, "x-forwarded-host", host);
            }
        }
        if !trusted || !headers.contains_key(X_REQUEST_ID) {
            header(out, "x-request-id", &self.subject.id.to_hex());
        }
        let received = match self.subject.request.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
        if let Some(own) = &self.config.cdn_id {
            header(out, CDN_LOOP.as_str(), own.as_bytes());
        }
        out.put_slice(b"via: ");
        for earlier in headers.get_all(VIA) {
            out.put_slice(earlier.as_bytes());
            out.put_slice(b", ");
        }
        out.put_slice(received.as_bytes());
        out.put_slice(b" ");
        out.put_slice(self.config.via.as_bytes());
        out.put_slice(b"\r\n");
    }
}

/// What earlier proxies said, and whom this one heard it from (RFC 7239 §4).
fn write_forwarded(out: &mut BytesMut, earlier: &HeaderValue, peer: IpAddr) {
    out.put_slice(b"forwarded: ");
    out.put_slice(earlier.as_bytes());
    let _ = match peer {
        IpAddr::V4(peer) => write!(out, ", for={peer}\r\n"),
        IpAddr::V6(peer) => write!(out, ", for=\"[{peer}]\"\r\n"),
    };
}

/// HTTP/2 lets a client split its cookies over several fields; HTTP/1.1 wants one (RFC 9113 §8.2.3).
fn write_cookies(out: &mut BytesMut, headers: &HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    let Some(first) = cookies.next() else { return };
    out.put_slice(b"cookie: ");
    out.put_slice(first.as_bytes());
    for cookie in cookies {
        out.put_slice(b"; ");
        out.put_slice(cookie.as_bytes());
    }
    out.put_slice(b"\r\n");
}

/// Methods that define a meaning for content tell that they have none (RFC 9110 §8.6).
fn expects_length(subject: &Subject) -> bool {
    matches!(subject.request.method.as_str(), "POST" | "PUT" | "PATCH")
}

/// Fields that belong to one connection, or that Weir writes itself.
fn stays_behind(name: &HeaderName) -> bool {
    matches!(
        *name,
        HOST | CONNECTION
            | CONTENT_LENGTH
            | TRANSFER_ENCODING
            | TE
            | TRAILER
            | UPGRADE
            | VIA
            | EXPECT
            | PROXY_AUTHORIZATION
    ) || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

/// What proxies say of clients, believed from trusted peers only.
fn is_forwarding(name: &HeaderName) -> bool {
    says_forwarding(name.as_str()) || is_identity(name)
}

/// Whether a field is one in which proxies tell what they were asked for, and by whom. Servers build links and redirects of them.
fn says_forwarding(name: &str) -> bool {
    const OTHERS: [&str; 6] = [
        "forwarded",
        "front-end-https",
        "x-original-host",
        "x-real-ip",
        "x-request-id",
        "x-url-scheme",
    ];
    may_say_forwarding(name) && (name.starts_with("x-forwarded") || OTHERS.contains(&name))
}

/// Spares nearly every field the comparisons.
fn may_say_forwarding(name: &str) -> bool {
    matches!(name.as_bytes().first(), Some(b'x' | b'f'))
}

/// What tells of a client's certificate (RFC 9440 §2.4 wants it removed from what clients send).
fn is_identity(name: &HeaderName) -> bool {
    // Their common part, compared first, spares every other field four comparisons.
    name.as_str().contains("client-cert")
        && (*name == SUBJECT || *name == FINGERPRINT || *name == CERTIFICATE || *name == CHAIN)
}

/// Whether a name is one of those but for underscores: servers that make variables of names (CGI, WSGI) cannot tell the two apart.
fn mimics_forwarding(name: &HeaderName) -> bool {
    let name = name.as_str();
    may_say_forwarding(name) && name.contains('_') && says_forwarding(&name.replace('_', "-"))
}

/// Removes from a server's response what belongs to its connection.
pub fn strip_response(headers: &mut HeaderMap) {
    if names_fields(headers) {
        let named: Vec<_> = headers.keys().filter(|name| is_named(headers, name)).cloned().collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in [
        CONNECTION,
        TRANSFER_ENCODING,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        UPGRADE,
        PROXY_AUTHENTICATE,
        TRAILER,
    ] {
        headers.remove(name);
    }
}

/// Whether `Connection` names fields, which it hardly ever does.
fn names_fields(headers: &HeaderMap) -> bool {
    const OPTIONS: [&[u8]; 3] = [b"close", b"keep-alive", b"upgrade"];
    headers.contains_key(CONNECTION)
        && connection_tokens(headers).any(|token| !OPTIONS.iter().any(|option| token.eq_ignore_ascii_case(option)))
}

/// Whether `Connection` names this field. Fields that a recipient needs cannot be taken away like this (RFC 9110 §7.6.1).
fn is_named(headers: &HeaderMap, name: &HeaderName) -> bool {
    const KEPT: [&str; 16] = [
        "host",
        "authorization",
        "content-length",
        "cookie",
        "content-type",
        "content-encoding",
        "cache-control",
        "set-cookie",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
        "forwarded",
        // RFC 8586 §2: whoever could take it away could make a loop.
        "cdn-loop",
    ];
    connection_tokens(headers).any(|token| name.as_str().as_bytes().eq_ignore_ascii_case(token))
        && !KEPT.contains(&name.as_str())
}

fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(CONNECTION)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}
