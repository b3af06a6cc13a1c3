//! From a miss to a stored response: the exchange that asks the origin, and what it learns from the answer.
//!
//! A [`Fetch`] is the duty to ask. Where the answer is to be stored it becomes a [`Writer`], which has the [`content`] to be
//! stored; [`written`] is when the disk has it.

mod content;
mod writer;
mod written;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

pub use self::writer::{Progress, Writer};

use self::content::Content;
use self::written::Written;
use super::Cache;
use super::body::Body;
use super::conditions::{self, Conditions};
use super::disk::{Id, Object};
use super::entry::{Entry, Hit, Marks, Served};
use super::flight::{Flight, Landing};
use super::head::Head;
use super::persist;
use super::policy::{self, Asked, Policy, Refused, Trouble, Verdict};
use super::status::Forward;
use super::store::{Inserted, Place, Precedence};
use super::turns::Turn;
use super::variant::Variant;
use crate::config::CacheRules;
use crate::exchange::subject::{Storing, Subject};
use crate::http1::head::ResponseHead;

/// For this long nobody waits for what turned out not to be storable. The next fetch that finds it storable ends it.
const PASS: Duration = Duration::from_secs(60);

/// For this long after a failure the origin is still taken to be in trouble, unless it has answered since.
const TROUBLE: Duration = Duration::from_secs(10);

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
    pub(super) reason: Forward,
    /// `None` where nobody waits for this fetch.
    pub(super) flight: Option<Flight>,
    pub(super) queueing: Queueing,
    pub(super) turn: Option<Turn>,
}

/// Whether a fetch counts among those that an origin gets at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queueing {
    /// It is made to fill the cache.
    Counted,
    /// It is known that nothing will be stored.
    Free,
}

/// The origin had no turn for a fetch in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late;

/// What becomes of a response.
#[derive(Debug)]
pub enum Stored {
    /// The stored response still holds (304): send this one.
    Revalidated(Hit),
    /// The origin answered with an error, in whose place this stale response may be sent (RFC 5861 §4).
    Stale(Hit),
    /// Send the response, and give the writer every byte of it.
    Store(Writer),
    /// Send the response; it is not stored, for this reason.
    NotStored(&'static str),
}

impl Fetch {
    /// Waits until the origin may be asked: it gets `origin_fetches` at once, and nobody waits longer for that than
    /// `coalesce_timeout`.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn take_turn(&mut self, upstream: &str) -> Result<(), Late> {
        if self.queueing == Queueing::Counted {
            let turn = self.cache.turns.take(upstream, self.cache.coalesce_timeout()).await;
            self.turn = Some(turn.ok_or(Late)?);
        }
        Ok(())
    }

    /// Takes the client's own conditions off a request that goes upstream: Weir answers them, and a 304 to them would say
    /// nothing of what is stored.
    pub fn strip_conditions(&self, headers: &mut HeaderMap) {
        conditions::strip(headers);
    }

    /// The conditions of a revalidation, to be added to the request; empty where nothing stored has a validator.
    #[must_use]
    pub fn validators(&self) -> Vec<(HeaderName, HeaderValue)> {
        let stale = self.stale.iter();
        stale.flat_map(|stale| conditions::validators(&stale.head)).collect()
    }

    pub(super) fn is_free(&self) -> bool {
        self.queueing == Queueing::Free
    }

    /// Why the origin is asked.
    #[must_use]
    pub fn reason(&self) -> Forward {
        self.reason
    }

