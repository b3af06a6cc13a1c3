//! The shared memory cache: answers what it may, and lets one exchange fetch for all who wait (RFC 9111, RFC 5861).
//!
//! An exchange whose route caches asks [`Cache::lookup`] and gets a [`Lookup`] ([`lookup`]). From there:
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
mod dates;
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
mod lookup;
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
mod stats;
mod status;
mod store;
pub mod tags;
mod targeted;
mod turns;
mod variant;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;

use crate::config;
use crate::exchange::subject::Subject;

pub use body::{Broken, Reader};
pub use disk::Stats as DiskStats;
pub use entry::{Hit, Lent, Served, StoredHead};
pub use fetch::{Fetch, Late, Progress, Stored, Writer};
pub use flight::{Wait, Waited};
pub use load::{Load, Loaded};
pub use lookup::{Before, Lookup, asks_for_whole};
pub use ranges::Piece;
pub use stats::Stats;
pub use status::{Forward, Status};

use disk::Disk;
use key::Key;
use store::Store;
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

/// Where a response, or its body, is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    /// In memory, and on the disk as well where that takes it.
    Memory,
    /// Only there, from its first bytes on.
    Disk,
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

/// What responses to a request are stored under, for people to read.
#[must_use]
pub fn key_of(subject: &Subject) -> Box<[u8]> {
    Key::of(subject).to_bytes()
}

#[cfg(test)]
mod tests;
