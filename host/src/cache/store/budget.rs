//! The budget: bytes are reserved before they are held, and what is in their way is evicted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{SHARDS, Shard, Store};

impl Store {
    /// A new limit, effective at once.
    pub(in crate::cache) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
        self.make_room();
    }

    /// Sets bytes aside, evicting what is in their way.
    pub(in crate::cache) fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut reservation = Reservation::nothing(self);
        reservation.grow(bytes).then_some(reservation)
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

    pub(super) fn freed(&self, bytes: u64, objects: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.counts.objects.fetch_sub(objects as u64, Ordering::Relaxed);
    }
}

/// Bytes set aside; given back when dropped.
#[derive(Debug)]
pub(in crate::cache) struct Reservation {
    store: Arc<Store>,
    pub(super) bytes: u64,
}

impl Reservation {
    /// No bytes.
    pub(in crate::cache) fn nothing(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
            bytes: 0,
        }
    }

    /// Sets more aside. False when there is no room for it; what was set aside before stays.
    pub(in crate::cache) fn grow(&mut self, by: u64) -> bool {
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

    pub(in crate::cache) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn resize(&mut self, bytes: u64) -> bool {
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
