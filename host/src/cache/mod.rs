//! The shared memory cache: answers what it may, and lets one exchange fetch for all who wait (RFC 9111, RFC 5861).
//!
//! An exchange whose route caches asks [`Cache::lookup`] and gets a [`Lookup`]. From there:
//!
//! 1. [`key`] makes the URI and the request's fields into what an entry is found by.
//! 2. [`store`] has the entries: shards with a lock each, one budget in bytes, and a [`shelf`] in each that knows what goes next.
//! 3. [`policy`] decides whether a stored response may be served and a new one stored; it asks [`freshness`] for the
//!    arithmetic of ages and [`directives`] for what `Cache-Control` says.
//! 4. [`conditions`] spares clients what they have (304), and asks the origin only for what changed.
//! 5. [`flight`] has the others wait while one exchange fetches, and [`turns`] fetches for one origin wait for each other.
//! 6. [`fetch`] takes the origin's answer: stored, revalidated, or not.
//! 7. [`entry`] is a stored response, and what is served of it: its [`body`] may be in memory, or still on its way
//!    ([`arrival`]).
//! 8. [`purge`] takes out what an operator names: a URL, or by [`bans`] whatever fits an expression or has one of its [`tags`].
//!
//! Decisions that the RFC leaves open, or that peers make otherwise:
//! - A response with `Set-Cookie` is never stored; Varnish does the same, nginx too, HAProxy stores it without the cookie.
//! - Requests with `Cookie` are answered from the cache: an origin whose response depends on a cookie has to say so with `Vary`
//!   or `private`.
//! - `private` and `no-cache` with field names count as without (§5.2.2.4 and §5.2.2.7 allow it).
//! - What clients say in `Cache-Control` is granted, `no-cache` included; such requests go to the origin on their own.
//! - A Range request is answered whole from a stored response (RFC 9110 §14.2 allows it), and otherwise passes by the cache.
//! - Routes are part of what distinguishes variants, as one URI may lead to different upstreams.
//! - Whoever waits for a fetch follows the body while it arrives; a fetch that fails with nothing stale at hand has failed for
//!   all who waited, because asking again for each of them would be the stampede that coalescing is to prevent.
//! - After a failure, for some seconds, those whom a stale response may be served get it at once, and the origin is asked in the
//!   background.
//! - When the origin cannot be reached, stale responses are served for up to a day, unless the response forbids it.

mod arrival;
pub mod bans;
mod body;
mod conditions;
mod directives;
mod entry;
mod fetch;
mod flight;
mod freshness;
mod key;
mod policy;
pub mod purge;
mod shelf;
mod sketch;
mod store;
pub mod tags;
mod turns;

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use ahash::RandomState;
use http::header::{
    CONTENT_LENGTH, CONTENT_LOCATION, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    LOCATION, RANGE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Uri};
use serde::Serialize;

use crate::config;
use crate::exchange::subject::Subject;
use crate::telemetry::{Probe, Registry, families};

pub use body::{Broken, Reader};
pub use entry::{Hit, Served};
pub use fetch::{Fetch, Late, Progress, Stored, Writer};
pub use flight::{Wait, Waited};

use conditions::Conditions;
use fetch::Queueing;
use flight::Flight;
use key::Key;
use policy::{Asked, Verdict};
use store::{Contents, Place, Store};
use turns::Turns;

/// The process's cache.
#[derive(Debug)]
pub struct Cache {
    store: Arc<Store>,
    /// Seeded anew in every process, so that no client can choose URIs that collide.
    random: RandomState,
    max_object: AtomicU64,
    coalesce_millis: AtomicU64,
    turns: Turns,
    bypassed: AtomicU64,
}

