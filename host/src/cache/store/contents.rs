//! What one lock protects: the entries of a shard, and what it remembers of URIs that have none.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use lru::LruCache;
use smallvec::SmallVec;

use super::super::bans::Fate;
use super::super::entry::Entry;
use super::super::flight::Landing;
use super::super::footprint::allocated;
use super::super::key::Key;
use super::super::policy::Trouble;
use super::super::shelf::Shelf;

/// URIs a shard remembers not to wait for. Fixed memory of at most about 2 MiB in all, outside the budget.
const MOST_PASSES: usize = 256;

/// What one lock protects.
#[derive(Debug)]
pub(in crate::cache) struct Contents {
    pub(super) slots: Shelf<Slot>,
    /// Fetches that others may wait for.
    pub(in crate::cache) flights: HashMap<u64, tokio::sync::watch::Receiver<Landing>, Identity>,
    /// What turned out not to be storable, and until when nobody waits for it.
    pub(super) passes: LruCache<u64, SystemTime, Identity>,
    /// Whose origin was in trouble, which, and until when that counts.
    pub(super) troubles: LruCache<u64, (Trouble, SystemTime), Identity>,
    /// Counts invalidations by another part of the hash: a fetch that began before one may have read the old state, and is
    /// not stored. Two URIs share a count now and then, which costs one store.
    pub(super) invalidations: [u32; 64],
    /// The number of the ban up to which all of this has been tested.
    pub(super) tested: u64,
    pub(in crate::cache) lookups: Lookups,
}

/// How lookups ended; under the shard's lock, so that counting costs no shared write.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) struct Lookups {
    pub(in crate::cache) hits: u64,
    pub(in crate::cache) stale: u64,
    pub(in crate::cache) misses: u64,
    pub(in crate::cache) coalesced: u64,
}

/// The stored variants of one URI, the latest last.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Box<[u8]>,
    pub(super) variants: SmallVec<[Arc<Entry>; 1]>,
}

/// What deciding anew has changed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Revised {
    pub(super) removed: usize,
    pub(super) replaced: usize,
    /// Of what was removed, and of the slot that it left empty.
    pub(super) bytes: u64,
}

pub(in crate::cache) type Identity = BuildHasherDefault<IdentityHasher>;

impl Contents {
    /// The stored response to a request, latest first (RFC 9111 §4), which counts as used.
    pub(in crate::cache) fn find(
        &mut self,
        hash: u64,
        key: &Key<'_>,
        route: &Arc<str>,
        request: &HeaderMap,
    ) -> Option<&Arc<Entry>> {
        let slot = self.slots.get(hash).filter(|slot| key.is(&slot.key))?;
        slot.find(route, request)
    }

    /// The same, without counting as a use.
    pub(in crate::cache) fn peek(
        &self,
        hash: u64,
        key: &Key<'_>,
        route: &Arc<str>,
        request: &HeaderMap,
    ) -> Option<&Arc<Entry>> {
        let slot = self.slots.peek(hash).filter(|slot| key.is(&slot.key))?;
        slot.find(route, request)
    }

    /// Decides anew about all variants in a slot.
    pub(super) fn revise(&mut self, hash: u64, mut decide: impl FnMut(&[u8], &Arc<Entry>) -> Fate) -> Revised {
        let mut revised = Revised::default();
        let Some(Slot { key, variants }) = self.slots.peek_mut(hash) else {
            return revised;
        };
        variants.retain(|entry| match decide(key, entry) {
            Fate::Keep => true,
            // Whoever fetches the rest of a body knows it by its entry.
            Fate::Replace(other) if entry.is_whole() => {
                revised.replaced += 1;
                *entry = other;
                true
            }
            Fate::Replace(_) | Fate::Remove => {
                revised.removed += 1;
                revised.bytes += entry.size();
                false
            }
        });
        if variants.is_empty() {
            revised.bytes += Slot::size(key);
            self.slots.pop(hash);
        } else {
            let weight = Slot::size(key) + variants.iter().map(|entry| entry.size()).sum::<u64>();
            self.slots.reweigh(hash, weight);
        }
        revised
    }

    /// The latest variant, whichever request it is for: its Vary says what the others will vary on.
    pub(in crate::cache) fn latest(&self, hash: u64, key: &Key<'_>) -> Option<&Arc<Entry>> {
        self.slots.peek(hash).filter(|slot| key.is(&slot.key))?.variants.last()
    }

    /// Has nobody wait for this variant until then.
    pub(in crate::cache) fn pass(&mut self, variant: u64, until: SystemTime) {
        self.passes.put(variant, until);
        if self.passes.len() > MOST_PASSES {
            self.passes.pop_lru();
        }
    }

    /// Whether nobody waits for this variant now.
    pub(in crate::cache) fn passes(&mut self, variant: u64, now: SystemTime) -> bool {
        self.passes.get(&variant).is_some_and(|until| now < *until)
    }

    /// Remembers that this variant's origin is in trouble.
    pub(in crate::cache) fn note(&mut self, variant: u64, trouble: Trouble, until: SystemTime) {
        self.troubles.put(variant, (trouble, until));
        if self.troubles.len() > MOST_PASSES {
            self.troubles.pop_lru();
        }
    }

    /// The trouble that this variant's origin was in just now.
    pub(in crate::cache) fn trouble(&mut self, variant: u64, now: SystemTime) -> Option<Trouble> {
        let noted = self.troubles.get(&variant).filter(|(_, until)| now < *until);
        noted.map(|(trouble, _)| *trouble)
    }

    /// How often something under this part of the hash was invalidated.
    pub(in crate::cache) fn invalidations(&self, hash: u64) -> u32 {
        self.invalidations
            .get(invalidation_index(hash))
            .copied()
            .unwrap_or_default()
    }
}

pub(super) fn invalidation_index(hash: u64) -> usize {
    (hash >> 40) as usize % 64
}

impl Slot {
    /// The variant that answers a request, latest first.
    fn find(&self, route: &Arc<str>, request: &HeaderMap) -> Option<&Arc<Entry>> {
        let same_route = |entry: &Entry| Arc::ptr_eq(&entry.route, route) || entry.route == *route;
        self.variants
            .iter()
            .rev()
            .find(|entry| same_route(entry) && entry.variant.is_of(request))
    }

    /// Bytes of a slot without its variants: itself, its key, its place on the shelf and what leads there.
    pub(super) fn size(key: &[u8]) -> u64 {
        (size_of::<Self>() + Shelf::<Self>::OVERHEAD + allocated(key.len())) as u64
    }

    pub(super) fn total(&self) -> u64 {
        Self::size(&self.key) + self.variants.iter().map(|entry| entry.size()).sum::<u64>()
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(in crate::cache) struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only u64 keys are used; any other still gets a hash.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