    /// The response head came at `now`. `rules` are the route's.
    #[must_use]
    pub fn on_response(mut self, subject: &Subject, rules: &CacheRules, now: SystemTime) -> Stored {
        let Some(response) = subject.response.as_ref() else {
            return Stored::NotStored("status");
        };
        if response.status == StatusCode::NOT_MODIFIED {
            return match self.stale.take() {
                Some(stale) => self.revalidated(stale, response, rules, now),
                // Nobody asked for it.
                None => self.not_storable(None, now),
            };
        }
        if policy::is_server_error(response.status)
            && let Some(stale) = self.in_trouble(Trouble::ServerError, now)
        {
            self.note(Trouble::ServerError, now);
            self.land(Landing::ServerError);
            return Stored::Stale(Hit::new(stale, Served::Stale, now).on(&self.conditions));
        }
        let (policy, variant) = match self.accept(subject, response, rules, now) {
            Ok(accepted) => accepted,
            Err(refused) => {
                // What the origin says now is truer than what it said then, unless it is in trouble.
                if !response.status.is_server_error()
                    && let Some(stale) = &self.stale
                {
                    self.cache.store.remove(&self.place, stale);
                }
                // An error is no reason to have everybody ask from now on, least of all an origin in trouble.
                let lasting = Some(refused).filter(|_| !response.status.is_server_error());
                return self.not_storable(lasting, now);
            }
        };
        let expected = match response.headers.get(CONTENT_LENGTH).map(content_length) {
            None => None,
            Some(Some(length)) if self.cache.tier(length).is_some() => Some(length),
            Some(_) => return self.not_storable(Some(Refused::TooLarge), now),
        };
        let head = Head::of(&response.headers, now);
        let held = head.size() as u64;
        let reserved = held + self.cache.room_for(expected.unwrap_or(0));
        let Some(reservation) = self.cache.store.reserve(reserved) else {
            return self.not_storable(None, now);
        };
        Stored::Store(Writer::new(Content {
            status: response.status,
            head,
            policy,
            variant,
            expected,
            held,
            reservation,
            spilled: None,
            arriving: None,
            received: now,
            fetch: self,
        }))
    }

    /// The origin did not answer: a stale response, if one may be served (RFC 9111 §4.2.4). Those who wait get the same.
    #[must_use]
    pub fn on_failure(mut self) -> Option<Hit> {
        let now = SystemTime::now();
        let stale = self.in_trouble(Trouble::Unreachable, now);
        self.note(Trouble::Unreachable, now);
        self.land(Landing::Unreachable);
        stale.map(|stale| Hit::new(stale, Served::Stale, now).on(&self.conditions))
    }

    /// The stale response, if it may be served while the origin is asked: because it says so, or because the origin has been in
    /// trouble just now.
    pub(super) fn in_grace(&self, trouble: Option<Trouble>, now: SystemTime) -> Option<Arc<Entry>> {
        let wishes = &self.asked.control;
        let while_revalidating =
            |stale: &&Arc<Entry>| stale.policy.verdict(wishes, now) == Verdict::ServeWhileRevalidating;
        let in_trouble = || self.in_trouble(trouble?, now);
        self.stale
            .as_ref()
            .filter(while_revalidating)
            .cloned()
            .or_else(in_trouble)
    }

    /// The stale response, if it may be served because of `trouble`.
    pub(super) fn in_trouble(&self, trouble: Trouble, now: SystemTime) -> Option<Arc<Entry>> {
        let wishes = &self.asked.control;
        self.stale
            .clone()
            .filter(|stale| !wishes.no_cache && stale.policy.serves_in_trouble(wishes, trouble, now))
    }

    /// For a while nobody waits for the origin who can be served without it.
    fn note(&self, trouble: Trouble, now: SystemTime) {
        let mut contents = self.cache.store.lock(self.place.hash);
        contents.note(self.place.variant, trouble, now + TROUBLE);
    }

    pub(super) fn accept(
        &self,
        subject: &Subject,
        response: &ResponseHead,
        rules: &CacheRules,
        now: SystemTime,
    ) -> Result<(Policy, Variant), Refused> {
        let times = (self.requested, now);
        if subject.caching.storing == Storing::Bypassed {
            return Err(Refused::Plugin);
        }
        let asked = Asked {
            lifetime: subject.caching.lifetime,
            ..self.asked
        };
        let policy = policy::store(asked, response.status, &response.headers, rules, times)?;
        let variant = Variant::new(&subject.request.headers, &response.headers, &rules.normalise);
        let variant = variant.ok_or(Refused::Varies)?;
        Ok((policy, variant))
    }

