//! The memory that stored responses are in: shards with one lock each, and one budget for all of them.
//!
//! **Budget.** Every byte is reserved before it is held: bodies while they arrive, entries when they are stored. A reservation
//! that goes over the limit first evicts, and fails when nothing is left to evict, so the accounted bytes never exceed the
//! limit by an object that is held. The budget is global and not one per shard, because a shard's share of a small cache could
//! be less than one object: eviction takes from the heavier one of two shards what its [`Shelf`] says is the next to go.
//!
//! **Locks.** A hit takes one shard's lock, for a lookup, a few comparisons, a count and a move to the front of a list. No two
//! shards are ever locked together.
//!
//! [`contents`] is what a shard's lock protects, [`budget`] sets bytes aside and evicts, [`purge`] takes out what an operator names.

mod budget;
mod contents;
mod purge;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

pub(super) use self::budget::Reservation;
pub(super) use self::contents::Contents;

use self::contents::{Identity, Lookups, Slot, invalidation_index};
use super::Tier;
use super::bans::{Bans, Fate};
use super::disk::{Disk, Id};
use super::entry::Entry;
use super::key::Key;
use super::persist;
use super::shelf::Shelf;

/// A power of two, well above the number of cores.
const SHARDS: usize = 64;

/// Variants of one URI. Over it, the one stored first goes.
const MOST_VARIANTS: usize = 16;

/// All shards and their budget.
#[derive(Debug)]
pub(super) struct Store {
    shards: Box<[Shard]>,
    limit: AtomicU64,
    used: AtomicU64,
    /// The shard whose turn it is to evict.
    turn: AtomicUsize,
    disk: Option<Arc<Disk>>,
    pub(super) counts: Counts,
    pub(super) bans: Bans,
}

/// What happened to stored responses. Written only around a request to an origin.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) objects: AtomicU64,
    pub(super) revalidated: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) evicted: AtomicU64,
    pub(super) replaced: AtomicU64,
    pub(super) invalidated: AtomicU64,
    pub(super) purged: AtomicU64,
}

/// On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Shard(Mutex<Contents>);

/// How an entry stands to an equal variant that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precedence {
    /// It has just come, and takes the other's place.
    Newer,
    /// It was found on the disk, and the other one is at least as new.
    Older,
}

/// What came of [`Store::insert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    /// It is there.
    Stored,
    /// There is no room, or the URI was invalidated after the request looked it up.
    Refused,
}

/// Where the response to a request belongs.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Of the URI.
    pub(super) hash: u64,
    /// The URI.
    pub(super) key: Box<[u8]>,
    /// Of the URI, the route and what the URI's variants are known to vary on.
    pub(super) variant: u64,
    /// How often the URI had been invalidated when the request looked it up.
    pub(super) invalidations: u32,
    /// The latest ban then.
    pub(super) bans: u64,
}

impl Store {
    pub(super) fn new(limit: u64, disk: Option<Arc<Disk>>) -> Self {
        let bans = disk.as_ref().map_or_else(Bans::new, |disk| Bans::beside(disk.folder()));
        let shard = |_| {
            Shard(Mutex::new(Contents {
                slots: Shelf::new(),
                flights: HashMap::default(),
                passes: LruCache::unbounded_with_hasher(Identity::default()),
                troubles: LruCache::unbounded_with_hasher(Identity::default()),
                invalidations: [0; 64],
                tested: bans.latest(),
                lookups: Lookups::default(),
            }))
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            disk,
            counts: Counts::default(),
            bans,
        }
    }

    /// The tier below, where there is one.
    pub(super) fn disk(&self) -> Option<&Arc<Disk>> {
        self.disk.as_ref()
    }

    /// The shard of a hash.
    pub(super) fn lock(&self, hash: u64) -> MutexGuard<'_, Contents> {
        // The table inside uses the lowest and the highest bits.
        #[expect(clippy::indexing_slicing, reason = "the remainder is less than the length")]
        self.shards[(hash >> 32) as usize % SHARDS].0.lock()
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn lookups(&self) -> Lookups {
        self.shards
            .iter()
            .map(|shard| shard.0.lock().lookups)
            .fold(Lookups::default(), |sum, one| Lookups {
                hits: sum.hits + one.hits,
                stale: sum.stale + one.stale,
                misses: sum.misses + one.misses,
                coalesced: sum.coalesced + one.coalesced,
            })
    }

