//! How many fetches an origin gets at once from the cache; the rest wait their turn, first come, first served.
//!
//! Coalescing keeps many clients of one object from becoming many requests; this keeps many objects from it, as when a cache
//! starts empty. Requests of which it is known that nothing is stored are not counted: they are traffic, not misses.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The origins and their limit.
#[derive(Debug)]
pub(super) struct Turns {
    limit: AtomicUsize,
    origins: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

/// A fetch whose turn it is, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Turns {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            origins: Mutex::default(),
        }
    }

    /// A new limit, for fetches from now on: those that run are not counted against it.
    pub(super) fn set_limit(&self, limit: usize) {
        if self.limit.swap(limit, Ordering::Relaxed) != limit {
            self.origins.lock().clear();
        }
    }

    /// Waits for a turn at an upstream; `None` when it takes longer than `patience`.
    pub(super) async fn take(&self, upstream: &str, patience: Duration) -> Option<Turn> {
        let turns = self.of(upstream);
        let permit = match turns.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(patience, turns.acquire_owned()).await.ok()?.ok()?,
        };
        Some(Turn(permit))
    }

    fn of(&self, upstream: &str) -> Arc<Semaphore> {
        let mut origins = self.origins.lock();
        if let Some(turns) = origins.get(upstream) {
            return Arc::clone(turns);
        }
        let turns = Arc::new(Semaphore::new(self.limit.load(Ordering::Relaxed)));
        origins.insert(upstream.into(), Arc::clone(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn an_origin_gets_so_many_at_once_and_another_one_its_own() {
        let turns = Turns::new(1);
        let soon = Duration::from_millis(1);
        let first = turns.take("a", soon).await.unwrap();
        assert!(turns.take("a", soon).await.is_none());
        assert!(turns.take("b", soon).await.is_some());
        drop(first);
        assert!(turns.take("a", soon).await.is_some());
        let _held = turns.take("a", soon).await;
        turns.set_limit(2);
        assert!(turns.take("a", soon).await.is_some());
    }
}
