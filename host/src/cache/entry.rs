//! One stored response, ready to be served.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG,
    EXPIRES, HeaderName, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::body::{Body, LENT, Reader};
use super::conditions::Conditions;
use super::footprint::allocated;
use super::head::{self, Head};
use super::policy::Policy;
use super::ranges::{self, Parts, Piece};
use super::slices::Slices;
use super::status::Status;
use super::variant::Variant;
use crate::config::Tags;
use crate::http1::lines;

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
        let age = entry.policy.freshness.age(now);
        Self::aged(entry, served, age)
    }

    /// The same at an age that is known.
    pub(super) fn aged(entry: Arc<Entry>, served: Served, age: Duration) -> Self {
        let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
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
        let Entry { status, head, body, .. } = &*self.entry;
        let sends = if conditions.spare(*status, head) {
            Sends::NotModified
        } else {
            let parts = body.length().map(|length| conditions.parts(*status, head, length));
            Sends::Parts(parts.unwrap_or(Parts::Whole))
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

    /// The head to send as it is stored, where it is no other than the stored one but for `Age` (RFC 9111 §5.1) and
    /// `Content-Range`. The content's length is for whoever sends it to say.
    #[must_use]
    pub fn stored_head(&self, tags: Tags) -> Option<StoredHead> {
        let Sends::Parts(parts @ (Parts::Whole | Parts::One(_))) = &self.sends else {
            return None;
        };
        let mut head = StoredHead {
            entry: Arc::clone(&self.entry),
            tags,
            own: Vec::with_capacity(OWN_LINES),
        };
        head.own.extend_from_slice(b"age: ");
        head.own
            .extend_from_slice(itoa::Buffer::new().format(self.age).as_bytes());
        head.own.extend_from_slice(b"\r\n");
        if let (Parts::One(range), Some(length)) = (parts, self.entry.body.length()) {
            head.push(&CONTENT_RANGE, ranges::content_range(range, length).as_bytes());
        }
        Some(head)
    }

    /// The head to send as a map, `Content-Length` and `Age` set.
    #[must_use]
    pub fn headers(&self, tags: Tags) -> HeaderMap {
        let Sends::Parts(parts) = &self.sends else {
            return self.not_modified_headers();
        };
        let Entry { status, head, body, .. } = &*self.entry;
        let mut headers = head.to_map(tags);
        // RFC 9110 §8.6 forbids a length with a 204.
        if let Some(length) = body.length().filter(|_| *status != StatusCode::NO_CONTENT) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        headers.insert(AGE, HeaderValue::from(self.age));
        parts.describe(&mut headers, body.length().unwrap_or(0));
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
            for value in self.entry.head.get_all(name.as_str()) {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    headers.append(&name, value);
                }
            }
        }
        headers.insert(AGE, HeaderValue::from(self.age));
        headers
    }

    /// The content to send, where all of it is in memory. (A HEAD gets the same head and none of it.)
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        match &self.sends {
            Sends::Parts(Parts::None) => Some(Bytes::new()),
            Sends::Parts(parts) => {
                let whole = self.entry.bytes()?;
                Some(match parts {
                    Parts::Whole => whole,
                    parts => parts.cut(&whole, self.entry.head.value(&CONTENT_TYPE).as_ref()),
                })
            }
            Sends::NotModified => Some(Bytes::new()),
        }
    }

    /// The content to send, where it is the whole of a body that its entry lends: to be copied without counting its owners.
    #[must_use]
    pub fn lent(&self) -> Option<Lent> {
        match (&self.sends, &self.entry.body) {
            (Sends::Parts(Parts::Whole), Body::Memory(data)) if data.len() <= LENT => {
                Some(Lent(Arc::clone(&self.entry)))
            }
            _ => None,
        }
    }

    /// Reads the content to send from wherever it is, as it comes. Several parts are read one by one: [`Hit::pieces`].
    #[must_use]
    pub fn reader(&self) -> Reader {
        match &self.sends {
            Sends::Parts(Parts::One(range)) => self.reader_of(range.clone()),
            _ => self.entry.body.reader(),
        }
    }

    /// Reads these bytes of the whole.
    #[must_use]
    pub fn reader_of(&self, range: Range<u64>) -> Reader {
        self.entry.body.reader().within(range)
    }

    /// What to send, where it is several parts.
    #[must_use]
    pub fn pieces(&self) -> Option<Vec<Piece>> {
        let Sends::Parts(Parts::Many(ranges, boundary)) = &self.sends else {
            return None;
        };
        let Entry { head, body, .. } = &*self.entry;
        let kind = head.value(&CONTENT_TYPE);
        Some(ranges::pieces(ranges, *boundary, kind.as_ref(), body.length()?).collect())
    }

    /// Whether it is in slices.
    #[must_use]
    pub fn is_sliced(&self) -> bool {
        matches!(self.entry.body, Body::Sliced(_))
    }

    /// What to send, where it is in slices; nothing yet where it is several parts.
    #[must_use]
    pub fn slices(&self) -> Option<Slices> {
        let (Body::Sliced(layout), Sends::Parts(parts)) = (&self.entry.body, &self.sends) else {
            return None;
        };
        let range = match parts {
            Parts::Whole => 0..layout.total(),
            Parts::One(range) => range.clone(),
            Parts::Many(..) => 0..0,
            Parts::None => return None,
        };
        Some(Slices::new(Arc::clone(&self.entry), Arc::clone(layout), range))
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

/// Room for Age and Cache-Status, and for HSTS besides.
const OWN_LINES: usize = 160;

/// The head of a stored response with what is said of it this time: sent by copying, without looking at a single field.
#[derive(Debug)]
pub struct StoredHead {
    entry: Arc<Entry>,
    tags: Tags,
    /// Lines that this hit alone has, behind the stored ones.
    own: Vec<u8>,
}

impl StoredHead {
    /// Adds a line.
    pub fn push(&mut self, name: &HeaderName, value: &[u8]) {
        lines::push_bytes(&mut self.own, name.as_str(), value);
    }

    /// Adds what `Cache-Status` says, behind what caches nearer to the origin said.
    pub fn push_status(&mut self, status: &Status, name: &str, key: Option<&[u8]>) {
        status.line(&mut self.own, name, key);
    }

    /// Whether a field is among the stored ones.
    #[must_use]
    pub fn has(&self, name: &HeaderName) -> bool {
        self.entry.head.get(name).is_some()
    }

    /// All lines ([`crate::http1::lines`]), among them a `Date` and neither a length nor anything of a connection.
    #[must_use]
    pub fn lines(&self) -> [&[u8]; 2] {
        [self.entry.head.lines(self.tags), &self.own]
    }
}

/// A stored response. Never changed: what replaces it is another one.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) status: StatusCode,
    pub(super) head: Head,
    pub(super) body: Body,
    pub(super) policy: Policy,
    pub(super) variant: Variant,
    /// Routes may lead to different upstreams for one URI, by method or header; what one of them stored is not another's.
    pub(super) route: Arc<str>,
    pub(super) marks: Marks,
}

