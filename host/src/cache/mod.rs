//! The shared memory cache: answers what it may, and lets one exchange fetch for all who wait (RFC 9111, RFC 5861).
//!
//! An exchange whose route caches asks [`Cache::lookup`] and gets a [`Lookup`]. From there:
//!
//! 1. [`key`] makes the URI into what entries are found by, [`variant`] tells them apart by the request's fields, which
//!    [`normalise`] reads.
//! 2. [`store`] has the entries: shards with a lock each, one budget in bytes, and a [`shelf`] in each that knows what goes next.
//! 3. [`policy`] decides whether a stored response may be served and a new one stored; it asks [`freshness`] for the
//!    arithmetic of ages, [`directives`] for what `Cache-Control` says and [`targeted`] for what is said to caches like this
//!    one alone.
//! 4. [`conditions`] spares clients what they have (304), and asks the origin only for what changed; [`ranges`] cuts parts.
//! 5. [`flight`] has the others wait while one exchange fetches, and [`turns`] fetches for one origin wait for each other.
//! 6. [`fetch`] takes the origin's answer: stored, revalidated, or not.
//! 7. [`disk`] is the tier below: [`persist`] makes files of stored responses, and [`load`] finds them for a lookup.
//! 8. [`entry`] is a stored response, and what is served of it: its [`head`] is lines, its [`body`] may be in memory, or still on its way
//!    ([`arrival`]). [`status`] tells the client.
//! 8. [`slices`] has the parts of large objects as responses of their own, under the head of the whole.
//! 8. [`methods`] is what POST, HEAD and the others do to what is stored.
//! 9. [`purge`] takes out what an operator names: a URL, or by [`bans`] whatever fits an expression or has one of its [`tags`].
//!
//! Decisions that the RFC leaves open, or that peers make otherwise:
//! - A response with `Set-Cookie` is not stored; Varnish does the same, nginx too, HAProxy stores it without the cookie. It is
//!   where the response says that the cookie is nobody else's (`no-cache="set-cookie"`; then without it), or the operator does.
//! - Requests with `Cookie` are answered from the cache: an origin whose response depends on a cookie has to say so with `Vary`
//!   or `private`.
//! - Fields that `private` and `no-cache` name are left out of what is stored.
//! - What clients say in `Cache-Control` is granted, `no-cache` included; such requests go to the origin on their own.
//! - A Range request is answered from a stored whole or from slices, and passes by the cache on routes without slices.
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
mod disk;
mod entry;
mod fetch;
mod flight;
mod footprint;
mod freshness;
mod head;
pub mod inspect;
mod key;
mod load;
mod methods;
mod normalise;
mod persist;
mod policy;
pub mod purge;
mod ranges;
mod shelf;
mod sketch;
pub mod slices;
mod span;
mod status;
mod store;
pub mod tags;
mod targeted;
mod turns;
mod variant;

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use ahash::RandomState;
use http::header::{CONTENT_LENGTH, HeaderName, IF_MATCH, IF_UNMODIFIED_SINCE, RANGE, TRANSFER_ENCODING, UPGRADE};
use http::{Method, request};
use serde::Serialize;

use crate::config;
use crate::exchange::subject::Subject;
use crate::telemetry::{Probe, Registry, families};

pub use body::{Broken, Reader};
pub use disk::Stats as DiskStats;
pub use entry::{Hit, Served, StoredHead};
pub use fetch::{Fetch, Late, Progress, Stored, Writer};
pub use flight::{Wait, Waited};
pub use load::{Load, Loaded};
pub use status::{Forward, Status};

use conditions::Conditions;
use disk::{Disk, Id};
use entry::Entry;
use fetch::Queueing;
use flight::Flight;
use key::Key;
use policy::{Asked, Verdict};
use store::{Contents, Place, Store};
use turns::Turns;
use variant::Variant;

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

/// Where a response, or its body, is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    /// In memory, and on the disk as well where that takes it.
    Memory,
    /// Only there, from its first bytes on.
    Disk,
}

/// What came of earlier lookups of one request.
#[derive(Debug, Default)]
pub struct Before {
    /// What [`Lookup::Load`] found, if the disk has been asked.
    pub loaded: Option<Loaded>,
    /// When the request began to wait, if it has been told [`Waited::LookUpWaited`].
    pub waited: Option<SystemTime>,
}

