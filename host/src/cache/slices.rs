//! Large objects in slices: what is stored under the URI is the head of the whole and where its slices are, and each slice is a
//! stored response of its own. So each of them is fetched once however many ask for it, comes and goes as it is used, and
//! lives in either tier; and a range needs only those that it touches.
//!
//! **No two versions are ever mixed** (RFC 9111 §3.4, RFC 9110 §15.3.7.3). An object is sliced only with a strong validator. Slices
//! are found by a number that is drawn when their head is stored, and stored only if the origin's 206 has the validator and the
//! length of that head. Whatever removes or replaces the head (a purge, a POST, another version) leaves no way to them.
//!
//! **Freshness** is the head's: a slice that has its validator is as good as the head says.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ahash::RandomState;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderName, LAST_MODIFIED, PRAGMA, RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::Cache;
use super::body::Body;
use super::conditions;
use super::dates;
use super::directives::FOR_EVER;
use super::entry::{Entry, Hit, Marks, Served};
use super::fetch::Fetch;
use super::flight::Landing;
use super::head::Head;
use super::key::Key;
use super::lookup::DISGUISES;
use super::ranges;
use super::store::{Inserted, Precedence, Store};
use crate::config::{CacheRules, Tags};
use crate::exchange::subject::{Caching, Storing, Subject};
use crate::http1::head::ResponseHead;

/// Slices that are looked for when an operator asks what is there, or has an object purged.
const MOST_LOOKED_AT: u64 = 1 << 20;

/// Where the slices of an object are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the whole.
    total: u64,
    /// Bytes of a slice; the last one may have fewer.
    size: u64,
    /// Unlike that of any other object and version.
    id: u64,
}

/// A part of the origin's representation: what was asked for, or what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Which one, from 0.
    pub number: u64,
    /// Bytes of a slice.
    pub size: u64,
}

impl Slice {
    /// The first slice that answers a request.
    #[must_use]
    pub fn first(request: &HeaderMap, size: u64) -> Self {
        let first = request
            .get(RANGE)
            .and_then(|range| ranges::first_byte(range.as_bytes()));
        Self {
            number: first.unwrap_or(0) / size.max(1),
            size,
        }
    }

    fn start(&self) -> u64 {
        self.number.saturating_mul(self.size)
    }

    /// What the origin is asked for.
    #[must_use]
    pub fn range(&self) -> (HeaderName, HeaderValue) {
        let (start, end) = (self.start(), self.start().saturating_add(self.size) - 1);
        let value = HeaderValue::from_str(&format!("bytes={start}-{end}"));
        (RANGE, value.unwrap_or(HeaderValue::from_static("bytes=0-0")))
    }

    /// The bytes of it that an object of this length has.
    fn within(&self, total: u64) -> Range<u64> {
        let start = self.start().min(total);
        start..start.saturating_add(self.size).min(total)
    }

    /// Makes the head of a 206 that brings exactly this slice the head of the whole, with its length. `None` where it brings
    /// anything else, or could be mixed with another version.
    #[must_use]
    pub fn into_whole(&self, response: &mut ResponseHead) -> Option<Layout> {
        let (range, total) = came(response)?;
        if range.is_empty() || range != self.within(total) || !is_strong(&response.headers) {
            return None;
        }
        response.status = StatusCode::OK;
        response.headers.remove(CONTENT_RANGE);
        response.headers.insert(CONTENT_LENGTH, HeaderValue::from(total));
        Some(Layout {
            total,
            size: self.size,
            id: RandomState::new().hash_one(total),
        })
    }
}

/// What a 206 says that it brings.
fn came(response: &ResponseHead) -> Option<(Range<u64>, u64)> {
    if response.status != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let mut values = response.headers.get_all(CONTENT_RANGE).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    ranges::parse_content_range(value.as_bytes())
}

/// Whether the validators of a head name one sequence of bytes (RFC 9110 §8.8.1, §8.8.2.2).
fn is_strong(headers: &HeaderMap) -> bool {
    let bytes = |name| headers.get(name).map(HeaderValue::as_bytes);
    match bytes(ETAG) {
        Some(tag) => tag.starts_with(b"\""),
        None => {
            let date = |name| dates::parse(bytes(name)?);
            match (date(LAST_MODIFIED), date(DATE)) {
                (Some(modified), Some(date)) => modified + Duration::from_secs(60) <= date,
                _ => false,
            }
        }
    }
}

/// A hit whose content is in slices: which bytes of them are to be sent.
#[derive(Debug, Clone)]
pub struct Slices {
    entry: Arc<Entry>,
    layout: Arc<Layout>,
    /// The bytes to send.
    pub range: Range<u64>,
}

