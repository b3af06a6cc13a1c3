//! The memory that stored responses are in: shards with one lock each, and one budget for all of them.
//!
//! **Budget.** Every byte is reserved before it is held: bodies while they arrive, entries when they are stored. A reservation
//! that goes over the limit first evicts, and fails when nothing is left to evict, so the accounted bytes never exceed the
//! limit by an object that is held. The budget is global and not one per shard, because a shard's share of a small cache could
//! be less than one object: eviction takes from the heavier one of two shards what its [`Shelf`] says is the next to go.
//!
//! **Locks.** A hit takes one shard's lock, for a lookup, a few comparisons, a count and a move to the front of a list. No two
//! shards are ever locked together.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use http::HeaderMap;
use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::Tier;
use super::bans::{Bans, Fate, Manner};
use super::disk::{self, Disk, Id};
use super::entry::Entry;
use super::flight::Landing;
use super::footprint::allocated;
use super::key::Key;
use super::persist;
use super::policy::Trouble;
use super::shelf::Shelf;

/// A power of two, well above the number of cores.
const SHARDS: usize = 64;

/// Variants of one URI. Over it, the one stored first goes.
const MOST_VARIANTS: usize = 16;

/// URIs a shard remembers not to wait for. Fixed memory of at most about 2 MiB in all, outside the budget.
const MOST_PASSES: usize = 256;

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

/// What one lock protects.
#[derive(Debug)]
pub(super) struct Contents {
    slots: Shelf<Slot>,
    /// Fetches that others may wait for.
    pub(super) flights: HashMap<u64, tokio::sync::watch::Receiver<Landing>, Identity>,
    /// What turned out not to be storable, and until when nobody waits for it.
    passes: LruCache<u64, SystemTime, Identity>,
    /// Whose origin was in trouble, which, and until when that counts.
    troubles: LruCache<u64, (Trouble, SystemTime), Identity>,
    /// Counts invalidations by another part of the hash: a fetch that began before one may have read the old state, and is
    /// not stored. Two URIs share a count now and then, which costs one store.
    invalidations: [u32; 64],
    /// The number of the ban up to which all of this has been tested.
    tested: u64,
    pub(super) lookups: Lookups,
}

/// How lookups ended; under the shard's lock, so that counting costs no shared write.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lookups {
    pub(super) hits: u64,
    pub(super) stale: u64,
    pub(super) misses: u64,
    pub(super) coalesced: u64,
}

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

/// The stored variants of one URI, the latest last.
#[derive(Debug)]
struct Slot {
    key: Box<[u8]>,
    variants: SmallVec<[Arc<Entry>; 1]>,
}

/// What deciding anew has changed.
#[derive(Debug, Default, Clone, Copy)]
struct Revised {
    removed: usize,
    replaced: usize,
    /// Of what was removed, and of the slot that it left empty.
    bytes: u64,
}

