//! Rate limits by the generic cell rate algorithm, shared by all workers, exact under concurrency and kept across
//! generations. Capability `counters`.

use crate::host;

/// A space of counters of the manifest, found by [`Setup::counters`](crate::Setup::counters).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    space: u32,
}

impl Counters {
    pub(crate) const fn new(space: u32) -> Self {
        Self { space }
    }

    /// What [`Take::space`] wants.
    #[must_use]
    pub const fn space(self) -> u32 {
        self.space
    }
}

/// One limit to count against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take<'a> {
    /// See [`Counters::space`].
    pub space: u32,
    /// Whom to count: any bytes.
    pub key: &'a [u8],
    /// Nanoseconds that one request costs (the period divided by the quota); at least 1.
    pub interval: u64,
    /// How many requests may come at once; at least 1.
    pub burst: u32,
    /// How many requests this one counts for; 0 only looks.
    pub cost: u32,
}

/// What one limit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether this limit lets the request through. Nothing was charged when any limit of the call does not.
    pub allowed: bool,
    /// Requests that could still come at once.
    pub remaining: u32,
    /// Nanoseconds until the full burst is available again.
    pub reset_after: u64,
    /// Nanoseconds until a request of this cost would be allowed; 0 when allowed.
    pub retry_after: u64,
}

/// Counts against all the limits, or, when one of them refuses, against none. One outcome a limit, in order.
#[must_use]
pub fn take(limits: &[Take<'_>]) -> Vec<Outcome> {
    host::take(limits)
}
