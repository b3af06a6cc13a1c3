//! Randomness from the operating system's generator. Capability `random`.

use crate::host;

/// 64 random bits.
#[must_use]
pub fn next() -> u64 {
    host::random()
}
