//! One stored response, ready to be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::{
    AGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE,
    DATE, ETAG, EXPIRES, HeaderName, LAST_MODIFIED, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::body::{Body, Reader};
use super::conditions::Conditions;
use super::directives;
use super::policy::Policy;
use super::ranges::Parts;
use super::status::{CACHE_STATUS, Status};
use super::variant::Variant;

/// A response from the cache. Cheap to make: one reference.
#[derive(Debug, Clone)]
pub struct Hit {
    entry: Arc<Entry>,
    age: u32,
    served: Served,
    sends: Sends,
}

/// What is sent of a stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sends {
    Parts(Parts),
    /// Nothing, as the client has it (304).
    NotModified,
}

/// How the cache came to serve a response; the words are those of the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It is fresh.
    Fresh,
    /// The origin just said that it still holds.
    Revalidated,
    /// It is stale, and the client, the origin or an origin in trouble allow it.
    Stale,
}

impl Served {
    /// For the access log and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "hit",
            Self::Revalidated => "revalidated",
            Self::Stale => "stale",
        }
    }
}

impl Hit {
    pub(super) fn new(entry: Arc<Entry>, served: Served, now: SystemTime) -> Self {
        let age = u32::try_from(entry.policy.freshness.age(now).as_secs()).unwrap_or(u32::MAX);
        entry.marks.served.fetch_add(1, Ordering::Relaxed);
        Self {
            entry,
            age,
            served,
            sends: Sends::Parts(Parts::Whole),
        }
    }

    /// What of it the client wants and does not have.
    pub(super) fn on(self, conditions: &Conditions) -> Self {
        let Entry {
            status, headers, body, ..
        } = &*self.entry;
        let sends = if conditions.spare(*status, headers) {
            Sends::NotModified
        } else {
            let parts = body.length().map(|length| conditions.parts(*status, headers, length));
            // Several parts are put together from what is at hand.
            let at_hand = |parts: &Parts| !matches!(parts, Parts::Many(..)) || body.bytes().is_some();
            Sends::Parts(parts.filter(at_hand).unwrap_or(Parts::Whole))
        };
        Self { sends, ..self }
    }

    /// The status to send: the stored one, that of a part of it, or 304.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.sends {
            Sends::NotModified => StatusCode::NOT_MODIFIED,
            Sends::Parts(Parts::Whole) => self.entry.status,
            Sends::Parts(Parts::One(_) | Parts::Many(..)) => StatusCode::PARTIAL_CONTENT,
            Sends::Parts(Parts::None) => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    /// The head to send, hop-by-hop fields gone, `Content-Length` and `Age` (RFC 9111 §5.1) set.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let Sends::Parts(parts) = &self.sends else {
            return self.not_modified_headers();
        };
        let mut headers = self.entry.headers.clone();
        // The stored head has a place for it, so that the copy does not grow.
        headers.insert(AGE, HeaderValue::from(self.age));
        parts.describe(&mut headers, self.entry.body.length().unwrap_or(0));
        headers
    }

    /// What `Cache-Status` says of it.
    #[must_use]
    pub fn cache_status(&self) -> Status {
        Status::hit(self.ttl())
    }

    /// Seconds for which it is still fresh; less than zero once it is stale.
    #[must_use]
    pub fn ttl(&self) -> i64 {
        let lifetime = i64::try_from(self.entry.policy.freshness.lifetime().as_secs()).unwrap_or(i64::MAX);
        lifetime - i64::from(self.age)
    }

    /// The head of a 304 for this response: what RFC 9110 §15.4.5 asks for, and no description of a body that is not sent.
    fn not_modified_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        for name in [
            CACHE_CONTROL,
            CONTENT_LOCATION,
            DATE,
            ETAG,
            EXPIRES,
            VARY,
            LAST_MODIFIED,
        ] {
            for value in self.entry.headers.get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        headers.insert(AGE, HeaderValue::from(self.age));
        headers
    }

    /// The content to send, where all of it is in memory. (A HEAD gets the same head and none of it.)
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        match &self.sends {
            Sends::Parts(parts) => {
                let whole = self.entry.body.bytes()?;
                Some(parts.cut(&whole, self.entry.headers.get(CONTENT_TYPE)))
            }
            Sends::NotModified => Some(Bytes::new()),
        }
    }

    /// Reads the content to send from wherever it is, as it comes.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let reader = self.entry.body.reader();
        match &self.sends {
            Sends::Parts(Parts::One(range)) => reader.within(range.clone()),
            _ => reader,
        }
    }

    /// Seconds since the origin made it or vouched for it.
    #[must_use]
    pub fn age(&self) -> u32 {
        self.age
    }

    /// How the cache came to serve it.
    #[must_use]
    pub fn served(&self) -> Served {
        self.served
    }
}

