//! Which objects are on the disk, and which of them are the next to go.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::super::shelf::Shelf;
use super::{Id, Name};

/// Small enough to be kept in memory for every object: no keys, no fields, about 200 bytes a URI.
#[derive(Debug)]
pub(super) struct Index {
    shelf: Mutex<Shelf<Uri>>,
    /// What was removed before the folder had been read once: it may still be in there, and is not to be found.
    gone: Mutex<HashSet<Id>>,
    /// Until the folder has been read once, what is not in the index may still be on the disk.
    complete: AtomicBool,
    bytes: AtomicU64,
    files: AtomicU64,
}

/// The files of one URI. Two whose hashes share 64 of their 128 bits share a place, too.
#[derive(Debug, Default)]
struct Uri(SmallVec<[Known; 1]>);

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: Name,
    pub(super) length: u64,
    pub(super) identity: u64,
}

impl Uri {
    fn weight(&self) -> u64 {
        self.0.iter().map(|known| occupied(known.length)).sum()
    }
}

/// Bytes that a file takes on a disk with blocks of 4 KiB.
fn occupied(length: u64) -> u64 {
    length.div_ceil(4096) * 4096
}

/// What a lookup knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// These files, of which there may be none.
    These(SmallVec<[Name; 2]>),
    /// The folder has to be looked into.
    Unknown,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            shelf: Mutex::new(Shelf::new()),
            gone: Mutex::default(),
            complete: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
        }
    }

    /// The files of a URI, which counts as used.
    pub(super) fn find(&self, id: Id) -> Found {
        let mut shelf = self.shelf.lock();
        let names: SmallVec<[Name; 2]> = shelf
            .get(id.short())
            .map(|uri| {
                uri.0
                    .iter()
                    .map(|known| known.name)
                    .filter(|name| name.id == id)
                    .collect()
            })
            .unwrap_or_default();
        if names.is_empty() && !self.is_complete() && !self.gone.lock().contains(&id) {
            return Found::Unknown;
        }
        Found::These(names)
    }

    /// A file was found. What was written or removed since the finder opened it is newer than what it saw.
    pub(super) fn add_found(&self, known: Known) {
        let name = known.name;
        let mut shelf = self.shelf.lock();
        let uri = shelf.peek(name.id.short());
        let newer = uri.is_some_and(|uri| uri.0.iter().any(|known| known.name == name));
        if !newer && !self.gone.lock().contains(&name.id) {
            self.add_to(&mut shelf, known);
        }
    }

    /// A file is there, in the place of one of the same name.
    pub(super) fn add(&self, known: Known) {
        self.add_to(&mut self.shelf.lock(), known);
    }

    fn add_to(&self, shelf: &mut Shelf<Uri>, known: Known) {
        let short = known.name.id.short();
        let Some(uri) = shelf.peek_mut(short) else {
            let uri = Uri(SmallVec::from_elem(known, 1));
            let weight = uri.weight();
            shelf.put(short, uri, weight);
            self.count(occupied(known.length) as i64, 1);
            return;
        };
        let before = uri.weight();
        let new = match uri.0.iter_mut().find(|old| old.name == known.name) {
            Some(old) => {
                *old = known;
                0
            }
            None => {
                uri.0.push(known);
                1
            }
        };
        let after = uri.weight();
        shelf.reweigh(short, after);
        self.count(after as i64 - before as i64, new);
    }

    /// Whether this very file is known.
    pub(super) fn has(&self, name: Name, identity: u64) -> bool {
        let shelf = self.shelf.lock();
        let uri = shelf.peek(name.id.short());
        uri.is_some_and(|uri| {
            uri.0
                .iter()
                .any(|known| known.name == name && known.identity == identity)
        })
    }

    /// Whether a file of this name has one of the `count` identities from `first` on. (Files of earlier processes have any.)
    pub(super) fn has_one_of(&self, name: Name, first: u64, count: u64) -> bool {
        let shelf = self.shelf.lock();
        let uri = shelf.peek(name.id.short());
        let one_of = |known: &Known| known.name == name && known.identity.wrapping_sub(first) < count;
        uri.is_some_and(|uri| uri.0.iter().any(one_of))
    }

    /// Forgets all files of a URI, also those of which it does not know yet, and names the others.
    pub(super) fn remove_all(&self, id: Id) -> Vec<Name> {
        if !self.is_complete() {
            self.gone.lock().insert(id);
        }
        self.remove(id, |_| true)
    }

    /// Forgets the files that the predicate picks among those of a URI, and names them.
    pub(super) fn remove(&self, id: Id, picks: impl Fn(&Known) -> bool) -> Vec<Name> {
        let mut shelf = self.shelf.lock();
        let Some(uri) = shelf.peek_mut(id.short()) else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        let mut bytes = 0;
        uri.0.retain(|known| {
            let stays = known.name.id != id || !picks(known);
            if !stays {
                gone.push(known.name);
                bytes += occupied(known.length);
            }
            stays
        });
        let (weight, empty) = (uri.weight(), uri.0.is_empty());
        if empty {
            shelf.pop(id.short());
        } else {
            shelf.reweigh(id.short(), weight);
        }
        self.count(-(bytes as i64), -(gone.len() as i64));
        gone
    }

    /// Forgets a URI that is over the limits, and names its files.
    pub(super) fn evict(&self, size: u64, files: u64) -> Vec<Name> {
        if self.bytes() <= size && self.files() <= files {
            return Vec::new();
        }
        let Some(uri) = self.shelf.lock().evict() else {
            return Vec::new();
        };
        self.count(-(uri.weight() as i64), -(uri.0.len() as i64));
        uri.0.iter().map(|known| known.name).collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(super) fn set_complete(&self) {
        self.complete.store(true, Ordering::Release);
        *self.gone.lock() = HashSet::new();
    }

    fn count(&self, bytes: i64, files: i64) {
        // Wrapping addition of a negative number is its subtraction.
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.files.fetch_add(files as u64, Ordering::Relaxed);
    }
}
