//! Soft purges that have been decreed and are not in the files yet.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{Id, Which};

/// Nearly always empty: a mark stays for as long as the disk's threads take to write it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    marks: Mutex<Marks>,
    /// So that a load takes no lock where there is nothing.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Marks {
    list: Vec<Mark>,
    next: u64,
}

/// One decree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    number: u64,
    id: Id,
    pub(super) which: Which,
    /// Since when the response is stale, in seconds since the epoch.
    pub(super) expired: u64,
}

impl Pending {
    /// Remembers a decree until it is [removed](Self::remove) by the number that this gives.
    pub(super) fn add(&self, id: Id, which: Which, expired: u64) -> u64 {
        let mut marks = self.marks.lock();
        let number = marks.next;
        marks.next += 1;
        marks.list.push(Mark {
            number,
            id,
            which,
            expired,
        });
        self.count.store(marks.list.len(), Ordering::Release);
        number
    }

    /// It is in the files.
    pub(super) fn remove(&self, number: u64) {
        let mut marks = self.marks.lock();
        marks.list.retain(|mark| mark.number != number);
        self.count.store(marks.list.len(), Ordering::Release);
    }

    /// The decrees about a URI.
    pub(super) fn of(&self, id: Id) -> SmallVec<[Mark; 1]> {
        if self.count.load(Ordering::Acquire) == 0 {
            return SmallVec::new();
        }
        let marks = self.marks.lock();
        marks.list.iter().filter(|mark| mark.id == id).copied().collect()
    }
}