pub(super) type Identity = BuildHasherDefault<IdentityHasher>;

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

    /// A new limit, effective at once.
    pub(super) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
        self.make_room();
    }

    /// Sets bytes aside, evicting what is in their way.
    pub(super) fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut reservation = Reservation::nothing(self);
        reservation.grow(bytes).then_some(reservation)
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

    /// Removes all variants of a URI or makes them stale, in both tiers, and keeps what is being fetched for it from being stored.
    /// Gives how many there were.
    pub(super) fn purge(&self, hash: u64, key: &Key<'_>, manner: Manner, now: SystemTime) -> u64 {
        let mut contents = self.lock(hash);
        if let Some(count) = contents.invalidations.get_mut(invalidation_index(hash)) {
            *count = count.wrapping_add(1);
        }
        let ours = contents.slots.peek(hash).is_some_and(|slot| key.is(&slot.key));
        let decide = |_: &[u8], entry: &Arc<Entry>| match manner {
            Manner::Hard => Fate::Remove,
            Manner::Soft => Fate::Replace(Arc::new(entry.expired(now))),
        };
        let revised = ours.then(|| contents.revise(hash, decide));
        drop(contents);
        let in_memory = revised.map_or(0, |revised| self.settle(revised));
        let on_disk = self.disk.as_ref().map_or(0, |disk| {
            let id = Id::of(&key.to_bytes());
            match manner {
                Manner::Hard => disk.remove(id),
                Manner::Soft => disk.expire(id, disk::Which::All, now),
            }
        });
        // What memory has is on the disk as well, where there is one.
        self.counts
            .purged
            .fetch_add(on_disk.saturating_sub(in_memory), Ordering::Relaxed);
        in_memory.max(on_disk)
    }

    /// Tests what is stored for a URI by the bans that are newer than its last test. Nearly always there is none.
    pub(super) fn test(&self, contents: &mut Contents, hash: u64, request: &HeaderMap, now: SystemTime) {
        if contents.tested != self.bans.latest() {
            let revised = contents.revise(hash, |key, entry| {
                self.bans.test(Tier::Memory, key, entry, Some(request), now)
            });
            self.settle(revised);
        }
    }

    /// Tests everything by the bans that there are. It holds a shard's lock for a few URIs at a time.
    pub(super) fn sweep(&self) {
        const AT_ONCE: usize = 64;
        let _turn = self.bans.begin_sweep();
        let (latest, now) = (self.bans.latest(), SystemTime::now());
        let mut up_to = latest;
        for shard in &self.shards {
            let hashes: Vec<u64> = shard.0.lock().slots.iter_mut().map(|(hash, _)| hash).collect();
            // A ban that asks for a request leaves what it could be about untested.
            let mut tested = latest;
            for hashes in hashes.chunks(AT_ONCE) {
                let mut contents = shard.0.lock();
                for hash in hashes {
                    let revised = contents.revise(*hash, |key, entry| {
                        let fate = self.bans.test(Tier::Memory, key, entry, None, now);
                        match &fate {
                            Fate::Keep => tested = tested.min(entry.marks.tested()),
                            Fate::Replace(entry) => tested = tested.min(entry.marks.tested()),
                            Fate::Remove => {}
                        }
                        fate
                    });
                    self.settle(revised);
                }
            }
            shard.0.lock().tested = tested;
            up_to = up_to.min(tested);
        }
        self.bans.swept(up_to.min(self.sweep_disk(latest, now)));
    }

    /// The same on the disk, whose heads are read for it. Gives the number of the ban up to which all of it has been tested.
    fn sweep_disk(&self, latest: u64, now: SystemTime) -> u64 {
        let Some(disk) = &self.disk else { return latest };
        let (before, mut up_to) = (self.bans.disk_tested(), latest);
        let changed = disk.revise(|head| {
            let Ok(mut head) = persist::decode(head, self.bans.identity()) else {
                return disk::Fate::Remove;
            };
            head.tested = head.tested.max(before);
            let key = head.key.clone();
            let Some(entry) = head.into_bodiless() else {
                return disk::Fate::Remove;
            };
            let entry = Arc::new(entry);
            let (fate, tested) = match self.bans.test(Tier::Disk, &key, &entry, None, now) {
                Fate::Remove => return disk::Fate::Remove,
                Fate::Keep => (disk::Fate::Keep, entry.marks.tested()),
                Fate::Replace(stale) => (disk::Fate::Expire(now), stale.marks.tested()),
            };
            up_to = up_to.min(tested);
            fate
        });
        self.bans.swept_disk(up_to);
        self.counts.purged.fetch_add(changed, Ordering::Relaxed);
        up_to
    }

    fn settle(&self, revised: Revised) -> u64 {
        if revised.removed > 0 {
            self.freed(revised.bytes, revised.removed);
        }
        let changed = (revised.removed + revised.replaced) as u64;
        self.counts.purged.fetch_add(changed, Ordering::Relaxed);
        changed
    }

    /// Evicts until the limit is kept. False when nothing is left to evict.
    fn make_room(&self) -> bool {
        let mut empty = 0;
        while self.used() > self.limit() {
            let Some(slot) = self.heavier().and_then(|shard| shard.0.lock().slots.evict()) else {
                empty += 1;
                if empty > SHARDS {
                    return false;
                }
                continue;
            };
            empty = 0;
            self.counts
                .evicted
                .fetch_add(slot.variants.len() as u64, Ordering::Relaxed);
            self.freed(slot.total(), slot.variants.len());
        }
        true
    }

    /// The heavier one of two shards. Each gets its turn, the other one is any: so none stays heavy or light for long.
    fn heavier(&self) -> Option<&Shard> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let one = self.shards.get(turn % SHARDS)?;
        let other = self.shards.get(turn.wrapping_mul(0x9e37_79b9) >> 16 & (SHARDS - 1))?;
        let weight = |shard: &Shard| shard.0.lock().slots.weight();
        Some(if weight(one) >= weight(other) { one } else { other })
    }

    fn freed(&self, bytes: u64, objects: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.counts.objects.fetch_sub(objects as u64, Ordering::Relaxed);
    }
}