/// What the cache has to say to a request.
#[derive(Debug)]
pub enum Lookup {
    /// The request is neither answered from the cache nor is its response stored; the word says why, for logs.
    Bypass(&'static str),
    /// Send this.
    Hit(Hit),
    /// The client has it already: send a 304 with [`Hit::not_modified_headers`].
    NotModified(Hit),
    /// The client wants nothing that is not stored (`only-if-cached`), and nothing is: send a 504 (RFC 9111 §5.2.1.7).
    OnlyIfCached,
    /// Ask the origin, and show it the answer.
    Fetch(Box<Fetch>),
    /// Send this, which is stale, and ask the origin all the same: nobody is to wait for that (RFC 5861 §3).
    Refresh(Box<Fetch>, Answer),
    /// Another exchange asks the origin for the same.
    Wait(Box<Wait>),
}

/// A stored response, as this client is to get it.
#[derive(Debug)]
pub enum Answer {
    /// All of it.
    Hit(Hit),
    /// The client has it already.
    NotModified(Hit),
}

impl From<Answer> for Lookup {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Hit(hit) => Self::Hit(hit),
            Answer::NotModified(hit) => Self::NotModified(hit),
        }
    }
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(config: &config::Cache) -> Arc<Self> {
        let cache = Self {
            store: Arc::new(Store::new(config.size)),
            random: RandomState::new(),
            max_object: AtomicU64::new(0),
            coalesce_millis: AtomicU64::new(0),
            turns: Turns::new(config.origin_fetches),
            bypassed: AtomicU64::new(0),
        };
        cache.reconfigure(config);
        Arc::new(cache)
    }

    /// Takes a new configuration; what is stored and has room stays.
    pub fn reconfigure(&self, config: &config::Cache) {
        self.max_object.store(config.max_object, Ordering::Relaxed);
        let millis = u64::try_from(config.coalesce_timeout.as_millis()).unwrap_or(u64::MAX);
        self.coalesce_millis.store(millis, Ordering::Relaxed);
        self.turns.set_limit(config.origin_fetches);
        self.store.set_limit(config.size);
        self.store.bans.set_most(config.bans);
    }

    /// Asks for the response to a request, after `route` and the plugins' `on_request`.
    ///
    /// Requests with content must say so in their head (`Content-Length`, `Transfer-Encoding`), or not be asked for: what is
    /// stored under a URI must not depend on it.
    #[must_use]
    pub fn lookup(self: &Arc<Self>, subject: &Subject, now: SystemTime) -> Lookup {
        let request = &subject.request;
        if self.store.limit() == 0 {
            return self.bypass("off");
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            return self.bypass("method");
        }
        if request.headers.contains_key(UPGRADE) {
            return self.bypass("upgrade");
        }
        let wishes = directives::Request::of(&request.headers);
        if wishes.no_store {
            return self.bypass("no-store");
        }
        let key = Key::of(subject);
        let hash = key.hash(&self.random);
        let mut contents = self.store.lock(hash);
        self.store.test(&mut contents, hash, &request.headers, now);
        match contents.ready(hash, &key, subject, &wishes, now) {
            Some(hit) => {
                drop(contents);
                answer(hit, &request.headers).into()
            }
            None => self.miss(subject, &key, hash, contents, now),
        }
    }

    /// A request was answered with `subject.response`: removes what an unsafe method has changed (RFC 9111 §4.4).
    pub fn invalidate(&self, subject: &Subject) {
        let Some(response) = subject.response.as_ref() else {
            return;
        };
        // All methods that are not known to be safe are not (§4.4).
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(&subject.request.method);
        let successful = response.status.is_success() || response.status.is_redirection();
        if safe || !successful || self.store.limit() == 0 {
            return;
        }
        let key = Key::of(subject);
        self.store.invalidate(key.hash(&self.random), &key);
        for name in [LOCATION, CONTENT_LOCATION] {
            let Some(value) = response.headers.get(name).and_then(|value| value.to_str().ok()) else {
                continue;
            };
            let Ok(uri) = value.trim().parse::<Uri>() else { continue };
            if let Some(target) = uri.path_and_query().filter(|_| key.is_origin_of(&uri)) {
                let key = key.with_target(target.as_str().as_bytes());
                self.store.invalidate(key.hash(&self.random), &key);
            }
        }
    }

    /// What an operator wants to know.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let lookups = self.store.lookups();
        let counts = &self.store.counts;
        Stats {
            objects: counts.objects.load(Ordering::Relaxed),
            bytes: self.store.used(),
            limit: self.store.limit(),
            hits: lookups.hits,
            stale: lookups.stale,
            misses: lookups.misses,
            coalesced: lookups.coalesced,
            bypassed: self.bypassed.load(Ordering::Relaxed),
            revalidated: counts.revalidated.load(Ordering::Relaxed),
            stored: counts.stored.load(Ordering::Relaxed),
            evicted: counts.evicted.load(Ordering::Relaxed),
            replaced: counts.replaced.load(Ordering::Relaxed),
            invalidated: counts.invalidated.load(Ordering::Relaxed),
            purged: counts.purged.load(Ordering::Relaxed),
            bans: self.store.bans.len() as u64,
        }
    }

    /// Shows [`Cache::stats`] as metrics, as long as the probes are kept.
    #[must_use]
    pub fn expose(self: &Arc<Self>, metrics: &Registry) -> Vec<Probe> {
        let probe = |family, labels: &[&str], read: fn(&Stats) -> u64| {
            let cache = Arc::clone(self);
            metrics.probe(family, labels, move || read(&cache.stats()) as f64)
        };
        vec![
            probe(&families::CACHE_LOOKUPS, &["hit"], |stats| stats.hits),
            probe(&families::CACHE_LOOKUPS, &["stale"], |stats| stats.stale),
            probe(&families::CACHE_LOOKUPS, &["miss"], |stats| {
                stats.misses.saturating_sub(stats.revalidated)
            }),
            probe(&families::CACHE_LOOKUPS, &["revalidated"], |stats| stats.revalidated),
            probe(&families::CACHE_LOOKUPS, &["coalesced"], |stats| stats.coalesced),
            probe(&families::CACHE_LOOKUPS, &["bypass"], |stats| stats.bypassed),
            probe(&families::CACHE_STORED, &[], |stats| stats.stored),
            probe(&families::CACHE_EVICTED, &["space"], |stats| stats.evicted),
            probe(&families::CACHE_EVICTED, &["replaced"], |stats| stats.replaced),
            probe(&families::CACHE_EVICTED, &["invalidated"], |stats| stats.invalidated),
            probe(&families::CACHE_EVICTED, &["purged"], |stats| stats.purged),
            probe(&families::CACHE_BANS, &[], |stats| stats.bans),
            probe(&families::CACHE_BYTES, &[], |stats| stats.bytes),
            probe(&families::CACHE_LIMIT, &[], |stats| stats.limit),
            probe(&families::CACHE_OBJECTS, &[], |stats| stats.objects),
        ]
    }

    /// Nothing stored answers the request: the origin is asked, by this exchange or by one that does already.
    fn miss(
        self: &Arc<Self>,
        subject: &Subject,
        key: &Key<'_>,
        hash: u64,
        mut contents: parking_lot::MutexGuard<'_, Contents>,
        now: SystemTime,
    ) -> Lookup {
        let headers = &subject.request.headers;
        let asked = Asked::of(headers);
        if asked.control.only_if_cached {
            return Lookup::OnlyIfCached;
        }
        if let Some(reason) = passes_by(subject) {
            return self.bypass(reason);
        }
        let stale = contents.peek(hash, key, &subject.route, headers).cloned();
        let place = Place {
            hash,
            key: key.to_bytes(),
            variant: self.variant(hash, subject, contents.latest(hash, key).map(|entry| &entry.variant)),
            invalidations: contents.invalidations(hash),
            bans: self.store.bans.latest(),
        };
        // A wish of this client alone: what the others wait for would not fulfil it.
        let personal = asked.control.no_cache
            || stale
                .as_ref()
                .is_some_and(|entry| entry.policy.verdict(&directives::Request::default(), now) == Verdict::Serve);
        let passes = contents.passes(place.variant, now);
        let trouble = contents.trouble(place.variant, now);
        let mut fetch = Box::new(Fetch {
            cache: Arc::clone(self),
            conditions: Conditions::of(headers),
            route: Arc::clone(&subject.route),
            place,
            asked,
            stale,
            requested: now,
            flight: None,
            queueing: if passes { Queueing::Free } else { Queueing::Counted },
            turn: None,
        });
        if personal || passes {
            contents.lookups.misses += 1;
            return Lookup::Fetch(fetch);
        }
        let stale = fetch.in_grace(trouble, now);
        if let Some(landing) = contents.flights.get(&fetch.place.variant).cloned() {
            if let Some(stale) = stale {
                contents.lookups.stale += 1;
                drop(contents);
                return answer(Hit::new(stale, Served::Stale, now), headers).into();
            }
            contents.lookups.coalesced += 1;
            return Lookup::Wait(Box::new(Wait {
                landing,
                alone: fetch,
                timeout: self.coalesce_timeout(),
            }));
        }
        let (flight, landing) = Flight::new(&self.store, &fetch.place);
        contents.flights.insert(fetch.place.variant, landing);
        fetch.flight = Some(flight);
        let Some(stale) = stale else {
            contents.lookups.misses += 1;
            return Lookup::Fetch(fetch);
        };
        contents.lookups.stale += 1;
        drop(contents);
        Lookup::Refresh(fetch, answer(Hit::new(stale, Served::Stale, now), headers))
    }

    /// What exchanges have to have in common for one to fetch for the other, as far as it is known before the response.
    fn variant(&self, hash: u64, subject: &Subject, known: Option<&key::Variant>) -> u64 {
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(hash);
        hasher.write(subject.route.as_bytes());
        if let Some(variant) = known {
            variant.hash_of(&subject.request.headers, &mut hasher);
        }
        hasher.finish()
    }

    fn bypass(&self, reason: &'static str) -> Lookup {
        self.bypassed.fetch_add(1, Ordering::Relaxed);
        Lookup::Bypass(reason)
    }

    fn coalesce_timeout(&self) -> Duration {
        Duration::from_millis(self.coalesce_millis.load(Ordering::Relaxed))
    }

    fn max_object(&self) -> u64 {
        self.max_object.load(Ordering::Relaxed)
    }
}

