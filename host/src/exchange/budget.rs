//! Memory for bodies that are held, all of the process together.
//!
//! A body that goes through takes a bounded buffer; one that a plugin asked to hold takes all of its bytes. One such body is
//! bounded by the plugin's manifest, and their sum here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are held at the moment; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Budget(Arc<AtomicU64>);

/// The process holds as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl Budget {
    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A share of nothing yet, which may grow until all shares together are `limit` bytes.
    #[must_use]
    pub fn share(&self, limit: u64) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
            limit,
        }
    }
}

/// What one body takes. Dropping it gives it back.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    bytes: u64,
    limit: u64,
}

impl Share {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// When that would be too much; nothing is taken then.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let bytes = bytes as u64;
        let held = self.budget.0.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if held > self.limit {
            self.budget.0.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Exhausted);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_together_and_given_back() {
        let budget = Budget::default();
        let (mut one, mut other) = (budget.share(10), budget.share(10));
        assert_eq!(one.grow(6), Ok(()));
        assert_eq!(other.grow(5), Err(Exhausted));
        assert_eq!(other.grow(4), Ok(()));
        drop(one);
        assert_eq!((budget.held(), other.grow(6)), (4, Ok(())));
        drop(other);
        assert_eq!(budget.held(), 0);
    }
}
