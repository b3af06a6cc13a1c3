//! What is stored for a URL, and what would be done with it: the arithmetic of RFC 9111 §4.2, shown for an operator.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{EXPIRES, LAST_MODIFIED};
use serde::Serialize;

use super::bans::Fate;
use super::body::Body;
use super::directives::{self, Lifetime};
use super::disk::Id;
use super::entry::Entry;
use super::key::Key;
use super::persist;
use super::policy::{Policy, Verdict};
use super::purge::Address;
use super::slices::SlicesHeld;
use super::tags;
use super::{Cache, Tier};
use crate::config::CacheRules;

/// One stored response, as an operator sees it. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// What it is stored under.
    pub key: String,
    /// The route that stored it, and alone finds it.
    pub route: String,
    /// Where it is: `memory`, `disk`, `memory and disk`, or `arriving`.
    pub tier: &'static str,
    /// Its status.
    pub status: u16,
    /// Its slices, where it is in slices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slices: Option<SlicesHeld>,
    /// Bytes that it takes, with its head and bookkeeping.
    pub size: u64,
    /// Bytes of its body; `None` while it arrives and nobody knows.
    pub body: Option<u64>,
    /// How often it was served since it came into memory; 0 on the disk.
    pub served: u64,
    /// Whether the request would get this one: by what it varies on.
    pub selected: bool,
    /// What it varies on.
    pub vary: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its arithmetic.
    pub freshness: Arithmetic,
    /// `serve`, `serve stale`, `serve while asking` or `ask`.
    pub verdict: &'static str,
    /// Why.
    pub why: String,
}

/// RFC 9111 §4.2 with numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arithmetic {
    /// freshness_lifetime (§4.2.1).
    pub lifetime: u64,
    /// Where that comes from.
    pub lifetime_from: &'static str,
    /// corrected_initial_age (§4.2.3): how old it was when it came.
    pub initial_age: u64,
    /// resident_time: how long it has been here.
    pub resident: u64,
    /// current_age.
    pub age: u64,
    /// What is left of its freshness; less than zero once it is stale.
    pub ttl: i64,
}

impl Cache {
    /// Everything that is stored for a URL under either scheme, and what a request with these fields would get of it at `now`.
    /// `rules` are those of a route by its name. Reads the disk: not for threads that serve.
    #[must_use]
    pub fn inspect(
        &self,
        address: &Address,
        request: &HeaderMap,
        rules: impl Fn(&str) -> Option<Arc<CacheRules>>,
        now: SystemTime,
    ) -> Vec<Inspected> {
        let mut all = Vec::new();
        for key in address.keys() {
            let shown = String::from_utf8_lossy(&key.to_bytes()).replacen(' ', "", 1);
            let show = |entry: &Entry, tier| inspected(&shown, entry, tier, request, now);
            let hash = key.hash(&self.random);
            // As a lookup would: what is banned is not there.
            self.store.test(&mut self.store.lock(hash), hash, request, now);
            let in_memory = self.store.variants(hash, &key);
            let on_disk = self.on_disk(&key, request, &rules, now);
            let same = |one: &Entry, other: &Entry| one.route == other.route && one.variant == other.variant;
            all.extend(in_memory.iter().map(|entry| {
                let copied = on_disk.iter().any(|copy| same(copy, entry));
                let tier = match (entry.is_whole(), copied) {
                    (false, _) => "arriving",
                    (true, true) => "memory and disk",
                    (true, false) => "memory",
                };
                Inspected {
                    slices: self.slices_held(&key, entry),
                    ..show(entry, tier)
                }
            }));
            let alone = on_disk
                .iter()
                .filter(|copy| !in_memory.iter().any(|entry| same(copy, entry)));
            all.extend(alone.map(|entry| show(entry, "disk")));
        }
        all
    }