impl Contents {
    /// The stored response, if it may be served as it is.
    fn ready(
        &mut self,
        hash: u64,
        key: &Key<'_>,
        subject: &Subject,
        wishes: &directives::Request,
        now: SystemTime,
    ) -> Option<Hit> {
        let entry = self.find(hash, key, &subject.route, &subject.request.headers)?;
        let served = match entry.policy.verdict(wishes, now) {
            Verdict::Serve => Served::Fresh,
            Verdict::ServeStale => Served::Stale,
            Verdict::ServeWhileRevalidating | Verdict::Validate => return None,
        };
        let hit = Hit::new(Arc::clone(entry), served, now);
        match served {
            Served::Stale => self.lookups.stale += 1,
            Served::Fresh | Served::Revalidated => self.lookups.hits += 1,
        }
        Some(hit)
    }
}

/// Requests whose responses are not stored, although stored ones may answer them.
fn passes_by(subject: &Subject) -> Option<&'static str> {
    let has = |name: HeaderName| subject.request.headers.contains_key(name);
    if subject.request.method == Method::HEAD {
        return Some("head");
    }
    if has(RANGE) {
        return Some("range");
    }
    if has(IF_MATCH) || has(IF_UNMODIFIED_SINCE) {
        return Some("condition");
    }
    // A GET whose content the origin heeds would put its answer in front of everybody.
    let length = subject.request.headers.get(CONTENT_LENGTH);
    if has(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0") {
        return Some("content");
    }
    None
}