    /// A 304 came for the stored response (RFC 9111 §4.3.4).
    fn revalidated(
        mut self,
        stale: Arc<Entry>,
        response: &ResponseHead,
        rules: &CacheRules,
        now: SystemTime,
    ) -> Stored {
        let entry = if conditions::is_about(&stale.head, &response.headers) {
            self.refresh(&stale, response, rules, now)
        } else {
            // About another response, so the stored one is outdated. The client still gets it, as there is no other.
            None
        };
        let entry = entry.unwrap_or_else(|| {
            self.cache.store.remove(&self.place, &stale);
            stale
        });
        self.cache.store.counts.revalidated.fetch_add(1, Ordering::Relaxed);
        self.land(Landing::Stored);
        Stored::Revalidated(Hit::new(entry, Served::Revalidated, now).on(&self.conditions))
    }

    /// Stores what a 304, or a 200 to HEAD, makes of the stored response. `None` where it must not be stored any more.
    pub(super) fn refresh(
        &self,
        stale: &Arc<Entry>,
        response: &ResponseHead,
        rules: &CacheRules,
        now: SystemTime,
    ) -> Option<Arc<Entry>> {
        let mut headers = stale.merged_headers(&response.headers);
        // For the arithmetic it is as old as the 304 says.
        if let Some(age) = response.headers.get(AGE) {
            headers.insert(AGE, age.clone());
        }
        let asked = Asked {
            lifetime: stale.policy.decided.get(),
            ..self.asked
        };
        let policy = policy::store(asked, stale.status, &headers, rules, (self.requested, now)).ok()?;
        let entry = Arc::new(Entry {
            status: stale.status,
            head: Head::of(&headers, now),
            body: stale.body.settled(),
            policy,
            variant: stale.variant.clone(),
            route: Arc::clone(&stale.route),
            marks: Marks::new(self.place.bans),
        });
        let reservation = self.cache.store.reserve(0)?;
        if let Body::Disk(open) = &entry.body {
            // What is too large for memory stays where it is, under its new head.
            if let Some(disk) = self.cache.store.disk() {
                disk.rewrite(open, self.object(&entry, Bytes::new()));
            }
            return Some(entry);
        }
        // Without room or after an invalidation it still answers this request.
        let store = &self.cache.store;
        if store.insert(&self.place, Arc::clone(&entry), reservation, Precedence::Newer) == Inserted::Stored {
            let _ = self.write(&entry);
        }
        Some(entry)
    }

    /// Has the disk keep a response as well, where there is one and the response is for it.
    pub(super) fn write(&self, entry: &Arc<Entry>) -> Option<Written> {
        let disk = self.cache.store.disk()?;
        let body = match &entry.body {
            // Its head leads to the slices, which are written each on its own.
            Body::Sliced(_) => Bytes::new(),
            _ => entry.bytes().filter(|body| disk.takes(body.len() as u64))?,
        };
        Some(Written {
            done: disk.write(self.object(entry, body)),
            arriving: None,
            store: Arc::clone(&self.cache.store),
            hash: self.place.hash,
        })
    }

    fn object(&self, entry: &Entry, body: Bytes) -> Object {
        Object {
            id: Id::of(&self.place.key),
            variant: persist::variant(entry),
            head: persist::encode(
                &self.place.key,
                entry,
                self.cache.store.bans.identity(),
                SystemTime::now(),
            ),
            body,
        }
    }

    /// Releases those who wait, and keeps others from waiting where it is the response's fault.
    fn not_storable(mut self, refused: Option<Refused>, now: SystemTime) -> Stored {
        let because_of_response = refused.is_some_and(|refused| refused != Refused::Authorized);
        if because_of_response {
            self.release_those_who_wait(now);
        }
        self.land(Landing::NotStorable);
        Stored::NotStored(refused.map_or("full", Refused::as_str))
    }

    /// Nobody waits for this, now or for a while: what comes of it answers nobody else.
    pub(super) fn release_those_who_wait(&mut self, now: SystemTime) {
        self.cache
            .store
            .lock(self.place.hash)
            .pass(self.place.variant, now + PASS);
        self.land(Landing::NotStorable);
    }

    pub(super) fn land(&mut self, landing: Landing) {
        if let Some(flight) = self.flight.take() {
            flight.land(landing);
        }
    }
}

fn content_length(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}