    /// What the disk has for a key and no ban is about.
    fn on_disk(
        &self,
        key: &Key<'_>,
        request: &HeaderMap,
        rules: impl Fn(&str) -> Option<Arc<CacheRules>>,
        now: SystemTime,
    ) -> Vec<Arc<Entry>> {
        let Some(disk) = self.store.disk() else {
            return Vec::new();
        };
        let key = key.to_bytes();
        let loaded = disk.load_blocking(Id::of(&key)).into_iter();
        let entries = loaded.filter_map(|loaded| {
            let mut head = persist::decode(&loaded.head, self.store.bans.identity())
                .ok()
                .filter(|head| head.key == key)?;
            head.tested = head.tested.max(self.store.bans.disk_tested());
            // Without its route nothing would find it.
            let rules = rules(&head.route)?;
            let entry = head.into_entry(Body::Disk(loaded.body), &rules)?;
            let entry = Arc::new(match loaded.expired {
                Some(since) => entry.expired(since),
                None => entry,
            });
            match self.store.bans.test(Tier::Disk, &key, &entry, Some(request), now) {
                Fate::Keep => Some(entry),
                Fate::Replace(stale) => Some(stale),
                Fate::Remove => None,
            }
        });
        entries.collect()
    }
}

fn inspected(key: &str, entry: &Entry, tier: &'static str, request: &HeaderMap, now: SystemTime) -> Inspected {
    let selected = entry.variant.is_of(request);
    let wishes = directives::Request::of(request);
    let verdict = entry.policy.verdict(&wishes, now);
    let arithmetic = arithmetic(entry, now);
    let why = if selected {
        why(&entry.policy, &wishes, verdict, arithmetic.ttl)
    } else {
        "it is for requests with other values in the fields that it varies on".to_owned()
    };
    Inspected {
        key: key.to_owned(),
        route: entry.route.to_string(),
        tier: match &entry.body {
            Body::Sliced(_) => "slices",
            _ => tier,
        },
        slices: None,
        status: entry.status.as_u16(),
        size: entry.size(),
        body: entry.body.length(),
        served: entry.marks.served(),
        selected,
        vary: entry.variant.names().map(str::to_owned).collect(),
        tags: tags::of(&entry.head)
            .map(|tag| String::from_utf8_lossy(tag).into_owned())
            .collect(),
        freshness: arithmetic,
        verdict: match verdict {
            _ if !selected => "ask",
            Verdict::Serve => "serve",
            Verdict::ServeStale => "serve stale",
            Verdict::ServeWhileRevalidating => "serve while asking",
            Verdict::Validate => "ask",
        },
        why,
    }
}

fn arithmetic(entry: &Entry, now: SystemTime) -> Arithmetic {
    let freshness = &entry.policy.freshness;
    let seconds = |duration: Duration| duration.as_secs();
    let signed = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let (age, initial_age) = (freshness.age(now), freshness.initial_age());
    Arithmetic {
        lifetime: seconds(freshness.lifetime()),
        lifetime_from: source(entry),
        initial_age: seconds(initial_age),
        resident: seconds(age.saturating_sub(initial_age)),
        age: seconds(age),
        ttl: signed(freshness.lifetime()).saturating_sub(signed(age)),
    }
}

/// In the order of §4.2.1, after what outranks it.
fn source(entry: &Entry) -> &'static str {
    let Policy { control, decided, .. } = &entry.policy;
    match control.lifetime {
        _ if decided.get().is_some() => "a plugin",
        Lifetime::Targeted => "a targeted field (RFC 9213)",
        Lifetime::SMaxage => "s-maxage",
        Lifetime::MaxAge => "max-age",
        Lifetime::Unsaid if entry.head.get(&EXPIRES).is_some() => "Expires",
        Lifetime::Unsaid | Lifetime::UnsaidByTargeted => {
            if entry.policy.freshness.lifetime().is_zero() {
                "nothing"
            } else if entry.head.get(&LAST_MODIFIED).is_some() {
                "Last-Modified (heuristic)"
            } else {
                "cache.rules"
            }
        }
    }
}

fn why(policy: &Policy, wishes: &directives::Request, verdict: Verdict, ttl: i64) -> String {
    let stale = -ttl;
    match verdict {
        Verdict::Serve => format!("fresh for {ttl} s more"),
        Verdict::ServeStale => format!("stale for {stale} s, which the client allows (max-stale)"),
        Verdict::ServeWhileRevalidating => format!("stale for {stale} s, and served while the origin is asked"),
        Verdict::Validate if policy.control.no_cache => "it says no-cache: the origin is asked every time".to_owned(),
        Verdict::Validate if wishes.no_cache => "the request says no-cache".to_owned(),
        Verdict::Validate if ttl > 0 => "fresh, but not as fresh as the request wants it".to_owned(),
        Verdict::Validate if policy.control.forbids_stale => {
            format!("stale for {stale} s, and must not be served without asking (must-revalidate or alike)")
        }
        Verdict::Validate => format!("stale for {stale} s"),
    }
}
