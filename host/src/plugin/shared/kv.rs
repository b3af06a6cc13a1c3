//! Small shared values with expiry, bounded in bytes.
//!
//! Each plugin has a [`Namespace`] of its own; together they stay under the operator's limit. Nothing is evicted to make room
//! but what has expired: a full store says so.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use parking_lot::{Mutex, MutexGuard};
use weir_sdk::kv::Replaced;

/// Largest key: 1 KiB.
const KEY_BYTES: usize = 1 << 10;
/// Largest value: 64 KiB.
const VALUE_BYTES: usize = 64 << 10;
/// What an entry takes besides its key and value.
const OVERHEAD: u64 = 64;
const SHARDS: usize = 64;

/// The bytes that all namespaces take together.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    /// So many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
        })
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: u64) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.limit)
            })
            .is_ok()
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One plugin's data. Times are in nanoseconds, on a clock that never goes back.
pub struct Namespace {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    budget: Arc<Budget>,
}

impl Namespace {
    /// An empty one.
    #[must_use]
    pub fn new(budget: &Arc<Budget>) -> Arc<Self> {
        let hasher = RandomState::new();
        let shard = || {
            Mutex::new(Shard {
                entries: HashMap::with_hasher(hasher.clone()),
                expires: u64::MAX,
            })
        };
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: hasher.clone(),
            budget: Arc::clone(budget),
        })
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8], now: u64) -> Option<Vec<u8>> {
        let shard = self.shard(key)?;
        shard
            .entries
            .get(key)
            .filter(|entry| entry.expires > now)
            .map(|entry| entry.value.to_vec())
    }

    /// Keeps a value. `ttl` is in nanoseconds, 0 for no end. False when the store is full or the entry too large.
    #[must_use]
    pub fn set(&self, key: &[u8], value: &[u8], ttl: u64, now: u64) -> bool {
        let Some(mut shard) = self.shard(key) else { return false };
        self.put(&mut shard, key, value, end(ttl, now), now)
    }

    /// Keeps a value where the key has the expected one, or none where none is expected; otherwise as [`Namespace::set`].
    pub fn replace(&self, key: &[u8], expected: Option<&[u8]>, value: &[u8], ttl: u64, now: u64) -> Replaced {
        let Some(mut shard) = self.shard(key) else {
            return Replaced::Full;
        };
        let there = shard.entries.get(key).filter(|entry| entry.expires > now);
        if there.map(|entry| &*entry.value) != expected {
            return Replaced::Changed;
        }
        match self.put(&mut shard, key, value, end(ttl, now), now) {
            true => Replaced::Kept,
            false => Replaced::Full,
        }
    }

    /// Forgets a key.
    pub fn delete(&self, key: &[u8]) {
        if let Some(mut shard) = self.shard(key)
            && let Some(entry) = shard.entries.remove(key)
        {
            self.budget.release(weight(key, &entry.value));
        }
    }

    /// Adds to a number that is kept as decimal text, beginning at 0; the ttl is set when the entry is made. Nothing when the
    /// store is full, when the value is not a number, or when the sum does not fit into 64 bits.
    #[must_use]
    pub fn add(&self, key: &[u8], by: i64, ttl: u64, now: u64) -> Option<i64> {
        let mut shard = self.shard(key)?;
        let (before, expires) = match shard.entries.get(key).filter(|entry| entry.expires > now) {
            Some(entry) => (
                std::str::from_utf8(&entry.value).ok()?.parse::<i64>().ok()?,
                entry.expires,
            ),
            None => (0, end(ttl, now)),
        };
        let sum = before.checked_add(by)?;
        let mut digits = itoa::Buffer::new();
        self.put(&mut shard, key, digits.format(sum).as_bytes(), expires, now)
            .then_some(sum)
    }

    fn put(&self, shard: &mut Shard, key: &[u8], value: &[u8], expires: u64, now: u64) -> bool {
        if key.len() > KEY_BYTES || value.len() > VALUE_BYTES {
            return false;
        }
        let after = weight(key, value);
        let before = shard.entries.get(key).map_or(0, |entry| weight(key, &entry.value));
        if after > before && !self.budget.reserve(after - before) {
            self.budget.release(shard.forget_expired(now, key));
            // Two calls that are here at once hold a shard each: waiting for another one could be for ever.
            for mut other in self.shards.iter().filter_map(Mutex::try_lock) {
                self.budget.release(other.forget_expired(now, key));
            }
            if !self.budget.reserve(after - before) {
                return false;
            }
        }
        self.budget.release(before.saturating_sub(after));
        shard.expires = shard.expires.min(expires);
        let entry = Entry {
            value: value.into(),
            expires,
        };
        match shard.entries.get_mut(key) {
            Some(known) => *known = entry,
            None => drop(shard.entries.insert(key.into(), entry)),
        }
        true
    }

    fn shard(&self, key: &[u8]) -> Option<MutexGuard<'_, Shard>> {
        let hash = self.hasher.hash_one(key);
        self.shards
            .get(usize::try_from(hash >> 40).unwrap_or(0) % SHARDS)
            .map(Mutex::lock)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for shard in &mut self.shards {
            for (key, entry) in shard.get_mut().entries.drain() {
                self.budget.release(weight(&key, &entry.value));
            }
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").finish_non_exhaustive()
    }
}