/// A hit, or the 304 that spares the client its body.
fn answer(hit: Hit, request: &HeaderMap) -> Answer {
    let conditional = request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE);
    if conditional && hit.is_known_to(&Conditions::of(request)) {
        Answer::NotModified(hit)
    } else {
        Answer::Hit(hit)
    }
}

/// The cache as `weir status` shows it. Counts are since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Responses that are stored.
    pub objects: u64,
    /// Bytes they take, with headers, keys and bookkeeping; bodies that are arriving included.
    pub bytes: u64,
    /// Bytes they may take.
    pub limit: u64,
    /// Lookups answered by a fresh response.
    pub hits: u64,
    /// Lookups answered by a stale one.
    pub stale: u64,
    /// Lookups that had the origin asked.
    pub misses: u64,
    /// Lookups that waited for another one's fetch instead.
    pub coalesced: u64,
    /// Requests that the cache has nothing to do with.
    pub bypassed: u64,
    /// Responses of which the origin said that they still hold; these are misses too.
    pub revalidated: u64,
    /// Responses stored.
    pub stored: u64,
    /// Responses removed to make room.
    pub evicted: u64,
    /// Responses replaced by newer ones.
    pub replaced: u64,
    /// Responses removed because something else than time made them wrong.
    pub invalidated: u64,
    /// Responses that purges and bans have removed or made stale.
    pub purged: u64,
    /// Bans that are kept.
    pub bans: u64,
}

#[cfg(test)]
mod tests;
