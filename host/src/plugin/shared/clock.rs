//! What time it is for plugins: the system's, or one that a case file sets.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// A source of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// The system's clocks.
    #[default]
    System,
    /// Always this long after 1970-01-01T00:00:00Z, for both clocks.
    Fixed(Duration),
}

impl Clock {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now(self) -> u64 {
        match self {
            Self::System => nanos(
                SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
            Self::Fixed(since) => nanos(since),
        }
    }

    /// Nanoseconds from an arbitrary start, never going back.
    #[must_use]
    pub fn monotonic(self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        match self {
            // From 1 s on, so that 0 can mean "never" to whoever keeps such a time.
            Self::System => 1_000_000_000 + nanos(START.get_or_init(Instant::now).elapsed()),
            Self::Fixed(since) => nanos(since),
        }
    }
}

/// The nanoseconds of a duration; 584 years and more are all the same.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
