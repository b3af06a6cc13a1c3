//! The key-value store: bounded, with expiry.

use std::collections::HashMap;

/// One plugin's entries.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) capacity: usize,
    entries: HashMap<Vec<u8>, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Vec<u8>,
    /// In nanoseconds of the monotonic clock; nothing for no end.
    expires: Option<u64>,
}

impl Store {
    pub(crate) fn get(&self, key: &[u8], now: u64) -> Option<Vec<u8>> {
        self.entries
            .get(key)
            .filter(|entry| entry.lives(now))
            .map(|entry| entry.value.clone())
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8], ttl: u64, now: u64) -> bool {
        self.entries.retain(|_, entry| entry.lives(now));
        if self.entries.len() >= self.capacity && !self.entries.contains_key(key) {
            return false;
        }
        let expires = (ttl > 0).then(|| now.saturating_add(ttl.saturating_mul(1_000_000)));
        self.entries.insert(
            key.to_vec(),
            Entry {
                value: value.to_vec(),
                expires,
            },
        );
        true
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.entries.remove(key);
    }

    pub(crate) fn add(&mut self, key: &[u8], by: i64, ttl: u64, now: u64) -> Option<i64> {
        match self.entries.get_mut(key).filter(|entry| entry.lives(now)) {
            Some(entry) => {
                let sum = std::str::from_utf8(&entry.value)
                    .ok()?
                    .parse::<i64>()
                    .ok()?
                    .checked_add(by)?;
                entry.value = sum.to_string().into_bytes();
                Some(sum)
            }
            None => self.set(key, by.to_string().as_bytes(), ttl, now).then_some(by),
        }
    }
}

impl Entry {
    fn lives(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            capacity: 65_536,
            entries: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn an_entry_lives_as_long_as_it_was_given() {
        let mut store = Store::default();
        assert!(store.set(b"a", b"1", 5, 0));
        assert!(store.set(b"b", b"2", 0, 0));
        assert_eq!(store.get(b"a", 5 * MILLISECOND - 1), Some(b"1".to_vec()));
        assert_eq!(store.get(b"a", 5 * MILLISECOND), None);
        assert_eq!(store.get(b"b", u64::MAX), Some(b"2".to_vec()));
        store.delete(b"b");
        assert_eq!(store.get(b"b", 0), None);
    }

    #[test]
    fn a_full_store_takes_no_new_key_until_one_expires() {
        let mut store = Store {
            capacity: 1,
            ..Store::default()
        };
        assert!(store.set(b"a", b"1", 5, 0));
        assert!(!store.set(b"b", b"1", 5, 0));
        assert_eq!(store.add(b"b", 1, 0, 0), None);
        assert!(store.set(b"a", b"2", 5, 0));
        assert!(store.set(b"b", b"1", 5, 5 * MILLISECOND));
    }

    #[test]
    fn a_sum_starts_at_nothing_and_keeps_its_first_end() {
        let mut store = Store::default();
        assert_eq!(store.add(b"a", 2, 5, 0), Some(2));
        assert_eq!(store.add(b"a", -3, 500, MILLISECOND), Some(-1));
        assert_eq!(store.get(b"a", MILLISECOND), Some(b"-1".to_vec()));
        assert_eq!(store.add(b"a", 1, 5, 5 * MILLISECOND), Some(1));
    }

    #[test]
    fn what_is_no_number_or_too_large_is_left_alone() {
        let mut store = Store::default();
        assert!(store.set(b"a", b"x", 0, 0));
        assert_eq!(store.add(b"a", 1, 0, 0), None);
        assert_eq!(store.get(b"a", 0), Some(b"x".to_vec()));
        assert_eq!(store.add(b"b", i64::MAX, 0, 0), Some(i64::MAX));
        assert_eq!(store.add(b"b", 1, 0, 0), None);
    }
}