/// Every stored response pays for what an entry has: a field that takes it to the allocator's next size is to be worth it.
const _: () = assert!(allocated(size_of::<Entry>() + 2 * size_of::<usize>()) <= 192);

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
    /// All of its body, where it is in memory.
    pub(super) fn bytes(self: &Arc<Self>) -> Option<Bytes> {
        match &self.body {
            Body::Memory(data) if data.len() <= LENT => Some(Lent(Arc::clone(self)).into()),
            body => body.bytes(),
        }
    }

    /// Whether its body is there from the first byte to the last.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self.body, Body::Arriving(_))
    }

    /// The same response, its body elsewhere.
    pub(super) fn with_body(&self, body: Body) -> Self {
        Self {
            status: self.status,
            head: self.head.clone(),
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
            head: self.head.clone(),
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
        let own = allocated(size_of::<Self>() + 2 * size_of::<usize>());
        (own + allocated(self.head.size()) + self.body.in_memory() + self.variant.size()) as u64
    }

    /// The fields of this response as a 304 to its validators leaves them (RFC 9111 §3.2).
    pub(super) fn merged_headers(&self, not_modified: &HeaderMap) -> HeaderMap {
        let mut headers = self.head.to_map(Tags::Pass);
        headers.remove(DATE);
        for name in head::changed_by(not_modified, &KEPT_BY_304) {
            headers.remove(name);
            for value in not_modified.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        headers
    }
}

/// A body in memory that its entry lends to whoever sends it.
#[derive(Debug, Clone)]
pub struct Lent(Arc<Entry>);

impl From<Lent> for Bytes {
    fn from(lent: Lent) -> Self {
        Self::from_owner(lent)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        match &self.0.body {
            Body::Memory(data) => data,
            Body::Arriving(_) | Body::Disk(_) | Body::Sliced(_) => &[],
        }
    }
}

/// Fields that describe the stored bytes; a 304, which has none, does not change them (§3.2).
const KEPT_BY_304: [HeaderName; 3] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE];
