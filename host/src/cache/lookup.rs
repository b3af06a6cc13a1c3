//! What the cache has to say to a request: a response, a wait, or the duty to ask the origin.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use http::Method;
use http::header::{CONTENT_LENGTH, HeaderName, IF_MATCH, IF_UNMODIFIED_SINCE, RANGE, TRANSFER_ENCODING, UPGRADE};

use super::Cache;
use super::conditions::Conditions;
use super::directives;
use super::disk::Id;
use super::entry::{Entry, Hit, Served};
use super::fetch::{Fetch, Queueing};
use super::flight::{Flight, Wait};
use super::key::Key;
use super::load::{Load, Loaded};
use super::policy::{Asked, Verdict};
use super::status::Forward;
use super::store::{Contents, Place};
use super::variant::Variant;
use crate::exchange::subject::Subject;
use crate::http1::head::RequestHead;

/// What came of earlier lookups of one request.
#[derive(Debug, Default)]
pub struct Before {
    /// What [`Lookup::Load`] found, if the disk has been asked.
    pub loaded: Option<Loaded>,
    /// When the request began to wait, if it has been told [`Waited::LookUpWaited`](super::Waited::LookUpWaited).
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
        if request.names.may_have("upgrade") && request.headers.contains_key(UPGRADE) {
            return self.bypass("upgrade");
        }
        let wishes = if request.names.may_have("cache-control") || request.names.may_have("pragma") {
            directives::Request::of(&request.headers)
        } else {
            directives::Request::default()
        };
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
    pub(super) fn new_fetch(
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
        let age = entry.policy.freshness.age(now);
        let served = match entry.policy.verdict_at(wishes, age) {
            Verdict::Serve => Served::Fresh,
            Verdict::ServeStale => Served::Stale,
            Verdict::ServeWhileRevalidating | Verdict::Validate => {
                before
                    .waited
                    .filter(|since| entry.policy.answers_who_waited(wishes, *since))?;
                Served::Fresh
            }
        };
        let hit = Hit::aged(Arc::clone(entry), served, age);
        match served {
            Served::Stale => self.lookups.stale += 1,
            Served::Fresh | Served::Revalidated => self.lookups.hits += 1,
        }
        Some(hit)
    }
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
pub(super) const DISGUISES: [HeaderName; 8] = [
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
fn answer(hit: Hit, request: &RequestHead) -> Lookup {
    Lookup::Hit(if Conditions::are_in(request) {
        hit.on(&Conditions::of(&request.method, &request.headers))
    } else {
        hit
    })
}
