//! What an exchange is about: the two message heads and the facts that phases and plugins look at.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::http1::head::{RequestHead, ResponseHead};
use crate::http1::salvage::Salvaged;

/// The heads of an exchange and the facts around them.
///
/// It is boxed, so that a plugin call can take it into the plugin's store and give it back by moving one pointer: host
/// functions then read and change the real thing, without a copy, a lock or a raw pointer.
#[derive(Debug)]
pub struct Subject {
    /// Identifies the exchange in logs, to plugins and to the upstream (`X-Request-Id`).
    pub id: RequestId,
    /// The address at the other end of the connection.
    pub peer: SocketAddr,
    /// The client's address after trusted proxies were believed; equal to the peer's where none is.
    pub client_ip: IpAddr,
    /// How the client spoke to Weir.
    pub scheme: Scheme,
    /// The request's host without port, in lower case; always valid UTF-8 (checked by `admit`).
    pub host: Bytes,
    /// The request head. What plugins and the spine change here is what goes upstream.
    pub request: Box<RequestHead>,
    /// Why Weir refuses the request, where plugins are shown it all the same.
    pub refused: Option<Box<Refused>>,
    /// The response head, from the moment there is one.
    pub response: Option<ResponseHead>,
    /// Path and query that go upstream, where a plugin or the route changed them; the request keeps what the client sent.
    pub upstream_target: Option<http::uri::PathAndQuery>,
    /// The name of the route that matched; empty before `route`.
    pub route: Arc<str>,
    /// What plugins asked the access log to show.
    pub notes: Vec<Note>,
    /// Lines that plugins want to be written beside the access log: each at most 16 KiB, without control bytes.
    pub events: Vec<String>,
    /// What plugins have the cache do.
    pub caching: Caching,
}

/// A request that Weir refuses, as plugins are shown it.
#[derive(Debug)]
pub struct Refused {
    /// A word of [`super::reasons::REASONS`].
    pub reason: &'static str,
    /// What could be made out of the head.
    pub head: Salvaged,
}

/// What plugins have the cache do with an exchange, where its route caches.
#[derive(Debug, Clone, Default)]
pub struct Caching {
    /// Whether the cache takes part.
    pub storing: Storing,
    /// What stands for path and query in the key.
    pub key: Option<Box<[u8]>>,
    /// Seconds for which the response is fresh, whatever it says itself.
    pub lifetime: Option<u32>,
    /// Tags besides those of the response.
    pub tags: Vec<HeaderValue>,
    /// Bytes of the slices in which the response is stored where its origin sends parts; the route's, not a plugin's.
    pub slice: Option<u64>,
}

/// Whether the cache takes part in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storing {
    /// As the messages say.
    #[default]
    Asked,
    /// It neither answers nor stores.
    Bypassed,
}

impl Subject {
    /// A subject of nothing, which stands in while plugins have the real one.
    #[must_use]
    pub fn vacant() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            id: RequestId::NONE,
            peer: nowhere,
            client_ip: nowhere.ip(),
            scheme: Scheme::Http,
            host: Bytes::new(),
            request: Box::default(),
            refused: None,
            response: None,
            upstream_target: None,
            route: Arc::from(""),
            notes: Vec::new(),
            events: Vec::new(),
            caching: Caching::default(),
        }
    }
}

/// An annotation that a plugin made for the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The plugin's name in the bundle.
    pub plugin: Arc<str>,
    /// At most 64 bytes.
    pub key: String,
    /// At most 1024 bytes.
    pub value: String,
}

/// How the client spoke to Weir.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Through TLS.
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A request's identifier: unique over workers and restarts, shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u128);

impl RequestId {
    /// What a vacant subject has.
    pub const NONE: Self = Self(0);

    /// The 32 hexadecimal digits, without an allocation.
    #[must_use]
    pub fn to_hex(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A whole answer made by Weir or by a plugin. It skips the cache and still passes `finish`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub status: StatusCode,
    /// Without framing and hop-by-hop headers, which the proxy owns.
    pub headers: HeaderMap,
    /// The content.
    pub body: Bytes,
}
