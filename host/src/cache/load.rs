//! From the disk into a lookup: what memory does not have may be there.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;

use super::Tier;
use super::bans::Fate;
use super::body::Body;
use super::disk::{Disk, Id, Which};
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
    /// Reads what the disk has for a URI. `rules` are the route's, `request` what bans may ask for. What fits goes into memory,
    /// the rest is read as it is sent.
    pub async fn done(self, rules: &CacheRules, request: &HeaderMap) -> Loaded {
        let before = self.disk.before_load(self.id);
        let mut heads = Vec::new();
        for loaded in self.disk.load(self.id).await {
            match persist::decode(&loaded.head, self.store.bans.identity()) {
                // Hashes can collide, and routes may lead to different upstreams.
                Ok(mut head) if head.key == self.place.key && *head.route == *self.route => {
                    head.tested = head.tested.max(self.store.bans.disk_tested());
                    heads.push((head, loaded));
                }
                _ => {}
            }
        }
        heads.sort_by_key(|(head, _)| head.stored);
        let mut entries = Vec::new();
        for (head, loaded) in heads {
            let Some(entry) = head.into_entry(Body::Disk(loaded.body), rules) else {
                continue;
            };
            let entry = match loaded.expired {
                Some(since) => entry.expired(since),
                None => entry,
            };
            let entry = match self.tested(Arc::new(entry), request) {
                Some(entry) => self.to_memory(entry).await,
                None => continue,
            };
            entries.extend(entry);
        }
        self.disk.keep_open(self.id, &self.place.key, &entries, before);
        Loaded(entries)
    }

    /// What the disk has, where no thread is needed to find it: the files are open, and no ban has to be looked at.
    pub(super) fn at_once(&self) -> Option<Loaded> {
        let entries = self.disk.opened(self.id, &self.place.key)?;
        let latest = self.store.bans.latest();
        let serves = |entry: &Arc<Entry>| *entry.route == *self.route && entry.marks.tested() == latest;
        entries.iter().all(serves).then(|| Loaded(entries.to_vec()))
    }

    /// The response, unless a ban is about it.
    fn tested(&self, entry: Arc<Entry>, request: &HeaderMap) -> Option<Arc<Entry>> {
        let now = SystemTime::now();
        let variant = || persist::variant(&entry);
        match self
            .store
            .bans
            .test(Tier::Disk, &self.place.key, &entry, Some(request), now)
        {
            Fate::Keep => Some(entry),
            Fate::Replace(stale) => {
                self.disk.expire(self.id, Which::Variant(variant()), now);
                Some(stale)
            }
            Fate::Remove => {
                self.disk.remove_variant(self.id, variant());
                None
            }
        }
    }

    async fn to_memory(&self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let entry = match &entry.body {
            Body::Disk(open) if open.length() > self.max_object => return Some(entry),
            Body::Disk(open) => Arc::new(entry.with_body(Body::kept(&open.read_whole().await.ok()?))),
            // The head of slices, each of which is loaded when it is wanted.
            Body::Sliced(_) | Body::Memory(_) | Body::Arriving(_) => entry,
        };
        if let Some(reservation) = self.store.reserve(0) {
            self.store
                .insert(&self.place, Arc::clone(&entry), reservation, Precedence::Older);
        }
        Some(entry)
    }
}
