//! From a miss to a stored response: the exchange that asks the origin, and what it learns from the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode, response};

use super::Cache;
use super::conditions::{self, Conditions};
use super::entry::{Entry, Hit, Served, headers_size, stored_headers};
use super::flight::{Flight, Landing};
use super::key::Variant;
use super::policy::{self, Asked, Policy, Refused, Trouble};
use super::store::{Place, Reservation};
use crate::exchange::subject::Subject;

/// For this long nobody waits for what turned out not to be storable. The next fetch that finds it storable ends it.
const PASS: Duration = Duration::from_secs(60);

/// This exchange asks the origin. Dropping it releases those who wait for it.
#[derive(Debug)]
pub struct Fetch {
    pub(super) cache: Arc<Cache>,
    pub(super) place: Place,
    pub(super) route: Arc<str>,
    pub(super) asked: Asked,
    pub(super) conditions: Conditions,
    pub(super) stale: Option<Arc<Entry>>,
    pub(super) requested: SystemTime,
    /// `None` where nobody waits for this fetch.
    pub(super) flight: Option<Flight>,
}

/// What becomes of a response.
#[derive(Debug)]
pub enum Stored {
    /// The stored response still holds (304): send this one.
    Revalidated(Hit),
    /// It still holds, and the client has it already: send a 304.
    NotModified(Hit),
    /// The origin answered with an error, in whose place this stale response may be sent (RFC 5861 §4).
    Stale(Hit),
    /// Send the response, and give the writer every byte of it.
    Store(Writer),
    /// Send the response; it is not stored.
    NotStored,
}

impl Fetch {
    /// Takes the client's own conditions off a request that goes upstream: Weir answers them, and a 304 to them would say
    /// nothing of what is stored.
    pub fn strip_conditions(&self, headers: &mut HeaderMap) {
        conditions::strip(headers);
    }

    /// The conditions of a revalidation, to be added to the request; empty where nothing stored has a validator.
    #[must_use]
    pub fn validators(&self) -> Vec<(HeaderName, HeaderValue)> {
        let stale = self.stale.iter();
        stale.flat_map(|stale| conditions::validators(&stale.headers)).collect()
    }

    /// The response head came at `now`.
    #[must_use]
    pub fn on_response(mut self, subject: &Subject, now: SystemTime) -> Stored {
        let Some(response) = subject.response.as_ref() else {
            return Stored::NotStored;
        };
        if response.status == StatusCode::NOT_MODIFIED {
            return match self.stale.take() {
                Some(stale) => self.revalidated(stale, response, now),
                // Nobody asked for it.
                None => self.not_storable(None, now),
            };
        }
        if policy::is_server_error(response.status)
            && let Some(stale) = self.in_trouble(Trouble::ServerError, now)
        {
            self.land(Landing::Trouble);
            return Stored::Stale(Hit::new(stale, Served::Stale, now));
        }
        let (policy, variant) = match self.accept(subject, response, now) {
            Ok(accepted) => accepted,
            Err(refused) => {
                // What the origin says now is truer than what it said then, unless it is in trouble.
                if !response.status.is_server_error()
                    && let Some(stale) = &self.stale
                {
                    self.cache.store.remove(self.place.hash, stale);
                }
                return self.not_storable(Some(refused), now);
            }
        };
        let expected = match response.headers.get(CONTENT_LENGTH).map(content_length) {
            None => None,
            Some(Some(length)) if length <= self.cache.max_object() => Some(length),
            Some(_) => return self.not_storable(Some(Refused::Useless), now),
        };
        let headers = stored_headers(&response.headers, response.status, 0, now);
        let reserved = expected.unwrap_or(0) + headers_size(&headers) as u64;
        let Some(reservation) = self.cache.store.reserve(reserved) else {
            return self.not_storable(None, now);
        };
        let body = Vec::with_capacity(usize::try_from(expected.unwrap_or(0)).unwrap_or(0));
        let held = reserved - expected.unwrap_or(0);
        Stored::Store(Writer {
            content: Some(Box::new(Content {
                fetch: self,
                status: response.status,
                headers,
                policy,
                variant,
                expected,
                held,
                reservation,
                body,
            })),
        })
    }

    /// The origin did not answer: a stale response, if one may be served (RFC 9111 §4.2.4). Those who wait get the same.
    #[must_use]
    pub fn on_failure(mut self) -> Option<Hit> {
        let now = SystemTime::now();
        let stale = self.in_trouble(Trouble::Unreachable, now);
        self.land(Landing::Trouble);
        stale.map(|stale| Hit::new(stale, Served::Stale, now))
    }

    /// The stale response, if it may be served because of `trouble`.
    pub(super) fn in_trouble(&self, trouble: Trouble, now: SystemTime) -> Option<Arc<Entry>> {
        let wishes = &self.asked.control;
        self.stale
            .clone()
            .filter(|stale| !wishes.no_cache && stale.policy.serves_in_trouble(wishes, trouble, now))
    }

    fn accept(
        &self,
        subject: &Subject,
        response: &response::Parts,
        now: SystemTime,
    ) -> Result<(Policy, Variant), Refused> {
        let policy = policy::store(self.asked, response.status, &response.headers, self.requested, now)?;
        let variant = Variant::new(&subject.request.headers, &response.headers).ok_or(Refused::Varies)?;
        Ok((policy, variant))
    }