/// What the cache has to say to a request.
#[derive(Debug)]
pub enum Lookup {
    /// The request is neither answered from the cache nor is its response stored; the word says why, for logs.
    Bypass(&'static str),
    /// Send this.
    Hit(Hit),
    /// The client wants nothing that is not stored (`only-if-cached`), and nothing is: send a 504 (RFC 9111 §5.2.1.7).
    OnlyIfCached,
    /// Ask the origin, and show it the answer.
    Fetch(Box<Fetch>),
    /// Send this, which is stale, and ask the origin all the same: nobody is to wait for that (RFC 5861 §3).
    Refresh(Box<Fetch>, Hit),
    /// Another exchange asks the origin for the same.
    Wait(Box<Wait>),
    /// Memory has nothing, the disk may: look there, and look up again with what it had.
    Load(Box<Load>),
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(config: &config::Cache) -> Arc<Self> {
        // What cannot be used is not needed: the disk is for speed.
        let disk = config.disk.as_ref().and_then(|disk| match Disk::open(disk) {
            Ok(disk) => Some(disk),
            Err(error) => {
                tracing::error!(folder = %disk.path.display(), %error, "the cache does without its disk");
                None
            }
        });
        let cache = Self {
            store: Arc::new(Store::new(config.size, disk)),
            random: RandomState::new(),
            max_object: AtomicU64::new(0),
            coalesce_millis: AtomicU64::new(0),
            turns: Turns::new(config.origin_fetches),
            bypassed: AtomicU64::new(0),
        };
        cache.reconfigure(config);
        cache.go_on_sweeping();
        Arc::new(cache)
    }

    /// Takes a new configuration; what is stored and has room stays.
    pub fn reconfigure(&self, config: &config::Cache) {
        self.max_object.store(config.max_object, Ordering::Relaxed);
        let millis = u64::try_from(config.coalesce_timeout.as_millis()).unwrap_or(u64::MAX);
        self.coalesce_millis.store(millis, Ordering::Relaxed);
        self.turns.set_limit(config.origin_fetches);
        self.store.set_limit(config.size);
        let disk = self.store.disk();
        if let (Some(disk), Some(config)) = (disk, &config.disk) {
            disk.reconfigure(config);
        }
        if disk.map(|disk| disk.folder()) != config.disk.as_ref().map(|disk| &*disk.path) {
            tracing::warn!("another folder for the cache's disk takes a restart");
        }
        self.store.bans.set_most(config.bans);
    }

    /// Asks for the response to a request, after `route` and the plugins' `on_request`.
    ///
    /// Requests with content must say so in their head (`Content-Length`, `Transfer-Encoding`), or not be asked for: what is
    /// stored under a URI must not depend on it.
    #[must_use]
    pub fn lookup(self: &Arc<Self>, subject: &Subject, now: SystemTime) -> Lookup {
        self.lookup_with(subject, &Before::default(), now)
    }

    /// The same after earlier lookups of the same request.
    #[must_use]
    pub fn lookup_with(self: &Arc<Self>, subject: &Subject, before: &Before, now: SystemTime) -> Lookup {
        let loaded = before.loaded.as_ref();
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
        match contents.ready(hash, &key, subject, before, &wishes, now) {
            Some(hit) => {
                drop(contents);
                answer(hit, request)
            }
            None => match self.load(subject, &key, hash, &contents, loaded) {
                Some(load) => {
                    drop(contents);
                    match load.at_once() {
                        Some(loaded) => {
                            let loaded = Some(loaded);
                            let waited = before.waited;
                            self.lookup_with(subject, &Before { loaded, waited }, now)
                        }
                        None => Lookup::Load(load),
                    }
                }
                None => self.miss(subject, &key, hash, loaded, contents, now),
            },
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
            disk: self.store.disk().map(|disk| disk.stats()).unwrap_or_default(),
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
            probe(&families::CACHE_DISK_BYTES, &[], |stats| stats.disk.bytes),
            probe(&families::CACHE_DISK_LIMIT, &[], |stats| stats.disk.limit),
            probe(&families::CACHE_DISK_OBJECTS, &[], |stats| stats.disk.objects),
            probe(&families::CACHE_DISK_HITS, &[], |stats| stats.disk.hits),
            probe(&families::CACHE_DISK_STORED, &["written"], |stats| stats.disk.written),
            probe(&families::CACHE_DISK_STORED, &["dropped"], |stats| stats.disk.dropped),
            probe(&families::CACHE_DISK_EVICTED, &[], |stats| stats.disk.evicted),
            probe(&families::CACHE_DISK_ERRORS, &["read"], |stats| stats.disk.read_errors),
            probe(&families::CACHE_DISK_ERRORS, &["write"], |stats| {
                stats.disk.write_errors
            }),
        ]
    }

    /// The disk is asked where memory has nothing; what memory has is at least as new.
    fn load(
        &self,
        subject: &Subject,
        key: &Key<'_>,
        hash: u64,
        contents: &Contents,
        loaded: Option<&Loaded>,
    ) -> Option<Box<Load>> {
        let disk = self.store.disk().filter(|_| loaded.is_none())?;
        if contents
            .peek(hash, key, &subject.route, &subject.request.headers)
            .is_some()
        {
            return None;
        }
        let bytes = key.to_bytes();
        let id = Id::of(&bytes);
        disk.may_have(id).then(|| {
            Box::new(Load {
                store: Arc::clone(&self.store),
                disk: Arc::clone(disk),
                id,
                place: Place {
                    hash,
                    key: bytes,
                    variant: 0,
                    invalidations: contents.invalidations(hash),
                    bans: self.store.bans.latest(),
                },
                route: Arc::clone(&subject.route),
                max_object: self.in_memory(),
            })
        })
    }

    /// Nothing stored answers the request: the origin is asked, by this exchange or by one that does already.
    fn miss(
        self: &Arc<Self>,
        subject: &Subject,
        key: &Key<'_>,
        hash: u64,
        loaded: Option<&Loaded>,
        mut contents: parking_lot::MutexGuard<'_, Contents>,
        now: SystemTime,
    ) -> Lookup {
        let mut fetch = Box::new(self.new_fetch(subject, key, hash, &contents, now));
        if fetch.asked.control.only_if_cached {
            return Lookup::OnlyIfCached;
        }
        fetch.stale = contents
            .peek(hash, key, &subject.route, &subject.request.headers)
            .or_else(|| loaded?.find(subject))
            .cloned();
        // A wish of this client alone: what the others wait for would not fulfil it.
        let personal = fetch.asked.control.no_cache
            || fetch
                .stale
                .as_ref()
                .is_some_and(|stale| stale.policy.verdict(&directives::Request::default(), now) == Verdict::Serve);
        let passes = contents.passes(fetch.place.variant, now);
        let grace = fetch.in_grace(contents.trouble(fetch.place.variant, now), now);
        match passes_by(subject) {
            Some(PassesBy::Content(reason)) => return self.bypass(reason),
            // What is stale answers a HEAD or a range too; what is fetched behind its back is the whole.
            Some(PassesBy::Part(reason)) if personal || passes || grace.is_none() => return self.bypass(reason),
            Some(PassesBy::Part(_)) | None => {}
        }
        fetch.reason = match &fetch.stale {
            Some(_) if personal => Forward::Request,
            Some(_) => Forward::Stale,
            None if contents.latest(hash, key).is_some() => Forward::VaryMiss,
            None => Forward::UriMiss,
        };
        if passes {
            fetch.queueing = Queueing::Free;
        }
        if personal || passes {
            contents.lookups.misses += 1;
            return Lookup::Fetch(fetch);
        }
        let stale = grace.map(|stale| Hit::new(stale, Served::Stale, now).on(&fetch.conditions));
        if let Some(landing) = contents.flights.get(&fetch.place.variant).cloned() {
            if let Some(hit) = stale {
                contents.lookups.stale += 1;
                return Lookup::Hit(hit);
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
        let Some(hit) = stale else {
            contents.lookups.misses += 1;
            return Lookup::Fetch(fetch);
        };
        contents.lookups.stale += 1;
        Lookup::Refresh(fetch, hit)
    }

    /// What would take the origin's answer to a request. Nobody waits for it yet.
    fn new_fetch(
        self: &Arc<Self>,
        subject: &Subject,
        key: &Key<'_>,
        hash: u64,
        contents: &Contents,
        now: SystemTime,
    ) -> Fetch {
        let request = &subject.request;
        Fetch {
            cache: Arc::clone(self),
            conditions: Conditions::of(&request.method, &request.headers),
            route: Arc::clone(&subject.route),
            place: Place {
                hash,
                key: key.to_bytes(),
                variant: self.variant(hash, subject, contents.latest(hash, key).map(|entry| &entry.variant)),
                invalidations: contents.invalidations(hash),
                bans: self.store.bans.latest(),
            },
            asked: Asked::of(&request.headers),
            stale: None,
            requested: now,
            reason: Forward::UriMiss,
            flight: None,
            queueing: Queueing::Counted,
            turn: None,
        }
    }

    /// What exchanges have to have in common for one to fetch for the other, as far as it is known before the response.
    fn variant(&self, hash: u64, subject: &Subject, known: Option<&Variant>) -> u64 {
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

    /// Where a body of this length is stored, if anywhere.
    fn tier(&self, length: u64) -> Option<Tier> {
        if length <= self.in_memory() {
            return Some(Tier::Memory);
        }
        let disk = self.store.disk().filter(|disk| disk.takes(length));
        disk.map(|_| Tier::Disk)
    }

    /// Bytes of memory that a body of this length takes at most while it arrives.
    fn room_for(&self, length: u64) -> u64 {
        if length <= self.in_memory() {
            length
        } else {
            self.in_memory().max(arrival::SPILLING).min(length)
        }
    }

    /// Bytes of the largest body that stays in memory.
    fn in_memory(&self) -> u64 {
        self.max_object.load(Ordering::Relaxed)
    }
}

impl Loaded {
    /// The response that answers a request, the latest first.
    fn find(&self, subject: &Subject) -> Option<&Arc<Entry>> {
        let mut entries = self.0.iter().rev();
        entries.find(|entry| entry.variant.is_of(&subject.request.headers))
    }
}

impl Contents {
    /// The stored response, if it may be served as it is.
    fn ready(
        &mut self,
        hash: u64,
        key: &Key<'_>,
        subject: &Subject,
        before: &Before,
        wishes: &directives::Request,
        now: SystemTime,
    ) -> Option<Hit> {
        let entry = match self.find(hash, key, &subject.route, &subject.request.headers) {
            Some(entry) => entry,
            None => before.loaded.as_ref()?.find(subject)?,
        };
        let served = match entry.policy.verdict(wishes, now) {
            Verdict::Serve => Served::Fresh,
            Verdict::ServeStale => Served::Stale,
            Verdict::ServeWhileRevalidating | Verdict::Validate => {
                before
                    .waited
                    .filter(|since| entry.policy.answers_who_waited(wishes, *since))?;
                Served::Fresh
            }
        };
        let hit = Hit::new(Arc::clone(entry), served, now);
        match served {
            Served::Stale => self.lookups.stale += 1,
            Served::Fresh | Served::Revalidated => self.lookups.hits += 1,
        }
        Some(hit)
    }
}

/// What responses to a request are stored under, for people to read.
#[must_use]
pub fn key_of(subject: &Subject) -> Box<[u8]> {
    Key::of(subject).to_bytes()
}

/// Whether what comes of a request may be stored as it is: the whole of a GET.
#[must_use]
pub fn asks_for_whole(subject: &Subject) -> bool {
    passes_by(subject).is_none()
}

/// Requests whose responses are not stored, although stored ones may answer them; with the reason.
enum PassesBy {
    /// The answer is less than a whole.
    Part(&'static str),
    /// The answer may be to something that the next request does not have.
    Content(&'static str),
}

/// Fields by which frameworks let a request be another one than it says. Nobody varies on them, so that an answer to them would be
/// put in front of everybody.
const DISGUISES: [HeaderName; 8] = [
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-http-host-override"),
];

fn passes_by(subject: &Subject) -> Option<PassesBy> {
    let has = |name: HeaderName| subject.request.headers.contains_key(name);
    // A GET whose content the origin heeds would put its answer in front of everybody.
    let length = subject.request.headers.get(CONTENT_LENGTH);
    if has(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0") {
        return Some(PassesBy::Content("content"));
    }
    if DISGUISES.into_iter().any(has) {
        return Some(PassesBy::Content("disguised"));
    }
    if subject.request.method == Method::HEAD {
        return Some(PassesBy::Part("head"));
    }
    // In slices, a part is fetched so that it can be stored.
    if has(RANGE) && subject.caching.slice.is_none() {
        return Some(PassesBy::Part("range"));
    }
    if has(IF_MATCH) || has(IF_UNMODIFIED_SINCE) {
        return Some(PassesBy::Part("condition"));
    }
    None
}

/// A hit, as far as the client wants it.
fn answer(hit: Hit, request: &request::Parts) -> Lookup {
    Lookup::Hit(if Conditions::are_in(&request.headers) {
        hit.on(&Conditions::of(&request.method, &request.headers))
    } else {
        hit
    })
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
    /// The tier below; zeroes where there is none.
    pub disk: disk::Stats,
}

#[cfg(test)]
mod tests;
