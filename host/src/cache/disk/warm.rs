//! Responses whose files are open, so that the next hit needs no thread to find the file and read its head again.
//!
//! Whatever adds, removes or marks a file first does so and then forgets its URI here. Whoever keeps one here says since when
//! nothing must have been forgotten, which is from before it looked. So nothing is found here that is not so any more.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lru::LruCache;
use parking_lot::Mutex;

use super::super::entry::Entry;
use super::Id;

/// URIs whose files stay open: as many descriptors, nearly always, and about a kilobyte of memory each.
const MOST: NonZeroUsize = NonZeroUsize::new(512).expect("more than zero");

/// Open files by URI, the latest used first.
#[derive(Debug)]
pub(super) struct Warm {
    kept: Mutex<LruCache<Id, Kept>>,
    /// How often something was forgotten, by part of the URI's hash.
    forgotten: [AtomicU64; 64],
}

#[derive(Debug)]
struct Kept {
    key: Box<[u8]>,
    entries: Arc<[Arc<Entry>]>,
}

/// How often something like a URI had been forgotten at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) struct Since(u64);

impl Warm {
    pub(super) fn new() -> Self {
        Self {
            kept: Mutex::new(LruCache::new(MOST)),
            forgotten: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// To be asked before anything is looked at that is going to be kept.
    pub(super) fn now(&self, id: Id) -> Since {
        Since(self.forgotten(id).load(Ordering::Acquire))
    }

    /// Keeps all responses to a URI that one route has, each with its open file.
    pub(super) fn keep(&self, id: Id, key: &[u8], entries: &[Arc<Entry>], since: Since) {
        let mut kept = self.kept.lock();
        if self.now(id) == since {
            let fresh = Kept {
                key: key.into(),
                entries: entries.into(),
            };
            kept.put(id, fresh);
        }
    }

    /// What is kept for a URI.
    pub(super) fn find(&self, id: Id, key: &[u8]) -> Option<Arc<[Arc<Entry>]>> {
        let mut kept = self.kept.lock();
        let found = kept.get(&id).filter(|kept| *kept.key == *key)?;
        Some(Arc::clone(&found.entries))
    }

    pub(super) fn forget(&self, id: Id) {
        let mut kept = self.kept.lock();
        self.forgotten(id).fetch_add(1, Ordering::AcqRel);
        let gone = kept.pop(&id);
        // What it held is closed outside of the lock.
        drop(kept);
        drop(gone);
    }

    pub(super) fn forget_all(&self) {
        let mut kept = self.kept.lock();
        for forgotten in &self.forgotten {
            forgotten.fetch_add(1, Ordering::AcqRel);
        }
        kept.clear();
    }

    fn forgotten(&self, id: Id) -> &AtomicU64 {
        #[expect(clippy::indexing_slicing, reason = "the remainder is less than the length")]
        &self.forgotten[id.removals()]
    }
}
