//! From the disk into a lookup: what memory does not have may be there.

use std::sync::Arc;
use std::time::SystemTime;

use super::bans::Fate;
use super::body::Body;
use super::disk::{Disk, Id};
use super::entry::Entry;
use super::persist;
use super::store::{Place, Precedence, Store};
use crate::config::CacheRules;

/// The disk may have what was asked for.
#[derive(Debug)]
pub struct Load {
    pub(super) store: Arc<Store>,
    pub(super) disk: Arc<Disk>,
    pub(super) id: Id,
    pub(super) place: Place,
    pub(super) route: Arc<str>,
    /// Bodies up to this many bytes are taken into memory.
    pub(super) max_object: u64,
}

/// What was found on the disk, the latest last; to be given to the lookup that is tried again.
#[derive(Debug, Default)]
pub struct Loaded(pub(super) Vec<Arc<Entry>>);

impl Load {
    /// Reads what the disk has for a URI. `rules` are the route's. What fits goes into memory, the rest is read as it is sent.
    pub async fn done(self, rules: &CacheRules) -> Loaded {
        let mut heads = Vec::new();
        for loaded in self.disk.load(self.id).await {
            match persist::decode(&loaded.head) {
                // Hashes can collide, and routes may lead to different upstreams.
                Ok(mut head) if head.key == self.place.key && *head.route == *self.route => {
                    head.tested = head.tested.max(self.store.disk_tested());
                    heads.push((head, loaded.body));
                }
                _ => {}
            }
        }
        heads.sort_by_key(|(head, _)| head.stored);
        let mut entries = Vec::new();
        for (head, body) in heads {
            let Some(entry) = head.into_entry(Body::Disk(body), rules) else {
                continue;
            };
            let entry = match self.tested(Arc::new(entry)) {
                Some(entry) => self.to_memory(entry).await,
                None => continue,
            };
            entries.extend(entry);
        }
        Loaded(entries)
    }

    /// The response, unless a ban is about it.
    fn tested(&self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        match self.store.bans.test(&self.place.key, &entry, None, SystemTime::now()) {
            Fate::Keep => Some(entry),
            Fate::Replace(other) => Some(other),
            Fate::Remove => {
                self.disk.remove(self.id);
                None
            }
        }
    }

    async fn to_memory(&self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let Body::Disk(open) = &entry.body else {
            return Some(entry);
        };
        if open.length() > self.max_object {
            return Some(entry);
        }
        let body = Body::Memory(open.read_whole().await.ok()?);
        let entry = Arc::new(entry.with_body(body));
        if let Some(reservation) = self.store.reserve(0) {
            self.store
                .insert(&self.place, Arc::clone(&entry), reservation, Precedence::Older);
        }
        Some(entry)
    }
}