impl Slices {
    pub(super) fn new(entry: Arc<Entry>, layout: Arc<Layout>, range: Range<u64>) -> Self {
        Self { entry, layout, range }
    }

    /// The slice that a byte is in, and the bytes that it has.
    #[must_use]
    pub fn slice_at(&self, at: u64) -> (Slice, Range<u64>) {
        let slice = Slice {
            number: at / self.layout.size.max(1),
            size: self.layout.size,
        };
        let bytes = slice.within(self.layout.total);
        (slice, bytes)
    }

    /// The stored fields of the whole.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        self.entry.head.to_map(Tags::Pass)
    }

    /// Makes a request for the object one for a slice of it.
    pub fn ask_for(&self, slice: &Slice, subject: &mut Subject) {
        let headers = &mut subject.request.headers;
        conditions::strip(headers);
        // What the client wishes of freshness, the head has answered.
        for name in [CACHE_CONTROL, PRAGMA].into_iter().chain(DISGUISES) {
            headers.remove(name);
        }
        let key = self.layout.key(Key::of(subject).target(), slice.number);
        subject.caching = Caching {
            storing: Storing::Asked,
            key: Some(key),
            lifetime: Some(FOR_EVER),
            tags: Vec::new(),
            slice: None,
        };
    }

    /// Makes the head of a 206 the head of one slice of this version. Anything else leaves it as it is.
    ///
    /// # Errors
    /// The origin has another version now, or did not send what it was asked for.
    pub fn accept(&self, slice: &Slice, response: &mut ResponseHead) -> Result<(), Changed> {
        let (range, total) = came(response).ok_or(Changed)?;
        let validator = if response.headers.contains_key(ETAG) {
            ETAG
        } else {
            LAST_MODIFIED
        };
        let same = response.headers.get(&validator).map(HeaderValue::as_bytes) == self.entry.head.get(&validator);
        if total != self.layout.total || range != slice.within(total) || !is_strong(&response.headers) || !same {
            return Err(Changed);
        }
        self.describe(slice, response);
        Ok(())
    }

    /// The head of a slice, made of the head of the whole or of the 206 that brought it.
    pub fn describe(&self, slice: &Slice, response: &mut ResponseHead) {
        let bytes = slice.within(self.layout.total);
        response.status = StatusCode::OK;
        response.headers.remove(CONTENT_RANGE);
        response
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
    }
}

/// The origin does not have the version any more of which there are slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed;

impl Layout {
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// For the disk.
    pub(super) fn to_words(&self) -> [u64; 3] {
        [self.total, self.size, self.id]
    }

    /// What [`Layout::to_words`] made. `None` for what it cannot have made.
    pub(super) fn from_words([total, size, id]: [u64; 3]) -> Option<Self> {
        (total > 0 && size > 0).then_some(Self { total, size, id })
    }

    fn count(&self) -> u64 {
        self.total.div_ceil(self.size.max(1))
    }

    /// What stands for path and query in a slice's key. No target of a request has a NUL in it.
    fn key(&self, target: &[u8], number: u64) -> Box<[u8]> {
        [target, format!("\0{:016x}/{number}", self.id).as_bytes()]
            .concat()
            .into_boxed_slice()
    }
}

impl Fetch {
    /// Whether what comes of this fetch may be stored in slices: its response head, made that of the whole, is in the subject.
    #[must_use]
    pub fn may_slice(&self, subject: &Subject, rules: &CacheRules, now: SystemTime) -> bool {
        let response = subject.response.as_ref();
        response.is_some_and(|response| self.accept(subject, response, rules, now).is_ok())
    }

    /// Whether it has turned out lately that nothing of this is stored.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.is_free()
    }

    /// The origin's answer cannot be stored in slices, and the client's own request has to be sent. Nobody waits for that.
    pub fn give_up(mut self, now: SystemTime) {
        self.release_those_who_wait(now);
    }

    /// Stores the head of the whole, so that others find its slices, and gives what answers the client. Slices of the version that
    /// is stored already are found again.
    #[must_use]
    pub fn on_slice(mut self, subject: &Subject, layout: Layout, rules: &CacheRules, now: SystemTime) -> Option<Hit> {
        let response = subject.response.as_ref()?;
        let (policy, variant) = self.accept(subject, response, rules, now).ok()?;
        let head = Head::of(&response.headers, now);
        let known = self.stale.as_ref().and_then(|stale| match &stale.body {
            Body::Sliced(known) if known.total == layout.total && known.size == layout.size => {
                let validator = if head.get(&ETAG).is_some() { ETAG } else { LAST_MODIFIED };
                (stale.head.get(&validator) == head.get(&validator)).then(|| Arc::clone(known))
            }
            _ => None,
        });
        let entry = Arc::new(Entry {
            status: response.status,
            head,
            body: Body::Sliced(known.unwrap_or_else(|| Arc::new(layout))),
            policy,
            variant,
            route: Arc::clone(&self.route),
            marks: Marks::new(self.place.bans),
        });
        let store = Arc::clone(&self.cache.store);
        if let Some(reservation) = store.reserve(0) {
            let inserted = store.insert(&self.place, Arc::clone(&entry), reservation, Precedence::Newer);
            if inserted == Inserted::Stored {
                let _ = self.write(&entry);
            }
        }
        self.land(Landing::Stored);
        Some(Hit::new(entry, Served::Fresh, now).on(&self.conditions))
    }
}

