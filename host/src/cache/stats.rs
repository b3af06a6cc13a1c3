//! The cache as operators see it: for `weir status`, and as metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::{Cache, disk};
use crate::telemetry::{Probe, Registry, families};

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

impl Cache {
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
}
