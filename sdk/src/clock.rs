//! What time it is. Capability `clock`.

use crate::host;

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn now() -> u64 {
    host::now()
}

/// Nanoseconds from an arbitrary start, never going back.
#[must_use]
pub fn monotonic() -> u64 {
    host::monotonic()
}