impl Contents {
    /// The stored response to a request, latest first (RFC 9111 §4), which counts as used.
    pub(super) fn find(
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
    pub(super) fn peek(&self, hash: u64, key: &Key<'_>, route: &Arc<str>, request: &HeaderMap) -> Option<&Arc<Entry>> {
        let slot = self.slots.peek(hash).filter(|slot| key.is(&slot.key))?;
        slot.find(route, request)
    }

    /// Decides anew about all variants in a slot.
    fn revise(&mut self, hash: u64, mut decide: impl FnMut(&[u8], &Arc<Entry>) -> Fate) -> Revised {
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
    pub(super) fn latest(&self, hash: u64, key: &Key<'_>) -> Option<&Arc<Entry>> {
        self.slots.peek(hash).filter(|slot| key.is(&slot.key))?.variants.last()
    }

    /// Has nobody wait for this variant until then.
    pub(super) fn pass(&mut self, variant: u64, until: SystemTime) {
        self.passes.put(variant, until);
        if self.passes.len() > MOST_PASSES {
            self.passes.pop_lru();
        }
    }

    /// Whether nobody waits for this variant now.
    pub(super) fn passes(&mut self, variant: u64, now: SystemTime) -> bool {
        self.passes.get(&variant).is_some_and(|until| now < *until)
    }

    /// Remembers that this variant's origin is in trouble.
    pub(super) fn note(&mut self, variant: u64, trouble: Trouble, until: SystemTime) {
        self.troubles.put(variant, (trouble, until));
        if self.troubles.len() > MOST_PASSES {
            self.troubles.pop_lru();
        }
    }

    /// The trouble that this variant's origin was in just now.
    pub(super) fn trouble(&mut self, variant: u64, now: SystemTime) -> Option<Trouble> {
        let noted = self.troubles.get(&variant).filter(|(_, until)| now < *until);
        noted.map(|(trouble, _)| *trouble)
    }

    /// How often something under this part of the hash was invalidated.
    pub(super) fn invalidations(&self, hash: u64) -> u32 {
        self.invalidations
            .get(invalidation_index(hash))
            .copied()
            .unwrap_or_default()
    }
}

fn invalidation_index(hash: u64) -> usize {
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
    fn size(key: &[u8]) -> u64 {
        (size_of::<Self>() + Shelf::<Self>::OVERHEAD + allocated(key.len())) as u64
    }

    fn total(&self) -> u64 {
        Self::size(&self.key) + self.variants.iter().map(|entry| entry.size()).sum::<u64>()
    }
}

/// Bytes set aside; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    store: Arc<Store>,
    bytes: u64,
}

impl Reservation {
    /// No bytes.
    pub(super) fn nothing(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
            bytes: 0,
        }
    }

    /// Sets more aside. False when there is no room for it; what was set aside before stays.
    pub(super) fn grow(&mut self, by: u64) -> bool {
        if by > self.store.limit() {
            return false;
        }
        self.store.used.fetch_add(by, Ordering::Relaxed);
        if self.store.make_room() {
            self.bytes += by;
            true
        } else {
            self.store.used.fetch_sub(by, Ordering::Relaxed);
            false
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn resize(&mut self, bytes: u64) -> bool {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.store.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.store.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(super) struct IdentityHasher(u64);

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