struct Shard {
    entries: HashMap<Box<[u8]>, Entry, RandomState>,
    /// Before this time nothing has expired.
    expires: u64,
}

impl Shard {
    /// Forgets what has expired, except the key that is being written, and says how many bytes that were.
    fn forget_expired(&mut self, now: u64, writing: &[u8]) -> u64 {
        if self.expires > now {
            return 0;
        }
        let mut freed = 0;
        self.entries.retain(|key, entry| {
            let keep = entry.expires > now || **key == *writing;
            if !keep {
                freed += weight(key, &entry.value);
            }
            keep
        });
        self.expires = self
            .entries
            .values()
            .map(|entry| entry.expires)
            .min()
            .unwrap_or(u64::MAX);
        freed
    }
}

struct Entry {
    value: Box<[u8]>,
    expires: u64,
}

fn weight(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64 + OVERHEAD
}

fn end(ttl: u64, now: u64) -> u64 {
    if ttl == 0 { u64::MAX } else { now.saturating_add(ttl) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_until_they_expire_or_are_deleted() {
        let kv = Namespace::new(&Budget::new(1 << 20));
        assert!(kv.set(b"a", b"1", 0, 5));
        assert!(kv.set(b"b", b"2", 10, 5));
        assert_eq!(kv.get(b"a", u64::MAX - 1).as_deref(), Some(&b"1"[..]));
        assert_eq!(kv.get(b"b", 14).as_deref(), Some(&b"2"[..]));
        assert_eq!(kv.get(b"b", 15), None);
        kv.delete(b"a");
        assert_eq!(kv.get(b"a", 5), None);
    }

    #[test]
    fn a_full_store_says_so_and_has_room_again_after_expiry() {
        let kv = Namespace::new(&Budget::new(2 * weight(b"k", b"v")));
        assert!(kv.set(b"a", b"v", 10, 0));
        assert!(kv.set(b"b", b"v", 0, 0));
        assert!(!kv.set(b"c", b"v", 0, 9));
        assert!(kv.set(b"b", b"w", 0, 9), "a change that needs no room is possible");
        assert!(kv.set(b"c", b"v", 0, 10));
        assert_eq!(kv.get(b"b", 10).as_deref(), Some(&b"w"[..]));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let kv = Namespace::new(&Budget::new(1 << 30));
        assert!(!kv.set(&[0; KEY_BYTES + 1], b"", 0, 0));
        assert!(!kv.set(b"k", &[0; VALUE_BYTES + 1], 0, 0));
    }

    #[test]
    fn a_value_is_replaced_where_it_is_the_expected_one() {
        let kv = Namespace::new(&Budget::new(2 * weight(b"k", b"v")));
        assert_eq!(kv.replace(b"k", Some(b"a"), b"b", 0, 0), Replaced::Changed);
        assert_eq!(kv.replace(b"k", None, b"a", 10, 0), Replaced::Kept);
        assert_eq!(kv.replace(b"k", None, b"b", 0, 0), Replaced::Changed);
        assert_eq!(kv.replace(b"k", Some(b"a"), b"b", 10, 0), Replaced::Kept);
        assert_eq!(kv.get(b"k", 0).as_deref(), Some(&b"b"[..]));
        assert_eq!(
            kv.replace(b"k", None, b"c", 10, 10),
            Replaced::Kept,
            "what has expired is not there"
        );
        assert_eq!(kv.replace(b"k", Some(b"c"), &[0; 1000], 0, 10), Replaced::Full);
        assert_eq!(kv.get(b"k", 10).as_deref(), Some(&b"c"[..]));
    }

    #[test]
    fn nothing_is_lost_between_a_look_and_a_replacement() {
        let kv = Namespace::new(&Budget::new(1 << 20));
        let one_more = || {
            loop {
                let before = kv.get(b"n", 0);
                let length = before.as_ref().map_or(0, Vec::len);
                if kv.replace(b"n", before.as_deref(), &vec![0; length + 1], 0, 0) == Replaced::Kept {
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..500).for_each(|_| one_more()));
            }
        });
        assert_eq!(kv.get(b"n", 0).map(|value| value.len()), Some(4000));
    }

    #[test]
    fn sums_are_exact_under_concurrency_and_bytes_are_given_back() {
        let budget = Budget::new(1 << 20);
        let kv = Namespace::new(&budget);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| assert!(kv.add(b"n", 1, 0, 0).is_some())));
            }
        });
        assert_eq!(kv.add(b"n", -8000, 0, 0), Some(0));
        assert!(kv.set(b"n", b"text", 0, 0));
        assert_eq!(kv.add(b"n", 1, 0, 0), None);
        assert!(kv.set(b"max", i64::MAX.to_string().as_bytes(), 0, 0));
        assert_eq!(kv.add(b"max", 1, 0, 0), None);
        assert_eq!(
            budget.used(),
            weight(b"n", b"text") + weight(b"max", i64::MAX.to_string().as_bytes())
        );
        drop(kv);
        assert_eq!(budget.used(), 0);
    }
}
