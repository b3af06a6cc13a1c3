//! A bounded store with expiry, shared by all workers and kept across generations. Keys are the plugin's own. Capability `kv`.

use std::time::Duration;

use crate::host;

/// The value of a key.
#[must_use]
pub fn get(key: &[u8]) -> Option<Vec<u8>> {
    host::kv_get(key)
}

/// Whether a value was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Stored {
    /// It was.
    Kept,
    /// The store is full, or the entry too large.
    Full,
}

/// Keeps a value, for a time (in whole milliseconds, at least one) or without an end.
pub fn set(key: &[u8], value: &[u8], ttl: Option<Duration>) -> Stored {
    if host::kv_set(key, value, millis(ttl)) {
        Stored::Kept
    } else {
        Stored::Full
    }
}

/// What became of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Replaced {
    /// It was made.
    Kept,
    /// The key has another value than was expected, and keeps it.
    Changed,
    /// The store is full, or the entry too large.
    Full,
}

/// Keeps a value, as [`set`] does, where the key still has the expected one, or none where none is expected. Whoever looks,
/// changes and replaces, and begins again where something has changed, loses nothing that others write at the same time.
pub fn replace(key: &[u8], expected: Option<&[u8]>, value: &[u8], ttl: Option<Duration>) -> Replaced {
    host::kv_replace(key, expected, value, millis(ttl))
}

/// Forgets a key.
pub fn delete(key: &[u8]) {
    host::kv_delete(key);
}

/// Adds to a number that is kept as decimal text and starts at 0; returns the sum. The time to live is set when the entry is
/// made. Nothing when the store is full or the value is not a number.
#[must_use]
pub fn add(key: &[u8], by: i64, ttl: Option<Duration>) -> Option<i64> {
    host::kv_add(key, by, millis(ttl))
}

/// The contract's time to live: 0 stands for no end, so a shorter time than a millisecond is one.
fn millis(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1))
}