impl Cache {
    /// The origin has another version than the slices that are stored for this request: their head goes.
    pub fn forget_slices(&self, subject: &Subject) {
        let key = Key::of(subject);
        self.store.invalidate(key.hash(&self.random), &key);
    }

    /// Removes the slices of a stored response that was purged.
    pub(super) fn purge_slices(&self, key: &Key<'_>, entry: &Entry) {
        self.each_slice(key, entry, |store, hash, key| store.invalidate(hash, key));
    }

    /// The slices of a stored response that are in memory.
    pub(super) fn slices_held(&self, key: &Key<'_>, entry: &Entry) -> Option<SlicesHeld> {
        let Body::Sliced(layout) = &entry.body else { return None };
        let mut held = 0;
        self.each_slice(key, entry, |store, hash, key| {
            held += u64::from(!store.variants(hash, key).is_empty());
        });
        Some(SlicesHeld {
            size: layout.size,
            count: layout.count(),
            in_memory: held,
        })
    }

    fn each_slice(&self, key: &Key<'_>, entry: &Entry, mut visit: impl FnMut(&Store, u64, &Key<'_>)) {
        let Body::Sliced(layout) = &entry.body else { return };
        for number in 0..layout.count().min(MOST_LOOKED_AT) {
            let target = layout.key(key.target(), number);
            let key = key.with_target(&target);
            visit(&self.store, key.hash(&self.random), &key);
        }
    }
}

/// What an operator wants to know of an object in slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SlicesHeld {
    /// Bytes of a slice.
    pub size: u64,
    /// Slices that the object has.
    pub count: u64,
    /// How many of them are in memory.
    pub in_memory: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::header_map;
    use super::*;

    fn response(status: u16, lines: &[(&str, &str)]) -> ResponseHead {
        ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            headers: header_map(lines),
            ..ResponseHead::default()
        }
    }

    #[test]
    fn a_206_is_a_slice_only_if_it_is_exactly_that_and_cannot_be_mixed() {
        let slice = Slice { number: 1, size: 10 };
        assert_eq!(slice.range().1, "bytes=10-19");
        let tag = ("etag", "\"1\"");
        for (status, lines, sliced) in [
            (206, &[("content-range", "bytes 10-19/25"), tag][..], true),
            (206, &[("content-range", "bytes 10-14/15"), tag], true),
            (206, &[("content-range", "bytes 10-14/25"), tag], false),
            (206, &[("content-range", "bytes 0-9/25"), tag], false),
            (206, &[("content-range", "bytes 10-19/*"), tag], false),
            (206, &[("content-range", "bytes 10-19/25")], false),
            (206, &[("content-range", "bytes 10-19/25"), ("etag", "W/\"1\"")], false),
            (206, &[tag], false),
            (200, &[tag], false),
            (
                206,
                &[
                    ("content-range", "bytes 10-19/25"),
                    ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
                    ("date", "Tue, 14 Nov 2023 22:14:20 GMT"),
                ],
                true,
            ),
        ] {
            let mut response = response(status, lines);
            let layout = slice.into_whole(&mut response);
            assert_eq!(layout.is_some(), sliced, "{status} {lines:?}");
            if let Some(layout) = layout {
                assert_eq!(response.headers[CONTENT_LENGTH], layout.total().to_string());
                assert!(!response.headers.contains_key(CONTENT_RANGE));
            }
        }
    }

    #[test]
    fn the_first_slice_is_where_the_range_begins() {
        for (range, number) in [
            ("bytes=0-5", 0),
            ("bytes=25-", 2),
            ("bytes=-5", 0),
            ("bytes=25-26,3-4", 2),
            ("bytes=-5,25-26", 0),
            ("nonsense", 0),
        ] {
            let first = Slice::first(&header_map(&[("range", range)]), 10);
            assert_eq!(first.number, number, "{range}");
        }
    }
}