/// A stored response. Never changed: what replaces it is another one.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) status: StatusCode,
    /// Without hop-by-hop fields; with Date, Content-Length and a place for Age.
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) policy: Policy,
    pub(super) variant: Variant,
    /// Routes may lead to different upstreams for one URI, by method or header; what one of them stored is not another's.
    pub(super) route: Arc<str>,
    pub(super) marks: Marks,
}

/// What changes while a response is stored. Whoever serves it counts a reference in the same cache line.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The number of the ban up to which it has been tested.
    tested: AtomicU64,
    served: AtomicU64,
}

impl Marks {
    /// For a response that was asked for when this was the latest ban.
    pub(super) fn new(ban: u64) -> Self {
        Self {
            tested: AtomicU64::new(ban),
            served: AtomicU64::new(0),
        }
    }

    pub(super) fn tested(&self) -> u64 {
        self.tested.load(Ordering::Relaxed)
    }

    pub(super) fn set_tested(&self, ban: u64) {
        self.tested.store(ban, Ordering::Relaxed);
    }

    /// How often it was served.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Entry {
    /// Whether its body is there from the first byte to the last.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self.body, Body::Arriving(_))
    }

    /// The same response, its body elsewhere.
    pub(super) fn with_body(&self, body: Body) -> Self {
        Self {
            status: self.status,
            headers: self.headers.clone(),
            body,
            policy: self.policy,
            variant: self.variant.clone(),
            route: Arc::clone(&self.route),
            marks: Marks {
                tested: AtomicU64::new(self.marks.tested()),
                served: AtomicU64::new(self.marks.served()),
            },
        }
    }

    /// The same response, stale from `now` on.
    pub(super) fn expired(&self, now: SystemTime) -> Self {
        Self {
            status: self.status,
            headers: self.headers.clone(),
            body: self.body.clone(),
            policy: Policy {
                freshness: self.policy.freshness.expired(now),
                ..self.policy
            },
            variant: self.variant.clone(),
            route: Arc::clone(&self.route),
            marks: Marks {
                tested: AtomicU64::new(self.marks.tested()),
                served: AtomicU64::new(self.marks.served()),
            },
        }
    }

    /// Bytes that it takes: itself, what it points at, and what the allocator adds.
    pub(super) fn size(&self) -> u64 {
        let own = size_of::<Self>() + 2 * size_of::<usize>();
        (own + 4 * ALLOCATION + headers_size(&self.headers) + self.body.in_memory() + self.variant.size()) as u64
    }

    /// This response as a 304 to its validators leaves it (RFC 9111 §3.2).
    pub(super) fn merged_headers(&self, not_modified: &HeaderMap, now: SystemTime) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove(DATE);
        let listed = listed_by_connection(not_modified);
        for name in not_modified
            .keys()
            .filter(|name| is_stored(name, &listed) && !KEPT_BY_304.contains(name))
        {
            headers.remove(name);
            for value in not_modified.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        stored_headers(&headers, self.status, self.body.length(), now)
    }
}

/// Fields that describe the stored bytes; a 304, which has none, does not change them (§3.2).
const KEPT_BY_304: [HeaderName; 3] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE];

/// What the allocator adds to an allocation.
pub(super) const ALLOCATION: usize = 16;