    /// Stores an entry in the place of an equal variant, unless there is no room or the URI was invalidated meanwhile.
    pub(super) fn insert(
        &self,
        place: &Place,
        entry: Arc<Entry>,
        mut reservation: Reservation,
        precedence: Precedence,
    ) -> Inserted {
        let Place {
            hash,
            key,
            variant,
            invalidations,
            bans,
        } = place;
        let slot_size = Slot::size(key);
        if !reservation.resize(entry.size() + slot_size) {
            return Inserted::Refused;
        }
        let whole = entry.is_whole();
        let mut contents = self.lock(*hash);
        if contents.invalidations(*hash) != *invalidations {
            return Inserted::Refused;
        }
        let entry = if *bans == self.bans.latest() {
            entry
        } else {
            match self.bans.test(Tier::Memory, key, &entry, None, SystemTime::now()) {
                Fate::Replace(stale) => stale,
                Fate::Keep if entry.marks.tested() == self.bans.latest() => entry,
                // A ban that only a request can judge came meanwhile: not worth a second test for what is hardly ever so.
                Fate::Keep | Fate::Remove => return Inserted::Refused,
            }
        };
        let same = |old: &Entry| old.route == entry.route && old.variant == entry.variant;
        let slot = contents.slots.peek(*hash).filter(|slot| slot.key == *key);
        if precedence == Precedence::Older && slot.is_some_and(|slot| slot.variants.iter().any(|old| same(old))) {
            return Inserted::Refused;
        }
        contents.passes.pop(variant);
        contents.troubles.pop(variant);
        let mut gone = Vec::new();
        let mut freed = 0;
        let evicted = match contents.slots.peek_mut(*hash) {
            Some(slot) if slot.key == *key => {
                freed += slot_size;
                let same = |old: &Arc<Entry>| old.route == entry.route && old.variant == entry.variant;
                let variants = std::mem::take(&mut slot.variants).into_iter();
                let (same, others): (SmallVec<_>, SmallVec<_>) = variants.partition(same);
                gone.extend(same);
                slot.variants = others;
                if slot.variants.len() >= MOST_VARIANTS {
                    gone.push(slot.variants.remove(0));
                }
                slot.variants.push(entry);
                let weight = slot.total();
                contents.slots.reweigh(*hash, weight);
                None
            }
            // A new URI, or one whose hash collides with another's: that one goes.
            _ => {
                let slot = Slot {
                    key: key.clone(),
                    variants: SmallVec::from_elem(entry, 1),
                };
                let weight = slot.total();
                contents.slots.put(*hash, slot, weight)
            }
        };
        drop(contents);
        if let Some(slot) = evicted {
            freed += Slot::size(&slot.key);
            gone.extend(slot.variants);
        }
        freed += gone.iter().map(|old| old.size()).sum::<u64>();
        reservation.bytes = 0;
        self.used.fetch_sub(freed, Ordering::Relaxed);
        let replaced = gone.iter().filter(|old| old.is_whole()).count();
        self.counts.stored.fetch_add(u64::from(whole), Ordering::Relaxed);
        self.counts.replaced.fetch_add(replaced as u64, Ordering::Relaxed);
        self.counts.objects.fetch_add(1, Ordering::Relaxed);
        self.counts.objects.fetch_sub(gone.len() as u64, Ordering::Relaxed);
        Inserted::Stored
    }

    /// Removes one variant, if it is still there, and from the disk as well.
    pub(super) fn remove(&self, place: &Place, entry: &Arc<Entry>) {
        if self.withdraw(place.hash, entry) {
            self.counts.invalidated.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(disk) = &self.disk {
            disk.remove_variant(Id::of(&place.key), persist::variant(entry));
        }
    }

    /// Takes back one variant that turned out not to become complete; whether it was still there.
    pub(super) fn withdraw(&self, hash: u64, entry: &Arc<Entry>) -> bool {
        let mut contents = self.lock(hash);
        let Some(slot) = contents.slots.peek_mut(hash) else {
            return false;
        };
        let before = slot.variants.len();
        slot.variants.retain(|stored| !Arc::ptr_eq(stored, entry));
        if slot.variants.len() == before {
            return false;
        }
        let weight = slot.total();
        let empty = if slot.variants.is_empty() {
            contents.slots.pop(hash)
        } else {
            contents.slots.reweigh(hash, weight);
            None
        };
        drop(contents);
        self.freed(entry.size() + empty.map_or(0, |slot| Slot::size(&slot.key)), 1);
        true
    }

    /// Removes all variants of a URI, and keeps what is being fetched for it from being stored.
    pub(super) fn invalidate(&self, hash: u64, key: &Key<'_>) {
        let mut contents = self.lock(hash);
        if let Some(count) = contents.invalidations.get_mut(invalidation_index(hash)) {
            *count = count.wrapping_add(1);
        }
        let ours = contents.slots.peek(hash).is_some_and(|slot| key.is(&slot.key));
        let slot = if ours { contents.slots.pop(hash) } else { None };
        drop(contents);
        if let Some(disk) = &self.disk {
            disk.remove(Id::of(&key.to_bytes()));
        }
        if let Some(slot) = slot {
            self.counts
                .invalidated
                .fetch_add(slot.variants.len() as u64, Ordering::Relaxed);
            self.freed(slot.total(), slot.variants.len());
        }
    }

    /// Everything that is stored for a URI, the latest last, without counting as a use: for operators.
    pub(super) fn variants(&self, hash: u64, key: &Key<'_>) -> Vec<Arc<Entry>> {
        let contents = self.lock(hash);
        let slot = contents.slots.peek(hash).filter(|slot| key.is(&slot.key));
        slot.map(|slot| slot.variants.to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
impl Store {
    /// The bytes of everything that is stored, counted anew.
    pub(super) fn recount(&self) -> u64 {
        let slots = |shard: &Shard| {
            let mut contents = shard.0.lock();
            let sum = contents.slots.iter_mut().map(|(_, slot)| slot.total()).sum::<u64>();
            assert_eq!(sum, contents.slots.weight());
            sum
        };
        self.shards.iter().map(slots).sum()
    }
}
