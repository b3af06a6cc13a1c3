//! What purges and bans do to what is stored, in both tiers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use http::HeaderMap;

use super::super::Tier;
use super::super::bans::{Fate, Manner};
use super::super::disk::{self, Id};
use super::super::entry::Entry;
use super::super::key::Key;
use super::super::persist;
use super::Store;
use super::contents::{Contents, Revised, invalidation_index};

impl Store {
    /// Removes all variants of a URI or makes them stale, in both tiers, and keeps what is being fetched for it from being stored.
    /// Gives how many there were.
    pub(in crate::cache) fn purge(&self, hash: u64, key: &Key<'_>, manner: Manner, now: SystemTime) -> u64 {
        let mut contents = self.lock(hash);
        if let Some(count) = contents.invalidations.get_mut(invalidation_index(hash)) {
            *count = count.wrapping_add(1);
        }
        let ours = contents.slots.peek(hash).is_some_and(|slot| key.is(&slot.key));
        let decide = |_: &[u8], entry: &Arc<Entry>| match manner {
            Manner::Hard => Fate::Remove,
            Manner::Soft => Fate::Replace(Arc::new(entry.expired(now))),
        };
        let revised = ours.then(|| contents.revise(hash, decide));
        drop(contents);
        let in_memory = revised.map_or(0, |revised| self.settle(revised));
        let on_disk = self.disk.as_ref().map_or(0, |disk| {
            let id = Id::of(&key.to_bytes());
            match manner {
                Manner::Hard => disk.remove(id),
                Manner::Soft => disk.expire(id, disk::Which::All, now),
            }
        });
        // What memory has is on the disk as well, where there is one.
        self.counts
            .purged
            .fetch_add(on_disk.saturating_sub(in_memory), Ordering::Relaxed);
        in_memory.max(on_disk)
    }

    /// Tests what is stored for a URI by the bans that are newer than its last test. Nearly always there is none.
    pub(in crate::cache) fn test(&self, contents: &mut Contents, hash: u64, request: &HeaderMap, now: SystemTime) {
        if contents.tested != self.bans.latest() {
            let revised = contents.revise(hash, |key, entry| {
                self.bans.test(Tier::Memory, key, entry, Some(request), now)
            });
            self.settle(revised);
        }
    }

    /// Tests everything by the bans that there are. It holds a shard's lock for a few URIs at a time.
    pub(in crate::cache) fn sweep(&self) {
        const AT_ONCE: usize = 64;
        let _turn = self.bans.begin_sweep();
        let (latest, now) = (self.bans.latest(), SystemTime::now());
        let mut up_to = latest;
        for shard in &self.shards {
            let hashes: Vec<u64> = shard.0.lock().slots.iter_mut().map(|(hash, _)| hash).collect();
            // A ban that asks for a request leaves what it could be about untested.
            let mut tested = latest;
            for hashes in hashes.chunks(AT_ONCE) {
                let mut contents = shard.0.lock();
                for hash in hashes {
                    let revised = contents.revise(*hash, |key, entry| {
                        let fate = self.bans.test(Tier::Memory, key, entry, None, now);
                        match &fate {
                            Fate::Keep => tested = tested.min(entry.marks.tested()),
                            Fate::Replace(entry) => tested = tested.min(entry.marks.tested()),
                            Fate::Remove => {}
                        }
                        fate
                    });
                    self.settle(revised);
                }
            }
            shard.0.lock().tested = tested;
            up_to = up_to.min(tested);
        }
        self.bans.swept(up_to.min(self.sweep_disk(latest, now)));
    }

    /// The same on the disk, whose heads are read for it. Gives the number of the ban up to which all of it has been tested.
    fn sweep_disk(&self, latest: u64, now: SystemTime) -> u64 {
        let Some(disk) = &self.disk else { return latest };
        let (before, mut up_to) = (self.bans.disk_tested(), latest);
        let changed = disk.revise(|head| {
            let Ok(mut head) = persist::decode(head, self.bans.identity()) else {
                return disk::Fate::Remove;
            };
            head.tested = head.tested.max(before);
            let key = head.key.clone();
            let Some(entry) = head.into_bodiless() else {
                return disk::Fate::Remove;
            };
            let entry = Arc::new(entry);
            let (fate, tested) = match self.bans.test(Tier::Disk, &key, &entry, None, now) {
                Fate::Remove => return disk::Fate::Remove,
                Fate::Keep => (disk::Fate::Keep, entry.marks.tested()),
                Fate::Replace(stale) => (disk::Fate::Expire(now), stale.marks.tested()),
            };
            up_to = up_to.min(tested);
            fate
        });
        self.bans.swept_disk(up_to);
        self.counts.purged.fetch_add(changed, Ordering::Relaxed);
        up_to
    }

    fn settle(&self, revised: Revised) -> u64 {
        if revised.removed > 0 {
            self.freed(revised.bytes, revised.removed);
        }
        let changed = (revised.removed + revised.replaced) as u64;
        self.counts.purged.fetch_add(changed, Ordering::Relaxed);
        changed
    }
}
