//! A disk that fails or is slow: when it is left alone, and when nobody waits for it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Disk;

/// Failures in a row after which the disk is left alone.
pub(super) const MOST_FAILURES: u32 = 8;
/// For how long.
const REST: Duration = Duration::from_secs(10);

impl Disk {
    /// Somebody has waited for a write for as long as anybody does: for a while nobody shall.
    pub(in crate::cache) fn fall_behind(&self) {
        *self.behind.lock() = Some(Instant::now() + REST);
    }

    pub(in crate::cache) fn is_behind(&self) -> bool {
        self.behind.lock().is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn write_failed(&self, error: &io::Error) {
        self.failed(&self.counts.write_errors, error);
    }

    pub(super) fn failed(&self, count: &AtomicU64, error: &io::Error) {
        count.fetch_add(1, Ordering::Relaxed);
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == MOST_FAILURES {
            tracing::error!(folder = %self.folder.display(), %error, "the cache's disk is in trouble; it is left alone for {REST:?}");
            *self.resting.lock() = Some(Instant::now() + REST);
        }
    }

    pub(super) fn is_resting(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) < MOST_FAILURES {
            return false;
        }
        let over = self.resting.lock().is_none_or(|until| Instant::now() >= until);
        if over {
            self.failures.store(0, Ordering::Relaxed);
        }
        !over
    }
}