/// A head as it is stored: end-to-end fields only (§3.1) and of them what may be served again (§5.2.2.4), a Date in any case
/// (RFC 9110 §6.6.1), the length of the body that is there, and a place for Age and Cache-Status. The values are copied together, because those that came from a connection hold on to its whole
/// read buffer.
pub(super) fn stored_headers(headers: &HeaderMap, status: StatusCode, body: Option<u64>, now: SystemTime) -> HeaderMap {
    let mut listed = listed_by_connection(headers);
    listed.extend(directives::withheld(headers));
    let kept = || {
        headers
            .iter()
            .filter(|(name, _)| is_stored(name, &listed) && !matches!(**name, AGE | CONTENT_LENGTH))
    };
    let mut buffer = BytesMut::with_capacity(kept().map(|(_, value)| value.len()).sum());
    kept().for_each(|(_, value)| buffer.extend_from_slice(value.as_bytes()));
    let mut buffer = buffer.freeze();

    let mut stored = HeaderMap::with_capacity(kept().count() + 4);
    for (name, value) in kept() {
        if let Ok(value) = HeaderValue::from_maybe_shared(buffer.split_to(value.len())) {
            stored.append(name.clone(), value);
        }
    }
    if !stored.contains_key(DATE)
        && let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(now))
    {
        stored.insert(DATE, date);
    }
    // RFC 9110 §8.6 forbids it with a 204.
    if let Some(length) = body.filter(|_| status != StatusCode::NO_CONTENT) {
        stored.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    stored.insert(AGE, HeaderValue::from_static("0"));
    if !stored.contains_key(CACHE_STATUS) {
        stored.insert(CACHE_STATUS, HeaderValue::from_static(""));
    }
    stored
}

/// Bytes of a header map on the heap, as hashbrown-like tables of `http` are laid out.
pub(super) fn headers_size(headers: &HeaderMap) -> usize {
    const BUCKET: usize = size_of::<HeaderName>() + size_of::<HeaderValue>() + 32;
    const INDEX: usize = 4;
    let values: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let slots = headers.capacity().max(headers.len());
    slots * BUCKET + (slots * 4).div_ceil(3).next_power_of_two() * INDEX + values + 2 * ALLOCATION
}

/// Names that `Connection` says are for this hop only (RFC 9110 §7.6.1).
fn listed_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers.get_all(CONNECTION).iter();
    let names = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    names
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

fn is_stored(name: &HeaderName, listed: &[HeaderName]) -> bool {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
    const NEVER: [HeaderName; 10] = [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHENTICATION_INFO,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    !NEVER.contains(name) && !listed.contains(name)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::tests::header_map;
    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    #[test]
    fn rfc9111_3_1_only_end_to_end_fields_are_stored() {
        let came = header_map(&[
            ("connection", "close, X-Hop"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("proxy-authenticate", "Basic"),
            ("x-hop", "1"),
            ("x-end", "1"),
            ("x-end", "2"),
            ("age", "7"),
            ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ]);
        let expected = header_map(&[
            ("x-end", "1"),
            ("x-end", "2"),
            ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ("content-length", "3"),
            ("age", "0"),
            ("cache-status", ""),
        ]);
        assert_eq!(stored_headers(&came, StatusCode::OK, Some(3), now()), expected);
    }

    #[test]
    fn rfc9110_6_6_1_a_date_is_added_and_8_6_a_204_has_no_length() {
        let stored = stored_headers(&HeaderMap::new(), StatusCode::NO_CONTENT, Some(0), now());
        assert_eq!(
            stored,
            header_map(&[
                ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
                ("age", "0"),
                ("cache-status", "")
            ])
        );
    }

    #[test]
    fn rfc9111_5_2_2_4_fields_that_may_not_be_served_again_are_not_stored() {
        let came = header_map(&[
            ("cache-control", "max-age=60, no-cache=\"a\", private=\"b, set-cookie\""),
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("set-cookie", "x=y"),
        ]);
        let stored = stored_headers(&came, StatusCode::OK, Some(3), now());
        assert!(stored.contains_key("c"));
        for withheld in ["a", "b", "set-cookie"] {
            assert!(!stored.contains_key(withheld), "{withheld}");
        }
    }

    #[test]
    fn a_place_for_age_is_there() {
        let headers = stored_headers(&header_map(&[("x", "1")]), StatusCode::OK, Some(1), now());
        let mut copy = headers.clone();
        copy.insert(AGE, HeaderValue::from(12_u32));
        Status::hit(48).append_to(&mut copy, "weir", None);
        assert_eq!(copy.capacity(), headers.clone().capacity());
    }
}
