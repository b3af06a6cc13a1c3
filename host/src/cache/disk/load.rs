//! What is found on the disk: the files of a URI, opened, and their heads read and checked.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::super::body::Body;
use super::super::entry::Entry;
use super::super::span::time;
use super::file::{self, Start};
use super::index::{Found, Known};
use super::reader::{Inner, Open};
use super::warm::Since;
use super::{Disk, Id, Name};

/// A response that was found.
#[derive(Debug)]
pub(in crate::cache) struct Loaded {
    /// What [`Object::head`](super::Object::head) was.
    pub(in crate::cache) head: Vec<u8>,
    /// Since when it is stale by decree, to the second.
    pub(in crate::cache) expired: Option<SystemTime>,
    /// Its body.
    pub(in crate::cache) body: Open,
}

impl Disk {
    /// Whether looking for a URI is worth while.
    pub(in crate::cache) fn may_have(&self, id: Id) -> bool {
        !self.is_resting() && self.index.find(id) != Found::These(smallvec::SmallVec::new())
    }

    /// All responses to a URI, opened and their heads read and checked.
    pub(in crate::cache) async fn load(self: &Arc<Self>, id: Id) -> Vec<Loaded> {
        let disk = Arc::clone(self);
        let loaded = self.on_pool(move || disk.load_now(id)).await.unwrap_or_default();
        if !loaded.is_empty() {
            self.counts.hits.fetch_add(1, Ordering::Relaxed);
        }
        loaded
    }

    /// To be asked before a [`Disk::load`] whose files are to stay open.
    pub(in crate::cache) fn before_load(&self, id: Id) -> Since {
        self.warm.now(id)
    }

    /// Keeps the files of a URI open for the next time, if they are as they were `since`.
    pub(in crate::cache) fn keep_open(&self, id: Id, key: &[u8], entries: &[Arc<Entry>], since: Since) {
        let has_file = |entry: &Arc<Entry>| matches!(entry.body, Body::Disk(_));
        if !entries.is_empty() && entries.iter().all(has_file) {
            self.warm.keep(id, key, entries, since);
        }
    }

    /// All responses to a URI, where their files are open.
    pub(in crate::cache) fn opened(&self, id: Id, key: &[u8]) -> Option<Arc<[Arc<Entry>]>> {
        let opened = self.warm.find(id, key)?;
        self.counts.hits.fetch_add(1, Ordering::Relaxed);
        Some(opened)
    }

    /// The same on a thread that may wait, and without counting as a hit: for operators.
    pub(in crate::cache) fn load_blocking(self: &Arc<Self>, id: Id) -> Vec<Loaded> {
        if self.is_resting() {
            return Vec::new();
        }
        self.load_now(id)
    }

    fn load_now(self: &Arc<Self>, id: Id) -> Vec<Loaded> {
        // Before the files are read: what is not pending any more is in them.
        let pending = self.pending.of(id);
        let names = match self.index.find(id) {
            Found::These(names) => names.to_vec(),
            Found::Unknown => self.names_in_folder(id),
        };
        let load = |name| {
            let mut loaded = self.load_one(name)?;
            let decreed = pending.iter().filter(|mark| mark.which.picks(name));
            let expired = decreed.map(|mark| time(mark.expired)).chain(loaded.expired).min();
            loaded.expired = expired;
            Some(loaded)
        };
        names.into_iter().filter_map(load).collect()
    }

    fn load_one(self: &Arc<Self>, name: Name) -> Option<Loaded> {
        let file = match File::open(name.path(&self.folder)) {
            Ok(file) => file,
            Err(error) => {
                // Somebody else has removed it; that is not the disk's fault.
                if error.kind() != io::ErrorKind::NotFound {
                    self.failed(&self.counts.read_errors, &error);
                }
                self.index.remove(name.id, |known| known.name == name);
                return None;
            }
        };
        let Ok(Start { prefix, expired, head }) = file::read_start(&file) else {
            self.index.remove(name.id, |known| known.name == name);
            self.counts.read_errors.fetch_add(1, Ordering::Relaxed);
            self.unlink(&[name]);
            return None;
        };
        self.index.add_found(Known {
            name,
            length: prefix.file_length(),
            identity: prefix.identity,
        });
        let body = Open(Arc::new(Inner::new(Arc::clone(self), name, prefix, file)));
        Some(Loaded {
            head,
            expired: expired.map(time),
            body,
        })
    }

    pub(super) fn names_in_folder(&self, id: Id) -> Vec<Name> {
        let folder = self.folder.join(Name { id, variant: 0 }.folder());
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        names
            .filter_map(|file| Name::parse(file.file_name().to_str()?))
            .filter(|name| name.id == id)
            .collect()
    }
}
