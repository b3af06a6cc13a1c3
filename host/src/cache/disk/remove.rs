//! What goes from the disk or becomes stale there: because somebody says so, to make room, or because it is damaged.
//!
//! A removal never waits for what is being written: it counts ([`Disk::removals_of`]), and who has begun to write before sees that
//! at the end. What is written afterwards may take the name of a file that is still to be unlinked, so unlinking asks the index
//! first ([`Disk::is_written_since`]).

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::super::span::seconds;
use super::index::Found;
use super::name::Which;
use super::{Damaged, Disk, Id, Name, file, scan};

/// What becomes of a response that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) enum Fate {
    Keep,
    /// It is stale from then on.
    Expire(SystemTime),
    Remove,
}

impl Disk {
    /// Removes all responses to a URI, also those that are being written.
    pub(in crate::cache) fn remove(self: &Arc<Self>, id: Id) -> u64 {
        self.removals(id).fetch_add(1, Ordering::AcqRel);
        // Before the removal, which may be the last thing that the index has to remember of it.
        let complete = self.index.is_complete();
        let known = self.index.remove_all(id);
        self.warm.forget(id);
        let count = known.len() as u64;
        if known.is_empty() && complete {
            return 0;
        }
        let before = self.next.load(Ordering::Relaxed);
        let disk = Arc::clone(self);
        self.pool.run_in_any_case(move || {
            let names = if complete { known } else { disk.names_in_folder(id) };
            disk.unlink_older(&names, before);
        });
        count
    }

    /// Removes one response.
    pub(in crate::cache) fn remove_variant(self: &Arc<Self>, id: Id, variant: u64) {
        self.removals(id).fetch_add(1, Ordering::AcqRel);
        self.index.remove(id, |known| known.name.variant == variant);
        self.warm.forget(id);
        let before = self.next.load(Ordering::Relaxed);
        let disk = Arc::clone(self);
        self.pool
            .run_in_any_case(move || disk.unlink_older(&[Name { id, variant }], before));
    }

    /// Makes responses to a URI stale since then, for every load that begins after it returns, and has those that are being
    /// written dropped. Gives how many are known.
    pub(in crate::cache) fn expire(self: &Arc<Self>, id: Id, which: Which, since: SystemTime) -> u64 {
        self.removals(id).fetch_add(1, Ordering::AcqRel);
        let complete = self.index.is_complete();
        let mut names = match self.index.find(id) {
            Found::These(names) => names.to_vec(),
            Found::Unknown => Vec::new(),
        };
        names.retain(|name| which.picks(*name));
        let count = names.len() as u64;
        if names.is_empty() && complete {
            return 0;
        }
        let expired = seconds(since);
        let mark = self.pending.add(id, which, expired);
        self.warm.forget(id);
        let before = self.next.load(Ordering::Relaxed);
        let disk = Arc::clone(self);
        self.pool.run_in_any_case(move || {
            if !complete {
                names = disk.names_in_folder(id);
                names.retain(|name| which.picks(*name));
            }
            for name in names {
                // What has taken its name since is fresh.
                if !disk.is_written_since(name, before) {
                    disk.mark(name, expired);
                }
            }
            disk.pending.remove(mark);
        });
        count
    }

    /// Reads every head and does with it what the judge says; gives how many it changed. It waits for the disk, and takes as
    /// long as that takes: for operators, on a thread that may.
    pub(in crate::cache) fn revise(&self, mut judge: impl FnMut(&[u8]) -> Fate) -> u64 {
        let mut changed = 0;
        for removals in &self.removals {
            removals.fetch_add(1, Ordering::AcqRel);
        }
        scan::each(&self.folder, |name, file| {
            let before = self.next.load(Ordering::Relaxed);
            let Ok(start) = file::read_start(file) else {
                return scan::Then::Continue;
            };
            let fate = judge(&start.head);
            // What has taken its name meanwhile is another response.
            if fate == Fate::Keep || self.is_written_since(name, before) {
                return scan::Then::Continue;
            }
            match fate {
                Fate::Expire(since) if start.expired.is_none() => self.mark(name, seconds(since)),
                Fate::Remove => {
                    self.index.remove(name.id, |known| known.name == name);
                    self.warm.forget(name.id);
                    self.unlink(&[name]);
                }
                Fate::Keep | Fate::Expire(_) => return scan::Then::Continue,
            }
            changed += 1;
            scan::Then::Continue
        });
        changed
    }

    /// Removes files until the limits are kept. What is read of them meanwhile is read to its end.
    pub(super) fn make_room(&self) {
        let limit = |limit: &AtomicU64| limit.load(Ordering::Relaxed);
        loop {
            let names = self.index.evict(limit(&self.size), limit(&self.max_files));
            if names.is_empty() {
                return;
            }
            self.counts.evicted.fetch_add(names.len() as u64, Ordering::Relaxed);
            for name in &names {
                self.warm.forget(name.id);
            }
            self.unlink(&names);
        }
    }

    pub(super) fn unlink(&self, names: &[Name]) {
        for name in names {
            match fs::remove_file(name.path(&self.folder)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => self.failed(&self.counts.write_errors, &error),
                _ => {}
            }
        }
    }

    /// Removes files, unless others have taken their names since.
    fn unlink_older(&self, names: &[Name], before: u64) {
        for name in names {
            if !self.is_written_since(*name, before) {
                self.unlink(&[*name]);
            }
        }
    }

    /// Marks the response in a file as stale since then. What cannot be marked goes.
    fn mark(&self, name: Name, expired: u64) {
        let file = File::options().read(true).write(true).open(name.path(&self.folder));
        let marked = file.and_then(|file| {
            let prefix = file::read_prefix(&file).map_err(|Damaged| io::ErrorKind::InvalidData)?;
            file::expire(&file, &prefix, expired)
        });
        match marked {
            Ok(()) => {}
            Err(error) => {
                self.index.remove(name.id, |known| known.name == name);
                self.unlink(&[name]);
                if error.kind() != io::ErrorKind::NotFound {
                    self.failed(&self.counts.write_errors, &error);
                }
            }
        }
        self.warm.forget(name.id);
    }

    /// A body turned out not to be what was written.
    pub(super) fn damaged(&self, name: Name, identity: u64) {
        self.warm.forget(name.id);
        self.counts.read_errors.fetch_add(1, Ordering::Relaxed);
        if !self
            .index
            .remove(name.id, |known| known.name == name && known.identity == identity)
            .is_empty()
        {
            self.unlink(&[name]);
        }
    }

    /// Whether a file of this name was written after `before` was the next identity.
    fn is_written_since(&self, name: Name, before: u64) -> bool {
        let given = self.next.load(Ordering::Relaxed).wrapping_sub(before);
        self.index.has_one_of(name, before, given)
    }

    pub(super) fn removals_of(&self, id: Id) -> u64 {
        self.removals(id).load(Ordering::Acquire)
    }

    fn removals(&self, id: Id) -> &AtomicU64 {
        #[expect(clippy::indexing_slicing, reason = "the remainder is less than the length")]
        &self.removals[id.removals()]
    }
}