    /// A 304 came for the stored response (RFC 9111 §4.3.4).
    fn revalidated(mut self, stale: Arc<Entry>, response: &response::Parts, now: SystemTime) -> Stored {
        let entry = if conditions::is_about(&stale.headers, &response.headers) {
            self.refresh(&stale, response, now)
        } else {
            // About another response, so the stored one is outdated. The client still gets it, as there is no other.
            None
        };
        let entry = entry.unwrap_or_else(|| {
            self.cache.store.remove(self.place.hash, &stale);
            stale
        });
        self.cache.store.counts.revalidated.fetch_add(1, Ordering::Relaxed);
        self.land(Landing::Stored);
        let spared = self.conditions.spare(entry.status, &entry.headers);
        let hit = Hit::new(entry, Served::Revalidated, now);
        if spared {
            Stored::NotModified(hit)
        } else {
            Stored::Revalidated(hit)
        }
    }

    /// Stores what a 304 makes of the stored response. `None` where it must not be stored any more.
    fn refresh(&self, stale: &Arc<Entry>, response: &response::Parts, now: SystemTime) -> Option<Arc<Entry>> {
        let mut headers = stale.merged_headers(&response.headers, now);
        // For the arithmetic it is as old as the 304 says.
        if let Some(age) = response.headers.get(AGE) {
            headers.insert(AGE, age.clone());
        }
        let policy = policy::store(self.asked, stale.status, &headers, self.requested, now).ok()?;
        headers.insert(AGE, HeaderValue::from_static("0"));
        let entry = Arc::new(Entry {
            status: stale.status,
            headers,
            body: stale.body.clone(),
            policy,
            variant: stale.variant.clone(),
            route: Arc::clone(&stale.route),
        });
        let reservation = self.cache.store.reserve(0)?;
        // Without room or after an invalidation it still answers this request.
        self.cache.store.insert(&self.place, Arc::clone(&entry), reservation);
        Some(entry)
    }

    /// Releases those who wait, and keeps others from waiting where it is the response's fault.
    fn not_storable(mut self, refused: Option<Refused>, now: SystemTime) -> Stored {
        let because_of_response = refused.is_some_and(|refused| refused != Refused::Authorized);
        if because_of_response {
            self.cache
                .store
                .lock(self.place.hash)
                .pass(self.place.variant, now + PASS);
        }
        self.land(Landing::NotStorable);
        Stored::NotStored
    }

    fn land(&mut self, landing: Landing) {
        if let Some(flight) = self.flight.take() {
            flight.land(landing);
        }
    }
}

fn content_length(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

/// Takes a response's body as it passes. Dropped before [`Writer::finish`], it stores nothing.
#[derive(Debug)]
pub struct Writer {
    content: Option<Box<Content>>,
}

#[derive(Debug)]
struct Content {
    fetch: Fetch,
    status: StatusCode,
    headers: HeaderMap,
    policy: Policy,
    variant: Variant,
    expected: Option<u64>,
    /// Bytes of the reservation that are not for the body.
    held: u64,
    reservation: Reservation,
    body: Vec<u8>,
}

/// Whether a [`Writer`] still wants what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Go on.
    Writing,
    /// The body is too large, longer than it said, or there is no room: nothing will be stored.
    GivenUp,
}

impl Writer {
    /// The next bytes of the body. They are copied: as they are, they would keep a whole read buffer alive.
    pub fn push(&mut self, data: &Bytes) -> Progress {
        let Some(content) = &mut self.content else {
            return Progress::GivenUp;
        };
        if content.push(data) == Progress::Writing {
            return Progress::Writing;
        }
        if let Some(content) = self.content.take() {
            let _ = content.fetch.not_storable(Some(Refused::Useless), SystemTime::now());
        }
        Progress::GivenUp
    }

    /// The body is complete: stores it, unless it is shorter than its Content-Length said. Trailers are not stored
    /// (RFC 9110 §6.5.2 lets a recipient discard them).
    pub fn finish(mut self) {
        let Some(content) = self.content.take() else { return };
        if content
            .expected
            .is_some_and(|expected| expected != content.body.len() as u64)
        {
            return;
        }
        content.store();
    }
}

impl Content {
    fn push(&mut self, data: &Bytes) -> Progress {
        let length = self.body.len() as u64 + data.len() as u64;
        if length > self.expected.unwrap_or_else(|| self.fetch.cache.max_object()) {
            return Progress::GivenUp;
        }
        // Without a Content-Length the buffer doubles as it grows, and what is reserved is its capacity.
        let room = self.reservation.bytes() - self.held;
        if length > room {
            let capacity = length.next_power_of_two().max(4096).min(self.fetch.cache.max_object());
            if !self.reservation.grow(capacity - room) {
                return Progress::GivenUp;
            }
            self.body
                .reserve_exact(usize::try_from(capacity).unwrap_or(0).saturating_sub(self.body.len()));
        }
        self.body.extend_from_slice(data);
        Progress::Writing
    }

    fn store(self) {
        let Self {
            mut fetch,
            status,
            mut headers,
            policy,
            variant,
            reservation,
            body,
            ..
        } = self;
        if status != StatusCode::NO_CONTENT {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let entry = Arc::new(Entry {
            status,
            headers,
            // Gives back what the buffer has over its length.
            body: Bytes::from(body.into_boxed_slice()),
            policy,
            variant,
            route: Arc::clone(&fetch.route),
        });
        fetch.cache.store.insert(&fetch.place, entry, reservation);
        fetch.land(Landing::Stored);
    }
}
